//! `/files/`: which of the two protocols for resumable uploads a request speaks, and what they have in common.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyStream;
use matinee_core::id::AppId;
use matinee_core::upload::checksum::{Algorithm, Checksum, Fault};
use matinee_core::upload::resumable::{Marks, Protocol, protocol};
use matinee_core::upload::{Phase, Refusal};

use super::problem::{Code, Problem};
use super::request::{Caller, External};
use super::{Shared, resumable, tus};
use crate::flow::upload::{self, AppendFailure, Opened, Piece};

pub(super) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(super) const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub(super) const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");
const MATINEE_VIDEO: HeaderName = HeaderName::from_static("matinee-video");
const MATINEE_UPLOAD: HeaderName = HeaderName::from_static("matinee-upload");

/// A request about uploads.
pub(super) struct Asked {
    pub(super) node: Shared,
    pub(super) caller: Caller,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// `/files/` without a key: what is offered, and creation.
pub(crate) async fn collection(
    State(node): State<Shared>,
    caller: Caller,
    external: External,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let method = overridden(method, &headers);
    let spoken = protocol(marks(&headers), None);
    let asked = Asked { node, caller, headers, body };
    let answer = match (method, spoken) {
        (Method::OPTIONS, _) => Ok(offered(&asked.node)),
        (Method::POST, Some(Protocol::Tus)) => tus::create(asked, &external).await,
        (Method::POST, Some(Protocol::Resumable)) => resumable::create(asked, &external).await,
        (Method::POST, None) => Err(tus::unspoken()),
        _ => Err(Problem::new(Code::MethodNotAllowed, "Uploads are created here with POST.")),
    };
    answered(answer, spoken)
}

/// `/files/{key}`: one upload.
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
        return answered(Ok(offered(&node)), None);
    }
    let mut spoken = protocol(marks(&headers), None);
    let asked = Asked { node, caller, headers, body };
    let answer = served(asked, &key, method, &mut spoken).await;
    answered(answer, spoken)
}

async fn served(
    asked: Asked,
    key: &str,
    method: Method,
    spoken: &mut Option<Protocol>,
) -> Result<Response, Problem> {
    let marks = marks(&asked.headers);
    // Another version of tus is not executed, whatever it wants.
    if spoken.is_none() && marks.tus.is_some() {
        return Err(tus::unspoken());
    }
    let app = asked.caller.permit_upload(key)?;
    if spoken.is_none() {
        *spoken = protocol(marks, Some(upload::way_of(&asked.node, app, key).await?));
    }
    if method == Method::GET {
        return read(&asked.node, &asked.headers, (app, key), *spoken).await;
    }
    match (spoken.ok_or_else(tus::unspoken)?, method) {
        (Protocol::Tus, Method::HEAD) => tus::head(&asked.node, app, key).await,
        (Protocol::Tus, Method::PATCH) => tus::append(asked, app, key).await,
        (Protocol::Resumable, Method::HEAD) => resumable::head(&asked.node, &asked.headers, (app, key)).await,
        (Protocol::Resumable, Method::PATCH) => resumable::append(asked, app, key).await,
        (_, Method::DELETE) => {
            upload::terminate(&asked.node, app, key).await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        _ => Err(Problem::new(Code::MethodNotAllowed, "An upload takes HEAD, GET, PATCH and DELETE.")),
    }
}

/// A finished upload is a plain download; before that, only the IETF protocol has an answer.
async fn read(
    node: &Shared,
    headers: &HeaderMap,
    (app, key): (AppId, &str),
    spoken: Option<Protocol>,
) -> Result<Response, Problem> {
    let opened = upload::status(node, app, key).await?;
    if opened.phase != Phase::Finished {
        return match spoken {
            Some(Protocol::Resumable) => resumable::head(node, headers, (app, key)).await,
            Some(Protocol::Tus) => {
                Err(Problem::new(Code::Conflict, "The upload is not complete, so it cannot be read yet."))
            }
            None => Err(tus::unspoken()),
        };
    }
    if !node.config.uploads.download {
        return Err(Problem::new(Code::Forbidden, "This server does not give uploads back.")
            .fix("Watch or download the video, or set `uploads.download`."));
    }
    let content = upload::content(node, app, key).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_LENGTH, HeaderValue::from(content.len)),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Body::from_stream(content.bytes)).into_response())
}

fn overridden(method: Method, headers: &HeaderMap) -> Method {
    let wanted = headers.get(METHOD_OVERRIDE).and_then(|value| Method::from_bytes(value.as_bytes()).ok());
    wanted.unwrap_or(method)
}

fn marks(headers: &HeaderMap) -> Marks<'_> {
    // A version that is no text is none of ours either.
    let tus = headers.get(tus::TUS_RESUMABLE).map(|version| version.to_str().unwrap_or_default());
    Marks { tus, resumable: resumable::is_marked(headers) }
}

