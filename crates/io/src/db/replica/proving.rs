//! What looks at copies find, and what follows from it.

use matinee_core::event::Topic;
use matinee_core::id::{EntryId, ObjectId};
use matinee_core::replica::Finding;
use matinee_core::time::Millis;
use serde_json::{Value, json};

use super::copying::unplace;
use super::{Replica, replica_of, replicas, unwanted};
use crate::db::Db;
use crate::db::error::DbError;
use crate::db::lease::lock_video;
use crate::db::told::tell;
use crate::db::tx::{Sql, Tx};
use crate::db::value::args;

/// Which local files of sources may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aged {
    /// A good copy lies in one of these.
    pub stores: Vec<String>,
    /// The video was ready by then.
    pub made: Millis,
    /// If the file was brought back, that was by then.
    pub restored: Millis,
}

impl Db {
    /// At most `limit` good copies in a store that were proven before `before`, longest ago first.
    pub async fn to_scrub(&self, store: &str, before: Millis, limit: u32) -> Result<Vec<Replica>, DbError> {
        self.read((store.to_owned(), before, limit), |tx, (store, before, limit)| {
            Box::pin(async move {
                let sql = replicas!(
                    "WHERE r.store = $1 AND r.state = 'present' AND r.verified_ms < $2 ORDER BY r.verified_ms, r.id LIMIT $3"
                );
                let rows = tx.rows(sql, args![store.as_str(), *before, *limit]).await?;
                rows.iter().map(replica_of).collect()
            })
        })
        .await
    }

    /// At most `limit` bad copies in a store, after this one, of objects that have no good one: perhaps they are good again.
    pub async fn last_bad(
        &self,
        store: &str,
        after: Option<EntryId>,
        limit: u32,
    ) -> Result<Vec<Replica>, DbError> {
        let after = after.unwrap_or(EntryId::from_bits(0));
        self.read((store.to_owned(), after, limit), |tx, (store, after, limit)| {
            Box::pin(async move {
                let sql = replicas!(
                    "WHERE r.store = $1 AND r.state = 'suspect' AND r.id > $2
                       AND NOT EXISTS (SELECT 1 FROM replica good WHERE good.object_id = r.object_id AND good.state = 'present')
                     ORDER BY r.id LIMIT $3"
                );
                let rows = tx.rows(sql, args![store.as_str(), *after, *limit]).await?;
                rows.iter().map(replica_of).collect()
            })
        })
        .await
    }

    /// Keeps what a look at a copy has found. One that is not good is read no more, and another one is made if there is
    /// something that it can be made from; nothing is deleted before.
    pub async fn found(&self, id: EntryId, finding: Finding, now: Millis) -> Result<(), DbError> {
        self.write((id, finding, now), |tx, (id, finding, now)| Box::pin(found(tx, *id, *finding, *now)))
            .await
    }

