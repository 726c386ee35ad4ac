//! Codecs that encoders here can make: what each is called, by whom, and how it stands in a file.

use serde::{Deserialize, Serialize};

/// Codec of a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// H.264 by libx264: what everything plays.
    #[default]
    H264,
    /// VP9 by libvpx.
    Vp9,
    /// AV1 by SVT-AV1.
    Av1,
    /// HEVC by x265: only for what is brighter than usual screens, where some devices know nothing else.
    Hevc,
}

impl Codec {
    /// The word in names of renditions and in pipelines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
            Self::Hevc => "hevc",
        }
    }

    /// The codec that a rendition has, as RFC 6381 writes it.
    pub fn of(rfc6381: &str) -> Option<Self> {
        [Self::H264, Self::Vp9, Self::Av1, Self::Hevc]
            .into_iter()
            .find(|codec| rfc6381.as_bytes().starts_with(&codec.sample_entry()))
    }

    /// The sound that is heard with it: what plays VP9 or AV1 plays Opus, and WebM knows nothing else; what plays HEVC may
    /// know nothing but AAC.
    pub const fn sound(self) -> SoundCodec {
        match self {
            Self::H264 | Self::Hevc => SoundCodec::Aac,
            Self::Vp9 | Self::Av1 => SoundCodec::Opus,
        }
    }

    /// The encoder's name in ffmpeg.
    pub const fn encoder(self) -> &'static str {
        match self {
            Self::H264 => "libx264",
            Self::Vp9 => "libvpx-vp9",
            Self::Av1 => "libsvtav1",
            Self::Hevc => "libx265",
        }
    }

    /// The type of its sample entry (ISO/IEC 14496-15, and the ISO bindings of VP9 and AV1).
    pub const fn sample_entry(self) -> [u8; 4] {
        match self {
            Self::H264 => *b"avc1",
            Self::Vp9 => *b"vp09",
            Self::Av1 => *b"av01",
            Self::Hevc => *b"hvc1",
        }
    }

    /// The shortest side that its encoder takes, in pixels.
    pub const fn side_min(self) -> u32 {
        match self {
            Self::H264 | Self::Vp9 => 2,
            Self::Av1 | Self::Hevc => 64,
        }
    }

    /// How many pictures later than it is decoded one may be shown. x264 and x265 use pictures that are shown later as
    /// references, two deep whatever the preset; VP9 and AV1 put such pictures into the sample of the next shown one
    /// (a superframe, a temporal unit), so samples are shown in the order of the file.
    pub const fn reorder_frames(self) -> u32 {
        match self {
            Self::H264 | Self::Hevc => 2,
            Self::Vp9 | Self::Av1 => 0,
        }
    }
}

/// Codec of a sound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SoundCodec {
    /// AAC-LC by ffmpeg.
    #[default]
    Aac,
    /// Opus by libopus.
    Opus,
}

impl SoundCodec {
    /// The word in names of renditions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aac => "aac",
            Self::Opus => "opus",
        }
    }

    /// The encoder's name in ffmpeg.
    pub const fn encoder(self) -> &'static str {
        match self {
            Self::Aac => "aac",
            Self::Opus => "libopus",
        }
    }

    /// The codec as RFC 6381 writes it.
    pub const fn rfc6381(self) -> &'static str {
        match self {
            Self::Aac => "mp4a.40.2",
            Self::Opus => "opus",
        }
    }

    /// Samples that its encoder puts before the first one (`transcode.md` 7.7): what ffmpeg's AAC has as a whole frame, and
    /// what libopus needs to look ahead at 48 kHz, which its setup also says (`PreSkip`).
    pub const fn priming(self) -> u64 {
        match self {
            Self::Aac => 1_024,
            Self::Opus => 312,
        }
    }

    /// Is it what every sound is made in?
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub(crate) const fn is_usual(&self) -> bool {
        matches!(self, Self::Aac)
    }
}
