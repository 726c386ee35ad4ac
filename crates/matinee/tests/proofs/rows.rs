//! The table of proofs: a red half, another one that flashes with each beep, and what must be left of them.

use std::path::Path;

use crate::corpus::table::{Class, Expect, Make, Row};

/// Where the red half is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
    Top,
    Bottom,
}

impl Side {
    pub(super) const fn opposite(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
            Self::Top => Self::Bottom,
            Self::Bottom => Self::Top,
        }
    }
}

/// One class of source.
pub(super) struct Proof {
    pub(super) name: &'static str,
    words: &'static str,
    pub(super) size: Option<(u64, u64)>,
    pub(super) rate: f64,
    pub(super) frames: usize,
    /// Length of the sound where it is longer than the picture.
    sound_s: Option<f64>,
    pub(super) sounds: usize,
    pub(super) side: Side,
    /// Least and most of brightness and the two colours of the red half; `None` where it is not red.
    pub(super) red: Option<[(f64, f64); 3]>,
    /// A flash is brighter than that.
    pub(super) bright: f64,
    /// At least so many flashes.
    pub(super) flashes: usize,
    /// Primaries, transfer and matrix of the result.
    pub(super) tags: [&'static str; 3],
    pub(super) damaged: Option<&'static str>,
}

/// Red as ffmpeg draws it, whatever is said of its colours.
const RED: [(f64, f64); 3] = [(81.0, 81.0), (90.0, 90.0), (240.0, 240.0)];
/// Red in BT.709.
const RED_709: [(f64, f64); 3] = [(63.0, 63.0), (102.0, 102.0), (240.0, 240.0)];
/// Red that was bright once: still red, and neither black nor white.
const RED_MAPPED: [(f64, f64); 3] = [(16.0, 140.0), (60.0, 130.0), (150.0, 250.0)];
const SMALL: (u64, u64) = (160, 90);
const BT709: [&str; 3] = ["bt709"; 3];

const fn proof(name: &'static str, words: &'static str) -> Proof {
    Proof {
        name,
        words,
        size: Some(SMALL),
        rate: 25.0,
        frames: 100,
        sound_s: None,
        sounds: 1,
        side: Side::Left,
        red: Some(RED),
        bright: 125.0,
        flashes: 3,
        tags: ["none"; 3],
        damaged: None,
    }
}

impl Proof {
    pub(super) fn bytes(&self, dir: &Path) -> Vec<u8> {
        let make = Make::Words(self.words);
        Row { class: Class::Shape, name: self.name, make, expect: Expect::Ready }.bytes(dir)
    }

