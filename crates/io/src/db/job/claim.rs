//! Claiming a job and holding it: one statement chooses, counts the limits and takes the lease.

use matinee_core::hardware::Engine;
use matinee_core::id::{AppId, JobId, VideoId};
use matinee_core::job::retry::Tries;
use matinee_core::job::{Kind, Lease, Task};
use matinee_core::limits::BACKGROUND_PRIO_MIN;
use matinee_core::time::Millis;
use serde_json::{Value, json};

use super::cascade::task_of;
use super::end::{self, Death};
use super::tries::{node_of, tries_of};
use crate::db::Db;
use crate::db::error::DbError;
use crate::db::tx::{Sql, Tx};
use crate::db::value::{Arg, Row, args};

/// The advisory lock of PostgreSQL under which leased rows are counted and a lease is taken. It belongs to the
/// transaction, so it also works behind a pooler.
const LOCK_CLAIM: i64 = 0x6d61_7469_0002;
/// So many jobs that cannot be read are set aside before a claim gives up until the next call.
const UNREADABLE_MAX: u32 = 8;

/// How many jobs of a kind may run at once; 0 means that this kind is not wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    /// The kind.
    pub kind: Kind,
    /// Of it, those that ask for this encoder in hardware; `None` for those that ask for none.
    pub engine: Option<Engine>,
    /// Of copies, those for this store.
    pub store: Option<String>,
    /// On the node of the holder.
    pub node_max: u32,
    /// On all nodes together.
    pub all_max: u32,
}

impl Slots {
    /// So many of a kind on the node of the holder, on however many nodes; of those that ask for no engine and no store.
    pub const fn of(kind: Kind, node_max: u32) -> Self {
        Self { kind, engine: None, store: None, node_max, all_max: u32::MAX }
    }
}

/// A wish for a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What the holder can do, and how much of it.
    pub kinds: Vec<Slots>,
    /// Who asks: `node/run`, where `run` is new at each start of the node.
    pub holder: String,
    /// The time.
    pub now: Millis,
    /// How long the lease lasts without a renewal.
    pub lease_ms: i64,
    /// Random, never used before.
    pub token: [u8; 16],
}

/// What a holder has left besides its slots; by default nothing is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// How many jobs may run on the node of the holder at once, whatever their kind.
    pub jobs_max: Option<u32>,
    /// Bytes of memory for all jobs that run there, as they are expected to need.
    pub memory_bytes: Option<u64>,
}

/// A job that the caller now holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The right to write about this job.
    pub lease: Lease,
    /// What to do.
    pub task: Task,
    /// The app that pays for it.
    pub app: AppId,
    /// The video it works for.
    pub video: Option<VideoId>,
    /// The generation of the video that it works for.
    pub generation: u32,
    /// What happened to it before.
    pub tries: Tries,
    /// One decoder thread, one rendition at a time, no seeking.
    pub safe_profile: bool,
}

/// What the holder hears when it renews.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewed {
    /// Somebody wants the job stopped: kill it, drop its output, give it back.
    pub cancel: bool,
}

// The head of the queue of each app, kind and engine is looked up in the index `job_ready`; of the heads, the one of the app
// with the fewest leases goes first; all of the background goes behind all others. A head that finds no memory waits, and
// nothing behind it overtakes it: else small jobs could keep a large one out for ever. `state = 1` is asked again outside, because PostgreSQL repeats only that part
// after it waited for a row. PostgreSQL gets LATERAL: it would join `job` by reading all of it while it has no
// statistics. SQLite has no LATERAL, and joins by the primary key.
macro_rules! claim_sql {
    (wanted: $wanted:literal, head: $head:literal, next: $next:literal) => {
        concat!(
            "WITH wanted AS (",
            $wanted,
            "), free AS (
               SELECT kind, engine FROM wanted
               WHERE node_max > (SELECT count(*) FROM job l WHERE l.state = 2 AND l.kind = wanted.kind
                                   AND l.engine = wanted.engine AND substr(l.holder, 1, length($2)) = $2)
                 AND all_max > (SELECT count(*) FROM job l WHERE l.state = 2 AND l.kind = wanted.kind
                                  AND l.engine = wanted.engine)
                 AND $8 > (SELECT count(*) FROM job l WHERE l.state = 2 AND substr(l.holder, 1, length($2)) = $2)
                 AND NOT EXISTS (SELECT 1 FROM node WHERE name = rtrim($2, '/') AND drained_ms IS NOT NULL)
             ), head AS (",
            $head,
            ")
             UPDATE job SET state = 2, attempt = attempt + 1, lease_token = $4, lease_until_ms = $5, holder = $6,
               started_ms = COALESCE(started_ms, $3), progress = NULL
             WHERE state = 1 AND id = (
               SELECT j.id FROM ",
            $next,
            " WHERE j.memory_bytes <= $9 - COALESCE((SELECT sum(l.memory_bytes) FROM job l
                 WHERE l.state = 2 AND substr(l.holder, 1, length($2)) = $2), 0)
               ORDER BY j.prio >= $7, (SELECT count(*) FROM job l WHERE l.state = 2 AND l.app_id = j.app_id),
                 j.prio, j.weight, j.id LIMIT 1)
             RETURNING id, app_id, video_id, attempt, tries_from, payload, generation"
        )
    };
}

