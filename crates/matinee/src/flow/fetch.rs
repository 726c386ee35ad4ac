//! The fetch job: brings the bytes of a pull into the store, and goes on where it was after every cut.

mod fresh;
mod sink;

use matinee_core::job::retry::Class;
use matinee_core::limits;
use matinee_core::pull::{Answer, Known, Mark, Next, Place, next};
use matinee_io::clock::Stopwatch;
use matinee_io::db::Pull;
use matinee_io::fetch::{Body, FetchError, Get, Opened};

use self::sink::Sink;
use super::fault::Fault;
use super::lease::Hold;
use super::now;
use crate::node::Node;

/// Fetches the bytes of a pull; the last of them makes its upload a video.
pub(crate) async fn perform(node: &Node, hold: &Hold) -> Result<(), Fault> {
    let video = hold.task.video().expect("because a fetch is for a video");
    let Some(pull) = node.db.pull(hold.app, video).await? else { return Err(over()) };
    let Err(fault) = fetch(node, hold, pull).await else { return Ok(()) };
    if fault.class != Class::World || !fault.problem.code.starts_with("pull_") {
        return Err(fault);
    }
    // What came in this attempt counts: only a source that brings nothing for so long is given up.
    let Some(pull) = node.db.pull(hold.app, video).await? else { return Err(over()) };
    let patience = node.config.ingest.patience;
    let silent_ms = now().since(pull.upload.updated);
    Err(if silent_ms > patience.ms { given_up(&fault, &String::from(patience)) } else { fault })
}

/// The world is tried without end, but a source that brings nothing is not.
fn given_up(fault: &Fault, patience: &str) -> Fault {
    let human = format!("{} It was tried for {patience}.", fault.problem.human);
    Fault::new(
        Class::Refusal,
        &fault.problem.code,
        human,
        "Look at the source; then have the file fetched again.",
    )
}

/// A source as far as it is known.
struct Source {
    get: Get,
    place: Option<Place>,
    /// A fresh address was asked for in this attempt already.
    renewed: bool,
}

/// How one connection ended.
enum Round {
    /// Every byte is here.
    Complete,
    /// Something is missing; the connection may be made again at once.
    Cut(String),
}

async fn fetch(node: &Node, hold: &Hold, pull: Pull) -> Result<(), Fault> {
    let origin = pull.place.clone().and_then(|place| serde_json::from_value(place).ok());
    let get = Get { url: pull.url.clone(), bearer: pull.bearer.clone(), mark: pull.mark.clone(), from: 0 };
    let mut source = Source { get, place: origin, renewed: false };
    let mut sink = Sink::open(node, pull).await?;
    let (mut cuts, mut pace) = (0, Pace::start(sink.received()));
    loop {
        let before = sink.received();
        let round = connection(node, hold, &mut source, &mut sink, &mut pace).await;
        let cut = match round {
            Ok(Round::Complete) => return sink.finish(node, hold).await,
            Ok(Round::Cut(cause)) => cause,
            Err(fault) => {
                // What has come is not fetched a second time.
                sink.commit(node).await?;
                return Err(fault);
            }
        };
        cuts = if sink.received() > before { 0 } else { cuts + 1 };
        if cuts >= limits::PULL_CUTS_MAX {
            sink.commit(node).await?;
            let human = format!("The source does not bring the file: {cut}.");
            return Err(Fault::new(Class::World, "pull_broken", human, RETRIED));
        }
        tracing::debug!(job = %hold.lease.job, cut, at = sink.received(), "a fetch goes on after a cut");
    }
}

const RETRIED: &str = "Nothing needs to be done: it is tried again by itself, and goes on where it was.";

const TRUSTED: &str = "Use the name that the certificate is for, or name its authority in `ingest.authorities`; it is \
                       tried again by itself.";

/// One connection to the source.
async fn connection(
    node: &Node,
    hold: &Hold,
    source: &mut Source,
    sink: &mut Sink,
    pace: &mut Pace,
) -> Result<Round, Fault> {
    source.get.from = sink.received();
    let opened = match node.fetch.open(&source.get).await {
        Ok(opened) => opened,
        Err(FetchError::Status(401 | 403 | 404 | 410)) if source.place.is_some() && !source.renewed => {
            return renew(node, source, sink).await;
        }
        Err(FetchError::Unreachable(cause) | FetchError::Broken(cause)) => return Ok(Round::Cut(cause)),
        Err(error) => return Err(refused(error)),
    };
    let Opened { answer, mark, body } = opened;
    let known = Known { offset: sink.received(), size: sink.size() };
    let compared = Mark::of(source.get.mark.as_deref(), mark.as_deref());
    let next = match next(known, answer, compared) {
        Ok(next) => next,
        Err(wrong) => return Ok(Round::Cut(wrong.to_string())),
    };
    match next {
        Next::Complete => Ok(Round::Complete),
        Next::Restart => restart(node, source, sink, answer).await,
        Next::Append { skip, size } => {
            let max_bytes = node.config.uploads.max_bytes;
            if let Some(size) = size.filter(|size| *size > max_bytes) {
                return Err(too_large(size, max_bytes));
            }
            if mark.is_some() && mark != source.get.mark {
                node.db.mark_pull(sink.upload(), mark.as_deref()).await?;
                source.get.mark = mark;
            }
            sink.declare(node, size).await?;
            let ends = matches!(answer, Answer::Whole { .. });
            receive(node, hold, body, (skip, ends), sink, pace).await
        }
    }
}

