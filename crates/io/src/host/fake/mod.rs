//! Fakes of hosts: servers on loopback that refuse what the real ones refuse, and can be told to misbehave.
//!
//! They are part of the product: whoever has no account can try everything. Each knows its calls by name; a request that
//! is none of them is written down as one that the real service would not have understood.

mod film;
mod pull;
mod vault;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use matinee_core::time::Millis;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(super) use self::film::{Film, NoFilm, PLAYLIST};
pub(super) use self::pull::fetch;
pub(super) use self::vault::Vault;

/// A body that is no upload has at most so many bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A clock that stands until it is moved, so that days pass in no time; or one that goes, for people.
#[derive(Debug, Clone)]
pub struct Clock {
    /// What it shows; of one that goes, by how much it is ahead of the real one.
    shown: Arc<AtomicI64>,
    goes: bool,
}

impl Clock {
    /// A clock that shows `now`.
    pub fn at(now: Millis) -> Self {
        Self { shown: Arc::new(AtomicI64::new(now.0)), goes: false }
    }

    /// A clock that goes.
    pub fn going() -> Self {
        Self { shown: Arc::default(), goes: true }
    }

    /// What it shows.
    pub fn now(&self) -> Millis {
        let shown = Millis(self.shown.load(Ordering::SeqCst));
        if self.goes { crate::clock::now().plus(shown.0) } else { shown }
    }

    /// Moves it.
    pub fn pass(&self, ms: i64) {
        self.shown.fetch_add(ms, Ordering::SeqCst);
    }
}

/// How a fake is to be.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Where it keeps the bytes of uploads.
    pub folder: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its clock.
    pub clock: Clock,
    /// How long it encodes each video, in milliseconds.
    pub encode_ms: i64,
}

impl Wish {
    /// A fake whose clock is this one, on any port.
    pub fn new(folder: PathBuf, clock: Clock) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { folder, listen, clock, encode_ms: ENCODE_MS }
    }
}

/// So long a video is encoded unless somebody wishes otherwise, in milliseconds: each stage is a quarter of it.
const ENCODE_MS: i64 = 40_000;

/// What pages of other sites may read of an answer to an upload.
const READABLE: &str = "Location, Upload-Offset, Upload-Length, Stream-Media-Id, Tus-Resumable";

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This status, and nothing happens.
    Status(u16),
    /// This status with this JSON, and nothing happens.
    Says(u16, &'static str),
    /// Too many requests; with `Retry-After` in seconds or without.
    Throttled(Option<u32>),
    /// The connection ends and nothing happens.
    CutBefore,
    /// It happens, and the connection ends before the answer.
    CutAfter,
    /// It happens, and the answer is a page for people.
    Html,
    /// It happens, and the answer breaks off in the middle.
    Half,
    /// It happens, and no answer ever comes.
    Hangs,
    /// It says that it has made the video, and has not.
    Loses,
    /// It makes the video twice, and names one.
    Twice,
    /// It says that it has deleted the video, and keeps it.
    Keeps,
    /// A list does not show what was made within the last minute.
    Late,
}

/// So far behind is a list that is late, in milliseconds.
pub(super) const LATE_MS: i64 = 60_000;

/// Something that goes wrong for a while.
#[derive(Debug, Clone, Copy)]
pub struct Trouble {
    /// The call by its name; `*` is every call.
    pub call: &'static str,
    /// What goes wrong.
    pub fault: Fault,
    /// So often.
    pub times: u32,
    /// Not any more from this moment on.
    pub until: Option<Millis>,
}

/// One request, as it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// When it came.
    pub at: Millis,
    /// Which call it was; none when the real service has no such call.
    pub name: Option<&'static str>,
    /// Method and path.
    pub line: String,
    /// The answer's status; none when the connection was cut.
    pub status: Option<u16>,
}

/// A request whose body has not been read.
pub(super) struct Asked {
    pub(super) call: &'static str,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Incoming,
    pub(super) now: Millis,
    /// How it is to lie.
    pub(super) lie: Option<Fault>,
}

