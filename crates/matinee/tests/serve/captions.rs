//! Captions that people add: what is taken, what is refused, and what players are handed.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::clips;
use crate::support::invariants::all_hold;
use crate::support::sender::upload;
use crate::support::server::Server;

const SUBRIP: &str =
    "1\n00:00:00,500 --> 00:00:01,500\nGod dag & välkommen\n\n2\n00:01:00,000 --> 00:01:01,000\nLater\n";

async fn put(server: &Server, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let answer = server.request(Method::PUT, path).body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// What is at an address of the API, which must be there.
async fn text(server: &Server, address: &Value) -> String {
    let address = address.as_str().unwrap();
    let answer = server.request(Method::GET, &address[address.find("/p/").unwrap()..]).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{address}");
    answer.text().await.unwrap()
}

/// The playback answer's captions, and the lines of the playlist that name them.
async fn offered(server: &Server, video: &str) -> (Value, Vec<String>) {
    let (_, playback) = server.get(&format!("/v1/videos/{video}/playback")).await;
    let master = text(server, &playback["hls"]).await;
    let lines = master.lines().filter(|line| line.contains("TYPE=SUBTITLES")).map(str::to_owned);
    (playback["captions"].clone(), lines.collect())
}

#[tokio::test]
async fn captions_are_added_shown_replaced_and_taken_away() {
    let server = Server::start().await;
    let sent = upload(&server, &clips::mp4(2), "film.mp4").await;
    server.video_in(&sent.video, &["ready"], 120).await;
    let path = format!("/v1/videos/{}/captions", sent.video);
    let (status, added) = put(&server, &format!("{path}/swe"), SUBRIP).await;
    let expected = json!({
        "id": "sv", "language": "sv", "label": "Svenska", "forced": false, "added": true, "state": "ready",
        "reason": null
    });
    assert_eq!((status, &added), (200, &expected));
    let (captions, lines) = offered(&server, &sent.video).await;
    assert!(lines.len() == 1 && lines[0].contains("NAME=\"Svenska\",LANGUAGE=\"sv\""), "{lines:?}");
    let first = captions[0]["url"].clone();
    let words = text(&server, &first).await;
    let cue = "00:00:00.500 --> 00:00:01.500\nGod dag & välkommen\n";
    assert_eq!(words, format!("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n{cue}"));
    let wide = format!("{path}/sv?label=F%C3%B6r%20alla&forced=true");
    assert_eq!(put(&server, &wide, "WEBVTT\n\n00:01.000 --> 00:02.000\nHej").await.0, 200);
    let (captions, lines) = offered(&server, &sent.video).await;
    assert!(lines[0].contains("NAME=\"För alla\"") && lines[0].contains("FORCED=YES"), "{lines:?}");
    let version = |url: &Value| url.as_str().unwrap().split('?').nth(1).map(str::to_owned);
    assert_ne!(version(&first), version(&captions[0]["url"]), "what is at an address never changes");
    for (body, code) in
        [("no captions", 400), ("WEBVTT\n\n01:00.000 --> 01:01.000\nBehind the end", 400), ("WEBVTT\n", 400)]
    {
        assert_eq!(put(&server, &format!("{path}/en"), body).await.0, code, "{body}");
    }
    assert_eq!(put(&server, &format!("{path}/e"), SUBRIP).await.0, 400);
    let long = vec![b'a'; matinee_core::limits::CAPTION_BYTES_MAX + 1];
    assert_eq!(put(&server, &format!("{path}/en"), long).await.0, 413);
    let gone = server.request(Method::DELETE, &format!("{path}/sv")).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    assert_eq!(offered(&server, &sent.video).await, (json!([]), Vec::new()));
    let again = server.request(Method::DELETE, &format!("{path}/sv")).send().await.unwrap();
    assert_eq!(again.status(), 404);
    all_hold(&server).await;
}
