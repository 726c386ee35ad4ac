//! A file of this machine becomes a video: the same rows and the same finishing transaction as an upload.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use matinee_core::access::sender::Allowance;
use matinee_core::id::{ObjectId, UploadId, VideoId};
use matinee_core::limits;
use matinee_core::upload::Way;
use matinee_core::video::Problem;
use matinee_io::db::{Finish, NewUpload};
use matinee_io::random;
use matinee_io::store::{Original, OriginalError, StoreError, Taken, Taking};
use serde_json::json;

use super::{Failure, now};
use crate::node::Node;

/// An import that has not said for so long that it lives is given up by the server, in milliseconds.
const SILENCE_MS: i64 = 600_000;
/// How often it says so.
const ALIVE: Duration = Duration::from_mins(1);

/// Hears how many bytes are there.
pub(crate) type Heard = Arc<dyn Fn(u64) + Send + Sync>;

/// What is to be imported.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) path: PathBuf,
    pub(crate) title: String,
    pub(crate) keep: Keep,
}

/// What becomes of the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It stays; blocks are shared where the file system can.
    Cheapest,
    /// It stays, and nothing is shared with it.
    Copied,
    /// It stays as a second name of the same file.
    Linked,
    /// It goes when its video has been checked.
    Moved,
}

/// What an import led to.
#[derive(Debug)]
pub(crate) struct Imported {
    pub(crate) upload: UploadId,
    pub(crate) video: VideoId,
    /// The length in bytes.
    pub(crate) size: u64,
    pub(crate) taken: Taken,
    /// To be removed after the check, when it is to be moved.
    pub(crate) original: Original,
}

/// Why a file was not imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportFailure {
    /// The file, or what was asked for it, is wrong.
    #[error("{}", .0.human)]
    Refused(Problem),
    /// The world failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

fn refused(code: &str, human: String, fix: &str) -> ImportFailure {
    ImportFailure::Refused(Problem { code: code.to_owned(), human, fix: fix.to_owned() })
}

/// Opens a file that may be imported.
pub(crate) fn open(node: &Node, path: &Path) -> Result<Original, ImportFailure> {
    let roots = &node.config.uploads.import_roots;
    let original = Original::open(path, roots).map_err(|error| not_taken(&error))?;
    let max_bytes = node.config.uploads.max_bytes;
    if original.size() > max_bytes {
        let human = format!("The file has {} bytes; at most {max_bytes} are taken.", original.size());
        return Err(refused("upload_too_large", human, "Raise `uploads.max_bytes`."));
    }
    Ok(original)
}

fn not_taken(error: &OriginalError) -> ImportFailure {
    let human = format!("The file is not taken: {error}.");
    match error {
        OriginalError::Link => refused("import_link", human, "Name the file itself."),
        OriginalError::NotRegular => refused("import_not_a_file", human, "Name a file or a folder of files."),
        OriginalError::Outside => refused(
            "import_outside",
            human,
            "Name a file below one of `uploads.import_roots`, or add its folder there.",
        ),
        OriginalError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => refused(
            "import_missing",
            "There is no such file.".to_owned(),
            "Look at the spelling of the path.",
        ),
        OriginalError::Io(_) => {
            refused("import_unreadable", human, "Look at the rights of the file and its folders.")
        }
    }
}

/// Takes the file into the store and makes it a video; `heard` hears how far it is. Ends early, and leaves
/// nothing, when the node is stopped.
pub(crate) async fn import(node: &Node, order: &Order, heard: Heard) -> Result<Imported, ImportFailure> {
    let original = open(node, &order.path)?;
    let size = original.size();
    if node.store.free_bytes().map_err(Failure::from)? < size.saturating_add(limits::FREE_BYTES_MIN)
        && matches!(order.keep, Keep::Copied)
    {
        return Err(Failure::Full.into());
    }
    let new = NewUpload {
        id: random::id(),
        app: node.defaults.app,
        collection: node.defaults.collection,
        video: random::id(),
        object: random::id(),
        url_key: super::upload_key(),
        way: Way::Path,
        title: order.title.clone(),
        metadata: String::new(),
        facts: json!({}),
        external_id: None,
        size: Some(size),
        allowance: Allowance::default(),
        repeat_key: None,
        expires: now().plus(SILENCE_MS),
        now: now(),
    };
    node.db.create_upload(&new).await.map_err(Failure::from)?;
    match bring(node, &new, original, order.keep, heard).await {
        Ok((taken, original)) => Ok(Imported { upload: new.id, video: new.video, size, taken, original }),
        Err(failure) => {
            // A server that runs removes what is left; else the next one does.
            node.db.cancel_upload(new.id, now()).await.map_err(Failure::from)?;
            Err(failure)
        }
    }
}

