//! tus 1.0: header names and status codes of resumable uploads; the rules are `core::upload`'s.
//!
//! Source: tus/tus-resumable-upload-protocol, version 1.0.0, as laid out in `ingest.md` section 3.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper::body::Body as _;
use matinee_core::access::Scope;
use matinee_core::id::AppId;
use matinee_core::upload::concat::Concat;
use matinee_core::upload::{Phase, Way, metadata};

use super::Shared;
use super::asked::{
    Asked, MATINEE_UPLOAD, MATINEE_VIDEO, UPLOAD_CHECKSUM, UPLOAD_LENGTH, UPLOAD_METADATA, UPLOAD_OFFSET,
    arrivals, ascii, at_offset, checksum, name, number, text, too_large,
};
use super::problem::{Code, Problem};
use super::request::External;
use crate::flow::upload::{self, Checked, Claim, Draft, Ended, Opened, Terms, Upload, Wrong};

pub(super) const VERSION: &str = "1.0.0";
pub(super) const EXTENSIONS: &str = "creation,creation-with-upload,creation-defer-length,expiration,checksum,\
    checksum-trailer,termination,concatenation,concatenation-unfinished";
const OFFSET_STREAM: &str = "application/offset+octet-stream";

pub(super) const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
pub(super) const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
pub(super) const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
pub(super) const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
pub(super) const TUS_CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
const UPLOAD_CONCAT: HeaderName = HeaderName::from_static("upload-concat");
const UPLOAD_DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");

/// The request speaks neither protocol, or another version of tus.
pub(super) fn unspoken() -> Problem {
    Problem::new(Code::TusVersion, "This server speaks tus 1.0.0, and the request did not say so.")
        .header(TUS_VERSION, HeaderValue::from_static(VERSION))
}

/// `POST /files/`.
pub(super) async fn create(asked: Asked, external: &External) -> Result<Response, Problem> {
    let Asked { node, caller, headers, body } = asked;
    let app = caller.permit(Scope::UploadWrite)?;
    let raw = text(&headers, &UPLOAD_METADATA)?;
    let pairs = metadata::pairs(&raw)
        .map_err(|fault| Problem::new(Code::BadRequest, format!("Upload-Metadata {fault}.")))?;
    let title = upload::title_from(&metadata::name(&pairs).unwrap_or_default());
    let concat = concat(&headers)?;
    let has_body = !body.is_end_stream();
    let draft = Draft { metadata: raw.clone(), ..Draft::new(&node, app, title, Way::Tus) };
    if let Some(Concat::Final(keys)) = &concat {
        let lengths = [UPLOAD_LENGTH, UPLOAD_DEFER_LENGTH];
        if has_body || lengths.iter().any(|name| headers.contains_key(name)) {
            return Err(Problem::new(
                Code::UploadLength,
                "A final upload has the length and the bytes of its parts.",
            )
            .fix("Send neither a length nor a body."));
        }
        for key in keys {
            if caller.permit_upload(key)? != app {
                return Err(Problem::not_found());
            }
        }
        let opened = upload::create_final(&node, draft, &text(&headers, &UPLOAD_CONCAT)?, keys).await?;
        return Ok(created(&opened, external));
    }
    let size = length(&headers, node.config.uploads.max_bytes)?;
    let claim = if has_body { streamed(&headers).and_then(|()| claim(&headers))? } else { None };
    if let (Some(size), Some(len)) = (size, number(&headers, &header::CONTENT_LENGTH)?)
        && has_body
        && len > size
    {
        return Err(Problem::new(
            Code::PayloadTooLarge,
            format!("The body has more than the {size} bytes of the upload."),
        ));
    }
    let draft = Draft { size, partial: concat.is_some(), ..draft };
    let opened = upload::create(&node, draft).await?;
    let mut response = created(&opened, external);
    if has_body {
        let taken = (0, Terms::default(), claim);
        let ended = upload::append_on(&node, app, &opened.key, taken, arrivals(body)).await?;
        let location = response.headers()[header::LOCATION].clone();
        // What went wrong with the bytes leaves an upload that can go on.
        let offset = match ended {
            Checked::Ended(
                Ended::Stored { offset, .. } | Ended::Evicted { offset } | Ended::Broken { offset },
            ) => offset,
            Checked::Ended(Ended::TooLong { offset }) => {
                return Err(too_long(offset).header(header::LOCATION, location));
            }
            Checked::Wrong(wrong) => return Err(unfit(wrong).header(header::LOCATION, location)),
        };
        response.headers_mut().insert(UPLOAD_OFFSET, HeaderValue::from(offset));
    }
    Ok(response)
}

