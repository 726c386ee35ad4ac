//! What a place outside lists, beside the rows that explain it. Only what is surely ours, and surely not just being made or
//! deleted, is ever found to be one too many.

use super::limits::{LIST_LATE_MS, UNKNOWN_YOUNG_MS, UPLOAD_FORGOTTEN_MS};
use crate::ledger::State;
use crate::limits::QUARANTINE_MS;
use crate::time::Millis;

/// Which sort of place it is: a store and a host may have one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sort {
    /// A store.
    Store,
    /// A host.
    Host,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Thing {
    /// An object under its key.
    Object,
    /// An upload in parts that was begun and not ended.
    Upload,
    /// A version that no listing shows, or a mark that hides one.
    Version,
    /// A video at a host.
    Video,
}

impl Sort {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Host => "host",
        }
    }
}

impl Thing {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Upload => "upload",
            Self::Version => "version",
            Self::Video => "video",
        }
    }

    /// Can somebody still want it? Half an upload and what lies below a mark can never be an object again.
    const fn is_worth_keeping(self) -> bool {
        match self {
            Self::Object | Self::Video => true,
            Self::Upload | Self::Version => false,
        }
    }
}

/// What the ledger knows under the name that something carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// Just this.
    This {
        /// Where it is in its life.
        state: State,
        /// When it was proven gone.
        proven: Option<Millis>,
    },
    /// It may be this: its name at the place is not known yet.
    Perhaps,
    /// Another thing that was made for the same intent.
    Twin,
}

/// What a listing shows of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// Its name says that this server made it.
    pub is_ours: bool,
    /// When its name was made, if it carries one.
    pub made: Option<Millis>,
    /// What is known under that name.
    pub row: Option<Row>,
}

/// How it is explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explained {
    /// By its row.
    Known,
    /// It is not ours: counted, and otherwise left alone.
    Foreign,
    /// Not yet: its row may be written, or its deletion be shown, any moment.
    Young,
    /// It is one too many of those that were made for one intent.
    Spare,
    /// It is ours, and no row knows it.
    Unknown,
    /// It was proven gone, and is there.
    Again,
}

/// Explains what a listing shows that began at `began`.
pub fn explain(seen: Sighting, began: Millis) -> Explained {
    match seen.row {
        Some(Row::This { state: State::Gone, proven }) => {
            // A list may be late, and begins before it ends.
            let settled = proven.is_none_or(|proven| began.since(proven) > LIST_LATE_MS);
            if settled { Explained::Again } else { Explained::Young }
        }
        Some(Row::This { state: State::Intended | State::Present | State::ToDelete, .. } | Row::Perhaps) => {
            Explained::Known
        }
        Some(Row::Twin) => Explained::Spare,
        None if !seen.is_ours => Explained::Foreign,
        None => {
            let young = seen.made.is_none_or(|made| began.since(made) < UNKNOWN_YOUNG_MS);
            if young { Explained::Young } else { Explained::Unknown }
        }
    }
}

/// Is an upload in parts that was begun at `since` forgotten? `explained` says what its key is; `known` is whether its row knows just
/// this upload. Also a copy that is there can have one besides: the answer to its beginning was lost, and another one was begun.
pub fn is_forgotten(explained: Explained, known: bool, since: Millis, began: Millis) -> bool {
    let is_ours = !matches!(explained, Explained::Foreign | Explained::Spare);
    is_ours && !known && began.since(since) >= UPLOAD_FORGOTTEN_MS
}

/// What is done about something that no row knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing before this moment: the rows may have been restored from a backup of yesterday.
    Wait(Millis),
    /// It goes, through the ledger.
    Delete,
    /// It is only told, again and again: its owner has not allowed more.
    Tell,
}

/// What is done at `now` about something that was seen first at `first`; `allowed` is the owner's word for its place.
pub fn next(thing: Thing, (first, now): (Millis, Millis), allowed: bool) -> Next {
    let until = first.plus(QUARANTINE_MS);
    if thing.is_worth_keeping() && !allowed {
        Next::Tell
    } else if now.since(until) < 0 {
        Next::Wait(until)
    } else {
        Next::Delete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: Millis = Millis(1_700_000_000_000);

    #[test]
    fn only_what_is_ours_old_and_without_a_row_is_unknown() {
        let seen = |is_ours, age_ms: i64, row| Sighting { is_ours, made: Some(BEGAN.plus(-age_ms)), row };
        let this = |state, ago_ms: Option<i64>| {
            Some(Row::This { state, proven: ago_ms.map(|ago_ms| BEGAN.plus(-ago_ms)) })
        };
        for (sighting, expected) in [
            (seen(true, UNKNOWN_YOUNG_MS, None), Explained::Unknown),
            (seen(true, UNKNOWN_YOUNG_MS - 1, None), Explained::Young),
            (seen(true, -1, None), Explained::Young),
            (seen(false, UNKNOWN_YOUNG_MS, None), Explained::Foreign),
            (Sighting { is_ours: true, made: None, row: None }, Explained::Young),
            (seen(false, 0, this(State::Present, None)), Explained::Known),
            (seen(true, 0, this(State::Intended, None)), Explained::Known),
            (seen(true, 0, this(State::ToDelete, None)), Explained::Known),
            (seen(true, 0, Some(Row::Perhaps)), Explained::Known),
            (seen(true, 0, Some(Row::Twin)), Explained::Spare),
            (seen(true, 0, this(State::Gone, Some(LIST_LATE_MS))), Explained::Young),
            (seen(true, 0, this(State::Gone, Some(-5))), Explained::Young),
            (seen(true, 0, this(State::Gone, Some(LIST_LATE_MS + 1))), Explained::Again),
        ] {
            assert_eq!(explain(sighting, BEGAN), expected, "{sighting:?}");
        }
    }

    #[test]
    fn only_parts_that_are_ours_old_and_unknown_are_forgotten() {
        let ours = [Explained::Known, Explained::Young, Explained::Unknown, Explained::Again];
        for explained in ours.into_iter().chain([Explained::Foreign, Explained::Spare]) {
            let forgotten = |known, age_ms: i64| is_forgotten(explained, known, BEGAN.plus(-age_ms), BEGAN);
            assert_eq!(forgotten(false, UPLOAD_FORGOTTEN_MS), ours.contains(&explained), "{explained:?}");
            assert!(!forgotten(false, UPLOAD_FORGOTTEN_MS - 1) && !forgotten(true, 9 * UPLOAD_FORGOTTEN_MS));
        }
    }

    #[test]
    fn what_somebody_may_want_back_goes_only_when_its_owner_says_so() {
        let (first, until) = (BEGAN, BEGAN.plus(QUARANTINE_MS));
        for thing in [Thing::Object, Thing::Video] {
            assert_eq!(next(thing, (first, until), false), Next::Tell);
        }
        for (thing, allowed) in
            [(Thing::Object, true), (Thing::Video, true), (Thing::Upload, false), (Thing::Version, false)]
        {
            assert_eq!(next(thing, (first, until.plus(-1)), allowed), Next::Wait(until), "{thing:?}");
            assert_eq!(next(thing, (first, until), allowed), Next::Delete, "{thing:?}");
        }
    }
}
