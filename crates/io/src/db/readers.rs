//! The readers of SQLite. A pool that asks before and after each use whether a connection still lives pays three trips
//! to its thread for one statement; a file does not hang up.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::DbError;

/// So many connections that wait for somebody who reads; cheap to clone.
#[derive(Clone)]
pub(crate) struct Readers {
    free: Arc<Mutex<Vec<SqliteConnection>>>,
    permits: Arc<Semaphore>,
}

/// One of them, until this is dropped.
pub(crate) struct Reader {
    connection: Option<SqliteConnection>,
    readers: Readers,
    _permit: OwnedSemaphorePermit,
}

impl Readers {
    pub(crate) async fn open(options: &SqliteConnectOptions, count: usize) -> Result<Self, DbError> {
        let mut free = Vec::with_capacity(count);
        for _ in 0..count {
            free.push(options.connect().await?);
        }
        Ok(Self { free: Arc::new(Mutex::new(free)), permits: Arc::new(Semaphore::new(count)) })
    }

    /// Waits for a connection. What its last user left running ends before anything new begins on it.
    pub(crate) async fn acquire(&self) -> Reader {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.expect("because nobody closes the semaphore");
        let connection = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Reader { connection, readers: self.clone(), _permit: permit }
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
