//! What the job of a publication writes down: asked for, made, sent, refused. All but a fact is under its lease.

use matinee_core::id::PublicationId;
use matinee_core::job::Lease;
use matinee_core::ledger::State;
use matinee_core::limits::HOST_ASK_FIRST_MS;
use matinee_core::publication::{HandOver, Phase};
use matinee_core::time::Millis;
use matinee_core::video::Problem;

use super::row::Publication;
use super::{NewPublication, entry_of, fail, intend, living};
use crate::db::Db;
use crate::db::error::DbError;
use crate::db::job;
use crate::db::lease::{held, settled};
use crate::db::tx::Tx;
use crate::db::value::args;
use crate::db::word;

impl Db {
    /// What the holder of a lease publishes: the publication that is there, or its intent, written now. `None` when it is all
    /// done: then the job is, too.
    pub async fn publication_held(
        &self,
        lease: &Lease,
        (id, host): (PublicationId, &str),
        now: Millis,
    ) -> Result<Option<Publication>, DbError> {
        self.write((*lease, id, host.to_owned(), now), |tx, (lease, id, host, now)| {
            Box::pin(async move {
                let held = held(tx, lease, *now).await?;
                let there = if let Some(there) = living(tx, held.video, host).await? {
                    there
                } else {
                    let host = host.clone();
                    intend(tx, &NewPublication { id: *id, app: held.app, video: held.video, host }, *now)
                        .await?
                };
                if matches!(there.phase, Phase::Waiting | Phase::Uploading) {
                    return Ok(Some(there));
                }
                job::settle(tx, lease, *now, None).await?;
                Ok(None)
            })
        })
        .await
    }

    /// The host is about to be asked to make it, by the holder of a lease or, for what goes straight to it, by anybody.
    /// [`DbError::LeaseLost`] when nobody wants that any more, or somebody else is asking.
    pub async fn publication_asked(
        &self,
        lease: Option<Lease>,
        id: PublicationId,
        (size, hand_over): (u64, HandOver),
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((lease, id, size, hand_over, now), |tx, (lease, id, size, hand_over, now)| {
            Box::pin(async move {
                if let Some(lease) = lease {
                    held(tx, lease, *now).await?;
                }
                let sql = "UPDATE publication SET size_bytes = $2, hand_over = $3 WHERE id = $1 AND phase = 'waiting'";
                if tx.execute(sql, args![*id, *size, *hand_over]).await? == 0 {
                    return Err(DbError::LeaseLost);
                }
                let sql = "UPDATE ledger SET asked_ms = $2, looks = 0 WHERE id = $1 AND state = 'intended'
                             AND remote_id IS NULL AND (asked_ms IS NULL OR looks >= 2)";
                let changed = tx.execute(sql, args![entry_of(*id), *now]).await?;
                if changed == 0 { Err(DbError::LeaseLost) } else { Ok(()) }
            })
        })
        .await
    }

    /// The host has made it, and calls it `remote`; a fact, whoever says it. `false` when nobody wants it any more: then its
    /// ledger row, which knows the name now, is to be deleted.
    pub async fn publication_made(
        &self,
        id: PublicationId,
        (remote, target): (&str, Option<Vec<u8>>),
        now: Millis,
    ) -> Result<bool, DbError> {
        self.write((id, remote.to_owned(), target, now), |tx, (id, remote, target, now)| {
            Box::pin(async move {
                let sql = "UPDATE ledger SET remote_id = $2, state = CASE WHEN state = 'intended' THEN 'present' ELSE state END,
                             next_try_ms = CASE WHEN state = 'to_delete' THEN $3 ELSE next_try_ms END
                           WHERE id = $1 AND state <> 'gone' AND (remote_id IS NULL OR remote_id = $2)
                           RETURNING state";
                let row = tx.row(sql, args![entry_of(*id), remote.as_str(), *now]).await?;
                let state: State = row.ok_or(DbError::Absent)?.get("state")?;
                if state != State::Present {
                    return Ok(false);
                }
                let sql = "UPDATE publication SET remote_id = $2, target = COALESCE($3, target), phase = 'uploading',
                             updated_ms = $4, next_ask_ms = $5 WHERE id = $1 AND phase IN ('waiting', 'uploading')";
                let ask = now.plus(HOST_ASK_FIRST_MS);
                let changed = tx.execute(sql, args![*id, remote.as_str(), target.clone(), *now, ask]).await?;
                Ok(changed > 0)
            })
        })
        .await
    }

