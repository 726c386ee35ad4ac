//! The last bytes of a source, sent before the others: with the index in them it can be played while the rest arrives.
//!
//! They are a help and no part of the upload: its offset does not move, and the same bytes come again at their place.

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use matinee_core::id::{AppId, ObjectId};
use matinee_core::limits;
use matinee_core::media::boxes::HEADER_MAX;
use matinee_core::media::index::begins_with_index;
use matinee_core::upload::Phase;
use matinee_io::db::Stored;
use matinee_io::{random, store};

use super::{Failure, now};
use crate::node::Node;

/// How the sending of a tail ended.
pub(crate) enum Ended {
    /// It is durable.
    Kept,
    /// It is longer than the limit or than its source.
    TooLong,
    /// It does not begin with the whole index of an MP4.
    NoIndex,
    /// It broke off, or came too slowly.
    Broken,
}

/// Keeps the last bytes of the upload with this key: `body` reaches to the end of the source.
pub(crate) async fn keep<S, E>(node: &Node, app: AppId, key: &str, body: S) -> Result<Ended, Failure>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
{
    let upload = node.db.upload_by_key(key).await?.filter(|upload| upload.app == app);
    let upload = upload.filter(|upload| upload.state.phase() == Phase::Open).ok_or(Failure::Absent)?;
    let Some(size) = upload.size else {
        let human = "The length of the upload must be known before its end can be sent.".to_owned();
        return Err(Failure::Refused { conflict: true, human });
    };
    if node.store.free_bytes()?
        < limits::EARLY_INDEX_BYTES_MAX.saturating_add(node.config.ingest.keep_free_bytes)
    {
        return Err(Failure::Full);
    }
    let object: ObjectId = random::id();
    node.db.intend_tail(upload.id, object, now()).await?;
    let (ended, written) = written(node, object, body, size.min(limits::EARLY_INDEX_BYTES_MAX)).await?;
    match written {
        Some(written) => {
            let stored = Stored { object, size: written.size, blake3: written.blake3 };
            let kept = node.db.keep_tail(upload.id, stored, now()).await;
            if kept.is_err() {
                node.db.drop_objects(&[object], now()).await?;
            }
            kept?;
        }
        None => node.db.drop_objects(&[object], now()).await?,
    }
    Ok(ended)
}

/// Writes the body to a new object. What is no use ends as an object that is dropped.
async fn written<S, E>(
    node: &Node,
    object: ObjectId,
    mut body: S,
    bytes_max: u64,
) -> Result<(Ended, Option<store::Written>), Failure>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
{
    let store = node.store.clone();
    let mut writer = blocking(move || Ok(store.create(object)?)).await?;
    let mut first = BytesMut::new();
    let mut size = 0;
    let idle = std::time::Duration::from_millis(limits::BODY_IDLE_MS);
    loop {
        let bytes = match tokio::time::timeout(idle, body.next()).await {
            Ok(Some(Ok(bytes))) => bytes,
            Ok(None) => break,
            Ok(Some(Err(_))) | Err(_) => return Ok((Ended::Broken, None)),
        };
        size += bytes.len() as u64;
        if size > bytes_max {
            return Ok((Ended::TooLong, None));
        }
        let wanted = HEADER_MAX.saturating_sub(first.len()).min(bytes.len());
        first.extend_from_slice(&bytes[..wanted]);
        writer = blocking(move || writer.append(&bytes).map(|()| writer).map_err(Failure::from)).await?;
    }
    if !begins_with_index(&first, size) {
        return Ok((Ended::NoIndex, None));
    }
    let written = blocking(move || Ok(writer.finish()?)).await?;
    Ok((Ended::Kept, Some(written)))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| Err(Failure::Never(panic.to_string())))
}
