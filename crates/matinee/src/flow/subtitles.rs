//! The subtitles job: makes WebVTT of the text subtitles of a source, proves it and keeps it.

use matinee_core::caption::{self, fitted, unusable, verify};
use matinee_core::job::retry::Class;
use matinee_core::ledger;
use matinee_core::limits;
use matinee_core::media::rope::Rope;
use matinee_core::plan::{Subtitle, Subtitles, argv};
use matinee_core::video::Problem;
use matinee_io::db::{MadeCaption, Stored};
use matinee_io::ffmpeg::{Job, Limits, Program, Stdout};

use super::coding::{Planned, ffmpeg, keep, planned, source};
use super::fault::Fault;
use super::lease::Hold;
use super::now;
use super::scratch::Scratch;
use crate::node::Node;

/// Converts, verifies and publishes all text subtitles of the source.
pub(crate) async fn perform(node: &Node, hold: &Hold) -> Result<(), Fault> {
    let planned = planned(node, hold).await?;
    let subtitles = planned.plan.subtitles.as_ref();
    let subtitles = subtitles.ok_or_else(|| Fault::unverified("the plan has no subtitles"))?;
    let scratch = Scratch::open(node, &hold.lease)?;
    let work = Work { node, hold, planned: &planned, subtitles, scratch };
    let text: Vec<&Subtitle> = subtitles.streams.iter().filter(|stream| stream.text).collect();
    // One look at the file for all of them. Where that fails, one of them may be to blame, and the others are not.
    let together = work.converted(&text).await?;
    let mut made: Vec<MadeCaption> = Vec::with_capacity(text.len());
    for stream in text {
        let readable = together || work.converted(&[stream]).await?;
        let kept = if readable { work.kept(stream).await? } else { Err(unusable()) };
        made.push((stream.id.clone(), kept));
    }
    node.db.publish_captions(&hold.lease, made, now()).await?;
    node.shelf.forget(planned.video.id);
    Ok(())
}

struct Work<'a> {
    node: &'a Node,
    hold: &'a Hold,
    planned: &'a Planned,
    subtitles: &'a Subtitles,
    scratch: Scratch,
}

impl Work<'_> {
    /// Runs ffmpeg on the file that somebody brought in; `false` when it could not make these streams of it.
    async fn converted(&self, streams: &[&Subtitle]) -> Result<bool, Fault> {
        let source = source(&self.planned.video)?;
        let input = self.node.input_text(source)?;
        let limits = self.planned.plan.limits;
        let wall_ms = limits.wall_s.saturating_mul(1_000);
        let job = Job {
            program: Program::Ffmpeg,
            args: argv::subtitles(self.subtitles.container, streams.iter().copied(), &input),
            inputs: vec![self.node.object_path(source)?],
            dir: Some(self.scratch.path().to_owned()),
            limits: Limits {
                cpu_s: limits.cpu_s,
                wall_ms,
                memory_bytes: limits.memory_bytes,
                output_bytes: limits::CAPTION_BYTES_MAX as u64,
                // Between two lines there may be gigabytes of the film.
                stall_ms: wall_ms,
            },
            stdout: Stdout::Progress,
        };
        match ffmpeg(self.node)?.run(job, |_| {}, self.hold.stop.cancelled()).await {
            Ok(_) => Ok(true),
            Err(error) => match Fault::from(error) {
                fault if fault.class == Class::World => Err(fault),
                fault => {
                    tracing::info!(video = %self.planned.video.id, %fault, "subtitles could not be converted");
                    Ok(false)
                }
            },
        }
    }

    /// Puts the times right, proves what is to be shown, and keeps it; the reason when there is nothing to show.
    async fn kept(&self, stream: &Subtitle) -> Result<Result<Stored, Problem>, Fault> {
        let path = self.scratch.file(&argv::subtitle_output(stream));
        let bytes = match tokio::fs::read(&path).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Err(unusable())),
            read => read?,
        };
        let Ok(cues) = caption::read(&bytes) else { return Ok(Err(unusable())) };
        let duration_ms = self.planned.plan.duration_us / 1_000;
        let cues = fitted(cues, -self.subtitles.origin_us / 1_000, duration_ms);
        if cues.is_empty() {
            return Ok(Err(unusable()));
        }
        let text = caption::write(&cues);
        // What is written is a little longer than what was read, and the other streams are not to blame for this one.
        if let Err(fault) = verify(text.as_bytes(), duration_ms) {
            tracing::info!(video = %self.planned.video.id, stream = stream.id, %fault, "subtitles cannot be shown");
            return Ok(Err(unusable()));
        }
        let mut rope: Rope<()> = Rope::new();
        rope.push_literal(text.into_bytes());
        let no_ranges = |(): &(), _, _| unreachable!("because the text is literal");
        keep(self.node, self.hold, ledger::Kind::Caption, rope, no_ranges).await.map(Ok)
    }
}
