//! `GET /v1/videos/{id}/playback`: where players find a video now.

use axum::Json;
use axum::extract::{Path, State};
use matinee_core::price::OWN;
use matinee_core::time::Millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::problem::{Code, Problem};
use super::request::{Caller, External};
use super::video::{arriving, only_at, playable, visible};
use super::view::{Addresses, Ask, Caption, HostAddresses, PlaceJudged, Problems, Reach, seconds, time};
use crate::flow::choice::{self, Places, Viewer};
use crate::flow::video::Whole;
use crate::flow::{play, publication};

/// Who asks, and for what.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// The place from which this viewer plays already: it is left only for one that is much better.
    place: Option<String>,
    /// 1: say for each place why it was chosen or not; nobody is counted as a viewer. For its owner.
    #[param(minimum = 0, maximum = 1, default = 0)]
    explain: Option<u8>,
}

/// Where players find a video at one place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlaceAddresses {
    /// The place: `matinee` is this server, else a host by its name in the configuration.
    place: String,
    /// The HLS playlist.
    hls: String,
    /// The DASH manifest, where there is one.
    dash: Option<String>,
    /// The addresses end at this moment, as RFC 3339 text; null when they are open.
    expires_at: Option<String>,
}

/// Where players find a video.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Playback {
    /// The place that `hls` and `dash` lead to, the first of `places`; everything else is of this server.
    place: String,
    /// Where the video can be played, in the order in which a player tries when one fails: the cheapest place that is well and has
    /// room comes first.
    places: Vec<PlaceAddresses>,
    /// What was thought of each place; null unless `explain` asks for it.
    explained: Option<Vec<PlaceJudged>>,
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
#[utoipa::path(get, path = "/v1/videos/{id}/playback", operation_id = "video_playback", tag = "videos", params(("id" = String, Path, description = "The video."), Asked), responses((status = 200, body = Playback), Problems))]
pub(crate) async fn show(
    State(node): State<Shared>,
    caller: Caller,
    external: External,
    Path(id): Path<String>,
    Ask(asked): Ask<Asked>,
) -> Result<Json<Playback>, Problem> {
    let explain = asked.explain.unwrap_or_default() == 1;
    let (playback, reason, (hosts, places, explained)) = match visible(&node, &caller, &id).await {
        Ok((whole, reach)) => {
            let failed = whole.video.state == matinee_core::video::State::Failed;
            let only = only_at(&node, &whole);
            let playback = if only.is_some() { None } else { playable(&node, &whole, reach).await? };
            let hosts = elsewhere(&node, &whole);
            let signed: Vec<&str> = hosts.iter().map(|one| one.host.as_str()).collect();
            let viewer = Viewer { at: asked.place.as_deref(), is_question: explain };
            let places = choice::places(&node, &whole, (playback.is_some(), &signed), viewer).await?;
            let explained = explain.then(|| explained(&node, &whole, reach, &places)).transpose()?;
            if let Some(host) = only {
                return Ok(Json(at_host(&whole, &host, (&places, explained, hosts))));
            }
            (playback, whole.video.reason.filter(|_| failed), (hosts, places, explained))
        }
        Err(problem) => {
            let upload = arriving(&node, &caller, &id).await?.ok_or(problem)?;
            (play::early(&node, upload.video).await?, None, (Vec::new(), Places::own(), None))
        }
    };
    let playback = playback.ok_or_else(|| match reason {
        Some(reason) => Problem::new(Code::VideoFailed, reason.human).fix(reason.fix),
        None => not_yet(),
    })?;
    let mut addresses = Addresses::of(&playback, &external);
    let places = placed(&places, (&addresses, playback.expires), &hosts);
    if let Some(chosen) = places.first().filter(|chosen| chosen.place != OWN) {
        addresses.hls.clone_from(&chosen.hls);
        addresses.dash = chosen.dash.clone().or(addresses.dash);
    }
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
        place: places.first().map_or_else(|| OWN.to_owned(), |chosen| chosen.place.clone()),
        places,
        explained,
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

/// Where a video is watched that hosts alone have; `host` is one of them.
fn at_host(
    whole: &Whole,
    host: &publication::Playback,
    (places, explained, hosts): (&Places, Option<Vec<PlaceJudged>>, Vec<HostAddresses>),
) -> Playback {
    let duration_ms = whole.video.duration_ms.unwrap_or_default();
    let expires = host.expires.unwrap_or_else(|| play::expires(duration_ms));
    let mut addresses = Addresses::at_host(host);
    let places = placed(places, (&addresses, expires), &hosts);
    if let Some(chosen) = places.first() {
        addresses.hls.clone_from(&chosen.hls);
        addresses.dash.clone_from(&chosen.dash);
    }
    Playback {
        place: places.first().map(|chosen| chosen.place.clone()).unwrap_or_default(),
        places,
        explained,
        addresses,
        duration: seconds(duration_ms),
        growing: false,
        expires_at: time(expires),
        captions: Vec::new(),
        chapters: None,
        downloads: Vec::new(),
        hosts,
    }
}

fn not_yet() -> Problem {
    Problem::new(Code::NotPlayableYet, "Nothing of this video can be played yet.")
}

/// The addresses of each place that can play the video, in the order of the choice.
fn placed(
    places: &Places,
    (own, expires): (&Addresses, Millis),
    hosts: &[HostAddresses],
) -> Vec<PlaceAddresses> {
    let one = |place: &str| {
        if place == OWN {
            let (hls, dash) = (own.hls.clone(), own.dash.clone());
            return Some(PlaceAddresses {
                place: OWN.to_owned(),
                hls,
                dash,
                expires_at: Some(time(expires)),
            });
        }
        let host = hosts.iter().find(|one| one.host == place)?;
        let (hls, dash, expires_at) = (host.hls.clone(), host.dash.clone(), host.expires_at.clone());
        Some(PlaceAddresses { place: place.to_owned(), hls, dash, expires_at })
    };
    places.playing().filter_map(one).collect()
}

/// Why each place was chosen or not. Only its owner learns where a video is not.
fn explained(
    node: &Shared,
    whole: &Whole,
    reach: Reach,
    places: &Places,
) -> Result<Vec<PlaceJudged>, Problem> {
    if reach != Reach::Owner {
        return Err(Problem::new(
            Code::Forbidden,
            "Only the owner of a video may ask why it plays from there.",
        )
        .fix("Ask without `explain`, or with a token of the app of the video."));
    }
    Ok(PlaceJudged::all(places, whole.video.app == node.defaults.app))
}

/// Where a video can be watched besides.
fn elsewhere(node: &Shared, whole: &Whole) -> Vec<HostAddresses> {
    let one = |one| Some(HostAddresses::of(one, &publication::playback(node, one)?));
    whole.publications.iter().filter_map(one).collect()
}
