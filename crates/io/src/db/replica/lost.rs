//! A store that is lost for ever: nothing in it is waited for any more, and what lay there is made anew from other copies.

use matinee_core::event::Topic;
use matinee_core::id::{AppId, EntryId, ObjectId, VideoId};
use matinee_core::ledger;
use matinee_core::time::Millis;
use serde_json::json;

use super::proving::keep_last;
use crate::db::Db;
use crate::db::error::DbError;
use crate::db::ledger::{is_for_others, lock_last, prune_if_gone};
use crate::db::told::tell;
use crate::db::tx::Tx;
use crate::db::value::args;

/// What is lost with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// Rows of the ledger that nothing is waited for any more.
    pub entries: u64,
    /// Objects of which that was the only good copy.
    pub last: u64,
}

impl Db {
    /// What would be lost with a store.
    pub async fn would_lose(&self, store: &str) -> Result<Lost, DbError> {
        self.read(store.to_owned(), |tx, store| {
            Box::pin(async move {
                let sql = "SELECT count(*) AS entries FROM ledger WHERE place = $1 AND state <> 'gone'
                             AND object_id IS NOT NULL";
                let entries =
                    tx.row(sql, args![store.as_str()]).await?.ok_or(DbError::Absent)?.get("entries")?;
                let sql = "SELECT count(*) AS last FROM replica r WHERE r.store = $1 AND r.state = 'present'
                             AND NOT EXISTS (SELECT 1 FROM replica other WHERE other.object_id = r.object_id
                               AND other.store <> $1 AND other.state = 'present')";
                let last = tx.row(sql, args![store.as_str()]).await?.ok_or(DbError::Absent)?.get("last")?;
                Ok(Lost { entries, last })
            })
        })
        .await
    }

    /// A store is lost from now on, and gets nothing more; or it is there again, empty. `None` takes it back. In both cases it is
    /// not known any more which place it is.
    pub async fn mark_lost(&self, store: &str, since: Option<Millis>) -> Result<(), DbError> {
        self.write((store.to_owned(), since), |tx, (store, since)| {
            Box::pin(async move {
                let sql = "INSERT INTO store_state (name, lost_ms) VALUES ($1, $2)
                           ON CONFLICT (name) DO UPDATE SET lost_ms = excluded.lost_ms, away_ms = NULL, retry_ms = NULL,
                             error = NULL, identity = NULL, plate_ms = NULL, elsewhere_ms = NULL";
                tx.execute(sql, args![store.as_str(), *since]).await.map(drop)
            })
        })
        .await
    }

    /// Nothing is waited for any more of at most `limit` things in a lost store, after this one: their rows say why, and their objects
    /// get copies elsewhere. Returns how many there were, of how many objects no good copy is left, and after which to go on.
    pub async fn lose(
        &self,
        (store, reason): (&str, &str),
        after: Option<EntryId>,
        limit: u32,
        now: Millis,
    ) -> Result<(Lost, Option<EntryId>), DbError> {
        let after = after.unwrap_or(EntryId::from_bits(0));
        let args = (store.to_owned(), reason.to_owned(), after, limit, now);
        self.write(args, |tx, (store, reason, after, limit, now)| {
            Box::pin(async move {
                let sql = "SELECT id FROM ledger WHERE place = $1 AND state <> 'gone' AND object_id IS NOT NULL AND id > $3
                             ORDER BY id LIMIT $2";
                let rows = tx.rows(sql, args![store.as_str(), *limit, *after]).await?;
                let (mut lost, mut reached) = (Lost::default(), None);
                for row in &rows {
                    let entry = row.get("id")?;
                    reached = Some(entry);
                    if let Some(is_last) = lose(tx, entry, (store, reason), *now).await? {
                        lost.entries += 1;
                        lost.last += u64::from(is_last);
                    }
                }
                Ok((lost, reached))
            })
        })
        .await
    }
}

struct One {
    entry: EntryId,
    app: AppId,
    video: VideoId,
    object: ObjectId,
    state: ledger::State,
    reason: Option<String>,
}

/// Says whether no good copy is left of something that is wanted; nothing when it was gone by itself meanwhile.
async fn lose(
    tx: &mut Tx,
    entry: EntryId,
    (store, reason): (&str, &str),
    now: Millis,
) -> Result<Option<bool>, DbError> {
    // Who places copies, or gives some up because others are there, must see this one go, and the other way round.
    lock_last(tx, entry).await?;
    let sql =
        "SELECT app_id, video_id, object_id, state, reason FROM ledger WHERE id = $1 AND state <> 'gone'";
    let Some(row) = tx.row(sql, args![entry]).await? else { return Ok(None) };
    let one = One {
        entry,
        app: row.get("app_id")?,
        video: row.get("video_id")?,
        object: row.get("object_id")?,
        state: row.get("state")?,
        reason: row.get("reason")?,
    };
    write_off(tx, &one, (store, reason), now).await?;
    if one.state == ledger::State::ToDelete {
        // It was to go, and has gone. What only moved is wanted still.
        let has_moved = is_for_others(one.reason.as_deref());
        let sql = "DELETE FROM object WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM replica WHERE object_id = $1) AND NOT $2";
        tx.execute(sql, args![one.object, has_moved]).await?;
        prune_if_gone(tx, one.video).await?;
        return Ok(Some(false));
    }
    tx.execute("UPDATE object SET placed = NULL WHERE id = $1", args![one.object]).await?;
    let sql = "SELECT count(*) AS good FROM replica WHERE object_id = $1 AND state = 'present'";
    let mut good: u64 = tx.row(sql, args![one.object]).await?.ok_or(DbError::Absent)?.get("good")?;
    if one.state != ledger::State::Present {
        return Ok(Some(false));
    }
    if good == 0 {
        good = keep_last(tx, one.object).await?;
    }
    let facts = json!({ "object": one.object, "store": store, "found": "lost", "good_left": good });
    tell(tx, one.app, Topic::VideoCopyBad, (one.video.to_string(), facts), now).await?;
    Ok(Some(good == 0))
}

/// The row of a copy says why nothing is waited for any more, and nobody works for it.
async fn write_off(
    tx: &mut Tx,
    one: &One,
    (store, reason): (&str, &str),
    now: Millis,
) -> Result<(), DbError> {
    let proof = json!({ "lost": store, "because": reason, "at_ms": now.0 });
    let sql =
        "UPDATE ledger SET state = 'gone', reason = 'lost', proof = $2, proven_ms = $3, next_try_ms = NULL
               WHERE id = $1 AND state <> 'gone'";
    tx.execute(sql, args![one.entry, proof, now]).await?;
    let sql = "UPDATE job SET state = 5, finished_ms = $2 WHERE state IN (0, 1)
                 AND id IN (SELECT job_id FROM replica WHERE id = $1)";
    tx.execute(sql, args![one.entry, now]).await?;
    let sql = "UPDATE job SET cancel_requested = $2 WHERE state = 2 AND id IN (SELECT job_id FROM replica WHERE id = $1)";
    tx.execute(sql, args![one.entry, true]).await?;
    tx.execute("DELETE FROM replica WHERE id = $1", args![one.entry]).await.map(drop)
}
