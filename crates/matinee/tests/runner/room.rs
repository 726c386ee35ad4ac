//! The memory of runners counts as that of nodes.

use serde_json::json;

use super::support::{Liar, Runner, report};
use super::{DONE_S, film};
use crate::support::sender::upload;
use crate::support::server::Server;
use crate::support::until;

#[tokio::test]
async fn what_fits_only_on_a_runner_is_done_there_and_what_fits_nowhere_says_so() {
    let small = "[workers]\nhere = false\nidentical = false\nmemory_bytes = 50_000_000\n";
    let server = Server::with(small).await;
    let sent = upload(&server, &film(), "nowhere.mp4").await;
    let refused = server.video_in(&sent.video, &["failed"], DONE_S).await;
    assert_eq!(refused["reason"]["code"], "needs_memory", "{refused}");
    assert!(refused["reason"]["human"].as_str().unwrap().contains("50 MB"), "{refused}");

    let _runner = Runner::start(&server);
    until("it is there", 60, async || {
        (server.tell(&["runner", "ls", "--json"]).contains("\"online\":true")).then_some(())
    })
    .await;
    let sent = upload(&server, &film(), "there.mp4").await;
    server.video_in(&sent.video, &["ready"], DONE_S).await;
}

#[tokio::test]
async fn a_runner_gets_no_more_than_its_memory_holds() {
    let server = Server::with("[workers]\nhere = false\nidentical = false\n").await;
    upload(&server, &film(), "room.mp4").await;
    let liar = Liar::register(&server).await;
    let mut poor = report();
    poor["memory_bytes"] = json!(65_000_000);
    let wish = |holding: &serde_json::Value| json!({ "run": "liar", "holding": [holding], "report": poor });
    let job = until("something small fits", DONE_S, async || {
        let (status, answer) = liar.post("/v1/runner/claim", &wish(&json!("none"))).await;
        (status == 200).then_some(answer)
    })
    .await;
    assert_ne!(job["task"]["kind"], "chunk", "a piece of the picture needs more: {job}");
    let (status, answer) = liar.post("/v1/runner/claim", &wish(&job["lease"]["id"])).await;
    assert_eq!(status, 204, "and nothing beside it: {answer}");
}
