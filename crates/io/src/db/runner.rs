//! Runners: invited, registered, seen, drained and revoked; and what they may touch under a lease.

use matinee_core::id::{AppId, JobId, ObjectId, RunnerId, VideoId};
use matinee_core::job::{Kind, Lease, Task};
use matinee_core::ledger;
use matinee_core::runner::{Report, State};
use matinee_core::time::Millis;
use matinee_core::video::Problem;
use serde_json::{Value, json};

use super::Db;
use super::error::DbError;
use super::job::{give_back_all, task_of, tries_of};
use super::value::{Row, args};
use super::word;

/// A runner, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runner {
    /// Its id.
    pub id: RunnerId,
    /// What its owner calls it.
    pub name: String,
    /// Where it is in its life.
    pub state: State,
    /// The kinds of jobs that it may have.
    pub kinds: Vec<Kind>,
    /// What it said of itself last.
    pub report: Report,
    /// Why it gets no work, when that was not a person's wish.
    pub reason: Option<Problem>,
    /// The first moment at which it can no longer register.
    pub invite_until: Millis,
    /// When it was invited.
    pub created: Millis,
    /// When it registered.
    pub registered: Option<Millis>,
    /// When it was heard of last.
    pub seen: Option<Millis>,
}

impl Runner {
    /// The holder of its leases, for `run`.
    pub fn holder(id: RunnerId, run: &str) -> String {
        format!("{id}/{run}")
    }
}

/// A runner that is invited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRunner {
    /// Its id.
    pub id: RunnerId,
    /// What its owner calls it.
    pub name: String,
    /// `Secret::hash` of its registration token.
    pub invite_hash: [u8; 32],
    /// The first moment at which that is no longer valid.
    pub invite_until: Millis,
    /// The kinds of jobs that it may have.
    pub kinds: Vec<Kind>,
}

/// A job that a runner works on.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    /// Who holds it.
    pub runner: RunnerId,
    /// The job.
    pub job: JobId,
    /// Its kind.
    pub kind: Kind,
    /// The video that it works for.
    pub video: Option<VideoId>,
    /// Which attempt it is.
    pub attempt: u32,
    /// The holder's last word about how far it is.
    pub progress: Option<Value>,
}

/// What a lease of a runner is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The app that pays for it.
    pub app: AppId,
    /// The generation of the video that it works for.
    pub generation: u32,
    /// What to do.
    pub task: Task,
    /// One decoder thread, one rendition at a time, no seeking.
    pub safe_profile: bool,
    /// The objects into which this attempt writes, oldest first.
    pub outputs: Vec<ObjectId>,
}

impl Db {
    /// Writes a runner whose registration token was just made.
    pub async fn invite_runner(&self, new: &NewRunner, now: Millis) -> Result<(), DbError> {
        self.write((new.clone(), now), |tx, (new, now)| {
            Box::pin(async move {
                let kinds: Value = new.kinds.iter().map(|kind| kind.name()).collect();
                let report = stored(&Report::default());
                let sql = "INSERT INTO runner (id, name, state, invite_hash, invite_until_ms, kinds, report, created_ms)
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
                let args = args![
                    new.id,
                    new.name.as_str(),
                    State::Invited,
                    new.invite_hash,
                    new.invite_until,
                    kinds,
                    report,
                    *now
                ];
                tx.execute(sql, args).await.map(drop)
            })
        })
        .await
    }

    /// Uses a registration token up. A repeat that leads to the same token of the runner changes nothing.
    /// [`DbError::Absent`] when the registration token is unknown, over or used by somebody else.
    pub async fn register_runner(
        &self,
        (invite_hash, token_hash): ([u8; 32], [u8; 32]),
        report: &Report,
        now: Millis,
    ) -> Result<Runner, DbError> {
        let report = stored(report);
        self.write((invite_hash, token_hash, report, now), |tx, (invite, token, report, now)| {
            Box::pin(async move {
                let sql = "UPDATE runner SET token_hash = $2, report = $3, seen_ms = $4,
                             registered_ms = COALESCE(registered_ms, $4),
                             state = CASE WHEN state = 'invited' THEN 'active' ELSE state END
                           WHERE invite_hash = $1 AND ((state = 'invited' AND invite_until_ms > $4)
                             OR (state <> 'revoked' AND token_hash = $2))
                           RETURNING *";
                let row = tx.row(sql, args![*invite, *token, report.clone(), *now]).await?;
                runner_of(&row.ok_or(DbError::Absent)?)
            })
        })
        .await
    }

    /// The runner with this token, unless it is revoked.
    pub async fn runner_by_token(&self, token_hash: &[u8; 32]) -> Result<Option<Runner>, DbError> {
        self.look(*token_hash, |tx, hash| {
            Box::pin(async move {
                let sql = "SELECT * FROM runner WHERE token_hash = $1 AND state <> 'revoked'";
                tx.row(sql, args![*hash]).await?.as_ref().map(runner_of).transpose()
            })
        })
        .await
    }