/// `Upload-Length`, or `Upload-Defer-Length: 1`.
pub(super) fn length(headers: &HeaderMap, max_bytes: u64) -> Result<Option<u64>, Problem> {
    let wrong = |text: &str| Err(Problem::new(Code::UploadLength, text));
    match (number(headers, &UPLOAD_LENGTH)?, headers.get(UPLOAD_DEFER_LENGTH)) {
        (Some(_), Some(_)) => wrong("The creation says its length and defers it."),
        (Some(size), None) if size > max_bytes => Err(too_large(size, max_bytes)),
        (Some(size), None) => Ok(Some(size)),
        (None, Some(deferred)) if deferred == "1" => Ok(None),
        (None, Some(_)) => wrong("Upload-Defer-Length can only be 1."),
        (None, None) => wrong("The creation must say its Upload-Length, or Upload-Defer-Length: 1."),
    }
}

fn concat(headers: &HeaderMap) -> Result<Option<Concat>, Problem> {
    if !headers.contains_key(UPLOAD_CONCAT) {
        return Ok(None);
    }
    let read = Concat::parse(&text(headers, &UPLOAD_CONCAT)?);
    read.map(Some).map_err(|fault| {
        Problem::new(Code::BadRequest, format!("Upload-Concat {fault}."))
            .fix("Send `partial`, or `final;` and the addresses of the parts with spaces between them.")
    })
}

/// What the body is to be checked against: a header, or a field behind it.
fn claim(headers: &HeaderMap) -> Result<Option<Claim>, Problem> {
    if let Some(claimed) = headers.get(UPLOAD_CHECKSUM) {
        let wrong = |fault| Problem::new(Code::BadRequest, format!("Upload-Checksum {fault}."));
        return Ok(Some(Claim::Known(checksum(claimed).map_err(wrong)?)));
    }
    let announced = headers.get_all(header::TRAILER).iter().filter_map(|names| names.to_str().ok());
    let mut announced = announced.flat_map(|names| names.split(','));
    let promised = announced.any(|name| name.trim().eq_ignore_ascii_case(UPLOAD_CHECKSUM.as_str()));
    Ok(promised.then_some(Claim::Trailer))
}

fn created(opened: &Opened, external: &External) -> Response {
    let mut response = StatusCode::CREATED.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, ascii(&external.url(&format!("/files/{}", opened.key))));
    headers.insert(UPLOAD_EXPIRES, date(opened.expires));
    name(headers, opened);
    response
}

/// The answer to the creation of an upload that was announced: its address is its credential.
pub(super) fn announced(upload: &Upload, external: &External) -> Response {
    let mut response = StatusCode::CREATED.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, ascii(&external.url(&format!("/files/{}", upload.url_key))));
    headers.insert(UPLOAD_EXPIRES, date(upload.expires));
    headers.insert(UPLOAD_OFFSET, HeaderValue::from(upload.offset));
    headers.insert(MATINEE_UPLOAD, ascii(&upload.id.to_string()));
    headers.insert(MATINEE_VIDEO, ascii(&upload.video.to_string()));
    response
}

