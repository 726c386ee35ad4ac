//! Learns what the stores of the configuration can do, while the server serves already.

use std::sync::Arc;
use std::time::Duration;

use matinee_io::store::{Depth, Opened};

use super::{now, plate};
use crate::node::Node;

/// A store that does not answer is asked again after this.
const AGAIN: Duration = Duration::from_mins(5);

/// Tries every store once, and those that do not answer again and again until they do.
pub(crate) async fn run(node: Arc<Node>) {
    // The same at each start of this node, and of no other one: what a kill leaves the next trial removes.
    let name = node.holder.split('/').next().unwrap_or_default();
    let below = format!("matinee-start/{name}");
    loop {
        for opened in node.stores.iter().filter(|opened| opened.facts.get().is_none()) {
            tokio::select! {
                () = node.stop.cancelled() => return,
                () = learn(&node, opened, &below) => {}
            }
        }
        if node.stores.iter().all(|opened| opened.facts.get().is_some()) {
            return;
        }
        tokio::select! {
            () = node.stop.cancelled() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

async fn learn(node: &Node, opened: &Opened, below: &str) {
    match plate::look(node, opened).await {
        Ok(None) => {}
        // It is said and looked at again by whoever wants to use it.
        Ok(Some(_)) => return,
        Err(failure) => {
            tracing::warn!(store = opened.name, %failure, "it is not known which place a store is");
            return;
        }
    }
    match opened.store.facts(below, Depth::Brief).await {
        Ok(facts) => {
            let told = serde_json::to_value(&facts).expect("because facts are words and numbers");
            if let Err(error) = node.db.keep_facts(&opened.name, &told, now()).await {
                tracing::warn!(store = opened.name, %error, "what a store can do could not be written down");
            }
            tracing::info!(store = opened.name, found = facts.sentences().join("; "), "a store was tried");
            // Nobody else sets it: one task of each process does this.
            let _ = opened.facts.set(facts);
        }
        Err(error) => {
            tracing::warn!(store = opened.name, place = opened.place, %error, "a store cannot be used now");
        }
    }
}
