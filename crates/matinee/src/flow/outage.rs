//! A store that does not answer: asked again after a pause by one question at a time, told once, and all that waited for it
//! is due when it is back. Nobody else waits for it.

use matinee_core::replica::limits::{STORE_PAUSE_FIRST_MS, STORE_PAUSE_MAX_MS};
use matinee_io::db::StoreState;
use matinee_io::store::{Opened, RemoteError, Store};

use super::{Failure, now, plate};
use crate::node::Node;

/// May this store be asked now, and is it the place that its rows mean? Says why, when not.
pub(crate) async fn ask(node: &Node, opened: &Opened) -> Result<(), Failure> {
    let name = &opened.name;
    let known = node.db.store_states().await?.into_iter().find(|state| state.name == *name);
    if let Some(state) = known.filter(|state| state.retry.is_some_and(|retry| now().since(retry) < 0)) {
        let error = state.error.unwrap_or_default();
        return Err(Failure::Again(format!("the store {name} does not answer for now: {error}")));
    }
    match plate::lack(node, opened).await? {
        None => Ok(()),
        Some(why) => Err(Failure::Again(format!("the store {name} cannot be used now: {why}"))),
    }
}

/// Has it not answered when it was asked last?
pub(crate) async fn is_away(node: &Node, name: &str) -> Result<bool, Failure> {
    let states = node.db.store_states().await?;
    Ok(states.into_iter().any(|state| state.name == name && state.away.is_some()))
}

/// The store has answered.
pub(crate) async fn answered(node: &Node, name: &str) -> Result<(), Failure> {
    if is_away(node, name).await? && node.db.store_back(name, now()).await? {
        tracing::info!(store = name, "a store answers again; what waited for it goes on");
    }
    Ok(())
}

/// The store has not done it. When that is about the store and not about one object, nobody asks it for a while.
pub(crate) async fn failed(node: &Node, name: &str, error: &RemoteError) -> Result<(), Failure> {
    if !error.is_of_the_store() {
        return Ok(());
    }
    let known = node.db.store_states().await?.into_iter().find(|state| state.name == name);
    let since = known.and_then(|state| state.away);
    if since.is_none() {
        tracing::warn!(store = name, %error, "a store does not answer; what it should get waits, all else goes on");
    }
    let away_ms = since.map_or(0, |since| now().since(since));
    let pause_ms = away_ms.clamp(STORE_PAUSE_FIRST_MS, STORE_PAUSE_MAX_MS);
    node.db.store_away(name, &error.to_string(), now().plus(pause_ms), now()).await?;
    Ok(())
}

/// Is a failure about the store? One that refuses a single thing and lists what it has is there: that thing is locked.
pub(crate) async fn is_of_the_store(store: &dyn Store, error: &RemoteError) -> bool {
    if matches!(error, RemoteError::Refused(_)) {
        store.list(None, 1).await.is_err()
    } else {
        error.is_of_the_store()
    }
}

/// Asks a store that was away whether it is back, also when nothing waits for it: what lies there would be taken for lost.
pub(super) async fn probe(node: &Node, opened: &Opened) -> Result<(), Failure> {
    let name = opened.name.as_str();
    let known = node.db.store_states().await?.into_iter().find(|state| state.name == name);
    let is_due = |state: &StoreState| {
        state.away.is_some()
            && state.lost.is_none()
            && state.retry.is_none_or(|retry| now().since(retry) >= 0)
    };
    if !known.as_ref().is_some_and(is_due) {
        return Ok(());
    }
    match plate::look(node, opened).await? {
        None => answered(node, name).await,
        Some(_) => Ok(()),
    }
}
