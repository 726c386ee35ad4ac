//! Reads the reports that ffmpeg writes for `-progress`: lines `key=value`, each report ended by `progress=`.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_cut_anywhere_is_the_same_report() {
        let text = b"frame=25\nfps=0.00\nout_time_us=1000000\nspeed=1.5x\nprogress=continue\nframe=50\n\
            out_time_us=N/A\nspeed=N/A\nprogress=end\n";
        for cut in 0..text.len() {
            let mut reports = Reports::default();
            let mut seen = reports.feed(&text[..cut]);
            seen.extend(reports.feed(&text[cut..]));
            let first = Progress { frame: 25, out_time_us: 1_000_000, speed: 1.5, ended: false };
            let last = Progress { frame: 50, out_time_us: 1_000_000, speed: 0.0, ended: true };
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
