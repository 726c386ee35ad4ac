//! What external players must find in what is served for one clip.

use std::path::Path;

use matinee_core::image::jpeg_size;
use matinee_core::storyboard::within as fitted;
use serde_json::Value;

use super::clips::Clip;
use super::support::{Packet, READY, World, ffmpeg, hashes, packets, streams, within};

/// Sound and picture may be apart by that many seconds (`product.md` section 10, BAD4).
const APART: f64 = 0.04;

/// Uploads one clip and looks at everything that is served for it.
pub(crate) fn check(world: &World, clip: &Clip, path: &Path) {
    let video = world.upload(path);
    let ended = world.ended(&video, |_| {});
    assert_eq!(ended["state"], "ready", "{}: {}", clip.name, ended["reason"]);
    assert_eq!(ended["damaged"]["code"].as_str(), clip.damaged, "{}", clip.name);
    let (at_once, encoded) = (world.place(&video, 1), world.place(&video, 2));
    assert_eq!(world.get(&format!("{at_once}/m.m3u8")).0 == 200, clip.at_once, "{}: virtual", clip.name);
    if clip.at_once {
        same_packets(clip, path.to_str().unwrap(), &at_once);
        bandwidths(world, &at_once);
    }
    if clip.damaged.is_none() {
        ladder(clip, &ended, &encoded);
    }
    bandwidths(world, &encoded);
    played(&encoded);
    files(world, clip, &video);
    pictures(world, clip, &video);
}

/// Poster, storyboard and stills have the shape of what is shown, whatever the source is like.
fn pictures(world: &World, clip: &Clip, video: &str) {
    let pixels = |side: u64| u32::try_from(side).unwrap();
    let size = clip.size.map(|(width, height)| (pixels(width), pixels(height)));
    let path = format!("/v1/videos/{video}/playback");
    let playback = within(READY, &format!("{}: all pictures", clip.name), || {
        let playback = world.json(&path);
        (playback["storyboard"].is_string() || size.is_none()).then_some(playback)
    });
    let seen = |address: &str| {
        let (status, bytes) = world.get(address);
        assert_eq!(status, 200, "{}: {address}", clip.name);
        let size = jpeg_size(&bytes).unwrap_or_else(|| panic!("{}: {address} is no picture", clip.name));
        (u32::from(size.0), u32::from(size.1))
    };
    let poster = size.map_or((1_280, 720), |size| fitted(size, 1_280));
    assert_eq!(seen(playback["poster"].as_str().unwrap()), poster, "{}: poster", clip.name);
    let Some(size) = size else { return };
    let still = playback["thumbnail_dynamic"].as_str().unwrap();
    for at_s in [0.0, clip.seconds / 2.0, clip.seconds] {
        let address = format!("{still}?t={at_s}&w=160");
        // It is made of a rendition, whose own size is rounded already, so it may be an even number next to the exact one.
        let (seen, exact) = (seen(&address), fitted(size, 160));
        let near = seen.0 == exact.0 && seen.1.abs_diff(exact.1) <= 2;
        assert!(near, "{}: still at {at_s} is {seen:?}, not {exact:?}", clip.name);
    }
    let track = world.text(playback["storyboard"].as_str().unwrap());
    let sheets: std::collections::BTreeSet<_> =
        track.lines().filter_map(|line| line.split_once("#xywh=")).map(|(sheet, _)| sheet).collect();
    let root = still.rsplit_once('/').unwrap().0;
    for sheet in sheets {
        let (width, height) = seen(&format!("{root}/{sheet}"));
        assert_eq!((width % 5, height % 5), (0, 0), "{}: {width}x{height}", clip.name);
        let (wide, tall) = (f64::from(width) / f64::from(size.0), f64::from(height) / f64::from(size.1));
        assert!((wide / tall - 1.0).abs() < 0.05, "{}: {width}x{height} of {size:?}", clip.name);
    }
}

