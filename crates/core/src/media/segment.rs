//! The segment table: one row of fixed size per segment, and how the bytes of a virtual segment are listed.

use bytes::Bytes;

use super::error::MediaError;
use super::rope::{Piece, Rope};

/// One segment of one track: when it plays and where its bytes are.
///
/// `offset` is a place in the object that holds the part (a stored segment) or in the sidecar (a virtual one).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// When its first sample is shown, in ticks of the track.
    pub start: u64,
    /// Until the next segment begins, in ticks of the track.
    pub duration: u32,
    /// The first byte in the part's object or in the sidecar.
    pub offset: u64,
    /// Bytes of the whole segment: `moof`, `mdat` header and samples.
    pub len: u64,
    /// Bytes of `moof` and `mdat` header together.
    pub head_len: u32,
    /// Bytes of the first sample, which for pictures is the key frame.
    pub key_len: u32,
    /// Bytes of the list of source ranges that follows the head in the sidecar; 0 for a stored segment.
    pub ranges_len: u32,
}

impl Row {
    /// Bytes of a row in a table.
    pub const BYTES: usize = 40;

    /// The row as it stands in a table: its fields in order, big-endian.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..8].copy_from_slice(&self.start.to_be_bytes());
        out[8..12].copy_from_slice(&self.duration.to_be_bytes());
        out[12..20].copy_from_slice(&self.offset.to_be_bytes());
        out[20..28].copy_from_slice(&self.len.to_be_bytes());
        out[28..32].copy_from_slice(&self.head_len.to_be_bytes());
        out[32..36].copy_from_slice(&self.key_len.to_be_bytes());
        out[36..].copy_from_slice(&self.ranges_len.to_be_bytes());
        out
    }

    /// The row that [`Row::encode`] made.
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        let short = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at: usize| (u64::from(short(at)) << 32) | u64::from(short(at + 4));
        Self {
            start: long(0),
            duration: short(8),
            offset: long(12),
            len: long(20),
            head_len: short(28),
            key_len: short(32),
            ranges_len: short(36),
        }
    }

    /// When the next segment begins, in ticks of the track.
    pub const fn end(&self) -> u64 {
        self.start.saturating_add(self.duration as u64)
    }

    /// True when the bytes are gathered from the source instead of being stored as they are.
    pub const fn is_virtual(&self) -> bool {
        self.ranges_len > 0
    }
}

/// The table of these rows.
pub fn rows_encode(rows: &[Row]) -> Vec<u8> {
    rows.iter().flat_map(Row::encode).collect()
}

/// How many whole rows the table has.
pub const fn rows_count(table: &[u8]) -> usize {
    table.len() / Row::BYTES
}

/// Row `n` of the table, counted from 0, without looking at the others.
pub fn row_at(table: &[u8], n: usize) -> Option<Row> {
    table.as_chunks().0.get(n).map(Row::decode)
}

/// All rows of the table; `None` when it ends inside a row.
pub fn rows_decode(table: &[u8]) -> Option<Vec<Row>> {
    let (rows, rest) = table.as_chunks();
    rest.is_empty().then(|| rows.iter().map(Row::decode).collect())
}

/// Bit rates of a track, in bits per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// The highest of any segment that is at least half as long as the longest (RFC 8216 section 4.3.4.2).
    pub peak: u64,
    /// All bytes over the whole time.
    pub average: u64,
}

/// The bit rates of a track with these segments; 0 without segments.
pub fn rates(rows: &[Row], timescale: u32) -> Rates {
    let rate = |bytes: u64, ticks: u64| {
        let bits = u128::from(bytes) * 8 * u128::from(timescale);
        u64::try_from(bits.div_ceil(u128::from(ticks.max(1)))).unwrap_or(u64::MAX)
    };
    let longest = rows.iter().map(|row| row.duration).max().unwrap_or(0);
    let whole = rows.iter().filter(|row| u64::from(row.duration) * 2 >= u64::from(longest));
    let bytes = rows.iter().map(|row| row.len).sum();
    let ticks = rows.iter().map(|row| u64::from(row.duration)).sum();
    Rates {
        peak: whole.map(|row| rate(row.len, u64::from(row.duration))).max().unwrap_or(0),
        average: if rows.is_empty() { 0 } else { rate(bytes, ticks) },
    }
}

