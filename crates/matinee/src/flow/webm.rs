//! The WebM job: copies a finished file of VP9 and Opus into WebM, so that every video can be downloaded as that, too.

use matinee_core::id::RenditionId;
use matinee_core::ledger;
use matinee_core::plan::argv;

use super::coding::{Planned, encode, keep_file, planned};
use super::fault::Fault;
use super::lease::Hold;
use super::now;
use super::scratch::Scratch;
use crate::node::Node;

const NAME: &str = "out.webm";
/// How every WebM file begins: EBML (RFC 8794 section 11.2.1).
const EBML: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];
/// The container may cost or save so much of the size, in percent.
const SIZE_PERCENT: std::ops::RangeInclusive<u64> = 90..=110;

/// Copies, checks and publishes one file.
pub(crate) async fn perform(node: &Node, hold: &Hold, rendition: RenditionId) -> Result<(), Fault> {
    let planned = planned(node, hold).await?;
    let known = node.db.rendition(rendition).await?.map(|(_, row)| row);
    let whole = known.and_then(|row| row.file.zip(row.file_bytes));
    let (input, bytes) = whole.ok_or_else(|| Fault::unverified("the rendition has no file to copy"))?;
    let planned = Planned { input, ..planned };
    let scratch = Scratch::open(node, &hold.lease)?;
    let args = argv::webm(&node.input_text(input)?, NAME);
    let length_us = planned.plan.duration_us.max(1);
    #[expect(clippy::cast_precision_loss, reason = "a share of progress needs no exact number")]
    let done = |at: matinee_io::ffmpeg::Progress| hold.progress(at.out_time_us as f64 / length_us as f64);
    encode(node, hold, &planned, (&scratch, args), done).await?;
    let path = scratch.file(NAME);
    check(&path, bytes).await?;
    let stored = keep_file(node, hold, ledger::Kind::Webm, &path).await?;
    node.db.publish_webm(&hold.lease, (rendition, stored), now()).await?;
    node.shelf.forget(planned.video.id);
    Ok(())
}

/// A copy has about the size of what it was made of: nothing is left out.
async fn check(path: &std::path::Path, of_bytes: u64) -> Result<(), Fault> {
    use tokio::io::AsyncReadExt as _;
    let mut file = tokio::fs::File::open(path).await?;
    let mut begin = [0; 4];
    file.read_exact(&mut begin).await?;
    let bytes = file.metadata().await?.len();
    let percent = bytes.saturating_mul(100) / of_bytes.max(1);
    if begin == EBML && SIZE_PERCENT.contains(&percent) {
        return Ok(());
    }
    Err(Fault::unverified(format!("{bytes} bytes of WebM were made of {of_bytes}")))
}
