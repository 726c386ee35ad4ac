//! The body of one request: streamed into the spool, committed as it goes, kept whatever ends it.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use matinee_core::id::AppId;
use matinee_core::limits;
use matinee_core::time::Millis;
use matinee_core::upload::{Phase, Refusal, State, Way};
use matinee_io::db::{Db, DbError, Finish, Reached, SlabHash, Upload};
use matinee_io::store::Local;
use matinee_io::{clock, random, spool};

use super::arrival::{Arrival, Next, Stop};
use super::hold::{Taken, held_until, ours, release, taken};
use super::terms::{Terms, declare};
use super::{AppendFailure, Ended, become_video, gone_is_over, load, place, until};
use crate::flow::Failure;
use crate::flow::hashed::{Hashed, kept};
use crate::node::Node;
use crate::turn::{NoTurn, Turn};

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
    take(node, app, key, (offset, Terms::default()), body).await
}

/// The same, on these terms.
pub(super) async fn take<S, E>(
    node: &Node,
    app: AppId,
    key: &str,
    (offset, terms): (u64, Terms),
    body: S,
) -> Result<Ended, AppendFailure>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
{
    let turn = if let Some(turn) = node.turns.take_free(key) {
        turn
    } else {
        // Only who may write this upload may end who writes it.
        load(node, app, key).await?;
        turn_at(node, app, key, offset).await?
    };
    let record = ours(node, load(node, app, key).await?, Some(offset)).await?;
    let record = gone_is_over(record)?;
    if record.is_final() {
        return Err(Refusal::Final.into());
    }
    let at = match record.state {
        State::Open { offset, .. } => offset,
        // A client that lost the last answer repeats an empty PATCH at the end (C12).
        State::Finished { size } => size,
        State::Cancelled | State::Expired | State::Lost => unreachable!("because gone_is_over refused them"),
    };
    if at != offset {
        return Err(Refusal::OffsetMismatch { at }.into());
    }
    if record.state.phase() == Phase::Finished {
        return Ok(drained_empty(body, record.expires, at).await);
    }
    let most = most_of(node, &record);
    let end = record.size.or(terms.length).unwrap_or(most);
    let end = terms.most.map_or(end, |most| end.min(offset.saturating_add(most)));
    let plain = terms.are_plain() && record.way != Way::Resumable;
    // Where there are other nodes, a write without a hold could come after theirs.
    let alone = node.name().is_none();
    let whole = plain && alone && offset == 0 && record.digest.is_none() && !record.is_partial();
    if let Some(small) = record.size.filter(|_| whole).and_then(|size| node.spool.small(size)) {
        return gathered(node, record, (small, turn), (body, end)).await;
    }
    let arrival = Arrival::new(node, body, &turn, (offset, end));
    Receiver::open(node, record, terms).await?.receive(arrival).await
}

/// At most so many bytes, where no length was declared.
fn most_of(node: &Node, record: &Upload) -> u64 {
    let most = node.config.uploads.max_bytes;
    record.allowance.max_bytes.map_or(most, |max| max.min(most))
}

/// The turn of a body that begins at `offset`. Where the running request has come to another offset, it goes on, and
/// this one is told what is durable.
async fn turn_at(node: &Node, app: AppId, key: &str, offset: u64) -> Result<Turn, AppendFailure> {
    match node.turns.take_at(key, offset).await {
        Ok(turn) => Ok(turn),
        Err(NoTurn::Busy) => Err(AppendFailure::Busy),
        Err(NoTurn::Elsewhere) => match gone_is_over(load(node, app, key).await?)?.state {
            State::Open { offset: at, .. } | State::Finished { size: at } => {
                Err(Refusal::OffsetMismatch { at }.into())
            }
            State::Cancelled | State::Expired | State::Lost => {
                unreachable!("because gone_is_over refused them")
            }
        },
    }
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
    Ended::Stored { offset: size, expires, finished: true }
}

