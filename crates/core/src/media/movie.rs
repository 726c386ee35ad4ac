//! Reads `moov`: what tracks there are, and their tables (ISO/IEC 14496-12 section 8).

use bytes::Bytes;

use super::boxes::{Cursor, Part};
use super::codec::{self, Entry};
use super::error::MediaError;
use super::fragmented::Trex;
use super::runs::Defaults;
use super::samples::Samples;
use super::tables::Tables;
use super::track::{Coding, Edit, Track, TrackKind};
use crate::limits::INDEX_TRACKS_MAX;

/// What `moov` says.
#[derive(Debug, Clone)]
pub(super) struct Movie {
    /// Every track with the samples of its tables.
    pub(super) tracks: Vec<Track>,
    /// One entry per track when fragments follow.
    pub(super) fragments: Option<Vec<Trex>>,
}

/// Reads a whole `moov` box; `file_bytes` is the length of the file.
pub(super) fn movie(bytes: &Bytes, file_bytes: u64) -> Result<Movie, MediaError> {
    let moov = Part::first(bytes)?;
    let timescale = movie_timescale(&moov)?;
    let mut tracks: Vec<Track> = Vec::new();
    for part in moov.parts() {
        let part = part?;
        if part.kind.0 != *b"trak" {
            continue;
        }
        if tracks.len() as u64 >= INDEX_TRACKS_MAX {
            let value = tracks.len() as u64 + 1;
            return Err(MediaError::TooLarge {
                what: "the number of tracks",
                value,
                limit: INDEX_TRACKS_MAX,
            });
        }
        let track = Source { moov: bytes, movie_timescale: timescale, file_bytes }.track(&part)?;
        if tracks.iter().any(|other| other.id == track.id) {
            return Err(MediaError::malformed(*b"tkhd", "two tracks have the same number"));
        }
        tracks.push(track);
    }
    let fragments = moov.find(*b"mvex")?.map(|mvex| defaults(&mvex, &tracks)).transpose()?;
    Ok(Movie { tracks, fragments })
}

fn movie_timescale(moov: &Part<'_>) -> Result<u32, MediaError> {
    let (version, _, mut cursor) = moov.need(*b"mvhd")?.full()?;
    cursor.skip(if version == 1 { 16 } else { 8 })?;
    cursor.u32()
}

/// The defaults of each track for its fragments (`trex`, ISO/IEC 14496-12 section 8.8.3).
fn defaults(mvex: &Part<'_>, tracks: &[Track]) -> Result<Vec<Trex>, MediaError> {
    let start = |track: &Track| Trex {
        track_id: track.id,
        defaults: Defaults::default(),
        next_dts: track.samples.end_dts(),
    };
    let mut list: Vec<Trex> = tracks.iter().map(start).collect();
    for part in mvex.parts() {
        let part = part?;
        if part.kind.0 != *b"trex" {
            continue;
        }
        let (_, _, mut cursor) = part.full()?;
        let track_id = cursor.u32()?;
        cursor.skip(4)?;
        let defaults = Defaults { duration: cursor.u32()?, size: cursor.u32()?, flags: cursor.u32()? };
        if let Some(trex) = list.iter_mut().find(|trex| trex.track_id == track_id) {
            trex.defaults = defaults;
        }
    }
    Ok(list)
}

/// What a track cannot say about itself.
struct Source<'a> {
    moov: &'a Bytes,
    movie_timescale: u32,
    file_bytes: u64,
}

