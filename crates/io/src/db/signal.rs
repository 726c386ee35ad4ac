//! Wake-ups after a commit: inside the process, and between nodes by LISTEN and NOTIFY of PostgreSQL.

use std::sync::Arc;

use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Db;
use super::error::DbError;
use super::tx::{Tx, Wakes};
use super::value::args;

/// The channels of PostgreSQL.
const JOBS: &str = "matinee_jobs";
const EVENTS: &str = "matinee_events";

/// Tells those who wait inside this process.
pub(crate) struct Signals {
    jobs: watch::Sender<()>,
    events: watch::Sender<()>,
}

impl Signals {
    pub(crate) fn new() -> Self {
        Self { jobs: watch::Sender::new(()), events: watch::Sender::new(()) }
    }

    pub(crate) fn tell(&self, wakes: Wakes) {
        if wakes.jobs {
            self.jobs.send_replace(());
        }
        if wakes.events {
            self.events.send_replace(());
        }
    }
}

impl Db {
    /// Changes whenever a job may have become ready. Subscribe, then look, then wait: so no wake-up is missed.
    /// It is only a hint; a worker also looks every few seconds.
    pub fn job_ready(&self) -> watch::Receiver<()> {
        self.signals.jobs.subscribe()
    }

    /// Changes whenever an event may have been written. Subscribe, then read, then wait.
    pub fn event_written(&self) -> watch::Receiver<()> {
        self.signals.events.subscribe()
    }
}

/// Commits, and lets PostgreSQL tell the other nodes as part of the commit.
pub(crate) async fn commit_and_notify(tx: &mut Tx) -> Result<Wakes, DbError> {
    let wakes = tx.take_wakes();
    for (wanted, channel) in [(wakes.jobs, JOBS), (wakes.events, EVENTS)] {
        if wanted {
            tx.execute("SELECT pg_notify($1, '')", args![channel]).await?;
        }
    }
    tx.control("COMMIT").await?;
    Ok(wakes)
}

/// Hears what other nodes commit; ends when it is dropped.
pub(crate) struct Listener(JoinHandle<()>);

impl Listener {
    pub(crate) async fn start(pool: &PgPool, signals: Arc<Signals>) -> Result<Self, DbError> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen_all([JOBS, EVENTS]).await?;
        Ok(Self(tokio::spawn(async move {
            loop {
                let wakes = match listener.try_recv().await {
                    Ok(Some(heard)) => {
                        Wakes { jobs: heard.channel() == JOBS, events: heard.channel() == EVENTS }
                    }
                    // The connection was lost, and wake-ups with it; it is made again by the next call.
                    Ok(None) => Wakes { jobs: true, events: true },
                    Err(error) => {
                        tracing::warn!(%error, "PostgreSQL tells nothing now; workers look by themselves");
                        tokio::time::sleep(AGAIN).await;
                        Wakes { jobs: true, events: true }
                    }
                };
                signals.tell(wakes);
            }
        })))
    }
}

/// The wait before another try to listen.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}
