//! From hardware back to software: the ladder of a video is encoded anew, as a whole, by what every machine has.
//!
//! Chunks of two encoders do not join, so all that hardware made of the ladder goes. Sound, pictures and the background stay.

use matinee_core::event::Topic;
use matinee_core::hardware::Engine;
use matinee_core::id::{JobId, VideoId};
use matinee_core::job::Outcome;
use matinee_core::limits::REPLACED_GRACE_MS;
use matinee_core::plan::HARDWARE_SAVES;
use matinee_core::time::Millis;
use matinee_core::video::{Medium, RenditionState, State};
use serde_json::{Value, json};

use super::Db;
use super::error::DbError;
use super::job;
use super::lease::lock_video;
use super::object::unwanted_if_unused;
use super::part::parts_of;
use super::remake::run::{Run, run_of, save};
use super::rendition::renditions_of;
use super::told::tell;
use super::tx::{Sql, Tx};
use super::value::{Row, args};

/// So many videos are looked at in one round.
const ROUND: u32 = 200;

/// A ladder that is planned for hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hard {
    /// The video.
    pub video: VideoId,
    /// Which of its generations.
    pub generation: u32,
    /// What encodes it.
    pub engine: Engine,
}

impl Db {
    /// Encodes a ladder in software, for this reason: its chunks are open again, whoever works on one has lost it, and what
    /// hardware made is deleted. `false` when it is not planned for this engine (any more).
    pub async fn fall_back(&self, hard: Hard, reason: &str, now: Millis) -> Result<bool, DbError> {
        self.write((hard, reason.to_owned(), now), |tx, (hard, reason, now)| {
            Box::pin(async move {
                let app = match lock_video(tx, hard.video).await {
                    Err(DbError::Absent) => return Ok(false),
                    locked => locked?,
                };
                if !replan(tx, hard, reason, *now).await? {
                    return Ok(false);
                }
                open_again(tx, hard, *now).await?;
                forget_made(tx, hard, *now).await?;
                let facts = json!({ "generation": hard.generation, "engine": hard.engine, "reason": reason });
                tell(tx, app, Topic::VideoReplanned, (hard.video.to_string(), facts), *now).await?;
                tx.wake_jobs();
                Ok(true)
            })
        })
        .await
    }

    /// The ladders of which a job waits for an engine.
    pub async fn engines_wanted(&self, now: Millis) -> Result<Vec<Hard>, DbError> {
        self.read(now, |tx, now| {
            Box::pin(async move {
                let sql = "SELECT DISTINCT video_id, generation, engine FROM job
                           WHERE state = 1 AND kind = 'chunk' AND engine > '' AND run_at_ms <= $1 LIMIT $2";
                tx.rows(sql, args![*now, ROUND]).await?.iter().map(wanted).collect()
            })
        })
        .await
    }
}

fn wanted(row: &Row) -> Result<Hard, DbError> {
    let engine: String = row.get("engine")?;
    Ok(Hard {
        video: row.get("video_id")?,
        generation: row.get("generation")?,
        engine: engine.try_into().map_err(DbError::Never)?,
    })
}

/// Takes the engine out of the plan of its generation. `false` when it is not there.
async fn replan(tx: &mut Tx, hard: &Hard, reason: &str, now: Millis) -> Result<bool, DbError> {
    match run_of(tx, hard.video, hard.generation).await? {
        Run::First => {
            let row = tx.row("SELECT plan FROM video WHERE id = $1", args![hard.video]).await?;
            let Some(mut plan) = row.ok_or(DbError::Absent)?.get::<Option<Value>>("plan")? else {
                return Ok(false);
            };
            if !soften(&mut plan, hard.engine, reason) {
                return Ok(false);
            }
            let sql = "UPDATE video SET plan = $2, updated_ms = $3 WHERE id = $1";
            tx.execute_one(sql, args![hard.video, plan, now]).await?;
        }
        Run::Beside(mut remake) => {
            let Some(found) = &mut remake.found else { return Ok(false) };
            if !soften(&mut found.plan, hard.engine, reason) {
                return Ok(false);
            }
            save(tx, hard.video, &remake, now).await?;
        }
        Run::Over => return Ok(false),
    }
    Ok(true)
}

