//! Jobs as a page shows them: in groups, with counts; one with all that is known of it; and the queue before a video.

use matinee_core::id::{AppId, JobId, VideoId};
use matinee_core::job::{Attempt, Kind, State};
use matinee_core::limits::{BACKGROUND_PRIO, BACKGROUND_PRIO_MIN};
use matinee_core::time::Millis;
use serde_json::Value;

use super::list::{Job, attempt, job};
use super::runs::Run;
use super::state_of;
use crate::db::Db;
use crate::db::error::DbError;
use crate::db::tx::Tx;
use crate::db::value::{Arg, Row, args};

/// What people ask for together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Somebody works on it.
    Running,
    /// It has not been tried yet, or was given back: the next ones first.
    Waiting,
    /// It failed, and will be tried again.
    Retrying,
    /// It was given up, and not because another one was.
    Stuck,
    /// It is done, or nobody wants it any more: the last ones first.
    Over,
}

/// Which jobs to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Of this app.
    pub app: AppId,
    /// In this group.
    pub group: Group,
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Only of this video.
    pub video: Option<VideoId>,
    /// Of those that are over: only what ended before this one.
    pub before: Option<JobId>,
    /// At most so many.
    pub limit: u32,
}

/// How many jobs of an app are in each group that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Groups {
    /// Somebody works on them.
    pub running: u64,
    /// Nobody has tried them.
    pub waiting: u64,
    /// They will be tried again.
    pub retrying: u64,
    /// They were given up.
    pub stuck: u64,
}

/// A job with the title of its video.
#[derive(Debug, Clone, PartialEq)]
pub struct Titled {
    /// The job.
    pub job: Job,
    /// The title; `None` for a video that does not exist yet or any more.
    pub title: Option<String>,
}

/// A job with all that is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Closer {
    /// The job.
    pub titled: Titled,
    /// Its attempts with the programs that each ran, the oldest first.
    pub attempts: Vec<(Attempt, Vec<Run>)>,
    /// The jobs that it waits for and that are not done.
    pub needs: Vec<(JobId, Kind, State)>,
}

/// The chunks of one video that wait for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queued {
    /// The video.
    pub video: VideoId,
    /// Lower goes first.
    pub prio: i64,
    /// The last of them among equal `prio`.
    pub weight: i64,
    /// What all of them are expected to cost, in milliseconds.
    pub cost_ms: u64,
}

// The first condition names a column of the partial index that holds these rows: however many others there are, SQLite
// reads no more than those.
macro_rules! titled {
    ($which:literal, $order:literal) => {
        concat!(
            "SELECT job.*, v.title AS video_title,
               (SELECT a.started_ms FROM job_attempt a WHERE a.job_id = job.id AND a.ended_ms IS NULL) AS leased_ms
             FROM job LEFT JOIN video v ON v.id = job.video_id WHERE ",
            $which,
            " AND job.app_id = $1 AND ($2 IS NULL OR job.kind = $2) AND ($3 IS NULL OR job.video_id = $3) ORDER BY ",
            $order,
            " LIMIT $4"
        )
    };
}

const RUNNING: &str = titled!("job.state = 2 AND job.lease_until_ms > 0", "job.started_ms, job.id");
const READY: &str = titled!(
    "job.state = 1 AND job.kind > '' AND (job.attempt = 0 OR job.last_error IS NULL)",
    "job.prio, job.weight, job.id"
);
const BLOCKED: &str = titled!("job.state = 0", "job.prio, job.weight, job.id");
const RETRYING: &str = titled!(
    "job.state = 1 AND job.kind > '' AND job.attempt > 0 AND job.last_error IS NOT NULL",
    "job.run_at_ms, job.id"
);
const STUCK: &str = titled!(
    "job.state = 4 AND COALESCE(job.last_error ->> 'code', '') <> 'needed_job_ended'",
    "job.finished_ms DESC, job.id DESC"
);
const OVER: &str = titled!(
    "job.state >= 3 AND job.state <> 4 AND job.finished_ms IS NOT NULL
       AND ($5 IS NULL OR (job.finished_ms, job.id) < (SELECT p.finished_ms, p.id FROM job p WHERE p.id = $5))",
    "job.finished_ms DESC, job.id DESC"
);

