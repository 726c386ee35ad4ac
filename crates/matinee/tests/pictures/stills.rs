//! Stills of any moment: exact, bounded, made once, and never more at a time than the machine can bear.

use std::path::Path;

use matinee_core::image::jpeg_size;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::gray::{self, NEAR, brightness};
use super::{bytes, pictured};
use crate::support::invariants::{here, nothing_runs};
use crate::support::process::working_in;
use crate::support::sender::{tus, upload};
use crate::support::server::Server;
use crate::support::until;

const H264: [&str; 6] = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "250"];

#[tokio::test]
async fn a_still_is_of_its_moment_before_and_after_encoding() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let clip = gray::clip(dir.path(), "still.mp4", "25", 21, &H264);
    let sent = upload(&server, &clip, "still.mp4").await;
    let path = format!("/v1/videos/{}/playback", sent.video);
    // The source can be played at once, and its stills are there before anything is encoded.
    let early = until("it can be played", 60, async || {
        let (_, playback) = server.get(&path).await;
        playback["thumbnail_dynamic"].is_string().then_some(playback)
    })
    .await;
    for playback in [early, pictured(&server, &sent.video).await] {
        let still = here(&server, &playback["thumbnail_dynamic"]);
        for (query, at_s, size) in [
            ("?t=12.74&w=640", 12.7, (640, 360)),
            ("?t=12.79&w=641", 12.7, (640, 360)),
            ("?t=-7&w=16", 0.0, (80, 44)),
            ("?t=1e9&w=320", 20.9, (320, 180)),
            ("?w=320", 2.1, (320, 180)),
            ("?t=0.7", 0.7, (640, 360)),
        ] {
            let picture = bytes(&server, &format!("{still}{query}")).await;
            let whole = (0, 0, size.0, size.1);
            let (width, height) = jpeg_size(&picture).unwrap();
            assert_eq!((u32::from(width), u32::from(height)), size, "{query}");
            let seen = gray::of(&picture, whole);
            assert!((seen - brightness(at_s)).abs() <= NEAR, "{query}: {seen}, not {}", brightness(at_s));
        }
        for wrong in ["?t=NaN", "?t=inf", "?t=x", "?w=15", "?w=1921", "?w=-1", "?w=1e2"] {
            let answer = server.http.get(format!("{still}{wrong}")).send().await.unwrap();
            assert_eq!(answer.status(), 400, "{wrong}");
        }
    }
    nothing_runs(&server).await;
    let kept = server.data().join("thumbnails/_").join(&sent.video);
    assert!(std::fs::read_dir(&kept).unwrap().count() >= 6);
    let gone = server.request(Method::DELETE, &format!("/v1/videos/{}", sent.video)).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    assert!(!kept.exists(), "nothing of a deleted video stays");
}

/// Sends a clip that is looked at, but not encoded before our grandchildren are old.
async fn kept_as_it_is(server: &Server, bytes: &[u8]) -> String {
    let new =
        json!({ "size_bytes": bytes.len(), "file_name": "slides", "run_after": "2100-01-01T00:00:00Z" });
    let answer = server.request(Method::POST, "/v1/uploads").json(&new).send().await.unwrap();
    let upload: Value = answer.json().await.unwrap();
    let url = reqwest::Url::parse(upload["upload_url"].as_str().unwrap()).unwrap();
    let sending = tus(server, Method::PATCH, url.path()).header("Upload-Offset", "0");
    let sent = sending.header("Content-Type", "application/offset+octet-stream").body(bytes.to_vec());
    assert_eq!(sent.send().await.unwrap().status(), 204);
    upload["video_id"].as_str().unwrap().to_owned()
}

/// The JPEG picture that was stored last.
fn newest_picture(dir: &Path) -> Vec<u8> {
    let mut folders = vec![dir.to_owned()];
    let mut pictures = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                let written = entry.metadata().unwrap().modified().unwrap();
                pictures.extend(bytes.starts_with(&[0xff, 0xd8]).then_some((written, bytes)));
            }
        }
    }
    pictures.into_iter().max_by_key(|(written, _)| *written).unwrap().1
}

