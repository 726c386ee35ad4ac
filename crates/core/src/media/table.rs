//! The sample tables of a whole file, gathered from the heads of its segments (ISO/IEC 14496-12 section 8.6 and 8.7).

use super::error::MediaError;
use super::fragment::Fragment;
use super::init::{Init, Medium};
use super::sample::Sample;
use super::trak::{Headers, trak};
use super::write::{full, put_count, put16, put32, put64};

/// A value and how many samples in a row have it.
type Runs = Vec<(u32, u32)>;

/// The sample tables of one track.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) init: Init,
    /// Decode time of the first sample: the begin of the track.
    lead: u64,
    durations: Runs,
    offsets: Runs,
    sizes: Vec<u32>,
    /// Numbers of the samples at which decoding can begin, from 1.
    syncs: Vec<u32>,
    /// Samples per segment.
    counts: Vec<u32>,
    /// Bytes of the head of each segment.
    heads: Vec<u64>,
    /// Where the samples of each segment begin in the file.
    payloads: Vec<u64>,
    /// The last sample, whose duration may still grow up to the next segment.
    held: Option<Sample>,
    /// Decode time behind the last sample.
    end: u64,
    /// When the last picture has been shown, in composition time.
    shown_until: u64,
}

impl Table {
    /// Tables without samples.
    pub(super) const fn new(init: Init) -> Self {
        Self {
            init,
            lead: 0,
            durations: Vec::new(),
            offsets: Vec::new(),
            sizes: Vec::new(),
            syncs: Vec::new(),
            counts: Vec::new(),
            heads: Vec::new(),
            payloads: Vec::new(),
            held: None,
            end: 0,
            shown_until: 0,
        }
    }

    /// Adds the samples of the next segment.
    pub(super) fn push(&mut self, fragment: &Fragment, head_len: u64) -> Result<(), MediaError> {
        if self.sizes.is_empty() {
            self.lead = fragment.base_dts;
        }
        for sample in &fragment.samples {
            self.hold(Some(*sample))?;
            self.sizes.push(sample.size);
            if sample.sync {
                self.syncs.push(u32_of(self.sizes.len() as u64)?);
            }
        }
        self.counts.push(u32_of(fragment.samples.len() as u64)?);
        self.heads.push(head_len);
        self.payloads.push(0);
        Ok(())
    }

    /// Ends the tables after the last segment.
    pub(super) fn finish(&mut self) -> Result<(), MediaError> {
        self.hold(None)
    }

    /// Lists the held sample, which lasts until the next one, and holds that.
    fn hold(&mut self, next: Option<Sample>) -> Result<(), MediaError> {
        if let Some(held) = self.held.take() {
            let until = next.map_or(held.dts + u64::from(held.duration), |next| next.dts);
            let lasts = until.checked_sub(held.dts).filter(|ticks| *ticks > 0 || next.is_none());
            let lasts =
                lasts.ok_or(MediaError::malformed(*b"tfdt", "a segment begins before the last one ends"))?;
            add(&mut self.durations, u32_of(lasts)?);
            add(&mut self.offsets, held.cts.cast_unsigned());
            self.end = until;
            let shown = until.saturating_add_signed(i64::from(held.cts));
            self.shown_until = self.shown_until.max(shown);
        }
        self.held = next;
        Ok(())
    }

    /// Says where the segments begin in the file.
    pub(super) fn place(&mut self, segments: &[u64]) {
        self.payloads = segments.iter().zip(&self.heads).map(|(segment, head)| segment + head).collect();
    }

    /// Duration with the time before the track begins, in ticks of the movie, rounded up.
    pub(super) fn movie_duration(&self, timescale: u32) -> u64 {
        self.edits(timescale).iter().map(|edit| edit.0).sum()
    }

    /// The edit list: first, if the track begins late, an empty time.
    fn edits(&self, timescale: u32) -> Vec<(u64, i64)> {
        let movie = |ticks: u64| {
            let scaled = u128::from(ticks) * u128::from(timescale);
            u64::try_from(scaled.div_ceil(u128::from(self.init.timescale.max(1)))).unwrap_or(u64::MAX)
        };
        let shown = self.shown_until.saturating_sub(self.lead).saturating_sub(self.init.media_time);
        let empty = (self.lead > 0).then(|| (movie(self.lead), -1));
        empty.into_iter().chain([(movie(shown), self.init.media_time.cast_signed())]).collect()
    }

