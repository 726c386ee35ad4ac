//! What requests about uploads have in common, whichever protocol they speak: headers, bodies and refusals.

use axum::body::{Body, Bytes};
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body_util::BodyStream;
use matinee_core::upload::checksum::{Checksum, Fault};
use matinee_core::upload::{Phase, Refusal};

use super::Shared;
use super::problem::{Code, Problem};
use super::request::Caller;
use crate::flow::upload::{AppendFailure, Opened, Piece};

pub(super) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(super) const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub(super) const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
pub(super) const UPLOAD_CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
pub(super) const MATINEE_VIDEO: HeaderName = HeaderName::from_static("matinee-video");
pub(super) const MATINEE_UPLOAD: HeaderName = HeaderName::from_static("matinee-upload");

/// A request about uploads.
pub(super) struct Asked {
    pub(super) node: Shared,
    pub(super) caller: Caller,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
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
                let claimed = frame.trailers_ref().and_then(|trailers| trailers.get(UPLOAD_CHECKSUM));
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
