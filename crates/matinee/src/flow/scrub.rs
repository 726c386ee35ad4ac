//! Scrubbing: every copy is read again now and then, the one that was proven longest ago first, and every byte compared.
//! What is found bad is read no more and made anew from another copy; nothing is deleted before.

use std::sync::Arc;
use std::time::Duration;

use matinee_core::replica::limits::{SCRUB_BATCH, SCRUB_LAST_LOOKS, SCRUB_LOOK_MS, SCRUB_TURN_MS};
use matinee_core::replica::{Finding, LOCAL};
use matinee_core::time::Millis;
pub(crate) use matinee_io::db::Replica;
use matinee_io::store::{RemoteError, Store};

use super::reread::{self, Pace, Seen, read_back};
use super::{Failure, now, outage, plate};
use crate::node::Node;

/// So many copies in a row may be refused by a store that lists them. With one more it is our right to read that is gone, and they are
/// as good as they were.
const REFUSED_MAX: u32 = 3;

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
    /// There, and not to be read.
    pub(crate) unreadable: u64,
}

impl Tally {
    /// How many were not good.
    pub(crate) const fn bad(&self) -> u64 {
        self.missing + self.short + self.changed + self.unreadable
    }

    const fn add(&mut self, finding: Finding, bytes: u64) {
        self.copies += 1;
        self.bytes += bytes;
        match finding {
            Finding::Good => {}
            Finding::Missing => self.missing += 1,
            Finding::Short => self.short += 1,
            Finding::Changed => self.changed += 1,
            Finding::Unreadable => self.unreadable += 1,
        }
    }
}

/// Scrubs a store by and by until the node stops, when it is this node's turn.
pub(crate) async fn run(node: Arc<Node>, store: String) {
    let every_ms = node.config.scrub.every.ms;
    // Reading an archive costs money and hours; that is somebody's decision.
    if every_ms == 0 || node.config.archives().contains(&store) {
        return;
    }
    let mut beat = tokio::time::interval(Duration::from_millis(SCRUB_LOOK_MS.unsigned_abs()));
    let mut looks = 0_u64;
    loop {
        tokio::select! {
            () = node.stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        let wish = Wish {
            before: now().plus(-every_ms),
            max_bytes_per_s: node.config.scrub.max_bytes_per_s,
            with_bad: looks.is_multiple_of(SCRUB_LAST_LOOKS),
        };
        looks += 1;
        tokio::select! {
            () = node.stop.cancelled() => return,
            passed = in_turn(&node, &store, &wish) => if let Err(failure) = passed {
                tracing::warn!(%failure, store, "a store could not be scrubbed; it is tried again");
            }
        }
    }
}

/// Passes through a store while it is our turn; another node does it otherwise.
async fn in_turn(node: &Node, store: &str, wish: &Wish) -> Result<(), Failure> {
    if !turn(node, store).await? {
        return Ok(());
    }
    let mut untold = |_: &Replica, _| {};
    tokio::select! {
        passed = pass(node, store, wish, &mut untold) => passed.map(drop),
        lost = keep_turn(node, store) => lost,
    }
}

async fn turn(node: &Node, store: &str) -> Result<bool, Failure> {
    // The same at each start of this node: what it had when it was killed it has again at once.
    let name = node.holder.split('/').next().unwrap_or_default();
    Ok(node.db.scrub_turn(store, name, (now().plus(SCRUB_TURN_MS), now())).await?)
}

/// Ends when it is not our turn any more.
async fn keep_turn(node: &Node, store: &str) -> Result<(), Failure> {
    loop {
        tokio::time::sleep(Duration::from_millis(SCRUB_LOOK_MS.unsigned_abs())).await;
        if !turn(node, store).await? {
            return Ok(());
        }
    }
}

/// What of a store is to be read again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    /// What was proven before.
    pub(crate) before: Millis,
    /// At most so many bytes in a second; 0 is no limit.
    pub(crate) max_bytes_per_s: u64,
    /// Also what was found bad, where nothing good is left.
    pub(crate) with_bad: bool,
}

