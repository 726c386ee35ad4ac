//! Jobs as JSON.

use matinee_core::id::JobId;
use matinee_core::job::{Attempt as Ended, Kind, State, Task};
use matinee_core::limits::{BACKGROUND_PRIO, BACKGROUND_PRIO_MIN};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Reason, time};
use crate::flow::job::{Board, Closer, Group, Groups, Job as Row, Run as Ran, Shown, done};

/// A piece of work.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Job {
    /// The job's id.
    id: String,
    /// What it does, for example `chunk`; `unknown` when a newer release made it.
    kind: &'static str,
    /// The same for a person, for example `Piece 7 of the picture`.
    human: String,
    /// Where it is in its life.
    #[schema(value_type = String, example = "leased")]
    state: &'static str,
    /// The video it works for.
    video_id: Option<String>,
    /// The title of the video; only where jobs are listed by `group`, or shown alone.
    title: Option<String>,
    /// How many attempts there were.
    attempt: u32,
    /// Jobs with a higher one go first; usually 0.
    priority: i64,
    /// How much of it is done, from 0 to 1.
    progress: f64,
    /// Pictures a second, while it encodes some.
    fps: Option<f64>,
    /// Seconds of the video a second, while it encodes.
    speed: Option<f64>,
    /// How long it goes on while it runs, or will take once it does, in seconds, as far as that can be told.
    left_s: Option<f64>,
    /// The node that works on it.
    node: Option<String>,
    /// Somebody asked it to stop.
    stopping: bool,
    /// Why it does not run.
    waits: Option<Waits>,
    /// What went wrong last.
    last_error: Option<Reason>,
    /// When it was made, as RFC 3339 text.
    created_at: String,
    /// When it was begun first.
    started_at: Option<String>,
    /// When it was over.
    finished_at: Option<String>,
    /// It does not run before this moment.
    run_at: String,
}

/// Why a job does not run.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Waits {
    /// `needs`, `not_before`, `retry`, `paused`, `no_node`, `drained`, `disk_full`, `no_ffmpeg`, `needs_memory` or `slot`.
    code: &'static str,
    /// One sentence for a person.
    human: String,
}

/// A page of jobs: the newest first, or by `group` in the order in which one wants to see them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobList {
    /// The jobs.
    pub(crate) items: Vec<Job>,
    /// What to ask for next as `before`; null at the end.
    pub(crate) next: Option<String>,
    /// How many there are in each group; only when a `group` was asked for.
    pub(crate) groups: Option<Counts>,
    /// Since when no work of the app begins; only when a `group` was asked for.
    pub(crate) paused_at: Option<String>,
}

/// How many jobs of the app are in each group that is not over.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Counts {
    running: u64,
    waiting: u64,
    retrying: u64,
    stuck: u64,
}

/// A job with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobDetail {
    #[serde(flatten)]
    job: Job,
    /// The memory that it is expected to need, in bytes; 0 when nobody counts it.
    memory_bytes: u64,
    /// Its attempts, the oldest first.
    attempts: Vec<Attempt>,
    /// The jobs that it waits for.
    needs: Vec<Need>,
}

/// One attempt at a job.
#[derive(Debug, Serialize, ToSchema)]
struct Attempt {
    /// Its number, from 1.
    #[serde(rename = "attempt")]
    number: u32,
    /// The node that worked.
    node: String,
    /// When it began.
    started_at: String,
    /// When it ended; null while it runs.
    ended_at: Option<String>,
    /// `done`, `lost`, `returned`, `overtaken`, `cancelled`, `refusal`, `damage`, `crash` or `world`; null while it runs.
    #[schema(value_type = Option<String>)]
    outcome: Option<matinee_core::job::Outcome>,
    /// What was wrong.
    error: Option<Reason>,
    /// The programs that it ran.
    runs: Vec<Run>,
}

/// One run of a program.
#[derive(Debug, Serialize, ToSchema)]
struct Run {
    /// The program with its release.
    program: String,
    /// Its arguments; `DATA` stands for the data directory of the server.
    args: Vec<String>,
    /// The last that it wrote to standard error.
    stderr: String,
    /// How it ended when it did not end well.
    fault: Option<String>,
    /// Processor seconds that it used.
    cpu_s: f64,
    /// The most memory that was seen, in bytes.
    memory_bytes: u64,
    /// It has ended.
    ended: bool,
}

/// A job that another one waits for.
#[derive(Debug, Serialize, ToSchema)]
struct Need {
    /// Its id.
    id: String,
    /// What it does.
    kind: &'static str,
    /// Where it is in its life.
    state: &'static str,
}

/// The work of an app, paused or not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pause {
    /// Since when no work of the app begins; null when it does.
    pub(crate) paused_at: Option<String>,
}

/// The words for the states of a job.
pub(crate) const STATES: [(&str, State); 6] = [
    ("blocked", State::Blocked),
    ("ready", State::Ready),
    ("leased", State::Leased),
    ("done", State::Done),
    ("dead", State::Dead),
    ("cancelled", State::Cancelled),
];

/// The words for groups of jobs.
pub(crate) const GROUPS: [(&str, Group); 5] = [
    ("running", Group::Running),
    ("waiting", Group::Waiting),
    ("retrying", Group::Retrying),
    ("stuck", Group::Stuck),
    ("over", Group::Over),
];

fn word(state: State) -> &'static str {
    STATES.iter().find(|(_, known)| *known == state).map_or("unknown", |(word, _)| word)
}

