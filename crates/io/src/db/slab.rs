//! Slabs of a source: their hashes are committed with the offset behind them.

use matinee_core::id::{ObjectId, UploadId};
use matinee_core::limits::UPLOAD_HOLD_MS;
use matinee_core::time::Millis;

use super::Db;
use super::error::DbError;
use super::quota;
use super::tx::Tx;
use super::upload::row::why_not;
use super::value::args;

/// The node of a slab in the BLAKE3 tree of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlabHash {
    /// Its place in the object, from 0 on.
    pub number: u64,
    /// The chaining value.
    pub blake3: [u8; 32],
}

/// How far the bytes of an upload are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The offset behind the last durable byte.
    pub offset: u64,
    /// Slabs that were closed since the last commit.
    pub slabs: Vec<SlabHash>,
    /// When it happens.
    pub now: Millis,
    /// When the upload expires if nothing more comes.
    pub expires: Millis,
}

impl Db {
    /// The same as [`Db::take_upload`]; and should this process die under this start of the kernel, the bytes behind
    /// the last commit count, too.
    pub async fn take_upload_under(&self, id: UploadId, boot: Option<&str>) -> Result<u64, DbError> {
        self.write((id, boot.map(str::to_owned)), |tx, (id, boot)| {
            Box::pin(async move {
                let sql =
                    "UPDATE upload SET epoch = epoch + 1, boot = $2, holder = NULL, hold_until_ms = NULL
                           WHERE id = $1 AND state = 'open' RETURNING epoch";
                tx.row(sql, args![*id, boot.as_deref()]).await?.ok_or(DbError::Absent)?.get("epoch")
            })
        })
        .await
    }

    /// Commits that bytes are durable, with the hashes of their slabs; who holds the upload holds it on. The commit that
    /// would make an upload of known length complete is refused: that one is [`Db::finish_upload`], so no row ever shows
    /// a complete, unfinished upload. Only in the IETF protocol the sender says in so many words that all is there.
    ///
    /// [`DbError::LeaseLost`] when a newer connection took it, [`DbError::Absent`] when the upload is over.
    pub async fn commit_reached(
        &self,
        (id, epoch): (UploadId, u64),
        reached: Reached,
    ) -> Result<(), DbError> {
        self.write((id, epoch, reached), |tx, (id, epoch, reached)| {
            Box::pin(async move {
                let sql = "UPDATE upload SET offset_bytes = $3, updated_ms = $4,
                             hold_until_ms = CASE WHEN holder IS NULL THEN NULL ELSE $6 END,
                             expires_ms = CASE WHEN deadline_ms < $5 THEN deadline_ms ELSE $5 END
                           WHERE id = $1 AND epoch = $2 AND state = 'open' AND offset_bytes <= $3
                             AND (size_bytes IS NULL OR size_bytes > $3
                                  OR (size_bytes = $3 AND way = 'resumable'))
                           RETURNING object_id, size_bytes";
                let until = reached.now.plus(UPLOAD_HOLD_MS);
                let args = args![*id, *epoch, reached.offset, reached.now, reached.expires, until];
                let Some(row) = tx.row(sql, args).await? else { return Err(why_not(tx, *id, *epoch).await?) };
                // A known length was reserved as a whole.
                if row.get::<Option<u64>>("size_bytes")?.is_none() {
                    quota::reserve(tx, *id, (None, reached.offset)).await?;
                }
                insert(tx, row.get("object_id")?, &reached.slabs).await
            })
        })
        .await
    }

    /// The slabs of an object that are hashed, in order; none when it is one slab.
    pub async fn slabs(&self, object: ObjectId) -> Result<Vec<SlabHash>, DbError> {
        self.read(object, |tx, object| {
            Box::pin(async move {
                let sql = "SELECT number, blake3 FROM slab WHERE object_id = $1 ORDER BY number";
                let rows = tx.rows(sql, args![*object]).await?;
                let hash = |row: &super::value::Row| {
                    Ok(SlabHash { number: row.get("number")?, blake3: row.get("blake3")? })
                };
                rows.iter().map(hash).collect()
            })
        })
        .await
    }
}

/// A slab may come twice: when the process died between the bytes and the commit.
pub(crate) async fn insert(tx: &mut Tx, object: ObjectId, slabs: &[SlabHash]) -> Result<(), DbError> {
    for slab in slabs {
        tx.execute(
            "INSERT INTO slab (object_id, number, blake3) VALUES ($1, $2, $3)
             ON CONFLICT (object_id, number) DO UPDATE SET blake3 = excluded.blake3",
            args![object, slab.number, slab.blake3],
        )
        .await?;
    }
    Ok(())
}
