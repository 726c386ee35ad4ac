//! Is a store the place that its rows mean? Looked at before anything is put there, deleted there or called missing there.

use std::time::Duration;

use matinee_core::hash::hex;
use matinee_core::replica::limits::{PLATE_COPIES, PLATE_FRESH_MS, PLATES_MAX, REACH_PATIENCE_MS};
use matinee_core::replica::{Look, Verdict, plate_key};
use matinee_core::time::Millis;
use matinee_io::db::{DbError, StoreState};
use matinee_io::random;
use matinee_io::store::{Known, Opened, RemoteError, Store, plate};

use super::{Failure, now, outage};
use crate::node::Node;

/// Why nothing was found out.
enum Stop {
    Store(RemoteError),
    Ours(Failure),
}

impl From<RemoteError> for Stop {
    fn from(error: RemoteError) -> Self {
        Self::Store(error)
    }
}

impl From<DbError> for Stop {
    fn from(error: DbError) -> Self {
        Self::Ours(error.into())
    }
}

/// Why a store cannot be used now, if it cannot. What was seen a moment ago is believed.
pub(super) async fn lack(node: &Node, opened: &Opened) -> Result<Option<String>, Failure> {
    let is_fresh = |at: Millis| (0..PLATE_FRESH_MS).contains(&now().since(at));
    match opened.trust.known() {
        Known::Right(at) if is_fresh(at) && !opened.is_near => Ok(None),
        Known::Wrong(at, why) if is_fresh(at) && !opened.is_near => Ok(Some(why)),
        Known::Nothing | Known::Right(_) | Known::Wrong(..) => look(node, opened).await,
    }
}

/// The same, seen now.
pub(super) async fn look(node: &Node, opened: &Opened) -> Result<Option<String>, Failure> {
    match judge(node, opened).await {
        Ok(None) => {
            opened.trust.set(Known::Right(now()));
            Ok(None)
        }
        Ok(Some(why)) => {
            if !matches!(opened.trust.known(), Known::Wrong(..)) {
                tracing::error!(store = opened.name, place = opened.place, why, "a store is not used");
            }
            opened.trust.set(Known::Wrong(now(), why.clone()));
            node.db.found_elsewhere(&opened.name, Some(now())).await?;
            outage::failed(node, &opened.name, &RemoteError::Refused(why.clone())).await?;
            Ok(Some(why))
        }
        Err(Stop::Store(error)) => {
            outage::failed(node, &opened.name, &error).await?;
            Ok(Some(error.to_string()))
        }
        Err(Stop::Ours(failure)) => Err(failure),
    }
}

/// Why it is not the store, if it is not.
async fn judge(node: &Node, opened: &Opened) -> Result<Option<String>, Stop> {
    let (name, store) = (opened.name.as_str(), &*opened.bare);
    let known = node.db.store_states().await?.into_iter().find(|state| state.name == name);
    let state = known.as_ref();
    if state.is_some_and(|state| state.lost.is_some()) {
        // Nothing is put there, and nothing is believed to lie there.
        return Ok(None);
    }
    let identity = identity(node, name, state).await?;
    let key = plate_key(&identity);
    let is_noted = state.is_some_and(|state| state.plate.is_some() && state.elsewhere.is_none());
    if store.look(&key).await?.is_some() {
        if !is_noted {
            node.db.plate_hangs(name, now()).await?;
        }
        return Ok(None);
    }
    // A slow store holds up no other one for long.
    let _turn = tokio::time::timeout(Duration::from_millis(REACH_PATIENCE_MS), node.stores.turn()).await;
    let states = node.db.store_states().await?;
    // A bucket that is not there looks like one without a plate to whoever asks for one key; to a list it does not.
    let hanging = plate::hanging(store, PLATES_MAX).await?;
    let promised = node.db.promised_in(name, PLATE_COPIES).await?;
    let seen = Look {
        has_plate: hanging.contains(&identity),
        other: owner(node, (name, &states), &hanging),
        had_plate: state.is_some_and(|state| state.plate.is_some()),
        has_copy: has_one_of(store, &promised.keys).await?,
        made: promised.made,
        intended: promised.intended,
    };
    match seen.verdict() {
        Verdict::Right => {}
        Verdict::Bare => hang(node, opened, &key).await?,
        Verdict::Elsewhere => return Ok(Some(elsewhere(name, promised.made))),
        Verdict::Taken(other) => {
            return Ok(Some(format!(
                "it is the place of the store `{other}`: give it a bucket, a prefix or a folder of its own"
            )));
        }
    }
    Ok(None)
}

