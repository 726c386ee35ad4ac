//! Uploads: created, filled and read. How they end is in `ending`.

pub(crate) mod row;

use matinee_core::access::sender::Allowance;
use matinee_core::event::Topic;
use matinee_core::id::{AppId, CollectionId, ObjectId, UploadId, VideoId};
use matinee_core::ledger::Kind;
use matinee_core::limits::REPEAT_MS;
use matinee_core::quota::{Refusal, reservation};
use matinee_core::time::Millis;
use matinee_core::upload::{Phase, Way};
use serde_json::{Value, json};

use self::row::{Upload, upload_of, why_not};
use super::Db;
use super::error::DbError;
use super::object::{self, NewObject, Owner};
use super::slab::Reached;
use super::told::tell;
use super::tx::{Sql, Tx};
use super::value::args;
use super::{quota, word};

/// An upload to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUpload {
    /// Its name.
    pub id: UploadId,
    /// The app that pays for it.
    pub app: AppId,
    /// The collection into which the video goes.
    pub collection: CollectionId,
    /// The video that it will become; reserved from now on.
    pub video: VideoId,
    /// The object that its bytes are written to; of one that goes to a host only a name.
    pub object: ObjectId,
    /// The secret part of its URL: at least 128 random bits as text.
    pub url_key: String,
    /// The way on which the bytes come.
    pub way: Way,
    /// The title of the video.
    pub title: String,
    /// The raw `Upload-Metadata` header, or an empty text.
    pub metadata: String,
    /// A JSON object that the app knows of the video; handed on to it.
    pub facts: Value,
    /// The name that the app gave the video; unique among its living uploads and their videos.
    pub external_id: Option<String>,
    /// The declared length in bytes, if it is known.
    pub size: Option<u64>,
    /// The pipeline by which its video is encoded.
    pub pipeline: String,
    /// Not before this moment is its video encoded.
    pub run_after: Option<Millis>,
    /// What its sender may do.
    pub allowance: Allowance,
    /// The Idempotency-Key of the one who announced it.
    pub repeat_key: Option<String>,
    /// When it expires if nothing comes.
    pub expires: Millis,
    /// When it is created.
    pub now: Millis,
}

impl Db {
    /// Creates an upload, with the rows of the object that its bytes will be; what it needs of the quotas is reserved.
    ///
    /// [`DbError::Absent`] when the app has no such collection, [`DbError::Refused`] when a quota has not so much left
    /// or the collection is being deleted, [`DbError::Taken`] when the name or the repeat key is given already.
    pub async fn create_upload(&self, new: &NewUpload) -> Result<(), DbError> {
        self.write(new.clone(), |tx, new| Box::pin(create(tx, new))).await
    }

    /// The same, when its sender says what SHA-256 the whole will have.
    pub async fn create_upload_of(&self, new: &NewUpload, digest: [u8; 32]) -> Result<(), DbError> {
        self.write((new.clone(), digest), |tx, (new, digest)| {
            Box::pin(async move {
                insert(tx, new).await?;
                let sql = "UPDATE upload SET digest = $2 WHERE id = $1";
                tx.execute_one(sql, args![new.id, *digest]).await?;
                announce(tx, new).await
            })
        })
        .await
    }

    /// The upload with this secret in its URL, in whatever state it is.
    pub async fn upload_by_key(&self, url_key: &str) -> Result<Option<Upload>, DbError> {
        self.look(url_key.to_owned(), |tx, key| {
            Box::pin(async move {
                let row = tx.row("SELECT * FROM upload WHERE url_key = $1", args![key.as_str()]).await?;
                row.as_ref().map(upload_of).transpose()
            })
        })
        .await
    }

    /// The upload of an app that was announced with this repeat key within a day.
    pub async fn upload_repeated(
        &self,
        app: AppId,
        key: &str,
        now: Millis,
    ) -> Result<Option<Upload>, DbError> {
        self.read((app, key.to_owned(), now.plus(-REPEAT_MS)), |tx, (app, key, since)| {
            Box::pin(async move {
                let sql = "SELECT * FROM upload WHERE app_id = $1 AND repeat_key = $2 AND created_ms >= $3";
                tx.row(sql, args![*app, key.as_str(), *since]).await?.as_ref().map(upload_of).transpose()
            })
        })
        .await
    }

