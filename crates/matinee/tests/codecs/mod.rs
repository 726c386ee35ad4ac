//! VP9 and AV1 with Opus, made in the background of a real server, and the files to keep: exact pictures, clean joins.

#![expect(clippy::cast_precision_loss, reason = "pictures of a test clip are few")]

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::players::support::{READY, World, ffmpeg, make, packets, sound, streams, within};

/// Sound and picture may be apart by that many seconds.
const APART_S: f64 = 0.04;
/// Pictures of the long clip: a ramp of two chunks and a rest.
const FRAMES: usize = 325;
/// Pictures between two key frames.
const GOP: usize = 50;
/// By how much a pixel of a picture may be off on average.
const OFF: f64 = 6.0;

const ALL: &str = "[[pipeline]]\nname = \"default\"\nsizes = [120, 90]\ncodecs = [\"vp9\", \"av1\"]\n";

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// 13 s of a moving picture and a tone that rises all the time, so that each moment sounds different.
fn moving(world: &World, name: &str) -> PathBuf {
    let text = "-f lavfi -i testsrc2=s=160x120:r=25:d=13 -f lavfi -i aevalsrc=0.3*sin(2*PI*(200*t+30*t*t)):s=48000:d=13 \
                -c:v libx264 -preset ultrafast -pix_fmt yuv420p -bf 2 -g 77 -c:a aac -ac 2";
    make(world.dir.path(), name, &words(text))
}

/// 8 s that are black and silent until a white picture and a tone begin together at 5 s.
fn flashing(world: &World, name: &str) -> PathBuf {
    let text = "-f lavfi -i color=black:s=160x120:r=25:d=8,drawbox=c=white:t=fill:enable='gte(t,5)' \
                -f lavfi -i sine=frequency=440:sample_rate=48000:duration=8,volume=0:enable='lt(t,5)' \
                -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 50 -c:a aac";
    make(world.dir.path(), name, &words(text))
}

/// Waits until nothing of a video is being made any more, also in the background.
fn whole(world: &World, video: &str) -> Value {
    let ended = world.ended(video, |_| {});
    assert_eq!(ended["state"], "ready", "{}", ended["reason"]);
    within(READY, "the background is done", || {
        let now = world.json(&format!("/v1/videos/{video}"));
        assert_eq!(now["state"], "ready", "a video that is ready stays so");
        let over = |row: &Value| matches!(row["state"].as_str(), Some("ready" | "failed"));
        let webm = now["playback"]["webm"].is_string();
        (webm && now["renditions"].as_array().unwrap().iter().all(over)).then_some(now)
    })
}

/// Pictures as gray pixels.
fn gray(input: &str) -> Vec<Vec<u8>> {
    let args = [
        "-map",
        "0:v:0",
        "-s",
        "32x24",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray",
        "-fps_mode",
        "passthrough",
        "-",
    ];
    ffmpeg(&[], input, &args).chunks_exact(32 * 24).map(<[u8]>::to_vec).collect()
}

/// All pictures are there, in order, each the one of the source; a break at a join would be seen.
fn same_pictures(what: &str, found: &[Vec<u8>], source: &[Vec<u8>]) {
    assert_eq!(found.len(), source.len(), "{what}: decoded pictures");
    for (frame, (found, source)) in found.iter().zip(source).enumerate() {
        let off: u32 = found.iter().zip(source).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        let off = f64::from(off) / found.len() as f64;
        assert!(off < OFF, "{what}: picture {frame} is off by {off}");
    }
}

/// Pictures stand at their exact times.
fn on_the_grid(what: &str, input: &str) {
    let pictures = packets(input, "v:0");
    assert_eq!(pictures.len(), FRAMES, "{what}");
    for (frame, (at, ..)) in pictures.iter().enumerate() {
        assert!((at - frame as f64 / 25.0).abs() < 0.001_1, "{what}: picture {frame} is shown at {at}");
    }
    for (frame, (.., key)) in pictures.iter().enumerate() {
        let (segment, group) = (frame % (2 * GOP) == 0, frame % GOP == 0);
        assert!(*key || !segment, "{what}: a segment begins at {frame} without a key frame");
        assert!(!key || group, "{what}: picture {frame} is a key frame off the grid");
    }
}

/// By how many samples at most a sound may be shifted: what an encoder puts in front is hundreds.
const SHIFT: usize = 8;
/// What Opus puts in front.
const PRE_SKIP: usize = 312;

