//! The file below an upload: opened twice, once past the page cache; locked while anybody writes.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, FlockOperation, OFlags, fallocate, flock};
use rustix::io::Errno;

use super::aligned::BLOCK_BYTES;
use super::{Direct, SpoolError};

/// With less than this to come, the page cache is as cheap.
const DIRECT_FROM_BYTES: u64 = 8 << 20;
/// Buffered writes above 32 KiB cost three to six times the processor time on kernels with large folios.
const BUFFERED_WRITE_BYTES: usize = 32 << 10;
/// Buffered bytes after which the disk is asked to catch up, so that a commit never waits for gigabytes.
const BUFFERED_SYNC_BYTES: u64 = 32 << 20;

/// An upload's file. The lock is free again when the last write that holds this has ended.
#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    buffered: File,
    direct: Option<File>,
    direct_works: AtomicBool,
    unsynced: AtomicU64,
    /// The file may be new, so its name is not durable yet.
    name_unsynced: AtomicBool,
}

/// How an attempt to open ended.
pub(super) enum Opened {
    /// The file is ours.
    Ours(Disk),
    /// Another writer, or its last write, still holds it.
    Held,
}

impl Disk {
    pub(super) fn open(
        path: &Path,
        offset: u64,
        expected: Option<u64>,
        direct: Direct,
    ) -> Result<Opened, SpoolError> {
        let opened = File::options().read(true).write(true).create(offset == 0).truncate(false).open(path);
        let buffered = match opened {
            Ok(file) => file,
            Err(error) if offset > 0 && error.kind() == io::ErrorKind::NotFound => {
                return Err(SpoolError::Lost { len: 0, wanted: offset });
            }
            Err(error) => return Err(error.into()),
        };
        match flock(&buffered, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(Opened::Held),
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
        let len = buffered.metadata()?.len();
        if len < offset {
            return Err(SpoolError::Lost { len, wanted: offset });
        }
        if len > offset {
            buffered.set_len(offset)?;
        }
        let to_come = expected.map(|expected| expected.saturating_sub(offset));
        let large = to_come.is_none_or(|bytes| bytes >= DIRECT_FROM_BYTES);
        if let Some(bytes) = to_come.filter(|_| large) {
            reserve(&buffered, offset, bytes)?;
        }
        let direct = if large && direct == Direct::Auto { open_direct(path) } else { None };
        Ok(Opened::Ours(Self {
            path: path.to_owned(),
            buffered,
            direct_works: AtomicBool::new(direct.is_some()),
            direct,
            unsynced: AtomicU64::new(0),
            name_unsynced: AtomicBool::new(offset == 0),
        }))
    }

    /// Writes bytes at an offset that is a multiple of the block size: full blocks past the page cache, the tail
    /// through it.
    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let full = bytes.len() / BLOCK_BYTES * BLOCK_BYTES;
        let done = if self.write_direct(&bytes[..full], offset)? { full } else { 0 };
        let mut at = offset + done as u64;
        for slice in bytes[done..].chunks(BUFFERED_WRITE_BYTES) {
            self.buffered.write_all_at(slice, at)?;
            at += slice.len() as u64;
            let unsynced = self.unsynced.fetch_add(slice.len() as u64, Ordering::Relaxed);
            if unsynced >= BUFFERED_SYNC_BYTES {
                self.buffered.sync_data()?;
                self.unsynced.store(0, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Whether the file system took them.
    fn write_direct(&self, blocks: &[u8], offset: u64) -> io::Result<bool> {
        let Some(direct) = self.direct.as_ref().filter(|_| self.direct_works.load(Ordering::Relaxed)) else {
            return Ok(false);
        };
        if blocks.is_empty() {
            return Ok(true);
        }
        match direct.write_all_at(blocks, offset) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.direct_works.store(false, Ordering::Relaxed);
                Ok(false)
            }
            other => other.map(|()| true),
        }
    }

    /// Makes everything that was written durable. Direct writes need it too: sizes, extents, the drive's cache.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.buffered.sync_data()?;
        self.unsynced.store(0, Ordering::Relaxed);
        if self.name_unsynced.load(Ordering::Relaxed) {
            let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(dir)?.sync_all()?;
            self.name_unsynced.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    pub(super) fn is_name_unsynced(&self) -> bool {
        self.name_unsynced.load(Ordering::Relaxed)
    }

    pub(super) fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.buffered.read_exact_at(bytes, offset)
    }
}

fn open_direct(path: &Path) -> Option<File> {
    let flag = i32::try_from(OFlags::DIRECT.bits()).expect("because it is one of the low bits");
    File::options().write(true).custom_flags(flag).open(path).ok()
}

/// Reserves the space at once: "no space" comes before the bytes, and the file is in few pieces.
fn reserve(file: &File, offset: u64, bytes: u64) -> Result<(), SpoolError> {
    match fallocate(file, FallocateFlags::KEEP_SIZE, offset, bytes) {
        Err(Errno::NOSPC | Errno::DQUOT) => Err(SpoolError::NoSpace),
        // Not every file system can; then the space is found when it is written.
        Ok(()) | Err(_) => Ok(()),
    }
}
