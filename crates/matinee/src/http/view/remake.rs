//! By what a video was made, and how far another generation of it is, as JSON.

use matinee_core::pipeline;
use matinee_core::remake::{self, Stand};
use matinee_core::ribbon::{self, Facts, Ribbon, Size, Work};
use matinee_core::video::{Medium, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::progress::{Progress, is_background, progress, short_side};
use super::{Reason, time};
use crate::flow::job::done;
use crate::flow::video::Whole;

/// The pipeline by which something is made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeBy {
    /// Its name.
    pub(crate) name: String,
    /// Its version; null for one of the configuration file, which has none, and before the source was examined.
    pub(crate) version: Option<u32>,
}

impl MadeBy {
    fn of(made_by: &pipeline::MadeBy) -> Self {
        Self { name: made_by.name.clone(), version: made_by.version }
    }

    /// Of what a video is now.
    pub(super) fn of_video(whole: &Whole) -> Self {
        let video = &whole.video;
        let unknown = || Self { name: video.pipeline.clone(), version: None };
        video.made_by.as_ref().map_or_else(unknown, Self::of)
    }
}

/// Another generation of a video, made while the one before plays on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Remake {
    /// `running`, `failed` or `cancelled`; one that is done is the video itself.
    state: &'static str,
    /// By which pipeline it is made.
    pipeline: MadeBy,
    /// How far it is.
    progress: Progress,
    /// Why it failed.
    reason: Option<Reason>,
    /// When it was wanted.
    started_at: String,
    /// When it failed or was cancelled.
    ended_at: Option<String>,
}

impl Remake {
    /// The last one of a video that is not what the video is.
    pub(super) fn of(whole: &Whole) -> Option<Self> {
        let remake = whole.video.remake.as_ref()?;
        let (state, reason, ended) = match &remake.stand {
            Stand::Running => ("running", None, None),
            Stand::Failed { reason, ended } => ("failed", Some(Reason::from(reason)), Some(*ended)),
            Stand::Cancelled { ended } => ("cancelled", None, Some(*ended)),
        };
        Some(Self {
            state,
            pipeline: MadeBy::of(&remake.made_by),
            progress: progress(ribbon(whole, remake)),
            reason,
            started_at: time(remake.started),
            ended_at: ended.map(time),
        })
    }
}

/// How far a remake is; that the video is there and plays is no step of it.
fn ribbon(whole: &Whole, remake: &remake::Remake) -> Ribbon {
    let made =
        whole.renditions.iter().filter(|track| track.generation == remake.generation && !track.background);
    let sizes = made.filter(|track| track.medium == Medium::Video);
    let jobs = whole.jobs.iter().filter(|job| job.generation == remake.generation && !is_background(job));
    let work = jobs.filter_map(|job| {
        let kind = job.task.as_ref()?.kind();
        Some(Work { kind, state: job.state, done: done(job) })
    });
    let mut ribbon = ribbon::ribbon(&Facts {
        state: if remake.is_running() { State::Processing } else { State::Failed },
        playable: true,
        checked: remake.found.is_some(),
        sizes: sizes.map(|track| Size { short_side: short_side(track), state: track.state }).collect(),
        work: work.collect(),
    });
    ribbon.steps.retain(|step| step.id != "received" && step.id != "playable");
    ribbon
}
