//! Quotas: how many bytes an app or a collection may hold, and how many uploads it may have under way.

use serde::{Deserialize, Deserializer};

use crate::limits::RESERVE_BYTES;
use crate::video::Problem;

/// Whose quota it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The app's.
    App,
    /// The collection's.
    Collection,
}

impl Whose {
    /// The word for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Collection => "collection",
        }
    }
}

/// What one may have; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Bytes that are stored or reserved by open uploads.
    pub bytes: Option<u64>,
    /// Open uploads.
    pub uploads: Option<u64>,
}

/// What is to become of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wish {
    /// It stays what it is.
    #[default]
    Stays,
    /// It is this, or none.
    Is(Option<u64>),
}

impl Wish {
    /// The new limit, if there is to be one.
    pub const fn limit(self) -> Option<u64> {
        match self {
            Self::Stays => None,
            Self::Is(limit) => limit,
        }
    }
}

impl<'de> Deserialize<'de> for Wish {
    /// For a field that may be missing: null is a wish, too.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self::Is)
    }
}

/// What one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes of all objects, until they are proven gone.
    pub stored_bytes: u64,
    /// Bytes that open uploads have reserved.
    pub reserved_bytes: u64,
    /// Open uploads.
    pub uploads: u64,
}

/// Why an upload may not begin, go on or finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// More bytes than the quota has left.
    #[error("the {} may hold {limit} bytes; {used} are used or reserved, and {asked} more do not fit", whose.name())]
    Bytes {
        /// Whose quota.
        whose: Whose,
        /// The quota.
        limit: u64,
        /// What is stored or reserved.
        used: u64,
        /// What was asked for.
        asked: u64,
    },
    /// As many uploads are open as may be.
    #[error("the {} may have {limit} open uploads, and has them", whose.name())]
    Uploads {
        /// Whose quota.
        whose: Whose,
        /// The quota.
        limit: u64,
    },
    /// More bytes than this upload was allowed.
    #[error("this upload may have at most {max} bytes")]
    TooLarge {
        /// What the one who announced it allowed.
        max: u64,
    },
    /// The app or the collection is being deleted, or is gone.
    #[error("the {} is being deleted", whose.name())]
    Closed {
        /// What of both.
        whose: Whose,
    },
}

impl Refusal {
    /// The stable word for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Bytes { .. } | Self::Uploads { .. } => "quota_exceeded",
            Self::TooLarge { .. } => "too_large",
            Self::Closed { .. } => "deleted",
        }
    }

    /// What one can do about it.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::Bytes { .. } => {
                "Delete videos, wait for open uploads to end, or have an administrator raise the quota."
            }
            Self::Uploads { .. } => {
                "Finish or cancel open uploads, or have an administrator raise the quota."
            }
            Self::TooLarge { .. } => "Send a shorter file, or ask for an upload that may be larger.",
            Self::Closed { .. } => "Upload into another collection.",
        }
    }

    /// The reason that is kept with an upload which ends because of it.
    pub fn problem(self) -> Problem {
        let mut human = format!("{self}.");
        if let Some(first) = human.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        Problem { code: self.code().to_owned(), human, fix: self.fix().to_owned() }
    }
}

impl Quota {
    /// May `bytes` more be reserved, for `uploads` more uploads?
    pub const fn admit(self, whose: Whose, usage: Usage, bytes: u64, uploads: u64) -> Result<(), Refusal> {
        if let Some(limit) = self.uploads
            && usage.uploads.saturating_add(uploads) > limit
            && uploads > 0
        {
            return Err(Refusal::Uploads { whose, limit });
        }
        let used = usage.stored_bytes.saturating_add(usage.reserved_bytes);
        if let Some(limit) = self.bytes
            && used.saturating_add(bytes) > limit
        {
            return Err(Refusal::Bytes { whose, limit, used, asked: bytes });
        }
        Ok(())
    }
}

/// What an upload reserves: its length, or as long as that is unknown the next whole step above what has arrived.
pub const fn reservation(size: Option<u64>, offset: u64) -> u64 {
    match size {
        Some(size) => size,
        None => (offset / RESERVE_BYTES + 1).saturating_mul(RESERVE_BYTES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: Usage = Usage { stored_bytes: 60, reserved_bytes: 20, uploads: 2 };

    #[test]
    fn a_quota_counts_what_is_stored_and_what_is_promised() {
        let quota = Quota { bytes: Some(100), uploads: None };
        assert_eq!(quota.admit(Whose::App, SOME, 20, 1), Ok(()));
        let full = Refusal::Bytes { whose: Whose::App, limit: 100, used: 80, asked: 21 };
        assert_eq!(quota.admit(Whose::App, SOME, 21, 1), Err(full));
        assert_eq!(full.code(), "quota_exceeded");
        assert!(full.problem().human.starts_with("The app may hold 100 bytes"), "{full:?}");
        assert_eq!(Quota::default().admit(Whose::App, SOME, u64::MAX, 9), Ok(()), "no quota, no limit");
    }

    #[test]
    fn open_uploads_are_counted_only_when_one_more_is_asked_for() {
        let quota = Quota { bytes: None, uploads: Some(2) };
        assert_eq!(
            quota.admit(Whose::Collection, SOME, 0, 1),
            Err(Refusal::Uploads { whose: Whose::Collection, limit: 2 })
        );
        assert_eq!(quota.admit(Whose::Collection, SOME, 9, 0), Ok(()), "an open one may go on");
    }

    #[test]
    fn an_upload_without_a_length_reserves_in_steps() {
        assert_eq!(reservation(Some(5), 3), 5);
        for (offset, steps) in [(0, 1), (1, 1), (RESERVE_BYTES - 1, 1), (RESERVE_BYTES, 2)] {
            assert_eq!(reservation(None, offset), steps * RESERVE_BYTES, "{offset}");
        }
    }
}