/// The virtual layout hands out the very packets of the source.
fn same_packets(clip: &Clip, source: &str, place: &str) {
    let kinds = [("v:0", clip.size.is_some()), ("a:0", clip.sound)];
    for (stream, _) in kinds.iter().filter(|(_, there)| *there) {
        let own = hashes(source, stream);
        for manifest in ["m.m3u8", "manifest.mpd"] {
            let served = hashes(&format!("{place}/{manifest}"), stream);
            assert!(own == served, "{} {manifest}: {stream} differs from the source", clip.name);
        }
    }
}

/// All renditions have the planned number of pictures, and begin and end with the sound.
fn ladder(clip: &Clip, video: &Value, place: &str) {
    let renditions = video["renditions"].as_array().unwrap();
    let of = |medium: &'static str| renditions.iter().filter(move |row| row["medium"] == medium);
    for row in of("video").chain(of("audio")) {
        assert_eq!(row["state"], "ready", "{}: {row}", clip.name);
    }
    let playlist = |row: &Value, medium: &str| {
        let name = row["id"].as_str().unwrap();
        format!("{place}/{name}/{}.m3u8", &medium[..1])
    };
    let mut end: f64 = 0.0;
    for row in of("video") {
        let found = packets(&playlist(row, "video"), "v:0");
        assert_eq!(found.len(), wanted(clip, row), "{}: pictures of {}", clip.name, row["id"]);
        end = end.max(length(&found));
    }
    for row in of("audio") {
        end = end.max(length(&packets(&playlist(row, "audio"), "a:0")));
    }
    let frame = clip.size.map_or(APART, |_| clip.seconds.min(1.1) / 25.0 + APART);
    assert!((end - clip.seconds).abs() <= frame + APART, "{}: {end} s, not {}", clip.name, clip.seconds);
    if let Some((width, height)) = clip.size {
        let top = of("video").max_by_key(|row| row["width"].as_u64()).unwrap();
        assert_eq!(
            (top["width"].as_u64(), top["height"].as_u64()),
            (Some(width), Some(height)),
            "{}",
            clip.name
        );
    }
    assert_eq!(of("audio").count(), usize::from(clip.sound), "{}: sound", clip.name);
    for manifest in ["m.m3u8", "manifest.mpd"] {
        together(clip, &format!("{place}/{manifest}"));
    }
}

/// Pictures of one rendition; a smaller one may take every second picture.
fn wanted(clip: &Clip, row: &Value) -> usize {
    let seconds = clip.frames as f64 / row["frame_rate"].as_f64().unwrap();
    let whole = clip.size.is_some() && seconds < clip.seconds * 1.5;
    if whole { clip.frames } else { clip.frames.div_ceil(2) }
}

/// From the first picture to the end of the last one.
fn length(packets: &[Packet]) -> f64 {
    let start = packets.iter().map(|packet| packet.0).fold(f64::MAX, f64::min);
    packets.iter().map(|packet| packet.0 + packet.1).fold(0.0, f64::max) - start
}

/// Sound and picture begin together.
fn together(clip: &Clip, manifest: &str) {
    let all = streams(manifest);
    let start = |kind: &str| {
        let of_kind = all.iter().filter(|stream| stream["codec_type"] == kind);
        of_kind.filter_map(|stream| stream["start_time"].as_str()?.parse::<f64>().ok()).collect::<Vec<_>>()
    };
    let (pictures, sounds) = (start("video"), start("audio"));
    assert_eq!((pictures.is_empty(), sounds.is_empty()), (clip.size.is_none(), !clip.sound), "{manifest}");
    for (picture, sound) in pictures.iter().flat_map(|one| sounds.iter().map(move |other| (one, other))) {
        assert!((picture - sound).abs() <= APART, "{}: {manifest}: {picture} and {sound}", clip.name);
    }
}

