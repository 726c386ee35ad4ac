//! Uploads as JSON.

use std::collections::BTreeMap;

use matinee_core::access::sender::Allowance;
use matinee_core::publication;
use matinee_core::upload::{Phase, Way};
use matinee_core::video::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Reason, time};
use crate::flow::upload::{self, Listed};
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
    /// How bytes come: `tus`, `form`, `path`, `url`, `zoom` or `bucket`; `direct` when they go straight to a host.
    protocol: &'static str,
    /// Where bytes are sent: whoever has the address may send them. Null when they do not come by tus, for those
    /// who may only watch, and while the host that they go to has not confirmed it.
    upload_url: Option<String>,
    /// What else is to be known of the host that the bytes go straight to, as long as they do.
    direct: Option<Direct>,
    /// It expires at this moment if nothing comes, as RFC 3339 text.
    expires_at: String,
    /// When it was created.
    created_at: String,
    /// Why it did not become a video: always there when it is `failed`, `cancelled` or `expired`.
    reason: Option<Reason>,
}

/// How an upload goes straight to a host.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Direct {
    /// The host by its name in the configuration.
    host: String,
    /// `waiting` (the host has not confirmed it) or `uploading`, while its bytes are not all there.
    #[schema(value_type = String)]
    state: publication::Phase,
    /// Since when the host does not answer, as RFC 3339 text; it goes on by itself when it does.
    stalled_since: Option<String>,
    /// How to send; null while there is no address, and for those who may only watch.
    tus: Option<Tus>,
}

/// How the host takes bytes, by tus 1.0.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tus {
    /// `upload_url` is the upload itself; else it is created there first, with `Upload-Length`, `headers` and `metadata`.
    created: bool,
    /// Headers that every request carries.
    headers: BTreeMap<String, String>,
    /// The header `Upload-Metadata` of the creation.
    metadata: String,
    /// Every request but the last has at least so many bytes ...
    chunk_min_bytes: u64,
    /// ... and at most so many ...
    chunk_max_bytes: u64,
    /// ... and a multiple of this.
    chunk_step_bytes: u64,
    /// The right to send ends at this moment, as RFC 3339 text: ask again for a fresh one. Null when it does not end by itself.
    expires_at: Option<String>,
}

impl Direct {
    fn of(direct: &upload::Direct, may_send: bool) -> Self {
        let tus = direct.target.as_ref().filter(|_| may_send).map(|target| Tus {
            created: target.created,
            headers: target.headers.iter().cloned().collect(),
            metadata: target.metadata.clone(),
            chunk_min_bytes: target.chunks.min_bytes,
            chunk_max_bytes: target.chunks.max_bytes,
            chunk_step_bytes: target.chunks.step_bytes,
            expires_at: target.expires.map(time),
        });
        Self {
            host: direct.publication.host.clone(),
            state: direct.publication.phase,
            stalled_since: direct.away.map(time),
            tus,
        }
    }
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
            upload_url: external.and_then(|external| address(listed, external)),
            direct: listed
                .direct
                .as_ref()
                .filter(|_| phase == Phase::Open)
                .map(|direct| Direct::of(direct, external.is_some())),
            expires_at: time(upload.expires),
            created_at: time(upload.created),
            reason: reason.map(Reason::from).or_else(|| deleted.then(video_deleted)),
        }
    }
}

/// Where the bytes of an upload are sent.
fn address(listed: &Listed, external: &External) -> Option<String> {
    match listed.upload.way {
        Way::Tus | Way::Resumable => Some(external.url(&format!("/files/{}", listed.upload.url_key))),
        Way::Direct => listed.direct.as_ref()?.target.as_ref().map(|target| target.url.clone()),
        Way::Form | Way::Path | Way::Url | Way::Zoom | Way::Bucket => None,
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
