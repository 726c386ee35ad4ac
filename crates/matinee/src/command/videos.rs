//! `matinee ls` and `matinee show`: what is there.

use std::io::Write;
use std::process::ExitCode;

use matinee_core::id::VideoId;
use matinee_core::ledger;
use matinee_core::video::{Medium, RenditionState, State};
use serde_json::json;

use super::text::{Column, ago, length, moment, plain, short, size, table, took};
use super::{Form, lock, progress, write_problem};
use crate::config::Flags;
use crate::flow::Failure;
use crate::flow::catalogue::{self, Held};
use crate::flow::play;
use crate::flow::video::{self, Rendition, Wanted, Whole};
use crate::http::request::External;
use crate::http::view;
use crate::node::Node;

/// What to list.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  matinee ls\n  matinee ls --state failed\n  matinee ls --quiet --limit 1000 | wc -l"
)]
pub(crate) struct ListArguments {
    /// Only videos in this state
    #[arg(long, value_name = "STATE", value_parser = ["processing", "ready", "failed"])]
    state: Option<String>,
    /// Only videos with this text in the title
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    form: Form,
}

/// What to show.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  matinee show vid_01k...\n  matinee show vid_01k... --timeline --objects\n  matinee show vid_01k... --json | jq .playback.hls"
)]
pub(crate) struct ShowArguments {
    /// The video's id, as `matinee ls` prints it
    #[arg(value_name = "ID")]
    id: VideoId,
    /// Also what happened to it, in order
    #[arg(long)]
    timeline: bool,
    /// Also every object that is stored of it
    #[arg(long)]
    objects: bool,
    #[command(flatten)]
    form: Form,
}

