//! Resumable Uploads for HTTP: header names and status codes of the IETF draft; the rules are `core::upload`'s.
//!
//! Source: draft-ietf-httpbis-resumable-upload-12, as laid out in `ingest.md` section 5. 104 is not sent
//! (`docs/decisions/012-two-upload-protocols.md`).

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper::body::Body as _;
use matinee_core::access::Scope;
use matinee_core::id::AppId;
use matinee_core::upload::resumable::{
    AppendSizes, Inconsistent, Lengths, WrongAppend, boolean, digest, file_name, integer, wants_digest,
};
use matinee_core::upload::{Phase, Way, metadata};

use super::Shared;
use super::asked::{
    Asked, UPLOAD_LENGTH, UPLOAD_METADATA, UPLOAD_OFFSET, arrivals, ascii, at_offset, name, number, text,
    too_large,
};
use super::problem::{Code, Problem};
use super::request::External;
use crate::flow::upload::{self, Checked, Claim, Draft, Ended, Opened, Terms};

pub(super) const UPLOAD_COMPLETE: HeaderName = HeaderName::from_static("upload-complete");
pub(super) const UPLOAD_LIMIT: HeaderName = HeaderName::from_static("upload-limit");
const INTEROP_VERSION: HeaderName = HeaderName::from_static("upload-draft-interop-version");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
const WANT_REPR_DIGEST: HeaderName = HeaderName::from_static("want-repr-digest");
const PARTIAL_UPLOAD: &str = "application/partial-upload";

const MISMATCHING_OFFSET: &str = "https://iana.org/assignments/http-problem-types#mismatching-upload-offset";
const INCONSISTENT_LENGTH: &str =
    "https://iana.org/assignments/http-problem-types#inconsistent-upload-length";
const COMPLETED: &str = "https://iana.org/assignments/http-problem-types#completed-upload";

/// Does a request say that it speaks this protocol?
pub(super) fn is_marked(headers: &HeaderMap) -> bool {
    headers.contains_key(UPLOAD_COMPLETE) || headers.contains_key(INTEROP_VERSION) || is_append(headers)
}

fn is_append(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == PARTIAL_UPLOAD)
}

/// `Upload-Limit` for an upload that lives so many seconds more.
pub(super) fn limit(node: &Shared, age_s: i64) -> HeaderValue {
    let AppendSizes { min, max } = append_sizes(node);
    let mut limits = vec![format!("max-size={}", node.config.uploads.max_bytes), "min-size=0".to_owned()];
    let of_appends = [("min", min), ("max", max)].into_iter().filter(|(_, bytes)| *bytes > 0);
    limits.extend(of_appends.map(|(key, bytes)| format!("{key}-append-size={bytes}")));
    limits.push(format!("max-age={}", age_s.max(0)));
    ascii(&limits.join(", "))
}

fn append_sizes(node: &Shared) -> AppendSizes {
    let uploads = &node.config.uploads;
    AppendSizes { min: uploads.min_append_bytes, max: uploads.max_append_bytes }
}

/// An append of a size that is not taken; the upload goes on at `offset`.
fn wrong_append(node: &Shared, wrong: WrongAppend, offset: u64) -> Problem {
    let (code, fix) = match wrong {
        WrongAppend::Short(_) => (Code::BadRequest, "Send more bytes in one request."),
        WrongAppend::Long(_) => (Code::PayloadTooLarge, "Send the bytes in several requests."),
    };
    let age_s = node.config.uploads.idle_timeout.ms / 1_000;
    at_offset(Problem::new(code, format!("The size of this request is not taken: {wrong}.")).fix(fix), offset)
        .header(UPLOAD_LIMIT, limit(node, age_s))
}

/// What a request says in the fields of this protocol.
struct Said {
    lengths: Lengths,
    last: bool,
    /// The most that it may bring.
    most: Option<u64>,
    claim: Option<Claim>,
    wants_digest: bool,
}

impl Said {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let last = field(headers, &UPLOAD_COMPLETE).and_then(boolean).ok_or_else(|| {
            Problem::new(Code::BadRequest, "The header Upload-Complete must be ?0 or ?1.")
                .fix("Say with Upload-Complete whether the upload ends with this request.")
        })?;
        let declared = field(headers, &UPLOAD_LENGTH).and_then(integer);
        let content = number(headers, &header::CONTENT_LENGTH)?;
        let lengths = Lengths { known: None, declared, offset: 0, content, last };
        let claim = field(headers, &CONTENT_DIGEST).and_then(digest).map(Claim::Known);
        let wants_digest = field(headers, &WANT_REPR_DIGEST).is_some_and(wants_digest);
        Ok(Self { lengths, last, most: None, claim, wants_digest })
    }

    /// The length of the whole, when it may be and nothing contradicts it.
    fn length(&self, max_bytes: u64) -> Result<Option<u64>, Problem> {
        let longest = self.lengths.longest();
        if longest > max_bytes {
            return Err(too_large(longest, max_bytes));
        }
        self.lengths.agreed().map_err(|wrong| inconsistent(&wrong))
    }

    /// How much was taken of a request that brought more than one may, if that is not all that the upload has.
    fn brought_most(&self) -> Option<u64> {
        let length = self.lengths.known.or(self.lengths.declared);
        self.most
            .filter(|most| length.is_none_or(|length| length > self.lengths.offset.saturating_add(*most)))
    }

    /// More bytes than the upload is said to have.
    fn overflow(&self, length: Option<u64>) -> Option<Inconsistent> {
        let end = self.lengths.offset.saturating_add(self.lengths.content.unwrap_or(0));
        length.filter(|known| end > *known).map(|known| Inconsistent { known, other: end })
    }
}

