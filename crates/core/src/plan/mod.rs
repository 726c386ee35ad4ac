//! The plan: what is made from a source, decided once, before anything is encoded.

pub mod argv;
mod as_is;
pub mod chunks;
mod color;
pub mod damage;
mod decide;
mod expect;
pub mod ladder;
mod light;
mod load;
pub mod probe;
pub mod rate;
mod refusal;
#[cfg(test)]
mod samples;
pub mod timeline;

use serde::{Deserialize, Serialize};

pub use color::{Color, Entering};
pub use decide::{plan, plan_whole};
pub use light::{Light, Mastering};
pub use load::HARDWARE_SAVES;
pub use probe::{Container, Probe};
pub use rate::Rate;
pub use refusal::Refusal;
pub use timeline::Timeline;

pub use crate::codec::{Codec, SoundCodec};
use crate::gate::Judged;
use crate::hardware::Engine;
pub use crate::pipeline::{Pipeline, Quality};
use crate::watermark::Mark;

/// Version of the planner: part of every task id, raised when the same source would give other bytes.
pub const VERSION: u32 = 1;

/// The id of one task, in lower-case hex: equal for equal source, planner and arguments, so that a finished result is
/// found again. `source` is the hash of the source object; `arguments` must not hold paths that differ by attempt.
pub fn task_id(source: &str, arguments: &[String]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&VERSION.to_le_bytes());
    for part in std::iter::once(source).chain(arguments.iter().map(String::as_str)) {
        // The length in front keeps ["ab", "c"] and ["a", "bc"] apart.
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// An AAC frame at 44.1 kHz in milliseconds, rounded up: sound is cut at the frame behind the picture's cut.
const AUDIO_FRAME_MS: i64 = 24;

/// Everything that is made from one source; stored as JSON with the video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of the planner that made it.
    pub version: u32,
    /// Container family of the file that the jobs read; chooses the format white-list.
    pub container: Container,
    /// Why the source must be copied into Matroska before anything else. While it is set, run only the remux job,
    /// then probe its result and plan again from that.
    pub remux: Option<Remux>,
    /// Presentation time of the source that becomes time 0, in microseconds.
    pub origin_us: i64,
    /// Smallest time of the container in microseconds; ffmpeg counts `-ss` from it.
    pub container_start_us: i64,
    /// Length from the origin to the end of the longest track, in microseconds.
    pub duration_us: i64,
    /// The picture; `None` when the source has sound only.
    pub video: Option<Video>,
    /// The sound, the one that plays unless another is chosen first; empty when the source has none.
    pub audio: Vec<Track>,
    /// The subtitles; `None` when the source has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtitles: Option<Subtitles>,
    /// Chapters on the video's own time, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chapters: Vec<probe::Chapter>,
    /// Images that are made from the source.
    pub images: Images,
    /// What one job may use.
    pub limits: Limits,
    /// What the whole plan is expected to cost.
    pub estimate: Estimate,
    /// How the sizes of the whole ladder were judged, the largest first; empty when nobody asked for that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<Judged>,
    /// What was noticed in the source and is worth telling its owner.
    pub notes: Vec<Note>,
    /// A damaged source is refused instead of concealed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
}

/// Why a source is copied into Matroska before it is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remux {
    /// Seeking in this container is not exact.
    Container,
    /// Packet times jump back in file order.
    TimesJumpBack,
}

/// The picture of a plan: one grid of frames for all renditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Video {
    /// Ordinal among the source's video streams, as in ffmpeg's `0:v:0`.
    pub stream: u32,
    /// Frames per second of the grid.
    pub rate: Rate,
    /// Frames of the whole video on the grid; the last chunk may differ by one.
    pub frames: u64,
    /// Frames of the grid between two forced key frames.
    pub gop: u32,
    /// Frames of the grid per segment, two GOPs.
    pub segment: u32,
    /// What is done to the picture before it is split into renditions.
    pub picture: Picture,
    /// Largest first: the order of the cascade and of the output files.
    pub renditions: Vec<Rendition>,
    /// What is made of the same chunks in the background.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub background: Vec<Family>,
    /// Without gaps from frame 0, each a whole number of segments but for the last.
    pub chunks: Vec<Chunk>,
    /// What encodes the ladder in hardware; `None` is software.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// Why the ladder is encoded in software although hardware was allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}

/// Renditions of one codec that are made in the background, all sizes of a chunk by one ffmpeg.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Family {
    /// The codec of them all.
    pub codec: Codec,
    /// Brightness of their pictures.
    pub range: Range,
    /// They lack the watermark.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unmarked: bool,
    /// Largest first, like the ladder.
    pub renditions: Vec<Rendition>,
}

