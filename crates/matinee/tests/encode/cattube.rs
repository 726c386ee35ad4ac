//! The example `examples/cattube`: its template gives its four assets, and who may not have two of them does not.

use std::path::{Path, PathBuf};

use http::Method;
use matinee_core::image::jpeg_size;
use serde_json::{Value, json};

use super::announced;
use super::marked::colour;
use crate::access::people::House;
use crate::support::invariants::{all_hold, here};
use crate::support::process::tool;
use crate::support::server::Server;
use crate::support::until;

/// A clip of three seconds with sound, wider than 4:3.
fn clip(dir: &Path) -> Vec<u8> {
    let path = dir.join("clip.mp4");
    let words = "-v error -f lavfi -i testsrc2=s=1600x900:r=25:d=3 -f lavfi -i sine=d=3 -c:v libx264 -preset ultrafast \
                 -pix_fmt yuv420p -c:a aac";
    tool("ffmpeg", &words.split_whitespace().chain([path.to_str().unwrap()]).collect::<Vec<_>>());
    std::fs::read(path).unwrap()
}

/// Codec, width and height of the picture, and the codec of the sound.
fn streams(path: &Path) -> String {
    let asked = ["-v", "error", "-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0"];
    let seen = tool("ffprobe", &[&asked[..], &[path.to_str().unwrap()]].concat());
    String::from_utf8(seen.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How far two colours are from each other.
fn distance(one: [u8; 3], other: [u8; 3]) -> u8 {
    one.iter().zip(other).map(|(one, other)| one.abs_diff(other)).max().unwrap()
}

async fn downloads(house: &House, token: &str, address: &str) -> (Value, Vec<(String, String)>) {
    let (_, playback) = house.ask(token, Method::GET, address, None).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = playback["downloads"].as_array().cloned().unwrap_or_default();
    let named = all.iter().map(|one| (text(&one["id"]), text(&one["file_name"]))).collect();
    (playback, named)
}

#[tokio::test]
async fn the_template_of_cattube_gives_its_four_assets() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start().await;
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/cattube/cattube.toml");
    server.tell(&["pipeline", "apply", example.to_str().unwrap()]);
    let film = clip(dir.path());
    let id = announced(&server, Some("cattube"), &film).await;
    server.video_in(&id, &["ready"], 180).await;
    let house = House::of(server).await;
    let address = format!("/v1/videos/{id}/playback");
    let (playback, named) = until("all files are there", 180, async || {
        let (playback, named) = downloads(&house, &house.admin, &address).await;
        (named.len() > 2).then_some((playback, named))
    })
    .await;
    let pair = |id: &str, name: &str| (id.to_owned(), name.to_owned());
    assert_eq!(
        named,
        [
            pair("h264-768", "film 768p.mp4"),
            pair("unmarked-768", "film 768p without watermark.mp4"),
            pair("source", "film original.mp4"),
        ]
    );

    let get = async |url: &Value| {
        let answer = house.server.http.get(here(&house.server, url)).send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap())
    };
    let mut files: Vec<PathBuf> = Vec::new();
    for (at, (id, _)) in named.iter().enumerate() {
        let (status, bytes) = get(&playback["downloads"][at]["url"]).await;
        assert_eq!(status, 200, "{id}");
        files.push(dir.path().join(format!("{id}.mp4")));
        std::fs::write(&files[at], bytes).unwrap();
    }
    let [marked, plain, original] = &files[..] else { unreachable!("because three were named") };
    assert_eq!(std::fs::read(original).unwrap(), film, "the original is what was sent");
    for file in [marked, plain] {
        assert_eq!(streams(file), "h264,1024,768 aac");
    }
    let (_, poster) = get(&playback["poster"]).await;
    assert_eq!(jpeg_size(&poster), Some((320, 240)));

    // The cat is 256 x 160 at 758, 10; its face is in the middle of that.
    let face = (758 + 100, 10 + 104, 56, 16);
    assert!(distance(colour(marked, face), colour(plain, face)) > 40, "the cat is to be seen");
    for (part, what) in [
        ((0, 0, 740, 768), "the left"),
        ((740, 180, 284, 588), "below it"),
        ((1_014, 0, 10, 768), "right of it"),
        ((0, 0, 1_024, 8), "above it"),
        ((758, 12, 20, 20), "a corner of it, where the picture is clear"),
    ] {
        let (one, other) = (colour(marked, part), colour(plain, part));
        assert!(distance(one, other) <= 6, "{what}: {one:?} {other:?}");
    }
    let small = dir.path().join("poster.jpg");
    std::fs::write(&small, poster).unwrap();
    let face = (758 + 100) * 320 / 1_024;
    let red = colour(&small, (face, 114 * 320 / 1_024, 16, 4));
    assert!(red[0] > red[1].saturating_add(40), "the poster has the cat, too: {red:?}");

    seen_by_others(&house, &id, &address).await;
    all_hold(&house.server).await;
}

/// Everybody sees the cat, and nobody else what lies below.
async fn seen_by_others(house: &House, id: &str, address: &str) {
    let (_, viewer) = house.app("other", &["video:read"]).await;
    let public = Some(json!({ "policy": "public" }));
    assert_eq!(house.ask(&house.admin, Method::PATCH, &format!("/v1/videos/{id}"), public).await.0, 200);
    let (theirs, named) = downloads(house, &viewer, address).await;
    assert_eq!(named, [("h264-768".to_owned(), "film 768p.mp4".to_owned())]);
    let main = here(&house.server, &theirs["hls"]);
    let list = house.server.http.get(&main).send().await.unwrap().text().await.unwrap();
    assert!(list.contains("h264-768") && !list.contains("unmarked"), "{list}");
    let root = main.rsplit_once('/').unwrap().0.to_owned();
    for path in ["unmarked-768/file.mp4", "unmarked-768/p.m3u8", "unmarked-768/init.mp4", "source/file.mp4"] {
        let answer = house.server.http.get(format!("{root}/{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
}
