//! `PUT /v1/videos/{id}/poster`: which picture stands for a video.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{FromRequest, Path, Request, State};
use http::header;
use matinee_core::access::Scope;
use matinee_core::limits::POSTER_BYTES_MAX;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::{Code, Problem};
use super::request::{Caller, External};
use super::video::seen;
use super::view::{Problems, Reach, Sent, Video};
use crate::flow::chosen::{self, Choice};

/// A moment of the video.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Moment {
    /// Seconds from the start; behind the end is the last picture.
    at_s: f64,
}

/// Makes the picture at a moment the poster, or a picture that is sent instead of the JSON, as `image/jpeg` or
/// `image/png`; it is decoded and written anew, never served as it came.
#[utoipa::path(put, path = "/v1/videos/{id}/poster", operation_id = "video_poster", tag = "videos", params(("id" = String, Path, description = "The video.")), request_body = Moment, responses((status = 200, body = Video), Problems))]
pub(crate) async fn choose(
    State(node): State<Shared>,
    caller: Caller,
    external: External,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Video>, Problem> {
    let app = caller.permit(Scope::VideoWrite)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let choice = choice(request).await?;
    let whole = chosen::choose(&node, (app, id), choice).await?;
    Ok(Json(seen(&node, &external, &whole, Reach::Owner)))
}

async fn choice(request: Request) -> Result<Choice, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        let Sent(Moment { at_s }) = Sent::from_request(request, &()).await?;
        return Ok(Choice::At(at_s));
    }
    if !["image/jpeg", "image/png"].iter().any(|known| kind.eq_ignore_ascii_case(known)) {
        let text = "Send `at_s` as application/json, or a picture as image/jpeg or image/png.";
        return Err(Problem::new(Code::UnsupportedMediaType, text));
    }
    let bytes = to_bytes(request.into_body(), POSTER_BYTES_MAX).await.map_err(|_| {
        let text = format!("The picture broke off, or has more than {POSTER_BYTES_MAX} bytes.");
        Problem::new(Code::PayloadTooLarge, text).fix("Send a smaller picture.")
    })?;
    Ok(Choice::Own(bytes))
}
