//! The sample tables of a progressive track, kept as the file wrote them and read as they are asked for.
//!
//! A sample costs the 4 to 8 bytes that its tables have, not the 32 bytes of a [`Sample`].

use bytes::Bytes;

use super::boxes::Part;
use super::error::MediaError;
use super::sample::Sample;

/// The tables of one `stbl` (ISO/IEC 14496-12 sections 8.6 and 8.7), checked against each other.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables {
    count: u32,
    sizes: Sizes,
    /// Pairs of a count and a duration.
    durations: Bytes,
    /// Pairs of a count and a signed composition offset.
    offsets: Bytes,
    /// Numbers of the sync samples, from 1; `None` when all are.
    syncs: Option<Bytes>,
    /// Triples of a first chunk, from 1, the samples of each chunk and a sample entry.
    runs: Bytes,
    chunks: Chunks,
}

#[derive(Debug, Clone)]
enum Sizes {
    Same(u32),
    /// Fields of 4, 8, 16 or 32 bits.
    Each {
        bits: u8,
        fields: Bytes,
    },
}

impl Default for Sizes {
    fn default() -> Self {
        Self::Same(0)
    }
}

#[derive(Debug, Clone, Default)]
struct Chunks {
    wide: bool,
    places: Bytes,
}

/// The 32-bit field number `at` of a table.
fn field(table: &[u8], at: usize) -> Option<u32> {
    let start = at.checked_mul(4)?;
    let four = table.get(start..start.checked_add(4)?)?;
    Some(u32::from_be_bytes(four.try_into().expect("because the slice has four bytes")))
}

impl Sizes {
    fn at(&self, sample: u32) -> Option<u32> {
        let sample = sample as usize;
        match self {
            Self::Same(size) => Some(*size),
            Self::Each { bits: 32, fields } => field(fields, sample),
            Self::Each { bits: 16, fields } => {
                let two = fields.get(sample * 2..sample * 2 + 2)?;
                Some(u32::from(u16::from_be_bytes(two.try_into().expect("because the slice has two bytes"))))
            }
            Self::Each { bits: 8, fields } => fields.get(sample).copied().map(u32::from),
            // Two samples share a byte, and the first has the upper half.
            Self::Each { fields, .. } => {
                let both = *fields.get(sample / 2)?;
                Some(u32::from(if sample.is_multiple_of(2) { both >> 4 } else { both & 15 }))
            }
        }
    }

    fn parse(moov: &Bytes, stbl: &Part<'_>) -> Result<(Self, u32), MediaError> {
        let Some(stsz) = stbl.find(*b"stsz")? else {
            let stz2 = stbl.find(*b"stz2")?.ok_or(MediaError::missing(*b"stbl", *b"stsz"))?;
            let (_, _, mut cursor) = stz2.full()?;
            cursor.skip(3)?;
            let (bits, count) = (cursor.u8()?, cursor.u32()?);
            let fields = match bits {
                4 => cursor.table(count.div_ceil(2), 1)?,
                8 => cursor.table(count, 1)?,
                16 => cursor.table(count, 2)?,
                _ => return Err(cursor.fault("its fields are neither 4, 8 nor 16 bits")),
            };
            return Ok((Self::Each { bits, fields: moov.slice_ref(fields) }, count));
        };
        let (_, _, mut cursor) = stsz.full()?;
        let (same, count) = (cursor.u32()?, cursor.u32()?);
        if same != 0 {
            return Ok((Self::Same(same), count));
        }
        Ok((Self::Each { bits: 32, fields: moov.slice_ref(cursor.table(count, 4)?) }, count))
    }
}

impl Chunks {
    fn len(&self) -> usize {
        self.places.len() / if self.wide { 8 } else { 4 }
    }

    fn at(&self, chunk: usize) -> Option<u64> {
        if !self.wide {
            return field(&self.places, chunk).map(u64::from);
        }
        let high = field(&self.places, chunk.checked_mul(2)?)?;
        let low = field(&self.places, chunk * 2 + 1)?;
        Some(u64::from(high) << 32 | u64::from(low))
    }

