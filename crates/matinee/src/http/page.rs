//! The pages: files that were built from `web/` and are part of the binary.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use include_dir::{Dir, include_dir};
use matinee_core::hash;

use super::problem::{Code, Problem};

static DIST: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../web/dist");

/// Names of these files carry the hash of their content.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// Scripts for pages of other sites keep their name: a day old at most, and never waited for.
const EMBEDDED: &str = "public, max-age=86400, stale-while-revalidate=604800";
/// These are asked for again each time; the `ETag` makes that cheap.
const FRESH: &str = "no-cache";
const INDEX: &str = "index.html";

/// MIME types by the ending of the name.
const KINDS: [(&str, &str); 14] = [
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("json", "application/json"),
    ("webmanifest", "application/manifest+json"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("webp", "image/webp"),
    ("ico", "image/x-icon"),
    ("woff2", "font/woff2"),
    ("mp4", "video/mp4"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("txt", "text/plain; charset=utf-8"),
];

/// One file of the pages.
struct Page {
    bytes: &'static [u8],
    kind: &'static str,
    tag: HeaderValue,
}

static PAGES: LazyLock<HashMap<&'static str, Page>> = LazyLock::new(|| {
    let mut pages = HashMap::new();
    collect(&DIST, &mut pages);
    pages
});

fn collect(dir: &'static Dir<'static>, pages: &mut HashMap<&'static str, Page>) {
    for file in dir.files() {
        let Some(path) = file.path().to_str() else { continue };
        let bytes = file.contents();
        let tag = hash::hex(&hash::of(bytes)[..8]);
        let tag = HeaderValue::from_str(&format!("\"{tag}\"")).expect("because the tag is hexadecimal");
        pages.insert(path, Page { bytes, kind: kind_of(path), tag });
    }
    for dir in dir.dirs() {
        collect(dir, pages);
    }
}

fn kind_of(path: &str) -> &'static str {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    KINDS.iter().find(|(known, _)| *known == ending).map_or("application/octet-stream", |(_, kind)| kind)
}

/// What a path of the pages means.
#[derive(Debug, PartialEq, Eq)]
enum Place<'p> {
    /// A page of the application.
    Application,
    /// A file under this name.
    File(&'p str),
    /// Part of the API.
    Api,
}

/// Pages that have a name.
const NAMES: [&str; 9] =
    ["claim", "costs", "deletions", "hosts", "jobs", "notifications", "pipelines", "runners", "storage"];

fn place(path: &str) -> Place<'_> {
    let name = path.trim_start_matches('/');
    let video = name.strip_prefix("v/").is_some_and(|id| !id.is_empty() && !id.contains('/'));
    let job = name.strip_prefix("jobs/").is_some_and(|id| !id.is_empty() && !id.contains('/'));
    if name.is_empty() || NAMES.contains(&name) || video || job {
        return Place::Application;
    }
    let api = ["v1", "p", "r", "files"].into_iter().any(|root| name.split('/').next() == Some(root));
    if api { Place::Api } else { Place::File(name) }
}

/// Everything that no other route answers.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    match place(uri.path()) {
        Place::Api => Problem::not_found().into_response(),
        Place::Application | Place::File(_) if !matches!(method, Method::GET | Method::HEAD) => {
            Problem::new(Code::MethodNotAllowed, "Pages are only read.").into_response()
        }
        Place::Application | Place::File(INDEX) => application(StatusCode::OK, &headers),
        Place::File(name) => match PAGES.get(name) {
            Some(page) if name.starts_with("embed/") => embedded(file(page, EMBEDDED, &headers)),
            Some(page) => file(page, if name.starts_with("assets/") { IMMUTABLE } else { FRESH }, &headers),
            None => application(StatusCode::NOT_FOUND, &headers),
        },
    }
}

/// Pages of every site may use this script, also those that load nothing foreign without asking.
fn embedded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    response
}

/// A known path with a method that it does not take.
pub(crate) async fn wrong_method(method: Method) -> Problem {
    Problem::new(Code::MethodNotAllowed, format!("This address does not take {method}."))
}

/// The application; it shows its own page for what it does not know, so the status is all that differs.
fn application(status: StatusCode, headers: &HeaderMap) -> Response {
    let Some(page) = PAGES.get(INDEX) else {
        let text = "This matinee was built without its pages.";
        return Problem::new(Code::Unavailable, text)
            .fix("Build web/ first: make run does it.")
            .into_response();
    };
    let mut response = whole(page, FRESH, headers);
    if response.status() == StatusCode::OK {
        *response.status_mut() = status;
    } else if status != StatusCode::OK {
        // What does not exist is not unchanged.
        response = whole(page, FRESH, &HeaderMap::new());
        *response.status_mut() = status;
    }
    response
}

