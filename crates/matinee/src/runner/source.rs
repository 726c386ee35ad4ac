//! Sources on a runner: each is fetched once, read by all jobs of its video, and goes when it is in the way.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedMutexGuard};

/// The directory of sources, never larger than `keep_bytes` but for what running jobs read.
pub(super) struct Sources {
    dir: PathBuf,
    keep_bytes: u64,
    files: Mutex<Kept>,
    /// Told when a job has let go of its source.
    freed: Notify,
}

#[derive(Default)]
struct Kept {
    files: BTreeMap<String, Entry>,
    /// Counts uses, so that the one that was used longest ago goes first.
    uses: u64,
}

#[derive(Default)]
struct Entry {
    /// Bytes that it has or will have.
    size: u64,
    users: u32,
    used: u64,
    /// One job fetches it, the others wait.
    gate: Arc<tokio::sync::Mutex<()>>,
}

/// A source that a job reads; it stays while this is held.
pub(super) struct Reading<'a> {
    sources: &'a Sources,
    key: String,
    /// Held while it is fetched.
    gate: Option<OwnedMutexGuard<()>>,
}

impl Sources {
    /// Opens the directory with what an earlier run has left.
    pub(super) fn open(dir: &Path, keep_bytes: u64) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut kept = Kept::default();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let (name, size) = (entry.file_name(), entry.metadata()?.len());
            if let Some(name) = name.to_str() {
                let key = name.trim_end_matches(PART).to_owned();
                kept.files.insert(key, Entry { size, ..Entry::default() });
            }
        }
        Ok(Self { dir: dir.to_owned(), keep_bytes, files: Mutex::new(kept), freed: Notify::new() })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a source of `size` bytes, waiting until there is room for it and until nobody else fetches it.
    pub(super) async fn hold(&self, key: &str, size: u64) -> Reading<'_> {
        loop {
            let freed = self.freed.notified();
            if self.admit(key, size) {
                break;
            }
            freed.await;
        }
        let gate = {
            let mut kept = self.kept();
            Arc::clone(&kept.files.entry(key.to_owned()).or_default().gate)
        };
        let mut reading = Reading { sources: self, key: key.to_owned(), gate: None };
        reading.gate = Some(gate.lock_owned().await);
        reading
    }

    /// Counts one more reader, when all that is read fits; what nobody reads gives way.
    fn admit(&self, key: &str, size: u64) -> bool {
        let mut kept = self.kept();
        let others = kept.files.iter().filter(|(name, entry)| *name != key && entry.users > 0);
        let read: u64 = others.map(|(_, entry)| entry.size).sum();
        // One that alone is larger than all room is read all the same: else its video would never be done.
        if read > 0 && read.saturating_add(size) > self.keep_bytes {
            return false;
        }
        kept.uses += 1;
        let used = kept.uses;
        let entry = kept.files.entry(key.to_owned()).or_default();
        *entry = Entry { size, users: entry.users + 1, used, gate: Arc::clone(&entry.gate) };
        self.shrink(&mut kept);
        true
    }

    /// Removes what nobody reads, the one that was used longest ago first, until the rest fits.
    fn shrink(&self, kept: &mut Kept) {
        while kept.files.values().map(|entry| entry.size).sum::<u64>() > self.keep_bytes {
            let unused = kept.files.iter().filter(|(_, entry)| entry.users == 0);
            let Some(oldest) = unused.min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone()) else {
                return;
            };
            kept.files.remove(&oldest);
            self.remove(&oldest);
        }
    }

    /// Removes all that nobody reads: there is no more work, and other people's films are not kept for pleasure.
    pub(super) fn forget_unused(&self) {
        let mut kept = self.kept();
        let unused: Vec<String> =
            kept.files.iter().filter(|(_, entry)| entry.users == 0).map(|(key, _)| key.clone()).collect();
        for key in unused {
            kept.files.remove(&key);
            self.remove(&key);
        }
    }

    fn remove(&self, key: &str) {
        for name in [key.to_owned(), format!("{key}{PART}")] {
            match std::fs::remove_file(self.dir.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, key, "a source could not be removed");
                }
                Ok(()) | Err(_) => {}
            }
        }
    }
}

/// A source that is still fetched is called so.
const PART: &str = ".part";

impl Reading<'_> {
    /// Where it lies when it is whole.
    pub(super) fn path(&self) -> PathBuf {
        self.sources.dir.join(&self.key)
    }

    /// Where it is fetched to.
    pub(super) fn part(&self) -> PathBuf {
        self.sources.dir.join(format!("{}{PART}", self.key))
    }

    /// It is whole: the others that wait for it may read.
    pub(super) fn opened(&mut self) {
        self.gate = None;
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut kept = self.sources.kept();
        if let Some(entry) = kept.files.get_mut(&self.key) {
            entry.users = entry.users.saturating_sub(1);
        }
        drop(kept);
        self.sources.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(dir: &Path) -> Vec<String> {
        let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn what_is_read_stays_and_the_rest_gives_way() {
        let dir = tempfile::tempdir().unwrap();
        let sources = Sources::open(dir.path(), 10).unwrap();
        let fetch = async |key: &str, size: u64| {
            let mut reading = sources.hold(key, size).await;
            std::fs::write(reading.path(), vec![0; usize::try_from(size).unwrap()]).unwrap();
            reading.opened();
            reading
        };
        drop(fetch("a", 4).await);
        drop(fetch("b", 4).await);
        let c = fetch("c", 4).await;
        assert_eq!(there(dir.path()), ["b", "c"], "the oldest gave way");
        let large = sources.hold("d", 9);
        tokio::pin!(large);
        assert!(futures_util::poll!(&mut large).is_pending(), "there is no room while c is read");
        drop(c);
        let d = large.await;
        assert_eq!(there(dir.path()), [] as [&str; 0]);
        drop(d);
        drop(fetch("huge", 11).await);
        sources.forget_unused();
        assert_eq!(there(dir.path()), [] as [&str; 0]);
    }

    #[tokio::test]
    async fn one_fetches_and_the_others_wait_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let sources = Sources::open(dir.path(), 10).unwrap();
        let mut first = sources.hold("a", 4).await;
        let second = sources.hold("a", 4);
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        first.opened();
        assert_eq!(second.await.path(), first.path());
    }
}
