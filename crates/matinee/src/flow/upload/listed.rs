//! Uploads as their owners see them: listed, shown, announced with a key that makes a repeat harmless, given up.

use matinee_core::access::sender::{self, Allowance, Grant};
use matinee_core::id::{AppId, UploadId, VideoId};
use matinee_core::upload::{Phase, Way};
use matinee_io::db::{Upload, Video};
use matinee_io::random;

use super::direct::{self, Direct};
use super::{AppendFailure, Draft, create_as, terminate};
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

async fn with_video(node: &Node, upload: Upload) -> Result<Listed, Failure> {
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

/// An upload that was announced: now, or before by the same words.
pub(crate) struct Announced {
    pub(crate) listed: Listed,
    pub(crate) fresh: bool,
}

/// Announces an upload under an address that needs no other credential. The same announcement with the same
/// repeat key within a day, or with the same external id, is the same upload.
pub(crate) async fn announce(node: &Node, draft: Draft) -> Result<Announced, Failure> {
    if let Some(known) = announced(node, &draft).await? {
        return Ok(known);
    }
    let (app, id) = (draft.app, random::id());
    let deadline = draft.allowance.deadline.unwrap_or_else(now);
    let grant = Grant {
        upload: id,
        expires_s: u32::try_from(deadline.0 / 1_000).unwrap_or(u32::MAX),
        max_bytes: draft.allowance.max_bytes.unwrap_or(node.config.uploads.max_bytes),
    };
    let key = sender::sign(&node.path_key, &grant);
    match create_as(node, draft.clone(), (id, key)).await {
        Ok(opened) => Ok(Announced { listed: show(node, app, opened.id).await?, fresh: true }),
        // Somebody announced the same in this very moment.
        Err(Failure::Refused { conflict: true, human }) => {
            announced(node, &draft).await?.ok_or(Failure::Refused { conflict: true, human })
        }
        Err(failure) => Err(failure),
    }
}

/// The upload that was announced before with the same key or name.
pub(super) async fn announced(node: &Node, draft: &Draft) -> Result<Option<Announced>, Failure> {
    let (mut known, mut by) = (None, "");
    if let Some(key) = &draft.repeat_key {
        known = node.db.upload_repeated(draft.app, key, now()).await?;
        by = "This Idempotency-Key was used for another upload within the last 24 hours.";
    }
    if let Some(name) = draft.external_id.as_ref().filter(|_| known.is_none()) {
        known = node.db.upload_named(draft.app, name).await?;
        by = "This `external_id` names another upload, or its video.";
    }
    let Some(known) = known else { return Ok(None) };
    if !is_same(&known, draft) {
        return Err(Failure::Refused { conflict: true, human: by.to_owned() });
    }
    Ok(Some(Announced { listed: with_video(node, known).await?, fresh: false }))
}

/// Was the known upload announced with the same words? When it ends may differ: each repeat is a little later.
fn is_same(known: &Upload, draft: &Draft) -> bool {
    let terms =
        |allowance: &Allowance| (allowance.max_bytes, allowance.max_duration_ms, allowance.origins.clone());
    (known.way == Way::Direct) == (draft.way == Way::Direct)
        && known.title == draft.title
        && known.metadata == draft.metadata
        && known.facts == draft.facts
        && known.collection == draft.collection
        && known.external_id == draft.external_id
        && known.pipeline == draft.pipeline
        && draft.size.is_none_or(|size| known.size == Some(size))
        && terms(&known.allowance) == terms(&draft.allowance)
}
