//! The file below an upload: opened twice, once past the page cache; locked while anybody writes.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt as _, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, FlockOperation, OFlags, fallocate, flock, fstatvfs};
use rustix::io::Errno;

use super::aligned::BLOCK_BYTES;
use super::{Config, Direct, SpoolError};

/// With less than this to come, the page cache is as cheap.
const DIRECT_FROM_BYTES: u64 = 8 << 20;
/// Buffered writes above 32 KiB cost three to six times the processor time on kernels with large folios.
const BUFFERED_WRITE_BYTES: usize = 32 << 10;
/// Buffered bytes after which the disk is asked to catch up, so that a commit never waits for gigabytes.
const BUFFERED_SYNC_BYTES: u64 = 32 << 20;
/// The unit in which `stat` counts what a file occupies.
const STAT_BLOCK_BYTES: u64 = 512;

/// What a writer asks of the thing below it. Tests put one there that fails, or loses power.
pub(super) trait Disk: Debug + Send + Sync {
    /// Writes bytes at an offset that is a multiple of the block size.
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes everything that was written durable, with the name of the file.
    fn sync(&self) -> io::Result<()>;
    /// The file may be new, so its name is not durable yet.
    fn is_name_unsynced(&self) -> bool;
    /// Reads what was written.
    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
}

/// An upload's file. The lock is free again when the last write that holds this has ended.
#[derive(Debug)]
pub(super) struct FileDisk {
    path: PathBuf,
    buffered: File,
    direct: Option<File>,
    direct_works: AtomicBool,
    unsynced: AtomicU64,
    name_unsynced: AtomicBool,
    /// A sync has failed. The kernel reports lost writes once, so no later sync may be believed.
    broken: AtomicBool,
    /// No space is set aside for this file, so each write must leave so many bytes free.
    keep_free_bytes: Option<u64>,
}

/// The file of an upload while nobody else may write it. Nothing of it was changed yet.
#[derive(Debug)]
pub struct Locked {
    path: PathBuf,
    file: File,
    made: bool,
}

/// How an attempt to lock ended.
pub(super) enum Tried {
    /// The file is ours.
    Ours(Locked),
    /// There is no such file, and none was to be made.
    Absent,
    /// Another writer, or its last write, still holds it.
    Held,
}

impl Locked {
    /// Locks the file; with `or_make` it is made where it is missing.
    pub(super) fn try_open(path: &Path, or_make: bool) -> Result<Tried, SpoolError> {
        let mut options = File::options();
        options.read(true).write(true);
        let (file, made) = match options.open(path) {
            Ok(file) => (file, false),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !or_make => return Ok(Tried::Absent),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (options.create(true).truncate(false).open(path)?, true)
            }
            Err(error) => return Err(error.into()),
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            // Whoever had it may have removed it between our two steps.
            Ok(()) if file.metadata()?.nlink() == 0 => Ok(Tried::Held),
            Ok(()) => Ok(Tried::Ours(Self { path: path.to_owned(), file, made })),
            Err(Errno::WOULDBLOCK) => Ok(Tried::Held),
            Err(errno) => Err(io::Error::from(errno).into()),
        }
    }

    /// Gives the file back unchanged; one that was made for this goes.
    pub fn give_back(self) {
        if self.made {
            // Where it cannot be removed the disk is broken, and the next writer will hear of it.
            drop(std::fs::remove_file(&self.path));
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn file(&self) -> &File {
        &self.file
    }
}

impl FileDisk {
    /// The file from `offset` on; what lies behind it is cut off.
    pub(super) fn of(
        locked: Locked,
        offset: u64,
        expected: Option<u64>,
        config: &Config,
    ) -> Result<Self, SpoolError> {
        let Locked { path, file: buffered, made } = locked;
        let len = buffered.metadata()?.len();
        if len < offset {
            return Err(SpoolError::Lost { len, wanted: offset });
        }
        if len > offset {
            buffered.set_len(offset)?;
        }
        let to_come = expected.map(|expected| expected.saturating_sub(offset));
        let large = to_come.is_none_or(|bytes| bytes >= DIRECT_FROM_BYTES);
        let reserved = match to_come.filter(|_| large) {
            Some(bytes) => reserve(&buffered, offset, bytes, config.keep_free_bytes)?,
            None => false,
        };
        let direct = if large && config.direct == Direct::Auto { open_direct(&path) } else { None };
        Ok(Self {
            path,
            buffered,
            direct_works: AtomicBool::new(direct.is_some()),
            direct,
            unsynced: AtomicU64::new(0),
            // A copy is begun in the middle, and its name is new all the same.
            name_unsynced: AtomicBool::new(offset == 0 || made),
            broken: AtomicBool::new(false),
            keep_free_bytes: (large && !reserved).then_some(config.keep_free_bytes),
        })
    }

    fn sync_bytes(&self) -> io::Result<()> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(io::Error::other("an earlier sync of this file failed"));
        }
        let synced = self.buffered.sync_data();
        self.broken.store(synced.is_err(), Ordering::Relaxed);
        self.unsynced.store(0, Ordering::Relaxed);
        synced
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
}

impl Disk for FileDisk {
    /// Full blocks go past the page cache, the tail through it.
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Some(keep) = self.keep_free_bytes
            && free_bytes(&self.buffered)? < keep.saturating_add(bytes.len() as u64)
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let full = bytes.len() / BLOCK_BYTES * BLOCK_BYTES;
        let done = if self.write_direct(&bytes[..full], offset)? { full } else { 0 };
        let mut at = offset + done as u64;
        for slice in bytes[done..].chunks(BUFFERED_WRITE_BYTES) {
            self.buffered.write_all_at(slice, at)?;
            at += slice.len() as u64;
            let unsynced = self.unsynced.fetch_add(slice.len() as u64, Ordering::Relaxed);
            if unsynced >= BUFFERED_SYNC_BYTES {
                self.sync_bytes()?;
            }
        }
        Ok(())
    }

    /// Direct writes need it too: sizes, extents, the drive's cache.
    fn sync(&self) -> io::Result<()> {
        self.sync_bytes()?;
        if self.name_unsynced.load(Ordering::Relaxed) {
            let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(dir)?.sync_all()?;
            self.name_unsynced.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    fn is_name_unsynced(&self) -> bool {
        self.name_unsynced.load(Ordering::Relaxed)
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.buffered.read_exact_at(bytes, offset)
    }
}

fn open_direct(path: &Path) -> Option<File> {
    let flag = i32::try_from(OFlags::DIRECT.bits()).expect("because it is one of the low bits");
    File::options().write(true).custom_flags(flag).open(path).ok()
}

fn free_bytes(file: &File) -> io::Result<u64> {
    let found = fstatvfs(file)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Sets the space aside at once: "no space" comes before the bytes, and the file is in few pieces. Whether the file
/// system could.
fn reserve(file: &File, offset: u64, bytes: u64, keep_free_bytes: u64) -> Result<bool, SpoolError> {
    // An earlier request of the same upload may have set all of it aside.
    let has = file.metadata()?.blocks().saturating_mul(STAT_BLOCK_BYTES);
    let lacks = offset.saturating_add(bytes).saturating_sub(has);
    if lacks > 0 && free_bytes(file)? < lacks.saturating_add(keep_free_bytes) {
        return Err(SpoolError::NoSpace);
    }
    match fallocate(file, FallocateFlags::KEEP_SIZE, offset, bytes) {
        Err(Errno::NOSPC | Errno::DQUOT) => Err(SpoolError::NoSpace),
        Ok(()) => Ok(true),
        // Not every file system can; then each write looks.
        Err(_) => Ok(false),
    }
}
