//! Videos as JSON: the row, its renditions and its progress.

use matinee_core::job::Task;
use matinee_core::language;
use matinee_core::plan::Probe;
use matinee_core::ribbon::Ribbon;
use matinee_core::video::{Medium, Policy, RenditionState, State};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::forecast::Forecast;
use super::judged::Judged;
use super::loudness::Loudness;
use super::progress::{Progress, Step, progress, ribbon, rounded, short_side};
use super::remake::{MadeBy, Remake};
use super::time::seconds;
use super::{Caption, Publication, Reason, time};
use crate::flow::job::{Job, done};
use crate::flow::play::{Asker, Playback, brought_in};
use crate::flow::publication::Playback as AtHost;
use crate::flow::upload::Upload;
use crate::flow::video::{Rendition as Track, Whole};
use crate::http::request::External;

/// The words for the states of a video.
pub(crate) const STATES: [(&str, State); 3] =
    [("processing", State::Processing), ("ready", State::Ready), ("failed", State::Failed)];

/// How much of a video its reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Somebody of the video's app.
    Owner,
    /// Somebody with the link of a public video.
    Viewer,
}

impl From<Reach> for Asker {
    fn from(reach: Reach) -> Self {
        match reach {
            Reach::Owner => Self::Owner,
            Reach::Viewer => Self::Viewer,
        }
    }
}

/// A video.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Video {
    /// The video's id.
    id: String,
    /// The upload that it came from; null for who only has its public link.
    upload_id: Option<String>,
    /// The title.
    title: String,
    /// `processing`, `ready` or `failed`.
    state: &'static str,
    /// Somebody can watch it now.
    playable: bool,
    /// Who may watch: `app` or `public`.
    policy: &'static str,
    /// The name that the app gave it.
    external_id: Option<String>,
    /// What the app or the way in knows of it, as an object; empty for who only has its public link.
    #[schema(value_type = Object)]
    metadata: Value,
    /// The length in seconds, when it is known.
    duration: Option<f64>,
    /// When the last byte arrived, as RFC 3339 text.
    created_at: String,
    /// When it could be watched first.
    playable_at: Option<String>,
    /// When everything was done.
    ready_at: Option<String>,
    /// Why it failed, or why a rendition of it did.
    reason: Option<Reason>,
    /// What is wrong with the source although it is accepted.
    damaged: Option<Reason>,
    /// How far the work is.
    progress: Progress,
    /// When it will be done, while it is being worked on and as far as that can be told.
    forecast: Option<Forecast>,
    /// It is not encoded before this moment.
    run_after: Option<String>,
    /// By which pipeline it is made; null for who only has its public link.
    pipeline: Option<MadeBy>,
    /// Another generation of it that is made while this one plays, or the last one that failed or was cancelled; null for
    /// who only has its public link.
    remake: Option<Remake>,
    /// What somebody brought in, when it was looked at.
    source: Option<Source>,
    /// What is made of it, the best picture first.
    renditions: Vec<Rendition>,
    /// How the sizes were judged when its pipeline has a gate, the largest first; else empty.
    judged: Vec<Judged>,
    /// The words of it: subtitles of the source, and captions that somebody added.
    captions: Vec<Caption>,
    /// Where players find it; null while nothing can be played.
    playback: Option<Addresses>,
    /// What there is of it at hosts; empty for who only has its public link.
    publications: Vec<Publication>,
}

/// A page of videos, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VideoList {
    /// The videos.
    pub(crate) items: Vec<Video>,
    /// What to ask for next as `before`; null at the end.
    pub(crate) next: Option<String>,
}

/// What somebody brought in.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Source {
    /// Its length in bytes.
    size_bytes: u64,
    /// The family of its container, for example `mov` for MP4 and its kin.
    container: String,
    /// Its picture.
    video: Option<Picture>,
    /// Its first sound.
    audio: Option<Sound>,
}

/// The picture of a source.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Picture {
    /// The codec, as ffmpeg names it.
    codec: String,
    /// The width in pixels, as it is shown.
    width: u32,
    /// The height in pixels, as it is shown.
    height: u32,
    /// Frames per second; 0 when it is not known.
    frame_rate: f64,
}

/// The sound of a source.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Sound {
    /// The codec, as ffmpeg names it.
    codec: String,
    /// How many channels it has.
    channels: u32,
}

