//! Apps and their collections: made, listed, shown and changed. How they go is in `erase`.

use matinee_core::id::{AppId, CollectionId};
use matinee_core::quota::{Quota, Usage, Wish};
use matinee_core::time::Millis;

use super::Db;
use super::error::DbError;
use super::quota;
use super::tx::Tx;
use super::value::{Row, args};

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

/// An app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its id.
    pub id: AppId,
    /// Its name.
    pub name: String,
    /// What it may have.
    pub quota: Quota,
    /// When it was made.
    pub created: Millis,
    /// Since when it is being deleted.
    pub deleting: Option<Millis>,
}

/// A collection of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// Its id.
    pub id: CollectionId,
    /// Its app.
    pub app: AppId,
    /// Its name.
    pub name: String,
    /// What it may have.
    pub quota: Quota,
    /// When it was made.
    pub created: Millis,
    /// Since when it is being deleted.
    pub deleting: Option<Millis>,
}

/// What is to be changed of an app or a collection; what is not named stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// Another name.
    pub name: Option<String>,
    /// The limit of bytes.
    pub bytes: Wish,
    /// The limit of open uploads.
    pub uploads: Wish,
}

/// The collection into which uploads of an app go that name none has the app's own bits. Only that of the app which
/// exists from the start is older than this rule.
pub const fn first_collection(app: AppId) -> CollectionId {
    CollectionId::from_bits(app.bits())
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

    /// Makes an app with its first collection; [`DbError::Taken`] when there is one of this name.
    pub async fn create_app(&self, id: AppId, name: &str, quota: Quota, now: Millis) -> Result<(), DbError> {
        self.write((id, name.to_owned(), quota, now), |tx, (id, name, quota, now)| {
            Box::pin(async move {
                let sql = "INSERT INTO app (id, name, quota_bytes, quota_uploads, created_ms)
                           VALUES ($1, $2, $3, $4, $5)";
                tx.execute(sql, args![*id, name.as_str(), quota.bytes, quota.uploads, *now]).await?;
                let first = (first_collection(*id), *id, DEFAULT);
                insert_collection(tx, first, Quota::default(), *now).await
            })
        })
        .await
    }

    /// All apps, the oldest first.
    pub async fn apps(&self) -> Result<Vec<App>, DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                tx.rows("SELECT * FROM app ORDER BY id", args![]).await?.iter().map(app_of).collect()
            })
        })
        .await
    }

    /// One app with what it has.
    pub async fn app(&self, id: AppId) -> Result<Option<(App, Usage)>, DbError> {
        self.read(id, |tx, id| {
            Box::pin(async move {
                let Some(row) = tx.row("SELECT * FROM app WHERE id = $1", args![*id]).await? else {
                    return Ok(None);
                };
                Ok(Some((app_of(&row)?, quota::usage_of_app(tx, *id).await?)))
            })
        })
        .await
    }

    /// Changes an app. [`DbError::Absent`] when there is none, or it is being deleted.
    pub async fn update_app(&self, id: AppId, change: &Change) -> Result<(), DbError> {
        self.write((id, change.clone()), |tx, (id, change)| {
            Box::pin(async move {
                let sql = "UPDATE app SET name = COALESCE($2, name),
                             quota_bytes = CASE WHEN $3 THEN $4 ELSE quota_bytes END,
                             quota_uploads = CASE WHEN $5 THEN $6 ELSE quota_uploads END
                           WHERE id = $1 AND deleting_ms IS NULL";
                tx.execute_one(sql, changed(*id, change)).await
            })
        })
        .await
    }

    /// Makes a collection in an app. [`DbError::Taken`] when the app has one of this name.
    pub async fn create_collection(
        &self,
        (id, app): (CollectionId, AppId),
        name: &str,
        quota: Quota,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((id, app, name.to_owned(), quota, now), |tx, (id, app, name, quota, now)| {
            Box::pin(async move { insert_collection(tx, (*id, *app, name), *quota, *now).await })
        })
        .await
    }

    /// The collections of an app, the oldest first.
    pub async fn collections(&self, app: AppId) -> Result<Vec<Collection>, DbError> {
        self.read(app, |tx, app| {
            Box::pin(async move {
                let sql = "SELECT * FROM collection WHERE app_id = $1 ORDER BY id";
                tx.rows(sql, args![*app]).await?.iter().map(collection_of).collect()
            })
        })
        .await
    }

    /// One collection of an app with what it has.
    pub async fn collection(
        &self,
        app: AppId,
        id: CollectionId,
    ) -> Result<Option<(Collection, Usage)>, DbError> {
        self.read((app, id), |tx, (app, id)| {
            Box::pin(async move {
                let sql = "SELECT * FROM collection WHERE id = $1 AND app_id = $2";
                let Some(row) = tx.row(sql, args![*id, *app]).await? else { return Ok(None) };
                Ok(Some((collection_of(&row)?, quota::usage_of_collection(tx, *id).await?)))
            })
        })
        .await
    }

    /// The living collection of an app that has this name.
    pub async fn collection_named(&self, app: AppId, name: &str) -> Result<Option<Collection>, DbError> {
        self.read((app, name.to_owned()), |tx, (app, name)| {
            Box::pin(async move {
                let sql = "SELECT * FROM collection WHERE app_id = $1 AND name = $2 AND deleting_ms IS NULL";
                tx.row(sql, args![*app, name.as_str()]).await?.as_ref().map(collection_of).transpose()
            })
        })
        .await
    }

    /// Changes a collection. [`DbError::Absent`] when the app has none such, or it is being deleted.
    pub async fn update_collection(
        &self,
        (app, id): (AppId, CollectionId),
        change: &Change,
    ) -> Result<(), DbError> {
        self.write((app, id, change.clone()), |tx, (app, id, change)| {
            Box::pin(async move {
                let sql = "UPDATE collection SET name = COALESCE($2, name),
                             quota_bytes = CASE WHEN $3 THEN $4 ELSE quota_bytes END,
                             quota_uploads = CASE WHEN $5 THEN $6 ELSE quota_uploads END
                           WHERE id = $1 AND app_id = $7 AND deleting_ms IS NULL";
                let mut values = changed(*id, change);
                values.extend(args![*app]);
                tx.execute_one(sql, values).await
            })
        })
        .await
    }
}

