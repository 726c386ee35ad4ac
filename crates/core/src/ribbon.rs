//! The ribbon: where a video is on its way from its bytes to its last rendition, as people see it.

use serde::Serialize;

use crate::job::{Kind, State};
use crate::video;

/// One step of the ribbon.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// `received`, `checked`, `playable`, or the short side of a rendition such as `720`.
    pub id: String,
    /// What a person reads.
    pub label: String,
    /// Where the step is.
    pub state: Progress,
    /// From 0 to 1.
    pub progress: f64,
}

/// Where a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// It has not begun.
    Waiting,
    /// It is being done.
    Running,
    /// It is done.
    Done,
    /// It will not be done.
    Failed,
}

/// A job as far as progress is concerned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// What it does.
    pub kind: Kind,
    /// Where it is.
    pub state: State,
    /// From 0 to 1, of the running attempt.
    pub done: f64,
}

/// A picture rendition as far as progress is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// The shorter side in pixels.
    pub short_side: u32,
    /// Where it is.
    pub state: video::RenditionState,
}

/// What is known of a video.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Where the video is.
    pub state: video::State,
    /// Somebody could watch it now.
    pub playable: bool,
    /// The probe has been published.
    pub checked: bool,
    /// Its picture renditions in any order.
    pub sizes: Vec<Size>,
    /// Its jobs in any order.
    pub work: Vec<Work>,
}

/// All of a video's progress.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ribbon {
    /// From 0 to 1; chunks and sound are nearly all of the work.
    pub overall: f64,
    /// The steps in order.
    pub steps: Vec<Step>,
}

/// The ribbon of a video whose bytes have all arrived.
pub fn ribbon(facts: &Facts) -> Ribbon {
    let failed = facts.state == video::State::Failed;
    let encoded = share(&facts.work, |kind| matches!(kind, Kind::Chunk | Kind::Audio));
    let running = |begun: bool| match (failed, begun) {
        // The step that was being done is the one that failed; those behind it never began.
        (true, true) => Progress::Failed,
        (false, true) => Progress::Running,
        (_, false) => Progress::Waiting,
    };
    let plain = |id: &str, label: &str, done: bool, begun: bool| Step {
        id: id.to_owned(),
        label: label.to_owned(),
        state: if done { Progress::Done } else { running(begun) },
        progress: f64::from(u8::from(done)),
    };
    let mut steps = vec![
        plain("received", "Received", true, true),
        plain("checked", "Checked", facts.checked, true),
        plain("playable", "Playable", facts.playable, facts.checked),
    ];
    let mut sizes = facts.sizes.clone();
    sizes.sort_by_key(|size| size.short_side);
    steps.extend(sizes.iter().map(|size| {
        let (state, progress) = match size.state {
            video::RenditionState::Ready => (Progress::Done, 1.0),
            video::RenditionState::Failed => (Progress::Failed, 0.0),
            video::RenditionState::Encoding | video::RenditionState::Waiting => {
                (running(encoded > 0.0), encoded.min(0.99))
            }
        };
        Step { id: size.short_side.to_string(), label: size.short_side.to_string(), state, progress }
    }));
    let overall = match facts.state {
        video::State::Ready => 1.0,
        video::State::Processing | video::State::Failed => {
            let assembled = share(&facts.work, |kind| matches!(kind, Kind::Assemble | Kind::Finish));
            0.02 * f64::from(u8::from(facts.checked)) + 0.93 * encoded + 0.05 * assembled
        }
    };
    Ribbon { overall: overall.clamp(0.0, 1.0), steps }
}

/// How much of the work of some kinds is done, from 0 to 1.
fn share(work: &[Work], of: impl Fn(Kind) -> bool) -> f64 {
    let wanted = || work.iter().filter(|work| of(work.kind));
    let done = wanted().map(|work| match work.state {
        State::Done => 1.0,
        State::Leased => work.done.clamp(0.0, 1.0),
        State::Blocked | State::Ready | State::Dead | State::Cancelled => 0.0,
    });
    let all = u32::try_from(wanted().count()).unwrap_or(u32::MAX);
    if all == 0 { 0.0 } else { done.sum::<f64>() / f64::from(all) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::RenditionState;

    fn facts() -> Facts {
        let work = |kind, state, done| Work { kind, state, done };
        Facts {
            state: video::State::Processing,
            playable: true,
            checked: true,
            sizes: vec![
                Size { short_side: 720, state: RenditionState::Encoding },
                Size { short_side: 360, state: RenditionState::Ready },
            ],
            work: vec![
                work(Kind::Chunk, State::Done, 0.0),
                work(Kind::Chunk, State::Leased, 0.5),
                work(Kind::Audio, State::Ready, 0.0),
            ],
        }
    }

    fn told(ribbon: &Ribbon) -> Vec<(String, Progress)> {
        ribbon.steps.iter().map(|step| (step.id.clone(), step.state)).collect()
    }

    #[test]
    fn steps_stand_in_the_order_in_which_they_happen() {
        let ribbon = ribbon(&facts());
        let ids: Vec<_> = told(&ribbon).into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, ["received", "checked", "playable", "360", "720"]);
        assert_eq!(ribbon.steps[4].state, Progress::Running);
        assert!((ribbon.steps[4].progress - 0.5).abs() < 1e-9, "one and a half of three jobs");
        assert!(ribbon.overall > 0.4 && ribbon.overall < 0.6);
    }

    #[test]
    fn a_failed_video_runs_nowhere() {
        let failed = Facts { state: video::State::Failed, playable: false, checked: false, ..facts() };
        let told = told(&ribbon(&failed));
        assert_eq!(told[1].1, Progress::Failed);
        assert!(told.iter().all(|(_, state)| *state != Progress::Running));
    }

    #[test]
    fn a_ready_video_is_whole() {
        let ready = Facts { state: video::State::Ready, work: vec![], ..facts() };
        assert!((ribbon(&ready).overall - 1.0).abs() < 1e-9);
    }
}
