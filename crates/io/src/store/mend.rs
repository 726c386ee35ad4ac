//! A file that takes the place of an object's local file, at once and only when it is whole.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;

use matinee_core::id::ObjectId;

use super::{Local, StoreError};

/// A file that is being filled; dropped before it is finished, nothing of it stays.
#[derive(Debug)]
pub struct Mending {
    store: Local,
    object: ObjectId,
    file: Arc<File>,
    beside: PathBuf,
    finished: bool,
}

impl Local {
    /// Begins to fill a file for an object, under a name `beside` on the same disk. Blocks.
    pub fn mend(&self, object: ObjectId, beside: PathBuf) -> Result<Mending, StoreError> {
        if let Some(folder) = beside.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&beside)?;
        Ok(Mending { store: self.clone(), object, file: Arc::new(file), beside, finished: false })
    }
}

impl Mending {
    /// The file, to be filled.
    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Puts it in the place of the object's file, durably. Who reads the old one goes on with that. Blocks.
    pub fn finish(mut self) -> Result<(), StoreError> {
        self.file.sync_all()?;
        let path = self.store.place(self.object)?;
        fs::rename(&self.beside, &path)?;
        self.finished = true;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        self.store.forget(self.object);
        Ok(())
    }
}

impl Drop for Mending {
    fn drop(&mut self) {
        if !self.finished {
            // The next start clears the folder in which it lies.
            let _ = fs::remove_file(&self.beside);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn a_bad_file_is_replaced_when_the_good_one_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let store = Local::open(dir.path()).unwrap();
        let object = ObjectId::from_bits(7);
        fs::write(store.place(object).unwrap(), b"bad").unwrap();
        let before = store.file(object).unwrap();
        let beside = dir.path().join("work/copy");
        let given_up = store.mend(object, beside.clone()).unwrap();
        given_up.file().write_all_at(b"half", 0).unwrap();
        drop(given_up);
        assert!(!beside.exists(), "nothing stays of what was given up");
        assert_eq!(fs::read(store.path_of(object)).unwrap(), b"bad");
        let mending = store.mend(object, beside.clone()).unwrap();
        mending.file().write_all_at(b"good again", 0).unwrap();
        mending.finish().unwrap();
        let mut read = [0; 10];
        store.file(object).unwrap().read_exact_at(&mut read, 0).unwrap();
        assert_eq!((&read, beside.exists()), (b"good again", false));
        assert_eq!(before.metadata().unwrap().len(), 3, "who reads it already goes on");
    }
}