fn changed<N>(id: matinee_core::id::Id<N>, change: &Change) -> Vec<super::value::Arg> {
    args![
        id,
        change.name.as_deref(),
        change.bytes != Wish::Stays,
        change.bytes.limit(),
        change.uploads != Wish::Stays,
        change.uploads.limit(),
    ]
}

async fn insert_collection(
    tx: &mut Tx,
    (id, app, name): (CollectionId, AppId, &str),
    quota: Quota,
    now: Millis,
) -> Result<(), DbError> {
    let sql = "INSERT INTO collection (id, app_id, name, quota_bytes, quota_uploads, created_ms)
               SELECT $1, id, $3, $4, $5, $6 FROM app WHERE id = $2 AND deleting_ms IS NULL";
    tx.execute_one(sql, args![id, app, name, quota.bytes, quota.uploads, now]).await
}

/// Reads a whole row of `app`.
pub(crate) fn app_of(row: &Row) -> Result<App, DbError> {
    Ok(App {
        id: row.get("id")?,
        name: row.get("name")?,
        quota: quota_of(row)?,
        created: row.get("created_ms")?,
        deleting: row.get("deleting_ms")?,
    })
}

/// Reads a whole row of `collection`.
pub(crate) fn collection_of(row: &Row) -> Result<Collection, DbError> {
    Ok(Collection {
        id: row.get("id")?,
        app: row.get("app_id")?,
        name: row.get("name")?,
        quota: quota_of(row)?,
        created: row.get("created_ms")?,
        deleting: row.get("deleting_ms")?,
    })
}

fn quota_of(row: &Row) -> Result<Quota, DbError> {
    Ok(Quota { bytes: row.get("quota_bytes")?, uploads: row.get("quota_uploads")? })
}

async fn found<I: super::value::Column>(
    tx: &mut Tx,
    sql: &'static str,
    values: Vec<super::value::Arg>,
) -> Result<I, DbError> {
    tx.row(sql, values).await?.ok_or(DbError::Absent)?.get("id")
}
