//! The storyboard: small pictures of a whole video on a few sheets, and where the one of each moment is.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Tiles side by side on a sheet.
pub const COLUMNS: u32 = 5;
/// Tiles one above the other on a sheet.
pub const ROWS: u32 = 5;
/// Tiles of one sheet.
const TILES: usize = (COLUMNS * ROWS) as usize;
/// Width of a tile in pixels: what fits above the bar of a player on a phone.
const WIDTH: u32 = 160;
/// Tiles are at least so far apart, in microseconds: key frames of our renditions are, too.
const STEP_US_MIN: i64 = 2_000_000;
/// About so many tiles tell the longest video.
const PARTS: i64 = 100;

/// What is on the sheets of one video; stored as JSON with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storyboard {
    /// Width and height of a tile in pixels, both even.
    pub tile: (u32, u32),
    /// Each tile is one key frame of so many.
    pub every: u32,
    /// From one tile to the next, in microseconds.
    pub step_us: i64,
    /// When the picture of each tile is shown, in microseconds from the start; rising.
    pub times_us: Vec<i64>,
    /// Length of the video in microseconds: the last tile is good until then.
    pub duration_us: i64,
}

impl Storyboard {
    /// The storyboard of a rendition of this size whose evenly spaced key frames are shown at these times; `None`
    /// without any.
    pub fn of((width, height): (u32, u32), keys_us: &[i64], duration_us: i64) -> Option<Self> {
        let (first, last) = (*keys_us.first()?, *keys_us.last()?);
        let gaps = i64::try_from(keys_us.len() - 1).ok()?;
        let gap_us = if gaps > 0 { ((last - first) / gaps).max(1) } else { duration_us.max(1) };
        let wanted_us = STEP_US_MIN.max(duration_us / PARTS);
        // An eighth of a gap less than wanted is near enough: rounded rates give 1.98 s instead of 2.
        let every = (wanted_us - gap_us / 8 + gap_us - 1).div_euclid(gap_us).max(1);
        let every_nth = usize::try_from(every).ok()?;
        Some(Self {
            tile: within((width, height), WIDTH),
            every: u32::try_from(every).ok()?,
            step_us: every.saturating_mul(gap_us),
            times_us: keys_us.iter().copied().step_by(every_nth).collect(),
            duration_us,
        })
    }

    /// How many sheets there are.
    pub const fn sheets(&self) -> usize {
        self.times_us.len().div_ceil(TILES)
    }

    /// Width and height of every sheet in pixels; the last one may have empty places.
    pub const fn sheet_size(&self) -> (u32, u32) {
        (self.tile.0 * COLUMNS, self.tile.1 * ROWS)
    }

    /// The WebVTT track that names the picture of each moment (media fragments `#xywh`). `address` gives the address
    /// of a sheet, counted from 1.
    pub fn vtt(&self, address: impl Fn(usize) -> String) -> String {
        let mut text = String::from("WEBVTT\n");
        let ends = self.times_us.iter().copied().skip(1).chain([i64::MAX]);
        for (n, (from, until)) in self.times_us.iter().zip(ends).enumerate() {
            // The first tile is good from the start, and the last one to the end.
            let from_ms = if n == 0 { 0 } else { from / 1_000 };
            let until_ms = if until == i64::MAX { self.duration_us / 1_000 } else { until / 1_000 };
            let (sheet, place) = (n / TILES + 1, u32::try_from(n % TILES).unwrap_or_default());
            let (x, y) = (place % COLUMNS * self.tile.0, place / COLUMNS * self.tile.1);
            write!(
                text,
                "\n{} --> {}\n{}#xywh={x},{y},{},{}\n",
                clock(from_ms),
                clock(until_ms.max(from_ms + 1)),
                address(sheet),
                self.tile.0,
                self.tile.1
            )
            .expect("because writing to a String cannot fail");
        }
        text
    }
}

/// The size of a picture that is made no wider than `width_max`, and never larger than it is; both sides even.
pub fn within((width, height): (u32, u32), width_max: u32) -> (u32, u32) {
    let even = |side: u64| u32::try_from(side / 2 * 2).unwrap_or(u32::MAX - 1).max(2);
    let wanted = width_max.min(width).max(1);
    let tall = u64::from(height) * u64::from(wanted) / u64::from(width.max(1));
    (even(u64::from(wanted)), even(tall))
}

/// The size of a picture that is made with no side longer than `side_max`, and never larger than it is; both sides even.
pub fn within_side((width, height): (u32, u32), side_max: u32) -> (u32, u32) {
    let longest = u64::from(width.max(height).max(1));
    let width_max = u64::from(side_max) * u64::from(width) / longest;
    within((width, height), u32::try_from(width_max).unwrap_or(u32::MAX))
}

