//! Steps of a pipeline: a real receiver is called, signed, until it says yes or no, and nowhere else.

use axum::body::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::announced;
use crate::access::people::House;
use crate::support::invariants::all_hold;
use crate::support::receiver::{HANGS, Receiver};
use crate::support::server::{Place, Server};
use crate::support::{clips, until};

/// Seconds in which a small clip is encoded and a call is tried some times on a loaded machine.
const DONE_S: u64 = 180;

fn config(port: u16, steps: &[(&str, &str, &str)]) -> String {
    let steps = steps.iter().map(|(name, after, url)| {
        format!("[[pipeline.step]]\nname = \"{name}\"\nafter = \"{after}\"\ncall = \"{url}\"\n")
    });
    let head = format!(
        "[ingest]\nallow_hosts = [\"127.0.0.1:{port}\"]\n\
         [workers]\nidentical = false\n[[pipeline]]\nname = \"told\"\nsizes = [180]\n"
    );
    head + &steps.collect::<String>()
}

/// The job of the step with this number, as the job page shows it, once it is in this state.
async fn job(server: &Server, video: &str, number: u32, state: &str) -> Value {
    let title = format!("Step {number} of the pipeline");
    until(&format!("step {number} is {state}"), DONE_S, async || {
        let (_, list) = server.get(&format!("/v1/jobs?video={video}&limit=100")).await;
        let items = list["items"].as_array().unwrap();
        items.iter().find(|job| job["human"] == title.as_str() && job["state"] == state).cloned()
    })
    .await
}

#[tokio::test]
async fn a_receiver_is_told_what_was_made_and_can_prove_who_says_it() {
    let (receiver, port) = Receiver::start(&[("/early", &[200]), ("/ready", &[503, 429, 204])]).await;
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let steps = [("look", "probe", &*url("/early")), ("tell", "ready", &*url("/ready"))];
    let server = Server::with(&config(port, &steps)).await;
    let id = announced(&server, Some("told"), &clips::mp4(2)).await;
    job(&server, &id, 1, "done").await;
    job(&server, &id, 2, "done").await;
    all_hold(&server).await;

    let house = House::of(server).await;
    let show = async |token: &str| house.ask(token, Method::GET, "/v1/pipelines/told", None).await.1;
    let secret = show(&house.admin).await["secret"].as_str().unwrap().to_owned();
    let sender = house.token(&["upload:write"]).await;
    assert_eq!(show(&sender).await["secret"], Value::Null, "who only sends does not sign for us");

    let [early] = &receiver.of("/early")[..] else { panic!("called once") };
    assert_eq!(
        (&early.json()["type"], &early.json()["data"]["video"]["id"]),
        (&json!("video.probe"), &json!(id))
    );
    let calls = receiver.of("/ready");
    assert_eq!(calls.len(), 3, "until it was taken, and not once more");
    for call in calls.iter().chain([early]) {
        assert!(call.is_signed_by(&secret));
        assert_eq!(call.header("content-type"), "application/json");
    }
    let mut changed = calls[0].clone();
    changed.body = Bytes::from_static(b"{}");
    assert!(!changed.is_signed_by(&secret), "the body is signed");
    assert!(
        calls.iter().all(|call| call.header("webhook-id") == calls[0].header("webhook-id")),
        "the same message"
    );
    assert_ne!(early.header("webhook-id"), calls[0].header("webhook-id"));

    let told = calls[2].json();
    let data = &told["data"];
    assert_eq!((&told["type"], &data["step"]), (&json!("video.ready"), &json!("tell")));
    assert_eq!(data["pipeline"], json!({ "name": "told", "version": null }));
    assert_eq!((&data["video"]["state"], &data["video"]["generation"]), (&json!("ready"), &json!(2)));
    let assets: Vec<&Value> = data["assets"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(assets, ["h264-180", "source"]);
    let address = data["assets"][0]["url"].as_str().unwrap();
    let file = house.server.request(Method::GET, address).send().await.unwrap();
    assert_eq!(file.status(), 200);
    assert_eq!(json!(file.bytes().await.unwrap().len()), data["assets"][0]["bytes"]);
    assert!(data["playback"]["hls"].as_str().unwrap().starts_with("/p/"), "{told}");
}

#[tokio::test]
async fn a_step_that_is_refused_is_given_up_and_harms_nothing() {
    let (receiver, port) =
        Receiver::start(&[("/gone", &[410]), ("/moved", &[302]), ("/elsewhere", &[200])]).await;
    let (stranger, closed) = Receiver::start(&[("/", &[200])]).await;
    let url = |port: u16, path: &str| format!("http://127.0.0.1:{port}{path}");
    let (gone, moved, private) = (url(port, "/gone"), url(port, "/moved"), url(closed, "/"));
    let steps = [("gone", "ready", &*gone), ("moved", "ready", &*moved), ("private", "probe", &*private)];
    let server = Server::at(Place::new(&config(port, &steps))).await;
    let id = announced(&server, Some("told"), &clips::mp4(2)).await;
    for (number, code) in [(1, "step_refused"), (2, "step_redirected"), (3, "step_address")] {
        let dead = job(&server, &id, number, "dead").await;
        assert_eq!(dead["last_error"]["code"], code, "{dead}");
        assert!(!dead["last_error"]["fix"].as_str().unwrap().is_empty());
    }
    assert!(receiver.of("/elsewhere").is_empty() && stranger.of("/").is_empty(), "nobody else was called");
    let (_, video) = server.get(&format!("/v1/videos/{id}")).await;
    assert_eq!((&video["state"], &video["reason"]), (&json!("ready"), &Value::Null), "{video}");

    // The receiver is mended, and the operator runs the step again.
    receiver.answers("/gone", 200);
    let dead = job(&server, &id, 1, "dead").await;
    let again = format!("/v1/jobs/{}/retry", dead["id"].as_str().unwrap());
    assert_eq!(server.request(Method::POST, &again).send().await.unwrap().status(), 200);
    job(&server, &id, 1, "done").await;
    let calls = receiver.of("/gone");
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].header("webhook-id"), calls[1].header("webhook-id"));
    let (_, after) = server.get(&format!("/v1/videos/{id}")).await;
    assert_eq!(after["state"], "ready", "{after}");
    all_hold(&server).await;
}

