//! A well-behaved tus client: creates, looks, sends, resumes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, RequestBuilder, Response};

use super::server::Server;
use super::until;

const OFFSET_STREAM: &str = "application/offset+octet-stream";

/// One upload as its sender knows it.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// The path of its address: the port changes with each start.
    pub(crate) path: String,
    pub(crate) video: String,
    pub(crate) id: String,
}

/// A request that says which protocol it speaks.
pub(crate) fn tus(server: &Server, method: Method, path: &str) -> RequestBuilder {
    server.request(method, path).header("Tus-Resumable", "1.0.0")
}

/// The header `Upload-Metadata` for a file name.
pub(crate) fn named(file_name: &str) -> String {
    format!("filename {}", STANDARD.encode(file_name))
}

/// A header of an answer as text.
pub(crate) fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

/// The offset that an answer tells.
pub(crate) fn offset(response: &Response) -> Option<u64> {
    header(response, "upload-offset")?.parse().ok()
}

/// What a 201 says about the new upload.
pub(crate) fn created(response: &Response) -> Sent {
    assert_eq!(response.status(), 201);
    let location = header(response, "location").unwrap();
    let (_, rest) = location.split_once("://").unwrap();
    Sent {
        path: rest[rest.find('/').unwrap()..].to_owned(),
        video: header(response, "matinee-video").unwrap().to_owned(),
        id: header(response, "matinee-upload").unwrap().to_owned(),
    }
}

/// Creates an upload of `len` bytes.
pub(crate) async fn create(server: &Server, len: u64, file_name: &str) -> Sent {
    let request = tus(server, Method::POST, "/files/").header("Upload-Length", len);
    created(&request.header("Upload-Metadata", named(file_name)).send().await.unwrap())
}

/// A PATCH.
pub(crate) async fn patch(server: &Server, path: &str, at: u64, bytes: Vec<u8>) -> Response {
    let request = tus(server, Method::PATCH, path).header("Content-Type", OFFSET_STREAM);
    request.header("Upload-Offset", at).body(bytes).send().await.unwrap()
}

/// The offset that HEAD tells.
pub(crate) async fn head(server: &Server, path: &str) -> u64 {
    let response = tus(server, Method::HEAD, path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    offset(&response).unwrap()
}

/// Uploads a whole file in one PATCH.
pub(crate) async fn upload(server: &Server, bytes: &[u8], file_name: &str) -> Sent {
    let sent = create(server, bytes.len() as u64, file_name).await;
    if !bytes.is_empty() {
        let response = patch(server, &sent.path, 0, bytes.to_vec()).await;
        assert_eq!(response.status(), 204);
    }
    sent
}

/// Sends what is missing after a break. A broken request may still be on its way to the server, which then says 409
/// and where it is: as every tus client does, look again.
pub(crate) async fn resume(server: &Server, sent: &Sent, bytes: &[u8]) {
    let response = until("the rest is taken", 30, async || {
        let at = head(server, &sent.path).await;
        let from = usize::try_from(at).unwrap();
        let response = patch(server, &sent.path, at, bytes[from..].to_vec()).await;
        (response.status() != 409).then_some(response)
    })
    .await;
    assert_eq!(response.status(), 204);
    assert_eq!(offset(&response), Some(bytes.len() as u64));
}
