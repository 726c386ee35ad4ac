//! What becomes of each class of source, measured on the encoded file: pictures, time, sound beside picture, shape, colour.

#![expect(clippy::cast_precision_loss, reason = "pictures and samples of a test clip are few")]

mod bright;
mod chunks;
mod rows;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::players::support::{World, ffmpeg, packets, streams};
use rows::{Proof, ROWS, Side};

/// Sound and picture may be apart by that many seconds (`product.md` section 10, BAD4).
const APART_S: f64 = 0.04;
/// Clips that are in work at the same time.
const LANES: usize = 4;
/// Tiles that a picture is measured on, each way.
const TILES: usize = 16;
/// Brightness or colour may be off by so much after encoding.
const OFF: f64 = 10.0;

#[test]
fn every_class_of_source_is_encoded_as_it_is_meant() {
    let world = World::start();
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let wanted = std::env::var("MATINEE_PROOF").unwrap_or_default();
    let rows: Vec<&Proof> = ROWS.iter().filter(|row| row.name.contains(&wanted)).collect();
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let one = || prove(&world, row);
                    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(one)).is_err() {
                        wrong.lock().unwrap().push(row.name);
                    }
                }
            });
        }
    });
    assert_eq!(*wrong.lock().unwrap(), Vec::<&str>::new(), "these are not encoded as they are meant");
}

fn prove(world: &World, row: &Proof) {
    let name = row.name;
    let path = world.dir.path().join(format!("proof-{name}"));
    std::fs::write(&path, row.bytes(world.dir.path())).unwrap();
    let video = world.upload(&path);
    let ended = world.ended(&video, |_| {});
    assert_eq!(ended["state"], "ready", "{name}: {}", ended["reason"]);
    assert_eq!(ended["damaged"]["code"].as_str(), row.damaged, "{name}: {}", ended["damaged"]);
    let renditions = ended["renditions"].as_array().unwrap();
    let of = |medium: &'static str| renditions.iter().filter(move |one| one["medium"] == medium);
    assert_eq!(of("audio").count(), row.sounds, "{name}: sounds");
    let top = of("video").max_by_key(|one| one["width"].as_u64()).or_else(|| of("audio").next()).unwrap();
    let place = world.place(&video, 2);
    let (status, bytes) = world.get(&format!("{place}/{}/file.mp4", top["id"].as_str().unwrap()));
    assert_eq!(status, 200, "{name}: {top}");
    let file = world.dir.path().join(format!("proof-{name}.mp4"));
    std::fs::write(&file, bytes).unwrap();
    let flashes = row.size.map(|size| shown(row, size, &file)).unwrap_or_default();
    let beeps = heard(row, &file);
    if row.size.is_some() && row.sounds > 0 {
        together(row, &flashes, &beeps);
    }
}

/// The picture is what was planned; returns when it flashes.
fn shown(row: &Proof, (width, height): (u64, u64), file: &Path) -> Vec<f64> {
    let (name, path) = (row.name, file.to_str().unwrap());
    let all = streams(path);
    let stream = all.iter().find(|stream| stream["codec_type"] == "video").unwrap();
    let said = |field: &str| stream[field].as_str().unwrap_or("none").to_owned();
    assert_eq!((stream["width"].as_u64(), stream["height"].as_u64()), (Some(width), Some(height)), "{name}");
    assert_eq!((said("codec_name"), said("pix_fmt")), ("h264".into(), "yuv420p".into()), "{name}");
    assert_eq!(said("sample_aspect_ratio"), "1:1", "{name}");
    assert!(["progressive", "unknown", "none"].contains(&said("field_order").as_str()), "{name}: {stream}");
    assert!(stream["side_data_list"].is_null(), "{name} is still turned: {stream}");
    for (field, word) in ["color_primaries", "color_transfer", "color_space"].into_iter().zip(row.tags) {
        assert_eq!(said(field), word, "{name}: {field}");
    }
    let found = packets(path, "v:0");
    assert_eq!(found.len(), row.frames, "{name}: pictures");
    let end = found.iter().map(|packet| packet.0 + packet.1).fold(0.0, f64::max);
    assert!((end - row.frames as f64 / row.rate).abs() <= 1.0 / row.rate, "{name} ends at {end} s");
    let pictures = Pictures::of(path);
    assert_eq!(pictures.count(), row.frames, "{name}: pictures that can be decoded");
    pictures.colored(row);
    pictures.flashes(row)
}

