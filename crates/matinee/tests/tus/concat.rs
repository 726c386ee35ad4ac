//! Concatenation: parts that are sent side by side become one video, and none of their bytes stays behind.

use reqwest::{Method, Response};

use crate::support::clips;
use crate::support::invariants::{all_hold, no_byte_is_lost, nothing_remains};
use crate::support::sender::{created, head, header, offset, patch, tus};
use crate::support::server::Server;

/// A creation with this `Upload-Concat` and maybe a length.
async fn creation(server: &Server, concat: &str, len: Option<usize>) -> Response {
    let request = tus(server, Method::POST, "/files/").header("Upload-Concat", concat);
    let request = match len {
        Some(len) => request.header("Upload-Length", len),
        None => request,
    };
    request.send().await.unwrap()
}

/// The path of a new part of these bytes, of which the first `sent` are sent.
async fn part(server: &Server, bytes: &[u8], sent: usize) -> String {
    let response = creation(server, "partial", Some(bytes.len())).await;
    assert_eq!(response.status(), 201);
    assert!(header(&response, "matinee-video").is_none(), "a part becomes no video");
    let location = header(&response, "location").unwrap();
    let path = location[location.find("/files/").unwrap()..].to_owned();
    if sent > 0 {
        assert_eq!(patch(server, &path, 0, bytes[..sent].to_vec()).await.status(), 204);
    }
    path
}

async fn look(server: &Server, path: &str) -> Response {
    tus(server, Method::HEAD, path).send().await.unwrap()
}

#[tokio::test]
async fn parts_become_one_video_and_go() {
    let (server, bytes) = (Server::start().await, clips::mp4(3));
    let (front, back) = bytes.split_at(bytes.len() / 3);
    let (first, second) = (part(&server, front, front.len()).await, part(&server, back, back.len()).await);
    assert_eq!(header(&look(&server, &first).await, "upload-concat"), Some("partial"));
    let (_, videos) = server.get("/v1/videos").await;
    assert_eq!(videos["items"].as_array().unwrap().len(), 0, "a finished part is no video");
    let concat = format!("final;{} {second}", server.url(&first));
    let response = creation(&server, &concat, None).await;
    let sent = created(&response);
    let shown = look(&server, &sent.path).await;
    let len = bytes.len().to_string();
    assert_eq!(header(&shown, "upload-offset"), Some(len.as_str()), "at once");
    assert_eq!(header(&shown, "upload-length"), Some(len.as_str()));
    assert_eq!(header(&shown, "upload-concat"), Some(concat.as_str()));
    let read = server.request(Method::GET, &sent.path).send().await.unwrap();
    assert!(read.bytes().await.unwrap() == bytes.as_slice(), "also while the parts are being joined");
    server.video_in(&sent.video, &["ready"], 120).await;
    // What is ready is encoded, so the joined source is what it was made of.
    for path in [&first, &second] {
        assert_eq!(tus(&server, Method::DELETE, path).send().await.unwrap().status(), 204);
        assert_eq!(look(&server, path).await.status(), 404);
    }
    all_hold(&server).await;
}

#[tokio::test]
async fn a_final_upload_grows_with_its_parts_and_takes_no_bytes() {
    let (server, bytes) = (Server::start().await, clips::mp4(3));
    let (front, back) = bytes.split_at(1_000);
    let (first, second) = (part(&server, front, 400).await, part(&server, back, 0).await);
    let sent = created(&creation(&server, &format!("final;{first} {second}"), None).await);
    assert_eq!(head(&server, &sent.path).await, 400);
    let refused = patch(&server, &sent.path, 400, b"x".to_vec()).await;
    assert_eq!(refused.status(), 403);
    assert_eq!(patch(&server, &second, 0, back.to_vec()).await.status(), 204);
    assert_eq!(head(&server, &sent.path).await, 400 + back.len() as u64);
    let (_, shown) = server.get(&format!("/v1/uploads/{}", sent.id)).await;
    assert_ne!(shown["state"], "processing", "not before the last part: {shown}");
    assert_eq!(patch(&server, &first, 400, front[400..].to_vec()).await.status(), 204);
    assert_eq!(head(&server, &sent.path).await, bytes.len() as u64);
    server.video_in(&sent.video, &["ready"], 120).await;
    no_byte_is_lost(&server, &sent.video, &bytes).await;
}

#[tokio::test]
async fn one_part_may_come_twice_and_in_two_final_uploads() {
    let server = Server::start().await;
    let path = part(&server, b"abcdef", 6).await;
    let twice = created(&creation(&server, &format!("final;{path} {path}"), None).await);
    let again = created(&creation(&server, &format!("final;{path}"), None).await);
    assert_eq!((head(&server, &twice.path).await, head(&server, &again.path).await), (12, 6));
    for sent in [twice, again] {
        server.video_in(&sent.video, &["failed"], 60).await;
    }
    assert_eq!(tus(&server, Method::DELETE, &path).send().await.unwrap().status(), 204);
    nothing_remains(&server).await;
}

#[tokio::test]
async fn a_final_upload_is_judged_by_its_parts() {
    let server = Server::start().await;
    let path = part(&server, b"abc", 3).await;
    let whole = tus(&server, Method::POST, "/files/").header("Upload-Length", 3).send().await.unwrap();
    let whole = created(&whole).path;
    let final_of = |path: &str| format!("final;{path}");
    let finished = created(&creation(&server, &final_of(&path), None).await).path;
    for (concat, len, status) in [
        (final_of(&path), Some(3), 400),
        (final_of("/files/unknown"), None, 404),
        (final_of(&whole), None, 404),
        (final_of(&finished), None, 404),
        ("final;".to_owned(), None, 400),
        ("final;/v1/videos".to_owned(), None, 400),
        ("whole".to_owned(), Some(3), 400),
        ("partial".to_owned(), None, 400),
    ] {
        assert_eq!(creation(&server, &concat, len).await.status(), status, "{concat} {len:?}");
    }
    let empty = part(&server, b"", 0).await;
    assert_eq!(offset(&look(&server, &empty).await), Some(0));
    let sent = created(&creation(&server, &final_of(&empty), None).await);
    assert_eq!(head(&server, &sent.path).await, 0);
    server.video_in(&sent.video, &["failed"], 60).await;
}

#[tokio::test]
async fn with_a_part_goes_the_final_upload_that_waits_for_it() {
    let server = Server::start().await;
    let (first, second) = (part(&server, b"abc", 3).await, part(&server, b"def", 1).await);
    let sent = created(&creation(&server, &format!("final;{first} {second}"), None).await);
    assert_eq!(tus(&server, Method::DELETE, &second).send().await.unwrap().status(), 204);
    assert_eq!(look(&server, &sent.path).await.status(), 410);
    let (_, shown) = server.get(&format!("/v1/uploads/{}", sent.id)).await;
    assert_eq!(shown["reason"]["code"], "upload_part_gone", "{shown}");
    assert_eq!(tus(&server, Method::DELETE, &first).send().await.unwrap().status(), 204);
    nothing_remains(&server).await;
}