#[tokio::test]
async fn a_server_that_is_killed_while_it_calls_calls_again_with_the_same_message() {
    let (receiver, port) = Receiver::start(&[("/ready", &[HANGS, 200])]).await;
    let url = format!("http://127.0.0.1:{port}/ready");
    let mut server = Server::with(&config(port, &[("tell", "ready", &url)])).await;
    let id = announced(&server, Some("told"), &clips::mp4(2)).await;
    until("it is called", DONE_S, async || receiver.of("/ready").pop()).await;
    server.kill();
    let server = server.again().await;
    let done = job(&server, &id, 1, "done").await;
    let calls = receiver.of("/ready");
    assert_eq!(calls.len(), 2, "{done}");
    assert_eq!(calls[0].header("webhook-id"), calls[1].header("webhook-id"));
    assert_eq!(calls[0].json()["data"]["video"], calls[1].json()["data"]["video"]);
    all_hold(&server).await;
}

#[tokio::test]
async fn a_step_is_written_like_the_rest_of_a_pipeline() {
    let house = House::open().await;
    let put = async |step: Value| {
        house.ask(&house.admin, Method::PUT, "/v1/pipelines/told", Some(json!({ "step": step }))).await
    };
    for (step, expected) in [
        (json!([{ "name": "a", "call": "https://hooks.example/a" }]), 201),
        (json!([{ "name": "a", "call": "gopher://hooks.example" }]), 400),
        (json!([{ "name": "a" }]), 400),
        // Programs of the server are not the API's to name.
        (json!([{ "name": "a", "run": ["/bin/sh"] }]), 400),
    ] {
        let (code, told) = put(step.clone()).await;
        assert_eq!(code, expected, "{step}: {told}");
    }
    let (_, shown) = house.ask(&house.admin, Method::GET, "/v1/pipelines/told", None).await;
    assert_eq!(shown["step"], json!([{ "name": "a", "after": "ready", "call": "https://hooks.example/a" }]));
    assert!(shown["secret"].as_str().unwrap().starts_with("whsec_"), "{shown}");
}
