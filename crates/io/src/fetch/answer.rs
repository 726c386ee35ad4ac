//! What the head of an answer says about the bytes that follow.

use http::{HeaderMap, StatusCode, header};
use matinee_core::pull::Answer;

use super::FetchError;

/// Which bytes follow, or why none do.
pub(super) fn read(status: StatusCode, headers: &HeaderMap) -> Result<Answer, FetchError> {
    let coded = headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
    match status.as_u16() {
        200 | 206 if coded => {
            Err(FetchError::Broken("the bytes are packed although that was declined".to_owned()))
        }
        200 => Ok(Answer::Whole { size: number(headers, &header::CONTENT_LENGTH) }),
        206 => part(headers).ok_or_else(|| FetchError::Broken("Content-Range says nothing".to_owned())),
        416 => Ok(Answer::PastEnd { total: text(headers, &header::CONTENT_RANGE).and_then(total) }),
        other => Err(FetchError::Status(other)),
    }
}

/// `bytes 5-9/10` or `bytes 5-9/*`; the length of the body must be that of the range.
fn part(headers: &HeaderMap) -> Option<Answer> {
    let said = text(headers, &header::CONTENT_RANGE)?.strip_prefix("bytes ")?;
    let (range, total) = said.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    let len = last.checked_sub(first)?.checked_add(1)?;
    let agrees = number(headers, &header::CONTENT_LENGTH).is_none_or(|said| said == len);
    agrees.then_some(Answer::Part { first, last, total })
}

/// `bytes */10`
fn total(said: &str) -> Option<u64> {
    said.strip_prefix("bytes */")?.trim().parse().ok()
}

/// What tells this file from a later one under the same address: a strong `ETag`, else its date.
pub(super) fn mark(headers: &HeaderMap) -> Option<String> {
    let strong = text(headers, &header::ETAG).filter(|tag| tag.starts_with('"'));
    strong.or_else(|| text(headers, &header::LAST_MODIFIED)).map(str::to_owned)
}

fn number(headers: &HeaderMap, name: &header::HeaderName) -> Option<u64> {
    text(headers, name)?.trim().parse().ok()
}

fn text<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn an_answer_says_which_bytes_come() {
        let part = |first, last, total| Some(Answer::Part { first, last, total });
        for (status, said, wanted) in [
            (200, &[("content-length", "9")][..], Some(Answer::Whole { size: Some(9) })),
            (200, &[], Some(Answer::Whole { size: None })),
            (200, &[("content-encoding", "gzip")], None),
            (206, &[("content-range", "bytes 4-8/9")], part(4, 8, Some(9))),
            (206, &[("content-range", "bytes 4-8/*"), ("content-length", "5")], part(4, 8, None)),
            (206, &[("content-range", "bytes 4-8/9"), ("content-length", "6")], None),
            (206, &[("content-range", "bytes 8-4/9")], None),
            (206, &[("content-range", "items 4-8/9")], None),
            (206, &[("content-range", "bytes 0-18446744073709551615/*")], None),
            (206, &[], None),
            (416, &[("content-range", "bytes */9")], Some(Answer::PastEnd { total: Some(9) })),
            (416, &[], Some(Answer::PastEnd { total: None })),
            (204, &[], None),
            (404, &[], None),
        ] {
            let read = read(StatusCode::from_u16(status).unwrap(), &headers(said));
            assert_eq!(read.ok(), wanted, "{status} {said:?}");
        }
    }

    #[test]
    fn a_weak_tag_marks_nothing() {
        let date = "Wed, 21 Oct 2026 07:28:00 GMT";
        for (said, wanted) in [
            (&[("etag", "\"a\""), ("last-modified", date)][..], Some("\"a\"")),
            (&[("etag", "W/\"a\""), ("last-modified", date)], Some(date)),
            (&[("etag", "W/\"a\"")], None),
        ] {
            assert_eq!(mark(&headers(said)).as_deref(), wanted);
        }
    }
}