impl Db {
    /// One page of a group.
    pub async fn job_group(&self, wish: &Wish) -> Result<Vec<Titled>, DbError> {
        self.read(*wish, |tx, wish| {
            Box::pin(async move {
                let mut values = args![wish.app, wish.kind.map(Kind::name), wish.video, wish.limit];
                let sql = match wish.group {
                    Group::Running => RUNNING,
                    Group::Waiting => READY,
                    Group::Retrying => RETRYING,
                    Group::Stuck => STUCK,
                    Group::Over => {
                        values.push(wish.before.into());
                        OVER
                    }
                };
                let mut jobs = titled(tx, sql, values.clone()).await?;
                if wish.group == Group::Waiting && jobs.len() < wish.limit as usize {
                    jobs.extend(titled(tx, BLOCKED, values).await?);
                    jobs.truncate(wish.limit as usize);
                }
                Ok(jobs)
            })
        })
        .await
    }

    /// How many jobs an app has in each group.
    pub async fn job_groups(&self, app: AppId) -> Result<Groups, DbError> {
        self.read(app, |tx, app| {
            Box::pin(async move {
                let sql = "SELECT
                    (SELECT count(*) FROM job WHERE state = 2 AND lease_until_ms > 0 AND app_id = $1) AS running,
                    (SELECT count(*) FROM job WHERE state = 1 AND kind > '' AND app_id = $1) AS ready,
                    (SELECT count(*) FROM job WHERE state = 1 AND kind > '' AND app_id = $1 AND attempt > 0
                       AND last_error IS NOT NULL) AS retrying,
                    (SELECT count(*) FROM job WHERE state = 0 AND app_id = $1) AS blocked,
                    (SELECT count(*) FROM job WHERE state = 4 AND app_id = $1
                       AND COALESCE(last_error ->> 'code', '') <> 'needed_job_ended') AS stuck";
                let Some(row) = tx.row(sql, args![*app]).await? else { return Ok(Groups::default()) };
                let (ready, retrying): (u64, u64) = (row.get("ready")?, row.get("retrying")?);
                let blocked: u64 = row.get("blocked")?;
                Ok(Groups {
                    running: row.get("running")?,
                    waiting: ready.saturating_sub(retrying) + blocked,
                    retrying,
                    stuck: row.get("stuck")?,
                })
            })
        })
        .await
    }

