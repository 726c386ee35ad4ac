//! Whose turn it is: to write an upload (the newest connection wins, the running one is asked to let go), and to have a
//! picture made, or a source looked through.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

/// The running request of an upload gets so long to flush what it has.
const LET_GO_MAX: Duration = Duration::from_secs(5);

/// The uploads that are being written by this process.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    /// The process is about to end: whoever comes now lets go at once.
    stopping: AtomicBool,
}

#[derive(Debug, Default)]
struct Slot {
    writing: Arc<tokio::sync::Mutex<()>>,
    newest: Mutex<Arc<Claim>>,
}

/// What a request and those that come after it know of each other.
#[derive(Debug, Default)]
struct Claim {
    let_go: CancellationToken,
    body: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    /// The offset behind the last byte that was taken; none before the body is begun.
    reached: Option<u64>,
    /// A newer request continues exactly here, so no further byte may be taken.
    closed: bool,
}

/// The right to write one upload until a newer request wants it.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Cancelled when a newer request wants the upload.
    pub(crate) let_go: CancellationToken,
    claim: Arc<Claim>,
    _writing: OwnedMutexGuard<()>,
}

/// A door through which so many may go at once, and before which so many may wait.
#[derive(Debug)]
pub(crate) struct Door {
    inside: Semaphore,
    here: Semaphore,
}

/// The right to be inside, until it is dropped.
#[derive(Debug)]
pub(crate) struct Inside<'d> {
    _inside: SemaphorePermit<'d>,
    _here: SemaphorePermit<'d>,
}

impl Door {
    /// A door for so many inside, and so many before it.
    pub(crate) fn new(inside: usize, before: usize) -> Self {
        Self { inside: Semaphore::new(inside), here: Semaphore::new(inside + before) }
    }

    /// Goes in when somebody has left; `None` when too many wait already.
    pub(crate) async fn enter(&self) -> Option<Inside<'_>> {
        let here = self.here.try_acquire().ok()?;
        let inside = self.inside.acquire().await.ok()?;
        Some(Inside { _inside: inside, _here: here })
    }
}

/// A door before which everybody queues in a lane of their own: who asks often has only those of the same lane wait.
#[derive(Debug)]
pub(crate) struct Lanes<K> {
    inside: Arc<Semaphore>,
    /// How many of one lane may wait behind the one who is inside or next.
    before: usize,
    known: Mutex<HashMap<K, Lane>>,
}

#[derive(Debug, Clone)]
struct Lane {
    next: Arc<Semaphore>,
    here: Arc<Semaphore>,
}

impl<K: Hash + Eq> Lanes<K> {
    /// A door for so many inside, one of a lane, and so many before it in each lane.
    pub(crate) fn new(inside: usize, before: usize) -> Self {
        Self { inside: Arc::new(Semaphore::new(inside)), before, known: Mutex::default() }
    }

    /// Goes in when nobody of the same lane is before it and somebody has left; `None` when too many of the lane wait.
    pub(crate) async fn enter(&self, lane: K) -> Option<[OwnedSemaphorePermit; 3]> {
        let Lane { next, here } = self.lane(lane);
        let here = here.try_acquire_owned().ok()?;
        let next = next.acquire_owned().await.ok()?;
        let inside = Arc::clone(&self.inside).acquire_owned().await.ok()?;
        Some([inside, next, here])
    }

    fn lane(&self, lane: K) -> Lane {
        let mut lanes = locked(&self.known);
        // A permit holds its lane, so what nobody else knows is empty.
        lanes.retain(|_, lane| Arc::strong_count(&lane.here) > 1);
        let new =
            || Lane { next: Arc::new(Semaphore::new(1)), here: Arc::new(Semaphore::new(1 + self.before)) };
        lanes.entry(lane).or_insert_with(new).clone()
    }
}

/// Why a request did not get its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoTurn {
    /// The running request is at another offset, and goes on.
    Elsewhere,
    /// The running request does not let go.
    Busy,
}

impl Turns {
    /// Ends the running request of this upload and waits until it has flushed; `None` when it does not let go.
    pub(crate) async fn take(&self, key: &str) -> Option<Turn> {
        let slot = self.slot(key);
        let mine = Arc::new(Claim::default());
        let before = std::mem::replace(&mut *locked(&slot.newest), Arc::clone(&mine));
        self.granted(&slot, mine, &before).await
    }

    /// The turn, when nobody has it: nobody is ended.
    pub(crate) fn take_free(&self, key: &str) -> Option<Turn> {
        let slot = self.slot(key);
        let writing = Arc::clone(&slot.writing).try_lock_owned().ok()?;
        let claim = Arc::new(Claim::default());
        *locked(&slot.newest) = Arc::clone(&claim);
        if self.stopping.load(Ordering::SeqCst) {
            claim.let_go.cancel();
        }
        Some(Turn { let_go: claim.let_go.clone(), claim, _writing: writing })
    }

    /// The same as [`Turns::take`] for a body that begins at `offset`. A running request that has come to another offset is not ended:
    /// of two requests for the same bytes, or for bytes that come later, one must win.
    pub(crate) async fn take_at(&self, key: &str, offset: u64) -> Result<Turn, NoTurn> {
        let slot = self.slot(key);
        let mine = Arc::new(Claim::default());
        let before = {
            let mut newest = locked(&slot.newest);
            let mut running = locked(&newest.body);
            // A claim without a living turn is of a request that has ended.
            if Arc::strong_count(&newest) > 1 && running.reached.is_some_and(|reached| reached != offset) {
                return Err(NoTurn::Elsewhere);
            }
            running.closed = true;
            drop(running);
            std::mem::replace(&mut *newest, Arc::clone(&mine))
        };
        self.granted(&slot, mine, &before).await.ok_or(NoTurn::Busy)
    }

