//! What a runner keeps of itself: its token, in a file that only its owner can read, and the lock of its directory.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use matinee_core::hash::hex;
use matinee_io::random;
use serde::{Deserialize, Serialize};

use super::Failed;
use crate::errand::Registered;

const FILE: &str = "runner.json";

/// The file, and the lock that is held while we run.
pub(super) struct Badge {
    dir: PathBuf,
    kept: Kept,
    _lock: File,
}

/// What is in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    server: String,
    /// Of our own choice, for a registration whose answer may be lost.
    nonce: Option<String>,
    id: Option<String>,
    name: Option<String>,
    token: Option<String>,
}

impl Badge {
    /// Opens the directory of a runner of this server; that of another server is begun anew.
    pub(super) fn open(dir: &Path, server: &str) -> Result<Self, Failed> {
        if !dir.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(dir.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Failed::Busy(dir.display().to_string())),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let kept = match std::fs::read(dir.join(FILE)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(error) => return Err(error.into()),
        };
        let server = server.trim_end_matches('/').to_owned();
        let kept = if kept.server == server { kept } else { Kept { server, ..Kept::default() } };
        Ok(Self { dir: dir.to_owned(), kept, _lock: lock })
    }

    /// The token, when it is registered.
    pub(super) fn token(&self) -> Option<String> {
        self.kept.token.clone()
    }

    /// The number for registering, durable before it is used.
    pub(super) fn nonce(&mut self) -> io::Result<String> {
        let nonce = self.kept.nonce.clone().unwrap_or_else(|| hex(&random::bytes::<16>()));
        self.kept.nonce = Some(nonce.clone());
        self.save()?;
        Ok(nonce)
    }

    /// Keeps what the server has answered.
    pub(super) fn keep(&mut self, registered: &Registered) -> io::Result<()> {
        self.kept.nonce = None;
        self.kept.id = Some(registered.id.clone());
        self.kept.name = Some(registered.name.clone());
        self.kept.token = Some(registered.token.clone());
        self.save()
    }

    /// Forgets the token, which the server does not know any more.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        self.kept = Kept { server: self.kept.server.clone(), ..Kept::default() };
        self.save()
    }

    /// Written beside and renamed: a crash in between leaves the old file.
    fn save(&self) -> io::Result<()> {
        let fresh = self.dir.join(format!("{FILE}.new"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&serde_json::to_vec_pretty(&self.kept)?)?;
        file.sync_all()?;
        std::fs::rename(&fresh, self.dir.join(FILE))?;
        File::open(&self.dir)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_token_outlives_restarts_and_is_for_its_owner_and_server_only() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("runner");
        let mut badge = Badge::open(&place, "https://one/").unwrap();
        let nonce = badge.nonce().unwrap();
        assert!(matches!(Badge::open(&place, "https://one"), Err(Failed::Busy(_))), "one at a time");
        drop(badge);
        let mut badge = Badge::open(&place, "https://one").unwrap();
        assert_eq!((badge.nonce().unwrap(), badge.token()), (nonce, None), "the same question again");
        let text = |text: &str| text.to_owned();
        badge.keep(&Registered { id: text("rnr_1"), name: text("one"), token: text("mat_x") }).unwrap();
        drop(badge);
        let mode = std::fs::metadata(place.join(FILE)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(Badge::open(&place, "https://one/").unwrap().token(), Some(text("mat_x")));
        assert_eq!(Badge::open(&place, "https://two").unwrap().token(), None);
    }
}