impl Source<'_> {
    fn track(&self, part: &Part<'_>) -> Result<Track, MediaError> {
        let header = TrackHeader::parse(&part.need(*b"tkhd")?)?;
        let mdia = part.need(*b"mdia")?;
        let (timescale, language) = media_header(&mdia.need(*b"mdhd")?)?;
        let handler = handler(&mdia)?;
        let mut track = Track {
            id: header.id,
            enabled: header.enabled,
            kind: TrackKind::Other,
            timescale: timescale.max(1),
            codec: String::new(),
            coding: Coding::Other,
            sample_entry: Bytes::new(),
            sample_entries: 0,
            edit: Edit::NONE,
            rotation_degrees: header.rotation_degrees,
            language,
            encrypted: false,
            samples: Samples::default(),
        };
        if !matches!(&handler, b"vide" | b"soun") {
            // Damage in a track that nobody plays must not cost the picture, so nothing more is read of it.
            track.codec = handler.escape_ascii().to_string();
            return Ok(track);
        }
        if timescale == 0 {
            return Err(MediaError::malformed(*b"mdhd", "its seconds have no ticks"));
        }
        track.edit = self.edit(part, timescale)?;
        let stbl = mdia.need(*b"minf")?.need(*b"stbl")?;
        self.describe(&mut track, &stbl, handler)?;
        track.samples = Samples::from_tables(Tables::parse(self.moov, &stbl, self.file_bytes)?);
        Ok(track)
    }

    /// Fills in what the sample entries say.
    fn describe(&self, track: &mut Track, stbl: &Part<'_>, handler: [u8; 4]) -> Result<(), MediaError> {
        let (version, _, mut cursor) = stbl.need(*b"stsd")?.full()?;
        track.sample_entries = cursor.u32()?;
        let entry = Part::first(cursor.rest()).map_err(|_| cursor.fault("its first entry is damaged"))?;
        track.sample_entry = self.moov.slice_ref(entry.whole);
        let Entry { kind, codec, coding, encrypted } =
            if &handler == b"vide" { codec::video(&entry)? } else { codec::audio(&entry, version)? };
        (track.kind, track.codec, track.coding, track.encrypted) = (kind, codec, coding, encrypted);
        Ok(())
    }

    /// Reads `edts/elst`: empty time first, then at most one part at the usual speed.
    fn edit(&self, trak: &Part<'_>, timescale: u32) -> Result<Edit, MediaError> {
        let list = trak.find(*b"edts")?.map_or(Ok(None), |edts| edts.find(*b"elst"))?;
        let Some(list) = list else { return Ok(Edit::NONE) };
        let (version, _, mut cursor) = list.full()?;
        let wide = version == 1;
        let count = cursor.u32()?;
        let mut entries = Cursor::new(cursor.table(count, if wide { 20 } else { 12 })?, list.kind);
        let mut lead = 0_u64;
        let mut shown = None;
        for _ in 0..count {
            let (length, time, rate) = (entries.word(wide)?, media_time(&mut entries, wide)?, entries.u32()?);
            match u64::try_from(time) {
                Err(_) if time == -1 && shown.is_none() => lead = lead.saturating_add(length),
                Ok(media_time) if rate == 0x0001_0000 && shown.is_none() => {
                    shown = Some((media_time, length));
                }
                _ => return Ok(Edit::Unsupported),
            }
        }
        Ok(match shown {
            None if count == 0 => Edit::NONE,
            None => Edit::Unsupported,
            Some((media_time, length)) => self.plain(lead, media_time, length, timescale),
        })
    }

    fn plain(&self, lead: u64, media_time: u64, length: u64, timescale: u32) -> Edit {
        let ticks = |movie: u64| {
            let scale = u128::from(self.movie_timescale.max(1));
            u64::try_from((u128::from(movie) * u128::from(timescale) + scale / 2) / scale)
        };
        match (ticks(lead), ticks(length)) {
            (Ok(lead_ticks), Ok(length_ticks)) => Edit::Plain { lead_ticks, media_time, length_ticks },
            _ => Edit::Unsupported,
        }
    }
}

/// The start of an edit in ticks of the track; -1 is empty time.
fn media_time(cursor: &mut Cursor<'_>, wide: bool) -> Result<i64, MediaError> {
    if wide {
        cursor.u64().map(u64::cast_signed)
    } else {
        cursor.u32().map(|time| i64::from(time.cast_signed()))
    }
}

/// The type of a track; `QuickTime` files have a second `hdlr` deeper down, which does not count.
fn handler(mdia: &Part<'_>) -> Result<[u8; 4], MediaError> {
    let (_, _, mut cursor) = mdia.need(*b"hdlr")?.full()?;
    cursor.skip(4)?;
    cursor.array()
}

