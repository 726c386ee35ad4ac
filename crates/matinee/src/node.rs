//! What one running process shares: database, store, ffmpeg, keys and configuration.

pub(crate) mod hosts;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use matinee_core::access::path::Key;
use matinee_core::disk::{Level, Marks, Room};
use matinee_core::hardware::Usable;
use matinee_core::hash;
use matinee_core::id::{AppId, CollectionId, ObjectId};
use matinee_core::inventory::outside::Sort;
use matinee_core::job::Kind;
use matinee_core::limits;
use matinee_core::maker::Maker;
use matinee_core::plan::{Capabilities, Pipeline};
use matinee_core::replica;
use matinee_io::cache::Cache;
use matinee_io::db::Db;
use matinee_io::db::app::{Defaults, first_collection};
use matinee_io::fetch::Fetch;
use matinee_io::ffmpeg::cgroup::Subtree;
use matinee_io::ffmpeg::{Ffmpeg, FfmpegError};
use matinee_io::spool::Spool;
use matinee_io::store::{Local, Quarantine, Stores};
use matinee_io::{ffmpeg, random};
use tokio::sync::{OnceCell, watch};
use tokio_util::sync::CancellationToken;

use self::hosts::{Hosts, StartRefusal};
use crate::config::Config;
pub(crate) use crate::config::{Broker, Keep, Role, source};
use crate::shelf::tries::Tries;
use crate::shelf::{Arrivals, Lookout, Meter, Shelf};
use crate::turn::{Door, Lanes, Turns};

/// The parts of a running matinee; handed around as `Arc<Node>`.
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) db: Db,
    pub(crate) store: Local,
    /// The stores besides, which keep copies.
    pub(crate) stores: Stores,
    pub(crate) spool: Spool,
    /// Fetches what others serve.
    pub(crate) fetch: Fetch,
    /// Services that take videos and stream them.
    pub(crate) hosts: Hosts,
    /// Which start of this machine it is; see `flow::upload::recover`.
    pub(crate) boot: Option<String>,
    /// The programs, or why there are none; uploads are taken all the same.
    pub(crate) ffmpeg: Result<Ffmpeg, FfmpegError>,
    /// What its encoders make of a known picture; asked for when the first runner comes.
    pub(crate) fingerprint: OnceCell<String>,
    /// Its encoders in hardware, once they were tried.
    pub(crate) engines: OnceCell<Vec<Usable>>,
    /// Signs and checks the tokens in media paths.
    pub(crate) path_key: Key,
    /// Signs the names of what is made outside, so that it is known for ours without a row.
    pub(crate) maker: Maker,
    /// The app and collection of everybody who names none.
    pub(crate) defaults: Defaults,
    pub(crate) turns: Turns,
    /// Before the programs that make stills while a viewer waits.
    pub(crate) darkroom: Door,
    /// Before those that make a poster while its owner waits.
    pub(crate) studio: Door,
    /// Stills that were tried in vain.
    pub(crate) tries: Tries,
    /// Before the programs that look through a source while somebody waits for its plan, which may take minutes.
    pub(crate) planning: Lanes<AppId>,
    /// Stills that were asked for.
    pub(crate) thumbnails: Cache,
    pub(crate) shelf: Shelf,
    /// What lies before the videos that wait.
    pub(crate) lookout: Lookout,
    /// What goes out.
    pub(crate) meter: Meter,
    pub(crate) arrivals: Arrivals,
    /// Told when somebody wants places outside to be compared with their rows now.
    pub(crate) comparing: watch::Sender<()>,
    /// `name/run`: who holds a lease; the run is new at each start.
    pub(crate) holder: String,
    /// An administrator exists; asked of the database until it does.
    pub(crate) claimed: AtomicBool,
    /// Cancelled when the process is to end: nothing new begins.
    pub(crate) stop: CancellationToken,
    /// Cancelled when it is to end at once: what still runs is given back.
    pub(crate) halt: CancellationToken,
}