/// Brightness that pictures can show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Range {
    /// That of every screen; a brighter source is brought down to it.
    Standard,
    /// That of the source, which is high.
    Kept {
        /// Colour of the source, which the output has, too.
        color: Color,
        /// What the source says of its brightness.
        #[serde(default)]
        light: Light,
    },
}

impl Range {
    /// What of the brightest white a sheet of paper has, as ITU-R BT.2408 says; `None` where that is the brightest.
    pub(crate) fn white(&self) -> Option<&'static str> {
        match self {
            Self::Standard => None,
            Self::Kept { color, .. } if color.transfer == "smpte2084" => Some("0.58"),
            Self::Kept { .. } => Some("0.75"),
        }
    }
}

/// The renditions that one ffmpeg makes of a chunk: each size is scaled from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cascade<'p> {
    /// The codec of them all.
    pub codec: Codec,
    /// Brightness of their pictures.
    pub range: &'p Range,
    /// They lack the watermark.
    pub unmarked: bool,
    /// Largest first.
    pub renditions: &'p [Rendition],
    /// What encodes them in hardware; `None` is software.
    pub engine: Option<Engine>,
}

impl Video {
    /// Family 0 is the ladder in H.264, the others are those of the background in the plan's order.
    pub fn family(&self, number: u32) -> Option<Cascade<'_>> {
        let Some(at) = number.checked_sub(1) else {
            let (codec, range) = (Codec::H264, &Range::Standard);
            let (renditions, engine) = (&self.renditions, self.engine);
            return Some(Cascade { codec, range, unmarked: false, renditions, engine });
        };
        let Family { codec, range, unmarked, renditions } = self.background.get(usize::try_from(at).ok()?)?;
        Some(Cascade { codec: *codec, range, unmarked: *unmarked, renditions, engine: None })
    }

    /// The constant target duration of playlists in whole seconds: a segment, or its sound, which ends a bit later.
    pub fn target_duration_s(&self) -> u32 {
        let ms = self.rate.frame_us(u64::from(self.segment)) / 1_000 + AUDIO_FRAME_MS;
        u32::try_from((ms + 500) / 1_000).unwrap_or(u32::MAX).max(1)
    }
}

/// What is done to every picture before the cascade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// The source is interlaced.
    pub deinterlace: bool,
    /// The source is PQ or HLG and becomes BT.709.
    pub tone_map: bool,
    /// What the colours of the source are.
    #[serde(default, skip_serializing_if = "Entering::is_as_told")]
    pub entering: Entering,
    /// The source's pictures differ from the top rendition in size or are not square-pixelled.
    pub scale_top: bool,
    /// Width and height in square pixels that whole pictures are scaled to before they are cut to the top rendition's size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cover: Option<(u32, u32)>,
    /// The watermark on the top rendition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    /// When the first picture is shown.
    pub first: First,
    /// Colour of the output; empty texts are left out of the command.
    pub color: Color,
    /// How much later than the sound's clock ffmpeg shows the pictures, in microseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub late_us: i64,
}

/// When the first picture of a source is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum First {
    /// At the origin.
    AtOrigin,
    /// Later than the sound, so it is held from frame 0 on.
    Held,
}

/// One size of the video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendition {
    /// URL name, for example `h264-720`.
    pub id: String,
    /// Copy or encode.
    pub mode: Mode,
    /// Codec of the output.
    pub codec: Codec,
    /// Width in square pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// 1 takes each frame of the grid, 2 every second one.
    pub every: u32,
    /// Constant rate factor of the encoder.
    pub crf: u8,
    /// Cap on the bit rate in kbit/s; the buffer is twice that.
    pub max_kbps: u32,
    /// Speed of the encoder.
    pub preset: Preset,
    /// Encoder threads; fixed by the plan because the bytes depend on it.
    pub threads: u8,
}

/// Whether coded pictures or sound are taken over or made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Stream copy.
    Copy,
    /// Decode and encode.
    Encode,
}

/// Speed of an encoder, in x264's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// `veryfast`, for quick results.
    Veryfast,
    /// `medium`, for smaller files.
    Medium,
}

impl Preset {
    /// The name that x264 knows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Veryfast => "veryfast",
            Self::Medium => "medium",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_none(count: &u64) -> bool {
    *count == 0
}

/// One run of frames that one job encodes for all renditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Number from 0.
    pub number: u32,
    /// First frame of the grid, a multiple of the segment length.
    pub first: u64,
    /// Frames of the grid.
    pub frames: u64,
    /// Where decoding begins.
    pub seek: Seek,
}