    /// At most `limit` local files of sources that an archive has, of videos that are ready and of which nothing is being made, here or
    /// at a host, and which play without them.
    pub async fn archived_sources(&self, aged: &Aged, limit: u32) -> Result<Vec<Replica>, DbError> {
        let stores = Value::from(aged.stores.clone());
        self.read((stores, aged.clone(), limit), |tx, (stores, aged, limit)| {
            Box::pin(async move {
                macro_rules! archived {
                    ($names:literal) => {
                        concat!(
                            replicas!(
                                "JOIN video v ON v.source_id = o.id
                                 WHERE r.store = 'local' AND r.state = 'present' AND v.state = 'ready' AND v.deleted_ms IS NULL
                                   AND v.ready_ms <= $1
                                   AND (v.generation > 1 OR EXISTS (SELECT 1 FROM publication p
                                     WHERE p.video_id = v.id AND p.phase = 'ready'))
                                   AND NOT EXISTS (SELECT 1 FROM publication p
                                     WHERE p.video_id = v.id AND p.phase NOT IN ('ready', 'failed'))
                                   AND (r.id = r.object_id OR r.created_ms <= $2)
                                   AND NOT EXISTS (SELECT 1 FROM job j WHERE j.video_id = v.id AND j.state < 3)
                                   AND EXISTS (SELECT 1 FROM replica a WHERE a.object_id = r.object_id AND a.state = 'present'
                                     AND a.store IN ("
                            ),
                            $names,
                            ")) ORDER BY r.id LIMIT $4"
                        )
                    };
                }
                let sql = Sql::Each {
                    sqlite: archived!("SELECT value FROM json_each($3)"),
                    postgres: archived!("SELECT jsonb_array_elements_text($3)"),
                };
                let args = args![aged.made, aged.restored, stores.clone(), *limit];
                tx.rows(sql, args).await?.iter().map(replica_of).collect()
            })
        })
        .await
    }

    /// Gives up the local copy of an object from `when` on, when a good one lies in one of `stores`; `false` when none does.
    pub async fn give_up_local(
        &self,
        replica: &Replica,
        stores: &[String],
        when: Millis,
    ) -> Result<bool, DbError> {
        let args = (replica.id, replica.object, replica.video, stores.to_vec(), when);
        self.write(args, |tx, (id, object, video, stores, when)| {
            Box::pin(async move {
                match lock_video(tx, *video).await {
                    Err(DbError::Absent) => return Ok(false),
                    locked => locked.map(drop)?,
                }
                let sql = "SELECT store FROM replica WHERE object_id = $1 AND state = 'present' AND id <> $2";
                let rows = tx.rows(sql, args![*object, *id]).await?;
                let mut proven = false;
                for row in rows {
                    proven |= stores.contains(&row.get::<String>("store")?);
                }
                if proven {
                    unwanted(tx, *id, "archived", *when).await?;
                }
                Ok(proven)
            })
        })
        .await
    }
}

async fn found(tx: &mut Tx, id: EntryId, finding: Finding, now: Millis) -> Result<(), DbError> {
    let sql = "SELECT o.video_id FROM replica r JOIN object o ON o.id = r.object_id WHERE r.id = $1";
    let Some(row) = tx.row(sql, args![id]).await? else { return Ok(()) };
    match lock_video(tx, row.get("video_id")?).await {
        // It goes anyway.
        Err(DbError::Absent) => return Ok(()),
        locked => locked.map(drop)?,
    }
    if finding == Finding::Good {
        return good(tx, id, now).await;
    }
    let sql = "UPDATE replica SET state = 'suspect', reason = $2, job_id = NULL, attempt = NULL
               WHERE id = $1 AND state = 'present'";
    if tx.execute(sql, args![id, finding.name()]).await? == 0 {
        return Ok(());
    }
    unplace(tx, id).await?;
    let row = tx.row(replicas!("WHERE r.id = $1"), args![id]).await?.ok_or(DbError::Absent)?;
    let bad = replica_of(&row)?;
    let sql = "SELECT count(*) AS good FROM replica WHERE object_id = $1 AND state = 'present'";
    let mut good: u64 = tx.row(sql, args![bad.object]).await?.ok_or(DbError::Absent)?.get("good")?;
    if good == 0 {
        good = keep_last(tx, bad.object).await?;
    }
    let facts = json!({
        "object": bad.object, "kind": bad.kind, "store": bad.store, "found": finding.name(), "good_left": good,
    });
    tell(tx, bad.app, Topic::VideoCopyBad, (bad.video.to_string(), facts), now).await
}

/// It is good; also one that was found bad before, by a disk that was not mounted or a service that was wrong.
async fn good(tx: &mut Tx, id: EntryId, now: Millis) -> Result<(), DbError> {
    let sql = "UPDATE replica SET verified_ms = $2 WHERE id = $1 AND state = 'present'";
    tx.execute(sql, args![id, now]).await?;
    let sql = "UPDATE replica SET state = 'present', reason = NULL, verified_ms = $2 WHERE id = $1 AND state = 'suspect'
                 AND NOT EXISTS (SELECT 1 FROM replica other WHERE other.object_id = replica.object_id
                   AND other.store = replica.store AND other.state IN ('intended', 'present'))";
    if tx.execute(sql, args![id, now]).await? > 0 {
        unplace(tx, id).await?;
    }
    Ok(())
}

/// What was to go because others were there is kept when those have turned out bad: its bytes may be there still. Says how many
/// were kept.
pub(super) async fn keep_last(tx: &mut Tx, object: ObjectId) -> Result<u64, DbError> {
    let sql = "SELECT r.id FROM replica r JOIN ledger l ON l.id = r.id WHERE r.object_id = $1 AND r.state = 'to_delete'
                 AND l.state = 'to_delete' AND l.reason IN ('moved', 'archived')
                 AND NOT EXISTS (SELECT 1 FROM replica other WHERE other.object_id = r.object_id AND other.store = r.store
                   AND other.id > r.id AND other.state <> 'suspect')";
    let mut kept = 0;
    for row in tx.rows(sql, args![object]).await? {
        let id: EntryId = row.get("id")?;
        let sql = "UPDATE ledger SET state = 'present', reason = NULL, next_try_ms = NULL WHERE id = $1 AND state = 'to_delete'";
        if tx.execute(sql, args![id]).await? == 0 {
            continue;
        }
        tx.execute("UPDATE replica SET state = 'present' WHERE id = $1", args![id]).await?;
        kept += 1;
    }
    Ok(kept)
}
