//! The table of clips: one per class of input, made by ffmpeg, with what must come out.

use std::path::{Path, PathBuf};

use super::support::make;

/// A clip and what must become of it.
pub(crate) struct Clip {
    pub(crate) name: &'static str,
    /// ffmpeg's arguments, in words; `V`, `A` and `X` stand for a picture, a tone and a quick H.264 with AAC.
    pub(crate) args: &'static str,
    /// Width and height of the largest rendition; `None` without a picture.
    pub(crate) size: Option<(u64, u64)>,
    /// Pictures of the largest rendition; the first is held where sound (AAC's priming, too) begins before it.
    pub(crate) frames: usize,
    /// Seconds of the longest track.
    pub(crate) seconds: f64,
    /// Has sound.
    pub(crate) sound: bool,
    /// Can be played as it is.
    pub(crate) at_once: bool,
    /// The code of what is wrong with it.
    pub(crate) damaged: Option<&'static str>,
}

const fn clip(name: &'static str, args: &'static str, size: (u64, u64), frames: usize, seconds: f64) -> Clip {
    let size = if size.0 == 0 { None } else { Some(size) };
    Clip { name, args, size, frames, seconds, sound: true, at_once: false, damaged: None }
}

impl Clip {
    const fn at_once(self) -> Self {
        Self { at_once: true, ..self }
    }

    const fn silent(self) -> Self {
        Self { sound: false, ..self }
    }

    const fn damaged(self, code: &'static str) -> Self {
        Self { damaged: Some(code), ..self }
    }
}

/// The size of sound.
const NONE: (u64, u64) = (0, 0);
const SMALL: (u64, u64) = (320, 180);

/// Every class of `transcode.md` section 14 that this release says it plays.
pub(crate) const CLIPS: [Clip; 42] = [
    clip("end.mp4", "V320x180,25,6 A6 XB", SMALL, 150, 6.0).at_once(),
    clip("front.mp4", "V320x180,25,6 A6 X -movflags +faststart", SMALL, 150, 6.0).at_once(),
    clip("cmaf.mp4", "V320x180,25,9 A9 XB -movflags +cmaf+empty_moov+frag_keyframe", SMALL, 225, 9.0)
        .at_once(),
    clip("frag.mp4", "V320x180,25,6 A6 X -movflags frag_keyframe+empty_moov", SMALL, 151, 6.0).at_once(),
    clip("negative.mp4", "V320x180,25,5 A5 XB -movflags +negative_cts_offsets", SMALL, 125, 5.0).at_once(),
    clip("portrait.mp4", "V360x640,30,3 A3 X", (360, 640), 90, 3.0).at_once(),
    clip("rotated90.mp4", "V320x180,25,2 A2 X R90", (180, 320), 50, 2.0),
    clip("rotated180.mp4", "V320x180,25,2 A2 X R180", SMALL, 50, 2.0),
    clip("rotated270.mp4", "V320x180,25,2 A2 X R270", (180, 320), 50, 2.0),
    clip("between.mp4", "V960x528,25,2 A2 X", (960, 528), 50, 2.0).at_once(),
    clip("odd.mp4", "V641x361,25,2 A2 X -pix_fmt yuv444p", (640, 360), 50, 2.0),
    clip("silent.mp4", "V320x180,25,5 X", SMALL, 125, 5.0).silent().at_once(),
    clip("sound.m4a", "A9.7 X", NONE, 0, 9.7).at_once(),
    clip("sound.mp3", "A9.7 -c:a libmp3lame", NONE, 0, 9.7),
    clip("sound.wav", "A9.7", NONE, 0, 9.7),
    clip("sound.flac", "A9.7", NONE, 0, 9.7),
    clip("surround.mp4", "V320x180,25,3 A3 X -ac 6", SMALL, 75, 3.0).at_once(),
    clip(
        "uneven.mp4",
        "V320x180,30,6 A6 X -vf select='not(between(mod(n,40),10,17))' -fps_mode vfr",
        SMALL,
        180,
        6.0,
    )
    .at_once(),
    clip(
        "uneven.mkv",
        "V320x180,30,6 A6 X -vf select='not(between(mod(n,40),10,17))' -fps_mode vfr",
        SMALL,
        181,
        6.0,
    ),
    clip("ten.mp4", "V320x180,25,2 A2 X -pix_fmt yuv420p10le", SMALL, 50, 2.0),
    clip(
        "hevc.mp4",
        "V320x180,25,2 A2 -c:v libx265 -preset ultrafast -x265-params log-level=error -pix_fmt yuv420p10le",
        SMALL,
        50,
        2.0,
    ),
    clip(
        "bright.mp4",
        "V320x180,25,2 A2 X -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -pix_fmt yuv420p10le",
        SMALL,
        50,
        2.0,
    ),
    clip(
        "fields.mp4",
        "V360x288,50,4 A4 X -vf tinterlace=4 -flags +ilme+ildct -x264-params tff=1",
        (360, 288),
        100,
        4.0,
    ),
    clip("wide.mp4", "V360x288,25,2 A2 X -vf setsar=64/45", (512, 288), 50, 2.0),
    clip(
        "old.webm",
        "V320x180,25,4 A4 -c:v libvpx -deadline realtime -cpu-used 8 -c:a libvorbis",
        SMALL,
        100,
        4.0,
    ),
    clip(
        "new.webm",
        "V320x180,25,4 A4 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 50 -c:a libopus",
        SMALL,
        100,
        4.0,
    ),
    clip(
        "new.mp4",
        "V320x180,25,4 A4 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 50 -c:a libopus -strict -2",
        SMALL,
        100,
        4.0,
    )
    .at_once(),
    clip("newest.mp4", "V320x180,25,2 A2 -c:v libsvtav1 -preset 12 -g 50 -c:a aac", SMALL, 50, 2.0).at_once(),
    clip("stream.ts", "V320x180,25,8 A8 XB", SMALL, 201, 8.0),
    clip("old.avi", "V320x180,25,4 A4 -c:v mpeg4 -g 12 -c:a libmp3lame", SMALL, 101, 4.0),
    clip("late-sound.mp4", "V320x180,25,5 L0.7 A4 X", SMALL, 125, 5.0),
    clip("late-picture.mp4", "L0.7 V320x180,25,4 A5 X", SMALL, 118, 5.0).at_once(),
    clip("late-picture.mkv", "L0.7 V320x180,25,4 A5 X", SMALL, 119, 5.0),
    clip("short-sound.mp4", "V320x180,25,9 A3 X", SMALL, 225, 9.0).at_once(),
    clip("long-sound.mp4", "V320x180,25,5 A14 X", SMALL, 125, 14.0).at_once(),
    clip("one.mp4", "V320x180,25,1 X -frames:v 1", SMALL, 1, 0.04).silent().at_once(),
    clip("fast.mp4", "V320x180,60,4 A4 X", SMALL, 120, 4.0).at_once(),
    clip("ntsc.mp4", "V320x180,30000/1001,9 A9 X", SMALL, 270, 9.0).at_once(),
    clip("film.mp4", "V320x180,24000/1001,9 A9 X", SMALL, 216, 9.0).at_once(),
    clip("slow.mp4", "V320x180,1,12 A12 X -g 4", SMALL, 12, 12.0).at_once(),
    clip("blink.mp4", "V320x180,25,0.2 A0.2 X", SMALL, 5, 0.2).at_once(),
    clip("cut-off.mp4", "V320x180,25,12 A12 X -movflags +faststart", SMALL, 0, 0.0)
        .damaged("truncated_input"),
];

