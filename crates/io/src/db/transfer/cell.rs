//! One value of a row, the same whichever database it comes from.

use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::query::Query;
use sqlx::sqlite::SqliteRow;
use sqlx::{Postgres, Row as _};
use uuid::Uuid;

use crate::db::error::DbError;

/// The kinds of columns that our schema has, by PostgreSQL's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Id,
    Int,
    Bool,
    Text,
    Bytes,
    Json,
}

impl Kind {
    /// The kind of a column of this type (`information_schema.columns.data_type`).
    pub(super) fn named(name: &str) -> Result<Self, DbError> {
        Ok(match name {
            "uuid" => Self::Id,
            "bigint" => Self::Int,
            "boolean" => Self::Bool,
            "text" => Self::Text,
            "bytea" => Self::Bytes,
            "jsonb" => Self::Json,
            other => return Err(DbError::Never(format!("columns of the type {other} cannot be copied"))),
        })
    }
}

/// A value. A NULL keeps its kind, because PostgreSQL asks for it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Id(Option<Uuid>),
    Int(Option<i64>),
    Bool(Option<bool>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Json(Option<Value>),
}

impl Cell {
    /// Column `at` of a row of SQLite.
    pub(super) fn of_sqlite(row: &SqliteRow, at: usize, kind: Kind) -> Result<Self, DbError> {
        Ok(match kind {
            Kind::Id => Self::Id(row.try_get(at)?),
            Kind::Int => Self::Int(row.try_get(at)?),
            Kind::Bool => Self::Bool(row.try_get(at)?),
            Kind::Text => Self::Text(row.try_get(at)?),
            Kind::Bytes => Self::Bytes(row.try_get(at)?),
            Kind::Json => Self::Json(row.try_get(at)?),
        })
    }

    /// Column `at` of a row of PostgreSQL.
    pub(super) fn of_postgres(row: &PgRow, at: usize, kind: Kind) -> Result<Self, DbError> {
        Ok(match kind {
            Kind::Id => Self::Id(row.try_get(at)?),
            Kind::Int => Self::Int(row.try_get(at)?),
            Kind::Bool => Self::Bool(row.try_get(at)?),
            Kind::Text => Self::Text(row.try_get(at)?),
            Kind::Bytes => Self::Bytes(row.try_get(at)?),
            Kind::Json => Self::Json(row.try_get(at)?),
        })
    }

    /// Adds it to a statement for PostgreSQL.
    pub(super) fn bind(
        self,
        query: Query<'_, Postgres, sqlx::postgres::PgArguments>,
    ) -> Query<'_, Postgres, sqlx::postgres::PgArguments> {
        match self {
            Self::Id(value) => query.bind(value),
            Self::Int(value) => query.bind(value),
            Self::Bool(value) => query.bind(value),
            Self::Text(value) => query.bind(value),
            Self::Bytes(value) => query.bind(value),
            Self::Json(value) => query.bind(value),
        }
    }

    /// Adds it to the hash of its table: a mark for NULL or a value, then its length and its bytes.
    pub(super) fn hash_into(&self, hash: &mut blake3::Hasher) {
        let bytes = match self {
            Self::Id(value) => value.map(|id| id.as_bytes().to_vec()),
            Self::Int(value) => value.map(|number| number.to_be_bytes().to_vec()),
            Self::Bool(value) => value.map(|yes| vec![u8::from(yes)]),
            Self::Text(value) => value.as_ref().map(|text| text.clone().into_bytes()),
            Self::Bytes(value) => value.clone(),
            // The keys of a `Value` are in order, so equal ones have equal texts.
            Self::Json(value) => value.as_ref().map(|value| value.to_string().into_bytes()),
        };
        match bytes {
            None => hash.update(&[0]),
            Some(bytes) => hash.update(&[1]).update(&(bytes.len() as u64).to_be_bytes()).update(&bytes),
        };
    }

    /// Which of two values of a key comes first: by their bytes, as both databases sort them when they are told to.
    pub(super) fn order(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Int(one), Self::Int(two)) => one.cmp(two),
            (Self::Text(one), Self::Text(two)) => one.cmp(two),
            (Self::Id(one), Self::Id(two)) => one.cmp(two),
            (Self::Bytes(one), Self::Bytes(two)) => one.cmp(two),
            (Self::Bool(one), Self::Bool(two)) => one.cmp(two),
            _ => std::cmp::Ordering::Equal,
        }
    }
}
