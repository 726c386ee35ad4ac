//! Scrubbing: every copy is read again now and then, the one that was proven longest ago first, and every byte compared.
//! What is found bad is read no more and made anew from another copy; nothing is deleted before.

use std::sync::Arc;
use std::time::Duration;

use matinee_core::replica::limits::{SCRUB_BATCH, SCRUB_LOOK_MS};
use matinee_core::replica::{Finding, LOCAL};
use matinee_core::time::Millis;
pub(crate) use matinee_io::db::Replica;
use matinee_io::store::{RemoteError, StoreError};

use super::reread::{Found, Pace, hashed, read_back};
use super::{Failure, now, outage};
use crate::node::Node;

/// What a pass through a store has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Copies that were looked at.
    pub(crate) copies: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Not there.
    pub(crate) missing: u64,
    /// Of another length.
    pub(crate) short: u64,
    /// Of other bytes.
    pub(crate) changed: u64,
}

impl Tally {
    /// How many were not good.
    pub(crate) const fn bad(&self) -> u64 {
        self.missing + self.short + self.changed
    }

    const fn add(&mut self, finding: Finding, bytes: u64) {
        self.copies += 1;
        self.bytes += bytes;
        match finding {
            Finding::Good => {}
            Finding::Missing => self.missing += 1,
            Finding::Short => self.short += 1,
            Finding::Changed => self.changed += 1,
        }
    }
}

/// Scrubs a store by and by until the node stops.
pub(crate) async fn run(node: Arc<Node>, store: String) {
    let every_ms = node.config.scrub.every.ms;
    let mut beat = tokio::time::interval(Duration::from_millis(SCRUB_LOOK_MS.unsigned_abs()));
    loop {
        tokio::select! {
            () = node.stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        // Reading an archive costs money and hours; that is somebody's decision.
        if every_ms == 0 || node.config.archives().contains(&store) {
            return;
        }
        let mut untold = |_: &Replica, _| {};
        let pace = node.config.scrub.max_bytes_per_s;
        let pass = pass(&node, &store, now().plus(-every_ms), pace, &mut untold);
        tokio::select! {
            () = node.stop.cancelled() => return,
            passed = pass => if let Err(failure) = passed {
                tracing::warn!(%failure, store, "a store could not be scrubbed; it is tried again");
            }
        }
    }
}

/// Looks at every copy in a store that was proven before `before`; `told` hears of each.
pub(crate) async fn pass(
    node: &Node,
    store: &str,
    before: Millis,
    max_bytes_per_s: u64,
    told: &mut (dyn FnMut(&Replica, Finding) + Send),
) -> Result<Tally, Failure> {
    let (mut tally, mut pace) = (Tally::default(), Pace::of(Some(max_bytes_per_s)));
    loop {
        let due = node.db.to_scrub(store, before, SCRUB_BATCH).await?;
        if due.is_empty() {
            return Ok(tally);
        }
        for copy in &due {
            let finding = look(node, copy, &mut pace).await?;
            node.db.found(copy.id, finding, now()).await?;
            tally.add(finding, copy.size.unwrap_or_default());
            if finding != Finding::Good {
                tracing::error!(
                    object = %copy.object, video = %copy.video, store, found = finding.name(), "a copy is bad"
                );
            }
            told(copy, finding);
        }
    }
}

async fn look(node: &Node, copy: &Replica, pace: &mut Pace) -> Result<Finding, Failure> {
    let found =
        if copy.store == LOCAL { local(node, copy, pace).await? } else { far(node, copy, pace).await? };
    let size = copy.size.unwrap_or_default();
    let Some(hash) = copy.blake3 else {
        // Nobody has hashed it before: what is there from now on is what it was, if its length is.
        let Some((_, hash)) = found.filter(|(found, _)| *found == size) else {
            return Ok(Finding::of((size, [0; 32]), found));
        };
        node.db.keep_hash(copy.object, hash).await?;
        return Ok(Finding::Good);
    };
    Ok(Finding::of((size, hash), found))
}

async fn local(node: &Node, copy: &Replica, pace: &mut Pace) -> Result<Found, Failure> {
    // The file may be gone while an open one is still kept.
    if !node.store.exists(copy.object).await? {
        return Ok(None);
    }
    match node.store.file(copy.object) {
        Ok(file) => Ok(Some(hashed(file, pace).await?)),
        Err(StoreError::Absent(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn far(node: &Node, copy: &Replica, pace: &mut Pace) -> Result<Found, Failure> {
    let opened = node.stores.get(&copy.store).ok_or(Failure::Absent)?;
    outage::ask(node, &copy.store).await?;
    let read = read_back(&*opened.store, (&copy.key, copy.size.unwrap_or_default()), pace).await;
    match read {
        Ok(found) => {
            outage::answered(node, &copy.store).await?;
            Ok(found)
        }
        Err(error) => {
            outage::failed(node, &copy.store, &error).await?;
            let again = error.is_again() || matches!(error, RemoteError::Refused(_));
            let text = format!("the store {} cannot be read: {error}", copy.store);
            Err(if again { Failure::Again(text) } else { Failure::Never(text) })
        }
    }
}
