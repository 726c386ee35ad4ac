//! `POST /v1/ingest/url`: the server fetches a file from its address.

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use matinee_core::access::Scope;
use matinee_core::pull::Wanted;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Shared;
use super::field::moment;
use super::problem::{Code, Problem};
use super::request::{Caller, External};
use super::upload::repeat;
use super::view::{Problems, Sent, Upload};
use crate::flow::pull::{self, PullFailure};
use crate::flow::upload;

/// The file to fetch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPull {
    /// Where the file is: an address with `https` or `http` on the public internet, without a name or password in it.
    url: String,
    /// The title of the video; made from the address when it is missing.
    title: Option<String>,
    /// The collection into which the video goes; the app's own when it is missing.
    collection: Option<String>,
    /// The name that the app gives the video; unique in the app.
    external_id: Option<String>,
    /// What is made of it: the name of a pipeline; `default` when it is missing.
    pipeline: Option<String>,
    /// Not before this moment is the video encoded, as RFC 3339 text; it is fetched at once.
    run_after: Option<String>,
    /// What the app knows of the video; kept as it is.
    #[serde(default)]
    metadata: Map<String, Value>,
}

/// Fetches a file. It is an upload like any other: it can be looked at and given up, and it says why it failed.
#[utoipa::path(post, path = "/v1/ingest/url", operation_id = "ingest_url", tag = "ingest", request_body = NewPull, params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")), responses((status = 201, body = Upload), Problems))]
pub(crate) async fn create(
    State(node): State<Shared>,
    caller: Caller,
    external: External,
    headers: HeaderMap,
    Sent(new): Sent<NewPull>,
) -> Result<(StatusCode, Json<Upload>), Problem> {
    let app = caller.permit(Scope::UploadWrite)?;
    let wanted = Wanted {
        url: new.url,
        title: new.title,
        collection: new.collection,
        external_id: new.external_id,
        pipeline: new.pipeline,
        run_after: new.run_after.as_deref().map(moment).transpose()?,
        metadata: new.metadata,
    };
    let id = pull::order(&node, app, &wanted, repeat(&headers)?).await?;
    let listed = upload::show(&node, app, id).await?;
    Ok((StatusCode::CREATED, Json(Upload::of(&listed, Some(&external)))))
}

impl From<PullFailure> for Problem {
    fn from(failure: PullFailure) -> Self {
        match failure {
            PullFailure::Refused(problem) => Self::new(Code::UrlRefused, problem.human).fix(problem.fix),
            PullFailure::Failed(failure) => failure.into(),
        }
    }
}
