//! Remakes: another generation of a video is made beside the one that is served, and takes its place in one transaction.

pub(crate) mod run;

use matinee_core::event::Topic;
use matinee_core::id::{AppId, JobId, VideoId};
use matinee_core::job::load::Load;
use matinee_core::job::{NewJob, Task};
use matinee_core::limits::REPLACED_GRACE_MS;
use matinee_core::pipeline::Template;
use matinee_core::remake::{self, Kept, Refusal, Remake, Stand, Start};
use matinee_core::time::Millis;
use matinee_core::video::{FIRST_ENCODED, Problem, RenditionState, VIRTUAL, retired_ms};
use serde_json::json;

use self::run::save;
use super::Db;
use super::error::DbError;
use super::lease::{Held, lock_video};
use super::ready::needed::{drop_unused, is_whole, let_go_of_work, may_be_run_again, wanted_in_background};
use super::rendition::{Rendition, renditions_of};
use super::told::tell;
use super::tx::Tx;
use super::value::args;
use super::video::row::{Video, video_of};
use super::word;
use super::{caption, job, pipeline, quota};

/// The wish to encode a video again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The app of the video.
    pub app: AppId,
    /// The video.
    pub video: VideoId,
    /// By which pipeline.
    pub template: Template,
    /// About how many bytes it will have.
    pub bytes: u64,
    /// The name of its first job.
    pub probe_job: JobId,
    /// When it happens.
    pub now: Millis,
}

impl Db {
    /// Begins to encode a video again. [`DbError::Absent`] when the app has no such video, [`DbError::Refused`] when it may not
    /// have so much.
    pub async fn encode_again(&self, wish: &Wish) -> Result<Result<(), Refusal>, DbError> {
        self.write(wish.clone(), |tx, wish| Box::pin(begin(tx, wish))).await
    }

    /// Stops a remake; what is served stays. [`DbError::Absent`] when none runs, or the app has no such video.
    pub async fn cancel_remake(&self, app: AppId, video: VideoId, now: Millis) -> Result<(), DbError> {
        self.write((app, video, now), |tx, (app, video, now)| {
            Box::pin(async move {
                let known = own(tx, *app, *video).await?;
                let remake = known.remake.filter(Remake::is_running).ok_or(DbError::Absent)?;
                let held = Held { app: *app, video: *video, generation: remake.generation };
                cancel(tx, held, &remake, *now).await
            })
        })
        .await
    }

    /// Forgets renditions that nobody can have an address of any more, at most `limit`; their bytes go. Returns how many.
    pub async fn forget_retired(&self, now: Millis, limit: u32) -> Result<u64, DbError> {
        self.write((now, limit), |tx, (now, limit)| {
            Box::pin(async move {
                // Those of a deleted video go with it.
                let sql = "SELECT DISTINCT r.video_id FROM rendition r JOIN video v ON v.id = r.video_id
                           WHERE r.retired_ms <= $1 AND v.deleted_ms IS NULL ORDER BY r.video_id LIMIT $2";
                let mut forgotten = 0;
                for row in tx.rows(sql, args![*now, *limit]).await? {
                    let video: VideoId = row.get("video_id")?;
                    match lock_video(tx, video).await {
                        Err(DbError::Absent) => continue,
                        Ok(_) => {}
                        Err(error) => return Err(error),
                    }
                    let sql = "DELETE FROM part WHERE rendition_id IN
                                 (SELECT id FROM rendition WHERE video_id = $1 AND retired_ms <= $2)";
                    tx.execute(sql, args![video, *now]).await?;
                    let sql = "DELETE FROM rendition WHERE video_id = $1 AND retired_ms <= $2";
                    forgotten += tx.execute(sql, args![video, *now]).await?;
                    drop_unused(tx, video, "replaced", *now).await?;
                }
                Ok(forgotten)
            })
        })
        .await
    }
}

