//! Loss of power: of what was not synced any part may be gone, torn or out of order. The acknowledged offset is true all
//! the same.

use std::sync::{Mutex, MutexGuard};

use super::*;

/// What a disk writes as one.
const SECTOR_BYTES: usize = 512;
/// Seeds in `cargo test`; `make chaos` sets `SIM_SEEDS`.
const SEEDS: u64 = 60;

/// A small random generator that a seed repeats (`SplitMix64`).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) const fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % end
    }

    fn below_len(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap()
    }
}

/// A disk in memory that can lose its power, fill up, and fail to sync.
#[derive(Debug, Default)]
pub(super) struct Fake(Mutex<State>);

#[derive(Debug, Default)]
pub(super) struct State {
    synced: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
    /// Bytes that fit.
    pub(super) room: Option<usize>,
    /// The next sync fails, and as Linux does it forgets the writes that it could not bring to the disk.
    pub(super) next_sync_fails: bool,
    pub(super) syncs: u32,
}

impl Fake {
    /// A disk with a file of these bytes.
    pub(super) fn with(synced: Vec<u8>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { synced, ..State::default() })))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What a reader sees while the power is on.
    pub(super) fn seen(&self) -> Vec<u8> {
        let state = self.state();
        let mut image = state.synced.clone();
        for (at, bytes) in &state.unsynced {
            put(&mut image, *at, bytes);
        }
        image
    }

    /// What is there after the power was gone.
    fn lose_power(&self, random: &mut Random) -> Vec<u8> {
        let state = self.state();
        let mut image = state.synced.clone();
        let mut pending: Vec<_> = state.unsynced.iter().collect();
        while !pending.is_empty() {
            let (at, bytes) = pending.swap_remove(random.below_len(pending.len()));
            let survives = random.below(4);
            for (number, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                if survives > 0 && (survives > 1 || random.below(2) == 0) {
                    put(&mut image, at + number * SECTOR_BYTES, sector);
                }
            }
        }
        image
    }
}

fn put(image: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    image.resize(image.len().max(at + bytes.len()), 0);
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

impl Disk for Fake {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        assert_eq!(offset % BLOCK_BYTES as u64, 0, "writes begin at a block");
        let at = usize::try_from(offset).unwrap();
        let mut state = self.state();
        if state.room.is_some_and(|room| at + bytes.len() > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.unsynced.push((at, bytes.to_vec()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state();
        state.syncs += 1;
        let unsynced = std::mem::take(&mut state.unsynced);
        if std::mem::take(&mut state.next_sync_fails) {
            return Err(io::Error::other("lost"));
        }
        for (at, bytes) in &unsynced {
            put(&mut state.synced, *at, bytes);
        }
        Ok(())
    }

    fn is_name_unsynced(&self) -> bool {
        false
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        bytes.copy_from_slice(&self.seen()[at..at + bytes.len()]);
        Ok(())
    }
}

/// A spool whose buffers have two blocks, so that many writes are in every test.
pub(super) fn narrow() -> Spool {
    Spool::new(Config { memory_bytes: 4 * BLOCK_BYTES, ..Config::default() })
}

#[tokio::test]
async fn the_acknowledged_offset_survives_every_loss_of_power() {
    let seeds = std::env::var("SIM_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    for seed in 0..seeds {
        let mut random = Random(seed);
        let bytes = pattern(1 + random.below_len(150_000));
        let (mut image, mut acknowledged) = (Vec::new(), 0);
        while acknowledged < bytes.len() {
            assert!(image.len() >= acknowledged, "seed {seed}: {acknowledged} of {}", image.len());
            assert!(
                image[..acknowledged] == bytes[..acknowledged],
                "seed {seed}: bytes before {acknowledged}"
            );
            // What lies behind the offset was never acknowledged and is cut off.
            image.truncate(acknowledged);
            let disk = Fake::with(image);
            acknowledged = powered(&disk, &bytes, acknowledged, &mut random).await;
            image = disk.lose_power(&mut random);
        }
        assert!(image == bytes, "seed {seed}");
    }
}

/// One time with power: frames and commits until the end or some moment; the offset that was acknowledged last.
async fn powered(disk: &Arc<Fake>, bytes: &Bytes, offset: usize, random: &mut Random) -> usize {
    let on = (PathBuf::new(), Arc::clone(disk) as Arc<dyn Disk>);
    let mut writer = narrow().on(on, offset as u64, Some(bytes.len() as u64)).await.unwrap();
    let (mut at, mut acknowledged) = (offset, offset);
    for _ in 0..=random.below(20) {
        let end = bytes.len().min(at + random.below_len(20_000));
        writer.write(bytes.slice(at..end)).await.unwrap();
        at = end;
        if random.below(3) == 0 {
            acknowledged = usize::try_from(writer.commit().await.unwrap()).unwrap();
            assert_eq!(acknowledged, at);
        }
    }
    if acknowledged == bytes.len() {
        assert_eq!(writer.hashed(&[]).whole, Some(*blake3::hash(bytes).as_bytes()));
    }
    acknowledged
}
