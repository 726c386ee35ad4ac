//! How an attempt ends without success: failed, given back, or lost with its holder.

use matinee_core::event::{NewEvent, Topic};
use matinee_core::id::{AppId, JobId};
use matinee_core::job::retry::{Class, Verdict};
use matinee_core::job::{Lease, Outcome, State};
use matinee_core::time::Millis;
use serde_json::{Value, json};

use super::cascade::{self, task_of};
use super::tries::{node_of, tries_of};
use super::{close_attempt, number};
use crate::db::error::DbError;
use crate::db::remake::run::is_over;
use crate::db::tx::{Sql, Tx};
use crate::db::value::{Row, args};
use crate::db::{Db, death as video, event};

/// So many ended leases are dealt with in one transaction.
const REAP_BATCH: u32 = 256;

/// What became of a job whose attempt ended without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It runs again, not before this moment.
    Again {
        /// The moment.
        run_at: Millis,
    },
    /// It is given up.
    Dead,
    /// Somebody had cancelled it.
    Cancelled,
}

/// What the reaper did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reaped {
    /// Jobs that run again.
    pub again: u32,
    /// Jobs that were given up, because they take their worker down each time.
    pub dead: u32,
    /// Jobs that had been cancelled.
    pub cancelled: u32,
}

/// The death of a job.
pub(crate) struct Death {
    pub(crate) job: JobId,
    pub(crate) app: AppId,
    pub(crate) attempt: u32,
    pub(crate) error: Value,
    pub(crate) now: Millis,
}

impl Db {
    /// Ends an attempt as failed. The retry rules decide what follows; `jitter` is any random number.
    pub async fn fail_job(
        &self,
        lease: &Lease,
        class: Class,
        error: Value,
        now: Millis,
        jitter: u32,
    ) -> Result<Ended, DbError> {
        self.write((*lease, class, error, now, jitter), |tx, (lease, class, error, now, jitter)| {
            Box::pin(async move {
                let row = held(tx, lease, *now).await?;
                if is_unwanted(tx, &row).await? {
                    return confirm_cancel(tx, lease.job, *now).await;
                }
                let tries = tries_of(tx, lease.job, row.get("tries_from")?).await?;
                close_attempt(tx, lease.job, Outcome::Failed(*class), Some(error.clone()), *now).await?;
                let verdict = tries.judge(*class, *now, *jitter);
                follow(tx, &row, verdict, error, *now).await
            })
        })
        .await
    }

    /// Gives a job back unfinished: it is ready at once, or cancelled if somebody asked for that.
    pub async fn give_back(&self, lease: &Lease, now: Millis) -> Result<Ended, DbError> {
        self.write((*lease, now), |tx, (lease, now)| {
            Box::pin(async move {
                let row = held(tx, lease, *now).await?;
                if is_unwanted(tx, &row).await? {
                    return confirm_cancel(tx, lease.job, *now).await;
                }
                close_attempt(tx, lease.job, Outcome::Returned, None, *now).await?;
                ready_again(tx, lease.job, *now).await
            })
        })
        .await
    }

    /// Takes back the leases that ended before `now`, at most some hundred at a time.
    pub async fn reap(&self, now: Millis, jitter: u32) -> Result<Reaped, DbError> {
        self.write((now, jitter), |tx, (now, jitter)| {
            Box::pin(async move {
                let sql = Sql::Each {
                    sqlite: "SELECT id, app_id, attempt, tries_from, cancel_requested, payload FROM job
                             WHERE state = 2 AND lease_until_ms <= $1 ORDER BY id LIMIT $2",
                    postgres: "SELECT id, app_id, attempt, tries_from, cancel_requested, payload FROM job
                             WHERE state = 2 AND lease_until_ms <= $1 ORDER BY id LIMIT $2
                             FOR UPDATE SKIP LOCKED",
                };
                let rows = tx.rows(sql, args![*now, REAP_BATCH]).await?;
                lose(tx, &rows, *now, *jitter).await
            })
        })
        .await
    }

    /// Gives up ready jobs that need more memory than any node may use: they would wait for ever. Returns how many.
    pub async fn refuse_oversized(&self, memory_max: u64, now: Millis) -> Result<u32, DbError> {
        self.write((memory_max, now), |tx, (memory_max, now)| {
            Box::pin(async move {
                let sql = Sql::Each {
                    sqlite: "SELECT id, app_id, attempt, payload, memory_bytes FROM job
                             WHERE state = 1 AND kind > '' AND memory_bytes > $1 ORDER BY id LIMIT $2",
                    postgres: "SELECT id, app_id, attempt, payload, memory_bytes FROM job
                             WHERE state = 1 AND kind > '' AND memory_bytes > $1 ORDER BY id LIMIT $2
                             FOR UPDATE SKIP LOCKED",
                };
                let mut refused = 0;
                for row in tx.rows(sql, args![*memory_max, REAP_BATCH]).await? {
                    // One that was refused before it may have taken it along.
                    let state =
                        tx.row("SELECT state FROM job WHERE id = $1", args![row.get::<JobId>("id")?]).await?;
                    if state.map_or(Ok(0), |row| row.get::<i64>("state"))? != number(State::Ready) {
                        continue;
                    }
                    let error = needs_memory(row.get("memory_bytes")?, *memory_max);
                    follow(tx, &row, Verdict::Dead, &error, *now).await?;
                    refused += 1;
                }
                Ok(refused)
            })
        })
        .await
    }

