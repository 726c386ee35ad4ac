//! The ledger: what is to be deleted, what is proven gone, and all that may exist outside.

use matinee_core::event::Topic;
use matinee_core::id::{AppId, EntryId, ObjectId, VideoId};
use matinee_core::ledger::{Kind, State};
use matinee_core::replica::LOCAL;
use matinee_core::time::Millis;
use serde_json::{Value, json};

use super::Db;
use super::error::DbError;
use super::replica::look_once_more;
use super::told::tell;
use super::tx::{Sql, Tx};
use super::value::{Row, args};
use super::word;

/// A row of the ledger that stands for an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name.
    pub id: EntryId,
    /// The app that pays.
    pub app: AppId,
    /// The video that it is for.
    pub video: VideoId,
    /// The object.
    pub object: ObjectId,
    /// The store.
    pub place: String,
    /// What the object is for.
    pub kind: Kind,
    /// Where it is in its life.
    pub state: State,
    /// Why it is to be deleted.
    pub reason: Option<String>,
    /// How many deletes have failed.
    pub attempts: u32,
    /// When the next delete is tried.
    pub next_try: Option<Millis>,
    /// Why the last delete failed.
    pub last_error: Option<String>,
    /// What showed that it is gone.
    pub proof: Option<Value>,
    /// When it was intended.
    pub created: Millis,
    /// When it was proven gone.
    pub proven: Option<Millis>,
}

impl Entry {
    /// Does it go only because good copies lie elsewhere? Its object is wanted still.
    pub fn is_for_others(&self) -> bool {
        is_for_others(self.reason.as_deref())
    }
}

/// The same of a reason.
pub(crate) fn is_for_others(reason: Option<&str>) -> bool {
    matches!(reason, Some("moved" | "archived"))
}

/// Something that may exist in a store, for a comparison with the store's own listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The object.
    pub object: ObjectId,
    /// The store.
    pub place: String,
    /// Only what is [`State::Present`] must be there.
    pub state: State,
    /// Its length in bytes, when it is known.
    pub size: Option<u64>,
}

/// Which rows of the ledger to list; an empty field means all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LedgerFilter {
    /// Only of this app.
    pub app: Option<AppId>,
    /// Only of this video.
    pub video: Option<VideoId>,
    /// Only in these states.
    pub states: Vec<State>,
}

impl Db {
    /// At most `limit` objects of the local store whose delete is due. What a living attempt may still be writing is not
    /// among them.
    pub async fn ledger_due(&self, now: Millis, limit: u32) -> Result<Vec<Entry>, DbError> {
        self.ledger_due_in(LOCAL, now, limit).await
    }

    /// The same for what lies in another place.
    pub async fn ledger_due_in(&self, place: &str, now: Millis, limit: u32) -> Result<Vec<Entry>, DbError> {
        self.read((place.to_owned(), now, limit), |tx, (place, now, limit)| {
            Box::pin(async move {
                let sql = "SELECT l.* FROM ledger l WHERE l.state = 'to_delete' AND l.next_try_ms <= $1 AND l.place = $3
                             AND l.object_id IS NOT NULL
                             AND NOT EXISTS (SELECT 1 FROM object o JOIN job j ON j.id = o.job_id
                               WHERE o.id = l.object_id AND j.state = 2 AND j.attempt = o.attempt)
                             AND NOT EXISTS (SELECT 1 FROM replica r JOIN job j ON j.id = r.job_id
                               WHERE r.id = l.id AND j.state = 2 AND j.attempt = r.attempt)
                           ORDER BY l.next_try_ms, l.id LIMIT $2";
                tx.rows(sql, args![*now, *limit, place.as_str()]).await?.iter().map(entry_of).collect()
            })
        })
        .await
    }

    /// A second look has shown that the thing is gone; `proof` says what was asked and answered. With the last thing
    /// of a deleted video its rows go, too. [`DbError::Absent`] when it was not to be deleted.
    pub async fn ledger_gone(&self, entry: EntryId, proof: Value, now: Millis) -> Result<(), DbError> {
        self.write((entry, proof, now), |tx, (entry, proof, now)| {
            Box::pin(gone(tx, *entry, proof.clone(), *now))
        })
        .await
    }

