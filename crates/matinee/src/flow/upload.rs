//! Bytes on their way in: create, append, look, end. The offset that is acknowledged is durable.

mod announced;
mod arrival;
mod checked;
mod concat;
mod direct;
mod hold;
mod listed;
mod read;
mod receive;
mod terms;

use std::path::PathBuf;

pub(crate) use matinee_core::arrival::title_from;
use matinee_core::id::{AppId, ObjectId, UploadId, VideoId};
use matinee_core::time::Millis;
use matinee_core::upload::{Phase, Refusal, State, Way};
use matinee_core::video::Problem;
pub(crate) use matinee_io::db::Upload;
use matinee_io::db::{DbError, Finish, NewUpload, Reached};
use matinee_io::spool::SpoolError;
use matinee_io::{random, spool};

pub(crate) use self::announced::{announce, announce_at};
pub(crate) use self::checked::{Checked, Claim, Piece, Wrong, append_on};
pub(crate) use self::concat::{create_final, status};
pub(crate) use self::direct::Direct;
pub(crate) use self::hold::hear;
pub(crate) use self::listed::{Listed, arriving, give_up, list, show};
pub(crate) use self::read::{content, sha256};
pub(crate) use self::receive::append;
pub(crate) use self::terms::Terms;

use self::hold::Taken;
use super::hashed::{Hashed, kept};
pub(crate) use super::intake::Draft;
use super::{Failure, now, upload_key};
use crate::node::Node;

/// An upload as its sender sees it.
pub(crate) struct Opened {
    pub(crate) id: UploadId,
    pub(crate) video: VideoId,
    pub(crate) key: String,
    pub(crate) metadata: String,
    /// Bytes that are durable.
    pub(crate) offset: u64,
    /// Bytes in all, once that is known.
    pub(crate) size: Option<u64>,
    pub(crate) expires: Millis,
    pub(crate) phase: Phase,
    /// The header `Upload-Concat` as it came.
    pub(crate) concat: Option<String>,
    /// A part makes no video.
    pub(crate) partial: bool,
}

/// How a body ended. In every case what arrived is durable up to `offset`.
pub(crate) enum Ended {
    Stored { offset: u64, expires: Millis, finished: bool },
    Evicted { offset: u64 },
    TooLong { offset: u64 },
    Broken { offset: u64 },
}

/// Why bytes were not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendFailure {
    #[error("the running request does not end")]
    Busy,
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<DbError> for AppendFailure {
    fn from(error: DbError) -> Self {
        Self::Failed(error.into())
    }
}

/// Creates an upload and reserves its video; an empty one is finished at once.
pub(crate) async fn create(node: &Node, draft: Draft) -> Result<Opened, Failure> {
    create_as(node, draft, (random::id(), upload_key())).await
}

/// Creates an upload with this id, and with this secret in its address.
async fn create_as(node: &Node, draft: Draft, (id, key): (UploadId, String)) -> Result<Opened, Failure> {
    if !node.admits(draft.size.unwrap_or_default()) {
        return Err(Failure::Full);
    }
    let (partial, digest, resumable) = (draft.partial, draft.digest, draft.way == Way::Resumable);
    let (app, size) = (draft.app, draft.size);
    let empty = size == Some(0) && !resumable;
    let new = reserved(node, draft, (id, key.clone()));
    match digest {
        Some(digest) => node.db.create_upload_of(&new, digest).await?,
        None if partial => node.db.create_part(&new).await?,
        None => node.db.create_upload(&new).await?,
    }
    // In the IETF protocol the end is said, also that of an empty file.
    if empty {
        let record = load(node, app, &key).await?;
        let epoch = node.db.take_upload(record.id).await?;
        // The store must hold the empty object before its row says so.
        node.spool.open(&place(node, record.object).await?, 0, Some(0)).await?.commit().await?;
        finish(node, &record, (epoch, 0), Hashed::default()).await?;
    }
    if partial || empty { Ok(opened(load(node, app, &key).await?)) } else { Ok(begun(new)) }
}

/// An upload that was created just now.
fn begun(new: NewUpload) -> Opened {
    Opened {
        partial: false,
        id: new.id,
        video: new.video,
        phase: Phase::Open,
        key: new.url_key,
        metadata: new.metadata,
        concat: None,
        offset: 0,
        size: new.size,
        expires: new.expires,
    }
}

/// The rows of an upload that begins now.
fn reserved(node: &Node, draft: Draft, named: (UploadId, String)) -> NewUpload {
    let expires = until(node, draft.allowance.deadline);
    draft.named(named, expires)
}

