//! Small uploads: one buffer, one write, one trip to another thread.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::aligned::BLOCK_BYTES;
use super::disk::{Disk as _, FileDisk, Locked, Tried};
use super::{LOCK_LOOK_MS, LOCK_WAIT_MS, Spool, SpoolError, blocking};

/// Whole uploads of at most this many bytes are gathered in memory first.
pub const SMALL_BYTES_MAX: u64 = 64 << 10;

/// The bytes of a small upload. They count against the budget until they are stored.
#[derive(Debug)]
pub struct Small {
    spool: Spool,
    bytes: Vec<u8>,
    _budget: OwnedSemaphorePermit,
}

impl Spool {
    /// Room for an upload of so many bytes, when they are few and memory is free; else they go through
    /// [`Spool::open`], which waits for its turn.
    pub fn small(&self, len: u64) -> Option<Small> {
        let len = usize::try_from(len).ok().filter(|_| len <= SMALL_BYTES_MAX)?;
        let blocks = u32::try_from(len.div_ceil(BLOCK_BYTES)).ok()?;
        let budget = std::sync::Arc::clone(&self.budget).try_acquire_many_owned(blocks).ok()?;
        Some(Small { spool: self.clone(), bytes: Vec::with_capacity(len), _budget: budget })
    }
}

impl Small {
    /// Takes bytes.
    pub fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What was taken.
    pub fn into_bytes(self) -> Bytes {
        self.bytes.into()
    }

    /// Makes the file, durably, and returns the BLAKE3 hash of its bytes. Its folder exists.
    pub async fn store(self, path: &Path) -> Result<[u8; 32], SpoolError> {
        let Self { spool, mut bytes, _budget } = self;
        for _ in 0..LOCK_WAIT_MS / LOCK_LOOK_MS {
            let (path, config) = (path.to_owned(), spool.config);
            let tried = blocking(move || {
                let Tried::Ours(locked) = Locked::try_open(&path, true)? else { return Ok(Err(bytes)) };
                let disk = FileDisk::of(locked, 0, Some(bytes.len() as u64), &config)?;
                disk.write(&bytes, 0)?;
                disk.sync()?;
                Ok(Ok(*blake3::hash(&bytes).as_bytes()))
            });
            match tried.await? {
                Ok(hash) => return Ok(hash),
                Err(back) => bytes = back,
            }
            tokio::time::sleep(Duration::from_millis(LOCK_LOOK_MS)).await;
        }
        Err(SpoolError::Busy)
    }
}