/// All pictures, on a few tiles.
struct Pictures(Vec<u8>);

impl Pictures {
    fn of(path: &str) -> Self {
        let scale = format!("scale={TILES}:{TILES}:flags=area");
        let after = [
            "-map",
            "0:v:0",
            "-vf",
            &scale,
            "-fps_mode",
            "passthrough",
            "-pix_fmt",
            "yuv444p",
            "-f",
            "rawvideo",
            "-",
        ];
        Self(ffmpeg(&[], path, &after))
    }

    const fn count(&self) -> usize {
        self.0.len() / (3 * TILES * TILES)
    }

    /// Brightness and colours of a part of one picture: the middle of one side.
    fn seen(&self, picture: usize, side: Side) -> [f64; 3] {
        let (near, far, middle) = (2..5, TILES - 5..TILES - 2, 6..TILES - 6);
        let (across, down) = match side {
            Side::Left => (near, middle),
            Side::Right => (far, middle),
            Side::Top => (middle, near),
            Side::Bottom => (middle, far),
        };
        let plane = |of: usize| {
            let from = (3 * picture + of) * TILES * TILES;
            let tiles = down.clone().flat_map(|y| across.clone().map(move |x| y * TILES + x));
            let values: Vec<f64> = tiles.map(|tile| f64::from(self.0[from + tile])).collect();
            values.iter().sum::<f64>() / values.len() as f64
        };
        [plane(0), plane(1), plane(2)]
    }

    /// The red half is where it must be, and as red as it was.
    fn colored(&self, row: &Proof) {
        let Some(red) = row.red else { return };
        let middle = self.count() / 2;
        let seen = self.seen(middle, row.side);
        for (value, (low, high)) in seen.into_iter().zip(red) {
            assert!(value >= low - OFF && value <= high + OFF, "{}: {seen:?} instead of {red:?}", row.name);
        }
    }

    /// When the other half turns bright, in seconds.
    fn flashes(&self, row: &Proof) -> Vec<f64> {
        let bright = |picture: &usize| self.seen(*picture, row.side.opposite())[0] > row.bright;
        let starts = (1..self.count()).filter(|picture| bright(picture) && !bright(&(picture - 1)));
        starts.map(|picture| picture as f64 / row.rate).collect()
    }
}

/// When the main sound begins to beep, in seconds.
fn heard(row: &Proof, file: &Path) -> Vec<f64> {
    if row.sounds == 0 {
        return Vec::new();
    }
    let samples = crate::players::support::sound(file.to_str().unwrap());
    let seconds = samples.len() as f64 / 48_000.0;
    let wanted = row.seconds();
    assert!(
        (seconds - wanted).abs() <= APART_S + 1.0 / row.rate,
        "{}: sound of {seconds} s, not {wanted}",
        row.name
    );
    // Windows of 5 ms: the first one with a beep in it.
    let loud: Vec<bool> =
        samples.chunks(240).map(|window| window.iter().any(|sample| sample.unsigned_abs() > 3_000)).collect();
    let starts = (1..loud.len()).filter(|at| loud[*at] && !loud[at.saturating_sub(20)..*at].contains(&true));
    starts.map(|at| at as f64 / 200.0).collect()
}

fn together(row: &Proof, flashes: &[f64], beeps: &[f64]) {
    let name = row.name;
    assert!(flashes.len() >= row.flashes, "{name}: flashes at {flashes:?}");
    assert_eq!(flashes.len(), beeps.len(), "{name}: flashes at {flashes:?}, beeps at {beeps:?}");
    for (flash, beep) in flashes.iter().zip(beeps) {
        assert!((flash - beep).abs() <= APART_S, "{name}: flashes at {flashes:?}, beeps at {beeps:?}");
    }
}
