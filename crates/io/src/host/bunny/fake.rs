//! A fake of Bunny Stream (specs/hosts 13.3): signatures are computed anew on every request, both numberings are spoken.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use http::Method;
use matinee_core::hash::hex;
use matinee_core::time::Millis;
use serde_json::{Value, json};

use super::{sign, token};
use crate::host::fake::{
    Asked, Clock, Fault, Frame, NoFilm, PLAYLIST, Pretend, Reply, Vault, Wish, empty, fetch, json, media,
    picture, with,
};

/// The library of the fake.
pub const LIBRARY: u64 = 133;
/// The key of the library.
pub const KEY: &str = "fake-library-key";
/// The key that signs webhooks.
pub const READ_ONLY_KEY: &str = "fake-read-only-key";
/// The key that signs addresses of files. Its pull zone refuses whoever has no token.
pub const TOKEN_KEY: &str = "fake-token-key";

/// Its smallest page and the largest.
const PAGE_RANGE: std::ops::RangeInclusive<usize> = 10..=1_000;

/// A running fake.
#[derive(Clone)]
pub struct FakeBunny {
    frame: Frame,
    library: Arc<Library>,
}

struct Library {
    /// Itself, for what it does by itself.
    own: Weak<Self>,
    vault: Vault,
    clock: Clock,
    encode_ms: i64,
    videos: Mutex<BTreeMap<String, Video>>,
    made: AtomicU64,
}

#[derive(Debug, Clone)]
struct Video {
    title: String,
    made: Millis,
    uploaded: Option<Uploaded>,
    /// WebVTT by language.
    captions: BTreeMap<String, String>,
    /// It was not given what it says.
    damaged: bool,
}

impl Video {
    const fn new(made: Millis) -> Self {
        Self { title: String::new(), made, uploaded: None, captions: BTreeMap::new(), damaged: false }
    }
}

/// All bytes are there.
#[derive(Debug, Clone)]
struct Uploaded {
    at: Millis,
    /// The length in milliseconds; else why it is no film.
    length_ms: Result<u64, NoFilm>,
}

impl FakeBunny {
    /// A library without videos, whose bytes lie below `folder`.
    pub async fn start(folder: PathBuf, clock: Clock) -> io::Result<Self> {
        Self::wished(Wish::new(folder, clock)).await
    }

    /// The same as somebody wishes it.
    pub async fn wished(wish: Wish) -> io::Result<Self> {
        let (frame, listener) = Frame::listen(&wish).await?;
        let library = Arc::new_cyclic(|own| Library {
            own: Weak::clone(own),
            vault: Vault::at(wish.folder),
            clock: wish.clock,
            encode_ms: wish.encode_ms,
            videos: Mutex::default(),
            made: AtomicU64::default(),
        });
        let service: Arc<dyn Pretend> = Arc::clone(&library) as _;
        tokio::spawn(frame.clone().serve(listener, service));
        Ok(Self { frame, library })
    }

    /// Address, clock, journal and troubles.
    pub const fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The names of all videos that exist and are paid for.
    pub fn there(&self) -> Vec<String> {
        self.library.videos().keys().cloned().collect()
    }

    /// It loses a video, as if nobody had ever made it.
    pub fn lose(&self, id: &str) {
        self.library.videos().remove(id);
        self.library.vault.remove(id);
    }

    /// SHA-256 of the bytes that have come for a video.
    pub fn received(&self, id: &str) -> Option<[u8; 32]> {
        self.library.vault.item(id).map(|item| item.sha256())
    }

    /// From now on it has other bytes of a video than it was sent.
    pub fn damage(&self, id: &str) {
        if let Some(video) = self.library.videos().get_mut(id) {
            video.damaged = true;
        }
    }

    /// The captions of a video: WebVTT by language.
    pub fn captions(&self, id: &str) -> BTreeMap<String, String> {
        self.library.videos().get(id).map(|video| video.captions.clone()).unwrap_or_default()
    }

    /// The body of the webhook about a video, and its signature.
    pub fn hook(&self, id: &str) -> (Vec<u8>, String) {
        let body =
            json!({ "VideoLibraryId": LIBRARY, "VideoGuid": id, "Status": 3 }).to_string().into_bytes();
        let signature = hex(&sign::code(READ_ONLY_KEY, &[&body]));
        (body, signature)
    }
}

