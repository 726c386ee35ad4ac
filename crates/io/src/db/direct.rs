//! Uploads that go straight to a host: no byte of them is ours. What the host says of its video decides what becomes of them,
//! in the transaction in which that is saved.

use matinee_core::event::Topic;
use matinee_core::id::{AppId, PublicationId, VideoId};
use matinee_core::publication::{Phase, Turn};
use matinee_core::time::Millis;
use matinee_core::upload;
use matinee_core::video::Problem;
use serde_json::json;

use super::Db;
use super::ending::{End, become_video, end, filled, locked, welcome};
use super::error::DbError;
use super::lease::lock_video;
use super::publication::row::publication_of;
use super::publication::{NewPublication, Publication, intend};
use super::told::tell;
use super::tx::Tx;
use super::upload::row::{Upload, upload_of};
use super::upload::{announce, enter};
use super::value::{Row, args};
use super::{NewUpload, word};

/// An upload that goes straight to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDirect {
    /// The upload; nothing is ever written to its object.
    pub upload: NewUpload,
    /// The intent to have its video at the host.
    pub publication: PublicationId,
    /// The host.
    pub host: String,
    /// When the host is asked again, unless it has made the video by then.
    pub ask: Millis,
}

/// A video that a host alone has, locked: nobody else decides about it until the commit.
pub(crate) enum Alone {
    /// Its bytes are on their way to the host.
    Arriving(Box<Upload>),
    /// The host has them.
    Video(Box<Upload>),
    /// Nobody wants it any more.
    Over,
}

impl Alone {
    /// The longest video that its sender may send, in milliseconds.
    pub(crate) const fn max_ms(&self) -> Option<u64> {
        match self {
            Self::Arriving(upload) | Self::Video(upload) => upload.allowance.max_duration_ms,
            Self::Over => None,
        }
    }
}

impl Db {
    /// Creates an upload that goes straight to a host, with the intent that the host is asked for.
    ///
    /// [`DbError::Absent`] when the app has no such collection, [`DbError::Refused`] when it may not have another upload,
    /// [`DbError::Taken`] when the name or the repeat key is given already.
    pub async fn create_direct(&self, new: &NewDirect) -> Result<(), DbError> {
        self.write(new.clone(), |tx, new| {
            Box::pin(async move {
                let upload = &new.upload;
                enter(tx, upload, 0).await?;
                let wanted = NewPublication {
                    id: new.publication,
                    app: upload.app,
                    video: upload.video,
                    host: new.host.clone(),
                };
                intend(tx, &wanted, upload.now).await?;
                put_off(tx, new.publication, new.ask).await?;
                announce(tx, upload).await
            })
        })
        .await
    }

    /// Uploads to a host that it has not confirmed yet and is to be asked for now, the oldest first.
    pub async fn directs_waiting(
        &self,
        host: &str,
        now: Millis,
        limit: u32,
    ) -> Result<Vec<(Upload, Publication)>, DbError> {
        self.read((host.to_owned(), now, limit), |tx, (host, now, limit)| {
            Box::pin(async move {
                let sql = "SELECT p.id FROM upload u JOIN publication p ON p.video_id = u.video_id
                           WHERE u.state = 'open' AND u.way = 'direct' AND p.host = $1 AND p.phase = 'waiting'
                             AND COALESCE(p.next_ask_ms, 0) <= $2 ORDER BY p.id LIMIT $3";
                let rows = tx.rows(sql, args![host.as_str(), *now, *limit]).await?;
                with_uploads(tx, &rows).await
            })
        })
        .await
    }

    /// Uploads to a host that had to be complete before `before`, the oldest first.
    pub async fn directs_overdue(
        &self,
        host: &str,
        before: Millis,
        limit: u32,
    ) -> Result<Vec<(Upload, Publication)>, DbError> {
        self.read((host.to_owned(), before, limit), |tx, (host, before, limit)| {
            Box::pin(async move {
                let sql = "SELECT p.id FROM upload u JOIN publication p ON p.video_id = u.video_id
                           WHERE u.state = 'open' AND u.way = 'direct' AND u.expires_ms <= $2 AND p.host = $1
                           ORDER BY u.expires_ms, p.id LIMIT $3";
                let rows = tx.rows(sql, args![host.as_str(), *before, *limit]).await?;
                with_uploads(tx, &rows).await
            })
        })
        .await
    }

    /// A host that has not confirmed an upload is asked again at `at`.
    pub async fn put_off_direct(&self, id: PublicationId, at: Millis) -> Result<(), DbError> {
        self.write((id, at), |tx, (id, at)| Box::pin(put_off(tx, *id, *at))).await
    }

    /// Ends an upload for a host by a verdict. `false` when it is over, or has become a video, or is not late.
    pub async fn end_direct(
        &self,
        id: PublicationId,
        verdict: &Verdict,
        now: Millis,
    ) -> Result<bool, DbError> {
        self.write((id, verdict.clone(), now), |tx, (id, verdict, now)| {
            Box::pin(async move {
                let Some(Alone::Arriving(upload)) = lock(tx, *id).await? else { return Ok(false) };
                let ending = match verdict {
                    Verdict::Late(before) if upload.expires > *before => return Ok(false),
                    Verdict::Late(_) => End::Expired,
                    Verdict::Refused(reason) => End::Lost(reason),
                };
                end(tx, &upload, ending, *now).await.map(|()| true)
            })
        })
        .await
    }
}

/// Why an upload for a host ends without a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It had to be complete before this moment, and the host says that it is not.
    Late(Millis),
    /// The host does not take it.
    Refused(Problem),
}

