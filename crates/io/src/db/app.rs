//! Apps and their collections.

use matinee_core::id::{AppId, CollectionId};
use matinee_core::time::Millis;
use serde::Serialize;

use super::Db;
use super::error::DbError;
use super::tx::Tx;
use super::value::args;

/// The name of the app and of the collection that exist from the start.
pub const DEFAULT: &str = "default";

/// The app and the collection for those who name none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    /// The app.
    pub app: AppId,
    /// Its collection.
    pub collection: CollectionId,
}

/// An app, or a collection of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named<I> {
    /// Its id.
    pub id: I,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Millis,
}

impl Db {
    /// Makes the default app and collection under these ids, unless they exist; returns the ids they have.
    pub async fn defaults(&self, wanted: Defaults, now: Millis) -> Result<Defaults, DbError> {
        self.write((wanted, now), |tx, (wanted, now)| {
            Box::pin(async move {
                let sql = "INSERT INTO app (id, name, created_ms) VALUES ($1, $2, $3)
                           ON CONFLICT (name) DO NOTHING";
                tx.execute(sql, args![wanted.app, DEFAULT, *now]).await?;
                let app = found(tx, "SELECT id FROM app WHERE name = $1", args![DEFAULT]).await?;
                let sql = "INSERT INTO collection (id, app_id, name, created_ms) VALUES ($1, $2, $3, $4)
                           ON CONFLICT (app_id, name) DO NOTHING";
                tx.execute(sql, args![wanted.collection, app, DEFAULT, *now]).await?;
                let sql = "SELECT id FROM collection WHERE app_id = $1 AND name = $2";
                Ok(Defaults { app, collection: found(tx, sql, args![app, DEFAULT]).await? })
            })
        })
        .await
    }

    /// All apps, the oldest first.
    pub async fn apps(&self) -> Result<Vec<Named<AppId>>, DbError> {
        self.named("SELECT id, name, created_ms FROM app ORDER BY id", args![]).await
    }

    /// The collections of an app, the oldest first.
    pub async fn collections(&self, app: AppId) -> Result<Vec<Named<CollectionId>>, DbError> {
        let sql = "SELECT id, name, created_ms FROM collection WHERE app_id = $1 ORDER BY id";
        self.named(sql, args![app]).await
    }

    async fn named<N: 'static>(
        &self,
        sql: &'static str,
        values: Vec<super::value::Arg>,
    ) -> Result<Vec<Named<matinee_core::id::Id<N>>>, DbError> {
        self.read((sql, values), |tx, (sql, values)| {
            Box::pin(async move {
                let mut all = Vec::new();
                for row in tx.rows(*sql, values.clone()).await? {
                    let (id, name) = (row.get("id")?, row.get("name")?);
                    all.push(Named { id, name, created: row.get("created_ms")? });
                }
                Ok(all)
            })
        })
        .await
    }
}

async fn found<I: super::value::Column>(
    tx: &mut Tx,
    sql: &'static str,
    values: Vec<super::value::Arg>,
) -> Result<I, DbError> {
    tx.row(sql, values).await?.ok_or(DbError::Absent)?.get("id")
}