    /// One job with all that is known of it.
    pub async fn job_closer(&self, app: AppId, id: JobId) -> Result<Option<Closer>, DbError> {
        self.read((app, id), |tx, (app, id)| {
            Box::pin(async move {
                let sql = "SELECT job.*, v.title AS video_title,
               (SELECT a.started_ms FROM job_attempt a WHERE a.job_id = job.id AND a.ended_ms IS NULL) AS leased_ms
             FROM job LEFT JOIN video v ON v.id = job.video_id
                           WHERE job.id = $1 AND job.app_id = $2";
                let Some(found) = titled(tx, sql, args![*id, *app]).await?.into_iter().next() else {
                    return Ok(None);
                };
                let sql = "SELECT * FROM job_attempt WHERE job_id = $1 ORDER BY attempt";
                let mut attempts = Vec::new();
                for row in tx.rows(sql, args![*id]).await? {
                    let runs: Option<Value> = row.get("runs")?;
                    let runs = runs.and_then(|runs| serde_json::from_value(runs).ok()).unwrap_or_default();
                    attempts.push((attempt(&row)?, runs));
                }
                let sql = "SELECT p.id, p.kind, p.state FROM job_dep d JOIN job p ON p.id = d.needs_id
                           WHERE d.job_id = $1 AND p.state <> 3 ORDER BY p.id";
                let mut needs = Vec::new();
                for row in tx.rows(sql, args![*id]).await? {
                    let word: String = row.get("kind")?;
                    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == word);
                    needs.extend(kind.map(|kind| Ok((row.get("id")?, kind, state_of(row.get("state")?)?))));
                }
                let needs = needs.into_iter().collect::<Result<_, DbError>>()?;
                Ok(Some(Closer { titled: found, attempts, needs }))
            })
        })
        .await
    }

    /// All chunks that wait for a slot, by video.
    pub async fn queue(&self) -> Result<Vec<Queued>, DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                let sql = "SELECT video_id, prio, max(weight) AS weight, CAST(sum(cost_ms) AS bigint) AS cost
                           FROM job WHERE state = 1 AND kind = 'chunk' AND video_id IS NOT NULL
                           GROUP BY video_id, prio";
                let read = |row: &Row| {
                    Ok(Queued {
                        video: row.get("video_id")?,
                        prio: row.get("prio")?,
                        weight: row.get("weight")?,
                        cost_ms: row.get("cost")?,
                    })
                };
                tx.rows(sql, args![]).await?.iter().map(read).collect()
            })
        })
        .await
    }

    /// Puts a job, or all open jobs of its video, before or behind others; what is in the background stays there.
    /// [`DbError::Absent`] when it is over or unknown.
    pub async fn put_job(
        &self,
        (app, job): (AppId, JobId),
        prio: i64,
        with_video: bool,
    ) -> Result<(), DbError> {
        self.write((app, job, prio, with_video), |tx, (app, job, prio, with_video)| {
            Box::pin(async move {
                let values = || args![*job, *app, *prio, BACKGROUND_PRIO_MIN, prio + BACKGROUND_PRIO];
                let sql = "UPDATE job SET prio = CASE WHEN prio >= $4 THEN $5 ELSE $3 END
                           WHERE id = $1 AND app_id = $2 AND state < 3";
                tx.execute_one(sql, values()).await?;
                if *with_video {
                    let sql = "UPDATE job SET prio = CASE WHEN prio >= $4 THEN $5 ELSE $3 END
                               WHERE app_id = $2 AND state < 3
                                 AND video_id = (SELECT video_id FROM job WHERE id = $1)";
                    tx.execute(sql, values()).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Nothing of a video is encoded before `run_after`, or from now on again; what has been tried keeps its time.
    /// [`DbError::Absent`] when there is no such video.
    pub async fn put_off_video(
        &self,
        (app, video): (AppId, VideoId),
        run_after: Option<Millis>,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((app, video, run_after, now), |tx, (app, video, run_after, now)| {
            Box::pin(async move {
                let sql = "UPDATE video SET run_after_ms = $3, updated_ms = $4
                           WHERE id = $1 AND app_id = $2 AND deleted_ms IS NULL";
                tx.execute_one(sql, args![*video, *app, *run_after, *now]).await?;
                let sql =
                    "UPDATE job SET run_at_ms = $2 WHERE video_id = $1 AND state IN (0, 1) AND attempt = 0
                             AND kind NOT IN ('probe', 'remux')";
                tx.execute(sql, args![*video, run_after.unwrap_or(*now)]).await?;
                tx.wake_jobs();
                Ok(())
            })
        })
        .await
    }
}

async fn titled(tx: &mut Tx, sql: &'static str, values: Vec<Arg>) -> Result<Vec<Titled>, DbError> {
    let rows = tx.rows(sql, values).await?;
    let read = |row: &Row| {
        let job = Job { leased: row.get("leased_ms")?, ..job(row)? };
        Ok(Titled { job, title: row.get("video_title")? })
    };
    rows.iter().map(read).collect()
}
