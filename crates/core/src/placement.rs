//! Placement: which stores get the copies of an object, by weighted rendezvous hashing.
//!
//! It decides where *new* copies go. Where copies are, their rows say: a store that is added, or a weight that is
//! changed, moves nothing.

mod key;

use serde::{Deserialize, Serialize};

use crate::hash;
use crate::id::ObjectId;
use crate::ledger::Kind;
use crate::replica::{LOCAL, State};

pub use self::key::{DEFAULT_KEY, KEY_MAX, Named, check_key, copy_of, key};

/// What a store is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Copies that are played from, and repaired from.
    #[default]
    Replica,
    /// One copy of each source, kept cheaply for the day when it is needed.
    Archive,
}

/// A store as placement sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its name, which is for ever.
    pub name: String,
    /// What fails together has one domain: a machine, a house, a provider.
    pub domain: String,
    /// How much it gets beside the others; 0 gets nothing new.
    pub weight: u32,
    /// What it is for.
    pub class: Class,
    /// The kinds of objects that it takes.
    pub takes: Vec<Kind>,
    /// It is there and may keep what it has. What lies in one that is not open is copied elsewhere.
    pub open: bool,
}

/// How many copies of an object lie in stores, by kind. The working copy in the data directory is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Copies {
    /// Of the file that somebody brought in.
    pub source: u32,
    /// Of each rendition, with its copy in WebM.
    pub rendition: u32,
    /// Of posters, storyboards, previews, captions and the tables of sources that are served as they are.
    pub small: u32,
}

impl Default for Copies {
    fn default() -> Self {
        // Who names a store expects to find everything in it.
        Self { source: 1, rendition: 1, small: 1 }
    }
}

impl Copies {
    /// How many of an object of this kind. What only lives while work goes on has none.
    pub const fn of(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Source => self.source,
            Kind::Rendition | Kind::Webm => self.rendition,
            Kind::Sidecar | Kind::Poster | Kind::Caption | Kind::Sheet | Kind::Preview => self.small,
            Kind::Tail | Kind::Work | Kind::Chunk | Kind::AudioPart | Kind::Publication | Kind::Unknown => 0,
        }
    }
}

/// What is to become of the copies of an object; copies are named by their place in the list that was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged<'r> {
    /// The stores that get a new copy.
    pub missing: Vec<&'r str>,
    /// Copies that go: bad ones, and those in stores that are not open, once there are enough others.
    pub surplus: Vec<usize>,
    /// Local files that are made good again from another copy.
    pub mend: Vec<usize>,
}

/// What the operator wants of all stores together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// All stores of the configuration.
    pub stores: Vec<Place>,
    /// How many copies.
    pub copies: Copies,
}

