//! `POST /upload`: a plain HTML form sends one file, without any script; what goes wrong is told as a page.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, StatusCode, header};
use matinee_core::access::Scope;
use matinee_core::id::{AppId, VideoId};
use matinee_core::upload::Way;
use multer::{Constraints, Field, Multipart, SizeLimit};

use super::Shared;
use super::pipeline;
use super::problem::{Code, Problem};
use super::request::Caller;
use crate::flow::upload::{self, Draft, Ended};

/// Everything around the file (its headers, other fields) has at most so many bytes.
const AROUND_BYTES_MAX: u64 = 64 * 1024;
/// The connection hands over pieces of at most this size, so the allowance ends within one of them.
const PIECE_BYTES_MAX: u64 = 256 * 1024;
const TOO_MUCH_AROUND: &str = "The form has too much around its file.";

/// Takes the file of a form and sends the browser to its video.
pub(crate) async fn receive(
    State(node): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match Box::pin(received(&node, &caller, &headers, body)).await {
        Ok(video) => (StatusCode::SEE_OTHER, [(header::LOCATION, format!("/v/{video}"))]).into_response(),
        Err(problem) => page_of(&problem),
    }
}

async fn received(
    node: &Shared,
    caller: &Caller,
    headers: &HeaderMap,
    body: Body,
) -> Result<VideoId, Problem> {
    let app = caller.permit(Scope::UploadWrite)?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(kind).map_err(|_| {
        Problem::new(Code::UnsupportedMediaType, "The form must be sent as multipart/form-data.")
    })?;
    let max_bytes = node.config.uploads.max_bytes;
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|len| len > max_bytes.saturating_add(AROUND_BYTES_MAX)) {
        return Err(too_large(max_bytes));
    }
    let allowance = Arc::new(AtomicU64::new(AROUND_BYTES_MAX + PIECE_BYTES_MAX));
    let body = Rationed { body: body.into_data_stream(), allowance: Arc::clone(&allowance), paused: false };
    let limit = SizeLimit::new().whole_stream(u64::MAX).per_field(u64::MAX);
    let mut form = Multipart::with_constraints(body, boundary, Constraints::new().size_limit(limit));
    let mut asked: Option<String> = None;
    while let Some(mut field) = form.next_field().await.map_err(|error| broken(&error))? {
        match field.file_name().map(str::to_owned) {
            Some(name) if !name.is_empty() => {
                let pipeline = pipeline::named(node, app, asked.as_deref()).await?;
                allowance.store(u64::MAX, Ordering::Relaxed);
                return taken(node, app, (&name, pipeline), field).await;
            }
            // It must come before the file, because the upload begins with that.
            None if field.name() == Some("pipeline") => {
                let text = field.text().await.map_err(|error| broken(&error))?;
                asked = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
            }
            // Another field, or the field of a file that nobody chose.
            Some(_) | None => while field.chunk().await.map_err(|error| broken(&error))?.is_some() {},
        }
    }
    Err(Problem::new(Code::BadRequest, "The form came without a file.")
        .fix("Choose a video file and send the form again."))
}

fn too_large(max_bytes: u64) -> Problem {
    Problem::new(
        Code::PayloadTooLarge,
        format!("The file is too large: this server takes at most {max_bytes} bytes."),
    )
}

fn broken(error: &multer::Error) -> Problem {
    let rationed =
        matches!(error, multer::Error::StreamReadFailed(cause) if cause.to_string() == TOO_MUCH_AROUND);
    if rationed {
        return Problem::new(Code::PayloadTooLarge, TOO_MUCH_AROUND)
            .fix("Send only the field with the file.");
    }
    Problem::new(Code::BadRequest, "The form broke off before its end.")
        .fix("Send it again; nothing was kept.")
}

