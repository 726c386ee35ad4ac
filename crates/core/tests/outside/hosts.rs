//! What is asked of hosts, as the flows do it: within what they allow, and a video made there once. What decides is `core`.

use matinee_core::breaker::{Answer, Breaker};
use matinee_core::host::Standing;
use matinee_core::id::{EntryId, PublicationId, VideoId};
use matinee_core::ledger::{Happening, State};
use matinee_core::limits::{
    BREAKER_PROBE_MS, BREAKER_THROTTLED_MS, HOST_ASK_FIRST_MS, HOST_ASK_MAX_MS, HOST_PUSH_WAIT_MS,
};
use matinee_core::publication::{Asked, Next, Pace, Phase};
use matinee_core::throttle::{Rate, Urgency};
use matinee_core::time::Millis;

use super::history::{Sim, regains};
use super::rows::{Entry, Publication, entry_of};
use super::world::{Failed, Heard, World};

/// What every host of the simulation allows.
pub(crate) const RATE: Rate = Rate { burst: 8, requests: 4, per_ms: 1_000, kept: 2 };
/// Somebody waits so often for a place in the budget of a host; then he comes again.
const WAITS: u32 = 100;
/// So long after its process died a job is taken up again.
const LEASE_MS: i64 = 30_000;

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

    /// Takes the right to ask a host, and waits for it.
    fn enter(&mut self, host: &'static str, (urgency, is_probe): (Urgency, bool)) -> Result<(), Failed> {
        for _ in 0..WAITS {
            let now = self.now();
            let place = self.rows.places.get_mut(host).unwrap();
            if !place.breaker.lets(now, is_probe) {
                return Err(Failed::Away);
            }
            match place.left.take(RATE, urgency, now) {
                Ok(left) => {
                    place.left = left;
                    return Ok(());
                }
                Err(wait_ms) => self.world.pass(i64::try_from(wait_ms).unwrap()),
            }
        }
        Err(Failed::Away)
    }

    /// Asks a host, within what it allows.
    pub(crate) fn of_host<T>(
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
        let heard = match said {
            Answer::Spoke => Heard::Spoke,
            Answer::Failed => Heard::Vain,
            Answer::Throttled(until) => Heard::Peace(until.unwrap_or(self.now().plus(BREAKER_THROTTLED_MS))),
        };
        self.world.service(host).asked.last_mut().unwrap().heard = heard;
        let (now, spread) = (self.now(), u16::try_from(self.world.dice.below(65_536)).unwrap());
        let place = self.rows.places.get_mut(host).unwrap();
        let before = place.breaker;
        place.breaker = before.after(said, now, (BREAKER_PROBE_MS, spread));
        if before != Breaker::Closed && place.breaker == Breaker::Closed {
            self.back(host);
        }
        answer
    }

    pub(crate) fn work<T>(
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
        if !matches!(one.phase, Phase::Waiting | Phase::Uploading) {
            // Whoever did this job before has died, and the host has told that it has all.
            return Ok(None);
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

    pub(crate) fn looked(&mut self, key: PublicationId) {
        self.rows.ledger.get_mut(&entry_of(key)).unwrap().asked.looks += 1;
    }

    /// What came of a question that was not answered: what has a row is not that.
    pub(crate) fn twins(&mut self, host: &'static str, key: PublicationId) -> Result<Vec<String>, Failed> {
        let listed = self.work(host, |world| world.list(host))?;
        let found = listed.into_iter().filter(|(_, of, _)| *of == key).map(|(id, ..)| id);
        Ok(found.filter(|id| self.entry_named(host, id).is_none()).collect())
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
    pub(crate) fn made(&mut self, key: PublicationId, remote: &str, target: bool) -> bool {
        let entry = self.rows.ledger.get_mut(&entry_of(key)).unwrap();
        entry.remote = Some(remote.to_owned());
        // What nobody wants any more is made by that as little as what is there already.
        self.rows.happens(entry_of(key), Happening::Made, self.world.now);
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
    pub(crate) fn spare(&mut self, key: PublicationId, host: &'static str, remote: &str) {
        if self.entry_named(host, remote).is_some() {
            return;
        }
        let video = self.rows.ledger[&entry_of(key)].video;
        let mut entry = Entry::new(video, host, Some(key));
        (entry.state, entry.remote, entry.next_try) = (State::ToDelete, Some(remote.to_owned()), self.now());
        let id: EntryId = self.id();
        self.rows.ledger.insert(id, entry);
    }

    pub(crate) fn entry_named(&self, host: &str, remote: &str) -> Option<EntryId> {
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
                    self.fail(key);
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
}