impl Rules {
    /// The stores that get a new copy of this object, when good copies lie, or will lie, in those of `held`.
    pub fn missing<'r>(&'r self, object: ObjectId, kind: Kind, held: &[&str]) -> Vec<&'r str> {
        let mut missing = self.of_class(Class::Replica, (object, kind), self.copies.of(kind), held);
        // One in the archive, whatever the number of archives.
        missing.extend(self.of_class(Class::Archive, (object, kind), 1, held));
        missing
    }

    /// What is to become of the copies of an object.
    pub fn judge<'r>(&'r self, (object, kind): (ObjectId, Kind), held: &[(&str, State)]) -> Judged<'r> {
        let stores = |wanted: fn(State) -> bool| -> Vec<&str> {
            held.iter()
                .filter(|(store, state)| *store != LOCAL && wanted(*state))
                .map(|(store, _)| *store)
                .collect()
        };
        let good = stores(State::is_good);
        let missing = self.missing(object, kind, &stores(State::counts));
        let whole = self.missing(object, kind, &good).is_empty();
        // Nothing goes before enough others are proven; and where no store takes new ones, what there is stays.
        let is_surplus = |(store, state): &(&str, State)| {
            // One that is not in our configuration is perhaps in that of another node.
            let Some(place) = self.stores.iter().find(|place| place.name == *store) else { return false };
            let is_bad = *state == State::Suspect;
            let goes = is_bad || (state.is_good() && !place.open);
            goes && whole
                && self.has_others(kind, (store, is_bad), &good)
                && self.stays(place.class, kind, held)
        };
        let can_be_mended =
            |(store, state): &(&str, State)| *store == LOCAL && *state == State::Suspect && !good.is_empty();
        let places = |wanted: &dyn Fn(&(&str, State)) -> bool| {
            held.iter().enumerate().filter(|(_, one)| wanted(one)).map(|(n, _)| n).collect()
        };
        Judged { missing, surplus: places(&is_surplus), mend: places(&can_be_mended) }
    }

    /// Are enough good copies in stores that are open, so that the one in `leaving` can go? When all stores are away at once
    /// nothing is missing that could be made, and nothing goes all the same. A bad copy can have its successor in the same store.
    fn has_others(&self, kind: Kind, (leaving, is_bad): (&str, bool), good: &[&str]) -> bool {
        let known = self.stores.iter().find(|place| place.name == leaving);
        let class = known.map_or(Class::Replica, |place| place.class);
        let counts = |place: &&Place| place.class == class && (is_bad || place.name != leaving);
        let takes = |place: &Place| place.class == class && place.takes.contains(&kind);
        let wanted = match class {
            Class::Replica => self.copies.of(kind),
            Class::Archive => 1,
        };
        if wanted == 0 || !self.stores.iter().any(takes) {
            // Nobody wants it in any store.
            return true;
        }
        let possible =
            self.stores.iter().filter(|place| counts(place) && place.weight > 0 && takes(place)).count();
        let is_proven = |place: &&Place| counts(place) && place.open && good.contains(&place.name.as_str());
        let proven = self.stores.iter().filter(is_proven).count();
        proven >= possible.min(wanted as usize).max(1)
    }

    /// Does a good copy stay where those of this class are to lie? Where none are wanted, the local one is enough.
    fn stays(&self, class: Class, kind: Kind, held: &[(&str, State)]) -> bool {
        let lies_well = |name: &str| {
            let unwanted = class == Class::Replica && self.copies.of(kind) == 0;
            let open = |place: &&Place| place.name == name && place.open;
            let place = self.stores.iter().find(open);
            place.is_some_and(|place| unwanted || place.class == class) || (unwanted && name == LOCAL)
        };
        held.iter().any(|(name, state)| state.is_good() && lies_well(name))
    }

    /// One word for these rules: objects that were placed by others are looked at again.
    pub fn mark(&self) -> String {
        let text = format!("{:?}{:?}", self.copies, self.stores);
        format!("{:016x}", hash::short(text.as_bytes()))
    }

    fn of_class(
        &self,
        class: Class,
        (object, kind): (ObjectId, Kind),
        wanted: u32,
        held: &[&str],
    ) -> Vec<&str> {
        let of_class = || self.stores.iter().filter(move |place| place.class == class && place.open);
        let has = |place: &&Place| held.contains(&place.name.as_str());
        let mut domains: Vec<&str> = of_class().filter(has).map(|place| place.domain.as_str()).collect();
        let mut left: Vec<&Place> = of_class()
            .filter(|place| !has(place) && place.weight > 0 && place.takes.contains(&kind))
            .collect();
        left.sort_by(|a, b| score(b, object).total_cmp(&score(a, object)));
        let mut chosen = Vec::new();
        while domains.len() < wanted as usize && !left.is_empty() {
            let other = left.iter().position(|place| !domains.contains(&place.domain.as_str()));
            let place = left.remove(other.unwrap_or(0));
            domains.push(&place.domain);
            chosen.push(place.name.as_str());
        }
        chosen
    }
}

