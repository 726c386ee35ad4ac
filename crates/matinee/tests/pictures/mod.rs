//! The pictures of a video: what the storyboard says is what it shows, stills are of the moment that was asked for, and a
//! chosen poster is never served as it came.

mod gray;
mod own;
mod stills;

use matinee_core::image::jpeg_size;
use serde_json::Value;

use crate::support::invariants::{all_hold, here};
use crate::support::sender::upload;
use crate::support::server::Server;
use crate::support::{clips, until};
use gray::{NEAR, brightness};

/// Bytes of an address of the API, which must be there.
pub(crate) async fn bytes(server: &Server, address: &str) -> Vec<u8> {
    let response = server.http.get(address).send().await.unwrap();
    assert_eq!(response.status(), 200, "{address}");
    response.bytes().await.unwrap().to_vec()
}

/// The addresses of a video, once it has everything.
pub(crate) async fn pictured(server: &Server, video: &str) -> Value {
    server.video_in(video, &["ready"], 120).await;
    let path = format!("/v1/videos/{video}/playback");
    until("the storyboard is made", 60, async || {
        let (_, playback) = server.get(&path).await;
        playback["storyboard"].is_string().then_some(playback)
    })
    .await
}

/// A time of WebVTT in seconds.
fn seconds(text: &str) -> f64 {
    text.split(':').fold(0.0, |sum, part| sum * 60.0 + part.trim().parse::<f64>().unwrap())
}

/// Every tile of a storyboard with the time from which it is good.
async fn tiles(server: &Server, playback: &Value) -> Vec<(f64, f64)> {
    let address = here(server, &playback["storyboard"]);
    let folder = address.rsplit_once('/').unwrap().0.to_owned();
    let track = String::from_utf8(bytes(server, &address).await).unwrap();
    let mut seen = Vec::new();
    for cue in track.split("\n\n").skip(1) {
        let (times, target) = cue.trim().split_once('\n').unwrap();
        let (sheet, place) = target.split_once("#xywh=").unwrap();
        let place: Vec<u32> = place.split(',').map(|number| number.parse().unwrap()).collect();
        let sheet = bytes(server, &format!("{folder}/{sheet}")).await;
        assert_eq!(jpeg_size(&sheet), Some((800, 450)), "{target}");
        // The edge of a tile is blurred with its neighbours.
        let middle = (place[0] + 20, place[1] + 20, place[2] - 40, place[3] - 40);
        seen.push((seconds(times.split_once(" --> ").unwrap().0), gray::of(&sheet, middle)));
    }
    seen
}

#[tokio::test]
async fn every_tile_shows_the_moment_that_its_cue_names() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let h264 = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "250"];
    let cases = [
        ("even.mp4", "25", 61, &h264[..], 31),
        ("film.mkv", "24000/1001", 21, &h264[..], 11),
        ("fast.mp4", "60", 9, &h264[..], 5),
        ("old.avi", "30", 7, &["-c:v", "mpeg4", "-q:v", "3"][..], 4),
        ("short.mp4", "25", 1, &h264[..], 1),
    ];
    for (name, rate, length_s, args, count) in cases {
        let sent = upload(&server, &gray::clip(dir.path(), name, rate, length_s, args), name).await;
        let playback = pictured(&server, &sent.video).await;
        let tiles = tiles(&server, &playback).await;
        assert_eq!(tiles.len(), count, "{name}");
        for (at_s, seen) in tiles {
            // Between two steps it may be either: frames of 23.976 a second are a little late.
            let near = |at_s| (brightness(at_s) - seen).abs() <= NEAR;
            assert!(near(at_s) || near(at_s + 0.02), "{name} at {at_s}: {seen}, not {}", brightness(at_s));
        }
    }
    all_hold(&server).await;
}

#[tokio::test]
async fn dash_has_the_same_tiles_and_a_preview_is_a_short_silent_film() {
    let server = Server::start().await;
    let sent = upload(&server, &clips::sized("640x360", 12), "film.mp4").await;
    let playback = pictured(&server, &sent.video).await;
    let mpd = String::from_utf8(bytes(&server, &here(&server, &playback["dash"])).await).unwrap();
    for part in [
        "contentType=\"image\" mimeType=\"image/jpeg\"",
        "timescale=\"1000000\" duration=\"50000000\" startNumber=\"1\" media=\"$RepresentationID$/$Number$.jpg\"",
        "<Representation id=\"storyboard\"",
        "width=\"800\" height=\"450\"",
        "schemeIdUri=\"http://dashif.org/guidelines/thumbnail_tile\" value=\"5x5\"",
    ] {
        assert!(mpd.contains(part), "{part} in {mpd}");
    }
    let root = here(&server, &playback["dash"]).rsplit_once('/').unwrap().0.to_owned();
    assert_eq!(jpeg_size(&bytes(&server, &format!("{root}/storyboard/1.jpg")).await), Some((800, 450)));
    for wrong in ["storyboard/0.jpg", "storyboard/2.jpg", "storyboard/1.png", "storyboard/x.jpg"] {
        let answer = server.http.get(format!("{root}/{wrong}")).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{wrong}");
    }
    let path = server.data().join("preview.mp4");
    std::fs::write(&path, bytes(&server, &here(&server, &playback["preview"])).await).unwrap();
    let asked =
        ["-v", "error", "-count_frames", "-show_entries", "stream=codec_name,width,height,nb_read_frames"];
    let seen = crate::support::process::tool(
        "ffprobe",
        &[&asked[..], &["-of", "csv", path.to_str().unwrap()]].concat(),
    );
    assert_eq!(String::from_utf8_lossy(&seen.stdout).trim(), "stream,h264,320,180,30");
    std::fs::remove_file(path).unwrap();
    // The right to it is in the path, as for the poster.
    let forged = root.replace("/p/", "/p/A");
    for name in ["storyboard.vtt", "preview.mp4", "thumbnail.jpg", "storyboard/1.jpg"] {
        let answer = server.http.get(format!("{forged}/{name}")).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{name}");
    }
    all_hold(&server).await;
}
