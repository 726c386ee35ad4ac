//! Objects, their replicas and their ledger rows: always written together, always before the bytes.

use matinee_core::id::{AppId, EntryId, ObjectId, VideoId};
use matinee_core::job::Lease;
use matinee_core::ledger::{Kind, State};
use matinee_core::replica::{self, LOCAL};
use matinee_core::time::Millis;

use super::Db;
use super::error::DbError;
use super::lease::held;
use super::replica::stop_copies;
use super::tx::Tx;
use super::value::args;

/// An object that is about to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewObject {
    /// Its name.
    pub id: ObjectId,
    /// What it is for.
    pub kind: Kind,
}

/// An object whose bytes are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// The object.
    pub object: ObjectId,
    /// Its length in bytes.
    pub size: u64,
    /// The BLAKE3 hash of its bytes.
    pub blake3: [u8; 32],
}

/// Whose object it is, and who writes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) app: AppId,
    pub(crate) video: VideoId,
    /// The attempt that writes it; none for the source of an upload.
    pub(crate) lease: Option<Lease>,
}

/// The ledger entry of an object's first place has the object's own bits.
pub const fn first_entry(object: ObjectId) -> EntryId {
    EntryId::from_bits(object.bits())
}

impl Db {
    /// Writes the rows of objects that the holder of `lease` is about to make.
    ///
    /// [`DbError::LeaseLost`] when the lease does not hold any more or the video is deleted.
    pub async fn intend_objects(
        &self,
        lease: &Lease,
        objects: &[NewObject],
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((*lease, objects.to_vec(), now), |tx, (lease, objects, now)| {
            Box::pin(async move {
                let held = held(tx, lease, *now).await?;
                let owner = Owner { app: held.app, video: held.video, lease: Some(*lease) };
                for object in objects {
                    intend(tx, owner, *object, *now).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Gives up objects that nobody will publish: their ledger rows turn to "to delete".
    pub async fn drop_objects(&self, objects: &[ObjectId], now: Millis) -> Result<(), DbError> {
        self.write((objects.to_vec(), now), |tx, (objects, now)| {
            Box::pin(async move {
                for object in objects {
                    // A commit of which nobody heard may have made use of it.
                    unwanted_if_unused(tx, *object, "abandoned", *now).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

/// Writes an object with its replica and ledger row, all intended.
pub(crate) async fn intend(tx: &mut Tx, owner: Owner, object: NewObject, now: Millis) -> Result<(), DbError> {
    let (job, attempt) =
        (owner.lease.map(|lease| lease.job), owner.lease.map(|lease| i64::from(lease.attempt)));
    tx.execute(
        "INSERT INTO object (id, app_id, video_id, kind, job_id, attempt, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![object.id, owner.app, owner.video, object.kind, job, attempt, now],
    )
    .await?;
    tx.execute(
        "INSERT INTO replica (id, object_id, store, key, state, created_ms) VALUES ($1, $2, $3, '', $4, $5)",
        args![first_entry(object.id), object.id, LOCAL, replica::State::Intended, now],
    )
    .await?;
    tx.execute(
        "INSERT INTO ledger (id, app_id, video_id, object_id, place, kind, state, attempts, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8)",
        args![
            first_entry(object.id),
            owner.app,
            owner.video,
            object.id,
            LOCAL,
            object.kind,
            State::Intended,
            now
        ],
    )
    .await
    .map(drop)
}

/// The bytes are there: object, replica and ledger row say so. [`DbError::LeaseLost`] when nobody wants it any more.
pub(crate) async fn present(
    tx: &mut Tx,
    stored: (ObjectId, u64, Option<[u8; 32]>),
    now: Millis,
) -> Result<(), DbError> {
    let (object, size, blake3) = stored;
    let made = tx
        .execute(
            "UPDATE ledger SET state = 'present' WHERE id = $1 AND state = 'intended'",
            args![first_entry(object)],
        )
        .await?;
    if made == 0 {
        return Err(DbError::LeaseLost);
    }
    let sql = "UPDATE replica SET state = 'present', verified_ms = $2 WHERE id = $1";
    tx.execute(sql, args![first_entry(object), now]).await?;
    tx.execute_one(
        "UPDATE object SET size_bytes = $2, blake3 = $3 WHERE id = $1",
        args![object, size, blake3],
    )
    .await
}

/// Nobody wants the object from `when` on: everything of it that may exist is to be deleted.
pub(crate) async fn unwanted(
    tx: &mut Tx,
    object: ObjectId,
    reason: &str,
    when: Millis,
) -> Result<(), DbError> {
    tx.execute(
        "UPDATE ledger SET state = 'to_delete', reason = $2, next_try_ms = $3
         WHERE object_id = $1 AND state IN ('intended', 'present')",
        args![object, reason, when],
    )
    .await?;
    tx.execute("UPDATE replica SET state = 'to_delete' WHERE object_id = $1", args![object]).await?;
    stop_copies(tx, object, when).await
}

/// The same as [`unwanted`], unless a part, a rendition, a picture, a caption or a video still points at the object.
pub(crate) async fn unwanted_if_unused(
    tx: &mut Tx,
    object: ObjectId,
    reason: &str,
    when: Millis,
) -> Result<(), DbError> {
    let used = tx
        .row(
            "SELECT 1 AS used WHERE EXISTS (SELECT 1 FROM part WHERE object_id = $1)
               OR EXISTS (SELECT 1 FROM part WHERE source_id = $1)
               OR EXISTS (SELECT 1 FROM caption WHERE object_id = $1)
               OR EXISTS (SELECT 1 FROM object o JOIN rendition r ON r.video_id = o.video_id
                          WHERE o.id = $1 AND (r.file_id = $1 OR r.webm_id = $1))
               OR EXISTS (SELECT 1 FROM object o JOIN video v ON v.id = o.video_id
                          WHERE o.id = $1 AND (v.source_id = $1 OR v.work_id = $1 OR v.poster_id = $1
                            OR v.preview_id = $1))
               OR EXISTS (SELECT 1 FROM object o JOIN sheet s ON s.video_id = o.video_id
                          WHERE o.id = $1 AND s.object_id = $1)",
            args![object],
        )
        .await?;
    if used.is_some() { Ok(()) } else { unwanted(tx, object, reason, when).await }
}
