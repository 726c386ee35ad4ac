//! The world outside: what it has, how it answers, and how it fails. It has a time of its own, which no clock of ours moves.

use std::collections::{BTreeMap, BTreeSet};

use matinee_core::host::{Fault, Standing};
use matinee_core::id::PublicationId;
use matinee_core::replica::LOCAL;
use matinee_core::time::Millis;

/// A small random number generator (SplitMix64): a seed must mean the same for ever.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    /// So many times of a thousand.
    pub(crate) const fn chance(&mut self, permille: u64) -> bool {
        self.below(1_000) < permille
    }

    /// A time from nothing to `end` milliseconds.
    pub(crate) fn ms(&mut self, end: i64) -> i64 {
        i64::try_from(self.below(end.unsigned_abs())).unwrap()
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let many = u64::try_from(from.len()).unwrap();
        (many > 0).then(|| from[usize::try_from(self.below(many)).unwrap()].clone())
    }
}

/// Why nothing came of a question, as the one who asked sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The place says that it cannot: nothing has happened.
    Away,
    /// It asks for peace: nothing has happened.
    Throttled(Option<Millis>),
    /// It does not say anything: it may have happened.
    Silent,
    /// The process that asked is dead: it may have happened, and nobody knows.
    Crash,
}

/// What lies under a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lying {
    /// Good bytes are the number of their object.
    pub(crate) bytes: u128,
    /// The store says until then that it is not there.
    pub(crate) hidden: Option<Millis>,
}

/// A store.
#[derive(Default)]
pub(crate) struct Bucket {
    pub(crate) up: bool,
    pub(crate) objects: BTreeMap<String, Lying>,
    /// Uploads in parts that were begun and not ended.
    pub(crate) uploads: BTreeSet<String>,
}

/// A video at a host.
#[derive(Debug, Clone)]
pub(crate) struct Film {
    pub(crate) key: PublicationId,
    pub(crate) made: Millis,
    /// When its bytes were all there.
    pub(crate) whole: Option<Millis>,
    /// The host will not make a video of it.
    pub(crate) is_bad: bool,
    /// The host says until then that it does not know it.
    pub(crate) hidden: Option<Millis>,
}

/// What came of a request, as the one who sent it understood it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// He died.
    Never,
    /// The host spoke.
    Spoke,
    /// It did not, or could not.
    Vain,
    /// It wants to be left alone until then.
    Peace(Millis),
}

/// A request that came to a host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// By the clock of the one who asked.
    pub(crate) at: Millis,
    /// It asked for nothing but whether somebody is there.
    pub(crate) is_probe: bool,
    pub(crate) heard: Heard,
}

/// A host.
#[derive(Default)]
pub(crate) struct Service {
    pub(crate) up: bool,
    pub(crate) films: BTreeMap<String, Film>,
    /// What was deleted, and when: a list that is late shows it still.
    pub(crate) deleted: Vec<(Millis, String, Film)>,
    pub(crate) made: u64,
    pub(crate) asked: Vec<Asked>,
}

/// Who is told of events.
#[derive(Default)]
pub(crate) struct Receiver {
    pub(crate) up: bool,
    /// It wants nothing any more.
    pub(crate) gone: bool,
    /// How often each event was taken.
    pub(crate) taken: BTreeMap<u64, u32>,
    /// When an answer of it came the last time.
    pub(crate) heard: Option<Millis>,
}

