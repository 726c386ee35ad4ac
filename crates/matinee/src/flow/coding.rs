//! What the encoding jobs share: the video with its plan, one run of a program, one stored output.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use matinee_core::id::ObjectId;
use matinee_core::ledger;
use matinee_core::media::rope::{Piece, Rope};
use matinee_core::plan::{Capabilities, Plan};
use matinee_io::db::{NewObject, Stored, Video};
use matinee_io::ffmpeg::{Ffmpeg, Finished, Progress};
use matinee_io::{random, store};

use super::engine;
use super::fault::Fault;
use super::lease::Hold;
use super::scratch::Scratch;
use super::work::Bench;
use super::{now, roster};
use crate::node::Node;

/// A video whose plan is known.
pub(crate) struct Planned {
    pub(crate) video: Video,
    pub(crate) plan: Plan,
    /// The file that jobs read: the remuxed source where there is one.
    pub(crate) input: ObjectId,
}

/// Loads the video of a job with its plan.
pub(crate) async fn planned(node: &Node, hold: &Hold) -> Result<Planned, Fault> {
    let video = video(node, hold).await?;
    let plan = video.plan_of(hold.generation).cloned();
    let plan = plan.ok_or_else(|| Fault::world("the video has no plan yet"))?;
    let plan = serde_json::from_value(plan)
        .map_err(|error| Fault::unverified(format!("the stored plan cannot be read: {error}")))?;
    let input = video.input_of(hold.generation).ok_or_else(no_source)?;
    Ok(Planned { video, plan, input })
}

/// Loads the video of a job.
pub(crate) async fn video(node: &Node, hold: &Hold) -> Result<Video, Fault> {
    let Some(id) = hold.task.video() else { return Err(Fault::world("this job has no video")) };
    let video = node.db.video_any(id).await?;
    video.ok_or_else(|| Fault::world("the video is being deleted"))
}

/// The file that somebody brought in.
pub(crate) fn source(video: &Video) -> Result<ObjectId, Fault> {
    video.source.ok_or_else(no_source)
}

fn no_source() -> Fault {
    Fault::unverified("only a host has this video, so there is no file that a job could read")
}

/// ffmpeg, which a claimed job of an encoding kind always has.
pub(crate) fn ffmpeg(node: &Node) -> Result<&Ffmpeg, Fault> {
    node.ffmpeg.as_ref().map_err(|error| Fault::world(error.to_string()))
}

/// What this node can do, with the memory of the largest node or runner: the jobs may run there.
pub(crate) async fn anywhere(node: &Node) -> Result<Capabilities, Fault> {
    let mut capabilities = node.capabilities();
    let most = roster::memory_max(node).await?;
    capabilities.memory_bytes = capabilities.memory_bytes.max(most.unwrap_or_default());
    capabilities.engines = engine::offered(node).await?;
    Ok(capabilities)
}

/// What an attempt of this node works with.
pub(crate) fn bench<'a>(
    node: &'a Node,
    hold: &'a Hold,
    planned: &'a Planned,
    scratch: &'a Scratch,
) -> Result<Bench<'a>, Fault> {
    Ok(Bench {
        ffmpeg: ffmpeg(node)?,
        engines: node.engines.get().map(Vec::as_slice).unwrap_or_default(),
        plan: &planned.plan,
        input: node.object_path(planned.input)?,
        dir: scratch.path(),
        safe_profile: hold.safe_profile,
        stop: &hold.stop,
        progress: Box::new(|done| hold.progress(done)),
        stall_ms: node.config.encode.stall.ms.unsigned_abs(),
        told: Box::new(|told| hold.hear(&told)),
    })
}

/// Runs ffmpeg in the attempt's directory with the plan's limits; `done` is told the frames and microseconds.
pub(crate) async fn encode(
    node: &Node,
    hold: &Hold,
    planned: &Planned,
    (scratch, args): (&Scratch, Vec<String>),
    done: impl FnMut(Progress) + Send,
) -> Result<Finished, Fault> {
    bench(node, hold, planned, scratch)?.encode(args, done).await
}

/// Writes a new object whose row is committed first; durable when this returns.
pub(crate) async fn keep<O: Copy + Eq>(
    node: &Node,
    hold: &Hold,
    kind: ledger::Kind,
    rope: Rope<O>,
    source: impl Fn(&O, u64, u64) -> store::Piece,
) -> Result<Stored, Fault> {
    let object: ObjectId = random::id();
    node.db.intend_objects(&hold.lease, &[NewObject { id: object, kind }], now()).await?;
    let pieces = rope.pieces().iter().map(|piece| match piece {
        Piece::Literal(bytes) => store::Piece::Literal(bytes.clone()),
        Piece::Range { object, offset, len } => source(object, *offset, *len),
    });
    let written = node.store.write(object, pieces.collect()).await?;
    Ok(Stored { object, size: written.size, blake3: written.blake3 })
}

/// Writes a file of the attempt's directory as a new object, in the same way.
pub(crate) async fn keep_file(
    node: &Node,
    hold: &Hold,
    kind: ledger::Kind,
    path: &Path,
) -> Result<Stored, Fault> {
    let file = Arc::new(File::open(path)?);
    let rope = Rope::range((), 0, file.metadata()?.len());
    let from_file = |(): &(), offset, len| store::Piece::File { file: Arc::clone(&file), offset, len };
    keep(node, hold, kind, rope, from_file).await
}