/// Byte ranges of a source, in the order in which they are wanted; neighbours are merged.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    encoded: Vec<u8>,
    /// Where the last range that was written begins from: the end of the one before it.
    written_until: u64,
    /// The range that may still grow, as offset and length.
    open: (u64, u64),
}

impl Ranges {
    /// Adds the next range.
    pub(super) fn push(&mut self, offset: u64, len: u64) {
        if len == 0 {
            return;
        }
        if self.open.1 > 0 && self.open.0 + self.open.1 == offset {
            self.open.1 += len;
            return;
        }
        self.close();
        self.open = (offset, len);
    }

    /// The encoded list: for each range the signed distance from the end of the last one, then its length.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.close();
        self.encoded
    }

    fn close(&mut self) {
        let (offset, len) = self.open;
        if len > 0 {
            let gap = offset.wrapping_sub(self.written_until).cast_signed();
            varint(&mut self.encoded, ((gap << 1) ^ (gap >> 63)).cast_unsigned());
            varint(&mut self.encoded, len);
            self.written_until = offset + len;
        }
    }
}

/// The bytes of one virtual segment: its head, then ranges of the source.
///
/// `sidecar_slice` are the `head_len + ranges_len` bytes of the sidecar from `row.offset`.
pub fn virtual_pieces<O: Copy + Eq>(
    row: &Row,
    sidecar_slice: &Bytes,
    source: O,
) -> Result<Rope<O>, MediaError> {
    let head_len = row.head_len as usize;
    if sidecar_slice.len() != head_len + row.ranges_len as usize {
        return Err(damaged("it has another length than the segment table says"));
    }
    let mut rope = Rope::new();
    rope.push_literal(sidecar_slice.slice(..head_len));
    let mut list = &sidecar_slice[head_len..];
    let mut at = 0_u64;
    while !list.is_empty() {
        let gap = read_varint(&mut list)?;
        let len = read_varint(&mut list)?;
        let offset = at.wrapping_add_signed((gap >> 1).cast_signed() ^ -(gap & 1).cast_signed());
        at = offset.checked_add(len).ok_or(damaged("a range ends behind the largest file"))?;
        rope.push(Piece::Range { object: source, offset, len });
    }
    if rope.len() != row.len {
        return Err(damaged("its ranges do not add up to the segment"));
    }
    Ok(rope)
}

const fn damaged(why: &'static str) -> MediaError {
    MediaError::malformed(*b"side", why)
}

/// Seven bits per byte, lowest first; the top bit says that more follow.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

