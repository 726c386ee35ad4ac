//! How many requests a place outside allows: a token bucket, a part of which is kept for what a person waits for.

use crate::time::Millis;

/// What a place allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// So many requests at once after a rest.
    pub burst: u32,
    /// So many within each `per_ms` in the long run.
    pub requests: u32,
    /// The span in milliseconds.
    pub per_ms: u32,
    /// So many of `burst` are only for what a person waits for.
    pub kept: u32,
}

/// What is left, in thousandths of a request, at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Thousandths of a request.
    pub milli: u64,
    /// The moment.
    pub at: Millis,
}

/// Who wants to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// A person waits.
    Person,
    /// Work that can wait.
    Work,
}

impl Left {
    /// After a rest.
    pub fn full(rate: Rate, at: Millis) -> Self {
        Self { milli: u64::from(rate.burst) * 1_000, at }
    }

    /// Takes one request at `now`; else says how many milliseconds to wait for it. A clock that went back gives nothing.
    pub fn take(self, rate: Rate, urgency: Urgency, now: Millis) -> Result<Self, u64> {
        let passed_ms = u64::try_from(now.0.saturating_sub(self.at.0)).unwrap_or_default();
        let per_ms = u64::from(rate.per_ms.max(1));
        let gained = passed_ms.saturating_mul(u64::from(rate.requests) * 1_000) / per_ms;
        let milli = self.milli.saturating_add(gained).min(u64::from(rate.burst) * 1_000);
        let floor = match urgency {
            Urgency::Person => 0,
            Urgency::Work => u64::from(rate.kept) * 1_000,
        };
        let needed = floor + 1_000;
        if milli >= needed {
            return Ok(Self { milli: milli - 1_000, at: now.max(self.at) });
        }
        let each = (u64::from(rate.requests) * 1_000).max(1);
        Err(((needed - milli) * per_ms).div_ceil(each))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: Rate = Rate { burst: 5, requests: 4, per_ms: 1_000, kept: 2 };

    #[test]
    fn work_leaves_a_part_for_those_who_wait() {
        let mut left = Left::full(RATE, Millis(0));
        for _ in 0..3 {
            left = left.take(RATE, Urgency::Work, Millis(0)).unwrap();
        }
        assert_eq!(left.take(RATE, Urgency::Work, Millis(0)), Err(250));
        assert!(left.take(RATE, Urgency::Person, Millis(0)).is_ok());
        assert!(left.take(RATE, Urgency::Work, Millis(250)).is_ok());
        assert!(
            left.take(RATE, Urgency::Work, Millis(-9_000)).is_err(),
            "a clock that went back gives nothing"
        );
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_the_burst(steps in proptest::collection::vec(0_i64..400, 1..200)) {
            let (mut left, mut now, mut sent) = (Left::full(RATE, Millis(0)), 0, 0_i64);
            for step in steps {
                now += step;
                if let Ok(after) = left.take(RATE, Urgency::Person, Millis(now)) {
                    left = after;
                    sent += 1;
                }
                prop_assert!(sent <= 5 + now * 4 / 1_000 + 1);
            }
        }

        #[test]
        fn who_waits_as_long_as_was_said_may_send(milli in 0_u64..6_000, work in any::<bool>()) {
            let left = Left { milli, at: Millis(0) };
            let urgency = if work { Urgency::Work } else { Urgency::Person };
            if let Err(wait_ms) = left.take(RATE, urgency, Millis(0)) {
                let then = Millis(i64::try_from(wait_ms).unwrap());
                prop_assert!(left.take(RATE, urgency, then).is_ok());
            }
        }
    }
}
