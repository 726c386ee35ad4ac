//! What viewers ask for again and again, in memory: the tracks of a video with their segment tables, and the layouts of
//! sources that are played while they arrive.

mod lookout;
mod meter;
pub(crate) mod tries;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use matinee_core::id::{ObjectId, VideoId};
use matinee_core::limits;
use matinee_core::media::segment::{Row, row_at, rows_count};
use matinee_core::storyboard::Storyboard;
use matinee_core::time::Millis;
use matinee_core::video::Medium;
use matinee_io::db::{Shape, Sheet};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

pub(crate) use self::lookout::{Lookout, View};
pub(crate) use self::meter::{Meter, Tally};

/// Segment tables of about a thousand hours.
const WEIGHT_MAX: u64 = 48 << 20;
/// So many videos are expected.
const VIDEOS: usize = 4_096;

/// Layouts of sources that arrive: three of the largest ones, a hundred of films.
const ARRIVING_WEIGHT_MAX: u64 = 128 << 20;
/// So many of them are expected.
const ARRIVING: usize = 1_024;

/// One generation of one video, as it was read from the database.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The file that somebody brought in; none while it arrives.
    pub(crate) source: Option<ObjectId>,
    /// Files without the watermark, by their names: as the source they are for the owner only.
    pub(crate) kept: Vec<(String, ObjectId)>,
    pub(crate) poster: Option<ObjectId>,
    /// The captions that can be shown.
    pub(crate) captions: Vec<Words>,
    /// The chapters as WebVTT.
    pub(crate) chapters: Option<String>,
    /// The length of the video in milliseconds, as it was found.
    pub(crate) duration_ms: u64,
    pub(crate) board: Option<Board>,
    /// The short moving picture for cards.
    pub(crate) preview: Option<ObjectId>,
    /// All segments are there and stay as they are.
    pub(crate) ended: bool,
    pub(crate) tracks: Vec<Shelved>,
    /// The bound of all its playlists.
    pub(crate) target_duration_s: u32,
    /// When it was read; another node may have changed it since.
    pub(crate) read: Millis,
}

/// The storyboard of a video.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) storyboard: Storyboard,
    /// Its sheets in their order.
    pub(crate) sheets: Vec<Sheet>,
}

/// One track with its segments.
#[derive(Debug, Clone)]
pub(crate) struct Shelved {
    pub(crate) name: String,
    pub(crate) medium: Medium,
    pub(crate) codec: String,
    pub(crate) init: Bytes,
    pub(crate) timescale: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) rate: (u32, u32),
    pub(crate) channels: u32,
    pub(crate) language: String,
    pub(crate) title: String,
    pub(crate) file: Option<ObjectId>,
    pub(crate) file_bytes: u64,
    /// Made in the background, with sounds of its own.
    pub(crate) background: bool,
    /// The same as WebM, with its length in bytes.
    pub(crate) webm: Option<(ObjectId, u64)>,
    pub(crate) parts: Vec<ShelvedPart>,
}

/// The words of a video in one language.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) language: String,
    pub(crate) forced: bool,
    /// Shown unless the viewer chooses otherwise.
    pub(crate) default: bool,
    /// The WebVTT file and its length in bytes.
    pub(crate) file: (ObjectId, u64),
}

/// A run of segments in one object.
#[derive(Debug, Clone)]
pub(crate) struct ShelvedPart {
    pub(crate) first: u32,
    pub(crate) object: ObjectId,
    pub(crate) source: Option<ObjectId>,
    /// What the object would hold, when there is none: the sidecar of a source that arrives.
    pub(crate) sidecar: Option<Bytes>,
    pub(crate) rows: Bytes,
}

/// A segment and where it lies.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) row: Row,
    pub(crate) object: ObjectId,
    pub(crate) source: Option<ObjectId>,
    pub(crate) sidecar: Option<Bytes>,
}