/// Why a process could not start, in a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartFailure {
    /// The data directory cannot be used.
    #[error(
        "the data directory {dir} cannot be used: {error}. Give another one with --data, or mend its rights."
    )]
    Data {
        /// The directory.
        dir: String,
        /// What the system said.
        error: String,
    },
    /// The database knows of files, and this directory has none.
    #[error(
        "the database knows stored files, but the data directory {dir} is empty: is its disk mounted? Give the right one \
         with --data. Only if its files are gone for good, make the folder `objects` in it, and start again."
    )]
    Elsewhere {
        /// The directory.
        dir: String,
    },
    /// The database cannot be opened.
    #[error("the database cannot be opened: {0}")]
    Database(#[from] matinee_io::db::DbError),
    /// The configuration is wrong.
    #[error("{0}")]
    Config(#[from] crate::config::BadConfig),
    /// Something is left at a host that is not known.
    #[error("{0}")]
    Host(#[from] StartRefusal),
    /// Copies lie in a store that is not configured any more.
    #[error(
        "{copies} copies lie, or may lie, in the store `{store}` ({owing}), which is not in the configuration any more: they \
         would cost money and never be deleted. Put its [[store]] back. To be rid of it, run `matinee stores drain {store}` and take it \
         out when `matinee stores ls` shows nothing in it."
    )]
    Store {
        /// The store.
        store: String,
        /// How many.
        copies: u64,
        /// What is known of them.
        owing: String,
    },
    /// ffmpeg may not run here.
    #[error(
        "{0} Only if every file that will ever be uploaded is trusted, set `encode.accept_unsandboxed = true`."
    )]
    Sandbox(FfmpegError),
}

impl Node {
    /// Opens everything that a process needs. `launcher` is our own binary, for the sandbox.
    pub(crate) async fn open(config: Config, launcher: &Path) -> Result<Arc<Self>, StartFailure> {
        let programs = Ffmpeg::detect(programs(&config, launcher));
        let (stored, ffmpeg) = tokio::join!(Stored::open(&config), programs);
        let stored = stored?;
        stored.hosts.check(&stored.db, &config.prices, matinee_io::clock::now()).await?;
        for held in stored.db.held(Sort::Store).await? {
            if !config.store.iter().any(|known| known.name == held.place) {
                let owing = hosts::owing(&config.prices, &held);
                return Err(StartFailure::Store { store: held.place, copies: held.things, owing });
            }
        }
        if let Err(refused @ FfmpegError::Refused) = ffmpeg {
            return Err(StartFailure::Sandbox(refused));
        }
        Ok(Arc::new(Self::of(config, stored, ffmpeg.map(contained))))
    }

    /// Opens what is stored, for a command that runs no ffmpeg: that is twenty times faster.
    pub(crate) async fn open_stored(config: Config) -> Result<Arc<Self>, StartFailure> {
        let stored = Stored::open(&config).await?;
        Ok(Arc::new(Self::of(config, stored, Err(FfmpegError::Missing("ffmpeg")))))
    }

    fn of(config: Config, stored: Stored, ffmpeg: Result<Ffmpeg, FfmpegError>) -> Self {
        let run = u64::from_le_bytes(random::bytes());
        Self {
            db: stored.db,
            store: stored.store,
            stores: stored.stores,
            ffmpeg,
            fingerprint: OnceCell::new(),
            engines: OnceCell::new(),
            maker: Maker::of(&stored.path_key.secret),
            path_key: stored.path_key,
            fetch: stored.fetch,
            hosts: stored.hosts,
            spool: Spool::new(matinee_io::spool::Config {
                direct: config.ingest.direct,
                memory_bytes: config.ingest.memory_bytes,
                keep_free_bytes: config.ingest.keep_free_bytes,
            }),
            boot: matinee_io::spool::boot(),
            defaults: stored.defaults,
            turns: Turns::default(),
            darkroom: Door::new(limits::STILLS_AT_ONCE, limits::STILLS_WAITING_MAX),
            studio: Door::new(limits::POSTERS_AT_ONCE, limits::POSTERS_WAITING_MAX),
            tries: Tries::new(),
            planning: Lanes::new(limits::PLANS_AT_ONCE, limits::PLANS_WAITING_MAX),
            thumbnails: thumbnails(&config),
            shelf: Shelf::new(),
            lookout: Lookout::default(),
            meter: Meter::new(),
            arrivals: Arrivals::new(),
            comparing: watch::Sender::new(()),
            holder: format!("{}/{run:016x}", node_name(&config)),
            claimed: AtomicBool::new(false),
            stop: CancellationToken::new(),
            halt: CancellationToken::new(),
            config,
        }
    }

    /// The collection for uploads of an app that name none.
    pub(crate) fn first_collection(&self, app: AppId) -> CollectionId {
        if app == self.defaults.app { self.defaults.collection } else { first_collection(app) }
    }

    /// Its name, where several nodes serve one data directory.
    pub(crate) fn name(&self) -> Option<&str> {
        self.config.node.as_deref()
    }

