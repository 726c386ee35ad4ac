//! A bucket that is looked through: S3 and what speaks like it. Listed page by page, read by ranges, tidied up after.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, CopyOptions, GetOptions, GetRange, ObjectMeta, ObjectStore as _,
    ObjectStoreExt as _, RetryConfig,
};

/// Objects of one page; S3 gives at most so many.
const PAGE: usize = 1_000;
/// A connection that says nothing for so long is given up, in seconds.
const SILENCE_S: u64 = 30;
/// Before what stands for an entity tag where there is none.
const NO_ETAG: char = '~';
/// One request is repeated by the client for at most so long, in seconds; then the job's own retries take over.
const RETRY_S: u64 = 20;

/// Where a bucket is, and who we are there.
#[derive(Clone)]
pub struct Config {
    /// The bucket.
    pub bucket: String,
    /// The address of the service, for all but the first one of its kind.
    pub endpoint: Option<String>,
    /// The region; `us-east-1` where there are none.
    pub region: String,
    /// The name of the key.
    pub access_key: String,
    /// The key.
    pub secret_key: String,
}

/// An object as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// What its bytes are.
    pub etag: String,
    /// How many.
    pub size: u64,
}

/// Objects in the order of the bucket, and where the next page begins.
#[derive(Debug, Default)]
pub struct Page {
    /// The objects.
    pub objects: Vec<Listed>,
    /// What to ask for next; nothing at the end.
    pub next: Option<String>,
}

/// Why the bucket did not do it.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// The object is not there, or not as it was when it was seen.
    #[error("the object was changed or removed since it was seen")]
    Changed,
    /// The bucket does not let us.
    #[error("the bucket refuses it: {0}")]
    Refused(String),
    /// The address or a name in it cannot be used.
    #[error("the bucket cannot be used: {0}")]
    Wrong(String),
    /// The network or the service failed; the same may work later.
    #[error("the bucket does not answer: {0}")]
    Again(String),
}

impl From<object_store::Error> for BucketError {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error;
        let text = causes(&error);
        if matches!(error, Error::NotFound { .. }) && text.contains("NoSuchBucket") {
            Self::Wrong(text)
        } else if matches!(error, Error::NotFound { .. } | Error::Precondition { .. }) {
            Self::Changed
        } else if matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) {
            Self::Refused(text)
        } else if matches!(
            error,
            Error::InvalidPath { .. } | Error::NotSupported { .. } | Error::UnknownConfigurationKey { .. }
        ) {
            Self::Wrong(text)
        } else {
            Self::Again(text)
        }
    }
}

/// What went wrong, down to the first cause.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// A bucket; cheap to clone.
#[derive(Debug, Clone)]
pub struct Bucket {
    store: Arc<AmazonS3>,
}

impl Bucket {
    /// A bucket at this place; nothing is asked yet.
    pub fn open(config: &Config) -> Result<Self, BucketError> {
        provide();
        let patience = Duration::from_secs(SILENCE_S);
        let client = ClientOptions::new()
            .with_connect_timeout(patience)
            .with_read_timeout(patience)
            .with_timeout_disabled();
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: 3,
            retry_timeout: Duration::from_secs(RETRY_S),
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_access_key_id(&config.access_key)
            .with_secret_access_key(&config.secret_key)
            .with_client_options(client)
            .with_retry(retry)
            // One at a time, and every service knows how to do that.
            .with_disable_bulk_delete(true);
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        Ok(Self { store: Arc::new(builder.build()?) })
    }

    /// One page of the objects whose keys begin with `prefix`.
    pub async fn page(&self, prefix: &str, from: Option<String>) -> Result<Page, BucketError> {
        let options = PaginatedListOptions {
            max_keys: Some(PAGE),
            page_token: from,
            ..PaginatedListOptions::default()
        };
        let prefix = (!prefix.is_empty()).then_some(prefix);
        let found = self.store.list_paginated(prefix, options).await?;
        let listed = found.result.objects.into_iter().map(|object| Listed {
            key: object.location.to_string(),
            // Without one the length and the time have to do.
            etag: object.e_tag.unwrap_or_else(|| {
                format!("{NO_ETAG}{}-{}", object.size, object.last_modified.timestamp_millis())
            }),
            size: object.size,
        });
        Ok(Page { objects: listed.collect(), next: found.page_token })
    }

    /// The bytes of an object from `offset` on, if it is still what it was; in all it has `size`.
    pub async fn read(
        &self,
        object: &Listed,
        offset: u64,
    ) -> Result<BoxStream<'static, Result<Bytes, BucketError>>, BucketError> {
        let options = GetOptions {
            if_match: (!object.etag.starts_with(NO_ETAG)).then(|| object.etag.clone()),
            range: (offset > 0).then_some(GetRange::Offset(offset)),
            ..GetOptions::default()
        };
        let found = self
            .store
            .get_opts(&Path::parse(&object.key).map_err(object_store::Error::from)?, options)
            .await?;
        // Not every service knows If-Match: what it says of the object must be what was seen.
        if !is_same(&found.meta, &object.etag) || found.meta.size != object.size {
            return Err(BucketError::Changed);
        }
        Ok(found.into_stream().map_err(BucketError::from).boxed())
    }

    /// Removes an object, if it is still what it was.
    pub async fn remove(&self, key: &str, etag: &str) -> Result<(), BucketError> {
        let path = self.still(key, etag).await?;
        Ok(self.store.delete(&path).await?)
    }

    /// Moves an object to another key, if it is still what it was.
    pub async fn rename(&self, key: &str, etag: &str, to: &str) -> Result<(), BucketError> {
        let path = self.still(key, etag).await?;
        let to = Path::parse(to).map_err(object_store::Error::from)?;
        self.store.copy_opts(&path, &to, CopyOptions::default()).await?;
        Ok(self.store.delete(&path).await?)
    }

    async fn still(&self, key: &str, etag: &str) -> Result<Path, BucketError> {
        let path = Path::parse(key).map_err(object_store::Error::from)?;
        let found = self.store.head(&path).await?;
        if is_same(&found, etag) { Ok(path) } else { Err(BucketError::Changed) }
    }
}

/// Is the object what it was when it was seen? Where nothing tells, it is believed.
fn is_same(found: &ObjectMeta, etag: &str) -> bool {
    etag.starts_with(NO_ETAG) || found.e_tag.as_ref().is_none_or(|found| found == etag)
}

/// TLS comes with *ring*; whoever makes a client first says so for the process.
pub(crate) fn provide() {
    // The second time it is there already.
    drop(rustls::crypto::ring::default_provider().install_default());
}