fn read_varint(list: &mut &[u8]) -> Result<u64, MediaError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = list.split_first().ok_or(damaged("its list of ranges ends inside a number"))?;
        *list = rest;
        let bits = u64::from(byte & 0x7f);
        if (bits << shift) >> shift != bits {
            break;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(damaged("a number in its list of ranges is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row() -> impl Strategy<Value = Row> {
        (any::<[u64; 3]>(), any::<[u32; 4]>()).prop_map(|(long, short)| Row {
            start: long[0],
            duration: short[0],
            offset: long[1],
            len: long[2],
            head_len: short[1],
            key_len: short[2],
            ranges_len: short[3],
        })
    }

    /// The row and sidecar of a segment with the head `b"head"` and these ranges.
    fn virtual_segment(ranges: &[(u64, u64)]) -> (Row, Bytes) {
        let mut list = Ranges::default();
        for &(offset, len) in ranges {
            list.push(offset, len);
        }
        let list = list.finish();
        let row = Row {
            start: 0,
            duration: 1,
            offset: 0,
            len: 4 + ranges.iter().map(|range| range.1).sum::<u64>(),
            head_len: 4,
            key_len: 0,
            ranges_len: u32::try_from(list.len()).unwrap(),
        };
        (row, [b"head".as_slice(), &list].concat().into())
    }

    #[test]
    fn a_list_of_ranges_is_small_and_merges_neighbours() {
        let (row, sidecar) = virtual_segment(&[(1_000_000, 10), (1_000_010, 20), (1_000_040, 5)]);
        assert_eq!(row.ranges_len, 3 + 1 + 1 + 1, "two ranges: a far one and one close behind it");
        let rope = virtual_pieces(&row, &sidecar, ()).unwrap();
        let range = |offset, len| Piece::Range { object: (), offset, len };
        assert_eq!(
            rope.pieces(),
            [Piece::Literal(Bytes::from_static(b"head")), range(1_000_000, 30), range(1_000_040, 5)]
        );
    }

    #[test]
    fn a_damaged_sidecar_is_an_error() {
        let (row, sidecar) = virtual_segment(&[(500, 300)]);
        let check = |row: Row, bytes: &[u8], why: &str| {
            let error = virtual_pieces(&row, &Bytes::copy_from_slice(bytes), ()).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        check(row, &sidecar[..sidecar.len() - 1], "another length");
        check(Row { len: row.len + 1, ..row }, &sidecar, "do not add up");
        check(
            Row { ranges_len: row.ranges_len - 1, ..row },
            &sidecar[..sidecar.len() - 1],
            "inside a number",
        );
        let long = [b"head".as_slice(), &[0xff; 11]].concat();
        check(Row { ranges_len: 11, ..row }, &long, "too large");
        let far = [b"head".as_slice(), &[2], &[0xff; 9], &[1]].concat();
        check(Row { ranges_len: 11, ..row }, &far, "behind the largest file");
    }

    #[test]
    fn the_peak_ignores_a_short_last_segment() {
        let row = |duration, len| Row {
            start: 0,
            duration,
            offset: 0,
            len,
            head_len: 0,
            key_len: 0,
            ranges_len: 0,
        };
        let rows = [row(4_000, 1_000_000), row(4_000, 500_000), row(40, 100_000)];
        assert_eq!(rates(&rows, 1_000), Rates { peak: 2_000_000, average: 1_592_040 });
        assert_eq!(rates(&[], 1_000), Rates { peak: 0, average: 0 });
    }

    proptest! {
        #[test]
        fn a_table_gives_back_its_rows(rows in proptest::collection::vec(row(), 0..9)) {
            let table = rows_encode(&rows);
            prop_assert_eq!(rows_count(&table), rows.len());
            for (n, row) in rows.iter().enumerate() {
                prop_assert_eq!(row_at(&table, n), Some(*row));
            }
            prop_assert_eq!(row_at(&table, rows.len()), None);
            prop_assert_eq!(rows_decode(&[table.as_slice(), &[0]].concat()), None);
            prop_assert_eq!(rows_decode(&table), Some(rows));
        }

        #[test]
        fn a_virtual_segment_is_its_head_and_its_ranges(
            ranges in proptest::collection::vec((0..1_u64 << 45, 1..1_u64 << 33), 1..20)
        ) {
            let (row, sidecar) = virtual_segment(&ranges);
            let mut wanted = Rope::new();
            wanted.push_literal(Bytes::from_static(b"head"));
            for (offset, len) in ranges {
                wanted.push_range((), offset, len);
            }
            prop_assert_eq!(virtual_pieces(&row, &sidecar, ()), Ok(wanted));
        }

        #[test]
        fn any_bytes_are_either_ranges_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let len = u32::try_from(bytes.len()).unwrap();
            let row = Row { start: 0, duration: 0, offset: 0, len: 9, head_len: 0, key_len: 0, ranges_len: len };
            if let Ok(rope) = virtual_pieces(&row, &bytes.into(), ()) {
                prop_assert_eq!(rope.len(), 9);
            }
        }
    }
}