/// The name of its plate, given when there is none yet.
async fn identity(node: &Node, name: &str, state: Option<&StoreState>) -> Result<String, DbError> {
    match state.and_then(|state| state.identity.clone()) {
        Some(identity) => Ok(identity),
        None => node.db.identify(name, &hex(&random::bytes::<16>())).await,
    }
}

/// The other store of the configuration to which one of these plates belongs.
fn owner<'s>(node: &Node, (name, states): (&str, &'s [StoreState]), hanging: &[String]) -> Option<&'s str> {
    let is_of = |state: &&StoreState| {
        let hangs = state.identity.as_ref().is_some_and(|identity| hanging.contains(identity));
        state.name != name && hangs && node.stores.get(&state.name).is_some()
    };
    states.iter().find(is_of).map(|state| state.name.as_str())
}

/// Does one of these lie there?
async fn has_one_of(store: &dyn Store, keys: &[String]) -> Result<bool, RemoteError> {
    for key in keys {
        if store.look(key).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn hang(node: &Node, opened: &Opened, key: &str) -> Result<(), Stop> {
    match plate::hang(&*opened.bare, key, &opened.name).await {
        Ok(()) => {
            tracing::info!(store = opened.name, place = opened.place, "a store got its plate");
            node.db.plate_hangs(&opened.name, now()).await?;
        }
        Err(error) if error.is_again() => return Err(error.into()),
        Err(error) => {
            // Nothing can be put there, so nothing can be put in the wrong place; what lies there can be read.
            if opened.trust.known() == Known::Nothing {
                tracing::info!(store = opened.name, %error, "a store gets no plate; it is known by what lies in it");
            }
            node.db.found_elsewhere(&opened.name, None).await?;
        }
    }
    Ok(())
}

fn elsewhere(name: &str, made: u64) -> String {
    format!(
        "it is not the place where the {made} copies of `{name}` lie: neither its plate nor any of them that was looked for is there.          If the configuration was changed, put it back, and give the new place a new name. If the old place is lost, run          `matinee stores lost {name}`. If what lay there was brought here, run `matinee stores adopt {name}`"
    )
}

/// Takes the place that is found under the name of a store for the store from now on, whatever lies there.
pub(crate) async fn adopt(node: &Node, name: &str) -> Result<(), Failure> {
    let opened = node.stores.get(name).ok_or(Failure::Absent)?;
    let refused = |human: String| Failure::Refused { conflict: true, human };
    let taken = take(node, opened).await.map_err(|stop| match stop {
        Stop::Store(error) => refused(format!("the store `{name}` cannot be adopted now: {error}")),
        Stop::Ours(failure) => failure,
    })?;
    match taken {
        Some(why) => Err(refused(why)),
        None => Ok(()),
    }
}

async fn take(node: &Node, opened: &Opened) -> Result<Option<String>, Stop> {
    let (name, states) = (opened.name.as_str(), node.db.store_states().await?);
    let state = states.iter().find(|state| state.name == name);
    let key = plate_key(&identity(node, name, state).await?);
    // It must answer.
    let hanging = plate::hanging(&*opened.bare, PLATES_MAX).await?;
    if let Some(other) = owner(node, (name, &states), &hanging) {
        return Ok(Some(format!("`{name}` is the place of the store `{other}` already")));
    }
    if opened.bare.look(&key).await?.is_none() {
        plate::hang(&*opened.bare, &key, name).await?;
    }
    node.db.plate_hangs(name, now()).await?;
    opened.trust.set(Known::Right(now()));
    Ok(None)
}
