//! A remake: another generation of a video that is made while the one before is served.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits::RETIRED_GENERATIONS_MAX;
use crate::pipeline::MadeBy;
use crate::time::Millis;
use crate::video::{Problem, State};

/// The last remake of a video that did not come to its end: it runs, or it failed, or nobody wanted it any more. One that
/// is done is no remake any more: it is the video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remake {
    /// The number of its generation; no number is given twice, because addresses are made of it.
    pub generation: u32,
    /// By what it is made.
    pub made_by: MadeBy,
    /// When somebody wanted it.
    pub started: Millis,
    /// Where it is.
    #[serde(flatten)]
    pub stand: Stand,
    /// What the examination of the source found; none before it, and none at the end.
    pub found: Option<Found>,
}

/// Where a remake is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Stand {
    /// Jobs of it are still to be done.
    Running,
    /// It could not be made; the generation before stays.
    Failed {
        /// Why.
        reason: Problem,
        /// When.
        ended: Millis,
    },
    /// Somebody stopped it; the generation before stays.
    Cancelled {
        /// When.
        ended: Millis,
    },
}

/// What the examination of a source found; it counts for the video when the remake is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The length in milliseconds.
    pub duration_ms: u64,
    /// What the probe said.
    pub probe: Value,
    /// What is made of the source.
    pub plan: Value,
    /// What is wrong with the source although it is accepted.
    #[serde(default)]
    pub damaged: Option<Value>,
}

impl Remake {
    /// Is it being made?
    pub fn is_running(&self) -> bool {
        self.stand == Stand::Running
    }

    /// The same remake at its end; nothing of what was found is needed any more.
    #[must_use]
    pub fn ended(&self, stand: Stand) -> Self {
        Self { stand, found: None, ..self.clone() }
    }
}

/// How a video is encoded again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Nothing of it can be watched: it is a new video once more.
    Anew {
        /// The number of its generation.
        generation: u32,
    },
    /// What there is plays on until the new generation is whole.
    Beside {
        /// The number of the new generation.
        generation: u32,
    },
}

/// What is kept of a video besides what is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The file that somebody brought in is there.
    pub source: bool,
    /// How many encoded generations are only there for those who know their addresses.
    pub retired: u32,
}

/// Why a video cannot be encoded again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is being encoded for the first time.
    #[error("This video is still being encoded; wait until it is ready, then ask again.")]
    Unfinished,
    /// Another remake runs.
    #[error("This video is being encoded again already; wait until that is done, or cancel it first.")]
    Running,
    /// There is nothing to encode.
    #[error("The file that this video came from is not kept any more, so it cannot be encoded again.")]
    SourceGone,
    /// Each one before it is kept for hours.
    #[error(
        "This video was encoded again {RETIRED_GENERATIONS_MAX} times already within some hours, and all of it is still kept for those who watch it; ask again when the oldest is gone."
    )]
    TooOften,
}

/// May a video be encoded again, and as which generation? `encoding` is the generation that counts now.
pub fn start((state, encoding): (State, u32), remake: Option<&Remake>, kept: Kept) -> Result<Start, Refusal> {
    if state == State::Processing {
        return Err(Refusal::Unfinished);
    }
    if remake.is_some_and(Remake::is_running) {
        return Err(Refusal::Running);
    }
    if !kept.source {
        return Err(Refusal::SourceGone);
    }
    if state != State::Failed && kept.retired >= RETIRED_GENERATIONS_MAX {
        return Err(Refusal::TooOften);
    }
    let generation = remake.map_or(encoding, |last| last.generation.max(encoding)).saturating_add(1);
    Ok(if state == State::Failed { Start::Anew { generation } } else { Start::Beside { generation } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{Pipeline, Template};

    const KEPT: Kept = Kept { source: true, retired: 0 };

    fn remake(generation: u32, stand: Stand) -> Remake {
        let template = Template { version: Some(3), pipeline: Pipeline::default() };
        Remake { generation, made_by: template.made_by(), started: Millis(5), stand, found: None }
    }

    #[test]
    fn a_number_is_never_given_twice() {
        let ready = |remake: Option<&Remake>| start((State::Ready, 2), remake, KEPT);
        assert_eq!(ready(None), Ok(Start::Beside { generation: 3 }));
        let cancelled = remake(3, Stand::Cancelled { ended: Millis(6) });
        assert_eq!(ready(Some(&cancelled)), Ok(Start::Beside { generation: 4 }));
        assert_eq!(start((State::Failed, 2), None, KEPT), Ok(Start::Anew { generation: 3 }));
        assert_eq!(start((State::Ready, 7), Some(&cancelled), KEPT), Ok(Start::Beside { generation: 8 }));
    }

    #[test]
    fn one_at_a_time_and_only_with_a_source() {
        let running = remake(3, Stand::Running);
        assert_eq!(start((State::Ready, 2), Some(&running), KEPT), Err(Refusal::Running));
        assert_eq!(start((State::Processing, 2), None, KEPT), Err(Refusal::Unfinished));
        assert_eq!(start((State::Ready, 2), None, Kept { source: false, ..KEPT }), Err(Refusal::SourceGone));
    }

    #[test]
    fn not_so_often_that_the_disk_fills_with_what_nobody_is_sent_to() {
        let kept = |retired| Kept { retired, ..KEPT };
        let most = RETIRED_GENERATIONS_MAX;
        assert_eq!(start((State::Ready, 9), None, kept(most - 1)), Ok(Start::Beside { generation: 10 }));
        assert_eq!(start((State::Ready, 9), None, kept(most)), Err(Refusal::TooOften));
        assert_eq!(start((State::Failed, 9), None, kept(most)), Ok(Start::Anew { generation: 10 }));
    }

    #[test]
    fn a_remake_keeps_its_meaning_as_text() {
        let reason =
            Problem { code: "crash".to_owned(), human: "It ended.".to_owned(), fix: "Again.".to_owned() };
        for stand in [Stand::Running, Stand::Failed { reason, ended: Millis(9) }] {
            let one = remake(3, stand);
            let text = serde_json::to_value(&one).unwrap();
            assert!(text["state"] == "running" || text["state"] == "failed", "{text}");
            assert_eq!(serde_json::from_value::<Remake>(text).unwrap(), one);
        }
    }
}
