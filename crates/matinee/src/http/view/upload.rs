//! Uploads as JSON.

use matinee_core::access::sender::Allowance;
use matinee_core::upload::{Phase, Way};
use matinee_core::video::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Reason, time};
use crate::flow::upload::Listed;
use crate::http::request::External;

/// The words for the states of an upload.
pub(crate) const STATES: [(&str, &str); 8] = [
    ("waiting", "waiting"),
    ("uploading", "uploading"),
    ("stalled", "stalled"),
    ("processing", "processing"),
    ("ready", "ready"),
    ("failed", "failed"),
    ("cancelled", "cancelled"),
    ("expired", "expired"),
];

/// An upload.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the API says upload_url, as tus clients do")]
pub(crate) struct Upload {
    /// The upload's id.
    id: String,
    /// The video that it becomes; its link works from the first second.
    video_id: String,
    /// `waiting`, `uploading`, `stalled` (bytes came, and then none for a minute), `processing`, `ready`, `failed`, `cancelled` or `expired`.
    pub(crate) state: &'static str,
    /// The title of the video.
    title: String,
    /// The length in bytes; null until it is known.
    size_bytes: Option<u64>,
    /// How many bytes have arrived and are safe.
    offset_bytes: u64,
    /// The collection into which the video goes.
    collection_id: String,
    /// The name that the app gave the video.
    external_id: Option<String>,
    /// What the app knows of the video.
    #[schema(value_type = Object)]
    metadata: Value,
    /// The pipeline by which its video is encoded.
    pipeline: String,
    /// The largest size that its sender may send.
    max_size_bytes: Option<u64>,
    /// The longest video that its sender may send, in seconds.
    max_duration_s: Option<u64>,
    /// Origins of sites whose pages may send it.
    allowed_origins: Vec<String>,
    /// How bytes come: `tus`, `form`, `path`, `url`, `zoom` or `bucket`.
    protocol: &'static str,
    /// Where bytes are sent: whoever has the address may send them. Null when they do not come by tus, and for those
    /// who may only watch.
    upload_url: Option<String>,
    /// It expires at this moment if nothing comes, as RFC 3339 text.
    expires_at: String,
    /// When it was created.
    created_at: String,
    /// Why it did not become a video: always there when it is `failed`, `cancelled` or `expired`.
    reason: Option<Reason>,
}

/// A page of uploads, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UploadList {
    /// The uploads; fewer than `limit` do not mean the end.
    pub(crate) items: Vec<Upload>,
    /// What to ask for next as `before`; null at the end.
    pub(crate) next: Option<String>,
}

/// The phases in which an upload can be whose state has this word.
pub(crate) fn phases(word: Option<&str>) -> &'static [Phase] {
    match word {
        Some("waiting" | "uploading" | "stalled") => &[Phase::Open],
        Some("processing" | "ready") => &[Phase::Finished],
        Some("failed") => &[Phase::Finished, Phase::Lost],
        Some("cancelled") => &[Phase::Cancelled, Phase::Finished],
        Some("expired") => &[Phase::Expired],
        Some(_) | None => &[],
    }
}

/// The word for an upload: its own phase, then the state of its video; one whose video was deleted is cancelled.
fn word(phase: Phase, (offset, stalled): (u64, bool), video: Option<State>) -> &'static str {
    match (phase, video) {
        (Phase::Open, _) if stalled => "stalled",
        (Phase::Open, _) if offset == 0 => "waiting",
        (Phase::Open, _) => "uploading",
        (Phase::Finished, Some(State::Processing)) => "processing",
        (Phase::Finished, Some(State::Ready)) => "ready",
        (Phase::Finished, Some(State::Failed)) | (Phase::Lost, _) => "failed",
        (Phase::Finished, None) | (Phase::Cancelled, _) => "cancelled",
        (Phase::Expired, _) => "expired",
    }
}

impl Upload {
    /// What people of its app see of an upload; its address only those who may send.
    pub(crate) fn of(listed: &Listed, external: Option<&External>) -> Self {
        let upload = &listed.upload;
        let video = listed.video.as_ref();
        // A part that is complete is still a piece of something that arrives.
        let phase = upload.state.phase();
        let phase = if phase == Phase::Finished && upload.is_partial() { Phase::Open } else { phase };
        let reason = upload.reason.as_ref().or_else(|| video.and_then(|video| video.reason.as_ref()));
        let deleted = upload.state.phase() == Phase::Finished && video.is_none();
        let Allowance { max_bytes, max_duration_ms, deadline: _, origins } = upload.allowance.clone();
        Self {
            id: upload.id.to_string(),
            video_id: upload.video.to_string(),
            state: word(phase, (upload.offset, listed.stalled), video.map(|video| video.state)),
            title: upload.title.clone(),
            size_bytes: upload.size,
            offset_bytes: upload.offset,
            collection_id: upload.collection.to_string(),
            external_id: upload.external_id.clone(),
            metadata: upload.facts.clone(),
            pipeline: upload.pipeline.clone(),
            max_size_bytes: max_bytes,
            max_duration_s: max_duration_ms.map(|ms| ms / 1_000),
            allowed_origins: origins,
            protocol: upload.way.name(),
            upload_url: external
                .filter(|_| matches!(upload.way, Way::Tus | Way::Resumable))
                .map(|external| external.url(&format!("/files/{}", upload.url_key))),
            expires_at: time(upload.expires),
            created_at: time(upload.created),
            reason: reason.map(Reason::from).or_else(|| deleted.then(video_deleted)),
        }
    }
}

fn video_deleted() -> Reason {
    Reason {
        code: "deleted".to_owned(),
        human: "The upload became a video, and the video was deleted.".to_owned(),
        fix: "Upload the file again if the video is still wanted.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: [Phase; 5] = [Phase::Open, Phase::Finished, Phase::Cancelled, Phase::Expired, Phase::Lost];

    #[test]
    fn every_word_is_found_in_the_phases_that_are_searched_for_it() {
        let videos = [None, Some(State::Processing), Some(State::Ready), Some(State::Failed)];
        for phase in PHASES {
            let arrived = [(0, false), (9, false), (9, true)];
            for (video, arrived) in
                videos.into_iter().flat_map(|video| arrived.map(|arrived| (video, arrived)))
            {
                let word = word(phase, arrived, video);
                assert!(phases(Some(word)).contains(&phase), "{word} {phase:?}");
                assert!(STATES.iter().any(|(known, _)| *known == word));
            }
        }
    }

    #[test]
    fn bytes_make_the_difference_between_waiting_and_uploading() {
        assert_eq!(word(Phase::Open, (0, false), None), "waiting");
        assert_eq!(word(Phase::Open, (1, false), None), "uploading");
        assert_eq!(word(Phase::Open, (1, true), None), "stalled");
    }
}
