//! Concatenation: parts that make no video, and final uploads that become one when the last of their parts is there.

pub(crate) mod waiting;

use matinee_core::id::{JobId, ObjectId, UploadId};
use matinee_core::job::load::Load;
use matinee_core::job::{Lease, NewJob, Task};
use matinee_core::limits::JOINED_PART_MS;
use matinee_core::time::Millis;
use matinee_core::upload::Phase;

use self::waiting::waiting_for;
use super::Db;
use super::ending::{become_video, filled, locked};
use super::error::DbError;
use super::lease::settled;
use super::tx::Tx;
use super::upload::row::{PARTIAL, upload_of};
use super::upload::{NewUpload, announce, insert};
use super::value::{Row, args};
use super::{job, object};

/// A piece of a final upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinalPart {
    /// The part.
    pub upload: UploadId,
    /// Its bytes.
    pub object: ObjectId,
    /// How many of them are durable.
    pub offset: u64,
    /// How many there will be.
    pub size: Option<u64>,
    /// Where it is in its life.
    pub phase: Phase,
}

impl Db {
    /// Creates a part. Nobody is told: what it becomes a piece of is.
    pub async fn create_part(&self, new: &NewUpload) -> Result<(), DbError> {
        self.write(new.clone(), |tx, new| {
            Box::pin(async move {
                insert(tx, new).await?;
                mark(tx, new.id, PARTIAL).await
            })
        })
        .await
    }

    /// Creates a final upload of these parts of the same app, and finishes it when all of them are there already.
    /// `concat` is its header. [`DbError::Absent`] when one of them is no part, or is over.
    pub async fn create_final(
        &self,
        new: &NewUpload,
        concat: &str,
        parts: &[UploadId],
    ) -> Result<(), DbError> {
        let args = (new.clone(), concat.to_owned(), parts.to_vec());
        self.write(args, |tx, (new, concat, parts)| Box::pin(create_final(tx, new, concat, parts))).await
    }

    /// The parts of a final upload in their order; none when their bytes have been joined.
    pub async fn parts_of_final(&self, id: UploadId) -> Result<Vec<FinalPart>, DbError> {
        self.read(id, |tx, id| Box::pin(parts(tx, *id))).await
    }

    /// Finishes a part, and with it every final upload that waited for nothing else. Twice is once.
    ///
    /// [`DbError::Absent`] when it was cancelled, expired or lost before; [`DbError::LeaseLost`] when a newer
    /// connection took it.
    pub async fn finish_part(
        &self,
        (id, epoch): (UploadId, u64),
        size: u64,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((id, epoch, size, now), |tx, (id, epoch, size, now)| {
            Box::pin(finish_part(tx, (*id, *epoch), *size, *now))
        })
        .await
    }

    /// Publishes the joined source of a final upload, completes the job and inserts the probe. Its parts go soon.
    pub async fn publish_joined(
        &self,
        lease: &Lease,
        joined: (ObjectId, u64),
        probe: NewJob,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((*lease, joined, probe, now), |tx, (lease, joined, probe, now)| {
            Box::pin(publish_joined(tx, lease, *joined, probe, *now))
        })
        .await
    }
}

async fn mark(tx: &mut Tx, id: UploadId, concat: &str) -> Result<(), DbError> {
    tx.execute_one("UPDATE upload SET concat = $2 WHERE id = $1", args![id, concat]).await
}

/// Parts are always locked before the final uploads that they belong to, each kind by its ids, so that nobody waits
/// in a circle, and a part that ends at this very moment sees the final upload or is seen by it.
async fn create_final(tx: &mut Tx, new: &NewUpload, concat: &str, parts: &[UploadId]) -> Result<(), DbError> {
    let mut ordered = parts.to_vec();
    ordered.sort_unstable();
    ordered.dedup();
    for id in ordered {
        let part = locked(tx, id).await?;
        let alive = matches!(part.state.phase(), Phase::Open | Phase::Finished) && part.closed.is_none();
        if part.app != new.app || !part.is_partial() || !alive {
            return Err(DbError::Absent);
        }
    }
    insert(tx, new).await?;
    mark(tx, new.id, concat).await?;
    for (place, part) in (0_u64..).zip(parts) {
        let sql = "INSERT INTO upload_part (final_id, place, part_id) VALUES ($1, $2, $3)";
        tx.execute_one(sql, args![new.id, place, *part]).await?;
    }
    announce(tx, new).await?;
    finish_if_whole(tx, new.id, new.now).await
}

