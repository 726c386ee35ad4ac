//! How uploads end: finished exactly once, or cancelled, expired or lost. One of them wins.

use matinee_core::event::Topic;
use matinee_core::id::{UploadId, VideoId};
use matinee_core::job::load::Load;
use matinee_core::job::{Lease, NewJob, Task};
use matinee_core::quota::{Refusal, Whose};
use matinee_core::time::Millis;
use matinee_core::upload::{Phase, Way};
use matinee_core::video::{Policy, Problem};
use serde_json::json;

use super::Db;
use super::concat::waiting;
use super::error::DbError;
use super::slab::SlabHash;
use super::told::tell;
use super::tx::{Sql, Tx};
use super::upload::row::{Upload, upload_of};
use super::value::args;
use super::{job, object, publication, quota, slab, tail, word};

/// The end of an upload whose last byte is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    /// The upload.
    pub id: UploadId,
    /// The connection that received the last byte; `None` for recovery at the start of a node.
    pub epoch: Option<u64>,
    /// The length of the source in bytes; equal to the declared one, if there is one.
    pub size: u64,
    /// The BLAKE3 hash of the source, if it was computed on the way.
    pub blake3: Option<[u8; 32]>,
    /// Its slabs that no commit has told.
    pub slabs: Vec<SlabHash>,
    /// The job that examines the source.
    pub probe_job: matinee_core::id::JobId,
    /// When it happens.
    pub now: Millis,
}

impl Db {
    /// Finishes an upload exactly once: upload, object, video, probe job and events in one transaction. A repeat
    /// returns the same video and changes nothing.
    ///
    /// [`DbError::Absent`] when it was cancelled, expired or lost before; [`DbError::LeaseLost`] when a newer
    /// connection took it; [`DbError::Conflict`] when another length was declared; [`DbError::Refused`] when the app or
    /// the collection may not have it any more: then the upload has ended, and its bytes go.
    pub async fn finish_upload(&self, finish: &Finish) -> Result<VideoId, DbError> {
        let finished = self.write(finish.clone(), |tx, finish| Box::pin(finish_in(tx, finish))).await?;
        finished.map_err(DbError::Refused)
    }

    /// The same for an upload whose bytes a job brought in: the job is done in the same transaction.
    /// [`DbError::LeaseLost`] when somebody else holds the job.
    pub async fn finish_taken(&self, finish: &Finish, lease: &Lease) -> Result<VideoId, DbError> {
        let finished = self.write((finish.clone(), *lease), |tx, (finish, lease)| {
            Box::pin(async move {
                job::settle(tx, lease, finish.now, None).await?;
                finish_in(tx, finish).await
            })
        });
        finished.await?.map_err(DbError::Refused)
    }

    /// Gives an open upload up; its bytes go. Cancelling twice is cancelling once.
    /// [`DbError::Absent`] when it ended in another way before.
    pub async fn cancel_upload(&self, id: UploadId, now: Millis) -> Result<(), DbError> {
        self.write((id, now), |tx, (id, now)| {
            Box::pin(async move {
                let upload = locked(tx, *id).await?;
                match upload.state.phase() {
                    Phase::Open => end(tx, &upload, End::Cancelled(&cancelled()), *now).await,
                    Phase::Cancelled => Ok(()),
                    Phase::Finished | Phase::Expired | Phase::Lost => Err(DbError::Absent),
                }
            })
        })
        .await
    }

