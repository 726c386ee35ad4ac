//! The pictures of a video: its poster, the sheets of its storyboard, and the preview for cards.

use matinee_core::event::Topic;
use matinee_core::id::{AppId, ObjectId, VideoId};
use matinee_core::job::Lease;
use matinee_core::ledger::Kind;
use matinee_core::limits::REPLACED_GRACE_MS;
use matinee_core::time::Millis;
use serde_json::{Value, json};

use super::Db;
use super::error::DbError;
use super::lease::{lock_video, settled};
use super::object::{self, NewObject, Owner, Stored, present, unwanted};
use super::told::tell;
use super::tx::Tx;
use super::value::args;

/// Sheets and preview of one video.
#[derive(Debug, Clone, PartialEq)]
pub struct Boarded {
    /// What is on the sheets.
    pub storyboard: Value,
    /// The sheets in their order.
    pub sheets: Vec<Stored>,
    /// The short moving picture.
    pub preview: Stored,
}

/// One sheet of a storyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sheet {
    /// The object that holds it.
    pub object: ObjectId,
    /// Its length in bytes.
    pub size: u64,
}

impl Db {
    /// Publishes the poster and completes its job. What somebody chose stays, and the new one goes; one that was made
    /// before goes.
    pub async fn publish_poster(&self, lease: &Lease, stored: Stored, now: Millis) -> Result<(), DbError> {
        self.write((*lease, stored, now), |tx, (lease, stored, now)| {
            Box::pin(async move {
                let held = settled(tx, lease, *now).await?;
                if let Some(before) = poster_of(tx, held.video).await? {
                    let sql = "SELECT 1 AS made FROM object WHERE id = $1 AND job_id IS NOT NULL";
                    if tx.row(sql, args![before]).await?.is_none() {
                        return unwanted(tx, stored.object, "superseded", *now).await;
                    }
                    // Pages that were just loaded still name it.
                    unwanted(tx, before, "superseded", now.plus(REPLACED_GRACE_MS)).await?;
                }
                set_poster(tx, (held.app, held.video), *stored, *now).await
            })
        })
        .await
    }

    /// Writes the rows of a poster that somebody chose, before its bytes. [`DbError::Absent`] when the app has no such
    /// video.
    pub async fn intend_poster(
        &self,
        (app, video): (AppId, VideoId),
        object: ObjectId,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((app, video, object, now), |tx, (app, video, object, now)| {
            Box::pin(async move {
                own(tx, *app, *video).await?;
                let owner = Owner { app: *app, video: *video, lease: None };
                object::intend(tx, owner, NewObject { id: *object, kind: Kind::Poster }, *now).await
            })
        })
        .await
    }

    /// The chosen poster is there and takes the place of the one before. [`DbError::Absent`] when the video was deleted.
    pub async fn choose_poster(
        &self,
        (app, video): (AppId, VideoId),
        stored: Stored,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((app, video, stored, now), |tx, (app, video, stored, now)| {
            Box::pin(async move {
                own(tx, *app, *video).await?;
                if let Some(before) = poster_of(tx, *video).await? {
                    // Pages that were just loaded still name it.
                    unwanted(tx, before, "superseded", now.plus(REPLACED_GRACE_MS)).await?;
                }
                set_poster(tx, (*app, *video), *stored, *now).await
            })
        })
        .await
    }

    /// Publishes sheets and preview, in place of older ones, and completes their job.
    pub async fn publish_storyboard(
        &self,
        lease: &Lease,
        boarded: Boarded,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((*lease, boarded, now), |tx, (lease, boarded, now)| {
            Box::pin(publish(tx, lease, boarded, *now))
        })
        .await
    }

    /// The sheets of a video's storyboard in their order.
    pub async fn sheets(&self, video: VideoId) -> Result<Vec<Sheet>, DbError> {
        self.read(video, |tx, video| {
            Box::pin(async move {
                let sql = "SELECT s.object_id, o.size_bytes FROM sheet s JOIN object o ON o.id = s.object_id
                           WHERE s.video_id = $1 ORDER BY s.number";
                let rows = tx.rows(sql, args![*video]).await?;
                let sheet = |row: &super::value::Row| {
                    let size: Option<u64> = row.get("size_bytes")?;
                    Ok(Sheet { object: row.get("object_id")?, size: size.unwrap_or_default() })
                };
                rows.iter().map(sheet).collect()
            })
        })
        .await
    }
}

async fn publish(tx: &mut Tx, lease: &Lease, boarded: &Boarded, now: Millis) -> Result<(), DbError> {
    let held = settled(tx, lease, now).await?;
    let video = held.video;
    let sql = "SELECT object_id FROM sheet WHERE video_id = $1
               UNION ALL SELECT preview_id FROM video WHERE id = $1 AND preview_id IS NOT NULL";
    for row in tx.rows(sql, args![video]).await? {
        unwanted(tx, row.get("object_id")?, "superseded", now.plus(REPLACED_GRACE_MS)).await?;
    }
    tx.execute("DELETE FROM sheet WHERE video_id = $1", args![video]).await?;
    for stored in boarded.sheets.iter().chain([&boarded.preview]) {
        present(tx, (stored.object, stored.size, Some(stored.blake3)), now).await?;
    }
    for (number, stored) in (1_u32..).zip(&boarded.sheets) {
        let sql = "INSERT INTO sheet (video_id, number, object_id) VALUES ($1, $2, $3)";
        tx.execute_one(sql, args![video, number, stored.object]).await?;
    }
    tx.execute_one(
        "UPDATE video SET storyboard = $2, preview_id = $3, updated_ms = $4 WHERE id = $1",
        args![video, boarded.storyboard.clone(), boarded.preview.object, now],
    )
    .await?;
    let facts = json!({ "storyboard": boarded.sheets.len(), "preview": boarded.preview.object });
    tell(tx, held.app, Topic::VideoPictures, (video.to_string(), facts), now).await
}

/// Locks a video of this app.
async fn own(tx: &mut Tx, app: AppId, video: VideoId) -> Result<(), DbError> {
    if lock_video(tx, video).await? == app { Ok(()) } else { Err(DbError::Absent) }
}

async fn poster_of(tx: &mut Tx, video: VideoId) -> Result<Option<ObjectId>, DbError> {
    let row = tx.row("SELECT poster_id FROM video WHERE id = $1", args![video]).await?;
    row.ok_or(DbError::Absent)?.get("poster_id")
}

async fn set_poster(
    tx: &mut Tx,
    (app, video): (AppId, VideoId),
    stored: Stored,
    now: Millis,
) -> Result<(), DbError> {
    present(tx, (stored.object, stored.size, Some(stored.blake3)), now).await?;
    let sql = "UPDATE video SET poster_id = $2, updated_ms = $3 WHERE id = $1";
    tx.execute_one(sql, args![video, stored.object, now]).await?;
    tell(tx, app, Topic::VideoPictures, (video.to_string(), json!({ "poster": stored.object })), now).await
}

/// Nothing points at the pictures of this video any more.
pub(crate) async fn forget(tx: &mut Tx, video: VideoId) -> Result<(), DbError> {
    tx.execute("DELETE FROM sheet WHERE video_id = $1", args![video]).await?;
    let sql = "UPDATE video SET poster_id = NULL, preview_id = NULL, storyboard = NULL WHERE id = $1";
    tx.execute(sql, args![video]).await.map(drop)
}