/// What a job does, for a person who reads a list.
pub(crate) fn titled(task: Option<&Task>) -> String {
    let Some(task) = task else { return "Something that this release does not know".to_owned() };
    let text = match task {
        Task::Fetch { .. } => "Fetching the file",
        Task::Join { .. } => "Putting the parts of the file together",
        Task::Take { .. } => "Bringing the file in",
        Task::Probe { .. } => "Looking at the file",
        Task::Remux { .. } => "Rearranging the file",
        Task::Audio { track: 0, .. } => "The main sound",
        Task::Audio { track, .. } => return format!("Sound {}", track + 1),
        Task::Chunk { chunk, family: 0, .. } => return format!("Piece {} of the picture", chunk + 1),
        Task::Chunk { chunk, .. } => return format!("Piece {} of the picture in another codec", chunk + 1),
        Task::Webm { .. } => "A WebM file to keep",
        Task::Poster { .. } => "The still picture",
        Task::Subtitles { .. } => "The subtitles",
        Task::Storyboard { .. } => "Small pictures for finding a place",
        Task::Assemble { .. } => "Joining one size",
        Task::Finish { .. } => "The last touch",
        Task::Step { step, .. } => return format!("Step {} of the pipeline", step + 1),
        Task::Publish { host, .. } => return format!("Publishing at {host}"),
        Task::Erase { .. } => "Emptying what was deleted",
        Task::Copy { store, .. } => return format!("A copy for {store}"),
    };
    text.to_owned()
}

/// A hundredth is finer than anybody reads a speed.
fn speed(value: f64) -> Option<f64> {
    let rounded = (value * 100.0).round() / 100.0;
    (rounded > 0.0).then_some(rounded)
}

#[expect(clippy::cast_precision_loss, reason = "no job takes 285,000 years")]
fn seconds(ms: u64) -> f64 {
    (ms as f64 / 100.0).round() / 10.0
}

impl From<&Row> for Job {
    fn from(job: &Row) -> Self {
        let far = job.far();
        Self {
            id: job.id.to_string(),
            kind: job.task.as_ref().map_or("unknown", |task| task.kind().name()),
            human: titled(job.task.as_ref()),
            state: word(job.state),
            video_id: job.video.map(|video| video.to_string()),
            title: None,
            attempt: job.attempt,
            priority: -(if job.prio >= BACKGROUND_PRIO_MIN { job.prio - BACKGROUND_PRIO } else { job.prio }),
            progress: done(job),
            fps: speed(far.fps),
            speed: speed(far.speed),
            left_s: None,
            node: job.holder.as_deref().and_then(|holder| holder.split('/').next()).map(str::to_owned),
            stopping: job.cancel_requested && job.state == State::Leased,
            waits: None,
            last_error: job.last_error.as_ref().map(Reason::stored),
            created_at: time(job.created),
            started_at: job.started.map(time),
            finished_at: job.finished.map(time),
            run_at: time(job.run_at),
        }
    }
}

impl From<&Shown> for Job {
    fn from(shown: &Shown) -> Self {
        Self {
            title: shown.title.clone(),
            left_s: shown.left_ms.map(seconds),
            waits: shown.wait.map(|wait| Waits { code: wait.code(), human: wait.human() }),
            ..Self::from(&shown.job)
        }
    }
}

impl From<Groups> for Counts {
    fn from(groups: Groups) -> Self {
        let Groups { running, waiting, retrying, stuck } = groups;
        Self { running, waiting, retrying, stuck }
    }
}

impl JobList {
    /// A group with the counts of all.
    pub(crate) fn of(board: &Board, next: Option<JobId>) -> Self {
        Self {
            items: board.jobs.iter().map(Job::from).collect(),
            next: next.map(|id| id.to_string()),
            groups: Some(board.groups.into()),
            paused_at: board.paused.map(time),
        }
    }
}

impl From<&Closer> for JobDetail {
    fn from(closer: &Closer) -> Self {
        Self {
            job: Job::from(&closer.shown),
            memory_bytes: closer.shown.job.memory_bytes,
            attempts: closer.attempts.iter().map(|(attempt, runs)| Attempt::of(attempt, runs)).collect(),
            needs: closer.needs.iter().map(Need::of).collect(),
        }
    }
}

impl Need {
    fn of((id, kind, state): &(JobId, Kind, State)) -> Self {
        Self { id: id.to_string(), kind: kind.name(), state: word(*state) }
    }
}

impl Attempt {
    fn of(attempt: &Ended, runs: &[Ran]) -> Self {
        Self {
            number: attempt.attempt,
            node: attempt.holder.split('/').next().unwrap_or_default().to_owned(),
            started_at: time(attempt.started),
            ended_at: attempt.ended.map(|(at, _)| time(at)),
            outcome: attempt.ended.map(|(_, outcome)| outcome),
            error: attempt.error.as_ref().map(Reason::stored),
            runs: runs.iter().map(Run::from).collect(),
        }
    }
}

impl From<&Ran> for Run {
    fn from(run: &Ran) -> Self {
        Self {
            program: run.program.clone(),
            args: run.args.clone(),
            stderr: run.stderr.clone(),
            fault: run.fault.clone(),
            cpu_s: seconds(run.cpu_ms),
            memory_bytes: run.memory_bytes,
            ended: run.ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_of_a_job_has_its_own_word() {
        for state in State::ALL {
            assert_eq!(STATES.iter().filter(|(_, known)| *known == state).count(), 1, "{state:?}");
            assert_eq!(serde_json::to_value(state).unwrap(), word(state));
        }
    }
}
