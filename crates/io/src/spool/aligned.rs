//! Buffers that begin at a multiple of 4 KiB, as writes past the page cache need them.

use tokio::sync::OwnedSemaphorePermit;

/// The alignment that every file system with direct writes accepts.
pub(super) const BLOCK_BYTES: usize = 4096;

/// A buffer that is filled from the front. It counts against the budget until it is dropped.
#[derive(Debug)]
pub(super) struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    room: usize,
    filled: usize,
    /// Bytes at the front that are in the file already.
    written: usize,
    _budget: OwnedSemaphorePermit,
}

impl Aligned {
    /// A buffer of as many blocks as the budget has permits.
    pub(super) fn new(budget: OwnedSemaphorePermit) -> Self {
        let room = budget.num_permits() * BLOCK_BYTES;
        let bytes = vec![0; room + BLOCK_BYTES];
        // A vector that never grows never moves, so the place stays aligned.
        let start = bytes.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK_BYTES);
        Self { bytes, start, room, filled: 0, written: 0, _budget: budget }
    }

    /// Copies as much as fits and says how much that was.
    pub(super) fn put(&mut self, from: &[u8]) -> usize {
        let take = from.len().min(self.room - self.filled);
        let at = self.start + self.filled;
        self.bytes[at..at + take].copy_from_slice(&from[..take]);
        self.filled += take;
        take
    }

    pub(super) const fn is_full(&self) -> bool {
        self.filled == self.room
    }

    pub(super) const fn is_unwritten(&self) -> bool {
        self.filled > self.written
    }

    /// The bytes of the buffer.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.filled]
    }

    /// Forgets the full blocks, which are written, and keeps the rest: the block will be written again when it
    /// is full.
    pub(super) fn keep_tail(&mut self) {
        let full = self.filled / BLOCK_BYTES * BLOCK_BYTES;
        self.bytes.copy_within(self.start + full..self.start + self.filled, self.start);
        self.filled -= full;
        self.written = self.filled;
    }

    /// Forgets everything.
    pub(super) const fn clear(&mut self) {
        self.filled = 0;
        self.written = 0;
    }

    /// Takes bytes that are in the file already.
    pub(super) fn put_written(&mut self, from: &[u8]) {
        self.put(from);
        self.written = self.filled;
    }
}
