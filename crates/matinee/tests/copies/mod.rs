//! Copies in stores: made behind the work, proven, played from when the file here is gone, found and mended when they are bad,
//! and gone with their video; counted in the stores themselves.

mod archive;
mod bucket;
mod faults;
mod moved;
mod plates;
mod unknown;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::clips;
use crate::support::invariants::nothing_dangles;
use crate::support::sender::upload;
use crate::support::server::{Place, Server};
use crate::support::tables::Tables;
use crate::support::until;

/// Folders that are stores.
struct Stores {
    dir: TempDir,
}

impl Stores {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("stores-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        Self { dir }
    }

    /// The folder of a store.
    fn root(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A store of the configuration, whose folder is made.
    fn config(&self, name: &str, more: &str) -> String {
        std::fs::create_dir_all(self.root(name)).unwrap();
        let path = self.root(name).display().to_string();
        format!("[[store]]\nname = \"{name}\"\nkind = \"disk\"\npath = \"{path}\"\n{more}\n")
    }

    /// The hash of every file in a store, by its path; also of what no key explains.
    fn files(&self, name: &str) -> BTreeMap<PathBuf, blake3::Hash> {
        let mut found = BTreeMap::new();
        collect(&self.root(name), &mut found);
        found
    }

    fn hashes(&self, name: &str) -> Vec<[u8; 32]> {
        sorted(self.files(name).into_values())
    }
}

/// Where the plates of a store hang.
const PLATES: &str = "matinee-store";

/// What is removed while we look is not there; the plate of a store stays, and is no copy.
fn collect(dir: &Path, found: &mut BTreeMap<PathBuf, blake3::Hash>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.ends_with(PLATES) {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.insert(path, blake3::hash(&bytes));
        }
    }
}

fn sorted(hashes: impl Iterator<Item = blake3::Hash>) -> Vec<[u8; 32]> {
    let mut all: Vec<[u8; 32]> = hashes.map(|hash| *hash.as_bytes()).collect();
    all.sort_unstable();
    all
}

/// The hashes of all that lies in the data directory.
fn local(server: &Server) -> Vec<[u8; 32]> {
    let mut found = BTreeMap::new();
    collect(&server.data().join("objects"), &mut found);
    sorted(found.into_values())
}

/// A store as the server tells it.
async fn told(server: &Server, name: &str) -> Value {
    let (code, list) = server.get("/v1/stores").await;
    assert_eq!(code, 200, "{list}");
    list["items"].as_array().unwrap().iter().find(|store| store["id"] == name).unwrap().clone()
}

/// Waits until nothing waits for a store and something lies in it.
async fn settled(server: &Server, name: &str, deadline_s: u64) -> Value {
    until(&format!("{name} has all its copies"), deadline_s, async || {
        let store = told(server, name).await;
        let open = ["waiting_objects", "bad_objects", "leaving_objects"];
        let still = open.iter().all(|key| store[key] == 0) && store["objects"].as_u64()? > 0;
        // A copy that has no row yet is not told as waiting.
        (still && unplaced(server).await == 0).then_some(store)
    })
    .await
}

/// The hashes of all that lies in the data directory when what was only needed for the work has left it.
async fn lasting(server: &Server) -> Vec<[u8; 32]> {
    until("work files are gone", 150, async || {
        let here = told(server, "local").await;
        // What an attempt has begun that was killed is given up after a minute.
        (here["leaving_objects"] == 0 && here["waiting_objects"] == 0).then(|| local(server))
    })
    .await
}

/// Objects whose copies nobody has looked at.
async fn unplaced(server: &Server) -> i64 {
    Tables::open(&server.data()).await.unplaced().await
}

/// A server with these stores and a video that is ready.
async fn filmed(config: &str, seconds: u32) -> (Server, String) {
    let server = Server::with(config).await;
    let video = upload(&server, &clips::mp4(seconds), "film.mp4").await.video;
    server.video_in(&video, &["ready"], 120).await;
    // Small pictures come when it is ready already.
    until("nothing is made of it any more", 120, async || {
        let (_, jobs) = server.get("/v1/jobs?limit=100").await;
        let over = |job: &Value| job["kind"] == "copy" || job["state"] == "done";
        jobs["items"].as_array()?.iter().all(over).then_some(())
    })
    .await;
    (server, video)
}

