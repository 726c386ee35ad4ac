//! A store in a folder, usually of another disk or of a share: one file for each key, whole or not there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::future::ready;
use futures_util::stream;
use http::Method;
use matinee_core::time::Millis;
use url::Url;

use super::local::COPY_BYTES;
use super::port::{Answer, Begun, Depth, Hidden, Looked, OpenUpload, Page, Proof, Put, Reading, Seen};
use super::port::{RemoteError, Store, Told, check_key};
use super::{Facts, Removed, is_unreadable};

/// What a file is called while it is written: no key has a part that begins with a dot.
const UNFINISHED: (&str, &str) = (".", ".part");
/// Bytes that are read at a time.
const READ_BYTES: u64 = 256 << 10;
/// Bytes between two words about how a put goes.
const TOLD_BYTES: u64 = 8 << 20;
/// A folder may be removed, because it is empty, between being made and being used: so often it is made again.
const FOLDER_TRIES: usize = 3;

/// Objects below one folder.
#[derive(Debug, Clone)]
pub struct Disk {
    root: Arc<Path>,
}

impl Disk {
    /// The store in this folder. It is never made here: a disk that is not mounted would be filled elsewhere. Until the
    /// folder is there, the store does not answer. Blocks.
    pub fn open(root: &Path) -> io::Result<Self> {
        match fs::metadata(root) {
            Ok(found) if !found.is_dir() => Err(io::ErrorKind::NotADirectory.into()),
            Ok(_) => Ok(Self { root: root.into() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self { root: root.into() }),
            Err(error) => Err(error),
        }
    }

    fn path_of(&self, key: &str) -> Result<PathBuf, RemoteError> {
        check_key(key)?;
        Ok(self.root.join(key))
    }

    /// Copies, makes it durable and only then gives it its name. Blocks.
    fn take(&self, key: &str, file: &File, size: u64) -> Result<Put, RemoteError> {
        let path = self.path_of(key)?;
        let unfinished = unfinished(&path);
        let mut out = self.create(&path, &unfinished)?;
        let copied = copy(file, &mut out, size);
        if copied.is_err() {
            // What cannot be removed is found by `hidden`.
            drop(remove_if_there(&unfinished));
            self.drop_folders(&path);
        }
        copied?;
        out.sync_data().map_err(|error| world(&error))?;
        let written = out.metadata().map_err(|error| world(&error))?.len();
        if written != size {
            return Err(RemoteError::Again(format!("{written} of {size} bytes were written")));
        }
        fs::rename(&unfinished, &path)
            .and_then(|()| sync_dir(folder_of(&path)))
            .map_err(|error| world(&error))?;
        Ok(Put { version: None, tag: None, proof: Proof::Sized })
    }

    fn create(&self, path: &Path, unfinished: &Path) -> Result<File, RemoteError> {
        let mut result = Err(io::ErrorKind::NotFound.into());
        for _ in 0..FOLDER_TRIES {
            self.make_folders(folder_of(path)).map_err(|error| world(&error))?;
            result = File::create(unfinished);
            if !matches!(&result, Err(error) if error.kind() == io::ErrorKind::NotFound) {
                break;
            }
        }
        result.map_err(|error| world(&error))
    }

    /// Makes the folders of an object, durably.
    fn make_folders(&self, folder: &Path) -> io::Result<()> {
        if folder == &*self.root || folder.is_dir() {
            return Ok(());
        }
        let above = folder_of(folder);
        self.make_folders(above)?;
        match fs::create_dir(folder) {
            Ok(()) => sync_dir(above),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes an object, what was left of writing it, and the folders that are empty then. Blocks.
    fn drop_object(&self, key: &str) -> Result<Removed, RemoteError> {
        let path = self.path_of(key)?;
        remove_if_there(&unfinished(&path))?;
        let was = remove_if_there(&path)?;
        if was {
            sync_dir(folder_of(&path)).map_err(|error| world(&error))?;
        }
        self.drop_folders(&path);
        Ok(if was { Removed::Gone } else { Removed::WasAbsent })
    }

    /// Removes the folders of an object that are empty. Only a comfort: nothing depends on it.
    fn drop_folders(&self, path: &Path) {
        let mut above = path.ancestors().skip(1).take_while(|folder| **folder != *self.root);
        while above.next().is_some_and(|folder| fs::remove_dir(folder).is_ok()) {}
    }

    fn size(&self, key: &str) -> Result<Option<u64>, RemoteError> {
        match fs::metadata(self.path_of(key)?) {
            Ok(found) => Ok(found.is_file().then_some(found.len())),
            Err(error) if is_absent(&error) => self.is_there().map(|()| None),
            Err(error) => Err(world(&error)),
        }
    }

    /// A folder that is away must not look like one from which everything was removed.
    fn is_there(&self) -> Result<(), RemoteError> {
        fs::metadata(&self.root).map(drop).map_err(|error| world(&error))
    }

    fn walk(&self) -> Walk<'_> {
        Walk { root: &self.root, after: None, limit: usize::MAX, found: Vec::new(), unfinished: Vec::new() }
    }
}

/// A walk through the folders in the order of the keys.
struct Walk<'a> {
    root: &'a Path,
    after: Option<&'a str>,
    limit: usize,
    found: Vec<Seen>,
    unfinished: Vec<OpenUpload>,
}

impl Walk<'_> {
    fn below(&mut self, prefix: &str) -> io::Result<()> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.root.join(prefix))? {
            let entry = entry?;
            let is_dir = entry.file_type()?.is_dir();
            // What is not UTF-8 is no key of ours.
            let Ok(name) = entry.file_name().into_string() else { continue };
            // With its slash, so that names come in the order of whole keys.
            names.push((if is_dir { format!("{prefix}{name}/") } else { format!("{prefix}{name}") }, is_dir));
        }
        names.sort_unstable();
        for (name, is_dir) in names {
            if self.found.len() >= self.limit {
                return Ok(());
            }
            if !is_dir {
                self.file(name)?;
            } else if self.after.is_none_or(|after| name.as_str() > after || after.starts_with(&name)) {
                self.below(&name)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, name: String) -> io::Result<()> {
        let found = match fs::metadata(self.root.join(&name)) {
            Ok(found) => found,
            // Removed while we walk.
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        if let Some(key) = key_of_unfinished(&name) {
            let since = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let since = since.and_then(|since| i64::try_from(since.as_millis()).ok()).map(Millis);
            self.unfinished.push(OpenUpload { key, upload: name, since });
        } else if check_key(&name).is_ok() && self.after.is_none_or(|after| name.as_str() > after) {
            self.found.push(Seen { key: name, size: found.len() });
        }
        Ok(())
    }
}

impl Store for Disk {
    fn put<'a>(
        &'a self,
        key: &'a str,
        file: Arc<File>,
        size: u64,
        _: Option<&'a Begun>,
        told: &'a dyn Told,
    ) -> Answer<'a, Put> {
        let (this, key) = (self.clone(), key.to_owned());
        Box::pin(async move {
            let put = blocking(move || this.take(&key, &file, size)).await?;
            told.sent(size);
            Ok(put)
        })
    }

    fn read<'a>(&'a self, key: &'a str, range: Range<u64>) -> Answer<'a, Reading> {
        let this = self.clone();
        let key = key.to_owned();
        Box::pin(async move {
            let end = range.end;
            let file = blocking(move || {
                let file = File::open(this.path_of(&key)?).map_err(|error| {
                    if is_absent(&error) {
                        this.is_there().err().unwrap_or(RemoteError::Absent)
                    } else {
                        world(&error)
                    }
                })?;
                let is_whole = file.metadata().map_err(|error| world(&error))?.len() >= end;
                if is_whole { Ok(file) } else { Err(RemoteError::Short) }
            });
            Ok(stream_of(Arc::new(file.await?), range))
        })
    }

    fn look<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Looked>> {
        let (this, key) = (self.clone(), key.to_owned());
        Box::pin(async move {
            let size = blocking(move || this.size(&key)).await?;
            Ok(size.map(|size| Looked { size, version: None, tag: None }))
        })
    }

    fn remove<'a>(&'a self, key: &'a str, _: Option<&'a str>) -> Answer<'a, Removed> {
        let (this, key) = (self.clone(), key.to_owned());
        Box::pin(blocking(move || {
            this.is_there()?;
            this.drop_object(&key)
        }))
    }

    fn list<'a>(&'a self, after: Option<&'a str>, limit: usize) -> Answer<'a, Page> {
        let (this, after) = (self.clone(), after.map(str::to_owned));
        Box::pin(blocking(move || {
            // One more than was asked for tells whether there are more.
            let mut walk = Walk { after: after.as_deref(), limit: limit.saturating_add(1), ..this.walk() };
            walk.below("").map_err(|error| world(&error))?;
            let mut objects = walk.found;
            let more = objects.len() > limit;
            objects.truncate(limit);
            let next = objects.last().filter(|_| more).map(|last| last.key.clone());
            Ok(Page { objects, next })
        }))
    }

    fn abort<'a>(&'a self, key: &'a str, _: &'a Begun) -> Answer<'a, ()> {
        let (this, key) = (self.clone(), key.to_owned());
        Box::pin(blocking(move || remove_if_there(&unfinished(&this.path_of(&key)?)).map(drop)))
    }

    fn hidden(&self, limit: usize) -> Answer<'_, Hidden> {
        let this = self.clone();
        Box::pin(blocking(move || {
            let mut walk = this.walk();
            walk.below("").map_err(|error| world(&error))?;
            let mut uploads = walk.unfinished;
            let more = uploads.len() > limit;
            uploads.truncate(limit);
            Ok(Hidden { uploads, versions: Vec::new(), more })
        }))
    }

    fn presigned(&self, _: &str, _: &Method, _: u64) -> Option<Url> {
        None
    }

    fn facts<'a>(&'a self, _: &'a str, _: Depth) -> Answer<'a, Facts> {
        Box::pin(ready(self.is_there().map(|()| Facts::plain())))
    }
}

