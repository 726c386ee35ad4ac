//! A source that is played while it arrives: laid out from its index, listed as far as its bytes are durable.
//!
//! Nothing of it is stored: what is known can be read again from the same bytes, and they never change. It is the first
//! generation before its time, with the same addresses and the same segments.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use matinee_core::id::VideoId;
use matinee_core::media::index::{Indexer, Step};
use matinee_core::media::layout::{Layout, LayoutTrack, layout, layout_so_far};
use matinee_core::media::segment::rows_encode;
use matinee_core::media::{Index, TrackKind};
use matinee_core::plan::Rate;
use matinee_core::upload::Way;
use matinee_core::video::Medium;
use matinee_core::{language, limits};
use matinee_io::db::{Arriving, NewTrack, Shape, Video, VirtualTrack};
use matinee_io::random;

use super::{Failure, intake, now};
use crate::node::Node;
use crate::shelf::{self, Foreseen, Shelved, ShelvedPart, Shown, target_duration_s};

/// How much of a tail is compared with its source at once, in bytes.
const COMPARED_BYTES: u64 = 1 << 20;

/// What can be played now of a video whose source arrives, or was not examined yet.
pub(super) async fn shown(node: &Node, video: VideoId) -> Result<Arc<Shown>, Failure> {
    let read = now();
    let arriving = arriving(node, video).await?.ok_or(Failure::Absent)?;
    let known = foreseen(node, &arriving).await?;
    let all = known.tracks.as_deref().unwrap_or_default();
    let segments = listed(all, arriving.upload.offset).ok_or(Failure::Absent)?;
    // The bound is that of the whole, so that it stays when more can be played.
    let whole: Vec<Shelved> = all.iter().map(|track| track.track.clone()).collect();
    Ok(Arc::new(Shown {
        source: None,
        kept: Vec::new(),
        poster: None,
        captions: Vec::new(),
        chapters: None,
        duration_ms: 0,
        board: None,
        preview: None,
        ended: false,
        target_duration_s: target_duration_s(&whole),
        tracks: all
            .iter()
            .map(|track| track.first(segments.min(track.reached(arriving.upload.offset))))
            .collect(),
        read,
    }))
}

/// The upload of a video, unless its pictures are to be seen only after something was done to them, or nobody knows
/// whether they are.
async fn arriving(node: &Node, video: VideoId) -> Result<Option<Arriving>, Failure> {
    let arriving = node.db.arriving(video).await?;
    let Some(arriving) = arriving.filter(|arriving| arriving.upload.way != Way::Direct) else {
        return Ok(None);
    };
    let app = arriving.upload.app;
    // A video that begins anew is made by another pipeline than its upload has named.
    let template = match &arriving.made_by {
        Some(made_by) => node.db.template(app, made_by).await?,
        None => intake::template(node, app, &arriving.upload.pipeline).await?,
    };
    Ok(Some(arriving).filter(|_| template.is_some_and(|known| !known.pipeline.changes_pictures())))
}

/// How many segments of the picture and of the main sound are there; `None` before the first.
fn listed(tracks: &[shelf::Arriving], offset: u64) -> Option<usize> {
    let main = tracks.iter().position(|arriving| arriving.track.medium == Medium::Audio);
    let waited_for = &tracks[..main.map_or(tracks.len(), |main| main + 1)];
    waited_for.iter().map(|track| track.reached(offset)).min().filter(|segments| *segments > 0)
}

/// The length in milliseconds of a video that can be played while its source arrives, as far as it is known: of the
/// whole when its index is complete. `None` while nothing can be played.
pub(super) async fn playable(node: &Node, video: VideoId) -> Result<Option<u64>, Failure> {
    let Some(arriving) = arriving(node, video).await? else { return Ok(None) };
    let known = foreseen(node, &arriving).await?;
    let all = known.tracks.as_deref().unwrap_or_default();
    let begun = listed(all, arriving.upload.offset).is_some();
    let end_ms = |track: &shelf::Arriving| {
        let end = track.track.rows().last().map_or(0, |row| row.end());
        end.saturating_mul(1_000) / u64::from(track.track.timescale.max(1))
    };
    Ok(all.iter().map(end_ms).max().filter(|_| begun))
}

