//! Bytes that the server fetches itself: what was wanted, and where a fetch goes on after a cut.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::limits;
use crate::time::Millis;

/// A wish to bring in a file by its address; the same for a request and for a message of a broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Where the file is: `http` or `https`.
    pub url: String,
    /// The title of the video; made from the address when it is missing.
    #[serde(default)]
    pub title: Option<String>,
    /// The collection into which the video goes.
    #[serde(default)]
    pub collection: Option<String>,
    /// The name that the app gives the video.
    #[serde(default)]
    pub external_id: Option<String>,
    /// The pipeline by which the video is made.
    #[serde(default)]
    pub pipeline: Option<String>,
    /// Not before this moment is the video encoded; it is fetched at once.
    #[serde(default)]
    pub run_after: Option<Millis>,
    /// What the app knows of the video; handed on as it is.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

/// What is wrong with a wish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A text is longer than its limit.
    #[error("`{field}` has more than {max} bytes")]
    TooLong {
        /// The field.
        field: &'static str,
        /// The limit in bytes.
        max: usize,
    },
    /// A text is empty that must say something.
    #[error("`{field}` is empty")]
    Empty {
        /// The field.
        field: &'static str,
    },
}

/// Where a fresh address of a file is asked for, when the one that is known is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A recording of a meeting.
    Zoom {
        /// The account.
        account: String,
        /// The meeting's uuid.
        meeting: String,
        /// The file in the meeting.
        file: String,
        /// The length that was announced.
        size_bytes: Option<u64>,
    },
}

impl Wanted {
    /// The name of the file, as its address has it.
    pub fn file_name(&self) -> String {
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        let path = path.split_once("://").map_or(path, |(_, rest)| rest);
        let name = path.split_once('/').and_then(|(_, path)| path.rsplit('/').next()).unwrap_or_default();
        decoded(name)
    }

    /// Checks the lengths of everything that is kept.
    pub fn check(&self) -> Result<(), Unfit> {
        let title = self.title.as_deref().map(str::trim);
        if title == Some("") {
            return Err(Unfit::Empty { field: "title" });
        }
        if self.external_id.as_deref() == Some("") {
            return Err(Unfit::Empty { field: "external_id" });
        }
        let metadata = Value::Object(self.metadata.clone()).to_string();
        let title_max = limits::TITLE_CHARS_MAX * 4;
        let lengths = [
            ("url", self.url.len(), limits::PULL_URL_BYTES_MAX),
            ("title", title.map_or(0, str::len), title_max),
            ("external_id", self.external_id.as_deref().map_or(0, str::len), limits::EXTERNAL_ID_BYTES_MAX),
            ("metadata", metadata.len(), limits::FACTS_BYTES_MAX),
        ];
        let long = lengths.into_iter().find(|(_, len, max)| len > max);
        long.map_or(Ok(()), |(field, _, max)| Err(Unfit::TooLong { field, max }))
    }
}

/// A part of a path without its `%XX`; what is no UTF-8 is left out.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).replace(char::REPLACEMENT_CHARACTER, "")
}

/// What is known of a file when the connection is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// How many bytes are here.
    pub offset: u64,
    /// The length of the whole, when it was said.
    pub size: Option<u64>,
}

/// How the source answered to the wish for the bytes from [`Known::offset`] on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The whole file comes, from its first byte.
    Whole {
        /// Its length, when it is said.
        size: Option<u64>,
    },
    /// A part comes.
    Part {
        /// Its first byte.
        first: u64,
        /// Its last byte.
        last: u64,
        /// The length of the whole, when it is said.
        total: Option<u64>,
    },
    /// There is nothing at that place.
    PastEnd {
        /// The length of the whole, when it is said.
        total: Option<u64>,
    },
}

/// What to do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Append what comes, after leaving out so many bytes that are here already.
    Append {
        /// Bytes to leave out.
        skip: u64,
        /// The length of the whole, if it is known now.
        size: Option<u64>,
    },
    /// It is another file than before: forget what is here.
    Restart,
    /// Everything is here.
    Complete,
}

/// What the marks (`ETag` or date) of then and now say about the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It is the same file.
    Same,
    /// It is another one.
    Other,
    /// One of them is missing.
    Unknown,
}

impl Mark {
    /// Compares the mark from before with the one that came now.
    pub fn of(before: Option<&str>, now: Option<&str>) -> Self {
        match (before, now) {
            (Some(before), Some(now)) if before == now => Self::Same,
            (Some(_), Some(_)) => Self::Other,
            (None, _) | (_, None) => Self::Unknown,
        }
    }
}

/// The source answered with other bytes than were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the source sent other bytes than were asked for")]
pub struct WrongRange;

