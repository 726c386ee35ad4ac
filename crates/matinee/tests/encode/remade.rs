//! What must not be seen any more of a video that was encoded again, and sources that have to be read with care.

use http::Method;
use serde_json::{Value, json};

use super::made;
use crate::access::people::House;
use crate::support::clips;
use crate::support::invariants::all_hold;
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::until;

const SQUARE: &str = "[[pipeline]]\nname = \"square\"\ncrop = \"1:1\"\n";
/// Seconds in which a clip is encoded again on a loaded machine.
const DONE_S: u64 = 180;

/// The path below which somebody finds what is served of a video, up to its generation.
async fn root(house: &House, token: &str, video: &str) -> String {
    let (code, playback) = house.ask(token, Method::GET, &format!("/v1/videos/{video}/playback"), None).await;
    assert_eq!(code, 200, "{playback}");
    let address = playback["hls"].as_str().unwrap();
    address[address.find("/p/").unwrap()..].rsplitn(3, '/').last().unwrap().to_owned()
}

async fn status(house: &House, path: &str) -> u16 {
    house.server.request(Method::GET, path).send().await.unwrap().status().as_u16()
}

async fn encode(house: &House, video: &str, pipeline: &str) -> Value {
    let (path, body) = (format!("/v1/videos/{video}/encode"), json!({ "pipeline": pipeline }));
    let (code, told) = house.ask(&house.admin, Method::POST, &path, Some(body)).await;
    assert_eq!(code, 200, "{told}");
    told
}

async fn shown(house: &House, video: &str) -> Value {
    house.ask(&house.admin, Method::GET, &format!("/v1/videos/{video}"), None).await.1
}

fn widths(video: &Value) -> Vec<u64> {
    video["renditions"].as_array().unwrap().iter().filter_map(|one| one["width"].as_u64()).collect()
}

#[tokio::test]
async fn where_pictures_are_changed_later_nobody_finds_them_as_they_were() {
    let server = Server::with(SQUARE).await;
    // Several pieces and no sound, so that the first piece alone could be played.
    let video = made(&server, None, &clips::mute(30)).await["id"].as_str().unwrap().to_owned();
    let mut house = House::of(server).await;
    let (_, viewer) = house.app("other", &["video:read"]).await;
    let public = Some(json!({ "policy": "public" }));
    house.ask(&house.admin, Method::PATCH, &format!("/v1/videos/{video}"), public).await;
    let before = root(&house, &viewer, &video).await;
    let lists = |root: &str, generation: u32| format!("{root}/{generation}/m.m3u8");
    assert_eq!(status(&house, &lists(&before, 1)).await, 200, "it could be played at once");

    encode(&house, &video, "square").await;
    until("it is made again", DONE_S, async || {
        let early = status(&house, &lists(&before, 3)).await;
        let shown = shown(&house, &video).await;
        let running = shown["remake"]["state"] == "running";
        assert!(!running || early == 404, "what is being made is nobody's to see: {early}");
        (!running).then_some(())
    })
    .await;
    assert_eq!(widths(&shown(&house, &video).await), [180]);
    let own = root(&house, &house.admin, &video).await;
    let after = root(&house, &viewer, &video).await;
    for (path, expected) in [
        (lists(&after, 3), 200),
        (lists(&after, 1), 404),
        (format!("{after}/1/source/v.m3u8"), 404),
        (format!("{after}/1/source/v/init.mp4"), 404),
        (format!("{after}/1/source/v/1.m4s"), 404),
        (format!("{after}/1/source/file.mp4"), 404),
        (format!("{after}/3/source/file.mp4"), 404),
        // Who watches goes on, and the owner may have what is theirs.
        (lists(&before, 1), 200),
        (lists(&before, 2), 200),
        (format!("{own}/3/source/file.mp4"), 200),
    ] {
        assert_eq!(status(&house, &path).await, expected, "{path}");
    }

    // When no address from before can be good any more.
    house.server.kill();
    Tables::open(&house.server.data()).await.end_grace().await;
    house.server = house.server.again().await;
    for path in [lists(&before, 2), lists(&before, 1), lists(&own, 1)] {
        until("nothing of it is left", 60, async || (status(&house, &path).await == 404).then_some(())).await;
    }
    assert_eq!(status(&house, &format!("{own}/3/source/file.mp4")).await, 200);
    assert_eq!(status(&house, &lists(&after, 3)).await, 200);
    all_hold(&house.server).await;
}

#[tokio::test]
async fn a_video_that_begins_anew_is_seen_as_its_new_pipeline_says() {
    let server = Server::with(SQUARE).await;
    let video = made(&server, None, &clips::faststart(12)).await["id"].as_str().unwrap().to_owned();
    let mut house = House::of(server).await;
    let before = root(&house, &house.admin, &video).await;
    house.server.kill();
    Tables::open(&house.server.data()).await.fail_videos().await;
    house.server = house.server.again().await;
    let pause = async |method| house.ask(&house.admin, method, "/v1/jobs/pause", None).await.0;
    assert_eq!(pause(Method::PUT).await, 200);
    assert_eq!(encode(&house, &video, "square").await["state"], "processing");
    let playback = format!("/v1/videos/{video}/playback");
    let (code, told) = house.ask(&house.admin, Method::GET, &playback, None).await;
    assert_eq!((code, &told["code"]), (409, &json!("not_playable_yet")), "{told}");
    assert_eq!(status(&house, &format!("{before}/1/m.m3u8")).await, 404);
    assert!(pause(Method::DELETE).await < 300);
    let made = until("it is made", DONE_S, async || {
        let shown = shown(&house, &video).await;
        assert!(shown["playback"].is_null() || shown["playback"]["hls"].as_str().unwrap().contains("/3/"));
        (shown["state"] == "ready").then_some(shown)
    })
    .await;
    assert_eq!(widths(&made), [180]);
}

/// An AVI whose first stream of pictures nobody can read.
fn second_picture() -> Vec<u8> {
    let mut bytes = clips::two_pictures();
    for _ in 0..2 {
        let at = bytes.windows(4).position(|word| word == b"FMP4").expect("because it names its codec twice");
        bytes[at..at + 4].copy_from_slice(b"QZQZ");
    }
    bytes
}

#[tokio::test]
async fn a_source_is_rewritten_for_a_remake_as_it_was_the_first_time() {
    let server = Server::start().await;
    let video = made(&server, None, &second_picture()).await;
    let id = video["id"].as_str().unwrap();
    let again = server.request(Method::POST, &format!("/v1/videos/{id}/encode")).json(&json!({}));
    assert_eq!(again.send().await.unwrap().status(), 200);
    let after = until("it is made again", DONE_S, async || {
        let (_, shown) = server.get(&format!("/v1/videos/{id}")).await;
        (shown["remake"]["state"] != "running").then_some(shown)
    })
    .await;
    assert_eq!((&after["remake"], widths(&after)), (&Value::Null, widths(&video)));
    let (_, jobs) = server.get(&format!("/v1/jobs?video={id}&limit=100")).await;
    let rewritten = jobs["items"].as_array().unwrap().iter().filter(|job| job["kind"] == "remux");
    let mut taken = Vec::new();
    for job in rewritten {
        let (_, job) = server.get(&format!("/v1/jobs/{}", job["id"].as_str().unwrap())).await;
        assert_eq!(job["state"], "done", "{job}");
        taken.push(job["attempts"].to_string().matches("0:v:1").count());
    }
    assert_eq!(taken, [1, 1], "each time the second picture");
}
