//! Disks that are full, broken or slow: what is acknowledged is there, and the rest can come again.

use futures_util::FutureExt as _;

use super::power::{Fake, narrow};
use super::*;

async fn writer_on(disk: &Arc<Fake>, offset: usize, len: usize) -> Writer {
    let on = (PathBuf::new(), Arc::clone(disk) as Arc<dyn Disk>);
    narrow().on(on, offset as u64, Some(len as u64)).await.unwrap()
}

/// Sends all from the writer's place on, or up to its first failure.
async fn send(writer: &mut Writer, bytes: &Bytes) -> Result<u64, SpoolError> {
    let from = usize::try_from(writer.received()).unwrap();
    for start in (from..bytes.len()).step_by(3_000) {
        writer.write(bytes.slice(start..(start + 3_000).min(bytes.len()))).await?;
    }
    writer.commit().await
}

#[tokio::test]
async fn a_disk_that_fills_up_at_any_write_keeps_what_was_written_before() {
    let bytes = pattern(50_001);
    for room in (0..bytes.len()).step_by(1_111) {
        let disk = Fake::with(Vec::new());
        disk.state().room = Some(room);
        let mut writer = writer_on(&disk, 0, bytes.len()).await;
        assert!(matches!(send(&mut writer, &bytes).await, Err(SpoolError::NoSpace)), "{room}");
        let kept = usize::try_from(writer.salvage().await).unwrap();
        assert!(kept <= room && kept + 2 * 2 * BLOCK_BYTES > room, "{kept} of {room} bytes are kept");
        assert!(
            matches!(writer.write(bytes.slice(..1)).await, Err(SpoolError::Failed)),
            "it is of no more use"
        );
        drop(writer);
        assert!(disk.seen()[..kept] == bytes[..kept]);
        disk.state().room = None;
        let mut writer = writer_on(&disk, kept, bytes.len()).await;
        assert_eq!(send(&mut writer, &bytes).await.unwrap(), bytes.len() as u64);
        assert_eq!(writer.hashed(&[]).whole, Some(*blake3::hash(&bytes).as_bytes()));
    }
}

#[tokio::test]
async fn after_a_failed_sync_no_later_one_is_believed() {
    let bytes = pattern(40_000);
    let disk = Fake::with(Vec::new());
    let mut writer = writer_on(&disk, 0, bytes.len()).await;
    writer.write(bytes.slice(..10_000)).await.unwrap();
    assert_eq!(writer.commit().await.unwrap(), 10_000);
    writer.write(bytes.slice(10_000..30_000)).await.unwrap();
    disk.state().next_sync_fails = true;
    assert!(matches!(writer.commit().await, Err(SpoolError::Io(_))));
    assert_eq!(writer.salvage().await, 10_000, "only what was acknowledged");
    assert_eq!(disk.state().syncs, 2, "and nobody asks again");
    drop(writer);
    let mut writer = writer_on(&disk, 10_000, bytes.len()).await;
    assert_eq!(send(&mut writer, &bytes).await.unwrap(), bytes.len() as u64);
    assert!(disk.seen() == bytes);
}

/// A disk on which nothing moves until the test says so.
#[derive(Debug)]
struct Slow {
    below: Arc<Fake>,
    gate: std::sync::Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Disk for Slow {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.below.write(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        // A closed gate is an open one: the test has ended.
        self.gate.lock().unwrap().recv().unwrap_or_default();
        self.below.sync()
    }

    fn is_name_unsynced(&self) -> bool {
        false
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.below.read(bytes, offset)
    }
}

#[tokio::test]
async fn a_slow_sync_holds_the_sender_back_and_loses_nothing() {
    let bytes = pattern(90_000);
    let (open, gate) = std::sync::mpsc::channel();
    let below = Fake::with(Vec::new());
    let disk = Arc::new(Slow { below: Arc::clone(&below), gate: gate.into() });
    let mut writer = narrow().on((PathBuf::new(), disk), 0, Some(bytes.len() as u64)).await.unwrap();
    writer.write(bytes.slice(..5_000)).await.unwrap();
    assert!(writer.commit().now_or_never().is_none(), "nothing is promised before the sync");
    assert_eq!(writer.durable(), 0);
    let mut at = 5_000;
    while at < bytes.len() && writer.write(bytes.slice(at..at + 1_000)).now_or_never().is_some() {
        at += 1_000;
    }
    assert!(
        at < bytes.len() && writer.received() <= 5_000 + 4 * BLOCK_BYTES as u64,
        "no memory without bound"
    );
    open.send(()).unwrap();
    drop(open);
    assert_eq!(send(&mut writer, &bytes).await.unwrap(), bytes.len() as u64);
    assert!(below.seen() == bytes);
}
