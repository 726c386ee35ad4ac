//! The dealings with stores, as the flows do them: place, copy, read again, free, compare. What decides is `core`.

use matinee_core::id::{EntryId, ObjectId};
use matinee_core::inventory::limits::{INVENTORY_AGAIN_MS, INVENTORY_MS};
use matinee_core::inventory::outside::{Explained, Next, Row, Sighting, Thing, explain, next};
use matinee_core::ledger::{self, Happening, Kind};
use matinee_core::limits::INTENDED_GRACE_MS;
use matinee_core::placement::{DEFAULT_KEY, Named, Rules, copy_of, key};
use matinee_core::replica::limits::{STORE_LOST_MS, STORE_PAUSE_FIRST_MS, STORE_PAUSE_MAX_MS};
use matinee_core::replica::{Finding, LOCAL, State};

use super::judge::Sim;
use super::rows::{Copy, Entry, Object};
use super::world::Failed;

/// So long after its process died a job is taken up again.
const LEASE_MS: i64 = 30_000;

impl Sim {
    /// A video arrives: its file is durable here before anybody is told so.
    pub(crate) fn arrive(&mut self) {
        let video = self.id();
        self.rows.videos.push(video);
        for _ in 0..2 {
            let object: ObjectId = self.id();
            let id = EntryId::from_bits(object.bits());
            let mut entry = Entry::new(video, LOCAL, None);
            entry.state = ledger::State::Present;
            self.rows.ledger.insert(id, entry);
            self.rows.objects.insert(object, Object { video, placed: false });
            let key = object.to_string();
            self.world.bucket(LOCAL).objects.insert(key.clone(), object.bits());
            let copy = Copy { object, store: LOCAL, key, state: State::Present, begun: false, job: None };
            self.rows.copies.insert(id, copy);
        }
    }

    /// Which stores are open now.
    fn open_rules(&self) -> Rules {
        let mut rules = self.rules.clone();
        for place in &mut rules.stores {
            let away = self.rows.places[place.name.as_str()].away;
            place.open = away.is_none_or(|(since, _)| self.now().since(since) < STORE_LOST_MS);
        }
        rules
    }

    /// Looks at the copies of what has changed, and writes the rows of those that lack.
    pub(crate) fn place(&mut self) {
        let rules = self.open_rules();
        if self.mark != rules.mark() {
            self.mark = rules.mark();
            self.rows.objects.values_mut().for_each(|object| object.placed = false);
        }
        let unplaced: Vec<_> =
            self.rows.objects.iter().filter(|(_, one)| !one.placed).map(|(id, _)| *id).collect();
        for object in unplaced {
            let held: Vec<_> = self.held(object);
            let video = self.rows.objects[&object].video;
            let known = self.rows.videos.contains(&video);
            if !known || !held.iter().any(|(_, _, state)| state.is_good()) {
                continue;
            }
            let places: Vec<(&str, State)> = held.iter().map(|(_, store, state)| (*store, *state)).collect();
            let judged = rules.judge((object, Kind::Source), &places);
            for store in &judged.missing {
                let named = self.stores.iter().find(|name| *name == store).copied().unwrap();
                self.intend((object, video), named);
            }
            for at in &judged.mend {
                let now = self.now();
                self.rows.copies.get_mut(&held[*at].0).unwrap().job = Some(now);
            }
            for at in &judged.surplus {
                self.rows.unwanted_copy(held[*at].0, self.world.now);
            }
            self.rows.objects.get_mut(&object).unwrap().placed = true;
        }
    }

    fn held(&self, object: ObjectId) -> Vec<(EntryId, &'static str, State)> {
        let of = self.rows.copies.iter().filter(|(_, copy)| copy.object == object);
        of.map(|(id, copy)| (*id, copy.store, copy.state)).collect()
    }

    fn intend(&mut self, (object, video): (ObjectId, matinee_core::id::VideoId), store: &'static str) {
        let id: EntryId = self.id();
        let (app, collection) = (self.app, self.collection);
        let named = Named { app, collection, video, kind: Kind::Source, object, copy: id };
        let key = key(DEFAULT_KEY, &named);
        self.rows.ledger.insert(id, Entry::new(video, store, None));
        let job = Some(self.now());
        self.rows.copies.insert(id, Copy { object, store, key, state: State::Intended, begun: false, job });
    }

    /// Does the copies whose time has come.
    pub(crate) fn copy_due(&mut self) {
        let now = self.now();
        let due = self.rows.copies.iter().filter(|(_, copy)| copy.job.is_some_and(|at| at <= now));
        for id in due.map(|(id, _)| *id).collect::<Vec<_>>() {
            let store = self.rows.copies[&id].store;
            let later_ms = match if self.is_away(store) { Err(Failed::Away) } else { self.copy(id) } {
                Ok(()) => continue,
                Err(Failed::Crash) => LEASE_MS,
                Err(Failed::Away | Failed::Silent | Failed::Throttled(_)) => 60_000,
            };
            if let Some(copy) = self.rows.copies.get_mut(&id)
                && copy.job.is_some()
            {
                copy.job = Some(now.plus(later_ms));
            }
        }
    }

