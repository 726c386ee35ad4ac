//! A fake of Zoom: it signs events, serves recordings that break as those of the real one are known to, and writes down
//! everything that the real one would not have accepted.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use matinee_core::hash::hex;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Manner, Reply, answer, full, plain, serve, with};
use crate::clock;

/// The secret that signs events.
pub const SECRET: &str = "zoom-secret-token";
/// The number of the account.
pub const ACCOUNT: &str = "acc";
/// Who may ask for fresh links.
pub const CLIENT: &str = "client";
/// With this secret.
pub const CLIENT_SECRET: &str = "zoom-client-secret";
/// The right that comes with an event.
pub const EVENT_TOKEN: &str = "event-download-token";
/// The uuid of the first meeting: as the real one makes them, with both letters that break paths.
pub const MEETING: &str = "/ajXp112Qm+o6A==";
/// The longest body that a wish for access may have.
const FORM_BYTES_MAX: usize = 10_000;

#[derive(Default)]
struct Account {
    recordings: BTreeMap<String, Recording>,
    /// The right of the event has ended.
    token_over: bool,
    /// Rights that were given by OAuth.
    granted: Vec<String>,
    /// With which status the next requests to download are answered, and how many of them.
    refuses: (u16, u32),
    complaints: Vec<String>,
    /// Requests for bytes, with their range.
    fetched: Vec<(String, Option<String>)>,
}

#[derive(Clone)]
struct Recording {
    meeting: String,
    bytes: Bytes,
    announced: usize,
    view: String,
    manner: Manner,
}

/// An event with its signature, as it is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The body.
    pub body: String,
    /// The header `x-zm-signature`.
    pub signature: String,
    /// The header `x-zm-request-timestamp`.
    pub timestamp: String,
}

/// A running fake: the service, and another host that holds the bytes.
#[derive(Clone)]
pub struct FakeZoom {
    port: u16,
    bytes_port: u16,
    account: Arc<Mutex<Account>>,
    _serving: Arc<[Ended; 2]>,
}

