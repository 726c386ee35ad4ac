//! The dealings with stores besides copying, as the flows have them: free, control, sweep, compare. What decides is `core`.

use matinee_core::id::EntryId;
use matinee_core::inventory::limits::{INVENTORY_AGAIN_MS, INVENTORY_MS};
use matinee_core::inventory::outside::{Explained, Next, Row, Sighting, Thing, explain, next};
use matinee_core::ledger::{self, Happening};
use matinee_core::limits::INTENDED_GRACE_MS;
use matinee_core::placement::copy_of;
use matinee_core::replica::limits::{COPY_CONTROL_MS, STORE_PAUSE_FIRST_MS, STORE_PAUSE_MAX_MS};
use matinee_core::replica::{Finding, LOCAL};
use matinee_core::time::Millis;

use super::history::Sim;
use super::rows::Entry;
use super::world::{Failed, World};

impl Sim {
    pub(crate) fn is_away(&self, store: &str) -> bool {
        self.rows.places[store].away.is_some_and(|(_, retry)| self.now().since(retry) < 0)
    }

    /// Asks a store, and remembers whether it has answered.
    pub(crate) fn of_store<T>(
        &mut self,
        store: &'static str,
        ask: impl FnOnce(&mut World) -> Result<T, Failed>,
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
            let key = self.rows.keys[&id].clone();
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
                self.freed(store, id);
            }
        }
    }

    fn freed(&mut self, store: &'static str, id: EntryId) {
        let now = self.now();
        if self.rows.happens(id, Happening::ProvenGone, now) {
            self.nothing_lies_under(store, &self.rows.keys[&id]);
            let control = (store != LOCAL).then(|| now.plus(COPY_CONTROL_MS));
            self.rows.ledger.get_mut(&id).unwrap().control = control;
        }
    }

    /// What was proven gone a day ago is looked for once more.
    pub(crate) fn control_store(&mut self, store: &'static str) {
        let now = self.now();
        let is_due = |entry: &Entry| {
            let due = entry.control.is_some_and(|at| at <= now);
            entry.place == store && entry.state == ledger::State::Gone && due
        };
        let due: Vec<_> =
            self.rows.ledger.iter().filter(|(_, entry)| is_due(entry)).map(|(id, _)| *id).collect();
        for id in due {
            let key = self.rows.keys[&id].clone();
            if self.is_away(store) {
                return;
            }
            match self.of_store(store, |world| world.look(store, &key)) {
                Ok(None) => self.rows.ledger.get_mut(&id).unwrap().control = None,
                Ok(Some(_)) => {
                    self.rows.happens(id, Happening::SeenAgain, now);
                }
                Err(_) => return,
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

    fn explain_key(&mut self, store: &'static str, (key, thing): (String, Thing), began: Millis) {
        let Some(id) = copy_of(&key) else { return };
        let known = self.rows.ledger.get(&id).filter(|entry| entry.place == store);
        let row = known.map(|entry| Row::This { state: entry.state, proven: entry.proven });
        let seen = Sighting { is_ours: self.maker.made(id), made: Some(id.created()), row };
        match explain(seen, began) {
            Explained::Known | Explained::Foreign | Explained::Young | Explained::Spare => {}
            // It may be deleted by now: the list is older than the row.
            Explained::Again => {
                let there = thing != Thing::Object || matches!(self.world.look(store, &key), Ok(Some(_)));
                if there {
                    self.rows.happens(id, Happening::SeenAgain, began);
                }
            }
            Explained::Unknown => {
                let first = *self.rows.unknown.entry((store, key.clone())).or_insert(began);
                if next(thing, (first, began), true) == Next::Delete {
                    self.two_days_are_over(id);
                    let mut entry = Entry::new(self.id(), store, None);
                    (entry.state, entry.next_try) = (ledger::State::ToDelete, began);
                    self.rows.ledger.insert(id, entry);
                    self.rows.keys.insert(id, key);
                    self.rows.tell("unknown", id.bits());
                }
            }
        }
    }
}
