//! The dealings with hosts, as the flows do them: publish, attend, delete, control, compare. What decides is `core`.

use matinee_core::breaker::{Answer, Breaker};
use matinee_core::host::{Standing, ask_again_ms};
use matinee_core::id::{EntryId, PublicationId, VideoId};
use matinee_core::inventory::limits::{INVENTORY_AGAIN_MS, INVENTORY_MS};
use matinee_core::inventory::outside::{self, Explained, Row, Sighting, Thing, explain};
use matinee_core::ledger::{Happening, State};
use matinee_core::limits::{
    BREAKER_PROBE_MS, HOST_ASK_FIRST_MS, HOST_ASK_MAX_MS, HOST_POLL_MS, HOST_PUSH_WAIT_MS,
};
use matinee_core::publication::{Asked, Next, Pace, Phase, row_wait_ms, turn};
use matinee_core::throttle::{Rate, Urgency};
use matinee_core::time::Millis;

use super::judge::{Sim, regains};
use super::rows::{Entry, Publication, entry_of};
use super::world::{Failed, World};

/// What every host of the simulation allows.
pub(crate) const RATE: Rate = Rate { burst: 20, requests: 4, per_ms: 1_000, kept: 5 };
/// So long after its process died a job is taken up again.
const LEASE_MS: i64 = 30_000;

type Listed = Vec<(String, PublicationId, Standing)>;

impl Sim {
    /// Somebody wants a video at a host.
    pub(crate) fn publish(&mut self, video: VideoId, host: &'static str) {
        let living = |one: &Publication| one.video == video && one.host == host && one.phase != Phase::Failed;
        if self.rows.publications.values().any(living) {
            return;
        }
        self.rows.publications.retain(|_, one| one.video != video || one.host != host);
        let key: PublicationId = self.id();
        let (job, phase) = (Some(self.now()), Phase::Waiting);
        let new = Publication { video, host, phase, target: false, unchanged: 0, next_ask: None, job };
        self.rows.publications.insert(key, new);
        self.rows.ledger.insert(entry_of(key), Entry::new(video, host, Some(key)));
    }

    /// Takes the right to ask a host.
    fn enter(&mut self, host: &'static str, (urgency, is_probe): (Urgency, bool)) -> Result<(), Failed> {
        let now = self.now();
        let place = self.rows.places.get_mut(host).unwrap();
        if !place.breaker.lets(now, is_probe) {
            return Err(Failed::Away);
        }
        match place.left.take(RATE, urgency, now) {
            Ok(left) => {
                place.left = left;
                Ok(())
            }
            Err(_) => Err(Failed::Away),
        }
    }

    /// Asks a host, within what it allows.
    fn of_host<T>(
        &mut self,
        host: &'static str,
        (urgency, is_probe): (Urgency, bool),
        ask: impl FnOnce(&mut World) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        self.enter(host, (urgency, is_probe))?;
        self.sent(host, ask)
    }

    /// Sends what the right was taken for, and writes down how it is answered.
    fn sent<T>(
        &mut self,
        host: &'static str,
        ask: impl FnOnce(&mut World) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        let answer = ask(&mut self.world);
        let said = match &answer {
            Ok(_) => Answer::Spoke,
            Err(Failed::Away | Failed::Silent) => Answer::Failed,
            Err(Failed::Throttled(until)) => Answer::Throttled(*until),
            Err(Failed::Crash) => return answer,
        };
        let (now, spread) = (self.now(), u16::try_from(self.world.dice.below(65_536)).unwrap());
        let place = self.rows.places.get_mut(host).unwrap();
        let before = place.breaker;
        place.breaker = before.after(said, now, (BREAKER_PROBE_MS, spread));
        if before != Breaker::Closed && place.breaker == Breaker::Closed {
            self.back(host);
        }
        answer
    }

    fn work<T>(
        &mut self,
        host: &'static str,
        ask: impl FnOnce(&mut World) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        self.of_host(host, (Urgency::Work, false), ask)
    }