/// `PATCH /files/{key}`.
pub(super) async fn append(asked: Asked, app: AppId, key: &str) -> Result<Response, Problem> {
    let Asked { node, headers, body, .. } = asked;
    streamed(&headers)?;
    let offset = number(&headers, &UPLOAD_OFFSET)?
        .ok_or_else(|| Problem::new(Code::BadRequest, "A PATCH must say its Upload-Offset."))?;
    let claim = claim(&headers)?;
    let length = number(&headers, &UPLOAD_LENGTH)?;
    let max_bytes = node.config.uploads.max_bytes;
    if let Some(length) = length.filter(|length| *length > max_bytes) {
        return Err(too_large(length, max_bytes));
    }
    // Nothing of a body that cannot fit is read.
    let len = number(&headers, &header::CONTENT_LENGTH)?.unwrap_or(0);
    upload::permit(&node, app, key, (offset, len, length)).await?;
    let terms = Terms { length, full_is_end: true, ..Terms::default() };
    match upload::append_on(&node, app, key, (offset, terms, claim), arrivals(body)).await? {
        Checked::Ended(Ended::Stored { offset, expires, .. }) => {
            let mut response = StatusCode::NO_CONTENT.into_response();
            response.headers_mut().insert(UPLOAD_OFFSET, HeaderValue::from(offset));
            response.headers_mut().insert(UPLOAD_EXPIRES, date(expires));
            Ok(response)
        }
        Checked::Ended(Ended::Evicted { offset }) => {
            Err(at_offset(Problem::new(Code::UploadOffset, "A newer request took over this upload."), offset))
        }
        Checked::Ended(Ended::TooLong { offset }) => Err(too_long(offset)),
        Checked::Ended(Ended::Broken { offset }) => {
            Err(at_offset(Problem::new(Code::BadRequest, "The body broke off before its end."), offset))
        }
        Checked::Wrong(wrong) => Err(unfit(wrong)),
    }
}

fn too_long(offset: u64) -> Problem {
    let text = "The body goes on beyond the declared length of the upload.";
    at_offset(Problem::new(Code::PayloadTooLarge, text), offset)
}

/// The bytes are not those of the checksum.
fn unfit(wrong: Wrong) -> Problem {
    let code = match wrong {
        Wrong::Mismatch => Code::UploadChecksum,
        Wrong::Missing | Wrong::Unreadable(_) => Code::BadRequest,
    };
    Problem::new(code, format!("Nothing was kept: {wrong}."))
}

/// Where an upload is. In tus it is finished when it has its length; one that was begun in the IETF protocol is told
/// so here, because a client that sees that asks nothing more.
async fn end_if_full(node: &Shared, app: AppId, key: &str) -> Result<Opened, Problem> {
    let opened = upload::status(node, app, key).await?;
    let full = opened.size == Some(opened.offset) && opened.concat.is_none();
    if opened.phase == Phase::Open && full {
        upload::complete(node, app, key).await?;
    }
    Ok(opened)
}

/// `HEAD /files/{key}`.
pub(super) async fn head(node: &Shared, app: AppId, key: &str) -> Result<Response, Problem> {
    let opened = end_if_full(node, app, key).await?;
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.insert(UPLOAD_OFFSET, HeaderValue::from(opened.offset));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match opened.size {
        Some(size) => headers.insert(UPLOAD_LENGTH, HeaderValue::from(size)),
        None => headers.insert(UPLOAD_DEFER_LENGTH, HeaderValue::from_static("1")),
    };
    if opened.phase == Phase::Open {
        headers.insert(UPLOAD_EXPIRES, date(opened.expires));
    }
    if !opened.metadata.is_empty() {
        headers.insert(UPLOAD_METADATA, ascii(&opened.metadata));
    }
    if let Some(concat) = &opened.concat {
        headers.insert(UPLOAD_CONCAT, ascii(concat));
    }
    name(headers, &opened);
    Ok(response)
}

fn streamed(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == OFFSET_STREAM) {
        return Ok(());
    }
    Err(Problem::new(Code::UnsupportedMediaType, format!("Bytes of an upload are sent as {OFFSET_STREAM}.")))
}

fn date(at: matinee_core::time::Millis) -> HeaderValue {
    let seconds = u64::try_from(at.0 / 1_000).unwrap_or_default();
    ascii(&httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)))
}
