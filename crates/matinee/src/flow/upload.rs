//! Bytes on their way in: create, append, look, end. The offset that is acknowledged is durable.

mod listed;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use matinee_core::id::{AppId, ObjectId, UploadId, VideoId};
use matinee_core::limits;
use matinee_core::time::Millis;
use matinee_core::upload::{Phase, Refusal, State, Way};
use matinee_core::video::Problem;
pub(crate) use matinee_io::db::Upload;
use matinee_io::db::{DbError, Finish, NewUpload};
use matinee_io::{clock, random, spool};

pub(crate) use self::listed::{Listed, announce, arriving, give_up, list, show};

use super::{Failure, now, upload_key};
use crate::node::Node;
use crate::turn::Turn;

/// What is known when an upload begins.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) app: AppId,
    pub(crate) title: String,
    /// The header `Upload-Metadata` as it came, or nothing.
    pub(crate) metadata: String,
    /// Bytes; a form does not know it before its end.
    pub(crate) size: Option<u64>,
    pub(crate) way: Way,
}

/// An upload as its sender sees it.
pub(crate) struct Opened {
    pub(crate) id: UploadId,
    pub(crate) video: VideoId,
    pub(crate) key: String,
    pub(crate) metadata: String,
    /// Bytes that are durable.
    pub(crate) offset: u64,
    /// Bytes in all.
    pub(crate) size: u64,
    pub(crate) expires: Millis,
    pub(crate) phase: Phase,
}

/// How a body ended. In every case what arrived is durable up to `offset`.
pub(crate) enum Ended {
    Stored { offset: u64, expires: Millis },
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
    create_as(node, draft, upload_key()).await
}

/// Creates an upload under this secret key of its address.
async fn create_as(node: &Node, draft: Draft, key: String) -> Result<Opened, Failure> {
    if node.store.free_bytes()? < draft.size.unwrap_or_default().saturating_add(limits::FREE_BYTES_MIN) {
        return Err(Failure::Full);
    }
    let new = NewUpload {
        id: random::id(),
        app: draft.app,
        collection: node.defaults.collection,
        video: random::id(),
        object: random::id(),
        url_key: key.clone(),
        way: draft.way,
        title: draft.title,
        metadata: draft.metadata,
        size: draft.size,
        expires: now().plus(node.config.uploads.idle_timeout.ms),
        now: now(),
    };
    node.db.create_upload(&new).await?;
    if draft.size == Some(0) {
        let record = load(node, draft.app, &key).await?;
        let epoch = node.db.take_upload(record.id).await?;
        // The store must hold the empty object before its row says so.
        node.spool.open(&place(node, record.object).await?, 0, Some(0)).await?.commit().await?;
        finish(node, &record, epoch, 0).await?;
    }
    Ok(opened(load(node, draft.app, &key).await?))
}

/// Where an upload is. A request that is writing it is ended and flushed first, so the offset is all that arrived.
pub(crate) async fn status(node: &Node, app: AppId, key: &str) -> Result<Opened, AppendFailure> {
    load(node, app, key).await?;
    let turn = node.turns.take(key).await.ok_or(AppendFailure::Busy)?;
    let record = load(node, app, key).await?;
    drop(turn);
    Ok(opened(gone_is_over(record)?))
}

/// Would `len` bytes at `offset` be taken? Nothing is changed.
pub(crate) async fn permit(
    node: &Node,
    app: AppId,
    key: &str,
    offset: u64,
    len: u64,
) -> Result<(), AppendFailure> {
    let record = load(node, app, key).await?;
    match record.state {
        // A running request may still move the offset, so only the length is final here.
        State::Open { size: Some(size), .. } if offset.saturating_add(len) > size => {
            Err(Refusal::TooLong { size }.into())
        }
        State::Open { .. } | State::Finished { .. } => Ok(()),
        State::Cancelled | State::Expired | State::Lost => Err(Refusal::Over(record.state.phase()).into()),
    }
}

/// Stores a body at `offset`; whatever arrives before it breaks is kept.
pub(crate) async fn append<S, E>(
    node: &Node,
    app: AppId,
    key: &str,
    offset: u64,
    body: S,
) -> Result<Ended, AppendFailure>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
{
    load(node, app, key).await?;
    let turn = node.turns.take(key).await.ok_or(AppendFailure::Busy)?;
    let record = gone_is_over(load(node, app, key).await?)?;
    let (at, size) = match record.state {
        State::Open { offset, size } => (offset, size.unwrap_or(node.config.uploads.max_bytes)),
        // A client that lost the last answer repeats an empty PATCH at the end (C12).
        State::Finished { size } => (size, size),
        State::Cancelled | State::Expired | State::Lost => unreachable!("because gone_is_over refused them"),
    };
    if at != offset {
        return Err(Refusal::OffsetMismatch { at }.into());
    }
    if record.state.phase() == Phase::Finished {
        return Ok(drained_empty(body, record.expires, size).await);
    }
    let epoch = node.db.take_upload(record.id).await?;
    let path = place(node, record.object).await?;
    let writer = node.spool.open(&path, offset, record.size).await.map_err(Failure::from)?;
    let mut receiver = Receiver { node, record: &record, epoch, size, writer, committed: offset };
    let end = receiver.receive(body, &turn).await;
    receiver.settle(end).await
}

