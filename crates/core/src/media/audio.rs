//! Cutting the sound while it is still being encoded: an encoder's growing file becomes final segments.
//!
//! The encoder puts samples before the first that it was given (priming: 1,024 for AAC by ffmpeg) and nothing in its
//! fragmented file says so. The init segment's edit list says it for it, and all times here are counted after it.

use bytes::Bytes;

use super::error::MediaError;
use super::init::{Init, Medium};
use super::part::{Part, Times};
use super::rope::Rope;
use super::sample::Sample;
use super::track::Track;
use crate::limits::SEGMENT_MS;

/// When the video's segments begin: the first at 0, each after the same exact time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Seconds per segment, numerator: for video its pictures per segment times the denominator of its rate.
    pub seconds_num: u64,
    /// Seconds per segment, denominator: for video the numerator of its rate.
    pub seconds_den: u64,
    /// How many segments the video has. `None` without video: cut until the sound ends.
    pub segments: Option<u32>,
}

impl Grid {
    /// The grid of a sound without pictures.
    pub const ALONE: Self = Self { seconds_num: SEGMENT_MS as u64, seconds_den: 1_000, segments: None };

    /// The grid of a video with `segment_frames` pictures per segment at `rate_num / rate_den` pictures per second.
    pub fn of_video(segment_frames: u32, rate_num: u32, rate_den: u32, segments: u32) -> Self {
        Self {
            seconds_num: u64::from(segment_frames) * u64::from(rate_den),
            seconds_den: u64::from(rate_num),
            segments: Some(segments),
        }
    }

    /// When segment `number`, counted from 1, begins, in ticks rounded up.
    ///
    /// The video's last segment keeps a quarter of a segment more than its own time: sound commonly ends a little
    /// after the picture, and a segment of some milliseconds would be waste. Longer sound is cut on the same grid.
    fn start(&self, number: u32, timescale: u32) -> u64 {
        let before = number.saturating_sub(1);
        let quarters =
            4 * u64::from(before) + u64::from(self.segments.is_some_and(|segments| before >= segments));
        let ticks = u128::from(quarters) * u128::from(self.seconds_num) * u128::from(timescale);
        u64::try_from(ticks.div_ceil(4 * u128::from(self.seconds_den.max(1)))).unwrap_or(u64::MAX)
    }
}

/// Cuts the samples of one audio track into segments that begin with the video's.
///
/// Segment n begins with the first frame that is not shown before segment n of the video, so both have the same
/// number of segments, but for two cases: sound that ends early has no segments behind its end, and the frame that
/// holds the end may be in the segment before; sound that is more than a quarter of a segment longer has more.
#[derive(Debug)]
pub struct Cutter {
    grid: Grid,
    timescale: u32,
    priming: u64,
    /// Finished segments that nobody took yet.
    ready: Part,
    /// The samples of the segment that is still growing.
    open: Vec<Sample>,
    /// Decode time behind the last sample.
    until: Option<u64>,
}

impl Cutter {
    /// A cutter for a track of `timescale` ticks per second whose first `priming` ticks are not to be heard.
    pub const fn new(grid: Grid, timescale: u32, priming: u64) -> Self {
        let ready = Part::new(1, Rope::new());
        Self { grid, timescale, priming, ready, open: Vec::new(), until: None }
    }

    /// Takes the samples of the next fragment; an error when time has a gap before one or within.
    pub fn push(&mut self, samples: impl IntoIterator<Item = Sample>) -> Result<(), MediaError> {
        for sample in samples {
            if self.until.is_some_and(|until| until != sample.dts) {
                return Err(MediaError::malformed(*b"tfdt", "the sound has a gap or an overlap"));
            }
            let next = self.ready.next().saturating_add(1);
            let boundary = self.grid.start(next, self.timescale);
            let shown = sample.dts.saturating_sub(self.priming);
            if shown >= boundary && !self.open.is_empty() {
                self.close()?;
            }
            self.until = Some(sample.dts.saturating_add(u64::from(sample.duration)));
            self.open.push(sample);
        }
        Ok(())
    }

    /// How many finished segments wait to be taken.
    pub fn ready(&self) -> usize {
        self.ready.rows.len()
    }

    /// The finished segments since the last call; `None` when there is none.
    pub fn take(&mut self) -> Option<Part> {
        let rest = Part::new(self.ready.next(), Rope::new());
        (self.ready() > 0).then(|| std::mem::replace(&mut self.ready, rest))
    }

    /// The remaining segments, after the encoder has ended; `None` when all were taken.
    pub fn finish(mut self) -> Result<Option<Part>, MediaError> {
        if !self.open.is_empty() {
            self.close()?;
        }
        Ok(self.take())
    }