async fn parts(tx: &mut Tx, id: UploadId) -> Result<Vec<FinalPart>, DbError> {
    let sql = "SELECT u.id, u.object_id, u.offset_bytes, u.size_bytes, u.state FROM upload_part p
               JOIN upload u ON u.id = p.part_id WHERE p.final_id = $1 ORDER BY p.place";
    tx.rows(sql, args![id]).await?.iter().map(part_of).collect()
}

fn part_of(row: &Row) -> Result<FinalPart, DbError> {
    Ok(FinalPart {
        upload: row.get("id")?,
        object: row.get("object_id")?,
        offset: row.get("offset_bytes")?,
        size: row.get("size_bytes")?,
        phase: row.get("state")?,
    })
}

async fn finish_part(
    tx: &mut Tx,
    (id, epoch): (UploadId, u64),
    size: u64,
    now: Millis,
) -> Result<(), DbError> {
    let part = locked(tx, id).await?;
    match part.state.phase() {
        Phase::Cancelled | Phase::Expired | Phase::Lost => return Err(DbError::Absent),
        Phase::Open | Phase::Finished if part.epoch != epoch => return Err(DbError::LeaseLost),
        Phase::Finished => return Ok(()),
        Phase::Open => {}
    }
    if !part.is_partial() || part.size.is_some_and(|known| known != size) || part.offset > size {
        return Err(DbError::Conflict("this is no part, or it has another length".to_owned()));
    }
    filled(tx, id, size, now).await?;
    object::present(tx, (part.object, size, None), now).await?;
    for waiting in waiting_for(tx, id).await? {
        finish_if_whole(tx, waiting.id, now).await?;
    }
    Ok(())
}

/// Makes a final upload a video when all of its parts are there; its first job joins them.
async fn finish_if_whole(tx: &mut Tx, id: UploadId, now: Millis) -> Result<(), DbError> {
    let parts = parts(tx, id).await?;
    if parts.iter().any(|part| part.phase != Phase::Finished) {
        return Ok(());
    }
    let upload = locked(tx, id).await?;
    let size = parts.iter().map(|part| part.offset).sum();
    filled(tx, id, size, now).await?;
    let join = NewJob {
        // There is one for each video, so it may have the video's own bits.
        id: JobId::from_bits(upload.video.bits()),
        app: upload.app,
        video: Some(upload.video),
        task: Task::Join { video: upload.video },
        prio: 0,
        weight: 0,
        run_at: now,
        needs: Vec::new(),
        load: Load::default(),
        idem_key: Some(format!("join/{}", upload.video)),
    };
    become_video(tx, &upload, (size, Some(&join)), now).await
}

async fn publish_joined(
    tx: &mut Tx,
    lease: &Lease,
    (object, size): (ObjectId, u64),
    probe: &NewJob,
    now: Millis,
) -> Result<(), DbError> {
    let held = settled(tx, lease, now).await?;
    object::present(tx, (object, size, None), now).await?;
    let row = tx.row("SELECT * FROM upload WHERE video_id = $1", args![held.video]).await?;
    let upload = upload_of(&row.ok_or(DbError::Absent)?)?;
    // Nothing was ever written to the object that was reserved when the upload began.
    object::unwanted(tx, upload.object, "joined", now).await?;
    tx.execute_one("UPDATE upload SET object_id = $2 WHERE id = $1", args![upload.id, object]).await?;
    let sql = "UPDATE video SET source_id = $2, updated_ms = $3 WHERE id = $1";
    tx.execute_one(sql, args![held.video, object, now]).await?;
    let until = now.plus(JOINED_PART_MS);
    tx.execute(
        "UPDATE upload SET expires_ms = $2 WHERE expires_ms > $2 AND state = 'finished'
           AND id IN (SELECT part_id FROM upload_part WHERE final_id = $1)",
        args![upload.id, until],
    )
    .await?;
    tx.execute("DELETE FROM upload_part WHERE final_id = $1", args![upload.id]).await?;
    job::insert(tx, probe, now).await
}
