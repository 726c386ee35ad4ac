//! What must hold: after each part of a history, after all has healed, and when all was deleted.

use std::collections::{BTreeMap, BTreeSet};

use matinee_core::host::Standing;
use matinee_core::id::{EntryId, ObjectId, PublicationId};
use matinee_core::ledger::{Kind, State};
use matinee_core::limits::{BREAKER_PROBE_MS, QUARANTINE_MS};
use matinee_core::placement::Rules;
use matinee_core::publication::Phase;
use matinee_core::replica;
use matinee_core::time::Millis;
use matinee_core::webhook;

use super::history::{HOSTS, Sim};
use super::hosts::RATE;
use super::rows::{Copy, entry_of};
use super::world::{Asked, Film, Heard, TARDY_MS, standing};

impl Sim {
    /// I1: somewhere every byte is as it was.
    pub(crate) fn nothing_is_lost(&self) {
        for (object, of) in self.rows.objects.iter().filter(|(_, of)| self.rows.videos.contains(&of.video)) {
            let mut copies = self.rows.copies.values().filter(|copy| copy.object == *object);
            let held: Vec<_> =
                copies.clone().map(|copy| (copy.store, copy.state, self.is_whole(copy))).collect();
            assert!(copies.any(|copy| self.is_whole(copy)), "I1: {object} of {} is lost: {held:?}", of.video);
        }
    }

    pub(crate) fn is_whole(&self, copy: &Copy) -> bool {
        let lying = self.world.stores[copy.store].objects.get(&copy.key);
        lying.is_some_and(|lying| lying.bytes == copy.object.bits())
    }

    /// I1: after something was found to be one too many there are as many proven copies as are wanted, where they are to lie.
    pub(crate) fn enough_stay(&self, object: ObjectId, rules: &Rules) {
        let of = |copy: &&Copy| copy.object == object && copy.state.is_good();
        let held: Vec<_> = self.rows.copies.values().filter(of).map(|copy| copy.store).collect();
        let open = rules.stores.iter().filter(|place| place.open && held.contains(&place.name.as_str()));
        let (proven, wanted) = (open.count(), rules.copies.of(Kind::Source) as usize);
        assert!(
            proven >= wanted,
            "I1: of {object} {proven} copies were left, and {wanted} are wanted: {held:?}"
        );
    }

    /// I3: what counts as gone from a store is not there for everybody to see.
    pub(crate) fn nothing_lies_under(&self, store: &str, key: &str) {
        let there = self.world.stores[store].objects.get(key).filter(|lying| lying.hidden.is_none());
        assert!(there.is_none(), "I3: {key} counts as gone, and lies in {store}");
    }

    /// What was made for an intent, is there for everybody to see, and has no row.
    fn forgotten(&self, host: &str, key: PublicationId) -> Option<(&String, &Film)> {
        let named = |id: &String| self.rows.ledger.values().any(|entry| entry.remote.as_ref() == Some(id));
        // What was asked for before the clock was set forward was not waited for as long as it seems.
        let known = self.leapt.plus(TARDY_MS);
        let shown = |film: &Film| film.key == key && film.hidden.is_none() && film.made > known;
        self.world.hosts[host].films.iter().find(|(id, film)| shown(film) && !named(id))
    }

    /// I4: nothing is asked for again while it is there and nobody has seen to it.
    pub(crate) fn nothing_is_made_twice(&self, host: &str, key: PublicationId) {
        let forgotten = self.forgotten(host, key);
        assert!(forgotten.is_none(), "I4: {key} is made again, and is there as {forgotten:?}");
    }

    /// I3: what counts as gone from a host is not there for everybody to see.
    pub(crate) fn nothing_is_given_up(&self, id: EntryId) {
        let entry = &self.rows.ledger[&id];
        let films = &self.world.hosts[entry.place].films;
        let there = match &entry.remote {
            Some(remote) => films.get_key_value(remote).filter(|(_, film)| film.hidden.is_none()),
            None => self.forgotten(entry.place, entry.key.unwrap()),
        };
        assert!(there.is_none(), "I3: {id} counts as gone from {}, and is there as {there:?}", entry.place);
    }

