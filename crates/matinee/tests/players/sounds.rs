//! Every sound of a source: its own tone, its own language, at its own time.

use std::path::Path;

use matinee_core::plan::timeline::PacketList;
use matinee_core::plan::{self, Capabilities, Pipeline, Probe, argv};
use serde_json::Value;

use super::support::{World, ffmpeg, make, sound, streams};
use crate::support::process::tool;

/// Sound and picture may be apart by that many seconds.
const APART_S: f64 = 0.04;
/// When the picture turns white and every tone begins, in seconds.
const BEGINS_S: f64 = 2.0;

/// A clip of 6 s whose sounds begin when its picture turns white: English at 440 Hz, Swedish at 880 Hz in a track that
/// starts 0.7 s late, and French in 5.1 at 1,320 Hz.
fn three_sounds(world: &World, name: &str) -> std::path::PathBuf {
    let tone = |hertz: u32, after: f64, length: f64| {
        format!("sine=frequency={hertz}:sample_rate=48000:duration={length},volume=0:enable='lt(t,{after})'")
    };
    let picture = "color=black:s=320x180:r=25:d=6,drawbox=c=white:t=fill:enable='gte(t,2)'";
    let surround =
        format!("{},pan=5.1|c0=c0|c1=c0|c2=c0|c3=0*c0|c4=0*c0|c5=0*c0", tone(1_320, BEGINS_S, 6.0));
    let words: Vec<String> = [
        &["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", &tone(440, BEGINS_S, 6.0)][..],
        &["-itsoffset", "0.7", "-f", "lavfi", "-i", &tone(880, BEGINS_S - 0.7, 5.3)],
        &["-f", "lavfi", "-i", &surround, "-map", "0", "-map", "2", "-map", "1", "-map", "3"],
        &["-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac"],
        &["-metadata:s:a:0", "language=swe", "-metadata:s:a:1", "language=eng"],
        &["-metadata:s:a:2", "language=fre", "-metadata:s:a:2", "title=Salle \"A\""],
        &["-disposition:a", "0", "-disposition:a:1", "default"],
    ]
    .concat()
    .into_iter()
    .map(str::to_owned)
    .collect();
    make(world.dir.path(), name, &words)
}

/// The tone of some samples at 48 kHz, in hertz, from how often they cross zero between two moments in milliseconds.
fn hertz(samples: &[i16], from_ms: usize, to_ms: usize) -> f64 {
    let heard = &samples[from_ms * 48..to_ms * 48];
    let crossed = heard.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
    crossed as f64 * 1_000.0 / (to_ms - from_ms) as f64
}

/// When something can be heard first, in seconds.
fn heard_from(samples: &[i16]) -> f64 {
    samples.iter().position(|sample| sample.unsigned_abs() > 600).unwrap() as f64 / 48_000.0
}

/// When the picture is white first, in seconds.
fn white_from(playlist: &str) -> f64 {
    let pixels = ["-map", "0:v:0", "-s", "16x16", "-f", "rawvideo", "-pix_fmt", "gray", "-"];
    let all = ffmpeg(&[], playlist, &pixels);
    all.chunks_exact(256).position(|picture| picture[128] > 128).unwrap() as f64 / 25.0
}

/// The values of an attribute of all lines of this type in a multivariant playlist.
pub(crate) fn attributes<'t>(master: &'t str, kind: &str, name: &str) -> Vec<&'t str> {
    let lines = master.lines().filter(|line| line.starts_with(&format!("#EXT-X-MEDIA:TYPE={kind},")));
    lines
        .map(|line| {
            let rest = line.split_once(&format!(",{name}=")).map_or("", |(_, rest)| rest);
            match rest.strip_prefix('"') {
                Some(quoted) => quoted.split('"').next().unwrap_or_default(),
                None => rest.split(',').next().unwrap_or_default(),
            }
        })
        .collect()
}

