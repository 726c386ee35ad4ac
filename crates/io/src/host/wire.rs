//! Requests to hosts: one client, bounded answers, and what each kind of answer means.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Deserialize;

/// A host that says nothing for so long is given up, in seconds.
const SILENCE_S: u64 = 30;
/// An answer larger than this is none: a page of 1,000 videos has 3 MB.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// So much of an answer that cannot be read is shown, in bytes.
const SHOWN_BYTES: usize = 200;

/// A key of ours at a host. Its text is shown to nobody.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// A secret with this text.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a host did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// It wants fewer requests, and says for how many milliseconds.
    #[error("the host wants fewer requests")]
    Throttled(Option<i64>),
    /// What was paid for is used up.
    #[error("the host takes no more: {0}")]
    Full(String),
    /// Our key is not accepted.
    #[error("the host does not accept our key: {0}")]
    Unauthorised(String),
    /// It refuses this one thing, and will again.
    #[error("the host refuses it: {0}")]
    Refused(String),
    /// It did not happen and may work later.
    #[error("the host does not answer: {0}")]
    Again(String),
    /// It may have happened: the question was sent and no answer came.
    #[error("the host may have done it, and did not answer: {0}")]
    Ambiguous(String),
}

/// What a request does there, which decides what no answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing, or again the same.
    Repeatable,
    /// Each time something new.
    Creates,
}

/// The client for all hosts; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Wire(Client);

impl Wire {
    pub(super) fn new() -> Result<Self, HostError> {
        // The second time it is there already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder()
            // A redirect would carry our key elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(SILENCE_S))
            .read_timeout(Duration::from_secs(SILENCE_S))
            .user_agent(concat!("matinee/", env!("CARGO_PKG_VERSION")))
            .build();
        client.map(Self).map_err(|error| HostError::Again(causes(&error)))
    }

    pub(super) const fn client(&self) -> &Client {
        &self.0
    }
}

/// The part of an address that asks for something, with its `?`.
pub(super) fn query(pairs: &[(&str, String)]) -> String {
    let mut text = url::form_urlencoded::Serializer::new("?".to_owned());
    text.extend_pairs(pairs);
    text.finish()
}

/// Sends a request; a status that is an answer of the host is returned, whatever it says.
pub(super) async fn answer(request: RequestBuilder, effect: Effect) -> Result<Answer, HostError> {
    let response = request.send().await.map_err(|error| {
        let text = causes(&error);
        // What was never connected was never sent.
        if effect == Effect::Creates && !error.is_connect() && !error.is_builder() {
            HostError::Ambiguous(text)
        } else {
            HostError::Again(text)
        }
    })?;
    let status = response.status();
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(HostError::Throttled(retry_ms(&response)));
    }
    let headers = response.headers().clone();
    let body = body(response).await;
    let text = |why: String| {
        let broken = effect == Effect::Creates;
        if broken { HostError::Ambiguous(why) } else { HostError::Again(why) }
    };
    if status.is_server_error() {
        // It may have failed behind the effect.
        return Err(text(format!("it answers {status}: {}", shown(&body.unwrap_or_default()))));
    }
    Ok(Answer { status, headers, body: body.map_err(text)? })
}

/// An answer of the host, read whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: reqwest::header::HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// The body as JSON of this shape. Where something was created, an answer that cannot be read is none.
    pub(super) fn json<T: for<'de> Deserialize<'de>>(&self, effect: Effect) -> Result<T, HostError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let text = format!("it answers what cannot be read ({error}): {}", shown(&self.body));
            if effect == Effect::Creates { HostError::Ambiguous(text) } else { HostError::Again(text) }
        })
    }

    /// Does the host itself say that there is no such thing? A page of somebody in between says nothing of the kind.
    pub(super) fn is_absent(&self) -> Result<bool, HostError> {
        if self.status != StatusCode::NOT_FOUND {
            return Ok(false);
        }
        self.json::<serde_json::Map<String, serde_json::Value>>(Effect::Repeatable).map(|_| true)
    }

    /// Why the host says no, in its own words.
    pub(super) fn refusal(&self, words: Option<String>) -> HostError {
        let text = words.unwrap_or_else(|| format!("{}: {}", self.status, shown(&self.body)));
        match self.status.as_u16() {
            401 | 403 => HostError::Unauthorised(text),
            402 | 413 => HostError::Full(text),
            300..=399 => HostError::Again(text),
            _ => HostError::Refused(text),
        }
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| causes(&error))? {
        if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err("its answer does not end".to_owned());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// `Retry-After` in seconds; hosts do not use the form with a date.
fn retry_ms(response: &Response) -> Option<i64> {
    let seconds: i64 = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    (seconds >= 0).then(|| seconds.saturating_mul(1_000))
}

fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN_BYTES)]);
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// What went wrong, down to the first cause, without the address, which may hold a token.
fn causes(error: &reqwest::Error) -> String {
    let mut text = "the request failed".to_owned();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = cause.to_string();
        next = cause.source();
    }
    text
}
