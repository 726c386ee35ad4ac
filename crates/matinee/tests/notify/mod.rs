//! What happens is told: to who wants it, signed, again until it is taken, and whatever is killed meanwhile.

mod kill;
mod poll;
mod video;

use http::Method;
use serde_json::{Value, json};

use crate::access::people::House;
use crate::support::receiver::{HANGS, Message, Receiver};
use crate::support::server::{Place, Server};
use crate::support::until;

/// Seconds in which a message arrives on a loaded machine.
const TOLD_S: u64 = 60;

/// A claimed server that may call this receiver.
async fn house(port: u16) -> House {
    House::of(Server::at(place(port)).await).await
}

fn place(port: u16) -> Place {
    Place::new(&format!("[ingest]\nallow_hosts = [\"127.0.0.1:{port}\"]\n[workers]\nidentical = false\n"))
}

/// Makes an endpoint; its id and its secret.
async fn hook(house: &House, port: u16, path: &str, topics: &[&str]) -> (String, String) {
    let body = json!({ "url": format!("http://127.0.0.1:{port}{path}"), "topics": topics });
    let (code, made) = house.ask(&house.admin, Method::POST, "/v1/webhooks", Some(body)).await;
    assert_eq!(code, 201, "{made}");
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

/// Something happens: an upload is announced. The id of the event.
async fn happens(house: &House, token: &str) -> String {
    let upload = house.announce(token, json!({ "size_bytes": 5 })).await;
    let path = format!("/v1/events?subject={}", upload["id"].as_str().unwrap());
    let (_, events) = house.ask(token, Method::GET, &path, None).await;
    events["items"][0]["id"].as_str().unwrap().to_owned()
}

/// The messages that came to a path, once there are so many.
async fn heard(receiver: &Receiver, path: &str, many: usize) -> Vec<Message> {
    until(&format!("{many} messages came to {path}"), TOLD_S, async || {
        Some(receiver.of(path)).filter(|all| all.len() >= many)
    })
    .await
}

async fn one(house: &House, id: &str, method: Method, rest: &str, body: Option<Value>) -> (u16, Value) {
    house.ask(&house.admin, method, &format!("/v1/webhooks/{id}{rest}"), body).await
}

/// The deliveries of an endpoint, once one of them is like this.
async fn log(house: &House, id: &str, like: impl Fn(&Value) -> bool) -> Vec<Value> {
    until("a delivery is as it must be", TOLD_S, async || {
        let (_, list) = one(house, id, Method::GET, "/deliveries", None).await;
        let items = list["items"].as_array().unwrap().clone();
        items.iter().any(&like).then_some(items)
    })
    .await
}

#[tokio::test]
async fn an_event_is_told_to_who_wants_it_signed_by_both_secrets_of_a_rotation() {
    let (receiver, port) = Receiver::start(&[("/all", &[204]), ("/ready", &[204])]).await;
    let house = house(port).await;
    happens(&house, &house.admin).await;
    let (id, first) = hook(&house, port, "/all", &["*"]).await;
    hook(&house, port, "/ready", &["video.*"]).await;
    let (_, stranger) = house.app("stranger", &["upload:write", "video:read"]).await;
    happens(&house, &stranger).await;
    let event = happens(&house, &house.admin).await;

    let [told] = &heard(&receiver, "/all", 1).await[..] else { panic!("once") };
    assert_eq!(told.header("webhook-id"), event);
    assert_eq!(told.header("content-type"), "application/json");
    assert!(told.is_signed_by(&first) && told.signatures() == 1);
    let said = told.json();
    assert_eq!(said["type"], "upload.created", "{said}");
    assert!(said["timestamp"].as_str().unwrap().ends_with('Z'), "{said}");
    assert!(said["data"]["subject"].as_str().unwrap().starts_with("upl_"), "{said}");

    let (code, rotated) = one(&house, &id, Method::POST, "/secret", None).await;
    assert_eq!(code, 200, "{rotated}");
    assert!(!rotated["old_secret_until"].is_null(), "{rotated}");
    let second = rotated["secret"].as_str().unwrap();
    let event = happens(&house, &house.admin).await;
    let told = heard(&receiver, "/all", 2).await.remove(1);
    assert_eq!(told.header("webhook-id"), event);
    assert!(told.is_signed_by(&first) && told.is_signed_by(second) && told.signatures() == 2);
    let (_, shown) = one(&house, &id, Method::GET, "", None).await;
    assert!(!shown.to_string().contains("whsec_"), "a secret is shown once: {shown}");
    assert!(receiver.of("/ready").is_empty(), "it wants other events");
    let delivered = log(&house, &id, |one| one["event_id"] == event && one["state"] == "delivered").await;
    assert_eq!(delivered.len(), 2, "nothing of before, and nothing of another app: {delivered:?}");
}

#[tokio::test]
async fn what_is_not_taken_comes_again_with_the_same_id_and_goes_nowhere_else() {
    let (receiver, port) = Receiver::start(&[("/a", &[302, 204])]).await;
    let house = house(port).await;
    let (id, _) = hook(&house, port, "/a", &["*"]).await;
    let event = happens(&house, &house.admin).await;
    // A redirect is a failure; the second call comes after five seconds.
    let calls = heard(&receiver, "/a", 2).await;
    assert!(calls.iter().all(|call| call.header("webhook-id") == event));
    let list = log(&house, &id, |one| one["state"] == "delivered").await;
    let tries = list[0]["tries"].as_array().unwrap();
    let statuses: Vec<_> = tries.iter().map(|one| (&one["status"], &one["answer"])).collect();
    let said = json!("the answer to /a");
    assert_eq!(statuses, [(&json!(302), &said), (&json!(204), &json!(""))]);
    assert!(tries.iter().all(|one| one["took_ms"].is_u64() && one["error"].is_null()), "{tries:?}");

    // Again, because somebody wants it: the one, and all since a moment.
    let (code, told) = one(&house, &id, Method::POST, "/replay", Some(json!({ "event": event }))).await;
    assert_eq!((code, &told["events"]), (200, &json!(1)), "{told}");
    assert_eq!(heard(&receiver, "/a", 3).await[2].header("webhook-id"), event);
    let since = Some(json!({ "since": "2020-01-01T00:00:00Z" }));
    let (_, told) = one(&house, &id, Method::POST, "/replay", since).await;
    assert_eq!(told, json!({ "events": 1, "next_since": null }));
    assert_eq!(heard(&receiver, "/a", 4).await[3].header("webhook-id"), event);
    for wrong in
        [json!({}), json!({ "event": event, "since": "2020-01-01T00:00:00Z" }), json!({ "since": "then" })]
    {
        assert_eq!(one(&house, &id, Method::POST, "/replay", Some(wrong.clone())).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn an_endpoint_that_wants_nothing_more_is_switched_off_and_loses_nothing() {
    let (receiver, port) = Receiver::start(&[("/gone", &[410]), ("/watch", &[200])]).await;
    let house = house(port).await;
    hook(&house, port, "/watch", &["webhook.*"]).await;
    let (id, _) = hook(&house, port, "/gone", &["upload.*"]).await;
    let event = happens(&house, &house.admin).await;
    let off = heard(&receiver, "/watch", 1).await.remove(0).json();
    assert_eq!((&off["type"], &off["data"]["subject"]), (&json!("webhook.disabled"), &json!(id)));
    assert_eq!(off["data"]["payload"]["reason"], "gone", "{off}");
    let (_, shown) = one(&house, &id, Method::GET, "", None).await;
    assert_eq!(
        (&shown["state"], &shown["active"], &shown["waiting"]),
        (&json!("gone"), &json!(false), &json!(1))
    );
    let missed = happens(&house, &house.admin).await;
    let since = Some(json!({ "since": "2020-01-01T00:00:00Z" }));
    assert_eq!(one(&house, &id, Method::POST, "/replay", since.clone()).await.0, 409);

    receiver.answers("/gone", 200);
    let on = Some(json!({ "active": true }));
    assert_eq!(one(&house, &id, Method::PATCH, "", on).await.1["state"], "active");
    let calls = heard(&receiver, "/gone", 2).await;
    assert!(calls.iter().all(|call| call.header("webhook-id") == event), "what waited is sent");
    log(&house, &id, |one| one["state"] == "delivered").await;
    one(&house, &id, Method::POST, "/replay", since).await;
    let calls = heard(&receiver, "/gone", 4).await;
    assert!(calls.iter().any(|call| call.header("webhook-id") == missed), "what it missed can be had");
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_nobody_else() {
    let (receiver, port) = Receiver::start(&[("/hangs", &[HANGS]), ("/quick", &[204])]).await;
    let house = house(port).await;
    let (slow, _) = hook(&house, port, "/hangs", &["*"]).await;
    hook(&house, port, "/quick", &["*"]).await;
    let first = happens(&house, &house.admin).await;
    assert_eq!(heard(&receiver, "/hangs", 1).await[0].header("webhook-id"), first);
    for _ in 0..20 {
        happens(&house, &house.admin).await;
    }
    heard(&receiver, "/quick", 21).await;
    // A call that hangs is no answer: it is ended, and the others wait for better times.
    let tried = log(&house, &slow, |one| one["attempts"] == 1).await;
    let call = tried.iter().find(|one| one["attempts"] == 1).unwrap();
    assert!(call["tries"][0]["error"].as_str().unwrap().contains("no answer came within 15 s"), "{call}");
}

#[tokio::test]
async fn an_endpoint_is_checked_tried_out_and_changed() {
    let (receiver, port) = Receiver::start(&[("/a", &[500, 200]), ("/b", &[200])]).await;
    let house = house(port).await;
    let create = async |body: Value| {
        let (code, told) = house.ask(&house.admin, Method::POST, "/v1/webhooks", Some(body)).await;
        (code, told["code"].as_str().unwrap_or_default().to_owned())
    };
    for (url, code, problem) in [
        ("http://127.0.0.1/", 422, "url_refused"),
        ("http://169.254.169.254/latest", 422, "url_refused"),
        ("http://[::ffff:10.0.0.1]/", 422, "url_refused"),
        ("ftp://example.org/", 422, "url_refused"),
        ("https://ann:b@example.org/", 422, "url_refused"),
        ("https://example.org:22/", 422, "url_refused"),
        ("", 422, "url_refused"),
    ] {
        assert_eq!(create(json!({ "url": url })).await, (code, problem.to_owned()), "{url}");
    }
    let good = format!("http://127.0.0.1:{port}/a");
    for body in [
        json!({ "url": good, "topics": [] }),
        json!({ "url": good, "topics": ["video.redy"] }),
        json!({ "url": good, "description": "x".repeat(201) }),
        json!({ "url": good, "secret": "mine" }),
    ] {
        assert_eq!(create(body.clone()).await, (400, "bad_request".to_owned()), "{body}");
    }
    let (id, secret) = hook(&house, port, "/a", &["*"]).await;
    let (_, failed) = one(&house, &id, Method::POST, "/test", None).await;
    assert_eq!((&failed["delivered"], &failed["status"]), (&json!(false), &json!(500)), "{failed}");
    let (_, taken) = one(&house, &id, Method::POST, "/test", None).await;
    assert_eq!(
        (&taken["delivered"], &taken["answer"]),
        (&json!(true), &json!("the answer to /a")),
        "{taken}"
    );
    let tests = receiver.of("/a");
    assert!(tests.iter().all(|test| test.is_signed_by(&secret) && test.json()["type"] == "webhook.test"));
    let logged = log(&house, &id, |one| one["state"] == "delivered").await;
    assert!(logged.len() == 2 && logged.iter().all(|one| one["topic"] == "webhook.test"), "{logged:?}");

    let change =
        json!({ "url": format!("http://127.0.0.1:{port}/b"), "description": "the other", "active": false });
    let (code, changed) = one(&house, &id, Method::PATCH, "", Some(change)).await;
    assert_eq!(
        (code, &changed["state"], &changed["description"]),
        (200, &json!("paused"), &json!("the other"))
    );
    happens(&house, &house.admin).await;
    let (_, on) = one(&house, &id, Method::PATCH, "", Some(json!({ "active": true }))).await;
    assert_eq!(on["active"], true);
    let event = happens(&house, &house.admin).await;
    let told = heard(&receiver, "/b", 1).await;
    assert_eq!(told[0].header("webhook-id"), event, "not what happened while it was off");
    let bad = json!({ "url": "http://10.0.0.1/" });
    assert_eq!(one(&house, &id, Method::PATCH, "", Some(bad)).await.0, 422);
    assert_eq!(one(&house, &id, Method::DELETE, "", None).await.0, 204);
    assert_eq!(one(&house, &id, Method::GET, "", None).await.0, 404);
}

// A command blocks its thread; the receiver answers on another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_does_what_the_api_does() {
    let (receiver, port) = Receiver::start(&[("/a", &[204])]).await;
    let house = house(port).await;
    let tell = |words: &[&str]| house.server.tell(words);
    let url = format!("http://127.0.0.1:{port}/a");
    let made: Value =
        serde_json::from_str(&tell(&["webhooks", "add", &url, "--topic", "upload.*", "--json"])).unwrap();
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    assert!(tell(&["webhooks", "ls"]).contains("upload.*"));
    assert!(tell(&["webhooks", "test", id]).starts_with("answered 204 in "));
    let event = happens(&house, &house.admin).await;
    heard(&receiver, "/a", 2).await;
    log(&house, id, |one| one["event_id"] == event && one["state"] == "delivered").await;
    assert!(tell(&["webhooks", "log", id]).contains(&event));
    assert!(tell(&["webhooks", "replay", id, "--event", &event]).starts_with("1 events"));
    let again = heard(&receiver, "/a", 3).await.remove(2);
    assert!(again.header("webhook-id") == event && again.is_signed_by(secret));
    let rotated = tell(&["webhooks", "rotate", id]);
    assert!(rotated.contains("whsec_") && !rotated.contains(secret));
    assert!(tell(&["webhooks", "off", id]).ends_with("is paused"));
    assert!(tell(&["webhooks", "on", id]).ends_with("is active"));
    assert_eq!(tell(&["webhooks", "rm", id]), format!("deleted {id}"));
    assert_eq!(tell(&["webhooks", "ls", "--quiet"]), "");
}
