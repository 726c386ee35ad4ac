//! The erase job: empties an app or a collection that was closed, batch by batch; the ledger does the rest.

use matinee_core::id::{AppId, CollectionId};

use super::fault::Fault;
use super::lease::Hold;
use super::now;
use crate::node::Node;

/// Deletes all videos and ends all open uploads of it; the last batch completes the job.
pub(crate) async fn perform(
    node: &Node,
    hold: &Hold,
    what: (AppId, Option<CollectionId>),
) -> Result<(), Fault> {
    // Nobody is shown it any more since it was closed; other nodes' shelves are fresh within seconds.
    node.shelf.clear();
    let mut done = 0;
    loop {
        let erased = node.db.erase_batch(&hold.lease, what, now()).await?;
        if erased.left == 0 {
            return Ok(());
        }
        done += erased.done;
        hold.progress(share(done, erased.left));
        tokio::task::yield_now().await;
    }
}

/// How much is done when so many are left, from 0 to 1.
fn share(done: u64, left: u64) -> f64 {
    let permille = done.saturating_mul(1_000) / (done + left).max(1);
    f64::from(u32::try_from(permille).unwrap_or(1_000)) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_grows_to_one() {
        for (done, left, expected) in [(0, 10, 0.0), (5, 5, 0.5), (10, 0, 1.0), (0, 0, 0.0)] {
            assert!((share(done, left) - expected).abs() < 0.001, "{done} of {left}");
        }
    }
}