    /// I1: what an old backup does not know is there for two days at least: perhaps it was the wrong one.
    pub(crate) fn two_days_are_over(&self, id: EntryId) {
        let Some(lost) = self.forgotten.get(&id) else { return };
        let over = self.world.time.since(*lost) >= QUARANTINE_MS || self.leapt >= *lost;
        assert!(over, "I1: {id} goes, and the backup that does not know it was just restored");
    }

    /// I6: what is said to be there again is there; a late list brings nothing back.
    pub(crate) fn it_is_there(&self, host: &str, remote: &str) {
        let there = self.world.hosts[host].films.contains_key(remote);
        // Where the clock was set forward a list is later than anybody thinks.
        assert!(there || self.leapt > Millis(0), "I6: {remote} counts as there again at {host}, and is not");
    }

    /// What the host has made of the film of a publication.
    fn truth(&self, key: PublicationId) -> Option<Standing> {
        let entry = &self.rows.ledger[&entry_of(key)];
        let film = self.world.hosts[entry.place].films.get(entry.remote.as_ref()?)?;
        film.hidden.is_none().then(|| standing(film, self.world.time))
    }

    /// I7: what played there plays as long as the host has it. What a late list says takes nothing back.
    pub(crate) fn nothing_is_taken_back(&self, key: PublicationId, before: Phase) {
        let after = self.rows.publications[&key].phase;
        let is_kept = match self.truth(key) {
            Some(Standing::Ready) => before != Phase::Ready || after == Phase::Ready,
            Some(Standing::Playable(_)) => !before.plays() || after.plays(),
            Some(_) | None => true,
        };
        assert!(is_kept, "I7: {key} was {before:?}, is so at its host, and counts as {after:?}");
    }

    /// I2: a publication fails only when its host does not have it, or does not want it.
    pub(crate) fn fail(&mut self, key: PublicationId) {
        let truth = self.truth(key);
        assert!(matches!(truth, None | Some(Standing::Failed(_))), "I2: {key} failed, and is {truth:?}");
        self.rows.fail(key, self.world.now);
    }

    /// I2: what was wished is there, or has failed for a reason of the host.
    pub(crate) fn all_is_as_wished(&self) {
        for (key, one) in &self.rows.publications {
            assert!(matches!(one.phase, Phase::Ready | Phase::Failed), "I2: {key} ends as {:?}", one.phase);
        }
        for (object, of) in &self.rows.objects {
            if !self.rows.videos.contains(&of.video) {
                continue;
            }
            let held: Vec<_> = self.rows.copies.values().filter(|copy| copy.object == *object).collect();
            let places: Vec<_> = held.iter().map(|copy| (copy.store, copy.state)).collect();
            let judged = self.rules.judge((*object, Kind::Source), &places);
            assert!(
                judged.missing.is_empty() && judged.mend.is_empty(),
                "I2: {object}: {judged:?} of {places:?}"
            );
            self.enough_stay(*object, &self.rules);
            let stores: BTreeSet<_> = held.iter().map(|copy| copy.store).collect();
            assert_eq!(stores.len(), held.len(), "I4: {object} is twice in one store: {places:?}");
            for copy in held {
                assert_eq!(
                    copy.state,
                    replica::State::Present,
                    "I2: {object} in {} of {places:?}",
                    copy.store
                );
                assert!(self.is_whole(copy), "I1: {object} in {} is not what it was", copy.store);
            }
        }
    }

    /// I3 and I5: what lies outside has a row that wants it, and the other way round; nothing half done is left.
    pub(crate) fn what_is_outside_is_in_the_rows(&self) {
        for (name, bucket) in &self.world.stores {
            let copies = self.rows.copies.values().filter(|copy| copy.store == *name);
            let wanted: BTreeSet<&String> = copies.map(|copy| &copy.key).collect();
            let there: BTreeSet<&String> =
                bucket.objects.keys().filter(|key| !self.strangers.contains(*key)).collect();
            assert_eq!(there, wanted, "I3: the store {name}");
            assert_eq!(bucket.uploads.len(), 0, "I5: uploads are left in {name}: {:?}", bucket.uploads);
        }
        for (name, host) in &self.world.hosts {
            let wanted: BTreeSet<&String> = self
                .rows
                .publications
                .iter()
                .filter(|(_, one)| one.host == *name && one.phase == Phase::Ready)
                .filter_map(|(key, _)| self.rows.ledger[&entry_of(*key)].remote.as_ref())
                .collect();
            let there: BTreeSet<&String> =
                host.films.keys().filter(|id| !self.strangers.contains(*id)).collect();
            assert_eq!(there, wanted, "I3: the host {name}");
        }
        let open = self
            .rows
            .ledger
            .values()
            .filter(|entry| matches!(entry.state, State::Intended | State::ToDelete));
        assert_eq!(open.count(), 0, "I3: rows that are neither there nor gone");
    }

