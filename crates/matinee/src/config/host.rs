//! `[[host]]`: services that take videos and stream them, and our keys to them.

use std::path::PathBuf;

use http::Uri;
use matinee_core::name::is_name;
use matinee_core::publication::{HandOver, Pace};
use matinee_core::replica::LOCAL;
use matinee_io::host::{self, Secret, bunny, cloudflare};
use serde::{Deserialize, Serialize};

use super::{BadConfig, Config, Span};

/// The longest time for which Cloudflare lets an address be signed, in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// A service that takes videos. Which keys it needs depends on its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Host {
    /// Its name here, for ever: what is there is remembered under it.
    pub(crate) name: String,
    /// `cloudflare` or `bunny`.
    pub(crate) kind: String,
    /// The number of the account at Cloudflare.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) account: String,
    /// The name before `.cloudflarestream.com`, such as `customer-abc`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) customer: String,
    /// Cloudflare's token; better in a file.
    #[serde(skip_serializing_if = "Key::is_empty")]
    pub(crate) token: Key,
    /// A file that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
    /// What signs Cloudflare's webhooks.
    #[serde(skip_serializing_if = "Key::is_empty")]
    pub(crate) webhook_secret: Key,
    /// A file that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) webhook_secret_file: Option<PathBuf>,
    /// The name of the key that signs Cloudflare's addresses.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) signing_key_id: String,
    /// A file that holds the `pem` of it, as Cloudflare shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signing_key_file: Option<PathBuf>,
    /// So long may a video be whose length nobody knows; Cloudflare reserves so much while it arrives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_duration: Option<Span>,
    /// The number of the library at Bunny.
    #[serde(skip_serializing_if = "is_none")]
    pub(crate) library: u64,
    /// The name of the host that serves its files, such as `vz-1234.b-cdn.net`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) pull_zone: String,
    /// The library's key; better in a file.
    #[serde(skip_serializing_if = "Key::is_empty")]
    pub(crate) api_key: Key,
    /// A file that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// The library's read-only key, which signs Bunny's webhooks.
    #[serde(skip_serializing_if = "Key::is_empty")]
    pub(crate) read_only_key: Key,
    /// A file that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) read_only_key_file: Option<PathBuf>,
    /// The key that signs Bunny's addresses.
    #[serde(skip_serializing_if = "Key::is_empty")]
    pub(crate) token_key: Key,
    /// A file that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_key_file: Option<PathBuf>,
    /// Signed addresses work for so long.
    pub(crate) playback_for: Span,
    /// Where the service is asked for, in place of its own address: for tests and for a fake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<String>,
    /// Where viewers find its videos, in place of its own address: for tests and for a fake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) playback_endpoint: Option<String>,
    /// `push` (we send it what it does not have) or `pull` (it fetches it from us).
    pub(crate) hand_over: HandOver,
    /// Where it reaches this server, to fetch something, if not at `public_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pull_from: Option<String>,
    /// Our captions are put there, too.
    pub(crate) captions: bool,
    /// Each video is made a file there, too; Cloudflare does so by wish.
    pub(crate) downloads: bool,
    /// What is not final is asked for so often, all in one list.
    pub(crate) poll: Span,
    /// After a question without an answer it is looked for so long later ...
    pub(crate) look_after: Span,
    /// ... and so long after the question once more.
    pub(crate) look_again_after: Span,
    /// So long after something was proven gone it is looked for once more.
    pub(crate) control_after: Span,
    /// A host that did not answer is asked whether it is back after so long, up to twice that.
    pub(crate) probe_after: Span,
    /// What lies there, was made by this server and has no row is deleted after two days; else it is only told.
    pub(crate) delete_unknown: bool,
}

