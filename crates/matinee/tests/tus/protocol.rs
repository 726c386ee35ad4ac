//! tus 1.0 as `ingest.md` section 3 lays it out: every status and header that a client relies on.

use matinee_core::limits;
use reqwest::{Method, Response};

use crate::support::clips;
use crate::support::invariants::{all_hold, nothing_remains};
use crate::support::noise;
use crate::support::raw::Raw;
use crate::support::sender::{create, created, head, header, named, offset, patch, tus, upload};
use crate::support::server::Server;
use crate::support::tables::Tables;

const OFFSET_STREAM: &str = "application/offset+octet-stream";

/// A creation with these headers and no body.
async fn creation(server: &Server, headers: &[(&'static str, &str)]) -> Response {
    let mut request = tus(server, Method::POST, "/files/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn options_says_what_is_offered() {
    let server = Server::start().await;
    let response = server.request(Method::OPTIONS, "/files/").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "tus-version"), Some("1.0.0"));
    let offered = header(&response, "tus-extension").unwrap();
    for extension in [
        "creation",
        "creation-with-upload",
        "creation-defer-length",
        "expiration",
        "checksum",
        "checksum-trailer",
        "termination",
        "concatenation",
        "concatenation-unfinished",
    ] {
        assert!(offered.split(',').any(|it| it == extension), "{extension} is missing in {offered}");
    }
    assert!(header(&response, "tus-max-size").unwrap().parse::<u64>().is_ok());
}

#[tokio::test]
async fn a_request_of_another_version_is_not_executed() {
    let server = Server::start().await;
    let sent = create(&server, 5, "v.bin").await;
    for version in [None, Some("0.2.2")] {
        for method in [Method::HEAD, Method::GET, Method::PATCH, Method::DELETE] {
            let mut request = server.request(method, &sent.path).header("Upload-Offset", 0);
            if let Some(version) = version {
                request = request.header("Tus-Resumable", version);
            }
            let response = request.header("Content-Type", OFFSET_STREAM).body("hello").send().await.unwrap();
            assert_eq!(response.status(), 412);
            assert_eq!(header(&response, "tus-version"), Some("1.0.0"));
        }
    }
    assert_eq!(head(&server, &sent.path).await, 0);
}

#[tokio::test]
async fn a_creation_is_judged_by_its_headers() {
    let server = Server::with("[uploads]\nmax_bytes = 1000\n").await;
    let duplicate = format!("{},{}", named("a"), named("b"));
    for (headers, expected) in [
        (vec![("Upload-Length", "1000")], 201),
        (vec![("Upload-Length", "1001")], 413),
        (vec![("Upload-Length", "0")], 201),
        (vec![], 400),
        (vec![("Upload-Length", "-1")], 400),
        (vec![("Upload-Length", "many")], 400),
        (vec![("Upload-Length", "9223372036854775808")], 400),
        (vec![("Upload-Length", "5"), ("Upload-Defer-Length", "1")], 400),
        (vec![("Upload-Defer-Length", "1")], 201),
        (vec![("Upload-Defer-Length", "2")], 400),
        (vec![("Upload-Defer-Length", "0")], 400),
        (vec![("Upload-Length", "5"), ("Upload-Metadata", "filename !!")], 400),
        (vec![("Upload-Length", "5"), ("Upload-Metadata", duplicate.as_str())], 400),
        (vec![("Upload-Length", "5"), ("Upload-Metadata", "a YQ==,,b")], 400),
    ] {
        let response = creation(&server, &headers).await;
        assert_eq!(response.status(), expected, "{headers:?}");
        assert_eq!(header(&response, "tus-resumable"), Some("1.0.0"), "{headers:?}");
    }
}

#[tokio::test]
async fn an_upload_tells_where_it_is() {
    let server = Server::start().await;
    let metadata = format!("{},empty,note {}", named("film.mp4"), "eA==");
    let response = creation(&server, &[("Upload-Length", "10"), ("Upload-Metadata", &metadata)]).await;
    assert!(header(&response, "location").unwrap().starts_with("http://"));
    assert!(header(&response, "upload-expires").unwrap().ends_with("GMT"));
    let sent = created(&response);
    let part = patch(&server, &sent.path, 0, b"1234".to_vec()).await;
    assert_eq!((part.status().as_u16(), offset(&part)), (204, Some(4)));
    assert!(header(&part, "upload-expires").is_some());
    let look = tus(&server, Method::HEAD, &sent.path).send().await.unwrap();
    assert_eq!(offset(&look), Some(4));
    assert_eq!(header(&look, "upload-length"), Some("10"));
    assert_eq!(header(&look, "upload-metadata"), Some(metadata.as_str()));
    assert_eq!(header(&look, "cache-control"), Some("no-store"));
    assert!(header(&look, "upload-expires").is_some());
    let (status, shown) = server.get(&format!("/v1/uploads/{}", sent.id)).await;
    assert_eq!((status, &shown["offset_bytes"], &shown["state"]), (200, &4.into(), &"uploading".into()));
}

#[tokio::test]
async fn an_upload_whose_bytes_stop_coming_is_shown_as_stalled_until_they_come_again() {
    let server = Server::start().await;
    let (sent, fresh) = (create(&server, 10, "s.bin").await, create(&server, 10, "fresh.bin").await);
    assert_eq!(patch(&server, &sent.path, 0, b"1234".to_vec()).await.status(), 204);
    let state = async |id: &str| server.get(&format!("/v1/uploads/{id}")).await.1["state"].clone();
    let in_state = async |word: &str| {
        let (_, page) = server.get(&format!("/v1/uploads?state={word}")).await;
        let ids =
            page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!((state(&sent.id).await, state(&fresh.id).await), ("uploading".into(), "waiting".into()));
    Tables::open(&server.data()).await.silence(limits::STALLED_MS).await;
    assert_eq!((state(&sent.id).await, state(&fresh.id).await), ("stalled".into(), "waiting".into()));
    assert_eq!(
        (in_state("stalled").await, in_state("uploading").await, in_state("waiting").await),
        (vec![sent.id.clone()], Vec::new(), vec![fresh.id.clone()])
    );
    assert_eq!(patch(&server, &sent.path, 4, b"56".to_vec()).await.status(), 204);
    assert_eq!(state(&sent.id).await, "uploading");
}

#[tokio::test]
async fn a_wrong_request_changes_nothing() {
    let server = Server::start().await;
    let sent = create(&server, 10, "w.bin").await;
    assert_eq!(patch(&server, &sent.path, 0, b"12345".to_vec()).await.status(), 204);
    let wrong = patch(&server, &sent.path, 3, b"xx".to_vec()).await;
    assert_eq!((wrong.status().as_u16(), offset(&wrong)), (409, Some(5)));
    assert_eq!(patch(&server, &sent.path, 5, b"123456".to_vec()).await.status(), 413);
    let untyped = tus(&server, Method::PATCH, &sent.path).header("Upload-Offset", 5).body("x");
    assert_eq!(untyped.send().await.unwrap().status(), 415);
    for bad in ["-5", "five", ""] {
        let request = tus(&server, Method::PATCH, &sent.path).header("Content-Type", OFFSET_STREAM);
        assert_eq!(
            request.header("Upload-Offset", bad).body("x").send().await.unwrap().status(),
            400,
            "{bad}"
        );
    }
    assert_eq!(head(&server, &sent.path).await, 5);
}

#[tokio::test]
async fn a_body_that_lies_about_its_length_never_completes_an_upload() {
    let server = Server::start().await;
    // Chunked, so no Content-Length gives it away.
    let sent = create(&server, 10, "lie.bin").await;
    let mut raw = Raw::connect(server.port).await;
    let headers = [
        ("Tus-Resumable", "1.0.0"),
        ("Content-Type", OFFSET_STREAM),
        ("Upload-Offset", "0"),
        ("Transfer-Encoding", "chunked"),
    ];
    raw.head("PATCH", &sent.path, &headers).await;
    raw.send(b"c\r\nabcdefghijkl\r\n0\r\n\r\n").await.unwrap();
    assert_eq!(raw.answer().await.map(|answer| answer.status), Some(413));
    let at = head(&server, &sent.path).await;
    assert!(at < 10, "{at} would be a finished upload");
    let (_, shown) = server.get(&format!("/v1/uploads/{}", sent.id)).await;
    assert_eq!(shown["state"], "uploading", "no video came of it: {shown}");
    // Fewer bytes than promised: what came is kept.
    let short = create(&server, 10, "short.bin").await;
    let mut raw = Raw::patch(server.port, &short.path, 0, 10).await;
    raw.send(b"abcd").await.unwrap();
    drop(raw);
    crate::support::until("4 bytes are kept", 10, async || {
        (head(&server, &short.path).await == 4).then_some(())
    })
    .await;
}

#[tokio::test]
async fn creation_can_bring_the_bytes_along() {
    let (server, bytes) = (Server::start().await, clips::mp4(3));
    let post = || tus(&server, Method::POST, "/files/").header("Upload-Length", bytes.len());
    let untyped = post().header("Content-Type", "video/mp4").body(bytes.clone()).send().await.unwrap();
    assert_eq!(untyped.status(), 415);
    let response = post().header("Content-Type", OFFSET_STREAM).body(bytes.clone()).send().await.unwrap();
    assert_eq!(offset(&response), Some(bytes.len() as u64));
    let sent = created(&response);
    assert_eq!(head(&server, &sent.path).await, bytes.len() as u64);
    let again = patch(&server, &sent.path, bytes.len() as u64, Vec::new()).await;
    assert_eq!((again.status().as_u16(), offset(&again)), (204, Some(bytes.len() as u64)));
    server.video_in(&sent.video, &["ready"], 120).await;
    all_hold(&server).await;
}

#[tokio::test]
async fn an_empty_upload_is_finished_at_once_and_its_video_says_why_it_failed() {
    let server = Server::start().await;
    let sent = upload(&server, b"", "empty.mp4").await;
    assert_eq!(head(&server, &sent.path).await, 0);
    let video = server.video_in(&sent.video, &["failed"], 30).await;
    assert!(["not_media", "truncated"].contains(&video["reason"]["code"].as_str().unwrap()), "{video}");
    nothing_remains(&server).await;
    all_hold(&server).await;
}

#[tokio::test]
async fn a_method_can_be_named_by_a_header() {
    let server = Server::start().await;
    let sent = create(&server, 10, "o.bin").await;
    let instead = |method: &'static str| {
        tus(&server, Method::POST, &sent.path).header("X-HTTP-Method-Override", method)
    };
    let part = instead("PATCH").header("Upload-Offset", 0).header("Content-Type", OFFSET_STREAM).body("123");
    assert_eq!(part.send().await.unwrap().status(), 204);
    let look = instead("HEAD").send().await.unwrap();
    assert_eq!((look.status().as_u16(), offset(&look)), (200, Some(3)));
    assert_eq!(instead("DELETE").send().await.unwrap().status(), 204);
    assert_eq!(tus(&server, Method::HEAD, &sent.path).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_deleted_upload_is_gone_with_its_bytes() {
    let server = Server::start().await;
    let sent = create(&server, 1 << 20, "d.bin").await;
    assert_eq!(patch(&server, &sent.path, 0, noise(5, 1 << 19)).await.status(), 204);
    // A request that still runs is ended by the deletion.
    let mut running = Raw::patch(server.port, &sent.path, 1 << 19, 1 << 19).await;
    running.send(&noise(6, 1_000)).await.unwrap();
    assert_eq!(tus(&server, Method::DELETE, &sent.path).send().await.unwrap().status(), 204);
    for method in [Method::HEAD, Method::DELETE] {
        let response = tus(&server, method, &sent.path).send().await.unwrap();
        assert_eq!(response.status(), 404);
        assert_eq!(offset(&response), None);
    }
    assert_eq!(patch(&server, &sent.path, 0, b"x".to_vec()).await.status(), 404);
    nothing_remains(&server).await;
}

#[tokio::test]
async fn a_length_may_come_later_once() {
    let server = Server::start().await;
    let response = creation(&server, &[("Upload-Defer-Length", "1")]).await;
    let sent = created(&response);
    let deferred = async || {
        let look = tus(&server, Method::HEAD, &sent.path).send().await.unwrap();
        let shown = |name| header(&look, name).map(str::to_owned);
        (shown("upload-defer-length"), shown("upload-length"), offset(&look))
    };
    let declared = async |at: u64, length: &str, body: &'static str| {
        let request = tus(&server, Method::PATCH, &sent.path).header("Content-Type", OFFSET_STREAM);
        let request = request.header("Upload-Offset", at).header("Upload-Length", length);
        request.body(body).send().await.unwrap().status().as_u16()
    };
    assert_eq!(patch(&server, &sent.path, 0, b"abcde".to_vec()).await.status(), 204);
    assert_eq!(deferred().await, (Some("1".to_owned()), None, Some(5)));
    assert_eq!(declared(5, "4", "").await, 400, "less than what is there");
    assert_eq!(declared(5, "10", "123456").await, 413);
    assert_eq!(deferred().await, (Some("1".to_owned()), None, Some(5)), "nothing changed");
    assert_eq!(declared(5, "10", "f").await, 204);
    assert_eq!(declared(6, "11", "").await, 400, "it is fixed");
    assert_eq!(deferred().await, (None, Some("10".to_owned()), Some(6)));
    assert_eq!(declared(6, "10", "ghij").await, 204);
    assert_eq!(deferred().await, (None, Some("10".to_owned()), Some(10)));
    // The length may also be just what is there already.
    let sent = created(&creation(&server, &[("Upload-Defer-Length", "1")]).await);
    assert_eq!(patch(&server, &sent.path, 0, b"abc".to_vec()).await.status(), 204);
    let request = tus(&server, Method::PATCH, &sent.path).header("Content-Type", OFFSET_STREAM);
    let last = request.header("Upload-Offset", 3).header("Upload-Length", 3).send().await.unwrap();
    assert_eq!((last.status().as_u16(), offset(&last)), (204, Some(3)));
    server.video_in(&sent.video, &["failed"], 60).await;
}

#[tokio::test]
async fn a_complete_upload_is_read_back_and_closed() {
    let server = Server::start().await;
    let sent = create(&server, 5, "r.bin").await;
    let read = async |server: &Server, path: &str| server.request(Method::GET, path).send().await.unwrap();
    assert_eq!(tus(&server, Method::GET, &sent.path).send().await.unwrap().status(), 409, "not complete");
    assert_eq!(patch(&server, &sent.path, 0, b"hello".to_vec()).await.status(), 204);
    let response = read(&server, &sent.path).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-disposition"), Some("attachment"));
    assert_eq!(response.bytes().await.unwrap().as_ref(), b"hello");
    assert_eq!(tus(&server, Method::DELETE, &sent.path).send().await.unwrap().status(), 204);
    for method in [Method::HEAD, Method::GET, Method::DELETE] {
        assert_eq!(tus(&server, method, &sent.path).send().await.unwrap().status(), 404);
    }
    assert_eq!(server.get(&format!("/v1/videos/{}", sent.video)).await.0, 200, "the video is another matter");
    let closed = Server::with("[uploads]\ndownload = false\n").await;
    let sent = upload(&closed, b"hello", "r.bin").await;
    assert_eq!(read(&closed, &sent.path).await.status(), 403);
}

#[tokio::test]
async fn long_metadata_comes_back_as_it_was() {
    let server = Server::start().await;
    let metadata = format!("note {}", "QUFB".repeat(3_500));
    let sent = created(&creation(&server, &[("Upload-Length", "5"), ("Upload-Metadata", &metadata)]).await);
    let look = tus(&server, Method::HEAD, &sent.path).send().await.unwrap();
    assert_eq!(header(&look, "upload-metadata"), Some(metadata.as_str()));
}

#[tokio::test]
async fn unknown_and_crooked_addresses_are_not_found() {
    let server = Server::start().await;
    let longest = format!("/files/{}", "a".repeat(4_000));
    for path in [
        "/files/unknown",
        "/files//unknown",
        "/files/..%2f..%2fetc%2fpasswd",
        "/files/%00",
        "/files/../../etc/passwd",
        &longest,
    ] {
        let mut raw = Raw::connect(server.port).await;
        raw.head("HEAD", path, &[("Tus-Resumable", "1.0.0"), ("Connection", "close")]).await;
        let answer = raw.answer().await.unwrap();
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.number("upload-offset"), None, "{path}");
    }
}

#[tokio::test]
async fn file_names_are_only_texts() {
    let server = Server::start().await;
    for name in ["../../etc/passwd", "CON", "a\r\nX-Evil: 1", "\u{202e}gpj.exe", "<script>alert(1)</script>"]
    {
        let sent = create(&server, 10, name).await;
        let look = tus(&server, Method::HEAD, &sent.path).send().await.unwrap();
        assert!(look.headers().get("x-evil").is_none());
        assert_eq!(header(&look, "upload-metadata"), Some(named(name).as_str()));
    }
    let long = create(&server, 10, &"x".repeat(10_000)).await;
    assert_eq!(head(&server, &long.path).await, 0);
}

#[tokio::test]
async fn pages_of_a_configured_origin_may_upload_from_a_browser() {
    let server = Server::with("[uploads]\norigins = [\"https://films.example\"]\n").await;
    let preflight = async |origin: &str| {
        let request = server.request(Method::OPTIONS, "/files/x").header("Origin", origin);
        let request = request.header("Access-Control-Request-Method", "PATCH");
        request.header("Access-Control-Request-Headers", "tus-resumable,upload-offset").send().await.unwrap()
    };
    let known = preflight("https://films.example").await;
    assert_eq!(known.status(), 200);
    assert_eq!(header(&known, "access-control-allow-origin"), Some("https://films.example"));
    for (list, wanted) in [
        ("access-control-allow-methods", ["PATCH", "HEAD", "DELETE"]),
        ("access-control-allow-headers", ["Upload-Checksum", "Upload-Concat", "Want-Repr-Digest"]),
        (
            "access-control-allow-headers",
            ["Tus-Resumable", "Upload-Complete", "Upload-Draft-Interop-Version"],
        ),
        ("access-control-expose-headers", ["Upload-Offset", "Location", "Matinee-Video"]),
        ("access-control-expose-headers", ["Upload-Expires", "Tus-Checksum-Algorithm", "Upload-Limit"]),
    ] {
        let all = header(&known, list).unwrap();
        assert!(wanted.iter().all(|one| all.contains(one)), "{list}: {all}");
    }
    assert_eq!(header(&preflight("https://evil.example").await, "access-control-allow-origin"), None);
    let post = tus(&server, Method::POST, "/files/").header("Upload-Length", 5);
    let response = post.header("Origin", "https://films.example").send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(header(&response, "access-control-allow-origin"), Some("https://films.example"));
}
