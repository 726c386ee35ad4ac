//! Bunny's words: its videos and its answers. An unknown number of a state is work that goes on.

use matinee_core::host::{Fault, Standing};
use matinee_core::id::PublicationId;
use serde::Deserialize;
use serde_json::Value;

use super::{HostError, Remote};

/// Before our name for an intent, in the title.
const MARK: &str = "[mtn:";

/// A video, as far as it is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Video {
    pub(super) guid: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    status: i64,
    /// Whole seconds.
    #[serde(default)]
    length: u64,
    #[serde(default)]
    available_resolutions: Option<String>,
    #[serde(default)]
    encode_progress: Option<f64>,
    #[serde(default)]
    storage_size: Option<u64>,
    #[serde(default)]
    transcoding_messages: Option<Vec<Message>>,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    level: i64,
    #[serde(default)]
    message: Option<String>,
}

/// The answer to everything that returns no video.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    #[serde(default)]
    pub(super) success: Option<bool>,
    #[serde(default)]
    pub(super) message: Option<String>,
}

/// A page of videos.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    pub(super) total_items: u64,
    pub(super) items: Vec<Value>,
}

/// The body of a webhook.
#[derive(Debug, Deserialize)]
pub(super) struct Hook {
    #[serde(rename = "VideoLibraryId")]
    pub(super) library: u64,
    #[serde(rename = "VideoGuid")]
    pub(super) video: String,
}

/// A title that tells for which intent the video was made.
pub(super) fn marked(title: &str, key: PublicationId) -> String {
    format!("{title} {MARK}{key}]")
}

/// The intent that a title tells of.
fn key_in(title: &str) -> Option<PublicationId> {
    title.strip_suffix(']')?.rsplit_once(MARK)?.1.parse().ok()
}

/// A video that the library does not know.
pub(super) fn gone(id: &str) -> Remote {
    let (key, duration_ms, bytes) = (None, None, None);
    Remote { id: id.to_owned(), key, standing: Standing::Gone, duration_ms, bytes, facts: Value::Null }
}

/// Reads a video; what is not read stays in its facts.
pub(super) fn remote(facts: Value) -> Result<Remote, HostError> {
    let video = Video::deserialize(&facts)
        .map_err(|error| HostError::Again(format!("it describes a video that cannot be read: {error}")))?;
    Ok(Remote {
        key: video.title.as_deref().and_then(key_in),
        standing: standing(&video),
        duration_ms: (video.length > 0).then_some(video.length.saturating_mul(1_000)),
        bytes: video.storage_size,
        id: video.guid,
        facts,
    })
}

/// What a number of the API means; those of webhooks are others (specs/hosts 5.1).
fn standing(video: &Video) -> Standing {
    let plays = video.available_resolutions.as_deref().is_some_and(|list| !list.trim().is_empty());
    let percent = video.encode_progress.map(percent);
    match video.status {
        0 => Standing::AwaitingUpload,
        1 => Standing::Queued,
        3 if plays => Standing::Playable(percent),
        2 | 3 | 7 => Standing::Processing(percent),
        // Playlists for encoding on request: no later number is promised.
        4 | 8 => Standing::Ready,
        code @ (5 | 6) => Standing::Failed(Fault {
            code: if code == 5 { "error" } else { "upload_failed" }.to_owned(),
            text: worst(video),
            again: code == 6,
        }),
        other => Standing::Unknown(other.to_string()),
    }
}

/// The last of the gravest messages.
fn worst(video: &Video) -> String {
    let messages = video.transcoding_messages.iter().flatten();
    let worst = messages.filter(|message| message.message.is_some()).max_by_key(|message| message.level);
    worst.and_then(|message| message.message.clone()).unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
fn percent(progress: f64) -> u8 {
    progress.clamp(0.0, 100.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use matinee_core::time::Millis;
    use serde_json::json;

    fn at(status: i64, resolutions: Option<&str>) -> Standing {
        let facts = json!({ "guid": "g", "status": status, "availableResolutions": resolutions, "encodeProgress": 40 });
        remote(facts).unwrap().standing
    }

    #[test]
    fn every_number_of_the_api_has_its_meaning() {
        let fault =
            |code: &str, again| Standing::Failed(Fault { code: code.to_owned(), text: String::new(), again });
        for (status, resolutions, expected) in [
            (0, None, Standing::AwaitingUpload),
            (1, None, Standing::Queued),
            (2, None, Standing::Processing(Some(40))),
            (3, None, Standing::Processing(Some(40))),
            (3, Some(""), Standing::Processing(Some(40))),
            (3, Some("360p"), Standing::Playable(Some(40))),
            (4, Some("360p,720p"), Standing::Ready),
            (5, None, fault("error", false)),
            (6, None, fault("upload_failed", true)),
            (7, None, Standing::Processing(Some(40))),
            (8, None, Standing::Ready),
            (9, None, Standing::Unknown("9".to_owned())),
            (-1, None, Standing::Unknown("-1".to_owned())),
        ] {
            assert_eq!(at(status, resolutions), expected, "{status} {resolutions:?}");
        }
    }

    #[test]
    fn a_title_tells_the_intent_whatever_stands_before_it() {
        let key = PublicationId::new(Millis(5), [7; 10]);
        for title in ["Film", "", "Film [mtn:x] of [mtn:"] {
            let facts = json!({ "guid": "g", "title": marked(title, key) });
            assert_eq!(remote(facts).unwrap().key, Some(key), "{title}");
        }
        for other in ["Film", "Film [mtn:pub_1]", "[mtn:]"] {
            assert_eq!(key_in(other), None, "{other}");
        }
    }

    #[test]
    fn the_gravest_message_says_why_it_failed() {
        let facts = json!({ "guid": "g", "status": 5, "length": 12, "storageSize": 9, "transcodingMessages": [
            { "level": 1, "message": "slow" }, { "level": 3, "message": "no picture" }, { "level": 3 } ] });
        let remote = remote(facts).unwrap();
        assert!(matches!(remote.standing, Standing::Failed(fault) if fault.text == "no picture"));
        assert_eq!((remote.duration_ms, remote.bytes), (Some(12_000), Some(9)));
    }
}
