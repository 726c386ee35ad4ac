//! `GET /v1/server`: what this server is and what the caller may do; and the description of the API.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::Problem;
use super::request::Caller;
use super::view::Problems;
use crate::flow::access;

/// This server, as the caller sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Server {
    /// The release.
    version: &'static str,
    /// There is an administrator.
    claimed: bool,
    /// Who asks.
    actor: Asking,
    /// How videos are sent.
    upload: Sending,
}

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Asking {
    /// `newcomer`, `session`, `token` or `nobody`.
    kind: &'static str,
    /// What the caller may do.
    scopes: Vec<&'static str>,
}

/// How videos are sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sending {
    /// The largest upload in bytes.
    max_bytes: u64,
    /// Where tus uploads are created.
    endpoint: &'static str,
}

/// What this server is, and what the caller may do here.
#[utoipa::path(get, path = "/v1/server", tag = "server", responses((status = 200, body = Server), Problems))]
pub(crate) async fn show(State(node): State<Shared>, caller: Caller) -> Result<Json<Server>, Problem> {
    Ok(Json(Server {
        version: env!("CARGO_PKG_VERSION"),
        claimed: access::is_claimed(&node).await?,
        actor: Asking { kind: caller.kind, scopes: caller.scopes() },
        upload: Sending { max_bytes: node.config.uploads.max_bytes, endpoint: "/files/" },
    }))
}

/// The OpenAPI document of this release.
pub(crate) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], super::openapi()).into_response()
}
