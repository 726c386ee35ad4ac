//! A file that a runner fills: in pieces, again where a connection broke, by one at a time, and shut while it is judged.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use matinee_core::id::ObjectId;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{Local, StoreError, Written};

/// Bytes that are hashed at a time.
const READ_BYTES: usize = 256 << 10;

/// The open file; whoever has it is alone with it, on all nodes, until it is dropped.
#[derive(Debug)]
pub struct Inbox {
    file: File,
    made: bool,
}

impl Local {
    /// Opens the file of an object that is being received, and makes it if it is new; `None` while somebody else has it.
    /// Blocks.
    pub fn inbox(&self, object: ObjectId) -> Result<Option<Inbox>, StoreError> {
        let path = self.place(object)?;
        let made = !path.exists();
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Inbox { file, made })),
            Err(Errno::AGAIN) => Ok(None),
            Err(errno) => Err(io::Error::from(errno).into()),
        }
    }
}

impl Inbox {
    /// Did opening it make the file?
    pub const fn is_new(&self) -> bool {
        self.made
    }

    /// How many bytes are there. Blocks.
    pub fn len(&self) -> Result<u64, StoreError> {
        Ok(self.file.metadata()?.len())
    }

    /// Whether nothing is there. Blocks.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// Writes bytes at their place. Blocks.
    pub fn write(&self, at: u64, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(self.file.write_all_at(bytes, at)?)
    }

    /// Cuts off what lies behind `len`. Blocks.
    pub fn cut(&self, len: u64) -> Result<(), StoreError> {
        if self.len()? > len {
            self.file.set_len(len)?;
        }
        Ok(())
    }

    /// What is there. Blocks.
    pub fn judge(&self) -> Result<Written, StoreError> {
        let size = self.len()?;
        let (mut hash, mut at) = (blake3::Hasher::new(), 0);
        let mut buffer = vec![0; READ_BYTES];
        while at < size {
            let want = buffer.len().min(usize::try_from(size - at).unwrap_or(buffer.len()));
            self.file.read_exact_at(&mut buffer[..want], at)?;
            hash.update(&buffer[..want]);
            at += want as u64;
        }
        Ok(Written { size, blake3: *hash.finalize().as_bytes() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_received_has_one_writer_and_may_come_twice() {
        let dir = tempfile::tempdir().unwrap();
        let store = Local::open(dir.path()).unwrap();
        let object = ObjectId::from_bits(7);
        let first = store.inbox(object).unwrap().expect("because nobody has it");
        assert!(first.is_new() && store.inbox(object).unwrap().is_none(), "one at a time");
        first.write(0, b"hello wor").unwrap();
        first.write(6, b"world, and more").unwrap();
        first.cut(11).unwrap();
        drop(first);
        let second = store.inbox(object).unwrap().expect("because the first has gone");
        let expected = Written { size: 11, blake3: matinee_core::hash::of(b"hello world") };
        assert_eq!((second.is_new(), second.judge().unwrap()), (false, expected));
    }
}