/// Makes the clip below `dir`.
pub(crate) fn made(clip: &Clip, dir: &Path) -> PathBuf {
    // ffmpeg takes the display matrix of what it encodes away, so it is given to a copy.
    let path = match clip.args.split_once(" R") {
        None => make(dir, clip.name, &arguments(clip.args)),
        Some((args, degrees)) => {
            let upright = make(dir, &format!("upright-{}", clip.name), &arguments(args));
            let turn = format!("-i {} -c copy -metadata:s:v:0 rotate={degrees}", upright.display());
            make(dir, clip.name, &turn.split(' ').map(str::to_owned).collect::<Vec<_>>())
        }
    };
    if clip.damaged.is_some() {
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() * 2 / 5]).unwrap();
    }
    path
}

/// The words of a table row as ffmpeg's arguments.
pub(crate) fn arguments(words: &str) -> Vec<String> {
    let mut args = Vec::new();
    let mut add = |text: String| args.extend(text.split(' ').map(str::to_owned));
    for word in words.split(' ') {
        match (word, word.split_at(1)) {
            ("X", _) => add("-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 50 -c:a aac".into()),
            ("XB", _) => add("-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 50 -c:a aac".into()),
            (_, ("V", picture)) => {
                let parts: Vec<&str> = picture.split(',').collect();
                add(format!("-f lavfi -i testsrc2=s={}:r={}:d={}", parts[0], parts[1], parts[2]));
            }
            (_, ("A", seconds)) => add(format!("-f lavfi -i sine=440:r=48000:d={seconds}")),
            (_, ("L", seconds)) => add(format!("-itsoffset {seconds}")),
            _ => add(word.to_owned()),
        }
    }
    args
}
