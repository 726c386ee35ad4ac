//! What ffprobe says about a source: its container, streams, sizes and colours.

use serde::{Deserialize, Serialize};

use super::{Color, Light, Rate, Refusal};
use crate::limits;

mod json;

/// Container family: decides which demuxers later runs may use, and whether seeks are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Container {
    /// MP4, MOV and their kin.
    Mov,
    /// Matroska and WebM.
    Matroska,
    /// MPEG transport stream.
    Mpegts,
    /// MPEG program stream.
    Mpeg,
    /// AVI.
    Avi,
    /// Flash video.
    Flv,
    /// Windows Media.
    Asf,
    /// Ogg.
    Ogg,
    /// RIFF or Sony wave.
    Wav,
    /// MPEG audio.
    Mp3,
    /// AAC in ADTS.
    Aac,
    /// FLAC.
    Flac,
    /// Material exchange format.
    Mxf,
}

/// Every family that is accepted, in the order of the probe's white-list.
pub const CONTAINERS: [Container; 13] = [
    Container::Mov,
    Container::Matroska,
    Container::Mpegts,
    Container::Mpeg,
    Container::Avi,
    Container::Flv,
    Container::Asf,
    Container::Ogg,
    Container::Wav,
    Container::Mp3,
    Container::Aac,
    Container::Flac,
    Container::Mxf,
];

impl Container {
    /// The value of ffmpeg's `-format_whitelist` for this family.
    pub const fn format_whitelist(self) -> &'static str {
        match self {
            Self::Mov => "mov,mp4,m4a,3gp,3g2,mj2",
            Self::Matroska => "matroska,webm",
            Self::Mpegts => "mpegts",
            Self::Mpeg => "mpeg",
            Self::Avi => "avi",
            Self::Flv => "flv",
            Self::Asf => "asf",
            Self::Ogg => "ogg",
            Self::Wav => "wav,w64",
            Self::Mp3 => "mp3",
            Self::Aac => "aac",
            Self::Flac => "flac",
            Self::Mxf => "mxf",
        }
    }

    /// The usual ending of a file name of this family, without the dot.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Mov => "mp4",
            Self::Matroska => "mkv",
            Self::Mpegts => "ts",
            Self::Mpeg => "mpg",
            Self::Avi => "avi",
            Self::Flv => "flv",
            Self::Asf => "wmv",
            Self::Ogg => "ogg",
            Self::Wav => "wav",
            Self::Mp3 => "mp3",
            Self::Aac => "aac",
            Self::Flac => "flac",
            Self::Mxf => "mxf",
        }
    }

    /// Whether seeking to a key frame by time is proven to be exact.
    pub const fn seeks_exactly(self) -> bool {
        matches!(self, Self::Mov | Self::Matroska)
    }

    /// The family of a demuxer's name as ffprobe prints it.
    fn of(name: &str) -> Option<Self> {
        let first = name.split(',').next()?;
        CONTAINERS.into_iter().find(|family| family.format_whitelist().split(',').any(|one| one == first))
    }
}

