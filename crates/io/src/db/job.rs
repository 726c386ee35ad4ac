//! Jobs inside a transaction: insert with the reason, settle under the lease, cascade to those that wait.

mod cascade;
mod claim;
mod demand;
mod end;
mod list;
mod order;
mod overtake;
mod runs;
mod shown;
mod tries;

use std::ops::RangeInclusive;

use matinee_core::id::{JobId, VideoId};
use matinee_core::job::{Lease, NewJob, OnDeath, Outcome, State, Task};
use matinee_core::time::Millis;
use serde_json::Value;

use super::error::DbError;
use super::pace;
use super::tx::{Sql, Tx};
use super::value::args;

pub(crate) use self::cascade::task_of;
#[cfg(test)]
pub(crate) use self::claim::explain_claim;
pub use self::claim::{Claim, Claimed, Renewed, Room, Slots};
pub use self::end::{Ended, Reaped};
pub(crate) use self::end::{give_back_all, put_off};
pub use self::list::{Count, Filter, Job};
pub use self::order::Cancelled;
pub use self::overtake::Worked;
pub use self::runs::Run;
pub use self::shown::{Closer, Group, Groups, Queued, Titled, Wish};
pub(crate) use self::tries::{node_of, tries_of};

/// Inserts a job in the caller's transaction, ready or blocked, and wakes the workers after its commit.
///
/// The jobs that it needs must exist. One that is done already, or dead on an edge that releases, is not waited
/// for; [`DbError::Absent`] when one is missing, or is dead or cancelled on an edge that kills.
pub(crate) async fn insert(tx: &mut Tx, new: &NewJob, now: Millis) -> Result<(), DbError> {
    insert_for(tx, new, None, now).await
}

/// The same for a job that works for this generation of its video, and not for the one that counts.
pub(crate) async fn insert_for(
    tx: &mut Tx,
    new: &NewJob,
    generation: Option<u32>,
    now: Millis,
) -> Result<(), DbError> {
    let needs = open_needs(tx, &new.needs).await?;
    let state = if needs == 0 { State::Ready } else { State::Blocked };
    let payload = serde_json::to_value(&new.task).expect("because a task is plain text and numbers");
    tx.execute(
        "INSERT INTO job (id, app_id, kind, state, prio, weight, video_id, needs, run_at_ms, attempt, tries_from,
           cancel_requested, idem_key, payload, created_ms, cost_ms, memory_bytes, engine, generation)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, $10, $11, $12, $13, $14, $15, $16,
           COALESCE($17, (SELECT encoding FROM video WHERE id = $7), 2))",
        args![
            new.id,
            new.app,
            new.task.kind().name(),
            number(state),
            new.prio,
            new.weight,
            new.video,
            needs,
            new.run_at,
            false,
            new.idem_key.clone(),
            payload,
            now,
            new.load.cost_ms,
            new.load.memory_bytes,
            queue(new),
            generation,
        ],
    )
    .await?;
    for (needed, on_death) in &new.needs {
        tx.execute(
            "INSERT INTO job_dep (job_id, needs_id, on_death) VALUES ($1, $2, $3)",
            args![new.id, *needed, on_death_text(*on_death)],
        )
        .await?;
    }
    if needs == 0 {
        tx.wake_jobs();
    }
    Ok(())
}

/// Which queue of its kind a job waits in: that of the engine that it asks for, or of the store that gets a copy.
fn queue(new: &NewJob) -> String {
    if let Task::Copy { store, .. } = &new.task {
        return store.clone();
    }
    new.load.engine.map(String::from).unwrap_or_default()
}

/// Counts the needed jobs that are not over, and locks them so that none ends unseen before the commit.
async fn open_needs(tx: &mut Tx, needs: &[(JobId, OnDeath)]) -> Result<i64, DbError> {
    let mut needs = needs.to_vec();
    needs.sort_unstable_by_key(|(id, _)| *id);
    let mut open = 0;
    for (id, on_death) in needs {
        let sql = Sql::Each {
            sqlite: "SELECT state FROM job WHERE id = $1",
            postgres: "SELECT state FROM job WHERE id = $1 FOR UPDATE",
        };
        let row = tx.row(sql, args![id]).await?.ok_or(DbError::Absent)?;
        match (state_of(row.get("state")?)?, on_death) {
            (State::Blocked | State::Ready | State::Leased, _) => open += 1,
            (State::Done, _) | (State::Dead | State::Cancelled, OnDeath::Release) => {}
            (State::Dead | State::Cancelled, OnDeath::Kill) => return Err(DbError::Absent),
        }
    }
    Ok(open)
}

