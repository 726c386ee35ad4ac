//! What every test of the suite starts from: a fresh database, an app, and short ways to make and hold jobs.

use std::sync::atomic::{AtomicU64, Ordering};

use matinee_core::id::{AppId, Id, JobId, VideoId};
use matinee_core::job::load::Load;
use matinee_core::job::{Kind, NewJob, OnDeath, State, Task};
use matinee_core::limits::LEASE_MS;
use matinee_core::quota::Quota;
use matinee_core::time::Millis;
use sqlx::Connection as _;

use crate::db::error::DbError;
use crate::db::job::{self, Claim, Claimed, Slots};
use crate::db::{Config, Db};

/// Runs each named `async fn(Bench)` on both databases.
macro_rules! on_both {
    ($($name:ident)*) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                super::$name($crate::db::suite::support::Bench::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                if let Some(bench) = $crate::db::suite::support::Bench::postgres().await {
                    super::$name(bench).await;
                }
            }
        }
    )*};
}
pub(crate) use on_both;

/// The beginning of time in tests.
pub(crate) const T0: Millis = Millis(1_700_000_000_000);

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A number that no one else in this process gets.
pub(crate) fn unique() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// An id that no one else in this process gets, later ones greater.
pub(crate) fn id<N>() -> Id<N> {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&unique().to_be_bytes());
    Id::new(T0, random)
}

/// A token for one claim.
pub(crate) fn token() -> [u8; 16] {
    u128::from(unique()).to_be_bytes()
}

/// A fresh database with one app.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) db: Db,
    pub(crate) app: AppId,
    pub(crate) config: Config,
    _dir: Option<std::sync::Arc<tempfile::TempDir>>,
}

impl Bench {
    pub(crate) async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::Sqlite(dir.path().join("db"));
        Self::open(config, Some(std::sync::Arc::new(dir))).await
    }

    pub(crate) async fn postgres() -> Option<Self> {
        Some(Self::open(Self::empty().await?, None).await)
    }

    /// The same with tables and no rows.
    pub(crate) async fn postgres_empty() -> Option<Self> {
        let config = Self::empty().await?;
        Some(Self { db: Db::open(&config).await.unwrap(), app: id(), config, _dir: None })
    }

    async fn empty() -> Option<Config> {
        let name = format!("t{}_{}", std::process::id(), unique());
        let admin = tokio::task::spawn_blocking(|| super::postgres::url("postgres")).await.unwrap()?;
        let mut admin = sqlx::PgConnection::connect(&admin).await.unwrap();
        let create = format!("CREATE DATABASE {name}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut admin).await.unwrap();
        super::postgres::url(&name).map(Config::Postgres)
    }

    async fn open(config: Config, dir: Option<std::sync::Arc<tempfile::TempDir>>) -> Self {
        let db = Db::open(&config).await.unwrap();
        let bench = Self { db, app: id(), config, _dir: dir };
        bench.add_app(bench.app).await;
        bench
    }

    /// The same database, opened once more.
    pub(crate) async fn other_node(&self) -> Self {
        Self { db: Db::open(&self.config).await.unwrap(), ..self.clone() }
    }

    pub(crate) async fn add_app(&self, app: AppId) {
        self.db.create_app(app, &app.to_string(), Quota::default(), T0).await.unwrap();
    }

    /// A probe job of its own video, ready at once.
    pub(crate) fn new_job(&self) -> NewJob {
        let video: VideoId = id();
        self.new_task(Task::Probe { video }, &[])
    }

    pub(crate) fn new_task(&self, task: Task, needs: &[(JobId, OnDeath)]) -> NewJob {
        NewJob {
            id: id(),
            app: self.app,
            video: task.video(),
            task,
            prio: 0,
            weight: 0,
            run_at: T0,
            needs: needs.to_vec(),
            load: Load::default(),
            idem_key: None,
        }
    }

    pub(crate) async fn insert(&self, jobs: &[NewJob]) -> Result<(), DbError> {
        self.db
            .write(jobs.to_vec(), |tx, jobs| {
                Box::pin(async move {
                    for new in jobs {
                        job::insert(tx, new, T0).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Inserts one ready job and returns its id.
    pub(crate) async fn ready_job(&self) -> JobId {
        let new = self.new_job();
        self.insert(std::slice::from_ref(&new)).await.unwrap();
        new.id
    }

    /// Claims as `holder` without limits.
    pub(crate) async fn claim(&self, holder: &str, now: Millis) -> Option<Claimed> {
        self.db.claim(&wish(holder, now, u32::MAX)).await.unwrap()
    }

    pub(crate) async fn settle(&self, lease: &matinee_core::job::Lease, now: Millis) -> Result<(), DbError> {
        self.db
            .write((*lease, now), |tx, (lease, now)| {
                Box::pin(async move { job::settle(tx, lease, *now, None).await })
            })
            .await
    }

    pub(crate) async fn state(&self, job: JobId) -> State {
        self.db.job(self.app, job).await.unwrap().unwrap().0.state
    }
}

/// The stores of the tests.
const STORES: [&str; 6] = ["local", "a", "b", "b2", "c2", "deep"];

/// All queues of a kind that need no hardware.
pub(crate) fn queues(kind: Kind, node_max: u32) -> Vec<Slots> {
    let of = Slots::of(kind, node_max);
    let stores = STORES.into_iter().filter(|_| kind == Kind::Copy);
    let stores = stores.map(|store| Slots { store: Some(store.to_owned()), ..of.clone() });
    std::iter::once(of.clone()).chain(stores).collect()
}

/// A claim for every kind with the same limit on a node.
pub(crate) fn wish(holder: &str, now: Millis, node_max: u32) -> Claim {
    let kinds = Kind::ALL.into_iter().flat_map(|kind| queues(kind, node_max)).collect();
    Claim { kinds, holder: holder.to_owned(), now, lease_ms: LEASE_MS, token: token() }
}
