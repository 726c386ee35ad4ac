//! Objects and their versions.

use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use matinee_core::time::Millis;
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::BUCKET;
use super::answer::{Refusal, Reply, around, element};
use super::call::Asked;
use super::profile::{Condition, Sums};
use super::world::{Object, Version, World};
use crate::store::s3::stamp::extended;

/// The storage classes that are known here.
const CLASSES: [&str; 4] = ["STANDARD", "STANDARD_IA", "GLACIER", "DEEP_ARCHIVE"];
/// Those from which nothing is read before it was thawed.
const FROZEN: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];
/// What a version is called where none are kept.
const NO_VERSION: &str = "null";

impl World {
    pub(super) fn put(&mut self, asked: &Asked) -> Result<Reply, Refusal> {
        self.check_condition(asked)?;
        self.check_body(asked)?;
        let object = Object::new(asked.body.clone(), &class(asked)?);
        let etag = quoted(&object.etag);
        let version = self.keep(&asked.key, object);
        Ok(Reply::new(200).with("etag", etag).version(version.as_deref()))
    }

    pub(super) fn copy(&mut self, asked: &Asked) -> Result<Reply, Refusal> {
        let source = asked.header("x-amz-copy-source").unwrap_or_default().trim_start_matches('/');
        let key = source.strip_prefix(BUCKET).and_then(|key| key.strip_prefix('/'));
        let found = key.and_then(|key| self.newest(key)).cloned().ok_or(Refusal::new(404, "NoSuchKey"))?;
        let (etag, at) = (quoted(&found.etag), extended(self.now()));
        let version = self.keep(&asked.key, found);
        let inside = element("ETag", &etag) + &element("LastModified", &at);
        Ok(Reply::xml("CopyObjectResult", &inside).version(version.as_deref()))
    }

    /// Puts an object on top of a key; says what its version is called.
    pub(super) fn keep(&mut self, key: &str, object: Object) -> Option<String> {
        let has_versions = self.profile.has_versions();
        let id = if has_versions { format!("4_z{:08}", self.next_number()) } else { NO_VERSION.to_owned() };
        let version = Version { id: id.clone(), at: self.now(), object: Some(object) };
        let versions = self.keys.entry(key.to_owned()).or_default();
        if !has_versions {
            versions.clear();
        }
        versions.push(version);
        has_versions.then_some(id)
    }

    pub(super) fn get(&self, asked: &Asked) -> Result<Reply, Refusal> {
        let (version, object) = self.find(asked)?;
        if FROZEN.contains(&object.class.as_str()) && !self.thawed {
            return Err(Refusal::new(403, "InvalidObjectState"));
        }
        if let Some(wanted) = asked.header("if-match")
            && wanted.trim_matches('"') != object.etag
        {
            return Err(Refusal::new(412, "PreconditionFailed"));
        }
        let len = object.bytes.len();
        let reply = described(version, object);
        let Some(range) = asked.header("range") else { return Ok(reply.body(object.bytes.clone())) };
        let range = wanted_range(range, len).ok_or(Refusal::new(416, "InvalidRange"))?;
        let told = format!("bytes {}-{}/{len}", range.start, range.end - 1);
        Ok(Reply { status: 206, ..reply }.with("content-range", told).body(object.bytes.slice(range)))
    }

    pub(super) fn head(&self, asked: &Asked) -> Reply {
        // An answer to HEAD has no body, also when it is a refusal.
        let found = self.find(asked).map(|(version, object)| Reply {
            length: Some(object.bytes.len() as u64),
            ..described(version, object)
        });
        found.unwrap_or_else(|refusal| Reply::new(refusal.status))
    }

    fn find(&self, asked: &Asked) -> Result<(&Version, &Object), Refusal> {
        let absent = Refusal::new(404, "NoSuchKey");
        let versions = self.keys.get(&asked.key).ok_or(absent.clone())?;
        let version = match asked.param("versionId") {
            Some(id) => versions.iter().find(|version| version.id == id),
            None => versions.last(),
        };
        version.and_then(|version| Some((version, version.object.as_ref()?))).ok_or(absent)
    }

