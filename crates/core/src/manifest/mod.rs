//! Playlists and manifests: pure text from the tracks of a video.

pub mod dash;
pub mod hls;

use crate::plan::Rate;
use crate::storyboard::Storyboard;

/// The tracks of one video as a player sees them; URLs are relative to the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presentation {
    /// All segments are there; a growing presentation has only the finished ones.
    pub ended: bool,
    /// Upper bound of every segment's length in whole seconds, constant while the video grows.
    pub target_duration_s: u32,
    /// Video renditions, largest first; empty for sound only.
    pub variants: Vec<Variant>,
    /// Audio renditions, the default one first.
    pub audio: Vec<Audio>,
    /// Subtitles.
    pub texts: Vec<Text>,
    /// Name I-frame playlists in the multivariant playlist.
    pub i_frames: bool,
    /// Small pictures of the whole video, for DASH.
    pub tiles: Option<Tiles>,
}

/// The sheets of a storyboard, at `storyboard/1.jpg` and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tiles {
    /// What is on them.
    pub storyboard: Storyboard,
    /// Bytes of the largest sheet.
    pub bytes: u64,
}

/// One video rendition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Name, codec and segments.
    pub track: Track,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames per second; half the grid's for a half-rate rendition.
    pub rate: Rate,
    /// How bright its pictures are.
    pub brightness: Brightness,
    /// Name of the audio group that plays with it; ignored when the presentation has no such audio.
    pub audio_group: String,
}

/// One audio rendition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    /// Name, codec and segments.
    pub track: Track,
    /// Group of tracks with the same codec, such as `aac`.
    pub group: String,
    /// Shown to the viewer, such as `English`; empty gives `Audio N`.
    pub label: String,
    /// Language tag; empty when unknown.
    pub language: String,
    /// Channels.
    pub channels: u32,
    /// Samples per second.
    pub rate_hz: u32,
    /// Played unless the viewer chooses another one.
    pub default: bool,
}

/// Subtitles of one language: a WebVTT file for the whole video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Name in URLs below `sub/`, without an ending.
    pub name: String,
    /// Part of the file's address that changes with its bytes, so that it can be cached for ever.
    pub version: String,
    /// Shown to the viewer; empty gives `Subtitles N`.
    pub label: String,
    /// Language tag; empty when unknown.
    pub language: String,
    /// Only what everybody must read, such as signs and foreign speech.
    pub forced: bool,
    /// Shown unless the viewer chooses otherwise.
    pub default: bool,
    /// Length of the file in bytes.
    pub bytes: u64,
}

/// How the brightness of pictures is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brightness {
    /// For usual screens.
    Standard,
    /// Perceptual quantizer (SMPTE ST 2084).
    Pq,
    /// Hybrid log-gamma (ARIB STD-B67).
    Hlg,
}

impl Brightness {
    /// The one with these transfer characteristics of ITU-T H.273.
    pub const fn of(transfer: Option<u16>) -> Self {
        match transfer {
            Some(16) => Self::Pq,
            Some(18) => Self::Hlg,
            Some(_) | None => Self::Standard,
        }
    }
}

/// The name that one of several tracks has in a menu: names must differ, and two tracks may well have the same label.
fn distinct<'a>(labels: impl Iterator<Item = &'a str>, number: usize, kind: &str) -> String {
    let mut names: Vec<String> = Vec::new();
    for (at, label) in (1..).zip(labels.take(number + 1)) {
        let plain = if label.is_empty() { format!("{kind} {at}") } else { label.to_owned() };
        let counted = (at..).map(|n: usize| format!("{plain} {n}"));
        let free = std::iter::once(plain.clone()).chain(counted).find(|name| !names.contains(name));
        names.push(free.unwrap_or(plain));
    }
    names.pop().unwrap_or_default()
}

/// What video and audio renditions have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// URL segment, such as `h264-720` or `aac-1`.
    pub name: String,
    /// Codec in RFC 6381 form, such as `avc1.64001F`.
    pub codec: String,
    /// Bits per second.
    pub bandwidth: Bandwidth,
    /// Ticks per second of the segments.
    pub timescale: u32,
    /// Segments in order, without gaps; not needed for the multivariant playlist.
    pub segments: Vec<Segment>,
}

/// One segment of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Start in ticks.
    pub start_ticks: u64,
    /// Duration in ticks.
    pub duration_ticks: u32,
    /// Place in the hybrid file in bytes; used by the byte-range forms only.
    pub offset: u64,
    /// Bytes of the whole segment.
    pub bytes: u64,
    /// Bytes from its start to the end of its first picture.
    pub key_bytes: u64,
}

