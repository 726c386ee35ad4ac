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
