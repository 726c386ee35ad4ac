//! The copy job: puts one object into a store, reads it back, and only what has the object's hash counts. Or brings a local
//! file back from a store.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use futures_util::StreamExt as _;
use matinee_core::id::EntryId;
use matinee_core::job::Lease;
use matinee_core::replica::{Finding, LOCAL, State, Summing};
use matinee_io::db::{BegunUpload, Db, DbError, Proven, Replica};
use matinee_io::store::{Answer, Begun, Proof, RemoteError, Store, StoreError, Told};

use super::fault::Fault;
use super::lease::Hold;
use super::reread::{self, Pace, Seen, hashed, read_back};
use super::{now, outage, reach};
use crate::node::Node;

/// Makes one copy, if it is still wanted.
pub(crate) async fn perform(node: &Node, hold: &Hold, replica: EntryId) -> Result<(), Fault> {
    let Some(replica) = node.db.begin_copy(&hold.lease, replica, now()).await? else { return Ok(()) };
    if replica.store == LOCAL {
        return bring_back(node, hold, &replica).await;
    }
    let name = replica.store.as_str();
    let opened = node.stores.get(name).ok_or_else(|| unknown(name))?;
    let store = Arc::clone(&opened.store);
    outage::ask(node, opened).await?;
    let (file, hash) = source(node, &replica).await?;
    let size = replica.size.unwrap_or_default();
    match put(node, hold, &*store, (&replica, file, size)).await {
        Ok((proven, seen)) => {
            outage::answered(node, name).await?;
            let finding = seen.against((size, hash), proven.tag.as_deref());
            settle(node, hold, (&replica, proven), finding).await
        }
        Err(error) => {
            outage::failed(node, name, &error).await?;
            if matches!(error, RemoteError::File(_)) {
                examine_local(node, &replica).await?;
            }
            Err(Fault::world(format!("the store {name} could not take a copy: {error}")))
        }
    }
}

fn unknown(name: &str) -> Fault {
    Fault::world(format!("the store {name} is not in the configuration"))
}

async fn settle(
    node: &Node,
    hold: &Hold,
    (replica, proven): (&Replica, Proven),
    finding: Finding,
) -> Result<(), Fault> {
    if finding == Finding::Good {
        return Ok(node.db.copied(&hold.lease, replica.id, proven, now()).await?);
    }
    tracing::error!(
        object = %replica.object, store = replica.store, found = finding.name(),
        "a copy is not what was written; it goes, and another one is made"
    );
    // Perhaps it is our own file that has changed.
    examine_local(node, replica).await?;
    Ok(node.db.miscopied(&hold.lease, replica.id, now()).await?)
}

/// Looks whether the local file of an object is still what it was.
async fn examine_local(node: &Node, of: &Replica) -> Result<(), Fault> {
    let copies = node.db.replicas(of.object).await?;
    let Some(local) = copies.iter().find(|one| one.store == LOCAL && one.state.is_good()) else {
        return Ok(());
    };
    let Some(size) = local.size else { return Ok(()) };
    let seen = reread::local(node, of.object, &mut Pace::free()).await?;
    let hash = local.blake3.or_else(|| seen.hash(size)).unwrap_or_default();
    Ok(node.db.found(local.id, seen.against((size, hash), None), now()).await?)
}

/// The bytes of the object in an open file, and its hash: the local file, or what another store has.
async fn source(node: &Node, replica: &Replica) -> Result<(Arc<File>, [u8; 32]), Fault> {
    let file = match node.store.file(replica.object) {
        Ok(file) if !is_bad_here(node, replica).await? => file,
        Ok(_) | Err(StoreError::Absent(_)) => fetched(node, replica).await?,
        Err(error) => return Err(error.into()),
    };
    if let Some(hash) = replica.blake3 {
        return Ok((file, hash));
    }
    // Nobody has hashed it on its way in: only what is as long as it came in is taken for it.
    let (found, hash) = hashed(Arc::clone(&file), &mut Pace::free()).await?;
    if Some(found) != replica.size {
        return Err(Fault::world(format!("the file of {} has another length than it had", replica.object)));
    }
    node.db.keep_hash(replica.object, hash).await?;
    Ok((file, hash))
}

/// Is the local file known to be bad, and another copy known to be good?
async fn is_bad_here(node: &Node, replica: &Replica) -> Result<bool, Fault> {
    let copies = node.db.replicas(replica.object).await?;
    let is_bad = |copy: &Replica| copy.store == LOCAL && copy.state == State::Suspect;
    Ok(copies.iter().any(is_bad) && copies.iter().any(|copy| copy.state.is_good()))
}

