//! `/v1/collections`: the content repositories inside an app.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use matinee_core::access::Scope;
use matinee_core::id::AppId;

use super::Shared;
use super::problem::Problem;
use super::request::Caller;
use super::view::{Collection, CollectionList, Deletion, NewTenant, Problems, Sent, TenantChange, name_of};
use crate::flow::app;

/// Who sends or watches must see what collections there are.
fn reader(caller: &Caller) -> Result<AppId, Problem> {
    caller.permit(Scope::UploadWrite).or_else(|_| caller.permit(Scope::VideoRead))
}

/// Who may delete videos may also order them; how much a collection may hold is for administrators.
fn writer(caller: &Caller, limits: bool) -> Result<AppId, Problem> {
    let app = caller.permit(Scope::VideoWrite)?;
    if limits { caller.permit(Scope::Admin) } else { Ok(app) }
}

/// Makes a collection.
#[utoipa::path(post, path = "/v1/collections", operation_id = "collection_create", tag = "collections", request_body = NewTenant, responses((status = 201, body = Collection), Problems))]
pub(crate) async fn create(
    State(node): State<Shared>,
    caller: Caller,
    Sent(new): Sent<NewTenant>,
) -> Result<(StatusCode, Json<Collection>), Problem> {
    let app = writer(&caller, new.limits())?;
    let id = app::create_collection(&node, app, name_of(&new.name)?, new.quota()?).await?;
    let (made, usage) = app::collection(&node, app, id).await?;
    Ok((StatusCode::CREATED, Json(Collection::of(&made, Some(usage)))))
}

/// Lists the collections of the caller's app.
#[utoipa::path(get, path = "/v1/collections", operation_id = "collection_list", tag = "collections", responses((status = 200, body = CollectionList), Problems))]
pub(crate) async fn list(
    State(node): State<Shared>,
    caller: Caller,
) -> Result<Json<CollectionList>, Problem> {
    let app = reader(&caller)?;
    let all = app::collections(&node, app).await?;
    let items = all.iter().map(|collection| Collection::of(collection, None)).collect();
    Ok(Json(CollectionList { items, next: None }))
}

/// Shows a collection with what it has.
#[utoipa::path(get, path = "/v1/collections/{id}", operation_id = "collection_show", tag = "collections", params(("id" = String, Path, description = "The collection.")), responses((status = 200, body = Collection), Problems))]
pub(crate) async fn show(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Collection>, Problem> {
    let app = reader(&caller)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let (collection, usage) = app::collection(&node, app, id).await?;
    Ok(Json(Collection::of(&collection, Some(usage))))
}

/// Changes the name or the quota of a collection.
#[utoipa::path(patch, path = "/v1/collections/{id}", operation_id = "collection_change", tag = "collections", params(("id" = String, Path, description = "The collection.")), request_body = TenantChange, responses((status = 200, body = Collection), Problems))]
pub(crate) async fn change(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Sent(change): Sent<TenantChange>,
) -> Result<Json<Collection>, Problem> {
    let app = writer(&caller, change.limits())?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let (collection, usage) = app::change_collection(&node, (app, id), &change.read()?).await?;
    Ok(Json(Collection::of(&collection, Some(usage))))
}

/// Deletes a collection with all videos in it. Their playback ends now; a job does the rest.
#[utoipa::path(delete, path = "/v1/collections/{id}", operation_id = "collection_delete", tag = "collections", params(("id" = String, Path, description = "The collection.")), responses((status = 202, body = Deletion), Problems))]
pub(crate) async fn delete(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Deletion>), Problem> {
    let app = writer(&caller, false)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let job = app::delete_collection(&node, app, id).await?;
    Ok((StatusCode::ACCEPTED, Json(Deletion::by(job))))
}