/// What is known of the source; looked at again only when more can be known.
async fn foreseen(node: &Node, arriving: &Arriving) -> Result<Arc<Foreseen>, Failure> {
    let source = arriving.upload.object;
    let holds = |known: &Arc<Foreseen>| {
        known.with_tail == arriving.tail.is_some() && arriving.upload.offset < known.until
    };
    if let Some(known) = node.arrivals.get(source).filter(holds) {
        return Ok(known);
    }
    let turn = node.arrivals.looking.lock().await;
    let before = node.arrivals.get(source);
    if let Some(known) = before.clone().filter(holds) {
        return Ok(known);
    }
    let there = There::open(node, arriving)?;
    let seen = tokio::task::spawn_blocking(move || look(&there)).await;
    let seen = seen.map_err(|panic| Failure::Never(panic.to_string()))??;
    // What could be played stays so, whatever follows: the probe has the last word.
    let tracks = seen.tracks.or_else(|| before.and_then(|before| before.tracks.clone()));
    let known = Arc::new(Foreseen { tracks, ..seen });
    node.arrivals.put(source, &known);
    drop(turn);
    Ok(known)
}

/// The bytes of a source that are there.
struct There {
    source: matinee_core::id::ObjectId,
    file: Option<Arc<File>>,
    /// How many from its begin.
    offset: u64,
    tail: Option<(Arc<File>, u64)>,
    /// Bytes in all; the most there may be when that is not known.
    size: u64,
}

impl There {
    fn open(node: &Node, arriving: &Arriving) -> Result<Self, Failure> {
        let upload = &arriving.upload;
        let file = if upload.offset > 0 { Some(node.store.file(upload.object)?) } else { None };
        let tail = arriving.tail.map(|tail| Ok::<_, Failure>((node.store.file(tail.object)?, tail.size)));
        Ok(Self {
            source: upload.object,
            file,
            offset: upload.offset,
            tail: tail.transpose()?,
            size: upload.size.unwrap_or(node.config.uploads.max_bytes),
        })
    }

    /// Fills `bytes` from `offset`; `false` when they are not all there.
    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<bool> {
        let until = offset.saturating_add(bytes.len() as u64);
        if let Some(file) = self.file.as_ref().filter(|_| until <= self.offset) {
            return file.read_exact_at(bytes, offset).map(|()| true);
        }
        let tail = self
            .tail
            .as_ref()
            .and_then(|(file, size)| Some((file, offset.checked_sub(self.size.checked_sub(*size)?)?)));
        tail.map_or(Ok(false), |(file, at)| file.read_exact_at(bytes, at).map(|()| true))
    }
}

/// An index, or why there is none yet.
enum Seen {
    Whole(Index),
    /// The fragments that begin before this offset.
    SoFar(Index, u64),
    /// Not before so many bytes are there.
    NotYet(u64),
    Never,
}

/// Reads and lays out what is there. Blocks.
fn look(there: &There) -> io::Result<Foreseen> {
    let (laid, until) = match read_index(there)? {
        Seen::Never => (None, u64::MAX),
        Seen::NotYet(until) => (None, until),
        Seen::Whole(index) => (laid_out(there, &index, layout), u64::MAX),
        Seen::SoFar(index, until) => (laid_out(there, &index, layout_so_far), until),
    };
    let tracks = laid.map(|layout| tracks(there, layout));
    Ok(Foreseen { until, with_tail: there.tail.is_some(), tracks })
}

fn read_index(there: &There) -> io::Result<Seen> {
    let mut indexer = Indexer::new(there.size);
    let mut bytes = Vec::new();
    loop {
        let step = match indexer.step(&bytes) {
            Ok(step) => step,
            Err(error) => {
                tracing::debug!(source = %there.source, %error, "a source that arrives has no index");
                return Ok(Seen::Never);
            }
        };
        match step {
            Step::Done(index) => return Ok(Seen::Whole(*index)),
            Step::Read { len, .. } if len > limits::EARLY_INDEX_BYTES_MAX => return Ok(Seen::Never),
            Step::Read { offset, len } => {
                bytes.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
                if !there.read(&mut bytes, offset)? {
                    let until = offset.saturating_add(len);
                    return Ok(indexer
                        .so_far()
                        .map_or(Seen::NotYet(until), |index| Seen::SoFar(index, until)));
                }
            }
        }
    }
}