/// A time of WebVTT.
fn clock(ms: i64) -> String {
    let ms = ms.max(0);
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:03}", ms / 1_000 % 60, ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Key frames of a rendition of `gop` frames at a rate.
    fn keys((num, den): (i64, i64), gop: i64, frames: i64) -> Vec<i64> {
        (0..frames).step_by(usize::try_from(gop).unwrap()).map(|n| n * 1_000_000 * den / num).collect()
    }

    #[test]
    fn a_minute_has_a_tile_each_two_seconds() {
        let board = Storyboard::of((426, 240), &keys((25, 1), 50, 1_525), 61_000_000).unwrap();
        assert_eq!((board.tile, board.sheet_size()), ((160, 90), (800, 450)));
        assert_eq!((board.every, board.step_us, board.times_us.len(), board.sheets()), (1, 2_000_000, 31, 2));
        let text = board.vtt(|n| format!("storyboard/{n}.jpg"));
        let cues: Vec<&str> = text.split("\n\n").collect();
        assert_eq!(cues[0], "WEBVTT");
        assert_eq!(cues[1], "00:00:00.000 --> 00:00:02.000\nstoryboard/1.jpg#xywh=0,0,160,90");
        assert_eq!(cues[7], "00:00:12.000 --> 00:00:14.000\nstoryboard/1.jpg#xywh=160,90,160,90");
        assert_eq!(cues[26], "00:00:50.000 --> 00:00:52.000\nstoryboard/2.jpg#xywh=0,0,160,90");
        assert_eq!(cues[31], "00:01:00.000 --> 00:01:01.000\nstoryboard/2.jpg#xywh=0,90,160,90\n");
    }

    #[test]
    fn long_videos_have_about_a_hundred_tiles_whatever_their_rate() {
        for (rate, gop) in
            [((25, 1), 50), ((24_000, 1_001), 48), ((60_000, 1_001), 120), ((121, 5), 48), ((1, 3), 2)]
        {
            for minutes in [5, 47, 120, 720] {
                let frames = minutes * 60 * rate.0 / rate.1;
                let board =
                    Storyboard::of((426, 240), &keys(rate, gop, frames), minutes * 60_000_000).unwrap();
                let tiles = board.times_us.len();
                assert!(tiles <= 116 && board.sheets() <= 5, "{rate:?} {minutes} min: {tiles}");
                assert!(tiles >= 50, "{rate:?} {minutes} min: {tiles}");
            }
        }
    }

    #[test]
    fn a_single_picture_is_a_storyboard_and_none_is_not() {
        let board = Storyboard::of((64, 64), &[0], 40_000).unwrap();
        assert_eq!((board.tile, board.every, board.times_us.as_slice()), ((64, 64), 50, &[0][..]));
        assert!(board.vtt(|n| n.to_string()).ends_with("00:00:00.000 --> 00:00:00.040\n1#xywh=0,0,64,64\n"));
        assert_eq!(Storyboard::of((64, 64), &[], 40_000), None);
    }

    #[test]
    fn sizes_keep_their_shape_are_even_and_never_grow() {
        for (size, width_max, made) in [
            ((1_920, 1_080), 160, (160, 90)),
            ((240, 426), 160, (160, 284)),
            ((426, 240), 640, (426, 240)),
            ((853, 480), 1_000, (852, 480)),
            ((8_192, 16), 160, (160, 2)),
            ((2, 2), 1, (2, 2)),
        ] {
            assert_eq!(within(size, width_max), made, "{size:?} {width_max}");
        }
    }

    proptest! {
        #[test]
        fn cues_follow_each_other_without_a_gap(gop in 1_i64..300, rate in 1_i64..61, frames in 1_i64..40_000) {
            let duration_us = frames * 1_000_000 / rate;
            let board = Storyboard::of((320, 180), &keys((rate, 1), gop, frames), duration_us).unwrap();
            let text = board.vtt(|n| n.to_string());
            let times: Vec<(String, String)> = text
                .lines()
                .filter_map(|line| line.split_once(" --> ").map(|(a, b)| (a.to_owned(), b.to_owned())))
                .collect();
            prop_assert_eq!(times.len(), board.times_us.len());
            prop_assert!(times[0].0 == "00:00:00.000");
            prop_assert!(times.iter().all(|(from, until)| from < until));
            prop_assert!(times.windows(2).all(|pair| pair[0].1 == pair[1].0));
            prop_assert!(board.sheet_size().0 < 65_536 && board.sheet_size().1 < 65_536);
        }
    }
}
