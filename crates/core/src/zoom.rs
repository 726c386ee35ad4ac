//! What Zoom says about recordings: its signed events, which files of a meeting are taken, and what is kept of it.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::time::Millis;

/// An event of Zoom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Zoom asks whether this address is ours; the answer is the hash of this token.
    Validation {
        /// The text to hash.
        plain_token: String,
    },
    /// Recordings of a meeting are complete.
    Completed(Box<Completed>),
    /// Something that is not about recordings.
    Other,
}

/// Recordings that are complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// When it happened, in milliseconds; the same in a duplicate.
    pub event_ms: i64,
    /// The right to download, for 24 hours.
    pub token: Option<String>,
    /// The account.
    pub account: String,
    /// The meeting with its files.
    pub meeting: Meeting,
}

/// A meeting and its recordings, as an event or the API tells of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Meeting {
    /// Its name in the API; may hold `/` and `+`.
    pub uuid: String,
    /// The number that people type.
    #[serde(default)]
    pub id: Value,
    /// What it is called.
    #[serde(default)]
    pub topic: String,
    /// Who held it.
    #[serde(default)]
    pub host_id: String,
    /// The address of who held it.
    #[serde(default)]
    pub host_email: String,
    /// When it began, as RFC 3339 text.
    #[serde(default)]
    pub start_time: String,
    /// The time zone of the host.
    #[serde(default)]
    pub timezone: String,
    /// Minutes; can be 0.
    #[serde(default)]
    pub duration: i64,
    /// Its files.
    #[serde(default)]
    pub recording_files: Vec<File>,
}

/// One file of a recording. Captions and timelines lack most of the fields.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct File {
    /// Its name, if it has one.
    #[serde(default)]
    pub id: Option<String>,
    /// `MP4`, `M4A`, `TIMELINE`, `TRANSCRIPT`, `CHAT`, `CC` or `CSV`.
    #[serde(default)]
    pub file_type: String,
    /// Which view it shows, for example `shared_screen_with_speaker_view`.
    #[serde(default)]
    pub recording_type: Option<String>,
    /// Its length in bytes.
    #[serde(default)]
    pub file_size: Option<u64>,
    /// Where it is.
    #[serde(default)]
    pub download_url: Option<String>,
    /// `completed` or `processing`.
    #[serde(default)]
    pub status: Option<String>,
    /// When this file begins, as RFC 3339 text.
    #[serde(default)]
    pub recording_start: String,
    /// When it ends.
    #[serde(default)]
    pub recording_end: String,
}

/// A body that is no event of Zoom.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body is no event: {0}")]
pub struct Unreadable(String);

#[derive(Deserialize)]
struct Envelope {
    event: String,
    #[serde(default)]
    event_ts: i64,
    #[serde(default)]
    download_token: Option<String>,
    #[serde(default)]
    payload: Value,
}

/// Reads an event. One that we do not know is [`Event::Other`]: Zoom may send whatever was ticked in its form.
pub fn read(body: &[u8]) -> Result<Event, Unreadable> {
    let unreadable = |error: serde_json::Error| Unreadable(error.to_string());
    let envelope: Envelope = serde_json::from_slice(body).map_err(unreadable)?;
    match envelope.event.as_str() {
        "endpoint.url_validation" => {
            let token = envelope.payload["plainToken"].as_str();
            // The answer is a hash under the same key that signs events: it must never be made for a signed text.
            let token = token.filter(|token| is_plain(token));
            let token =
                token.ok_or_else(|| Unreadable("payload.plainToken is missing or no token".to_owned()))?;
            Ok(Event::Validation { plain_token: token.to_owned() })
        }
        "recording.completed" => {
            let meeting: Meeting =
                serde_json::from_value(envelope.payload["object"].clone()).map_err(unreadable)?;
            let account = envelope.payload["account_id"].as_str();
            let account = account.or_else(|| envelope.payload["object"]["account_id"].as_str());
            Ok(Event::Completed(Box::new(Completed {
                event_ms: envelope.event_ts,
                token: envelope.download_token,
                account: account.unwrap_or_default().to_owned(),
                meeting,
            })))
        }
        _ => Ok(Event::Other),
    }
}