    /// I3 once all is deleted: only what is not ours is there.
    pub(crate) fn nothing_is_left(&self) {
        self.what_is_outside_is_in_the_rows();
        for (id, entry) in &self.rows.ledger {
            assert_eq!(entry.state, State::Gone, "I3: {id} at {}", entry.place);
        }
        for store in self.stores {
            let mut names = self.strangers.iter().filter(|name| *name != "theirs");
            let objects = &self.world.stores[store].objects;
            assert!(names.all(|name| objects.contains_key(name)), "what is not ours was touched in {store}");
        }
        for host in HOSTS {
            assert!(
                self.world.hosts[host].films.contains_key("theirs"),
                "what is not ours was touched at {host}"
            );
        }
    }

    /// I6: the events say how each thing came to be what it is.
    pub(crate) fn the_events_explain_it(&self) {
        for (id, entry) in &self.rows.ledger {
            let gone = self.rows.told("gone", id.bits());
            let again = self.rows.told("again", id.bits()) + self.rows.told("restored", id.bits());
            assert_eq!(
                gone,
                again + usize::from(entry.state == State::Gone),
                "I6: {id} is {:?}",
                entry.state
            );
        }
        let mut told = BTreeMap::new();
        for event in self.rows.events.iter().filter(|(what, _)| ["ready", "failed", "deleted"].contains(what))
        {
            let times = told.entry(event).and_modify(|times| *times += 1).or_insert(1);
            // A host that goes back from ready to playable may come to be ready again.
            assert!(*times == 1, "I6: {event:?} was said {times} times");
        }
    }

    /// I4 and I6 for the receiver: each event was taken, or tried as often as was promised, unless it was switched off.
    pub(crate) fn everybody_was_told(&self) {
        if self.rows.webhook != webhook::State::Active {
            return;
        }
        assert_eq!(self.rows.deliveries.len(), self.rows.events.len(), "an event was not handed on");
        for (event, one) in &self.rows.deliveries {
            let taken = self.world.receiver.taken.get(event).copied().unwrap_or_default();
            match one.state {
                webhook::Delivery::Delivered => assert!(taken > 0, "{event} counts as taken, and was not"),
                webhook::Delivery::Failed => assert_eq!(one.attempts, 10, "{event} was given up"),
                webhook::Delivery::Waiting => panic!("I2: {event} still waits, until {:?}", one.next),
            }
            assert!(!self.calm || taken <= 1, "I4: {event} was taken {taken} times, and every answer came");
        }
    }

    /// A host was never asked more than it allows; and one that did not answer, or wanted to be left alone, was asked nothing
    /// but whether it is back, and not too soon.
    pub(crate) fn no_host_was_asked_too_much(&self) {
        for (name, host) in &self.world.hosts {
            let (mut level, mut latest, mut last) = (0_i64, Millis(0), None::<&Asked>);
            for asked in &host.asked {
                let at = asked.at.max(latest);
                let paid = at.since(latest) * i64::from(RATE.requests) * 1_000 / i64::from(RATE.per_ms);
                level = (level - paid).max(0) + 1_000;
                latest = at;
                assert!(level <= i64::from(RATE.burst) * 1_000 + 1_000, "{name} was asked too fast");
                let rests_until = match last.map(|last| (last.heard, last.at)) {
                    Some((Heard::Vain, at)) => Some(at.plus(BREAKER_PROBE_MS)),
                    Some((Heard::Peace(until), _)) => Some(until),
                    Some((Heard::Spoke | Heard::Never, _)) | None => None,
                };
                if let Some(until) = rests_until {
                    assert!(asked.is_probe, "{name} did not answer, and was sent work");
                    assert!(self.went_back || asked.at >= until, "{name} was asked again while it was away");
                }
                // Of a question whose sender has died nobody knows how it was answered.
                if asked.heard != Heard::Never {
                    last = Some(asked);
                }
            }
        }
    }
}
