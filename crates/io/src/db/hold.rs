//! Who writes an upload where several nodes can: held for a while, asked for, and taken from who does not answer.

use matinee_core::id::{ObjectId, UploadId};
use matinee_core::ledger::Kind;
use matinee_core::time::Millis;
use matinee_core::upload::Phase;
use matinee_core::video::Problem;

use super::Db;
use super::ending::{self, End, locked};
use super::error::DbError;
use super::object::{self, NewObject, Owner};
use super::upload::row::{Hold, Upload, why_not};
use super::value::args;

/// A wish to write an upload that was just read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// The upload.
    pub id: UploadId,
    /// The epoch and the offset that it had.
    pub seen: (u64, u64),
    /// The start of the kernel under which bytes behind the offset may count after a crash.
    pub boot: Option<String>,
    /// Who takes it, where there are several nodes.
    pub hold: Option<Hold>,
}

impl Db {
    /// Makes the caller the one connection that may commit offsets, and returns its number.
    ///
    /// [`DbError::Absent`] when the upload is over, [`DbError::LeaseLost`] when it was taken or filled since it was read.
    pub async fn hold_upload(&self, take: Take) -> Result<u64, DbError> {
        self.write(take, |tx, take| {
            Box::pin(async move {
                let (epoch, offset) = take.seen;
                let (holder, until) =
                    take.hold.as_ref().map(|hold| (hold.node.as_str(), hold.until)).unzip();
                let sql = "UPDATE upload SET epoch = epoch + 1, boot = $4, holder = $5, hold_until_ms = $6
                           WHERE id = $1 AND epoch = $2 AND offset_bytes = $3 AND state = 'open' RETURNING epoch";
                let args = args![take.id, epoch, offset, take.boot.as_deref(), holder, until];
                let Some(row) = tx.row(sql, args).await? else {
                    let why = why_not(tx, take.id, epoch).await?;
                    return Err(if matches!(why, DbError::Conflict(_)) { DbError::LeaseLost } else { why });
                };
                row.get("epoch")
            })
        })
        .await
    }

    /// Holds an upload on to which nothing came. [`DbError::LeaseLost`] when somebody else took it.
    pub async fn keep_upload(&self, (id, epoch): (UploadId, u64), until: Millis) -> Result<(), DbError> {
        self.write((id, epoch, until), |tx, (id, epoch, until)| {
            Box::pin(async move {
                let sql = "UPDATE upload SET hold_until_ms = $3
                           WHERE id = $1 AND epoch = $2 AND state = 'open' AND holder IS NOT NULL";
                let kept = tx.execute(sql, args![*id, *epoch, *until]).await?;
                if kept == 0 { Err(DbError::LeaseLost) } else { Ok(()) }
            })
        })
        .await
    }

    /// Gives back what was held under this number, if it still is.
    pub async fn release_upload(&self, (id, epoch): (UploadId, u64)) -> Result<(), DbError> {
        self.write((id, epoch), |tx, (id, epoch)| {
            Box::pin(async move {
                let sql = "UPDATE upload SET holder = NULL, hold_until_ms = NULL
                           WHERE id = $1 AND epoch = $2 AND holder IS NOT NULL";
                tx.execute(sql, args![*id, *epoch]).await.map(drop)
            })
        })
        .await
    }

    /// Gives back what this node holds of an upload, whatever request left it.
    pub async fn let_go(&self, url_key: &str, node: &str) -> Result<(), DbError> {
        self.write((url_key.to_owned(), node.to_owned()), |tx, (key, node)| {
            Box::pin(async move {
                let sql = "UPDATE upload SET holder = NULL, hold_until_ms = NULL WHERE url_key = $1 AND holder = $2";
                tx.execute(sql, args![key.as_str(), node.as_str()]).await.map(drop)
            })
        })
        .await
    }

