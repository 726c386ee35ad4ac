//! A server that stops: what is nearly done comes to its end, the rest is given back, and nothing is encoded twice.

use super::{detail, in_group, outcomes};
use crate::support::clips;
use crate::support::invariants::all_hold;
use crate::support::sender::upload;
use crate::support::server::Server;
use crate::support::until;

/// Four chunks that take a few seconds each.
fn clip() -> Vec<u8> {
    clips::sized("1280x720", 24)
}

async fn chunks(server: &Server) -> Vec<String> {
    until("the video is planned", 60, async || {
        let (_, list) = server.get("/v1/jobs?limit=100").await;
        let jobs = list["items"].as_array()?.iter().filter(|job| job["kind"] == "chunk");
        let ids: Vec<_> = jobs.map(|job| job["id"].as_str().unwrap().to_owned()).collect();
        (!ids.is_empty()).then_some(ids)
    })
    .await
}

#[tokio::test]
async fn a_server_that_stops_waits_for_what_is_nearly_done() {
    let mut server = Server::with("[workers]\nchunks = 1\nfinish_within = \"120s\"\n").await;
    let sent = upload(&server, &clip(), "stop.mp4").await;
    // Long enough to be no guess, and far from done.
    let running = in_group(&server, "running", 60, |job| {
        let done = job["progress"].as_f64().unwrap();
        job["kind"] == "chunk" && (0.2..0.8).contains(&done) && job["fps"].is_number()
    })
    .await;
    let job = running["id"].as_str().unwrap();
    assert!(running["fps"].as_f64().unwrap() > 0.0 && running["left_s"].is_number(), "{running}");
    assert!(server.terminate(120).await.success());
    let server = server.again().await;
    let seen = detail(&server, job).await;
    let nearly = outcomes(&seen);
    server.video_in(&sent.video, &["ready"], 240).await;
    // One that had run for less than two seconds was given back, which costs as little.
    assert!(nearly == ["done"] || nearly[0] == "returned", "{seen}");
    all_hold(&server).await;
}

#[tokio::test]
async fn a_chunk_that_was_finished_is_not_encoded_again_by_a_restart() {
    let mut server = Server::with("[workers]\nfinish_within = \"1s\"\n").await;
    let sent = upload(&server, &clip(), "restarts.mp4").await;
    let chunks = chunks(&server).await;
    assert!(chunks.len() > 3, "{chunks:?}");
    for restart in 0..3 {
        // Each time one chunk more is done.
        until(&format!("{restart} chunks are done"), 120, async || {
            let (_, list) = server.get("/v1/jobs?state=done&limit=100").await;
            let done = list["items"].as_array()?.iter().filter(|job| job["kind"] == "chunk").count();
            (done >= restart).then_some(())
        })
        .await;
        assert!(server.terminate(30).await.success());
        server = server.again().await;
    }
    server.video_in(&sent.video, &["ready"], 240).await;
    let mut given_back = 0;
    for job in &chunks {
        let seen = detail(&server, job).await;
        let ends = outcomes(&seen);
        let (last, before) = ends.split_last().unwrap();
        assert_eq!(*last, "done", "{seen}");
        assert!(before.iter().all(|end| *end == "returned"), "neither lost nor done twice: {ends:?}");
        given_back += before.len();
    }
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    assert!(given_back <= 3 * workers, "each restart costs at most what was in hand: {given_back}");
    all_hold(&server).await;
}
