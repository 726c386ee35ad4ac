//! A video that is encoded again: what there is plays on until the new generation takes its place.

use matinee_core::id::{AppId, VideoId};
use matinee_io::db::{DbError, Video, Wish};
use matinee_io::random;

use super::whole::{Whole, show};
use super::{Failure, intake, now};
use crate::node::Node;

/// Begins to encode a video again, by the newest version of a pipeline; of the one that it was made by when none is named.
pub(crate) async fn begin(
    node: &Node,
    (app, id): (AppId, VideoId),
    pipeline: Option<&str>,
) -> Result<Whole, Failure> {
    let video = node.db.video(app, id).await?.ok_or(Failure::Absent)?;
    let name = pipeline.unwrap_or(&video.pipeline);
    let Some(template) = intake::usable(node, app, name).await? else {
        let human = format!("There is no pipeline `{name}` any more; name another one.");
        return Err(Failure::Refused { conflict: false, human });
    };
    let wish = Wish { app, video: id, template, bytes: bytes(&video), probe_job: random::id(), now: now() };
    if let Err(refusal) = node.db.encode_again(&wish).await? {
        return Err(Failure::Refused { conflict: true, human: refusal.to_string() });
    }
    node.shelf.forget(id);
    show(node, Some(app), id).await
}

/// About how many bytes it will have: as many as what there is. When its source has been looked at it is known better.
fn bytes(video: &Video) -> u64 {
    let plan = video.plan.as_ref();
    plan.and_then(|plan| plan.pointer("/estimate/output_bytes")?.as_u64()).unwrap_or_default()
}

/// Stops to encode a video again; what there is stays.
pub(crate) async fn cancel(node: &Node, app: AppId, id: VideoId) -> Result<Whole, Failure> {
    node.db.video(app, id).await?.ok_or(Failure::Absent)?;
    match node.db.cancel_remake(app, id, now()).await {
        Err(DbError::Absent) => {
            let human = "This video is not being encoded again; there is nothing to cancel.".to_owned();
            Err(Failure::Refused { conflict: true, human })
        }
        Err(error) => Err(error.into()),
        Ok(()) => show(node, Some(app), id).await,
    }
}
