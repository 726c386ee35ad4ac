//! What a store can do, as it was tried: documents and services differ, and differ again next year.

use serde::{Deserialize, Serialize};

/// The smallest part but the last, in bytes, where the store has a least one.
pub(in crate::store) const PART_BYTES_MIN: u64 = 5 << 20;
/// Parts of one object: the least that is promised anywhere.
pub(in crate::store) const PARTS_MAX: u64 = 10_000;
/// The largest object that is put in one piece, in bytes.
pub(in crate::store) const PUT_BYTES_MAX: u64 = 5_000_000_000;

/// What a store can do.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and none excludes another")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What becomes of a put that must not overwrite. Nothing of ours depends on it.
    pub conditional_put: ConditionalPut,
    /// All parts but the last must have one length; not known where it was not tried.
    pub equal_parts: Option<bool>,
    /// Takes checksums in headers. None are sent.
    pub checksum: bool,
    /// Says with which hash it has the bytes, so that nothing needs to be read back.
    pub hashed: bool,
    /// A plain deletion only hides the bytes.
    pub versioned_deletes: bool,
    /// Says which parts of an upload are there.
    pub list_parts: bool,
    /// Says which uploads are open.
    pub list_uploads: bool,
    /// The smallest part but the last, in bytes; not known where it was not tried.
    pub part_min: Option<u64>,
    /// Parts of one object.
    pub parts_max: u64,
    /// The largest object that is put in one piece, in bytes.
    pub put_max: u64,
}

/// What becomes of a put that must not overwrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConditionalPut {
    /// The second one fails.
    Honoured,
    /// No put with a condition is taken.
    Refused,
    /// It overwrites all the same, and says nothing.
    Ignored,
}

impl Facts {
    /// Those of a store that is a folder or lies in memory.
    pub(super) const fn plain() -> Self {
        Self {
            conditional_put: ConditionalPut::Refused,
            equal_parts: Some(false),
            checksum: false,
            hashed: false,
            versioned_deletes: false,
            list_parts: false,
            list_uploads: true,
            part_min: None,
            parts_max: 1,
            put_max: u64::MAX,
        }
    }

    /// The same in sentences, for people.
    pub fn sentences(&self) -> Vec<&'static str> {
        let mut told = vec![if self.hashed {
            "it says the hash of what it stored, which is compared"
        } else {
            "it does not say the hash of what it stored: objects are read back"
        }];
        if self.parts_max > 1 {
            told.extend(self.of_service());
        }
        told
    }

    /// What is only worth saying of a service.
    fn of_service(&self) -> impl Iterator<Item = &'static str> {
        let conditional = match self.conditional_put {
            ConditionalPut::Honoured => "a put that must not overwrite does not",
            ConditionalPut::Refused => "it takes no put that must not overwrite; matinee needs none",
            ConditionalPut::Ignored => {
                "a put that must not overwrite overwrites all the same; matinee never relies on it"
            }
        };
        let checksum = if self.checksum {
            "it takes checksums in headers; matinee sends none"
        } else {
            "it takes no checksums in headers; matinee sends none"
        };
        let others = [
            (
                self.versioned_deletes,
                "a plain deletion only hides the bytes, so matinee deletes every version",
            ),
            (self.equal_parts == Some(true), "parts must have one length; those of matinee have"),
            (!self.list_parts, "it does not say which parts are there: an interrupted upload begins again"),
            (
                !self.list_uploads,
                "it does not list open uploads: give its bucket a rule that ends them after some days",
            ),
        ];
        let others = others.into_iter().filter(|(is_so, _)| *is_so).map(|(_, sentence)| sentence);
        [conditional, checksum].into_iter().chain(others)
    }
}
