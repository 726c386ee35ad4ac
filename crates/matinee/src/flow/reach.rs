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

/// Streams the pieces in order. Files that are here cost nothing more than before; where one is not, or breaks, the rest of it
/// comes from a store.
pub(crate) fn stream(
    node: &Node,
    pieces: Vec<Piece>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
    if node.stores.is_empty() {
        return node.store.stream(pieces).left_stream();
    }
    let reach = Reach::of(node);
    let all_here = !pieces.iter().any(|piece| is_absent(&reach, piece));
    let open = all_here.then(|| (Whence::All, node.store.stream(pieces.clone()).boxed()));
    let way = Way { reach, open, left: pieces.into() };
    stream::try_unfold(way, Way::next).right_stream()
}

/// Where the bytes come from that are being sent.
#[derive(Debug, Clone, Copy)]
enum Whence {
    /// From the files here, all that is left.
    All,
    /// From the file here, the first piece.
    Here,
    /// From a store, the first piece.
    Far,
}

/// How far a body is.
struct Way {
    reach: Reach,
    open: Option<(Whence, BoxStream<'static, io::Result<Bytes>>)>,
    /// What is missing still.
    left: VecDeque<Piece>,
}

impl Way {
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        loop {
            let Some((from, open)) = self.open.as_mut() else {
                self.pass(0);
                let Some(piece) = self.left.front() else { return Ok(None) };
                let from = if is_absent(&self.reach, piece) { Whence::Far } else { Whence::Here };
                self.open = Some(self.one(from));
                continue;
            };
            let from = *from;
            match open.next().await {
                Some(Ok(bytes)) => {
                    self.pass(bytes.len() as u64);
                    return Ok(Some((bytes, self)));
                }
                None => self.open = None,
                Some(Err(error)) => {
                    let Some(Piece::Object { object, .. }) = self.left.front() else { return Err(error) };
                    tracing::warn!(%error, %object, ?from, "a file broke while it was read");
                    self.open = match from {
                        // Which of them it is shows when each comes alone.
                        Whence::All => None,
                        Whence::Here => Some(self.one(Whence::Far)),
                        Whence::Far => return Err(error),
                    };
                }
            }
        }
    }

    /// The first piece.
    fn one(&self, from: Whence) -> (Whence, BoxStream<'static, io::Result<Bytes>>) {
        let pieces = self.left.front().cloned();
        let bytes = match (from, pieces) {
            (Whence::Far, Some(Piece::Object { object, offset, len })) => {
                far(self.reach.clone(), object, offset..offset + len)
            }
            (Whence::All | Whence::Here | Whence::Far, piece) => {
                self.reach.store.stream(piece.into_iter().collect()).boxed()
            }
        };
        (from, bytes)
    }

    /// So many bytes more are behind us.
    fn pass(&mut self, mut bytes: u64) {
        while let Some(front) = self.left.front_mut() {
            if front.len() > bytes {
                front.skip(bytes);
                return;
            }
            bytes -= front.len();
            self.left.pop_front();
        }
    }
}

fn is_absent(reach: &Reach, piece: &Piece) -> bool {
    match piece {
        Piece::Object { object, .. } => matches!(reach.store.file(*object), Err(StoreError::Absent(_))),
        Piece::Literal(_) | Piece::File { .. } => false,
    }
}

/// A few bytes of an object, all in memory.
pub(crate) async fn read_at(
    node: &Node,
    object: ObjectId,
    offset: u64,
    len: usize,
) -> Result<Bytes, Failure> {
    match node.store.read_at(object, offset, len).await {
        Err(StoreError::Absent(_) | StoreError::Short(_) | StoreError::Io(_)) if !node.stores.is_empty() => {
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
        // Whoever asks here has not found the file, or could not read it: it is made good again.
        let finding = match reach.store.file(object) {
            Ok(_) => Finding::Unreadable,
            Err(_) => Finding::Missing,
        };
        reach.db.found(lost.id, finding, now()).await?;
    }
    copies.retain(|copy| copy.state.is_good() && reach.stores.get(&copy.store).is_some());
    copies.sort_by_key(|copy| (away(copy), deep(copy)));
    Ok(copies.into())
}
