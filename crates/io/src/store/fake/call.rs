//! What is asked: a request as it came, and which of the known calls it is.

use bytes::Bytes;
use http::request::Parts;
use url::form_urlencoded;

use super::BUCKET;

/// A call of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Puts an object.
    Put,
    /// Copies one.
    Copy,
    /// Reads one.
    Get,
    /// Looks at one.
    Head,
    /// Deletes one, or hides it.
    Delete,
    /// Deletes one version.
    DeleteVersion,
    /// Lists objects.
    List,
    /// Lists versions.
    ListVersions,
    /// Begins an upload in parts.
    Begin,
    /// Sends a part.
    Part,
    /// Lists the parts that are there.
    ListParts,
    /// Lists open uploads.
    ListUploads,
    /// Joins the parts.
    Complete,
    /// Ends an upload.
    Abort,
}

/// Parameters that signatures have.
const SIGNATURE: &str = "X-Amz-";
/// Headers that do nothing here, or are looked at by their calls.
const HEADERS: [&str; 18] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-md5",
    "content-type",
    "host",
    "if-match",
    "if-none-match",
    "range",
    "user-agent",
    "x-amz-acl",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-date",
    "x-amz-storage-class",
    "x-amz-tagging",
];
/// The beginnings of those of which there are many.
const HEADER_FAMILIES: [&str; 3] = ["x-amz-checksum-", "x-amz-meta-", "x-amz-sdk-checksum-"];

/// A request as it came.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    /// As it was sent.
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    /// Names in small letters.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) bucket: String,
    pub(super) key: String,
}

impl Asked {
    pub(super) fn new(head: &Parts, body: Bytes) -> Self {
        let path = head.uri.path().to_owned();
        let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
        let headers = head.headers.iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let host = headers.iter().find(|(name, _)| name == "host").map_or("", |(_, host)| host);
        let whole = decode(path.trim_start_matches('/'));
        // The bucket is in the host or in the path.
        let (bucket, key) = if host.starts_with(&format!("{BUCKET}.")) {
            (BUCKET.to_owned(), whole)
        } else {
            let (bucket, key) = whole.split_once('/').unwrap_or((&whole, ""));
            (bucket.to_owned(), key.to_owned())
        };
        Self {
            method: head.method.to_string(),
            path,
            query: query.into_owned().collect(),
            headers,
            body,
            bucket,
            key,
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A number of the query.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.param(name)?.parse().ok()
    }

    /// Which call it is, and nothing for whatever is not known in every detail.
    pub(super) fn call(&self) -> Option<Call> {
        let known =
            |name: &str| HEADERS.contains(&name) || HEADER_FAMILIES.iter().any(|it| name.starts_with(it));
        if !self.headers.iter().all(|(name, _)| known(name)) {
            return None;
        }
        let mut names: Vec<_> = self.query.iter().map(|(name, _)| name.as_str()).collect();
        names.retain(|name| !name.starts_with(SIGNATURE));
        names.sort_unstable();
        let only = |allowed: &[&str]| names.iter().all(|name| allowed.contains(name));
        let has = |name: &str| names.contains(&name);
        let is_copy = self.header("x-amz-copy-source").is_some();
        let (call, allowed): (Call, &[&str]) = match (self.method.as_str(), self.key.is_empty()) {
            ("GET", true) if has("versions") => {
                (Call::ListVersions, &["versions", "prefix", "key-marker", "version-id-marker", "max-keys"])
            }
            ("GET", true) if has("uploads") => {
                (Call::ListUploads, &["uploads", "prefix", "key-marker", "upload-id-marker", "max-uploads"])
            }
            ("GET", true) => (
                Call::List,
                &[
                    "list-type",
                    "prefix",
                    "start-after",
                    "continuation-token",
                    "max-keys",
                    "delimiter",
                    "encoding-type",
                ],
            ),
            ("GET", false) if has("uploadId") => {
                (Call::ListParts, &["uploadId", "part-number-marker", "max-parts"])
            }
            ("GET", false) => (Call::Get, &["versionId"]),
            ("HEAD", false) => (Call::Head, &["versionId"]),
            ("PUT", false) if has("uploadId") => (Call::Part, &["uploadId", "partNumber"]),
            ("PUT", false) if is_copy => (Call::Copy, &[]),
            ("PUT", false) => (Call::Put, &[]),
            ("POST", false) if has("uploads") => (Call::Begin, &["uploads"]),
            ("POST", false) if has("uploadId") => (Call::Complete, &["uploadId"]),
            ("DELETE", false) if has("uploadId") => (Call::Abort, &["uploadId"]),
            ("DELETE", false) if has("versionId") => (Call::DeleteVersion, &["versionId"]),
            ("DELETE", false) => (Call::Delete, &[]),
            _ => return None,
        };
        only(allowed).then_some(call)
    }
}

/// Undoes the encoding of a path.
fn decode(text: &str) -> String {
    // A plus is a plus in a path.
    let text = text.replace('+', "%2B");
    form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}
