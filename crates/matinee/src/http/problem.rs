//! The one form of an error that HTTP shows: RFC 9457 with a stable `code` and a way out.

use std::collections::BTreeMap;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use matinee_core::quota::Refusal;
use serde::Serialize;
use utoipa::ToSchema;

/// tus has a status of its own for a checksum that does not fit.
const CHECKSUM_MISMATCH: StatusCode = match StatusCode::from_u16(460) {
    Ok(status) => status,
    Err(_) => unreachable!(),
};

/// Every code that a client may meet. A code is never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    BadRequest,
    Conflict,
    Forbidden,
    ImportOff,
    ImportRefused,
    Internal,
    LeaseLost,
    MethodNotAllowed,
    NotFound,
    NotPlayableYet,
    OutputMismatch,
    OutputUnproven,
    PayloadTooLarge,
    PipelineExists,
    QuotaExceeded,
    RangeNotSatisfiable,
    RunnerUnfit,
    StorageFull,
    TokenExpired,
    TusVersion,
    Unauthorized,
    Unavailable,
    UnknownHost,
    UnsupportedMediaType,
    UploadBusy,
    UploadChecksum,
    UploadComplete,
    UploadDigest,
    UploadFinal,
    UploadGone,
    UploadLength,
    UploadOffset,
    UrlRefused,
    VideoFailed,
    CrossSite,
}

impl Code {
    /// All codes, for the documents.
    pub(crate) const ALL: [Self; 35] = [
        Self::BadRequest,
        Self::Conflict,
        Self::CrossSite,
        Self::Forbidden,
        Self::ImportOff,
        Self::ImportRefused,
        Self::Internal,
        Self::LeaseLost,
        Self::MethodNotAllowed,
        Self::NotFound,
        Self::NotPlayableYet,
        Self::OutputMismatch,
        Self::OutputUnproven,
        Self::PayloadTooLarge,
        Self::PipelineExists,
        Self::QuotaExceeded,
        Self::RangeNotSatisfiable,
        Self::RunnerUnfit,
        Self::StorageFull,
        Self::TokenExpired,
        Self::TusVersion,
        Self::Unauthorized,
        Self::Unavailable,
        Self::UnknownHost,
        Self::UnsupportedMediaType,
        Self::UploadBusy,
        Self::UploadChecksum,
        Self::UploadComplete,
        Self::UploadDigest,
        Self::UploadFinal,
        Self::UploadGone,
        Self::UploadLength,
        Self::UploadOffset,
        Self::UrlRefused,
        Self::VideoFailed,
    ];

