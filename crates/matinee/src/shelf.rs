//! What viewers ask for again and again, in memory: the tracks of a video with their segment tables.

use std::sync::Arc;

use bytes::Bytes;
use matinee_core::id::{ObjectId, VideoId};
use matinee_core::media::segment::{Row, row_at, rows_count};
use matinee_core::time::Millis;
use matinee_core::video::Medium;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Segment tables of about a thousand hours.
const WEIGHT_MAX: u64 = 48 << 20;
/// So many videos are expected.
const VIDEOS: usize = 4_096;

/// One generation of one video, as it was read from the database.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) source: ObjectId,
    pub(crate) poster: Option<ObjectId>,
    /// All segments are there and stay as they are.
    pub(crate) ended: bool,
    pub(crate) tracks: Vec<Shelved>,
    /// When it was read; another node may have changed it since.
    pub(crate) read: Millis,
}

/// One track with its segments.
#[derive(Debug)]
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
    pub(crate) file: Option<ObjectId>,
    pub(crate) file_bytes: u64,
    pub(crate) parts: Vec<ShelvedPart>,
}

/// A run of segments in one object.
#[derive(Debug)]
pub(crate) struct ShelvedPart {
    pub(crate) first: u32,
    pub(crate) object: ObjectId,
    pub(crate) source: Option<ObjectId>,
    pub(crate) rows: Bytes,
}

/// A segment and where it lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) row: Row,
    pub(crate) object: ObjectId,
    pub(crate) source: Option<ObjectId>,
}

impl Shelved {
    /// Segment `number`, counted from 1, without looking at the others.
    pub(crate) fn segment(&self, number: u32) -> Option<Placed> {
        let after = self.parts.partition_point(|part| part.first <= number);
        let part = &self.parts[after.checked_sub(1)?];
        let row = row_at(&part.rows, (number - part.first) as usize)?;
        Some(Placed { row, object: part.object, source: part.source })
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

#[derive(Debug, Clone)]
struct Weigh;

impl Weighter<(VideoId, u32), Arc<Shown>> for Weigh {
    fn weight(&self, _: &(VideoId, u32), shown: &Arc<Shown>) -> u64 {
        let rows =
            shown.tracks.iter().flat_map(|track| &track.parts).map(|part| part.rows.len() as u64 + 128);
        1_024 + rows.sum::<u64>()
    }
}

/// The shelf: generations of videos by video and number.
#[derive(Debug)]
pub(crate) struct Shelf(Cache<(VideoId, u32), Arc<Shown>, Weigh>);

impl Shelf {
    /// An empty shelf.
    pub(crate) fn new() -> Self {
        Self(Cache::with_weighter(VIDEOS, WEIGHT_MAX, Weigh))
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
        if let Some(shown) = self.0.get(&key) {
            if fresh(&shown) {
                return Ok(shown);
            }
            self.0.remove(&key);
        }
        Box::pin(self.fill(key, read)).await
    }

    async fn fill<E, R>(&self, key: (VideoId, u32), read: impl FnOnce() -> R) -> Result<Arc<Shown>, E>
    where
        R: Future<Output = Result<Arc<Shown>, E>>,
    {
        match self.0.get_value_or_guard_async(&key).await {
            Ok(shown) => Ok(shown),
            Err(guard) => {
                let shown = read().await?;
                // A video that was forgotten while it was read must not come back; the next request reads again.
                drop(guard.insert(Arc::clone(&shown)));
                Ok(shown)
            }
        }
    }

    /// Takes a video off the shelf: it changed, or it is gone.
    pub(crate) fn forget(&self, video: VideoId) {
        for generation in [matinee_core::video::VIRTUAL, matinee_core::video::ENCODED] {
            self.0.remove(&(video, generation));
        }
    }
}