async fn put_off(tx: &mut Tx, id: PublicationId, at: Millis) -> Result<(), DbError> {
    let sql = "UPDATE publication SET next_ask_ms = $2 WHERE id = $1 AND phase = 'waiting'";
    tx.execute(sql, args![id, at]).await.map(drop)
}

async fn with_uploads(tx: &mut Tx, rows: &[Row]) -> Result<Vec<(Upload, Publication)>, DbError> {
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let id: PublicationId = row.get("id")?;
        let publication = tx.row("SELECT * FROM publication WHERE id = $1", args![id]).await?;
        let Some(publication) = publication.as_ref().map(publication_of).transpose()? else { continue };
        let upload = tx.row("SELECT * FROM upload WHERE video_id = $1", args![publication.video]).await?;
        if let Some(upload) = upload {
            all.push((upload_of(&upload)?, publication));
        }
    }
    Ok(all)
}

/// Locks the upload, or the video that it has become, of a publication that is the only place of its video; `None` when the
/// file of the video is ours. It comes before the lock of the publication, as for everybody who deletes.
pub(crate) async fn lock(tx: &mut Tx, id: PublicationId) -> Result<Option<Alone>, DbError> {
    let sql = "SELECT u.* FROM publication p JOIN upload u ON u.video_id = p.video_id WHERE p.id = $1 AND u.way = 'direct'";
    let Some(row) = tx.row(sql, args![id]).await? else { return Ok(None) };
    let seen = upload_of(&row)?;
    Ok(Some(match seen.state.phase() {
        upload::Phase::Open => {
            let upload = locked(tx, seen.id).await?;
            // What has just become a video is told of next time: its lock would come in the wrong order.
            if upload.state.phase() == upload::Phase::Open {
                Alone::Arriving(Box::new(upload))
            } else {
                Alone::Over
            }
        }
        upload::Phase::Finished => match lock_video(tx, seen.video).await {
            Ok(_) => Alone::Video(Box::new(seen)),
            Err(DbError::Absent) => Alone::Over,
            Err(error) => return Err(error),
        },
        upload::Phase::Cancelled | upload::Phase::Expired | upload::Phase::Lost => Alone::Over,
    }))
}

/// What a host has said of a video that it alone has is what the video is.
pub(crate) async fn follow(
    tx: &mut Tx,
    alone: &Alone,
    (turn, duration_ms): (&Turn, Option<u64>),
    now: Millis,
) -> Result<(), DbError> {
    let upload = match alone {
        Alone::Over => return Ok(()),
        Alone::Video(upload) => upload,
        Alone::Arriving(upload) => {
            if let (Phase::Failed, Some(reason)) = (turn.phase, &turn.reason) {
                return end(tx, upload, End::Lost(reason), now).await;
            }
            if !turn.phase.has_all() || !arrive(tx, upload, now).await? {
                return Ok(());
            }
            upload
        }
    };
    let (app, video) = (upload.app, upload.video);
    if let (Phase::Failed, Some(reason)) = (turn.phase, &turn.reason) {
        return fail(tx, (app, video), reason, now).await;
    }
    tx.execute(
        "UPDATE video SET duration_ms = COALESCE($2, duration_ms), updated_ms = $3 WHERE id = $1",
        args![video, duration_ms, now],
    )
    .await?;
    if turn.phase.plays() {
        play(tx, (app, video), now).await?;
    }
    if turn.phase == Phase::Ready {
        ready(tx, (app, video), now).await?;
    }
    Ok(())
}

/// The host has all bytes: the upload is a video. `false` when its app or collection may not have it any more.
async fn arrive(tx: &mut Tx, upload: &Upload, now: Millis) -> Result<bool, DbError> {
    if let Err(refusal) = welcome(tx, upload).await? {
        end(tx, upload, End::Lost(&refusal.problem()), now).await?;
        return Ok(false);
    }
    let size = upload.size.unwrap_or_default();
    filled(tx, upload.id, size, now).await?;
    become_video(tx, upload, (size, None), now).await?;
    // Nobody needs to know any more where the bytes went.
    let sql = "UPDATE publication SET target = NULL, offset_bytes = $2 WHERE video_id = $1";
    tx.execute(sql, args![upload.video, size]).await?;
    Ok(true)
}

async fn play(tx: &mut Tx, (app, video): (AppId, VideoId), now: Millis) -> Result<(), DbError> {
    let sql = "UPDATE video SET playable_ms = $2 WHERE id = $1 AND playable_ms IS NULL";
    if tx.execute(sql, args![video, now]).await? == 0 {
        return Ok(());
    }
    tell(tx, app, Topic::VideoPlayable, (video.to_string(), json!({ "generation": 0 })), now).await
}

async fn ready(tx: &mut Tx, (app, video): (AppId, VideoId), now: Millis) -> Result<(), DbError> {
    let sql = "UPDATE video SET state = 'ready', ready_ms = $2 WHERE id = $1 AND state = 'processing'";
    if tx.execute(sql, args![video, now]).await? == 0 {
        return Ok(());
    }
    let facts = json!({ "generation": 0, "failed": [] });
    tell(tx, app, Topic::VideoReady, (video.to_string(), facts), now).await
}

/// The only place of a video does not have it: one that was ready, too, cannot be watched any more.
async fn fail(
    tx: &mut Tx,
    (app, video): (AppId, VideoId),
    reason: &Problem,
    now: Millis,
) -> Result<(), DbError> {
    let sql =
        "UPDATE video SET state = 'failed', reason = $2, updated_ms = $3 WHERE id = $1 AND state <> 'failed'";
    if tx.execute(sql, args![video, word::stored(reason), now]).await? == 0 {
        return Ok(());
    }
    tell(tx, app, Topic::VideoFailed, (video.to_string(), word::stored(reason)), now).await
}
