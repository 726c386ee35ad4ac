//! A bucket that is looked through: S3 and what speaks like it. Listed page by page, read by ranges, tidied up after.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use matinee_core::arrival::another_name;
use object_store::aws::AmazonS3;
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path;
use object_store::{CopyOptions, GetOptions, GetRange, ObjectMeta, ObjectStore as _, ObjectStoreExt as _};

use super::port::RemoteError;
pub use super::s3::Access as Config;
use super::s3::{Patience, SILENCE};

/// Objects of one page; S3 gives at most so many.
const PAGE: usize = 1_000;
/// Objects of one name that are kept beside each other where originals are moved to.
const NAMES_MAX: u32 = 1_000;
/// Before what stands for an entity tag where there is none.
const NO_ETAG: char = '~';
/// One request is repeated by the client for at most so long; then the job's own retries take over.
const PATIENCE: Patience =
    Patience { retries: 3, within: Duration::from_secs(20), pause: Duration::from_millis(100) };

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
        if matches!(error, object_store::Error::Precondition { .. }) {
            return Self::Changed;
        }
        RemoteError::from(error).into()
    }
}

impl From<RemoteError> for BucketError {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Absent | RemoteError::Short => Self::Changed,
            RemoteError::Refused(text) => Self::Refused(text),
            RemoteError::Wrong(text) => Self::Wrong(text),
            RemoteError::Again(text) => Self::Again(text),
            RemoteError::Full
            | RemoteError::File(_)
            | RemoteError::Frozen(_)
            | RemoteError::Unreadable(_)
            | RemoteError::Unsaved(_) => Self::Again(error.to_string()),
        }
    }
}

/// A bucket; cheap to clone.
#[derive(Debug, Clone)]
pub struct Bucket {
    store: Arc<AmazonS3>,
}

impl Bucket {
    /// A bucket at this place; nothing is asked yet.
    pub fn open(config: &Config) -> Result<Self, BucketError> {
        Ok(Self { store: Arc::new(config.open(PATIENCE, SILENCE)?) })
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
        let found = self.still(key, etag).await?;
        Ok(self.store.delete(&found.location).await?)
    }

    /// Moves an object to another key, if it is still what it was. What lies there already stays: then the key gets a number.
    pub async fn rename(&self, key: &str, etag: &str, to: &str) -> Result<(), BucketError> {
        let from = self.still(key, etag).await?;
        for number in 1..NAMES_MAX {
            let place = Path::parse(another_key(to, number)).map_err(object_store::Error::from)?;
            match self.store.head(&place).await {
                // Ours, from a move that did not come to its end.
                Ok(there)
                    if there.size == from.size && there.e_tag.is_some() && there.e_tag == from.e_tag => {}
                Ok(_) => continue,
                Err(object_store::Error::NotFound { .. }) => {
                    self.store.copy_opts(&from.location, &place, CopyOptions::default()).await?;
                }
                Err(error) => return Err(error.into()),
            }
            // A long copy takes its time: what was written there meanwhile is another original.
            return self.remove(key, etag).await;
        }
        Err(BucketError::Wrong(format!("there are too many objects of the name `{to}`")))
    }

    async fn still(&self, key: &str, etag: &str) -> Result<ObjectMeta, BucketError> {
        let path = Path::parse(key).map_err(object_store::Error::from)?;
        let found = self.store.head(&path).await?;
        if is_same(&found, etag) { Ok(found) } else { Err(BucketError::Changed) }
    }
}

/// The key for the object of this number with the same name.
fn another_key(key: &str, number: u32) -> String {
    match key.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/{}", another_name(name, number)),
        None => another_name(key, number),
    }
}

/// Is the object what it was when it was seen? Where nothing tells, it is believed.
fn is_same(found: &ObjectMeta, etag: &str) -> bool {
    etag.starts_with(NO_ETAG) || found.e_tag.as_ref().is_none_or(|found| found == etag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::S3;
    use crate::store::contract::{QUICK, put};
    use crate::store::fake::{Call, Fake, Fault, Profile, Trouble};

    /// A bucket with a film, with its tag, and another film where the first one is to be moved to.
    async fn two_films() -> (Fake, Bucket, String) {
        let fake = Fake::start(Profile::ALL[0]).await.unwrap();
        let store = S3::open(&fake.access(), "copies", None, QUICK).unwrap();
        put(&store, "film.mp4", b"a film").await;
        put(&store, "taken/film.mp4", b"another film").await;
        let bucket = Bucket::open(&fake.access()).unwrap();
        let listed = bucket.page("copies/film", None).await.unwrap().objects.remove(0);
        (fake, bucket, listed.etag)
    }

    const FROM: &str = "copies/film.mp4";
    const TO: &str = "copies/taken/film.mp4";
    const NUMBERED: &str = "copies/taken/film (2).mp4";

    #[tokio::test]
    async fn what_is_moved_takes_the_place_of_nothing() {
        let (fake, bucket, etag) = two_films().await;
        // The copy is there, and what it was made from cannot be removed: the next time goes on from there.
        fake.fail(Fault::once(Call::Delete, Trouble::Status(403)));
        let cut = bucket.rename(FROM, &etag, TO).await;
        assert!(matches!(cut, Err(BucketError::Refused(_))), "{cut:?}");
        bucket.rename(FROM, &etag, TO).await.unwrap();
        assert_eq!(fake.bytes(TO).unwrap(), "another film");
        assert_eq!(fake.bytes(NUMBERED).unwrap(), "a film");
        assert_eq!(fake.keys(), [NUMBERED, TO], "once");
    }

    #[tokio::test]
    async fn what_changes_while_it_is_moved_stays() {
        let (fake, bucket, etag) = two_films().await;
        // The fourth look is the one after the copy: another object has the key by then.
        fake.fail(Fault { skip: 3, ..Fault::once(Call::Head, Trouble::Status(404)) });
        let moved = bucket.rename(FROM, &etag, TO).await;
        assert!(matches!(moved, Err(BucketError::Changed)), "{moved:?}");
        assert_eq!(fake.bytes(FROM).unwrap(), "a film");
    }
}