/// When an upload expires that gets a byte now: a deadline is never moved.
fn until(node: &Node, deadline: Option<Millis>) -> Millis {
    let idle = now().plus(node.config.uploads.idle_timeout.ms);
    deadline.map_or(idle, |deadline| deadline.min(idle))
}

/// Would `len` bytes at `offset` be taken, of a whole of `length` bytes if that is said now? Nothing is changed.
pub(crate) async fn permit(
    node: &Node,
    app: AppId,
    key: &str,
    (offset, len, length): (u64, u64, Option<u64>),
) -> Result<(), AppendFailure> {
    let record = load(node, app, key).await?;
    if record.is_final() {
        return Err(Refusal::Final.into());
    }
    match record.state {
        // A running request may still move the offset, so only the length is final here.
        State::Open { size, .. } => {
            if let Some(length) = length {
                record.state.declare_length(length)?;
            }
            let size = size.or(length).unwrap_or(node.config.uploads.max_bytes);
            if offset.saturating_add(len) > size { Err(Refusal::TooLong { size }.into()) } else { Ok(()) }
        }
        State::Finished { .. } => Ok(()),
        State::Cancelled | State::Expired | State::Lost => Err(Refusal::Over(record.state.phase()).into()),
    }
}

/// The transaction that makes the upload a video, once the whole is what its sender says it is.
async fn become_video(
    node: &Node,
    record: &Upload,
    (epoch, size): (u64, u64),
    hashed: Hashed,
) -> Result<(), AppendFailure> {
    if let Some(digest) = record.digest
        && read::sha256_of(node, record.object, size).await? != digest
    {
        let reason = Problem {
            code: "upload_checksum".to_owned(),
            human: "The file that arrived is not the one that was announced: its checksum differs."
                .to_owned(),
            fix: "Upload the file again.".to_owned(),
        };
        node.db.lose_held((record.id, epoch), &reason, now()).await?;
        return Err(Refusal::Checksum.into());
    }
    Ok(finish(node, record, (epoch, size), hashed).await?)
}

async fn finish(
    node: &Node,
    record: &Upload,
    (epoch, size): (u64, u64),
    hashed: Hashed,
) -> Result<(), Failure> {
    if record.is_partial() {
        return Ok(node.db.finish_part((record.id, epoch), size, now()).await?);
    }
    let finish = Finish {
        id: record.id,
        epoch: Some(epoch),
        size,
        blake3: hashed.blake3,
        slabs: hashed.slabs,
        probe_job: random::id(),
        now: now(),
    };
    node.db.finish_upload(&finish).await?;
    Ok(())
}

/// Ends an upload for good whose sender contradicts itself: its bytes go, and its owner reads why.
pub(crate) async fn invalidate(node: &Node, app: AppId, key: &str) -> Result<(), AppendFailure> {
    let record = load(node, app, key).await?;
    let reason = Problem {
        code: "upload_too_long".to_owned(),
        human: "More bytes were sent than the upload was said to have.".to_owned(),
        fix: "Upload the file again.".to_owned(),
    };
    node.db.lose_upload(record.id, &reason, now()).await?;
    Ok(())
}

/// Says that an upload without a declared length ends where it is; the video that it has become.
pub(crate) async fn complete(node: &Node, app: AppId, key: &str) -> Result<VideoId, AppendFailure> {
    let turn = node.turns.take(key).await.ok_or(AppendFailure::Busy)?;
    let record = gone_is_over(hold::ours(node, load(node, app, key).await?, None).await?)?;
    let size = match record.state.finish()? {
        State::Finished { size } => size,
        State::Open { .. } | State::Cancelled | State::Expired | State::Lost => {
            unreachable!("because finishing gives nothing else")
        }
    };
    let video = record.video;
    if record.state.phase() == Phase::Open {
        let Taken { record, epoch, file } = hold::taken(node, record, None).await?;
        // Behind the durable offset may lie bytes that were found wrong.
        spool::recover(Some(file), size, size).await.map_err(Failure::from)?;
        become_video(node, &record, (epoch, size), Hashed::default()).await?;
    }
    drop(turn);
    Ok(video)
}

/// Ends an upload by its sender's wish: its bytes go. Of one that is finished only the address goes: its video is
/// deleted by those who may delete videos.
pub(crate) async fn terminate(node: &Node, app: AppId, key: &str) -> Result<(), AppendFailure> {
    load(node, app, key).await?;
    let turn = node.turns.take(key).await.ok_or(AppendFailure::Busy)?;
    let record = gone_is_over(hold::ours(node, load(node, app, key).await?, None).await?)?;
    match record.state.phase() {
        Phase::Finished => node.db.close_upload(record.id, now()).await?,
        Phase::Open | Phase::Cancelled | Phase::Expired | Phase::Lost => {
            node.db.cancel_upload(record.id, now()).await?;
        }
    }
    drop(turn);
    Ok(())
}

