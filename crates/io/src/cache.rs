//! Small files that can be made again, below one directory: at most so many bytes of them, and each made once at a time.
//!
//! Nothing of it is synced: what a loss of power leaves half written is found out when it is read, and made again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use matinee_core::id::VideoId;
use quick_cache::sync::Cache as Index;
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter};

/// The usual length of a file in bytes, to size the index.
const USUAL_BYTES: u64 = 16 << 10;

/// A file: the video that it belongs to, and its name among those of that video.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    /// The video.
    pub video: VideoId,
    /// Our own file name: no part of it comes from outside.
    pub file: String,
}

impl Name {
    fn path(&self, dir: &Path) -> PathBuf {
        dir.join(self.video.to_string()).join(&self.file)
    }
}

#[derive(Debug, Clone)]
struct ByLength;

impl Weighter<Name, u64> for ByLength {
    fn weight(&self, _: &Name, len: &u64) -> u64 {
        (*len).max(1)
    }
}

/// What leaves the index leaves the disk.
#[derive(Debug, Clone)]
struct Removes(Arc<Path>);

impl Lifecycle<Name, u64> for Removes {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), name: Name, _: u64) {
        // One that is gone already, or cannot be removed now, is found by the next start.
        let _ = fs::remove_file(name.path(&self.0));
    }
}

/// The files below one directory.
#[derive(Debug)]
pub struct Cache {
    dir: Arc<Path>,
    known: Index<Name, u64, ByLength, DefaultHashBuilder, Removes>,
    fresh: AtomicU64,
    is_whole: fn(&[u8]) -> bool,
}

impl Cache {
    /// The files below `dir`, at most `bytes_max` of them. `is_whole` tells a file that was written to its end.
    pub fn new(dir: &Path, bytes_max: u64, is_whole: fn(&[u8]) -> bool) -> Self {
        let dir: Arc<Path> = dir.into();
        let removes = Removes(Arc::clone(&dir));
        let usual = usize::try_from(bytes_max / USUAL_BYTES).unwrap_or(1 << 16);
        let known = Index::with(usual, bytes_max, ByLength, DefaultHashBuilder::default(), removes);
        Self { dir, known, fresh: AtomicU64::new(0), is_whole }
    }

    /// Takes in what an earlier run has left, before anybody asks; what is too much of it goes. Blocks.
    pub fn take_in(&self) -> io::Result<()> {
        self.videos()?.into_iter().try_for_each(|video| self.know(video))
    }

