//! Taking a job over from a holder that is far too slow: its attempt ends, and another begins, in one transaction.

use matinee_core::id::JobId;
use matinee_core::job::load::Progress;
use matinee_core::job::{Kind, Outcome};
use matinee_core::time::Millis;
use serde_json::Value;

use super::claim::{Claim, Claimed, Room, lock_claims, read, take};
use super::close_attempt;
use super::end::ready_again;
use crate::db::Db;
use crate::db::error::DbError;
use crate::db::tx::Sql;
use crate::db::value::{Row, args};

/// A job that somebody works on, for who asks whether it could be done sooner.
#[derive(Debug, Clone, PartialEq)]
pub struct Worked {
    /// The job.
    pub job: JobId,
    /// The fencing number of the attempt that runs.
    pub attempt: u32,
    /// Its kind.
    pub kind: Kind,
    /// `name/run` of who holds it.
    pub holder: String,
    /// The last word about how far it is.
    pub progress: Progress,
    /// When the attempt began.
    pub since: Millis,
    /// What the job is expected to cost, in milliseconds.
    pub cost_ms: u64,
    /// How often it was taken over already.
    pub overtaken: u32,
}

impl Db {
    /// All jobs of these kinds that somebody works on and that are still wanted.
    pub async fn worked(&self, kinds: &[Kind]) -> Result<Vec<Worked>, DbError> {
        self.look(kinds.to_vec(), |tx, kinds| {
            Box::pin(async move {
                let sql = "SELECT j.id, j.attempt, j.kind, j.holder, j.progress, j.cost_ms, a.started_ms,
                             (SELECT count(*) FROM job_attempt o WHERE o.job_id = j.id AND o.attempt > j.tries_from
                                AND o.outcome = 'overtaken') AS overtaken
                           FROM job j JOIN job_attempt a ON a.job_id = j.id AND a.attempt = j.attempt
                           WHERE j.state = 2 AND j.lease_until_ms > 0 AND NOT j.cancel_requested ORDER BY j.id";
                let rows = tx.rows(sql, args![]).await?;
                let mut worked: Vec<Worked> =
                    rows.iter().filter_map(|row| worked(row).transpose()).collect::<Result<_, _>>()?;
                worked.retain(|one| kinds.contains(&one.kind));
                Ok(worked)
            })
        })
        .await
    }

    /// Ends the attempt of a slow holder, and claims its job for another one. `None`, and nothing has changed, when that
    /// attempt is over, or when the other one may not have the job, or would get another one.
    pub async fn overtake(
        &self,
        claim: &Claim,
        room: Room,
        slow: (JobId, u32),
    ) -> Result<Option<Claimed>, DbError> {
        let taken = self.write((claim.clone(), room, slow), |tx, (claim, room, (job, attempt))| {
            Box::pin(async move {
                lock_claims(tx).await?;
                let sql = Sql::Each {
                    sqlite: "SELECT 1 AS held FROM job WHERE id = $1 AND attempt = $2 AND state = 2 AND NOT cancel_requested",
                    postgres: "SELECT 1 AS held FROM job WHERE id = $1 AND attempt = $2 AND state = 2 AND NOT cancel_requested
                               FOR UPDATE",
                };
                tx.row(sql, args![*job, *attempt]).await?.ok_or(DbError::Absent)?;
                close_attempt(tx, *job, Outcome::Overtaken, None, claim.now).await?;
                ready_again(tx, *job, claim.now).await?;
                // An error puts all of this back.
                let row = take(tx, claim, *room).await?.ok_or(DbError::Absent)?;
                if row.get::<JobId>("id")? != *job {
                    return Err(DbError::Absent);
                }
                read(tx, claim, &row).await?.ok_or(DbError::Absent)
            })
        });
        match taken.await {
            Ok(claimed) => Ok(Some(claimed)),
            Err(DbError::Absent) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// `None` for a kind that this release does not know.
fn worked(row: &Row) -> Result<Option<Worked>, DbError> {
    let (word, progress): (String, Option<Value>) = (row.get("kind")?, row.get("progress")?);
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == word) else { return Ok(None) };
    Ok(Some(Worked {
        job: row.get("id")?,
        attempt: row.get("attempt")?,
        kind,
        holder: row.get("holder")?,
        progress: progress.and_then(|said| serde_json::from_value(said).ok()).unwrap_or_default(),
        since: row.get("started_ms")?,
        cost_ms: row.get("cost_ms")?,
        overtaken: row.get("overtaken")?,
    }))
}
