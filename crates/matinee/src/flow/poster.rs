//! The poster job: one still picture, the most typical of some, or the first one.

use std::fs::File;
use std::sync::Arc;

use matinee_core::image;
use matinee_core::ledger;
use matinee_core::media::rope::Rope;
use matinee_core::plan::argv;
use matinee_io::store;

use super::coding::{encode, keep, planned};
use super::fault::Fault;
use super::lease::Hold;
use super::now;
use super::scratch::Scratch;
use crate::node::Node;

const NAME: &str = "poster.jpg";

/// Makes, verifies and publishes the poster.
pub(crate) async fn perform(node: &Node, hold: &Hold) -> Result<(), Fault> {
    let planned = planned(node, hold).await?;
    let poster = planned.plan.images.poster.ok_or_else(|| Fault::unverified("the plan has no poster"))?;
    let scratch = Scratch::open(node, &hold.lease)?;
    let input = node.input_text(planned.input)?;
    let container = planned.plan.container;
    let args = argv::poster(container, poster, &input, NAME);
    encode(node, hold, &planned, (&scratch, args), |_| {}).await?;
    let path = scratch.file(NAME);
    if !path.exists() {
        // Exit code 0 without a file was seen: the time lay behind the last key frame.
        let args = argv::poster_first(container, poster, &input, NAME);
        encode(node, hold, &planned, (&scratch, args), |_| {}).await?;
    }
    let bytes = tokio::fs::read(&path).await?;
    let size =
        image::jpeg_size(&bytes).ok_or_else(|| Fault::unverified("the poster is not a JPEG picture"))?;
    tracing::debug!(width = size.0, height = size.1, "a poster was made");
    let file = Arc::new(File::open(&path)?);
    let rope = Rope::range((), 0, bytes.len() as u64);
    let from_file = |(): &(), offset, len| store::Piece::File { file: Arc::clone(&file), offset, len };
    let stored = keep(node, hold, ledger::Kind::Poster, rope, from_file).await?;
    Ok(node.db.publish_poster(&hold.lease, stored, now()).await?)
}