    /// All that waited for a host is due.
    fn back(&mut self, host: &'static str) {
        let now = self.now();
        let due = |entry: &&mut Entry| {
            entry.place == host && entry.state == State::ToDelete && entry.remote.is_some()
        };
        self.rows.ledger.values_mut().filter(due).for_each(|entry| entry.next_try = entry.next_try.min(now));
        let jobs = self.rows.publications.values_mut().filter(|one| one.host == host);
        jobs.filter_map(|one| one.job.as_mut()).for_each(|at| *at = (*at).min(now));
    }

    /// Does the publish jobs whose time has come.
    pub(crate) fn publish_due(&mut self) {
        let now = self.now();
        let due = self.rows.publications.iter().filter(|(_, one)| one.job.is_some_and(|at| at <= now));
        for key in due.map(|(key, _)| *key).collect::<Vec<_>>() {
            let later = match self.attempt(key) {
                Ok(later) => later,
                Err(Failed::Crash) => Some(self.now().plus(LEASE_MS)),
                Err(Failed::Away | Failed::Silent | Failed::Throttled(_)) => {
                    Some(self.now().plus(HOST_ASK_MAX_MS))
                }
            };
            if let Some(one) = self.rows.publications.get_mut(&key) {
                one.job = later.filter(|_| one.phase != Phase::Failed);
            }
        }
    }

    /// One attempt; when the next one is to be made, if any.
    fn attempt(&mut self, key: PublicationId) -> Result<Option<Millis>, Failed> {
        // It may have been taken back since the jobs were listed.
        let Some(one) = self.rows.publications.get(&key).cloned() else { return Ok(None) };
        if one.phase == Phase::Uploading && one.target {
            return self.send(key, one.host);
        }
        loop {
            let Some(owed) = self.rows.ledger.get(&entry_of(key)).cloned() else { return Ok(None) };
            if !matches!(owed.state, State::Intended | State::Present)
                || !self.rows.publications.contains_key(&key)
            {
                return Ok(None);
            }
            if let Some(remote) = owed.remote {
                return self.adopt(key, one.host, &[remote]);
            }
            match owed.asked.next(true, Pace::default()) {
                Next::Create | Next::Absent => return self.create(key, one.host),
                Next::Look(at) if at > self.now() => return Ok(Some(at)),
                Next::Look(_) => {
                    let found = self.twins(one.host, key)?;
                    if !found.is_empty() {
                        return self.adopt(key, one.host, &found);
                    }
                    self.looked(key);
                }
            }
        }
    }

    fn looked(&mut self, key: PublicationId) {
        self.rows.ledger.get_mut(&entry_of(key)).unwrap().asked.looks += 1;
    }

    fn twins(&mut self, host: &'static str, key: PublicationId) -> Result<Vec<String>, Failed> {
        let listed = self.work(host, |world| world.list(host))?;
        Ok(listed.into_iter().filter(|(_, of, _)| *of == key).map(|(id, ..)| id).collect())
    }

    fn create(&mut self, key: PublicationId, host: &'static str) -> Result<Option<Millis>, Failed> {
        self.enter(host, (Urgency::Work, false))?;
        // From here on it may exist.
        let now = self.now();
        self.rows.ledger.get_mut(&entry_of(key)).unwrap().asked = Asked { at: Some(now), looks: 0 };
        self.nothing_is_made_twice(host, key);
        match self.sent(host, |world| world.create(host, key)) {
            Ok(remote) => {
                self.meanwhile();
                if self.made(key, &remote, true) { self.send(key, host) } else { Ok(None) }
            }
            Err(Failed::Silent) => Ok(Some(now.plus(Pace::default().look_ms))),
            Err(Failed::Crash) => Err(Failed::Crash),
            Err(failed @ (Failed::Away | Failed::Throttled(_))) => {
                // It was told that it did not happen.
                self.rows.ledger.get_mut(&entry_of(key)).unwrap().asked = Asked::default();
                Err(failed)
            }
        }
    }

