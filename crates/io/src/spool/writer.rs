//! The writer of one upload: one buffer is filled while the other is written.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use super::aligned::{Aligned, BLOCK_BYTES};
use super::disk::Disk;
use super::tree::{Hashed, Slab, Tally};
use super::{Spool, SpoolError, blocking};

/// Blocks of a buffer while at least half of the budget is free (512 KiB): two of them stay in a processor's cache, and an
/// upload takes no more than 2 MiB with all that is around them.
const BLOCKS_RICH: usize = 128;
/// While a quarter is free (256 KiB).
const BLOCKS_FAIR: usize = 64;
/// Under pressure (64 KiB).
const BLOCKS_POOR: usize = 16;
/// Bytes are hashed in runs that begin and end at multiples of this: BLAKE3 is quick where whole subtrees come at once.
const HASHED_BYTES: u64 = 64 << 10;

/// Appends to one upload. Dropping it loses nothing that was committed, and what is being written then holds the
/// file's lock until it is done.
#[derive(Debug)]
pub struct Writer {
    spool: Spool,
    path: PathBuf,
    disk: Arc<dyn Disk>,
    expected: Option<u64>,
    /// Where the first byte of `buffer` belongs; a multiple of the block size.
    base: u64,
    buffer: Option<Aligned>,
    spare: Option<Aligned>,
    flight: Option<JoinHandle<Landed>>,
    /// The hash of what was received, but for the end of the buffer. Bytes are hashed by the thread that copies them, while
    /// its cache has them.
    ahead: Tally,
    /// The hash of what was written.
    tally: Option<Tally>,
    received: u64,
    durable: u64,
    failed: bool,
}

/// A buffer that comes back from the disk.
#[derive(Debug)]
struct Landed {
    buffer: Option<Aligned>,
    /// The hash up to the end of the buffer, when it was written.
    tally: Option<Tally>,
    result: io::Result<()>,
    /// All bytes before this are durable.
    synced: Option<u64>,
    /// The kernel tells of lost writes once: from here on nobody knows what the file has.
    unknown: bool,
}

impl Writer {
    /// Continues where `tally` ends.
    pub(super) fn new(
        spool: Spool,
        (path, disk): (PathBuf, Arc<dyn Disk>),
        tally: Tally,
        expected: Option<u64>,
    ) -> Self {
        let offset = tally.at();
        Self {
            spool,
            path,
            disk,
            expected,
            base: offset,
            buffer: None,
            spare: None,
            flight: None,
            ahead: tally.clone(),
            tally: Some(tally),
            received: offset,
            durable: offset,
            failed: false,
        }
    }

    /// The offset after the last byte that was taken; not durable yet.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// The offset that the last commit made durable.
    pub const fn durable(&self) -> u64 {
        self.durable
    }

