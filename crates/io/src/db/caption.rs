//! Captions: the words of a video, those of its source and those that somebody added.

use matinee_core::caption::State;
use matinee_core::id::{AppId, ObjectId, VideoId};
use matinee_core::job::Lease;
use matinee_core::ledger::Kind;
use matinee_core::limits::{CAPTIONS_ADDED_MAX, REPLACED_GRACE_MS};
use matinee_core::time::Millis;
use matinee_core::video::Problem;

use super::Db;
use super::error::DbError;
use super::lease::{lock_video, settled};
use super::object::{self, NewObject, Owner, Stored};
use super::publication::besides_due;
use super::tx::Tx;
use super::value::{Row, args};
use super::{quota, word};

/// A caption to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCaption {
    /// Its name in URLs; unique in a video.
    pub name: String,
    /// Its place in lists, from 0; those that somebody added come behind.
    pub place: u32,
    /// The language as RFC 5646 writes it; empty when unknown.
    pub language: String,
    /// What its source or the one who added it calls it; empty when that is nothing.
    pub title: String,
    /// Only what everybody must read.
    pub forced: bool,
    /// Why no text can be made of it, when that is so.
    pub unsupported: Option<Problem>,
}

/// A caption as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caption {
    /// Its name in URLs.
    pub name: String,
    /// Somebody added it; else it is of the source.
    pub added: bool,
    /// The language as RFC 5646 writes it; empty when unknown.
    pub language: String,
    /// What people call it; empty when that is nothing.
    pub title: String,
    /// Only what everybody must read.
    pub forced: bool,
    /// Where it is in its life.
    pub state: State,
    /// Why it is not there.
    pub reason: Option<Problem>,
    /// The WebVTT file and its length in bytes.
    pub file: Option<(ObjectId, u64)>,
}

impl Caption {
    /// Is it shown, without being asked for, to who hears this language? Only what everybody must read is.
    pub fn is_shown_to(&self, spoken: &str) -> bool {
        self.forced && self.language == spoken
    }
}

/// What a job made of one stream: its file, or why there is none.
pub type MadeCaption = (String, Result<Stored, Problem>);

impl Db {
    /// The captions of a video, those of the source first.
    pub async fn captions(&self, video: VideoId) -> Result<Vec<Caption>, DbError> {
        self.read(video, |tx, video| {
            Box::pin(async move {
                let sql = "SELECT c.*, o.size_bytes FROM caption c LEFT JOIN object o ON o.id = c.object_id
                           WHERE c.video_id = $1 ORDER BY c.added, c.place, c.name";
                tx.rows(sql, args![*video]).await?.iter().map(caption_of).collect()
            })
        })
        .await
    }

    /// Publishes what was made of the source's subtitles and completes the job.
    pub async fn publish_captions(
        &self,
        lease: &Lease,
        made: Vec<MadeCaption>,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((*lease, made, now), |tx, (lease, made, now)| {
            Box::pin(async move {
                let held = settled(tx, lease, *now).await?;
                for (name, made) in made {
                    publish(tx, held.video, (name, made), *now).await?;
                }
                touch(tx, held.video, *now).await
            })
        })
        .await
    }

    /// Writes the rows of the file of a caption that somebody adds. [`DbError::Absent`] when the app has no such video.
    pub async fn intend_caption(
        &self,
        (app, video): (AppId, VideoId),
        object: ObjectId,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((app, video, object, now), |tx, (app, video, object, now)| {
            Box::pin(async move {
                locked(tx, *app, *video).await?;
                let owner = Owner { app: *app, video: *video, lease: None };
                object::intend(tx, owner, NewObject { id: *object, kind: Kind::Caption }, *now).await
            })
        })
        .await
    }

    /// Adds a caption, or replaces the one of the same name. [`DbError::Absent`] when the video is gone,
    /// [`DbError::Conflict`] when there are too many, [`DbError::LeaseLost`] when it took too long to write the file.
    pub async fn add_caption(
        &self,
        (app, video): (AppId, VideoId),
        new: NewCaption,
        stored: Stored,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((app, video, new, stored, now), |tx, (app, video, new, stored, now)| {
            Box::pin(async move {
                locked(tx, *app, *video).await?;
                remove(tx, *video, &new.name, *now).await?;
                let sql = "SELECT count(*) AS added FROM caption WHERE video_id = $1 AND added = $2";
                let row = tx.row(sql, args![*video, true]).await?.ok_or(DbError::Absent)?;
                if row.get::<u32>("added")? >= CAPTIONS_ADDED_MAX {
                    return Err(DbError::Conflict("the video has too many captions".to_owned()));
                }
                let row = tx.row("SELECT collection_id FROM video WHERE id = $1", args![*video]).await?;
                let collection = row.ok_or(DbError::Absent)?.get("collection_id")?;
                quota::admit(tx, (*app, collection), stored.size, 0).await?;
                object::present(tx, (stored.object, stored.size, Some(stored.blake3)), *now).await?;
                insert(tx, *video, new, Some(stored.object), *now).await?;
                touch(tx, *video, *now).await
            })
        })
        .await
    }

