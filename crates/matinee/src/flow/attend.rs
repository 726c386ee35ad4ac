//! The dealings with one host that nobody waits for: what is not final is asked for, what is to go is deleted and proven
//! gone. One node at a time does each of the two.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use matinee_core::breaker::Breaker;
use matinee_core::host::{Standing, ask_again_ms};
use matinee_core::id::PublicationId;
use matinee_core::limits::{HOST_ASK_FIRST_MS, HOST_TURN_MS, HOST_USAGE_MS};
use matinee_core::throttle::Urgency;
use matinee_core::time::Millis;
use matinee_io::db::{Publication, Told};
use matinee_io::host::{Query, Remote};
use matinee_io::random;

use super::outside::{self, Stop};
use super::{Failure, besides, direct, now, vacate};
use crate::node::Node;
use crate::node::hosts::Known;

/// How often it is looked whether something is due.
const LOOK: Duration = Duration::from_secs(1);
/// So many single videos are asked for in one round.
const ROUND: u32 = 20;
/// So many that are not final are known in one round; a list of a host shows no more.
const OPEN_MAX: u32 = 2_000;
/// A list of a host is spread by so much, in milliseconds, so that nodes and hosts do not move in step.
const SPREAD_MS: i64 = 1_000;

/// Asks for what is not final at a host, until the node stops.
pub(crate) async fn run(node: Arc<Node>, to: Arc<Known>) {
    let mut beat = tokio::time::interval(LOOK);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = node.stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        if let Err(failure) = round(&node, &to).await {
            tracing::warn!(%failure, host = to.name, "a host could not be attended to; it is tried again");
        }
    }
}

async fn round(node: &Node, to: &Known) -> Result<(), Failure> {
    let until = now().plus(HOST_TURN_MS);
    if !node.db.host_turn((&to.name, "watch"), &node.holder, until, now()).await? {
        return Ok(());
    }
    match watch(node, to).await {
        // It is in the row of the host, and in the log.
        Ok(()) | Err(Stop::Away(_) | Stop::Said(_)) => Ok(()),
        Err(Stop::Ours(failure)) => Err(failure),
    }
}

async fn watch(node: &Node, to: &Known) -> Result<(), Stop> {
    let row = node.db.hosts().await?.into_iter().find(|row| row.name == to.name);
    if let Some(Breaker::Open { probe, .. }) = row.map(|row| row.breaker) {
        return if now() < probe { Ok(()) } else { outside::probe(node, to).await };
    }
    direct::waiting(node, to).await?;
    for publication in node.db.publications_due(&to.name, now(), ROUND).await? {
        status(node, to, &publication).await?;
    }
    for late in direct::overdue(node, to).await? {
        status(node, to, &late).await?;
        direct::expire(node, &late).await?;
    }
    let spread_ms = i64::from(u16::from_le_bytes(random::bytes())) * SPREAD_MS / i64::from(u16::MAX);
    if node.db.host_poll(&to.name, now().plus(to.pace.poll_ms + spread_ms), now()).await? {
        poll(node, to).await?;
    }
    besides::round(node, to).await?;
    vacate::round(node, to).await?;
    if node.db.host_usage(&to.name, now().plus(HOST_USAGE_MS), now()).await? {
        usage(node, to).await?;
    }
    Ok(())
}

/// Asks what is used of what was paid for.
async fn usage(node: &Node, to: &Known) -> Result<(), Stop> {
    let asked = ("usage", Urgency::Work);
    match outside::ask(node, to, asked, to.host.usage(now())).await? {
        Some(usage) => Ok(node.db.host_used(&to.name, usage).await?),
        None => Ok(()),
    }
}

/// Asks for one video: the host gave a hint, or its list does not show it.
async fn status(node: &Node, to: &Known, publication: &Publication) -> Result<(), Stop> {
    let Some(remote) = &publication.remote else { return Ok(()) };
    let told = outside::ask(node, to, ("status", Urgency::Work), to.host.status(remote)).await?;
    let next = now().plus(ask_again_ms(publication.unchanged));
    if told.standing == Standing::Gone {
        // It may be the only one that there is: one word does not lose what the list shows, nor all of a library that is away.
        let mut listed = outside::listed(node, to, publication.id).await?.into_iter();
        if let Some(shown) = listed.find(|one| one.id == *remote) {
            return tell(node, publication, (shown, false), next).await;
        }
    }
    tell(node, publication, (told, true), next).await
}

/// Asks for all that is not final, in one list.
async fn poll(node: &Node, to: &Known) -> Result<(), Stop> {
    let page = outside::ask(node, to, ("list", Urgency::Work), to.host.list(&Query::All, None)).await?;
    let open = node.db.publications_open(&to.name, OPEN_MAX).await?;
    let open: HashMap<_, _> = open.into_iter().filter_map(|one| Some((one.remote.clone()?, one))).collect();
    strays(node, to, &page.items).await?;
    for remote in page.items {
        if let Some(publication) = open.get(&remote.id) {
            // What the list has shown it shows again.
            tell(node, publication, (remote, false), now().plus(HOST_ASK_FIRST_MS)).await?;
        }
    }
    Ok(())
}

/// Saves what a host says of a publication; `full` says whether it was asked for this one.
async fn tell(
    node: &Node,
    publication: &Publication,
    (remote, full): (Remote, bool),
    next: Millis,
) -> Result<(), Stop> {
    let told = Told {
        standing: remote.standing,
        full,
        next_ask: Some(next),
        duration_ms: remote.duration_ms,
        bytes: remote.bytes,
        facts: remote.facts,
        again: (node.maker.sign(random::id()), random::id()),
    };
    if let Some(phase) = node.db.publication_told(publication.id, &told, now()).await? {
        tracing::info!(publication = %publication.id, video = %publication.video, host = publication.host, ?phase, "a host tells of a video");
    }
    Ok(())
}

/// What is there twice for one intent is to go.
async fn strays(node: &Node, to: &Known, items: &[Remote]) -> Result<(), Stop> {
    let seen: Vec<(_, String, PublicationId)> =
        items.iter().filter_map(|one| Some((random::id(), one.id.clone(), one.key?))).collect();
    let many = node.db.outside_strays(&to.name, &seen, now()).await?;
    if many > 0 {
        tracing::warn!(
            host = to.name,
            many,
            "a host has made videos more than once; those that are too many are deleted"
        );
    }
    Ok(())
}
