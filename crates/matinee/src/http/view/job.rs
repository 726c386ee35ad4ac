//! Jobs as JSON.

use matinee_core::job::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Reason, time};
use crate::flow::job::{Job as Row, done};

/// A piece of work.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Job {
    /// The job's id.
    id: String,
    /// What it does, for example `chunk`; `unknown` when a newer release made it.
    kind: &'static str,
    /// Where it is in its life.
    #[schema(value_type = String, example = "leased")]
    state: &'static str,
    /// The video it works for.
    video_id: Option<String>,
    /// How many attempts there were.
    attempt: u32,
    /// How much of it is done, from 0 to 1.
    progress: f64,
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

/// A page of jobs, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobList {
    /// The jobs.
    pub(crate) items: Vec<Job>,
    /// What to ask for next as `before`; null at the end.
    pub(crate) next: Option<String>,
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

impl From<&Row> for Job {
    fn from(job: &Row) -> Self {
        let word = STATES.iter().find(|(_, state)| *state == job.state).map_or("unknown", |(word, _)| word);
        Self {
            id: job.id.to_string(),
            kind: job.task.as_ref().map_or("unknown", |task| task.kind().name()),
            state: word,
            video_id: job.video.map(|video| video.to_string()),
            attempt: job.attempt,
            progress: done(job),
            last_error: job.last_error.as_ref().map(Reason::stored),
            created_at: time(job.created),
            started_at: job.started.map(time),
            finished_at: job.finished.map(time),
            run_at: time(job.run_at),
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
            assert_eq!(
                serde_json::to_value(state).unwrap(),
                STATES.iter().find(|(_, s)| *s == state).unwrap().0
            );
        }
    }
}
