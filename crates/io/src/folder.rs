//! A folder that is watched: looked through, asked who writes there, and its files sorted into other folders.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use matinee_core::arrival::{Stamp, another_name, is_media};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// More files than this are not looked at in one look; the rest follows when some are gone.
const FILES_MAX: usize = 10_000;
/// Files of one name in a folder; each costs one look.
const NAMES_MAX: u32 = 10_000;

/// What a look at a folder has found.
#[derive(Debug, Default)]
pub struct Look {
    /// Names relative to the folder, and what their files were.
    pub files: Vec<(String, Stamp)>,
    /// Media files whose names are no text, and folders that cannot be read.
    pub left_out: Vec<PathBuf>,
}

/// What became of a file that was to move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// It lies here now.
    To(PathBuf),
    /// It was removed.
    Removed,
    /// It is not there any more, or another file has its name.
    Gone,
}

/// Looks through a folder and all below. Hidden and half files, symbolic links and the folders `but` are left out.
pub fn look(folder: &Path, but: &[PathBuf]) -> io::Result<Look> {
    // The same directory has the same numbers, whatever path leads to it.
    let number = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    let but: HashSet<_> = but.iter().filter_map(|path| number(path)).collect();
    let (mut look, mut folders) = (Look::default(), vec![folder.to_owned()]);
    while let Some(inside) = folders.pop() {
        let entries = match fs::read_dir(&inside) {
            Ok(entries) => entries,
            // It was moved away meanwhile; only the folder itself must be there.
            Err(error) if error.kind() == ErrorKind::NotFound && inside != folder => continue,
            Err(_) if inside != folder => {
                look.left_out.push(inside);
                continue;
            }
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            if path.file_name().unwrap_or_default().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let Ok(found) = path.symlink_metadata() else { continue };
            if found.is_dir() && !but.contains(&(found.dev(), found.ino())) {
                folders.push(path);
            } else if found.is_file() {
                look.add(folder, path, &found);
            }
        }
        if look.files.len() >= FILES_MAX {
            break;
        }
    }
    look.files.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(look)
}

impl Look {
    fn add(&mut self, folder: &Path, path: PathBuf, found: &fs::Metadata) {
        let name = path.strip_prefix(folder).unwrap_or(&path);
        match name.to_str() {
            Some(name) if is_media(name) => self.files.push((name.to_owned(), stamp(found))),
            None if is_media(&name.to_string_lossy()) => self.left_out.push(path),
            Some(_) | None => {}
        }
    }
}

fn stamp(found: &fs::Metadata) -> Stamp {
    Stamp {
        inode: found.ino(),
        size: found.len(),
        modified_ns: found.mtime().saturating_mul(1_000_000_000).saturating_add(found.mtime_nsec()),
    }
}

/// Which of these files some process of this machine has open for writing. As good as the rights of this process:
/// what others do, and what happens on the far side of a network drive, is not seen.
pub fn written(paths: &[PathBuf]) -> HashSet<PathBuf> {
    let real: Vec<_> = paths.iter().map(|path| path.canonicalize().unwrap_or_default()).collect();
    let mut found = HashSet::new();
    let Ok(processes) = fs::read_dir("/proc") else { return found };
    for process in processes.flatten() {
        if !process.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit) {
            continue;
        }
        // Processes of other people are closed to us, and processes end.
        let Ok(open) = fs::read_dir(process.path().join("fd")) else { continue };
        for open in open.flatten() {
            // By its name alone: a look at the file could wait for a network drive.
            let Ok(target) = fs::read_link(open.path()) else { continue };
            let Some(at) = real.iter().position(|real| *real == target) else { continue };
            if is_for_writing(&process.path(), &open.file_name()) {
                found.insert(paths[at].clone());
            }
        }
    }
    found
}

fn is_for_writing(process: &Path, number: &OsStr) -> bool {
    let text = fs::read_to_string(process.join("fdinfo").join(number)).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    // The last two bits say how it is open: 0 is reading only.
    flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).is_some_and(|flags| flags & 0b11 != 0)
}

/// Moves the file `name` of a folder into its folder `to`, with the folders that lie between, and lays `reason`
/// beside it. What happened is durable. A file that is not the one with this stamp is left alone.
pub fn sort(folder: &Path, name: &str, to: &str, stamp: &Stamp, reason: Option<&str>) -> io::Result<Moved> {
    let from = folder.join(name);
    if !is_still(&from, stamp)? {
        return Ok(Moved::Gone);
    }
    let wanted = folder.join(to).join(name);
    let (Some(target), Some(file_name)) = (wanted.parent(), wanted.file_name().and_then(OsStr::to_str))
    else {
        return Err(io::Error::other("the name of the file is empty"));
    };
    fs::create_dir_all(target)?;
    for copy in 1..NAMES_MAX {
        let place = target.join(another_name(file_name, copy));
        if place.symlink_metadata().is_ok() {
            continue;
        }
        // The reason first: after a crash in between the next try writes it again, and then moves the file.
        if let Some(reason) = reason {
            write_reason(&place, reason)?;
        }
        match put(&from, &place) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            put => put?,
        }
        sync(target);
        sync(from.parent().unwrap_or(folder));
        return Ok(Moved::To(place));
    }
    Err(io::Error::other(format!("there are too many files of this name in {}", target.display())))
}

