//! Which place each store is: the name of its plate, and what would have to lie there.

use matinee_core::time::Millis;

use crate::db::Db;
use crate::db::error::DbError;
use crate::db::value::args;

/// What lies in a store by its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Promised {
    /// So many copies were proven to lie there, and are not proven gone.
    pub made: u64,
    /// So many besides are or were intended.
    pub intended: u64,
    /// Keys of some that lie there, those first that were seen last.
    pub keys: Vec<String>,
}

impl Db {
    /// The name of the plate of a store: this one, if it has none yet. Of all nodes one gives it.
    pub async fn identify(&self, store: &str, identity: &str) -> Result<String, DbError> {
        self.write((store.to_owned(), identity.to_owned()), |tx, (store, identity)| {
            Box::pin(async move {
                let sql = "INSERT INTO store_state (name, identity) VALUES ($1, $2)
                           ON CONFLICT (name) DO UPDATE SET identity = COALESCE(store_state.identity, excluded.identity)
                           RETURNING identity";
                let row = tx.row(sql, args![store.as_str(), identity.as_str()]).await?;
                row.ok_or(DbError::Absent)?.get("identity")
            })
        })
        .await
    }

    /// The plate hangs in its store.
    pub async fn plate_hangs(&self, store: &str, now: Millis) -> Result<(), DbError> {
        self.write((store.to_owned(), now), |tx, (store, now)| {
            Box::pin(async move {
                let sql = "UPDATE store_state SET plate_ms = COALESCE(plate_ms, $2), elsewhere_ms = NULL WHERE name = $1";
                tx.execute(sql, args![store.as_str(), *now]).await.map(drop)
            })
        })
        .await
    }

    /// Another place is found under the name of a store, or that is over.
    pub async fn found_elsewhere(&self, store: &str, since: Option<Millis>) -> Result<(), DbError> {
        self.write((store.to_owned(), since), |tx, (store, since)| {
            Box::pin(async move {
                let sql = "INSERT INTO store_state (name, elsewhere_ms) VALUES ($1, $2)
                           ON CONFLICT (name) DO UPDATE SET elsewhere_ms =
                             CASE WHEN excluded.elsewhere_ms IS NULL THEN NULL
                               ELSE COALESCE(store_state.elsewhere_ms, excluded.elsewhere_ms) END";
                tx.execute(sql, args![store.as_str(), *since]).await.map(drop)
            })
        })
        .await
    }

    /// What lies in a store by its rows, with at most `limit` keys.
    pub async fn promised_in(&self, store: &str, limit: u32) -> Result<Promised, DbError> {
        self.read((store.to_owned(), limit), |tx, (store, limit)| {
            Box::pin(async move {
                let sql = "SELECT (SELECT count(*) FROM replica WHERE store = $1 AND verified_ms IS NOT NULL) AS made,
                             (SELECT count(*) FROM ledger WHERE place = $1 AND state <> 'gone' AND object_id IS NOT NULL) AS owed";
                let row = tx.row(sql, args![store.as_str()]).await?.ok_or(DbError::Absent)?;
                let (made, owed): (u64, u64) = (row.get("made")?, row.get("owed")?);
                let sql = "SELECT key FROM replica WHERE store = $1 AND verified_ms IS NOT NULL
                           ORDER BY state <> 'present', verified_ms DESC, id LIMIT $2";
                let rows = tx.rows(sql, args![store.as_str(), *limit]).await?;
                let keys = rows.iter().map(|row| row.get("key")).collect::<Result<_, _>>()?;
                Ok(Promised { made, intended: owed.saturating_sub(made), keys })
            })
        })
        .await
    }
}
