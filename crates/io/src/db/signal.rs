//! Wake-ups after a commit: inside the process, and between nodes by LISTEN and NOTIFY of PostgreSQL.

use std::sync::Arc;

use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use super::Db;
use super::error::DbError;
use super::tx::{Tx, Wakes};
use super::value::args;

/// The channels of PostgreSQL.
const JOBS: &str = "matinee_jobs";
const EVENTS: &str = "matinee_events";
const UPLOADS: &str = "matinee_uploads";

/// So many words about uploads may wait for a listener that is busy; who misses one looks at the rows.
const WORDS_MAX: usize = 1_024;

/// What nodes say to each other about an upload, which they name by the secret part of its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// One node wants what another writes.
    Asked(Ask),
    /// Nobody writes it any more.
    Free(String),
    /// Who writes it goes on, because it is at another offset than the one that was asked for.
    Stays(String, u64),
}

/// The wish of a node to write an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The node that writes it.
    pub node: String,
    /// The secret part of its URL.
    pub url_key: String,
    /// Only if it has come exactly here.
    pub at: Option<u64>,
}

impl Word {
    /// The upload about which this answers a question.
    pub fn answers(&self) -> Option<&str> {
        match self {
            Self::Asked(_) => None,
            Self::Free(key) | Self::Stays(key, _) => Some(key),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Asked(Ask { node, url_key, at: None }) => format!("ask {url_key} {node}"),
            Self::Asked(Ask { node, url_key, at: Some(at) }) => format!("ask {url_key} {node} {at}"),
            Self::Free(key) => format!("free {key}"),
            Self::Stays(key, at) => format!("stays {key} {at}"),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (verb, key) = (words.next()?, words.next()?.to_owned());
        match verb {
            "ask" => {
                let node = words.next()?.to_owned();
                let at = words.next().map(str::parse).transpose().ok()?;
                Some(Self::Asked(Ask { node, url_key: key, at }))
            }
            "free" => Some(Self::Free(key)),
            "stays" => Some(Self::Stays(key, words.next()?.parse().ok()?)),
            _ => None,
        }
    }
}

/// Tells those who wait inside this process.
pub(crate) struct Signals {
    jobs: watch::Sender<()>,
    events: watch::Sender<()>,
    words: broadcast::Sender<Word>,
}

impl Signals {
    pub(crate) fn new() -> Self {
        Self {
            jobs: watch::Sender::new(()),
            events: watch::Sender::new(()),
            words: broadcast::Sender::new(WORDS_MAX),
        }
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

    /// What nodes say to each other about uploads. It is only a hint: the row says who holds an upload.
    pub fn words(&self) -> broadcast::Receiver<Word> {
        self.signals.words.subscribe()
    }

    /// Says a word to all nodes. With SQLite there is only one, which has nothing to say to itself.
    pub async fn say(&self, word: &Word) -> Result<(), DbError> {
        self.write(word.text(), |tx, text| {
            Box::pin(async move {
                if tx.is_postgres() {
                    tx.execute("SELECT pg_notify($1, $2)", args![UPLOADS, text.as_str()]).await?;
                }
                Ok(())
            })
        })
        .await
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
        listener.listen_all([JOBS, EVENTS, UPLOADS]).await?;
        Ok(Self(tokio::spawn(async move {
            loop {
                let wakes = match listener.try_recv().await {
                    Ok(Some(heard)) if heard.channel() == UPLOADS => {
                        // Nobody may be waiting for a word just now.
                        Word::read(heard.payload()).map(|word| signals.words.send(word));
                        continue;
                    }
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
