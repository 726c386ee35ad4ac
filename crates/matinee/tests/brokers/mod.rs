//! Brokers around a real server: events go out whatever is killed, and commands are carried out once, or answered and put aside.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use crate::access::people::{House, path_of};
use crate::support::clips;
use crate::support::files::{Files, Manner};
use crate::support::invariants::{events_explain, nothing_dangles, nothing_runs};
use crate::support::receiver::Receiver;
use crate::support::redis::Redis;
use crate::support::sender::patch;
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::tls::AUTHORITY;
use crate::support::until;

/// Seconds in which something is told on a loaded machine.
const TOLD_S: u64 = 120;

fn config(port: u16, more: &str) -> String {
    format!(
        "[workers]\nidentical = false\n{more}[[broker]]\nname = \"queue\"\nkind = \"redis\"\n\
         url = \"redis://127.0.0.1:{port}\"\ncommands = \"matinee.commands\"\n"
    )
}

/// The ids of all events of an app, in their order.
async fn happened(house: &House) -> Vec<String> {
    let (mut after, mut ids) = (0, Vec::new());
    loop {
        let path = format!("/v1/events?limit=100&after={after}");
        let (_, page) = house.ask(&house.admin, Method::GET, &path, None).await;
        let items = page["items"].as_array().unwrap();
        ids.extend(items.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
        if items.is_empty() {
            return ids;
        }
        after = page["next"].as_i64().unwrap();
    }
}

/// The ids of the entries of a stream, each once.
fn told(redis: &Redis, stream: &str) -> Vec<String> {
    let lines = redis.ask(&["XRANGE", stream, "-", "+"]);
    let ids = lines.windows(2).filter(|pair| pair[0] == "id").map(|pair| pair[1].clone());
    let mut seen = BTreeSet::new();
    ids.filter(|id| seen.insert(id.clone())).collect()
}

#[tokio::test]
async fn every_event_is_told_once_and_in_order_while_broker_and_server_are_killed() {
    let Some(mut redis) = Redis::start().await else { return };
    let house = House::of(Server::with(&config(redis.port, "")).await).await;
    house.announce(&house.admin, json!({ "size_bytes": 5 })).await;
    let before =
        until("the first event is there", TOLD_S, async || told(&redis, "matinee.events").first().cloned())
            .await;
    for n in 0..150 {
        match n {
            40 => redis.kill(),
            90 => redis.again().await,
            _ => {}
        }
        house.announce(&house.admin, json!({ "size_bytes": 5 })).await;
    }
    let House { mut server, admin } = house;
    server.kill();
    let house = House { server: server.again().await, admin };
    for _ in 0..10 {
        house.announce(&house.admin, json!({ "size_bytes": 5 })).await;
    }
    let all = happened(&house).await;
    let from = all.iter().position(|id| *id == before).unwrap();
    until("all of them are there", TOLD_S, async || {
        (told(&redis, "matinee.events") == all[from..]).then_some(())
    })
    .await;
    assert!(all.len() - from > 160);
    let listed = house.server.tell(&["brokers", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(
        (&listed["name"], &listed["waiting"], &listed["error"]),
        (&json!("queue"), &json!(0), &Value::Null)
    );
    assert!(house.server.tell(&["brokers", "test", "queue"]).contains("has confirmed"));

    // The same over TLS: it is believed when its authority is named.
    let authority = house.server.data().join("authority.pem");
    std::fs::write(&authority, AUTHORITY).unwrap();
    house.server.configure(&format!(
        "[[broker]]\nname = \"safe\"\nkind = \"redis\"\nurl = \"rediss://localhost:{}\"\nauthorities = {authority:?}\n",
        redis.secure_port
    ));
    assert!(house.server.tell(&["brokers", "test", "safe"]).contains("has confirmed"));
}

#[tokio::test]
async fn what_can_never_be_worded_keeps_nothing_back() {
    let Some(mut redis) = Redis::start().await else { return };
    let (receiver, port) = Receiver::start(&[("/a", &[204])]).await;
    let allowed = format!("[ingest]\nallow_hosts = [\"127.0.0.1:{port}\"]\n");
    let mut house = House::of(Server::with(&config(redis.port, &allowed)).await).await;
    house.announce(&house.admin, json!({ "size_bytes": 5 })).await;
    until("the first event is there", TOLD_S, async || told(&redis, "matinee.events").first().cloned()).await;
    redis.kill();
    let upload = house.announce(&house.admin, json!({ "size_bytes": 5, "file_name": "a.mp4" })).await;
    patch(&house.server, &path_of(&upload["upload_url"]), 0, b"hello".to_vec()).await;
    let video = upload["video_id"].as_str().unwrap();
    until("it is no video", TOLD_S, async || {
        let path = format!("/v1/events?subject={video}");
        let (_, told) = house.ask(&house.admin, Method::GET, &path, None).await;
        told["items"].as_array()?.iter().any(|one| one["topic"] == "video.failed").then_some(())
    })
    .await;
    house.server.kill();
    Tables::open(&house.server.data()).await.spoil_videos().await;
    house.server = house.server.again().await;
    house.announce(&house.admin, json!({ "size_bytes": 5 })).await;
    redis.again().await;

    // A broker is told what the event says by itself, in its place.
    let all = happened(&house).await;
    let bodies = until("all of them are there", TOLD_S, async || {
        let last = all[all.len() - told(&redis, "matinee.events").len()..].to_vec();
        let bodies = redis.ask(&["XRANGE", "matinee.events", "-", "+"]);
        (told(&redis, "matinee.events") == last && last.len() > 4).then_some(bodies)
    })
    .await;
    let bodies: Vec<Value> = bodies.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let short: Vec<&Value> = bodies.iter().filter(|body| body["data"]["shortened"] == true).collect();
    assert!(short.len() >= 2 && short.iter().all(|body| body["data"]["subject"] == video), "{bodies:?}");
    assert!(short[0]["data"]["reason"].as_str().unwrap().contains("spoilt"), "{short:?}");

    // A webhook is not told, its owner sees why, and it is told all else.
    let body = json!({ "url": format!("http://127.0.0.1:{port}/a"), "topics": ["upload.*", "video.*"] });
    let (_, hook) = house.ask(&house.admin, Method::POST, "/v1/webhooks", Some(body)).await;
    let path = format!("/v1/webhooks/{}", hook["id"].as_str().unwrap());
    let since = Some(json!({ "since": "2020-01-01T00:00:00Z" }));
    house.ask(&house.admin, Method::POST, &format!("{path}/replay"), since).await;
    let log = until("each has its end", TOLD_S, async || {
        let (_, list) = house.ask(&house.admin, Method::GET, &format!("{path}/deliveries"), None).await;
        let items = list["items"].as_array().unwrap().clone();
        let is_over = |one: &Value| one["state"] != "waiting";
        (items.len() > 4 && items.iter().all(is_over)).then_some(items)
    })
    .await;
    for one in &log {
        let of_video = one["topic"].as_str().unwrap().starts_with("video.");
        assert_eq!(one["state"], if of_video { "failed" } else { "delivered" }, "{one}");
        assert_eq!(one["tries"][0]["error"].is_string(), of_video, "{one}");
    }
    assert_eq!(receiver.of("/a").len(), log.iter().filter(|one| one["state"] == "delivered").count());
}

#[tokio::test]
async fn a_command_is_carried_out_once_and_poison_is_put_aside_with_an_answer() {
    let Some(redis) = Redis::start().await else { return };
    let files = Files::start().await;
    let url = files.put("/film.mp4", clips::mp4(2), Manner::default());
    let house = House::of(Server::with(&config(redis.port, &files.allowed())).await).await;
    let send = |id: &str, body: &str| redis.ask(&["XADD", "matinee.commands", "*", "id", id, "body", body]);
    until("the group is there", TOLD_S, async || {
        redis.ask(&["XINFO", "GROUPS", "matinee.commands"]).iter().any(|line| line == "matinee").then_some(())
    })
    .await;
    let good = json!({ "url": url, "title": "By a command", "external_id": "7" }).to_string();
    send("one", "no command at all");
    send("two", &json!({ "url": "http://10.0.0.1/a.mp4" }).to_string());
    send("three", &json!({ "url": url, "collection": "nowhere" }).to_string());
    send("four", &good);
    send("four", &good);
    let answers = until("all are answered", TOLD_S, async || {
        let (_, page) = house.ask(&house.admin, Method::GET, "/v1/events?limit=100", None).await;
        let items = page["items"].as_array().unwrap();
        let of = |topic: &str| items.iter().filter(|one| one["topic"] == topic).cloned().collect::<Vec<_>>();
        let (taken, refused) = (of("command.taken"), of("command.refused"));
        (taken.len() == 1 && refused.len() == 3).then_some((taken, refused))
    })
    .await;
    assert_eq!(answers.0[0]["payload"]["command"], "four");
    let codes: Vec<&Value> = answers.1.iter().map(|one| &one["payload"]["code"]).collect();
    assert_eq!(codes, ["command_unreadable", "pull_address", "pull_collection"]);
    assert_eq!(told(&redis, "matinee.commands.dead"), ["one", "two", "three"]);
    let video = until("the video is there", TOLD_S, async || {
        let (_, list) = house.ask(&house.admin, Method::GET, "/v1/videos", None).await;
        let items = list["items"].as_array().unwrap();
        assert!(items.len() < 2, "the second is the first: {list}");
        items.first().filter(|one| one["state"] == "ready").cloned()
    })
    .await;
    assert_eq!((&video["title"], &video["external_id"]), (&json!("By a command"), &json!("7")));
    // Nothing waits for an answer any more.
    until("all are answered for", TOLD_S, async || {
        (redis.ask(&["XPENDING", "matinee.commands", "matinee"]).first()? == "0").then_some(())
    })
    .await;
    nothing_runs(&house.server).await;
    nothing_dangles(&house.server).await;
    events_explain(&house.server).await;
}
