//! The origin: slices of stored files below a path token. Everything but a growing playlist is immutable.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use matinee_core::access::path;
use matinee_core::id::{ObjectId, VideoId};
use matinee_core::range::{self, Wanted};
use matinee_core::video::Medium;
use serde::Deserialize;

use super::Shared;
use super::problem::{Code, Problem};
use crate::flow::serve::{self, File, Shown, Tally};
use crate::flow::thumbnail;

const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// At most half of the target duration, so that a player that asks again sees what is new.
const GROWING: &str = "public, max-age=1";
const HLS: &str = "application/vnd.apple.mpegurl";
const DASH: &str = "application/dash+xml";
const MP4: &str = "video/mp4";
const JPEG: &str = "image/jpeg";
const VTT: &str = "text/vtt";

/// Options that an address may carry.
#[derive(Debug, Deserialize)]
pub(crate) struct Options {
    /// Save the file under this name instead of playing it.
    download: Option<String>,
    /// The object that the address was made for.
    v: Option<String>,
}

/// Which still is meant.
#[derive(Debug, Deserialize)]
pub(crate) struct Moment {
    /// Seconds from the start.
    t: Option<f64>,
    /// Pixels of its width.
    w: Option<u32>,
}

/// `m.m3u8`, `manifest.mpd` and what is of the whole video: `poster.jpg`, `thumbnail.jpg`, `preview.mp4`,
/// `storyboard.vtt`, `chapters.vtt`.
pub(crate) async fn manifest(
    State(node): State<Shared>,
    Path((token, video, generation, name)): Path<(String, String, u32, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let (shown, _, tally) = opened(&node, &token, &video, generation).await?;
        match name.as_str() {
            "m.m3u8" => Ok(text(serve::multivariant(&shown), HLS, shown.ended, &headers)),
            "manifest.mpd" => {
                let mpd = serve::mpd(&shown).ok_or_else(|| {
                    Problem::new(Code::NotPlayableYet, "DASH is offered when all segments are there.")
                })?;
                Ok(text(mpd, DASH, shown.ended, &headers))
            }
            "chapters.vtt" => {
                let chapters = shown.chapters.clone().ok_or_else(Problem::not_found)?;
                Ok(text(chapters, VTT, shown.ended, &headers))
            }
            "poster.jpg" => {
                let poster = shown.poster.ok_or_else(Problem::not_found)?;
                let size = serve::object_size(&node, poster).await?;
                let answer = file(
                    &node,
                    &File { object: poster, size, kind: JPEG },
                    None,
                    &headers,
                    Some((tally, 0)),
                )?;
                Ok(named(answer, version(&uri).as_deref(), poster))
            }
            "preview.mp4" => {
                let preview = shown.preview.ok_or_else(Problem::not_found)?;
                let size = serve::object_size(&node, preview).await?;
                let answer = file(
                    &node,
                    &File { object: preview, size, kind: MP4 },
                    None,
                    &headers,
                    Some((tally, 0)),
                )?;
                Ok(named(answer, version(&uri).as_deref(), preview))
            }
            "thumbnail.jpg" => {
                let asked = Query::<Moment>::try_from_uri(&uri);
                let Query(Moment { t, w }) =
                    asked.map_err(|error| Problem::new(Code::BadRequest, error.body_text()))?;
                let wanted = thumbnail::wanted(&shown, t, w)
                    .map_err(|refusal| Problem::new(Code::BadRequest, refusal.to_string()))?;
                let id = video.parse().map_err(|_| Problem::not_found())?;
                let still = thumbnail::thumbnail(&node, (id, generation), wanted).await?;
                let len = still.len() as u64;
                let mut answer = whole(Body::from(still), len, JPEG);
                if !shown.ended {
                    // The same moment means another picture when more of the video is there.
                    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(GROWING));
                }
                Ok(answer)
            }
            "storyboard.vtt" => {
                let track = serve::storyboard(&shown).ok_or_else(Problem::not_found)?;
                Ok(text(track, VTT, true, &headers))
            }
            _ => Err(Problem::not_found()),
        }
    };
    shared(answer.await)
}

