//! Runners that lie, and runners that do not fit: nothing of what they say counts until it is proven.

use matinee_core::access::path::Key;
use matinee_core::access::runner::{Pass, Way, sign};
use reqwest::Method;
use serde_json::{Value, json};

use super::support::{Liar, Runner, invited, made, report};
use super::{DONE_S, alone, film};
use crate::kill::output::output;
use crate::support::invariants::all_hold;
use crate::support::noise;
use crate::support::sender::upload;
use crate::support::server::Server;

/// Work is left to runners, of which none has to prove that its encoders give equal bytes.
const ANYBODY: &str = "[workers]\nhere = false\nidentical = false\n";

/// The status of a body that goes to an address.
async fn put_at(liar: &Liar, url: &Value, range: &str, bytes: &[u8]) -> u16 {
    let request = liar.request(Method::PUT, url).header("Content-Range", range).body(bytes.to_vec());
    request.send().await.unwrap().status().as_u16()
}

/// An address as the server makes them, for another moment.
fn address(server: &Server, liar: &Liar, key: &Value, expires_s: u32) -> Value {
    let secret = std::fs::read(server.data().join("secrets/path-token.key")).unwrap();
    let signed = Key { number: 1, secret: secret.try_into().unwrap() };
    let (runner, object) = (liar.id.parse().unwrap(), key.as_str().unwrap().parse().unwrap());
    json!(format!("/r/{}", sign(&signed, &Pass { runner, object, way: Way::Read, expires_s })))
}

#[tokio::test]
async fn an_address_is_for_one_runner_one_object_one_purpose_and_some_minutes() {
    let server = Server::with(ANYBODY).await;
    let sent = upload(&server, &film(), "addresses.mp4").await;
    let (one, other) = (Liar::register(&server).await, Liar::register(&server).await);
    let job = one.claim().await;
    let (input, output) = (&job["input"]["url"], &job["outputs"][0]["url"]);
    let get = async |who: &Liar, url: &Value| {
        let answer = who.request(Method::GET, url).send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap())
    };
    let (status, bytes) = get(&one, input).await;
    assert!(status == 200 && bytes == film(), "the source as it is");
    let part = one.request(Method::GET, input).header("Range", "bytes=7-9").send().await.unwrap();
    assert_eq!((part.status().as_u16(), part.bytes().await.unwrap().as_ref()), (206, &film()[7..10]));
    assert_eq!(get(&other, input).await.0, 404, "another runner's address");
    assert_eq!(server.request(Method::GET, input.as_str().unwrap()).send().await.unwrap().status(), 401);
    assert_eq!(get(&one, output).await.0, 405, "what is written is not read");
    assert_eq!(one.put(input, b"no").await, 405, "what is read is not written");
    assert_eq!(other.put(output, b"no").await, 404);
    assert_eq!(get(&one, &address(&server, &one, &job["input"]["key"], 1)).await.0, 403, "it is over");
    let now_s = u32::try_from(matinee_io::clock::now().0 / 1_000).unwrap();
    assert_eq!(get(&one, &address(&server, &one, &job["input"]["key"], now_s + 60)).await.0, 200);
    let changed = input.as_str().unwrap().replace("/r/A", "/r/B");
    assert_eq!(get(&one, &json!(changed)).await.0, 404, "a changed address");

    // Bytes come in pieces, again, and without holes.
    let bytes = noise(1, 1_000);
    assert_eq!(put_at(&one, output, "bytes 5-9/10", b"hello").await, 409, "a hole");
    assert_eq!(put_at(&one, output, "bytes 0-599/1000", &bytes[..600]).await, 204);
    let had = one.request(Method::HEAD, output).send().await.unwrap();
    assert_eq!(had.headers()["content-length"], "600");
    assert_eq!(put_at(&one, output, "bytes 500-999/1000", &bytes[500..]).await, 204);
    assert_eq!(put_at(&one, output, "bytes 0-9", b"helloworld").await, 400);
    assert_eq!(put_at(&one, output, &format!("bytes 0-9/{}", u64::MAX), b"helloworld").await, 413);

    // Fresh addresses name their output.
    let lease = &job["lease"];
    let renewal = json!({ "attempt": lease["attempt"], "token": lease["token"] });
    let path = format!("/v1/lease/{}/renew", lease["id"].as_str().unwrap());
    let (status, renewed) = one.post(&path, &renewal).await;
    let fresh =
        renewed["outputs"].as_array().unwrap().iter().find(|fresh| fresh["key"] == job["outputs"][0]["key"]);
    let had = one.request(Method::HEAD, &fresh.unwrap()["url"]).send().await.unwrap();
    assert_eq!((status, had.headers()["content-length"].as_bytes()), (200, b"1000".as_slice()));

    // With the lease the right to write ends.
    let (status, _) = one.say(&job, "fail", &json!({ "class": "returned" })).await;
    assert_eq!(status, 204);
    assert_eq!(put_at(&one, output, "bytes 0-9/10", b"helloworld").await, 409);
    assert_eq!(
        server.request(Method::DELETE, &format!("/v1/videos/{}", sent.video)).send().await.unwrap().status(),
        204
    );
    crate::support::invariants::nothing_remains(&server).await;
}

