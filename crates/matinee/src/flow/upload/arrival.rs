//! A body as it arrives: in time, in order, not beyond its end, and only until a newer request wants the upload.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use matinee_core::limits;
use matinee_io::clock;

use crate::flow::Failure;
use crate::node::Node;
use crate::turn::Turn;

/// What a body brings next.
pub(super) enum Next {
    /// Bytes that fit.
    Bytes(Bytes),
    /// Nothing for a while: time to commit what is there, and to give the memory to others.
    Quiet,
    /// Nothing more.
    Stop(Stop),
}

/// Why the reading of a body stopped.
pub(super) enum Stop {
    End,
    Evicted,
    TooLong,
    Broken,
    Failed(Failure),
}

/// The body of one request.
pub(super) struct Arrival<'a, S> {
    body: S,
    turn: &'a Turn,
    /// Where the upload ends.
    size: u64,
    received: u64,
    idle_ms: u64,
    pace: Pace,
    quiet: clock::Stopwatch,
    parting: Option<clock::Stopwatch>,
    /// The body went on beyond the end; what fits was handed out.
    too_long: bool,
}

impl<'a, S, E> Arrival<'a, S>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
{
    /// The body of the request whose turn it is, from `offset` up to at most `size`.
    pub(super) fn new(node: &Node, body: S, turn: &'a Turn, (offset, size): (u64, u64)) -> Self {
        turn.begin(offset);
        Self {
            body,
            turn,
            size,
            received: offset,
            idle_ms: node.config.ingest.idle.ms.unsigned_abs(),
            pace: Pace::start(node, offset),
            quiet: clock::Stopwatch::start(),
            parting: None,
            too_long: false,
        }
    }

    /// The offset behind the last byte that was handed out.
    pub(super) const fn received(&self) -> u64 {
        self.received
    }

    pub(super) async fn next(&mut self) -> Next {
        if self.too_long {
            return Next::Stop(Stop::TooLong);
        }
        loop {
            let wait_ms = match &self.parting {
                Some(since) if since.elapsed_ms() >= limits::PARTING_MS => return Next::Stop(Stop::Evicted),
                Some(_) => limits::PARTING_IDLE_MS,
                None => limits::COMMIT_MS.min(self.idle_ms),
            };
            let turn = self.turn;
            let next = tokio::select! {
                biased;
                // What has reached this machine before the newer request is taken, so that its sender need not
                // send it again; unless the newer one brings these bytes itself.
                () = turn.let_go.cancelled(), if self.parting.is_none() => {
                    if turn.is_closed() {
                        return Next::Stop(Stop::Evicted);
                    }
                    self.parting = Some(clock::Stopwatch::start());
                    continue;
                }
                next = tokio::time::timeout(Duration::from_millis(wait_ms), self.body.next()) => next,
            };
            return match next {
                Ok(Some(Ok(bytes))) => self.admitted(bytes),
                Ok(None) => Next::Stop(Stop::End),
                Ok(Some(Err(_))) => Next::Stop(Stop::Broken),
                Err(_) if self.parting.is_some() => Next::Stop(Stop::Evicted),
                Err(_) if self.quiet.elapsed_ms() >= self.idle_ms || self.pace.is_slow(self.received) => {
                    Next::Stop(Stop::Broken)
                }
                Err(_) => Next::Quiet,
            };
        }
    }

    fn admitted(&mut self, mut bytes: Bytes) -> Next {
        let room = usize::try_from(self.size - self.received).unwrap_or(usize::MAX);
        self.too_long = bytes.len() > room;
        bytes.truncate(room);
        if !self.turn.admit(bytes.len()) {
            return Next::Stop(Stop::Evicted);
        }
        self.received += bytes.len() as u64;
        self.quiet = clock::Stopwatch::start();
        if self.pace.is_slow(self.received) { Next::Stop(Stop::Broken) } else { Next::Bytes(bytes) }
    }
}

/// Notices a body that trickles: less than the minimum over a whole window.
struct Pace {
    window: clock::Stopwatch,
    window_ms: u64,
    bytes_min: u64,
    /// Where the body was when the window began.
    from: u64,
}

impl Pace {
    fn start(node: &Node, offset: u64) -> Self {
        let ingest = &node.config.ingest;
        let window_ms = ingest.slow_window.ms.unsigned_abs();
        let bytes_min = ingest.slow_bytes_per_s.saturating_mul(window_ms) / 1_000;
        Self { window: clock::Stopwatch::start(), window_ms, bytes_min, from: offset }
    }

    fn is_slow(&mut self, received: u64) -> bool {
        if self.window.elapsed_ms() < self.window_ms {
            return false;
        }
        let slow = received - self.from < self.bytes_min;
        self.window = clock::Stopwatch::start();
        self.from = received;
        slow
    }
}
