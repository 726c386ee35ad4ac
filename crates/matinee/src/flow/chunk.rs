//! The chunk job: encodes one run of frames in all renditions of a family, proves the outputs, keeps their final segments.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use matinee_core::ledger;
use matinee_core::media::Index;
use matinee_core::media::chunk::{self, Expect, Place, Verified, rehead, verify};
use matinee_core::media::segment::rows_encode;
use matinee_core::plan::{self, Cascade, Chunk, argv};
use matinee_core::video::Medium;
use matinee_io::db::{NewPart, Rendition, Shape};
use matinee_io::store;

use super::coding::{Planned, bench, keep, planned};
use super::damage;
use super::engine;
use super::fault::Fault;
use super::lease::Hold;
use super::scratch::Scratch;
use super::{indexed, mark, now};
use crate::node::Node;

/// Encodes, verifies and publishes one chunk of one family.
pub(crate) async fn perform(node: &Node, hold: &Hold, (number, family): (u32, u32)) -> Result<(), Fault> {
    let planned = planned(node, hold).await?;
    let (video, chunk, _) = found(&planned, (number, family))?;
    match encoded(node, hold, &planned, (video, &chunk, (number, family))).await {
        // The job waits for another holder by now.
        Err(fault) if engine::fall_back(node, hold, &planned.plan, &fault).await? => Ok(()),
        made => made,
    }
}

async fn encoded(
    node: &Node,
    hold: &Hold,
    planned: &Planned,
    (video, chunk, (number, family)): (&plan::Video, &Chunk, (u32, u32)),
) -> Result<(), Fault> {
    let scratch = Scratch::open(node, &hold.lease)?;
    mark::lay(node, hold.app, &planned.plan, &scratch).await?;
    let encoded = bench(node, hold, planned, &scratch)?.chunk(video, chunk, family).await;
    if encoded.as_ref().is_err_and(Fault::is_undecodable) {
        // The source itself may be played as it is, by whoever can.
        node.db.note_damage(&hold.lease, damage::nothing(), now()).await?;
    }
    if let Some(said) = damage::of(&hold.task, &planned.plan, encoded?) {
        node.db.note_damage(&hold.lease, said, now()).await?;
    }
    publish(node, hold, (planned, (number, family)), |output| scratch.file(output)).await
}

/// Proves the outputs of a chunk, whoever made them, and publishes them; `file` says where each lies.
pub(crate) async fn publish(
    node: &Node,
    hold: &Hold,
    (planned, which): (&Planned, (u32, u32)),
    file: impl Fn(&str) -> PathBuf,
) -> Result<(), Fault> {
    let (video, chunk, cascade) = found(planned, which)?;
    let renditions = node.db.renditions(planned.video.id).await?;
    let mut parts = Vec::with_capacity(cascade.renditions.len());
    for (output, rendition) in argv::chunk_outputs(cascade).iter().zip(cascade.renditions) {
        let row = renditions
            .iter()
            .find(|row| {
                row.generation == hold.generation && row.medium == Medium::Video && row.name == rendition.id
            })
            .ok_or_else(|| Fault::unverified(format!("there is no rendition {}", rendition.id)))?;
        let damaged = planned.plan.notes.contains(&plan::Note::ShorterThanHeader);
        let task = Task { video, chunk, rendition, row, damaged };
        parts.push(task.part(node, hold, &file(output)).await?);
    }
    node.db.publish_chunk(&hold.lease, parts, now()).await?;
    Ok(())
}

/// The picture of a plan, and the chunk and the family with these numbers.
fn found(
    planned: &Planned,
    (number, family): (u32, u32),
) -> Result<(&plan::Video, Chunk, Cascade<'_>), Fault> {
    let video = planned.plan.video.as_ref().ok_or_else(|| Fault::unverified("the plan has no picture"))?;
    let chunk = video.chunks.get(number as usize);
    let chunk = chunk.ok_or_else(|| Fault::unverified(format!("the plan has no chunk {number}")))?;
    let cascade = video.family(family);
    let cascade = cascade.ok_or_else(|| Fault::unverified(format!("the plan has no family {family}")))?;
    Ok((video, *chunk, cascade))
}

/// One rendition of one chunk.
struct Task<'a> {
    video: &'a plan::Video,
    chunk: Chunk,
    rendition: &'a plan::Rendition,
    row: &'a Rendition,
    /// The source ends before its header says.
    damaged: bool,
}

impl Task<'_> {
    /// Proves an output and stores its final segments.
    async fn part(&self, node: &Node, hold: &Hold, path: &Path) -> Result<NewPart, Fault> {
        let index = indexed::index(path).await?;
        let (expect, place) = (self.expect(), self.place());
        let verified =
            verify(&index, &expect).or_else(|fault| self.short(&index, &expect, fault)).map_err(|fault| {
                Fault::unverified(format!("{} is not as planned: {fault}", self.rendition.id))
            })?;
        let made = rehead(&index, &place)?;
        let file = Arc::new(File::open(path)?);
        let from_file = |(): &(), offset, len| store::Piece::File { file: Arc::clone(&file), offset, len };
        let bytes = made.part.rope.len();
        let stored = keep(node, hold, ledger::Kind::Chunk, made.part.rope, from_file).await?;
        tracing::debug!(frames = verified.frames, rendition = self.rendition.id, "a chunk was verified");
        Ok(NewPart {
            rendition: self.row.id,
            stored,
            first: made.part.first,
            segments: u32::try_from(made.part.rows.len()).expect("because a chunk has few segments"),
            bytes,
            rows: rows_encode(&made.part.rows),
            shape: Shape {
                codec: Some(made.codec),
                timescale: Some(made.timescale),
                init: Some(made.init.to_vec()),
                entry_hash: Some(verified.entry_hash),
                ..Shape::default()
            },
        })
    }

    /// What is left of a damaged source may end earlier than its packets say; that is kept as far as it goes.
    fn short(&self, index: &Index, expect: &Expect, fault: chunk::Fault) -> Result<Verified, chunk::Fault> {
        if let chunk::Fault::Frames { is, wanted } = fault
            && self.damaged
            && expect.last
            && (1..wanted).contains(&is)
        {
            return verify(index, &Expect { frames: is, ..expect.clone() });
        }
        Err(fault)
    }

    fn expect(&self) -> Expect {
        self.video.expect(&self.chunk, self.rendition, self.row.shape.entry_hash)
    }

    fn place(&self) -> Place {
        let every = self.rendition.every;
        let segment = u64::from(self.video.segment);
        Place {
            first_segment: u32::try_from(self.chunk.first / segment)
                .expect("because segments are counted in u32")
                + 1,
            first_frame: self.chunk.first / u64::from(every),
            segment_frames: self.video.segment / every,
            ticks_per_frame: self.video.rate.ticks_per_frame() * every,
            reorder_frames: self.rendition.codec.reorder_frames(),
        }
    }
}
