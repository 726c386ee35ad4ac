//! The pipelines of an app: versions that never change, and which of them its name means.

use matinee_core::id::AppId;
use matinee_core::limits::{PIPELINE_VERSIONS_MAX, PIPELINES_MAX};
use matinee_core::pipeline::{MadeBy, Pipeline, Template};
use matinee_core::time::Millis;

use super::Db;
use super::error::DbError;
use super::tx::{Sql, Tx};
use super::value::{Row, args};
use super::word;

/// One version of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its number, from 1.
    pub version: u32,
    /// What is made.
    pub pipeline: Pipeline,
    /// When it was written.
    pub created: Millis,
    /// Since when no new video is made by it; only the newest version says so.
    pub archived: Option<Millis>,
}

impl Db {
    /// Writes the next version of a pipeline of an app, unless the newest one says the same; one that was archived is
    /// back. Returns the version that counts now, and whether it is a new one.
    ///
    /// [`DbError::Conflict`] when the app has too many, [`DbError::Absent`] when there is no such app.
    pub async fn put_pipeline(
        &self,
        app: AppId,
        pipeline: &Pipeline,
        now: Millis,
    ) -> Result<(Version, bool), DbError> {
        self.write((app, pipeline.clone(), now), |tx, (app, pipeline, now)| {
            Box::pin(put(tx, *app, pipeline, *now))
        })
        .await
    }

    /// The newest version of each pipeline of an app that is not archived, by name.
    pub async fn pipelines(&self, app: AppId) -> Result<Vec<Version>, DbError> {
        self.read(app, |tx, app| {
            Box::pin(async move {
                let sql = "SELECT * FROM pipeline p WHERE app_id = $1 AND archived_ms IS NULL AND version =
                             (SELECT max(version) FROM pipeline n WHERE n.app_id = p.app_id AND n.name = p.name)
                           ORDER BY name";
                tx.rows(sql, args![*app]).await?.iter().map(version_of).collect()
            })
        })
        .await
    }

    /// The newest version of a pipeline of an app, also an archived one.
    pub async fn newest_pipeline(&self, app: AppId, name: &str) -> Result<Option<Version>, DbError> {
        self.read((app, name.to_owned()), |tx, (app, name)| Box::pin(newest(tx, *app, name))).await
    }

    /// The copy of a pipeline by which a video of an app is made.
    pub async fn template(&self, app: AppId, made_by: &MadeBy) -> Result<Option<Template>, DbError> {
        self.read((app, made_by.clone()), |tx, (app, made_by)| {
            Box::pin(async move {
                let sql = "SELECT pipeline FROM template WHERE app_id = $1 AND id = $2";
                let Some(row) = tx.row(sql, args![*app, made_by.template.as_str()]).await? else {
                    return Ok(None);
                };
                let pipeline: Option<Pipeline> = word::json(&row, "pipeline")?;
                Ok(pipeline.map(|pipeline| Template { version: made_by.version, pipeline }))
            })
        })
        .await
    }

    /// All versions of a pipeline of an app, the newest first; none when there is no such pipeline.
    pub async fn pipeline_versions(&self, app: AppId, name: &str) -> Result<Vec<Version>, DbError> {
        self.read((app, name.to_owned()), |tx, (app, name)| {
            Box::pin(async move {
                let sql = "SELECT * FROM pipeline WHERE app_id = $1 AND name = $2 ORDER BY version DESC";
                tx.rows(sql, args![*app, name.as_str()]).await?.iter().map(version_of).collect()
            })
        })
        .await
    }

    /// No new video is made by a pipeline. [`DbError::Absent`] when there is none, or it is archived already.
    pub async fn archive_pipeline(&self, app: AppId, name: &str, now: Millis) -> Result<(), DbError> {
        self.write((app, name.to_owned(), now), |tx, (app, name, now)| {
            Box::pin(async move {
                lock(tx, *app).await?;
                let sql = "UPDATE pipeline SET archived_ms = $3
                           WHERE app_id = $1 AND name = $2 AND archived_ms IS NULL AND version =
                             (SELECT max(version) FROM pipeline WHERE app_id = $1 AND name = $2)";
                tx.execute_one(sql, args![*app, name.as_str(), *now]).await
            })
        })
        .await
    }
}

async fn put(tx: &mut Tx, app: AppId, pipeline: &Pipeline, now: Millis) -> Result<(Version, bool), DbError> {
    lock(tx, app).await?;
    let name = pipeline.name.as_str();
    let newest = newest(tx, app, name).await?;
    if let Some(same) = newest.as_ref().filter(|newest| newest.pipeline == *pipeline) {
        let sql = "UPDATE pipeline SET archived_ms = NULL WHERE app_id = $1 AND name = $2 AND version = $3";
        tx.execute_one(sql, args![app, name, same.version]).await?;
        return Ok((Version { archived: None, ..same.clone() }, false));
    }
    let version = newest.map_or(0, |newest| newest.version).saturating_add(1);
    if version > PIPELINE_VERSIONS_MAX {
        return Err(DbError::Conflict(format!("a pipeline has at most {PIPELINE_VERSIONS_MAX} versions")));
    }
    let sql = "SELECT count(DISTINCT name) AS names FROM pipeline WHERE app_id = $1";
    let names: u32 = tx.row(sql, args![app]).await?.ok_or(DbError::Absent)?.get("names")?;
    if version == 1 && names >= PIPELINES_MAX {
        return Err(DbError::Conflict(format!("an app has at most {PIPELINES_MAX} pipelines")));
    }
    let sql =
        "INSERT INTO pipeline (app_id, name, version, template, created_ms) VALUES ($1, $2, $3, $4, $5)";
    tx.execute_one(sql, args![app, name, version, word::as_json(pipeline), now]).await?;
    Ok((Version { version, pipeline: pipeline.clone(), created: now, archived: None }, true))
}

/// Keeps a copy of what a video is made by; equal ones are one.
pub(crate) async fn keep_template(
    tx: &mut Tx,
    app: AppId,
    template: &Template,
    now: Millis,
) -> Result<MadeBy, DbError> {
    let made_by = template.made_by();
    let sql = "INSERT INTO template (app_id, id, pipeline, created_ms) VALUES ($1, $2, $3, $4)
               ON CONFLICT (app_id, id) DO NOTHING";
    tx.execute(sql, args![app, made_by.template.as_str(), word::as_json(&template.pipeline), now]).await?;
    Ok(made_by)
}

/// Two who write the same pipeline come one after the other.
async fn lock(tx: &mut Tx, app: AppId) -> Result<(), DbError> {
    let sql = Sql::Each {
        sqlite: "SELECT id FROM app WHERE id = $1 AND deleting_ms IS NULL",
        postgres: "SELECT id FROM app WHERE id = $1 AND deleting_ms IS NULL FOR UPDATE",
    };
    tx.row(sql, args![app]).await?.map(drop).ok_or(DbError::Absent)
}

async fn newest(tx: &mut Tx, app: AppId, name: &str) -> Result<Option<Version>, DbError> {
    let sql = "SELECT * FROM pipeline WHERE app_id = $1 AND name = $2 ORDER BY version DESC LIMIT 1";
    tx.row(sql, args![app, name]).await?.as_ref().map(version_of).transpose()
}

fn version_of(row: &Row) -> Result<Version, DbError> {
    let pipeline = word::json(row, "template")?;
    Ok(Version {
        version: row.get("version")?,
        pipeline: pipeline.ok_or_else(|| DbError::Never("a pipeline is empty".to_owned()))?,
        created: row.get("created_ms")?,
        archived: row.get("archived_ms")?,
    })
}
