//! Recordings of Zoom, against a stand-in that breaks as the real one is known to, and complains of what it would refuse.

use serde_json::{Value, json};

use crate::support::files::Manner;
use crate::support::invariants::{all_hold, no_byte_is_lost};
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::until;
use crate::support::zoom::{MEETING, Zoom, hash, seconds};

use super::film;

const VIEW: &str = "shared_screen_with_speaker_view";

async fn uploads(server: &Server) -> Vec<Value> {
    server.get("/v1/uploads").await.1["items"].as_array().unwrap().clone()
}

/// The one upload that an event has led to, when it is in this state.
async fn only_in(server: &Server, state: &str) -> Value {
    until(&format!("the recording is {state}"), 90, async || {
        let all = uploads(server).await;
        assert!(all.len() <= 1, "one recording, one upload: {all:?}");
        all.into_iter().find(|upload| upload["state"] == state)
    })
    .await
}

#[tokio::test]
async fn a_recording_becomes_a_video_with_its_meeting() {
    let zoom = Zoom::start().await;
    let server = Server::with(&zoom.configuration(false)).await;
    let bytes = film(11, 5);
    zoom.record("rec-1", VIEW, &bytes, Manner { cut_every: Some(1 << 20), ..Manner::default() });
    zoom.record("rec-2", "gallery_view", b"not taken", Manner::default());
    assert_eq!(zoom.deliver(&server, &zoom.event(1), 0).await.0, 200);
    let upload = until("its upload is there", 10, async || uploads(&server).await.pop()).await;
    assert_eq!(upload["protocol"], "zoom");
    let video = upload["video_id"].as_str().unwrap();
    let made = server.video_in(video, &["ready"], 120).await;
    assert_eq!(made["title"], "Snow & ice (2026-11-25)");
    let facts = Tables::open(&server.data()).await.facts(video).await;
    let meeting = &facts["zoom"];
    assert_eq!(
        (&meeting["topic"], &meeting["host_email"]),
        (&json!("Snow & ice"), &json!("ann@example.org"))
    );
    assert_eq!(
        (&meeting["start_time"], &meeting["recording_type"]),
        (&json!("2026-11-25T09:00:00Z"), &json!(VIEW))
    );
    assert_eq!(meeting["meeting_uuid"], MEETING);
    no_byte_is_lost(&server, video, &bytes).await;
    let fetched = zoom.fetched();
    assert!(fetched.len() >= 5 && fetched.iter().all(|(id, _)| id == "rec-1"), "{fetched:?}");
    assert_eq!(fetched.iter().filter(|(_, range)| range.is_none()).count(), 1, "the rest was continued");
    assert_eq!(zoom.complaints(), Vec::<String>::new());
    assert!(!server.logged().contains("event-download-token"));
    all_hold(&server).await;
}

#[tokio::test]
async fn ten_deliveries_are_one_video() {
    let zoom = Zoom::start().await;
    let server = Server::with(&zoom.configuration(false)).await;
    zoom.record("rec-1", VIEW, &film(12, 1), Manner::default());
    let deliveries = (0..10).map(async |number| zoom.deliver(&server, &zoom.event(number), 60).await.0);
    let answers = futures_util::future::join_all(deliveries).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    let upload = only_in(&server, "ready").await;
    assert_eq!(zoom.deliver(&server, &zoom.event(11), 4_800).await.0, 200, "80 minutes late");
    assert_eq!(uploads(&server).await[0]["id"], upload["id"]);
    assert_eq!((uploads(&server).await.len(), zoom.fetched().len()), (1, 1));
    let events = Tables::open(&server.data()).await.zoom_events().await;
    assert_eq!(events, [(MEETING.to_owned(), 11)], "one row, eleven deliveries");
}

