//! Stills of any moment: exact, bounded, made once, and never more at a time than the machine can bear.

use matinee_core::image::jpeg_size;
use reqwest::Method;
use tokio::task::JoinSet;

use super::gray::{self, NEAR, brightness};
use super::{bytes, pictured};
use crate::support::invariants::{here, nothing_runs};
use crate::support::process::working_in;
use crate::support::sender::upload;
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
    nothing_runs(&server).await;
}
