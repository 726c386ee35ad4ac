//! Why a source cannot be used: a typed reason with a stable code, a sentence and what to do about it.

/// A source that matinee will not encode, with the reason; final, never retried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are no audio or video file.
    #[error("This file is not a video or audio file that can be read.")]
    NotMedia,
    /// The file ends before the part that describes it, or holds no picture and no sound at all.
    #[error("This file is incomplete: its index or all of its content is missing.")]
    Truncated,
    /// The file is media, but of a kind that is not supported.
    #[error("This kind of file is not supported: {what}.")]
    UnsupportedMedia {
        /// What was found, in our words.
        what: &'static str,
    },
    /// The picture has too many pixels.
    #[error(
        "The picture is {width}x{height}, which is larger than the limit of 8192x4320 and 40 megapixels."
    )]
    TooLarge {
        /// Coded width in pixels.
        width: u32,
        /// Coded height in pixels.
        height: u32,
    },
    /// The file holds too many streams.
    #[error("The file holds {streams} streams; the limit is 64.")]
    TooManyStreams {
        /// The number found.
        streams: u64,
    },
    /// Encoding would take more than the budget allows.
    #[error("This video would give {frames} frames; the budget is {budget}.")]
    OverBudget {
        /// Expected frames of the output.
        frames: u64,
        /// Frames that are allowed.
        budget: u64,
    },
    /// No machine here may use so much memory.
    #[error(
        "Encoding this video needs about {needs_mb} MB of memory; the largest machine here may use {has_mb} MB."
    )]
    NeedsMemory {
        /// Megabytes of one job.
        needs_mb: u64,
        /// Megabytes that a machine may use.
        has_mb: u64,
    },
    /// Not one picture, or not one sample of its only sound, can be decoded.
    #[error("Nothing of this file can be decoded: its content is damaged or encrypted.")]
    Undecodable,
    /// Something of it cannot be decoded, and its pipeline is strict.
    #[error("This file is damaged: not all of it can be decoded, and its pipeline accepts no damage.")]
    Damaged,
    /// The installed ffmpeg cannot do what this source needs.
    #[error("The installed ffmpeg lacks `{name}`, which this video needs.")]
    ToolMissing {
        /// The encoder or filter.
        name: &'static str,
    },
}

impl Refusal {
    /// The stable code of the reason, as problem documents and events show it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotMedia => "not_media",
            Self::Truncated => "truncated",
            Self::UnsupportedMedia { .. } => "unsupported_media",
            Self::TooLarge { .. } => "too_large",
            Self::TooManyStreams { .. } => "too_many_streams",
            Self::OverBudget { .. } => "over_budget",
            Self::NeedsMemory { .. } => "needs_memory",
            Self::Undecodable => "undecodable",
            Self::Damaged => "damaged_source",
            Self::ToolMissing { .. } => "tool_missing",
        }
    }

    /// One sentence that says what its owner can do.
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::NotMedia => "Upload the video itself, not an archive, a playlist or a web page.",
            Self::Truncated => "Export or copy the file again completely, then upload it again.",
            Self::UnsupportedMedia { .. } => "Convert it to MP4 with H.264 and AAC, then upload it again.",
            Self::TooLarge { .. } => "Scale the picture down to at most 8192x4320, then upload it again.",
            Self::TooManyStreams { .. } => "Keep only the streams you need, then upload the file again.",
            Self::OverBudget { .. } => "Cut the video, or repair its time stamps, then upload it again.",
            Self::NeedsMemory { .. } => {
                "Scale the picture down, or ask the operator to raise `workers.memory_bytes` or to add a larger machine."
            }
            Self::Undecodable => "Export or copy the file again, without protection, then upload it again.",
            Self::Damaged => {
                "Upload the file again from its origin, or use a pipeline without `strict`, which conceals the damage."
            }
            Self::ToolMissing { .. } => "Ask the operator to run `matinee doctor` and install a full ffmpeg.",
        }
    }

    /// The reason why a decoder opened no picture at all, from the text that ffprobe wrote although it succeeded.
    pub fn too_large(text: &str) -> Option<Self> {
        let before = text.split(" exceeds specified max pixel count").next()?;
        let (width, height) = before.rsplit_once("Picture size ")?.1.split_once('x')?;
        Some(Self::TooLarge { width: width.parse().ok()?, height: height.parse().ok()? })
    }

    /// The reason behind a failed ffprobe run, from the text that it wrote to stderr.
    pub fn from_ffprobe_stderr(text: &str) -> Self {
        if text.contains("moov atom not found") || text.contains("End of file") {
            Self::Truncated
        } else if text.contains("max_streams") {
            Self::TooManyStreams { streams: u64::from(crate::limits::SOURCE_STREAMS_MAX) + 1 }
        } else {
            Self::NotMedia
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_index_is_truncation_and_noise_is_not_media() {
        let check = |text: &str, code: &str| assert_eq!(Refusal::from_ffprobe_stderr(text).code(), code);
        check("[mov] moov atom not found\nin: Invalid data found", "truncated");
        check("in: Invalid data found when processing input", "not_media");
        let size = "[png @ 0x5] [IMGUTILS @ 0x7] Picture size 16000x16000 exceeds specified max pixel count 41943040";
        assert_eq!(Refusal::too_large(size), Some(Refusal::TooLarge { width: 16_000, height: 16_000 }));
        for other in [
            "",
            "Picture size",
            "16000x16000 exceeds specified max pixel count",
            "Picture size axb exceeds specified max pixel count",
        ] {
            assert_eq!(Refusal::too_large(other), None);
        }
        check("Number of streams exceeds max_streams parameter (64)", "too_many_streams");
    }
}