const CLAIM: Sql = Sql::Each {
    sqlite: claim_sql!(
        wanted: "SELECT value ->> 'kind' AS kind, value ->> 'engine' AS engine, value ->> 'node_max' AS node_max,
                   value ->> 'all_max' AS all_max FROM json_each($1)",
        head: "SELECT (SELECT j.id FROM job j WHERE j.state = 1 AND j.kind = free.kind AND j.engine = free.engine
                         AND j.app_id = app.id AND j.run_at_ms <= $3 ORDER BY j.prio, j.weight, j.id LIMIT 1) AS id
               FROM app CROSS JOIN free WHERE app.paused_ms IS NULL OR free.kind = 'erase'",
        next: "head JOIN job j ON j.id = head.id"
    ),
    postgres: claim_sql!(
        wanted: "SELECT * FROM jsonb_to_recordset($1) AS k (kind text, engine text, node_max bigint, all_max bigint)",
        head: "SELECT first.* FROM app CROSS JOIN free CROSS JOIN LATERAL (
                 SELECT j.id, j.app_id, j.prio, j.weight, j.memory_bytes FROM job j
                 WHERE j.state = 1 AND j.kind = free.kind AND j.engine = free.engine AND j.app_id = app.id
                   AND j.run_at_ms <= $3
                 ORDER BY j.prio, j.weight, j.id LIMIT 1) first
               WHERE app.paused_ms IS NULL OR free.kind = 'erase'",
        next: "head j"
    ),
};

impl Db {
    /// Takes the next job that the holder may have, or `None`.
    pub async fn claim(&self, claim: &Claim) -> Result<Option<Claimed>, DbError> {
        self.claim_within(claim, Room::default()).await
    }

    /// The same for a holder that has only so much room.
    pub async fn claim_within(&self, claim: &Claim, room: Room) -> Result<Option<Claimed>, DbError> {
        self.write((claim.clone(), room), |tx, (claim, room)| {
            Box::pin(async move {
                for _ in 0..UNREADABLE_MAX {
                    let Some(row) = take(tx, claim, *room).await? else { return Ok(None) };
                    if let Some(claimed) = read(tx, claim, &row).await? {
                        return Ok(Some(claimed));
                    }
                }
                Ok(None)
            })
        })
        .await
    }

    /// Extends a lease to `until` and stores the progress, if there is some.
    pub async fn renew(
        &self,
        lease: &Lease,
        until: Millis,
        progress: Option<Value>,
        now: Millis,
    ) -> Result<Renewed, DbError> {
        self.write((*lease, until, progress, now), |tx, (lease, until, progress, now)| {
            Box::pin(async move {
                let row = tx
                    .row(
                        "UPDATE job SET lease_until_ms = $5, progress = COALESCE($6, progress)
                         WHERE id = $1 AND attempt = $2 AND lease_token = $3 AND state = 2
                           AND lease_until_ms > $4
                         RETURNING cancel_requested",
                        args![lease.job, lease.attempt, lease.token, *now, *until, progress.clone()],
                    )
                    .await?
                    .ok_or(DbError::LeaseLost)?;
                Ok(Renewed { cancel: row.get("cancel_requested")? })
            })
        })
        .await
    }
}