/// Where the decoder of a chunk begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seek {
    /// At the first packet; times keep the source's own zero.
    Start,
    /// At a key frame: the value of `-ss` in microseconds, counted from the container's start.
    Key {
        /// Microseconds from the container's start.
        ss_us: i64,
    },
    /// At the first packet, with times that ffmpeg makes rise by itself (no `-copyts`): for sources that cannot be remuxed.
    Rewritten,
}

/// One audio rendition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// URL name, for example `aac-1`.
    pub id: String,
    /// Ordinal among the source's audio streams, as in ffmpeg's `0:a:0`.
    pub stream: u32,
    /// Copy or encode.
    pub mode: Mode,
    /// Codec of the output; all but AAC is made in the background.
    #[serde(default, skip_serializing_if = "SoundCodec::is_usual")]
    pub codec: SoundCodec,
    /// Bit rate of the encoder in kbit/s.
    pub kbps: u32,
    /// Channels of the output.
    pub channels: u32,
    /// The source has one channel, which is to be heard from both sides.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mono: bool,
    /// Samples per second of the output.
    pub rate_hz: u32,
    /// Language tag, such as `en`; empty when unknown.
    pub language: String,
    /// What the source calls it, written by a stranger; empty when it says nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The loudness that it is brought to, in LUFS; as it is when none was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loudness_lufs: Option<i8>,
    /// Silence is added until this time after the origin, in microseconds: where the picture ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_us: Option<i64>,
}

/// The subtitles of the file that somebody brought in; a rewritten source has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subtitles {
    /// Container family of that file.
    pub container: Container,
    /// Its time that becomes time 0, in microseconds.
    pub origin_us: i64,
    /// Every stream, in its order.
    pub streams: Vec<Subtitle>,
}

/// One stream of subtitles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subtitle {
    /// URL name, for example `s1`; no language tag looks like it.
    pub id: String,
    /// Ordinal among the source's subtitle streams, as in ffmpeg's `0:s:0`.
    pub stream: u32,
    /// Codec in ffmpeg's words.
    pub codec: String,
    /// Text becomes WebVTT; pictures cannot.
    pub text: bool,
    /// Language tag, such as `en`; empty when unknown.
    pub language: String,
    /// What the source calls it, written by a stranger; empty when it says nothing.
    pub title: String,
    /// Only what everybody must read, such as signs and foreign speech.
    pub forced: bool,
}

/// Images that are made from the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Images {
    /// The still picture shown before playing; `None` without a picture and without sound.
    pub poster: Option<Poster>,
}

/// The still picture of a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poster {
    /// Time in microseconds from the container's start, as `-ss` counts.
    pub at_us: i64,
    /// Longest side in pixels.
    pub side_max: u32,
    /// What is on it.
    #[serde(default)]
    pub of: Subject,
}

/// What is on a poster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A picture of the video.
    #[default]
    Picture,
    /// The cover that came with sound; a drawing of the sound where it cannot be read.
    Cover,
    /// A drawing of the sound: its loudness from begin to end.
    Sound,
}

/// What one ffmpeg run of a plan may use; the sandbox enforces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// CPU seconds.
    pub cpu_s: u64,
    /// Seconds on the wall.
    pub wall_s: u64,
    /// Address space in bytes.
    pub memory_bytes: u64,
    /// Bytes of one output file.
    pub output_bytes: u64,
    /// Frames of the largest chunk.
    pub chunk_frames: u64,
}

/// What a plan is expected to cost; figures of `transcode.md` section 12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// CPU milliseconds of all chunks and the audio.
    pub cpu_ms: u64,
    /// Resident bytes of one chunk job.
    pub memory_bytes: u64,
    /// CPU milliseconds of all that is made in the background besides.
    #[serde(default, skip_serializing_if = "is_none")]
    pub background_cpu_ms: u64,
    /// Bytes of all finished renditions at their caps.
    pub output_bytes: u64,
}

/// Something about the source that its owner should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// Packets stop for longer than 10 s.
    Gap {
        /// Microseconds of the longest one.
        us: i64,
    },
    /// The content ends before 95 % of what the header says.
    ShorterThanHeader,
    /// The frame times are not evenly spaced.
    VariableRate,
    /// Subtitles are pictures, which cannot be converted.
    PictureSubtitles {
        /// Ordinal among the source's subtitle streams.
        stream: u32,
    },
}

/// What this node's ffmpeg and memory can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Memory for all jobs that run at the same time, in bytes.
    pub memory_bytes: u64,
    /// Encoder names of `ffmpeg -encoders`.
    pub encoders: Vec<String>,
    /// Filter names of `ffmpeg -filters`.
    pub filters: Vec<String>,
    /// Encoders in hardware, once for each machine that works and has it.
    pub engines: Vec<Engine>,
}
