//! What an index says: the tracks of a file and the place, time and size of every sample.

use bytes::Bytes;

use super::error::MediaError;
use super::samples::Samples;

/// The index of one MP4 file.
#[derive(Debug, Clone)]
pub struct Index {
    /// Length of the file in bytes.
    pub size: u64,
    /// True when samples come from `moof` boxes instead of the tables in `moov`.
    pub fragmented: bool,
    /// True when `moov` stands before all media data.
    pub moov_first: bool,
    /// True when a fragmented file ends inside a box; the samples before that place are here.
    pub cut: bool,
    /// Every track, in the order of the file.
    pub tracks: Vec<Track>,
}

/// One track and its samples.
#[derive(Debug, Clone)]
pub struct Track {
    /// The `track_ID`.
    pub id: u32,
    /// True when the track is on by default (`tkhd` flag 1).
    pub enabled: bool,
    /// Picture, sound or neither, with the sizes of the sample entry.
    pub kind: TrackKind,
    /// Ticks per second of all times of this track; never 0.
    pub timescale: u32,
    /// The codec as RFC 6381 writes it, for example `avc1.64001F`; the bare sample entry type when unknown.
    pub codec: String,
    /// What the codec's own headers say.
    pub coding: Coding,
    /// The first sample entry of `stsd`, the whole box.
    pub sample_entry: Bytes,
    /// How many entries `stsd` has; more than 1 means that the codec setup changes within the track.
    pub sample_entries: u32,
    /// The edit list.
    pub edit: Edit,
    /// Clockwise rotation for display: 0, 90, 180 or 270.
    pub rotation_degrees: u16,
    /// ISO 639-2 code of three lower-case letters, `und` when not said.
    pub language: String,
    /// True when the samples are encrypted (`encv`, `enca` or a `sinf` box).
    pub encrypted: bool,
    /// Every sample; empty for a track that is neither picture nor sound.
    pub samples: Samples,
}

/// Picture, sound or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackKind {
    /// Pictures.
    Video {
        /// Width of the sample entry in pixels, before aspect ratio and rotation.
        width: u16,
        /// Height of the sample entry in pixels, before aspect ratio and rotation.
        height: u16,
        /// Sample aspect ratio, horizontal and vertical, from `pasp` or else from the codec; (1, 1) when not said.
        sar: (u32, u32),
    },
    /// Sound.
    Audio {
        /// Number of channels, from the codec's setup if that says it.
        channels: u16,
        /// Samples per second, from the codec's setup if that says it.
        rate_hz: u32,
    },
    /// Text, timecode, chapters and everything else.
    Other,
}

/// What the codec's own setup says, where decisions need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coding {
    /// H.264 with its first sequence parameter set in the sample entry.
    H264(H264),
    /// AAC of any kind.
    Aac {
        /// The audio object type (ISO/IEC 14496-3 table 1.17): 2 is AAC-LC, 5 is HE-AAC.
        object_type: u8,
        /// Samples per second of the core coder.
        rate_hz: u32,
        /// Channels; 0 when they are described by a program configuration element.
        channels: u8,
    },
    /// Opus.
    Opus {
        /// Samples at 48 kHz that come out of the decoder before the first that was put in.
        pre_skip: u16,
    },
    /// Another codec, or a setup that could not be read.
    Other,
}

/// Facts of an H.264 sequence parameter set (ITU-T H.264 section 7.3.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct H264 {
    /// `profile_idc`: 66 Baseline, 77 Main, 100 High.
    pub profile: u8,
    /// The byte of constraint flags.
    pub constraints: u8,
    /// `level_idc`, ten times the level.
    pub level: u8,
    /// `chroma_format_idc`: 1 is 4:2:0.
    pub chroma_format: u8,
    /// The larger of luma and chroma bit depth.
    pub bit_depth: u8,
    /// True when only whole frames are coded (`frame_mbs_only_flag`).
    pub progressive: bool,
    /// Sample aspect ratio; (1, 1) when not said.
    pub sar: (u32, u32),
    /// Width in pixels after cropping.
    pub width: u32,
    /// Height in pixels after cropping.
    pub height: u32,
}

/// Which part of a track is shown, and when (`elst`, ISO/IEC 14496-12 section 8.6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// No edit list, or one that only delays and trims.
    Plain {
        /// Empty time before the track begins, in ticks of the track.
        lead_ticks: u64,
        /// The composition time where showing begins, in ticks of the track.
        media_time: u64,
        /// How long it is shown, in ticks of the track; 0 is to the end.
        length_ticks: u64,
    },
    /// Several parts, another speed or anything else that a plain edit cannot say.
    Unsupported,
}

impl Edit {
    /// The edit of a track without an edit list.
    pub const NONE: Self = Self::Plain { lead_ticks: 0, media_time: 0, length_ticks: 0 };
}

impl Track {
    /// Says whether every sample lies inside a file of `size` bytes, by the first that does not.
    pub fn check(&self, size: u64) -> Result<(), MediaError> {
        match (0..).zip(self.samples.iter()).find(|(_, sample)| sample.end() > size) {
            None => Ok(()),
            Some((number, sample)) => Err(MediaError::SampleOutside {
                track: self.id,
                sample: number,
                needs: sample.end(),
                has: size,
            }),
        }
    }
}

impl Index {
    /// Says whether every sample of every track lies inside the file, by the first that does not.
    pub fn check(&self) -> Result<(), MediaError> {
        self.tracks.iter().try_for_each(|track| track.check(self.size))
    }
}
