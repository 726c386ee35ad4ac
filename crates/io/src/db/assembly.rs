//! Assemblies: made with the files that are fetched for them, filled, looked at, ended. Who may make them is in `key`.

mod key;
mod notice;

use matinee_core::assembly::{FILES_MAX, Notice, State};
use matinee_core::id::{AppId, AssemblyKeyId, UploadId, VideoId};
use matinee_core::time::Millis;
use matinee_core::upload::Phase;
use matinee_core::video::Problem;
use serde_json::Value;

pub use self::key::{AssemblyKey, AssemblyTemplate};
pub use self::notice::Noticed;
use super::Db;
use super::error::DbError;
use super::pull::{self, NewPull};
use super::tx::{Sql, Tx};
use super::value::{Row, args};
use super::word;

/// An assembly to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAssembly {
    /// Its id: 32 digits.
    pub id: String,
    /// Its app.
    pub app: AppId,
    /// The key that signed it.
    pub key: AssemblyKeyId,
    /// The address under which its sender reached us.
    pub base: String,
    /// The params as they were signed.
    pub params: String,
    /// What its page knows.
    pub fields: Value,
    /// Together with the key it counts once.
    pub nonce: Option<String>,
    /// The template by its name.
    pub template: Option<String>,
    /// What is read out of its videos.
    pub steps: Value,
    /// By what its videos are made.
    pub pipeline: String,
    /// Files that come, those that are fetched among them.
    pub expected: u32,
    /// Most bytes of a file.
    pub max_bytes: Option<u64>,
    /// Who is told of the end.
    pub notify_url: Option<String>,
    /// Files that are fetched.
    pub pulls: Vec<(NewAssemblyFile, NewPull)>,
    /// When all must have arrived.
    pub expires: Millis,
    /// When it is made.
    pub now: Millis,
}

/// A file of an assembly, as it is announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAssemblyFile {
    /// The upload that brings it.
    pub upload: UploadId,
    /// The video that it becomes.
    pub video: VideoId,
    /// The step that takes it.
    pub step: String,
    /// The field of the form.
    pub field: String,
    /// Its name.
    pub name: String,
    /// What its sender said of it.
    pub meta: Value,
    /// Its length, when it is known.
    pub bytes: Option<u64>,
}

/// Whether an assembly could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssemblyMade {
    /// It was.
    Made,
    /// There is one of this id.
    SameId,
    /// Its nonce was used before.
    NonceUsed,
}

/// An assembly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembly {
    /// Its id, which is the right to look at it.
    pub id: String,
    /// Its app.
    pub app: AppId,
    /// The key that signed it.
    pub key: AssemblyKeyId,
    /// Where it is.
    pub state: State,
    /// Why it failed.
    pub problem: Option<Problem>,
    /// The address under which its sender reached us.
    pub base: String,
    /// The params as they were signed.
    pub params: String,
    /// What its page knows.
    pub fields: Value,
    /// The template by its name.
    pub template: Option<String>,
    /// What is read out of its videos.
    pub steps: Value,
    /// By what its videos are made.
    pub pipeline: String,
    /// Files that come.
    pub expected: u32,
    /// Most bytes of a file.
    pub max_bytes: Option<u64>,
    /// When it was made.
    pub created: Millis,
    /// When all must have arrived.
    pub expires: Millis,
    /// When all had arrived.
    pub executing: Option<Millis>,
    /// When it came to its end.
    pub ended: Option<Millis>,
    /// Who is told of the end.
    pub notify_url: Option<String>,
    /// Where that is.
    pub notice: Notice,
    /// How often it was tried.
    pub notice_tries: u32,
    /// The status of the last answer.
    pub notice_status: Option<u32>,
    /// How long that took.
    pub notice_took_ms: Option<u64>,
}

