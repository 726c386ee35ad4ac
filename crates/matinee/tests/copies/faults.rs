//! Stores that are away, servers that die in the middle of a copy, and bits that change.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use super::{Stores, filmed, lasting, local, played, settled, told};
use crate::support::sender::upload;
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::{clips, until};

const MINUTE_MS: i64 = 60_000;

#[tokio::test]
async fn a_store_that_is_away_holds_nobody_up_and_gets_everything_when_it_is_back() {
    let stores = Stores::new();
    let config = format!(
        "[copies]\nsource = 2\nrendition = 2\nsmall = 2\n{}{}",
        stores.config("near", ""),
        stores.config("lost", "")
    );
    let aside = stores.root("aside");
    std::fs::rename(stores.root("lost"), &aside).unwrap();
    let (server, video) = filmed(&config, 4).await;
    settled(&server, "near", 60).await;
    assert_eq!(stores.hashes("near"), lasting(&server).await, "the others do not wait for it");
    let away = until("it is told as away", 30, async || {
        let store = told(&server, "lost").await;
        (store["state"] == "away").then_some(store)
    })
    .await;
    assert!(away["waiting_objects"].as_u64().unwrap() > 0 && away["waiting_since"].is_string(), "{away}");
    assert_eq!(server.logged().matches("a store does not answer").count(), 1, "told once");
    // What is deleted meanwhile goes where it can.
    let second = upload(&server, &clips::mp4(2), "second.mp4").await.video;
    server.video_in(&second, &["ready"], 120).await;
    std::fs::rename(&aside, stores.root("lost")).unwrap();
    settled(&server, "lost", 120).await;
    assert_eq!(stores.hashes("lost"), lasting(&server).await);
    std::fs::rename(stores.root("lost"), &aside).unwrap();
    for id in [&video, &second] {
        let gone = server.request(reqwest::Method::DELETE, &format!("/v1/videos/{id}")).send().await.unwrap();
        assert_eq!(gone.status(), 204);
    }
    until("the others are empty", 60, async || {
        (stores.files("near").is_empty() && local(&server).is_empty()).then_some(())
    })
    .await;
    assert!(told(&server, "lost").await["leaving_objects"].as_u64().unwrap() > 0, "not forgotten");
    std::fs::rename(&aside, stores.root("lost")).unwrap();
    until("the one that was away is empty, too", 120, async || {
        (stores.files("lost").is_empty() && told(&server, "lost").await["leaving_objects"] == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_store_that_is_away_for_an_hour_is_caught_up_and_one_that_stays_away_is_replaced() {
    let stores = Stores::new();
    let three = ["near", "far", "third"].map(|name| stores.config(name, "")).concat();
    let copies = "[copies]\nsource = 2\nrendition = 2\nsmall = 2\n";
    let (server, first) = filmed(&format!("{copies}{three}"), 4).await;
    for name in ["near", "far", "third"] {
        settled(&server, name, 60).await;
    }
    let (far, aside) = (stores.root("far"), stores.root("aside"));
    std::fs::rename(&far, &aside).unwrap();
    // Videos come, are watched and go meanwhile.
    let mut films = Vec::new();
    for seconds in [2, 3] {
        let video = upload(&server, &clips::mp4(seconds), "film.mp4").await.video;
        server.video_in(&video, &["ready"], 120).await;
        played(&server, &video).await;
        films.push(video);
    }
    played(&server, &first).await;
    let gone = server.request(reqwest::Method::DELETE, &format!("/v1/videos/{first}")).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    for name in ["near", "third"] {
        settled(&server, name, 120).await;
    }
    let lag = until("it is told as away", 30, async || {
        let store = told(&server, "far").await;
        (store["state"] == "away" && store["waiting_objects"].as_u64()? > 0).then_some(store)
    })
    .await;
    assert!(lag["waiting_since"].is_string() && lag["leaving_objects"].as_u64().unwrap() > 0, "{lag}");
    // A minute less than the hour after which it is given up.
    Tables::open(&server.data()).await.store_away_for("far", 59 * MINUTE_MS).await;
    std::fs::rename(&aside, &far).unwrap();
    for name in ["far", "near", "third"] {
        settled(&server, name, 60).await;
    }
    let here = lasting(&server).await;
    let both = |names: [&str; 2]| {
        let mut all = names.map(|name| stores.hashes(name)).concat();
        all.sort_unstable();
        all
    };
    let twice = |all: &[[u8; 32]]| all.iter().flat_map(|hash| [*hash, *hash]).collect::<Vec<_>>();
    let mut everywhere = both(["near", "third"]);
    everywhere.extend(stores.hashes("far"));
    everywhere.sort_unstable();
    assert_eq!(everywhere, twice(&here), "each lies in two of the three, and nothing else does");
    // Now it is away for longer than that, and each has a second copy in the others all the same.
    std::fs::rename(&far, &aside).unwrap();
    let last = upload(&server, &clips::mp4(1), "film.mp4").await.video;
    server.video_in(&last, &["ready"], 120).await;
    until("it is told as away", 60, async || (told(&server, "far").await["state"] == "away").then_some(()))
        .await;
    Tables::open(&server.data()).await.store_away_for("far", 61 * MINUTE_MS).await;
    let here = lasting(&server).await;
    until("each has two copies without it", 180, async || {
        (both(["near", "third"]) == twice(&here)).then_some(())
    })
    .await;
    // For ever: nothing is owed there any more, and it may leave the configuration.
    server.tell(&["stores", "lost", "far", "--because", "it has burnt"]);
    assert_eq!(Tables::open(&server.data()).await.owed_at("far").await, 0);
    for video in films.iter().chain([&last]) {
        played(&server, video).await;
    }
}

#[tokio::test]
async fn a_server_that_dies_while_it_copies_leaves_nothing_half_behind() {
    let stores = Stores::new();
    let mut server = Server::with(&stores.config("far", "")).await;
    let big = clips::sized("640x360", 20);
    let video = upload(&server, &big, "big.mp4").await.video;
    server.video_in(&video, &["ready"], 240).await;
    // Each time in another moment of the copying.
    for _ in 0..4 {
        server = server.again().await;
        until("something is being copied or is done", 60, async || {
            let (_, jobs) = server.get("/v1/jobs?limit=100").await;
            let copies = jobs["items"].as_array()?.iter().filter(|job| job["kind"] == "copy");
            let begun = copies.filter(|job| job["state"] != "ready").count();
            (begun > 0).then_some(())
        })
        .await;
        server.kill();
    }
    let server = server.again().await;
    settled(&server, "far", 120).await;
    // What was interrupted besides is made to its end, and copied then.
    until("each lies there once, and nothing besides", 150, async || {
        let here = lasting(&server).await;
        (here.len() > 4 && stores.hashes("far") == here).then_some(())
    })
    .await;
}

fn flip(path: &Path, at: u64) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = usize::try_from(at).unwrap() % bytes.len();
    bytes[at] ^= 0x10;
    let mut file = std::fs::File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&bytes).unwrap();
}

#[tokio::test]
async fn one_pass_finds_every_flipped_bit_and_all_that_is_short_or_missing() {
    let stores = Stores::new();
    let (server, _) = filmed(&stores.config("far", ""), 4).await;
    settled(&server, "far", 60).await;
    let (good, here) = (stores.hashes("far"), lasting(&server).await);
    let files: Vec<_> = stores.files("far").into_keys().collect();
    assert!(files.len() >= 4, "{files:?}");
    flip(&files[0], 1_000_003);
    let half = std::fs::metadata(&files[1]).unwrap().len() / 2;
    std::fs::File::options().write(true).open(&files[1]).unwrap().set_len(half).unwrap();
    std::fs::remove_file(&files[2]).unwrap();
    let mut objects: Vec<_> = Vec::new();
    for shard in std::fs::read_dir(server.data().join("objects")).unwrap() {
        objects.extend(std::fs::read_dir(shard.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    objects.sort();
    // Of another object than those that are bad in the store.
    let bad: Vec<String> = files[..3].iter().map(|path| path.display().to_string()).collect();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let other = objects.iter().find(|path| !bad.iter().any(|key| key.contains(&name(path)))).unwrap();
    flip(other, 7);
    let found = server.ask(&["stores", "scrub", "far", "--json"]);
    let found: serde_json::Value = serde_json::from_str(found.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&found["changed"], &found["short"], &found["missing"]),
        (&1.into(), &1.into(), &1.into()),
        "{found}"
    );
    let found = server.ask(&["stores", "scrub", "local", "--json"]);
    let found: serde_json::Value = serde_json::from_str(found.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&found["changed"], &found["short"], &found["missing"]),
        (&1.into(), &0.into(), &0.into()),
        "{found}"
    );
    settled(&server, "far", 120).await;
    until("the local file is good again", 60, async || (local(&server) == here).then_some(())).await;
    until("the bad ones are gone", 60, async || (stores.hashes("far") == good).then_some(())).await;
}