/// Looks at every copy in a store that is wished for; `told` hears of each.
pub(crate) async fn pass(
    node: &Node,
    store: &str,
    wish: &Wish,
    told: &mut (dyn FnMut(&Replica, Finding) + Send),
) -> Result<Tally, Failure> {
    let pace = Pace::of(Some(wish.max_bytes_per_s));
    let mut passing = Passing { node, pace, refused: 0, tally: Tally::default(), told };
    if wish.with_bad {
        passing.bad(store).await?;
    }
    loop {
        let due = node.db.to_scrub(store, wish.before, SCRUB_BATCH).await?;
        if due.is_empty() {
            return Ok(passing.tally);
        }
        passing.all(&due).await?;
    }
}

/// A pass through a store, as far as it is.
struct Passing<'a> {
    node: &'a Node,
    pace: Pace,
    /// So many in a row may not be read.
    refused: u32,
    tally: Tally,
    told: &'a mut (dyn FnMut(&Replica, Finding) + Send),
}

impl Passing<'_> {
    async fn bad(&mut self, store: &str) -> Result<(), Failure> {
        let mut after = None;
        loop {
            let bad = self.node.db.last_bad(store, after, SCRUB_BATCH).await?;
            let Some(last) = bad.last() else { return Ok(()) };
            after = Some(last.id);
            self.all(&bad).await?;
        }
    }

    async fn all(&mut self, copies: &[Replica]) -> Result<(), Failure> {
        for copy in copies {
            let finding = self.look(copy).await?;
            self.node.db.found(copy.id, finding, now()).await?;
            self.tally.add(finding, copy.size.unwrap_or_default());
            if finding != Finding::Good {
                tracing::error!(
                    object = %copy.object, video = %copy.video, store = copy.store, found = finding.name(), "a copy is bad"
                );
            }
            (self.told)(copy, finding);
        }
        Ok(())
    }

    async fn look(&mut self, copy: &Replica) -> Result<Finding, Failure> {
        let node = self.node;
        let seen = if copy.store == LOCAL {
            reread::local(node, copy.object, &mut self.pace).await?
        } else {
            self.far(copy).await?
        };
        let (size, tag) = (copy.size.unwrap_or_default(), copy.tag.as_deref());
        if let Some(hash) = copy.blake3 {
            return Ok(seen.against((size, hash), tag));
        }
        // Nobody has hashed it before: what is there from now on is what it was, if its length is.
        let Some(hash) = seen.hash(size) else { return Ok(seen.against((size, [0; 32]), tag)) };
        node.db.keep_hash(copy.object, hash).await?;
        Ok(Finding::Good)
    }

    /// One that is bad already cannot become worse.
    fn may_be_locked(&self, copy: &Replica) -> bool {
        self.refused < REFUSED_MAX || !copy.state.is_good()
    }

    async fn far(&mut self, copy: &Replica) -> Result<Seen, Failure> {
        let node = self.node;
        let opened = node.stores.get(&copy.store).ok_or(Failure::Absent)?;
        outage::ask(node, opened).await?;
        let there = (copy.key.as_str(), copy.size.unwrap_or_default());
        match read_back(&*opened.store, there, &mut self.pace, None).await {
            Ok(seen) => {
                // Nothing is missing in another place.
                if matches!(seen, Seen::Nothing)
                    && let Some(why) = plate::look(node, opened).await?
                {
                    return Err(Failure::Again(format!("the store {} cannot be read: {why}", copy.store)));
                }
                self.refused = 0;
                outage::answered(node, &copy.store).await?;
                Ok(seen)
            }
            Err(error) if self.may_be_locked(copy) && is_locked(&*opened.store, &error).await => {
                tracing::error!(%error, store = copy.store, key = copy.key, "a copy may not be read");
                self.refused += u32::from(copy.state.is_good());
                Ok(Seen::Unreadable)
            }
            Err(error) => {
                outage::failed(node, &copy.store, &error).await?;
                let again = error.is_again() || matches!(error, RemoteError::Refused(_));
                let text = format!("the store {} cannot be read: {error}", copy.store);
                Err(if again { Failure::Again(text) } else { Failure::Never(text) })
            }
        }
    }
}

/// Is it about this one thing that the store refuses it?
async fn is_locked(store: &dyn Store, error: &RemoteError) -> bool {
    matches!(error, RemoteError::Refused(_)) && !outage::is_of_the_store(store, error).await
}