/// Every tus answer but that to OPTIONS must carry the version; elsewhere it does no harm.
fn answered(answer: Result<Response, Problem>, spoken: Option<Protocol>) -> Response {
    let failed = answer.is_err();
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    let headers = response.headers_mut();
    if spoken == Some(Protocol::Resumable) {
        if failed {
            headers.entry(resumable::UPLOAD_COMPLETE).or_insert(HeaderValue::from_static("?0"));
        }
    } else {
        headers.insert(tus::TUS_RESUMABLE, HeaderValue::from_static(tus::VERSION));
    }
    response
}

/// What both protocols offer, in one answer.
fn offered(node: &Shared) -> Response {
    let max_bytes = node.config.uploads.max_bytes;
    let age_s = node.config.uploads.idle_timeout.ms / 1_000;
    let algorithms = Algorithm::ALL.map(Algorithm::name).join(",");
    let headers = [
        (tus::TUS_VERSION, HeaderValue::from_static(tus::VERSION)),
        (tus::TUS_EXTENSION, HeaderValue::from_static(tus::EXTENSIONS)),
        (tus::TUS_MAX_SIZE, HeaderValue::from(max_bytes)),
        (tus::TUS_CHECKSUM_ALGORITHM, ascii(&algorithms)),
        (resumable::UPLOAD_LIMIT, resumable::limit(node, age_s)),
    ];
    (StatusCode::OK, headers).into_response()
}

/// A length above the largest that is taken.
pub(super) fn too_large(bytes: u64, max_bytes: u64) -> Problem {
    let text = format!("The upload has {bytes} bytes; this server takes at most {max_bytes}.");
    Problem::new(Code::PayloadTooLarge, text)
}

/// The headers that name what an upload is and becomes. A part becomes no video.
pub(super) fn name(headers: &mut HeaderMap, opened: &Opened) {
    headers.insert(MATINEE_UPLOAD, ascii(&opened.id.to_string()));
    if !opened.partial {
        headers.insert(MATINEE_VIDEO, ascii(&opened.video.to_string()));
    }
}

/// The pieces of a body, and the checksum behind it if there is one.
pub(super) fn arrivals(body: Body) -> impl Stream<Item = Result<Piece, axum::Error>> + Send + Unpin {
    BodyStream::new(body).map(|frame| {
        Ok(match frame?.into_data() {
            Ok(bytes) => Piece::Bytes(bytes),
            Err(frame) => {
                let claimed = frame.trailers_ref().and_then(|trailers| trailers.get(tus::UPLOAD_CHECKSUM));
                claimed.map_or(Piece::Bytes(Bytes::new()), |claimed| Piece::Claim(checksum(claimed)))
            }
        })
    })
}

/// Reads the value of `Upload-Checksum`.
pub(super) fn checksum(claimed: &HeaderValue) -> Result<Checksum, Fault> {
    claimed.to_str().map_err(|_| Fault::Malformed).and_then(Checksum::parse)
}

/// What is answered where bytes were refused (`ingest.md` 3.1, C8 and C11); the IETF protocol answers some itself.
pub(super) fn refused(failure: AppendFailure) -> Problem {
    let refusal = match failure {
        AppendFailure::Busy => {
            return Problem::new(
                Code::UploadBusy,
                "The running request of this upload is still being ended.",
            )
            .header(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        AppendFailure::Failed(failure) => return failure.into(),
        AppendFailure::Refused(refusal) => refusal,
    };
    let problem = |code| Problem::new(code, format!("{refusal}."));
    match refusal {
        Refusal::OffsetMismatch { at } => at_offset(problem(Code::UploadOffset), at),
        Refusal::TooLong { .. } => problem(Code::PayloadTooLarge),
        Refusal::LengthFixed { .. } | Refusal::LengthTooShort { .. } | Refusal::Incomplete { .. } => {
            problem(Code::UploadLength)
        }
        Refusal::Checksum => problem(Code::UploadDigest).fix("The upload is over; begin it again."),
        Refusal::Final => problem(Code::UploadFinal),
        Refusal::Over(Phase::Expired | Phase::Lost) => problem(Code::UploadGone),
        Refusal::Over(Phase::Open | Phase::Finished | Phase::Cancelled) => Problem::not_found(),
    }
}

impl From<AppendFailure> for Problem {
    fn from(failure: AppendFailure) -> Self {
        refused(failure)
    }
}

/// The upload goes on here.
pub(super) fn at_offset(problem: Problem, offset: u64) -> Problem {
    problem.header(UPLOAD_OFFSET, HeaderValue::from(offset))
}

/// A header as plain text; nothing when it is missing.
pub(super) fn text(headers: &HeaderMap, name: &HeaderName) -> Result<String, Problem> {
    let Some(value) = headers.get(name) else { return Ok(String::new()) };
    let text = value.to_str().map(str::to_owned);
    text.map_err(|_| Problem::new(Code::BadRequest, format!("The header {name} must be plain ASCII.")))
}

/// A header that is a whole number of bytes; several equal ones are not accepted either.
pub(super) fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, Problem> {
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

/// Text that is known to be ASCII as the value of a header.
pub(super) fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

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
