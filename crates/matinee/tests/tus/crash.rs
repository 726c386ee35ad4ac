//! The process dies in the middle of an upload: what was acknowledged is there, and the rest follows.

use std::time::Duration;

use crate::support::invariants::{all_hold, no_byte_is_lost};
use crate::support::process::resident_kib;
use crate::support::raw::Raw;
use crate::support::sender::{create, head, patch, resume};
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::{Random, clips, noise, times, until};

use super::breaks::{arrived, half_sent, padded};

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
async fn after_the_death_of_the_process_alone_the_kernel_still_has_what_arrived() {
    for restarted in [false, true] {
        let (mut server, bytes) = (Server::start().await, padded(10 * MIB));
        let (sent, _raw) = half_sent(&server, &bytes).await;
        arrived(&server, (3 * MIB) as u64).await;
        server.kill();
        if restarted {
            Tables::open(&server.data()).await.forget_boot().await;
        }
        let server = server.again().await;
        let at = head(&server, &sent.path).await;
        // The bytes may have been committed before the kill, on a machine that slept in between.
        assert!(restarted || at >= 3 * MIB as u64, "{at} bytes are left of 3 MiB");
        resume(&server, &sent, &bytes).await;
        server.video_in(&sent.video, &["ready"], 120).await;
        no_byte_is_lost(&server, &sent.video, &bytes).await;
    }
}

/// One upload with kills at random moments, the server in whatever process.
async fn killed(mut server: Server, random: &mut Random, kills: u64) -> Server {
    let bytes = padded(MIB + usize::try_from(random.below(6 << 20)).unwrap());
    let sent = create(&server, bytes.len() as u64, "kill.mp4").await;
    let mut acknowledged = 0;
    for _ in 0..kills {
        let at = head(&server, &sent.path).await;
        assert!(at >= acknowledged, "{at} after {acknowledged} were acknowledged");
        acknowledged = at;
        let from = usize::try_from(at).unwrap();
        let more = usize::try_from(random.below((bytes.len() - from) as u64)).unwrap();
        if random.below(3) == 0 {
            let response = patch(&server, &sent.path, at, bytes[from..from + more].to_vec()).await;
            if response.status() == 204 {
                acknowledged += more as u64;
            }
        } else {
            let mut raw = Raw::patch(server.port, &sent.path, at, (bytes.len() - from) as u64).await;
            raw.send(&bytes[from..from + more]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(random.below(30))).await;
        }
        server.kill();
        server = server.again().await;
    }
    resume(&server, &sent, &bytes).await;
    server.video_in(&sent.video, &["ready"], 120).await;
    no_byte_is_lost(&server, &sent.video, &bytes).await;
    server
}

#[tokio::test]
async fn uploads_survive_kills_at_random_moments() {
    let (kills, seed) =
        (times("MATINEE_UPLOAD_KILLS", 6), times("MATINEE_SEED", u64::from(std::process::id())));
    eprintln!("MATINEE_SEED={seed} MATINEE_UPLOAD_KILLS={kills}");
    let (mut server, mut random, mut done) = (Server::start().await, Random(seed), 0);
    while done < kills {
        let now = (kills - done).min(6);
        server = killed(server, &mut random, now).await;
        done += now;
    }
    all_hold(&server).await;
}

#[tokio::test]
async fn no_upload_fails_when_the_server_is_stopped_under_load() {
    let mut server = Server::start().await;
    let uploads = (0..12_u64).map(async |number| {
        let bytes = noise(number, 3 * MIB + usize::try_from(number).unwrap());
        let sent = create(&server, bytes.len() as u64, "load.bin").await;
        let mut raw = Raw::patch(server.port, &sent.path, 0, bytes.len() as u64).await;
        raw.send(&bytes[..MIB]).await.unwrap();
        (sent, raw, bytes)
    });
    let mut all = futures_util::future::join_all(uploads).await;
    let stopping = server.terminate(15);
    // Senders know nothing of the stop and go on until they are told.
    let sending = futures_util::future::join_all(all.iter_mut().map(async |(_, raw, bytes)| {
        drop(raw.send(&bytes[MIB..]).await);
        raw.answer().await.map(|answer| answer.status)
    }));
    let (ended, answers) = tokio::join!(stopping, sending);
    assert!(ended.success());
    assert!(answers.iter().flatten().all(|status| [204, 409].contains(status)), "{answers:?}");
    let server = server.again().await;
    for ((sent, _, bytes), answer) in all.iter().zip(answers) {
        if answer == Some(204) {
            continue;
        }
        resume(&server, sent, bytes).await;
    }
    for (sent, ..) in &all {
        server.video_in(&sent.video, &["failed"], 60).await;
    }
    all_hold(&server).await;
}

#[tokio::test]
async fn the_hash_of_a_source_is_that_of_its_bytes_whatever_came_between() {
    let mut server = Server::start().await;
    let bytes = padded(130 * MIB + 5);
    let sent = create(&server, bytes.len() as u64, "hash.mp4").await;
    let mut from = 0;
    for part in [3 * MIB, 64 * MIB + 77, 2] {
        let response = patch(&server, &sent.path, from as u64, bytes[from..from + part].to_vec()).await;
        assert_eq!(response.status(), 204);
        from += part;
        server.kill();
        server = server.again().await;
    }
    resume(&server, &sent, &bytes).await;
    server.video_in(&sent.video, &["ready"], 120).await;
    let mut tables = Tables::open(&server.data()).await;
    let object = tables.source(&sent.video).await.object;
    let hash = blake3::hash(&bytes).as_bytes().to_vec();
    assert_eq!(tables.hashes(&object).await, (Some(hash), 3), "the file, and 64 MiB at a time");
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
