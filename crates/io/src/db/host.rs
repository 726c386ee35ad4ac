//! What all nodes share of a host: its circuit breaker, its token bucket, whose turn it is, and its last calls.

use matinee_core::breaker::{Answer, Breaker};
use matinee_core::host::Usage;
use matinee_core::limits::HOST_CALLS_KEPT;
use matinee_core::throttle::{Left, Rate, Urgency};
use matinee_core::time::Millis;
use serde_json::json;

use super::error::DbError;
use super::tx::{Sql, Tx};
use super::vacate::{Vacating, vacating_of};
use super::value::{Row, args};
use super::{Db, job, word};

/// What is known of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRow {
    /// Its name in the configuration.
    pub name: String,
    /// Whose videos these are.
    pub identity: String,
    /// Is it sent to?
    pub breaker: Breaker,
    /// When it answered last.
    pub spoke: Option<Millis>,
    /// What was wrong last, and when.
    pub error: Option<(String, Millis)>,
    /// What is used of what was paid for, where it tells.
    pub usage: Option<Usage>,
    /// Is it being emptied?
    pub vacating: Option<Vacating>,
}

/// A call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What it was.
    pub name: String,
    /// What was wrong.
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// When it ended.
    pub at: Millis,
}

/// May something be sent?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Yes, now.
    Open,
    /// In so many milliseconds, when there are requests left.
    Wait(u64),
    /// The host is away; it is asked whether it is back at this moment.
    Away(Millis),
}

/// What somebody wants to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// What the host allows.
    pub rate: Rate,
    /// Does a person wait?
    pub urgency: Urgency,
    /// It is only asked whether the host is back.
    pub is_probe: bool,
}

impl Db {
    /// Makes sure that a host has its row. [`DbError::Conflict`] when its name stands for another account there, of which
    /// things are left.
    pub async fn host_known(&self, name: &str, identity: &str, now: Millis) -> Result<(), DbError> {
        self.write((name.to_owned(), identity.to_owned(), now), |tx, (name, identity, now)| {
            Box::pin(async move {
                let sql =
                    "INSERT INTO host (name, identity, failures, left_milli, left_ms, poll_ms, scan_ms)
                           VALUES ($1, $2, 0, 0, 0, $3, $3)
                           ON CONFLICT (name) DO NOTHING";
                tx.execute(sql, args![name.as_str(), identity.as_str(), *now]).await?;
                let sql = "UPDATE host SET identity = $2 WHERE name = $1 AND identity <> $2 AND NOT EXISTS
                             (SELECT 1 FROM ledger WHERE place = $1 AND publication_id IS NOT NULL AND state <> 'gone')";
                tx.execute(sql, args![name.as_str(), identity.as_str()]).await?;
                let row = tx.row("SELECT identity FROM host WHERE name = $1", args![name.as_str()]).await?;
                let known: String = row.ok_or(DbError::Absent)?.get("identity")?;
                if known == *identity { Ok(()) } else { Err(DbError::Conflict(known)) }
            })
        })
        .await
    }

    /// Takes the right to send one request, or says when to come again.
    pub async fn host_enter(&self, name: &str, wish: Wish, now: Millis) -> Result<Gate, DbError> {
        self.write((name.to_owned(), wish, now), |tx, (name, wish, now)| {
            Box::pin(async move {
                let row = locked(tx, name).await?;
                let breaker = breaker_of(&row)?;
                if let (false, Breaker::Open { probe, .. }) = (breaker.lets(*now, wish.is_probe), breaker) {
                    return Ok(Gate::Away(probe));
                }
                let left = Left { milli: row.get("left_milli")?, at: row.get("left_ms")? };
                match left.take(wish.rate, wish.urgency, *now) {
                    Err(wait_ms) => Ok(Gate::Wait(wait_ms)),
                    Ok(left) => {
                        let sql = "UPDATE host SET left_milli = $2, left_ms = $3 WHERE name = $1";
                        tx.execute(sql, args![name.as_str(), left.milli, left.at]).await?;
                        Ok(Gate::Open)
                    }
                }
            })
        })
        .await
    }

