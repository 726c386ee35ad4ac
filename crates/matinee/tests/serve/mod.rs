//! The life of the process: a quick start, an orderly stop, and clear words when it cannot serve.

mod captions;

use std::time::Duration;

use crate::support::invariants::{all_hold, no_byte_is_lost};
use crate::support::process::{resident_kib, working_in};
use crate::support::sender::upload;
use crate::support::server::{Place, Server};
use crate::support::{clips, until};

#[tokio::test]
async fn a_fresh_start_needs_no_configuration() {
    let started = tokio::time::Instant::now();
    let server = Server::start().await;
    let took = started.elapsed();
    let (status, about) = server.get("/v1/server").await;
    assert_eq!((status, &about["claimed"]), (200, &false.into()));
    assert_eq!(server.get("/healthz").await.0, 200);
    assert_eq!(server.get("/readyz").await.0, 200);
    // Printed and not asserted: a loaded machine is not the product's fault.
    eprintln!("ready after {took:?}, {} KiB resident", resident_kib(server.pid()));
    let mut server = server;
    assert!(server.terminate(15).await.success());
}

#[tokio::test]
async fn a_stop_puts_the_work_away_and_the_next_start_goes_on() {
    let mut server = Server::start().await;
    let bytes = clips::sized("640x360", 12);
    let sent = upload(&server, &bytes, "stop.mp4").await;
    let data = server.data();
    until("an encoder runs", 60, async || (!working_in(&data, Some(server.pid())).is_empty()).then_some(()))
        .await;
    let status = server.terminate(30).await;
    assert_eq!(status.code(), Some(0));
    assert!(working_in(&data, None).is_empty(), "no encoder is left");
    assert_eq!(std::fs::read_dir(data.join("work")).unwrap().count(), 0, "no scratch is left");
    let server = server.again().await;
    server.video_in(&sent.video, &["ready"], 180).await;
    no_byte_is_lost(&server, &sent.video, &bytes).await;
    all_hold(&server).await;
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_a_stop() {
    let mut server = Server::start().await;
    let mut idle = crate::support::raw::Raw::connect(server.port).await;
    let stopped = tokio::time::timeout(Duration::from_secs(10), server.terminate(15)).await;
    assert!(stopped.expect("because an idle connection is closed").success());
    idle.closed().await;
}

#[tokio::test]
async fn an_unknown_key_is_named_with_the_nearest_one() {
    let place = Place::new("[uploads]\nidle_timout = \"24h\"\n");
    let mut running = place.spawn("key");
    assert_eq!(running.ended(30).await.code(), Some(1));
    let logged = running.logged();
    assert!(logged.contains("uploads.idle_timout") && logged.contains("uploads.idle_timeout"), "{logged}");
    let place = Place::new("").setting("MATINEE_UPLOADS__MAX_BITES", "5");
    let mut running = place.spawn("env");
    assert_eq!(running.ended(30).await.code(), Some(1));
    let logged = running.logged();
    assert!(logged.contains("environment") && logged.contains("uploads.max_bytes"), "{logged}");
}

#[tokio::test]
async fn an_address_in_use_is_said() {
    let server = Server::start().await;
    let address = format!("127.0.0.1:{}", server.port);
    let place = Place::new("").flags(&["--listen", &address]);
    let mut second = place.spawn("second");
    assert_eq!(second.ended(30).await.code(), Some(1));
    assert!(second.logged().contains("--listen"), "{}", second.logged());
}

#[tokio::test]
async fn one_process_serves_a_data_directory() {
    let server = Server::start().await;
    let mut rival = server.rival();
    assert_eq!(rival.ended(30).await.code(), Some(1));
    assert!(rival.logged().contains("serves the data directory"), "{}", rival.logged());
    assert_eq!(server.get("/healthz").await.0, 200, "the first one goes on");
    // The lock goes with its holder, however that ends.
    let mut server = server;
    server.kill();
    assert_eq!(server.again().await.get("/healthz").await.0, 200);
}
