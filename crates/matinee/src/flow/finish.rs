//! The finish job: everything that was planned is done or has failed for good; the video is declared ready.

use super::fault::Fault;
use super::lease::Hold;
use super::now;
use crate::node::Node;

/// Declares the video ready.
pub(crate) async fn perform(node: &Node, hold: &Hold) -> Result<(), Fault> {
    node.db.publish_ready(&hold.lease, now()).await?;
    // A player that asks now gets the encoded ladder.
    if let Some(video) = hold.task.video() {
        node.shelf.forget(video);
    }
    Ok(())
}
