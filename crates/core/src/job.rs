//! What a job is, and which of its moves are allowed.

pub mod demand;
mod kind;
pub mod load;
pub mod retry;
pub mod wait;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::kind::Kind;
use crate::arrival::Place;
use crate::id::{AppId, CollectionId, EntryId, JobId, RenditionId, VideoId};
use crate::time::Millis;

/// What a job has to do: its kind with the arguments.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Task {
    /// Fetches the source from its address, which its `pull` row knows.
    Fetch {
        /// The video that it will become.
        video: VideoId,
    },
    /// Joins the parts of an upload to its source.
    Join {
        /// The video.
        video: VideoId,
    },
    /// Brings in an original from outside; its upload becomes the video.
    Take {
        /// The video that it will be.
        video: VideoId,
        /// Where it lies.
        from: Place,
    },
    /// Looks at the source and makes the plan.
    Probe {
        /// The video.
        video: VideoId,
    },
    /// Rewrites a source that cannot be seeked.
    Remux {
        /// The video.
        video: VideoId,
    },
    /// Encodes one audio track.
    Audio {
        /// The video.
        video: VideoId,
        /// The number of the track in the plan, from 0.
        track: u32,
    },
    /// Encodes one chunk in all renditions.
    Chunk {
        /// The video.
        video: VideoId,
        /// The number of the chunk, from 0.
        chunk: u32,
        /// Which renditions: 0 is the ladder, the others are families of the background.
        #[serde(default, skip_serializing_if = "is_zero")]
        family: u32,
    },
    /// Makes the poster.
    Poster {
        /// The video.
        video: VideoId,
    },
    /// Converts the subtitles of the source.
    Subtitles {
        /// The video.
        video: VideoId,
    },
    /// Makes the sheets for finding a place, and the preview.
    Storyboard {
        /// The video.
        video: VideoId,
    },
    /// Joins the chunks of a rendition.
    Assemble {
        /// The video.
        video: VideoId,
        /// The rendition whose file is written.
        rendition: RenditionId,
    },
    /// Copies the file of a rendition into WebM.
    Webm {
        /// The video.
        video: VideoId,
        /// The rendition, whole and in VP9.
        rendition: RenditionId,
    },
    /// Declares the video ready.
    Finish {
        /// The video.
        video: VideoId,
        /// Nothing is left to be made in the background, either.
        #[serde(default, skip_serializing_if = "is_false")]
        background: bool,
    },
    /// Calls an address that the pipeline names.
    Step {
        /// The video.
        video: VideoId,
        /// The number of the step in the pipeline, from 0.
        step: u32,
    },
    /// Makes the video at a host and sends it there.
    Publish {
        /// The video.
        video: VideoId,
        /// The host by its name in the configuration.
        host: String,
    },
    /// Empties an app or a collection that is being deleted.
    Erase {
        /// The app.
        app: AppId,
        /// The collection; all of them when the app itself goes.
        collection: Option<CollectionId>,
    },
    /// Makes one copy of an object. Its row knows which, and whether anybody still wants it.
    Copy {
        /// The copy, by its ledger entry.
        replica: EntryId,
        /// The store that gets it.
        store: String,
    },
}

impl Task {
    /// The kind of this task.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Fetch { .. } => Kind::Fetch,
            Self::Join { .. } => Kind::Join,
            Self::Take { .. } => Kind::Take,
            Self::Probe { .. } => Kind::Probe,
            Self::Remux { .. } => Kind::Remux,
            Self::Audio { .. } => Kind::Audio,
            Self::Chunk { .. } => Kind::Chunk,
            Self::Poster { .. } => Kind::Poster,
            Self::Subtitles { .. } => Kind::Subtitles,
            Self::Storyboard { .. } => Kind::Storyboard,
            Self::Assemble { .. } => Kind::Assemble,
            Self::Webm { .. } => Kind::Webm,
            Self::Finish { .. } => Kind::Finish,
            Self::Step { .. } => Kind::Step,
            Self::Publish { .. } => Kind::Publish,
            Self::Erase { .. } => Kind::Erase,
            Self::Copy { .. } => Kind::Copy,
        }
    }

    /// Does it look at the source before anything is known of it?
    pub const fn is_first_look(&self) -> bool {
        matches!(self, Self::Probe { .. } | Self::Remux { .. })
    }

    /// Does it encode a piece of the ladder that everybody waits for?
    pub const fn is_ladder(&self) -> bool {
        matches!(self, Self::Chunk { family: 0, .. })
    }

    /// The video that this task works for, if it is one.
    pub const fn video(&self) -> Option<VideoId> {
        match *self {
            Self::Fetch { video }
            | Self::Join { video }
            | Self::Take { video, .. }
            | Self::Probe { video }
            | Self::Remux { video }
            | Self::Audio { video, .. }
            | Self::Chunk { video, .. }
            | Self::Poster { video }
            | Self::Subtitles { video }
            | Self::Storyboard { video }
            | Self::Assemble { video, .. }
            | Self::Webm { video, .. }
            | Self::Finish { video, .. }
            | Self::Step { video, .. }
            | Self::Publish { video, .. } => Some(video),
            // A copy outlives whatever happens to the work for its video.
            Self::Erase { .. } | Self::Copy { .. } => None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for other jobs.
    Blocked,
    /// May be claimed from its `run_at` on.
    Ready,
    /// Somebody works on it.
    Leased,
    /// Finished with success.
    Done,
    /// Given up, with its error; the operator may run it again.
    Dead,
    /// Nobody wants it any more.
    Cancelled,
}

impl State {
    /// All states, in the order of a life.
    pub const ALL: [Self; 6] =
        [Self::Blocked, Self::Ready, Self::Leased, Self::Done, Self::Dead, Self::Cancelled];

    /// The state after `moved`, or `None` when this move is not allowed from here.
    pub const fn after(self, moved: Move) -> Option<Self> {
        match (self, moved) {
            (Self::Blocked, Move::Unblock)
            | (Self::Leased, Move::Repeat | Move::Lose)
            | (Self::Dead, Move::Retry) => Some(Self::Ready),
            (Self::Ready, Move::Claim) => Some(Self::Leased),
            (Self::Leased, Move::Complete) => Some(Self::Done),
            (Self::Leased, Move::GiveUp) | (Self::Blocked, Move::ParentDied) => Some(Self::Dead),
            (Self::Dead, Move::RetryParent) => Some(Self::Blocked),
            (Self::Blocked | Self::Ready, Move::Cancel)
            | (Self::Blocked, Move::ParentCancelled)
            | (Self::Leased, Move::ConfirmCancel) => Some(Self::Cancelled),
            (Self::Blocked | Self::Ready | Self::Leased | Self::Done | Self::Dead | Self::Cancelled, _) => {
                None
            }
        }
    }

    /// Does a job in this state never move again by itself?
    pub const fn is_over(self) -> bool {
        match self {
            Self::Done | Self::Dead | Self::Cancelled => true,
            Self::Blocked | Self::Ready | Self::Leased => false,
        }
    }
}

/// What can happen to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Move {
    /// The last job that it waited for is done, or died without harm.
    Unblock,
    /// A holder took it.
    Claim,
    /// The holder finished it.
    Complete,
    /// The attempt failed and there will be another.
    Repeat,
    /// The lease ended without a word, or the holder gave it back.
    Lose,
    /// The attempt failed and there will be no other.
    GiveUp,
    /// A job that it needs is dead, and the edge says kill.
    ParentDied,
    /// A job that it needs was cancelled, and the edge says kill.
    ParentCancelled,
    /// The operator wants it again.
    Retry,
    /// The operator wants the job again whose death killed this one.
    RetryParent,
    /// Nobody wants it any more.
    Cancel,
    /// The holder of an unwanted job stopped, or its lease ended.
    ConfirmCancel,
}