/// The facts of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Container family.
    pub container: Container,
    /// Smallest time of the container in microseconds; ffmpeg counts `-ss` from it.
    pub container_start_us: i64,
    /// Duration that the header claims, in microseconds; not trusted.
    pub header_duration_us: Option<i64>,
    /// Bits per second over the whole file.
    pub bit_rate: Option<u64>,
    /// Size of the file in bytes.
    pub size_bytes: Option<u64>,
    /// The picture: the default or first video stream that is no attached picture.
    pub video: Option<VideoStream>,
    /// All audio streams in file order.
    pub audio: Vec<AudioStream>,
    /// All subtitle streams in file order.
    pub subtitles: Vec<SubtitleStream>,
    /// Number of attached pictures (cover art).
    pub attached_pictures: u32,
    /// Chapters in file order.
    pub chapters: Vec<Chapter>,
    /// For a rewritten source: the family of the file that somebody brought in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brought_in: Option<Container>,
    /// For a rewritten source: the smallest time of that file in microseconds, which is time 0 of this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub brought_in_start_us: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// One video stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoStream {
    /// Number of the stream in the file.
    pub index: u32,
    /// Ordinal among the video streams, attached pictures included, as in ffmpeg's `0:v:0`.
    pub ordinal: u32,
    /// Codec in ffmpeg's words.
    pub codec: String,
    /// Profile in ffmpeg's words.
    pub profile: String,
    /// Level as ffmpeg prints it (31 is 3.1 for H.264).
    pub level: i64,
    /// Pixel format in ffmpeg's words.
    pub pixel_format: String,
    /// Width of the coded picture in pixels.
    pub coded_width: u32,
    /// Height of the coded picture in pixels.
    pub coded_height: u32,
    /// Shape of a pixel, width to height; 1:1 when unknown.
    pub sample_aspect: (u32, u32),
    /// Clockwise rotation to show the picture: 0, 90, 180 or 270 degrees.
    pub rotation_degrees: u16,
    /// Interlaced in either order.
    pub interlaced: bool,
    /// Colour description.
    pub color: Color,
    /// How bright it was made to be, where the container or the first picture says so.
    #[serde(default, skip_serializing_if = "is_dark")]
    pub light: Light,
    /// Average frames per second of the header.
    pub average_rate: Option<Rate>,
    /// Nominal frames per second.
    pub nominal_rate: Option<Rate>,
    /// Bits per second of the stream, when the container says so.
    pub bit_rate: Option<u64>,
    /// When ffmpeg shows the first picture, in microseconds.
    #[serde(default)]
    pub start_us: Option<i64>,
}

fn is_dark(light: &Light) -> bool {
    *light == Light::default()
}

impl VideoStream {
    /// Width and height as shown: square pixels, then rotated. The plan uses nothing else.
    pub fn displayed(&self) -> (u32, u32) {
        let (num, den) = (u64::from(self.sample_aspect.0), u64::from(self.sample_aspect.1));
        let wide = (u64::from(self.coded_width) * num * 2 + den) / (2 * den);
        let width = u32::try_from(wide).unwrap_or(u32::MAX).max(1);
        if self.rotation_degrees % 180 == 90 {
            (self.coded_height, width)
        } else {
            (width, self.coded_height)
        }
    }

    /// Size of the pictures that enter ffmpeg's filter graph: rotated, pixels as coded.
    pub const fn entering(&self) -> (u32, u32) {
        if self.rotation_degrees % 180 == 90 {
            (self.coded_height, self.coded_width)
        } else {
            (self.coded_width, self.coded_height)
        }
    }

    /// Whether a picture is red, green and blue instead of brightness and colour.
    pub fn is_rgb(&self) -> bool {
        let has = |part: &str| self.pixel_format.contains(part);
        has("rgb") || has("bgr") || has("gbr") || self.pixel_format == "pal8"
    }

    /// Whether the transfer is PQ or HLG.
    pub fn high_dynamic_range(&self) -> bool {
        matches!(self.color.transfer.as_str(), "smpte2084" | "arib-std-b67")
    }
}

/// One audio stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioStream {
    /// Number of the stream in the file.
    pub index: u32,
    /// Ordinal among the audio streams, as in ffmpeg's `0:a:0`.
    pub ordinal: u32,
    /// Codec in ffmpeg's words.
    pub codec: String,
    /// Profile in ffmpeg's words.
    pub profile: String,
    /// Samples per second.
    pub rate_hz: u32,
    /// Channels.
    pub channels: u32,
    /// Layout in ffmpeg's words, such as `5.1`.
    pub layout: String,
    /// Language tag such as `eng`; empty when unknown.
    pub language: String,
    /// Title, written by a stranger; never part of a command.
    pub title: String,
    /// Marked as the default track.
    pub default: bool,
    /// Start in microseconds.
    pub start_us: Option<i64>,
}

/// One subtitle stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtitleStream {
    /// Ordinal among the subtitle streams, as in ffmpeg's `0:s:0`.
    pub ordinal: u32,
    /// Codec in ffmpeg's words.
    pub codec: String,
    /// Text can be converted to WebVTT, bitmaps cannot.
    pub text: bool,
    /// Language tag such as `eng`; empty when unknown.
    pub language: String,
    /// Title, written by a stranger; never part of a command.
    pub title: String,
    /// Shown without being asked for.
    pub forced: bool,
}

/// One chapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chapter {
    /// Start in microseconds.
    pub start_us: i64,
    /// End in microseconds.
    pub end_us: i64,
    /// Title, written by a stranger.
    pub title: String,
}

