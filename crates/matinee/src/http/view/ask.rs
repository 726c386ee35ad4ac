//! How questions are read: queries, JSON bodies, ids and words; what is wrong is said with what would be right.

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use http::header;
use http::request::Parts;
use matinee_core::id::{Id, Noun};
use serde::de::DeserializeOwned;

use crate::http::problem::{Code, Problem};

/// No JSON that a client sends is longer, in bytes.
const JSON_BYTES_MAX: usize = 64 * 1024;
/// A page of a list has so many items when the client does not say.
const PAGE_DEFAULT: u32 = 50;
/// A page of a list has at most so many items.
const PAGE_MAX: u32 = 100;

/// The query of a request.
pub(crate) struct Ask<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Ask<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let read = Query::<T>::try_from_uri(&parts.uri);
        let Query(asked) = read.map_err(|error| {
            let cause =
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            Problem::new(Code::BadRequest, format!("The query cannot be read: {cause}."))
        })?;
        Ok(Self(asked))
    }
}

/// The JSON body of a request.
pub(crate) struct Sent<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        sent_up_to(request, JSON_BYTES_MAX).await.map(Self)
    }
}

/// The JSON body of a request, of at most `max` bytes.
pub(crate) async fn sent_up_to<T: DeserializeOwned>(request: Request, max: usize) -> Result<T, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let text = "The body must be JSON, with the header Content-Type: application/json.";
        return Err(Problem::new(Code::UnsupportedMediaType, text));
    }
    let bytes = to_bytes(request.into_body(), max).await.map_err(|_| {
        let text = format!("The body broke off, or has more than {max} bytes.");
        Problem::new(Code::PayloadTooLarge, text).fix("Send a shorter body.")
    })?;
    let sent = serde_json::from_slice(&bytes);
    sent.map_err(|error| Problem::new(Code::BadRequest, format!("The body is not as it must be: {error}.")))
}

/// How many items a page has.
pub(crate) fn page_limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked.unwrap_or(PAGE_DEFAULT) {
        limit @ 1..=PAGE_MAX => Ok(limit),
        limit => {
            let text = format!("`limit` is {limit}; it must be from 1 to {PAGE_MAX}.");
            Err(Problem::new(Code::BadRequest, text))
        }
    }
}

/// An id in a query; `name` is the parameter.
pub(crate) fn parse_id<N: Noun>(name: &str, text: Option<&str>) -> Result<Option<Id<N>>, Problem> {
    let read = |text: &str| {
        let example = Id::<N>::from_bits(0).to_string();
        let noun = example.split('_').next().unwrap_or_default();
        let wrong = format!("`{name}` must be an id such as `{noun}_...`.");
        text.parse().map_err(|_| Problem::new(Code::BadRequest, wrong))
    };
    text.map(read).transpose()
}

/// A word of a query that must be one of `known`.
pub(crate) fn word_of<T: Copy>(
    name: &str,
    text: Option<&str>,
    known: &[(&str, T)],
) -> Result<Option<T>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let found = known.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| Some(*value)).ok_or_else(|| {
        let words: Vec<_> = known.iter().map(|(word, _)| format!("`{word}`")).collect();
        Problem::new(Code::BadRequest, format!("`{name}` must be one of {}.", words.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse as _;
    use matinee_core::id::VideoId;

    #[test]
    fn a_page_has_one_to_a_hundred_items() {
        assert_eq!(page_limit(None).ok(), Some(50));
        assert_eq!(page_limit(Some(1)).ok(), Some(1));
        assert_eq!(page_limit(Some(100)).ok(), Some(100));
        assert!(page_limit(Some(0)).is_err() && page_limit(Some(101)).is_err());
    }

    #[test]
    fn a_cursor_is_an_id_of_its_list() {
        let id = VideoId::from_bits(7);
        assert_eq!(parse_id("before", Some(&id.to_string())).ok(), Some(Some(id)));
        assert_eq!(parse_id::<_>("before", None::<&str>).ok(), Some(None::<VideoId>));
        let other = matinee_core::id::JobId::from_bits(7).to_string();
        let read: Result<Option<VideoId>, _> = parse_id("before", Some(&other));
        assert_eq!(read.unwrap_err().into_response().status(), 400);
    }

    #[tokio::test]
    async fn an_unknown_word_is_told_the_known_ones() {
        let known = [("ready", 1), ("failed", 2)];
        assert_eq!(word_of("state", Some("failed"), &known).ok(), Some(Some(2)));
        let answer = word_of("state", Some("done"), &known).unwrap_err().into_response();
        let body = to_bytes(answer.into_body(), 10_000).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains("`ready`, `failed`"), "{body}");
    }
}
