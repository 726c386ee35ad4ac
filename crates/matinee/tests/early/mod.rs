//! Videos that are watched while they arrive: what is listed can be played, and stays as it is.

mod look;
mod tail;

use reqwest::Method;
use serde_json::Value;

use self::look::{Watched, arrived_at, never_early, playable};
use crate::support::invariants::{all_hold, no_byte_is_lost, nothing_remains};
use crate::support::raw::Raw;
use crate::support::sender::{create, head, patch, resume, tus};
use crate::support::server::Server;
use crate::support::{clips, until};

const SECONDS: u32 = 24;

/// Uploads a clip in steps and watches from the first one to the end.
async fn watched_while_it_arrives(name: &str, bytes: &[u8], whole_length_known: bool) {
    let server = Server::start().await;
    let sent = create(&server, bytes.len() as u64, "early.mp4").await;
    assert_eq!(patch(&server, &sent.path, 0, bytes[..1_000].to_vec()).await.status(), 204);
    let (status, problem) = server.get(&format!("/v1/videos/{}/playback", sent.video)).await;
    assert_eq!((status, &problem["code"]), (409, &"not_playable_yet".into()), "{name}");
    let mut watched: Option<Watched> = None;
    let (mut at, mut listed) = (1_000, 0);
    for percent in [30, 31, 60, 99] {
        let until = bytes.len() * percent / 100;
        assert_eq!(patch(&server, &sent.path, at as u64, bytes[at..until].to_vec()).await.status(), 204);
        at = until;
        let video = playable(&server, &sent.video).await;
        assert_eq!((&video["state"], &video["playback"]["dash"]), (&"processing".into(), &Value::Null));
        let length = video["duration"].as_f64().unwrap();
        assert!(length <= 24.2 && (length > 23.8 || !whole_length_known), "{name}: {length} s");
        let place = watched.get_or_insert_with(|| Watched::of(&server, &video));
        let behind = if whole_length_known { 0 } else { 2 };
        let now = place.sees_what_is_there(&server, (bytes, at), behind).await;
        assert!(now >= listed, "{name}: a playlist only grows");
        listed = now;
    }
    assert!(listed > 1, "{name}: {listed} segments at the end");
    assert_eq!(patch(&server, &sent.path, at as u64, bytes[at..].to_vec()).await.status(), 204);
    let mut watched = watched.unwrap();
    until("the playlist ends at the same address", 60, async || {
        watched.look(&server).await;
        watched.ended.then_some(())
    })
    .await;
    watched.is_the_source(&server, bytes).await;
    server.video_in(&sent.video, &["ready"], 120).await;
    no_byte_is_lost(&server, &sent.video, bytes).await;
    all_hold(&server).await;
}

#[tokio::test]
async fn a_file_with_its_index_in_front_is_watched_while_it_arrives() {
    watched_while_it_arrives("faststart", &clips::faststart(SECONDS), true).await;
}

#[tokio::test]
async fn a_file_of_fragments_is_watched_while_it_arrives() {
    watched_while_it_arrives("fragments", &clips::fragmented(SECONDS), false).await;
}

#[tokio::test]
async fn fragments_whose_pictures_are_reordered_are_watched_while_they_arrive() {
    watched_while_it_arrives("cmaf", &clips::cmaf(SECONDS), false).await;
}

#[tokio::test]
async fn a_request_that_still_runs_is_listed_as_far_as_it_is_durable() {
    let (server, bytes) = (Server::start().await, clips::faststart(SECONDS));
    let sent = create(&server, bytes.len() as u64, "slow.mp4").await;
    let mut raw = Raw::patch(server.port, &sent.path, 0, bytes.len() as u64).await;
    let mut at = bytes.len() / 5;
    raw.send(&bytes[..at]).await.unwrap();
    // Bytes become durable as they go on coming; the request never ends.
    let video = until("what is durable can be watched", 30, async || {
        raw.send(&bytes[at..at + 100]).await.unwrap();
        at += 100;
        let (_, video) = server.get(&format!("/v1/videos/{}", sent.video)).await;
        (video["playable"] == true).then_some(video)
    })
    .await;
    let mut watched = Watched::of(&server, &video);
    let durable = arrived_at(&server, &sent).await;
    watched.sees_what_is_there(&server, (&bytes, durable), 0).await;
    drop(raw);
    resume(&server, &sent, &bytes).await;
    server.video_in(&sent.video, &["ready"], 120).await;
    no_byte_is_lost(&server, &sent.video, &bytes).await;
}

#[tokio::test]
async fn a_killed_server_goes_on_showing_what_it_has() {
    let (mut server, bytes) = (Server::start().await, clips::faststart(SECONDS));
    let sent = create(&server, bytes.len() as u64, "killed.mp4").await;
    let half = bytes.len() / 2;
    patch(&server, &sent.path, 0, bytes[..half].to_vec()).await;
    let video = playable(&server, &sent.video).await;
    let mut watched = Watched::of(&server, &video);
    let listed = watched.look(&server).await;
    server.kill();
    let server = server.again().await;
    watched.moved_to(&server);
    assert_eq!(watched.look(&server).await, listed, "the same address gives the same segments");
    assert_eq!(head(&server, &sent.path).await, half as u64);
    resume(&server, &sent, &bytes).await;
    server.video_in(&sent.video, &["ready"], 120).await;
    until("the playlist ends", 10, async || {
        watched.look(&server).await;
        watched.ended.then_some(())
    })
    .await;
    watched.is_the_source(&server, &bytes).await;
    all_hold(&server).await;
}

#[tokio::test]
async fn a_cancelled_upload_is_gone_for_its_watchers() {
    let (server, bytes) = (Server::start().await, clips::faststart(SECONDS));
    let sent = create(&server, bytes.len() as u64, "cancelled.mp4").await;
    patch(&server, &sent.path, 0, bytes[..bytes.len() / 2].to_vec()).await;
    let video = playable(&server, &sent.video).await;
    let mut watched = Watched::of(&server, &video);
    watched.look(&server).await;
    let gone = tus(&server, Method::DELETE, &sent.path).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    until("its addresses are gone", 5, async || watched.is_gone(&server).await.then_some(())).await;
    assert_eq!(server.get(&format!("/v1/videos/{}", sent.video)).await.0, 404);
    nothing_remains(&server).await;
}

#[tokio::test]
async fn an_index_that_lies_is_not_believed_before_the_probe() {
    let server = Server::start().await;
    let whole = clips::faststart(SECONDS);
    // The index names bytes behind the declared length.
    never_early(&server, &whole[..whole.len() * 3 / 4], whole.len() as u64 * 4 / 5).await;
    // The index is longer than any that is read early: only its header is sent.
    let long = [b"\0\0\0\x10ftypisom\0\0\0\0".as_slice(), b"\x12\xc0\0\0moov", &vec![0; 200_000]].concat();
    never_early(&server, &long, 400 << 20).await;
    // A part of the index is missing.
    never_early(&server, &whole[..2_000], whole.len() as u64).await;
    // Other bytes altogether.
    never_early(&server, &crate::support::noise(1, 200_000), 300_000).await;
}
