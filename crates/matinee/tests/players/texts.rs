//! The words of a video: its own subtitles of every kind, its chapters, and captions that somebody adds.

use std::path::PathBuf;

use serde_json::Value;

use super::sounds::attributes;
use super::support::{World, make};

/// What is said in the clips, at 1 s, 2.5 s and behind their end.
const SUBRIP: &str = "1\n00:00:01,000 --> 00:00:02,000\nHello <i>you</i>\n\n2\n00:00:02,500 --> 00:00:03,500\n\
                      Two lines,\nand the end\n\n3\n00:00:09,000 --> 00:00:10,000\nNobody sees this\n";
/// When the clips' own clock begins, in seconds.
const LATE_S: &str = "10";

/// One stream of subtitles: its codec and a tag, as ffmpeg names them.
type Stream = (&'static str, &'static str);

/// A clip of 4 s with these subtitles.
fn spoken(world: &World, name: &str, late: bool, texts: &[Stream]) -> PathBuf {
    let dir = world.dir.path();
    let words = dir.join("words.srt");
    std::fs::write(&words, SUBRIP).unwrap();
    let chapters = dir.join("chapters.txt");
    std::fs::write(
        &chapters,
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=2000\ntitle=Begin & <end>\n\
         [CHAPTER]\nTIMEBASE=1/1000\nSTART=2000\nEND=4000\n",
    )
    .unwrap();
    let (words, chapters) = (words.to_str().unwrap(), chapters.to_str().unwrap());
    let mut args: Vec<String> = Vec::new();
    let mut add = |list: &[&str]| args.extend(list.iter().map(|&word| word.to_owned()));
    let shift: &[&str] = if late { &["-itsoffset", LATE_S] } else { &[] };
    for input in ["testsrc2=s=320x180:r=25:d=4", "sine=frequency=440:sample_rate=48000:duration=4"] {
        add(shift);
        add(&["-f", "lavfi", "-i", input]);
    }
    add(shift);
    add(&[
        "-i",
        words,
        "-i",
        chapters,
        "-map",
        "0",
        "-map",
        "1",
        "-map_chapters",
        if late { "-1" } else { "3" },
    ]);
    add(&["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac"]);
    for (number, (codec, tag)) in texts.iter().enumerate() {
        add(&["-map", "2", &format!("-c:s:{number}"), codec]);
        add(&[&format!("-metadata:s:s:{number}"), tag]);
    }
    make(dir, name, &args)
}

/// The times of a WebVTT file in milliseconds, with the words under each.
fn cues(text: &str) -> Vec<(i64, i64, String)> {
    let ms = |time: &str| {
        let digits: Vec<i64> = time.split([':', '.']).map(|part| part.parse().unwrap()).collect();
        ((digits[0] * 60 + digits[1]) * 60 + digits[2]) * 1_000 + digits[3]
    };
    let cue = |block: &str| {
        let (times, words) = block.split_once('\n')?;
        let (from, to) = times.split_once(" --> ")?;
        Some((ms(from), ms(to), words.trim().to_owned()))
    };
    text.split("\n\n").filter_map(cue).collect()
}

/// The same words at the same times, but for the milliseconds that a container's clock cannot tell.
fn said(what: &str, found: &[(i64, i64, String)], wanted: &[(i64, i64, &str)]) {
    assert_eq!(found.len(), wanted.len(), "{what}: {found:?}");
    for ((from, to, words), (start, end, text)) in found.iter().zip(wanted) {
        assert!((from - start).abs() <= 40 && (to - end).abs() <= 40, "{what}: {found:?}");
        assert_eq!(words, text, "{what}");
    }
}

const WORDS: [(i64, i64, &str); 2] =
    [(1_000, 2_000, "Hello <i>you</i>"), (2_500, 3_500, "Two lines,\nand the end")];