/// A finished upload takes nothing more, but an empty body is fine.
async fn drained_empty<S, E>(mut body: S, expires: Millis, size: u64) -> Ended
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
{
    while let Some(Ok(bytes)) = body.next().await {
        if !bytes.is_empty() {
            return Ended::TooLong { offset: size };
        }
    }
    Ended::Stored { offset: size, expires }
}

/// Why the reading of a body stopped.
enum Stop {
    End,
    Evicted,
    TooLong,
    Broken,
    Failed(Failure),
}

struct Receiver<'a> {
    node: &'a Node,
    record: &'a Upload,
    epoch: u64,
    size: u64,
    writer: spool::Writer,
    committed: u64,
}

impl Receiver<'_> {
    async fn receive<S, E>(&mut self, mut body: S, turn: &Turn) -> Stop
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    {
        let mut received = self.committed;
        let mut since_commit = clock::Stopwatch::start();
        let mut pace = Pace::start();
        let mut parting: Option<clock::Stopwatch> = None;
        loop {
            let patience_ms = match &parting {
                Some(since) if since.elapsed_ms() >= limits::PARTING_MS => return Stop::Evicted,
                Some(_) => limits::PARTING_IDLE_MS,
                None => limits::BODY_IDLE_MS,
            };
            let next = tokio::select! {
                biased;
                // What has reached this machine before the newer request is taken, so that its sender need not
                // send it again.
                () = turn.let_go.cancelled(), if parting.is_none() => {
                    parting = Some(clock::Stopwatch::start());
                    continue;
                }
                next = tokio::time::timeout(Duration::from_millis(patience_ms), body.next()) => next,
            };
            let bytes = match next {
                Ok(Some(Ok(bytes))) => bytes,
                Ok(None) => return Stop::End,
                Err(_) if parting.is_some() => return Stop::Evicted,
                Ok(Some(Err(_))) | Err(_) => return Stop::Broken,
            };
            let room = self.size - received;
            let fits = bytes.slice(..bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
            let too_long = fits.len() < bytes.len();
            received += fits.len() as u64;
            if let Err(error) = self.writer.write(fits).await {
                return Stop::Failed(error.into());
            }
            if too_long {
                return Stop::TooLong;
            }
            let due = received - self.committed >= limits::COMMIT_BYTES
                || since_commit.elapsed_ms() >= limits::COMMIT_MS;
            if due && received < self.size {
                if let Err(failure) = self.commit().await {
                    return Stop::Failed(failure);
                }
                since_commit = clock::Stopwatch::start();
            }
            if pace.too_slow(received) {
                return Stop::Broken;
            }
        }
    }

    /// Makes what was received durable and says so in the database.
    async fn commit(&mut self) -> Result<(), Failure> {
        let durable = self.writer.commit().await?;
        if durable > self.committed && durable < self.size {
            self.node.db.commit_offset((self.record.id, self.epoch), durable, now(), self.expires()).await?;
        }
        self.committed = durable;
        Ok(())
    }

    fn expires(&self) -> Millis {
        now().plus(self.node.config.uploads.idle_timeout.ms)
    }

    /// Commits what is there; the commit that would complete the upload is the transaction that finishes it.
    async fn settle(mut self, stop: Stop) -> Result<Ended, AppendFailure> {
        self.commit().await?;
        let offset = self.committed;
        // A request that sent too much never completes the upload (C11).
        let complete = offset == self.size && !matches!(stop, Stop::TooLong);
        if complete {
            finish(self.node, self.record, self.epoch, self.size).await?;
        } else if offset == self.size {
            let kept = self.size.saturating_sub(1);
            self.node.db.commit_offset((self.record.id, self.epoch), kept, now(), self.expires()).await?;
            return Ok(Ended::TooLong { offset: kept });
        }
        let expires = self.expires();
        match stop {
            Stop::Failed(failure) => Err(failure.into()),
            Stop::TooLong => Ok(Ended::TooLong { offset }),
            Stop::End => Ok(Ended::Stored { offset, expires }),
            Stop::Evicted if complete => Ok(Ended::Stored { offset, expires }),
            Stop::Evicted => Ok(Ended::Evicted { offset }),
            Stop::Broken => Ok(Ended::Broken { offset }),
        }
    }
}

/// Notices a body that trickles: less than the minimum over a whole window.
struct Pace {
    window: clock::Stopwatch,
    received: u64,
}

