//! The one SQL database that holds all state: SQLite or PostgreSQL behind one type.
//!
//! SQL, and the text form of a state, exist only below this module. Callers see methods that are named after
//! what happens, never a connection.

mod account;
pub mod app;
mod arg;
pub mod arrival;
pub mod assembly;
mod caption;
mod card;
mod check;
mod concat;
mod death;
pub mod delivery;
mod direct;
mod distribution;
mod egress;
mod encoded;
mod ending;
mod erase;
mod error;
pub mod event;
mod gauge;
mod growth;
mod hold;
mod holding;
pub mod host;
pub mod inventory;
pub mod job;
mod lease;
mod ledger;
mod loudness;
mod lying;
mod near;
mod node;
mod object;
pub mod outbox;
mod outside;
mod pace;
mod part;
mod picture;
mod pipeline;
mod probed;
mod publication;
mod pull;
mod quota;
mod readers;
mod ready;
mod remake;
mod rendition;
mod replica;
pub mod runner;
mod signal;
mod slab;
mod software;
#[cfg(test)]
pub(crate) mod suite;
mod tail;
mod timeline;
pub mod token;
mod told;
pub mod transfer;
pub(crate) mod tx;
mod upload;
mod vacate;
pub(crate) mod value;
mod video;
mod watermark;
pub mod webhook;
mod word;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::oneshot;

pub use self::account::Sum;
pub use self::caption::{Caption, MadeCaption, NewCaption};
pub use self::concat::FinalPart;
pub use self::direct::{NewDirect, Verdict};
pub use self::egress::{Egress, Sent};
pub use self::encoded::{Assembled, SoundInFile};
pub use self::ending::Finish;
pub use self::erase::{Erase, Erased};
pub use self::error::DbError;
pub use self::growth::NewPart;
pub use self::hold::Take;
pub use self::holding::{Holding, Named};
pub use self::ledger::{Entry, Known, LedgerFilter};
pub use self::lying::Lying;
use self::near::Near;
pub use self::node::{Beat, NodeRow};
pub use self::object::{NewObject, Stored, first_entry};
pub use self::outside::Outside;
pub use self::part::Part;
pub use self::picture::{Boarded, Sheet};
pub use self::pipeline::Version;
pub use self::probed::{Probed, VirtualSet, VirtualTrack};
pub use self::publication::{NewPublication, Publication, Told, entry_of};
pub use self::pull::{NewPull, Pull, Pulled, ZoomEvent};
use self::readers::Readers;
pub use self::remake::Wish;
pub use self::rendition::{NewTrack, PresentedTrack, Rendition, Shape};
pub use self::replica::{
    Aged, BegunUpload, Control, Lag, Lost, NewReplica, Placing, Promised, Proven, Replica, StoreState,
    Unplaced, key_in,
};
pub use self::signal::{Ask, Word};
use self::signal::{Listener, Signals};
pub use self::slab::{Reached, SlabHash};
pub use self::software::Hard;
pub use self::tail::{Arriving, Tail};
pub use self::timeline::Moment;
use self::tx::{Link, Tx, Wakes};
pub use self::upload::NewUpload;
pub use self::upload::row::{Hold, Upload};
pub use self::vacate::{Left, Vacating};
pub use self::video::VideoFilter;
pub use self::video::row::Video;
use self::writer::{Order, Writer};

/// Connections of one node to PostgreSQL: the server declines from 64 on (`platform.md` section 13).
const POSTGRES_CONNECTIONS_MAX: u32 = 16;
/// Readers of SQLite beside its one writer, of each kind.
const SQLITE_READERS: usize = 4;
/// How long another process (a command, a backup) may hold SQLite's lock.
const BUSY_MS: u64 = 5_000;

/// Which database holds the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Config {
    /// A file that this process owns.
    Sqlite(PathBuf),
    /// A server, by its URL `postgres://user:password@host/database`.
    Postgres(String),
}

/// The database; cheap to clone.
#[derive(Clone)]
pub struct Db {
    backend: Backend,
    signals: Arc<Signals>,
}

#[derive(Clone)]
enum Backend {
    Sqlite { readers: Readers, writer: Writer },
    Postgres { pool: PgPool, _listener: Arc<Listener> },
}

impl Db {
    /// Opens the database and brings its schema up to date.
    pub async fn open(config: &Config) -> Result<Self, DbError> {
        match config {
            Config::Sqlite(path) => Self::open_sqlite(path).await,
            Config::Postgres(url) => Self::open_postgres(url).await,
        }
    }