fn soften(plan: &mut Value, engine: Engine, reason: &str) -> bool {
    let Some(picture) = plan["video"].as_object_mut() else { return false };
    if picture.get("engine") != Some(&json!(engine)) {
        return false;
    }
    picture.remove("engine");
    picture.insert("fallback".to_owned(), reason.into());
    true
}

/// Every chunk of the ladder is to be done, by anybody; what waits for them waits for all of them again.
async fn open_again(tx: &mut Tx, hard: &Hard, now: Millis) -> Result<(), DbError> {
    let (video, generation, engine) = (hard.video, hard.generation, hard.engine.to_string());
    let sql = Sql::Each {
        sqlite: "SELECT id FROM job WHERE video_id = $1 AND generation = $3 AND engine = $2 AND state = 2 ORDER BY id",
        postgres: "SELECT id FROM job WHERE video_id = $1 AND generation = $3 AND engine = $2 AND state = 2 ORDER BY id
                   FOR UPDATE",
    };
    for row in tx.rows(sql, args![video, engine.as_str(), generation]).await? {
        let running: JobId = row.get("id")?;
        job::close_attempt(tx, running, Outcome::Returned, None, now).await?;
    }
    // What is dead or cancelled stays that; run again, it is done in software.
    let sql = "UPDATE job SET engine = '', state = CASE WHEN state IN (2, 3) THEN 1 ELSE state END, tries_from = attempt,
                 cost_ms = cost_ms * $4, run_at_ms = $3, lease_until_ms = NULL, lease_token = NULL, holder = NULL,
                 progress = NULL, result = NULL, finished_ms = CASE WHEN state = 3 THEN NULL ELSE finished_ms END,
                 last_error = CASE WHEN state IN (4, 5) THEN last_error ELSE NULL END
               WHERE video_id = $1 AND engine = $2 AND generation = $5";
    tx.execute(sql, args![video, engine.as_str(), now, HARDWARE_SAVES, generation]).await?;
    let sql = "UPDATE job SET needs = (
                 SELECT count(*) FROM job_dep d JOIN job p ON p.id = d.needs_id
                 WHERE d.job_id = job.id AND p.state <> 3 AND (p.state < 3 OR d.on_death = 'kill'))
               WHERE video_id = $1 AND generation = $2 AND state = 0";
    tx.execute(sql, args![video, generation]).await.map(drop)
}

/// What hardware made of the ladder goes, after the time that a player needs who has just asked for it. A video that was
/// watched by nothing else is not to be watched until software has made its beginning.
async fn forget_made(tx: &mut Tx, hard: &Hard, now: Millis) -> Result<(), DbError> {
    let later = now.plus(REPLACED_GRACE_MS);
    for rendition in renditions_of(tx, hard.video).await? {
        let open = matches!(rendition.state, RenditionState::Waiting | RenditionState::Encoding);
        let ladder = rendition.generation == hard.generation && rendition.medium == Medium::Video;
        if !open || !ladder || rendition.background {
            continue;
        }
        let parts = parts_of(tx, rendition.id).await?;
        tx.execute("DELETE FROM part WHERE rendition_id = $1", args![rendition.id]).await?;
        for part in parts {
            unwanted_if_unused(tx, part.object, "fell_back", later).await?;
        }
        let sql = "UPDATE rendition SET state = 'waiting', codec = NULL, timescale = NULL, init = NULL, entry_hash = NULL
                   WHERE id = $1";
        tx.execute_one(sql, args![rendition.id]).await?;
    }
    let sql = "UPDATE video SET generation = 0 WHERE id = $1 AND generation = $2 AND state = $3";
    tx.execute(sql, args![hard.video, hard.generation, State::Processing]).await.map(drop)
}
