//! ffprobe's JSON as it really is: numbers as texts, fields that come and go.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{AudioStream, Chapter, SubtitleStream, VideoStream};
use crate::plan::{Color, Light, Mastering, Rate};

/// A number, a text that holds one, or nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
pub(super) enum Loose {
    /// Not there, or of another kind.
    #[default]
    Missing,
    /// A JSON number.
    Number(serde_json::Number),
    /// A text.
    Text(String),
    /// Anything else.
    Other(serde::de::IgnoredAny),
}

impl Loose {
    fn text(&self) -> Option<String> {
        match self {
            Self::Number(number) => Some(number.to_string()),
            Self::Text(text) => Some(text.clone()),
            Self::Missing | Self::Other(_) => None,
        }
    }

    /// The value as a whole number.
    pub(super) fn whole<T: std::str::FromStr>(&self) -> Option<T> {
        self.text()?.parse().ok()
    }

    /// A fraction such as `34000/50000`, counted in parts of 1.
    fn steps<T: TryFrom<u64>>(&self, parts: u64) -> Option<T> {
        let (num, den) = fraction(&self.text()?, '/')?;
        T::try_from(num.checked_mul(parts)?.checked_div(den)?).ok()
    }

    /// A time in seconds as microseconds.
    pub(super) fn us(&self) -> Option<i64> {
        crate::plan::timeline::seconds_us(&self.text()?)
    }
}

/// The whole answer.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    #[serde(default)]
    pub(super) streams: Vec<Stream>,
    pub(super) format: Format,
    #[serde(default)]
    pub(super) chapters: Vec<Section>,
}

/// The container.
#[derive(Debug, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct Format {
    #[serde(rename = "format_name")]
    pub(super) name: String,
    pub(super) start_time: Loose,
    pub(super) duration: Loose,
    pub(super) bit_rate: Loose,
    pub(super) size: Loose,
}

/// One stream of any kind.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stream {
    index: u32,
    codec_type: String,
    codec_name: String,
    profile: Loose,
    level: Loose,
    pix_fmt: String,
    width: u32,
    height: u32,
    sample_aspect_ratio: String,
    field_order: String,
    color_primaries: String,
    color_transfer: String,
    color_space: String,
    avg_frame_rate: String,
    r_frame_rate: String,
    bit_rate: Loose,
    sample_rate: Loose,
    channels: u32,
    channel_layout: String,
    start_time: Loose,
    disposition: BTreeMap<String, u8>,
    tags: BTreeMap<String, Loose>,
    side_data_list: Vec<SideEntry>,
}

/// What travels beside a stream: its rotation, and how bright it was made to be.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SideEntry {
    rotation: Loose,
    red_x: Loose,
    red_y: Loose,
    green_x: Loose,
    green_y: Loose,
    blue_x: Loose,
    blue_y: Loose,
    white_point_x: Loose,
    white_point_y: Loose,
    min_luminance: Loose,
    max_luminance: Loose,
    max_content: Loose,
    max_average: Loose,
}

impl SideEntry {
    fn mastering(&self) -> Option<Mastering> {
        let place = |x: &Loose, y: &Loose| Some((x.steps(50_000)?, y.steps(50_000)?));
        Some(Mastering {
            red: place(&self.red_x, &self.red_y)?,
            green: place(&self.green_x, &self.green_y)?,
            blue: place(&self.blue_x, &self.blue_y)?,
            white: place(&self.white_point_x, &self.white_point_y)?,
            brightest: self.max_luminance.steps(10_000)?,
            darkest: self.min_luminance.steps(10_000)?,
        })
    }
}

fn light(beside: &[SideEntry]) -> Light {
    let content = |side: &SideEntry| Some((side.max_content.whole()?, side.max_average.whole()?));
    Light {
        mastering: beside.iter().find_map(SideEntry::mastering),
        content: beside.iter().find_map(content),
    }
}

/// What the first picture of a source says beside its samples.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct First {
    frames: Vec<Frame>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Frame {
    side_data_list: Vec<SideEntry>,
}

impl First {
    /// How bright it was made to be.
    pub(super) fn light(&self) -> Light {
        self.frames.first().map(|frame| light(&frame.side_data_list)).unwrap_or_default()
    }
}

/// One chapter.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Section {
    start_time: Loose,
    end_time: Loose,
    tags: BTreeMap<String, Loose>,
}

impl Section {
    pub(super) fn chapter(&self) -> Option<Chapter> {
        let title = tag(&self.tags, "title");
        Some(Chapter { start_us: self.start_time.us()?, end_us: self.end_time.us()?, title })
    }
}

impl Stream {
    fn is(&self, disposition: &str) -> bool {
        self.disposition.get(disposition).is_some_and(|set| *set != 0)
    }

    fn decodable(&self) -> bool {
        !matches!(self.codec_name.as_str(), "" | "unknown" | "none")
    }

    fn still(&self) -> bool {
        self.is("attached_pic") || self.is("timed_thumbnails") || self.is("still_image")
    }

    fn rotation_degrees(&self) -> u16 {
        // ffprobe counts anticlockwise, -90 for a phone held upright; the older tag counts clockwise.
        let matrix =
            self.side_data_list.iter().find_map(|side| side.rotation.whole::<f64>()).map(|turn| -turn);
        let tagged = self.tags.get("rotate").and_then(Loose::whole::<f64>);
        let clockwise = matrix.or(tagged).unwrap_or(0.0).rem_euclid(360.0);
        [(90.0, 90), (180.0, 180), (270.0, 270)]
            .into_iter()
            .find(|(turn, _)| f64::abs(clockwise - turn) < 1.0)
            .map_or(0, |(_, degrees)| degrees)
    }

