//! What is there: objects, and what a plain listing hides (parts, open uploads and versions). Read by ourselves, because the client
//! gives up at the first key that is none for it, and anybody may have put one there.

use std::collections::BTreeMap;

use http::Method;

use super::ask::Ask;
use super::stamp::parse_extended;
use super::xml::Element;
use super::{Hidden, RemoteError, S3};
use crate::store::port::{OldVersion, OpenUpload, Page, Seen};

/// Objects of one page; S3 gives at most so many.
const PAGE: usize = 1_000;
/// Pages of one question: a million entries. Whoever answers with more turns in a circle.
const PAGES_MAX: usize = 1_000;

/// A part that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) etag: String,
    pub(super) size: u64,
}

/// What is known of an upload in parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its parts by their numbers, from 1.
    Open(BTreeMap<u64, Part>),
    /// It is not there: it was completed, or ended.
    Gone,
    /// The service does not say.
    Untold,
}

/// A version as it is listed, also the newest one.
struct Version {
    old: OldVersion,
    is_latest: bool,
}

/// Two lists from the same answers, and whether something was left out.
struct Walked<T> {
    found: Vec<T>,
    more: bool,
}

impl S3 {
    /// Objects of ours after this key, at most `limit`.
    pub(super) async fn page(&self, after: Option<&str>, limit: usize) -> Result<Page, RemoteError> {
        let max = limit.clamp(1, PAGE).to_string();
        let mut marker = after.map(|after| self.full(after)).transpose()?.unwrap_or_default();
        let mut page = Page::default();
        for _ in 0..PAGES_MAX {
            let query = [
                ("list-type", "2"),
                ("max-keys", max.as_str()),
                ("prefix", self.0.prefix.as_str()),
                ("start-after", marker.as_str()),
            ];
            let query: Vec<_> = query.into_iter().filter(|(_, value)| !value.is_empty()).collect();
            let reply = self.ask(&Ask::new(Method::GET, None, &query)).await?;
            let lacks = || RemoteError::Wrong("it does not list objects".to_owned());
            let root = reply.document("ListBucketResult")?.ok_or_else(lacks)?;
            let ours = root.all("Contents").filter_map(|object| {
                Some(Seen { key: self.short(object.text("Key"))?, size: object.number("Size")? })
            });
            page.objects.extend(ours);
            // Not every service minds how many were asked for.
            let more = root.is("IsTruncated") || page.objects.len() > limit;
            page.objects.truncate(limit);
            if !page.objects.is_empty() || !more {
                page.next = page.objects.last().filter(|_| more).map(|last| last.key.clone());
                break;
            }
            // Nothing but strange keys.
            let Some(last) = root.all("Contents").last() else { break };
            last.text("Key").clone_into(&mut marker);
        }
        Ok(page)
    }

    /// Which parts of an upload are there.
    pub(super) async fn standing(&self, full: &str, upload: &str) -> Result<Standing, RemoteError> {
        let mut parts = BTreeMap::new();
        let mut marker = String::new();
        for _ in 0..PAGES_MAX {
            let mut query = vec![("uploadId", upload)];
            if !marker.is_empty() {
                query.push(("part-number-marker", marker.as_str()));
            }
            let reply = self.ask(&Ask::new(Method::GET, Some(full), &query)).await?;
            let root = match reply.document("ListPartsResult") {
                Ok(Some(root)) => root,
                Ok(None) => return Ok(Standing::Untold),
                Err(RemoteError::Absent) => return Ok(Standing::Gone),
                Err(error) => return Err(error),
            };
            for part in root.all("Part") {
                let Some((number, size)) = part.number("PartNumber").zip(part.number("Size")) else {
                    continue;
                };
                parts.insert(number, Part { etag: part.text("ETag").to_owned(), size });
            }
            if !root.is("IsTruncated") {
                break;
            }
            root.text("NextPartNumberMarker").clone_into(&mut marker);
        }
        Ok(Standing::Open(parts))
    }

    /// Every version of one key, with the marks that hide them; nothing where there are no versions.
    pub(super) async fn versions_of(&self, full: &str) -> Result<Option<Vec<OldVersion>>, RemoteError> {
        let walked = self.versions(full, |version| version.old.key == full, usize::MAX).await?;
        Ok(walked.map(|walked| walked.found))
    }

    /// The uploads that are open for one key; nothing where the service does not say.
    pub(super) async fn uploads_of(&self, full: &str) -> Result<Option<Vec<OpenUpload>>, RemoteError> {
        let walked = self.uploads(full, |upload| upload.key == full, usize::MAX).await?;
        Ok(walked.map(|walked| walked.found))
    }

