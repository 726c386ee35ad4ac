//! Joins files of the store to a new one: by the kernel, which shares the blocks where the file system can.

use std::fs::{self, File};
use std::io;

use matinee_core::id::ObjectId;
use rustix::fs::copy_file_range;
use rustix::io::Errno;

use super::{Local, StoreError};

/// Bytes of one call; after each the caller may stop it.
const STEP_BYTES: u64 = 64 << 20;

impl Local {
    /// Makes a new object of these objects, one after the other, each with its length in bytes; durable when this
    /// returns. `step` hears how many bytes are there and says whether to go on. Blocks; what fails halfway leaves
    /// no file.
    pub fn join(
        &self,
        object: ObjectId,
        pieces: &[(ObjectId, u64)],
        step: &mut dyn FnMut(u64) -> bool,
    ) -> Result<u64, StoreError> {
        let path = self.place(object)?;
        let opened = File::options().read(true).write(true).create_new(true).open(&path);
        let taken = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists;
        let file =
            opened.map_err(|error| if taken(&error) { StoreError::Exists(object) } else { error.into() })?;
        let joined = self.join_to(&file, pieces, step);
        if joined.is_err() {
            // The row is still there, so the sweeper would find what this cannot remove.
            let _ = fs::remove_file(&path);
        }
        let size = joined?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(size)
    }

    fn join_to(
        &self,
        file: &File,
        pieces: &[(ObjectId, u64)],
        step: &mut dyn FnMut(u64) -> bool,
    ) -> Result<u64, StoreError> {
        let mut size = 0;
        for (object, len) in pieces {
            let source = self.file(*object)?;
            let mut at = 0;
            while at < *len {
                let copied = copy(&source, at, file, size, STEP_BYTES.min(*len - at))?;
                if copied == 0 {
                    return Err(StoreError::Short(*object));
                }
                at += copied;
                size += copied;
                if !step(size) {
                    return Err(io::Error::from(io::ErrorKind::Interrupted).into());
                }
            }
        }
        file.sync_all()?;
        Ok(size)
    }
}

/// Copies at most `len` bytes; 0 at the end of the source.
fn copy(source: &File, at: u64, target: &File, to: u64, len: u64) -> io::Result<u64> {
    use std::os::unix::fs::FileExt as _;
    let (mut from, mut into) = (at, to);
    let wanted = usize::try_from(len).unwrap_or(usize::MAX);
    match copy_file_range(source, Some(&mut from), target, Some(&mut into), wanted) {
        Ok(copied) => return Ok(copied as u64),
        // Some file systems cannot; then the bytes go through our hands.
        Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOSYS) => {}
        Err(errno) => return Err(errno.into()),
    }
    let mut buffer = vec![0; wanted.min(super::local::COPY_BYTES)];
    let read = source.read_at(&mut buffer, at)?;
    target.write_all_at(&buffer[..read], to)?;
    Ok(read as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(number: u128) -> ObjectId {
        ObjectId::from_bits(number)
    }

    #[test]
    fn files_are_joined_in_order_and_one_may_come_twice() {
        let dir = tempfile::tempdir().unwrap();
        let store = Local::open(dir.path()).unwrap();
        let (first, second) = (vec![1_u8; 5_000], vec![2_u8; 70_001]);
        fs::write(store.place(object(1)).unwrap(), &first).unwrap();
        fs::write(store.place(object(2)).unwrap(), &second).unwrap();
        let pieces = [(object(2), 70_001), (object(1), 5_000), (object(2), 70_001)];
        let size = store.join(object(3), &pieces, &mut |_| true).unwrap();
        assert_eq!(size, 145_002);
        assert_eq!(fs::read(store.path_of(object(3))).unwrap(), [&second[..], &first, &second].concat());
        assert!(matches!(store.join(object(3), &pieces, &mut |_| true), Err(StoreError::Exists(_))));
        assert_eq!(store.join(object(4), &[], &mut |_| true).unwrap(), 0);
    }

    #[test]
    fn a_join_that_fails_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = Local::open(dir.path()).unwrap();
        fs::write(store.place(object(1)).unwrap(), [7; 10]).unwrap();
        let short = store.join(object(2), &[(object(1), 11)], &mut |_| true);
        assert!(matches!(short, Err(StoreError::Short(_))), "{short:?}");
        assert!(store.join(object(2), &[(object(1), 10)], &mut |_| false).is_err());
        assert!(store.join(object(2), &[(object(9), 1)], &mut |_| true).is_err());
        assert!(!store.path_of(object(2)).exists());
    }
}
