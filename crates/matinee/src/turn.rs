//! Whose turn it is to write an upload: the newest connection wins, the running one is asked to let go.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

/// The running request of an upload gets so long to flush what it has.
const LET_GO_MAX: Duration = Duration::from_secs(5);

/// The uploads that are being written by this process.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    slots: Mutex<HashMap<String, Arc<Slot>>>,
}

#[derive(Debug, Default)]
struct Slot {
    writing: Arc<tokio::sync::Mutex<()>>,
    let_go: Mutex<CancellationToken>,
}

/// The right to write one upload until a newer request wants it.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Cancelled when a newer request wants the upload.
    pub(crate) let_go: CancellationToken,
    _writing: OwnedMutexGuard<()>,
}

impl Turns {
    /// Ends the running request of this upload and waits until it has flushed; `None` when it does not let go.
    pub(crate) async fn take(&self, key: &str) -> Option<Turn> {
        let slot = self.slot(key);
        let mine = CancellationToken::new();
        let before =
            std::mem::replace(&mut *slot.let_go.lock().unwrap_or_else(PoisonError::into_inner), mine.clone());
        before.cancel();
        let writing = Arc::clone(&slot.writing).lock_owned();
        let writing = tokio::time::timeout(LET_GO_MAX, writing).await.ok()?;
        Some(Turn { let_go: mine, _writing: writing })
    }

    /// Asks every running request to let go, as at a shutdown.
    pub(crate) fn end_all(&self) {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        for slot in slots.values() {
            slot.let_go.lock().unwrap_or_else(PoisonError::into_inner).cancel();
        }
    }

    fn slot(&self, key: &str) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        // Slots that nobody holds are forgotten here, so the map is as large as the running uploads.
        slots.retain(|_, slot| Arc::strong_count(slot) > 1 || Arc::strong_count(&slot.writing) > 1);
        Arc::clone(slots.entry(key.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(turns.slots.lock().unwrap().len(), 1);
        drop(held);
    }
}
