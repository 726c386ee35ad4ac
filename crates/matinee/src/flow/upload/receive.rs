//! The body of one request: streamed into the spool, committed as it goes, kept whatever ends it.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use matinee_core::id::AppId;
use matinee_core::limits;
use matinee_core::time::Millis;
use matinee_core::upload::{Phase, Refusal, State, Way};
use matinee_io::db::Upload;
use matinee_io::{clock, spool};

use super::terms::{Terms, declare};
use super::{AppendFailure, Ended, become_video, gone_is_over, load, place, until};
use crate::flow::{Failure, now};
use crate::node::Node;
use crate::turn::Turn;

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
    load(node, app, key).await?;
    let turn = node.turns.take(key).await.ok_or(AppendFailure::Busy)?;
    let mut record = gone_is_over(load(node, app, key).await?)?;
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
    let epoch = node.db.take_upload(record.id).await?;
    declare(node, &mut record, epoch, terms).await?;
    let size = record.size.unwrap_or_else(|| {
        let most = node.config.uploads.max_bytes;
        record.allowance.max_bytes.map_or(most, |max| max.min(most))
    });
    let path = place(node, record.object).await?;
    let writer = node.spool.open(&path, offset, record.size).await.map_err(Failure::from)?;
    let mut receiver = Receiver { node, record: &record, epoch, size, terms, writer, committed: offset };
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
    Ended::Stored { offset: size, expires, finished: true }
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
    /// At most so many bytes.
    size: u64,
    terms: Terms,
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
            if due && received < self.size && !self.terms.all_or_nothing {
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
        if durable > self.committed && !self.fills(durable) {
            self.node.db.commit_offset((self.record.id, self.epoch), durable, now(), self.expires()).await?;
        }
        self.committed = durable;
        Ok(())
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
    async fn settle(mut self, stop: Stop) -> Result<Ended, AppendFailure> {
        let stop = match stop {
            // What cannot be checked does not count: the next writer cuts it off behind the durable offset.
            Stop::Evicted | Stop::TooLong | Stop::Broken if self.terms.all_or_nothing => {
                return Ok(stop.unkept(self.committed));
            }
            Stop::Failed(failure) if self.terms.all_or_nothing => return Err(failure.into()),
            stop => stop,
        };
        self.commit().await?;
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
            become_video(self.node, self.record, self.epoch, offset).await?;
        } else if self.fills(offset) {
            let kept = self.size.saturating_sub(1);
            self.node.db.commit_offset((self.record.id, self.epoch), kept, now(), self.expires()).await?;
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
