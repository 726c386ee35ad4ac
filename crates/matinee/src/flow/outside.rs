//! What flows ask of a host: within its budget of requests, only while it answers, and written down.

use std::future::Future;
use std::time::Duration;

use matinee_core::breaker::{Answer, Breaker};
use matinee_core::id::PublicationId;
use matinee_core::throttle::Urgency;
use matinee_core::time::Millis;
use matinee_io::clock::Stopwatch;
use matinee_io::db::Publication;
use matinee_io::db::host::{Call, Gate, Wish};
use matinee_io::host::{HostError, Playback, Query, Remote, Target};
use matinee_io::random;

use super::{Failure, now};
use crate::node::Node;
use crate::node::hosts::Known;

/// So long somebody waits for a place in the budget of a host, in milliseconds; what has to wait longer comes again.
const WAIT_MS_MAX: u64 = 60_000;
/// Videos of one intent are on the first page; more pages of them are no answer.
const TWINS_PAGES_MAX: usize = 4;

/// Why a host did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    /// It is away, or allows nothing now; it is worth another try at this moment.
    #[error("the host does not answer, or wants to be left alone")]
    Away(Millis),
    /// It said no, or did not say anything.
    #[error("{0}")]
    Said(HostError),
    /// Our own side failed.
    #[error("{0}")]
    Ours(#[from] Failure),
}

impl From<matinee_io::db::DbError> for Stop {
    fn from(error: matinee_io::db::DbError) -> Self {
        Self::Ours(error.into())
    }
}

/// There is no host of this name.
pub(super) fn unknown(node: &Node, host: &str) -> Failure {
    let human = format!("There is no host `{host}`; this server has: {}.", node.hosts.names());
    Failure::Refused { conflict: false, human }
}

/// Nothing new goes to a host that is being emptied.
pub(super) fn emptied(host: &str) -> Failure {
    let human = format!("The host `{host}` is being emptied.");
    Failure::Refused { conflict: true, human }
}

/// Is this host being emptied?
pub(super) async fn is_emptied(node: &Node, host: &str) -> Result<bool, Failure> {
    let rows = node.db.hosts().await?;
    Ok(rows.iter().any(|row| row.name == host && row.vacating.is_some()))
}

/// Takes the right to send one request to a host.
pub(super) async fn enter(node: &Node, to: &Known, urgency: Urgency) -> Result<(), Stop> {
    gate(node, to, (urgency, false)).await
}

async fn gate(node: &Node, to: &Known, (urgency, is_probe): (Urgency, bool)) -> Result<(), Stop> {
    let wish = Wish { rate: to.host.rate(), urgency, is_probe };
    loop {
        match node.db.host_enter(&to.name, wish, now()).await? {
            Gate::Open => return Ok(()),
            Gate::Away(until) => return Err(Stop::Away(until)),
            Gate::Wait(wait_ms) if wait_ms > WAIT_MS_MAX => {
                return Err(Stop::Away(now().plus(i64::try_from(wait_ms).unwrap_or(i64::MAX))));
            }
            Gate::Wait(wait_ms) => tokio::select! {
                () = node.stop.cancelled() => return Err(Stop::Away(now())),
                () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
            },
        }
    }
}

