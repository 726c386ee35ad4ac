//! Uploads whose bytes the server fetches itself: made with their job, continued, finished together with it.

use matinee_core::id::{AppId, JobId, UploadId, VideoId};
use matinee_core::job::load::Load;
use matinee_core::job::{Lease, NewJob, Task};
use matinee_core::time::Millis;
use matinee_core::upload::Phase;
use matinee_core::video::Problem;
use serde_json::Value;

use super::Db;
use super::ending::{self, Finish};
use super::error::DbError;
use super::job;
use super::tx::Tx;
use super::upload::row::{Upload, upload_of};
use super::upload::{self, NewUpload};
use super::value::{Row, args};

/// An upload to create together with the job that fetches its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPull {
    /// The upload.
    pub upload: NewUpload,
    /// Where its bytes are.
    pub url: String,
    /// The right to get them, if it needs one.
    pub bearer: Option<String>,
    /// Where a fresh address is asked for when this one is refused.
    pub place: Option<Value>,
    /// The job.
    pub job: JobId,
    /// A second wish with the same key is the first one.
    pub idem_key: Option<String>,
}

/// What the job knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// The upload as it is.
    pub upload: Upload,
    /// Where its bytes are.
    pub url: String,
    /// The right to get them.
    pub bearer: Option<String>,
    /// The `ETag` or date of the file at the last connection.
    pub mark: Option<String>,
    /// How often the file turned out to be another one.
    pub restarts: u32,
    /// Where a fresh address is asked for.
    pub place: Option<Value>,
}

/// What became of a wish to create a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulled {
    /// The upload, this one or the one that an earlier wish with the same key made.
    pub upload: UploadId,
    /// It was made now.
    pub fresh: bool,
}

/// An event of Zoom with the files that are to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoomEvent {
    /// The account.
    pub account: String,
    /// The meeting.
    pub meeting: String,
    /// The name of the event.
    pub event: &'static str,
    /// Its own time, the same in a duplicate.
    pub event_ms: i64,
    /// The key of each file in its meeting, with the upload that fetches it.
    pub files: Vec<(String, NewPull)>,
    /// When it came.
    pub now: Millis,
}

impl Db {
    /// Creates an upload and its job in one transaction; an earlier wish with the same key is returned instead.
    pub async fn create_pull(&self, new: &NewPull) -> Result<Pulled, DbError> {
        self.write(new.clone(), |tx, new| Box::pin(create(tx, new))).await
    }

    /// Writes down an event of Zoom and takes each file that no event named before; returns how many.
    pub async fn zoom_event(&self, event: &ZoomEvent) -> Result<u32, DbError> {
        self.write(event.clone(), |tx, event| Box::pin(take_event(tx, event))).await
    }

    /// What there is to fetch for this video; `None` when the upload is over.
    pub async fn pull(&self, app: AppId, video: VideoId) -> Result<Option<Pull>, DbError> {
        self.read((app, video), |tx, (app, video)| {
            Box::pin(async move {
                let sql = "SELECT u.*, p.url, p.bearer, p.mark, p.restarts, p.place FROM pull p
                           JOIN upload u ON u.id = p.upload_id
                           WHERE p.video_id = $1 AND p.app_id = $2 AND u.state = 'open'";
                tx.row(sql, args![*video, *app]).await?.as_ref().map(pull_of).transpose()
            })
        })
        .await
    }

    /// Remembers which file is being fetched.
    pub async fn mark_pull(&self, id: UploadId, mark: Option<&str>) -> Result<(), DbError> {
        self.write((id, mark.map(str::to_owned)), |tx, (id, mark)| {
            Box::pin(async move {
                let sql = "UPDATE pull SET mark = $2 WHERE upload_id = $1";
                tx.execute_one(sql, args![*id, mark.clone()]).await
            })
        })
        .await
    }

    /// Remembers a fresh address of the same file.
    pub async fn renew_pull(&self, id: UploadId, url: &str, bearer: Option<&str>) -> Result<(), DbError> {
        self.write((id, url.to_owned(), bearer.map(str::to_owned)), |tx, (id, url, bearer)| {
            Box::pin(async move {
                let sql = "UPDATE pull SET url = $2, bearer = $3 WHERE upload_id = $1";
                tx.execute_one(sql, args![*id, url.as_str(), bearer.clone()]).await
            })
        })
        .await
    }

    /// The file is another one than before: what is here is forgotten. `size` is what is known of the new one.
    pub async fn restart_pull(
        &self,
        (id, epoch): (UploadId, u64),
        size: Option<u64>,
    ) -> Result<u32, DbError> {
        self.write((id, epoch, size), |tx, (id, epoch, size)| {
            Box::pin(async move {
                let sql = "UPDATE upload SET offset_bytes = 0, size_bytes = $3
                           WHERE id = $1 AND epoch = $2 AND state = 'open'";
                if tx.execute(sql, args![*id, *epoch, *size]).await? == 0 {
                    return Err(DbError::LeaseLost);
                }
                // The other file has slabs of its own, and perhaps fewer.
                let sql = "DELETE FROM slab WHERE object_id = (SELECT object_id FROM upload WHERE id = $1)";
                tx.execute(sql, args![*id]).await?;
                let sql = "UPDATE pull SET mark = NULL, restarts = restarts + 1 WHERE upload_id = $1
                           RETURNING restarts";
                tx.row(sql, args![*id]).await?.ok_or(DbError::Absent)?.get("restarts")
            })
        })
        .await
    }

