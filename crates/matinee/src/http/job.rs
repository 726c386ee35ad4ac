//! `/v1/jobs`: the work, for who wants to look closer.

use axum::Json;
use axum::extract::{Path, State};
use matinee_core::access::Scope;
use serde::Deserialize;

use super::Shared;
use super::problem::Problem;
use super::request::Caller;
use super::view::{Ask, JOB_STATES, Job, JobList, Problems, page_limit, parse_id, word_of};
use crate::flow::job::{self, Wanted};

/// Which jobs to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Only in this state: `blocked`, `ready`, `leased`, `done`, `dead` or `cancelled`.
    state: Option<String>,
    /// Only of this video.
    video: Option<String>,
    /// Only those made before this one: the `next` of the page before.
    before: Option<String>,
    /// At most so many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
}

/// Lists jobs, the newest first.
#[utoipa::path(get, path = "/v1/jobs", operation_id = "job_list", tag = "jobs", params(Which), responses((status = 200, body = JobList), Problems))]
pub(crate) async fn list(
    State(node): State<Shared>,
    caller: Caller,
    Ask(which): Ask<Which>,
) -> Result<Json<JobList>, Problem> {
    let app = caller.permit(Scope::JobRead)?;
    let limit = page_limit(which.limit)?;
    let wanted = Wanted {
        state: word_of("state", which.state.as_deref(), &JOB_STATES)?,
        video: parse_id("video", which.video.as_deref())?,
        before: parse_id("before", which.before.as_deref())?,
        limit,
    };
    let jobs = job::list(&node, app, &wanted).await?;
    let full = jobs.len() == limit as usize;
    let next = jobs.last().filter(|_| full).map(|job| job.id.to_string());
    Ok(Json(JobList { items: jobs.iter().map(Job::from).collect(), next }))
}

/// Runs a job again that was given up, with those that fell with it.
#[utoipa::path(post, path = "/v1/jobs/{id}/retry", operation_id = "job_retry", tag = "jobs", params(("id" = String, Path, description = "The job.")), responses((status = 200, body = Job), Problems))]
pub(crate) async fn retry(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Job>, Problem> {
    let app = caller.permit(Scope::JobWrite)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    Ok(Json(Job::from(&job::retry(&node, app, id).await?)))
}

/// Cancels a job; one that runs stops within seconds.
#[utoipa::path(post, path = "/v1/jobs/{id}/cancel", operation_id = "job_cancel", tag = "jobs", params(("id" = String, Path, description = "The job.")), responses((status = 200, body = Job), Problems))]
pub(crate) async fn cancel(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Job>, Problem> {
    let app = caller.permit(Scope::JobWrite)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    Ok(Json(Job::from(&job::cancel(&node, app, id).await?)))
}
