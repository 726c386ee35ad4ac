//! What arrived, read again: by its sender, and for a checksum of the whole.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use matinee_core::id::{AppId, ObjectId};
use matinee_core::upload::checksum::{Algorithm, Hasher};
use matinee_core::upload::{Refusal, State};
use matinee_io::store::Piece;

use super::{AppendFailure, Upload, gone_is_over, load};
use crate::flow::Failure;
use crate::node::Node;

/// The bytes of a finished upload.
pub(crate) struct Content<S> {
    /// How many.
    pub(crate) len: u64,
    pub(crate) bytes: S,
}

/// The bytes of a finished upload, for its sender.
pub(crate) async fn content(
    node: &Node,
    app: AppId,
    key: &str,
) -> Result<Content<impl Stream<Item = io::Result<Bytes>> + Send + use<>>, AppendFailure> {
    let record = gone_is_over(load(node, app, key).await?)?;
    let len = match record.state {
        State::Finished { size } => size,
        State::Open { offset, size } => {
            let missing = size.map_or(1, |size| size.saturating_sub(offset)).max(1);
            return Err(Refusal::Incomplete { missing }.into());
        }
        State::Cancelled | State::Expired | State::Lost => unreachable!("because gone_is_over refused them"),
    };
    let pieces = pieces(node, &record, len).await?;
    for piece in &pieces {
        let Piece::Object { object, .. } = piece else { continue };
        // The ladder may have replaced the source.
        if !node.store.exists(*object).await.map_err(Failure::from)? {
            return Err(Failure::Absent.into());
        }
    }
    Ok(Content { len, bytes: node.store.stream(pieces) })
}

/// The SHA-256 of a finished upload.
pub(crate) async fn sha256(node: &Node, app: AppId, key: &str) -> Result<[u8; 32], AppendFailure> {
    let record = gone_is_over(load(node, app, key).await?)?;
    let State::Finished { size } = record.state else {
        return Err(Refusal::Incomplete { missing: 1 }.into());
    };
    Ok(hashed(node, pieces(node, &record, size).await?).await?)
}

/// The SHA-256 of the first `size` bytes of an object.
pub(super) async fn sha256_of(node: &Node, object: ObjectId, size: u64) -> Result<[u8; 32], Failure> {
    hashed(node, vec![Piece::Object { object, offset: 0, len: size }]).await
}

/// Where the bytes lie: in the object, or still in the parts that a job is joining.
async fn pieces(node: &Node, record: &Upload, len: u64) -> Result<Vec<Piece>, Failure> {
    let parts = if record.is_final() { node.db.parts_of_final(record.id).await? } else { Vec::new() };
    if parts.is_empty() {
        return Ok(vec![Piece::Object { object: record.object, offset: 0, len }]);
    }
    let piece =
        |part: &matinee_io::db::FinalPart| Piece::Object { object: part.object, offset: 0, len: part.offset };
    Ok(parts.iter().map(piece).collect())
}

async fn hashed(node: &Node, pieces: Vec<Piece>) -> Result<[u8; 32], Failure> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut bytes = Box::pin(node.store.stream(pieces));
    while let Some(piece) = bytes.next().await {
        hasher.update(&piece?);
    }
    let digest = hasher.finish().digest;
    Ok(digest.try_into().expect("because a SHA-256 has 32 bytes"))
}
