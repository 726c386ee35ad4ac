//! The poster job: one picture that stands for the video.

use std::path::Path;

use matinee_core::ledger;

use super::coding::{Planned, bench, keep_file, planned};
use super::fault::Fault;
use super::lease::Hold;
use super::scratch::Scratch;
use super::work::pictures::{POSTER, prove_poster};
use super::{mark, now};
use crate::node::Node;

/// Makes, verifies and publishes the poster.
pub(crate) async fn perform(node: &Node, hold: &Hold) -> Result<(), Fault> {
    let planned = planned(node, hold).await?;
    let scratch = Scratch::open(node, &hold.lease)?;
    mark::lay(node, hold.app, &planned.plan, &scratch).await?;
    bench(node, hold, &planned, &scratch)?.poster().await?;
    publish(node, hold, &planned, &scratch.file(POSTER)).await
}

/// Proves the poster, whoever made it, and publishes it.
pub(crate) async fn publish(node: &Node, hold: &Hold, planned: &Planned, file: &Path) -> Result<(), Fault> {
    let (width, height) = prove_poster(&planned.plan, file).await?;
    tracing::debug!(width, height, "a poster was made");
    let stored = keep_file(node, hold, ledger::Kind::Poster, file).await?;
    node.db.publish_poster(&hold.lease, stored, now()).await?;
    // A player that asks now is shown it.
    node.shelf.forget(planned.video.id);
    Ok(())
}