fn copy(file: &File, out: &mut File, size: u64) -> Result<(), RemoteError> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut done = 0;
    while done < size {
        let len = usize::try_from(size - done).map_or(COPY_BYTES, |left| left.min(COPY_BYTES));
        file.read_exact_at(&mut buffer[..len], done).map_err(RemoteError::File)?;
        out.write_all(&buffer[..len]).map_err(|error| world(&error))?;
        done += len as u64;
        if done % TOLD_BYTES == 0 {
            // Written out as it comes: one sync of many GB at the end would hold the disk for everybody.
            out.sync_data().map_err(|error| world(&error))?;
        }
    }
    Ok(())
}

fn stream_of(file: Arc<File>, range: Range<u64>) -> Reading {
    stream::try_unfold((file, range), |(file, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let len = (range.end - range.start).min(READ_BYTES);
        let from = range.start;
        let again = Arc::clone(&file);
        let bytes = blocking(move || read(&again, from, len)).await?;
        Ok(Some((bytes, (file, from + len..range.end))))
    })
    .boxed()
}

fn read(file: &File, from: u64, len: u64) -> Result<Bytes, RemoteError> {
    let len = usize::try_from(len).expect("because it is at most the size of one read");
    let mut bytes = BytesMut::zeroed(len);
    file.read_exact_at(&mut bytes, from).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof { RemoteError::Short } else { world(&error) }
    })?;
    Ok(bytes.freeze())
}

