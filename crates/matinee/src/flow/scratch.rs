//! The empty directory of one attempt, gone with it.

use std::io;
use std::path::{Path, PathBuf};

use matinee_core::job::Lease;

use matinee_io::random;

use crate::node::Node;

/// A directory below `work/`; dropping it removes it with all that is in it.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes the directory of this attempt.
    pub(crate) fn open(node: &Node, lease: &Lease) -> io::Result<Self> {
        let dir = std::path::absolute(node.work_dir())?.join(format!("{}-{}", lease.job, lease.attempt));
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::create_dir_all(&dir)?;
        Ok(Self(dir))
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
        Ok(Self(dir))
    }

    /// Its absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The absolute path of one of our own file names inside.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            // The next start of this node clears `work/`.
            tracing::warn!(%error, dir = %self.0.display(), "a work directory could not be removed");
        }
    }
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
