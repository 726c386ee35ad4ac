//! What encoding has made, published under the lease of its job.

use matinee_core::event::Topic;
use matinee_core::id::{ObjectId, RenditionId, VideoId};
use matinee_core::job::{Lease, NewJob};
use matinee_core::limits::REPLACED_GRACE_MS;
use matinee_core::time::Millis;
use matinee_core::video::playable;
use serde_json::{Value, json};

use super::Db;
use super::error::DbError;
use super::growth::{self, NewPart};
use super::job;
use super::lease::{Held, held, settled};
use super::object::{Stored, present, unwanted_if_unused};
use super::part::Part;
use super::remake::run::{Run, run_of, save};
use super::told::tell;
use super::tx::Tx;
use super::value::args;

/// The segments of sound inside a file that was written for a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoundInFile {
    /// The audio track.
    pub rendition: RenditionId,
    /// How many segments it has.
    pub segments: u32,
    /// The bytes of all its segments together.
    pub bytes: u64,
    /// One row of fixed size for each segment.
    pub rows: Vec<u8>,
}

/// A whole rendition in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// The rendition.
    pub rendition: RenditionId,
    /// Its file.
    pub stored: Stored,
    /// How many segments it has.
    pub segments: u32,
    /// The bytes of all its segments together.
    pub bytes: u64,
    /// One row of fixed size for each segment.
    pub rows: Vec<u8>,
    /// With a picture: where the main sound is in its file. The best picture that can still be made carries it for all.
    pub sound: Option<SoundInFile>,
    /// When it happens.
    pub now: Millis,
}

impl Db {
    /// Publishes a chunk in all its renditions and completes its job; returns whether it made the video playable.
    ///
    /// [`DbError::Conflict`] when a part has another sample entry than its rendition,
    /// [`DbError::LeaseLost`] when the lease does not hold any more; then nothing changes.
    pub async fn publish_chunk(
        &self,
        lease: &Lease,
        parts: Vec<NewPart>,
        now: Millis,
    ) -> Result<bool, DbError> {
        self.write((*lease, parts, now), |tx, (lease, parts, now)| {
            Box::pin(async move {
                let held = settled(tx, lease, *now).await?;
                add_parts(tx, held, parts, *now).await
            })
        })
        .await
    }

    /// Publishes finished sound while its job goes on; returns whether it made the video playable.
    pub async fn publish_audio_part(
        &self,
        lease: &Lease,
        part: NewPart,
        now: Millis,
    ) -> Result<bool, DbError> {
        self.write((*lease, [part], now), |tx, (lease, parts, now)| {
            Box::pin(async move {
                let held = held(tx, lease, *now).await?;
                add_parts(tx, held, parts, *now).await
            })
        })
        .await
    }

    /// Publishes the last of the sound (nothing, when all is published already) and completes its job; returns
    /// whether it made the video playable.
    pub async fn publish_audio(
        &self,
        lease: &Lease,
        last: Option<NewPart>,
        now: Millis,
    ) -> Result<bool, DbError> {
        self.write((*lease, last, now), |tx, (lease, last, now)| {
            Box::pin(async move {
                let held = settled(tx, lease, *now).await?;
                add_parts(tx, held, last.as_slice(), *now).await
            })
        })
        .await
    }

    /// Says of a video that something of its source is damaged; what was said first stays. What a remake finds is said when it is
    /// served.
    pub async fn note_damage(&self, lease: &Lease, damaged: Value, now: Millis) -> Result<(), DbError> {
        self.write((*lease, damaged, now), |tx, (lease, damaged, now)| {
            Box::pin(async move {
                let held = held(tx, lease, *now).await?;
                match run_of(tx, held.video, held.generation).await? {
                    Run::Over => Ok(()),
                    Run::First => {
                        let sql = "UPDATE video SET damaged = $2, updated_ms = $3 WHERE id = $1 AND damaged IS NULL";
                        tx.execute(sql, args![held.video, damaged.clone(), *now]).await.map(drop)
                    }
                    Run::Beside(mut remake) => {
                        let Some(found) = remake.found.as_mut().filter(|found| found.damaged.is_none()) else {
                            return Ok(());
                        };
                        found.damaged = Some(damaged.clone());
                        save(tx, held.video, &remake, *now).await
                    }
                }
            })
        })
        .await
    }

