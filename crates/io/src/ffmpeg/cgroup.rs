//! A cgroup of its own for each ffmpeg, where this process lives in a part of the tree that was handed over to it.
//!
//! Limits of a process hold everywhere (`sandbox`); these hold for all that a program has together, count memory that is
//! really used, and let the server go first. Only a delegated subtree is touched: a systemd unit with `Delegate=yes`, or
//! the root of a container's own tree.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Limits;

/// Where the kernel shows the tree.
const ROOT: &str = "/sys/fs/cgroup";
/// What limits are made of.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];
/// The leaf in which we live ourselves: a group with children that are limited has no processes of its own.
const SERVER: &str = "matinee-server";
/// How the groups of programs begin.
const PROGRAM: &str = "matinee-ffmpeg-";
/// Threads of one program. Decoder, scalers and seven encoders have one each for every core of a large machine.
const THREADS_MAX: u32 = 2_048;
/// The server has 100, so it goes first where processors are short.
const WEIGHT: u32 = 20;
/// A group is empty some moments after its last process was reaped.
const REMOVE_TRIES: u32 = 20;
const REMOVE_PAUSE: Duration = Duration::from_millis(50);

/// Why programs have only the limits of processes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// An older kernel, or one that was told so.
    #[error("this process is in no cgroup of version 2")]
    Version,
    /// It belongs to somebody else.
    #[error("its cgroup {0} was not handed over to it (`Delegate=yes` of a systemd unit)")]
    NotDelegated(String),
    /// The kernel limits nothing there.
    #[error("its cgroup has no controller {0}")]
    Controller(&'static str),
    /// The kernel said no.
    #[error("its cgroup cannot be divided: {0}")]
    Refused(String),
}

/// The subtree in which programs get their groups.
#[derive(Debug, Clone)]
pub struct Subtree {
    dir: PathBuf,
    /// How many programs have had a group.
    groups: Arc<AtomicU64>,
}

impl Subtree {
    /// The subtree that was handed over to this process; nothing is changed.
    pub fn here() -> Result<Self, Lack> {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::of(Path::new(ROOT), &own, &is_delegated)
    }

    /// The same by a root, what `/proc/self/cgroup` says, and who knows what was handed over.
    fn of(root: &Path, own: &str, is_delegated: &dyn Fn(&Path) -> bool) -> Result<Self, Lack> {
        let path = own.lines().find_map(|line| line.strip_prefix("0::/")).ok_or(Lack::Version)?;
        let own = root.join(path);
        let listed = fs::read_to_string(own.join("cgroup.controllers")).map_err(|_| Lack::Version)?;
        // In a container our own root looks like the root of all; `cgroup.type` is missing only in the real one.
        let whole = path.is_empty() && own.join("cgroup.type").exists();
        let above = own.parent().filter(|above| above.starts_with(root) && is_delegated(above));
        let dir = match above {
            Some(above) if !is_delegated(&own) => above.to_owned(),
            Some(_) | None if whole || is_delegated(&own) => own,
            Some(_) | None => return Err(Lack::NotDelegated(format!("/{path}"))),
        };
        let has = |name: &str| listed.split_ascii_whitespace().any(|listed| listed == name);
        match CONTROLLERS.into_iter().find(|name| !has(name)) {
            Some(missing) => Err(Lack::Controller(missing)),
            None => Ok(Self { dir, groups: Arc::default() }),
        }
    }

    /// Moves this process into a leaf, so that groups beside it can be limited, and removes what an earlier run has left.
    pub fn divide(self) -> Result<Self, Lack> {
        let refused = |error: io::Error| Lack::Refused(error.to_string());
        let procs = fs::read_to_string(self.dir.join("cgroup.procs")).map_err(refused)?;
        if !procs.trim().is_empty() {
            let leaf = self.dir.join(SERVER);
            fs::create_dir_all(&leaf).map_err(refused)?;
            fs::write(leaf.join("cgroup.procs"), std::process::id().to_string()).map_err(refused)?;
        }
        let wanted = CONTROLLERS.map(|name| format!("+{name}")).join(" ");
        fs::write(self.dir.join("cgroup.subtree_control"), wanted).map_err(refused)?;
        for entry in fs::read_dir(&self.dir).map_err(refused)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(PROGRAM) {
                // One that is not empty belongs to a run that still ends.
                let _ = fs::remove_dir(entry.path());
            }
        }
        Ok(self)
    }

    /// A group for one program.
    pub(super) fn group(&self, limits: &Limits) -> io::Result<Pen> {
        // Other servers may live in the same subtree; what an earlier process of this number left was removed.
        let number = self.groups.fetch_add(1, Ordering::Relaxed);
        let dir = self.dir.join(format!("{PROGRAM}{}-{number}", std::process::id()));
        fs::create_dir(&dir)?;
        let pen = Pen { dir };
        pen.set("memory.max", &limits.memory_bytes.min(Limits::default().memory_bytes).to_string())?;
        pen.set("memory.swap.max", "0").or_else(absent)?;
        pen.set("memory.oom.group", "1").or_else(absent)?;
        pen.set("pids.max", &THREADS_MAX.to_string())?;
        pen.set("cpu.weight", &WEIGHT.to_string())?;
        Ok(pen)
    }
}

/// Some kernels are built without swap, and older ones kill one by one.
fn absent(error: io::Error) -> io::Result<()> {
    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) {
        Ok(())
    } else {
        Err(error)
    }
}

