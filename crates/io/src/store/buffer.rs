//! Buffers for serving, used again and again: a buffer returns to its pool when the last byte of it is sent.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// One read of the disk; the best size for hyper, which writes header and body together.
pub(super) const BUFFER_BYTES: usize = 256 << 10;
/// More idle buffers than this (16 MiB) are given back to the system.
const IDLE_MAX: usize = 64;

/// A pool of buffers.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Vec<Box<[u8]>>>>);

impl Pool {
    /// An idle buffer or a new one.
    pub(super) fn take(&self) -> Buffer {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = idle.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice());
        Buffer { bytes, len: 0, pool: self.clone() }
    }

    fn give(&self, bytes: Box<[u8]>) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(bytes);
        }
    }
}

/// A buffer on loan.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    len: usize,
    pool: Pool,
}

impl Buffer {
    /// The whole room of the buffer, to be read into.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The first `len` bytes, without a copy; the buffer returns when they are dropped.
    pub(super) fn freeze(mut self, len: usize) -> Bytes {
        self.len = len.min(self.bytes.len());
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool.give(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_returns_when_its_last_slice_is_dropped() {
        let pool = Pool::default();
        let mut buffer = pool.take();
        buffer.room()[..5].copy_from_slice(b"hello");
        let bytes = buffer.freeze(5);
        let tail = bytes.slice(3..);
        drop(bytes);
        assert_eq!(pool.0.lock().unwrap().len(), 0);
        assert_eq!(&tail[..], b"lo");
        drop(tail);
        assert_eq!(pool.0.lock().unwrap().len(), 1);
    }
}
