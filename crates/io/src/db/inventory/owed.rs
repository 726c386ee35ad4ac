//! What no row explains: since when it is seen, and its way into the ledger, by which alone it goes.

use matinee_core::event::Topic;
use matinee_core::id::{AppId, EntryId, ObjectId, PublicationId, VideoId};
use matinee_core::inventory::outside::{Sort, Thing};
use matinee_core::ledger::{self, Kind};
use matinee_core::replica;
use matinee_core::time::Millis;
use serde_json::json;

use super::Unknown;
use crate::db::Db;
use crate::db::error::DbError;
use crate::db::lease::lock_video;
use crate::db::publication::{NewPublication, entry_of, owe};
use crate::db::told::tell;
use crate::db::tx::Tx;
use crate::db::value::{Row, args};

impl Db {
    /// Writes down what a listing of a place shows that no row explains; what was seen before keeps its moment.
    pub async fn unknown_seen(
        &self,
        (sort, place): (Sort, &str),
        seen: &[Unknown],
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((sort, place.to_owned(), seen.to_vec(), now), |tx, (sort, place, seen, now)| {
            Box::pin(async move {
                for one in seen {
                    let sql = "INSERT INTO unknown_thing (sort, place, name, thing, key, size_bytes, first_ms, last_ms)
                               VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
                               ON CONFLICT (sort, place, name) DO UPDATE SET thing = excluded.thing,
                                 size_bytes = excluded.size_bytes, last_ms = excluded.last_ms";
                    let args = args![*sort, place.as_str(), one.name.as_str(), one.thing, one.key, one.size, *now];
                    tx.execute(sql, args).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Forgets what was not seen by a whole listing that began at `began`; returns how much.
    pub async fn unknown_gone(&self, (sort, place): (Sort, &str), began: Millis) -> Result<u64, DbError> {
        self.write((sort, place.to_owned(), began), |tx, (sort, place, began)| {
            Box::pin(async move {
                let sql = "DELETE FROM unknown_thing WHERE sort = $1 AND place = $2 AND last_ms < $3";
                tx.execute(sql, args![*sort, place.as_str(), *began]).await
            })
        })
        .await
    }

    /// What no row explains at a place, as it was written down, in the order of the names.
    pub async fn unknown_at(&self, (sort, place): (Sort, &str)) -> Result<Vec<Unknown>, DbError> {
        self.read((sort, place.to_owned()), |tx, (sort, place)| {
            Box::pin(async move {
                let sql = "SELECT * FROM unknown_thing WHERE sort = $1 AND place = $2 ORDER BY name";
                tx.rows(sql, args![*sort, place.as_str()]).await?.iter().map(unknown_of).collect()
            })
        })
        .await
    }

    /// Those of them that are seen for the longest time, at most so many.
    pub async fn unknown_longest(
        &self,
        (sort, place): (Sort, &str),
        limit: u32,
    ) -> Result<Vec<Unknown>, DbError> {
        self.read((sort, place.to_owned(), limit), |tx, (sort, place, limit)| {
            Box::pin(async move {
                let sql = "SELECT * FROM unknown_thing WHERE sort = $1 AND place = $2 ORDER BY first_ms, name LIMIT $3";
                tx.rows(sql, args![*sort, place.as_str(), *limit]).await?.iter().map(unknown_of).collect()
            })
        })
        .await
    }

    /// Something at a place that no row explained is to be deleted, and so is something that had been proven gone and is there.
    /// The app that everybody has pays for it. `false` when a row knows it by now, and when it was only believed to be lost: then it
    /// is a copy again, and read before anybody decides about it.
    pub async fn owe_unknown(
        &self,
        (sort, place): (Sort, &str),
        (one, app): (&Unknown, AppId),
        now: Millis,
    ) -> Result<bool, DbError> {
        self.write((sort, place.to_owned(), one.clone(), app, now), |tx, (sort, place, one, app, now)| {
            Box::pin(async move {
                let sql = "DELETE FROM unknown_thing WHERE sort = $1 AND place = $2 AND name = $3";
                tx.execute(sql, args![*sort, place.as_str(), one.name.as_str()]).await?;
                match sort {
                    Sort::Store => owe_copy(tx, place, (one, *app), *now).await,
                    Sort::Host => owe_video(tx, place, (one, *app), *now).await,
                }
            })
        })
        .await
    }
}

/// What lay in a store that was given up as lost, of an object that is wanted: nobody has proven it gone, and it may be the last that
/// there is. It counts when its bytes have been read; the rules say whether it is one too many.
async fn take_back(tx: &mut Tx, store: &str, one: &Unknown, now: Millis) -> Result<bool, DbError> {
    let sql =
        "SELECT video_id FROM ledger WHERE id = $1 AND place = $2 AND state = 'gone' AND reason = 'lost'";
    let Some(row) = tx.row(sql, args![one.key, store]).await?.filter(|_| one.thing == Thing::Object) else {
        return Ok(false);
    };
    match lock_video(tx, row.get("video_id")?).await {
        Err(DbError::Absent) => return Ok(false),
        locked => locked.map(drop)?,
    }
    // An object that leaves as a whole leaves here, too.
    let sql = "UPDATE ledger SET state = 'present', reason = NULL, proof = NULL, proven_ms = NULL, next_try_ms = NULL,
                 last_error = NULL, attempts = 0
               WHERE id = $1 AND state = 'gone' AND EXISTS (SELECT 1 FROM object o WHERE o.id = ledger.object_id)
                 AND NOT EXISTS (SELECT 1 FROM ledger other WHERE other.object_id = ledger.object_id
                   AND other.state = 'to_delete' AND other.reason NOT IN ('moved', 'archived', 'miscopied', 'seen_again'))
               RETURNING object_id";
    let Some(row) = tx.row(sql, args![one.key]).await? else { return Ok(false) };
    let object: ObjectId = row.get("object_id")?;
    let sql = "INSERT INTO replica (id, object_id, store, key, state, reason, created_ms) VALUES ($1, $2, $3, $4, $5, 'lost', $6)";
    let state = replica::State::Suspect;
    tx.execute(sql, args![one.key, object, store, one.name.as_str(), state, now]).await?;
    tx.execute("UPDATE object SET placed = NULL WHERE id = $1", args![object]).await?;
    Ok(true)
}

/// A copy gets its rows back under its own name, so that it goes like every other copy.
async fn owe_copy(
    tx: &mut Tx,
    store: &str,
    (one, app): (&Unknown, AppId),
    now: Millis,
) -> Result<bool, DbError> {
    if take_back(tx, store, one, now).await? {
        return Ok(false);
    }
    // Its app may be deleted by now; somebody has to pay.
    let sql = "UPDATE ledger SET state = 'to_delete', reason = 'seen_again', proven_ms = NULL, next_try_ms = $3, attempts = 0,
                 app_id = CASE WHEN EXISTS (SELECT 1 FROM app WHERE app.id = ledger.app_id) THEN app_id ELSE $4 END
               WHERE id = $1 AND place = $2 AND state = 'gone' AND object_id IS NOT NULL
               RETURNING app_id, video_id, object_id, kind";
    let (object, kind, video, app) = if let Some(row) = tx.row(sql, args![one.key, store, now, app]).await? {
        let (video, app): (VideoId, AppId) = (row.get("video_id")?, row.get("app_id")?);
        let facts = json!({ "video": video, "place": store, "name": one.name });
        tell(tx, app, Topic::LedgerSeenAgain, (one.key.to_string(), facts), now).await?;
        (row.get("object_id")?, row.get("kind")?, video, app)
    } else {
        // Of a video that nobody knows any more.
        let (object, video) = (ObjectId::from_bits(one.key.bits()), VideoId::from_bits(one.key.bits()));
        let sql = "INSERT INTO ledger (id, app_id, video_id, object_id, place, kind, state, reason, attempts, next_try_ms, created_ms)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, 'unknown', 0, $8, $8) ON CONFLICT (id) DO NOTHING";
        let state = ledger::State::ToDelete;
        let args = args![one.key, app, video, object, store, Kind::Unknown, state, now];
        if tx.execute(sql, args).await? == 0 {
            return Ok(false);
        }
        (object, Kind::Unknown, video, app)
    };
    let sql = "INSERT INTO object (id, app_id, video_id, kind, size_bytes, created_ms) VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (id) DO NOTHING";
    tx.execute(sql, args![object, app, video, kind, one.size, now]).await?;
    let sql =
        "INSERT INTO replica (id, object_id, store, key, state, created_ms) VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (id) DO NOTHING";
    let state = replica::State::ToDelete;
    tx.execute(sql, args![one.key, object, store, one.name.as_str(), state, now]).await?;
    Ok(true)
}

async fn owe_video(
    tx: &mut Tx,
    host: &str,
    (one, app): (&Unknown, AppId),
    now: Millis,
) -> Result<bool, DbError> {
    let again = "UPDATE ledger SET state = 'to_delete', reason = 'seen_again', control_ms = NULL, proven_ms = NULL,
                   next_try_ms = $3, attempts = 0,
                   app_id = CASE WHEN EXISTS (SELECT 1 FROM app WHERE app.id = ledger.app_id) THEN app_id ELSE $4 END
                 WHERE place = $1 AND remote_id = $2 AND state = 'gone' RETURNING id, app_id, video_id";
    if let Some(row) = tx.row(again, args![host, one.name.as_str(), now, app]).await? {
        let (id, app, video): (EntryId, AppId, VideoId) =
            (row.get("id")?, row.get("app_id")?, row.get("video_id")?);
        let facts = json!({ "video": video, "place": host, "name": one.name });
        tell(tx, app, Topic::LedgerSeenAgain, (id.to_string(), facts), now).await?;
        return Ok(true);
    }
    let key = PublicationId::from_bits(one.key.bits());
    let sql = "SELECT 1 AS known FROM ledger WHERE id = $1 OR (place = $2 AND remote_id = $3)";
    if tx.row(sql, args![entry_of(key), host, one.name.as_str()]).await?.is_some() {
        return Ok(false);
    }
    let new = NewPublication { id: key, app, video: VideoId::from_bits(key.bits()), host: host.to_owned() };
    owe(tx, (entry_of(key), &new), ledger::State::ToDelete, now).await?;
    let sql = "UPDATE ledger SET remote_id = $2, reason = 'unknown', next_try_ms = $3 WHERE id = $1";
    tx.execute(sql, args![entry_of(key), one.name.as_str(), now]).await?;
    Ok(true)
}

fn unknown_of(row: &Row) -> Result<Unknown, DbError> {
    Ok(Unknown {
        name: row.get("name")?,
        thing: row.get("thing")?,
        key: row.get("key")?,
        size: row.get("size_bytes")?,
        first: row.get("first_ms")?,
    })
}
