//! The sweeper: takes back lost leases, ends what is overdue, and works the ledger until each thing is proven gone.

use std::sync::Arc;
use std::time::Duration;

use matinee_core::ledger;
use matinee_core::replica::Finding;
use matinee_core::{assembly, limits, webhook};
use matinee_io::db::{DbError, Entry};
use matinee_io::random;
use matinee_io::store::{Removed, StoreError};
use serde_json::json;

use super::leaving::{self, Leaving};
use super::{Failure, copies, engine, now, roster};
use crate::node::Node;

/// So many entries of the ledger are worked in one round.
const ROUND: u32 = 200;

/// Sweeps until the node stops.
pub(crate) async fn run(node: Arc<Node>) {
    let mut beat = tokio::time::interval(Duration::from_millis(limits::REAP_MS.unsigned_abs()));
    let mut rounds = 0_u64;
    loop {
        tokio::select! {
            () = node.stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        if let Err(failure) = round(&node, rounds).await {
            tracing::warn!(%failure, "the sweeper could not finish its round; it tries again");
        }
        rounds += 1;
    }
}

async fn round(node: &Node, rounds: u64) -> Result<(), Failure> {
    let reaped = node.db.reap(now(), u32::from_le_bytes(random::bytes())).await?;
    if reaped.again + reaped.dead + reaped.cancelled > 0 {
        tracing::warn!(
            again = reaped.again,
            dead = reaped.dead,
            cancelled = reaped.cancelled,
            "leases ended"
        );
    }
    for upload in node.db.expire_uploads(now(), ROUND).await? {
        tracing::info!(%upload, "an upload was not finished in time");
    }
    node.db.forget_retired(now(), ROUND).await?;
    ledger(node).await?;
    copies::round(node).await?;
    node.db.forget_closed(now()).await?;
    if node.config.workers.tell_waiting {
        node.db.tell_demand(node.defaults.app, now()).await?;
    }
    if rounds.is_multiple_of(limits::BEAT_ROUNDS) {
        node.db.beat(&roster::beat(node)).await?;
        engine::forsake(node).await?;
    }
    if rounds.is_multiple_of(limits::PRUNE_ROUNDS) {
        node.db.sweep_intended(now(), limits::INTENDED_GRACE_MS).await?;
        node.db.prune_uploads(now().plus(-limits::FINISHED_UPLOAD_MS), ROUND).await?;
        node.db.prune_jobs(now(), limits::DONE_JOB_MS).await?;
        node.db.prune_deliveries(now().plus(-webhook::limits::DELIVERY_KEPT_MS), ROUND).await?;
        node.db.prune_assemblies(now().plus(-assembly::KEPT_MS), ROUND).await?;
        copies::review(node).await?;
        node.db.forget_failed(ROUND, now()).await?;
        hopeless(node).await?;
        super::scratch::clear_aside(node)?;
        node.quarantine().clear(now().plus(-limits::QUARANTINE_MS)).map_err(StoreError::from)?;
        thumbnails(node, rounds / limits::PRUNE_ROUNDS).await?;
    }
    Ok(())
}

/// Jobs that no machine has the memory for are given up, and machines that are gone are forgotten.
async fn hopeless(node: &Node) -> Result<(), Failure> {
    node.db.prune_nodes(now().plus(-limits::NODE_FORGOTTEN_MS)).await?;
    let Some(most) = roster::memory_max(node).await? else { return Ok(()) };
    let refused = node.db.refuse_oversized(most, now()).await?;
    if refused > 0 {
        tracing::error!(refused, "jobs need more memory than any node or runner may use, and were given up");
    }
    Ok(())
}

/// Stills of videos that were deleted elsewhere, or with their collection, go; some videos a round, all in turn.
async fn thumbnails(node: &Node, round: u64) -> Result<(), Failure> {
    let kept = node.thumbnails.videos()?;
    let rounds = kept.len().div_ceil(limits::THUMBNAIL_ROUND).max(1);
    let first = usize::try_from(round).unwrap_or_default() % rounds * limits::THUMBNAIL_ROUND;
    for video in kept.into_iter().skip(first).take(limits::THUMBNAIL_ROUND) {
        if node.db.video_any(video).await?.is_none() {
            node.thumbnails.forget(video);
        }
    }
    Ok(())
}

/// Deletes what is to be deleted: removed, looked at again, and only then closed with the proof.
pub(crate) async fn ledger(node: &Node) -> Result<u32, Failure> {
    let mut gone = 0;
    loop {
        let due = node.db.ledger_due(now(), ROUND).await?;
        let many = due.len() == ROUND as usize;
        for entry in due {
            let why = match leaving::look(node, &entry).await? {
                Leaving::Goes => match delete(node, &entry).await {
                    Ok(()) => {
                        gone += 1;
                        continue;
                    }
                    Err(failure) => failure.to_string(),
                },
                Leaving::Stays => continue,
                Leaving::Later(why) => why,
            };
            tracing::warn!(why, object = %entry.object, "an object could not be deleted yet");
            let next = now().plus(ledger::backoff_ms(entry.attempts));
            let noted = node.db.ledger_failed(entry.id, &why, next).await;
            // Another node may have been faster.
            if !matches!(noted, Err(DbError::Absent)) {
                noted?;
            }
        }
        if !many {
            return Ok(gone);
        }
    }
}

async fn delete(node: &Node, entry: &Entry) -> Result<(), Failure> {
    let removed = match node.store.remove(entry.object).await? {
        Removed::Gone => "removed",
        Removed::WasAbsent => "was absent",
    };
    if node.store.exists(entry.object).await? {
        return Err(Failure::Again("the object is still there after it was removed".to_owned()));
    }
    let proof = json!({ "removed": removed, "second_look": "absent", "at_ms": now().0 });
    match node.db.ledger_gone(entry.id, proof, now()).await {
        // Another node was faster; or it was kept, because it had become the last copy, too late.
        Err(DbError::Absent) => Ok(node.db.found(entry.id, Finding::Missing, now()).await?),
        done => Ok(done?),
    }
}
