//! Takes a file of this machine into the store: shared with the original where the file system can, else copied.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use matinee_core::arrival::Stamp;
use matinee_core::id::ObjectId;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::{Local, StoreError};

/// Bytes of one step of a copy; after each the caller hears how far it is.
const STEP_BYTES: u64 = 4 << 20;
/// Bytes after which the disk is asked to catch up, so that the last flush does not wait for gigabytes.
const SYNC_BYTES: u64 = 64 << 20;

/// A file that may be taken: opened, regular, and reached without a symbolic link.
#[derive(Debug)]
pub struct Original {
    file: File,
    size: u64,
}

/// How the bytes are to come into the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// Share the blocks where the file system can (a later edit of the original changes nothing), else copy.
    Cheapest,
    /// Copy, so that the original's disk can go.
    Copy,
    /// Give the same file a second name; only on the same file system.
    Link,
    /// A second name on the same file system, else the cheapest: the original will be removed.
    Adopt,
}

/// How the bytes came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The blocks are shared until one of the two files changes.
    Shared,
    /// There are two copies.
    Copied,
    /// Both names are one file.
    Linked,
}

/// Why a path is not taken.
#[derive(Debug, thiserror::Error)]
pub enum OriginalError {
    /// A link could lead anywhere.
    #[error("it is, or lies behind, a symbolic link")]
    Link,
    /// Only plain files hold a video.
    #[error("it is not a regular file")]
    NotRegular,
    /// Somebody may have made the second name who may not read the file.
    #[error("it has a second name (a hard link)")]
    SecondName,
    /// The kernel makes it up while it is read.
    #[error("it is no file on a disk but a view into the kernel")]
    Pseudo,
    /// It lies outside of all folders from which files may be taken.
    #[error("it lies outside of the folders from which files may be taken")]
    Outside,
    /// It cannot be opened.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Original {
    /// Opens `path`. With `roots`, only what lies below one of these folders, and no link on the way from there.
    pub fn open(path: &Path, roots: &[PathBuf]) -> Result<Self, OriginalError> {
        let file = File::from(open_plain(path, roots)?);
        // Looked at after it was opened: nobody can exchange it in between.
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(OriginalError::NotRegular);
        }
        if is_pseudo(&file)? {
            return Err(OriginalError::Pseudo);
        }
        Ok(Self { size: found.len(), file })
    }

    /// Opens `path` for somebody else than the one who runs this process: only below one of these folders, of which
    /// there must be one, and only what has a single name.
    pub fn open_for_another(path: &Path, roots: &[PathBuf]) -> Result<Self, OriginalError> {
        if roots.is_empty() {
            return Err(OriginalError::Outside);
        }
        let original = Self::open(path, roots)?;
        // Who may write in the folder could link a file there that only this process may read.
        if original.file.metadata()?.nlink() > 1 { Err(OriginalError::SecondName) } else { Ok(original) }
    }

    /// What tells it from another file.
    pub fn stamp(&self) -> io::Result<Stamp> {
        Ok(stamp_of(&self.file.metadata()?))
    }

    /// Its length in bytes when it was opened.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Removes the name `path`, if it is still this file.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        let (ours, theirs) = (self.file.metadata()?, fs::symlink_metadata(path)?);
        if (ours.dev(), ours.ino()) != (theirs.dev(), theirs.ino()) {
            return Err(io::Error::other("another file has taken its place"));
        }
        fs::remove_file(path)
    }
}

/// What tells the file with these facts from another one.
pub(crate) fn stamp_of(found: &fs::Metadata) -> Stamp {
    Stamp {
        inode: found.ino(),
        size: found.len(),
        modified_ns: found.mtime().saturating_mul(1_000_000_000).saturating_add(found.mtime_nsec()),
    }
}

/// File systems whose files look regular but hold what the kernel says about itself: proc, sysfs, debugfs, tracefs,
/// cgroup2, securityfs.
const PSEUDO: [u64; 6] = [0x9fa0, 0x6265_6572, 0x6462_6720, 0x7472_6163, 0x6367_7270, 0x7363_6673];

fn is_pseudo(file: &File) -> io::Result<bool> {
    let kind = rustix::fs::fstatfs(file)?.f_type;
    Ok(u64::try_from(kind).is_ok_and(|kind| PSEUDO.contains(&kind)))
}