    /// The upload of an app that has this external id and lives, or became a video.
    pub async fn upload_named(&self, app: AppId, external_id: &str) -> Result<Option<Upload>, DbError> {
        self.read((app, external_id.to_owned()), |tx, (app, name)| {
            Box::pin(async move {
                let sql = "SELECT * FROM upload WHERE app_id = $1 AND external_id = $2
                           AND state IN ('open', 'finished')";
                tx.row(sql, args![*app, name.as_str()]).await?.as_ref().map(upload_of).transpose()
            })
        })
        .await
    }

    /// The upload that becomes, or became, this video of an app.
    pub async fn upload_of_video(&self, app: AppId, video: VideoId) -> Result<Option<Upload>, DbError> {
        self.read((app, video), |tx, (app, video)| {
            Box::pin(async move {
                let sql = "SELECT * FROM upload WHERE video_id = $1 AND app_id = $2";
                tx.row(sql, args![*video, *app]).await?.as_ref().map(upload_of).transpose()
            })
        })
        .await
    }

    /// One upload of an app.
    pub async fn upload(&self, app: AppId, id: UploadId) -> Result<Option<Upload>, DbError> {
        self.read((app, id), |tx, (app, id)| {
            Box::pin(async move {
                let row =
                    tx.row("SELECT * FROM upload WHERE id = $1 AND app_id = $2", args![*id, *app]).await?;
                row.as_ref().map(upload_of).transpose()
            })
        })
        .await
    }

    /// Uploads of an app, the newest first, from before `before` on; all phases when `phases` is empty. Parts are not
    /// among them: what they become is.
    pub async fn uploads(
        &self,
        app: AppId,
        phases: &[Phase],
        before: Option<UploadId>,
        limit: u32,
    ) -> Result<Vec<Upload>, DbError> {
        let all = [Phase::Open, Phase::Finished, Phase::Cancelled, Phase::Expired, Phase::Lost];
        let phases = word::list(if phases.is_empty() { &all } else { phases });
        let before = before.unwrap_or(UploadId::from_bits(u128::MAX));
        self.read((app, phases, before, limit), |tx, (app, phases, before, limit)| {
            Box::pin(async move {
                let sql = Sql::Each {
                    sqlite: "SELECT * FROM upload WHERE app_id = $1 AND id < $2
                               AND (concat IS NULL OR concat <> 'partial')
                               AND state IN (SELECT value FROM json_each($3)) ORDER BY id DESC LIMIT $4",
                    postgres: "SELECT * FROM upload WHERE app_id = $1 AND id < $2
                               AND (concat IS NULL OR concat <> 'partial')
                               AND state IN (SELECT jsonb_array_elements_text($3)) ORDER BY id DESC LIMIT $4",
                };
                let rows = tx.rows(sql, args![*app, *before, phases.clone(), *limit]).await?;
                rows.iter().map(upload_of).collect()
            })
        })
        .await
    }

    /// All uploads that take bytes, for the start of a node: compare each with the file that holds its bytes.
    pub async fn open_uploads(&self) -> Result<Vec<Upload>, DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                let rows = tx.rows("SELECT * FROM upload WHERE state = 'open' ORDER BY id", args![]).await?;
                rows.iter().map(upload_of).collect()
            })
        })
        .await
    }

    /// Makes the caller the one connection that may commit offsets, and returns its number.
    /// [`DbError::Absent`] when the upload is over.
    pub async fn take_upload(&self, id: UploadId) -> Result<u64, DbError> {
        self.take_upload_under(id, None).await
    }

    /// Commits that the bytes before `offset` are durable: [`Db::commit_reached`] without slabs.
    pub async fn commit_offset(
        &self,
        upload: (UploadId, u64),
        offset: u64,
        now: Millis,
        expires: Millis,
    ) -> Result<(), DbError> {
        self.commit_reached(upload, Reached { offset, slabs: Vec::new(), now, expires }).await
    }

    /// Saves the length of an upload that did not declare one. It must be above what is already committed; where it
    /// is equal, the upload is complete and [`Db::finish_upload`] says the length.
    pub async fn declare_size(
        &self,
        (id, epoch): (UploadId, u64),
        size: u64,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((id, epoch, size, now), |tx, (id, epoch, size, now)| {
            Box::pin(async move {
                let changed = tx
                    .execute(
                        "UPDATE upload SET size_bytes = $3, updated_ms = $4
                         WHERE id = $1 AND epoch = $2 AND state = 'open'
                           AND (offset_bytes < $3 OR (offset_bytes = $3 AND way = 'resumable'))
                           AND (size_bytes IS NULL OR size_bytes = $3)",
                        args![*id, *epoch, *size, *now],
                    )
                    .await?;
                if changed == 0 {
                    return Err(why_not(tx, *id, *epoch).await?);
                }
                quota::reserve(tx, *id, (Some(*size), 0)).await
            })
        })
        .await
    }
}

