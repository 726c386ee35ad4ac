//! Uploads: bytes on their way in, as a machine of states that knows nothing of a network or a disk.

pub mod checksum;
pub mod concat;
pub mod metadata;
pub mod resumable;

use serde::{Deserialize, Serialize};

use crate::limits::STALLED_MS;
use crate::time::Millis;

/// The way on which the bytes come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// A resumable upload (tus 1.0).
    Tus,
    /// A resumable upload as the IETF draft describes it.
    Resumable,
    /// A plain HTML form.
    Form,
    /// A path on the machine's own disk.
    Path,
    /// A link that the server fetches.
    Url,
    /// A recording that Zoom announced.
    Zoom,
    /// An object of a bucket that is looked through.
    Bucket,
    /// Straight to a host: no byte of it comes here.
    Direct,
}

impl Way {
    /// The word for this way in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tus => "tus",
            Self::Resumable => "resumable",
            Self::Form => "form",
            Self::Path => "path",
            Self::Url => "url",
            Self::Zoom => "zoom",
            Self::Bucket => "bucket",
            Self::Direct => "direct",
        }
    }
}

/// Where an upload is in its life, without the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It takes bytes.
    Open,
    /// All bytes are there and the video exists.
    Finished,
    /// Somebody ended it before its last byte.
    Cancelled,
    /// Nothing came for too long.
    Expired,
    /// Bytes that were acknowledged are not on the disk any more.
    Lost,
}

/// An upload's state; offsets and sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It takes bytes from `offset` on; `size` is `None` until the client has declared a length.
    Open {
        /// How many bytes are durable.
        offset: u64,
        /// The declared length.
        size: Option<u64>,
    },
    /// All `size` bytes are there.
    Finished {
        /// The length of the source.
        size: u64,
    },
    /// Somebody ended it before its last byte.
    Cancelled,
    /// Nothing came for too long.
    Expired,
    /// Acknowledged bytes are gone.
    Lost,
}

/// Why an upload does not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes do not continue where the upload ends.
    #[error("the upload continues at byte {at}")]
    OffsetMismatch {
        /// Where the next byte belongs.
        at: u64,
    },
    /// More bytes than were declared.
    #[error("the upload was declared to have {size} bytes")]
    TooLong {
        /// The declared length.
        size: u64,
    },
    /// A length was declared before, and another one now.
    #[error("the length is fixed at {size} bytes")]
    LengthFixed {
        /// The declared length.
        size: u64,
    },
    /// The declared length is below what was already received.
    #[error("{offset} bytes are here already")]
    LengthTooShort {
        /// How many bytes are durable.
        offset: u64,
    },
    /// Not all bytes are there.
    #[error("{missing} bytes are missing")]
    Incomplete {
        /// How many bytes are still to come.
        missing: u64,
    },
    /// What arrived is not what its sender says it is.
    #[error("the checksum of what arrived is another one")]
    Checksum,
    /// A final upload gets its bytes from its parts.
    #[error("the bytes of a final upload are those of its parts")]
    Final,
    /// The upload is over; the phase says how.
    #[error("the upload is over")]
    Over(Phase),
}

impl Refusal {
    /// The stable code for problem documents.
    pub const fn code(self) -> &'static str {
        match self {
            Self::OffsetMismatch { .. } => "upload_offset_mismatch",
            Self::TooLong { .. } => "upload_too_long",
            Self::LengthFixed { .. } => "upload_length_fixed",
            Self::LengthTooShort { .. } => "upload_length_too_short",
            Self::Incomplete { .. } => "upload_incomplete",
            Self::Checksum => "upload_checksum",
            Self::Final => "upload_final",
            Self::Over(Phase::Open) => "upload_open",
            Self::Over(Phase::Finished) => "upload_finished",
            Self::Over(Phase::Cancelled) => "upload_cancelled",
            Self::Over(Phase::Expired) => "upload_expired",
            Self::Over(Phase::Lost) => "upload_lost",
        }
    }
}

impl State {
    /// The state without its numbers.
    pub const fn phase(self) -> Phase {
        match self {
            Self::Open { .. } => Phase::Open,
            Self::Finished { .. } => Phase::Finished,
            Self::Cancelled => Phase::Cancelled,
            Self::Expired => Phase::Expired,
            Self::Lost => Phase::Lost,
        }
    }

    /// The state after `len` more bytes that begin at `offset` are durable.
    pub fn accept(self, offset: u64, len: u64) -> Result<Self, Refusal> {
        let (at, size) = self.open()?;
        if offset != at {
            return Err(Refusal::OffsetMismatch { at });
        }
        let end = offset.checked_add(len).ok_or(Refusal::TooLong { size: size.unwrap_or(u64::MAX) })?;
        match size {
            Some(size) if end > size => Err(Refusal::TooLong { size }),
            Some(_) | None => Ok(Self::Open { offset: end, size }),
        }
    }

    /// The state after the client has said how long the whole is.
    pub const fn declare_length(self, length: u64) -> Result<Self, Refusal> {
        let (offset, known) = match self.open() {
            Ok(open) => open,
            Err(refusal) => return Err(refusal),
        };
        match known {
            Some(size) if size != length => Err(Refusal::LengthFixed { size }),
            Some(_) | None if length < offset => Err(Refusal::LengthTooShort { offset }),
            Some(_) | None => Ok(Self::Open { offset, size: Some(length) }),
        }
    }