    /// Keeps the name that a host has given; `false` when nobody wants it any more.
    fn made(&mut self, key: PublicationId, remote: &str, target: bool) -> bool {
        let entry = self.rows.ledger.get_mut(&entry_of(key)).unwrap();
        entry.remote = Some(remote.to_owned());
        if entry.state == State::Intended {
            self.rows.happens(entry_of(key), Happening::Made, self.world.now);
        }
        let wanted = self.rows.ledger[&entry_of(key)].state == State::Present;
        if let Some(one) = self.rows.publications.get_mut(&key)
            && wanted
        {
            (one.phase, one.target) = (Phase::Uploading, target);
        }
        wanted && self.rows.publications.contains_key(&key)
    }

    /// Takes what is there for what was wanted; where nobody can be told how to send it bytes, all go, and it is made anew.
    fn adopt(
        &mut self,
        key: PublicationId,
        host: &'static str,
        found: &[String],
    ) -> Result<Option<Millis>, Failed> {
        if regains(host) {
            let wanted = self.made(key, &found[0].clone(), true);
            for remote in &found[1..] {
                self.spare(key, host, remote);
            }
            return if wanted { self.send(key, host) } else { Ok(None) };
        }
        let entry = self.rows.ledger.get_mut(&entry_of(key)).unwrap();
        (entry.asked, entry.remote, entry.state) = (Asked::default(), None, State::Intended);
        if let Some(one) = self.rows.publications.get_mut(&key) {
            (one.phase, one.target, one.next_ask) = (Phase::Waiting, false, None);
        }
        for remote in found {
            self.spare(key, host, remote);
        }
        self.create(key, host)
    }

    /// A film that is one too many gets an entry of its own, to be deleted.
    fn spare(&mut self, key: PublicationId, host: &'static str, remote: &str) {
        if self.entry_named(host, remote).is_some() {
            return;
        }
        let video = self.rows.ledger[&entry_of(key)].video;
        let mut entry = Entry::new(video, host, Some(key));
        (entry.state, entry.remote, entry.next_try) = (State::ToDelete, Some(remote.to_owned()), self.now());
        let id: EntryId = self.id();
        self.rows.ledger.insert(id, entry);
    }

    fn entry_named(&self, host: &str, remote: &str) -> Option<EntryId> {
        let is_it = |entry: &Entry| entry.place == host && entry.remote.as_deref() == Some(remote);
        self.rows.ledger.iter().find(|(_, entry)| is_it(entry)).map(|(id, _)| *id)
    }

    fn send(&mut self, key: PublicationId, host: &'static str) -> Result<Option<Millis>, Failed> {
        let Some(remote) = self.rows.ledger[&entry_of(key)].remote.clone() else { return Ok(None) };
        match self.world.send(host, &remote) {
            Ok(true) => {}
            Ok(false) => {
                // The host does not know the upload any more.
                let told = self.work(host, |world| world.status(host, &remote))?;
                if matches!(told, Standing::Gone | Standing::AwaitingUpload) {
                    self.rows.fail(key, self.world.now);
                    return Ok(None);
                }
            }
            Err(Failed::Crash) => return Err(Failed::Crash),
            Err(_) => return Ok(Some(self.now().plus(HOST_PUSH_WAIT_MS))),
        }
        self.meanwhile();
        let next = Some(self.now().plus(HOST_ASK_FIRST_MS));
        if let Some(one) = self.rows.publications.get_mut(&key)
            && one.phase == Phase::Uploading
        {
            (one.phase, one.next_ask) = (Phase::Processing, next);
        }
        Ok(None)
    }

