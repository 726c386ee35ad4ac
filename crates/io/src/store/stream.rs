//! Streams pieces to a client in pooled buffers, from the page cache without leaving the thread.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::buffer::{BUFFER_BYTES, Buffer, Pool};
use super::{Local, Piece, StoreError};

/// What is still to be sent.
struct Rest {
    store: Local,
    pieces: VecDeque<Piece>,
    pool: Pool,
}

/// Sends the pieces in order; ends after the first error.
pub(super) fn stream(
    store: Local,
    pieces: Vec<Piece>,
    pool: Pool,
) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
    let rest = Rest { store, pieces: pieces.into(), pool };
    unfold(rest, |mut rest| async move {
        let next = rest.next().await?;
        if next.is_err() {
            rest.pieces.clear();
        }
        Some((next, rest))
    })
}

impl Rest {
    /// One buffer with as many of the pieces as fit: a virtual segment has a hundred small ones.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let first = loop {
            match self.pieces.pop_front()? {
                Piece::Literal(bytes) if bytes.is_empty() => {}
                Piece::Object { len: 0, .. } | Piece::File { len: 0, .. } => {}
                // A long literal is sent as it is.
                Piece::Literal(bytes) if bytes.len() >= BUFFER_BYTES => return Some(Ok(bytes)),
                Piece::Literal(bytes) if self.pieces.is_empty() => return Some(Ok(bytes)),
                piece @ (Piece::Literal(_) | Piece::Object { .. } | Piece::File { .. }) => break piece,
            }
        };
        self.pieces.push_front(first);
        let buffer = self.pool.take();
        let mut reads = Vec::new();
        match self.plan(buffer, &mut reads) {
            Ok((buffer, filled)) => Some(fill(buffer, reads, filled).await),
            Err(error) => Some(Err(error)),
        }
    }

    /// Copies literals to their places and lists what must be read into the others; how much that is in all.
    fn plan(&mut self, mut buffer: Buffer, reads: &mut Vec<Read>) -> io::Result<(Buffer, usize)> {
        let mut at = 0;
        while at < BUFFER_BYTES {
            let Some(piece) = self.pieces.pop_front() else { break };
            let room = BUFFER_BYTES - at;
            let (file, offset, len) = match piece {
                Piece::Literal(mut bytes) => {
                    let take = bytes.split_to(bytes.len().min(room));
                    buffer.room()[at..at + take.len()].copy_from_slice(&take);
                    at += take.len();
                    if !bytes.is_empty() {
                        self.pieces.push_front(Piece::Literal(bytes));
                    }
                    continue;
                }
                Piece::Object { object, offset, len } => {
                    (self.store.file(object).map_err(into_io)?, offset, len)
                }
                Piece::File { file, offset, len } => (file, offset, len),
            };
            let take = usize::try_from(len).unwrap_or(usize::MAX).min(room);
            let (rest_at, rest) = (offset + take as u64, len - take as u64);
            if rest > 0 {
                self.pieces.push_front(Piece::File { file: Arc::clone(&file), offset: rest_at, len: rest });
            }
            reads.push(Read { file, offset, at, len: take });
            at += take;
        }
        Ok((buffer, at))
    }
}

/// Bytes of a file for a place of a buffer.
struct Read {
    file: Arc<File>,
    offset: u64,
    at: usize,
    len: usize,
}

/// Reads everything: from the page cache at once, and what is not there on a thread that may wait for the disk.
async fn fill(mut buffer: Buffer, mut reads: Vec<Read>, filled: usize) -> io::Result<Bytes> {
    let mut missing = reads.len();
    for (number, read) in reads.iter_mut().enumerate() {
        let got = cached(&read.file, read.offset, &mut buffer.room()[read.at..read.at + read.len])?;
        if got < read.len {
            read.offset += got as u64;
            read.at += got;
            read.len -= got;
            missing = number;
            break;
        }
    }
    if missing == reads.len() {
        return Ok(buffer.freeze(filled));
    }
    let read = move || {
        for read in &reads[missing..] {
            read.file.read_exact_at(&mut buffer.room()[read.at..read.at + read.len], read.offset)?;
        }
        Ok(buffer.freeze(filled))
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
}

/// Reads what the page cache has, from the front; never waits for a disk.
pub(super) fn cached(file: &File, offset: u64, room: &mut [u8]) -> io::Result<usize> {
    match preadv2(file, &mut [IoSliceMut::new(room)], offset, ReadWriteFlags::NOWAIT) {
        Ok(read) => Ok(read),
        Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR | Errno::NOSYS | Errno::PERM) => Ok(0),
        Err(errno) => Err(errno.into()),
    }
}

fn into_io(error: StoreError) -> io::Error {
    match error {
        StoreError::Io(error) => error,
        other @ (StoreError::Absent(_)
        | StoreError::Exists(_)
        | StoreError::Short(_)
        | StoreError::NoSpace) => io::Error::other(other),
    }
}