/// All that a player gets of a video: playlists, segments and the source, by their addresses below the token.
async fn played(server: &Server, video: &str) -> BTreeMap<String, Vec<u8>> {
    let (code, playback) = server.get(&format!("/v1/videos/{video}/playback")).await;
    assert_eq!(code, 200, "{playback}");
    let address = playback["hls"].as_str().unwrap();
    let master = address[address.find("/p/").unwrap()..].to_owned();
    let folder = master[..=master.rfind('/').unwrap()].to_owned();
    let mut found = BTreeMap::new();
    let mut open = vec![String::new() + &master[folder.len()..]];
    while let Some(name) = open.pop() {
        if found.contains_key(&name) {
            continue;
        }
        let response = server.request(Method::GET, &format!("{folder}{name}")).send().await.unwrap();
        assert_eq!(response.status(), 200, "{name}");
        let body = response.bytes().await.unwrap().to_vec();
        if name.strip_suffix(".m3u8").is_some() {
            let text = String::from_utf8(body.clone()).unwrap();
            let beside = name[..name.rfind('/').map_or(0, |at| at + 1)].to_owned();
            let quoted = text.split("URI=\"").skip(1).filter_map(|rest| rest.split('"').next());
            let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
            open.extend(quoted.chain(lines).map(|target| format!("{beside}{target}")));
        }
        found.insert(name, body);
    }
    assert!(found.len() > 4, "{:?}", found.keys());
    found
}

#[tokio::test]
async fn every_object_lies_in_its_stores_and_leaves_them_with_its_video() {
    let stores = Stores::new();
    let config =
        format!("[copies]\nsource = 2\n{}{}", stores.config("east", ""), stores.config("west", "weight = 2"));
    let (server, video) = filmed(&config, 4).await;
    settled(&server, "east", 60).await;
    settled(&server, "west", 60).await;
    nothing_dangles(&server).await;
    let source = blake3::hash(&clips::mp4(4));
    for name in ["east", "west"] {
        assert!(stores.hashes(name).contains(source.as_bytes()), "{name} has the source");
    }
    let mut both = [stores.hashes("east"), stores.hashes("west")].concat();
    let at = both.iter().position(|hash| hash == source.as_bytes()).unwrap();
    both.remove(at);
    both.sort_unstable();
    assert_eq!(both, lasting(&server).await, "everything once, and the source twice");
    let (code, objects) = server.get(&format!("/v1/videos/{video}/objects")).await;
    assert_eq!(code, 200);
    let count = |store: &str| {
        objects["items"].as_array().unwrap().iter().filter(|object| object["store"] == store).count()
    };
    assert_eq!((count("east"), count("west")), (stores.files("east").len(), stores.files("west").len()));
    let gone = server.request(Method::DELETE, &format!("/v1/videos/{video}")).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    until("nothing is left anywhere", 60, async || {
        let left = stores.files("east").len() + stores.files("west").len() + local(&server).len();
        (left == 0 && told(&server, "east").await["leaving_objects"] == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_the_server_has_lost_plays_from_a_store_byte_for_byte() {
    let stores = Stores::new();
    let (mut server, video) = filmed(&stores.config("far", ""), 6).await;
    settled(&server, "far", 60).await;
    let before = played(&server, &video).await;
    let (_, shown) = server.get(&format!("/v1/videos/{video}")).await;
    assert!(server.terminate(30).await.success());
    let objects = server.data().join("objects");
    std::fs::remove_dir_all(&objects).unwrap();
    std::fs::create_dir(&objects).unwrap();
    let server = server.again().await;
    assert!(played(&server, &video).await == before, "the same bytes");
    let (_, now) = server.get(&format!("/v1/videos/{video}")).await;
    assert!(now["source"].is_object() && now["source"] == shown["source"], "{now}");
    // A part of a file, too.
    let (_, playback) = server.get(&format!("/v1/videos/{video}/playback")).await;
    let file = playback["downloads"][0]["url"].as_str().unwrap();
    let path = &file[file.find("/p/").unwrap()..];
    let part = server.request(Method::GET, path).header("range", "bytes=100-299").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap().len(), 200);
}

#[tokio::test]
async fn a_store_with_copies_cannot_be_left_out_of_the_configuration() {
    let stores = Stores::new();
    let config = stores.config("far", "");
    let place = Arc::new(Place::new(&config));
    let mut server = Server::of(&place).await;
    let video = upload(&server, &clips::mp4(2), "film.mp4").await.video;
    server.video_in(&video, &["ready"], 120).await;
    let told = settled(&server, "far", 60).await;
    assert!(server.terminate(30).await.success());
    place.configure("");
    let mut refused = place.spawn("refused");
    assert!(!refused.ended(30).await.success());
    let (copies, logged) = (told["objects"].as_u64().unwrap(), refused.logged());
    assert!(logged.contains(&format!("{copies} copies")) && logged.contains("`far`"), "{logged}");
    assert!(
        logged.contains("0 of them to be deleted already") && logged.contains("bytes are known of"),
        "{logged}"
    );
    place.configure(&config);
    let server = server.again().await;
    assert_eq!(server.get("/v1/stores").await.0, 200);
}
