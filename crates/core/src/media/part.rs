//! A part: consecutive segments of one track with their final bytes, as a rope over the file that an encoder wrote.

use super::error::MediaError;
use super::fragment::head;
use super::init::Medium;
use super::rope::Rope;
use super::sample::Sample;
use super::segment::Row;

/// Consecutive segments of one track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The number of the first segment, from 1.
    pub first: u32,
    /// The bytes of all segments; ranges are of the encoder's file.
    pub rope: Rope<()>,
    /// One row per segment; offsets are places in the rope, so in the object it is written to.
    pub rows: Vec<Row>,
}

/// When a segment is decoded and shown, in ticks of the track.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Decode time of the first sample.
    pub(super) base_dts: u64,
    /// When the first sample is shown.
    pub(super) start: u64,
    /// When the next segment begins.
    pub(super) end: u64,
}

impl Part {
    /// A part without segments.
    pub(super) const fn new(first: u32, rope: Rope<()>) -> Self {
        Self { first, rope, rows: Vec::new() }
    }

    /// The number that the next segment gets.
    pub(super) fn next(&self) -> u32 {
        self.first.saturating_add(u32::try_from(self.rows.len()).unwrap_or(u32::MAX))
    }

    /// Adds the segment with these samples.
    pub(super) fn push(
        &mut self,
        medium: Medium,
        times: Times,
        samples: &[Sample],
    ) -> Result<(), MediaError> {
        let head = head(medium, self.next(), times.base_dts, samples)?;
        self.rows.push(Row {
            start: times.start,
            duration: duration(times.start, times.end)?,
            offset: self.rope.len(),
            len: head.bytes.len() as u64 + head.payload_len,
            head_len: u32::try_from(head.bytes.len())
                .expect("because a head lists samples that were in memory"),
            key_len: head.key_len,
            ranges_len: 0,
        });
        self.rope.push_literal(head.bytes);
        for sample in samples {
            self.rope.push_range((), sample.offset, u64::from(sample.size));
        }
        Ok(())
    }
}

/// The ticks between two times; an error when a row cannot hold them.
pub(super) fn duration(start: u64, end: u64) -> Result<u32, MediaError> {
    let value = end.saturating_sub(start);
    let limit = u64::from(u32::MAX);
    u32::try_from(value).map_err(|_| MediaError::TooLarge {
        what: "the duration of one segment in ticks",
        value,
        limit,
    })
}
