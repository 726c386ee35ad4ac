//! Requests that are refused or ended: before their bytes move where that is possible, and in words that arrive.

use std::time::Duration;

use reqwest::Method;

use crate::support::noise;
use crate::support::raw::{Answer, Raw};
use crate::support::sender::{create, head, patch, tus};
use crate::support::server::Server;

/// What a client sends that does not listen before it has sent everything.
const DEAF_BYTES: usize = 50_000_000;

/// Sends a whole PATCH without a look at the answer, and only then reads it.
async fn deaf(raw: &mut Raw) -> Answer {
    let piece = vec![7; 1 << 20];
    for start in (0..DEAF_BYTES).step_by(piece.len()) {
        raw.send(&piece[..piece.len().min(DEAF_BYTES - start)]).await.expect("because the server reads on");
    }
    raw.answer().await.expect("because no reset destroys the answer")
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_sends_all_before_it_listens() {
    let server = Server::start().await;
    let sent = create(&server, 2 * DEAF_BYTES as u64, "deaf.bin").await;
    assert_eq!(patch(&server, &sent.path, 0, vec![1; 10]).await.status(), 204);
    let short = create(&server, DEAF_BYTES as u64 - 1, "short.bin").await;
    let (len, wrong) = (DEAF_BYTES as u64, "/files/0123456789abcdef0123456789abcdef");
    for (path, offset, status) in
        [(sent.path.as_str(), 5, 409), (short.path.as_str(), 0, 413), (wrong, 0, 404)]
    {
        let mut raw = Raw::patch(server.port, path, offset, len).await;
        let answer = deaf(&mut raw).await;
        assert_eq!(answer.status, status, "{path} at {offset}");
        if status == 409 {
            assert_eq!(answer.number("upload-offset"), Some(10));
        }
        assert_eq!(head(&server, &sent.path).await, 10, "and nothing is changed");
    }
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_is_told_no_at_once() {
    let server = Server::start().await;
    let sent = create(&server, 10, "polite.bin").await;
    let mut raw = Raw::connect(server.port).await;
    let headers = [
        ("Tus-Resumable", "1.0.0"),
        ("Content-Type", "application/offset+octet-stream"),
        ("Upload-Offset", "5"),
        ("Content-Length", "5"),
        ("Expect", "100-continue"),
    ];
    raw.head("PATCH", &sent.path, &headers).await;
    assert_eq!(raw.answer().await.map(|answer| answer.status), Some(409), "and not 100");
}

#[tokio::test]
async fn a_length_for_which_there_is_no_room_is_refused_at_its_creation() {
    let server = Server::with("[uploads]\nmax_bytes = 4611686018427387904\n").await;
    for (len, status) in [(1_u64 << 61, 507), (u64::MAX >> 1, 413), (1_000, 201)] {
        let request = tus(&server, Method::POST, "/files/").header("Upload-Length", len);
        assert_eq!(request.send().await.unwrap().status(), status, "{len} bytes");
    }
}

#[tokio::test]
async fn a_body_that_stands_still_is_ended_and_what_came_is_kept() {
    let server = Server::with("[ingest]\nidle = \"1s\"\n").await;
    for len in [5_000, 50_000_000] {
        let sent = create(&server, len, "still.bin").await;
        let mut raw = Raw::patch(server.port, &sent.path, 0, len).await;
        raw.send(&noise(1, 1_000)).await.unwrap();
        let answer = raw.answer().await.unwrap();
        assert_eq!((answer.status, answer.number("upload-offset")), (400, Some(1_000)));
        assert_eq!(head(&server, &sent.path).await, 1_000);
    }
}

#[tokio::test]
async fn a_body_that_trickles_is_ended_and_what_came_is_kept() {
    let server = Server::with("[ingest]\nslow_window = \"1s\"\nslow_bytes_per_s = 100000\n").await;
    for len in [5_000, 50_000_000] {
        let sent = create(&server, len, "slow.bin").await;
        let mut raw = Raw::patch(server.port, &sent.path, 0, len).await;
        // Some bytes now and then, as an attacker does who wants to hold connections for ever.
        let mut trickled = 0;
        while raw.is_open() && trickled < 4_000 {
            if raw.send(&[7; 10]).await.is_err() {
                break;
            }
            trickled += 10;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let answer = raw.answer().await.unwrap();
        assert_eq!(answer.status, 400);
        let at = head(&server, &sent.path).await;
        assert!(answer.number("upload-offset") == Some(at) && at > 0 && at <= trickled, "{at} of {trickled}");
    }
}
