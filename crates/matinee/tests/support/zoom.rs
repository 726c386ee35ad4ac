//! A stand-in for Zoom, for tests without an account: it signs events, serves recordings that break as those of the real
//! one are known to, and writes down everything that the real one would not have accepted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, header};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;

use super::files::{Manner, answer, axum_serve};
use super::server::Server;

/// The real one waits so long for an answer, then counts the delivery as failed.
const PATIENCE: Duration = Duration::from_secs(3);
pub(crate) const SECRET: &str = "zoom-secret-token";
const CLIENT_SECRET: &str = "zoom-client-secret";
const EVENT_TOKEN: &str = "event-download-token";
/// A uuid as the real one makes them, with both letters that break paths.
pub(crate) const MEETING: &str = "/ajXp112Qm+o6A==";

#[derive(Default)]
struct Account {
    recordings: BTreeMap<String, Recording>,
    /// The right of the event has ended.
    token_over: bool,
    /// Rights that were given by OAuth.
    granted: Vec<String>,
    complaints: Vec<String>,
    /// Requests for bytes, with their range.
    fetched: Vec<(String, Option<String>)>,
}

#[derive(Clone)]
struct Recording {
    bytes: Bytes,
    announced: usize,
    view: String,
    manner: Manner,
}

/// A running stand-in: the service, and another host that holds the bytes.
#[derive(Clone)]
pub(crate) struct Zoom {
    port: u16,
    bytes_port: u16,
    account: Arc<Mutex<Account>>,
}

impl Zoom {
    /// An account without recordings.
    pub(crate) async fn start() -> Self {
        let (service, bytes) = (
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        );
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let zoom = Self { port: port(&service), bytes_port: port(&bytes), account: Arc::default() };
        tokio::spawn(axum_serve(service, Router::new().fallback(serve).with_state(zoom.clone())));
        tokio::spawn(axum_serve(bytes, Router::new().fallback(serve_bytes).with_state(zoom.clone())));
        zoom
    }

    /// The configuration of a server that belongs to this account; `oauth` says whether it can ask for fresh links.
    pub(crate) fn configuration(&self, oauth: bool) -> String {
        let Self { port, bytes_port, .. } = self;
        let client = if oauth { CLIENT_SECRET } else { "" };
        format!(
            "[ingest]\nallow_hosts = [\"127.0.0.1:{port}\", \"127.0.0.1:{bytes_port}\"]\n\
             [zoom]\nsecret_token = \"{SECRET}\"\naccount_id = \"acc\"\nclient_id = \"client\"\n\
             client_secret = \"{client}\"\noauth_url = \"http://127.0.0.1:{port}/oauth/token\"\n\
             api_url = \"http://127.0.0.1:{port}/v2\"\n"
        )
    }

    /// A recording that is ready to be downloaded.
    pub(crate) fn record(&self, id: &str, view: &str, bytes: &[u8], manner: Manner) {
        let bytes = Bytes::copy_from_slice(bytes);
        let recording = Recording { announced: bytes.len(), bytes, view: view.to_owned(), manner };
        self.account.lock().unwrap().recordings.insert(id.to_owned(), recording);
    }

    /// The event will announce another length than the file has.
    pub(crate) fn lie_about(&self, id: &str, announced: usize) {
        self.account.lock().unwrap().recordings.get_mut(id).unwrap().announced = announced;
    }

    /// From now on the right that came with the event is refused, as after 24 hours.
    pub(crate) fn end_token(&self) {
        self.account.lock().unwrap().token_over = true;
    }

