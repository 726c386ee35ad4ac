//! All that the service holds, and what it did.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use matinee_core::hash::hex;
use matinee_core::replica::plate_of;
use matinee_core::time::Millis;
use md5::{Digest as _, Md5};

use super::answer::{Refusal, Reply};
use super::call::{Asked, Call};
use super::fault::{self, Fault, Trouble};
use super::profile::Profile;
use super::{BUCKET, auth};
use crate::clock;

/// Entries of a page, when nothing else is said.
const PAGE: usize = 1_000;

/// One call, as it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What was asked.
    pub call: Call,
    /// The object it was about; empty for the bucket.
    pub key: String,
    /// The number of the part, if it was about one.
    pub part: Option<u64>,
    /// What was answered.
    pub status: u16,
    /// Bytes that came.
    pub bytes: u64,
}

/// What is there, and paid for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Objects that a listing shows.
    pub objects: usize,
    /// Versions with bytes that no listing shows.
    pub old_versions: usize,
    /// Marks that hide versions.
    pub marks: usize,
    /// Uploads that were begun and not ended.
    pub uploads: usize,
    /// Bytes of all of it.
    pub bytes: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) bytes: Bytes,
    /// Without quotes.
    pub(super) etag: String,
    pub(super) class: String,
}

/// One version of a key: an object, or the mark that hides those before.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) at: Millis,
    pub(super) object: Option<Object>,
}

/// An upload in parts.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) since: Millis,
    pub(super) class: String,
    pub(super) parts: BTreeMap<u64, Object>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) profile: Profile,
    /// The versions of each key, the oldest first.
    pub(super) keys: BTreeMap<String, Vec<Version>>,
    pub(super) uploads: BTreeMap<String, Upload>,
    pub(super) faults: Vec<Fault>,
    pub(super) journal: Vec<Entry>,
    pub(super) unexpected: Vec<String>,
    pub(super) page: usize,
    pub(super) skew_ms: i64,
    pub(super) slow_ms: u64,
    /// What is frozen by its class can be read all the same.
    pub(super) thawed: bool,
    age_ms: i64,
    number: u64,
}

impl World {
    pub(super) fn new(profile: Profile) -> Self {
        Self {
            profile,
            keys: BTreeMap::new(),
            uploads: BTreeMap::new(),
            faults: Vec::new(),
            journal: Vec::new(),
            unexpected: Vec::new(),
            page: PAGE,
            skew_ms: 0,
            slow_ms: 0,
            thawed: false,
            age_ms: 0,
            number: 0,
        }
    }

    /// Answers; nothing when the connection is to end instead.
    pub(super) fn handle(&mut self, asked: &Asked) -> Option<Reply> {
        let Some(call) = asked.call() else {
            let names: Vec<_> = asked.headers.iter().map(|(name, _)| name.as_str()).collect();
            let query: Vec<_> = asked.query.iter().map(|(name, _)| name.as_str()).collect();
            self.unexpected.push(format!("{} {} {query:?} {names:?}", asked.method, asked.path));
            return Some(Refusal::new(501, "NotImplemented").into());
        };
        let trouble = fault::next(&mut self.faults, call);
        let reply = if trouble == Some(Trouble::Reset) {
            Reply::new(0)
        } else {
            self.answer(asked, call, trouble).unwrap_or_else(Reply::from)
        };
        self.journal.push(Entry {
            call,
            key: asked.key.clone(),
            part: asked.number("partNumber"),
            status: reply.status,
            bytes: asked.body.len() as u64,
        });
        (!matches!(trouble, Some(Trouble::Reset | Trouble::Lost))).then_some(reply)
    }

    fn answer(&mut self, asked: &Asked, call: Call, trouble: Option<Trouble>) -> Result<Reply, Refusal> {
        auth::check(asked, self.profile, clock::now().plus(self.skew_ms))?;
        if asked.bucket != BUCKET {
            return Err(Refusal::new(404, "NoSuchBucket"));
        }
        match trouble {
            Some(Trouble::SlowDown) => return Err(Refusal::new(self.profile.slow_status(), "SlowDown")),
            Some(Trouble::Capped) => return Err(Refusal::new(403, "AccessDenied")),
            Some(Trouble::Status(status)) => return Ok(Reply::new(status).body("<html>no</html>")),
            Some(Trouble::ErrorInside) => {
                let inside: Reply = Refusal::new(200, "OperationAborted").into();
                return Ok(inside);
            }
            Some(Trouble::Pretended) => return Ok(Reply::new(204)),
            Some(Trouble::PartGone) => self.lose_part(asked),
            Some(Trouble::Reset | Trouble::Lost | Trouble::WrongBytes | Trouble::Cut | Trouble::Stale)
            | None => {}
        }
        let reply = self.perform(asked, call, trouble == Some(Trouble::Stale))?;
        Ok(match trouble {
            Some(Trouble::WrongBytes) => Reply { body: flipped(&reply.body), ..reply },
            Some(Trouble::Cut) => Reply { cut_after: Some(reply.body.len() / 2), ..reply },
            Some(_) | None => reply,
        })
    }

