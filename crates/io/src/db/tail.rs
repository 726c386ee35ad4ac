//! Sources that can be played before all of them is there, and the last bytes that some clients send first.

use matinee_core::id::{ObjectId, UploadId, VideoId};
use matinee_core::ledger::Kind;
use matinee_core::pipeline::MadeBy;
use matinee_core::time::Millis;

use super::Db;
use super::error::DbError;
use super::object::{self, NewObject, Owner, Stored};
use super::tx::{Sql, Tx};
use super::upload::row::{Upload, upload_of};
use super::value::args;
use super::word;

/// An upload whose source nobody has examined yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arriving {
    /// The upload, open or just finished.
    pub upload: Upload,
    /// The last bytes of its source, when they came before the others.
    pub tail: Option<Tail>,
    /// By what its video is made, when that is settled already.
    pub made_by: Option<MadeBy>,
}

/// The last bytes of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// The object that holds them.
    pub object: ObjectId,
    /// How many they are.
    pub size: u64,
}

impl Db {
    /// The upload that becomes this video, until the probe of the video has an answer; `None` when it is over, when the
    /// video failed or was deleted or its collection is, and for one that is made of parts: its bytes lie elsewhere.
    pub async fn arriving(&self, video: VideoId) -> Result<Option<Arriving>, DbError> {
        self.read(video, |tx, video| {
            Box::pin(async move {
                let sql = "SELECT u.*, t.size_bytes AS tail_bytes, v.made_by FROM upload u
                           LEFT JOIN object t ON t.id = u.tail_id LEFT JOIN video v ON v.id = u.video_id
                           WHERE u.video_id = $1 AND (u.state = 'open' OR u.state = 'finished' AND v.state = 'processing'
                             AND v.probe IS NULL AND v.deleted_ms IS NULL)
                             AND u.concat IS NULL AND NOT EXISTS (SELECT 1 FROM collection c
                               WHERE c.id = u.collection_id AND c.deleting_ms IS NOT NULL)";
                let Some(row) = tx.row(sql, args![*video]).await? else { return Ok(None) };
                let tail: (Option<ObjectId>, Option<u64>) = (row.get("tail_id")?, row.get("tail_bytes")?);
                let tail = tail.0.zip(tail.1).map(|(object, size)| Tail { object, size });
                Ok(Some(Arriving { upload: upload_of(&row)?, tail, made_by: word::json(&row, "made_by")? }))
            })
        })
        .await
    }

    /// The last bytes that were sent first of the source of this video, while they are kept.
    pub async fn tail(&self, video: VideoId) -> Result<Option<Tail>, DbError> {
        self.read(video, |tx, video| {
            Box::pin(async move {
                let sql = "SELECT t.id, t.size_bytes FROM upload u JOIN object t ON t.id = u.tail_id
                           WHERE u.video_id = $1 AND t.size_bytes IS NOT NULL";
                let row = tx.row(sql, args![*video]).await?;
                row.map(|row| Ok(Tail { object: row.get("id")?, size: row.get("size_bytes")? })).transpose()
            })
        })
        .await
    }

    /// Writes the rows of an object that will hold the last bytes of a source. An attempt that did not get so far
    /// gives way. [`DbError::Conflict`] when they are there already, [`DbError::Absent`] when the upload is over.
    pub async fn intend_tail(&self, id: UploadId, object: ObjectId, now: Millis) -> Result<(), DbError> {
        self.write((id, object, now), |tx, (id, object, now)| {
            Box::pin(async move {
                let upload = open(tx, *id).await?;
                let sql = "SELECT t.id, t.size_bytes FROM upload u JOIN object t ON t.id = u.tail_id WHERE u.id = $1";
                if let Some(row) = tx.row(sql, args![*id]).await? {
                    if row.get::<Option<u64>>("size_bytes")?.is_some() {
                        return Err(DbError::Conflict("the last bytes were sent already".to_owned()));
                    }
                    object::unwanted(tx, row.get("id")?, "superseded", *now).await?;
                }
                let owner = Owner { app: upload.app, video: upload.video, lease: None };
                object::intend(tx, owner, NewObject { id: *object, kind: Kind::Tail }, *now).await?;
                tx.execute_one("UPDATE upload SET tail_id = $2 WHERE id = $1", args![*id, *object]).await
            })
        })
        .await
    }

    /// The last bytes are there. [`DbError::LeaseLost`] when another attempt took their place, [`DbError::Absent`] when
    /// the upload is over.
    pub async fn keep_tail(&self, id: UploadId, stored: Stored, now: Millis) -> Result<(), DbError> {
        self.write((id, stored, now), |tx, (id, stored, now)| {
            Box::pin(async move {
                open(tx, *id).await?;
                object::present(tx, (stored.object, stored.size, Some(stored.blake3)), *now).await
            })
        })
        .await
    }
}

async fn open(tx: &mut Tx, id: UploadId) -> Result<Upload, DbError> {
    let sql = Sql::Each {
        sqlite: "SELECT * FROM upload WHERE id = $1 AND state = 'open'",
        postgres: "SELECT * FROM upload WHERE id = $1 AND state = 'open' FOR UPDATE",
    };
    upload_of(&tx.row(sql, args![id]).await?.ok_or(DbError::Absent)?)
}

/// The last bytes of this video's source are not needed any more: all bytes are there, or never will be.
pub(crate) async fn unwanted(tx: &mut Tx, video: VideoId, reason: &str, now: Millis) -> Result<(), DbError> {
    let sql = "SELECT tail_id FROM upload WHERE video_id = $1 AND tail_id IS NOT NULL";
    match tx.row(sql, args![video]).await? {
        Some(row) => object::unwanted(tx, row.get("tail_id")?, reason, now).await,
        None => Ok(()),
    }
}
