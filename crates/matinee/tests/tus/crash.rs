//! The process dies in the middle of an upload: what was acknowledged is there, and the rest follows.

use crate::support::invariants::{all_hold, no_byte_is_lost};
use crate::support::process::resident_kib;
use crate::support::raw::Raw;
use crate::support::sender::{create, head, patch, resume};
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::{clips, noise, until};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn a_kill_in_a_later_part_keeps_every_acknowledged_byte() {
    let mut server = Server::start().await;
    let mut bytes = clips::faststart(3);
    bytes.extend(noise(3, 20 * MIB));
    let sent = create(&server, bytes.len() as u64, "kill.mp4").await;
    for part in 0..2 {
        let from = part * 4 * MIB;
        let response = patch(&server, &sent.path, from as u64, bytes[from..from + 4 * MIB].to_vec()).await;
        assert_eq!(response.status(), 204);
    }
    let mut raw = Raw::patch(server.port, &sent.path, 8 * MIB as u64, (bytes.len() - 8 * MIB) as u64).await;
    raw.send(&bytes[8 * MIB..11 * MIB]).await.unwrap();
    server.kill();
    let server = server.again().await;
    let at = head(&server, &sent.path).await;
    assert!((8 * MIB as u64..=11 * MIB as u64).contains(&at), "{at} is not what was acknowledged");
    resume(&server, &sent, &bytes).await;
    server.video_in(&sent.video, &["ready", "failed"], 120).await;
    no_byte_is_lost(&server, &sent.video, &bytes).await;
}

#[tokio::test]
async fn a_stop_in_the_middle_of_an_upload_keeps_all_that_arrived() {
    let mut server = Server::start().await;
    let bytes = noise(4, 8 * MIB);
    let sent = create(&server, bytes.len() as u64, "stop.mp4").await;
    let mut raw = Raw::patch(server.port, &sent.path, 0, bytes.len() as u64).await;
    raw.send(&bytes[..3 * MIB]).await.unwrap();
    // The row is created before any byte is written, so the file tells how far the server has read.
    let data = server.data();
    until("the server has read a part", 10, async || {
        let name = Tables::stored(&data).pop_first()?;
        let path = crate::support::invariants::object_path(&data, &name);
        std::fs::metadata(path).ok().filter(|file| file.len() >= 2 * MIB as u64)
    })
    .await;
    assert!(server.terminate(15).await.success());
    let server = server.again().await;
    assert!(head(&server, &sent.path).await >= 2 * MIB as u64);
    resume(&server, &sent, &bytes).await;
    server.video_in(&sent.video, &["failed"], 30).await;
    all_hold(&server).await;
}

#[tokio::test]
async fn many_large_uploads_at_once_need_little_memory() {
    let server = Server::start().await;
    let each = if std::env::var_os("MATINEE_BIG").is_some() { 1_024 } else { 32 };
    let uploads = (0..16).map(async |number| {
        let len = (each * MIB) as u64;
        let sent = create(&server, len, &format!("{number}.bin")).await;
        let mut raw = Raw::patch(server.port, &sent.path, 0, len).await;
        let zeros = vec![0; MIB];
        for _ in 0..each {
            raw.send(&zeros).await.unwrap();
        }
        assert_eq!(raw.answer().await.map(|answer| answer.status), Some(204));
        sent
    });
    let all = futures_util::future::join_all(uploads).await;
    let resident = resident_kib(server.pid());
    assert!(resident < 150 * 1_024, "{resident} KiB were resident");
    for sent in all {
        server.video_in(&sent.video, &["failed"], 60).await;
    }
    crate::support::invariants::nothing_remains(&server).await;
    all_hold(&server).await;
}