/// Ticks per second and language (`mdhd`, ISO/IEC 14496-12 section 8.4.2).
fn media_header(mdhd: &Part<'_>) -> Result<(u32, String), MediaError> {
    let (version, _, mut cursor) = mdhd.full()?;
    cursor.skip(if version == 1 { 16 } else { 8 })?;
    let timescale = cursor.u32()?;
    cursor.skip(if version == 1 { 8 } else { 4 })?;
    Ok((timescale, language(cursor.u16()?)))
}

/// Three letters of five bits each; `QuickTime` has numbers of its own, which are below all of them.
fn language(packed: u16) -> String {
    let letter = |shift: u32| u8::try_from(packed >> shift & 31).ok().filter(|five| (1..=26).contains(five));
    match (letter(10), letter(5), letter(0)) {
        (Some(a), Some(b), Some(c)) => [a, b, c].map(|five| char::from(five + 0x60)).iter().collect(),
        _ => String::from("und"),
    }
}

/// What we want from `tkhd` (ISO/IEC 14496-12 section 8.3.2).
struct TrackHeader {
    id: u32,
    enabled: bool,
    rotation_degrees: u16,
}

impl TrackHeader {
    fn parse(tkhd: &Part<'_>) -> Result<Self, MediaError> {
        let (version, flags, mut cursor) = tkhd.full()?;
        let wide = version == 1;
        cursor.skip(if wide { 16 } else { 8 })?;
        let id = cursor.u32()?;
        cursor.skip(if wide { 12 } else { 8 })?;
        cursor.skip(16)?;
        let mut matrix = [0_i32; 5];
        for value in &mut matrix {
            *value = cursor.u32()?.cast_signed();
        }
        let [a, b, _, c, d] = matrix;
        Ok(Self { id, enabled: flags & 1 != 0, rotation_degrees: rotation([a, b, c, d]) })
    }
}

/// The nearest quarter turn of a display matrix; a mirrored picture counts as 180, since it is not shown as it is.
fn rotation([a, b, c, d]: [i32; 4]) -> u16 {
    let mirrored = i64::from(a) * i64::from(d) - i64::from(b) * i64::from(c) < 0;
    if mirrored {
        return 180;
    }
    match (a.unsigned_abs() >= b.unsigned_abs(), a < 0, b < 0) {
        (true, false, _) => 0,
        (true, true, _) => 180,
        (false, _, false) => 90,
        (false, _, true) => 270,
    }
}

#[cfg(test)]
mod tests {
    use super::super::support::{boxed, full, nest};
    use super::*;

    fn edit(elst: &[u8]) -> Result<Edit, MediaError> {
        let trak = nest(*b"trak", &[&nest(*b"edts", &[elst])]);
        let source = Source { moov: &Bytes::new(), movie_timescale: 1000, file_bytes: 0 };
        source.edit(&Part::first(&trak)?, 48_000)
    }

    #[test]
    fn an_edit_list_that_delays_and_trims_is_plain_and_every_other_is_not() {
        const ONE: u32 = 0x1_0000;
        const EMPTY: u32 = u32::MAX;
        let check = |version, fields: &[u32], expected| {
            assert_eq!(edit(&full(*b"elst", version, 0, fields)), Ok(expected), "{fields:?}");
        };
        let plain =
            |lead_ticks, media_time, length_ticks| Edit::Plain { lead_ticks, media_time, length_ticks };
        check(0, &[0], Edit::NONE);
        check(0, &[1, 2000, 1024, ONE], plain(0, 1024, 96_000));
        check(0, &[1, 0, 1024, ONE], plain(0, 1024, 0));
        check(0, &[2, 250, EMPTY, ONE, 2000, 0, ONE], plain(12_000, 0, 96_000));
        check(1, &[1, 0, 2000, 1, 5, ONE], plain(0, (1 << 32) + 5, 96_000));
        check(1, &[2, 0, 1, EMPTY, EMPTY, ONE, 0, 0, 0, 7, ONE], plain(48, 7, 0));
        check(0, &[1, 2000, 0, 2 * ONE], Edit::Unsupported);
        check(0, &[1, 2000, 0, 0], Edit::Unsupported);
        check(0, &[1, 2000, (-2_i32).cast_unsigned(), ONE], Edit::Unsupported);
        check(0, &[1, 2000, EMPTY, ONE], Edit::Unsupported);
        check(0, &[2, 1000, 0, ONE, 1000, 0, ONE], Edit::Unsupported);
        check(0, &[2, 1000, 0, ONE, 1000, EMPTY, ONE], Edit::Unsupported);
        let counts = MediaError::malformed(*b"elst", "it counts more entries than it has");
        assert_eq!(edit(&full(*b"elst", 0, 0, &[2, 2000, 0, ONE])), Err(counts));
    }