/// `{track}/v.m3u8`, `{track}/a.m3u8`, `{track}/file.mp4`, `{track}/file.webm`, `sub/{name}.m3u8`, `sub/{name}.vtt`, and the sheets
/// `storyboard/{n}.jpg`.
pub(crate) async fn of_track(
    State(node): State<Shared>,
    Path((token, video, generation, track, name)): Path<(String, String, u32, String, String)>,
    Query(options): Query<Options>,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let (shown, grant, tally) = opened(&node, &token, &video, generation).await?;
        let film = Some((tally.clone(), shown.duration_ms));
        if track == "sub" {
            return words(&node, &shown, (&name, options.v.as_deref()), &headers, tally);
        }
        if track == "storyboard" {
            let sheet = serve::sheet(&shown, &name).ok_or_else(Problem::not_found)?;
            let answer = file(&node, &sheet, None, &headers, Some((tally, 0)))?;
            return Ok(named(answer, options.v.as_deref(), sheet.object));
        }
        let medium = match name.as_str() {
            "v.m3u8" => Medium::Video,
            "a.m3u8" => Medium::Audio,
            "file.mp4" => {
                let wanted = serve::file(&node, &shown, &track, &grant).await?;
                return file(&node, &wanted, options.download.as_deref(), &headers, film);
            }
            "file.webm" => {
                let wanted = serve::webm(&shown, &track).ok_or_else(Problem::not_found)?;
                return file(&node, &wanted, options.download.as_deref(), &headers, film);
            }
            _ => return Err(Problem::not_found()),
        };
        let playlist = serve::playlist(&shown, &track, medium).ok_or_else(Problem::not_found)?;
        Ok(text(playlist, HLS, shown.ended, &headers))
    };
    shared(answer.await)
}

/// The playlist or the file of captions.
fn words(
    node: &Shared,
    shown: &Shown,
    (name, version): (&str, Option<&str>),
    headers: &HeaderMap,
    tally: Tally,
) -> Result<Response, Problem> {
    if let Some(name) = name.strip_suffix(".vtt") {
        let wanted = serve::caption_file(shown, name).ok_or_else(Problem::not_found)?;
        let answer = file(node, &wanted, None, headers, Some((tally, 0)))?;
        return Ok(named(answer, version, wanted.object));
    }
    let playlist = name.strip_suffix(".m3u8").and_then(|name| serve::caption_playlist(shown, name));
    Ok(text(playlist.ok_or_else(Problem::not_found)?, HLS, shown.ended, headers))
}

/// `{track}/v/init.mp4`, `{track}/v/{n}.m4s` and the same below `a`.
pub(crate) async fn segment(
    State(node): State<Shared>,
    Path((token, video, generation, track, kind, name)): Path<(String, String, u32, String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let (shown, _, tally) = opened(&node, &token, &video, generation).await?;
        let medium = match kind.as_str() {
            "v" => Medium::Video,
            "a" => Medium::Audio,
            _ => return Err(Problem::not_found()),
        };
        let track = serve::track(&shown, &track, medium).ok_or_else(Problem::not_found)?;
        if name == "init.mp4" {
            return Ok(whole(Body::from(track.init.clone()), track.init.len() as u64, MP4));
        }
        let number = name.strip_suffix(".m4s").and_then(|number| number.parse().ok());
        let number: u32 = number.ok_or_else(Problem::not_found)?;
        let placed = track.segment(number).ok_or_else(Problem::not_found)?;
        let tag = tag(placed.object, placed.row.offset);
        if unchanged(&headers, &tag) {
            return Ok(not_modified(&tag));
        }
        let body = serve::segment_body(&node, &placed).await?;
        let len = body.len;
        tally.media(serve::media_ms(&shown, track, &placed.row));
        let mut response = whole(Body::from_stream(serve::stream(&node, body, Some(tally))), len, MP4);
        response.headers_mut().insert(header::ETAG, tag);
        Ok(response)
    };
    shared(answer.await)
}

/// Players of other sites may send what they like: the right is in the path, and nothing is read from a header.
pub(crate) async fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*, Authorization, Range, If-None-Match"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    shared(Ok((StatusCode::NO_CONTENT, headers).into_response()))
}

/// The object that an address names behind its `v`.
fn version(uri: &Uri) -> Option<String> {
    Query::<Options>::try_from_uri(uri).ok()?.0.v
}

/// Kept for ever only under the address of the object that is sent: another node may have replaced it a moment ago.
fn named(mut answer: Response, version: Option<&str>, sent: ObjectId) -> Response {
    if version.is_some_and(|version| version != sent.to_string()) {
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(GROWING));
    }
    answer
}