/// The layout of a source that browsers can play and that is not too large to be kept in memory.
fn laid_out(
    there: &There,
    index: &Index,
    layout: impl FnOnce(&Index) -> Result<Layout, matinee_core::media::layout::Unfit>,
) -> Option<Layout> {
    let samples = index.tracks.iter().map(|track| track.samples.len());
    if samples.fold(0, usize::saturating_add) > limits::EARLY_SAMPLES_MAX {
        return None;
    }
    let laid = layout(index);
    if let Err(unfit) = &laid {
        tracing::debug!(source = %there.source, %unfit, "a source that arrives cannot be played yet");
    }
    laid.ok()
}

fn tracks(there: &There, layout: Layout) -> Arc<[shelf::Arriving]> {
    let sidecar = layout.sidecar;
    let track = |(place, mut track): (u32, LayoutTrack)| {
        let reaches = std::mem::take(&mut track.reaches);
        let made = virtual_track(place, track);
        let part = ShelvedPart {
            first: 1,
            object: there.source,
            source: Some(there.source),
            sidecar: Some(sidecar.clone()),
            rows: made.rows.into(),
        };
        let track = Shelved::of(made.track.name, made.track.medium, made.track.shape, vec![part]);
        shelf::Arriving { track, reaches }
    };
    (0..).zip(layout.tracks).map(track).collect()
}

/// Were the last bytes that came first the last bytes of the source? Players may have seen segments that they name.
pub(super) async fn tail_was_true(node: &Node, video: &Video) -> Result<bool, Failure> {
    let (Some(tail), Some(source)) = (node.db.tail(video.id).await?, video.source) else { return Ok(true) };
    let (source, file) = (node.store.file(source)?, node.store.file(tail.object)?);
    let same = tokio::task::spawn_blocking(move || same_end(&source, &file, tail.size)).await;
    let same = same.map_err(|panic| Failure::Never(panic.to_string()))??;
    if !same {
        tracing::warn!(video = %video.id, "its last bytes are not those that were sent first");
    }
    Ok(same)
}

fn same_end(source: &File, tail: &File, size: u64) -> io::Result<bool> {
    let Some(from) = source.metadata()?.len().checked_sub(size) else { return Ok(false) };
    let mut at = 0;
    while at < size {
        let len = usize::try_from(COMPARED_BYTES.min(size - at)).map_err(io::Error::other)?;
        let (mut one, mut other) = (vec![0; len], vec![0; len]);
        source.read_exact_at(&mut one, from + at)?;
        tail.read_exact_at(&mut other, at)?;
        if one != other {
            return Ok(false);
        }
        at += len as u64;
    }
    Ok(true)
}

/// The track at this place of a virtual layout, as it is stored.
pub(super) fn virtual_track(place: u32, track: LayoutTrack) -> VirtualTrack {
    let (medium, name, width, height, channels) = match track.kind {
        TrackKind::Video { width, height, .. } => {
            (Medium::Video, "source".to_owned(), Some(width), Some(height), None)
        }
        TrackKind::Audio { channels, .. } => {
            let name =
                if track.alternative { format!("source-audio-{place}") } else { "source-audio".to_owned() };
            (Medium::Audio, name, None, None, Some(u32::from(channels)))
        }
        TrackKind::Other => unreachable!("because a layout has only pictures and sound"),
    };
    let rate = (medium == Medium::Video).then(|| average_rate(&track)).flatten();
    VirtualTrack {
        segments: u32::try_from(track.rows.len()).expect("because the index was in memory"),
        bytes: track.rows.iter().map(|row| row.len).sum(),
        rows: rows_encode(&track.rows),
        track: NewTrack {
            id: random::id(),
            name,
            medium,
            place,
            background: false,
            shape: Shape {
                codec: Some(track.codec),
                width: width.map(u32::from),
                height: height.map(u32::from),
                rate,
                channels,
                language: Some(language::tag(&track.language)),
                title: None,
                timescale: Some(track.timescale),
                init: Some(track.init.to_vec()),
                entry_hash: None,
            },
        },
    }
}

/// Pictures per second over the whole track.
fn average_rate(track: &LayoutTrack) -> Option<(u32, u32)> {
    let exact = Rate::reduced(track.samples * u64::from(track.timescale), track.ticks)?;
    let rate = Rate::grid(Some(exact), None, None);
    Some((rate.num, rate.den))
}
