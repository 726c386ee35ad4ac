//! Fetching what somebody else serves, by an address that somebody else gave: nothing is trusted.
//!
//! Each connection goes to an address that we resolved and judged ourselves, on every redirect again. There is no proxy,
//! no cookie and no pool. A body stops when it comes to rest, and a later fetch continues at any byte.

mod answer;
mod call;
pub mod fake;
mod rules;
mod wire;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use matinee_core::limits;
use matinee_core::pull::Answer;
use serde_json::Value;
use url::Url;

pub use self::call::Called;
use self::rules::Rules;
pub use self::rules::{Config, Refusal};
use self::wire::{Driver, Tls};

/// Finds the addresses of a name; a test brings its own.
pub trait Names: Send + Sync {
    /// The addresses of this host.
    fn resolve(&self, host: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>>;
}

/// The names that the machine knows.
struct System;

impl Names for System {
    fn resolve(&self, host: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let host = host.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// We do not go there.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The source answered with this status.
    #[error("the source answered with status {0}")]
    Status(u16),
    /// No connection came about.
    #[error("the source cannot be reached: {0}")]
    Unreachable(String),
    /// The host does not prove that it is who it is said to be.
    #[error("the certificate of the source is not trusted: {0}")]
    Untrusted(String),
    /// The connection ended before the bytes did, or what came was no HTTP.
    #[error("the connection to the source broke: {0}")]
    Broken(String),
}

/// What is wanted.
#[derive(Debug, Clone, Default)]
pub struct Get {
    /// Where it is.
    pub url: String,
    /// The right to get it; not handed on when a redirect leads elsewhere.
    pub bearer: Option<String>,
    /// The first byte that is wanted.
    pub from: u64,
    /// The mark of the file that the bytes before were of.
    pub mark: Option<String>,
}

/// An answer whose bytes are about to come.
pub struct Opened {
    /// Which bytes come.
    pub answer: Answer,
    /// The strong `ETag` or the date of the file.
    pub mark: Option<String>,
    /// The bytes.
    pub body: Body,
}

/// Bytes as they come.
pub struct Body {
    incoming: Incoming,
    _driver: Driver,
}

impl Body {
    /// The next bytes; `None` at the end. A source that rests for too long has broken off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        let idle = Duration::from_millis(limits::PULL_IDLE_MS);
        loop {
            let frame = tokio::time::timeout(idle, self.incoming.frame()).await;
            let frame = frame.map_err(|_| FetchError::Broken("nothing came for too long".to_owned()))?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| FetchError::Broken(wire::cause(&error)))?;
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
    }
}

/// A question to a service that answers with JSON.
#[derive(Debug, Clone)]
pub struct Ask {
    /// `GET` or `POST`; a `POST` carries `form`.
    pub method: Method,
    /// Where the service is.
    pub url: String,
    /// The header `Authorization`.
    pub authorization: String,
    /// A body as of a form; empty with `GET`.
    pub form: String,
}

/// A message to somebody who wants to know.
#[derive(Debug, Clone)]
pub struct Post {
    /// Where it goes.
    pub url: String,
    /// What is said beside it.
    pub headers: Vec<(&'static str, String)>,
    /// What it says.
    pub body: String,
}

/// The client. Cheap to clone.
#[derive(Clone)]
pub struct Fetch {
    rules: Arc<Rules>,
    names: Arc<dyn Names>,
    tls: Tls,
}

impl std::fmt::Debug for Fetch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetch").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Fetch {
    /// A client with these rules, which asks the machine for names.
    pub fn new(config: &Config) -> Result<Self, String> {
        Self::with_names(config, Arc::new(System))
    }

    /// The same with names of one's own.
    pub fn with_names(config: &Config, names: Arc<dyn Names>) -> Result<Self, String> {
        Ok(Self { rules: Arc::new(Rules::new(config)?), names, tls: Tls::new(&config.authorities_pem)? })
    }

    /// Would this address be fetched, as far as it can be said without asking for names?
    pub fn check(&self, url: &str) -> Result<(), Refusal> {
        self.rules.parse(url).map(drop)
    }

    /// Asks for the bytes from `get.from` on, over at most 5 redirects.
    pub async fn open(&self, get: &Get) -> Result<Opened, FetchError> {
        let mut url = self.rules.parse(&get.url)?;
        let mut bearer = get.bearer.clone();
        for _ in 0..=limits::PULL_REDIRECTS_MAX {
            let request = request(&url, get, bearer.as_deref())?;
            let (response, driver) = self.send(&url, request).await?;
            let status = response.status();
            if !is_redirect(status) {
                let answer = answer::read(status, response.headers())?;
                let mark = answer::mark(response.headers());
                let body = Body { incoming: response.into_body(), _driver: driver };
                return Ok(Opened { answer, mark, body });
            }
            let next = self.rules.follow(&url, response.headers().get(header::LOCATION))?;
            if next.origin() != url.origin() {
                bearer = None;
            }
            url = next;
        }
        Err(Refusal::Redirects.into())
    }

