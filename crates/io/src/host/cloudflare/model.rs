//! Cloudflare's words: the envelope of every answer, and a video.

use matinee_core::host::{Fault, Standing, Usage};
use matinee_core::id::PublicationId;
use matinee_core::publication::besides::{Download, Making};
use matinee_core::time::Millis;
use serde::Deserialize;
use serde_json::Value;

use super::{HostError, Remote};

/// The key of the metadata that names the intent.
pub(super) const KEY: &str = "matinee_key";
/// Before our name for an intent, in the creator, by which the list can be filtered.
const CREATOR: &str = "matinee:";
/// Faults that are not the file's: the same bytes may do better.
const AGAIN: &[&str] = &["ERR_FETCH_ORIGIN_ERROR", "ERR_UNKNOWN"];

/// What stands around every answer.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<T> {
    #[serde(default = "Option::default")]
    result: Option<T>,
    #[serde(default)]
    errors: Vec<Message>,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

impl<T> Envelope<T> {
    /// What was asked for.
    pub(super) fn result(self) -> Result<T, HostError> {
        let words = self.words();
        self.result.ok_or_else(|| HostError::Again(words.unwrap_or_else(|| "it answers nothing".to_owned())))
    }

    /// The reason in Cloudflare's words; its numbers are not documented, so they are only shown.
    pub(super) fn words(&self) -> Option<String> {
        let words = self.errors.iter().map(|error| format!("{} ({})", error.message, error.code));
        Some(words.collect::<Vec<_>>().join("; ")).filter(|words| !words.is_empty())
    }
}

/// A video, as far as it is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Video {
    uid: String,
    #[serde(default)]
    creator: Option<String>,
    #[serde(default)]
    meta: Value,
    /// Seconds; -1 when unknown.
    #[serde(default)]
    duration: Option<f64>,
    #[serde(default)]
    size: Option<i64>,
    #[serde(default)]
    ready_to_stream: bool,
    #[serde(default)]
    status: State,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    #[serde(default)]
    #[serde(rename = "state")]
    word: String,
    /// A number as text.
    #[serde(default)]
    pct_complete: Option<Value>,
    /// The documentation writes `errReasonCode`, the service this.
    #[serde(default, alias = "errReasonCode")]
    error_reason_code: Option<String>,
    #[serde(default, alias = "errReasonText")]
    error_reason_text: Option<String>,
}

/// The creator of a video that is made for this intent.
pub(super) fn creator(key: PublicationId) -> String {
    format!("{CREATOR}{key}")
}

/// A video that the account does not know.
pub(super) fn gone(id: &str) -> Remote {
    let (key, duration_ms, bytes) = (None, None, None);
    Remote { id: id.to_owned(), key, standing: Standing::Gone, duration_ms, bytes, facts: Value::Null }
}

/// Reads a video; what is not read stays in its facts.
pub(super) fn remote(facts: Value) -> Result<Remote, HostError> {
    let video = Video::deserialize(&facts)
        .map_err(|error| HostError::Again(format!("it describes a video that cannot be read: {error}")))?;
    let named = video.creator.as_deref().and_then(|creator| creator.strip_prefix(CREATOR));
    let key = named.or_else(|| video.meta[KEY].as_str()).and_then(|key| key.parse().ok());
    Ok(Remote {
        key,
        standing: standing(&video),
        duration_ms: video.duration.and_then(milliseconds),
        bytes: video.size.and_then(|size| u64::try_from(size).ok()),
        id: video.uid,
        facts,
    })
}

fn standing(video: &Video) -> Standing {
    let percent = video.status.pct_complete.as_ref().and_then(percent);
    match video.status.word.as_str() {
        "pendingupload" => Standing::AwaitingUpload,
        "downloading" => Standing::Receiving(percent),
        "queued" => Standing::Queued,
        "inprogress" if !video.ready_to_stream => Standing::Processing(percent),
        "ready" if percent.is_none_or(|percent| percent == 100) => Standing::Ready,
        "inprogress" | "ready" => Standing::Playable(percent),
        "error" => {
            let code = video.status.error_reason_code.clone().unwrap_or_else(|| "ERR_UNKNOWN".to_owned());
            let text = video.status.error_reason_text.clone().unwrap_or_default();
            let again = AGAIN.contains(&code.as_str());
            Standing::Failed(Fault { code, text, again })
        }
        other => Standing::Unknown(other.to_owned()),
    }
}

/// What the account has used; it counts in minutes.
pub(super) fn usage(said: &Value, at: Millis) -> Usage {
    let seconds = |name: &str| said[name].as_f64().and_then(|minutes| milliseconds(minutes * 60.0));
    let seconds = |name: &str| seconds(name).map(|ms| ms / 1_000);
    Usage {
        stored_s: seconds("totalStorageMinutes").or(said["totalStorageMinutes"].as_f64().map(|_| 0)),
        limit_s: seconds("totalStorageMinutesLimit"),
        videos: said["videoCount"].as_u64(),
        at,
    }
}

