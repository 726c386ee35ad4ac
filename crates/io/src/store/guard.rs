//! A store that is asked for nothing while another place is found under its name.

use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::ready;
use http::Method;
use matinee_core::time::Millis;
use url::Url;

use super::port::{Answer, Begun, Depth, Hidden, Looked, Page, Put, Reading, RemoteError, Store, Told};
use super::{Facts, Removed};

/// What is known of a place in this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Known {
    /// Nobody has looked yet.
    #[default]
    Nothing,
    /// It was the right one then.
    Right(Millis),
    /// It was another one then, in a sentence.
    Wrong(Millis, String),
}

/// The same, for all who have the store.
#[derive(Debug, Clone, Default)]
pub struct Trust(Arc<Mutex<Known>>);

impl Trust {
    /// What is known now.
    pub fn known(&self) -> Known {
        self.lock().clone()
    }

    /// What a look has found.
    pub fn set(&self, known: Known) {
        *self.lock() = known;
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // It is replaced as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusal(&self) -> Option<RemoteError> {
        match &*self.lock() {
            Known::Wrong(_, why) => Some(RemoteError::Refused(why.clone())),
            Known::Nothing | Known::Right(_) => None,
        }
    }
}

/// A store, and what is known of its place.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    pub(super) store: Arc<dyn Store>,
    pub(super) trust: Trust,
}

impl Guard {
    fn ask<'a, T: Send + 'a>(&'a self, ask: impl FnOnce(&'a dyn Store) -> Answer<'a, T>) -> Answer<'a, T> {
        match self.trust.refusal() {
            Some(refusal) => Box::pin(ready(Err(refusal))),
            None => ask(&*self.store),
        }
    }
}

impl Store for Guard {
    fn put<'a>(
        &'a self,
        key: &'a str,
        file: Arc<File>,
        size: u64,
        begun: Option<&'a Begun>,
        told: &'a dyn Told,
    ) -> Answer<'a, Put> {
        self.ask(|store| store.put(key, file, size, begun, told))
    }

    fn read<'a>(&'a self, key: &'a str, range: Range<u64>) -> Answer<'a, Reading> {
        self.ask(|store| store.read(key, range))
    }

    fn look<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Looked>> {
        self.ask(|store| store.look(key))
    }

    fn remove<'a>(&'a self, key: &'a str, version: Option<&'a str>) -> Answer<'a, Removed> {
        self.ask(|store| store.remove(key, version))
    }

    fn list<'a>(&'a self, after: Option<&'a str>, limit: usize) -> Answer<'a, Page> {
        self.ask(|store| store.list(after, limit))
    }

    fn abort<'a>(&'a self, key: &'a str, begun: &'a Begun) -> Answer<'a, ()> {
        self.ask(|store| store.abort(key, begun))
    }

    fn hidden(&self, limit: usize) -> Answer<'_, Hidden> {
        self.ask(|store| store.hidden(limit))
    }

    fn presigned(&self, key: &str, method: &Method, for_s: u64) -> Option<Url> {
        if self.trust.refusal().is_some() { None } else { self.store.presigned(key, method, for_s) }
    }

    fn facts<'a>(&'a self, below: &'a str, depth: Depth) -> Answer<'a, Facts> {
        self.ask(|store| store.facts(below, depth))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Memory;
    use crate::store::contract::{file, put, read};
    use crate::store::port::Untold;

    #[tokio::test]
    async fn nothing_is_asked_of_another_place_until_it_is_the_right_one_again() {
        let (inside, trust) = (Memory::default(), Trust::default());
        let store = Guard { store: Arc::new(inside.clone()), trust: trust.clone() };
        put(&store, "a/b", b"12").await;
        trust.set(Known::Wrong(Millis(1), "it is the attic".to_owned()));
        let begun = Begun { upload: "u".to_owned(), part_bytes: 1 };
        let refused = [
            store.put("a/c", file(b"1"), 1, None, &Untold).await.map(drop),
            read(&store, "a/b", 0..1).await.map(drop),
            store.look("a/b").await.map(drop),
            store.remove("a/b", None).await.map(drop),
            store.list(None, 1).await.map(drop),
            store.abort("a/b", &begun).await,
            store.hidden(1).await.map(drop),
            store.facts("a", Depth::Brief).await.map(drop),
        ];
        for answer in refused {
            let error = answer.unwrap_err();
            assert!(error.is_of_the_store() && error.to_string().contains("it is the attic"), "{error}");
        }
        trust.set(Known::Right(Millis(2)));
        assert_eq!(read(&store, "a/b", 0..2).await.unwrap(), b"12", "what was there is there");
        assert_eq!(store.list(None, 9).await.unwrap().objects.len(), 1, "and nothing besides");
    }
}
