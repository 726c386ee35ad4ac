//! Which sources can be played as they are, and in a sentence why the others cannot (transcode.md section 5).
//!
//! One thing cannot be seen in an index: a group of pictures whose key frame is no clean start although its pictures
//! are shown in order. Pictures that are shown before their key frame (an open group) are seen and refused.

use super::sample::Sample;
use super::track::{Coding, Edit, Index, Track, TrackKind};
use crate::limits::{KEY_FRAME_GAP_MS, SOURCE_LATE_MS, SOURCE_TRIM_MS};

/// Why a source cannot be played without encoding it first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Nothing to see or hear.
    #[error("the file has neither a picture nor a sound track")]
    Empty,
    /// More than one video track.
    #[error("the file has {tracks} video tracks, and it is not clear which one is meant")]
    SeveralVideos {
        /// How many.
        tracks: usize,
    },
    /// The file ends inside a box.
    #[error("the file is cut off")]
    Cut,
    /// Encrypted samples.
    #[error("the {track} track is encrypted")]
    Encrypted {
        /// Which track.
        track: &'static str,
    },
    /// A codec, profile or sample format that browsers do not play everywhere.
    #[error("browsers do not play {codec} everywhere")]
    Codec {
        /// The codec as RFC 6381 writes it.
        codec: String,
    },
    /// Interlaced pictures.
    #[error("the pictures are interlaced")]
    Interlaced,
    /// Pixels that are not square.
    #[error("the pixels are not square but {} to {}", sar.0, sar.1)]
    Pixels {
        /// The sample aspect ratio.
        sar: (u32, u32),
    },
    /// A picture to be turned before it is shown.
    #[error("the picture must be turned by {degrees} degrees")]
    Rotated {
        /// Clockwise.
        degrees: u16,
    },
    /// A number of channels or a sample rate that is not proven to play everywhere.
    #[error("the sound has {channels} channels at {rate_hz} Hz")]
    Sound {
        /// How many channels.
        channels: u16,
        /// Samples per second.
        rate_hz: u32,
    },
    /// The codec setup changes within the track.
    #[error("the {track} track changes its codec setup in {entries} places")]
    SampleEntries {
        /// Which track.
        track: &'static str,
        /// How many setups.
        entries: u32,
    },
    /// An edit list that cuts, repeats, or begins or ends elsewhere than the samples do.
    #[error("the {track} track was cut by an edit list")]
    Edited {
        /// Which track.
        track: &'static str,
    },
    /// A track that begins so late that players would wait for it.
    #[error("the {track} track begins {late_ms} ms late")]
    Late {
        /// Which track.
        track: &'static str,
        /// How late.
        late_ms: u64,
    },
    /// A sample without bytes.
    #[error("sample {sample} of the {track} track is empty")]
    EmptySample {
        /// Which track.
        track: &'static str,
        /// The sample, from 0.
        sample: u64,
    },
    /// A sample that is not in the file.
    #[error("sample {sample} of the {track} track lies outside the file")]
    Outside {
        /// Which track.
        track: &'static str,
        /// The sample, from 0.
        sample: u64,
    },
    /// Times that stand still, go back, or are too large.
    #[error("the time of sample {sample} of the {track} track makes no sense")]
    Times {
        /// Which track.
        track: &'static str,
        /// The sample, from 0.
        sample: u64,
    },
    /// The track does not begin with a key frame.
    #[error("the first picture is no key frame")]
    NoKeyFrame,
    /// Key frames too far apart.
    #[error("key frames are {gap_ms} ms apart, more than {KEY_FRAME_GAP_MS} ms")]
    KeyFrames {
        /// The largest distance found until then.
        gap_ms: u64,
    },
    /// A picture is shown before the key frame that its segment begins with.
    #[error("picture {sample} needs pictures of two groups (open group of pictures)")]
    OpenGroup {
        /// The picture, from 0.
        sample: u64,
    },
    /// Fragments whose pictures are reordered more deeply than those of the first one.
    #[error("later fragments reorder their pictures more than the first ones")]
    Reordered,
    /// Sound with a pause, or that begins late, so that a segment would have none.
    #[error("the sound has no frame from second {seconds} on for a whole segment")]
    Silence {
        /// Where the segment begins.
        seconds: u64,
    },
    /// A segment that its header cannot describe.
    #[error("a segment is too large or too long")]
    Segment,
}

