//! The ledger as an account: how much lies where, and what is to go.

use matinee_core::id::{AppId, EntryId};
use matinee_core::ledger::State;
use matinee_core::time::Millis;

use super::Db;
use super::error::DbError;
use super::value::{Row, args};

/// What of an app is in one state at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// The store.
    pub place: String,
    /// Where these things are in their life.
    pub state: State,
    /// How many.
    pub things: u64,
    /// Their bytes together, as far as they are known.
    pub bytes: u64,
    /// How many of them a delete has failed for.
    pub failing: u64,
    /// When the oldest of them was intended.
    pub oldest: Millis,
}

impl Db {
    /// What of an app may exist outside, by place and state; what is proven gone is left out.
    pub async fn ledger_sums(&self, app: AppId) -> Result<Vec<Sum>, DbError> {
        self.read(app, |tx, app| {
            Box::pin(async move {
                let sql = "SELECT l.place, l.state, count(*) AS things,
                             CAST(COALESCE(sum(o.size_bytes), 0) AS BIGINT) AS bytes,
                             count(CASE WHEN l.attempts > 0 THEN 1 END) AS failing, min(l.created_ms) AS oldest
                           FROM ledger l LEFT JOIN object o ON o.id = l.object_id
                           WHERE l.app_id = $1 AND l.state <> 'gone'
                           GROUP BY l.place, l.state ORDER BY l.place, l.state";
                tx.rows(sql, args![*app]).await?.iter().map(sum_of).collect()
            })
        })
        .await
    }

    /// Deletes of an app that wait for their next try are due now: all of them, or one; returns how many.
    pub async fn ledger_hurry(
        &self,
        app: AppId,
        entry: Option<EntryId>,
        now: Millis,
    ) -> Result<u64, DbError> {
        self.write((app, entry, now), |tx, (app, entry, now)| {
            Box::pin(async move {
                let sql = "UPDATE ledger SET next_try_ms = $3 WHERE app_id = $1 AND state = 'to_delete'
                             AND attempts > 0 AND next_try_ms > $3 AND ($2 IS NULL OR id = $2)";
                tx.execute(sql, args![*app, *entry, *now]).await
            })
        })
        .await
    }
}

fn sum_of(row: &Row) -> Result<Sum, DbError> {
    Ok(Sum {
        place: row.get("place")?,
        state: row.get("state")?,
        things: row.get("things")?,
        bytes: row.get("bytes")?,
        failing: row.get("failing")?,
        oldest: row.get("oldest")?,
    })
}
