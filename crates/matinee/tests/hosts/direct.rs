//! Uploads that go from their sender straight to a host: no byte comes here, and the host's word decides.

use http::Method;
use matinee_io::host::fake::Fault;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::support::{Fakes, SOON_S, announce_at, empty, nothing_is_left, send_straight, shown, upload_in};
use crate::access::people::House;
use crate::support::invariants::{events_explain, nothing_runs};
use crate::support::server::{Place, Server};
use crate::support::tables::Tables;
use crate::support::{clips, until};

/// A server, its hosts and an upload that was announced for one of them.
async fn announced(fakes: &Fakes, host: &str, size: usize) -> (Server, Value) {
    let server = Server::with(&fakes.patient()).await;
    let upload = announce_at(&server, host, size).await;
    (server, upload)
}

/// What a video is, once it is so.
async fn video_in(server: &Server, upload: &Value, state: &str) -> Value {
    let path = format!("/v1/videos/{}", upload["video_id"].as_str().unwrap());
    until(&format!("{path} is {state}"), SOON_S, async || {
        let (_, video) = server.get(&path).await;
        Some(video).filter(|video| video["state"] == state)
    })
    .await
}

#[tokio::test]
async fn bytes_go_straight_to_the_host_and_its_word_makes_them_a_video() {
    let fakes = Fakes::start().await;
    let clip = clips::mp4(2);
    let server = Server::with(&fakes.patient()).await;
    for host in ["cf", "bn"] {
        let upload = announce_at(&server, host, clip.len()).await;
        let address = upload["upload_url"].as_str().unwrap();
        assert!(address.starts_with(&fakes.frame(host).url()), "{upload}");
        assert_eq!((&upload["state"], &upload["protocol"]), (&json!("waiting"), &json!("direct")));
        assert_eq!(upload["direct"]["host"], host);
        let (_, early) = server.get(&format!("/v1/videos/{}", upload["video_id"].as_str().unwrap())).await;
        assert_eq!(early["publications"][0]["state"], "uploading", "its link works at once: {early}");
        send_straight(&upload, &clip).await;
        upload_in(&server, &upload, "processing").await;
        let working = video_in(&server, &upload, "processing").await;
        assert_eq!((&working["source"], &working["playback"]), (&Value::Null, &Value::Null), "{working}");
        assert_eq!(fakes.received(host, 0), Some(Sha256::digest(&clip).into()));
        fakes.encode();
        let video = video_in(&server, &upload, "ready").await;
        assert!(video["duration"].as_f64().is_some_and(|s| s >= 1.0), "{video}");
        assert_eq!((&video["playable"], &video["publications"][0]["state"]), (&json!(true), &json!("ready")));
        assert_eq!(video["progress"]["overall"], 1.0, "{video}");
        let id = video["id"].as_str().unwrap();
        let (code, playback) = server.get(&format!("/v1/videos/{id}/playback")).await;
        let there = fakes.there(host)[0].clone();
        assert!(code == 200 && playback["hls"].as_str().unwrap().contains(&there), "{playback}");
        assert_eq!(playback["hosts"][0]["host"], host);
        upload_in(&server, &upload, "ready").await;
        assert!(Tables::stored(&server.data()).is_empty(), "no byte of it came here");
        let again = server.request(Method::POST, &format!("/v1/videos/{id}/publications"));
        let elsewhere = if host == "cf" { "bn" } else { "cf" };
        let refused = again.json(&json!({ "host": elsewhere })).send().await.unwrap();
        assert_eq!(refused.status(), 409, "there is no file to publish");
        let only = server.request(Method::DELETE, &format!("/v1/videos/{id}/publications/{host}"));
        assert_eq!(only.send().await.unwrap().status(), 409, "it is the only place");
        let remade = server.request(Method::POST, &format!("/v1/videos/{id}/encode")).json(&json!({}));
        assert_eq!(remade.send().await.unwrap().status(), 409, "there is nothing to encode");
        events_explain(&server).await;
        nothing_runs(&server).await;
        nothing_is_left(&server, &fakes, id).await;
    }
    fakes.understood();
}

