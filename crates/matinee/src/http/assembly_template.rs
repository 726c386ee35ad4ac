//! `/v1/assembly-templates`: steps under a name, as they are written for Transloadit.

use axum::Json;
use axum::extract::{Path, Request, State};
use http::StatusCode;
use matinee_core::access::Scope;
use matinee_core::assembly::TEMPLATE_BYTES_MAX;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Shared;
use super::problem::Problem;
use super::request::Caller;
use super::view::{Problems, sent_up_to, time};
use crate::flow::assembly::key as flow;

/// A template.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssemblyTemplate {
    /// What stands in `params.template_id`.
    name: String,
    /// The pipeline of the app by which its videos are made; it was written from the steps.
    pipeline: String,
    /// When it was written, as RFC 3339 text.
    created_at: String,
    /// As it was written: `steps`, and perhaps `allow_steps_override` and `notify_url`.
    #[schema(value_type = Object)]
    template: Value,
}

impl From<flow::AssemblyTemplate> for AssemblyTemplate {
    fn from(of: flow::AssemblyTemplate) -> Self {
        Self { name: of.name, pipeline: of.pipeline, created_at: time(of.created), template: of.body }
    }
}

/// All templates by their names.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssemblyTemplateList {
    items: Vec<AssemblyTemplate>,
}

/// Writes a template. What its steps ask for is made by one pipeline; what would need two is refused, with the reason.
#[utoipa::path(put, path = "/v1/assembly-templates/{name}", operation_id = "assembly_template_put", tag = "ingest", params(("name" = String, Path, description = "What stands in `params.template_id`.")), request_body(content = Object, description = "The template, as it is written for Transloadit."), responses((status = 200, body = AssemblyTemplate), Problems))]
pub(crate) async fn put(
    State(node): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<Json<AssemblyTemplate>, Problem> {
    let app = caller.permit(Scope::Admin)?;
    let body: Value = sent_up_to(request, TEMPLATE_BYTES_MAX).await?;
    Ok(Json(flow::put(&node, app, (&name, body)).await?.into()))
}

/// Lists the templates.
#[utoipa::path(get, path = "/v1/assembly-templates", operation_id = "assembly_template_list", tag = "ingest", responses((status = 200, body = AssemblyTemplateList), Problems))]
pub(crate) async fn list(
    State(node): State<Shared>,
    caller: Caller,
) -> Result<Json<AssemblyTemplateList>, Problem> {
    let app = caller.permit(Scope::Admin)?;
    let items = flow::templates(&node, app).await?.into_iter().map(AssemblyTemplate::from).collect();
    Ok(Json(AssemblyTemplateList { items }))
}

/// Shows a template.
#[utoipa::path(get, path = "/v1/assembly-templates/{name}", operation_id = "assembly_template_show", tag = "ingest", params(("name" = String, Path, description = "The template.")), responses((status = 200, body = AssemblyTemplate), Problems))]
pub(crate) async fn show(
    State(node): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<AssemblyTemplate>, Problem> {
    let app = caller.permit(Scope::Admin)?;
    Ok(Json(flow::template(&node, app, &name).await?.into()))
}

/// Forgets a template; assemblies that were made by it go on.
#[utoipa::path(delete, path = "/v1/assembly-templates/{name}", operation_id = "assembly_template_delete", tag = "ingest", params(("name" = String, Path, description = "The template.")), responses((status = 204, description = "It is forgotten."), Problems))]
pub(crate) async fn delete(
    State(node): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let app = caller.permit(Scope::Admin)?;
    flow::forget(&node, app, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