/// A task that ends when it is dropped.
struct Ended(JoinHandle<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl FakeZoom {
    /// An account without recordings.
    pub async fn start() -> io::Result<Self> {
        let service = TcpListener::bind(("127.0.0.1", 0)).await?;
        let holder = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (port, bytes_port) = (service.local_addr()?.port(), holder.local_addr()?.port());
        let account = Arc::new(Mutex::new(Account::default()));
        let desk = Desk { port, bytes_port, account: Arc::clone(&account) };
        let shelf = desk.clone();
        let serving = [
            Ended(serve(service, move |request| {
                let desk = desk.clone();
                async move { desk.service(request).await }
            })),
            Ended(serve(holder, move |request| {
                let reply = shelf.bytes(&request);
                async move { reply }
            })),
        ];
        Ok(Self { port, bytes_port, account, _serving: Arc::new(serving) })
    }

    /// Where it listens, as `host:port`: the service, and what holds the bytes.
    pub fn hosts(&self) -> [String; 2] {
        [self.port, self.bytes_port].map(|port| format!("127.0.0.1:{port}"))
    }

    /// A recording of the first meeting that is ready to be downloaded.
    pub fn record(&self, id: &str, view: &str, bytes: &[u8], manner: Manner) {
        self.record_of(MEETING, (id, view), Bytes::copy_from_slice(bytes), manner);
    }

    /// A recording of whatever meeting: its id and its view.
    pub fn record_of(&self, meeting: &str, (id, view): (&str, &str), bytes: Bytes, manner: Manner) {
        let (meeting, view) = (meeting.to_owned(), view.to_owned());
        let recording = Recording { meeting, announced: bytes.len(), bytes, view, manner };
        self.account().recordings.insert(id.to_owned(), recording);
    }

    /// The event will announce another length than the file has.
    pub fn lie_about(&self, id: &str, announced: usize) {
        if let Some(recording) = self.account().recordings.get_mut(id) {
            recording.announced = announced;
        }
    }

    /// From now on the right that came with the event is refused, as after 24 hours.
    pub fn end_token(&self) {
        self.account().token_over = true;
    }

    /// The next requests to download are answered with this status, so many of them.
    pub fn refuse(&self, status: u16, times: u32) {
        self.account().refuses = (status, times);
    }

    /// What the real one would not have accepted.
    pub fn complaints(&self) -> Vec<String> {
        self.account().complaints.clone()
    }

    /// Every request for bytes, with its range.
    pub fn fetched(&self) -> Vec<(String, Option<String>)> {
        self.account().fetched.clone()
    }

    /// The event that tells of all recordings of the first meeting. Two of them differ as duplicates of the real one do.
    pub fn event(&self, delivery: u32) -> Value {
        self.event_of(MEETING, delivery)
    }

    /// The same of whatever meeting.
    pub fn event_of(&self, meeting: &str, delivery: u32) -> Value {
        let object = Desk::of(self).meeting(meeting, &format!("?delivery={delivery}"));
        json!({
            "event": "recording.completed",
            "event_ts": 1_764_150_000_123_i64,
            "download_token": EVENT_TOKEN,
            "payload": { "account_id": ACCOUNT, "object": object },
        })
    }

    /// An event as it is delivered so many seconds after it was signed.
    pub fn signed(event: &Value, age_s: i64) -> Signed {
        let (body, timestamp) = (event.to_string(), (clock::now().0.div_euclid(1_000) - age_s).to_string());
        let signature = format!("v0={}", hash(&format!("v0:{timestamp}:{body}")));
        Signed { body, signature, timestamp }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        lock(&self.account)
    }
}

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    // A test that panics while it looks must not hide why.
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The hash that Zoom makes of a text, in hexadecimal digits.
///
/// # Panics
///
/// Never: a key may have any length.
pub fn hash(text: &str) -> String {
    let mut mac: Hmac<Sha256> =
        Hmac::new_from_slice(SECRET.as_bytes()).expect("because a key may have any length");
    mac.update(text.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// What answers.
#[derive(Clone)]
struct Desk {
    port: u16,
    bytes_port: u16,
    account: Arc<Mutex<Account>>,
}

impl Desk {
    fn of(fake: &FakeZoom) -> Self {
        Self { port: fake.port, bytes_port: fake.bytes_port, account: Arc::clone(&fake.account) }
    }

    fn meeting(&self, uuid: &str, query: &str) -> Value {
        let port = self.port;
        let url = |path: &str| format!("http://127.0.0.1:{port}/rec/{path}");
        let account = lock(&self.account);
        let of_meeting = account.recordings.iter().filter(|(_, recording)| recording.meeting == uuid);
        let mut files: Vec<Value> = of_meeting
            .map(|(id, recording)| {
                json!({
                    "id": id, "meeting_id": uuid, "file_type": "MP4", "file_extension": "MP4",
                    "file_size": recording.announced, "status": "completed", "recording_type": recording.view,
                    "download_url": url(&format!("download/{id}{query}")),
                    "recording_start": "2026-11-25T09:00:00Z", "recording_end": "2026-11-25T09:30:00Z",
                })
            })
            .collect();
        files.push(json!({ "file_type": "CC", "download_url": url("cc") }));
        files.push(json!({ "file_type": "TIMELINE", "download_url": url("tl") }));
        json!({
            "uuid": uuid, "id": 2_718_281_828_i64, "account_id": ACCOUNT, "host_id": "x-Host", "topic": "Snow & ice",
            "type": 2, "start_time": "2026-11-25T09:00:00Z", "timezone": "Europe/Berlin", "duration": 0,
            "host_email": "ann@example.org", "recording_count": files.len(), "recording_files": files,
        })
    }

    async fn service(&self, request: Request<Incoming>) -> Reply {
        // The path as it came: a uuid with a slash must be encoded twice.
        let path = request.uri().path().to_owned();
        if path == "/oauth/token" {
            return self.grant(request).await;
        }
        if let Some(id) = path.strip_prefix("/rec/download/") {
            return self.download(id, request.headers());
        }
        let granted = bearer(request.headers());
        if !granted.is_some_and(|granted| lock(&self.account).granted.contains(&granted)) {
            self.complain(format!("{path} without a granted right"));
            return plain(401);
        }
        let asked = path.strip_prefix("/v2/meetings/").and_then(|rest| rest.strip_suffix("/recordings"));
        let known: Vec<String> =
            lock(&self.account).recordings.values().map(|recording| recording.meeting.clone()).collect();
        let meeting = known.into_iter().find(|meeting| asked == Some(encoded(&encoded(meeting)).as_str()));
        let Some(meeting) = meeting else {
            self.complain(format!("{path} is no meeting"));
            return plain(404);
        };
        document(&self.meeting(&meeting, "?fresh"))
    }

    async fn grant(&self, request: Request<Incoming>) -> Reply {
        let wanted = format!("Basic {}", BASE64.encode(format!("{CLIENT}:{CLIENT_SECRET}")));
        let authorized =
            request.headers().get(header::AUTHORIZATION).is_some_and(|value| value == wanted.as_str());
        let method = request.method().clone();
        let body = Limited::new(request.into_body(), FORM_BYTES_MAX).collect().await;
        let form = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let right = format!("grant_type=account_credentials&account_id={ACCOUNT}");
        if method != "POST" || !authorized || form != right {
            self.complain(format!("a wrong wish for access: {method} {form:?}"));
            return plain(401);
        }
        let mut account = lock(&self.account);
        let granted = format!("granted-{}", account.granted.len());
        account.granted.push(granted.clone());
        document(&json!({ "access_token": granted, "token_type": "bearer", "expires_in": 3_599 }))
    }

    /// The right is looked at here; the bytes are elsewhere.
    fn download(&self, id: &str, headers: &HeaderMap) -> Reply {
        let mut account = lock(&self.account);
        if account.refuses.1 > 0 {
            account.refuses.1 -= 1;
            return plain(account.refuses.0);
        }
        let right = bearer(headers).unwrap_or_default();
        let fine = (right == EVENT_TOKEN && !account.token_over) || account.granted.contains(&right);
        match (fine, account.recordings.contains_key(id)) {
            (false, _) => plain(401),
            (true, false) => plain(404),
            (true, true) => {
                with(plain(302), header::LOCATION, &format!("http://127.0.0.1:{}/{id}", self.bytes_port))
            }
        }
    }

    fn bytes(&self, request: &Request<Incoming>) -> Reply {
        if request.headers().contains_key(header::AUTHORIZATION) {
            self.complain("the right to download came to another host");
        }
        let id = request.uri().path().trim_start_matches('/').to_owned();
        let range = request.headers().get(header::RANGE).and_then(|range| range.to_str().ok());
        let mut account = lock(&self.account);
        account.fetched.push((id.clone(), range.map(str::to_owned)));
        let number = account.fetched.len();
        let Some(recording) = account.recordings.get(&id) else { return plain(404) };
        answer(request.headers(), &recording.bytes, &recording.manner, number)
    }

    fn complain(&self, text: impl Into<String>) {
        lock(&self.account).complaints.push(text.into());
    }
}

/// A text as it stands in a path.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::to_owned)
}

fn document(value: &Value) -> Reply {
    with(Response::new(full(value.to_string())), header::CONTENT_TYPE, "application/json")
}
