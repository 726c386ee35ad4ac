//! `PUT /files/{key}/tail`: the last bytes of an upload, sent first, so that it can be watched while the rest arrives.

use axum::body::Body;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode, header};
use matinee_core::limits::EARLY_INDEX_BYTES_MAX;

use super::Shared;
use super::problem::{Code, Problem};
use super::request::Caller;
use crate::flow::tail::{self, Ended};

/// Keeps the end of a file, from its index on. The upload itself stays as it is, and all bytes come at their place.
pub(crate) async fn keep(
    State(node): State<Shared>,
    caller: Caller,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let app = caller.permit_upload(&key)?;
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|len| len > EARLY_INDEX_BYTES_MAX) {
        return Err(too_long());
    }
    match tail::keep(&node, app, &key, body.into_data_stream()).await? {
        Ended::Kept => Ok(StatusCode::NO_CONTENT),
        Ended::TooLong => Err(too_long()),
        Ended::NoIndex => Err(Problem::new(
            Code::BadRequest,
            "The end of a file must begin with the index (moov box) of an MP4.",
        )
        .fix("Send the bytes from the begin of the moov box to the end of the file, or none.")),
        Ended::Broken => {
            Err(Problem::new(Code::BadRequest, "The end of the file broke off; nothing of it was kept."))
        }
    }
}

fn too_long() -> Problem {
    let text =
        format!("The end of a file is at most {EARLY_INDEX_BYTES_MAX} bytes, and no longer than its upload.");
    Problem::new(Code::PayloadTooLarge, text)
        .fix("Go on with the upload; it can be watched when all bytes are there.")
}