impl Asked {
    /// A header as text; empty when there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// A value of the query.
    pub(super) fn asked(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Does a list show what was made then?
    pub(super) fn shows(&self, made: Millis) -> bool {
        self.lie != Some(Fault::Late) || self.now.since(made) >= LATE_MS
    }

    /// The part of the path at `place`, counted from the front.
    pub(super) fn part(&self, place: usize) -> &str {
        self.path.split('/').filter(|part| !part.is_empty()).nth(place).unwrap_or_default()
    }

    /// The body as JSON; `None` when it is none.
    pub(super) async fn json(self) -> Option<Value> {
        serde_json::from_str(&self.text().await?).ok()
    }

    /// The body as text; `None` when it is none.
    pub(super) async fn text(self) -> Option<String> {
        let body = Limited::new(self.body, BODY_BYTES_MAX).collect().await.ok()?;
        String::from_utf8(body.to_bytes().into()).ok()
    }
}

/// An answer.
pub(super) type Reply = Response<Full<Bytes>>;

/// JSON with a status.
pub(super) fn json(status: u16, body: &Value) -> Reply {
    let mut reply = empty(status);
    reply.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    *reply.body_mut() = Full::new(Bytes::from(body.to_string()));
    reply
}

/// A status and nothing more.
pub(super) fn empty(status: u16) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::new()));
    *reply.status_mut() = StatusCode::from_u16(status).expect("because a fake answers with real statuses");
    reply
}

/// Bytes of this media type.
pub(super) fn media(mime: &'static str, bytes: Vec<u8>) -> Reply {
    let mut reply = empty(200);
    reply.headers_mut().insert("content-type", HeaderValue::from_static(mime));
    *reply.body_mut() = Full::new(Bytes::from(bytes));
    reply
}

/// A picture instead of one of the film: nothing is decoded here.
pub(super) fn picture(name: &str) -> Option<Reply> {
    let (mime, bytes): (_, &[u8]) = match name.rsplit_once('.')?.1 {
        "jpg" => ("image/jpeg", include_bytes!("card.jpg")),
        "gif" => ("image/gif", include_bytes!("card.gif")),
        "webp" => ("image/webp", include_bytes!("card.webp")),
        _ => return None,
    };
    Some(media(mime, bytes.to_vec()))
}

/// Sets a header of an answer.
pub(super) fn with(mut reply: Reply, name: &'static str, value: &str) -> Reply {
    let value = HeaderValue::from_str(value).expect("because a fake writes headers of its own");
    reply.headers_mut().insert(name, value);
    reply
}

/// A service that a fake pretends to be.
pub(super) trait Pretend: Send + Sync + 'static {
    /// The name of the call; `None` when the real service has none such.
    fn call(&self, method: &Method, path: &str) -> Option<&'static str>;
    /// Does it.
    fn reply(&self, asked: Asked) -> BoxFuture<'_, Reply>;
}

/// What all fakes have: an address, a clock, a journal and troubles.
#[derive(Clone)]
pub struct Frame {
    address: SocketAddr,
    clock: Clock,
    state: Arc<Mutex<Notes>>,
    stop: CancellationToken,
}

#[derive(Default)]
struct Notes {
    calls: Vec<Call>,
    troubles: Vec<Trouble>,
}

impl Frame {
    /// Where it listens; the same for every clone.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its clock.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Something goes wrong from now on.
    pub fn trouble(&self, trouble: Trouble) {
        self.notes().troubles.push(trouble);
    }

    /// Nothing goes wrong any more.
    pub fn calm(&self) {
        self.notes().troubles.clear();
    }

