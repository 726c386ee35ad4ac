//! The status of an assembly: one document for its page, for who asks, and for who is told.

use matinee_core::assembly::steps::{Output, Step, fitting, nearest};
use matinee_core::assembly::{Code, Notice, Standing, State};
use matinee_core::calendar::time;
use matinee_core::hash;
use matinee_core::pipeline::Moment;
use matinee_core::upload::Phase;
use matinee_core::video::{Medium, UNMARKED};
use matinee_io::db::assembly::Assembly;
use serde_json::{Map, Value, json};

use super::Seen;
use crate::flow::play::{self, Asker, Download, Playback};
use crate::flow::whole::Whole;
use crate::node::Node;

/// The file as it came, among the downloads.
const SOURCE: &str = "source";

/// All that is told of an assembly.
pub(super) fn document(node: &Node, of: &Assembly, seen: &[Seen]) -> Value {
    let url = format!("{}/assemblies/{}", of.base, of.id);
    let mut told = json!({
        "assembly_id": of.id,
        "assembly_url": url,
        "assembly_ssl_url": url,
        "websocket_url": format!("{}/assemblies/events", of.base),
        "update_stream_url": format!("{}/assemblies/events?assembly={}", of.base, of.id),
        "tus_url": format!("{url}/files"),
        "companion_url": Value::Null,
        "instance": "matinee",
        "bytes_expected": sum(seen, |one| one.file.new.bytes.unwrap_or(one.file.offset)),
        "bytes_received": sum(seen, |one| one.file.offset),
        "expected_tus_uploads": of.expected,
        "started_tus_uploads": seen.len(),
        "finished_tus_uploads": seen.iter().filter(|one| one.file.phase == Phase::Finished).count(),
        "tus_uploads": seen.iter().map(|one| arriving(of, one)).collect::<Vec<_>>(),
        "uploads": uploads(node, of, seen),
        "results": results(node, of, seen),
        "fields": of.fields,
        "params": of.params,
        "template_id": of.template,
        "notify_url": of.notify_url,
        "notify_status": notified(of.notice),
        "notify_response_code": of.notice_status,
        "notify_duration": of.notice_took_ms.map(seconds),
        "start_date": time(of.created),
        "execution_start": of.executing.or(of.ended).map(time),
        "execution_duration": of.executing.zip(of.ended).map(|(from, to)| seconds(to.since(from).unsigned_abs())),
        "last_job_completed": of.ended.map(time),
        "executing_jobs": [],
        "warnings": [],
        "upload_meta_data_extracted": is_examined(of, seen),
        "merged_params": of.params,
    });
    let Value::Object(all) = &mut told else { unreachable!("because it was written as an object") };
    if let Some(ok) = of.state.ok() {
        all.insert("ok".to_owned(), ok.into());
        all.insert("message".to_owned(), message(of.state).into());
        return told;
    }
    let problem = of.problem.as_ref();
    let late = problem.is_some_and(|problem| problem.code == "assembly_expired");
    let code = if late { Code::Late } else { Code::Crashed };
    all.insert("error".to_owned(), code.word().into());
    all.insert("reason".to_owned(), json!(problem.map(|problem| &problem.code)));
    let human = problem.map_or("The assembly failed.", |problem| &problem.human);
    all.insert("message".to_owned(), human.into());
    told
}

const fn message(state: State) -> &'static str {
    match state {
        State::Uploading => "The Assembly is still in the process of being uploaded.",
        State::Executing => "The Assembly is currently being executed.",
        State::Completed => "The Assembly was successfully completed.",
        State::Canceled => "The Assembly was canceled.",
        State::Failed => "The Assembly failed.",
    }
}

const fn notified(notice: Notice) -> Option<&'static str> {
    match notice {
        Notice::Off => None,
        Notice::Waiting => Some("waiting"),
        Notice::Delivered => Some("successful"),
        Notice::Failed => Some("failed"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of any life are exact in an f64")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

fn sum(seen: &[Seen], of: impl Fn(&Seen) -> u64) -> u64 {
    seen.iter().map(of).sum()
}

/// Was every file that comes looked at?
pub(super) fn is_examined(of: &Assembly, seen: &[Seen]) -> bool {
    let examined = |one: &Seen| {
        let known = |whole: &Whole| whole.video.probe.is_some() || whole.video.playable.is_some();
        one.standing == Standing::GivenUp || one.whole.as_ref().is_some_and(known)
    };
    of.state != State::Uploading && seen.iter().all(examined)
}

fn arriving(of: &Assembly, one: &Seen) -> Value {
    let new = &one.file.new;
    json!({
        "filename": new.name, "fieldname": new.field, "user_meta": new.meta, "size": new.bytes,
        "offset": one.file.offset, "finished": one.file.phase == Phase::Finished, "upload_url": sent_to(of, one),
    })
}

/// Was it sent, and not fetched?
fn is_sent(of: &Assembly, one: &Seen) -> bool {
    sent_by(of).is_some_and(|name| name == one.file.new.step)
}

/// The step that takes what is sent.
pub(super) fn sent_by(of: &Assembly) -> Option<String> {
    let takes = |step: &Step| step.output == Output::Source { fetched: false };
    steps(of).into_iter().find(takes).map(|step| step.name)
}

/// Where it was sent to; nothing for one that was fetched.
fn sent_to(of: &Assembly, one: &Seen) -> Option<String> {
    let key = one.file.url_key.as_ref().filter(|_| is_sent(of, one))?;
    Some(format!("{}/files/{key}", of.base))
}

/// The files that are here, in the order in which they came: who asks again finds those that are new behind the others.
fn uploads(node: &Node, of: &Assembly, seen: &[Seen]) -> Vec<Value> {
    let mut placed: Vec<(u32, &Seen)> = seen.iter().filter_map(|one| Some((one.file.place?, one))).collect();
    placed.sort_unstable_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, one)| upload(node, of, one)).collect()
}

