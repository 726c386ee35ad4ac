//! What goes out, counted in memory: by video for the account, and in all for the load of our line.
//!
//! It is the one thing here that a crash loses: the sums of the last seconds. What was handed over is never counted twice.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use matinee_core::choice::{Link, Load};
use matinee_core::id::VideoId;
use matinee_core::price::OWN;
use matinee_core::time::Millis;
use matinee_io::db::Sent;

/// Requests of different videos seldom wait for each other.
const SHARDS: usize = 16;
/// Videos of which it is remembered where the last viewer was sent. Of one more all are forgotten: they are chosen anew.
const CHOSEN_MAX: usize = 10_000;

/// What went out of one video and was not handed over yet.
#[derive(Debug, Default)]
struct Count {
    bytes: AtomicU64,
    media_ms: AtomicU64,
}

/// Counts what goes out of one video as it goes.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    of: Arc<Count>,
    all: Arc<AtomicU64>,
}

impl Tally {
    /// So many bytes went out.
    pub(crate) fn bytes(&self, bytes: usize) {
        self.of.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.all.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// So many milliseconds of the video were asked for.
    pub(crate) fn media(&self, ms: u64) {
        self.of.media_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

/// A sum that is to be added to the account, under its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) seq: u64,
    /// When it was closed.
    pub(crate) at: Millis,
    pub(crate) sent: Vec<Sent>,
}

#[derive(Debug, Default)]
struct Sums {
    seq: u64,
    /// The one that was not added for sure.
    open: Option<Sum>,
}

#[derive(Debug)]
struct Flow {
    load: Load,
    /// Bytes of all, and when, at the last sample.
    last: Option<(u64, Millis)>,
}

/// What each place has seen in this month: bytes and milliseconds.
pub(crate) type Seen = HashMap<String, (u64, u64)>;

/// What goes out.
#[derive(Debug)]
pub(crate) struct Meter {
    shards: [Mutex<HashMap<VideoId, Arc<Count>>>; SHARDS],
    all: Arc<AtomicU64>,
    elsewhere: Mutex<HashMap<(String, VideoId), (u64, u64)>>,
    sums: Mutex<Sums>,
    flow: Mutex<Flow>,
    seen: Mutex<Arc<Seen>>,
    chosen: Mutex<HashMap<VideoId, String>>,
}

impl Meter {
    /// Nothing went out yet.
    pub(crate) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            all: Arc::default(),
            elsewhere: Mutex::default(),
            sums: Mutex::default(),
            flow: Mutex::new(Flow { load: Load::default(), last: None }),
            seen: Mutex::default(),
            chosen: Mutex::default(),
        }
    }

    /// Counts what goes out of a video from here.
    pub(crate) fn tally(&self, video: VideoId) -> Tally {
        let shard = usize::try_from(video.bits() % SHARDS as u128).unwrap_or_default();
        let of = Arc::clone(held(&self.shards[shard]).entry(video).or_default());
        Tally { of, all: Arc::clone(&self.all) }
    }

    /// A viewer was sent to a place, for a video of so many milliseconds. What is delivered from here is counted as it goes.
    pub(crate) fn start(&self, place: &str, video: VideoId, duration_ms: u64) {
        let mut elsewhere = held(&self.elsewhere);
        let count = elsewhere.entry((place.to_owned(), video)).or_default();
        count.0 += if place == OWN { 0 } else { duration_ms };
        count.1 += 1;
    }

    /// Another second is over: how much went out in it.
    pub(crate) fn sample(&self, link: Option<Link>, now: Millis) {
        let all = self.all.load(Ordering::Relaxed);
        let mut flow = held(&self.flow);
        if let (Some(link), Some((before, at))) = (link, flow.last) {
            let (bytes, ms) = (all.saturating_sub(before), now.since(at).max(1));
            #[expect(clippy::cast_precision_loss, reason = "a rate needs no exact number")]
            let mbit = bytes as f64 * 8.0 / 1_000.0 / ms as f64;
            flow.load = flow.load.after(mbit, link, now);
        }
        flow.last = Some((all, now));
    }

    /// What our line carries.
    pub(crate) fn load(&self) -> Load {
        held(&self.flow).load
    }

    /// The sum that is to be added next: the one that was not added for sure, else what went out since then.
    pub(crate) fn sum(&self, now: Millis) -> Option<Sum> {
        let mut sums = held(&self.sums);
        if sums.open.is_none() {
            let sent = self.take();
            if !sent.is_empty() {
                sums.seq += 1;
                sums.open = Some(Sum { seq: sums.seq, at: now, sent });
            }
        }
        sums.open.clone()
    }

    /// The sum of this number was added.
    pub(crate) fn added(&self, seq: u64) {
        let mut sums = held(&self.sums);
        sums.open.take_if(|open| open.seq == seq);
    }

