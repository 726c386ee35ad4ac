//! The picture that is laid over a video: written anew once, then handed to every run that needs it.

use matinee_core::id::AppId;
use matinee_core::job::retry;
use matinee_core::plan::{Pipeline, Plan, argv};
use matinee_core::watermark::Mark;
use matinee_core::{image, limits};
use matinee_io::ffmpeg::{Class, Job, Limits, Program, Stdout};
use serde_json::json;

use super::coding::ffmpeg;
use super::fault::Fault;
use super::lease::Hold;
use super::scratch::Scratch;
use super::{Failure, now};
use crate::node::Node;

const BROUGHT: &str = "brought.png";
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
    let brought = watermark.png().ok_or_else(refused)?;
    let scratch = Scratch::open(node, &hold.lease)?;
    tokio::fs::write(scratch.file(BROUGHT), brought).await?;
    let job = Job {
        program: Program::Ffmpeg,
        args: argv::mark(mark, BROUGHT),
        inputs: vec![scratch.file(BROUGHT)],
        dir: Some(scratch.path().to_owned()),
        limits: LIMITS,
        stdout: Stdout::Progress,
    };
    match ffmpeg(node)?.run(job, |_| {}, hold.stop.cancelled()).await {
        Ok(_) => {}
        Err(error) if error.class() == Class::World || hold.stop.is_cancelled() => return Err(error.into()),
        Err(error) => return Err(refused().with(json!({ "stderr": error.stderr_tail }))),
    }
    let png = tokio::fs::read(scratch.file(argv::MARK)).await.map_err(|_| refused())?;
    if image::png_size(&png) != Some((mark.width, mark.height)) {
        return Err(refused());
    }
    Ok(node.db.keep_watermark(hold.app, &mark.id, png, now()).await?)
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
