//! Videos at hosted services: published, watched there, deleted there until that is proven, whatever goes wrong between.

mod besides;
mod choice;
mod direct;
mod erased;
mod example;
mod faults;
mod pull;
mod seeds;
pub(crate) mod support;
pub(crate) mod unknown;

use http::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use self::support::{
    Fakes, SOON_S, announce_at, empty, in_state, nothing_is_left, publication, publish, send_straight,
    upload_in,
};
use crate::access::people::House;
use crate::encode::announced;
use crate::support::invariants::all_hold;
use crate::support::server::{Place, Server};
use crate::support::{clips, until};

#[tokio::test]
async fn a_film_is_published_watched_at_its_hosts_and_deleted_without_a_trace() {
    let fakes = Fakes::start().await;
    let server = Server::with(&fakes.config()).await;
    let clip = clips::mp4(2);
    let video = announced(&server, Some("both"), &clip).await;
    server.video_in(&video, &["ready"], 120).await;
    for host in ["cf", "bn"] {
        let sent = in_state(&server, &video, host, "processing").await;
        assert_eq!(sent["sent_bytes"], clip.len(), "{sent}");
        assert_eq!(sent["playback"], Value::Null);
    }
    fakes.encode();
    let ready =
        [in_state(&server, &video, "cf", "ready").await, in_state(&server, &video, "bn", "ready").await];
    assert_eq!(fakes.cloudflare.received(&fakes.there("cf")[0]), Some(Sha256::digest(&clip).into()));
    assert_eq!(fakes.bunny.received(&fakes.there("bn")[0]), Some(Sha256::digest(&clip).into()));
    let (_, playback) = server.get(&format!("/v1/videos/{video}/playback")).await;
    assert!(playback["hls"].as_str().unwrap().contains("/p/"), "ours comes first: {playback}");
    let hosts = playback["hosts"].as_array().unwrap();
    let named: Vec<&Value> = hosts.iter().map(|one| &one["host"]).collect();
    assert_eq!(named, [&json!("bn"), &json!("cf")]);
    let id = |host: &str| fakes.there(host)[0].clone();
    assert_eq!(hosts[0]["hls"], format!("https://vz-1.b-cdn.net/{}/playlist.m3u8", id("bn")));
    assert_eq!(
        hosts[1]["dash"],
        format!("https://customer-1.cloudflarestream.com/{}/manifest/video.mpd", id("cf"))
    );
    assert!(ready.iter().all(|one| one["duration"].as_f64().is_some_and(|s| s >= 1.0)), "{ready:?}");
    let (_, moments) = server.get(&format!("/v1/videos/{video}/timeline")).await;
    let told = moments.to_string();
    assert!(told.contains("publication.ready") && told.contains("can be watched at a host"), "{told}");
    all_hold(&server).await;
    nothing_is_left(&server, &fakes, &video).await;
    fakes.understood();
}

