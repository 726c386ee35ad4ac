//! Resumable Uploads for HTTP as `ingest.md` section 5.3 lays it out: each line of its table.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use crate::support::clips;
use crate::support::invariants::all_hold;
use crate::support::raw::Raw;
use crate::support::sender::{header, offset, tus};
use crate::support::server::Server;

const PARTIAL: &str = "application/partial-upload";
const ABC: &str = "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:";
const INCONSISTENT: &str = "https://iana.org/assignments/http-problem-types#inconsistent-upload-length";
const MISMATCHING: &str = "https://iana.org/assignments/http-problem-types#mismatching-upload-offset";

type Headers<'a> = &'a [(&'static str, &'a str)];

fn with(request: RequestBuilder, headers: Headers<'_>) -> RequestBuilder {
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

async fn creation(server: &Server, complete: &str, headers: Headers<'_>, body: &[u8]) -> Response {
    let request = server.request(Method::POST, "/files/").header("Upload-Draft-Interop-Version", 8);
    with(request.header("Upload-Complete", complete), headers).body(body.to_vec()).send().await.unwrap()
}

/// An upload with nothing in it yet.
async fn opened(server: &Server, headers: Headers<'_>) -> String {
    let response = creation(server, "?0", headers, b"").await;
    assert_eq!(response.status(), 201);
    path_of(&response)
}

fn path_of(response: &Response) -> String {
    let location = header(response, "location").unwrap();
    location[location.find("/files/").unwrap()..].to_owned()
}

async fn append(server: &Server, path: &str, at: u64, complete: &str, body: &[u8]) -> Response {
    let at = at.to_string();
    appended(server, path, &[("Upload-Offset", &at), ("Upload-Complete", complete)], body).await
}

async fn appended(server: &Server, path: &str, headers: Headers<'_>, body: &[u8]) -> Response {
    let request = server.request(Method::PATCH, path).header("Content-Type", PARTIAL);
    with(request, headers).body(body.to_vec()).send().await.unwrap()
}

async fn look(server: &Server, path: &str) -> Response {
    server.request(Method::HEAD, path).header("Upload-Draft-Interop-Version", 6).send().await.unwrap()
}

fn complete(response: &Response) -> Option<&str> {
    header(response, "upload-complete")
}

/// Status, `Upload-Complete` and offset.
fn told(response: &Response) -> (u16, Option<&str>, Option<u64>) {
    (response.status().as_u16(), complete(response), offset(response))
}

#[tokio::test]
async fn a_whole_life() {
    let (server, bytes) = (Server::start().await, clips::mp4(3));
    let headers = [("Content-Disposition", "inline; filename=\"film.mp4\""), ("Content-Type", "video/mp4")];
    let first = creation(&server, "?0", &headers, &bytes[..1_000]).await;
    assert_eq!(told(&first), (201, Some("?0"), Some(1_000)));
    let limits = header(&first, "upload-limit").unwrap();
    assert!(["max-size=", "min-size=0", "max-age="].iter().all(|key| limits.contains(key)), "{limits}");
    let path = path_of(&first);
    let second = append(&server, &path, 1_000, "?0", &bytes[1_000..5_000]).await;
    assert_eq!(told(&second), (204, Some("?0"), Some(5_000)));
    for method in [Method::HEAD, Method::GET] {
        let shown = server.request(method, &path).send().await.unwrap();
        assert_eq!(told(&shown), (204, Some("?0"), Some(5_000)), "the row knows the protocol");
        assert_eq!(
            (header(&shown, "upload-length"), header(&shown, "cache-control")),
            (None, Some("no-store"))
        );
    }
    let asked = [("Upload-Offset", "5000"), ("Upload-Complete", "?1"), ("Want-Repr-Digest", "sha-256=5")];
    let last = appended(&server, &path, &asked, &bytes[5_000..]).await;
    assert_eq!(told(&last), (204, Some("?1"), Some(bytes.len() as u64)));
    assert!(header(&last, "repr-digest").unwrap().starts_with("sha-256=:"));
    let again = appended(&server, &path, &asked, &bytes[5_000..]).await;
    assert_eq!(told(&again), (204, Some("?1"), Some(bytes.len() as u64)), "the lost answer once more");
    let shown = look(&server, &path).await;
    assert_eq!(told(&shown), (204, Some("?1"), Some(bytes.len() as u64)));
    assert_eq!(header(&shown, "upload-length"), Some(bytes.len().to_string().as_str()), "derived");
    let video = header(&first, "matinee-video").unwrap();
    let video = server.video_in(video, &["ready"], 120).await;
    assert_eq!(video["title"], "film");
    all_hold(&server).await;
}

#[tokio::test]
async fn a_creation_is_judged_by_its_headers() {
    let server = Server::with("[uploads]\nmax_bytes = 1000\n").await;
    let large = vec![0; 1_001];
    for (said, headers, body, status, shown) in [
        ("?1", &[][..], &b"abc"[..], 201, "?1"),
        ("?1", &[("Upload-Length", "3")], b"abc", 201, "?1"),
        ("?1", &[], b"", 201, "?1"),
        ("?0", &[], b"", 201, "?0"),
        ("?0", &[("Upload-Length", "0")], b"", 201, "?0"),
        ("?0", &[("Upload-Length", "abc")], b"abc", 201, "?0"),
        ("?1", &[("Upload-Length", "4")], b"abc", 400, "?0"),
        ("?0", &[("Upload-Length", "2")], b"abc", 400, "?0"),
        ("?0", &[("Upload-Length", "1001")], b"", 413, "?0"),
        ("?1", &[("Upload-Length", "5")], &large, 413, "?0"),
        ("true", &[], b"abc", 400, "?0"),
        ("?0", &[("Content-Digest", ABC)], b"abc", 201, "?0"),
        ("?0", &[("Content-Digest", ABC)], b"abd", 400, "?0"),
        ("?0", &[("Content-Digest", "md5=:AAAA:")], b"abd", 201, "?0"),
        ("?1", &[("Repr-Digest", ABC)], b"abc", 201, "?1"),
        ("?1", &[("Repr-Digest", ABC)], b"abd", 400, "?0"),
    ] {
        let response = creation(&server, said, headers, body).await;
        assert_eq!(response.status(), status, "{said} {headers:?}");
        assert_eq!(complete(&response), Some(shown), "{said} {headers:?}");
        let limited = header(&response, "upload-limit").is_some();
        assert!(limited || status == 400, "{said} {headers:?}");
    }
    let unmarked = server.request(Method::POST, "/files/").body("abc").send().await.unwrap();
    assert_eq!((unmarked.status().as_u16(), header(&unmarked, "tus-version")), (412, Some("1.0.0")));
}

#[tokio::test]
async fn options_tell_the_limits() {
    let server = Server::with("[uploads]\nmax_bytes = 1000\n").await;
    for path in ["/files", "/files/", "/files/unknown"] {
        let response =
            server.request(Method::OPTIONS, path).header("Upload-Complete", "?1").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "upload-limit"), Some("max-size=1000, min-size=0, max-age=86400"));
    }
}

