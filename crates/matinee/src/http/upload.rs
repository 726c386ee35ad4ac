//! `/v1/uploads`: announce an upload, list, show and give up; its bytes go to `/files/` by tus.

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, StatusCode};
use matinee_core::access::Scope;
use matinee_core::access::sender::Allowance;
use matinee_core::id::{AppId, UploadId};
use matinee_core::limits;
use matinee_core::time::Millis;
use matinee_core::upload::Way;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Shared;
use super::field::{moment, titled};
use super::pipeline;
use super::problem::{Code, Problem};
use super::request::{Caller, External};
use super::view::{
    Ask, Problems, Sent, UPLOAD_STATES, Upload, UploadList, page_limit, parse_id, possible, upload_phases,
    word_of,
};
use crate::flow::upload::{self, Draft};
use crate::flow::{Failure, app, now};
use crate::node::Node;

/// Pages of the table that one request looks through for uploads in one state.
const PAGES_MAX: u32 = 20;
/// The longest key of a repeat in bytes.
const REPEAT_BYTES_MAX: usize = 255;
/// The longest file name in bytes, as on every file system.
const FILE_NAME_BYTES_MAX: usize = 4_096;

/// The upload to announce.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NewUpload {
    /// The title of the video; made from the file name when it is missing.
    title: Option<String>,
    /// The name of the file; only ever a text.
    file_name: Option<String>,
    /// The length in bytes; when it is missing, its sender says it later.
    size_bytes: Option<u64>,
    /// The collection into which the video goes, by id or name; the app's first one when it is missing.
    collection: Option<String>,
    /// The app's own name for the video, unique in the app: the same announcement again is the same upload.
    external_id: Option<String>,
    /// What the app knows of the video; at most 16 KiB.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// The largest size that its sender may send, in bytes.
    max_size_bytes: Option<u64>,
    /// The longest video that its sender may send, in seconds.
    #[schema(minimum = 1)]
    max_duration_s: Option<u32>,
    /// What is made of it: the name of a pipeline; `default` when it is missing.
    pipeline: Option<String>,
    /// Not before this moment is the video encoded, as RFC 3339 text; a source that browsers can play is played all the same.
    run_after: Option<String>,
    /// How long the address is good, in seconds, from 60 to 604800.
    #[schema(minimum = 60, maximum = 604_800, default = 86_400)]
    expires_in_s: Option<u64>,
    /// Origins of sites whose pages may send it, such as `https://app.example.org`.
    allowed_origins: Vec<String>,
    /// The host that it goes straight to, by its name in the configuration: no byte comes here. Needs `size_bytes`, and nothing is
    /// encoded here.
    target: Option<String>,
}

/// Which uploads to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Only in this state: `waiting`, `uploading`, `stalled`, `processing`, `ready`, `failed`, `cancelled` or `expired`.
    state: Option<String>,
    /// Only those made before this one: the `next` of the page before.
    before: Option<String>,
    /// At most so many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
}

/// Announces an upload and reserves its video. Whoever has the `upload_url` of the answer may send this one upload
/// without any other credential. With `target` that is an address of the host, which gets the bytes straight; it is null while the
/// host does not answer, and there is nothing to do but to ask again. With the same `Idempotency-Key` within 24 hours, or the same `external_id`, a repeat
/// is answered with 200 and the upload that is there.
#[utoipa::path(post, path = "/v1/uploads", operation_id = "upload_create", tag = "uploads", request_body = NewUpload, params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")), responses((status = 201, body = Upload), (status = 200, description = "It was announced before.", body = Upload), Problems))]
pub(crate) async fn create(
    State(node): State<Shared>,
    caller: Caller,
    external: External,
    headers: HeaderMap,
    Sent(new): Sent<NewUpload>,
) -> Result<(StatusCode, Json<Upload>), Problem> {
    let app = caller.permit(Scope::UploadWrite)?;
    let draft = Draft { repeat_key: repeat(&headers)?.map(str::to_owned), ..draft(&node, app, &new).await? };
    let announced = match &new.target {
        Some(host) => upload::announce_at(&node, draft, host).await?,
        None => upload::announce(&node, draft).await?,
    };
    let status = if announced.fresh { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(Upload::of(&announced.listed, Some(&external)))))
}