/// The name of a track in a sentence.
pub(super) const fn name(track: &Track) -> &'static str {
    match track.kind {
        TrackKind::Video { .. } => "video",
        TrackKind::Audio { .. } => "audio",
        TrackKind::Other => "other",
    }
}

/// The tracks to be played: at most one of pictures, the first of sound that can be played, and then the other sounds
/// whose headers are fine.
pub(super) fn choose(index: &Index) -> Result<Vec<&Track>, Unfit> {
    if index.cut {
        return Err(Unfit::Cut);
    }
    let of = |wanted: &'static str| index.tracks.iter().filter(move |track| name(track) == wanted);
    let videos: Vec<&Track> = of("video").filter(|track| !is_attached(track)).collect();
    if videos.len() > 1 {
        return Err(Unfit::SeveralVideos { tracks: videos.len() });
    }
    let mut chosen = videos;
    for track in &chosen {
        fit(track)?;
    }
    // A track that is on by default goes before one that is off.
    let sounds =
        || of("audio").filter(|track| track.enabled).chain(of("audio").filter(|track| !track.enabled));
    if let Some(track) = sounds().find(|track| fit(track).is_ok()).or(sounds().next()) {
        fit(track)?;
        chosen.push(track);
        let others = of("audio").filter(|other| other.id != track.id && fit(other).is_ok());
        chosen.extend(others);
    }
    if chosen.is_empty() { Err(Unfit::Empty) } else { Ok(chosen) }
}

/// A cover picture, which some files keep as a video track.
fn is_attached(track: &Track) -> bool {
    matches!(track.sample_entry.get(4..8), Some(b"jpeg" | b"mjpa" | b"mjpb" | b"png " | b"tiff"))
}

/// Whether a track can be played, as far as its headers say.
fn fit(track: &Track) -> Result<(), Unfit> {
    if track.encrypted {
        return Err(Unfit::Encrypted { track: name(track) });
    }
    if track.sample_entries != 1 {
        return Err(Unfit::SampleEntries { track: name(track), entries: track.sample_entries });
    }
    match track.kind {
        TrackKind::Video { sar, .. } => fit_video(track, sar),
        TrackKind::Audio { channels, rate_hz } => fit_audio(track, channels, rate_hz),
        TrackKind::Other => Err(Unfit::Empty),
    }
}

fn fit_video(track: &Track, sar: (u32, u32)) -> Result<(), Unfit> {
    let plays = match track.coding {
        Coding::H264(h264) => {
            if !h264.progressive {
                return Err(Unfit::Interlaced);
            }
            let profile = matches!(h264.profile, 66 | 77 | 100);
            track.codec.starts_with("avc1.") && profile && h264.chroma_format == 1 && h264.bit_depth == 8
        }
        Coding::Aac { .. } | Coding::Opus { .. } | Coding::Other => plays_by_name(&track.codec),
    };
    if !plays {
        return Err(Unfit::Codec { codec: track.codec.clone() });
    }
    if sar.0 != sar.1 {
        return Err(Unfit::Pixels { sar });
    }
    if track.rotation_degrees != 0 {
        return Err(Unfit::Rotated { degrees: track.rotation_degrees });
    }
    Ok(())
}

/// VP9 profile 0 (`vp09.00.51.08`) and AV1 Main with 8 bits (`av01.0.04M.08`).
fn plays_by_name(codec: &str) -> bool {
    let fields: Vec<&str> = codec.split('.').collect();
    let eight_bits = fields.get(3).is_some_and(|depth| *depth == "08");
    matches!(fields.as_slice(), ["vp09", "00", ..] | ["av01", "0", ..]) && eight_bits
}

fn fit_audio(track: &Track, channels: u16, rate_hz: u32) -> Result<(), Unfit> {
    let rate_fits = match track.coding {
        // 2 is AAC-LC; 5 and 29 are HE-AAC, whose core coder runs at half the rate.
        Coding::Aac { object_type: 2, rate_hz: core_hz, .. } => matches!(core_hz, 44_100 | 48_000),
        Coding::Aac { object_type: 5 | 29, rate_hz: core_hz, .. } => {
            matches!(core_hz, 22_050 | 24_000 | 44_100 | 48_000)
        }
        Coding::Opus { .. } => true,
        Coding::Other if track.codec.eq_ignore_ascii_case("opus") => true,
        Coding::Aac { .. } | Coding::H264(_) | Coding::Other => {
            return Err(Unfit::Codec { codec: track.codec.clone() });
        }
    };
    if rate_fits && (1..=6).contains(&channels) { Ok(()) } else { Err(Unfit::Sound { channels, rate_hz }) }
}