    /// How long the sound lasts: until the picture ends at least.
    pub(super) fn seconds(&self) -> f64 {
        let picture = if self.size.is_some() { self.frames as f64 / self.rate } else { 0.0 };
        self.sound_s.map_or(picture, |sound| sound.max(picture))
    }
}

/// One row for each class of `transcode.md` section 14.
pub(super) const ROWS: &[Proof] = &[
    proof("plain.mp4", "F160x90,25,4 B4 X"),
    proof("reordered.mp4", "F160x90,25,4 B4 XB"),
    Proof { size: Some((90, 160)), side: Side::Bottom, ..proof("turned-90.mp4", "F160x90,25,4 B4 X R90") },
    Proof { side: Side::Right, ..proof("turned-180.mp4", "F160x90,25,4 B4 X R180") },
    Proof { size: Some((90, 160)), side: Side::Top, ..proof("turned-270.mov", "F160x90,25,4 B4 X R270") },
    Proof { size: Some((256, 144)), ..proof("anamorphic.mp4", "F180x144,25,4 B4 X -vf setsar=64/45") },
    Proof { frames: 101, size: Some((160, 144)), ..proof("narrow.mkv", "F180x144,25,4 B4 X -vf setsar=8/9") },
    Proof {
        size: Some((180, 144)),
        ..proof("interlaced.mp4", "F180x144,50,4 B4 X -vf tinterlace=4 -flags +ilme+ildct -x264-params tff=1")
    },
    Proof {
        size: Some((180, 144)),
        ..proof(
            "bottom-first.ts",
            "F180x144,50,4 B4 -vf tinterlace=5 -c:v mpeg2video -flags +ilme+ildct -top 0 -b:v 3M -c:a mp2",
        )
    },
    Proof {
        red: Some(RED_MAPPED),
        tags: BT709,
        bright: 110.0,
        ..proof(
            "pq.mp4",
            "F160x90,25,4 B4 H10 -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -c:a aac",
        )
    },
    Proof {
        red: Some(RED_MAPPED),
        tags: BT709,
        bright: 110.0,
        ..proof(
            "hlg.mp4",
            "F160x90,25,4 B4 H10 -color_primaries bt2020 -color_trc arib-std-b67 -colorspace bt2020nc -c:a aac",
        )
    },
    Proof {
        red: Some(RED_MAPPED),
        tags: BT709,
        bright: 110.0,
        frames: 101,
        ..proof("pq-half-told.mkv", "F160x90,25,4 B4 H10 -color_trc smpte2084 -c:a aac")
    },
    Proof {
        tags: ["bt470bg", "bt470bg", "bt470bg"],
        ..proof(
            "pal.mp4",
            "F160x90,25,4 B4 X -color_primaries bt470bg -color_trc gamma28 -colorspace bt470bg",
        )
    },
    Proof {
        tags: ["smpte170m", "smpte170m", "smpte170m"],
        ..proof(
            "bt601.mp4",
            "F160x90,25,4 B4 X -color_primaries smpte170m -color_trc smpte170m -colorspace smpte170m",
        )
    },
    proof("full-range.mp4", "F160x90,25,4 B4 X -pix_fmt yuvj420p"),
    Proof {
        red: Some(RED_709),
        tags: BT709,
        ..proof("rgb.mp4", "F160x90,25,4 B4 -c:v libx264rgb -preset ultrafast -c:a aac")
    },
    Proof {
        red: Some(RED_709),
        tags: BT709,
        ..proof("palette.avi", "F160x90,25,4 B4 -c:v rawvideo -pix_fmt bgr24 -c:a pcm_s16le")
    },
    proof("ten-bit.mp4", "F160x90,25,4 B4 X10"),
    proof("hevc-10.mp4", "F160x90,25,4 B4 H10 -c:a aac"),
    proof("422.mov", "F160x90,25,4 B4 -c:v prores_ks -profile:v 1 -c:a pcm_s16le"),
    proof("444.mp4", "F160x90,25,4 B4 X -pix_fmt yuv444p"),
    proof("444-12.mkv", "F160x90,25,4 B4 H -pix_fmt yuv444p12le -c:a flac"),
    proof(
        "alpha.webm",
        "F160x90,25,4 B4 -vf format=yuva420p -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -auto-alt-ref 0 -c:a libopus",
    ),
    proof("alpha.mov", "F160x90,25,4 B4 -c:v prores_ks -profile:v 4 -pix_fmt yuva444p10le -c:a pcm_s16le"),
    Proof {
        size: Some((160, 90)),
        ..proof("odd.mkv", "F161x91,25,4 B4 -pix_fmt yuv444p -c:v ffv1 -c:a flac")
    },
    Proof {
        rate: 30.0,
        frames: 120,
        ..proof("uneven.mp4", "F160x90,30,4 B4 X -vf select='not(between(mod(n,40),12,18))' -fps_mode vfr")
    },
    Proof {
        rate: 30.0,
        frames: 121,
        ..proof("uneven.mkv", "F160x90,30,4 B4 X -vf select='not(between(mod(n,40),12,18))' -fps_mode vfr")
    },
    Proof { frames: 101, ..proof("film.mkv", "F160x90,25,4 B4 XB") },
    Proof { rate: 30_000.0 / 1_001.0, frames: 120, ..proof("ntsc.mp4", "F160x90,30000/1001,4 B4 X") },
    Proof { size: Some((800, 500)), rate: 50.0, frames: 200, ..proof("fast.mp4", "F800x500,50,4 B4 X") },
    Proof { frames: 101, sounds: 2, ..proof("two-sounds.mkv", "F160x90,25,4 B4 A4 X -map 0 -map 1 -map 2") },
    proof("mono.mp4", "F160x90,25,4 B4 X -ac 1"),
    proof("5.1.mp4", "F160x90,25,4 B4 X -ac 6"),
    proof("7.1.mkv", "F160x90,25,4 B4 -c:v libx264 -preset ultrafast -c:a flac -ac 8"),
    proof(
        "16.mov",
        "F160x90,25,4 B4 -c:v libx264 -preset ultrafast -c:a pcm_s16le -af pan=hexadecagonal|c0=c0|c1=c0|c2=c0",
    ),
    Proof { sounds: 0, ..proof("silent.mp4", "F160x90,25,4 X") },
    Proof { size: None, sound_s: Some(4.0), ..proof("sound.m4a", "B4 -c:a aac") },
    Proof { frames: 101, ..proof("words.mkv", "F160x90,25,4 B4 T X -map 0 -map 1 -map 2 -c:s srt") },
    proof("chapters.mp4", "F160x90,25,4 B4 C X -map 0 -map 1 -map_metadata 2"),
    proof(
        "cover.mp4",
        "F160x90,25,4 B4 V300x300,1,1 X -map 0 -map 1 -map 2 -c:v:1 png -disposition:v:1 attached_pic",
    ),
    Proof { flashes: 2, frames: 75, ..proof("edited.mp4", "F160x90,25,4 B4 X -g 10 E1") },
    Proof { frames: 119, ..proof("late-picture.mkv", "L0.72 F160x90,25,4 B4+0.72 X") },
    Proof { frames: 119, ..proof("late-picture.ts", "L0.72 F160x90,25,4 B4+0.72 X") },
    proof("late-sound.mp4", "F160x90,25,4 L0.5 B3.5-0.5 X"),
    proof("late-sound.mkv", "F160x90,25,4 L0.5 B3.5-0.5 X"),
    Proof {
        frames: 201,
        flashes: 6,
        ..proof("restarts.ts", "J=F160x90,25,4~B4~X~-f~mpegts|F160x90,25,4~B4~X~-f~mpegts")
    },
    Proof { frames: 101, ..proof("plain.avi", "F160x90,25,4 B4 -c:v mpeg4 -c:a libmp3lame") },
    Proof { frames: 101, ..proof("old.flv", "F160x90,25,4 B4 -c:v flv -c:a libmp3lame -ar 44100") },
    Proof { frames: 101, ..proof("old.wmv", "F160x90,25,4 B4 -c:v wmv2 -c:a wmav2") },
    proof("old.mpg", "F160x90,25,4 B4 -c:v mpeg2video -b:v 2M -c:a mp2"),
    Proof {
        frames: 97,
        sound_s: Some(4.0),
        ..proof("old.ogv", "F160x90,25,4 B4 -c:v libtheora -q:v 8 -c:a libvorbis")
    },
];
