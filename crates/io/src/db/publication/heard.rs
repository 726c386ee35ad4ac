//! What hosts tell of publications, asked or unasked.

use matinee_core::event::Topic;
use matinee_core::host::Standing;
use matinee_core::id::{JobId, PublicationId};
use matinee_core::publication::{Phase, Turn, turn};
use matinee_core::time::Millis;
use matinee_core::video::Problem;
use serde_json::Value;

use super::row::{Publication, publication_of};
use super::sent::unpulled;
use super::{NewPublication, cancel_job, fail, told, wish};
use crate::db::Db;
use crate::db::direct;
use crate::db::error::DbError;
use crate::db::lease::lock_video;
use crate::db::tx::{Sql, Tx};
use crate::db::value::args;

/// What a host told of a publication.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// What it is there. What follows is decided with the row locked: whoever asked may have been overtaken meanwhile.
    pub standing: Standing,
    /// The host was asked for this one; what a list says may be older than what is known.
    pub full: bool,
    /// Its length in milliseconds, once known.
    pub duration_ms: Option<u64>,
    /// Bytes that are paid for.
    pub bytes: Option<u64>,
    /// The host's own words.
    pub facts: Value,
    /// When the host is asked for this one by itself, unless its list tells more, or nothing more is expected.
    pub next_ask: Option<Millis>,
    /// The names of another publication and its job, for one that the host had whole and has lost, or could not fetch: it is
    /// made again from our file.
    pub again: (PublicationId, JobId),
}

impl Db {
    /// What a host has told of a publication; its new phase when that has changed.
    pub async fn publication_told(
        &self,
        id: PublicationId,
        told: &Told,
        now: Millis,
    ) -> Result<Option<Phase>, DbError> {
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

async fn hear(tx: &mut Tx, id: PublicationId, said: Told, now: Millis) -> Result<Option<Phase>, DbError> {
    let Some(alone) = direct::lock(tx, id).await? else {
        // Who makes it again locks its video first, as everybody does who wishes one.
        let may_fail = matches!(said.standing, Standing::Gone | Standing::Failed(_));
        if may_fail && !locked(tx, id).await? {
            return Ok(None);
        }
        let Some((before, turn)) = note(tx, id, (&said, None), now).await? else { return Ok(None) };
        let pulled = before.hand_over.is_some_and(|how| how.is_sent_instead(before.phase));
        if said.standing == Standing::Gone && before.phase == Phase::Ready {
            again(tx, &before, said.again, now).await?;
        } else if let (Phase::Failed, Some(reason), true) = (turn.phase, &turn.reason, pulled) {
            again(tx, &before, said.again, now).await?;
            unpulled(tx, said.again.0, reason).await?;
        }
        return Ok((before.phase != turn.phase).then_some(turn.phase));
    };
    let Some((before, turn)) = note(tx, id, (&said, alone.max_ms()), now).await? else { return Ok(None) };
    direct::follow(tx, &alone, (&turn, said.duration_ms), now).await?;
    Ok((before.phase != turn.phase).then_some(turn.phase))
}

/// Locks the video of a publication; `false` when it is deleted.
async fn locked(tx: &mut Tx, id: PublicationId) -> Result<bool, DbError> {
    let row = tx.row("SELECT video_id FROM publication WHERE id = $1", args![id]).await?;
    let Some(row) = row else { return Ok(false) };
    match lock_video(tx, row.get("video_id")?).await {
        Ok(_) => Ok(true),
        Err(DbError::Absent) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A host had all of it and has lost it: it is wanted there still. One that never became whole is not tried for ever.
async fn again(
    tx: &mut Tx,
    before: &Publication,
    (id, job): (PublicationId, JobId),
    now: Millis,
) -> Result<(), DbError> {
    let new = NewPublication { id, app: before.app, video: before.video, host: before.host.clone() };
    wish(tx, (&new, job), now).await.map(drop)
}

/// Saves it, of a video that may be so long; what it was before and what has become of it, or nothing when it is not there any
/// more, or has failed before.
async fn note(
    tx: &mut Tx,
    id: PublicationId,
    (said, max_ms): (&Told, Option<u64>),
    now: Millis,
) -> Result<Option<(Publication, Turn)>, DbError> {
    let lock = Sql::Each {
        sqlite: "SELECT * FROM publication WHERE id = $1",
        postgres: "SELECT * FROM publication WHERE id = $1 FOR UPDATE",
    };
    let Some(row) = tx.row(lock, args![id]).await? else { return Ok(None) };
    let before = publication_of(&row)?;
    if before.phase == Phase::Failed {
        return Ok(None);
    }
    let turn = turn(before.phase, &said.standing, said.full).within(said.duration_ms, max_ms);
    let (phase, percent) = (turn.phase, turn.percent);
    if phase == Phase::Failed {
        let sql = "UPDATE publication SET facts = $2, seen_ms = $3 WHERE id = $1";
        tx.execute(sql, args![id, said.facts.clone(), now]).await?;
        let unnamed = || Problem { code: "host_failed".to_owned(), human: String::new(), fix: String::new() };
        fail(tx, id, &turn.reason.clone().unwrap_or_else(unnamed), now).await?;
        // A job that still sends would make it anew for ever, and forget why it failed.
        cancel_job(tx, before.video, &before.host, now).await?;
        return Ok(Some((before, turn)));
    }
    let changed = phase != before.phase;
    let same = !changed && percent == before.percent;
    tx.execute(
        "UPDATE publication SET phase = $2, percent = $3, duration_ms = COALESCE($4, duration_ms),
           stored_bytes = COALESCE($5, stored_bytes), facts = $6, seen_ms = $7, next_ask_ms = $8, hinted_ms = NULL,
           unchanged = CASE WHEN $9 THEN unchanged + 1 ELSE 0 END,
           updated_ms = CASE WHEN $10 THEN $7 ELSE updated_ms END,
           besides_ms = CASE WHEN $11 THEN $7 ELSE besides_ms END WHERE id = $1",
        args![
            id,
            phase,
            percent.map(u32::from),
            said.duration_ms,
            said.bytes,
            said.facts.clone(),
            now,
            said.next_ask.filter(|_| phase != Phase::Ready),
            same,
            changed,
            changed && phase.plays()
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
    Ok(Some((before, turn)))
}