fn open_plain(path: &Path, roots: &[PathBuf]) -> Result<OwnedFd, OriginalError> {
    // Without waiting: opening a named pipe would never return.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let explained = |errno| match errno {
        Errno::LOOP => OriginalError::Link,
        Errno::XDEV => OriginalError::Outside,
        errno => OriginalError::Io(errno.into()),
    };
    if roots.is_empty() {
        return rustix::fs::open(path, flags, Mode::empty()).map_err(explained);
    }
    let path = std::path::absolute(path)?;
    for root in roots {
        // The comparison only finds the rest of the path; that it stays below is the kernel's word.
        let Ok(rest) = path.strip_prefix(std::path::absolute(root)?) else { continue };
        if rest.as_os_str().is_empty() {
            return Err(OriginalError::NotRegular);
        }
        let root = rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(explained)?;
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        return rustix::fs::openat2(root, rest, flags, Mode::empty(), within).map_err(explained);
    }
    Err(OriginalError::Outside)
}

impl Local {
    /// Makes the bytes of `original` the file of `object`, whose row exists, and makes them durable. `step` hears
    /// how many bytes are there and says whether to go on. Blocks; what fails halfway leaves no file.
    pub fn take(
        &self,
        object: ObjectId,
        original: &Original,
        taking: Taking,
        step: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Taken, StoreError> {
        let path = self.place(object)?;
        let taken = take_to(&path, original, taking, step);
        if taken.is_err() {
            // The row is still there, so the sweeper would find what this cannot remove.
            let _ = fs::remove_file(&path);
        }
        let taken = taken?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        step(original.size);
        Ok(taken)
    }
}

fn take_to(
    path: &Path,
    original: &Original,
    taking: Taking,
    step: &mut dyn FnMut(u64) -> bool,
) -> io::Result<Taken> {
    match taking {
        Taking::Link => link(original, path).map(|()| Taken::Linked),
        Taking::Adopt if link(original, path).is_ok() => Ok(Taken::Linked),
        Taking::Adopt | Taking::Cheapest => share_or_copy(original, path, step),
        Taking::Copy => copy(original, &mut create(path)?, step),
    }
}

/// By the open file and not by its path, so it is the very file that was looked at.
fn link(original: &Original, path: &Path) -> io::Result<()> {
    original.file.sync_data()?;
    let opened = format!("/proc/self/fd/{}", original.file.as_raw_fd());
    Ok(rustix::fs::linkat(CWD, opened, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

fn share_or_copy(original: &Original, path: &Path, step: &mut dyn FnMut(u64) -> bool) -> io::Result<Taken> {
    let mut file = create(path)?;
    // Many file systems cannot; then it is a copy.
    if rustix::fs::ioctl_ficlone(&file, &original.file).is_err() {
        return copy(original, &mut file, step);
    }
    if file.metadata()?.len() != original.size {
        return Err(changed());
    }
    file.sync_all()?;
    Ok(Taken::Shared)
}

fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().read(true).write(true).create_new(true).mode(0o600).open(path)
}

fn copy(original: &Original, file: &mut File, step: &mut dyn FnMut(u64) -> bool) -> io::Result<Taken> {
    let source = &original.file;
    let (mut done, mut unsynced) = (0, 0);
    while done < original.size {
        let wanted = STEP_BYTES.min(original.size - done);
        let copied = io::copy(&mut source.take(wanted), &mut *file)?;
        if copied == 0 {
            return Err(changed());
        }
        done += copied;
        unsynced += copied;
        if unsynced >= SYNC_BYTES {
            file.sync_data()?;
            unsynced = 0;
        }
        if !step(done) {
            return Err(io::Error::from(io::ErrorKind::Interrupted));
        }
    }
    file.flush()?;
    file.sync_all()?;
    Ok(Taken::Copied)
}

fn changed() -> io::Error {
    io::Error::other("the file became shorter while it was read")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(number: u128) -> ObjectId {
        ObjectId::from_bits(number)
    }

    #[test]
    fn every_way_of_taking_gives_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Local::open(dir.path()).unwrap();
        let path = dir.path().join("film.mp4");
        let bytes: Vec<u8> = (0..9_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        fs::write(&path, &bytes).unwrap();
        for (number, taking) in (1..).zip([Taking::Cheapest, Taking::Copy, Taking::Link, Taking::Adopt]) {
            let original = Original::open(&path, &[]).unwrap();
            let mut heard = Vec::new();
            let mut step = |done| {
                heard.push(done);
                true
            };
            let taken = store.take(object(number), &original, taking, &mut step).unwrap();
            assert_eq!(taken == Taken::Linked, matches!(taking, Taking::Link | Taking::Adopt), "{taking:?}");
            assert_eq!(fs::read(store.path_of(object(number))).unwrap(), bytes, "{taking:?}");
            assert_eq!(heard.last(), Some(&original.size()), "{taking:?}");
        }
    }

    #[test]
    fn a_copy_that_is_not_wanted_any_more_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = Local::open(dir.path()).unwrap();
        let path = dir.path().join("film.mp4");
        fs::write(&path, vec![7; 9_000_000]).unwrap();
        let original = Original::open(&path, &[]).unwrap();
        assert!(store.take(object(1), &original, Taking::Copy, &mut |_| false).is_err());
        assert!(!store.path_of(object(1)).exists());
    }

    #[test]
    fn links_folders_and_places_outside_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, outside) = (dir.path().join("in"), dir.path().join("out"));
        fs::create_dir(&inside).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(inside.join("a"), "a").unwrap();
        fs::write(outside.join("b"), "b").unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
        std::os::unix::fs::symlink(inside.join("a"), inside.join("alias")).unwrap();
        let roots = [inside.clone()];
        assert!(Original::open(&inside.join("a"), &roots).is_ok());
        let refused = |path: PathBuf, roots: &[PathBuf]| Original::open(&path, roots).unwrap_err();
        assert!(matches!(refused(inside.join("alias"), &[]), OriginalError::Link));
        assert!(matches!(refused(inside.clone(), &[]), OriginalError::NotRegular));
        assert!(matches!(refused(inside.join("link/b"), &roots), OriginalError::Link));
        assert!(matches!(refused(inside.join("../out/b"), &roots), OriginalError::Outside));
        assert!(matches!(refused(outside.join("b"), &roots), OriginalError::Outside));
    }