    /// Takes back at once what earlier runs of this node held; `holder` is `node/run` of the run that starts.
    pub async fn release_own(&self, holder: &str, now: Millis, jitter: u32) -> Result<Reaped, DbError> {
        self.write((holder.to_owned(), now, jitter), |tx, (holder, now, jitter)| {
            Box::pin(async move {
                let sql = Sql::Each {
                    sqlite: "SELECT id, app_id, attempt, tries_from, cancel_requested, payload FROM job
                             WHERE state = 2 AND substr(holder, 1, length($1)) = $1 AND holder <> $2
                             ORDER BY id",
                    postgres: "SELECT id, app_id, attempt, tries_from, cancel_requested, payload FROM job
                             WHERE state = 2 AND substr(holder, 1, length($1)) = $1 AND holder <> $2
                             ORDER BY id FOR UPDATE",
                };
                let rows = tx.rows(sql, args![node_of(holder), holder.as_str()]).await?;
                lose(tx, &rows, *now, *jitter).await
            })
        })
        .await
    }
}

/// Puts an attempt aside: the job is ready at `at`, or cancelled if somebody asked for that.
pub(crate) async fn put_off(tx: &mut Tx, lease: &Lease, at: Millis, now: Millis) -> Result<(), DbError> {
    let row = held(tx, lease, now).await?;
    if is_unwanted(tx, &row).await? {
        return confirm_cancel(tx, lease.job, now).await.map(drop);
    }
    close_attempt(tx, lease.job, Outcome::Returned, None, now).await?;
    ready_again(tx, lease.job, at).await.map(drop)
}

/// Gives back all that a holder has whose name begins so, but these: it is ready at once, or cancelled if somebody asked
/// for that. Returns how many.
pub(crate) async fn give_back_all(
    tx: &mut Tx,
    prefix: &str,
    but: &[JobId],
    now: Millis,
) -> Result<u32, DbError> {
    let sql = Sql::Each {
        sqlite: "SELECT id, cancel_requested FROM job WHERE state = 2 AND substr(holder, 1, length($1)) = $1 ORDER BY id",
        postgres:
            "SELECT id, cancel_requested FROM job WHERE state = 2 AND substr(holder, 1, length($1)) = $1
                   ORDER BY id FOR UPDATE",
    };
    let mut given_back = 0;
    for row in tx.rows(sql, args![prefix]).await? {
        let job: JobId = row.get("id")?;
        if but.contains(&job) {
            continue;
        }
        if is_unwanted(tx, &row).await? {
            confirm_cancel(tx, job, now).await?;
        } else {
            close_attempt(tx, job, Outcome::Returned, None, now).await?;
            ready_again(tx, job, now).await?;
        }
        given_back += 1;
    }
    Ok(given_back)
}

fn needs_memory(needs_bytes: u64, has_bytes: u64) -> Value {
    json!({
        "class": Class::Refusal,
        "code": "needs_memory",
        "human": format!(
            "This job needs about {} MB of memory; the largest machine here may use {} MB.",
            needs_bytes / 1_000_000,
            has_bytes / 1_000_000
        ),
        "fix": "Raise `workers.memory_bytes`, or add a larger machine; then run the job again.",
    })
}

/// The job under a lease that holds, locked until the commit; a cancelled one, too.
async fn held(tx: &mut Tx, lease: &Lease, now: Millis) -> Result<Row, DbError> {
    let sql = Sql::Each {
        sqlite: "SELECT id, app_id, attempt, tries_from, cancel_requested, payload FROM job
                 WHERE id = $1 AND attempt = $2 AND lease_token = $3 AND state = 2 AND lease_until_ms > $4",
        postgres: "SELECT id, app_id, attempt, tries_from, cancel_requested, payload FROM job
                 WHERE id = $1 AND attempt = $2 AND lease_token = $3 AND state = 2 AND lease_until_ms > $4
                 FOR UPDATE",
    };
    tx.row(sql, args![lease.job, lease.attempt, lease.token, now]).await?.ok_or(DbError::LeaseLost)
}

