//! A name that stands for another place than its rows mean: seen by the plate of the store, refused, said, and nothing is lost.

use std::path::Path;

use reqwest::Method;
use serde_json::Value;

use super::{PLATES, Stores, filmed, lasting, local, played, settled, told};
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::until;

/// A folder in the place of the one that a store had.
fn moved_to(stores: &Stores, name: &str, folder: &str) -> String {
    stores.config(folder, "").replace(&format!("name = \"{folder}\""), &format!("name = \"{name}\""))
}

fn plates(stores: &Stores, folder: &str) -> Vec<String> {
    let found = std::fs::read_dir(stores.root(folder).join(PLATES)).into_iter().flatten();
    found.map(|plate| plate.unwrap().file_name().into_string().unwrap()).collect()
}

async fn in_state(server: &Server, name: &str, state: &str) -> Value {
    until(&format!("{name} is {state}"), 60, async || {
        let store = told(server, name).await;
        (store["state"] == state).then_some(store)
    })
    .await
}

/// As somebody copies who knows nothing of plates.
fn copy_all(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_file() {
            std::fs::copy(&path, &target).unwrap();
        } else if !path.ends_with(PLATES) {
            std::fs::create_dir_all(&target).unwrap();
            copy_all(&path, &target);
        }
    }
}

#[tokio::test]
async fn a_name_that_stands_for_another_place_is_refused_and_nothing_is_lost() {
    let stores = Stores::new();
    let right = stores.config("far", "");
    let (mut server, video) = filmed(&right, 2).await;
    let all = settled(&server, "far", 60).await["objects"].as_u64().unwrap();
    let before = played(&server, &video).await;
    let plate = plates(&stores, "far");
    assert_eq!(plate.len(), 1);
    assert!(server.terminate(30).await.success());
    server.configure(&moved_to(&stores, "far", "attic"));
    let mut server = server.again().await;
    let found = in_state(&server, "far", "elsewhere").await;
    let why = found["error"].as_str().unwrap();
    assert!(why.contains(&format!("the {all} copies of `far`")) && why.contains("stores adopt far"), "{why}");
    assert!(played(&server, &video).await == before, "all else goes on");
    let listed = server.tell(&["stores", "ls"]);
    assert!(listed.contains("elsewhere") && listed.contains("stores lost far"), "{listed}");
    // What is deleted now is not proven gone by a place that never had it.
    let gone = server.request(Method::DELETE, &format!("/v1/videos/{video}")).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    until("it is gone here", 60, async || local(&server).is_empty().then_some(())).await;
    let proof = server.ask(&["gc", "prove", "--json"]);
    let mut lines = proof.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let proof = lines.find(|one| one["place"] == "far").unwrap();
    assert!(proof["unproven"].as_str().unwrap().contains("stores adopt far"), "{proof}");
    assert_eq!(Tables::open(&server.data()).await.owed_at("far").await, all);
    assert_eq!(std::fs::read_dir(stores.root("attic")).unwrap().count(), 0, "and nothing was put there");
    assert!(server.terminate(30).await.success());
    server.configure(&right);
    let server = server.again().await;
    in_state(&server, "far", "working").await;
    until("all of it goes from where it lies", 60, async || {
        let owed = Tables::open(&server.data()).await.owed_at("far").await;
        (owed == 0 && stores.files("far").is_empty()).then_some(())
    })
    .await;
    assert_eq!(plates(&stores, "far"), plate, "it is the same store");
}

#[tokio::test]
async fn what_was_brought_to_another_place_is_known_again_or_adopted() {
    let stores = Stores::new();
    let (mut server, _) = filmed(&stores.config("far", ""), 2).await;
    settled(&server, "far", 60).await;
    let all = lasting(&server).await;
    assert!(server.terminate(30).await.success());
    // A version that knew of no plates has filled it.
    std::fs::remove_dir_all(stores.root("far").join(PLATES)).unwrap();
    Tables::open(&server.data()).await.forget_plates().await;
    let mut server = server.again().await;
    until("it has a plate", 30, async || (plates(&stores, "far").len() == 1).then_some(())).await;
    in_state(&server, "far", "working").await;
    assert!(server.terminate(30).await.success());
    // All was copied by hand, but for the plate.
    server.configure(&moved_to(&stores, "far", "attic"));
    copy_all(&stores.root("far"), &stores.root("attic"));
    let mut server = server.again().await;
    until("it is known", 30, async || (plates(&stores, "attic").len() == 1).then_some(())).await;
    assert_eq!(plates(&stores, "attic"), plates(&stores, "far"));
    in_state(&server, "far", "working").await;
    assert!(server.terminate(30).await.success());
    // Nothing was brought along: somebody has to say that it is meant.
    server.configure(&moved_to(&stores, "far", "cellar"));
    let server = server.again().await;
    in_state(&server, "far", "elsewhere").await;
    let said = server.tell(&["stores", "adopt", "far"]);
    assert!(said.contains("stores scrub far"), "{said}");
    in_state(&server, "far", "working").await;
    let found = server.ask(&["stores", "scrub", "far", "--json"]);
    let found: Value = serde_json::from_str(found.lines().last().unwrap()).unwrap();
    assert_eq!(found["missing"], all.len(), "{found}");
    until("all is made again there", 120, async || (stores.hashes("cellar") == all).then_some(())).await;
    settled(&server, "far", 60).await;
}

#[tokio::test]
async fn a_disk_that_is_not_mounted_any_more_is_not_an_empty_store() {
    let stores = Stores::new();
    let (server, video) = filmed(&stores.config("far", ""), 2).await;
    let all = settled(&server, "far", 60).await["objects"].as_u64().unwrap();
    let (mounted, elsewhere) = (stores.root("far"), stores.root("unmounted"));
    std::fs::rename(&mounted, &elsewhere).unwrap();
    std::fs::create_dir(&mounted).unwrap();
    let found = server.ask(&["stores", "scrub", "far", "--json"]);
    assert_eq!(found, "", "nothing is called missing");
    let gone = server.request(Method::DELETE, &format!("/v1/videos/{video}")).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    in_state(&server, "far", "elsewhere").await;
    until("it is gone here", 60, async || local(&server).is_empty().then_some(())).await;
    assert_eq!(Tables::open(&server.data()).await.owed_at("far").await, all, "and not there");
    std::fs::remove_dir(&mounted).unwrap();
    std::fs::rename(&elsewhere, &mounted).unwrap();
    until("all of it goes when the disk is there again", 90, async || {
        let owed = Tables::open(&server.data()).await.owed_at("far").await;
        (owed == 0 && stores.files("far").is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn two_names_of_one_place_are_not_two_copies() {
    let stores = Stores::new();
    let copies = "[copies]\nsource = 2\nrendition = 2\nsmall = 2\n";
    let config = format!("{copies}{}{}", stores.config("far", ""), moved_to(&stores, "twin", "far"));
    let server = Server::with(&config).await;
    let (refused, other) = until("one of them is refused", 60, async || {
        let states = [told(&server, "far").await, told(&server, "twin").await];
        let at = states.iter().position(|store| store["state"] == "elsewhere")?;
        Some((states[at].clone(), states[1 - at]["id"].as_str().unwrap().to_owned()))
    })
    .await;
    let why = refused["error"].as_str().unwrap();
    assert!(why.contains(&format!("it is the place of the store `{other}`")), "{why}");
    assert_eq!(plates(&stores, "far").len(), 1);
    let said = server.ask(&["stores", "adopt", refused["id"].as_str().unwrap()]);
    assert_eq!(said, "", "nor is it adopted");
    in_state(&server, &other, "working").await;
}