impl Library {
    fn videos(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Video>> {
        self.videos.lock().expect("because nobody panics while it is held")
    }

    async fn create(&self, asked: Asked) -> Reply {
        let (now, lie) = (asked.now, asked.lie);
        let body = asked.json().await.unwrap_or_default();
        let Some(title) = body["title"].as_str().filter(|title| !title.is_empty()) else {
            return said(400, "The field Title is required.");
        };
        let video = Video { title: title.to_owned(), ..Video::new(now) };
        let model = |id: &str| self.model(id, &video, now);
        json(200, &model(&self.insert(video.clone(), lie)))
    }

    /// Keeps a new video, as truly as it is to; its name.
    fn insert(&self, video: Video, lie: Option<Fault>) -> String {
        let mut videos = self.videos();
        let fresh = || format!("00000000-0000-4000-8000-{:012x}", self.made.fetch_add(1, Ordering::Relaxed));
        let id = fresh();
        if lie == Some(Fault::Twice) {
            videos.insert(fresh(), video.clone());
        }
        if lie != Some(Fault::Loses) {
            videos.insert(id.clone(), video);
        }
        id
    }

    /// Makes a video of what lies at an address, and does not say which.
    async fn pull(&self, asked: Asked) -> Reply {
        let (made, lie) = (asked.now, asked.lie);
        let Some(Value::Object(wish)) = asked.json().await else { return said(400, "No JSON.") };
        if wish.keys().any(|key| !["url", "title", "headers"].contains(&key.as_str())) {
            return said(400, "An unknown key.");
        }
        let text = |key: &str| wish.get(key).and_then(Value::as_str);
        let Some(from) = text("url").filter(|url| url.starts_with("http")).map(str::to_owned) else {
            return said(400, "The field Url is required.");
        };
        let title = text("title").unwrap_or("video").to_owned();
        let video = Video { title, ..Video::new(made) };
        let (id, own) = (self.insert(video, lie), Weak::clone(&self.own));
        tokio::spawn(async move {
            let Some(library) = own.upgrade() else { return };
            let fetched = fetch(&library.vault, &id, &from, false).await;
            let film = fetched.map_err(NoFilm::Unfetched).and_then(|()| library.vault.film(&id));
            library.arrived(&id, film.map(|film| film.length_ms));
        });
        said(200, "OK")
    }

    async fn captions(&self, asked: Asked) -> Reply {
        let (id, language) = (asked.part(3).to_owned(), asked.part(5).to_owned());
        if asked.method == Method::DELETE {
            let mut videos = self.videos();
            let removed = videos.get_mut(&id).and_then(|video| video.captions.remove(&language));
            return if removed.is_some() { said(200, "OK") } else { said(404, "Captions not found.") };
        }
        let wish = asked.json().await.unwrap_or_default();
        let file = wish["captionsFile"].as_str().and_then(|file| STANDARD.decode(file).ok());
        let text =
            file.and_then(|file| String::from_utf8(file).ok()).filter(|text| text.starts_with("WEBVTT"));
        let Some(text) = text.filter(|_| wish["srclang"] == *language && wish["label"].is_string()) else {
            return said(400, "The captions are not valid.");
        };
        let mut videos = self.videos();
        let Some(video) = videos.get_mut(&id) else { return said(404, "Video not found.") };
        video.captions.insert(language, text);
        said(200, "OK")
    }

    /// All bytes of a video are there, or never will be.
    fn arrived(&self, id: &str, length_ms: Result<u64, NoFilm>) {
        if let Some(video) = self.videos().get_mut(id) {
            video.uploaded = Some(Uploaded { at: self.clock.now(), length_ms });
        }
    }

    fn status(&self, asked: &Asked) -> Reply {
        let id = asked.part(3);
        self.videos().get(id).map_or_else(
            || said(404, "Video not found."),
            |video| json(200, &self.model(id, video, asked.now)),
        )
    }

    fn delete(&self, asked: &Asked) -> Reply {
        let id = asked.part(3);
        if asked.lie == Some(Fault::Keeps) {
            return said(200, "OK");
        }
        if self.videos().remove(id).is_none() {
            return said(404, "Video not found.");
        }
        self.vault.remove(id);
        said(200, "OK")
    }

    fn list(&self, asked: &Asked) -> Reply {
        for (name, _) in &asked.query {
            if !["page", "itemsPerPage", "search", "collection", "orderBy"].contains(&name.as_str()) {
                return said(400, "An unknown parameter.");
            }
        }
        let number = |name: &str| asked.asked(name).and_then(|text| text.parse::<usize>().ok());
        let page = number("page").unwrap_or(1).max(1);
        let each = number("itemsPerPage").unwrap_or(100).clamp(*PAGE_RANGE.start(), *PAGE_RANGE.end());
        let wanted = asked.asked("search").unwrap_or_default().to_lowercase();
        let videos = self.videos();
        let mut found: Vec<_> =
            videos.iter().filter(|(_, video)| video.title.to_lowercase().contains(&wanted)).collect();
        found.retain(|(_, video)| asked.shows(video.made));
        found.sort_by_key(|(id, video)| (std::cmp::Reverse(video.made), (*id).clone()));
        let total = found.len();
        let items = found.into_iter().skip((page - 1) * each).take(each);
        let items: Vec<Value> = items.map(|(id, video)| self.model(id, video, asked.now)).collect();
        json(200, &json!({ "totalItems": total, "currentPage": page, "itemsPerPage": each, "items": items }))
    }

    /// The video that the signed headers of an upload name; else why not.
    fn signed(&self, asked: &Asked) -> Result<String, Box<Reply>> {
        let id = asked.header("videoid").to_owned();
        let expires = asked.header("authorizationexpire");
        let expected = hex(&sign::sha256(&[&LIBRARY.to_string(), KEY, expires, &id]));
        let is_signed = asked.header("authorizationsignature") == expected
            && asked.header("libraryid") == LIBRARY.to_string()
            && expires.parse::<i64>().is_ok_and(|end_s| asked.now.0 < end_s * 1_000);
        if asked.header("tus-resumable") != "1.0.0" {
            return Err(Box::new(empty(412)));
        }
        if !is_signed || !self.videos().contains_key(&id) {
            return Err(Box::new(empty(401)));
        }
        Ok(id)
    }

    fn tus_create(&self, asked: &Asked) -> Reply {
        let id = match self.signed(asked) {
            Ok(id) => id,
            Err(reply) => return *reply,
        };
        let metadata = asked.header("upload-metadata");
        let has = |name: &str| metadata.split(',').any(|pair| pair.trim().split(' ').next() == Some(name));
        let Ok(size) = asked.header("upload-length").parse() else { return empty(400) };
        if !has("filetype") || !has("title") {
            return empty(400);
        }
        self.vault.begin(&id, size);
        with(empty(201), "location", &format!("/tusupload/{id}"))
    }

    fn tus_look(&self, asked: &Asked) -> Reply {
        let id = match self.signed(asked) {
            Ok(id) => id,
            Err(reply) => return *reply,
        };
        let Some(item) = self.vault.item(&id).filter(|_| asked.part(1) == id) else { return empty(404) };
        let reply = with(empty(200), "upload-offset", &item.offset.to_string());
        with(with(reply, "upload-length", &item.size.to_string()), "cache-control", "no-store")
    }

    async fn tus_append(&self, asked: Asked) -> Reply {
        let id = match self.signed(&asked) {
            Ok(id) => id,
            Err(reply) => return *reply,
        };
        if asked.header("content-type") != "application/offset+octet-stream" {
            return empty(415);
        }
        let Ok(offset) = asked.header("upload-offset").parse() else { return empty(400) };
        let Ok(Some(offset)) = self.vault.append(&id, offset, asked.body).await else { return empty(409) };
        if self.vault.item(&id).is_some_and(|item| item.is_whole()) {
            self.arrived(&id, self.vault.film(&id).map(|film| film.length_ms));
        }
        with(empty(204), "upload-offset", &offset.to_string())
    }

    /// A video as the API shows it.
    fn model(&self, id: &str, video: &Video, now: Millis) -> Value {
        let item = self.vault.item(id);
        let (status, resolutions, progress) = self.state(video, now);
        let length = video.uploaded.as_ref().map(|uploaded| &uploaded.length_ms);
        let length_ms = length.and_then(|length| length.as_ref().ok()).copied().unwrap_or_default();
        let why = length.and_then(|length| length.as_ref().err());
        let messages: Vec<Value> =
            why.iter().map(|why| json!({ "level": 3, "message": why.to_string() })).collect();
        let hash = item.as_ref().filter(|item| item.is_whole()).map(|item| hex(&item.sha256()));
        let hash = if video.damaged { Some("0".repeat(64)) } else { hash };
        json!({
            "videoLibraryId": LIBRARY, "guid": id, "title": video.title, "dateUploaded": "2026-11-26T10:00:00",
            "views": 0, "isPublic": false, "status": status, "length": length_ms / 1_000,
            "availableResolutions": resolutions, "encodeProgress": progress, "hasOriginal": true,
            "storageSize": item.map_or(0, |item| item.offset), "thumbnailFileName": "thumbnail.jpg",
            "originalHash": hash,
            "transcodingMessages": messages,
        })
    }

    /// Its number in the API, the sizes that are made, and how much of the work is done.
    fn state(&self, video: &Video, now: Millis) -> (u8, Option<&'static str>, u8) {
        let Some(uploaded) = &video.uploaded else { return (0, None, 0) };
        let (since_ms, encode_ms) = (now.0 - uploaded.at.0, self.encode_ms);
        match &uploaded.length_ms {
            Err(_) => (5, None, 0),
            Ok(_) if since_ms < encode_ms / 4 => (1, None, 0),
            Ok(_) if since_ms < encode_ms / 2 => (2, None, 25),
            Ok(_) if since_ms < encode_ms => (3, Some("360p"), 50),
            Ok(_) => (4, Some("360p,720p"), 100),
        }
    }

    /// What a viewer asks the pull zone for.
    fn media(&self, asked: &Asked) -> Reply {
        let Some(path) = permitted(asked) else { return empty(403) };
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let [id, rest @ ..] = parts.as_slice() else { return empty(404) };
        let video = self.videos().get(*id).cloned();
        if video.is_none_or(|video| self.state(&video, asked.now).1.is_none()) {
            return empty(404);
        }
        if let [file @ ("thumbnail.jpg" | "preview.webp" | "preview.gif")] = rest {
            return picture(file).unwrap_or_else(|| empty(404));
        }
        let Ok(film) = self.vault.film(id) else { return empty(404) };
        match rest {
            ["playlist.m3u8"] => media(PLAYLIST, film.hls().into_bytes()),
            below => film.below(below).map_or_else(|| empty(404), |(mime, bytes)| media(mime, bytes)),
        }
    }
}

/// The path of a file whose token is computed anew and has not ended: the token stands before it and is for its folder, or
/// behind it and is for it alone.
fn permitted(asked: &Asked) -> Option<String> {
    let (marked, path): (Vec<(String, String)>, String) = match asked.path.strip_prefix("/bcdn_token=") {
        Some(rest) => {
            let (marks, path) = rest.split_once('/')?;
            let marks = format!("token={marks}");
            (url::form_urlencoded::parse(marks.as_bytes()).into_owned().collect(), format!("/{path}"))
        }
        None => (asked.query.clone(), asked.path.clone()),
    };
    let of = |name: &str| marked.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let folder = of("token_path");
    let expires_s: i64 = of("expires")?.parse().ok()?;
    let others: Vec<(&str, &str)> = marked
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| !["token", "expires"].contains(name))
        .collect();
    let expected = token::token(TOKEN_KEY, folder.unwrap_or(&path), expires_s, None, &others);
    let covers = folder.is_none_or(|folder| path.starts_with(folder));
    let lives = asked.now.0 < expires_s.saturating_mul(1_000);
    (covers && lives && of("token") == Some(&*expected)).then_some(path)
}

