//! What is read of the attempts that ended, and of who holds the one that runs.

use matinee_core::id::JobId;
use matinee_core::job::retry::Tries;

use crate::db::error::DbError;
use crate::db::tx::Tx;
use crate::db::value::args;

/// The node part of a holder `node/run`, with its slash.
pub(crate) fn node_of(holder: &str) -> String {
    format!("{}/", holder.split('/').next().unwrap_or(holder))
}

/// Counts the ended attempts of a job since the operator last wanted it.
pub(crate) async fn tries_of(tx: &mut Tx, job: JobId, tries_from: u32) -> Result<Tries, DbError> {
    let rows = tx
        .rows(
            "SELECT outcome FROM job_attempt WHERE job_id = $1 AND attempt > $2 AND ended_ms IS NOT NULL
             ORDER BY attempt",
            args![job, tries_from],
        )
        .await?;
    let mut tries = Tries::default();
    for row in rows {
        tries.add(super::outcome_of(row.get("outcome")?)?);
    }
    Ok(tries)
}
