//! How much a job is, how far it is, and when it will be done.

use serde::{Deserialize, Serialize};

use super::{Kind, State};
use crate::hardware::Engine;
use crate::limits::SOUNDS_AT_ONCE;
use crate::time::Millis;

/// A share of this much is a base for a guess at the rest.
const SHARE_MIN: f64 = 0.05;
/// So long must a job have run for such a guess, in milliseconds: starting is slower than going on.
const RUN_MIN_MS: u64 = 2_000;

/// A shorter job is not worth a second beginning: its source may have to be fetched first. In milliseconds.
const OVERTAKE_MIN_MS: u64 = 10_000;
/// What is begun anew has to be so many times as fast as going on: estimates are off by half, and a runner that is a little
/// slower than others is still a help.
const OVERTAKE_TIMES: u64 = 3;

/// What a job is expected to need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Load {
    /// Milliseconds of one core of the machine that our figures are from; what they are here is learned. 0: not known.
    pub cost_ms: u64,
    /// Resident bytes. 0: so few that nobody counts them.
    pub memory_bytes: u64,
    /// An encoder in hardware; only who has it may do the job.
    pub engine: Option<Engine>,
}

/// The last word of a holder about how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// How much of the job is done, from 0 to 1.
    pub done: f64,
    /// Pictures that were written.
    pub frame: u64,
    /// Pictures a second.
    pub fps: f64,
    /// Seconds of the video a second.
    pub speed: f64,
}

/// What finished jobs of a kind took on a node; older ones count less and less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// How many there were.
    pub jobs: u64,
    /// What they were expected to cost, in milliseconds.
    pub cost_ms: u64,
    /// What they took, in milliseconds.
    pub took_ms: u64,
}

impl Pace {
    /// How long a job of this cost takes here; as our figures say while nothing is known. `None` for a cost of 0.
    pub fn expect_ms(self, cost_ms: u64) -> Option<u64> {
        if cost_ms == 0 {
            return None;
        }
        if self.cost_ms == 0 {
            return Some(cost_ms);
        }
        let expected = u128::from(cost_ms) * u128::from(self.took_ms) / u128::from(self.cost_ms);
        Some(u64::try_from(expected).unwrap_or(u64::MAX))
    }
}

/// How long a running job goes on: at its own pace so far, or, while that would be a guess, as it was expected to take.
pub fn left_ms(progress: Progress, ran_ms: u64, expected_ms: Option<u64>) -> Option<u64> {
    if progress.done >= SHARE_MIN && ran_ms >= RUN_MIN_MS {
        return Some(scaled(ran_ms, (1.0 - progress.done).max(0.0) / progress.done));
    }
    expected_ms.map(|expected| expected.saturating_sub(ran_ms))
}

/// Would a job that runs be done sooner if somebody else began it anew, who needs `expected_ms` for the whole of it? Only when
/// that is sure to be worth what is thrown away: it has run for longer than that already, and at its own pace would go on for
/// several times as long. Who has done nothing yet may be fetching its source, and who stands still is noticed as that.
pub fn is_far_too_slow(progress: Progress, ran_ms: u64, expected_ms: u64) -> bool {
    let whole_ms = expected_ms.max(OVERTAKE_MIN_MS);
    if ran_ms < whole_ms || progress.done <= 0.0 {
        return false;
    }
    let left_ms = scaled(ran_ms, (1.0 - progress.done).max(0.0) / progress.done);
    left_ms >= whole_ms.saturating_mul(OVERTAKE_TIMES)
}

/// A job of a video, as far as its end is looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// What it is.
    pub kind: Kind,
    /// Where it is in its life.
    pub state: State,
    /// How much of it is done, from 0 to 1.
    pub done: f64,
    /// How long the whole of it takes here, in milliseconds.
    pub expected_ms: u64,
    /// When it was claimed first.
    pub started: Option<Millis>,
}

/// When a video will be done, and how fast that goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlook {
    /// Milliseconds until nothing is left to be made.
    pub left_ms: u64,
    /// Seconds of the video that are encoded in a second; `None` until the first have been.
    pub speed: Option<f64>,
}

/// Looks ahead: `slots` jobs run at once, after `ahead_ms` of work of others. `None` when nothing is left or known.
pub fn outlook(
    shares: &[Share],
    (slots, ahead_ms): (u32, u64),
    duration_ms: u64,
    now: Millis,
) -> Option<Outlook> {
    let open = |share: &&Share| !share.state.is_over();
    let rest = |share: &Share| scaled(share.expected_ms, (1.0 - share.done).clamp(0.0, 1.0));
    // Chunks share the slots, sounds have some of their own, and what is left then follows one after the other.
    let chunks = shares.iter().filter(open).filter(|share| share.kind == Kind::Chunk);
    let chunks_ms: u64 = chunks.clone().map(rest).sum();
    let longest_ms = chunks.map(rest).max().unwrap_or_default();
    let sounds = shares.iter().filter(open).filter(|share| share.kind == Kind::Audio).map(rest);
    let sounds_at_once = u64::from(slots.clamp(1, SOUNDS_AT_ONCE));
    let sounds_ms = (sounds.clone().sum::<u64>() / sounds_at_once).max(sounds.max().unwrap_or_default());
    let after = shares.iter().filter(open).filter(|share| !matches!(share.kind, Kind::Chunk | Kind::Audio));
    let after_ms: u64 = after.map(rest).sum();
    let waits_ms = if chunks_ms > 0 { ahead_ms } else { 0 };
    let shared_ms = chunks_ms.saturating_add(waits_ms) / u64::from(slots.max(1));
    let left_ms = shared_ms.max(longest_ms).max(sounds_ms).saturating_add(after_ms);
    (left_ms > 0).then(|| Outlook { left_ms, speed: speed(shares, duration_ms, now) })
}

