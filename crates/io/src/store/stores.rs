//! The stores that the configuration names, opened. Names are for ever: rows hold them.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tokio::sync::{Mutex, MutexGuard};

use super::guard::{Guard, Trust};
use super::port::{RemoteError, Store};
use super::s3::{Access, PATIENCE, S3};
use super::{Disk, Facts};

/// A store as it is configured.
#[derive(Clone)]
pub struct StoreConfig {
    /// Its name, for ever.
    pub name: String,
    /// Where it is.
    pub place: Place,
}

/// Where a store is.
#[derive(Clone)]
pub enum Place {
    /// A bucket of S3 or of what speaks like it.
    S3 {
        /// The bucket, and who we are there.
        access: Access,
        /// Before every key.
        prefix: String,
        /// The storage class of what is put.
        storage_class: Option<String>,
    },
    /// A folder.
    Disk {
        /// The folder.
        path: PathBuf,
    },
}

/// A store that was opened.
#[derive(Debug)]
pub struct Opened {
    /// Its name.
    pub name: String,
    /// Where it is, for people.
    pub place: String,
    /// The store. It is asked for nothing while another place is known to be found under its name.
    pub store: Arc<dyn Store>,
    /// The same for whoever looks whether it is the right place.
    pub bare: Arc<dyn Store>,
    /// What is known of that in this process.
    pub trust: Trust,
    /// A question costs next to nothing, and the place may be another one the next moment: a disk that was mounted.
    pub is_near: bool,
    /// What it can do, once it was tried.
    pub facts: OnceLock<Facts>,
}

/// All of them; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Stores {
    all: Arc<[Opened]>,
    turn: Arc<Mutex<()>>,
}

/// A store that cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
#[error("the store `{name}` cannot be used: {error}")]
pub struct Unusable {
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub error: RemoteError,
}

impl Stores {
    /// Opens all of them. Nothing is asked over the network, and a disk may be away for now. Blocks.
    pub fn open(configs: &[StoreConfig]) -> Result<Self, Unusable> {
        let opened = configs
            .iter()
            .map(|config| open(config).map_err(|error| Unusable { name: config.name.clone(), error }));
        Ok(Self { all: opened.collect::<Result<Vec<_>, _>>()?.into(), turn: Arc::default() })
    }

    /// The store of this name.
    pub fn get(&self, name: &str) -> Option<&Opened> {
        self.all.iter().find(|opened| opened.name == name)
    }

    /// All of them, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Opened> {
        self.all.iter()
    }

    /// The turn to hang up a plate: two names of one place must not do it at the same moment.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

fn open(config: &StoreConfig) -> Result<Opened, RemoteError> {
    let (bare, place): (Arc<dyn Store>, String) = match &config.place {
        Place::S3 { access, prefix, storage_class } => {
            let store = S3::open(access, prefix, storage_class.clone(), PATIENCE)?;
            let host = access.endpoint.as_deref().unwrap_or("AWS");
            let place = format!("s3://{}/{prefix} at {host}", access.bucket);
            (Arc::new(store), place)
        }
        Place::Disk { path } => {
            let store = Disk::open(path).map_err(|error| RemoteError::Wrong(error.to_string()))?;
            (Arc::new(store), path.display().to_string())
        }
    };
    let trust = Trust::default();
    Ok(Opened {
        name: config.name.clone(),
        place,
        store: Arc::new(Guard { store: Arc::clone(&bare), trust: trust.clone() }),
        bare,
        trust,
        is_near: matches!(config.place, Place::Disk { .. }),
        facts: OnceLock::new(),
    })
}
