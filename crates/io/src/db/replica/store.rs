//! What is known of a store as a whole, besides its configuration.

use matinee_core::time::Millis;
use serde_json::Value;

use crate::db::Db;
use crate::db::error::DbError;
use crate::db::tx::Tx;
use crate::db::value::{Row, args};

/// What is known of a store besides its configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreState {
    /// Its name.
    pub name: String,
    /// Since when it is being emptied.
    pub draining: Option<Millis>,
    /// Since when it does not answer.
    pub away: Option<Millis>,
    /// When it is asked again.
    pub retry: Option<Millis>,
    /// What it said last.
    pub error: Option<String>,
    /// When it answered last.
    pub seen: Option<Millis>,
    /// Since when it is known to be lost for ever.
    pub lost: Option<Millis>,
    /// What it can do, as it was tried, and when that was.
    pub facts: Option<(Value, Millis)>,
    /// The name of its plate.
    pub identity: Option<String>,
    /// Since when that is known to hang there.
    pub plate: Option<Millis>,
    /// Since when another place is found under its name.
    pub elsewhere: Option<Millis>,
}

impl Db {
    /// What is known of all stores.
    pub async fn store_states(&self) -> Result<Vec<StoreState>, DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                let rows = tx.rows("SELECT * FROM store_state ORDER BY name", args![]).await?;
                rows.iter().map(state_of).collect()
            })
        })
        .await
    }

    /// A store did not answer: it is asked again at `retry`. Returns since when it is away.
    pub async fn store_away(
        &self,
        name: &str,
        error: &str,
        retry: Millis,
        now: Millis,
    ) -> Result<Millis, DbError> {
        let args = (name.to_owned(), error.to_owned(), retry, now);
        self.write(args, |tx, (name, error, retry, now)| {
            Box::pin(async move {
                let sql = "INSERT INTO store_state (name, away_ms, retry_ms, error) VALUES ($1, $2, $3, $4)
                           ON CONFLICT (name) DO UPDATE SET away_ms = COALESCE(store_state.away_ms, excluded.away_ms),
                             retry_ms = excluded.retry_ms, error = excluded.error RETURNING away_ms";
                let row = tx.row(sql, args![name.as_str(), *now, *retry, error.as_str()]).await?;
                row.ok_or(DbError::Absent)?.get("away_ms")
            })
        })
        .await
    }

    /// A store answers: all that waited for it is due at once. Returns whether it was away.
    pub async fn store_back(&self, name: &str, now: Millis) -> Result<bool, DbError> {
        self.write((name.to_owned(), now), |tx, (name, now)| Box::pin(back(tx, name, *now))).await
    }

    /// A store is being emptied from now on, or not any more.
    pub async fn drain_store(&self, name: &str, since: Option<Millis>) -> Result<(), DbError> {
        self.write((name.to_owned(), since), |tx, (name, since)| {
            Box::pin(async move {
                let sql = "INSERT INTO store_state (name, draining_ms) VALUES ($1, $2)
                           ON CONFLICT (name) DO UPDATE SET draining_ms = excluded.draining_ms";
                tx.execute(sql, args![name.as_str(), *since]).await.map(drop)
            })
        })
        .await
    }

    /// What a store can do, as it was tried now.
    pub async fn keep_facts(&self, name: &str, facts: &Value, now: Millis) -> Result<(), DbError> {
        self.write((name.to_owned(), facts.clone(), now), |tx, (name, facts, now)| {
            Box::pin(async move {
                let sql = "INSERT INTO store_state (name, facts, tried_ms) VALUES ($1, $2, $3)
                           ON CONFLICT (name) DO UPDATE SET facts = excluded.facts, tried_ms = excluded.tried_ms";
                tx.execute(sql, args![name.as_str(), facts.clone(), *now]).await.map(drop)
            })
        })
        .await
    }

    /// Takes, or keeps, the turn to read a store again until `until`; `false` when it is another node's.
    pub async fn scrub_turn(
        &self,
        name: &str,
        holder: &str,
        (until, now): (Millis, Millis),
    ) -> Result<bool, DbError> {
        self.write((name.to_owned(), holder.to_owned(), until, now), |tx, (name, holder, until, now)| {
            Box::pin(async move {
                let sql = "INSERT INTO store_state (name, scrub_holder, scrub_until_ms) VALUES ($1, $2, $3)
                           ON CONFLICT (name) DO UPDATE SET scrub_holder = excluded.scrub_holder,
                             scrub_until_ms = excluded.scrub_until_ms
                           WHERE store_state.scrub_holder IS NULL OR store_state.scrub_holder = excluded.scrub_holder
                             OR store_state.scrub_until_ms <= $4";
                let taken = tx.execute(sql, args![name.as_str(), holder.as_str(), *until, *now]).await?;
                Ok(taken > 0)
            })
        })
        .await
    }
}

async fn back(tx: &mut Tx, name: &str, now: Millis) -> Result<bool, DbError> {
    let sql = "UPDATE store_state SET away_ms = NULL, retry_ms = NULL, error = NULL, seen_ms = $2
               WHERE name = $1 AND away_ms IS NOT NULL";
    if tx.execute(sql, args![name, now]).await? == 0 {
        return Ok(false);
    }
    let sql = "UPDATE job SET run_at_ms = $2 WHERE state = 1 AND kind = 'copy' AND run_at_ms > $2
               AND (id IN (SELECT job_id FROM replica WHERE store = $1 AND state = 'intended')
                 OR id IN (SELECT here.job_id FROM replica here JOIN replica there ON there.object_id = here.object_id
                   WHERE here.store = 'local' AND here.state IN ('intended', 'suspect')
                     AND there.store = $1 AND there.state = 'present'))";
    tx.execute(sql, args![name, now]).await?;
    let sql =
        "UPDATE ledger SET next_try_ms = $2 WHERE place = $1 AND state = 'to_delete' AND next_try_ms > $2
               AND attempts > 0";
    tx.execute(sql, args![name, now]).await?;
    tx.wake_jobs();
    Ok(true)
}

fn state_of(row: &Row) -> Result<StoreState, DbError> {
    Ok(StoreState {
        name: row.get("name")?,
        draining: row.get("draining_ms")?,
        away: row.get("away_ms")?,
        retry: row.get("retry_ms")?,
        error: row.get("error")?,
        seen: row.get("seen_ms")?,
        lost: row.get("lost_ms")?,
        facts: row.get::<Option<Value>>("facts")?.zip(row.get("tried_ms")?),
        identity: row.get("identity")?,
        plate: row.get("plate_ms")?,
        elsewhere: row.get("elsewhere_ms")?,
    })
}
