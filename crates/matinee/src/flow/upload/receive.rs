//! The body of one request: streamed into the spool, committed as it goes, kept whatever ends it.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use matinee_core::id::AppId;
use matinee_core::limits;
use matinee_core::time::Millis;
use matinee_core::upload::{Phase, Refusal, State};
use matinee_io::db::Upload;
use matinee_io::{clock, spool};

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
    load(node, app, key).await?;
    let turn = node.turns.take(key).await.ok_or(AppendFailure::Busy)?;
    let record = gone_is_over(load(node, app, key).await?)?;
    let (at, size) = match record.state {
        State::Open { offset, size } => (
            offset,
            size.unwrap_or_else(|| {
                let most = node.config.uploads.max_bytes;
                record.allowance.max_bytes.map_or(most, |max| max.min(most))
            }),
        ),
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
        until(self.node, self.record.allowance.deadline)
    }

    /// Commits what is there; the commit that would complete the upload is the transaction that finishes it.
    async fn settle(mut self, stop: Stop) -> Result<Ended, AppendFailure> {
        self.commit().await?;
        let offset = self.committed;
        // A request that sent too much never completes the upload (C11).
        let complete = offset == self.size && !matches!(stop, Stop::TooLong);
        if complete {
            become_video(self.node, self.record, self.epoch, self.size).await?;
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
