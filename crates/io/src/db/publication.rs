//! Publications: videos at hosts. Each has its intent in the ledger from before the host hears of it.

mod besides;
mod heard;
pub(crate) mod row;
mod sent;

use matinee_core::event::Topic;
use matinee_core::id::{AppId, EntryId, JobId, PublicationId, VideoId};
use matinee_core::job::load::Load;
use matinee_core::job::{NewJob, Task};
use matinee_core::ledger::{Kind, State};
use matinee_core::publication::Phase;
use matinee_core::time::Millis;
use matinee_core::video::Problem;
use serde_json::json;

use self::row::publication_of;
use super::Db;
use super::distribution::wanted_at_host;
use super::error::DbError;
use super::lease::lock_video;
use super::told::tell;
use super::tx::Tx;
use super::value::args;
use super::{job, word};

pub(crate) use self::besides::{besides_due, besides_due_of};
pub use self::heard::Told;
pub use self::row::Publication;

/// A video that is to be at a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPublication {
    /// Its name.
    pub id: PublicationId,
    /// The app.
    pub app: AppId,
    /// The video.
    pub video: VideoId,
    /// The host.
    pub host: String,
}

/// The ledger entry of a publication has its own bits.
pub const fn entry_of(publication: PublicationId) -> EntryId {
    EntryId::from_bits(publication.bits())
}

impl Db {
    /// The publications of a video, by host.
    pub async fn publications(&self, video: VideoId) -> Result<Vec<Publication>, DbError> {
        self.read(video, |tx, video| {
            Box::pin(async move {
                let sql = "SELECT * FROM publication WHERE video_id = $1 ORDER BY host";
                tx.rows(sql, args![*video]).await?.iter().map(publication_of).collect()
            })
        })
        .await
    }

    /// Writes the intent to have a video at a host, with the job that does it. One that is there already is returned as it is;
    /// one that has failed makes room. [`DbError::Absent`] when there is no such video.
    pub async fn publish(
        &self,
        new: &NewPublication,
        job: JobId,
        now: Millis,
    ) -> Result<Publication, DbError> {
        self.write((new.clone(), job, now), |tx, (new, job, now)| {
            Box::pin(async move {
                if lock_video(tx, new.video).await? != new.app {
                    return Err(DbError::Absent);
                }
                wish(tx, (new, *job), *now).await
            })
        })
        .await
    }

    /// Nobody wants a video at a host any more: it is deleted there. [`DbError::Absent`] when there is none.
    pub async fn withdraw(
        &self,
        (app, video): (AppId, VideoId),
        host: &str,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((app, video, host.to_owned(), now), |tx, (app, video, host, now)| {
            Box::pin(async move {
                if lock_video(tx, *video).await? != *app {
                    return Err(DbError::Absent);
                }
                let sql = "DELETE FROM publication WHERE video_id = $1 AND host = $2 RETURNING id";
                let row = tx.row(sql, args![*video, host.as_str()]).await?.ok_or(DbError::Absent)?;
                unwanted(tx, row.get("id")?, "withdrawn", *now).await?;
                cancel_job(tx, *video, host, *now).await
            })
        })
        .await
    }
}

/// See [`Db::publish`]; the video is locked.
async fn wish(
    tx: &mut Tx,
    (new, job): (&NewPublication, JobId),
    now: Millis,
) -> Result<Publication, DbError> {
    if let Some(there) = living(tx, new.video, &new.host).await? {
        return Ok(there);
    }
    let made = intend(tx, new, now).await?;
    let task = Task::Publish { video: new.video, host: new.host.clone() };
    let new = NewJob {
        id: job,
        app: new.app,
        video: Some(new.video),
        task,
        prio: 0,
        weight: 0,
        run_at: now,
        needs: Vec::new(),
        load: Load::default(),
        idem_key: None,
    };
    job::insert(tx, &new, now).await?;
    Ok(made)
}

/// The publication of a video at a host, unless it has failed; that one makes room.
async fn living(tx: &mut Tx, video: VideoId, host: &str) -> Result<Option<Publication>, DbError> {
    let sql = "DELETE FROM publication WHERE video_id = $1 AND host = $2 AND phase = 'failed'";
    tx.execute(sql, args![video, host]).await?;
    let sql = "SELECT * FROM publication WHERE video_id = $1 AND host = $2";
    tx.row(sql, args![video, host]).await?.as_ref().map(publication_of).transpose()
}

