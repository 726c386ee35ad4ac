//! `/v1/videos/{id}/publications`: a video at a host, wished and withdrawn.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use matinee_core::access::Scope;

use super::Shared;
use super::problem::Problem;
use super::request::Caller;
use super::view::{NewPublication, Problems, Publication, Sent};
use crate::flow::publication as flow;

/// Publishes a video at a host of the configuration; what is there already is answered as it is, and what has failed begins anew.
#[utoipa::path(post, path = "/v1/videos/{id}/publications", operation_id = "publication_create", tag = "videos", params(("id" = String, Path, description = "The video.")), request_body = NewPublication, responses((status = 202, body = Publication, description = "It is on its way, or there."), Problems))]
pub(crate) async fn create(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Sent(new): Sent<NewPublication>,
) -> Result<(StatusCode, Json<Publication>), Problem> {
    let app = caller.permit(Scope::VideoWrite)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let made = flow::publish(&node, (app, id), &new.host).await?;
    let away = flow::away(&node).await?;
    let playback = flow::playback(&node, &made);
    Ok((StatusCode::ACCEPTED, Json(Publication::of(&made, playback.as_ref(), &away))))
}

/// Withdraws a video from a host: it is deleted there, until that is proven.
#[utoipa::path(delete, path = "/v1/videos/{id}/publications/{host}", operation_id = "publication_delete", tag = "videos", params(("id" = String, Path, description = "The video."), ("host" = String, Path, description = "The host by its name in the configuration.")), responses((status = 204, description = "It is being deleted there."), Problems))]
pub(crate) async fn delete(
    State(node): State<Shared>,
    caller: Caller,
    Path((id, host)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let app = caller.permit(Scope::VideoWrite)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    flow::withdraw(&node, (app, id), &host).await?;
    Ok(StatusCode::NO_CONTENT)
}
