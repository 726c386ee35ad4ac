//! A fake of Cloudflare Stream (specs/hosts 13.2): its chunk rule, its reservations, its one budget of requests for all.

mod besides;
mod media;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use http::Method;
use matinee_core::calendar;
use matinee_core::hash::hex;
use matinee_core::time::Millis;
use serde_json::{Map, Value, json};

use self::media::State;
use super::{CHUNKS, LENGTH_MAX_S, sign};
use crate::host::fake::{
    Asked, Clock, Fault, Frame, NoFilm, Pretend, Reply, Vault, Wish, empty, fetch, json, with,
};

/// The account of the fake.
pub const ACCOUNT: &str = "fakeaccount";
/// Its token.
pub const TOKEN: &str = "fake-token";
/// The secret of its webhook.
pub const WEBHOOK_SECRET: &str = "fake-webhook-secret";
/// The name of the key that signs addresses.
pub const SIGNING_KEY_ID: &str = "fake-signing-key";

/// The key that signs addresses, as Cloudflare shows one once: everybody has this one, it is the fake's.
pub fn signing_key() -> String {
    STANDARD.encode(include_str!("../../../../../proto/vectors/cloudflare-key.pem"))
}

/// What is reserved when nobody says how long a video is, in seconds.
const RESERVED_S: u64 = 14_400;
/// Requests within [`WINDOW_MS`]; above it everything is blocked for as long again.
const BUDGET: u32 = 1_200;
const WINDOW_MS: i64 = 300_000;
/// A request of an upload has at most so many bytes.
const CHUNK_BYTES_MAX: u64 = 209_715_200;

/// A running fake.
#[derive(Clone)]
pub struct FakeCloudflare {
    frame: Frame,
    account: Arc<Account>,
}

struct Account {
    /// Itself, for what it does by itself.
    own: Weak<Self>,
    url: String,
    vault: Vault,
    clock: Clock,
    encode_ms: i64,
    videos: Mutex<BTreeMap<String, Video>>,
    budget: Mutex<Budget>,
    minutes: AtomicU64,
    made: AtomicU64,
}

#[derive(Default)]
struct Budget {
    began: i64,
    used: u32,
    blocked_until: i64,
}

#[derive(Debug, Clone)]
struct Video {
    creator: String,
    meta: Map<String, Value>,
    made: Millis,
    uploaded: Option<Uploaded>,
    reserved_s: u64,
    signed: bool,
    /// It is fetched from somewhere.
    pulls: bool,
    /// WebVTT by language.
    captions: BTreeMap<String, String>,
    /// When a file of it was asked for.
    download: Option<Millis>,
}

/// All bytes are there.
#[derive(Debug, Clone)]
struct Uploaded {
    at: Millis,
    /// The length in milliseconds; else why it is no film.
    length_ms: Result<u64, NoFilm>,
}

impl Video {
    fn new(made: Millis) -> Self {
        Self {
            creator: String::new(),
            meta: Map::new(),
            made,
            uploaded: None,
            reserved_s: 0,
            signed: false,
            pulls: false,
            captions: BTreeMap::new(),
            download: None,
        }
    }

    fn length_ms(&self) -> Option<u64> {
        self.uploaded.as_ref()?.length_ms.as_ref().ok().copied()
    }
}

impl FakeCloudflare {
    /// An account without videos and with 1,000 minutes, whose bytes lie below `folder`.
    pub async fn start(folder: PathBuf, clock: Clock) -> io::Result<Self> {
        Self::wished(Wish::new(folder, clock)).await
    }

    /// The same as somebody wishes it.
    pub async fn wished(wish: Wish) -> io::Result<Self> {
        let (frame, listener) = Frame::listen(&wish).await?;
        let account = Arc::new_cyclic(|own| Account {
            own: Weak::clone(own),
            url: frame.url(),
            vault: Vault::at(wish.folder),
            clock: wish.clock,
            encode_ms: wish.encode_ms,
            videos: Mutex::default(),
            budget: Mutex::default(),
            minutes: AtomicU64::new(1_000),
            made: AtomicU64::default(),
        });
        let service: Arc<dyn Pretend> = Arc::clone(&account) as _;
        tokio::spawn(frame.clone().serve(listener, service));
        Ok(Self { frame, account })
    }

    /// Address, clock, journal and troubles.
    pub const fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The names of all videos that exist and are paid for.
    pub fn there(&self) -> Vec<String> {
        self.account.videos().keys().cloned().collect()
    }

    /// It loses a video, as if nobody had ever made it.
    pub fn lose(&self, id: &str) {
        self.account.videos().remove(id);
        self.account.vault.remove(id);
    }

