//! What lies somewhere, read again from its first byte to its last and hashed: the proof that is believed. Only what its store
//! does not give back before it was thawed is known by what is said of it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use matinee_core::hash::{self, Running};
use matinee_core::id::ObjectId;
use matinee_core::replica::{Finding, Summing};
use matinee_io::clock::Stopwatch;
use matinee_io::store::{Reading, RemoteError, Store, StoreError, is_unreadable};

use super::Failure;
use crate::node::Node;

/// Bytes of a file that are hashed at a time.
const READ_BYTES: usize = 1 << 20;

/// What a look came to.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    /// So many bytes with this hash.
    Bytes(u64, [u8; 32]),
    /// It is not there.
    Nothing,
    /// It is there, and cannot be read.
    Unreadable,
    /// It must be thawed before it is read; its store tells so many bytes, and perhaps a tag that changes with them.
    Frozen(u64, Option<String>),
}

impl Seen {
    /// What that means where `expected` should be, of which the store has told this tag when it was put.
    pub(super) fn against(&self, expected: (u64, [u8; 32]), tag: Option<&str>) -> Finding {
        match self {
            Self::Bytes(size, hash) => Finding::of(expected, Some((*size, *hash))),
            Self::Nothing => Finding::of(expected, None),
            Self::Unreadable => Finding::Unreadable,
            Self::Frozen(size, told) => Finding::of_told((expected.0, tag), (*size, told.as_deref())),
        }
    }

    /// The hash of what is there, if it is as long as it should be.
    pub(super) fn hash(&self, size: u64) -> Option<[u8; 32]> {
        if let Self::Bytes(found, hash) = self { (*found == size).then_some(*hash) } else { None }
    }
}

/// How fast may be read.
pub(super) struct Pace {
    bytes_per_s: Option<u64>,
    since: Stopwatch,
    bytes: u64,
}

impl Pace {
    /// As fast as it goes.
    pub(super) fn free() -> Self {
        Self::of(None)
    }

    /// At most so many bytes in a second; 0 is no limit.
    pub(super) fn of(bytes_per_s: Option<u64>) -> Self {
        Self { bytes_per_s: bytes_per_s.filter(|rate| *rate > 0), since: Stopwatch::start(), bytes: 0 }
    }

    /// So many were read: waits until that is not too fast.
    pub(super) async fn keep(&mut self, bytes: u64) {
        let Some(rate) = self.bytes_per_s else { return };
        self.bytes += bytes;
        let due_ms = self.bytes.saturating_mul(1_000) / rate;
        let early_ms = due_ms.saturating_sub(self.since.elapsed_ms());
        if early_ms > 0 {
            tokio::time::sleep(Duration::from_millis(early_ms)).await;
        }
    }
}

/// The length and the hash of what is in a file.
pub(super) async fn hashed(file: Arc<File>, pace: &mut Pace) -> std::io::Result<(u64, [u8; 32])> {
    let (mut hash, mut at, mut buffer) = (Running::default(), 0, vec![0; READ_BYTES]);
    loop {
        let file = Arc::clone(&file);
        let read = tokio::task::spawn_blocking(move || {
            let read = file.read_at(&mut buffer, at)?;
            hash.add(&buffer[..read]);
            Ok::<_, std::io::Error>((read, hash, buffer))
        });
        let read_bytes;
        (read_bytes, hash, buffer) = read.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic)))?;
        if read_bytes == 0 {
            return Ok((at, hash.end()));
        }
        at += read_bytes as u64;
        pace.keep(read_bytes as u64).await;
    }
}

/// What others hash a file to.
pub(super) async fn summed(file: Arc<File>) -> Result<Summing, RemoteError> {
    let work = move || {
        let (mut sums, mut at, mut buffer) = (Summing::default(), 0, vec![0; READ_BYTES]);
        loop {
            let read = file.read_at(&mut buffer, at)?;
            if read == 0 {
                return Ok(sums);
            }
            sums.add(&buffer[..read]);
            at += read as u64;
        }
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| Err(std::io::Error::other(panic))).map_err(RemoteError::File)
}

/// The local file of an object.
pub(super) async fn local(node: &Node, object: ObjectId, pace: &mut Pace) -> Result<Seen, Failure> {
    // The file may be gone while an open one is still kept.
    if !node.store.exists(object).await? {
        return Ok(Seen::Nothing);
    }
    let file = match node.store.file(object) {
        Ok(file) => file,
        Err(StoreError::Absent(_)) => return Ok(Seen::Nothing),
        Err(error) => return Err(error.into()),
    };
    match hashed(file, pace).await {
        Ok((size, hash)) => Ok(Seen::Bytes(size, hash)),
        Err(error) if is_unreadable(&error) => {
            tracing::error!(%error, %object, "a local file cannot be read");
            Ok(Seen::Unreadable)
        }
        Err(error) => Err(error.into()),
    }
}

/// What lies in a store under a key, where `size` bytes should lie; what is read is added to `sums`, too.
pub(super) async fn read_back(
    store: &dyn Store,
    (key, size): (&str, u64),
    pace: &mut Pace,
    sums: Option<&mut Summing>,
) -> Result<Seen, RemoteError> {
    let Some(there) = store.look(key).await? else { return Ok(Seen::Nothing) };
    if there.size != size || size == 0 {
        return Ok(Seen::Bytes(there.size, hash::of(b"")));
    }
    let seen = match store.read(key, 0..size).await {
        Ok(bytes) => hash_of(bytes, pace, sums).await,
        Err(error) => Err(error),
    };
    match seen {
        Err(RemoteError::Absent) => Ok(Seen::Nothing),
        Err(RemoteError::Frozen(_)) => Ok(Seen::Frozen(there.size, there.tag)),
        // It can be read as little tomorrow, and it is only about this one.
        Err(RemoteError::Unreadable(_) | RemoteError::Wrong(_)) => Ok(Seen::Unreadable),
        seen => seen,
    }
}

async fn hash_of(
    mut bytes: Reading,
    pace: &mut Pace,
    mut sums: Option<&mut Summing>,
) -> Result<Seen, RemoteError> {
    let (mut hash, mut size) = (Running::default(), 0);
    while let Some(chunk) = bytes.next().await {
        match chunk {
            Ok(chunk) => {
                hash.add(&chunk);
                if let Some(sums) = &mut sums {
                    sums.add(&chunk);
                }
                size += chunk.len() as u64;
                pace.keep(chunk.len() as u64).await;
            }
            Err(RemoteError::Short) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(Seen::Bytes(size, hash.end()))
}
