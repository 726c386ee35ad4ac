//! Which place a viewer is sent to: the cheapest that has the video, is well and has room; and where to go when it fails.
//!
//! Storage is paid already where a copy is, so only what the delivery costs counts. Nobody is moved for little: who plays stays
//! where they play while that works, and a video stays where it was until another place saves a fifth.

mod load;

use crate::time::Millis;

pub use self::load::{Link, Load, State};

/// A place is left for one that costs less than this share of it.
const STAYS_ABOVE: f64 = 0.8;

/// A place that may have the video.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its name.
    pub place: String,
    /// What an hour delivered from there costs, in one money for all; none when nobody has said.
    pub hour_cost: Option<f64>,
    /// Why nobody new is sent there.
    pub bar: Option<Bar>,
}

/// Why nobody new is sent to a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bar {
    /// It has no copy of the video.
    Absent,
    /// It is still being made there.
    Unready,
    /// It does not answer.
    Away {
        /// Since when.
        since: Millis,
    },
    /// It delivers so much that new viewers are sent elsewhere until it has been calm for a while.
    Busy {
        /// What it delivers, in Mbit/s.
        used_mbit: f64,
        /// What it can deliver.
        capacity_mbit: f64,
    },
    /// This viewer would be one too many.
    Full {
        /// What it delivers, in Mbit/s.
        used_mbit: f64,
        /// What this viewer would need.
        needed_mbit: f64,
        /// What it can deliver.
        capacity_mbit: f64,
    },
}

impl Bar {
    /// Can the video be played there all the same? A crowded place is better than none.
    const fn plays(&self) -> bool {
        match self {
            Self::Absent | Self::Unready => false,
            Self::Away { .. } | Self::Busy { .. } | Self::Full { .. } => true,
        }
    }

    /// Does it keep out only those who are not there yet?
    const fn is_for_newcomers(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Full { .. } => true,
            Self::Absent | Self::Unready | Self::Away { .. } => false,
        }
    }
}

/// Where somebody was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before<'p> {
    /// This viewer plays from there.
    Viewer(&'p str),
    /// The last viewer of this video was sent there.
    Video(&'p str),
    /// Nobody was anywhere.
    Nobody,
}

/// What was thought of a place.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The place.
    pub place: String,
    /// What an hour costs there.
    pub hour_cost: Option<f64>,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// It is the cheapest; the viewer is sent there.
    Cheapest,
    /// The viewer is there already, or the last one was, and no other place saves enough; the viewer is sent there.
    Stays,
    /// All other places are worse, although this one has its fault; the viewer is sent there.
    LastResort(Bar),
    /// It is well, and another one is cheaper or was first; it is tried when those before it fail.
    Next,
    /// Nobody new is sent there, but it is tried when those before it fail.
    Barred(Bar),
    /// The video cannot be played from there.
    Out(Bar),
}

impl Verdict {
    /// Is the viewer sent there?
    pub const fn is_chosen(&self) -> bool {
        matches!(self, Self::Cheapest | Self::Stays | Self::LastResort(_))
    }

    /// Can the video be played from there?
    pub const fn plays(&self) -> bool {
        !matches!(self, Self::Out(_))
    }
}

/// Judges all places: the chosen one first, then those to try when it fails, in their order, then those without the video.
pub fn choose(candidates: &[Candidate], before: Before<'_>) -> Vec<Judged> {
    let mut ranked: Vec<&Candidate> = candidates.iter().collect();
    // A stable sort: among equals the order of the configuration counts, and our own delivery is first.
    ranked.sort_by(|a, b| {
        let rank = |one: &Candidate| rank(one.bar.as_ref().filter(|bar| !excused(bar, &one.place, before)));
        rank(a).cmp(&rank(b)).then_with(|| cost(a).total_cmp(&cost(b)))
    });
    let stays = stays(&ranked, before);
    if let Some(at) = stays {
        ranked[..=at].rotate_right(1);
    }
    let judged = |(at, one): (usize, &&Candidate)| {
        let bar = one.bar.filter(|bar| !excused(bar, &one.place, before));
        let verdict = match (at, bar) {
            (_, Some(bar)) if !bar.plays() => Verdict::Out(bar),
            (0, Some(bar)) => Verdict::LastResort(bar),
            (0, None) if stays.is_some() => Verdict::Stays,
            (0, None) => Verdict::Cheapest,
            (_, Some(bar)) => Verdict::Barred(bar),
            (_, None) => Verdict::Next,
        };
        Judged { place: one.place.clone(), hour_cost: one.hour_cost, verdict }
    };
    ranked.iter().enumerate().map(judged).collect()
}

