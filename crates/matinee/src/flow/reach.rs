//! Bytes of objects from wherever a good copy of them lies: the local file, else a range from a store, and when that breaks
//! the rest from another one.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _, TryStreamExt as _};
use matinee_core::id::ObjectId;
use matinee_core::replica::limits::REACH_PATIENCE_MS;
use matinee_core::replica::{Finding, LOCAL};
use matinee_io::db::{Db, Replica};
use matinee_io::store::{Local, Piece, Reading, RemoteError, StoreError, Stores};

use super::{Failure, now};
use crate::node::Node;

/// What is needed to reach bytes, longer than a request lives.
#[derive(Clone)]
struct Reach {
    db: Db,
    store: Local,
    stores: Stores,
    /// Archives are asked last.
    archives: Arc<[String]>,
}

impl Reach {
    fn of(node: &Node) -> Self {
        let archives = node.config.archives();
        Self {
            db: node.db.clone(),
            store: node.store.clone(),
            stores: node.stores.clone(),
            archives: archives.into(),
        }
    }
}

/// Streams the pieces in order. Files that are here cost nothing more than before.
pub(crate) fn stream(
    node: &Node,
    pieces: Vec<Piece>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
    let is_here = |piece: &Piece| match piece {
        Piece::Object { object, .. } => !matches!(node.store.file(*object), Err(StoreError::Absent(_))),
        Piece::Literal(_) | Piece::File { .. } => true,
    };
    if node.stores.is_empty() || pieces.iter().all(is_here) {
        return node.store.stream(pieces).left_stream();
    }
    let reach = Reach::of(node);
    let one = move |piece| piece_of(reach.clone(), piece);
    stream::iter(pieces).map(one).flatten().right_stream()
}

/// A few bytes of an object, all in memory.
pub(crate) async fn read_at(
    node: &Node,
    object: ObjectId,
    offset: u64,
    len: usize,
) -> Result<Bytes, Failure> {
    match node.store.read_at(object, offset, len).await {
        Err(StoreError::Absent(_)) if !node.stores.is_empty() => {
            let range = offset..offset + len as u64;
            let chunks: Vec<Bytes> = elsewhere(node, object, range).try_collect().await?;
            let mut bytes = BytesMut::with_capacity(len);
            for chunk in &chunks {
                bytes.extend_from_slice(chunk);
            }
            Ok(bytes.freeze())
        }
        read => Ok(read?),
    }
}

/// The length of an object in bytes, wherever it lies.
pub(crate) async fn size(node: &Node, object: ObjectId) -> Result<Option<u64>, Failure> {
    match node.store.size(object).await? {
        None if !node.stores.is_empty() => Ok(node.db.object_size(object).await?),
        size => Ok(size),
    }
}

/// A range of an object from the stores that have a good copy.
pub(crate) fn elsewhere(
    node: &Node,
    object: ObjectId,
    range: Range<u64>,
) -> BoxStream<'static, io::Result<Bytes>> {
    far(Reach::of(node), object, range)
}

fn piece_of(reach: Reach, piece: Piece) -> BoxStream<'static, io::Result<Bytes>> {
    match piece {
        Piece::Object { object, offset, len }
            if matches!(reach.store.file(object), Err(StoreError::Absent(_))) =>
        {
            far(reach, object, offset..offset + len)
        }
        here @ (Piece::Literal(_) | Piece::Object { .. } | Piece::File { .. }) => {
            reach.store.stream(vec![here]).boxed()
        }
    }
}

/// How far a reading is.
struct Far {
    reach: Reach,
    object: ObjectId,
    /// What is missing still.
    left: Range<u64>,
    /// The copies that were not tried yet; not asked for before the first byte is wanted.
    copies: Option<VecDeque<Replica>>,
    open: Option<Reading>,
}

impl Far {
    /// Is there another copy to ask?
    fn has_more(&self) -> bool {
        self.copies.as_ref().is_some_and(|copies| !copies.is_empty())
    }
}

fn far(reach: Reach, object: ObjectId, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>> {
    let far = Far { reach, object, left: range, copies: None, open: None };
    stream::try_unfold(far, next).boxed()
}

async fn next(mut far: Far) -> io::Result<Option<(Bytes, Far)>> {
    while !far.left.is_empty() {
        let mut reading = match far.open.take() {
            Some(reading) => reading,
            None => open(&mut far).await?,
        };
        match patient(far.has_more(), reading.next()).await {
            Some(Ok(bytes)) if !bytes.is_empty() => {
                far.left.start += bytes.len() as u64;
                far.open = Some(reading);
                return Ok(Some((bytes, far)));
            }
            Some(Ok(_)) => far.open = Some(reading),
            Some(Err(error)) => {
                tracing::warn!(%error, object = %far.object, "a copy broke while it was read");
            }
            None => tracing::warn!(object = %far.object, "a copy ended too soon or was too slow"),
        }
    }
    Ok(None)
}

/// Waits for a store: not long while there are others to ask.
async fn patient<T>(others: bool, answer: impl Future<Output = Option<T>>) -> Option<T> {
    if !others {
        return answer.await;
    }
    tokio::time::timeout(Duration::from_millis(REACH_PATIENCE_MS), answer).await.ok().flatten()
}

/// Opens what is left in the next copy.
async fn open(far: &mut Far) -> io::Result<Reading> {
    if far.copies.is_none() {
        far.copies = Some(copies(&far.reach, far.object).await.map_err(io::Error::other)?);
    }
    while let Some(copy) = far.copies.as_mut().and_then(VecDeque::pop_front) {
        let Some(store) = far.reach.stores.get(&copy.store).map(|opened| Arc::clone(&opened.store)) else {
            continue;
        };
        let (left, more) = (far.left.clone(), far.has_more());
        let answer = async { Some(store.read(&copy.key, left).await) };
        match patient(more, answer).await {
            Some(Ok(reading)) => return Ok(reading),
            Some(Err(error)) => tracing::warn!(%error, store = copy.store, "a copy cannot be read"),
            None => tracing::warn!(store = copy.store, "a store is too slow"),
        }
    }
    Err(io::Error::other(RemoteError::Absent))
}

/// The good copies of an object: in stores that answer before those that do not, and archives last.
async fn copies(reach: &Reach, object: ObjectId) -> Result<VecDeque<Replica>, matinee_io::db::DbError> {
    let states = reach.db.store_states().await?;
    let away = |copy: &Replica| states.iter().any(|state| state.name == copy.store && state.away.is_some());
    let deep = |copy: &Replica| reach.archives.contains(&copy.store);
    let mut copies = reach.db.replicas(object).await?;
    if let Some(lost) = copies.iter().find(|copy| copy.store == LOCAL && copy.state.is_good()) {
        // Whoever asks here has not found the file: it is made good again.
        reach.db.found(lost.id, Finding::Missing, now()).await?;
    }
    copies.retain(|copy| copy.state.is_good() && reach.stores.get(&copy.store).is_some());
    copies.sort_by_key(|copy| (away(copy), deep(copy)));
    Ok(copies.into())
}
