//! Frees what is to be deleted in stores: one loop for each, so that one that is away holds nobody up.

use std::sync::Arc;
use std::time::Duration;

use matinee_core::replica::Finding;
use matinee_core::replica::limits::COPY_CONTROL_MS;
use matinee_core::{ledger, limits};
use matinee_io::db::{DbError, Entry, key_in};
use matinee_io::store::{Begun, Opened, RemoteError, Removed, Store};
use serde_json::{Value, json};

use super::leaving::{self, Leaving};
use super::{Failure, now, outage, plate};
use crate::node::Node;

/// So many entries of the ledger are worked in one round.
const ROUND: u32 = 200;
/// So many that are gone are looked for once more in one round: a deletion is not to wait for them.
const CONTROLS: u32 = 50;

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
    let Some(opened) = node.stores.get(name) else { return Ok(()) };
    let store = Arc::clone(&opened.store);
    outage::probe(node, opened).await?;
    loop {
        let due = node.db.ledger_due_in(name, now(), ROUND).await?;
        if due.is_empty() || outage::ask(node, opened).await.is_err() {
            break;
        }
        let mut freed = Vec::new();
        for entry in &due {
            match leaving::look(node, entry).await? {
                Leaving::Goes => {}
                Leaving::Stays => continue,
                Leaving::Later(why) => {
                    later(node, entry, &why).await?;
                    continue;
                }
            }
            match delete(node, &*store, entry).await {
                Ok(proof) => {
                    outage::answered(node, name).await?;
                    freed.push((entry, proof));
                }
                Err(error) if outage::is_of_the_store(&*store, &error).await => {
                    return outage::failed(node, name, &error).await;
                }
                Err(error) => {
                    tracing::warn!(%error, object = %entry.object, store = name, "a copy could not be deleted yet");
                    later(node, entry, &error.to_string()).await?;
                }
            }
        }
        // Where the whole bucket is away, or is another one by now, every object seems to be gone.
        if !freed.is_empty() && plate::look(node, opened).await?.is_some() {
            return Ok(());
        }
        for (entry, proof) in freed {
            gone(node, entry, proof).await?;
        }
        if due.len() < ROUND as usize || node.stop.is_cancelled() {
            break;
        }
    }
    control(node, opened).await
}

/// It is tried again, the later the more often it was.
async fn later(node: &Node, entry: &Entry, why: &str) -> Result<(), Failure> {
    let next = now().plus(ledger::backoff_ms(entry.attempts));
    match node.db.ledger_failed(entry.id, why, next).await {
        // Another node may have been faster, with the same end.
        Err(DbError::Absent) => Ok(()),
        done => Ok(done?),
    }
}

async fn gone(node: &Node, entry: &Entry, proof: Value) -> Result<(), Failure> {
    match node.db.ledger_gone(entry.id, proof, now()).await {
        // Another node was faster; or it was kept, because it had become the last one, too late.
        Err(DbError::Absent) => Ok(node.db.found(entry.id, Finding::Missing, now()).await?),
        done => Ok(done?),
    }
}

/// Removed, and looked at again; returns the proof.
async fn delete(node: &Node, store: &dyn Store, entry: &Entry) -> Result<Value, RemoteError> {
    let failed = |error: DbError| RemoteError::Unsaved(error.to_string());
    let copy = node.db.replica(entry.id).await.map_err(failed)?;
    // What was proven gone before and came back has no row any more, but its proof.
    let key = copy.as_ref().map_or_else(|| key_in(entry.proof.as_ref()), |copy| copy.key.clone());
    if key.is_empty() {
        return Err(RemoteError::Wrong("nobody knows under which key it lies".to_owned()));
    }
    if let Some(begun) = copy.as_ref().and_then(|copy| copy.begun.as_ref()) {
        let begun = Begun { upload: begun.upload.clone(), part_bytes: begun.part_bytes };
        store.abort(&key, &begun).await?;
    }
    let version = copy.as_ref().and_then(|copy| copy.version.as_deref());
    let removed = match store.remove(&key, version).await? {
        Removed::Gone => "removed",
        Removed::WasAbsent => "was absent",
    };
    if store.look(&key).await?.is_some() {
        return Err(RemoteError::Wrong("it is still there after it was removed".to_owned()));
    }
    Ok(json!({ "key": key, "removed": removed, "second_look": "absent", "place": "seen", "at_ms": now().0 }))
}

/// What was proven gone a day ago is looked for once more.
async fn control(node: &Node, opened: &Opened) -> Result<(), Failure> {
    let name = opened.name.as_str();
    for old in node.db.copy_controls(name, now(), CONTROLS).await? {
        if old.key.is_empty() || outage::ask(node, opened).await.is_err() {
            return Ok(());
        }
        match opened.store.look(&old.key).await {
            Ok(None) => node.db.copy_controlled(old.entry).await?,
            Ok(Some(_)) => {
                tracing::error!(entry = %old.entry, store = name, key = old.key, "what was proven gone is there again; it is deleted again");
                node.db.copy_back(old.entry, now()).await?;
            }
            Err(error) if outage::is_of_the_store(&*opened.store, &error).await => {
                return outage::failed(node, name, &error).await;
            }
            Err(error) => {
                tracing::warn!(%error, store = name, key = old.key, "what was deleted could not be looked for once more");
                node.db.copy_control_later(old.entry, now().plus(COPY_CONTROL_MS)).await?;
            }
        }
    }
    Ok(())
}
