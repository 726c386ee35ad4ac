//! A file of this machine becomes a video: the same rows and the same finishing transaction as an upload.
//!
//! A command brings its files in itself; for HTTP and for watched folders a job does, so nobody waits for a copy.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use matinee_core::arrival::{Ending, Place, is_media};
use matinee_core::id::{AppId, CollectionId, ObjectId, UploadId, VideoId};
use matinee_core::job::retry::Class;
use matinee_core::upload::Way;
use matinee_core::video::Problem;
use matinee_io::db::arrival;
use matinee_io::db::{Finish, NewUpload, Take};
use matinee_io::random;
use matinee_io::store::{Original, OriginalError, StoreError, Taken, Taking};
use serde_json::{Value, json};

use super::arrival::Wanted;
use super::fault::Fault;
use super::intake::Draft;
use super::lease::Hold;
use super::{Failure, now};
use crate::node::Node;
use crate::turn::Turn;

pub(crate) use matinee_core::arrival::Keep;

/// An import that has not said for so long that it lives is given up by the server, in milliseconds.
const SILENCE_MS: i64 = 600_000;
/// How often it says so, and hears that nobody wants it any more.
const ALIVE: Duration = Duration::from_secs(10);
/// The source under which files that are to go are remembered.
const BY_PATH: &str = "path";

/// Hears how many bytes are there.
pub(crate) type Heard = Arc<dyn Fn(u64) + Send + Sync>;

/// What is to be imported.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) path: PathBuf,
    pub(crate) title: String,
    pub(crate) collection: CollectionId,
    /// What the caller knows of the video, as a JSON object.
    pub(crate) facts: Value,
    pub(crate) external_id: Option<String>,
    /// The name of the pipeline by which its video is encoded.
    pub(crate) pipeline: String,
    pub(crate) keep: Keep,
}

impl Order {
    /// An import of which nothing is known but its path.
    pub(crate) fn new(node: &Node, path: PathBuf, title: String) -> Self {
        let collection = node.defaults.collection;
        let pipeline = matinee_core::pipeline::DEFAULT.to_owned();
        Self { path, title, collection, facts: json!({}), external_id: None, pipeline, keep: Keep::default() }
    }

