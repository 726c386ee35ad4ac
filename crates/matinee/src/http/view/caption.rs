//! Captions as JSON.

use matinee_core::caption::State;
use matinee_core::language;
use serde::Serialize;
use utoipa::ToSchema;

use super::Reason;
use crate::flow::caption::Caption as Stored;

/// The words of a video in one language.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Caption {
    /// Its name: `s1`, `s2` and so on for those of the source, the language for those that somebody added.
    id: String,
    /// The language as a tag such as `en`; null when it is unknown.
    language: Option<String>,
    /// What a person reads; null when nothing is known.
    label: Option<String>,
    /// Only what everybody must read, such as signs and foreign speech.
    forced: bool,
    /// Somebody added it; else it is of the source.
    added: bool,
    /// `waiting`, `ready`, `failed`, or `unsupported` for subtitles that are pictures.
    state: &'static str,
    /// Why it is not there.
    reason: Option<Reason>,
}

impl Caption {
    /// What a reader sees of a caption.
    pub(crate) fn of(stored: &Stored) -> Self {
        let said = |text: &String| !text.is_empty();
        Self {
            id: stored.name.clone(),
            language: Some(stored.language.clone()).filter(said),
            label: Some(language::label(&stored.title, &stored.language)).filter(said),
            forced: stored.forced,
            added: stored.added,
            state: match stored.state {
                State::Waiting => "waiting",
                State::Ready => "ready",
                State::Failed => "failed",
                State::Unsupported => "unsupported",
            },
            reason: stored.reason.as_ref().map(Reason::from),
        }
    }
}