    /// What the real one would not have accepted.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.account.lock().unwrap().complaints.clone()
    }

    /// Every request for bytes, with its range.
    pub(crate) fn fetched(&self) -> Vec<(String, Option<String>)> {
        self.account.lock().unwrap().fetched.clone()
    }

    /// The event that tells of all recordings. Two of them differ as duplicates of the real one do.
    pub(crate) fn event(&self, delivery: u32) -> Value {
        json!({
            "event": "recording.completed",
            "event_ts": 1_764_150_000_123_i64,
            "download_token": EVENT_TOKEN,
            "payload": { "account_id": "acc", "object": self.meeting(&format!("?delivery={delivery}")) },
        })
    }

    fn meeting(&self, query: &str) -> Value {
        let account = self.account.lock().unwrap();
        let mut files: Vec<Value> = account
            .recordings
            .iter()
            .map(|(id, recording)| {
                json!({
                    "id": id, "meeting_id": MEETING, "file_type": "MP4", "file_extension": "MP4",
                    "file_size": recording.announced, "status": "completed", "recording_type": recording.view,
                    "download_url": format!("http://127.0.0.1:{}/rec/download/{id}{query}", self.port),
                    "recording_start": "2026-11-25T09:00:00Z", "recording_end": "2026-11-25T09:30:00Z",
                })
            })
            .collect();
        files.push(
            json!({ "file_type": "CC", "download_url": format!("http://127.0.0.1:{}/rec/cc", self.port) }),
        );
        files.push(json!({ "file_type": "TIMELINE", "download_url": format!("http://127.0.0.1:{}/rec/tl", self.port) }));
        json!({
            "uuid": MEETING, "id": 2_718_281_828_i64, "account_id": "acc", "host_id": "x-Host", "topic": "Snow & ice",
            "type": 2, "start_time": "2026-11-25T09:00:00Z", "timezone": "Europe/Berlin", "duration": 0,
            "host_email": "ann@example.org", "recording_count": files.len(), "recording_files": files,
        })
    }

    /// Delivers a body with a right signature of this age; the status and the answer.
    pub(crate) async fn deliver(&self, server: &Server, body: &Value, age_s: u64) -> (u16, Value) {
        let (body, at) = (body.to_string(), seconds() - age_s);
        let signature = format!("v0={}", hash(&format!("v0:{at}:{body}")));
        self.deliver_signed(server, body, &signature, &at.to_string()).await
    }

    /// The same with whatever signature.
    pub(crate) async fn deliver_signed(
        &self,
        server: &Server,
        body: String,
        signature: &str,
        at: &str,
    ) -> (u16, Value) {
        let request = server
            .request(reqwest::Method::POST, "/v1/ingest/zoom")
            .header("content-type", "application/json")
            .header("x-zm-signature", signature)
            .header("x-zm-request-timestamp", at)
            .body(body);
        let answer = tokio::time::timeout(PATIENCE, request.send()).await;
        let answer = answer.expect("because Zoom waits 3 seconds for an answer").unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    fn complain(&self, text: impl Into<String>) {
        self.account.lock().unwrap().complaints.push(text.into());
    }
}

/// The hash that Zoom makes of a text.
pub(crate) fn hash(text: &str) -> String {
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let bytes = mac.finalize().into_bytes();
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

/// Now, as Zoom writes it.
pub(crate) fn seconds() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::to_owned)
}

fn status(status: u16) -> Response {
    Response::builder().status(status).body(Body::empty()).unwrap()
}

fn document(value: &Value) -> Response {
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(value.to_string()))
        .unwrap()
}

async fn serve(State(zoom): State<Zoom>, request: Request) -> Response {
    // The path as it came: a uuid with a slash must be encoded twice.
    let path = request.uri().path().to_owned();
    if path == "/oauth/token" {
        return grant(&zoom, request).await;
    }
    if let Some(id) = path.strip_prefix("/rec/download/") {
        return download(&zoom, id, request.headers());
    }
    let granted = bearer(request.headers());
    let known = granted.is_some_and(|granted| zoom.account.lock().unwrap().granted.contains(&granted));
    if !known {
        zoom.complain(format!("{path} without a granted right"));
        return status(401);
    }
    if path != "/v2/meetings/%252FajXp112Qm%252Bo6A%253D%253D/recordings" {
        zoom.complain(format!("{path} is no meeting"));
        return status(404);
    }
    document(&zoom.meeting("?fresh"))
}

async fn grant(zoom: &Zoom, request: Request) -> Response {
    let wanted = format!("Basic {}", BASE64.encode(format!("client:{CLIENT_SECRET}")));
    let authorized =
        request.headers().get(header::AUTHORIZATION).is_some_and(|value| value == wanted.as_str());
    let method = request.method().clone();
    let form = to_bytes(request.into_body(), 10_000).await.unwrap();
    if method != "POST" || !authorized || form != "grant_type=account_credentials&account_id=acc" {
        zoom.complain(format!("a wrong wish for access: {method} {form:?}"));
        return status(401);
    }
    let mut account = zoom.account.lock().unwrap();
    let granted = format!("granted-{}", account.granted.len());
    account.granted.push(granted.clone());
    document(&json!({ "access_token": granted, "token_type": "bearer", "expires_in": 3_599 }))
}

/// The right is looked at here; the bytes are elsewhere.
fn download(zoom: &Zoom, id: &str, headers: &HeaderMap) -> Response {
    let account = zoom.account.lock().unwrap();
    let right = bearer(headers).unwrap_or_default();
    let fine = (right == EVENT_TOKEN && !account.token_over) || account.granted.contains(&right);
    if !fine {
        return status(401);
    }
    if !account.recordings.contains_key(id) {
        return status(404);
    }
    let location = format!("http://127.0.0.1:{}/{id}", zoom.bytes_port);
    Response::builder().status(302).header(header::LOCATION, location).body(Body::empty()).unwrap()
}

async fn serve_bytes(State(zoom): State<Zoom>, request: Request) -> Response {
    if request.headers().contains_key(header::AUTHORIZATION) {
        zoom.complain("the right to download came to another host");
    }
    let id = request.uri().path().trim_start_matches('/').to_owned();
    let range = request.headers().get(header::RANGE).map(|range| range.to_str().unwrap().to_owned());
    let mut account = zoom.account.lock().unwrap();
    account.fetched.push((id.clone(), range));
    let number = account.fetched.len();
    let Some(recording) = account.recordings.get(&id) else { return status(404) };
    answer(request.headers(), &recording.bytes, &recording.manner, number)
}
