//! A history: what happens by chance, and what heals.

use std::collections::{BTreeMap, BTreeSet};

use matinee_core::breaker::Breaker;
use matinee_core::id::{AppId, CollectionId, EntryId, Id, PublicationId};
use matinee_core::ledger::{Kind, State};
use matinee_core::maker::Maker;
use matinee_core::placement::{Class, Copies, Place as Store, Rules};
use matinee_core::publication::Phase;
use matinee_core::replica::LOCAL;
use matinee_core::throttle::Left;
use matinee_core::time::Millis;
use matinee_core::webhook::{self, retry};

use super::hosts::RATE;
use super::rows::{Copy, Place, Rows, entry_of};
use super::world::{Bucket, Dice, Film, Lying, Receiver, Service, World};

/// The hosts; of the first nobody can be told later how bytes are sent.
pub(crate) const HOSTS: [&str; 2] = ["cf", "bn"];
/// The stores besides the data directory, with their domains.
const STORES: [(&str, &str); 3] = [("a", "north"), ("b", "north"), ("c", "south")];
/// What happens by chance in one history.
const STEPS: u64 = 120;
/// How time passes while all heals: nine days in all, two more than the schedule of messages with the quarantine.
const HEALING: [(u32, i64); 5] =
    [(40, 5_000), (20, 60_000), (20, 600_000), (24, 3_600_000), (32, 21_600_000)];

/// So many videos come at once, now and then: more than a host allows requests.
const CROWD: u64 = 14;
/// A clock is set by so much at most, in milliseconds.
const LEAP_MS: i64 = 7_200_000;

/// Can somebody be told later how bytes are sent to this host?
pub(crate) fn regains(host: &str) -> bool {
    host != HOSTS[0]
}

/// One history.
pub(crate) struct Sim {
    pub(crate) world: World,
    pub(crate) rows: Rows,
    pub(crate) rules: Rules,
    pub(crate) stores: [&'static str; 3],
    pub(crate) maker: Maker,
    pub(crate) app: AppId,
    pub(crate) collection: CollectionId,
    /// The rules by which all was placed last.
    pub(crate) mark: String,
    /// Nothing goes wrong any more.
    heals: bool,
    /// The clock went back once.
    pub(crate) went_back: bool,
    /// When the clock was set forward last: what waits for a time did not wait so long.
    pub(crate) leapt: Millis,
    /// When rows were lost by the restoring of an old backup.
    pub(crate) forgotten: BTreeMap<EntryId, Millis>,
    pub(crate) calm: bool,
    pub(crate) strangers: BTreeSet<String>,
}

fn store(name: &str, domain: &str) -> Store {
    Store {
        name: name.to_owned(),
        domain: domain.to_owned(),
        weight: 1,
        class: Class::Replica,
        takes: Kind::LASTING.to_vec(),
        open: true,
    }
}

impl Sim {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let trouble = [0, 10, 60, 200][usize::try_from(dice.below(4)).unwrap()];
        let now = Millis(1_700_000_000_000);
        let source = u32::try_from(1 + dice.below(2)).unwrap();
        let rules = Rules {
            stores: STORES.iter().map(|(name, domain)| store(name, domain)).collect(),
            copies: Copies { source, ..Copies::default() },
        };
        let names = STORES.map(|(name, _)| name);
        let bucket = || Bucket { up: true, ..Bucket::default() };
        let gone = dice.chance(50);
        let world = World {
            now,
            time: now,
            dice,
            trouble,
            stores: names.iter().chain(&[LOCAL]).map(|name| (*name, bucket())).collect(),
            hosts: HOSTS.map(|name| (name, Service { up: true, ..Service::default() })).into(),
            receiver: Receiver { up: true, gone, ..Receiver::default() },
            tardy: Vec::new(),
        };
        let place = Place {
            breaker: Breaker::Closed,
            left: Left::full(RATE, now),
            poll: now,
            inventory: now,
            away: None,
        };
        let places = names.iter().chain(&HOSTS).chain(&[LOCAL]).map(|name| (*name, place.clone())).collect();
        let rows = Rows {
            ledger: BTreeMap::new(),
            copies: BTreeMap::new(),
            keys: BTreeMap::new(),
            objects: BTreeMap::new(),
            publications: BTreeMap::new(),
            videos: Vec::new(),
            places,
            events: Vec::new(),
            handed: 0,
            deliveries: BTreeMap::new(),
            standing: retry::Standing::default(),
            webhook: webhook::State::Active,
            unknown: BTreeMap::new(),
        };
        let mut sim = Self {
            world,
            rows,
            rules,
            stores: names,
            maker: Maker::of(&[7; 32]),
            app: AppId::from_bits(1),
            collection: CollectionId::from_bits(2),
            mark: String::new(),
            heals: false,
            went_back: false,
            leapt: Millis(0),
            forgotten: BTreeMap::new(),
            calm: trouble == 0,
            strangers: BTreeSet::new(),
        };
        sim.strangers_come();
        sim
    }

