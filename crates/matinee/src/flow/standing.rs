//! The stores as whoever runs the server sees them: what lies in each, what waits for it, and whether it answers; and what
//! moves all of one to another.

use matinee_core::id::ObjectId;
use matinee_core::inventory::outside::Sort;
use matinee_core::placement::{Class, Rules};
use matinee_core::replica::limits::PLACE_BATCH;
use matinee_core::replica::{LOCAL, State};
use matinee_core::time::Millis;
pub(crate) use matinee_io::db::Lost;
use matinee_io::db::inventory::Compared;
use matinee_io::db::{DbError, Lag, NewReplica, StoreState, Unplaced};
use matinee_io::store::Facts;

use super::{Failure, copies, now};
use crate::node::Node;

/// A store, and how it stands.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) name: String,
    /// Where it is, for people.
    pub(crate) place: String,
    pub(crate) class: Class,
    /// What fails together with it.
    pub(crate) domain: String,
    /// Since when it is being emptied; the beginning of time when the configuration says so.
    pub(crate) draining: Option<Millis>,
    pub(crate) state: StoreState,
    /// What it can do, in sentences, as it was tried.
    pub(crate) facts: Vec<&'static str>,
    pub(crate) lag: Vec<Lag>,
    /// When it was compared with its rows, and what that has shown, in sentences.
    pub(crate) compared: Option<(Millis, Vec<String>)>,
}

impl Standing {
    /// How many copies in this state, and their bytes.
    pub(crate) fn count(&self, state: State) -> (u64, u64) {
        self.of(state).map_or((0, 0), |lag| (lag.copies, lag.bytes))
    }

    /// The figures of this state.
    pub(crate) fn of(&self, state: State) -> Option<&Lag> {
        self.lag.iter().find(|lag| lag.state == state)
    }
}

/// All stores, the data directory first.
pub(crate) async fn all(node: &Node) -> Result<Vec<Standing>, Failure> {
    let (lag, states) = (node.db.lag().await?, node.db.store_states().await?);
    let inventories = node.db.inventories().await?;
    let state = |name: &str| {
        let nothing = StoreState { name: name.to_owned(), ..StoreState::default() };
        states.iter().find(|state| state.name == name).cloned().unwrap_or(nothing)
    };
    let of = |name: &str| lag.iter().filter(|lag| lag.store == name).cloned().collect();
    let local = Standing {
        name: LOCAL.to_owned(),
        place: node.config.data.display().to_string(),
        class: Class::Replica,
        domain: LOCAL.to_owned(),
        draining: None,
        state: state(LOCAL),
        facts: Vec::new(),
        lag: of(LOCAL),
        compared: None,
    };
    let others = node.config.store.iter().map(|store| {
        let opened = node.stores.get(&store.name);
        let state = state(&store.name);
        Standing {
            name: store.name.clone(),
            place: opened.map(|opened| opened.place.clone()).unwrap_or_default(),
            class: store.class,
            domain: store.domain.clone().unwrap_or_else(|| store.name.clone()),
            draining: state.draining.or_else(|| store.draining.then_some(Millis(0))),
            lag: of(&store.name),
            facts: sentences(&state),
            compared: inventories.iter().find(|one| is_of(one, &store.name)).and_then(shown),
            state,
        }
    });
    Ok(std::iter::once(local).chain(others).collect())
}

fn is_of(compared: &Compared, store: &str) -> bool {
    compared.sort == Sort::Store && compared.place == store
}

/// When a store was compared with its rows, and what that has shown.
fn shown(compared: &Compared) -> Option<(Millis, Vec<String>)> {
    let (at, found) = compared.at.zip(compared.found.as_ref())?;
    if let Some(why) = found["why"].as_str() {
        return Some((at, vec![format!("It does not tell what it has: {why}.")]));
    }
    let count = |names: &[&str]| names.iter().filter_map(|name| found[*name].as_u64()).sum::<u64>();
    let all = [
        (count(&["unknown", "again", "spare"]), "of this server and without a row"),
        (count(&["missing", "length"]), "not as the rows say; made again from other copies"),
        (count(&["ended"]), "unfinished uploads that nobody could go on with, and that were ended"),
        (count(&["foreign"]), "of other programs, left alone"),
        (count(&["foreign_uploads"]), "unfinished uploads of other programs, left alone"),
    ];
    let told = all.iter().filter(|(many, _)| *many > 0).map(|(many, what)| format!("{many} {what}."));
    let holds =
        (found["holds"] == true).then(|| "Each thing in it has its row, and each row its thing.".to_owned());
    Some((at, holds.into_iter().chain(told).collect()))
}

/// What is known of what a store can do.
fn sentences(state: &StoreState) -> Vec<&'static str> {
    let facts =
        state.facts.as_ref().and_then(|(facts, _)| serde_json::from_value::<Facts>(facts.clone()).ok());
    facts.map(|facts| facts.sentences()).unwrap_or_default()
}

/// Empties a store from now on, or lets it be filled again. What lies in it is copied elsewhere, and goes when that is proven.
pub(crate) async fn drain(node: &Node, name: &str, drained: bool) -> Result<Standing, Failure> {
    known(node, name)?;
    let draining =
        node.db.store_states().await?.into_iter().any(|state| state.name == name && state.draining.is_some());
    if draining != drained {
        node.db.drain_store(name, drained.then(now)).await?;
    }
    all(node).await?.into_iter().find(|standing| standing.name == name).ok_or(Failure::Absent)
}