/// One thing that is made of a video.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rendition {
    /// Its name in addresses, for example `h264-720`.
    id: String,
    /// `video` or `audio`.
    medium: &'static str,
    /// Nobody waits for it: the video is ready without it, and it is offered to players when it is whole.
    background: bool,
    /// `waiting`, `encoding`, `ready` or `failed`.
    state: &'static str,
    /// From 0 to 1.
    progress: f64,
    /// The width in pixels.
    width: Option<u32>,
    /// The height in pixels.
    height: Option<u32>,
    /// Frames per second.
    frame_rate: Option<f64>,
    /// The codec as RFC 6381 writes it.
    codec: Option<String>,
    /// The language of a sound, as a tag such as `en`.
    language: Option<String>,
    /// What a person reads of a sound: its title in the source, or its language.
    label: Option<String>,
    /// How many channels a sound has.
    channels: Option<u32>,
    /// How loud a sound was and what was done about it, where its pipeline has a loudness.
    loudness: Option<Loudness>,
    /// The length of its file in bytes, with the sound in it.
    bytes: Option<u64>,
    /// The average of its file in bits per second.
    bandwidth: Option<u64>,
    /// Why it failed.
    reason: Option<Reason>,
}

/// Where players find a video.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Addresses {
    /// The HLS multivariant playlist.
    pub(crate) hls: String,
    /// The DASH manifest; null while the video grows.
    pub(crate) dash: Option<String>,
    /// A file for `<video src>`.
    pub(crate) mp4: Option<String>,
    /// The same as WebM, in VP9 and Opus; null until it is made, and where the pipeline asks for no VP9.
    pub(crate) webm: Option<String>,
    /// The still picture.
    pub(crate) poster: Option<String>,
    /// A WebVTT track of small pictures of the whole video (`#xywh`); null until they are made.
    pub(crate) storyboard: Option<String>,
    /// A still of any moment: add `?t=` in seconds and `&w=` in pixels (16 to 1920); null for sound alone.
    pub(crate) thumbnail_dynamic: Option<String>,
    /// A few silent seconds as MP4, for cards; null until they are made.
    pub(crate) preview: Option<String>,
}

impl Addresses {
    /// Absolute addresses.
    pub(crate) fn of(playback: &Playback, external: &External) -> Self {
        let url = |path: &Option<String>| path.as_deref().map(|path| external.url(path));
        Self {
            hls: external.url(&playback.hls),
            dash: url(&playback.dash),
            mp4: url(&playback.mp4),
            webm: url(&playback.webm),
            poster: url(&playback.poster),
            storyboard: url(&playback.storyboard),
            thumbnail_dynamic: url(&playback.thumbnail),
            preview: url(&playback.preview),
        }
    }

    /// Where a host has it; what is ours to make there is none of.
    pub(crate) fn at_host(host: &AtHost) -> Self {
        Self {
            hls: host.hls.clone(),
            dash: host.dash.clone(),
            mp4: None,
            webm: None,
            poster: Some(host.poster.clone()),
            storyboard: None,
            thumbnail_dynamic: None,
            preview: None,
        }
    }
}

impl Video {
    /// What a reader sees of a video.
    pub(crate) fn of(whole: &Whole, playback: Option<&Playback>, external: &External, reach: Reach) -> Self {
        let video = &whole.video;
        let ribbon = ribbon(whole);
        let duration_ms = video.duration_ms;
        Self {
            id: video.id.to_string(),
            upload_id: (reach == Reach::Owner).then(|| video.upload.to_string()),
            title: video.title.clone(),
            state: match video.state {
                State::Processing => "processing",
                State::Ready => "ready",
                State::Failed => "failed",
            },
            playable: playback.is_some(),
            policy: match video.policy {
                Policy::App => "app",
                Policy::Public => "public",
            },
            external_id: video.external_id.clone().filter(|_| reach == Reach::Owner),
            metadata: if reach == Reach::Owner { video.facts.clone() } else { Value::Object(Map::new()) },
            duration: duration_ms.map(seconds),
            created_at: time(video.created),
            playable_at: video.playable.map(time),
            ready_at: video.ready.map(time),
            reason: video.reason.as_ref().map(Reason::from),
            damaged: video.damaged.as_ref().map(Reason::stored),
            forecast: whole.outlook.as_ref().map(Forecast::from),
            run_after: video.run_after.filter(|_| video.state == State::Processing).map(time),
            pipeline: (reach == Reach::Owner).then(|| MadeBy::of_video(whole)),
            remake: Remake::of(whole).filter(|_| reach == Reach::Owner),
            source: video.probe.as_ref().and_then(|probe| source(probe, whole.source_bytes)),
            renditions: renditions(whole, &ribbon),
            judged: video.plan.as_ref().map(Judged::all).unwrap_or_default(),
            captions: whole.captions.iter().map(Caption::of).collect(),
            progress: progress(ribbon),
            playback: playback.map(|playback| Addresses::of(playback, external)),
            publications: Vec::new(),
        }
    }

