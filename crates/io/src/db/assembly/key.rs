//! Who may make assemblies, and the templates by which they do. Only the ids of keys are kept; their secrets follow from them.

use matinee_core::assembly::TEMPLATES_MAX;
use matinee_core::id::{AppId, AssemblyKeyId};
use matinee_core::time::Millis;
use serde_json::Value;

use crate::db::Db;
use crate::db::error::DbError;
use crate::db::tx::{Sql, Tx};
use crate::db::value::{Row, args};

/// A key of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssemblyKey {
    /// Its id, which is what requests name.
    pub id: AssemblyKeyId,
    /// Its app.
    pub app: AppId,
    /// What its owner calls it.
    pub name: String,
    /// When it was made.
    pub created: Millis,
}

/// Steps under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssemblyTemplate {
    /// What requests name.
    pub name: String,
    /// As it was written.
    pub body: Value,
    /// By what its videos are made.
    pub pipeline: String,
    /// What is read out of them, and where files come from.
    pub made: Value,
    /// When it was written.
    pub created: Millis,
}

impl Db {
    /// Makes a key; [`DbError::Conflict`] when its app has too many.
    pub async fn create_assembly_key(&self, new: &AssemblyKey) -> Result<(), DbError> {
        self.write(new.clone(), |tx, new| {
            Box::pin(async move {
                lock(tx, new.app).await?;
                room(tx, "SELECT count(*) AS many FROM assembly_key WHERE app_id = $1", new.app).await?;
                let sql = "INSERT INTO assembly_key (id, app_id, name, created_ms) VALUES ($1, $2, $3, $4)";
                tx.execute_one(sql, args![new.id, new.app, new.name.as_str(), new.created]).await
            })
        })
        .await
    }

    /// The keys of an app, the oldest first.
    pub async fn assembly_keys(&self, app: AppId) -> Result<Vec<AssemblyKey>, DbError> {
        self.read(app, |tx, app| {
            Box::pin(async move {
                let sql = "SELECT * FROM assembly_key WHERE app_id = $1 ORDER BY id";
                tx.rows(sql, args![*app]).await?.iter().map(key_of).collect()
            })
        })
        .await
    }

    /// A key, unless it was deleted or its app goes.
    pub async fn assembly_key(&self, id: AssemblyKeyId) -> Result<Option<AssemblyKey>, DbError> {
        self.read(id, |tx, id| {
            Box::pin(async move {
                let sql = "SELECT k.* FROM assembly_key k JOIN app a ON a.id = k.app_id
                           WHERE k.id = $1 AND a.deleting_ms IS NULL";
                tx.row(sql, args![*id]).await?.as_ref().map(key_of).transpose()
            })
        })
        .await
    }

    /// Ends a key: nothing new is made by it. [`DbError::Absent`] when the app has none of this id.
    pub async fn delete_assembly_key(&self, app: AppId, id: AssemblyKeyId) -> Result<(), DbError> {
        self.write((app, id), |tx, (app, id)| {
            Box::pin(async move {
                tx.execute_one("DELETE FROM assembly_key WHERE app_id = $1 AND id = $2", args![*app, *id])
                    .await
            })
        })
        .await
    }

    /// Writes a template over one of its name; [`DbError::Conflict`] when its app has too many.
    pub async fn put_assembly_template(&self, app: AppId, new: &AssemblyTemplate) -> Result<(), DbError> {
        self.write((app, new.clone()), |tx, (app, new)| {
            Box::pin(async move {
                lock(tx, *app).await?;
                let sql = "UPDATE assembly_template SET body = $3, pipeline = $4, made = $5, created_ms = $6
                           WHERE app_id = $1 AND name = $2";
                let values = || {
                    let (body, made) = (new.body.clone(), new.made.clone());
                    args![*app, new.name.as_str(), body, new.pipeline.as_str(), made, new.created]
                };
                if tx.execute(sql, values()).await? > 0 {
                    return Ok(());
                }
                room(tx, "SELECT count(*) AS many FROM assembly_template WHERE app_id = $1", *app).await?;
                let sql = "INSERT INTO assembly_template (app_id, name, body, pipeline, made, created_ms)
                           VALUES ($1, $2, $3, $4, $5, $6)";
                tx.execute_one(sql, values()).await
            })
        })
        .await
    }

    /// The templates of an app by their names.
    pub async fn assembly_templates(&self, app: AppId) -> Result<Vec<AssemblyTemplate>, DbError> {
        self.read(app, |tx, app| {
            Box::pin(async move {
                let sql = "SELECT * FROM assembly_template WHERE app_id = $1 ORDER BY name";
                tx.rows(sql, args![*app]).await?.iter().map(template_of).collect()
            })
        })
        .await
    }

    /// One template of an app.
    pub async fn assembly_template(
        &self,
        app: AppId,
        name: &str,
    ) -> Result<Option<AssemblyTemplate>, DbError> {
        self.read((app, name.to_owned()), |tx, (app, name)| {
            Box::pin(async move {
                let sql = "SELECT * FROM assembly_template WHERE app_id = $1 AND name = $2";
                tx.row(sql, args![*app, name.as_str()]).await?.as_ref().map(template_of).transpose()
            })
        })
        .await
    }

    /// Forgets a template; assemblies that were made by it keep what they mean.
    pub async fn delete_assembly_template(&self, app: AppId, name: &str) -> Result<(), DbError> {
        self.write((app, name.to_owned()), |tx, (app, name)| {
            Box::pin(async move {
                let sql = "DELETE FROM assembly_template WHERE app_id = $1 AND name = $2";
                tx.execute_one(sql, args![*app, name.as_str()]).await
            })
        })
        .await
    }
}

/// Two who make one at the same time come one after the other.
async fn lock(tx: &mut Tx, app: AppId) -> Result<(), DbError> {
    let sql = Sql::Each {
        sqlite: "SELECT id FROM app WHERE id = $1 AND deleting_ms IS NULL",
        postgres: "SELECT id FROM app WHERE id = $1 AND deleting_ms IS NULL FOR UPDATE",
    };
    tx.row(sql, args![app]).await?.map(drop).ok_or(DbError::Absent)
}

async fn room(tx: &mut Tx, sql: &'static str, app: AppId) -> Result<(), DbError> {
    let many: u32 = tx.row(sql, args![app]).await?.ok_or(DbError::Absent)?.get("many")?;
    let full = || DbError::Conflict(format!("an app has at most {TEMPLATES_MAX} of them"));
    if many < TEMPLATES_MAX { Ok(()) } else { Err(full()) }
}

fn key_of(row: &Row) -> Result<AssemblyKey, DbError> {
    Ok(AssemblyKey {
        id: row.get("id")?,
        app: row.get("app_id")?,
        name: row.get("name")?,
        created: row.get("created_ms")?,
    })
}

fn template_of(row: &Row) -> Result<AssemblyTemplate, DbError> {
    Ok(AssemblyTemplate {
        name: row.get("name")?,
        body: row.get("body")?,
        pipeline: row.get("pipeline")?,
        made: row.get("made")?,
        created: row.get("created_ms")?,
    })
}