/// Removes the file `path` for good, if it is the one with this stamp.
pub fn remove(path: &Path, stamp: &Stamp) -> io::Result<Moved> {
    if !is_still(path, stamp)? {
        return Ok(Moved::Gone);
    }
    fs::remove_file(path)?;
    path.parent().map(sync);
    Ok(Moved::Removed)
}

/// Is the file at this path the one with this stamp?
pub fn is_still(path: &Path, wanted: &Stamp) -> io::Result<bool> {
    match path.symlink_metadata() {
        Ok(found) => Ok(found.is_file() && stamp(&found) == *wanted),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_reason(place: &Path, reason: &str) -> io::Result<()> {
    let mut path = place.as_os_str().to_owned();
    path.push(".reason.txt");
    let mut file = File::create(path)?;
    file.write_all(reason.as_bytes())?;
    file.sync_all()
}

/// Renames without ever replacing a file; onto another disk it is copied first.
fn put(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A network drive that does not know this wish: nobody else writes in our folders.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => fs::rename(from, to),
        Err(Errno::XDEV) => {
            let mut half = to.as_os_str().to_owned();
            half.push(".part");
            fs::copy(from, &half)?;
            File::open(&half)?.sync_all()?;
            fs::rename(&half, to)?;
            fs::remove_file(from)
        }
        renamed => Ok(renamed?),
    }
}

/// Some file systems cannot sync a folder; then there is nothing more to be done for it.
fn sync(folder: &Path) {
    drop(File::open(folder).and_then(|folder| folder.sync_all()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(look: &Look) -> Vec<&str> {
        look.files.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn a_look_gives_media_without_links_hidden_half_and_sorted_files() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["term 1/deep", "done", "failed/term 1", ".git"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for name in [
            "b.MP4",
            "a.mp4.part",
            ".a.mp4",
            "a.mp4~",
            "notes.txt",
            "term 1/deep/c.webm",
            "done/d.mp4",
            "failed/term 1/e.mp4",
            ".git/f.mp4",
        ] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink(dir.path(), dir.path().join("round")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("b.MP4"), dir.path().join("again.mp4")).unwrap();
        let but = ["done", "failed"].map(|name| dir.path().join(name));
        let found = look(dir.path(), &but).unwrap();
        assert_eq!(names(&found), ["b.MP4", "term 1/deep/c.webm"]);
        assert_eq!(found.files[0].1.size, 1);
        assert!(look(&dir.path().join("absent"), &[]).is_err());
    }

    #[test]
    fn a_sorted_file_keeps_its_folders_its_bytes_and_every_other_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("term 1")).unwrap();
        let name = "term 1/a.mp4";
        let mut places = Vec::new();
        for round in ["one", "two"] {
            fs::write(dir.path().join(name), round).unwrap();
            let stamp = look(dir.path(), &[dir.path().join("failed")]).unwrap().files[0].1;
            places.push(sort(dir.path(), name, "failed", &stamp, Some("because\n")).unwrap());
            assert_eq!(sort(dir.path(), name, "failed", &stamp, None).unwrap(), Moved::Gone, "only once");
        }
        let failed = dir.path().join("failed/term 1");
        assert_eq!(places, ["a.mp4", "a (2).mp4"].map(|name| Moved::To(failed.join(name))));
        assert_eq!(fs::read_to_string(failed.join("a.mp4")).unwrap(), "one");
        assert_eq!(fs::read_to_string(failed.join("a (2).mp4")).unwrap(), "two");
        assert_eq!(fs::read_to_string(failed.join("a (2).mp4.reason.txt")).unwrap(), "because\n");
    }

    #[test]
    fn a_file_that_was_exchanged_is_neither_moved_nor_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.mp4");
        fs::write(&path, "old").unwrap();
        let old = look(dir.path(), &[]).unwrap().files[0].1;
        fs::write(dir.path().join("b"), "new!").unwrap();
        fs::rename(dir.path().join("b"), &path).unwrap();
        assert_eq!(sort(dir.path(), "a.mp4", "done", &old, None).unwrap(), Moved::Gone);
        assert_eq!(remove(&path, &old).unwrap(), Moved::Gone);
        assert_eq!(fs::read_to_string(&path).unwrap(), "new!");
    }

    #[test]
    fn who_writes_a_file_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["a", "b", "c"].map(|name| dir.path().join(name));
        for path in &paths {
            fs::write(path, "x").unwrap();
        }
        let _writer = File::options().append(true).open(&paths[0]).unwrap();
        let _reader = File::open(&paths[1]).unwrap();
        assert_eq!(written(&paths), HashSet::from([paths[0].clone()]));
    }
}
