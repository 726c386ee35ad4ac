//! Connections that break, hang or compete: the bytes that arrived stay, and the newest connection wins.

use std::time::Duration;

use crate::support::invariants::{all_hold, no_byte_is_lost};
use crate::support::raw::Raw;
use crate::support::sender::{Sent, create, head, patch, resume};
use crate::support::server::Server;
use crate::support::{clips, noise, times, until};

const MIB: usize = 1 << 20;
const PART: usize = 4 * MIB;

/// A clip that is followed by bytes no player looks at, so that it has exactly this length.
pub(super) fn padded(len: usize) -> Vec<u8> {
    let mut bytes = clips::faststart(3);
    let rest = len - bytes.len();
    bytes.extend(u32::try_from(rest).unwrap().to_be_bytes());
    bytes.extend(b"free");
    bytes.extend(noise(1, rest - 8));
    bytes
}

/// A PATCH of which only the first 4 MiB have been sent.
pub(super) async fn half_sent(server: &Server, bytes: &[u8]) -> (Sent, Raw) {
    let sent = create(server, bytes.len() as u64, "cut.mp4").await;
    let mut raw = Raw::patch(server.port, &sent.path, 0, bytes.len() as u64).await;
    raw.send(&bytes[..PART]).await.unwrap();
    (sent, raw)
}

/// Waits until everything that was sent so far lies in the file, whatever the row says.
pub(super) async fn arrived(server: &Server, wanted: u64) {
    let largest = || {
        let files = crate::support::tables::Tables::stored(&server.data());
        let len = |name: &String| {
            let path = crate::support::invariants::object_path(&server.data(), name);
            std::fs::metadata(path).map_or(0, |file| file.len())
        };
        files.iter().map(len).max().unwrap_or_default()
    };
    until("the bytes are in the file", 10, async || (largest() >= wanted).then_some(())).await;
}

#[tokio::test]
async fn bytes_that_arrived_before_a_fin_are_kept_and_the_rest_follows() {
    let (server, bytes) = (Server::start().await, padded(10 * MIB));
    let (sent, raw) = half_sent(&server, &bytes).await;
    drop(raw);
    assert_eq!(settled(&server, &sent).await, PART as u64);
    resume(&server, &sent, &bytes).await;
    server.video_in(&sent.video, &["ready"], 120).await;
    no_byte_is_lost(&server, &sent.video, &bytes).await;
}

#[tokio::test]
async fn bytes_that_arrived_before_a_reset_are_kept() {
    let (server, bytes) = (Server::start().await, padded(10 * MIB));
    let (sent, raw) = half_sent(&server, &bytes).await;
    // A reset throws away what the server's kernel still holds, so only what was read can be asked for.
    arrived(&server, (3 * MIB) as u64).await;
    raw.reset();
    let kept = head(&server, &sent.path).await;
    assert!((3 * MIB as u64..=PART as u64).contains(&kept), "{kept} bytes were kept");
    resume(&server, &sent, &bytes).await;
    server.video_in(&sent.video, &["ready"], 120).await;
    no_byte_is_lost(&server, &sent.video, &bytes).await;
}

/// The offset once the server has seen all that this client sent before it closed.
async fn settled(server: &Server, sent: &Sent) -> u64 {
    until("the whole part is counted", 10, async || {
        Some(head(server, &sent.path).await).filter(|at| *at == PART as u64)
    })
    .await
}

#[tokio::test]
async fn a_hanging_request_is_ended_by_a_look_and_its_late_bytes_change_nothing() {
    let (server, bytes) = (Server::start().await, padded(10 * MIB));
    let (sent, mut old) = half_sent(&server, &bytes).await;
    arrived(&server, (3 * MIB) as u64).await;
    let looked = tokio::time::timeout(Duration::from_secs(1), head(&server, &sent.path)).await;
    let kept = looked.expect("because a hanging request lets go at once");
    assert!((3 * MIB as u64..=PART as u64).contains(&kept), "{kept} bytes were kept");
    let rest = usize::try_from(kept).unwrap();
    let response = patch(&server, &sent.path, kept, bytes[rest..].to_vec()).await;
    assert_eq!(response.status(), 204);
    // The evicted connection may be closed already; if not, what it brings is not for this upload.
    let late = old.send(&noise(2, 6 * MIB)).await;
    let answer = if late.is_ok() { old.answer().await } else { None };
    assert_ne!(answer.map(|answer| answer.status), Some(204));
    server.video_in(&sent.video, &["ready"], 120).await;
    no_byte_is_lost(&server, &sent.video, &bytes).await;
}

