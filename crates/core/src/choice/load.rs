//! How much our own delivery carries: one sample each second, busy at once when it is too much, calm again only after a while.

use crate::time::Millis;

/// So many samples are looked at, one a second: a place that is crowded now is left within 5 s.
const SAMPLES: usize = 5;
/// Above this share of the capacity new viewers are sent elsewhere: what is there already still grows, and players buffer in
/// bursts.
const BUSY_SHARE: f64 = 0.7;
/// Below this share it is calm: the viewers who left must not fill it at once when they come back.
const CALM_SHARE: f64 = 0.5;

/// What our own delivery can carry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// Mbit/s.
    pub capacity_mbit: f64,
    /// It must have been calm for so long before new viewers come back.
    pub calm_ms: i64,
}

/// Whether new viewers are sent there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// They are.
    Calm,
    /// They are not.
    Busy {
        /// Since when it carries little enough, if it does.
        calm_since: Option<Millis>,
    },
}

/// What our own delivery carries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Mbit/s of the last seconds, the newest first.
    samples: [f64; SAMPLES],
    state: State,
}

impl Default for Load {
    fn default() -> Self {
        Self { samples: [0.0; SAMPLES], state: State::Calm }
    }
}

impl Load {
    /// The load after another second in which so much went out.
    #[must_use]
    pub fn after(self, mbit: f64, link: Link, now: Millis) -> Self {
        let mut samples = self.samples;
        samples.rotate_right(1);
        samples[0] = mbit;
        let used = high(samples);
        let state = match self.state {
            _ if used > BUSY_SHARE * link.capacity_mbit => State::Busy { calm_since: None },
            State::Calm => State::Calm,
            State::Busy { .. } if used >= CALM_SHARE * link.capacity_mbit => State::Busy { calm_since: None },
            State::Busy { calm_since: Some(since) } if now.since(since) >= link.calm_ms => State::Calm,
            State::Busy { calm_since } => State::Busy { calm_since: calm_since.or(Some(now)) },
        };
        Self { samples, state }
    }

    /// What it carries now: the 95th percentile of the last seconds.
    pub fn used_mbit(&self) -> f64 {
        high(self.samples)
    }

    /// Are new viewers sent there?
    pub const fn state(&self) -> State {
        self.state
    }
}

/// The 95th percentile by the nearest rank; of so few samples it is the greatest.
fn high(samples: [f64; SAMPLES]) -> f64 {
    samples.into_iter().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINK: Link = Link { capacity_mbit: 100.0, calm_ms: 30_000 };

    fn at(second: usize) -> Millis {
        Millis(i64::try_from(second).unwrap() * 1_000)
    }

    /// The states after each sample.
    fn states(samples: &[f64]) -> Vec<bool> {
        let mut load = Load::default();
        let step = |(second, mbit): (usize, &f64)| {
            load = load.after(*mbit, LINK, at(second));
            load.state() == State::Calm
        };
        samples.iter().enumerate().map(step).collect()
    }

    #[test]
    fn it_is_busy_within_a_second_and_calm_only_after_a_while() {
        let mut samples = vec![10.0, 70.0, 70.1];
        samples.extend([49.0; 60]);
        let calm = states(&samples);
        assert_eq!(calm[..3], [true, true, false], "exactly the share is not above it");
        // The crowded second is looked at for five seconds, and then calm counts from the first one without it.
        let back = calm.iter().skip(3).position(|calm| *calm).unwrap() + 3;
        assert_eq!(back, 2 + SAMPLES + 30);
        assert!(calm[back..].iter().all(|calm| *calm));
    }

    #[test]
    fn between_the_marks_it_stays_what_it_was() {
        assert!(states(&[60.0; 100]).iter().all(|calm| *calm));
        let mut samples = vec![71.0];
        samples.extend([60.0; 100]);
        assert!(states(&samples).iter().all(|calm| !calm));
    }

    proptest! {
        /// Whatever goes out, it does not flap: between a change to busy and the next to calm there is at least the calm time.
        #[test]
        fn it_never_flaps(samples in proptest::collection::vec(0.0..140.0_f64, 1..300)) {
            let states = states(&samples);
            let mut busy_since = None;
            for (second, calm) in states.iter().enumerate() {
                match (busy_since, calm) {
                    (None, false) => busy_since = Some(second),
                    (Some(since), true) => {
                        prop_assert!(second - since >= 30, "{since} to {second}");
                        busy_since = None;
                    }
                    (None, true) | (Some(_), false) => {}
                }
            }
        }

        /// Too much for a second is never overlooked.
        #[test]
        fn too_much_is_seen_at_once(samples in proptest::collection::vec(0.0..140.0_f64, 1..50)) {
            for (mbit, calm) in samples.iter().zip(states(&samples)) {
                prop_assert!(*mbit <= 70.0 || !calm);
            }
        }
    }
}
