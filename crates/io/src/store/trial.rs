//! Tries a store from end to end, as an owner would by hand, and says what was found. Nothing of it stays.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use rustix::fs::{MemfdFlags, memfd_create};

use super::Facts;
use super::port::{Depth, Proof, RemoteError, Store, Untold};
use crate::clock::Stopwatch;

/// A small object, in bytes.
const SMALL_BYTES: u64 = 1 << 20;
/// One that goes in parts, in bytes: more than two, and the last one is short.
const LONG_BYTES: u64 = (17 << 20) + 1;
/// Ranges that are read of both: the first byte, a piece over no border, and the last one.
const RANGES: [(u64, u64); 3] = [(0, 1), (70_001, 140_003), (SMALL_BYTES - 1, SMALL_BYTES)];
/// What a listing is asked for, at most: the store may hold much else.
const LISTED: usize = 10;

/// One thing that was tried.
#[derive(Debug)]
pub struct Step {
    /// A word for it.
    pub word: &'static str,
    /// What was found, or why it did not work.
    pub found: Result<String, RemoteError>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// Tries everything with keys that begin with `below`, and tells each step. What the store can do, if all went well.
pub async fn run(store: &dyn Store, below: &str, heard: &mut (dyn FnMut(Step) + Send)) -> Option<Facts> {
    let mut trial = Trial { store, heard, all_well: true };
    for (name, size) in [("small", SMALL_BYTES), ("long", LONG_BYTES)] {
        trial.object(&format!("{below}-{name}"), size).await;
    }
    if !trial.all_well {
        return None;
    }
    let started = Stopwatch::start();
    match store.facts(below, Depth::Whole).await {
        Ok(facts) => Some(facts),
        Err(error) => {
            heard(Step { word: "facts", found: Err(error), ms: started.elapsed_ms() });
            None
        }
    }
}

struct Trial<'a> {
    store: &'a dyn Store,
    heard: &'a mut (dyn FnMut(Step) + Send),
    all_well: bool,
}

impl Trial<'_> {
    async fn object(&mut self, key: &str, size: u64) {
        let store = self.store;
        self.step("put", put(store, key, size)).await;
        if self.all_well {
            self.step("read", read(store, key, size)).await;
            self.step("list", list(store, key)).await;
        }
        // Also what a failure has left.
        self.step("delete", delete(store, key)).await;
    }

    async fn step(&mut self, word: &'static str, trying: impl Future<Output = Result<String, RemoteError>>) {
        let started = Stopwatch::start();
        let found = trying.await;
        self.all_well &= found.is_ok();
        (self.heard)(Step { word, found, ms: started.elapsed_ms() });
    }
}

async fn put(store: &dyn Store, key: &str, size: u64) -> Result<String, RemoteError> {
    let file = bytes_of(size).map_err(RemoteError::File)?;
    let put = store.put(key, file, size, None, &Untold).await?;
    let proof = match put.proof {
        Proof::Hashed => "the store has the hash of what was sent",
        Proof::Sized => "the store has the length of what was sent",
    };
    Ok(format!("{size} bytes; {proof}"))
}

async fn read(store: &dyn Store, key: &str, size: u64) -> Result<String, RemoteError> {
    let looked = store.look(key).await?.ok_or(RemoteError::Absent)?;
    if looked.size != size {
        return Err(RemoteError::Wrong(format!("it has {} bytes of {size}", looked.size)));
    }
    for range in RANGES.into_iter().chain([(0, size)]).map(|(from, to)| from..to) {
        match same(store, key, range).await {
            // By the class that its owner has chosen.
            Err(RemoteError::Frozen(_)) => {
                return Ok(format!("{size} bytes are there, and must be thawed before they are read"));
            }
            done => done?,
        }
    }
    Ok(format!("{size} bytes, and {} ranges of them", RANGES.len()))
}

async fn list(store: &dyn Store, key: &str) -> Result<String, RemoteError> {
    // From just before it on.
    let page = store.list(Some(&key[..key.len() - 1]), LISTED).await?;
    let is_there = page.objects.iter().any(|seen| seen.key == key);
    Ok(if is_there { "it is listed" } else { "it is not listed: its listings may lag" }.to_owned())
}

async fn delete(store: &dyn Store, key: &str) -> Result<String, RemoteError> {
    store.remove(key, None).await?;
    match store.look(key).await? {
        None => Ok("it is gone".to_owned()),
        Some(_) => Err(RemoteError::Wrong("it is still there after it was deleted".to_owned())),
    }
}

async fn same(store: &dyn Store, key: &str, range: Range<u64>) -> Result<(), RemoteError> {
    let mut at = range.start;
    let mut reading = store.read(key, range.clone()).await?;
    while let Some(bytes) = reading.try_next().await? {
        if bytes != pattern(at, bytes.len()) {
            return Err(RemoteError::Wrong(format!("bytes {range:?} are not those that were put")));
        }
        at += bytes.len() as u64;
    }
    if at == range.end { Ok(()) } else { Err(RemoteError::Short) }
}

/// Bytes that differ from their neighbours in every block: a block in the wrong place is seen.
fn pattern(at: u64, len: usize) -> Vec<u8> {
    (at..at + len as u64).map(|at| (at ^ at >> 8 ^ at >> 16).to_le_bytes()[0]).collect()
}

/// A file in memory.
fn bytes_of(size: u64) -> io::Result<Arc<File>> {
    let file = File::from(memfd_create(c"matinee-trial", MemfdFlags::CLOEXEC)?);
    let len = usize::try_from(size).map_err(io::Error::other)?;
    file.write_all_at(&pattern(0, len), 0)?;
    Ok(Arc::new(file))
}