impl Shelved {
    /// A track of this shape with these parts.
    pub(crate) fn of(name: String, medium: Medium, shape: Shape, parts: Vec<ShelvedPart>) -> Self {
        Self {
            name,
            medium,
            codec: shape.codec.unwrap_or_default(),
            init: shape.init.unwrap_or_default().into(),
            timescale: shape.timescale.unwrap_or(1),
            width: shape.width.unwrap_or_default(),
            height: shape.height.unwrap_or_default(),
            rate: shape.rate.unwrap_or((25, 1)),
            channels: shape.channels.unwrap_or(2),
            language: shape.language.unwrap_or_default(),
            title: shape.title.unwrap_or_default(),
            file: None,
            file_bytes: 0,
            background: false,
            webm: None,
            parts,
        }
    }

    /// Milliseconds from the start to the end of the last segment that is there.
    pub(crate) fn length_ms(&self) -> u64 {
        let last =
            self.parts.last().and_then(|part| row_at(&part.rows, rows_count(&part.rows).checked_sub(1)?));
        last.map_or(0, |row| {
            let end = u128::from(row.start) + u128::from(row.duration);
            u64::try_from(end * 1_000 / u128::from(self.timescale.max(1))).unwrap_or(u64::MAX)
        })
    }

    /// Segment `number`, counted from 1, without looking at the others.
    pub(crate) fn segment(&self, number: u32) -> Option<Placed> {
        let after = self.parts.partition_point(|part| part.first <= number);
        let part = &self.parts[after.checked_sub(1)?];
        let row = row_at(&part.rows, (number - part.first) as usize)?;
        Some(Placed { row, object: part.object, source: part.source, sidecar: part.sidecar.clone() })
    }

    /// Segments in order up to the first gap.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let mut next = 1;
        let unbroken = self.parts.iter().take_while(move |part| {
            let fits = part.first == next;
            next += u32::try_from(rows_count(&part.rows)).unwrap_or(u32::MAX);
            fits
        });
        unbroken.flat_map(|part| (0..rows_count(&part.rows)).filter_map(|n| row_at(&part.rows, n)))
    }
}

/// The bound of all playlists; it must stay what it was while a video grows and when it has ended.
///
/// Segments of pictures are as long as the first one, and those of sound at most a quarter longer.
pub(crate) fn target_duration_s(tracks: &[Shelved]) -> u32 {
    let longest = |track: &Shelved| {
        let ticks = track.rows().map(|row| u64::from(row.duration)).max();
        (ticks.unwrap_or_default() * 5).div_ceil(4 * u64::from(track.timescale.max(1)))
    };
    let of = |medium: Medium| tracks.iter().filter(move |track| track.medium == medium).map(longest).max();
    let longest = of(Medium::Video).or_else(|| of(Medium::Audio)).unwrap_or_default();
    u32::try_from(longest).unwrap_or(u32::MAX).max(limits::TARGET_DURATION_S)
}

/// What is known of a source while it arrives.
#[derive(Debug)]
pub(crate) struct Foreseen {
    /// Nothing more can be known before so many bytes are there.
    pub(crate) until: u64,
    /// The last bytes of the source were there, too.
    pub(crate) with_tail: bool,
    /// Its tracks with all their segments, when it can be played as it is.
    pub(crate) tracks: Option<Arc<[Arriving]>>,
}

/// A track of a source that arrives.
#[derive(Debug)]
pub(crate) struct Arriving {
    /// With all segments that are known, also those that cannot be played yet.
    pub(crate) track: Shelved,
    /// For each segment, how many bytes of the source it needs.
    pub(crate) reaches: Vec<u64>,
}

impl Arriving {
    /// How many of its first segments need no more than the first `bytes` of the source.
    pub(crate) fn reached(&self, bytes: u64) -> usize {
        self.reaches.partition_point(|reach| *reach <= bytes)
    }

    /// The track with its first segments only.
    pub(crate) fn first(&self, segments: usize) -> Shelved {
        let mut track = self.track.clone();
        for part in &mut track.parts {
            part.rows = part.rows.slice(..part.rows.len().min(segments * Row::BYTES));
        }
        track
    }
}

#[derive(Debug, Clone)]
struct WeighArriving;

impl Weighter<ObjectId, Arc<Foreseen>> for WeighArriving {
    fn weight(&self, _: &ObjectId, known: &Arc<Foreseen>) -> u64 {
        let tracks = known.tracks.as_deref().unwrap_or_default();
        let sidecar = tracks.first().and_then(|track| track.track.parts.first()?.sidecar.as_ref());
        let rows: usize = tracks.iter().map(|track| track.reaches.len() * (Row::BYTES + 8) + 1_024).sum();
        (256 + rows + sidecar.map_or(0, Bytes::len)) as u64
    }
}