/// The share of a store among all of an object: the highest wins. With weight w it wins in w of the sum of all weights.
#[expect(clippy::cast_precision_loss, reason = "53 bits of a hash are as many as a float has")]
fn score(place: &Place, object: ObjectId) -> f64 {
    let mut bytes = object.bits().to_be_bytes().to_vec();
    bytes.extend_from_slice(place.name.as_bytes());
    let bits = (hash::short(&bytes) >> 11) as f64;
    let share = (bits + 0.5) / (1_u64 << 53) as f64;
    -f64::from(place.weight) / share.ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(name: &str, domain: &str, weight: u32) -> Place {
        let takes = Kind::LASTING.to_vec();
        Place {
            name: name.to_owned(),
            domain: domain.to_owned(),
            weight,
            class: Class::Replica,
            takes,
            open: true,
        }
    }

    fn rules(stores: Vec<Place>, source: u32) -> Rules {
        Rules { stores, copies: Copies { source, ..Copies::default() } }
    }

    fn object(number: u32) -> ObjectId {
        ObjectId::from_bits(u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
    }

    /// So many objects of 4,000 lie in each store.
    fn shares(rules: &Rules) -> Vec<usize> {
        let lies_in = |name: &str| {
            (0..4_000).filter(|n| rules.missing(object(*n), Kind::Source, &[]).contains(&name)).count()
        };
        rules.stores.iter().map(|place| lies_in(&place.name)).collect()
    }

    #[test]
    fn every_store_gets_its_share() {
        let equal = rules(["a", "b", "c", "d"].map(|name| place(name, name, 1)).to_vec(), 1);
        for share in shares(&equal) {
            assert!((880..1_120).contains(&share), "a quarter of 4,000 is not {share}");
        }
        let uneven = shares(&rules(vec![place("a", "a", 3), place("b", "b", 1), place("c", "c", 0)], 1));
        assert!((2_880..3_120).contains(&uneven[0]) && uneven[2] == 0, "{uneven:?}");
    }

    #[test]
    fn a_store_that_is_added_takes_its_share_and_moves_nothing_else() {
        let mut stores: Vec<_> = ["a", "b", "c", "d"].map(|name| place(name, name, 1)).to_vec();
        let before = rules(stores.clone(), 1);
        stores.push(place("e", "e", 1));
        let after = rules(stores, 1);
        let moved = (0..4_000).filter(|n| {
            let (old, new) =
                (before.missing(object(*n), Kind::Source, &[]), after.missing(object(*n), Kind::Source, &[]));
            assert!(old == new || new == ["e"], "{old:?} {new:?}");
            old != new
        });
        let moved = moved.count();
        assert!((700..900).contains(&moved), "a fifth of 4,000 is not {moved}");
        assert_eq!(after.missing(object(1), Kind::Source, &["a"]), [""; 0], "what lies in one stays there");
    }

    #[test]
    fn only_what_a_store_takes_is_put_there_and_archives_come_besides() {
        let mut archive = place("deep", "deep", 1);
        (archive.class, archive.takes) = (Class::Archive, vec![Kind::Source]);
        let mut pictures = place("pictures", "p", 1);
        pictures.takes = vec![Kind::Poster];
        let rules = rules(vec![place("a", "a", 1), archive, pictures], 2);
        let mut source = rules.missing(object(1), Kind::Source, &[]);
        source.sort_unstable();
        assert_eq!(source, ["a", "deep"], "as many as there are, and no more");
        assert_eq!(rules.missing(object(1), Kind::Source, &["a"]), ["deep"]);
        assert_eq!(rules.missing(object(1), Kind::Chunk, &[]), [""; 0], "work files are not copied");
    }

    #[test]
    fn what_is_not_open_is_copied_elsewhere_before_it_goes() {
        let mut away = place("a", "a", 1);
        away.open = false;
        let rules = rules(vec![away, place("b", "b", 1)], 1);
        let judge = |held: &[(&str, State)]| {
            let judged = rules.judge((object(1), Kind::Source), held);
            (judged.missing, judged.surplus, judged.mend)
        };
        let (none, here) = (Vec::<&str>::new(), (LOCAL, State::Present));
        assert_eq!(judge(&[here, ("a", State::Present)]), (vec!["b"], vec![], vec![]));
        let on_its_way = [here, ("a", State::Present), ("b", State::Intended)];
        assert_eq!(judge(&on_its_way), (none.clone(), vec![], vec![]));
        let there = [here, ("a", State::Present), ("b", State::Present)];
        assert_eq!(judge(&there), (none, vec![1], vec![]));
    }

    #[test]
    fn a_bad_copy_goes_when_a_good_one_has_taken_its_place() {
        let rules = rules(vec![place("b", "b", 1)], 1);
        let judge = |held: &[(&str, State)]| {
            let judged = rules.judge((object(1), Kind::Source), held);
            (judged.missing, judged.surplus, judged.mend)
        };
        let (here, bad) = ((LOCAL, State::Present), ("b", State::Suspect));
        assert_eq!(judge(&[here, bad]), (vec!["b"], vec![], vec![]), "another one in the same store");
        assert_eq!(judge(&[here, bad, ("b", State::Intended)]).1, [0_usize; 0]);
        assert_eq!(judge(&[here, bad, ("b", State::Present)]).1, [1]);
        let bad_here = (LOCAL, State::Suspect);
        assert_eq!(judge(&[bad_here, ("b", State::Present)]).2, [0], "a local file is mended");
        assert_eq!(judge(&[bad_here]).2, [0_usize; 0], "from something");
    }

    #[test]
    fn nothing_goes_while_no_store_is_open_that_could_have_another() {
        let closed = |name: &str, class| Place { open: false, class, ..place(name, name, 1) };
        for class in [Class::Replica, Class::Archive] {
            let rules = rules(vec![closed("a", class), closed("b", class)], 1);
            let judged =
                rules.judge((object(1), Kind::Source), &[("a", State::Present), ("b", State::Suspect)]);
            assert_eq!(
                (judged.missing, judged.surplus),
                (vec![], vec![]),
                "{class:?}: it is the last good one"
            );
        }
        let mut away = rules(vec![closed("a", Class::Replica), place("b", "b", 1), place("c", "c", 1)], 2);
        let held = [("a", State::Present), ("b", State::Present), ("c", State::Present)];
        assert_eq!(away.judge((object(1), Kind::Source), &held).surplus, [0], "two others are there");
        away.stores[2].open = false;
        assert_eq!(
            away.judge((object(1), Kind::Source), &held).surplus,
            [0_usize; 0],
            "one of two is not enough"
        );
        away.copies.source = 0;
        assert_eq!(away.judge((object(1), Kind::Source), &held).surplus, [0, 2], "nobody wants any");
        let left = rules(vec![closed("a", Class::Replica), place("b", "b", 1)], 2);
        assert_eq!(left.judge((object(1), Kind::Source), &held[..2]).surplus, [0], "as many as there can be");
    }

    #[test]
    fn the_last_copy_stays_wherever_it_lies() {
        let mut away = place("a", "a", 1);
        away.open = false;
        let mut deep = Place { class: Class::Archive, takes: vec![Kind::Source], ..place("deep", "deep", 1) };
        deep.open = false;
        let surplus =
            |rules: &Rules, held: &[(&str, State)]| rules.judge((object(1), Kind::Source), held).surplus;
        let none = [0_usize; 0];
        let alone = rules(vec![away.clone()], 1);
        assert_eq!(surplus(&alone, &[("a", State::Present)]), none, "nobody else takes it");
        assert_eq!(surplus(&alone, &[(LOCAL, State::Present), ("a", State::Present)]), none);
        assert_eq!(surplus(&alone, &[("a", State::Suspect)]), none, "a flipped bit is better than nothing");
        let archive = rules(vec![deep, place("b", "b", 1)], 1);
        let held = [("deep", State::Present), ("b", State::Present)];
        assert_eq!(surplus(&archive, &held), none, "no other archive takes it");
        let known = rules(vec![place("b", "b", 1)], 1);
        let held = [("new", State::Present), ("b", State::Present)];
        assert_eq!(surplus(&known, &held), none, "another node knows that store");
        let fewer = rules(vec![away], 0);
        assert_eq!(surplus(&fewer, &[(LOCAL, State::Present), ("a", State::Present)]), [1], "none is wanted");
        assert_eq!(surplus(&fewer, &[("a", State::Present)]), none);
    }

    #[test]
    fn other_rules_have_another_mark() {
        let first = rules(vec![place("a", "a", 1)], 1);
        assert_eq!(first.mark(), first.clone().mark());
        assert_ne!(first.mark(), rules(vec![place("a", "a", 2)], 1).mark());
        assert_ne!(first.mark(), rules(vec![place("a", "a", 1)], 2).mark());
    }

    /// Up to 8 stores in up to 4 domains, some with more weight.
    fn some_stores() -> impl Strategy<Value = Vec<Place>> {
        let one = (0_u32..4, 1_u32..4);
        prop::collection::vec(one, 1..8).prop_map(|all| {
            let of = |(n, (domain, weight))| place(&format!("s{n}"), &format!("d{domain}"), weight);
            all.into_iter().enumerate().map(of).collect()
        })
    }

    proptest! {
        #[test]
        fn copies_are_as_many_as_can_be_in_as_many_domains_as_can_be(
            stores in some_stores(), wanted in 0_u32..5, number: u32,
        ) {
            let rules = rules(stores, wanted);
            let chosen = rules.missing(object(number), Kind::Source, &[]);
            prop_assert_eq!(chosen.len(), rules.stores.len().min(wanted as usize));
            let domain = |name: &&str| {
                rules.stores.iter().find(|place| place.name == **name).map(|place| place.domain.clone())
            };
            let mut domains: Vec<_> = chosen.iter().map(domain).collect();
            domains.sort();
            domains.dedup();
            let mut all: Vec<_> = rules.stores.iter().map(|place| place.domain.clone()).collect();
            all.sort();
            all.dedup();
            prop_assert_eq!(domains.len(), all.len().min(chosen.len()));
        }

        #[test]
        fn what_is_held_is_kept_and_only_filled_up(
            stores in some_stores(), wanted in 0_u32..5, number: u32, first in 0_usize..8,
        ) {
            let rules = rules(stores, wanted);
            let held = rules.stores[first % rules.stores.len()].name.clone();
            let chosen = rules.missing(object(number), Kind::Source, &[&held]);
            prop_assert!(!chosen.contains(&held.as_str()));
            let wanted = rules.stores.len().min(wanted as usize).saturating_sub(1);
            prop_assert_eq!(chosen.len(), wanted);
        }

        #[test]
        fn something_good_stays_whatever_is_judged(
            stores in some_stores(), wanted in 0_u32..4, number: u32, closed: u8, archives: u8,
            held in prop::collection::vec((0_usize..9, 0_usize..4), 1..7),
        ) {
            let mut stores = stores;
            for (n, place) in stores.iter_mut().enumerate() {
                place.open = closed >> n & 1 == 0;
                place.class = if archives >> n & 1 == 0 { Class::Replica } else { Class::Archive };
            }
            let states = [State::Intended, State::Present, State::Suspect, State::ToDelete];
            let names: Vec<_> = (0..8).map(|n| format!("s{n}")).chain([LOCAL.to_owned()]).collect();
            let held: Vec<_> = held.iter().map(|(name, state)| (names[*name].as_str(), states[*state])).collect();
            let rules = rules(stores, wanted);
            let judged = rules.judge((object(number), Kind::Source), &held);
            let stays = |(n, one): &(usize, &(&str, State))| one.1.is_good() && !judged.surplus.contains(n);
            let had = held.iter().any(|(_, state)| state.is_good());
            prop_assert_eq!(held.iter().enumerate().any(|one| stays(&one)), had);
            if !had {
                prop_assert_eq!(judged.surplus.len(), 0, "what is bad goes only when something good is there");
            }
        }

        #[test]
        fn another_store_takes_over_or_nothing_changes(
            stores in some_stores(), wanted in 1_u32..4, number: u32, domain in 0_u32..5,
        ) {
            let before = rules(stores.clone(), wanted);
            let mut more = stores;
            more.push(place("new", &format!("d{domain}"), 1));
            let after = rules(more, wanted);
            let old = before.missing(object(number), Kind::Source, &[]);
            let new = after.missing(object(number), Kind::Source, &[]);
            prop_assert!(new.iter().all(|name| *name == "new" || old.contains(name)), "{:?} {:?}", old, new);
        }
    }
}
