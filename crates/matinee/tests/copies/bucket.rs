//! Copies in services that speak like S3, each with its own rules: a real server on a disk, and those that are imitated.

use std::collections::BTreeMap;

use matinee_io::clock::Stopwatch;
use matinee_io::store::fake::{BUCKET, Call, Fake, Fault, Inventory, Profile, SECRET_KEY, Trouble};
use reqwest::Method;

use super::{Stores, collect, filmed, lasting, local, played, settled, sorted, told, unplaced};
use crate::nodes::support::Nodes;
use crate::support::process::resident_kib;
use crate::support::s3::Service;
use crate::support::sender::upload;
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::{clips, until};

/// A store at an imitated service.
pub(super) fn section(name: &str, fake: &Fake, more: &str) -> String {
    let access = fake.access();
    format!(
        "[[store]]\nname = \"{name}\"\nkind = \"s3\"\nurl = \"s3://{BUCKET}/copies\"\nendpoint = \"{}\"\nregion = \"{}\"\n\
         access_key = \"{}\"\nsecret_key = \"{SECRET_KEY}\"\n{more}\n",
        fake.endpoint(),
        access.region,
        access.access_key
    )
}

/// The hashes of all objects that a service shows.
fn held(fake: &Fake) -> Vec<[u8; 32]> {
    sorted(fake.keys().iter().filter_map(|key| fake.bytes(key)).map(|bytes| blake3::hash(&bytes)))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_gets_plays_mends_and_loses_its_copies_like_the_others() {
    let mut fakes = Vec::new();
    for (name, profile) in ["aws", "b2", "r2", "garage"].into_iter().zip(Profile::ALL) {
        fakes.push((name, Fake::start(profile).await.unwrap()));
    }
    let service = Service::start().await;
    let mut config = "[copies]\nsource = 5\nrendition = 5\nsmall = 5\n".to_owned();
    for (name, fake) in &fakes {
        config += &section(name, fake, "");
    }
    config += &service.store("real", "");
    let (mut server, video) = filmed(&config, 4).await;
    for name in fakes.iter().map(|(name, _)| *name).chain(["real"]) {
        settled(&server, name, 120).await;
    }
    let all = lasting(&server).await;
    let on_disk = || {
        let mut found = BTreeMap::new();
        collect(&service.path("copies"), &mut found);
        sorted(found.into_values())
    };
    for (name, fake) in &fakes {
        assert_eq!(held(fake), all, "{name}");
    }
    assert_eq!(on_disk(), all);
    one_pass_finds_all(&server, &fakes[0].1, &all).await;
    // Everything here is gone, and each store breaks off in the middle of the first objects that are asked for.
    let before = played(&server, &video).await;
    assert!(server.terminate(30).await.success());
    let objects = server.data().join("objects");
    std::fs::remove_dir_all(&objects).unwrap();
    std::fs::create_dir(&objects).unwrap();
    for (_, fake) in &fakes {
        fake.fail(Fault { times: 6, ..Fault::always(Call::Get, Trouble::Cut) });
    }
    let server = server.again().await;
    assert!(played(&server, &video).await == before, "the same bytes");
    server.ask(&["stores", "scrub", "local"]);
    until("all is here again", 120, async || (lasting(&server).await == all).then_some(())).await;
    for (_, fake) in &fakes {
        fake.mend();
    }
    server.tell(&["stores", "drain", "b2"]);
    until("what was emptied is empty", 150, async || {
        (fakes[1].1.inventory() == Inventory::default() && told(&server, "b2").await["leaving_objects"] == 0)
            .then_some(())
    })
    .await;
    let gone = server.request(Method::DELETE, &format!("/v1/videos/{video}")).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    until("nothing is paid for anywhere", 120, async || {
        let nothing = fakes.iter().all(|(_, fake)| fake.inventory() == Inventory::default());
        (nothing && on_disk().is_empty() && local(&server).is_empty()).then_some(())
    })
    .await;
    for (name, fake) in &fakes {
        assert_eq!(fake.unexpected(), Vec::<String>::new(), "{name}");
    }
}

/// Flips, cuts and removes objects of a service: one pass finds each, and all of it is made good again.
async fn one_pass_finds_all(server: &Server, fake: &Fake, all: &[[u8; 32]]) {
    // One that may not be read holds up none of the others.
    let away = server.logged().matches("a store does not answer").count();
    fake.fail(Fault::once(Call::Get, Trouble::Status(403)));
    let found = server.ask(&["stores", "scrub", "aws", "--json"]);
    let found: serde_json::Value = serde_json::from_str(found.lines().last().unwrap()).unwrap();
    assert_eq!((&found["unreadable"], &found["copies"]), (&1.into(), &all.len().into()), "{found}");
    // Neither does one that may not be deleted: the bad one goes when another is there.
    for call in [Call::Delete, Call::DeleteVersion] {
        fake.fail(Fault::once(call, Trouble::Status(403)));
    }
    settled(server, "aws", 120).await;
    assert_eq!(server.logged().matches("a store does not answer").count(), away);
    assert!(server.logged().contains("a copy could not be deleted yet"));
    fake.mend();
    let keys = fake.keys();
    fake.damage(&keys[0]);
    fake.cut(&keys[1], 1);
    fake.cut(&keys[2], 0);
    let found = server.ask(&["stores", "scrub", "aws", "--json"]);
    let found: serde_json::Value = serde_json::from_str(found.lines().last().unwrap()).unwrap();
    for (word, expected) in [("changed", 1), ("short", 1), ("missing", 1), ("unreadable", 0)] {
        assert_eq!(found[word], expected, "{found}");
    }
    assert_eq!(found["copies"], all.len());
    settled(server, "aws", 120).await;
    until("what was bad is good", 60, async || (held(fake) == all).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_slow_store() {
    let (stores, slow) = (Stores::new(), Fake::start(Profile::Aws).await.unwrap());
    slow.slow(600_000);
    let copies = "[copies]\nsource = 2\nrendition = 2\nsmall = 2\n";
    let config = format!("{copies}{}{}", section("slow", &slow, ""), stores.config("near", ""));
    // It is uploaded, encoded and played.
    let (server, video) = filmed(&config, 4).await;
    until("copies for the slow one are under way", 60, async || {
        let (_, jobs) = server.get("/v1/jobs?limit=100").await;
        let running =
            jobs["items"].as_array()?.iter().filter(|job| job["kind"] == "copy" && job["state"] == "leased");
        (running.count() >= 2).then_some(())
    })
    .await;
    settled(&server, "near", 60).await;
    let here = lasting(&server).await;
    let before = played(&server, &video).await;
    let mut files = BTreeMap::new();
    collect(&server.data().join("objects"), &mut files);
    for path in files.keys() {
        std::fs::remove_file(path).unwrap();
    }
    let server = server.again().await;
    assert!(played(&server, &video).await == before);
    server.ask(&["stores", "scrub", "local"]);
    until("it comes back from the other one", 60, async || (local(&server) == here).then_some(())).await;
    assert_eq!(slow.keys(), Vec::<String>::new(), "and the slow one has nothing yet");
    assert!(told(&server, "slow").await["waiting_objects"].as_u64().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_lost_for_ever_is_written_off_and_its_copies_are_made_elsewhere() {
    let stores = Stores::new();
    let copies = "[copies]\nsource = 2\nrendition = 2\nsmall = 2\n";
    let two = |name: &str| format!("{copies}{}{}", stores.config("near", ""), stores.config(name, ""));
    let (mut server, _) = filmed(&two("far"), 4).await;
    settled(&server, "far", 60).await;
    settled(&server, "near", 60).await;
    let all = lasting(&server).await;
    std::fs::remove_dir_all(stores.root("far")).unwrap();
    let dry = server.tell(&["stores", "lost", "far", "--dry-run"]);
    assert!(dry.contains(&format!("{} copies in far would be given up", all.len())), "{dry}");
    let said = server.tell(&["stores", "lost", "far", "--because", "the house has burnt", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["copies"], &said["last"]), (&all.len().into(), &0.into()), "{said}");
    assert_eq!(told(&server, "far").await["state"], "lost");
    let ledger = server.tell(&["ledger", "ls", "--json"]);
    assert!(!ledger.lines().any(|line| line.contains("\"far\"") && !line.contains("\"gone\"")), "{ledger}");
    // Its section may go now, and another store take its place.
    assert!(server.terminate(30).await.success());
    server.configure(&two("new"));
    let mut server = server.again().await;
    until("the other one has them", 120, async || (stores.hashes("new") == all).then_some(())).await;
    settled(&server, "new", 60).await;
    // The only copy of something is not given up by mistake.
    assert!(server.terminate(30).await.success());
    std::fs::remove_dir_all(server.data().join("objects")).unwrap();
    std::fs::create_dir(server.data().join("objects")).unwrap();
    server.tell(&["stores", "lost", "new"]);
    server.ask(&["stores", "scrub", "local"]);
    let kept = server.ask(&["stores", "lost", "near"]);
    assert_eq!(kept, "", "it says so on the other channel, and does nothing");
    let server = server.again().await;
    assert_eq!(told(&server, "near").await["objects"], all.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_away_is_asked_also_when_nothing_waits_for_it() {
    let stores = Stores::new();
    let (server, _) = filmed(&stores.config("far", ""), 2).await;
    settled(&server, "far", 60).await;
    Tables::open(&server.data()).await.store_away("far").await;
    until("it is back", 60, async || (told(&server, "far").await["state"] == "working").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_breaks_while_it_plays_goes_on_from_a_store_and_is_mended() {
    let (stores, far) = (Stores::new(), Fake::start(Profile::Garage).await.unwrap());
    let (server, video) = filmed(&section("far", &far, ""), 6).await;
    settled(&server, "far", 60).await;
    let (here, before) = (lasting(&server).await, played(&server, &video).await);
    let mut files = BTreeMap::new();
    collect(&server.data().join("objects"), &mut files);
    // They are open already: only who reads them finds that their ends are gone.
    for path in files.keys() {
        let half = std::fs::metadata(path).unwrap().len() / 2;
        std::fs::File::options().write(true).open(path).unwrap().set_len(half).unwrap();
    }
    assert!(played(&server, &video).await == before, "the same bytes");
    server.ask(&["stores", "scrub", "local"]);
    until("they are whole again", 90, async || (local(&server) == here).then_some(())).await;
    // A file that cannot be read at all holds up nobody who looks at the others.
    let path = files.keys().next().unwrap();
    std::fs::remove_file(path).unwrap();
    std::fs::create_dir(path).unwrap();
    let found = server.ask(&["stores", "scrub", "local", "--json"]);
    let found: serde_json::Value = serde_json::from_str(found.lines().last().unwrap()).unwrap();
    assert_eq!((&found["unreadable"], &found["copies"]), (&1.into(), &here.len().into()), "{found}");
    std::fs::remove_dir(path).unwrap();
    until("it is whole again", 120, async || (local(&server) == here).then_some(())).await;
    drop(stores);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_store_can_do_is_kept_and_shown() {
    let far = Fake::start(Profile::R2).await.unwrap();
    let server = Server::with(&section("far", &far, "")).await;
    let shown = until("it was tried", 60, async || {
        let store = told(&server, "far").await;
        store["tried"].is_string().then_some(store)
    })
    .await;
    let facts = shown["facts"].as_array().unwrap();
    assert!(
        facts.iter().any(|fact| fact == "it says the hash of what it stored, which is compared"),
        "{shown}"
    );
    let listed = server.tell(&["stores", "ls"]);
    assert!(listed.contains("far: a put that must not overwrite does not"), "{listed}");
    let video = upload(&server, &clips::mp4(2), "film.mp4").await.video;
    server.video_in(&video, &["ready"], 120).await;
    until("it was placed", 60, async || (unplaced(&server).await == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_nodes_one_reads_a_store_again() {
    let far = Fake::start(Profile::Aws).await.unwrap();
    let config = format!("[scrub]\nevery = \"1s\"\n{}", section("far", &far, ""));
    let Some(mut nodes) = Nodes::start_with(&config).await else { return };
    let mut server = nodes.add("a").await;
    let video = upload(&server, &clips::mp4(2), "film.mp4").await.video;
    server.video_in(&video, &["ready"], 120).await;
    until("everything is made and copied", 120, async || {
        let (_, jobs) = server.get("/v1/jobs?limit=100").await;
        let jobs = jobs["items"].as_array()?;
        let copied = jobs.iter().filter(|job| job["kind"] == "copy").count();
        (copied > 4 && jobs.iter().all(|job| job["state"] == "done")).then_some(())
    })
    .await;
    server.kill();
    // Before the next start, which tries the store with an object that goes again.
    let keys = far.keys();
    let before = far.journal().len();
    let began = Stopwatch::start();
    let (first, second) = (nodes.add("a").await, nodes.add("b").await);
    let reads = |key: &str| {
        let journal = far.journal();
        let reads = journal[before..].iter().filter(|entry| entry.call == Call::Get && entry.key == key);
        reads.count()
    };
    until("each was read again", 120, async || keys.iter().all(|key| reads(key) > 0).then_some(())).await;
    for server in [&first, &second] {
        assert_eq!(told(server, "far").await["objects"], keys.len());
    }
    assert_eq!(far.plates().len(), 1, "all nodes know it by one plate");
    // A node looks once a minute for what is due, and all is due again after a second.
    let counts: Vec<_> = keys.iter().map(|key| reads(key)).collect();
    let looks = 1 + usize::try_from(began.elapsed_ms() / 60_000).unwrap();
    assert!(counts.iter().all(|count| *count <= looks), "in {looks} looks: {counts:?}");
}

/// A film with so many MiB behind it that belong to nothing: as long as wanted, and encoded at once.
fn long(mib: usize) -> Vec<u8> {
    let mut bytes = clips::mp4(2);
    let free = mib << 20;
    bytes.extend(u32::try_from(free + 8).unwrap().to_be_bytes());
    bytes.extend(b"free");
    bytes.extend(crate::support::noise(7, free));
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_object_goes_on_where_it_was_and_memory_stays_bounded() {
    const PART_BYTES: usize = 8 << 20;
    const AT_ONCE: usize = 4;
    let mib = usize::try_from(crate::support::times("MATINEE_COPY_MIB", 160)).unwrap();
    let (service, bytes) = (Service::plain().await, long(mib));
    let server = Server::with(&service.store("far", "takes = [\"source\"]\n")).await;
    let video = upload(&server, &bytes, "long.mp4").await.video;
    let parts = || service.faults.parts.lock().unwrap().len();
    let count = bytes.len().div_ceil(PART_BYTES);
    until("half of it was sent", 240, async || (parts() >= count / 2).then_some(())).await;
    let first_kib = resident_kib(server.pid());
    let mut server = server;
    server.kill();
    let server = server.again().await;
    let found = || {
        let mut found = BTreeMap::new();
        collect(&service.path("copies"), &mut found);
        sorted(found.into_values())
    };
    let store = until("it is there, and proven", 240, async || {
        let store = told(&server, "far").await;
        (store["objects"] == 1 && store["waiting_objects"] == 0).then_some(store)
    })
    .await;
    assert_eq!(store["bytes"], bytes.len());
    assert_eq!(found(), [*blake3::hash(&bytes).as_bytes()]);
    let mut sent = service.faults.parts.lock().unwrap().clone();
    let all = sent.len();
    sent.sort_unstable();
    sent.dedup();
    assert_eq!(sent.len(), count);
    assert!(all <= count + AT_ONCE, "{all} parts were sent of {count}");
    let peak_kib = resident_kib(server.pid()).max(first_kib);
    eprintln!("measured: {mib} MiB, {all} parts of {count} sent, the server's peak {} MiB", peak_kib >> 10);
    assert!(peak_kib < 400 << 10, "{peak_kib} KiB");
    let left = std::fs::read_dir(service.path("").parent().unwrap()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).filter(|name| name != "films").collect();
    assert!(left.iter().all(|name| !name.to_str().unwrap().contains("upload")), "{left:?}");
    drop(video);
}
