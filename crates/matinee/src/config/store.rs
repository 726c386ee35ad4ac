//! `[[store]]`: places besides the data directory that keep copies of what is in it.

use std::path::{Path, PathBuf};

use matinee_core::ledger;
use matinee_core::placement::{Class, DEFAULT_KEY, check_key};
use matinee_core::replica::LOCAL;
use matinee_io::store::{Access, Place, StoreConfig, Stores};
use serde::{Deserialize, Serialize};

use super::{BadConfig, Config, Secret};

/// The longest name of a store.
const NAME_MAX: usize = 32;

/// A place that keeps copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Store {
    /// Its name, for ever: what lies in it is remembered under it.
    pub(crate) name: String,
    /// `s3`, or `disk`: a folder, for example of another disk or of a share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<Kind>,
    /// What it is for: `replica`, or `archive` for sources that are kept and seldom read.
    pub(crate) class: Class,
    /// `disk`: the folder. It is never made: else a disk that is not mounted would be filled elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<PathBuf>,
    /// `s3`: `s3://bucket` or `s3://bucket/prefix`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// `s3`: the address of the service, for all but the first one of its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<String>,
    /// `s3`: the region.
    pub(crate) region: String,
    /// `s3`: the name of the key.
    pub(crate) access_key: String,
    /// `s3`: the key; better in a file.
    pub(crate) secret_key: Secret,
    /// `s3`: a file that holds the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret_key_file: Option<PathBuf>,
    /// What fails together with it, for example a house or a provider; its own name when it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) domain: Option<String>,
    /// How much it gets beside the others of its class; 0 gets nothing new.
    pub(crate) weight: u32,
    /// The kinds of objects that it takes, such as `source` and `rendition`; all that last, an archive only sources.
    pub(crate) takes: Option<Vec<ledger::Kind>>,
    /// The key of each copy below the prefix: a template of {app}, {collection}, {video}, {kind}, {object} and {copy}.
    pub(crate) key: String,
    /// It is being emptied: what lies in it is copied elsewhere, and goes then.
    pub(crate) draining: bool,
    /// `s3`: the storage class of what is put, for example `STANDARD_IA`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) storage_class: Option<String>,
    /// What lies in it, was made by this server and has no row is deleted after two days; else it is only told.
    pub(crate) delete_unknown: bool,
}

/// How a store is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    S3,
    Disk,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            name: String::new(),
            kind: None,
            class: Class::Replica,
            path: None,
            url: None,
            endpoint: None,
            region: "us-east-1".to_owned(),
            access_key: String::new(),
            secret_key: Secret::default(),
            secret_key_file: None,
            domain: None,
            weight: 1,
            takes: None,
            key: DEFAULT_KEY.to_owned(),
            draining: false,
            storage_class: None,
            delete_unknown: false,
        }
    }
}

impl Store {
    /// Is it a folder, whose bytes are paid for already?
    pub(crate) fn is_disk(&self) -> bool {
        self.kind == Some(Kind::Disk)
    }

    /// The kinds of objects that it takes.
    pub(crate) fn takes(&self) -> Vec<ledger::Kind> {
        match (&self.takes, self.class) {
            (Some(kinds), _) => kinds.clone(),
            (None, Class::Replica) => ledger::Kind::LASTING.to_vec(),
            (None, Class::Archive) => vec![ledger::Kind::Source],
        }
    }

    /// Where it is, or what is missing to know that.
    fn place(&self) -> Result<Place, String> {
        match self.kind {
            None => Err("needs its `kind`: \"s3\" or \"disk\"".to_owned()),
            Some(Kind::Disk) => {
                let path = self.path.clone().ok_or("needs the `path` of its folder")?;
                Ok(Place::Disk { path })
            }
            Some(Kind::S3) => self.bucket(),
        }
    }

    fn bucket(&self) -> Result<Place, String> {
        let wrong = "needs a `url` like s3://bucket or s3://bucket/prefix";
        let rest = self.url.as_deref().and_then(|url| url.strip_prefix("s3://")).ok_or(wrong)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(wrong.to_owned());
        }
        if self.access_key.is_empty() || self.secret_key.is_empty() {
            return Err("needs its `access_key`, and its `secret_key` or a `secret_key_file`".to_owned());
        }
        let access = Access {
            bucket: bucket.to_owned(),
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.reveal().to_owned(),
        };
        let prefix = prefix.trim_matches('/').to_owned();
        Ok(Place::S3 { access, prefix, storage_class: self.storage_class.clone() })
    }
}

impl Config {
    /// Opens the stores. Nothing is asked over the network, and a disk that is away is no reason not to start.
    pub(crate) fn stores(&self) -> Result<Stores, BadConfig> {
        let configs = self.store.iter().map(|store| {
            let place = store.place().map_err(|lack| lacks(&store.name, &lack))?;
            Ok(StoreConfig { name: store.name.clone(), place })
        });
        let configs = configs.collect::<Result<Vec<_>, BadConfig>>()?;
        Stores::open(&configs).map_err(|error| {
            BadConfig(format!("{error}. What belongs into a [[store]] is in docs/manual.md under \"Stores\""))
        })
    }
}

fn lacks(name: &str, lack: &str) -> BadConfig {
    BadConfig(format!("the [[store]] `{name}` {lack}"))
}

/// Refuses what cannot work, and reads the keys that lie in files.
pub(super) fn check(config: &mut Config) -> Result<(), BadConfig> {
    for number in 0..config.store.len() {
        check_store(&mut config.store[number], number, &config.data)?;
    }
    let mut names: Vec<_> = config.store.iter().map(|store| store.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(BadConfig(format!("two [[store]] have the name `{}`", pair[0]))),
        None => Ok(()),
    }
}

