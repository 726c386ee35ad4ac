//! The bytes of uploads, in files that go with the fake.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Mutex;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use matinee_core::media::index::{Indexer, Step};
use sha2::{Digest as _, Sha256};

/// Holds the bytes of uploads below a folder.
pub(crate) struct Vault {
    folder: PathBuf,
    items: Mutex<HashMap<String, Item>>,
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
        Self { folder, items: Mutex::default() }
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
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(id))?;
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(bytes) = frame.into_data() else { continue };
            let mut items = self.items();
            let Some(item) = items.get_mut(id) else { break };
            let room = usize::try_from(item.size - item.offset).unwrap_or(usize::MAX);
            let bytes = &bytes[..bytes.len().min(room)];
            file.write_all(bytes)?;
            item.hash.update(bytes);
            item.offset += bytes.len() as u64;
        }
        Ok(self.item(id).map(|item| item.offset))
    }

    /// The length of what was uploaded, in milliseconds; `None` when it is no MP4.
    pub(crate) fn duration_ms(&self, id: &str) -> Option<u64> {
        let file = File::open(self.path(id)).ok()?;
        let mut indexer = Indexer::new(file.metadata().ok()?.len());
        let mut bytes = Vec::new();
        loop {
            match indexer.step(&bytes).ok()? {
                Step::Done(index) => {
                    let lengths = index.tracks.iter().map(|track| {
                        track.samples.end_dts().saturating_mul(1_000) / u64::from(track.timescale.max(1))
                    });
                    return lengths.max();
                }
                Step::Read { offset, len } => {
                    bytes.resize(usize::try_from(len).ok()?, 0);
                    file.read_exact_at(&mut bytes, offset).ok()?;
                }
            }
        }
    }

    /// Forgets an upload and its bytes.
    pub(crate) fn remove(&self, id: &str) {
        self.items().remove(id);
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
