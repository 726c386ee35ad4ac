//! What a handler leaves of a body is read on for a while: closing at once would reset the connection, and the reset can
//! destroy the answer on its way (RFC 9112, section 9.6).

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use matinee_core::limits;
use tokio_util::sync::CancellationToken;

/// Once the process is about to end, nobody is read on for longer than this.
const PARTING: Duration = Duration::from_millis(500);

/// A body that a handler drops before its end comes back here.
#[derive(Clone, Default)]
pub(super) struct Rest(Arc<Mutex<Option<Incoming>>>);

/// The body as the handler sees it: its frames, trailers too.
pub(super) struct Watched {
    body: Option<Incoming>,
    /// The client waits for a word before it sends anything, and has not been given one.
    waits: bool,
    rest: Rest,
}

impl Watched {
    /// `waits`: the request came with `Expect: 100-continue`.
    pub(super) const fn new(body: Incoming, waits: bool, rest: Rest) -> Self {
        Self { body: Some(body), waits, rest }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.waits = false;
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let body = self.body.take().filter(|body| !self.waits && !body.is_end_stream());
        *self.rest.0.lock().unwrap_or_else(PoisonError::into_inner) = body;
    }
}

impl Rest {
    /// Reads on in the background what was left, once the answer is made.
    pub(super) fn read_on(&self, stop: CancellationToken) {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(body) = left else { return };
        tokio::spawn(async move {
            let stopped = async {
                stop.cancelled().await;
                tokio::time::sleep(PARTING).await;
            };
            tokio::select! {
                () = discarded(body) => {}
                () = stopped => {}
                () = tokio::time::sleep(Duration::from_millis(limits::LINGER_MS)) => {}
            }
        });
    }
}

/// Ends with the body, or when nothing comes any more.
async fn discarded(mut body: Incoming) {
    let idle = Duration::from_millis(limits::LINGER_IDLE_MS);
    while let Ok(Some(Ok(_))) = tokio::time::timeout(idle, body.frame()).await {}
}
