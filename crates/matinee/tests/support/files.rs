//! A server of files that misbehaves as asked: cuts, no ranges, wrong ranges, files that change, and a log of who asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use tokio::net::TcpListener;

/// How a file is served.
#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub(crate) struct Manner {
    /// Every connection ends after so many bytes of the body.
    pub(crate) cut_every: Option<usize>,
    /// `Range` is not looked at.
    pub(crate) no_ranges: bool,
    /// Neither `ETag` nor date.
    pub(crate) no_mark: bool,
    /// No `Content-Length`.
    pub(crate) no_length: bool,
    /// The part that comes begins a byte too late.
    pub(crate) wrong_range: bool,
    /// Every answer is of another file.
    pub(crate) changing: bool,
    /// Another status than the right one.
    pub(crate) status: Option<u16>,
    /// The way goes on there.
    pub(crate) redirect: Option<String>,
    /// So long a rest after each 256 KiB, in milliseconds.
    pub(crate) rest_ms: Option<u64>,
}

#[derive(Default)]
struct Shelf {
    files: BTreeMap<String, (Bytes, Manner)>,
    asked: Vec<Option<String>>,
}

/// A running server of files.
#[derive(Clone)]
pub(crate) struct Files {
    pub(crate) port: u16,
    shelf: Arc<Mutex<Shelf>>,
}

impl Files {
    /// Serves nothing yet.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let files = Self { port: listener.local_addr().unwrap().port(), shelf: Arc::default() };
        let router = Router::new().fallback(serve).with_state(files.clone());
        tokio::spawn(async move { axum_serve(listener, router).await });
        files
    }

    /// Serves a file under this path from now on.
    pub(crate) fn put(&self, path: &str, bytes: impl Into<Bytes>, manner: Manner) -> String {
        self.shelf.lock().unwrap().files.insert(path.to_owned(), (bytes.into(), manner));
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The `Range` of every request, in order.
    pub(crate) fn asked(&self) -> Vec<Option<String>> {
        self.shelf.lock().unwrap().asked.clone()
    }

    /// The configuration that lets a server fetch from here.
    pub(crate) fn allowed(&self) -> String {
        format!("[ingest]\nallow_hosts = [\"127.0.0.1:{}\"]\n", self.port)
    }
}

/// axum is built without its own server, so connections are served here.
pub(crate) async fn axum_serve(listener: TcpListener, router: Router) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
            drop(connection.await);
        });
    }
}

async fn serve(State(files): State<Files>, request: Request) -> Response {
    let range = request.headers().get(header::RANGE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (found, number) = {
        let mut shelf = files.shelf.lock().unwrap();
        shelf.asked.push(range);
        (shelf.files.get(request.uri().path()).cloned(), shelf.asked.len())
    };
    let Some((bytes, manner)) = found else { return plain(StatusCode::NOT_FOUND) };
    answer(request.headers(), &bytes, &manner, number)
}

/// The answer to a request for these bytes.
pub(crate) fn answer(asked: &HeaderMap, bytes: &Bytes, manner: &Manner, number: usize) -> Response {
    if let Some(status) = manner.status {
        return plain(StatusCode::from_u16(status).unwrap());
    }
    if let Some(location) = &manner.redirect {
        let mut response = plain(StatusCode::FOUND);
        response.headers_mut().insert(header::LOCATION, location.parse().unwrap());
        return response;
    }
    let mark = if manner.changing { format!("\"v{number}\"") } else { "\"v\"".to_owned() };
    let range = asked.get(header::RANGE).and_then(|value| value.to_str().ok());
    let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let same = asked.get(header::IF_RANGE).is_none_or(|wanted| wanted == mark.as_str());
    let from = from.filter(|_| same && !manner.no_ranges);
    let mut response = Response::builder().header(header::ACCEPT_RANGES, "bytes");
    if !manner.no_mark {
        response = response.header(header::ETAG, &mark);
    }
    let Some(from) = from else {
        if !manner.no_length {
            response = response.header(header::CONTENT_LENGTH, bytes.len());
        }
        return response.body(stream(bytes.clone(), manner)).unwrap();
    };
    if from >= bytes.len() {
        let response = response.status(416).header(header::CONTENT_RANGE, format!("bytes */{}", bytes.len()));
        return response.body(Body::empty()).unwrap();
    }
    let from = from + usize::from(manner.wrong_range);
    response
        .status(206)
        .header(header::CONTENT_RANGE, format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len()))
        .header(header::CONTENT_LENGTH, bytes.len() - from)
        .body(stream(bytes.slice(from..), manner))
        .unwrap()
}

/// The bytes in pieces; the connection is cut or rests as the manner says.
fn stream(bytes: Bytes, manner: &Manner) -> Body {
    let (end, rest_ms) = (manner.cut_every.unwrap_or(usize::MAX), manner.rest_ms);
    let pieces = futures_util::stream::unfold(0_usize, move |at| {
        let bytes = bytes.clone();
        async move {
            if at >= bytes.len() {
                return None;
            }
            if at >= end {
                // hyper sends what it holds while it waits for more; an error at once would drop that, too.
                tokio::time::sleep(Duration::from_millis(5)).await;
                return Some((Err(std::io::Error::other("cut")), usize::MAX));
            }
            if let Some(rest_ms) = rest_ms {
                tokio::time::sleep(Duration::from_millis(rest_ms)).await;
            }
            let to = bytes.len().min(end).min(at + (256 << 10));
            Some((Ok(bytes.slice(at..to)), to))
        }
    });
    Body::from_stream(pieces)
}

fn plain(status: StatusCode) -> Response {
    Response::builder().status(status).body(Body::empty()).unwrap()
}
