//! Who cannot be told asks: by tag and cursor, and waits for the answer.

use http::Method;
use reqwest::header::{ETAG, IF_NONE_MATCH};
use serde_json::{Value, json};

use crate::access::people::{House, path_of};
use crate::support::clips;
use crate::support::sender::patch;

/// Status, tag and JSON of a video; `known` is the tag of what the client has.
async fn asked(house: &House, path: &str, known: Option<&str>) -> (u16, String, Value) {
    let request = house.with(&house.admin, Method::GET, path);
    let request = if let Some(known) = known { request.header(IF_NONE_MATCH, known) } else { request };
    let answer = request.send().await.unwrap();
    let tag = answer.headers().get(ETAG).map(|tag| tag.to_str().unwrap().to_owned()).unwrap_or_default();
    let (code, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    (code, tag, serde_json::from_str(&text).unwrap_or_default())
}

#[tokio::test]
async fn a_simple_client_asks_once_and_is_answered_when_its_video_is_ready() {
    let house = House::open().await;
    let clip = clips::mp4(3);
    let upload =
        house.announce(&house.admin, json!({ "size_bytes": clip.len(), "file_name": "a.mp4" })).await;
    let path = format!("/v1/videos/{}", upload["video_id"].as_str().unwrap());
    let waits = format!("{path}?wait=60");
    let (code, first, arriving) = asked(&house, &path, None).await;
    assert_eq!((code, &arriving["state"]), (200, &json!("processing")), "it is not even sent");
    assert_eq!(asked(&house, &path, Some(&first)).await, (304, first.clone(), Value::Null));

    let bytes = async { patch(&house.server, &path_of(&upload["upload_url"]), 0, clip).await.status() };
    let ready = async {
        // More than once only on a machine that takes longer than a minute for a small clip.
        loop {
            let (code, _, video) = asked(&house, &waits, None).await;
            assert_eq!(code, 200);
            if video["state"] != "processing" {
                break video;
            }
        }
    };
    let (sent, ready) = tokio::join!(bytes, ready);
    assert_eq!((sent.as_u16(), &ready["state"]), (204, &json!("ready")), "{ready}");

    let (_, tag, _) = asked(&house, &path, None).await;
    assert_ne!(tag, first);
    let rename =
        async { house.ask(&house.admin, Method::PATCH, &path, Some(json!({ "title": "another" }))).await.0 };
    let (renamed, (code, newer, video)) = tokio::join!(rename, asked(&house, &waits, Some(&tag)));
    assert_eq!((renamed, code, &video["title"]), (200, 200, &json!("another")));
    assert_ne!(newer, tag);
    let short = format!("{path}?wait=1");
    assert_eq!(asked(&house, &short, Some(&newer)).await.0, 304, "nothing came");
    assert_eq!(asked(&house, &format!("{path}?wait=61"), None).await.0, 400);
    assert_eq!(
        asked(&house, &waits.replace("vid_0", "vid_1"), None).await.0,
        404,
        "nobody waits for nothing"
    );
}

#[tokio::test]
async fn a_reader_by_cursor_waits_for_the_next_event() {
    let house = House::open().await;
    house.announce(&house.admin, json!({ "size_bytes": 5 })).await;
    let (_, first) = house.ask(&house.admin, Method::GET, "/v1/events", None).await;
    let next = format!("/v1/events?after={}", first["next"]);
    let waits = format!("{next}&wait=60");
    let ((_, told), upload) = tokio::join!(
        house.ask(&house.admin, Method::GET, &waits, None),
        house.announce(&house.admin, json!({ "size_bytes": 5 }))
    );
    assert_eq!(
        (&told["items"][0]["topic"], &told["items"][0]["subject"]),
        (&json!("upload.created"), &upload["id"])
    );
    let (_, nothing) = house
        .ask(&house.admin, Method::GET, &format!("/v1/events?after={}&wait=1", told["next"]), None)
        .await;
    assert_eq!(nothing, json!({ "items": [], "next": told["next"] }));
    assert_eq!(house.ask(&house.admin, Method::GET, &format!("{next}&wait=61"), None).await.0, 400);
}