    /// Writes down how a call went; returns the breaker as it is from now on. When the host is back, all that waits for it is
    /// woken. `wait` is for [`Breaker::after`].
    pub async fn host_heard(
        &self,
        name: &str,
        (call, answer): (&Call, Answer),
        wait: (i64, u16),
    ) -> Result<Breaker, DbError> {
        let args = (name.to_owned(), call.clone(), answer, wait);
        self.write(args, |tx, (name, call, answer, wait)| {
            Box::pin(async move {
                let before = breaker_of(&locked(tx, name).await?)?;
                let after = before.after(*answer, call.at, *wait);
                note(tx, name, call).await?;
                keep(tx, name, (before, after), call).await?;
                if before != Breaker::Closed && after == Breaker::Closed {
                    wake(tx, name, call.at).await?;
                }
                Ok(after)
            })
        })
        .await
    }

    /// Takes or keeps a duty of a host until `until`; `false` when another holder has it.
    pub async fn host_turn(
        &self,
        (name, duty): (&str, &'static str),
        holder: &str,
        until: Millis,
        now: Millis,
    ) -> Result<bool, DbError> {
        let args = (name.to_owned(), duty, holder.to_owned(), until, now);
        self.write(args, |tx, (name, duty, holder, until, now)| {
            Box::pin(async move {
                let sql = "INSERT INTO host_turn (host, duty, holder, until_ms) VALUES ($1, $2, $3, $4)
                           ON CONFLICT (host, duty) DO UPDATE SET holder = excluded.holder, until_ms = excluded.until_ms
                             WHERE substr(host_turn.holder, 1, length($6)) = $6 OR host_turn.until_ms <= $5";
                // What an earlier run of this node had is this one's.
                let node = job::node_of(holder);
                let args = args![name.as_str(), *duty, holder.as_str(), *until, *now, node];
                Ok(tx.execute(sql, args).await? > 0)
            })
        })
        .await
    }

    /// Is it time to list what is not final at a host? Then the next time is `next`.
    pub async fn host_poll(&self, name: &str, next: Millis, now: Millis) -> Result<bool, DbError> {
        self.write((name.to_owned(), next, now), |tx, (name, next, now)| {
            Box::pin(async move {
                let sql = "UPDATE host SET poll_ms = $2 WHERE name = $1 AND poll_ms <= $3 AND EXISTS
                             (SELECT 1 FROM publication p WHERE p.host = $1 AND p.next_ask_ms IS NOT NULL)";
                Ok(tx.execute(sql, args![name.as_str(), *next, *now]).await? > 0)
            })
        })
        .await
    }

    /// Is it time to ask a host what is used there? Then the next time is `next`.
    pub async fn host_usage(&self, name: &str, next: Millis, now: Millis) -> Result<bool, DbError> {
        self.write((name.to_owned(), next, now), |tx, (name, next, now)| {
            Box::pin(async move {
                let sql = "UPDATE host SET usage_ms = $2 WHERE name = $1 AND usage_ms <= $3";
                Ok(tx.execute(sql, args![name.as_str(), *next, *now]).await? > 0)
            })
        })
        .await
    }

    /// What a host says that is used there.
    pub async fn host_used(&self, name: &str, usage: Usage) -> Result<(), DbError> {
        self.write((name.to_owned(), usage), |tx, (name, usage)| {
            Box::pin(async move {
                let sql = "UPDATE host SET usage = $2 WHERE name = $1";
                tx.execute(sql, args![name.as_str(), json!(usage)]).await.map(drop)
            })
        })
        .await
    }

    /// All hosts that were ever configured.
    pub async fn hosts(&self) -> Result<Vec<HostRow>, DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                tx.rows("SELECT * FROM host ORDER BY name", args![]).await?.iter().map(host_of).collect()
            })
        })
        .await
    }

    /// The last calls of a host, the newest first.
    pub async fn host_calls(&self, name: &str, limit: u32) -> Result<Vec<Call>, DbError> {
        self.read((name.to_owned(), limit), |tx, (name, limit)| {
            Box::pin(async move {
                let sql = "SELECT * FROM host_call WHERE host = $1 ORDER BY seq DESC LIMIT $2";
                let rows = tx.rows(sql, args![name.as_str(), *limit]).await?;
                rows.iter().map(call_of).collect()
            })
        })
        .await
    }
}