    /// The state after the last byte. Finishing twice is finishing once. Without a declared length the end is here.
    pub const fn finish(self) -> Result<Self, Refusal> {
        match self {
            Self::Finished { .. } => Ok(self),
            Self::Open { offset, size: Some(size) } if offset < size => {
                Err(Refusal::Incomplete { missing: size - offset })
            }
            Self::Open { offset, size: _ } => Ok(Self::Finished { size: offset }),
            Self::Cancelled | Self::Expired | Self::Lost => Err(Refusal::Over(self.phase())),
        }
    }

    /// The state after somebody gave it up. Cancelling twice is cancelling once.
    pub const fn cancel(self) -> Result<Self, Refusal> {
        match self {
            Self::Open { .. } | Self::Cancelled => Ok(Self::Cancelled),
            Self::Finished { .. } | Self::Expired | Self::Lost => Err(Refusal::Over(self.phase())),
        }
    }

    /// The state after nothing came for too long.
    pub const fn expire(self) -> Result<Self, Refusal> {
        match self {
            Self::Open { .. } | Self::Expired => Ok(Self::Expired),
            Self::Finished { .. } | Self::Cancelled | Self::Lost => Err(Refusal::Over(self.phase())),
        }
    }

    /// Are all declared bytes there, so that only finishing is left?
    pub const fn is_complete(self) -> bool {
        matches!(self, Self::Open { offset, size: Some(size) } if offset == size)
    }

    /// Did bytes come, and stop coming before the end? `updated` is when the last of them was durable.
    pub const fn has_stalled(self, updated: Millis, now: Millis) -> bool {
        matches!(self, Self::Open { offset, .. } if offset > 0) && now.since(updated) >= STALLED_MS
    }

    const fn open(self) -> Result<(u64, Option<u64>), Refusal> {
        match self {
            Self::Open { offset, size } => Ok((offset, size)),
            Self::Finished { .. } | Self::Cancelled | Self::Expired | Self::Lost => {
                Err(Refusal::Over(self.phase()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OPEN: State = State::Open { offset: 10, size: Some(30) };

    #[test]
    fn bytes_continue_exactly_where_the_upload_ends() {
        assert_eq!(OPEN.accept(10, 20), Ok(State::Open { offset: 30, size: Some(30) }));
        assert_eq!(OPEN.accept(9, 1), Err(Refusal::OffsetMismatch { at: 10 }));
        assert_eq!(OPEN.accept(10, 21), Err(Refusal::TooLong { size: 30 }));
        let endless = State::Open { offset: 10, size: None };
        assert_eq!(endless.accept(10, u64::MAX), Err(Refusal::TooLong { size: u64::MAX }));
    }

    #[test]
    fn a_length_is_declared_once() {
        let endless = State::Open { offset: 10, size: None };
        assert_eq!(endless.declare_length(30), Ok(OPEN));
        assert_eq!(OPEN.declare_length(30), Ok(OPEN));
        assert_eq!(OPEN.declare_length(31), Err(Refusal::LengthFixed { size: 30 }));
        assert_eq!(endless.declare_length(9), Err(Refusal::LengthTooShort { offset: 10 }));
    }

    #[test]
    fn an_upload_ends_once_and_says_how() {
        let full = OPEN.accept(10, 20).unwrap();
        assert!(full.is_complete() && !OPEN.is_complete());
        assert_eq!(OPEN.finish(), Err(Refusal::Incomplete { missing: 20 }));
        let finished = full.finish().unwrap();
        assert_eq!(finished.finish(), Ok(State::Finished { size: 30 }));
        assert_eq!(finished.cancel(), Err(Refusal::Over(Phase::Finished)));
        assert_eq!(finished.expire().unwrap_err().code(), "upload_finished");
        let cancelled = OPEN.cancel().unwrap();
        assert_eq!((cancelled, cancelled.cancel()), (State::Cancelled, Ok(State::Cancelled)));
        assert_eq!(cancelled.finish().unwrap_err().code(), "upload_cancelled");
        assert_eq!(OPEN.expire().unwrap().accept(10, 1).unwrap_err().code(), "upload_expired");
    }

    #[test]
    fn an_upload_has_stalled_when_its_bytes_stopped_coming() {
        let then = Millis(1_000_000);
        for (state, silent_ms, expected) in [
            (OPEN, STALLED_MS - 1, false),
            (OPEN, STALLED_MS, true),
            (State::Open { offset: 1, size: None }, STALLED_MS, true),
            (State::Open { offset: 0, size: Some(30) }, STALLED_MS, false),
            (State::Finished { size: 30 }, STALLED_MS, false),
            (State::Cancelled, STALLED_MS, false),
        ] {
            assert_eq!(state.has_stalled(then, then.plus(silent_ms)), expected, "{state:?} {silent_ms}");
        }
    }

    proptest! {
        #[test]
        fn what_was_accepted_is_never_lost_by_the_machine(steps in prop::collection::vec(0_u64..50, 0..40), size in 0_u64..600) {
            let mut state = State::Open { offset: 0, size: Some(size) };
            let mut sum = 0;
            for len in steps {
                match state.accept(sum, len) {
                    Ok(next) => { sum += len; state = next; }
                    Err(refusal) => prop_assert_eq!(refusal, Refusal::TooLong { size }),
                }
                prop_assert_eq!(state, State::Open { offset: sum, size: Some(size) });
                prop_assert_eq!(state.finish().is_ok(), sum == size);
            }
        }
    }
}