    async fn open_sqlite(path: &Path) -> Result<Self, DbError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_millis(BUSY_MS))
            .foreign_keys(true)
            .pragma("temp_store", "MEMORY")
            .disable_statement_logging();
        let mut connection = SqliteConnection::connect_with(&options).await?;
        migrated(sqlx::migrate!("migrations/sqlite").run(&mut connection).await)?;
        connection.close().await?;
        let busy = Duration::from_millis(BUSY_MS);
        let readers =
            Readers::open(&options.pragma("query_only", "ON"), (path, busy), SQLITE_READERS).await?;
        let signals = Arc::new(Signals::new());
        let writer = Writer::start(Near::open(path, busy)?, Arc::clone(&signals))?;
        Ok(Self { backend: Backend::Sqlite { readers, writer }, signals })
    }

    async fn open_postgres(url: &str) -> Result<Self, DbError> {
        let options: sqlx::postgres::PgConnectOptions = url.parse()?;
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS_MAX)
            // Without statistics the planner takes our short statements for long ones and compiles them: 30 ms each.
            .after_connect(|connection, _| {
                Box::pin(async move { sqlx::raw_sql("SET jit = off").execute(connection).await.map(drop) })
            })
            .connect_with(options.disable_statement_logging())
            .await?;
        migrated(sqlx::migrate!("migrations/postgres").run(&pool).await)?;
        let signals = Arc::new(Signals::new());
        let listener = Arc::new(Listener::start(&pool, Arc::clone(&signals)).await?);
        Ok(Self { backend: Backend::Postgres { pool, _listener: listener }, signals })
    }

    /// Runs `work` in one transaction on a task of its own: a caller that goes away cannot leave it half done.
    /// `work` may be run again from its beginning, so it changes nothing but the database.
    pub(crate) async fn write<A, T, F>(&self, args: A, work: F) -> Result<T, DbError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Tx, &'c A) -> BoxFuture<'c, Result<T, DbError>> + Send + Sync + 'static,
    {
        match &self.backend {
            Backend::Sqlite { writer, .. } => {
                let (reply, answer) = oneshot::channel();
                writer.order(Box::new(Order::new(args, work, reply))).await?;
                answer
                    .await
                    .unwrap_or_else(|_| Err(DbError::Again("the database writer has stopped".to_owned())))
            }
            Backend::Postgres { pool, .. } => {
                let (pool, signals) = (pool.clone(), Arc::clone(&self.signals));
                let done = tokio::spawn(async move {
                    let (done, wakes) = write_postgres(&pool, &args, work).await?;
                    signals.tell(wakes);
                    Ok(done)
                });
                done.await
                    .unwrap_or_else(|error| Err(DbError::Never(format!("a transaction panicked: {error}"))))
            }
        }
    }

    /// The same as [`Db::read`] for a few rows that an index names: with SQLite they are read on the thread that asks.
    pub(crate) async fn look<A, T, F>(&self, args: A, work: F) -> Result<T, DbError>
    where
        A: Send + Sync,
        F: for<'c> Fn(&'c mut Tx, &'c A) -> BoxFuture<'c, Result<T, DbError>>,
    {
        if let Backend::Sqlite { readers, .. } = &self.backend
            && let Some(look) = readers.look()
        {
            return work(&mut Tx::new(Link::SqliteLook(look)), &args).await;
        }
        self.read(args, work).await
    }

    /// Runs `work` on a reading connection, outside of any transaction of ours.
    pub(crate) async fn read<A, T, F>(&self, args: A, work: F) -> Result<T, DbError>
    where
        A: Send + Sync,
        F: for<'c> Fn(&'c mut Tx, &'c A) -> BoxFuture<'c, Result<T, DbError>>,
    {
        let mut tx = match &self.backend {
            Backend::Sqlite { readers, .. } => Tx::new(Link::SqliteReader(readers.acquire().await)),
            Backend::Postgres { pool, .. } => Tx::new(Link::Postgres(pool.acquire().await?)),
        };
        work(&mut tx, &args).await
    }
}

/// Deadlocks and serialization errors repeat the whole transaction; so many times.
const DEADLOCK_TRIES: u32 = 5;

async fn write_postgres<A, T, F>(pool: &PgPool, args: &A, work: F) -> Result<(T, Wakes), DbError>
where
    F: for<'c> Fn(&'c mut Tx, &'c A) -> BoxFuture<'c, Result<T, DbError>>,
{
    let mut tries = 0;
    loop {
        let mut tx = Tx::new(Link::Postgres(pool.acquire().await?));
        tx.control("BEGIN").await?;
        let result = match work(&mut tx, args).await {
            Ok(done) => signal::commit_and_notify(&mut tx).await.map(|wakes| (done, wakes)),
            Err(error) => Err(error),
        };
        let Err(error) = result else { return result };
        // A connection that cannot roll back is broken; the pool notices and drops it.
        drop(tx.control("ROLLBACK").await);
        tries += 1;
        if !matches!(error, DbError::Again(_)) || tries >= DEADLOCK_TRIES {
            return Err(error);
        }
    }
}