#[tokio::test]
async fn an_append_is_judged_by_its_headers() {
    let server = Server::start().await;
    let path = opened(&server, &[("Upload-Length", "10")]).await;
    let (zero, no) = (("Upload-Offset", "0"), ("Upload-Complete", "?0"));
    for headers in [
        &[no][..],
        &[zero],
        &[("Upload-Offset", "abc"), no],
        &[("Upload-Offset", "-1"), no],
        &[zero, ("Upload-Complete", "1")],
    ] {
        assert_eq!(told(&appended(&server, &path, headers, b"abc").await).0, 400, "{headers:?}");
    }
    let untyped =
        server.request(Method::PATCH, &path).header("Upload-Offset", 0).header("Upload-Complete", "?0");
    assert_eq!(untyped.body("abc").send().await.unwrap().status(), 415);
    let other = appended(&server, &path, &[zero, no, ("Upload-Length", "11")], b"abc").await;
    assert_eq!((other.status().as_u16(), complete(&other)), (400, Some("?0")));
    let problem: Value = other.json().await.unwrap();
    assert_eq!(problem["type"], INCONSISTENT);
    assert_eq!(told(&append(&server, &path, 0, "?1", b"abc").await).0, 400, "it would end too early");
    assert_eq!(told(&append(&server, &path, 0, "?0", b"").await), (204, Some("?0"), Some(0)));
    for at in [5, 1] {
        let wrong = append(&server, &path, at, "?0", b"abc").await;
        assert_eq!(told(&wrong), (409, Some("?0"), Some(0)));
        let problem: Value = wrong.json().await.unwrap();
        assert_eq!(problem["type"], MISMATCHING);
        assert_eq!((&problem["expected-offset"], &problem["provided-offset"]), (&0.into(), &at.into()));
    }
    let digest = [zero, no, ("Content-Digest", ABC)];
    assert_eq!(told(&appended(&server, &path, &digest, b"abd").await).0, 400);
    assert_eq!(told(&appended(&server, &path, &digest, b"abc").await), (204, Some("?0"), Some(3)));
    for name in [zero, no] {
        let asked = server.request(Method::HEAD, &path).header(name.0, name.1).send().await.unwrap();
        assert_eq!(asked.status(), 400, "{name:?}");
    }
    let shown = look(&server, &path).await;
    assert_eq!((told(&shown), header(&shown, "upload-length")), ((204, Some("?0"), Some(3)), Some("10")));
}

