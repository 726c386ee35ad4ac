//! The picture that is laid over a video: written anew once, then handed to every run that needs it.

use matinee_core::id::AppId;
use matinee_core::job::retry;
use matinee_core::plan::{Pipeline, Plan, argv};
use matinee_core::watermark::{Mark, Watermark};
use matinee_core::{image, limits};
use matinee_io::ffmpeg::{Class, Job, Limits, Program, Stdout};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::coding::ffmpeg;
use super::fault::Fault;
use super::lease::Hold;
use super::scratch::Scratch;
use super::{Failure, now};
use crate::node::Node;

const BROUGHT: &str = "brought.png";
/// A picture that can be decoded for one size of videos can be for all.
const ANY_SIZE: (u32, u32) = (1_920, 1_080);
/// A small picture is decoded, scaled and encoded.
const LIMITS: Limits = Limits {
    cpu_s: 20,
    wall_ms: 60_000,
    memory_bytes: limits::FFMPEG_ADDRESS_SPACE_BYTES,
    output_bytes: 64 << 20,
    stall_ms: 60_000,
};

/// The mark of a plan, if it has one.
fn mark_of(plan: &Plan) -> Option<&Mark> {
    plan.video.as_ref()?.picture.mark.as_ref()
}

/// Makes the picture of a plan's mark, unless this app has it already. What somebody brought is decoded in the sandbox;
/// what is kept is ours.
pub(crate) async fn make(node: &Node, hold: &Hold, pipeline: &Pipeline, plan: &Plan) -> Result<(), Fault> {
    let (Some(mark), Some(watermark)) = (mark_of(plan), &pipeline.watermark) else { return Ok(()) };
    if node.db.watermark(hold.app, &mark.id).await?.is_some() {
        return Ok(());
    }
    let scratch = Scratch::open(node, &hold.lease)?;
    let png = match written(node, (watermark, mark), &scratch, &hold.stop).await {
        Ok(png) => png,
        Err(Unwritten::World(fault)) => return Err(fault),
        Err(Unwritten::Damaged(stderr)) => return Err(refused().with(json!({ "stderr": stderr }))),
    };
    Ok(node.db.keep_watermark(hold.app, &mark.id, png, now()).await?)
}

/// Makes sure that the picture of a pipeline's watermark can be decoded, before any video waits for it.
pub(crate) async fn check(node: &Node, pipeline: &Pipeline) -> Result<(), Failure> {
    let Some(watermark) = &pipeline.watermark else { return Ok(()) };
    let damaged = || {
        Failure::Refused {
        conflict: false,
        human: "The picture of the watermark is damaged, or of a kind that cannot be decoded; export it as PNG again."
            .to_owned(),
    }
    };
    let mark = watermark.on(ANY_SIZE).ok_or_else(damaged)?;
    let _turn = node.darkroom.enter().await.ok_or(Failure::Busy)?;
    let scratch = Scratch::fresh(node)?;
    match written(node, (watermark, &mark), &scratch, &node.stop).await {
        Ok(_) => Ok(()),
        Err(Unwritten::World(fault)) => Err(Failure::Again(fault.to_string())),
        Err(Unwritten::Damaged(stderr)) => {
            tracing::info!(pipeline = pipeline.name, stderr, "the picture of a watermark cannot be decoded");
            Err(damaged())
        }
    }
}

/// Why there is no picture.
enum Unwritten {
    /// The world: no ffmpeg, no room, a node that ends.
    World(Fault),
    /// What somebody brought; ffmpeg's last words.
    Damaged(String),
}

impl<T: Into<Fault>> From<T> for Unwritten {
    fn from(error: T) -> Self {
        Self::World(error.into())
    }
}

/// What somebody brought, decoded in the sandbox and written anew.
async fn written(
    node: &Node,
    (watermark, mark): (&Watermark, &Mark),
    scratch: &Scratch,
    stop: &CancellationToken,
) -> Result<Vec<u8>, Unwritten> {
    let brought = watermark.png().ok_or_else(|| Unwritten::Damaged(String::new()))?;
    tokio::fs::write(scratch.file(BROUGHT), brought).await?;
    let job = Job {
        program: Program::Ffmpeg,
        args: argv::mark(mark, BROUGHT),
        inputs: vec![scratch.file(BROUGHT)],
        dir: Some(scratch.path().to_owned()),
        limits: LIMITS,
        stdout: Stdout::Progress,
    };
    match ffmpeg(node)?.run(job, |_| {}, stop.cancelled()).await {
        Ok(_) => {}
        Err(error) if error.class() == Class::World || stop.is_cancelled() => return Err(error.into()),
        Err(error) => return Err(Unwritten::Damaged(error.stderr_tail)),
    }
    let png = tokio::fs::read(scratch.file(argv::MARK)).await.unwrap_or_default();
    if image::png_size(&png) == Some((mark.width, mark.height)) {
        Ok(png)
    } else {
        Err(Unwritten::Damaged(String::new()))
    }
}

fn refused() -> Fault {
    // The pipeline is wrong, not the source: the video waits until somebody has mended it.
    Fault::new(
        retry::Class::World,
        "watermark",
        "The watermark of this pipeline is a picture that cannot be decoded.",
        "Give the pipeline another PNG picture; the video goes on by itself.",
    )
}

/// The picture of a plan's mark, if it has one, as a run reads it from its own directory.
pub(crate) async fn picture(node: &Node, app: AppId, plan: &Plan) -> Result<Option<Vec<u8>>, Failure> {
    let Some(mark) = mark_of(plan) else { return Ok(None) };
    let png = node.db.watermark(app, &mark.id).await?;
    png.map(Some).ok_or_else(|| Failure::Never("the picture of the watermark is not there".to_owned()))
}

/// Lays the picture of a plan's mark into the directory of a run that needs it.
pub(crate) async fn lay(node: &Node, app: AppId, plan: &Plan, scratch: &Scratch) -> Result<(), Failure> {
    let Some(png) = picture(node, app, plan).await? else { return Ok(()) };
    Ok(tokio::fs::write(scratch.file(argv::MARK), png).await?)
}
