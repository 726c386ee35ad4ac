//! Reads the reports that ffmpeg writes for `-progress`: lines `key=value`, each report ended by `progress=`.

use matinee_core::limits::STALL_STEPS;

use super::Progress;

/// Longer lines are no reports.
const LINE_BYTES_MAX: usize = 4096;

/// Turns bytes, cut anywhere, into reports.
#[derive(Debug, Default)]
pub(super) struct Reports {
    line: Vec<u8>,
    next: Progress,
}

impl Reports {
    /// Takes more bytes and returns the reports that they complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Progress> {
        let mut done = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' => {
                    done.extend(self.line_ends());
                    self.line.clear();
                }
                _ if self.line.len() < LINE_BYTES_MAX => self.line.push(*byte),
                _ => {}
            }
        }
        done
    }

    fn line_ends(&mut self) -> Option<Progress> {
        let line = std::str::from_utf8(&self.line).ok()?;
        let (key, value) = line.split_once('=')?;
        let value = value.trim();
        match key.trim() {
            "frame" => self.next.frame = value.parse().unwrap_or(self.next.frame),
            // "N/A" until the first packet: the value before stays.
            "out_time_us" => self.next.out_time_us = value.parse().unwrap_or(self.next.out_time_us),
            "fps" => self.next.fps = value.parse().unwrap_or(self.next.fps),
            "speed" => self.next.speed = value.trim_end_matches('x').parse().unwrap_or(0.0),
            "progress" => {
                self.next.ended = value == "end";
                return Some(self.next);
            }
            _ => {}
        }
        None
    }
}

/// The steps of a run: when the last one was, and how far apart they usually are.
#[derive(Debug, Default)]
pub(super) struct Steps {
    last_us: Option<i64>,
    last_ms: u64,
    /// Lengths in milliseconds, sorted; the first so many say enough.
    lengths: Vec<u64>,
}

/// After so many steps the median does not change any more that matters.
const STEPS_MAX: usize = 512;

impl Steps {
    /// Hears how far the output is at this moment.
    pub(super) fn hear(&mut self, out_us: i64, now_ms: u64) {
        if self.last_us.is_some_and(|last| out_us <= last) {
            return;
        }
        // The first step is the start of the program, which says nothing about the others.
        if self.last_us.replace(out_us).is_some() && self.lengths.len() < STEPS_MAX {
            let length = now_ms.saturating_sub(self.last_ms);
            let at = self.lengths.partition_point(|known| *known < length);
            self.lengths.insert(at, length);
        }
        self.last_ms = now_ms;
    }

    /// How long nothing has come, when that is too long.
    pub(super) fn stalled_ms(&self, least_ms: u64, now_ms: u64) -> Option<u64> {
        let median = self.lengths.get(self.lengths.len() / 2).copied().unwrap_or_default();
        let limit_ms = least_ms.max(median.saturating_mul(STALL_STEPS));
        (now_ms.saturating_sub(self.last_ms) >= limit_ms).then_some(limit_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_rare_steps_is_given_twenty_of_them() {
        let mut steps = Steps::default();
        assert_eq!(steps.stalled_ms(60_000, 59_999), None, "it may take a while to begin");
        assert_eq!(steps.stalled_ms(60_000, 60_000), Some(60_000));
        steps.hear(1, 50_000);
        for step in 1..=5 {
            steps.hear(1 + i64::try_from(step).unwrap(), 50_000 + step * 4_000);
            steps.hear(1, 50_000 + step * 4_000 + 1_000);
        }
        assert_eq!(steps.stalled_ms(60_000, 70_000 + 79_999), None, "twenty steps of 4 s");
        assert_eq!(steps.stalled_ms(60_000, 70_000 + 80_000), Some(80_000));
        assert_eq!(steps.stalled_ms(90_000, 70_000 + 80_000), None, "never less than was asked for");
    }

    #[test]
    fn a_report_cut_anywhere_is_the_same_report() {
        let text = b"frame=25\nfps=12.50\nout_time_us=1000000\nspeed=1.5x\nprogress=continue\nframe=50\n\
            out_time_us=N/A\nspeed=N/A\nprogress=end\n";
        for cut in 0..text.len() {
            let mut reports = Reports::default();
            let mut seen = reports.feed(&text[..cut]);
            seen.extend(reports.feed(&text[cut..]));
            let first = Progress { frame: 25, out_time_us: 1_000_000, fps: 12.5, speed: 1.5, ended: false };
            let last = Progress { frame: 50, out_time_us: 1_000_000, fps: 12.5, speed: 0.0, ended: true };
            assert_eq!(seen, [first, last], "cut at {cut}");
        }
    }

    #[test]
    fn an_endless_line_takes_no_memory() {
        let mut reports = Reports::default();
        reports.feed(&vec![b'x'; 1 << 20]);
        assert_eq!(reports.line.len(), LINE_BYTES_MAX);
    }
}
