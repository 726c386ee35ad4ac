//! A connection inside a transaction (or a plain read), the same for both databases.

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection};

use super::error::DbError;
use super::near::Near;
use super::readers::{Look, Reader};
use super::value::{Arg, Row};

/// A statement: one text where both databases understand it, two where they do not.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sql {
    Both(&'static str),
    Each { sqlite: &'static str, postgres: &'static str },
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self::Both(text)
    }
}

/// The connection on which a unit of work runs, and whom to wake when its changes are committed.
pub(crate) struct Tx {
    link: Link,
    wakes: Wakes,
}

/// One connection, of either database.
pub(crate) enum Link {
    SqliteWriter(Near),
    SqliteReader(Reader),
    SqliteLook(Look),
    Postgres(PoolConnection<Postgres>),
}

/// Who waits for what a transaction did; told only after the commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wakes {
    /// A job became ready, or one that runs is no longer wanted.
    pub(crate) jobs: bool,
    /// An event was written.
    pub(crate) events: bool,
}

impl Wakes {
    /// These wishes and those.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self { jobs: self.jobs || other.jobs, events: self.events || other.events }
    }
}

enum Wire<'c> {
    Near(&'c Near),
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Tx {
    pub(crate) fn new(link: Link) -> Self {
        Self { link, wakes: Wakes::default() }
    }

    fn wire(&mut self) -> Wire<'_> {
        match &mut self.link {
            Link::SqliteWriter(connection) => Wire::Near(connection),
            Link::SqliteLook(connection) => Wire::Near(connection),
            Link::SqliteReader(connection) => Wire::Sqlite(connection),
            Link::Postgres(connection) => Wire::Postgres(connection),
        }
    }

    /// After the commit, wakes those who wait for a ready job.
    pub(crate) const fn wake_jobs(&mut self) {
        self.wakes.jobs = true;
    }

    /// After the commit, wakes those who wait for an event.
    pub(crate) const fn wake_events(&mut self) {
        self.wakes.events = true;
    }

    /// Takes the wishes of the work that ran since the last call.
    pub(crate) fn take_wakes(&mut self) -> Wakes {
        std::mem::take(&mut self.wakes)
    }

    /// Is this a connection to PostgreSQL, where several nodes write at once?
    pub(crate) const fn is_postgres(&self) -> bool {
        matches!(self.link, Link::Postgres(_))
    }

    /// How many rows SQLite's writer has changed so far; `None` when its transaction has ended.
    pub(crate) fn changes(&self) -> Option<u64> {
        match &self.link {
            Link::SqliteWriter(connection) => connection.changes(),
            Link::SqliteReader(_) | Link::SqliteLook(_) | Link::Postgres(_) => None,
        }
    }

    /// Runs a statement and returns how many rows it changed.
    pub(crate) async fn execute(&mut self, sql: impl Into<Sql>, args: Vec<Arg>) -> Result<u64, DbError> {
        match self.wire() {
            Wire::Near(wire) => wire.execute(text(sql.into(), false), &args),
            Wire::Sqlite(wire) => {
                Ok(bind_sqlite(text(sql.into(), false), args).execute(wire).await?.rows_affected())
            }
            Wire::Postgres(wire) => {
                Ok(bind_postgres(text(sql.into(), true), args).execute(wire).await?.rows_affected())
            }
        }
    }

    /// Runs a statement that must change exactly one row; [`DbError::Absent`] when it changed none.
    pub(crate) async fn execute_one(&mut self, sql: impl Into<Sql>, args: Vec<Arg>) -> Result<(), DbError> {
        if self.execute(sql, args).await? == 0 { Err(DbError::Absent) } else { Ok(()) }
    }

    /// Runs a statement and returns its rows.
    pub(crate) async fn rows(&mut self, sql: impl Into<Sql>, args: Vec<Arg>) -> Result<Vec<Row>, DbError> {
        match self.wire() {
            Wire::Near(wire) => {
                Ok(wire.rows(text(sql.into(), false), &args)?.into_iter().map(Row::Near).collect())
            }
            Wire::Sqlite(wire) => {
                let rows: Vec<SqliteRow> = bind_sqlite(text(sql.into(), false), args).fetch_all(wire).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Wire::Postgres(wire) => {
                let rows: Vec<PgRow> = bind_postgres(text(sql.into(), true), args).fetch_all(wire).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// Runs a statement and returns its first row, if there is one.
    pub(crate) async fn row(&mut self, sql: impl Into<Sql>, args: Vec<Arg>) -> Result<Option<Row>, DbError> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    /// Runs a fixed control statement such as `BEGIN`, without preparing it.
    pub(crate) async fn control(&mut self, sql: &'static str) -> Result<(), DbError> {
        match self.wire() {
            Wire::Near(wire) => wire.control(sql)?,
            Wire::Sqlite(wire) => sqlx::raw_sql(sql).execute(wire).await.map(drop)?,
            Wire::Postgres(wire) => sqlx::raw_sql(sql).execute(wire).await.map(drop)?,
        }
        Ok(())
    }
}

const fn text(sql: Sql, postgres: bool) -> &'static str {
    match sql {
        Sql::Both(text) => text,
        Sql::Each { sqlite: text, postgres: other } => {
            if postgres {
                other
            } else {
                text
            }
        }
    }
}

macro_rules! bind {
    ($name:ident, $db:ty) => {
        fn $name(
            sql: &'static str,
            args: Vec<Arg>,
        ) -> sqlx::query::Query<'static, $db, <$db as sqlx::Database>::Arguments> {
            args.into_iter().fold(sqlx::query::<$db>(sql), |query, arg| match arg {
                Arg::Id(value) => query.bind(value),
                Arg::Int(value) => query.bind(value),
                Arg::Text(value) => query.bind(value),
                Arg::Bytes(value) => query.bind(value),
                Arg::Json(value) => query.bind(value),
                Arg::Bool(value) => query.bind(value),
            })
        }
    };
}

bind!(bind_sqlite, Sqlite);
bind!(bind_postgres, Postgres);