    /// Ticks of the sound so far that will be heard.
    pub fn heard(&self) -> u64 {
        self.until.unwrap_or(0).saturating_sub(self.priming)
    }

    /// The init segment of the track.
    pub fn init(&self, track: &Track) -> Option<Bytes> {
        Init::of(track, self.priming).map(|init| init.write())
    }

    fn close(&mut self) -> Result<(), MediaError> {
        let base_dts = self.open.first().map_or(0, |first| first.dts);
        let shown = |dts: u64| dts.saturating_sub(self.priming);
        let end = self.open.last().map_or(0, |last| last.dts.saturating_add(u64::from(last.duration)));
        let times = Times { base_dts, start: shown(base_dts), end: shown(end) };
        self.ready.push(Medium::Audio, times, &self.open)?;
        self.open.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::made::{frames, store};
    use proptest::prelude::*;

    fn sound(count: usize) -> Vec<Sample> {
        let mut samples = frames(count);
        store(&mut [], &mut samples, &[300, 290], &[50]);
        samples
    }

    #[test]
    fn segments_begin_with_the_first_frame_not_before_the_video() {
        // 2 x 48 pictures at 24 per second are exactly 4 s, so 192,000 ticks; 1,024 of priming are not heard.
        let mut cutter = Cutter::new(Grid::of_video(96, 24, 1, 3), 48_000, 1_024);
        cutter.push(sound(600)).unwrap();
        assert_eq!(cutter.ready(), 2);
        assert_eq!(cutter.heard(), 599 * 1_024);
        let rows = cutter.finish().unwrap().unwrap().rows;
        assert_eq!(rows.iter().map(|row| row.start).collect::<Vec<_>>(), [0, 188 * 1_024, 375 * 1_024]);
        assert_eq!(rows[2].end(), 599 * 1_024, "the last segment has all the rest");
    }

    #[test]
    fn sound_behind_the_picture_is_cut_too_but_not_a_little_of_it() {
        let durations = |frames: usize| {
            let mut cutter = Cutter::new(Grid::of_video(96, 24, 1, 2), 48_000, 1_024);
            cutter.push(sound(frames)).unwrap();
            let rows = cutter.finish().unwrap().unwrap().rows;
            rows.iter().map(|row| row.duration / 1_024).collect::<Vec<_>>()
        };
        assert_eq!(durations(1 + 376), [188, 188]);
        assert_eq!(durations(1 + 376 + 46), [188, 234], "9 s are the end of the second");
        assert_eq!(durations(1 + 376 + 47), [188, 234, 1]);
        assert_eq!(durations(1_000), [188, 234, 188, 187, 188, 14]);
    }

    #[test]
    fn sound_that_ends_early_has_fewer_segments_and_sound_alone_needs_no_video() {
        let count = |grid: Grid, frames: usize| {
            let mut cutter = Cutter::new(grid, 48_000, 1_024);
            cutter.push(sound(frames)).unwrap();
            cutter.finish().unwrap().map_or(0, |part| part.rows.len())
        };
        assert_eq!(count(Grid::of_video(100, 25, 1, 9), 200), 2);
        assert_eq!(count(Grid::ALONE, 1_000), 6);
        assert_eq!(count(Grid::ALONE, 0), 0);
    }

    #[test]
    fn a_gap_in_the_sound_is_an_error() {
        let mut cutter = Cutter::new(Grid::ALONE, 48_000, 1_024);
        cutter.push(sound(5)).unwrap();
        assert!(cutter.push(sound(7).split_off(6)).unwrap_err().to_string().contains("gap"));
    }

    proptest! {
        #[test]
        fn fragments_and_parts_of_any_size_give_the_same_segments(
            count in 1_usize..2_000, fragment in 1_usize..300, part in 1_usize..5,
        ) {
            let grid = Grid::of_video(120, 30_000, 1_001, 8);
            let mut whole = Cutter::new(grid, 48_000, 1_024);
            whole.push(sound(count)).unwrap();
            let whole = whole.finish().unwrap().unwrap();
            let (mut cutter, mut rope, mut rows) = (Cutter::new(grid, 48_000, 1_024), Rope::new(), Vec::new());
            let mut keep = |part: Part| {
                assert_eq!(part.first as usize, rows.len() + 1);
                rows.extend(part.rows.iter().map(|row| super::super::segment::Row { offset: row.offset + rope.len(), ..*row }));
                rope.append(part.rope);
            };
            for samples in sound(count).chunks(fragment) {
                cutter.push(samples.iter().copied()).unwrap();
                if cutter.ready() >= part {
                    keep(cutter.take().unwrap());
                }
            }
            if let Some(part) = cutter.finish().unwrap() {
                keep(part);
            }
            prop_assert_eq!(rows, whole.rows);
            prop_assert_eq!(rope, whole.rope);
        }
    }
}
