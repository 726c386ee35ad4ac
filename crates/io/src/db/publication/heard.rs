//! What hosts tell of publications, asked or unasked.

use matinee_core::event::Topic;
use matinee_core::id::PublicationId;
use matinee_core::publication::{Phase, Turn};
use matinee_core::time::Millis;
use matinee_core::video::Problem;
use serde_json::Value;

use super::row::{Publication, publication_of};
use super::{fail, told};
use crate::db::Db;
use crate::db::error::DbError;
use crate::db::tx::{Sql, Tx};
use crate::db::value::args;

/// What a host told of a publication.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// What follows from it.
    pub turn: Turn,
    /// Its length in milliseconds, once known.
    pub duration_ms: Option<u64>,
    /// Bytes that are paid for.
    pub bytes: Option<u64>,
    /// The host's own words.
    pub facts: Value,
    /// When the host is asked for this one by itself, unless its list tells more; none when nothing more is expected.
    pub next_ask: Option<Millis>,
}

impl Db {
    /// What a host has told of a publication; nothing when it is not there any more.
    pub async fn publication_told(&self, id: PublicationId, told: &Told, now: Millis) -> Result<(), DbError> {
        self.write((id, told.clone(), now), |tx, (id, told, now)| Box::pin(hear(tx, *id, told.clone(), *now)))
            .await
    }

    /// A host says that something has changed about these videos; returns how many are ours.
    pub async fn hint(&self, host: &str, remotes: &[String], now: Millis) -> Result<u64, DbError> {
        let remotes: Value = remotes.iter().map(String::as_str).collect();
        self.write((host.to_owned(), remotes, now), |tx, (host, remotes, now)| {
            Box::pin(async move {
                let sql = Sql::Each {
                    sqlite: "UPDATE publication SET hinted_ms = $3 WHERE host = $1 AND phase <> 'failed'
                               AND remote_id IN (SELECT value FROM json_each($2))",
                    postgres: "UPDATE publication SET hinted_ms = $3 WHERE host = $1 AND phase <> 'failed'
                               AND remote_id IN (SELECT jsonb_array_elements_text($2))",
                };
                tx.execute(sql, args![host.as_str(), remotes.clone(), *now]).await
            })
        })
        .await
    }

    /// The names of all that is to be at a host and whose bytes it has.
    pub async fn publications_there(&self, host: &str) -> Result<Vec<String>, DbError> {
        self.read(host.to_owned(), |tx, host| {
            Box::pin(async move {
                let sql = "SELECT remote_id FROM publication WHERE host = $1 AND remote_id IS NOT NULL
                             AND phase IN ('processing', 'playable', 'ready')";
                tx.rows(sql, args![host.as_str()]).await?.iter().map(|row| row.get("remote_id")).collect()
            })
        })
        .await
    }

    /// The publications at a host that are not final, the oldest question first.
    pub async fn publications_open(&self, host: &str, limit: u32) -> Result<Vec<Publication>, DbError> {
        self.read((host.to_owned(), limit), |tx, (host, limit)| {
            Box::pin(async move {
                let sql = "SELECT * FROM publication WHERE host = $1 AND next_ask_ms IS NOT NULL
                             AND remote_id IS NOT NULL ORDER BY next_ask_ms, id LIMIT $2";
                tx.rows(sql, args![host.as_str(), *limit]).await?.iter().map(publication_of).collect()
            })
        })
        .await
    }

    /// Those that the host is to be asked for now: because it gave a hint, or because it is time.
    pub async fn publications_due(
        &self,
        host: &str,
        now: Millis,
        limit: u32,
    ) -> Result<Vec<Publication>, DbError> {
        self.read((host.to_owned(), now, limit), |tx, (host, now, limit)| {
            Box::pin(async move {
                let sql = "SELECT * FROM publication WHERE host = $1 AND remote_id IS NOT NULL
                             AND (hinted_ms IS NOT NULL OR next_ask_ms <= $2)
                           ORDER BY hinted_ms IS NULL, next_ask_ms, id LIMIT $3";
                tx.rows(sql, args![host.as_str(), *now, *limit]).await?.iter().map(publication_of).collect()
            })
        })
        .await
    }
}

async fn hear(tx: &mut Tx, id: PublicationId, said: Told, now: Millis) -> Result<(), DbError> {
    let lock = Sql::Each {
        sqlite: "SELECT * FROM publication WHERE id = $1",
        postgres: "SELECT * FROM publication WHERE id = $1 FOR UPDATE",
    };
    let Some(row) = tx.row(lock, args![id]).await? else { return Ok(()) };
    let before = publication_of(&row)?;
    if before.phase == Phase::Failed {
        return Ok(());
    }
    let Turn { phase, percent, reason } = said.turn;
    if phase == Phase::Failed {
        let sql = "UPDATE publication SET facts = $2, seen_ms = $3 WHERE id = $1";
        tx.execute(sql, args![id, said.facts, now]).await?;
        let unnamed = || Problem { code: "host_failed".to_owned(), human: String::new(), fix: String::new() };
        return fail(tx, id, &reason.unwrap_or_else(unnamed), now).await;
    }
    let changed = phase != before.phase;
    let same = !changed && percent == before.percent;
    tx.execute(
        "UPDATE publication SET phase = $2, percent = $3, duration_ms = COALESCE($4, duration_ms),
           stored_bytes = COALESCE($5, stored_bytes), facts = $6, seen_ms = $7, next_ask_ms = $8, hinted_ms = NULL,
           unchanged = CASE WHEN $9 THEN unchanged + 1 ELSE 0 END,
           updated_ms = CASE WHEN $10 THEN $7 ELSE updated_ms END WHERE id = $1",
        args![
            id,
            phase,
            percent.map(u32::from),
            said.duration_ms,
            said.bytes,
            said.facts,
            now,
            said.next_ask,
            same,
            changed
        ],
    )
    .await?;
    let after = Publication { phase, ..before.clone() };
    if phase.plays() && !before.phase.plays() {
        told(tx, &after, Topic::PublicationPlayable, now).await?;
    }
    if phase == Phase::Ready && changed {
        told(tx, &after, Topic::PublicationReady, now).await?;
    }
    Ok(())
}
