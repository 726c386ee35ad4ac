//! What a job reads and what it makes, for whoever does it: a node, or a runner.

use matinee_core::id::ObjectId;
use matinee_core::job::Task;
use matinee_core::media::{Edit, Index, Track, TrackKind};
use matinee_core::plan::argv;
use matinee_core::storyboard::Storyboard;
use matinee_core::video::{Medium, RenditionState};
use matinee_io::db::Rendition;

use super::coding::{Planned, planned};
use super::fault::Fault;
use super::indexed;
use super::lease::Hold;
use super::work::pictures::{POSTER, PREVIEW, Sketch};
use crate::node::Node;

/// A job whose work is known.
pub(crate) struct Order {
    /// The plan, and the file that is read.
    pub(crate) planned: Planned,
    /// What is to be drawn, for a storyboard.
    pub(crate) sketch: Option<Sketch>,
}

/// What the work of a job is.
pub(crate) async fn order(node: &Node, hold: &Hold) -> Result<Order, Fault> {
    let planned = planned(node, hold).await?;
    if !matches!(hold.task, Task::Storyboard { .. }) {
        return Ok(Order { planned, sketch: None });
    }
    let Smallest { size, file, gop } = smallest(node, hold, &planned).await?;
    let index = indexed::index(&node.object_path(file)?).await?;
    let keys_us = pictures(&index).map(|track| key_times(track, gop)).unwrap_or_default();
    let board = Storyboard::of(size, &keys_us, planned.plan.duration_us)
        .ok_or_else(|| Fault::unverified("the rendition has no key frame"))?;
    Ok(Order { planned: Planned { input: file, ..planned }, sketch: Some(Sketch { board, size }) })
}

/// The file that a job reads.
pub(crate) async fn input(node: &Node, hold: &Hold) -> Result<ObjectId, Fault> {
    let planned = planned(node, hold).await?;
    if matches!(hold.task, Task::Storyboard { .. }) {
        return Ok(smallest(node, hold, &planned).await?.file);
    }
    Ok(planned.input)
}

impl Order {
    /// The names of the files that a task makes.
    pub(crate) fn outputs(&self, task: &Task) -> Result<Vec<String>, Fault> {
        match (task, &self.planned.plan.video, &self.sketch) {
            (Task::Chunk { family, .. }, Some(video), _) => {
                let cascade = video.family(*family);
                let cascade = cascade.ok_or_else(|| Fault::unverified("the plan has no such family"))?;
                Ok(argv::chunk_outputs(cascade))
            }
            (Task::Audio { .. }, _, _) => Ok(vec![argv::AUDIO_OUTPUT.to_owned()]),
            (Task::Poster { .. }, _, _) => Ok(vec![POSTER.to_owned()]),
            (Task::Storyboard { .. }, _, Some(sketch)) => {
                Ok(sketch.sheets().chain([PREVIEW.to_owned()]).collect())
            }
            (task, _, _) => {
                let kind = task.kind().name();
                Err(Fault::unverified(format!("a runner cannot do a job of the kind {kind}")))
            }
        }
    }
}

/// The smallest rendition that is whole: its key frames are 2 s apart, its colours and its shape are right, and decoding it
/// costs next to nothing.
async fn smallest(node: &Node, hold: &Hold, planned: &Planned) -> Result<Smallest, Fault> {
    let renditions = node.db.renditions(planned.video.id).await?;
    let whole = renditions.iter().filter_map(|one| whole(one, planned, hold.generation));
    let smallest = whole.min_by_key(|one| one.size.0);
    smallest.ok_or_else(|| Fault::unverified("no rendition is whole, so there is nothing to show"))
}

/// The rendition that pictures are taken from.
struct Smallest {
    size: (u32, u32),
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
    Some(Smallest { size: (known.width, known.height), file, gop })
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