/// Streams one file into an upload whose length is known at its end.
async fn taken(
    node: &Shared,
    app: AppId,
    (name, pipeline): (&str, String),
    field: Field<'_>,
) -> Result<VideoId, Problem> {
    let draft = Draft::new(node, app, upload::title_from(name), Way::Form);
    let opened = upload::create(node, Draft { pipeline, ..draft }).await?;
    let answer = match upload::append(node, app, &opened.key, 0, field).await {
        Ok(Ended::Stored { .. }) => match upload::complete(node, app, &opened.key).await {
            Ok(video) => return Ok(video),
            Err(failure) => Problem::from(failure),
        },
        Ok(Ended::TooLong { .. }) => too_large(node.config.uploads.max_bytes),
        Ok(Ended::Broken { .. } | Ended::Evicted { .. }) => {
            Problem::new(Code::BadRequest, "The file broke off before its end.")
                .fix("Send it again; with JavaScript switched on an upload goes on where it was.")
        }
        Err(failure) => failure.into(),
    };
    // A form cannot go on later, so what arrived is of no use.
    if let Err(error) = upload::terminate(node, app, &opened.key).await {
        tracing::warn!(%error, upload = %opened.id, "a broken form upload could not be given up; it expires");
    }
    Err(answer)
}

/// Hands out one piece at a time: the parser would else read ahead as fast as the network brings.
/// Ends with an error when the allowance is used up.
struct Rationed<S> {
    body: S,
    allowance: Arc<AtomicU64>,
    paused: bool,
}

impl<S, E> Stream for Rationed<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.paused) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Poll::Ready(next) = self.body.poll_next_unpin(cx) else { return Poll::Pending };
        self.paused = true;
        Poll::Ready(next.map(|piece| {
            let piece = piece.map_err(Into::into)?;
            let left = self.allowance.load(Ordering::Relaxed);
            match left.checked_sub(piece.len() as u64) {
                Some(_) if left == u64::MAX => Ok(piece),
                Some(left) => {
                    self.allowance.store(left, Ordering::Relaxed);
                    Ok(piece)
                }
                None => Err(TOO_MUCH_AROUND.into()),
            }
        }))
    }
}

/// A problem as a page for a person without a script.
fn page_of(problem: &Problem) -> Response {
    let (status, human, fix) = problem.told();
    let (human, fix) = (escaped(human), escaped(fix));
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>That did not work</title></head>\
         <body><main><h1>That did not work</h1><p>{human}</p><p>{fix}</p><p><a href=\"/\">Back</a></p></main>\
         </body></html>\n"
    );
    (status, Html(page)).into_response()
}

/// Text inside an HTML element or a quoted attribute.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(escaped("<a href='x\">&"), "&lt;a href=&#39;x&quot;&gt;&amp;");
        let page = page_of(&Problem::new(Code::BadRequest, "<script>").fix("<b>"));
        assert_eq!(page.status(), StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn a_problem_is_shown_with_its_way_out() {
        let page = page_of(&Problem::new(Code::BadRequest, "No <file>.").fix("Choose one."));
        let body = axum::body::to_bytes(page.into_body(), 10_000).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains("<p>No &lt;file&gt;.</p><p>Choose one.</p>"), "{body}");
    }

    async fn rationed(allowance: u64, pieces: usize) -> usize {
        let body = stream::iter((0..pieces).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 100]))));
        let mut body = Rationed { body, allowance: Arc::new(AtomicU64::new(allowance)), paused: false };
        let mut read = 0;
        while let Some(Ok(bytes)) = body.next().await {
            read += bytes.len();
        }
        read
    }

    #[tokio::test]
    async fn an_allowance_ends_exactly() {
        assert_eq!(rationed(200, 3).await, 200);
        assert_eq!(rationed(300, 3).await, 300);
        assert_eq!(rationed(u64::MAX, 3).await, 300);
    }

    #[tokio::test]
    async fn headers_without_an_end_are_refused() {
        let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 16_384])));
        let allowance = Arc::new(AtomicU64::new(AROUND_BYTES_MAX));
        let body = Rationed { body: endless, allowance, paused: false };
        let mut form = Multipart::new(body, "b");
        let error = form.next_field().await.unwrap_err();
        assert_eq!(page_of(&broken(&error)).status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
