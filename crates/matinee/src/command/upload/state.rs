//! What is remembered of a file that is being sent: found again by what the file is, not by its name.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use matinee_core::hash;
use serde::{Deserialize, Serialize};

/// Bytes at the beginning and at the end that tell a file from another of its length and time.
const SAMPLE_BYTES: u64 = 64 << 10;

/// A file as it was when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) size: u64,
    modified_s: i64,
    modified_ns: i64,
}

impl Look {
    /// Looks at a file.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        if !found.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        Ok(Self { size: found.len(), modified_s: found.mtime(), modified_ns: found.mtime_nsec() })
    }

    /// The name under which this file on its way to this server is remembered.
    pub(super) fn fingerprint(self, path: &Path, server: &str) -> io::Result<String> {
        let mut file = File::open(path)?;
        let mut told =
            format!("{server}\n{} {} {}\n", self.size, self.modified_s, self.modified_ns).into_bytes();
        (&file).take(SAMPLE_BYTES).read_to_end(&mut told)?;
        file.seek(SeekFrom::Start(self.size.saturating_sub(SAMPLE_BYTES)))?;
        file.take(SAMPLE_BYTES).read_to_end(&mut told)?;
        let hash = hash::of(&told);
        Ok(format!("{:032x}", u128::from_be_bytes(*hash.first_chunk().expect("because a hash has 32 bytes"))))
    }
}

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
    /// Where the bytes go.
    pub(super) url: String,
    pub(super) video: Option<String>,
    pub(super) upload: Option<String>,
}

/// The place of one file's memory; nobody else sends this file while it is held.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    /// Its lock ends with this process, however that ends.
    _lock: File,
}

/// Where memories lie: `XDG_STATE_HOME`, or what stands for it.
pub(super) fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    named.or_else(home).map(|state| state.join("matinee/uploads"))
}

impl Memory {
    /// Opens the memory of a file; `None` when another process sends it right now.
    pub(super) fn open(folder: &Path, fingerprint: &str) -> io::Result<Option<Self>> {
        // The address of an upload is a right to write, so nobody else may read it.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let lock = folder.join(format!("{fingerprint}.lock"));
        let lock = File::options().create(true).truncate(false).write(true).mode(0o600).open(lock)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { path: folder.join(format!("{fingerprint}.json")), _lock: lock })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// What was saved; what cannot be read counts as nothing.
    pub(super) fn load(&self) -> io::Result<Option<Saved>> {
        match fs::read(&self.path) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Saves, durably: what is announced must be found again after any end.
    pub(super) fn save(&self, saved: &Saved) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
        file.write_all(&serde_json::to_vec(saved)?)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)
    }

    /// Forgets: the file is there, or its upload is over.
    pub(super) fn forget(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // An empty lock of a file that nobody sends any more helps nobody; one of a broken upload may stay.
        if !self.path.exists() {
            drop(fs::remove_file(self.path.with_extension("lock")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_what_it_is_and_where_it_goes() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&a, vec![7; 200_000]).unwrap();
        let look = Look::at(&a).unwrap();
        let print = look.fingerprint(&a, "https://one").unwrap();
        fs::rename(&a, &b).unwrap();
        assert_eq!(
            Look::at(&b).unwrap().fingerprint(&b, "https://one").unwrap(),
            print,
            "under another name"
        );
        assert_ne!(look.fingerprint(&b, "https://two").unwrap(), print, "to another server");
        let mut bytes = vec![7; 200_000];
        bytes[199_999] = 8;
        fs::write(&b, &bytes).unwrap();
        assert_ne!(look.fingerprint(&b, "https://one").unwrap(), print, "with another end");
        assert!(Look::at(dir.path()).is_err());
    }

    #[test]
    fn a_memory_is_held_by_one_and_survives_it() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::open(dir.path(), "x").unwrap().unwrap();
        assert!(Memory::open(dir.path(), "x").unwrap().is_none(), "it is being sent already");
        assert_eq!(memory.load().unwrap(), None);
        let saved = Saved { url: "u".to_owned(), video: Some("v".to_owned()), upload: None };
        memory.save(&saved).unwrap();
        drop(memory);
        let memory = Memory::open(dir.path(), "x").unwrap().unwrap();
        assert_eq!(memory.load().unwrap(), Some(saved));
        memory.forget().unwrap();
        memory.forget().unwrap();
        drop(memory);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
    }
}
