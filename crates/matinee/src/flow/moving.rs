//! The state of a matinee moves from its SQLite file to PostgreSQL.

use std::path::Path;

use matinee_io::db::transfer;
pub(crate) use matinee_io::db::transfer::Copied;

use super::{Failure, now};

/// Brings all rows over and compares them; may be run again for what has changed since.
pub(crate) async fn copy(from: &Path, to: &str) -> Result<Vec<Copied>, Failure> {
    let mut told = |one: &Copied| {
        tracing::info!(table = one.table, rows = one.rows, written = one.written, "a table is copied");
    };
    Ok(transfer::transfer(from, to, now().0, &mut told).await?)
}
