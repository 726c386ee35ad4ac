//! What is counted in rows for metrics.

use matinee_core::ledger::State;

use super::Db;
use super::error::DbError;
use super::value::args;

impl Db {
    /// How many uploads take bytes.
    pub async fn uploads_open(&self) -> Result<u64, DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                let row =
                    tx.row("SELECT count(*) AS uploads FROM upload WHERE state = 'open'", args![]).await?;
                row.map_or(Ok(0), |row| row.get("uploads"))
            })
        })
        .await
    }

    /// How many things outside are in each state of the ledger; what is 0 is left out.
    pub async fn ledger_counts(&self) -> Result<Vec<(State, u64)>, DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                let rows =
                    tx.rows("SELECT state, count(*) AS things FROM ledger GROUP BY state", args![]).await?;
                rows.iter().map(|row| Ok((row.get("state")?, row.get("things")?))).collect()
            })
        })
        .await
    }
}
