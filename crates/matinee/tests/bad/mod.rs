//! Files that are no videos, or want to harm: a typed reason, in time, and nothing is left of them.

use serde_json::Value;

use crate::support::invariants::{all_hold, no_byte_is_lost, nothing_remains, plays};
use crate::support::sender::{Sent, upload};
use crate::support::server::Server;
use crate::support::{clips, noise};

/// Seconds within which a refusal must have come, on a loaded machine.
const REFUSED_S: u64 = 60;

/// A file that is refused with one of these codes.
async fn refused(server: &Server, name: &str, bytes: &[u8], codes: &[&str]) -> Value {
    let sent = upload(server, bytes, name).await;
    let video = server.video_in(&sent.video, &["failed", "ready"], REFUSED_S).await;
    assert_eq!(video["state"], "failed", "{name}: {video}");
    let reason = &video["reason"];
    assert!(codes.contains(&reason["code"].as_str().unwrap_or_default()), "{name}: {reason}");
    for text in ["human", "fix"] {
        let said = reason[text].as_str().unwrap_or_default();
        assert!(said.len() > 20, "{name}: {reason}");
        assert!(!said.contains(server.data().to_str().unwrap()), "{name} tells a path: {said}");
    }
    let (_, shown) = server.get(&format!("/v1/uploads/{}", sent.id)).await;
    assert_eq!((&shown["state"], &shown["reason"]["code"]), (&"failed".into(), &reason["code"]), "{name}");
    assert_eq!(server.get(&format!("/v1/videos/{}/playback", sent.video)).await.0, 409, "{name}");
    video
}

/// After all of it the server is as on its first day.
async fn healthy(server: &Server) {
    nothing_remains(server).await;
    all_hold(server).await;
    assert_eq!(server.get("/readyz").await.0, 200);
    assert!(!server.logged().contains("panicked"), "{}", server.logged());
}

#[tokio::test]
async fn what_is_no_media_is_refused() {
    let server = Server::start().await;
    let none = &["not_media", "truncated", "unsupported_media"];
    for (name, bytes) in [
        ("one byte.mp4", b"x".to_vec()),
        ("text.mp4", b"Dear diary, today I made no video.\n".repeat(50)),
        ("page.mp4", b"<!doctype html><script>alert(1)</script>".to_vec()),
        ("noise.mp4", noise(30, 300_000)),
        ("zip.mp4", [b"PK\x03\x04".to_vec(), noise(31, 20_000)].concat()),
        ("head only.mp4", b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41".to_vec()),
        (
            "huge box.mp4",
            [b"\0\0\0\x18ftypisom\0\0\0\0isommp42".to_vec(), b"\x7f\xff\xff\xffmoov".to_vec()].concat(),
        ),
        ("zero box.mp4", [b"\0\0\0\x18ftypisom\0\0\0\0isommp42".to_vec(), vec![0; 4_096]].concat()),
    ] {
        refused(&server, name, &bytes, none).await;
    }
    healthy(&server).await;
}

#[tokio::test]
async fn a_playlist_dressed_as_a_video_reads_no_other_file() {
    let server = Server::start().await;
    // A sibling that a list could name: an upload of somebody else, whose place on the disk is known here.
    let other = upload(&server, &clips::mp4(3), "other.mp4").await;
    server.video_in(&other.video, &["ready"], 120).await;
    let object = crate::support::tables::Tables::open(&server.data()).await.source(&other.video).await.object;
    let path = crate::support::invariants::object_path(&server.data(), &object);
    let path = path.to_str().unwrap();
    let hls =
        |target: &str| format!("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n");
    for (name, text) in [
        ("list.mp4", hls(&format!("file://{path}"))),
        ("relative list.mp4", hls(&object)),
        ("inner list.mp4", hls("http://169.254.169.254/latest/meta-data")),
        ("concat.mp4", format!("ffconcat version 1.0\nfile {object}\n")),
        ("absolute concat.mp4", format!("ffconcat version 1.0\nfile '{path}'\n")),
        ("concat url.mp4", format!("concat:{path}|{path}")),
        (
            "session.mp4",
            "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n".to_owned(),
        ),
    ] {
        let video =
            refused(&server, name, text.as_bytes(), &["not_media", "truncated", "unsupported_media"]).await;
        assert!(!video.to_string().contains("h264"), "{name} has looked into another file: {video}");
    }
    all_hold(&server).await;
}

#[tokio::test]
async fn a_flood_of_pixels_and_a_gap_of_hours_are_refused_or_closed() {
    let server = Server::start().await;
    refused(&server, "flood.mp4", &clips::flood(), &["too_large", "not_media", "unsupported_media"]).await;
    refused(&server, "gap.mkv", &clips::gap(), &["over_budget"]).await;
    healthy(&server).await;
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_refused_or_kept_as_far_as_it_goes() {
    let server = Server::start().await;
    let (back, front) = (clips::mp4(3), clips::faststart(3));
    for share in [10, 50, 99] {
        let cut = &back[..back.len() * share / 100];
        refused(&server, "index lost.mp4", cut, &["truncated", "not_media"]).await;
    }
    // The index is in front: it names bytes that never came.
    for share in [5, 40, 90] {
        let cut = &front[..front.len() * share / 100];
        let sent = upload(&server, cut, "tail lost.mp4").await;
        let video = server.video_in(&sent.video, &["failed", "ready"], 120).await;
        ended_with_a_reason(&server, &sent, &video, cut).await;
    }
    all_hold(&server).await;
}

#[tokio::test]
async fn garbage_in_the_middle_ends_with_a_typed_reason_or_a_video_that_plays() {
    let server = Server::start().await;
    let whole = clips::faststart(3);
    for seed in 0..4_u64 {
        let mut bytes = whole.clone();
        // Anywhere in the file: boxes, tables and pictures alike.
        let mut random = crate::support::Random(seed);
        for _ in 0..20 {
            let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
            bytes[at] = random.next().to_le_bytes()[0];
        }
        let sent = upload(&server, &bytes, "garbage.mp4").await;
        let video = server.video_in(&sent.video, &["failed", "ready"], 180).await;
        assert!(video["state"] == "ready" || !video["reason"]["code"].is_null(), "seed {seed}: {video}");
    }
    assert!(!server.logged().contains("panicked"), "{}", server.logged());
}

async fn ended_with_a_reason(server: &Server, sent: &Sent, video: &Value, bytes: &[u8]) {
    if video["state"] == "failed" {
        assert!(!video["reason"]["code"].as_str().unwrap().is_empty(), "{video}");
    } else {
        assert!(!video["damaged"].is_null(), "a video without its end says so: {video}");
        no_byte_is_lost(server, &sent.video, bytes).await;
        assert!(plays(server, &sent.video).await > 0);
    }
}
