//! Uploads as their owners see them: listed, shown, announced with a key that makes a repeat harmless, given up.

use matinee_core::hash;
use matinee_core::id::{AppId, UploadId, VideoId};
use matinee_core::upload::Phase;
use matinee_io::db::{Upload, Video};

use super::{AppendFailure, Draft, create_as, terminate};
use crate::flow::{Failure, now, upload_key};
use crate::node::Node;

/// A repeat with the same key within this time is the same upload, in milliseconds.
const REPEAT_MS: i64 = 86_400_000;
/// So often a key may be used again after that time; each use costs one look.
const REUSES_MAX: u32 = 1_000;

/// An upload with its video, when there is one.
pub(crate) struct Listed {
    pub(crate) upload: Upload,
    pub(crate) video: Option<Video>,
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
    Ok(Listed { upload, video })
}

/// Gives an upload up by its id; a running request of it is ended first.
pub(crate) async fn give_up(node: &Node, app: AppId, id: UploadId) -> Result<(), AppendFailure> {
    let upload = node.db.upload(app, id).await?.ok_or(Failure::Absent)?;
    match upload.state.phase() {
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

/// Announces an upload. With a `repeat` key the same announcement within a day gives the same upload.
pub(crate) async fn announce(node: &Node, draft: Draft, repeat: Option<&str>) -> Result<Listed, Failure> {
    let app = draft.app;
    let Some(repeat) = repeat else {
        let opened = create_as(node, draft, upload_key()).await?;
        return show(node, app, opened.id).await;
    };
    for use_number in 0..REUSES_MAX {
        // The key of an upload's address must not be guessed, so the server's own secret goes in.
        let seed = format!("upload {app} {use_number} {repeat}");
        let secret = node.path_key.secret;
        let hash = hash::of(&[&secret, seed.as_bytes()].concat());
        let key = format!(
            "{:032x}",
            u128::from_le_bytes(*hash.first_chunk().expect("because a hash has 32 bytes"))
        );
        let mut known = node.db.upload_by_key(&key).await?;
        if known.is_none() {
            match create_as(node, draft.clone(), key.clone()).await {
                Ok(opened) => return show(node, app, opened.id).await,
                // Somebody announced the same in this very moment.
                Err(Failure::Refused { conflict: true, human: _ }) => {
                    known = node.db.upload_by_key(&key).await?;
                }
                Err(failure) => return Err(failure),
            }
        }
        let known = known.ok_or(Failure::Absent)?;
        if now().since(known.created) > REPEAT_MS {
            continue;
        }
        let same = known.title == draft.title && known.metadata == draft.metadata;
        if !same || known.size.is_some_and(|size| Some(size) != draft.size) {
            let human =
                "This Idempotency-Key was used for another upload within the last 24 hours.".to_owned();
            return Err(Failure::Refused { conflict: true, human });
        }
        return with_video(node, known).await;
    }
    Err(Failure::Refused {
        conflict: true,
        human: "This Idempotency-Key was used too often; take another.".to_owned(),
    })
}
