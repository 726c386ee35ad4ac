//! How an app or a collection goes: closed at once, emptied in batches by a job, and forgotten when nothing is left.
//!
//! Closing is one small transaction whatever is inside: from its commit on nothing of it is shown, played or taken.
//! What lies outside goes through the ledger like every other thing that is deleted.

use matinee_core::event::Topic;
use matinee_core::id::{AppId, CollectionId, JobId, VideoId};
use matinee_core::job::load::Load;
use matinee_core::job::{Lease, NewJob, Task};
use matinee_core::limits::{ERASE_BATCH, ERASE_EVENTS};
use matinee_core::time::Millis;
use matinee_core::video::Problem;
use serde_json::json;

use super::Db;
use super::ending::{End, end};
use super::error::DbError;
use super::told::tell;
use super::tx::{Sql, Tx};
use super::upload::row::{Upload, upload_of};
use super::value::args;
use super::{job, video};

/// What is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erase {
    /// The app, or the app of the collection.
    pub app: AppId,
    /// The collection; none for the whole app.
    pub collection: Option<CollectionId>,
    /// The app of the one who wants it: there the job is seen, and there the end is told.
    pub by: AppId,
    /// The name of the job that empties it.
    pub job: JobId,
}

/// How far the emptying is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// What this batch has deleted.
    pub done: u64,
    /// Videos, open uploads and parts that are still there.
    pub left: u64,
}

impl Db {
    /// Closes an app or a collection and inserts the job that empties it; asked again, it names the same job.
    /// Tokens and sessions of an app end now. [`DbError::Absent`] when there is none.
    pub async fn close(&self, erase: Erase, now: Millis) -> Result<JobId, DbError> {
        self.write((erase, now), |tx, (erase, now)| Box::pin(close(tx, *erase, *now))).await
    }

    /// Deletes at most [`ERASE_BATCH`] videos and ends as many open uploads and parts of what was closed; completes the job
    /// in the transaction in which nothing is left to be done.
    ///
    /// [`DbError::LeaseLost`] when the lease does not hold any more.
    pub async fn erase_batch(
        &self,
        lease: &Lease,
        (app, collection): (AppId, Option<CollectionId>),
        now: Millis,
    ) -> Result<Erased, DbError> {
        self.write((*lease, app, collection, now), |tx, (lease, app, collection, now)| {
            Box::pin(batch(tx, *lease, (*app, *collection), *now))
        })
        .await
    }

    /// Forgets what is closed and of which nothing is left, outside and inside; the ledger stays as the proof.
    pub async fn forget_closed(&self, now: Millis) -> Result<(), DbError> {
        for collection in self.closed("SELECT id FROM collection WHERE deleting_ms IS NOT NULL").await? {
            self.write((collection, now), |tx, (id, now)| Box::pin(forget_collection(tx, *id, *now))).await?;
        }
        for app in self.closed("SELECT id FROM app WHERE deleting_ms IS NOT NULL").await? {
            while self.write((app, now), |tx, (id, now)| Box::pin(forget_app(tx, *id, *now))).await? {}
        }
        Ok(())
    }

    async fn closed<N: 'static>(&self, sql: &'static str) -> Result<Vec<matinee_core::id::Id<N>>, DbError> {
        self.read(sql, |tx, sql| {
            Box::pin(async move { tx.rows(*sql, args![]).await?.iter().map(|row| row.get("id")).collect() })
        })
        .await
    }
}