#[tokio::test]
async fn a_host_that_is_away_for_hours_is_waited_for_and_fails_nothing() {
    let fakes = Fakes::start().await;
    let clip = clips::mp4(2);
    fakes.trouble("cf", "*", Fault::Status(503), u32::MAX);
    let (server, early) = announced(&fakes, "cf", clip.len()).await;
    assert_eq!((&early["upload_url"], &early["direct"]["tus"]), (&Value::Null, &Value::Null), "{early}");
    let stalled = upload_in(&server, &early, "stalled").await;
    assert!(stalled["direct"]["stalled_since"].is_string(), "{stalled}");
    fakes.cloudflare.frame().clock().pass(6 * 3_600_000);
    fakes.cloudflare.frame().calm();
    let back = until("it is made when the host is back", SOON_S, async || {
        let upload = shown(&server, &early).await;
        Some(upload).filter(|upload| upload["upload_url"].is_string())
    })
    .await;
    send_straight(&back, &clip).await;
    // And away again, when all bytes are there: the host has them, and so nothing expires.
    fakes.trouble("cf", "*", Fault::Status(503), u32::MAX);
    upload_in(&server, &early, "stalled").await;
    fakes.cloudflare.frame().clock().pass(6 * 3_600_000);
    fakes.cloudflare.frame().calm();
    let video = video_in(&server, &early, "ready").await;
    assert_eq!(fakes.there("cf").len(), 1, "it was made once");
    nothing_is_left(&server, &fakes, video["id"].as_str().unwrap()).await;
}

#[tokio::test]
async fn what_is_given_up_on_its_way_goes_at_the_host_and_frees_what_it_reserved() {
    for host in ["cf", "bn"] {
        let fakes = Fakes::start().await;
        let (server, upload) = announced(&fakes, host, 1_000).await;
        let path = format!("/v1/uploads/{}", upload["id"].as_str().unwrap());
        assert_eq!(server.request(Method::DELETE, &path).send().await.unwrap().status(), 204);
        let over = shown(&server, &upload).await;
        assert_eq!((&over["state"], &over["upload_url"]), (&json!("cancelled"), &Value::Null));
        empty(&server, &fakes).await;
        assert_eq!(fakes.cloudflare.reserved_s(), 0, "no minute stays reserved");
        assert_eq!(
            server.request(Method::DELETE, &path).send().await.unwrap().status(),
            204,
            "twice is once"
        );
        events_explain(&server).await;

        let clip = clips::mp4(2);
        let upload = announce_at(&server, host, clip.len()).await;
        send_straight(&upload, &clip).await;
        upload_in(&server, &upload, "processing").await;
        let path = format!("/v1/uploads/{}", upload["id"].as_str().unwrap());
        let late = server.request(Method::DELETE, &path).send().await.unwrap();
        assert_eq!(late.status(), 409, "it has become a video");
        nothing_is_left(&server, &fakes, upload["video_id"].as_str().unwrap()).await;
    }
}

#[tokio::test]
async fn an_upload_that_does_not_come_in_time_expires_when_the_host_has_said_so() {
    let fakes = Fakes::start().await;
    let clip = clips::mp4(2);
    let (mut server, idle) = announced(&fakes, "cf", clip.len()).await;
    let whole = announce_at(&server, "cf", clip.len()).await;
    fakes.trouble("cf", "*", Fault::Status(503), u32::MAX);
    server.kill();
    // The host is away when the time is over; the one was sent to its end meanwhile, the other never.
    Tables::open(&server.data()).await.expire_uploads().await;
    fakes.cloudflare.frame().calm();
    send_straight(&whole, &clip).await;
    fakes.trouble("cf", "*", Fault::Status(503), u32::MAX);
    let server = server.again().await;
    upload_in(&server, &idle, "stalled").await;
    fakes.cloudflare.frame().calm();
    let expired = upload_in(&server, &idle, "expired").await;
    assert_eq!(expired["reason"]["code"], "expired");
    upload_in(&server, &whole, "processing").await;
    until("one is left", SOON_S, async || (fakes.there("cf").len() == 1).then_some(())).await;
    nothing_is_left(&server, &fakes, whole["video_id"].as_str().unwrap()).await;
}