/// The sound is that of the source from the first to the last sample, at the same moments.
fn same_sound(what: &str, input: &str, source: &str) {
    let (heard, given) = (sound(input), sound(source));
    let samples = 13 * 48_000;
    for (whose, all) in [(what, &heard), (source, &given)] {
        assert!((samples..samples + 1_024).contains(&all.len()), "{whose}: {} samples", all.len());
    }
    let alike = |heard: &[i16], given: &[i16]| {
        let pairs = heard.iter().zip(given).take(2_400);
        let off: i64 = pairs.map(|(a, b)| (i64::from(*a) - i64::from(*b)).abs()).sum();
        let loud: i64 = given.iter().take(2_400).map(|sample| i64::from(*sample).abs()).sum();
        off * 4 < loud
    };
    let (mut moments, mut unlike) = (0, 0);
    for at in (4_800..samples - 9_600).step_by(48_000) {
        let found = (0..=2 * SHIFT).any(|shift| alike(&heard[at + shift..], &given[at + SHIFT..]));
        assert!(found, "{what}: the sound at sample {at} is another one");
        moments += 1;
        unlike += usize::from(!alike(&heard[at..], &given[at + PRE_SKIP..]));
    }
    assert!(unlike * 2 > moments, "a sound that is late by what Opus puts in front would be noticed");
}