    fn know(&self, video: VideoId) -> io::Result<()> {
        for entry in fs::read_dir(self.dir.join(video.to_string()))? {
            let entry = entry?;
            match entry.file_name().into_string() {
                // Half a file of a run that was killed.
                Ok(file) if file.starts_with('.') => fs::remove_file(entry.path())?,
                Ok(file) => self.known.insert(Name { video, file }, entry.metadata()?.len()),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// The file of this name; the first who asks makes it, and all others wait for that one.
    pub async fn get<E, M>(&self, name: &Name, make: impl FnOnce() -> M) -> Result<Bytes, E>
    where
        M: Future<Output = Result<Bytes, E>>,
        E: From<io::Error>,
    {
        let guard = match self.known.get_value_or_guard_async(name).await {
            Ok(_) => {
                if let Some(bytes) = self.read(name).await {
                    return Ok(bytes);
                }
                // Gone or torn: whoever is first now makes it again.
                self.known.remove(name);
                self.known.get_value_or_guard_async(name).await.err()
            }
            Err(guard) => Some(guard),
        };
        let bytes = make().await?;
        self.write(name, &bytes).await?;
        if let Some(guard) = guard {
            // Somebody took the place away meanwhile, or it is too large to be kept; then the file is nobody's. A video that
            // was forgotten while its file was made gets it back: the sweeper looks for those.
            if guard.insert(bytes.len() as u64).is_err() {
                let _ = fs::remove_file(name.path(&self.dir));
            }
        }
        Ok(bytes)
    }

    /// Forgets all files of a video.
    pub fn forget(&self, video: VideoId) {
        let folder = self.dir.join(video.to_string());
        let Ok(entries) = fs::read_dir(&folder) else { return };
        for file in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
            let name = Name { video, file };
            self.known.remove(&name);
            let _ = fs::remove_file(name.path(&self.dir));
        }
        let _ = fs::remove_dir(folder);
    }

    /// The videos of which something lies here. Blocks.
    pub fn videos(&self) -> io::Result<Vec<VideoId>> {
        let named = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
        match fs::read_dir(&self.dir) {
            Ok(entries) => Ok(entries.filter_map(named).collect()),
            // Nothing was kept yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn read(&self, name: &Name) -> Option<Bytes> {
        let bytes = tokio::fs::read(name.path(&self.dir)).await.ok()?;
        (self.is_whole)(&bytes).then(|| bytes.into())
    }

    async fn write(&self, name: &Name, bytes: &[u8]) -> io::Result<()> {
        let path = name.path(&self.dir);
        let folder = self.dir.join(name.video.to_string());
        let fresh = folder.join(format!(".{}", self.fresh.fetch_add(1, Ordering::Relaxed)));
        tokio::fs::create_dir_all(&folder).await?;
        tokio::fs::write(&fresh, bytes).await?;
        tokio::fs::rename(&fresh, &path).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    fn name(video: u128, file: &str) -> Name {
        Name { video: VideoId::from_bits(video), file: file.to_owned() }
    }

    fn open(dir: &Path, bytes_max: u64) -> Cache {
        let cache = Cache::new(dir, bytes_max, |bytes| bytes.ends_with(b"end"));
        cache.take_in().unwrap();
        cache
    }

    async fn made(cache: &Cache, name: &Name, text: &str) -> Bytes {
        let bytes = Bytes::from(format!("{text} end"));
        cache.get(name, async || Ok::<_, io::Error>(bytes)).await.unwrap()
    }

    fn bytes_in(dir: &Path) -> u64 {
        let files =
            fs::read_dir(dir).unwrap().flatten().flat_map(|video| fs::read_dir(video.path()).unwrap());
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    }

    #[tokio::test]
    async fn a_file_is_made_once_for_all_who_ask_together() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Arc::new(open(dir.path(), 1 << 20));
        let count = Arc::new(AtomicU32::new(0));
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (cache, count) = (Arc::clone(&cache), Arc::clone(&count));
            asking.spawn(async move {
                let make = async || {
                    count.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    Ok::<_, io::Error>(Bytes::from_static(b"still end"))
                };
                cache.get(&name(1, "a"), make).await.unwrap()
            });
        }
        while let Some(bytes) = asking.join_next().await {
            assert_eq!(&bytes.unwrap()[..], b"still end");
        }
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn who_fails_leaves_it_to_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path(), 1 << 20);
        let failed = cache.get(&name(1, "a"), async || Err(io::Error::other("no"))).await;
        assert!(failed.is_err());
        assert_eq!(&made(&cache, &name(1, "a"), "second").await[..], b"second end");
    }

    #[tokio::test]
    async fn no_more_bytes_are_kept_than_allowed_also_by_the_next_run() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path(), 100_000);
        let long = "x".repeat(990);
        for n in 0..400 {
            made(&cache, &name(n % 3, &n.to_string()), &long).await;
            assert!(bytes_in(dir.path()) <= 100_000, "after {n}");
        }
        assert!(bytes_in(dir.path()) > 50_000);
        drop(cache);
        let less = open(dir.path(), 30_000);
        assert!(bytes_in(dir.path()) <= 30_000);
        drop(less);
    }

    #[tokio::test]
    async fn the_next_run_finds_what_is_whole_and_makes_the_rest_again() {
        let dir = tempfile::tempdir().unwrap();
        let (kept, torn) = (name(1, "kept"), name(1, "torn"));
        let cache = open(dir.path(), 1 << 20);
        made(&cache, &kept, "first").await;
        made(&cache, &torn, "first").await;
        drop(cache);
        fs::write(torn.path(dir.path()), b"fir").unwrap();
        fs::write(torn.path(dir.path()).with_file_name(".7"), b"half").unwrap();
        let cache = open(dir.path(), 1 << 20);
        assert_eq!(&made(&cache, &kept, "second").await[..], b"first end");
        assert_eq!(&made(&cache, &torn, "second").await[..], b"second end");
        assert_eq!(&made(&cache, &torn, "third").await[..], b"second end");
        assert!(!torn.path(dir.path()).with_file_name(".7").exists());
    }

    #[tokio::test]
    async fn a_forgotten_video_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path(), 1 << 20);
        made(&cache, &name(1, "a"), "first").await;
        made(&cache, &name(2, "a"), "first").await;
        cache.forget(VideoId::from_bits(1));
        assert_eq!(cache.videos().unwrap(), [VideoId::from_bits(2)]);
        assert_eq!(&made(&cache, &name(1, "a"), "second").await[..], b"second end");
    }
}
