//! The doctor: looks at everything that matinee needs of its machine, and knows the remedy.

mod disk;
mod programs;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use matinee_core::time::Millis;
use matinee_io::db::{self, Db};
use matinee_io::ffmpeg;
use matinee_io::store::{Depth, Stores};
use serde::Serialize;

use super::{engine, now};
use crate::node::Keep;

/// Serving needs a descriptor for each viewer and for each open file.
const OPEN_FILES_MIN: u64 = 1_024;
/// This release was made after this moment (1 January 2026).
const MADE_AFTER: Millis = Millis(1_767_225_600_000);
/// So far may files of ours lie in the future, in milliseconds.
const FUTURE_MS: i64 = 60_000;

/// What is examined.
#[derive(Debug)]
pub(crate) struct Patient {
    pub(crate) data: PathBuf,
    pub(crate) database: db::Config,
    pub(crate) listen: SocketAddr,
    pub(crate) ffmpeg: ffmpeg::Config,
    /// Device nodes of encoders in hardware; all of the machine when none are named.
    pub(crate) devices: Option<Vec<String>>,
    /// Whether folders of attempts are kept, and for how many days.
    pub(crate) keep: (Keep, u32),
    /// Who serves the data directory now.
    pub(crate) server: Option<String>,
    /// The places besides that keep copies.
    pub(crate) stores: Stores,
}

/// How serious it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Grade {
    /// All is well.
    Ok,
    /// It works, but one should know.
    Note,
    /// It does not work.
    Fix,
}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) grade: Grade,
    pub(crate) found: String,
    pub(crate) fix: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, grade: Grade::Ok, found: found.into(), fix: None }
    }

    fn note(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, grade: Grade::Note, found: found.into(), fix: Some(fix.into()) }
    }

    fn fix(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, grade: Grade::Fix, found: found.into(), fix: Some(fix.into()) }
    }
}

/// Looks at everything, in the order in which it is needed.
pub(crate) async fn examine(patient: &Patient) -> Vec<Finding> {
    let nodes = engine::nodes(patient.devices.as_deref());
    let mut findings = programs::examine(&patient.ffmpeg, &nodes).await;
    findings.extend(disk::examine(&patient.data));
    findings.push(disk::kept(&patient.data, patient.keep));
    findings.push(database(patient).await);
    findings.push(clock(&patient.data));
    findings.push(open_files(&std::fs::read_to_string("/proc/self/limits").unwrap_or_default()));
    findings.push(port(patient).await);
    findings.extend(stores(&patient.stores).await);
    findings
}

/// What each store can do, tried with a few bytes of which nothing stays.
async fn stores(stores: &Stores) -> Vec<Finding> {
    const CHECK: &str = "store";
    let mut findings = Vec::new();
    for opened in stores.iter() {
        let (name, place) = (&opened.name, &opened.place);
        findings.push(match opened.store.facts("matinee-doctor/object", Depth::Brief).await {
            Ok(facts) => Finding::ok(CHECK, format!("{name}, {place}: {}", facts.sentences().join("; "))),
            Err(error) => Finding::fix(
                CHECK,
                format!("{name}, {place}: {error}"),
                format!("Mend its [[store]], its key or its disk, and look again with `matinee stores test {name}`."),
            ),
        });
    }
    findings
}

async fn database(patient: &Patient) -> Finding {
    const CHECK: &str = "database";
    let name = match &patient.database {
        db::Config::Sqlite(file) if !file.exists() => {
            return Finding::ok(CHECK, "none yet; it is made at the first start");
        }
        db::Config::Sqlite(_) => "SQLite",
        db::Config::Postgres(_) => "PostgreSQL",
    };
    let checked = match Db::open(&patient.database).await {
        Ok(db) => db.complaints().await,
        Err(error) => Err(error),
    };
    match checked {
        Ok(complaints) if complaints.is_empty() => Finding::ok(CHECK, format!("{name} answers and is whole")),
        Ok(complaints) => Finding::fix(
            CHECK,
            format!("{name} is damaged: {}", complaints[0]),
            "Stop matinee, keep a copy of the data directory, and restore the last backup of the database.",
        ),
        Err(error) => Finding::fix(
            CHECK,
            format!("{name} cannot be used: {error}"),
            "Look at `database` in the configuration and at the rights of the data directory.",
        ),
    }
}

