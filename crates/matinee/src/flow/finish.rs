//! The finish job: everything that somebody waits for is done or has failed for good, so the video is declared ready; or
//! everything in the background is, so what was only needed for that goes.

use super::fault::Fault;
use super::lease::Hold;
use super::now;
use crate::node::Node;

/// Declares the video ready, or its background done.
pub(crate) async fn perform(node: &Node, hold: &Hold, background: bool) -> Result<(), Fault> {
    if background {
        return Ok(node.db.publish_settled(&hold.lease, now()).await?);
    }
    node.db.publish_ready(&hold.lease, now()).await?;
    // A player that asks now gets the encoded ladder.
    if let Some(video) = hold.task.video() {
        node.shelf.forget(video);
        // Nobody asks for those of the generation before any more, but who has its addresses.
        node.thumbnails.forget(video);
    }
    Ok(())
}
