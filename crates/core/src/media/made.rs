//! What the tests of this module share: made-up sources whose every sample is known.

use bytes::Bytes;
use proptest::prelude::*;

use super::rope::{Piece, Rope};
use super::sample::Sample;
use super::track::{Coding, Edit, H264, Index, Track, TrackKind};

/// The bytes of a rope whose objects are in memory.
pub(super) fn bytes_of<O: Copy + Eq>(rope: &Rope<O>, object: impl Fn(O) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in rope.pieces() {
        match piece {
            Piece::Literal(bytes) => out.extend_from_slice(bytes),
            Piece::Range { object: which, offset, len } => {
                let whole = object(*which);
                let index = |at: u64| usize::try_from(at).unwrap();
                out.extend_from_slice(&whole[index(*offset)..index(offset + len)]);
            }
        }
    }
    out
}

/// A file of `len` bytes in which no two places look alike.
pub(super) fn noise(len: u64) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// A sample entry of `len` bytes that says nothing.
fn sample_entry(kind: [u8; 4], len: u8) -> Bytes {
    let mut bytes = vec![0; usize::from(len)];
    bytes[3] = len;
    bytes[4..8].copy_from_slice(&kind);
    bytes[15] = 1;
    bytes.into()
}

/// A track with harmless headers.
pub(super) fn video_track(samples: impl IntoIterator<Item = Sample>) -> Track {
    let setup = H264 {
        profile: 100,
        constraints: 0,
        level: 31,
        chroma_format: 1,
        bit_depth: 8,
        progressive: true,
        sar: (1, 1),
        width: 640,
        height: 360,
    };
    Track {
        id: 1,
        enabled: true,
        kind: TrackKind::Video { width: 640, height: 360, sar: (1, 1) },
        timescale: 12_800,
        codec: "avc1.64001F".into(),
        coding: Coding::H264(setup),
        sample_entry: sample_entry(*b"avc1", 86),
        sample_entries: 1,
        edit: Edit::NONE,
        rotation_degrees: 0,
        language: "und".into(),
        encrypted: false,
        samples: samples.into_iter().collect(),
    }
}

/// A track of sound with harmless headers.
pub(super) fn audio_track(samples: impl IntoIterator<Item = Sample>) -> Track {
    Track {
        id: 2,
        kind: TrackKind::Audio { channels: 2, rate_hz: 48_000 },
        timescale: 48_000,
        codec: "mp4a.40.2".into(),
        coding: Coding::Aac { object_type: 2, rate_hz: 48_000, channels: 2 },
        sample_entry: sample_entry(*b"mp4a", 36),
        language: "eng".into(),
        ..video_track(samples)
    }
}

/// The index of a file with these tracks.
pub(super) fn index_of(size: u64, tracks: Vec<Track>) -> Index {
    Index { size, fragmented: false, moov_first: true, cut: false, tracks }
}

/// Groups of `gops` pictures; with `reordered`, two of three are shown before one that is decoded earlier.
///
/// `durations` repeat over the pictures as they are shown. Gives the samples without places, and the delay.
pub(super) fn pictures(gops: &[u32], durations: &[u32], reordered: bool) -> (Vec<Sample>, u32) {
    let total: u32 = gops.iter().sum();
    let times: Vec<u64> = (0..=total as usize)
        .scan(0_u64, |at, n| {
            let now = *at;
            *at += u64::from(durations[n % durations.len()]);
            Some(now)
        })
        .collect();
    let delay = if reordered { *durations.iter().max().unwrap() } else { 0 };
    let mut out = Vec::new();
    for gop in gops {
        let first = out.len();
        for place in 0..*gop as usize {
            // Decoded: 0, 3 1 2, 6 4 5, ... and what is left over in the order of the screen.
            let whole = place > 0 && (place - 1) / 3 * 3 + 3 < *gop as usize;
            let shown = match (place + 2) % 3 {
                0 if reordered && whole => place + 2,
                _ if reordered && whole => place - 1,
                _ => place,
            };
            let (dts, pts) = (times[first + place], times[first + shown]);
            let cts = i64::try_from(pts).unwrap() - i64::try_from(dts).unwrap() + i64::from(delay);
            let duration = u32::try_from(times[first + place + 1] - dts).unwrap();
            let (cts, size) = (i32::try_from(cts).unwrap(), 0);
            out.push(Sample { offset: 0, size, dts, cts, duration, sync: place == 0 });
        }
    }
    (out, delay)
}

/// Frames of sound of 1,024 ticks, without places.
pub(super) fn frames(count: usize) -> Vec<Sample> {
    let frame = |n| Sample { offset: 0, size: 0, dts: n * 1_024, cts: 0, duration: 1_024, sync: true };
    (0..count as u64).map(frame).collect()
}

/// Gives the samples of both tracks sizes and places in one file: in turns, now and then with something between them.
pub(super) fn store(video: &mut [Sample], audio: &mut [Sample], sizes: &[u32], turns: &[usize]) -> u64 {
    let mut at = 40;
    let (mut rest_video, mut rest_audio) = (video, audio);
    let mut sizes = sizes.iter().copied().cycle();
    for turn in (0_usize..).zip(turns.iter().cycle()) {
        let (pick, count) = (turn.0 % 2 == 0, *turn.1);
        let rest = if pick { &mut rest_video } else { &mut rest_audio };
        let count_now = count.min(rest.len());
        let (now, later) = std::mem::take(rest).split_at_mut(count_now);
        for sample in now {
            sample.size = sizes.next().unwrap();
            sample.offset = at;
            at += u64::from(sample.size);
        }
        *rest = later;
        at += u64::from(count.is_multiple_of(3)) * 5;
        if rest_video.is_empty() && rest_audio.is_empty() {
            break;
        }
    }
    at
}

/// A source: its index and its bytes.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) index: Index,
    pub(super) bytes: Vec<u8>,
}

/// Sources that can be played as they are: picture, sound, or both.
pub(super) fn sources() -> impl Strategy<Value = Source> {
    let gops = proptest::collection::vec(1_u32..70, 1..9);
    let durations = prop_oneof![Just(vec![512]), proptest::collection::vec(256_u32..900, 2..6)];
    let places = (proptest::collection::vec(1_u32..90, 1..9), proptest::collection::vec(1_usize..40, 1..5));
    let edits = (0_u64..5_000, any::<bool>(), any::<bool>());
    (gops, durations, any::<bool>(), 0_usize..900, places, edits, 0..3).prop_map(
        |(gops, durations, reordered, sound, (sizes, turns), (lead, edited, priming), kinds)| {
            let (mut video, delay) = pictures(&gops, &durations, reordered);
            let mut audio = frames(sound.max(1));
            let size = store(&mut video, &mut audio, &sizes, &turns);
            let mut pictures = video_track(video);
            let media_time = if edited { u64::from(delay) } else { 0 };
            pictures.edit = Edit::Plain { lead_ticks: lead, media_time, length_ticks: 0 };
            let mut heard = audio_track(audio);
            let media_time = if priming { 1_024 } else { 0 };
            heard.edit = Edit::Plain { lead_ticks: 0, media_time, length_ticks: 0 };
            let tracks = match kinds {
                0 => vec![pictures, heard],
                1 => vec![pictures],
                _ => vec![heard],
            };
            Source { index: index_of(size, tracks), bytes: noise(size) }
        },
    )
}
