//! Questions that the client cannot ask: signed by us, sent as they are, answered in XML.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use reqwest::Response;

use super::error::causes;
use super::sign::Wanted;
use super::xml::Element;
use super::{RemoteError, S3};
use crate::clock;

/// How long a signed question is good, in seconds: it is sent at once.
const GOOD_S: u64 = 300;
/// The longest answer in bytes: a page of a thousand keys of a thousand bytes has less.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// Not there, and not here either: the service does not know the question.
const UNKNOWN: [u16; 2] = [405, 501];
/// The same, in words: some say 400 and this.
const UNKNOWN_CODES: [&str; 3] = ["NotImplemented", "MethodNotAllowed", "UnsupportedOperation"];

/// One question.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// The whole key; none asks the bucket.
    pub(super) key: Option<&'a str>,
    pub(super) query: &'a [(&'a str, &'a str)],
    /// Headers besides, their names in small letters.
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: Bytes,
}

impl<'a> Ask<'a> {
    /// A question without a body.
    pub(super) const fn new(method: Method, key: Option<&'a str>, query: &'a [(&'a str, &'a str)]) -> Self {
        Self { method, key, query, headers: &[], body: Bytes::new() }
    }
}

/// What came back, whatever it means.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) text: String,
    pub(super) etag: Option<String>,
}

impl Reply {
    /// The service's own word for what is wrong.
    pub(super) fn code(&self) -> String {
        let root = Element::parse(&self.text);
        root.filter(|root| root.name == "Error").map_or_else(String::new, |root| root.text("Code").to_owned())
    }

    pub(super) const fn is_good(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// Does the service not know the question at all?
    pub(super) fn is_unknown(&self) -> bool {
        UNKNOWN.contains(&self.status) || UNKNOWN_CODES.contains(&self.code().as_str())
    }

    /// Does it list something, if not what was asked for?
    pub(super) fn is_a_listing(&self) -> bool {
        Element::parse(&self.text).is_some_and(|root| root.name.starts_with("List"))
    }

    /// May the same question get another answer soon?
    const fn is_again(&self) -> bool {
        self.status == 429 || (self.status >= 500 && self.status != 501)
    }

    /// Why it was not done.
    pub(super) fn error(&self) -> RemoteError {
        let code = self.code();
        let text = format!("{} {code}", self.status);
        match self.status {
            404 if code != "NoSuchBucket" => RemoteError::Absent,
            // A redirect and a malformed head both mean the wrong region.
            300..=399 | 401 | 403 | 404 => RemoteError::Refused(text),
            400 if code == "AuthorizationHeaderMalformed" => RemoteError::Refused(text),
            507 => RemoteError::Full,
            400..=499 | 501 => RemoteError::Wrong(text),
            _ => RemoteError::Again(text),
        }
    }

    /// The document, when it is one of this name; nothing when the service does not know the question.
    pub(super) fn document(&self, name: &str) -> Result<Option<Element>, RemoteError> {
        if self.is_unknown() {
            return Ok(None);
        }
        if !self.is_good() {
            return Err(self.error());
        }
        // Whoever does not know a question may answer another one.
        Ok(Element::parse(&self.text).filter(|root| root.name == name))
    }
}

impl S3 {
    /// Asks, and asks again while the service is busy or away.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Result<Reply, RemoteError> {
        let mut pause = self.0.patience.pause;
        for _ in 0..self.0.patience.retries {
            match self.ask_once(ask).await {
                Ok(reply) if !reply.is_again() => return Ok(reply),
                Ok(_) | Err(_) => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        self.ask_once(ask).await
    }

    async fn ask_once(&self, ask: &Ask<'_>) -> Result<Reply, RemoteError> {
        let base = ask.key.map_or_else(|| self.0.base.clone(), |key| self.url(key));
        let wanted =
            Wanted { method: ask.method.as_str(), base: &base, query: ask.query, headers: ask.headers };
        let url = self.0.keys.presign(&wanted, clock::now(), GOOD_S);
        let mut request = self.0.http.request(ask.method.clone(), url);
        for (name, value) in ask.headers {
            request = request.header(*name, *value);
        }
        if ask.method == Method::PUT || ask.method == Method::POST {
            request = request.header(http::header::CONTENT_LENGTH, ask.body.len()).body(ask.body.clone());
        }
        let mut response = request.send().await.map_err(again)?;
        let etag = header(&response, "etag");
        let status = response.status().as_u16();
        let mut text = Vec::new();
        while let Some(part) = response.chunk().await.map_err(again)? {
            if text.len() + part.len() > ANSWER_BYTES_MAX {
                return Err(RemoteError::Again("its answer is too long".to_owned()));
            }
            text.extend_from_slice(&part);
        }
        Ok(Reply { status, text: String::from_utf8_lossy(&text).into_owned(), etag })
    }
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// The address is left out: it carries our right.
fn again(error: reqwest::Error) -> RemoteError {
    RemoteError::Again(causes(&error.without_url()))
}