/// A whole upload that fits into one buffer: one write, and one transaction.
async fn gathered<S, E>(
    node: &Node,
    record: Upload,
    (mut small, turn): (spool::Small, Turn),
    (body, end): (S, u64),
) -> Result<Ended, AppendFailure>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
{
    let mut arrival = Arrival::new(node, body, &turn, (0, end));
    let stop = loop {
        match arrival.next().await {
            Next::Bytes(bytes) => small.put(&bytes),
            Next::Quiet => {}
            Next::Stop(stop) => break stop,
        }
    };
    let size = record.size.unwrap_or_default();
    if arrival.received() < size || matches!(stop, Stop::TooLong) {
        let bytes = small.into_bytes();
        let mut receiver = Receiver::open(node, record, Terms::default()).await?;
        let stop = match receiver.writer.write(bytes).await {
            Ok(()) => stop,
            Err(error) => Stop::Failed(error.into()),
        };
        return receiver.settle(stop).await;
    }
    // Most folders are there already.
    if !node.store.path_of(record.object).parent().is_some_and(std::path::Path::is_dir) {
        place(node, record.object).await?;
    }
    let expires = until(node, record.allowance.deadline);
    let storing = stored((node.db.clone(), node.store.clone()), record, small, turn);
    // Of its own, because a request may be dropped with its connection: then nobody else writes this file before it
    // is known whether the upload has finished.
    tokio::spawn(storing).await.map_err(|panic| Failure::Never(panic.to_string()))??;
    Ok(Ended::Stored { offset: size, expires, finished: true })
}

/// Writes a whole small upload and finishes it, while the turn is held. No other number is taken meanwhile.
async fn stored(
    (db, store): (Db, Local),
    record: Upload,
    small: spool::Small,
    turn: Turn,
) -> Result<(), Failure> {
    let hash = small.store(&store.path_of(record.object)).await?;
    let finish = Finish {
        id: record.id,
        epoch: Some(record.epoch),
        size: record.size.unwrap_or_default(),
        blake3: Some(hash),
        slabs: Vec::new(),
        probe_job: random::id(),
        now: crate::flow::now(),
    };
    let finished = db.finish_upload(&finish).await;
    if matches!(finished, Err(DbError::Absent)) {
        // It ended while its bytes came, and its file may have been removed and forgotten before we made it.
        store.remove(record.object).await?;
    }
    drop(turn);
    Ok(finished.map(drop)?)
}

struct Receiver<'a> {
    node: &'a Node,
    record: Upload,
    epoch: u64,
    /// At most so many bytes.
    size: u64,
    terms: Terms,
    writer: spool::Writer,
    committed: u64,
}

impl<'a> Receiver<'a> {
    /// Opens the file before a byte of the body is asked for: where the disk has no room, none is sent.
    async fn open(node: &'a Node, record: Upload, terms: Terms) -> Result<Self, AppendFailure> {
        // Bytes that must be checked first never count by having been written.
        let boot = node.boot.as_deref().filter(|_| !terms.all_or_nothing);
        let Taken { mut record, epoch, file } = taken(node, record, boot).await?;
        let opened = match declare(node, &mut record, epoch, terms).await {
            Ok(()) => {
                let opened = node.spool.go_on(file, record.offset, record.size).await;
                opened.map_err(|error| Failure::from(error).into())
            }
            Err(failure) => Err(failure),
        };
        let writer = match opened {
            Ok(writer) => writer,
            Err(failure) => {
                release(node, (record.id, epoch)).await;
                return Err(failure);
            }
        };
        let size = record.size.unwrap_or_else(|| most_of(node, &record));
        let committed = record.offset;
        Ok(Self { node, record, epoch, size, terms, writer, committed })
    }

    async fn receive<S, E>(mut self, mut arrival: Arrival<'_, S>) -> Result<Ended, AppendFailure>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    {
        let mut since_commit = clock::Stopwatch::start();
        let mut since_word = clock::Stopwatch::start();
        let stop = loop {
            match arrival.next().await {
                Next::Bytes(bytes) => {
                    if let Err(error) = self.writer.write(bytes).await {
                        break Stop::Failed(error.into());
                    }
                }
                Next::Quiet => {}
                Next::Stop(stop) => break stop,
            }
            let received = self.writer.received();
            let due = received - self.committed >= limits::COMMIT_BYTES
                || (since_commit.elapsed_ms() >= limits::COMMIT_MS && received > self.committed);
            if due && received < self.size && !self.terms.all_or_nothing {
                if let Err(failure) = self.commit().await {
                    break Stop::Failed(failure);
                }
                (since_commit, since_word) = (clock::Stopwatch::start(), clock::Stopwatch::start());
            }
            if self.node.name().is_some() && since_word.elapsed_ms() >= limits::UPLOAD_KEEP_MS {
                if let Err(error) = self.node.db.keep_upload((self.record.id, self.epoch), held_until()).await
                {
                    break Stop::Failed(error.into());
                }
                since_word = clock::Stopwatch::start();
            }
        };
        self.settle(stop).await
    }

