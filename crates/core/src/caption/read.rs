//! Reads `SubRip` and WebVTT by one rule: a line with two times begins a cue, and an empty line ends it.
//!
//! Both kinds are written by hand and by many programs, so that what is no cue is passed over, as players do.

use super::Cue;
use crate::limits;

/// Why a text holds no captions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// More bytes than any film has words.
    #[error("it has more than {} bytes", limits::CAPTION_BYTES_MAX)]
    TooLong,
    /// More cues than any film has sentences.
    #[error("it has more than {} cues", limits::CAPTION_CUES_MAX)]
    TooMany,
    /// Another encoding, or no text.
    #[error("it is no text in UTF-8")]
    Encoding,
    /// Text of another kind.
    #[error("it is neither SubRip nor WebVTT")]
    Kind,
}

/// The cues of a `SubRip` or WebVTT file, in its order. A file without a cue is WebVTT when it says so.
pub fn read(bytes: &[u8]) -> Result<Vec<Cue>, Unreadable> {
    if bytes.len() > limits::CAPTION_BYTES_MAX {
        return Err(Unreadable::TooLong);
    }
    let text = decoded(bytes)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let plain = text.replace("\r\n", "\n").replace('\r', "\n");
    let says_so = plain
        .strip_prefix("WEBVTT")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n']));
    let mut cues: Vec<Cue> = Vec::new();
    let mut open: Option<Cue> = None;
    for line in plain.lines().chain([""]) {
        match (times(line), &mut open) {
            (Some(next), open) => cues.extend(open.replace(next)),
            // In WebVTT a line of blanks is a line; SubRip's writers mean an empty one.
            (None, Some(_)) if line.is_empty() || !says_so && line.trim().is_empty() => {
                cues.extend(open.take());
            }
            (None, Some(cue)) => {
                if !cue.text.is_empty() {
                    cue.text.push('\n');
                }
                let line: String = shown(line).collect();
                cue.text.push_str(&if says_so { line } else { escaped(&line) });
            }
            // A number, a name, a note or a style.
            (None, None) => {}
        }
        if cues.len() > limits::CAPTION_CUES_MAX {
            return Err(Unreadable::TooMany);
        }
    }
    if cues.is_empty() && !says_so {
        return Err(Unreadable::Kind);
    }
    cues.retain(|cue| !cue.text.trim().is_empty());
    Ok(cues)
}

/// UTF-8, or UTF-16 with its mark: what Windows programs write.
fn decoded(bytes: &[u8]) -> Result<String, Unreadable> {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return String::from_utf8(bytes.to_vec()).map_err(|_| Unreadable::Encoding),
    };
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
    String::from_utf16(&units).map_err(|_| Unreadable::Encoding)
}

/// A line of `SubRip`, which knows no escapes, for WebVTT: a `<` that opens or closes no tag is a letter.
fn escaped(line: &str) -> String {
    const TAGS: [&str; 4] = ["b", "i", "u", "font"];
    let is_tag = |rest: &str| {
        let name = rest.trim_start_matches('/').to_ascii_lowercase();
        let after =
            TAGS.iter().find_map(|tag| name.strip_prefix(tag).filter(|after| after.starts_with(['>', ' '])));
        after.is_some_and(|after| after.contains('>'))
    };
    let mut parts = line.split('<');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(if is_tag(part) { "<" } else { "&lt;" });
        text.push_str(part);
    }
    text
}

/// Letters that can be shown; the others do not belong into a text.
fn shown(line: &str) -> impl Iterator<Item = char> + '_ {
    line.chars().filter(|letter| !letter.is_control() || *letter == '\t')
}

/// The begin of a cue: `00:01:02,500 --> 00:01:04.000 line:80%`.
fn times(line: &str) -> Option<Cue> {
    let (from, rest) = line.split_once("-->")?;
    let mut words = rest.split_whitespace();
    let (start_ms, end_ms) = (time_ms(from.trim())?, time_ms(words.next()?)?);
    let kept: Vec<&str> = words.filter(|word| is_setting(word)).collect();
    Some(Cue { start_ms, end_ms, settings: kept.join(" "), text: String::new() })
}

/// Hours are left out by some, and there is a comma in `SubRip` and a point in WebVTT.
fn time_ms(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    let parts: Vec<&str> = whole.split(':').collect();
    let number = |text: &str, digits: usize| {
        let fits = (1..=digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if fits { text.parse::<i64>().ok() } else { None }
    };
    let (hours, minutes, seconds) = match parts.as_slice() {
        [hours, minutes, seconds] => (number(hours, 4)?, number(minutes, 2)?, number(seconds, 2)?),
        [minutes, seconds] => (0, number(minutes, 2)?, number(seconds, 2)?),
        _ => return None,
    };
    let ms = number(&format!("{fraction:0<3}"), 3)?;
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000 + ms)
}

/// A setting of WebVTT that needs nothing else of its file; a region would.
fn is_setting(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'%' | b'.' | b',' | b'-');
    word.split_once(':').is_some_and(|(name, value)| {
        matches!(name, "line" | "position" | "size" | "align" | "vertical") && value.bytes().all(plain)
    })
}