    /// Completes the job that was to rewrite a source which cannot be rewritten, and inserts the probe that reads it as
    /// a whole.
    pub async fn give_up_remux(&self, lease: &Lease, probe: NewJob, now: Millis) -> Result<(), DbError> {
        self.write((*lease, probe, now), |tx, (lease, probe, now)| {
            Box::pin(async move {
                let held = settled(tx, lease, *now).await?;
                job::insert_for(tx, probe, Some(held.generation), *now).await
            })
        })
        .await
    }

    /// Publishes the source rewritten as a file that can be seeked, completes its job and inserts the probe of it.
    pub async fn publish_remux(
        &self,
        lease: &Lease,
        stored: Stored,
        probe: NewJob,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((*lease, stored, probe, now), |tx, (lease, stored, probe, now)| {
            Box::pin(async move {
                let held = settled(tx, lease, *now).await?;
                present(tx, (stored.object, stored.size, Some(stored.blake3)), *now).await?;
                let sql = "UPDATE video SET work_id = $2, updated_ms = $3 WHERE id = $1";
                tx.execute_one(sql, args![held.video, stored.object, *now]).await?;
                job::insert_for(tx, probe, Some(held.generation), *now).await
            })
        })
        .await
    }

    /// Completes the job of a step, which has made nothing of the video's.
    pub async fn complete_step(&self, lease: &Lease, now: Millis) -> Result<(), DbError> {
        self.write((*lease, now), |tx, (lease, now)| {
            Box::pin(async move { settled(tx, lease, *now).await.map(drop) })
        })
        .await
    }

    /// Publishes the one file of a rendition in place of its parts and completes its job.
    pub async fn publish_assembled(&self, lease: &Lease, assembled: Assembled) -> Result<(), DbError> {
        self.write((*lease, assembled), |tx, (lease, assembled)| Box::pin(assemble(tx, lease, assembled)))
            .await
    }
}

impl Db {
    /// Publishes the WebM file of a rendition, in place of an older one, and completes its job.
    pub async fn publish_webm(
        &self,
        lease: &Lease,
        (rendition, stored): (RenditionId, Stored),
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((*lease, rendition, stored, now), |tx, (lease, rendition, stored, now)| {
            Box::pin(async move {
                let held = settled(tx, lease, *now).await?;
                let sql = "SELECT webm_id FROM rendition WHERE id = $1 AND video_id = $2";
                let row = tx.row(sql, args![*rendition, held.video]).await?.ok_or(DbError::Absent)?;
                present(tx, (stored.object, stored.size, Some(stored.blake3)), *now).await?;
                let sql = "UPDATE rendition SET webm_id = $2, webm_bytes = $3 WHERE id = $1";
                tx.execute_one(sql, args![*rendition, stored.object, stored.size]).await?;
                if let Some(before) = row.get::<Option<ObjectId>>("webm_id")? {
                    unwanted_if_unused(tx, before, "superseded", now.plus(REPLACED_GRACE_MS)).await?;
                }
                let facts = json!({ "video": held.video, "webm_bytes": stored.size });
                tell(tx, held.app, Topic::RenditionReady, (rendition.to_string(), facts), *now).await
            })
        })
        .await
    }
}

async fn add_parts(tx: &mut Tx, held: Held, parts: &[NewPart], now: Millis) -> Result<bool, DbError> {
    for part in parts {
        growth::add(tx, held, part, now).await?;
    }
    become_playable(tx, held, now).await
}

