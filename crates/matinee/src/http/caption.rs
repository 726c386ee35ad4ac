//! `/v1/videos/{id}/captions/{caption}`: add the words of a video in one language, and take them away.

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use http::StatusCode;
use matinee_core::access::Scope;
use matinee_core::limits::CAPTION_BYTES_MAX;
use matinee_core::{language, limits};
use serde::Deserialize;

use super::Shared;
use super::problem::{Code, Problem};
use super::request::Caller;
use super::view::{Ask, Caption, Problems};
use crate::flow::Failure;
use crate::flow::caption::{self, Said};

/// What is said of captions.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct About {
    /// What people read in menus; the language's own name when it is missing.
    label: Option<String>,
    /// Only what everybody must read, such as signs and foreign speech.
    #[serde(default)]
    forced: bool,
}

/// Adds captions in one language, or replaces those that were added before.
#[utoipa::path(put, path = "/v1/videos/{id}/captions/{caption}", operation_id = "caption_add", tag = "videos", params(("id" = String, Path, description = "The video."), ("caption" = String, Path, description = "The language as a tag, such as `en` or `pt-BR`."), About), request_body(content = String, content_type = "text/vtt", description = "A WebVTT or SubRip file."), responses((status = 200, body = Caption), Problems))]
pub(crate) async fn add(
    State(node): State<Shared>,
    caller: Caller,
    Path((id, name)): Path<(String, String)>,
    Ask(about): Ask<About>,
    body: Body,
) -> Result<Json<Caption>, Problem> {
    let app = caller.permit(Scope::VideoWrite)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let language = language::tag(&name);
    if language.is_empty() {
        let text = "The language must be a tag such as `en` or `pt-BR`.";
        return Err(Problem::new(Code::BadRequest, text));
    }
    let title = language::label(about.label.as_deref().unwrap_or_default(), "");
    if title.chars().count() > limits::TITLE_CHARS_MAX {
        return Err(Problem::new(Code::BadRequest, "The label is too long."));
    }
    caption::wanted(&node, (app, id)).await?;
    let file = to_bytes(body, CAPTION_BYTES_MAX).await.map_err(|_| {
        let text = format!("The file broke off, or has more than {CAPTION_BYTES_MAX} bytes.");
        Problem::new(Code::PayloadTooLarge, text)
            .fix("Send a WebVTT or SubRip file without pictures or fonts.")
    })?;
    let said = Said { language, title, forced: about.forced };
    Ok(Json(Caption::of(&caption::add(&node, (app, id), said, file).await?)))
}

/// Takes captions away: those that somebody added, or those of the source.
#[utoipa::path(delete, path = "/v1/videos/{id}/captions/{caption}", operation_id = "caption_remove", tag = "videos", params(("id" = String, Path, description = "The video."), ("caption" = String, Path, description = "The id of the captions.")), responses((status = 204, description = "They are gone."), Problems))]
pub(crate) async fn remove(
    State(node): State<Shared>,
    caller: Caller,
    Path((id, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let app = caller.permit(Scope::VideoWrite)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    match caption::remove(&node, (app, id), &name).await {
        // Under the word that it was added by: `ger` is kept as `de`.
        Err(Failure::Absent) => caption::remove(&node, (app, id), &language::tag(&name)).await?,
        removed => removed?,
    }
    Ok(StatusCode::NO_CONTENT)
}
