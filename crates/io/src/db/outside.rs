//! What hosts hold for us, in the ledger: looked for by its key, deleted, looked at again, and once more a day later.

use matinee_core::event::Topic;
use matinee_core::id::{AppId, EntryId, PublicationId, VideoId};
use matinee_core::ledger::State;
use matinee_core::publication::Asked;
use matinee_core::time::Millis;
use serde_json::{Value, json};

use super::Db;
use super::error::DbError;
use super::ledger::prune_if_gone;
use super::publication::{NewPublication, entry_of, owe};
use super::told::tell;
use super::tx::{Sql, Tx};
use super::value::{Row, args};

/// Something at a host that is paid for, or may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// Its row.
    pub entry: EntryId,
    /// The app that pays.
    pub app: AppId,
    /// The video.
    pub video: VideoId,
    /// The key under which it can be found.
    pub key: PublicationId,
    /// The host.
    pub host: String,
    /// Its name there, once known.
    pub remote: Option<String>,
    /// Where it is in its life.
    pub state: State,
    /// What is known while its name is not.
    pub asked: Asked,
    /// Deletes that failed because of it.
    pub attempts: u32,
}

impl Db {
    /// The row of a publication's intent.
    pub async fn outside_of(&self, publication: PublicationId) -> Result<Option<Outside>, DbError> {
        self.read(publication, |tx, publication| {
            Box::pin(async move {
                let sql = "SELECT * FROM ledger WHERE id = $1 AND publication_id IS NOT NULL";
                let row = tx.row(sql, args![entry_of(*publication)]).await?;
                row.as_ref().map(outside_of).transpose()
            })
        })
        .await
    }

    /// What is to be deleted at a host now: what failed most often comes last, so that it keeps nothing else waiting.
    pub async fn outside_due(&self, host: &str, now: Millis, limit: u32) -> Result<Vec<Outside>, DbError> {
        self.read((host.to_owned(), now, limit), |tx, (host, now, limit)| {
            Box::pin(async move {
                let sql =
                    "SELECT * FROM ledger WHERE state = 'to_delete' AND next_try_ms <= $2 AND place = $1
                             AND publication_id IS NOT NULL ORDER BY attempts, next_try_ms, id LIMIT $3";
                tx.rows(sql, args![host.as_str(), *now, *limit]).await?.iter().map(outside_of).collect()
            })
        })
        .await
    }

    /// What was proven gone at a host and is to be looked for once more.
    pub async fn outside_controls(
        &self,
        host: &str,
        now: Millis,
        limit: u32,
    ) -> Result<Vec<Outside>, DbError> {
        self.read((host.to_owned(), now, limit), |tx, (host, now, limit)| {
            Box::pin(async move {
                let sql = "SELECT * FROM ledger WHERE control_ms <= $2 AND place = $1 AND state = 'gone'
                             AND publication_id IS NOT NULL ORDER BY control_ms, id LIMIT $3";
                tx.rows(sql, args![host.as_str(), *now, *limit]).await?.iter().map(outside_of).collect()
            })
        })
        .await
    }

    /// Videos at a host that tell for which intent they were made: each that has no row, and whose intent has another, is one too
    /// many and is to be deleted, under an entry of its own. Returns how many there were.
    pub async fn outside_strays(
        &self,
        host: &str,
        seen: &[(EntryId, String, PublicationId)],
        now: Millis,
    ) -> Result<u32, DbError> {
        let unknown = self.unknown(host, seen).await?;
        if unknown.is_empty() {
            return Ok(0);
        }
        self.write((host.to_owned(), unknown, now), |tx, (host, unknown, now)| {
            Box::pin(async move {
                let mut strays = 0;
                for (entry, remote, key) in unknown {
                    strays += stray(tx, host, (*entry, remote, *key), *now).await?;
                }
                Ok(strays)
            })
        })
        .await
    }

    /// Those of them that have no row.
    async fn unknown(
        &self,
        host: &str,
        seen: &[(EntryId, String, PublicationId)],
    ) -> Result<Vec<(EntryId, String, PublicationId)>, DbError> {
        let known = self.outside_named(host, seen.iter().map(|(_, remote, _)| remote.as_str())).await?;
        Ok(seen.iter().filter(|(_, remote, _)| !known.contains(remote)).cloned().collect())
    }

