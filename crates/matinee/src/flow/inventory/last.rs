//! What the last comparison of each place has found, as it is kept for who looks at it later.

use matinee_core::inventory::limits::INVENTORY_NAMES;
use matinee_core::inventory::outside::{Next, Sort, next};
use matinee_core::time::Millis;
use matinee_io::db::inventory::Unknown;
use serde::{Deserialize, Serialize};

use super::{Account, Done, Told, may_delete, places};
use crate::flow::tariff::{place_of, tariff};
use crate::flow::{Failure, now};
use crate::node::Node;

/// A comparison in numbers. A field that a row of an older version lacks is empty.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Facts {
    /// Each thing had its row, and each row its thing.
    pub(crate) holds: bool,
    /// Why the place has not told what it has; then nothing else is known.
    pub(crate) why: Option<String>,
    /// Things that were listed, and their bytes.
    pub(crate) things: u64,
    pub(crate) bytes: u64,
    /// Those that are not of this server.
    pub(crate) foreign: u64,
    /// Those that no row knows, that were proven gone, and that were made once too often.
    pub(crate) unknown: usize,
    pub(crate) again: usize,
    pub(crate) spare: usize,
    /// The bytes of all these, as far as they are told.
    pub(crate) orphan_bytes: u64,
    /// How many of these are deleted since.
    pub(crate) owed: u64,
    /// What rows promise and is not there, or is there in another length.
    pub(crate) missing: usize,
    pub(crate) length: usize,
    /// Uploads in parts that no row knows, how many of them were ended, and those of other programs.
    pub(crate) forgotten: usize,
    pub(crate) ended: u64,
    pub(crate) foreign_uploads: u64,
    /// Names of some of what is missing or too long.
    pub(crate) lacking: Vec<String>,
}

impl Facts {
    pub(super) fn of(account: &Account, done: Done) -> Self {
        let found = match &account.told {
            Told::Nothing(why) => return Self { why: Some(why.clone()), ..Self::default() },
            Told::All(found) => found,
        };
        let lacking = found.missing.iter().chain(&found.length).map(|lack| lack.name.clone());
        Self {
            holds: found.holds(),
            why: None,
            things: found.things,
            bytes: found.bytes,
            foreign: found.foreign,
            unknown: found.unknown.len(),
            again: found.again.len(),
            spare: found.spare.len(),
            orphan_bytes: found.orphan_bytes(),
            owed: done.owed,
            missing: found.missing.len(),
            length: found.length.len(),
            forgotten: found.forgotten.len(),
            ended: done.ended,
            foreign_uploads: found.foreign_uploads,
            lacking: lacking.take(INVENTORY_NAMES).collect(),
        }
    }

    /// All that is paid for and that nobody accounts for.
    pub(crate) const fn orphans(&self) -> usize {
        self.unknown + self.again + self.spare
    }
}

/// What is known of a place since it was compared last.
#[derive(Debug)]
pub(crate) struct Last {
    pub(crate) sort: Sort,
    pub(crate) place: String,
    /// When that began; never, where it is still to come.
    pub(crate) at: Option<Millis>,
    /// When it is compared next.
    pub(crate) next: Option<Millis>,
    /// What was found.
    pub(crate) found: Option<Facts>,
    /// How many things are not proven gone by their rows now, and how many of those are to be deleted.
    pub(crate) held: (u64, u64),
    /// What all orphans cost each month, where that has a price.
    pub(crate) orphan_cost: Option<f64>,
    /// What no row knows and is kept for now, with what becomes of it: some of it, what is seen for the longest time first.
    pub(crate) kept: Vec<(Unknown, Next)>,
}

/// What is known of every store and host of the configuration, and the currency of what they cost.
pub(crate) async fn last(node: &Node) -> Result<(Vec<Last>, String), Failure> {
    let tariff = tariff(node).await?;
    let known = node.db.inventories().await?;
    let held = [node.db.held(Sort::Store).await?, node.db.held(Sort::Host).await?];
    let limit = u32::try_from(INVENTORY_NAMES).unwrap_or(u32::MAX);
    let mut all = Vec::new();
    for (sort, place) in places(node) {
        let compared = known.iter().find(|one| (one.sort, one.place.as_str()) == (sort, place.as_str()));
        let found = compared.and_then(|one| one.found.clone());
        let found: Option<Facts> = found.and_then(|found| serde_json::from_value(found).ok());
        let of_sort = match sort {
            Sort::Store => &held[0],
            Sort::Host => &held[1],
        };
        let here = of_sort.iter().find(|held| held.place == place);
        let allowed = may_delete(node, (sort, &place));
        let kept = node.db.unknown_longest((sort, &place), limit).await?;
        let fated = |one: Unknown| {
            let fate = next(one.thing, (one.first.unwrap_or_else(now), now()), allowed);
            (one, fate)
        };
        let orphans = found.as_ref().map_or(0, |found| found.orphan_bytes);
        // A place whose card is in a currency that nobody has told the rate of is counted like our own disk.
        let cost = tariff.of_stored(place_of(node, &place), orphans);
        let cost = cost.or_else(|| node.config.prices.of_stored(orphans));
        all.push(Last {
            sort,
            at: compared.and_then(|one| one.at),
            next: compared.map(|one| one.next),
            found,
            held: here.map_or((0, 0), |here| (here.things, here.to_delete)),
            orphan_cost: cost.filter(|_| orphans > 0),
            kept: kept.into_iter().map(fated).collect(),
            place,
        });
    }
    Ok((all, tariff.currency().to_owned()))
}

/// Has all places compared now instead of when their time comes; how many there are. This node does what no other one does.
pub(crate) async fn hurry(node: &Node) -> Result<usize, Failure> {
    node.db.inventory_hurry(now()).await?;
    node.comparing.send_replace(());
    Ok(places(node).len())
}
