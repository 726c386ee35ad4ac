//! Runners with an encoder in hardware: the server without one plans for it, and takes a video back when it fails there.

use super::support::{ELSEWHERE, Runner, invited};
use crate::support::card::{Card, Mode};
use crate::support::clips;
use crate::support::invariants::{all_hold, plays};
use crate::support::server::Server;
use crate::support::until;

const ALLOWED: &str = "[[pipeline]]\nname = \"default\"\nhardware = true\nsizes = [360, 240]\n";

#[tokio::test]
async fn a_runner_with_a_card_encodes_by_it_until_it_fails() {
    let card = Card::new(Mode::Good);
    let server = Server::with(&format!("{ALLOWED}{ELSEWHERE}")).await;
    let settings = card.config_file();
    let runner =
        Runner::start_at(&server.url(""), &invited(&server), &[], &["--config", settings.to_str().unwrap()]);
    until("the runner says what it has", 90, async || {
        let listed = server.tell(&["runner", "ls", "--json"]);
        let one: serde_json::Value = serde_json::from_str(listed.lines().next()?).unwrap();
        one["engines"][0].as_str().filter(|text| text.starts_with("vaapi-")).map(drop)
    })
    .await;
    let film = clips::sized("640x360", 12);
    let sent = crate::support::sender::upload(&server, &film, "one.mp4").await;
    server.video_in(&sent.video, &["ready"], 240).await;
    let replanned = async || {
        let (_, events) = server.get("/v1/events?limit=100").await;
        let all = events["items"].as_array().unwrap().clone();
        all.into_iter().filter(|event| event["topic"] == "video.replanned").collect::<Vec<_>>()
    };
    assert!(replanned().await.is_empty(), "{:?}", replanned().await);

    card.becomes(Mode::Refuses);
    let sent = crate::support::sender::upload(&server, &film, "two.mp4").await;
    server.video_in(&sent.video, &["ready"], 240).await;
    let told = replanned().await;
    let reason = told[0]["payload"]["reason"].as_str().unwrap();
    assert!(reason.contains("the driver refused: No VA display found"), "{reason}");
    assert!(plays(&server, &sent.video).await > 0);
    all_hold(&server).await;
    drop(runner);
}
