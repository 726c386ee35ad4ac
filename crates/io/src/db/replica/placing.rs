//! Placing: which objects lack copies, and the rows of new ones, written before their bytes.

use matinee_core::id::{AppId, CollectionId, EntryId, JobId, ObjectId, VideoId};
use matinee_core::job::load::Load;
use matinee_core::job::{NewJob, Task};
use matinee_core::ledger::{self, Kind};
use matinee_core::replica::limits::{COPY_PRIO, DEAD_COPY_MS, MISCOPIED_MS};
use matinee_core::replica::{LOCAL, State};
use matinee_core::time::Millis;

use super::unwanted;
use crate::db::Db;
use crate::db::distribution::wanted_in_archive;
use crate::db::error::DbError;
use crate::db::lease::lock_video;
use crate::db::tx::{Sql, Tx};
use crate::db::value::{Row, args};
use crate::db::{job, word};

/// An object whose copies are to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unplaced {
    /// The object.
    pub object: ObjectId,
    /// The app that pays.
    pub app: AppId,
    /// Its video.
    pub video: VideoId,
    /// The collection of that.
    pub collection: CollectionId,
    /// What it is for.
    pub kind: Kind,
    /// Its length in bytes.
    pub size: u64,
    /// Its copies: the id, the store, and where each is in its life.
    pub held: Vec<(EntryId, String, State)>,
}

/// A copy that is to be made, and the job that makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReplica {
    /// Its name, and that of its ledger row.
    pub id: EntryId,
    /// The store.
    pub store: String,
    /// The key there; empty in the local store.
    pub key: String,
    /// The template by which the key was made.
    pub template: Option<String>,
    /// Is the store an archive?
    pub archive: bool,
    /// The name of the job.
    pub job: JobId,
    /// The copy that goes when this one is proven.
    pub replaces: Option<EntryId>,
}

/// What is to become of the copies of an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placing {
    /// Copies that are to be made.
    pub new: Vec<NewReplica>,
    /// Local files that are to be made good again from another copy, each with the name of the job.
    pub mend: Vec<(EntryId, JobId)>,
    /// Copies that nobody needs.
    pub surplus: Vec<EntryId>,
}

/// What lies in a store, in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// The store.
    pub store: String,
    /// The state.
    pub state: State,
    /// How many copies.
    pub copies: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest of them was intended.
    pub oldest: Option<Millis>,
    /// When the one that was proven longest ago was.
    pub verified: Option<Millis>,
}

impl Db {
    /// At most `limit` objects whose copies nobody has looked at since something of them changed.
    pub async fn unplaced(&self, limit: u32) -> Result<Vec<Unplaced>, DbError> {
        let kinds = word::list(&Kind::LASTING);
        self.read((kinds, limit), |tx, (kinds, limit)| {
            Box::pin(async move {
                let sql = Sql::Each {
                    sqlite: "SELECT o.id, o.app_id, o.video_id, v.collection_id, o.kind, o.size_bytes
                             FROM object o JOIN video v ON v.id = o.video_id
                             WHERE o.placed IS NULL AND o.size_bytes IS NOT NULL AND v.deleted_ms IS NULL
                               AND o.kind IN (SELECT value FROM json_each($1))
                               AND EXISTS (SELECT 1 FROM replica r WHERE r.object_id = o.id AND r.state = 'present')
                             ORDER BY o.id LIMIT $2",
                    postgres: "SELECT o.id, o.app_id, o.video_id, v.collection_id, o.kind, o.size_bytes
                             FROM object o JOIN video v ON v.id = o.video_id
                             WHERE o.placed IS NULL AND o.size_bytes IS NOT NULL AND v.deleted_ms IS NULL
                               AND o.kind IN (SELECT jsonb_array_elements_text($1))
                               AND EXISTS (SELECT 1 FROM replica r WHERE r.object_id = o.id AND r.state = 'present')
                             ORDER BY o.id LIMIT $2",
                };
                let rows = tx.rows(sql, args![kinds.clone(), *limit]).await?;
                let mut found = Vec::with_capacity(rows.len());
                for row in rows {
                    found.push(unplaced_of(tx, &row).await?);
                }
                Ok(found)
            })
        })
        .await
    }

