//! Turns: one node at a time sends to an endpoint, and says in one transaction what came of it.

use matinee_core::event::{Event, Topic};
use matinee_core::id::{EventId, WebhookId};
use matinee_core::time::Millis;
use matinee_core::webhook::limits::TRIES_KEPT;
use matinee_core::webhook::retry::{self, Fate, Off, Outcome};
use matinee_core::webhook::{Delivery as State, State as Called, Try};
use serde_json::json;

use crate::db::Db;
use crate::db::error::DbError;
use crate::db::event::event_of;
use crate::db::job::node_of;
use crate::db::told::tell;
use crate::db::tx::{Sql, Tx};
use crate::db::value::{Row, args};
use crate::db::webhook::{Webhook, standing_of, webhook_of};
use crate::db::word;

/// A message that is to be sent now.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// What it is about.
    pub event: Event,
    /// Calls that it has had.
    pub attempts: u32,
    /// What is remembered of them.
    pub tries: Vec<Try>,
}

/// A message that was sent, or could not be.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// What it was.
    pub due: Due,
    /// How it went.
    pub tried: Try,
    /// How it ended.
    pub outcome: Outcome,
    /// Drawn for the next wait.
    pub random: u32,
}

/// What came of some messages for their endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settled {
    /// Messages that were taken.
    pub delivered: u64,
    /// Messages that were given up.
    pub failed: u64,
    /// It is switched off.
    pub off: Option<Off>,
}

impl Db {
    /// Takes the right to send to endpoints for which something is due, those that have waited longest first.
    pub async fn take_turns(
        &self,
        holder: &str,
        (now, until): (Millis, Millis),
        limit: u32,
    ) -> Result<Vec<WebhookId>, DbError> {
        // Mostly there is nothing, which costs no write.
        if limit == 0 || self.read(now, |tx, now| Box::pin(ready(tx, *now, 1))).await?.is_empty() {
            return Ok(Vec::new());
        }
        self.write((holder.to_owned(), now, until, limit), |tx, (holder, now, until, limit)| {
            Box::pin(async move {
                let all = ready(tx, *now, *limit).await?;
                let mut mine = Vec::new();
                for id in all {
                    let sql = "UPDATE webhook SET holder = $2, held_ms = $3 WHERE id = $1 AND held_ms <= $4";
                    if tx.execute(sql, args![id, holder.as_str(), *until, *now]).await? > 0 {
                        mine.push(id);
                    }
                }
                Ok(mine)
            })
        })
        .await
    }

    /// What is to be sent to an endpoint now by who has its turn; `None` when it is not to be called.
    pub async fn due(
        &self,
        webhook: WebhookId,
        holder: &str,
        now: Millis,
    ) -> Result<Option<(Webhook, Vec<Due>)>, DbError> {
        self.read((webhook, holder.to_owned(), now), |tx, (webhook, holder, now)| {
            Box::pin(due(tx, (*webhook, holder), *now))
        })
        .await
    }

    /// Saves what came of messages to one endpoint.
    pub async fn settle_tries(
        &self,
        webhook: WebhookId,
        all: &[Tried],
        now: Millis,
    ) -> Result<Settled, DbError> {
        self.write((webhook, all.to_vec(), now), |tx, (webhook, all, now)| {
            Box::pin(settle(tx, *webhook, all, *now))
        })
        .await
    }

    /// Gives a turn back.
    pub async fn end_turn(&self, webhook: WebhookId, holder: &str) -> Result<(), DbError> {
        self.write((webhook, holder.to_owned()), |tx, (webhook, holder)| {
            Box::pin(async move {
                let sql = "UPDATE webhook SET held_ms = 0 WHERE id = $1 AND holder = $2";
                tx.execute(sql, args![*webhook, holder.as_str()]).await.map(drop)
            })
        })
        .await
    }

    /// A node that starts gives back the turns of its earlier runs.
    pub async fn end_own_turns(&self, holder: &str) -> Result<u64, DbError> {
        self.write(holder.to_owned(), |tx, holder| {
            Box::pin(async move {
                let sql = "UPDATE webhook SET held_ms = 0
                           WHERE held_ms > 0 AND substr(holder, 1, length($1)) = $1 AND holder <> $2";
                tx.execute(sql, args![node_of(holder), holder.as_str()]).await
            })
        })
        .await
    }
}

/// Endpoints that may be called, and for which something is due.
async fn ready(tx: &mut Tx, now: Millis, limit: u32) -> Result<Vec<WebhookId>, DbError> {
    let sql = "SELECT id FROM (SELECT w.id, (SELECT min(d.next_ms) FROM delivery d
                 WHERE d.webhook_id = w.id AND d.state = 'waiting') AS due_ms
               FROM webhook w WHERE w.state = 'active' AND w.held_ms <= $1 AND COALESCE(w.rests_ms, 0) <= $1) AS called
               WHERE due_ms <= $1 ORDER BY due_ms, id LIMIT $2";
    tx.rows(sql, args![now, limit]).await?.iter().map(|row| row.get("id")).collect()
}