/// A file of an assembly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssemblyFile {
    /// As it was announced.
    pub new: NewAssemblyFile,
    /// In which order it was announced, from 1.
    pub number: u32,
    /// In which order it has arrived, from 1.
    pub place: Option<u32>,
    /// Where its upload is; one that is forgotten was finished.
    pub phase: Phase,
    /// Bytes that are here.
    pub offset: u64,
    /// The secret part of its address.
    pub url_key: Option<String>,
    /// Why its upload ended, if not well.
    pub reason: Option<Problem>,
}

impl Db {
    /// Makes an assembly with the files that are fetched for it, in one transaction.
    pub async fn create_assembly(&self, new: &NewAssembly) -> Result<AssemblyMade, DbError> {
        self.write(new.clone(), |tx, new| Box::pin(create(tx, new))).await
    }

    /// One assembly; those of apps that go are gone.
    pub async fn assembly(&self, id: &str) -> Result<Option<Assembly>, DbError> {
        self.read(id.to_owned(), |tx, id| {
            Box::pin(async move {
                let sql = "SELECT s.* FROM assembly s JOIN app a ON a.id = s.app_id
                           WHERE s.id = $1 AND a.deleting_ms IS NULL";
                tx.row(sql, args![id.as_str()]).await?.as_ref().map(assembly_of).transpose()
            })
        })
        .await
    }

    /// The files of an assembly in the order of their numbers.
    pub async fn assembly_files(&self, id: &str) -> Result<Vec<AssemblyFile>, DbError> {
        self.read(id.to_owned(), |tx, id| Box::pin(files(tx, id))).await
    }

    /// Adds a file to an assembly that takes files; [`DbError::Conflict`] to one that does not, or has endlessly many.
    pub async fn add_assembly_file(&self, id: &str, new: &NewAssemblyFile) -> Result<(), DbError> {
        self.write((id.to_owned(), new.clone()), |tx, (id, new)| {
            Box::pin(async move {
                let row = locked(tx, id).await?.ok_or(DbError::Absent)?;
                if row.get::<State>("state")? != State::Uploading {
                    return Err(DbError::Conflict("the assembly takes no files any more".to_owned()));
                }
                add(tx, id, new).await
            })
        })
        .await
    }

    /// Gives the files that have arrived their places; `true` when there were some.
    pub async fn place_assembly_files(&self, id: &str) -> Result<bool, DbError> {
        self.write(id.to_owned(), |tx, id| {
            Box::pin(async move {
                locked(tx, id).await?;
                let all = files(tx, id).await?;
                let mut next = all.iter().filter_map(|file| file.place).max().unwrap_or_default();
                let arrived = all.iter().filter(|file| file.place.is_none() && file.phase == Phase::Finished);
                let mut some = false;
                for file in arrived {
                    (next, some) = (next + 1, true);
                    let sql = "UPDATE assembly_file SET place = $3 WHERE assembly_id = $1 AND number = $2";
                    tx.execute_one(sql, args![id.as_str(), file.number, next]).await?;
                }
                if some {
                    tx.wake_events();
                }
                Ok(some)
            })
        })
        .await
    }

    /// Moves an assembly on, unless it has ended; `true` when it was moved. With its end, its notification is due.
    pub async fn move_assembly(
        &self,
        id: &str,
        (to, problem): (State, Option<&Problem>),
        now: Millis,
    ) -> Result<bool, DbError> {
        self.write((id.to_owned(), to, problem.cloned(), now), |tx, (id, to, problem, now)| {
            Box::pin(async move {
                let ended = to.is_over().then_some(*now);
                let executing = (*to == State::Executing).then_some(*now);
                let problem = problem.as_ref().map(word::stored);
                let sql = "UPDATE assembly SET state = $2, problem = $3, ended_ms = $4,
                             executing_ms = COALESCE(executing_ms, $5)
                           WHERE id = $1 AND ended_ms IS NULL AND state <> $2";
                let moved = tx.execute(sql, args![id.as_str(), *to, problem, ended, executing]).await? > 0;
                if moved && ended.is_some() {
                    let sql = "UPDATE assembly SET notice = $2, notice_next_ms = $3
                               WHERE id = $1 AND notify_url IS NOT NULL";
                    tx.execute(sql, args![id.as_str(), Notice::Waiting, *now]).await?;
                }
                if moved {
                    tx.wake_events();
                }
                Ok(moved)
            })
        })
        .await
    }