#[tokio::test]
async fn a_video_is_published_when_somebody_wishes_it_and_withdrawn_alone() {
    let fakes = Fakes::start().await;
    let server = Server::with(&fakes.config()).await;
    let video = announced(&server, Some("none"), &clips::mp4(2)).await;
    server.video_in(&video, &["ready"], 120).await;
    assert_eq!(publication(&server, &video, "bn").await, None);
    let first = publish(&server, &video, "bn").await;
    let again = publish(&server, &video, "bn").await;
    assert_eq!(first["id"], again["id"], "what is there already stays");
    publish(&server, &video, "cf").await;
    in_state(&server, &video, "bn", "processing").await;
    in_state(&server, &video, "cf", "processing").await;
    let path = format!("/v1/videos/{video}/publications/bn");
    assert_eq!(server.request(Method::DELETE, &path).send().await.unwrap().status(), 204);
    assert_eq!(server.request(Method::DELETE, &path).send().await.unwrap().status(), 404);
    until("it is gone there", SOON_S, async || fakes.there("bn").is_empty().then_some(())).await;
    assert_eq!(fakes.there("cf").len(), 1, "the other host keeps it");
    let nowhere = json!({ "host": "vimeo" });
    let path = format!("/v1/videos/{video}/publications");
    let refused = server.request(Method::POST, &path).json(&nowhere).send().await.unwrap();
    assert_eq!(refused.status(), 400);
    let told: Value = refused.json().await.unwrap();
    assert!(told["detail"].as_str().unwrap().contains("this server has: cf, bn"), "{told}");
    nothing_is_left(&server, &fakes, &video).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_is_tried_from_the_command_line_and_leaves_nothing() {
    let fakes = Fakes::start().await;
    let server = Server::with(&fakes.config()).await;
    for host in ["cf", "bn"] {
        let told = server.tell(&["hosts", "test", host]);
        let steps: Vec<&str> = told
            .lines()
            .filter(|line| line.starts_with("ok"))
            .filter_map(|line| line.split_whitespace().nth(1))
            .collect();
        assert_eq!(steps, ["create", "status", "list", "delete", "gone"], "{told}");
    }
    empty(&server, &fakes).await;
    let listed = server.tell(&["hosts"]);
    assert!(listed.contains("bunny/133") && listed.contains("well"), "{listed}");
    let json: Vec<Value> = server
        .tell(&["hosts", "ls", "--json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let calls = json[0]["health"]["calls"].as_array().unwrap();
    assert!(calls.iter().any(|call| call["name"] == "delete" && call["error"].is_null()), "{calls:?}");
    for log in [server.logged(), listed] {
        for secret in ["fake-token", "fake-library-key", "fake-read-only-key", "fake-webhook-secret"] {
            assert!(!log.contains(secret), "{secret} is in a log");
        }
    }
    fakes.understood();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_is_emptied_when_all_is_somewhere_else() {
    let fakes = Fakes::start().await;
    let server = Server::with(&fakes.patient()).await;
    let video = announced(&server, Some("none"), &clips::mp4(2)).await;
    server.video_in(&video, &["ready"], 120).await;
    publish(&server, &video, "bn").await;
    in_state(&server, &video, "bn", "processing").await;
    fakes.encode();
    in_state(&server, &video, "bn", "ready").await;
    let clip = clips::mp4(2);
    let alone = announce_at(&server, "bn", clip.len()).await;
    send_straight(&alone, &clip).await;
    upload_in(&server, &alone, "processing").await;

    let foreseen = server.tell(&["hosts", "drain", "bn", "--to", "cf", "--dry-run"]);
    assert!(foreseen.contains("1 videos would go from bn") && foreseen.contains("1 stay"), "{foreseen}");
    assert_eq!(fakes.there("cf").len(), 0, "nothing was changed");
    server.tell(&["hosts", "drain", "bn", "--to", "cf"]);
    in_state(&server, &video, "cf", "processing").await;
    assert_eq!(fakes.there("bn").len(), 2, "it stays until it is somewhere else");
    fakes.encode();
    in_state(&server, &video, "cf", "ready").await;
    until("it has left", SOON_S, async || (fakes.there("bn").len() == 1).then_some(())).await;
    assert_eq!(publication(&server, &video, "bn").await, None);
    let path = format!("/v1/videos/{video}/publications");
    let refused = server.request(Method::POST, &path).json(&json!({ "host": "bn" })).send().await.unwrap();
    assert_eq!(refused.status(), 409, "nothing new goes there");
    let new = json!({ "size_bytes": 9, "title": "a", "target": "bn" });
    let refused = server.request(Method::POST, "/v1/uploads").json(&new).send().await.unwrap();
    assert_eq!(refused.status(), 409);
    assert!(server.tell(&["hosts"]).contains("being emptied"));

    server.tell(&["hosts", "drain", "bn", "--stop"]);
    let shown = server.tell(&["hosts", "ls", "--json"]);
    let shown: Value = serde_json::from_str(shown.lines().nth(1).unwrap()).unwrap();
    let health = &shown["health"];
    assert_eq!((&health["draining_since"], &health["only_there"]), (&Value::Null, &json!(1)), "{shown}");
    publish(&server, &video, "bn").await;
    in_state(&server, &video, "bn", "processing").await;
    for video in [video.as_str(), alone["video_id"].as_str().unwrap()] {
        let path = format!("/v1/videos/{video}");
        assert_eq!(server.request(Method::DELETE, &path).send().await.unwrap().status(), 204);
    }
    empty(&server, &fakes).await;
}

#[tokio::test]
async fn a_host_with_videos_cannot_leave_the_configuration() {
    let fakes = Fakes::start().await;
    let config = fakes.config();
    let mut server = Server::with(&config).await;
    let video = announced(&server, Some("none"), &clips::mp4(2)).await;
    server.video_in(&video, &["ready"], 120).await;
    publish(&server, &video, "bn").await;
    in_state(&server, &video, "bn", "processing").await;
    server.kill();
    let file = server.data().parent().unwrap().join("matinee.toml");
    let without = |keep: &str| {
        let parts = config.split("[[host]]\n");
        parts
            .filter(|part| part.starts_with("[workers]") || part.contains(keep))
            .collect::<Vec<_>>()
            .join("[[host]]\n")
    };
    let pipelines = "[[pipeline]]\nname = \"none\"\nsizes = [180]\n[prices]\ngb_month = 1000.0\n";
    let refusal = async |text: String| {
        std::fs::write(&file, text).unwrap();
        let mut rival = server.rival();
        assert!(!rival.ended(SOON_S).await.success());
        rival.logged()
    };
    let gone = without("name = \"cf\"").split("[[pipeline]]").next().unwrap().to_owned() + pipelines;
    let told = refusal(gone).await;
    assert!(told.contains("has no [[host]] `bn`") && told.contains("1 videos"), "{told}");
    assert!(told.contains("0 of them to be deleted already") && told.contains("EUR a month"), "{told}");
    let told = refusal(config.replace("library = 133", "library = 134")).await;
    assert!(told.contains("stands for bunny/134 now") && told.contains("bunny/133"), "{told}");
    std::fs::write(&file, &config).unwrap();
    let server = server.again().await;
    nothing_is_left(&server, &fakes, &video).await;
}

#[tokio::test]
async fn who_may_not_see_a_video_learns_nothing_of_its_hosts() {
    let fakes = Fakes::start().await;
    let house = House::at(Place::new(&fakes.config())).await;
    let (_, other) = house.app("other", &["video:read", "video:write", "upload:write", "admin"]).await;
    let reader = house.token(&["video:read"]).await;
    let (code, hosts) = house.ask(&reader, Method::GET, "/v1/hosts", None).await;
    assert_eq!(
        (code, &hosts["items"][0]["name"], &hosts["items"][0]["health"]),
        (200, &json!("cf"), &Value::Null)
    );
    let (_, hosts) = house.ask(&other, Method::GET, "/v1/hosts", None).await;
    assert_eq!(hosts["items"][1], json!({ "name": "bn", "kind": "bunny", "health": null }));
    let (code, _) = house.ask(&other, Method::POST, "/v1/hosts/bn/test", None).await;
    assert_eq!(code, 404, "other apps do not spend what the server pays for");
    let (code, tried) = house.ask(&house.admin, Method::POST, "/v1/hosts/bn/test", None).await;
    assert_eq!((code, &tried["passed"]), (200, &json!(true)), "{tried}");
    let (_, hosts) = house.ask(&house.admin, Method::GET, "/v1/hosts", None).await;
    assert_eq!(hosts["items"][1]["health"]["identity"], "bunny/133");
}
