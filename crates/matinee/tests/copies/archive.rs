//! Sources in an archive: given up here when they are proven there, brought back by a word or by the work that needs them.

use super::{Stores, filmed, local, told};
use crate::hosts::support::{Fakes, in_state, publish};
use crate::support::{clips, until};
use reqwest::Method;

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