/// The object from another store, in a file that has no name: nothing of it is left behind, however this ends.
async fn fetched(node: &Node, replica: &Replica) -> Result<Arc<File>, Fault> {
    let dir = node.work_dir();
    let name = dir.join(format!("copy-{}", replica.id));
    let file = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&dir)?;
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&name)?;
        std::fs::remove_file(&name)?;
        Ok::<_, std::io::Error>(file)
    });
    let file = Arc::new(file.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic)))?);
    pour(node, replica, &file).await?;
    Ok(file)
}

/// Writes all bytes of an object from a good copy in a store into a file.
async fn pour(node: &Node, replica: &Replica, file: &Arc<File>) -> Result<(), Fault> {
    let size = replica.size.ok_or_else(|| Fault::world("the length of the object is not known"))?;
    let mut bytes = reach::elsewhere(node, replica.object, 0..size);
    let mut at = 0;
    while let Some(chunk) = bytes.next().await {
        let (chunk, file) = (chunk?, Arc::clone(file));
        let len = chunk.len() as u64;
        let written = tokio::task::spawn_blocking(move || file.write_all_at(&chunk, at)).await;
        written.unwrap_or_else(|panic| Err(std::io::Error::other(panic)))?;
        at += len;
    }
    Ok(())
}

/// Puts the file and reads it back; what the store calls it. What an archive gives back is hashed as others do it, too.
async fn put(
    node: &Node,
    hold: &Hold,
    store: &dyn Store,
    (replica, file, size): (&Replica, Arc<File>, u64),
) -> Result<(Proven, Seen), RemoteError> {
    let begun = replica.begun.as_ref();
    let begun = begun.map(|begun| Begun { upload: begun.upload.clone(), part_bytes: begun.part_bytes });
    let told = Teller {
        db: node.db.clone(),
        lease: hold.lease,
        replica: replica.id,
        progress: hold.progress_of(2 * size),
    };
    let put = store.put(&replica.key, Arc::clone(&file), size, begun.as_ref(), &told).await?;
    let mut sums = node.config.archives().contains(&replica.store).then(Summing::default);
    let seen = read_back(store, (&replica.key, size), &mut Pace::free(), sums.as_mut()).await?;
    if let (Seen::Frozen(..), Some(_)) = (&seen, &sums) {
        // Nothing was read. Where the store has hashed what it got, that is what was sent.
        sums = if put.proof == Proof::Hashed { Some(reread::summed(file).await?) } else { None };
    }
    Ok((Proven { version: put.version, tag: put.tag, sums: sums.map(Summing::end) }, seen))
}

/// Saves the name of an upload in parts before its first part is sent, and says how far it is.
struct Teller {
    db: Db,
    lease: Lease,
    replica: EntryId,
    progress: Arc<dyn Fn(u64) + Send + Sync>,
}

impl Told for Teller {
    fn begun<'a>(&'a self, begun: &'a Begun) -> Answer<'a, ()> {
        Box::pin(async move {
            let begun = BegunUpload { upload: begun.upload.clone(), part_bytes: begun.part_bytes };
            let noted = self.db.note_begun(&self.lease, self.replica, Some(begun), now()).await;
            noted.map_err(|error| RemoteError::Unsaved(error.to_string()))
        })
    }

    fn sent(&self, bytes: u64) {
        (self.progress)(bytes);
    }
}

/// The local file of an object is made from a good copy in a store, and takes its place at once when it is whole.
async fn bring_back(node: &Node, hold: &Hold, replica: &Replica) -> Result<(), Fault> {
    let (store, object) = (node.store.clone(), replica.object);
    let beside = node.work_dir().join(format!("back-{}", replica.id));
    let blocking = tokio::task::spawn_blocking(move || store.mend(object, beside));
    let mending = blocking.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic).into()))?;
    let file = mending.file();
    pour(node, replica, &file).await?;
    let synced = Arc::clone(&file);
    let (size, hash) = hashed(file, &mut Pace::free()).await?;
    let expected = (replica.size.unwrap_or_default(), replica.blake3.unwrap_or(hash));
    let finding = Finding::of(expected, Some((size, hash)));
    if finding != Finding::Good {
        return Err(Fault::world(format!("what the stores have of {object} is {}", finding.name())));
    }
    // The longest step first: who gave this up meanwhile is not to find a file that no row explains.
    let synced = tokio::task::spawn_blocking(move || synced.sync_all());
    synced.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic)))?;
    let row = node.db.replica(replica.id).await?;
    if !row.is_some_and(|row| matches!(row.state, State::Intended | State::Suspect)) {
        return Err(DbError::LeaseLost.into());
    }
    let done = tokio::task::spawn_blocking(move || mending.finish());
    done.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic).into()))?;
    Ok(node.db.copied(&hold.lease, replica.id, Proven::default(), now()).await?)
}