/// The text of a structured field; one that is no text is ignored like one of a wrong type.
fn field<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn inconsistent(wrong: &Inconsistent) -> Problem {
    Problem::new(Code::UploadLength, format!("The lengths do not agree: {wrong}."))
        .fix("Say the same length in every request.")
        .kind(INCONSISTENT_LENGTH)
}

/// `POST /files/`.
pub(super) async fn create(asked: Asked, external: &External) -> Result<Response, Problem> {
    let Asked { node, caller, headers, body } = asked;
    let app = caller.permit(Scope::UploadWrite)?;
    let said = Said::of(&headers)?;
    let max_bytes = node.config.uploads.max_bytes;
    let limited = |problem: Problem| {
        problem.header(UPLOAD_LIMIT, limit(&node, node.config.uploads.idle_timeout.ms / 1_000))
    };
    let size = said.length(max_bytes).map_err(limited)?;
    if let Some(wrong) = said.overflow(size) {
        return Err(inconsistent(&wrong));
    }
    let raw = text(&headers, &UPLOAD_METADATA)?;
    let pairs = metadata::pairs(&raw)
        .map_err(|fault| Problem::new(Code::BadRequest, format!("Upload-Metadata {fault}.")))?;
    let named = metadata::name(&pairs)
        .or_else(|| field(&headers, &header::CONTENT_DISPOSITION).and_then(file_name))
        .unwrap_or_default();
    let whole = field(&headers, &REPR_DIGEST).and_then(digest);
    // One that has not 32 bytes can never be met, but that is for the end to say.
    let whole = whole.map(|whole| whole.digest.try_into().unwrap_or([0; 32]));
    let title = upload::title_from(&named);
    let draft = Draft { metadata: raw, size, digest: whole, ..Draft::new(&node, app, title, Way::Resumable) };
    let opened = upload::create(&node, draft).await?;
    let key = opened.key.clone();
    let location = ascii(&external.url(&format!("/files/{key}")));
    let ended = if body.is_end_stream() && !said.last {
        Checked::Ended(Ended::Stored { offset: 0, expires: opened.expires, finished: false })
    } else {
        let terms = Terms { last: said.last, ..Terms::default() };
        let taken = (0, terms, said.claim.clone());
        upload::append_on(&node, app, &key, taken, arrivals(body)).await?
    };
    let settled = settled(&node, app, (&key, &said), ended).await;
    let mut response = settled.map_err(|problem| problem.header(header::LOCATION, location.clone()))?;
    *response.status_mut() = StatusCode::CREATED;
    response.headers_mut().insert(header::LOCATION, location);
    name(response.headers_mut(), &opened);
    Ok(response)
}

/// `PATCH /files/{key}`.
pub(super) async fn append(asked: Asked, app: AppId, key: &str) -> Result<Response, Problem> {
    let Asked { node, headers, body, .. } = asked;
    if !is_append(&headers) {
        let text = format!("Bytes of an upload are sent as {PARTIAL_UPLOAD}.");
        return Err(Problem::new(Code::UnsupportedMediaType, text));
    }
    let offset = field(&headers, &UPLOAD_OFFSET).and_then(integer).ok_or_else(|| {
        Problem::new(Code::BadRequest, "A PATCH must say its Upload-Offset, a whole number.")
    })?;
    let mut said = Said::of(&headers)?;
    said.lengths.offset = offset;
    let opened = upload::status(&node, app, key).await?;
    if opened.phase == Phase::Finished {
        return repeated(&node, app, &opened, &said).await;
    }
    if opened.offset != offset && opened.concat.is_none() {
        return Err(mismatched(offset, opened.offset));
    }
    said.lengths.known = opened.size;
    let limited = |problem: Problem| problem.header(UPLOAD_LIMIT, limit_of(&node, &opened));
    if let Some(wrong) = said.overflow(opened.size) {
        upload::invalidate(&node, app, key).await?;
        return Err(inconsistent(&wrong));
    }
    let length = said.length(node.config.uploads.max_bytes).map_err(limited)?;
    if let Some(wrong) = said.overflow(length) {
        return Err(inconsistent(&wrong));
    }
    let sizes = append_sizes(&node);
    let content = if body.is_end_stream() { Some(0) } else { said.lengths.content };
    sizes.judge(content, said.last).map_err(|wrong| wrong_append(&node, wrong, offset))?;
    said.most = sizes.most();
    let terms = Terms { last: said.last, length, most: said.most, ..Terms::default() };
    let taken = (offset, terms, said.claim.clone());
    let ended = upload::append_on(&node, app, key, taken, arrivals(body)).await?;
    settled(&node, app, (key, &said), ended).await
}

