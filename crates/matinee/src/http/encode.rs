//! `/v1/videos/{id}/encode`: a video is made again, by another pipeline or a newer version of its own.

use axum::Json;
use axum::extract::{Path, State};
use matinee_core::access::Scope;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::Problem;
use super::request::{Caller, External};
use super::video::seen;
use super::view::{Problems, Reach, Sent, Video};
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