    pub(super) async fn all_hidden(&self, limit: usize) -> Result<Hidden, RemoteError> {
        let prefix = self.0.prefix.as_str();
        let ours = |key: &str| self.short(key).is_some();
        let uploads = self.uploads(prefix, |upload| ours(&upload.key), limit).await?;
        let versions =
            self.versions(prefix, |version| !version.is_latest && ours(&version.old.key), limit).await?;
        let more = uploads.as_ref().is_some_and(|walked| walked.more)
            || versions.as_ref().is_some_and(|walked| walked.more);
        let short = |full: &str| self.short(full).unwrap_or_default();
        let uploads = uploads.map(|walked| walked.found).unwrap_or_default().into_iter();
        let versions = versions.map(|walked| walked.found).unwrap_or_default().into_iter();
        Ok(Hidden {
            uploads: uploads.map(|one| OpenUpload { key: short(&one.key), ..one }).collect(),
            versions: versions.map(|one| OldVersion { key: short(&one.key), ..one }).collect(),
            more,
        })
    }

    pub(super) async fn delete_version(&self, full: &str, version: &str) -> Result<(), RemoteError> {
        let query = [("versionId", version)];
        let reply = self.ask(&Ask::new(Method::DELETE, Some(full), &query)).await?;
        // Gone is what was asked for.
        if reply.is_good() || reply.status == 404 { Ok(()) } else { Err(reply.error()) }
    }

    async fn versions(
        &self,
        prefix: &str,
        wanted: impl Fn(&Version) -> bool,
        limit: usize,
    ) -> Result<Option<Walked<OldVersion>>, RemoteError> {
        if self.0.has_versions.get() == Some(&false) {
            return Ok(None);
        }
        let mut found = Vec::new();
        let mut markers = (String::new(), String::new());
        for _ in 0..PAGES_MAX {
            let query = [
                ("versions", ""),
                ("prefix", prefix),
                ("key-marker", markers.0.as_str()),
                ("version-id-marker", markers.1.as_str()),
            ];
            let query: Vec<_> =
                query.into_iter().filter(|(name, value)| *name == "versions" || !value.is_empty()).collect();
            let reply = self.ask(&Ask::new(Method::GET, None, &query)).await?;
            let Some(root) = reply.document("ListVersionsResult")? else {
                // The page of a proxy says nothing of the service, and bytes that a version keeps are paid for.
                if !reply.is_unknown() && !reply.is_a_listing() {
                    return Err(RemoteError::Again("its answer is no document".to_owned()));
                }
                let _ = self.0.has_versions.set(false);
                return Ok(None);
            };
            found.extend(root.inside.iter().filter_map(version).filter(&wanted).map(|version| version.old));
            if found.len() > limit {
                found.truncate(limit);
                return Ok(Some(Walked { found, more: true }));
            }
            if !root.is("IsTruncated") {
                break;
            }
            markers = (root.text("NextKeyMarker").to_owned(), root.text("NextVersionIdMarker").to_owned());
        }
        Ok(Some(Walked { found, more: false }))
    }

    async fn uploads(
        &self,
        prefix: &str,
        wanted: impl Fn(&OpenUpload) -> bool,
        limit: usize,
    ) -> Result<Option<Walked<OpenUpload>>, RemoteError> {
        let mut found = Vec::new();
        let mut markers = (String::new(), String::new());
        for _ in 0..PAGES_MAX {
            let query = [
                ("uploads", ""),
                ("prefix", prefix),
                ("key-marker", markers.0.as_str()),
                ("upload-id-marker", markers.1.as_str()),
            ];
            let query: Vec<_> =
                query.into_iter().filter(|(name, value)| *name == "uploads" || !value.is_empty()).collect();
            let reply = self.ask(&Ask::new(Method::GET, None, &query)).await?;
            let Some(root) = reply.document("ListMultipartUploadsResult")? else { return Ok(None) };
            found.extend(root.all("Upload").map(upload).filter(&wanted));
            if found.len() > limit {
                found.truncate(limit);
                return Ok(Some(Walked { found, more: true }));
            }
            if !root.is("IsTruncated") {
                break;
            }
            markers = (root.text("NextKeyMarker").to_owned(), root.text("NextUploadIdMarker").to_owned());
        }
        Ok(Some(Walked { found, more: false }))
    }
}

fn upload(element: &Element) -> OpenUpload {
    OpenUpload {
        key: element.text("Key").to_owned(),
        upload: element.text("UploadId").to_owned(),
        since: parse_extended(element.text("Initiated")),
    }
}

fn version(element: &Element) -> Option<Version> {
    let is_mark = element.name == "DeleteMarker";
    (is_mark || element.name == "Version").then(|| Version {
        old: OldVersion {
            key: element.text("Key").to_owned(),
            version: element.text("VersionId").to_owned(),
            size: if is_mark { None } else { element.number("Size") },
        },
        // A mark on top hides what lies below, and is itself no object.
        is_latest: element.is("IsLatest") && !is_mark,
    })
}
