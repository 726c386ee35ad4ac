//! SQLite on the thread that asks. The one writer runs a dozen statements for each unit of work, and every request looks
//! a few rows up; a trip to another thread and back costs more than most of that.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{CachedStatement, Connection};
use uuid::Uuid;

use super::arg::Arg;
use super::error::DbError;

/// Prepared statements that are kept: about all that write.
const STATEMENTS_KEPT: usize = 256;

/// A connection whose statements run at once.
pub(crate) struct Near {
    connection: Connection,
    /// The names of the columns of each statement that has rows. The schema does not change while it is open.
    columns: RefCell<HashMap<&'static str, Columns>>,
}

type Columns = Arc<[Box<str>]>;

/// One row of an answer.
pub(crate) struct Record {
    columns: Columns,
    values: Vec<Value>,
}

impl Near {
    /// Opens a database that exists, as durable as it can be.
    pub(crate) fn open(path: &Path, busy: Duration) -> Result<Self, DbError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(busy)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA temp_store = MEMORY",
        )?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        Ok(Self { connection, columns: RefCell::default() })
    }

    /// The same, when nothing is ever changed through it.
    pub(crate) fn open_to_look(path: &Path, busy: Duration) -> Result<Self, DbError> {
        let near = Self::open(path, busy)?;
        near.connection.execute_batch("PRAGMA query_only = ON")?;
        Ok(near)
    }

    /// How many rows were changed through this connection; `None` outside of a transaction.
    pub(crate) fn changes(&self) -> Option<u64> {
        (!self.connection.is_autocommit()).then(|| self.connection.total_changes())
    }

    /// Runs a statement and returns how many rows it changed.
    pub(crate) fn execute(&self, sql: &str, args: &[Arg]) -> Result<u64, DbError> {
        Ok(self.bound(sql, args)?.raw_execute()? as u64)
    }

    /// Runs a statement and returns its rows.
    pub(crate) fn rows(&self, sql: &'static str, args: &[Arg]) -> Result<Vec<Record>, DbError> {
        let mut statement = self.bound(sql, args)?;
        let columns = Arc::clone(
            self.columns
                .borrow_mut()
                .entry(sql)
                .or_insert_with(|| statement.column_names().into_iter().map(Box::from).collect()),
        );
        let (mut rows, mut records) = (statement.raw_query(), Vec::new());
        while let Some(row) = rows.next()? {
            let values = (0..columns.len()).map(|at| row.get(at)).collect::<Result<_, _>>()?;
            records.push(Record { columns: Arc::clone(&columns), values });
        }
        Ok(records)
    }

    /// Runs a statement without values.
    pub(crate) fn control(&self, sql: &str) -> Result<(), DbError> {
        self.bound(sql, &[])?.raw_execute()?;
        Ok(())
    }

    /// The statement with its values: to SQLite `$1` is a name like any other.
    fn bound(&self, sql: &str, args: &[Arg]) -> Result<CachedStatement<'_>, DbError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        for at in 1..=statement.parameter_count() {
            let number = statement.parameter_name(at).and_then(|name| name.strip_prefix('$')?.parse().ok());
            let arg = number.and_then(|number: usize| args.get(number.checked_sub(1)?));
            let arg = arg.ok_or_else(|| DbError::Never(format!("a value is missing: {sql}")))?;
            statement.raw_bind_parameter(at, arg)?;
        }
        Ok(statement)
    }
}

impl Record {
    /// The value of a column; `None` for a NULL.
    pub(crate) fn get<T: FromValue>(&self, column: &str) -> Result<Option<T>, DbError> {
        let at = self.columns.iter().rposition(|name| **name == *column);
        match at.map(|at| &self.values[at]) {
            None => Err(DbError::Never(format!("no column is named {column}"))),
            Some(Value::Null) => Ok(None),
            Some(value) => T::from_value(value)
                .map(Some)
                .ok_or_else(|| DbError::Never(format!("the column {column} has a value of another type"))),
        }
    }
}

impl ToSql for Arg {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let null = || ToSqlOutput::Owned(Value::Null);
        let text = |text: String| ToSqlOutput::Owned(Value::Text(text));
        Ok(match self {
            Self::Id(value) => value.as_ref().map_or_else(null, |id| borrowed_blob(id.as_bytes())),
            Self::Int(value) => value.map_or_else(null, ToSqlOutput::from),
            Self::Text(value) => value.as_deref().map_or_else(null, ToSqlOutput::from),
            Self::Bytes(value) => value.as_deref().map_or_else(null, borrowed_blob),
            Self::Json(value) => value.as_ref().map_or_else(null, |json| text(json.to_string())),
            Self::Bool(value) => value.map_or_else(null, ToSqlOutput::from),
        })
    }
}

fn borrowed_blob(bytes: &[u8]) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Blob(bytes))
}

/// A type that a column of SQLite can have.
pub(crate) trait FromValue: Sized {
    /// `None` when the value is of another type.
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! from_value {
    ($($kind:ty: $pattern:pat => $to:expr;)*) => {$(
        impl FromValue for $kind {
            fn from_value(value: &Value) -> Option<Self> {
                if let $pattern = value { $to } else { None }
            }
        }
    )*};
}

from_value! {
    i64: Value::Integer(value) => Some(*value);
    bool: Value::Integer(value) => Some(*value != 0);
    String: Value::Text(value) => Some(value.clone());
    Vec<u8>: Value::Blob(value) => Some(value.clone());
    serde_json::Value: Value::Text(value) => serde_json::from_str(value).ok();
    Uuid: Value::Blob(value) => Uuid::from_slice(value).ok();
}
