//! What people write into the fields of several endpoints: a title, a moment.

use matinee_core::limits;
use matinee_core::time::Millis;

use super::problem::{Code, Problem};
use super::view::read_time;

/// A title that somebody chose: not empty, not endless, any letters; it is escaped wherever it is shown.
pub(super) fn titled(title: &str) -> Result<&str, Problem> {
    let title = title.trim();
    match title.chars().count() {
        1..=limits::TITLE_CHARS_MAX if !title.chars().any(char::is_control) => Ok(title),
        _ => {
            let text =
                format!("A title has 1 to {} letters and no control characters.", limits::TITLE_CHARS_MAX);
            Err(Problem::new(Code::BadRequest, text))
        }
    }
}

/// A moment that somebody has written.
pub(super) fn moment(text: &str) -> Result<Millis, Problem> {
    let wrong =
        || Problem::new(Code::BadRequest, "`run_after` must be a moment such as 2026-11-21T10:00:00Z.");
    read_time(text).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_may_be_anything_but_endless_empty_or_unprintable() {
        for fine in ["a", " Jörgs Film 🎬 ", "<script>alert(1)</script>", "\u{202e}evil"] {
            assert_eq!(titled(fine).ok(), Some(fine.trim()));
        }
        let (longest, longer) =
            ("x".repeat(limits::TITLE_CHARS_MAX), "x".repeat(limits::TITLE_CHARS_MAX + 1));
        assert!(titled(&longest).is_ok());
        for wrong in ["", "  ", "a\r\nSet-Cookie: b", "\u{0}", &longer] {
            assert!(titled(wrong).is_err(), "{wrong:?}");
        }
    }
}
