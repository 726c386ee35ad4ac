//! `[archive]` and `[scrub]`: what becomes of copies that were made.

use matinee_core::placement::Class;
use matinee_core::replica::limits;
use serde::{Deserialize, Serialize};

use super::{Config, Span};

/// What archives are trusted with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Archive {
    /// Sources leave the data directory so long after their video is ready, when a store of the class `archive` has proven to
    /// have them. Not set: they stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) local_sources: Option<Span>,
}

/// How copies are looked at again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Scrub {
    /// Each copy is read again so often, and every bit compared; `0s` = never by itself.
    pub(crate) every: Span,
    /// At most so many bytes in a second from each store; 0 = no limit.
    pub(crate) max_bytes_per_s: u64,
}

impl Default for Scrub {
    fn default() -> Self {
        Self { every: Span { ms: limits::SCRUB_EVERY_MS }, max_bytes_per_s: limits::SCRUB_BYTES_PER_S }
    }
}

impl Config {
    /// The names of the stores that are archives.
    pub(crate) fn archives(&self) -> Vec<String> {
        let archives = self.store.iter().filter(|store| store.class == Class::Archive);
        archives.map(|store| store.name.clone()).collect()
    }
}
