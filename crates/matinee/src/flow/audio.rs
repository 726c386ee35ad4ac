//! The audio job: encodes one track as a whole and publishes finished segments while the encoder still runs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use matinee_core::id::RenditionId;
use matinee_core::ledger;
use matinee_core::limits;
use matinee_core::loudness::Leveled;
use matinee_core::media::audio::{Cutter, Grid};
use matinee_core::media::part::Part;
use matinee_core::media::segment::rows_encode;
use matinee_core::media::{Coding, Index, Track, TrackKind};
use matinee_core::plan::{self, argv};
use matinee_core::video::Medium;
use matinee_io::db::{NewPart, Shape};
use matinee_io::store;
use tokio::sync::watch;

use super::coding::{Planned, bench, keep, planned};
use super::damage;
use super::fault::Fault;
use super::lease::Hold;
use super::scratch::Scratch;
use super::{indexed, now};
use crate::node::Node;

/// How much earlier than the picture the sound may end (`transcode.md` section 10).
const AUDIO_SHORT_US_MAX: u64 = 40_000;

/// Encodes one track; its parts are published as they are finished.
pub(crate) async fn perform(node: &Node, hold: &Hold, number: u32) -> Result<(), Fault> {
    let planned = planned(node, hold).await?;
    let track = found(&planned, number)?;
    // Segments that an attempt which was cut off has published stay; the encoder gives the same bytes again.
    let scratch = Scratch::open(node, &hold.lease)?;
    let (at, encoded_us) = watch::channel(0_i64);
    let tail = publish(node, hold, (&planned, track), (scratch.file(argv::AUDIO_OUTPUT), encoded_us));
    let bench = bench(node, hold, &planned, &scratch)?;
    let run = async {
        let encoded = bench
            .audio(track, argv::AUDIO_OUTPUT, |us| {
                at.send_replace(us);
            })
            .await;
        drop(at);
        encoded
    };
    // The tail ends after the encoder has; when the encoder fails, the tail is dropped with its unpublished rest.
    let (learned, last) = tokio::try_join!(run, tail)?;
    if let Some(said) = damage::of(&hold.task, &planned.plan, learned.damage) {
        node.db.note_damage(&hold.lease, said, now()).await?;
    }
    note(node, hold, (&planned, track), learned.leveled).await?;
    node.db.publish_audio(&hold.lease, last, now()).await?;
    Ok(())
}

/// Keeps how loud a track was, where that was asked for.
async fn note(
    node: &Node,
    hold: &Hold,
    (planned, track): (&Planned, &plan::Track),
    leveled: Option<Leveled>,
) -> Result<(), Fault> {
    let Some(leveled) = leveled.filter(|_| track.loudness_lufs.is_some()) else { return Ok(()) };
    let rendition = row_of(node, hold, (planned, track)).await?;
    Ok(node.db.note_loudness(&hold.lease, (rendition, leveled), now()).await?)
}

/// Proves the file of a track that somebody else has encoded, and publishes it with what they say of its loudness.
pub(crate) async fn publish_whole(
    node: &Node,
    hold: &Hold,
    (planned, number): (&Planned, u32),
    (file, leveled): (PathBuf, Option<Leveled>),
) -> Result<(), Fault> {
    // Nobody says how far it is: it is all there.
    let (_, encoded_us) = watch::channel(0_i64);
    let track = found(planned, number)?;
    let last = publish(node, hold, (planned, track), (file, encoded_us)).await?;
    note(node, hold, (planned, track), leveled).await?;
    node.db.publish_audio(&hold.lease, last, now()).await?;
    Ok(())
}

/// Publishes the segments of a file that grows; returns its last part, proven and not yet published.
async fn publish(
    node: &Node,
    hold: &Hold,
    (planned, track): (&Planned, &plan::Track),
    (file, encoded_us): (PathBuf, watch::Receiver<i64>),
) -> Result<Option<NewPart>, Fault> {
    let rendition = row_of(node, hold, (planned, track)).await?;
    Sound { node, hold, planned, rendition, file }.follow(track, encoded_us).await
}

/// The rendition that a track becomes.
async fn row_of(
    node: &Node,
    hold: &Hold,
    (planned, track): (&Planned, &plan::Track),
) -> Result<RenditionId, Fault> {
    let renditions = node.db.renditions(planned.video.id).await?;
    let mine = renditions
        .iter()
        .find(|row| row.generation == hold.generation && row.medium == Medium::Audio && row.name == track.id);
    mine.map(|row| row.id).ok_or_else(|| Fault::unverified(format!("there is no rendition {}", track.id)))
}

fn found(planned: &Planned, number: u32) -> Result<&plan::Track, Fault> {
    let track = planned.plan.audio.get(number as usize);
    track.ok_or_else(|| Fault::unverified(format!("the plan has no audio track {number}")))
}

/// The sound of a video while it is encoded.
struct Sound<'a> {
    node: &'a Node,
    hold: &'a Hold,
    planned: &'a Planned,
    rendition: RenditionId,
    file: PathBuf,
}