async fn begin(tx: &mut Tx, wish: &Wish) -> Result<Result<(), Refusal>, DbError> {
    let video = own(tx, wish.app, wish.video).await?;
    // One that lies in a store only is brought back by the job that needs it.
    let sql = "SELECT 1 AS there FROM replica WHERE object_id = $1 AND state = 'present'";
    let source = tx.row(sql, args![video.source]).await?.is_some();
    let sql = "SELECT count(DISTINCT generation) AS kept FROM rendition
               WHERE video_id = $1 AND generation > $2 AND retired_ms IS NOT NULL";
    let retired = tx.row(sql, args![wish.video, VIRTUAL]).await?.ok_or(DbError::Absent)?.get("kept")?;
    let kept = Kept { source, retired };
    let start = match remake::start((video.state, video.encoding), video.remake.as_ref(), kept) {
        Ok(start) => start,
        Err(refusal) => return Ok(Err(refusal)),
    };
    quota::admit(tx, (wish.app, video.collection), wish.bytes, 0).await?;
    let generation = match start {
        Start::Anew { generation } => {
            anew(tx, wish, generation).await?;
            generation
        }
        Start::Beside { generation } => {
            let made_by = pipeline::keep_template(tx, wish.app, &wish.template, wish.now).await?;
            let remake =
                Remake { generation, made_by, started: wish.now, stand: Stand::Running, found: None };
            save(tx, wish.video, &remake, wish.now).await?;
            generation
        }
    };
    let probe = NewJob {
        id: wish.probe_job,
        app: wish.app,
        video: Some(wish.video),
        task: Task::Probe { video: wish.video },
        prio: 0,
        weight: 0,
        load: Load::default(),
        run_at: wish.now,
        needs: Vec::new(),
        idem_key: None,
    };
    job::insert_for(tx, &probe, Some(generation), wish.now).await?;
    let (name, version) = (&wish.template.pipeline.name, wish.template.version);
    let facts = json!({ "generation": generation, "pipeline": name, "version": version });
    tell(tx, wish.app, Topic::VideoRemake, (wish.video.to_string(), facts), wish.now).await?;
    Ok(Ok(()))
}

/// Nothing of the video can be watched: it begins once more as if it had just arrived.
async fn anew(tx: &mut Tx, wish: &Wish, generation: u32) -> Result<(), DbError> {
    let video = wish.video;
    job::cancel_of_video(tx, video, wish.now).await?;
    let sql = "DELETE FROM part WHERE rendition_id IN (SELECT id FROM rendition WHERE video_id = $1)";
    tx.execute(sql, args![video]).await?;
    tx.execute("DELETE FROM rendition WHERE video_id = $1", args![video]).await?;
    tx.execute("DELETE FROM caption WHERE video_id = $1 AND added = $2", args![video, false]).await?;
    let made_by = pipeline::keep_template(tx, wish.app, &wish.template, wish.now).await?;
    tx.execute_one(
        "UPDATE video SET state = 'processing', reason = NULL, remake = NULL, generation = 0, encoding = $2,
           made_by = $3, pipeline = $4, probe = NULL, plan = NULL, damaged = NULL, work_id = NULL, updated_ms = $5 WHERE id = $1",
        args![
            video,
            generation,
            word::as_json(&made_by),
            made_by.name.as_str(),
            wish.now
        ],
    )
    .await?;
    drop_unused(tx, video, "superseded", wish.now).await
}

