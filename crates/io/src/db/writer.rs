//! The one writer of SQLite, a thread: commits waiting units of work together, and answers only after the commit.
//!
//! A sync costs milliseconds, a transaction microseconds; so all that waits while a sync runs shares the next
//! one. A unit that fails does not roll back its neighbours: when one has failed after it changed something, all of them
//! run again, each inside a savepoint.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::error::DbError;
use super::near::Near;
use super::signal::Signals;
use super::tx::{Link, Tx, Wakes};

/// At most this many units of work share one commit.
const BATCH_MAX: usize = 256;
/// So many units of work may wait; beyond that their callers wait.
const WAITING_MAX: usize = 1_024;

/// A unit of work that may be run again from its beginning.
pub(crate) trait Work: Send {
    /// Runs on the connection; `false` when its changes must be rolled back.
    fn run<'c>(&'c mut self, tx: &'c mut Tx) -> BoxFuture<'c, bool>;
    /// Tells the caller: its own result, or why the commit failed.
    fn answer(self: Box<Self>, commit: Result<(), DbError>);
}

/// A unit of work with its arguments, its result and the one who waits for it.
pub(crate) struct Order<A, T, F> {
    args: A,
    run: F,
    result: Option<Result<T, DbError>>,
    reply: oneshot::Sender<Result<T, DbError>>,
}

impl<A, T, F> Order<A, T, F> {
    pub(crate) const fn new(args: A, run: F, reply: oneshot::Sender<Result<T, DbError>>) -> Self {
        Self { args, run, result: None, reply }
    }
}

impl<A, T, F> Work for Order<A, T, F>
where
    A: Send + Sync,
    T: Send,
    F: for<'c> Fn(&'c mut Tx, &'c A) -> BoxFuture<'c, Result<T, DbError>> + Send,
{
    fn run<'c>(&'c mut self, tx: &'c mut Tx) -> BoxFuture<'c, bool> {
        Box::pin(async move {
            let ran = AssertUnwindSafe((self.run)(tx, &self.args)).catch_unwind().await;
            // The writer lives on: everybody else writes through it, too.
            let result = ran.unwrap_or_else(|_| Err(DbError::Never("a transaction panicked".to_owned())));
            let fine = result.is_ok();
            self.result = Some(result);
            fine
        })
    }

    fn answer(self: Box<Self>, commit: Result<(), DbError>) {
        let never_ran = || Err(DbError::Again("the writer stopped before this was run".to_owned()));
        let answer = match (self.result, commit) {
            (Some(Ok(_)) | None, Err(error)) => Err(error),
            (result, _) => result.unwrap_or_else(never_ran),
        };
        // The caller may have gone away (a closed connection); the commit stands all the same.
        drop(self.reply.send(answer));
    }
}

/// The way to the writer task; cheap to clone.
#[derive(Clone)]
pub(crate) struct Writer {
    orders: mpsc::Sender<Box<dyn Work>>,
}

impl Writer {
    /// Starts the writer on its own connection. It ends when the last [`Writer`] is dropped.
    pub(crate) fn start(connection: Near, signals: Arc<Signals>) -> Result<Self, DbError> {
        let (orders, waiting) = mpsc::channel(WAITING_MAX);
        let work = write(Tx::new(Link::SqliteWriter(connection)), waiting, signals);
        let runtime = tokio::runtime::Handle::current();
        // A thread of its own, because its statements and their syncs block it.
        let thread = std::thread::Builder::new().name("database".into());
        thread.spawn(move || runtime.block_on(work)).map_err(|error| DbError::Again(error.to_string()))?;
        Ok(Self { orders })
    }

    /// Hands over a unit of work.
    pub(crate) async fn order(&self, work: Box<dyn Work>) -> Result<(), DbError> {
        self.orders.send(work).await.map_err(|_| DbError::Again("the database writer has stopped".to_owned()))
    }
}

async fn write(mut tx: Tx, mut waiting: mpsc::Receiver<Box<dyn Work>>, signals: Arc<Signals>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let committed = commit(&mut tx, &mut batch).await;
        match &committed {
            Ok(wakes) => signals.tell(*wakes),
            // The transaction may still be open; when it is not, this fails and nothing is lost.
            Err(_) => drop(tx.control("ROLLBACK").await),
        }
        let committed = committed.map(drop);
        for work in batch.drain(..) {
            work.answer(committed.clone());
        }
    }
}

async fn commit(tx: &mut Tx, batch: &mut [Box<dyn Work>]) -> Result<Wakes, DbError> {
    tx.control("BEGIN IMMEDIATE").await?;
    if let Some(wakes) = together(tx, batch).await {
        tx.control("COMMIT").await?;
        return Ok(wakes);
    }
    // A failure of the disk has ended the transaction already.
    drop(tx.control("ROLLBACK").await);
    apart(tx, batch).await
}

/// Runs all units; `None` when one of them must be undone. Inside a savepoint SQLite would keep a copy of every page that a
/// unit changes.
async fn together(tx: &mut Tx, batch: &mut [Box<dyn Work>]) -> Option<Wakes> {
    let (mut wakes, mut before) = (Wakes::default(), tx.changes()?);
    for work in batch {
        let fine = work.run(tx).await;
        let (wanted, after) = (tx.take_wakes(), tx.changes()?);
        if fine {
            wakes = wakes.and(wanted);
        } else if after != before {
            return None;
        }
        before = after;
    }
    Some(wakes)
}

/// Runs each unit inside a savepoint.
async fn apart(tx: &mut Tx, batch: &mut [Box<dyn Work>]) -> Result<Wakes, DbError> {
    let mut wakes = Wakes::default();
    tx.control("BEGIN IMMEDIATE").await?;
    for work in batch {
        tx.control("SAVEPOINT unit").await?;
        let fine = work.run(tx).await;
        let wanted = tx.take_wakes();
        if fine {
            wakes = wakes.and(wanted);
        } else {
            tx.control("ROLLBACK TO unit").await?;
        }
        tx.control("RELEASE unit").await?;
    }
    tx.control("COMMIT").await?;
    Ok(wakes)
}
