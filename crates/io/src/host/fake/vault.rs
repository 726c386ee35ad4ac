//! The bytes of uploads, in files that go with the fake.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use sha2::{Digest as _, Sha256};

use super::film::{Film, NoFilm};

/// A file that is given as a whole has at most so many bytes: it is held in memory.
const WHOLE_BYTES_MAX: u64 = 64 << 20;

/// Holds the bytes of uploads below a folder.
pub(crate) struct Vault {
    folder: PathBuf,
    items: Mutex<HashMap<String, Item>>,
    /// The film that was asked for last: players ask for all of one.
    shown: Mutex<Option<(String, Arc<Film>)>>,
}

/// What has arrived of one upload.
#[derive(Debug, Clone, Default)]
pub(crate) struct Item {
    /// Bytes that were announced.
    pub(crate) size: u64,
    /// Bytes that are there.
    pub(crate) offset: u64,
    hash: Sha256,
}

impl Item {
    /// Is it all there?
    pub(crate) const fn is_whole(&self) -> bool {
        self.offset == self.size
    }

    /// SHA-256 of what is there.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }
}

impl Vault {
    /// Bytes go below `folder`, which exists.
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder, items: Mutex::default(), shown: Mutex::default() }
    }

    /// Begins an upload; the second time it stays as it is.
    pub(crate) fn begin(&self, id: &str, size: u64) {
        self.items().entry(id.to_owned()).or_insert_with(|| Item { size, ..Item::default() });
    }

    /// What is there.
    pub(crate) fn item(&self, id: &str) -> Option<Item> {
        self.items().get(id).cloned()
    }

    /// Takes a body from `offset` on, as far as it comes. `None` when that is not where the upload stands.
    pub(crate) async fn append(&self, id: &str, offset: u64, mut body: Incoming) -> io::Result<Option<u64>> {
        if self.item(id).is_none_or(|item| item.offset != offset) {
            return Ok(None);
        }
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(bytes) = frame.into_data() else { continue };
            if self.push(id, &bytes)?.is_none() {
                break;
            }
        }
        Ok(self.item(id).map(|item| item.offset))
    }

    /// Takes the next bytes, no more than were announced; where it stands then. `None` when it is not there.
    pub(crate) fn push(&self, id: &str, bytes: &[u8]) -> io::Result<Option<u64>> {
        let mut items = self.items();
        let Some(item) = items.get_mut(id) else { return Ok(None) };
        let room = usize::try_from(item.size - item.offset).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(room)];
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(id))?;
        file.write_all(bytes)?;
        item.hash.update(bytes);
        item.offset += bytes.len() as u64;
        Ok(Some(item.offset))
    }

    /// What was uploaded, to be streamed; else why it cannot be.
    pub(crate) fn film(&self, id: &str) -> Result<Arc<Film>, NoFilm> {
        let mut shown = self.shown.lock().expect("because nobody panics while it is held");
        if let Some((_, film)) = shown.as_ref().filter(|(known, _)| known == id) {
            return Ok(Arc::clone(film));
        }
        let film = Arc::new(Film::open(&self.path(id))?);
        *shown = Some((id.to_owned(), Arc::clone(&film)));
        Ok(film)
    }

    /// All bytes of an upload; nothing of one that is too large for that.
    pub(crate) fn whole(&self, id: &str) -> Option<Vec<u8>> {
        self.item(id).filter(|item| item.is_whole() && item.size <= WHOLE_BYTES_MAX)?;
        std::fs::read(self.path(id)).ok()
    }

    /// Forgets an upload and its bytes.
    pub(crate) fn remove(&self, id: &str) {
        self.items().remove(id);
        let mut shown = self.shown.lock().expect("because nobody panics while it is held");
        *shown = shown.take().filter(|(known, _)| known != id);
        // It may never have had a byte.
        drop(std::fs::remove_file(self.path(id)));
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }

    fn items(&self) -> std::sync::MutexGuard<'_, HashMap<String, Item>> {
        self.items.lock().expect("because nobody panics while it is held")
    }
}