/// How far the file of a video is.
pub(super) fn download(said: &Value) -> Result<Download, HostError> {
    let one = &said["default"];
    let state = match one["status"].as_str() {
        Some("ready") => Making::Ready,
        Some("error") => Making::Failed,
        Some(_) => Making::Making,
        None => return Err(HostError::Again("it does not say how far the file is".to_owned())),
    };
    Ok(Download { state, percent: percent(&one["percentComplete"]) })
}

/// A form with one file, and its media type. What stands between its parts does not occur in it.
pub(super) fn form(text: &str) -> (String, String) {
    let bound = format!("matinee-{}", blake3::hash(text.as_bytes()).to_hex());
    let head =
        "Content-Disposition: form-data; name=\"file\"; filename=\"captions.vtt\"\r\nContent-Type: text/vtt";
    let body = format!("--{bound}\r\n{head}\r\n\r\n{text}\r\n--{bound}--\r\n");
    (format!("multipart/form-data; boundary={bound}"), body)
}

/// Whole per cent of a text such as `39.000000`, or of a number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
fn percent(written: &Value) -> Option<u8> {
    let number = written.as_f64().or_else(|| written.as_str()?.parse().ok())?;
    number.is_finite().then(|| number.clamp(0.0, 100.0) as u8)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "no video has 500 million years")]
fn milliseconds(seconds: f64) -> Option<u64> {
    (seconds > 0.0 && seconds < 1e12).then(|| (seconds * 1_000.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_state_has_its_meaning() {
        let at = |state: &str, ready: bool, percent: Value| {
            let facts = json!({ "uid": "u", "readyToStream": ready, "status": { "state": state, "pctComplete": percent } });
            remote(facts).unwrap().standing
        };
        for (state, ready, percent, expected) in [
            ("pendingupload", false, Value::Null, Standing::AwaitingUpload),
            ("downloading", false, json!("12.5"), Standing::Receiving(Some(12))),
            ("queued", false, Value::Null, Standing::Queued),
            ("inprogress", false, json!("39.000000"), Standing::Processing(Some(39))),
            ("inprogress", true, json!("39.000000"), Standing::Playable(Some(39))),
            ("ready", true, json!("99.9"), Standing::Playable(Some(99))),
            ("ready", true, json!("100.000000"), Standing::Ready),
            ("ready", true, Value::Null, Standing::Ready),
            ("live-inprogress", true, Value::Null, Standing::Unknown("live-inprogress".to_owned())),
        ] {
            assert_eq!(at(state, ready, percent.clone()), expected, "{state} {ready} {percent}");
        }
    }

    #[test]
    fn a_fault_is_read_in_both_spellings() {
        for (code, text) in [("errorReasonCode", "errorReasonText"), ("errReasonCode", "errReasonText")] {
            let status = json!({ "state": "error", code: "ERR_NON_VIDEO", text: "not a video" });
            let standing = remote(json!({ "uid": "u", "status": status })).unwrap().standing;
            let fault =
                Fault { code: "ERR_NON_VIDEO".to_owned(), text: "not a video".to_owned(), again: false };
            assert_eq!(standing, Standing::Failed(fault));
        }
        let standing = remote(json!({ "uid": "u", "status": { "state": "error" } })).unwrap().standing;
        assert!(matches!(standing, Standing::Failed(fault) if fault.again));
    }

    #[test]
    fn minutes_that_are_used_are_told_in_seconds() {
        let told = |said: Value| {
            let usage = usage(&said, Millis(5));
            (usage.stored_s, usage.limit_s, usage.videos)
        };
        let said = json!({ "totalStorageMinutes": 12.5, "totalStorageMinutesLimit": 1_000, "videoCount": 3 });
        assert_eq!(told(said), (Some(750), Some(60_000), Some(3)));
        assert_eq!(told(json!({ "totalStorageMinutes": 0 })), (Some(0), None, None));
        assert_eq!(told(json!({})), (None, None, None));
    }

    #[test]
    fn the_intent_is_found_in_the_creator_or_the_metadata() {
        let key = PublicationId::new(Millis(5), [7; 10]);
        for facts in [
            json!({ "uid": "u", "creator": creator(key), "duration": 5.5, "size": 10 }),
            json!({ "uid": "u", "creator": null, "meta": { KEY: key }, "duration": 5.5, "size": 10 }),
        ] {
            let remote = remote(facts).unwrap();
            assert_eq!((remote.key, remote.duration_ms, remote.bytes), (Some(key), Some(5_500), Some(10)));
        }
        let unknown =
            remote(json!({ "uid": "u", "creator": "somebody", "duration": -1, "size": -1 })).unwrap();
        assert_eq!((unknown.key, unknown.duration_ms, unknown.bytes), (None, None, None));
    }
}
