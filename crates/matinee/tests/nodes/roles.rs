//! Nodes that do only a part of the work.

use super::support::Nodes;
use crate::support::sender::upload;
use crate::support::{clips, until};

#[tokio::test]
async fn one_node_serves_and_another_one_works() {
    let Some(mut nodes) = Nodes::start().await else { return };
    nodes.only("web");
    let web = nodes.add("front").await;
    let sent = upload(&web, &clips::mp4(2), "shared.mp4").await;
    let waits = until("its first job says for whom it waits", 60, async || {
        let (_, list) = web.get(&format!("/v1/jobs?group=waiting&video={}", sent.video)).await;
        list["items"][0]["waits"]["code"].as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(waits, "no_node");

    nodes.only("worker");
    let worker = nodes.add("back").await;
    web.video_in(&sent.video, &["ready"], 120).await;
    assert_eq!(worker.get("/healthz").await.0, 200);
    for path in ["/", "/v1/server", "/v1/videos", "/files/"] {
        assert_eq!(worker.get(path).await.0, 404, "{path}");
    }
    let (_, listed) = web.get("/v1/nodes").await;
    let slots = |name: &str| {
        let mut nodes = listed["items"].as_array().unwrap().iter();
        nodes.find(|node| node["id"] == name).unwrap()["slots"]["chunk"].as_u64().unwrap()
    };
    assert!(slots("front") == 0 && slots("back") > 0, "{listed}");
}
