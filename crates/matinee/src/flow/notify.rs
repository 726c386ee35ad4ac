//! Events on their way to endpoints: handed on from the log, and sent in turns, so that nobody waits for a slow receiver.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use matinee_core::id::WebhookId;
use matinee_core::webhook::Try;
use matinee_core::webhook::limits::{HOLD_MS, TURN_MS, TURNS_MAX};
use matinee_core::webhook::retry::Outcome;
use matinee_io::db::delivery::{Due, Tried};
use matinee_io::db::webhook::Webhook;
use matinee_io::random;
use tokio::task::JoinSet;

use super::{Failure, Stopwatch, message, now};
use crate::node::Node;

/// So often it is looked what is due again, and what another process has begun.
const LOOK: Duration = Duration::from_secs(1);
/// A call that runs when the process is to end has so long; it is repeated by the next one.
const PARTING: Duration = Duration::from_secs(2);

/// Sends until the node stops.
pub(crate) async fn run(node: Arc<Node>) {
    let mut written = node.db.event_written();
    let mut turns = JoinSet::new();
    let mut seen = 0;
    while !node.stop.is_cancelled() {
        // What is written from here on wakes us again, so nothing is missed.
        written.mark_unchanged();
        match round(&node, &mut seen, turns.len()).await {
            Ok(taken) => {
                for id in taken {
                    turns.spawn(turn(Arc::clone(&node), id));
                }
            }
            Err(failure) => tracing::warn!(%failure, "events could not be handed on; it is tried again"),
        }
        tokio::select! {
            () = node.stop.cancelled() => {}
            changed = written.changed() => if changed.is_err() { break },
            Some(_) = turns.join_next() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    while turns.join_next().await.is_some() {}
}

/// What an earlier run of this node had in hand is free again.
pub(crate) async fn recover(node: &Node) -> Result<(), Failure> {
    node.db.end_own_turns(&node.holder).await?;
    Ok(())
}

/// Hands on what was written, and takes as many turns as there is room for.
async fn round(node: &Node, seen: &mut i64, running: usize) -> Result<Vec<WebhookId>, Failure> {
    loop {
        let spread = node.db.spread(*seen, now()).await?;
        *seen = spread.seen;
        if !spread.more {
            break;
        }
    }
    let room = TURNS_MAX.saturating_sub(u32::try_from(running).unwrap_or(u32::MAX));
    let now = now();
    Ok(node.db.take_turns(&node.holder, (now, now.plus(HOLD_MS)), room).await?)
}

/// Sends to one endpoint what is due for it, for a while.
async fn turn(node: Arc<Node>, id: WebhookId) {
    let since = Stopwatch::start();
    while since.elapsed_ms() < TURN_MS && !node.stop.is_cancelled() {
        match some(&node, id).await {
            Ok(true) => {}
            Ok(false) => break,
            Err(failure) => {
                tracing::warn!(%failure, webhook = %id, "messages could not be sent; it is tried again");
                break;
            }
        }
    }
    if let Err(failure) = node.db.end_turn(id, &node.holder).await {
        tracing::warn!(%failure, webhook = %id, "an endpoint waits, because its turn could not be given back");
    }
}

/// Sends some messages side by side; `false` when nothing more is to be sent now.
async fn some(node: &Node, id: WebhookId) -> Result<bool, Failure> {
    let Some((to, all)) = node.db.due(id, &node.holder, now()).await? else { return Ok(false) };
    if all.is_empty() {
        return Ok(false);
    }
    let sent = join_all(all.into_iter().map(|due| one(node, &to, due))).await;
    let tried: Vec<Tried> = sent.into_iter().flatten().collect();
    let settled = node.db.settle_tries(id, &tried, now()).await?;
    let again = tried.len() as u64 - settled.delivered - settled.failed;
    for (outcome, many) in [("delivered", settled.delivered), ("failed", settled.failed), ("again", again)] {
        metrics::counter!("matinee_webhook_calls_total", "outcome" => outcome).increment(many);
    }
    if let Some(off) = settled.off {
        tracing::warn!(webhook = %id, ?off, "an endpoint was switched off");
    }
    Ok(settled.off.is_none() && !tried.is_empty())
}

/// Sends one message; `None` when the process ends before it was answered.
async fn one(node: &Node, to: &Webhook, due: Due) -> Option<Tried> {
    let random = u32::from_le_bytes(random::bytes());
    let body = match message::body(node, &due.event).await {
        Ok(body) => body,
        // It must not keep back the others, so it ends like one that was sent in vain.
        Err(failure) => return Some(unsaid(to, due, &failure, random)),
    };
    let id = due.event.id.to_string();
    let parting = async {
        node.stop.cancelled().await;
        tokio::time::sleep(PARTING).await;
    };
    let sent = tokio::select! {
        sent = message::send(node, to, &id, body) => sent,
        () = parting => return None,
    };
    Some(Tried { due, tried: sent.tried, outcome: Outcome::Sent(sent.answer), random })
}

/// A message that nobody was sent, with the reason.
fn unsaid(to: &Webhook, due: Due, failure: &Failure, random: u32) -> Tried {
    let (webhook, event, again) = (to.id, due.event.id, failure.passes());
    tracing::warn!(%failure, %webhook, %event, again, "a message cannot be made");
    let error = Some(format!("The message could not be made: {failure}."));
    let tried = Try { at: now(), took_ms: 0, status: None, answer: None, error };
    Tried { due, tried, outcome: Outcome::Unsaid { again }, random }
}
