//! The poster that somebody chooses, and what sound alone has instead of one.

use std::path::Path;

use matinee_core::image::jpeg_size;
use reqwest::Method;
use serde_json::{Value, json};

use super::gray::{self, NEAR, brightness};
use super::{bytes, pictured};
use crate::support::invariants::{all_hold, here};
use crate::support::process::tool;
use crate::support::sender::upload;
use crate::support::server::Server;
use crate::support::until;

async fn put(server: &Server, video: &str, kind: &str, body: Vec<u8>) -> (u16, Value) {
    let path = format!("/v1/videos/{video}/poster");
    let request = server.request(Method::PUT, &path).header("Content-Type", kind).body(body);
    let response = request.send().await.unwrap();
    let code = response.status().as_u16();
    (code, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}

/// A picture that ffmpeg draws.
fn drawn(dir: &Path, name: &str, args: &[&str]) -> Vec<u8> {
    let path = dir.join(name);
    tool(
        "ffmpeg",
        &[&["-v", "error", "-y", "-f", "lavfi"], args, &["-frames:v", "1", path.to_str().unwrap()]].concat(),
    );
    std::fs::read(path).unwrap()
}

#[tokio::test]
async fn a_chosen_moment_is_the_poster_and_stays_it() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let clip = gray::clip(dir.path(), "choice.mp4", "25", 21, &["-c:v", "libx264", "-preset", "ultrafast"]);
    let sent = upload(&server, &clip, "choice.mp4").await;
    let path = format!("/v1/videos/{}", sent.video);
    until("it was looked at", 60, async || server.get(&path).await.1["source"].is_object().then_some(()))
        .await;
    // The job that makes the poster may come before or after: what was chosen stays.
    let (code, video) = put(&server, &sent.video, "application/json", b"{\"at_s\": 12.7}".to_vec()).await;
    assert_eq!(code, 200, "{video}");
    let chosen = here(&server, &video["playback"]["poster"]);
    let picture = bytes(&server, &chosen).await;
    assert_eq!(jpeg_size(&picture), Some((640, 360)));
    assert!((gray::of(&picture, (0, 0, 640, 360)) - brightness(12.7)).abs() <= NEAR);
    let playback = pictured(&server, &sent.video).await;
    let after = here(&server, &playback["poster"]);
    assert_eq!(after.split("?v=").nth(1), chosen.split("?v=").nth(1));
    for (body, expected) in [
        (json!({ "at_s": 1e9 }), 200),
        (json!({ "at_s": -1 }), 200),
        (json!({}), 400),
        (json!({ "at_s": "12" }), 400),
        (json!({ "at_s": 1, "w": 1 }), 400),
    ] {
        let answer = put(&server, &sent.video, "application/json", body.to_string().into_bytes()).await;
        assert_eq!(answer.0, expected, "{body}: {}", answer.1);
    }
    let (_, events) = server.get(&format!("/v1/events?subject={}", sent.video)).await;
    let told = events["items"].as_array().unwrap().iter().filter(|event| event["topic"] == "video.pictures");
    assert!(told.count() >= 4, "the storyboard and three posters");
    all_hold(&server).await;
}

