//! The lock of a data directory: one matinee serves it, and everybody can see that it does.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};

/// The file below the data directory that the serving process holds.
const NAME: &str = "serve.lock";
/// A command that only looks holds the lock for an instant; a server that starts just then waits so often.
const TRIES: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(25);

/// Held as long as this process serves; the kernel gives it back however the process ends.
#[derive(Debug)]
pub(crate) struct Serving {
    file: File,
}

impl Serving {
    /// Takes the lock, or says who has it.
    pub(crate) async fn begin(data: &Path) -> anyhow::Result<Self> {
        let path = data.join(NAME);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.with_context(|| format!("the lock {} cannot be opened", path.display()))?;
        for _ in 0..TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Self { file }),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(BETWEEN).await,
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("{} cannot be locked", path.display()));
                }
            }
        }
        let holder = holder(file).map(|holder| format!(" ({holder})")).unwrap_or_default();
        bail!(
            "another matinee{holder} serves the data directory {} already. Stop it first, or give this one another \
             directory with --data.",
            data.display()
        )
    }

    /// Says in the lock file who serves, and where.
    pub(crate) fn announce(&mut self, address: std::net::SocketAddr) -> std::io::Result<()> {
        self.file.set_len(0)?;
        write!(self.file, "process {}, http://{address}", std::process::id())
    }
}

/// Who serves this data directory now; `None` when nobody does.
pub(crate) fn server_of(data: &Path) -> Option<String> {
    let file = File::open(data.join(NAME)).ok()?;
    // Shared, so that two commands that look do not take each other for a server.
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(holder(file).unwrap_or_else(|| "another process".to_owned())),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// The address at which this data directory is served now.
pub(crate) fn address_of(data: &Path) -> Option<String> {
    server_of(data)?.split_once(", ").map(|(_, address)| address.to_owned())
}

fn holder(mut file: File) -> Option<String> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_servers_on_one_data_directory_are_one_too_many() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(server_of(dir.path()), None);
        let mut first = Serving::begin(dir.path()).await.unwrap();
        first.announce(std::net::SocketAddr::from(([127, 0, 0, 1], 8_080))).unwrap();
        assert!(server_of(dir.path()).unwrap().contains("http://127.0.0.1:8080"));
        assert_eq!(address_of(dir.path()).as_deref(), Some("http://127.0.0.1:8080"));
        let refused = Serving::begin(dir.path()).await.unwrap_err().to_string();
        assert!(refused.contains("--data") && refused.contains("http://127.0.0.1:8080"), "{refused}");
        drop(first);
        assert_eq!(server_of(dir.path()), None);
        Serving::begin(dir.path()).await.unwrap();
    }
}