/// Keeps what is served under an address as a file.
fn kept(world: &World, address: &str, name: &str) -> String {
    let (status, bytes) = world.get(address);
    assert_eq!(status, 200, "{address}");
    let path = world.dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn other_codecs_are_exact_over_all_chunks_and_follow_h264_in_the_manifests() {
    let world = World::with(ALL);
    let path = moving(&world, "moving.mp4");
    let video = world.upload(&path);
    let seen = whole(&world, &video);
    let rows = seen["renditions"].as_array().unwrap();
    let names: Vec<_> =
        rows.iter().map(|row| (row["id"].as_str().unwrap(), row["background"] == true)).collect();
    let usual = [("h264-120", false), ("h264-90", false), ("aac-1", false)];
    let behind = [("vp9-120", true), ("vp9-90", true), ("av1-120", true), ("av1-90", true), ("opus-1", true)];
    assert_eq!(names, [&usual[..], &behind].concat());
    assert!(
        rows.iter().all(|row| row["state"] == "ready" && (row["bytes"].is_u64() || row["id"] == "aac-1"))
    );
    let place = world.place(&video, 2);
    let source = gray(path.to_str().unwrap());
    assert_eq!(source.len(), FRAMES);
    for (name, _) in behind.iter().filter(|(name, _)| !name.starts_with("opus")) {
        let playlist = format!("{place}/{name}/v.m3u8");
        on_the_grid(name, &playlist);
        same_pictures(name, &gray(&playlist), &source);
        let file = kept(&world, &format!("{place}/{name}/file.mp4"), &format!("{name}.mp4"));
        on_the_grid(name, &file);
        same_pictures(name, &gray(&file), &source);
        same_sound(name, &file, path.to_str().unwrap());
        // Segments begin where those of H.264 do.
        let cuts = |name: &str| {
            let text = world.text(&format!("{place}/{name}/v.m3u8"));
            text.lines().filter(|line| line.starts_with("#EXTINF")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(cuts(name), cuts("h264-120"));
    }
    same_sound("opus-1", &format!("{place}/opus-1/a.m3u8"), path.to_str().unwrap());
    let webm = kept(&world, seen["playback"]["webm"].as_str().unwrap(), "moving.webm");
    same_pictures("webm", &gray(&webm), &source);
    same_sound("webm", &webm, path.to_str().unwrap());
    manifests(&world, &place);
}

/// H.264 comes first; other codecs have groups and sets of their own; ffmpeg plays all of both without a word.
fn manifests(world: &World, place: &str) {
    let master = world.text(&format!("{place}/m.m3u8"));
    let streams = master.lines().filter(|line| line.starts_with("#EXT-X-STREAM-INF"));
    let said = |line: &str, name: &str| {
        let rest = line.split_once(&format!("{name}=\"")).unwrap().1;
        rest.split('"').next().unwrap().to_owned()
    };
    let found: Vec<_> = streams.map(|line| (said(line, "CODECS"), said(line, "AUDIO"))).collect();
    let starts = |n: usize, codec: &str, sound: &str, group: &str| {
        let (codecs, audio) = &found[n];
        assert!(codecs.starts_with(codec) && codecs.ends_with(sound) && audio == group, "{n}: {found:?}");
    };
    assert_eq!(found.len(), 7);
    assert_eq!(found[6], ("mp4a.40.2".into(), "sound".into()), "who has a bad line may do without pictures");
    for n in [0, 1] {
        starts(n, "avc1.64", ",mp4a.40.2", "sound");
        starts(n + 2, "vp09.00.10.08", ",opus", "opus");
        starts(n + 4, "av01.0.00M.10", ",opus", "opus");
    }
    let mpd = world.text(&format!("{place}/manifest.mpd"));
    let sets = mpd.split("<AdaptationSet ").skip(1).filter(|set| set.contains("codecs="));
    let families: Vec<_> =
        sets.map(|set| said(set, "codecs").split('.').next().unwrap().to_owned()).collect();
    assert_eq!(families, ["avc1", "vp09", "av01", "mp4a", "opus"]);
    for manifest in ["m.m3u8", "manifest.mpd"] {
        ffmpeg(&[], &format!("{place}/{manifest}"), &["-map", "0:v", "-map", "0:a", "-f", "null", "-"]);
    }
}

/// When the picture is white and when something is heard first, in seconds.
fn begins(input: &str) -> (f64, f64) {
    let white = gray(input).iter().position(|picture| picture[300] > 128).unwrap() as f64 / 25.0;
    let heard = sound(input).iter().position(|sample| sample.unsigned_abs() > 600).unwrap() as f64 / 48_000.0;
    (white, heard)
}

/// The list of what lies in stores names every file with its length and its hash.
fn listed(world: &World, video: &str, downloads: &[Value]) {
    let objects = world.json(&format!("/v1/videos/{video}/objects"));
    let all = objects["items"].as_array().unwrap();
    for download in downloads {
        let id = download["id"].as_str().unwrap();
        let (kind, rendition) = match id.strip_suffix("-webm") {
            Some(name) => ("webm", Value::from(name)),
            None if id == "source" => ("source", Value::Null),
            None => ("rendition", Value::from(id)),
        };
        let object = all.iter().find(|one| one["kind"] == kind && one["rendition"] == rendition);
        let object = object.unwrap_or_else(|| panic!("{id} is not in {objects}"));
        let bytes = world.get(download["url"].as_str().unwrap()).1;
        let known = (object["state"].as_str(), object["store"].as_str(), object["size_bytes"].as_u64());
        assert_eq!(known, (Some("present"), Some("local"), Some(bytes.len() as u64)), "{id}");
        assert_eq!(object["blake3"], blake3::hash(&bytes).to_string(), "{id}");
    }
    assert!(all.iter().any(|one| one["kind"] == "poster"), "{objects}");
    let present = all.iter().filter(|one| one["state"] == "present");
    let sum: u64 = present.filter_map(|one| one["size_bytes"].as_u64()).sum();
    assert_eq!(objects["present_bytes"], sum);
}

#[test]
fn every_video_can_be_kept_as_webm_and_as_mp4_with_sound_in_time() {
    let world = World::with("[[pipeline]]\nname = \"default\"\nsizes = [120]\ncodecs = [\"vp9\"]\n");
    let webm = moving(&world, "moving.mp4").with_extension("webm");
    let own = "-f lavfi -i testsrc2=s=160x120:r=25:d=2 -f lavfi -i sine=440:r=48000:d=2 -c:v libvpx-vp9 \
               -deadline realtime -cpu-used 8 -b:v 200k -c:a libopus";
    let paths = [
        flashing(&world, "flash.mp4"),
        flashing(&world, "flash.ts"),
        make(world.dir.path(), webm.file_name().unwrap().to_str().unwrap(), &words(own)),
    ];
    let ids: Vec<String> = paths.iter().map(|path| world.upload(path)).collect();
    for (path, video) in paths.iter().zip(&ids) {
        whole(&world, video);
        let playback = world.json(&format!("/v1/videos/{video}/playback"));
        let downloads = playback["downloads"].as_array().unwrap();
        let ids: Vec<&str> = downloads.iter().map(|one| one["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["h264-120", "vp9-120", "vp9-120-webm", "source"], "{}", path.display());
        let source = path.to_str().unwrap();
        let flash = !source.ends_with("webm");
        for (download, format, codecs) in
            [(0, "mp4", ["h264", "aac"]), (1, "mp4", ["vp9", "opus"]), (2, "webm", ["vp9", "opus"])]
        {
            let download = &downloads[download];
            let file =
                kept(&world, download["url"].as_str().unwrap(), &format!("{video}-{}.{format}", codecs[0]));
            assert_eq!(download["bytes"], std::fs::metadata(&file).unwrap().len(), "{download}");
            let name = download["file_name"].as_str().unwrap();
            assert!(Path::new(name).extension().is_some_and(|ending| ending == format), "{name}");
            let found: Vec<_> = streams(&file).iter().map(|one| one["codec_name"].clone()).collect();
            assert_eq!(found, codecs, "{file}");
            // In MPEG-TS the sound begins first, so the first picture is held.
            let frames = if flash { 200 } else { 50 };
            assert!((frames..=frames + 1).contains(&gray(&file).len()), "{file}");
            if flash {
                let (white, heard) = begins(&file);
                assert!((white - 5.0).abs() <= 2.0 * APART_S, "{file}: white at {white}");
                assert!((white - heard).abs() <= APART_S, "{file}: white at {white}, heard at {heard}");
            }
        }
        listed(&world, video, downloads);
        let ranged = playback["webm"].as_str().unwrap();
        assert_eq!(world.get(ranged).1.len() as u64, downloads[2]["bytes"].as_u64().unwrap());
        assert_eq!(downloads[1]["label"], "120p VP9");
    }
}

#[test]
fn surround_is_kept_beside_stereo_in_every_codec() {
    let config = "[[pipeline]]\nname = \"default\"\nsizes = [120]\ncodecs = [\"vp9\"]\nsurround = true\nloudness_lufs = -20\n";
    let world = World::with(config);
    // Each speaker has a tone of its own.
    let text = "-f lavfi -i testsrc2=s=160x120:r=25:d=4 -f lavfi -i \
                aevalsrc=0.05*sin(2*PI*300*t)|0.05*sin(2*PI*500*t)|0.05*sin(2*PI*700*t)|0.05*sin(2*PI*60*t)|0.05*sin(2*PI*900*t)|0.05*sin(2*PI*1100*t):c=5.1:s=48000:d=4 \
                -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac -b:a 384k";
    let video = world.upload(&make(world.dir.path(), "around.mp4", &words(text)));
    let seen = whole(&world, &video);
    let rows = seen["renditions"].as_array().unwrap();
    let sounds: Vec<_> = rows.iter().filter(|row| row["medium"] == "audio").collect();
    let names: Vec<_> = sounds.iter().map(|row| (row["id"].as_str().unwrap(), &row["channels"])).collect();
    assert_eq!(names.iter().map(|one| one.0).collect::<Vec<_>>(), ["aac-1", "aac-2", "opus-1", "opus-2"]);
    assert_eq!(names.iter().map(|one| one.1.as_u64().unwrap()).collect::<Vec<_>>(), [2, 6, 2, 6]);
    assert!(sounds.iter().all(|row| row["loudness"]["gain_db"].as_f64().unwrap() > 0.0), "{sounds:?}");
    let place = world.place(&video, 2);
    for name in ["aac-2", "opus-2"] {
        let playlist = format!("{place}/{name}/a.m3u8");
        assert_eq!(streams(&playlist)[0]["channels"], 6, "{name}");
        for (speaker, hertz) in [(0, 300.0), (1, 500.0), (2, 700.0), (4, 900.0), (5, 1_100.0)] {
            let pan = format!("pan=mono|c0=c{speaker}");
            let after = ["-map", "0:a:0", "-af", &pan, "-ar", "48000", "-f", "s16le", "-"];
            let bytes = ffmpeg(&[], &playlist, &after);
            let samples: Vec<i16> =
                bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
            let heard = &samples[48_000..144_000];
            let crossed = heard.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count() as f64 / 2.0;
            assert!((crossed - hertz).abs() < 12.0, "{name}: speaker {speaker} has {crossed} Hz");
        }
    }
    let master = world.text(&format!("{place}/m.m3u8"));
    for group in ["sound", "opus"] {
        let of = |line: &&str| line.contains(&format!("GROUP-ID=\"{group}\""));
        let lines: Vec<_> = master.lines().filter(of).collect();
        assert!(lines[0].contains("CHANNELS=\"2\"") && lines[0].contains("DEFAULT=YES"), "{master}");
        assert!(lines[1].contains("CHANNELS=\"6\"") && lines[1].contains("DEFAULT=NO"), "{master}");
    }
}