/// `BANDWIDTH` is no promise that a segment breaks, and `AVERAGE-BANDWIDTH` is the average.
fn bandwidths(world: &World, place: &str) {
    let master = world.text(&format!("{place}/m.m3u8"));
    let sound = master.split("URI=\"").nth(1).and_then(|rest| rest.split('"').next());
    let sound = sound.map(|name| measured(world, place, name)).unwrap_or_default();
    let lines: Vec<&str> = master.lines().collect();
    for pair in lines.windows(2).filter(|pair| pair[0].starts_with("#EXT-X-STREAM-INF:")) {
        let value = |name: &str| -> f64 {
            let rest = pair[0].split(name).nth(1).unwrap();
            rest.split(',').next().unwrap().parse().unwrap()
        };
        let (average, peak) = measured(world, place, pair[1]);
        // The last one is that sound itself.
        let sound = if pair[1].ends_with("/a.m3u8") { (0.0, 0.0) } else { sound };
        let (average, peak) = (average + sound.0, peak + sound.1);
        assert!(value("INF:BANDWIDTH=") + 8.0 >= peak, "{}: {peak}", pair[0]);
        assert!(
            (value("AVERAGE-BANDWIDTH=") - average).abs() <= average / 100.0 + 8.0,
            "{}: {average}",
            pair[0]
        );
        assert!(value("INF:BANDWIDTH=") >= value("AVERAGE-BANDWIDTH="), "{}", pair[0]);
    }
}

/// Average and peak of the bits per second of a media playlist's segments; short ones count with their neighbour.
fn measured(world: &World, place: &str, playlist: &str) -> (f64, f64) {
    let text = world.text(&format!("{place}/{playlist}"));
    let folder = playlist.rsplit_once('/').unwrap().0;
    let lines: Vec<&str> = text.lines().collect();
    let segment = |pair: &[&str]| {
        let seconds: f64 = pair[0].strip_prefix("#EXTINF:")?.trim_end_matches(',').parse().ok()?;
        let (status, bytes) = world.get(&format!("{place}/{folder}/{}", pair[1]));
        assert_eq!(status, 200, "{}", pair[1]);
        Some((seconds, bytes.len() as f64 * 8.0))
    };
    let all: Vec<(f64, f64)> = lines.windows(2).filter_map(segment).collect();
    let sum = |some: &[(f64, f64)]| some.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let longest = all.iter().map(|one| one.0).fold(0.0, f64::max);
    let whole = sum(&all);
    let long = all.iter().filter(|one| one.0 * 2.0 >= longest);
    (whole.1 / whole.0, long.map(|one| one.1 / one.0).fold(0.0, f64::max))
}

/// ffmpeg decodes everything without a word.
fn played(place: &str) {
    for manifest in ["m.m3u8", "manifest.mpd"] {
        ffmpeg(&[], &format!("{place}/{manifest}"), &["-map", "0", "-f", "null", "-"]);
    }
}

/// The downloads are plain MP4 files that any player opens and seeks in.
fn files(world: &World, clip: &Clip, video: &str) {
    let playback = world.json(&format!("/v1/videos/{video}/playback"));
    let downloads = playback["downloads"].as_array().unwrap();
    for download in downloads.iter().filter(|download| download["id"] != "source") {
        let (status, bytes) = world.get(download["url"].as_str().unwrap());
        assert_eq!((status, Some(bytes.len() as u64)), (200, download["bytes"].as_u64()), "{download}");
        let path = world.dir.path().join(format!("{video}.{}.mp4", download["id"].as_str().unwrap()));
        std::fs::write(&path, &bytes).unwrap();
        let path = path.to_str().unwrap();
        ffmpeg(&[], path, &["-map", "0", "-f", "null", "-"]);
        let kinds: Vec<_> = streams(path).iter().map(|stream| stream["codec_type"].clone()).collect();
        assert_eq!(kinds.len(), usize::from(clip.size.is_some()) + usize::from(clip.sound), "{download}");
        let name = download["file_name"].as_str().unwrap();
        assert!(name.ends_with(if clip.size.is_some() { ".mp4" } else { ".m4a" }), "{name}");
        if clip.size.is_some() && clip.damaged.is_none() {
            together(clip, path);
            let middle = format!("{:.3}", (clip.frames - 1) as f64 / 60.0 / 2.0);
            let one =
                ffmpeg(&["-ss", &middle], path, &["-map", "0:v", "-frames:v", "1", "-f", "rawvideo", "-"]);
            assert!(!one.is_empty(), "{}: nothing at {middle} s", clip.name);
        }
    }
}