/// Well, crowded, away, without the video.
const fn rank(bar: Option<&Bar>) -> u8 {
    match bar {
        None => 0,
        Some(Bar::Full { .. }) => 1,
        Some(Bar::Busy { .. }) => 2,
        Some(Bar::Away { .. }) => 3,
        Some(Bar::Absent | Bar::Unready) => 4,
    }
}

/// Who is there already is counted already.
fn excused(bar: &Bar, place: &str, before: Before<'_>) -> bool {
    before == Before::Viewer(place) && bar.is_for_newcomers()
}

/// A place whose price nobody has said may cost anything.
fn cost(one: &Candidate) -> f64 {
    one.hour_cost.unwrap_or(f64::INFINITY)
}

/// Where in the ranking the place is that is not left although it is not the first.
fn stays(ranked: &[&Candidate], before: Before<'_>) -> Option<usize> {
    let (Before::Viewer(place) | Before::Video(place)) = before else { return None };
    let at = ranked.iter().position(|one| one.place == place)?;
    let (first, one) = (ranked.first()?, ranked[at]);
    let well = one.bar.is_none_or(|bar| excused(&bar, place, before));
    let saves = cost(first) < STAYS_ABOVE * cost(one);
    (at > 0 && well && !saves).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AWAY: Bar = Bar::Away { since: Millis(7) };
    const BUSY: Bar = Bar::Busy { used_mbit: 80.0, capacity_mbit: 100.0 };
    const FULL: Bar = Bar::Full { used_mbit: 60.0, needed_mbit: 50.0, capacity_mbit: 100.0 };

    fn candidate(place: &str, hour_cost: f64, bar: Option<Bar>) -> Candidate {
        Candidate { place: place.to_owned(), hour_cost: Some(hour_cost), bar }
    }

    fn three(own: Option<Bar>, bunny: Option<Bar>, cloudflare: Option<Bar>) -> Vec<Candidate> {
        vec![candidate("own", 0.0, own), candidate("bn", 0.01, bunny), candidate("cf", 0.06, cloudflare)]
    }

    fn order(candidates: &[Candidate], before: Before<'_>) -> Vec<(String, Verdict)> {
        choose(candidates, before).into_iter().map(|one| (one.place, one.verdict)).collect()
    }

    fn is(order: &[(String, Verdict)], expected: &[(&str, Verdict)]) {
        let order: Vec<_> = order.iter().map(|(place, verdict)| (place.as_str(), *verdict)).collect();
        assert_eq!(order, expected);
    }

    #[test]
    fn the_cheapest_place_that_is_well_comes_first_and_the_rest_in_the_order_of_trust() {
        use Verdict::{Barred, Cheapest, LastResort, Next, Out};
        let new = Before::Nobody;
        is(&order(&three(None, None, None), new), &[("own", Cheapest), ("bn", Next), ("cf", Next)]);
        is(
            &order(&three(Some(BUSY), None, None), new),
            &[("bn", Cheapest), ("cf", Next), ("own", Barred(BUSY))],
        );
        is(
            &order(&three(Some(FULL), Some(AWAY), None), new),
            &[("cf", Cheapest), ("own", Barred(FULL)), ("bn", Barred(AWAY))],
        );
        is(
            &order(&three(Some(BUSY), Some(AWAY), Some(Bar::Absent)), new),
            &[("own", LastResort(BUSY)), ("bn", Barred(AWAY)), ("cf", Out(Bar::Absent))],
        );
        is(
            &order(&three(Some(Bar::Unready), Some(Bar::Absent), Some(AWAY)), new),
            &[("cf", LastResort(AWAY)), ("own", Out(Bar::Unready)), ("bn", Out(Bar::Absent))],
        );
    }

    #[test]
    fn a_place_without_a_price_is_taken_last_of_those_that_are_well() {
        let mut all = three(None, None, None);
        all[0].hour_cost = None;
        is(
            &order(&all, Before::Nobody),
            &[("bn", Verdict::Cheapest), ("cf", Verdict::Next), ("own", Verdict::Next)],
        );
    }

    #[test]
    fn who_plays_stays_where_they_play_and_only_a_fifth_moves_a_video() {
        let chosen = |cost: f64, bar: Option<Bar>, before| {
            let all = [candidate("a", cost, None), candidate("b", 1.0, bar)];
            let order = order(&all, before);
            (order[0].0.clone(), order[0].1)
        };
        let of = |place: &str, verdict| (place.to_owned(), verdict);
        for before in [Before::Viewer("b"), Before::Video("b")] {
            assert_eq!(chosen(0.81, None, before), of("b", Verdict::Stays));
            assert_eq!(chosen(0.79, None, before), of("a", Verdict::Cheapest));
            assert_eq!(chosen(0.99, Some(AWAY), before), of("a", Verdict::Cheapest));
        }
        assert_eq!(
            chosen(0.99, Some(BUSY), Before::Viewer("b")),
            of("b", Verdict::Stays),
            "it is counted there"
        );
        assert_eq!(
            chosen(0.99, Some(BUSY), Before::Video("b")),
            of("a", Verdict::Cheapest),
            "it is a new one"
        );
        assert_eq!(chosen(0.5, None, Before::Viewer("gone")), of("a", Verdict::Cheapest));
    }

    fn any_bar() -> impl Strategy<Value = Option<Bar>> {
        prop_oneof![
            3 => Just(None),
            1 => Just(Some(Bar::Absent)),
            1 => Just(Some(Bar::Unready)),
            1 => Just(Some(AWAY)),
            1 => Just(Some(BUSY)),
            1 => Just(Some(FULL)),
        ]
    }

    fn any_places() -> impl Strategy<Value = Vec<Candidate>> {
        let one = (proptest::option::of(0.0..10.0_f64), any_bar());
        proptest::collection::vec(one, 0..6).prop_map(|all| {
            let named = all.into_iter().enumerate();
            named
                .map(|(at, (hour_cost, bar))| Candidate { place: format!("p{at}"), hour_cost, bar })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn every_place_is_judged_once_and_one_is_chosen_if_any_plays(all in any_places(), at in 0..6_usize, kind in 0..3) {
            let name = format!("p{at}");
            let before = [Before::Nobody, Before::Viewer(&name), Before::Video(&name)][usize::try_from(kind).unwrap()];
            let judged = choose(&all, before);
            let mut names: Vec<_> = judged.iter().map(|one| one.place.clone()).collect();
            names.sort();
            prop_assert_eq!(names, all.iter().map(|one| one.place.clone()).collect::<Vec<_>>());
            let plays = all.iter().any(|one| one.bar.is_none_or(|bar| bar.plays()));
            let chosen = judged.iter().filter(|one| one.verdict.is_chosen()).count();
            prop_assert_eq!(chosen, usize::from(plays));
            prop_assert_eq!(judged.first().is_some_and(|one| one.verdict.is_chosen()), plays);
            // What cannot be played is never before what can.
            let first_out = judged.iter().position(|one| !one.verdict.plays()).unwrap_or(judged.len());
            prop_assert!(judged[first_out..].iter().all(|one| !one.verdict.plays()));
        }

        #[test]
        fn nobody_is_sent_to_a_place_with_a_fault_while_another_is_well(all in any_places()) {
            if all.iter().any(|one| one.bar.is_none()) {
                let judged = choose(&all, Before::Nobody);
                prop_assert_eq!(judged[0].verdict, Verdict::Cheapest);
                let well = all.iter().filter(|one| one.bar.is_none()).map(cost);
                prop_assert!(judged[0].hour_cost.unwrap_or(f64::INFINITY) <= well.fold(f64::INFINITY, f64::min));
            }
        }

        /// Nobody flaps: asked again with nothing changed but prices within a fifth, the answer stays.
        #[test]
        fn small_changes_of_prices_move_nobody(all in any_places(), shakes in proptest::collection::vec(0.9..1.1_f64, 6)) {
            let first = choose(&all, Before::Nobody);
            if first.first().is_some_and(|one| one.verdict == Verdict::Cheapest) {
                let shaken: Vec<_> = all.iter().zip(&shakes).map(|(one, by)| {
                    Candidate { hour_cost: one.hour_cost.map(|cost| cost * by), ..one.clone() }
                }).collect();
                for before in [Before::Viewer(&first[0].place), Before::Video(&first[0].place)] {
                    prop_assert_eq!(&choose(&shaken, before)[0].place, &first[0].place);
                }
            }
        }
    }
}