/// Writes a publication that is wanted, with its row in the ledger.
pub(crate) async fn intend(tx: &mut Tx, new: &NewPublication, now: Millis) -> Result<Publication, DbError> {
    let sql =
        "INSERT INTO publication (id, app_id, video_id, host, phase, offset_bytes, unchanged, failures, created_ms, updated_ms)
               VALUES ($1, $2, $3, $4, $5, 0, 0, 0, $6, $6) RETURNING *";
    let row = tx.row(sql, args![new.id, new.app, new.video, new.host.as_str(), Phase::Waiting, now]).await?;
    owe(tx, (entry_of(new.id), new), State::Intended, now).await?;
    wanted_at_host(tx, new.video).await?;
    publication_of(&row.ok_or(DbError::Absent)?)
}

/// Writes the ledger row of a video that may come to be at a host.
pub(crate) async fn owe(
    tx: &mut Tx,
    (entry, new): (EntryId, &NewPublication),
    state: State,
    now: Millis,
) -> Result<(), DbError> {
    let sql =
        "INSERT INTO ledger (id, app_id, video_id, publication_id, place, kind, state, attempts, created_ms)
               VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8)";
    let args = args![entry, new.app, new.video, new.id, new.host.as_str(), Kind::Publication, state, now];
    tx.execute(sql, args).await.map(drop)
}

/// Nobody wants what is at the host under this name: it goes, and so does what may yet come to be.
async fn unwanted(tx: &mut Tx, id: PublicationId, reason: &str, now: Millis) -> Result<(), DbError> {
    let sql = "UPDATE ledger SET state = 'to_delete', reason = $2, next_try_ms = $3
               WHERE publication_id = $1 AND state IN ('intended', 'present')";
    tx.execute(sql, args![id, reason, now]).await.map(drop)
}

/// Nobody wants a video anywhere any more that a host alone was to have.
pub(crate) async fn forget(tx: &mut Tx, video: VideoId, reason: &str, now: Millis) -> Result<(), DbError> {
    let sql = "DELETE FROM publication WHERE video_id = $1 RETURNING id";
    for row in tx.rows(sql, args![video]).await? {
        unwanted(tx, row.get("id")?, reason, now).await?;
    }
    Ok(())
}

async fn cancel_job(tx: &mut Tx, video: VideoId, host: &str, now: Millis) -> Result<(), DbError> {
    let sql =
        "UPDATE job SET state = 5, finished_ms = $3 WHERE video_id = $1 AND kind = 'publish' AND state IN (0, 1)
                 AND payload ->> 'host' = $2";
    tx.execute(sql, args![video, host, now]).await?;
    let sql = "UPDATE job SET cancel_requested = $3 WHERE video_id = $1 AND kind = 'publish' AND state = 2
                 AND payload ->> 'host' = $2";
    tx.execute(sql, args![video, host, true]).await?;
    tx.wake_jobs();
    Ok(())
}

async fn fail(tx: &mut Tx, id: PublicationId, reason: &Problem, now: Millis) -> Result<(), DbError> {
    let sql =
        "UPDATE publication SET phase = 'failed', percent = NULL, reason = $2, target = NULL, hinted_ms = NULL,
                 next_ask_ms = NULL, updated_ms = $3 WHERE id = $1 AND phase <> 'failed' RETURNING *";
    let Some(row) = tx.row(sql, args![id, word::stored(reason), now]).await? else { return Ok(()) };
    let failed = publication_of(&row)?;
    unwanted(tx, id, "failed", now).await?;
    told(tx, &failed, Topic::PublicationFailed, now).await
}

/// The job that was to publish a video there is dead, or somebody has cancelled it.
pub(crate) async fn job_ended(
    tx: &mut Tx,
    (video, host): (VideoId, &str),
    reason: &Problem,
    now: Millis,
) -> Result<(), DbError> {
    let sql =
        "SELECT id FROM publication WHERE video_id = $1 AND host = $2 AND phase IN ('waiting', 'uploading')";
    match tx.row(sql, args![video, host]).await? {
        Some(row) => fail(tx, row.get("id")?, reason, now).await,
        None => Ok(()),
    }
}

async fn told(tx: &mut Tx, of: &Publication, topic: Topic, now: Millis) -> Result<(), DbError> {
    let mut facts = json!({ "video": of.video, "host": of.host });
    if let Some(reason) = &of.reason {
        facts["reason"] = word::stored(reason);
    }
    tell(tx, of.app, topic, (of.id.to_string(), facts), now).await
}
