//! The hybrid MP4: a normal file for whoever opens it, and segments for whoever takes slices of it.
//!
//! The outer `moov` lists every sample of both tracks; its `mdat` holds the init segments and all fragments, so a
//! player of whole files never sees a fragment, and a segment is one range.

use bytes::Bytes;

use super::error::MediaError;
use super::fragment::Fragment;
use super::init::{Init, Medium};
use super::rope::Rope;
use super::segment::Row;
use super::table::Table;
use super::trak::{ftyp, mvhd};
use super::write::{boxed, put32, put64};

/// Bytes of the `mdat` header with a 64-bit size.
const MDAT_HEADER: u64 = 16;

/// One track of a hybrid file.
#[derive(Debug, Clone)]
pub struct TrackIn<O> {
    /// Its init segment.
    pub init: Bytes,
    /// Its segments from the first on.
    pub segments: Vec<SegmentIn<O>>,
}

/// One segment of a hybrid file.
#[derive(Debug, Clone)]
pub struct SegmentIn<O> {
    /// Its row; only the place changes.
    pub row: Row,
    /// Its first `row.head_len` bytes.
    pub head: Bytes,
    /// All its bytes.
    pub rope: Rope<O>,
}

impl<O: Copy + Eq> SegmentIn<O> {
    /// A segment whose bytes lie in `object` where the row says.
    pub fn stored(object: O, row: Row, head: Bytes) -> Self {
        Self { row, head, rope: Rope::range(object, row.offset, row.len) }
    }
}

/// A hybrid file that is not written yet.
#[derive(Debug, Clone)]
pub struct Hybrid<O> {
    /// The bytes of the whole file.
    pub rope: Rope<O>,
    /// Bytes before the `mdat`: what a player of the whole file reads first.
    pub index_len: u64,
    /// The video's segments, with places in the file; virtual rows become stored ones.
    pub video_rows: Vec<Row>,
    /// The audio's segments, with places in the file.
    pub audio_rows: Vec<Row>,
}

/// Lays out a hybrid file; an error when a head is not of ours or does not fit its neighbours.
pub fn hybrid<O: Copy + Eq>(
    video: Option<TrackIn<O>>,
    audio: Option<TrackIn<O>>,
) -> Result<Hybrid<O>, MediaError> {
    let tracks: Vec<TrackIn<O>> = video.into_iter().chain(audio).collect();
    let mut tables = tracks.iter().map(table).collect::<Result<Vec<_>, _>>()?;
    let inits: u64 = tracks.iter().map(|track| track.init.len() as u64).sum();
    let segments: u64 =
        tracks.iter().flat_map(|track| &track.segments).map(|segment| segment.rope.len()).sum();
    let mdat_len = MDAT_HEADER + inits + segments;
    // Offsets always have 64 bits, so the index is as long with the real ones.
    let index_len = index(&tables).len() as u64;
    let places = place(&tracks, index_len + MDAT_HEADER + inits);
    for (table, places) in tables.iter_mut().zip(&places) {
        table.place(places);
    }
    let mut header = index(&tables);
    put32(&mut header, 1);
    header.extend(b"mdat");
    put64(&mut header, mdat_len);
    let mut rope = Rope::new();
    rope.push_literal(header);
    for track in &tracks {
        rope.push_literal(track.init.clone());
    }
    let (mut video_rows, mut audio_rows) = (Vec::new(), Vec::new());
    for ((table, places), track) in tables.iter().zip(&places).zip(&tracks) {
        let rows = match table.init.medium {
            Medium::Video { .. } => &mut video_rows,
            Medium::Audio => &mut audio_rows,
        };
        let stored =
            |(segment, offset): (&SegmentIn<O>, &u64)| Row { offset: *offset, ranges_len: 0, ..segment.row };
        rows.extend(track.segments.iter().zip(places).map(stored));
    }
    for (track, n) in order(&tracks) {
        rope.append(tracks[track].segments[n].rope.clone());
    }
    Ok(Hybrid { rope, index_len, video_rows, audio_rows })
}

/// Track and segment in the order of the file: the first of each track, then the second of each, and so on.
fn order<O>(tracks: &[TrackIn<O>]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let most = tracks.iter().map(|track| track.segments.len()).max().unwrap_or(0);
    let all = (0..most).flat_map(|n| (0..tracks.len()).map(move |track| (track, n)));
    all.filter(|(track, n)| *n < tracks[*track].segments.len())
}

/// Where every segment of every track begins in the file.
fn place<O: Copy + Eq>(tracks: &[TrackIn<O>], first: u64) -> Vec<Vec<u64>> {
    let mut places: Vec<Vec<u64>> =
        tracks.iter().map(|track| Vec::with_capacity(track.segments.len())).collect();
    let mut at = first;
    for (track, n) in order(tracks) {
        places[track].push(at);
        at += tracks[track].segments[n].rope.len();
    }
    places
}

/// The sample tables of a track, from the heads of its segments.
fn table<O: Copy + Eq>(track: &TrackIn<O>) -> Result<Table, MediaError> {
    let init = Init::read(&track.init)?;
    let mut table = Table::new(init);
    for segment in &track.segments {
        let fragment = Fragment::read(table.init.medium, &segment.head)?;
        let payload: u64 = fragment.samples.iter().map(|sample| u64::from(sample.size)).sum();
        if segment.head.len() as u64 + payload != segment.rope.len() || segment.rope.len() != segment.row.len
        {
            return Err(MediaError::malformed(*b"mdat", "a segment has another length than its head says"));
        }
        table.push(&fragment, segment.head.len() as u64)?;
    }
    table.finish()?;
    Ok(table)
}

/// `ftyp` and `moov`.
fn index(tables: &[Table]) -> Vec<u8> {
    // Movie time in ticks of the first track, so that the video's duration is exact.
    let timescale = tables.first().map_or(1_000, |table| table.init.timescale);
    let mut out = Vec::new();
    ftyp(&mut out, *b"isom", &[*b"isom", *b"iso2", *b"avc1", *b"mp41", *b"iso6"]);
    boxed(&mut out, *b"moov", |out| {
        let duration = tables.iter().map(|table| table.movie_duration(timescale)).max().unwrap_or(0);
        let count = u32::try_from(tables.len()).expect("because there are at most two tracks");
        mvhd(out, timescale, duration, count);
        for (id, table) in (1..).zip(tables) {
            table.write(out, id, timescale);
        }
    });
    out
}
