//! The empty directory of one attempt, gone with it.

use std::io;
use std::path::{Path, PathBuf};

use matinee_core::job::Lease;

use matinee_io::random;

use super::now;
use crate::node::{Keep, Node};

/// A directory below `work/`; dropping it removes it with all that is in it, or puts it aside where that is wanted.
#[derive(Debug)]
pub(crate) struct Scratch {
    dir: PathBuf,
    /// Where it is put aside.
    aside: Option<PathBuf>,
}

/// Where directories of attempts are put aside, with all nodes that share the data.
pub(crate) const KEPT: &str = "kept";

impl Scratch {
    /// Makes the directory of this attempt.
    pub(crate) fn open(node: &Node, lease: &Lease) -> io::Result<Self> {
        let dir = std::path::absolute(node.work_dir())?.join(name_of(lease));
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::create_dir_all(&dir)?;
        let keeps = node.config.work.keep_temp != Keep::Never;
        let aside = keeps.then(|| std::path::absolute(aside(node, lease))).transpose()?;
        Ok(Self { dir, aside })
    }

    /// Makes a directory for work that is no job's.
    pub(crate) fn fresh(node: &Node) -> io::Result<Self> {
        Self::below(&node.work_dir())
    }

    /// The same below any directory.
    pub(crate) fn below(work_dir: &Path) -> io::Result<Self> {
        let name = format!("{:032x}", u128::from_le_bytes(random::bytes()));
        let dir = std::path::absolute(work_dir)?.join(name);
        std::fs::create_dir_all(&dir)?;
        Ok(Self { dir, aside: None })
    }

    /// Its absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }

    /// The absolute path of one of our own file names inside.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let ended = match &self.aside {
            Some(aside) => put_aside(&self.dir, aside),
            None => std::fs::remove_dir_all(&self.dir),
        };
        if let Err(error) = ended {
            // The next start of this node clears `work/`.
            tracing::warn!(%error, dir = %self.dir.display(), "a work directory could not be removed");
        }
    }
}

fn name_of(lease: &Lease) -> String {
    format!("{}-{}", lease.job, lease.attempt)
}

fn aside(node: &Node, lease: &Lease) -> PathBuf {
    node.config.data.join(KEPT).join(name_of(lease))
}

/// An attempt may have had several directories, one after the other.
fn put_aside(dir: &Path, aside: &Path) -> io::Result<()> {
    std::fs::create_dir_all(aside)?;
    let number = std::fs::read_dir(aside)?.count() + 1;
    std::fs::rename(dir, aside.join(number.to_string()))
}

/// An attempt is over: what it has put aside stays only where that is wanted.
pub(crate) fn judge(node: &Node, lease: &Lease, failed: bool) {
    if node.config.work.keep_temp == Keep::OnFailure && !failed {
        let dir = aside(node, lease);
        if let Err(error) = remove(&dir) {
            tracing::warn!(%error, dir = %dir.display(), "what a job has put aside could not be removed");
        }
    }
}

/// Removes what was put aside longer ago than is wanted.
pub(crate) fn clear_aside(node: &Node) -> io::Result<()> {
    let kept = node.config.data.join(KEPT);
    if !kept.is_dir() {
        return Ok(());
    }
    let keep_ms = i64::from(node.config.work.keep_days) * 86_400_000;
    for entry in std::fs::read_dir(kept)? {
        let entry = entry?;
        let written = entry.metadata()?.modified()?.duration_since(std::time::UNIX_EPOCH);
        let written_ms = written.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        if now().0.saturating_sub(written_ms) >= keep_ms {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes what attempts of an earlier run have left, before any new one begins.
pub(crate) fn clear(node: &Node) -> io::Result<()> {
    let dir = node.work_dir();
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(dir)
}

/// What lies beside the directory of a named node: directories of other nodes, dead or alive, and what a server without a
/// name has left.
pub(crate) fn others(node: &Node) -> io::Result<Vec<PathBuf>> {
    let own = node.work_dir();
    let Some(work) = own.parent().filter(|_| node.name().is_some()) else { return Ok(Vec::new()) };
    let paths = std::fs::read_dir(work)?.map(|entry| entry.map(|entry| entry.path()));
    paths.filter(|path| path.as_ref().map_or(true, |path| *path != own)).collect()
}

/// Removes what a node has left that does not come back by itself.
pub(crate) fn remove(dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        // Another node that starts now was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