    /// Those of these names at a host that have a row, be it that they are deleted or gone.
    pub async fn outside_named(
        &self,
        host: &str,
        remotes: impl Iterator<Item = &str>,
    ) -> Result<Vec<String>, DbError> {
        let remotes: Value = remotes.collect();
        self.read((host.to_owned(), remotes), |tx, (host, remotes)| {
            Box::pin(async move {
                let sql = Sql::Each {
                    sqlite: "SELECT remote_id FROM ledger WHERE place = $1
                               AND remote_id IN (SELECT value FROM json_each($2))",
                    postgres: "SELECT remote_id FROM ledger WHERE place = $1
                               AND remote_id IN (SELECT jsonb_array_elements_text($2))",
                };
                let rows = tx.rows(sql, args![host.as_str(), remotes.clone()]).await?;
                rows.iter().map(|row| row.get("remote_id")).collect()
            })
        })
        .await
    }

    /// The host has said that what it was asked for did not happen.
    pub async fn outside_unasked(&self, publication: PublicationId) -> Result<(), DbError> {
        self.write(publication, |tx, publication| {
            Box::pin(async move {
                let sql = "UPDATE ledger SET asked_ms = NULL, looks = 0 WHERE id = $1 AND remote_id IS NULL";
                tx.execute(sql, args![entry_of(*publication)]).await.map(drop)
            })
        })
        .await
    }

