//! `matinee demo`: a whole matinee with fakes of everything outside, to look at. It ends with Ctrl-C and leaves nothing.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use matinee_core::event::Topic;
use matinee_io::clock::Stopwatch;
use matinee_io::fetch::fake::Manner;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use super::stage::{Heard, Stage};
use super::text::plain;

const EXAMPLES: &str = "Examples:
  matinee demo
  matinee demo --with examples/recording-pipeline/matinee.toml --once

Cloudflare Stream, Bunny Stream, Backblaze B2 and Zoom are fakes in this process: they refuse what the
real ones refuse, and store what they are sent in a folder that goes with them. Nothing leaves this
machine. `--with` takes a configuration as it is for the real services, and replaces these.";

/// What the demonstration shows when nobody names a configuration.
const CONFIGURATION: &str = include_str!("demo/matinee.toml");
/// So long the whole way of a few seconds of video may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);
/// How often it is looked whether something happened.
const LOOK: Duration = Duration::from_millis(100);
/// The meeting whose recording comes in.
const MEETING: &str = "Zm9yIHRoZSBkZW1v";

/// How the demonstration goes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A configuration for real services, which are replaced by their fakes
    #[arg(long = "with", value_name = "FILE")]
    configuration: Option<PathBuf>,
    /// Ends when all videos are where they belong, and says where that is
    #[arg(long)]
    once: bool,
}

/// Shows it.
pub(crate) async fn run(arguments: &Arguments, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    // From here on there is something to put away.
    let mut asked = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (text, beside) = configuration(arguments.configuration.as_deref())?;
    let clock = Stopwatch::start();
    let mut stage = Stage::set(&text, &beside).await?;
    stage.start().await?;
    stage.listen(&["video.*", "publication.*"]).await?;
    greet(&stage, out)?;
    let sample = stage.sample().await?;
    let status = stage.recorded(MEETING, &sample, Manner::default()).await?;
    writeln!(out, "Zoom tells of a recording; the answer is {status}")?;
    stage.uploaded("uploaded.mp4", &sample).await?;
    writeln!(out, "somebody uploads a file by tus")?;
    stage.imported("imported.mp4", &sample).await?;
    writeln!(out, "a file is brought in by its path")?;
    let shown = async {
        if arguments.once {
            let all = tokio::time::timeout(PATIENCE, show(&mut stage, out, &clock, Some(3))).await;
            all.with_context(|| format!("not all came where it belongs within {} s", PATIENCE.as_secs()))?
        } else {
            show(&mut stage, out, &clock, None).await
        }
    };
    tokio::select! {
        shown = shown => shown?,
        _ = asked.0.recv() => {}
        _ = asked.1.recv() => {}
    }
    tell(&stage, out)?;
    stage.end().await?;
    Ok(ExitCode::SUCCESS)
}

/// A configuration and the folder in which its files lie.
pub(super) fn configuration(file: Option<&Path>) -> anyhow::Result<(String, PathBuf)> {
    let Some(file) = file else { return Ok((CONFIGURATION.to_owned(), PathBuf::new())) };
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("the configuration {} cannot be read", file.display()))?;
    let beside = std::path::absolute(file)?.parent().map(Path::to_owned).unwrap_or_default();
    Ok((text, beside))
}

fn greet(stage: &Stage, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "matinee is at         {}", stage.url())?;
    writeln!(out, "fake Bunny Stream     {}", stage.bunny.frame().url())?;
    writeln!(out, "fake Cloudflare       {}", stage.cloudflare.frame().url())?;
    writeln!(out, "fake Backblaze B2     {}", stage.store.endpoint())?;
    writeln!(out, "fake Zoom             http://{}", stage.zoom.hosts()[0])?;
    writeln!(out, "a site that is told   {}", stage.site.url())?;
    out.flush()
}

/// Shows what the site hears until so many videos are where they belong, or for ever.
async fn show(
    stage: &mut Stage,
    out: &mut impl Write,
    clock: &Stopwatch,
    videos: Option<usize>,
) -> anyhow::Result<()> {
    let mut seen = 0;
    while videos.is_none_or(|videos| distributed(stage).len() < videos) {
        for heard in stage.site.heard(seen) {
            seen += 1;
            write_heard(out, clock, &heard)?;
        }
        if let Some(status) = stage.ended()? {
            bail!("the server ended with {status}:\n{}", stage.logged());
        }
        tokio::time::sleep(LOOK).await;
    }
    for heard in stage.site.heard(seen) {
        write_heard(out, clock, &heard)?;
    }
    Ok(())
}

fn write_heard(out: &mut impl Write, clock: &Stopwatch, heard: &Heard) -> std::io::Result<()> {
    let about = heard.data["video"]["title"].as_str().or(heard.data["payload"]["host"].as_str());
    let (s, about) = (clock.elapsed_ms() / 1_000, plain(about.unwrap_or_default()));
    writeln!(out, "{s:>4} s  {:<22} {about}", heard.topic)?;
    out.flush()
}

/// What was told of each video that is where it belongs.
fn distributed(stage: &Stage) -> Vec<Value> {
    let told = stage.site.heard(0).into_iter();
    told.filter(|heard| heard.topic == Topic::VideoDistributed.name()).map(|heard| heard.data).collect()
}

/// Says where everything is.
fn tell(stage: &Stage, out: &mut impl Write) -> std::io::Result<()> {
    for told in distributed(stage) {
        writeln!(out, "{}", plain(told["video"]["title"].as_str().unwrap_or_default()))?;
        for copy in told["archive"].as_array().into_iter().flatten() {
            let text = |key: &str| copy[key].as_str().unwrap_or_default();
            writeln!(out, "  {:<11} {}  sha1 {}", text("store"), text("url"), text("sha1"))?;
        }
        for publication in told["publications"].as_array().into_iter().flatten() {
            let text = |key: &str| publication[key].as_str().unwrap_or_default();
            let hls = publication["playback"]["hls"].as_str().unwrap_or_default();
            writeln!(out, "  {:<11} {}  {hls}", text("host"), text("remote_id"))?;
        }
    }
    let held = stage.store.inventory();
    writeln!(
        out,
        "the fakes hold {} files of {} bytes, {} videos at Bunny and {} at Cloudflare",
        held.objects,
        held.bytes,
        stage.bunny.there().len(),
        stage.cloudflare.there().len()
    )?;
    let odd = stage.bunny.frame().unknown().len()
        + stage.cloudflare.frame().unknown().len()
        + stage.store.unexpected().len()
        + stage.zoom.complaints().len();
    writeln!(out, "calls that the real services would not have understood: {odd}")
}
