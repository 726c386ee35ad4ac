//! The requests of a runner: asks a server for work, brings bytes here, brings back what was made.
//!
//! Nothing is repeated here: whoever calls decides, with fresh addresses.

use std::io::{self, SeekFrom};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

/// Bytes that are read from a file at a time.
const READ_BYTES: usize = 256 << 10;
/// A server that cannot be connected to within this is away.
const CONNECT: Duration = Duration::from_secs(10);
/// A connection on which nothing moves for so long is dead; the next request goes on where it was.
const SILENCE: Duration = Duration::from_secs(20);

/// Why a request led to nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server has an answer that a repeat would not change.
    #[error("{human}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The server's own word for it; empty when somebody else answered.
        code: String,
        /// A sentence.
        human: String,
        /// What to do about it.
        fix: String,
    },
    /// The server or the way to it is away; it may work later.
    #[error("the server cannot be reached: {0}")]
    Away(String),
    /// A file of ours.
    #[error("the disk of this machine: {0}")]
    File(#[from] io::Error),
}

/// A server, as its runner sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Server {
    http: Client,
    base: String,
    token: Option<String>,
}

/// The part of a problem document that is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    detail: String,
    fix: String,
}

impl Server {
    /// The server at this address; no redirect is followed with the token. `authorities` are certificates in PEM that are
    /// believed besides those of this machine.
    pub fn new(base: &str, authorities: Option<&[u8]>) -> Result<Self, CallError> {
        // TLS comes with *ring*; the second time it is there already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .user_agent(concat!("matinee/", env!("CARGO_PKG_VERSION")));
        let builder = match authorities {
            Some(pem) => builder.tls_certs_merge(certificates(pem)?),
            None => builder,
        };
        let http = builder.build().map_err(|error| away(&error))?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), token: None })
    }

    /// The same, asked with this token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Asks for `path` with a JSON body, and waits at most so long; `None` when the answer is empty.
    pub async fn ask<A: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &A,
        patience: Duration,
    ) -> Result<Option<T>, CallError> {
        let body = serde_json::to_vec(body).map_err(io::Error::other)?;
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, "application/json");
        let response = answered(request.body(body).timeout(patience)).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let bytes = response.bytes().await.map_err(|error| away(&error))?;
        serde_json::from_slice(&bytes).map(Some).map_err(|error| CallError::Away(error.to_string()))
    }

    /// Brings an object of `size` bytes into a file, from the byte on that is missing.
    pub async fn bring(&self, url: &str, path: &Path, size: u64) -> Result<(), CallError> {
        let mut file = OpenOptions::new().create(true).append(true).open(path).await?;
        let had = file.metadata().await?.len();
        if had > size {
            file.set_len(0).await?;
            return Err(CallError::Away("what was here belongs to something else".to_owned()));
        }
        if had == size {
            return Ok(());
        }
        let request = self.request(Method::GET, url).header(RANGE, format!("bytes={had}-"));
        let mut response = moving(answered(request)).await?;
        if had > 0 && response.status() != StatusCode::PARTIAL_CONTENT {
            file.set_len(0).await?;
            return Err(CallError::Away("the server did not go on where it was".to_owned()));
        }
        let mut at = had;
        while let Some(bytes) = moving(async { response.chunk().await.map_err(|error| away(&error)) }).await?
        {
            at += bytes.len() as u64;
            if at > size {
                file.set_len(0).await?;
                return Err(CallError::Away("more came than there is".to_owned()));
            }
            file.write_all(&bytes).await?;
        }
        file.flush().await?;
        if at == size { Ok(()) } else { Err(CallError::Away("the bytes broke off".to_owned())) }
    }

    /// Brings a file of `size` bytes to the server, from the byte on that it has not; `anew` sends all of it once more.
    pub async fn send(&self, url: &str, path: &Path, size: u64, anew: bool) -> Result<(), CallError> {
        let had = if anew { 0 } else { self.had(url).await? };
        if had == size {
            return Ok(());
        }
        // What is longer was of something else: then it begins anew, and the server cuts the rest off.
        let from = if had > size { 0 } else { had };
        let body = bytes_of(path, from, size).await?;
        let request = self
            .request(Method::PUT, url)
            .header(CONTENT_RANGE, format!("bytes {from}-{}/{size}", size - 1))
            .header(CONTENT_LENGTH, size - from)
            .body(body);
        answered(request).await.map(drop)
    }

    /// How many bytes of an output the server has.
    async fn had(&self, url: &str) -> Result<u64, CallError> {
        let response = moving(answered(self.request(Method::HEAD, url))).await?;
        let had = response.headers().get(CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse().ok());
        had.ok_or_else(|| CallError::Away("the server does not say what it has".to_owned()))
    }

    /// A request to a path of the server, or to an address that it gave.
    fn request(&self, method: Method, place: &str) -> RequestBuilder {
        let url = if place.starts_with('/') { format!("{}{place}", self.base) } else { place.to_owned() };
        let request = self.http.request(method, url);
        match &self.token {
            // Another store knows nothing of our token, and gets none.
            Some(token) if place.starts_with('/') => request.bearer_auth(token),
            Some(_) | None => request,
        }
    }
}