/// From here to the end of the transaction nobody else takes a lease.
pub(super) async fn lock_claims(tx: &mut Tx) -> Result<(), DbError> {
    if tx.is_postgres() {
        tx.rows("SELECT pg_advisory_xact_lock($1)::text AS locked", args![LOCK_CLAIM]).await?;
    }
    Ok(())
}

pub(super) async fn take(tx: &mut Tx, claim: &Claim, room: Room) -> Result<Option<Row>, DbError> {
    lock_claims(tx).await?;
    tx.row(CLAIM, values(claim, room)).await
}

fn values(claim: &Claim, room: Room) -> Vec<Arg> {
    let kinds = claim.kinds.iter().map(|slots| {
        let queue = slots.engine.map(String::from).or_else(|| slots.store.clone()).unwrap_or_default();
        json!({ "kind": slots.kind.name(), "engine": queue, "node_max": slots.node_max, "all_max": slots.all_max })
    });
    args![
        Value::Array(kinds.collect()),
        node_of(&claim.holder),
        claim.now,
        claim.token,
        claim.now.plus(claim.lease_ms),
        claim.holder.as_str(),
        BACKGROUND_PRIO_MIN,
        room.jobs_max.map_or(i64::MAX, i64::from),
        room.memory_bytes.and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(i64::MAX),
    ]
}

/// How the database would carry out a claim, line by line.
#[cfg(test)]
pub(crate) async fn explain_claim(tx: &mut Tx, claim: &Claim) -> Result<Vec<String>, DbError> {
    let Sql::Each { sqlite, postgres } = CLAIM else { unreachable!("a claim has two texts") };
    let (sql, column) = if tx.is_postgres() {
        (format!("EXPLAIN {postgres}"), "QUERY PLAN")
    } else {
        (format!("EXPLAIN QUERY PLAN {sqlite}"), "detail")
    };
    let rows = tx.rows(Sql::Both(Box::leak(sql.into_boxed_str())), values(claim, Room::default())).await?;
    rows.iter().map(|row| row.get(column)).collect()
}

/// Reads the claimed row and opens its attempt; a job that this release cannot read is set aside as dead.
pub(super) async fn read(tx: &mut Tx, claim: &Claim, row: &Row) -> Result<Option<Claimed>, DbError> {
    let (job, app): (JobId, AppId) = (row.get("id")?, row.get("app_id")?);
    let attempt: u32 = row.get("attempt")?;
    tx.execute(
        "INSERT INTO job_attempt (job_id, attempt, holder, started_ms) VALUES ($1, $2, $3, $4)",
        args![job, attempt, claim.holder.as_str(), claim.now],
    )
    .await?;
    let Ok(task) = task_of(row.get("payload")?) else {
        let error = json!({ "code": "unknown_task" });
        end::unreadable(tx, &Death { job, app, attempt, error, now: claim.now }).await?;
        return Ok(None);
    };
    // The first attempt has nothing before it: most jobs need no look at all.
    let tries =
        if attempt == 1 { Tries::default() } else { tries_of(tx, job, row.get("tries_from")?).await? };
    Ok(Some(Claimed {
        lease: Lease { job, attempt, token: claim.token },
        app,
        video: task.video(),
        task,
        generation: row.get("generation")?,
        tries,
        safe_profile: tries.safe_profile(),
    }))
}

impl Db {
    /// When the next job of these kinds becomes ready after `now`, so that a worker sleeps no longer.
    pub async fn next_run_at(&self, kinds: &[Kind], now: Millis) -> Result<Option<Millis>, DbError> {
        let kinds: Vec<Kind> = kinds.to_vec();
        self.read((kinds, now), |tx, (kinds, now)| {
            Box::pin(async move {
                let mut next: Option<Millis> = None;
                for kind in kinds {
                    let row = tx
                        .row(
                            "SELECT min(run_at_ms) AS at FROM job
                             WHERE state = 1 AND kind = $1 AND run_at_ms > $2",
                            args![kind.name(), *now],
                        )
                        .await?;
                    let at: Option<Millis> = row.map(|row| row.get("at")).transpose()?.flatten();
                    next = [next, at].into_iter().flatten().min();
                }
                Ok(next)
            })
        })
        .await
    }
}