/// Says once that the video can be played, when it can.
async fn become_playable(tx: &mut Tx, held: Held, now: Millis) -> Result<bool, DbError> {
    let sql = "SELECT generation FROM video WHERE id = $1";
    let row = tx.row(sql, args![held.video]).await?.ok_or(DbError::Absent)?;
    // Something plays already: the source, or the generation before a remake.
    if row.get::<u32>("generation")? > 0 || !playable(&growth::frontiers(tx, held).await?) {
        return Ok(false);
    }
    tx.execute_one(
        "UPDATE video SET playable_ms = COALESCE(playable_ms, $2), updated_ms = $2, generation = $3 WHERE id = $1",
        args![held.video, now, held.generation],
    )
    .await?;
    let facts = json!({ "generation": held.generation });
    tell(tx, held.app, Topic::VideoPlayable, (held.video.to_string(), facts), now).await?;
    Ok(true)
}

async fn assemble(tx: &mut Tx, lease: &Lease, done: &Assembled) -> Result<(), DbError> {
    let held = settled(tx, lease, done.now).await?;
    let stored = done.stored;
    present(tx, (stored.object, stored.size, Some(stored.blake3)), done.now).await?;
    replace_in(tx, held, (done.rendition, done.segments, done.bytes, &done.rows), done).await?;
    if let Some(sound) = &done.sound
        && is_best(tx, held.video, done.rendition).await?
    {
        replace_in(tx, held, (sound.rendition, sound.segments, sound.bytes, &sound.rows), done).await?;
    }
    settle_sound(tx, held.video, held.generation, done.now).await?;
    let facts = json!({ "video": held.video, "generation": held.generation, "bytes": stored.size });
    tell(tx, held.app, Topic::RenditionReady, (done.rendition.to_string(), facts), done.now).await
}

/// Is there no better picture that is whole or can still be made?
async fn is_best(tx: &mut Tx, video: VideoId, rendition: RenditionId) -> Result<bool, DbError> {
    let sql = "SELECT 1 AS better FROM rendition b JOIN rendition r ON r.id = $2
               WHERE b.video_id = $1 AND b.generation = r.generation AND b.media = 'video' AND b.state <> 'failed'
                 AND NOT b.background AND b.place < r.place LIMIT 1";
    Ok(tx.row(sql, args![video, rendition]).await?.is_none())
}

/// When every picture is whole or has failed, the main sound is whole as well, though no file carries it: the best
/// picture may have failed after the others were written. Then it is played from its own parts.
pub(crate) async fn settle_sound(
    tx: &mut Tx,
    video: VideoId,
    generation: u32,
    now: Millis,
) -> Result<(), DbError> {
    let sql = "UPDATE rendition SET state = 'ready', ready_ms = COALESCE(ready_ms, $2)
               WHERE video_id = $1 AND generation = $3 AND media = 'audio' AND state IN ('waiting', 'encoding') AND NOT background
                 AND place = (SELECT min(a.place) FROM rendition a
                              WHERE a.video_id = $1 AND a.generation = $3 AND a.media = 'audio')
                 AND EXISTS (SELECT 1 FROM rendition p WHERE p.video_id = $1 AND p.generation = $3
                               AND p.media = 'video' AND p.state = 'ready' AND NOT p.background)
                 AND NOT EXISTS (SELECT 1 FROM rendition p WHERE p.video_id = $1 AND p.generation = $3
                               AND p.media = 'video' AND p.state IN ('waiting', 'encoding')
                               AND NOT p.background)";
    tx.execute(sql, args![video, now, generation]).await.map(drop)
}

async fn replace_in(
    tx: &mut Tx,
    held: Held,
    (rendition, segments, bytes, rows): (RenditionId, u32, u64, &[u8]),
    done: &Assembled,
) -> Result<(), DbError> {
    tx.execute_one(
        "UPDATE rendition SET state = 'ready', file_id = $3, file_bytes = $4, ready_ms = COALESCE(ready_ms, $5)
         WHERE id = $1 AND video_id = $2 AND state <> 'failed'",
        args![rendition, held.video, done.stored.object, done.stored.size, done.now],
    )
    .await?;
    let part = Part { first: 1, segments, object: done.stored.object, source: None, bytes };
    growth::replace(tx, rendition, (part, rows), done.now.plus(REPLACED_GRACE_MS)).await
}
