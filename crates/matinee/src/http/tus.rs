//! tus 1.0: header names and status codes of resumable uploads; the rules are `core::upload`'s.
//!
//! Source: tus/tus-resumable-upload-protocol, version 1.0.0, as laid out in `ingest.md` section 3.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use matinee_core::access::Scope;
use matinee_core::upload::{Phase, Refusal, Way};

use super::Shared;
use super::problem::{Code, Problem};
use super::request::{Caller, External};
use crate::flow::upload::{self, Draft, Ended, Opened};

const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,creation-with-upload,termination,expiration";
const OFFSET_STREAM: &str = "application/offset+octet-stream";

const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");
const MATINEE_VIDEO: HeaderName = HeaderName::from_static("matinee-video");
const MATINEE_UPLOAD: HeaderName = HeaderName::from_static("matinee-upload");

/// Everything below `/files/` without a key: what is offered, and creation.
pub(crate) async fn collection(
    State(node): State<Shared>,
    caller: Caller,
    external: External,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let method = overridden(method, &headers);
    let answer = match method {
        Method::OPTIONS => Ok(offered(&node)),
        Method::POST => create(&node, &caller, &external, &headers, body).await,
        _ => Err(Problem::new(Code::MethodNotAllowed, "Uploads are created here with POST.")),
    };
    marked(answer)
}

/// Everything below `/files/{key}`: one upload.
pub(crate) async fn one(
    State(node): State<Shared>,
    caller: Caller,
    Path(key): Path<String>,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let method = overridden(method, &headers);
    if method == Method::OPTIONS {
        return marked(Ok(offered(&node)));
    }
    let answer = async {
        versioned(&headers)?;
        let app = caller.permit_upload(&key)?;
        match method {
            Method::HEAD => Ok(described(&upload::status(&node, app, &key).await?)),
            Method::PATCH => append(&node, &caller, &key, &headers, body).await,
            Method::DELETE => {
                upload::terminate(&node, app, &key).await?;
                Ok(StatusCode::NO_CONTENT.into_response())
            }
            _ => Err(Problem::new(Code::MethodNotAllowed, "An upload takes HEAD, PATCH and DELETE.")),
        }
    };
    marked(answer.await)
}

fn overridden(method: Method, headers: &HeaderMap) -> Method {
    let wanted = headers.get(METHOD_OVERRIDE).and_then(|value| Method::from_bytes(value.as_bytes()).ok());
    wanted.unwrap_or(method)
}

/// Every answer but that to OPTIONS must carry the version; on OPTIONS it does no harm.
fn marked(answer: Result<Response, Problem>) -> Response {
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    response.headers_mut().insert(TUS_RESUMABLE, HeaderValue::from_static(VERSION));
    response
}

fn offered(node: &Shared) -> Response {
    let headers = [
        (TUS_VERSION, HeaderValue::from_static(VERSION)),
        (TUS_EXTENSION, HeaderValue::from_static(EXTENSIONS)),
        (TUS_MAX_SIZE, HeaderValue::from(node.config.uploads.max_bytes)),
    ];
    (StatusCode::OK, headers).into_response()
}

fn versioned(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get(TUS_RESUMABLE).is_some_and(|version| version == VERSION) {
        return Ok(());
    }
    Err(Problem::new(Code::TusVersion, "This server speaks tus 1.0.0, and the request did not say so.")
        .header(TUS_VERSION, HeaderValue::from_static(VERSION)))
}

