//! The durable offset never lies, whatever the sizes, the resumptions and the memory.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use super::*;

mod faults;
mod power;

fn len(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|found| found.len())
}

fn pattern(len: usize) -> Bytes {
    (0..len).map(|at| u8::try_from((at ^ (at >> 8) ^ (at >> 16)) & 255).unwrap()).collect()
}

fn spool(direct: Direct) -> (tempfile::TempDir, PathBuf, Spool) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("source");
    (dir, path, Spool::new(Config { direct, ..Config::default() }))
}

/// What a start of the server finds.
async fn found(path: &Path, offset: u64, most: u64) -> Result<Recovered, SpoolError> {
    recover(lock_there(path).await?, offset, most).await
}

async fn in_frames(writer: &mut Writer, bytes: &Bytes, frame: usize) {
    let from = usize::try_from(writer.received()).unwrap();
    for start in (from..bytes.len()).step_by(frame) {
        writer.write(bytes.slice(start..(start + frame).min(bytes.len()))).await.unwrap();
    }
}

#[tokio::test]
async fn bytes_arrive_whatever_the_frame_and_the_mode() {
    for direct in [Direct::Auto, Direct::Never] {
        for (len, frame) in
            [(0, 1), (1, 1), (4096, 4096), (12_345, 1000), (9 << 20, 400_000), ((9 << 20) + 7, 4 << 20)]
        {
            for expected in [Some(len as u64), None] {
                let (_dir, path, spool) = spool(direct);
                let bytes = pattern(len);
                let mut writer = spool.open(&path, 0, expected).await.unwrap();
                in_frames(&mut writer, &bytes, frame).await;
                assert_eq!(writer.commit().await.unwrap(), len as u64);
                assert_eq!(writer.hashed(&[]).whole, Some(*blake3::hash(&bytes).as_bytes()));
                assert!(
                    std::fs::read(&path).unwrap() == bytes,
                    "{len} bytes in frames of {frame}, {direct:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_commit_never_promises_more_than_the_file_has() {
    let (_dir, path, spool) = spool(Direct::Auto);
    let bytes = pattern((10 << 20) + 123);
    let mut writer = spool.open(&path, 0, Some(bytes.len() as u64)).await.unwrap();
    let mut seen = 0;
    for (count, frame) in bytes.chunks(77_777).enumerate() {
        writer.write(Bytes::copy_from_slice(frame)).await.unwrap();
        seen += frame.len();
        assert!(writer.durable() <= len(&path).unwrap());
        if count % 7 == 0 {
            let durable = writer.commit().await.unwrap();
            assert_eq!(durable, seen as u64);
            assert!(std::fs::read(&path).unwrap()[..seen] == bytes[..seen]);
        }
    }
    drop(writer);
}

#[tokio::test]
async fn an_upload_resumes_at_any_offset_after_its_writer_was_dropped() {
    for direct in [Direct::Auto, Direct::Never] {
        let (_dir, path, spool) = spool(direct);
        let bytes = pattern(20 << 20);
        let mut durable = 0_u64;
        for (step, take) in [1, 4095, 1_000_001, 3, 5 << 20, 9_999_999].into_iter().enumerate() {
            let mut writer = spool.open(&path, durable, Some(bytes.len() as u64)).await.unwrap();
            let from = usize::try_from(durable).unwrap();
            in_frames(&mut writer, &bytes.slice(..from + take), 100_000).await;
            durable = writer.commit().await.unwrap();
            assert_eq!(durable, (from + take) as u64);
            if step % 2 == 0 {
                // More, never committed: it may be lost but must not be promised.
                let more = usize::try_from(durable).unwrap();
                writer.write(bytes.slice(more..more + 1_500_000)).await.unwrap();
                assert_eq!(writer.durable(), durable);
            }
            drop(writer);
            assert!(len(&path).unwrap() >= durable);
        }
        let mut writer = spool.open(&path, durable, Some(bytes.len() as u64)).await.unwrap();
        in_frames(&mut writer, &bytes, 1 << 20).await;
        assert_eq!(writer.commit().await.unwrap(), bytes.len() as u64);
        assert_eq!(writer.hashed(&[]).whole, Some(*blake3::hash(&bytes).as_bytes()));
        assert!(std::fs::read(&path).unwrap() == bytes, "{direct:?}");
    }
}

#[tokio::test]
async fn a_dropped_commit_loses_nothing() {
    let (_dir, path, spool) = spool(Direct::Auto);
    let bytes = pattern(3_000_001);
    let mut writer = spool.open(&path, 0, None).await.unwrap();
    for frame in bytes.chunks(100_001) {
        writer.write(Bytes::copy_from_slice(frame)).await.unwrap();
        let commit = writer.commit();
        let _ = tokio::time::timeout(Duration::ZERO, commit).await;
    }
    assert_eq!(writer.commit().await.unwrap(), bytes.len() as u64);
    assert!(std::fs::read(&path).unwrap() == bytes);
}

#[tokio::test]
async fn many_uploads_share_little_memory_without_waiting_for_each_other_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::new(Config { direct: Direct::Auto, memory_bytes: 192 << 10, ..Config::default() });
    let bytes = pattern(700_001);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let (spool, bytes, path) = (spool.clone(), bytes.clone(), dir.path().join(number.to_string()));
        tasks.spawn(async move {
            let mut writer = spool.open(&path, 0, Some(bytes.len() as u64)).await.unwrap();
            in_frames(&mut writer, &bytes, 50_000).await;
            writer.commit().await.unwrap();
            assert!(std::fs::read(&path).unwrap() == bytes);
        });
    }
    let all = async {
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_mins(1), all).await.expect("no deadlock");
    assert_eq!(spool.budget.available_permits(), spool.blocks, "all memory is back");
}

#[tokio::test]
async fn a_file_shorter_than_its_offset_is_lost() {
    let (_dir, path, spool) = spool(Direct::Auto);
    let absent = spool.open(&path, 5, None).await;
    assert!(matches!(absent, Err(SpoolError::Lost { len: 0, wanted: 5 })));
    assert_eq!(len(&path), None, "and nothing was made");
    std::fs::write(&path, b"1234").unwrap();
    assert!(matches!(spool.open(&path, 5, None).await, Err(SpoolError::Lost { len: 4, wanted: 5 })));
    assert!(matches!(found(&path, 5, 9).await, Err(SpoolError::Lost { len: 4, wanted: 5 })));
    let absent = found(&path.with_file_name("none"), 5, 9).await;
    assert!(matches!(absent, Err(SpoolError::Lost { len: 0, wanted: 5 })));
}

#[tokio::test]
async fn after_a_crash_what_the_kernel_has_counts_up_to_a_bound() {
    for (offset, most, expected) in [(3, 3, 3), (3, 9, 4), (0, 2, 2), (3, 0, 3), (4, 4, 4)] {
        let (_dir, path, _) = spool(Direct::Auto);
        std::fs::write(&path, b"1234").unwrap();
        let found = found(&path, offset, most).await.unwrap();
        assert_eq!(found, Recovered { offset: expected, slabs: vec![] });
        assert_eq!(len(&path), Some(expected), "and nothing lies behind it");
    }
    let (_dir, path, _) = spool(Direct::Auto);
    assert_eq!(found(&path, 0, 9).await.unwrap().offset, 0, "nothing came yet");
}

#[tokio::test]
async fn a_slab_that_was_closed_by_a_crash_is_hashed_again() {
    let (_dir, path, spool) = spool(Direct::Auto);
    let bytes = pattern(usize::try_from(SLAB_BYTES).unwrap() + 9_999);
    let mut writer = spool.open(&path, 0, None).await.unwrap();
    in_frames(&mut writer, &bytes, 1 << 20).await;
    writer.commit().await.unwrap();
    drop(writer);
    let found = found(&path, 12_345, u64::MAX).await.unwrap();
    assert_eq!((found.offset, found.slabs.len()), (bytes.len() as u64, 1));
    let mut writer = Spool::new(Config::default()).open(&path, found.offset, None).await.unwrap();
    assert_eq!(writer.needs_slabs(), 1);
    writer.write(Bytes::from_static(b"end")).await.unwrap();
    writer.commit().await.unwrap();
    let hashed = writer.hashed(&found.slabs);
    assert_eq!(hashed.whole, Some(*blake3::hash(&[&bytes[..], b"end"].concat()).as_bytes()));
}

#[tokio::test]
async fn a_small_upload_is_one_file_and_its_hash() {
    for len in [0, 1, 4096, 65_536] {
        let (_dir, path, spool) = spool(Direct::Auto);
        let bytes = pattern(len);
        let mut small = spool.small(len as u64).unwrap();
        bytes.chunks(1_000).for_each(|frame| small.put(frame));
        assert_eq!(small.store(&path).await.unwrap(), *blake3::hash(&bytes).as_bytes());
        assert!(std::fs::read(&path).unwrap() == bytes);
        assert_eq!(spool.budget.available_permits(), spool.blocks, "all memory is back");
    }
    let (_dir, _path, spool) = spool(Direct::Auto);
    assert!(spool.small(65_537).is_none(), "that is not small");
}

#[tokio::test]
async fn room_that_must_stay_free_is_never_promised() {
    let (_dir, path, _) = spool(Direct::Auto);
    let spool = Spool::new(Config { keep_free_bytes: u64::MAX / 2, ..Config::default() });
    let known = spool.open(&path, 0, Some(9 << 20)).await;
    assert!(matches!(known, Err(SpoolError::NoSpace)), "before a byte comes");
    let mut unknown = spool.open(&path, 0, None).await.unwrap();
    unknown.write(pattern(1000)).await.unwrap();
    assert!(matches!(unknown.commit().await, Err(SpoolError::NoSpace)), "else with the first write");
}

#[tokio::test]
async fn two_writers_never_hold_one_file() {
    let (_dir, path, spool) = spool(Direct::Never);
    let first = spool.open(&path, 0, None).await.unwrap();
    let waits = tokio::time::timeout(Duration::from_millis(100), spool.open(&path, 0, None)).await;
    assert!(waits.is_err(), "the second waits");
    drop(first);
    spool.open(&path, 0, None).await.unwrap();
}

#[tokio::test]
async fn a_locked_file_is_untouched_until_it_is_gone_on_with() {
    let (dir, path, spool) = spool(Direct::Auto);
    let mut writer = spool.open(&path, 0, None).await.unwrap();
    writer.write(pattern(9_000)).await.unwrap();
    assert_eq!(writer.commit().await.unwrap(), 9_000);
    assert!(matches!(spool.lock(&path, 4_000, 20).await, Err(SpoolError::Busy)));
    assert!(matches!(lock_there(&path).await, Err(SpoolError::Busy)), "somebody writes it");
    let copy = spool.lock(&dir.path().join("copy"), 0, 20).await.unwrap();
    assert!(matches!(copy_before(&path, &copy, 9_001).await, Err(SpoolError::Lost { .. })));
    copy_before(&path, &copy, 8_000).await.unwrap();
    let mut copy = spool.go_on(copy, 8_000, None).await.unwrap();
    copy.write(pattern(9_000).slice(8_000..)).await.unwrap();
    assert_eq!(copy.commit().await.unwrap(), 9_000);
    assert_eq!(std::fs::read(dir.path().join("copy")).unwrap(), pattern(9_000));
    drop(writer);
    spool.lock(&path, 4_000, 20).await.unwrap().give_back();
    assert_eq!(len(&path), Some(9_000));
    let new = dir.path().join("new");
    spool.lock(&new, 0, 20).await.unwrap().give_back();
    assert_eq!(len(&new), None, "it was made for nothing");
}
