//! The assemble job: writes the final hybrid MP4 of one rendition from its finished segments, without ffmpeg.

use bytes::Bytes;
use matinee_core::id::{ObjectId, RenditionId};
use matinee_core::ledger;
use matinee_core::media::hybrid::{SegmentIn, TrackIn, hybrid};
use matinee_core::media::segment::{Row, rows_decode, rows_encode};
use matinee_core::media::{Index, TrackKind};
use matinee_core::plan::{Codec, SoundCodec};
use matinee_core::video::{Medium, RenditionState};
use matinee_io::db::{Assembled, Rendition, SoundInFile, Stored};
use matinee_io::store;

use super::coding::{keep, video};
use super::fault::Fault;
use super::lease::Hold;
use super::{indexed, now};
use crate::node::Node;

/// Assembles, verifies and publishes one rendition.
pub(crate) async fn perform(node: &Node, hold: &Hold, rendition: RenditionId) -> Result<(), Fault> {
    let video = video(node, hold).await?;
    let all = node.db.renditions(video.id).await?;
    let ladder: Vec<_> = all.iter().filter(|row| row.generation == hold.generation).collect();
    let mine = ladder.iter().find(|row| row.id == rendition);
    let mine = *mine.ok_or_else(|| Fault::unverified("the rendition is not there any more"))?;
    // Only the main sound lies in the files of pictures; every other one has a file of its own. Pictures of the background
    // whose sound is Opus have its main sound, which also has a file of its own: what carries it may fail.
    let own = mine.background && hears_opus(mine);
    let sound = ladder.iter().find(|row| row.medium == Medium::Audio && row.background == own);
    let sound = sound.filter(|row| row.state != RenditionState::Failed);
    let picture = (mine.medium == Medium::Video).then_some(mine);
    let sound = if picture.is_some() { sound.copied() } else { Some(mine) };
    let (picture_in, sound_in) = (track(node, picture).await?, track(node, sound).await?);
    let file = hybrid(picture_in, sound_in)?;
    let from_store = |object: &ObjectId, offset, len| store::Piece::Object { object: *object, offset, len };
    let len = file.rope.len();
    let stored = keep(node, hold, ledger::Kind::Rendition, file.rope, from_store).await?;
    hold.progress(0.9);
    verify(node, &stored, len, (&file.video_rows, &file.audio_rows)).await?;
    let rows = if picture.is_some() { &file.video_rows } else { &file.audio_rows };
    let in_file =
        sound.filter(|_| picture.is_some_and(|picture| !picture.background)).map(|sound| SoundInFile {
            rendition: sound.id,
            segments: count(&file.audio_rows),
            bytes: bytes_of(&file.audio_rows),
            rows: rows_encode(&file.audio_rows),
        });
    let assembled = Assembled {
        rendition,
        stored,
        segments: count(rows),
        bytes: bytes_of(rows),
        rows: rows_encode(rows),
        sound: in_file,
        now: now(),
    };
    node.db.publish_assembled(&hold.lease, assembled).await?;
    node.shelf.forget(video.id);
    Ok(())
}

/// Is Opus heard with this picture?
fn hears_opus(row: &Rendition) -> bool {
    let codec = row.shape.codec.as_deref().and_then(Codec::of);
    codec.is_some_and(|codec| codec.sound() == SoundCodec::Opus)
}

fn count<T>(segments: &[T]) -> u32 {
    u32::try_from(segments.len()).expect("because segments are counted in u32")
}

fn bytes_of(rows: &[Row]) -> u64 {
    rows.iter().map(|row| row.len).sum()
}

/// The segments of a rendition with their heads, read from wherever they are.
async fn track(node: &Node, rendition: Option<&Rendition>) -> Result<Option<TrackIn<ObjectId>>, Fault> {
    let Some(rendition) = rendition else { return Ok(None) };
    let init = rendition.shape.init.clone();
    let init = init.ok_or_else(|| Fault::unverified(format!("{} has no beginning", rendition.name)))?;
    let wanted: u32 = node.db.parts(rendition.id).await?.iter().map(|part| part.segments).sum();
    let mut segments = Vec::new();
    while count(&segments) < wanted {
        let first = count(&segments) + 1;
        let Some((part, rows)) = node.db.part_rows(rendition.id, first).await? else {
            if first == 1 {
                return Err(Fault::unverified(format!("{} has a gap", rendition.name)));
            }
            // The job of a larger picture has just replaced the sound's parts by one that has all segments.
            segments.clear();
            continue;
        };
        let rows = rows_decode(&rows).ok_or_else(|| Fault::unverified("a segment table cannot be read"))?;
        let heads = heads(node, part.object, &rows).await?;
        let stored = |(row, head)| SegmentIn::stored(part.object, row, head);
        segments.extend(rows.into_iter().zip(heads).map(stored));
    }
    Ok(Some(TrackIn { init: init.into(), segments }))
}

/// The first bytes of each segment, read on a thread that may block.
async fn heads(node: &Node, object: ObjectId, rows: &[Row]) -> Result<Vec<Bytes>, Fault> {
    use std::os::unix::fs::FileExt as _;
    let file = node.store.file(object)?;
    let places: Vec<_> = rows.iter().map(|row| (row.offset, row.head_len as usize)).collect();
    let read = tokio::task::spawn_blocking(move || {
        let one = |(offset, len)| {
            let mut head = vec![0; len];
            file.read_exact_at(&mut head, offset).map(|()| Bytes::from(head))
        };
        places.into_iter().map(one).collect::<std::io::Result<Vec<_>>>()
    });
    Ok(read.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic)))?)
}

/// Indexes the written object again: what a player of the file will see must be what was planned.
async fn verify(node: &Node, stored: &Stored, len: u64, rows: (&[Row], &[Row])) -> Result<(), Fault> {
    if stored.size != len {
        return Err(Fault::unverified(format!("the file has {} bytes instead of {len}", stored.size)));
    }
    let index = indexed::index(&node.object_path(stored.object)?).await?;
    let (picture, sound) = rows;
    for (rows, is_video) in [(picture, true), (sound, false)] {
        check(&index, rows, is_video)?;
    }
    Ok(())
}

fn check(index: &Index, rows: &[Row], is_video: bool) -> Result<(), Fault> {
    let mut tracks = index.tracks.iter().filter(|track| match track.kind {
        TrackKind::Video { .. } => is_video,
        TrackKind::Audio { .. } => !is_video,
        TrackKind::Other => false,
    });
    let (track, more) = (tracks.next(), tracks.next());
    let Some(last) = rows.last() else {
        return if track.is_none() {
            Ok(())
        } else {
            Err(Fault::unverified("the file has a track too many"))
        };
    };
    let track =
        track.filter(|_| more.is_none()).ok_or_else(|| Fault::unverified("the file lacks a track"))?;
    track.check(index.size)?;
    let payload: u64 = rows.iter().map(|row| row.len - u64::from(row.head_len)).sum();
    let sizes: u64 = track.samples.iter().map(|sample| u64::from(sample.size)).sum();
    if payload != sizes || track.sample_entries != 1 {
        return Err(Fault::unverified(format!("the file's index names {sizes} of {payload} bytes")));
    }
    if last.end() == 0 {
        return Err(Fault::unverified("the file has no length"));
    }
    Ok(())
}
