//! The comparison of places outside with their rows: what is known under the names that a listing shows, what no row explains,
//! and when each place is compared next.

mod owed;

use matinee_core::id::{EntryId, PublicationId};
use matinee_core::inventory::outside::{Row as Explanation, Sort, Thing};
use matinee_core::ledger::State;
use matinee_core::time::Millis;
use serde_json::Value;

use super::Db;
use super::error::DbError;
use super::publication::entry_of;
use super::tx::Tx;
use super::value::{Row, args};

/// What is known of a copy that a listing shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedCopy {
    /// What the ledger says of it.
    pub state: State,
    /// When it was proven gone.
    pub proven: Option<Millis>,
    /// Its key, while its row is there.
    pub key: Option<String>,
    /// Its length in bytes, when it must be there with it.
    pub size: Option<u64>,
    /// The upload in parts that was begun for it and is not over.
    pub upload: Option<String>,
}

/// A copy that must be in its store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromisedCopy {
    /// Its name.
    pub id: EntryId,
    /// Its key.
    pub key: String,
    /// Its length in bytes.
    pub size: Option<u64>,
}

/// Something at a place that no row explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Its name there: a key, or what the host calls it.
    pub name: String,
    /// What it is.
    pub thing: Thing,
    /// The bits of the intent that it was made for: of a copy, or of a publication.
    pub key: EntryId,
    /// Its bytes, when they are told.
    pub size: Option<u64>,
    /// When it was seen first, once that was written down.
    pub first: Option<Millis>,
}

/// What is known of the comparisons of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Which sort of place.
    pub sort: Sort,
    /// Its name.
    pub place: String,
    /// When the last comparison began.
    pub at: Option<Millis>,
    /// When the next one begins, or who does it now is given up.
    pub next: Millis,
    /// What it found.
    pub found: Option<Value>,
}

/// What is not proven gone at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The place.
    pub place: String,
    /// How many things are, or may be, there.
    pub things: u64,
    /// How many of them are to be deleted already.
    pub to_delete: u64,
    /// Their bytes, as far as they are known.
    pub bytes: u64,
}

impl Db {
    /// What is known of the copies of these names in a store, in the same order.
    pub async fn copies_listed(
        &self,
        store: &str,
        ids: &[EntryId],
    ) -> Result<Vec<Option<ListedCopy>>, DbError> {
        self.read((store.to_owned(), ids.to_vec()), |tx, (store, ids)| {
            Box::pin(async move {
                let mut found = Vec::with_capacity(ids.len());
                for id in ids {
                    let sql = "SELECT l.state, l.proven_ms, r.key, r.begun_upload, CASE WHEN r.state = 'present' THEN o.size_bytes END AS size_bytes FROM ledger l
                               LEFT JOIN replica r ON r.id = l.id LEFT JOIN object o ON o.id = r.object_id
                               WHERE l.id = $1 AND l.place = $2 AND l.publication_id IS NULL";
                    let row = tx.row(sql, args![*id, store.as_str()]).await?;
                    found.push(row.as_ref().map(listed_of).transpose()?);
                }
                Ok(found)
            })
        })
        .await
    }

    /// Copies that must be in a store since before `before`, in the order of their names, after this one.
    pub async fn copies_promised(
        &self,
        (store, before): (&str, Millis),
        after: Option<EntryId>,
        limit: u32,
    ) -> Result<Vec<PromisedCopy>, DbError> {
        let after = after.unwrap_or(EntryId::from_bits(0));
        self.read((store.to_owned(), before, after, limit), |tx, (store, before, after, limit)| {
            Box::pin(async move {
                let sql =
                    "SELECT r.id, r.key, o.size_bytes FROM replica r JOIN object o ON o.id = r.object_id
                           WHERE r.store = $1 AND r.state = 'present' AND r.created_ms < $2 AND r.id > $3
                           ORDER BY r.id LIMIT $4";
                let rows = tx.rows(sql, args![store.as_str(), *before, *after, *limit]).await?;
                rows.iter().map(promised_of).collect()
            })
        })
        .await
    }

    /// How each of these videos at a host is explained: by its name there, or by the intent that it was made for.
    pub async fn videos_listed(
        &self,
        host: &str,
        seen: &[(String, Option<PublicationId>)],
    ) -> Result<Vec<Option<Explanation>>, DbError> {
        self.read((host.to_owned(), seen.to_vec()), |tx, (host, seen)| {
            Box::pin(async move {
                let mut found = Vec::with_capacity(seen.len());
                for (remote, key) in seen {
                    found.push(explanation(tx, host, (remote, *key)).await?);
                }
                Ok(found)
            })
        })
        .await
    }

    /// Is it time to compare this place with its rows? Then nobody else does until `until`.
    pub async fn inventory_due(
        &self,
        (sort, place): (Sort, &str),
        until: Millis,
        now: Millis,
    ) -> Result<bool, DbError> {
        self.write((sort, place.to_owned(), until, now), |tx, (sort, place, until, now)| {
            Box::pin(async move {
                let sql = "INSERT INTO inventory (sort, place, next_ms) VALUES ($1, $2, $3)
                           ON CONFLICT (sort, place) DO UPDATE SET next_ms = excluded.next_ms
                             WHERE inventory.next_ms <= $4";
                Ok(tx.execute(sql, args![*sort, place.as_str(), *until, *now]).await? > 0)
            })
        })
        .await
    }

