//! Is the database whole? Asked by `matinee doctor`.

use super::Db;
use super::error::DbError;
use super::tx::Sql;
use super::value::args;

impl Db {
    /// What the database itself finds wrong with its file; nothing when it is whole. PostgreSQL checks itself, so
    /// there it is only asked to answer.
    pub async fn complaints(&self) -> Result<Vec<String>, DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                let sql = Sql::Each {
                    sqlite: "SELECT quick_check AS found FROM pragma_quick_check",
                    postgres: "SELECT 'ok' AS found",
                };
                let rows = tx.rows(sql, args![]).await?;
                let found = rows.iter().map(|row| row.get("found")).collect::<Result<Vec<String>, _>>()?;
                Ok(found.into_iter().filter(|line| line != "ok").collect())
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

    use super::*;
    use crate::db::Config;

    #[tokio::test]
    async fn a_broken_page_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let db = Db::open(&Config::Sqlite(path.clone())).await.unwrap();
        assert!(db.complaints().await.unwrap().is_empty());
        drop(db);
        let options = SqliteConnectOptions::new().filename(&path);
        let mut raw = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut raw).await.unwrap();
        raw.close().await.unwrap();
        let db = Db::open(&Config::Sqlite(path.clone())).await.unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        // Every page but the first, which holds the schema, is filled with nonsense.
        bytes[8 * 4_096..].fill(0x55);
        std::fs::write(&path, bytes).unwrap();
        assert!(!matches!(db.complaints().await, Ok(found) if found.is_empty()));
    }
}
