//! The readers of SQLite. A pool that asks before and after each use whether a connection still lives pays three trips
//! to its thread for one statement; a file does not hang up. A few rows that an index names are found sooner than any
//! thread is woken: for those there are connections that look on the thread that asks.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::DbError;
use super::near::Near;

/// So many connections that wait for somebody who reads; cheap to clone.
#[derive(Clone)]
pub(crate) struct Readers {
    free: Arc<Mutex<Vec<SqliteConnection>>>,
    permits: Arc<Semaphore>,
    near: Arc<Mutex<Vec<Near>>>,
}

/// A connection that looks on the thread that asks, until this is dropped.
pub(crate) struct Look {
    connection: Option<Near>,
    readers: Readers,
}

/// A connection with a thread of its own, until this is dropped.
pub(crate) struct Reader {
    connection: Option<SqliteConnection>,
    readers: Readers,
    _permit: OwnedSemaphorePermit,
}

impl Readers {
    /// Opens `count` of each kind.
    pub(crate) async fn open(
        options: &SqliteConnectOptions,
        (path, busy): (&Path, Duration),
        count: usize,
    ) -> Result<Self, DbError> {
        let (mut free, mut near) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for _ in 0..count {
            free.push(options.connect().await?);
            near.push(Near::open_to_look(path, busy)?);
        }
        let permits = Arc::new(Semaphore::new(count));
        Ok(Self { free: Arc::new(Mutex::new(free)), permits, near: Arc::new(Mutex::new(near)) })
    }

    /// A connection that looks at once, unless as many threads look already.
    pub(crate) fn look(&self) -> Option<Look> {
        let connection = self.near.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(Look { connection: Some(connection), readers: self.clone() })
    }

    /// Waits for a connection. What its last user left running ends before anything new begins on it.
    pub(crate) async fn acquire(&self) -> Reader {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.expect("because nobody closes the semaphore");
        let connection = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Reader { connection, readers: self.clone(), _permit: permit }
    }
}

impl Deref for Look {
    type Target = Near;

    fn deref(&self) -> &Near {
        self.connection.as_ref().expect("because it goes only when this is dropped")
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.readers.near.lock().unwrap_or_else(PoisonError::into_inner).extend(self.connection.take());
    }
}

impl Deref for Reader {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.connection.as_ref().expect("because there are as many connections as permits")
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.connection.as_mut().expect("because there are as many connections as permits")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.readers.free.lock().unwrap_or_else(PoisonError::into_inner).extend(self.connection.take());
    }
}
