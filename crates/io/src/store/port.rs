//! The port of the stores outside the data directory: what each of them does, and how it says that it cannot.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use http::Method;
use matinee_core::time::Millis;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Facts, Removed};

/// The longest key in bytes, with its prefix: what every store takes.
pub const KEY_BYTES_MAX: usize = 1_024;

/// What a call of a store comes to.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, RemoteError>>;

/// Bytes of an object, as they come.
pub type Reading = BoxStream<'static, Result<Bytes, RemoteError>>;

/// A place for objects outside the data directory. Keys are made by us, below the prefix of the store, and unique: nothing
/// is ever overwritten but by the same bytes.
pub trait Store: fmt::Debug + Send + Sync {
    /// Puts the first `size` bytes of an open file under a key, in bounded memory. An upload in parts that was `begun`
    /// before is gone on with. Can be repeated: what is there already is seen, and not sent twice.
    fn put<'a>(
        &'a self,
        key: &'a str,
        file: Arc<File>,
        size: u64,
        begun: Option<&'a Begun>,
        told: &'a dyn Told,
    ) -> Answer<'a, Put>;

    /// The bytes of a range, all of them or a failure. The range is not empty.
    fn read<'a>(&'a self, key: &'a str, range: Range<u64>) -> Answer<'a, Reading>;

    /// Is the object there, and how long? Absence is an answer.
    fn look<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Looked>>;

    /// Frees the bytes of a key: every version, every mark that hides one, and every upload that was begun for it.
    /// `version` is the one that is known to be there; nobody needs to know it.
    fn remove<'a>(&'a self, key: &'a str, version: Option<&'a str>) -> Answer<'a, Removed>;

    /// Objects in the order of their keys, after this one.
    fn list<'a>(&'a self, after: Option<&'a str>, limit: usize) -> Answer<'a, Page>;

    /// Gives up an upload in parts; what arrived of it is freed. It may be gone already.
    fn abort<'a>(&'a self, key: &'a str, begun: &'a Begun) -> Answer<'a, ()>;

    /// What a listing does not show and is paid for all the same; at most `limit` of each kind.
    fn hidden(&self, limit: usize) -> Answer<'_, Hidden>;

    /// An address by which somebody without our keys may do this one thing for so long; nothing where there is no such
    /// thing.
    fn presigned(&self, key: &str, method: &Method, for_s: u64) -> Option<Url>;

    /// Tries what the store can do, with small objects whose keys begin with `below`; nothing of them stays.
    fn facts<'a>(&'a self, below: &'a str, depth: Depth) -> Answer<'a, Facts>;
}

/// How much is tried to learn what a store can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// A few calls and a few bytes.
    Brief,
    /// Also what takes some MiB.
    Whole,
}

/// Hears how a put goes.
pub trait Told: Send + Sync {
    /// An upload in parts begins, and no part was sent yet: to be saved. Whoever cannot save it says so, and none is sent.
    fn begun<'a>(&'a self, begun: &'a Begun) -> Answer<'a, ()>;

    /// So many bytes are in the store by now.
    fn sent(&self, _bytes: u64) {}
}

/// Nobody needs to hear how a put goes.
#[derive(Debug, Clone, Copy)]
pub struct Untold;

impl Told for Untold {
    fn begun<'a>(&'a self, _: &'a Begun) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// An upload in parts. Which parts are there the store itself says when it is gone on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// What the store calls it.
    pub upload: String,
    /// The length of each part but the last.
    pub part_bytes: u64,
}

/// An object that is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// What the store calls these bytes, where it keeps several of a key.
    pub version: Option<String>,
    /// What it says of them that changes when they do, where it says so.
    pub tag: Option<String>,
    /// How far its word goes.
    pub proof: Proof,
}

/// What is known of an object that was just put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The store has hashed the bytes that it has, and they are ours.
    Hashed,
    /// Only the length was compared: read it back.
    Sized,
}

/// An object as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// Its bytes.
    pub size: u64,
    /// What the store calls these bytes, where it keeps several of a key.
    pub version: Option<String>,
    /// What it says of them that changes when they do, where it says so.
    pub tag: Option<String>,
}

/// An object as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub size: u64,
}

/// Objects in the order of their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The objects.
    pub objects: Vec<Seen>,
    /// More may come after this key; nothing at the end.
    pub next: Option<String>,
}

/// What a listing does not show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hidden {
    /// Uploads that were begun and not ended.
    pub uploads: Vec<OpenUpload>,
    /// Versions that are not the newest of their key, and marks that hide one.
    pub versions: Vec<OldVersion>,
    /// There are more than were asked for.
    pub more: bool,
}

/// An upload that was begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenUpload {
    /// The key that the object would have.
    pub key: String,
    /// What the store calls the upload.
    pub upload: String,
    /// When it was begun, where the store says so.
    pub since: Option<Millis>,
}

/// A version that no listing shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldVersion {
    /// Its key.
    pub key: String,
    /// What the store calls it.
    pub version: String,
    /// Its bytes; none of a mark that hides others.
    pub size: Option<u64>,
}

/// Why a store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// There is no such object.
    #[error("the object is not in the store")]
    Absent,
    /// The object is shorter than what was asked for.
    #[error("the object ends before the bytes that were asked for")]
    Short,
    /// The store does not let us, or is not what the configuration says.
    #[error("the store refuses it: {0}")]
    Refused(String),
    /// It cannot be done like this, however often it is tried.
    #[error("the store cannot do it: {0}")]
    Wrong(String),
    /// It lies in a class from which nothing is read before it was asked for hours earlier.
    #[error("the object must be thawed before it is read: {0}")]
    Frozen(String),
    /// The bytes are there and cannot be read: a sector that has gone bad.
    #[error("the bytes cannot be read: {0}")]
    Unreadable(String),
    /// Nothing more fits.
    #[error("no space is left in the store")]
    Full,
    /// The network or the service failed; the same may work later.
    #[error("the store does not answer: {0}")]
    Again(String),
    /// It was begun, and that could not be written down; the store has done nothing wrong.
    #[error("what was begun could not be saved: {0}")]
    Unsaved(String),
    /// Our own file.
    #[error("the file that is to be put cannot be read: {0}")]
    File(#[source] std::io::Error),
}

impl RemoteError {
    /// May the same work later, with nobody doing anything about it?
    pub const fn is_again(&self) -> bool {
        matches!(self, Self::Again(_) | Self::Full)
    }

    /// Is it about the store as a whole, so that asking for another object is in vain, too? One that is full still gives.
    pub const fn is_of_the_store(&self) -> bool {
        matches!(self, Self::Again(_) | Self::Refused(_))
    }
}

/// Refuses keys that not every store takes: they are made by us, of plain letters.
pub(super) fn check_key(key: &str) -> Result<(), RemoteError> {
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || b"-_.".contains(&letter);
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain);
    if key.len() <= KEY_BYTES_MAX && key.split('/').all(part) {
        Ok(())
    } else {
        Err(RemoteError::Wrong(format!("`{key}` is no key")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stays_below_its_store() {
        for (key, good) in [
            ("vid_1/h264-720/obj_2", true),
            ("a", true),
            ("a.b-c_D", true),
            ("", false),
            ("/a", false),
            ("a/", false),
            ("a//b", false),
            ("../a", false),
            ("a/.b", false),
            ("a b", false),
            ("\u{e4}", false),
        ] {
            assert_eq!(check_key(key).is_ok(), good, "{key}");
        }
        assert!(check_key(&"a".repeat(KEY_BYTES_MAX)).is_ok());
        assert!(check_key(&"a".repeat(KEY_BYTES_MAX + 1)).is_err());
    }
}
