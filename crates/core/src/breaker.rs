//! A circuit breaker: while a place outside does not answer, one cheap question at a time is all that it is sent.
//!
//! Without it every row that waits for the place would back off by itself for hours, and nothing would move for as long
//! after the place is back.

use crate::limits::BREAKER_THROTTLED_MS;
use crate::time::Millis;

/// Whether a place is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// Everything is sent.
    Closed,
    /// Nothing is sent but one question at `probe`.
    Open {
        /// Since when.
        since: Millis,
        /// When it is asked next.
        probe: Millis,
        /// How many questions went unanswered.
        failures: u32,
    },
}

/// What became of something that was sent, as far as the place is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It answered, be it with a refusal of this one thing.
    Spoke,
    /// It cannot be reached, is broken, or does not know our key.
    Failed,
    /// It asks for peace, until then if it says so.
    Throttled(Option<Millis>),
}

impl Breaker {
    /// The state after an answer that came `now`. It is asked again `probe_ms` later at the earliest; `spread` of 0 to 65535 adds
    /// up to as much again, so that not all are asked at once.
    #[must_use]
    pub fn after(self, answer: Answer, now: Millis, (probe_ms, spread): (i64, u16)) -> Self {
        let jitter_ms = probe_ms.saturating_mul(i64::from(spread)) / i64::from(u16::MAX);
        let (since, failures) = match self {
            Self::Closed => (now, 0),
            Self::Open { since, failures, .. } => (since, failures),
        };
        let probe = match answer {
            Answer::Spoke => return Self::Closed,
            Answer::Failed => now.plus(probe_ms.saturating_add(jitter_ms)),
            // Never before the place said, whatever an older answer promised.
            Answer::Throttled(until) => {
                let until = until.unwrap_or(now.plus(BREAKER_THROTTLED_MS)).plus(jitter_ms);
                match self {
                    Self::Open { probe, .. } => until.max(probe),
                    Self::Closed => until,
                }
            }
        };
        Self::Open { since, probe, failures: failures.saturating_add(1) }
    }

    /// May something be sent `now`? While it is open only a question that costs nothing, once its time has come.
    pub fn lets(self, now: Millis, is_probe: bool) -> bool {
        match self {
            Self::Closed => true,
            Self::Open { probe, .. } => is_probe && now >= probe,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_000_000);

    #[test]
    fn a_place_that_fails_is_only_asked_whether_it_is_back() {
        let open = Breaker::Closed.after(Answer::Failed, NOW, (30_000, 0));
        assert_eq!(open, Breaker::Open { since: NOW, probe: NOW.plus(30_000), failures: 1 });
        assert!(!open.lets(NOW.plus(29_999), true));
        assert!(open.lets(NOW.plus(30_000), true));
        assert!(!open.lets(NOW.plus(30_000), false), "the work waits for an answer");
        let later = NOW.plus(30_000);
        let still = open.after(Answer::Failed, later, (30_000, u16::MAX));
        assert_eq!(still, Breaker::Open { since: NOW, probe: later.plus(60_000), failures: 2 });
        assert_eq!(still.after(Answer::Spoke, later, (30_000, 0)), Breaker::Closed);
    }

    #[test]
    fn a_place_that_asks_for_peace_gets_it() {
        let until = NOW.plus(7_000);
        let open = Breaker::Closed.after(Answer::Throttled(Some(until)), NOW, (30_000, 0));
        assert!(!open.lets(until.plus(-1), true) && open.lets(until, true));
        let unnamed = Breaker::Closed.after(Answer::Throttled(None), NOW, (30_000, 0));
        assert!(!unnamed.lets(NOW.plus(299_999), true) && unnamed.lets(NOW.plus(300_000), true));
        let sooner = unnamed.after(Answer::Throttled(Some(NOW.plus(1))), NOW, (30_000, 0));
        assert!(!sooner.lets(NOW.plus(299_999), true), "an answer that was under way shortens nothing");
    }

    #[test]
    fn a_refusal_of_one_thing_is_an_answer_of_the_place() {
        assert_eq!(Breaker::Closed.after(Answer::Spoke, NOW, (30_000, 9)), Breaker::Closed);
        assert!(Breaker::Closed.lets(NOW, false));
    }
}
