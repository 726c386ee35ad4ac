//! The words for states in the database; nowhere else are they made or read.

use matinee_core::{
    assembly, caption, inventory, ledger, publication, replica, runner, upload, video, webhook,
};

use super::error::DbError;
use super::value::{Arg, Column, Row};

macro_rules! words {
    ($($kind:path { $($variant:ident $word:literal)* })*) => {$(
        impl Word for $kind {
            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
        impl From<$kind> for Arg {
            fn from(value: $kind) -> Self {
                Self::Text(Some(value.word().to_owned()))
            }
        }
        impl Column for $kind {
            fn read(row: &Row, column: &str) -> Result<Self, DbError> {
                let text: String = row.get(column)?;
                match text.as_str() {
                    $($word => Ok(Self::$variant),)*
                    other => Err(DbError::Never(format!("{column} has the unknown word {other}"))),
                }
            }
        }
    )*};
}

/// A state that has a word in the database.
pub(crate) trait Word: Copy {
    /// The word.
    fn word(self) -> &'static str;
}

/// Several states as a JSON list of their words, for `IN`.
pub(crate) fn list<W: Word>(states: &[W]) -> serde_json::Value {
    states.iter().map(|state| state.word()).collect()
}

words! {
    upload::Way {
        Tus "tus" Resumable "resumable" Form "form" Path "path" Url "url" Zoom "zoom" Bucket "bucket" Direct "direct"
    }
    upload::Phase { Open "open" Finished "finished" Cancelled "cancelled" Expired "expired" Lost "lost" }
    video::State { Processing "processing" Ready "ready" Failed "failed" }
    video::Policy { App "app" Public "public" }
    video::RenditionState { Waiting "waiting" Encoding "encoding" Ready "ready" Failed "failed" }
    caption::State { Waiting "waiting" Ready "ready" Failed "failed" Unsupported "unsupported" }
    video::Medium { Video "video" Audio "audio" }
    runner::State { Invited "invited" Active "active" Draining "draining" Revoked "revoked" }
    webhook::State { Active "active" Paused "paused" Gone "gone" Failing "failing" }
    webhook::Delivery { Waiting "waiting" Delivered "delivered" Failed "failed" }
    assembly::State {
        Uploading "uploading" Executing "executing" Completed "completed" Canceled "canceled" Failed "failed"
    }
    assembly::Notice { Off "off" Waiting "waiting" Delivered "delivered" Failed "failed" }
    ledger::State { Intended "intended" Present "present" ToDelete "to_delete" Gone "gone" }
    replica::State { Intended "intended" Present "present" Suspect "suspect" ToDelete "to_delete" }
    ledger::Kind {
        Source "source" Tail "tail" Work "work" Sidecar "sidecar" Chunk "chunk" AudioPart "audio_part"
        Rendition "rendition" Webm "webm" Poster "poster" Sheet "sheet" Preview "preview"
        Caption "caption" Publication "publication" Unknown "unknown"
    }
    inventory::outside::Sort { Store "store" Host "host" }
    inventory::outside::Thing { Object "object" Upload "upload" Version "version" Video "video" }
    publication::HandOver { Push "push" Pull "pull" }
    publication::Phase {
        Waiting "waiting" Uploading "uploading" Processing "processing" Playable "playable" Ready "ready" Failed "failed"
    }
}

/// The problem that a row names, if it names one.
pub(crate) fn problem(row: &Row, column: &str) -> Result<Option<video::Problem>, DbError> {
    let stored: Option<serde_json::Value> = row.get(column)?;
    let read = stored.map(serde_json::from_value).transpose();
    read.map_err(|error| DbError::Never(format!("{column} holds no problem: {error}")))
}

/// What a row holds as JSON, if it holds something.
pub(crate) fn json<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<Option<T>, DbError> {
    let stored: Option<serde_json::Value> = row.get(column)?;
    let read = stored.map(serde_json::from_value).transpose();
    read.map_err(|error| DbError::Never(format!("{column} cannot be read: {error}")))
}

/// Plain values as they are stored.
pub(crate) fn as_json<T: serde::Serialize>(value: &T) -> serde_json::Value {
    serde_json::to_value(value).expect("because it is made of plain values")
}

/// A problem as it is stored.
pub(crate) fn stored(problem: &video::Problem) -> serde_json::Value {
    serde_json::to_value(problem).expect("because a problem is three texts")
}
