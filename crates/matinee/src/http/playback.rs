//! `GET /v1/videos/{id}/playback`: where players find a video now.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::{Code, Problem};
use super::request::{Caller, External};
use super::video::{arriving, only_at, playable, visible};
use super::view::{Addresses, Caption, HostAddresses, Problems, seconds, time};
use crate::flow::video::Whole;
use crate::flow::{play, publication};

/// Where players find a video.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Playback {
    /// The addresses.
    #[serde(flatten)]
    addresses: Addresses,
    /// The length in seconds.
    duration: f64,
    /// More will follow: the playlist grows, and there is no DASH manifest yet.
    growing: bool,
    /// The addresses end at this moment, as RFC 3339 text; ask again before.
    expires_at: String,
    /// The words of the video that can be shown now.
    captions: Vec<Track>,
    /// The chapters, as a WebVTT file; null when there are none.
    chapters: Option<String>,
    /// Files to keep, the best first.
    downloads: Vec<Download>,
    /// The same video at hosts where it can be watched.
    hosts: Vec<HostAddresses>,
}

/// The words of a video in one language, ready to be shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Track {
    /// What they are.
    #[serde(flatten)]
    caption: Caption,
    /// Shown unless the viewer chooses otherwise.
    default: bool,
    /// The address of the WebVTT file.
    url: String,
}

/// A file to keep.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Download {
    /// The rendition, or `source`.
    id: String,
    /// What a person reads, for example `720p`.
    label: String,
    /// The address.
    url: String,
    /// The length in bytes.
    bytes: u64,
    /// The name under which it is saved.
    file_name: String,
}

/// Gives the addresses of a video, with a token that ends; a public video's to everybody.
#[utoipa::path(get, path = "/v1/videos/{id}/playback", operation_id = "video_playback", tag = "videos", params(("id" = String, Path, description = "The video.")), responses((status = 200, body = Playback), Problems))]
pub(crate) async fn show(
    State(node): State<Shared>,
    caller: Caller,
    external: External,
    Path(id): Path<String>,
) -> Result<Json<Playback>, Problem> {
    let (playback, reason, hosts) = match visible(&node, &caller, &id).await {
        Ok((whole, _)) if only_at(&node, &whole).is_some() => {
            return Ok(Json(at_host(&node, &whole)?));
        }
        Ok((whole, reach)) => {
            let failed = whole.video.state == matinee_core::video::State::Failed;
            let hosts = elsewhere(&node, &whole);
            (playable(&node, &whole, reach).await?, whole.video.reason.filter(|_| failed), hosts)
        }
        Err(problem) => {
            let upload = arriving(&node, &caller, &id).await?.ok_or(problem)?;
            (play::early(&node, upload.video).await?, None, Vec::new())
        }
    };
    let playback = playback.ok_or_else(|| match reason {
        Some(reason) => Problem::new(Code::VideoFailed, reason.human).fix(reason.fix),
        None => not_yet(),
    })?;
    let addresses = Addresses::of(&playback, &external);
    let downloads = playback.downloads.into_iter().map(|download| Download {
        id: download.id,
        label: download.label,
        url: external.url(&download.path),
        bytes: download.bytes,
        file_name: download.file_name,
    });
    let track = |offered: &play::Offered| Track {
        caption: Caption::of(&offered.caption),
        default: offered.default,
        url: external.url(&offered.path),
    };
    let captions = playback.captions.iter().map(track).collect();
    Ok(Json(Playback {
        captions,
        chapters: playback.chapters.as_deref().map(|path| external.url(path)),
        addresses,
        duration: playback.duration,
        growing: playback.growing,
        expires_at: time(playback.expires),
        downloads: downloads.collect(),
        hosts,
    }))
}

/// Where a video is watched that a host alone has.
fn at_host(node: &Shared, whole: &Whole) -> Result<Playback, Problem> {
    let host = only_at(node, whole).ok_or_else(not_yet)?;
    let duration_ms = whole.video.duration_ms.unwrap_or_default();
    Ok(Playback {
        addresses: Addresses::at_host(&host),
        duration: seconds(duration_ms),
        growing: false,
        expires_at: time(host.expires.unwrap_or_else(|| play::expires(duration_ms))),
        captions: Vec::new(),
        chapters: None,
        downloads: Vec::new(),
        hosts: elsewhere(node, whole),
    })
}

fn not_yet() -> Problem {
    Problem::new(Code::NotPlayableYet, "Nothing of this video can be played yet.")
}

/// Where a video can be watched besides.
fn elsewhere(node: &Shared, whole: &Whole) -> Vec<HostAddresses> {
    let one = |one| Some(HostAddresses::of(one, &publication::playback(node, one)?));
    whole.publications.iter().filter_map(one).collect()
}
