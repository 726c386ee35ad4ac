//! A store that is lost for ever: nothing in it is waited for any more, and what lay there is made anew from other copies.

use matinee_core::event::Topic;
use matinee_core::id::{AppId, EntryId, ObjectId, VideoId};
use matinee_core::ledger;
use matinee_core::time::Millis;
use serde_json::json;

use crate::db::Db;
use crate::db::error::DbError;
use crate::db::ledger::prune_if_gone;
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

    /// A store is lost from now on, and gets nothing more; or it is there again, empty. `None` takes it back.
    pub async fn mark_lost(&self, store: &str, since: Option<Millis>) -> Result<(), DbError> {
        self.write((store.to_owned(), since), |tx, (store, since)| {
            Box::pin(async move {
                let sql = "INSERT INTO store_state (name, lost_ms) VALUES ($1, $2)
                           ON CONFLICT (name) DO UPDATE SET lost_ms = excluded.lost_ms, away_ms = NULL, retry_ms = NULL,
                             error = NULL";
                tx.execute(sql, args![store.as_str(), *since]).await.map(drop)
            })
        })
        .await
    }

    /// Nothing is waited for any more of at most `limit` things in a lost store: their rows say why, and their objects get copies
    /// elsewhere. Returns how many there were, and of how many objects no good copy is left.
    pub async fn lose(&self, store: &str, reason: &str, limit: u32, now: Millis) -> Result<Lost, DbError> {
        let args = (store.to_owned(), reason.to_owned(), limit, now);
        self.write(args, |tx, (store, reason, limit, now)| {
            Box::pin(async move {
                let sql = "SELECT id, app_id, video_id, object_id, state, reason FROM ledger WHERE place = $1 AND state <> 'gone'
                             AND object_id IS NOT NULL ORDER BY id LIMIT $2";
                let rows = tx.rows(sql, args![store.as_str(), *limit]).await?;
                let mut lost = Lost::default();
                for row in &rows {
                    let one = One {
                        entry: row.get("id")?,
                        app: row.get("app_id")?,
                        video: row.get("video_id")?,
                        object: row.get("object_id")?,
                        state: row.get("state")?,
                        reason: row.get("reason")?,
                    };
                    lost.entries += 1;
                    lost.last += u64::from(lose(tx, &one, (store, reason), *now).await?);
                }
                Ok(lost)
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

/// Says whether no good copy is left of something that is wanted.
async fn lose(tx: &mut Tx, one: &One, (store, reason): (&str, &str), now: Millis) -> Result<bool, DbError> {
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
    tx.execute("DELETE FROM replica WHERE id = $1", args![one.entry]).await?;
    if one.state == ledger::State::ToDelete {
        // It was to go, and has gone. What only moved is wanted still.
        let has_moved = matches!(one.reason.as_deref(), Some("moved" | "archived"));
        let sql = "DELETE FROM object WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM replica WHERE object_id = $1) AND NOT $2";
        tx.execute(sql, args![one.object, has_moved]).await?;
        prune_if_gone(tx, one.video).await?;
        return Ok(false);
    }
    tx.execute("UPDATE object SET placed = NULL WHERE id = $1", args![one.object]).await?;
    let sql = "SELECT count(*) AS good FROM replica WHERE object_id = $1 AND state = 'present'";
    let good: u64 = tx.row(sql, args![one.object]).await?.ok_or(DbError::Absent)?.get("good")?;
    if one.state == ledger::State::Present {
        let facts = json!({ "object": one.object, "store": store, "found": "lost", "good_left": good });
        tell(tx, one.app, Topic::VideoCopyBad, (one.video.to_string(), facts), now).await?;
    }
    Ok(good == 0 && one.state == ledger::State::Present)
}