    /// A delete failed; it is tried again at `next_try` (see `core::ledger::backoff_ms`).
    pub async fn ledger_failed(&self, entry: EntryId, error: &str, next_try: Millis) -> Result<(), DbError> {
        self.write((entry, error.to_owned(), next_try), |tx, (entry, error, next_try)| {
            Box::pin(async move {
                let sql = "UPDATE ledger SET attempts = attempts + 1, last_error = $2, next_try_ms = $3
                           WHERE id = $1 AND state = 'to_delete'";
                tx.execute_one(sql, args![*entry, error.as_str(), *next_try]).await
            })
        })
        .await
    }

    /// Rows of objects in the ledger, the newest first, from before `before` on.
    pub async fn ledger(
        &self,
        filter: &LedgerFilter,
        before: Option<EntryId>,
        limit: u32,
    ) -> Result<Vec<Entry>, DbError> {
        let all = [State::Intended, State::Present, State::ToDelete, State::Gone];
        let states = word::list(if filter.states.is_empty() { &all } else { &filter.states });
        let before = before.unwrap_or(EntryId::from_bits(u128::MAX));
        self.read((filter.app, filter.video, states, (before, limit)), |tx, args| {
            Box::pin(async move {
                let (app, video, states, (before, limit)) = args;
                let sql = Sql::Each {
                    sqlite: "SELECT * FROM ledger WHERE ($1 IS NULL OR app_id = $1)
                       AND ($2 IS NULL OR video_id = $2) AND state IN (SELECT value FROM json_each($3))
                       AND id < $4 AND object_id IS NOT NULL ORDER BY id DESC LIMIT $5",
                    postgres: "SELECT * FROM ledger WHERE ($1 IS NULL OR app_id = $1)
                       AND ($2 IS NULL OR video_id = $2)
                       AND state IN (SELECT jsonb_array_elements_text($3))
                       AND id < $4 AND object_id IS NOT NULL ORDER BY id DESC LIMIT $5",
                };
                let args = args![*app, *video, states.clone(), *before, *limit];
                tx.rows(sql, args).await?.iter().map(entry_of).collect()
            })
        })
        .await
    }

    /// All that may exist in the local store, by object, from after `after` on.
    pub async fn known_objects(&self, after: Option<ObjectId>, limit: u32) -> Result<Vec<Known>, DbError> {
        let after = after.unwrap_or(ObjectId::from_bits(0));
        self.read((after, limit), |tx, (after, limit)| {
            Box::pin(async move {
                let sql = "SELECT l.object_id, l.place, l.state, o.size_bytes FROM ledger l
                           LEFT JOIN object o ON o.id = l.object_id
                           WHERE l.state <> 'gone' AND l.place = 'local' AND l.object_id > $1 ORDER BY l.object_id LIMIT $2";
                let rows = tx.rows(sql, args![*after, *limit]).await?;
                rows.iter().map(known_of).collect()
            })
        })
        .await
    }

    /// Turns what was intended `older_than_ms` ago or earlier to "to delete", unless an open upload or a living
    /// attempt still writes it; returns how many.
    pub async fn sweep_intended(&self, now: Millis, older_than_ms: i64) -> Result<u64, DbError> {
        self.write((now, older_than_ms), |tx, (now, older_than_ms)| {
            Box::pin(async move {
                tx.execute(
                    "UPDATE ledger SET state = 'to_delete', reason = 'abandoned', next_try_ms = $1
                     WHERE state = 'intended' AND created_ms <= $2 AND object_id IS NOT NULL
                       AND NOT EXISTS (SELECT 1 FROM replica r WHERE r.id = ledger.id AND r.job_id IS NOT NULL)
                       AND NOT EXISTS (SELECT 1 FROM upload u WHERE u.object_id = ledger.object_id
                                       AND u.state = 'open')
                       AND NOT EXISTS (SELECT 1 FROM upload u WHERE u.tail_id = ledger.object_id
                                       AND u.state = 'open')
                       AND NOT EXISTS (SELECT 1 FROM object o JOIN job j ON j.id = o.job_id
                         WHERE o.id = ledger.object_id AND j.state = 2 AND j.attempt = o.attempt)",
                    args![*now, now.plus(-older_than_ms)],
                )
                .await
            })
        })
        .await
    }
}