/// systemd marks what it hands over.
fn is_delegated(dir: &Path) -> bool {
    ["user.delegate", "trusted.delegate"].into_iter().any(|name| {
        let mut value = [0_u8; 1];
        rustix::fs::getxattr(dir, name, &mut value).is_ok_and(|len| len == 1 && value == *b"1")
    })
}

/// The group of one program; it goes when nobody needs it any more.
#[derive(Debug)]
pub(super) struct Pen {
    dir: PathBuf,
}

impl Pen {
    /// The file into which a process writes `0` to get in.
    pub(super) fn door(&self) -> PathBuf {
        self.dir.join("cgroup.procs")
    }

    /// Was something in it killed because it needed more memory than it may have?
    pub(super) fn ran_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.dir.join("memory.events")).unwrap_or_default();
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.is_some_and(|count| count.trim() != "0")
    }

    fn set(&self, file: &str, value: &str) -> io::Result<()> {
        fs::OpenOptions::new().write(true).open(self.dir.join(file)).and_then(|mut file| {
            use std::io::Write as _;
            file.write_all(value.as_bytes())
        })
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        if fs::remove_dir(&self.dir).is_ok() {
            return;
        }
        // Whoever drops us must not wait; what is left after all is removed at the next start.
        let dir = self.dir.clone();
        std::thread::spawn(move || {
            (0..REMOVE_TRIES).any(|_| {
                std::thread::park_timeout(REMOVE_PAUSE);
                fs::remove_dir(&dir).is_ok() || !dir.exists()
            })
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [&str; 6] =
        ["cgroup.procs", "memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.weight"];

    /// A group as the kernel would make it.
    fn grown(dir: &Path, procs: &str) {
        fs::create_dir_all(dir).unwrap();
        for name in FILES {
            fs::write(dir.join(name), "").unwrap();
        }
        fs::write(dir.join("cgroup.controllers"), "cpuset cpu io memory pids\n").unwrap();
        fs::write(dir.join("cgroup.type"), "domain\n").unwrap();
        fs::write(dir.join("cgroup.subtree_control"), "").unwrap();
        fs::write(dir.join("cgroup.procs"), procs).unwrap();
    }

    fn said(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn only_a_subtree_that_was_handed_over_is_taken() {
        let root = tempfile::tempdir().unwrap();
        let unit = root.path().join("system.slice/matinee.service");
        grown(root.path(), "");
        grown(&unit, "7\n");
        grown(&unit.join("server"), "7\n");
        let own = "0::/system.slice/matinee.service\n";
        let inner = "0::/system.slice/matinee.service/server\n";
        let of = |own: &str, delegated: bool| {
            Subtree::of(root.path(), own, &|dir| delegated && dir == unit).map(|found| found.dir)
        };
        assert_eq!(of(own, true), Ok(unit.clone()));
        assert_eq!(of(inner, true), Ok(unit.clone()), "systemd has put us into a leaf already");
        let path = "/system.slice/matinee.service".to_owned();
        assert_eq!(of(own, false), Err(Lack::NotDelegated(path)));
        assert_eq!(of("0::/\n", false), Ok(root.path().join("")), "the root of a container's own tree");
        assert_eq!(of("12:pids:/x\n1:name=systemd:/\n", true), Err(Lack::Version));
        assert_eq!(of("0::/gone\n", true), Err(Lack::Version));
        fs::remove_file(root.path().join("cgroup.type")).unwrap();
        assert_eq!(of("0::/\n", false), Err(Lack::NotDelegated("/".to_owned())), "the root of all");
        fs::write(unit.join("cgroup.controllers"), "cpu pids\n").unwrap();
        assert_eq!(of(own, true), Err(Lack::Controller("memory")));
    }

    #[test]
    fn a_subtree_is_divided_and_what_was_left_in_it_goes() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("unit");
        grown(&dir, "7\n");
        let left = dir.join(format!("{PROGRAM}1"));
        fs::create_dir(&left).unwrap();
        Subtree { dir: dir.clone(), groups: Arc::default() }.divide().unwrap();
        let own = std::process::id().to_string();
        assert_eq!(said(&dir.join(SERVER).join("cgroup.procs")), own);
        assert_eq!(said(&dir.join("cgroup.subtree_control")), "+cpu +memory +pids");
        assert!(!left.exists());
        fs::write(dir.join("cgroup.procs"), "").unwrap();
        fs::remove_dir_all(dir.join(SERVER)).unwrap();
        Subtree { dir: dir.clone(), groups: Arc::default() }.divide().unwrap();
        assert!(!dir.join(SERVER).exists(), "nobody is in the way");
    }

    #[test]
    fn a_group_is_limited_tells_of_its_memory_and_goes() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("pen");
        grown(&dir, "");
        let pen = Pen { dir: dir.clone() };
        for (file, value) in [("memory.max", "100"), ("pids.max", "9")] {
            pen.set(file, value).unwrap();
            assert_eq!(said(&dir.join(file)), value);
        }
        assert!(pen.set("memory.peak", "1").is_err(), "no file is made that the kernel does not have");
        assert!(!pen.ran_out_of_memory());
        for (events, out) in [("low 0\noom_kill 0\n", false), ("oom 2\noom_kill 1\noom_group_kill 1\n", true)]
        {
            fs::write(dir.join("memory.events"), events).unwrap();
            assert_eq!(pen.ran_out_of_memory(), out);
        }
        assert_eq!(pen.door(), dir.join("cgroup.procs"));
        // The kernel's files go with their folder.
        for entry in fs::read_dir(&dir).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        drop(pen);
        assert!(!dir.exists());
    }
}