    /// Expires at most `limit` uploads to which nothing came for too long; returns their ids.
    pub async fn expire_uploads(&self, now: Millis, limit: u32) -> Result<Vec<UploadId>, DbError> {
        self.write((now, limit), |tx, (now, limit)| {
            Box::pin(async move {
                // A final upload lives as long as its parts: it ends with the first of them that ends. And what goes to a
                // host ends by the word of the host only: perhaps it is complete there.
                let sql = Sql::Each {
                    sqlite:
                        "SELECT * FROM upload WHERE state = 'open' AND expires_ms <= $1 AND way <> 'direct'
                               AND (concat IS NULL OR concat = 'partial') ORDER BY expires_ms LIMIT $2",
                    postgres:
                        "SELECT * FROM upload WHERE state = 'open' AND expires_ms <= $1 AND way <> 'direct'
                               AND (concat IS NULL OR concat = 'partial')
                             ORDER BY expires_ms LIMIT $2 FOR UPDATE SKIP LOCKED",
                };
                let mut rows = tx.rows(sql, args![*now, *limit]).await?;
                rows.extend(waiting::idle_parts(tx, *now, *limit).await?);
                let mut expired = Vec::new();
                for row in rows {
                    let upload = upload_of(&row)?;
                    end(tx, &upload, End::Expired, *now).await?;
                    expired.push(upload.id);
                }
                Ok(expired)
            })
        })
        .await
    }

    /// Closes the address of a finished upload: its video stays, its sender asks no more. A part that no final upload
    /// needs is given up with its bytes. [`DbError::Absent`] when it is not finished.
    pub async fn close_upload(&self, id: UploadId, now: Millis) -> Result<(), DbError> {
        self.write((id, now), |tx, (id, now)| {
            Box::pin(async move {
                let upload = locked(tx, *id).await?;
                if upload.state.phase() != Phase::Finished {
                    return Err(DbError::Absent);
                }
                if upload.is_partial() && !waiting::is_needed(tx, upload.id).await? {
                    return end(tx, &upload, End::Cancelled(&cancelled()), *now).await;
                }
                let sql = "UPDATE upload SET closed_ms = $2 WHERE id = $1";
                tx.execute_one(sql, args![upload.id, *now]).await
            })
        })
        .await
    }

    /// Ends an upload whose acknowledged bytes are not on the disk any more, or are not what they should be.
    pub async fn lose_upload(&self, id: UploadId, reason: &Problem, now: Millis) -> Result<(), DbError> {
        self.write((id, reason.clone(), now), |tx, (id, reason, now)| {
            Box::pin(async move {
                let upload = locked(tx, *id).await?;
                if upload.state.phase() != Phase::Open {
                    return Err(DbError::Absent);
                }
                end(tx, &upload, End::Lost(reason), *now).await
            })
        })
        .await
    }

    /// Forgets at most `limit` uploads that ended without a video before `before` and of which nothing is left
    /// outside; returns how many.
    pub async fn prune_uploads(&self, before: Millis, limit: u32) -> Result<u64, DbError> {
        self.write((before, limit), |tx, (before, limit)| {
            Box::pin(async move {
                tx.execute(
                    "DELETE FROM upload WHERE id IN (SELECT id FROM upload u
                       WHERE u.state IN ('cancelled', 'expired', 'lost') AND u.updated_ms < $1
                         AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.object_id = u.object_id
                                         AND l.state <> 'gone')
                         AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.video_id = u.video_id
                                         AND l.publication_id IS NOT NULL AND l.state <> 'gone')
                       LIMIT $2)",
                    args![*before, *limit],
                )
                .await
            })
        })
        .await
    }
}

/// The job that was to bring in this video is dead: its upload ends with the reason, unless it is over already.
pub(crate) async fn not_taken(
    tx: &mut Tx,
    video: VideoId,
    reason: &Problem,
    now: Millis,
) -> Result<(), DbError> {
    let row = tx.row("SELECT id FROM upload WHERE video_id = $1", args![video]).await?;
    let Some(row) = row else { return Ok(()) };
    let upload = locked(tx, row.get("id")?).await?;
    match upload.state.phase() {
        Phase::Open => end(tx, &upload, End::Lost(reason), now).await,
        Phase::Finished | Phase::Cancelled | Phase::Expired | Phase::Lost => Ok(()),
    }
}