fn check_store(store: &mut Store, number: usize, data: &Path) -> Result<(), BadConfig> {
    let name = store.name.clone();
    let plain = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    if !(1..=NAME_MAX).contains(&name.len()) || !name.bytes().all(plain) || name == LOCAL {
        return Err(BadConfig(format!(
            "the [[store]] number {} needs a `name` for ever: 1 to {NAME_MAX} letters a-z, digits and dashes, and not \
             `{LOCAL}`, which is the data directory",
            number + 1
        )));
    }
    if let Some(path) = &store.secret_key_file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            lacks(&name, &format!("names the `secret_key_file` {}: {error}", path.display()))
        })?;
        store.secret_key = Secret::of(text.trim());
    }
    check_key(&store.key).map_err(|wrong| lacks(&name, &format!("has a wrong `key`: {wrong}")))?;
    if let Some(kind) = store.takes.iter().flatten().find(|kind| !ledger::Kind::LASTING.contains(kind)) {
        let wrong = format!("takes `{}`, which goes when the work is done and is never copied", kind.name());
        return Err(lacks(&name, &wrong));
    }
    if let Some(path) = &mut store.path {
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|error| lacks(&name, &format!("has a wrong `path`: {error}")))
        };
        *path = absolute(path)?;
        let data = absolute(data)?;
        if path.starts_with(&data) || data.starts_with(&*path) {
            return Err(lacks(&name, "must lie outside the data directory, and not around it"));
        }
    }
    store.place().map(drop).map_err(|lack| lacks(&name, &lack))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<Config, String> {
        let mut config: Config = toml::from_str(text).map_err(|error| error.to_string())?;
        check(&mut config).map_err(|error| error.to_string())?;
        Ok(config)
    }

    const S3: &str = "kind = \"s3\"\nurl = \"s3://b/p/\"\naccess_key = \"k\"\nsecret_key = \"hidden\"\n";

    #[test]
    fn a_store_says_what_it_lacks() {
        let disk = "name = \"a\"\nkind = \"disk\"\npath = \"/far\"\n";
        let s3 = format!("name = \"b\"\n{S3}");
        for (text, expected) in [
            (format!("[[store]]\n{disk}[[store]]\n{s3}class = \"archive\"\n"), None),
            (format!("[[store]]\n{S3}"), Some("needs a `name`")),
            (format!("[[store]]\nname = \"local\"\n{S3}"), Some("which is the data directory")),
            (format!("[[store]]\nname = \"A\"\n{S3}"), Some("letters a-z")),
            ("[[store]]\nname = \"a\"".to_owned(), Some("needs its `kind`")),
            ("[[store]]\nname = \"a\"\nkind = \"tape\"".to_owned(), Some("tape")),
            ("[[store]]\nname = \"a\"\nkind = \"disk\"".to_owned(), Some("needs the `path`")),
            ("[[store]]\nname = \"a\"\nkind = \"s3\"".to_owned(), Some("s3://bucket")),
            ("[[store]]\nname = \"a\"\nkind = \"s3\"\nurl = \"s3:///p\"".to_owned(), Some("s3://bucket")),
            ("[[store]]\nname = \"a\"\nkind = \"s3\"\nurl = \"s3://b\"".to_owned(), Some("access_key")),
            (format!("[[store]]\n{s3}secret_key_file = \"/no/such/file\""), Some("/no/such/file")),
            (format!("[[store]]\n{s3}class = \"cold\""), Some("cold")),
            (format!("[[store]]\n{s3}takes = [\"source\", \"poster\"]\nkey = \"x/{{video}}\""), None),
            (format!("[[store]]\n{s3}takes = [\"chunk\"]"), Some("never copied")),
            (format!("[[store]]\n{s3}key = \"x/{{title}}\""), Some("wrong `key`")),
            (format!("[[store]]\n{s3}bucket = \"b\""), Some("unknown field")),
            (format!("[[store]]\n{s3}[[store]]\n{s3}"), Some("two [[store]]")),
            (format!("data = \"/far/data\"\n[[store]]\n{disk}"), Some("outside the data directory")),
            (format!("data = \"/\"\n[[store]]\n{disk}"), Some("outside the data directory")),
        ] {
            let found = checked(&text).err();
            let fits = match (&found, expected) {
                (None, None) => true,
                (Some(found), Some(expected)) => found.contains(expected),
                (None, Some(_)) | (Some(_), None) => false,
            };
            assert!(fits, "{text}: {found:?}");
        }
    }

    #[test]
    fn what_can_never_be_a_store_is_told_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, b"x").unwrap();
        let config = |path: &Path| {
            checked(&format!("[[store]]\nname = \"a\"\nkind = \"disk\"\npath = \"{}\"", path.display()))
                .unwrap()
        };
        assert!(config(folder.path()).stores().unwrap().get("a").is_some());
        assert!(config(&folder.path().join("away")).stores().is_ok(), "its disk may come later");
        let error = config(&file).stores().unwrap_err().to_string();
        assert!(error.contains("`a`") && error.contains("Stores"), "{error}");
        let endpoint = format!("[[store]]\nname = \"a\"\n{S3}endpoint = \"nowhere\"");
        assert!(checked(&endpoint).unwrap().stores().unwrap_err().to_string().contains("`a`"));
    }

    #[test]
    fn a_key_is_never_shown() {
        let config = checked(&format!("[[store]]\nname = \"a\"\n{S3}")).unwrap();
        let shown = format!("{config:?}{}{:?}", toml::to_string(&config).unwrap(), config.stores().unwrap());
        assert!(!shown.contains("hidden") && shown.contains("***"), "{shown}");
    }
}
