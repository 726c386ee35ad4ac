//! Frees what is to be deleted in stores: one loop for each, so that one that is away holds nobody up.

use std::sync::Arc;
use std::time::Duration;

use matinee_core::{ledger, limits};
use matinee_io::db::Entry;
use matinee_io::store::{Begun, RemoteError, Removed, Store};
use serde_json::json;

use super::{Failure, now, outage};
use crate::node::Node;

/// So many entries of the ledger are worked in one round.
const ROUND: u32 = 200;

/// Frees in this store until the node stops.
pub(crate) async fn run(node: Arc<Node>, name: String) {
    let mut beat = tokio::time::interval(Duration::from_millis(limits::REAP_MS.unsigned_abs()));
    loop {
        tokio::select! {
            () = node.stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        tokio::select! {
            // A removal that is given up in the middle is done once more.
            () = node.stop.cancelled() => return,
            done = round(&node, &name) => if let Err(failure) = done {
                tracing::warn!(%failure, store = name, "what is to be deleted in a store waits");
            }
        }
    }
}

async fn round(node: &Node, name: &str) -> Result<(), Failure> {
    let Some(store) = node.stores.get(name).map(|opened| Arc::clone(&opened.store)) else { return Ok(()) };
    loop {
        let due = node.db.ledger_due_in(name, now(), ROUND).await?;
        if due.is_empty() || outage::ask(node, name).await.is_err() {
            return Ok(());
        }
        for entry in &due {
            match delete(node, &*store, entry).await {
                Ok(()) => outage::answered(node, name).await?,
                Err(error) if error.is_of_the_store() => return outage::failed(node, name, &error).await,
                Err(error) => {
                    tracing::warn!(%error, object = %entry.object, store = name, "a copy could not be deleted yet");
                    let next = now().plus(ledger::backoff_ms(entry.attempts));
                    node.db.ledger_failed(entry.id, &error.to_string(), next).await?;
                }
            }
        }
        if due.len() < ROUND as usize || node.stop.is_cancelled() {
            return Ok(());
        }
    }
}

/// Removed, looked at again, and only then closed with the proof.
async fn delete(node: &Node, store: &dyn Store, entry: &Entry) -> Result<(), RemoteError> {
    let failed = |error: matinee_io::db::DbError| RemoteError::Wrong(error.to_string());
    let Some(copy) = node.db.replica(entry.id).await.map_err(failed)? else {
        return Err(RemoteError::Wrong("nobody knows under which key it lies".to_owned()));
    };
    if let Some(begun) = &copy.begun {
        let begun = Begun { upload: begun.upload.clone(), part_bytes: begun.part_bytes };
        store.abort(&copy.key, &begun).await?;
    }
    let removed = match store.remove(&copy.key, copy.version.as_deref()).await? {
        Removed::Gone => "removed",
        Removed::WasAbsent => "was absent",
    };
    if store.look(&copy.key).await?.is_some() {
        return Err(RemoteError::Wrong("it is still there after it was removed".to_owned()));
    }
    let proof = json!({ "key": copy.key, "removed": removed, "second_look": "absent", "at_ms": now().0 });
    node.db.ledger_gone(entry.id, proof, now()).await.map_err(failed)
}