/// Creates an upload in the caller's transaction, within the quotas of its app and its collection.
pub(crate) async fn create(tx: &mut Tx, new: &NewUpload) -> Result<(), DbError> {
    insert(tx, new).await?;
    announce(tx, new).await
}

/// Writes the rows of a new upload and of the object that its bytes will be, within the quotas.
pub(crate) async fn insert(tx: &mut Tx, new: &NewUpload) -> Result<(), DbError> {
    enter(tx, new, reservation(new.size, 0)).await?;
    let owner = Owner { app: new.app, video: new.video, lease: None };
    object::intend(tx, owner, NewObject { id: new.object, kind: Kind::Source }, new.now).await
}

/// Writes the row of a new upload alone, which reserves so many bytes.
pub(crate) async fn enter(tx: &mut Tx, new: &NewUpload, reserved: u64) -> Result<(), DbError> {
    if let Some(max) = new.allowance.max_bytes
        && new.size.is_some_and(|size| size > max)
    {
        return Err(DbError::Refused(Refusal::TooLarge { max }));
    }
    quota::admit(tx, (new.app, new.collection), reserved, 1).await?;
    if let Some(key) = &new.repeat_key {
        let sql =
            "UPDATE upload SET repeat_key = NULL WHERE app_id = $1 AND repeat_key = $2 AND created_ms < $3";
        tx.execute(sql, args![new.app, key.as_str(), new.now.plus(-REPEAT_MS)]).await?;
    }
    insert_row(tx, new, reserved).await
}

/// Tells that there is a new upload.
pub(crate) async fn announce(tx: &mut Tx, new: &NewUpload) -> Result<(), DbError> {
    let facts = json!({ "video": new.video, "way": new.way, "title": new.title, "size": new.size });
    tell(tx, new.app, Topic::UploadCreated, (new.id.to_string(), facts), new.now).await
}

async fn insert_row(tx: &mut Tx, new: &NewUpload, reserved: u64) -> Result<(), DbError> {
    let allowance = &new.allowance;
    tx.execute(
        "INSERT INTO upload (id, app_id, collection_id, video_id, object_id, url_key, way, state, title, metadata,
           size_bytes, offset_bytes, epoch, created_ms, updated_ms, expires_ms, facts, external_id,
           reserved_bytes, max_bytes, max_duration_ms, deadline_ms, origins, repeat_key, pipeline,
           run_after_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', $8, $9, $10, 0, 0, $11, $11, $12, $13, $14,
           $15, $16, $17, $18, $19, $20, $21, $22)",
        args![
            new.id,
            new.app,
            new.collection,
            new.video,
            new.object,
            new.url_key.as_str(),
            new.way,
            new.title.as_str(),
            new.metadata.as_str(),
            new.size,
            new.now,
            new.expires,
            new.facts.clone(),
            new.external_id.as_deref(),
            reserved,
            allowance.max_bytes,
            allowance.max_duration_ms,
            allowance.deadline,
            json!(allowance.origins),
            new.repeat_key.as_deref(),
            new.pipeline.as_str(),
            new.run_after
        ],
    )
    .await
    .map(drop)
}
