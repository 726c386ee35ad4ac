//! What a fake streams: the file that it was sent, cut at its key frames by our own index. Nothing is decoded or encoded, so
//! only what browsers can play as it is becomes a film.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use matinee_core::language;
use matinee_core::limits::{EARLY_INDEX_BYTES_MAX, EARLY_SAMPLES_MAX};
use matinee_core::manifest::{
    Audio, Bandwidth, Brightness, Form, Kind, Presentation, Segment, Track, Variant, dash, hls,
};
use matinee_core::media::index::{Indexer, Step};
use matinee_core::media::layout::{Layout, LayoutTrack, layout};
use matinee_core::media::rope::Piece;
use matinee_core::media::segment::{Row, virtual_pieces};
use matinee_core::media::{Index, TrackKind};
use matinee_core::plan::Rate;

/// The media type of playlists.
pub(crate) const PLAYLIST: &str = "application/vnd.apple.mpegurl";
/// A segment has at most so many bytes: ten seconds at 50 Mbit/s. It is read as a whole.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// The group of all sounds.
const SOUNDS: &str = "audio";

/// Why there is nothing to be streamed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoFilm {
    /// It is no MP4.
    #[error("It is no video.")]
    NoVideo,
    /// It could not be fetched.
    #[error("It could not be fetched: {0}.")]
    Unfetched(String),
    /// Browsers cannot play it as it is.
    #[error("A stand-in does not encode, and browsers cannot play this file as it is: {0}.")]
    Unfit(String),
}

/// A file that can be streamed.
pub(crate) struct Film {
    file: File,
    layout: Layout,
    presentation: Presentation,
    /// Its length in milliseconds.
    pub(crate) length_ms: u64,
}

impl Film {
    /// Reads the index of a file. Blocks.
    pub(crate) fn open(path: &Path) -> Result<Self, NoFilm> {
        let file = File::open(path).map_err(|_| NoFilm::NoVideo)?;
        let index = index(&file)?;
        let lengths = index
            .tracks
            .iter()
            .map(|track| track.samples.end_dts().saturating_mul(1_000) / u64::from(track.timescale.max(1)));
        let length_ms = lengths.max().ok_or(NoFilm::NoVideo)?;
        let samples = index.tracks.iter().map(|track| track.samples.len()).fold(0, usize::saturating_add);
        if samples > EARLY_SAMPLES_MAX {
            return Err(NoFilm::Unfit("it is longer than ten hours".to_owned()));
        }
        let layout = layout(&index).map_err(|unfit| NoFilm::Unfit(unfit.to_string()))?;
        let presentation = presentation(&layout);
        Ok(Self { file, layout, presentation, length_ms })
    }

    /// The multivariant playlist.
    pub(crate) fn hls(&self) -> String {
        hls::multivariant(&self.presentation)
    }

    /// The DASH manifest.
    pub(crate) fn dash(&self) -> String {
        dash::mpd(&self.presentation)
    }

    /// What the manifests name by these parts of an address, with its media type.
    pub(crate) fn below(&self, parts: &[&str]) -> Option<(&'static str, Vec<u8>)> {
        let [name, rest @ ..] = parts else { return None };
        let pictures = self.presentation.variants.iter().map(|one| (&one.track, Kind::Video, "video/mp4"));
        let sounds = self.presentation.audio.iter().map(|one| (&one.track, Kind::Audio, "audio/mp4"));
        let mut tracks = pictures.chain(sounds).zip(&self.layout.tracks);
        let ((track, kind, mime), laid) = tracks.find(|((track, ..), _)| track.name == **name)?;
        match rest {
            [list] if list.strip_suffix(".m3u8") == Some(kind.folder()) => {
                let target_s = self.presentation.target_duration_s;
                Some((PLAYLIST, hls::playlist(track, kind, Form::Slices, true, target_s).into_bytes()))
            }
            [folder, "init.mp4"] if *folder == kind.folder() => Some((mime, laid.init.to_vec())),
            [folder, segment] if *folder == kind.folder() => {
                let number: usize = segment.strip_suffix(".m4s")?.parse().ok()?;
                Some((mime, self.segment(laid.rows.get(number.checked_sub(1)?)?)?))
            }
            _ => None,
        }
    }

