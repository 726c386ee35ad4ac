//! Captions: the words of a video as WebVTT. Read leniently, written strictly, and proven before anybody sees them.

mod read;

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

pub use read::{Unreadable, read};

use crate::video::Problem;

/// Where a caption is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is still to be made.
    Waiting,
    /// It can be shown.
    Ready,
    /// It could not be made.
    Failed,
    /// It is there in the source in a form that no text can be made of.
    Unsupported,
}

/// Some words and when they are shown, in milliseconds from the begin of the video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cue {
    /// When they appear.
    pub start_ms: i64,
    /// When they go.
    pub end_ms: i64,
    /// Where they stand, as WebVTT says it; empty for the usual place.
    pub settings: String,
    /// The words, with line breaks and the few tags of WebVTT.
    pub text: String,
}

/// What is wrong with a text that was to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It cannot be read again.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] Unreadable),
    /// A cue goes before it comes.
    #[error("cue {0} ends before it begins")]
    Backwards(usize),
    /// A cue comes before the one before it.
    #[error("cue {0} begins before the one in front of it")]
    Order(usize),
    /// A cue lies outside of the video.
    #[error("cue {0} lies outside of the video")]
    Outside(usize),
}

/// What is said of pictures instead of text.
pub fn unsupported(codec: &str) -> Problem {
    let known = codec.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_').take(40);
    Problem {
        code: "captions_are_pictures".to_owned(),
        human: format!(
            "These subtitles are pictures ({}), which cannot be converted to text.",
            known.collect::<String>()
        ),
        fix: "Upload a SubRip or WebVTT file of the same words.".to_owned(),
    }
}

/// What is said of subtitles that could not be read, or hold no words.
pub fn unusable() -> Problem {
    Problem {
        code: "captions_unreadable".to_owned(),
        human: "These subtitles could not be read, or there are no words in them.".to_owned(),
        fix: "Upload a SubRip or WebVTT file of the same words.".to_owned(),
    }
}

/// The cues in order, moved by `shift_ms` and cut to a video of this length; those outside of it are gone.
pub fn fitted(cues: Vec<Cue>, shift_ms: i64, duration_ms: i64) -> Vec<Cue> {
    let moved = |cue: Cue| Cue {
        start_ms: cue.start_ms.saturating_add(shift_ms).max(0),
        end_ms: cue.end_ms.saturating_add(shift_ms).min(duration_ms),
        ..cue
    };
    let mut fitted: Vec<Cue> = cues.into_iter().map(moved).filter(|cue| cue.start_ms < cue.end_ms).collect();
    fitted.sort_by_key(|cue| (cue.start_ms, cue.end_ms));
    fitted
}

/// The WebVTT file of these cues.
pub fn write(cues: &[Cue]) -> String {
    // The map says to HLS players that these times are those of the segments.
    let mut text = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n".to_owned();
    for cue in cues {
        text.push('\n');
        time(&mut text, cue.start_ms);
        text.push_str(" --> ");
        time(&mut text, cue.end_ms);
        if !cue.settings.is_empty() {
            text.push(' ');
            text.push_str(&cue.settings);
        }
        text.push('\n');
        // An arrow in a line, or an empty line, would end the cue.
        for line in cue.text.lines().filter(|line| !line.trim().is_empty()) {
            text.push_str(&line.replace("-->", "--&gt;"));
            text.push('\n');
        }
    }
    text
}

fn time(text: &mut String, ms: i64) {
    let (seconds, ms) = (ms.max(0) / 1_000, ms.max(0) % 1_000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    write!(text, "{:02}:{:02}:{seconds:02}.{ms:03}", minutes / 60, minutes % 60)
        .expect("because writing to a String cannot fail");
}

/// Proves a written file: it can be read, its times rise and lie inside of the video. Returns how many cues it has.
pub fn verify(bytes: &[u8], duration_ms: i64) -> Result<usize, Fault> {
    let cues = read(bytes)?;
    let mut before = 0;
    for (number, cue) in (1..).zip(&cues) {
        match () {
            () if cue.end_ms <= cue.start_ms => return Err(Fault::Backwards(number)),
            () if cue.start_ms < before => return Err(Fault::Order(number)),
            () if cue.end_ms > duration_ms => return Err(Fault::Outside(number)),
            () => before = cue.start_ms,
        }
    }
    Ok(cues.len())
}

/// The chapters of a video as cues: each with its title, or its number.
pub fn chapters(chapters: &[crate::plan::probe::Chapter]) -> Vec<Cue> {
    let cue = |(number, chapter): (usize, &crate::plan::probe::Chapter)| {
        let title = crate::language::label(&chapter.title, "");
        Cue {
            start_ms: chapter.start_us / 1_000,
            end_ms: chapter.end_us / 1_000,
            settings: String::new(),
            // A title is no markup.
            text: match title.as_str() {
                "" => format!("Chapter {number}"),
                title => title.replace('&', "&amp;").replace('<', "&lt;"),
            },
        }
    };
    (1..).zip(chapters).map(cue).collect()
}

#[cfg(test)]
mod tests;