async fn locked(tx: &mut Tx, name: &str) -> Result<Row, DbError> {
    let sql = Sql::Each {
        sqlite: "SELECT * FROM host WHERE name = $1",
        postgres: "SELECT * FROM host WHERE name = $1 FOR UPDATE",
    };
    tx.row(sql, args![name]).await?.ok_or(DbError::Absent)
}

async fn note(tx: &mut Tx, name: &str, call: &Call) -> Result<(), DbError> {
    let sql =
        "INSERT INTO host_call (host, name, error, took_ms, at_ms) VALUES ($1, $2, $3, $4, $5) RETURNING seq";
    let args = args![name, call.name.as_str(), call.error.clone(), call.took_ms, call.at];
    let seq: i64 = tx.row(sql, args).await?.ok_or(DbError::Absent)?.get("seq")?;
    // Not each time: what is forgotten is read, too.
    if seq % 16 == 0 {
        let sql = "DELETE FROM host_call WHERE host = $1 AND seq <=
                     (SELECT seq FROM host_call WHERE host = $1 ORDER BY seq DESC LIMIT 1 OFFSET $2)";
        tx.execute(sql, args![name, HOST_CALLS_KEPT]).await?;
    }
    Ok(())
}

async fn keep(
    tx: &mut Tx,
    name: &str,
    (before, after): (Breaker, Breaker),
    call: &Call,
) -> Result<(), DbError> {
    let (open, probe, failures) = match after {
        Breaker::Closed => (None, None, 0),
        Breaker::Open { since, probe, failures } => (Some(since), Some(probe), failures),
    };
    if before != after {
        let sql = "UPDATE host SET open_ms = $2, probe_ms = $3, failures = $4 WHERE name = $1";
        tx.execute(sql, args![name, open, probe, failures]).await?;
    }
    let spoke = (after == Breaker::Closed).then_some(call.at);
    let sql = "UPDATE host SET spoke_ms = COALESCE($2, spoke_ms), error = COALESCE($3, error),
                 error_ms = CASE WHEN $3 IS NULL THEN error_ms ELSE $4 END WHERE name = $1";
    tx.execute(sql, args![name, spoke, call.error.clone(), call.at]).await.map(drop)
}

/// The host is back: all that waited for it is due now, in the order of what it allows.
async fn wake(tx: &mut Tx, name: &str, now: Millis) -> Result<(), DbError> {
    let sql = "UPDATE ledger SET next_try_ms = $2 WHERE place = $1 AND state = 'to_delete' AND publication_id IS NOT NULL
                 AND remote_id IS NOT NULL AND next_try_ms > $2";
    tx.execute(sql, args![name, now]).await?;
    let sql = "UPDATE job SET run_at_ms = $2 WHERE state = 1 AND kind = 'publish' AND run_at_ms > $2
                 AND payload ->> 'host' = $1";
    tx.execute(sql, args![name, now]).await?;
    tx.wake_jobs();
    Ok(())
}

fn breaker_of(row: &Row) -> Result<Breaker, DbError> {
    let (open, probe) = (row.get::<Option<Millis>>("open_ms")?, row.get::<Option<Millis>>("probe_ms")?);
    Ok(match (open, probe) {
        (Some(since), Some(probe)) => Breaker::Open { since, probe, failures: row.get("failures")? },
        (None, _) | (_, None) => Breaker::Closed,
    })
}

fn host_of(row: &Row) -> Result<HostRow, DbError> {
    let error: Option<String> = row.get("error")?;
    Ok(HostRow {
        name: row.get("name")?,
        identity: row.get("identity")?,
        breaker: breaker_of(row)?,
        spoke: row.get("spoke_ms")?,
        error: error.zip(row.get("error_ms")?),
        usage: word::json(row, "usage")?,
        vacating: vacating_of(row)?,
    })
}

fn call_of(row: &Row) -> Result<Call, DbError> {
    Ok(Call {
        name: row.get("name")?,
        error: row.get("error")?,
        took_ms: row.get("took_ms")?,
        at: row.get("at_ms")?,
    })
}