    fn parse(moov: &Bytes, stbl: &Part<'_>) -> Result<Self, MediaError> {
        let narrow = stbl.find(*b"stco")?;
        let wide = narrow.is_none();
        let part = narrow.or(stbl.find(*b"co64")?).ok_or(MediaError::missing(*b"stbl", *b"stco"))?;
        Ok(Self { wide, places: list(moov, &part, if wide { 8 } else { 4 })? })
    }
}

/// The entries of a box that is a count and as many entries of `len` bytes.
fn list(moov: &Bytes, part: &Part<'_>, len: usize) -> Result<Bytes, MediaError> {
    let (_, _, mut cursor) = part.full()?;
    let count = cursor.u32()?;
    Ok(moov.slice_ref(cursor.table(count, len)?))
}

impl Tables {
    /// Reads the tables of an `stbl` inside `moov`; `file_bytes` is the length of the whole file.
    pub(super) fn parse(moov: &Bytes, stbl: &Part<'_>, file_bytes: u64) -> Result<Self, MediaError> {
        let (sizes, count) = Sizes::parse(moov, stbl)?;
        if let Sizes::Same(size) = sizes {
            // The only table whose count costs no bytes, so it is held against the file itself.
            let needs = u64::from(size) * u64::from(count);
            if needs > file_bytes {
                return Err(MediaError::Truncated {
                    within: super::FourCc(*b"mdat"),
                    needs,
                    has: file_bytes,
                });
            }
        }
        let optional = |kind, len| stbl.find(kind)?.map(|part| list(moov, &part, len)).transpose();
        let tables = Self {
            count,
            sizes,
            durations: list(moov, &stbl.need(*b"stts")?, 8)?,
            offsets: optional(*b"ctts", 8)?.unwrap_or_default(),
            syncs: optional(*b"stss", 4)?,
            runs: list(moov, &stbl.need(*b"stsc")?, 12)?,
            chunks: Chunks::parse(moov, stbl)?,
        };
        tables.check_durations()?;
        tables.check_syncs()?;
        tables.check_chunks()?;
        Ok(tables)
    }

    fn check_durations(&self) -> Result<(), MediaError> {
        if self.count > 0 && self.durations.is_empty() {
            return Err(MediaError::malformed(*b"stts", "it has no entry although there are samples"));
        }
        let odd = (0..self.durations.len() / 8)
            .any(|at| field(&self.durations, at * 2 + 1) > Some(i32::MAX as u32));
        if odd { Err(MediaError::malformed(*b"stts", "a duration is negative")) } else { Ok(()) }
    }

    fn check_syncs(&self) -> Result<(), MediaError> {
        let Some(syncs) = &self.syncs else { return Ok(()) };
        let mut before = 0;
        for at in 0..syncs.len() / 4 {
            let number = field(syncs, at).unwrap_or(0);
            if number <= before || number > self.count {
                return Err(MediaError::malformed(
                    *b"stss",
                    "its numbers do not rise from 1 to the last sample",
                ));
            }
            before = number;
        }
        Ok(())
    }

    fn check_chunks(&self) -> Result<(), MediaError> {
        let chunks = self.chunks.len() as u64;
        let (mut room, mut before) = (0_u64, 0);
        for at in 0..self.runs.len() / 12 {
            let first = field(&self.runs, at * 3).unwrap_or(0);
            let each = field(&self.runs, at * 3 + 1).unwrap_or(0);
            if first <= before || (at == 0 && first != 1) || each == 0 {
                return Err(MediaError::malformed(
                    *b"stsc",
                    "its chunks do not rise from 1, or have no samples",
                ));
            }
            let next = field(&self.runs, at * 3 + 3).map_or(chunks, |next| u64::from(next.saturating_sub(1)));
            // The entries share the chunks, so the sum is at most all chunks times the largest count.
            room += next.min(chunks).saturating_sub(u64::from(first - 1)) * u64::from(each);
            before = first;
        }
        if room < u64::from(self.count) {
            return Err(MediaError::malformed(
                *b"stsc",
                "its chunks have room for fewer samples than there are",
            ));
        }
        Ok(())
    }

