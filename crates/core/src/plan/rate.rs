//! The constant-rate grid: which frame rate, how many ticks a frame has, how long a GOP and a segment are.

use serde::{Deserialize, Serialize};

/// Frames per second as a fraction in lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rate {
    /// Frames per `den` seconds; never 0.
    pub num: u32,
    /// Seconds; never 0.
    pub den: u32,
}

/// The rates that a source is taken to mean when its average is within 0.5 % of one.
const KNOWN: [Rate; 9] = [
    Rate::of(24_000, 1_001),
    Rate::of(24, 1),
    Rate::of(25, 1),
    Rate::of(30_000, 1_001),
    Rate::of(30, 1),
    Rate::of(48, 1),
    Rate::of(50, 1),
    Rate::of(60_000, 1_001),
    Rate::of(60, 1),
];
/// A nominal rate above this is a time base that was written in the wrong field (90,000 or 1,000).
const NOMINAL_MAX: u64 = 300;
/// A picture that lasts longer than this many seconds is a slip of the pen, too.
const PICTURE_S_MAX: u64 = 3_600;

impl Rate {
    /// The fraction as it is given, which must be in lowest terms and not zero.
    pub const fn of(num: u32, den: u32) -> Self {
        Self { num, den }
    }

    /// The fraction in lowest terms; `None` when it is zero, infinite, or its parts do not fit.
    pub fn reduced(num: u64, den: u64) -> Option<Self> {
        let common = gcd(num, den);
        if num == 0 || den == 0 {
            return None;
        }
        let (mut num, mut den) = (num / common, den / common);
        // Averages over long files have huge parts; half a bit of precision at 32 bits does not matter.
        while num > u64::from(u32::MAX) >> 8 || den > u64::from(u32::MAX) >> 8 {
            (num, den) = (num >> 1, den >> 1);
        }
        match (u32::try_from(num), u32::try_from(den)) {
            (Ok(num), Ok(den)) if num > 0 && den > 0 => Some(Self { num, den }),
            _ => None,
        }
    }

    /// The rate of the grid for a source (`transcode.md` section 2): its average where that means a known rate, else
    /// its nominal rate. `typical` (of the commonest interval) decides where the nominal one means nothing either.
    pub fn grid(average: Option<Self>, nominal: Option<Self>, typical: Option<Self>) -> Self {
        let usable = |rate: &Self| {
            u64::from(rate.num) <= NOMINAL_MAX * u64::from(rate.den)
                && u64::from(rate.den) <= PICTURE_S_MAX * u64::from(rate.num)
        };
        let nominal = nominal.filter(usable).map(Self::halved);
        let known =
            |rate: Option<Self>| rate.and_then(|rate| rate.snapped().or_else(|| rate.halved().snapped()));
        known(average)
            .or_else(|| known(nominal))
            .or_else(|| known(typical))
            .or(nominal)
            .or_else(|| average.map(|rate| rate.halved().nearest()))
            .unwrap_or(Self::of(25, 1))
    }

    /// Whether this is more than `frames` a second.
    pub fn above(self, frames: u32) -> bool {
        u64::from(self.num) > u64::from(frames) * u64::from(self.den)
    }

    /// Ticks per second of every track on this grid, so that a frame is a whole number of ticks.
    pub const fn timescale(self) -> u32 {
        if self.num >= 1_000 { self.num } else { self.num * 512 }
    }

    /// Ticks of `timescale` that one frame of the grid lasts.
    pub const fn ticks_per_frame(self) -> u32 {
        if self.num >= 1_000 { self.den } else { self.den * 512 }
    }

    /// Frames between two key frames: two seconds, even so that half rate divides it.
    pub fn gop(self) -> u32 {
        let twice = 2 * u64::from(self.num);
        let den = u64::from(self.den);
        let nearest = (2 * twice + den) / (2 * den);
        let even = nearest + nearest % 2;
        u32::try_from(even.max(2)).unwrap_or(u32::MAX)
    }

    /// The time of frame `frame` after the origin, in microseconds, rounded down.
    pub fn frame_us(self, frame: u64) -> i64 {
        let us = u128::from(frame) * 1_000_000 * u128::from(self.den) / u128::from(self.num);
        i64::try_from(us).unwrap_or(i64::MAX)
    }

    /// The frame that is on screen at this time after the origin, in microseconds.
    pub fn frame_at(self, at_us: i64) -> u64 {
        let us = u128::from(at_us.max(0).unsigned_abs());
        let frame = us * u128::from(self.num) / (1_000_000 * u128::from(self.den));
        let frame = u64::try_from(frame).unwrap_or(u64::MAX - 1);
        // Times are rounded down, so at the time of a frame that very frame is meant.
        if self.frame_us(frame + 1) <= at_us { frame + 1 } else { frame }
    }

    /// The number of frames of `duration_us` microseconds, rounded to the nearest.
    pub fn frames_in(self, duration_us: i64) -> u64 {
        let us = u128::from(duration_us.max(0).unsigned_abs());
        let per = 1_000_000 * u128::from(self.den);
        u64::try_from((2 * us * u128::from(self.num) + per) / (2 * per)).unwrap_or(u64::MAX)
    }

