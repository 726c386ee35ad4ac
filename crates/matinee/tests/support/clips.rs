//! Clips for the tests: made once by ffmpeg and kept beside the build, or read in place from the shared folder.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::process::tool;

/// One maker at a time, so that two tests never write the same clip.
static MAKING: Mutex<()> = Mutex::new(());

/// The arguments of a picture with a counter and of a tone; both are the same on every machine.
fn sources(size: &str, seconds: u32) -> Vec<String> {
    let picture = format!("testsrc2=size={size}:rate=25:duration={seconds}");
    let tone = format!("sine=frequency=440:sample_rate=48000:duration={seconds}");
    ["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &tone].map(str::to_owned).to_vec()
}

/// A file below the build folder that `make` writes when it is not there yet.
fn kept(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clips");
    let path = dir.join(name);
    let guard = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !path.exists() {
        std::fs::create_dir_all(&dir).unwrap();
        // Another test binary may make the same clip at this moment: each writes its own and renames.
        let fresh = dir.join(format!("{}-{name}", std::process::id()));
        make(&fresh);
        std::fs::rename(fresh, &path).unwrap();
    }
    drop(guard);
    path
}

/// A clip of these sources, encoded with these arguments; the name carries both.
fn encoded(name: &str, size: &str, seconds: u32, args: &[&str]) -> Vec<u8> {
    let path = kept(name, |fresh| {
        let mut all: Vec<String> = ["-v", "error", "-y"].map(str::to_owned).to_vec();
        all.extend(sources(size, seconds));
        all.extend(args.iter().map(|&arg| arg.to_owned()));
        all.push(fresh.to_str().unwrap().to_owned());
        tool("ffmpeg", &all.iter().map(String::as_str).collect::<Vec<_>>());
    });
    std::fs::read(path).unwrap()
}

const H264: [&str; 10] =
    ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50", "-c:a", "aac"];

/// H.264 and AAC in an MP4 of this many seconds: played as it is.
pub(crate) fn mp4(seconds: u32) -> Vec<u8> {
    encoded(&format!("small-{seconds}.mp4"), "320x180", seconds, &H264)
}

/// A picture of this size that gives several renditions.
pub(crate) fn sized(size: &str, seconds: u32) -> Vec<u8> {
    encoded(&format!("{size}-{seconds}.mp4"), size, seconds, &H264)
}

/// The same with its index in front.
pub(crate) fn faststart(seconds: u32) -> Vec<u8> {
    let args = [&H264[..], &["-movflags", "+faststart"]].concat();
    encoded(&format!("front-{seconds}.mp4"), "320x180", seconds, &args)
}

/// The same without sound.
pub(crate) fn mute(seconds: u32) -> Vec<u8> {
    let args = [&H264[..], &["-an", "-movflags", "+faststart"]].concat();
    encoded(&format!("mute-{seconds}.mp4"), "320x180", seconds, &args)
}

/// The same as fragments that begin with key frames.
pub(crate) fn fragmented(seconds: u32) -> Vec<u8> {
    let args = [&H264[..], &["-movflags", "+frag_keyframe+empty_moov+default_base_moof"]].concat();
    encoded(&format!("fragments-{seconds}.mp4"), "320x180", seconds, &args)
}

/// Fragments with reordered pictures, whose offsets are below zero.
pub(crate) fn cmaf(seconds: u32) -> Vec<u8> {
    let reordered = ["-preset", "veryfast", "-bf", "3", "-x264-params", "b-pyramid=normal"];
    let args = [&H264[..], &reordered[..], &["-movflags", "+cmaf+frag_keyframe"]].concat();
    encoded(&format!("cmaf-{seconds}.mp4"), "320x180", seconds, &args)
}

/// A picture without a sound, of which next to no byte is left behind its index.
pub(crate) fn hollow(seconds: u32) -> Vec<u8> {
    let args = [&H264[..], &["-an", "-movflags", "+faststart"]].concat();
    let mut bytes = encoded(&format!("silent-{seconds}.mp4"), "320x180", seconds, &args);
    let from = bytes.windows(4).position(|four| four == b"mdat").unwrap() + 3_000;
    let noise = super::noise(1, bytes.len() - from);
    bytes[from..].copy_from_slice(&noise);
    bytes
}

/// A tone without a picture.
pub(crate) fn tone(seconds: u32) -> Vec<u8> {
    encoded(&format!("tone-{seconds}.m4a"), "16x16", seconds, &["-map", "1:a", "-c:a", "aac"])
}

/// MPEG-4 and MP2 in AVI: has to be encoded before it can be played.
pub(crate) fn avi(seconds: u32) -> Vec<u8> {
    encoded(&format!("old-{seconds}.avi"), "640x360", seconds, &["-c:v", "mpeg4", "-c:a", "mp2"])
}

/// The same, with bytes in its middle that no decoder can read.
pub(crate) fn spoilt(seconds: u32) -> Vec<u8> {
    let mut bytes = avi(seconds);
    let mut random = super::Random(7);
    for _ in 0..40 {
        let at = bytes.len() / 4 + usize::try_from(random.below(bytes.len() as u64 / 2)).unwrap();
        bytes[at] ^= 0x5a;
    }
    bytes
}

/// Two streams of MPEG-4 pictures in AVI, the first of which is the smaller one.
pub(crate) fn two_pictures() -> Vec<u8> {
    let path = kept("two-pictures.avi", |fresh| {
        let (small, large) =
            ("testsrc2=size=160x90:rate=25:duration=4", "testsrc2=size=320x180:rate=25:duration=4");
        let sources = ["-v", "error", "-y", "-f", "lavfi", "-i", small, "-f", "lavfi", "-i", large];
        let encoder = ["-map", "0", "-map", "1", "-c:v", "mpeg4", "-f", "avi", fresh.to_str().unwrap()];
        tool("ffmpeg", &[&sources[..], &encoder[..]].concat());
    });
    std::fs::read(path).unwrap()
}

/// One picture of 16000x16000 in an MP4 of a few kilobytes.
pub(crate) fn flood() -> Vec<u8> {
    let path = kept("flood.mp4", |fresh| {
        let out = fresh.to_str().unwrap();
        let source = "color=c=black:size=16000x16000:rate=1:duration=1";
        let args = ["-v", "error", "-y", "-f", "lavfi", "-i", source, "-frames:v", "1", "-c:v", "png", out];
        tool("ffmpeg", &args);
    });
    std::fs::read(path).unwrap()
}

/// Two short runs of pictures, ten hours apart.
pub(crate) fn gap() -> Vec<u8> {
    let shift = "setpts=PTS+gte(N\\,25)*36000/TB";
    let path = kept("gap.mkv", |fresh| {
        let out = fresh.to_str().unwrap();
        let source = "testsrc2=size=160x90:rate=25:duration=2";
        let args =
            ["-v", "error", "-y", "-f", "lavfi", "-i", source, "-vf", shift, "-fps_mode", "passthrough"];
        let encoder = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-f", "matroska", out];
        tool("ffmpeg", &[&args[..], &encoder[..]].concat());
    });
    std::fs::read(path).unwrap()
}