    /// Commits what is there, and gives the upload back once nothing more is written to its file.
    async fn settle(self, stop: Stop) -> Result<Ended, AppendFailure> {
        let (node, upload) = (self.node, (self.record.id, self.epoch));
        let ended = self.end(stop).await;
        if !matches!(ended, Ok(Ended::Stored { finished: true, .. })) {
            release(node, upload).await;
        }
        ended
    }

    /// Makes what was received durable and says so in the database.
    async fn commit(&mut self) -> Result<(), Failure> {
        let durable = self.writer.commit().await?;
        self.say(durable).await
    }

    async fn say(&mut self, durable: u64) -> Result<(), Failure> {
        if durable > self.committed && !self.fills(durable) {
            let slabs = kept(&self.writer.take_slabs());
            let reached = self.reached(durable, slabs);
            self.node.db.commit_reached((self.record.id, self.epoch), reached).await?;
        }
        self.committed = durable;
        Ok(())
    }

    fn reached(&self, offset: u64, slabs: Vec<SlabHash>) -> Reached {
        Reached { offset, slabs, now: crate::flow::now(), expires: self.expires() }
    }

    /// Is the upload finished by having so many bytes? In the IETF protocol its sender must say so, too.
    fn fills(&self, offset: u64) -> bool {
        let full_is_end = self.terms.full_is_end || self.record.way != Way::Resumable;
        self.record.size == Some(offset) && full_is_end
    }

    fn expires(&self) -> Millis {
        until(self.node, self.record.allowance.deadline)
    }

    /// Commits what is there; the commit that would complete the upload is the transaction that finishes it.
    async fn end(mut self, stop: Stop) -> Result<Ended, AppendFailure> {
        let stop = match stop {
            // What cannot be checked does not count: the next writer cuts it off behind the durable offset.
            Stop::Evicted | Stop::TooLong | Stop::Broken if self.terms.all_or_nothing => {
                return Ok(stop.unkept(self.committed));
            }
            Stop::Failed(failure) => return Err(self.salvaged(failure).await),
            stop @ (Stop::End | Stop::Evicted | Stop::TooLong | Stop::Broken) => stop,
        };
        if let Err(failure) = self.commit().await {
            return Err(self.salvaged(failure).await);
        }
        let offset = self.committed;
        let finished = match stop {
            Stop::End => {
                self.fills(offset) || self.terms.last && self.record.size.is_none_or(|size| size == offset)
            }
            // A request that sent too much never completes the upload (C11).
            Stop::TooLong => false,
            Stop::Evicted | Stop::Broken | Stop::Failed(_) => self.fills(offset),
        };
        if finished {
            self.finish(offset).await?;
        } else if self.fills(offset) {
            let kept = self.size.saturating_sub(1);
            let reached = self.reached(kept, Vec::new());
            self.node.db.commit_reached((self.record.id, self.epoch), reached).await?;
            return Ok(Ended::TooLong { offset: kept });
        }
        let expires = self.expires();
        match stop {
            Stop::Failed(failure) => Err(failure.into()),
            Stop::End => Ok(Ended::Stored { offset, expires, finished }),
            Stop::Evicted if finished => Ok(Ended::Stored { offset, expires, finished }),
            Stop::Evicted | Stop::TooLong | Stop::Broken => Ok(stop.unkept(offset)),
        }
    }

    /// After a failure what is durable still counts, unless all of it had to be checked.
    async fn salvaged(&mut self, failure: Failure) -> AppendFailure {
        let durable = self.writer.salvage().await;
        // Perhaps it failed because another node writes this file now.
        self.node.spool.forget(&self.node.store.path_of(self.record.object));
        if !self.terms.all_or_nothing
            && !self.fills(durable)
            && let Err(failure) = self.say(durable).await
        {
            return failure.into();
        }
        failure.into()
    }

    /// The transaction that makes the upload a video.
    async fn finish(&mut self, size: u64) -> Result<(), AppendFailure> {
        let hashed = Hashed::of(self.node, self.record.object, &mut self.writer).await?;
        become_video(self.node, &self.record, (self.epoch, size), hashed).await
    }
}

impl Stop {
    /// How a body ended that did not come to its end, with the upload at `offset`.
    fn unkept(&self, offset: u64) -> Ended {
        match self {
            Self::Evicted => Ended::Evicted { offset },
            Self::TooLong => Ended::TooLong { offset },
            Self::End | Self::Broken | Self::Failed(_) => Ended::Broken { offset },
        }
    }
}