    /// Number of samples.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of memory that the tables keep.
    pub(super) fn held_bytes(&self) -> usize {
        let sizes = match &self.sizes {
            Sizes::Same(_) => 0,
            Sizes::Each { fields, .. } => fields.len(),
        };
        let syncs = self.syncs.as_ref().map_or(0, Bytes::len);
        sizes + syncs + self.durations.len() + self.offsets.len() + self.runs.len() + self.chunks.places.len()
    }

    /// Decode time behind the last sample in ticks, from the durations alone.
    pub(super) fn end_dts(&self) -> u64 {
        let (mut left, mut ticks, mut last) = (self.count, 0_u64, 0);
        for at in 0..self.durations.len() / 8 {
            let run = field(&self.durations, at * 2).unwrap_or(0).min(left);
            last = field(&self.durations, at * 2 + 1).unwrap_or(0);
            ticks += u64::from(run) * u64::from(last);
            left -= run;
        }
        ticks + u64::from(left) * u64::from(last)
    }

    /// Every sample in decode order.
    pub(super) fn iter(&self) -> Walk<'_> {
        Walk {
            tables: self,
            sample: 0,
            dts: 0,
            durations: Pairs::new(&self.durations),
            offsets: Pairs::new(&self.offsets),
            duration: 0,
            sync_at: 0,
            chunk: 0,
            chunk_left: 0,
            run: 0,
            place: 0,
        }
    }
}

/// Unrolls a table of counts and values.
#[derive(Debug, Clone)]
struct Pairs<'a> {
    table: &'a [u8],
    at: usize,
    left: u32,
    value: u32,
}

impl<'a> Pairs<'a> {
    const fn new(table: &'a [u8]) -> Self {
        Self { table, at: 0, left: 0, value: 0 }
    }

    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            self.left = field(self.table, self.at * 2)?;
            self.value = field(self.table, self.at * 2 + 1)?;
            self.at += 1;
        }
        self.left -= 1;
        Some(self.value)
    }
}

/// Iterates over the samples of [`Tables`].
#[derive(Debug, Clone)]
pub(super) struct Walk<'a> {
    tables: &'a Tables,
    sample: u32,
    dts: u64,
    durations: Pairs<'a>,
    offsets: Pairs<'a>,
    duration: u32,
    sync_at: usize,
    chunk: usize,
    chunk_left: u32,
    run: usize,
    place: u64,
}

impl Walk<'_> {
    /// Goes to the next chunk when this one has no samples left.
    fn enter_chunk(&mut self) -> Option<()> {
        if self.chunk_left > 0 {
            return Some(());
        }
        let runs = &self.tables.runs;
        let next = field(runs, (self.run + 1) * 3).and_then(|first| usize::try_from(first).ok());
        if next.is_some_and(|first| first <= self.chunk + 1) {
            self.run += 1;
        }
        self.chunk_left = field(runs, self.run * 3 + 1)?;
        self.place = self.tables.chunks.at(self.chunk)?;
        self.chunk += 1;
        Some(())
    }

    fn is_sync(&mut self) -> bool {
        let Some(syncs) = &self.tables.syncs else { return true };
        let sync = field(syncs, self.sync_at) == Some(self.sample + 1);
        self.sync_at += usize::from(sync);
        sync
    }
}

