//! Uploads as their owners see them: listed, shown, given up.

use matinee_core::id::{AppId, UploadId, VideoId};
use matinee_core::upload::{Phase, Way};
use matinee_io::db::{Upload, Video};

use super::direct::{self, Direct};
use super::{AppendFailure, terminate};
use crate::flow::{Failure, now};
use crate::node::Node;

/// An upload with its video, when there is one.
pub(crate) struct Listed {
    pub(crate) upload: Upload,
    pub(crate) video: Option<Video>,
    /// Its bytes stopped coming, or the host that they go to does not answer.
    pub(crate) stalled: bool,
    /// What there is of it at the host that it goes straight to.
    pub(crate) direct: Option<Direct>,
}

/// A page of uploads of an app, the newest first.
pub(crate) async fn list(
    node: &Node,
    app: AppId,
    phases: &[Phase],
    before: Option<UploadId>,
    limit: u32,
) -> Result<Vec<Listed>, Failure> {
    let mut all = Vec::new();
    for upload in node.db.uploads(app, phases, before, limit).await? {
        all.push(with_video(node, upload).await?);
    }
    Ok(all)
}

/// One upload of an app.
pub(crate) async fn show(node: &Node, app: AppId, id: UploadId) -> Result<Listed, Failure> {
    let upload = node.db.upload(app, id).await?.ok_or(Failure::Absent)?;
    with_video(node, upload).await
}

/// The upload whose bytes are still arriving for this video; a video's link works from the first second.
pub(crate) async fn arriving(node: &Node, app: AppId, video: VideoId) -> Result<Upload, Failure> {
    let upload = node.db.upload_of_video(app, video).await?;
    upload.filter(|upload| upload.state.phase() == Phase::Open).ok_or(Failure::Absent)
}

/// An upload with what belongs to it.
pub(super) async fn with_video(node: &Node, upload: Upload) -> Result<Listed, Failure> {
    let video = match upload.state.phase() {
        Phase::Finished => node.db.video_any(upload.video).await?,
        Phase::Open | Phase::Cancelled | Phase::Expired | Phase::Lost => None,
    };
    let direct = direct::at_host(node, &upload).await?;
    let stalled = upload.state.has_stalled(upload.updated, now())
        || direct.as_ref().is_some_and(|direct| direct.away.is_some());
    Ok(Listed { upload, video, stalled, direct })
}

/// Gives an upload up by its id; a running request of it is ended first.
pub(crate) async fn give_up(node: &Node, app: AppId, id: UploadId) -> Result<(), AppendFailure> {
    let upload = node.db.upload(app, id).await?.ok_or(Failure::Absent)?;
    match upload.state.phase() {
        Phase::Open | Phase::Cancelled if upload.way == Way::Direct => {
            Ok(direct::give_up(node, &upload).await?)
        }
        Phase::Open | Phase::Cancelled => terminate(node, app, &upload.url_key).await,
        Phase::Finished => {
            let human = "The upload is complete and has become a video; delete the video instead.".to_owned();
            Err(Failure::Refused { conflict: true, human }.into())
        }
        Phase::Expired | Phase::Lost => {
            let human = "The upload is over already.".to_owned();
            Err(Failure::Refused { conflict: true, human }.into())
        }
    }
}
