//! A video with all that its page and its watchers are shown.

use matinee_core::id::{AppId, VideoId};
use matinee_core::video::{Policy, RenditionState, State};
use matinee_io::db::job::{Filter, Job};
use matinee_io::db::{Caption, Rendition, Video};

use super::Failure;
use crate::node::Node;

/// No plan makes so many jobs: chunks of 12 hours and some files.
const JOBS_MAX: u32 = 20_000;

/// A video with all that its page shows.
pub(crate) struct Whole {
    pub(crate) video: Video,
    pub(crate) renditions: Vec<Rendition>,
    pub(crate) captions: Vec<Caption>,
    /// Its jobs; none when nothing of it is being made any more, because nobody asks then.
    pub(crate) jobs: Vec<Job>,
    /// The length of the source in bytes.
    pub(crate) source_bytes: u64,
}

/// One video, if somebody of `app` may see it; without an app only what is public.
pub(crate) async fn show(node: &Node, app: Option<AppId>, id: VideoId) -> Result<Whole, Failure> {
    let video = node.db.video_any(id).await?.filter(|video| permitted(video, app));
    whole(node, video.ok_or(Failure::Absent)?).await
}

/// May somebody of `app` see it? Without an app only what is public.
fn permitted(video: &Video, app: Option<AppId>) -> bool {
    video.deleted.is_none() && (app == Some(video.app) || video.policy == Policy::Public)
}

/// Loads what belongs to a video.
pub(super) async fn whole(node: &Node, video: Video) -> Result<Whole, Failure> {
    let renditions = node.db.renditions(video.id).await?;
    let captions = node.db.captions(video.id).await?;
    let jobs = match video.state {
        State::Ready if !renditions.iter().any(is_open) => Vec::new(),
        State::Processing | State::Failed | State::Ready => jobs(node, video.app, video.id).await?,
    };
    let size = node.store.size(video.source).await.map_err(|error| Failure::Again(error.to_string()))?;
    Ok(Whole { video, renditions, captions, jobs, source_bytes: size.unwrap_or_default() })
}

/// Is something of a video that is ready still being made?
pub(super) async fn in_background(node: &Node, video: &Video) -> Result<bool, Failure> {
    let planned = video.plan.as_ref().and_then(|plan| plan.get("video")?.get("background"));
    if video.state != State::Ready || planned.is_none() {
        return Ok(false);
    }
    Ok(node.db.renditions(video.id).await?.iter().any(is_open))
}

/// Will more of a rendition of the background come?
fn is_open(one: &Rendition) -> bool {
    one.background && matches!(one.state, RenditionState::Waiting | RenditionState::Encoding)
}

/// The jobs of a video.
pub(super) async fn jobs(node: &Node, app: AppId, video: VideoId) -> Result<Vec<Job>, Failure> {
    let filter = Filter { app: Some(app), video: Some(video), state: None, before: None, limit: JOBS_MAX };
    Ok(node.db.jobs(&filter).await?)
}
