//! The spool: writes the bytes of an upload so that the offset that we acknowledge is durable.
//!
//! Bytes are copied into aligned buffers and written in the background, past the page cache where the file
//! system allows it. An offset counts only after [`Writer::commit`], which ends with `fdatasync`. BLAKE3 is computed on
//! the way, slab by slab.

mod aligned;
mod disk;
mod small;
mod tree;
mod writer;

use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

pub use disk::Locked;
pub use small::{SMALL_BYTES_MAX, Small};
pub use tree::{Hashed, SLAB_BYTES, Slab};
pub use writer::Writer;

use aligned::BLOCK_BYTES;
use disk::{Disk, FileDisk, Tried};
use tree::{Tally, closed_before};

/// How long a new writer waits for the last write of the one before it.
pub const LOCK_WAIT_MS: u64 = 5000;
/// How often it looks.
const LOCK_LOOK_MS: u64 = 5;
/// So many uploads that pause keep their half-hashed slab in memory, 2 KiB each; others read it again.
const TALLIES_MAX: usize = 1_024;
/// Bytes that are read at once when a slab is hashed again.
const REREAD_BYTES: usize = 256 << 10;
/// Where the kernel tells which of its starts this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// How the spool writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Whether the page cache is passed by.
    pub direct: Direct,
    /// Bytes of all buffers of all uploads together.
    pub memory_bytes: usize,
    /// Bytes that uploads leave free on the disk: databases and logs need room.
    pub keep_free_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { direct: Direct::Auto, memory_bytes: 64 << 20, keep_free_bytes: 0 }
    }
}

/// Whether the page cache is passed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
    config: Config,
    /// One permit per 4 KiB.
    budget: Arc<Semaphore>,
    blocks: usize,
    /// Where the hashing of an upload's open slab stopped, so that the next request need not read it again.
    tallies: Arc<Cache<PathBuf, Tally>>,
}

impl Spool {
    /// A spool with its own budget.
    pub fn new(config: Config) -> Self {
        let blocks = (config.memory_bytes / BLOCK_BYTES).max(1);
        let tallies = Arc::new(Cache::new(TALLIES_MAX));
        Self { config, budget: Arc::new(Semaphore::new(blocks)), blocks, tallies }
    }

    /// Continues the file at `offset`, which was durable; what lies behind it was never acknowledged and is cut
    /// off. At 0 the file is made; its folder exists. `expected` is the final length in bytes, if it is known; where
    /// the disk has not that much room, this is [`SpoolError::NoSpace`]. Waits for the last write of a writer that was
    /// dropped.
    pub async fn open(&self, path: &Path, offset: u64, expected: Option<u64>) -> Result<Writer, SpoolError> {
        let locked = self.lock(path, offset, LOCK_WAIT_MS).await?;
        self.go_on(locked, offset, expected).await
    }

    /// The lock of the file that is to be continued at `offset`, and nothing more: so it can be asked once more whether
    /// it is still to be, before anything is cut off. Waits so long for the last write of a writer that was dropped;
    /// after that this is [`SpoolError::Busy`].
    pub async fn lock(&self, path: &Path, offset: u64, wait_ms: u64) -> Result<Locked, SpoolError> {
        for _ in 0..wait_ms / LOCK_LOOK_MS {
            let path = path.to_owned();
            match blocking(move || Locked::try_open(&path, offset == 0)).await? {
                Tried::Ours(locked) => return Ok(locked),
                Tried::Absent => return Err(SpoolError::Lost { len: 0, wanted: offset }),
                Tried::Held => tokio::time::sleep(Duration::from_millis(LOCK_LOOK_MS)).await,
            }
        }
        Err(SpoolError::Busy)
    }

    /// Continues a locked file; see [`Spool::open`].
    pub async fn go_on(
        &self,
        locked: Locked,
        offset: u64,
        expected: Option<u64>,
    ) -> Result<Writer, SpoolError> {
        let (path, config) = (locked.path().to_owned(), self.config);
        let disk = blocking(move || FileDisk::of(locked, offset, expected, &config)).await?;
        self.on((path, Arc::new(disk)), offset, expected).await
    }

