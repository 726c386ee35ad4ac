//! Videos as their owners and viewers see them: listed, shown, changed, deleted, and what happened to them.

use matinee_core::id::{AppId, VideoId};
use matinee_core::time::Millis;
use matinee_core::video::{Policy, State};
use matinee_io::db::VideoFilter;
use matinee_io::db::job::Job;
pub(crate) use matinee_io::db::{Moment, Rendition};

pub(crate) use super::whole::{Whole, show};
use super::whole::{jobs, whole};
use super::{Failure, now};
use crate::node::Node;

/// Which videos to list.
pub(crate) struct Wanted {
    pub(crate) state: Option<State>,
    pub(crate) search: Option<String>,
    pub(crate) before: Option<VideoId>,
    pub(crate) limit: u32,
}

/// What happened to a video, with its jobs as they are now.
pub(crate) struct History {
    pub(crate) moments: Vec<Moment>,
    pub(crate) jobs: Vec<Job>,
}

/// Videos of an app, the newest first.
pub(crate) async fn list(node: &Node, app: AppId, wanted: Wanted) -> Result<Vec<Whole>, Failure> {
    let filter = VideoFilter {
        states: wanted.state.into_iter().collect(),
        search: wanted.search,
        ..VideoFilter::default()
    };
    let videos = node.db.videos(app, &filter, wanted.before, wanted.limit).await?;
    let mut all = Vec::with_capacity(videos.len());
    for video in videos {
        all.push(whole(node, video).await?);
    }
    Ok(all)
}

/// Changes the title or who may watch; what is `None` stays.
pub(crate) async fn change(
    node: &Node,
    (app, id): (AppId, VideoId),
    title: Option<&str>,
    policy: Option<Policy>,
) -> Result<Whole, Failure> {
    node.db.update_video((app, id), title, policy, now()).await?;
    // The title is the name of downloads.
    node.shelf.forget(id);
    show(node, Some(app), id).await
}

/// Nothing more of a video begins to be encoded before this moment, or again as soon as there is a slot.
pub(crate) async fn put_off(
    node: &Node,
    video: (AppId, VideoId),
    run_after: Option<Millis>,
) -> Result<(), Failure> {
    Ok(node.db.put_off_video(video, run_after, now()).await?)
}

/// Deletes a video: nobody can watch it any more, and its bytes go.
pub(crate) async fn delete(node: &Node, app: AppId, id: VideoId) -> Result<(), Failure> {
    node.db.delete_video(app, id, now()).await?;
    node.shelf.forget(id);
    node.thumbnails.forget(id);
    Ok(())
}

/// All that happened to a video, the oldest first; also to one that is not yet complete, or deleted.
pub(crate) async fn timeline(node: &Node, app: AppId, id: VideoId) -> Result<History, Failure> {
    let moments = node.db.timeline(app, id).await?;
    if moments.is_empty() {
        return Err(Failure::Absent);
    }
    Ok(History { moments, jobs: jobs(node, app, id).await? })
}
