//! The faults of the integration that this one replaces, each as a test with its number (specs/capabilities, A1 to A7).

use http::Method;
use matinee_io::host::fake::Fault;
use serde_json::json;

use super::support::{
    Fakes, SOON_S, announce_at, empty, in_state, publication, publish, send_straight, shown,
};
use crate::encode::announced;
use crate::nodes::support::Nodes;
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::{clips, until};

/// Seconds after which the turn of a node that is gone is another's, and all is done that was due, on a loaded machine.
const TURN_OVER_S: u64 = 240;

#[tokio::test]
async fn a1_an_outage_marks_nothing_failed_for_ever() {
    let fakes = Fakes::start().await;
    let server = Server::with(&fakes.config()).await;
    let video = announced(&server, Some("both"), &clips::mp4(2)).await;
    for host in ["cf", "bn"] {
        in_state(&server, &video, host, "processing").await;
        fakes.trouble(host, "*", Fault::Status(500), u32::MAX);
        // Two days of the host's clock go by, and more answers are bad than the original took.
        fakes.frame(host).clock().pass(2 * 86_400_000);
    }
    until("it was asked sixteen times in vain", 120, async || {
        let vain =
            |host: &str| fakes.frame(host).calls().iter().filter(|call| call.status == Some(500)).count();
        (vain("cf") > 15 && vain("bn") > 15).then_some(())
    })
    .await;
    for host in ["cf", "bn"] {
        let waits = publication(&server, &video, host).await.unwrap();
        assert_eq!(waits["state"], "processing", "{waits}");
        assert!(waits["stalled_since"].is_string(), "{waits}");
        fakes.frame(host).calm();
        in_state(&server, &video, host, "ready").await;
    }
}

#[tokio::test]
async fn a2_one_list_tells_of_all_uploads_when_no_webhook_comes() {
    let fakes = Fakes::start().await;
    let server = Server::with(&fakes.config()).await;
    let mut videos = Vec::new();
    for _ in 0..5 {
        let video = announced(&server, Some("none"), &clips::mp4(2)).await;
        server.video_in(&video, &["ready"], 120).await;
        publish(&server, &video, "cf").await;
        in_state(&server, &video, "cf", "processing").await;
        videos.push(video);
    }
    let before = fakes.calls("cf", "status");
    fakes.encode();
    for video in &videos {
        in_state(&server, video, "cf", "ready").await;
    }
    assert!(fakes.calls("cf", "status") <= before + 1, "nobody was asked for one by one");
}

#[tokio::test]
async fn a3_an_error_of_the_host_is_shown_with_its_reason() {
    let fakes = Fakes::start().await;
    let server = Server::with(&fakes.config()).await;
    let video = announced(&server, Some("none"), &clips::mp4(2)).await;
    server.video_in(&video, &["ready"], 120).await;
    // What the host gets is no film.
    let source = Tables::open(&server.data()).await.source(&video).await;
    std::fs::write(crate::support::invariants::object_path(&server.data(), &source.object), "hello").unwrap();
    for (host, code) in [("cf", "host_err_non_video"), ("bn", "host_error")] {
        publish(&server, &video, host).await;
        let failed = in_state(&server, &video, host, "failed").await;
        assert_eq!(failed["reason"]["code"], code, "{failed}");
        assert!(!failed["reason"]["fix"].as_str().unwrap().is_empty());
    }
    // Nobody has to clean up.
    empty(&server, &fakes).await;
    assert_eq!(publication(&server, &video, "cf").await.unwrap()["state"], "failed", "it is still told");
}