#[tokio::test]
async fn a_picture_of_ones_own_is_written_anew_or_refused() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let sent = upload(&server, &crate::support::clips::mp4(2), "own.mp4").await;
    let playback = pictured(&server, &sent.video).await;
    let before = playback["poster"].clone();
    let photo = drawn(dir.path(), "photo.jpg", &["-i", "testsrc2=s=1601x900"]);
    let sides = drawn(dir.path(), "tall.png", &["-i", "color=orange:s=500x700,format=rgba"]);
    let tiny = drawn(dir.path(), "tiny.png", &["-i", "color=orange:s=3x3"]);
    for (kind, picture, size) in [
        ("image/jpeg", &photo, (1_280, 718)),
        ("image/png", &sides, (500, 700)),
        ("image/png", &tiny, (2, 2)),
        // What it is counts, not what its sender calls it.
        ("image/jpeg", &sides, (500, 700)),
        ("image/jpeg", &turned(&photo), (718, 1_280)),
    ] {
        let (code, video) = put(&server, &sent.video, kind, picture.clone()).await;
        assert_eq!(code, 200, "{video}");
        let anew = bytes(&server, &here(&server, &video["playback"]["poster"])).await;
        let (width, height) = jpeg_size(&anew).unwrap();
        assert!(
            width.abs_diff(size.0) <= 2 && height.abs_diff(size.1) <= 2,
            "{width}x{height}, not {size:?}"
        );
        assert_ne!(&anew, picture, "never as it came");
    }
    let (_, last) = server.get(&format!("/v1/videos/{}/playback", sent.video)).await;
    assert_ne!(last["poster"], before);
    let flood = drawn(dir.path(), "flood.png", &["-i", "color=black:s=16000x16000"]);
    let film = crate::support::clips::mp4(2);
    let playlist = b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n".to_vec();
    let drawing = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>".to_vec();
    let torn = sides[..60].to_vec();
    for (what, kind, body, expected) in [
        ("too many pixels", "image/png", flood, 400),
        ("a film", "image/jpeg", film, 400),
        ("a playlist", "image/png", playlist, 400),
        ("a drawing with a script", "image/png", drawing.clone(), 400),
        ("a drawing by its own name", "image/svg+xml", drawing, 415),
        ("a header and nothing else", "image/png", torn, 400),
        ("nothing", "image/jpeg", Vec::new(), 400),
        ("too many bytes", "image/jpeg", vec![0xff; (20 << 20) + 1], 413),
    ] {
        let (code, answer) = put(&server, &sent.video, kind, body).await;
        assert_eq!(code, expected, "{what}: {answer}");
    }
    let (_, still) = server.get(&format!("/v1/videos/{}/playback", sent.video)).await;
    assert_eq!(still["poster"], last["poster"], "what is refused changes nothing");
    all_hold(&server).await;
}

/// The picture with a mark that a camera was held on its side (Exif orientation 6).
fn turned(jpeg: &[u8]) -> Vec<u8> {
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif[..], &jpeg[2..]].concat()
}

#[tokio::test]
async fn sound_alone_has_its_cover_or_a_drawing_of_itself() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let cover = dir.path().join("cover.jpg");
    drawn(dir.path(), "cover.jpg", &["-i", "testsrc2=s=600x600"]);
    let (bare, covered) = (dir.path().join("bare.mp3"), dir.path().join("covered.mp3"));
    let tone = ["-v", "error", "-y", "-f", "lavfi", "-i", "sine=440:d=5"];
    tool("ffmpeg", &[&tone[..], &["-c:a", "libmp3lame", bare.to_str().unwrap()]].concat());
    let (bare_text, cover_text) = (bare.to_str().unwrap(), cover.to_str().unwrap());
    let with =
        ["-v", "error", "-y", "-i", bare_text, "-i", cover_text, "-map", "0", "-map", "1", "-c", "copy"];
    tool("ffmpeg", &[&with[..], &["-disposition:1", "attached_pic", covered.to_str().unwrap()]].concat());
    for (path, size) in [(bare, (1_280, 720)), (covered, (600, 600))] {
        let sent = upload(&server, &std::fs::read(&path).unwrap(), "sound.mp3").await;
        let video = server.video_in(&sent.video, &["ready"], 60).await;
        let picture = bytes(&server, &here(&server, &video["playback"]["poster"])).await;
        assert_eq!(jpeg_size(&picture), Some(size), "{}", path.display());
        if size.0 > 600 {
            let (middle, edge) = ((300, 350, 600, 20), (300, 20, 600, 20));
            assert!(gray::of(&picture, middle) > gray::of(&picture, edge) + 60.0, "the tone is drawn");
        }
        assert_eq!(video["playback"]["storyboard"], Value::Null);
        assert_eq!(video["playback"]["thumbnail_dynamic"], Value::Null);
    }
    all_hold(&server).await;
}
