//! Jobs as operators see them: listed, run again, cancelled.

use matinee_core::id::{AppId, JobId, VideoId};
use matinee_core::job::{State, Task};
use matinee_io::db::DbError;
use matinee_io::db::job::Filter;
pub(crate) use matinee_io::db::job::Job;

use super::{Failure, now};
use crate::node::Node;

/// Which jobs to list.
pub(crate) struct Wanted {
    pub(crate) state: Option<State>,
    pub(crate) video: Option<VideoId>,
    pub(crate) before: Option<JobId>,
    pub(crate) limit: u32,
}

/// How much of a job is done, from 0 to 1: what its holder said last, while it runs.
pub(crate) fn done(job: &Job) -> f64 {
    let said =
        job.progress.as_ref().and_then(|progress| progress.get("done")).and_then(serde_json::Value::as_f64);
    match job.state {
        State::Done => 1.0,
        State::Leased => said.unwrap_or_default().clamp(0.0, 1.0),
        State::Blocked | State::Ready | State::Dead | State::Cancelled => 0.0,
    }
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
    Ok(node.db.jobs(&filter).await?)
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

/// Cancels a job; one that runs is asked to stop.
pub(crate) async fn cancel(node: &Node, app: AppId, id: JobId) -> Result<Job, Failure> {
    let (job, _) = node.db.job(app, id).await?.ok_or(Failure::Absent)?;
    if matches!(job.task, Some(Task::Erase { .. })) {
        let human =
            "What is being deleted cannot be kept any more; this job must come to its end.".to_owned();
        return Err(Failure::Refused { conflict: true, human });
    }
    let told = node.db.cancel_job(app, id, now()).await.map(|_| ());
    after(node, app, id, told, "The job is over already; there is nothing to cancel.").await
}

/// The job as it is after an order; `Absent` of a job that exists means that its state forbade the order.
async fn after(
    node: &Node,
    app: AppId,
    id: JobId,
    told: Result<(), DbError>,
    refused: &str,
) -> Result<Job, Failure> {
    let (job, _) = node.db.job(app, id).await?.ok_or(Failure::Absent)?;
    match told {
        Ok(()) => Ok(job),
        Err(DbError::Absent) => Err(Failure::Refused { conflict: true, human: refused.to_owned() }),
        Err(error) => Err(error.into()),
    }
}
