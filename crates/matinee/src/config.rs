//! The configuration: flag before environment before `matinee.toml` before `/etc/matinee` before the default.

pub(crate) mod broker;
mod cards;
mod copies;
mod delivery;
pub(crate) mod host;
mod ingest;
mod log;
mod pipeline;
mod role;
pub(crate) mod source;
mod span;
pub(crate) mod store;
mod work;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::error::Kind;
use figment::providers::{Env, Format as _, Serialized, Toml};
use matinee_core::limits;
use matinee_core::pipeline::{DEFAULT, Pipeline, Quality};
use matinee_core::placement::Copies;
use matinee_core::price::{Card, Prices};
use serde::{Deserialize, Serialize};

pub(crate) use self::broker::Broker;
pub(crate) use self::copies::{Archive, Scrub};
pub(crate) use self::delivery::Delivery;
pub(crate) use self::host::Host;
pub(crate) use self::ingest::{Ingest, Secret, Zoom};
pub(crate) use self::log::{Log, LogFormat};
pub(crate) use self::role::Role;
pub(crate) use self::source::{Bucket, Watch};
pub(crate) use self::span::Span;
pub(crate) use self::store::Store;
pub(crate) use self::work::{Keep, Work, Workers};

/// Everything that an operator can set. Every key has a default, and nothing needs to be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// `sqlite` (a file in the data directory) or `postgres://user:password@host/name`.
    pub(crate) database: String,
    /// Where the server listens.
    pub(crate) listen: SocketAddr,
    /// Where everything lives; removing it removes everything.
    pub(crate) data: PathBuf,
    /// The name of this node, where several serve one data directory over one PostgreSQL; one alone needs none.
    pub(crate) node: Option<String>,
    /// What this process does: `web`, `worker`, `ingest`; all of it unless nodes share the work.
    pub(crate) roles: Vec<Role>,
    /// The address that the outside sees, for links; the request's own host when it is not set.
    pub(crate) public_url: Option<String>,
    /// Host names that are answered besides the listening address and that of `public_url`.
    pub(crate) hosts: Vec<String>,
    pub(crate) access: Access,
    pub(crate) uploads: Uploads,
    pub(crate) ingest: Ingest,
    pub(crate) zoom: Zoom,
    pub(crate) workers: Workers,
    pub(crate) work: Work,
    pub(crate) encode: Encode,
    pub(crate) log: Log,
    /// What work and storage cost here, and what else is needed to say what all of it costs.
    pub(crate) prices: Prices,
    /// What places cost, in place of the cards that come with the release.
    pub(crate) card: Vec<Card>,
    pub(crate) delivery: Delivery,
    /// Templates of what is made from a source; one named `default` replaces what is built in.
    pub(crate) pipeline: Vec<Pipeline>,
    /// Folders whose files become videos.
    pub(crate) watch: Vec<Watch>,
    /// Buckets whose objects become videos.
    pub(crate) bucket: Vec<Bucket>,
    /// Places besides the data directory that keep copies.
    pub(crate) store: Vec<Store>,
    /// Services that take videos and stream them.
    pub(crate) host: Vec<Host>,
    /// Brokers for events out and commands in.
    pub(crate) broker: Vec<Broker>,
    /// How many copies lie in stores, by kind; the working copy in the data directory is not counted.
    pub(crate) copies: Copies,
    pub(crate) archive: Archive,
    pub(crate) scrub: Scrub,
}

/// Who may do what without an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Access {
    /// On a loopback address anybody may upload and watch until an administrator has claimed the server.
    pub(crate) newcomer: bool,
    /// Lets the administrator link be opened from another machine: for a server without a screen.
    pub(crate) claim_from_outside: bool,
}

/// Bytes on their way in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Uploads {
    /// An upload without a byte for so long expires.
    pub(crate) idle_timeout: Span,
    /// The largest upload in bytes.
    pub(crate) max_bytes: u64,
    /// The least bytes of one append by the IETF protocol that does not complete its upload; 0 = any number. Best left
    /// alone: proxies cut requests where they like.
    pub(crate) min_append_bytes: u64,
    /// The most bytes of one append by the IETF protocol; 0 = any number. For a proxy that takes no larger requests.
    pub(crate) max_append_bytes: u64,
    /// Origins of other sites whose pages may upload here, for example `https://app.example.org`.
    pub(crate) origins: Vec<String>,
    /// Whoever may send an upload may read it back from its address once it is complete.
    pub(crate) download: bool,
    /// Folders below which files may be taken by path. Empty: none over HTTP, and any for `matinee import`, because
    /// the command runs as its user.
    pub(crate) import_roots: Vec<PathBuf>,
}

