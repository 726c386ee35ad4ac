//! Samples as a `trun` box lists them: neighbours in the file, with only the fields that vary.

use bytes::Bytes;

use super::error::MediaError;
use super::sample::Sample;

/// `trun` flag: every entry has a duration.
const HAS_DURATION: u32 = 0x100;
/// `trun` flag: every entry has a size.
const HAS_SIZE: u32 = 0x200;
/// `trun` flag: every entry has sample flags.
const HAS_FLAGS: u32 = 0x400;
/// `trun` flag: every entry has a composition offset.
const HAS_CTS: u32 = 0x800;
/// `sample_is_non_sync_sample` (ISO/IEC 14496-12 section 8.8.3.1).
const NON_SYNC: u32 = 0x0001_0000;

/// Values that entries without a field of their own have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Defaults {
    /// Ticks of the track.
    pub duration: u32,
    /// Bytes.
    pub size: u32,
    /// Sample flags of ISO/IEC 14496-12 section 8.8.3.1.
    pub flags: u32,
}

/// Samples that follow each other in the file and in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    offset: u64,
    dts: u64,
    count: u32,
    layout: u32,
    defaults: Defaults,
    first_flags: Option<u32>,
    entries: Bytes,
    bytes: u64,
    ticks: u64,
}

/// What a `trun` box says, before its place in file and time is known.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    /// Number of samples.
    pub(super) count: u32,
    /// The flags of the box.
    pub(super) layout: u32,
    /// For fields that the layout leaves out.
    pub(super) defaults: Defaults,
    /// Flags of the first sample, if they differ.
    pub(super) first_flags: Option<u32>,
    /// The entries, with the fields that the layout names.
    pub(super) entries: Bytes,
}

/// Bytes of one entry with these `trun` flags.
pub(super) const fn stride(layout: u32) -> usize {
    (layout & (HAS_DURATION | HAS_SIZE | HAS_FLAGS | HAS_CTS)).count_ones() as usize * 4
}

impl Run {
    /// Places the samples of a listing; refuses one whose entries, sizes or times are impossible.
    pub(super) fn place(listing: Listing, offset: u64, dts: u64) -> Result<Self, MediaError> {
        let Listing { count, layout, defaults, first_flags, entries } = listing;
        if u64::from(count) * stride(layout) as u64 != entries.len() as u64 {
            return Err(MediaError::malformed(*b"trun", "its number of samples does not fit its length"));
        }
        if layout & HAS_SIZE == 0 && defaults.size == 0 && count > 0 {
            return Err(MediaError::malformed(*b"trun", "its samples have no size"));
        }
        let mut run = Self { offset, dts, count, layout, defaults, first_flags, entries, bytes: 0, ticks: 0 };
        if layout & (HAS_SIZE | HAS_DURATION) == 0 {
            run.bytes = u64::from(count) * u64::from(defaults.size);
            run.ticks = u64::from(count) * u64::from(defaults.duration);
        } else {
            let (bytes, ticks) = run.iter().fold((0, 0), |(bytes, ticks), sample| {
                (bytes + u64::from(sample.size), ticks + u64::from(sample.duration))
            });
            run.bytes = bytes;
            run.ticks = ticks;
        }
        let fits = offset.checked_add(run.bytes).is_some() && dts.checked_add(run.ticks).is_some();
        fits.then_some(run).ok_or(MediaError::malformed(*b"trun", "its samples lie beyond any file or time"))
    }

    /// Number of samples.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Position of the first sample in the file, in bytes.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Position behind the last sample in the file, in bytes.
    pub const fn end(&self) -> u64 {
        self.offset + self.bytes
    }

    /// Decode time of the first sample in ticks.
    pub const fn dts(&self) -> u64 {
        self.dts
    }

    /// Decode time behind the last sample in ticks.
    pub const fn end_dts(&self) -> u64 {
        self.dts + self.ticks
    }

    /// True when the samples cost no bytes of the box, so that nothing but the file bounds their number.
    pub(super) const fn is_implicit(&self) -> bool {
        stride(self.layout) == 0
    }

    /// Bytes of memory that the run keeps.
    pub fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.entries.len()
    }

    /// Every sample of this run.
    pub fn iter(&self) -> impl Iterator<Item = Sample> + '_ {
        let (mut offset, mut dts) = (self.offset, self.dts);
        (0..self.count).map(move |at| {
            let sample = self.entry(at, offset, dts);
            // Sums are known to fit: `place` refused the others, and while it adds up they are only lower bounds.
            offset = offset.wrapping_add(u64::from(sample.size));
            dts = dts.wrapping_add(u64::from(sample.duration));
            sample
        })
    }

    fn entry(&self, at: u32, offset: u64, dts: u64) -> Sample {
        let mut place = at as usize * stride(self.layout);
        let mut field = |flag: u32| {
            let present = self.layout & flag != 0;
            let value = present.then(|| self.entries.get(place..place + 4)).flatten();
            place += if present { 4 } else { 0 };
            value.map(|four| u32::from_be_bytes(four.try_into().expect("because the slice has four bytes")))
        };
        let duration = field(HAS_DURATION).unwrap_or(self.defaults.duration);
        let size = field(HAS_SIZE).unwrap_or(self.defaults.size);
        let own = field(HAS_FLAGS);
        let cts = field(HAS_CTS).unwrap_or(0).cast_signed();
        let first = self.first_flags.filter(|_| at == 0);
        let flags = first.or(own).unwrap_or(self.defaults.flags);
        Sample { offset, size, dts, cts, duration, sync: flags & NON_SYNC == 0 }
    }
}

/// Gathers samples into runs, as many as needed so that the samples of each are neighbours in file and time.
pub(super) fn gather(samples: impl IntoIterator<Item = Sample>) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut open: Vec<Sample> = Vec::new();
    for sample in samples {
        let touches = open.last().is_none_or(|last| {
            last.offset.checked_add(u64::from(last.size)) == Some(sample.offset)
                && last.dts.checked_add(u64::from(last.duration)) == Some(sample.dts)
        });
        if !touches {
            runs.push(run_of(&open));
            open.clear();
        }
        open.push(sample);
    }
    if !open.is_empty() {
        runs.push(run_of(&open));
    }
    runs
}

fn run_of(samples: &[Sample]) -> Run {
    let entries = samples.iter().flat_map(|sample| {
        let flags = if sample.sync { 0 } else { NON_SYNC };
        [sample.duration, sample.size, flags, sample.cts.cast_unsigned()].map(u32::to_be_bytes)
    });
    let first = samples.first().expect("because a run is only made of samples");
    let last = samples.last().expect("because a run is only made of samples");
    Run {
        offset: first.offset,
        dts: first.dts,
        count: u32::try_from(samples.len()).expect("because no list of samples fills the memory"),
        layout: HAS_DURATION | HAS_SIZE | HAS_FLAGS | HAS_CTS,
        defaults: Defaults::default(),
        first_flags: None,
        entries: entries.flatten().collect::<Vec<u8>>().into(),
        bytes: last.end() - first.offset,
        ticks: last.dts.saturating_add(u64::from(last.duration)) - first.dts,
    }
}
