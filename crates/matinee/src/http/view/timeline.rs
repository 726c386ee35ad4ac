//! What happened to a video, as JSON with a sentence for each thing.

use std::collections::HashMap;

use matinee_core::event::Topic;
use matinee_core::id::JobId;
use matinee_core::job::Kind;
use serde::Serialize;
use utoipa::ToSchema;

use super::person::{Standing, of_job, of_topic};
use super::time;
use crate::flow::job::done;
use crate::flow::video::{History, Moment};

/// One thing that happened.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Item {
    /// When it happened, or began, as RFC 3339 text.
    at: String,
    /// When it ended; null for an event, and for work that still runs.
    ended_at: Option<String>,
    /// `event` or `job`.
    kind: &'static str,
    /// The topic of the event, or the kind of the job.
    name: String,
    /// One sentence for a person.
    human: String,
    /// How the work ended: `done`, `lost`, `returned`, `cancelled`, or the class of the failure.
    outcome: Option<String>,
    /// The number of the attempt, from 1.
    attempt: Option<u32>,
    /// How much of the work is done, from 0 to 1; null for an event.
    progress: Option<f64>,
}

/// All that happened to a video, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Timeline {
    /// The things.
    items: Vec<Item>,
}

impl From<History> for Timeline {
    fn from(history: History) -> Self {
        let running: HashMap<JobId, f64> = history.jobs.iter().map(|job| (job.id, done(job))).collect();
        Self { items: history.moments.into_iter().map(|moment| item(moment, &running)).collect() }
    }
}

fn item(moment: Moment, running: &HashMap<JobId, f64>) -> Item {
    match moment {
        Moment::Event { at, topic, subject: _, payload: _ } => Item {
            at: time(at),
            ended_at: None,
            kind: "event",
            human: Topic::ALL.iter().find(|known| known.name() == topic).map_or_else(
                || format!("Something happened that this release does not know: {topic}."),
                |known| of_topic(*known).to_owned(),
            ),
            name: topic,
            outcome: None,
            attempt: None,
            progress: None,
        },
        Moment::Attempt { at, job, kind, attempt, holder: _, ended, outcome, error } => {
            let standing = Standing::of(outcome.as_deref());
            let mut human = Kind::ALL.into_iter().find(|known| known.name() == kind).map_or_else(
                || format!("Work was done that this release does not know: {kind}."),
                |known| of_job(known, attempt, standing),
            );
            let cause = error.as_ref().and_then(|error| error.get("human")).and_then(|human| human.as_str());
            if let Some(cause) = cause.filter(|_| standing == Standing::Failed) {
                human.push(' ');
                human.push_str(cause);
            }
            let progress = match standing {
                Standing::Done => 1.0,
                Standing::Running => running.get(&job).copied().unwrap_or_default(),
                Standing::Interrupted | Standing::Cancelled | Standing::Failed => 0.0,
            };
            Item {
                at: time(at),
                ended_at: ended.map(time),
                kind: "job",
                name: kind,
                human,
                outcome,
                attempt: Some(attempt),
                progress: Some(progress),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use matinee_core::time::Millis;
    use serde_json::json;

    fn attempt(outcome: Option<&str>, error: Option<serde_json::Value>) -> Moment {
        Moment::Attempt {
            at: Millis(0),
            job: JobId::from_bits(1),
            kind: "chunk".to_owned(),
            attempt: 2,
            holder: "a/1".to_owned(),
            ended: outcome.map(|_| Millis(1_500)),
            outcome: outcome.map(str::to_owned),
            error,
        }
    }

    #[test]
    fn a_failure_says_its_cause() {
        let item = item(attempt(Some("crash"), Some(json!({ "human": "It crashed." }))), &HashMap::new());
        let human = "A piece of the picture could not be encoded in every size (attempt 2). It crashed.";
        assert_eq!(item.human, human);
        assert_eq!(item.ended_at.as_deref(), Some("1970-01-01T00:00:01.500Z"));
    }

    #[test]
    fn running_work_shows_how_far_it_is() {
        let running = HashMap::from([(JobId::from_bits(1), 0.25)]);
        assert_eq!(item(attempt(None, None), &running).progress, Some(0.25));
        assert_eq!(item(attempt(Some("done"), None), &running).progress, Some(1.0));
    }
}