#[tokio::test]
async fn a4_the_uploads_of_a_node_that_is_lost_for_ever_are_finished_by_another() {
    let fakes = Fakes::start().await;
    let Some(mut nodes) = Nodes::start_with(&fakes.patient()).await else { return };
    let clip = clips::mp4(2);
    let mut lost = nodes.add("a").await;
    let mut uploads = Vec::new();
    for host in ["cf", "bn"] {
        uploads.push(announce_at(&lost, host, clip.len()).await);
        uploads.push(announce_at(&lost, host, clip.len()).await);
    }
    // One is announced while its host is away, and one is sent before its node dies.
    fakes.trouble("bn", "*", Fault::Status(503), u32::MAX);
    let waiting = announce_at(&lost, "bn", clip.len()).await;
    assert_eq!(waiting["upload_url"], serde_json::Value::Null);
    send_straight(&uploads[0], &clip).await;
    let stays = nodes.add("b").await;
    lost.kill();
    fakes.bunny.frame().calm();
    for upload in &uploads[1..] {
        send_straight(upload, &clip).await;
    }
    let waiting = until("the other node has had it made", TURN_OVER_S, async || {
        Some(shown(&stays, &waiting).await).filter(|upload| upload["upload_url"].is_string())
    })
    .await;
    send_straight(&waiting, &clip).await;
    uploads.push(waiting);
    fakes.encode();
    for upload in &uploads {
        until("it is ready", TURN_OVER_S, async || {
            (shown(&stays, upload).await["state"] == "ready").then_some(())
        })
        .await;
    }
    assert_eq!((fakes.there("cf").len(), fakes.there("bn").len()), (2, 3), "each was made once");
    for upload in &uploads {
        let path = format!("/v1/videos/{}", upload["video_id"].as_str().unwrap());
        assert_eq!(stays.request(Method::DELETE, &path).send().await.unwrap().status(), 204);
    }
    until("nothing is left at the hosts", TURN_OVER_S, async || {
        (fakes.there("cf").is_empty() && fakes.there("bn").is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a5_a_server_that_ends_when_a_video_becomes_ready_tells_of_it_later() {
    let fakes = Fakes::start().await;
    let mut server = Server::with(&fakes.config()).await;
    let video = announced(&server, Some("both"), &clips::mp4(2)).await;
    in_state(&server, &video, "cf", "processing").await;
    in_state(&server, &video, "bn", "processing").await;
    server.kill();
    fakes.encode();
    let server = server.again().await;
    in_state(&server, &video, "cf", "ready").await;
    in_state(&server, &video, "bn", "ready").await;
    let (_, events) = server.get("/v1/events?after=0").await;
    assert_eq!(events.to_string().matches("\"publication.ready\"").count(), 2);
}

#[tokio::test]
async fn a6_and_a7_a_collection_or_an_app_that_is_deleted_leaves_nothing_at_a_host() {
    let fakes = Fakes::start().await;
    let house = crate::access::people::House::at(crate::support::server::Place::new(&fakes.config())).await;
    let scopes = ["upload:write", "video:read", "video:write", "admin"];
    let (app, token) = house.app("tenant", &scopes).await;
    for _ in 0..3 {
        let new = json!({ "size_bytes": clips::mp4(2).len(), "file_name": "film.mp4", "pipeline": "both" });
        let upload = house.announce(&token, new).await;
        let path = crate::access::people::path_of(&upload["upload_url"]);
        let sent = crate::support::sender::patch(&house.server, &path, 0, clips::mp4(2)).await;
        assert_eq!(sent.status(), 204);
    }
    until("all is at the hosts", 180, async || {
        let held = fakes.there("cf").len() + fakes.there("bn").len();
        (held == 6).then_some(())
    })
    .await;
    let server = house.server;
    let mut server = {
        let deleted = server
            .request(Method::DELETE, &format!("/v1/apps/{app}"))
            .bearer_auth(&house.admin)
            .send()
            .await
            .unwrap();
        assert_eq!(deleted.status(), 202);
        server
    };
    // Killed in the middle: either nothing is deleted yet, or all of it is in the ledger.
    server.kill();
    let server = server.again().await;
    empty(&server, &fakes).await;
    until("the app is gone", SOON_S, async || {
        let answer = server.request(Method::GET, &format!("/v1/apps/{app}")).bearer_auth(&house.admin);
        (answer.send().await.unwrap().status() == 404).then_some(())
    })
    .await;
}