    fn trak(id: u32, handler: [u8; 4], timescale: u32) -> Vec<u8> {
        let tkhd = full(*b"tkhd", 0, 1, &[&[0, 0, id][..], &[0; 17]].concat());
        let mdhd = full(*b"mdhd", 0, 0, &[0, 0, timescale, 0, 0x55c4_0000]);
        let hdlr = full(*b"hdlr", 0, 0, &[0, u32::from_be_bytes(handler), 0, 0, 0]);
        nest(*b"trak", &[&tkhd, &nest(*b"mdia", &[&mdhd, &hdlr])])
    }

    fn moov(traks: &[Vec<u8>]) -> Bytes {
        let mvhd = full(*b"mvhd", 0, 0, &[0, 0, 1000, 0]);
        let parts: Vec<&[u8]> = [&mvhd].into_iter().chain(traks).map(Vec::as_slice).collect();
        nest(*b"moov", &parts).into()
    }

    #[test]
    fn a_track_that_nobody_plays_may_be_damaged() {
        let movie = movie(&moov(&[trak(1, *b"tmcd", 0)]), 100).unwrap();
        assert_eq!((movie.tracks[0].codec.as_str(), movie.tracks[0].timescale), ("tmcd", 1));
        assert!(movie.tracks[0].samples.is_empty());
    }

    #[test]
    fn tracks_without_tables_or_time_and_twins_are_refused() {
        let check =
            |traks: &[Vec<u8>], expected| assert_eq!(movie(&moov(traks), 100).map(drop), Err(expected));
        check(&[trak(1, *b"vide", 25)], MediaError::missing(*b"mdia", *b"minf"));
        check(&[trak(1, *b"soun", 0)], MediaError::malformed(*b"mdhd", "its seconds have no ticks"));
        let twins = MediaError::malformed(*b"tkhd", "two tracks have the same number");
        check(&[trak(1, *b"text", 1), trak(1, *b"text", 1)], twins);
        assert_eq!(
            movie(&boxed(*b"moov", b"").into(), 100).map(drop),
            Err(MediaError::missing(*b"moov", *b"mvhd"))
        );
    }

    #[test]
    fn as_many_tracks_as_the_limit_are_read_and_no_more() {
        let tracks = |count: u64| {
            let traks: Vec<_> = (1..=count).map(|id| trak(u32::try_from(id).unwrap(), *b"text", 1)).collect();
            movie(&moov(&traks), 100).map(|movie| movie.tracks.len() as u64)
        };
        assert_eq!(tracks(INDEX_TRACKS_MAX - 1), Ok(INDEX_TRACKS_MAX - 1));
        assert_eq!(tracks(INDEX_TRACKS_MAX), Ok(INDEX_TRACKS_MAX));
        assert!(matches!(tracks(INDEX_TRACKS_MAX + 1), Err(MediaError::TooLarge { .. })));
    }

    #[test]
    fn a_display_matrix_is_a_quarter_turn() {
        const ONE: i32 = 0x1_0000;
        let check = |matrix, degrees| assert_eq!(rotation(matrix), degrees, "{matrix:?}");
        check([ONE, 0, 0, ONE], 0);
        check([0, ONE, -ONE, 0], 90);
        check([-ONE, 0, 0, -ONE], 180);
        check([0, -ONE, ONE, 0], 270);
        check([-ONE, 0, 0, ONE], 180);
        check([ONE, 0, 0, -ONE], 180);
        check([0; 4], 0);
        check([i32::MIN, 0, 0, i32::MIN], 180);
    }

    #[test]
    fn a_language_is_three_letters_or_und() {
        assert_eq!(language(0x55c4), "und");
        assert_eq!(language(0x15c7), "eng");
        assert_eq!(language(0), "und");
        assert_eq!(language(0x7fff), "und");
    }
}