    pub(crate) const fn now(&self) -> Millis {
        self.world.now
    }

    /// A new id of ours.
    pub(crate) fn id<N>(&mut self) -> Id<N> {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.world.dice.roll().to_be_bytes());
        self.maker.sign(Id::new(self.world.now, random))
    }

    /// Others use the same buckets and accounts, also with a server like ours.
    fn strangers_come(&mut self) {
        let theirs = Maker::of(&[9; 32]);
        let old = Millis(self.now().0 - 90 * 86_400_000);
        let copy: EntryId = theirs.sign(Id::new(old, [1; 10]));
        let key: PublicationId = theirs.sign(Id::new(old, [2; 10]));
        for name in [format!("video/source/{copy}"), "notes.txt".to_owned()] {
            for store in self.stores {
                let lying = Lying { bytes: 0, hidden: None };
                self.world.bucket(store).objects.insert(name.clone(), lying);
            }
            self.strangers.insert(name);
        }
        for host in HOSTS {
            let film = Film { key, made: old, whole: Some(old), is_bad: false, hidden: None };
            self.world.service(host).films.insert("theirs".to_owned(), film);
        }
        self.strangers.insert("theirs".to_owned());
    }

    /// Lives through it, and asks after each part what must hold.
    pub(crate) fn run(mut self) {
        for _ in 0..STEPS {
            self.chance();
            self.turn();
            self.nothing_is_lost();
        }
        self.heal();
        self.all_is_as_wished();
        self.what_is_outside_is_in_the_rows();
        for video in self.rows.videos.clone() {
            self.rows.delete_video(video, self.world.now);
        }
        self.heal();
        self.nothing_is_left();
        self.the_events_explain_it();
        self.everybody_was_told();
        self.no_host_was_asked_too_much();
    }

    /// Something happens.
    fn chance(&mut self) {
        match self.world.dice.below(20) {
            0..=2 => self.arrive(),
            3..=5 => self.wish(),
            6 => self.meanwhile_something(),
            7 => self.turn_a_place(),
            8 => self.damage(),
            9 => match self.world.dice.below(5) {
                0 => self.restore_an_old_backup(),
                1 => self.crowd(),
                2 => self.hint(),
                _ => self.lose_a_film(),
            },
            10 => {
                let hours_ms = self.world.dice.ms(30 * 3_600_000);
                self.world.pass(hours_ms);
            }
            11 if self.world.dice.chance(300) => self.leap(),
            _ => {
                let ms = self.world.dice.ms(200_000);
                self.world.pass(ms);
            }
        }
    }

    /// Somebody sets the clock.
    fn leap(&mut self) {
        let by_ms = if self.world.dice.chance(500) { LEAP_MS } else { 90_000 };
        let ms = self.world.dice.ms(by_ms);
        if self.world.dice.chance(700) {
            self.went_back = true;
            self.world.now = self.now().plus(-ms);
        } else {
            self.leapt = self.world.time;
            self.world.now = self.now().plus(ms);
        }
    }

    /// Many videos come at once and are to be at one host, or all videos go.
    fn crowd(&mut self) {
        let host = self.world.dice.pick(&HOSTS).unwrap();
        if self.rows.videos.len() > 6 {
            for video in self.rows.videos.clone() {
                self.rows.delete_video(video, self.world.now);
            }
        }
        for _ in 0..self.world.dice.below(CROWD) {
            self.arrive();
            let video = *self.rows.videos.last().unwrap();
            self.publish(video, host);
        }
    }

    /// A host says that something has changed; it may say so twice, or for no reason.
    fn hint(&mut self) {
        let now = self.now();
        let named = |key: &PublicationId| self.rows.ledger[&entry_of(*key)].remote.is_some();
        let open =
            self.rows.publications.iter().filter(|(key, one)| one.phase != Phase::Failed && named(key));
        let all: Vec<_> = open.map(|(key, _)| *key).collect();
        if let Some(key) = self.world.dice.pick(&all) {
            self.rows.publications.get_mut(&key).unwrap().next_ask = Some(now);
        }
    }

    /// Somebody deletes a film of ours at its host, or the host loses it.
    fn lose_a_film(&mut self) {
        let (host, time) = (self.world.dice.pick(&HOSTS).unwrap(), self.world.time);
        let films = self.world.hosts[host].films.keys();
        let ours: Vec<_> = films.filter(|id| !self.strangers.contains(*id)).cloned().collect();
        if let Some(id) = self.world.dice.pick(&ours) {
            self.world.lose(host, &id, time);
        }
    }

    /// All that runs has a turn.
    fn turn(&mut self) {
        self.place();
        self.copy_due();
        self.publish_due();
        for host in HOSTS {
            // A death or a host that is away ends this turn; the next begins anew from the rows.
            let _ = self.attend(host);
            let _ = self.drain(host);
            let _ = self.compare_host(host);
        }
        for store in self.stores {
            self.free(store);
            self.control_store(store);
            self.compare_store(store);
        }
        self.free(LOCAL);
        self.sweep();
        if !self.heals {
            self.scrub();
        }
        self.notify();
    }

    fn heal(&mut self) {
        (self.heals, self.world.trouble) = (true, 0);
        self.world.stores.values_mut().for_each(|bucket| bucket.up = true);
        self.world.hosts.values_mut().for_each(|host| host.up = true);
        self.world.receiver.up = true;
        for (at, (rounds, ms)) in HEALING.into_iter().enumerate() {
            if at + 1 < HEALING.len() {
                // What is found in the end could not be mended any more.
                self.scrub_all();
            }
            for _ in 0..rounds {
                self.world.pass(ms);
                self.turn();
                self.nothing_is_lost();
            }
        }
    }

    fn wish(&mut self) {
        let video = self.world.dice.pick(&self.rows.videos.clone());
        let host = self.world.dice.pick(&HOSTS);
        if let Some((video, host)) = video.zip(host) {
            self.publish(video, host);
        }
    }

    /// While somebody waits for an answer, others do something.
    pub(crate) fn meanwhile(&mut self) {
        if !self.heals && self.world.dice.chance(60) {
            self.meanwhile_something();
        }
    }

    fn meanwhile_something(&mut self) {
        let now = self.now();
        if self.world.dice.chance(500) {
            if let Some(video) = self.world.dice.pick(&self.rows.videos.clone()) {
                self.rows.delete_video(video, now);
            }
        } else {
            let all: Vec<_> = self.rows.publications.keys().copied().collect();
            if let Some(key) = self.world.dice.pick(&all) {
                self.rows.withdraw(key, now);
            }
        }
    }

    /// A place goes away, or comes back.
    fn turn_a_place(&mut self) {
        match self.world.dice.below(3) {
            0 => {
                let name = self.world.dice.pick(&self.stores).unwrap();
                let bucket = self.world.bucket(name);
                bucket.up = !bucket.up;
            }
            1 => {
                let name = self.world.dice.pick(&HOSTS).unwrap();
                let host = self.world.service(name);
                host.up = !host.up;
            }
            _ => self.world.receiver.up = !self.world.receiver.up,
        }
    }

    /// A bit flips, or an object is lost; of one object never in two copies before the first is found.
    fn damage(&mut self) {
        let good: Vec<_> = self.rows.copies.values().filter(|copy| copy.state.is_good()).cloned().collect();
        let Some(Copy { object, store, key, .. }) = self.world.dice.pick(&good) else { return };
        let of = good.iter().filter(|copy| copy.object == object);
        let whole = of.clone().filter(|copy| self.is_whole(copy)).count();
        if whole < 2 || whole < of.count() {
            return;
        }
        let lost = self.world.dice.chance(500);
        let objects = &mut self.world.bucket(store).objects;
        if lost {
            objects.remove(&key);
        } else {
            objects.insert(key, Lying { bytes: object.bits() ^ 1, hidden: None });
        }
    }

    /// The database is that of yesterday: nothing in it knows of a video that came since.
    fn restore_an_old_backup(&mut self) {
        let Some(video) = self.world.dice.pick(&self.rows.videos.clone()) else { return };
        self.rows.videos.retain(|known| *known != video);
        let entries: Vec<_> =
            self.rows.ledger.iter().filter(|(_, entry)| entry.video == video).map(|(id, _)| *id).collect();
        for id in entries {
            self.forgotten.insert(id, self.world.time);
            if self.rows.ledger.remove(&id).is_some_and(|entry| entry.state == State::Gone) {
                // What was told of it was told by another database.
                self.rows.tell("restored", id.bits());
            }
            self.rows.keys.remove(&id);
            if let Some(copy) = self.rows.copies.remove(&id)
                && copy.store == LOCAL
            {
                // The data directory was restored with it.
                self.world.bucket(LOCAL).objects.remove(&copy.key);
            }
        }
        self.rows.objects.retain(|_, object| object.video != video);
        self.rows.publications.retain(|_, one| one.video != video);
    }
}
