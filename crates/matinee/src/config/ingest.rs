//! The sections about how bytes come in: `[ingest]` and `[zoom]`.

use std::fmt;
use std::path::PathBuf;

use matinee_core::{limits, pipeline};
use matinee_io::spool::Direct;
use serde::{Deserialize, Serialize, Serializer};

use super::{BadConfig, Config, Span};

/// How bytes are taken (disk, memory and patience), and what the server fetches itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Ingest {
    /// `auto`: large uploads pass the page cache by where the file system can; `never`: they stay in it for an encoder.
    pub(crate) direct: Direct,
    /// Buffers of all uploads together, in bytes; an upload without a buffer waits.
    pub(crate) memory_bytes: usize,
    /// Uploads are refused with 507 when less than this would be left on the disk, in bytes.
    pub(crate) keep_free_bytes: u64,
    /// A body without a byte for so long is ended; what arrived is kept.
    pub(crate) idle: Span,
    /// A body that is slower than this, in bytes a second over `slow_window`, is ended; what arrived is kept.
    pub(crate) slow_bytes_per_s: u64,
    /// See `slow_bytes_per_s`.
    pub(crate) slow_window: Span,
    /// Hosts inside that may be fetched from, with a port or with the usual ones: `files.lan`, `10.0.0.5:9000`.
    pub(crate) allow_hosts: Vec<String>,
    /// Ports of public hosts besides 80 and 443.
    pub(crate) allow_ports: Vec<u16>,
    /// A file with certificates (PEM) of authorities that are trusted besides the public ones.
    pub(crate) authorities: Option<PathBuf>,
    /// A source that brings nothing is tried again for so long.
    pub(crate) patience: Span,
    /// Files that are fetched at the same time.
    pub(crate) fetches: u32,
}

/// Recordings of Zoom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Zoom {
    /// The secret token of the app's event subscription; without it `/v1/ingest/zoom` is not there.
    pub(crate) secret_token: Secret,
    /// The account, client and secret of a Server-to-Server OAuth app: for fresh links when those of an event are too old.
    pub(crate) account_id: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: Secret,
    /// Where access is asked for.
    pub(crate) oauth_url: String,
    /// Where recordings are asked for.
    pub(crate) api_url: String,
    /// How old a signed event may be: Zoom repeats it for 85 minutes.
    pub(crate) window: Span,
    /// The views in the order of preference; the first one that a meeting has is taken.
    pub(crate) take: Vec<String>,
    /// Takes every view of `take` that a meeting has, each as a video of its own.
    pub(crate) every: bool,
    /// The pipeline by which its videos are made.
    pub(crate) pipeline: String,
}

/// A text that is never shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    /// A text that is not to be shown.
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text itself.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Is there none?
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "none" } else { "***" })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { "***" })
    }
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            direct: Direct::Auto,
            memory_bytes: limits::INGEST_MEMORY_BYTES,
            keep_free_bytes: limits::FREE_BYTES_MIN,
            idle: Span { ms: limits::BODY_IDLE_MS.cast_signed() },
            slow_bytes_per_s: limits::PACE_BYTES_PER_S_MIN,
            slow_window: Span { ms: limits::PACE_WINDOW_MS.cast_signed() },
            allow_hosts: Vec::new(),
            allow_ports: Vec::new(),
            authorities: None,
            patience: Span { ms: 86_400_000 },
            fetches: 4,
        }
    }
}

impl Default for Zoom {
    fn default() -> Self {
        let take = [
            "shared_screen_with_speaker_view",
            "shared_screen_with_speaker_view(CC)",
            "shared_screen_with_gallery_view",
            "speaker_view",
            "active_speaker",
            "gallery_view",
            "shared_screen",
            "audio_only",
        ];
        Self {
            secret_token: Secret::default(),
            account_id: String::new(),
            client_id: String::new(),
            client_secret: Secret::default(),
            oauth_url: "https://zoom.us/oauth/token".to_owned(),
            api_url: "https://api.zoom.us/v2".to_owned(),
            window: Span { ms: 5_400_000 },
            take: take.map(str::to_owned).to_vec(),
            every: false,
            pipeline: pipeline::DEFAULT.to_owned(),
        }
    }
}

impl Zoom {
    /// Can fresh links be asked for?
    pub(crate) const fn has_oauth(&self) -> bool {
        !self.account_id.is_empty() && !self.client_id.is_empty() && !self.client_secret.is_empty()
    }
}

impl Config {
    /// The rules by which [`matinee_io::fetch::Fetch`] goes out.
    pub(crate) fn fetch(&self) -> Result<matinee_io::fetch::Config, BadConfig> {
        let authorities = self.ingest.authorities.as_ref();
        let authorities_pem = authorities.map(std::fs::read_to_string).transpose().map_err(|error| {
            BadConfig(format!("the file that `ingest.authorities` names cannot be read: {error}"))
        })?;
        let rules = matinee_io::fetch::Config {
            allow_hosts: self.ingest.allow_hosts.clone(),
            allow_ports: self.ingest.allow_ports.clone(),
            authorities_pem: authorities_pem.unwrap_or_default(),
        };
        matinee_io::fetch::Fetch::new(&rules)
            .map_err(|error| BadConfig(format!("the section [ingest] cannot be used: {error}")))?;
        Ok(rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let zoom = Zoom { secret_token: Secret("hidden".to_owned()), ..Zoom::default() };
        let shown = format!("{zoom:?}{}", serde_json::to_string(&zoom).unwrap());
        assert!(!shown.contains("hidden") && shown.contains("***"), "{shown}");
        let read: Secret = serde_json::from_value("hidden".into()).unwrap();
        assert_eq!(read.reveal(), "hidden");
    }

    #[test]
    fn a_wrong_host_is_told() {
        let wrong = |host: &str| {
            let ingest = Ingest { allow_hosts: vec![host.to_owned()], ..Ingest::default() };
            Config { ingest, ..Config::default() }.fetch().map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(wrong("files.lan"), Ok(()));
        assert!(wrong("http://files.lan").unwrap_err().contains("`http://files.lan` is no host"));
    }
}
