//! Zoom says that recordings are complete: checked, written down with their jobs in one transaction, and answered.

use hmac::{Hmac, KeyInit as _, Mac as _};
use matinee_core::hash::{hex, unhex};
use matinee_core::pull::Place;
use matinee_core::upload::Way;
use matinee_core::zoom::{self, Completed, Event, File};
use matinee_io::db::{NewPull, ZoomEvent};
use sha2::Sha256;

use super::intake::{self, Draft, Source};
use super::{Failure, now};
use crate::node::Node;

/// What Zoom is answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// This address is ours: the token and its hash.
    Validated { plain: String, encrypted: String },
    /// It is written down.
    Taken,
}

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ZoomFailure {
    /// This server has nothing to do with Zoom.
    #[error("Zoom is not configured")]
    Absent,
    /// It is not signed by Zoom, or too long ago.
    #[error("{0}")]
    Forged(&'static str),
    /// It is signed and cannot be read.
    #[error(transparent)]
    Unreadable(#[from] zoom::Unreadable),
    /// The world failed; Zoom sends it again.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Hears an event. Nothing is fetched here: Zoom waits 3 seconds for its answer.
pub(crate) async fn hear(
    node: &Node,
    (signature, timestamp): (Option<&str>, Option<&str>),
    body: &[u8],
) -> Result<Heard, ZoomFailure> {
    let config = &node.config.zoom;
    let secret = config.secret_token.reveal();
    if secret.is_empty() {
        return Err(ZoomFailure::Absent);
    }
    let (Some(signature), Some(timestamp)) = (signature, timestamp) else {
        return Err(ZoomFailure::Forged("The event has no signature."));
    };
    if !is_signed(secret, signature, &zoom::signed(timestamp, body)) {
        return Err(ZoomFailure::Forged("The signature of the event is wrong."));
    }
    if !zoom::is_fresh(timestamp, now(), config.window.ms) {
        return Err(ZoomFailure::Forged("The event was signed too long ago."));
    }
    match zoom::read(body)? {
        Event::Validation { plain_token } => {
            let encrypted = hex(&mac(secret, plain_token.as_bytes()).finalize().into_bytes());
            Ok(Heard::Validated { plain: plain_token, encrypted })
        }
        Event::Completed(completed) => {
            take(node, &completed).await?;
            Ok(Heard::Taken)
        }
        Event::Other => Ok(Heard::Taken),
    }
}

async fn take(node: &Node, completed: &Completed) -> Result<(), Failure> {
    let config = &node.config.zoom;
    let wanted = completed.meeting.taken(&config.take, config.every);
    let files = wanted.into_iter().map(|file| (file.key().to_owned(), pull(node, completed, file)));
    let event = ZoomEvent {
        account: completed.account.clone(),
        meeting: completed.meeting.uuid.clone(),
        event: "recording.completed",
        event_ms: completed.event_ms,
        files: files.collect(),
        now: now(),
    };
    let taken = node.db.zoom_event(&event).await?;
    tracing::info!(meeting = event.meeting, files = event.files.len(), taken, "Zoom told of a recording");
    Ok(())
}

fn pull(node: &Node, completed: &Completed, file: &File) -> NewPull {
    let (meeting, account) = (&completed.meeting, &completed.account);
    let draft = Draft {
        facts: meeting.facts(account, file),
        size: file.file_size.filter(|size| *size > 0),
        pipeline: node.config.zoom.pipeline.clone(),
        ..Draft::new(node, node.defaults.app, meeting.title(), Way::Zoom)
    };
    let source = Source {
        draft,
        url: file.download_url.clone().unwrap_or_default(),
        bearer: completed.token.clone(),
        place: Some(Place::Zoom {
            account: account.clone(),
            meeting: meeting.uuid.clone(),
            file: file.key().to_owned(),
            size_bytes: file.file_size.filter(|size| *size > 0),
        }),
        idem_key: None,
    };
    intake::pull(node, source)
}

fn mac(secret: &str, text: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::new_from_slice(secret.as_bytes()).expect("because a key may have any length");
    mac.update(text);
    mac
}

/// Compared in a time that says nothing of where the difference is.
fn is_signed(secret: &str, signature: &str, text: &[u8]) -> bool {
    let wanted = signature.strip_prefix("v0=").and_then(unhex);
    wanted.is_some_and(|wanted| mac(secret, text).verify_slice(&wanted).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_raw_bytes() {
        // RFC 4231, test case 2.
        let known = "v0=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let text = b"what do ya want for nothing?";
        assert!(is_signed("Jefe", known, text));
        for (secret, signature, text) in [
            ("jefe", known, &text[..]),
            ("Jefe", known, b"what do ya want for nothing? "),
            ("Jefe", &known[3..], text),
            ("Jefe", &known[..65], text),
            ("Jefe", "v0=", text),
            ("Jefe", "v0=zz", text),
        ] {
            assert!(!is_signed(secret, signature, text), "{signature}");
        }
        assert_eq!(format!("v0={}", hex(&mac("Jefe", text).finalize().into_bytes())), known);
    }
}
