//! `POST /v1/ingest/zoom`: events of Zoom. Their signature is the right to send them; no token of ours is asked for.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use matinee_core::limits;
use serde_json::json;

use super::Shared;
use super::problem::{Code, Problem};
use super::view::Problems;
use crate::flow::zoom::{self, Heard, ZoomFailure};

/// Hears what Zoom says of recordings. It answers at once, and fetches afterwards.
#[utoipa::path(post, path = "/v1/ingest/zoom", operation_id = "ingest_zoom", tag = "ingest", request_body(content = Object, description = "The event, as Zoom has signed it."), params(("x-zm-signature" = String, Header, description = "`v0=` and the HMAC-SHA256 of time and body."), ("x-zm-request-timestamp" = String, Header, description = "When it was signed, in seconds.")), responses((status = 200, body = Object, description = "It is written down."), Problems))]
pub(crate) async fn hear(State(node): State<Shared>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let signed = (header("x-zm-signature"), header("x-zm-request-timestamp"));
    let body = to_bytes(body, limits::ZOOM_EVENT_BYTES_MAX).await.map_err(|_| {
        Problem::new(Code::PayloadTooLarge, "The event broke off, or is too long.")
            .fix("Send the event as it is.")
    })?;
    match zoom::hear(&node, signed, &body).await? {
        Heard::Validated { plain, encrypted } => {
            Ok(Json(json!({ "plainToken": plain, "encryptedToken": encrypted })).into_response())
        }
        Heard::Taken => Ok((StatusCode::OK, Json(json!({}))).into_response()),
    }
}

impl From<ZoomFailure> for Problem {
    fn from(failure: ZoomFailure) -> Self {
        match failure {
            ZoomFailure::Absent => Self::not_found().fix("Set `zoom.secret_token` in the configuration."),
            ZoomFailure::Forged(human) => Self::new(Code::Unauthorized, human)
                .fix("Compare `zoom.secret_token` with the secret token of the app at Zoom, and this machine's clock."),
            ZoomFailure::Unreadable(unreadable) => {
                Self::new(Code::BadRequest, format!("{unreadable}.")).fix("Send the event as Zoom makes it.")
            }
            ZoomFailure::Failed(failure) => failure.into(),
        }
    }
}
