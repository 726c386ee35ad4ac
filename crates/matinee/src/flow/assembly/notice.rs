//! The end of an assembly is told to who was named: a form with the status and its signature, again until it is taken.

use futures_util::future::join_all;
use matinee_core::assembly::{Notice, sign};
use matinee_core::webhook::limits::{CALL_MS, HOLD_MS};
use matinee_core::webhook::retry::{self, Answer, Fate, Outcome, Standing};
use matinee_io::db::assembly::{Assembly, Noticed};
use matinee_io::fetch::Post;
use matinee_io::random;

use super::{look, status};
use crate::flow::{Failure, Stopwatch, now};
use crate::node::Node;

/// So many are sent side by side: each is one connection for [`CALL_MS`] at most, well within the right to send it.
const SIDE_BY_SIDE: u32 = 16;
const _: () = assert!(HOLD_MS > 2 * CALL_MS.cast_signed(), "a right must outlast the call");

/// Sends what is due.
pub(super) async fn round(node: &Node) -> Result<(), Failure> {
    let now = now();
    let due = node.db.take_notices(&node.holder, (now, now.plus(HOLD_MS)), SIDE_BY_SIDE).await?;
    for sent in join_all(due.iter().map(|one| send(node, one))).await {
        sent?;
    }
    Ok(())
}

async fn send(node: &Node, of: &Assembly) -> Result<(), Failure> {
    let Some(url) = of.notify_url.clone() else { return Ok(()) };
    let took = Stopwatch::start();
    let (status, outcome) = match look(node, of).await {
        Ok(seen) => {
            let status = call(node, of, url, &status::document(node, of, &seen).to_string()).await;
            (status, Outcome::Sent(Answer { status, retry_after_ms: None }))
        }
        // It ends like one that was sent in vain, and keeps nobody back meanwhile.
        Err(failure) => {
            tracing::warn!(%failure, assembly = of.id, "what an assembly has come to cannot be told");
            (None, Outcome::Unsaid { again: failure.passes() })
        }
    };
    let random = u32::from_le_bytes(random::bytes());
    let attempt = of.notice_tries.saturating_add(1);
    let after = retry::ended(Standing::default(), attempt, &outcome, (now(), random));
    let (notice, next) = match after.fate {
        Fate::Delivered => (Notice::Delivered, None),
        Fate::Again(next) => (Notice::Waiting, Some(next)),
        Fate::Failed => (Notice::Failed, None),
    };
    let noticed = Noticed { notice, next, status, took_ms: took.elapsed_ms() };
    Ok(node.db.settle_notice(&of.id, &node.holder, noticed).await?)
}

/// The status that the receiver of the status of an assembly answers with, if it does.
async fn call(node: &Node, of: &Assembly, url: String, text: &str) -> Option<u16> {
    let signature = sign::sign(sign::Algorithm::Sha384, &sign::secret(&node.path_key, of.key), text);
    let body = format!("transloadit={}&signature={}", encoded(text), encoded(&signature));
    let headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
    node.fetch.call(&Post { url, headers, body }).await.map(|called| called.status).ok()
}

/// A value of a form.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("because writing to a String cannot fail");
        }
        out
    })
}
