//! Objects on a local disk: one plain file each, below `objects/` in folders named by the end of the id.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::Stream;
use matinee_core::id::ObjectId;
use quick_cache::sync::Cache;

use super::buffer::Pool;
use super::{Listed, Piece, Removed, StoreError, Written, stream};

/// The folder of all objects.
const OBJECTS: &str = "objects";
/// Files that are kept open for serving; well below the usual limit of 1,024 descriptors.
const OPEN_FILES_MAX: usize = 512;
/// Buffered writes above 32 KiB cost three to six times the processor time on kernels with large folios.
pub(super) const COPY_BYTES: usize = 32 << 10;

/// A store on a local disk. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Local {
    objects: Arc<Path>,
    open: Arc<Cache<ObjectId, Arc<File>>>,
    pool: Pool,
}

impl Local {
    /// Has a store been opened below `root` before? Blocks.
    pub fn is_there(root: &Path) -> bool {
        root.join(OBJECTS).is_dir()
    }

    /// Opens the store below `root`, which is made if it is not there. Blocks.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let objects = root.join(OBJECTS);
        fs::create_dir_all(&objects)?;
        sync_dir(root)?;
        let open = Arc::new(Cache::new(OPEN_FILES_MAX));
        Ok(Self { objects: objects.into(), open, pool: Pool::default() })
    }

    /// Where the file of an object lies. Ids begin with the time, so the folder is named by their end.
    pub fn path_of(&self, object: ObjectId) -> PathBuf {
        let name = object.to_string();
        let shard = &name[name.len() - 2..];
        self.objects.join(shard).join(&name)
    }

    /// The same path, in a folder that durably exists: for whoever writes the file elsewhere (the spool). Blocks.
    pub fn place(&self, object: ObjectId) -> Result<PathBuf, StoreError> {
        let path = self.path_of(object);
        let shard = shard_of(&path);
        match fs::create_dir(shard) {
            Ok(()) => sync_dir(&self.objects)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
        Ok(path)
    }

    /// Starts a new object; its row exists already. Blocks.
    pub fn create(&self, object: ObjectId) -> Result<Writer, StoreError> {
        let path = self.place(object)?;
        let opened = File::options().read(true).write(true).create_new(true).open(&path);
        let file = opened.map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                StoreError::Exists(object)
            } else {
                error.into()
            }
        })?;
        Ok(Writer { file, path, size: 0, hash: blake3::Hasher::new() })
    }

    /// Writes a new object that consists of these pieces; what fails halfway leaves no file.
    pub async fn write(&self, object: ObjectId, pieces: Vec<Piece>) -> Result<Written, StoreError> {
        let this = self.clone();
        blocking(move || {
            let writer = this.create(object)?;
            let path = writer.path.clone();
            let written = this.copy(writer, &pieces);
            if written.is_err() {
                // The row is still there, so the sweeper would find what this cannot remove.
                let _ = fs::remove_file(path);
            }
            written
        })
        .await
    }

    fn copy(&self, mut writer: Writer, pieces: &[Piece]) -> Result<Written, StoreError> {
        let mut gather = Vec::with_capacity(2 * COPY_BYTES);
        for piece in pieces {
            match piece {
                Piece::Literal(bytes) => writer.gather(&mut gather, bytes)?,
                Piece::Object { object, offset, len } => {
                    let file = self.file(*object)?;
                    let short = |error| if_short(error, *object);
                    writer.gather_file(&mut gather, &file, *offset, *len).map_err(short)?;
                }
                Piece::File { file, offset, len } => writer.gather_file(&mut gather, file, *offset, *len)?,
            }
        }
        writer.append(&gather)?;
        writer.finish()
    }

    /// The open file of an object. Opening may touch the disk, but briefly.
    pub fn file(&self, object: ObjectId) -> Result<Arc<File>, StoreError> {
        if let Some(file) = self.open.get(&object) {
            return Ok(file);
        }
        let opened = File::open(self.path_of(object)).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound { StoreError::Absent(object) } else { error.into() }
        });
        let file = Arc::new(opened?);
        self.open.insert(object, Arc::clone(&file));
        // A removal between opening and keeping would leave a dead file in the cache for ever.
        if file.metadata()?.nlink() == 0 {
            self.open.remove(&object);
            return Err(StoreError::Absent(object));
        }
        Ok(file)
    }

    /// Another file has taken the place of the object's.
    pub(super) fn forget(&self, object: ObjectId) {
        self.open.remove(&object);
    }

    /// Reads `len` bytes from `offset`; meant for small reads, since all of it is in memory.
    pub async fn read_at(&self, object: ObjectId, offset: u64, len: usize) -> Result<Bytes, StoreError> {
        let file = self.file(object)?;
        let mut bytes = BytesMut::zeroed(len);
        let had = stream::cached(&file, offset, &mut bytes)?;
        if had == len {
            return Ok(bytes.freeze());
        }
        blocking(move || {
            let read = file.read_exact_at(&mut bytes[had..], offset + had as u64);
            read.map_err(|error| if_short(error, object))?;
            Ok(bytes.freeze())
        })
        .await
    }

    /// Streams the pieces in order, in buffers of at most 256 KiB.
    pub fn stream(&self, pieces: Vec<Piece>) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        stream::stream(self.clone(), pieces, self.pool.clone())
    }

    /// Removes an object, durably. What streams it already goes on; nobody else gets it any more.
    pub async fn remove(&self, object: ObjectId) -> Result<Removed, StoreError> {
        let this = self.clone();
        blocking(move || {
            let path = this.path_of(object);
            let removed = fs::remove_file(&path);
            // Only after the file is gone: see `file`.
            this.open.remove(&object);
            match removed {
                Ok(()) => {
                    sync_dir(shard_of(&path))?;
                    Ok(Removed::Gone)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Removed::WasAbsent),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// The size of an object in bytes, or `None` when it is not there. Looks at the disk, not at the cache.
    pub async fn size(&self, object: ObjectId) -> Result<Option<u64>, StoreError> {
        let path = self.path_of(object);
        blocking(move || match fs::metadata(path) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        })
        .await
    }

    /// Whether an object is there.
    pub async fn exists(&self, object: ObjectId) -> Result<bool, StoreError> {
        Ok(self.size(object).await?.is_some())
    }

    /// The store's own listing, for proofs and the sweeper. Blocks.
    pub fn list(&self) -> Result<impl Iterator<Item = io::Result<Listed>> + use<>, StoreError> {
        let shards = fs::read_dir(&self.objects)?;
        Ok(shards.flat_map(|shard| list_shard(shard).unwrap_or_else(|error| vec![Err(error)])))
    }

    /// Bytes that may still be written.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        Ok(free_bytes_at(&self.objects)?)
    }

    /// The same, with how many may be written in all.
    pub fn room(&self) -> Result<(u64, u64), StoreError> {
        let found = rustix::fs::statvfs(&*self.objects).map_err(io::Error::from)?;
        let blocks = found.f_blocks.saturating_sub(found.f_bfree).saturating_add(found.f_bavail);
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok((bytes(found.f_bavail), bytes(blocks)))
    }
}

/// Bytes that may still be written where `path` lies.
pub fn free_bytes_at(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Writes one new object from its first byte to its last. All of it blocks; dropped unfinished it leaves a file
/// that the object's row explains.
#[derive(Debug)]
pub struct Writer {
    file: File,
    path: PathBuf,
    size: u64,
    hash: blake3::Hasher,
}

impl Writer {
    /// Adds bytes at the end.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        for slice in bytes.chunks(COPY_BYTES) {
            self.file.write_all(slice)?;
            self.hash.update(slice);
        }
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Makes all of it durable: the bytes, and the name in its folder.
    pub fn finish(self) -> Result<Written, StoreError> {
        self.file.sync_data()?;
        sync_dir(shard_of(&self.path))?;
        Ok(Written { size: self.size, blake3: *self.hash.finalize().as_bytes() })
    }

    /// Collects small pieces into full writes: a rope has two pieces per segment.
    fn gather(&mut self, gather: &mut Vec<u8>, bytes: &[u8]) -> Result<(), StoreError> {
        for slice in bytes.chunks(COPY_BYTES) {
            gather.extend_from_slice(slice);
            self.spill(gather)?;
        }
        Ok(())
    }

    fn gather_file(
        &mut self,
        gather: &mut Vec<u8>,
        file: &File,
        at: u64,
        len: u64,
    ) -> Result<(), StoreError> {
        let mut done = 0;
        while done < len {
            let want = (COPY_BYTES - gather.len()) as u64;
            let take = usize::try_from(want.min(len - done)).expect("because it is at most the copy size");
            let filled = gather.len();
            gather.resize(filled + take, 0);
            file.read_exact_at(&mut gather[filled..], at + done)?;
            done += take as u64;
            self.spill(gather)?;
        }
        Ok(())
    }

    fn spill(&mut self, gather: &mut Vec<u8>) -> Result<(), StoreError> {
        let full = gather.len() / COPY_BYTES * COPY_BYTES;
        if full > 0 {
            self.append(&gather[..full])?;
            gather.drain(..full);
        }
        Ok(())
    }
}

fn list_shard(shard: io::Result<fs::DirEntry>) -> io::Result<Vec<io::Result<Listed>>> {
    let shard = shard?;
    if !shard.file_type()?.is_dir() {
        return Ok(vec![Ok(Listed::Stray { path: shard.path() })]);
    }
    Ok(fs::read_dir(shard.path())?.map(|entry| list_entry(&entry?, &shard.file_name())).collect())
}

fn list_entry(entry: &fs::DirEntry, shard: &std::ffi::OsStr) -> io::Result<Listed> {
    let found = entry.metadata()?;
    let name = entry.file_name();
    let object =
        name.to_str().filter(|name| found.is_file() && name.ends_with(shard.to_str().unwrap_or("?")));
    Ok(match object.and_then(|name| name.parse().ok()) {
        Some(object) => Listed::Object { object, size: found.len() },
        None => Listed::Stray { path: entry.path() },
    })
}

fn if_short<E: Into<StoreError>>(error: E, object: ObjectId) -> StoreError {
    let error = error.into();
    let is_end = matches!(&error, StoreError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof);
    if is_end { StoreError::Short(object) } else { error }
}

fn shard_of(path: &Path) -> &Path {
    path.parent().expect("because the path was joined from a folder")
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Io(io::Error::other(error)))?
}