impl Probe {
    /// Reads the JSON of `ffprobe -show_streams -show_format -show_chapters -of json`.
    pub fn parse(ffprobe_json: &[u8]) -> Result<Self, Refusal> {
        if ffprobe_json.len() > limits::PROBE_JSON_BYTES_MAX {
            return Err(Refusal::UnsupportedMedia { what: "its description is too long" });
        }
        let document: json::Document = serde_json::from_slice(ffprobe_json).map_err(|_| Refusal::NotMedia)?;
        let container = Container::of(&document.format.name).ok_or(Refusal::NotMedia)?;
        let streams = document.streams.len() as u64;
        if streams > u64::from(limits::SOURCE_STREAMS_MAX) {
            return Err(Refusal::TooManyStreams { streams });
        }
        let probe = Self {
            container,
            container_start_us: document.format.start_time.us().unwrap_or(0),
            header_duration_us: document.format.duration.us(),
            bit_rate: document.format.bit_rate.whole(),
            size_bytes: document.format.size.whole(),
            video: json::video(&document.streams),
            audio: json::audio(&document.streams),
            subtitles: json::subtitles(&document.streams),
            attached_pictures: json::attached_pictures(&document.streams),
            chapters: document.chapters.iter().filter_map(json::Section::chapter).collect(),
            brought_in: None,
            brought_in_start_us: 0,
        };
        probe.within_limits()
    }

    /// Whether only the first picture can tell how bright the source was made to be: many containers are silent about that.
    pub fn is_silent_about_light(&self) -> bool {
        self.video.as_ref().is_some_and(|video| video.high_dynamic_range() && is_dark(&video.light))
    }

    /// With what the first picture says, the JSON of `argv::first_picture`.
    #[must_use]
    pub fn lit_by(mut self, ffprobe_json: &[u8]) -> Self {
        let first: json::First = serde_json::from_slice(ffprobe_json).unwrap_or_default();
        if let Some(video) = &mut self.video {
            video.light = first.light();
        }
        self
    }

    /// What is known of a rewritten source, with what the rewriting has dropped of the file that somebody brought in.
    #[must_use]
    pub fn rewritten_from(mut self, first: &Self) -> Self {
        for track in &mut self.audio {
            if let Some(named) = first.audio.iter().find(|one| one.ordinal == track.ordinal) {
                track.language.clone_from(&named.language);
                track.title.clone_from(&named.title);
                track.default = named.default;
            }
        }
        if first.brought_in.is_some() {
            // That one was of the same copy, and knows all this already.
            return Self {
                subtitles: first.subtitles.clone(),
                chapters: first.chapters.clone(),
                brought_in: first.brought_in,
                brought_in_start_us: first.brought_in_start_us,
                ..self
            };
        }
        let start_us = first.container_start_us;
        let moved = |chapter: &Chapter| Chapter {
            start_us: chapter.start_us.saturating_sub(start_us),
            end_us: chapter.end_us.saturating_sub(start_us),
            title: chapter.title.clone(),
        };
        Self {
            subtitles: first.subtitles.clone(),
            chapters: first.chapters.iter().map(moved).collect(),
            brought_in: Some(first.container),
            brought_in_start_us: start_us,
            ..self
        }
    }

    /// Bits per second of the picture, as near as the container tells.
    pub fn video_bit_rate(&self) -> Option<u64> {
        self.video.as_ref().and_then(|video| video.bit_rate).or(self.bit_rate)
    }

    /// The audio stream that is made the rendition: the first one marked default, else the first.
    pub fn main_audio(&self) -> Option<&AudioStream> {
        self.audio.iter().find(|track| track.default).or_else(|| self.audio.first())
    }

    fn within_limits(self) -> Result<Self, Refusal> {
        if let Some(video) = &self.video {
            let (width, height) = (video.coded_width, video.coded_height);
            let (long, short) = (width.max(height), width.min(height));
            let pixels = u64::from(width) * u64::from(height);
            if long > limits::SOURCE_WIDTH_MAX
                || short > limits::SOURCE_HEIGHT_MAX
                || pixels > limits::SOURCE_PIXELS_MAX
            {
                return Err(Refusal::TooLarge { width, height });
            }
        } else if self.audio.is_empty() {
            return Err(Refusal::UnsupportedMedia {
                what: "it has no picture and no sound that can be decoded",
            });
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