/// What the token in a path opens, and what counts it. It is checked before anything else is looked at.
async fn opened(
    node: &Shared,
    token: &str,
    video: &str,
    generation: u32,
) -> Result<(Arc<Shown>, path::Grant, Tally), Problem> {
    let video: VideoId = video.parse().map_err(|_| Problem::not_found())?;
    let grant = serve::opened(node, token, video).map_err(|refusal| match refusal {
        path::Refusal::Wrong => Problem::not_found(),
        path::Refusal::Expired => Problem::new(Code::TokenExpired, "This address was good for a while only."),
    })?;
    Ok((serve::shown(node, (video, generation), &grant).await?, grant, serve::tally(node, video)))
}

/// A page of any site may play what its address opens.
fn shared(answer: Result<Response, Problem>) -> Response {
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Content-Length, Content-Range, Date, ETag"),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Should a browser ever take an upload for a page, nothing in it may run.
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    response
}

fn whole(body: Body, len: u64, kind: &'static str) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(FOR_EVER));
    response
}

fn text(text: String, kind: &'static str, ended: bool, headers: &HeaderMap) -> Response {
    let hash = matinee_core::hash::short(text.as_bytes());
    let tag = HeaderValue::from_str(&format!("\"{hash:016x}\""))
        .expect("because hexadecimal digits are a header value");
    let len = text.len() as u64;
    let mut response =
        if unchanged(headers, &tag) { not_modified(&tag) } else { whole(Body::from(text), len, kind) };
    // Not immutable even at the end: the address stays the same when a growing playlist ends. A 304 says it, too:
    // the browser keeps what the last answer said, and would never ask again.
    let life = if ended { "public, max-age=60" } else { GROWING };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(life));
    response.headers_mut().insert(header::ETAG, tag);
    response
}

/// Objects never change, so their name and the place in them say all.
fn tag(object: ObjectId, offset: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{:032x}-{offset:x}\"", object.bits()))
        .expect("because hexadecimal digits are a header value")
}

fn unchanged(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|value| value.split(',')).map(|one| one.trim().trim_start_matches("W/"));
    known.any(|one| one == "*" || one.as_bytes() == tag.as_bytes())
}

fn not_modified(tag: &HeaderValue) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    response.headers_mut().insert(header::ETAG, tag.clone());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(FOR_EVER));
    response
}

/// A whole object or one range of it (RFC 9110 section 14). It is counted as so many milliseconds of a video.
pub(super) fn file(
    node: &Shared,
    file: &File,
    name: Option<&str>,
    headers: &HeaderMap,
    counted: Option<(Tally, u64)>,
) -> Result<Response, Problem> {
    let tag = tag(file.object, 0);
    if unchanged(headers, &tag) {
        return Ok(not_modified(&tag));
    }
    let same = headers.get(header::IF_RANGE).is_none_or(|known| known == tag);
    let asked = headers.get(header::RANGE).filter(|_| same).and_then(|value| value.to_str().ok());
    let wanted = range::wanted(asked, file.size);
    let (offset, len, status) = match wanted {
        Wanted::Whole => (0, file.size, StatusCode::OK),
        Wanted::Part { first, last } => (first, last - first + 1, StatusCode::PARTIAL_CONTENT),
        Wanted::Outside => {
            let total = ascii(&format!("bytes */{}", file.size));
            return Err(Problem::new(
                Code::RangeNotSatisfiable,
                format!("The file has {} bytes.", file.size),
            )
            .header(header::CONTENT_RANGE, total));
        }
    };
    let body = serve::object_body(file.object, offset, len);
    let tally = counted.map(|(tally, whole_ms)| {
        tally.media(
            u64::try_from(u128::from(whole_ms) * u128::from(len) / u128::from(file.size.max(1)))
                .unwrap_or_default(),
        );
        tally
    });
    let mut response = whole(Body::from_stream(serve::stream(node, body, tally)), len, file.kind);
    *response.status_mut() = status;
    let answer = response.headers_mut();
    answer.insert(header::ETAG, tag);
    answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        let place = format!("bytes {offset}-{}/{}", offset + len - 1, file.size);
        answer.insert(header::CONTENT_RANGE, ascii(&place));
    }
    if let Some(name) = name {
        answer.insert(header::CONTENT_DISPOSITION, ascii(&range::attachment(name)));
    }
    Ok(response)
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("because only ASCII was put into it")
}
