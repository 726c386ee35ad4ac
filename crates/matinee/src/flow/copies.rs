//! Which objects lack copies, and where those are to be made. It only writes rows and jobs; `copy` moves the bytes.

use std::time::Duration;

use matinee_core::id::EntryId;
use matinee_core::limits::REPLACED_GRACE_MS;
use matinee_core::placement::{Class, Named, Place, Rules, key};
use matinee_core::replica::limits::{PLACE_BATCH, REACH_PATIENCE_MS, RESTORED_KEEP_MS, STORE_LOST_MS};
use matinee_core::replica::{Finding, State};
use matinee_io::db::{Aged, NewReplica, Placing, Replica, StoreState, Unplaced};
use matinee_io::random;

use super::{Failure, now, plate};
use crate::node::Node;

/// What the operator wants, with what is known of the stores now.
pub(crate) async fn rules(node: &Node) -> Result<Rules, Failure> {
    let states = node.db.store_states().await?;
    let known = |name: &str| states.iter().find(|state| state.name == name);
    let places = node.config.store.iter().map(|store| Place {
        name: store.name.clone(),
        domain: store.domain.clone().unwrap_or_else(|| store.name.clone()),
        weight: store.weight,
        class: store.class,
        takes: store.takes(),
        open: !store.draining && known(&store.name).is_none_or(is_open),
    });
    Ok(Rules { stores: places.collect(), copies: node.config.copies })
}

/// Does what lies there count?
fn is_open(state: &StoreState) -> bool {
    let lost = state.away.is_some_and(|away| now().since(away) >= STORE_LOST_MS);
    state.draining.is_none() && state.lost.is_none() && !lost
}

/// Places what nobody has looked at since something of it changed.
pub(super) async fn round(node: &Node) -> Result<(), Failure> {
    if node.config.store.is_empty() {
        return Ok(());
    }
    let rules = rules(node).await?;
    let mark = rules.mark();
    loop {
        let due = node.db.unplaced(PLACE_BATCH).await?;
        let mut placed = 0;
        for unplaced in &due {
            let placing = decide(node, &rules, unplaced);
            placed += u32::from(node.db.place(unplaced, &placing, &mark, now()).await?);
        }
        if placed < PLACE_BATCH {
            return Ok(());
        }
    }
}

/// Now and then: all is looked at again when the rules have changed, and copies that nobody makes any more get a job.
pub(super) async fn review(node: &Node) -> Result<(), Failure> {
    if node.config.store.is_empty() {
        return Ok(());
    }
    let mark = rules(node).await?.mark();
    while node.db.unplace_others(&mark, PLACE_BATCH).await? > 0 {
        tokio::task::yield_now().await;
    }
    let jobs: Vec<_> = (0..PLACE_BATCH).map(|_| random::id()).collect();
    while node.db.revive_copies(&jobs, now()).await? == jobs.len() {}
    give_up_archived(node).await
}

/// Gives up local files of sources that an archive has proven to have.
async fn give_up_archived(node: &Node) -> Result<(), Failure> {
    let Some(after) = node.config.archive.local_sources else { return Ok(()) };
    let stores = node.config.archives();
    let aged = Aged {
        stores: stores.clone(),
        made: now().plus(-after.ms),
        restored: now().plus(-after.ms.max(RESTORED_KEEP_MS)),
    };
    for copy in node.db.archived_sources(&aged, PLACE_BATCH).await? {
        if !lies_in_one_of(node, &copy, &stores).await? {
            return Ok(());
        }
        // Who reads it now goes on; who has just learned its address finds it in the archive.
        let when = now().plus(REPLACED_GRACE_MS);
        if node.db.give_up_local(&copy, &stores, when).await? {
            tracing::info!(video = %copy.video, "a source is in the archive; its local file goes");
        }
    }
    Ok(())
}

/// Does an archive show it now, too? A rule of its bucket may have removed what was proven there. The sweeper has other things to
/// do than to wait for that answer.
async fn lies_in_one_of(node: &Node, copy: &Replica, stores: &[String]) -> Result<bool, Failure> {
    let copies = node.db.replicas(copy.object).await?;
    for far in copies.iter().filter(|far| far.state.is_good() && stores.contains(&far.store)) {
        let Some(opened) = node.stores.get(&far.store) else { continue };
        let patience = Duration::from_millis(REACH_PATIENCE_MS);
        let Ok(Ok(looked)) = tokio::time::timeout(patience, opened.store.look(&far.key)).await else {
            continue;
        };
        match looked {
            Some(looked) if Some(looked.size) == far.size => return Ok(true),
            Some(_) => node.db.found(far.id, Finding::Short, now()).await?,
            // Nothing is missing in another place.
            None if plate::look(node, opened).await?.is_some() => {}
            None => node.db.found(far.id, Finding::Missing, now()).await?,
        }
    }
    Ok(false)
}

fn decide(node: &Node, rules: &Rules, of: &Unplaced) -> Placing {
    let held: Vec<(&str, State)> = of.held.iter().map(|(_, store, state)| (store.as_str(), *state)).collect();
    let judged = rules.judge((of.object, of.kind), &held);
    let id = |n: &usize| of.held[*n].0;
    Placing {
        new: judged.missing.iter().map(|store| new_copy(node, store, of)).collect(),
        mend: judged.mend.iter().map(|n| (id(n), random::id())).collect(),
        surplus: judged.surplus.iter().map(id).collect(),
    }
}

/// A copy that is to be made in a store of the configuration.
pub(crate) fn new_copy(node: &Node, store: &str, of: &Unplaced) -> NewReplica {
    // Whoever finds it in a store one day knows that it is ours.
    let copy: EntryId = node.maker.sign(random::id());
    let named = Named {
        app: of.app,
        collection: of.collection,
        video: of.video,
        kind: of.kind,
        object: of.object,
        copy,
    };
    let known = node.config.store.iter().find(|known| known.name == store);
    let template = known.map(|known| known.key.clone());
    NewReplica {
        id: copy,
        store: store.to_owned(),
        key: template.as_deref().map(|template| key(template, &named)).unwrap_or_default(),
        template,
        archive: known.is_some_and(|known| known.class == Class::Archive),
        job: random::id(),
        replaces: None,
    }
}
