//! One event as a message to one endpoint: what it says, how it is signed, how it is sent and what comes back.

use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use matinee_core::calendar::time;
use matinee_core::event::{Event, Topic};
use matinee_core::time::Millis;
use matinee_core::webhook::limits::MESSAGE_BYTES_MAX;
use matinee_core::webhook::retry::{Answer, retry_after_ms};
use matinee_core::webhook::{self, Try};
use matinee_io::db::Video;
use matinee_io::db::webhook::Webhook;
use matinee_io::fetch::Post;
use serde_json::{Value, json};
use sha2::Sha256;

use super::play::{self, Asker};
use super::whole::whole;
use super::{Failure, Stopwatch, now, told};
use crate::node::Node;

/// What is left out of a message that is too long, in this order; the API has all of it.
const LONG: [&str; 5] =
    ["/data/video/metadata", "/data/renditions", "/data/assets", "/data/steps", "/data/archive"];
/// What an event about a video is called begins so.
const OF_VIDEOS: &str = "video.";

/// How a message went.
pub(super) struct Sent {
    pub(super) tried: Try,
    pub(super) answer: Answer,
}

/// What a message says about an event: thin, but for a video where it lies besides, and all of one that is ready.
pub(super) async fn body(node: &Node, event: &Event) -> Result<String, Failure> {
    let mut data = bare(event);
    if event.topic.name().starts_with(OF_VIDEOS)
        && let Some(Value::Object(more)) = of_video(node, event).await?
        && let Value::Object(data) = &mut data
    {
        data.extend(more);
    }
    Ok(message(event.topic.name(), event.created, &data))
}

/// The same where the rest of it can never be made: what the event says by itself, and the reason.
pub(super) fn body_without(event: &Event, failure: &Failure) -> String {
    let mut data = bare(event);
    data["shortened"] = true.into();
    data["reason"] = failure.to_string().into();
    message(event.topic.name(), event.created, &data)
}

/// What an event says by itself.
fn bare(event: &Event) -> Value {
    json!({ "seq": event.seq, "app_id": event.app, "subject": event.subject, "payload": event.payload })
}

/// What a message of this type says.
pub(super) fn message(topic: &str, at: Millis, data: &Value) -> String {
    let mut whole = json!({ "type": topic, "timestamp": time(at), "data": data });
    for long in LONG {
        if whole.to_string().len() <= MESSAGE_BYTES_MAX {
            break;
        }
        if let Some(part) = whole.pointer_mut(long) {
            *part = Value::Null;
            whole["data"]["shortened"] = true.into();
        }
    }
    whole.to_string()
}

/// What is told of a video; `None` when it is deleted.
async fn of_video(node: &Node, event: &Event) -> Result<Option<Value>, Failure> {
    let Ok(id) = event.subject.parse() else { return Ok(None) };
    let Some(video) = node.db.video(event.app, id).await? else { return Ok(None) };
    let publications = node.db.publications(id).await?;
    let archived = node.db.archived(id, &node.config.archives()).await?;
    let mut told = json!({
        "video": told::facts(&video, video.generation),
        "publications": told::publications(node, &publications),
        "archive": told::archive(node, &archived),
    });
    let is_complete = matches!(event.topic, Topic::VideoReady | Topic::VideoRemade | Topic::VideoDistributed);
    if is_complete && let (Value::Object(told), Value::Object(all)) = (&mut told, all(node, video).await?) {
        told.extend(all);
    }
    Ok(Some(told))
}

/// Where it is played, what was made of it, and how long that took.
async fn all(node: &Node, video: Video) -> Result<Value, Failure> {
    let moments = node.db.timeline(video.app, video.id).await?;
    let whole = whole(node, video).await?;
    let playback = play::playback(node, &whole, Asker::Owner);
    let video = &whole.video;
    Ok(json!({
        "created_at": time(video.created),
        "playable_at": video.playable.map(time),
        "ready_at": video.ready.map(time),
        "playback": playback.as_ref().map(|playback| told::addresses(node, playback)),
        "assets": told::files(node, playback.as_ref()),
        "renditions": told::renditions(&whole),
        "steps": told::steps(&moments),
    }))
}

