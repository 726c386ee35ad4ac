//! How loud a sound is (EBU R 128, ITU-R BS.1770), and what makes it as loud as others.

use serde::{Deserialize, Serialize};

/// Quieter than this is silence: the gate of ITU-R BS.1770-4 lets nothing below it count. In tenths of LUFS.
const SILENCE_TENTHS: i32 = -700;
/// No sound is made louder by more than this, in tenths of dB: what is left is mostly noise.
const GAIN_TENTHS_MAX: i32 = 200;
/// The highest true peak that a gain may lead to, in tenths of dBTP: encoders overshoot a little (EBU R 128, 1.0).
const PEAK_TENTHS_MAX: i32 = -10;

/// What ffmpeg's `ebur128` filter measured of a whole sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// Integrated loudness in tenths of LUFS.
    pub loudness_tenths: i32,
    /// True peak in tenths of dBTP.
    pub peak_tenths: i32,
}

/// How loud a sound was, and what was done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leveled {
    /// Integrated loudness of the source in tenths of LUFS.
    pub loudness_tenths: i32,
    /// By how much it was made louder, in tenths of dB.
    pub gain_tenths: i32,
}

impl Leveled {
    /// Can a sound be so, and be treated so? Who tells of it may be a stranger.
    pub fn can_be(self) -> bool {
        let loud = SILENCE_TENTHS..=-SILENCE_TENTHS;
        loud.contains(&self.loudness_tenths) && (SILENCE_TENTHS..=GAIN_TENTHS_MAX).contains(&self.gain_tenths)
    }
}

impl Measured {
    /// What is done to bring the sound to `target_lufs`.
    pub fn leveled(self, target_lufs: i8) -> Leveled {
        Leveled { loudness_tenths: self.loudness_tenths, gain_tenths: self.gain_tenths(target_lufs) }
    }

    /// Reads the summary that the filter prints at its end; `None` without one.
    pub fn parse(report: &str) -> Option<Self> {
        let (_, summary) = report.rsplit_once("Summary:")?;
        let value = |name: &str, unit: &str| {
            let line = summary.lines().find_map(|line| line.trim().strip_prefix(name))?;
            tenths(line.trim().strip_suffix(unit)?.trim_end())
        };
        Some(Self { loudness_tenths: value("I:", "LUFS")?, peak_tenths: value("Peak:", "dBFS")? })
    }

    /// The gain in tenths of dB that brings the sound to `target_lufs`, as far as its peaks allow; silence stays silence.
    fn gain_tenths(self, target_lufs: i8) -> i32 {
        if self.loudness_tenths <= SILENCE_TENTHS {
            return 0;
        }
        let wanted = i32::from(target_lufs) * 10 - self.loudness_tenths;
        let allowed = PEAK_TENTHS_MAX.saturating_sub(self.peak_tenths);
        // What is too loud anyway is only made quieter as far as was asked for.
        wanted.min(allowed.max(0)).min(GAIN_TENTHS_MAX)
    }
}

/// `-23.0` as -230; `-inf` is the lowest number there is.
fn tenths(text: &str) -> Option<i32> {
    if text == "-inf" {
        return Some(i32::MIN);
    }
    let value: f64 = text.parse().ok().filter(|value: &f64| value.abs() < 10_000.0)?;
    #[expect(clippy::cast_possible_truncation, reason = "the range was just checked")]
    let tenths = (value * 10.0).round() as i32;
    Some(tenths)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "[Parsed_ebur128_2 @ 0x55] [info] Summary:\n\n  Integrated loudness:\n    I:         -23.4 LUFS\n    \
        Threshold: -33.5 LUFS\n\n  Loudness range:\n    LRA:         5.1 LU\n    Threshold: -43.4 LUFS\n    LRA low:   -26.2 LUFS\n    \
        LRA high:  -21.1 LUFS\n\n  True peak:\n    Peak:       -6.2 dBFS\n";

    fn measured(loudness_tenths: i32, peak_tenths: i32) -> Measured {
        Measured { loudness_tenths, peak_tenths }
    }

    #[test]
    fn the_summary_is_read() {
        assert_eq!(Measured::parse(REPORT), Some(measured(-234, -62)));
        let silent = REPORT.replace("-23.4", "-70.0").replace("-6.2", " -inf");
        assert_eq!(Measured::parse(&silent), Some(measured(-700, i32::MIN)));
        for broken in [
            String::new(),
            REPORT.replace("Summary", "Summar"),
            REPORT.replace("I:", "J:"),
            REPORT.replace("-23.4", "nan"),
            REPORT.replace("-23.4", "1e99"),
            REPORT[..REPORT.len() - 40].to_owned(),
        ] {
            assert_eq!(Measured::parse(&broken), None, "{broken}");
        }
    }

    #[test]
    fn what_no_sound_can_be_is_seen() {
        for (loudness_tenths, gain_tenths) in [(-701, 0), (i32::MAX, 0), (-230, 201), (-230, i32::MIN)] {
            assert!(!Leveled { loudness_tenths, gain_tenths }.can_be());
        }
    }

    #[test]
    fn a_sound_is_made_as_loud_as_its_peaks_allow() {
        for (what, measured, target, gain) in [
            ("quiet", measured(-234, -120), -16, 74),
            ("its peaks are near the top", measured(-234, -62), -16, 52),
            ("too loud", measured(-80, 5), -16, -80),
            ("right, with peaks over the top", measured(-160, 8), -16, 0),
            ("nearly nothing", measured(-690, -500), -16, 200),
            ("silence", measured(-700, i32::MIN), -16, 0),
        ] {
            let leveled = measured.leveled(target);
            assert_eq!(leveled.gain_tenths, gain, "{what}");
            assert_eq!(leveled.loudness_tenths, measured.loudness_tenths, "{what}");
            assert!(leveled.can_be(), "{what}");
        }
    }
}
