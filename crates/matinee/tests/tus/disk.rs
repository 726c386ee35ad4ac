//! A disk that is full: the refusal comes before the bytes, and when there is room again everything goes on.

use std::fs::File;
use std::path::PathBuf;

use reqwest::Method;

use super::breaks::padded;
use crate::support::invariants::{all_hold, no_byte_is_lost, nothing_remains};
use crate::support::raw::Raw;
use crate::support::sender::{create, head, resume, tus};
use crate::support::server::{Place, Server};

const MIB: usize = 1 << 20;
const CONFIG: &str = "[ingest]\nkeep_free_bytes = 16777216\n";

/// A server on a disk of 96 MiB, of which 16 must stay free.
async fn cramped() -> Option<Server> {
    let place = Place::new(CONFIG).on_small_disk(96);
    if place.is_none() {
        eprintln!("this machine does not let us mount a disk; the tests of the spool fill one in memory");
    }
    Some(Server::at(place?).await)
}

/// Takes so many bytes away from everybody; giving them back is removing the file.
fn fill(server: &Server, mib: usize) -> PathBuf {
    let path = server.data().join("filler");
    std::io::copy(
        &mut std::io::Read::take(std::io::repeat(1), (mib * MIB) as u64),
        &mut File::create(&path).unwrap(),
    )
    .unwrap();
    path
}

#[tokio::test]
async fn an_upload_waits_for_room_and_goes_on() {
    let Some(server) = cramped().await else { return };
    let creation = |len: usize| tus(&server, Method::POST, "/files/").header("Upload-Length", len).send();
    assert_eq!(creation(90 * MIB).await.unwrap().status(), 507);
    let bytes = padded(40 * MIB);
    let sent = create(&server, bytes.len() as u64, "patient.mp4").await;
    let filler = fill(&server, 50);
    // Nothing is lost by a client that sends all the same.
    let mut raw = Raw::patch(server.port, &sent.path, 0, bytes.len() as u64).await;
    raw.send(&bytes).await.unwrap();
    assert_eq!(raw.answer().await.map(|answer| answer.status), Some(507));
    assert_eq!(head(&server, &sent.path).await, 0);
    assert_eq!(creation(40 * MIB).await.unwrap().status(), 507);
    std::fs::remove_file(filler).unwrap();
    resume(&server, &sent, &bytes).await;
    server.video_in(&sent.video, &["ready", "failed"], 120).await;
    no_byte_is_lost(&server, &sent.video, &bytes).await;
    all_hold(&server).await;
}

#[tokio::test]
async fn a_body_of_unknown_length_ends_where_the_room_ends_and_leaves_nothing() {
    let Some(server) = cramped().await else { return };
    let filler = fill(&server, 40);
    let mut body =
        b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp4\"\r\n\r\n".to_vec();
    body.resize(body.len() + 60 * MIB, 7);
    body.extend(b"\r\n--x--\r\n");
    let request =
        server.request(Method::POST, "/upload").header("Content-Type", "multipart/form-data; boundary=x");
    assert_eq!(request.body(body).send().await.unwrap().status(), 507);
    assert!(server.get("/readyz").await.0 < 600, "and the database lives");
    nothing_remains(&server).await;
    std::fs::remove_file(filler).unwrap();
    create(&server, 40 * MIB as u64, "later.mp4").await;
}
