//! Deletes at a host what nobody wants: asked for, looked at again, and only then closed with the proof; looked for once more
//! a day later. Nothing is ever given up.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use matinee_core::breaker::Breaker;
use matinee_core::host::Standing;
use matinee_core::limits::{HOST_ALARM_ATTEMPTS, HOST_DELETES, HOST_LOOKS_MAX, HOST_TURN_MS};
use matinee_core::publication::{Next, row_wait_ms};
use matinee_core::throttle::Urgency;
use matinee_io::db::Outside;
use matinee_io::host::{Deleted, HostError, Query};
use matinee_io::random;
use serde_json::json;

use super::outside::{self, Stop};
use super::{Failure, now};
use crate::node::Node;
use crate::node::hosts::Known;

/// How often it is looked whether something is to go.
const LOOK: Duration = Duration::from_secs(1);

/// Deletes at a host until the node stops.
pub(crate) async fn run(node: Arc<Node>, to: Arc<Known>) {
    let mut beat = tokio::time::interval(LOOK);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = node.stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        match round(&node, &to).await {
            Ok(()) | Err(Stop::Away(_) | Stop::Said(_)) => {}
            Err(Stop::Ours(failure)) => {
                tracing::warn!(%failure, host = to.name, "what is at a host could not be dealt with; it is tried again");
            }
        }
    }
}

async fn round(node: &Node, to: &Known) -> Result<(), Stop> {
    let until = now().plus(HOST_TURN_MS);
    if !node.db.host_turn((&to.name, "drain"), &node.holder, until, now()).await? {
        return Ok(());
    }
    let row = node.db.hosts().await?.into_iter().find(|row| row.name == to.name);
    if row.is_some_and(|row| row.breaker != Breaker::Closed) {
        return Ok(());
    }
    let due = node.db.outside_due(&to.name, now(), HOST_DELETES).await?;
    let mut answered = Vec::new();
    for entry in due {
        // A round of a slow host is long, and the turn is to be kept.
        node.db.host_turn((&to.name, "drain"), &node.holder, now().plus(HOST_TURN_MS), now()).await?;
        match &entry.remote {
            // One that cannot be dealt with must not keep the others.
            None => match search(node, to, &entry).await {
                Err(Stop::Ours(failure)) => put_off(node, &entry, &failure.to_string()).await?,
                searched => searched?,
            },
            Some(remote) => match delete(node, to, &entry, remote).await {
                Ok(Some(word)) => answered.push((entry, word)),
                Ok(None) => {}
                // The host is away; what it has answered before is looked at when it is back.
                Err(stop) => return Err(stop),
            },
        }
    }
    look_again(node, to, answered).await?;
    control(node, to).await
}

/// Asks for the deletion; says how that was answered, or nothing when it was not.
async fn delete(
    node: &Node,
    to: &Known,
    entry: &Outside,
    remote: &str,
) -> Result<Option<&'static str>, Stop> {
    match outside::ask(node, to, ("delete", Urgency::Work), to.host.delete(remote)).await {
        Ok(Deleted::Now) => Ok(Some("deleted")),
        Ok(Deleted::WasAbsent) => Ok(Some("was absent")),
        Err(Stop::Said(error)) => {
            put_off(node, entry, &error.to_string()).await?;
            let spoke = matches!(error, HostError::Refused(_) | HostError::Full(_));
            if spoke { Ok(None) } else { Err(Stop::Said(error)) }
        }
        Err(stop) => Err(stop),
    }
}

async fn put_off(node: &Node, entry: &Outside, why: &str) -> Result<(), Failure> {
    let attempts = entry.attempts + 1;
    let wait_ms = row_wait_ms(attempts);
    if attempts >= HOST_ALARM_ATTEMPTS {
        tracing::error!(entry = %entry.entry, host = entry.host, attempts, why, "a video cannot be deleted at its host, and is paid for");
    }
    Ok(node.db.ledger_failed(entry.entry, why, now().plus(wait_ms)).await?)
}

