//! Sources in an archive: given up here when they are proven there, brought back by a word or by the work that needs them.

use super::bucket::section;
use super::{Stores, filmed, local, told};
use crate::hosts::support::{Fakes, in_state, publish};
use crate::support::{clips, until};
use matinee_io::store::fake::{Fake, Profile};
use reqwest::Method;
use serde_json::Value;

#[tokio::test]
async fn a_source_leaves_for_the_archive_and_comes_back_when_it_is_needed() {
    let stores = Stores::new();
    let config =
        format!("[archive]\nlocal_sources = \"0s\"\n{}", stores.config("deep", "class = \"archive\""));
    let (server, video) = filmed(&config, 4).await;
    let source = *blake3::hash(&clips::mp4(4)).as_bytes();
    until("the source is in the archive only", 240, async || {
        (!local(&server).contains(&source) && told(&server, "local").await["leaving_objects"] == 0)
            .then_some(())
    })
    .await;
    assert_eq!(stores.hashes("deep"), [source], "the source, and nothing but the source");
    let (_, shown) = server.get(&format!("/v1/videos/{video}")).await;
    assert_eq!(shown["source"]["size_bytes"], clips::mp4(4).len(), "{shown}");
    let again =
        server.request(Method::POST, &format!("/v1/videos/{video}/encode")).json(&serde_json::json!({}));
    let again = again.send().await.unwrap();
    assert!(again.status().is_success(), "{}", again.text().await.unwrap());
    until("it is encoded again", 240, async || {
        let (_, playback) = server.get(&format!("/v1/videos/{video}/playback")).await;
        playback["hls"].as_str()?.contains("/3/").then_some(())
    })
    .await;
    assert!(local(&server).contains(&source), "it was brought back, and stays for a while");
    let restored = server.tell(&["videos", "restore", &video]);
    assert!(restored.contains("is here"), "{restored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_an_archive_has_is_published_all_the_same() {
    let (stores, fakes) = (Stores::new(), Fakes::start().await);
    let archive = stores.config("deep", "class = \"archive\"");
    let config = format!("{}[archive]\nlocal_sources = \"0s\"\n{archive}", fakes.config());
    let (server, video) = filmed(&config, 2).await;
    let source = *blake3::hash(&clips::mp4(2)).as_bytes();
    until("the source is in the archive only", 240, async || {
        (!local(&server).contains(&source) && told(&server, "local").await["leaving_objects"] == 0)
            .then_some(())
    })
    .await;
    publish(&server, &video, "cf").await;
    in_state(&server, &video, "cf", "processing").await;
    assert!(local(&server).contains(&source), "it was brought back to be sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_thawed_is_proven_by_what_its_store_says_of_it() {
    let deep = Fake::start(Profile::Aws).await.unwrap();
    let archive = section("deep", &deep, "class = \"archive\"\nstorage_class = \"GLACIER\"");
    let (server, video) = filmed(&format!("[archive]\nlocal_sources = \"0s\"\n{archive}"), 2).await;
    let source = *blake3::hash(&clips::mp4(2)).as_bytes();
    until("the source is in the archive only", 240, async || {
        (!local(&server).contains(&source) && told(&server, "local").await["leaving_objects"] == 0)
            .then_some(())
    })
    .await;
    assert_eq!(told(&server, "deep").await["objects"], 1);
    let (_, objects) = server.get(&format!("/v1/videos/{video}/objects")).await;
    let copy = objects["items"].as_array().unwrap().iter().find(|one| one["store"] == "deep").unwrap();
    let sha256 = matinee_core::hash::hex(&<sha2::Sha256 as sha2::Digest>::digest(clips::mp4(2)));
    assert_eq!(copy["sha256"], sha256, "{copy}");
    let scrubbed = |word: &str| {
        let found = server.ask(&["stores", "scrub", "deep", "--json"]);
        let found: Value = serde_json::from_str(found.lines().last().unwrap()).unwrap();
        (found["copies"].clone(), found[word].clone())
    };
    assert_eq!(
        scrubbed("unreadable"),
        (1.into(), 0.into()),
        "it is asked for what it has, and not for its bytes"
    );
    // It cannot come back before somebody has it thawed.
    let coming = server.tell(&["videos", "restore", &video]);
    assert!(!coming.contains("is here"), "{coming}");
    deep.thaw();
    until("it is here again", 120, async || local(&server).contains(&source).then_some(())).await;
    deep.cut(&deep.keys()[0], 5);
    assert_eq!(scrubbed("short"), (1.into(), 1.into()));
    assert_eq!(deep.unexpected(), Vec::<String>::new());
}
