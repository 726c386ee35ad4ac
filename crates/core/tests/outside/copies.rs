//! Copies in stores, as the flows make them: place, copy, read again. What decides is `core`.

use matinee_core::id::{EntryId, ObjectId};
use matinee_core::ledger::{self, Happening, Kind};
use matinee_core::placement::{DEFAULT_KEY, Named, Rules, key};
use matinee_core::replica::limits::STORE_LOST_MS;
use matinee_core::replica::{Finding, LOCAL, State};

use super::history::Sim;
use super::rows::{Copy, Entry, Object};
use super::world::{Failed, Lying};

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
            let lying = Lying { bytes: object.bits(), hidden: None };
            self.world.bucket(LOCAL).objects.insert(key.clone(), lying);
            self.rows.keys.insert(id, key.clone());
            let copy = Copy { object, store: LOCAL, key, state: State::Present, begun: false, job: None };
            self.rows.copies.insert(id, copy);
        }
    }

    /// Which stores are open now.
    pub(crate) fn open_rules(&self) -> Rules {
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
            if !judged.surplus.is_empty() {
                self.enough_stay(object, &rules);
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
        self.rows.keys.insert(id, key.clone());
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
        let Some(state) = self.rows.copies.get(&id).map(|copy| copy.state) else { return Ok(()) };
        // Only who is still wanted is proven; the ledger says who.
        let proven = match state {
            State::Intended | State::ToDelete => self.rows.happens(id, Happening::Made, self.world.now),
            State::Suspect => true,
            State::Present => false,
        };
        if proven {
            let copy = self.rows.copies.get_mut(&id).unwrap();
            (copy.state, copy.begun, copy.job) = (State::Present, false, None);
            self.rows.objects.get_mut(&object).unwrap().placed = false;
        }
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

    pub(crate) fn found(&mut self, id: EntryId, finding: Finding) {
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
        if let Some(id) = self.world.dice.pick(&self.good()) {
            self.reread(id);
        }
    }

    /// Reads all copies again.
    pub(crate) fn scrub_all(&mut self) {
        self.good().into_iter().for_each(|id| self.reread(id));
    }

    fn good(&self) -> Vec<EntryId> {
        let good = self.rows.copies.iter().filter(|(_, copy)| copy.state.is_good());
        good.map(|(id, _)| *id).collect()
    }

    fn reread(&mut self, id: EntryId) {
        let Copy { store, key, .. } = self.rows.copies[&id].clone();
        if !self.is_away(store)
            && let Ok(found) = self.of_store(store, |world| world.look(store, &key))
        {
            self.look_at(id, found);
        }
    }
}