    fn take(&self) -> Vec<Sent> {
        let mut sent: HashMap<(String, VideoId), Sent> = HashMap::new();
        let mut add = |place: &str, video: VideoId, (bytes, media_ms, starts): (u64, u64, u64)| {
            let empty = Sent { place: place.to_owned(), video, bytes: 0, media_ms: 0, starts: 0 };
            let one = sent.entry((place.to_owned(), video)).or_insert(empty);
            one.bytes += bytes;
            one.media_ms += media_ms;
            one.starts += starts;
        };
        for shard in &self.shards {
            held(shard).retain(|video, count| {
                let went =
                    (count.bytes.swap(0, Ordering::Relaxed), count.media_ms.swap(0, Ordering::Relaxed));
                if went != (0, 0) {
                    add(OWN, *video, (went.0, went.1, 0));
                }
                // Nobody can begin to count here while the lock is held; who counts already still does.
                Arc::strong_count(count) > 1
            });
        }
        for ((place, video), (media_ms, starts)) in held(&self.elsewhere).drain() {
            add(&place, video, (0, media_ms, starts));
        }
        sent.into_values().collect()
    }

    /// What each place has seen in this month, as it was read last.
    pub(crate) fn seen(&self) -> Arc<Seen> {
        Arc::clone(&held(&self.seen))
    }

    /// What each place has seen in this month.
    pub(crate) fn remember(&self, seen: Seen) {
        *held(&self.seen) = Arc::new(seen);
    }

    /// Where the last viewer of a video was sent.
    pub(crate) fn last(&self, video: VideoId) -> Option<String> {
        held(&self.chosen).get(&video).cloned()
    }

    /// A viewer of a video is sent there.
    pub(crate) fn sent(&self, video: VideoId, place: &str) {
        let mut chosen = held(&self.chosen);
        if chosen.len() >= CHOSEN_MAX {
            chosen.clear();
        }
        chosen.insert(video, place.to_owned());
    }
}

fn held<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().expect("because nobody panics while it is held")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_000_000);

    fn video(n: u128) -> VideoId {
        VideoId::from_bits(n)
    }

    fn sent(place: &str, n: u128, bytes: u64, (media_ms, starts): (u64, u64)) -> Sent {
        Sent { place: place.to_owned(), video: video(n), bytes, media_ms, starts }
    }

    fn sorted(sum: Option<Sum>) -> (u64, Vec<Sent>) {
        let mut sum = sum.unwrap();
        sum.sent.sort();
        (sum.seq, sum.sent)
    }

    #[test]
    fn what_goes_out_is_handed_over_once_also_while_it_goes() {
        let meter = Meter::new();
        let (one, other) = (meter.tally(video(1)), meter.tally(video(17)));
        one.bytes(10);
        one.media(4_000);
        other.bytes(5);
        meter.start(OWN, video(1), 60_000);
        meter.start("bn", video(1), 60_000);
        meter.start("bn", video(1), 60_000);
        let expected =
            vec![sent("bn", 1, 0, (120_000, 2)), sent(OWN, 1, 10, (4_000, 1)), sent(OWN, 17, 5, (0, 0))];
        assert_eq!(sorted(meter.sum(NOW)), (1, expected.clone()));
        one.bytes(7);
        assert_eq!(sorted(meter.sum(NOW)), (1, expected), "as long as it was not added, it is the same");
        meter.added(1);
        meter.added(1);
        assert_eq!(sorted(meter.sum(NOW)), (2, vec![sent(OWN, 1, 7, (0, 0))]));
        meter.added(2);
        assert_eq!(meter.sum(NOW), None);
        drop((one, other));
        assert_eq!(meter.sum(NOW), None);
        assert!(meter.shards.iter().all(|shard| held(shard).is_empty()), "nothing is kept of what is over");
    }

    #[test]
    fn the_load_is_what_went_out_in_a_second() {
        let meter = Meter::new();
        let link = Some(Link { capacity_mbit: 10.0, calm_ms: 1_000 });
        let tally = meter.tally(video(1));
        meter.sample(link, NOW);
        tally.bytes(1_000_000);
        meter.sample(link, NOW.plus(2_000));
        let used = meter.load().used_mbit();
        assert!((used - 4.0).abs() < 1e-9, "{used}");
    }

    #[test]
    fn it_is_remembered_where_the_last_viewer_was_sent() {
        let meter = Meter::new();
        meter.sent(video(1), "bn");
        meter.sent(video(1), "cf");
        assert_eq!(meter.last(video(1)).as_deref(), Some("cf"));
        assert_eq!(meter.last(video(2)), None);
        for n in 0..CHOSEN_MAX as u128 {
            meter.sent(video(n + 10), "cf");
        }
        assert!(held(&meter.chosen).len() <= CHOSEN_MAX);
    }
}
