//! A video that is encoded again: what there is plays on, whatever happens to the new generation.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::{heights, made};
use crate::support::invariants::{all_hold, here};
use crate::support::server::Server;
use crate::support::{clips, until};

const PIPELINES: &str = "[[pipeline]]\nname = \"small\"\nsizes = [240]\n";
/// Seconds in which a clip is encoded again on a loaded machine.
const DONE_S: u64 = 180;

/// A player that has read its playlists, and asks for their segments whenever it needs them.
struct Player {
    /// Everything that its playlists name, with the hash of what it was when it was read first.
    known: BTreeMap<String, blake3::Hash>,
}

impl Player {
    async fn begin(server: &Server, video: &str) -> Self {
        let (_, playback) = server.get(&format!("/v1/videos/{video}/playback")).await;
        let main = path(server, &here(server, &playback["hls"]));
        let root = main.rsplit_once('/').unwrap().0.to_owned();
        let mut known = BTreeMap::new();
        for list in named(&text(server, &main).await) {
            let list = format!("{root}/{list}");
            let folder = list.rsplit_once('/').unwrap().0.to_owned();
            for name in named(&text(server, &list).await) {
                let place = format!("{folder}/{name}");
                let hash = fetched(server, &place).await.expect("because it was just listed");
                known.insert(place, hash);
            }
        }
        assert!(known.len() > 6, "{known:?}");
        Self { known }
    }

    /// Every address that it knows still gives the same bytes.
    async fn goes_on(&self, server: &Server) {
        for (place, hash) in &self.known {
            assert_eq!(fetched(server, place).await.as_ref(), Some(hash), "{place}");
        }
    }

    /// The number of the generation that it plays.
    fn generation(&self) -> &str {
        self.known.keys().next().unwrap().split('/').nth(4).unwrap()
    }
}

fn path(server: &Server, url: &str) -> String {
    url.strip_prefix(&server.url("")).unwrap().to_owned()
}

async fn fetched(server: &Server, place: &str) -> Option<blake3::Hash> {
    let answer = server.request(Method::GET, place).send().await.unwrap();
    if answer.status() != 200 {
        return None;
    }
    Some(blake3::hash(&answer.bytes().await.unwrap()))
}

async fn text(server: &Server, place: &str) -> String {
    let answer = server.request(Method::GET, place).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{place}");
    answer.text().await.unwrap()
}

/// Every address in a playlist: its lines, and the attributes `URI`.
fn named(playlist: &str) -> Vec<String> {
    let lines = playlist.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let attributes = playlist.split("URI=\"").skip(1).filter_map(|rest| rest.split_once('"'));
    lines.map(str::to_owned).chain(attributes.map(|(uri, _)| uri.to_owned())).collect()
}

