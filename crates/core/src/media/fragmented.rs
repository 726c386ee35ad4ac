//! Reads `moof`: the samples of one fragment (ISO/IEC 14496-12 section 8.8).

use bytes::Bytes;

use super::boxes::{Cursor, Part};
use super::error::MediaError;
use super::runs::{Defaults, Listing, Run, stride};

/// `tfhd` flag: an absolute position in the file follows.
const HAS_BASE: u32 = 0x01;
/// `tfhd` flag: the number of the sample entry follows.
const HAS_ENTRY: u32 = 0x02;
/// `tfhd` flag: a default duration follows.
const HAS_DURATION: u32 = 0x08;
/// `tfhd` flag: a default size follows.
const HAS_SIZE: u32 = 0x10;
/// `tfhd` flag: default sample flags follow.
const HAS_FLAGS: u32 = 0x20;
/// `tfhd` flag: positions count from the start of the `moof`.
const FROM_MOOF: u32 = 0x02_0000;
/// `trun` flag: a position relative to the base follows.
const HAS_PLACE: u32 = 0x01;
/// `trun` flag: the flags of the first sample follow.
const HAS_FIRST_FLAGS: u32 = 0x04;

/// What the fragments of one track inherit (`trex`), and where in time the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trex {
    /// The `track_ID`.
    pub track_id: u32,
    /// For fields that neither `tfhd` nor `trun` has.
    pub defaults: Defaults,
    /// Decode time of a fragment without `tfdt`, in ticks of the track.
    pub next_dts: u64,
}

/// The samples of one track in one fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traf {
    /// The `track_ID`.
    pub track_id: u32,
    /// Decode time of the first sample in ticks of the track.
    pub base_dts: u64,
    /// Decode time behind the last sample in ticks of the track.
    pub end_dts: u64,
    /// The samples.
    pub runs: Vec<Run>,
}

/// Reads one whole `moof` box that stands at `offset` of its file; tracks without a `trex` are left out.
pub fn fragment(moof: &[u8], offset: u64, trexes: &[Trex]) -> Result<Vec<Traf>, MediaError> {
    let moof = Part::first(moof)?;
    if moof.kind.0 != *b"moof" {
        return Err(MediaError::Malformed { within: moof.kind, why: "a moof box was expected here" });
    }
    let mut trafs: Vec<Traf> = Vec::new();
    let mut follow = offset;
    for part in moof.parts() {
        let part = part?;
        if part.kind.0 != *b"traf" {
            continue;
        }
        let (_, flags, mut cursor) = part.need(*b"tfhd")?.full()?;
        let track_id = cursor.u32()?;
        let Some(trex) = trexes.iter().find(|trex| trex.track_id == track_id) else { continue };
        let before = trafs.iter().rev().find(|traf| traf.track_id == track_id);
        let mut trex = *trex;
        trex.next_dts = before.map_or(trex.next_dts, |traf| traf.end_dts);
        let base = if flags & FROM_MOOF == 0 { follow } else { offset };
        let (base, defaults) = track_header(&mut cursor, flags, base, trex.defaults)?;
        let traf = track(&part, base, Trex { defaults, ..trex })?;
        follow = traf.runs.last().map_or(base, Run::end);
        trafs.push(traf);
    }
    Ok(trafs)
}

/// The base of all positions and the defaults that hold, from the fields of `tfhd` behind the track's number.
fn track_header(
    cursor: &mut Cursor<'_>,
    flags: u32,
    base: u64,
    mut defaults: Defaults,
) -> Result<(u64, Defaults), MediaError> {
    let base = if flags & HAS_BASE == 0 { base } else { cursor.u64()? };
    if flags & HAS_ENTRY != 0 {
        cursor.skip(4)?;
    }
    let fields = [
        (HAS_DURATION, &mut defaults.duration),
        (HAS_SIZE, &mut defaults.size),
        (HAS_FLAGS, &mut defaults.flags),
    ];
    for (flag, value) in fields {
        if flags & flag != 0 {
            *value = cursor.u32()?;
        }
    }
    Ok((base, defaults))
}

/// The runs of one `traf`, each from its own position or behind the one before.
fn track(traf: &Part<'_>, base: u64, trex: Trex) -> Result<Traf, MediaError> {
    let base_dts = decode_time(traf)?.unwrap_or(trex.next_dts);
    let (mut place, mut dts) = (base, base_dts);
    let mut runs = Vec::new();
    for part in traf.parts() {
        let part = part?;
        if part.kind.0 != *b"trun" {
            continue;
        }
        let (listing, from_base) = listing(&part, trex.defaults)?;
        if let Some(from_base) = from_base {
            let lies_before = MediaError::malformed(*b"trun", "its samples lie before the file");
            place = base.checked_add_signed(i64::from(from_base)).ok_or(lies_before)?;
        }
        if listing.count > 0 {
            let run = Run::place(listing, place, dts)?;
            (place, dts) = (run.end(), run.end_dts());
            runs.push(run);
        }
    }
    Ok(Traf { track_id: trex.track_id, base_dts, end_dts: dts, runs })
}

/// The decode time of `tfdt` (ISO/IEC 14496-12 section 8.8.12), if there is one.
fn decode_time(traf: &Part<'_>) -> Result<Option<u64>, MediaError> {
    let Some(tfdt) = traf.find(*b"tfdt")? else { return Ok(None) };
    let (version, _, mut cursor) = tfdt.full()?;
    cursor.word(version == 1).map(Some)
}

