//! The gate of a ladder: short samples of all sizes are encoded and compared, and what adds nothing is not made.

use std::path::Path;

use matinee_core::gate::{self, Judged};
use matinee_core::plan::{self, Chunk, Pipeline, Plan, Probe, Timeline, argv};
use serde_json::json;

use super::coding::{anywhere, ffmpeg};
use super::fault::Fault;
use super::lease::Hold;
use super::mark;
use super::scratch::Scratch;
use super::work::Bench;
use crate::node::Node;

/// The plan of what is worth making, when the pipeline asks for that; else the plan as it is.
pub(crate) async fn pass(
    node: &Node,
    hold: &Hold,
    (path, probe, timeline): (&Path, &Probe, &Timeline),
    pipeline: &Pipeline,
    plan: Plan,
) -> Result<Plan, Fault> {
    let Some(gain) = pipeline.gate_permille else { return Ok(plan) };
    let Some(video) = plan.video.as_ref().filter(|video| video.renditions.len() > 1) else { return Ok(plan) };
    if plan.remux.is_some() {
        return Ok(plan);
    }
    // What sizes are worth does not depend on who encodes them.
    let video = plan::Video { engine: None, ..video.clone() };
    let mut judged = look(node, hold, path, (&plan, &video)).await?;
    gate::judge(&mut judged, gain);
    let saved = gate::saved(&judged);
    tracing::info!(?judged, saved, "a ladder was judged");
    let sizes = judged.iter().filter(|one| one.kept).map(|one| one.short).collect();
    let worth = Pipeline { sizes, ..pipeline.clone() };
    let fewer = plan::plan(probe, timeline, &worth, &anywhere(node).await?)?;
    Ok(Plan { judged, ..fewer })
}

/// Encodes the samples and compares them.
async fn look(
    node: &Node,
    hold: &Hold,
    path: &Path,
    (plan, video): (&Plan, &plan::Video),
) -> Result<Vec<Judged>, Fault> {
    let scratch = Scratch::open(node, &hold.lease)?;
    mark::lay(node, hold.app, plan, &scratch).await?;
    let samples = argv::samples(video);
    let bench = Bench {
        ffmpeg: ffmpeg(node)?,
        engines: &[],
        plan,
        input: path.to_owned(),
        dir: scratch.path(),
        safe_profile: hold.safe_profile,
        stop: &hold.stop,
        progress: Box::new(|_| {}),
        stall_ms: node.config.encode.stall.ms.unsigned_abs(),
        told: Box::new(|_| {}),
    };
    let ladder = video.family(0).expect("because the first family is the ladder");
    let outputs = argv::chunk_outputs(ladder);
    let mut all: Vec<(u64, u64, u64)> = vec![(0, 0, 0); video.renditions.len()];
    for (n, sample) in samples.iter().enumerate() {
        bench.chunk(video, sample, 0).await?;
        let ssim = compared(&bench, video, sample, &outputs).await?;
        for ((sum, output), ssim) in all.iter_mut().zip(&outputs).zip(ssim) {
            let bytes = tokio::fs::metadata(scratch.file(output)).await?.len();
            *sum = (sum.0 + u64::from(ssim) * sample.frames, sum.1 + bytes, sum.2 + sample.frames);
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of progress needs no exact number")]
        hold.progress((n + 1) as f64 / samples.len() as f64);
    }
    let judged = |((ssim, bytes, frames), rendition): (&(u64, u64, u64), &plan::Rendition)| Judged {
        short: rendition.width.min(rendition.height),
        ssim: u32::try_from(ssim / frames.max(&1)).unwrap_or_default(),
        bytes: bytes.saturating_mul(video.frames) / frames.max(&1),
        kept: false,
    };
    Ok(all.iter().zip(&video.renditions).map(judged).collect())
}

async fn compared(
    bench: &Bench<'_>,
    video: &plan::Video,
    sample: &Chunk,
    outputs: &[String],
) -> Result<Vec<u32>, Fault> {
    let input = bench
        .input
        .to_str()
        .ok_or_else(|| Fault::world("the data directory has a name that is not UTF-8"))?;
    let said =
        bench.encode(argv::judge(bench.plan, video, sample, input, outputs), |_| {}).await?.stderr_tail;
    let each = (0..outputs.len()).map(|n| gate::parse(&said, &argv::judge_name(n)));
    each.collect::<Option<_>>().ok_or_else(|| {
        Fault::unverified("the sizes of the video could not be compared").with(json!({ "stderr": said }))
    })
}
