//! Questions that wait for their answer: how long, and by which tag a client says what it knows already.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use matinee_core::hash;
use serde::Serialize;

use super::problem::{Code, Problem};

/// The longest wait in seconds: proxies end what rests for a minute.
const WAIT_S_MAX: u32 = 60;

/// How long somebody wants to wait, in seconds.
pub(super) fn wait_s(asked: Option<u32>) -> Result<u64, Problem> {
    match asked.unwrap_or_default() {
        wait_s @ 0..=WAIT_S_MAX => Ok(wait_s.into()),
        wait_s => {
            let text = format!("`wait` is {wait_s}; it must be from 0 to {WAIT_S_MAX} seconds.");
            Err(Problem::new(Code::BadRequest, text))
        }
    }
}

/// A tag of this JSON. It is a weak one: what is not told to change often is not in it.
pub(super) fn tag(text: &str) -> String {
    format!("W/\"{}\"", hash::hex(&hash::of(text.as_bytes())[..16]))
}

/// Does the client have what this tag is of? (RFC 9110, section 13.1.2)
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let all = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|list| list.split(',')).any(|known| bare(known) == bare(tag) || known.trim() == "*")
}

/// Does the client say what it knows?
pub(super) fn says_what_it_knows(headers: &HeaderMap) -> bool {
    headers.contains_key(header::IF_NONE_MATCH)
}

/// The answer with its tag, or that nothing is new.
pub(super) fn tagged(tag: &str, fresh: Option<impl Serialize>) -> Response {
    let mut response = match fresh {
        Some(body) => Json(body).into_response(),
        None => StatusCode::NOT_MODIFIED.into_response(),
    };
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_knows_what_it_names_in_whatever_form() {
        let tag = tag("{}");
        let strong = tag.trim_start_matches("W/").to_owned();
        let list = format!("\"other\", {tag}");
        for (said, known) in
            [(&*tag, true), (&strong, true), (&list, true), ("*", true), ("\"other\"", false), ("", false)]
        {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, said.parse().unwrap())]);
            assert_eq!(is_known(&headers, &tag), known, "{said}");
        }
        assert!(!is_known(&HeaderMap::new(), &tag));
        assert_ne!(tag, super::tag("{ }"));
    }

    #[test]
    fn nobody_waits_for_more_than_a_minute() {
        assert_eq!(wait_s(None).ok(), Some(0));
        assert_eq!(wait_s(Some(60)).ok(), Some(60));
        assert!(wait_s(Some(61)).is_err());
    }
}
