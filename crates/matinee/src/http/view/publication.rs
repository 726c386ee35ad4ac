//! Videos at hosts as JSON.

use matinee_core::publication::besides::{Besides, Making, Original};
use matinee_core::publication::{HandOver, Phase};
use matinee_core::time::Millis;
use serde::Serialize;
use utoipa::ToSchema;

use super::time::seconds;
use super::{Reason, time};
use crate::flow::publication as flow;

/// A video at a host.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Publication {
    /// Its id, which is written into the video at the host.
    id: String,
    /// The host by its name in the configuration.
    host: String,
    /// `waiting` (the host has not confirmed it), `uploading`, `processing`, `playable`, `ready` or `failed`.
    #[schema(value_type = String)]
    state: Phase,
    /// Per cent of what the host does, if it tells.
    percent: Option<u8>,
    /// Since when the host does not answer, as RFC 3339 text; it goes on by itself when it does. Null when all is well.
    stalled_since: Option<String>,
    /// The host's own name for it, once known.
    remote_id: Option<String>,
    /// Bytes that the host has of those that it is sent.
    sent_bytes: u64,
    /// Bytes that it is sent.
    size_bytes: Option<u64>,
    /// The length in seconds, as the host measured it.
    duration: Option<f64>,
    /// Bytes that are stored there, where the host tells.
    stored_bytes: Option<u64>,
    /// Why it failed.
    reason: Option<Reason>,
    /// `push` (its bytes are sent) or `pull` (the host fetches them); null until the host was asked.
    #[schema(value_type = Option<String>)]
    hand_over: Option<HandOver>,
    /// Why it is sent, where the host was to fetch it.
    pull_refused: Option<Reason>,
    /// Our captions that the host has, by language.
    captions: Vec<HostCaption>,
    /// The video as a file there, where that was asked for.
    download: Option<HostDownload>,
    /// `same` or `differs`: whether the host was given the bytes that our archive has; null where one of them does not tell.
    #[schema(value_type = Option<String>)]
    original: Option<Original>,
    /// The video is nowhere else, so it goes with the video only.
    only_place: bool,
    /// Where viewers find it there; null while it cannot be watched.
    playback: Option<HostAddresses>,
    /// When it was wanted, as RFC 3339 text.
    created_at: String,
    /// When its state changed last.
    updated_at: String,
    /// When the host told of it last.
    seen_at: Option<String>,
}

/// Captions that a host was given.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostCaption {
    /// The language as a tag.
    language: String,
    /// Why the host did not take them; null when it has them.
    refused: Option<String>,
}

/// A video as a file at a host.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostDownload {
    /// `making`, `ready` or `failed`.
    #[schema(value_type = String)]
    state: Making,
    /// Per cent of the work, if the host tells.
    percent: Option<u8>,
    /// Where it is, once it is there; signed as the other addresses are.
    url: Option<String>,
}

/// Where viewers find a video at a host; signed anew for each answer where the host has a key for that.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostAddresses {
    /// The host by its name in the configuration.
    pub(crate) host: String,
    /// The HLS playlist.
    pub(crate) hls: String,
    /// The DASH manifest, where the host has one.
    pub(crate) dash: Option<String>,
    /// The still picture.
    poster: String,
    /// A moving picture.
    preview: Option<String>,
    /// The length in seconds, as the host measured it.
    duration: Option<f64>,
    /// The addresses end at this moment, as RFC 3339 text; null when they are open.
    pub(crate) expires_at: Option<String>,
}

/// Which host a video is wanted at.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPublication {
    /// The host by its name in the configuration.
    pub(crate) host: String,
}

impl HostAddresses {
    pub(crate) fn of(publication: &flow::Publication, playback: &flow::Playback) -> Self {
        Self {
            host: publication.host.clone(),
            hls: playback.hls.clone(),
            dash: playback.dash.clone(),
            poster: playback.poster.clone(),
            preview: playback.preview.clone(),
            duration: publication.duration_ms.map(seconds),
            expires_at: playback.expires.map(time),
        }
    }
}

impl Publication {
    /// What its owner sees; `away` names the hosts that do not answer.
    pub(crate) fn of(
        one: &flow::Publication,
        playback: Option<&flow::Playback>,
        away: &[(String, Millis)],
    ) -> Self {
        let over = matches!(one.phase, Phase::Ready | Phase::Failed);
        let since = away.iter().find(|(host, _)| *host == one.host && !over).map(|(_, since)| *since);
        Self {
            id: one.id.to_string(),
            host: one.host.clone(),
            state: one.phase,
            percent: one.percent,
            stalled_since: since.map(time),
            remote_id: one.remote.clone(),
            sent_bytes: one.offset,
            size_bytes: one.size,
            duration: one.duration_ms.map(seconds),
            stored_bytes: one.bytes,
            reason: one.reason.as_ref().map(Reason::from),
            hand_over: one.hand_over,
            pull_refused: one.pull_refused.as_ref().map(Reason::from),
            captions: captions(&one.besides),
            download: one.besides.download.as_ref().map(|download| HostDownload {
                state: download.state,
                percent: download.percent,
                url: playback
                    .and_then(|playback| playback.file.clone())
                    .filter(|_| download.state == Making::Ready),
            }),
            original: one.besides.original,
            only_place: false,
            playback: playback.map(|playback| HostAddresses::of(one, playback)),
            created_at: time(one.created),
            updated_at: time(one.updated),
            seen_at: one.seen.map(time),
        }
    }

    /// The same, when the video may be nowhere else.
    pub(crate) const fn only(mut self, only: bool) -> Self {
        self.only_place = only;
        self
    }
}

fn captions(besides: &Besides) -> Vec<HostCaption> {
    let captions = besides.captions.iter();
    let captions = captions
        .map(|(language, put)| HostCaption { language: language.clone(), refused: put.refused.clone() });
    captions.collect()
}
