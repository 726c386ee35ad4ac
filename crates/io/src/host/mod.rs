//! Hosts: services that take a video, encode it and stream it. What only one of them does stays in its own folder.
//!
//! No host has a key against creating twice. So an intent is committed before [`Host::create`], its id travels into the
//! video there, and an answer that was lost is replaced by a look for that id ([`Query::Key`]).

pub mod bunny;
pub mod cloudflare;
#[cfg(test)]
mod contract;
pub mod fake;
mod push;
mod sealed;
mod sign;
mod wire;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::HeaderMap;
use matinee_core::host::{Standing, Usage};
use matinee_core::id::PublicationId;
use matinee_core::publication::besides::{Download, Spoken};
use matinee_core::throttle::Rate;
use matinee_core::time::Millis;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::push::{Push, Pusher};
pub use self::sealed::Seal;
pub use self::wire::{HostError, Secret};

/// What is to become a video at the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The title; the host may show it in its own pages.
    pub title: String,
    /// Bytes of the file.
    pub size: u64,
    /// Its length in milliseconds, measured or declared. A host that sells minutes reserves so many.
    pub duration_ms: Option<u64>,
    /// The type of the file, such as `video/mp4`.
    pub mime: String,
}

/// How large one request of an upload may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRule {
    /// All but the last have at least so many bytes.
    pub min_bytes: u64,
    /// And at most so many.
    pub max_bytes: u64,
    /// All but the last are a multiple of so many bytes.
    pub step_bytes: u64,
}

/// Where a host takes the bytes, by tus 1.0. A secret: whoever has it can upload.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The upload, or where it must be created first.
    pub url: String,
    /// Is `url` the upload itself?
    pub created: bool,
    /// Headers that every request carries.
    pub headers: Vec<(String, String)>,
    /// The header `Upload-Metadata` of the creation.
    pub metadata: String,
    /// How large one request may be.
    pub chunks: ChunkRule,
    /// When it ends.
    pub expires: Option<Millis>,
}

impl std::fmt::Debug for Target {
    /// Without what lets somebody upload.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("created", &self.created)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// A video as the host has just made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The host's name for it.
    pub id: String,
    /// Where its bytes go.
    pub target: Target,
}

/// A video as the host tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote {
    /// The host's name for it.
    pub id: String,
    /// The intent that it was made for, if its mark is ours.
    pub key: Option<PublicationId>,
    /// How it stands.
    pub standing: Standing,
    /// Its length in milliseconds, once known.
    pub duration_ms: Option<u64>,
    /// Bytes that are paid for, where the host tells.
    pub bytes: Option<u64>,
    /// The host's own words, kept as they are.
    pub facts: Value,
}

/// Which videos to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// Those that were made for this intent; more than one when an answer was lost.
    Key(PublicationId),
    /// All, the newest first.
    All,
    /// The newest ones, as few as the host lists: the cheapest question that it answers.
    First,
}

/// A part of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The videos.
    pub items: Vec<Remote>,
    /// What to ask for next; nothing at the end.
    pub next: Option<String>,
}

/// How a deletion was answered. Only a look of its own proves that the video is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// The host says that it has deleted it.
    Now,
    /// The host does not know it.
    WasAbsent,
}

/// Where a viewer finds a video; made anew for each viewer, never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Playback {
    /// HLS.
    pub hls: String,
    /// DASH, where the host has it.
    pub dash: Option<String>,
    /// A still picture.
    pub poster: String,
    /// A moving one.
    pub preview: Option<String>,
    /// The whole as a file, where one can be made: it is there when [`Host::download`] has said so.
    pub file: Option<String>,
    /// Until when the addresses work.
    pub expires: Option<Millis>,
}

/// Why an incoming webhook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    /// A header is missing or unreadable.
    #[error("the signature is missing or cannot be read")]
    Unsigned,
    /// The signature is of other bytes or another key.
    #[error("the signature does not match")]
    Wrong,
    /// It was signed too long ago, or by a clock that is ahead.
    #[error("the signature is too old")]
    Stale,
    /// The body is not what this host sends.
    #[error("the body names no video")]
    NoVideo,
}

