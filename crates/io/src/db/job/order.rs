//! What an operator orders: cancel a job, run a dead one again, forget old ones.

use matinee_core::id::{AppId, JobId};
use matinee_core::job::{State, Task};
use matinee_core::time::Millis;

use super::cascade::{self, task_of};
use super::{end, state_of};
use crate::db::error::DbError;
use crate::db::lease::lock_video;
use crate::db::remake::run::is_past;
use crate::db::tx::{Sql, Tx};
use crate::db::value::{Row, args};
use crate::db::{Db, death as video, pull};

/// So many old jobs are forgotten in one transaction.
const PRUNE_BATCH: u32 = 1_000;

/// What a wish to cancel led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It is cancelled.
    Now,
    /// Its holder was asked to stop, and hears it at its next renewal.
    Asked,
}

impl Db {
    /// Cancels a job with all that cannot do without it, and a remake if that cannot; [`DbError::Absent`] when it is over or unknown.
    pub async fn cancel_job(&self, app: AppId, job: JobId, now: Millis) -> Result<Cancelled, DbError> {
        self.write((app, job, now), |tx, (app, job, now)| {
            Box::pin(async move {
                let row = locked(tx, *app, *job).await?;
                let state = state_of(row.get("state")?)?;
                if let (false, Task::Fetch { video }) = (state.is_over(), task_of(row.get("payload")?)?) {
                    pull::unwanted(tx, video, *now).await?;
                    let waited = matches!(state, State::Blocked | State::Ready);
                    return Ok(if waited { Cancelled::Now } else { Cancelled::Asked });
                }
                match state {
                    State::Blocked | State::Ready => {
                        end::finish(tx, *job, State::Cancelled, *now).await?;
                        cascade::over(tx, *job, State::Cancelled, *now).await?;
                        video::job_unwanted(tx, *job, *now).await?;
                        Ok(Cancelled::Now)
                    }
                    State::Leased => {
                        let sql = "UPDATE job SET cancel_requested = $2 WHERE id = $1";
                        tx.execute(sql, args![*job, true]).await?;
                        tx.wake_jobs();
                        video::job_unwanted(tx, *job, *now).await?;
                        Ok(Cancelled::Asked)
                    }
                    State::Done | State::Dead | State::Cancelled => Err(DbError::Absent),
                }
            })
        })
        .await
    }

    /// Runs a dead job again, with those that died because of it; its failures are forgotten.
    /// [`DbError::Absent`] when it is not dead, when its video was or is encoded again, or when it died because of another
    /// job: then that one is to be run again.
    pub async fn retry_job(&self, app: AppId, job: JobId, now: Millis) -> Result<(), DbError> {
        self.write((app, job, now), |tx, (app, job, now)| {
            Box::pin(async move {
                let row = locked(tx, *app, *job).await?;
                let dead = state_of(row.get("state")?)? == State::Dead;
                // The upload of a dead fetch is over, and what had arrived is gone.
                let lost = matches!(task_of(row.get("payload")?)?, Task::Fetch { .. });
                let late = is_past(tx, *job).await?;
                if !dead || lost || late || needs_a_lost_job(tx, *job).await? {
                    return Err(DbError::Absent);
                }
                tx.execute(
                    "UPDATE job SET state = 1, run_at_ms = $2, tries_from = attempt, last_error = NULL,
                       finished_ms = NULL, needs = 0 WHERE id = $1",
                    args![*job, *now],
                )
                .await?;
                tx.wake_jobs();
                let mut wanted = vec![(*job, task_of(row.get("payload")?)?)];
                wanted.extend(revive_waiting(tx, *job).await?);
                video::job_retried(tx, &wanted, *now).await
            })
        })
        .await
    }

