//! Copies that were proven gone are looked for once more, a day later: a service may say so, show so, and keep them.

use matinee_core::event::Topic;
use matinee_core::id::EntryId;
use matinee_core::replica::limits::COPY_CONTROL_MS;
use matinee_core::time::Millis;
use serde_json::{Value, json};

use crate::db::Db;
use crate::db::error::DbError;
use crate::db::told::tell;
use crate::db::tx::Tx;
use crate::db::value::args;

/// A copy that is to be looked for once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Its ledger row.
    pub entry: EntryId,
    /// The key under which it lay.
    pub key: String,
}

impl Db {
    /// At most `limit` copies in a store that were proven gone and are looked for once more now.
    pub async fn copy_controls(&self, store: &str, now: Millis, limit: u32) -> Result<Vec<Control>, DbError> {
        self.read((store.to_owned(), now, limit), |tx, (store, now, limit)| {
            Box::pin(async move {
                let sql =
                    "SELECT id, proof FROM ledger WHERE control_ms <= $2 AND place = $1 AND state = 'gone'
                             AND object_id IS NOT NULL ORDER BY control_ms, id LIMIT $3";
                let rows = tx.rows(sql, args![store.as_str(), *now, *limit]).await?;
                rows.iter()
                    .map(|row| {
                        let proof: Option<Value> = row.get("proof")?;
                        Ok(Control { entry: row.get("id")?, key: key_in(proof.as_ref()) })
                    })
                    .collect()
            })
        })
        .await
    }

    /// The control look has found nothing: this was the last that is done about it.
    pub async fn copy_controlled(&self, entry: EntryId) -> Result<(), DbError> {
        self.write(entry, |tx, entry| {
            Box::pin(async move {
                let sql = "UPDATE ledger SET control_ms = NULL WHERE id = $1 AND state = 'gone'";
                tx.execute(sql, args![*entry]).await.map(drop)
            })
        })
        .await
    }

    /// The control look was refused for this one thing: it is looked for at `next`, and holds up none of the others.
    pub async fn copy_control_later(&self, entry: EntryId, next: Millis) -> Result<(), DbError> {
        self.write((entry, next), |tx, (entry, next)| {
            Box::pin(async move {
                let sql = "UPDATE ledger SET control_ms = $2 WHERE id = $1 AND state = 'gone'";
                tx.execute(sql, args![*entry, *next]).await.map(drop)
            })
        })
        .await
    }

    /// The control look has found it: it is to be deleted again. Its key is in the proof that was wrong.
    pub async fn copy_back(&self, entry: EntryId, now: Millis) -> Result<(), DbError> {
        self.write((entry, now), |tx, (entry, now)| Box::pin(back(tx, *entry, *now))).await
    }
}

/// The key that a proof names.
pub fn key_in(proof: Option<&Value>) -> String {
    proof.and_then(|proof| proof["key"].as_str()).unwrap_or_default().to_owned()
}

/// What was proven gone now is looked for once more at this moment.
pub(crate) async fn look_once_more(tx: &mut Tx, entry: EntryId, now: Millis) -> Result<(), DbError> {
    let sql = "UPDATE ledger SET control_ms = $2 WHERE id = $1 AND place <> 'local' AND control_ms IS NULL";
    tx.execute(sql, args![entry, now.plus(COPY_CONTROL_MS)]).await.map(drop)
}

async fn back(tx: &mut Tx, entry: EntryId, now: Millis) -> Result<(), DbError> {
    let sql = "UPDATE ledger SET state = 'to_delete', reason = 'seen_again', control_ms = NULL, proven_ms = NULL, attempts = 0,
                 next_try_ms = $2 WHERE id = $1 AND state = 'gone' RETURNING app_id, video_id, object_id, place";
    let Some(row) = tx.row(sql, args![entry, now]).await? else { return Ok(()) };
    let facts = json!({
        "video": row.get::<matinee_core::id::VideoId>("video_id")?,
        "object": row.get::<matinee_core::id::ObjectId>("object_id")?,
        "place": row.get::<String>("place")?,
    });
    tell(tx, row.get("app_id")?, Topic::LedgerSeenAgain, (entry.to_string(), facts), now).await
}
