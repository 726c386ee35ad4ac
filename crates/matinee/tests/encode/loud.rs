//! A pipeline that brings every sound to one loudness.

use std::path::Path;

use matinee_core::loudness::Measured;

use super::made;
use crate::support::invariants::{all_hold, here};
use crate::support::process::tool;
use crate::support::server::Server;

/// How loud the sound of a file is.
fn measured(path: &Path) -> Measured {
    let filter = "ebur128=framelog=verbose:peak=true";
    let args =
        ["-hide_banner", "-nostats", "-i", path.to_str().unwrap(), "-vn", "-af", filter, "-f", "null", "-"];
    Measured::parse(&String::from_utf8_lossy(&tool("ffmpeg", &args).stderr)).unwrap()
}

#[tokio::test]
async fn every_sound_is_as_loud_as_the_pipeline_says() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::with("[[pipeline]]\nname = \"even\"\nloudness_lufs = -18\n").await;
    // A quiet tone, one that is too loud, and a quiet one with a loud click, above which there is no room.
    let quiet = "sine=f=440:d=6,volume=-8dB";
    let loud = "sine=f=440:d=6,volume=14dB";
    let click = "sine=f=440:d=6,volume=-8dB,volume=23dB:enable='between(t,3,3.02)'";
    for (name, tone, expected) in
        [("quiet", quiet, Some(-180)), ("loud", loud, Some(-180)), ("click", click, None)]
    {
        let path = dir.path().join(format!("{name}.mp4"));
        let input = ["-v", "error", "-f", "lavfi", "-i", tone, "-ac", "2", "-c:a", "aac", "-b:a", "192k"];
        tool("ffmpeg", &[&input[..], &[path.to_str().unwrap()]].concat());
        let video = made(&server, Some("even"), &std::fs::read(&path).unwrap()).await;
        let sound = video["renditions"].as_array().unwrap().iter().find(|one| one["medium"] == "audio");
        let said = |field: &str| sound.unwrap()["loudness"][field].as_f64().unwrap();
        let told = measured(&path);
        assert!(
            (said("measured_lufs") * 10.0 - f64::from(told.loudness_tenths)).abs() < 2.0,
            "{name}: {video}"
        );
        let after = said("measured_lufs") + said("gain_db");
        assert_eq!((after + 18.0).abs() < 0.1, expected.is_some(), "{name}: {after} LUFS");
        let playback = server.get(&format!("/v1/videos/{}/playback", video["id"].as_str().unwrap())).await.1;
        let address = here(&server, &playback["downloads"][0]["url"]);
        let bytes = server.http.get(address).send().await.unwrap().bytes().await.unwrap();
        std::fs::write(&path, bytes).unwrap();
        let made = measured(&path);
        match expected {
            Some(expected) => assert!(made.loudness_tenths.abs_diff(expected) <= 8, "{name}: {made:?}"),
            None => assert!(
                made.peak_tenths.abs_diff(-10) <= 8 && made.loudness_tenths < -190,
                "{name}: {made:?}"
            ),
        }
    }
    all_hold(&server).await;
}

/// The mean and the highest level of the sound of a file, in tenths of dB.
fn levels(path: &Path) -> [i32; 2] {
    let args = ["-hide_banner", "-nostats", "-i", path.to_str().unwrap(), "-vn", "-af", "volumedetect"];
    let said = tool("ffmpeg", &[&args[..], &["-f", "null", "-"]].concat()).stderr;
    let said = String::from_utf8_lossy(&said).into_owned();
    ["mean_volume: ", "max_volume: "].map(|name| {
        let rest = said.split_once(name).unwrap().1;
        rest.split_once(" dB").unwrap().0.replace('.', "").parse().unwrap()
    })
}

#[tokio::test]
async fn one_channel_is_as_loud_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start().await;
    let tone = "sine=f=440:d=4:r=48000,volume=6dB";
    let picture = "color=black:s=64x64:r=25:d=4";
    for (name, channels) in [("mono.mov", "1"), ("stereo.mov", "2")] {
        let path = dir.path().join(name);
        let inputs = ["-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone];
        let words = ["-ac", channels, "-c:v", "mjpeg", "-c:a", "pcm_s16le", path.to_str().unwrap()];
        tool("ffmpeg", &[&inputs[..], &words].concat());
        let video = made(&server, None, &std::fs::read(&path).unwrap()).await;
        let playback = server.get(&format!("/v1/videos/{}/playback", video["id"].as_str().unwrap())).await.1;
        let address = here(&server, &playback["downloads"][0]["url"]);
        let bytes = server.http.get(address).send().await.unwrap().bytes().await.unwrap();
        let encoded = path.with_extension("mp4");
        std::fs::write(&encoded, bytes).unwrap();
        let (before, after) = (levels(&path), levels(&encoded));
        for (before, after) in before.into_iter().zip(after) {
            assert!(before.abs_diff(after) <= 5, "{name}: {before} became {after}");
        }
    }
}