    /// The copies of at most `limit` objects that were looked at by other rules are to be looked at again.
    pub async fn unplace_others(&self, mark: &str, limit: u32) -> Result<u64, DbError> {
        self.write((mark.to_owned(), limit), |tx, (mark, limit)| {
            Box::pin(async move {
                // Two ranges of the index, where `<>` would read all of it.
                let sql = "UPDATE object SET placed = NULL WHERE id IN (
                             SELECT id FROM object WHERE placed < $1 OR placed > $1 LIMIT $2)";
                tx.execute(sql, args![mark.as_str(), *limit]).await
            })
        })
        .await
    }

    /// At most `limit` objects after this one of which a copy that counts lies in a store.
    pub async fn objects_in(
        &self,
        store: &str,
        after: Option<ObjectId>,
        limit: u32,
    ) -> Result<Vec<Unplaced>, DbError> {
        let after = after.unwrap_or(ObjectId::from_bits(0));
        self.read((store.to_owned(), after, limit), |tx, (store, after, limit)| {
            Box::pin(async move {
                let sql = "SELECT o.id, o.app_id, o.video_id, v.collection_id, o.kind, o.size_bytes
                           FROM replica r JOIN object o ON o.id = r.object_id JOIN video v ON v.id = o.video_id
                           WHERE r.store = $1 AND r.state = 'present' AND r.object_id > $2 AND v.deleted_ms IS NULL
                           ORDER BY r.object_id LIMIT $3";
                let rows = tx.rows(sql, args![store.as_str(), *after, *limit]).await?;
                let mut found = Vec::with_capacity(rows.len());
                for row in rows {
                    found.push(unplaced_of(tx, &row).await?);
                }
                Ok(found)
            })
        })
        .await
    }

    /// Writes what is to become of the copies of an object, with ledger rows and jobs, in one transaction. `false` when
    /// somebody was faster, or nobody wants the object any more; then nothing changes.
    pub async fn place(
        &self,
        unplaced: &Unplaced,
        placing: &Placing,
        mark: &str,
        now: Millis,
    ) -> Result<bool, DbError> {
        let args = (unplaced.clone(), placing.clone(), mark.to_owned(), now);
        self.write(args, |tx, (unplaced, placing, mark, now)| {
            Box::pin(place(tx, unplaced, placing, mark, *now))
        })
        .await
    }

    /// One more copy of an object, besides what the rules want: a source that is to come back, an object that moves.
    /// [`DbError::Conflict`] when there is one in this store, or one that is just being deleted from the local one;
    /// [`DbError::Absent`] when there is nothing that it could be made from.
    pub async fn add_replica(&self, object: ObjectId, new: &NewReplica, now: Millis) -> Result<(), DbError> {
        self.write((object, new.clone(), now), |tx, (object, new, now)| {
            Box::pin(async move {
                let sql = "SELECT o.id, o.app_id, o.video_id, v.collection_id, o.kind, o.size_bytes
                           FROM object o JOIN video v ON v.id = o.video_id WHERE o.id = $1 AND v.deleted_ms IS NULL
                             AND o.size_bytes IS NOT NULL";
                let row = tx.row(sql, args![*object]).await?.ok_or(DbError::Absent)?;
                lock_video(tx, row.get("video_id")?).await?;
                let known = unplaced_of(tx, &row).await?;
                if !known.held.iter().any(|(_, _, state)| state.is_good()) {
                    return Err(DbError::Absent);
                }
                // Two local copies would be one file.
                let same = |(_, store, state): &&(EntryId, String, State)| {
                    *store == new.store && (state.counts() || new.store == LOCAL)
                };
                if let Some((_, store, _)) = known.held.iter().find(same) {
                    return Err(DbError::Conflict(format!("a copy in {store}")));
                }
                insert(tx, &known, new, *now).await
            })
        })
        .await
    }

    /// What lies in each store, by state.
    pub async fn lag(&self) -> Result<Vec<Lag>, DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                let sql = "SELECT r.store, r.state, count(*) AS copies, CAST(COALESCE(sum(o.size_bytes), 0) AS bigint) AS bytes,
                             min(r.created_ms) AS oldest, min(r.verified_ms) AS verified
                           FROM replica r JOIN object o ON o.id = r.object_id GROUP BY r.store, r.state
                           ORDER BY r.store, r.state";
                tx.rows(sql, args![]).await?.iter().map(lag_of).collect()
            })
        })
        .await
    }

    /// Copies that wait for a job that is over get another one, at most as many as names are given; returns how many.
    pub async fn revive_copies(&self, jobs: &[JobId], now: Millis) -> Result<usize, DbError> {
        self.write((jobs.to_vec(), now), |tx, (jobs, now)| {
            Box::pin(async move {
                let sql = "SELECT r.id, r.store, o.app_id, o.size_bytes FROM replica r JOIN object o ON o.id = r.object_id
                           LEFT JOIN job j ON j.id = r.job_id
                           WHERE r.job_id IS NOT NULL AND (r.state = 'intended' OR (r.state = 'suspect' AND r.store = 'local'))
                             AND (j.id IS NULL OR (j.state >= 3 AND j.finished_ms < $1)) ORDER BY r.id LIMIT $2";
                let limit = u32::try_from(jobs.len()).unwrap_or(u32::MAX);
                let rows = tx.rows(sql, args![now.plus(-DEAD_COPY_MS), limit]).await?;
                for (row, job) in rows.iter().zip(jobs) {
                    let size: Option<u64> = row.get("size_bytes")?;
                    let (id, store) = (row.get("id")?, row.get("store")?);
                    let of = (row.get("app_id")?, size.unwrap_or_default());
                    insert_job(tx, of, (id, store, *job), (*now, *now)).await?;
                    tx.execute("UPDATE replica SET job_id = $2 WHERE id = $1", args![id, *job]).await?;
                }
                Ok(rows.len())
            })
        })
        .await
    }
}