pub(crate) async fn close(tx: &mut Tx, erase: Erase, now: Millis) -> Result<JobId, DbError> {
    let (subject, changed) = if let Some(collection) = erase.collection {
        let sql =
            "UPDATE collection SET deleting_ms = COALESCE(deleting_ms, $3) WHERE id = $1 AND app_id = $2";
        (collection.to_string(), tx.execute(sql, args![collection, erase.app, now]).await?)
    } else {
        let sql =
            "UPDATE app SET deleting_ms = COALESCE(deleting_ms, $2), deleted_by = COALESCE(deleted_by, $3)
                   WHERE id = $1";
        (erase.app.to_string(), tx.execute(sql, args![erase.app, now, erase.by]).await?)
    };
    if changed == 0 {
        return Err(DbError::Absent);
    }
    if erase.collection.is_none() {
        let sql = "UPDATE collection SET deleting_ms = COALESCE(deleting_ms, $2) WHERE app_id = $1";
        tx.execute(sql, args![erase.app, now]).await?;
        tx.execute("DELETE FROM token WHERE app_id = $1", args![erase.app]).await?;
        tx.execute("UPDATE webhook SET state = 'paused' WHERE app_id = $1", args![erase.app]).await?;
    }
    let key = format!("erase/{subject}");
    if let Some(row) = tx.row("SELECT id FROM job WHERE idem_key = $1", args![key.as_str()]).await? {
        return row.get("id");
    }
    let task = Task::Erase { app: erase.app, collection: erase.collection };
    let new = NewJob {
        id: erase.job,
        app: erase.by,
        video: None,
        task,
        prio: 0,
        weight: 0,
        run_at: now,
        needs: Vec::new(),
        load: Load::default(),
        idem_key: Some(key),
    };
    job::insert(tx, &new, now).await?;
    Ok(erase.job)
}

/// The condition that chooses the rows of an app (`$2` NULL) or of one of its collections.
macro_rules! inside {
    ($before:literal, $after:literal) => {
        concat!($before, " app_id = $1 AND ($2 IS NULL OR collection_id = $2) ", $after)
    };
}

/// The uploads that emptying ends: those that take bytes, and parts that are complete, unless a video that stays is
/// being joined from them.
macro_rules! to_end {
    () => {
        "AND (state = 'open' OR (state = 'finished' AND concat = 'partial' AND NOT EXISTS (
           SELECT 1 FROM upload_part p JOIN upload f ON f.id = p.final_id JOIN video v ON v.id = f.video_id
           WHERE p.part_id = upload.id AND f.state = 'finished' AND v.state = 'processing'
             AND v.deleted_ms IS NULL)))"
    };
}

async fn batch(
    tx: &mut Tx,
    lease: Lease,
    (app, collection): (AppId, Option<CollectionId>),
    now: Millis,
) -> Result<Erased, DbError> {
    let videos = Sql::Each {
        sqlite: inside!("SELECT id FROM video WHERE", "AND deleted_ms IS NULL ORDER BY id LIMIT $3"),
        postgres: inside!(
            "SELECT id FROM video WHERE",
            "AND deleted_ms IS NULL ORDER BY id LIMIT $3 FOR UPDATE"
        ),
    };
    // All locks of videos first: others hold one of them when they wait for the outbox.
    let videos = tx.rows(videos, args![app, collection, ERASE_BATCH]).await?;
    job::guard(tx, &lease, now).await?;
    let uploads = Sql::Each {
        sqlite: concat!(inside!("SELECT * FROM upload WHERE", ""), to_end!(), " ORDER BY id LIMIT $3"),
        postgres: concat!(
            inside!("SELECT * FROM upload WHERE", ""),
            to_end!(),
            " ORDER BY id LIMIT $3 FOR UPDATE"
        ),
    };
    let uploads = tx.rows(uploads, args![app, collection, ERASE_BATCH]).await?;
    let uploads: Vec<Upload> = uploads.iter().map(upload_of).collect::<Result<_, _>>()?;
    let mut done = 0;
    // A part takes the final uploads that wait for it along, so those come first.
    let (parts, others): (Vec<_>, Vec<_>) = uploads.iter().partition(|upload| upload.is_partial());
    for upload in others.into_iter().chain(parts) {
        end(tx, upload, End::Cancelled(&closed_reason()), now).await?;
        done += 1;
    }
    for row in &videos {
        video::delete(tx, (app, row.get::<VideoId>("id")?), now).await?;
        done += 1;
    }
    let sql = concat!(
        "SELECT (SELECT COUNT(*) FROM video WHERE app_id = $1 AND ($2 IS NULL OR collection_id = $2) AND deleted_ms IS NULL)",
        " + (SELECT COUNT(*) FROM upload WHERE app_id = $1 AND ($2 IS NULL OR collection_id = $2) ",
        to_end!(),
        ") AS rest"
    );
    let left: u64 = tx.row(sql, args![app, collection]).await?.ok_or(DbError::Absent)?.get("rest")?;
    if left == 0 {
        job::settle(tx, &lease, now, None).await?;
    }
    Ok(Erased { done, left })
}

