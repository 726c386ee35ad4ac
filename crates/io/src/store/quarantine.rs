//! Where objects go that no row explains: out of the store, but not lost yet.

use std::fs;
use std::io;
use std::path::PathBuf;

use matinee_core::id::ObjectId;
use matinee_core::time::Millis;

use super::Local;

/// A folder beside a local store, on the same disk.
#[derive(Debug, Clone)]
pub struct Quarantine {
    dir: PathBuf,
}

impl Quarantine {
    /// The quarantine in this folder, which is made when something comes into it.
    pub const fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Puts an object of a store aside; its name there begins with the moment. Nothing when it is not there. Blocks.
    pub fn take(&self, store: &Local, object: ObjectId, now: Millis) -> io::Result<Option<PathBuf>> {
        fs::create_dir_all(&self.dir)?;
        let to = self.dir.join(format!("{}-{object}", now.0));
        match fs::rename(store.path_of(object), &to) {
            Ok(()) => Ok(Some(to)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes what was put aside at `before` or earlier; how many. What has no moment in its name stays. Blocks.
    pub fn clear(&self, before: Millis) -> io::Result<u64> {
        if !self.dir.is_dir() {
            return Ok(0);
        }
        let mut removed = 0;
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let moment = name.to_str().and_then(|name| name.split_once('-')?.0.parse().ok());
            if moment.is_some_and(|moment: i64| moment <= before.0) {
                fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_aside_stays_for_its_time_and_no_longer() {
        let dir = tempfile::tempdir().unwrap();
        let store = Local::open(dir.path()).unwrap();
        let quarantine = Quarantine::at(dir.path().join("quarantine"));
        let object = ObjectId::from_bits(7);
        assert_eq!(quarantine.clear(Millis(i64::MAX)).unwrap(), 0, "there is none yet");
        assert_eq!(quarantine.take(&store, object, Millis(5)).unwrap(), None, "there is no such object");
        let path = store.place(object).unwrap();
        fs::write(&path, "bytes").unwrap();
        let aside = quarantine.take(&store, object, Millis(5)).unwrap().unwrap();
        assert!(!path.exists());
        assert_eq!(fs::read(&aside).unwrap(), b"bytes");
        fs::write(dir.path().join("quarantine/notes.txt"), "of the operator").unwrap();
        assert_eq!(quarantine.clear(Millis(4)).unwrap(), 0);
        assert_eq!(quarantine.clear(Millis(5)).unwrap(), 1);
        assert!(!aside.exists() && dir.path().join("quarantine/notes.txt").exists());
    }
}
