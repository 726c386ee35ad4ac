//! What is at hosts, as the flows deal with it: attend, delete, control, compare. What decides is `core`.

use matinee_core::breaker::Breaker;
use matinee_core::host::{Standing, ask_again_ms};
use matinee_core::id::{EntryId, PublicationId};
use matinee_core::inventory::limits::{INVENTORY_AGAIN_MS, INVENTORY_MS};
use matinee_core::inventory::outside::{self, Explained, Row, Sighting, Thing, explain};
use matinee_core::ledger::{Happening, State};
use matinee_core::limits::{HOST_ASK_FIRST_MS, HOST_POLL_MS, HOST_TURN_MS};
use matinee_core::publication::{Next, Pace, Phase, row_wait_ms, turn};
use matinee_core::throttle::Urgency;
use matinee_core::time::Millis;

use super::history::Sim;
use super::rows::{Entry, Publication, entry_of};
use super::world::Failed;

type Listed = Vec<(String, PublicationId, Standing)>;

impl Sim {
    /// Asks a host for what is not final.
    pub(crate) fn attend(&mut self, host: &'static str) -> Result<(), Failed> {
        if self.rows.places[host].breaker != Breaker::Closed {
            // Whether it is time, the breaker says.
            return self.of_host(host, (Urgency::Person, true), |world| world.probe(host));
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
        if !self.open(host).is_empty() && self.rows.places[host].poll <= now {
            self.rows.places.get_mut(host).unwrap().poll = now.plus(HOST_POLL_MS);
            let listed = self.work(host, |world| world.list(host))?;
            let open = self.open(host);
            if self.world.dice.chance(self.world.trouble / 2) {
                self.overtaken(host, &open)?;
            }
            self.strays(host, &listed);
            for (remote, key, standing) in listed {
                let of = self.rows.ledger.get(&entry_of(key));
                let is_it = of.is_some_and(|entry| entry.remote.as_ref() == Some(&remote));
                if is_it && open.contains(&key) {
                    self.hear(key, (&standing, false), HOST_ASK_FIRST_MS);
                }
            }
        }
        Ok(())
    }

    /// What is not final at a host.
    fn open(&self, host: &str) -> Vec<PublicationId> {
        let open = |one: &Publication| one.host == host && one.next_ask.is_some();
        self.rows.publications.iter().filter(|(_, one)| open(one)).map(|(key, _)| *key).collect()
    }

    /// This node is held up until another one has its turn, and asks for each.
    fn overtaken(&mut self, host: &'static str, open: &[PublicationId]) -> Result<(), Failed> {
        self.world.pass(HOST_TURN_MS);
        for key in open {
            let Some(remote) = self.rows.ledger[&entry_of(*key)].remote.clone() else { continue };
            let standing = self.work(host, |world| world.status(host, &remote))?;
            self.hear(*key, (&standing, true), HOST_ASK_FIRST_MS);
        }
        Ok(())
    }

    fn hear(&mut self, key: PublicationId, (standing, full): (&Standing, bool), wait_ms: i64) {
        let now = self.now();
        let Some(one) = self.rows.publications.get_mut(&key).filter(|one| one.phase != Phase::Failed) else {
            return;
        };
        let (turn, before) = (turn(one.phase, standing, full), one.phase);
        if turn.phase == Phase::Failed {
            let (video, host) = (one.video, one.host);
            self.fail(key);
            if turn.is_lost() && before == Phase::Ready {
                // It had all of it: it is made again from our file.
                self.publish(video, host);
            }
            return;
        }
        one.unchanged = if turn.phase == before { one.unchanged + 1 } else { 0 };
        one.phase = turn.phase;
        one.next_ask = (turn.phase != Phase::Ready).then(|| now.plus(wait_ms));
        if turn.phase == Phase::Ready && before != Phase::Ready {
            self.rows.tell("ready", key.bits());
        }
        self.nothing_is_taken_back(key, before);
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
            self.nothing_is_given_up(id);
            let entry = self.rows.ledger.get_mut(&id).unwrap();
            // What no host was ever asked for is nowhere.
            entry.control = (entry.remote.is_some() || entry.asked.at.is_some()).then_some(control);
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
                self.it_is_there(host, remote);
                self.rows.happens(named.unwrap(), Happening::SeenAgain, began);
            }
            Explained::Unknown => {
                let first = *self.rows.unknown.entry((host, remote.to_owned())).or_insert(began);
                if outside::next(Thing::Video, (first, began), true) == outside::Next::Delete {
                    self.two_days_are_over(entry_of(key));
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