fn closed_reason() -> Problem {
    Problem {
        code: "deleted".to_owned(),
        human: "The collection or the app of this upload was deleted.".to_owned(),
        fix: "Upload into another collection.".to_owned(),
    }
}

/// The last rows of a collection go when no video, no open upload and nothing outside is left of it.
async fn forget_collection(tx: &mut Tx, id: CollectionId, now: Millis) -> Result<(), DbError> {
    let sql = "SELECT c.app_id, c.name FROM collection c WHERE c.id = $1 AND c.deleting_ms IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM video WHERE collection_id = $1)
               AND NOT EXISTS (SELECT 1 FROM upload u WHERE u.collection_id = $1 AND (u.state = 'open'
                 OR EXISTS (SELECT 1 FROM ledger l WHERE l.object_id = u.object_id AND l.state <> 'gone')
                 OR EXISTS (SELECT 1 FROM ledger l WHERE l.video_id = u.video_id AND l.publication_id IS NOT NULL
                            AND l.state <> 'gone')))";
    let Some(row) = tx.row(sql, args![id]).await? else { return Ok(()) };
    let (app, name): (AppId, String) = (row.get("app_id")?, row.get("name")?);
    tx.execute("DELETE FROM upload WHERE collection_id = $1", args![id]).await?;
    tx.execute("DELETE FROM collection WHERE id = $1", args![id]).await?;
    tell(tx, app, Topic::CollectionDeleted, (id.to_string(), json!({ "name": name })), now).await
}

/// The last rows of an app without collections go, its events in batches; `true` when there is more to do.
async fn forget_app(tx: &mut Tx, id: AppId, now: Millis) -> Result<bool, DbError> {
    let sql = "SELECT name, deleted_by FROM app WHERE id = $1 AND deleting_ms IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM collection WHERE app_id = $1)
               AND NOT EXISTS (SELECT 1 FROM job WHERE app_id = $1 AND state < 3)";
    let Some(row) = tx.row(sql, args![id]).await? else { return Ok(false) };
    let (name, by): (String, Option<AppId>) = (row.get("name")?, row.get("deleted_by")?);
    let sql =
        "DELETE FROM event WHERE seq IN (SELECT seq FROM event WHERE app_id = $1 ORDER BY seq LIMIT $2)";
    if tx.execute(sql, args![id, ERASE_EVENTS]).await? > 0 {
        return Ok(true);
    }
    for sql in [
        "DELETE FROM job WHERE app_id = $1",
        "DELETE FROM delivery WHERE webhook_id IN (SELECT id FROM webhook WHERE app_id = $1)",
        "DELETE FROM webhook WHERE app_id = $1",
        "DELETE FROM token WHERE app_id = $1",
        "DELETE FROM assembly_file WHERE assembly_id IN (SELECT id FROM assembly WHERE app_id = $1)",
        "DELETE FROM assembly WHERE app_id = $1",
        "DELETE FROM assembly_template WHERE app_id = $1",
        "DELETE FROM assembly_key WHERE app_id = $1",
        "DELETE FROM egress WHERE app_id = $1",
        "DELETE FROM pipeline WHERE app_id = $1",
        "DELETE FROM template WHERE app_id = $1",
        "DELETE FROM app WHERE id = $1",
    ] {
        tx.execute(sql, args![id]).await?;
    }
    if let Some(by) = by {
        tell(tx, by, Topic::AppDeleted, (id.to_string(), json!({ "name": name })), now).await?;
    }
    Ok(false)
}