    /// The stable text and the status.
    pub(crate) const fn wire(self) -> (&'static str, StatusCode) {
        match self {
            Self::BadRequest => ("bad_request", StatusCode::BAD_REQUEST),
            Self::Conflict => ("conflict", StatusCode::CONFLICT),
            Self::CrossSite => ("cross_site", StatusCode::FORBIDDEN),
            Self::Forbidden => ("forbidden", StatusCode::FORBIDDEN),
            Self::ImportOff => ("import_off", StatusCode::FORBIDDEN),
            Self::ImportRefused => ("import_refused", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
            Self::LeaseLost => ("lease_lost", StatusCode::CONFLICT),
            Self::MethodNotAllowed => ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
            Self::NotFound => ("not_found", StatusCode::NOT_FOUND),
            Self::NotPlayableYet => ("not_playable_yet", StatusCode::CONFLICT),
            Self::OutputMismatch => ("output_mismatch", StatusCode::UNPROCESSABLE_ENTITY),
            Self::OutputUnproven => ("output_unproven", StatusCode::UNPROCESSABLE_ENTITY),
            Self::PipelineExists => ("pipeline_exists", StatusCode::PRECONDITION_FAILED),
            Self::PayloadTooLarge => ("payload_too_large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::QuotaExceeded => ("quota_exceeded", StatusCode::PAYLOAD_TOO_LARGE),
            Self::RangeNotSatisfiable => ("range_not_satisfiable", StatusCode::RANGE_NOT_SATISFIABLE),
            Self::RunnerUnfit => ("runner_unfit", StatusCode::CONFLICT),
            Self::StorageFull => ("storage_full", StatusCode::INSUFFICIENT_STORAGE),
            Self::TokenExpired => ("token_expired", StatusCode::FORBIDDEN),
            Self::TusVersion => ("tus_version", StatusCode::PRECONDITION_FAILED),
            Self::Unauthorized => ("unauthorized", StatusCode::UNAUTHORIZED),
            Self::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::UnknownHost => ("unknown_host", StatusCode::MISDIRECTED_REQUEST),
            Self::UnsupportedMediaType => ("unsupported_media_type", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::UploadBusy => ("upload_busy", StatusCode::LOCKED),
            Self::UploadChecksum => ("upload_checksum", CHECKSUM_MISMATCH),
            Self::UploadComplete => ("upload_complete", StatusCode::BAD_REQUEST),
            Self::UploadDigest => ("upload_digest", StatusCode::BAD_REQUEST),
            Self::UploadFinal => ("upload_final", StatusCode::FORBIDDEN),
            Self::UploadGone => ("upload_gone", StatusCode::GONE),
            Self::UploadLength => ("upload_length", StatusCode::BAD_REQUEST),
            Self::UploadOffset => ("upload_offset", StatusCode::CONFLICT),
            Self::UrlRefused => ("url_refused", StatusCode::UNPROCESSABLE_ENTITY),
            Self::VideoFailed => ("video_failed", StatusCode::CONFLICT),
        }
    }

    /// What to do about it, when the thrower knows nothing better.
    const fn fix(self) -> &'static str {
        match self {
            Self::BadRequest => "Mend the request as the text says.",
            Self::Conflict => "Read the thing again and repeat the change.",
            Self::CrossSite => {
                "Add the page's origin to `uploads.origins`, or send an API token in the Authorization header."
            }
            Self::Forbidden => "Use a token that has the named scope.",
            Self::ImportOff => {
                "Name the folders that may be read as `uploads.import_roots` in the configuration."
            }
            Self::ImportRefused => "Name another file; nothing was brought in.",
            Self::Internal => "Try again; if it stays, report the request id with the server's log.",
            Self::LeaseLost => "Stop the work and drop what it made; nothing of it counts.",
            Self::MethodNotAllowed => "See /v1/openapi.json for what is offered.",
            Self::NotFound => "Check the address; deleted things do not come back.",
            Self::NotPlayableYet => "Wait for the event video.playable, then ask again.",
            Self::OutputMismatch => "Send the files again, then complete again.",
            Self::OutputUnproven => "Drop what was made; the job is tried again.",
            Self::PipelineExists => "Take another name, or write the next version of that one.",
            Self::PayloadTooLarge => "Send less, or raise `uploads.max_bytes` in the configuration.",
            Self::QuotaExceeded => "Delete videos, or have an administrator raise the quota.",
            Self::RangeNotSatisfiable => "Ask for a range inside the file.",
            Self::RunnerUnfit => "Do what the text says, then start the runner again.",
            Self::StorageFull => "Free space in the data directory; the upload goes on from where it is.",
            Self::TokenExpired => "Ask /v1/videos/{id}/playback for a fresh address.",
            Self::TusVersion => "Send the header Tus-Resumable: 1.0.0.",
            Self::Unauthorized => "Sign in, or send Authorization: Bearer with a token.",
            Self::Unavailable => "Try again in a moment; nothing is lost.",
            Self::UnknownHost => {
                "Add the name to `hosts` in the configuration, or use the address that the server printed."
            }
            Self::UnsupportedMediaType => "Send the Content-Type that the text names.",
            Self::UploadBusy => "Ask again in a second.",
            Self::UploadChecksum | Self::UploadDigest => {
                "Send the same bytes again; nothing of them was kept."
            }
            Self::UploadComplete => "Nothing more needs to be sent.",
            Self::UploadFinal => "Send the bytes to the parts.",
            Self::UploadGone => "Start a new upload.",
            Self::UploadLength => "Send one Upload-Length, a whole number of bytes.",
            Self::UploadOffset => "Go on at the offset that the header Upload-Offset names.",
            Self::UrlRefused => "Give the address of a file on the public internet.",
            Self::VideoFailed => "See the video's reason for what to do.",
        }
    }
}

/// A problem document (RFC 9457), served as `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Document {
    /// An address that names the code.
    #[serde(rename = "type")]
    kind: String,
    /// The code as words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened, for a person.
    detail: String,
    /// The stable code.
    code: &'static str,
    /// What to do about it.
    fix: String,
    /// Finds this request in the server's log.
    request_id: String,
    /// What the standard of the type adds.
    #[serde(flatten)]
    #[schema(ignore)]
    numbers: BTreeMap<&'static str, u64>,
}

/// An answer that says what went wrong and what to do.
#[derive(Debug)]
pub(crate) struct Problem {
    code: Code,
    detail: String,
    fix: Option<String>,
    headers: Vec<(header::HeaderName, HeaderValue)>,
    kind: Option<&'static str>,
    numbers: Vec<(&'static str, u64)>,
}

impl Problem {
    /// A problem of this kind; `detail` is one sentence for a person.
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), fix: None, headers: Vec::new(), kind: None, numbers: Vec::new() }
    }

    /// There is no such thing, or it belongs to somebody else.
    pub(crate) fn not_found() -> Self {
        Self::new(Code::NotFound, "There is nothing here.")
    }

    /// Status, sentence and way out, for a page instead of a document.
    pub(crate) fn told(&self) -> (StatusCode, &str, &str) {
        let ((_, status), fix) = (self.code.wire(), self.code.fix());
        (status, &self.detail, self.fix.as_deref().unwrap_or(fix))
    }

    /// A better way out than the code's usual one.
    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// A type that a standard gives this problem, in place of our own.
    pub(crate) const fn kind(mut self, kind: &'static str) -> Self {
        self.kind = Some(kind);
        self
    }

    /// A number that the standard of that type asks for.
    pub(crate) fn number(mut self, name: &'static str, number: u64) -> Self {
        self.numbers.push((name, number));
        self
    }

    /// A header that the answer carries besides.
    pub(crate) fn header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (code, status) = self.code.wire();
        let request_id = super::trace::current();
        if status.is_server_error() {
            tracing::error!(code, request_id, detail = self.detail, "a request failed");
        }
        let document = Document {
            kind: self.kind.map_or_else(|| format!("/docs/problems#{code}"), str::to_owned),
            title: code.replace('_', " "),
            status: status.as_u16(),
            detail: self.detail,
            code,
            fix: self.fix.unwrap_or_else(|| self.code.fix().to_owned()),
            request_id,
            numbers: self.numbers.into_iter().collect(),
        };
        let mut response = (status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}