#[tokio::test]
async fn what_the_host_cannot_use_fails_with_its_own_word_and_costs_nothing() {
    let fakes = Fakes::start().await;
    let server = Server::with(&fakes.patient()).await;
    for (host, code) in [("cf", "host_err_non_video"), ("bn", "host_error")] {
        let upload = announce_at(&server, host, 5).await;
        send_straight(&upload, b"hello").await;
        let failed = upload_in(&server, &upload, "failed").await;
        assert_eq!(failed["reason"]["code"], code, "{failed}");
    }
    empty(&server, &fakes).await;
    events_explain(&server).await;
}

#[tokio::test]
async fn a_server_that_is_killed_while_the_host_makes_the_video_has_one_afterwards() {
    for host in ["cf", "bn"] {
        let fakes = Fakes::start().await;
        let clip = clips::mp4(2);
        let mut server = Server::with(&fakes.config()).await;
        fakes.trouble(host, "create", Fault::Hangs, 1);
        let new =
            json!({ "size_bytes": clip.len(), "file_name": "film.mp4", "target": host, "external_id": "f" });
        let asking = tokio::spawn(server.request(Method::POST, "/v1/uploads").json(&new).send());
        until("the host has made it", SOON_S, async || (fakes.calls(host, "create") == 1).then_some(()))
            .await;
        server.kill();
        assert!(asking.await.unwrap().is_err());
        let server = server.again().await;
        let upload = until("its address is known", SOON_S, async || {
            let again = server.request(Method::POST, "/v1/uploads").json(&new).send().await.unwrap();
            assert_eq!(again.status(), 200, "it was announced before");
            let upload: Value = again.json().await.unwrap();
            Some(upload).filter(|upload| upload["upload_url"].is_string())
        })
        .await;
        send_straight(&upload, &clip).await;
        until("one is left", SOON_S, async || (fakes.there(host).len() == 1).then_some(())).await;
        fakes.encode();
        let video = video_in(&server, &upload, "ready").await;
        nothing_is_left(&server, &fakes, video["id"].as_str().unwrap()).await;
        fakes.understood();
    }
}

#[tokio::test]
async fn an_announcement_for_a_host_is_made_once_and_is_nobody_elses() {
    let fakes = Fakes::start().await;
    let house = House::at(Place::new(&fakes.patient())).await;
    let token = house.token(&["upload:write"]).await;
    let new = |host: &str| json!({ "size_bytes": 9, "title": "Film", "target": host, "external_id": "x" });
    let announce = async |body: Value| house.ask(&token, Method::POST, "/v1/uploads", Some(body)).await;
    let (code, first) = announce(new("cf")).await;
    assert_eq!(code, 201, "{first}");
    let (code, again) = announce(new("cf")).await;
    assert_eq!((code, &again["id"]), (200, &first["id"]));
    assert_eq!(announce(new("bn")).await.0, 409, "it was for another host");
    assert_eq!((fakes.calls("cf", "create"), fakes.calls("bn", "create")), (1, 0));
    for (odd, says) in [
        (json!({ "size_bytes": 9, "title": "a", "target": "vimeo" }), "this server has: cf, bn"),
        (json!({ "title": "a", "target": "cf" }), "`size_bytes`"),
        (json!({ "size_bytes": 9, "title": "a", "target": "cf", "pipeline": "none" }), "encodes"),
    ] {
        let (code, told) = announce(odd).await;
        assert!(code == 400 && told["detail"].as_str().unwrap().contains(says), "{told}");
    }
    let reader = house.token(&["video:read"]).await;
    let path = format!("/v1/uploads/{}", first["id"].as_str().unwrap());
    let (_, seen) = house.ask(&reader, Method::GET, &path, None).await;
    assert_eq!((&seen["upload_url"], &seen["direct"]["tus"]), (&Value::Null, &Value::Null), "{seen}");
    assert_eq!(seen["direct"]["host"], "cf");
    let (_, other) = house.app("other", &["upload:write", "video:read"]).await;
    assert_eq!(house.ask(&other, Method::GET, &path, None).await.0, 404);
    let key = first["upload_url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert!(!house.server.logged().contains(&key), "an address is in the log");
}
