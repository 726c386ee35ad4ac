//! What jobs take on each node, learned from those that were finished there.

use matinee_core::id::JobId;
use matinee_core::job::Kind;
use matinee_core::job::load::Pace;

use super::Db;
use super::error::DbError;
use super::tx::{Sql, Tx};
use super::value::args;

/// A job has just been done: what it took counts from now on, and what was known before counts a tenth less.
pub(crate) async fn learn(tx: &mut Tx, job: JobId) -> Result<(), DbError> {
    let sql = Sql::Each {
        sqlite: "INSERT INTO pace (node, kind, jobs, cost_ms, took_ms)
                 SELECT substr(a.holder, 1, instr(a.holder || '/', '/') - 1), j.kind, 1, j.cost_ms,
                   max(a.ended_ms - a.started_ms, 1)
                 FROM job j JOIN job_attempt a ON a.job_id = j.id AND a.attempt = j.attempt
                 WHERE j.id = $1 AND j.cost_ms > 0
                 ON CONFLICT (node, kind) DO UPDATE SET jobs = jobs + 1,
                   cost_ms = cost_ms - cost_ms / 10 + excluded.cost_ms,
                   took_ms = took_ms - took_ms / 10 + excluded.took_ms",
        postgres: "INSERT INTO pace (node, kind, jobs, cost_ms, took_ms)
                 SELECT split_part(a.holder, '/', 1), j.kind, 1, j.cost_ms, GREATEST(a.ended_ms - a.started_ms, 1)
                 FROM job j JOIN job_attempt a ON a.job_id = j.id AND a.attempt = j.attempt
                 WHERE j.id = $1 AND j.cost_ms > 0
                 ON CONFLICT (node, kind) DO UPDATE SET jobs = pace.jobs + 1,
                   cost_ms = pace.cost_ms - pace.cost_ms / 10 + excluded.cost_ms,
                   took_ms = pace.took_ms - pace.took_ms / 10 + excluded.took_ms",
    };
    tx.execute(sql, args![job]).await.map(drop)
}

impl Db {
    /// What is known of each kind on each node.
    pub async fn paces(&self) -> Result<Vec<(String, Kind, Pace)>, DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                let mut known = Vec::new();
                for row in tx.rows("SELECT * FROM pace ORDER BY node, kind", args![]).await? {
                    let word: String = row.get("kind")?;
                    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == word) else { continue };
                    let pace = Pace {
                        jobs: row.get("jobs")?,
                        cost_ms: row.get("cost_ms")?,
                        took_ms: row.get("took_ms")?,
                    };
                    known.push((row.get("node")?, kind, pace));
                }
                Ok(known)
            })
        })
        .await
    }
}