/// How ffmpeg is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Encode {
    /// Runs ffmpeg even where the kernel offers no Landlock sandbox. Only for files that you trust.
    pub(crate) accept_unsandboxed: bool,
    /// `default` (x264 veryfast) or `high` (x264 medium).
    pub(crate) quality: Quality,
    /// The folder with `ffmpeg` and `ffprobe`; the PATH is searched when it is not set.
    pub(crate) ffmpeg_dir: Option<PathBuf>,
    /// Device nodes of encoders in hardware, such as `/dev/dri/renderD128`. Looked for when it is not set; none when empty.
    pub(crate) devices: Option<Vec<String>>,
    /// An encoder that takes no step for so long is ended and started again; slow ones get 20 of their own steps.
    pub(crate) stall: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database: "sqlite".to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data: PathBuf::from("matinee-data"),
            node: None,
            roles: Role::ALL.to_vec(),
            public_url: None,
            hosts: Vec::new(),
            access: Access::default(),
            uploads: Uploads::default(),
            ingest: Ingest::default(),
            zoom: Zoom::default(),
            workers: Workers::default(),
            work: Work::default(),
            encode: Encode::default(),
            log: Log::default(),
            prices: Prices::default(),
            card: Vec::new(),
            delivery: Delivery::default(),
            pipeline: Vec::new(),
            watch: Vec::new(),
            bucket: Vec::new(),
            store: Vec::new(),
            host: Vec::new(),
            broker: Vec::new(),
            copies: Copies::default(),
            archive: Archive::default(),
            scrub: Scrub::default(),
        }
    }
}

impl Default for Access {
    fn default() -> Self {
        Self { newcomer: true, claim_from_outside: false }
    }
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            idle_timeout: Span { ms: 86_400_000 },
            max_bytes: 1 << 40,
            min_append_bytes: 0,
            max_append_bytes: 0,
            origins: Vec::new(),
            download: true,
            import_roots: Vec::new(),
        }
    }
}

impl Default for Encode {
    fn default() -> Self {
        Self {
            accept_unsandboxed: false,
            quality: Quality::Default,
            ffmpeg_dir: None,
            devices: None,
            stall: Span { ms: limits::STALL_MS },
        }
    }
}

/// What the command line may set; it wins over everything else.
#[derive(Debug, Default, Clone, Serialize, clap::Args)]
pub(crate) struct Flags {
    /// Where to listen, for example 0.0.0.0:80
    #[arg(long, global = true, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<SocketAddr>,
    /// Where everything is kept [default: ./matinee-data]
    #[arg(long, global = true, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    /// The name of this node, where several serve one data directory
    #[arg(long, global = true, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    /// What this node does of all the work [default: web,worker,ingest]
    #[arg(long, global = true, value_name = "ROLES", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<Role>>,
    /// `sqlite`, or `postgres://user:password@host/name`
    #[arg(long, global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    /// Another file instead of ./matinee.toml
    #[arg(long, global = true, value_name = "FILE")]
    #[serde(skip)]
    config: Option<PathBuf>,
}

/// A configuration that cannot be used, in one sentence for the operator.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadConfig(String);

/// What may stand in a file of its own, which `MATINEE_SECTION__KEY_FILE` names.
const SECRETS: [&str; 3] = ["database", "zoom.secret_token", "zoom.client_secret"];

