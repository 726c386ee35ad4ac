//! The endpoints of an app: made, listed, changed, given another secret, forgotten. What is sent to them is in `delivery`.

use matinee_core::id::{AppId, WebhookId};
use matinee_core::time::Millis;
use matinee_core::webhook::limits::WEBHOOKS_MAX;
use matinee_core::webhook::pattern::Topics;
use matinee_core::webhook::retry::Standing;
use matinee_core::webhook::{Secrets, State};

use super::Db;
use super::error::DbError;
use super::tx::{Sql, Tx};
use super::value::{Row, args};
use super::word;

/// An endpoint to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWebhook {
    /// Its id.
    pub id: WebhookId,
    /// Its app.
    pub app: AppId,
    /// Where messages go.
    pub url: String,
    /// Which events it is told.
    pub topics: Topics,
    /// What its owner calls it.
    pub description: String,
    /// Is it called from now on?
    pub active: bool,
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Its app.
    pub app: AppId,
    /// Where messages go.
    pub url: String,
    /// Which events it is told.
    pub topics: Topics,
    /// What its owner calls it.
    pub description: String,
    /// Whether it is called.
    pub state: State,
    /// By what its messages are signed.
    pub secrets: Secrets,
    /// How it has fared lately.
    pub standing: Standing,
    /// When it was made.
    pub created: Millis,
    /// Messages that wait for it.
    pub waiting: u64,
}

/// What is to be changed of an endpoint; what is not named stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebhookChange {
    /// Another address.
    pub url: Option<String>,
    /// Other events, from now on.
    pub topics: Option<Topics>,
    /// Another description.
    pub description: Option<String>,
    /// It is called from now on, or not.
    pub active: Option<bool>,
}

/// An endpoint with what waits for it.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT w.*, (SELECT count(*) FROM delivery d WHERE d.webhook_id = w.id AND d.state = 'waiting') AS waiting
             FROM webhook w ",
            $rest
        )
    };
}

impl Db {
    /// Makes an endpoint, which is told what happens from now on.
    ///
    /// [`DbError::Conflict`] when its app has too many, [`DbError::Absent`] when there is no such app.
    pub async fn create_webhook(&self, new: &NewWebhook, now: Millis) -> Result<Webhook, DbError> {
        self.write((new.clone(), now), |tx, (new, now)| Box::pin(create(tx, new, *now))).await
    }

    /// The endpoints of an app, the oldest first.
    pub async fn webhooks(&self, app: AppId) -> Result<Vec<Webhook>, DbError> {
        self.read(app, |tx, app| {
            Box::pin(async move {
                let rows = tx.rows(select!("WHERE w.app_id = $1 ORDER BY w.id"), args![*app]).await?;
                rows.iter().map(webhook_of).collect()
            })
        })
        .await
    }

    /// One endpoint of an app.
    pub async fn webhook(&self, app: AppId, id: WebhookId) -> Result<Option<Webhook>, DbError> {
        self.read((app, id), |tx, (app, id)| {
            Box::pin(async move { shown(tx, *app, *id).await.map(Some).or_else(none) })
        })
        .await
    }

    /// Changes an endpoint. One that is called again is told what happens from now on, and what still waits for it.
    pub async fn change_webhook(
        &self,
        (app, id): (AppId, WebhookId),
        change: &WebhookChange,
    ) -> Result<Webhook, DbError> {
        self.write((app, id, change.clone()), |tx, (app, id, change)| {
            Box::pin(alter(tx, (*app, *id), change))
        })
        .await
    }

    /// Gives an endpoint another secret; the one before signs a while longer, too.
    pub async fn rotate_webhook(&self, app: AppId, id: WebhookId, now: Millis) -> Result<Webhook, DbError> {
        self.write((app, id, now), |tx, (app, id, now)| {
            Box::pin(async move {
                let sql = "UPDATE webhook SET secret_number = secret_number + 1, rotated_ms = $3
                           WHERE app_id = $1 AND id = $2";
                tx.execute_one(sql, args![*app, *id, *now]).await?;
                shown(tx, *app, *id).await
            })
        })
        .await
    }

    /// Forgets an endpoint with all that waits for it.
    pub async fn delete_webhook(&self, app: AppId, id: WebhookId) -> Result<(), DbError> {
        self.write((app, id), |tx, (app, id)| {
            Box::pin(async move {
                // Locked first: nobody hands on another event for it meanwhile.
                let sql = Sql::Each {
                    sqlite: "SELECT id FROM webhook WHERE app_id = $1 AND id = $2",
                    postgres: "SELECT id FROM webhook WHERE app_id = $1 AND id = $2 FOR UPDATE",
                };
                tx.row(sql, args![*app, *id]).await?.ok_or(DbError::Absent)?;
                tx.execute("DELETE FROM delivery WHERE webhook_id = $1", args![*id]).await?;
                tx.execute_one("DELETE FROM webhook WHERE id = $1", args![*id]).await
            })
        })
        .await
    }
}

