//! A store beside its rows: all that it lists, and what its listing hides.

use std::collections::HashSet;

use matinee_core::id::EntryId;
use matinee_core::inventory::limits::{HIDDEN_MAX, INVENTORY_PAGE};
use matinee_core::inventory::outside::{Explained, Row, Sighting, Thing, explain, is_forgotten};
use matinee_core::ledger::State;
use matinee_core::placement::copy_of;
use matinee_core::replica::{Finding, is_besides};
use matinee_core::time::Millis;
use matinee_io::db::inventory::{ListedCopy, Unknown};
use matinee_io::store::{Begun, Hidden, OldVersion, OpenUpload, RemoteError, Seen, Store};

use super::{Done, Forgotten, Found, Lack, Told};
use crate::flow::{Failure, now, plate};
use crate::node::Node;

/// Why a comparison ends.
enum Stop {
    Store(RemoteError),
    Ours(Failure),
}

impl From<RemoteError> for Stop {
    fn from(error: RemoteError) -> Self {
        Self::Store(error)
    }
}

impl From<matinee_io::db::DbError> for Stop {
    fn from(error: matinee_io::db::DbError) -> Self {
        Self::Ours(error.into())
    }
}

/// One comparison.
struct Comparison<'a> {
    node: &'a Node,
    name: &'a str,
    store: &'a dyn Store,
    began: Millis,
    found: Found,
    /// Copies that were listed under their keys.
    there: HashSet<EntryId>,
    /// Names that no row explains: a key is told once, whatever lies under it.
    told: HashSet<String>,
}

/// Compares a store with its rows.
pub(super) async fn compare(node: &Node, name: &str, began: Millis) -> Result<Told, Failure> {
    let opened = node.stores.get(name).ok_or(Failure::Absent)?;
    if let Some(why) = plate::look(node, opened).await? {
        return Ok(Told::Nothing(why));
    }
    let mut comparison = Comparison {
        node,
        name,
        store: &*opened.store,
        began,
        found: Found::default(),
        there: HashSet::new(),
        told: HashSet::new(),
    };
    let ran = comparison.run().await;
    // A disk may have gone while it was listed.
    if let Some(why) = plate::look(node, opened).await? {
        return Ok(Told::Nothing(why));
    }
    match ran {
        Ok(()) => Ok(Told::All(comparison.found)),
        Err(Stop::Store(error)) => Ok(Told::Nothing(error.to_string())),
        Err(Stop::Ours(failure)) => Err(failure),
    }
}