/// The last two copies of an object that go at once must see each other, or both leave its row to the other one. Its video first,
/// as everybody does.
pub(crate) async fn lock_last(tx: &mut Tx, entry: EntryId) -> Result<(), DbError> {
    if !tx.is_postgres() {
        return Ok(());
    }
    for sql in [
        "SELECT v.id FROM video v JOIN ledger l ON l.video_id = v.id WHERE l.id = $1 FOR UPDATE OF v",
        "SELECT o.id FROM object o JOIN ledger l ON l.object_id = o.id WHERE l.id = $1 FOR UPDATE OF o",
    ] {
        tx.rows(sql, args![entry]).await?;
    }
    Ok(())
}

async fn gone(tx: &mut Tx, entry: EntryId, proof: Value, now: Millis) -> Result<(), DbError> {
    lock_last(tx, entry).await?;
    let sql =
        "UPDATE ledger SET state = 'gone', proof = $2, proven_ms = $3 WHERE id = $1 AND state = 'to_delete'
               AND object_id IS NOT NULL RETURNING *";
    let row = tx.row(sql, args![entry, proof, now]).await?.ok_or(DbError::Absent)?;
    let entry = entry_of(&row)?;
    tx.execute("DELETE FROM replica WHERE id = $1", args![entry.id]).await?;
    look_once_more(tx, entry.id, now).await?;
    let sql = "DELETE FROM object WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM replica WHERE object_id = $1)";
    tx.execute(sql, args![entry.object]).await?;
    prune_if_gone(tx, entry.video).await?;
    let facts = json!({ "object": entry.object, "video": entry.video, "place": entry.place });
    tell(tx, entry.app, Topic::LedgerProvenGone, (entry.id.to_string(), facts), now).await
}

/// Forgets a deleted video of which nothing is left outside; its events and its ledger rows stay as the proof.
pub(crate) async fn prune_if_gone(tx: &mut Tx, video: VideoId) -> Result<(), DbError> {
    if tx.is_postgres() {
        // Two last things that go at once must see each other.
        tx.rows("SELECT id FROM video WHERE id = $1 FOR UPDATE", args![video]).await?;
    }
    let sql = "SELECT 1 AS over FROM video WHERE id = $1 AND deleted_ms IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM ledger WHERE video_id = $1 AND state <> 'gone')";
    if tx.row(sql, args![video]).await?.is_none() {
        return Ok(());
    }
    for sql in [
        "DELETE FROM part WHERE rendition_id IN (SELECT id FROM rendition WHERE video_id = $1)",
        "DELETE FROM rendition WHERE video_id = $1",
        "DELETE FROM caption WHERE video_id = $1",
        "DELETE FROM sheet WHERE video_id = $1",
        "DELETE FROM job WHERE video_id = $1",
        "DELETE FROM upload WHERE video_id = $1",
        "DELETE FROM video WHERE id = $1",
    ] {
        tx.execute(sql, args![video]).await?;
    }
    Ok(())
}

fn known_of(row: &Row) -> Result<Known, DbError> {
    Ok(Known {
        object: row.get("object_id")?,
        place: row.get("place")?,
        state: row.get("state")?,
        size: row.get("size_bytes")?,
    })
}

fn entry_of(row: &Row) -> Result<Entry, DbError> {
    Ok(Entry {
        id: row.get("id")?,
        app: row.get("app_id")?,
        video: row.get("video_id")?,
        object: row.get("object_id")?,
        place: row.get("place")?,
        kind: row.get("kind")?,
        state: row.get("state")?,
        reason: row.get("reason")?,
        attempts: row.get("attempts")?,
        next_try: row.get("next_try_ms")?,
        last_error: row.get("last_error")?,
        proof: row.get("proof")?,
        created: row.get("created_ms")?,
        proven: row.get("proven_ms")?,
    })
}
