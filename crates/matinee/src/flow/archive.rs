//! A source that only an archive has comes back into the data directory.

use matinee_core::id::{AppId, VideoId};

use super::{Failure, home};
use crate::node::Node;

/// How a wish to have a source back was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restored {
    /// It is here.
    Here,
    /// It is on its way.
    Coming,
}

/// Brings the source of a video back into the data directory.
pub(crate) async fn restore(node: &Node, (app, id): (AppId, VideoId)) -> Result<Restored, Failure> {
    let video = node.db.video(app, id).await?.ok_or(Failure::Absent)?;
    if let Some(source) = video.source {
        if node.store.exists(source).await? {
            return Ok(Restored::Here);
        }
        if home::bring(node, source).await? {
            return Ok(Restored::Coming);
        }
    }
    let human = "No store has a good copy of this source.".to_owned();
    Err(Failure::Refused { conflict: true, human })
}