#[tokio::test]
async fn of_many_requests_for_the_same_bytes_exactly_one_is_stored_whole() {
    let server = Server::start().await;
    for round in 0..6 {
        let bodies: Vec<_> = (0..2 + round % 4).map(|one| noise(10 * round + one, 6 * MIB)).collect();
        let sent = create(&server, 12 * MIB as u64, "two.mp4").await;
        let all = bodies.iter().map(|body| patch(&server, &sent.path, 0, body.clone()));
        let answers = futures_util::future::join_all(all).await;
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status().as_u16()).collect();
        assert!(statuses.iter().all(|status| [204, 409].contains(status)), "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1, "{statuses:?}");
        let winner = statuses.iter().position(|status| *status == 204).unwrap();
        let at = head(&server, &sent.path).await;
        assert_eq!(at, 6 * MIB as u64);
        assert!(stored_of(&server, at) == bodies[winner], "bytes of one writer only");
        let gone =
            crate::support::sender::tus(&server, reqwest::Method::DELETE, &sent.path).send().await.unwrap();
        assert_eq!(gone.status(), 204);
        crate::support::invariants::nothing_remains(&server).await;
    }
}

#[tokio::test]
async fn a_request_for_bytes_that_are_here_already_ends_nobody() {
    let (server, bytes) = (Server::start().await, padded(10 * MIB));
    let (sent, mut running) = half_sent(&server, &bytes).await;
    arrived(&server, (3 * MIB) as u64).await;
    for elsewhere in [0, 1, 9 * MIB as u64] {
        let refused = patch(&server, &sent.path, elsewhere, noise(1, 1000)).await;
        assert_eq!(refused.status(), 409);
        assert!(crate::support::sender::offset(&refused).unwrap() <= PART as u64, "what is durable");
    }
    running.send(&bytes[PART..]).await.unwrap();
    assert_eq!(running.answer().await.map(|answer| answer.status), Some(204), "it went on undisturbed");
    server.video_in(&sent.video, &["ready"], 120).await;
    no_byte_is_lost(&server, &sent.video, &bytes).await;
}

#[tokio::test]
async fn a_request_that_continues_where_another_hangs_takes_over() {
    let (server, bytes) = (Server::start().await, padded(10 * MIB));
    let (sent, mut hanging) = half_sent(&server, &bytes).await;
    // Until the server has read all that was sent, this is still another offset.
    let taken = until("the rest is taken", 20, async || {
        let response = patch(&server, &sent.path, PART as u64, bytes[PART..].to_vec()).await;
        (response.status() != 409).then_some(response)
    });
    assert_eq!(taken.await.status(), 204);
    assert_ne!(hanging.answer().await.map(|answer| answer.status), Some(204));
    server.video_in(&sent.video, &["ready"], 120).await;
    no_byte_is_lost(&server, &sent.video, &bytes).await;
}

/// The first bytes of the only file in the store.
fn stored_of(server: &Server, len: u64) -> Vec<u8> {
    let name = crate::support::tables::Tables::stored(&server.data()).pop_first().unwrap();
    let mut bytes = std::fs::read(crate::support::invariants::object_path(&server.data(), &name)).unwrap();
    bytes.truncate(usize::try_from(len).unwrap());
    bytes
}

#[tokio::test]
async fn an_upload_that_is_cut_at_every_step_is_whole_in_the_end() {
    let (server, bytes) = (Server::start().await, padded(3 * MIB));
    let sent = create(&server, bytes.len() as u64, "train.mp4").await;
    let mut random = crate::support::Random(7);
    for cut in 0..12_u64 {
        let at = head(&server, &sent.path).await;
        let from = usize::try_from(at).unwrap();
        let more = usize::try_from(random.below(200_000)).unwrap();
        let mut raw = Raw::patch(server.port, &sent.path, at, (bytes.len() - from) as u64).await;
        raw.send(&bytes[from..from + more]).await.unwrap();
        if cut.is_multiple_of(2) { raw.reset() } else { drop(raw) }
    }
    resume(&server, &sent, &bytes).await;
    server.video_in(&sent.video, &["ready"], 120).await;
    no_byte_is_lost(&server, &sent.video, &bytes).await;
}

#[tokio::test]
async fn an_upload_that_is_cut_every_mebibyte_is_whole_in_the_end() {
    let cuts = times("MATINEE_CUTS", 10);
    let server = Server::start().await;
    let bytes = padded((usize::try_from(cuts).unwrap() + 1) * MIB);
    let sent = create(&server, bytes.len() as u64, "tunnel.mp4").await;
    let mut known = 0;
    for cut in 0..cuts {
        let at = head(&server, &sent.path).await;
        assert!(at >= known, "cut {cut}: {at} after {known} were acknowledged");
        known = at;
        let from = usize::try_from(at).unwrap();
        let mut raw = Raw::patch(server.port, &sent.path, at, (bytes.len() - from) as u64).await;
        raw.send(&bytes[from..bytes.len().min(from + MIB)]).await.unwrap();
        if cut.is_multiple_of(3) { raw.reset() } else { drop(raw) }
    }
    resume(&server, &sent, &bytes).await;
    server.video_in(&sent.video, &["ready"], 120).await;
    no_byte_is_lost(&server, &sent.video, &bytes).await;
    all_hold(&server).await;
}
