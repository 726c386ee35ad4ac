//! `/assemblies`: pages and programs that were written for Transloadit. A signature makes an assembly, and its id, which nobody can
//! guess, is the right to send its files, to look at it and to end it.
//!
//! Neither tokens nor cookies are looked at, so every site may ask. What is wrong is said in that protocol's own words.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, Request, State};
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use matinee_core::assembly::{Code as Word, FORM_BYTES_MAX, Refusal};
use matinee_core::upload::{Phase, metadata};
use multer::{Constraints, Multipart, SizeLimit};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Shared;
use super::asked::{UPLOAD_METADATA, text};
use super::problem::Problem;
use super::request::External;
use super::tus;
use crate::flow::assembly::{self as flow, Asked, Joining, Listener, Sending, Unmade};
use crate::flow::{Failure, upload, video};

/// A quiet stream says so often that it is still there: proxies end a silent connection after a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The parts of metadata that say what a file is, and are not its sender's own words about it.
const OURS: [&str; 6] = ["assembly_url", "filename", "fieldname", "name", "type", "relativePath"];
const ALLOWED: &str = "Content-Type, Transloadit-Client, X-Request-ID, X-Requested-With, Last-Event-ID, Tus-Resumable, \
     Upload-Length, Upload-Metadata, Upload-Defer-Length, Upload-Concat";
const EXPOSED: &str =
    "Location, Tus-Resumable, Upload-Offset, Upload-Expires, Matinee-Video, Matinee-Upload, Retry-After";

/// What went wrong, in the words of the protocol.
enum Wrong {
    Said(Refusal),
    Failed(Failure),
    /// The upload itself was refused; tus has its own answers.
    Upload(Box<Problem>),
}