/// Makes sure that `lease` holds at `now`, and locks the job until the commit; changes nothing.
///
/// The lease of a job that somebody cancelled counts as lost: nobody wants its result.
pub(crate) async fn guard(tx: &mut Tx, lease: &Lease, now: Millis) -> Result<(), DbError> {
    let sql = Sql::Each {
        sqlite: "SELECT 1 AS held FROM job WHERE id = $1 AND attempt = $2 AND lease_token = $3 AND state = 2
                   AND lease_until_ms > $4 AND NOT cancel_requested",
        postgres:
            "SELECT 1 AS held FROM job WHERE id = $1 AND attempt = $2 AND lease_token = $3 AND state = 2
                   AND lease_until_ms > $4 AND NOT cancel_requested FOR UPDATE",
    };
    let held = tx.row(sql, args![lease.job, lease.attempt, lease.token, now]).await?;
    held.map(drop).ok_or(DbError::LeaseLost)
}

/// Completes the job in the caller's transaction and counts down the jobs that wait for it.
pub(crate) async fn settle(
    tx: &mut Tx,
    lease: &Lease,
    now: Millis,
    result: Option<Value>,
) -> Result<(), DbError> {
    let changed = tx
        .execute(
            "UPDATE job SET state = 3, result = $5, finished_ms = $4, lease_until_ms = NULL, lease_token = NULL,
               holder = NULL
             WHERE id = $1 AND attempt = $2 AND lease_token = $3 AND state = 2 AND lease_until_ms > $4
               AND NOT cancel_requested",
            args![lease.job, lease.attempt, lease.token, now, result],
        )
        .await?;
    if changed == 0 {
        return Err(DbError::LeaseLost);
    }
    close_attempt(tx, lease.job, Outcome::Done, None, now).await?;
    cascade::release(tx, lease.job).await?;
    pace::learn(tx, lease.job).await
}

/// Ends the open attempt of a job.
pub(crate) async fn close_attempt(
    tx: &mut Tx,
    job: JobId,
    outcome: Outcome,
    error: Option<Value>,
    now: Millis,
) -> Result<(), DbError> {
    tx.execute(
        "UPDATE job_attempt SET ended_ms = $2, outcome = $3, error = $4 WHERE job_id = $1 AND ended_ms IS NULL",
        args![job, now, outcome_text(outcome), error],
    )
    .await
    .map(drop)
}

/// Cancels all that is open for a video: what runs is asked to stop, the rest is cancelled at once.
pub(crate) async fn cancel_of_video(tx: &mut Tx, video: VideoId, now: Millis) -> Result<(), DbError> {
    cancel_of_generations(tx, video, 0..=u32::MAX, now).await
}

/// The same for what works for some generations of a video only.
pub(crate) async fn cancel_of_generations(
    tx: &mut Tx,
    video: VideoId,
    generations: RangeInclusive<u32>,
    now: Millis,
) -> Result<(), DbError> {
    let (from, to) = generations.into_inner();
    if tx.is_postgres() {
        let sql = "SELECT id FROM job WHERE video_id = $1 AND generation BETWEEN $2 AND $3 AND state < 3
                   ORDER BY id FOR UPDATE";
        tx.rows(sql, args![video, from, to]).await?;
    }
    // A video is published whatever generation of it counts, once that was begun.
    tx.execute(
        "UPDATE job SET state = 5, finished_ms = $4
         WHERE video_id = $1 AND generation BETWEEN $2 AND $3 AND state IN (0, 1)
           AND NOT (kind = 'publish' AND EXISTS (SELECT 1 FROM publication p
             WHERE p.video_id = $1 AND p.host = payload ->> 'host'))",
        args![video, from, to, now],
    )
    .await?;
    tx.execute(
        "UPDATE job SET cancel_requested = $4 WHERE video_id = $1 AND generation BETWEEN $2 AND $3 AND state = 2
           AND NOT (kind = 'publish' AND EXISTS (SELECT 1 FROM publication p
             WHERE p.video_id = $1 AND p.host = payload ->> 'host'))",
        args![video, from, to, true],
    )
    .await?;
    tx.wake_jobs();
    Ok(())
}

/// The number of a state in the database.
pub(crate) const fn number(state: State) -> i64 {
    match state {
        State::Blocked => 0,
        State::Ready => 1,
        State::Leased => 2,
        State::Done => 3,
        State::Dead => 4,
        State::Cancelled => 5,
    }
}

/// The state with this number.
pub(crate) fn state_of(stored: i64) -> Result<State, DbError> {
    let found = State::ALL.into_iter().find(|state| number(*state) == stored);
    found.ok_or_else(|| DbError::Never(format!("no job state has the number {stored}")))
}

const fn on_death_text(on_death: OnDeath) -> &'static str {
    match on_death {
        OnDeath::Kill => "kill",
        OnDeath::Release => "release",
    }
}

/// The word of an outcome in the database.
pub(crate) fn outcome_text(outcome: Outcome) -> String {
    let Ok(Value::String(text)) = serde_json::to_value(outcome) else {
        unreachable!("an outcome is one word");
    };
    text
}

/// The outcome with this word.
pub(crate) fn outcome_of(stored: String) -> Result<Outcome, DbError> {
    serde_json::from_value(Value::String(stored))
        .map_err(|error| DbError::Never(format!("an unknown outcome: {error}")))
}
