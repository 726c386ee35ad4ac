//! The comparison of every store and host with its rows: what lies there that no row explains, and what a row promises that does
//! not lie there. Once a day, and when somebody asks.

mod host;
mod last;
mod store;

use std::sync::Arc;
use std::time::Duration;

use matinee_core::inventory::limits::{INVENTORY_AGAIN_MS, INVENTORY_LOOK_MS, INVENTORY_MS};
pub(crate) use matinee_core::inventory::outside::Sort;
use matinee_core::inventory::outside::{Next, next};
use matinee_core::time::Millis;
pub(crate) use matinee_io::db::inventory::Unknown;

pub(crate) use self::last::{Facts, Last, hurry, last};
use super::{Failure, now};
use crate::node::Node;

/// A place, and what came of comparing it with its rows.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) sort: Sort,
    pub(crate) place: String,
    /// When it began.
    pub(crate) at: Millis,
    /// How many things of it are not proven gone by their rows, and how many of those are to be deleted.
    pub(crate) held: (u64, u64),
    pub(crate) told: Told,
}

/// What a place has told.
#[derive(Debug)]
pub(crate) enum Told {
    /// All that it has.
    All(Found),
    /// Nothing, or not all: so nothing is proven of what is, or may be, there.
    Nothing(String),
}

/// What a whole listing shows.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What was listed, and its bytes.
    pub(crate) things: u64,
    pub(crate) bytes: u64,
    /// What is not ours of that, and its bytes.
    pub(crate) foreign: u64,
    pub(crate) foreign_bytes: u64,
    /// What is made or deleted just now.
    pub(crate) young: u64,
    /// What the listing of objects does not show, but belongs to something that a row knows.
    pub(crate) hidden: u64,
    /// What is ours and no row knows.
    pub(crate) unknown: Vec<Unknown>,
    /// What was proven gone and is there.
    pub(crate) again: Vec<Unknown>,
    /// What is one too many of those made for one intent, with the name at the place.
    pub(crate) spare: Vec<Unknown>,
    /// Uploads in parts that are ours and that nobody can go on with.
    pub(crate) forgotten: Vec<Forgotten>,
    /// Those that are not ours.
    pub(crate) foreign_uploads: u64,
    /// What a row says is there, and is not.
    pub(crate) missing: Vec<Lack>,
    /// What has another length than its row says.
    pub(crate) length: Vec<Lack>,
}

/// An upload in parts that no row knows.
#[derive(Debug)]
pub(crate) struct Forgotten {
    /// The key that the object would have had.
    pub(crate) key: String,
    /// What the store calls it.
    pub(crate) upload: String,
    /// When it was begun.
    pub(crate) since: Millis,
}

/// Something that is not there as its row says.
#[derive(Debug)]
pub(crate) struct Lack {
    /// Its name at the place.
    pub(crate) name: String,
    /// Of a copy, its own name.
    pub(crate) copy: Option<matinee_core::id::EntryId>,
}

/// What was done about what was found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    /// What goes from now on, through the ledger.
    pub(crate) owed: u64,
    /// What is seen for less than two days.
    pub(crate) waiting: u64,
    /// What is made again or asked for by itself.
    pub(crate) again: u64,
    /// Forgotten uploads in parts that were ended.
    pub(crate) ended: u64,
}

impl Done {
    /// Both together.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            owed: self.owed + other.owed,
            waiting: self.waiting + other.waiting,
            again: self.again + other.again,
            ended: self.ended + other.ended,
        }
    }
}

impl Found {
    /// Does every thing have its row, and every row its thing?
    pub(crate) const fn holds(&self) -> bool {
        self.unknown.is_empty()
            && self.again.is_empty()
            && self.spare.is_empty()
            && self.forgotten.is_empty()
            && self.missing.is_empty()
            && self.length.is_empty()
    }

    /// All that is paid for and that nobody accounts for.
    pub(crate) fn orphans(&self) -> impl Iterator<Item = &Unknown> {
        self.unknown.iter().chain(&self.again).chain(&self.spare)
    }

    /// Their bytes, as far as they are told.
    pub(crate) fn orphan_bytes(&self) -> u64 {
        self.orphans().filter_map(|one| one.size).sum()
    }
}

impl Account {
    /// Is it proven that nothing is orphaned there, and nothing dangles?
    pub(crate) const fn holds(&self) -> bool {
        match &self.told {
            Told::All(found) => found.holds(),
            Told::Nothing(_) => false,
        }
    }
}

/// Compares every store and host of the configuration with its rows, and changes nothing.
pub(crate) async fn prove(node: &Node) -> Result<Vec<Account>, Failure> {
    let mut all = Vec::new();
    for (sort, place) in places(node) {
        all.push(account(node, (sort, &place)).await?);
    }
    Ok(all)
}

fn places(node: &Node) -> Vec<(Sort, String)> {
    let stores = node.stores.iter().map(|opened| (Sort::Store, opened.name.clone()));
    let hosts = node.hosts.all().iter().map(|known| (Sort::Host, known.name.clone()));
    stores.chain(hosts).collect()
}

