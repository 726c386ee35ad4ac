//! One sample: where it lies in a file, and when it is decoded and shown.

/// One sample: a picture, or a frame of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Position in the file, in bytes.
    pub offset: u64,
    /// Length in bytes.
    pub size: u32,
    /// Decode time in ticks of the track.
    pub dts: u64,
    /// Composition time minus decode time, in ticks of the track.
    pub cts: i32,
    /// Distance to the next decode time, in ticks of the track.
    pub duration: u32,
    /// True when decoding can begin here.
    pub sync: bool,
}

impl Sample {
    /// Composition time in ticks of the track, before any edit.
    pub fn pts(&self) -> i64 {
        i64::try_from(self.dts).unwrap_or(i64::MAX).saturating_add(i64::from(self.cts))
    }

    /// Position behind the sample in the file, in bytes.
    pub const fn end(&self) -> u64 {
        self.offset.saturating_add(self.size as u64)
    }
}
