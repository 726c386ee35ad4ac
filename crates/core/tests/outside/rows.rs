//! The rows of the simulation, with the transactions that change them: what survives every crash.

use std::collections::BTreeMap;

use matinee_core::breaker::Breaker;
use matinee_core::id::{EntryId, ObjectId, PublicationId, VideoId};
use matinee_core::ledger::{Happening, State};
use matinee_core::publication::{Asked, Phase};
use matinee_core::replica;
use matinee_core::throttle::Left;
use matinee_core::time::Millis;
use matinee_core::webhook::{self, retry};

/// A row of the ledger: a copy in a store, or a film at a host.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) video: VideoId,
    pub(crate) place: &'static str,
    /// The intent at a host; none for a copy.
    pub(crate) key: Option<PublicationId>,
    pub(crate) state: State,
    pub(crate) attempts: u32,
    pub(crate) next_try: Millis,
    pub(crate) asked: Asked,
    pub(crate) remote: Option<String>,
    pub(crate) control: Option<Millis>,
    pub(crate) proven: Option<Millis>,
}

/// A copy of an object.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    pub(crate) object: ObjectId,
    pub(crate) store: &'static str,
    pub(crate) key: String,
    pub(crate) state: replica::State,
    /// An upload in parts was begun.
    pub(crate) begun: bool,
    /// The job that makes it, or mends it, and when it runs.
    pub(crate) job: Option<Millis>,
}

/// An object; its bytes are its number.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) video: VideoId,
    pub(crate) placed: bool,
}

/// A video at a host.
#[derive(Debug, Clone)]
pub(crate) struct Publication {
    pub(crate) video: VideoId,
    pub(crate) host: &'static str,
    pub(crate) phase: Phase,
    /// Where its bytes go is known.
    pub(crate) target: bool,
    pub(crate) unchanged: u32,
    pub(crate) next_ask: Option<Millis>,
    /// The job that makes it, and when it runs.
    pub(crate) job: Option<Millis>,
}

/// What is known of a place.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) breaker: Breaker,
    pub(crate) left: Left,
    pub(crate) poll: Millis,
    /// When it is compared with the rows next.
    pub(crate) inventory: Millis,
    /// A store that does not answer: since when, and when it is asked again.
    pub(crate) away: Option<(Millis, Millis)>,
}

/// One event for the receiver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivery {
    pub(crate) state: webhook::Delivery,
    pub(crate) attempts: u32,
    pub(crate) next: Millis,
}

/// What happened, in words and with the number of what it happened to.
pub(crate) type Told = (&'static str, u128);

/// All rows.
pub(crate) struct Rows {
    pub(crate) ledger: BTreeMap<EntryId, Entry>,
    pub(crate) copies: BTreeMap<EntryId, Copy>,
    /// Under which key each copy lies; the proof that it is gone keeps it.
    pub(crate) keys: BTreeMap<EntryId, String>,
    pub(crate) objects: BTreeMap<ObjectId, Object>,
    pub(crate) publications: BTreeMap<PublicationId, Publication>,
    /// Videos that are not deleted.
    pub(crate) videos: Vec<VideoId>,
    pub(crate) places: BTreeMap<&'static str, Place>,
    pub(crate) events: Vec<Told>,
    /// Up to here events were handed on.
    pub(crate) handed: usize,
    pub(crate) deliveries: BTreeMap<u64, Delivery>,
    pub(crate) standing: retry::Standing,
    pub(crate) webhook: webhook::State,
    /// When something unknown was seen first, by place and name.
    pub(crate) unknown: BTreeMap<(&'static str, String), Millis>,
}

/// The ledger entry of a publication has its own bits.
pub(crate) const fn entry_of(key: PublicationId) -> EntryId {
    EntryId::from_bits(key.bits())
}

impl Entry {
    pub(crate) const fn new(video: VideoId, place: &'static str, key: Option<PublicationId>) -> Self {
        Self {
            video,
            place,
            key,
            state: State::Intended,
            attempts: 0,
            next_try: Millis(0),
            asked: Asked { at: None, looks: 0 },
            remote: None,
            control: None,
            proven: None,
        }
    }
}

impl Rows {
    pub(crate) fn tell(&mut self, what: &'static str, about: u128) {
        self.events.push((what, about));
    }

    /// How often something was told.
    pub(crate) fn told(&self, what: &str, about: u128) -> usize {
        self.events.iter().filter(|event| *event == &(what, about)).count()
    }

    /// Changes an entry as the ledger allows; `false` when it does not.
    pub(crate) fn happens(&mut self, id: EntryId, what: Happening, now: Millis) -> bool {
        let Some(entry) = self.ledger.get_mut(&id) else { return false };
        let Some(next) = entry.state.after(what) else { return false };
        entry.state = next;
        match what {
            Happening::Made => {}
            Happening::Unwanted => entry.next_try = now,
            Happening::ProvenGone => {
                entry.proven = Some(now);
                self.copies.remove(&id);
                self.tell("gone", id.bits());
            }
            Happening::SeenAgain => {
                (entry.next_try, entry.control, entry.proven) = (now, None, None);
                self.tell("again", id.bits());
            }
        }
        true
    }

    /// Nobody wants a copy any more.
    pub(crate) fn unwanted_copy(&mut self, id: EntryId, now: Millis) {
        if let Some(copy) = self.copies.get_mut(&id) {
            (copy.state, copy.job) = (replica::State::ToDelete, None);
        }
        let wanted = |state| matches!(state, State::Intended | State::Present);
        if self.ledger.get(&id).is_some_and(|entry| wanted(entry.state)) {
            self.happens(id, Happening::Unwanted, now);
        }
    }

    /// Nobody wants a film at a host any more.
    pub(crate) fn unwanted_film(&mut self, key: PublicationId, now: Millis) {
        let wanted =
            |entry: &Entry| entry.key == Some(key) && matches!(entry.state, State::Intended | State::Present);
        let all: Vec<_> = self.ledger.iter().filter(|(_, entry)| wanted(entry)).map(|(id, _)| *id).collect();
        for id in all {
            self.happens(id, Happening::Unwanted, now);
        }
    }

    /// Deletes a video with all that is outside of it, in one transaction.
    pub(crate) fn delete_video(&mut self, video: VideoId, now: Millis) {
        self.videos.retain(|known| *known != video);
        let copies: Vec<_> = self.copies.iter().map(|(id, copy)| (*id, copy.object)).collect();
        for (id, object) in copies {
            if self.objects[&object].video == video {
                self.unwanted_copy(id, now);
            }
        }
        let films: Vec<_> = self.publications.iter().map(|(key, one)| (*key, one.video)).collect();
        for (key, _) in films.into_iter().filter(|(_, of)| *of == video) {
            self.publications.remove(&key);
            self.unwanted_film(key, now);
        }
        self.tell("deleted", video.bits());
    }

    /// Takes a video back from a host.
    pub(crate) fn withdraw(&mut self, key: PublicationId, now: Millis) {
        if self.publications.remove(&key).is_some() {
            self.unwanted_film(key, now);
        }
    }

    /// A publication has failed: what is left of it there goes.
    pub(crate) fn fail(&mut self, key: PublicationId, now: Millis) {
        if let Some(publication) = self.publications.get_mut(&key)
            && publication.phase != Phase::Failed
        {
            (publication.phase, publication.next_ask, publication.job) = (Phase::Failed, None, None);
            self.unwanted_film(key, now);
            self.tell("failed", key.bits());
        }
    }
}
