//! Reads the index of an MP4: `core::media` asks for byte ranges, this answers from an object or a work file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use matinee_core::media::index::{Indexer, Step};
use matinee_core::media::{Index, MediaError};

/// Why there is no index.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexFailure {
    /// The bytes are not an MP4 that can be understood.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The file could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<IndexFailure> for super::fault::Fault {
    fn from(failure: IndexFailure) -> Self {
        match failure {
            IndexFailure::Media(error) => error.into(),
            IndexFailure::Io(error) => error.into(),
        }
    }
}

/// Reads the index of the file at `path`, on a thread that may block.
pub(crate) async fn index(path: &Path) -> Result<Index, IndexFailure> {
    let path = path.to_owned();
    let done = tokio::task::spawn_blocking(move || {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        index_of(&file, size)
    });
    done.await.unwrap_or_else(|panic| Err(io::Error::other(panic).into()))
}

/// Reads the index of the first `size` bytes of a file. Blocks.
pub(crate) fn index_of(file: &File, size: u64) -> Result<Index, IndexFailure> {
    let mut indexer = Indexer::new(size);
    let mut bytes = Vec::new();
    loop {
        match indexer.step(&bytes)? {
            Step::Done(index) => return Ok(*index),
            Step::Read { offset, len } => {
                let len = usize::try_from(len).map_err(io::Error::other)?;
                bytes.resize(len, 0);
                file.read_exact_at(&mut bytes, offset)?;
            }
        }
    }
}