async fn create(
    node: &Shared,
    caller: &Caller,
    external: &External,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    versioned(headers)?;
    let app = caller.permit(Scope::UploadWrite)?;
    let size = number(headers, &UPLOAD_LENGTH)?
        .ok_or_else(|| Problem::new(Code::UploadLength, "The creation must say its Upload-Length."))?;
    if headers.contains_key(UPLOAD_DEFER_LENGTH) {
        return Err(Problem::new(Code::UploadLength, "The creation must say its length, and not defer it."));
    }
    if size > node.config.uploads.max_bytes {
        return Err(Problem::new(
            Code::PayloadTooLarge,
            format!(
                "The upload has {size} bytes; this server takes at most {}.",
                node.config.uploads.max_bytes
            ),
        ));
    }
    let metadata = text(headers, &UPLOAD_METADATA)?;
    let pairs = pairs(&metadata)?;
    let has_body = has_body(headers);
    if has_body {
        streamed(headers)?;
    }
    let draft = Draft { metadata, size: Some(size), ..Draft::new(node, app, title(&pairs), Way::Tus) };
    let opened = upload::create(node, draft).await?;
    let location = external.url(&format!("/files/{}", opened.key));
    let mut response = StatusCode::CREATED.into_response();
    let answer = response.headers_mut();
    answer.insert(header::LOCATION, ascii(&location));
    answer.insert(MATINEE_VIDEO, ascii(&opened.video.to_string()));
    answer.insert(MATINEE_UPLOAD, ascii(&opened.id.to_string()));
    answer.insert(UPLOAD_EXPIRES, date(opened.expires));
    if has_body {
        let ended = upload::append(node, app, &opened.key, 0, body.into_data_stream()).await?;
        answer.insert(UPLOAD_OFFSET, HeaderValue::from(offset_of(&ended)));
    }
    Ok(response)
}

async fn append(
    node: &Shared,
    caller: &Caller,
    key: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let app = caller.permit_upload(key)?;
    streamed(headers)?;
    let offset = number(headers, &UPLOAD_OFFSET)?
        .ok_or_else(|| Problem::new(Code::BadRequest, "A PATCH must say its Upload-Offset."))?;
    if let Some(len) = number(headers, &header::CONTENT_LENGTH)? {
        // Nothing of a body that cannot fit is read.
        upload::permit(node, app, key, offset, len).await.map_err(refused)?;
    }
    let ended = upload::append(node, app, key, offset, body.into_data_stream()).await.map_err(refused)?;
    let response = match ended {
        Ended::Stored { offset, expires } => {
            let mut response = StatusCode::NO_CONTENT.into_response();
            response.headers_mut().insert(UPLOAD_OFFSET, HeaderValue::from(offset));
            response.headers_mut().insert(UPLOAD_EXPIRES, date(expires));
            response
        }
        Ended::Evicted { offset } => {
            at_offset(Problem::new(Code::UploadOffset, "A newer request took over this upload."), offset)
                .into_response()
        }
        Ended::TooLong { offset } => at_offset(
            Problem::new(Code::PayloadTooLarge, "The body goes on beyond the declared length of the upload."),
            offset,
        )
        .into_response(),
        Ended::Broken { offset } => {
            at_offset(Problem::new(Code::BadRequest, "The body broke off; what arrived is kept."), offset)
                .into_response()
        }
    };
    Ok(response)
}

const fn offset_of(ended: &Ended) -> u64 {
    match ended {
        Ended::Stored { offset, .. }
        | Ended::Evicted { offset }
        | Ended::TooLong { offset }
        | Ended::Broken { offset } => *offset,
    }
}

fn at_offset(problem: Problem, offset: u64) -> Problem {
    problem.header(UPLOAD_OFFSET, HeaderValue::from(offset))
}

