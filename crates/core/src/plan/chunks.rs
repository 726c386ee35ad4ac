//! How a video is cut into jobs, and where the decoder of each begins.

use super::{Chunk, Rate, Seek, Timeline};

/// Lengths of the first chunks in segments: the first picture must come early.
const RAMP: [u64; 3] = [1, 1, 2];
/// Shortest and longest chunk behind the ramp, in seconds.
const LENGTH_S: (u64, u64) = (20, 120);
/// Between those two a video has about so many chunks: four for each of 16 slots, so that the last ones end together. Never
/// as many as this machine has slots: a chunk is encoded by itself, so its place would change the bytes.
const PIECES: u64 = 64;
/// A source shorter than this is the ramp and one rest, in seconds.
const SHORT_S: u64 = 30;
/// A seek to less than this behind the container's start is left out, in microseconds.
const SEEK_US_MIN: i64 = 500;

/// The grid that chunks are cut on.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    /// Frames per second.
    pub rate: Rate,
    /// Frames of the whole video.
    pub frames: u64,
    /// Frames per segment.
    pub segment: u64,
    /// Pictures are interlaced, so the decoder begins one key frame earlier.
    pub interlaced: bool,
}

/// The chunks of a video, without gaps from frame 0; the same ones on every machine.
pub fn chunks(grid: Grid, timeline: &Timeline) -> Vec<Chunk> {
    let mut all = Vec::new();
    let mut first = 0;
    for (number, frames) in (0_u32..).zip(lengths(grid)) {
        all.push(Chunk { number, first, frames, seek: seek(grid, timeline, first) });
        first += frames;
    }
    all
}

/// One chunk for everything, read from the first packet with times that ffmpeg rewrites.
pub fn whole(grid: Grid) -> Vec<Chunk> {
    vec![Chunk { number: 0, first: 0, frames: grid.frames, seek: Seek::Rewritten }]
}

/// Frames of each chunk.
fn lengths(grid: Grid) -> Vec<u64> {
    let seconds = |count: u64| count * u64::from(grid.rate.num) / u64::from(grid.rate.den);
    let duration_s = grid.frames * u64::from(grid.rate.den) / u64::from(grid.rate.num);
    let wanted_s = (duration_s / PIECES).clamp(LENGTH_S.0, LENGTH_S.1);
    let segments = (seconds(wanted_s) + grid.segment / 2) / grid.segment;
    let length = if duration_s < SHORT_S { grid.frames } else { segments.max(1) * grid.segment };
    let mut all = Vec::new();
    let mut left = grid.frames;
    let mut ramp = RAMP.iter().map(|count| count * grid.segment);
    while left > 0 {
        let next = ramp.next().unwrap_or(length);
        // A rest below one segment joins its predecessor: the number of frames may be one too large, and a
        // chunk without frames would be a failed one.
        let take = if left < next + grid.segment { left } else { next };
        all.push(take);
        left -= take;
    }
    all
}

