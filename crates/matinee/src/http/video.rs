//! `/v1/videos`: list, show, change, delete, and what happened.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use matinee_core::access::Scope;
use matinee_core::id::VideoId;
use matinee_core::video::Policy;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::field::{moment, titled};
use super::patience::{is_known, says_what_it_knows, tag, tagged, wait_s};
use super::problem::Problem;
use super::request::{Caller, External};
use super::view::{
    Ask, Problems, Publication, Reach, Sent, Timeline, VIDEO_STATES, Video, VideoList, page_limit, parse_id,
    word_of,
};
use crate::flow::Failure;
use crate::flow::event::News;
use crate::flow::play::{self, Playback};
use crate::flow::publication;
use crate::flow::upload;
use crate::flow::video::{self, Wanted, Whole};

/// Which videos to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Only in this state: `processing`, `ready` or `failed`.
    state: Option<String>,
    /// Only with this text in the title, in whatever case.
    q: Option<String>,
    /// Only those made before this one: the `next` of the page before.
    before: Option<String>,
    /// At most so many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
}

/// What to change; what is missing stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// The new title.
    title: Option<String>,
    /// Who may watch: `app` or `public`.
    policy: Option<String>,
    /// Not before this moment is it encoded, as RFC 3339 text; an empty text: as soon as there is a slot.
    run_after: Option<String>,
}

const POLICIES: [(&str, Policy); 2] = [("app", Policy::App), ("public", Policy::Public)];

/// Lists videos, the newest first.
#[utoipa::path(get, path = "/v1/videos", operation_id = "video_list", tag = "videos", params(Which), responses((status = 200, body = VideoList), Problems))]
pub(crate) async fn list(
    State(node): State<Shared>,
    caller: Caller,
    external: External,
    Ask(which): Ask<Which>,
) -> Result<Json<VideoList>, Problem> {
    let app = caller.permit(Scope::VideoRead)?;
    let limit = page_limit(which.limit)?;
    let wanted = Wanted {
        state: word_of("state", which.state.as_deref(), &VIDEO_STATES)?,
        search: which.q.filter(|text| !text.trim().is_empty()),
        before: parse_id("before", which.before.as_deref())?,
        limit,
    };
    let all = video::list(&node, app, wanted).await?;
    let full = all.len() == limit as usize;
    let next = all.last().filter(|_| full).map(|whole| whole.video.id.to_string());
    let items = all.iter().map(|whole| seen(&node, &external, whole, Reach::Owner)).collect();
    Ok(Json(VideoList { items, next }))
}

/// What a reader sees of a video, with fresh addresses.
pub(super) fn seen(node: &Shared, external: &External, whole: &Whole, reach: Reach) -> Video {
    let playback = play::playback(node, whole, reach.into());
    let video = Video::of(whole, playback.as_ref(), external, reach);
    video.at_hosts(published(node, whole, reach)).watched_at(only_at(node, whole).as_ref())
}

/// Where a video is watched whose file is not ours.
pub(super) fn only_at(node: &Shared, whole: &Whole) -> Option<publication::Playback> {
    let mut all = whole.publications.iter().filter(|_| whole.video.source.is_none());
    all.find_map(|one| publication::playback(node, one))
}

/// What its owner sees of a video at hosts.
fn published(node: &Shared, whole: &Whole, reach: Reach) -> Vec<Publication> {
    let owned = whole.publications.iter().filter(|_| reach == Reach::Owner);
    let only = whole.video.source.is_none();
    let one = |one| Publication::of(one, publication::playback(node, one).as_ref(), &whole.away).only(only);
    owned.map(one).collect()
}

/// Loads a video for who may see it. Somebody without any right learns only of public videos; for all others the
/// answer is the same whether the video exists or not.
pub(super) async fn visible(node: &Shared, caller: &Caller, id: &str) -> Result<(Whole, Reach), Problem> {
    let permitted = caller.permit(Scope::VideoRead);
    let app = permitted.as_ref().ok().copied();
    let Ok(id) = id.parse::<VideoId>() else {
        return Err(permitted.err().unwrap_or_else(Problem::not_found));
    };
    match video::show(node, app, id).await {
        Ok(whole) if app == Some(whole.video.app) => Ok((whole, Reach::Owner)),
        Ok(whole) => Ok((whole, Reach::Viewer)),
        Err(Failure::Absent) => Err(permitted.err().unwrap_or_else(Problem::not_found)),
        Err(failure) => Err(failure.into()),
    }
}

/// How long to wait for a video.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Patience {
    /// Wait for so many seconds, at most 60: with `If-None-Match` until it is another than that, else until nobody works on it any
    /// more. What it is then is answered, whatever it is.
    #[param(minimum = 0, maximum = 60, default = 0)]
    wait: Option<u32>,
}

