//! A bucket as a source, against a real S3 server with a bucket on the disk.

use std::sync::atomic::Ordering;

use serde_json::Value;

use crate::support::invariants::no_byte_is_lost;
use crate::support::s3::Service;
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::{clips, noise, until};

async fn uploads(server: &Server) -> Vec<Value> {
    server.get("/v1/uploads?limit=100").await.1["items"].as_array().unwrap().clone()
}

/// Waits until the only upload is in this state.
async fn one_in(server: &Server, state: &str) -> Value {
    until(&format!("one upload is {state}"), 120, async || {
        uploads(server).await.into_iter().find(|upload| upload["state"] == state)
    })
    .await
}

#[tokio::test]
async fn each_object_becomes_a_video_once_and_other_keys_are_left_alone() {
    let service = Service::start().await;
    let clip = clips::mp4(2);
    service.put("in/term 1/film.mp4", &clip);
    service.put("in/notes.txt", b"notes");
    service.put("in/.half.mp4", b"half");
    service.put("elsewhere/film.mp4", &clip);
    let server = Server::with(&service.config("in/", "")).await;
    let upload = one_in(&server, "ready").await;
    assert_eq!(upload["title"], "film");
    no_byte_is_lost(&server, upload["video_id"].as_str().unwrap(), &clip).await;
    // After a restart the bucket is looked through again, and the row says that it was taken.
    let server = server.again().await;
    let seen = service.faults.pages.load(Ordering::Relaxed);
    until("it was looked through again", 30, async || {
        (service.faults.pages.load(Ordering::Relaxed) > seen).then_some(())
    })
    .await;
    assert_eq!(uploads(&server).await.len(), 1);
    // Other bytes under the same key are another original.
    service.put("in/term 1/film.mp4", &clips::mp4(3));
    until("the new bytes are taken", 60, async || (uploads(&server).await.len() == 2).then_some(())).await;
}

#[tokio::test]
async fn a_cut_connection_goes_on_where_it_was_and_a_killed_server_too() {
    let service = Service::start().await;
    let bytes = noise(11, 24 << 20);
    service.put("film.mp4", &bytes);
    service.faults.cut_after.store(9 << 20, Ordering::Relaxed);
    // Slow enough for several commits.
    service.faults.slow_ms.store(40, Ordering::Relaxed);
    let mut server = Server::with(&service.config("", "")).await;
    until("bytes are durable", 60, async || {
        uploads(&server).await.iter().any(|upload| upload["offset_bytes"].as_u64() > Some(0)).then_some(())
    })
    .await;
    server.kill();
    service.faults.slow_ms.store(0, Ordering::Relaxed);
    let server = server.again().await;
    let upload = one_in(&server, "failed").await;
    assert_eq!(upload["offset_bytes"], bytes.len(), "all of it came, and is no film");
    let video = upload["video_id"].as_str().unwrap();
    no_byte_is_lost(&server, video, &bytes).await;
    let mut tables = Tables::open(&server.data()).await;
    let object = tables.source(video).await.object;
    assert_eq!(tables.hashes(&object).await.0, Some(blake3::hash(&bytes).as_bytes().to_vec()));
    let reads = service.faults.reads.lock().unwrap().clone();
    assert!(reads.iter().filter(|first| **first > 0).count() >= 2, "it went on: {reads:?}");
    assert!(!reads[1..].contains(&0), "it never began again: {reads:?}");
}

#[tokio::test]
async fn an_object_that_changes_while_it_is_read_is_given_up_and_taken_anew() {
    let service = Service::start().await;
    service.put("film.mp4", &noise(12, 24 << 20));
    service.faults.cut_after.store(4 << 20, Ordering::Relaxed);
    let server = Server::with(&service.config("", "")).await;
    until("it is being read", 60, async || (!service.faults.reads.lock().unwrap().is_empty()).then_some(()))
        .await;
    let clip = clips::mp4(2);
    service.put("film.mp4", &clip);
    service.faults.cut_after.store(0, Ordering::Relaxed);
    let given_up = one_in(&server, "failed").await;
    assert_eq!(given_up["reason"]["code"], "object_changed", "{given_up}");
    let taken = one_in(&server, "ready").await;
    no_byte_is_lost(&server, taken["video_id"].as_str().unwrap(), &clip).await;
}

#[tokio::test]
async fn afterwards_an_object_is_deleted_or_moved_if_it_became_a_video() {
    for (after, left) in [("delete", None), ("move:taken", Some("taken/term 1/film.mp4"))] {
        let service = Service::start().await;
        service.put("in/term 1/film.mp4", &clips::mp4(2));
        service.put("in/text.mp4", b"this is no film");
        let server = Server::with(&service.config("in/", &format!("after = \"{after}\""))).await;
        one_in(&server, "ready").await;
        one_in(&server, "failed").await;
        until("the object goes", 60, async || (!service.path("in/term 1/film.mp4").exists()).then_some(()))
            .await;
        if let Some(left) = left {
            until("it lies elsewhere", 20, async || service.path(left).exists().then_some(())).await;
        }
        assert!(service.path("in/text.mp4").exists(), "what cannot be played stays");
    }
}

#[tokio::test]
async fn more_objects_than_a_page_are_all_seen() {
    let service = Service::start().await;
    // What is no media is only listed, so that the page matters and not the work.
    for number in 0..1_003 {
        service.put(&format!("{number:05}.txt"), b"x");
    }
    service.put("zz.mp4", b"the last one");
    let server = Server::with(&service.config("", "")).await;
    assert_eq!(one_in(&server, "failed").await["title"], "zz");
    assert!(service.faults.pages.load(Ordering::Relaxed) >= 2);
}

#[tokio::test]
async fn a_wrong_key_is_said_in_the_log_and_no_secret_with_it() {
    let service = Service::start().await;
    let config = service.config("", "").replace("secret-of-the-test", "another-secret");
    let server = Server::with(&config).await;
    until("it is said", 30, async || server.logged().contains("could not be looked through").then_some(()))
        .await;
    assert!(!server.logged().contains("another-secret"));
}