#[test]
fn every_sound_of_a_source_is_a_choice_with_its_language_and_in_time() {
    let world = World::start();
    let names = ["three.mkv", "three.mp4", "three.ts"];
    let ids = names.map(|name| world.upload(&three_sounds(&world, name)));
    for (name, video) in names.iter().zip(&ids) {
        let ended = world.ended(video, |_| {});
        assert_eq!(ended["state"], "ready", "{name}: {}", ended["reason"]);
        let place = world.place(video, 2);
        let master = world.text(&format!("{place}/m.m3u8"));
        // The one marked default comes first; what an MPEG transport stream cannot mark is in its order.
        let order = if *name == "three.ts" { [880.0, 440.0, 1_320.0] } else { [440.0, 880.0, 1_320.0] };
        let tag = |hertz: f64| {
            if hertz < 500.0 {
                "en"
            } else if hertz < 1_000.0 {
                "sv"
            } else {
                "fr"
            }
        };
        assert_eq!(attributes(&master, "AUDIO", "LANGUAGE"), order.map(tag), "{name}: {master}");
        assert_eq!(attributes(&master, "AUDIO", "DEFAULT"), ["YES", "NO", "NO"], "{name}");
        assert_eq!(attributes(&master, "AUDIO", "CHANNELS"), ["2", "2", "2"], "{name}");
        let third = if *name == "three.mkv" { "Salle 'A'" } else { "Français" };
        assert_eq!(attributes(&master, "AUDIO", "NAME")[2], third, "{name}");
        let mpd = world.text(&format!("{place}/manifest.mpd"));
        assert_eq!(mpd.matches("contentType=\"audio\"").count(), 3, "{name}: {mpd}");
        let white = white_from(&format!("{place}/{}/v.m3u8", ended["renditions"][0]["id"].as_str().unwrap()));
        for (uri, wanted) in attributes(&master, "AUDIO", "URI").iter().zip(order) {
            in_time(&format!("{place}/{uri}"), wanted, white);
        }
        whole_files(&world, video, &order);
    }
    // What begins late waits for its encoding; the others are there at once.
    let at_once = world.text(&format!("{}/m.m3u8", world.place(&ids[1], 1)));
    assert_eq!(attributes(&at_once, "AUDIO", "LANGUAGE"), ["en", "fr"], "{at_once}");
    assert_eq!(attributes(&at_once, "AUDIO", "CHANNELS"), ["1", "6"], "{at_once}");
    for (uri, wanted) in attributes(&at_once, "AUDIO", "URI").iter().zip([440.0, 1_320.0]) {
        let tone = hertz(&sound(&format!("{}/{uri}", world.place(&ids[1], 1))), 3_000, 5_000);
        assert!((tone - wanted).abs() < 5.0, "{uri}: {tone} Hz, not {wanted}");
    }
}

/// One sound is silent until the picture turns white, and then has its own tone.
fn in_time(playlist: &str, wanted: f64, white: f64) {
    let samples = sound(playlist);
    let tone = hertz(&samples, 3_000, 5_000);
    assert!((tone - wanted).abs() < 5.0, "{playlist}: {tone} Hz, not {wanted}");
    let begins = heard_from(&samples);
    assert!((begins - white).abs() <= APART_S, "{playlist}: heard from {begins} s, white from {white} s");
    let all = streams(playlist);
    let stereo: Vec<&Value> = all.iter().map(|stream| &stream["channels"]).collect();
    assert_eq!(stereo, [2], "{playlist}");
}

/// The main sound lies in the files of the pictures, every other one in a file of its own.
fn whole_files(world: &World, video: &str, order: &[f64; 3]) {
    let playback = world.json(&format!("/v1/videos/{video}/playback"));
    let downloads = playback["downloads"].as_array().unwrap().clone();
    let ids: Vec<_> = downloads.iter().map(|file| file["id"].as_str().unwrap()).collect();
    let sounds: Vec<_> = ids.iter().filter(|id| id.starts_with("aac")).collect();
    assert_eq!(sounds, [&"aac-2", &"aac-3"], "{ids:?}");
    for (id, wanted) in [(ids[0], order[0]), ("aac-2", order[1]), ("aac-3", order[2])] {
        let file = downloads.iter().find(|file| file["id"] == id).unwrap();
        let path = world.dir.path().join(format!("{video}-{id}.mp4"));
        std::fs::write(&path, world.get(file["url"].as_str().unwrap()).1).unwrap();
        let tone = hertz(&sound(path.to_str().unwrap()), 3_000, 5_000);
        assert!((tone - wanted).abs() < 5.0, "{id}: {tone} Hz, not {wanted}");
    }
}

