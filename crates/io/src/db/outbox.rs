//! How far events were handed to each broker, and who hands them on: one node at a time, so that their order is kept.

use matinee_core::event::{NewEvent, Topic};
use matinee_core::id::AppId;
use matinee_core::time::Millis;
use serde_json::Value;

use super::Db;
use super::error::DbError;
use super::event::{id_from, insert};
use super::job::node_of;
use super::value::args;

/// How a broker fares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outbox {
    /// All events up to here are there, or were not wanted.
    pub seq: i64,
    /// Events behind it.
    pub waiting: u64,
    /// When it took something last.
    pub sent: Option<Millis>,
    /// Since when it does not.
    pub failing: Option<Millis>,
    /// Why.
    pub error: Option<String>,
}

impl Db {
    /// Takes the right to send to a broker; behind which event to go on. `None` when another node has it. A broker that is new
    /// is told what happens from now on.
    pub async fn take_outbox(
        &self,
        name: &str,
        holder: &str,
        (now, until): (Millis, Millis),
    ) -> Result<Option<i64>, DbError> {
        self.write((name.to_owned(), holder.to_owned(), now, until), |tx, (name, holder, now, until)| {
            Box::pin(async move {
                let sql =
                    "INSERT INTO outbox (name, seq, held_ms) SELECT $1, COALESCE(max(seq), 0), 0 FROM event WHERE true
                           ON CONFLICT (name) DO NOTHING";
                tx.execute(sql, args![name.as_str()]).await?;
                let sql = "UPDATE outbox SET holder = $2, held_ms = $3
                           WHERE name = $1 AND (held_ms <= $4 OR holder = $2)";
                if tx.execute(sql, args![name.as_str(), holder.as_str(), *until, *now]).await? == 0 {
                    return Ok(None);
                }
                let row = tx.row("SELECT seq FROM outbox WHERE name = $1", args![name.as_str()]).await?;
                row.ok_or(DbError::Absent)?.get("seq").map(Some)
            })
        })
        .await
    }

    /// Saves that all events up to this one are there, and keeps the right. [`DbError::LeaseLost`] when another node has it.
    pub async fn move_outbox(
        &self,
        (name, holder): (&str, &str),
        (seq, sent): (i64, bool),
        (now, until): (Millis, Millis),
    ) -> Result<(), DbError> {
        let arguments = (name.to_owned(), holder.to_owned(), seq, sent, now, until);
        self.write(arguments, |tx, (name, holder, seq, sent, now, until)| {
            Box::pin(async move {
                let sql = "UPDATE outbox SET seq = $3, held_ms = $4, sent_ms = COALESCE($5, sent_ms), failing_ms = NULL,
                             error = NULL WHERE name = $1 AND holder = $2 AND seq <= $3";
                let sent = sent.then_some(*now);
                let values = args![name.as_str(), holder.as_str(), *seq, *until, sent];
                if tx.execute(sql, values).await? == 0 { Err(DbError::LeaseLost) } else { Ok(()) }
            })
        })
        .await
    }

    /// Saves that a broker does not take what is sent, and gives the right back.
    pub async fn fail_outbox(
        &self,
        name: &str,
        holder: &str,
        (error, now): (&str, Millis),
    ) -> Result<(), DbError> {
        let arguments = (name.to_owned(), holder.to_owned(), error.to_owned(), now);
        self.write(arguments, |tx, (name, holder, error, now)| {
            Box::pin(async move {
                let sql = "UPDATE outbox SET held_ms = 0, failing_ms = COALESCE(failing_ms, $4), error = $3
                           WHERE name = $1 AND holder = $2";
                let values = args![name.as_str(), holder.as_str(), error.as_str(), *now];
                tx.execute(sql, values).await.map(drop)
            })
        })
        .await
    }

    /// A node that starts gives back what its earlier runs had.
    pub async fn end_own_outboxes(&self, holder: &str) -> Result<u64, DbError> {
        self.write(holder.to_owned(), |tx, holder| {
            Box::pin(async move {
                let sql = "UPDATE outbox SET held_ms = 0
                           WHERE held_ms > 0 AND substr(holder, 1, length($1)) = $1 AND holder <> $2";
                tx.execute(sql, args![node_of(holder), holder.as_str()]).await
            })
        })
        .await
    }

    /// How a broker fares; `None` when nothing was ever sent to it.
    pub async fn outbox(&self, name: &str) -> Result<Option<Outbox>, DbError> {
        self.read(name.to_owned(), |tx, name| {
            Box::pin(async move {
                let sql = "SELECT o.*, (SELECT count(*) FROM event e WHERE e.seq > o.seq) AS waiting
                           FROM outbox o WHERE o.name = $1";
                let row = tx.row(sql, args![name.as_str()]).await?;
                row.map(|row| {
                    Ok(Outbox {
                        seq: row.get("seq")?,
                        waiting: row.get("waiting")?,
                        sent: row.get("sent_ms")?,
                        failing: row.get("failing_ms")?,
                        error: row.get("error")?,
                    })
                })
                .transpose()
            })
        })
        .await
    }

    /// Tells what became of a command, once for each command however often it comes.
    pub async fn tell_command(
        &self,
        app: AppId,
        (topic, command): (Topic, &str),
        payload: &Value,
        now: Millis,
    ) -> Result<(), DbError> {
        let arguments = (app, topic, command.to_owned(), payload.clone(), now);
        let told = self.write(arguments, |tx, (app, topic, command, payload, now)| {
            Box::pin(async move {
                // The same command has the same id, so that it is told once.
                let id = id_from(&format!("{app}\n{}\n{command}", topic.name()), Millis(0));
                let (subject, payload) = (command.clone(), payload.clone());
                insert(tx, &NewEvent { id, app: *app, topic: *topic, subject, payload }, *now).await
            })
        });
        match told.await {
            Err(DbError::Taken(_)) => Ok(()),
            told => told,
        }
    }
}