    /// One runner.
    pub async fn runner(&self, id: RunnerId) -> Result<Option<Runner>, DbError> {
        self.look(id, |tx, id| {
            Box::pin(async move {
                let row = tx.row("SELECT * FROM runner WHERE id = $1", args![*id]).await?;
                row.as_ref().map(runner_of).transpose()
            })
        })
        .await
    }

    /// All runners, the newest first, and the jobs that they work on.
    pub async fn runners(&self) -> Result<(Vec<Runner>, Vec<Running>), DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                let rows = tx.rows("SELECT * FROM runner ORDER BY id DESC", args![]).await?;
                let runners = rows.iter().map(runner_of).collect::<Result<_, _>>()?;
                let sql = "SELECT id, video_id, attempt, progress, holder, payload FROM job
                           WHERE state = 2 AND substr(holder, 1, 4) = 'rnr_' ORDER BY id";
                let rows = tx.rows(sql, args![]).await?;
                let running = rows.iter().filter_map(|row| running_of(row).transpose());
                Ok((runners, running.collect::<Result<_, _>>()?))
            })
        })
        .await
    }

    /// A runner was heard of, and said this of itself.
    pub async fn runner_seen(
        &self,
        id: RunnerId,
        report: Option<&Report>,
        now: Millis,
    ) -> Result<(), DbError> {
        let report = report.map(stored);
        self.write((id, report, now), |tx, (id, report, now)| {
            Box::pin(async move {
                let sql = "UPDATE runner SET seen_ms = $3, report = COALESCE($2, report) WHERE id = $1";
                tx.execute(sql, args![*id, report.clone(), *now]).await.map(drop)
            })
        })
        .await
    }

    /// Drains a runner (with the reason, if no person wished it) or lets it work again.
    /// [`DbError::Absent`] when there is none that could.
    pub async fn drain_runner(
        &self,
        id: RunnerId,
        drain: bool,
        reason: Option<&Problem>,
    ) -> Result<(), DbError> {
        let to = if drain { State::Draining } else { State::Active };
        self.write((id, to, reason.map(word::stored)), |tx, (id, to, reason)| {
            Box::pin(async move {
                let sql = "UPDATE runner SET state = $2, reason = $3 WHERE id = $1 AND state IN ('active', 'draining')";
                tx.execute_one(sql, args![*id, *to, reason.clone()]).await?;
                // Those that wait for work look at what they are.
                tx.wake_jobs();
                Ok(())
            })
        })
        .await
    }

    /// Ends a runner: its tokens are void, and its jobs are ready for others at once. Revoking twice is revoking once.
    /// [`DbError::Absent`] when there is none.
    pub async fn revoke_runner(&self, id: RunnerId, now: Millis) -> Result<u32, DbError> {
        self.write((id, now), |tx, (id, now)| {
            Box::pin(async move {
                let sql = "UPDATE runner SET state = 'revoked', reason = NULL WHERE id = $1";
                tx.execute_one(sql, args![*id]).await?;
                give_back_all(tx, &Runner::holder(*id, ""), &[], *now).await
            })
        })
        .await
    }

    /// Makes ready at once what this runner holds and does not know of: a claim whose answer was lost, an earlier run.
    pub async fn give_back_unheld(
        &self,
        id: RunnerId,
        holding: &[JobId],
        now: Millis,
    ) -> Result<u32, DbError> {
        let held = self
            .look(Runner::holder(id, ""), |tx, prefix| {
                Box::pin(async move {
                    let sql = "SELECT id FROM job WHERE state = 2 AND substr(holder, 1, length($1)) = $1";
                    let rows = tx.rows(sql, args![prefix.as_str()]).await?;
                    rows.iter().map(|row| row.get("id")).collect::<Result<Vec<JobId>, _>>()
                })
            })
            .await?;
        if held.iter().all(|job| holding.contains(job)) {
            return Ok(0);
        }
        self.write((id, holding.to_vec(), now), |tx, (id, holding, now)| {
            Box::pin(async move { give_back_all(tx, &Runner::holder(*id, ""), holding, *now).await })
        })
        .await
    }

    /// What a lease is about, while it holds and is this runner's. [`DbError::LeaseLost`] when it does not.
    pub async fn runner_work(&self, lease: &Lease, runner: RunnerId, now: Millis) -> Result<Work, DbError> {
        self.look((*lease, Runner::holder(runner, ""), now), |tx, (lease, prefix, now)| {
            Box::pin(async move {
                let sql =
                    "SELECT app_id, generation, payload, tries_from FROM job WHERE id = $1 AND attempt = $2 AND lease_token = $3
                             AND state = 2 AND lease_until_ms > $4 AND substr(holder, 1, length($5)) = $5";
                let args = args![lease.job, lease.attempt, lease.token, *now, prefix.as_str()];
                let row = tx.row(sql, args).await?.ok_or(DbError::LeaseLost)?;
                let sql =
                    "SELECT id FROM object WHERE job_id = $1 AND attempt = $2 AND kind = $3 ORDER BY id";
                let rows = tx.rows(sql, args![lease.job, lease.attempt, ledger::Kind::Work]).await?;
                let tries = tries_of(tx, lease.job, row.get("tries_from")?).await?;
                Ok(Work {
                    safe_profile: tries.safe_profile(),
                    app: row.get("app_id")?,
                    generation: row.get("generation")?,
                    task: task_of(row.get("payload")?)?,
                    outputs: rows.iter().map(|row| row.get("id")).collect::<Result<_, _>>()?,
                })
            })
        })
        .await
    }

    /// May this runner still write this object: is the attempt that it belongs to alive, and the runner's?
    pub async fn runner_writes(
        &self,
        object: ObjectId,
        runner: RunnerId,
        now: Millis,
    ) -> Result<bool, DbError> {
        self.look((object, Runner::holder(runner, ""), now), |tx, (object, prefix, now)| {
            Box::pin(async move {
                let sql = "SELECT 1 AS may FROM object o JOIN job j ON j.id = o.job_id
                             JOIN ledger l ON l.object_id = o.id
                           WHERE o.id = $1 AND o.kind = $2 AND l.state = 'intended' AND j.state = 2
                             AND j.attempt = o.attempt AND j.lease_until_ms > $3 AND NOT j.cancel_requested
                             AND substr(j.holder, 1, length($4)) = $4";
                let args = args![*object, ledger::Kind::Work, *now, prefix.as_str()];
                Ok(tx.row(sql, args).await?.is_some())
            })
        })
        .await
    }

    /// Length and hash of an object, as far as they are known.
    pub async fn object_facts(
        &self,
        object: ObjectId,
    ) -> Result<Option<(Option<u64>, Option<[u8; 32]>)>, DbError> {
        self.look(object, |tx, object| {
            Box::pin(async move {
                let row =
                    tx.row("SELECT size_bytes, blake3 FROM object WHERE id = $1", args![*object]).await?;
                row.map(|row| Ok((row.get("size_bytes")?, row.get("blake3")?))).transpose()
            })
        })
        .await
    }

    /// How often attempts at a job have failed with this code since the operator last wanted it: those of this runner, and
    /// those of others.
    pub async fn said_before(&self, job: JobId, runner: RunnerId, code: &str) -> Result<(u32, u32), DbError> {
        self.read((job, Runner::holder(runner, ""), code.to_owned()), |tx, (job, prefix, code)| {
            Box::pin(async move {
                let sql = "SELECT a.holder, a.error FROM job_attempt a JOIN job j ON j.id = a.job_id
                           WHERE a.job_id = $1 AND a.attempt > j.tries_from AND a.ended_ms IS NOT NULL
                             AND a.error IS NOT NULL";
                let (mut own, mut others) = (0, 0);
                for row in tx.rows(sql, args![*job]).await? {
                    let (holder, error): (String, Value) = (row.get("holder")?, row.get("error")?);
                    if error["code"] == json!(code) {
                        if holder.starts_with(prefix.as_str()) { own += 1 } else { others += 1 }
                    }
                }
                Ok((own, others))
            })
        })
        .await
    }
}

