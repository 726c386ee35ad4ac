//! Jobs as operators see them: listed in groups, looked at closely, put in another order, run again, cancelled, paused.

use matinee_core::id::{AppId, JobId, VideoId};
use matinee_core::job::{State, Task};
use matinee_core::time::Millis;
use matinee_core::video::Medium;
use matinee_io::db::DbError;
use matinee_io::db::job::Filter;

pub(crate) use super::board::{
    Board, Closer, Group, Groups, Job, Run, Shown, Wish, board, closer, done, hide_holder,
};
use super::{Failure, now};
use crate::node::Node;

/// Which jobs to list.
pub(crate) struct Wanted {
    pub(crate) state: Option<State>,
    pub(crate) video: Option<VideoId>,
    pub(crate) before: Option<JobId>,
    pub(crate) limit: u32,
}

/// Jobs of an app, the newest first.
pub(crate) async fn list(node: &Node, app: AppId, wanted: &Wanted) -> Result<Vec<Job>, Failure> {
    let filter = Filter {
        app: Some(app),
        video: wanted.video,
        state: wanted.state,
        before: wanted.before,
        limit: wanted.limit,
    };
    let mut jobs = node.db.jobs(&filter).await?;
    for job in &mut jobs {
        hide_holder(node, job);
    }
    Ok(jobs)
}

/// Runs a job again that was given up.
pub(crate) async fn retry(node: &Node, app: AppId, id: JobId) -> Result<Job, Failure> {
    let told = node.db.retry_job(app, id, now()).await;
    let refused =
        "Only a job that was given up can be run again, and not one that fell with another: run that one.";
    let job = after(node, app, id, told, refused).await?;
    if let Some(video) = job.video {
        node.shelf.forget(video);
    }
    Ok(job)
}

/// Makes a rendition again that failed: runs the job again whose death it was.
pub(crate) async fn retry_rendition(
    node: &Node,
    app: AppId,
    video: VideoId,
    name: &str,
) -> Result<Job, Failure> {
    let encoding = node.db.video(app, video).await?.ok_or(Failure::Absent)?.encoding;
    let ladder: Vec<_> =
        node.db.renditions(video).await?.into_iter().filter(|row| row.generation == encoding).collect();
    let refused = || Failure::Refused {
        conflict: true,
        human: "Only a rendition that failed can be made again, and its job must still be known.".to_owned(),
    };
    let mine = ladder.iter().find(|row| row.name == name).ok_or_else(refused)?;
    let sound = ladder.iter().filter(|row| row.medium == Medium::Audio).position(|row| row.id == mine.id);
    let sound = sound.and_then(|number| u32::try_from(number).ok());
    let wanted = Wanted { state: Some(State::Dead), video: Some(video), before: None, limit: u32::MAX };
    let dead = list(node, app, &wanted).await?;
    // Its own job first; else one without which nothing is made.
    let own = |job: &&Job| match job.task {
        Some(Task::Assemble { rendition, .. }) => rendition == mine.id,
        Some(Task::Audio { track, .. }) => Some(track) == sound,
        _ => false,
    };
    let shared = |job: &&Job| {
        matches!(job.task, Some(Task::Chunk { .. } | Task::Remux { .. } | Task::Audio { track: 0, .. }))
    };
    // A job that fell with another one has never run, and those of an earlier generation made other renditions.
    let cause = || dead.iter().filter(|job| job.started.is_some() && job.generation == encoding);
    let found = cause().find(own).or_else(|| cause().find(shared));
    retry(node, app, found.ok_or_else(refused)?.id).await
}

/// Puts a job, or all open ones of its video, before or behind others; a higher priority goes first.
pub(crate) async fn put(
    node: &Node,
    (app, id): (AppId, JobId),
    priority: i64,
    with_video: bool,
) -> Result<Job, Failure> {
    let told = node.db.put_job((app, id), -priority, with_video).await;
    after(node, app, id, told, "The job is over already; its order does not matter any more.").await
}

/// Cancels a job; one that runs is asked to stop.
pub(crate) async fn cancel(node: &Node, app: AppId, id: JobId) -> Result<Job, Failure> {
    let (job, _) = node.db.job(app, id).await?.ok_or(Failure::Absent)?;
    if matches!(job.task, Some(Task::Erase { .. })) {
        let human =
            "What is being deleted cannot be kept any more; this job must come to its end.".to_owned();
        return Err(Failure::Refused { conflict: true, human });
    }
    if matches!(job.task, Some(Task::Copy { .. })) {
        let human =
            "The configuration asks for this copy, so it would be made anew; drain the store instead."
                .to_owned();
        return Err(Failure::Refused { conflict: true, human });
    }
    let told = node.db.cancel_job(app, id, now()).await.map(|_| ());
    after(node, app, id, told, "The job is over already; there is nothing to cancel.").await
}

/// No new work of an app begins from now on, or again. What runs goes on. Since when it is paused.
pub(crate) async fn pause(node: &Node, app: AppId, paused: bool) -> Result<Option<Millis>, Failure> {
    if paused && node.db.paused(app).await?.is_some() {
        return Ok(node.db.paused(app).await?);
    }
    node.db.pause_app(app, paused.then(now)).await?;
    Ok(node.db.paused(app).await?)
}

/// The job as it is after an order; `Absent` of a job that exists means that its state forbade the order.
async fn after(
    node: &Node,
    app: AppId,
    id: JobId,
    told: Result<(), DbError>,
    refused: &str,
) -> Result<Job, Failure> {
    let (mut job, _) = node.db.job(app, id).await?.ok_or(Failure::Absent)?;
    hide_holder(node, &mut job);
    match told {
        Ok(()) => Ok(job),
        Err(DbError::Absent) => Err(Failure::Refused { conflict: true, human: refused.to_owned() }),
        Err(error) => Err(error.into()),
    }
}
