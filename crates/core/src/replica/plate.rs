//! The plate of a store: a small object in it by which it is known again. A name of the configuration may stand for another
//! bucket or another disk one day, and what rows say lies there would be taken for lost, or for deleted.

use crate::placement::copy_of;

/// Below this lie the plates.
const BELOW: &str = "matinee-store/";
/// How all names begin that are ours and no copies.
const BESIDES: &str = "matinee-";

/// What every plate comes after in the order of keys, and is a key itself.
pub const BEFORE_PLATES: &str = "matinee-store/-";

/// The key of the plate with this name.
pub fn plate_key(identity: &str) -> String {
    format!("{BELOW}{identity}")
}

/// The name of the plate with this key; nothing for whatever is none.
pub fn plate_of(key: &str) -> Option<&str> {
    key.strip_prefix(BELOW)
}

/// Is it something of ours in a store that is no copy: a plate, or what is put there for a moment to try the store?
pub fn is_besides(key: &str) -> bool {
    key.starts_with(BESIDES) && key.contains('/') && copy_of(key).is_none()
}

/// What a look at a place shows that is to be a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look<'a> {
    /// The plate of this store hangs there.
    pub has_plate: bool,
    /// The plate of another store of ours hangs there: the name of that.
    pub other: Option<&'a str>,
    /// It was seen to hang there before.
    pub had_plate: bool,
    /// Some copy that rows know of lies there.
    pub has_copy: bool,
    /// So many copies were proven to lie there, and are not proven gone.
    pub made: u64,
    /// So many besides may lie there: they are, or were, intended.
    pub intended: u64,
}

/// What that means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It is the store.
    Right,
    /// It is the store, and its plate is to be hung up.
    Bare,
    /// It is another place: nothing is to be put there, and nothing that is not found there is missing.
    Elsewhere,
    /// It is the place of this other store of ours.
    Taken(&'a str),
}

impl Look<'_> {
    /// Is it the store that rows mean?
    pub const fn verdict(&self) -> Verdict<'_> {
        if self.has_plate {
            return Verdict::Right;
        }
        if let Some(other) = self.other {
            return Verdict::Taken(other);
        }
        // Where the plate has hung already, half a copy may lie in the place that had it. Where it has not, nothing was put yet
        // but by a version that knew of no plates, and what that has made has rows that say so.
        let may_lie_there = self.made + if self.had_plate { self.intended } else { 0 };
        if self.has_copy || may_lie_there == 0 { Verdict::Bare } else { Verdict::Elsewhere }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Look<'_> =
        Look { has_plate: false, other: None, had_plate: false, has_copy: false, made: 0, intended: 0 };

    #[test]
    fn a_store_is_known_by_its_plate_or_by_what_lies_in_it() {
        for (look, expected) in [
            (NEW, Verdict::Bare),
            // What was brought in before the store has answered for the first time.
            (Look { intended: 5, ..NEW }, Verdict::Bare),
            // It was filled by a version that knew of no plates.
            (Look { made: 5, has_copy: true, ..NEW }, Verdict::Bare),
            (Look { made: 5, ..NEW }, Verdict::Elsewhere),
            (Look { made: 1, intended: 5, ..NEW }, Verdict::Elsewhere),
            (Look { had_plate: true, ..NEW }, Verdict::Bare),
            // Somebody has taken the plate down.
            (Look { had_plate: true, made: 5, has_copy: true, ..NEW }, Verdict::Bare),
            (Look { had_plate: true, made: 5, ..NEW }, Verdict::Elsewhere),
            // The parts of half a copy are paid for in the place that had the plate.
            (Look { had_plate: true, intended: 1, ..NEW }, Verdict::Elsewhere),
            (Look { has_plate: true, had_plate: true, made: 5, ..NEW }, Verdict::Right),
            (Look { has_plate: true, other: Some("b"), ..NEW }, Verdict::Right),
            (Look { other: Some("b"), ..NEW }, Verdict::Taken("b")),
            (Look { other: Some("b"), made: 5, had_plate: true, ..NEW }, Verdict::Taken("b")),
        ] {
            assert_eq!(look.verdict(), expected, "{look:?}");
        }
    }

    #[test]
    fn a_plate_is_told_by_its_key() {
        assert_eq!(plate_of(&plate_key("1f")), Some("1f"));
        assert!(plate_key("0").as_str() > BEFORE_PLATES);
        for key in ["vid_1/source/led_2", "matinee-start/a", "matinee-store"] {
            assert_eq!(plate_of(key), None);
        }
    }

    #[test]
    fn what_is_ours_and_no_copy_is_told_by_its_key() {
        let copy = crate::id::EntryId::from_bits(7);
        for key in
            [plate_key("1f"), "matinee-start/a-parts".to_owned(), "matinee-test/object-small".to_owned()]
        {
            assert!(is_besides(&key), "{key}");
        }
        for key in [format!("matinee-films/{copy}"), format!("vid_1/{copy}"), "matinee-notes.txt".to_owned()]
        {
            assert!(!is_besides(&key), "{key}");
        }
    }
}
