//! Replays: an endpoint is told again what has happened, with the same ids.

use matinee_core::id::{AppId, EventId, WebhookId};
use matinee_core::time::Millis;
use matinee_core::webhook::State;
use matinee_core::webhook::limits::REPLAY_EVENTS_MAX;
use serde_json::json;

use super::{events, names};
use crate::db::Db;
use crate::db::error::DbError;
use crate::db::tx::{Sql, Tx};
use crate::db::value::args;
use crate::db::webhook::{Webhook, shown};

/// What is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    /// So many events.
    pub events: u64,
    /// There are more, from this moment on.
    pub next: Option<Millis>,
}

impl Db {
    /// Sends one event to an endpoint, again or for the first time, whatever topics it is told else.
    ///
    /// [`DbError::Absent`] when the app has no such endpoint or event, [`DbError::Conflict`] when it is not called.
    pub async fn replay_event(
        &self,
        (app, webhook): (AppId, WebhookId),
        event: EventId,
        now: Millis,
    ) -> Result<Replayed, DbError> {
        self.write((app, webhook, event, now), |tx, (app, webhook, event, now)| {
            Box::pin(async move {
                let webhook = called(tx, *app, *webhook).await?;
                let sql = "SELECT seq, topic FROM event WHERE id = $1 AND app_id = $2";
                let row = tx.row(sql, args![*event, *app]).await?.ok_or(DbError::Absent)?;
                let seq: i64 = row.get("seq")?;
                let topics = [row.get::<String>("topic")?].into_iter().collect();
                let events = again(tx, &webhook, ((seq - 1, seq), topics), *now).await?;
                Ok(Replayed { events, next: None })
            })
        })
        .await
    }

    /// The same with all events of its topics that were written since a moment.
    pub async fn replay_since(
        &self,
        (app, webhook): (AppId, WebhookId),
        since: Millis,
        now: Millis,
    ) -> Result<Replayed, DbError> {
        self.write((app, webhook, since, now), |tx, (app, webhook, since, now)| {
            Box::pin(async move {
                let webhook = called(tx, *app, *webhook).await?;
                let topics = names(&webhook.topics);
                let found = tx.rows(FOUND, args![*app, *since, topics.clone(), REPLAY_EVENTS_MAX]).await?;
                let (Some(first), Some(last)) = (found.first(), found.last()) else {
                    return Ok(Replayed { events: 0, next: None });
                };
                let range = (first.get::<i64>("seq")? - 1, last.get("seq")?);
                let events = again(tx, &webhook, (range, topics), *now).await?;
                let full = found.len() == REPLAY_EVENTS_MAX as usize;
                let next = full.then(|| last.get("created_ms")).transpose()?;
                Ok(Replayed { events, next })
            })
        })
        .await
    }
}

const FOUND: Sql = Sql::Each {
    sqlite: "SELECT seq, created_ms FROM event WHERE app_id = $1 AND created_ms >= $2
               AND topic IN (SELECT value FROM json_each($3)) ORDER BY seq LIMIT $4",
    postgres: "SELECT seq, created_ms FROM event WHERE app_id = $1 AND created_ms >= $2
                 AND topic IN (SELECT jsonb_array_elements_text($3)) ORDER BY seq LIMIT $4",
};

/// An endpoint that is called.
async fn called(tx: &mut Tx, app: AppId, webhook: WebhookId) -> Result<Webhook, DbError> {
    let webhook = shown(tx, app, webhook).await?;
    if webhook.state == State::Active {
        return Ok(webhook);
    }
    Err(DbError::Conflict("the webhook is switched off; switch it on, then replay".to_owned()))
}

async fn again(
    tx: &mut Tx,
    webhook: &Webhook,
    ((from, upto), topics): ((i64, i64), serde_json::Value),
    now: Millis,
) -> Result<u64, DbError> {
    const SQL: Sql = events!(
        "INSERT INTO delivery (webhook_id, event_id, topic, state, attempts, next_ms, created_ms, tries)
         SELECT $1, e.id, e.topic, 'waiting', 0, $6, e.created_ms, $7",
        "ON CONFLICT (webhook_id, event_id) DO UPDATE SET state = 'waiting', attempts = 0, next_ms = $6, ended_ms = NULL"
    );
    let events = tx.execute(SQL, args![webhook.id, from, upto, webhook.app, topics, now, json!([])]).await?;
    tx.wake_events();
    Ok(events)
}