impl Comparison<'_> {
    async fn run(&mut self) -> Result<(), Stop> {
        let mut after: Option<String> = None;
        loop {
            let page = self.store.list(after.as_deref(), INVENTORY_PAGE).await?;
            self.objects(&page.objects).await?;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        self.hidden().await?;
        self.promised().await
    }

    async fn objects(&mut self, seen: &[Seen]) -> Result<(), Stop> {
        let seen: Vec<_> = seen.iter().filter(|one| !is_besides(&one.key)).collect();
        let names: Vec<_> = seen.iter().map(|one| one.key.as_str()).collect();
        let known = self.known(&names).await?;
        for (one, known) in seen.into_iter().zip(known) {
            self.found.things += 1;
            self.found.bytes += one.size;
            let copy = copy_of(&one.key);
            match self.explained(&one.key, copy, known.as_ref()) {
                Explained::Known => {
                    if let (Some(copy), Some(known)) = (copy, known) {
                        self.length(one, copy, &known);
                    }
                }
                Explained::Foreign | Explained::Spare => {
                    self.found.foreign += 1;
                    self.found.foreign_bytes += one.size;
                }
                Explained::Young => self.found.young += 1,
                Explained::Unknown => self.unknown(&one.key, Thing::Object, Some(one.size)),
                Explained::Again => {
                    // It may be deleted by now: the list is older than the row.
                    if self.store.look(&one.key).await?.is_some() {
                        self.again(&one.key, Thing::Object, Some(one.size));
                    }
                }
            }
        }
        Ok(())
    }

    fn length(&mut self, one: &Seen, copy: EntryId, known: &ListedCopy) {
        self.there.insert(copy);
        if known.size.is_some_and(|size| size != one.size) {
            self.found.length.push(Lack { name: one.key.clone(), copy: Some(copy) });
        }
    }

    /// What no listing of objects shows.
    async fn hidden(&mut self) -> Result<(), Stop> {
        let Hidden { mut uploads, mut versions, .. } = self.store.hidden(HIDDEN_MAX).await?;
        uploads.retain(|one| !is_besides(&one.key));
        let names: Vec<_> = uploads.iter().map(|one| one.key.as_str()).collect();
        let known = self.known(&names).await?;
        for (one, known) in uploads.into_iter().zip(known) {
            self.upload(one, known.as_ref());
        }
        versions.retain(|one| !is_besides(&one.key));
        let names: Vec<_> = versions.iter().map(|one| one.key.as_str()).collect();
        let known = self.known(&names).await?;
        for (one, known) in versions.into_iter().zip(known) {
            self.version(&one, known.as_ref());
        }
        Ok(())
    }

    fn upload(&mut self, one: OpenUpload, known: Option<&ListedCopy>) {
        let explained = self.explained(&one.key, copy_of(&one.key), known);
        let is_known = known.is_some_and(|known| known.upload.as_ref() == Some(&one.upload));
        match (explained, one.since) {
            (Explained::Foreign | Explained::Spare, _) => self.found.foreign_uploads += 1,
            (_, Some(since)) if is_forgotten(explained, is_known, since, self.began) => {
                self.found.forgotten.push(Forgotten { key: one.key, upload: one.upload, since });
            }
            (Explained::Known, _) => self.found.hidden += 1,
            // When it is old enough it is forgotten.
            (Explained::Young, _) | (Explained::Unknown | Explained::Again, Some(_)) => self.found.young += 1,
            (Explained::Unknown, None) => self.unknown(&one.key, Thing::Upload, None),
            (Explained::Again, None) => self.again(&one.key, Thing::Upload, None),
        }
    }

    fn version(&mut self, one: &OldVersion, known: Option<&ListedCopy>) {
        match self.explained(&one.key, copy_of(&one.key), known) {
            Explained::Known => self.found.hidden += 1,
            Explained::Foreign | Explained::Spare => self.found.foreign += 1,
            Explained::Young => self.found.young += 1,
            Explained::Unknown => self.unknown(&one.key, Thing::Version, one.size),
            Explained::Again => self.again(&one.key, Thing::Version, one.size),
        }
    }

    /// What rows promise, and the listing has not shown.
    async fn promised(&mut self) -> Result<(), Stop> {
        let (mut after, limit) = (None, u32::try_from(INVENTORY_PAGE).unwrap_or(u32::MAX));
        loop {
            let page = self.node.db.copies_promised((self.name, self.began), after, limit).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            for copy in page {
                // A list may be late; whoever is asked for just this one is not.
                let lacks = !self.there.contains(&copy.id) && self.store.look(&copy.key).await?.is_none();
                // It may have been deleted meanwhile, which its row says first.
                if lacks && self.is_promised(copy.id).await? {
                    self.found.missing.push(Lack { name: copy.key, copy: Some(copy.id) });
                }
            }
        }
    }

    async fn is_promised(&self, copy: EntryId) -> Result<bool, Stop> {
        let row = self.node.db.replica(copy).await?;
        Ok(row.is_some_and(|row| row.state.is_good()))
    }

    async fn known(&self, names: &[&str]) -> Result<Vec<Option<ListedCopy>>, Stop> {
        let ids: Vec<_> = names.iter().map(|key| copy_of(key)).collect();
        let asked: Vec<EntryId> = ids.iter().filter_map(|id| *id).collect();
        let mut answers = self.node.db.copies_listed(self.name, &asked).await?.into_iter();
        Ok(ids.into_iter().map(|id| id.and_then(|_| answers.next().flatten())).collect())
    }

    fn explained(&self, key: &str, copy: Option<EntryId>, known: Option<&ListedCopy>) -> Explained {
        // Somebody has copied one of ours to another key.
        let elsewhere = known.is_some_and(|known| known.key.as_deref().is_some_and(|other| other != key));
        let row = known.filter(|_| !elsewhere).map(|known| match (known.state, &known.key) {
            // Its row has come back to life, or is leaving, just now.
            (State::Gone, None) | (_, Some(_)) => Row::This { state: known.state, proven: known.proven },
            (_, None) => Row::Perhaps,
        });
        let is_ours = !elsewhere && copy.is_some_and(|copy| self.node.maker.made(copy));
        explain(Sighting { is_ours, made: copy.map(EntryId::created), row }, self.began)
    }

    fn unknown(&mut self, key: &str, thing: Thing, size: Option<u64>) {
        if let Some(one) = self.named(key, thing, size) {
            self.found.unknown.push(one);
        }
    }

    fn again(&mut self, key: &str, thing: Thing, size: Option<u64>) {
        if let Some(one) = self.named(key, thing, size) {
            self.found.again.push(one);
        }
    }

    fn named(&mut self, key: &str, thing: Thing, size: Option<u64>) -> Option<Unknown> {
        let copy = copy_of(key).filter(|_| self.told.insert(key.to_owned()))?;
        Some(Unknown { name: key.to_owned(), thing, key: copy, size, first: None })
    }
}

/// What is missing, or has another length, is read no more and made again from another copy.
pub(super) async fn settle(node: &Node, name: &str, found: &Found, done: &mut Done) -> Result<(), Failure> {
    done.ended += end(node, name, &found.forgotten).await?;
    let missing = found.missing.iter().map(|lack| (lack, Finding::Missing));
    for (lack, finding) in missing.chain(found.length.iter().map(|lack| (lack, Finding::Short))) {
        let Some(copy) = lack.copy else { continue };
        node.db.found(copy, finding, now()).await?;
        done.again += 1;
    }
    Ok(())
}

/// Ends uploads in parts that nobody can go on with; how many. What cannot be ended now is found again tomorrow.
async fn end(node: &Node, name: &str, forgotten: &[Forgotten]) -> Result<u64, Failure> {
    let opened = node.stores.get(name).ok_or(Failure::Absent)?;
    let mut ended = 0;
    for one in forgotten {
        let begun = Begun { upload: one.upload.clone(), part_bytes: 0 };
        match opened.store.abort(&one.key, &begun).await {
            Ok(()) => {
                tracing::info!(store = name, key = one.key, "an upload in parts that no row knows was ended");
                ended += 1;
            }
            Err(error) => {
                tracing::warn!(%error, store = name, key = one.key, "forgotten parts could not be freed yet");
                if error.is_of_the_store() {
                    break;
                }
            }
        }
    }
    Ok(ended)
}
