//! The storyboard job: sheets of small pictures for finding a place, and a preview for cards.

use std::path::PathBuf;

use matinee_core::ledger;
use matinee_io::db::Boarded;
use serde_json::json;

use super::coding::{bench, keep_file};
use super::fault::Fault;
use super::lease::Hold;
use super::now;
use super::order::{Order, order};
use super::scratch::Scratch;
use super::work::pictures::{PREVIEW, Sketch, prove_preview, prove_sheet};
use crate::node::Node;

/// Makes, verifies and publishes the sheets and the preview.
pub(crate) async fn perform(node: &Node, hold: &Hold) -> Result<(), Fault> {
    let order = order(node, hold).await?;
    let scratch = Scratch::open(node, &hold.lease)?;
    bench(node, hold, &order.planned, &scratch)?.storyboard(drawn(&order)?).await?;
    publish(node, hold, &order, |name| scratch.file(name)).await
}

fn drawn(order: &Order) -> Result<&Sketch, Fault> {
    order.sketch.as_ref().ok_or_else(|| Fault::unverified("nobody said what is to be drawn"))
}

/// Proves sheets and preview, whoever made them, and publishes them; `file` says where each lies.
pub(crate) async fn publish(
    node: &Node,
    hold: &Hold,
    order: &Order,
    file: impl Fn(&str) -> PathBuf,
) -> Result<(), Fault> {
    let sketch = drawn(order)?;
    let mut sheets = Vec::with_capacity(sketch.board.sheets());
    for sheet in sketch.sheets() {
        let path = file(&sheet);
        prove_sheet(sketch, &path).await?;
        sheets.push(keep_file(node, hold, ledger::Kind::Sheet, &path).await?);
    }
    prove_preview(sketch, &file(PREVIEW)).await?;
    let preview = keep_file(node, hold, ledger::Kind::Preview, &file(PREVIEW)).await?;
    let boarded = Boarded { storyboard: json!(sketch.board), sheets, preview };
    node.db.publish_storyboard(&hold.lease, boarded, now()).await?;
    node.shelf.forget(order.planned.video.id);
    Ok(())
}