fn file(page: &Page, caching: &'static str, headers: &HeaderMap) -> Response {
    let asked = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    // A range of another version is answered with the whole.
    let same = headers.get(header::IF_RANGE).is_none_or(|tag| *tag == page.tag);
    match asked.filter(|_| same).map(|asked| range(asked, page.bytes.len())) {
        None | Some(Asked::Whole) => whole(page, caching, headers),
        Some(Asked::Part(part)) => {
            let described = format!("bytes {}-{}/{}", part.start, part.end - 1, page.bytes.len());
            let mut response = answer(page, caching, Bytes::from_static(&page.bytes[part]));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let described = HeaderValue::from_str(&described).expect("because numbers are plain letters");
            response.headers_mut().insert(header::CONTENT_RANGE, described);
            response
        }
        Some(Asked::Outside) => {
            let described = format!("bytes */{}", page.bytes.len());
            let described = HeaderValue::from_str(&described).expect("because numbers are plain letters");
            Problem::new(Code::RangeNotSatisfiable, "The file ends before this range.")
                .header(header::CONTENT_RANGE, described)
                .into_response()
        }
    }
}

fn whole(page: &Page, caching: &'static str, headers: &HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).is_some_and(|tags| {
        tags.split(',')
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == "*" || *tag == page.tag)
    });
    let mut response =
        answer(page, caching, if known { Bytes::new() } else { Bytes::from_static(page.bytes) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    response
}

fn answer(page: &Page, caching: &'static str, bytes: Bytes) -> Response {
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(page.kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::ETAG, page.tag.clone());
    response
}

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// Everything: several ranges, or a unit that we do not know.
    Whole,
    Part(Range<usize>),
    Outside,
}

/// Reads a `Range` header with one range (RFC 9110 section 14.1.2).
fn range(text: &str, len: usize) -> Asked {
    let read = || {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| -> Option<Option<usize>> {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            if text.is_empty() {
                Some(None)
            } else {
                digits.then(|| text.parse().ok()).map(|n| n.or(Some(usize::MAX)))
            }
        };
        Some(match (number(first.trim())?, number(last.trim())?) {
            (None, None) => return None,
            (None, Some(tail)) => len.saturating_sub(tail)..len,
            (Some(first), None) => first..len,
            (Some(first), Some(last)) if last < first => return None,
            (Some(first), Some(last)) => first..last.saturating_add(1).min(len),
        })
    };
    match read() {
        None => Asked::Whole,
        Some(part) if part.start >= part.end => Asked::Outside,
        Some(part) => Asked::Part(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ending_has_its_kind() {
        for (path, kind) in [
            ("index.html", "text/html; charset=utf-8"),
            ("assets/index-a.b.js", "text/javascript; charset=utf-8"),
            ("sample/sample.mp4", "video/mp4"),
            ("README", "application/octet-stream"),
        ] {
            assert_eq!(kind_of(path), kind);
        }
    }

    #[test]
    fn paths_are_pages_files_or_the_api() {
        let named = NAMES.map(|name| format!("/{name}"));
        for path in named.iter().map(String::as_str).chain(["/", "/v/vid_1", "/jobs/job_1"]) {
            assert_eq!(place(path), Place::Application, "{path}");
        }
        for path in ["/v1", "/v1/nothing", "/p/x", "/files/a/b"] {
            assert_eq!(place(path), Place::Api, "{path}");
        }
        assert_eq!(place("/v/"), Place::File("v/"));
        assert_eq!(place("/assets/a.js"), Place::File("assets/a.js"));
    }

    #[test]
    fn a_range_is_read_as_http_says() {
        for (text, asked) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=2-", Asked::Part(2..10)),
            ("bytes=2-99", Asked::Part(2..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-99", Asked::Part(0..10)),
            ("bytes=-0", Asked::Outside),
            ("bytes=10-", Asked::Outside),
            ("bytes=5-2", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("lines=0-1", Asked::Whole),
        ] {
            assert_eq!(range(text, 10), asked, "{text}");
        }
    }

    fn page() -> Page {
        Page { bytes: b"0123456789", kind: "video/mp4", tag: HeaderValue::from_static("\"t\"") }
    }

    fn asked(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn what_the_browser_has_is_not_sent_again() {
        let answer = file(&page(), IMMUTABLE, &asked(header::IF_NONE_MATCH, "\"s\", W/\"t\""));
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(answer.headers()[header::CACHE_CONTROL], IMMUTABLE);
        assert_eq!(file(&page(), IMMUTABLE, &asked(header::IF_NONE_MATCH, "\"s\"")).status(), StatusCode::OK);
    }

    #[test]
    fn pages_of_other_sites_may_use_and_keep_the_scripts_for_them() {
        let answer = embedded(file(&page(), EMBEDDED, &HeaderMap::new()));
        assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(answer.headers()["cross-origin-resource-policy"], "cross-origin");
        assert_eq!(answer.headers()[header::CACHE_CONTROL], EMBEDDED);
    }

    #[test]
    fn a_player_gets_the_part_it_asks_for() {
        let answer = file(&page(), FRESH, &asked(header::RANGE, "bytes=2-4"));
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(answer.headers()[header::CONTENT_RANGE], "bytes 2-4/10");
        let outside = file(&page(), FRESH, &asked(header::RANGE, "bytes=10-"));
        assert_eq!(outside.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(outside.headers()[header::CONTENT_RANGE], "bytes */10");
    }
}