async fn create(tx: &mut Tx, new: &NewWebhook, now: Millis) -> Result<Webhook, DbError> {
    // Two who make one at the same time come one after the other.
    let sql = Sql::Each {
        sqlite: "SELECT id FROM app WHERE id = $1 AND deleting_ms IS NULL",
        postgres: "SELECT id FROM app WHERE id = $1 AND deleting_ms IS NULL FOR UPDATE",
    };
    tx.row(sql, args![new.app]).await?.ok_or(DbError::Absent)?;
    let sql = "SELECT count(*) AS many FROM webhook WHERE app_id = $1";
    let many: u32 = tx.row(sql, args![new.app]).await?.ok_or(DbError::Absent)?.get("many")?;
    if many >= WEBHOOKS_MAX {
        return Err(DbError::Conflict(format!("an app has at most {WEBHOOKS_MAX} webhooks")));
    }
    let state = if new.active { State::Active } else { State::Paused };
    tx.execute_one(
        "INSERT INTO webhook (id, app_id, url, topics, description, state, secret_number, from_seq, failures, held_ms,
           created_ms)
         SELECT $1, $2, $3, $4, $5, $6, 1, COALESCE(max(seq), 0), 0, 0, $7 FROM event",
        args![
            new.id,
            new.app,
            new.url.as_str(),
            word::as_json(&new.topics),
            new.description.as_str(),
            state,
            now
        ],
    )
    .await?;
    shown(tx, new.app, new.id).await
}

async fn alter(
    tx: &mut Tx,
    (app, id): (AppId, WebhookId),
    change: &WebhookChange,
) -> Result<Webhook, DbError> {
    let topics = change.topics.as_ref().map(word::as_json);
    let sql = "UPDATE webhook SET url = COALESCE($3, url), topics = COALESCE($4, topics),
                 description = COALESCE($5, description) WHERE app_id = $1 AND id = $2";
    tx.execute_one(sql, args![app, id, change.url.clone(), topics, change.description.clone()]).await?;
    match change.active {
        None => {}
        Some(false) => {
            let sql = "UPDATE webhook SET state = $2 WHERE id = $1 AND state = $3";
            tx.execute(sql, args![id, State::Paused, State::Active]).await?;
        }
        Some(true) => {
            let sql = "UPDATE webhook SET state = $2, failures = 0, failing_ms = NULL, rests_ms = NULL,
                         from_seq = (SELECT COALESCE(max(seq), 0) FROM event) WHERE id = $1 AND state <> $2";
            tx.execute(sql, args![id, State::Active]).await?;
            // What still waits is sent now.
            tx.wake_events();
        }
    }
    shown(tx, app, id).await
}

fn none(error: DbError) -> Result<Option<Webhook>, DbError> {
    if matches!(error, DbError::Absent) { Ok(None) } else { Err(error) }
}

/// One endpoint; [`DbError::Absent`] when the app has none of this id.
pub(super) async fn shown(tx: &mut Tx, app: AppId, id: WebhookId) -> Result<Webhook, DbError> {
    let row = tx.row(select!("WHERE w.app_id = $1 AND w.id = $2"), args![app, id]).await?;
    webhook_of(&row.ok_or(DbError::Absent)?)
}

pub(super) fn webhook_of(row: &Row) -> Result<Webhook, DbError> {
    let topics = word::json(row, "topics")?;
    Ok(Webhook {
        id: row.get("id")?,
        app: row.get("app_id")?,
        url: row.get("url")?,
        topics: topics.ok_or_else(|| DbError::Never("an endpoint wants nothing".to_owned()))?,
        description: row.get("description")?,
        state: row.get("state")?,
        secrets: Secrets { number: row.get("secret_number")?, rotated: row.get("rotated_ms")? },
        standing: standing_of(row)?,
        created: row.get("created_ms")?,
        waiting: row.get("waiting")?,
    })
}

pub(super) fn standing_of(row: &Row) -> Result<Standing, DbError> {
    Ok(Standing {
        failures: row.get("failures")?,
        since: row.get("failing_ms")?,
        rests_until: row.get("rests_ms")?,
    })
}