fn is_plain(token: &str) -> bool {
    (1..=256).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.=+/".contains(&byte))
}

/// The bytes that Zoom has signed: the version, the header's time and the body as it came.
pub fn signed(timestamp: &str, body: &[u8]) -> Vec<u8> {
    [b"v0:", timestamp.as_bytes(), b":", body].concat()
}

/// Is the header's time (seconds) so near to now that the request can be an honest one? `window_ms` looks back; a
/// clock that is ahead of ours is forgiven [`crate::limits::ZOOM_AHEAD_MS`].
pub fn is_fresh(timestamp: &str, now: Millis, window_ms: i64) -> bool {
    let Some(at_ms) = timestamp.parse::<i64>().ok().and_then(|seconds| seconds.checked_mul(1_000)) else {
        return false;
    };
    let age_ms = now.since(Millis(at_ms));
    (-crate::limits::ZOOM_AHEAD_MS..=window_ms).contains(&age_ms)
}

/// A meeting's uuid in a path of the API. One with `/` is encoded twice, because it would end the path otherwise.
pub fn in_path(uuid: &str) -> String {
    if uuid.contains('/') { encoded(&encoded(uuid)) } else { encoded(uuid) }
}

/// Everything but letters, digits and `-._~` as `%XX`.
pub fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("because a String takes everything");
        }
    }
    out
}

impl File {
    /// What names it within its meeting: its id, else its type.
    pub fn key(&self) -> &str {
        self.id.as_deref().filter(|id| !id.is_empty()).unwrap_or(&self.file_type)
    }

    /// The view, as the configuration names it.
    fn view(&self) -> &str {
        self.recording_type.as_deref().unwrap_or_default()
    }

    fn is_media(&self) -> bool {
        matches!(self.file_type.as_str(), "MP4" | "M4A")
            && self.download_url.is_some()
            && self.status.as_deref().is_none_or(|status| status == "completed")
    }
}

impl Meeting {
    /// The files that are taken: those of the first view of `take` that the meeting has, or of all of them.
    pub fn taken(&self, take: &[String], every: bool) -> Vec<&File> {
        let of = |view: &String| {
            self.recording_files
                .iter()
                .filter(|file| file.is_media() && file.view() == view)
                .collect::<Vec<_>>()
        };
        let mut views = take.iter().map(of).filter(|files| !files.is_empty());
        if every { views.flatten().collect() } else { views.next().unwrap_or_default() }
    }

    /// The title of the video of a file.
    pub fn title(&self) -> String {
        let topic = self.topic.trim();
        let day = self.start_time.get(..10).unwrap_or_default();
        let plain = if topic.is_empty() { "Zoom meeting" } else { topic };
        let title = if day.is_empty() { plain.to_owned() } else { format!("{plain} ({day})") };
        title.chars().filter(|letter| !letter.is_control()).take(crate::limits::TITLE_CHARS_MAX).collect()
    }

