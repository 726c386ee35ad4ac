//! What is stored of a video, with its real sizes: for an operator who looks or deletes.

use matinee_core::id::{AppId, VideoId};
use matinee_core::ledger::State;
use matinee_core::replica::LOCAL;
pub(crate) use matinee_io::db::Entry;
use matinee_io::db::LedgerFilter;

use super::Failure;
use crate::node::Node;

/// A video of 12 hours has some thousand objects while it is encoded.
const OBJECTS_MAX: u32 = 100_000;

/// An object of a video.
pub(crate) struct Held {
    pub(crate) entry: Entry,
    /// Bytes on the disk, nothing when the file is not there; in a store those that it should have.
    pub(crate) bytes: Option<u64>,
}

/// Everything that may exist of a video, the oldest first; what is proven gone is left out.
pub(crate) async fn objects(node: &Node, app: AppId, video: VideoId) -> Result<Vec<Held>, Failure> {
    let states = vec![State::Intended, State::Present, State::ToDelete];
    let filter = LedgerFilter { app: Some(app), video: Some(video), states };
    let mut held = Vec::new();
    for entry in node.db.ledger(&filter, None, OBJECTS_MAX).await?.into_iter().rev() {
        let bytes = if entry.place == LOCAL {
            node.store.size(entry.object).await?
        } else {
            node.db.replica(entry.id).await?.and_then(|copy| copy.size)
        };
        held.push(Held { entry, bytes });
    }
    Ok(held)
}