impl Pretend for Library {
    fn call(&self, method: &Method, path: &str) -> Option<&'static str> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        Some(match (method.as_str(), parts.as_slice()) {
            ("POST", ["library", _, "videos"]) => "create",
            ("POST", ["library", _, "videos", "fetch"]) => "pull",
            ("GET", ["library", _, "videos"]) => "list",
            ("GET", ["library", _, "videos", _]) => "status",
            ("DELETE", ["library", _, "videos", _]) => "delete",
            ("POST" | "DELETE", ["library", _, "videos", _, "captions", _]) => "captions",
            ("POST", ["tusupload"]) => "tus create",
            ("HEAD", ["tusupload", _]) => "tus look",
            ("PATCH", ["tusupload", _]) => "tus append",
            ("GET", [first, _, ..]) if *first != "library" => "media",
            _ => return None,
        })
    }

    fn reply(&self, asked: Asked) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let is_open = asked.call.starts_with("tus") || asked.call == "media";
            if !is_open && (asked.header("accesskey") != KEY || asked.part(1) != LIBRARY.to_string()) {
                return said(401, "Authentication has been denied for this request.");
            }
            match asked.call {
                "create" => self.create(asked).await,
                "pull" => self.pull(asked).await,
                "list" => self.list(&asked),
                "status" => self.status(&asked),
                "delete" => self.delete(&asked),
                "tus create" => self.tus_create(&asked),
                "tus look" => self.tus_look(&asked),
                "media" => self.media(&asked),
                "captions" => self.captions(asked).await,
                _ => self.tus_append(asked).await,
            }
        })
    }
}

/// What Bunny answers when it returns no video.
fn said(status: u16, message: &str) -> Reply {
    json(status, &json!({ "success": status == 200, "message": message, "statusCode": status }))
}
