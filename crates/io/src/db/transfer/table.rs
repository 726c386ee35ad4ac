//! A table as both databases have it: its columns, its key, and the statements that its rows are read and written by.

use sqlx::{PgConnection, Row as _};

use super::cell::Kind;
use crate::db::error::DbError;

/// A table of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    /// Columns in the order of PostgreSQL.
    pub(super) columns: Vec<(String, Kind)>,
    /// The columns of the primary key, by their places in `columns`.
    pub(super) key: Vec<usize>,
    /// The column that PostgreSQL counts by itself.
    pub(super) counted: Option<String>,
}

impl Table {
    /// Reads what PostgreSQL says of a table of this name.
    async fn read(wire: &mut PgConnection, name: &str) -> Result<Self, DbError> {
        let sql =
            "SELECT column_name::text, data_type::text, is_identity::text FROM information_schema.columns
                   WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position";
        let mut columns = Vec::new();
        let mut counted = None;
        for row in sqlx::query(sql).bind(name).fetch_all(&mut *wire).await? {
            let column: String = row.try_get(0)?;
            let kind = Kind::named(row.try_get(1)?)?;
            if row.try_get::<&str, _>(2)? == "YES" {
                counted = Some(column.clone());
            }
            columns.push((column, kind));
        }
        let sql = "SELECT a.attname::text FROM pg_index i
                   JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
                   WHERE i.indrelid = to_regclass($1) AND i.indisprimary
                   ORDER BY array_position(i.indkey::smallint[], a.attnum)";
        let mut key = Vec::new();
        for row in sqlx::query(sql).bind(quoted(name)).fetch_all(wire).await? {
            let column: String = row.try_get(0)?;
            key.extend(columns.iter().position(|(known, _)| *known == column));
        }
        if key.is_empty() {
            return Err(DbError::Never(format!("the table {name} has no primary key")));
        }
        Ok(Self { name: name.to_owned(), columns, key, counted })
    }

    /// All rows in the order of their keys, the same order in both databases.
    pub(super) fn select(&self, postgres: bool) -> String {
        let order = self.key.iter().map(|at| {
            let (name, kind) = &self.columns[*at];
            // SQLite compares bytes; PostgreSQL does so when it is told to.
            let bytes = if postgres && *kind == Kind::Text { " COLLATE \"C\"" } else { "" };
            format!("{}{bytes}", quoted(name))
        });
        let columns = self.columns.iter().map(|(name, _)| quoted(name));
        format!("SELECT {} FROM {} ORDER BY {}", joined(columns), quoted(&self.name), joined(order))
    }

    /// Writes so many rows, or over those of the same key.
    pub(super) fn upsert(&self, rows: usize) -> String {
        let width = self.columns.len();
        let values = (0..rows).map(|row| {
            let cells = (1..=width).map(|column| format!("${}", row * width + column));
            format!("({})", joined(cells))
        });
        let set = self.columns.iter().enumerate().filter(|(at, _)| !self.key.contains(at));
        let set: Vec<String> =
            set.map(|(_, (name, _))| format!("{0} = EXCLUDED.{0}", quoted(name))).collect();
        let then =
            if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", set.join(", ")) };
        format!(
            "INSERT INTO {} ({}) {} VALUES {} ON CONFLICT ({}) DO {then}",
            quoted(&self.name),
            joined(self.columns.iter().map(|(name, _)| quoted(name))),
            if self.counted.is_some() { "OVERRIDING SYSTEM VALUE" } else { "" },
            joined(values),
            joined(self.key.iter().map(|at| quoted(&self.columns[*at].0))),
        )
    }

    /// Deletes the row of one key.
    pub(super) fn delete(&self) -> String {
        let wheres: Vec<String> = (1..)
            .zip(&self.key)
            .map(|(number, at)| format!("{} = ${number}", quoted(&self.columns[*at].0)))
            .collect();
        format!("DELETE FROM {} WHERE {}", quoted(&self.name), wheres.join(" AND "))
    }

    /// Lets PostgreSQL count on from the greatest number.
    pub(super) fn count_on(&self) -> Option<String> {
        let column = self.counted.as_ref()?;
        Some(format!(
            "SELECT setval(pg_get_serial_sequence('{0}', '{1}'), GREATEST((SELECT max({2}) FROM {3}), 1))",
            self.name,
            column,
            quoted(column),
            quoted(&self.name)
        ))
    }
}

/// The tables of the schema, those that others point at first.
pub(super) async fn tables(wire: &mut PgConnection) -> Result<Vec<Table>, DbError> {
    let sql = "SELECT table_name::text FROM information_schema.tables
               WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'
                 AND left(table_name, 5) <> '_sqlx' ORDER BY table_name";
    let mut waiting = Vec::new();
    for row in sqlx::query(sql).fetch_all(&mut *wire).await? {
        waiting.push(Table::read(wire, row.try_get(0)?).await?);
    }
    let sql = "SELECT c.conrelid::regclass::text, c.confrelid::regclass::text FROM pg_constraint c
               JOIN pg_namespace n ON n.oid = c.connamespace
               WHERE c.contype = 'f' AND n.nspname = current_schema() AND c.conrelid <> c.confrelid";
    let mut points: Vec<(String, String)> = Vec::new();
    for row in sqlx::query(sql).fetch_all(wire).await? {
        points.push((row.try_get(0)?, row.try_get(1)?));
    }
    let mut sorted: Vec<Table> = Vec::new();
    while !waiting.is_empty() {
        let is_ready = |table: &Table| {
            let mut of = points.iter().filter(|(from, _)| *from == table.name);
            of.all(|(_, to)| sorted.iter().any(|done| done.name == *to))
        };
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_ready);
        if ready.is_empty() {
            return Err(DbError::Never("the tables point at each other in a circle".to_owned()));
        }
        sorted.extend(ready);
        waiting = rest;
    }
    Ok(sorted)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_name_each_column_and_the_key() {
        let table = Table {
            name: "part".to_owned(),
            columns: vec![
                ("id".to_owned(), Kind::Id),
                ("first".to_owned(), Kind::Text),
                ("rows".to_owned(), Kind::Bytes),
            ],
            key: vec![0, 1],
            counted: None,
        };
        assert_eq!(table.select(false), r#"SELECT "id", "first", "rows" FROM "part" ORDER BY "id", "first""#);
        assert!(table.select(true).ends_with(r#"ORDER BY "id", "first" COLLATE "C""#));
        assert_eq!(
            table.upsert(2),
            r#"INSERT INTO "part" ("id", "first", "rows")  VALUES ($1, $2, $3), ($4, $5, $6) ON CONFLICT ("id", "first") DO UPDATE SET "rows" = EXCLUDED."rows""#
        );
        assert_eq!(table.delete(), r#"DELETE FROM "part" WHERE "id" = $1 AND "first" = $2"#);
        assert_eq!(table.count_on(), None);
    }
}