impl From<Unmade> for Wrong {
    fn from(unmade: Unmade) -> Self {
        match unmade {
            Unmade::Refused(refusal) => Self::Said(refusal),
            Unmade::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl From<Refusal> for Wrong {
    fn from(refusal: Refusal) -> Self {
        Self::Said(refusal)
    }
}

impl From<Problem> for Wrong {
    fn from(problem: Problem) -> Self {
        Self::Upload(Box::new(problem))
    }
}

const fn status_of(word: Word) -> StatusCode {
    match word {
        Word::UnknownKey | Word::BadSignature | Word::Expired | Word::Reused => StatusCode::UNAUTHORIZED,
        Word::NotFound | Word::NoTemplate => StatusCode::NOT_FOUND,
        Word::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Word::Closed => StatusCode::CONFLICT,
        // A page takes any other status for the end of its assembly, and asks again after this one.
        Word::Busy => StatusCode::TOO_MANY_REQUESTS,
        Word::NoParams
        | Word::BadParams
        | Word::BadForm
        | Word::NoAuth
        | Word::NoKey
        | Word::NoExpires
        | Word::NoSignature
        | Word::NoOverride
        | Word::NoSteps
        | Word::BadSteps
        | Word::NoRobot
        | Word::UnknownRobot
        | Word::UnknownUse
        | Word::BadExpected
        | Word::SameId
        | Word::Late
        | Word::Crashed => StatusCode::BAD_REQUEST,
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        let refusal = match self {
            Self::Upload(problem) => return problem.into_response(),
            Self::Said(refusal) => refusal,
            Self::Failed(Failure::Absent) => Refusal::new(Word::NotFound, "There is no such assembly."),
            Self::Failed(failure @ (Failure::Limited(_) | Failure::Full)) => {
                return Problem::from(failure).into_response();
            }
            Self::Failed(failure) => {
                tracing::error!(%failure, "a request about an assembly met a failure");
                Refusal::new(Word::Busy, "The server cannot do this right now.")
            }
        };
        let status = status_of(refusal.code);
        let told =
            json!({ "error": refusal.code.word(), "message": refusal.human, "http_code": status.as_u16() });
        let mut response = (status, Json(told)).into_response();
        if status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

/// Every site may ask: what it asks with, nobody else has given it.
fn open(answer: Result<Response, Wrong>) -> Response {
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

pub(super) async fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    open(Ok((StatusCode::NO_CONTENT, headers).into_response()))
}

pub(super) async fn create(State(node): State<Shared>, external: External, request: Request) -> Response {
    open(created(&node, &external, None, request).await)
}

pub(super) async fn create_as(
    State(node): State<Shared>,
    external: External,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    open(created(&node, &external, Some(id), request).await)
}

async fn created(
    node: &Shared,
    external: &External,
    id: Option<String>,
    request: Request,
) -> Result<Response, Wrong> {
    let (parts, body) = request.into_parts();
    let asked = form(&parts.headers, body).await?;
    let asked = Asked { id, base: external.url(""), ..asked };
    Ok(Json(flow::create(node, asked).await?).into_response())
}

/// Reads the form. Files do not come in it: they are sent by tus, where they can go on after a break.
async fn form(headers: &HeaderMap, body: Body) -> Result<Asked, Refusal> {
    let bad = |human: &str| Refusal::new(Word::BadForm, human);
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary =
        multer::parse_boundary(kind).map_err(|_| bad("The form must be sent as multipart/form-data."))?;
    let body = to_bytes(body, FORM_BYTES_MAX).await;
    let body = body.map_err(|_| bad("The form broke off, or is too long; files are sent by tus."))?;
    let limit = SizeLimit::new().whole_stream(FORM_BYTES_MAX as u64);
    let body = stream::iter([Ok::<_, Infallible>(body)]);
    let mut form = Multipart::with_constraints(body, boundary, Constraints::new().size_limit(limit));
    let mut asked = Asked::default();
    while let Some(field) = form.next_field().await.map_err(|_| bad("The form cannot be read."))? {
        if field.file_name().is_some() {
            return Err(bad("A file came with the form; send it by tus to `tus_url`."));
        }
        let name = field.name().unwrap_or_default().to_owned();
        let text = field.text().await.map_err(|_| bad("A field of the form is no text."))?;
        match name.as_str() {
            "params" => asked.params = Some(text),
            "signature" => asked.signature = Some(text),
            "num_expected_upload_files" => asked.files = Some(text),
            _ => drop(asked.fields.insert(name, Value::String(text))),
        }
    }
    Ok(asked)
}

pub(super) async fn show(State(node): State<Shared>, Path(id): Path<String>) -> Response {
    open(flow::status(&node, &id).await.map(|told| Json(told).into_response()).map_err(Wrong::from))
}

pub(super) async fn cancel(State(node): State<Shared>, Path(id): Path<String>) -> Response {
    open(canceled(&node, &id).await)
}

/// Ends it first, so that nothing new joins it; then what is on its way is given up.
async fn canceled(node: &Shared, id: &str) -> Result<Response, Wrong> {
    let (app, files) = flow::cancel(node, id).await?;
    for file in files {
        let ended = match file.phase {
            Phase::Open => upload::give_up(node, app, file.new.upload).await.map_err(Problem::from),
            Phase::Finished => video::delete(node, app, file.new.video).await.map_err(Problem::from),
            Phase::Cancelled | Phase::Expired | Phase::Lost => Ok(()),
        };
        if let Err(problem) = ended {
            tracing::warn!(?problem, upload = %file.new.upload, "a file of a cancelled assembly could not be given up");
        }
    }
    Ok(Json(flow::status(node, id).await?).into_response())
}

pub(super) async fn send(
    State(node): State<Shared>,
    external: External,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let mut response = open(sent(&node, &external, &id, &headers).await);
    response.headers_mut().insert(tus::TUS_RESUMABLE, HeaderValue::from_static(tus::VERSION));
    response
}

/// Announces the upload of one file: its address is all that its sender needs from then on.
async fn sent(node: &Shared, external: &External, id: &str, headers: &HeaderMap) -> Result<Response, Wrong> {
    if headers.get(tus::TUS_RESUMABLE).is_none_or(|version| version != tus::VERSION) {
        return Err(tus::unspoken().into());
    }
    let raw = text(headers, &UPLOAD_METADATA)?;
    let pairs = metadata::pairs(&raw)
        .map_err(|fault| Refusal::new(Word::BadForm, format!("Upload-Metadata {fault}.")))?;
    let of = |wanted: &str| {
        let found = pairs.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    let name = metadata::name(&pairs).unwrap_or_default();
    let size = tus::length(headers, node.config.uploads.max_bytes)?;
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).map(str::to_owned);
    let sending = Sending { name: &name, metadata: raw.clone(), size, origin };
    let draft = flow::admit(node, id, sending).await?;
    let announced = upload::announce(node, draft).await.map_err(Problem::from)?.listed.upload;
    let own = pairs.iter().filter(|(name, _)| !OURS.contains(name));
    let meta: Map<String, Value> = own
        .map(|(name, value)| ((*name).to_owned(), String::from_utf8_lossy(value).into_owned().into()))
        .collect();
    let joining = Joining {
        upload: announced.id,
        video: announced.video,
        field: of("fieldname").unwrap_or_else(|| "file".to_owned()),
        name,
        meta,
        bytes: size,
    };
    flow::join(node, id, joining).await?;
    Ok(tus::announced(&announced, external))
}

/// Which assembly is listened to.
#[derive(Debug, Deserialize)]
struct Which {
    assembly: String,
}

pub(super) async fn events(State(node): State<Shared>, uri: Uri, headers: HeaderMap) -> Response {
    open(listened(&node, &uri, &headers).await)
}

async fn listened(node: &Shared, uri: &Uri, headers: &HeaderMap) -> Result<Response, Wrong> {
    let lacking = |_| Refusal::new(Word::NotFound, "Say which assembly: `?assembly=` and its id.");
    let Query(Which { assembly }) = Query::try_from_uri(uri).map_err(lacking)?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let listener = Listener::begin(node, &assembly, last).await?;
    let frames = stream::unfold(listener, |mut listener| async {
        match listener.next().await {
            Ok(frame) => Some((Ok::<_, Infallible>(framed(frame?)), listener)),
            Err(failure) => {
                tracing::warn!(%failure, "a stream of an assembly ends; its listener comes back");
                None
            }
        }
    });
    let mut response = Sse::new(frames).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    // nginx buffers a whole answer otherwise.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn framed(told: flow::Frame) -> Frame {
    let frame = Frame::default().data(told.text);
    let frame = if let Some(id) = told.id { frame.id(id) } else { frame };
    if let Some(name) = told.name { frame.event(name) } else { frame }
}
