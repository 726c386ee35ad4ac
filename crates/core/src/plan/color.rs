//! The colours of a source and of what is made of it.

use serde::{Deserialize, Serialize};

/// Colour description in ffmpeg's words; an empty text means unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Color {
    /// Primaries, such as `bt709`.
    pub primaries: String,
    /// Transfer characteristics, such as `smpte2084` for PQ.
    pub transfer: String,
    /// Matrix, such as `bt709`.
    pub matrix: String,
}

/// What the colours of a source are, where its file does not say it in the words that filters need.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entering {
    /// What the file says.
    #[default]
    AsTold,
    /// Red, green and blue; they become BT.709.
    Rgb,
    /// This, though the file says only a part of it; it is tone mapped.
    TakenAs(Color),
}

impl Entering {
    /// Whether there is nothing to add to what the file says.
    pub const fn is_as_told(&self) -> bool {
        matches!(self, Self::AsTold)
    }
}
