//! What happened to a video, in order: its events and the attempts of its jobs.

use matinee_core::id::{AppId, JobId, PublicationId, UploadId, VideoId};
use matinee_core::time::Millis;
use serde::Serialize;
use serde_json::Value;

use super::Db;
use super::error::DbError;
use super::rendition::renditions_of;
use super::tx::{Sql, Tx};
use super::value::args;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Moment {
    /// An event of the video, its upload, its renditions or its jobs.
    Event {
        /// When it was written.
        at: Millis,
        /// What it is about.
        topic: String,
        /// The text of the id of the thing it happened to.
        subject: String,
        /// The facts.
        payload: Value,
    },
    /// An attempt at a job.
    Attempt {
        /// When it began.
        at: Millis,
        /// The job.
        job: JobId,
        /// The kind of the job.
        kind: String,
        /// The number of the attempt, from 1.
        attempt: u32,
        /// Who worked.
        holder: String,
        /// When it ended.
        ended: Option<Millis>,
        /// How it ended.
        outcome: Option<String>,
        /// What was wrong.
        error: Option<Value>,
    },
}

impl Moment {
    /// When it happened; for an attempt when it began.
    pub const fn at(&self) -> Millis {
        match self {
            Self::Event { at, .. } | Self::Attempt { at, .. } => *at,
        }
    }
}

impl Db {
    /// All that happened to the video of an app, the oldest first; also after its deletion, as far as it is kept.
    pub async fn timeline(&self, app: AppId, video: VideoId) -> Result<Vec<Moment>, DbError> {
        self.read((app, video), |tx, (app, video)| {
            Box::pin(async move {
                let subjects = subjects(tx, *app, *video).await?;
                let mut moments = events(tx, *app, subjects).await?;
                moments.extend(attempts(tx, *app, *video).await?);
                moments.sort_by_key(Moment::at);
                Ok(moments)
            })
        })
        .await
    }
}

async fn subjects(tx: &mut Tx, app: AppId, video: VideoId) -> Result<Value, DbError> {
    let mut subjects = vec![video.to_string()];
    let uploads = "SELECT id FROM upload WHERE video_id = $1 AND app_id = $2";
    for row in tx.rows(uploads, args![video, app]).await? {
        subjects.push(row.get::<UploadId>("id")?.to_string());
    }
    for rendition in renditions_of(tx, video).await? {
        subjects.push(rendition.id.to_string());
    }
    for row in tx.rows("SELECT id FROM publication WHERE video_id = $1", args![video]).await? {
        subjects.push(row.get::<PublicationId>("id")?.to_string());
    }
    for row in tx.rows("SELECT id FROM job WHERE video_id = $1 AND app_id = $2", args![video, app]).await? {
        subjects.push(row.get::<JobId>("id")?.to_string());
    }
    Ok(subjects.into())
}

async fn events(tx: &mut Tx, app: AppId, subjects: Value) -> Result<Vec<Moment>, DbError> {
    let sql = Sql::Each {
        sqlite: "SELECT * FROM event WHERE app_id = $1 AND subject IN (SELECT value FROM json_each($2)) ORDER BY seq",
        postgres: "SELECT * FROM event WHERE app_id = $1
                   AND subject IN (SELECT jsonb_array_elements_text($2)) ORDER BY seq",
    };
    let rows = tx.rows(sql, args![app, subjects]).await?;
    rows.iter()
        .map(|row| {
            Ok(Moment::Event {
                at: row.get("created_ms")?,
                topic: row.get("topic")?,
                subject: row.get("subject")?,
                payload: row.get("payload")?,
            })
        })
        .collect()
}

async fn attempts(tx: &mut Tx, app: AppId, video: VideoId) -> Result<Vec<Moment>, DbError> {
    let sql = "SELECT a.*, j.kind FROM job_attempt a JOIN job j ON j.id = a.job_id
               WHERE j.video_id = $1 AND j.app_id = $2 ORDER BY a.started_ms, a.job_id, a.attempt";
    let rows = tx.rows(sql, args![video, app]).await?;
    rows.iter()
        .map(|row| {
            Ok(Moment::Attempt {
                at: row.get("started_ms")?,
                job: row.get("job_id")?,
                kind: row.get("kind")?,
                attempt: row.get("attempt")?,
                holder: row.get("holder")?,
                ended: row.get("ended_ms")?,
                outcome: row.get("outcome")?,
                error: row.get("error")?,
            })
        })
        .collect()
}