    /// The same with what there is of it at hosts.
    pub(crate) fn at_hosts(mut self, publications: Vec<Publication>) -> Self {
        self.publications = publications;
        self
    }

    /// The same for a video that a host alone has: it is watched there.
    pub(crate) fn watched_at(mut self, host: Option<&AtHost>) -> Self {
        self.playable |= host.is_some();
        self.playback = self.playback.or_else(|| host.map(Addresses::at_host));
        self
    }

    /// A video whose bytes are still on their way in.
    pub(crate) fn arriving(upload: &Upload, playback: Option<&Playback>, external: &External) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a share of progress needs no exact number")]
        let share = upload.offset as f64 / upload.size.unwrap_or(u64::MAX).max(1) as f64;
        let step = |id: &str, label: &str, state, progress| Step {
            id: id.to_owned(),
            label: label.to_owned(),
            state,
            progress,
        };
        let steps = vec![
            step("received", "Received", "running", share.clamp(0.0, 1.0)),
            step("checked", "Checked", "waiting", 0.0),
            match playback {
                Some(_) => step("playable", "Playable", "done", 1.0),
                None => step("playable", "Playable", "waiting", 0.0),
            },
        ];
        Self {
            id: upload.video.to_string(),
            upload_id: Some(upload.id.to_string()),
            title: upload.title.clone(),
            state: "processing",
            playable: playback.is_some(),
            policy: "app",
            external_id: upload.external_id.clone(),
            metadata: upload.facts.clone(),
            duration: playback.map(|playback| playback.duration),
            created_at: time(upload.created),
            playable_at: None,
            ready_at: None,
            reason: None,
            damaged: None,
            forecast: None,
            run_after: upload.run_after.map(time),
            pipeline: Some(MadeBy { name: upload.pipeline.clone(), version: None }),
            remake: None,
            source: None,
            renditions: Vec::new(),
            judged: Vec::new(),
            captions: Vec::new(),
            progress: Progress { overall: 0.0, steps },
            playback: playback.map(|playback| Addresses::of(playback, external)),
            publications: Vec::new(),
        }
    }

    /// Does somebody still work on it, or send it?
    pub(crate) fn is_in_work(&self) -> bool {
        self.state == "processing"
    }

    /// The JSON without the estimate, which is another one at every look.
    pub(crate) fn to_compare(&self) -> String {
        let mut value = serde_json::to_value(self).expect("because a video is made of plain values");
        if let Some(fields) = value.as_object_mut() {
            fields.remove("forecast");
        }
        value.to_string()
    }

    /// The JSON without what is new at every look: addresses carry a token that ends later each time.
    pub(crate) fn lasting(&self) -> String {
        let mut value = serde_json::to_value(self).expect("because a video is made of plain values");
        if let Some(fields) = value.as_object_mut() {
            fields.remove("playback");
            for one in fields.get_mut("publications").and_then(Value::as_array_mut).into_iter().flatten() {
                one["playback"].take();
                if let Some(download) = one["download"].as_object_mut() {
                    download.remove("url");
                }
            }
        }
        value.to_string()
    }
}

