//! How much work waits for machines that somebody starts when there is some, and when that is worth telling.

use serde::{Deserialize, Serialize};

use super::{Kind, State};

/// Jobs that runners could do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Demand {
    /// They could begin now.
    pub waiting: u64,
    /// Somebody does them.
    pub running: u64,
}

impl Demand {
    /// What these jobs, so many of a kind in a state, ask for.
    pub fn of(counts: impl IntoIterator<Item = (Kind, State, u64)>) -> Self {
        let mut demand = Self::default();
        for (_, state, jobs) in counts.into_iter().filter(|(kind, ..)| kind.is_for_runners()) {
            match state {
                State::Ready => demand.waiting += jobs,
                State::Leased => demand.running += jobs,
                State::Blocked | State::Done | State::Dead | State::Cancelled => {}
            }
        }
        demand
    }

    /// Is it another order of size than what was told last, or the first work after none, or none after some? Each chunk that
    /// ends would be news otherwise, and a thousand of them change nothing for who starts machines.
    pub fn is_news(self, last: Option<Self>) -> bool {
        let size = |demand: Self| (demand.waiting.saturating_add(1).ilog2(), demand == Self::default());
        size(self) != size(last.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_runners_can_do_now_is_counted() {
        let counts = [
            (Kind::Chunk, State::Ready, 5),
            (Kind::Audio, State::Ready, 2),
            (Kind::Chunk, State::Leased, 3),
            (Kind::Chunk, State::Blocked, 100),
            (Kind::Chunk, State::Dead, 100),
            (Kind::Probe, State::Ready, 100),
        ];
        assert_eq!(Demand::of(counts), Demand { waiting: 7, running: 3 });
    }

    #[test]
    fn it_is_told_when_work_begins_doubles_halves_and_ends() {
        let demand = |waiting, running| Demand { waiting, running };
        for (last, now, news) in [
            (None, demand(0, 0), false),
            (None, demand(1, 0), true),
            (None, demand(0, 1), true),
            (Some(demand(1, 0)), demand(2, 0), false),
            (Some(demand(1, 0)), demand(3, 0), true),
            (Some(demand(100, 1)), demand(110, 9), false),
            (Some(demand(100, 1)), demand(60, 9), true),
            (Some(demand(1, 1)), demand(0, 2), true),
            (Some(demand(0, 2)), demand(0, 1), false),
            (Some(demand(0, 2)), demand(0, 0), true),
            (Some(demand(0, 0)), demand(0, 0), false),
            (Some(demand(u64::MAX, 0)), demand(u64::MAX, 0), false),
        ] {
            assert_eq!(now.is_news(last), news, "{last:?} {now:?}");
        }
    }
}
