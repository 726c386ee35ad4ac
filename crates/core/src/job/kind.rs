//! The kinds of jobs, and what is true of each.

use serde::{Deserialize, Serialize};

/// Every kind of job of this release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Fetches the source from its address.
    Fetch,
    /// Joins the parts of an upload to its source.
    Join,
    /// Brings in an original from outside.
    Take,
    /// Looks at the source and makes the plan.
    Probe,
    /// Rewrites a source that cannot be seeked.
    Remux,
    /// Encodes one audio track as a whole.
    Audio,
    /// Encodes one chunk in all renditions.
    Chunk,
    /// Makes the poster.
    Poster,
    /// Converts the subtitles of the source.
    Subtitles,
    /// Makes the sheets for finding a place, and the preview.
    Storyboard,
    /// Joins the chunks of one rendition into its file.
    Assemble,
    /// Copies a file of VP9 and Opus into WebM.
    Webm,
    /// Declares the video ready.
    Finish,
    /// Calls an address that a pipeline names.
    Step,
    /// Makes the video at a host and sends it there.
    Publish,
    /// Empties an app or a collection that is being deleted.
    Erase,
    /// Copies an object to a store, or back from one.
    Copy,
}

impl Kind {
    /// All kinds, in the order in which a video needs them.
    pub const ALL: [Self; 17] = [
        Self::Fetch,
        Self::Join,
        Self::Take,
        Self::Probe,
        Self::Remux,
        Self::Audio,
        Self::Chunk,
        Self::Poster,
        Self::Subtitles,
        Self::Assemble,
        Self::Storyboard,
        Self::Webm,
        Self::Finish,
        Self::Step,
        Self::Publish,
        Self::Erase,
        Self::Copy,
    ];

    /// The word for this kind in the database, the API and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Join => "join",
            Self::Take => "take",
            Self::Probe => "probe",
            Self::Remux => "remux",
            Self::Audio => "audio",
            Self::Chunk => "chunk",
            Self::Poster => "poster",
            Self::Subtitles => "subtitles",
            Self::Storyboard => "storyboard",
            Self::Assemble => "assemble",
            Self::Webm => "webm",
            Self::Finish => "finish",
            Self::Step => "step",
            Self::Publish => "publish",
            Self::Erase => "erase",
            Self::Copy => "copy",
        }
    }

    /// Can a runner do it: ffmpeg decodes one file, and what it makes proves itself? What only copies is sooner done where the
    /// bytes are.
    pub const fn is_for_runners(self) -> bool {
        matches!(self, Self::Audio | Self::Chunk | Self::Poster | Self::Storyboard)
    }

    /// Does it run ffmpeg or ffprobe?
    pub const fn encodes(self) -> bool {
        match self {
            Self::Probe
            | Self::Remux
            | Self::Audio
            | Self::Chunk
            | Self::Poster
            | Self::Subtitles
            | Self::Storyboard
            | Self::Webm => true,
            Self::Fetch
            | Self::Join
            | Self::Take
            | Self::Assemble
            | Self::Finish
            | Self::Step
            | Self::Publish
            | Self::Erase
            | Self::Copy => false,
        }
    }

    /// Does it write so little that it goes on when the disk is full? What makes room must.
    pub const fn writes_little(self) -> bool {
        matches!(self, Self::Probe | Self::Finish | Self::Step | Self::Publish | Self::Erase | Self::Copy)
    }

    /// Is it worth to let it come to its end when the server stops? What moves bytes goes on where it was anyway.
    pub const fn may_finish(self) -> bool {
        !matches!(self, Self::Fetch | Self::Join | Self::Take | Self::Publish | Self::Erase | Self::Copy)
    }

    /// Can its work take the worker down? What only moves bytes cannot, so a lost lease is a restart and nothing worse.
    pub const fn is_risky(self) -> bool {
        !matches!(self, Self::Fetch | Self::Step | Self::Publish | Self::Copy)
    }
}