fn mismatched(provided: u64, expected: u64) -> Problem {
    at_offset(Problem::new(Code::UploadOffset, format!("The upload continues at byte {expected}.")), expected)
        .kind(MISMATCHING_OFFSET)
        .number("expected-offset", expected)
        .number("provided-offset", provided)
}

/// A request on a complete upload: the one that completed it is answered as before, so that a lost answer costs
/// nothing.
async fn repeated(node: &Shared, app: AppId, opened: &Opened, said: &Said) -> Result<Response, Problem> {
    let end = said.lengths.offset.saturating_add(said.lengths.content.unwrap_or(0));
    if said.last && opened.size == Some(end) {
        let ended = Ended::Stored { offset: end, expires: opened.expires, finished: true };
        return settled(node, app, (&opened.key, said), Checked::Ended(ended)).await;
    }
    if said.lengths.offset != opened.offset {
        return Err(mismatched(said.lengths.offset, opened.offset));
    }
    let text = "The upload is complete; nothing can be added.";
    Err(at_offset(Problem::new(Code::UploadComplete, text), opened.offset)
        .kind(COMPLETED)
        .header(UPLOAD_COMPLETE, HeaderValue::from_static("?1")))
}

/// The answer to a body that was taken.
async fn settled(
    node: &Shared,
    app: AppId,
    (key, said): (&str, &Said),
    ended: Checked,
) -> Result<Response, Problem> {
    match ended {
        Checked::Ended(Ended::Stored { offset, finished: false, .. }) if said.last => {
            let wrong = Inconsistent {
                known: said.lengths.declared.or(said.lengths.known).unwrap_or(0),
                other: offset,
            };
            Err(at_offset(inconsistent(&wrong), offset))
        }
        Checked::Ended(Ended::Stored { offset, expires, finished }) => {
            let mut response = StatusCode::NO_CONTENT.into_response();
            let headers = response.headers_mut();
            let age_s = expires.since(crate::flow::now()) / 1_000;
            headers.insert(UPLOAD_OFFSET, HeaderValue::from(offset));
            headers.insert(UPLOAD_LIMIT, limit(node, age_s));
            headers.insert(UPLOAD_COMPLETE, HeaderValue::from_static(if finished { "?1" } else { "?0" }));
            if finished && said.wants_digest {
                let digest = upload::sha256(node, app, key).await?;
                headers.insert(REPR_DIGEST, ascii(&format!("sha-256=:{}:", BASE64.encode(digest))));
            }
            Ok(response)
        }
        Checked::Ended(Ended::Evicted { offset }) => {
            Err(at_offset(Problem::new(Code::UploadOffset, "A newer request took over this upload."), offset))
        }
        // A body that did not say its length brought more than one append may, but not more than the upload has.
        Checked::Ended(Ended::TooLong { offset }) if let Some(most) = said.brought_most() => {
            Err(wrong_append(node, WrongAppend::Long(most), offset))
        }
        Checked::Ended(Ended::TooLong { offset }) => {
            upload::invalidate(node, app, key).await?;
            Err(inconsistent(&Inconsistent { known: offset, other: offset.saturating_add(1) }))
        }
        Checked::Ended(Ended::Broken { offset }) => {
            Err(at_offset(Problem::new(Code::BadRequest, "The body broke off before its end."), offset))
        }
        Checked::Wrong(wrong) => Err(Problem::new(Code::UploadDigest, format!("Nothing was kept: {wrong}."))),
    }
}

/// `HEAD /files/{key}`, and `GET` before it is complete.
pub(super) async fn head(
    node: &Shared,
    headers: &HeaderMap,
    (app, key): (AppId, &str),
) -> Result<Response, Problem> {
    if headers.contains_key(UPLOAD_OFFSET) || headers.contains_key(UPLOAD_COMPLETE) {
        return Err(Problem::new(Code::BadRequest, "Who asks where an upload is says nothing about it.")
            .fix("Leave Upload-Offset and Upload-Complete away."));
    }
    let opened = upload::status(node, app, key).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let complete = if opened.phase == Phase::Finished { "?1" } else { "?0" };
    let answer = response.headers_mut();
    answer.insert(UPLOAD_OFFSET, HeaderValue::from(opened.offset));
    answer.insert(UPLOAD_COMPLETE, HeaderValue::from_static(complete));
    answer.insert(UPLOAD_LIMIT, limit_of(node, &opened));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(size) = opened.size {
        answer.insert(UPLOAD_LENGTH, HeaderValue::from(size));
    }
    name(answer, &opened);
    Ok(response)
}

fn limit_of(node: &Shared, opened: &Opened) -> HeaderValue {
    limit(node, opened.expires.since(crate::flow::now()) / 1_000)
}