fn migrated(result: Result<(), sqlx::migrate::MigrateError>) -> Result<(), DbError> {
    result.map_err(|error| DbError::Never(format!("the schema could not be brought up to date: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::value::{Arg, args};

    /// How a unit of work ends that has changed something.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum How {
        Well,
        Refused,
        Panics,
    }

    async fn insert(db: &Db, name: &'static str, how: How) -> Result<(), DbError> {
        db.write((name, how), |tx, (name, how)| {
            Box::pin(async move {
                let id = matinee_core::id::AppId::from_bits(u128::from(name.as_bytes()[0]));
                let sql = "INSERT INTO app (id, name, created_ms) VALUES ($1, $2, $3)";
                tx.execute(sql, args![id, *name, 1_i64]).await?;
                match how {
                    How::Well => Ok(()),
                    How::Refused => Err(DbError::Absent),
                    How::Panics => panic!("on purpose"),
                }
            })
        })
        .await
    }

    async fn names(db: &Db) -> Vec<String> {
        db.read((), |tx, ()| {
            Box::pin(async move {
                let rows = tx.rows("SELECT name FROM app ORDER BY name", args![]).await?;
                rows.iter().map(|row| row.get("name")).collect()
            })
        })
        .await
        .unwrap()
    }

    /// Keeps the writer busy, so that all that is ordered meanwhile shares the next commit; until the sender goes.
    async fn busy(db: &Db) -> std::sync::mpsc::Sender<()> {
        let ((release, wait), (begun, started)) = (std::sync::mpsc::channel(), oneshot::channel());
        let (db, both) = (db.clone(), std::sync::Mutex::new(Some((wait, begun))));
        tokio::spawn(async move {
            db.write(both, |_, both| {
                Box::pin(async move {
                    if let Some((wait, begun)) = both.lock().unwrap().take() {
                        begun.send(()).unwrap();
                        assert!(wait.recv().is_err(), "nothing is ever said");
                    }
                    Ok(())
                })
            })
            .await
        });
        started.await.unwrap();
        release
    }

    #[tokio::test]
    async fn a_failed_unit_does_not_roll_back_its_neighbours() {
        for how in [How::Well, How::Refused, How::Panics] {
            let dir = tempfile::tempdir().unwrap();
            let db = Db::open(&Config::Sqlite(dir.path().join("db"))).await.unwrap();
            let release = busy(&db).await;
            let (first, middle, last, ()) = tokio::join!(
                insert(&db, "a", How::Well),
                insert(&db, "b", how),
                insert(&db, "c", How::Well),
                async { drop(release) }
            );
            assert!(first.is_ok() && last.is_ok(), "{how:?}");
            let (fits, expected): (bool, &[&str]) = match how {
                How::Well => (middle.is_ok(), &["a", "b", "c"]),
                How::Refused => (matches!(middle, Err(DbError::Absent)), &["a", "c"]),
                How::Panics => (matches!(middle, Err(DbError::Never(_))), &["a", "c"]),
            };
            assert!(fits, "{how:?}: {middle:?}");
            assert_eq!(names(&db).await, expected, "{how:?}");
            insert(&db, "d", How::Well).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_unit_whose_caller_has_gone_away_is_committed_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&Config::Sqlite(dir.path().join("db"))).await.unwrap();
        let release = busy(&db).await;
        let gone = insert(&db, "a", How::Well);
        assert!(futures_util::FutureExt::now_or_never(gone).is_none(), "it waits for its commit");
        drop(release);
        insert(&db, "b", How::Well).await.unwrap();
        assert_eq!(names(&db).await, ["a", "b"]);
    }

    #[tokio::test]
    async fn a_database_that_another_process_keeps_is_busy_for_now() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let db = Db::open(&Config::Sqlite(path.clone())).await.unwrap();
        let near = Near::open(&path, Duration::ZERO).unwrap();
        let release = busy(&db).await;
        assert!(matches!(near.control("BEGIN IMMEDIATE"), Err(DbError::Again(_))));
        drop(release);
        insert(&db, "a", How::Well).await.unwrap();
        let seven: [Arg; 1] = [7_i64.into()];
        let twice = near.execute("INSERT INTO app (id, name, created_ms) VALUES ($1, 'a', 1)", &seven);
        assert!(matches!(twice, Err(DbError::Taken(_))), "{twice:?}");
        let looks = Near::open_to_look(&path, Duration::ZERO).unwrap();
        assert!(matches!(looks.execute("DELETE FROM app", &[]), Err(DbError::Never(_))));
        assert!(matches!(looks.rows("SELECT $2 AS absent", &seven), Err(DbError::Never(_))));
    }
}