/// Ends what does not move any more.
async fn moving<T>(step: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    let moved = tokio::time::timeout(SILENCE, step).await;
    moved.unwrap_or_else(|_| Err(CallError::Away("nothing came for too long".to_owned())))
}

/// The answer, or why there is none; a proxy's word that the server is away counts as none.
async fn answered(request: RequestBuilder) -> Result<Response, CallError> {
    let response = request.send().await.map_err(|error| away(&error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let ours = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json");
    let problem: Problem = match response.bytes().await {
        Ok(bytes) if ours => serde_json::from_slice(&bytes).unwrap_or_default(),
        Ok(_) | Err(_) => Problem::default(),
    };
    let human =
        if problem.detail.is_empty() { format!("the server answers {status}") } else { problem.detail };
    match status.as_u16() {
        408 | 423 | 425 | 429 | 500 | 502..=504 | 507 | 520..=524 => Err(CallError::Away(human)),
        status => Err(CallError::Refused { status, code: problem.code, human, fix: problem.fix }),
    }
}

/// The certificates of a file; one that has none was not meant.
fn certificates(pem: &[u8]) -> io::Result<Vec<reqwest::Certificate>> {
    let all = reqwest::Certificate::from_pem_bundle(pem).map_err(io::Error::other)?;
    if all.is_empty() { Err(io::Error::other("there is no certificate in it")) } else { Ok(all) }
}

fn away(error: &reqwest::Error) -> CallError {
    CallError::Away(causes(error))
}

/// What went wrong, down to the first cause.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

async fn bytes_of(path: &Path, from: u64, to: u64) -> io::Result<reqwest::Body> {
    let mut file = File::open(path).await?;
    file.seek(SeekFrom::Start(from)).await?;
    let pieces = stream::try_unfold((file, from), move |(mut file, at)| async move {
        let wanted = READ_BYTES.min(usize::try_from(to - at).unwrap_or(READ_BYTES));
        if wanted == 0 {
            return Ok::<_, io::Error>(None);
        }
        let mut buffer = vec![0; wanted];
        let read = file.read(&mut buffer).await?;
        if read == 0 {
            return Err(io::Error::other("the file became shorter while it was sent"));
        }
        buffer.truncate(read);
        Ok(Some((Bytes::from(buffer), (file, at + read as u64))))
    });
    Ok(reqwest::Body::wrap_stream(pieces))
}

/// Length and BLAKE3 hash of a file.
pub async fn measure(path: &Path) -> io::Result<(u64, [u8; 32])> {
    let path = path.to_owned();
    let measured = tokio::task::spawn_blocking(move || {
        let mut hash = blake3::Hasher::new();
        let size = io::copy(&mut std::fs::File::open(path)?, &mut hash)?;
        Ok((size, *hash.finalize().as_bytes()))
    });
    measured.await.map_err(io::Error::other)?
}