    /// Where attempts of this node have their directories.
    pub(crate) fn work_dir(&self) -> PathBuf {
        let work = self.config.data.join("work");
        self.name().map_or_else(|| work.clone(), |name| work.join(name))
    }

    /// Where objects go that no row explains.
    pub(crate) fn quarantine(&self) -> Quarantine {
        Quarantine::at(self.config.data.join("quarantine"))
    }

    /// Where this node keeps stills that were asked for.
    pub(crate) fn thumbnails_dir(&self) -> PathBuf {
        thumbnails_dir(&self.config.data, self.name())
    }

    /// The absolute path of an object's file, for ffmpeg.
    pub(crate) fn object_path(&self, object: ObjectId) -> std::io::Result<PathBuf> {
        std::path::absolute(self.store.path_of(object))
    }

    /// The same as text, as an argument.
    pub(crate) fn input_text(&self, object: ObjectId) -> std::io::Result<String> {
        let path = self.object_path(object)?;
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| std::io::Error::other("the data directory has a name that is not UTF-8"))
    }

    /// Chunks that are encoded here at the same time.
    pub(crate) fn slots(&self) -> u32 {
        slots(&self.config)
    }

    /// Jobs of a kind that run here at the same time. Each kind has its own slots: short jobs never wait behind the chunks
    /// of a long video.
    pub(crate) fn slots_of(&self, kind: Kind) -> u32 {
        if !self.config.does(Role::Worker) {
            return 0;
        }
        match kind {
            Kind::Fetch => self.config.ingest.fetches,
            Kind::Chunk => self.slots(),
            Kind::Probe => 4,
            Kind::Audio => self.slots().min(limits::SOUNDS_AT_ONCE),
            Kind::Remux | Kind::Poster | Kind::Subtitles | Kind::Storyboard | Kind::Webm | Kind::Erase => 1,
            Kind::Join | Kind::Take | Kind::Assemble | Kind::Finish | Kind::Step | Kind::Publish => 2,
            Kind::Copy => replica::limits::COPIES_AT_ONCE,
        }
    }

    /// Memory for all jobs that run here, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        memory_bytes(&self.config)
    }

    /// What the disk still allows; a disk that cannot be asked is no reason to stop.
    pub(crate) fn disk(&self) -> (Room, Level) {
        let (free, total) = self.store.room().unwrap_or((u64::MAX, u64::MAX));
        let (room, work) = (Room { free, total }, &self.config.work);
        (room, room.level(Marks { admit: work.admit_percent, work: work.full_percent }))
    }

    /// May something of so many bytes be let in?
    pub(crate) fn admits(&self, bytes: u64) -> bool {
        let (room, level) = self.disk();
        level == Level::Roomy && room.free >= bytes.saturating_add(self.config.ingest.keep_free_bytes)
    }

    /// What `default` means when nobody has written a pipeline of this name.
    pub(crate) fn default_pipeline(&self) -> Pipeline {
        self.config.default_pipeline()
    }

    /// What this machine can do; nothing without ffmpeg.
    pub(crate) fn capabilities(&self) -> Capabilities {
        capabilities(&self.config, self.ffmpeg.as_ref().ok())
    }
}

/// How ffmpeg is found and contained; `launcher` is our own binary, for the sandbox.
pub(crate) fn programs(config: &Config, launcher: &Path) -> ffmpeg::Config {
    ffmpeg::Config {
        launcher: launcher.to_owned(),
        ffmpeg: config.encode.ffmpeg_dir.as_ref().map(|dir| dir.join("ffmpeg")),
        accept_unsandboxed: config.encode.accept_unsandboxed,
        ..ffmpeg::Config::default()
    }
}

/// The same programs, each in a cgroup of its own where this process was handed a subtree for that.
pub(crate) fn contained(ffmpeg: Ffmpeg) -> Ffmpeg {
    match Subtree::here().and_then(Subtree::divide) {
        Ok(subtree) => ffmpeg.below(Some(subtree)),
        Err(lack) => {
            tracing::debug!(%lack, "programs have the limits of processes only");
            ffmpeg
        }
    }
}

/// What this machine can do; nothing without ffmpeg.
pub(crate) fn capabilities(config: &Config, ffmpeg: Option<&Ffmpeg>) -> Capabilities {
    let found = ffmpeg.map(Ffmpeg::found).cloned().unwrap_or_default();
    Capabilities {
        memory_bytes: memory_bytes(config),
        encoders: found.encoders.into_iter().collect(),
        filters: found.filters.into_iter().collect(),
        engines: Vec::new(),
    }
}