fn unfinished(path: &Path) -> PathBuf {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    path.with_file_name(format!("{}{name}{}", UNFINISHED.0, UNFINISHED.1))
}

fn key_of_unfinished(name: &str) -> Option<String> {
    let (folder, name) = name.rsplit_once('/').map_or(("", name), |(folder, name)| (folder, name));
    let name = name.strip_prefix(UNFINISHED.0)?.strip_suffix(UNFINISHED.1)?;
    let key = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
    check_key(&key).is_ok().then_some(key)
}

fn remove_if_there(path: &Path) -> Result<bool, RemoteError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(world(&error)),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn world(error: &io::Error) -> RemoteError {
    use io::ErrorKind as Kind;
    let (kind, text) = (error.kind(), error.to_string());
    if is_unreadable(error) {
        RemoteError::Unreadable(text)
    } else if matches!(kind, Kind::StorageFull | Kind::QuotaExceeded) {
        RemoteError::Full
    } else if matches!(kind, Kind::PermissionDenied | Kind::ReadOnlyFilesystem) {
        RemoteError::Refused(text)
    } else if matches!(kind, Kind::InvalidFilename) {
        RemoteError::Wrong(text)
    } else {
        RemoteError::Again(text)
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().expect("because the path was joined from a folder")
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RemoteError> + Send + 'static,
) -> Result<T, RemoteError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| RemoteError::Again(error.to_string()))?
}