    /// Assemblies of which something may have moved, the oldest first.
    pub async fn assemblies_due(&self, now: Millis, limit: u32) -> Result<Vec<String>, DbError> {
        self.read((now, limit), |tx, (now, limit)| {
            Box::pin(async move {
                let rows = tx.rows(DUE, args![*now, *limit]).await?;
                rows.iter().map(|row| row.get("id")).collect()
            })
        })
        .await
    }

    /// Forgets assemblies that ended before this moment.
    pub async fn prune_assemblies(&self, before: Millis, limit: u32) -> Result<u64, DbError> {
        self.write((before, limit), |tx, (before, limit)| {
            Box::pin(async move {
                let sql = "DELETE FROM assembly_file WHERE assembly_id IN
                             (SELECT id FROM assembly WHERE ended_ms < $1 ORDER BY ended_ms, id LIMIT $2)";
                tx.execute(sql, args![*before, *limit]).await?;
                let sql = "DELETE FROM assembly WHERE id IN
                             (SELECT id FROM assembly WHERE ended_ms < $1 ORDER BY ended_ms, id LIMIT $2)";
                tx.execute(sql, args![*before, *limit]).await
            })
        })
        .await
    }
}

/// Late, or a file has arrived and has no place, or one has failed, or nothing of it is on its way any more.
const DUE: &str = "SELECT a.id FROM assembly a WHERE a.ended_ms IS NULL AND (
    (a.state = 'uploading' AND a.expires_ms <= $1)
    OR EXISTS (SELECT 1 FROM assembly_file f JOIN upload u ON u.id = f.upload_id
        WHERE f.assembly_id = a.id AND (u.state IN ('lost', 'expired') OR (u.state = 'finished' AND f.place IS NULL)))
    OR EXISTS (SELECT 1 FROM assembly_file f JOIN video v ON v.id = f.video_id
        WHERE f.assembly_id = a.id AND (v.state = 'failed' OR v.deleted_ms IS NOT NULL))
    OR ((SELECT count(*) FROM assembly_file f WHERE f.assembly_id = a.id) >= a.expected
        AND NOT EXISTS (SELECT 1 FROM assembly_file f JOIN upload u ON u.id = f.upload_id
            WHERE f.assembly_id = a.id AND u.state = 'open')
        AND NOT EXISTS (SELECT 1 FROM assembly_file f JOIN video v ON v.id = f.video_id
            WHERE f.assembly_id = a.id AND v.state = 'processing')))
    ORDER BY a.created_ms, a.id LIMIT $2";

async fn create(tx: &mut Tx, new: &NewAssembly) -> Result<AssemblyMade, DbError> {
    // Two of one app come one after the other, so that an id and a nonce are asked for truly.
    let sql = Sql::Each {
        sqlite: "SELECT id FROM app WHERE id = $1 AND deleting_ms IS NULL",
        postgres: "SELECT id FROM app WHERE id = $1 AND deleting_ms IS NULL FOR NO KEY UPDATE",
    };
    tx.row(sql, args![new.app]).await?.ok_or(DbError::Absent)?;
    if locked(tx, &new.id).await?.is_some() {
        return Ok(AssemblyMade::SameId);
    }
    let sql = "SELECT id FROM assembly WHERE key_id = $1 AND nonce = $2";
    if tx.row(sql, args![new.key, new.nonce.clone()]).await?.is_some() {
        return Ok(AssemblyMade::NonceUsed);
    }
    let sql = "INSERT INTO assembly (id, app_id, key_id, state, base, params, fields, nonce, template, steps, pipeline,
                 expected, max_bytes, created_ms, expires_ms, notify_url, notice, notice_tries, held_ms)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 0, 0)";
    let values = args![
        new.id.as_str(),
        new.app,
        new.key,
        State::Uploading,
        new.base.as_str(),
        new.params.as_str(),
        new.fields.clone(),
        new.nonce.clone(),
        new.template.clone(),
        new.steps.clone(),
        new.pipeline.as_str(),
        new.expected,
        new.max_bytes,
        new.now,
        new.expires,
        new.notify_url.clone(),
        Notice::Off
    ];
    tx.execute_one(sql, values).await?;
    for (file, pull) in &new.pulls {
        pull::create(tx, pull).await?;
        add(tx, &new.id, file).await?;
    }
    Ok(AssemblyMade::Made)
}

