//! The floor of the upload bench: the same HTTP library, and every byte thrown away. `discard PORT`.

use std::convert::Infallible;
use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;

/// As the server that is measured has it.
const READ_BUFFER_BYTES: usize = 128 * 1024;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok());
    let port = port.ok_or_else(|| std::io::Error::other("usage: discard PORT"))?;
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = hyper::service::service_fn(answer);
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.max_buf_size(READ_BUFFER_BYTES);
        tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let created = request.method() == Method::POST;
    let offset = request.headers().get("upload-offset").and_then(|at| at.to_str().ok()?.parse::<u64>().ok());
    let mut end = offset.unwrap_or_default();
    let mut body = request.into_body();
    while let Some(Ok(frame)) = body.frame().await {
        end += frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
    }
    let response = Response::builder().header("Tus-Resumable", "1.0.0").header("Upload-Offset", end);
    let response =
        if created { response.status(201).header("Location", "/files/one") } else { response.status(204) };
    Ok(response.body(Empty::new()).expect("because these headers are plain"))
}