    fn perform(&mut self, asked: &Asked, call: Call, is_stale: bool) -> Result<Reply, Refusal> {
        match call {
            Call::Put => self.put(asked),
            Call::Copy => self.copy(asked),
            Call::Get => self.get(asked),
            Call::Head => Ok(self.head(asked)),
            Call::Delete => Ok(self.delete(asked)),
            Call::DeleteVersion => self.delete_version(asked),
            Call::List => self.list(asked, is_stale),
            Call::ListVersions => self.list_versions(asked),
            Call::Begin => self.begin(asked),
            Call::Part => self.part(asked),
            Call::ListParts => self.list_parts(asked),
            Call::ListUploads => Ok(self.list_uploads(asked)),
            Call::Complete => self.complete(asked),
            Call::Abort => self.abort(asked),
        }
    }

    /// The present of what is held.
    pub(super) fn now(&self) -> Millis {
        clock::now().plus(self.age_ms)
    }

    pub(super) fn pass_ms(&mut self, ms: i64) {
        self.age_ms += ms;
        if let Some(life_ms) = self.profile.upload_life_ms() {
            let now = self.now();
            self.uploads.retain(|_, upload| now.since(upload.since) < life_ms);
        }
    }

    /// A number that was never given before.
    pub(super) fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// The object that a key has now.
    pub(super) fn newest(&self, key: &str) -> Option<&Object> {
        self.keys.get(key)?.last()?.object.as_ref()
    }

    pub(super) fn damage(&mut self, key: &str) {
        let newest = self.keys.get_mut(key).and_then(|versions| versions.last_mut());
        if let Some(object) = newest.and_then(|version| version.object.as_mut()) {
            object.bytes = flipped(&object.bytes);
        }
    }

    /// The keys of plates of stores, or of all other objects.
    pub(super) fn shown(&self, plates: bool) -> Vec<String> {
        let shown = |(key, versions): (&String, &Vec<Version>)| {
            let is_there = versions.last().is_some_and(|newest| newest.object.is_some());
            (is_there && is_plate(key) == plates).then(|| key.clone())
        };
        self.keys.iter().filter_map(shown).collect()
    }

    pub(super) fn cut(&mut self, key: &str, len: usize) {
        if len == 0 {
            self.keys.remove(key);
            return;
        }
        let newest = self.keys.get_mut(key).and_then(|versions| versions.last_mut());
        if let Some(object) = newest.and_then(|version| version.object.as_mut()) {
            object.bytes.truncate(len);
        }
    }

    pub(super) fn inventory(&self) -> Inventory {
        let mut found = Inventory { uploads: self.uploads.len(), ..Inventory::default() };
        for (_, versions) in self.keys.iter().filter(|(key, _)| !is_plate(key)) {
            for (back, version) in versions.iter().rev().enumerate() {
                match &version.object {
                    None => found.marks += 1,
                    Some(_) if back == 0 => found.objects += 1,
                    Some(_) => found.old_versions += 1,
                }
                found.bytes += version.object.as_ref().map_or(0, |object| object.bytes.len() as u64);
            }
        }
        let parts = self.uploads.values().flat_map(|upload| upload.parts.values());
        found.bytes += parts.map(|part| part.bytes.len() as u64).sum::<u64>();
        found
    }

    fn lose_part(&mut self, asked: &Asked) {
        let upload = asked.param("uploadId").and_then(|upload| self.uploads.get_mut(upload));
        if let Some(upload) = upload {
            upload.parts.pop_first();
        }
    }
}

impl Object {
    pub(super) fn new(bytes: Bytes, class: &str) -> Self {
        let etag = hex(&Md5::digest(&bytes));
        Self { bytes, etag, class: class.to_owned() }
    }
}

/// Is it the key of a plate, below any prefix?
fn is_plate(key: &str) -> bool {
    let mut from = key.match_indices('/').map(|(at, _)| &key[at + 1..]);
    plate_of(key).is_some() || from.any(|rest| plate_of(rest).is_some())
}

/// The same bytes but for one bit in the middle.
fn flipped(bytes: &Bytes) -> Bytes {
    let mut bytes = BytesMut::from(&bytes[..]);
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes.freeze()
}
