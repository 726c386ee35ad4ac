//! What can go wrong between us and the database, by what the caller should do about it.

use matinee_core::quota::Refusal;
use rusqlite::ffi;

/// What SQLite says of troubles that pass; extended codes have these in their low byte.
const PASSING: [i32; 4] = [ffi::SQLITE_BUSY, ffi::SQLITE_LOCKED, ffi::SQLITE_IOERR, ffi::SQLITE_FULL];

/// A failed database operation.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DbError {
    /// The database could not do it now: busy, gone, a deadlock, a full disk. The same call may be repeated.
    #[error("the database could not answer now: {0}")]
    Again(String),
    /// The database can never do this: a broken schema, a wrong type, a damaged file.
    #[error("the database refused: {0}")]
    Never(String),
    /// A unique value is taken already.
    #[error("a value that must be unique exists already: {0}")]
    Taken(String),
    /// The row that the caller meant is not there, or is not in the state that the operation needs.
    #[error("there is no such row in the expected state")]
    Absent,
    /// What the caller wants to save contradicts what is saved.
    #[error("the rows say otherwise: {0}")]
    Conflict(String),
    /// The app or the collection may not have so much, or is being deleted.
    #[error("{0}")]
    Refused(Refusal),
    /// The lease under which the caller worked is lost; its result changes nothing.
    #[error("the lease is lost; somebody else holds this job, or nobody")]
    LeaseLost,
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        match error.sqlite_error().map(|answer| answer.extended_code) {
            Some(ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => Self::Taken(text),
            Some(code) if PASSING.contains(&(code & 0xff)) => Self::Again(text),
            Some(_) | None => Self::Never(text),
        }
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        let text = error.to_string();
        if let sqlx::Error::Database(answer) = &error {
            let code = answer.code().unwrap_or_default();
            if answer.is_unique_violation() {
                return Self::Taken(text);
            }
            // PostgreSQL: classes 08 connection, 40 rollback, 53 resources, 57 operator intervention.
            let sqlite = code.parse::<i32>().map(|code| code & 0xff);
            let passing = sqlite.is_ok_and(|code| PASSING.contains(&code))
                || (code.len() == 5 && ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class)));
            return if passing { Self::Again(text) } else { Self::Never(text) };
        }
        let world = matches!(
            error,
            sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
        );
        if world { Self::Again(text) } else { Self::Never(text) }
    }
}
