//! The lock of a data directory: one matinee serves it, and everybody can see that it does.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

/// The file below the data directory that is held by who serves it: by one alone, or shared by nodes with names.
const NAME: &str = "serve.lock";
/// A command that only looks holds the lock for an instant; a server that starts just then waits so often.
const TRIES: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(25);

/// Held as long as this process serves; the kernel gives it back however the process ends.
#[derive(Debug)]
pub(crate) struct Serving {
    /// Where it says who it is.
    file: File,
    /// The lock that named nodes share.
    _shared: Option<File>,
}

impl Serving {
    /// Takes the lock, or says who has it. Nodes with different names serve one directory together.
    pub(crate) async fn begin(data: &Path, node: Option<&str>) -> anyhow::Result<Self> {
        let whole = open(&data.join(NAME))?;
        let Some(node) = node else {
            if taken(&whole, File::try_lock).await? {
                return Ok(Self { file: whole, _shared: None });
            }
            bail!(refused(data, whole));
        };
        let own = open(&path_of(data, node))?;
        if !taken(&own, File::try_lock).await? {
            let holder = holder(own).map(|holder| format!(" ({holder})")).unwrap_or_default();
            bail!(
                "another matinee{holder} serves the data directory {} as node `{node}` already. Give this one another \
                 name with --node.",
                data.display()
            );
        }
        if taken(&whole, File::try_lock_shared).await? {
            return Ok(Self { file: own, _shared: Some(whole) });
        }
        bail!(refused(data, whole));
    }

    /// Says in the lock file who serves, and where.
    pub(crate) fn announce(&mut self, address: std::net::SocketAddr) -> std::io::Result<()> {
        self.file.set_len(0)?;
        write!(self.file, "process {}, http://{address}", std::process::id())
    }
}

fn open(path: &Path) -> anyhow::Result<File> {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
    file.with_context(|| format!("the lock {} cannot be opened", path.display()))
}

async fn taken(file: &File, lock: fn(&File) -> Result<(), TryLockError>) -> anyhow::Result<bool> {
    for _ in 0..TRIES {
        match lock(file) {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(BETWEEN).await,
            Err(TryLockError::Error(error)) => return Err(error).context("a lock file cannot be locked"),
        }
    }
    Ok(false)
}

fn refused(data: &Path, whole: File) -> String {
    let holder = node_of(data).or_else(|| holder(whole)).map(|holder| format!(" ({holder})"));
    format!(
        "another matinee{} serves the data directory {} already. Stop it first, give this one another directory with \
         --data, or let both serve it as nodes with names of their own (--node).",
        holder.unwrap_or_default(),
        data.display()
    )
}

/// The lock of a node.
fn path_of(data: &Path, node: &str) -> PathBuf {
    data.join(format!("serve-{node}.lock"))
}

/// The lock of a node that does not run; while it is held it does not start either.
pub(crate) fn of_dead(data: &Path, node: &str) -> Option<File> {
    let file = open(&path_of(data, node)).ok()?;
    file.try_lock().is_ok().then_some(file)
}

/// A node with a name that serves this data directory now.
fn node_of(data: &Path) -> Option<String> {
    let entries = std::fs::read_dir(data).ok()?.flatten();
    let mut locks = entries.filter(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|name| {
            name.strip_prefix("serve-").is_some_and(|rest| rest.strip_suffix(".lock").is_some())
        })
    });
    locks.find_map(|entry| held(&entry.path()))
}

/// What the holder of this lock says of itself; `None` when nobody holds it.
fn held(path: &Path) -> Option<String> {
    let file = File::open(path).ok()?;
    // Shared, so that two commands that look do not take each other for a server.
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(holder(file).unwrap_or_else(|| "another process".to_owned())),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// Who serves this data directory now, or one of them; `None` when nobody does.
pub(crate) fn server_of(data: &Path) -> Option<String> {
    held(&data.join(NAME)).or_else(|| node_of(data))
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
        let mut first = Serving::begin(dir.path(), None).await.unwrap();
        first.announce(std::net::SocketAddr::from(([127, 0, 0, 1], 8_080))).unwrap();
        assert!(server_of(dir.path()).unwrap().contains("http://127.0.0.1:8080"));
        assert_eq!(address_of(dir.path()).as_deref(), Some("http://127.0.0.1:8080"));
        let refused = Serving::begin(dir.path(), None).await.unwrap_err().to_string();
        assert!(refused.contains("--data") && refused.contains("http://127.0.0.1:8080"), "{refused}");
        drop(first);
        assert_eq!(server_of(dir.path()), None);
        Serving::begin(dir.path(), None).await.unwrap();
    }

    #[tokio::test]
    async fn nodes_with_names_of_their_own_serve_together_and_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let mut a = Serving::begin(dir.path(), Some("a")).await.unwrap();
        a.announce(std::net::SocketAddr::from(([127, 0, 0, 1], 8_081))).unwrap();
        let b = Serving::begin(dir.path(), Some("b")).await.unwrap();
        let twin = Serving::begin(dir.path(), Some("a")).await.unwrap_err().to_string();
        assert!(twin.contains("node `a`") && twin.contains("http://127.0.0.1:8081"), "{twin}");
        drop(b);
        let alone = Serving::begin(dir.path(), None).await.unwrap_err().to_string();
        assert!(alone.contains("--node") && alone.contains("http://127.0.0.1:8081"), "{alone}");
        assert_eq!(address_of(dir.path()).as_deref(), Some("http://127.0.0.1:8081"));
        assert!(of_dead(dir.path(), "a").is_none() && of_dead(dir.path(), "b").is_some());
        drop(a);
        assert_eq!(server_of(dir.path()), None);
        let alone = Serving::begin(dir.path(), None).await.unwrap();
        assert!(Serving::begin(dir.path(), Some("a")).await.is_err());
        drop(alone);
    }
}