/// Our own files cannot have been written in the future.
fn clock(data: &Path) -> Finding {
    const CHECK: &str = "clock";
    const REMEDY: &str =
        "Set the clock, and let it be kept right, for example with `timedatectl set-ntp true`.";
    let now = now();
    if now < MADE_AFTER {
        return Finding::fix(CHECK, "the clock is before the day this release was made", REMEDY);
    }
    let written = ["matinee.db-wal", "matinee.db"].iter().filter_map(|name| {
        let at = std::fs::metadata(data.join(name)).ok()?.modified().ok()?;
        let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok()
    });
    match written.max() {
        Some(written) if written > now.0 + FUTURE_MS => {
            let s = (written - now.0) / 1_000;
            Finding::fix(
                CHECK,
                format!("the database was written {s} s in the future: the clock went back"),
                REMEDY,
            )
        }
        Some(_) | None => Finding::ok(CHECK, "agrees with what was written before"),
    }
}

fn open_files(limits: &str) -> Finding {
    const CHECK: &str = "limits";
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft =
        line.and_then(|line| line.split_whitespace().next()).map(|soft| soft.parse().unwrap_or(u64::MAX));
    match soft {
        Some(soft) if soft >= OPEN_FILES_MIN => Finding::ok(CHECK, format!("{soft} open files")),
        Some(soft) => Finding::fix(
            CHECK,
            format!("only {soft} open files; with many viewers that is too little"),
            "Raise it to 4096 or more: `ulimit -n 4096`, or `LimitNOFILE=4096` in a systemd unit.",
        ),
        None => {
            Finding::note(CHECK, "the limit of open files cannot be read", "Look whether /proc is mounted.")
        }
    }
}

async fn port(patient: &Patient) -> Finding {
    const CHECK: &str = "address";
    if let Some(server) = &patient.server {
        return Finding::ok(CHECK, format!("matinee serves here already ({server})"));
    }
    let listen = patient.listen;
    match tokio::net::TcpListener::bind(listen).await {
        Ok(_) => Finding::ok(CHECK, format!("{listen} is free")),
        Err(error) => Finding::fix(
            CHECK,
            format!("{listen} cannot be used: {error}"),
            "Give another one with --listen.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use matinee_io::store::{Place, StoreConfig};

    use super::*;

    #[test]
    fn a_low_limit_of_open_files_is_found() {
        let limits = |soft: &str| {
            format!(
                "Limit     Soft Limit   Hard Limit   Units\nMax open files            {soft}    1048576     files\n"
            )
        };
        assert_eq!(open_files(&limits("1023")).grade, Grade::Fix);
        assert_eq!(open_files(&limits("1024")).grade, Grade::Ok);
        assert_eq!(open_files(&limits("unlimited")).grade, Grade::Ok);
        assert_eq!(open_files("").grade, Grade::Note);
    }

    #[tokio::test]
    async fn a_store_that_is_away_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| Place::Disk { path: dir.path().join(name) };
        let config = |name: &str| StoreConfig { name: name.to_owned(), place: place(name) };
        std::fs::create_dir(dir.path().join("here")).unwrap();
        let opened = Stores::open(&[config("here"), config("away")]).unwrap();
        let grades: Vec<_> = stores(&opened).await.iter().map(|finding| finding.grade).collect();
        assert_eq!(grades, [Grade::Ok, Grade::Fix]);
    }

    #[test]
    fn a_clock_that_went_back_is_found() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(clock(dir.path()).grade, Grade::Ok);
        let file = std::fs::File::create(dir.path().join("matinee.db")).unwrap();
        let later = std::time::UNIX_EPOCH
            + std::time::Duration::from_millis(u64::try_from(now().0).unwrap() + 3_600_000);
        file.set_modified(later).unwrap();
        assert_eq!(clock(dir.path()).grade, Grade::Fix);
    }
}
