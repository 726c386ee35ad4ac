//! After a failed attempt: again, again in the safe profile, or never (`transcode.md` section 11).

use serde::{Deserialize, Serialize};

use crate::job::Outcome;
use crate::limits::{
    CRASH_WAIT_MIN_MS, CRASHES_MAX, CRASHES_PLAIN_MAX, LOST_IN_A_ROW_MAX, RETRY_WAIT_MAX_MS,
    RETRY_WAIT_MIN_MS,
};
use crate::time::Millis;

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The source is not acceptable; another attempt would say the same.
    Refusal,
    /// The source is damaged in a way that the pipeline does not accept.
    Damage,
    /// ffmpeg ended by a signal, the watchdog or a failed verification.
    Crash,
    /// Disk, store or network; never counts as a failure of the media.
    World,
}

/// What happened to a job so far, counted from its attempts since the operator last wanted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tries {
    /// Attempts that ended as [`Class::Crash`].
    pub crashes: u32,
    /// Attempts that ended as [`Class::World`], in a row up to now.
    pub worlds_in_a_row: u32,
    /// Leases that ended without a word, in a row up to now.
    pub lost_in_a_row: u32,
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Run it again.
    Retry {
        /// Not before this moment.
        run_at: Millis,
        /// One decoder thread, one rendition at a time, no seeking.
        safe_profile: bool,
    },
    /// Give it up.
    Dead,
}

impl Tries {
    /// Counts the attempts that ended, the oldest first.
    pub fn count(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        let mut tries = Self::default();
        for outcome in outcomes {
            tries.add(outcome);
        }
        tries
    }

    /// Counts one more attempt that ended.
    pub const fn add(&mut self, outcome: Outcome) {
        let worlds = self.worlds_in_a_row.saturating_add(1);
        let lost = self.lost_in_a_row.saturating_add(1);
        self.worlds_in_a_row = 0;
        self.lost_in_a_row = 0;
        match outcome {
            Outcome::Failed(Class::World) => self.worlds_in_a_row = worlds,
            Outcome::Failed(Class::Crash) => self.crashes = self.crashes.saturating_add(1),
            Outcome::Lost => self.lost_in_a_row = lost,
            Outcome::Failed(Class::Refusal | Class::Damage)
            | Outcome::Done
            | Outcome::Returned
            | Outcome::Cancelled
            | Outcome::Overtaken => {}
        }
    }

    /// Judges an attempt that just failed. `self` counts the attempts before it; `jitter` is any number.
    pub const fn judge(&self, class: Class, now: Millis, jitter: u32) -> Verdict {
        match class {
            Class::Refusal | Class::Damage => Verdict::Dead,
            Class::Crash => {
                let after = Self { crashes: self.crashes.saturating_add(1), ..*self };
                if after.crash_count() > CRASHES_MAX {
                    return Verdict::Dead;
                }
                let wait_ms = CRASH_WAIT_MIN_MS + jitter as i64 % CRASH_WAIT_MIN_MS;
                Verdict::Retry { run_at: now.plus(wait_ms), safe_profile: after.safe_profile() }
            }
            Class::World => Verdict::Retry {
                run_at: now.plus(wait_ms(self.worlds_in_a_row, jitter)),
                safe_profile: self.safe_profile(),
            },
        }
    }

    /// Judges a lease that ended without a word. A job that takes its whole worker down each time looks like the
    /// world; after so many in a row it is taken as a crash of the media.
    pub const fn judge_lost(&self, now: Millis, jitter: u32) -> Verdict {
        let after = Self { lost_in_a_row: self.lost_in_a_row.saturating_add(1), ..*self };
        if after.crash_count() > CRASHES_MAX {
            return Verdict::Dead;
        }
        // A loss is most often a node that was restarted: no reason to wait, until it looks like this job's work.
        let run_at = match after.crash_count() - self.crashes {
            0 => now,
            again => now.plus(wait_ms(again, jitter)),
        };
        Verdict::Retry { run_at, safe_profile: after.safe_profile() }
    }

    /// Must the next attempt use the safe profile?
    pub const fn safe_profile(&self) -> bool {
        self.crash_count() > CRASHES_PLAIN_MAX
    }

    /// Crashes, with every lost lease from the `LOST_IN_A_ROW_MAX`th in a row on counted as one.
    const fn crash_count(&self) -> u32 {
        let lost = (self.lost_in_a_row + 1).saturating_sub(LOST_IN_A_ROW_MAX);
        self.crashes.saturating_add(lost)
    }
}

/// How long to wait after `before` failures of the same class: doubled each time, 10 s to 1 h, of which the second
/// half is jitter, so that jobs that failed together do not come back together.
const fn wait_ms(before: u32, jitter: u32) -> i64 {
    let doublings = if before > 16 { 16 } else { before };
    let wanted = RETRY_WAIT_MIN_MS << doublings;
    let full = if wanted > RETRY_WAIT_MAX_MS { RETRY_WAIT_MAX_MS } else { wanted };
    let spread = full / 4;
    let low = if full - spread < RETRY_WAIT_MIN_MS { RETRY_WAIT_MIN_MS } else { full - spread };
    low + (jitter as i64) % (full - low + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Millis = Millis(1_000_000);

    fn crashed(crashes: u32) -> Tries {
        Tries { crashes, ..Tries::default() }
    }

    #[test]
    fn a_refusal_or_damage_is_final_at_once() {
        for class in [Class::Refusal, Class::Damage] {
            assert_eq!(Tries::default().judge(class, NOW, 0), Verdict::Dead);
        }
    }

    #[test]
    fn a_crash_is_repeated_once_as_it_was_then_once_in_the_safe_profile() {
        let profile = |crashes| match crashed(crashes).judge(Class::Crash, NOW, 0) {
            Verdict::Retry { safe_profile, .. } => Some(safe_profile),
            Verdict::Dead => None,
        };
        assert_eq!([profile(0), profile(1), profile(2)], [Some(false), Some(true), None]);
        for jitter in [0, 999, u32::MAX] {
            let Verdict::Retry { run_at, .. } = crashed(1).judge(Class::Crash, NOW, jitter) else { panic!() };
            assert!((1_000..2_000).contains(&run_at.since(NOW)), "people wait for it: {run_at:?}");
        }
    }

    #[test]
    fn a_job_that_kills_its_worker_each_time_ends() {
        let mut tries = Tries::default();
        let mut seen = Vec::new();
        while let Verdict::Retry { safe_profile, .. } = tries.judge_lost(NOW, 0) {
            seen.push(safe_profile);
            tries.lost_in_a_row += 1;
        }
        assert_eq!(seen, [false, false, false, false, false, true], "five as they were, one safe, then dead");
    }

    #[test]
    fn any_word_from_the_holder_ends_a_row_of_losses() {
        let lost = Tries::count([Outcome::Lost, Outcome::Lost]);
        assert_eq!(lost.lost_in_a_row, 2);
        let spoke = Tries::count([Outcome::Lost, Outcome::Returned, Outcome::Failed(Class::Crash)]);
        assert_eq!(spoke, crashed(1));
    }

    proptest! {
        #[test]
        fn the_world_is_tried_for_ever_between_10_s_and_1_h_apart(worlds: u32, jitter: u32) {
            let tries = Tries { worlds_in_a_row: worlds, ..Tries::default() };
            let Verdict::Retry { run_at, safe_profile: false } = tries.judge(Class::World, NOW, jitter) else {
                return Err(TestCaseError::fail("the world must never kill a job"));
            };
            prop_assert!((10_000..=3_600_000).contains(&run_at.since(NOW)));
        }
    }
}
