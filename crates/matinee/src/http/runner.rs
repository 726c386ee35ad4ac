//! `/v1/runners`: machines that work for this server, seen by its administrator.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use matinee_core::access::Scope;
use matinee_core::id::RunnerId;
use matinee_core::job::Kind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::field::titled;
use super::problem::{Code, Problem};
use super::request::Caller;
use super::view::{Problems, Reason, Sent, time};
use crate::flow::now;
use crate::flow::runner;
use crate::node::Node;

/// The runner that is to come.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRunner {
    /// What its owner calls it.
    name: String,
    /// The kinds of jobs that it may have, `audio` and `chunk`; all that a runner can do when it is missing.
    kinds: Option<Vec<String>>,
}

/// A registration token that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Invitation {
    /// What `matinee runner --token` is given; good for one runner, and never shown again.
    registration_token: String,
    /// The runner that is to come.
    runner: Runner,
}

/// A machine that works for this server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Runner {
    /// Its id.
    id: String,
    /// What its owner calls it.
    name: String,
    /// `invited` until it has registered, `active`, `draining` (it finishes what it has) or `revoked`.
    state: &'static str,
    /// Why it gets no work, when that was not a person's wish.
    reason: Option<Reason>,
    /// The kinds of jobs that it may have.
    kinds: Vec<&'static str>,
    /// It was heard of within the last minute.
    online: bool,
    /// Its release of matinee.
    version: String,
    /// Its version of ffmpeg.
    ffmpeg: String,
    /// Its encoders that matinee knows.
    encoders: Vec<String>,
    /// Its cores.
    cores: u32,
    /// Its memory that is free for work, in bytes.
    memory_bytes: u64,
    /// Its encoders in hardware that passed their trial: kind, `-`, and what they made of a known picture.
    engines: Vec<String>,
    /// Jobs that it does at the same time.
    slots: u32,
    /// What it works on now.
    jobs: Vec<Running>,
    /// When it was invited, as RFC 3339 text.
    created_at: String,
    /// Until when it can register.
    invited_until: String,
    /// When it registered.
    registered_at: Option<String>,
    /// When it was heard of last.
    seen_at: Option<String>,
}

/// A job that a runner works on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Running {
    /// The job.
    id: String,
    /// Its kind.
    kind: &'static str,
    /// The video that it works for.
    video_id: Option<String>,
    /// Which attempt it is.
    attempt: u32,
    /// How much is done, 0 to 1.
    progress: f64,
}

/// All runners, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunnerList {
    /// The runners.
    items: Vec<Runner>,
    /// Always null: there is one page.
    next: Option<String>,
}

impl Runner {
    pub(crate) fn of(runner: &runner::Runner, running: &[runner::Running]) -> Self {
        let jobs = running.iter().filter(|job| job.runner == runner.id).map(|job| Running {
            id: job.job.to_string(),
            kind: job.kind.name(),
            video_id: job.video.map(|video| video.to_string()),
            attempt: job.attempt,
            progress: job.progress.as_ref().and_then(|said| said["done"].as_f64()).unwrap_or(0.0),
        });
        let report = &runner.report;
        Self {
            id: runner.id.to_string(),
            name: runner.name.clone(),
            state: runner::word(runner.state),
            reason: runner.reason.as_ref().map(Reason::from),
            kinds: runner.kinds.iter().map(|kind| kind.name()).collect(),
            online: runner.seen.is_some_and(|seen| now().since(seen) < ONLINE_MS),
            version: report.version.clone(),
            ffmpeg: report.ffmpeg.clone(),
            encoders: report.encoders.clone(),
            cores: report.cores,
            memory_bytes: report.memory_bytes,
            engines: report.engines.clone(),
            slots: report.slots,
            jobs: jobs.collect(),
            created_at: time(runner.created),
            invited_until: time(runner.invite_until),
            registered_at: runner.registered.map(time),
            seen_at: runner.seen.map(time),
        }
    }
}