async fn draft(node: &Node, app: AppId, new: &NewUpload) -> Result<Draft, Problem> {
    let described = described(new, node.config.uploads.max_bytes)?;
    let facts = facts(new.metadata.as_ref())?;
    let expires_s = expires_s(new.expires_in_s)?;
    let mut draft = Draft::new(node, app, described.title, Way::Tus);
    draft.pipeline = pipeline::named(node, app, new.pipeline.as_deref()).await?;
    draft.run_after = new.run_after.as_deref().map(moment).transpose()?;
    if let Some(name) = &new.collection {
        draft.collection = match app::find_collection(node, app, name).await {
            Err(Failure::Absent) => {
                let text = "The app has no such collection.";
                return Err(Problem::new(Code::NotFound, text).fix("See /v1/collections, or make it there."));
            }
            found => found?,
        };
    }
    let seconds = i64::try_from(expires_s).unwrap_or(i64::MAX);
    Ok(Draft {
        facts,
        external_id: external_id(new.external_id.as_deref())?,
        metadata: described.metadata,
        size: new.size_bytes,
        allowance: Allowance {
            max_bytes: Some(described.max_bytes),
            max_duration_ms: new.max_duration_s.map(|s| u64::from(s) * 1_000),
            // A token knows whole seconds only.
            deadline: Some(Millis((now().0 / 1_000 + seconds) * 1_000)),
            origins: origins(&new.allowed_origins)?,
        },
        ..draft
    })
}

/// What is said of the file that will come.
#[derive(Debug, PartialEq, Eq)]
struct Described {
    title: String,
    metadata: String,
    /// What its sender may send, in bytes.
    max_bytes: u64,
}

fn described(new: &NewUpload, server_max_bytes: u64) -> Result<Described, Problem> {
    let asked = possible("max_size_bytes", new.max_size_bytes)?.unwrap_or(server_max_bytes);
    let max_bytes = asked.min(server_max_bytes);
    if let Some(size) = new.size_bytes.filter(|size| *size > max_bytes) {
        let text = format!("The upload has {size} bytes; at most {max_bytes} are taken.");
        return Err(Problem::new(Code::PayloadTooLarge, text));
    }
    if new.target.is_some() {
        straight(new)?;
    }
    if new.max_duration_s == Some(0) {
        return Err(Problem::new(Code::BadRequest, "`max_duration_s` must be at least 1."));
    }
    let file_name = new.file_name.as_deref().unwrap_or_default();
    if file_name.len() > FILE_NAME_BYTES_MAX {
        let text = format!("`file_name` has more than {FILE_NAME_BYTES_MAX} bytes.");
        return Err(Problem::new(Code::BadRequest, text));
    }
    let title = match &new.title {
        Some(title) => titled(title)?.to_owned(),
        None => upload::title_from(file_name),
    };
    let metadata =
        if file_name.is_empty() { String::new() } else { format!("filename {}", BASE64.encode(file_name)) };
    Ok(Described { title, metadata, max_bytes })
}

/// What goes straight to a host is not encoded here, and hosts want to know its length.
fn straight(new: &NewUpload) -> Result<(), Problem> {
    let wrong = |what: &str| Problem::new(Code::BadRequest, format!("With `target`, {what}."));
    if new.size_bytes.is_none_or(|size| size == 0) {
        return Err(wrong("`size_bytes` must say how long the file is"));
    }
    if new.pipeline.is_some() || new.run_after.is_some() {
        return Err(wrong("`pipeline` and `run_after` mean nothing: the host encodes the video"));
    }
    Ok(())
}

fn facts(metadata: Option<&Map<String, Value>>) -> Result<Value, Problem> {
    let facts = Value::Object(metadata.cloned().unwrap_or_default());
    let text = facts.to_string();
    if text.len() > limits::FACTS_BYTES_MAX {
        let text = format!("`metadata` has more than {} bytes as JSON.", limits::FACTS_BYTES_MAX);
        return Err(Problem::new(Code::BadRequest, text));
    }
    // PostgreSQL cannot keep it, and both databases shall keep the same.
    if text.contains("\\u0000") {
        return Err(Problem::new(Code::BadRequest, "`metadata` has a NUL character."));
    }
    Ok(facts)
}

