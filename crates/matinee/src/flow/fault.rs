//! Why an attempt at a job failed, and how that is judged.

use matinee_core::job::retry::Class;
use matinee_core::media::MediaError;
use matinee_core::plan::Refusal;
use matinee_core::video::Problem;
use matinee_io::db::DbError;
use matinee_io::fetch;
use matinee_io::ffmpeg::{self, RunError};
use matinee_io::spool::SpoolError;
use matinee_io::store::StoreError;
use serde_json::{Value, json};

use super::Failure;

/// A failed attempt: its class decides what happens next, its problem is what people read.
#[derive(Debug, thiserror::Error)]
#[error("{}", problem.human)]
pub(crate) struct Fault {
    pub(crate) class: Class,
    pub(crate) problem: Problem,
    /// For the one who looks closer: ffmpeg's last words, its arguments.
    pub(crate) detail: Value,
}

impl Fault {
    /// A fault of this class with its texts.
    pub(crate) fn new(class: Class, code: &str, human: impl Into<String>, fix: &str) -> Self {
        let problem = Problem { code: code.to_owned(), human: human.into(), fix: fix.to_owned() };
        Self { class, problem, detail: Value::Null }
    }

    /// The world is to blame: the disk, the database, a lost lease. It is tried again without end.
    pub(crate) fn world(human: impl Into<String>) -> Self {
        Self::new(Class::World, "world", human, "Nothing needs to be done; it is tried again by itself.")
    }

    /// An output is not what the plan says; exit code 0 is no proof.
    pub(crate) fn unverified(human: impl Into<String>) -> Self {
        Self::new(
            Class::Crash,
            "output_not_verified",
            human,
            "It is tried again; if it stays, the source is probably damaged: export it again and upload that.",
        )
    }

    /// What the log and the job row keep.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "class": self.class,
            "code": self.problem.code,
            "human": self.problem.human,
            "fix": self.problem.fix,
            "detail": self.detail,
        })
    }

    /// Did a program say no by itself, and not by a signal or a limit?
    pub(crate) fn is_exit(&self) -> bool {
        self.detail["exit"].is_number()
    }

    /// Is it that nothing of the source can be decoded?
    pub(crate) fn is_undecodable(&self) -> bool {
        self.problem.code == Refusal::Undecodable.code()
    }

    /// Adds what a curious operator wants to see.
    pub(crate) fn with(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::new(Class::Refusal, refusal.code(), refusal.to_string(), refusal.fix())
    }
}

impl From<fetch::Refusal> for Fault {
    fn from(refusal: fetch::Refusal) -> Self {
        let (code, fix) = match &refusal {
            fetch::Refusal::Unreadable | fetch::Refusal::Scheme(_) => {
                ("pull_url", "Give an address that begins with https:// or http://.")
            }
            fetch::Refusal::Credentials => {
                ("pull_url", "Leave the name and the password away; use a signed link instead.")
            }
            fetch::Refusal::Port(_) => {
                ("pull_port", "Use port 80 or 443, or add the port to `ingest.allow_ports`.")
            }
            fetch::Refusal::Address { .. } => (
                "pull_address",
                "Only public hosts are fetched from; add the host to `ingest.allow_hosts` if it is yours.",
            ),
            fetch::Refusal::Redirects => ("pull_redirects", "Give the address to which the others lead."),
        };
        let human = format!("The file is not fetched: {refusal}.");
        Self::new(Class::Refusal, code, human, fix)
    }
}

impl From<DbError> for Fault {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Again(_) | DbError::LeaseLost => Self::world(error.to_string()),
            DbError::Refused(refusal) => {
                Self { class: Class::Refusal, problem: refusal.problem(), detail: Value::Null }
            }
            DbError::Never(_) | DbError::Taken(_) | DbError::Conflict(_) | DbError::Absent => {
                Self::new(Class::Crash, "internal", error.to_string(), "Report this with the server's log.")
            }
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::world(format!("the store could not do it: {error}"))
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self::world(failure.to_string())
    }
}

impl From<SpoolError> for Fault {
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::Lost { .. } => Self::new(
                Class::Refusal,
                "upload_lost",
                "Bytes that had arrived are missing on the server's disk.",
                "Fetch the file again, and have the server's disk checked.",
            ),
            SpoolError::NoSpace => Self::new(
                Class::World,
                "storage_full",
                "There is no room left on the server's disk.",
                "Free space in the data directory; the fetch goes on by itself.",
            ),
            SpoolError::Busy | SpoolError::Failed | SpoolError::Io(_) => Self::world(error.to_string()),
        }
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::world(format!("the disk could not do it: {error}"))
    }
}

impl From<MediaError> for Fault {
    fn from(error: MediaError) -> Self {
        Self::unverified(format!("an output cannot be read: {error}"))
    }
}

impl From<RunError> for Fault {
    fn from(error: RunError) -> Self {
        let exit = if let ffmpeg::Failure::Exit(code) = error.what { Some(code) } else { None };
        let detail = json!({ "stderr": error.stderr_tail, "cpu_ms": error.cpu_ms, "exit": exit });
        let class = match error.class() {
            ffmpeg::Class::Refusal => Class::Refusal,
            ffmpeg::Class::Crash => Class::Crash,
            ffmpeg::Class::World => Class::World,
        };
        Self::new(
            class,
            "encoder_failed",
            format!("The encoder did not finish: {error}."),
            "See the job's detail; run the job again, or export the source with other software and upload that.",
        )
        .with(detail)
    }
}