    /// Asks a host for what is not final.
    pub(crate) fn attend(&mut self, host: &'static str) -> Result<(), Failed> {
        if let Breaker::Open { probe, .. } = self.rows.places[host].breaker {
            if self.now() >= probe {
                self.of_host(host, (Urgency::Person, true), |world| world.list(host))?;
            }
            return Ok(());
        }
        let now = self.now();
        let due = self
            .rows
            .publications
            .iter()
            .filter(|(_, one)| one.host == host && one.next_ask.is_some_and(|at| at <= now));
        for key in due.map(|(key, _)| *key).take(20).collect::<Vec<_>>() {
            let Some(remote) = self.rows.ledger[&entry_of(key)].remote.clone() else { continue };
            let standing = self.work(host, |world| world.status(host, &remote))?;
            let wait_ms = ask_again_ms(self.rows.publications[&key].unchanged);
            self.hear(key, (&standing, true), wait_ms);
        }
        let open = self.rows.publications.values().any(|one| one.host == host && one.next_ask.is_some());
        if open && self.rows.places[host].poll <= now {
            self.rows.places.get_mut(host).unwrap().poll = now.plus(HOST_POLL_MS);
            let listed = self.work(host, |world| world.list(host))?;
            self.strays(host, &listed);
            for (remote, key, standing) in listed {
                let is_it = self
                    .rows
                    .ledger
                    .get(&entry_of(key))
                    .is_some_and(|entry| entry.remote.as_ref() == Some(&remote));
                if is_it && self.rows.publications.get(&key).is_some_and(|one| one.next_ask.is_some()) {
                    self.hear(key, (&standing, false), HOST_ASK_FIRST_MS);
                }
            }
        }
        Ok(())
    }

    fn hear(&mut self, key: PublicationId, (standing, full): (&Standing, bool), wait_ms: i64) {
        let now = self.now();
        let one = self.rows.publications.get_mut(&key).unwrap();
        let turn = turn(one.phase, standing, full);
        if turn.phase == Phase::Failed {
            return self.rows.fail(key, now);
        }
        let before = one.phase;
        one.unchanged = if turn.phase == before { one.unchanged + 1 } else { 0 };
        one.phase = turn.phase;
        one.next_ask = (turn.phase != Phase::Ready).then(|| now.plus(wait_ms));
        if turn.phase == Phase::Ready && before != Phase::Ready {
            self.rows.tell("ready", key.bits());
        }
    }

    /// What is there twice for one intent goes.
    fn strays(&mut self, host: &'static str, listed: &Listed) {
        for (remote, key, _) in listed {
            let Some(of) = self.rows.ledger.get(&entry_of(*key)) else { continue };
            let may_be_it =
                of.remote.is_none() && of.state != State::Gone || of.remote.as_ref() == Some(remote);
            if !may_be_it {
                self.spare(*key, host, remote);
            }
        }
    }

    /// Deletes at a host what nobody wants, looks again, and controls a day later.
    pub(crate) fn drain(&mut self, host: &'static str) -> Result<(), Failed> {
        if self.rows.places[host].breaker != Breaker::Closed {
            return Ok(());
        }
        let now = self.now();
        let is_due =
            |entry: &Entry| entry.place == host && entry.state == State::ToDelete && entry.next_try <= now;
        let due: Vec<_> =
            self.rows.ledger.iter().filter(|(_, entry)| is_due(entry)).map(|(id, _)| *id).collect();
        let mut answered = Vec::new();
        for id in due.into_iter().take(100) {
            match self.rows.ledger[&id].remote.clone() {
                None => self.search(host, id)?,
                Some(remote) => {
                    self.work(host, |world| world.delete(host, &remote))?;
                    answered.push((id, remote));
                }
            }
        }
        for (id, remote) in answered {
            if self.work(host, |world| world.status(host, &remote))? == Standing::Gone {
                self.gone(id);
            } else {
                let entry = self.rows.ledger.get_mut(&id).unwrap();
                entry.attempts += 1;
                entry.next_try = now.plus(row_wait_ms(entry.attempts));
            }
        }
        self.control(host)
    }

    fn gone(&mut self, id: EntryId) {
        let (now, control) = (self.now(), self.now().plus(Pace::default().control_ms));
        if self.rows.happens(id, Happening::ProvenGone, now) {
            self.rows.ledger.get_mut(&id).unwrap().control = Some(control);
        }
    }