    /// All requests so far, the oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.notes().calls.clone()
    }

    /// The requests that the real service would not have understood.
    pub fn unknown(&self) -> Vec<Call> {
        self.notes().calls.iter().filter(|call| call.name.is_none()).cloned().collect()
    }

    /// It takes no more connections.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Begins to listen.
    pub(super) async fn listen(wish: &Wish) -> std::io::Result<(Self, TcpListener)> {
        let listener = TcpListener::bind(wish.listen).await?;
        let (address, clock) = (listener.local_addr()?, wish.clock.clone());
        Ok((Self { address, clock, state: Arc::default(), stop: CancellationToken::new() }, listener))
    }

    /// Answers until it is stopped.
    pub(super) async fn serve(self, listener: TcpListener, service: Arc<dyn Pretend>) {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else { continue };
            let (frame, service) = (self.clone(), Arc::clone(&service));
            tokio::spawn(async move {
                let stop = frame.stop.clone();
                let answering = service_fn(move |request| {
                    let (frame, service) = (frame.clone(), Arc::clone(&service));
                    async move { frame.one(request, &*service).await }
                });
                let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), answering);
                tokio::select! {
                    () = stop.cancelled() => {}
                    // A connection that we cut ends with an error, as it should.
                    _ = serving => {}
                }
            });
        }
    }

    /// Answers one request; an error cuts the connection.
    async fn one(&self, request: Request<Incoming>, service: &dyn Pretend) -> Result<Reply, Cut> {
        let (parts, body) = request.into_parts();
        let now = self.clock.now();
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        if method == Method::OPTIONS && takes_uploads(service, &path) {
            return Ok(preflight());
        }
        let name = service.call(&method, &path);
        let line = format!("{method} {path}");
        let note =
            |status: Option<u16>| self.notes().calls.push(Call { at: now, name, line: line.clone(), status });
        let Some(call) = name else {
            note(Some(404));
            return Ok(empty(404));
        };
        let fault = self.fault(call, now);
        match fault {
            Some(Fault::CutBefore) => {
                note(None);
                return Err(Cut);
            }
            Some(Fault::Status(status)) => {
                note(Some(status));
                return Ok(empty(status));
            }
            Some(Fault::Says(status, text)) => {
                note(Some(status));
                return Ok(json(status, &serde_json::from_str(text).unwrap_or_default()));
            }
            Some(Fault::Throttled(after_s)) => {
                note(Some(429));
                let reply = empty(429);
                return Ok(
                    after_s.map_or(reply.clone(), |after_s| with(reply, "retry-after", &after_s.to_string()))
                );
            }
            Some(
                Fault::CutAfter
                | Fault::Html
                | Fault::Half
                | Fault::Hangs
                | Fault::Loses
                | Fault::Twice
                | Fault::Keeps
                | Fault::Late,
            )
            | None => {}
        }
        let query = parts.uri.query().unwrap_or_default();
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let reply = service
            .reply(Asked { call, method, path, query, headers: parts.headers, body, now, lie: fault })
            .await;
        if matches!(fault, Some(Fault::CutAfter | Fault::Hangs)) {
            note(None);
            if fault == Some(Fault::Hangs) {
                self.stop.cancelled().await;
            }
            return Err(Cut);
        }
        note(Some(reply.status().as_u16()));
        let reply = match call {
            "media" => with(reply, "access-control-allow-origin", "*"),
            call if call.starts_with("tus") => shared(reply),
            _ => reply,
        };
        let spoils = matches!(fault, Some(Fault::Half | Fault::Html));
        Ok(if spoils { spoilt(reply, fault == Some(Fault::Half)).await } else { reply })
    }

    /// What goes wrong with this call, counted.
    fn fault(&self, call: &str, now: Millis) -> Option<Fault> {
        let mut notes = self.notes();
        notes.troubles.retain(|trouble| trouble.times > 0 && trouble.until.is_none_or(|until| now < until));
        let trouble =
            notes.troubles.iter_mut().find(|trouble| trouble.call == call || trouble.call == "*")?;
        trouble.times -= 1;
        Some(trouble.fault)
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.state.lock().expect("because nobody panics while it is held")
    }
}

/// Is something uploaded to this address? Pages of all sites may ask that.
fn takes_uploads(service: &dyn Pretend, path: &str) -> bool {
    let calls = [Method::POST, Method::PATCH].map(|method| service.call(&method, path));
    calls.into_iter().flatten().any(|call| call.starts_with("tus"))
}

/// What a browser wants to hear before a page of another site may upload.
fn preflight() -> Reply {
    let reply = shared(empty(204));
    let reply = with(reply, "access-control-allow-methods", "POST, HEAD, PATCH, OPTIONS");
    with(reply, "access-control-allow-headers", "*")
}

/// An answer that pages of all sites may read.
fn shared(reply: Reply) -> Reply {
    let reply = with(reply, "access-control-allow-origin", "*");
    with(reply, "access-control-expose-headers", READABLE)
}

/// The same answer, useless.
async fn spoilt(reply: Reply, half: bool) -> Reply {
    let (mut parts, body) = reply.into_parts();
    let whole: Result<_, Infallible> = body.collect().await;
    let whole = whole.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    if half {
        return Response::from_parts(parts, Full::new(whole.slice(..whole.len() / 2)));
    }
    parts.headers.insert("content-type", HeaderValue::from_static("text/html"));
    Response::from_parts(parts, Full::new(Bytes::from_static(b"<!doctype html><h1>We are back soon</h1>")))
}

/// The connection is cut.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
struct Cut;
