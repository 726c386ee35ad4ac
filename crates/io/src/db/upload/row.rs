//! The row of an upload, as it is read.

use matinee_core::access::sender::Allowance;
use matinee_core::id::{AppId, CollectionId, ObjectId, UploadId, VideoId};
use matinee_core::time::Millis;
use matinee_core::upload::{Phase, State, Way};
use matinee_core::video::Problem;
use serde_json::Value;

use crate::db::error::DbError;
use crate::db::tx::Tx;
use crate::db::value::{Row, args};
use crate::db::word;

/// The mark of a part.
pub(crate) const PARTIAL: &str = "partial";

/// An upload as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its name.
    pub id: UploadId,
    /// The app that pays for it.
    pub app: AppId,
    /// The collection into which the video goes.
    pub collection: CollectionId,
    /// The video that it becomes.
    pub video: VideoId,
    /// The object that its bytes are written to.
    pub object: ObjectId,
    /// The secret part of its URL.
    pub url_key: String,
    /// The way on which the bytes come.
    pub way: Way,
    /// Where it is in its life.
    pub state: State,
    /// The title of the video.
    pub title: String,
    /// The raw `Upload-Metadata` header.
    pub metadata: String,
    /// A JSON object that the app knows of the video.
    pub facts: Value,
    /// The name that the app gave the video.
    pub external_id: Option<String>,
    /// How many bytes are durable.
    pub offset: u64,
    /// The declared length in bytes.
    pub size: Option<u64>,
    /// The pipeline by which its video is encoded.
    pub pipeline: String,
    /// Not before this moment is its video encoded.
    pub run_after: Option<Millis>,
    /// What its sender may do.
    pub allowance: Allowance,
    /// Which connection may commit offsets: the one that took this number.
    pub epoch: u64,
    /// Which node writes it now, where there are several.
    pub hold: Option<Hold>,
    /// The start of the kernel under which bytes behind the offset may count after a crash.
    pub boot: Option<String>,
    /// Why it ended, if it did not end well.
    pub reason: Option<Problem>,
    /// When it was created.
    pub created: Millis,
    /// When its last byte came.
    pub updated: Millis,
    /// When it expires if nothing comes.
    pub expires: Millis,
    /// When it finished.
    pub finished: Option<Millis>,
    /// The header `Upload-Concat` as it came.
    pub concat: Option<String>,
    /// The SHA-256 that the whole must have.
    pub digest: Option<[u8; 32]>,
    /// Since when its address answers no more.
    pub closed: Option<Millis>,
}

impl Upload {
    /// Is it a part, which makes no video of its own?
    pub fn is_partial(&self) -> bool {
        self.concat.as_deref() == Some(PARTIAL)
    }

    /// Do its bytes come from parts?
    pub fn is_final(&self) -> bool {
        self.concat.is_some() && !self.is_partial()
    }
}

/// The right of a node to write an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The name of the node.
    pub node: String,
    /// Until when, without another word.
    pub until: Millis,
}

/// Why a guarded write of an upload changed nothing.
pub(crate) async fn why_not(tx: &mut Tx, id: UploadId, epoch: u64) -> Result<DbError, DbError> {
    let row = tx.row("SELECT state, epoch FROM upload WHERE id = $1", args![id]).await?;
    let Some(row) = row else { return Ok(DbError::Absent) };
    if row.get::<Phase>("state")? != Phase::Open {
        return Ok(DbError::Absent);
    }
    if row.get::<u64>("epoch")? != epoch {
        return Ok(DbError::LeaseLost);
    }
    Ok(DbError::Conflict(
        "an upload's offset only grows, and stays below its length until it is finished".to_owned(),
    ))
}

/// Reads a whole row of `upload`.
pub(crate) fn upload_of(row: &Row) -> Result<Upload, DbError> {
    let (offset, size) = (row.get("offset_bytes")?, row.get("size_bytes")?);
    let state = match row.get::<Phase>("state")? {
        Phase::Open => State::Open { offset, size },
        Phase::Finished => State::Finished { size: offset },
        Phase::Cancelled => State::Cancelled,
        Phase::Expired => State::Expired,
        Phase::Lost => State::Lost,
    };
    Ok(Upload {
        id: row.get("id")?,
        app: row.get("app_id")?,
        collection: row.get("collection_id")?,
        video: row.get("video_id")?,
        object: row.get("object_id")?,
        url_key: row.get("url_key")?,
        way: row.get("way")?,
        state,
        title: row.get("title")?,
        metadata: row.get("metadata")?,
        facts: row.get("facts")?,
        external_id: row.get("external_id")?,
        offset,
        size,
        pipeline: row.get("pipeline")?,
        run_after: row.get("run_after_ms")?,
        allowance: allowance_of(row)?,
        epoch: row.get("epoch")?,
        hold: hold_of(row)?,
        boot: row.get("boot")?,
        reason: word::problem(row, "reason")?,
        created: row.get("created_ms")?,
        updated: row.get("updated_ms")?,
        expires: row.get("expires_ms")?,
        finished: row.get("finished_ms")?,
        concat: row.get("concat")?,
        digest: row.get("digest")?,
        closed: row.get("closed_ms")?,
    })
}

fn allowance_of(row: &Row) -> Result<Allowance, DbError> {
    let origins: Value = row.get("origins")?;
    let origins = serde_json::from_value(origins);
    Ok(Allowance {
        max_bytes: row.get("max_bytes")?,
        max_duration_ms: row.get("max_duration_ms")?,
        deadline: row.get("deadline_ms")?,
        origins: origins.map_err(|error| DbError::Never(format!("origins are no list of texts: {error}")))?,
    })
}

/// Reads who holds an upload.
fn hold_of(row: &Row) -> Result<Option<Hold>, DbError> {
    let (node, until) = (row.get::<Option<String>>("holder")?, row.get::<Option<Millis>>("hold_until_ms")?);
    Ok(node.zip(until).map(|(node, until)| Hold { node, until }))
}
