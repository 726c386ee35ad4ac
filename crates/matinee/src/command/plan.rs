//! `matinee plan FILE`: what would be made of it, and what that would cost, without doing it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use matinee_core::pipeline::Template;
use matinee_core::plan::{Codec, Plan, Rendition, Seek, SoundCodec, Track};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::text::{self, Column, plain, table};
use super::token::App;
use crate::config::{self, Config, Flags};
use crate::flow::fault::Fault;
use crate::flow::plan::{self, Foreseen};
use crate::flow::{Failure, pipeline};
use crate::http::view::{Cost, note_words};
use crate::node;

const EXAMPLES: &str = "Examples:
  matinee plan film.mkv
  matinee plan film.mkv --pipeline cinema
  matinee plan film.mkv --pipeline cinema@2 --json

A pipeline is looked up where a server here would look: in the configuration, then among those that the
app wrote. For these the data folder is opened, also while a server works on it; where there is none,
only the configuration counts. A server on another machine says the same by POST /v1/videos/{id}/plan.";

/// How the command is called.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The file; it is only read
    file: PathBuf,
    /// The pipeline by its name; NAME@VERSION is one of the versions that an app wrote
    #[arg(long, value_name = "NAME[@VERSION]", default_value = matinee_core::pipeline::DEFAULT)]
    pipeline: String,
    #[command(flatten)]
    of: App,
    /// Answers in JSON: the whole plan, with its chunks
    #[arg(long)]
    json: bool,
}

