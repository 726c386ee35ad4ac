//! `/v1/runner/...`, `/v1/lease/{id}/...` and `/r/{pass}`: what a runner says and hears. Nobody else may.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use matinee_core::access::path::Refusal;
use matinee_core::access::runner::Way;
use matinee_core::job::Lease;

use super::asked::ascii;
use super::problem::{Code, Problem};
use super::request::Caller;
use super::view::{Problems, Sent};
use super::{Shared, origin};
use crate::errand::{Completion, Errand, GivingUp, Joining, Registered, Renewal, Renewed, Wish};
use crate::flow::runner::{self, Received, Refused};
use crate::flow::serve::File;

/// A runner's source is some file, and is never shown.
const BYTES: &str = "application/octet-stream";

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unfit(unfit) => {
                Self::new(Code::RunnerUnfit, format!("This runner gets no work here: {unfit}."))
                    .fix(unfit.fix())
            }
            Refused::LeaseLost => lost(),
            Refused::Mismatch(human) => Self::new(Code::OutputMismatch, human),
            Refused::Unproven(human) => Self::new(Code::OutputUnproven, human),
            Refused::Failure(failure) => failure.into(),
        }
    }
}

fn lost() -> Problem {
    Problem::new(Code::LeaseLost, "Somebody else has this job, or nobody wants it any more.")
}

/// Registers a runner with its registration token, which is used up by that.
#[utoipa::path(post, path = "/v1/runner/register", operation_id = "runner_register", tag = "runner", request_body = Joining, responses((status = 200, body = Registered), Problems))]
pub(crate) async fn register(
    State(node): State<Shared>,
    Sent(asked): Sent<Joining>,
) -> Result<Json<Registered>, Problem> {
    let registered = runner::register(&node, &asked).await?;
    registered.map(Json).ok_or_else(|| {
        Problem::new(Code::Unauthorized, "This registration token is not known, is over, or was used.").fix(
            "Have an administrator make a new one: on the page of runners, or by `matinee runner token`.",
        )
    })
}

/// Takes one job; waits up to 30 s for one, then the answer is empty.
#[utoipa::path(post, path = "/v1/runner/claim", operation_id = "runner_claim", tag = "runner", request_body = Wish, responses((status = 200, body = Errand), (status = 204, description = "There is nothing to do."), Problems))]
pub(crate) async fn claim(
    State(node): State<Shared>,
    caller: Caller,
    Sent(wish): Sent<Wish>,
) -> Result<Response, Problem> {
    let runner = caller.permit_runner()?;
    Ok(match runner::claim(&node, runner, &wish).await? {
        Some(errand) => Json(errand).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

fn lease(job: &str, attempt: u32, token: &str) -> Result<Lease, Problem> {
    runner::lease(job, attempt, token).ok_or_else(lost)
}

/// Goes on with a job.
#[utoipa::path(post, path = "/v1/lease/{id}/renew", operation_id = "lease_renew", tag = "runner", params(("id" = String, Path, description = "The job.")), request_body = Renewal, responses((status = 200, body = Renewed), Problems))]
pub(crate) async fn renew(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Sent(said): Sent<Renewal>,
) -> Result<Json<Renewed>, Problem> {
    let runner = caller.permit_runner()?;
    let lease = lease(&id, said.attempt, &said.token)?;
    Ok(Json(runner::renew(&node, runner, (lease, &said)).await?))
}

/// Hands in what was made; the server proves all of it before it counts.
#[utoipa::path(post, path = "/v1/lease/{id}/complete", operation_id = "lease_complete", tag = "runner", params(("id" = String, Path, description = "The job.")), request_body = Completion, responses((status = 204, description = "It is published."), Problems))]
pub(crate) async fn complete(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Sent(said): Sent<Completion>,
) -> Result<StatusCode, Problem> {
    let runner = caller.permit_runner()?;
    let lease = lease(&id, said.attempt, &said.token)?;
    runner::complete(&node, runner, (lease, &said)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a job up, with the reason.
#[utoipa::path(post, path = "/v1/lease/{id}/fail", operation_id = "lease_fail", tag = "runner", params(("id" = String, Path, description = "The job.")), request_body = GivingUp, responses((status = 204, description = "It goes on elsewhere, or later."), Problems))]
pub(crate) async fn fail(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Sent(said): Sent<GivingUp>,
) -> Result<StatusCode, Problem> {
    let runner = caller.permit_runner()?;
    let lease = lease(&id, said.attempt, &said.token)?;
    runner::fail(&node, runner, (lease, &said)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One object: the source is read (with ranges), an output is measured and written.
pub(crate) async fn bytes(
    State(node): State<Shared>,
    caller: Caller,
    Path(pass): Path<String>,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let runner = caller.permit_runner()?.id;
    let place = runner::opened(&node, runner, &pass).map_err(|refusal| match refusal {
        Refusal::Wrong => Problem::not_found(),
        Refusal::Expired => Problem::new(Code::TokenExpired, "This address was good for some minutes only.")
            .fix("Renew the lease: the answer has a fresh address."),
    })?;
    let reads = method == Method::GET || method == Method::HEAD;
    match place.way {
        Way::Read if reads => {
            let size = runner::size(&node, place.object).await?;
            let source = File { object: place.object, size, kind: BYTES };
            let mut response = origin::file(&node, &source, None, &headers, None)?;
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Ok(response)
        }
        Way::Write if reads => {
            let had = runner::measure(&node, runner, place.object).await?.ok_or_else(lost)?;
            if method == Method::GET {
                return Err(Problem::new(Code::MethodNotAllowed, "What was written is not given back."));
            }
            Ok(([(header::CONTENT_LENGTH, HeaderValue::from(had))], Body::empty()).into_response())
        }
        Way::Write if method == Method::PUT => {
            let range = content_range(&headers).ok_or_else(|| {
                Problem::new(Code::BadRequest, "`Content-Range: bytes first-last/total` is missing or wrong.")
            })?;
            let received =
                runner::receive(&node, (runner, place.object), range, body.into_data_stream()).await?;
            written(&received)
        }
        Way::Read | Way::Write => {
            Err(Problem::new(Code::MethodNotAllowed, "This address was given for something else."))
        }
    }
}

fn written(received: &Received) -> Result<Response, Problem> {
    match *received {
        Received::Now(at) => {
            Ok((StatusCode::NO_CONTENT, [("upload-offset", ascii(&at.to_string()))]).into_response())
        }
        Received::Lost => Err(lost()),
        Received::Elsewhere(at) => {
            Err(Problem::new(Code::UploadOffset, format!("{at} bytes are here, and no hole may be left."))
                .header(header::HeaderName::from_static("upload-offset"), ascii(&at.to_string())))
        }
        Received::TooLong => {
            Err(Problem::new(Code::PayloadTooLarge, "No plan allows a file of this length.")
                .fix("Give the job up."))
        }
    }
}

/// First byte and total length of `bytes first-last/total`.
fn content_range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let range = headers.get(header::CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    let (run, total) = range.split_once('/')?;
    let (first, last) = run.split_once('-')?;
    let (first, last, total): (u64, u64, u64) =
        (first.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
    (first <= last && last < total).then_some((first, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_says_where_bytes_belong_and_how_many_there_will_be() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_RANGE, HeaderValue::from_str(text).unwrap());
            content_range(&headers)
        };
        assert_eq!(read("bytes 0-4/5"), Some((0, 5)));
        assert_eq!(read("bytes 3-4/5"), Some((3, 5)));
        for wrong in ["bytes 0-5/5", "bytes 4-3/5", "bytes 0-4/*", "bytes */5", "0-4/5", "bytes -4/5"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
