//! The gate of a ladder: which sizes are worth their bytes, by what short samples of them look like (SSIM).

use serde::{Deserialize, Serialize};

/// SSIM is counted in ten-thousandths: encoders differ by less.
const WHOLE: f64 = 10_000.0;

/// One size of a ladder, as its samples came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// Its short side in pixels.
    pub short: u32,
    /// How like the source it looks when both are as large as the largest size: SSIM in ten-thousandths.
    pub ssim: u32,
    /// What the whole video has in this size, in bytes, by its samples.
    pub bytes: u64,
    /// It is made.
    pub kept: bool,
}

/// Marks what is made of a ladder, the largest size first: the smallest, and each one that looks better than the next
/// smaller one that is made by at least `gain_permille` thousandths of SSIM. So nothing that is left out would have
/// looked better than the best that is made by more than that.
pub fn judge(ladder: &mut [Judged], gain_permille: u16) {
    let mut best: Option<u32> = None;
    for one in ladder.iter_mut().rev() {
        one.kept = best.is_none_or(|best| one.ssim >= best + u32::from(gain_permille) * 10);
        if one.kept {
            best = Some(one.ssim);
        }
    }
}

/// Bytes of what is not made.
pub fn saved(ladder: &[Judged]) -> u64 {
    ladder.iter().filter(|one| !one.kept).map(|one| one.bytes).sum()
}

/// Reads what the filter that was called `name` said of its two pictures, in ten-thousandths.
pub fn parse(report: &str, name: &str) -> Option<u32> {
    let mark = format!("[{name} @ ");
    let line = report.lines().rev().find(|line| line.contains(&mark) && line.contains("SSIM "))?;
    let (_, all) = line.rsplit_once("All:")?;
    let value: f64 = all.split_whitespace().next()?.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 0 and 1")]
    (0.0..=1.0).contains(&value).then_some((value * WHOLE).round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder(ssim: &[u32]) -> Vec<Judged> {
        let one = |(n, ssim): (u32, &u32)| Judged { short: 1_080 - n, ssim: *ssim, bytes: 100, kept: false };
        (0..).zip(ssim).map(one).collect()
    }

    #[test]
    fn a_size_that_adds_nothing_is_left_out() {
        let kept = |ssim: &[u32], gain| {
            let mut all = ladder(ssim);
            judge(&mut all, gain);
            (all.iter().map(|one| one.kept).collect::<Vec<_>>(), saved(&all))
        };
        assert_eq!(kept(&[9_900, 9_700, 9_000], 5), (vec![true, true, true], 0));
        // A large picture that was made of a small one.
        assert_eq!(kept(&[9_910, 9_900, 9_000], 5), (vec![false, true, true], 100));
        // Steps of which each is too small, but not two of them.
        assert_eq!(kept(&[9_960, 9_930, 9_900], 5), (vec![true, false, true], 100));
        assert_eq!(kept(&[9_000, 9_500, 9_900], 5), (vec![false, false, true], 200));
        assert_eq!(kept(&[9_000], 100), (vec![true], 0));
        assert_eq!(kept(&[], 5), (vec![], 0));
    }

    #[test]
    fn the_report_of_each_filter_is_found() {
        let report = "[ssim@size1 @ 0x55] [warning] not matching timebases\n\
            [ssim@size1 @ 0x55] [info] SSIM Y:0.945254 (12.6) U:0.925029 (11.2) V:0.934867 (11.8) All:0.940152 (12.2)\n\
            [ssim@size0 @ 0x56] [info] SSIM Y:1.000000 (inf) U:1.000000 (inf) V:1.000000 (inf) All:1.000000 (inf)\n";
        assert_eq!(parse(report, "ssim@size1"), Some(9_402));
        assert_eq!(parse(report, "ssim@size0"), Some(10_000));
        assert_eq!(parse(report, "ssim@size2"), None);
        assert_eq!(parse(&report.replace("0.940152", "nan"), "ssim@size1"), None);
    }
}