async fn account(node: &Node, (sort, place): (Sort, &str)) -> Result<Account, Failure> {
    let at = now();
    let told = match sort {
        Sort::Store => store::compare(node, place, at).await?,
        Sort::Host => host::compare(node, place, at).await?,
    };
    let told = match told {
        Told::All(mut found) => {
            remember(node, (sort, place), &mut found).await?;
            Told::All(found)
        }
        nothing @ Told::Nothing(_) => nothing,
    };
    let held = node.db.held(sort).await?.into_iter().find(|held| held.place == place);
    let held = held.map_or((0, 0), |held| (held.things, held.to_delete));
    Ok(Account { sort, place: place.to_owned(), at, held, told })
}

/// Since when what no row knows has been seen.
async fn remember(node: &Node, place: (Sort, &str), found: &mut Found) -> Result<(), Failure> {
    let known = node.db.unknown_at(place).await?;
    for one in &mut found.unknown {
        let before = known.binary_search_by(|known| known.name.as_str().cmp(&one.name));
        one.first = before.ok().and_then(|at| known[at].first);
    }
    Ok(())
}

/// Does what is to be done about what was found: what is surely too much goes through the ledger, what is new waits two days,
/// and what is missing is made again. Of a place that has not told all nothing follows.
pub(crate) async fn settle(node: &Node, account: &Account) -> Result<Done, Failure> {
    let (place, mut done) = ((account.sort, account.place.as_str()), Done::default());
    let Told::All(found) = &account.told else { return Ok(done) };
    node.db.unknown_seen(place, &found.unknown, now()).await?;
    node.db.unknown_gone(place, account.at).await?;
    let allowed = may_delete(node, place);
    for one in &found.unknown {
        match next(one.thing, (one.first.unwrap_or(account.at), now()), allowed) {
            Next::Delete => done.owed += u64::from(owe(node, place, one).await?),
            Next::Wait(_) => done.waiting += 1,
            Next::Tell => {}
        }
    }
    for one in &found.again {
        let name = &one.name;
        if owe(node, place, one).await? {
            tracing::error!(
                place = place.1,
                name,
                "what was proven gone is there again; it is deleted again"
            );
            done.owed += 1;
        } else {
            tracing::warn!(
                place = place.1,
                name,
                "what was given up as lost is there again; it is read again"
            );
            done.again += 1;
        }
    }
    match account.sort {
        Sort::Store => store::settle(node, place.1, found, &mut done).await?,
        Sort::Host => host::settle(node, place.1, found, &mut done).await?,
    }
    Ok(done)
}

async fn owe(node: &Node, place: (Sort, &str), one: &Unknown) -> Result<bool, Failure> {
    Ok(node.db.owe_unknown(place, (one, node.defaults.app), now()).await?)
}

/// What its owner has said about things of a place that no row knows.
pub(crate) fn may_delete(node: &Node, (sort, place): (Sort, &str)) -> bool {
    match sort {
        Sort::Store => node.config.store.iter().any(|store| store.name == place && store.delete_unknown),
        Sort::Host => node.config.host.iter().any(|host| host.name == place && host.delete_unknown),
    }
}

/// Compares this place once a day until the node stops; of all nodes one does it.
pub(crate) async fn run(node: Arc<Node>, sort: Sort, place: String) {
    let mut beat = tokio::time::interval(Duration::from_millis(INVENTORY_LOOK_MS.unsigned_abs()));
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut wanted = node.comparing.subscribe();
    loop {
        tokio::select! {
            () = node.stop.cancelled() => return,
            _ = beat.tick() => {}
            // The node that has the other end is here.
            _ = wanted.changed() => {}
        }
        tokio::select! {
            // What was not compared to its end is compared again in an hour.
            () = node.stop.cancelled() => return,
            done = day(&node, (sort, &place)) => if let Err(failure) = done {
                tracing::warn!(%failure, place, "a place could not be compared with its rows; it is tried again");
            }
        }
    }
}

async fn day(node: &Node, place: (Sort, &str)) -> Result<(), Failure> {
    let again = now().plus(INVENTORY_AGAIN_MS);
    if !node.db.inventory_due(place, again, now()).await? {
        return Ok(());
    }
    let account = account(node, place).await?;
    let done = settle(node, &account).await?;
    let next = match &account.told {
        Told::All(found) => {
            report(&account, found, done);
            now().plus(INVENTORY_MS)
        }
        Told::Nothing(why) => {
            tracing::warn!(
                place = place.1,
                why,
                unproven = account.held.0,
                "a place does not tell what it has"
            );
            again
        }
    };
    let facts = serde_json::to_value(Facts::of(&account, done))
        .expect("because the numbers of a comparison are plain values");
    Ok(node.db.inventory_done(place, (account.at, facts), next).await?)
}

fn report(account: &Account, found: &Found, done: Done) {
    let (place, things, bytes) = (&account.place, found.things, found.orphan_bytes());
    if found.holds() {
        tracing::info!(place, things, "a place was compared with its rows: each thing has its row");
    } else {
        let (orphans, missing) = (found.orphans().count(), found.missing.len() + found.length.len());
        tracing::warn!(
            place,
            things,
            orphans,
            bytes,
            missing,
            forgotten = found.forgotten.len(),
            owed = done.owed,
            waiting = done.waiting,
            "a place was compared with its rows, and not all is as they say"
        );
    }
}