async fn lose(tx: &mut Tx, rows: &[Row], now: Millis, jitter: u32) -> Result<Reaped, DbError> {
    let mut reaped = Reaped::default();
    for (row, spread) in rows.iter().zip(0_u32..) {
        let job: JobId = row.get("id")?;
        let ended = if is_unwanted(tx, row).await? {
            confirm_cancel(tx, job, now).await?
        } else {
            let tries = tries_of(tx, job, row.get("tries_from")?).await?;
            close_attempt(tx, job, Outcome::Lost, None, now).await?;
            let error = json!({ "code": "worker_lost", "lost_in_a_row": tries.lost_in_a_row + 1 });
            let verdict = if task_of(row.get("payload")?)?.kind().is_risky() {
                tries.judge_lost(now, jitter.wrapping_add(spread.wrapping_mul(0x9e37_79b9)))
            } else {
                Verdict::Retry { run_at: now, safe_profile: false }
            };
            follow(tx, row, verdict, &error, now).await?
        };
        match ended {
            Ended::Again { .. } => reaped.again += 1,
            Ended::Dead => reaped.dead += 1,
            Ended::Cancelled => reaped.cancelled += 1,
        }
    }
    Ok(reaped)
}

async fn follow(
    tx: &mut Tx,
    row: &Row,
    verdict: Verdict,
    error: &Value,
    now: Millis,
) -> Result<Ended, DbError> {
    let job: JobId = row.get("id")?;
    tx.execute("UPDATE job SET last_error = $2 WHERE id = $1", args![job, error.clone()]).await?;
    match verdict {
        Verdict::Retry { run_at, safe_profile: _ } => ready_again(tx, job, run_at).await,
        Verdict::Dead => {
            let death = Death {
                job,
                app: row.get("app_id")?,
                attempt: row.get("attempt")?,
                error: error.clone(),
                now,
            };
            let task = task_of(row.get("payload")?)?;
            finish(tx, job, State::Dead, now).await?;
            let died = cascade::died(tx, job, task, now).await?;
            video::job_died(tx, &died.jobs, error, now).await?;
            tell_dead(tx, &death).await?;
            Ok(Ended::Dead)
        }
    }
}

/// Did somebody cancel the job, or is there nothing left that it works for? Then another attempt would fail for ever.
async fn is_unwanted(tx: &mut Tx, row: &Row) -> Result<bool, DbError> {
    Ok(row.get("cancel_requested")? || is_over(tx, row.get("id")?).await?)
}

pub(super) async fn ready_again(tx: &mut Tx, job: JobId, run_at: Millis) -> Result<Ended, DbError> {
    tx.execute(
        "UPDATE job SET state = 1, run_at_ms = $2, lease_until_ms = NULL, lease_token = NULL, holder = NULL
         WHERE id = $1",
        args![job, run_at],
    )
    .await?;
    tx.wake_jobs();
    Ok(Ended::Again { run_at })
}

/// The holder of an unwanted job stopped, or is gone: the job is cancelled, and so is what cannot do without it.
pub(crate) async fn confirm_cancel(tx: &mut Tx, job: JobId, now: Millis) -> Result<Ended, DbError> {
    close_attempt(tx, job, Outcome::Cancelled, None, now).await?;
    finish(tx, job, State::Cancelled, now).await?;
    cascade::over(tx, job, State::Cancelled, now).await?;
    video::job_unwanted(tx, job, now).await?;
    Ok(Ended::Cancelled)
}

/// A job that this release cannot read is dead; nothing is known about its video.
pub(crate) async fn unreadable(tx: &mut Tx, death: &Death) -> Result<(), DbError> {
    let refusal = Outcome::Failed(Class::Refusal);
    close_attempt(tx, death.job, refusal, Some(death.error.clone()), death.now).await?;
    tx.execute("UPDATE job SET last_error = $2 WHERE id = $1", args![death.job, death.error.clone()]).await?;
    finish(tx, death.job, State::Dead, death.now).await?;
    let killed = cascade::over(tx, death.job, State::Dead, death.now).await?;
    video::job_died(tx, &killed, &death.error, death.now).await?;
    tell_dead(tx, death).await
}

pub(crate) async fn finish(tx: &mut Tx, job: JobId, end: State, now: Millis) -> Result<(), DbError> {
    tx.execute(
        "UPDATE job SET state = $2, finished_ms = $3, lease_until_ms = NULL, lease_token = NULL, holder = NULL
         WHERE id = $1",
        args![job, number(end), now],
    )
    .await
    .map(drop)
}

async fn tell_dead(tx: &mut Tx, death: &Death) -> Result<(), DbError> {
    let subject = death.job.to_string();
    let seed = format!("{subject} dead {}", death.attempt);
    let new = NewEvent {
        id: event::id_from(&seed, death.now),
        app: death.app,
        topic: Topic::JobDead,
        subject,
        payload: json!({ "attempt": death.attempt, "error": death.error }),
    };
    event::insert(tx, &new, death.now).await
}
