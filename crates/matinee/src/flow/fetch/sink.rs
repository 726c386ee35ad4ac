//! Where fetched bytes go: the spool, with offsets that count only when they are durable.

use bytes::Bytes;
use matinee_core::id::UploadId;
use matinee_core::limits;
use matinee_io::clock::Stopwatch;
use matinee_io::db::{Finish, Pull, Reached, Take, Upload};
use matinee_io::random;
use matinee_io::spool::{LOCK_WAIT_MS, Locked, Writer};

use crate::flow::fault::Fault;
use crate::flow::hashed::{Hashed, kept};
use crate::flow::intake::lifetime_ms;
use crate::flow::lease::Hold;
use crate::flow::now;
use crate::node::Node;

/// The end of a fetch that is inside.
pub(super) struct Sink {
    record: Upload,
    epoch: u64,
    /// None only while a restart changes it.
    writer: Option<Writer>,
    committed: u64,
    size: Option<u64>,
    since: Stopwatch,
}

impl Sink {
    /// Continues at what is durable.
    pub(super) async fn open(node: &Node, pull: Pull) -> Result<Self, Fault> {
        let record = pull.upload;
        // The file before the number, and both before anything is cut off: another node may have gone on with it while
        // this one slept.
        let file = locked(node, &record, record.offset).await?;
        let seen = (record.epoch, record.offset);
        let epoch = node.db.hold_upload(Take { id: record.id, seen, boot: None, hold: None }).await?;
        let writer = node.spool.go_on(file, record.offset, record.size).await?;
        let (committed, size) = (record.offset, record.size);
        Ok(Self { record, epoch, writer: Some(writer), committed, size, since: Stopwatch::start() })
    }

    pub(super) const fn upload(&self) -> UploadId {
        self.record.id
    }

    /// How many bytes are here, durable or not.
    pub(super) fn received(&self) -> u64 {
        self.writer.as_ref().map_or(self.committed, Writer::received)
    }

    fn writer(&mut self) -> Result<&mut Writer, Fault> {
        self.writer.as_mut().ok_or_else(|| Fault::world("the file could not be begun again"))
    }

    /// The length of the whole, when it is known.
    pub(super) const fn size(&self) -> Option<u64> {
        self.size
    }

    /// The source has said how long the file is.
    pub(super) async fn declare(&mut self, node: &Node, size: Option<u64>) -> Result<(), Fault> {
        let Some(size) = size.filter(|_| self.size.is_none()) else { return Ok(()) };
        if size == 0 {
            return Err(super::empty());
        }
        // An upload whose bytes are all durable is finished instead.
        if size > self.committed {
            node.db.declare_size((self.record.id, self.epoch), size, now()).await?;
        }
        self.size = Some(size);
        Ok(())
    }

    /// Takes bytes, and makes them durable from time to time.
    pub(super) async fn write(&mut self, node: &Node, bytes: Bytes) -> Result<(), Fault> {
        self.writer()?.write(bytes).await?;
        let due = self.received() - self.committed >= limits::COMMIT_BYTES
            || self.since.elapsed_ms() >= limits::COMMIT_MS;
        if due { self.commit(node).await } else { Ok(()) }
    }

    /// Makes what was received durable, and says so in the database.
    pub(super) async fn commit(&mut self, node: &Node) -> Result<(), Fault> {
        let durable = self.writer()?.commit().await?;
        if durable > self.committed && self.size != Some(durable) {
            let slabs = kept(&self.writer()?.take_slabs());
            let (now, expires) = (now(), now().plus(lifetime_ms(node)));
            let reached = Reached { offset: durable, slabs, now, expires };
            node.db.commit_reached((self.record.id, self.epoch), reached).await?;
            self.committed = durable;
        }
        self.since = Stopwatch::start();
        Ok(())
    }

    /// Forgets what is here; returns how often that has happened.
    pub(super) async fn restart(&mut self, node: &Node, size: Option<u64>) -> Result<u32, Fault> {
        let restarts = node.db.restart_pull((self.record.id, self.epoch), size).await?;
        (self.committed, self.size) = (0, size);
        // The old writer holds the file until it is gone.
        drop(self.writer.take());
        let file = locked(node, &self.record, 0).await?;
        // Between the two locks another attempt may have gone on with it.
        let take = Take { id: self.record.id, seen: (self.epoch, 0), boot: None, hold: None };
        self.epoch = node.db.hold_upload(take).await?;
        self.writer = Some(node.spool.go_on(file, 0, size).await?);
        Ok(restarts)
    }

    /// The last byte is here: the upload becomes a video, and the job is done, in one transaction.
    pub(super) async fn finish(mut self, node: &Node, hold: &Hold) -> Result<(), Fault> {
        let size = self.writer()?.commit().await?;
        let object = self.record.object;
        let hashed = Hashed::of(node, object, self.writer()?).await?;
        let finish = Finish {
            id: self.record.id,
            epoch: Some(self.epoch),
            size,
            blake3: hashed.blake3,
            slabs: hashed.slabs,
            probe_job: random::id(),
            now: now(),
        };
        node.db.finish_pull(&finish, &hold.lease).await?;
        Ok(())
    }
}

async fn locked(node: &Node, record: &Upload, offset: u64) -> Result<Locked, Fault> {
    let (store, object) = (node.store.clone(), record.object);
    let placed = tokio::task::spawn_blocking(move || store.place(object)).await;
    let path = placed.map_err(|panic| Fault::world(panic.to_string()))??;
    Ok(node.spool.lock(&path, offset, LOCK_WAIT_MS).await?)
}