    /// Halves until at most 60.
    fn halved(self) -> Self {
        let mut rate = self;
        while rate.above(60) {
            rate = Self::reduced(u64::from(rate.num), 2 * u64::from(rate.den)).unwrap_or(Self::of(60, 1));
        }
        rate
    }

    /// The known rate within 0.5 %, if there is one; the nearer one where two are.
    fn snapped(self) -> Option<Self> {
        let near = self.nearest();
        (self.distance(near) * 200 <= u128::from(near.num) * u128::from(self.den)).then_some(near)
    }

    /// The nearest known rate.
    fn nearest(self) -> Self {
        // |a/b - c/d| is compared over one denominator, 1001 b: all known ones divide 1001.
        let over = |known: &Self| self.distance(*known) * u128::from(1_001 / known.den);
        KNOWN.into_iter().min_by_key(over).expect("because the list of known rates is not empty")
    }

    /// `|self - other|` times both denominators.
    fn distance(self, other: Self) -> u128 {
        (u128::from(self.num) * u128::from(other.den)).abs_diff(u128::from(other.num) * u128::from(self.den))
    }
}

/// The greatest common divisor; `b` when `a` is 0.
fn gcd(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while a != 0 {
        (a, b) = (b % a, a);
    }
    b.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(average: (u64, u64), nominal: (u64, u64)) -> (u32, u32) {
        let fraction = |(num, den)| Rate::reduced(num, den);
        let rate = Rate::grid(fraction(average), fraction(nominal), None);
        (rate.num, rate.den)
    }

    #[test]
    fn the_average_snaps_to_a_known_rate_within_half_a_percent() {
        assert_eq!(grid((2_997, 100), (90_000, 1)), (30_000, 1_001));
        assert_eq!(grid((29_985, 1_000), (30, 1)), (30_000, 1_001));
        assert_eq!(grid((24, 1), (24, 1)), (24, 1));
        assert_eq!(grid((23_976, 1_000), (24, 1)), (24_000, 1_001));
        assert_eq!(grid((60_020, 1_000), (60, 1)), (60, 1));
        assert_eq!(grid((25_124, 1_000), (30, 1)), (25, 1));
        assert_eq!(grid((25_126, 1_000), (30, 1)), (30, 1));
    }

    #[test]
    fn an_average_that_means_nothing_gives_way_to_the_nominal_rate() {
        assert_eq!(grid((27, 1), (30_000, 1_001)), (30_000, 1_001));
        assert_eq!(grid((27, 1), (90_000, 1)), (25, 1));
        assert_eq!(grid((1, 1), (1, 1)), (1, 1));
        assert_eq!(grid((0, 0), (0, 0)), (25, 1));
        assert_eq!(grid((1, 3_600), (1, 3_600)), (1, 3_600));
        assert_eq!(grid((1, 16_000_000), (1, 16_000_000)), (24_000, 1_001));
    }

    #[test]
    fn dropped_frames_leave_the_commonest_interval_to_decide() {
        let odd = Rate::reduced(10_900, 599);
        assert_eq!(Rate::grid(odd, odd, Rate::reduced(1_000_000, 40_010)), Rate::of(25, 1));
        assert_eq!(Rate::grid(odd, Some(Rate::of(30, 1)), Rate::reduced(1_000_000, 40_010)), Rate::of(30, 1));
        assert_eq!(Rate::grid(odd, odd, Rate::reduced(1_000_000, 90_000)), odd.unwrap());
    }

    #[test]
    fn more_than_sixty_is_halved() {
        assert_eq!(grid((120, 1), (120, 1)), (60, 1));
        assert_eq!(grid((120_000, 1_001), (120_000, 1_001)), (60_000, 1_001));
        assert_eq!(grid((240, 1), (240, 1)), (60, 1));
        assert_eq!(grid((100, 1), (100, 1)), (50, 1));
    }

    #[test]
    fn a_frame_is_a_whole_number_of_ticks() {
        let check = |num, den, scale, ticks, gop| {
            let rate = Rate::of(num, den);
            assert_eq!((rate.timescale(), rate.ticks_per_frame(), rate.gop()), (scale, ticks, gop));
        };
        check(25, 1, 12_800, 512, 50);
        check(30, 1, 15_360, 512, 60);
        check(30_000, 1_001, 30_000, 1_001, 60);
        check(24_000, 1_001, 24_000, 1_001, 48);
        check(60_000, 1_001, 60_000, 1_001, 120);
        check(1, 1, 512, 512, 2);
        check(15, 2, 7_680, 1_024, 16);
    }

    #[test]
    fn frames_are_rounded_to_the_nearest() {
        assert_eq!(Rate::of(25, 1).frames_in(10_019_999), 250);
        assert_eq!(Rate::of(25, 1).frames_in(10_020_000), 251);
        assert_eq!(Rate::of(30_000, 1_001).frames_in(59_726_333), 1_790);
        assert_eq!(Rate::of(25, 1).frames_in(-5), 0);
    }
}