    /// Removes a caption; its file goes. [`DbError::Absent`] when there is none of this name.
    pub async fn remove_caption(
        &self,
        (app, video): (AppId, VideoId),
        name: &str,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((app, video, name.to_owned(), now), |tx, (app, video, name, now)| {
            Box::pin(async move {
                locked(tx, *app, *video).await?;
                if !remove(tx, *video, name, *now).await? {
                    return Err(DbError::Absent);
                }
                touch(tx, *video, *now).await
            })
        })
        .await
    }
}

async fn locked(tx: &mut Tx, app: AppId, video: VideoId) -> Result<(), DbError> {
    if lock_video(tx, video).await? == app { Ok(()) } else { Err(DbError::Absent) }
}

async fn touch(tx: &mut Tx, video: VideoId, now: Millis) -> Result<(), DbError> {
    besides_due(tx, video, now).await?;
    tx.execute_one("UPDATE video SET updated_ms = $2 WHERE id = $1", args![video, now]).await
}

/// Inserts a caption of the source without a file, or one that somebody added with it.
pub(crate) async fn insert(
    tx: &mut Tx,
    video: VideoId,
    new: &NewCaption,
    file: Option<ObjectId>,
    now: Millis,
) -> Result<(), DbError> {
    let state = match (file, &new.unsupported) {
        (Some(_), _) => State::Ready,
        (None, Some(_)) => State::Unsupported,
        (None, None) => State::Waiting,
    };
    tx.execute(
        "INSERT INTO caption (video_id, name, added, place, language, title, forced, state, reason, object_id, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        args![
            video,
            new.name.as_str(),
            file.is_some(),
            new.place,
            new.language.as_str(),
            new.title.as_str(),
            new.forced,
            state,
            new.unsupported.as_ref().map(word::stored),
            file,
            now
        ],
    )
    .await
    .map(drop)
}

async fn publish(
    tx: &mut Tx,
    video: VideoId,
    (name, made): (&str, &Result<Stored, Problem>),
    now: Millis,
) -> Result<(), DbError> {
    let (state, reason, object) = match made {
        Ok(stored) => {
            object::present(tx, (stored.object, stored.size, Some(stored.blake3)), now).await?;
            (State::Ready, None, Some(stored.object))
        }
        Err(problem) => (State::Failed, Some(word::stored(problem)), None),
    };
    let sql = "UPDATE caption SET state = $3, reason = $4, object_id = $5
               WHERE video_id = $1 AND name = $2 AND state = 'waiting'";
    let changed = tx.execute(sql, args![video, name, state, reason, object]).await?;
    match object {
        // Somebody did not want it any more.
        Some(object) if changed == 0 => object::unwanted(tx, object, "superseded", now).await,
        Some(_) | None => Ok(()),
    }
}

/// Whether there was one.
async fn remove(tx: &mut Tx, video: VideoId, name: &str, now: Millis) -> Result<bool, DbError> {
    let sql = "DELETE FROM caption WHERE video_id = $1 AND name = $2 RETURNING object_id";
    let Some(row) = tx.row(sql, args![video, name]).await? else { return Ok(false) };
    if let Some(object) = row.get::<Option<ObjectId>>("object_id")? {
        // Players may still know its address.
        object::unwanted(tx, object, "replaced", now.plus(REPLACED_GRACE_MS)).await?;
    }
    Ok(true)
}

/// Nobody will make the captions of the source that are not there yet.
pub(crate) async fn give_up(tx: &mut Tx, video: VideoId, reason: &Problem) -> Result<(), DbError> {
    let sql = "UPDATE caption SET state = 'failed', reason = $2 WHERE video_id = $1 AND state = 'waiting'";
    tx.execute(sql, args![video, word::stored(reason)]).await.map(drop)
}

/// The same, when no job is there any more that somebody wants: it was cancelled, or went with a remake.
pub(crate) async fn abandon(tx: &mut Tx, video: VideoId) -> Result<(), DbError> {
    let reason = Problem {
        code: "cancelled".to_owned(),
        human: "Somebody stopped the work on these captions.".to_owned(),
        fix: "Encode the video again: what is missing is made with it.".to_owned(),
    };
    let sql = "UPDATE caption SET state = 'failed', reason = $2 WHERE video_id = $1 AND state = 'waiting'
                 AND NOT EXISTS (SELECT 1 FROM job WHERE video_id = $1 AND kind = 'subtitles' AND state IN (0, 1, 2)
                                   AND NOT cancel_requested)";
    tx.execute(sql, args![video, word::stored(&reason)]).await.map(drop)
}

/// The job that makes them is to be done again, if it is.
pub(crate) async fn revive(tx: &mut Tx, video: VideoId) -> Result<(), DbError> {
    let sql = "UPDATE caption SET state = 'waiting', reason = NULL WHERE video_id = $1 AND state = 'failed'
                 AND EXISTS (SELECT 1 FROM job WHERE video_id = $1 AND kind = 'subtitles' AND state IN (0, 1, 2)
                               AND NOT cancel_requested)";
    tx.execute(sql, args![video]).await.map(drop)
}

fn caption_of(row: &Row) -> Result<Caption, DbError> {
    let file: (Option<ObjectId>, Option<u64>) = (row.get("object_id")?, row.get("size_bytes")?);
    Ok(Caption {
        name: row.get("name")?,
        added: row.get("added")?,
        language: row.get("language")?,
        title: row.get("title")?,
        forced: row.get("forced")?,
        state: row.get("state")?,
        reason: word::problem(row, "reason")?,
        file: file.0.zip(file.1),
    })
}