    /// Appends the `trak` box.
    pub(super) fn write(&self, out: &mut Vec<u8>, id: u32, timescale: u32) {
        let headers = Headers {
            id,
            medium: self.init.medium,
            timescale: self.init.timescale,
            duration: self.end.saturating_sub(self.lead),
            movie_duration: self.movie_duration(timescale),
            edits: &self.edits(timescale),
            language: &self.init.language,
            sample_entry: &self.init.sample_entry,
        };
        trak(out, &headers, |out| self.write_tables(out));
    }

    fn write_tables(&self, out: &mut Vec<u8>) {
        write_runs(out, *b"stts", 0, &self.durations);
        if self.offsets.iter().any(|(offset, _)| *offset != 0) {
            let signed = self.offsets.iter().any(|(offset, _)| offset.cast_signed() < 0);
            write_runs(out, *b"ctts", u8::from(signed), &self.offsets);
        }
        if self.syncs.len() < self.sizes.len() {
            full(out, *b"stss", 0, 0, |out| {
                put_count(out, self.syncs.len());
                for sync in &self.syncs {
                    put32(out, *sync);
                }
            });
        }
        self.write_stsc(out);
        full(out, *b"stsz", 0, 0, |out| {
            put32(out, 0);
            put_count(out, self.sizes.len());
            for size in &self.sizes {
                put32(out, *size);
            }
        });
        full(out, *b"co64", 0, 0, |out| {
            put_count(out, self.payloads.len());
            for payload in &self.payloads {
                put64(out, *payload);
            }
        });
        if let (Medium::Audio, Some(roll)) = (self.init.medium, self.roll()) {
            self.write_roll(out, roll);
        }
    }

    /// One chunk per segment; an entry stands for all following chunks of the same length.
    fn write_stsc(&self, out: &mut Vec<u8>) {
        let mut entries: Vec<(u32, u32)> = Vec::new();
        for (chunk, count) in (1..).zip(&self.counts) {
            if entries.last().is_none_or(|last| last.1 != *count) {
                entries.push((chunk, *count));
            }
        }
        full(out, *b"stsc", 0, 0, |out| {
            put_count(out, entries.len());
            for (chunk, count) in entries {
                put32(out, chunk);
                put32(out, count);
                put32(out, 1);
            }
        });
    }

    /// How many frames before a seek must be decoded for sound to be right: one for AAC, 80 ms for Opus.
    fn roll(&self) -> Option<i16> {
        match self.init.sample_entry.get(4..8) {
            Some(b"mp4a") => Some(-1),
            Some(b"Opus") => Some(-4),
            Some(_) | None => None,
        }
    }

    /// All samples belong to one group of the kind `roll` (ISO/IEC 14496-12 section 10.1).
    fn write_roll(&self, out: &mut Vec<u8>, roll: i16) {
        full(out, *b"sgpd", 1, 0, |out| {
            out.extend(b"roll");
            put32(out, 2);
            put32(out, 1);
            put16(out, roll.cast_unsigned());
        });
        full(out, *b"sbgp", 0, 0, |out| {
            out.extend(b"roll");
            put32(out, 1);
            put_count(out, self.sizes.len());
            put32(out, 1);
        });
    }
}

fn add(runs: &mut Runs, value: u32) {
    match runs.last_mut() {
        Some((last, count)) if *last == value => *count += 1,
        Some(_) | None => runs.push((value, 1)),
    }
}

fn write_runs(out: &mut Vec<u8>, kind: [u8; 4], version: u8, runs: &Runs) {
    full(out, kind, version, 0, |out| {
        put_count(out, runs.len());
        for (value, count) in runs {
            put32(out, *count);
            put32(out, *value);
        }
    });
}

fn u32_of(value: u64) -> Result<u32, MediaError> {
    let limit = u64::from(u32::MAX);
    u32::try_from(value).map_err(|_| MediaError::TooLarge {
        what: "a count or duration of samples",
        value,
        limit,
    })
}