#[tokio::test]
async fn what_zoom_has_not_signed_leaves_no_row() {
    let zoom = Zoom::start().await;
    let server = Server::with(&zoom.configuration(false)).await;
    zoom.record("rec-1", VIEW, b"x", Manner::default());
    let body = zoom.event(1).to_string();
    let now = seconds();
    let right = |at: u64| format!("v0={}", hash(&format!("v0:{at}:{body}")));
    let other = format!("{body} ");
    for (what, body, signature, at) in [
        ("no signature", body.clone(), String::new(), now),
        ("a wrong signature", body.clone(), format!("v0={}", "0".repeat(64)), now),
        ("another body", other, right(now), now),
        ("another time", body.clone(), right(now), now + 1),
        ("an old time", body.clone(), right(now - 6_000), now - 6_000),
        ("a time to come", body.clone(), right(now + 600), now + 600),
    ] {
        let (status, problem) = zoom.deliver_signed(&server, body, &signature, &at.to_string()).await;
        assert_eq!((status, &problem["code"]), (401, &json!("unauthorized")), "{what}: {problem}");
    }
    assert_eq!(Tables::open(&server.data()).await.zoom_events().await, []);
    assert_eq!(uploads(&server).await.len(), 0);
    // A clock that differs by five minutes is no attack.
    assert_eq!(
        zoom.deliver_signed(&server, body.clone(), &right(now + 290), &(now + 290).to_string()).await.0,
        200
    );
    let unconfigured = Server::start().await;
    assert_eq!(zoom.deliver(&unconfigured, &zoom.event(1), 0).await.0, 404);
}

#[tokio::test]
async fn the_address_is_validated_and_signs_nothing_else() {
    let zoom = Zoom::start().await;
    let server = Server::with(&zoom.configuration(false)).await;
    let wish =
        |token: &str| json!({ "event": "endpoint.url_validation", "payload": { "plainToken": token } });
    let (status, answer) = zoom.deliver(&server, &wish("qgg8vlvZRS6UYooatFL8Aw"), 0).await;
    let wanted =
        json!({ "plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": hash("qgg8vlvZRS6UYooatFL8Aw") });
    assert_eq!((status, answer), (200, wanted));
    let forged = format!("v0:{}:{}", seconds(), zoom.event(1));
    assert_eq!(zoom.deliver(&server, &wish(&forged), 0).await.0, 400, "an event would be signed for anybody");
    let other = json!({ "event": "meeting.started", "payload": {} });
    assert_eq!(zoom.deliver(&server, &other, 0).await.0, 200, "what was ticked too much does no harm");
}

#[tokio::test]
async fn a_right_that_ended_is_asked_for_again() {
    let zoom = Zoom::start().await;
    zoom.end_token();
    let bytes = film(13, 1);
    zoom.record("rec-1", VIEW, &bytes, Manner::default());
    let server = Server::with(&zoom.configuration(true)).await;
    assert_eq!(zoom.deliver(&server, &zoom.event(1), 0).await.0, 200);
    let upload = only_in(&server, "ready").await;
    no_byte_is_lost(&server, upload["video_id"].as_str().unwrap(), &bytes).await;
    assert_eq!(zoom.complaints(), Vec::<String>::new());
    let without = Server::with(&zoom.configuration(false)).await;
    assert_eq!(zoom.deliver(&without, &zoom.event(1), 0).await.0, 200);
    let failed = only_in(&without, "failed").await;
    assert_eq!(failed["reason"]["code"], "zoom_token_expired", "{failed}");
}

#[tokio::test]
async fn a_file_of_another_length_is_not_taken() {
    let zoom = Zoom::start().await;
    let server = Server::with(&zoom.configuration(false)).await;
    zoom.record("rec-1", VIEW, &film(14, 1), Manner::default());
    zoom.lie_about("rec-1", 12_345);
    assert_eq!(zoom.deliver(&server, &zoom.event(1), 0).await.0, 200);
    let last = until("the attempt has failed", 60, async || {
        let (_, jobs) = server.get("/v1/jobs").await;
        let job = jobs["items"].as_array()?.first()?.clone();
        job["last_error"]["code"].as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(last, "pull_wrong_size");
}

#[tokio::test]
async fn a_kill_after_the_answer_loses_no_recording() {
    let zoom = Zoom::start().await;
    let mut server = Server::with(&zoom.configuration(false)).await;
    let bytes = film(15, 2);
    zoom.record("rec-1", VIEW, &bytes, Manner { rest_ms: Some(500), ..Manner::default() });
    assert_eq!(zoom.deliver(&server, &zoom.event(1), 0).await.0, 200);
    server.kill();
    zoom.record("rec-1", VIEW, &bytes, Manner::default());
    let server = server.again().await;
    let upload = only_in(&server, "ready").await;
    no_byte_is_lost(&server, upload["video_id"].as_str().unwrap(), &bytes).await;
    all_hold(&server).await;
}
