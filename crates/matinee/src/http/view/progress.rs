//! How far the work on a generation of a video is, as JSON.

use matinee_core::limits::BACKGROUND_PRIO_MIN;
use matinee_core::ribbon::{self, Facts, Progress as Stand, Ribbon, Size, Work};
use matinee_core::video::Medium;
use serde::Serialize;
use utoipa::ToSchema;

use crate::flow::job::{Job, done};
use crate::flow::video::{Rendition as Track, Whole};

/// How far the work on a video is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Progress {
    /// All of the work, from 0 to 1.
    pub(super) overall: f64,
    /// The steps in order.
    pub(super) steps: Vec<Step>,
}

/// One step of the work.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Step {
    /// `received`, `checked`, `playable`, or the short side of a picture such as `720`.
    pub(super) id: String,
    /// What a person reads.
    pub(super) label: String,
    /// `waiting`, `running`, `done` or `failed`.
    pub(super) state: &'static str,
    /// From 0 to 1.
    pub(super) progress: f64,
}

/// How far the work on a video is.
pub(crate) fn ribbon(whole: &Whole) -> Ribbon {
    let encoding = whole.video.encoding;
    let encoded = whole.renditions.iter().filter(|track| track.generation == encoding && !track.background);
    let sizes = encoded.filter(|track| track.medium == Medium::Video);
    let jobs = whole.jobs.iter().filter(|job| job.generation == encoding && !is_background(job));
    let work = jobs.filter_map(|job| {
        let kind = job.task.as_ref()?.kind();
        Some(Work { kind, state: job.state, done: done(job) })
    });
    // What a host alone has is looked at there.
    let elsewhere = whole.video.source.is_none();
    ribbon::ribbon(&Facts {
        state: whole.video.state,
        playable: whole.video.is_playable() || elsewhere && whole.video.playable.is_some(),
        checked: whole.video.probe.is_some() || elsewhere,
        sizes: sizes.map(|track| Size { short_side: short_side(track), state: track.state }).collect(),
        work: work.collect(),
    })
}

pub(super) fn short_side(track: &Track) -> u32 {
    let (width, height) = (track.shape.width.unwrap_or_default(), track.shape.height.unwrap_or_default());
    width.min(height)
}

pub(super) fn progress(ribbon: Ribbon) -> Progress {
    let steps = ribbon.steps.into_iter().map(|step| Step {
        id: step.id,
        label: step.label,
        state: match step.state {
            Stand::Waiting => "waiting",
            Stand::Running => "running",
            Stand::Done => "done",
            Stand::Failed => "failed",
        },
        progress: rounded(step.progress),
    });
    Progress { steps: steps.collect(), overall: rounded(ribbon.overall) }
}

/// A thousandth is finer than anybody sees, and keeps snapshots from differing by nothing.
pub(super) fn rounded(part: f64) -> f64 {
    (part * 1_000.0).round() / 1_000.0
}

pub(super) fn is_background(job: &Job) -> bool {
    job.prio >= BACKGROUND_PRIO_MIN
}
