//! Opens a bucket of a service that speaks like S3, for a store and for a source of videos alike.

use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use crate::store::port::RemoteError;

/// A connection that says nothing for so long is given up, in seconds.
pub(in crate::store) const SILENCE: Duration = Duration::from_secs(30);
/// The same while we send: the client counts from the first byte that it sends, and a part of 8 MiB takes so long at 10 KiB/s.
pub(super) const SENDING: Duration = Duration::from_mins(15);

/// Where a bucket is, and who we are there.
#[derive(Clone)]
pub struct Access {
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

/// How long one request is repeated before the job's own retries take over.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How often.
    pub retries: usize,
    /// For how long at most.
    pub within: Duration,
    /// The first pause between two tries; it grows.
    pub pause: Duration,
}

impl Access {
    /// The address of the bucket, as far as it goes before a key. Names with dots fit no certificate as part of a host.
    pub(super) fn base(&self) -> String {
        let (bucket, region) = (&self.bucket, &self.region);
        match &self.endpoint {
            Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
            None if self.has_host() => format!("https://{bucket}.s3.{region}.amazonaws.com"),
            None => format!("https://s3.{region}.amazonaws.com/{bucket}"),
        }
    }

    /// Is the bucket named by a host of its own?
    fn has_host(&self) -> bool {
        self.endpoint.is_none() && !self.bucket.contains('.')
    }

    /// A client for it; nothing is asked yet.
    pub(in crate::store) fn open(
        &self,
        patience: Patience,
        silence: Duration,
    ) -> Result<AmazonS3, RemoteError> {
        provide();
        let client = ClientOptions::new()
            .with_connect_timeout(SILENCE)
            .with_read_timeout(silence)
            .with_timeout_disabled();
        let backoff = BackoffConfig { init_backoff: patience.pause, ..BackoffConfig::default() };
        let retry = RetryConfig { backoff, max_retries: patience.retries, retry_timeout: patience.within };
        let is_plain = self.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_access_key_id(&self.access_key)
            .with_secret_access_key(&self.secret_key)
            .with_client_options(client)
            .with_retry(retry)
            // TLS proves that the bytes arrive; hashing them once more costs three quarters of the processor time.
            .with_unsigned_payload(!is_plain)
            // Not every service knows conditions and tags, and we need neither.
            .with_conditional_put(S3ConditionalPut::Disabled)
            .with_disable_tagging(true)
            // One at a time, and every service knows how to do that.
            .with_disable_bulk_delete(true)
            .with_virtual_hosted_style_request(self.has_host());
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(is_plain);
        }
        Ok(builder.build()?)
    }
}

/// TLS comes with *ring*; whoever makes a client first says so for the process.
pub(super) fn provide() {
    // The second time it is there already.
    drop(rustls::crypto::ring::default_provider().install_default());
}