/// A key of ours, as it is written. It is not shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Key(String);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same, not to be read.
    pub(crate) fn hide(&mut self) {
        if !self.is_empty() {
            "***".clone_into(&mut self.0);
        }
    }

    fn secret(&self) -> Option<Secret> {
        (!self.is_empty()).then(|| Secret::new(self.0.clone()))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_none(number: &u64) -> bool {
    *number == 0
}

impl Default for Host {
    fn default() -> Self {
        let pace = Pace::default();
        Self {
            name: String::new(),
            kind: String::new(),
            account: String::new(),
            customer: String::new(),
            token: Key::default(),
            token_file: None,
            webhook_secret: Key::default(),
            webhook_secret_file: None,
            signing_key_id: String::new(),
            signing_key_file: None,
            max_duration: None,
            library: 0,
            pull_zone: String::new(),
            api_key: Key::default(),
            api_key_file: None,
            read_only_key: Key::default(),
            read_only_key_file: None,
            token_key: Key::default(),
            token_key_file: None,
            playback_for: Span { ms: 6 * 3_600_000 },
            endpoint: None,
            playback_endpoint: None,
            hand_over: HandOver::Push,
            pull_from: None,
            captions: true,
            downloads: false,
            poll: Span { ms: pace.poll_ms },
            look_after: Span { ms: pace.look_ms },
            look_again_after: Span { ms: pace.look_again_ms },
            control_after: Span { ms: pace.control_ms },
            probe_after: Span { ms: pace.probe_ms },
            delete_unknown: false,
        }
    }
}

impl Host {
    /// The times of our dealings with it.
    pub(crate) const fn pace(&self) -> Pace {
        Pace {
            poll_ms: self.poll.ms,
            look_ms: self.look_after.ms,
            look_again_ms: self.look_again_after.ms,
            control_ms: self.control_after.ms,
            probe_ms: self.probe_after.ms,
        }
    }

    /// Where it reaches this server; empty where nobody knows.
    pub(crate) fn reach<'r>(&'r self, public_url: Option<&'r str>) -> &'r str {
        self.pull_from.as_deref().or(public_url).unwrap_or_default().trim_end_matches('/')
    }

    /// All keys blanked, to be shown.
    pub(crate) fn hide(&mut self) {
        for key in [
            &mut self.token,
            &mut self.webhook_secret,
            &mut self.api_key,
            &mut self.read_only_key,
            &mut self.token_key,
        ] {
            key.hide();
        }
    }

    /// The service that it describes; else what is missing.
    pub(crate) fn open(&self) -> Result<host::Config, BadConfig> {
        match self.kind.as_str() {
            "cloudflare" => self.cloudflare().map(host::Config::Cloudflare),
            "bunny" => self.bunny().map(host::Config::Bunny),
            other => {
                Err(self
                    .bad(&format!("`kind` is \"{other}\"; this server knows \"cloudflare\" and \"bunny\"")))
            }
        }
    }

    fn cloudflare(&self) -> Result<cloudflare::Config, BadConfig> {
        let signing_key = match (&self.signing_key_file, self.signing_key_id.as_str()) {
            (None, "") => None,
            (Some(path), id) if !id.is_empty() => Some(cloudflare::SigningKey {
                id: id.to_owned(),
                pem: Secret::new(self.read("signing_key_file", path)?),
            }),
            _ => return Err(self.bad("`signing_key_id` and `signing_key_file` belong together")),
        };
        let mut config = cloudflare::Config {
            account: self.wanted("account", &self.account)?,
            token: self.key("token", &self.token)?,
            customer: self.wanted("customer", &self.customer)?,
            webhook_secret: self.webhook_secret.secret(),
            signing_key,
            playback_s: self.playback_s()?,
            max_duration_s: 7_200,
            api: cloudflare::API.to_owned(),
            media: self.media()?,
        };
        if let Some(max) = self.max_duration {
            config.max_duration_s = u32::try_from(max.ms / 1_000).unwrap_or(u32::MAX);
        }
        if let Some(endpoint) = &self.endpoint {
            config.api.clone_from(endpoint);
        }
        Ok(config)
    }

    fn bunny(&self) -> Result<bunny::Config, BadConfig> {
        if self.library == 0 {
            return Err(self.bad("`library` is missing: the number of the library"));
        }
        Ok(bunny::Config {
            library: self.library,
            api_key: self.key("api_key", &self.api_key)?,
            read_only_key: self.key("read_only_key", &self.read_only_key)?,
            pull_zone: self.wanted("pull_zone", &self.pull_zone)?,
            token_key: self.token_key.secret(),
            playback_s: self.playback_s()?,
            api: self.endpoint.clone().unwrap_or_else(|| bunny::API.to_owned()),
            media: self.media()?,
        })
    }

    fn playback_s(&self) -> Result<u32, BadConfig> {
        match self.playback_for.ms {
            60_000..=DAY_MS => Ok(u32::try_from(self.playback_for.ms / 1_000).unwrap_or(u32::MAX)),
            _ => Err(self.bad("`playback_for` must be from 1m to 24h")),
        }
    }

    /// Scheme and name of where viewers find the files; it stands in the policy of our pages.
    fn media(&self) -> Result<Option<String>, BadConfig> {
        let Some(endpoint) = &self.playback_endpoint else { return Ok(None) };
        let parsed: Option<Uri> = endpoint.parse().ok();
        let plain = parsed.filter(|uri| uri.path() == "/" && uri.query().is_none());
        let parts = plain.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.authority()?.as_str())));
        match parts {
            Some((scheme @ ("http" | "https"), name)) if is_plain(name) => {
                Ok(Some(format!("{scheme}://{name}")))
            }
            _ => Err(self.bad("`playback_endpoint` must be like \"https://name\", without a path")),
        }
    }

    fn wanted(&self, key: &str, value: &str) -> Result<String, BadConfig> {
        match value {
            "" => Err(self.bad(&format!("`{key}` is missing"))),
            value if is_plain(value) => Ok(value.to_owned()),
            _ => {
                Err(self
                    .bad(&format!("`{key}` is no plain name; write it without https:// and without slashes")))
            }
        }
    }

    fn key(&self, key: &str, value: &Key) -> Result<Secret, BadConfig> {
        value.secret().ok_or_else(|| {
            self.bad(&format!("`{key}` is missing; write it, or name its file as `{key}_file`"))
        })
    }

    fn read(&self, key: &str, path: &std::path::Path) -> Result<String, BadConfig> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| self.bad(&format!("`{key}`, {}: {error}", path.display())))?;
        Ok(text.trim().to_owned())
    }

    /// It cannot be used, for this reason.
    pub(crate) fn bad(&self, human: &str) -> BadConfig {
        BadConfig(format!("[[host]] `{}`: {human}", self.name))
    }

    /// Reads the keys that lie in files.
    fn read_keys(&mut self) -> Result<(), BadConfig> {
        let files = [
            ("token_file", self.token_file.clone()),
            ("webhook_secret_file", self.webhook_secret_file.clone()),
            ("api_key_file", self.api_key_file.clone()),
            ("read_only_key_file", self.read_only_key_file.clone()),
            ("token_key_file", self.token_key_file.clone()),
        ];
        for (name, path) in files {
            let Some(path) = path else { continue };
            let read = Key(self.read(name, &path)?);
            match name {
                "token_file" => self.token = read,
                "webhook_secret_file" => self.webhook_secret = read,
                "api_key_file" => self.api_key = read,
                "read_only_key_file" => self.read_only_key = read,
                _ => self.token_key = read,
            }
        }
        Ok(())
    }
}