    /// SHA-256 of the bytes that have come for a video.
    pub fn received(&self, id: &str) -> Option<[u8; 32]> {
        self.account.vault.item(id).map(|item| item.sha256())
    }

    /// The captions of a video: WebVTT by language.
    pub fn captions(&self, id: &str) -> BTreeMap<String, String> {
        self.account.videos().get(id).map(|video| video.captions.clone()).unwrap_or_default()
    }

    /// So many minutes are paid for.
    pub fn buy(&self, minutes: u64) {
        self.account.minutes.store(minutes, Ordering::Relaxed);
    }

    /// Seconds that are paid for: of videos that are there and of those that may come.
    pub fn reserved_s(&self) -> u64 {
        self.account.reserved_s()
    }

    /// The body of the webhook about a video, and its header.
    pub fn hook(&self, id: &str) -> Option<(Vec<u8>, String)> {
        let now = self.account.clock.now();
        let body = self.account.model(id, self.account.videos().get(id)?, now).to_string().into_bytes();
        let time = (now.0 / 1_000).to_string();
        let code = sign::code(WEBHOOK_SECRET, &[time.as_bytes(), b".", &body]);
        Some((body, format!("time={time},sig1={}", hex(&code))))
    }
}

impl Account {
    fn videos(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Video>> {
        self.videos.lock().expect("because nobody panics while it is held")
    }

    fn reserved_s(&self) -> u64 {
        self.videos()
            .values()
            .map(|video| {
                // Of what it fetches it knows no length before.
                let reserved_s = if video.pulls { 0 } else { video.reserved_s };
                video.length_ms().map_or(reserved_s, |ms| ms.div_ceil(1_000))
            })
            .sum()
    }

    /// Counts a request; the answer when there are too many.
    fn over(&self, now: Millis) -> Option<Reply> {
        let mut budget = self.budget.lock().expect("because nobody panics while it is held");
        if now.0 - budget.began >= WINDOW_MS {
            (budget.began, budget.used) = (now.0, 0);
        }
        budget.used += 1;
        if budget.used > BUDGET {
            budget.blocked_until = budget.blocked_until.max(now.0 + WINDOW_MS);
        }
        let left_ms = budget.blocked_until - now.0;
        (left_ms > 0)
            .then(|| with(failed(429, 971, "Please wait"), "retry-after", &(left_ms / 1_000 + 1).to_string()))
    }

    fn tus_create(&self, asked: &Asked) -> Reply {
        let Ok(size) = asked.header("upload-length").parse::<u64>() else {
            return failed(400, 10_005, "Bad Request: Upload-Length");
        };
        if asked.header("tus-resumable") != "1.0.0" || asked.asked("direct_user") != Some("true") {
            return failed(400, 10_005, "Bad Request: this is no creation that a fake knows");
        }
        let Some(meta) = metadata(asked.header("upload-metadata")) else {
            return failed(400, 10_005, "Bad Request: Upload-Metadata");
        };
        let seconds =
            ["maxDurationSeconds", "maxdurationseconds"].iter().find_map(|name| meta.get(*name)?.as_str());
        let reserved_s = match seconds.map(str::parse::<u64>) {
            None => RESERVED_S,
            Some(Ok(seconds)) if (1..=LENGTH_MAX_S).contains(&seconds) => seconds,
            Some(_) => return failed(400, 10_005, "Bad Request: maxDurationSeconds"),
        };
        let minutes = self.minutes.load(Ordering::Relaxed);
        if self.reserved_s() + reserved_s > minutes * 60 {
            return failed(413, 10_011, "Storage capacity exceeded");
        }
        let signed = meta.contains_key("requiresignedurls");
        let creator = asked.header("upload-creator").to_owned();
        let video = Video { creator, meta, reserved_s, signed, ..Video::new(asked.now) };
        let id = self.insert(video, asked.lie);
        self.vault.begin(&id, size);
        let url = &self.url;
        with(with(empty(201), "location", &format!("{url}/upload/{id}?tusv2=true")), "stream-media-id", &id)
    }

    /// Keeps a new video, as truly as it is to; its name.
    fn insert(&self, video: Video, lie: Option<Fault>) -> String {
        let mut videos = self.videos();
        let fresh = || format!("{:032x}", self.made.fetch_add(1, Ordering::Relaxed));
        let id = fresh();
        if lie == Some(Fault::Twice) {
            videos.insert(fresh(), video.clone());
        }
        if lie != Some(Fault::Loses) {
            videos.insert(id.clone(), video);
        }
        id
    }

    /// Makes a video of what lies at an address.
    async fn copy(&self, asked: Asked) -> Reply {
        let (made, lie) = (asked.now, asked.lie);
        let Some(Value::Object(wish)) = asked.json().await else {
            return failed(400, 10_005, "Bad Request: no JSON");
        };
        let known = ["url", "input", "creator", "meta", "requireSignedURLs"];
        if let Some(other) = wish.keys().find(|key| !known.contains(&key.as_str())) {
            return failed(400, 10_005, &format!("Bad Request: {other} is nothing that a fake knows"));
        }
        let text = |key: &str| wish.get(key).and_then(Value::as_str);
        let from = text("url").or(text("input")).filter(|url| url.starts_with("http"));
        let Some(from) = from.map(str::to_owned) else {
            return failed(400, 10_005, "Bad Request: the address of the source");
        };
        let creator = text("creator").unwrap_or_default().to_owned();
        let meta = wish.get("meta").and_then(Value::as_object).cloned().unwrap_or_default();
        let signed = wish.get("requireSignedURLs") == Some(&Value::Bool(true));
        let (reserved_s, pulls) = (LENGTH_MAX_S, true);
        let video = Video { creator, meta, reserved_s, signed, pulls, ..Video::new(made) };
        let model = |id: &str| self.model(id, &video, made);
        let id = self.insert(video.clone(), lie);
        let (answer, own) = (result(&model(&id)), Weak::clone(&self.own));
        tokio::spawn(async move {
            let Some(account) = own.upgrade() else { return };
            let fetched = fetch(&account.vault, &id, &from, true).await;
            let film = fetched.map_err(NoFilm::Unfetched).and_then(|()| account.vault.film(&id));
            account.arrived(&id, film.map(|film| film.length_ms));
        });
        answer
    }

    /// All bytes of a video are there, or never will be.
    fn arrived(&self, id: &str, length_ms: Result<u64, NoFilm>) {
        if let Some(video) = self.videos().get_mut(id) {
            video.uploaded = Some(Uploaded { at: self.clock.now(), length_ms });
        }
    }

    fn tus_look(&self, asked: &Asked) -> Reply {
        let Some(item) = self.vault.item(asked.part(1)) else { return empty(404) };
        let reply = with(empty(200), "upload-offset", &item.offset.to_string());
        with(reply, "upload-length", &item.size.to_string())
    }

    async fn tus_append(&self, asked: Asked) -> Reply {
        let id = asked.part(1).to_owned();
        let Some(item) = self.vault.item(&id) else { return empty(404) };
        if asked.header("content-type") != "application/offset+octet-stream" {
            return empty(415);
        }
        let (Ok(offset), Ok(len)) =
            (asked.header("upload-offset").parse::<u64>(), asked.header("content-length").parse::<u64>())
        else {
            return empty(400);
        };
        let is_last = offset + len == item.size;
        let fits = len >= CHUNKS.min_bytes && len.is_multiple_of(CHUNKS.step_bytes) && len <= CHUNK_BYTES_MAX;
        if len > CHUNK_BYTES_MAX || (!is_last && !fits) {
            return failed(400, 10_005, "Bad Request: the size of this chunk");
        }
        let Ok(Some(offset)) = self.vault.append(&id, offset, asked.body).await else { return empty(409) };
        if self.vault.item(&id).is_some_and(|item| item.is_whole()) {
            self.arrived(&id, self.vault.film(&id).map(|film| film.length_ms));
        }
        with(empty(204), "upload-offset", &offset.to_string())
    }

    fn status(&self, asked: &Asked) -> Reply {
        let id = asked.part(3);
        self.videos().get(id).map_or_else(
            || failed(404, 10_003, "Not Found"),
            |video| result(&self.model(id, video, asked.now)),
        )
    }

    fn delete(&self, asked: &Asked) -> Reply {
        let id = asked.part(3);
        if asked.lie == Some(Fault::Keeps) {
            return empty(200);
        }
        if self.videos().remove(id).is_none() {
            return failed(404, 10_003, "Not Found");
        }
        self.vault.remove(id);
        empty(200)
    }

    fn list(&self, asked: &Asked) -> Reply {
        if asked.query.iter().any(|(name, _)| !["limit", "creator", "end", "before"].contains(&name.as_str()))
        {
            return failed(400, 10_005, "Bad Request: an unknown parameter");
        }
        let limit = asked.asked("limit").and_then(|text| text.parse().ok()).unwrap_or(1_000_usize).min(1_000);
        let end = asked.asked("end").or_else(|| asked.asked("before"));
        let videos = self.videos();
        let mut found: Vec<_> = videos
            .iter()
            .filter(|(_, video)| asked.asked("creator").is_none_or(|creator| video.creator == creator))
            .filter(|(_, video)| asked.shows(video.made))
            .filter(|(_, video)| end.is_none_or(|end| calendar::time(video.made).as_str() <= end))
            .collect();
        found.sort_by_key(|(id, video)| (std::cmp::Reverse(video.made), (*id).clone()));
        let found = found.into_iter().take(limit).map(|(id, video)| self.model(id, video, asked.now));
        result(&Value::Array(found.collect()))
    }

    fn usage(&self) -> Reply {
        #[expect(clippy::cast_precision_loss, reason = "seconds of an account are exact in an f64")]
        let minutes = self.reserved_s() as f64 / 60.0;
        let (limit, count) = (self.minutes.load(Ordering::Relaxed), self.videos().len());
        result(&json!({
            "totalStorageMinutes": minutes, "totalStorageMinutesLimit": limit, "videoCount": count, "creator": null,
        }))
    }

    /// A video as the API and the webhook show it.
    fn model(&self, id: &str, video: &Video, now: Millis) -> Value {
        let State { word, plays, percent, fault } = self.state(video, now);
        let (code, text) = fault.unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "the length of a video is exact in an f64")]
        let seconds = video.length_ms().map_or(-1.0, |ms| ms as f64 / 1_000.0);
        json!({
            "uid": id, "creator": video.creator, "meta": video.meta, "created": calendar::time(video.made),
            "size": self.vault.item(id).map(|item| item.size), "duration": seconds, "readyToStream": plays,
            "requireSignedURLs": video.signed, "maxDurationSeconds": video.reserved_s,
            "status": { "state": word, "pctComplete": percent, "errorReasonCode": code, "errorReasonText": text },
        })
    }
}