    /// What was found cannot be used: all of it is to be deleted, each under an entry of its own, and what was wanted counts as
    /// never asked for.
    pub async fn outside_let_go(
        &self,
        publication: PublicationId,
        found: &[(EntryId, String)],
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((publication, found.to_vec(), now), |tx, (publication, found, now)| {
            Box::pin(async move {
                let sql = "UPDATE ledger SET asked_ms = NULL, looks = 0, remote_id = NULL, state = 'intended' WHERE id = $1
                             AND state IN ('intended', 'present') RETURNING *";
                let row = tx.row(sql, args![entry_of(*publication)]).await?.ok_or(DbError::LeaseLost)?;
                let sql = "UPDATE publication SET remote_id = NULL, target = NULL, phase = 'waiting', offset_bytes = 0,
                             next_ask_ms = NULL WHERE id = $1";
                tx.execute(sql, args![*publication]).await?;
                let of = outside_of(&row)?;
                for (entry, remote) in found {
                    spare(tx, &of, (*entry, remote), *now).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// A look by key has found nothing; the next thing is done at `next`.
    pub async fn outside_looked(&self, entry: EntryId, next: Millis) -> Result<(), DbError> {
        self.write((entry, next), |tx, (entry, next)| {
            Box::pin(async move {
                let sql =
                    "UPDATE ledger SET looks = looks + 1, next_try_ms = CASE WHEN state = 'to_delete' THEN $2
                             ELSE next_try_ms END WHERE id = $1 AND remote_id IS NULL";
                tx.execute(sql, args![*entry, *next]).await.map(drop)
            })
        })
        .await
    }

    /// The next thing about something whose name is not known is done at `next`; no try counts.
    pub async fn outside_later(&self, entry: EntryId, next: Millis) -> Result<(), DbError> {
        self.write((entry, next), |tx, (entry, next)| {
            Box::pin(async move {
                let sql = "UPDATE ledger SET next_try_ms = $2 WHERE id = $1 AND state = 'to_delete'";
                tx.execute(sql, args![*entry, *next]).await.map(drop)
            })
        })
        .await
    }

    /// A look of its own has shown that it is gone; `proof` says what was asked and answered. It is looked for once more at
    /// `control`, if a host ever had it. With the last thing of a deleted video its rows go, too.
    pub async fn outside_gone(
        &self,
        entry: EntryId,
        (proof, control): (Value, Option<Millis>),
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((entry, proof, control, now), |tx, (entry, proof, control, now)| {
            Box::pin(gone(tx, *entry, (proof.clone(), *control), *now))
        })
        .await
    }

    /// The control look has found nothing: this was the last that is done about it.
    pub async fn outside_controlled(&self, entry: EntryId) -> Result<(), DbError> {
        self.write(entry, |tx, entry| {
            Box::pin(async move {
                let sql = "UPDATE ledger SET control_ms = NULL WHERE id = $1 AND state = 'gone'";
                tx.execute(sql, args![*entry]).await.map(drop)
            })
        })
        .await
    }

    /// The control look has found it: it is to be deleted again.
    pub async fn outside_back(&self, entry: EntryId, now: Millis) -> Result<(), DbError> {
        self.write((entry, now), |tx, (entry, now)| {
            Box::pin(async move {
                let sql = "UPDATE ledger SET state = 'to_delete', reason = 'seen_again', control_ms = NULL, proven_ms = NULL,
                             next_try_ms = $2 WHERE id = $1 AND state = 'gone' RETURNING *";
                let Some(row) = tx.row(sql, args![*entry, *now]).await? else { return Ok(()) };
                let back = outside_of(&row)?;
                let facts = json!({ "video": back.video, "place": back.host, "publication": back.key });
                tell(tx, back.app, Topic::LedgerSeenAgain, (entry.to_string(), facts), *now).await
            })
        })
        .await
    }

    /// An intent without a publication: a trial of a host. Its row is the one of `new.id`.
    pub async fn outside_trial(&self, new: &NewPublication, now: Millis) -> Result<(), DbError> {
        self.write((new.clone(), now), |tx, (new, now)| {
            Box::pin(async move {
                let entry = entry_of(new.id);
                owe(tx, (entry, new), State::ToDelete, *now).await?;
                // Whatever becomes of the trial, it is nothing that anybody wants to keep.
                let sql = "UPDATE ledger SET asked_ms = $2, next_try_ms = $3, reason = 'trial' WHERE id = $1";
                tx.execute(sql, args![entry, *now, now.plus(TRIAL_MS)]).await.map(drop)
            })
        })
        .await
    }

    /// How many things that are not proven gone each host may hold.
    pub async fn held_by_hosts(&self) -> Result<Vec<(String, u64)>, DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                let sql = "SELECT place, count(*) AS things FROM ledger
                           WHERE publication_id IS NOT NULL AND state <> 'gone' GROUP BY place ORDER BY place";
                let rows = tx.rows(sql, args![]).await?;
                rows.iter().map(|row| Ok((row.get("place")?, row.get("things")?))).collect()
            })
        })
        .await
    }
}

/// So long a trial has for its own cleaning up, in milliseconds; then the ledger does it.
const TRIAL_MS: i64 = 60_000;

/// One that has no row; 1 when it is one too many.
async fn stray(
    tx: &mut Tx,
    host: &str,
    (entry, remote, key): (EntryId, &str, PublicationId),
    now: Millis,
) -> Result<u32, DbError> {
    let sql = "SELECT * FROM ledger WHERE id = $1 AND place = $2";
    let Some(row) = tx.row(sql, args![entry_of(key), host]).await? else { return Ok(0) };
    let of = outside_of(&row)?;
    // While the name of the first is not known, this may be it.
    if of.remote.is_none() && of.state != State::Gone || of.remote.as_deref() == Some(remote) {
        return Ok(0);
    }
    spare(tx, &of, (entry, remote), now).await.map(|()| 1)
}

/// A row of its own for a video that is one too many.
async fn spare(
    tx: &mut Tx,
    of: &Outside,
    (entry, remote): (EntryId, &str),
    now: Millis,
) -> Result<(), DbError> {
    let new = NewPublication { id: of.key, app: of.app, video: of.video, host: of.host.clone() };
    owe(tx, (entry, &new), State::ToDelete, now).await?;
    let sql = "UPDATE ledger SET remote_id = $2, reason = 'stray', next_try_ms = $3 WHERE id = $1";
    tx.execute(sql, args![entry, remote, now]).await.map(drop)
}

async fn gone(
    tx: &mut Tx,
    entry: EntryId,
    (proof, control): (Value, Option<Millis>),
    now: Millis,
) -> Result<(), DbError> {
    let sql =
        "UPDATE ledger SET state = 'gone', proof = $2, proven_ms = $3, control_ms = $4, last_error = NULL
               WHERE id = $1 AND state = 'to_delete' AND publication_id IS NOT NULL RETURNING *";
    let row = tx.row(sql, args![entry, proof, now, control]).await?.ok_or(DbError::Absent)?;
    let over = outside_of(&row)?;
    prune_if_gone(tx, over.video).await?;
    let facts = json!({ "publication": over.key, "video": over.video, "place": over.host });
    tell(tx, over.app, Topic::LedgerProvenGone, (entry.to_string(), facts), now).await
}

fn outside_of(row: &Row) -> Result<Outside, DbError> {
    Ok(Outside {
        entry: row.get("id")?,
        app: row.get("app_id")?,
        video: row.get("video_id")?,
        key: row.get::<Option<PublicationId>>("publication_id")?.ok_or(DbError::Absent)?,
        host: row.get("place")?,
        remote: row.get("remote_id")?,
        state: row.get("state")?,
        asked: Asked { at: row.get("asked_ms")?, looks: row.get("looks")? },
        attempts: row.get("attempts")?,
    })
}