impl Pace {
    fn start() -> Self {
        Self { window: clock::Stopwatch::start(), received: 0 }
    }

    fn too_slow(&mut self, received: u64) -> bool {
        if self.window.elapsed_ms() < limits::PACE_WINDOW_MS {
            return false;
        }
        let slow = received - self.received < limits::PACE_BYTES_MIN;
        *self = Self { window: clock::Stopwatch::start(), received };
        slow
    }
}

async fn finish(node: &Node, record: &Upload, epoch: u64, size: u64) -> Result<(), Failure> {
    let finish =
        Finish { id: record.id, epoch: Some(epoch), size, blake3: None, probe_job: random::id(), now: now() };
    node.db.finish_upload(&finish).await?;
    Ok(())
}

/// Says that an upload without a declared length ends where it is; the video that it has become.
pub(crate) async fn complete(node: &Node, app: AppId, key: &str) -> Result<VideoId, AppendFailure> {
    let turn = node.turns.take(key).await.ok_or(AppendFailure::Busy)?;
    let record = gone_is_over(load(node, app, key).await?)?;
    let size = match record.state.finish()? {
        State::Finished { size } => size,
        State::Open { .. } | State::Cancelled | State::Expired | State::Lost => {
            unreachable!("because finishing gives nothing else")
        }
    };
    if record.state.phase() == Phase::Open {
        let epoch = node.db.take_upload(record.id).await?;
        finish(node, &record, epoch, size).await?;
    }
    drop(turn);
    Ok(record.video)
}

/// Ends an upload by its sender's wish: its bytes go.
pub(crate) async fn terminate(node: &Node, app: AppId, key: &str) -> Result<(), AppendFailure> {
    load(node, app, key).await?;
    let turn = node.turns.take(key).await.ok_or(AppendFailure::Busy)?;
    let record = gone_is_over(load(node, app, key).await?)?;
    node.db.cancel_upload(record.id, now()).await?;
    drop(turn);
    Ok(())
}

/// After a start: every open upload continues at what is durable, and one whose bytes are missing is lost.
pub(crate) async fn recover(node: &Node) -> Result<(), Failure> {
    for record in node.db.open_uploads().await? {
        let State::Open { offset, .. } = record.state else { continue };
        // A command of its own writes that file, perhaps right now; when it died, the upload expires soon.
        if record.way == Way::Path {
            continue;
        }
        let path = node.store.path_of(record.object);
        if spool::len(&path).await?.unwrap_or_default() < offset {
            tracing::error!(upload = %record.id, offset, "acknowledged bytes are missing on the disk");
            node.db.lose_upload(record.id, &lost(), now()).await?;
        } else if spool::len(&path).await?.is_some() {
            spool::truncate_to(&path, offset).await?;
        }
    }
    Ok(())
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
    node.db.upload_by_key(key).await?.filter(|record| record.app == app).ok_or(Failure::Absent)
}

fn gone_is_over(record: Upload) -> Result<Upload, AppendFailure> {
    match record.state {
        State::Open { .. } | State::Finished { .. } => Ok(record),
        State::Cancelled | State::Expired | State::Lost => Err(Refusal::Over(record.state.phase()).into()),
    }
}

fn opened(record: Upload) -> Opened {
    let (offset, size) = match record.state {
        State::Open { offset, size } => (offset, size.unwrap_or_default()),
        State::Finished { size } => (size, size),
        State::Cancelled | State::Expired | State::Lost => (0, 0),
    };
    Opened {
        id: record.id,
        video: record.video,
        phase: record.state.phase(),
        key: record.url_key,
        metadata: record.metadata,
        offset,
        size,
        expires: record.expires,
    }
}

/// A title for a person from a file's name: no folder, no ending, no control characters, not endless.
pub(crate) fn title_from(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = name
        .rsplit_once('.')
        .map_or(name, |(stem, ending)| if stem.is_empty() || ending.len() > 5 { name } else { stem });
    let plain: String =
        stem.chars().filter(|letter| !letter.is_control()).take(limits::TITLE_CHARS_MAX).collect();
    let plain = plain.trim();
    if plain.is_empty() { "Untitled".to_owned() } else { plain.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_a_file_name_without_its_dangers() {
        for (name, title) in [
            ("lecture-07.mp4", "lecture-07"),
            ("../../etc/passwd", "passwd"),
            ("C:\\films\\a.b.mkv", "a.b"),
            ("\u{0}\r\n", "Untitled"),
            (".mp4", ".mp4"),
            ("Version 1.2 of everything", "Version 1.2 of everything"),
        ] {
            assert_eq!(title_from(name), title);
        }
        assert_eq!(title_from(&"x".repeat(9_000)).len(), limits::TITLE_CHARS_MAX);
    }
}