    /// Asks a service, which must answer with status 200 and a short JSON document.
    pub async fn json(&self, ask: &Ask) -> Result<Value, FetchError> {
        let url = self.rules.parse(&ask.url)?;
        let mut request = plain(&url, ask.method.clone(), Bytes::from(ask.form.clone()))?;
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, secret(&ask.authorization)?);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if !ask.form.is_empty() {
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(header::CONTENT_TYPE, kind);
        }
        let (response, driver) = self.send(&url, request).await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let mut body = Body { incoming: response.into_body(), _driver: driver };
        let mut text = Vec::new();
        while let Some(bytes) = body.next().await? {
            if text.len() + bytes.len() > limits::PULL_JSON_BYTES_MAX {
                return Err(FetchError::Broken("the answer is too long".to_owned()));
            }
            text.extend_from_slice(&bytes);
        }
        serde_json::from_slice(&text).map_err(|error| FetchError::Broken(error.to_string()))
    }

    /// Sends a message; the status of the answer. It is followed nowhere, and what else is answered is not read.
    pub async fn post(&self, post: &Post) -> Result<u16, FetchError> {
        let (response, _driver) = self.posted(post).await?;
        Ok(response.status().as_u16())
    }

    async fn posted(&self, post: &Post) -> Result<(http::Response<Incoming>, Driver), FetchError> {
        let url = self.rules.parse(&post.url)?;
        let mut request = plain(&url, Method::POST, Bytes::from(post.body.clone()))?;
        for (name, value) in &post.headers {
            set(request.headers_mut(), HeaderName::from_static(name), value)?;
        }
        self.send(&url, request).await
    }

    /// Resolves, judges every address, and connects to one that was judged.
    async fn send(
        &self,
        url: &Url,
        request: Request<Full<Bytes>>,
    ) -> Result<(http::Response<Incoming>, Driver), FetchError> {
        let target = self.rules.target(url)?;
        let resolved = if let Some(address) = target.literal {
            Ok(vec![address])
        } else {
            let patience = Duration::from_millis(limits::PULL_CONNECT_MS);
            let found = tokio::time::timeout(patience, self.names.resolve(&target.host)).await;
            found.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        };
        let addresses = resolved.map_err(|error| FetchError::Unreachable(error.to_string()))?;
        if !target.listed {
            rules::judge(&target.host, &addresses)?;
        }
        let checked: Vec<SocketAddr> =
            addresses.into_iter().map(|address| SocketAddr::new(address, target.port)).collect();
        self.tls.send(&checked, target.secure.then_some(target.host.as_str()), request).await
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn request(url: &Url, get: &Get, bearer: Option<&str>) -> Result<Request<Full<Bytes>>, FetchError> {
    let mut request = plain(url, Method::GET, Bytes::new())?;
    let headers = request.headers_mut();
    if let Some(bearer) = bearer {
        headers.insert(header::AUTHORIZATION, secret(&format!("Bearer {bearer}"))?);
    }
    if get.from > 0 {
        set(headers, header::RANGE, &format!("bytes={}-", get.from))?;
        if let Some(mark) = &get.mark {
            set(headers, header::IF_RANGE, mark)?;
        }
    }
    Ok(request)
}

fn plain(url: &Url, method: Method, body: Bytes) -> Result<Request<Full<Bytes>>, FetchError> {
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .body(Full::new(body))
        .map_err(|_| FetchError::Refused(Refusal::Unreadable))?;
    let headers = request.headers_mut();
    set(headers, header::HOST, host)?;
    set(headers, header::USER_AGENT, concat!("matinee/", env!("CARGO_PKG_VERSION")))?;
    set(headers, header::ACCEPT, "*/*")?;
    // Offsets count the bytes of the file, so nothing may be packed on the way.
    set(headers, header::ACCEPT_ENCODING, "identity")?;
    Ok(request)
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), FetchError> {
    let value = HeaderValue::from_str(value).map_err(|_| FetchError::Refused(Refusal::Unreadable))?;
    headers.insert(name, value);
    Ok(())
}

fn secret(value: &str) -> Result<HeaderValue, FetchError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| FetchError::Refused(Refusal::Unreadable))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