async fn bring(
    node: &Node,
    new: &NewUpload,
    original: Original,
    keep: Keep,
    heard: Heard,
) -> Result<(Taken, Original), ImportFailure> {
    let epoch = node.db.take_upload(new.id).await.map_err(Failure::from)?;
    let taking = take(node, new.object, original, keep, heard);
    let (taken, original) = tokio::select! {
        taken = taking => taken?,
        failure = alive(node, (new.id, epoch)) => return Err(failure.into()),
    };
    let finish = Finish {
        id: new.id,
        epoch: Some(epoch),
        size: original.size(),
        blake3: None,
        probe_job: random::id(),
        now: now(),
    };
    node.db.finish_upload(&finish).await.map_err(Failure::from)?;
    Ok((taken, original))
}

async fn take(
    node: &Node,
    object: ObjectId,
    original: Original,
    keep: Keep,
    heard: Heard,
) -> Result<(Taken, Original), ImportFailure> {
    let (store, ended) = (node.store.clone(), node.stop.clone());
    let taking = match keep {
        Keep::Cheapest => Taking::Cheapest,
        Keep::Copied => Taking::Copy,
        Keep::Linked => Taking::Link,
        Keep::Moved => Taking::Adopt,
    };
    let work = move || {
        let mut step = |done| {
            heard(done);
            !ended.is_cancelled()
        };
        (store.take(object, &original, taking, &mut step), original)
    };
    let (taken, original) =
        tokio::task::spawn_blocking(work).await.map_err(|panic| Failure::Never(panic.to_string()))?;
    match taken {
        Ok(taken) => Ok((taken, original)),
        Err(StoreError::Io(error)) if keep == Keep::Linked => Err(refused(
            "import_not_linked",
            format!("The file cannot be linked: {error}."),
            "Leave --link away: then blocks are shared where the disk can, else the file is copied.",
        )),
        Err(error) => Err(Failure::from(error).into()),
    }
}

/// Tells the server again and again that this import lives; ends only when that fails.
async fn alive(node: &Node, (upload, epoch): (UploadId, u64)) -> Failure {
    loop {
        tokio::time::sleep(ALIVE).await;
        // An import is all or nothing, so its offset stays 0 until it is finished.
        if let Err(error) = node.db.commit_offset((upload, epoch), 0, now(), now().plus(SILENCE_MS)).await {
            return error.into();
        }
    }
}

/// Endings of files that are taken from a folder.
const ENDINGS: &[&str] = &[
    "3g2", "3gp", "aac", "aif", "aiff", "asf", "avi", "flac", "flv", "m2ts", "m2v", "m4a", "m4v", "mka",
    "mkv", "mov", "mp3", "mp4", "mpeg", "mpg", "mts", "mxf", "oga", "ogg", "ogv", "opus", "ts", "vob", "wav",
    "webm", "wmv",
];

/// The media files below a folder, in order; hidden files, symbolic links and what matinee itself keeps in `data` are
/// left out.
pub(crate) fn media_below(folder: &Path, data: &Path) -> std::io::Result<Vec<PathBuf>> {
    // The same directory has the same numbers, whatever path leads to it.
    let ours = std::fs::metadata(data).ok().map(|found| (found.dev(), found.ino()));
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if kind.is_dir() {
                let found = entry.metadata()?;
                if Some((found.dev(), found.ino())) != ours {
                    folders.push(entry.path());
                }
            } else if kind.is_file() && is_media(&entry.path()) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_media(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_lowercase);
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_media_without_links_and_hidden_files() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("b/deep");
        std::fs::create_dir_all(&deep).unwrap();
        let data = dir.path().join("matinee-data");
        std::fs::create_dir(&data).unwrap();
        std::fs::create_dir(dir.path().join(".git")).unwrap();
        for name in [
            "a.MP4",
            "notes.txt",
            ".hidden.mp4",
            ".git/c.mp4",
            "matinee-data/out.mp4",
            "b/deep/c.webm",
            "b/no-ending",
        ] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink(dir.path(), deep.join("round")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("a.MP4"), deep.join("again.mp4")).unwrap();
        let found = media_below(dir.path(), &data).unwrap();
        assert_eq!(found, [dir.path().join("a.MP4"), deep.join("c.webm")]);
    }
}
