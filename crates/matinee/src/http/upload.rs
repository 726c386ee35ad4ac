//! `/v1/uploads`: announce an upload, list, show and give up; its bytes go to `/files/` by tus.

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, StatusCode};
use matinee_core::access::Scope;
use matinee_core::id::{AppId, UploadId};
use matinee_core::upload::Way;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::{Code, Problem};
use super::request::{Caller, External};
use super::video::titled;
use super::view::{
    Ask, Problems, Sent, UPLOAD_STATES, Upload, UploadList, page_limit, parse_id, upload_phases, word_of,
};
use crate::flow::upload::{self, Draft};
use crate::node::Node;

/// Pages of the table that one request looks through for uploads in one state.
const PAGES_MAX: u32 = 20;
/// The longest key of a repeat in bytes.
const REPEAT_BYTES_MAX: usize = 255;
/// The longest file name in bytes, as on every file system.
const FILE_NAME_BYTES_MAX: usize = 4_096;

/// The upload to announce.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUpload {
    /// The title of the video; made from the file name when it is missing.
    title: Option<String>,
    /// The name of the file; only ever a text.
    file_name: Option<String>,
    /// The length in bytes.
    size_bytes: Option<u64>,
}

/// Which uploads to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Only in this state: `waiting`, `uploading`, `processing`, `ready`, `failed`, `cancelled` or `expired`.
    state: Option<String>,
    /// Only those made before this one: the `next` of the page before.
    before: Option<String>,
    /// At most so many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
}

/// Announces an upload and reserves its video. With the same `Idempotency-Key` a repeat within 24 hours is the same.
#[utoipa::path(post, path = "/v1/uploads", operation_id = "upload_create", tag = "uploads", request_body = NewUpload, params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")), responses((status = 201, body = Upload), Problems))]
pub(crate) async fn create(
    State(node): State<Shared>,
    caller: Caller,
    external: External,
    headers: HeaderMap,
    Sent(new): Sent<NewUpload>,
) -> Result<(StatusCode, Json<Upload>), Problem> {
    let app = caller.permit(Scope::UploadWrite)?;
    let draft = draft(&node, app, &new)?;
    let listed = upload::announce(&node, draft, repeat(&headers)?).await?;
    Ok((StatusCode::CREATED, Json(Upload::of(&listed, &external))))
}

fn draft(node: &Node, app: AppId, new: &NewUpload) -> Result<Draft, Problem> {
    let (title, metadata, size) = described(new, node.config.uploads.max_bytes)?;
    Ok(Draft { metadata, size: Some(size), ..Draft::new(node, app, title, Way::Tus) })
}

/// Title, metadata and length of the file that is announced.
fn described(new: &NewUpload, max_bytes: u64) -> Result<(String, String, u64), Problem> {
    let size = new.size_bytes.ok_or_else(|| {
        Problem::new(Code::BadRequest, "`size_bytes` is missing: this server must know how long the file is.")
            .fix("Send size_bytes, or send the file by the HTML form, which needs no length.")
    })?;
    if size > max_bytes {
        let text = format!("The upload has {size} bytes; this server takes at most {max_bytes}.");
        return Err(Problem::new(Code::PayloadTooLarge, text));
    }
    let file_name = new.file_name.as_deref().unwrap_or_default();
    if file_name.len() > FILE_NAME_BYTES_MAX {
        return Err(Problem::new(
            Code::BadRequest,
            format!("`file_name` has more than {FILE_NAME_BYTES_MAX} bytes."),
        ));
    }
    let title = match &new.title {
        Some(title) => titled(title)?.to_owned(),
        None => upload::title_from(file_name),
    };
    let metadata =
        if file_name.is_empty() { String::new() } else { format!("filename {}", BASE64.encode(file_name)) };
    Ok((title, metadata, size))
}

/// The key that makes a repeat harmless.
pub(super) fn repeat(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=REPEAT_BYTES_MAX).contains(&key.len()));
    let wrong = format!("The header Idempotency-Key must be 1 to {REPEAT_BYTES_MAX} plain letters.");
    key.map(Some).ok_or_else(|| Problem::new(Code::BadRequest, wrong))
}

/// Lists uploads, the newest first.
#[utoipa::path(get, path = "/v1/uploads", operation_id = "upload_list", tag = "uploads", params(Which), responses((status = 200, body = UploadList), Problems))]
pub(crate) async fn list(
    State(node): State<Shared>,
    caller: Caller,
    external: External,
    Ask(which): Ask<Which>,
) -> Result<Json<UploadList>, Problem> {
    let app = reader(&caller)?;
    let limit = page_limit(which.limit)?;
    let state = word_of("state", which.state.as_deref(), &UPLOAD_STATES)?;
    let mut before: Option<UploadId> = parse_id("before", which.before.as_deref())?;
    let mut items = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = upload::list(&node, app, upload_phases(state), before, limit).await?;
        let full = page.len() == limit as usize;
        before = page.last().filter(|_| full).map(|listed| listed.upload.id);
        let fits = |upload: &Upload| state.is_none_or(|state| upload.state == state);
        items.extend(page.iter().map(|listed| Upload::of(listed, &external)).filter(fits));
        if before.is_none() || !items.is_empty() {
            break;
        }
    }
    Ok(Json(UploadList { items, next: before.map(|id| id.to_string()) }))
}

/// Who sends may see what became of it, and so may who watches.
fn reader(caller: &Caller) -> Result<AppId, Problem> {
    caller.permit(Scope::UploadWrite).or_else(|_| caller.permit(Scope::VideoRead))
}

/// Shows an upload.
#[utoipa::path(get, path = "/v1/uploads/{id}", operation_id = "upload_show", tag = "uploads", params(("id" = String, Path, description = "The upload.")), responses((status = 200, body = Upload), Problems))]
pub(crate) async fn show(
    State(node): State<Shared>,
    caller: Caller,
    external: External,
    Path(id): Path<String>,
) -> Result<Json<Upload>, Problem> {
    let app = reader(&caller)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    Ok(Json(Upload::of(&upload::show(&node, app, id).await?, &external)))
}

/// Gives an upload up; its bytes go.
#[utoipa::path(delete, path = "/v1/uploads/{id}", operation_id = "upload_delete", tag = "uploads", params(("id" = String, Path, description = "The upload.")), responses((status = 204, description = "It is given up."), Problems))]
pub(crate) async fn delete(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let app = caller.permit(Scope::UploadWrite)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    upload::give_up(&node, app, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<(String, String, u64)> {
        described(&serde_json::from_str(json).unwrap(), 100).ok()
    }

    #[test]
    fn a_file_name_gives_the_title_unless_there_is_one() {
        let (title, metadata, size) = read(r#"{"file_name":"../a/film.mp4","size_bytes":5}"#).unwrap();
        assert_eq!((title.as_str(), size), ("film", 5));
        assert_eq!(metadata, "filename Li4vYS9maWxtLm1wNA==");
        assert_eq!(read(r#"{"title":"Mine","file_name":"x.mp4","size_bytes":5}"#).unwrap().0, "Mine");
    }

    #[test]
    fn a_length_must_be_said_and_must_fit() {
        assert!(read(r#"{"title":"a"}"#).is_none());
        assert!(read(r#"{"size_bytes":100}"#).is_some());
        assert!(read(r#"{"size_bytes":101}"#).is_none());
    }
}