/// Chunks that are encoded at the same time.
pub(crate) fn slots(config: &Config) -> u32 {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    match config.workers.chunks {
        0 => u32::try_from(cores()).unwrap_or(1),
        chunks => chunks,
    }
}

/// Each node keeps its own stills; one that is alone has a name that no node can have.
fn thumbnails_dir(data: &Path, node: Option<&str>) -> PathBuf {
    data.join("thumbnails").join(node.unwrap_or("_"))
}

/// Stills that were asked for; a JPEG picture that was written to its end has its last marker.
fn thumbnails(config: &Config) -> Cache {
    let dir = thumbnails_dir(&config.data, config.node.as_deref());
    Cache::new(&dir, limits::THUMBNAIL_CACHE_BYTES, |bytes| bytes.ends_with(&[0xff, 0xd9]))
}

/// What lies in the data directory and in the database.
struct Stored {
    db: Db,
    store: Local,
    stores: Stores,
    path_key: Key,
    defaults: Defaults,
    fetch: Fetch,
    hosts: Hosts,
}

impl Stored {
    async fn open(config: &Config) -> Result<Self, StartFailure> {
        let dir = &config.data;
        let data = |error: &dyn std::fmt::Display| StartFailure::Data {
            dir: dir.display().to_string(),
            error: error.to_string(),
        };
        private_dir(dir).map_err(|error| data(&error))?;
        let stores = config.stores()?;
        let bare = !Local::is_there(dir);
        let db = Db::open(&config.database()?).await?;
        // Asked before anything is made here. Else all that is stored would seem lost.
        if bare && !db.known_objects(None, 1).await?.is_empty() {
            return Err(StartFailure::Elsewhere { dir: dir.display().to_string() });
        }
        let store = Local::open(dir).map_err(|error| data(&error))?;
        let path_key = path_key(&dir.join("secrets")).map_err(|error| data(&error))?;
        let wanted = Defaults { app: random::id(), collection: random::id() };
        let defaults = db.defaults(wanted, matinee_io::clock::now()).await?;
        let fetch = Fetch::new(&config.fetch()?).expect("because the configuration has tried it");
        let hosts = Hosts::open(config, &path_key.secret)?;
        Ok(Self { db, store, stores, path_key, defaults, fetch, hosts })
    }
}

/// Nodes that share a database need different names; unless they are given, one data directory is one node.
fn node_name(config: &Config) -> String {
    if let Some(name) = &config.node {
        return name.clone();
    }
    let absolute = std::path::absolute(&config.data).unwrap_or_else(|_| config.data.clone());
    let hash = hash::of(absolute.as_os_str().as_encoded_bytes());
    format!("{}-{}", host_name(), hash::hex(&hash[..4]))
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String =
        name.trim().chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
    if name.is_empty() { "node".to_owned() } else { name }
}

/// Memory for all jobs together: what the operator says, else a share of what the machine or its container has.
fn memory_bytes(config: &Config) -> u64 {
    if config.workers.memory_bytes > 0 {
        return config.workers.memory_bytes;
    }
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib =
        line.and_then(|line| line.trim().strip_suffix("kB")).and_then(|kib| kib.trim().parse::<u64>().ok());
    let machine = kib.unwrap_or(1 << 20) * 1_024;
    // "max" where nobody has set a limit.
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").unwrap_or_default();
    let container = limit.trim().parse::<u64>().unwrap_or(u64::MAX);
    machine.min(container) / 100 * limits::MEMORY_PERCENT
}

/// A directory that only its owner can read: it holds everybody's videos and keys.
fn private_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if dir.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// The key of path tokens: made at the first start, then always the same.
fn path_key(secrets: &Path) -> std::io::Result<Key> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    private_dir(secrets)?;
    let path = secrets.join("path-token.key");
    if !path.exists() {
        // Written beside and renamed: a crash in between leaves no half key.
        let fresh = secrets.join(format!("path-token.{:016x}", u64::from_le_bytes(random::bytes())));
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(&random::bytes::<32>())?;
        file.sync_all()?;
        std::fs::hard_link(&fresh, &path).or_else(|error| {
            if error.kind() == std::io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
        })?;
        std::fs::remove_file(&fresh)?;
    }
    let secret = std::fs::read(&path)?;
    let secret = secret.try_into().map_err(|_| {
        std::io::Error::other(format!("{} is damaged; remove it, and old addresses end", path.display()))
    })?;
    Ok(Key { number: 1, secret })
}