impl Sound<'_> {
    /// Cuts what the encoder has finished into segments and publishes a part now and then; returns the last part.
    async fn follow(
        &self,
        track: &plan::Track,
        mut encoded_us: watch::Receiver<i64>,
    ) -> Result<Option<NewPart>, Fault> {
        let grid = grid(&self.planned.plan);
        let mut cutter = Cutter::new(grid, track.rate_hz, track.codec.priming());
        let mut pushed = 0_usize;
        let mut published_us = 0_i64;
        while encoded_us.changed().await.is_ok() {
            let at = *encoded_us.borrow_and_update();
            // The first part comes early, because the first picture waits for it.
            let step_us = if published_us == 0 { limits::AUDIO_FIRST_PART_US } else { limits::AUDIO_PART_US };
            if at - published_us < step_us {
                continue;
            }
            let Some(index) = read(&self.file).await? else { continue };
            pushed = feed(&mut cutter, &index, pushed)?;
            if let Some(part) = cutter.take() {
                let part = self.keep(&index, part, &cutter).await?;
                self.node.db.publish_audio_part(&self.hold.lease, part, now()).await?;
                published_us = at;
            }
        }
        let index = indexed::index(&self.file).await?;
        feed(&mut cutter, &index, pushed)?;
        verify(&index, &cutter, track)?;
        let init = cutter.init(sound_of(&index)?);
        match cutter.finish()? {
            None => Ok(None),
            Some(part) => Ok(Some(self.store(&index, part, init).await?)),
        }
    }

    async fn keep(&self, index: &Index, part: Part, cutter: &Cutter) -> Result<NewPart, Fault> {
        let init = cutter.init(sound_of(index)?);
        self.store(index, part, init).await
    }

    async fn store(&self, index: &Index, part: Part, init: Option<bytes::Bytes>) -> Result<NewPart, Fault> {
        let track = sound_of(index)?;
        let file = Arc::new(File::open(&self.file)?);
        let from_file = |(): &(), offset, len| store::Piece::File { file: Arc::clone(&file), offset, len };
        let bytes = part.rope.len();
        let stored = keep(self.node, self.hold, ledger::Kind::AudioPart, part.rope, from_file).await?;
        Ok(NewPart {
            rendition: self.rendition,
            stored,
            first: part.first,
            segments: u32::try_from(part.rows.len()).expect("because segments are counted in u32"),
            bytes,
            rows: rows_encode(&part.rows),
            shape: Shape {
                codec: Some(track.codec.clone()),
                timescale: Some(track.timescale),
                init: init.map(|init| init.to_vec()),
                entry_hash: Some(matinee_core::hash::of(&track.sample_entry)),
                ..Shape::default()
            },
        })
    }
}

/// The sound must be as long as the source's; a short one would be silence at the end of every rendition.
fn verify(index: &Index, cutter: &Cutter, planned: &plan::Track) -> Result<(), Fault> {
    let track = sound_of(index)?;
    let wanted = planned.codec;
    if track.sample_entries != 1 || track.codec != wanted.rfc6381() {
        return Err(Fault::unverified(format!("the sound is {} instead of {}", track.codec, wanted.name())));
    }
    if let Coding::Opus { pre_skip } = track.coding
        && u64::from(pre_skip) != wanted.priming()
    {
        let human = format!("the sound begins {pre_skip} samples early, which is not known");
        return Err(Fault::unverified(human));
    }
    let TrackKind::Audio { channels, rate_hz } = track.kind else {
        return Err(Fault::unverified("the encoder's file has no sound"));
    };
    if (u32::from(channels), rate_hz) != (planned.channels, planned.rate_hz) {
        let human = format!("the sound has {channels} channels at {rate_hz} Hz, which was not asked for");
        return Err(Fault::unverified(human));
    }
    let heard_us = cutter.heard() * 1_000_000 / u64::from(track.timescale.max(1));
    let wanted_us = planned.until_us.and_then(|until| u64::try_from(until).ok()).unwrap_or(0);
    if heard_us == 0 || heard_us + AUDIO_SHORT_US_MAX < wanted_us {
        let human = format!("the sound ends after {heard_us} us, the picture after {wanted_us} us");
        return Err(Fault::unverified(human));
    }
    Ok(())
}

/// Where the picture's segments begin, or every 4 s when there is none.
fn grid(plan: &plan::Plan) -> Grid {
    plan.video.as_ref().map_or(Grid::ALONE, |video| {
        let segments = video.frames.div_ceil(u64::from(video.segment));
        let segments = u32::try_from(segments).expect("because segments are counted in u32");
        Grid::of_video(video.segment, video.rate.num, video.rate.den, segments)
    })
}

/// The index of what has been written so far; `None` while there is not even a beginning.
async fn read(path: &Path) -> Result<Option<Index>, Fault> {
    match indexed::index(path).await {
        Ok(index) => Ok(Some(index)),
        Err(indexed::IndexFailure::Media(_)) => Ok(None),
        Err(indexed::IndexFailure::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// Hands the samples behind the first `pushed` to the cutter; returns how many it has had in all.
fn feed(cutter: &mut Cutter, index: &Index, pushed: usize) -> Result<usize, Fault> {
    let track = sound_of(index)?;
    // A fragment's header is in the growing file before its last samples are.
    let new: Vec<_> =
        track.samples.iter().skip(pushed).take_while(|sample| sample.end() <= index.size).collect();
    let had = pushed + new.len();
    cutter.push(new)?;
    Ok(had)
}

fn sound_of(index: &Index) -> Result<&Track, Fault> {
    let mut sounds = index.tracks.iter().filter(|track| matches!(track.kind, TrackKind::Audio { .. }));
    match (sounds.next(), sounds.next()) {
        (Some(track), None) => Ok(track),
        (None, _) | (Some(_), Some(_)) => {
            Err(Fault::unverified("the encoder's file has not exactly one sound"))
        }
    }
}