/// The ends that are no video, each with its reason but the one that says all.
pub(crate) enum End<'a> {
    Cancelled(&'a Problem),
    Expired,
    Lost(&'a Problem),
}

/// Why an upload is over that somebody gave up.
pub(crate) fn cancelled() -> Problem {
    Problem {
        code: "cancelled".to_owned(),
        human: "The upload was given up before its last byte arrived.".to_owned(),
        fix: "Start a new upload if the video is still wanted.".to_owned(),
    }
}

fn expired() -> Problem {
    Problem {
        code: "expired".to_owned(),
        human: "The upload was not finished in time.".to_owned(),
        fix: "Start a new upload; `uploads.idle_timeout`, or `expires_in_s` of an announced one, says how long it may take."
            .to_owned(),
    }
}

/// The upload, locked until the commit.
pub(crate) async fn locked(tx: &mut Tx, id: UploadId) -> Result<Upload, DbError> {
    let sql = Sql::Each {
        sqlite: "SELECT * FROM upload WHERE id = $1",
        postgres: "SELECT * FROM upload WHERE id = $1 FOR UPDATE",
    };
    upload_of(&tx.row(sql, args![id]).await?.ok_or(DbError::Absent)?)
}

/// Finishes an upload in the caller's transaction.
pub(crate) async fn finish_in(tx: &mut Tx, finish: &Finish) -> Result<Result<VideoId, Refusal>, DbError> {
    let upload = locked(tx, finish.id).await?;
    match upload.state.phase() {
        Phase::Cancelled | Phase::Expired | Phase::Lost => return Err(DbError::Absent),
        // Also of a finished one: somebody else has finished it, with bytes of its own.
        Phase::Open | Phase::Finished if finish.epoch.is_some_and(|epoch| epoch != upload.epoch) => {
            return Err(DbError::LeaseLost);
        }
        Phase::Finished => return Ok(Ok(upload.video)),
        Phase::Open => {}
    }
    if upload.concat.is_some() {
        return Err(DbError::Conflict(
            "a part makes no video, and a final upload ends with its parts".to_owned(),
        ));
    }
    if upload.size.is_some_and(|size| size != finish.size) || upload.offset > finish.size {
        return Err(DbError::Conflict("the upload has another length".to_owned()));
    }
    // Long after its beginning: quota, app and collection may not be what they were.
    if let Err(refusal) = still_welcome(tx, &upload, finish).await? {
        end(tx, &upload, End::Lost(&refusal.problem()), finish.now).await?;
        return Ok(Err(refusal));
    }
    filled(tx, upload.id, finish.size, finish.now).await?;
    object::present(tx, (upload.object, finish.size, finish.blake3), finish.now).await?;
    slab::insert(tx, upload.object, &finish.slabs).await?;
    let probe = NewJob {
        id: finish.probe_job,
        app: upload.app,
        video: Some(upload.video),
        task: Task::Probe { video: upload.video },
        prio: 0,
        weight: 0,
        run_at: finish.now,
        needs: Vec::new(),
        load: Load::default(),
        idem_key: Some(format!("probe/{}", upload.video)),
    };
    become_video(tx, &upload, (finish.size, Some(&probe)), finish.now).await?;
    Ok(Ok(upload.video))
}

async fn still_welcome(
    tx: &mut Tx,
    upload: &Upload,
    finish: &Finish,
) -> Result<Result<(), Refusal>, DbError> {
    match quota::reserve(tx, upload.id, (Some(finish.size), finish.size)).await {
        Err(DbError::Refused(refusal)) => return Ok(Err(refusal)),
        Err(error) => return Err(error),
        Ok(()) => {}
    }
    welcome(tx, upload).await
}

/// May the app and the collection of an upload still have its video?
pub(crate) async fn welcome(tx: &mut Tx, upload: &Upload) -> Result<Result<(), Refusal>, DbError> {
    match quota::admit(tx, (upload.app, upload.collection), 0, 0).await {
        Err(DbError::Refused(refusal)) => Ok(Err(refusal)),
        Err(DbError::Absent) => Ok(Err(Refusal::Closed { whose: Whose::Collection })),
        admitted => admitted.map(Ok),
    }
}

/// All bytes of an upload are there.
pub(crate) async fn filled(tx: &mut Tx, id: UploadId, size: u64, now: Millis) -> Result<(), DbError> {
    tx.execute_one(
        "UPDATE upload SET state = 'finished', size_bytes = $2, offset_bytes = $2, updated_ms = $3, finished_ms = $3,
           holder = NULL, hold_until_ms = NULL
         WHERE id = $1 AND state = 'open'",
        args![id, size, now],
    )
    .await
}

/// The video of an upload comes to be, with its first job; what went straight to a host has no source, and no job.
pub(crate) async fn become_video(
    tx: &mut Tx,
    upload: &Upload,
    (size, first): (u64, Option<&NewJob>),
    now: Millis,
) -> Result<(), DbError> {
    let source = (upload.way != Way::Direct).then_some(upload.object);
    tx.execute(
        "INSERT INTO video (id, app_id, collection_id, upload_id, source_id, title, policy, state, generation,
           created_ms, updated_ms, facts, external_id, pipeline, run_after_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'processing', 0, $8, $8, $9, $10, $11, $12)",
        args![
            upload.video,
            upload.app,
            upload.collection,
            upload.id,
            source,
            upload.title.as_str(),
            Policy::App,
            now,
            upload.facts.clone(),
            upload.external_id.as_deref(),
            upload.pipeline.as_str(),
            upload.run_after
        ],
    )
    .await?;
    if let Some(first) = first {
        job::insert(tx, first, now).await?;
    }
    let facts = json!({ "video": upload.video, "size": size });
    tell(tx, upload.app, Topic::UploadCompleted, (upload.id.to_string(), facts), now).await?;
    let facts = json!({ "upload": upload.id, "title": upload.title });
    tell(tx, upload.app, Topic::VideoCreated, (upload.video.to_string(), facts), now).await
}

