//! `/v1/apps`: the tenants of this server, made and deleted by those who administer all of it.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;

use super::Shared;
use super::problem::{Code, Problem};
use super::request::Caller;
use super::token::{MadeToken, NewToken, made};
use super::view::{App, AppList, Deletion, NewTenant, Problems, Sent, TenantChange, name_of};
use crate::flow::app;

/// Makes an app with its first collection, `default`.
#[utoipa::path(post, path = "/v1/apps", operation_id = "app_create", tag = "apps", request_body = NewTenant, responses((status = 201, body = App), Problems))]
pub(crate) async fn create(
    State(node): State<Shared>,
    caller: Caller,
    Sent(new): Sent<NewTenant>,
) -> Result<(StatusCode, Json<App>), Problem> {
    caller.permit_server(&node)?;
    let id = app::create(&node, name_of(&new.name)?, new.quota()?).await?;
    let (made, usage) = app::show(&node, id).await?;
    Ok((StatusCode::CREATED, Json(App::of(&made, Some(usage)))))
}

/// Lists all apps.
#[utoipa::path(get, path = "/v1/apps", operation_id = "app_list", tag = "apps", responses((status = 200, body = AppList), Problems))]
pub(crate) async fn list(State(node): State<Shared>, caller: Caller) -> Result<Json<AppList>, Problem> {
    caller.permit_server(&node)?;
    let items = app::list(&node).await?.iter().map(|app| App::of(app, None)).collect();
    Ok(Json(AppList { items, next: None }))
}

/// Shows an app with what it has.
#[utoipa::path(get, path = "/v1/apps/{id}", operation_id = "app_show", tag = "apps", params(("id" = String, Path, description = "The app.")), responses((status = 200, body = App), Problems))]
pub(crate) async fn show(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<App>, Problem> {
    let id = caller.permit_app(&node, &id)?;
    let (app, usage) = app::show(&node, id).await?;
    let mut shown = App::of(&app, Some(usage));
    shown.left_outside = app::left_outside(&node, &app).await?;
    Ok(Json(shown))
}

/// Changes the name or the quota of an app.
#[utoipa::path(patch, path = "/v1/apps/{id}", operation_id = "app_change", tag = "apps", params(("id" = String, Path, description = "The app.")), request_body = TenantChange, responses((status = 200, body = App), Problems))]
pub(crate) async fn change(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Sent(change): Sent<TenantChange>,
) -> Result<Json<App>, Problem> {
    let id = caller.permit_app(&node, &id)?;
    caller.permit_server(&node)?;
    let (app, usage) = app::change(&node, id, &change.read()?).await?;
    Ok(Json(App::of(&app, Some(usage))))
}

/// Deletes an app with all that is in it. Its tokens and its playback end now; a job does the rest.
#[utoipa::path(delete, path = "/v1/apps/{id}", operation_id = "app_delete", tag = "apps", params(("id" = String, Path, description = "The app.")), responses((status = 202, body = Deletion), Problems))]
pub(crate) async fn delete(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Deletion>), Problem> {
    let id = caller.permit_app(&node, &id)?;
    let by = caller.permit_server(&node)?;
    let job = app::delete(&node, by, id).await?;
    Ok((StatusCode::ACCEPTED, Json(Deletion::by(job))))
}

/// Makes a token that works in this app.
#[utoipa::path(post, path = "/v1/apps/{id}/tokens", operation_id = "app_token_create", tag = "apps", params(("id" = String, Path, description = "The app.")), request_body = NewToken, responses((status = 201, body = MadeToken), Problems))]
pub(crate) async fn create_token(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Sent(new): Sent<NewToken>,
) -> Result<(StatusCode, Json<MadeToken>), Problem> {
    let id = caller.permit_app(&node, &id)?;
    let (app, _) = app::show(&node, id).await?;
    if app.deleting.is_some() {
        return Err(Problem::new(Code::Conflict, "This app is being deleted.").fix("Use another app."));
    }
    Ok((StatusCode::CREATED, Json(made(&node, id, &new).await?)))
}
