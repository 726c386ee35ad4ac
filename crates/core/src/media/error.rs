//! What can be wrong with a media file, in sentences that a person understands.

use std::fmt;

/// The four-character type of a box (ISO/IEC 14496-12 section 4.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Why a file has no usable index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// The first bytes are not those of any MP4 or `QuickTime` file.
    #[error("this is not an MP4 file")]
    NotMp4,
    /// Every box was looked at and none was the index.
    #[error("the file has no index (moov box); its writing or its upload was probably not finished")]
    NoMoov,
    /// The file ends in the middle of something.
    #[error("the file is cut off: its {within} box goes on to byte {needs}, but the file ends at byte {has}")]
    Truncated {
        /// The box that is cut.
        within: FourCc,
        /// The position where the box would end, in bytes.
        needs: u64,
        /// The length of the file, in bytes.
        has: u64,
    },
    /// A size or a count is over a limit of ours.
    #[error("{what} is {value}, more than the limit of {limit}")]
    TooLarge {
        /// What was measured, with its unit.
        what: &'static str,
        /// The value found.
        value: u64,
        /// The largest value accepted.
        limit: u64,
    },
    /// A box contradicts the standard, its own length or another box.
    #[error("the {within} box is damaged: {why}")]
    Malformed {
        /// The box.
        within: FourCc,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A box that must be there is not.
    #[error("the {within} box lacks its {wanted} box")]
    Missing {
        /// The box that was searched.
        within: FourCc,
        /// The box that was wanted.
        wanted: FourCc,
    },
    /// The file is correct but uses something we do not handle.
    #[error("not supported: {what}")]
    Unsupported {
        /// What is not supported.
        what: &'static str,
    },
    /// The index points at bytes that the file does not have.
    #[error("sample {sample} of track {track} ends at byte {needs}, but the file ends at byte {has}")]
    SampleOutside {
        /// The identifier of the track.
        track: u32,
        /// The number of the sample, from 0.
        sample: u64,
        /// The position where the sample would end, in bytes.
        needs: u64,
        /// The length of the file, in bytes.
        has: u64,
    },
}

impl MediaError {
    /// The error for a box that contradicts itself.
    pub const fn malformed(within: [u8; 4], why: &'static str) -> Self {
        Self::Malformed { within: FourCc(within), why }
    }

    /// The error for a box without a part that it must have.
    pub const fn missing(within: [u8; 4], wanted: [u8; 4]) -> Self {
        Self::Missing { within: FourCc(within), wanted: FourCc(wanted) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sentences_that_name_the_box() {
        let cut = MediaError::Truncated { within: FourCc(*b"mdat"), needs: 100, has: 40 };
        assert_eq!(
            cut.to_string(),
            "the file is cut off: its mdat box goes on to byte 100, but the file ends at byte 40"
        );
        assert_eq!(MediaError::malformed(*b"\xa9nam", "x").to_string(), "the \\xa9nam box is damaged: x");
    }
}
