//! Parts of a file: the `Range` header (RFC 9110 section 14) and the name under which it is saved (RFC 6266).

use std::fmt::Write as _;

/// What a request wants of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: no range, one that is not understood, or several.
    Whole,
    /// The bytes from `first` to `last`, both included.
    Part {
        /// The first byte.
        first: u64,
        /// The last byte.
        last: u64,
    },
    /// Nothing that the file has.
    Outside,
}

/// Reads a `Range` header for a file of `size` bytes. Several ranges are answered with the whole file.
pub fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(range) = header.and_then(|value| value.trim().strip_prefix("bytes=")) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = range.split_once('-') else { return Wanted::Whole };
    let number = |text: &str| {
        let text = text.trim();
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let end = size.saturating_sub(1);
    match (number(first), first.trim().is_empty(), number(last), last.trim().is_empty()) {
        (Some(first), _, Some(last), _) if first > last => Wanted::Whole,
        (Some(first), _, Some(_), _) | (Some(first), _, None, true) if first >= size => Wanted::Outside,
        (Some(first), _, Some(last), _) => Wanted::Part { first, last: last.min(end) },
        (Some(first), _, None, true) => Wanted::Part { first, last: end },
        (None, true, Some(0), _) => Wanted::Outside,
        (None, true, Some(_), _) if size == 0 => Wanted::Outside,
        (None, true, Some(tail), _) => Wanted::Part { first: size.saturating_sub(tail), last: end },
        _ => Wanted::Whole,
    }
}

/// A `Content-Disposition` that saves a file under `name`, whatever letters it has (RFC 6266 and RFC 8187).
pub fn attachment(name: &str) -> String {
    let safe = |letter: char| letter.is_ascii_alphanumeric() || " .-_()".contains(letter);
    let plain: String = name.chars().map(|letter| if safe(letter) { letter } else { '_' }).collect();
    let mut header = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            header.push(char::from(byte));
        } else {
            write!(header, "%{byte:02X}").expect("because writing to a String cannot fail");
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(first: u64, last: u64) -> Wanted {
        Wanted::Part { first, last }
    }

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (header, expected) in [
            (None, Wanted::Whole),
            (Some("bytes=0-0"), part(0, 0)),
            (Some("bytes=2-"), part(2, 9)),
            (Some("bytes=2-400"), part(2, 9)),
            (Some("bytes=-3"), part(7, 9)),
            (Some("bytes=-30"), part(0, 9)),
            (Some("bytes=-0"), Wanted::Outside),
            (Some("bytes=10-"), Wanted::Outside),
            (Some("bytes=10-11"), Wanted::Outside),
            (Some("bytes=4-2"), Wanted::Whole),
            (Some("bytes=0-1,4-5"), Wanted::Whole),
            (Some("lines=0-1"), Wanted::Whole),
            (Some("bytes=a-b"), Wanted::Whole),
            (Some("bytes=99999999999999999999999-"), Wanted::Outside),
        ] {
            assert_eq!(wanted(header, 10), expected, "{header:?}");
        }
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Outside);
        assert_eq!(wanted(Some("bytes=-1"), 0), Wanted::Outside);
    }

    #[test]
    fn no_name_leaves_its_header() {
        let header = attachment("a\"b\r\nX: é.mp4");
        assert_eq!(
            header,
            "attachment; filename=\"a_b__X_ _.mp4\"; filename*=UTF-8''a%22b%0D%0AX%3A%20%C3%A9.mp4"
        );
    }

    proptest! {
        #[test]
        fn a_part_lies_inside(header: String, first: u64, last: u64, size: u64) {
            for text in [header, format!("bytes={first}-{last}"), format!("bytes=-{last}")] {
                if let Wanted::Part { first, last } = wanted(Some(&text), size) {
                    prop_assert!(first <= last && last < size);
                }
            }
        }
    }
}