#[test]
fn subtitles_of_every_kind_are_shown_at_their_time_and_pictures_are_named() {
    let world = World::start();
    let kinds: [(&str, bool, &[Stream]); 3] = [
        (
            "kinds.mkv",
            false,
            &[("subrip", "language=eng"), ("ass", "language=swe"), ("webvtt", "title=Signs")],
        ),
        ("text.mp4", false, &[("mov_text", "language=ger")]),
        ("late.mkv", true, &[("subrip", "language=eng")]),
    ];
    let ids: Vec<String> =
        kinds.iter().map(|(name, late, texts)| world.upload(&spoken(&world, name, *late, texts))).collect();
    for ((name, late, texts), video) in kinds.iter().zip(&ids) {
        let ended = world.ended(video, |_| {});
        assert_eq!(ended["state"], "ready", "{name}: {}", ended["reason"]);
        let captions = ended["captions"].as_array().unwrap();
        let states: Vec<&Value> = captions.iter().map(|caption| &caption["state"]).collect();
        assert_eq!(states, vec!["ready"; texts.len()], "{name}: {captions:?}");
        let place = world.place(video, 2);
        let master = world.text(&format!("{place}/m.m3u8"));
        let uris = attributes(&master, "SUBTITLES", "URI");
        assert_eq!(uris.len(), texts.len(), "{name}: {master}");
        let variants = master.matches("#EXT-X-STREAM-INF").count();
        assert_eq!(master.matches(",SUBTITLES=\"texts\"").count(), variants, "{name}: {master}");
        for uri in uris {
            let playlist = world.text(&format!("{place}/{uri}"));
            let file = playlist.lines().find(|line| line.contains(".vtt")).unwrap();
            said(&format!("{name} {uri}"), &cues(&world.text(&format!("{place}/sub/{file}"))), &WORDS);
        }
        let mpd = world.text(&format!("{place}/manifest.mpd"));
        assert_eq!(mpd.matches("mimeType=\"text/vtt\"").count(), texts.len(), "{name}: {mpd}");
        let playback = world.json(&format!("/v1/videos/{video}/playback"));
        assert_eq!(playback["captions"].as_array().unwrap().len(), texts.len(), "{name}");
        match playback["chapters"].as_str() {
            None => assert!(late, "{name} has chapters"),
            Some(url) => {
                let chapters = [(0, 2_000, "Begin &amp; &lt;end>"), (2_000, 4_000, "Chapter 2")];
                said(name, &cues(&world.text(url)), &chapters);
            }
        }
    }
    let names = world.text(&format!("{}/m.m3u8", world.place(&ids[0], 2)));
    assert_eq!(attributes(&names, "SUBTITLES", "NAME"), ["English", "Svenska", "Signs"]);
    assert_eq!(attributes(&names, "SUBTITLES", "LANGUAGE"), ["en", "sv", ""]);
}

#[test]
fn subtitles_that_are_pictures_are_named_and_hold_up_nothing() {
    let world = World::start();
    let dir = world.dir.path();
    let words = dir.join("words.srt");
    std::fs::write(&words, SUBRIP).unwrap();
    let args = "-f lavfi -i testsrc2=s=320x180:r=25:d=4 -i WORDS \
                -map 0 -map 1 -c:v libx264 -preset ultrafast -c:s subrip -metadata:s:s:0 language=eng";
    let args: Vec<String> = args
        .split(' ')
        .map(|word| if word == "WORDS" { words.to_str().unwrap() } else { word }.to_owned())
        .collect();
    let plain = make(dir, "plain.mkv", &args);
    // ffmpeg makes no pictures of text, so the codec of a second stream is renamed in the file itself.
    let twice: Vec<String> =
        ["-i", plain.to_str().unwrap(), "-map", "0", "-map", "0:s", "-c", "copy"].map(str::to_owned).to_vec();
    let path = make(dir, "twice.mkv", &twice);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = |bytes: &[u8]| bytes.windows(11).rposition(|name| name == b"S_TEXT/UTF8").unwrap();
    let place = at(&bytes);
    bytes[place..place + 11].copy_from_slice(b"S_HDMV/PGS\0");
    std::fs::write(&path, bytes).unwrap();
    let video = world.upload(&path);
    let ended = world.ended(&video, |_| {});
    assert_eq!(ended["state"], "ready", "{}", ended["reason"]);
    let captions = ended["captions"].as_array().unwrap();
    assert_eq!((&captions[0]["state"], &captions[1]["state"]), (&"ready".into(), &"unsupported".into()));
    assert_eq!(captions[1]["reason"]["code"], "captions_are_pictures", "{captions:?}");
    let master = world.text(&format!("{}/m.m3u8", world.place(&video, 2)));
    assert_eq!(attributes(&master, "SUBTITLES", "URI"), ["sub/s1.m3u8"]);
}