#[tokio::test]
async fn an_append_has_a_size_that_the_server_takes() {
    let server = Server::with("[uploads]\nmin_append_bytes = 3\nmax_append_bytes = 5\n").await;
    // What goes with the creation is no append.
    let first = creation(&server, "?0", &[], b"abcdefgh").await;
    assert_eq!(told(&first), (201, Some("?0"), Some(8)));
    let shown = header(&first, "upload-limit").unwrap();
    assert!(shown.contains(", min-append-size=3, max-append-size=5, "), "{shown}");
    let path = path_of(&first);
    for (complete, body, status) in
        [("?0", &b""[..], 400), ("?0", b"ab", 400), ("?0", b"abcdef", 413), ("?1", b"abcdef", 413)]
    {
        let refused = append(&server, &path, 8, complete, body).await;
        assert_eq!(told(&refused), (status, Some("?0"), Some(8)), "{complete} {body:?}");
        assert!(header(&refused, "upload-limit").unwrap().contains("append-size"));
    }
    assert_eq!(told(&append(&server, &path, 8, "?0", b"ijk").await), (204, Some("?0"), Some(11)));
    // One that does not say its length is taken as far as it may go.
    let mut raw = Raw::connect(server.port).await;
    let headers = [
        ("Content-Type", PARTIAL),
        ("Upload-Offset", "11"),
        ("Upload-Complete", "?0"),
        ("Transfer-Encoding", "chunked"),
    ];
    raw.head("PATCH", &path, &headers).await;
    raw.send(b"6\r\nlmnopq\r\n0\r\n\r\n").await.unwrap();
    assert_eq!(raw.answer().await.unwrap().status, 413);
    assert_eq!(told(&look(&server, &path).await), (204, Some("?0"), Some(16)));
    assert_eq!(told(&append(&server, &path, 16, "?1", b"q").await), (204, Some("?1"), Some(17)));
    let read = server.request(Method::GET, &path).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(read.as_ref(), b"abcdefghijklmnopq");
}