    #[test]
    fn for_another_only_plain_files_with_one_name_below_a_root_are_opened() {
        use rustix::fs::{FileType, Mode};
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("in");
        fs::create_dir_all(root.join("deep")).unwrap();
        fs::write(root.join("deep/a.mp4"), "a").unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        fs::hard_link(dir.path().join("secret"), root.join("hard.mp4")).unwrap();
        std::os::unix::fs::symlink("a.mp4", root.join("deep/soft.mp4")).unwrap();
        rustix::fs::mknodat(CWD, root.join("pipe.mp4"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket.mp4")).unwrap();
        let open = |path: &Path| {
            Original::open_for_another(path, &[root.clone(), PathBuf::from("/proc"), PathBuf::from("/dev")])
        };
        assert_eq!(open(&root.join("deep/a.mp4")).unwrap().size(), 1);
        for (path, expected) in [
            ("hard.mp4", "SecondName"),
            ("deep/soft.mp4", "Link"),
            ("deep", "NotRegular"),
            ("pipe.mp4", "NotRegular"),
            ("socket.mp4", "Io"),
            ("../secret", "Outside"),
            ("deep/../../secret", "Outside"),
            ("absent.mp4", "Io"),
            ("/proc/self/environ", "Link"),
            ("/proc/version", "Pseudo"),
            ("/dev/zero", "NotRegular"),
            ("/etc/passwd", "Outside"),
        ] {
            // An absolute path replaces the root it is joined to.
            let error = format!("{:?}", open(&root.join(path)).unwrap_err());
            assert!(error.starts_with(expected), "{path}: {error}");
        }
        let unset = Original::open_for_another(&root.join("deep/a.mp4"), &[]);
        assert!(matches!(unset, Err(OriginalError::Outside)), "nothing is offered until a root is set");
    }

    #[test]
    fn a_folder_that_is_swapped_for_a_link_meanwhile_never_leads_outside() {
        use rustix::fs::{RenameFlags, renameat_with};
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("in");
        fs::create_dir_all(root.join("here")).unwrap();
        fs::create_dir_all(dir.path().join("out")).unwrap();
        fs::write(root.join("here/a"), "in").unwrap();
        fs::write(dir.path().join("out/a"), "outside").unwrap();
        std::os::unix::fs::symlink(dir.path().join("out"), root.join("there")).unwrap();
        let over = std::sync::atomic::AtomicBool::new(false);
        let opened = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    let (here, there) = (root.join("here"), root.join("there"));
                    renameat_with(CWD, here, CWD, there, RenameFlags::EXCHANGE).unwrap();
                }
            });
            let path = root.join("here/a");
            let opened: Vec<_> = (0..5_000)
                .filter_map(|_| Original::open_for_another(&path, std::slice::from_ref(&root)).ok())
                .collect();
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            opened
        });
        assert!(opened.iter().all(|original| original.size() == 2), "only the file inside has two bytes");
    }

    #[test]
    fn only_the_very_file_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("film.mp4");
        fs::write(&path, "old").unwrap();
        let original = Original::open(&path, &[]).unwrap();
        fs::rename(&path, dir.path().join("kept.mp4")).unwrap();
        fs::write(&path, "new").unwrap();
        assert!(original.remove(&path).is_err());
        assert!(original.remove(&dir.path().join("kept.mp4")).is_ok());
        assert!(path.exists());
    }
}
