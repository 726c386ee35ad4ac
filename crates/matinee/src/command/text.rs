//! Text for people: tables, sizes, lengths and times.

use std::io::Write;

use matinee_core::time::Millis;

/// A column: its title, and whether its cells stand at the right.
pub(crate) struct Column(pub(crate) &'static str, pub(crate) bool);

/// Writes rows below their titles, aligned; the last column is as long as it likes.
pub(crate) fn table(out: &mut impl Write, columns: &[Column], rows: &[Vec<String>]) -> std::io::Result<()> {
    let titles: Vec<String> = columns.iter().map(|column| column.0.to_owned()).collect();
    let lines = || std::iter::once(&titles).chain(rows);
    let width = |at: usize| lines().map(|line| line[at].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    for line in lines() {
        let mut text = String::new();
        for ((cell, column), width) in line.iter().zip(columns).zip(&widths) {
            let width = *width;
            let padded = if column.1 { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
            text.push_str(&padded);
            text.push_str("  ");
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

/// Text from outside without what would move the cursor or change colours of the reader's terminal.
pub(crate) fn plain(text: &str) -> String {
    let hidden = |letter: char| {
        letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|letter| if hidden(letter) { '\u{fffd}' } else { letter }).collect()
}

/// At most `max` characters, with a mark where something is left out.
pub(crate) fn short(text: &str, max: usize) -> String {
    let text = plain(text);
    if text.chars().count() <= max {
        return text;
    }
    let kept: String = text.chars().take(max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Bytes for people, such as `4.1 MB`.
pub(crate) fn size(bytes: u64) -> String {
    let mut unit_bytes = 1_000_u64;
    let units = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < unit_bytes {
        return if bytes == 1 { "1 byte".to_owned() } else { format!("{bytes} bytes") };
    }
    for (at, unit) in units.iter().enumerate() {
        let tenths = tenths(bytes, unit_bytes);
        if tenths < 10_000 || at + 1 == units.len() {
            return if tenths < 1_000 {
                format!("{}.{} {unit}", tenths / 10, tenths % 10)
            } else {
                format!("{} {unit}", (tenths + 5) / 10)
            };
        }
        unit_bytes *= 1_000;
    }
    unreachable!("because the last unit takes everything")
}

/// How many tenths of the unit, rounded.
fn tenths(bytes: u64, unit_bytes: u64) -> u64 {
    let tenth = unit_bytes / 10;
    bytes / tenth + u64::from(bytes % tenth >= tenth / 2)
}

/// A length such as `0:30` or `1:02:03`.
pub(crate) fn length(ms: u64) -> String {
    let s = (ms + 500) / 1_000;
    if s < 3_600 {
        format!("{}:{:02}", s / 60, s % 60)
    } else {
        format!("{}:{:02}:{:02}", s / 3_600, s / 60 % 60, s % 60)
    }
}

/// How long ago a moment was, such as `3 min ago`.
pub(crate) fn ago(now: Millis, at: Millis) -> String {
    let s = now.since(at) / 1_000;
    match s {
        ..1 => "now".to_owned(),
        1..60 => format!("{s} s ago"),
        60..3_600 => format!("{} min ago", s / 60),
        3_600..172_800 => format!("{} h ago", s / 3_600),
        172_800.. => format!("{} days ago", s / 86_400),
    }
}

/// How long something takes, such as `4.2 s` or `1:05`.
pub(crate) fn took(ms: u64) -> String {
    if ms < 60_000 { format!("{}.{} s", ms / 1_000, ms % 1_000 / 100) } else { length(ms) }
}

/// A moment as people write it, in UTC.
pub(crate) fn moment(at: Millis) -> String {
    let text = crate::http::view::time(at);
    // `2026-11-21T10:00:00.123Z` without its letters and its milliseconds.
    text.get(..19).unwrap_or(&text).replace('T', " ")
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (1_000, "1.0 kB"),
            (4_139_823, "4.1 MB"),
            (99_949_999, "99.9 MB"),
            (412_000_000_000, "412 GB"),
            (999_960, "1.0 MB"),
            (u64::MAX, "18447 PB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn lengths_and_times_have_the_unit_that_matters() {
        assert_eq!([0, 30_000, 61_499, 3_723_000].map(length), ["0:00", "0:30", "1:01", "1:02:03"]);
        let now = Millis(10_000_000_000);
        let ages = [0, 59_000, 60_000, 7_200_000, 864_000_000].map(|ms| ago(now, now.plus(-ms)));
        assert_eq!(ages, ["now", "59 s ago", "1 min ago", "2 h ago", "10 days ago"]);
        assert_eq!(moment(Millis(1_763_719_200_123)), "2025-11-21 10:00:00");
    }

    #[test]
    fn a_table_stands_in_columns() {
        let mut out = Vec::new();
        let rows = [
            vec!["vid_1".to_owned(), "4.1 MB".to_owned(), "é".to_owned()],
            vec!["v".to_owned(), "9 bytes".to_owned(), "longer".to_owned()],
        ];
        table(&mut out, &[Column("ID", false), Column("SIZE", true), Column("TITLE", false)], &rows).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "ID        SIZE  TITLE\nvid_1   4.1 MB  é\nv      9 bytes  longer\n"
        );
    }

    #[test]
    fn a_title_cannot_command_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\u{202e}c\r\n"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}\u{fffd}");
        assert_eq!(short("twelve letters", 8), "twelve…");
    }
}
