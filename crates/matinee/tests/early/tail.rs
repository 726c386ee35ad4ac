//! Files with their index at the end, whose client sends that first, and clients that lie.

use reqwest::{Method, Response};

use super::SECONDS;
use super::look::{Watched, last_box, playable};
use crate::support::clips;
use crate::support::invariants::{all_hold, no_byte_is_lost, nothing_remains};
use crate::support::sender::{Sent, create, patch, resume, tus};
use crate::support::server::Server;
use crate::support::until;

/// Sends the end of a file.
async fn send_tail(server: &Server, sent: &Sent, bytes: &[u8]) -> Response {
    let request = server.request(Method::PUT, &format!("{}/tail", sent.path));
    request.body(bytes.to_vec()).send().await.unwrap()
}

/// An upload whose first half is there.
async fn half_of(server: &Server, bytes: &[u8]) -> Sent {
    let sent = create(server, bytes.len() as u64, "end.mp4").await;
    assert_eq!(patch(server, &sent.path, 0, bytes[..bytes.len() / 2].to_vec()).await.status(), 204);
    sent
}

#[tokio::test]
async fn a_file_whose_end_comes_first_is_watched_while_it_arrives() {
    let (mut server, bytes) = (Server::start().await, clips::mp4(SECONDS));
    let moov = last_box(&bytes, *b"moov");
    let sent = half_of(&server, &bytes).await;
    let (status, _) = server.get(&format!("/v1/videos/{}/playback", sent.video)).await;
    assert_eq!(status, 409, "its index is at the end");
    assert_eq!(send_tail(&server, &sent, &bytes[moov..]).await.status(), 204);
    let video = playable(&server, &sent.video).await;
    let mut watched = Watched::of(&server, &video);
    let listed = watched.sees_what_is_there(&server, (&bytes, bytes.len() / 2), 0).await;
    assert!(listed > 1, "{listed} segments of one half");
    assert_eq!(send_tail(&server, &sent, &bytes[moov..]).await.status(), 409, "once is enough");
    server.kill();
    let server = server.again().await;
    watched.moved_to(&server);
    assert_eq!(watched.look(&server).await, listed, "the end is kept");
    resume(&server, &sent, &bytes).await;
    until("the playlist ends at the same address", 60, async || {
        watched.look(&server).await;
        watched.ended.then_some(())
    })
    .await;
    watched.is_the_source(&server, &bytes).await;
    server.video_in(&sent.video, &["ready"], 120).await;
    no_byte_is_lost(&server, &sent.video, &bytes).await;
    all_hold(&server).await;
}

#[tokio::test]
async fn who_sends_another_end_than_the_file_has_gains_nothing() {
    let (server, bytes) = (Server::start().await, clips::mp4(SECONDS));
    let moov = last_box(&bytes, *b"moov");
    let sent = half_of(&server, &bytes).await;
    let mut lie = bytes[moov..].to_vec();
    // The last byte belongs to some text about the encoder: the index is as good as the true one.
    *lie.last_mut().unwrap() ^= 1;
    assert_eq!(send_tail(&server, &sent, &lie).await.status(), 204);
    let mut watched = Watched::of(&server, &playable(&server, &sent.video).await);
    watched.look(&server).await;
    resume(&server, &sent, &bytes).await;
    let video = server.video_in(&sent.video, &["ready"], 180).await;
    assert!(watched.is_gone(&server).await, "what was listed by a lie is not listed by the truth");
    assert!(video["playback"]["hls"].as_str().unwrap().ends_with("/2/m.m3u8"));
    no_byte_is_lost(&server, &sent.video, &bytes).await;
    all_hold(&server).await;
}

#[tokio::test]
async fn an_end_that_is_of_no_use_is_refused_and_leaves_nothing() {
    let (server, bytes) = (Server::start().await, clips::mp4(SECONDS));
    let moov = last_box(&bytes, *b"moov");
    let sent = half_of(&server, &bytes).await;
    assert_eq!(send_tail(&server, &sent, &bytes[moov + 1..]).await.status(), 400, "no box begins there");
    assert_eq!(send_tail(&server, &sent, &bytes[moov..moov + 100]).await.status(), 400, "a part of it");
    assert_eq!(send_tail(&server, &sent, b"").await.status(), 400, "nothing");
    let long = [&bytes[..], b"x"].concat();
    assert_eq!(send_tail(&server, &sent, &long).await.status(), 413, "more than the file");
    let nobody = Sent { path: "/files/0123456789abcdef0123456789abcdef".to_owned(), ..sent.clone() };
    assert_eq!(send_tail(&server, &nobody, &bytes[moov..]).await.status(), 404);
    assert_eq!(send_tail(&server, &sent, &bytes[moov..]).await.status(), 204, "a refusal costs nothing");
    playable(&server, &sent.video).await;
    assert_eq!(tus(&server, Method::DELETE, &sent.path).send().await.unwrap().status(), 204);
    assert_eq!(send_tail(&server, &sent, &bytes[moov..]).await.status(), 404, "it is over");
    nothing_remains(&server).await;
}