    async fn granted(&self, slot: &Slot, claim: Arc<Claim>, before: &Claim) -> Option<Turn> {
        before.let_go.cancel();
        if self.stopping.load(Ordering::SeqCst) {
            claim.let_go.cancel();
        }
        let writing = Arc::clone(&slot.writing).lock_owned();
        let writing = tokio::time::timeout(LET_GO_MAX, writing).await.ok()?;
        Some(Turn { let_go: claim.let_go.clone(), claim, _writing: writing })
    }

    /// Asks every running request, and all that come, to let go: the process is about to end.
    pub(crate) fn end_all(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        for slot in locked(&self.slots).values() {
            locked(&slot.newest).let_go.cancel();
        }
    }

    fn slot(&self, key: &str) -> Arc<Slot> {
        let mut slots = locked(&self.slots);
        // Slots that nobody holds are forgotten when there are twice as many, so the map follows the running uploads.
        if slots.len() >= slots.capacity() {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1 || Arc::strong_count(&slot.writing) > 1);
        }
        Arc::clone(slots.entry(key.to_owned()).or_default())
    }
}

impl Turn {
    /// The body begins here.
    pub(crate) fn begin(&self, offset: u64) {
        locked(&self.claim.body).reached = Some(offset);
    }

    /// May so many further bytes be taken? Whoever was told so must store them.
    pub(crate) fn admit(&self, len: usize) -> bool {
        let mut body = locked(&self.claim.body);
        if body.closed {
            return false;
        }
        body.reached = body.reached.map(|reached| reached + len as u64);
        true
    }

    /// A newer request continues exactly where this one is.
    pub(crate) fn is_closed(&self) -> bool {
        locked(&self.claim.body).closed
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn who_asks_often_has_only_their_own_lane_wait() {
        let lanes = Lanes::new(2, 1);
        let first = lanes.enter("a").await.unwrap();
        let waiting = lanes.enter("a");
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none(), "one of a lane at a time");
        assert!(lanes.enter("a").await.is_none(), "too many wait in it");
        let other = lanes.enter("b").await.unwrap();
        let third = lanes.enter("c");
        tokio::pin!(third);
        assert!(third.as_mut().now_or_never().is_none(), "two are inside");
        drop(other);
        let third = third.await.unwrap();
        drop(first);
        drop(waiting.await.unwrap());
        drop(third);
        assert!(lanes.enter("d").await.is_some());
        assert_eq!(lanes.known.lock().unwrap().len(), 1, "empty lanes are forgotten");
    }

    #[tokio::test]
    async fn the_newest_wins_and_the_oldest_is_asked_to_let_go() {
        let turns = Turns::default();
        let first = turns.take("a").await.unwrap();
        let waiting = turns.take("a");
        tokio::pin!(waiting);
        assert!(
            tokio::time::timeout(Duration::from_millis(20), &mut waiting).await.is_err(),
            "not before it flushed"
        );
        assert!(first.let_go.is_cancelled());
        drop(first);
        let second = waiting.await.unwrap();
        assert!(!second.let_go.is_cancelled());
        assert!(!turns.take("b").await.unwrap().let_go.is_cancelled(), "another upload is another matter");
    }

    #[tokio::test]
    async fn nobody_who_has_gone_is_remembered() {
        let turns = Turns::default();
        for key in 0..100 {
            drop(turns.take(&key.to_string()).await);
        }
        let held = turns.take("held").await.unwrap();
        let slots = turns.slots.lock().unwrap();
        assert!(slots.len() <= slots.capacity() && slots.capacity() < 16, "{} of 101 slots", slots.len());
        assert!(slots.contains_key("held"));
        drop(slots);
        drop(held);
    }

    #[tokio::test]
    async fn a_body_at_another_offset_ends_nobody() {
        let turns = Turns::default();
        let first = turns.take_at("a", 5).await.unwrap();
        first.begin(5);
        assert!(first.admit(10));
        for elsewhere in [0, 5, 14, 16] {
            assert_eq!(turns.take_at("a", elsewhere).await.unwrap_err(), NoTurn::Elsewhere);
        }
        assert!(!first.let_go.is_cancelled() && first.admit(1));
        let second = turns.take_at("a", 16);
        tokio::pin!(second);
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut second).await.is_err());
        assert!(first.let_go.is_cancelled() && !first.admit(1), "the second continues exactly here");
        drop(first);
        let second = second.await.unwrap();
        second.begin(16);
        drop(second);
        assert!(turns.take_at("a", 3).await.is_ok(), "who has ended is in nobody's way");
    }

    #[tokio::test]
    async fn of_two_that_have_not_begun_the_newer_wins_alone() {
        let turns = Turns::default();
        let first = turns.take_at("a", 0).await.unwrap();
        let second = turns.take_at("a", 0);
        tokio::pin!(second);
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut second).await.is_err());
        first.begin(0);
        assert!(!first.admit(1), "else both would come to the wrong offset");
        drop(first);
        assert!(second.await.unwrap().admit(1));
    }

    #[tokio::test]
    async fn nobody_begins_while_the_process_ends() {
        let turns = Turns::default();
        turns.end_all();
        assert!(turns.take("a").await.unwrap().let_go.is_cancelled());
    }
}