/// Bits per second of a track.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// Of the heaviest segment.
    pub peak_bps: u64,
    /// Over the whole track.
    pub average_bps: u64,
}

/// Whether players ask for slices or for ranges of the hybrid file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One URL per segment, such as `v/17.m4s`.
    Slices,
    /// Byte ranges of `file.mp4`; the initialisation segment lies at this range.
    Ranges {
        /// First byte of the initialisation segment.
        init_offset: u64,
        /// Its length in bytes.
        init_bytes: u64,
    },
}

/// Which of the two URL families a media playlist is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Below `v/`.
    Video,
    /// Below `a/`.
    Audio,
}

impl Kind {
    /// The folder in the URL.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Video => "v",
            Self::Audio => "a",
        }
    }
}

impl Bandwidth {
    /// The bandwidth of these segments.
    ///
    /// The peak is that of RFC 8216 section 4.1: of any run of segments that lasts from half to one and a half times
    /// as long as the longest, so a short last segment counts with its neighbour.
    pub fn of(timescale: u32, segments: &[Segment]) -> Self {
        let rate = |bytes: u64, ticks: u64| {
            let bits = u128::from(bytes) * 8 * u128::from(timescale);
            u64::try_from(bits.div_ceil(u128::from(ticks.max(1)))).unwrap_or(u64::MAX)
        };
        let ticks = |segment: &Segment| u64::from(segment.duration_ticks);
        let longest = segments.iter().map(ticks).max().unwrap_or(1);
        let run = |from: usize| {
            let sums = segments[from..].iter().scan((0, 0), |(bytes, long), segment| {
                (*bytes, *long) = (*bytes + segment.bytes, *long + ticks(segment));
                Some((*bytes, *long))
            });
            let sums = sums.take_while(|(_, long)| *long * 2 <= longest * 3);
            sums.filter(|(_, long)| *long * 2 >= longest).map(|(bytes, long)| rate(bytes, long)).max()
        };
        let average_bps = rate(segments.iter().map(|one| one.bytes).sum(), segments.iter().map(ticks).sum());
        let peak_bps = (0..segments.len()).filter_map(run).max().unwrap_or(0);
        Self { peak_bps: peak_bps.max(average_bps), average_bps }
    }
}

#[cfg(test)]
pub(crate) mod samples {
    //! Presentations for the tests of both kinds of manifest.

    use super::*;

    /// Segments of these durations, one after the other from `start`.
    pub(crate) fn segments(start: u64, durations: &[u32]) -> Vec<Segment> {
        let mut at = start;
        let mut offset = 22_010;
        let one = |duration_ticks: &u32| {
            let bytes = u64::from(*duration_ticks) * 40;
            let segment = Segment {
                start_ticks: at,
                duration_ticks: *duration_ticks,
                offset,
                bytes,
                key_bytes: bytes / 10,
            };
            at += u64::from(*duration_ticks);
            offset += bytes + 1_000;
            segment
        };
        durations.iter().map(one).collect()
    }

    fn track(name: &str, codec: &str, timescale: u32, segments: Vec<Segment>) -> Track {
        let bandwidth = Bandwidth::of(timescale, &segments);
        Track { name: name.into(), codec: codec.into(), bandwidth, timescale, segments }
    }

    /// A video rendition of these durations at 12,800 ticks a second.
    pub(crate) fn variant(width: u32, height: u32, codec: &str, durations: &[u32]) -> Variant {
        let track = track(&format!("h264-{height}"), codec, 12_800, segments(0, durations));
        let (rate, brightness) = (Rate::of(25, 1), Brightness::Standard);
        Variant { track, width, height, rate, brightness, audio_group: "aac".into() }
    }

    /// A stereo track of these durations at 48,000 ticks a second.
    pub(crate) fn audio(label: &str, language: &str, durations: &[u32]) -> Audio {
        let track = track("aac-1", "mp4a.40.2", 48_000, segments(0, durations));
        let (label, language) = (label.into(), language.into());
        Audio { track, group: "aac".into(), label, language, channels: 2, rate_hz: 48_000, default: true }
    }