/// The right to work on a job: valid until it ends, is lost or is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// The fencing number; it only ever grows.
    pub attempt: u32,
    /// Random, new at every claim.
    pub token: [u8; 16],
}

/// What the death of a needed job does to the one that waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnDeath {
    /// The waiting job cannot do without it and dies, too (or is cancelled when the needed one was).
    Kill,
    /// The waiting job no longer waits for it.
    Release,
}

/// A job to insert. In `prio` and `weight` the lower number goes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Its name.
    pub id: JobId,
    /// The app that pays for it.
    pub app: AppId,
    /// The video it works for, if it is one.
    pub video: Option<VideoId>,
    /// What to do.
    pub task: Task,
    /// Lower goes first inside an app.
    pub prio: i64,
    /// Order among equal `prio`: chunks of the ramp first, then short videos; lower goes first.
    pub weight: i64,
    /// Not before this moment.
    pub run_at: Millis,
    /// The jobs that must be over before, and what their death means.
    pub needs: Vec<(JobId, OnDeath)>,
    /// What it is expected to need.
    pub load: load::Load,
    /// A second job with the same key is refused.
    pub idem_key: Option<String>,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The job is done.
    Done,
    /// The lease ended without a word from the holder.
    Lost,
    /// The holder gave the job back unfinished, for example because it stops.
    Returned,
    /// The job was cancelled meanwhile.
    Cancelled,
    /// Another holder began it anew, because this one was far too slow.
    Overtaken,
    /// It failed, with this class of error.
    #[serde(untagged)]
    Failed(retry::Class),
}

/// One attempt, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// The fencing number.
    pub attempt: u32,
    /// Node and run that held it.
    pub holder: String,
    /// When it began.
    pub started: Millis,
    /// When and how it ended; `None` while it runs.
    pub ended: Option<(Millis, Outcome)>,
    /// What was wrong, for a failed attempt.
    pub error: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_is_over_leaves_only_by_a_retry() {
        let moves = [
            Move::Unblock,
            Move::Claim,
            Move::Complete,
            Move::Repeat,
            Move::Lose,
            Move::GiveUp,
            Move::ParentDied,
            Move::ParentCancelled,
            Move::Cancel,
            Move::ConfirmCancel,
        ];
        for state in State::ALL.into_iter().filter(|state| state.is_over()) {
            for moved in moves {
                assert_eq!(state.after(moved), None, "{state:?} {moved:?}");
            }
        }
        assert_eq!(State::Dead.after(Move::Retry), Some(State::Ready));
        assert_eq!(State::Done.after(Move::Retry), None);
    }

    #[test]
    fn a_task_keeps_its_meaning_as_text() {
        let (video, chunk) = (VideoId::from_bits(5), 7);
        for (task, keys) in [
            (Task::Chunk { video, chunk, family: 0 }, 3),
            (Task::Chunk { video, chunk, family: 2 }, 4),
            (Task::Finish { video, background: false }, 2),
            (Task::Finish { video, background: true }, 3),
        ] {
            let text = serde_json::to_value(&task).unwrap();
            assert_eq!(text["kind"], task.kind().name());
            assert_eq!(text.as_object().unwrap().len(), keys, "the text of earlier releases stays: {text}");
            assert_eq!(serde_json::from_value::<Task>(text).unwrap(), task);
        }
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