/// Reads the configuration from all its places.
pub(crate) fn load(flags: &Flags) -> Result<Config, BadConfig> {
    let file = flags.config.clone().unwrap_or_else(|| PathBuf::from("matinee.toml"));
    if flags.config.is_some() && !file.exists() {
        return Err(BadConfig(format!("there is no configuration file {}", file.display())));
    }
    let places = [Path::new("/etc/matinee/matinee.toml"), &file].into_iter().filter(|place| place.exists());
    let mut figment = places
        .fold(Figment::from(Serialized::defaults(Config::default())), |figment, place| {
            figment.merge(Toml::file_exact(place))
        })
        .merge(Env::prefixed("MATINEE_").filter(|key| !key.as_str().ends_with("_file")).split("__"));
    for key in SECRETS {
        let name = format!("MATINEE_{}_FILE", key.replace('.', "__").to_uppercase());
        let Some(path) = Env::var(&name) else { continue };
        let secret = std::fs::read_to_string(&path)
            .map_err(|error| BadConfig(format!("{name}={path} cannot be read: {error}")))?;
        figment = figment.merge((key, secret.trim().to_owned()));
    }
    let mut config: Config =
        figment.merge(Serialized::defaults(flags)).extract().map_err(|error| explain(error, &file))?;
    let Uploads { min_append_bytes: least, max_append_bytes: most, .. } = config.uploads;
    if most > 0 && least > most {
        return Err(BadConfig(format!(
            "`uploads.min_append_bytes` ({least}) is above `uploads.max_append_bytes` ({most})"
        )));
    }
    source::check(&mut config)?;
    store::check(&mut config)?;
    work::check(&config)?;
    role::check(&config)?;
    let beside = if file.exists() { file.as_path() } else { Path::new("/etc/matinee/matinee.toml") };
    pipeline::check(&mut config.pipeline, beside)?;
    host::check(&mut config)?;
    broker::check(&mut config)?;
    cards::check(&config)?;
    config.checked()
}

/// Turns figment's error into a sentence that names the place and the nearest known key.
fn explain(error: figment::Error, file: &Path) -> BadConfig {
    let Some(first) = error.into_iter().next() else {
        return BadConfig(format!("the configuration ({}) cannot be read", file.display()));
    };
    let place = first.metadata.as_ref().map_or_else(|| "the configuration".to_owned(), place_of);
    let mut path = first.path.clone();
    let Kind::UnknownField(key, known) = &first.kind else {
        let key = if path.is_empty() { "an entry".to_owned() } else { path.join(".") };
        return BadConfig(format!("{key} in {place}: {}", first.kind));
    };
    path.pop_if(|last| last == key);
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(key, known);
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let nearest = nearest.filter(|known| likeness(known) > 0.3);
    let hint = nearest.map(|known| format!("; did you mean `{}`?", dotted(&path, known))).unwrap_or_default();
    let (key, known) = (dotted(&path, key), known.join(", "));
    BadConfig(format!("unknown key `{key}` in {place}{hint} Known here: {known}."))
}

fn place_of(metadata: &figment::Metadata) -> String {
    match &metadata.source {
        Some(figment::Source::File(path)) => path.display().to_string(),
        Some(_) | None if metadata.name.contains("environment") => "the environment (MATINEE_...)".to_owned(),
        Some(_) | None => "the configuration".to_owned(),
    }
}

fn dotted(path: &[String], key: &str) -> String {
    path.iter().map(String::as_str).chain([key]).collect::<Vec<_>>().join(".")
}

/// The longest name of a node.
const NODE_NAME_MAX: usize = 32;

/// May a node be called so? The name is part of file names.
pub(crate) fn is_node_name(name: &str) -> bool {
    let plain = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    (1..=NODE_NAME_MAX).contains(&name.len()) && name.bytes().all(plain)
}

impl Config {
    /// What no single key can tell.
    fn checked(self) -> Result<Self, BadConfig> {
        if !self.prices.check() {
            return Err(BadConfig(
                "the figures in [prices] must be numbers from 0 on, and the rates above 0".to_owned(),
            ));
        }
        let Some(node) = &self.node else { return Ok(self) };
        if !is_node_name(node) {
            return Err(BadConfig(format!(
                "`node = \"{node}\"` is no name for a node; write 1 to {NODE_NAME_MAX} letters a-z, digits and dashes"
            )));
        }
        if self.database == "sqlite" {
            return Err(BadConfig(format!(
                "`node = \"{node}\"` needs PostgreSQL: SQLite cannot be shared by several nodes. Set `database` to a URL \
                 such as postgres://user:password@host/name, or leave `node` out"
            )));
        }
        Ok(self)
    }

    /// Does the server listen only to this machine?
    pub(crate) fn is_loopback(&self) -> bool {
        self.listen.ip().is_loopback()
    }

    /// All pipelines, the default one first.
    pub(crate) fn pipelines(&self) -> Vec<Pipeline> {
        let mut all = self.pipeline.clone();
        match all.iter().position(|known| known.name == DEFAULT) {
            Some(at) => all[..=at].rotate_right(1),
            None => all.insert(0, self.default_pipeline()),
        }
        all
    }