    /// A place was compared with its rows at `at`, or could not be; it is due again at `next`.
    pub async fn inventory_done(
        &self,
        (sort, place): (Sort, &str),
        (at, found): (Millis, Value),
        next: Millis,
    ) -> Result<(), DbError> {
        self.write((sort, place.to_owned(), at, found, next), |tx, (sort, place, at, found, next)| {
            Box::pin(async move {
                let sql = "INSERT INTO inventory (sort, place, next_ms, at_ms, found) VALUES ($1, $2, $3, $4, $5)
                           ON CONFLICT (sort, place) DO UPDATE SET next_ms = excluded.next_ms, at_ms = excluded.at_ms,
                             found = excluded.found";
                tx.execute(sql, args![*sort, place.as_str(), *next, *at, found.clone()]).await.map(drop)
            })
        })
        .await
    }

    /// All places are due now; returns how many were not.
    pub async fn inventory_hurry(&self, now: Millis) -> Result<u64, DbError> {
        self.write(now, |tx, now| {
            Box::pin(async move {
                let sql = "UPDATE inventory SET next_ms = $1 WHERE next_ms > $1";
                tx.execute(sql, args![*now]).await
            })
        })
        .await
    }

    /// What the last comparison of each place has found.
    pub async fn inventories(&self) -> Result<Vec<Compared>, DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                let rows = tx.rows("SELECT * FROM inventory ORDER BY sort, place", args![]).await?;
                rows.iter().map(compared_of).collect()
            })
        })
        .await
    }

    /// What is not proven gone at the places of this sort, by place.
    pub async fn held(&self, sort: Sort) -> Result<Vec<Held>, DbError> {
        self.read(sort, |tx, sort| {
            Box::pin(async move {
                let sql = match sort {
                    Sort::Store => {
                        "SELECT l.place, count(*) AS things, count(CASE WHEN l.state = 'to_delete' THEN 1 END) AS to_delete,
                           CAST(COALESCE(sum(o.size_bytes), 0) AS BIGINT) AS bytes
                         FROM ledger l LEFT JOIN object o ON o.id = l.object_id
                         WHERE l.state <> 'gone' AND l.object_id IS NOT NULL AND l.place <> 'local'
                         GROUP BY l.place ORDER BY l.place"
                    }
                    Sort::Host => {
                        "SELECT l.place, count(*) AS things, count(CASE WHEN l.state = 'to_delete' THEN 1 END) AS to_delete,
                           CAST(COALESCE(sum(p.stored_bytes), 0) AS BIGINT) AS bytes
                         FROM ledger l LEFT JOIN publication p ON p.id = l.publication_id AND p.remote_id = l.remote_id
                         WHERE l.state <> 'gone' AND l.publication_id IS NOT NULL GROUP BY l.place ORDER BY l.place"
                    }
                };
                tx.rows(sql, args![]).await?.iter().map(held_of).collect()
            })
        })
        .await
    }
}

async fn explanation(
    tx: &mut Tx,
    host: &str,
    (remote, key): (&str, Option<PublicationId>),
) -> Result<Option<Explanation>, DbError> {
    let sql = "SELECT state, proven_ms FROM ledger WHERE place = $1 AND remote_id = $2 AND publication_id IS NOT NULL";
    if let Some(row) = tx.row(sql, args![host, remote]).await? {
        let (state, proven) = (row.get("state")?, row.get("proven_ms")?);
        return Ok(Some(Explanation::This { state, proven }));
    }
    let Some(key) = key else { return Ok(None) };
    let sql =
        "SELECT state, remote_id FROM ledger WHERE id = $1 AND place = $2 AND publication_id IS NOT NULL";
    let Some(row) = tx.row(sql, args![entry_of(key), host]).await? else { return Ok(None) };
    let (state, known): (State, Option<String>) = (row.get("state")?, row.get("remote_id")?);
    let perhaps = known.is_none() && state != State::Gone;
    Ok(Some(if perhaps { Explanation::Perhaps } else { Explanation::Twin }))
}

fn listed_of(row: &Row) -> Result<ListedCopy, DbError> {
    Ok(ListedCopy {
        state: row.get("state")?,
        proven: row.get("proven_ms")?,
        key: row.get("key")?,
        size: row.get("size_bytes")?,
        upload: row.get("begun_upload")?,
    })
}

fn promised_of(row: &Row) -> Result<PromisedCopy, DbError> {
    Ok(PromisedCopy { id: row.get("id")?, key: row.get("key")?, size: row.get("size_bytes")? })
}

fn compared_of(row: &Row) -> Result<Compared, DbError> {
    Ok(Compared {
        sort: row.get("sort")?,
        place: row.get("place")?,
        at: row.get("at_ms")?,
        next: row.get("next_ms")?,
        found: row.get("found")?,
    })
}

fn held_of(row: &Row) -> Result<Held, DbError> {
    Ok(Held {
        place: row.get("place")?,
        things: row.get("things")?,
        to_delete: row.get("to_delete")?,
        bytes: row.get("bytes")?,
    })
}
