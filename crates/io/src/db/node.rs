//! The nodes that work: what each can do, when it was last seen, and whether new work may begin there.

use matinee_core::id::AppId;
use matinee_core::time::Millis;
use serde_json::Value;

use super::Db;
use super::error::DbError;
use super::value::{Row, args};

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Beat {
    /// `node/run`: its name, and which start of it this is.
    pub holder: String,
    /// The release.
    pub version: String,
    /// Processors.
    pub cores: u32,
    /// Memory for jobs, in bytes.
    pub memory_bytes: u64,
    /// How many jobs of each kind run there at once, as an object.
    pub slots: Value,
    /// What changes from moment to moment, such as the load and the room on the disk.
    pub facts: Value,
    /// The time.
    pub now: Millis,
}

/// A node as it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeRow {
    /// Its name.
    pub name: String,
    /// What it said last.
    pub beat: Beat,
    /// From when on nothing begins there.
    pub drained: Option<Millis>,
    /// When it was started.
    pub started: Millis,
    /// When it ended in order; `None` while it runs, and when it was killed.
    pub stopped: Option<Millis>,
    /// Jobs that run there now.
    pub running: u32,
    /// The memory that they are expected to need, in bytes.
    pub used_bytes: u64,
}

impl Db {
    /// A node says that it is there. Whether it is drained stays as it was.
    pub async fn beat(&self, beat: &Beat) -> Result<(), DbError> {
        self.write(beat.clone(), |tx, beat| {
            Box::pin(async move {
                let (name, run) = beat.holder.split_once('/').unwrap_or((&beat.holder, ""));
                tx.execute(
                    "INSERT INTO node (name, run, version, cores, memory_bytes, slots, facts, started_ms, seen_ms)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
                     ON CONFLICT (name) DO UPDATE SET version = excluded.version, cores = excluded.cores,
                       memory_bytes = excluded.memory_bytes, slots = excluded.slots, facts = excluded.facts,
                       seen_ms = excluded.seen_ms, stopped_ms = NULL, run = excluded.run,
                       started_ms = CASE WHEN node.run = excluded.run THEN node.started_ms ELSE excluded.started_ms END",
                    args![
                        name,
                        run,
                        beat.version.as_str(),
                        beat.cores,
                        beat.memory_bytes,
                        beat.slots.clone(),
                        beat.facts.clone(),
                        beat.now,
                    ],
                )
                .await
                .map(drop)
            })
        })
        .await
    }

    /// A node ends in order.
    pub async fn node_stopped(&self, holder: &str, now: Millis) -> Result<(), DbError> {
        self.write((holder.to_owned(), now), |tx, (holder, now)| {
            Box::pin(async move {
                let (name, run) = holder.split_once('/').unwrap_or((holder, ""));
                let sql = "UPDATE node SET stopped_ms = $3, seen_ms = $3 WHERE name = $1 AND run = $2";
                tx.execute(sql, args![name, run, *now]).await.map(drop)
            })
        })
        .await
    }

    /// Every node that was seen since `since`, by name, with what runs there.
    pub async fn nodes(&self, since: Millis) -> Result<Vec<NodeRow>, DbError> {
        self.read(since, |tx, since| {
            Box::pin(async move {
                let sql = "SELECT n.*,
                     (SELECT count(*) FROM job WHERE state = 2 AND substr(holder, 1, length(n.name) + 1) = n.name || '/')
                       AS running,
                     CAST((SELECT COALESCE(sum(memory_bytes), 0) FROM job
                       WHERE state = 2 AND substr(holder, 1, length(n.name) + 1) = n.name || '/') AS bigint) AS used
                   FROM node n WHERE seen_ms >= $1 ORDER BY name";
                tx.rows(sql, args![*since]).await?.iter().map(node).collect()
            })
        })
        .await
    }

    /// The most memory that a job may need on any node that was seen since `since`; `None` when there is none.
    pub async fn memory_max(&self, since: Millis) -> Result<Option<u64>, DbError> {
        self.read(since, |tx, since| {
            Box::pin(async move {
                let sql = "SELECT max(memory_bytes) AS most FROM node WHERE seen_ms >= $1";
                tx.row(sql, args![*since]).await?.map_or(Ok(None), |row| row.get("most"))
            })
        })
        .await
    }

    /// No new work begins on a node from now on, or again. [`DbError::Absent`] when no node has this name.
    pub async fn drain_node(&self, name: &str, drained: Option<Millis>) -> Result<(), DbError> {
        self.write((name.to_owned(), drained), |tx, (name, drained)| {
            Box::pin(async move {
                let sql = "UPDATE node SET drained_ms = CASE WHEN $2 IS NULL THEN NULL ELSE COALESCE(drained_ms, $2) END
                           WHERE name = $1";
                tx.execute_one(sql, args![name.as_str(), *drained]).await?;
                tx.wake_jobs();
                Ok(())
            })
        })
        .await
    }

    /// No new work of an app begins from now on, or again; only what was deleted is emptied all the same.
    pub async fn pause_app(&self, app: AppId, paused: Option<Millis>) -> Result<(), DbError> {
        self.write((app, paused), |tx, (app, paused)| {
            Box::pin(async move {
                let sql = "UPDATE app SET paused_ms = $2 WHERE id = $1";
                tx.execute_one(sql, args![*app, *paused]).await?;
                tx.wake_jobs();
                Ok(())
            })
        })
        .await
    }

    /// Since when no work of an app begins.
    pub async fn paused(&self, app: AppId) -> Result<Option<Millis>, DbError> {
        self.read(app, |tx, app| {
            Box::pin(async move {
                let row = tx.row("SELECT paused_ms FROM app WHERE id = $1", args![*app]).await?;
                row.map_or(Ok(None), |row| row.get("paused_ms"))
            })
        })
        .await
    }

    /// Forgets nodes that nobody has seen since `before` and that are not drained; returns how many.
    pub async fn prune_nodes(&self, before: Millis) -> Result<u64, DbError> {
        self.write(before, |tx, before| {
            Box::pin(async move {
                let old = "SELECT name FROM node WHERE seen_ms < $1 AND drained_ms IS NULL";
                if tx.row(old, args![*before]).await?.is_none() {
                    return Ok(0);
                }
                let sql = "DELETE FROM node WHERE seen_ms < $1 AND drained_ms IS NULL";
                tx.execute(sql, args![*before]).await
            })
        })
        .await
    }
}

fn node(row: &Row) -> Result<NodeRow, DbError> {
    let (name, run): (String, String) = (row.get("name")?, row.get("run")?);
    Ok(NodeRow {
        beat: Beat {
            holder: format!("{name}/{run}"),
            version: row.get("version")?,
            cores: row.get("cores")?,
            memory_bytes: row.get("memory_bytes")?,
            slots: row.get("slots")?,
            facts: row.get("facts")?,
            now: row.get("seen_ms")?,
        },
        name,
        drained: row.get("drained_ms")?,
        started: row.get("started_ms")?,
        stopped: row.get("stopped_ms")?,
        running: row.get("running")?,
        used_bytes: row.get("used")?,
    })
}
