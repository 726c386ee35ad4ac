//! Buckets as a source: listed page by page; each media object is announced once, and a job fetches it by ranges.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use matinee_core::arrival::{Ending, Place, is_media, title_from};
use matinee_core::job::retry::Class;
use matinee_core::limits;
use matinee_core::upload::Way;
use matinee_io::db::arrival::Original;
use matinee_io::db::{Finish, Reached, Take, Upload};
use matinee_io::store::bucket::{Bucket, BucketError, Listed};
use matinee_io::{clock, random, spool};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::arrival::{self, Wanted};
use super::fault::Fault;
use super::hashed::{Hashed, kept};
use super::intake::Draft;
use super::lease::Hold;
use super::{Failure, now};
use crate::node::{Node, source};

/// So many objects of a bucket are announced and not yet dealt with; the others wait for the next looks.
const ANNOUNCED_MAX: u64 = 64;
/// With more to announce, the next look comes after this.
const FULL: Duration = Duration::from_secs(5);
/// A bucket that sends nothing for so long is given up until the next try.
const SILENCE: Duration = Duration::from_mins(1);

/// Looks through one bucket until the node stops.
pub(crate) async fn run(node: Arc<Node>, config: source::Bucket) {
    let every_ms = u64::try_from(config.every.ms).unwrap_or_default();
    let every = Duration::from_millis(every_ms);
    loop {
        let pause = match scan(&node, &config, every_ms).await {
            Ok(Scanned::Whole | Scanned::ByAnother) => every,
            Ok(Scanned::Full) => FULL.min(every),
            Err(failure) => {
                tracing::warn!(%failure, bucket = config.name, "a bucket could not be looked through");
                every
            }
        };
        tokio::select! {
            () = node.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// How a look ended.
enum Scanned {
    /// At the end of the bucket.
    Whole,
    /// Enough is announced for now.
    Full,
    /// Not at all: another node looks.
    ByAnother,
}

async fn scan(node: &Node, config: &source::Bucket, every_ms: u64) -> Result<Scanned, Failure> {
    if !arrival::may_look(node, &config.name, every_ms).await? {
        return Ok(Scanned::ByAnother);
    }
    let bucket = Bucket::open(&config.access()).map_err(|error| failure(&error))?;
    let (_, prefix) = config.place().unwrap_or_default();
    let mut room = ANNOUNCED_MAX.saturating_sub(node.db.arrivals_open(&config.name).await?);
    let mut next = None;
    loop {
        let page = bucket.page(prefix, next).await.map_err(|error| failure(&error))?;
        for object in unknown(node, config, page.objects).await? {
            if room == 0 {
                return Ok(Scanned::Full);
            }
            room -= 1;
            announce(node, config, &object).await?;
        }
        next = page.next;
        if next.is_none() || node.stop.is_cancelled() {
            return Ok(Scanned::Whole);
        }
    }
}

async fn unknown(node: &Node, config: &source::Bucket, objects: Vec<Listed>) -> Result<Vec<Listed>, Failure> {
    let media: Vec<_> =
        objects.into_iter().filter(|object| object.size > 0 && is_media(&object.key)).collect();
    let marks: Vec<_> = media.iter().map(mark).collect();
    let known = node.db.known_marks(&config.name, &marks).await?;
    Ok(media.into_iter().filter(|object| !known.contains(&mark(object))).collect())
}

/// The same key with other bytes is another original.
fn mark(object: &Listed) -> String {
    format!("{} {}", object.etag, object.key)
}

async fn announce(node: &Node, config: &source::Bucket, object: &Listed) -> Result<(), Failure> {
    let app = node.defaults.app;
    let (key, etag) = (object.key.clone(), object.etag.clone());
    let draft = Draft {
        collection: arrival::collection(node, app, config.collection.as_deref()).await?,
        facts: json!({ "bucket": config.name, "key": key }),
        size: Some(object.size),
        pipeline: config.pipeline.clone(),
        ..Draft::new(node, app, title_from(&key), Way::Bucket)
    };
    let wanted = Wanted {
        draft,
        from: Place::Object { bucket: config.name.clone(), key: key.clone(), etag: etag.clone() },
        original: Some(Original {
            source: config.name.clone(),
            name: key,
            mark: mark(object),
            ending: Ending::Object { etag },
        }),
    };
    match arrival::announce(node, vec![wanted]).await {
        // Another node was quicker.
        Ok(_) | Err(Failure::Refused { conflict: true, .. }) => Ok(()),
        Err(failure) => Err(failure),
    }
}

fn failure(error: &BucketError) -> Failure {
    Failure::Again(error.to_string())
}

/// The job that fetches an object: it goes on at the durable offset, whoever died before.
pub(crate) async fn perform(node: &Node, hold: &Hold, from: &Place) -> Result<(), Fault> {
    let Place::Object { bucket: name, key, etag } = from else {
        unreachable!("because files are taken by another flow")
    };
    let config = node.config.bucket.iter().find(|bucket| bucket.name == *name);
    let config = config.ok_or_else(|| {
        let human = format!("The bucket `{name}` is not in the configuration any more.");
        Fault::new(Class::Refusal, "bucket_unknown", human, "Add it again, or delete this upload.")
    })?;
    let upload = arrival::open_upload(node, hold).await?;
    let earlier = || Fault::world("an earlier attempt at this object has not ended yet");
    let turn = node.turns.take(&upload.url_key).await.ok_or_else(earlier)?;
    // Read again: the earlier attempt may have come further.
    let upload = arrival::open_upload(node, hold).await?;
    let size = upload.size.unwrap_or_default();
    let object = Listed { key: key.clone(), etag: etag.clone(), size };
    let bucket = Bucket::open(&config.access()).map_err(fault)?;
    let store = node.store.clone();
    let object_id = upload.object;
    let path = tokio::task::spawn_blocking(move || store.place(object_id)).await;
    let path = path.unwrap_or_else(|panic| Err(std::io::Error::other(panic).into()))?;
    // The file before the number, and both before anything is cut off: another node may have gone on with it while this
    // one slept.
    let file = node.spool.lock(&path, upload.offset, spool::LOCK_WAIT_MS).await.map_err(spooled)?;
    let seen = (upload.epoch, upload.offset);
    let epoch = node.db.hold_upload(Take { id: upload.id, seen, boot: None, hold: None }).await?;
    let writer = node.spool.go_on(file, upload.offset, Some(size)).await.map_err(spooled)?;
    let committed = upload.offset;
    let let_go = turn.let_go.clone();
    let mut fetch = Fetch { node, hold, upload: &upload, epoch, size, writer, committed, let_go };
    let fetched = fetch.fetch(&bucket, &object).await;
    // Whatever ended it: what has come stays.
    fetch.commit().await?;
    fetched?;
    if fetch.committed < size {
        return Err(Fault::world(format!("the bucket sent {} of {size} bytes", fetch.committed)));
    }
    let Hashed { blake3, slabs } = Hashed::of(node, object_id, &mut fetch.writer).await?;
    let (id, probe_job) = (upload.id, random::id());
    let finish = Finish { id, epoch: Some(epoch), size, blake3, slabs, probe_job, now: now() };
    node.db.finish_taken(&finish, &hold.lease).await?;
    drop(turn);
    Ok(())
}

struct Fetch<'a> {
    node: &'a Node,
    hold: &'a Hold,
    upload: &'a Upload,
    epoch: u64,
    size: u64,
    writer: spool::Writer,
    committed: u64,
    /// Somebody else wants the upload, for example to give it up.
    let_go: CancellationToken,
}

impl Fetch<'_> {
    async fn fetch(&mut self, bucket: &Bucket, object: &Listed) -> Result<(), Fault> {
        let mut received = self.committed;
        if received == self.size {
            return Ok(());
        }
        let progress = self.hold.progress_of(self.size);
        let mut body = bucket.read(object, received).await.map_err(fault)?;
        let mut since = clock::Stopwatch::start();
        loop {
            let next = tokio::select! {
                () = self.hold.stop.cancelled() => return Err(Fault::world("the work was interrupted")),
                () = self.let_go.cancelled() => return Err(Fault::world("somebody else wants the upload")),
                next = tokio::time::timeout(SILENCE, body.next()) => next,
            };
            let bytes = match next {
                Ok(Some(bytes)) => bytes.map_err(fault)?,
                Ok(None) => return Ok(()),
                Err(_) => return Err(Fault::world("the bucket sends nothing any more")),
            };
            received += bytes.len() as u64;
            if received > self.size {
                return Err(fault(BucketError::Changed));
            }
            self.writer.write(bytes).await.map_err(spooled)?;
            progress(received);
            if received - self.committed >= limits::COMMIT_BYTES || since.elapsed_ms() >= limits::COMMIT_MS {
                self.commit().await?;
                since = clock::Stopwatch::start();
            }
        }
    }

    /// Makes what was received durable and says so in the database; the whole is said by the finishing transaction.
    async fn commit(&mut self) -> Result<(), Fault> {
        let durable = self.writer.commit().await.map_err(spooled)?;
        if durable > self.committed && durable < self.size {
            let slabs = kept(&self.writer.take_slabs());
            let (now, expires) = (now(), now().plus(self.node.config.uploads.idle_timeout.ms));
            let reached = Reached { offset: durable, slabs, now, expires };
            self.node.db.commit_reached((self.upload.id, self.epoch), reached).await?;
        }
        self.committed = durable;
        Ok(())
    }
}

fn spooled(error: spool::SpoolError) -> Fault {
    arrival::fault(Failure::from(error))
}

fn fault(error: BucketError) -> Fault {
    match error {
        BucketError::Changed => Fault::new(
            Class::Refusal,
            "object_changed",
            "The object was changed or removed before it was here.",
            "Nothing needs to be done: what lies there now is taken by the next look.",
        ),
        // Keys and rights can be mended; until the upload expires it is tried again.
        error @ (BucketError::Refused(_) | BucketError::Wrong(_) | BucketError::Again(_)) => {
            Fault::world(error.to_string())
        }
    }
}