/// Is it the name of a host or an account, and nothing that would end it in an address?
fn is_plain(name: &str) -> bool {
    name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._:".contains(letter))
}

/// Refuses what cannot work, and reads the keys that lie in files.
pub(super) fn check(config: &mut Config) -> Result<(), BadConfig> {
    for at in 0..config.host.len() {
        let (before, rest) = config.host.split_at_mut(at);
        let host = &mut rest[0];
        if !is_name(&host.name) {
            return Err(BadConfig(format!(
                "the [[host]] number {} needs a `name` of small letters, digits and `-`, at most 63",
                at + 1
            )));
        }
        if before.iter().any(|other| other.name == host.name) {
            return Err(BadConfig(format!("two [[host]] have the name `{}`", host.name)));
        }
        if host.name == LOCAL || config.store.iter().any(|store| store.name == host.name) {
            return Err(host.bad("a store has this name; the ledger names both, so take another one"));
        }
        if [&host.poll, &host.look_after, &host.probe_after].iter().any(|span| span.ms < 1_000)
            || host.look_again_after.ms < host.look_after.ms
        {
            let human = "`poll`, `look_after` and `probe_after` must be at least 1s, and `look_again_after` not below `look_after`";
            return Err(host.bad(human));
        }
        if host.hand_over == HandOver::Pull && !host.reach(config.public_url.as_deref()).starts_with("http") {
            let human = "`hand_over = \"pull\"` needs the address at which the service reaches this server: set `public_url`, or `pull_from`";
            return Err(host.bad(human));
        }
        host.read_keys()?;
        let opened = host.open()?;
        host::open(opened).map_err(|error| host.bad(&error.to_string()))?;
    }
    for pipeline in &config.pipeline {
        if let Some(host) =
            pipeline.publish.iter().find(|name| config.host.iter().all(|host| host.name != **name))
        {
            return Err(BadConfig(format!(
                "[[pipeline]] `{}`: `publish` names `{host}`, and there is no [[host]] of this name",
                pipeline.name
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<Config, String> {
        let mut config: Config = toml::from_str(text).map_err(|error| error.to_string())?;
        check(&mut config).map_err(|error| error.to_string())?;
        Ok(config)
    }

    const BUNNY: &str = "[[host]]\nname = \"bn\"\nkind = \"bunny\"\nlibrary = 133\napi_key = \"hushed\"\nread_only_key = \"r\"\npull_zone = \"vz-1.b-cdn.net\"\n";
    const CLOUDFLARE: &str = "[[host]]\nname = \"cf\"\nkind = \"cloudflare\"\naccount = \"a1\"\ntoken = \"hushed\"\ncustomer = \"customer-1\"\n";

    #[test]
    fn a_host_says_what_it_lacks() {
        let without = |text: &str, key: &str| {
            let lines = text.lines().filter(|line| !line.starts_with(key));
            lines.collect::<Vec<_>>().join("\n") + "\n"
        };
        for (text, expected) in [
            (BUNNY.to_owned(), None),
            (CLOUDFLARE.to_owned(), None),
            (format!("{BUNNY}{CLOUDFLARE}"), None),
            (format!("{BUNNY}{BUNNY}"), Some("two [[host]] have the name `bn`")),
            (BUNNY.replace("\"bn\"", "\"local\""), Some("a store has this name")),
            (without(BUNNY, "name"), Some("number 1 needs a `name`")),
            (without(BUNNY, "library"), Some("`library` is missing")),
            (without(BUNNY, "api_key"), Some("`api_key_file`")),
            (without(BUNNY, "pull_zone"), Some("`pull_zone` is missing")),
            (without(CLOUDFLARE, "token"), Some("`token` is missing")),
            (without(CLOUDFLARE, "kind"), Some("\"cloudflare\" and \"bunny\"")),
            (BUNNY.replace("vz-1", "https://vz-1"), Some("without https://")),
            (format!("{BUNNY}playback_for = \"30s\""), Some("1m to 24h")),
            (format!("{BUNNY}hand_over = \"pull\""), Some("needs the address")),
            (format!("{BUNNY}hand_over = \"pull\"\npull_from = \"https://v.example\""), None),
            (format!("public_url = \"https://v.example\"\n{BUNNY}hand_over = \"pull\""), None),
            (format!("{BUNNY}hand_over = \"throw\""), Some("hand_over")),
            (format!("{BUNNY}playback_endpoint = \"http://127.0.0.1:7701\""), None),
            (format!("{BUNNY}playback_endpoint = \"127.0.0.1:7701\""), Some("without a path")),
            (format!("{BUNNY}playback_endpoint = \"https://a.example/b\""), Some("without a path")),
            (format!("{CLOUDFLARE}playback_endpoint = \"https://a.example;x\""), Some("without a path")),
            (format!("{BUNNY}api_key_file = \"nowhere/key\""), Some("nowhere/key")),
            (format!("{CLOUDFLARE}signing_key_id = \"k\""), Some("belong together")),
            (format!("{BUNNY}acount = \"a\""), Some("acount")),
            (format!("{BUNNY}[[pipeline]]\nname = \"p\"\npublish = [\"bn\"]"), None),
            (
                format!("{BUNNY}[[pipeline]]\nname = \"p\"\npublish = [\"cf\"]"),
                Some("no [[host]] of this name"),
            ),
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
    fn a_key_is_read_from_its_file_and_shown_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "hushed\n").unwrap();
        let text = BUNNY.replace("api_key = \"hushed\"", &format!("api_key_file = \"{}\"", path.display()));
        let mut config = checked(&text).unwrap();
        assert_eq!(config.host[0].api_key, Key("hushed".to_owned()));
        assert!(!format!("{config:?}").contains("hushed"));
        config.host[0].hide();
        assert!(!toml::to_string(&config).unwrap().contains("hushed"));
    }
}