/// Stores what comes; `skip` bytes of it are here already. `ends` says that the end of the body is the end of the file.
async fn receive(
    node: &Node,
    hold: &Hold,
    mut body: Body,
    (mut skip, ends): (u64, bool),
    sink: &mut Sink,
    pace: &mut Pace,
) -> Result<Round, Fault> {
    let max_bytes = sink.size().unwrap_or(node.config.uploads.max_bytes);
    loop {
        let bytes = match body.next().await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => break,
            Err(error) => return Ok(Round::Cut(error.to_string())),
        };
        let known = usize::try_from(skip).unwrap_or(usize::MAX).min(bytes.len());
        skip -= known as u64;
        let bytes = bytes.slice(known..);
        if sink.received() + bytes.len() as u64 > max_bytes {
            return Err(too_large(sink.received() + bytes.len() as u64, max_bytes));
        }
        sink.write(node, bytes).await?;
        if let Some(size) = sink.size() {
            hold.progress(portion(sink.received(), size));
        }
        if pace.is_too_slow(sink.received()) {
            let human = "The source sends less than 1 KiB in a second.".to_owned();
            return Err(Fault::new(Class::World, "pull_too_slow", human, RETRIED));
        }
    }
    match sink.size() {
        Some(size) if sink.received() == size => Ok(Round::Complete),
        None if ends && sink.received() > 0 => Ok(Round::Complete),
        None if ends => Err(empty()),
        Some(_) | None => Ok(Round::Cut("the source ended before the file did".to_owned())),
    }
}

/// The address is too old: a fresh one of the same file.
async fn renew(node: &Node, source: &mut Source, sink: &Sink) -> Result<Round, Fault> {
    let Some(place) = &source.place else { return Err(over()) };
    let fresh = fresh::ask(node, place).await?;
    node.db.renew_pull(sink.upload(), &fresh.url, Some(&fresh.bearer)).await?;
    source.get.url = fresh.url;
    source.get.bearer = Some(fresh.bearer);
    source.renewed = true;
    Ok(Round::Cut("the address was too old".to_owned()))
}

/// The file is not the one from before: it begins again, but not for ever.
async fn restart(node: &Node, source: &mut Source, sink: &mut Sink, answer: Answer) -> Result<Round, Fault> {
    let announced = source.place.as_ref().and_then(|Place::Zoom { size_bytes, .. }| *size_bytes);
    let restarts = sink.restart(node, announced).await?;
    source.get.mark = None;
    let class = if restarts > limits::PULL_RESTARTS_MAX { Class::Refusal } else { Class::World };
    if let (Some(announced), Answer::Whole { size: Some(size) }) = (announced, answer)
        && announced != size
    {
        let human = format!("The file has {size} bytes, but {announced} were announced.");
        return Err(Fault::new(class, "pull_wrong_size", human, "Look at the file where it comes from."));
    }
    if class == Class::Refusal {
        let human = "The file changes again and again while it is fetched.".to_owned();
        return Err(Fault::new(
            class,
            "pull_changed",
            human,
            "Give the address of a file that stays as it is.",
        ));
    }
    Ok(Round::Cut("the file has changed".to_owned()))
}

fn refused(error: FetchError) -> Fault {
    let status = match error {
        FetchError::Refused(refusal) => return refusal.into(),
        FetchError::Unreachable(_) | FetchError::Broken(_) => {
            return Fault::new(Class::World, "pull_broken", format!("{error}."), RETRIED);
        }
        // It may be renewed soon, or have been shown by somebody in between.
        FetchError::Untrusted(_) => {
            let human = format!("A secure connection was refused: {error}.");
            return Fault::new(Class::World, "pull_certificate", human, TRUSTED);
        }
        FetchError::Status(status) => status,
    };
    let human = format!("The source answered with status {status}.");
    match status {
        404 | 410 => {
            Fault::new(Class::Refusal, "pull_not_found", human, "Check the address; links can expire.")
        }
        401 | 403 | 407 => Fault::new(
            Class::Refusal,
            "pull_forbidden",
            human,
            "Use a link that works without a login, such as a signed one.",
        ),
        408 | 425 | 429 | 500..=599 => Fault::new(Class::World, "pull_unavailable", human, RETRIED),
        _ => Fault::new(
            Class::Refusal,
            "pull_answer",
            human,
            "Open the address in a browser, and give one that is a file.",
        ),
    }
}

fn too_large(size: u64, max_bytes: u64) -> Fault {
    let human = format!("The file has {size} bytes or more; at most {max_bytes} are taken.");
    Fault::new(Class::Refusal, "pull_too_large", human, "Raise `uploads.max_bytes`, or give a smaller file.")
}

fn empty() -> Fault {
    Fault::new(Class::Refusal, "pull_empty", "The file is empty.", "Look at the file where it comes from.")
}

/// The upload ended while its job was on the way.
fn over() -> Fault {
    Fault::new(Class::Refusal, "pull_over", "The upload is over.", "Nothing needs to be done.")
}

#[expect(clippy::cast_precision_loss, reason = "a progress bar has no use for the last bits")]
fn portion(received: u64, size: u64) -> f64 {
    received as f64 / size.max(1) as f64
}

/// Notices a source that trickles, over all connections of an attempt.
struct Pace {
    window: Stopwatch,
    received: u64,
}

impl Pace {
    fn start(received: u64) -> Self {
        Self { window: Stopwatch::start(), received }
    }

    fn is_too_slow(&mut self, received: u64) -> bool {
        if self.window.elapsed_ms() < limits::PACE_WINDOW_MS {
            return false;
        }
        let least = limits::PACE_BYTES_PER_S_MIN * limits::PACE_WINDOW_MS / 1_000;
        let slow = received.saturating_sub(self.received) < least;
        *self = Self::start(received);
        slow
    }
}
