//! Events on their way to endpoints: handed on from the log by a cursor, sent in turns, and remembered with their answers.
//!
//! Whoever writes an event writes nothing else. The cursor moves in the transaction that makes the deliveries, so that a
//! crash repeats nothing and loses nothing.

mod again;
mod turn;

use std::collections::BTreeSet;

use matinee_core::event::Topic;
use matinee_core::id::{AppId, EventId, WebhookId};
use matinee_core::time::Millis;
use matinee_core::webhook::pattern::Topics;
use matinee_core::webhook::{Delivery as State, Try};
use serde_json::{Value, json};

pub use self::again::Replayed;
pub use self::turn::{Due, Settled, Tried};
use super::Db;
use super::error::DbError;
use super::tx::{Sql, Tx};
use super::value::{Row, args};
use super::word;

/// So many events are looked at in one transaction.
const SPREAD_EVENTS: u32 = 1_000;

/// One event for one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The event; its id is the id of the message.
    pub event: EventId,
    /// What it is about. A test is about no event.
    pub topic: String,
    /// Where it is.
    pub state: State,
    /// Calls since it was begun, or begun again.
    pub attempts: u32,
    /// It is sent not before this moment.
    pub next: Millis,
    /// When it happened.
    pub created: Millis,
    /// When it was taken or given up.
    pub ended: Option<Millis>,
    /// The last calls, the oldest first.
    pub tries: Vec<Try>,
}

/// Which deliveries of an endpoint to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryFilter {
    /// Only in this state.
    pub state: Option<State>,
    /// Only those of events before this one.
    pub before: Option<EventId>,
    /// At most so many.
    pub limit: u32,
}

/// How far events were handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// All events up to here were looked at.
    pub seen: i64,
    /// Messages that were made.
    pub made: u64,
    /// There are more events to look at.
    pub more: bool,
}

/// The events that one look finds, and what is made of them.
struct Look {
    /// Where the cursor is.
    cursor: i64,
    /// Behind which event the look begins, and with which it ends.
    from: i64,
    upto: i64,
    full: bool,
    wanted: Vec<Wanted>,
}

/// What one endpoint wants of them.
struct Wanted {
    webhook: WebhookId,
    app: AppId,
    from: i64,
    topics: Topics,
}

impl Db {
    /// Makes deliveries of the events behind the cursor. `seen` is how far the caller has looked already: what nobody wants
    /// costs a write only now and then.
    pub async fn spread(&self, seen: i64, now: Millis) -> Result<Spread, DbError> {
        let look = self.read(seen, |tx, seen| Box::pin(look(tx, *seen))).await?;
        let Some(look) = look else { return Ok(Spread { seen, made: 0, more: false }) };
        let far = look.upto - look.cursor >= i64::from(SPREAD_EVENTS);
        if look.wanted.is_empty() && !far {
            return Ok(Spread { seen: look.upto, made: 0, more: look.full });
        }
        self.write((seen, now), |tx, (seen, now)| Box::pin(spread(tx, *seen, *now))).await
    }

    /// The deliveries of an endpoint of an app, the newest event first.
    pub async fn deliveries(
        &self,
        (app, webhook): (AppId, WebhookId),
        filter: &DeliveryFilter,
    ) -> Result<Vec<Delivery>, DbError> {
        self.read((app, webhook, filter.clone()), |tx, (app, webhook, filter)| {
            Box::pin(async move {
                let sql = "SELECT d.* FROM delivery d JOIN webhook w ON w.id = d.webhook_id
                           WHERE d.webhook_id = $1 AND w.app_id = $2 AND ($3 IS NULL OR d.event_id < $3)
                             AND ($4 IS NULL OR d.state = $4)
                           ORDER BY d.event_id DESC LIMIT $5";
                let state = filter.state.map(|state| word::Word::word(state).to_owned());
                let rows = tx.rows(sql, args![*webhook, *app, filter.before, state, filter.limit]).await?;
                rows.iter().map(delivery_of).collect()
            })
        })
        .await
    }

    /// Remembers a test of an endpoint among its deliveries.
    pub async fn note_test(
        &self,
        webhook: WebhookId,
        (event, topic): (EventId, &str),
        call: &Try,
    ) -> Result<(), DbError> {
        let arguments = (webhook, event, topic.to_owned(), call.clone());
        self.write(arguments, |tx, (webhook, event, topic, call)| {
            Box::pin(async move {
                let state = if call.is_taken() { State::Delivered } else { State::Failed };
                let ended = call.at.plus(i64::try_from(call.took_ms).unwrap_or_default());
                let sql = "INSERT INTO delivery (webhook_id, event_id, topic, state, attempts, next_ms, created_ms,
                             ended_ms, tries) SELECT id, $2, $3, $4, 1, $5, $5, $6, $7 FROM webhook WHERE id = $1";
                let tries = word::as_json(&[call]);
                tx.execute(sql, args![*webhook, *event, topic.as_str(), state, call.at, ended, tries])
                    .await
                    .map(drop)
            })
        })
        .await
    }

    /// Forgets deliveries that ended before this moment, and those that wait since then for an endpoint that is not called.
    pub async fn prune_deliveries(&self, before: Millis, limit: u32) -> Result<u64, DbError> {
        self.write((before, limit), |tx, (before, limit)| {
            Box::pin(async move {
                let ended = "DELETE FROM delivery WHERE (webhook_id, event_id) IN
                               (SELECT webhook_id, event_id FROM delivery WHERE ended_ms < $1 LIMIT $2)";
                let lost = "DELETE FROM delivery WHERE (webhook_id, event_id) IN
                              (SELECT d.webhook_id, d.event_id FROM webhook w JOIN delivery d ON d.webhook_id = w.id
                               WHERE w.state <> 'active' AND d.state = 'waiting' AND d.next_ms < $1 LIMIT $2)";
                let mut gone = 0;
                for sql in [ended, lost] {
                    gone += tx.execute(sql, args![*before, *limit]).await?;
                }
                Ok(gone)
            })
        })
        .await
    }
}