    fn video(&self, ordinal: u32) -> VideoStream {
        let aspect = fraction(&self.sample_aspect_ratio, ':').and_then(|(num, den)| Rate::reduced(num, den));
        let rate = |text: &str| fraction(text, '/').and_then(|(num, den)| Rate::reduced(num, den));
        VideoStream {
            index: self.index,
            ordinal,
            codec: self.codec_name.clone(),
            profile: self.profile.text().unwrap_or_default(),
            level: self.level.whole().unwrap_or(0),
            pixel_format: self.pix_fmt.clone(),
            coded_width: self.width,
            coded_height: self.height,
            sample_aspect: aspect.map_or((1, 1), |aspect| (aspect.num, aspect.den)),
            rotation_degrees: self.rotation_degrees(),
            interlaced: matches!(self.field_order.as_str(), "tt" | "bb" | "tb" | "bt"),
            color: Color {
                primaries: word(&self.color_primaries),
                transfer: transfer(&self.color_transfer),
                matrix: matrix(&self.color_space),
            },
            light: light(&self.side_data_list),
            average_rate: rate(&self.avg_frame_rate),
            nominal_rate: rate(&self.r_frame_rate),
            bit_rate: self.bit_rate.whole(),
            start_us: self.start_time.us(),
        }
    }

    fn audio(&self, ordinal: u32) -> AudioStream {
        AudioStream {
            index: self.index,
            ordinal,
            codec: self.codec_name.clone(),
            profile: self.profile.text().unwrap_or_default(),
            rate_hz: self.sample_rate.whole().unwrap_or(0),
            channels: self.channels,
            layout: self.channel_layout.clone(),
            language: language(&self.tags),
            title: tag(&self.tags, "title"),
            default: self.is("default"),
            start_us: self.start_time.us(),
        }
    }
}

/// The video stream to encode: the first marked default that is no still picture, else the first such.
pub(super) fn video(streams: &[Stream]) -> Option<VideoStream> {
    let fits = |stream: &Stream| {
        stream.decodable()
            && !stream.still()
            && stream.width > 0
            && stream.height > 0
            && !stream.pix_fmt.is_empty()
    };
    let all = of_kind(streams, "video").filter(|(_, stream)| fits(stream)).collect::<Vec<_>>();
    let chosen = all.iter().find(|(_, stream)| stream.is("default")).or_else(|| all.first())?;
    Some(chosen.1.video(chosen.0))
}

/// All audio streams that can be decoded.
pub(super) fn audio(streams: &[Stream]) -> Vec<AudioStream> {
    of_kind(streams, "audio")
        .filter(|(_, stream)| stream.decodable() && stream.channels > 0)
        .map(|(ordinal, stream)| stream.audio(ordinal))
        .collect()
}

/// All subtitle streams.
pub(super) fn subtitles(streams: &[Stream]) -> Vec<SubtitleStream> {
    const TEXT: [&str; 6] = ["subrip", "srt", "ass", "ssa", "mov_text", "webvtt"];
    of_kind(streams, "subtitle")
        .map(|(ordinal, stream)| SubtitleStream {
            ordinal,
            codec: stream.codec_name.clone(),
            text: TEXT.contains(&stream.codec_name.as_str()),
            language: language(&stream.tags),
            title: tag(&stream.tags, "title"),
            forced: stream.is("forced"),
        })
        .collect()
}

/// How many covers and other stills there are.
pub(super) fn attached_pictures(streams: &[Stream]) -> u32 {
    of_kind(streams, "video").map(|(_, stream)| u32::from(stream.still())).sum()
}

fn of_kind<'a>(streams: &'a [Stream], kind: &'a str) -> impl Iterator<Item = (u32, &'a Stream)> {
    (0_u32..).zip(streams.iter().filter(move |stream| stream.codec_type == kind))
}

fn fraction(text: &str, between: char) -> Option<(u64, u64)> {
    let (num, den) = text.split_once(between)?;
    Some((num.parse().ok()?, den.parse().ok()?))
}

/// A colour word that is safe inside a command: letters, digits and hyphens; empty when it says nothing.
fn word(text: &str) -> String {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let known = !matches!(text, "unknown" | "unspecified" | "reserved");
    if plain && known && text.len() <= 32 { text.to_owned() } else { String::new() }
}

/// ffprobe and ffmpeg do not call every transfer the same.
fn transfer(text: &str) -> String {
    match text {
        "bt470m" => "gamma22".to_owned(),
        "bt470bg" => "gamma28".to_owned(),
        other => word(other),
    }
}

/// RGB is no matrix that our pictures could have.
fn matrix(text: &str) -> String {
    if text == "gbr" { String::new() } else { word(text) }
}

fn language(tags: &BTreeMap<String, Loose>) -> String {
    let text = tag(tags, "language");
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if plain && text != "und" && text.len() <= 35 { text } else { String::new() }
}

fn tag(tags: &BTreeMap<String, Loose>, wanted: &str) -> String {
    let found = tags.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    found.and_then(|(_, value)| value.text()).unwrap_or_default().chars().take(200).collect()
}