impl From<crate::flow::Failure> for Problem {
    fn from(failure: crate::flow::Failure) -> Self {
        use crate::flow::Failure;
        match failure {
            Failure::Absent => Self::not_found(),
            Failure::Refused { conflict: true, human } => Self::new(Code::Conflict, human),
            Failure::Refused { conflict: false, human } => Self::new(Code::BadRequest, human),
            Failure::Limited(refusal) => limited(refusal),
            Failure::Full => {
                Self::new(Code::StorageFull, "There is no room left for this on the server's disk.")
            }
            Failure::Busy => Self::new(Code::Unavailable, "Too many ask for pictures at this moment.")
                .header(header::RETRY_AFTER, HeaderValue::from_static("1")),
            Failure::Again(cause) => Self::new(Code::Unavailable, "The server cannot do this right now.")
                .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
                .logged(&cause),
            Failure::Never(cause) => {
                Self::new(Code::Internal, "Something went wrong inside the server.").logged(&cause)
            }
        }
    }
}

/// What one may not have, or what is not there any more.
fn limited(refusal: Refusal) -> Problem {
    let code = match refusal {
        Refusal::Bytes { .. } | Refusal::Uploads { .. } => Code::QuotaExceeded,
        Refusal::TooLarge { .. } => Code::PayloadTooLarge,
        Refusal::Closed { .. } => Code::NotFound,
    };
    Problem::new(code, refusal.problem().human).fix(refusal.fix())
}

impl Problem {
    /// Writes the inner cause to the log; the client gets only the request id.
    fn logged(self, cause: &str) -> Self {
        tracing::error!(request_id = super::trace::current(), cause, "a request met a failure");
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_listed_once() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.wire().0).collect();
        assert_eq!(names.len(), Code::ALL.len());
    }
}
