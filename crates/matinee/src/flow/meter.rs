//! What goes out: sampled each second for the load of our line, and added to the account now and then.

use std::sync::Arc;
use std::time::Duration;

use matinee_core::calendar::{day, month};
use matinee_core::limits::EGRESS_ADD_MS;

use super::{Failure, now};
use crate::node::Node;

/// So often it is looked how much goes out.
const SAMPLE: Duration = Duration::from_secs(1);
/// What went out is kept for so many days: this year and the same month of the last.
const KEPT_DAYS: i64 = 400;

/// Counts until the node stops.
pub(crate) async fn run(node: Arc<Node>) {
    tokio::join!(sample(&node), account(&node));
}

/// Nothing goes out any more: adds what has not been added.
pub(crate) async fn end(node: &Node) {
    if let Err(failure) = add(node).await {
        tracing::warn!(%failure, "what went out in the last seconds is not in the account");
    }
}

async fn sample(node: &Node) {
    let link = node.config.delivery.link();
    let mut beat = tokio::time::interval(SAMPLE);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = node.stop.cancelled() => return,
            _ = beat.tick() => node.meter.sample(link, now()),
        }
    }
}

async fn account(node: &Node) {
    let mut beat = tokio::time::interval(Duration::from_millis(EGRESS_ADD_MS.unsigned_abs()));
    let mut pruned = 0;
    loop {
        tokio::select! {
            () = node.stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        if let Err(failure) = round(node, &mut pruned).await {
            tracing::warn!(%failure, "what went out could not be added to the account; it is tried again");
        }
    }
}

async fn round(node: &Node, pruned: &mut i64) -> Result<(), Failure> {
    add(node).await?;
    let at = now();
    let (_, begins, _) = month(at);
    let seen = node.db.egress_of_places(day(begins)).await?;
    node.meter.remember(seen.into_iter().map(|(place, bytes, ms)| (place, (bytes, ms))).collect());
    if *pruned != day(at) {
        node.db.prune_egress(day(at) - KEPT_DAYS).await?;
        *pruned = day(at);
    }
    Ok(())
}

/// Adds what went out. A sum whose answer was lost is sent again under its number, and counts once.
async fn add(node: &Node) -> Result<(), Failure> {
    // The one that was perhaps not added, then what went out since. While somebody watches there is always more.
    for _ in 0..2 {
        let Some(sum) = node.meter.sum(now()) else { break };
        let payer = node.defaults.app;
        node.db.add_egress((&node.holder, sum.seq), day(sum.at), &sum.sent, payer, now()).await?;
        node.meter.added(sum.seq);
    }
    Ok(())
}
