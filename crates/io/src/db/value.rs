//! One way to read a row, for both databases.

use matinee_core::id::Id;
use matinee_core::time::Millis;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

pub(crate) use super::arg::{Arg, args};
use super::error::DbError;
use super::near::Record;

/// One row of an answer.
pub(crate) enum Row {
    Near(Record),
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The value of `column`; a NULL is an error unless `T` is an `Option`.
    pub(crate) fn get<T: Column>(&self, column: &str) -> Result<T, DbError> {
        T::read(self, column)
    }
}

fn null(column: &str) -> DbError {
    DbError::Never(format!("the column {column} is NULL"))
}

/// A type that can be read from a column of either database.
pub(crate) trait Column: Sized {
    fn read(row: &Row, column: &str) -> Result<Self, DbError>;
}

macro_rules! column {
    ($($kind:ty as $raw:ty: $value:ident => $to:expr;)*) => {$(
        impl Column for $kind {
            fn read(row: &Row, column: &str) -> Result<Self, DbError> {
                let $value: $raw = match row {
                    Row::Near(row) => row.get(column)?.ok_or_else(|| null(column))?,
                    Row::Sqlite(row) => row.try_get(column)?,
                    Row::Postgres(row) => row.try_get(column)?,
                };
                $to
            }
        }
        impl Column for Option<$kind> {
            fn read(row: &Row, column: &str) -> Result<Self, DbError> {
                let value: Option<$raw> = match row {
                    Row::Near(row) => row.get(column)?,
                    Row::Sqlite(row) => row.try_get(column)?,
                    Row::Postgres(row) => row.try_get(column)?,
                };
                value.map(|$value| $to).transpose()
            }
        }
    )*};
}

column! {
    i64 as i64: value => Ok(value);
    u64 as i64: value => u64::try_from(value).map_err(|_| DbError::Never("a negative size or count".to_owned()));
    u32 as i64: value => u32::try_from(value).map_err(|_| DbError::Never("a count out of range".to_owned()));
    bool as bool: value => Ok(value);
    String as String: value => Ok(value);
    Vec<u8> as Vec<u8>: value => Ok(value);
    serde_json::Value as serde_json::Value: value => Ok(value);
    Millis as i64: value => Ok(Millis(value));
    [u8; 16] as Vec<u8>: value => value.try_into().map_err(|_| DbError::Never("not 16 bytes".to_owned()));
    [u8; 32] as Vec<u8>: value => value.try_into().map_err(|_| DbError::Never("not 32 bytes".to_owned()));
}

impl<N> Column for Id<N> {
    fn read(row: &Row, column: &str) -> Result<Self, DbError> {
        let id: Uuid = match row {
            Row::Near(row) => row.get(column)?.ok_or_else(|| null(column))?,
            Row::Sqlite(row) => row.try_get(column)?,
            Row::Postgres(row) => row.try_get(column)?,
        };
        Ok(Self::from_bits(id.as_u128()))
    }
}
impl<N> Column for Option<Id<N>> {
    fn read(row: &Row, column: &str) -> Result<Self, DbError> {
        let id: Option<Uuid> = match row {
            Row::Near(row) => row.get(column)?,
            Row::Sqlite(row) => row.try_get(column)?,
            Row::Postgres(row) => row.try_get(column)?,
        };
        Ok(id.map(|id| Id::from_bits(id.as_u128())))
    }
}
