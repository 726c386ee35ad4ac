//! Sends a file to another matinee by tus 1.0: the requests themselves. How much goes into one is `core::sending`'s.

use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use matinee_core::sending::Outcome;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::clock::Stopwatch;

/// Bytes that are read from the file at a time.
const READ_BYTES: usize = 256 << 10;
/// A server that says nothing for so long is given up, in seconds; the server itself flushes within 5.
const SILENCE_S: u64 = 60;

/// Hears how many bytes of the file have been handed over.
pub type Heard = Arc<dyn Fn(u64) + Send + Sync>;

/// A server, or the one upload that it lets us send.
#[derive(Debug, Clone)]
pub struct Sender {
    client: Client,
    token: Option<String>,
}

/// An upload as the server announced it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Where its bytes go.
    pub url: String,
    /// The video that it becomes.
    pub video: Option<String>,
    /// Its id.
    pub upload: Option<String>,
}

/// What HEAD says of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// How many bytes the server has.
    pub offset: u64,
    /// How many it expects, when it says so.
    pub size: Option<u64>,
    /// The video that it becomes, when it says so.
    pub video: Option<String>,
}

/// What the server said no with, or what the network did.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The server has an answer that another try would not change.
    #[error("{human}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The server's own word for it.
        code: Option<String>,
        /// A sentence.
        human: String,
        /// What to do about it.
        fix: Option<String>,
    },
    /// The upload is not there any more.
    #[error("the upload is not there any more")]
    Gone,
    /// It may work later.
    #[error("the server cannot be reached: {0}")]
    Again(String),
    /// The file itself.
    #[error("the file cannot be read: {0}")]
    File(#[from] io::Error),
    /// The address.
    #[error("the address cannot be used: {0}")]
    Address(String),
}

/// What became of one request, and where the server said it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// What became of it.
    pub outcome: Outcome,
    /// The offset that the answer named; ask when there is none.
    pub offset: Option<u64>,
}

/// The part of a problem document that is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: Option<String>,
    detail: Option<String>,
    fix: Option<String>,
}

