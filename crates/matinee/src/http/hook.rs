//! `POST /v1/hooks/{id}`: what hosts tell of videos. Their signature is the right to send it; it is a hint and never truth.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use matinee_core::limits;
use serde_json::{Value, json};

use super::Shared;
use super::problem::{Code, Problem};
use super::view::Problems;
use crate::flow::publication as flow;

/// Hears what a host says of its videos; the host is then asked. It answers at once.
#[utoipa::path(post, path = "/v1/hooks/{id}", operation_id = "hook_hear", tag = "hosts", params(("id" = String, Path, description = "The host by its name in the configuration.")), request_body(content = Object, description = "The message, as the host has signed it."), responses((status = 200, body = Object, description = "It is written down."), Problems))]
pub(crate) async fn hear(
    State(node): State<Shared>,
    Path(host): Path<String>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, limits::HOOK_BYTES_MAX).await.map_err(|_| {
        Problem::new(Code::PayloadTooLarge, "The message broke off, or is too long.")
            .fix("Send the message as it is.")
    })?;
    match flow::hear(&node, &host, &parts.headers, &body).await? {
        // Videos of others in the same account are no error: there is one webhook for all.
        Some(Ok(_)) => Ok(Json(json!({}))),
        Some(Err(forged)) => Err(Problem::new(Code::Unauthorized, format!("This is not believed: {forged}."))
            .fix("Compare the secret of the [[host]] in the configuration with the host's, and this machine's clock.")),
        None => Err(Problem::not_found()),
    }
}
