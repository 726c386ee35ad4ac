//! A store's own listing beside what the ledger says of it: nothing may lie there that no row explains, and nothing be
//! missing that a row promises.

pub mod limits;
pub mod outside;

use std::collections::BTreeMap;

use crate::id::ObjectId;
use crate::ledger::State;

/// What the ledger says of an object in one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Where it is in its life.
    pub state: State,
    /// Its length in bytes, when it is known.
    pub size: Option<u64>,
}

/// Where a listing and the ledger disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// It lies in the store, and no row knows it.
    Unknown {
        /// The object.
        object: ObjectId,
        /// Its length in bytes.
        size: u64,
    },
    /// A row says that it is there, and it is not.
    Missing {
        /// The object.
        object: ObjectId,
    },
    /// It has another length than its row says.
    Length {
        /// The object.
        object: ObjectId,
        /// Bytes in the store.
        listed: u64,
        /// Bytes by its row.
        known: u64,
    },
}

impl Difference {
    /// The object that it is about.
    pub const fn object(&self) -> ObjectId {
        match self {
            Self::Unknown { object, .. } | Self::Missing { object } | Self::Length { object, .. } => *object,
        }
    }
}

/// What is wrong with one object, of which the store lists `listed` bytes.
pub fn difference(object: ObjectId, listed: Option<u64>, known: Option<Known>) -> Option<Difference> {
    match (listed, known) {
        (Some(size), None) => Some(Difference::Unknown { object, size }),
        (None, Some(Known { state: State::Present, .. })) => Some(Difference::Missing { object }),
        (Some(listed), Some(Known { state: State::Present, size: Some(known) })) if listed != known => {
            Some(Difference::Length { object, listed, known })
        }
        // What is only intended may be half there, and what is to be deleted half gone.
        (None | Some(_), Some(_)) | (None, None) => None,
    }
}

/// All differences between a listing (lengths in bytes) and the rows of its store, in the order of the objects.
pub fn differences(listed: &BTreeMap<ObjectId, u64>, known: &BTreeMap<ObjectId, Known>) -> Vec<Difference> {
    let mut objects: Vec<ObjectId> = listed.keys().chain(known.keys()).copied().collect();
    objects.sort_unstable();
    objects.dedup();
    objects
        .into_iter()
        .filter_map(|object| difference(object, listed.get(&object).copied(), known.get(&object).copied()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_without_a_row_or_is_promised_and_not_there_is_wrong() {
        let object = ObjectId::from_bits;
        let known = |state, size| Known { state, size };
        let listed = BTreeMap::from([
            (object(1), 10),
            (object(2), 10),
            (object(3), 9),
            (object(4), 3),
            (object(5), 3),
        ]);
        let rows = BTreeMap::from([
            (object(1), known(State::Present, Some(10))),
            (object(3), known(State::Present, Some(10))),
            (object(4), known(State::Intended, None)),
            (object(5), known(State::ToDelete, Some(10))),
            (object(6), known(State::Present, Some(10))),
            (object(7), known(State::Intended, Some(10))),
            (object(8), known(State::ToDelete, None)),
            (object(9), known(State::Present, None)),
        ]);
        assert_eq!(
            differences(&listed, &rows),
            [
                Difference::Unknown { object: object(2), size: 10 },
                Difference::Length { object: object(3), listed: 9, known: 10 },
                Difference::Missing { object: object(6) },
                Difference::Missing { object: object(9) },
            ]
        );
    }

    #[test]
    fn a_present_object_of_unknown_length_is_right_whatever_is_listed() {
        let known = Known { state: State::Present, size: None };
        assert_eq!(difference(ObjectId::from_bits(1), Some(7), Some(known)), None);
    }
}