    /// The film in AV1 and Opus, too, and as bright as its source in AV1 and HEVC.
    pub(crate) fn modern() -> Presentation {
        let film = abroad();
        let again = |codec: &str, name: &str, brightness, group: &str| {
            let one = film.variants[1].clone();
            let track = Track { name: name.into(), codec: codec.into(), ..one.track };
            Variant { track, brightness, audio_group: group.into(), ..one }
        };
        let opus = |one: &Audio| {
            let name = one.track.name.replace("aac", "opus");
            let track = Track { name, codec: "opus".into(), ..one.track.clone() };
            Audio { track, group: "opus".into(), ..one.clone() }
        };
        let bright = "av01.0.00M.10.0.110.09.16.09.0";
        let more = [
            again("av01.0.00M.10", "av1-240", Brightness::Standard, "opus"),
            again(bright, "av1-hdr-240", Brightness::Pq, "opus"),
            again("hvc1.2.4.L63.90", "hevc-hdr-240", Brightness::Pq, "aac"),
        ];
        Presentation {
            variants: film.variants.iter().cloned().chain(more).collect(),
            audio: film.audio.iter().cloned().chain(film.audio[..2].iter().map(opus)).collect(),
            texts: Vec::new(),
            ..film
        }
    }

    /// Two renditions of 11.2 s with sound.
    pub(crate) fn film() -> Presentation {
        let durations = [51_200, 51_200, 40_960];
        let sound = [192_512, 191_488, 153_600];
        Presentation {
            ended: true,
            target_duration_s: 4,
            variants: vec![
                variant(1_280, 720, "avc1.64001F", &durations),
                Variant { rate: Rate::of(25, 2), ..variant(426, 240, "avc1.640015", &durations) },
            ],
            audio: vec![audio("Svenska \"<&>\"", "sv", &sound)],
            texts: Vec::new(),
            i_frames: true,
            tiles: None,
        }
    }

    /// The same film in three sounds, one of them in 5.1, and with three kinds of subtitles.
    pub(crate) fn abroad() -> Presentation {
        let film = film();
        let durations = [192_512, 191_488, 153_600];
        let sound = |number: u32, label: &str, language: &str, channels: u32| {
            let sound = audio(label, language, &durations);
            let track = Track { name: format!("aac-{number}"), ..sound.track };
            Audio { track, channels, default: number == 1, ..sound }
        };
        let text = |number: u32, label: &str, language: &str, forced: bool| Text {
            name: format!("s{number}"),
            version: format!("v{number}"),
            label: label.into(),
            language: language.into(),
            forced,
            default: forced,
            bytes: 1_400,
        };
        Presentation {
            audio: vec![
                sound(1, "English", "en", 2),
                sound(2, "Svenska", "sv", 2),
                sound(3, "English 5.1", "en", 6),
            ],
            texts: vec![
                text(1, "English", "en", true),
                text(2, "English", "en", false),
                text(3, "", "", false),
            ],
            ..film
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::segments;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_in_a_menu_differ_whatever_tracks_are_called() {
        let all = |labels: &[&str]| -> Vec<String> {
            (0..labels.len()).map(|number| distinct(labels.iter().copied(), number, "Audio")).collect()
        };
        assert_eq!(all(&["A", "A", "A 2"]), ["A", "A 2", "A 2 3"]);
        assert_eq!(all(&["", "Audio 1", ""]), ["Audio 1", "Audio 1 2", "Audio 3"]);
        assert_eq!(all(&["B", "A", "A 2", "A"]), ["B", "A", "A 2", "A 4"]);
    }

    #[test]
    fn the_peak_is_of_the_heaviest_run_about_as_long_as_a_segment() {
        let of = |all: &[(u32, u64)]| {
            let durations: Vec<u32> = all.iter().map(|(ticks, _)| *ticks).collect();
            let mut made = segments(0, &durations);
            for (segment, (_, bytes)) in made.iter_mut().zip(all) {
                segment.bytes = *bytes;
            }
            Bandwidth::of(100, &made)
        };
        // The last picture alone would be 80,000 bit/s; with its neighbour it is 7,805.
        let short = of(&[(400, 1_000), (400, 3_000), (10, 1_000)]);
        assert_eq!(short, Bandwidth { peak_bps: 7_805, average_bps: 4_939 });
        let long = of(&[(400, 1_000), (400, 3_000), (400, 1_000)]);
        assert_eq!(long, Bandwidth { peak_bps: 6_000, average_bps: 3_334 });
        assert_eq!(of(&[]), Bandwidth::default());
    }

    proptest! {
        #[test]
        fn the_average_is_never_above_the_peak(all in proptest::collection::vec((1_u32..500, 1_u64..1 << 40), 1..50)) {
            let durations: Vec<u32> = all.iter().map(|(ticks, _)| *ticks).collect();
            let mut made = segments(0, &durations);
            for (segment, (_, bytes)) in made.iter_mut().zip(&all) {
                segment.bytes = *bytes;
            }
            let rate = Bandwidth::of(90_000, &made);
            prop_assert!(rate.average_bps <= rate.peak_bps);
        }
    }
}