/// After a start: every open upload continues at what is durable, and one whose bytes are missing is lost. When only
/// the process died, the kernel still has all that was written, and that counts too.
pub(crate) async fn recover(node: &Node) -> Result<(), Failure> {
    for record in node.db.open_uploads().await? {
        // A command of its own writes that file, perhaps right now; when it died, the upload expires soon. A final upload has
        // no file before its parts are joined, and what goes to a host has none at all.
        if !matches!(record.way, Way::Path | Way::Direct) && !record.is_final() {
            recover_one(node, &record).await?;
        }
    }
    Ok(())
}

/// Leaves an upload alone that somebody writes now, or has taken since it was read: another node, or a job.
async fn recover_one(node: &Node, read: &Upload) -> Result<(), Failure> {
    let file = match spool::lock_there(&node.store.path_of(read.object)).await {
        Err(SpoolError::Busy) => return Ok(()),
        file => file?,
    };
    // Read again under the lock. Under the same number nobody has made the file, or written to it, since we looked for it;
    // else one that is not there yet would be a lost one.
    let Some(record) = node.db.upload_by_key(&read.url_key).await? else { return Ok(()) };
    if (record.epoch, record.object) != (read.epoch, read.object) {
        return Ok(());
    }
    let State::Open { offset, size } = record.state else { return Ok(()) };
    if hold::is_written_elsewhere(node, &record) {
        return Ok(());
    }
    let trusted = record.boot.is_some() && record.boot == node.boot;
    // The last byte is for a request that ends well: it finishes the upload.
    let most = size.unwrap_or(node.config.uploads.max_bytes).saturating_sub(1);
    let most = if trusted { most.max(offset) } else { offset };
    let upload = (record.id, record.epoch);
    let said = match spool::recover(file, offset, most).await {
        Ok(found) if found.offset > offset => {
            let (slabs, now) = (kept(&found.slabs), now());
            let expires = until(node, record.allowance.deadline);
            let reached = Reached { offset: found.offset, slabs, now, expires };
            node.db.commit_reached(upload, reached).await
        }
        Ok(_) => Ok(()),
        Err(SpoolError::Lost { .. }) => {
            tracing::error!(upload = %record.id, offset, "acknowledged bytes are missing on the disk");
            node.db.lose_held(upload, &lost(), now()).await
        }
        Err(error) => return Err(error.into()),
    };
    match said {
        // While we looked, somebody went on with it in another file, or gave it up.
        Err(DbError::LeaseLost | DbError::Absent) => Ok(()),
        said => Ok(said?),
    }
}

/// The path of a source's file, in a folder that durably exists.
async fn place(node: &Node, object: ObjectId) -> Result<PathBuf, Failure> {
    let store = node.store.clone();
    let placed = tokio::task::spawn_blocking(move || store.place(object)).await;
    Ok(placed.map_err(|panic| Failure::Never(panic.to_string()))??)
}

fn lost() -> Problem {
    Problem {
        code: "upload_lost".to_owned(),
        human: "Bytes that had arrived are missing on the server's disk.".to_owned(),
        fix: "Upload the file again, and have the server's disk checked.".to_owned(),
    }
}

async fn load(node: &Node, app: AppId, key: &str) -> Result<Upload, Failure> {
    let record = node.db.upload_by_key(key).await?;
    let here = |record: &Upload| record.closed.is_none() && record.way != Way::Direct;
    record.filter(|record| record.app == app && here(record)).ok_or(Failure::Absent)
}

/// The way on which an upload was begun, if there is one; it tells which protocol its requests speak.
pub(crate) async fn way_of(node: &Node, app: AppId, key: &str) -> Result<Way, Failure> {
    Ok(load(node, app, key).await?.way)
}

fn gone_is_over(record: Upload) -> Result<Upload, AppendFailure> {
    match record.state {
        State::Open { .. } | State::Finished { .. } => Ok(record),
        State::Cancelled | State::Expired | State::Lost => Err(Refusal::Over(record.state.phase()).into()),
    }
}

fn opened(record: Upload) -> Opened {
    let (offset, size) = match record.state {
        State::Open { offset, size } => (offset, size),
        State::Finished { size } => (size, Some(size)),
        State::Cancelled | State::Expired | State::Lost => (0, None),
    };
    Opened {
        partial: record.is_partial(),
        id: record.id,
        video: record.video,
        phase: record.state.phase(),
        key: record.url_key,
        metadata: record.metadata,
        concat: record.concat,
        offset,
        size,
        expires: record.expires,
    }
}
