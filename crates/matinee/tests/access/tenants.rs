//! Apps and collections from outside: quotas that hold on every way in, and deletions that leave nothing.

use reqwest::Method;
use serde_json::{Value, json};

use super::people::{House, path_of};
use super::problem;
use crate::support::invariants::{here, nothing_remains};
use crate::support::sender::{patch, tus};
use crate::support::{clips, until};

#[tokio::test]
async fn a_quota_holds_on_every_way_in_and_is_free_again() {
    let house = House::open().await;
    let (app, token) = house.app("school", &["upload:write", "video:write"]).await;
    let path = format!("/v1/apps/{app}");
    let quota = json!({ "quota_bytes": 100, "quota_open_uploads": 2 });
    assert_eq!(house.ask(&house.admin, Method::PATCH, &path, Some(quota)).await.0, 200);
    let first = house.announce(&token, json!({ "size_bytes": 90 })).await;
    let full = (413, "quota_exceeded".to_owned());
    let announced = house.with(&token, Method::POST, "/v1/uploads").json(&json!({ "size_bytes": 11 }));
    assert_eq!(problem(announced.send().await.unwrap()).await, full);
    let unknown = house.with(&token, Method::POST, "/v1/uploads").json(&json!({}));
    assert_eq!(problem(unknown.send().await.unwrap()).await, full, "a step of an unknown length");
    let by_tus = tus(&house.server, Method::POST, "/files/").header("Upload-Length", 11).bearer_auth(&token);
    assert_eq!(problem(by_tus.send().await.unwrap()).await, full);
    house.announce(&token, json!({ "size_bytes": 1 })).await;
    let third = house.with(&token, Method::POST, "/v1/uploads").json(&json!({ "size_bytes": 1 }));
    assert_eq!(problem(third.send().await.unwrap()).await, full, "two are open");
    let (_, shown) = house.ask(&house.admin, Method::GET, &path, None).await;
    assert_eq!((&shown["used"]["reserved_bytes"], &shown["used"]["open_uploads"]), (&json!(91), &json!(2)));
    let end = format!("/v1/uploads/{}", first["id"].as_str().unwrap());
    assert_eq!(house.ask(&token, Method::DELETE, &end, None).await.0, 204);
    house.announce(&token, json!({ "size_bytes": 11 })).await;
    // An administrator of an app does not raise the quota of the app.
    let body = json!({ "name": "own", "scopes": ["admin"] });
    let (_, own) = house.ask(&house.admin, Method::POST, &format!("{path}/tokens"), Some(body)).await;
    let own = own["secret"].as_str().unwrap();
    assert_eq!(house.ask(own, Method::GET, &path, None).await.0, 200);
    assert_eq!(house.ask(own, Method::PATCH, &path, Some(json!({ "quota_bytes": null }))).await.0, 403);
    assert_eq!(house.ask(own, Method::DELETE, &path, None).await.0, 403);
}

/// The address of a video's playlist, when it can be played.
async fn playing(house: &House, token: &str, upload: &Value) -> String {
    let path = format!("/v1/videos/{}/playback", upload["video_id"].as_str().unwrap());
    until("it is playable", 60, async || {
        let (code, body) = house.ask(token, Method::GET, &path, None).await;
        (code == 200).then(|| here(&house.server, &body["hls"]))
    })
    .await
}

async fn status(address: &str) -> u16 {
    reqwest::get(address).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_deleted_app_is_gone_at_once_and_later_without_a_trace() {
    let house = House::open().await;
    let (app, token) = house.app("school", &["upload:write", "video:read"]).await;
    let clip = clips::faststart(3);
    let sent = house.announce(&token, json!({ "size_bytes": clip.len() })).await;
    assert_eq!(patch(&house.server, &path_of(&sent["upload_url"]), 0, clip.clone()).await.status(), 204);
    let address = playing(&house, &token, &sent).await;
    assert_eq!(status(&address).await, 200);
    let open = house.announce(&token, json!({ "size_bytes": 10 })).await;
    assert_eq!(patch(&house.server, &path_of(&open["upload_url"]), 0, vec![1; 5]).await.status(), 204);
    let path = format!("/v1/apps/{app}");
    let (code, told) = house.ask(&house.admin, Method::DELETE, &path, None).await;
    assert_eq!(code, 202, "{told}");
    assert_eq!(status(&address).await, 404, "playback stops");
    assert_eq!(house.ask(&token, Method::GET, "/v1/videos", None).await.0, 401, "tokens end");
    let more = patch(&house.server, &path_of(&open["upload_url"]), 5, vec![1; 5]).await;
    assert!([404, 410].contains(&more.status().as_u16()), "{}", more.status());
    until("the app is gone", 60, async || {
        (house.ask(&house.admin, Method::GET, &path, None).await.0 == 404).then_some(())
    })
    .await;
    let (_, jobs) = house.ask(&house.admin, Method::GET, "/v1/jobs?state=done", None).await;
    let done = jobs["items"].as_array().unwrap().iter().find(|job| job["id"] == told["job_id"]);
    assert_eq!(done.unwrap()["kind"], "erase");
    nothing_remains(&house.server).await;
    let (_, events) = house.ask(&house.admin, Method::GET, "/v1/events", None).await;
    assert!(events.to_string().contains("app.deleted"), "{events}");
    // Its name may be used again, and what everybody works in stays.
    house.app("school", &["video:read"]).await;
    let (_, apps) = house.ask(&house.admin, Method::GET, "/v1/apps", None).await;
    let first = apps["items"][0]["id"].as_str().unwrap();
    let answer = house.with(&house.admin, Method::DELETE, &format!("/v1/apps/{first}")).send().await.unwrap();
    assert_eq!(problem(answer).await, (409, "conflict".to_owned()));
}

#[tokio::test]
async fn a_deleted_collection_takes_its_videos_and_no_others() {
    let house = House::open().await;
    let body = Some(json!({ "name": "films" }));
    let (code, films) = house.ask(&house.admin, Method::POST, "/v1/collections", body).await;
    assert_eq!(code, 201, "{films}");
    let clip = clips::faststart(3);
    let mut addresses = Vec::new();
    for body in
        [json!({ "size_bytes": clip.len(), "collection": "films" }), json!({ "size_bytes": clip.len() })]
    {
        let sent = house.announce(&house.admin, body).await;
        assert_eq!(patch(&house.server, &path_of(&sent["upload_url"]), 0, clip.clone()).await.status(), 204);
        addresses.push(playing(&house, &house.admin, &sent).await);
    }
    let path = format!("/v1/collections/{}", films["id"].as_str().unwrap());
    assert_eq!(house.ask(&house.admin, Method::DELETE, &path, None).await.0, 202);
    assert_eq!((status(&addresses[0]).await, status(&addresses[1]).await), (404, 200));
    let late =
        house.with(&house.admin, Method::POST, "/v1/uploads").json(&json!({ "collection": films["id"] }));
    assert_eq!(problem(late.send().await.unwrap()).await, (404, "not_found".to_owned()));
    until("the collection is gone", 60, async || {
        (house.ask(&house.admin, Method::GET, &path, None).await.0 == 404).then_some(())
    })
    .await;
    assert_eq!(status(&addresses[1]).await, 200);
    let (_, left) = house.ask(&house.admin, Method::GET, "/v1/videos", None).await;
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
}