/// What a question to a host comes to.
pub type Said<'a, T> = BoxFuture<'a, Result<T, HostError>>;

/// A service that takes videos. Implementations are cheap to clone behind an `Arc`.
pub trait Host: Send + Sync {
    /// Which service it is.
    fn kind(&self) -> &'static str;

    /// Whose videos these are, such as the number of the account: what lies in one place is never looked for in another.
    fn identity(&self) -> String;

    /// Where browsers find its videos: scheme and name, as a page's policy writes them.
    fn site(&self) -> String;

    /// How many requests it allows, with a part kept for what a person waits for.
    fn rate(&self) -> Rate;

    /// Makes the video and says where its bytes go.
    ///
    /// [`HostError::Ambiguous`] when the question was sent and no answer came: look with [`Query::Key`].
    fn create<'a>(&'a self, key: PublicationId, wanted: &'a Wanted, now: Millis) -> Said<'a, Created>;

    /// Makes the video, and has the host fetch its bytes from this address by itself. What it is called there, where the answer
    /// says so; else it is found by its key, and may be shown late.
    ///
    /// [`HostError::Ambiguous`] as in [`Host::create`].
    fn pull<'a>(&'a self, key: PublicationId, from: &'a str, wanted: &'a Wanted) -> Said<'a, Option<String>>;

    /// Where the bytes of a video go that was made before: the same address, signed anew where signatures expire.
    fn target<'a>(&'a self, id: &'a str, known: &'a Target, now: Millis) -> Said<'a, Target>;

    /// Where the bytes of a video go whose creation was not answered; nothing where only that answer says it.
    fn regain(&self, id: &str, wanted: &Wanted, now: Millis) -> Option<Target>;

    /// Puts captions of a language there, as WebVTT, in place of those that are.
    fn caption<'a>(&'a self, id: &'a str, words: &'a Spoken, text: &'a str) -> Said<'a, ()>;

    /// Takes the captions of a language away; again is no error.
    fn uncaption<'a>(&'a self, id: &'a str, language: &'a str) -> Said<'a, ()>;

    /// Has the whole made as a file, and says how far that is; `known` is what it said before. Nothing where none is made by wish.
    fn download<'a>(&'a self, id: &'a str, known: Option<&'a Download>) -> Said<'a, Option<Download>>;

    /// How a video stands; one that the host does not know is [`Standing::Gone`].
    fn status<'a>(&'a self, id: &'a str) -> Said<'a, Remote>;

    /// A page of videos.
    fn list<'a>(&'a self, which: &'a Query, after: Option<String>) -> Said<'a, Page>;

    /// Deletes a video; again is no error.
    fn delete<'a>(&'a self, id: &'a str) -> Said<'a, Deleted>;

    /// What is used of what was paid for; nothing where the host does not tell.
    fn usage(&self, now: Millis) -> Said<'_, Option<Usage>>;

    /// SHA-256 of the file that it was given, in hexadecimal digits, where the host tells; `facts` are [`Remote::facts`].
    fn original<'f>(&self, facts: &'f Value) -> Option<&'f str>;

    /// Where this viewer finds the video. No network; `facts` are [`Remote::facts`].
    fn playback(&self, id: &str, facts: &Value, now: Millis) -> Result<Playback, HostError>;

    /// The videos that a webhook is about, if it is signed by the host. A hint and never truth: ask [`Host::status`].
    fn hints(&self, headers: &HeaderMap, body: &[u8], now: Millis) -> Result<Vec<String>, Forged>;
}

/// A service with our keys to it.
#[derive(Debug, Clone)]
pub enum Config {
    /// An account at Cloudflare Stream.
    Cloudflare(cloudflare::Config),
    /// A library at Bunny Stream.
    Bunny(bunny::Config),
}

/// A host, ready to be asked; nothing is asked yet. [`HostError::Refused`] when a key cannot be read.
pub fn open(config: Config) -> Result<Arc<dyn Host>, HostError> {
    Ok(match config {
        Config::Cloudflare(config) => Arc::new(cloudflare::Cloudflare::open(config)?),
        Config::Bunny(config) => Arc::new(bunny::Bunny::open(config)?),
    })
}
