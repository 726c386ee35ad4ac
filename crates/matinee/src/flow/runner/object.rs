//! The bytes of a runner: it reads one source, and writes the outputs of its attempt, in pieces.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use matinee_core::access::path::Refusal;
use matinee_core::access::runner::{Way, verify};
use matinee_core::id::{ObjectId, RunnerId};
use matinee_core::limits;
use matinee_io::store::{Inbox, StoreError};

use crate::flow::{Failure, now};
use crate::node::Node;

/// What an address opens to the runner that shows it.
pub(crate) struct Place {
    pub(crate) object: ObjectId,
    pub(crate) way: Way,
}

/// Reads an address; another runner's is as good as none.
pub(crate) fn opened(node: &Node, runner: RunnerId, pass: &str) -> Result<Place, Refusal> {
    let pass = verify(std::slice::from_ref(&node.path_key), pass, now())?;
    if pass.runner != runner {
        return Err(Refusal::Wrong);
    }
    Ok(Place { object: pass.object, way: pass.way })
}

/// The length of a source.
pub(crate) async fn size(node: &Node, object: ObjectId) -> Result<u64, Failure> {
    node.store.size(object).await?.ok_or(Failure::Absent)
}

/// How receiving ended.
pub(crate) enum Received {
    /// So many bytes are there now.
    Now(u64),
    /// The lease is lost, or the job is not wanted any more.
    Lost,
    /// It would leave a hole: so many bytes are there.
    Elsewhere(u64),
    /// It is longer than anything that a plan allows.
    TooLong,
}

/// How many bytes of an output are here; `None` when the runner may not write it any more.
pub(crate) async fn measure(node: &Node, runner: RunnerId, object: ObjectId) -> Result<Option<u64>, Failure> {
    if !node.db.runner_writes(object, runner, now()).await? {
        return Ok(None);
    }
    Ok(Some(node.store.size(object).await?.unwrap_or(0)))
}

/// Writes `body` from `first` on; the whole will have `total` bytes.
pub(crate) async fn receive<S, E>(
    node: &Node,
    (runner, object): (RunnerId, ObjectId),
    (first, total): (u64, u64),
    mut body: S,
) -> Result<Received, Failure>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
{
    if !node.db.runner_writes(object, runner, now()).await? {
        return Ok(Received::Lost);
    }
    if total > limits::RUNNER_OUTPUT_BYTES_MAX {
        return Ok(Received::TooLong);
    }
    if node.store.free_bytes()? < total.saturating_add(node.config.ingest.keep_free_bytes) {
        return Err(Failure::Full);
    }
    let Some(inbox) = shut(node, (runner, object)).await? else { return Ok(Received::Lost) };
    let had = blocking(&inbox, Inbox::len).await?;
    if first > had {
        return Ok(Received::Elsewhere(had));
    }
    let mut at = first;
    let idle = Duration::from_millis(limits::BODY_IDLE_MS);
    while let Ok(Some(Ok(bytes))) = tokio::time::timeout(idle, body.next()).await {
        let end = at + bytes.len() as u64;
        if end > total {
            return Ok(Received::TooLong);
        }
        blocking(&inbox, move |inbox| inbox.write(at, &bytes)).await?;
        at = end;
    }
    // What an earlier, longer try has left behind the end.
    blocking(&inbox, move |inbox| inbox.cut(total)).await?;
    Ok(Received::Now(blocking(&inbox, Inbox::len).await?))
}

/// Opens the file of an output for one writer. The rows are asked once more when the file is there: from then on whoever
/// gives the object up finds it.
async fn shut(node: &Node, (runner, object): (RunnerId, ObjectId)) -> Result<Option<Arc<Inbox>>, Failure> {
    let store = node.store.clone();
    let opened = tokio::task::spawn_blocking(move || store.inbox(object)).await;
    let opened = opened.map_err(|panic| Failure::Never(panic.to_string()))??;
    let inbox = opened.ok_or_else(|| Failure::Again("an earlier connection still writes".to_owned()))?;
    if node.db.runner_writes(object, runner, now()).await? {
        return Ok(Some(Arc::new(inbox)));
    }
    if inbox.is_new() {
        node.store.remove(object).await?;
    }
    Ok(None)
}

async fn blocking<T: Send + 'static>(
    inbox: &Arc<Inbox>,
    work: impl FnOnce(&Inbox) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Failure> {
    let inbox = Arc::clone(inbox);
    let done = tokio::task::spawn_blocking(move || work(&inbox)).await;
    Ok(done.map_err(|panic| Failure::Never(panic.to_string()))??)
}