fn renditions(whole: &Whole, ribbon: &Ribbon) -> Vec<Rendition> {
    let encoded = || whole.renditions.iter().filter(|track| track.generation == whole.video.encoding);
    let has_picture = encoded().any(|track| track.medium == Medium::Video);
    let main = encoded().find(|track| track.medium == Medium::Audio).map(|track| track.id);
    let one = |track: &Track| {
        // The main sound of a video lies in the file of the best picture, whose length says nothing about the sound.
        let own_file = Some(track.id) != main || !has_picture;
        let (title, language) = (track.shape.title.as_deref(), track.shape.language.clone());
        let label = language::label(title.unwrap_or_default(), language.as_deref().unwrap_or_default());
        let said = |text: &String| !text.is_empty();
        let bytes = track.file_bytes.filter(|_| own_file && track.file.is_some());
        let duration_ms = whole.video.duration_ms.filter(|ms| *ms > 0);
        let done = rounded(track_progress(whole, track, ribbon));
        Rendition {
            id: track.name.clone(),
            medium: match track.medium {
                Medium::Video => "video",
                Medium::Audio => "audio",
            },
            background: track.background,
            state: match track.state {
                // Its first chunk is being encoded, though nothing of it can be shown yet.
                RenditionState::Waiting if done > 0.0 => "encoding",
                RenditionState::Waiting => "waiting",
                RenditionState::Encoding => "encoding",
                RenditionState::Ready => "ready",
                RenditionState::Failed => "failed",
            },
            progress: done,
            width: track.shape.width,
            height: track.shape.height,
            frame_rate: track.shape.rate.map(|(num, den)| frame_rate(num, den)),
            codec: track.shape.codec.clone(),
            language: language.filter(said),
            label: Some(label).filter(said),
            loudness: track.leveled.map(Loudness::of),
            channels: track.shape.channels,
            bytes,
            bandwidth: bytes.zip(duration_ms).map(|(bytes, ms)| bytes.saturating_mul(8_000) / ms),
            reason: track.reason.as_ref().map(Reason::from),
        }
    };
    encoded().map(one).collect()
}

fn track_progress(whole: &Whole, track: &Track, ribbon: &Ribbon) -> f64 {
    match (track.state, track.medium) {
        (RenditionState::Ready, _) => 1.0,
        (RenditionState::Failed, _) => 0.0,
        (RenditionState::Waiting | RenditionState::Encoding, Medium::Video) if track.background => {
            background_progress(whole, track)
        }
        (RenditionState::Waiting | RenditionState::Encoding, Medium::Video) => {
            let id = short_side(track).to_string();
            ribbon.steps.iter().find(|step| step.id == id).map_or(0.0, |step| step.progress)
        }
        (RenditionState::Waiting | RenditionState::Encoding, Medium::Audio) => {
            let encoding = whole.video.encoding;
            let sounds = |row: &&Track| row.generation == encoding && row.medium == Medium::Audio;
            let number = whole.renditions.iter().filter(sounds).position(|row| row.id == track.id);
            let number = number.and_then(|number| u32::try_from(number).ok());
            let mine = |job: &&Job| match job.task {
                Some(Task::Audio { track, .. }) => job.generation == encoding && Some(track) == number,
                _ => false,
            };
            whole.jobs.iter().find(mine).map_or(0.0, done)
        }
    }
}

/// How far the chunks of a track of the background are.
fn background_progress(whole: &Whole, track: &Track) -> f64 {
    let plan = whole.video.plan.as_ref().and_then(|plan| plan.get("video")?.get("background")?.as_array());
    let named = |family: &Value| {
        let renditions = family.get("renditions").and_then(Value::as_array);
        renditions.into_iter().flatten().any(|one| one.get("id").and_then(Value::as_str) == Some(&track.name))
    };
    let family = plan.and_then(|families| families.iter().position(named));
    let number = family.and_then(|at| u32::try_from(at + 1).ok());
    let mine = |job: &&Job| {
        job.generation == track.generation
            && matches!(job.task, Some(Task::Chunk { family, .. }) if Some(family) == number)
    };
    let all = whole.jobs.iter().filter(mine);
    #[expect(clippy::cast_precision_loss, reason = "a share of progress needs no exact number")]
    let count = all.clone().count().max(1) as f64;
    (all.map(done).sum::<f64>() / count).min(0.99)
}

fn frame_rate(num: u32, den: u32) -> f64 {
    rounded(f64::from(num) / f64::from(den.max(1)))
}

/// What the probe said; `None` when an older release wrote it in another form.
fn source(probe: &Value, size_bytes: u64) -> Option<Source> {
    let container = serde_json::to_value(brought_in(probe)?).ok()?.as_str()?.to_owned();
    let probe: Probe = serde_json::from_value(probe.clone()).ok()?;
    let video = probe.video.map(|video| {
        let turned = matches!(video.rotation_degrees, 90 | 270);
        let (width, height) = (video.coded_width, video.coded_height);
        let (width, height) = if turned { (height, width) } else { (width, height) };
        let rate = video.average_rate.or(video.nominal_rate);
        let frame_rate = rate.map_or(0.0, |rate| frame_rate(rate.num, rate.den));
        Picture { codec: video.codec, width, height, frame_rate }
    });
    let audio = probe.audio.into_iter().next();
    let audio = audio.map(|audio| Sound { codec: audio.codec, channels: audio.channels });
    Some(Source { size_bytes, container, video, audio })
}