#[tokio::test]
async fn what_a_runner_says_counts_only_when_it_is_proven() {
    let expected = alone().await;
    let server = Server::with(ANYBODY).await;
    let sent = upload(&server, &film(), "lies.mp4").await;
    let (liar, other) = (Liar::register(&server).await, Liar::register(&server).await);
    let job = liar.claim().await;
    let outputs = job["outputs"].as_array().unwrap();
    let garbage: Vec<Vec<u8>> = (0..outputs.len()).map(|seed| noise(seed as u64, 50_000)).collect();
    for (output, bytes) in outputs.iter().zip(&garbage) {
        assert_eq!(liar.put(&output["url"], bytes).await, 204);
    }
    let truth = made(&job, &garbage);
    let with = |field: &str, value: Value| {
        let mut lie = truth.clone();
        lie["outputs"][0][field] = value;
        lie
    };
    let lost = || (409, "lease_lost".to_owned());
    let mismatch = || (422, "output_mismatch".to_owned());

    // Who is not the holder changes nothing, and the holder only with the lease that it has.
    let renewal = json!({ "done": 0.5 });
    assert_eq!(other.say(&job, "renew", &renewal).await, lost(), "another runner");
    assert_eq!(other.say(&job, "complete", &truth).await, lost());
    for (field, value) in [("token", json!("0".repeat(32))), ("token", json!("x")), ("attempt", json!(9))] {
        let mut stale = job.clone();
        stale["lease"][field] = value;
        assert_eq!(liar.say(&stale, "renew", &renewal).await, lost(), "{field}");
        assert_eq!(liar.say(&stale, "complete", &truth).await, lost(), "{field}");
        assert_eq!(liar.say(&stale, "fail", &json!({ "class": "crash" })).await, lost(), "{field}");
    }

    // What does not lie here as it is said is sent again; the lease goes on.
    let lies = [
        with("size_bytes", json!(49_999)),
        with("blake3", json!("0".repeat(64))),
        with("key", json!("obj_01jd3x00000000000000000000")),
        with("key", job["input"]["key"].clone()),
        json!({ "outputs": [] }),
    ];
    for lie in lies {
        assert_eq!(liar.say(&job, "complete", &lie).await, mismatch(), "{lie}");
        assert_eq!(liar.say(&job, "renew", &renewal).await.0, 200);
    }

    // Bytes that are what they are said to be, and not what was asked for, end the attempt.
    assert_eq!(liar.say(&job, "complete", &truth).await, (422, "output_unproven".to_owned()));
    assert_eq!(liar.say(&job, "renew", &renewal).await, lost());
    // So does a film that is none of the wanted ones.
    let job = liar.claim().await;
    let films: Vec<Vec<u8>> = job["outputs"].as_array().unwrap().iter().map(|_| film()).collect();
    for (output, bytes) in job["outputs"].as_array().unwrap().iter().zip(&films) {
        assert_eq!(liar.put(&output["url"], bytes).await, 204);
    }
    let said = liar.say(&job, "complete", &made(&job, &films)).await;
    assert_eq!(said, (422, "output_unproven".to_owned()));

    // An honest one finishes what was lied about.
    let _honest = Runner::start(&server);
    server.video_in(&sent.video, &["ready"], DONE_S).await;
    output(&server, &sent.video).await.is(&expected);
    all_hold(&server).await;
}

#[tokio::test]
async fn a_registration_token_is_good_for_one_machine_that_fits() {
    let server = Server::start().await;
    let token = invited(&server);
    let register = async |nonce: &str, report: Value| {
        let body = json!({ "registration_token": token, "nonce": nonce, "report": report });
        let answer = server.request(Method::POST, "/v1/runner/register").json(&body).send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let (a, b) = ("a".repeat(32), "b".repeat(32));
    let with = |field: &str, value: Value| {
        let mut report = report();
        report[field] = value;
        report
    };
    for (report, expected) in [
        (with("protocol", json!(2)), "version 2"),
        (with("encoders", json!(["aac"])), "no encoder libx264"),
        (with("fingerprint", json!("0".repeat(64))), "gives other bytes"),
    ] {
        let (status, problem) = register(&a, report).await;
        assert_eq!((status, &problem["code"]), (409, &json!("runner_unfit")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(expected), "{problem}");
        assert!(!problem["fix"].as_str().unwrap().is_empty());
    }
    // The refused ones have not used it up. A machine with our own ffmpeg fits.
    let mut fitting = Runner::start_at(&server.url(""), &token, &[], &[]);
    let listed = async || {
        let line = server.tell(&["runner", "ls", "--json"]);
        serde_json::from_str::<Value>(&line).unwrap()
    };
    crate::support::until("it is registered", 60, async || {
        (listed().await["state"] == "active").then_some(())
    })
    .await;
    // Its folder is enough for the next start, and the same command line does no harm.
    fitting.again();
    crate::support::until("it is heard of", 60, async || {
        (fitting.logged().contains("works for a server") && listed().await["online"] == true).then_some(())
    })
    .await;

    let free = Server::with("[workers]\nidentical = false\n").await;
    let token = invited(&free);
    let register = async |nonce: &str| {
        let body = json!({ "registration_token": token, "nonce": nonce, "report": report() });
        let answer = free.request(Method::POST, "/v1/runner/register").json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap()["token"].clone())
    };
    let first = register(&a).await;
    assert_eq!(first.0, 200);
    assert_eq!(register(&a).await, first, "an answer that was lost can be asked for again");
    assert_eq!(register(&b).await.0, 401, "and nobody else can use it");
    for wrong in ["", "x"] {
        assert_eq!(register(wrong).await.0, 401);
    }
    let stranger =
        Runner::start_at(&free.url(""), "mat_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &[], &[]);
    let mut stranger = stranger;
    assert_eq!(stranger.ended(60).await, Some(1));
    assert!(stranger.logged().contains("matinee runner token"), "{}", stranger.logged());
}