/// Looks for something whose name at the host nobody has heard.
async fn search(node: &Node, to: &Known, entry: &Outside) -> Result<(), Stop> {
    match entry.asked.next(false, to.pace) {
        Next::Look(at) if at > now() => Ok(node.db.outside_later(entry.entry, at).await?),
        Next::Look(_) => {
            let found = outside::twins(node, to, entry.key).await?;
            let Some(first) = found.first() else {
                return Ok(node.db.outside_looked(entry.entry, now()).await?);
            };
            node.db.publication_made(entry.key, (&first.id, None), now()).await?;
            let seen: Vec<_> = found.iter().map(|one| (random::id(), one.id.clone(), entry.key)).collect();
            node.db.outside_strays(&to.name, &seen, now()).await?;
            Ok(())
        }
        Next::Create | Next::Absent => {
            let looked = if entry.asked.at.is_some() { "two looks by key" } else { "never asked for" };
            let control = entry.asked.at.map(|_| now().plus(to.pace.control_ms));
            let proof = json!({ "removed": "was absent", "second_look": looked, "at_ms": now().0 });
            Ok(node.db.outside_gone(entry.entry, (proof, control), now()).await?)
        }
    }
}

/// What the host says that it has deleted must not be there.
async fn look_again(node: &Node, to: &Known, answered: Vec<(Outside, &'static str)>) -> Result<(), Stop> {
    let names = answered.iter().filter_map(|(entry, _)| entry.remote.clone()).collect();
    let there = there(node, to, names).await?;
    for (entry, word) in answered {
        if entry.remote.as_ref().is_some_and(|remote| there.contains(remote)) {
            put_off(node, &entry, "the host says that it has deleted it, and has it").await?;
            continue;
        }
        let proof = json!({ "removed": word, "second_look": "absent", "at_ms": now().0 });
        let control = Some(now().plus(to.pace.control_ms));
        node.db.outside_gone(entry.entry, (proof, control), now()).await?;
    }
    Ok(())
}

/// Which of these names the host knows: asked one by one, or by its list when they are many.
async fn there(node: &Node, to: &Known, names: Vec<String>) -> Result<HashSet<String>, Stop> {
    let mut there = HashSet::new();
    if names.len() <= HOST_LOOKS_MAX {
        for name in names {
            let told = outside::ask(node, to, ("status", Urgency::Work), to.host.status(&name)).await?;
            if told.standing != Standing::Gone {
                there.insert(name);
            }
        }
        return Ok(there);
    }
    let mut after = None;
    loop {
        let page = outside::ask(node, to, ("list", Urgency::Work), to.host.list(&Query::All, after)).await?;
        there.extend(page.items.into_iter().map(|remote| remote.id));
        after = page.next;
        if after.is_none() {
            return Ok(there);
        }
    }
}

/// What was proven gone a day ago is looked for once more: a host may say so, show so, and keep it.
async fn control(node: &Node, to: &Known) -> Result<(), Stop> {
    let due = node.db.outside_controls(&to.name, now(), HOST_DELETES).await?;
    let names = due.iter().filter_map(|entry| entry.remote.clone()).collect();
    let there = there(node, to, names).await?;
    for entry in due {
        let found = match &entry.remote {
            Some(remote) => there.contains(remote).then(|| remote.clone()),
            None => outside::twins(node, to, entry.key).await?.first().map(|one| one.id.clone()),
        };
        let Some(remote) = found else {
            node.db.outside_controlled(entry.entry).await?;
            continue;
        };
        tracing::error!(entry = %entry.entry, host = entry.host, remote, "what was proven gone is there again; it is deleted again");
        node.db.outside_back(entry.entry, now()).await?;
        if entry.remote.is_none() {
            node.db.publication_made(entry.key, (&remote, None), now()).await?;
        }
    }
    Ok(())
}
