//! What scrubbing finds, and what is known of a store as a whole.

use matinee_core::event::Topic;
use matinee_core::id::EntryId;
use matinee_core::replica::Finding;
use matinee_core::time::Millis;
use serde_json::{Value, json};

use super::copying::unplace;
use super::{Replica, replica_of, replicas, unwanted};
use crate::db::Db;
use crate::db::error::DbError;
use crate::db::told::tell;
use crate::db::tx::{Sql, Tx};
use crate::db::value::{Row, args};

/// Which local files of sources may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aged {
    /// A good copy lies in one of these.
    pub stores: Vec<String>,
    /// The video was ready by then.
    pub made: Millis,
    /// If the file was brought back, that was by then.
    pub restored: Millis,
}

/// What is known of a store besides its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
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
}

impl Db {
    /// At most `limit` good copies in a store that were proven before `before`, longest ago first.
    pub async fn to_scrub(&self, store: &str, before: Millis, limit: u32) -> Result<Vec<Replica>, DbError> {
        self.read((store.to_owned(), before, limit), |tx, (store, before, limit)| {
            Box::pin(async move {
                let sql = replicas!(
                    "WHERE r.store = $1 AND r.state = 'present' AND r.verified_ms < $2 ORDER BY r.verified_ms, r.id LIMIT $3"
                );
                let rows = tx.rows(sql, args![store.as_str(), *before, *limit]).await?;
                rows.iter().map(replica_of).collect()
            })
        })
        .await
    }

    /// Keeps what a look at a copy has found. One that is not good is read no more, and another one is made if there is
    /// something that it can be made from; nothing is deleted before.
    pub async fn found(&self, id: EntryId, finding: Finding, now: Millis) -> Result<(), DbError> {
        self.write((id, finding, now), |tx, (id, finding, now)| Box::pin(found(tx, *id, *finding, *now)))
            .await
    }

    /// At most `limit` local files of sources that an archive has, of videos that are ready and of which nothing is being made.
    pub async fn archived_sources(&self, aged: &Aged, limit: u32) -> Result<Vec<Replica>, DbError> {
        let stores = Value::from(aged.stores.clone());
        self.read((stores, aged.clone(), limit), |tx, (stores, aged, limit)| {
            Box::pin(async move {
                macro_rules! archived {
                    ($names:literal) => {
                        concat!(
                            replicas!(
                                "JOIN video v ON v.source_id = o.id
                                 WHERE r.store = 'local' AND r.state = 'present' AND v.state = 'ready' AND v.deleted_ms IS NULL
                                   AND v.generation > 1 AND v.ready_ms <= $1
                                   AND (r.id = r.object_id OR r.created_ms <= $2)
                                   AND NOT EXISTS (SELECT 1 FROM job j WHERE j.video_id = v.id AND j.state < 3)
                                   AND EXISTS (SELECT 1 FROM replica a WHERE a.object_id = r.object_id AND a.state = 'present'
                                     AND a.store IN ("
                            ),
                            $names,
                            ")) ORDER BY r.id LIMIT $4"
                        )
                    };
                }
                let sql = Sql::Each {
                    sqlite: archived!("SELECT value FROM json_each($3)"),
                    postgres: archived!("SELECT jsonb_array_elements_text($3)"),
                };
                let args = args![aged.made, aged.restored, stores.clone(), *limit];
                tx.rows(sql, args).await?.iter().map(replica_of).collect()
            })
        })
        .await
    }

    /// Gives up the local copy of an object from `when` on, when a good one lies in one of `stores`; `false` when none does.
    pub async fn give_up_local(
        &self,
        replica: &Replica,
        stores: &[String],
        when: Millis,
    ) -> Result<bool, DbError> {
        self.write((replica.id, replica.object, stores.to_vec(), when), |tx, (id, object, stores, when)| {
            Box::pin(async move {
                let sql = "SELECT store FROM replica WHERE object_id = $1 AND state = 'present' AND id <> $2";
                let rows = tx.rows(sql, args![*object, *id]).await?;
                let mut proven = false;
                for row in rows {
                    proven |= stores.contains(&row.get::<String>("store")?);
                }
                if proven {
                    unwanted(tx, *id, "archived", *when).await?;
                }
                Ok(proven)
            })
        })
        .await
    }

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
}

async fn found(tx: &mut Tx, id: EntryId, finding: Finding, now: Millis) -> Result<(), DbError> {
    if finding == Finding::Good {
        let sql = "UPDATE replica SET verified_ms = $2 WHERE id = $1 AND state = 'present'";
        return tx.execute(sql, args![id, now]).await.map(drop);
    }
    let sql = "UPDATE replica SET state = 'suspect', reason = $2, job_id = NULL, attempt = NULL
               WHERE id = $1 AND state = 'present'";
    if tx.execute(sql, args![id, finding.name()]).await? == 0 {
        return Ok(());
    }
    unplace(tx, id).await?;
    let row = tx.row(replicas!("WHERE r.id = $1"), args![id]).await?.ok_or(DbError::Absent)?;
    let bad = replica_of(&row)?;
    let sql = "SELECT count(*) AS good FROM replica WHERE object_id = $1 AND state = 'present'";
    let good: u64 = tx.row(sql, args![bad.object]).await?.ok_or(DbError::Absent)?.get("good")?;
    let facts = json!({
        "object": bad.object, "kind": bad.kind, "store": bad.store, "found": finding.name(), "good_left": good,
    });
    tell(tx, bad.app, Topic::VideoCopyBad, (bad.video.to_string(), facts), now).await
}

async fn back(tx: &mut Tx, name: &str, now: Millis) -> Result<bool, DbError> {
    let sql = "UPDATE store_state SET away_ms = NULL, retry_ms = NULL, error = NULL, seen_ms = $2
               WHERE name = $1 AND away_ms IS NOT NULL";
    if tx.execute(sql, args![name, now]).await? == 0 {
        return Ok(false);
    }
    let sql = "UPDATE job SET run_at_ms = $2 WHERE state = 1 AND kind = 'copy' AND run_at_ms > $2
               AND id IN (SELECT job_id FROM replica WHERE store = $1 AND state = 'intended')";
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
    })
}