/// Sends what the right was taken for, and writes down how it went.
pub(super) async fn sent<T>(
    node: &Node,
    to: &Known,
    name: &'static str,
    work: impl Future<Output = Result<T, HostError>>,
) -> Result<T, Stop> {
    let clock = Stopwatch::start();
    let done = work.await;
    let error = done.as_ref().err().map(ToString::to_string);
    let call = Call { name: name.to_owned(), error, took_ms: clock.elapsed_ms(), at: now() };
    let answer = answer(&done, call.at);
    let wait = (to.pace.probe_ms, u16::from_le_bytes(random::bytes()));
    let breaker = node.db.host_heard(&to.name, (&call, answer), wait).await?;
    let (host, took_ms) = (&to.name, call.took_ms);
    match (&call.error, breaker) {
        (None, _) => tracing::debug!(host, call = name, took_ms, "a host was asked"),
        (Some(error), Breaker::Closed) => tracing::info!(host, call = name, took_ms, error, "a host says no"),
        (Some(error), Breaker::Open { failures: 1, .. }) => {
            tracing::warn!(
                host,
                call = name,
                took_ms,
                error,
                "a host is away; its work waits until it is back"
            );
        }
        (Some(error), Breaker::Open { .. }) => {
            tracing::debug!(host, call = name, took_ms, error, "a host is still away");
        }
    }
    done.map_err(Stop::Said)
}

/// What became of a request, as far as the host is concerned.
fn answer<T>(done: &Result<T, HostError>, at: Millis) -> Answer {
    match done {
        Ok(_) | Err(HostError::Refused(_) | HostError::Full(_)) => Answer::Spoke,
        Err(HostError::Throttled(wait_ms)) => Answer::Throttled(wait_ms.map(|wait_ms| at.plus(wait_ms))),
        Err(HostError::Unauthorised(_) | HostError::Again(_) | HostError::Ambiguous(_)) => Answer::Failed,
    }
}

/// Both.
pub(super) async fn ask<T>(
    node: &Node,
    to: &Known,
    (name, urgency): (&'static str, Urgency),
    work: impl Future<Output = Result<T, HostError>>,
) -> Result<T, Stop> {
    enter(node, to, urgency).await?;
    sent(node, to, name, work).await
}

/// Asks a host that was away whether it is back.
pub(super) async fn probe(node: &Node, to: &Known) -> Result<(), Stop> {
    gate(node, to, (Urgency::Person, true)).await?;
    sent(node, to, "probe", to.host.list(&Query::First, None)).await.map(drop)
}

/// The videos at a host that were made for this intent and have no row, the oldest first: what came of a question that was not
/// answered. What has one is not that; a list that is late shows it still when it is deleted.
pub(super) async fn twins(node: &Node, to: &Known, key: PublicationId) -> Result<Vec<Remote>, Stop> {
    let mut found = listed(node, to, key).await?;
    let named = node.db.outside_named(&to.name, found.iter().map(|one| one.id.as_str())).await?;
    found.retain(|one| !named.contains(&one.id));
    found.reverse();
    Ok(found)
}

/// The videos at a host that its list shows for this intent, the newest first.
pub(super) async fn listed(node: &Node, to: &Known, key: PublicationId) -> Result<Vec<Remote>, Stop> {
    let (query, mut found, mut after) = (Query::Key(key), Vec::<Remote>::new(), None);
    for _ in 0..TWINS_PAGES_MAX {
        let page = ask(node, to, ("look", Urgency::Work), to.host.list(&query, after)).await?;
        for remote in page.items {
            if found.iter().all(|known| known.id != remote.id) {
                found.push(remote);
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(found)
}

/// Where the bytes of a publication go, as a row keeps it.
pub(super) fn close(node: &Node, id: PublicationId, target: &Target) -> Vec<u8> {
    node.hosts.seal.close(id, target, random::bytes())
}

/// The same, opened.
pub(super) fn open(node: &Node, publication: &Publication) -> Option<Target> {
    node.hosts.seal.open(publication.id, publication.target.as_deref()?)
}

/// Where viewers find a publication; nothing while it cannot be watched there.
pub(crate) fn playback(node: &Node, publication: &Publication) -> Option<Playback> {
    let known = node.hosts.named(&publication.host)?;
    let remote = publication.remote.as_deref().filter(|_| publication.phase.plays())?;
    match known.host.playback(remote, &publication.facts, now()) {
        Ok(playback) => Some(playback),
        Err(error) => {
            tracing::error!(%error, host = known.name, "addresses of a host cannot be signed");
            None
        }
    }
}