/// The remake is whole: from now on it is what is served, and the one before stays only for those who know its addresses.
pub(crate) async fn serve(
    tx: &mut Tx,
    held: Held,
    (remake, renditions): (&Remake, &[Rendition]),
    now: Millis,
) -> Result<(), DbError> {
    let mine = renditions.iter().filter(|one| one.generation == held.generation && !one.background);
    let failed = mine.clone().find(|one| one.state == RenditionState::Failed);
    let whole = failed.is_none() && is_whole(renditions, held.generation);
    let Some(found) = remake.found.as_ref().filter(|_| whole) else {
        let reason = failed.and_then(|one| one.reason.clone()).unwrap_or_else(nothing_whole);
        return fail(tx, held, remake, reason, now).await;
    };
    tx.execute_one(
        "UPDATE video SET state = 'ready', reason = NULL, remake = NULL, generation = $2, encoding = $2, made_by = $3,
           pipeline = $4, probe = $5, plan = $6, duration_ms = $7, updated_ms = $8, damaged = $9 WHERE id = $1",
        args![
            held.video,
            held.generation,
            word::as_json(&remake.made_by),
            remake.made_by.name.as_str(),
            found.probe.clone(),
            found.plan.clone(),
            found.duration_ms,
            now,
            found.damaged.clone()
        ],
    )
    .await?;
    if !wanted_in_background(renditions, held.generation) {
        let_go_of_work(tx, held.video).await?;
    }
    // Where pictures are cut or marked, nobody is to see the source without that any more.
    let template = pipeline::kept_template(tx, held.app, &remake.made_by).await?;
    let first =
        if template.is_none_or(|kept| kept.pipeline.changes_pictures()) { VIRTUAL } else { FIRST_ENCODED };
    tx.execute(
        "UPDATE rendition SET retired_ms = $4
         WHERE video_id = $1 AND generation BETWEEN $2 AND $3 AND retired_ms IS NULL",
        args![held.video, first, held.generation - 1, now.plus(retired_ms(found.duration_ms))],
    )
    .await?;
    job::cancel_of_generations(tx, held.video, 0..=held.generation - 1, now).await?;
    drop_unused(tx, held.video, "work", now.plus(REPLACED_GRACE_MS)).await?;
    let facts = json!({ "generation": held.generation });
    tell(tx, held.app, Topic::VideoRemade, (held.video.to_string(), facts), now).await
}

fn nothing_whole() -> Problem {
    Problem {
        code: "nothing_whole".to_owned(),
        human: "None of the new renditions could be completed.".to_owned(),
        fix: "Encode the video again; if that fails, too, see its jobs.".to_owned(),
    }
}

/// The remake cannot be made: all of it goes, and what was served before stays as it is.
pub(crate) async fn fail(
    tx: &mut Tx,
    held: Held,
    remake: &Remake,
    reason: Problem,
    now: Millis,
) -> Result<(), DbError> {
    let facts = json!({ "generation": held.generation, "reason": reason });
    end(tx, held, &remake.ended(Stand::Failed { reason, ended: now }), now).await?;
    tell(tx, held.app, Topic::VideoRemakeFailed, (held.video.to_string(), facts), now).await
}

/// Nobody wants the remake any more, or a job that it cannot do without.
pub(crate) async fn cancel(tx: &mut Tx, held: Held, remake: &Remake, now: Millis) -> Result<(), DbError> {
    end(tx, held, &remake.ended(Stand::Cancelled { ended: now }), now).await?;
    let facts = json!({ "generation": held.generation });
    tell(tx, held.app, Topic::VideoRemakeCancelled, (held.video.to_string(), facts), now).await
}

/// Nobody works on the remake any more, and nothing of it stays.
async fn end(tx: &mut Tx, held: Held, ended: &Remake, now: Millis) -> Result<(), DbError> {
    job::cancel_of_generations(tx, held.video, held.generation..=held.generation, now).await?;
    let sql = "DELETE FROM part WHERE rendition_id IN
                 (SELECT id FROM rendition WHERE video_id = $1 AND generation = $2)";
    tx.execute(sql, args![held.video, held.generation]).await?;
    let sql = "DELETE FROM rendition WHERE video_id = $1 AND generation = $2";
    tx.execute(sql, args![held.video, held.generation]).await?;
    save(tx, held.video, ended, now).await?;
    caption::abandon(tx, held.video).await?;
    // What is served may have something in the background still, or a job that may be run again.
    let row = tx.row("SELECT encoding FROM video WHERE id = $1", args![held.video]).await?;
    let served = Held { generation: row.ok_or(DbError::Absent)?.get("encoding")?, ..held };
    let renditions = renditions_of(tx, held.video).await?;
    if !wanted_in_background(&renditions, served.generation) && !may_be_run_again(tx, served).await? {
        let_go_of_work(tx, held.video).await?;
    }
    drop_unused(tx, held.video, "superseded", now).await
}

/// A video of this app, locked.
async fn own(tx: &mut Tx, app: AppId, video: VideoId) -> Result<Video, DbError> {
    if lock_video(tx, video).await? != app {
        return Err(DbError::Absent);
    }
    let row = tx.row("SELECT * FROM video WHERE id = $1", args![video]).await?;
    video_of(&row.ok_or(DbError::Absent)?)
}