/// Lists videos.
pub(crate) async fn list(
    flags: &Flags,
    arguments: &ListArguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let node = super::open_stored(flags).await?;
    let state = arguments.state.as_deref();
    let state = view::VIDEO_STATES.iter().find(|(word, _)| Some(*word) == state).map(|(_, state)| *state);
    let wanted = Wanted { state, search: arguments.search.clone(), before: None, limit: arguments.limit };
    let videos = video::list(&node, node.defaults.app, wanted).await?;
    if arguments.form.json {
        for whole in &videos {
            writeln!(out, "{}", as_json(&node, whole)?)?;
        }
    } else if arguments.form.quiet {
        for whole in &videos {
            writeln!(out, "{}", whole.video.id)?;
        }
    } else if videos.is_empty() {
        writeln!(out, "No videos. Bring one in with `matinee import FILE`, or drop it on the page.")?;
    } else {
        let columns = [
            ("ID", false),
            ("STATE", false),
            ("LENGTH", true),
            ("SIZE", true),
            ("CAME", true),
            ("TITLE", false),
        ];
        let rows: Vec<_> = videos.iter().map(row).collect();
        table(out, &columns.map(|(title, right)| Column(title, right)), &rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(whole: &Whole) -> Vec<String> {
    let video = &whole.video;
    vec![
        video.id.to_string(),
        state(whole),
        video.duration_ms.map(length).unwrap_or_default(),
        source_size(whole),
        ago(matinee_io::clock::now(), video.created),
        short(&video.title, 60),
    ]
}

/// The state in words: a video can be watched long before it is ready.
fn state(whole: &Whole) -> String {
    match (whole.video.state, whole.video.is_playable()) {
        (State::Processing, false) => "processing".to_owned(),
        (State::Processing, true) => {
            format!("playable, {:.0} %", view::ribbon(whole).overall * 100.0)
        }
        (State::Ready, _) => "ready".to_owned(),
        (State::Failed, _) => "failed".to_owned(),
    }
}

/// Of a video that was refused nothing is kept.
fn source_size(whole: &Whole) -> String {
    match (whole.video.state, whole.source_bytes) {
        (State::Failed, 0) => "none".to_owned(),
        (State::Processing | State::Ready | State::Failed, bytes) => size(bytes),
    }
}

/// The same JSON as the API's.
pub(crate) fn as_json(node: &Node, whole: &Whole) -> anyhow::Result<serde_json::Value> {
    let served =
        || lock::address_of(&node.config.data).unwrap_or_else(|| format!("http://{}", node.config.listen));
    let url = node.config.public_url.clone().unwrap_or_else(served);
    let external = External::of(url.trim_end_matches('/').to_owned());
    let playback = play::playback(node, whole, play::Asker::Owner);
    let shown = view::Video::of(whole, playback.as_ref(), &external, view::Reach::Owner);
    Ok(serde_json::to_value(shown)?)
}

/// Shows one video.
pub(crate) async fn show(
    flags: &Flags,
    arguments: &ShowArguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let node = super::open_stored(flags).await?;
    let app = node.defaults.app;
    let whole = match video::show(&node, Some(app), arguments.id).await {
        Err(Failure::Absent) => {
            super::complain(&format!(
                "matinee: there is no video {}. `matinee ls` lists them.",
                arguments.id
            ));
            return Ok(ExitCode::from(super::NOT_FOUND));
        }
        found => found?,
    };
    let objects =
        if arguments.objects { Some(catalogue::objects(&node, app, arguments.id).await?) } else { None };
    let timeline = if arguments.timeline {
        let history = video::timeline(&node, app, arguments.id).await?;
        Some(serde_json::to_value(view::Timeline::from(history))?["items"].take())
    } else {
        None
    };
    if arguments.form.json {
        let mut value = as_json(&node, &whole)?;
        if let Some(objects) = &objects {
            value["objects"] = objects.iter().map(object_json).collect();
        }
        if let Some(timeline) = timeline {
            value["timeline"] = timeline;
        }
        writeln!(out, "{value}")?;
    } else if !arguments.form.quiet {
        write_whole(out, &whole, &as_json(&node, &whole)?)?;
        if let Some(objects) = &objects {
            write_objects(out, objects)?;
        }
        if let Some(timeline) = &timeline {
            write_timeline(out, timeline)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write_whole(out: &mut impl Write, whole: &Whole, shown: &serde_json::Value) -> std::io::Result<()> {
    let video = &whole.video;
    writeln!(out, "{}", plain(&video.title))?;
    writeln!(out, "  id        {}", video.id)?;
    writeln!(out, "  state     {}", state(whole))?;
    writeln!(out, "  steps     {}", progress::steps(&view::ribbon(whole)))?;
    if let Some(outlook) = &whole.outlook {
        let speed = outlook.speed.map(|speed| format!(", {speed:.1}x")).unwrap_or_default();
        writeln!(out, "  ready     in about {}{speed}", took(outlook.left_ms))?;
    }
    if let Some(duration_ms) = video.duration_ms {
        writeln!(out, "  length    {}", length(duration_ms))?;
    }
    let age = ago(matinee_io::clock::now(), video.created);
    writeln!(out, "  came      {} UTC, {age}", moment(video.created))?;
    writeln!(out, "  source    {}{}", source_size(whole), source(&shown["source"]))?;
    if let Some(hls) = shown["playback"]["hls"].as_str() {
        writeln!(out, "  hls       {hls}")?;
    }
    if let Some(reason) = &video.reason {
        writeln!(out)?;
        write_problem(out, "  ", reason)?;
    }
    if let Some(damaged) = video.damaged.as_ref().map(view::Reason::stored) {
        writeln!(out, "\n  {} [{}]\n  {}", plain(&damaged.human), damaged.code, plain(&damaged.fix))?;
    }
    let encoded: Vec<&Rendition> =
        whole.renditions.iter().filter(|track| track.generation == video.encoding).collect();
    if encoded.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let columns =
        [("  RENDITION", false), ("STATE", false), ("PICTURE", true), ("FILE", true), ("CODEC", false)];
    let rows: Vec<_> = encoded.into_iter().map(rendition_row).collect();
    table(out, &columns.map(|(title, right)| Column(title, right)), &rows)
}

/// `, h264 854x480 at 24 fps, aac` from the API's JSON.
fn source(source: &serde_json::Value) -> String {
    let picture = source["video"].as_object().map(|video| {
        let codec = video["codec"].as_str().unwrap_or_default();
        format!(", {codec} {}x{} at {} fps", video["width"], video["height"], video["frame_rate"])
    });
    let sound = source["audio"]["codec"].as_str().map(|codec| format!(", {codec}"));
    plain(&(picture.unwrap_or_default() + &sound.unwrap_or_default()))
}

fn rendition_row(track: &Rendition) -> Vec<String> {
    let state = match track.state {
        RenditionState::Waiting => "waiting".to_owned(),
        RenditionState::Encoding => "encoding".to_owned(),
        RenditionState::Ready => "ready".to_owned(),
        RenditionState::Failed => match &track.reason {
            Some(reason) => format!("failed: {}", reason.code),
            None => "failed".to_owned(),
        },
    };
    let picture = match track.medium {
        Medium::Video => {
            format!("{}x{}", track.shape.width.unwrap_or_default(), track.shape.height.unwrap_or_default())
        }
        Medium::Audio => {
            let language = track.shape.language.as_deref().unwrap_or_default();
            plain(format!("sound {language}").trim())
        }
    };
    let file = track.file_bytes.filter(|_| track.medium == Medium::Video).map(size);
    let codec = track.shape.codec.clone();
    vec![format!("  {}", track.name), state, picture, file.unwrap_or_default(), codec.unwrap_or_default()]
}

/// The word for what an object is for.
fn kind(held: &Held) -> String {
    word(serde_json::to_value(held.entry.kind))
}

fn word(value: serde_json::Result<serde_json::Value>) -> String {
    value.ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn object_json(held: &Held) -> serde_json::Value {
    let entry = &held.entry;
    json!({
        "id": entry.object.to_string(),
        "kind": entry.kind,
        "state": entry.state,
        "place": entry.place,
        "size_bytes": held.bytes,
        "reason": entry.reason,
        "last_error": entry.last_error,
    })
}

fn write_objects(out: &mut impl Write, objects: &[Held]) -> std::io::Result<()> {
    writeln!(out)?;
    let columns = [("  OBJECT", false), ("KIND", false), ("SIZE", true), ("STATE", false), ("STORE", false)];
    let rows: Vec<_> = objects
        .iter()
        .map(|held| {
            let bytes = match (held.bytes, held.entry.state) {
                (Some(bytes), _) => size(bytes),
                (None, ledger::State::Present) => "missing".to_owned(),
                (None, ledger::State::Intended | ledger::State::ToDelete | ledger::State::Gone) => {
                    String::new()
                }
            };
            let state = word(serde_json::to_value(held.entry.state)).replace('_', " ");
            vec![format!("  {}", held.entry.object), kind(held), bytes, state, held.entry.place.clone()]
        })
        .collect();
    table(out, &columns.map(|(title, right)| Column(title, right)), &rows)
}

fn write_timeline(out: &mut impl Write, items: &serde_json::Value) -> std::io::Result<()> {
    writeln!(out)?;
    for item in items.as_array().into_iter().flatten() {
        let at = item["at"].as_str().unwrap_or_default();
        let (day, clock) = (at.get(..10).unwrap_or(at), at.get(11..19).unwrap_or_default());
        writeln!(out, "  {day} {clock}  {}", plain(item["human"].as_str().unwrap_or_default()))?;
    }
    Ok(())
}