fn stored(report: &Report) -> Value {
    serde_json::to_value(report).expect("because it is plain text and numbers")
}

fn runner_of(row: &Row) -> Result<Runner, DbError> {
    let kinds: Value = row.get("kinds")?;
    let report: Value = row.get("report")?;
    let known = |word: &Value| Kind::ALL.into_iter().find(|kind| Some(kind.name()) == word.as_str());
    Ok(Runner {
        id: row.get("id")?,
        name: row.get("name")?,
        state: row.get("state")?,
        kinds: kinds.as_array().into_iter().flatten().filter_map(known).collect(),
        report: serde_json::from_value(report).unwrap_or_default(),
        reason: word::problem(row, "reason")?,
        invite_until: row.get("invite_until_ms")?,
        created: row.get("created_ms")?,
        registered: row.get("registered_ms")?,
        seen: row.get("seen_ms")?,
    })
}

/// A job of a runner; `None` when this release knows neither its holder nor what to do.
fn running_of(row: &Row) -> Result<Option<Running>, DbError> {
    let holder: String = row.get("holder")?;
    let runner = holder.split('/').next().and_then(|id| id.parse().ok());
    let (Some(runner), Ok(task)) = (runner, task_of(row.get("payload")?)) else { return Ok(None) };
    Ok(Some(Running {
        runner,
        job: row.get("id")?,
        kind: task.kind(),
        video: row.get("video_id")?,
        attempt: row.get("attempt")?,
        progress: row.get("progress")?,
    }))
}