async fn locked(tx: &mut Tx, id: &str) -> Result<Option<Row>, DbError> {
    let sql = Sql::Each {
        sqlite: "SELECT id, state FROM assembly WHERE id = $1",
        postgres: "SELECT id, state FROM assembly WHERE id = $1 FOR NO KEY UPDATE",
    };
    tx.row(sql, args![id]).await
}

async fn add(tx: &mut Tx, id: &str, new: &NewAssemblyFile) -> Result<(), DbError> {
    let sql = "SELECT count(*) AS many FROM assembly_file WHERE assembly_id = $1";
    let many: u32 = tx.row(sql, args![id]).await?.ok_or(DbError::Absent)?.get("many")?;
    if many >= FILES_MAX {
        return Err(DbError::Conflict(format!("an assembly has at most {FILES_MAX} files")));
    }
    let sql =
        "INSERT INTO assembly_file (assembly_id, number, upload_id, video_id, step, field, name, meta, bytes)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let values = args![
        id,
        many + 1,
        new.upload,
        new.video,
        new.step.as_str(),
        new.field.as_str(),
        new.name.as_str(),
        new.meta.clone(),
        new.bytes
    ];
    tx.execute_one(sql, values).await
}

async fn files(tx: &mut Tx, id: &str) -> Result<Vec<AssemblyFile>, DbError> {
    let sql = "SELECT f.*, COALESCE(u.state, 'finished') AS phase, COALESCE(u.offset_bytes, f.bytes, 0) AS offset_bytes,
                 u.url_key, u.reason FROM assembly_file f LEFT JOIN upload u ON u.id = f.upload_id
               WHERE f.assembly_id = $1 ORDER BY f.number";
    tx.rows(sql, args![id]).await?.iter().map(file_of).collect()
}

fn file_of(row: &Row) -> Result<AssemblyFile, DbError> {
    Ok(AssemblyFile {
        new: NewAssemblyFile {
            upload: row.get("upload_id")?,
            video: row.get("video_id")?,
            step: row.get("step")?,
            field: row.get("field")?,
            name: row.get("name")?,
            meta: row.get("meta")?,
            bytes: row.get("bytes")?,
        },
        number: row.get("number")?,
        place: row.get("place")?,
        phase: row.get("phase")?,
        offset: row.get("offset_bytes")?,
        url_key: row.get("url_key")?,
        reason: word::problem(row, "reason")?,
    })
}

fn assembly_of(row: &Row) -> Result<Assembly, DbError> {
    Ok(Assembly {
        id: row.get("id")?,
        app: row.get("app_id")?,
        key: row.get("key_id")?,
        state: row.get("state")?,
        problem: word::problem(row, "problem")?,
        base: row.get("base")?,
        params: row.get("params")?,
        fields: row.get("fields")?,
        template: row.get("template")?,
        steps: row.get("steps")?,
        pipeline: row.get("pipeline")?,
        expected: row.get("expected")?,
        max_bytes: row.get("max_bytes")?,
        created: row.get("created_ms")?,
        expires: row.get("expires_ms")?,
        executing: row.get("executing_ms")?,
        ended: row.get("ended_ms")?,
        notify_url: row.get("notify_url")?,
        notice: row.get("notice")?,
        notice_tries: row.get("notice_tries")?,
        notice_status: row.get("notice_status")?,
        notice_took_ms: row.get("notice_took_ms")?,
    })
}
