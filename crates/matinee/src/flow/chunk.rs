//! The chunk job: encodes one run of frames in all renditions, proves the outputs, keeps their final segments.

use std::fs::File;
use std::sync::Arc;

use matinee_core::ledger;
use matinee_core::media::Index;
use matinee_core::media::chunk::{self, Expect, Place, Verified, rehead, verify};
use matinee_core::media::segment::rows_encode;
use matinee_core::plan::{self, Chunk, argv};
use matinee_core::video::{ENCODED, Medium};
use matinee_io::db::{NewPart, Rendition, Shape};
use matinee_io::ffmpeg::Progress;
use matinee_io::store;

use super::coding::{Planned, encode, keep, planned};
use super::fault::Fault;
use super::lease::Hold;
use super::scratch::Scratch;
use super::{indexed, now};
use crate::node::Node;

/// How many frames x264 shows later than it decodes them: two, whatever the preset.
const REORDER_FRAMES: u32 = 2;

/// Encodes, verifies and publishes one chunk.
pub(crate) async fn perform(node: &Node, hold: &Hold, number: u32) -> Result<(), Fault> {
    let planned = planned(node, hold).await?;
    let video = planned.plan.video.as_ref().ok_or_else(|| Fault::unverified("the plan has no picture"))?;
    let chunk = *video
        .chunks
        .get(number as usize)
        .ok_or_else(|| Fault::unverified(format!("the plan has no chunk {number}")))?;
    let scratch = Scratch::open(node, &hold.lease)?;
    run(node, hold, &planned, (video, &chunk), &scratch).await?;
    let renditions = node.db.renditions(planned.video.id).await?;
    let mut parts = Vec::with_capacity(video.renditions.len());
    for (output, rendition) in argv::chunk_outputs(video).iter().zip(&video.renditions) {
        let row = renditions
            .iter()
            .find(|row| row.generation == ENCODED && row.medium == Medium::Video && row.name == rendition.id)
            .ok_or_else(|| Fault::unverified(format!("there is no rendition {}", rendition.id)))?;
        let damaged = planned.plan.notes.contains(&plan::Note::ShorterThanHeader);
        let task = Task { video, chunk, rendition, row, damaged };
        parts.push(task.part(node, hold, &scratch, output).await?);
    }
    node.db.publish_chunk(&hold.lease, parts, now()).await?;
    Ok(())
}

async fn run(
    node: &Node,
    hold: &Hold,
    planned: &Planned,
    (video, chunk): (&plan::Video, &Chunk),
    scratch: &Scratch,
) -> Result<(), Fault> {
    let input = node.input_text(planned.input)?;
    let outputs = argv::chunk_outputs(video);
    let of = |frame: u64, run: usize, runs: usize| {
        #[expect(clippy::cast_precision_loss, reason = "a share of progress needs no exact number")]
        let (frame, frames, run, runs) = (frame as f64, chunk.frames.max(1) as f64, run as f64, runs as f64);
        hold.progress((run + frame / frames) / runs);
    };
    if !hold.safe_profile {
        let args = argv::chunk(&planned.plan, video, chunk, &input, &outputs);
        encode(node, hold, planned, (scratch, args), |at: Progress| of(at.frame, 0, 1)).await?;
        return Ok(());
    }
    for (n, output) in outputs.iter().enumerate() {
        let args = argv::chunk_safe(&planned.plan, chunk, n, &input, output)
            .ok_or_else(|| Fault::unverified("the plan has no such rendition"))?;
        encode(node, hold, planned, (scratch, args), |at: Progress| of(at.frame, n, outputs.len())).await?;
    }
    Ok(())
}

fn small(pixels: u32) -> u16 {
    u16::try_from(pixels).expect("because the plan refuses pictures beyond 8192 pixels")
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
    async fn part(
        &self,
        node: &Node,
        hold: &Hold,
        scratch: &Scratch,
        output: &str,
    ) -> Result<NewPart, Fault> {
        let path = scratch.file(output);
        let index = indexed::index(&path).await?;
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
        let every = self.rendition.every;
        Expect {
            frames: self.chunk.frames.div_ceil(u64::from(every)),
            last: self.chunk.number as usize + 1 == self.video.chunks.len(),
            gop: self.video.gop / every,
            ticks_per_frame: self.video.rate.ticks_per_frame() * every,
            timescale: self.video.rate.timescale(),
            width: small(self.rendition.width),
            height: small(self.rendition.height),
            reorder_frames: REORDER_FRAMES,
            codec: *b"avc1",
            delay_ticks: None,
            entry_hash: self.row.shape.entry_hash,
        }
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
            reorder_frames: REORDER_FRAMES,
        }
    }
}
