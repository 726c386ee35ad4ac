//! The world outside: what it has, how it answers, and how it fails.

use std::collections::{BTreeMap, BTreeSet};

use matinee_core::host::{Fault, Standing};
use matinee_core::id::PublicationId;
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

/// A store.
#[derive(Default)]
pub(crate) struct Bucket {
    pub(crate) up: bool,
    /// What lies under each key: good bytes are the number of their object.
    pub(crate) objects: BTreeMap<String, u128>,
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

/// A host.
#[derive(Default)]
pub(crate) struct Service {
    pub(crate) up: bool,
    pub(crate) films: BTreeMap<String, Film>,
    pub(crate) made: u64,
    /// When each request came, and whether it was down.
    pub(crate) asked: Vec<(Millis, bool)>,
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

/// So long a list may be behind.
pub(crate) const LATE_MS: i64 = 60_000;
/// A film is made of whole bytes in so long.
const ENCODE_MS: i64 = 120_000;

/// Everything outside.
pub(crate) struct World {
    pub(crate) now: Millis,
    pub(crate) dice: Dice,
    /// So many questions of a thousand go wrong.
    pub(crate) trouble: u64,
    pub(crate) stores: BTreeMap<&'static str, Bucket>,
    pub(crate) hosts: BTreeMap<&'static str, Service>,
    pub(crate) receiver: Receiver,
}

impl World {
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

    pub(crate) fn bucket(&mut self, name: &str) -> &mut Bucket {
        self.stores.get_mut(name).unwrap()
    }

    pub(crate) fn service(&mut self, name: &str) -> &mut Service {
        self.hosts.get_mut(name).unwrap()
    }

    /// Begins an upload in parts.
    pub(crate) fn begin(&mut self, store: &str, key: &str) -> Result<(), Failed> {
        let up = self.bucket(store).up;
        self.ask(up, |world| {
            world.bucket(store).uploads.insert(key.to_owned());
        })
    }

    /// Ends it, so that the object is there.
    pub(crate) fn put(&mut self, store: &str, key: &str, bytes: u128) -> Result<(), Failed> {
        let up = self.bucket(store).up;
        self.ask(up, |world| {
            let bucket = world.bucket(store);
            bucket.uploads.remove(key);
            bucket.objects.insert(key.to_owned(), bytes);
        })
    }

    /// The bytes under a key.
    pub(crate) fn look(&mut self, store: &str, key: &str) -> Result<Option<u128>, Failed> {
        let up = self.bucket(store).up;
        self.ask(up, |world| world.bucket(store).objects.get(key).copied())
    }

    /// Frees a key: its object, and what was begun for it.
    pub(crate) fn remove(&mut self, store: &str, key: &str) -> Result<(), Failed> {
        let up = self.bucket(store).up;
        self.ask(up, |world| {
            let bucket = world.bucket(store);
            bucket.objects.remove(key);
            bucket.uploads.remove(key);
        })
    }

    /// Every key of objects, and of uploads.
    pub(crate) fn keys(&mut self, store: &str) -> Result<(Vec<String>, Vec<String>), Failed> {
        let up = self.bucket(store).up;
        self.ask(up, |world| {
            let bucket = world.bucket(store);
            (bucket.objects.keys().cloned().collect(), bucket.uploads.iter().cloned().collect())
        })
    }

    /// A request comes to a host.
    fn at_host<T>(&mut self, host: &str, act: impl FnOnce(&mut Self) -> T) -> Result<T, Failed> {
        let now = self.now;
        let service = self.service(host);
        let up = service.up;
        service.asked.push((now, up));
        self.ask(up, act)
    }

    pub(crate) fn create(&mut self, host: &str, key: PublicationId) -> Result<String, Failed> {
        self.at_host(host, |world| {
            let (now, lies, trouble) = (world.now, world.dice.below(6), world.trouble);
            let lies = if world.dice.chance(trouble) { lies } else { 9 };
            let is_bad = world.dice.chance(80);
            let service = world.service(host);
            let made = |service: &mut Service| {
                service.made += 1;
                let film = Film { key, made: now, whole: None, is_bad, hidden: None };
                let id = format!("{host}-{}", service.made);
                service.films.insert(id.clone(), film);
                id
            };
            let id = made(service);
            match lies {
                // Made twice, and one is named.
                0 => drop(made(service)),
                // Said to be made, and not.
                1 => drop(service.films.remove(&id)),
                _ => {}
            }
            id
        })
    }

    /// All bytes of a film are sent; `false` when the host does not know it.
    pub(crate) fn send(&mut self, host: &str, id: &str) -> Result<bool, Failed> {
        let now = self.now;
        let up = self.service(host).up;
        // Bytes go elsewhere: they do not count among the requests.
        self.ask(up, |world| {
            let film = world.service(host).films.get_mut(id);
            film.is_some_and(|film| {
                film.whole.get_or_insert(now);
                true
            })
        })
    }

    pub(crate) fn status(&mut self, host: &str, id: &str) -> Result<Standing, Failed> {
        let now = self.now;
        self.at_host(host, |world| {
            let film =
                world.service(host).films.get(id).filter(|film| film.hidden.is_none_or(|until| now >= until));
            film.map_or(Standing::Gone, |film| standing(film, now))
        })
    }

    /// All films with their intents, the oldest first. A list may be behind.
    pub(crate) fn list(&mut self, host: &str) -> Result<Vec<(String, PublicationId, Standing)>, Failed> {
        let now = self.now;
        self.at_host(host, |world| {
            let trouble = world.trouble;
            let late = world.dice.chance(trouble * 2);
            let shown = |film: &Film| {
                film.hidden.is_none_or(|until| now >= until) && (!late || now.since(film.made) >= LATE_MS)
            };
            let films = world.service(host).films.iter().filter(|(_, film)| shown(film));
            let mut found: Vec<_> = films.map(|(id, film)| (film.made, id.clone(), film.clone())).collect();
            found.sort_by_key(|(made, id, _)| (*made, id.clone()));
            found.into_iter().map(|(_, id, film)| (id, film.key, standing(&film, now))).collect()
        })
    }

    pub(crate) fn delete(&mut self, host: &str, id: &str) -> Result<(), Failed> {
        let now = self.now;
        self.at_host(host, |world| {
            let trouble = world.trouble;
            let lie = world.dice.chance(trouble).then(|| world.dice.below(2));
            let hours_ms = world.dice.ms(20 * 3_600_000);
            let service = world.service(host);
            match (lie, service.films.get_mut(id)) {
                // It says so, and keeps it.
                (Some(0), _) | (_, None) => {}
                // It says so and shows so, and keeps it.
                (Some(_), Some(film)) => film.hidden = Some(now.plus(hours_ms)),
                (None, Some(_)) => drop(service.films.remove(id)),
            }
        })
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

fn standing(film: &Film, now: Millis) -> Standing {
    match film.whole {
        None => Standing::AwaitingUpload,
        Some(_) if film.is_bad => {
            let fault = Fault { code: "ERR_NON_VIDEO".to_owned(), text: String::new(), again: false };
            Standing::Failed(fault)
        }
        Some(whole) if now.since(whole) < ENCODE_MS / 2 => Standing::Processing(None),
        Some(whole) if now.since(whole) < ENCODE_MS => Standing::Playable(Some(50)),
        Some(_) => Standing::Ready,
    }
}