fn external_id(text: Option<&str>) -> Result<Option<String>, Problem> {
    let fits = |text: &&str| {
        (1..=limits::EXTERNAL_ID_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
    };
    let wrong = || {
        let most = limits::EXTERNAL_ID_BYTES_MAX;
        let text = format!("`external_id` must have 1 to {most} bytes, and no control characters.");
        Problem::new(Code::BadRequest, text)
    };
    text.map(|text| Some(text).filter(fits).map(str::to_owned).ok_or_else(wrong)).transpose()
}

fn expires_s(asked: Option<u64>) -> Result<u64, Problem> {
    let range = limits::SENDER_TOKEN_S_RANGE;
    let seconds = asked.unwrap_or(limits::SENDER_TOKEN_S);
    if range.contains(&seconds) {
        return Ok(seconds);
    }
    let text = format!("`expires_in_s` must be from {} to {}.", range.start(), range.end());
    Err(Problem::new(Code::BadRequest, text))
}

/// Origins as browsers send them: scheme and host, perhaps a port, no path.
fn origins(asked: &[String]) -> Result<Vec<String>, Problem> {
    let wrong = |what: String| Problem::new(Code::BadRequest, format!("`allowed_origins` {what}."));
    if asked.len() > limits::SENDER_ORIGINS_MAX {
        return Err(wrong(format!("has more than {} origins", limits::SENDER_ORIGINS_MAX)));
    }
    let is_origin = |origin: &str| {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        host.is_some_and(|host| {
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
            !host.is_empty() && host.len() <= 255 && host.bytes().all(plain)
        })
    };
    match asked.iter().find(|origin| !is_origin(origin)) {
        Some(odd) => {
            Err(wrong(format!("has {odd:?}; write it like https://app.example.org, in small letters")))
        }
        None => Ok(asked.to_vec()),
    }
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
    let external = sees_addresses(&caller, &external);
    let limit = page_limit(which.limit)?;
    let state = word_of("state", which.state.as_deref(), &UPLOAD_STATES)?;
    let mut before: Option<UploadId> = parse_id("before", which.before.as_deref())?;
    let mut items = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = upload::list(&node, app, upload_phases(state), before, limit).await?;
        let full = page.len() == limit as usize;
        before = page.last().filter(|_| full).map(|listed| listed.upload.id);
        let fits = |upload: &Upload| state.is_none_or(|state| upload.state == state);
        items.extend(page.iter().map(|listed| Upload::of(listed, external)).filter(fits));
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

/// Whoever knows the address of an upload may send it: those who only watch do not see it.
fn sees_addresses<'e>(caller: &Caller, external: &'e External) -> Option<&'e External> {
    caller.permit(Scope::UploadWrite).ok().map(|_| external)
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
    let listed = upload::show(&node, app, id).await?;
    Ok(Json(Upload::of(&listed, sees_addresses(&caller, &external))))
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

    fn read(json: &str) -> Option<Described> {
        described(&serde_json::from_str(json).unwrap(), 100).ok()
    }

    #[test]
    fn a_file_name_gives_the_title_unless_there_is_one() {
        let film = read(r#"{"file_name":"../a/film.mp4","size_bytes":5}"#).unwrap();
        assert_eq!((film.title.as_str(), film.metadata.as_str()), ("film", "filename Li4vYS9maWxtLm1wNA=="));
        assert_eq!(read(r#"{"title":"Mine","file_name":"x.mp4","size_bytes":5}"#).unwrap().title, "Mine");
    }

    #[test]
    fn a_length_may_come_later_but_must_fit() {
        assert_eq!(read(r#"{"title":"a"}"#).unwrap().max_bytes, 100);
        assert!(read(r#"{"size_bytes":100}"#).is_some());
        assert!(read(r#"{"size_bytes":101}"#).is_none());
        assert_eq!(read(r#"{"size_bytes":5,"max_size_bytes":9}"#).unwrap().max_bytes, 9);
        assert!(read(r#"{"size_bytes":10,"max_size_bytes":9}"#).is_none());
        assert_eq!(read(r#"{"max_size_bytes":900}"#).unwrap().max_bytes, 100, "the server's own limit stays");
        assert!(read(r#"{"max_size_bytes":18446744073709551615}"#).is_none());
        assert!(read(r#"{"target":"cf","size_bytes":5}"#).is_some());
        for odd in [r#"{"target":"cf"}"#, r#"{"target":"cf","size_bytes":0}"#] {
            assert!(read(odd).is_none(), "{odd}");
        }
        assert!(read(r#"{"target":"cf","size_bytes":5,"pipeline":"small"}"#).is_none());
    }

    #[test]
    fn what_is_odd_is_refused() {
        assert_eq!(expires_s(None).ok(), Some(86_400));
        assert!(expires_s(Some(59)).is_err() && expires_s(Some(604_801)).is_err());
        assert!(external_id(Some("")).is_err() && external_id(Some("a\nb")).is_err());
        assert_eq!(external_id(Some("course-7/ä")).ok().flatten().as_deref(), Some("course-7/ä"));
        let one = |origin: &str| origins(&[origin.to_owned()]).is_ok();
        assert!(one("https://app.example.org") && one("http://localhost:5173") && one("http://[::1]:1"));
        for odd in ["*", "null", "https://", "https://a/b", "ftp://a", "https://A.b", "https://a\r\nX: y"] {
            assert!(!one(odd), "{odd:?}");
        }
        let big = serde_json::json!({ "a": "x".repeat(limits::FACTS_BYTES_MAX) });
        assert!(facts(big.as_object()).is_err() && facts(None).is_ok());
        assert!(facts(serde_json::json!({ "a": "\0" }).as_object()).is_err());
    }
}
