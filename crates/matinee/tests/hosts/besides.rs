//! What hosts have of a video besides: our captions as they are now, and the whole as a file.

use std::collections::BTreeMap;

use http::Method;
use matinee_io::host::fake::Fault;
use serde_json::json;

use super::support::{Fakes, SOON_S, in_state, nothing_is_left, publication};
use crate::encode::announced;
use crate::support::server::Server;
use crate::support::{clips, until};

const HOSTS: [&str; 2] = ["cf", "bn"];

fn words(text: &str) -> String {
    format!("WEBVTT\n\n00:00.000 --> 00:01.000\n{text}\n")
}

async fn say(server: &Server, video: &str, language: &str, text: &str) {
    let path = format!("/v1/videos/{video}/captions/{language}");
    let request = server.request(Method::PUT, &path).header("content-type", "text/vtt").body(words(text));
    assert_eq!(request.send().await.unwrap().status(), 200);
}

/// Waits until a host has these captions, each with these words, and nothing else.
async fn hears(fakes: &Fakes, host: &str, expected: &[(&str, &str)]) {
    until(&format!("{host} has {expected:?}"), SOON_S, async || {
        let there = fakes.captions(host);
        let fits =
            |(language, text): &(&str, &str)| there.get(*language).is_some_and(|one| one.contains(text));
        (there.len() == expected.len() && expected.iter().all(fits)).then_some(())
    })
    .await;
}

impl Fakes {
    /// The captions of the only video at a host.
    fn captions(&self, host: &str) -> BTreeMap<String, String> {
        let Some(id) = self.there(host).into_iter().next() else { return BTreeMap::new() };
        if host == "cf" { self.cloudflare.captions(&id) } else { self.bunny.captions(&id) }
    }
}

#[tokio::test]
async fn captions_follow_a_video_to_its_hosts_change_there_and_go() {
    let fakes = Fakes::start().await;
    let server = Server::with(&fakes.config()).await;
    let video = announced(&server, Some("both"), &clips::mp4(2)).await;
    server.video_in(&video, &["ready"], 120).await;
    say(&server, &video, "sv", "Hej").await;
    say(&server, &video, "en", "Hello").await;
    for host in HOSTS {
        in_state(&server, &video, host, "processing").await;
        assert_eq!(fakes.captions(host), BTreeMap::new(), "nobody watches there yet");
    }
    fakes.encode();
    for host in HOSTS {
        hears(&fakes, host, &[("en", "Hello"), ("sv", "Hej")]).await;
    }
    say(&server, &video, "en", "Good evening").await;
    let path = format!("/v1/videos/{video}/captions/sv");
    assert_eq!(server.request(Method::DELETE, &path).send().await.unwrap().status(), 204);
    for host in HOSTS {
        hears(&fakes, host, &[("en", "Good evening")]).await;
    }
    // What a host does not take is said, and the rest goes on.
    for host in HOSTS {
        fakes.trouble(host, "captions", Fault::Status(400), 1);
    }
    say(&server, &video, "de", "Guten Abend").await;
    for host in HOSTS {
        let shown = until("it says why", SOON_S, async || {
            let shown = publication(&server, &video, host).await?;
            (shown["captions"].as_array()?.len() == 2).then_some(shown)
        })
        .await;
        assert_eq!(shown["captions"][1], json!({ "language": "en", "refused": null }), "{shown}");
        assert!(shown["captions"][0]["refused"].as_str().is_some_and(|why| why.contains("400")), "{shown}");
    }
    say(&server, &video, "de", "Gute Nacht").await;
    for host in HOSTS {
        hears(&fakes, host, &[("de", "Gute Nacht"), ("en", "Good evening")]).await;
    }
    nothing_is_left(&server, &fakes, &video).await;
    fakes.understood();
}

#[tokio::test]
async fn a_file_is_asked_for_where_that_is_wished_and_shown_when_it_is_there() {
    let fakes = Fakes::start().await;
    let config = fakes.config().replace("customer = ", "downloads = true\ncustomer = ");
    let server = Server::with(&config).await;
    let clip = clips::mp4(2);
    let video = announced(&server, Some("both"), &clip).await;
    server.video_in(&video, &["ready"], 120).await;
    for host in HOSTS {
        in_state(&server, &video, host, "processing").await;
    }
    fakes.encode();
    let download = async |state: &str| {
        until(&format!("the file is {state}"), SOON_S, async || {
            let shown = publication(&server, &video, "cf").await?["download"].clone();
            (shown["state"] == state).then_some(shown)
        })
        .await
    };
    let making = download("making").await;
    assert_eq!((&making["percent"], &making["url"]), (&json!(39), &json!(null)));
    fakes.encode();
    let ready = download("ready").await;
    assert!(ready["url"].as_str().is_some_and(|url| url.ends_with("/downloads/default.mp4")), "{ready}");
    assert_eq!(publication(&server, &video, "bn").await.unwrap()["download"], json!(null));
    nothing_is_left(&server, &fakes, &video).await;
    fakes.understood();
}
