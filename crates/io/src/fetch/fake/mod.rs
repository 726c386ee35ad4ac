//! Fakes of what is fetched from, on loopback: files that break, lie and rest as asked, and a Zoom that serves recordings.

pub mod zoom;

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// Bytes that are sent at a time.
const PIECE_BYTES: usize = 256 << 10;
/// Before a cut: what is held back while more may come would be dropped by a failure that comes at once.
const BEFORE_CUT: Duration = Duration::from_millis(5);

/// An answer of a fake.
pub type Reply = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

/// How a file is served.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub struct Manner {
    /// Every connection ends after so many bytes of the body.
    pub cut_every: Option<usize>,
    /// `Range` is not looked at.
    pub no_ranges: bool,
    /// Neither `ETag` nor date.
    pub no_mark: bool,
    /// No `Content-Length`.
    pub no_length: bool,
    /// The part that comes begins a byte too late.
    pub wrong_range: bool,
    /// Every answer is of another file.
    pub changing: bool,
    /// Another status than the right one.
    pub status: Option<u16>,
    /// The way goes on there.
    pub redirect: Option<String>,
    /// So long a rest before each 256 KiB, in milliseconds.
    pub rest_ms: Option<u64>,
}

/// The answer to a request for these bytes, the one of this number.
pub fn answer(asked: &HeaderMap, bytes: &Bytes, manner: &Manner, number: usize) -> Reply {
    if let Some(status) = manner.status {
        return plain(status);
    }
    if let Some(location) = &manner.redirect {
        return with(plain(302), header::LOCATION, location);
    }
    let mark = if manner.changing { format!("\"v{number}\"") } else { "\"v\"".to_owned() };
    let range = asked.get(header::RANGE).and_then(|value| value.to_str().ok());
    let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let same = asked.get(header::IF_RANGE).is_none_or(|wanted| wanted == mark.as_str());
    let from = from.filter(|_| same && !manner.no_ranges);
    let marked = |reply: Reply| {
        let reply = with(reply, header::ACCEPT_RANGES, "bytes");
        if manner.no_mark { reply } else { with(reply, header::ETAG, &mark) }
    };
    let Some(from) = from else {
        let reply = marked(Response::new(pieces(bytes.clone(), manner)));
        let length = bytes.len().to_string();
        return if manner.no_length { reply } else { with(reply, header::CONTENT_LENGTH, &length) };
    };
    if from >= bytes.len() {
        return with(marked(plain(416)), header::CONTENT_RANGE, &format!("bytes */{}", bytes.len()));
    }
    let from = from + usize::from(manner.wrong_range);
    let mut reply = marked(Response::new(pieces(bytes.slice(from..), manner)));
    *reply.status_mut() = http::StatusCode::PARTIAL_CONTENT;
    let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
    let reply = with(reply, header::CONTENT_RANGE, &range);
    with(reply, header::CONTENT_LENGTH, &(bytes.len() - from).to_string())
}

/// The bytes in pieces; the connection is cut or rests as the manner says.
fn pieces(bytes: Bytes, manner: &Manner) -> UnsyncBoxBody<Bytes, std::io::Error> {
    let (end, rest_ms) = (manner.cut_every.unwrap_or(usize::MAX), manner.rest_ms);
    let pieces = stream::unfold(0_usize, move |at| {
        let bytes = bytes.clone();
        async move {
            if at >= bytes.len() {
                return None;
            }
            if at >= end {
                tokio::time::sleep(BEFORE_CUT).await;
                return Some((Err(std::io::Error::other("cut")), usize::MAX));
            }
            if let Some(rest_ms) = rest_ms {
                tokio::time::sleep(Duration::from_millis(rest_ms)).await;
            }
            let to = bytes.len().min(end).min(at + PIECE_BYTES);
            Some((Ok(Frame::data(bytes.slice(at..to))), to))
        }
    });
    StreamBody::new(pieces).boxed_unsync()
}

fn full(bytes: impl Into<Bytes>) -> UnsyncBoxBody<Bytes, std::io::Error> {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A status and nothing more.
fn plain(status: u16) -> Reply {
    let mut reply = Response::new(full(Bytes::new()));
    *reply.status_mut() =
        http::StatusCode::from_u16(status).expect("because a fake answers with real statuses");
    reply
}

fn with(mut reply: Reply, name: header::HeaderName, value: &str) -> Reply {
    let value = value.parse().expect("because a fake writes headers of its own");
    reply.headers_mut().insert(name, value);
    reply
}

/// Serves every connection until it is aborted; the connections end with it.
fn serve<A, F>(listener: TcpListener, answer: A) -> JoinHandle<()>
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { return };
                    let answer = answer.clone();
                    let service = service_fn(move |request| {
                        let reply = answer(request);
                        async move { Ok::<_, Infallible>(reply.await) }
                    });
                    connections.spawn(async move {
                        // What the client breaks, or a fault cuts, is no failure here.
                        drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                    });
                }
                _ = connections.join_next(), if !connections.is_empty() => {}
            }
        }
    })
}
