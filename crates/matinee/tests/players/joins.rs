//! Chunks are joined without a seam, and a playlist that grows never takes anything back.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::clips::arguments;
use super::support::{World, ffmpeg, make, packets, sound};

/// Seconds of the source: a ramp of three chunks and two long ones at 29.97 pictures a second.
const SECONDS: f64 = 60.0;
/// Pictures of the source, and one that is held for the priming of its sound.
const FRAMES: usize = 1_800;
/// Pictures between two key frames.
const GOP: usize = 60;

/// What a viewer of a growing video has seen of its playlists, and the bytes that they named.
#[derive(Default)]
struct Seen {
    playlists: BTreeMap<String, Vec<String>>,
    segments: BTreeMap<String, Vec<u8>>,
    grew: usize,
}

impl Seen {
    /// Reads all playlists; what was there before must still be there.
    fn look(&mut self, world: &World, place: &str) {
        let master = world.text(&format!("{place}/m.m3u8"));
        let media = master.lines().flat_map(|line| line.split('"')).filter(|word| word.ends_with(".m3u8"));
        for name in media {
            let text = world.text(&format!("{place}/{name}"));
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let fixed = |line: &&String| {
                !line.starts_with("#EXT-X-PLAYLIST-TYPE") && !line.starts_with("#EXT-X-START")
            };
            let now: Vec<String> = lines.iter().filter(fixed).cloned().collect();
            let before = self.playlists.insert(name.to_owned(), now.clone()).unwrap_or_default();
            assert!(now.starts_with(&before), "{name} took something back: {before:?} became {now:?}");
            self.grew += usize::from(!before.is_empty() && now.len() > before.len());
            let folder = name.rsplit_once('/').unwrap().0;
            let new =
                lines.iter().filter(|line| line.ends_with(".m4s")).map(|line| format!("{folder}/{line}"));
            for address in new.collect::<Vec<_>>() {
                self.segments.entry(address).or_insert_with_key(|address| {
                    let (status, bytes) = world.get(&format!("{place}/{address}"));
                    assert_eq!(status, 200, "{address}");
                    bytes
                });
            }
        }
    }
}

#[test]
fn a_growing_video_only_grows_and_its_chunks_join_without_a_seam() {
    let world = World::start();
    // Matroska is not playable as it is, so viewers get the growing ladder.
    let words = format!("V320x180,30000/1001,{SECONDS} A{SECONDS} XB -bf 2 -g 77");
    let path = make(world.dir.path(), "long.mkv", &arguments(&words));
    let video = world.upload(&path);
    let mut seen = Seen::default();
    let mut growing = 0;
    let ended = world.ended(&video, |now: &Value| {
        if now["playable"] == true {
            growing += 1;
            seen.look(&world, &world.place(&video, 2));
        }
    });
    assert_eq!(ended["state"], "ready", "{}", ended["reason"]);
    assert!(growing > 1 && seen.grew > 0, "the video was seen while it grew: {growing}, {}", seen.grew);
    let place = world.place(&video, 2);
    world.ended(&video, |_| {});
    settled(&world, &place);
    seen.look(&world, &place);
    for (address, before) in &seen.segments {
        assert!(
            world.get(&format!("{place}/{address}")).1 == *before,
            "{address} changed when it was assembled"
        );
    }
    let name = ended["renditions"][0]["id"].as_str().unwrap();
    let file = world.dir.path().join("assembled.mp4");
    std::fs::write(&file, world.get(&format!("{place}/{name}/file.mp4")).1).unwrap();
    seamless(&file, &path);
}

/// Waits until the playlists have an end: other readers may see what was read some moments ago.
fn settled(world: &World, place: &str) {
    for _ in 0..100_000 {
        let master = world.text(&format!("{place}/m.m3u8"));
        let name = master.lines().last().unwrap();
        if world.text(&format!("{place}/{name}")).contains("#EXT-X-ENDLIST") {
            return;
        }
    }
    panic!("the playlists never end");
}

fn seamless(file: &Path, source: &Path) {
    let (file, source) = (file.to_str().unwrap(), source.to_str().unwrap());
    let mut pictures = packets(file, "v:0");
    assert_eq!(pictures.len(), FRAMES);
    let in_decode_order: Vec<bool> = pictures.iter().map(|picture| picture.2).collect();
    let grid: Vec<bool> = (0..FRAMES).map(|frame| frame % GOP == 0).collect();
    assert_eq!(in_decode_order, grid, "key frames stand on the grid and nowhere else");
    pictures.sort_by(|one, other| one.0.total_cmp(&other.0));
    for (frame, (pts, ..)) in pictures.iter().enumerate() {
        let wanted = frame as f64 * 1_001.0 / 30_000.0;
        assert!((pts - wanted).abs() < 0.000_01, "picture {frame} is shown at {pts}, not {wanted}");
    }
    let decoded =
        ffmpeg(&[], file, &["-map", "0:v", "-s", "16x16", "-f", "rawvideo", "-pix_fmt", "gray", "-"]);
    assert_eq!(decoded.len(), FRAMES * 256, "every picture can be decoded");
    let (heard, given) = (sound(file), sound(source));
    // Behind the tone there is silence until the last picture ends, and whole frames of sound.
    let until = given.len().max(FRAMES * 1_001 * 48_000 / 30_000);
    assert!((until..until + 1_024).contains(&heard.len()), "{} samples, not {until}", heard.len());
    glitches(&heard[..given.len()]);
}

/// A sine obeys `x(n+1) = 2 cos(w) x(n) - x(n-1)`; a break of it does not.
fn glitches(samples: &[i16]) {
    let twice = 2.0 * (2.0 * std::f64::consts::PI * 440.0 / 48_000.0).cos();
    let peak = samples.iter().map(|sample| f64::from(*sample).abs()).fold(0.0, f64::max);
    // The first and last frames of the encoder fade.
    let inner = &samples[4_096..samples.len() - 4_096];
    for (at, three) in inner.windows(3).enumerate() {
        let [a, b, c] = [three[0], three[1], three[2]].map(f64::from);
        let off = (twice * b - a - c).abs();
        assert!(off < peak / 20.0, "the tone breaks at sample {at}: {off} of {peak}");
    }
}
