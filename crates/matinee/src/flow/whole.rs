//! A video with all that its page and its watchers are shown.

use matinee_core::breaker::Breaker;
use matinee_core::id::{AppId, VideoId};
use matinee_core::job::load::{self, Outlook, Share};
use matinee_core::limits::BACKGROUND_PRIO_MIN;
use matinee_core::time::Millis;
use matinee_core::video::{Policy, RenditionState, State};
use matinee_io::db::job::{Filter, Job};
use matinee_io::db::{Caption, Publication, Rendition, Video};

use super::roster::roster;
use super::{Failure, now, reach};
use crate::node::Node;
use crate::shelf::View;

/// No plan makes so many jobs: chunks of 12 hours and some files.
const JOBS_MAX: u32 = 20_000;

/// A video with all that its page shows.
pub(crate) struct Whole {
    pub(crate) video: Video,
    pub(crate) renditions: Vec<Rendition>,
    pub(crate) captions: Vec<Caption>,
    /// What there is of it at hosts.
    pub(crate) publications: Vec<Publication>,
    /// The hosts that do not answer, and since when; known when something of it waits for a host.
    pub(crate) away: Vec<(String, Millis)>,
    /// Its jobs; none when nothing of it is being made any more, because nobody asks then.
    pub(crate) jobs: Vec<Job>,
    /// The length of the source in bytes.
    pub(crate) source_bytes: u64,
    /// When it will be done, while it is being worked on.
    pub(crate) outlook: Option<Outlook>,
}

/// One video, if somebody of `app` may see it; without an app only what is public.
pub(crate) async fn show(node: &Node, app: Option<AppId>, id: VideoId) -> Result<Whole, Failure> {
    let video = node.db.video_any(id).await?.filter(|video| permitted(video, app));
    whole(node, video.ok_or(Failure::Absent)?).await
}

/// May somebody of `app` see it? Without an app only what is public.
fn permitted(video: &Video, app: Option<AppId>) -> bool {
    video.deleted.is_none() && (app == Some(video.app) || video.policy == Policy::Public)
}

/// Loads what belongs to a video.
pub(super) async fn whole(node: &Node, video: Video) -> Result<Whole, Failure> {
    let renditions = node.db.renditions(video.id).await?;
    let captions = node.db.captions(video.id).await?;
    let publications = published(node, video.id).await?;
    let away = if publications.is_empty() { Vec::new() } else { away(node).await? };
    let jobs = match video.state {
        State::Ready if video.is_encoded_again() => jobs(node, video.app, video.id).await?,
        State::Ready if !renditions.iter().any(|one| is_open(&video, one)) => Vec::new(),
        State::Processing | State::Failed | State::Ready => jobs(node, video.app, video.id).await?,
    };
    // Only its host knows when a video will be done that is made there.
    let outlook = match (video.state, video.duration_ms.filter(|_| video.source.is_some())) {
        (State::Processing, Some(duration_ms)) => outlook(node, &video, duration_ms, &jobs).await?,
        (State::Processing | State::Ready | State::Failed, _) => None,
    };
    let size = match video.source {
        Some(source) => reach::size(node, source).await.map_err(|error| Failure::Again(error.to_string()))?,
        None => None,
    };
    Ok(Whole {
        video,
        renditions,
        captions,
        publications,
        away,
        jobs,
        source_bytes: size.unwrap_or_default(),
        outlook,
    })
}

/// What there is of a video at hosts; a server without hosts need not look.
async fn published(node: &Node, video: VideoId) -> Result<Vec<Publication>, Failure> {
    if node.hosts.all().is_empty() { Ok(Vec::new()) } else { Ok(node.db.publications(video).await?) }
}

/// The hosts that do not answer, and since when.
pub(super) async fn away(node: &Node) -> Result<Vec<(String, Millis)>, Failure> {
    let rows = node.db.hosts().await?;
    let away = rows.into_iter().filter_map(|row| match row.breaker {
        Breaker::Open { since, .. } => Some((row.name, since)),
        Breaker::Closed => None,
    });
    Ok(away.collect())
}

/// When a video will be done, by its jobs and by what lies before them.
async fn outlook(
    node: &Node,
    video: &Video,
    duration_ms: u64,
    jobs: &[Job],
) -> Result<Option<Outlook>, Failure> {
    let view = match node.lookout.last() {
        Some(view) => view,
        None => node.lookout.remember(view(node).await?),
    };
    // A video is ready without what is made in the background.
    let needed = jobs.iter().filter(|job| job.prio < BACKGROUND_PRIO_MIN && job.generation == video.encoding);
    let share = |job: &Job| {
        let kind = job.task.as_ref()?.kind();
        let expected_ms = view.expect_ms(kind, job.cost_ms);
        Some(Share { kind, state: job.state, done: job.far().done, expected_ms, started: job.started })
    };
    let shares: Vec<_> = needed.filter_map(share).collect();
    let waits = video.run_after.map_or(0, |at| u64::try_from(at.since(now())).unwrap_or_default());
    let outlook = load::outlook(&shares, (view.slots, view.ahead_ms(video.id)), duration_ms, now());
    Ok(outlook.map(|outlook| Outlook { left_ms: outlook.left_ms.saturating_add(waits), ..outlook }))
}

async fn view(node: &Node) -> Result<View, Failure> {
    let roster = roster(node).await?;
    let kinds = roster.paces.iter().map(|(_, kind, _)| *kind);
    let paces = kinds.map(|kind| (kind, roster.pace(None, kind))).collect();
    Ok(View { paces, slots: roster.chunk_slots().max(1), queue: node.db.queue().await? })
}

/// Is something of a video that is ready still being made?
pub(super) async fn in_background(node: &Node, video: &Video) -> Result<bool, Failure> {
    let planned = video.plan.as_ref().and_then(|plan| plan.get("video")?.get("background"));
    if video.state != State::Ready || planned.is_none() {
        return Ok(false);
    }
    Ok(node.db.renditions(video.id).await?.iter().any(|one| is_open(video, one)))
}

/// Will more of a rendition of the background come?
fn is_open(video: &Video, one: &Rendition) -> bool {
    one.generation == video.encoding
        && one.background
        && matches!(one.state, RenditionState::Waiting | RenditionState::Encoding)
}

/// The jobs of a video.
pub(super) async fn jobs(node: &Node, app: AppId, video: VideoId) -> Result<Vec<Job>, Failure> {
    let filter = Filter { app: Some(app), video: Some(video), state: None, before: None, limit: JOBS_MAX };
    Ok(node.db.jobs(&filter).await?)
}
