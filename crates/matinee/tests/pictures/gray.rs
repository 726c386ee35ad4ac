//! Clips whose pictures tell their own time, and how bright a picture is.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use crate::support::process::{command, tool};

/// How bright the picture is `at_s` seconds from the start, from 0 to 255: another step each half second.
pub(crate) fn brightness(at_s: f64) -> f64 {
    f64::from(30 + floored(at_s * 2.0) * 37 % 180)
}

/// Brightness that JPEG, scaling and two encoders may change.
pub(crate) const NEAR: f64 = 7.0;

#[expect(clippy::cast_possible_truncation, reason = "clips of tests are short")]
fn floored(half_seconds: f64) -> i32 {
    half_seconds.floor() as i32
}

/// A clip of such pictures, encoded with these arguments.
pub(crate) fn clip(dir: &Path, name: &str, rate: &str, seconds: u32, args: &[&str]) -> Vec<u8> {
    slides(dir, name, (rate, seconds, "1"), args)
}

/// The same with only those pictures for which `shown` holds; each stays on screen until the next one.
pub(crate) fn slides(
    dir: &Path,
    name: &str,
    (rate, seconds, shown): (&str, u32, &str),
    args: &[&str],
) -> Vec<u8> {
    let path = dir.join(name);
    let picture = format!(
        "color=black:s=640x360:r={rate}:d={seconds},format=gray,geq=lum='30+mod(floor(T*2+0.0001)*37\\,180)',format=yuv420p,\
         select='{shown}'"
    );
    let mut all = vec!["-v", "error", "-y", "-f", "lavfi", "-i", &picture];
    all.extend(args);
    all.push(path.to_str().unwrap());
    tool("ffmpeg", &all);
    std::fs::read(path).unwrap()
}

/// The mean brightness of a part of a JPEG picture: left, top, width and height.
pub(crate) fn of(jpeg: &[u8], (left, top, width, height): (u32, u32, u32, u32)) -> f64 {
    let crop = format!("crop={width}:{height}:{left}:{top},format=gray");
    let args = ["-v", "error", "-f", "jpeg_pipe", "-i", "-", "-vf", &crop, "-f", "rawvideo", "-"];
    let mut child =
        command("ffmpeg").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(jpeg).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && !output.stdout.is_empty(), "no picture of {} bytes", jpeg.len());
    let sum: u64 = output.stdout.iter().map(|byte| u64::from(*byte)).sum();
    #[expect(clippy::cast_precision_loss, reason = "a mean needs no exact sum")]
    let mean = sum as f64 / output.stdout.len() as f64;
    mean
}
