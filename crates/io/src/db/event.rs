//! Events: written in the transaction that makes them true, read by cursor.

use matinee_core::event::{Event, NewEvent, Topic};
use matinee_core::id::{AppId, EventId};
use matinee_core::time::Millis;

use super::Db;
use super::error::DbError;
use super::tx::Tx;
use super::value::{Row, args};

/// The advisory lock of PostgreSQL under which `seq` is drawn, held until the commit: so `seq` grows in the order
/// in which rows become visible, and a reader by cursor skips none. Take it last, it holds up other writers.
pub(crate) const LOCK_SEQ: i64 = 0x6d61_7469_0001;

/// Writes an event in the caller's transaction and wakes the readers after its commit.
pub(crate) async fn insert(tx: &mut Tx, new: &NewEvent, now: Millis) -> Result<(), DbError> {
    if tx.is_postgres() {
        tx.rows("SELECT pg_advisory_xact_lock($1)::text AS locked", args![LOCK_SEQ]).await?;
    }
    tx.execute(
        "INSERT INTO event (id, app_id, topic, subject, payload, created_ms) VALUES ($1, $2, $3, $4, $5, $6)",
        args![new.id, new.app, new.topic.name(), new.subject.as_str(), new.payload.clone(), now],
    )
    .await?;
    tx.wake_events();
    Ok(())
}

/// An id for an event that happens at most once, made from what happened: inside a transaction nothing is drawn
/// at random, because it may be run again.
pub(crate) fn id_from(seed: &str, now: Millis) -> EventId {
    let hash = blake3::hash(seed.as_bytes());
    let random = hash.as_bytes().first_chunk().expect("because a hash has 32 bytes");
    EventId::new(now, *random)
}

impl Db {
    /// The events after `after` (0 for all), oldest first, of one app or all, of one subject or all.
    pub async fn events_after(
        &self,
        app: Option<AppId>,
        subject: Option<&str>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Event>, DbError> {
        self.read((app, subject.map(str::to_owned), after, limit), |tx, (app, subject, after, limit)| {
            Box::pin(async move {
                let rows = match (app, subject) {
                    (None, None) => tx.rows(ALL, args![*after, *limit]).await?,
                    (Some(app), None) => tx.rows(OF_APP, args![*after, *limit, *app]).await?,
                    (None, Some(of)) => tx.rows(OF_SUBJECT, args![*after, *limit, of.as_str()]).await?,
                    (Some(app), Some(of)) => {
                        tx.rows(OF_BOTH, args![*after, *limit, of.as_str(), *app]).await?
                    }
                };
                rows.iter().map(event_of).collect()
            })
        })
        .await
    }

    /// The cursor of the newest event; 0 when there is none.
    pub async fn newest_event(&self) -> Result<i64, DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                let row = tx.row("SELECT COALESCE(max(seq), 0) AS seq FROM event", args![]).await?;
                row.map_or(Ok(0), |row| row.get("seq"))
            })
        })
        .await
    }
}

const ALL: &str = "SELECT * FROM event WHERE seq > $1 ORDER BY seq LIMIT $2";
const OF_APP: &str = "SELECT * FROM event WHERE seq > $1 AND app_id = $3 ORDER BY seq LIMIT $2";
const OF_SUBJECT: &str = "SELECT * FROM event WHERE seq > $1 AND subject = $3 ORDER BY seq LIMIT $2";
const OF_BOTH: &str =
    "SELECT * FROM event WHERE seq > $1 AND subject = $3 AND app_id = $4 ORDER BY seq LIMIT $2";

pub(crate) fn event_of(row: &Row) -> Result<Event, DbError> {
    let word: String = row.get("topic")?;
    let topic = Topic::ALL.iter().copied().find(|topic| topic.name() == word);
    Ok(Event {
        seq: row.get("seq")?,
        id: row.get("id")?,
        app: row.get("app_id")?,
        topic: topic.ok_or_else(|| DbError::Never(format!("no event has the topic {word}")))?,
        subject: row.get("subject")?,
        payload: row.get("payload")?,
        created: row.get("created_ms")?,
    })
}