/// A file as it came.
pub(super) fn upload(node: &Node, of: &Assembly, one: &Seen) -> Value {
    let whole = one.whole.as_ref();
    let playback = whole.and_then(|whole| play::playback(node, whole, Asker::Owner));
    let source =
        playback.as_ref().and_then(|playback| playback.downloads.iter().find(|file| file.id == SOURCE));
    let made = Made {
        name: one.file.new.name.clone(),
        path: source.map(|source| source.path.clone()),
        bytes: one.file.new.bytes.or(Some(one.file.offset)),
        meta: whole.map_or_else(|| json!({}), facts),
    };
    shown(of, one, ("", 0), made)
}

/// What the probe has found.
fn facts(whole: &Whole) -> Value {
    let probe = whole.video.probe.as_ref();
    let picture = |name: &str| probe.and_then(|probe| probe.pointer(&format!("/video/{name}"))).cloned();
    json!({
        "duration": whole.video.duration_ms.map(seconds), "width": picture("width"), "height": picture("height"),
        "video_codec": picture("codec"),
        "audio_codec": probe.and_then(|probe| probe.pointer("/audio/0/codec")),
    })
}

/// What all steps have made, by their names.
fn results(node: &Node, of: &Assembly, seen: &[Seen]) -> Value {
    let mut all = Map::new();
    let mut done: Vec<&Seen> = seen.iter().filter(|one| one.standing == Standing::Done).collect();
    done.sort_unstable_by_key(|one| one.file.place);
    for step in steps(of).iter().filter(|step| step.shown) {
        let files: Vec<Value> = done.iter().flat_map(|one| of_step(node, of, one, step)).collect();
        if !files.is_empty() {
            all.insert(step.name.clone(), files.into());
        }
    }
    Value::Object(all)
}

/// The steps as they were read when the assembly was made.
pub(super) fn steps(of: &Assembly) -> Vec<Step> {
    serde_json::from_value(of.steps.clone()).unwrap_or_default()
}

/// A file that is shown.
struct Made {
    name: String,
    path: Option<String>,
    bytes: Option<u64>,
    meta: Value,
}

/// What a step has made of a file.
pub(super) fn of_step(node: &Node, of: &Assembly, one: &Seen, step: &Step) -> Vec<Value> {
    let Some(whole) = &one.whole else { return Vec::new() };
    let Some(playback) = play::playback(node, whole, Asker::Owner) else { return Vec::new() };
    let named = |ending: &str| format!("{}.{ending}", parts(&one.file.new.name).0);
    let made = match &step.output {
        // Who brought the file in shows it; others of the kind did not.
        Output::Source { .. } if step.name != one.file.new.step => Vec::new(),
        Output::Source { .. } => {
            let source = playback.downloads.iter().find(|file| file.id == SOURCE);
            let (path, bytes) = (source.map(|file| file.path.clone()), source.map(|file| file.bytes));
            vec![Made { name: one.file.new.name.clone(), path, bytes, meta: facts(whole) }]
        }
        Output::Encoded { size, plain } => {
            let file = chosen(&playback.downloads, (*size, *plain));
            file.map(|file| encoded(whole, file, named("mp4"))).into_iter().collect()
        }
        Output::Thumbs { at, width, height } => {
            let pictures = Pictures { whole, playback: &playback, at, most: (*width, *height) };
            pictures.made(is_poster(of, step), &named("jpg"))
        }
        Output::Playlist { dash } => {
            let (path, ending) =
                if *dash { (playback.dash.clone(), "mpd") } else { (Some(playback.hls.clone()), "m3u8") };
            vec![Made {
                name: named(ending),
                path,
                bytes: None,
                meta: json!({ "duration": playback.duration }),
            }]
        }
        Output::Stored { .. } => Vec::new(),
    };
    (0..).zip(made).map(|(number, made)| shown(of, one, (&step.name, number), made)).collect()
}