impl Pretend for Account {
    fn call(&self, method: &Method, path: &str) -> Option<&'static str> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        Some(match (method.as_str(), parts.as_slice()) {
            ("POST", ["accounts", _, "stream"]) => "create",
            ("POST", ["accounts", _, "stream", "copy"]) => "pull",
            ("GET", ["accounts", _, "stream"]) => "list",
            ("GET", ["accounts", _, "stream", "storage-usage"]) => "usage",
            ("GET", ["accounts", _, "stream", _]) => "status",
            ("DELETE", ["accounts", _, "stream", _]) => "delete",
            ("PUT" | "DELETE", ["accounts", _, "stream", _, "captions", _]) => "captions",
            ("POST" | "GET", ["accounts", _, "stream", _, "downloads"]) => "download",
            ("HEAD", ["upload", _]) => "tus look",
            ("PATCH", ["upload", _]) => "tus append",
            ("GET", [_, "manifest" | "thumbnails" | "downloads", ..]) => "media",
            _ => return None,
        })
    }

    fn reply(&self, asked: Asked) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            if !asked.call.starts_with("tus") && asked.call != "media" {
                if asked.header("authorization") != format!("Bearer {TOKEN}") || asked.part(1) != ACCOUNT {
                    return failed(403, 10_000, "Authentication error");
                }
                if let Some(reply) = self.over(asked.now) {
                    return reply;
                }
            }
            match asked.call {
                "create" => self.tus_create(&asked),
                "pull" => self.copy(asked).await,
                "list" => self.list(&asked),
                "usage" => self.usage(),
                "status" => self.status(&asked),
                "delete" => self.delete(&asked),
                "tus look" => self.tus_look(&asked),
                "media" => self.media(&asked),
                "captions" => self.captions(asked).await,
                "download" => self.download(&asked),
                _ => self.tus_append(asked).await,
            }
        })
    }
}

/// The pairs of `Upload-Metadata`; `None` when they are none.
fn metadata(header: &str) -> Option<Map<String, Value>> {
    let pairs = header.split(',').filter(|pair| !pair.trim().is_empty()).map(|pair| {
        let (name, value) = pair.trim().split_once(' ').unwrap_or((pair.trim(), ""));
        let value = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
        Some((name.to_owned(), Value::String(value)))
    });
    pairs.collect()
}

fn result(value: &Value) -> Reply {
    json(200, &json!({ "result": value, "success": true, "errors": [], "messages": [] }))
}

fn failed(status: u16, code: u32, message: &str) -> Reply {
    let errors = json!([{ "code": code, "message": message }]);
    json(status, &json!({ "result": null, "success": false, "errors": errors, "messages": [] }))
}
