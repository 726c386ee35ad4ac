//! Frees what is to be deleted in stores: one loop for each, so that one that is away holds nobody up.

use std::sync::Arc;
use std::time::Duration;

use matinee_core::{ledger, limits};
use matinee_io::db::{DbError, Entry};
use matinee_io::store::{Begun, RemoteError, Removed, Store};
use serde_json::{Value, json};

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
        if due.is_empty() {
            return is_back(node, name, &*store).await;
        }
        if outage::ask(node, name).await.is_err() {
            return Ok(());
        }
        let mut freed = Vec::new();
        for entry in &due {
            match delete(node, &*store, entry).await {
                Ok(proof) => {
                    outage::answered(node, name).await?;
                    freed.push((entry, proof));
                }
                Err(error) if error.is_of_the_store() => return outage::failed(node, name, &error).await,
                Err(error) => {
                    tracing::warn!(%error, object = %entry.object, store = name, "a copy could not be deleted yet");
                    let next = now().plus(ledger::backoff_ms(entry.attempts));
                    node.db.ledger_failed(entry.id, &error.to_string(), next).await?;
                }
            }
        }
        if let Err(error) = there(&*store, !freed.is_empty()).await {
            return outage::failed(node, name, &error).await;
        }
        for (entry, proof) in freed {
            match node.db.ledger_gone(entry.id, proof, now()).await {
                // Another node was faster.
                Ok(()) | Err(DbError::Absent) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if due.len() < ROUND as usize || node.stop.is_cancelled() {
            return Ok(());
        }
    }
}

/// Asks a store that was away whether it is back, also when nothing waits for it: else it would count as lost after an hour in
/// which nobody has asked.
async fn is_back(node: &Node, name: &str, store: &dyn Store) -> Result<(), Failure> {
    if !outage::is_away(node, name).await? || outage::ask(node, name).await.is_err() {
        return Ok(());
    }
    match there(store, true).await {
        Ok(()) => outage::answered(node, name).await,
        Err(error) => outage::failed(node, name, &error).await,
    }
}

/// Where the whole bucket is away, every object seems to be: only a place that lists what it has proves what it has not.
async fn there(store: &dyn Store, asked: bool) -> Result<(), RemoteError> {
    if asked { store.list(None, 1).await.map(drop) } else { Ok(()) }
}

/// Removed, and looked at again; returns the proof.
async fn delete(node: &Node, store: &dyn Store, entry: &Entry) -> Result<Value, RemoteError> {
    let failed = |error: DbError| RemoteError::Wrong(error.to_string());
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
    Ok(
        json!({ "key": copy.key, "removed": removed, "second_look": "absent", "listed": true, "at_ms": now().0 }),
    )
}