/// Plans the file as a server here would, and shows the plan.
pub(crate) async fn run(
    flags: &Flags,
    arguments: &Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let config = config::load(flags)?;
    let template = template(flags, &config, arguments).await?;
    let pipeline = &template.pipeline;
    let file = std::fs::canonicalize(&arguments.file)
        .map_err(|error| anyhow::anyhow!("{}: {error}", arguments.file.display()))?;
    let planned = async {
        let ffmpeg = plan::programs(node::programs(&config, Path::new("/proc/self/exe"))).await?;
        let capabilities = node::capabilities(&config, Some(&ffmpeg));
        let foreseen =
            plan::foresee(&ffmpeg, &file, pipeline, (&capabilities, &CancellationToken::new())).await?;
        Ok::<_, Fault>((foreseen, node::slots(&config)))
    };
    let (foreseen, slots) = match planned.await {
        Ok(planned) => planned,
        Err(fault) if arguments.json => {
            writeln!(out, "{}", json!({ "refused": fault.problem }))?;
            return Ok(ExitCode::from(super::ERROR));
        }
        Err(fault) => {
            super::write_problem(out, "", &fault.problem)?;
            return Ok(ExitCode::from(super::ERROR));
        }
    };
    if arguments.json {
        let told = json!({
            "pipeline": pipeline, "version": template.version, "probe": foreseen.probe, "plan": foreseen.plan, "unfit": foreseen.unfit, "as_is": foreseen.as_is,
            "cost": Cost::of(&foreseen, &config.prices),
        });
        writeln!(out, "{told}")?;
    } else {
        write(out, &foreseen, &template, slots)?;
        if let Some(cost) = config.prices.of(&foreseen.plan.estimate) {
            write_cost(out, cost, &config.prices.currency)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the name means here.
async fn template(flags: &Flags, config: &Config, arguments: &Arguments) -> anyhow::Result<Template> {
    let (name, version) = named(&arguments.pipeline)?;
    if let matinee_io::db::Config::Sqlite(file) = config.database()?
        && !file.exists()
    {
        let all = config.pipelines();
        let known: Vec<String> = all.iter().map(|one| one.name.clone()).collect();
        let found = all.into_iter().find(|one| one.name == name && version.is_none());
        let found = found.map(|pipeline| Template { version: None, pipeline });
        return found.ok_or_else(|| {
            let (asked, known) = (plain(&arguments.pipeline), known.join(", "));
            anyhow::anyhow!("there is no pipeline `{asked}`. Known here: {known}.")
        });
    }
    let node = super::open_stored(flags).await?;
    let app = super::app::found(&node, &arguments.of.app).await?;
    let app = app.ok_or_else(|| anyhow::anyhow!("there is no app `{}`", plain(&arguments.of.app)))?;
    match pipeline::template(&node, app.id, (name, version)).await {
        Err(Failure::Refused { human, .. }) => Err(anyhow::anyhow!(plain(&human))),
        found => Ok(found?),
    }
}

/// `NAME` or `NAME@VERSION`.
fn named(text: &str) -> anyhow::Result<(&str, Option<u32>)> {
    let Some((name, version)) = text.split_once('@') else { return Ok((text, None)) };
    let version = version.parse().map_err(|_| {
        anyhow::anyhow!("`{}` is no pipeline; write NAME, or NAME@VERSION such as cinema@2", plain(text))
    })?;
    Ok((name, Some(version)))
}

fn write(out: &mut impl Write, foreseen: &Foreseen, by: &Template, slots: u32) -> anyhow::Result<()> {
    let Foreseen { plan, unfit, .. } = foreseen;
    let length = text::length(u64::try_from(plan.duration_us / 1_000).unwrap_or_default());
    writeln!(out, "source     {}", source(foreseen, &length))?;
    match (unfit, plan.remux) {
        (None, _) => writeln!(out, "at once    playable from its own bytes, as soon as it is there")?,
        (Some(why), None) => writeln!(out, "at once    no: {why}; playable with the first encoded chunk")?,
        (Some(why), Some(_)) => {
            writeln!(out, "at once    no: {why}; copied into Matroska first, so that chunks can seek")?;
        }
    }
    for note in &plan.notes {
        writeln!(out, "note       {}", note_words(*note))?;
    }
    let version = by.version.map(|version| format!(", version {version}")).unwrap_or_default();
    writeln!(out, "pipeline   {}{version}", by.pipeline.name)?;
    if foreseen.as_is {
        writeln!(out, "encoding   none: the pipeline leaves as it is what browsers can play")?;
        return Ok(());
    }
    writeln!(out)?;
    let usual = plan.video.iter().flat_map(|video| &video.renditions);
    let behind = plan.video.iter().flat_map(|video| &video.background).flat_map(|family| &family.renditions);
    let sounds = |background: bool| {
        let of = move |track: &&Track| (track.codec != SoundCodec::Aac) == background;
        plan.audio.iter().filter(of).map(sound_row)
    };
    let rows: Vec<Vec<String>> = usual
        .map(|one| picture_row(one, plan))
        .chain(sounds(false))
        .chain(behind.map(|one| picture_row(one, plan)))
        .chain(sounds(true))
        .collect();
    table(
        out,
        &[
            Column("RENDITION", false),
            Column("SIZE", true),
            Column("FRAMES/S", true),
            Column("AT MOST", true),
            Column("ENCODER", false),
        ],
        &rows,
    )?;
    writeln!(out)?;
    costs(out, plan, slots)
}

fn source(foreseen: &Foreseen, length: &str) -> String {
    let Foreseen { probe, plan, .. } = foreseen;
    let mut parts = vec![format!("a .{} file of {length}", probe.container.ending())];
    if let (Some(stream), Some(video)) = (&probe.video, &plan.video) {
        let (width, height) = stream.displayed();
        parts.push(format!("{} {width}x{height} at {}", plain(&stream.codec), rate(video.rate, 1)));
        if stream.rotation_degrees != 0 {
            parts.push(format!("turned by {} degrees", stream.rotation_degrees));
        }
        if stream.interlaced {
            parts.push("interlaced".to_owned());
        }
        if stream.high_dynamic_range() {
            parts.push("high dynamic range, brought down to BT.709".to_owned());
        }
    }
    if probe.audio.is_empty() {
        parts.push("no sound".to_owned());
    }
    parts.join(", ")
}

fn write_cost(out: &mut impl Write, cost: matinee_core::price::Cost, currency: &str) -> std::io::Result<()> {
    let currency = plain(currency);
    if let Some(encode) = cost.encode {
        writeln!(out, "cost       about {encode:.4} {currency} to encode")?;
    }
    if let Some(month) = cost.month {
        writeln!(out, "           at most {month:.4} {currency} a month to store")?;
    }
    Ok(())
}

/// Frames per second as people write them, of every n-th frame.
fn rate(rate: matinee_core::plan::Rate, every: u32) -> String {
    let hundredths = u64::from(rate.num) * 100 / (u64::from(rate.den) * u64::from(every.max(1)));
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn bits(kbps: u32) -> String {
    if kbps >= 1_000 {
        format!("{}.{} Mbit/s", kbps / 1_000, kbps % 1_000 / 100)
    } else {
        format!("{kbps} kbit/s")
    }
}

fn picture_row(one: &Rendition, plan: &Plan) -> Vec<String> {
    let grid = plan.video.as_ref().map(|video| rate(video.rate, one.every)).unwrap_or_default();
    vec![
        one.id.clone(),
        format!("{}x{}", one.width, one.height),
        grid,
        bits(one.max_kbps),
        match one.codec {
            Codec::H264 => format!("x264 {} crf {}", one.preset.name(), one.crf),
            Codec::Vp9 => format!("VP9 crf {}, in the background", one.crf),
            Codec::Av1 => format!("AV1 crf {}, in the background", one.crf),
            Codec::Hevc => format!("HEVC crf {}, in the background", one.crf),
        },
    ]
}

fn sound_row(one: &Track) -> Vec<String> {
    let language =
        if one.language.is_empty() { String::new() } else { format!(" ({})", plain(&one.language)) };
    vec![
        format!("{}{language}", one.id),
        format!("{} channels", one.channels),
        String::new(),
        bits(one.kbps),
        match one.codec {
            SoundCodec::Aac => format!("AAC at {} kHz", one.rate_hz / 1_000),
            SoundCodec::Opus => "Opus, in the background".to_owned(),
        },
    ]
}

fn costs(out: &mut impl Write, plan: &Plan, slots: u32) -> anyhow::Result<()> {
    let chunks = plan.video.as_ref().map_or(0, |video| video.chunks.len());
    let sought = plan.video.iter().flat_map(|video| &video.chunks);
    let sought = sought.filter(|chunk| matches!(chunk.seek, Seek::Key { .. })).count();
    if chunks > 0 {
        writeln!(out, "chunks     {} ({sought} begin by a seek)", text::count(chunks, "chunk"))?;
    }
    let cpu_ms = plan.estimate.cpu_ms;
    let together = u64::from(slots.max(1)).min(u64::try_from(chunks.max(1)).unwrap_or(1));
    writeln!(
        out,
        "encoding   about {} of one core; about {} here, {} at a time",
        text::length(cpu_ms),
        text::length(cpu_ms / together),
        text::count(usize::try_from(together).unwrap_or(1), "chunk"),
    )?;
    if plan.estimate.background_cpu_ms > 0 {
        let length = text::length(plan.estimate.background_cpu_ms);
        writeln!(out, "background about {length} of one core more, when nothing else is to be done")?;
    }
    writeln!(
        out,
        "memory     about {} for each chunk that is encoded at the same time",
        text::size(plan.estimate.memory_bytes)
    )?;
    writeln!(
        out,
        "storage    at most {} besides the source, at the caps above",
        text::size(plan.estimate.output_bytes)
    )?;
    Ok(())
}