/// What a `trun` says, and its position relative to the base if it says one.
fn listing(trun: &Part<'_>, defaults: Defaults) -> Result<(Listing, Option<i32>), MediaError> {
    let (_, layout, mut cursor) = trun.full()?;
    let count = cursor.u32()?;
    let place = if layout & HAS_PLACE == 0 { None } else { Some(cursor.u32()?.cast_signed()) };
    let first_flags = if layout & HAS_FIRST_FLAGS == 0 { None } else { Some(cursor.u32()?) };
    // A copy, so that the samples do not keep all else that was read with this box.
    let entries = Bytes::copy_from_slice(cursor.table(count, stride(layout))?);
    Ok((Listing { count, layout, defaults, first_flags, entries }, place))
}

#[cfg(test)]
mod tests {
    use super::super::sample::Sample;
    use super::super::support::{full, nest};
    use super::*;

    const TREX: Trex =
        Trex { track_id: 1, defaults: Defaults { duration: 10, size: 100, flags: 0x0101_0000 }, next_dts: 7 };

    fn samples(trafs: &[Traf]) -> Vec<Sample> {
        trafs.iter().flat_map(|traf| &traf.runs).flat_map(Run::iter).collect()
    }

    fn moof(trafs: &[&[&[u8]]]) -> Vec<u8> {
        let trafs: Vec<Vec<u8>> = trafs.iter().map(|parts| nest(*b"traf", parts)).collect();
        nest(*b"moof", &trafs.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    #[test]
    fn every_field_comes_from_the_nearest_box_that_has_it() {
        let sample =
            |offset, size, dts, cts, duration, sync| Sample { offset, size, dts, cts, duration, sync };
        let check = |tfhd: Vec<u8>, trun: Vec<u8>, expected: [Sample; 2]| {
            let trafs = fragment(&moof(&[&[&tfhd, &trun]]), 5000, &[TREX]).unwrap();
            assert_eq!(samples(&trafs), expected);
        };
        let bare = full(*b"tfhd", 0, FROM_MOOF, &[1]);
        let plain = [sample(5050, 100, 7, 0, 10, false), sample(5150, 100, 17, 0, 10, false)];
        check(bare.clone(), full(*b"trun", 0, 1, &[2, 50]), plain);
        let first = full(*b"trun", 0, 5, &[2, 50, 0x0200_0000]);
        check(bare.clone(), first, [sample(5050, 100, 7, 0, 10, true), plain[1]]);
        let all = full(*b"trun", 1, 0xf01, &[2, 50, 1, 2, 0, u32::MAX, 3, 4, 0x1_0000, 5]);
        check(bare, all, [sample(5050, 2, 7, -1, 1, true), sample(5052, 4, 8, 5, 3, false)]);
        let own = full(*b"tfhd", 0, FROM_MOOF | 0x3a, &[1, 1, 20, 200, 0]);
        let expected = [sample(5000, 200, 7, 0, 20, true), sample(5200, 200, 27, 0, 20, true)];
        check(own, full(*b"trun", 0, 0, &[2]), expected);
        let absolute = full(*b"tfhd", 0, 1, &[1, 1, 0]);
        let expected =
            [sample((1 << 32) - 4, 100, 7, 0, 10, false), sample((1 << 32) + 96, 100, 17, 0, 10, false)];
        check(absolute, full(*b"trun", 0, 1, &[2, (-4_i32).cast_unsigned()]), expected);
    }

    #[test]
    fn runs_and_tracks_without_a_position_follow_the_one_before() {
        let (one, two) = (full(*b"tfhd", 0, 0, &[1]), full(*b"tfhd", 0, 0, &[2]));
        let other = full(*b"tfhd", 0, FROM_MOOF, &[9]);
        let tfdt = full(*b"tfdt", 1, 0, &[1, 0]);
        let run = full(*b"trun", 0, 0, &[1]);
        let bytes = moof(&[&[&one, &tfdt, &run, &run], &[&other, &run], &[&two, &run], &[&one, &run]]);
        let trafs = fragment(&bytes, 0, &[TREX, Trex { track_id: 2, next_dts: 0, ..TREX }]).unwrap();
        let far = 1_u64 << 32;
        let places: Vec<(u64, u64)> =
            samples(&trafs).iter().map(|sample| (sample.offset, sample.dts)).collect();
        assert_eq!(places, [(0, far), (100, far + 10), (200, 0), (300, far + 20)]);
        assert_eq!(trafs.iter().map(|traf| traf.track_id).collect::<Vec<_>>(), [1, 2, 1]);
    }

    #[test]
    fn impossible_runs_are_refused() {
        let check = |tfhd: &[u32], flags, trun: Vec<u8>, why| {
            let bytes = moof(&[&[&full(*b"tfhd", 0, flags, tfhd), &trun]]);
            assert_eq!(fragment(&bytes, 0, &[TREX]), Err(MediaError::malformed(*b"trun", why)));
        };
        let counts = "it counts more entries than it has";
        check(&[1], 0, full(*b"trun", 0, 0x200, &[u32::MAX, 1]), counts);
        check(&[1], 0, full(*b"trun", 0, 0xf00, &[1, 1, 1, 1]), counts);
        check(&[1, 0], HAS_SIZE, full(*b"trun", 0, 0, &[1]), "its samples have no size");
        check(&[1], 0, full(*b"trun", 0, 1, &[1, u32::MAX]), "its samples lie before the file");
        let beyond = "its samples lie beyond any file or time";
        check(&[1, u32::MAX, u32::MAX], HAS_BASE, full(*b"trun", 0, 0, &[1]), beyond);
    }
}
