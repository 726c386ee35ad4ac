//! The storyboard job: sheets of small pictures for finding a place, and a preview for cards.
//!
//! Both come from the smallest finished rendition: its key frames are 2 s apart, its colours and its shape are right, and
//! decoding them costs next to nothing.

use matinee_core::id::ObjectId;
use matinee_core::image;
use matinee_core::ledger;
use matinee_core::media::{Edit, Index, Track, TrackKind};
use matinee_core::plan::argv;
use matinee_core::storyboard::{Storyboard, within};
use matinee_core::video::{Medium, RenditionState};
use matinee_io::db::{Boarded, Rendition, Stored};
use serde_json::json;

use super::coding::{Planned, encode, keep_file, planned};
use super::fault::Fault;
use super::lease::Hold;
use super::scratch::Scratch;
use super::{indexed, now};
use crate::node::Node;

const SHEETS: &str = "sheet_%d.jpg";
const PREVIEW: &str = "preview.mp4";

/// Makes, verifies and publishes the sheets and the preview.
pub(crate) async fn perform(node: &Node, hold: &Hold) -> Result<(), Fault> {
    let planned = planned(node, hold).await?;
    let renditions = node.db.renditions(planned.video.id).await?;
    let smallest =
        renditions.iter().filter_map(|one| whole(one, &planned, hold.generation)).min_by_key(|one| one.width);
    let Smallest { width, height, file, gop } =
        smallest.ok_or_else(|| Fault::unverified("no rendition is whole, so there is nothing to show"))?;
    let planned = Planned { input: file, ..planned };
    let index = indexed::index(&node.object_path(file)?).await?;
    let keys_us = pictures(&index).map(|track| key_times(track, gop)).unwrap_or_default();
    let duration_us = planned.plan.duration_us;
    let board = Storyboard::of((width, height), &keys_us, duration_us)
        .ok_or_else(|| Fault::unverified("the rendition has no key frame"))?;
    let sheets = sheets(node, hold, &planned, &board).await?;
    hold.progress(0.6);
    let preview = preview(node, hold, &planned, within((width, height), argv::PREVIEW_WIDTH)).await?;
    let boarded = Boarded { storyboard: json!(board), sheets, preview };
    node.db.publish_storyboard(&hold.lease, boarded, now()).await?;
    node.shelf.forget(planned.video.id);
    Ok(())
}

/// The rendition that pictures are taken from.
struct Smallest {
    width: u32,
    height: u32,
    file: ObjectId,
    /// Pictures of it from one key frame to the next.
    gop: usize,
}

/// A picture rendition, when it is whole.
fn whole(rendition: &Rendition, planned: &Planned, generation: u32) -> Option<Smallest> {
    let video = planned.plan.video.as_ref()?;
    let known = video.renditions.iter().find(|known| known.id == rendition.name)?;
    let is_whole = rendition.generation == generation
        && rendition.medium == Medium::Video
        && rendition.state == RenditionState::Ready;
    let gop = usize::try_from(video.gop / known.every.max(1)).ok()?.max(1);
    let file = rendition.file.filter(|_| is_whole)?;
    Some(Smallest { width: known.width, height: known.height, file, gop })
}

/// The one track with pictures.
fn pictures(index: &Index) -> Option<&Track> {
    index.tracks.iter().find(|track| matches!(track.kind, TrackKind::Video { .. }))
}

/// When the key frames of a track are shown, in microseconds from its start. The index names only those that begin a
/// segment; the others are where every chunk was checked to have them.
fn key_times(track: &Track, gop: usize) -> Vec<i64> {
    let start = match track.edit {
        Edit::Plain { media_time, .. } => i64::try_from(media_time).unwrap_or_default(),
        Edit::Unsupported => 0,
    };
    let us = |ticks: i64| {
        let us = i128::from(ticks - start) * 1_000_000 / i128::from(track.timescale.max(1));
        i64::try_from(us).unwrap_or(i64::MAX)
    };
    track.samples.iter().step_by(gop).map(|sample| us(sample.pts())).collect()
}

async fn sheets(
    node: &Node,
    hold: &Hold,
    planned: &Planned,
    board: &Storyboard,
) -> Result<Vec<Stored>, Fault> {
    let scratch = Scratch::open(node, &hold.lease)?;
    let args = argv::storyboard(board, &node.input_text(planned.input)?, SHEETS);
    encode(node, hold, planned, (&scratch, args), |_| {}).await?;
    let made = std::fs::read_dir(scratch.path())?.count();
    if made != board.sheets() {
        return Err(Fault::unverified(format!("{made} sheets were made instead of {}", board.sheets())));
    }
    let mut stored = Vec::with_capacity(made);
    for number in 1..=made {
        let path = scratch.file(&SHEETS.replace("%d", &number.to_string()));
        let size = image::jpeg_size(&tokio::fs::read(&path).await?);
        if size.map(|(width, height)| (width.into(), height.into())) != Some(board.sheet_size()) {
            return Err(Fault::unverified(format!("sheet {number} is {size:?}, not as planned")));
        }
        stored.push(keep_file(node, hold, ledger::Kind::Sheet, &path).await?);
    }
    Ok(stored)
}

async fn preview(node: &Node, hold: &Hold, planned: &Planned, size: (u32, u32)) -> Result<Stored, Fault> {
    let scratch = Scratch::open(node, &hold.lease)?;
    let pictures_us = planned.plan.video.as_ref().map_or(0, |video| video.rate.frame_us(video.frames));
    // At a tenth, but never so late that less would be left.
    let from_us = (pictures_us / 10).min(pictures_us - argv::PREVIEW_US).max(0);
    let args = argv::preview(from_us, size, &node.input_text(planned.input)?, PREVIEW);
    encode(node, hold, planned, (&scratch, args), |_| {}).await?;
    let path = scratch.file(PREVIEW);
    check(&indexed::index(&path).await?, size)?;
    keep_file(node, hold, ledger::Kind::Preview, &path).await
}

/// A preview is one silent H.264 track of the planned size, some seconds long, with its index in front.
fn check(index: &Index, (wide, tall): (u32, u32)) -> Result<(), Fault> {
    let wrong = |what: &str| Err(Fault::unverified(format!("the preview {what}")));
    let ([track], true) = (index.tracks.as_slice(), index.moov_first) else {
        return wrong("has more than one track, or its index at the end");
    };
    track.check(index.size)?;
    let TrackKind::Video { width, height, .. } = track.kind else { return wrong("has no picture") };
    if (u32::from(width), u32::from(height)) != (wide, tall) || !track.codec.starts_with("avc1.") {
        return wrong("is not of the planned size and codec");
    }
    if !(1..=argv::PREVIEW_PICTURES).contains(&track.samples.iter().count()) {
        return wrong("is not as long as planned");
    }
    Ok(())
}
