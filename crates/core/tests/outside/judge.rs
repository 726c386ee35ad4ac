//! A history: what happens by chance, what heals, and what must hold afterwards.

use std::collections::{BTreeMap, BTreeSet};

use matinee_core::breaker::Breaker;
use matinee_core::id::{AppId, CollectionId, Id, PublicationId};
use matinee_core::ledger::{Kind, State};
use matinee_core::limits::BREAKER_PROBE_MS;
use matinee_core::maker::Maker;
use matinee_core::placement::{Class, Copies, Place as Store, Rules};
use matinee_core::publication::Phase;
use matinee_core::replica::{self, LOCAL};
use matinee_core::throttle::Left;
use matinee_core::time::Millis;
use matinee_core::webhook::{self, retry};

use super::hosts::RATE;
use super::rows::{Copy, Place, Rows, entry_of};
use super::world::{Bucket, Dice, Film, LATE_MS, Receiver, Service, World};

/// The hosts; of the first nobody can be told later how bytes are sent.
const HOSTS: [&str; 2] = ["cf", "bn"];
/// The stores besides the data directory, with their domains.
const STORES: [(&str, &str); 3] = [("a", "north"), ("b", "north"), ("c", "south")];
/// What happens by chance in one history.
const STEPS: u64 = 120;
/// How time passes while all heals: nine days in all, two more than the schedule of messages with the quarantine.
const HEALING: [(u32, i64); 5] =
    [(40, 5_000), (20, 60_000), (20, 600_000), (24, 3_600_000), (32, 21_600_000)];

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
    went_back: bool,
    calm: bool,
    strangers: BTreeSet<String>,
}

impl Sim {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let trouble = [0, 10, 60, 200][usize::try_from(dice.below(4)).unwrap()];
        let now = Millis(1_700_000_000_000);
        let store = |name: &str, domain: &str| Store {
            name: name.to_owned(),
            domain: domain.to_owned(),
            weight: 1,
            class: Class::Replica,
            takes: Kind::LASTING.to_vec(),
            open: true,
        };
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
            dice,
            trouble,
            stores: names.iter().chain(&[LOCAL]).map(|name| (*name, bucket())).collect(),
            hosts: HOSTS.map(|name| (name, Service { up: true, ..Service::default() })).into(),
            receiver: Receiver { up: true, gone, ..Receiver::default() },
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
        let copy: matinee_core::id::EntryId = theirs.sign(Id::new(old, [1; 10]));
        let key: PublicationId = theirs.sign(Id::new(old, [2; 10]));
        for name in [format!("video/source/{copy}"), "notes.txt".to_owned()] {
            for store in self.stores {
                self.world.bucket(store).objects.insert(name.clone(), 0);
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
            9 if self.world.dice.chance(200) => self.restore_an_old_backup(),
            10 => {
                let hours_ms = self.world.dice.ms(30 * 3_600_000);
                self.world.now = self.now().plus(hours_ms);
            }
            11 if self.world.dice.chance(200) => {
                self.went_back = true;
                let back_ms = self.world.dice.ms(90_000);
                self.world.now = self.now().plus(-back_ms);
            }
            _ => {
                let ms = self.world.dice.ms(200_000);
                self.world.now = self.now().plus(ms);
            }
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
            self.compare_store(store);
        }
        self.free(LOCAL);
        self.sweep();
        self.scrub();
        self.notify();
    }

    fn heal(&mut self) {
        (self.heals, self.world.trouble) = (true, 0);
        self.world.stores.values_mut().for_each(|bucket| bucket.up = true);
        self.world.hosts.values_mut().for_each(|host| host.up = true);
        self.world.receiver.up = true;
        for (rounds, ms) in HEALING {
            for _ in 0..rounds {
                self.world.now = self.now().plus(ms);
                for _ in 0..4 {
                    self.scrub();
                }
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
            objects.insert(key, object.bits() ^ 1);
        }
    }

    fn is_whole(&self, copy: &Copy) -> bool {
        self.world.stores[copy.store].objects.get(&copy.key) == Some(&copy.object.bits())
    }

    /// The database is that of yesterday: nothing in it knows of a video that came since.
    fn restore_an_old_backup(&mut self) {
        let Some(video) = self.world.dice.pick(&self.rows.videos.clone()) else { return };
        self.rows.videos.retain(|known| *known != video);
        let entries: Vec<_> =
            self.rows.ledger.iter().filter(|(_, entry)| entry.video == video).map(|(id, _)| *id).collect();
        for id in entries {
            self.rows.ledger.remove(&id);
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

    /// I1: somewhere every byte is as it was.
    fn nothing_is_lost(&self) {
        for (object, of) in self.rows.objects.iter().filter(|(_, of)| self.rows.videos.contains(&of.video)) {
            let mut copies = self.rows.copies.values().filter(|copy| copy.object == *object);
            let held: Vec<_> =
                copies.clone().map(|copy| (copy.store, copy.state, self.is_whole(copy))).collect();
            assert!(copies.any(|copy| self.is_whole(copy)), "I1: {object} of {} is lost: {held:?}", of.video);
        }
    }

    /// I4: nothing is asked for again while it is there and nobody has seen to it.
    pub(crate) fn nothing_is_made_twice(&mut self, host: &'static str, key: PublicationId) {
        let now = self.now();
        let shown = |film: &Film| film.key == key && film.hidden.is_none() && now.since(film.made) > LATE_MS;
        let films = &self.world.hosts[host].films;
        let named = |id: &String| self.rows.ledger.values().any(|entry| entry.remote.as_ref() == Some(id));
        let forgotten = films.iter().find(|(id, film)| shown(film) && !named(id));
        assert!(forgotten.is_none(), "I4: {key} is made again, and is there as {forgotten:?}");
    }

    /// I2: what was wished is there, or has failed for a reason of the host.
    fn all_is_as_wished(&self) {
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
            for copy in held {
                assert_eq!(copy.state, replica::State::Present, "I2: {object} in {}", copy.store);
                assert!(self.is_whole(copy), "I1: {object} in {} is not what it was", copy.store);
            }
        }
    }

    /// I3 and I5: what lies outside has a row that wants it, and the other way round; nothing half done is left.
    fn what_is_outside_is_in_the_rows(&self) {
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
    fn nothing_is_left(&self) {
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
    fn the_events_explain_it(&self) {
        for (id, entry) in &self.rows.ledger {
            let (gone, again) = (self.rows.told("gone", id.bits()), self.rows.told("again", id.bits()));
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
    fn everybody_was_told(&self) {
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

    /// A host that was down was asked once in a while, and never more than it allows.
    fn no_host_was_asked_too_much(&self) {
        for (name, host) in &self.world.hosts {
            let (mut level, mut latest, mut vain) = (0_i64, Millis(0), None::<Millis>);
            for (at, up) in &host.asked {
                let at = (*at).max(latest);
                let paid = at.since(latest) * i64::from(RATE.requests) * 1_000 / i64::from(RATE.per_ms);
                level = (level - paid).max(0) + 1_000;
                latest = at;
                assert!(level <= i64::from(RATE.burst) * 1_000 + 1_000, "{name} was asked too fast");
                if let (false, Some(before), false) = (*up, vain, self.went_back) {
                    assert!(at.since(before) >= BREAKER_PROBE_MS, "{name} was asked again while it was down");
                }
                vain = (!up).then_some(at);
            }
        }
    }
}