/// Ends an upload without a video: its bytes go, so does the work that fetches them, and what it had reserved is free.
/// The final uploads that wait for it end with it.
pub(crate) async fn end(tx: &mut Tx, upload: &Upload, ending: End<'_>, now: Millis) -> Result<(), DbError> {
    end_one(tx, upload, ending, now).await?;
    if !upload.is_partial() {
        return Ok(());
    }
    let reason = Problem {
        code: "upload_part_gone".to_owned(),
        human: "A part of this upload was given up or did not come in time.".to_owned(),
        fix: "Upload the file again.".to_owned(),
    };
    for waiting in waiting::waiting_for(tx, upload.id).await? {
        end_one(tx, &waiting, End::Lost(&reason), now).await?;
    }
    Ok(())
}

async fn end_one(tx: &mut Tx, upload: &Upload, ending: End<'_>, now: Millis) -> Result<(), DbError> {
    let (phase, topic, reason) = match ending {
        End::Cancelled(problem) => (Phase::Cancelled, Topic::UploadCancelled, word::stored(problem)),
        End::Expired => (Phase::Expired, Topic::UploadExpired, word::stored(&expired())),
        End::Lost(problem) => (Phase::Lost, Topic::UploadFailed, word::stored(problem)),
    };
    tx.execute_one(
        "UPDATE upload SET state = $2, reason = $3, updated_ms = $4
         WHERE id = $1 AND (state = 'open' OR (state = 'finished' AND concat = 'partial'))",
        args![upload.id, phase, reason.clone(), now],
    )
    .await?;
    object::unwanted(tx, upload.object, word::Word::word(phase), now).await?;
    if upload.is_partial() {
        return Ok(());
    }
    if upload.way == Way::Direct {
        publication::forget(tx, upload.video, word::Word::word(phase), now).await?;
    }
    // What was known of its source goes with it: addresses can be secrets.
    tx.execute("DELETE FROM pull WHERE upload_id = $1", args![upload.id]).await?;
    job::cancel_of_video(tx, upload.video, now).await?;
    tail::unwanted(tx, upload.video, word::Word::word(phase), now).await?;
    let facts = json!({ "video": upload.video, "offset": upload.offset, "reason": reason });
    tell(tx, upload.app, topic, (upload.id.to_string(), facts), now).await
}