    /// Forgets jobs that were over `keep_ms` ago and that no open job needs; returns how many. Call it until 0.
    pub async fn prune_jobs(&self, now: Millis, keep_ms: i64) -> Result<u64, DbError> {
        self.write(now.plus(-keep_ms), |tx, before| {
            Box::pin(async move {
                let sql = "DELETE FROM job WHERE id IN (
                             SELECT id FROM job WHERE state >= 3 AND finished_ms < $1 AND NOT EXISTS (
                               SELECT 1 FROM job_dep d JOIN job w ON w.id = d.job_id
                               WHERE d.needs_id = job.id AND w.state < 3)
                             ORDER BY finished_ms LIMIT $2)";
                tx.execute(sql, args![*before, PRUNE_BATCH]).await
            })
        })
        .await
    }
}

/// The job, locked behind its video: what its order means must not change before the commit.
async fn locked(tx: &mut Tx, app: AppId, job: JobId) -> Result<Row, DbError> {
    let sql = "SELECT video_id FROM job WHERE id = $1 AND app_id = $2";
    let row = tx.row(sql, args![job, app]).await?.ok_or(DbError::Absent)?;
    if let Some(video) = row.get("video_id")? {
        match lock_video(tx, video).await {
            // It does not exist yet, or any more.
            Err(DbError::Absent) => {}
            locked => locked.map(drop)?,
        }
    }
    let sql = Sql::Each {
        sqlite: "SELECT state, payload FROM job WHERE id = $1 AND app_id = $2",
        postgres: "SELECT state, payload FROM job WHERE id = $1 AND app_id = $2 FOR UPDATE",
    };
    tx.row(sql, args![job, app]).await?.ok_or(DbError::Absent)
}

async fn needs_a_lost_job(tx: &mut Tx, job: JobId) -> Result<bool, DbError> {
    let sql = "SELECT 1 AS lost FROM job_dep d JOIN job p ON p.id = d.needs_id
               WHERE d.job_id = $1 AND d.on_death = 'kill' AND p.state IN (4, 5) LIMIT 1";
    Ok(tx.row(sql, args![job]).await?.is_some())
}

/// Those that died because of `job` wait again, and so on; every one that waits counts anew what it waits for.
async fn revive_waiting(tx: &mut Tx, job: JobId) -> Result<Vec<(JobId, Task)>, DbError> {
    let (mut revived, mut queue) = (Vec::new(), vec![job]);
    while let Some(parent) = queue.pop() {
        let sql = Sql::Each {
            sqlite: "SELECT w.id, w.state, w.payload FROM job_dep d JOIN job w ON w.id = d.job_id
                     WHERE d.needs_id = $1 AND w.state IN (0, 4) ORDER BY w.id",
            postgres: "SELECT w.id, w.state, w.payload FROM job_dep d JOIN job w ON w.id = d.job_id
                     WHERE d.needs_id = $1 AND w.state IN (0, 4) ORDER BY w.id FOR UPDATE OF w",
        };
        for row in tx.rows(sql, args![parent]).await? {
            let id: JobId = row.get("id")?;
            let dead = state_of(row.get("state")?)? == State::Dead;
            // One that died by the cascade comes back by it; one that died of its own stays dead.
            if dead && (needs_a_lost_job(tx, id).await? || !died_waiting(tx, id).await?) {
                continue;
            }
            tx.execute(
                "UPDATE job SET state = 0, finished_ms = NULL, last_error = NULL, needs = (
                   SELECT count(*) FROM job_dep d JOIN job p ON p.id = d.needs_id
                   WHERE d.job_id = job.id AND p.state <> 3 AND (p.state < 3 OR d.on_death = 'kill'))
                 WHERE id = $1",
                args![id],
            )
            .await?;
            if dead {
                queue.push(id);
                revived.push((id, task_of(row.get("payload")?)?));
            }
        }
    }
    Ok(revived)
}

async fn died_waiting(tx: &mut Tx, job: JobId) -> Result<bool, DbError> {
    let sql = "SELECT 1 AS found FROM job WHERE id = $1 AND last_error ->> 'code' = 'needed_job_ended'";
    Ok(tx.row(sql, args![job]).await?.is_some())
}