/// Shows a video; a public one to everybody. With the `ETag` of an earlier answer as `If-None-Match` it is 304 while nothing is new.
#[utoipa::path(get, path = "/v1/videos/{id}", operation_id = "video_show", tag = "videos", params(("id" = String, Path, description = "The video."), Patience, ("If-None-Match" = Option<String>, Header, description = "The `ETag` of what is known.")), responses((status = 200, body = Video), (status = 304, description = "Nothing is new."), Problems))]
pub(crate) async fn show(
    State(node): State<Shared>,
    caller: Caller,
    external: External,
    Path(id): Path<String>,
    Ask(patience): Ask<Patience>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut news = News::within(&node, wait_s(patience.wait)?);
    loop {
        news.look();
        let video = shown(&node, &caller, &external, &id).await?;
        let tag = tag(&video.to_compare());
        let known = is_known(&headers, &tag);
        let is_news = if says_what_it_knows(&headers) { !known } else { !video.is_in_work() };
        if is_news || !news.wait().await {
            return Ok(tagged(&tag, (!known).then_some(video)));
        }
    }
}

async fn shown(node: &Shared, caller: &Caller, external: &External, id: &str) -> Result<Video, Problem> {
    match visible(node, caller, id).await {
        Ok((whole, reach)) => {
            let playback = playable(node, &whole, reach).await?;
            let video = Video::of(&whole, playback.as_ref(), external, reach);
            Ok(video.at_hosts(published(node, &whole, reach)).watched_at(only_at(node, &whole).as_ref()))
        }
        Err(problem) => {
            let upload = arriving(node, caller, id).await?.ok_or(problem)?;
            let playback = play::early(node, upload.video).await?;
            let (publications, away) = publication::of_upload(node, &upload).await?;
            let publications = publications.iter().map(|one| Publication::of(one, None, &away).only(true));
            Ok(Video::arriving(&upload, playback.as_ref(), external).at_hosts(publications.collect()))
        }
    }
}

/// Where players find a video, also before its source was examined.
pub(super) async fn playable(
    node: &Shared,
    whole: &Whole,
    reach: Reach,
) -> Result<Option<Playback>, Problem> {
    match play::playback(node, whole, reach.into()) {
        None if whole.video.probe.is_none() => Ok(play::early(node, whole.video.id).await?),
        found => Ok(found),
    }
}

/// The upload of a video of the caller's app whose bytes are still on their way in.
pub(super) async fn arriving(
    node: &Shared,
    caller: &Caller,
    id: &str,
) -> Result<Option<upload::Upload>, Problem> {
    let (Ok(app), Ok(id)) = (caller.permit(Scope::VideoRead), id.parse()) else { return Ok(None) };
    match upload::arriving(node, app, id).await {
        Ok(upload) => Ok(Some(upload)),
        Err(Failure::Absent) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// Changes the title, or who may watch.
#[utoipa::path(patch, path = "/v1/videos/{id}", operation_id = "video_change", tag = "videos", params(("id" = String, Path, description = "The video.")), request_body = Change, responses((status = 200, body = Video), Problems))]
pub(crate) async fn change(
    State(node): State<Shared>,
    caller: Caller,
    external: External,
    Path(id): Path<String>,
    Sent(change): Sent<Change>,
) -> Result<Json<Video>, Problem> {
    let app = caller.permit(Scope::VideoWrite)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let title = change.title.as_deref().map(titled).transpose()?;
    let policy = word_of("policy", change.policy.as_deref(), &POLICIES)?;
    let run_after = match change.run_after.as_deref() {
        Some("") => Some(None),
        Some(text) => Some(Some(moment(text)?)),
        None => None,
    };
    if let Some(run_after) = run_after {
        video::put_off(&node, (app, id), run_after).await?;
    }
    let whole = video::change(&node, (app, id), title, policy).await?;
    Ok(Json(seen(&node, &external, &whole, Reach::Owner)))
}

/// Deletes a video: nobody can watch it any more, and all its bytes go.
#[utoipa::path(delete, path = "/v1/videos/{id}", operation_id = "video_delete", tag = "videos", params(("id" = String, Path, description = "The video.")), responses((status = 204, description = "It is deleted."), Problems))]
pub(crate) async fn delete(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let app = caller.permit(Scope::VideoWrite)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    video::delete(&node, app, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tells what happened to a video, the oldest first.
#[utoipa::path(get, path = "/v1/videos/{id}/timeline", operation_id = "video_timeline", tag = "videos", params(("id" = String, Path, description = "The video.")), responses((status = 200, body = Timeline), Problems))]
pub(crate) async fn timeline(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Timeline>, Problem> {
    let app = caller.permit(Scope::VideoRead)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    Ok(Json(Timeline::from(video::timeline(&node, app, id).await?)))
}