/// What there is behind the cursor; `None` when nobody listens, or nothing has happened.
async fn look(tx: &mut Tx, seen: i64) -> Result<Option<Look>, DbError> {
    let sql =
        "SELECT (SELECT seq FROM outbox WHERE name = 'webhook') AS cursor_seq, min(from_seq) AS first_seq
               FROM webhook WHERE state = 'active'";
    let row = tx.row(sql, args![]).await?.ok_or(DbError::Absent)?;
    let Some(first) = row.get::<Option<i64>>("first_seq")? else { return Ok(None) };
    // Before the cursor nothing is left, and before the first endpoint was made nobody wants anything.
    let cursor: i64 = row.get("cursor_seq")?;
    let from = cursor.max(first).max(seen);
    let sql = "SELECT seq, app_id, topic FROM event WHERE seq > $1 ORDER BY seq LIMIT $2";
    let events = tx.rows(sql, args![from, SPREAD_EVENTS]).await?;
    let Some(last) = events.last() else { return Ok(None) };
    let (upto, full) = (last.get("seq")?, events.len() == SPREAD_EVENTS as usize);
    let mut happened = BTreeSet::new();
    for event in &events {
        happened.insert((event.get::<AppId>("app_id")?, event.get::<String>("topic")?));
    }
    // Read after the events: who was made before one of them is seen.
    let listeners = tx
        .rows("SELECT id, app_id, topics, from_seq FROM webhook WHERE state = 'active' ORDER BY id", args![])
        .await?;
    let mut wanted = Vec::new();
    for row in &listeners {
        let (app, topics): (AppId, Option<Topics>) = (row.get("app_id")?, word::json(row, "topics")?);
        let topics = topics.ok_or_else(|| DbError::Never("an endpoint wants nothing".to_owned()))?;
        let hears = |topic: &&Topic| happened.contains(&(app, topic.name().to_owned()));
        if Topic::ALL.iter().filter(hears).any(|topic| topics.take(*topic)) {
            wanted.push(Wanted { webhook: row.get("id")?, app, from: row.get("from_seq")?, topics });
        }
    }
    Ok(Some(Look { cursor, from, upto, full, wanted }))
}

async fn spread(tx: &mut Tx, seen: i64, now: Millis) -> Result<Spread, DbError> {
    // Nodes come one after the other.
    let sql = Sql::Each {
        sqlite: "SELECT seq FROM outbox WHERE name = 'webhook'",
        postgres: "SELECT seq FROM outbox WHERE name = 'webhook' FOR UPDATE",
    };
    tx.row(sql, args![]).await?.ok_or(DbError::Absent)?;
    let Some(look) = look(tx, seen).await? else { return Ok(Spread { seen, made: 0, more: false }) };
    let mut made = 0;
    for one in &look.wanted {
        made += hand_on(tx, one, (look.from.max(one.from), look.upto), now).await?;
    }
    tx.execute_one("UPDATE outbox SET seq = $1 WHERE name = 'webhook'", args![look.upto]).await?;
    Ok(Spread { seen: look.upto, made, more: look.full })
}

/// Statements about the events `$2 < seq <= $3` of the app `$4` that have one of the topics `$5`, for the endpoint `$1`.
macro_rules! events {
    ($before:literal, $after:literal) => {
        Sql::Each {
            sqlite: concat!(
                $before,
                " FROM event e WHERE e.seq > $2 AND e.seq <= $3 AND e.app_id = $4
                    AND e.topic IN (SELECT value FROM json_each($5)) ",
                $after
            ),
            postgres: concat!(
                $before,
                " FROM event e WHERE e.seq > $2 AND e.seq <= $3 AND e.app_id = $4
                    AND e.topic IN (SELECT jsonb_array_elements_text($5)) ",
                $after
            ),
        }
    };
}
use events;

async fn hand_on(tx: &mut Tx, one: &Wanted, (from, upto): (i64, i64), now: Millis) -> Result<u64, DbError> {
    const SQL: Sql = events!(
        "INSERT INTO delivery (webhook_id, event_id, topic, state, attempts, next_ms, created_ms, tries)
         SELECT $1, e.id, e.topic, 'waiting', 0, $6, e.created_ms, $7",
        "ON CONFLICT (webhook_id, event_id) DO NOTHING"
    );
    let arguments = args![one.webhook, from, upto, one.app, names(&one.topics), now, json!([])];
    tx.execute(SQL, arguments).await
}

/// The topics that are wanted, as the database is asked for them.
fn names(topics: &Topics) -> Value {
    topics.names().into_iter().collect()
}

fn delivery_of(row: &Row) -> Result<Delivery, DbError> {
    Ok(Delivery {
        event: row.get("event_id")?,
        topic: row.get("topic")?,
        state: row.get("state")?,
        attempts: row.get("attempts")?,
        next: row.get("next_ms")?,
        created: row.get("created_ms")?,
        ended: row.get("ended_ms")?,
        tries: word::json(row, "tries")?.unwrap_or_default(),
    })
}