/// The file of the wanted size, with or without the mark.
fn chosen(files: &[Download], (size, plain): (Option<u32>, bool)) -> Option<&Download> {
    let short = |file: &Download| file.id.rsplit('-').next()?.parse::<u32>().ok();
    let of = |kind: &str| -> Vec<(u32, &Download)> {
        let files = files.iter().filter(|file| file.id.starts_with(kind));
        files.filter_map(|file| Some((short(file)?, file))).collect()
    };
    let unmarked = if plain { of(UNMARKED) } else { Vec::new() };
    let all = if unmarked.is_empty() { of("h264-") } else { unmarked };
    let sizes: Vec<u32> = all.iter().map(|(short, _)| *short).collect();
    nearest(size, &sizes).map(|at| all[at].1)
}

fn encoded(whole: &Whole, file: &Download, name: String) -> Made {
    let row =
        whole.renditions.iter().find(|row| row.name == file.id && row.generation == whole.video.encoding);
    let shape = row.map(|row| &row.shape);
    let meta = json!({
        "duration": whole.video.duration_ms.map(seconds),
        "width": shape.and_then(|shape| shape.width), "height": shape.and_then(|shape| shape.height),
        "framerate": shape.and_then(|shape| shape.rate).map(|(num, den)| f64::from(num) / f64::from(den.max(1))),
        "video_codec": "h264", "audio_codec": "aac",
    });
    Made { name, path: Some(file.path.clone()), bytes: Some(file.bytes), meta }
}

/// The poster is made for the first step that wants one picture.
fn is_poster(of: &Assembly, step: &Step) -> bool {
    let single = |step: &&Step| matches!(&step.output, Output::Thumbs { at, .. } if at.len() == 1);
    steps(of).iter().find(single).is_some_and(|first| first.name == step.name)
}

/// Pictures of moments.
struct Pictures<'p> {
    whole: &'p Whole,
    playback: &'p Playback,
    at: &'p [Moment],
    most: (u32, u32),
}

impl Pictures<'_> {
    fn made(&self, poster: bool, name: &str) -> Vec<Made> {
        let pictures = self.whole.renditions.iter().filter(|row| row.medium == Medium::Video);
        let sized = pictures.filter_map(|row| row.shape.width.zip(row.shape.height)).max();
        // Nothing is enlarged.
        let width =
            fitting(self.most, sized.unwrap_or(self.most)).min(sized.map_or(u32::MAX, |(wide, _)| wide));
        let height = sized.map(|(wide, tall)| u64::from(width) * u64::from(tall) / u64::from(wide.max(1)));
        let duration_us = self.whole.video.duration_ms.unwrap_or_default().saturating_mul(1_000);
        let made = |(number, at): (usize, &Moment)| {
            let at_s = seconds(at.of(i64::try_from(duration_us).unwrap_or(i64::MAX)).unsigned_abs() / 1_000);
            let still = self.playback.thumbnail.as_ref().map(|path| format!("{path}?t={at_s}&w={width}"));
            let path = if poster { self.playback.poster.clone() } else { still };
            let name = match number {
                0 => name.to_owned(),
                number => format!("{}_{number}.jpg", parts(name).0),
            };
            path.map(|path| Made {
                name,
                path: Some(path),
                bytes: None,
                meta: json!({ "width": width, "height": height, "thumb_index": number, "thumb_offset": at_s }),
            })
        };
        self.at.iter().enumerate().filter_map(made).collect()
    }
}

/// A file as it is told; its id is the same whoever tells it, and whenever.
fn shown(of: &Assembly, one: &Seen, (step, number): (&str, usize), made: Made) -> Value {
    let id = |step: &str, number: usize| {
        let seed = format!("{}\n{}\n{step}\n{number}", of.id, one.file.new.upload);
        hash::hex(&hash::of(seed.as_bytes())[..16])
    };
    let (basename, ext) = parts(&made.name);
    let (original, _) = parts(&one.file.new.name);
    let url = made.path.map(|path| format!("{}{path}", of.base));
    json!({
        "id": id(step, number), "name": made.name, "basename": basename, "ext": ext, "size": made.bytes,
        "mime": mime(ext), "type": mime(ext).split('/').next(), "field": one.file.new.field, "md5hash": Value::Null,
        "original_id": id("", 0), "original_name": one.file.new.name, "original_basename": original,
        "url": url, "ssl_url": url, "meta": made.meta, "user_meta": one.file.new.meta,
        "is_tus_file": is_sent(of, one), "tus_upload_url": sent_to(of, one), "cost": 0, "queue": Value::Null,
        "queue_time": 0, "exec_time": 0, "video_id": one.file.new.video,
    })
}

/// A file name before and behind its last dot.
fn parts(name: &str) -> (&str, &str) {
    name.rsplit_once('.').filter(|(before, _)| !before.is_empty()).unwrap_or((name, ""))
}

fn mime(ext: &str) -> &'static str {
    match ext.to_ascii_lowercase().as_str() {
        "mp4" | "m4v" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        "mkv" => "video/x-matroska",
        "jpg" | "jpeg" => "image/jpeg",
        "m3u8" => "application/vnd.apple.mpegurl",
        "mpd" => "application/dash+xml",
        _ => "application/octet-stream",
    }
}
