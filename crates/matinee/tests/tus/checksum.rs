//! Checksums of tus: bytes that do not fit never count, and a retry with the right ones does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, Response};

use crate::support::noise;
use crate::support::raw::Raw;
use crate::support::sender::{create, head, header, offset, tus};
use crate::support::server::Server;
use crate::support::until;

const OFFSET_STREAM: &str = "application/offset+octet-stream";
/// The checksums of "Hello, tus!\n".
const SHA1: &str = "sha1 E7X121m3do5RTtnrOi5XTG9Uq0A=";
const HELLO: &[u8] = b"Hello, tus!\n";

async fn checked(server: &Server, path: &str, at: u64, bytes: &[u8], checksum: &str) -> Response {
    let request = tus(server, Method::PATCH, path).header("Content-Type", OFFSET_STREAM);
    let request = request.header("Upload-Offset", at).header("Upload-Checksum", checksum);
    request.body(bytes.to_vec()).send().await.unwrap()
}

fn blake3(bytes: &[u8]) -> String {
    format!("blake3 {}", STANDARD.encode(blake3::hash(bytes).as_bytes()))
}

#[tokio::test]
async fn bytes_count_only_with_the_right_checksum() {
    let server = Server::start().await;
    let offered = server.request(Method::OPTIONS, "/files/").send().await.unwrap();
    assert_eq!(header(&offered, "tus-checksum-algorithm"), Some("sha1,sha256,md5,blake3"));
    let sent = create(&server, 100, "c.bin").await;
    for (checksum, status) in [
        ("sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAAA", 460),
        ("sha1 AAAA", 460),
        ("unknown AAAA", 400),
        ("unknown", 400),
        ("sha1", 400),
        ("sha1 !!", 400),
    ] {
        let response = checked(&server, &sent.path, 0, HELLO, checksum).await;
        assert_eq!(response.status(), status, "{checksum}");
        assert_eq!(head(&server, &sent.path).await, 0, "{checksum}");
    }
    let right = checked(&server, &sent.path, 0, HELLO, SHA1).await;
    assert_eq!((right.status().as_u16(), offset(&right)), (204, Some(12)));
    let more = checked(&server, &sent.path, 12, b"abc", &blake3(b"abc")).await;
    assert_eq!((more.status().as_u16(), offset(&more)), (204, Some(15)));
    // "abc" again, with the other two.
    for (at, checksum) in
        [(15, "sha256 ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="), (18, "md5 kAFQmDzST7DWlj99KOF/cg==")]
    {
        assert_eq!(checked(&server, &sent.path, at, b"abc", checksum).await.status(), 204, "{checksum}");
    }
}

#[tokio::test]
async fn what_was_found_wrong_is_overwritten_by_what_is_right() {
    let server = Server::start().await;
    let (right, wrong) = (noise(1, 3_000_000), noise(2, 3_000_000));
    let sent = create(&server, 3_000_000, "w.bin").await;
    let refused = checked(&server, &sent.path, 0, &wrong, &blake3(&right)).await;
    assert_eq!(refused.status(), 460);
    let half = checked(&server, &sent.path, 0, &right[..1_500_001], &blake3(&right[..1_500_001])).await;
    assert_eq!(half.status(), 204);
    let rest =
        checked(&server, &sent.path, 1_500_001, &right[1_500_001..], &blake3(&right[1_500_001..])).await;
    assert_eq!(rest.status(), 204);
    let read = server.request(Method::GET, &sent.path).send().await.unwrap();
    assert!(read.bytes().await.unwrap() == right.as_slice());
}

#[tokio::test]
async fn a_creation_may_bring_checked_bytes() {
    let server = Server::start().await;
    for (checksum, status, at) in [(SHA1, 201, 12), ("sha1 AAAA", 460, 0)] {
        let post = tus(&server, Method::POST, "/files/")
            .header("Upload-Length", 12)
            .header("Content-Type", OFFSET_STREAM);
        let response = post.header("Upload-Checksum", checksum).body(HELLO).send().await.unwrap();
        assert_eq!(response.status(), status);
        let location = header(&response, "location").unwrap();
        assert_eq!(head(&server, &location[location.find("/files/").unwrap()..]).await, at);
    }
}

/// A chunked PATCH with this field behind its body.
async fn trailed(server: &Server, path: &str, announced: bool, trailer: &str) -> u16 {
    let mut raw = Raw::connect(server.port).await;
    let mut headers = vec![
        ("Tus-Resumable", "1.0.0"),
        ("Content-Type", OFFSET_STREAM),
        ("Upload-Offset", "0"),
        ("Transfer-Encoding", "chunked"),
    ];
    if announced {
        headers.push(("Trailer", "Upload-Checksum"));
    }
    raw.head("PATCH", path, &headers).await;
    let body = format!("c\r\nHello, tus!\n\r\n0\r\n{trailer}\r\n");
    raw.send(body.as_bytes()).await.unwrap();
    raw.answer().await.unwrap().status
}

#[tokio::test]
async fn a_checksum_may_come_behind_the_body() {
    let server = Server::start().await;
    for (announced, trailer, status, at) in [
        (true, format!("Upload-Checksum: {SHA1}\r\n"), 204, 12),
        (true, format!("Upload-Checksum: {}\r\n", blake3(HELLO)), 204, 12),
        (true, "Upload-Checksum: sha1 AAAA\r\n".to_owned(), 460, 0),
        (true, "Upload-Checksum: crc32 AAAA\r\n".to_owned(), 400, 0),
        (true, String::new(), 400, 0),
        (false, String::new(), 204, 12),
    ] {
        let sent = create(&server, 100, "t.bin").await;
        assert_eq!(trailed(&server, &sent.path, announced, &trailer).await, status, "{trailer}");
        assert_eq!(head(&server, &sent.path).await, at, "{trailer}");
    }
}

#[tokio::test]
async fn a_checked_body_that_breaks_off_leaves_nothing() {
    let server = Server::start().await;
    let bytes = noise(3, 1 << 20);
    let sent = create(&server, bytes.len() as u64, "b.bin").await;
    let mut raw = Raw::connect(server.port).await;
    let (len, sum) = (bytes.len().to_string(), blake3(&bytes));
    let headers = [
        ("Tus-Resumable", "1.0.0"),
        ("Content-Type", OFFSET_STREAM),
        ("Upload-Offset", "0"),
        ("Content-Length", len.as_str()),
        ("Upload-Checksum", sum.as_str()),
    ];
    raw.head("PATCH", &sent.path, &headers).await;
    raw.send(&bytes[..500_000]).await.unwrap();
    raw.reset();
    let response = until("the rest is taken", 30, async || {
        let at = head(&server, &sent.path).await;
        assert_eq!(at, 0, "what cannot be checked does not count");
        let response = checked(&server, &sent.path, 0, &bytes, &sum).await;
        (response.status() != 409).then_some(response)
    })
    .await;
    assert_eq!((response.status().as_u16(), offset(&response)), (204, Some(bytes.len() as u64)));
}