    /// Where its bytes go has changed, or how many of them are there. [`DbError::LeaseLost`] when nobody wants it any more.
    pub async fn publication_sent(
        &self,
        lease: &Lease,
        id: PublicationId,
        (target, offset): (Option<Vec<u8>>, u64),
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((*lease, id, target, offset, now), |tx, (lease, id, target, offset, now)| {
            Box::pin(async move {
                held(tx, lease, *now).await?;
                let sql =
                    "UPDATE publication SET target = COALESCE($2, target), offset_bytes = $3, failures = 0
                           WHERE id = $1 AND phase = 'uploading'";
                let changed = tx.execute(sql, args![*id, target.clone(), *offset]).await?;
                if changed == 0 { Err(DbError::LeaseLost) } else { Ok(()) }
            })
        })
        .await
    }

    /// The host has all bytes: the job is done, and nobody needs to know any more where they went.
    pub async fn publication_whole(
        &self,
        lease: &Lease,
        id: PublicationId,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((*lease, id, now), |tx, (lease, id, now)| {
            Box::pin(async move {
                settled(tx, lease, *now).await?;
                let sql =
                    "UPDATE publication SET offset_bytes = COALESCE(size_bytes, offset_bytes), target = NULL,
                             phase = CASE WHEN phase = 'uploading' THEN 'processing' ELSE phase END,
                             updated_ms = $2, next_ask_ms = $3, unchanged = 0, failures = 0 WHERE id = $1";
                tx.execute(sql, args![*id, *now, now.plus(HOST_ASK_FIRST_MS)]).await.map(drop)
            })
        })
        .await
    }

    /// The host fetches its bytes by itself: the job is done.
    pub async fn publication_pulled(
        &self,
        lease: &Lease,
        id: PublicationId,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((*lease, id, now), |tx, (lease, id, now)| {
            Box::pin(async move {
                settled(tx, lease, *now).await?;
                let sql =
                    "UPDATE publication SET updated_ms = $2, next_ask_ms = $3, unchanged = 0, failures = 0 WHERE id = $1";
                tx.execute(sql, args![*id, *now, now.plus(HOST_ASK_FIRST_MS)]).await.map(drop)
            })
        })
        .await
    }

    /// The host does not fetch it: from now on it is sent. [`DbError::LeaseLost`] when nobody wants it any more.
    pub async fn publication_unpulled(
        &self,
        lease: &Lease,
        id: PublicationId,
        reason: &Problem,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((*lease, id, reason.clone(), now), |tx, (lease, id, reason, now)| {
            Box::pin(async move {
                held(tx, lease, *now).await?;
                unpulled(tx, *id, reason).await
            })
        })
        .await
    }

    /// Its bytes could not be sent this time; says how often in a row.
    pub async fn publication_broke(&self, id: PublicationId) -> Result<u32, DbError> {
        self.write(id, |tx, id| {
            Box::pin(async move {
                let sql = "UPDATE publication SET failures = failures + 1 WHERE id = $1 RETURNING failures";
                tx.row(sql, args![*id]).await?.map_or(Ok(0), |row| row.get("failures"))
            })
        })
        .await
    }

    /// The host will not have it: the job is done, and what is left there goes.
    pub async fn publication_refused(
        &self,
        lease: &Lease,
        id: PublicationId,
        reason: &Problem,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((*lease, id, reason.clone(), now), |tx, (lease, id, reason, now)| {
            Box::pin(async move {
                settled(tx, lease, *now).await?;
                fail(tx, *id, reason, *now).await
            })
        })
        .await
    }

    /// Puts the attempt aside until `at`: the host is away, or it is too early for a look.
    pub async fn put_off_publication(&self, lease: &Lease, at: Millis, now: Millis) -> Result<(), DbError> {
        self.write((*lease, at, now), |tx, (lease, at, now)| {
            Box::pin(async move { job::put_off(tx, lease, *at, *now).await })
        })
        .await
    }
}

/// A publication that nobody has asked for yet is sent, for this reason.
pub(super) async fn unpulled(tx: &mut Tx, id: PublicationId, reason: &Problem) -> Result<(), DbError> {
    let sql =
        "UPDATE publication SET hand_over = 'push', pull_refused = $2 WHERE id = $1 AND phase = 'waiting'";
    let changed = tx.execute(sql, args![id, word::stored(reason)]).await?;
    if changed == 0 { Err(DbError::LeaseLost) } else { Ok(()) }
}