impl Sender {
    /// A client that shows this token, if there is one, and follows no redirect with it.
    pub fn new(token: Option<String>) -> Result<Self, SendError> {
        provide();
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(SILENCE_S))
            .read_timeout(Duration::from_secs(SILENCE_S))
            .user_agent(concat!("matinee/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { client: client.map_err(|error| SendError::Again(causes(&error)))?, token })
    }

    /// Announces a file of `size` bytes to the server at `base`.
    pub async fn announce(&self, base: &str, size: u64, metadata: &str) -> Result<Announced, SendError> {
        let url = format!("{}/files/", base.trim_end_matches('/'));
        let request = self.request(Method::POST, &url).header("Upload-Length", size);
        let request = request.header("Upload-Metadata", metadata).header(CONTENT_LENGTH, 0);
        let response = answered(request).await?;
        if response.status() != StatusCode::CREATED {
            return Err(refusal(response).await);
        }
        let headers = response.headers();
        let location = text(headers, LOCATION.as_str());
        let location = location.ok_or_else(|| SendError::Again("the server names no upload".to_owned()))?;
        let url = reqwest::Url::parse(&url).and_then(|base| base.join(&location));
        Ok(Announced {
            url: url.map_err(|error| SendError::Address(error.to_string()))?.to_string(),
            video: text(headers, "matinee-video"),
            upload: text(headers, "matinee-upload"),
        })
    }

    /// Where an upload is.
    pub async fn look(&self, url: &str) -> Result<Standing, SendError> {
        let response = answered(self.request(Method::HEAD, url)).await?;
        match response.status() {
            status if status.is_success() => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(SendError::Gone),
            _ => return Err(refusal(response).await),
        }
        let headers = response.headers();
        let number = |name: &str| text(headers, name).and_then(|text| text.parse().ok());
        let offset = number("upload-offset")
            .ok_or_else(|| SendError::Address("there is no upload, or a proxy answers instead".to_owned()))?;
        Ok(Standing { offset, size: number("upload-length"), video: text(headers, "matinee-video") })
    }

    /// Sends `len` bytes of the file from `offset` on; `heard` hears how far the file was read.
    pub async fn send(
        &self,
        url: &str,
        path: &Path,
        (offset, len): (u64, u64),
        heard: Heard,
    ) -> Result<Sent, SendError> {
        let body = bytes_of(path.to_owned(), offset, len, heard).await?;
        let request = self.request(Method::PATCH, url).header("Upload-Offset", offset);
        // With its length: a proxy may refuse a body of unknown length.
        let request =
            request.header(CONTENT_TYPE, "application/offset+octet-stream").header(CONTENT_LENGTH, len);
        let began = Stopwatch::start();
        let response = match request.body(body).send().await {
            Ok(response) => response,
            Err(error) if error.is_builder() => return Err(SendError::Address(causes(&error))),
            Err(_) => return Ok(Sent { outcome: Outcome::Cut, offset: None }),
        };
        let offset = text(response.headers(), "upload-offset").and_then(|text| text.parse().ok());
        let outcome = match response.status().as_u16() {
            200 | 204 => Outcome::Taken,
            // The server itself says why in a problem document; a proxy only knows the status.
            413 if !is_ours(&response) => Outcome::TooLarge,
            408 | 504 | 524 => Outcome::TimedOut { after_ms: began.elapsed_ms() },
            429 | 500 | 502 | 503 | 520..=523 => Outcome::Gateway,
            // Somebody else was here, or an earlier request of ours still is: look where it is, and go on there.
            409 | 423 | 460 => Outcome::Cut,
            404 | 410 => return Err(SendError::Gone),
            _ => return Err(refusal(response).await),
        };
        Ok(Sent { outcome, offset })
    }

    fn request(&self, method: Method, url: &str) -> RequestBuilder {
        let request = self.client.request(method, url).header("Tus-Resumable", "1.0.0");
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

/// TLS comes with *ring*; whoever makes a client first says so for the process.
fn provide() {
    // The second time it is there already.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// The answer, or why there is none; a proxy's word that the server is away counts as none.
async fn answered(request: RequestBuilder) -> Result<Response, SendError> {
    let response = request.send().await.map_err(|error| {
        if error.is_builder() { SendError::Address(causes(&error)) } else { SendError::Again(causes(&error)) }
    })?;
    match response.status().as_u16() {
        408 | 423 | 429 | 500 | 502..=504 | 520..=524 => {
            Err(SendError::Again(format!("it answers {}", response.status())))
        }
        _ => Ok(response),
    }
}

fn is_ours(response: &Response) -> bool {
    text(response.headers(), CONTENT_TYPE.as_str()).is_some_and(|kind| kind == "application/problem+json")
}

async fn refusal(response: Response) -> SendError {
    let status = response.status();
    if status.is_redirection() {
        let to = text(response.headers(), LOCATION.as_str()).unwrap_or_default();
        return SendError::Address(format!("the server is at another address: {to}"));
    }
    let problem: Problem = match response.text().await {
        Ok(text) => serde_json::from_str(&text).unwrap_or_default(),
        Err(_) => Problem::default(),
    };
    SendError::Refused {
        status: status.as_u16(),
        human: problem.detail.unwrap_or_else(|| format!("The server answers {status}.")),
        code: problem.code,
        fix: problem.fix,
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
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

async fn bytes_of(path: PathBuf, offset: u64, len: u64, heard: Heard) -> io::Result<reqwest::Body> {
    let mut file = File::open(path).await?;
    file.seek(SeekFrom::Start(offset)).await?;
    let parts = stream::try_unfold((file, 0), move |(mut file, done)| {
        let heard = Arc::clone(&heard);
        async move {
            let wanted = READ_BYTES.min(usize::try_from(len - done).unwrap_or(READ_BYTES));
            if wanted == 0 {
                return Ok::<_, io::Error>(None);
            }
            let mut buffer = vec![0; wanted];
            let read = file.read(&mut buffer).await?;
            if read == 0 {
                return Err(io::Error::other("the file became shorter while it was sent"));
            }
            buffer.truncate(read);
            heard(offset + done);
            Ok(Some((Bytes::from(buffer), (file, done + read as u64))))
        }
    });
    Ok(reqwest::Body::wrap_stream(parts))
}