    /// Takes an upload from a holder that does not answer: what had this number commits nothing more.
    /// [`DbError::LeaseLost`] when that has happened already, [`DbError::Absent`] when the upload is over.
    pub async fn fence_upload(&self, (id, epoch): (UploadId, u64)) -> Result<(), DbError> {
        self.write((id, epoch), |tx, (id, epoch)| {
            Box::pin(async move {
                let sql = "UPDATE upload SET epoch = epoch + 1, holder = NULL, hold_until_ms = NULL
                           WHERE id = $1 AND epoch = $2 AND state = 'open'";
                match tx.execute(sql, args![*id, *epoch]).await? {
                    0 => Err(why_not(tx, *id, *epoch).await?),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    /// Ends an upload as [`Db::lose_upload`] does, unless somebody else took it since it was read or taken under this
    /// number: what one has seen in its file then says nothing any more.
    pub async fn lose_held(
        &self,
        (id, epoch): (UploadId, u64),
        reason: &Problem,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((id, epoch, reason.clone(), now), |tx, (id, epoch, reason, now)| {
            Box::pin(async move {
                let upload = held(tx, *id, *epoch).await?;
                ending::end(tx, &upload, End::Lost(reason), *now).await
            })
        })
        .await
    }

    /// Writes the rows of another object for the bytes of an upload whose file somebody else may still write.
    pub async fn intend_move(
        &self,
        (id, epoch): (UploadId, u64),
        object: ObjectId,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((id, epoch, object, now), |tx, (id, epoch, object, now)| {
            Box::pin(async move {
                let upload = held(tx, *id, *epoch).await?;
                let owner = Owner { app: upload.app, video: upload.video, lease: None };
                object::intend(tx, owner, NewObject { id: *object, kind: Kind::Source }, *now).await
            })
        })
        .await
    }

    /// Holds an upload on while its bytes are copied to another object, which is not forgotten meanwhile.
    /// [`DbError::LeaseLost`] when somebody else took the upload, or the object was given up.
    pub async fn keep_move(
        &self,
        upload: (UploadId, u64),
        object: ObjectId,
        (until, now): (Millis, Millis),
    ) -> Result<(), DbError> {
        self.write((upload, object, until, now), |tx, ((id, epoch), object, until, now)| {
            Box::pin(async move {
                held(tx, *id, *epoch).await?;
                let sql = "UPDATE upload SET hold_until_ms = $2 WHERE id = $1";
                tx.execute_one(sql, args![*id, *until]).await?;
                touch(tx, *object, *now).await
            })
        })
        .await
    }

    /// The bytes of an upload are in another object from now on, and its old file goes.
    pub async fn move_upload(
        &self,
        (id, epoch): (UploadId, u64),
        object: ObjectId,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((id, epoch, object, now), |tx, (id, epoch, object, now)| {
            Box::pin(async move {
                let upload = held(tx, *id, *epoch).await?;
                touch(tx, *object, *now).await?;
                let sql = "INSERT INTO slab (object_id, number, blake3)
                           SELECT $2, number, blake3 FROM slab WHERE object_id = $1";
                tx.execute(sql, args![upload.object, *object]).await?;
                let sql = "UPDATE upload SET object_id = $2 WHERE id = $1";
                tx.execute_one(sql, args![*id, *object]).await?;
                object::unwanted(tx, upload.object, "superseded", *now).await
            })
        })
        .await
    }
}

/// An object that is still being written is as young as now. [`DbError::LeaseLost`] when it was given up.
async fn touch(tx: &mut super::Tx, object: ObjectId, now: Millis) -> Result<(), DbError> {
    let sql = "UPDATE ledger SET created_ms = $2 WHERE object_id = $1 AND state = 'intended'";
    if tx.execute(sql, args![object, now]).await? == 0 { Err(DbError::LeaseLost) } else { Ok(()) }
}

/// An open upload under this number, locked until the commit.
async fn held(tx: &mut super::Tx, id: UploadId, epoch: u64) -> Result<Upload, DbError> {
    let upload = locked(tx, id).await?;
    if upload.state.phase() != Phase::Open {
        return Err(DbError::Absent);
    }
    if upload.epoch == epoch { Ok(upload) } else { Err(DbError::LeaseLost) }
}