    /// What `default` means when nobody has written a pipeline of this name.
    pub(crate) fn default_pipeline(&self) -> Pipeline {
        Pipeline { quality: self.encode.quality, ..Pipeline::default() }
    }

    /// Which database [`matinee_io::db::Db::open`] is to open.
    pub(crate) fn database(&self) -> Result<matinee_io::db::Config, BadConfig> {
        match self.database.as_str() {
            "sqlite" => Ok(matinee_io::db::Config::Sqlite(self.data.join("matinee.db"))),
            url if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Ok(matinee_io::db::Config::Postgres(url.to_owned()))
            }
            _ => Err(BadConfig(
                "`database` must be `sqlite` or a URL such as postgres://user:password@host/name".to_owned(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(text: &str) -> Result<Config, BadConfig> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("matinee.toml");
        std::fs::write(&file, text).unwrap();
        load(&Flags { config: Some(file), ..Flags::default() })
    }

    #[test]
    fn an_append_cannot_be_longer_than_it_may() {
        let error = with_file("[uploads]\nmin_append_bytes = 9\nmax_append_bytes = 8").unwrap_err();
        assert!(error.to_string().contains("min_append_bytes"), "{error}");
        assert!(with_file("[uploads]\nmin_append_bytes = 9").is_ok(), "0 is no limit");
    }

    #[test]
    fn nothing_needs_to_be_set() {
        assert_eq!(with_file("").unwrap(), Config::default());
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("matinee.toml");
        std::fs::write(&file, "listen = \"127.0.0.1:1\"\n[uploads]\nidle_timeout = \"15m\"").unwrap();
        let flags = Flags {
            config: Some(file),
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 2))),
            ..Flags::default()
        };
        let config = load(&flags).unwrap();
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.uploads.idle_timeout, Span { ms: 900_000 });
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = with_file("[uploads]\nidle_timout = \"24h\"").unwrap_err().to_string();
        assert!(error.contains("unknown key `uploads.idle_timout`"), "{error}");
        assert!(error.contains("did you mean `uploads.idle_timeout`?"), "{error}");
        assert!(error.contains("matinee.toml"), "{error}");
    }

    #[test]
    fn a_pipeline_is_read_checked_and_found() {
        let names = |text: &str| {
            let all = with_file(text).unwrap().pipelines();
            all.into_iter().map(|one| (one.name, one.sizes)).collect::<Vec<_>>()
        };
        let of = |name: &str, sizes: &[u32]| (name.to_owned(), sizes.to_vec());
        assert_eq!(names(""), [of("default", &[])]);
        let small = "[[pipeline]]\nname = \"small\"\nsizes = [360]\n";
        assert_eq!(names(small), [of("default", &[]), of("small", &[360])]);
        let own = format!("{small}[[pipeline]]\nsizes = [720]");
        assert_eq!(names(&own), [of("default", &[720]), of("small", &[360])]);
        for (text, expected) in [
            ("sizes = [721]", "even number"),
            ("sises = [720]", "did you mean `pipeline.0.sizes`?"),
            ("poster = \"middle\"", "write \"10%\""),
            ("name = \"A\"", "small letters"),
        ] {
            let error = with_file(&format!("[[pipeline]]\n{text}")).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let error = with_file(&format!("{small}{small}")).unwrap_err().to_string();
        assert!(error.contains("two [[pipeline]]"), "{error}");
    }

    #[test]
    fn a_named_node_needs_a_plain_name_and_postgresql() {
        let postgres = "database = \"postgres://u@h/n\"\n";
        assert_eq!(with_file(&format!("{postgres}node = \"a-1\"")).unwrap().node.as_deref(), Some("a-1"));
        for wrong in ["", "A", "a/b", "a_b", &"a".repeat(33)] {
            let error = with_file(&format!("{postgres}node = \"{wrong}\"")).unwrap_err().to_string();
            assert!(error.contains("no name for a node"), "{error}");
        }
        let error = with_file("node = \"a\"").unwrap_err().to_string();
        assert!(error.contains("PostgreSQL") && error.contains("`database`"), "{error}");
    }

    #[test]
    fn a_wrong_value_says_what_to_write() {
        let error = with_file("[uploads]\nidle_timeout = \"soon\"").unwrap_err().to_string();
        assert!(error.contains("uploads.idle_timeout") && error.contains("24h"), "{error}");
    }
}
