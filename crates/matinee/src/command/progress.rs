//! How far long work is: bars on a terminal, else a line every ten seconds; both on standard error.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use matinee_core::ribbon::{Progress, Ribbon};
use matinee_io::clock::Stopwatch;

use super::text;

/// Without a terminal a line is written so often, in milliseconds.
const LINE_MS: u64 = 10_000;
const NAME_CHARS: usize = 28;

/// Where bars are drawn.
pub(crate) struct Board {
    bars: Option<MultiProgress>,
    lines: bool,
}

impl Board {
    /// Bars or lines, or nothing when `silent`.
    pub(crate) fn new(silent: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { bars: (terminal && !silent).then(MultiProgress::new), lines: !terminal && !silent }
    }

    /// A bar for bytes on their way in.
    pub(crate) fn bytes(&self, name: &str, total: u64) -> Bar {
        self.bar(name, total, "{prefix} [{bar:24}] {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left")
    }

    /// A bar for the work on a video.
    pub(crate) fn work(&self, name: &str) -> Bar {
        self.bar(name, 1_000, "{prefix} [{bar:24}] {percent:>3} %  {msg}")
    }

    fn bar(&self, name: &str, total: u64, template: &str) -> Bar {
        let style = ProgressStyle::with_template(template)
            .expect("because the template is fixed")
            .progress_chars("=> ");
        let bar = match &self.bars {
            Some(bars) => bars.add(ProgressBar::new(total)),
            None => ProgressBar::hidden(),
        };
        bar.set_style(style);
        let shown = text::short(name, NAME_CHARS);
        bar.set_prefix(format!("{shown:<NAME_CHARS$}"));
        let line = self.lines.then(|| Mutex::new(Stopwatch::start()));
        Bar { drawn: bar, name: text::plain(name), total, line }
    }

    /// Writes something else without tearing the bars.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }
}

/// One line of progress.
pub(crate) struct Bar {
    drawn: ProgressBar,
    name: String,
    total: u64,
    line: Option<Mutex<Stopwatch>>,
}

impl Bar {
    /// So many bytes are there.
    pub(crate) fn reached(&self, done: u64) {
        self.drawn.set_position(done);
        self.line(|| format!("{} of {}", text::size(done), text::size(self.total)));
    }

    /// So far is the work on the video.
    pub(crate) fn ribbon(&self, ribbon: &Ribbon) {
        let position = (ribbon.overall * 1_000.0).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 1000")]
        self.drawn.set_position(position as u64);
        self.drawn.set_message(steps(ribbon));
        self.line(|| format!("{:.0} %, {}", ribbon.overall * 100.0, steps(ribbon)));
    }

    /// Takes the bar away: a line with the result follows.
    pub(crate) fn end(&self) {
        self.drawn.finish_and_clear();
    }

    fn line(&self, text: impl FnOnce() -> String) {
        let Some(line) = &self.line else { return };
        let mut since = line.lock().expect("because nothing panics while it is held");
        if since.elapsed_ms() >= LINE_MS {
            *since = Stopwatch::start();
            // Nobody is left to be told when standard error is closed.
            drop(writeln!(std::io::stderr(), "{}: {}", self.name, text()));
        }
    }
}

/// The ribbon in words: what is done, and what is being done.
pub(crate) fn steps(ribbon: &Ribbon) -> String {
    let shown = ribbon.steps.iter().map(|step| match step.state {
        Progress::Done => format!("{} ok", step.label),
        Progress::Running if step.progress > 0.0 => format!("{} {:.0} %", step.label, step.progress * 100.0),
        Progress::Running => format!("{} ..", step.label),
        Progress::Waiting => step.label.clone(),
        Progress::Failed => format!("{} failed", step.label),
    });
    shown.collect::<Vec<_>>().join(" > ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use matinee_core::ribbon::Step;

    #[test]
    fn the_ribbon_reads_as_a_line() {
        let step = |label: &str, state, progress| Step {
            id: label.to_owned(),
            label: label.to_owned(),
            state,
            progress,
        };
        let steps_of = vec![
            step("Received", Progress::Done, 1.0),
            step("Playable", Progress::Running, 0.0),
            step("480", Progress::Running, 0.61),
            step("720", Progress::Waiting, 0.0),
        ];
        assert_eq!(
            steps(&Ribbon { overall: 0.5, steps: steps_of }),
            "Received ok > Playable .. > 480 61 % > 720"
        );
    }
}
