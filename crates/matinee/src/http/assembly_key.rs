//! `/v1/assembly-keys`: by what assemblies of an app are signed.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use matinee_core::access::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::field::titled;
use super::problem::Problem;
use super::request::Caller;
use super::view::{Problems, Sent, time};
use crate::flow::assembly::key as flow;

/// The key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAssemblyKey {
    /// What its owner calls it.
    name: String,
}

/// A key that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeAssemblyKey {
    /// What stands in `params.auth.key`.
    id: String,
    /// By what `params` are signed, and notifications are; it is never shown again.
    secret: String,
    /// What its owner calls it.
    name: String,
}

/// A key without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssemblyKey {
    /// What stands in `params.auth.key`.
    id: String,
    /// What its owner calls it.
    name: String,
    /// When it was made, as RFC 3339 text.
    created_at: String,
}

impl MadeAssemblyKey {
    /// A key with its secret.
    pub(crate) fn of(key: flow::AssemblyKey, secret: String) -> Self {
        Self { id: key.id.to_string(), secret, name: key.name }
    }
}

impl From<flow::AssemblyKey> for AssemblyKey {
    fn from(key: flow::AssemblyKey) -> Self {
        Self { id: key.id.to_string(), name: key.name, created_at: time(key.created) }
    }
}

/// All keys, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssemblyKeyList {
    items: Vec<AssemblyKey>,
}

/// Makes a key for pages and programs that were written for Transloadit.
#[utoipa::path(post, path = "/v1/assembly-keys", operation_id = "assembly_key_create", tag = "ingest", request_body = NewAssemblyKey, responses((status = 201, body = MadeAssemblyKey), Problems))]
pub(crate) async fn create(
    State(node): State<Shared>,
    caller: Caller,
    Sent(new): Sent<NewAssemblyKey>,
) -> Result<(StatusCode, Json<MadeAssemblyKey>), Problem> {
    let app = caller.permit(Scope::Admin)?;
    let (key, secret) = flow::create(&node, app, titled(&new.name)?).await?;
    Ok((StatusCode::CREATED, Json(MadeAssemblyKey::of(key, secret))))
}

/// Lists the keys.
#[utoipa::path(get, path = "/v1/assembly-keys", operation_id = "assembly_key_list", tag = "ingest", responses((status = 200, body = AssemblyKeyList), Problems))]
pub(crate) async fn list(
    State(node): State<Shared>,
    caller: Caller,
) -> Result<Json<AssemblyKeyList>, Problem> {
    let app = caller.permit(Scope::Admin)?;
    let items = flow::list(&node, app).await?.into_iter().map(AssemblyKey::from).collect();
    Ok(Json(AssemblyKeyList { items }))
}

/// Ends a key: nothing new is made by it, and what was begun goes on.
#[utoipa::path(delete, path = "/v1/assembly-keys/{id}", operation_id = "assembly_key_delete", tag = "ingest", params(("id" = String, Path, description = "The key.")), responses((status = 204, description = "It is over."), Problems))]
pub(crate) async fn delete(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let app = caller.permit(Scope::Admin)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    flow::delete(&node, app, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
