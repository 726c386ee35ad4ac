//! Tells of each video once that it is where it was wanted: in its archive and at all of its hosts. What led there, jobs and
//! hosts have done; nobody waits for this.

use std::sync::Arc;
use std::time::Duration;

use super::{Failure, now};
use crate::node::Node;

/// How often it is looked whether a video is complete.
const LOOK: Duration = Duration::from_secs(1);
/// So many videos are told of in one round.
const ROUND: u32 = 100;

/// Tells until the node stops.
pub(crate) async fn run(node: Arc<Node>) {
    let mut beat = tokio::time::interval(LOOK);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = node.stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        if let Err(failure) = round(&node).await {
            tracing::warn!(%failure, "it could not be told that videos are where they were wanted; it is tried again");
        }
    }
}

async fn round(node: &Node) -> Result<(), Failure> {
    let archives = node.config.archives();
    for video in node.db.to_distribute(&archives, ROUND).await? {
        if node.db.tell_distributed(video, &archives, now()).await? {
            tracing::info!(video = %video.1, "a video is in its archive and at its hosts");
        }
    }
    Ok(())
}