async fn encode(server: &Server, video: &str, body: Value) -> (u16, Value) {
    let path = format!("/v1/videos/{video}/encode");
    let answer = server.request(Method::POST, &path).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn show(server: &Server, video: &str) -> Value {
    let (status, shown) = server.get(&format!("/v1/videos/{video}")).await;
    assert_eq!(status, 200);
    shown
}

/// Waits until no remake runs; looks at the player's addresses all the while.
async fn over(server: &Server, player: &Player, video: &str) -> Value {
    until("the remake is over", DONE_S, async || {
        player.goes_on(server).await;
        let shown = show(server, video).await;
        assert_eq!((&shown["state"], &shown["playable"]), (&json!("ready"), &json!(true)));
        (shown["remake"]["state"] != "running").then_some(shown)
    })
    .await
}

#[tokio::test]
async fn a_player_with_an_old_playlist_plays_on_and_a_new_one_gets_what_is_new() {
    let mut server = Server::with(PIPELINES).await;
    let video = made(&server, Some("small"), &clips::sized("640x360", 12)).await;
    let id = video["id"].as_str().unwrap().to_owned();
    assert_eq!((heights(&video), &video["pipeline"]["name"]), (vec![240], &json!("small")));
    assert_eq!(video["remake"], Value::Null);
    let player = Player::begin(&server, &id).await;

    let (status, told) = encode(&server, &id, json!({ "pipeline": "default" })).await;
    assert_eq!((status, &told["remake"]["state"]), (200, &json!("running")), "{told}");
    assert_eq!((&told["remake"]["pipeline"]["name"], heights(&told)), (&json!("default"), vec![240]));
    let (status, told) = encode(&server, &id, json!({})).await;
    assert_eq!((status, &told["code"]), (409, &json!("conflict")));
    assert!(told["detail"].as_str().unwrap().contains("encoded again already"), "{told}");

    until("a chunk of it is done", DONE_S, async || {
        player.goes_on(&server).await;
        let done = show(&server, &id).await["remake"]["progress"]["overall"].as_f64()?;
        (done > 0.2).then_some(())
    })
    .await;
    server.kill();
    let server = server.again().await;

    let after = over(&server, &player, &id).await;
    assert_eq!((heights(&after), &after["pipeline"]["name"]), (vec![360, 240], &json!("default")));
    assert_eq!((&after["remake"], &after["ready_at"]), (&Value::Null, &video["ready_at"]));
    let newer = Player::begin(&server, &id).await;
    assert_eq!((player.generation(), newer.generation()), ("2", "3"));
    assert!(newer.known.len() > player.known.len(), "it has more to choose from");
    player.goes_on(&server).await;
    until("the pictures are new, too", DONE_S, async || {
        let (_, jobs) = server.get(&format!("/v1/jobs?video={id}&limit=100")).await;
        let open = |job: &&Value| !["done", "cancelled"].contains(&job["state"].as_str().unwrap());
        jobs["items"].as_array().unwrap().iter().find(open).is_none().then_some(())
    })
    .await;
    all_hold(&server).await;
    player.goes_on(&server).await;
}

#[tokio::test]
async fn a_remake_that_is_cancelled_leaves_no_trace_but_a_word() {
    let server = Server::with(PIPELINES).await;
    let video = made(&server, Some("small"), &clips::sized("640x360", 12)).await;
    let id = video["id"].as_str().unwrap().to_owned();
    let player = Player::begin(&server, &id).await;
    let path = format!("/v1/videos/{id}/encode");
    let nothing = server.request(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(nothing.status(), 409, "there is nothing to cancel yet");
    let (status, told) = encode(&server, &id, json!({ "pipeline": "cinema" })).await;
    assert_eq!(status, 400, "{told}");

    encode(&server, &id, json!({ "pipeline": "default" })).await;
    until("it is being encoded", DONE_S, async || {
        let done = show(&server, &id).await["remake"]["progress"]["overall"].as_f64()?;
        (done > 0.05).then_some(())
    })
    .await;
    let cancelled = server.request(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(cancelled.status(), 200);
    let shown: Value = cancelled.json().await.unwrap();
    assert_eq!((&shown["remake"]["state"], heights(&shown)), (&json!("cancelled"), vec![240]));
    assert_eq!(shown["pipeline"]["name"], "small");
    all_hold(&server).await;
    player.goes_on(&server).await;
    // The next one is a new attempt under a new number.
    encode(&server, &id, json!({})).await;
    let after = over(&server, &player, &id).await;
    assert_eq!((&after["remake"], heights(&after)), (&Value::Null, vec![240]));
    assert_eq!(Player::begin(&server, &id).await.generation(), "4");
}

#[tokio::test]
async fn the_background_of_a_remake_follows_it_and_that_of_before_goes_on_until_then() {
    let codecs = "codecs = [\"vp9\"]\n";
    let config = format!(
        "[workers]\nidentical = false\n[[pipeline]]\nname = \"small\"\nsizes = [240]\n{codecs}\
         [[pipeline]]\nname = \"large\"\nsizes = [360]\n{codecs}"
    );
    let mut server = Server::with(&config).await;
    // AVI, whose rewritten copy both generations read.
    let video = made(&server, Some("small"), &clips::avi(12)).await;
    let id = video["id"].as_str().unwrap().to_owned();
    let player = Player::begin(&server, &id).await;
    let (status, told) = encode(&server, &id, json!({ "pipeline": "large" })).await;
    assert_eq!(status, 200, "{told}");
    until("something of it is done", DONE_S, async || {
        let done = show(&server, &id).await["remake"]["progress"]["overall"].as_f64()?;
        (done > 0.1).then_some(())
    })
    .await;
    server.kill();
    let server = server.again().await;
    let after = over(&server, &player, &id).await;
    assert_eq!((&after["remake"], &after["pipeline"]["name"]), (&Value::Null, &json!("large")), "{after}");
    let downloads = until("the WebM file of the new generation is there", DONE_S, async || {
        player.goes_on(&server).await;
        let (_, playback) = server.get(&format!("/v1/videos/{id}/playback")).await;
        let all = playback["downloads"].as_array()?.iter().map(|one| one["id"].as_str().unwrap().to_owned());
        let all: Vec<String> = all.collect();
        all.iter().any(|id| id.ends_with("-webm")).then_some(all)
    })
    .await;
    assert_eq!(downloads, ["h264-360", "vp9-360", "vp9-360-webm", "source"]);
    until("nothing is left to do", DONE_S, async || {
        let (_, jobs) = server.get(&format!("/v1/jobs?video={id}&limit=100")).await;
        let open = |job: &&Value| !["done", "cancelled"].contains(&job["state"].as_str().unwrap());
        jobs["items"].as_array().unwrap().iter().find(open).is_none().then_some(())
    })
    .await;
    all_hold(&server).await;
    player.goes_on(&server).await;
}
