//! Replicas: the copies of an object, and how each is known to be good.

pub mod limits;
mod plate;
mod sums;

use serde::{Deserialize, Serialize};

pub use self::plate::{BEFORE_PLATES, Look, Verdict, is_besides, plate_key, plate_of};
pub use self::sums::{Summing, Sums};

/// The store below the data directory: what works and plays reads from it, and the number of copies does not count it.
pub const LOCAL: &str = "local";

/// Where a copy of an object is in its life. What costs money of it, its ledger row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is to be made.
    Intended,
    /// It was read back once, and had the object's hash.
    Present,
    /// It was looked at and is missing, short or changed. Nothing is read from it; it goes when a good one has taken its place.
    Suspect,
    /// It is not wanted.
    ToDelete,
}

impl State {
    /// May bytes be read from it?
    pub const fn is_good(self) -> bool {
        match self {
            Self::Present => true,
            Self::Intended | Self::Suspect | Self::ToDelete => false,
        }
    }

    /// Does it count as a copy that is there, or is on its way?
    pub const fn counts(self) -> bool {
        match self {
            Self::Present | Self::Intended => true,
            Self::Suspect | Self::ToDelete => false,
        }
    }
}

/// What a look at a copy has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Every byte is what it was.
    Good,
    /// It is not there.
    Missing,
    /// It has another length.
    Short,
    /// Its bytes have changed.
    Changed,
    /// It is there, and its bytes cannot be read.
    Unreadable,
}

impl Finding {
    /// What is found when `expected` bytes of this hash should be there.
    pub fn of(expected: (u64, [u8; 32]), found: Option<(u64, [u8; 32])>) -> Self {
        match found {
            None => Self::Missing,
            Some((size, _)) if size != expected.0 => Self::Short,
            Some((_, hash)) if hash != expected.1 => Self::Changed,
            Some(_) => Self::Good,
        }
    }

    /// The same where the bytes cannot be read, and only what the store says of them is known: their length, and the tag that
    /// changes with them. Tags that were not told prove nothing.
    pub fn of_told(expected: (u64, Option<&str>), told: (u64, Option<&str>)) -> Self {
        match (expected.1, told.1) {
            _ if expected.0 != told.0 => Self::Short,
            (Some(expected), Some(told)) if expected != told => Self::Changed,
            (Some(_) | None, Some(_) | None) => Self::Good,
        }
    }

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Missing => "missing",
            Self::Short => "short",
            Self::Changed => "changed",
            Self::Unreadable => "unreadable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_finds_every_fault() {
        let (good, other) = ([1; 32], [2; 32]);
        for (found, expected) in [
            (Some((5, good)), Finding::Good),
            (Some((5, other)), Finding::Changed),
            (Some((4, good)), Finding::Short),
            (Some((6, other)), Finding::Short),
            (None, Finding::Missing),
        ] {
            assert_eq!(Finding::of((5, good), found), expected);
        }
    }

    #[test]
    fn what_cannot_be_read_is_known_by_its_length_and_its_tag() {
        for (expected, told, finding) in [
            ((5, Some("a")), (5, Some("a")), Finding::Good),
            ((5, Some("a")), (5, Some("b")), Finding::Changed),
            ((5, Some("a")), (4, Some("a")), Finding::Short),
            ((5, None), (5, Some("b")), Finding::Good),
            ((5, Some("a")), (5, None), Finding::Good),
        ] {
            assert_eq!(Finding::of_told(expected, told), finding, "{expected:?} {told:?}");
        }
    }

    #[test]
    fn nothing_is_read_from_a_copy_that_was_found_bad() {
        for state in [State::Intended, State::Suspect, State::ToDelete] {
            assert!(!state.is_good(), "{state:?}");
        }
        assert!(State::Present.is_good() && State::Present.counts() && State::Intended.counts());
        assert!(!State::Suspect.counts() && !State::ToDelete.counts(), "another one is to be made");
    }
}