    /// What is kept of a meeting with the video of one of its files.
    pub fn facts(&self, account: &str, file: &File) -> Value {
        json!({ "zoom": {
            "topic": self.topic,
            "host_email": self.host_email,
            "host_id": self.host_id,
            "start_time": self.start_time,
            "timezone": self.timezone,
            "duration_min": self.duration,
            "meeting_id": self.id,
            "meeting_uuid": self.uuid,
            "account_id": account,
            "recording_id": file.id,
            "recording_type": file.recording_type,
            "recording_start": file.recording_start,
            "recording_end": file.recording_end,
        } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Value {
        json!({
            "event": "recording.completed", "event_ts": 1_626_230_691_572_i64, "download_token": "abc",
            "payload": { "account_id": "acc", "object": {
                "uuid": "/a+b==", "id": 7, "topic": "Snow", "host_email": "ann@example.org", "host_id": "h",
                "start_time": "2026-11-20T10:00:00Z", "timezone": "Europe/Berlin", "duration": 0,
                "recording_files": [
                    { "id": "1", "file_type": "MP4", "recording_type": "gallery_view", "file_size": 5,
                      "download_url": "https://z/1", "status": "completed" },
                    { "id": "2", "file_type": "MP4", "recording_type": "speaker_view", "file_size": 5,
                      "download_url": "https://z/2", "status": "completed" },
                    { "id": "3", "file_type": "MP4", "recording_type": "speaker_view", "file_size": 5,
                      "download_url": "https://z/3", "status": "processing" },
                    { "file_type": "CC", "download_url": "https://z/4" },
                    { "file_type": "TIMELINE" }
                ]
            } }
        })
    }

    fn completed(event: &Value) -> Completed {
        let Event::Completed(completed) = read(event.to_string().as_bytes()).unwrap() else {
            panic!("{event}")
        };
        *completed
    }

    #[test]
    fn an_event_is_read_with_its_quirks() {
        let completed = completed(&event());
        assert_eq!((completed.token.as_deref(), completed.account.as_str()), (Some("abc"), "acc"));
        let keys: Vec<_> = completed.meeting.recording_files.iter().map(File::key).collect();
        assert_eq!(keys, ["1", "2", "3", "CC", "TIMELINE"]);
        let facts = completed.meeting.facts("acc", &completed.meeting.recording_files[0]);
        assert_eq!(
            (&facts["zoom"]["topic"], &facts["zoom"]["host_email"]),
            (&json!("Snow"), &json!("ann@example.org"))
        );
        assert_eq!(completed.meeting.title(), "Snow (2026-11-20)");
    }

    #[test]
    fn the_first_view_that_is_there_is_taken_or_all() {
        let meeting = completed(&event()).meeting;
        let take = ["shared_screen", "speaker_view", "gallery_view"].map(str::to_owned);
        let keys = |files: Vec<&File>| files.iter().map(|file| file.key().to_owned()).collect::<Vec<_>>();
        assert_eq!(keys(meeting.taken(&take, false)), ["2"], "the third is not complete");
        assert_eq!(keys(meeting.taken(&take, true)), ["2", "1"]);
        assert_eq!(keys(meeting.taken(&take[..1], true)), Vec::<String>::new());
    }

    #[test]
    fn other_bodies_are_told_apart() {
        let validation = br#"{"event":"endpoint.url_validation","payload":{"plainToken":"qgg"}}"#;
        assert_eq!(read(validation), Ok(Event::Validation { plain_token: "qgg".to_owned() }));
        assert_eq!(read(br#"{"event":"meeting.started"}"#), Ok(Event::Other));
        let signed = br#"{"event":"endpoint.url_validation","payload":{"plainToken":"v0:1700000000:{}"}}"#;
        assert!(read(signed).is_err(), "else everybody could have us sign events");
        for wrong in [
            &b"{"[..],
            b"{}",
            br#"{"event":"recording.completed"}"#,
            br#"{"event":"endpoint.url_validation"}"#,
        ] {
            assert!(read(wrong).is_err());
        }
    }

    #[test]
    fn a_request_is_fresh_within_its_window() {
        let now = Millis(1_700_000_000_000);
        for (timestamp, fresh) in [
            ("1700000000", true),
            ("1699994900", true),
            ("1699994899", false),
            ("1700000300", true),
            ("1700000301", false),
            ("1700000000000", false),
            ("", false),
            ("-9223372036854775808", false),
        ] {
            assert_eq!(is_fresh(timestamp, now, 5_100_000), fresh, "{timestamp}");
        }
    }

    #[test]
    fn a_uuid_with_a_slash_is_encoded_twice_in_a_path() {
        assert_eq!(in_path("a+b=="), "a%2Bb%3D%3D");
        assert_eq!(in_path("/a+b=="), "%252Fa%252Bb%253D%253D");
    }
}