#[tokio::test]
async fn one_byte_too_many_ends_an_upload_for_good() {
    let server = Server::start().await;
    for filled in [0_u64, 3] {
        let path = opened(&server, &[("Upload-Length", "3")]).await;
        let body = &b"abc"[..usize::try_from(filled).unwrap()];
        assert_eq!(told(&append(&server, &path, 0, "?0", body).await), (204, Some("?0"), Some(filled)));
        assert_eq!(
            told(&look(&server, &path).await),
            (204, Some("?0"), Some(filled)),
            "complete only when said"
        );
        let over = append(&server, &path, filled, "?0", &b"abcd"[body.len()..]).await;
        assert_eq!((over.status().as_u16(), complete(&over)), (400, Some("?0")));
        assert_eq!(look(&server, &path).await.status(), 410);
        assert_eq!(append(&server, &path, filled, "?1", b"").await.status(), 410);
    }
    // The same when no Content-Length gives it away.
    let path = opened(&server, &[("Upload-Length", "3")]).await;
    let mut raw = Raw::connect(server.port).await;
    let headers = [
        ("Content-Type", PARTIAL),
        ("Upload-Offset", "0"),
        ("Upload-Complete", "?0"),
        ("Transfer-Encoding", "chunked"),
    ];
    raw.head("PATCH", &path, &headers).await;
    raw.send(b"4\r\nabcd\r\n0\r\n\r\n").await.unwrap();
    assert_eq!(raw.answer().await.unwrap().status, 400);
    assert_eq!(look(&server, &path).await.status(), 410);
}

#[tokio::test]
async fn an_upload_that_is_full_ends_when_it_is_said() {
    let server = Server::start().await;
    let path = opened(&server, &[("Upload-Length", "3")]).await;
    assert_eq!(told(&append(&server, &path, 0, "?0", b"abc").await), (204, Some("?0"), Some(3)));
    assert_eq!(told(&append(&server, &path, 3, "?1", b"").await), (204, Some("?1"), Some(3)));
    let more = append(&server, &path, 3, "?0", b"d").await;
    assert_eq!((more.status().as_u16(), complete(&more)), (400, Some("?1")));
    let read = server.request(Method::GET, &path).send().await.unwrap();
    assert_eq!((read.status().as_u16(), read.bytes().await.unwrap().as_ref()), (200, &b"abc"[..]));
}

#[tokio::test]
async fn an_upload_may_be_given_up() {
    let server = Server::start().await;
    let path = opened(&server, &[]).await;
    let delete = async |path: &str| {
        let request = server.request(Method::DELETE, path).header("Upload-Draft-Interop-Version", 8);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!((delete(&path).await, delete(&path).await, delete("/files/unknown").await), (204, 404, 404));
    assert_eq!(look(&server, &path).await.status(), 404);
    assert_eq!(append(&server, &path, 0, "?1", b"abc").await.status(), 404);
}

#[tokio::test]
async fn one_upload_speaks_both_protocols() {
    let server = Server::start().await;
    let path = opened(&server, &[("Upload-Length", "6")]).await;
    let unmarked = server.request(Method::HEAD, &path).send().await.unwrap();
    assert_eq!(unmarked.status(), 204, "the row tells the protocol");
    let part = tus(&server, Method::PATCH, &path).header("Content-Type", "application/offset+octet-stream");
    let part = part.header("Upload-Offset", 0).body("abc").send().await.unwrap();
    assert_eq!((part.status().as_u16(), offset(&part)), (204, Some(3)));
    assert_eq!(told(&append(&server, &path, 3, "?0", b"def").await), (204, Some("?0"), Some(6)));
    // For tus an upload is complete when it has its length; a client that sees that asks nothing more.
    let shown = tus(&server, Method::HEAD, &path).send().await.unwrap();
    assert_eq!((shown.status().as_u16(), offset(&shown)), (200, Some(6)));
    assert_eq!(told(&look(&server, &path).await), (204, Some("?1"), Some(6)));
    let begun = tus(&server, Method::POST, "/files/").header("Upload-Length", 3).send().await.unwrap();
    let begun = path_of(&begun);
    assert_eq!(server.request(Method::HEAD, &begun).send().await.unwrap().status(), 412);
    assert_eq!(told(&append(&server, &begun, 0, "?1", b"abc").await), (204, Some("?1"), Some(3)));
}