    fn copy(&mut self, id: EntryId) -> Result<(), Failed> {
        let Copy { object, store, key, .. } = self.rows.copies[&id].clone();
        let Some(bytes) = self.read(object, id)? else { return Err(Failed::Away) };
        if store != LOCAL {
            self.of_store(store, |world| world.begin(store, &key))?;
            if let Some(copy) = self.rows.copies.get_mut(&id) {
                copy.begun = true;
            }
        }
        self.of_store(store, |world| world.put(store, &key, bytes))?;
        let back = self.of_store(store, |world| world.look(store, &key))?;
        self.meanwhile();
        if back != Some(object.bits()) {
            return Err(Failed::Silent);
        }
        // Only who is still wanted is proven.
        let Some(copy) = self.rows.copies.get_mut(&id) else { return Ok(()) };
        match copy.state {
            State::Intended => {
                (copy.state, copy.begun, copy.job) = (State::Present, false, None);
                self.rows.happens(id, Happening::Made, self.world.now);
            }
            State::Suspect => (copy.state, copy.job) = (State::Present, None),
            State::Present | State::ToDelete => return Ok(()),
        }
        self.rows.objects.get_mut(&object).unwrap().placed = false;
        Ok(())
    }

    /// The bytes of an object from any copy that is good; one that is not is found out.
    fn read(&mut self, object: ObjectId, but: EntryId) -> Result<Option<u128>, Failed> {
        for (id, store, state) in self.held(object) {
            if id == but || !state.is_good() {
                continue;
            }
            let key = self.rows.copies[&id].key.clone();
            match self.world.look(store, &key) {
                Ok(found) => {
                    if self.look_at(id, found) == Finding::Good {
                        return Ok(found);
                    }
                }
                Err(Failed::Crash) => return Err(Failed::Crash),
                Err(Failed::Away | Failed::Silent | Failed::Throttled(_)) => {}
            }
        }
        Ok(None)
    }

    /// What a copy is, by the bytes that were found.
    fn look_at(&mut self, id: EntryId, found: Option<u128>) -> Finding {
        let hash = |bits: u128| matinee_core::hash::of(&bits.to_be_bytes());
        let object = self.rows.copies[&id].object;
        let finding = Finding::of((1, hash(object.bits())), found.map(|bits| (1, hash(bits))));
        self.found(id, finding);
        finding
    }

    fn found(&mut self, id: EntryId, finding: Finding) {
        let Some(copy) = self.rows.copies.get_mut(&id) else { return };
        if finding == Finding::Good || copy.state != State::Present {
            return;
        }
        (copy.state, copy.job) = (State::Suspect, None);
        let object = copy.object;
        self.rows.objects.get_mut(&object).unwrap().placed = false;
        self.rows.tell("bad", id.bits());
    }

    /// Reads some copy again.
    pub(crate) fn scrub(&mut self) {
        let good: Vec<_> =
            self.rows.copies.iter().filter(|(_, copy)| copy.state.is_good()).map(|(id, _)| *id).collect();
        let Some(id) = self.world.dice.pick(&good) else { return };
        let Copy { store, key, .. } = self.rows.copies[&id].clone();
        if !self.is_away(store)
            && let Ok(found) = self.of_store(store, |world| world.look(store, &key))
        {
            self.look_at(id, found);
        }
    }

    pub(crate) fn is_away(&self, store: &str) -> bool {
        self.rows.places[store].away.is_some_and(|(_, retry)| self.now().since(retry) < 0)
    }

    /// Asks a store, and remembers whether it has answered.
    fn of_store<T>(
        &mut self,
        store: &'static str,
        ask: impl FnOnce(&mut super::world::World) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        let answer = ask(&mut self.world);
        let now = self.now();
        let place = self.rows.places.get_mut(store).unwrap();
        match &answer {
            Ok(_) => {
                if place.away.take().is_some() {
                    // All that waited for it is due.
                    let due = |entry: &&mut Entry| entry.place == store && entry.attempts > 0;
                    self.rows.ledger.values_mut().filter(due).for_each(|entry| entry.next_try = now);
                }
            }
            Err(Failed::Away | Failed::Silent | Failed::Throttled(_)) if store != LOCAL => {
                let since = place.away.map_or(now, |(since, _)| since);
                let pause_ms = now.since(since).clamp(STORE_PAUSE_FIRST_MS, STORE_PAUSE_MAX_MS);
                place.away = Some((since, now.plus(pause_ms)));
            }
            Err(Failed::Crash | Failed::Away | Failed::Silent | Failed::Throttled(_)) => {}
        }
        answer
    }