/// Where the decoder begins for a chunk at frame `first`.
fn seek(grid: Grid, timeline: &Timeline, first: u64) -> Seek {
    let at_us = timeline.origin_us + grid.rate.frame_us(first);
    // bwdif looks one frame back, so the first picture needs a decoded one before it.
    let back = usize::from(grid.interlaced);
    match timeline.key_before(at_us, back).map(|key| key - timeline.container_start_us) {
        Some(ss_us) if ss_us >= SEEK_US_MIN && first > 0 => Seek::Key { ss_us },
        Some(_) | None => Seek::Start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::timeline::Packet;
    use proptest::prelude::*;

    fn grid(frames: u64) -> Grid {
        Grid { rate: Rate::of(25, 1), frames, segment: 100, interlaced: false }
    }

    /// 25 pictures a second and a key frame every `gop` pictures, from `start_us` on.
    fn timeline(frames: i64, gop: i64, start_us: i64) -> Timeline {
        let packet = |n: i64| Packet {
            pts_us: start_us + n * 40_000,
            duration_us: 40_000,
            key: n % gop == 0,
            discard: false,
        };
        Timeline::from_packets(start_us, (0..frames).map(packet), std::iter::empty())
    }

    #[test]
    fn lengths_are_a_ramp_and_then_a_part_of_the_whole() {
        let check = |frames: u64, expected: &[u64]| assert_eq!(lengths(grid(frames)), expected);
        check(0, &[]);
        check(1, &[1]);
        check(100, &[100]);
        check(199, &[199]);
        check(200, &[100, 100]);
        check(749, &[100, 100, 200, 349]);
        check(1_500, &[100, 100, 200, 500, 500, 100]);
        check(1_499, &[100, 100, 200, 500, 599]);
        check(1_501, &[100, 100, 200, 500, 500, 101]);
        for (minutes, length_s) in [(5, 20), (20, 20), (60, 56), (120, 112), (240, 120)] {
            assert_eq!(lengths(grid(minutes * 1_500))[3], length_s * 25, "{minutes} minutes");
        }
    }

    #[test]
    fn four_workers_are_more_than_three_times_as_fast_as_one() {
        // What each chunk of a film of 200 s took one runner with one slot, in milliseconds: claimed, encoded, brought back,
        // proven and published by a real server.
        let took_ms: [u64; 13] =
            [2_173, 1_317, 2_569, 4_415, 3_257, 4_580, 6_394, 3_229, 3_447, 2_895, 6_096, 5_216, 1_211];
        assert_eq!(lengths(grid(5_000)).len(), took_ms.len(), "these are the chunks of such a film");
        let all_ms = |workers: usize| {
            let mut busy_ms = vec![0; workers];
            for took in took_ms {
                *busy_ms.iter_mut().min().unwrap() += took;
            }
            busy_ms.into_iter().max().unwrap()
        };
        for (workers, hundredths) in [(2, 195), (3, 270), (4, 320)] {
            let speed = 100 * all_ms(1) / all_ms(workers);
            assert!(speed >= hundredths, "{workers} workers are {speed} hundredths as fast as one");
        }
    }

    #[test]
    fn a_chunk_seeks_to_the_last_key_frame_at_or_before_it_counted_from_the_container() {
        let line = timeline(500, 60, 1_400_000);
        assert_eq!(seek(grid(500), &line, 100), Seek::Key { ss_us: 2_400_000 });
        assert_eq!(seek(grid(500), &line, 300), Seek::Key { ss_us: 12_000_000 });
        assert_eq!(seek(grid(500), &line, 0), Seek::Start);
        let interlaced = Grid { interlaced: true, ..grid(500) };
        assert_eq!(seek(interlaced, &line, 300), Seek::Key { ss_us: 9_600_000 });
        assert_eq!(seek(interlaced, &line, 100), Seek::Start);
    }

    #[test]
    fn a_seek_below_half_a_millisecond_is_left_out() {
        let mut line = timeline(500, 600, 0);
        line.container_start_us = -499;
        assert_eq!(seek(grid(500), &line, 100), Seek::Start);
        line.container_start_us = -500;
        assert_eq!(seek(grid(500), &line, 100), Seek::Key { ss_us: 500 });
    }

    proptest! {
        #[test]
        fn chunks_cover_every_frame_once_and_begin_on_segments(frames in 1_u64..200_000) {
            let all = chunks(grid(frames), &timeline(10, 10, 0));
            prop_assert_eq!(all.iter().map(|chunk| chunk.frames).sum::<u64>(), frames);
            let mut next = 0;
            for chunk in &all {
                prop_assert_eq!(chunk.first, next);
                prop_assert_eq!(chunk.first % 100, 0);
                next += chunk.frames;
            }
            prop_assert!(all.len() == 1 || all.iter().all(|chunk| chunk.frames >= 100));
        }
    }
}