async fn place(
    tx: &mut Tx,
    unplaced: &Unplaced,
    placing: &Placing,
    mark: &str,
    now: Millis,
) -> Result<bool, DbError> {
    match lock_video(tx, unplaced.video).await {
        Err(DbError::Absent) => return Ok(false),
        locked => locked.map(drop)?,
    }
    // What was decided upon may have changed since it was read; then it is decided anew.
    if held_of(tx, unplaced.object).await? != unplaced.held {
        return Ok(false);
    }
    let sql = "UPDATE object SET placed = $2 WHERE id = $1 AND placed IS NULL
                 AND EXISTS (SELECT 1 FROM replica r WHERE r.object_id = $1 AND r.state = 'present')";
    if tx.execute(sql, args![unplaced.object, mark]).await? == 0 {
        return Ok(false);
    }
    for new in &placing.new {
        insert(tx, unplaced, new, now).await?;
    }
    for (id, job) in &placing.mend {
        let sql = "UPDATE replica SET job_id = $2 WHERE id = $1 AND state = 'suspect'";
        if tx.execute(sql, args![*id, *job]).await? > 0 {
            let of = (unplaced.app, unplaced.size);
            insert_job(tx, of, (*id, LOCAL.to_owned(), *job), (now, now)).await?;
        }
    }
    for id in &placing.surplus {
        unwanted(tx, *id, "moved", now).await?;
    }
    Ok(true)
}

/// Replica, ledger row and job, in this order; the bytes come after the commit.
async fn insert(tx: &mut Tx, of: &Unplaced, new: &NewReplica, now: Millis) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO replica (id, object_id, store, key, template, state, job_id, replaces, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            new.id,
            of.object,
            new.store.as_str(),
            new.key.as_str(),
            new.template.clone(),
            State::Intended,
            new.job,
            new.replaces,
            now
        ],
    )
    .await?;
    tx.execute(
        "INSERT INTO ledger (id, app_id, video_id, object_id, place, kind, state, attempts, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8)",
        args![new.id, of.app, of.video, of.object, new.store.as_str(), of.kind, ledger::State::Intended, now],
    )
    .await?;
    if new.archive {
        wanted_in_archive(tx, of.video).await?;
    }
    let due = after_those_that_went_wrong(tx, (of.object, &new.store), now).await?;
    insert_job(tx, (of.app, of.size), (new.id, new.store.clone(), new.job), (due, now)).await
}

/// When a copy is made: at once, or later the more often this store has just turned the bytes of this object into others.
async fn after_those_that_went_wrong(
    tx: &mut Tx,
    (object, store): (ObjectId, &str),
    now: Millis,
) -> Result<Millis, DbError> {
    let sql = "SELECT count(*) AS wrong FROM ledger WHERE object_id = $1 AND place = $2 AND created_ms > $3
                 AND state IN ('to_delete', 'gone') AND reason = 'miscopied'";
    let since = now.plus(-MISCOPIED_MS);
    let wrong: u64 = tx.row(sql, args![object, store, since]).await?.ok_or(DbError::Absent)?.get("wrong")?;
    let pause_ms = if wrong == 0 { 0 } else { ledger::backoff_ms(u32::try_from(wrong).unwrap_or(u32::MAX)) };
    Ok(now.plus(pause_ms))
}

async fn insert_job(
    tx: &mut Tx,
    (app, size): (AppId, u64),
    (replica, store, job): (EntryId, String, JobId),
    (due, now): (Millis, Millis),
) -> Result<(), DbError> {
    let store_is_local = store == LOCAL;
    let new = NewJob {
        id: job,
        app,
        video: None,
        task: Task::Copy { replica, store },
        // Somebody waits for what comes back.
        prio: if store_is_local { 0 } else { COPY_PRIO },
        // Small ones first: most objects are safe soon.
        weight: i64::try_from(size >> 20).unwrap_or(i64::MAX),
        run_at: due,
        needs: Vec::new(),
        load: Load::default(),
        idem_key: None,
    };
    job::insert(tx, &new, now).await
}

async fn unplaced_of(tx: &mut Tx, row: &Row) -> Result<Unplaced, DbError> {
    let object: ObjectId = row.get("id")?;
    Ok(Unplaced {
        object,
        app: row.get("app_id")?,
        video: row.get("video_id")?,
        collection: row.get("collection_id")?,
        kind: row.get("kind")?,
        size: row.get("size_bytes")?,
        held: held_of(tx, object).await?,
    })
}

async fn held_of(tx: &mut Tx, object: ObjectId) -> Result<Vec<(EntryId, String, State)>, DbError> {
    let sql = "SELECT id, store, state FROM replica WHERE object_id = $1 ORDER BY created_ms, id";
    let held = tx.rows(sql, args![object]).await?;
    held.iter().map(|row| Ok((row.get("id")?, row.get("store")?, row.get("state")?))).collect()
}

fn lag_of(row: &Row) -> Result<Lag, DbError> {
    Ok(Lag {
        store: row.get("store")?,
        state: row.get("state")?,
        copies: row.get("copies")?,
        bytes: row.get("bytes")?,
        oldest: row.get("oldest")?,
        verified: row.get("verified")?,
    })
}
