//! Hosts that fetch what they get from us by themselves: once, whatever is lost between; and what they do not fetch is sent.

use matinee_io::host::fake::Fault;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::support::{Fakes, Relay, SOON_S, in_state, nothing_is_left, publication};
use crate::encode::announced;
use crate::support::server::Server;
use crate::support::{clips, until};

const HOSTS: [&str; 2] = ["cf", "bn"];

/// Waits until both hosts have the file, and lets them encode it.
async fn encoded(server: &Server, fakes: &Fakes, video: &str) {
    for host in HOSTS {
        in_state(server, video, host, "processing").await;
    }
    fakes.encode();
    for host in HOSTS {
        in_state(server, video, host, "ready").await;
    }
}

#[tokio::test]
async fn a_host_fetches_what_it_is_told_and_nothing_is_sent() {
    let (fakes, relay) = (Fakes::start().await, Relay::start().await);
    let server = Server::with(&fakes.pulling(&relay.url)).await;
    relay.lead(&server);
    let clip = clips::mp4(2);
    let video = announced(&server, Some("both"), &clip).await;
    server.video_in(&video, &["ready"], 120).await;
    encoded(&server, &fakes, &video).await;
    for host in HOSTS {
        assert_eq!(fakes.received(host, 0), Some(Sha256::digest(&clip).into()), "{host}");
        assert_eq!(["pull", "create", "tus append"].map(|call| fakes.calls(host, call)), [1, 0, 0], "{host}");
        let shown = publication(&server, &video, host).await.unwrap();
        assert_eq!((&shown["hand_over"], &shown["pull_refused"]), (&json!("pull"), &json!(null)), "{shown}");
    }
    nothing_is_left(&server, &fakes, &video).await;
    fakes.understood();
}

#[tokio::test]
async fn what_a_host_does_not_fetch_is_sent_and_says_why() {
    // Nobody is reached there; and Bunny does not even try.
    let (fakes, relay) = (Fakes::start().await, Relay::start().await);
    let server = Server::with(&fakes.pulling(&relay.url)).await;
    fakes.trouble("bn", "pull", Fault::Says(400, r#"{"success":false,"message":"not this one"}"#), 1);
    let clip = clips::mp4(2);
    let video = announced(&server, Some("both"), &clip).await;
    server.video_in(&video, &["ready"], 120).await;
    encoded(&server, &fakes, &video).await;
    for (host, code, word) in [
        ("cf", "host_err_fetch_origin_error", "could not be fetched"),
        ("bn", "host_pull_refused", "not this one"),
    ] {
        let shown = publication(&server, &video, host).await.unwrap();
        assert_eq!(
            (&shown["hand_over"], &shown["pull_refused"]["code"]),
            (&json!("push"), &json!(code)),
            "{shown}"
        );
        assert!(shown["pull_refused"]["human"].as_str().unwrap().contains(word), "{shown}");
        assert_eq!(fakes.calls(host, "pull"), 1, "{host}");
        until("what is left of the first try is gone", SOON_S, async || {
            (fakes.there(host).len() == 1).then_some(())
        })
        .await;
        assert_eq!(fakes.received(host, 0), Some(Sha256::digest(&clip).into()), "{host}");
    }
    nothing_is_left(&server, &fakes, &video).await;
    fakes.understood();
}

#[tokio::test]
async fn a_kill_between_the_question_and_its_answer_makes_nothing_twice() {
    let (fakes, relay) = (Fakes::start().await, Relay::start().await);
    let mut server = Server::with(&fakes.pulling(&relay.url)).await;
    relay.lead(&server);
    for host in HOSTS {
        fakes.trouble(host, "pull", Fault::Hangs, 1);
    }
    let clip = clips::mp4(2);
    let video = announced(&server, Some("both"), &clip).await;
    let all: [u8; 32] = Sha256::digest(&clip).into();
    for host in HOSTS {
        until("the host has it, and nobody knows", SOON_S, async || {
            (fakes.received(host, 0) == Some(all)).then_some(())
        })
        .await;
        assert_eq!(publication(&server, &video, host).await.unwrap()["remote_id"], json!(null), "{host}");
    }
    server.kill();
    let server = server.again().await;
    relay.lead(&server);
    encoded(&server, &fakes, &video).await;
    for host in HOSTS {
        assert_eq!(fakes.there(host).len(), 1, "{host}");
        assert_eq!(["pull", "create"].map(|call| fakes.calls(host, call)), [1, 0], "{host}");
        assert_eq!(publication(&server, &video, host).await.unwrap()["hand_over"], "pull", "{host}");
    }
    nothing_is_left(&server, &fakes, &video).await;
}
