//! A message whose answer is wanted: the status, when to come again, and the beginning of what is said.

use std::time::Duration;

use http::header;
use matinee_core::webhook::limits;

use super::{Body, Fetch, FetchError, Post};

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// The status.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
    /// The beginning of the body, as far as it came in time.
    pub answer: Vec<u8>,
}

impl Fetch {
    /// Sends a message and reads the beginning of the answer, all within the time that a call may take. It is followed nowhere.
    pub async fn call(&self, post: &Post) -> Result<Called, FetchError> {
        let patience = Duration::from_millis(limits::CALL_MS);
        let mut late = std::pin::pin!(tokio::time::sleep(patience));
        let (response, driver) = tokio::select! {
            posted = self.posted(post) => posted?,
            () = &mut late => {
                return Err(FetchError::Broken(format!("no answer came within {} s", patience.as_secs())));
            }
        };
        let (status, headers) = (response.status().as_u16(), response.headers());
        let retry_after = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(str::to_owned);
        let mut body = Body { incoming: response.into_body(), _driver: driver };
        let (mut answer, mut read) = (Vec::new(), 0);
        // The status is what counts: a body that is cut, rests or is endless does not change it.
        while read < limits::ANSWER_BYTES_MAX {
            let next = tokio::select! {
                next = body.next() => next,
                () = &mut late => break,
            };
            let Ok(Some(bytes)) = next else { break };
            let room = limits::ANSWER_KEPT_BYTES.saturating_sub(answer.len());
            answer.extend_from_slice(&bytes[..bytes.len().min(room)]);
            read += bytes.len();
        }
        Ok(Called { status, retry_after, answer })
    }
}