    fn search(&mut self, host: &'static str, id: EntryId) -> Result<(), Failed> {
        let entry = self.rows.ledger[&id].clone();
        let key = entry.key.unwrap();
        match entry.asked.next(false, Pace::default()) {
            Next::Look(at) if at > self.now() => self.rows.ledger.get_mut(&id).unwrap().next_try = at,
            Next::Look(_) => {
                let found = self.twins(host, key)?;
                if found.is_empty() {
                    self.looked(key);
                } else {
                    self.made(key, &found[0].clone(), false);
                    for remote in &found[1..] {
                        self.spare(key, host, remote);
                    }
                }
            }
            Next::Create | Next::Absent => self.gone(id),
        }
        Ok(())
    }

    /// What was proven gone a day ago is looked for once more.
    fn control(&mut self, host: &'static str) -> Result<(), Failed> {
        let now = self.now();
        let due = self.rows.ledger.iter().filter(|(_, entry)| {
            entry.place == host && entry.state == State::Gone && entry.control.is_some_and(|at| at <= now)
        });
        for (id, entry) in due.map(|(id, entry)| (*id, entry.clone())).collect::<Vec<_>>() {
            let found = match &entry.remote {
                Some(remote) => {
                    let standing = self.work(host, |world| world.status(host, remote))?;
                    (standing != Standing::Gone).then(|| remote.clone())
                }
                None => self.twins(host, entry.key.unwrap())?.first().cloned(),
            };
            self.rows.ledger.get_mut(&id).unwrap().control = None;
            if let Some(remote) = found {
                self.rows.happens(id, Happening::SeenAgain, now);
                self.rows.ledger.get_mut(&id).unwrap().remote = Some(remote);
            }
        }
        Ok(())
    }

    /// Compares a host with its rows.
    pub(crate) fn compare_host(&mut self, host: &'static str) -> Result<(), Failed> {
        let began = self.now();
        if self.rows.places[host].inventory > began {
            return Ok(());
        }
        self.rows.places.get_mut(host).unwrap().inventory = began.plus(INVENTORY_AGAIN_MS);
        let listed = self.work(host, |world| world.list(host))?;
        for (remote, key, _) in &listed {
            self.explain_film(host, (remote, *key), began);
        }
        let lacks = self.rows.publications.iter().filter(|(key, one)| {
            let remote = &self.rows.ledger[&entry_of(**key)].remote;
            let there = matches!(one.phase, Phase::Processing | Phase::Playable | Phase::Ready);
            one.host == host && there && !listed.iter().any(|(id, ..)| Some(id) == remote.as_ref())
        });
        for key in lacks.map(|(key, _)| *key).collect::<Vec<_>>() {
            // It is asked for by itself: only that answer can fail it.
            self.rows.publications.get_mut(&key).unwrap().next_ask = Some(began);
        }
        self.rows.places.get_mut(host).unwrap().inventory = began.plus(INVENTORY_MS);
        Ok(())
    }

    fn explain_film(&mut self, host: &'static str, (remote, key): (&str, PublicationId), began: Millis) {
        let named = self.entry_named(host, remote);
        let row = match (named.map(|id| &self.rows.ledger[&id]), self.rows.ledger.get(&entry_of(key))) {
            (Some(entry), _) => Some(Row::This { state: entry.state, proven: entry.proven }),
            (None, Some(of)) if of.remote.is_none() && of.state != State::Gone => Some(Row::Perhaps),
            (None, Some(_)) => Some(Row::Twin),
            (None, None) => None,
        };
        let seen = Sighting { is_ours: self.maker.made(key), made: Some(key.created()), row };
        match explain(seen, began) {
            Explained::Known | Explained::Foreign | Explained::Young => {}
            Explained::Spare => self.spare(key, host, remote),
            Explained::Again => {
                self.rows.happens(named.unwrap(), Happening::SeenAgain, began);
            }
            Explained::Unknown => {
                let first = *self.rows.unknown.entry((host, remote.to_owned())).or_insert(began);
                if outside::next(Thing::Video, (first, began), true) == outside::Next::Delete {
                    let mut entry = Entry::new(self.id(), host, Some(key));
                    (entry.state, entry.remote, entry.next_try) =
                        (State::ToDelete, Some(remote.to_owned()), began);
                    self.rows.ledger.insert(entry_of(key), entry);
                    self.rows.tell("unknown", key.bits());
                }
            }
        }
    }
}
