//! One video waits for something outside, and the others go on; each step waits by itself.

use matinee_io::host::fake::Fault;
use matinee_io::store::fake::{Call, Fault as StoreFault, Trouble};
use serde_json::Value;

use super::{HOOK, Outside, SOON_S, encoding};
use crate::support::sender::upload;
use crate::support::server::Server;
use crate::support::{clips, until};

/// The state of a video at the host.
async fn at_host(server: &Server, video: &str) -> Value {
    let (_, shown) = server.get(&format!("/v1/videos/{video}")).await;
    shown["publications"][0]["state"].clone()
}

#[tokio::test]
async fn an_archive_that_is_away_holds_up_neither_host_nor_other_videos_and_nothing_is_told_too_early() {
    let mut outside = Outside::start().await;
    let server = outside.server().await;
    let clip = clips::faststart(2);
    for call in [Call::Put, Call::Begin] {
        outside.b2.fail(StoreFault::always(call, Trouble::SlowDown));
    }
    let first = upload(&server, &clip, "first.mp4").await.video;
    let second = upload(&server, &clip, "second.mp4").await.video;
    let both = async || {
        let there = [at_host(&server, &first).await, at_host(&server, &second).await];
        there.iter().all(|state| state == "ready").then_some(())
    };
    tokio::select! {
        () = until("both are at the host", SOON_S, both) => {}
        () = encoding(&outside) => unreachable!("because the host encodes for ever"),
    }
    assert!(outside.site.of(HOOK).is_empty(), "the archive does not have them");
    outside.b2.mend();
    let told = outside.told(2).await;
    for message in &told {
        outside.holds(&server, &message.json(), &clip).await;
    }
    outside.counts(2, 2 * clip.len() as u64);
}

#[tokio::test]
async fn a_video_that_a_host_does_not_take_yet_lets_the_next_one_pass() {
    let mut outside = Outside::start().await;
    let server = outside.server().await;
    let clip = clips::faststart(2);
    // All tries of the first attempt; the next one comes later.
    outside.trouble("tus append", Fault::Status(500), 4);
    let first = upload(&server, &clip, "first.mp4").await.video;
    until("it could not be sent", SOON_S, async || (outside.calls("tus append") >= 4).then_some(())).await;
    let second = upload(&server, &clip, "second.mp4").await.video;
    let passed = async || (at_host(&server, &second).await == "ready").then_some(());
    tokio::select! {
        () = until("the second is at the host", SOON_S, passed) => {}
        () = encoding(&outside) => unreachable!("because the host encodes for ever"),
    }
    let (_, jobs) = server.get("/v1/jobs?limit=100").await;
    let waiting = jobs["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|job| job["video_id"] == first.as_str() && job["kind"] == "publish");
    let state = at_host(&server, &first).await;
    assert!(state != "failed", "it waits: {waiting:?}");
    tokio::select! {
        told = outside.told(2) => assert_eq!(told.len(), 2),
        () = encoding(&outside) => unreachable!("because the host encodes for ever"),
    }
}