    /// Frees what is to go from a store: removed, looked at, and closed when the store lists what it has.
    pub(crate) fn free(&mut self, store: &'static str) {
        let now = self.now();
        let is_due = |entry: &Entry| {
            entry.place == store && entry.state == ledger::State::ToDelete && entry.next_try <= now
        };
        let due: Vec<_> =
            self.rows.ledger.iter().filter(|(_, entry)| is_due(entry)).map(|(id, _)| *id).collect();
        if self.is_away(store) {
            return;
        }
        if due.is_empty() {
            // Also when nothing waits for it, a store that was away is asked whether it is back.
            if self.rows.places[store].away.is_some() {
                let _ = self.of_store(store, |world| world.keys(store));
            }
            return;
        }
        let mut freed = Vec::new();
        for id in due {
            let key = self.rows.copies[&id].key.clone();
            let done = self.of_store(store, |world| world.remove(store, &key));
            match done.and_then(|()| self.of_store(store, |world| world.look(store, &key))) {
                Ok(None) => freed.push(id),
                Ok(Some(_)) | Err(Failed::Away | Failed::Silent | Failed::Throttled(_)) => {
                    let entry = self.rows.ledger.get_mut(&id).unwrap();
                    entry.attempts += 1;
                    entry.next_try = now.plus(ledger::backoff_ms(entry.attempts));
                }
                Err(Failed::Crash) => return,
            }
        }
        if self.of_store(store, |world| world.keys(store)).is_ok() {
            for id in freed {
                self.rows.happens(id, Happening::ProvenGone, now);
            }
        }
    }

    /// What was intended and is written by nobody goes.
    pub(crate) fn sweep(&mut self) {
        let before = self.now().plus(-INTENDED_GRACE_MS);
        let copies = &self.rows.copies;
        let left = |(id, entry): &(&EntryId, &Entry)| {
            let job = copies.get(id).is_some_and(|copy| copy.job.is_some());
            entry.key.is_none() && entry.state == ledger::State::Intended && !job && id.created() <= before
        };
        let left: Vec<_> = self.rows.ledger.iter().filter(left).map(|(id, _)| *id).collect();
        for id in left {
            self.rows.unwanted_copy(id, self.world.now);
        }
    }

    /// Compares a store with its rows.
    pub(crate) fn compare_store(&mut self, store: &'static str) {
        let began = self.now();
        if self.rows.places[store].inventory > began {
            return;
        }
        self.rows.places.get_mut(store).unwrap().inventory = began.plus(INVENTORY_AGAIN_MS);
        let Ok((objects, uploads)) = self.world.keys(store) else { return };
        let objects_seen = objects.iter().map(|key| (key.clone(), Thing::Object));
        let only_begun = uploads.into_iter().filter(|key| !objects.contains(key));
        for (key, thing) in objects_seen.chain(only_begun.map(|key| (key, Thing::Upload))).collect::<Vec<_>>()
        {
            self.explain_key(store, (key, thing), began);
        }
        let promised =
            self.rows.copies.iter().filter(|(_, copy)| copy.store == store && copy.state.is_good());
        let lacks = promised
            .filter(|(_, copy)| !objects.contains(&copy.key))
            .map(|(id, copy)| (*id, copy.key.clone()));
        for (id, key) in lacks.collect::<Vec<_>>() {
            if self.world.look(store, &key) == Ok(None) {
                self.found(id, Finding::Missing);
            }
        }
        self.rows.places.get_mut(store).unwrap().inventory = began.plus(INVENTORY_MS);
    }

    fn explain_key(
        &mut self,
        store: &'static str,
        (key, thing): (String, Thing),
        began: matinee_core::time::Millis,
    ) {
        let Some(id) = copy_of(&key) else { return };
        let known = self.rows.ledger.get(&id).filter(|entry| entry.place == store);
        let row = known.map(|entry| Row::This { state: entry.state, proven: entry.proven });
        let seen = Sighting { is_ours: self.maker.made(id), made: Some(id.created()), row };
        let again = match explain(seen, began) {
            Explained::Known | Explained::Foreign | Explained::Young | Explained::Spare => return,
            Explained::Again => true,
            Explained::Unknown => {
                let first = *self.rows.unknown.entry((store, key.clone())).or_insert(began);
                if next(thing, (first, began), true) != Next::Delete {
                    return;
                }
                false
            }
        };
        if again {
            self.rows.happens(id, Happening::SeenAgain, began);
        } else {
            let mut entry = Entry::new(self.id(), store, None);
            (entry.state, entry.next_try) = (ledger::State::ToDelete, began);
            self.rows.ledger.insert(id, entry);
            self.rows.tell("unknown", id.bits());
        }
        let object = ObjectId::from_bits(id.bits());
        let video = self.rows.ledger[&id].video;
        self.rows.objects.entry(object).or_insert(Object { video, placed: true });
        let copy = Copy { object, store, key, state: State::ToDelete, begun: false, job: None };
        self.rows.copies.insert(id, copy);
    }
}