/// A runner says something at least every half a minute.
const ONLINE_MS: i64 = 60_000;

/// Makes a registration token for one runner.
#[utoipa::path(post, path = "/v1/runners", operation_id = "runner_create", tag = "runners", request_body = NewRunner, responses((status = 201, body = Invitation), Problems))]
pub(crate) async fn create(
    State(node): State<Shared>,
    caller: Caller,
    Sent(new): Sent<NewRunner>,
) -> Result<(StatusCode, Json<Invitation>), Problem> {
    caller.permit_server(&node)?;
    let (registration_token, made) = runner::invite(&node, titled(&new.name)?, kinds(new.kinds)?).await?;
    Ok((StatusCode::CREATED, Json(Invitation { registration_token, runner: Runner::of(&made, &[]) })))
}

/// The kinds of these names; all that a runner can do when there are none.
fn kinds(named: Option<Vec<String>>) -> Result<Vec<Kind>, Problem> {
    let all = || Kind::ALL.into_iter().filter(|kind| kind.is_for_runners());
    let Some(named) = named else { return Ok(all().collect()) };
    let known = |name: &String| {
        let found = all().find(|kind| kind.name() == name);
        found.ok_or_else(|| {
            let words: Vec<_> = all().map(|kind| format!("`{}`", kind.name())).collect();
            let text = format!("A runner does no jobs of the kind `{name}`, but {}.", words.join(", "));
            Problem::new(Code::BadRequest, text)
        })
    };
    named.iter().map(known).collect()
}

/// Lists runners with what they work on.
#[utoipa::path(get, path = "/v1/runners", operation_id = "runner_list", tag = "runners", responses((status = 200, body = RunnerList), Problems))]
pub(crate) async fn list(State(node): State<Shared>, caller: Caller) -> Result<Json<RunnerList>, Problem> {
    caller.permit_server(&node)?;
    let (runners, running) = runner::list(&node).await?;
    let items = runners.iter().map(|runner| Runner::of(runner, &running)).collect();
    Ok(Json(RunnerList { items, next: None }))
}

/// The runner with this id, for who administers the server; for all others there is none.
fn mine(node: &Node, caller: &Caller, id: &str) -> Result<RunnerId, Problem> {
    let app = caller.permit(Scope::Admin)?;
    id.parse().ok().filter(|_| app == node.defaults.app).ok_or_else(Problem::not_found)
}

/// Lets a runner finish what it has, and gives it no more.
#[utoipa::path(post, path = "/v1/runners/{id}/drain", operation_id = "runner_drain", tag = "runners", params(("id" = String, Path, description = "The runner.")), responses((status = 204, description = "It gets no more jobs."), Problems))]
pub(crate) async fn drain(
    State(node): State<Shared>,
    caller: Caller,
    Path(runner): Path<String>,
) -> Result<StatusCode, Problem> {
    runner::drain(&node, mine(&node, &caller, &runner)?, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a drained runner work again.
#[utoipa::path(post, path = "/v1/runners/{id}/undrain", operation_id = "runner_undrain", tag = "runners", params(("id" = String, Path, description = "The runner.")), responses((status = 204, description = "It gets jobs again."), Problems))]
pub(crate) async fn undrain(
    State(node): State<Shared>,
    caller: Caller,
    Path(runner): Path<String>,
) -> Result<StatusCode, Problem> {
    runner::drain(&node, mine(&node, &caller, &runner)?, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a runner: its token is void, and its jobs are ready for others at once.
#[utoipa::path(delete, path = "/v1/runners/{id}", operation_id = "runner_revoke", tag = "runners", params(("id" = String, Path, description = "The runner.")), responses((status = 204, description = "It is over."), Problems))]
pub(crate) async fn revoke(
    State(node): State<Shared>,
    caller: Caller,
    Path(runner): Path<String>,
) -> Result<StatusCode, Problem> {
    runner::revoke(&node, mine(&node, &caller, &runner)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