#[test]
fn a_file_with_several_sounds_and_no_picture_offers_them_all() {
    let world = World::start();
    let tone = |hertz: u32| format!("sine=frequency={hertz}:sample_rate=44100:duration=9");
    let (low, high) = (tone(440), tone(880));
    let words =
        [
            &[
                "-f", "lavfi", "-i", &low, "-f", "lavfi", "-i", &high, "-map", "0", "-map", "1", "-c:a",
                "flac",
            ][..],
            &["-metadata:s:a:0", "language=ger", "-metadata:s:a:1", "language=und"],
        ]
        .concat();
    let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    let video = world.upload(&make(world.dir.path(), "sounds.mka", &words));
    let ended = world.ended(&video, |_| {});
    assert_eq!(ended["state"], "ready", "{}", ended["reason"]);
    let place = world.place(&video, 2);
    let master = world.text(&format!("{place}/m.m3u8"));
    assert_eq!(attributes(&master, "AUDIO", "NAME"), ["Deutsch", "Audio 2"], "{master}");
    assert_eq!(master.matches("#EXT-X-STREAM-INF").count(), 1, "{master}");
    for (uri, wanted) in attributes(&master, "AUDIO", "URI").iter().zip([440.0, 880.0]) {
        let tone = hertz(&sound(&format!("{place}/{uri}")), 1_000, 8_000);
        assert!((tone - wanted).abs() < 5.0, "{uri}: {tone} Hz, not {wanted}");
    }
}

/// The plan of a file by a pipeline that asks for surround.
fn planned(path: &str) -> plan::Plan {
    let ask = |argv: &[String]| tool("ffprobe", &argv.iter().map(String::as_str).collect::<Vec<_>>()).stdout;
    let probe = Probe::parse(&ask(&argv::probe(path))).unwrap();
    let mut packets = PacketList::new(&probe);
    packets.feed(&ask(&argv::packets(path, probe.container))).unwrap();
    let here = Capabilities {
        memory_bytes: 1 << 30,
        encoders: ["libx264", "aac"].map(str::to_owned).to_vec(),
        engines: Vec::new(),
        filters: Vec::new(),
    };
    let pipeline = Pipeline { surround: true, ..Pipeline::default() };
    plan::plan(&probe, &packets.finish().unwrap(), &pipeline, &here).unwrap()
}

#[test]
fn six_channels_stay_six_where_a_pipeline_asks_for_them() {
    let dir = tempfile::tempdir().unwrap();
    // Each channel has a tone of its own, so that one in a wrong place is heard.
    let tones: Vec<String> = (0..6)
        .map(|n| format!("sine=frequency={}:sample_rate=48000:duration=3[c{n}]", 300 + 200 * n))
        .collect();
    let map = "map=0.0-FL|1.0-FR|2.0-FC|3.0-LFE|4.0-BL|5.0-BR";
    let graph = format!("{};[c0][c1][c2][c3][c4][c5]join=inputs=6:channel_layout=5.1:{map}", tones.join(";"));
    let words = ["-filter_complex", &graph, "-c:a", "ac3", "-b:a", "448k"].map(str::to_owned);
    let source = make(dir.path(), "six.mka", &words);
    let source = source.to_str().unwrap();
    let plan = planned(source);
    let channels: Vec<u32> = plan.audio.iter().map(|track| track.channels).collect();
    assert_eq!(channels, [2, 6]);
    let output = dir.path().join("six.mp4");
    let output = output.to_str().unwrap();
    let words = argv::audio(&plan, &plan.audio[1], None, source, output);
    tool("ffmpeg", &words.iter().map(String::as_str).collect::<Vec<_>>());
    let made = streams(output);
    assert_eq!((&made[0]["channels"], &made[0]["channel_layout"]), (&6.into(), &"5.1".into()), "{made:?}");
    for n in [0, 1, 2, 4, 5] {
        let tone = channel(Path::new(output), n);
        let wanted = f64::from(300 + 200 * n);
        assert!((tone - wanted).abs() < 5.0, "channel {n} has {tone} Hz, not {wanted}");
    }
}

/// The tone of one channel of a file.
fn channel(file: &Path, number: u32) -> f64 {
    let only = format!("pan=mono|c0=c{number}");
    let after = ["-af", &only, "-f", "s16le", "-ar", "48000", "-"];
    let bytes = ffmpeg(&[], file.to_str().unwrap(), &after);
    let samples: Vec<i16> =
        bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    hertz(&samples, 500, 2_500)
}
