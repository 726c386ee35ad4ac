//! A store at S3, and at what speaks like it. The crate `object_store` does what it can; what it lacks is asked with
//! addresses that we sign ourselves.

mod ask;
mod error;
mod facts;
mod listing;
mod open;
mod parts;
pub(super) mod sign;
pub(super) mod stamp;
#[cfg(test)]
mod tests;
pub(super) mod xml;

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::ready;
use http::Method;
use object_store::aws::AmazonS3;
use object_store::multipart::MultipartStore as _;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, GetOptions, GetRange, ObjectMeta, ObjectStore as _, ObjectStoreExt as _,
};
use url::Url;

use super::port::{Answer, Begun, Depth, Hidden, Looked, Page, Put, Reading, RemoteError, Store, Told};
use super::port::{KEY_BYTES_MAX, check_key};
use super::{Facts, Removed};
pub(super) use open::SILENCE;
pub use open::{Access, Patience};
use sign::{Keys, Wanted};

/// How long one request is repeated before the job's own retries take over: services that are full ask for patience.
pub const PATIENCE: Patience =
    Patience { retries: 10, within: Duration::from_mins(3), pause: Duration::from_millis(200) };

/// A store in a bucket; cheap to clone.
#[derive(Clone)]
pub struct S3(Arc<Inner>);

struct Inner {
    client: AmazonS3,
    /// The same, with the patience that sending takes.
    sender: AmazonS3,
    /// For what the client cannot do.
    http: reqwest::Client,
    keys: Keys,
    /// The address of the bucket.
    base: Url,
    /// Before every key; empty or with a slash at its end.
    prefix: String,
    /// The storage class of what is put.
    class: Option<String>,
    patience: Patience,
    /// Does the service know of versions? Learned at the first question.
    has_versions: OnceLock<bool>,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3({}/{})", self.0.base, self.0.prefix)
    }
}

impl S3 {
    /// The store below a prefix of a bucket; nothing is asked yet.
    pub fn open(
        access: &Access,
        prefix: &str,
        class: Option<String>,
        patience: Patience,
    ) -> Result<Self, RemoteError> {
        let wrong = |error: &dyn fmt::Display| RemoteError::Wrong(error.to_string());
        let base: Url = access.base().parse().map_err(|error| wrong(&error))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() || base.query().is_some() {
            return Err(wrong(&"the endpoint must be like https://s3.example.org"));
        }
        let (client, sender) = (access.open(patience, SILENCE)?, access.open(patience, open::SENDING)?);
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(SILENCE)
            .read_timeout(SILENCE)
            .build()
            .map_err(|error| wrong(&error))?;
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let keys = Keys {
            access: access.access_key.clone(),
            secret: access.secret_key.clone(),
            region: access.region.clone(),
        };
        let has_versions = OnceLock::new();
        Ok(Self(Arc::new(Inner { client, sender, http, keys, base, prefix, class, patience, has_versions })))
    }

    /// The whole key.
    fn full(&self, key: &str) -> Result<String, RemoteError> {
        check_key(key)?;
        let full = format!("{}{key}", self.0.prefix);
        if full.len() > KEY_BYTES_MAX {
            return Err(RemoteError::Wrong(format!("`{full}` is too long for a key")));
        }
        Ok(full)
    }

    fn path(&self, key: &str) -> Result<Path, RemoteError> {
        Ok(Path::parse(self.full(key)?).map_err(object_store::Error::from)?)
    }

    /// The key without the prefix; nothing for what is not ours.
    fn short(&self, full: &str) -> Option<String> {
        full.strip_prefix(&self.0.prefix).filter(|key| check_key(key).is_ok()).map(str::to_owned)
    }

    /// The address of an object.
    fn url(&self, full: &str) -> Url {
        let mut url = self.0.base.clone();
        let path = format!("{}/{}", url.path().trim_end_matches('/'), sign::encode(full, true));
        url.set_path(&path);
        url
    }

