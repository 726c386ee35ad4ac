//! What a runner and a server say to each other: one JSON document for each question and each answer.

use matinee_core::loudness::Leveled;
use matinee_core::runner::Report;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A machine that wants to be a runner.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Joining {
    /// The registration token; good for one runner.
    pub(crate) registration_token: String,
    /// 32 hexadecimal digits of the runner's own choice: the same question with the same ones has the same answer.
    pub(crate) nonce: String,
    /// What the machine can do.
    #[schema(value_type = Object)]
    pub(crate) report: Report,
}

/// It is a runner now.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Registered {
    /// The runner's id.
    pub(crate) id: String,
    /// What its owner calls it.
    pub(crate) name: String,
    /// What it sends as `Authorization: Bearer` from now on; the server keeps only a hash.
    pub(crate) token: String,
}

/// A runner that asks for work.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Wish {
    /// New at each start of the runner; letters and digits.
    pub(crate) run: String,
    /// The jobs that it has. All others that it held go to somebody else at once.
    pub(crate) holding: Vec<String>,
    /// It wants no more work, and is not kept waiting.
    #[serde(default)]
    pub(crate) leaving: bool,
    /// What the machine can do now.
    #[schema(value_type = Object)]
    pub(crate) report: Report,
}

/// One job with all that its work needs.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Errand {
    /// The right to do it.
    pub(crate) lease: Leased,
    /// The job's task, for example `{"kind":"chunk","video":"vid_...","chunk":3}`.
    #[schema(value_type = Object)]
    pub(crate) task: Value,
    /// One decoder thread, one rendition at a time, no seeking.
    pub(crate) safe_profile: bool,
    /// What is to be made of the video.
    #[schema(value_type = Object)]
    pub(crate) plan: Value,
    /// The file that is read.
    pub(crate) input: Input,
    /// The picture that is laid over the video, a PNG in base64, when there is one.
    pub(crate) mark: Option<String>,
    /// What is drawn of the input, for a storyboard.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(crate) sketch: Value,
    /// The files that are made, in the order in which completing names them.
    pub(crate) outputs: Vec<Output>,
}

/// The right to one attempt of a job.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Leased {
    /// The job; the `{id}` of every `/v1/lease/{id}`.
    pub(crate) id: String,
    /// The fencing number.
    pub(crate) attempt: u32,
    /// 32 hexadecimal digits that nobody else knows.
    pub(crate) token: String,
    /// It ends so many milliseconds after the last renewal.
    pub(crate) lease_ms: i64,
    /// It is to be renewed so often.
    pub(crate) renew_ms: i64,
}

/// The file that is read.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Input {
    /// Its name, which never means other bytes.
    pub(crate) key: String,
    /// Its length in bytes.
    pub(crate) size_bytes: u64,
    /// The BLAKE3 hash of its bytes in hex, when it is known.
    pub(crate) blake3: Option<String>,
    /// Where it is read, for some minutes.
    pub(crate) url: String,
}

/// A file that is made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Output {
    /// What the plan calls it.
    pub(crate) name: String,
    /// Its name at the server.
    pub(crate) key: String,
    /// Where it is written, for some minutes.
    pub(crate) url: String,
}

/// A runner that goes on with its work.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Renewal {
    /// The fencing number.
    pub(crate) attempt: u32,
    /// The lease's token.
    pub(crate) token: String,
    /// How much is done, 0 to 1.
    #[serde(default)]
    pub(crate) done: f64,
    /// Pictures that were written.
    #[serde(default)]
    pub(crate) frame: u64,
    /// Pictures a second.
    #[serde(default)]
    pub(crate) fps: f64,
    /// Seconds of the video a second.
    #[serde(default)]
    pub(crate) speed: f64,
    /// The programs that it has run so far, with their last words, when something about them is new.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(crate) runs: Value,
}

/// What a runner hears when it renews.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Renewed {
    /// Nobody wants the work any more: stop it, drop it, give it back.
    pub(crate) cancel: bool,
    /// A fresh address of the input.
    pub(crate) input_url: String,
    /// Fresh addresses of the outputs, in any order.
    pub(crate) outputs: Vec<Renewable>,
}

/// A fresh address.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Renewable {
    /// The output's name at the server.
    pub(crate) key: String,
    /// Where it is written, for some minutes.
    pub(crate) url: String,
}

/// A runner that has finished.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Completion {
    /// The fencing number.
    pub(crate) attempt: u32,
    /// The lease's token.
    pub(crate) token: String,
    /// What was written, in the order of the outputs.
    pub(crate) outputs: Vec<Made>,
    /// Packets and pictures of the input that could not be decoded as they are.
    #[serde(default)]
    pub(crate) damage: u64,
    /// How loud a sound was, and what was done about it.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(crate) leveled: Option<Leveled>,
    /// The programs that it has run.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(crate) runs: Value,
}

/// A file that was written.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Made {
    /// Its name at the server.
    pub(crate) key: String,
    /// Its length in bytes.
    pub(crate) size_bytes: u64,
    /// The BLAKE3 hash of its bytes, in hex.
    pub(crate) blake3: String,
}

/// A runner that gives up.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct GivingUp {
    /// The fencing number.
    pub(crate) attempt: u32,
    /// The lease's token.
    pub(crate) token: String,
    /// Whose fault it is.
    pub(crate) class: Blame,
    /// A stable word for it.
    #[serde(default)]
    pub(crate) code: String,
    /// One sentence.
    #[serde(default)]
    pub(crate) human: String,
    /// For the one who looks closer: ffmpeg's last words, its arguments.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(crate) detail: Value,
    /// The programs that it has run.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(crate) runs: Value,
}

/// Whose fault it is that a runner gives up. That a source is to blame for good is never one runner's word alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Blame {
    /// Nobody's: the runner leaves, or was told to stop.
    Returned,
    /// The encoder broke down.
    Crash,
    /// The source: `code` says what is wrong with it.
    Source,
    /// The runner's machine or its network.
    World,
}
