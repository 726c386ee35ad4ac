//! The proof that nothing is orphaned: the store's own listing beside the ledger, and what is done about the rest.

use std::collections::BTreeMap;
use std::path::PathBuf;

use matinee_core::id::ObjectId;
pub(crate) use matinee_core::inventory::Difference;
use matinee_core::inventory::{Known, difference, differences};
use matinee_core::ledger::State;
use matinee_core::replica::LOCAL;
use matinee_core::time::Millis;
use matinee_io::store::{Listed, StoreError};

use super::{Failure, now};
use crate::node::Node;

/// Rows of one page.
const PAGE: u32 = 5_000;

/// What was compared, and what came of it.
#[derive(Debug)]
pub(crate) struct Proof {
    /// The store.
    pub(crate) place: &'static str,
    /// When its listing began.
    pub(crate) at: Millis,
    /// Objects in its listing.
    pub(crate) objects: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Files that are no objects.
    pub(crate) strays: Vec<PathBuf>,
    /// What was wrong, also at a second look.
    pub(crate) differences: Vec<Difference>,
    /// Things whose delete is due or was tried in vain.
    pub(crate) to_delete: u64,
    /// Their bytes, as far as they are known.
    pub(crate) to_delete_bytes: u64,
}

impl Proof {
    /// Does every byte have a row, and every row its bytes?
    pub(crate) const fn holds(&self) -> bool {
        self.differences.is_empty() && self.strays.is_empty()
    }

    /// Bytes that nobody accounts for.
    pub(crate) fn unknown_bytes(&self) -> u64 {
        let sizes = self.differences.iter().map(|one| match one {
            Difference::Unknown { size, .. } => *size,
            Difference::Missing { .. } | Difference::Length { .. } => 0,
        });
        sizes.sum()
    }
}

/// Compares the local store with its rows. Work that goes on meanwhile is no difference.
pub(crate) async fn prove(node: &Node) -> Result<Proof, Failure> {
    let at = now();
    let (known, to_delete, to_delete_bytes) = rows(node).await?;
    let store = node.store.clone();
    let listing = blocking(move || store.list()?.map(|entry| Ok(entry?)).collect::<Result<Vec<_>, _>>());
    let (mut listed, mut strays) = (BTreeMap::new(), Vec::new());
    for entry in listing.await? {
        match entry {
            Listed::Object { object, size } => drop(listed.insert(object, size)),
            Listed::Stray { path } => strays.push(path),
        }
    }
    let mut confirmed = Vec::new();
    for suspect in differences(&listed, &known) {
        confirmed.extend(second_look(node, suspect).await?);
    }
    let (objects, bytes) = (listed.len() as u64, listed.values().sum());
    Ok(Proof { place: LOCAL, at, objects, bytes, strays, differences: confirmed, to_delete, to_delete_bytes })
}

/// All rows of the local store, and how much of it is to be deleted.
async fn rows(node: &Node) -> Result<(BTreeMap<ObjectId, Known>, u64, u64), Failure> {
    let (mut known, mut things, mut bytes, mut after) = (BTreeMap::new(), 0, 0, None);
    loop {
        let page = node.db.known_objects(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok((known, things, bytes)) };
        after = Some(last.object);
        for row in page.iter().filter(|row| row.place == LOCAL) {
            if row.state == State::ToDelete {
                (things, bytes) = (things + 1, bytes + row.size.unwrap_or_default());
            }
            known.insert(row.object, Known { state: row.state, size: row.size });
        }
    }
}

/// What is wrong with an object now. Its row is there before its first byte and says "to delete" before the last one goes,
/// so a file that is seen after its row was not, and a row that is seen after its file was not, are no work that goes on.
async fn second_look(node: &Node, suspect: Difference) -> Result<Option<Difference>, Failure> {
    let object = suspect.object();
    let before = node.store.size(object).await?;
    let page = node.db.known_objects(Some(ObjectId::from_bits(object.bits() - 1)), 1).await?;
    let row = page.into_iter().find(|row| row.object == object && row.place == LOCAL);
    let known = row.map(|row| Known { state: row.state, size: row.size });
    let listed = if known.is_none() { node.store.size(object).await? } else { before };
    Ok(difference(object, listed, known))
}

/// Puts what no row knows out of the store; how many objects. They are kept for two days (see `flow::sweep`).
pub(crate) async fn set_aside(node: &Node, proof: &Proof) -> Result<u64, Failure> {
    let mut taken = 0;
    for one in &proof.differences {
        if let Difference::Unknown { object, .. } = *one {
            let (quarantine, store) = (node.quarantine(), node.store.clone());
            let put = blocking(move || Ok(quarantine.take(&store, object, now())?)).await?;
            taken += u64::from(put.is_some());
        }
    }
    Ok(taken)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| Failure::Again(error.to_string()))??)
}