async fn due(
    tx: &mut Tx,
    (webhook, holder): (WebhookId, &str),
    now: Millis,
) -> Result<Option<(Webhook, Vec<Due>)>, DbError> {
    // How many wait is not asked: with 10,000 of them that would cost more than all else.
    let sql = "SELECT *, CAST(0 AS bigint) AS waiting FROM webhook
               WHERE id = $1 AND holder = $2 AND held_ms > $3 AND state = 'active'";
    let Some(row) = tx.row(sql, args![webhook, holder, now]).await? else { return Ok(None) };
    let webhook = webhook_of(&row)?;
    if webhook.standing.rests_until.is_some_and(|until| until > now) {
        return Ok(None);
    }
    let sql = "SELECT e.*, d.attempts, d.tries FROM delivery d JOIN event e ON e.id = d.event_id
               WHERE d.webhook_id = $1 AND d.state = 'waiting' AND d.next_ms <= $2
               ORDER BY d.next_ms, d.event_id LIMIT $3";
    let rows = tx.rows(sql, args![webhook.id, now, retry::window(&webhook.standing)]).await?;
    let all = rows.iter().map(due_of).collect::<Result<_, _>>()?;
    Ok(Some((webhook, all)))
}

fn due_of(row: &Row) -> Result<Due, DbError> {
    let tries = word::json(row, "tries")?.unwrap_or_default();
    Ok(Due { event: event_of(row)?, attempts: row.get("attempts")?, tries })
}

async fn settle(tx: &mut Tx, webhook: WebhookId, all: &[Tried], now: Millis) -> Result<Settled, DbError> {
    let sql = Sql::Each {
        sqlite: "SELECT * FROM webhook WHERE id = $1",
        postgres: "SELECT * FROM webhook WHERE id = $1 FOR NO KEY UPDATE",
    };
    // It was deleted meanwhile, with its deliveries.
    let Some(row) = tx.row(sql, args![webhook]).await? else { return Ok(Settled::default()) };
    let mut standing = standing_of(&row)?;
    let (mut settled, mut back) = (Settled::default(), false);
    for one in all {
        let attempt = one.due.attempts.saturating_add(1);
        let after = retry::ended(standing, attempt, &one.outcome, (now, one.random));
        standing = after.standing;
        back |= after.back;
        settled.off = settled.off.or(after.off);
        match after.fate {
            Fate::Delivered => settled.delivered += 1,
            Fate::Failed => settled.failed += 1,
            Fate::Again(_) => {}
        }
        save(tx, (webhook, one), after.fate, now).await?;
    }
    let state = match (row.get("state")?, settled.off) {
        (Called::Active, Some(Off::Gone)) => Called::Gone,
        (Called::Active, Some(Off::Failing)) => Called::Failing,
        (state, _) => state,
    };
    let sql = "UPDATE webhook SET state = $2, failures = $3, failing_ms = $4, rests_ms = $5 WHERE id = $1";
    tx.execute_one(sql, args![webhook, state, standing.failures, standing.since, standing.rests_until])
        .await?;
    if back {
        let sql =
            "UPDATE delivery SET next_ms = $2 WHERE webhook_id = $1 AND state = 'waiting' AND next_ms > $2";
        tx.execute(sql, args![webhook, now]).await?;
    }
    if let Some(off) = settled.off.filter(|_| matches!(state, Called::Gone | Called::Failing)) {
        let reason = if off == Off::Gone { "gone" } else { "failing" };
        let facts = json!({ "url": row.get::<String>("url")?, "reason": reason });
        let about = (webhook.to_string(), facts);
        tell(tx, row.get("app_id")?, Topic::WebhookDisabled, about, now).await?;
    }
    Ok(settled)
}

/// Saves one message, unless it was begun again meanwhile.
async fn save(
    tx: &mut Tx,
    (webhook, one): (WebhookId, &Tried),
    fate: Fate,
    now: Millis,
) -> Result<(), DbError> {
    let (state, next, ended) = match fate {
        Fate::Delivered => (State::Delivered, now, Some(now)),
        Fate::Again(next) => (State::Waiting, next, None),
        Fate::Failed => (State::Failed, now, Some(now)),
    };
    let event: EventId = one.due.event.id;
    let mut tries: Vec<&Try> = one.due.tries.iter().chain([&one.tried]).collect();
    tries.drain(..tries.len().saturating_sub(TRIES_KEPT));
    let sql =
        "UPDATE delivery SET state = $3, attempts = attempts + 1, next_ms = $4, ended_ms = $5, tries = $6
               WHERE webhook_id = $1 AND event_id = $2 AND state = 'waiting' AND attempts = $7";
    let tries = word::as_json(&tries);
    tx.execute(sql, args![webhook, event, state, next, ended, tries, one.due.attempts]).await.map(drop)
}
