//! Stores: places for objects, which are immutable bytes. The one of the data directory, under ids; and others, under keys.

pub mod bucket;
mod buffer;
#[cfg(test)]
mod contract;
mod disk;
mod facts;
pub mod fake;
mod guard;
mod inbox;
mod join;
mod local;
mod memory;
mod mend;
pub mod plate;
mod port;
mod quarantine;
mod s3;
mod stores;
mod stream;
mod take;
#[cfg(test)]
mod tests;
pub mod trial;

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use matinee_core::id::ObjectId;
use rustix::io::Errno;

pub use disk::Disk;
pub use facts::{ConditionalPut, Facts};
pub use guard::{Known, Trust};
pub use inbox::Inbox;
pub use local::{Local, Writer, free_bytes_at};
pub use memory::Memory;
pub use mend::Mending;
pub use port::{
    Answer, Begun, Depth, Hidden, KEY_BYTES_MAX, Looked, OldVersion, OpenUpload, Page, Proof, Put, Reading,
    RemoteError, Seen, Store, Told, Untold,
};
pub use quarantine::Quarantine;
pub use s3::{Access, PATIENCE, Patience, S3};
pub use stores::{Opened, Place, StoreConfig, Stores, Unusable};
pub use take::{Original, OriginalError, Taken, Taking};

/// Is it about these bytes, and not about the disk as a whole? A sector that has gone bad is.
pub fn is_unreadable(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::IO | Errno::ISDIR))
}

/// A run of bytes, and where they are.
#[derive(Debug, Clone)]
pub enum Piece {
    /// The bytes themselves.
    Literal(Bytes),
    /// `len` bytes from `offset` of an object of this store.
    Object {
        /// The object.
        object: ObjectId,
        /// The first byte.
        offset: u64,
        /// How many bytes.
        len: u64,
    },
    /// `len` bytes from `offset` of a file outside the store, for example the output of ffmpeg.
    File {
        /// The open file.
        file: Arc<File>,
        /// The first byte.
        offset: u64,
        /// How many bytes.
        len: u64,
    },
}

/// What was written, durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Bytes.
    pub size: u64,
    /// The BLAKE3 hash of all bytes.
    pub blake3: [u8; 32],
}

/// How a removal ended; in both cases the object is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It was there and is gone.
    Gone,
    /// It was not there.
    WasAbsent,
}

/// One file of the store's own listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// An object.
    Object {
        /// Its id.
        object: ObjectId,
        /// Its bytes.
        size: u64,
    },
    /// A file that no object explains.
    Stray {
        /// Where it lies.
        path: std::path::PathBuf,
    },
}

/// Why a store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The object is not there.
    #[error("{0} is not in the store")]
    Absent(ObjectId),
    /// Objects are immutable, and this one exists.
    #[error("{0} is in the store already")]
    Exists(ObjectId),
    /// The object is shorter than what was asked for.
    #[error("{0} ends before the bytes that were asked for")]
    Short(ObjectId),
    /// The disk is full.
    #[error("no space is left in the store")]
    NoSpace,
    /// Anything else that the machine says.
    #[error("the store's disk: {0}")]
    Io(#[source] io::Error),
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::NoSpace
        } else {
            Self::Io(error)
        }
    }
}

impl Piece {
    /// The length in bytes.
    pub const fn len(&self) -> u64 {
        match self {
            Self::Literal(bytes) => bytes.len() as u64,
            Self::Object { len, .. } | Self::File { len, .. } => *len,
        }
    }

    /// Leaves out the first bytes, as many as it has at most.
    pub fn skip(&mut self, bytes: u64) {
        match self {
            Self::Literal(literal) => {
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(literal.len());
                drop(literal.split_to(bytes));
            }
            Self::Object { offset, len, .. } | Self::File { offset, len, .. } => {
                let bytes = bytes.min(*len);
                (*offset, *len) = (*offset + bytes, *len - bytes);
            }
        }
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