    /// Takes bytes; waits while both buffers are full, or while other uploads hold all memory. When the future is
    /// dropped, a part may have been taken: [`Writer::received`] tells.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), SpoolError> {
        while bytes.has_remaining() {
            if self.failed {
                return Err(SpoolError::Failed);
            }
            let Some(buffer) = self.buffer.as_mut() else {
                self.prepare().await?;
                continue;
            };
            let taken = buffer.put(&bytes);
            let full = buffer.is_full();
            bytes.advance(taken);
            self.received += taken as u64;
            self.hash(self.received / HASHED_BYTES * HASHED_BYTES);
            if full {
                self.land().await?;
                self.launch();
            }
        }
        Ok(())
    }

    /// Makes everything durable that was taken, and returns the durable offset.
    pub async fn commit(&mut self) -> Result<u64, SpoolError> {
        self.land().await?;
        if self.failed {
            return Err(SpoolError::Failed);
        }
        if self.durable == self.received && !self.disk.is_name_unsynced() {
            return Ok(self.durable);
        }
        self.fly(true);
        self.land().await?;
        // An upload that pauses must not keep the memory that others wait for.
        self.spare = None;
        if self.spool.budget.available_permits() < self.spool.blocks / 2 {
            self.buffer = None;
        }
        self.keep_tally();
        Ok(self.durable)
    }

    /// After a write has failed: makes durable what was written before it, gives up the rest, and returns the durable
    /// offset. After a failed sync that is the offset of the last commit.
    pub async fn salvage(&mut self) -> u64 {
        // What is still with the disk may fail as well; the tally tells how far the bytes have come.
        while self.flight.is_some() {
            drop(self.land().await);
        }
        let Some(written) = self.tally.as_ref().map(Tally::at) else { return self.durable };
        (self.buffer, self.spare) = (None, None);
        let disk = Arc::clone(&self.disk);
        if written > self.durable && blocking(move || Ok(disk.sync()?)).await.is_ok() {
            self.durable = written;
            self.keep_tally();
        }
        self.durable
    }

    /// The slabs that were closed since the last call; behind the durable offset after a commit.
    pub fn take_slabs(&mut self) -> Vec<Slab> {
        let slabs = self.tally.as_mut().map(Tally::take_closed).unwrap_or_default();
        if !slabs.is_empty() {
            if let Some(tally) = self.tally.as_ref().filter(|tally| tally.at() == self.ahead.at()) {
                self.ahead.clone_from(tally);
            }
            self.keep_tally();
        }
        slabs
    }

    /// The first so many slabs were hashed by earlier requests: [`Writer::hashed`] wants to be told them.
    pub fn needs_slabs(&self) -> u64 {
        self.tally.as_ref().map_or(0, Tally::needs)
    }

    /// The hash of the file, which ends at the durable offset.
    pub fn hashed(&mut self, earlier: &[Slab]) -> Hashed {
        self.spool.tallies.remove(&self.path);
        match self.tally.take() {
            Some(tally) => tally.end(earlier),
            None => Hashed { whole: None, slabs: Vec::new() },
        }
    }

    fn keep_tally(&self) {
        if let Some(tally) = self.tally.as_ref().filter(|tally| tally.at() == self.durable) {
            self.spool.tallies.insert(self.path.clone(), tally.clone());
        }
    }

    /// Hashes what the buffer has before `until`.
    fn hash(&mut self, until: u64) {
        let Some(buffer) = self.buffer.as_ref() else { return };
        let place = |at: u64| {
            usize::try_from(at - self.base).expect("because the buffer holds all that is not hashed")
        };
        if until > self.ahead.at() {
            let unhashed = place(self.ahead.at())..place(until);
            self.ahead.update(&buffer.bytes()[unhashed]);
        }
    }

    /// Sends the full buffer to the disk.
    fn launch(&mut self) {
        let len = self.buffer.as_ref().map_or(0, |buffer| buffer.bytes().len() as u64);
        self.fly(false);
        self.base += len;
    }

    /// Has the buffer written on another thread, and perhaps all that was written synced.
    fn fly(&mut self, sync: bool) {
        self.hash(self.received);
        let (disk, buffer, tally) = (Arc::clone(&self.disk), self.buffer.take(), Some(self.ahead.clone()));
        let (base, until) = (self.base, self.received);
        self.flight = Some(tokio::task::spawn_blocking(move || {
            let mut landed = Landed { buffer, tally, result: Ok(()), synced: None, unknown: false };
            if let Some(buffer) = landed.buffer.as_ref().filter(|buffer| buffer.is_unwritten()) {
                landed.result = disk.write(buffer.bytes(), base);
                landed.tally = landed.tally.filter(|_| landed.result.is_ok());
            }
            if sync && landed.result.is_ok() {
                landed.result = disk.sync();
                landed.synced = landed.result.is_ok().then_some(until);
                landed.unknown = landed.result.is_err();
            }
            landed
        }));
    }

    /// Waits for the buffer that is with the disk. The handle stays here until it answers, so that a dropped
    /// future loses neither the buffer nor the error.
    async fn land(&mut self) -> Result<(), SpoolError> {
        let Some(flight) = self.flight.as_mut() else { return Ok(()) };
        let landed = flight.await;
        self.flight = None;
        let landed = landed.unwrap_or_else(|panic| Landed {
            buffer: None,
            tally: None,
            result: Err(io::Error::other(panic)),
            synced: None,
            unknown: true,
        });
        if landed.unknown {
            self.tally = None;
        } else if landed.tally.is_some() {
            self.tally = landed.tally;
        }
        if let Err(error) = landed.result {
            self.failed = true;
            return Err(error.into());
        }
        self.durable = landed.synced.unwrap_or(self.durable);
        let Some(mut buffer) = landed.buffer else { return Ok(()) };
        buffer.keep_tail();
        if self.buffer.is_none() && landed.synced == Some(self.received) {
            self.base = self.received - buffer.bytes().len() as u64;
            self.buffer = Some(buffer);
        } else {
            // Another buffer was begun while the future of a commit was dropped.
            buffer.clear();
            self.spare = Some(buffer);
        }
        Ok(())
    }

    /// Gets a buffer, and reads back what its first block holds already.
    async fn prepare(&mut self) -> Result<(), SpoolError> {
        let head = usize::try_from(self.received % BLOCK_BYTES as u64).expect("because it is below a block");
        if head > 0 {
            // A commit whose future was dropped brings the buffer back.
            self.land().await?;
            if self.buffer.is_some() {
                return Ok(());
            }
        }
        let mut buffer = self.grant().await?;
        self.base = self.received - head as u64;
        if head > 0 {
            let (disk, base) = (Arc::clone(&self.disk), self.base);
            let read = blocking(move || {
                let mut bytes = vec![0; head];
                disk.read(&mut bytes, base)?;
                Ok(bytes)
            });
            buffer.put_written(&read.await?);
        }
        self.buffer = Some(buffer);
        Ok(())
    }

    /// The spare buffer, or a new one. Never waits for a second buffer while it has a first: all uploads could
    /// wait for each other.
    async fn grant(&mut self) -> Result<Aligned, SpoolError> {
        if self.spare.is_none() && self.flight.is_some() {
            let second = Arc::clone(&self.spool.budget).try_acquire_many_owned(self.blocks());
            match second {
                Ok(budget) => return Ok(Aligned::new(budget)),
                Err(_) => self.land().await?,
            }
        }
        if let Some(buffer) = self.spare.take().or_else(|| self.buffer.take()) {
            return Ok(buffer);
        }
        let budget = Arc::clone(&self.spool.budget).acquire_many_owned(self.blocks()).await;
        let budget: OwnedSemaphorePermit = budget.expect("because nobody closes the budget");
        Ok(Aligned::new(budget))
    }

    /// How many blocks the next buffer shall have: fewer under pressure, and no more than are still to come.
    fn blocks(&self) -> u32 {
        let free = self.spool.budget.available_permits();
        let blocks = if free * 2 >= self.spool.blocks {
            BLOCKS_RICH
        } else if free * 4 >= self.spool.blocks {
            BLOCKS_FAIR
        } else {
            BLOCKS_POOR
        };
        let to_come = self.expected.map_or(u64::MAX, |expected| expected.saturating_sub(self.received));
        // One block more for the head of a resumed upload; a full buffer is written before its end is known.
        let needed = usize::try_from(to_come / BLOCK_BYTES as u64).unwrap_or(usize::MAX).saturating_add(2);
        let blocks = blocks.min(needed).min(self.spool.blocks);
        u32::try_from(blocks).expect("because it is at most 128")
    }
}
