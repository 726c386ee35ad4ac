//! What the end of a job means for the jobs that wait for it.

use matinee_core::id::JobId;
use matinee_core::job::{State, Task};
use matinee_core::time::Millis;
use serde_json::{Value, json};

use super::number;
use crate::db::error::DbError;
use crate::db::tx::{Sql, Tx};
use crate::db::value::args;

/// The jobs that died together, the cause first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Died {
    pub(crate) jobs: Vec<(JobId, Task)>,
}

/// A job is done, or its end does no harm: those that wait count one less, in the order of ids.
pub(crate) async fn release(tx: &mut Tx, job: JobId) -> Result<(), DbError> {
    count_down(tx, job, &["kill", "release"]).await
}

async fn count_down(tx: &mut Tx, job: JobId, edges: &[&'static str]) -> Result<(), DbError> {
    // Locked in the order of ids first: two parents that end at once must not wait for each other.
    let sql = Sql::Each {
        sqlite: "UPDATE job SET needs = needs - 1, state = CASE WHEN needs = 1 THEN 1 ELSE 0 END
                 WHERE state = 0 AND id IN
                   (SELECT job_id FROM job_dep WHERE needs_id = $1 AND on_death IN ($2, $3))
                 RETURNING needs",
        postgres: "WITH waiting AS (
                     SELECT id FROM job WHERE state = 0 AND id IN
                       (SELECT job_id FROM job_dep WHERE needs_id = $1 AND on_death IN ($2, $3))
                     ORDER BY id FOR UPDATE)
                   UPDATE job SET needs = needs - 1, state = CASE WHEN needs = 1 THEN 1 ELSE 0 END
                   FROM waiting WHERE job.id = waiting.id RETURNING job.needs",
    };
    let first = edges.first().copied().unwrap_or_default();
    let last = edges.last().copied().unwrap_or_default();
    for row in tx.rows(sql, args![job, first, last]).await? {
        if row.get::<i64>("needs")? == 0 {
            tx.wake_jobs();
        }
    }
    Ok(())
}

/// A job is dead: those that cannot do without it die, too, and so on; the others no longer wait.
pub(crate) async fn died(tx: &mut Tx, job: JobId, task: Task, now: Millis) -> Result<Died, DbError> {
    let killed = over(tx, job, State::Dead, now).await?;
    let mut jobs = vec![(job, task)];
    jobs.extend(killed);
    Ok(Died { jobs })
}

/// A job ended as `end` (dead or cancelled): hands this end on over the edges that kill, releases the others.
/// Returns the jobs that ended with it.
pub(crate) async fn over(
    tx: &mut Tx,
    job: JobId,
    end: State,
    now: Millis,
) -> Result<Vec<(JobId, Task)>, DbError> {
    let mut ended = Vec::new();
    let mut queue = vec![job];
    while let Some(parent) = queue.pop() {
        count_down(tx, parent, &["release"]).await?;
        for (id, task) in end_children(tx, parent, end, now).await? {
            queue.push(id);
            ended.push((id, task));
        }
    }
    Ok(ended)
}

async fn end_children(
    tx: &mut Tx,
    parent: JobId,
    end: State,
    now: Millis,
) -> Result<Vec<(JobId, Task)>, DbError> {
    let sql = Sql::Each {
        sqlite: "UPDATE job SET state = $2, finished_ms = $3, last_error = $4
                 WHERE state = 0 AND id IN
                   (SELECT job_id FROM job_dep WHERE needs_id = $1 AND on_death = 'kill')
                 RETURNING id, payload",
        postgres: "WITH waiting AS (
                     SELECT id FROM job WHERE state = 0 AND id IN
                       (SELECT job_id FROM job_dep WHERE needs_id = $1 AND on_death = 'kill')
                     ORDER BY id FOR UPDATE)
                   UPDATE job SET state = $2, finished_ms = $3, last_error = $4
                   FROM waiting WHERE job.id = waiting.id RETURNING job.id, job.payload",
    };
    let error = json!({ "code": "needed_job_ended", "job": parent });
    let rows = tx.rows(sql, args![parent, number(end), now, error]).await?;
    let mut children = Vec::with_capacity(rows.len());
    for row in rows {
        children.push((row.get("id")?, task_of(row.get("payload")?)?));
    }
    children.sort_unstable_by_key(|(id, _): &(JobId, Task)| *id);
    Ok(children)
}

/// The task in a stored payload.
pub(crate) fn task_of(payload: Value) -> Result<Task, DbError> {
    serde_json::from_value(payload)
        .map_err(|error| DbError::Never(format!("an unknown job payload: {error}")))
}