/// What tus answers to each refusal (`ingest.md` 3.1, C8 and C11).
fn refused(failure: upload::AppendFailure) -> Problem {
    let refusal = match failure {
        upload::AppendFailure::Busy => {
            return Problem::new(
                Code::UploadBusy,
                "The running request of this upload is still being ended.",
            )
            .header(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        upload::AppendFailure::Failed(failure) => return failure.into(),
        upload::AppendFailure::Refused(refusal) => refusal,
    };
    let problem = |code| Problem::new(code, format!("{refusal}."));
    match refusal {
        Refusal::OffsetMismatch { at } => at_offset(problem(Code::UploadOffset), at),
        Refusal::TooLong { .. } => problem(Code::PayloadTooLarge),
        Refusal::LengthFixed { .. } | Refusal::LengthTooShort { .. } | Refusal::Incomplete { .. } => {
            problem(Code::UploadLength)
        }
        Refusal::Over(Phase::Expired | Phase::Lost) => problem(Code::UploadGone),
        Refusal::Over(Phase::Open | Phase::Finished | Phase::Cancelled) => Problem::not_found(),
    }
}

impl From<upload::AppendFailure> for Problem {
    fn from(failure: upload::AppendFailure) -> Self {
        refused(failure)
    }
}

fn described(opened: &Opened) -> Response {
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.insert(UPLOAD_OFFSET, HeaderValue::from(opened.offset));
    headers.insert(UPLOAD_LENGTH, HeaderValue::from(opened.size));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(MATINEE_VIDEO, ascii(&opened.video.to_string()));
    headers.insert(MATINEE_UPLOAD, ascii(&opened.id.to_string()));
    if opened.phase == Phase::Open {
        headers.insert(UPLOAD_EXPIRES, date(opened.expires));
    }
    if !opened.metadata.is_empty() {
        headers.insert(UPLOAD_METADATA, ascii(&opened.metadata));
    }
    response
}

fn streamed(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == OFFSET_STREAM) {
        return Ok(());
    }
    Err(Problem::new(Code::UnsupportedMediaType, format!("Bytes of an upload are sent as {OFFSET_STREAM}.")))
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    length.is_some_and(|length| length != "0") || headers.contains_key(header::TRANSFER_ENCODING)
}

/// A header that is a whole number of bytes; several equal ones are not accepted either.
fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let digits =
        value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    match (
        digits.and_then(|text| text.parse::<u64>().ok()).filter(|n| i64::try_from(*n).is_ok()),
        values.next(),
    ) {
        (Some(number), None) => Ok(Some(number)),
        _ => Err(Problem::new(Code::BadRequest, format!("The header {name} must be one whole number."))),
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Result<String, Problem> {
    headers.get(name).map_or_else(
        || Ok(String::new()),
        |value| {
            let text = value.to_str().map(str::to_owned);
            text.map_err(|_| {
                Problem::new(Code::BadRequest, format!("The header {name} must be plain ASCII."))
            })
        },
    )
}

/// Reads `Upload-Metadata`: a comma list of `key SP base64value`; keys are unique, a value may be missing.
fn pairs(metadata: &str) -> Result<Vec<(String, Bytes)>, Problem> {
    let wrong = |what: &str| Problem::new(Code::BadRequest, format!("Upload-Metadata {what}."));
    let mut pairs: Vec<(String, Bytes)> = Vec::new();
    for pair in metadata.split(',').map(str::trim).filter(|_| !metadata.trim().is_empty()) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        if key.is_empty() {
            return Err(wrong("has an empty key"));
        }
        if pairs.iter().any(|(known, _)| known == key) {
            return Err(wrong("names a key twice"));
        }
        let value = BASE64.decode(value.trim()).map_err(|_| wrong("has a value that is not base64"))?;
        pairs.push((key.to_owned(), value.into()));
    }
    Ok(pairs)
}

/// A title from `title`, `filename` or `name`; a file name is only ever a text, never a path.
fn title(pairs: &[(String, Bytes)]) -> String {
    let named = |wanted: &str| pairs.iter().find(|(key, _)| key == wanted).map(|(_, value)| value);
    let value = ["title", "filename", "name"].iter().find_map(|key| named(key));
    upload::title_from(value.map(|value| String::from_utf8_lossy(value)).as_deref().unwrap_or_default())
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn date(at: matinee_core::time::Millis) -> HeaderValue {
    let seconds = u64::try_from(at.0 / 1_000).unwrap_or_default();
    ascii(&httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(metadata: &str) -> Option<Vec<(String, String)>> {
        let pairs = pairs(metadata).ok()?;
        Some(pairs.into_iter().map(|(k, v)| (k, String::from_utf8(v.to_vec()).unwrap())).collect())
    }

    #[test]
    fn metadata_is_read_as_the_protocol_says() {
        let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        assert_eq!(keys(""), Some(vec![]));
        assert_eq!(
            keys("filename YS5tcDQ=,empty,also "),
            Some(vec![pair("filename", "a.mp4"), pair("empty", ""), pair("also", "")])
        );
        assert_eq!(keys("a YQ==,a Yg=="), None, "a key twice");
        assert_eq!(keys("a !!"), None, "not base64");
        assert_eq!(keys(" YQ==,"), None, "an empty key");
    }

    #[test]
    fn a_number_is_one_plain_number() {
        let one = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(UPLOAD_OFFSET, HeaderValue::from_str(value).unwrap());
            number(&headers, &UPLOAD_OFFSET).ok()
        };
        assert_eq!(one("5"), Some(Some(5)));
        for wrong in ["-1", "+1", "1.0", "", "0x5", "9223372036854775808"] {
            assert_eq!(one(wrong), None, "{wrong}");
        }
    }
}
