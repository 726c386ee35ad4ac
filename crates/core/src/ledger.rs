//! The ledger: what exists outside, from before it exists until it is proven gone.

use serde::{Deserialize, Serialize};

use crate::limits::{LEDGER_BACKOFF_FIRST_MS, LEDGER_BACKOFF_MAX_MS};

/// Where a thing outside is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It may come to exist at any moment.
    Intended,
    /// It exists and is wanted.
    Present,
    /// It is not wanted and may exist.
    ToDelete,
    /// A look of its own has shown that it is not there.
    Gone,
}

/// What an object is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The file that somebody brought in.
    Source,
    /// The last bytes of a source, sent before the others, until all are there.
    Tail,
    /// A source rewritten into a seekable MP4, for the time of encoding.
    Work,
    /// The headers and byte ranges of a source that is served as it is.
    Sidecar,
    /// The segments of one rendition of one chunk.
    Chunk,
    /// Segments of sound that are finished while the rest is encoded.
    AudioPart,
    /// A whole rendition: one hybrid MP4.
    Rendition,
    /// A rendition copied into WebM.
    Webm,
    /// A still picture.
    Poster,
    /// The words of a video in one language.
    Caption,
    /// A sheet of the storyboard.
    Sheet,
    /// A short moving picture for cards.
    Preview,
    /// A video at a host.
    Publication,
    /// What was found without a row, and goes.
    Unknown,
}

impl Kind {
    /// What lies in stores as long as its video: the rest goes when the work is done, and is never copied.
    pub const LASTING: [Self; 8] = [
        Self::Source,
        Self::Sidecar,
        Self::Rendition,
        Self::Webm,
        Self::Poster,
        Self::Caption,
        Self::Sheet,
        Self::Preview,
    ];

    /// The word for this kind in keys, configuration and API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Tail => "tail",
            Self::Work => "work",
            Self::Sidecar => "sidecar",
            Self::Chunk => "chunk",
            Self::AudioPart => "audio_part",
            Self::Rendition => "rendition",
            Self::Webm => "webm",
            Self::Poster => "poster",
            Self::Caption => "caption",
            Self::Sheet => "sheet",
            Self::Preview => "preview",
            Self::Publication => "publication",
            Self::Unknown => "unknown",
        }
    }
}

/// What happens to a thing outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// It was made and checked.
    Made,
    /// Nobody wants it any more.
    Unwanted,
    /// It was deleted, and a second look did not find it.
    ProvenGone,
    /// It was there again after it had been proven gone.
    SeenAgain,
}

impl State {
    /// The state after `happening`; `None` when that cannot happen to a thing in this state.
    pub const fn after(self, happening: Happening) -> Option<Self> {
        match (self, happening) {
            (Self::Intended, Happening::Made) => Some(Self::Present),
            (Self::Intended | Self::Present | Self::ToDelete, Happening::Unwanted)
            | (Self::Gone, Happening::SeenAgain) => Some(Self::ToDelete),
            (Self::ToDelete, Happening::ProvenGone) => Some(Self::Gone),
            (Self::Present | Self::ToDelete | Self::Gone, Happening::Made)
            | (Self::Gone, Happening::Unwanted)
            | (Self::Intended | Self::Present | Self::Gone, Happening::ProvenGone)
            | (Self::Intended | Self::Present | Self::ToDelete, Happening::SeenAgain) => None,
        }
    }
}

/// How many milliseconds to wait before the next try, after `attempts` failed ones.
pub fn backoff_ms(attempts: u32) -> i64 {
    let doubled = LEDGER_BACKOFF_FIRST_MS.checked_shl(attempts.saturating_sub(1).min(30));
    doubled.unwrap_or(LEDGER_BACKOFF_MAX_MS).min(LEDGER_BACKOFF_MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_never_forgotten_while_it_may_exist() {
        for state in [State::Intended, State::Present] {
            assert_eq!(state.after(Happening::ProvenGone), None, "{state:?}");
            assert_eq!(state.after(Happening::Unwanted), Some(State::ToDelete));
        }
        assert_eq!(State::ToDelete.after(Happening::Made), None, "a late writer changes nothing");
        assert_eq!(State::ToDelete.after(Happening::ProvenGone), Some(State::Gone));
        assert_eq!(State::Gone.after(Happening::SeenAgain), Some(State::ToDelete));
    }

    #[test]
    fn waits_double_up_to_a_bound() {
        assert_eq!(backoff_ms(1), LEDGER_BACKOFF_FIRST_MS);
        assert_eq!(backoff_ms(3), 4 * LEDGER_BACKOFF_FIRST_MS);
        assert_eq!(backoff_ms(u32::MAX), LEDGER_BACKOFF_MAX_MS);
    }
}
