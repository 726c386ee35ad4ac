//! What a copy job commits: who writes, how far it is, and that the copy is proven.

use matinee_core::id::{EntryId, ObjectId};
use matinee_core::job::Lease;
use matinee_core::replica::{LOCAL, State, Sums};
use matinee_core::time::Millis;
use serde_json::json;

use super::{BegunUpload, Replica, replica_of, replicas, unwanted};
use crate::db::Db;
use crate::db::error::DbError;
use crate::db::job;
use crate::db::object::first_entry;
use crate::db::publication::besides_due_of;
use crate::db::tx::Tx;
use crate::db::value::args;

/// How a copy is known to be good.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proven {
    /// What the store calls exactly these bytes.
    pub version: Option<String>,
    /// What it says of them that changes when they do.
    pub tag: Option<String>,
    /// What they hash to, where that is kept.
    pub sums: Option<Sums>,
}

impl Db {
    /// The holder of `lease` begins to make this copy: nobody deletes it before the attempt is over. `None` when nobody
    /// wants it any more; then the job is done.
    pub async fn begin_copy(
        &self,
        lease: &Lease,
        id: EntryId,
        now: Millis,
    ) -> Result<Option<Replica>, DbError> {
        self.write((*lease, id, now), |tx, (lease, id, now)| {
            Box::pin(async move {
                let row = tx.row(replicas!("WHERE r.id = $1"), args![*id]).await?;
                let replica = row.as_ref().map(replica_of).transpose()?;
                let Some(replica) = replica.filter(is_to_be_made) else {
                    job::settle(tx, lease, *now, Some(json!({ "made": false }))).await?;
                    return Ok(None);
                };
                job::guard(tx, lease, *now).await?;
                let sql = "UPDATE replica SET job_id = $2, attempt = $3 WHERE id = $1";
                tx.execute(sql, args![*id, lease.job, lease.attempt]).await?;
                Ok(Some(replica))
            })
        })
        .await
    }

    /// An upload in parts was begun in the store, before its first part; `None` when it is over.
    pub async fn note_begun(
        &self,
        lease: &Lease,
        id: EntryId,
        begun: Option<BegunUpload>,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((*lease, id, begun, now), |tx, (lease, id, begun, now)| {
            Box::pin(async move {
                job::guard(tx, lease, *now).await?;
                let sql = "UPDATE replica SET begun_upload = $2, begun_part_bytes = $3 WHERE id = $1";
                let upload = begun.as_ref().map(|begun| begun.upload.clone());
                let part_bytes = begun.as_ref().map(|begun| begun.part_bytes);
                tx.execute_one(sql, args![*id, upload, part_bytes]).await
            })
        })
        .await
    }

    /// The copy was read back and is good: it counts, the copy that it replaces goes, and the job is done.
    /// [`DbError::LeaseLost`] when the lease does not hold any more, or nobody wants the copy.
    pub async fn copied(
        &self,
        lease: &Lease,
        id: EntryId,
        proven: Proven,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((*lease, id, proven, now), |tx, (lease, id, proven, now)| {
            Box::pin(copied(tx, *lease, *id, proven.clone(), *now))
        })
        .await
    }

    /// What was read back is not what was written: this copy goes, another one is made under another key, and the job is done.
    pub async fn miscopied(&self, lease: &Lease, id: EntryId, now: Millis) -> Result<(), DbError> {
        self.write((*lease, id, now), |tx, (lease, id, now)| {
            Box::pin(async move {
                job::settle(tx, lease, *now, Some(json!({ "made": false }))).await?;
                unwanted(tx, *id, "miscopied", *now).await?;
                unplace(tx, *id).await
            })
        })
        .await
    }
}

fn is_to_be_made(replica: &Replica) -> bool {
    match replica.state {
        // The first one in the local store is made by whoever makes the object.
        State::Intended => replica.id != first_entry(replica.object),
        // A file of the local store is mended in its place.
        State::Suspect => replica.store == LOCAL,
        State::Present | State::ToDelete => false,
    }
}

async fn copied(
    tx: &mut Tx,
    lease: Lease,
    id: EntryId,
    Proven { version, tag, sums }: Proven,
    now: Millis,
) -> Result<(), DbError> {
    job::settle(tx, &lease, now, Some(json!({ "made": true }))).await?;
    tx.execute("UPDATE ledger SET state = 'present' WHERE id = $1 AND state = 'intended'", args![id]).await?;
    let sql = "UPDATE replica SET state = 'present', version = $2, verified_ms = $3, sha1 = $4, sha256 = $5, tag = $6,
                 begun_upload = NULL, begun_part_bytes = NULL, reason = NULL
               WHERE id = $1 AND state IN ('intended', 'suspect')
                 AND EXISTS (SELECT 1 FROM ledger l WHERE l.id = $1 AND l.state = 'present')
               RETURNING object_id, store, replaces";
    let is_summed = sums.is_some();
    let (sha1, sha256) = sums.map(|sums| (sums.sha1, sums.sha256)).unzip();
    let row = tx.row(sql, args![id, version, now, sha1, sha256, tag]).await?.ok_or(DbError::LeaseLost)?;
    if is_summed {
        // What a host says that it was given can be compared.
        besides_due_of(tx, row.get("object_id")?, now).await?;
    }
    if row.get::<String>("store")? == LOCAL {
        hurry_those_who_wait(tx, row.get("object_id")?, now).await?;
    }
    if let Some(replaced) = row.get::<Option<EntryId>>("replaces")? {
        unwanted(tx, replaced, "moved", now).await?;
    }
    unplace(tx, id).await
}

/// What has failed for want of this file is tried again now.
async fn hurry_those_who_wait(tx: &mut Tx, object: ObjectId, now: Millis) -> Result<(), DbError> {
    let sql = "UPDATE job SET run_at_ms = $2 WHERE state = 1 AND run_at_ms > $2
                 AND video_id = (SELECT video_id FROM object WHERE id = $1)";
    tx.execute(sql, args![object, now]).await?;
    tx.wake_jobs();
    Ok(())
}

/// Its object's copies are to be looked at again: some may be one too many now, or too few.
pub(super) async fn unplace(tx: &mut Tx, id: EntryId) -> Result<(), DbError> {
    let sql = "UPDATE object SET placed = NULL WHERE id = (SELECT object_id FROM replica WHERE id = $1)";
    tx.execute(sql, args![id]).await.map(drop)
}
