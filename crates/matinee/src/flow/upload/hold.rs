//! Several nodes and one upload: the file and the number that let a request commit, and how a node gets them from another.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use matinee_core::id::UploadId;
use matinee_core::limits::{UPLOAD_ASK_MS, UPLOAD_HOLD_MS, UPLOAD_KEEP_MS};
use matinee_core::time::Millis;
use matinee_core::upload::{Phase, Refusal};
use matinee_io::db::{Ask, DbError, Hold, Take, Upload, Word};
use matinee_io::spool::{self, LOCK_WAIT_MS, Locked, SpoolError};
use matinee_io::{clock, random};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::{AppendFailure, load, place, recover_one};
use crate::flow::{Failure, now};
use crate::node::Node;
use crate::turn::NoTurn;

/// Words between nodes may be missed, so the row is looked at so often.
const LOOK: Duration = Duration::from_millis(20);
/// How long the last write of another node is waited for.
const LAST_WRITE_MS: u64 = 1_000;
/// So often another node may come before this one until the client is asked to come back.
const TRIES: u32 = 3;

/// An upload that this request may write.
pub(super) struct Taken {
    pub(super) record: Upload,
    pub(super) epoch: u64,
    pub(super) file: Locked,
}

/// Until when this node holds what it says a word about now.
pub(super) fn held_until() -> Millis {
    now().plus(UPLOAD_HOLD_MS)
}

/// Takes an upload that was just read. The file is locked before the number is taken, and nothing of it is changed before
/// both are ours: so neither a node that slept in between nor one that wakes up later can harm what another has stored.
pub(super) async fn taken(node: &Node, record: Upload, boot: Option<&str>) -> Result<Taken, AppendFailure> {
    let path = place(node, record.object).await?;
    let wait_ms = if node.name().is_some() { LAST_WRITE_MS } else { LOCK_WAIT_MS };
    let file = match node.spool.lock(&path, record.offset, wait_ms).await {
        Ok(file) => Some(file),
        // A node that is stopped in the middle of a write keeps the file; this one goes on in another.
        Err(SpoolError::Busy) if node.name().is_some() => None,
        Err(error) => return Err(Failure::from(error).into()),
    };
    let hold = node.name().map(|name| Hold { node: name.to_owned(), until: held_until() });
    let seen = (record.epoch, record.offset);
    let take = Take { id: record.id, seen, boot: boot.map(str::to_owned), hold };
    let epoch = match node.db.hold_upload(take).await {
        Ok(epoch) => epoch,
        Err(error) => {
            if let Some(file) = file {
                file.give_back();
            }
            return Err(overtaken(node, &record, error).await);
        }
    };
    match file {
        Some(file) => Ok(Taken { record, epoch, file }),
        None => moved(node, record, epoch, &path).await,
    }
}

/// Continues in a fresh file with the durable bytes of the old one.
async fn moved(node: &Node, record: Upload, epoch: u64, old: &Path) -> Result<Taken, AppendFailure> {
    let object = random::id();
    tracing::warn!(upload = %record.id, "a node that does not answer keeps a file; its bytes go on in another");
    node.db.intend_move((record.id, epoch), object, now()).await?;
    let path = place(node, object).await?;
    let file = node.spool.lock(&path, 0, LOCK_WAIT_MS).await.map_err(Failure::from)?;
    let keeping = async {
        loop {
            tokio::time::sleep(Duration::from_millis(UPLOAD_KEEP_MS)).await;
            if let Err(error) = node.db.keep_move((record.id, epoch), object, (held_until(), now())).await {
                break error;
            }
        }
    };
    tokio::select! {
        copied = spool::copy_before(old, &file, record.offset) => copied.map_err(Failure::from)?,
        lost = keeping => return Err(lost.into()),
    }
    node.db.move_upload((record.id, epoch), object, now()).await?;
    Ok(Taken { record: Upload { object, ..record }, epoch, file })
}

/// What is said to a request when another node was faster: where the upload is, as to everybody who comes second.
async fn overtaken(node: &Node, record: &Upload, error: DbError) -> AppendFailure {
    if !matches!(error, DbError::LeaseLost) {
        return error.into();
    }
    match load(node, record.app, &record.url_key).await {
        Ok(now) => Refusal::OffsetMismatch { at: now.offset }.into(),
        Err(failure) => failure.into(),
    }
}

