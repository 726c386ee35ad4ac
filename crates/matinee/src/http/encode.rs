//! `/v1/videos/{id}/encode`: a video is made again, by another pipeline or a newer version of its own; and what that would be.

use axum::Json;
use axum::extract::{Path, Request, State};
use matinee_core::access::Scope;
use matinee_core::{limits, pipeline};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Shared;
use super::pipeline::Template;
use super::problem::{Code, Problem};
use super::request::{Caller, External};
use super::video::seen;
use super::view::{Plan, Problems, Reach, Sent, Video, sent_up_to};
use crate::flow::plan::{self, Planned};
use crate::flow::remake;

/// How a video is to be encoded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Encode {
    /// The name of a pipeline, whose newest version counts; the one that the video was made by when it is missing.
    pipeline: Option<String>,
}

/// Encodes a video again; what there is plays on, and is replaced at once when all that is new is done.
#[utoipa::path(post, path = "/v1/videos/{id}/encode", operation_id = "video_encode", tag = "videos", params(("id" = String, Path, description = "The video.")), request_body = Encode, responses((status = 200, body = Video), Problems))]
pub(crate) async fn begin(
    State(node): State<Shared>,
    caller: Caller,
    external: External,
    Path(id): Path<String>,
    Sent(wanted): Sent<Encode>,
) -> Result<Json<Video>, Problem> {
    let app = caller.permit(Scope::VideoWrite)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let whole = remake::begin(&node, (app, id), wanted.pipeline.as_deref()).await?;
    Ok(Json(seen(&node, &external, &whole, Reach::Owner)))
}

/// By what a video is to be planned: `pipeline`, or `template`, or nothing for the pipeline that it was made by.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Foresee {
    /// The name of a pipeline, whose newest version counts.
    pipeline: Option<String>,
    /// The fields of a pipeline that nobody has written yet.
    #[schema(value_type = Option<Template>)]
    template: Option<Map<String, Value>>,
}

/// Says what would be made of a video, and what that would cost, without doing it.
#[utoipa::path(post, path = "/v1/videos/{id}/plan", operation_id = "video_plan", tag = "videos", params(("id" = String, Path, description = "The video.")), request_body = Foresee, responses((status = 200, body = Plan), Problems))]
pub(crate) async fn foresee(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Plan>, Problem> {
    let app = caller.permit(Scope::VideoRead)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let wanted: Foresee = sent_up_to(request, limits::PIPELINE_BYTES_MAX).await?;
    let by = match (&wanted.pipeline, wanted.template) {
        (Some(_), Some(_)) => {
            return Err(Problem::new(Code::BadRequest, "Send `pipeline` or `template`, not both."));
        }
        (named, None) => Planned::Named(named.as_deref()),
        (None, Some(fields)) => {
            let read = pipeline::Pipeline::read(pipeline::DEFAULT, fields);
            let read = read.and_then(|read| read.check_own().map(|()| read));
            Planned::By(Box::new(
                read.map_err(|refusal| Problem::new(Code::BadRequest, refusal.to_string()))?,
            ))
        }
    };
    let foreseen = plan::foresee_video(&node, (app, id), by).await?;
    Ok(Json(Plan::of(&foreseen, &node.config.prices)))
}

/// Stops to encode a video again; what there is stays as it is.
#[utoipa::path(delete, path = "/v1/videos/{id}/encode", operation_id = "video_encode_cancel", tag = "videos", params(("id" = String, Path, description = "The video.")), responses((status = 200, body = Video), Problems))]
pub(crate) async fn cancel(
    State(node): State<Shared>,
    caller: Caller,
    external: External,
    Path(id): Path<String>,
) -> Result<Json<Video>, Problem> {
    let app = caller.permit(Scope::VideoWrite)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let whole = remake::cancel(&node, app, id).await?;
    Ok(Json(seen(&node, &external, &whole, Reach::Owner)))
}
