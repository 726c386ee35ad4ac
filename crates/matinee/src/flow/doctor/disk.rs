//! The data directory: can it be written, how much room is there, and what kind of file system is it?

use std::io::Write as _;
use std::path::{Path, PathBuf};

use matinee_core::limits;
use matinee_io::{random, store};

use super::Finding;
use crate::flow::scratch::KEPT;
use crate::node::Keep;

const CHECK: &str = "disk";
/// With less room than this somebody should know, in bytes.
const ROOM_MIN: u64 = 5 << 30;
/// File systems of other machines: locks and shared memory of the database do not hold there.
const REMOTE: &[&str] =
    &["9p", "afs", "ceph", "cifs", "fuse.rclone", "fuse.sshfs", "nfs", "nfs4", "smb3", "smbfs"];
/// File systems that are empty after a restart.
const FLEETING: &[&str] = &["ramfs", "tmpfs"];

/// Looks at the directory, or where it will be made.
pub(super) fn examine(data: &Path) -> Vec<Finding> {
    let absolute = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let mut findings = vec![written(&absolute)];
    let Some(place) = absolute.ancestors().find(|place| place.exists()) else { return findings };
    findings.push(match store::free_bytes_at(place) {
        Ok(free) => room(free),
        Err(error) => Finding::fix(CHECK, format!("its room cannot be asked: {error}"), "Look at the disk."),
    });
    let place = place.canonicalize().unwrap_or_else(|_| place.to_owned());
    findings.push(kind(&place, &std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()));
    findings
}

fn written(data: &Path) -> Finding {
    let exists = data.is_dir();
    let place = data.ancestors().find(|place| place.exists()).unwrap_or(data);
    let shown = data.display();
    match try_to_write(place) {
        Ok(()) if exists => Finding::ok(CHECK, format!("{shown} can be written")),
        Ok(()) => Finding::ok(CHECK, format!("{shown} is made at the first start")),
        Err(error) => Finding::fix(
            CHECK,
            format!("{shown} cannot be written: {error}"),
            "Mend its rights, or give another directory with --data.",
        ),
    }
}

fn try_to_write(dir: &Path) -> std::io::Result<()> {
    let path: PathBuf = dir.join(format!(".matinee-doctor-{:016x}", u64::from_le_bytes(random::bytes())));
    let mut file = std::fs::File::create_new(&path)?;
    let written = file.write_all(b"ok").and_then(|()| file.sync_all());
    std::fs::remove_file(&path)?;
    written
}

/// What attempts have left, and whether that is wanted.
pub(super) fn kept(data: &Path, (keep, days): (Keep, u32)) -> Finding {
    const CHECK: &str = "work";
    let (mut folders, mut bytes) = (0_u64, 0_u64);
    for folder in std::fs::read_dir(data.join(KEPT)).into_iter().flatten().flatten() {
        folders += 1;
        bytes += size_of(&folder.path());
    }
    #[expect(clippy::cast_precision_loss, reason = "it is shown with one digit")]
    let mb = bytes as f64 / 1e6;
    let word = match keep {
        Keep::Never => "never",
        Keep::OnFailure => "on_failure",
        Keep::Always => "always",
    };
    let found = format!("`work.keep_temp` is {word}; folders of {folders} attempts are kept, {mb:.1} MB");
    if keep == Keep::Always {
        let fix = format!(
            "Each is removed after {days} days; set `on_failure` or `never` when nobody looks at them."
        );
        return Finding::note(CHECK, found, fix);
    }
    Finding::ok(CHECK, found)
}

/// The bytes of all files below a folder; what cannot be read has none.
fn size_of(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => size_of(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

fn room(free: u64) -> Finding {
    #[expect(clippy::cast_precision_loss, reason = "it is shown with one digit")]
    let shown = format!("{:.1} GB free", free as f64 / 1e9);
    if free < limits::FREE_BYTES_MIN {
        Finding::fix(CHECK, format!("{shown}: uploads are refused"), "Make room, or move the data directory.")
    } else if free < ROOM_MIN {
        Finding::note(CHECK, shown, "Make room soon: a video needs about three times its own size.")
    } else {
        Finding::ok(CHECK, shown)
    }
}

fn kind(place: &Path, mounts: &str) -> Finding {
    let Some(kind) = mounted(place, mounts) else {
        return Finding::note(CHECK, "its file system is unknown", "Look whether /proc is mounted.");
    };
    if REMOTE.contains(&kind) {
        Finding::fix(
            CHECK,
            format!("{kind} is a file system of another machine; a SQLite database can break there"),
            "Put the data directory on a local disk, or use PostgreSQL.",
        )
    } else if FLEETING.contains(&kind) {
        Finding::note(
            CHECK,
            format!("{kind}: everything is gone after a restart"),
            "Put the data directory on a disk.",
        )
    } else {
        Finding::ok(CHECK, format!("file system {kind}"))
    }
}

/// The type of the file system below which `place` lies: that of the longest mount point, the last of equal ones.
fn mounted<'a>(place: &Path, mounts: &'a str) -> Option<&'a str> {
    let of_line = |line: &'a str| {
        let (before, after) = line.split_once(" - ")?;
        let point = before.split(' ').nth(4)?.replace("\\040", " ");
        place.starts_with(&point).then_some((point.len(), after.split(' ').next()?))
    };
    mounts.lines().filter_map(of_line).max_by_key(|(len, _)| *len).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;

    const MOUNTS: &str = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
        30 22 0:40 / /mnt/films rw - nfs4 server:/films rw\n\
        31 22 0:41 / /mnt/my\\040films rw - tmpfs tmpfs rw\n";

    #[test]
    fn the_longest_mount_point_says_the_file_system() {
        for (place, kind) in [
            ("/srv/x", "ext4"),
            ("/mnt/films/a", "nfs4"),
            ("/mnt/my films", "tmpfs"),
            ("/mnt/filmsx", "ext4"),
        ] {
            assert_eq!(mounted(Path::new(place), MOUNTS), Some(kind), "{place}");
        }
        assert_eq!(kind(Path::new("/mnt/films"), MOUNTS).grade, Grade::Fix);
        assert_eq!(kind(Path::new("/mnt/my films"), MOUNTS).grade, Grade::Note);
    }

    #[test]
    fn what_attempts_have_left_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let found = |keep| kept(dir.path(), (keep, 3)).found;
        assert!(found(Keep::Never).contains("is never; folders of 0 attempts"));
        let run = dir.path().join(KEPT).join("job_1-1").join("1");
        std::fs::create_dir_all(&run).unwrap();
        std::fs::write(run.join("out_0.mp4"), vec![0; 1_500_000]).unwrap();
        assert!(found(Keep::OnFailure).contains("on_failure; folders of 1 attempts are kept, 1.5 MB"));
        assert_eq!(kept(dir.path(), (Keep::Always, 3)).grade, Grade::Note);
    }

    #[test]
    fn a_full_disk_is_found_before_an_upload_is_refused() {
        let grades =
            [0, limits::FREE_BYTES_MIN - 1, limits::FREE_BYTES_MIN, ROOM_MIN].map(|free| room(free).grade);
        assert_eq!(grades, [Grade::Fix, Grade::Fix, Grade::Note, Grade::Ok]);
    }
}