#[tokio::test]
async fn a_still_of_slides_is_the_picture_on_screen_and_not_the_next_one() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let ordered = [&H264[..], &["-bf", "0"]].concat();
    let reordered = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-b_strategy", "0", "-g", "250"];
    let uneven = "eq(n\\,0)+eq(n\\,7)+eq(n\\,20)+eq(n\\,21)+eq(n\\,55)";
    let minutes = [0.0, 10.0, 20.0, 30.0, 40.0, 50.0];
    let at_will = [0.0, 7.0, 20.0, 21.0, 55.0];
    for (name, (rate, shown), args, pictures) in [
        ("ten.mp4", ("1/10", "1"), &ordered[..], &minutes[..]),
        ("ten-reordered.mp4", ("1/10", "1"), &reordered[..], &minutes[..]),
        ("ten.mkv", ("1/10", "1"), &reordered[..], &minutes[..]),
        ("uneven.mp4", ("1", uneven), &reordered[..], &at_will[..]),
        ("uneven.mkv", ("1", uneven), &ordered[..], &at_will[..]),
    ] {
        let args = [args, &["-fps_mode", "vfr"]].concat();
        let clip = gray::slides(dir.path(), name, (rate, 60, shown), &args);
        let video = kept_as_it_is(&server, &clip).await;
        let path = format!("/v1/videos/{video}/poster");
        for at_s in [0.0, 0.9, 6.9, 7.0, 9.0, 17.0, 19.9, 20.3, 29.0, 44.0, 49.9, 54.0, 55.0, 58.0, 70.0] {
            let choice = json!({ "at_s": at_s });
            let chosen = until("its plan is there", 60, async || {
                let answer = server.request(Method::PUT, &path).json(&choice).send().await.unwrap();
                (answer.status() != 409).then_some(answer.status())
            });
            assert_eq!(chosen.await, 200, "{name} at {at_s} s");
            // Nothing of it can be played, so nothing of it is served.
            let poster = newest_picture(&server.data());
            let on_screen = pictures.iter().copied().rfind(|from| *from <= at_s).unwrap();
            let seen = gray::of(&poster, (0, 0, 640, 360));
            let wanted = brightness(on_screen);
            assert!((seen - wanted).abs() <= NEAR, "{name} at {at_s} s: {seen}, not {wanted}");
        }
    }
}

#[tokio::test]
async fn a_still_that_cannot_be_decoded_is_refused_and_not_tried_without_end() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let front = [&H264[..], &["-g", "25", "-movflags", "+faststart"]].concat();
    let mut clip = gray::clip(dir.path(), "broken.mp4", "25", 20, &front);
    // Of the pictures from the middle on nothing is left; the index in front still names them.
    let middle = clip.len() * 5 / 8;
    clip[middle..].fill(0);
    let video = kept_as_it_is(&server, &clip).await;
    let path = format!("/v1/videos/{video}/playback");
    let playback = until("it can be played", 60, async || {
        let (_, playback) = server.get(&path).await;
        playback["thumbnail_dynamic"].is_string().then_some(playback)
    })
    .await;
    let still = here(&server, &playback["thumbnail_dynamic"]);
    let mut said = Vec::new();
    for _ in 0..5 {
        let answer = server.http.get(format!("{still}?t=19&w=160")).send().await.unwrap();
        said.push(answer.status().as_u16());
    }
    assert_eq!(said, [503, 409, 409, 409, 409]);
    assert_eq!(server.logged().matches("a still cannot be made").count(), 2, "{}", server.logged());
    bytes(&server, &format!("{still}?t=1&w=160")).await;
}

#[tokio::test]
async fn a_crowd_starts_two_programs_at_a_time_and_is_sent_away_beyond() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let clip = gray::clip(dir.path(), "crowd.mp4", "25", 11, &H264);
    let sent = upload(&server, &clip, "crowd.mp4").await;
    let playback = pictured(&server, &sent.video).await;
    let still = here(&server, &playback["thumbnail_dynamic"]);
    nothing_runs(&server).await;
    let mut asking = JoinSet::new();
    for n in 0..100 {
        // Each tenth of a second twice.
        let request = server.http.get(format!("{still}?t={}.{}&w=160", n / 2 / 10, n / 2 % 10));
        asking.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    let (mut made, mut away, mut most) = (0, 0, 0);
    while !asking.is_empty() {
        most = most.max(working_in(&server.data(), Some(server.pid())).len());
        while let Some(status) = asking.try_join_next() {
            match status.unwrap() {
                200 => made += 1,
                503 => away += 1,
                other => panic!("{other}"),
            }
        }
        // Looks at the machine so often while it works; what is found decides, not the pause.
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!((1..=2).contains(&most), "{most} programs ran at once");
    assert!(made >= 32 && made + away == 100, "{made} made, {away} sent away");
    // Who comes again has it, from the disk.
    bytes(&server, &format!("{still}?t=0&w=160")).await;
    // The owner of the video does not wait behind its viewers.
    let crowd = (0..100).map(|n| server.http.get(format!("{still}?t={}.{}&w=640", n / 10, n % 10)).send());
    let crowd = futures_util::future::join_all(crowd);
    let path = format!("/v1/videos/{}/poster", sent.video);
    let poster = server.request(Method::PUT, &path).json(&json!({ "at_s": 3 })).send();
    let (crowd, poster) = tokio::join!(crowd, poster);
    assert!(crowd.iter().any(|answer| answer.as_ref().unwrap().status() == 503), "nobody had to wait");
    assert_eq!(poster.unwrap().status(), 200);
    nothing_runs(&server).await;
}
