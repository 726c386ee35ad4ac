//! Final uploads: created of parts, and where they are, which is where their parts are.

use matinee_core::id::{AppId, UploadId};
use matinee_core::upload::Phase;
use matinee_io::random;

use super::hold::ours;
use super::{AppendFailure, Draft, Opened, gone_is_over, load, opened, reserved};
use crate::flow::{Failure, upload_key};
use crate::node::Node;

/// Creates the final upload of parts, which are named by the keys of their addresses. It becomes a video when the
/// last of them is there.
pub(crate) async fn create_final(
    node: &Node,
    draft: Draft,
    concat: &str,
    keys: &[String],
) -> Result<Opened, Failure> {
    let app = draft.app;
    let mut parts: Vec<UploadId> = Vec::with_capacity(keys.len());
    let mut bytes = 0_u64;
    for key in keys {
        let part = load(node, app, key).await?;
        if !part.is_partial() {
            return Err(Failure::Absent);
        }
        bytes = bytes.saturating_add(part.size.unwrap_or(part.offset));
        parts.push(part.id);
    }
    if bytes > node.config.uploads.max_bytes {
        return Err(Failure::Refused {
            conflict: false,
            human: format!("The parts have {bytes} bytes together, more than this server takes."),
        });
    }
    let key = upload_key();
    let new = reserved(node, draft, (random::id(), key.clone()));
    node.db.create_final(&new, concat, &parts).await?;
    Ok(opened(load(node, app, &key).await?))
}

/// Where an upload is. A request that is writing it is ended and flushed first, so the offset is all that arrived. A
/// final upload is as far as its parts are.
pub(crate) async fn status(node: &Node, app: AppId, key: &str) -> Result<Opened, AppendFailure> {
    let record = load(node, app, key).await?;
    if record.is_final() && record.state.phase() == Phase::Open {
        let parts = node.db.parts_of_final(record.id).await?;
        let mut shown = opened(record);
        shown.offset = parts.iter().map(|part| part.offset).sum();
        shown.size = parts.iter().map(|part| part.size).sum();
        return Ok(shown);
    }
    let turn = node.turns.take(key).await.ok_or(AppendFailure::Busy)?;
    let record = ours(node, load(node, app, key).await?, None).await?;
    drop(turn);
    Ok(opened(gone_is_over(record)?))
}
