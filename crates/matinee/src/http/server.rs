//! The accept loop: connections with bounded buffers and a drain on shutdown.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::linger::{Rest, Watched};

/// A body arrives in pieces of at most this size: larger ones cost memory and gain nothing (`ingest.md` section 8).
const READ_BUFFER_BYTES: usize = 128 * 1024;
/// A client has so long to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// After SIGTERM requests that run may finish for so long.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// So long after a failed accept (no file descriptor left) before the next one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop`, then lets running requests finish.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = stop.cancelled() => break,
        };
        connection(stream, peer, (&router, &stop), &graceful);
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut");
    }
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    (router, stop): (&Router, &CancellationToken),
    graceful: &GracefulShutdown,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let (router, stop) = (router.clone(), stop.clone());
    let service =
        hyper::service::service_fn(move |request| answer(router.clone(), peer, request, stop.clone()));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .max_buf_size(READ_BUFFER_BYTES)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .http2()
        .timer(TokioTimer::new());
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = watched.await {
            tracing::debug!(%error, %peer, "a connection broke");
        }
    });
}

async fn answer(
    router: Router,
    peer: SocketAddr,
    mut request: hyper::Request<Incoming>,
    stop: CancellationToken,
) -> Result<Response, Infallible> {
    request.extensions_mut().insert(ConnectInfo(peer));
    let rest = Rest::default();
    // In HTTP/2 a body that nobody wants is a stream of its own and hurts no other.
    let lingers = request.version() < http::Version::HTTP_2;
    let waits = request.headers().contains_key(http::header::EXPECT);
    let request = request.map(|body| {
        if lingers {
            axum::body::Body::new(Watched::new(body, waits, rest.clone()))
        } else {
            axum::body::Body::new(body)
        }
    });
    let response = router.oneshot(request).await;
    rest.read_on(stop);
    response
}