    fn draft(&self, node: &Node, app: AppId, size: u64) -> Draft {
        Draft {
            collection: self.collection,
            facts: self.facts.clone(),
            external_id: self.external_id.clone(),
            pipeline: self.pipeline.clone(),
            size: Some(size),
            ..Draft::new(node, app, self.title.clone(), Way::Path)
        }
    }
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

impl ImportFailure {
    /// The same, told of one of several files.
    fn of(self, path: &Path) -> Self {
        match self {
            Self::Refused(problem) => {
                let human = format!("{}: {}", path.display(), problem.human);
                Self::Refused(Problem { human, ..problem })
            }
            Self::Failed(failure) => Self::Failed(failure),
        }
    }
}

fn refused(code: &str, human: String, fix: &str) -> ImportFailure {
    ImportFailure::Refused(Problem { code: code.to_owned(), human, fix: fix.to_owned() })
}

/// Opens a file that the one who runs this command may import.
pub(crate) fn open(node: &Node, path: &Path) -> Result<Original, ImportFailure> {
    let roots = &node.config.uploads.import_roots;
    fits(node, Original::open(path, roots).map_err(|error| not_taken(&error))?)
}

/// Opens a file that somebody else has named.
fn open_named(node: &Node, path: &Path, roots: &[PathBuf]) -> Result<Original, ImportFailure> {
    if !path.is_absolute() {
        let human = "The path is not absolute.".to_owned();
        return Err(refused("import_relative", human, "Write the path from the first / on."));
    }
    fits(node, Original::open_for_another(path, roots).map_err(|error| not_taken(&error))?)
}

fn fits(node: &Node, original: Original) -> Result<Original, ImportFailure> {
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
        OriginalError::Pseudo => refused("import_not_a_file", human, "Name a file on a disk."),
        OriginalError::SecondName => refused(
            "import_hard_link",
            human,
            "Copy the file, and name the copy: a second name may lead to what is not meant for you.",
        ),
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

/// Announces files that somebody names over HTTP, all or none; a job takes each.
pub(crate) async fn announce(
    node: &Node,
    app: AppId,
    orders: &[Order],
) -> Result<Vec<UploadId>, ImportFailure> {
    let roots = &node.config.uploads.import_roots;
    let mut all = Vec::new();
    for order in orders {
        let original = open_named(node, &order.path, roots).map_err(|failure| failure.of(&order.path))?;
        all.push(wanted(node, app, order, &original).map_err(|failure| failure.of(&order.path))?);
    }
    Ok(super::arrival::announce(node, all).await?)
}

fn wanted(node: &Node, app: AppId, order: &Order, original: &Original) -> Result<Wanted, ImportFailure> {
    let stamp = original.stamp().map_err(Failure::from)?;
    let Some(path) = order.path.to_str().map(str::to_owned) else {
        let human = "The path is not UTF-8.".to_owned();
        return Err(refused("import_unreadable", human, "Rename the file."));
    };
    let remembered = arrival::Original {
        source: BY_PATH.to_owned(),
        name: path.clone(),
        mark: stamp.mark(),
        ending: Ending::Remove { stamp },
    };
    Ok(Wanted {
        draft: order.draft(node, app, original.size()),
        from: Place::File { below: None, path, keep: order.keep, mark: Some(stamp.mark()) },
        original: (order.keep == Keep::Moved).then_some(remembered),
    })
}

/// The job that takes a file: opened again, because much may have happened since it was announced.
pub(crate) async fn perform(node: &Node, hold: &Hold, from: &Place) -> Result<(), Fault> {
    let Place::File { below, path, keep, mark } = from else {
        unreachable!("because objects of buckets are taken by another flow")
    };
    let upload = super::arrival::open_upload(node, hold).await?;
    let earlier = || Fault::world("an earlier attempt at this file has not ended yet");
    let turn = node.turns.take(&upload.url_key).await.ok_or_else(earlier)?;
    // Read again: the earlier attempt may have taken a number or another object.
    let upload = super::arrival::open_upload(node, hold).await?;
    // What an earlier attempt has left; nobody writes it while the turn is ours. Before the file is opened: it may be
    // the second name of a link.
    node.store.remove(upload.object).await?;
    let path = Path::new(path);
    let original = match below {
        Some(folder) => open_named(node, path, &[PathBuf::from(folder)]),
        None => open_named(node, path, &node.config.uploads.import_roots),
    };
    let original = original.map_err(fault)?;
    let stamp = original.stamp()?;
    if mark.as_ref().is_some_and(|mark| *mark != stamp.mark()) || Some(original.size()) != upload.size {
        return Err(fault(changed()));
    }
    let seen = (upload.epoch, upload.offset);
    let epoch = node.db.hold_upload(Take { id: upload.id, seen, boot: None, hold: None }).await?;
    let mut object = upload.object;
    if node.name().is_some() && hold.lease.attempt > 1 {
        // The node of an earlier attempt may only sleep, and then removes or writes what it had begun, and only that.
        object = random::id();
        node.db.intend_move((upload.id, epoch), object, now()).await?;
        node.db.move_upload((upload.id, epoch), object, now()).await?;
    }
    let size = original.size();
    let progress = hold.progress_of(size);
    let work = Work { upload: upload.id, object, epoch, keep: *keep };
    let let_go = turn.let_go.clone();
    let taking = bring(node, work, original, progress, Some(turn));
    tokio::select! {
        brought = taking => {
            let (_, original) = brought.map_err(fault)?;
            // From the look at its mark on, not only while it was copied.
            if original.stamp()? != stamp {
                return Err(fault(changed()));
            }
        }
        // Somebody wants to give the upload up; if not, the next attempt comes soon.
        () = let_go.cancelled() => return Err(Fault::world("somebody else wants the upload")),
        () = hold.stop.cancelled() => return Err(Fault::world("the work was interrupted")),
    };
    let finish = finish((upload.id, epoch), size);
    node.db.finish_taken(&finish, &hold.lease).await?;
    Ok(())
}

fn fault(failure: ImportFailure) -> Fault {
    match failure {
        ImportFailure::Refused(problem) => Fault { class: Class::Refusal, problem, detail: Value::Null },
        ImportFailure::Failed(failure) => super::arrival::fault(failure),
    }
}

/// Takes the file into the store and makes it a video; `heard` hears how far it is. Ends early, and leaves
/// nothing, when the node is stopped.
pub(crate) async fn import(node: &Node, order: &Order, heard: Heard) -> Result<Imported, ImportFailure> {
    let original = open(node, &order.path)?;
    let size = original.size();
    if matches!(order.keep, Keep::Copied) && !node.admits(size) {
        return Err(Failure::Full.into());
    }
    let new = order.draft(node, node.defaults.app, size).begun(now().plus(SILENCE_MS));
    node.db.create_upload(&new).await.map_err(Failure::from)?;
    match bring_at_once(node, &new, original, order.keep, heard).await {
        Ok((taken, original)) => Ok(Imported { upload: new.id, video: new.video, size, taken, original }),
        Err(failure) => {
            // A server that runs removes what is left; else the next one does.
            node.db.cancel_upload(new.id, now()).await.map_err(Failure::from)?;
            Err(failure)
        }
    }
}

async fn bring_at_once(
    node: &Node,
    new: &NewUpload,
    original: Original,
    keep: Keep,
    heard: Heard,
) -> Result<(Taken, Original), ImportFailure> {
    let epoch = node.db.take_upload(new.id).await.map_err(Failure::from)?;
    let work = Work { upload: new.id, object: new.object, epoch, keep };
    let (taken, original) = bring(node, work, original, heard, None).await?;
    node.db.finish_upload(&finish((new.id, epoch), original.size())).await.map_err(Failure::from)?;
    Ok((taken, original))
}

/// The end of an upload whose bytes did not pass through us, so nothing hashed them.
fn finish((id, epoch): (UploadId, u64), size: u64) -> Finish {
    let (blake3, slabs) = (None, Vec::new());
    Finish { id, epoch: Some(epoch), size, blake3, slabs, probe_job: random::id(), now: now() }
}

/// Bytes that are to come into the store.
#[derive(Debug, Clone, Copy)]
struct Work {
    upload: UploadId,
    object: ObjectId,
    epoch: u64,
    keep: Keep,
}

/// Brings the bytes in, durably; what others change meanwhile is not taken.
async fn bring(
    node: &Node,
    work: Work,
    original: Original,
    heard: Heard,
    turn: Option<Turn>,
) -> Result<(Taken, Original), ImportFailure> {
    let before = original.stamp().map_err(Failure::from)?;
    let taking = take(node, work, original, heard, turn);
    let (taken, original) = tokio::select! {
        taken = taking => taken?,
        failure = alive(node, (work.upload, work.epoch)) => return Err(failure.into()),
    };
    if original.stamp().map_err(Failure::from)? == before { Ok((taken, original)) } else { Err(changed()) }
}

fn changed() -> ImportFailure {
    refused(
        "import_changed",
        "The file has changed while it was to be taken.".to_owned(),
        "Bring it in again when it is complete.",
    )
}

async fn take(
    node: &Node,
    Work { object, keep, .. }: Work,
    original: Original,
    heard: Heard,
    turn: Option<Turn>,
) -> Result<(Taken, Original), ImportFailure> {
    // When the one who waits for it goes away, the copy ends at its next step.
    let ended = node.stop.child_token();
    let _wanted = ended.clone().drop_guard();
    let store = node.store.clone();
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
        let taken = store.take(object, &original, taking, &mut step);
        // The next attempt may begin only now.
        drop(turn);
        (taken, original)
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
            } else if kind.is_file() && is_media(&entry.file_name().to_string_lossy()) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
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