    fn segment(&self, row: &Row) -> Option<Vec<u8>> {
        let from = usize::try_from(row.offset).ok()?;
        let until = from + row.head_len as usize + row.ranges_len as usize;
        let rope = virtual_pieces(row, &self.layout.sidecar.slice(from..until), ()).ok()?;
        if rope.len() > SEGMENT_BYTES_MAX {
            return None;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(rope.len()).ok()?);
        for piece in rope.pieces() {
            match piece {
                Piece::Literal(literal) => bytes.extend_from_slice(literal),
                Piece::Range { offset, len, .. } => {
                    let at = bytes.len();
                    bytes.resize(at + usize::try_from(*len).ok()?, 0);
                    self.file.read_exact_at(&mut bytes[at..], *offset).ok()?;
                }
            }
        }
        Some(bytes)
    }
}

fn index(file: &File) -> Result<Index, NoFilm> {
    let none = |_| NoFilm::NoVideo;
    let mut indexer = Indexer::new(file.metadata().map_err(none)?.len());
    let mut bytes = Vec::new();
    loop {
        match indexer.step(&bytes).map_err(|_| NoFilm::NoVideo)? {
            Step::Done(index) => return Ok(*index),
            Step::Read { len, .. } if len > EARLY_INDEX_BYTES_MAX => {
                return Err(NoFilm::Unfit("its index is too large".to_owned()));
            }
            Step::Read { offset, len } => {
                bytes.resize(usize::try_from(len).map_err(|_| NoFilm::NoVideo)?, 0);
                file.read_exact_at(&mut bytes, offset).map_err(none)?;
            }
        }
    }
}

fn presentation(layout: &Layout) -> Presentation {
    let (mut variants, mut audio) = (Vec::new(), Vec::new());
    for laid in &layout.tracks {
        match laid.kind {
            TrackKind::Video { width, height, .. } => variants.push(Variant {
                track: track(laid, format!("{height}p")),
                width: u32::from(width),
                height: u32::from(height),
                rate: rate(laid),
                brightness: Brightness::Standard,
                audio_group: SOUNDS.to_owned(),
            }),
            TrackKind::Audio { channels, rate_hz } => audio.push(Audio {
                track: track(laid, format!("audio-{}", audio.len() + 1)),
                group: SOUNDS.to_owned(),
                label: String::new(),
                language: language::tag(&laid.language),
                channels: u32::from(channels),
                rate_hz,
                default: !laid.alternative,
            }),
            TrackKind::Other => unreachable!("because a layout has only pictures and sound"),
        }
    }
    let tracks = variants.iter().map(|one| &one.track).chain(audio.iter().map(|one| &one.track));
    let target_duration_s = tracks.map(hls::target_duration_s).max().unwrap_or(1);
    let (ended, texts, i_frames, tiles) = (true, Vec::new(), false, None);
    Presentation { ended, target_duration_s, variants, audio, texts, i_frames, tiles }
}

fn track(laid: &LayoutTrack, name: String) -> Track {
    let segment = |row: &Row| Segment {
        start_ticks: row.start,
        duration_ticks: row.duration,
        offset: 0,
        bytes: row.len,
        key_bytes: u64::from(row.head_len) + u64::from(row.key_len),
    };
    let segments: Vec<Segment> = laid.rows.iter().map(segment).collect();
    let bandwidth = Bandwidth::of(laid.timescale, &segments);
    Track { name, codec: laid.codec.clone(), bandwidth, timescale: laid.timescale, segments }
}

/// Pictures per second over the whole track.
fn rate(laid: &LayoutTrack) -> Rate {
    Rate::grid(Rate::reduced(laid.samples * u64::from(laid.timescale), laid.ticks), None, None)
}
