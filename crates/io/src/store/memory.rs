//! A store in memory, for tests.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::ready;
use futures_util::stream;
use http::Method;
use url::Url;

use super::port::{Answer, Begun, Depth, Hidden, Looked, Page, Proof, Put, Reading, Seen, Store, Told};
use super::port::{RemoteError, check_key};
use super::{Facts, Removed};

/// Objects in memory; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    objects: Arc<Mutex<BTreeMap<String, Bytes>>>,
}

impl Memory {
    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        // Each change is one call of the map: there is nothing half done.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, key: &str, file: &File, size: u64) -> Result<Put, RemoteError> {
        check_key(key)?;
        let len = usize::try_from(size).map_err(|_| RemoteError::Full)?;
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, 0).map_err(RemoteError::File)?;
        self.objects().insert(key.to_owned(), bytes.into());
        Ok(Put { version: None, tag: None, proof: Proof::Sized })
    }

    fn slice(&self, key: &str, range: &Range<u64>) -> Result<Bytes, RemoteError> {
        let objects = self.objects();
        let bytes = objects.get(key).ok_or(RemoteError::Absent)?;
        let at = |at: u64| usize::try_from(at).ok().filter(|at| *at <= bytes.len()).ok_or(RemoteError::Short);
        Ok(bytes.slice(at(range.start)?..at(range.end)?))
    }

    fn page(&self, after: Option<&str>, limit: usize) -> Page {
        let objects = self.objects();
        let later = objects.iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
        let mut page = Page::default();
        for (key, bytes) in later {
            if page.objects.len() == limit {
                page.next = page.objects.last().map(|last| last.key.clone());
                break;
            }
            page.objects.push(Seen { key: key.clone(), size: bytes.len() as u64 });
        }
        page
    }
}

impl Store for Memory {
    fn put<'a>(
        &'a self,
        key: &'a str,
        file: Arc<File>,
        size: u64,
        _: Option<&'a Begun>,
        told: &'a dyn Told,
    ) -> Answer<'a, Put> {
        let put = self.take(key, &file, size);
        told.sent(size);
        Box::pin(ready(put))
    }

    fn read<'a>(&'a self, key: &'a str, range: Range<u64>) -> Answer<'a, Reading> {
        let slice = self.slice(key, &range);
        Box::pin(ready(slice.map(|slice| stream::iter([Ok(slice)]).boxed())))
    }

    fn look<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Looked>> {
        let size = self.objects().get(key).map(|bytes| bytes.len() as u64);
        Box::pin(ready(Ok(size.map(|size| Looked { size, version: None, tag: None }))))
    }

    fn remove<'a>(&'a self, key: &'a str, _: Option<&'a str>) -> Answer<'a, Removed> {
        let was = self.objects().remove(key);
        Box::pin(ready(Ok(if was.is_some() { Removed::Gone } else { Removed::WasAbsent })))
    }

    fn list<'a>(&'a self, after: Option<&'a str>, limit: usize) -> Answer<'a, Page> {
        Box::pin(ready(Ok(self.page(after, limit))))
    }

    fn abort<'a>(&'a self, _: &'a str, _: &'a Begun) -> Answer<'a, ()> {
        Box::pin(ready(Ok(())))
    }

    fn hidden(&self, _: usize) -> Answer<'_, Hidden> {
        Box::pin(ready(Ok(Hidden::default())))
    }

    fn presigned(&self, _: &str, _: &Method, _: u64) -> Option<Url> {
        None
    }

    fn facts<'a>(&'a self, _: &'a str, _: Depth) -> Answer<'a, Facts> {
        Box::pin(ready(Ok(Facts::plain())))
    }
}