impl Iterator for Walk<'_> {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        if self.sample >= self.tables.count {
            return None;
        }
        self.enter_chunk()?;
        let size = self.tables.sizes.at(self.sample)?;
        // Some writers count too few samples in the last entry; its duration then goes on, as in ffmpeg.
        self.duration = self.durations.next().unwrap_or(self.duration);
        let cts = self.offsets.next().unwrap_or(0).cast_signed();
        let sync = self.is_sync();
        let sample = Sample { offset: self.place, size, dts: self.dts, cts, duration: self.duration, sync };
        self.sample += 1;
        self.chunk_left -= 1;
        self.place = self.place.saturating_add(u64::from(size));
        self.dts = self.dts.saturating_add(u64::from(self.duration));
        Some(sample)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::support::{boxed, full, nest};
    use super::*;

    /// Tables with any of their boxes replaced.
    fn parse(boxes: &[Vec<u8>]) -> Result<Tables, MediaError> {
        let usual = [
            full(*b"stsz", 0, 0, &[0, 5, 10, 20, 30, 40, 50]),
            full(*b"stts", 0, 0, &[2, 3, 100, 2, 50]),
            full(*b"stsc", 0, 0, &[2, 1, 2, 1, 2, 3, 1]),
            full(*b"stco", 0, 0, &[2, 1000, 2000]),
        ];
        let kind = |bytes: &[u8]| bytes[4..8].to_vec();
        let same = |a: &[u8], b: &[u8]| {
            let pair = [kind(a), kind(b)].concat();
            a[4..8] == b[4..8] || matches!(&pair[..], b"stszstz2" | b"stcoco64")
        };
        let kept = usual.iter().filter(|old| !boxes.iter().any(|new| same(old, new)));
        let parts: Vec<&[u8]> =
            kept.chain(boxes).map(Vec::as_slice).filter(|bytes| bytes.len() > 8).collect();
        let stbl = Bytes::from(nest(*b"stbl", &parts));
        Tables::parse(&stbl, &Part::first(&stbl).unwrap(), 1 << 40)
    }

    fn rows(tables: &Tables) -> Vec<(u64, u32, u64, i32, u32, bool)> {
        tables.iter().map(|s| (s.offset, s.size, s.dts, s.cts, s.duration, s.sync)).collect()
    }

    #[test]
    fn samples_are_placed_by_chunks_and_timed_by_runs() {
        let tables =
            parse(&[full(*b"stss", 0, 0, &[2, 1, 4]), full(*b"ctts", 1, 0, &[2, 1, 7, 2, u32::MAX])])
                .unwrap();
        let expected = [
            (1000, 10, 0, 7, 100, true),
            (1010, 20, 100, -1, 100, false),
            (2000, 30, 200, -1, 100, false),
            (2030, 40, 300, 0, 50, true),
            (2070, 50, 350, 0, 50, false),
        ];
        assert_eq!(rows(&tables), expected);
        assert_eq!(tables.end_dts(), 400);
    }

    #[test]
    fn the_last_duration_goes_on_when_too_few_are_counted() {
        let tables = parse(&[full(*b"stts", 0, 0, &[1, 2, 100])]).unwrap();
        assert_eq!(rows(&tables).last(), Some(&(2070, 50, 400, 0, 100, true)));
        assert_eq!(tables.end_dts(), 500);
    }

    #[test]
    fn wide_chunk_offsets_and_one_size_for_all_are_read() {
        let stsz = full(*b"stsz", 0, 0, &[9, 5]);
        let tables = parse(&[stsz, full(*b"co64", 0, 0, &[2, 1, 0, 2, 5])]).unwrap();
        let places: Vec<u64> = tables.iter().map(|sample| sample.offset).collect();
        let high = 1_u64 << 32;
        assert_eq!(places, [high, high + 9, 2 * high + 5, 2 * high + 14, 2 * high + 23]);
    }

    #[test]
    fn small_sizes_have_4_8_or_16_bits() {
        let check = |bits: u8, fields: &[u8], expected: [u32; 5]| {
            let body = [&[0, 0, 0, 0, 0, 0, 0, bits, 0, 0, 0, 5], fields].concat();
            let tables = parse(&[boxed(*b"stz2", &body)]).unwrap();
            assert_eq!(tables.iter().map(|sample| sample.size).collect::<Vec<_>>(), expected, "{bits} bits");
        };
        check(4, &[0x12, 0x3f, 0x50], [1, 2, 3, 15, 5]);
        check(8, &[1, 2, 3, 4, 255], [1, 2, 3, 4, 255]);
        check(16, &[0, 1, 0, 2, 0, 3, 1, 0, 0, 5], [1, 2, 3, 256, 5]);
    }

    #[test]
    fn tables_that_contradict_each_other_are_refused() {
        let check = |table: Vec<u8>, kind: &[u8; 4], why| {
            assert_eq!(parse(&[table]).map(drop), Err(MediaError::malformed(*kind, why)));
        };
        let counts = "it counts more entries than it has";
        check(full(*b"stsz", 0, 0, &[0, u32::MAX, 1]), b"stsz", counts);
        check(full(*b"stts", 0, 0, &[2, 5, 1]), b"stts", counts);
        check(full(*b"stts", 0, 0, &[0]), b"stts", "it has no entry although there are samples");
        check(full(*b"stts", 0, 0, &[1, 5, u32::MAX]), b"stts", "a duration is negative");
        let rise = "its numbers do not rise from 1 to the last sample";
        check(full(*b"stss", 0, 0, &[2, 3, 3]), b"stss", rise);
        check(full(*b"stss", 0, 0, &[1, 0]), b"stss", rise);
        check(full(*b"stss", 0, 0, &[1, 6]), b"stss", rise);
        let chunks = "its chunks do not rise from 1, or have no samples";
        check(full(*b"stsc", 0, 0, &[1, 2, 5, 1]), b"stsc", chunks);
        check(full(*b"stsc", 0, 0, &[1, 1, 0, 1]), b"stsc", chunks);
        check(full(*b"stsc", 0, 0, &[2, 1, 3, 1, 1, 3, 1]), b"stsc", chunks);
        check(
            full(*b"stsc", 0, 0, &[1, 1, 2, 1]),
            b"stsc",
            "its chunks have room for fewer samples than there are",
        );
        check(
            boxed(*b"stz2", &[0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0]),
            b"stz2",
            "its fields are neither 4, 8 nor 16 bits",
        );
    }

    #[test]
    fn one_size_for_more_samples_than_the_file_holds_is_a_cut_file() {
        let refused = parse(&[full(*b"stsz", 0, 0, &[u32::MAX, u32::MAX])]).map(drop);
        assert!(matches!(refused, Err(MediaError::Truncated { .. })), "{refused:?}");
    }

    proptest! {
        #[test]
        fn written_tables_give_back_every_sample(
            chunks in prop::collection::vec((0..1_u64 << 40, prop::collection::vec((0..5000_u32, 0..2000_u32, -500..500_i32, any::<bool>()), 1..5)), 1..12),
        ) {
            let mut expected = Vec::new();
            let mut dts = 0;
            for (start, samples) in &chunks {
                let mut place = *start;
                for (size, duration, cts, sync) in samples {
                    expected.push(Sample { offset: place, size: *size, dts, cts: *cts, duration: *duration, sync: *sync });
                    place += u64::from(*size);
                    dts += u64::from(*duration);
                }
            }
            let count = u32::try_from(expected.len()).unwrap();
            let list = |head: &[u32], rows: Vec<u32>| [head, &rows].concat();
            let numbered = (1..).zip(&expected);
            let syncs: Vec<u32> = numbered.filter(|(_, sample)| sample.sync).map(|(number, _)| number).collect();
            let runs: Vec<u32> = (1..).zip(&chunks).flat_map(|(n, (_, s))| [n, u32::try_from(s.len()).unwrap(), 1]).collect();
            let places: Vec<u32> = chunks.iter().flat_map(|(start, _)| [u32::try_from(start >> 32).unwrap(), (start & 0xffff_ffff) as u32]).collect();
            let chunk_count = u32::try_from(chunks.len()).unwrap();
            let tables = parse(&[
                full(*b"stsz", 0, 0, &list(&[0, count], expected.iter().map(|s| s.size).collect())),
                full(*b"stts", 0, 0, &list(&[count], expected.iter().flat_map(|s| [1, s.duration]).collect())),
                full(*b"ctts", 1, 0, &list(&[count], expected.iter().flat_map(|s| [1, s.cts.cast_unsigned()]).collect())),
                full(*b"stss", 0, 0, &list(&[u32::try_from(syncs.len()).unwrap()], syncs)),
                full(*b"stsc", 0, 0, &list(&[chunk_count], runs)),
                full(*b"co64", 0, 0, &list(&[chunk_count], places)),
            ]).unwrap();
            prop_assert_eq!(tables.end_dts(), dts);
            prop_assert_eq!(tables.iter().collect::<Vec<_>>(), expected);
        }
    }
}
