//! From SQLite to PostgreSQL: every row is brought over, only what differs is written, and the result is compared.
//!
//! It may run while a server works on the SQLite file, as often as one likes: each run brings the target up to one moment
//! of the source. The last run, when nobody writes any more, has only the rest to do.

mod cell;
mod table;

use std::cmp::Ordering;
use std::path::Path;
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _, SqliteConnection};

use self::cell::Cell;
use self::table::{Table, tables};
use super::error::DbError;
use super::{BUSY_MS, Config, Db};

/// PostgreSQL takes at most 65,535 values in one statement.
const VALUES_MAX: usize = 30_000;
/// A node that was heard of in so many milliseconds works there.
const ALIVE_MS: i64 = 120_000;

/// What was done to one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Its name.
    pub table: String,
    /// Rows that it has now, in both databases.
    pub rows: u64,
    /// Rows that were written into the target.
    pub written: u64,
    /// Rows that the target had, and the source has no more.
    pub removed: u64,
    /// The BLAKE3 hash of all of its values in the order of its key, equal in both databases.
    pub blake3: [u8; 32],
}

/// Brings all that the SQLite file says into the PostgreSQL database at `url`, whose schema is made first, in one transaction, and
/// compares both by counts and hashes.
///
/// [`DbError::Conflict`] when the target belongs to another matinee, or a server works on it, or the two differ afterwards;
/// the target is then as it was.
pub async fn transfer(
    from: &Path,
    url: &str,
    now_ms: i64,
    told: &mut (dyn FnMut(&Copied) + Send),
) -> Result<Vec<Copied>, DbError> {
    // Both have the newest schema of this release.
    drop(Db::open(&Config::Postgres(url.to_owned())).await?);
    drop(Db::open(&Config::Sqlite(from.to_owned())).await?);
    let options = SqliteConnectOptions::new()
        .filename(from)
        .busy_timeout(Duration::from_millis(BUSY_MS))
        .pragma("query_only", "ON")
        .disable_statement_logging();
    let mut source = SqliteConnection::connect_with(&options).await?;
    let options: PgConnectOptions = url.parse()?;
    let options = options.disable_statement_logging();
    let (mut reader, mut writer) =
        (PgConnection::connect_with(&options).await?, PgConnection::connect_with(&options).await?);
    // One moment of the source for all tables: a deferred transaction takes it at its first read.
    sqlx::raw_sql("BEGIN").execute(&mut source).await?;
    let tables = tables(&mut reader).await?;
    ours(&mut source, &mut reader, now_ms).await?;
    sqlx::raw_sql("BEGIN; SET LOCAL jit = off").execute(&mut writer).await?;
    let mut removed = Vec::new();
    for table in tables.iter().rev() {
        removed.push(remove(&mut source, &mut reader, &mut writer, table).await?);
    }
    removed.reverse();
    let mut done = Vec::new();
    for (table, removed) in tables.iter().zip(removed) {
        let written = write(&mut source, &mut reader, &mut writer, table).await?;
        let (rows, blake3) = compared(&mut source, &mut writer, table).await?;
        let copied = Copied { table: table.name.clone(), rows, written, removed, blake3 };
        told(&copied);
        done.push(copied);
    }
    sqlx::raw_sql("COMMIT").execute(&mut writer).await?;
    Ok(done)
}

/// Is the target empty, or an earlier copy of this source, and nobody works on it?
async fn ours(source: &mut SqliteConnection, target: &mut PgConnection, now_ms: i64) -> Result<(), DbError> {
    let (mut known, mut runs) = (Vec::new(), Vec::new());
    for row in sqlx::query("SELECT id FROM app").fetch_all(&mut *source).await? {
        known.push(row.try_get::<uuid::Uuid, _>(0)?);
    }
    for row in sqlx::query("SELECT run FROM node").fetch_all(source).await? {
        runs.push(row.try_get::<String, _>(0)?);
    }
    for row in sqlx::query("SELECT id FROM app").fetch_all(&mut *target).await? {
        if !known.contains(&row.try_get::<uuid::Uuid, _>(0)?) {
            let text = "the target holds the data of another matinee; name an empty database";
            return Err(DbError::Conflict(text.to_owned()));
        }
    }
    // A node that worked on the source was brought along by an earlier run.
    let sql = "SELECT name, run FROM node WHERE seen_ms > $1 AND stopped_ms IS NULL";
    for row in sqlx::query(sql).bind(now_ms - ALIVE_MS).fetch_all(target).await? {
        let (name, run): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        if !runs.contains(&run) {
            return Err(DbError::Conflict(format!("the server {name} works on the target; stop it first")));
        }
    }
    Ok(())
}