/// What is known of sources that arrive, by source. All of it can be read again from the bytes that are there.
#[derive(Debug)]
pub(crate) struct Arrivals {
    known: Cache<ObjectId, Arc<Foreseen>, WeighArriving>,
    /// One look at a time: an index of foreign bytes takes memory.
    pub(crate) looking: tokio::sync::Mutex<()>,
}

impl Arrivals {
    /// Nothing is known.
    pub(crate) fn new() -> Self {
        // In one piece, so that the largest layout fits.
        let options = OptionsBuilder::new()
            .estimated_items_capacity(ARRIVING)
            .weight_capacity(ARRIVING_WEIGHT_MAX)
            .shards(1)
            .build()
            .expect("because the two sizes are given");
        let known = Cache::with_options(
            options,
            WeighArriving,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        );
        Self { known, looking: tokio::sync::Mutex::new(()) }
    }

    /// What is known of this source.
    pub(crate) fn get(&self, source: ObjectId) -> Option<Arc<Foreseen>> {
        self.known.get(&source)
    }

    /// Keeps what is known of this source from now on.
    pub(crate) fn put(&self, source: ObjectId, known: &Arc<Foreseen>) {
        self.known.insert(source, Arc::clone(known));
    }
}

#[derive(Debug, Clone)]
struct Weigh;

impl Weighter<(VideoId, u32), Arc<Shown>> for Weigh {
    fn weight(&self, _: &(VideoId, u32), shown: &Arc<Shown>) -> u64 {
        let rows =
            shown.tracks.iter().flat_map(|track| &track.parts).map(|part| part.rows.len() as u64 + 128);
        let chapters = shown.chapters.as_ref().map_or(0, String::len);
        1_024 + rows.sum::<u64>() + (chapters + 256 * shown.captions.len()) as u64
    }
}

/// The shelf: generations of videos by video and number.
#[derive(Debug)]
pub(crate) struct Shelf {
    shown: Cache<(VideoId, u32), Arc<Shown>, Weigh>,
    /// How often something was taken off.
    forgotten: AtomicU64,
}

impl Shelf {
    /// An empty shelf.
    pub(crate) fn new() -> Self {
        Self { shown: Cache::with_weighter(VIDEOS, WEIGHT_MAX, Weigh), forgotten: AtomicU64::new(0) }
    }

    /// What is on the shelf, when `fresh` says that it may be used; else what `read` brings, for everybody who waits.
    /// Reading begins behind a pointer, so that the usual answer does not carry the state of a database query along.
    pub(crate) async fn get<E, R>(
        &self,
        key: (VideoId, u32),
        fresh: impl Fn(&Shown) -> bool,
        read: impl FnOnce() -> R,
    ) -> Result<Arc<Shown>, E>
    where
        R: Future<Output = Result<Arc<Shown>, E>>,
    {
        if let Some(shown) = self.shown.get(&key) {
            if fresh(&shown) {
                return Ok(shown);
            }
            self.shown.remove(&key);
        }
        Box::pin(self.fill(key, read)).await
    }

    async fn fill<E, R>(&self, key: (VideoId, u32), read: impl FnOnce() -> R) -> Result<Arc<Shown>, E>
    where
        R: Future<Output = Result<Arc<Shown>, E>>,
    {
        match self.shown.get_value_or_guard_async(&key).await {
            Ok(shown) => Ok(shown),
            Err(guard) => {
                let before = self.forgotten.load(Ordering::SeqCst);
                let shown = read().await?;
                drop(guard.insert(Arc::clone(&shown)));
                // A video that was forgotten while it was read must not come back; the next request reads again.
                if self.forgotten.load(Ordering::SeqCst) != before {
                    self.shown.remove(&key);
                }
                Ok(shown)
            }
        }
    }

    /// Takes everything off the shelf: a whole collection is gone.
    pub(crate) fn clear(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.shown.clear();
    }

    /// Takes all generations of a video off the shelf: it changed, or it is gone.
    pub(crate) fn forget(&self, video: VideoId) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.shown.retain(|(known, _), _| *known != video);
    }
}
