//! `/v1/jobs`: the work, for who wants to look closer.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::header;
use matinee_core::access::Scope;
use matinee_core::job::Kind;
use matinee_core::limits::PRIORITY_MAX;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::{Code, Problem};
use super::request::Caller;
use super::view::{
    Ask, JOB_GROUPS, JOB_STATES, Job, JobDetail, JobList, Pause, Problems, Sent, page_limit, parse_id, time,
    word_of,
};
use crate::flow::job::{self, Group, Wanted, Wish};
use crate::flow::reproducer;

/// Which jobs to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Only in this state: `blocked`, `ready`, `leased`, `done`, `dead` or `cancelled`.
    state: Option<String>,
    /// Only in this group, in the order in which one wants to see them: `running`, `waiting`, `retrying`, `stuck` or `over`.
    group: Option<String>,
    /// Only of this kind, for example `chunk`; only with `group`.
    kind: Option<String>,
    /// Only of this video.
    video: Option<String>,
    /// Only those made before this one: the `next` of the page before.
    before: Option<String>,
    /// At most so many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
}

/// Which place a job gets.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    /// Jobs with a higher one go first; usually 0.
    #[schema(minimum = -100, maximum = 100)]
    priority: i64,
    /// All open jobs of the same video get it, too.
    #[serde(default)]
    with_video: bool,
}

/// Lists jobs: the newest first, or a group of them.
#[utoipa::path(get, path = "/v1/jobs", operation_id = "job_list", tag = "jobs", params(Which), responses((status = 200, body = JobList), Problems))]
pub(crate) async fn list(
    State(node): State<Shared>,
    caller: Caller,
    Ask(which): Ask<Which>,
) -> Result<Json<JobList>, Problem> {
    let app = caller.permit(Scope::JobRead)?;
    let limit = page_limit(which.limit)?;
    if let Some(group) = word_of("group", which.group.as_deref(), &JOB_GROUPS)? {
        let kind = which.kind.as_deref().map(kind).transpose()?;
        let (video, before) =
            (parse_id("video", which.video.as_deref())?, parse_id("before", which.before.as_deref())?);
        let board = job::board(&node, &Wish { app, group, kind, video, before, limit }).await?;
        // The others are not so many that anybody turns pages.
        let full = group == Group::Over && board.jobs.len() == limit as usize;
        let next = board.jobs.last().filter(|_| full).map(|shown| shown.job.id);
        return Ok(Json(JobList::of(&board, next)));
    }
    let wanted = Wanted {
        state: word_of("state", which.state.as_deref(), &JOB_STATES)?,
        video: parse_id("video", which.video.as_deref())?,
        before: parse_id("before", which.before.as_deref())?,
        limit,
    };
    let jobs = job::list(&node, app, &wanted).await?;
    let full = jobs.len() == limit as usize;
    let next = jobs.last().filter(|_| full).map(|job| job.id.to_string());
    Ok(Json(JobList { items: jobs.iter().map(Job::from).collect(), next, groups: None, paused_at: None }))
}

/// The kind of this name.
fn kind(asked: &str) -> Result<Kind, Problem> {
    Kind::ALL.into_iter().find(|kind| kind.name() == asked).ok_or_else(|| {
        let known = Kind::ALL.map(Kind::name).join(", ");
        Problem::new(Code::BadRequest, format!("There is no such `kind`; there are {known}."))
    })
}

/// Shows a job with its attempts, the programs that each ran, and what it waits for.
#[utoipa::path(get, path = "/v1/jobs/{id}", operation_id = "job_show", tag = "jobs", params(("id" = String, Path, description = "The job.")), responses((status = 200, body = JobDetail), Problems))]
pub(crate) async fn show(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<JobDetail>, Problem> {
    let app = caller.permit(Scope::JobRead)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    Ok(Json(JobDetail::from(&job::closer(&node, app, id).await?)))
}

/// Puts a job before or behind others.
#[utoipa::path(patch, path = "/v1/jobs/{id}", operation_id = "job_change", tag = "jobs", params(("id" = String, Path, description = "The job.")), request_body = Place, responses((status = 200, body = Job), Problems))]
pub(crate) async fn change(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Sent(place): Sent<Place>,
) -> Result<Json<Job>, Problem> {
    let app = caller.permit(Scope::JobWrite)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    if place.priority.abs() > PRIORITY_MAX {
        let text = format!("`priority` must be from -{PRIORITY_MAX} to {PRIORITY_MAX}.");
        return Err(Problem::new(Code::BadRequest, text));
    }
    Ok(Json(Job::from(&job::put(&node, (app, id), place.priority, place.with_video).await?)))
}

/// Everything that somebody needs to see a dead job fail on another machine, as a tar archive: commands, last words, the
/// job, and the first bytes of the source.
#[utoipa::path(get, path = "/v1/jobs/{id}/reproducer", operation_id = "job_reproducer", tag = "jobs", params(("id" = String, Path, description = "The job.")), responses((status = 200, description = "The archive.", body = Vec<u8>, content_type = "application/x-tar"), Problems))]
pub(crate) async fn reproducer(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    // It holds bytes of the video.
    caller.permit(Scope::VideoRead)?;
    let app = caller.permit(Scope::JobRead)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let pack = reproducer::pack(&node, app, id).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar".to_owned()),
        (header::CONTENT_LENGTH, pack.size.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", pack.name)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    let pieces = stream::unfold(pack, |mut pack| async { pack.next().await.map(|piece| (piece, pack)) });
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// No new work of the app begins from now on; what runs goes on.
#[utoipa::path(put, path = "/v1/jobs/pause", operation_id = "job_pause", tag = "jobs", responses((status = 200, body = Pause), Problems))]
pub(crate) async fn pause(State(node): State<Shared>, caller: Caller) -> Result<Json<Pause>, Problem> {
    let app = caller.permit(Scope::JobWrite)?;
    Ok(Json(Pause { paused_at: job::pause(&node, app, true).await?.map(time) }))
}

/// Work of the app begins again.
#[utoipa::path(delete, path = "/v1/jobs/pause", operation_id = "job_resume", tag = "jobs", responses((status = 200, body = Pause), Problems))]
pub(crate) async fn resume(State(node): State<Shared>, caller: Caller) -> Result<Json<Pause>, Problem> {
    let app = caller.permit(Scope::JobWrite)?;
    Ok(Json(Pause { paused_at: job::pause(&node, app, false).await?.map(time) }))
}

/// Makes a rendition again that failed; the others are served meanwhile.
#[utoipa::path(post, path = "/v1/videos/{id}/renditions/{rendition}/retry", operation_id = "rendition_retry", tag = "videos", params(("id" = String, Path, description = "The video."), ("rendition" = String, Path, description = "Its name, for example `h264-720`.")), responses((status = 200, body = Job), Problems))]
pub(crate) async fn retry_rendition(
    State(node): State<Shared>,
    caller: Caller,
    Path((id, rendition)): Path<(String, String)>,
) -> Result<Json<Job>, Problem> {
    let app = caller.permit(Scope::JobWrite)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    Ok(Json(Job::from(&job::retry_rendition(&node, app, id, &rendition).await?)))
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
