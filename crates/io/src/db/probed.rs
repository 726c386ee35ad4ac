//! What the examination of a source found, published in one transaction with the jobs that follow from it.

use matinee_core::event::Topic;
use matinee_core::id::VideoId;
use matinee_core::job::{Kind, Lease, NewJob};
use matinee_core::pipeline::Template;
use matinee_core::remake::Found;
use matinee_core::time::Millis;
use matinee_core::video::{RenditionState, VIRTUAL};
use serde_json::{Value, json};

use super::Db;
use super::caption::{self, NewCaption};
use super::error::DbError;
use super::lease::{Held, settled};
use super::object::{Stored, present};
use super::part::{self, Part};
use super::remake::run::{Run, run_of, save};
use super::rendition::{NewTrack, insert_track};
use super::told::tell;
use super::tx::Tx;
use super::value::args;
use super::{job, pipeline, quota, tail, word};

/// A track that gathers bytes of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualTrack {
    /// The track, with its init segment.
    pub track: NewTrack,
    /// How many segments it has.
    pub segments: u32,
    /// The bytes of all its segments together.
    pub bytes: u64,
    /// One row of fixed size for each segment, with offsets into the sidecar.
    pub rows: Vec<u8>,
}

/// All that makes a source playable as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualSet {
    /// The object with the headers and byte ranges of all segments.
    pub sidecar: Stored,
    /// The tracks.
    pub tracks: Vec<VirtualTrack>,
}

/// What the examination of a source found.
#[derive(Debug, Clone, PartialEq)]
pub struct Probed {
    /// The length of the video in milliseconds.
    pub duration_ms: u64,
    /// By which pipeline.
    pub template: Template,
    /// What the probe said.
    pub probe: Value,
    /// What will be made of it.
    pub plan: Value,
    /// About how many bytes all that is made of it will have.
    pub bytes: u64,
    /// What is wrong with the source although it is accepted.
    pub damaged: Option<Value>,
    /// What makes it playable at once.
    pub virtual_set: Option<VirtualSet>,
    /// The tracks that will be encoded.
    pub ladder: Vec<NewTrack>,
    /// The subtitles of the source.
    pub captions: Vec<NewCaption>,
    /// The jobs that do it, each after the ones that it needs.
    pub jobs: Vec<NewJob>,
    /// When it happens.
    pub now: Millis,
}

impl Db {
    /// Publishes what the probe found and completes its job. With a virtual set the video is playable from now on.
    ///
    /// [`DbError::LeaseLost`] when the lease does not hold any more, [`DbError::Refused`] when it is a remake for which there is
    /// no room; then nothing changes.
    pub async fn publish_probe(&self, lease: &Lease, probed: Probed) -> Result<(), DbError> {
        self.write((*lease, probed), |tx, (lease, probed)| Box::pin(publish(tx, lease, probed))).await
    }
}

/// Until when the video is put off: somebody may have said so, or taken it back, while it was looked at. Its row was written
/// before, so nobody does now.
async fn put_off(tx: &mut Tx, video: VideoId) -> Result<Option<Millis>, DbError> {
    let row = tx.row("SELECT run_after_ms FROM video WHERE id = $1", args![video]).await?;
    row.map_or(Ok(None), |row| row.get("run_after_ms"))
}

async fn publish(tx: &mut Tx, lease: &Lease, probed: &Probed) -> Result<(), DbError> {
    let held = settled(tx, lease, probed.now).await?;
    let playable = match run_of(tx, held.video, held.generation).await? {
        Run::Over => return Err(DbError::LeaseLost),
        Run::First => publish_first(tx, held, probed).await?,
        Run::Beside(mut remake) => {
            // What there is stays beside it for hours.
            quota::admit_for(tx, held.app, held.video, probed.bytes).await?;
            remake.found = Some(Found {
                duration_ms: probed.duration_ms,
                probe: probed.probe.clone(),
                plan: probed.plan.clone(),
                damaged: probed.damaged.clone(),
            });
            save(tx, held.video, &remake, probed.now).await?;
            false
        }
    };
    for track in &probed.ladder {
        let birth = (held.generation, RenditionState::Waiting);
        insert_track(tx, (held.app, held.video), track, birth, probed.now).await?;
    }
    for new in &probed.captions {
        caption::insert(tx, held.video, new, None, probed.now).await?;
    }
    let run_after = put_off(tx, held.video).await?;
    for new in &probed.jobs {
        let mut new = new.clone();
        if new.task.kind() != Kind::Remux {
            new.run_at = run_after.map_or(new.run_at.min(probed.now), |at| at.max(probed.now));
        }
        job::insert_for(tx, &new, Some(held.generation), probed.now).await?;
    }
    // A remake may make those that could not be made.
    caption::revive(tx, held.video).await?;
    let subject = held.video.to_string();
    let facts = json!({
        "generation": held.generation,
        "duration_ms": probed.duration_ms,
        "damaged": probed.damaged,
    });
    tell(tx, held.app, Topic::VideoProbed, (subject.clone(), facts), probed.now).await?;
    if playable {
        let facts = json!({ "generation": VIRTUAL });
        tell(tx, held.app, Topic::VideoPlayable, (subject, facts), probed.now).await?;
    }
    Ok(())
}

/// A video that nobody has seen yet, or nobody can watch any more: whether it can be played from now on.
async fn publish_first(tx: &mut Tx, held: Held, probed: &Probed) -> Result<bool, DbError> {
    tail::unwanted(tx, held.video, "probed", probed.now).await?;
    let playable = probed.virtual_set.is_some();
    let made_by = pipeline::keep_template(tx, held.app, &probed.template, probed.now).await?;
    tx.execute_one(
        "UPDATE video SET duration_ms = $2, probe = $3, plan = $4, damaged = $5, updated_ms = $6,
           generation = $7, playable_ms = COALESCE(playable_ms, $8), made_by = $9, pipeline = $10 WHERE id = $1",
        args![
            held.video,
            probed.duration_ms,
            probed.probe.clone(),
            probed.plan.clone(),
            probed.damaged.clone(),
            probed.now,
            if playable { VIRTUAL } else { 0 },
            playable.then_some(probed.now),
            word::as_json(&made_by),
            made_by.name.as_str()
        ],
    )
    .await?;
    if let Some(set) = &probed.virtual_set {
        publish_virtual(tx, held, set, probed.now).await?;
    }
    Ok(playable)
}

async fn publish_virtual(tx: &mut Tx, held: Held, set: &VirtualSet, now: Millis) -> Result<(), DbError> {
    let sidecar = set.sidecar;
    present(tx, (sidecar.object, sidecar.size, Some(sidecar.blake3)), now).await?;
    let row = tx.row("SELECT source_id FROM video WHERE id = $1", args![held.video]).await?;
    let source = row.ok_or(DbError::Absent)?.get("source_id")?;
    for new in &set.tracks {
        let birth = (VIRTUAL, RenditionState::Ready);
        insert_track(tx, (held.app, held.video), &new.track, birth, now).await?;
        let part = Part {
            first: 1,
            segments: new.segments,
            object: sidecar.object,
            source: Some(source),
            bytes: new.bytes,
        };
        part::insert(tx, new.track.id, part, &new.rows).await?;
    }
    Ok(())
}