/// The upload once no other node writes it: who does is asked to let go, and fenced when it does not answer. A request that
/// brings bytes for `at` ends nobody who has come to another offset.
pub(super) async fn ours(node: &Node, record: Upload, at: Option<u64>) -> Result<Upload, AppendFailure> {
    let Some(name) = node.name() else { return Ok(record) };
    let mut record = record;
    for _ in 0..TRIES {
        let Some(hold) = foreign(&record, name) else { return Ok(record) };
        if hold.until > now() {
            let found = asked(node, &record, &hold.node, at).await?;
            let silent = found.epoch == record.epoch && foreign(&found, name).is_some();
            record = found;
            if !silent {
                continue;
            }
        }
        if at.is_some_and(|at| at != record.offset) {
            return Err(Refusal::OffsetMismatch { at: record.offset }.into());
        }
        match node.db.fence_upload((record.id, record.epoch)).await {
            Ok(()) => {
                tracing::warn!(upload = %record.id, node = hold.node, "a node that does not answer lost an upload");
            }
            // Something happened to it just now: look again.
            Err(DbError::LeaseLost | DbError::Absent) => {}
            Err(error) => return Err(error.into()),
        }
        record = load(node, record.app, &record.url_key).await?;
        // When it has died, the kernel of this machine may still have what it wrote.
        if record.state.phase() == Phase::Open && foreign(&record, name).is_none() {
            recover_one(node, &record).await?;
            record = load(node, record.app, &record.url_key).await?;
        }
    }
    Err(AppendFailure::Busy)
}

/// Who else writes this upload, as far as its row knows.
fn foreign(record: &Upload, name: &str) -> Option<Hold> {
    record.hold.clone().filter(|hold| hold.node != name && record.state.phase() == Phase::Open)
}

/// Does another node write it, by its own word?
pub(super) fn is_written_elsewhere(node: &Node, record: &Upload) -> bool {
    node.name().and_then(|name| foreign(record, name)).is_some_and(|hold| hold.until > now())
}

/// Asks a node to let go, and waits until it has answered or cannot be waited for any longer; the upload as it is then.
async fn asked(node: &Node, record: &Upload, holder: &str, at: Option<u64>) -> Result<Upload, AppendFailure> {
    // Before the question, so that no answer is missed.
    let mut words = node.db.words();
    let ask = Ask { node: holder.to_owned(), url_key: record.url_key.clone(), at };
    node.db.say(&Word::Asked(ask)).await?;
    let since = clock::Stopwatch::start();
    loop {
        let answer = tokio::time::timeout(LOOK, answered(&mut words, &record.url_key)).await;
        let found = load(node, record.app, &record.url_key).await?;
        let held = found.hold.as_ref().is_some_and(|hold| hold.node == holder);
        if !held || found.epoch != record.epoch || found.state.phase() != Phase::Open {
            return Ok(found);
        }
        // One that was told so to somebody else says nothing about this offset.
        if matches!(answer, Ok(Word::Stays(_, to)) if at == Some(to)) {
            return Err(Refusal::OffsetMismatch { at: found.offset }.into());
        }
        if since.elapsed_ms() >= UPLOAD_ASK_MS {
            return Ok(found);
        }
    }
}

/// The next word about an upload that is an answer.
async fn answered(words: &mut broadcast::Receiver<Word>, url_key: &str) -> Word {
    loop {
        match words.recv().await {
            Ok(word) if word.answers() == Some(url_key) => return word,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            // No further words: then only the row tells.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Gives an upload back that this request has written.
pub(super) async fn release(node: &Node, upload: (UploadId, u64)) {
    if node.name().is_none() {
        return;
    }
    if let Err(error) = node.db.release_upload(upload).await {
        tracing::warn!(%error, upload = %upload.0, "an upload is held a little longer than it is written");
    }
}

/// Answers other nodes that want what this one writes, until it stops.
pub(crate) async fn hear(node: Arc<Node>) {
    let Some(name) = node.name() else { return };
    let mut words = node.db.words();
    loop {
        let word = tokio::select! {
            () = node.stop.cancelled() => return,
            word = words.recv() => word,
        };
        match word {
            Ok(Word::Asked(ask)) if ask.node == name => {
                let node = Arc::clone(&node);
                tokio::spawn(async move {
                    if let Err(error) = answer(&node, &ask).await {
                        tracing::warn!(%error, "another node could not be answered; it goes on without");
                    }
                });
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

async fn answer(node: &Node, ask: &Ask) -> Result<(), DbError> {
    let key = &ask.url_key;
    let turn = match ask.at {
        Some(at) => node.turns.take_at(key, at).await,
        None => node.turns.take(key).await.ok_or(NoTurn::Busy),
    };
    match turn {
        Ok(turn) => {
            node.db.let_go(key, &ask.node).await?;
            drop(turn);
            node.db.say(&Word::Free(key.clone())).await
        }
        Err(NoTurn::Elsewhere) => node.db.say(&Word::Stays(key.clone(), ask.at.unwrap_or_default())).await,
        // It will be fenced, and hears of that by its next commit.
        Err(NoTurn::Busy) => Ok(()),
    }
}