/// A sample with the time at which it is shown, after the edit list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timed {
    /// Its number, from 0.
    pub(super) number: u64,
    /// The sample: its decode time counts from the begin of the presentation, its duration reaches to the next sample.
    pub(super) sample: Sample,
    /// When it is shown, in ticks; negative for what is decoded but not to be seen or heard.
    pub(super) shown: i64,
}

impl Timed {
    /// When it is shown, or 0 when that is before the begin.
    pub(super) fn start(&self) -> u64 {
        u64::try_from(self.shown).unwrap_or(0)
    }

    /// When the next one is shown, if pictures are not reordered.
    pub(super) fn end(&self) -> u64 {
        u64::try_from(self.shown.saturating_add(i64::from(self.sample.duration))).unwrap_or(0)
    }
}

/// The media time of a track with a plain edit list.
pub(super) fn media_time(track: &Track) -> Result<u64, Unfit> {
    match track.edit {
        Edit::Plain { media_time, .. } if media_time < TICKS_MAX => Ok(media_time),
        Edit::Plain { .. } | Edit::Unsupported => Err(Unfit::Edited { track: name(track) }),
    }
}

/// No time may be larger, so that sums of a few times fit.
const TICKS_MAX: u64 = 1 << 60;

/// Gives every sample of a track to `each`, checked; the last one has its own duration.
pub(super) fn walk(
    track: &Track,
    size_bytes: u64,
    mut each: impl FnMut(Timed) -> Result<(), Unfit>,
) -> Result<(), Unfit> {
    let who = name(track);
    let Edit::Plain { lead_ticks, media_time, length_ticks } = track.edit else {
        return Err(Unfit::Edited { track: who });
    };
    let timed = |number: u64, sample: Sample| {
        let small = sample.dts < TICKS_MAX && lead_ticks < TICKS_MAX && media_time < TICKS_MAX;
        let dts = sample.dts.saturating_add(lead_ticks);
        let shown = dts.cast_signed() + i64::from(sample.cts) - media_time.cast_signed();
        let timed = Timed { number, sample: Sample { dts, ..sample }, shown };
        if small { Ok(timed) } else { Err(Unfit::Times { track: who, sample: number }) }
    };
    let mut held: Option<Timed> = None;
    let mut shown_until = 0;
    for (number, sample) in (0_u64..).zip(track.samples.iter()) {
        if sample.size == 0 {
            return Err(Unfit::EmptySample { track: who, sample: number });
        }
        if sample.offset.checked_add(u64::from(sample.size)).is_none_or(|end| end > size_bytes) {
            return Err(Unfit::Outside { track: who, sample: number });
        }
        let next = timed(number, sample)?;
        if number == 0 && next.start() > ticks(SOURCE_LATE_MS, track.timescale) {
            let late_ms = next.start().saturating_mul(1_000) / u64::from(track.timescale.max(1));
            return Err(Unfit::Late { track: who, late_ms });
        }
        if let Some(mut before) = held.replace(next) {
            let distance = next.sample.dts.checked_sub(before.sample.dts).filter(|ticks| *ticks > 0);
            let distance = distance.and_then(|ticks| u32::try_from(ticks).ok());
            before.sample.duration = distance.ok_or(Unfit::Times { track: who, sample: number })?;
            shown_until = shown_until.max(before.end());
            each(before)?;
        }
    }
    let last = held.ok_or(Unfit::Empty)?;
    shown_until = shown_until.max(last.end());
    // Encoders pad sound to whole frames and say so in the edit list; a longer rest was cut off by a person.
    let hidden = if length_ticks == 0 { 0 } else { shown_until.saturating_sub(lead_ticks + length_ticks) };
    if hidden > ticks(SOURCE_TRIM_MS, track.timescale) {
        return Err(Unfit::Edited { track: who });
    }
    each(last)
}

/// Milliseconds as ticks of a timescale, rounded down.
pub(super) fn ticks(ms: u32, timescale: u32) -> u64 {
    u64::from(ms) * u64::from(timescale) / 1_000
}