    /// Frees the bytes, or only hides them.
    pub(super) fn delete(&mut self, asked: &Asked) -> Reply {
        if !self.profile.has_versions() {
            self.keys.remove(&asked.key);
        } else if self.newest(&asked.key).is_some() {
            let id = format!("4_z{:08}", self.next_number());
            let mark = Version { id, at: self.now(), object: None };
            self.keys.entry(asked.key.clone()).or_default().push(mark);
        }
        Reply::new(204)
    }

    pub(super) fn delete_version(&mut self, asked: &Asked) -> Result<Reply, Refusal> {
        if !self.profile.lists_versions() {
            return Err(Refusal::new(501, "NotImplemented"));
        }
        let id = asked.param("versionId").unwrap_or_default();
        let Some(versions) = self.keys.get_mut(&asked.key) else { return Ok(Reply::new(204)) };
        versions.retain(|version| version.id != id);
        if versions.is_empty() {
            self.keys.remove(&asked.key);
        }
        Ok(Reply::new(204))
    }

    pub(super) fn list(&self, asked: &Asked, is_stale: bool) -> Result<Reply, Refusal> {
        if asked.param("list-type") != Some("2") || asked.param("delimiter").is_some() {
            return Err(Refusal::new(501, "NotImplemented"));
        }
        let prefix = asked.param("prefix").unwrap_or_default();
        let after = asked.param("continuation-token").or(asked.param("start-after")).unwrap_or_default();
        let newest =
            self.keys.values().filter_map(|versions| versions.last()).map(|version| version.at).max();
        let shown = self.keys.iter().filter_map(|(key, versions)| {
            let version = versions.last()?;
            let is_hidden = is_stale && Some(version.at) == newest;
            let fits = key.starts_with(prefix) && key.as_str() > after && !is_hidden;
            Some((key, version, version.object.as_ref()?)).filter(|_| fits)
        });
        let max = self.page_of(asked, "max-keys");
        let mut shown: Vec<_> = shown.take(max + 1).collect();
        let is_truncated = shown.len() > max;
        shown.truncate(max);
        let mut inside = element("Name", BUCKET) + &element("Prefix", prefix);
        inside += &element("IsTruncated", &is_truncated.to_string());
        if let Some((last, _, _)) = shown.last().filter(|_| is_truncated) {
            inside += &element("NextContinuationToken", last);
        }
        for (key, version, object) in shown {
            let told = element("Key", key) + &facts_of(version.at, object);
            inside += &around("Contents", &told);
        }
        Ok(Reply::xml("ListBucketResult", &inside))
    }

    pub(super) fn list_versions(&self, asked: &Asked) -> Result<Reply, Refusal> {
        if !self.profile.lists_versions() {
            return Err(Refusal::new(501, "NotImplemented"));
        }
        let prefix = asked.param("prefix").unwrap_or_default();
        let after = (asked.param("key-marker").unwrap_or_default(), asked.param("version-id-marker"));
        let all = self.keys.iter().flat_map(|(key, versions)| {
            versions.iter().rev().enumerate().map(move |(back, version)| (key, version, back == 0))
        });
        // After the marker: later keys, and of its own key what follows the version that it names.
        let mut passed = after.1.is_none();
        let rest = all.filter(|(key, version, _)| {
            if key.as_str() != after.0 {
                return key.as_str() > after.0;
            }
            let is_after = passed && after.1.is_some();
            passed |= Some(version.id.as_str()) == after.1;
            is_after
        });
        let rest = rest.filter(|(key, _, _)| key.starts_with(prefix));
        let max = self.page_of(asked, "max-keys");
        let mut shown: Vec<_> = rest.take(max + 1).collect();
        let is_truncated = shown.len() > max;
        shown.truncate(max);
        let mut inside = element("Name", BUCKET) + &element("Prefix", prefix);
        inside += &element("IsTruncated", &is_truncated.to_string());
        if let Some((key, version, _)) = shown.last().filter(|_| is_truncated) {
            inside += &(element("NextKeyMarker", key) + &element("NextVersionIdMarker", &version.id));
        }
        for (key, version, is_latest) in shown {
            let told = element("Key", key)
                + &element("VersionId", &version.id)
                + &element("IsLatest", &is_latest.to_string());
            inside += &if let Some(object) = &version.object {
                around("Version", &(told + &facts_of(version.at, object)))
            } else {
                around("DeleteMarker", &(told + &element("LastModified", &extended(version.at))))
            };
        }
        Ok(Reply::xml("ListVersionsResult", &inside))
    }

