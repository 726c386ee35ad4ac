//! A video with all that its page and its watchers are shown.

use matinee_core::id::{AppId, VideoId};
use matinee_core::video::{Policy, State};
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
    /// Its jobs; none when it is ready, because nobody asks then.
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
        State::Processing | State::Failed => jobs(node, video.app, video.id).await?,
        State::Ready => Vec::new(),
    };
    let size = node.store.size(video.source).await.map_err(|error| Failure::Again(error.to_string()))?;
    Ok(Whole { video, renditions, captions, jobs, source_bytes: size.unwrap_or_default() })
}

/// The jobs of a video.
pub(super) async fn jobs(node: &Node, app: AppId, video: VideoId) -> Result<Vec<Job>, Failure> {
    let filter = Filter { app: Some(app), video: Some(video), state: None, before: None, limit: JOBS_MAX };
    Ok(node.db.jobs(&filter).await?)
}
