//! The spool: writes the bytes of an upload so that the offset that we acknowledge is durable.
//!
//! Bytes are copied into aligned buffers and written in the background, past the page cache where the file
//! system allows it. An offset counts only after [`Writer::commit`], which ends with `fdatasync`.

mod aligned;
mod disk;
mod writer;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

pub use writer::Writer;

use aligned::BLOCK_BYTES;
use disk::{Disk, Opened};

/// How long a new writer waits for the last write of the one before it.
const LOCK_WAIT_MS: u64 = 5000;
/// How often it looks.
const LOCK_LOOK_MS: u64 = 5;

/// How the spool writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Whether the page cache is passed by.
    pub direct: Direct,
    /// Bytes of all buffers of all uploads together.
    pub memory_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { direct: Direct::Auto, memory_bytes: 64 << 20 }
    }
}

/// Whether the page cache is passed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direct {
    /// For large uploads, where the file system takes it.
    Auto,
    /// Never: the source stays hot for an encoder on the same machine.
    Never,
}

/// Why bytes could not be spooled. After any of these the writer is of no more use; the durable offset holds.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file has fewer bytes than were acknowledged: the upload is lost.
    #[error("the file has {len} bytes, but {wanted} were acknowledged")]
    Lost {
        /// Bytes of the file.
        len: u64,
        /// Bytes that were acknowledged.
        wanted: u64,
    },
    /// Another writer holds the file.
    #[error("another writer holds the file")]
    Busy,
    /// The disk is full.
    #[error("no space is left in the spool")]
    NoSpace,
    /// An earlier write failed.
    #[error("an earlier write to this upload failed")]
    Failed,
    /// Anything else that the machine says.
    #[error("the spool's disk: {0}")]
    Io(#[source] io::Error),
}

impl From<io::Error> for SpoolError {
    fn from(error: io::Error) -> Self {
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::NoSpace
        } else {
            Self::Io(error)
        }
    }
}

/// The spool of a process: one budget of memory for all uploads. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spool {
    direct: Direct,
    /// One permit per 4 KiB.
    budget: Arc<Semaphore>,
    blocks: usize,
}

impl Spool {
    /// A spool with its own budget.
    pub fn new(config: Config) -> Self {
        let blocks = (config.memory_bytes / BLOCK_BYTES).max(1);
        Self { direct: config.direct, budget: Arc::new(Semaphore::new(blocks)), blocks }
    }

    /// Continues the file at `offset`, which was durable; what lies behind it was never acknowledged and is cut
    /// off. At 0 the file is made; its folder exists. `expected` is the final length in bytes, if it is known.
    /// Waits for the last write of a writer that was dropped.
    pub async fn open(&self, path: &Path, offset: u64, expected: Option<u64>) -> Result<Writer, SpoolError> {
        for _ in 0..LOCK_WAIT_MS / LOCK_LOOK_MS {
            let (path, direct) = (path.to_owned(), self.direct);
            match blocking(move || Disk::open(&path, offset, expected, direct)).await? {
                Opened::Ours(disk) => return Ok(Writer::new(self.clone(), disk, offset, expected)),
                Opened::Held => tokio::time::sleep(Duration::from_millis(LOCK_LOOK_MS)).await,
            }
        }
        Err(SpoolError::Busy)
    }
}

/// The length of a spooled file in bytes; `None` when there is none.
pub async fn len(path: &Path) -> Result<Option<u64>, SpoolError> {
    let path = path.to_owned();
    blocking(move || match std::fs::metadata(path) {
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    })
    .await
}

/// Cuts a spooled file to its durable length, durably; a shorter file is [`SpoolError::Lost`].
pub async fn truncate_to(path: &Path, wanted: u64) -> Result<(), SpoolError> {
    let path = path.to_owned();
    blocking(move || {
        let file = std::fs::File::options().write(true).open(path)?;
        let len = file.metadata()?.len();
        if len < wanted {
            return Err(SpoolError::Lost { len, wanted });
        }
        file.set_len(wanted)?;
        Ok(file.sync_all()?)
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SpoolError> + Send + 'static,
) -> Result<T, SpoolError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| SpoolError::Io(io::Error::other(error)))?
}

#[cfg(test)]
mod tests;