    /// Entries of a page as asked for, and no more than the service gives.
    pub(super) fn page_of(&self, asked: &Asked, name: &str) -> usize {
        let wanted = asked.number(name).and_then(|wanted| usize::try_from(wanted).ok());
        wanted.unwrap_or(self.page).min(self.page)
    }

    fn check_condition(&self, asked: &Asked) -> Result<(), Refusal> {
        let (none, some) = (asked.header("if-none-match"), asked.header("if-match"));
        if none.is_none() && some.is_none() {
            return Ok(());
        }
        let there = self.newest(&asked.key);
        let fails = none.is_some() && there.is_some()
            || some.is_some_and(|etag| there.is_none_or(|there| there.etag != etag.trim_matches('"')));
        match self.profile.condition() {
            Condition::Refused => Err(Refusal::new(501, "NotImplemented")),
            Condition::Honoured if fails => Err(Refusal::new(412, "PreconditionFailed")),
            Condition::Honoured | Condition::Ignored => Ok(()),
        }
    }

    /// What the head says of the body must be so, and must be something that the service takes.
    pub(super) fn check_body(&self, asked: &Asked) -> Result<(), Refusal> {
        let own = |name: &str| name.starts_with("x-amz-checksum-") || name.starts_with("x-amz-sdk-checksum-");
        if self.profile.sums() == Sums::Refused && asked.headers.iter().any(|(name, _)| own(name)) {
            return Err(Refusal::new(400, "InvalidArgument"));
        }
        if !self.profile.takes_tags()
            && (asked.header("x-amz-acl").is_some() || asked.header("x-amz-tagging").is_some())
        {
            return Err(Refusal::new(501, "NotImplemented"));
        }
        let md5 = asked.header("content-md5");
        let sha256 = asked.header("x-amz-checksum-sha256");
        let is = |sum: Option<&str>, hash: &[u8]| sum.is_none_or(|sum| sum == BASE64_STANDARD.encode(hash));
        let fits = is(md5, &Md5::digest(&asked.body)) && is(sha256, &Sha256::digest(&asked.body));
        if fits { Ok(()) } else { Err(Refusal::new(400, "BadDigest")) }
    }
}

/// The storage class that is asked for.
pub(super) fn class(asked: &Asked) -> Result<String, Refusal> {
    let class = asked.header("x-amz-storage-class").unwrap_or(CLASSES[0]);
    let known = CLASSES.contains(&class);
    if known { Ok(class.to_owned()) } else { Err(Refusal::new(400, "InvalidStorageClass")) }
}

pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// What is said of an object in every listing.
fn facts_of(at: Millis, object: &Object) -> String {
    element("LastModified", &extended(at))
        + &element("ETag", &quoted(&object.etag))
        + &element("Size", &object.bytes.len().to_string())
        + &element("StorageClass", &object.class)
}

fn described(version: &Version, object: &Object) -> Reply {
    let since = Duration::from_millis(version.at.0.try_into().unwrap_or_default());
    let id = Some(version.id.as_str()).filter(|id| *id != NO_VERSION);
    Reply::new(200)
        .with("etag", quoted(&object.etag))
        .with("last-modified", httpdate::fmt_http_date(UNIX_EPOCH + since))
        .with("accept-ranges", "bytes")
        .version(id)
}

/// The bytes that `bytes=2-5`, `bytes=2-` or `bytes=-5` means.
fn wanted_range(text: &str, len: usize) -> Option<Range<usize>> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (from, to) {
        ("", last) => len.saturating_sub(last.parse().ok()?)..len,
        (from, "") => from.parse().ok()?..len,
        (from, to) => from.parse().ok()?..to.parse::<usize>().ok()?.saturating_add(1).min(len),
    };
    (range.start < range.end).then_some(range)
}

/// Joins what was sent in parts.
pub(super) fn joined(parts: &[Object]) -> Bytes {
    parts.iter().map(|part| &part.bytes[..]).collect::<Vec<_>>().concat().into()
}
