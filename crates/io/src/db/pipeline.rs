//! The pipelines of an app: versions that never change, and which of them its name means.

use matinee_core::id::AppId;
use matinee_core::limits::{PIPELINE_VERSIONS_MAX, PIPELINES_BYTES_MAX, PIPELINES_MAX};
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
    /// [`DbError::Taken`] when it must be new and new videos are made by one of this name, [`DbError::Conflict`] when the app
    /// has too many, [`DbError::Absent`] when there is no such app.
    pub async fn put_pipeline(
        &self,
        app: AppId,
        pipeline: &Pipeline,
        must_be_new: bool,
        now: Millis,
    ) -> Result<(Version, bool), DbError> {
        self.write((app, pipeline.clone(), must_be_new, now), |tx, (app, pipeline, must_be_new, now)| {
            Box::pin(put(tx, *app, (pipeline, *must_be_new), *now))
        })
        .await
    }

    /// The names of the pipelines of an app that are not archived.
    pub async fn pipeline_names(&self, app: AppId) -> Result<Vec<String>, DbError> {
        self.read(app, |tx, app| {
            Box::pin(async move {
                let sql = "SELECT name FROM pipeline p WHERE app_id = $1 AND archived_ms IS NULL AND version =
                             (SELECT max(version) FROM pipeline n WHERE n.app_id = p.app_id AND n.name = p.name)
                           ORDER BY name";
                tx.rows(sql, args![*app]).await?.iter().map(|row| row.get("name")).collect()
            })
        })
        .await
    }

    /// The newest version of each pipeline of an app that is not archived, by name, without the pictures of watermarks.
    pub async fn pipelines(&self, app: AppId) -> Result<Vec<Version>, DbError> {
        self.read(app, |tx, app| {
            Box::pin(async move {
                let sql = Sql::Each {
                    sqlite: "SELECT name, version, created_ms, archived_ms,
                               json_replace(template, '$.watermark.picture', '') AS template
                             FROM pipeline p WHERE app_id = $1 AND archived_ms IS NULL AND version =
                               (SELECT max(version) FROM pipeline n WHERE n.app_id = p.app_id AND n.name = p.name)
                             ORDER BY name",
                    postgres: "SELECT name, version, created_ms, archived_ms,
                                 jsonb_set(template, '{watermark,picture}', '\"\"', false) AS template
                               FROM pipeline p WHERE app_id = $1 AND archived_ms IS NULL AND version =
                                 (SELECT max(version) FROM pipeline n WHERE n.app_id = p.app_id AND n.name = p.name)
                               ORDER BY name",
                };
                tx.rows(sql, args![*app]).await?.iter().map(version_of).collect()
            })
        })
        .await
    }

    /// The newest version of a pipeline of an app, also an archived one.
    pub async fn newest_pipeline(&self, app: AppId, name: &str) -> Result<Option<Version>, DbError> {
        self.read((app, name.to_owned()), |tx, (app, name)| Box::pin(newest(tx, *app, name))).await
    }

    /// One version of a pipeline of an app.
    pub async fn pipeline_version(
        &self,
        app: AppId,
        name: &str,
        version: u32,
    ) -> Result<Option<Version>, DbError> {
        self.read((app, name.to_owned(), version), |tx, (app, name, version)| {
            Box::pin(async move {
                let sql = "SELECT * FROM pipeline WHERE app_id = $1 AND name = $2 AND version = $3";
                tx.row(sql, args![*app, name.as_str(), *version]).await?.as_ref().map(version_of).transpose()
            })
        })
        .await
    }

    /// The copy of a pipeline by which a video of an app is made.
    pub async fn template(&self, app: AppId, made_by: &MadeBy) -> Result<Option<Template>, DbError> {
        self.read((app, made_by.clone()), |tx, (app, made_by)| Box::pin(kept_template(tx, *app, made_by)))
            .await
    }

    /// All versions of a pipeline of an app, the newest first, without the pictures of watermarks; none when there is no such
    /// pipeline.
    pub async fn pipeline_versions(&self, app: AppId, name: &str) -> Result<Vec<Version>, DbError> {
        self.read((app, name.to_owned()), |tx, (app, name)| {
            Box::pin(async move {
                let sql = Sql::Each {
                    sqlite: "SELECT name, version, created_ms, archived_ms,
                               json_replace(template, '$.watermark.picture', '') AS template
                             FROM pipeline WHERE app_id = $1 AND name = $2 ORDER BY version DESC",
                    postgres: "SELECT name, version, created_ms, archived_ms,
                                 jsonb_set(template, '{watermark,picture}', '\"\"', false) AS template
                               FROM pipeline WHERE app_id = $1 AND name = $2 ORDER BY version DESC",
                };
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

async fn put(
    tx: &mut Tx,
    app: AppId,
    (pipeline, must_be_new): (&Pipeline, bool),
    now: Millis,
) -> Result<(Version, bool), DbError> {
    lock(tx, app).await?;
    let name = pipeline.name.as_str();
    let newest = newest(tx, app, name).await?;
    if must_be_new && newest.as_ref().is_some_and(|newest| newest.archived.is_none()) {
        return Err(DbError::Taken(format!("the pipeline `{name}`")));
    }
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
    let template = word::as_json(pipeline);
    let bytes = bytes(tx, app).await?.saturating_add(template.to_string().len() as u64);
    if bytes > PIPELINES_BYTES_MAX {
        let most = PIPELINES_BYTES_MAX >> 20;
        return Err(DbError::Conflict(format!(
            "all pipelines of an app have at most {most} MiB with their pictures"
        )));
    }
    let sql =
        "INSERT INTO pipeline (app_id, name, version, template, created_ms) VALUES ($1, $2, $3, $4, $5)";
    tx.execute_one(sql, args![app, name, version, template, now]).await?;
    Ok((Version { version, pipeline: pipeline.clone(), created: now, archived: None }, true))
}

/// The bytes of all versions of all pipelines of an app.
async fn bytes(tx: &mut Tx, app: AppId) -> Result<u64, DbError> {
    let sql = Sql::Each {
        sqlite: "SELECT COALESCE(SUM(length(template)), 0) AS bytes FROM pipeline WHERE app_id = $1",
        postgres: "SELECT CAST(COALESCE(SUM(length(template::text)), 0) AS bigint) AS bytes FROM pipeline WHERE app_id = $1",
    };
    tx.row(sql, args![app]).await?.ok_or(DbError::Absent)?.get("bytes")
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

/// The copy of what a video is made by.
pub(crate) async fn kept_template(
    tx: &mut Tx,
    app: AppId,
    made_by: &MadeBy,
) -> Result<Option<Template>, DbError> {
    let sql = "SELECT pipeline FROM template WHERE app_id = $1 AND id = $2";
    let Some(row) = tx.row(sql, args![app, made_by.template.as_str()]).await? else { return Ok(None) };
    let pipeline: Option<Pipeline> = word::json(&row, "pipeline")?;
    Ok(pipeline.map(|pipeline| Template { version: made_by.version, pipeline }))
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
