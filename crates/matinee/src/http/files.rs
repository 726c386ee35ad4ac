//! `/files/`: which of the two protocols for resumable uploads a request speaks.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use matinee_core::id::AppId;
use matinee_core::upload::Phase;
use matinee_core::upload::checksum::Algorithm;
use matinee_core::upload::resumable::{Marks, Protocol, protocol};

use super::asked::{Asked, ascii};
use super::problem::{Code, Problem};
use super::request::{Caller, External};
use super::{Shared, resumable, tus};
use crate::flow::upload;

const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

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