    fn attributes(&self) -> Attributes {
        self.0.class.iter().map(|class| (Attribute::StorageClass, class.clone())).collect()
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>, RemoteError> {
        match self.0.client.head(&self.path(key)?).await.map_err(RemoteError::from) {
            Ok(found) => Ok(Some(found)),
            Err(RemoteError::Absent) => Ok(None),
            // An answer to HEAD has no body that says what is wrong with it; that to another question has.
            Err(error) if error::is_mute(&error) => self.page(None, 1).await.and(Err(error)),
            Err(error) => Err(error),
        }
    }

    async fn range(&self, key: &str, range: Range<u64>) -> Result<Reading, RemoteError> {
        let wanted = range.end - range.start;
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.0.client.get_opts(&self.path(key)?, options).await?;
        if found.range.end - found.range.start != wanted {
            return Err(RemoteError::Short);
        }
        Ok(whole(found.into_stream().map(|part| part.map_err(RemoteError::from)).boxed(), wanted))
    }

    /// Frees every version of a key, and what was begun for it.
    async fn free(&self, key: &str, version: Option<&str>) -> Result<Removed, RemoteError> {
        let full = self.full(key)?;
        let mut was = self.head(key).await?.is_some();
        // First the one that is known: a listing may not show it yet.
        if let Some(version) = version {
            self.delete_version(&full, version).await?;
        }
        match self.versions_of(&full).await? {
            Some(versions) => {
                for version in versions {
                    was = true;
                    self.delete_version(&full, &version.version).await?;
                }
            }
            None if version.is_none() => self.0.client.delete(&self.path(key)?).await?,
            None => {}
        }
        for upload in self.uploads_of(&full).await?.unwrap_or_default() {
            self.end(&full, &upload.upload).await?;
        }
        Ok(if was { Removed::Gone } else { Removed::WasAbsent })
    }

    /// Ends an upload in parts; one that is not there has ended.
    async fn end(&self, full: &str, upload: &str) -> Result<(), RemoteError> {
        let path = Path::parse(full).map_err(object_store::Error::from)?;
        match self.0.client.abort_multipart(&path, &upload.to_owned()).await.map_err(RemoteError::from) {
            Ok(()) | Err(RemoteError::Absent) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Store for S3 {
    fn put<'a>(
        &'a self,
        key: &'a str,
        file: Arc<File>,
        size: u64,
        begun: Option<&'a Begun>,
        told: &'a dyn Told,
    ) -> Answer<'a, Put> {
        Box::pin(parts::put(self, key, parts::Source { file, size }, begun, told))
    }

    fn read<'a>(&'a self, key: &'a str, range: Range<u64>) -> Answer<'a, Reading> {
        Box::pin(self.range(key, range))
    }

    fn look<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Looked>> {
        Box::pin(async move {
            let found = self.head(key).await?;
            Ok(found.map(|found| {
                let tag = parts::tag(found.e_tag.as_deref());
                Looked { size: found.size, version: found.version, tag }
            }))
        })
    }

    fn remove<'a>(&'a self, key: &'a str, version: Option<&'a str>) -> Answer<'a, Removed> {
        Box::pin(self.free(key, version))
    }

    fn list<'a>(&'a self, after: Option<&'a str>, limit: usize) -> Answer<'a, Page> {
        Box::pin(self.page(after, limit))
    }

    fn abort<'a>(&'a self, key: &'a str, begun: &'a Begun) -> Answer<'a, ()> {
        match self.full(key) {
            Ok(full) => Box::pin(async move { self.end(&full, &begun.upload).await }),
            Err(error) => Box::pin(ready(Err(error))),
        }
    }

    fn hidden(&self, limit: usize) -> Answer<'_, Hidden> {
        Box::pin(self.all_hidden(limit))
    }

    fn presigned(&self, key: &str, method: &Method, for_s: u64) -> Option<Url> {
        let base = self.url(&self.full(key).ok()?);
        let wanted = Wanted { method: method.as_str(), base: &base, query: &[], headers: &[] };
        Some(self.0.keys.presign(&wanted, crate::clock::now(), for_s))
    }

    fn facts<'a>(&'a self, below: &'a str, depth: Depth) -> Answer<'a, Facts> {
        Box::pin(self.learn(below, depth))
    }
}

/// The same bytes, and a failure where fewer or more come than were promised.
fn whole(bytes: Reading, wanted: u64) -> Reading {
    let state = Some((bytes, wanted));
    futures_util::stream::unfold(state, |state| async move {
        let (mut bytes, left) = state?;
        match bytes.next().await {
            Some(Ok(part)) => match left.checked_sub(part.len() as u64) {
                Some(left) => Some((Ok(part), Some((bytes, left)))),
                None => Some((Err(RemoteError::Again("it sent more than was asked for".to_owned())), None)),
            },
            Some(Err(error)) => Some((Err(error), None)),
            None if left > 0 => Some((Err(RemoteError::Again("the answer was cut".to_owned())), None)),
            None => None,
        }
    })
    .boxed()
}