/// What stands in the header `webhook-signature`: one signature for each secret.
pub(super) fn signature(secrets: &[[u8; 32]], (id, timestamp_s): (&str, i64), body: &str) -> String {
    let text = webhook::signed(id, timestamp_s, body);
    let sign = |secret: &[u8; 32]| {
        let mut mac: Hmac<Sha256> = Hmac::new_from_slice(secret).expect("because a key may have any length");
        mac.update(text.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    };
    secrets.iter().map(sign).collect::<Vec<_>>().join(" ")
}

/// A message with its headers, signed now.
pub(super) fn post(url: &str, secrets: &[[u8; 32]], id: &str, body: String) -> Post {
    let timestamp_s = now().0.div_euclid(1_000);
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", timestamp_s.to_string()),
        ("webhook-signature", signature(secrets, (id, timestamp_s), &body)),
    ];
    Post { url: url.to_owned(), headers, body }
}

/// Sends a message to an endpoint; an answer or none, it is told how it went.
pub(super) async fn send(node: &Node, to: &Webhook, id: &str, body: String) -> Sent {
    let (at, took) = (now(), Stopwatch::start());
    let secrets: Vec<_> = to.secrets.signing(at).into_iter().map(|number| secret(node, to, number)).collect();
    let called = node.fetch.call(&post(&to.url, &secrets, id, body)).await;
    let took_ms = took.elapsed_ms();
    match called {
        Ok(called) => {
            let date = |text: &str| {
                let since = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
                i64::try_from(since.as_millis()).ok().map(Millis)
            };
            let retry_after_ms = called.retry_after.and_then(|text| retry_after_ms(&text, date, now()));
            Sent {
                answer: Answer { status: Some(called.status), retry_after_ms },
                tried: Try {
                    at,
                    took_ms,
                    status: Some(called.status),
                    answer: Some(shown(&called.answer)),
                    error: None,
                },
            }
        }
        Err(error) => Sent {
            answer: Answer::default(),
            tried: Try {
                at,
                took_ms,
                status: None,
                answer: None,
                error: Some(shown(error.to_string().as_bytes())),
            },
        },
    }
}

/// A secret of an endpoint.
pub(super) fn secret(node: &Node, of: &Webhook, number: u32) -> [u8; 32] {
    webhook::secret(&node.path_key, of.id, number)
}

/// What a stranger has answered, as text that every database and terminal takes.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().filter(|letter| !letter.is_control() || *letter == '\n').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        // The example of the specification's own libraries.
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let mut padded = [0; 32];
        // HMAC fills a short key with zeros.
        padded[..secret.len()].copy_from_slice(&secret);
        let about = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330);
        let wanted = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signature(&[padded], about, r#"{"test": 2432232314}"#), wanted);
        let two = signature(&[padded, [1; 32]], about, r#"{"test": 2432232314}"#);
        assert!(two.starts_with(&format!("{wanted} v1,")) && two.split(' ').count() == 2, "{two}");
    }

    #[test]
    fn a_message_stays_thin() {
        let short = message("video.ready", Millis(0), &json!({ "assets": [1] }));
        assert_eq!(
            short,
            r#"{"data":{"assets":[1]},"timestamp":"1970-01-01T00:00:00.000Z","type":"video.ready"}"#
        );
        let long = "x".repeat(MESSAGE_BYTES_MAX);
        let data = json!({ "video": { "id": "a", "metadata": long }, "assets": ["kept"] });
        let told: Value = serde_json::from_str(&message("video.ready", Millis(0), &data)).unwrap();
        assert_eq!(
            told["data"],
            json!({ "video": { "id": "a", "metadata": null }, "assets": ["kept"], "shortened": true })
        );
    }

    #[test]
    fn what_a_stranger_answers_is_text() {
        assert_eq!(shown(b"a\0b\x1b[31m\r\n\xff"), "ab[31m\n\u{fffd}");
    }
}