    /// Finishes the upload and completes the job that fetched it, in one transaction.
    pub async fn finish_pull(&self, finish: &Finish, lease: &Lease) -> Result<VideoId, DbError> {
        let finished = self.write((finish.clone(), *lease), |tx, (finish, lease)| {
            Box::pin(async move {
                job::settle(tx, lease, finish.now, None).await?;
                let finished = ending::finish_in(tx, finish).await?;
                forget(tx, finish.id).await?;
                Ok(finished)
            })
        });
        finished.await?.map_err(DbError::Refused)
    }
}

pub(crate) async fn create(tx: &mut Tx, new: &NewPull) -> Result<Pulled, DbError> {
    if let Some(key) = &new.idem_key {
        let sql = "SELECT u.id FROM job j JOIN upload u ON u.video_id = j.video_id WHERE j.idem_key = $1";
        if let Some(row) = tx.row(sql, args![key.as_str()]).await? {
            return Ok(Pulled { upload: row.get("id")?, fresh: false });
        }
    }
    insert(tx, new).await?;
    Ok(Pulled { upload: new.upload.id, fresh: true })
}

async fn insert(tx: &mut Tx, new: &NewPull) -> Result<(), DbError> {
    let upload = &new.upload;
    upload::create(tx, upload).await?;
    tx.execute(
        "INSERT INTO pull (upload_id, app_id, video_id, url, bearer, mark, restarts, place, created_ms)
         VALUES ($1, $2, $3, $4, $5, NULL, 0, $6, $7)",
        args![
            upload.id,
            upload.app,
            upload.video,
            new.url.as_str(),
            new.bearer.clone(),
            new.place.clone(),
            upload.now
        ],
    )
    .await?;
    let fetch = NewJob {
        id: new.job,
        app: upload.app,
        video: Some(upload.video),
        task: Task::Fetch { video: upload.video },
        prio: 0,
        weight: 0,
        run_at: upload.now,
        needs: Vec::new(),
        load: Load::default(),
        idem_key: new.idem_key.clone(),
    };
    job::insert(tx, &fetch, upload.now).await
}

async fn take_event(tx: &mut Tx, event: &ZoomEvent) -> Result<u32, DbError> {
    tx.execute(
        "INSERT INTO zoom_event (account_id, meeting_uuid, event, event_ms, deliveries, created_ms)
         VALUES ($1, $2, $3, $4, 1, $5)
         ON CONFLICT (account_id, meeting_uuid, event, event_ms)
           DO UPDATE SET deliveries = zoom_event.deliveries + 1",
        args![event.account.as_str(), event.meeting.as_str(), event.event, event.event_ms, event.now],
    )
    .await?;
    let mut taken = 0;
    for (key, new) in &event.files {
        let sql = "INSERT INTO zoom_file (account_id, meeting_uuid, file_key, upload_id, created_ms)
                   VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        let file =
            args![event.account.as_str(), event.meeting.as_str(), key.as_str(), new.upload.id, event.now];
        if tx.execute(sql, file).await? == 1 {
            insert(tx, new).await?;
            taken += 1;
        }
    }
    Ok(taken)
}

/// The upload is over, and what was known of its source goes with it: addresses can be secrets.
async fn forget(tx: &mut Tx, upload: UploadId) -> Result<(), DbError> {
    tx.execute("DELETE FROM pull WHERE upload_id = $1", args![upload]).await.map(drop)
}

/// The job of a pull was given up: its upload ends with the same reason, in the same transaction.
pub(crate) async fn died(tx: &mut Tx, video: VideoId, reason: &Problem, now: Millis) -> Result<(), DbError> {
    let Some(upload) = open_of(tx, video).await? else { return Ok(()) };
    ending::end(tx, &upload, ending::End::Lost(reason), now).await
}

/// The job of a pull is not wanted any more, and so its upload is not either.
pub(crate) async fn unwanted(tx: &mut Tx, video: VideoId, now: Millis) -> Result<(), DbError> {
    let Some(upload) = open_of(tx, video).await? else { return Ok(()) };
    ending::end(tx, &upload, ending::End::Cancelled(&ending::cancelled()), now).await
}

async fn open_of(tx: &mut Tx, video: VideoId) -> Result<Option<Upload>, DbError> {
    let Some(row) = tx.row("SELECT id FROM upload WHERE video_id = $1", args![video]).await? else {
        return Ok(None);
    };
    let upload = ending::locked(tx, row.get("id")?).await?;
    Ok((upload.state.phase() == Phase::Open).then_some(upload))
}

fn pull_of(row: &Row) -> Result<Pull, DbError> {
    Ok(Pull {
        upload: upload_of(row)?,
        url: row.get("url")?,
        bearer: row.get("bearer")?,
        mark: row.get("mark")?,
        restarts: row.get("restarts")?,
        place: row.get("place")?,
    })
}