/// What a request does at a place.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Begins an upload in parts.
    Begin(&'static str, String),
    /// Ends it, so that the object is there.
    Put(&'static str, String, u128),
    /// Frees a key: its object, and what was begun for it.
    Remove(&'static str, String),
    /// Makes a film for an intent.
    Create(&'static str, PublicationId),
    /// Brings a film all its bytes.
    Send(&'static str, String),
    /// Deletes a film.
    Delete(&'static str, String),
}

/// So long a list may be behind.
pub(crate) const LATE_MS: i64 = 60_000;
/// What a request does is done so long after it at the latest, when its answer does not come.
pub(crate) const TARDY_MS: i64 = 60_000;
/// So long a place may hide what it says that it has deleted, in hours: longer than until it is controlled.
const HIDE_HOURS: i64 = 40;
/// A film is made of whole bytes in so long.
const ENCODE_MS: i64 = 120_000;

/// Everything outside.
pub(crate) struct World {
    /// What our clock shows.
    pub(crate) now: Millis,
    /// What time it is.
    pub(crate) time: Millis,
    pub(crate) dice: Dice,
    /// So many questions of a thousand go wrong.
    pub(crate) trouble: u64,
    pub(crate) stores: BTreeMap<&'static str, Bucket>,
    pub(crate) hosts: BTreeMap<&'static str, Service>,
    pub(crate) receiver: Receiver,
    /// What will be done, though nobody waits for it any more.
    pub(crate) tardy: Vec<(Millis, Act)>,
}

impl World {
    /// Time passes, and what is under way arrives.
    pub(crate) fn pass(&mut self, ms: i64) {
        let until = self.time.plus(ms);
        let late = std::mem::take(&mut self.tardy);
        let (mut due, rest): (Vec<_>, Vec<_>) = late.into_iter().partition(|(at, _)| *at <= until);
        due.sort_by_key(|(at, _)| *at);
        for (at, act) in due {
            self.time = at;
            drop(self.done(act));
        }
        (self.tardy, self.time, self.now) = (rest, until, self.now.plus(ms));
    }

    /// What becomes of a question: it is done or not, and answered or not.
    fn ask<T>(&mut self, up: bool, act: impl FnOnce(&mut Self) -> T) -> Result<T, Failed> {
        if !up {
            return Err(Failed::Away);
        }
        if !self.dice.chance(self.trouble) {
            return Ok(act(self));
        }
        match self.dice.below(6) {
            0 => Err(Failed::Away),
            1 => Err(Failed::Silent),
            2 => Err(Failed::Crash),
            3 => {
                let until = self.now.plus(self.dice.ms(120_000));
                Err(Failed::Throttled(self.dice.chance(500).then_some(until)))
            }
            4 => {
                act(self);
                Err(Failed::Silent)
            }
            _ => {
                act(self);
                Err(Failed::Crash)
            }
        }
    }

    /// The same of a question that changes something, which may be done when nobody waits for it any more.
    fn write(&mut self, up: bool, act: Act) -> Result<Option<String>, Failed> {
        if up && self.dice.chance(self.trouble / 4) {
            let at = self.time.plus(self.dice.ms(TARDY_MS));
            self.tardy.push((at, act));
            return Err(if self.dice.chance(500) { Failed::Silent } else { Failed::Crash });
        }
        self.ask(up, |world| world.done(act))
    }

    pub(crate) fn bucket(&mut self, name: &str) -> &mut Bucket {
        self.stores.get_mut(name).unwrap()
    }

    pub(crate) fn service(&mut self, name: &str) -> &mut Service {
        self.hosts.get_mut(name).unwrap()
    }

    /// Does it; the name of the film that it was about, if there is one.
    fn done(&mut self, act: Act) -> Option<String> {
        match act {
            Act::Begin(store, key) => {
                self.bucket(store).uploads.insert(key);
                None
            }
            Act::Put(store, key, bytes) => {
                let bucket = self.bucket(store);
                bucket.uploads.remove(&key);
                bucket.objects.insert(key, Lying { bytes, hidden: None });
                None
            }
            Act::Remove(store, key) => {
                self.free(store, &key);
                None
            }
            Act::Create(host, key) => Some(self.film(host, key)),
            Act::Send(host, id) => {
                let now = self.time;
                let film = self.service(host).films.get_mut(&id)?;
                film.whole.get_or_insert(now);
                Some(id)
            }
            Act::Delete(host, id) => {
                self.forget(host, &id);
                None
            }
        }
    }

    fn free(&mut self, store: &'static str, key: &str) {
        // The disk of the data directory does not lie.
        let lie = if store == LOCAL { None } else { self.lie() };
        let bucket = self.bucket(store);
        match (lie, bucket.objects.get_mut(key)) {
            (Some(Lie::Kept), Some(_)) => return,
            (Some(Lie::Hidden(until)), Some(lying)) => lying.hidden = Some(until),
            (None, Some(_)) => {
                bucket.objects.remove(key);
            }
            (_, None) => {}
        }
        bucket.uploads.remove(key);
    }

    /// What a place that says that it has deleted something has done instead, now and then.
    fn lie(&mut self) -> Option<Lie> {
        let (trouble, hours_ms) = (self.trouble, self.dice.ms(HIDE_HOURS * 3_600_000));
        let (lies, hides) = (self.dice.chance(trouble), self.dice.chance(500));
        lies.then(|| if hides { Lie::Hidden(self.time.plus(hours_ms)) } else { Lie::Kept })
    }

    fn film(&mut self, host: &'static str, key: PublicationId) -> String {
        let (made, trouble) = (self.time, self.trouble);
        let lies = if self.dice.chance(trouble) { self.dice.below(6) } else { 9 };
        let is_bad = self.dice.chance(80);
        let service = self.service(host);
        let another = |service: &mut Service| {
            service.made += 1;
            let film = Film { key, made, whole: None, is_bad, hidden: None };
            let id = format!("{host}-{}", service.made);
            service.films.insert(id.clone(), film);
            id
        };
        let id = another(service);
        match lies {
            // Made twice, and one is named.
            0 => drop(another(service)),
            // Said to be made, and not.
            1 => drop(service.films.remove(&id)),
            _ => {}
        }
        id
    }

    fn forget(&mut self, host: &'static str, id: &str) {
        let (now, lie) = (self.time, self.lie());
        let service = self.service(host);
        match (lie, service.films.get_mut(id)) {
            (Some(Lie::Kept), _) | (_, None) => {}
            (Some(Lie::Hidden(until)), Some(film)) => film.hidden = Some(until),
            (None, Some(_)) => self.lose(host, id, now),
        }
    }

    /// A film is not there any more.
    pub(crate) fn lose(&mut self, host: &str, id: &str, at: Millis) {
        let service = self.service(host);
        if let Some(film) = service.films.remove(id) {
            service.deleted.push((at, id.to_owned(), film));
        }
    }

    pub(crate) fn begin(&mut self, store: &'static str, key: &str) -> Result<(), Failed> {
        let up = self.bucket(store).up;
        // Who begins another upload of the same key would not find the first: it has no parts, and costs nothing.
        self.ask(up, |world| drop(world.done(Act::Begin(store, key.to_owned()))))
    }

    pub(crate) fn put(&mut self, store: &'static str, key: &str, bytes: u128) -> Result<(), Failed> {
        let (up, act) = (self.bucket(store).up, Act::Put(store, key.to_owned(), bytes));
        self.at_store(store, up, act)
    }

    /// What the data directory does is done when it says so; what a store does, perhaps later.
    fn at_store(&mut self, store: &str, up: bool, act: Act) -> Result<(), Failed> {
        let done = if store == LOCAL { self.ask(up, |world| world.done(act)) } else { self.write(up, act) };
        done.map(drop)
    }

    /// The bytes under a key.
    pub(crate) fn look(&mut self, store: &str, key: &str) -> Result<Option<u128>, Failed> {
        let (up, now) = (self.bucket(store).up, self.time);
        self.ask(up, |world| {
            let lying = world.bucket(store).objects.get(key).copied();
            lying.filter(|lying| shows(lying.hidden, now)).map(|lying| lying.bytes)
        })
    }

    pub(crate) fn remove(&mut self, store: &'static str, key: &str) -> Result<(), Failed> {
        let (up, act) = (self.bucket(store).up, Act::Remove(store, key.to_owned()));
        self.at_store(store, up, act)
    }

    /// Every key of objects, and of uploads.
    pub(crate) fn keys(&mut self, store: &str) -> Result<(Vec<String>, Vec<String>), Failed> {
        let (up, now) = (self.bucket(store).up, self.time);
        self.ask(up, |world| {
            let bucket = world.bucket(store);
            let shown = bucket.objects.iter().filter(|(_, lying)| shows(lying.hidden, now));
            let objects = shown.map(|(key, _)| key.clone()).collect();
            (objects, bucket.uploads.iter().cloned().collect())
        })
    }

    /// A request comes to a host.
    fn comes(&mut self, host: &str, is_probe: bool) -> bool {
        let at = self.now;
        let service = self.service(host);
        service.asked.push(Asked { at, is_probe, heard: Heard::Never });
        service.up
    }

    pub(crate) fn create(&mut self, host: &'static str, key: PublicationId) -> Result<String, Failed> {
        let up = self.comes(host, false);
        self.write(up, Act::Create(host, key)).map(Option::unwrap)
    }

    /// All bytes of a film are sent; `false` when the host does not know it.
    pub(crate) fn send(&mut self, host: &'static str, id: &str) -> Result<bool, Failed> {
        // Bytes go elsewhere: they do not count among the requests.
        let up = self.service(host).up;
        self.write(up, Act::Send(host, id.to_owned())).map(|known| known.is_some())
    }

    pub(crate) fn status(&mut self, host: &str, id: &str) -> Result<Standing, Failed> {
        let (up, now) = (self.comes(host, false), self.time);
        self.ask(up, |world| {
            let film = world.service(host).films.get(id).filter(|film| shows(film.hidden, now));
            film.map_or(Standing::Gone, |film| standing(film, now))
        })
    }

    /// Is somebody there? A list of one film.
    pub(crate) fn probe(&mut self, host: &str) -> Result<(), Failed> {
        let up = self.comes(host, true);
        self.ask(up, |_| ())
    }

    /// All films with their intents, the oldest first. A list may be behind: then it shows all as it was.
    pub(crate) fn list(&mut self, host: &str) -> Result<Vec<(String, PublicationId, Standing)>, Failed> {
        let (up, now, trouble) = (self.comes(host, false), self.time, self.trouble);
        self.ask(up, |world| {
            let late = world.dice.chance(trouble * 2);
            let at = if late { now.plus(-LATE_MS) } else { now };
            let service = world.service(host);
            let lately = service.deleted.iter().filter(|(gone, ..)| late && *gone > at);
            let all = service.films.iter().chain(lately.map(|(_, id, film)| (id, film)));
            let shown = all.filter(|(_, film)| shows(film.hidden, now) && film.made <= at);
            let mut found: Vec<_> = shown.map(|(id, film)| (film.made, id.clone(), film.clone())).collect();
            found.sort_by_key(|(made, id, _)| (*made, id.clone()));
            found.into_iter().map(|(_, id, film)| (id, film.key, standing(&film, at))).collect()
        })
    }

    pub(crate) fn delete(&mut self, host: &'static str, id: &str) -> Result<(), Failed> {
        let up = self.comes(host, false);
        self.write(up, Act::Delete(host, id.to_owned())).map(drop)
    }

    /// Tells the receiver of an event; the status of its answer.
    pub(crate) fn call(&mut self, event: u64) -> Result<u16, Failed> {
        let up = self.receiver.up;
        self.ask(up, |world| {
            if world.receiver.gone {
                return 410;
            }
            *world.receiver.taken.entry(event).or_default() += 1;
            204
        })
    }
}

/// What a place has done instead of deleting.
enum Lie {
    /// Nothing.
    Kept,
    /// It does not show it until then.
    Hidden(Millis),
}

fn shows(hidden: Option<Millis>, now: Millis) -> bool {
    hidden.is_none_or(|until| now >= until)
}

/// What a film was at this moment.
pub(crate) fn standing(film: &Film, at: Millis) -> Standing {
    match film.whole.filter(|whole| *whole <= at) {
        None => Standing::AwaitingUpload,
        Some(_) if film.is_bad => {
            let fault = Fault { code: "ERR_NON_VIDEO".to_owned(), text: String::new(), again: false };
            Standing::Failed(fault)
        }
        Some(whole) if at.since(whole) < ENCODE_MS / 2 => Standing::Processing(None),
        Some(whole) if at.since(whole) < ENCODE_MS => Standing::Playable(Some(50)),
        Some(_) => Standing::Ready,
    }
}