/// What would be copied where if a store were emptied: bytes by the store that gets them, and objects that find no other.
pub(crate) struct Forecast {
    pub(crate) to: Vec<(String, u64, u64)>,
    pub(crate) stranded: u64,
}

/// Says what emptying a store would do, and changes nothing.
pub(crate) async fn forecast(node: &Node, name: &str) -> Result<Forecast, Failure> {
    known(node, name)?;
    let mut rules = copies::rules(node).await?;
    rules.stores.iter_mut().filter(|place| place.name == name).for_each(|place| place.open = false);
    let mut forecast = Forecast { to: Vec::new(), stranded: 0 };
    let mut after = None;
    loop {
        let page = node.db.objects_in(name, after, PLACE_BATCH).await?;
        let Some(last) = page.last() else { return Ok(forecast) };
        after = Some(last.object);
        for object in &page {
            add(&mut forecast, &rules, object, name);
        }
    }
}

fn add(forecast: &mut Forecast, rules: &Rules, object: &Unplaced, leaving: &str) {
    let held: Vec<(&str, State)> =
        object.held.iter().map(|(_, store, state)| (store.as_str(), *state)).collect();
    let judged = rules.judge((object.object, object.kind), &held);
    // As if all that is to be made were there.
    let made = judged.missing.iter().map(|store| (*store, State::Intended));
    let good = |(store, state): (_, State)| (store, if state.counts() { State::Present } else { state });
    let then: Vec<_> = held.iter().copied().chain(made).map(good).collect();
    let goes = rules.judge((object.object, object.kind), &then).surplus;
    forecast.stranded += u64::from(!goes.iter().any(|n| then[*n].0 == leaving));
    for store in judged.missing {
        match forecast.to.iter_mut().find(|(name, ..)| name == store) {
            Some((_, objects, bytes)) => (*objects, *bytes) = (*objects + 1, *bytes + object.size),
            None => forecast.to.push((store.to_owned(), 1, object.size)),
        }
    }
}

/// How a wish to move all of a store was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Moving {
    /// Copies that are to be made.
    pub(crate) objects: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Objects of which the other store has a copy already, or will.
    pub(crate) there: u64,
}

/// Moves everything from one store to another: each object is copied and proven there before it goes here. Asked again, it goes
/// on where it was.
pub(crate) async fn relocate(
    node: &Node,
    (from, to): (&str, &str),
    dry_run: bool,
) -> Result<Moving, Failure> {
    known(node, from)?;
    known(node, to)?;
    if from == to {
        return Err(Failure::Refused {
            conflict: false,
            human: format!("`{from}` is where it lies already"),
        });
    }
    let (mut moving, mut after): (Moving, Option<ObjectId>) = (Moving::default(), None);
    loop {
        let page = node.db.objects_in(from, after, PLACE_BATCH).await?;
        let Some(last) = page.last() else { return Ok(moving) };
        after = Some(last.object);
        for object in &page {
            let in_target = object.held.iter().any(|(_, store, state)| store == to && state.counts());
            let begun = !in_target && (dry_run || begin(node, object, (from, to)).await?);
            if begun {
                (moving.objects, moving.bytes) = (moving.objects + 1, moving.bytes + object.size);
            } else {
                moving.there += 1;
            }
        }
    }
}

async fn begin(node: &Node, object: &Unplaced, (from, to): (&str, &str)) -> Result<bool, Failure> {
    let old = object.held.iter().find(|(_, store, state)| store == from && *state == State::Present);
    let new = NewReplica { replaces: old.map(|(id, ..)| *id), ..copies::new_copy(node, to, object) };
    match node.db.add_replica(object.object, &new, now()).await {
        Ok(()) => Ok(true),
        Err(DbError::Conflict(_) | DbError::Absent) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What is lost with a store that will never come back.
pub(crate) async fn would_lose(node: &Node, name: &str) -> Result<Lost, Failure> {
    known_to_rows(node, name).await?;
    Ok(node.db.would_lose(name).await?)
}

/// Gives a store up for ever: nothing in it is waited for any more, and what lay there is made anew from other copies.
pub(crate) async fn lose(node: &Node, name: &str, reason: &str) -> Result<Lost, Failure> {
    known_to_rows(node, name).await?;
    node.db.mark_lost(name, Some(now())).await?;
    let (mut lost, mut after) = (Lost::default(), None);
    loop {
        let (some, reached) = node.db.lose((name, reason), after, PLACE_BATCH, now()).await?;
        (lost.entries, lost.last) = (lost.entries + some.entries, lost.last + some.last);
        // Once more from the beginning: what was to go may have been kept meanwhile, because it had become the last.
        if after.is_none() && reached.is_none() {
            return Ok(lost);
        }
        after = reached;
    }
}

/// A store that was lost is there again, empty: it may be filled.
pub(crate) async fn regain(node: &Node, name: &str) -> Result<(), Failure> {
    known(node, name)?;
    Ok(node.db.mark_lost(name, None).await?)
}

/// A store of the configuration, or one that is not in it any more and that rows know of.
async fn known_to_rows(node: &Node, name: &str) -> Result<(), Failure> {
    let named = node.db.stores_named().await?;
    if named.iter().any(|(known, _)| known == name) { Ok(()) } else { known(node, name) }
}

/// A store of the configuration.
fn known(node: &Node, name: &str) -> Result<(), Failure> {
    if node.stores.get(name).is_some() { Ok(()) } else { Err(Failure::Absent) }
}