    /// What memory has of this file is of no use: somebody else writes it.
    pub fn forget(&self, path: &Path) {
        self.tallies.remove(path);
    }

    /// A writer on this disk. What the file has of the open slab is read again, unless memory still has its hash.
    async fn on(
        &self,
        (path, disk): (PathBuf, Arc<dyn Disk>),
        offset: u64,
        expected: Option<u64>,
    ) -> Result<Writer, SpoolError> {
        let kept = self.tallies.get(&path).filter(|tally| tally.at() == offset);
        let tally = match kept {
            Some(tally) => tally,
            None if offset == 0 => Tally::before(0),
            None => {
                let disk = Arc::clone(&disk);
                blocking(move || {
                    let mut tally = Tally::before(offset);
                    hash_again(&mut tally, offset, |bytes, at| disk.read(bytes, at))?;
                    Ok(tally)
                })
                .await?
            }
        };
        Ok(Writer::new(self.clone(), (path, disk), tally, expected))
    }
}

/// Reads and hashes what the file has from the tally's place up to `until`.
fn hash_again(
    tally: &mut Tally,
    until: u64,
    mut read: impl FnMut(&mut [u8], u64) -> io::Result<()>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    while tally.at() < until {
        let len = usize::try_from(until - tally.at()).unwrap_or(usize::MAX).min(REREAD_BYTES);
        bytes.resize(len, 0);
        read(&mut bytes, tally.at())?;
        tally.update(&bytes);
    }
    Ok(())
}

/// Which start of which machine this is; `None` where the kernel does not tell.
pub fn boot() -> Option<String> {
    std::fs::read_to_string(BOOT_ID).ok().map(|id| id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// What [`recover`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// All bytes before this are durable, and nothing lies behind it.
    pub offset: u64,
    /// Slabs that were closed behind the offset that was known.
    pub slabs: Vec<Slab>,
}

/// The lock of a file that may be there; [`SpoolError::Busy`] at once when somebody writes it.
pub async fn lock_there(path: &Path) -> Result<Option<Locked>, SpoolError> {
    let path = path.to_owned();
    blocking(move || match Locked::try_open(&path, false)? {
        Tried::Ours(locked) => Ok(Some(locked)),
        Tried::Absent => Ok(None),
        Tried::Held => Err(SpoolError::Busy),
    })
    .await
}

/// After the death of a process: what the file has beyond its durable `offset` is kept up to `most`, made durable, and
/// the rest is cut off. A shorter file is [`SpoolError::Lost`], as one that is not there.
pub async fn recover(file: Option<Locked>, offset: u64, most: u64) -> Result<Recovered, SpoolError> {
    blocking(move || {
        let Some(locked) = file else {
            if offset == 0 {
                return Ok(Recovered { offset, slabs: Vec::new() });
            }
            return Err(SpoolError::Lost { len: 0, wanted: offset });
        };
        let file = locked.file();
        let len = file.metadata()?.len();
        if len < offset {
            return Err(SpoolError::Lost { len, wanted: offset });
        }
        let kept = len.min(most).max(offset);
        file.set_len(kept)?;
        file.sync_all()?;
        let mut tally = Tally::before(offset);
        if closed_before(kept) > closed_before(offset) {
            hash_again(&mut tally, kept, |bytes, at| file.read_exact_at(bytes, at))?;
        }
        Ok(Recovered { offset: kept, slabs: tally.take_closed() })
    })
    .await
}

/// Copies the first `len` bytes of a file that another process may still write behind them; file systems that can,
/// share them. They are durable once the copy's own writer has committed.
pub async fn copy_before(from: &Path, to: &Locked, len: u64) -> Result<(), SpoolError> {
    let (from, into) = (from.to_owned(), to.file().try_clone()?);
    blocking(move || {
        let from = std::fs::File::open(from)?;
        let copied = io::copy(&mut from.take(len), &mut &into)?;
        if copied < len {
            return Err(SpoolError::Lost { len: copied, wanted: len });
        }
        into.sync_all()?;
        Ok(())
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