fn of(shares: &[Share], kind: Kind) -> impl Iterator<Item = &Share> {
    shares.iter().filter(move |share| share.kind == kind)
}

/// How much of the video is encoded for each moment since its first chunk began.
fn speed(shares: &[Share], duration_ms: u64, now: Millis) -> Option<f64> {
    let began = of(shares, Kind::Chunk).filter_map(|share| share.started).min()?;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of any video are exact in an f64")]
    let (ran_ms, duration_ms) = (now.since(began) as f64, duration_ms as f64);
    #[expect(clippy::cast_precision_loss, reason = "the same")]
    let sum = |weigh: fn(&Share) -> f64| -> f64 {
        of(shares, Kind::Chunk).map(|share| share.expected_ms as f64 * weigh(share)).sum()
    };
    let (all, done) = (sum(|_| 1.0), sum(|share| share.done));
    (ran_ms >= 1_000.0 && all > 0.0 && done > 0.0).then(|| duration_ms * done / all / ran_ms)
}

/// A number of milliseconds times a share.
fn scaled(ms: u64, by: f64) -> u64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate needs no exact number, and neither of the two is below 0"
    )]
    let scaled = (ms as f64 * by) as u64;
    scaled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(state: State, done: f64) -> Share {
        Share { kind: Kind::Chunk, state, done, expected_ms: 10_000, started: Some(Millis(0)) }
    }

    #[test]
    fn a_pace_is_that_of_our_figures_until_something_was_learned() {
        assert_eq!(Pace::default().expect_ms(500), Some(500));
        assert_eq!(Pace { jobs: 2, cost_ms: 1_000, took_ms: 4_000 }.expect_ms(500), Some(2_000));
        assert_eq!(Pace::default().expect_ms(0), None);
    }

    #[test]
    fn a_running_job_is_judged_by_itself_as_soon_as_that_is_no_guess() {
        let at = |done| Progress { done, ..Progress::default() };
        assert_eq!(left_ms(at(0.25), 5_000, Some(99)), Some(15_000));
        assert_eq!(left_ms(at(0.25), 1_999, Some(5_000)), Some(3_001), "it has only begun");
        assert_eq!(left_ms(at(0.04), 5_000, Some(9_000)), Some(4_000));
        assert_eq!(left_ms(at(0.04), 5_000, None), None);
        assert_eq!(left_ms(at(0.04), 9_000, Some(5_000)), Some(0), "late, but not in the past");
    }

    #[test]
    fn a_job_is_taken_over_only_when_that_is_sure_to_be_sooner() {
        let slow = |done, ran_ms, expected_ms| {
            is_far_too_slow(Progress { done, ..Progress::default() }, ran_ms, expected_ms)
        };
        assert!(slow(0.1, 20_000, 20_000), "nine times as long again");
        assert!(!slow(0.1, 19_999, 20_000), "it may have waited for its source");
        assert!(!slow(0.25, 20_000, 20_000 + 1), "the same");
        assert!(slow(0.25, 20_000, 20_000) && !slow(0.26, 20_000, 20_000), "three times as long again");
        assert!(!slow(0.0, 900_000, 20_000), "its source is on its way");
        assert!(!slow(0.9, 900_000, 20_000 * 2), "it will be there soon enough");
        assert!(slow(0.5, 60_000, 1_000) && !slow(0.1, 9_999, 1_000), "short jobs are given some time");
    }

    #[test]
    fn slots_share_the_chunks_of_a_video_and_what_lies_before_them() {
        let chunks = [
            chunk(State::Done, 1.0),
            chunk(State::Leased, 0.5),
            chunk(State::Ready, 0.0),
            chunk(State::Ready, 0.0),
        ];
        let left = |slots, ahead_ms| outlook(&chunks, (slots, ahead_ms), 40_000, Millis(10_000)).unwrap();
        assert_eq!(left(1, 0), Outlook { left_ms: 25_000, speed: Some(1.5) });
        assert_eq!(left(2, 0).left_ms, 12_500);
        assert_eq!(left(2, 15_000).left_ms, 20_000);
        assert_eq!(left(9, 0).left_ms, 10_000, "one chunk is never shared");
        assert_eq!(outlook(&[chunk(State::Done, 1.0)], (1, 9), 1, Millis(0)), None);
        let sounds = [Share { kind: Kind::Audio, ..chunk(State::Ready, 0.0) }; 8];
        let left = |slots| outlook(&sounds, (slots, 0), 40_000, Millis(0)).unwrap().left_ms;
        assert_eq!([left(1), left(2), left(4), left(16)], [80_000, 40_000, 20_000, 20_000]);
    }

    #[test]
    fn a_word_of_an_older_release_is_understood() {
        let old: Progress = serde_json::from_str(r#"{"done":0.5}"#).unwrap();
        assert_eq!(old, Progress { done: 0.5, ..Progress::default() });
    }
}
