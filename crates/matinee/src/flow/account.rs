//! The ledger as its owner sees it: what there is, what is to go, and a hurry for what a delete has failed for.

use matinee_core::id::{AppId, EntryId, VideoId};
use matinee_core::ledger::State;
pub(crate) use matinee_io::db::{Entry, LedgerFilter, Sum};

use super::{Failure, now};
use crate::node::Node;

/// Which entries to see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) state: Option<State>,
    pub(crate) video: Option<VideoId>,
    /// Only those from before this one.
    pub(crate) before: Option<EntryId>,
    pub(crate) limit: u32,
}

/// Entries of an app, the newest first.
pub(crate) async fn list(node: &Node, app: AppId, wanted: Wanted) -> Result<Vec<Entry>, Failure> {
    let states = wanted.state.into_iter().collect();
    let filter = LedgerFilter { app: Some(app), video: wanted.video, states };
    Ok(node.db.ledger(&filter, wanted.before, wanted.limit).await?)
}

/// How much there is, by place and state.
pub(crate) async fn sums(node: &Node, app: AppId) -> Result<Vec<Sum>, Failure> {
    Ok(node.db.ledger_sums(app).await?)
}

/// Deletes that have failed are tried again within seconds: all of the app, or one; returns how many.
pub(crate) async fn hurry(node: &Node, app: AppId, entry: Option<EntryId>) -> Result<u64, Failure> {
    let hurried = node.db.ledger_hurry(app, entry, now()).await?;
    if let (0, Some(entry)) = (hurried, entry) {
        // One that is due already is as good; one that is not there is not.
        let before = EntryId::from_bits(entry.bits().saturating_add(1));
        let wanted = Wanted { state: None, video: None, before: Some(before), limit: 1 };
        let known = list(node, app, wanted).await?;
        if known.first().is_none_or(|known| known.id != entry) {
            return Err(Failure::Absent);
        }
    }
    Ok(hurried)
}