/// Decides how a fetch goes on. What is here is only ever continued with bytes that are surely of the same file.
pub const fn next(known: Known, answer: Answer, mark: Mark) -> Result<Next, WrongRange> {
    match answer {
        Answer::Whole { size } => {
            let continued = known.offset == 0 || matches!(mark, Mark::Same);
            Ok(if continued && agree(known.size, size) {
                // A source without ranges sends all again; what is here is left out.
                Next::Append { skip: known.offset, size: either(size, known.size) }
            } else {
                Next::Restart
            })
        }
        Answer::Part { first, last, total } => {
            let beyond = matches!(total, Some(total) if last >= total);
            if first != known.offset || last < first || beyond {
                return Err(WrongRange);
            }
            let measured = known.size.is_some() && total.is_some();
            let surely = matches!(mark, Mark::Same) || (matches!(mark, Mark::Unknown) && measured);
            Ok(if surely && agree(known.size, total) {
                Next::Append { skip: 0, size: either(total, known.size) }
            } else {
                Next::Restart
            })
        }
        Answer::PastEnd { total } => Ok(match (total, known.size) {
            (Some(total), _) if total == known.offset && agree(known.size, Some(total)) => Next::Complete,
            (None, Some(size)) if size == known.offset => Next::Complete,
            _ => Next::Restart,
        }),
    }
}

const fn agree(known: Option<u64>, said: Option<u64>) -> bool {
    match (known, said) {
        (Some(known), Some(said)) => known == said,
        (None, _) | (_, None) => true,
    }
}

const fn either(first: Option<u64>, second: Option<u64>) -> Option<u64> {
    if first.is_some() { first } else { second }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn known(offset: u64, size: Option<u64>) -> Known {
        Known { offset, size }
    }

    #[test]
    fn a_fetch_goes_on_where_it_was() {
        let part = |first, last, total| Answer::Part { first, last, total };
        let whole = |size| Answer::Whole { size };
        let end = |total| Answer::PastEnd { total };
        let append = |skip, size| Ok(Next::Append { skip, size });
        let (same, other, unknown) = (Mark::Same, Mark::Other, Mark::Unknown);
        for (here, answer, mark, wanted) in [
            (known(0, None), whole(Some(9)), unknown, append(0, Some(9))),
            (known(0, Some(9)), whole(None), other, append(0, Some(9))),
            (known(0, Some(8)), whole(Some(9)), same, Ok(Next::Restart)),
            (known(4, Some(9)), part(4, 8, Some(9)), same, append(0, Some(9))),
            (known(4, Some(9)), part(4, 8, Some(9)), unknown, append(0, Some(9))),
            (known(4, Some(9)), part(4, 8, Some(9)), other, Ok(Next::Restart)),
            (known(4, None), part(4, 8, None), same, append(0, None)),
            (known(4, None), part(4, 8, Some(9)), unknown, Ok(Next::Restart)),
            (known(4, Some(9)), part(4, 9, Some(10)), same, Ok(Next::Restart)),
            (known(4, Some(9)), part(3, 8, Some(9)), same, Err(WrongRange)),
            (known(4, Some(9)), part(5, 8, Some(9)), same, Err(WrongRange)),
            (known(4, Some(9)), part(4, 3, Some(9)), same, Err(WrongRange)),
            (known(4, Some(9)), part(4, 9, Some(9)), same, Err(WrongRange)),
            (known(4, Some(9)), whole(Some(9)), same, append(4, Some(9))),
            (known(4, Some(9)), whole(Some(9)), unknown, Ok(Next::Restart)),
            (known(4, Some(9)), whole(Some(8)), same, Ok(Next::Restart)),
            (known(9, Some(9)), end(Some(9)), same, Ok(Next::Complete)),
            (known(9, Some(9)), end(None), same, Ok(Next::Complete)),
            (known(9, None), end(Some(9)), same, Ok(Next::Complete)),
            (known(4, None), end(None), same, Ok(Next::Restart)),
            (known(4, Some(9)), end(Some(4)), same, Ok(Next::Restart)),
        ] {
            assert_eq!(next(here, answer, mark), wanted, "{here:?} {answer:?} {mark:?}");
        }
    }

    #[test]
    fn a_file_has_the_name_that_its_address_ends_with() {
        for (url, name) in [
            ("https://example.org/a/lecture%2007.mp4?sig=a/b#c", "lecture 07.mp4"),
            ("https://example.org/", ""),
            ("https://example.org", ""),
            ("https://example.org/100%/%zz%e4%C3%A4.mp4", "%zz\u{e4}.mp4"),
            ("https://example.org/..%2f..%2fetc%2fpasswd", "../../etc/passwd"),
        ] {
            let wanted: Wanted = serde_json::from_value(serde_json::json!({ "url": url })).unwrap();
            assert_eq!(wanted.file_name(), name, "{url}");
        }
    }

    #[test]
    fn a_wish_has_its_limits() {
        let read = |json: Value| serde_json::from_value::<Wanted>(json).unwrap().check();
        let url = "https://example.org/a.mp4";
        assert_eq!(read(serde_json::json!({ "url": url })), Ok(()));
        assert_eq!(
            read(serde_json::json!({ "url": url, "title": " " })),
            Err(Unfit::Empty { field: "title" })
        );
        let long = "x".repeat(20_000);
        for field in ["url", "title", "external_id"] {
            let mut wanted = serde_json::json!({ "url": url });
            wanted[field] = Value::String(long.clone());
            assert!(matches!(read(wanted), Err(Unfit::TooLong { field: found, .. }) if found == field));
        }
        let wanted = serde_json::json!({ "url": url, "metadata": { "text": long } });
        assert!(matches!(read(wanted), Err(Unfit::TooLong { field: "metadata", .. })));
    }
}