type Rows<'c> = BoxStream<'c, Result<Vec<Cell>, DbError>>;

fn of_sqlite<'c>(wire: &'c mut SqliteConnection, table: &'c Table) -> Rows<'c> {
    let rows = sqlx::query(AssertSqlSafe(table.select(false))).fetch(wire).map_err(DbError::from);
    rows.map(|row| {
        let row = row?;
        let cells = table.columns.iter().enumerate();
        cells.map(|(at, (_, kind))| Cell::of_sqlite(&row, at, *kind)).collect()
    })
    .boxed()
}

fn of_postgres<'c>(wire: &'c mut PgConnection, table: &'c Table) -> Rows<'c> {
    let rows = sqlx::query(AssertSqlSafe(table.select(true))).fetch(wire).map_err(DbError::from);
    rows.map(|row| {
        let row = row?;
        let cells = table.columns.iter().enumerate();
        cells.map(|(at, (_, kind))| Cell::of_postgres(&row, at, *kind)).collect()
    })
    .boxed()
}

fn order(table: &Table, one: &[Cell], two: &[Cell]) -> Ordering {
    table
        .key
        .iter()
        .map(|at| one[*at].order(&two[*at]))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Deletes what the source has no more; how many rows.
async fn remove(
    source: &mut SqliteConnection,
    reader: &mut PgConnection,
    writer: &mut PgConnection,
    table: &Table,
) -> Result<u64, DbError> {
    let (mut theirs, mut ours) = (of_sqlite(source, table), of_postgres(reader, table));
    let (mut next, mut removed) = (theirs.try_next().await?, 0);
    while let Some(row) = ours.try_next().await? {
        while next.as_ref().is_some_and(|next| order(table, next, &row).is_lt()) {
            next = theirs.try_next().await?;
        }
        if next.as_ref().is_none_or(|next| order(table, next, &row).is_gt()) {
            let sql = table.delete();
            let key = table.key.iter().map(|at| row[*at].clone());
            let query = key.fold(sqlx::query(AssertSqlSafe(sql)), |query, cell| cell.bind(query));
            query.execute(&mut *writer).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Writes what the target has not, or otherwise; how many rows.
async fn write(
    source: &mut SqliteConnection,
    reader: &mut PgConnection,
    writer: &mut PgConnection,
    table: &Table,
) -> Result<u64, DbError> {
    let batch = (VALUES_MAX / table.columns.len()).max(1);
    let (mut theirs, mut ours) = (of_sqlite(source, table), of_postgres(reader, table));
    let (mut next, mut written, mut waiting) = (ours.try_next().await?, 0, Vec::new());
    while let Some(row) = theirs.try_next().await? {
        while next.as_ref().is_some_and(|next| order(table, next, &row).is_lt()) {
            next = ours.try_next().await?;
        }
        if next.as_ref() == Some(&row) {
            continue;
        }
        waiting.push(row);
        if waiting.len() == batch {
            written += flush(writer, table, &mut waiting).await?;
        }
    }
    written += flush(writer, table, &mut waiting).await?;
    if let Some(sql) = table.count_on() {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *writer).await?;
    }
    Ok(written)
}

async fn flush(
    writer: &mut PgConnection,
    table: &Table,
    waiting: &mut Vec<Vec<Cell>>,
) -> Result<u64, DbError> {
    if waiting.is_empty() {
        return Ok(0);
    }
    let rows = waiting.len();
    let query = sqlx::query(AssertSqlSafe(table.upsert(rows)));
    let query = waiting.drain(..).flatten().fold(query, |query, cell| cell.bind(query));
    query.execute(writer).await?;
    Ok(rows as u64)
}

/// Counts and hashes a table in both databases; they must agree.
async fn compared(
    source: &mut SqliteConnection,
    writer: &mut PgConnection,
    table: &Table,
) -> Result<(u64, [u8; 32]), DbError> {
    let theirs = told(of_sqlite(source, table)).await?;
    let ours = told(of_postgres(writer, table)).await?;
    if theirs == ours {
        return Ok(theirs);
    }
    let (name, source_rows, target_rows) = (&table.name, theirs.0, ours.0);
    Err(DbError::Conflict(format!(
        "the table {name} differs after it was copied ({source_rows} and {target_rows} rows); nothing was changed"
    )))
}

async fn told(mut rows: Rows<'_>) -> Result<(u64, [u8; 32]), DbError> {
    let (mut count, mut hash) = (0, blake3::Hasher::new());
    while let Some(row) = rows.try_next().await? {
        for cell in &row {
            cell.hash_into(&mut hash);
        }
        count += 1;
    }
    Ok((count, *hash.finalize().as_bytes()))
}
