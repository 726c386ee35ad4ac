//! The probe job: looks at the source, decides what is made of it, and publishes a source that browsers can play.

mod as_is;
mod background;

use matinee_core::caption;
use matinee_core::id::{JobId, VideoId};
use matinee_core::job::retry::Class;
use matinee_core::job::{Kind, NewJob, OnDeath, Task};
use matinee_core::ledger;
use matinee_core::media::layout::{Layout, layout};
use matinee_core::media::rope::Rope;
use matinee_core::pipeline::{Pipeline, Template};
use matinee_core::plan::{self, Plan, Probe, Rendition, SoundCodec, Subtitle};
use matinee_core::step::After;
use matinee_core::time::Millis;
use matinee_core::video::Medium;
use matinee_io::db::{Caption, NewCaption, NewTrack, Probed, Shape, Stored, Video, VirtualSet};
use matinee_io::random;
use serde_json::json;

use super::coding::{anywhere, ffmpeg, keep, source, video};
use super::damage;
use super::early::{self, virtual_track};
use super::fault::Fault;
use super::intake;
use super::lease::Hold;
use super::look::{Looked, look};
use super::{gate, mark, now};
use crate::node::Node;

/// Looks at the source of a video and publishes what follows from it.
pub(crate) async fn perform(node: &Node, hold: &Hold) -> Result<(), Fault> {
    let video = video(node, hold).await?;
    let object = video.work.map_or_else(|| source(&video), Ok)?;
    let path = node.object_path(object)?;
    let Looked { probe, timeline, index } = look(ffmpeg(node)?, &path, &hold.stop).await?;
    let probe = match first_of(&video, hold.generation) {
        Some(first) => probe.rewritten_from(&first),
        None => probe,
    };
    let template = template(node, &video, hold.generation).await?;
    let pipeline = &template.pipeline;
    let anywhere = anywhere(node).await?;
    let mut plan = plan::plan(&probe, &timeline, pipeline, &anywhere)?;
    if plan.remux.is_some() && tried_to_rewrite(&video, hold.generation) {
        plan = plan::plan_whole(&probe, &timeline, pipeline, &anywhere)?;
    }
    short_enough(node, &video, plan.duration_us / 1_000).await?;
    mark::make(node, hold, pipeline, &plan).await?;
    let plan = gate::pass(node, hold, (&path, &probe, &timeline), pipeline, plan).await?;
    // The largest size may have gone, and with it the size of the mark.
    mark::make(node, hold, pipeline, &plan).await?;
    // A remake is served when it is whole; nobody waits for the source as it is. And where pictures are changed, what
    // everybody may see is another one than the source's.
    let is_remake = hold.generation != video.encoding;
    let shown = !is_remake
        && !pipeline.changes_pictures()
        && early::tail_was_true(node, &video).await.map_err(|failure| Fault::world(failure.to_string()))?;
    let layout = index.as_ref().filter(|_| shown).map(layout);
    if let Some(Err(unfit)) = &layout {
        tracing::info!(video = %video.id, %unfit, "the source is not playable as it is");
    }
    let virtual_set = match layout {
        Some(Ok(layout)) => Some(publishable(node, hold, layout).await?),
        Some(Err(_)) | None => None,
    };
    let as_is = pipeline.as_is && virtual_set.is_some();
    let plan = if as_is && plan.remux.is_some() {
        // It is not rewritten to be encoded; the still is looked for from its beginning.
        plan::plan_whole(&probe, &timeline, pipeline, &anywhere)?
    } else {
        plan
    };
    let ladder = if as_is { Vec::new() } else { ladder(&plan) };
    let jobs = match jobs((&video, pipeline), &plan, &ladder, hold) {
        jobs if as_is => as_is::left(jobs),
        jobs if is_remake => beside(jobs, words_are_missing(&node.db.captions(video.id).await?)),
        jobs => jobs,
    };
    let probed = Probed {
        duration_ms: u64::try_from(plan.duration_us / 1_000).unwrap_or_default(),
        probe: json!(probe),
        // What was wrong with the file that somebody brought in is wrong with its copy.
        damaged: damage::noted(&plan).or_else(|| video.damaged_of_copy(hold.generation).cloned()),
        bytes: if as_is { 0 } else { plan.estimate.output_bytes },
        plan: json!(plan),
        virtual_set,
        captions: if plan.remux.is_some() || is_remake { Vec::new() } else { captions(&plan) },
        ladder: if plan.remux.is_some() { Vec::new() } else { ladder },
        jobs,
        template,
        now: now(),
    };
    Ok(node.db.publish_probe(&hold.lease, probed).await?)
}

/// The one who announced the upload may have said how long its video may be.
async fn short_enough(node: &Node, video: &Video, duration_ms: i64) -> Result<(), Fault> {
    let upload = node.db.upload_of_video(video.app, video.id).await?;
    let Some(max_ms) = upload.and_then(|upload| upload.allowance.max_duration_ms) else { return Ok(()) };
    if u64::try_from(duration_ms).unwrap_or_default() <= max_ms {
        return Ok(());
    }
    let human =
        format!("The video is {} s long; at most {} s were allowed.", duration_ms / 1_000, max_ms / 1_000);
    Err(Fault::new(
        Class::Refusal,
        "too_long",
        human,
        "Cut the video, or ask for an upload that may be longer.",
    ))
}

/// The source was to be rewritten: that could not be done, or what came of it is no better.
fn tried_to_rewrite(video: &Video, generation: u32) -> bool {
    video.work.is_some() || video.plan_of(generation).is_some_and(|plan| !plan["remux"].is_null())
}

/// For a rewritten source: the probe of the file that somebody brought in.
fn first_of(video: &Video, generation: u32) -> Option<Probe> {
    video.work?;
    // A remake begins with what the generation before it found, as long as that keeps the rewritten source.
    let first = video.probe_of(generation).or(video.probe.as_ref())?;
    serde_json::from_value(first.clone()).ok()
}

/// By which pipeline this generation is made: what was settled before stays, else the newest version of its name counts.
async fn template(node: &Node, video: &Video, generation: u32) -> Result<Template, Fault> {
    if let Some(template) = intake::settled(node, video, generation).await? {
        return Ok(template);
    }
    intake::template(node, video.app, &video.pipeline).await?.ok_or_else(|| unknown(&video.pipeline))
}

fn unknown(name: &str) -> Fault {
    // Nothing is wrong with the source: the video waits until somebody has mended what is.
    Fault::new(
        Class::World,
        "unknown_pipeline",
        format!("This video is to be made by the pipeline `{name}`, which this server does not know."),
        "Put it back into the server's configuration, or write it with `matinee pipeline apply`; the video goes on by itself.",
    )
}

/// Stores the sidecar of a virtual layout and names its tracks.
async fn publishable(node: &Node, hold: &Hold, layout: Layout) -> Result<VirtualSet, Fault> {
    let mut rope: Rope<()> = Rope::new();
    rope.push_literal(layout.sidecar);
    let sidecar: Stored =
        keep(node, hold, ledger::Kind::Sidecar, rope, |(), _, _| unreachable!("no ranges")).await?;
    Ok(VirtualSet {
        sidecar,
        tracks: (0..).zip(layout.tracks).map(|(place, track)| virtual_track(place, track)).collect(),
    })
}

/// The tracks that will be encoded, the largest picture first, then the sound; those of the background follow.
fn ladder(plan: &Plan) -> Vec<NewTrack> {
    let picture = |(video, rendition): (&plan::Video, &Rendition)| {
        let rate = (video.rate.num, video.rate.den * rendition.every);
        let shape = Shape {
            width: Some(rendition.width),
            height: Some(rendition.height),
            rate: Some(rate),
            ..Shape::default()
        };
        (rendition.id.clone(), Medium::Video, shape)
    };
    let usual = plan.video.iter().flat_map(|video| video.renditions.iter().map(move |one| (video, one)));
    let behind = plan.video.iter().flat_map(|video| {
        video.background.iter().flat_map(|family| &family.renditions).map(move |one| (video, one))
    });
    let sound = |track: &plan::Track| {
        let shape = Shape {
            channels: Some(track.channels),
            language: Some(track.language.clone()),
            title: Some(track.title.clone()),
            ..Shape::default()
        };
        (track.id.clone(), Medium::Audio, shape)
    };
    let (aac, other): (Vec<_>, Vec<_>) = plan.audio.iter().partition(|track| track.codec == SoundCodec::Aac);
    let usual = usual.map(picture).chain(aac.into_iter().map(sound)).map(|one| (one, false));
    let behind = behind.map(picture).chain(other.into_iter().map(sound)).map(|one| (one, true));
    let track = |(place, ((name, medium, shape), background))| {
        let id = random::id();
        NewTrack { id, name, medium, place, background, shape }
    };
    (0..).zip(usual.chain(behind)).map(track).collect()
}

/// The subtitles of the source, also those that no text can be made of.
fn captions(plan: &Plan) -> Vec<NewCaption> {
    let streams = plan.subtitles.iter().flat_map(|subtitles| &subtitles.streams);
    let caption = |(place, stream): (u32, &Subtitle)| NewCaption {
        name: stream.id.clone(),
        place,
        language: stream.language.clone(),
        title: stream.title.clone(),
        forced: stream.forced,
        unsupported: (!stream.text).then(|| caption::unsupported(&stream.codec)),
    };
    (0..).zip(streams).map(caption).collect()
}

/// All jobs of a plan with what they wait for.
fn jobs(
    (video, pipeline): (&Video, &Pipeline),
    plan: &Plan,
    ladder: &[NewTrack],
    hold: &Hold,
) -> Vec<NewJob> {
    let id = video.id;
    let run_at = video.run_after.unwrap_or(Millis(0)).max(now());
    let new = |task: Task, weight: i64, needs: Vec<(JobId, OnDeath)>| NewJob {
        id: random::id(),
        app: hold.app,
        video: Some(id),
        load: plan.load(&task),
        task,
        prio: -i64::from(pipeline.priority),
        weight,
        run_at,
        needs,
        idem_key: None,
    };
    if plan.remux.is_some() {
        return vec![NewJob { run_at: now(), ..new(Task::Remux { video: id }, 0, Vec::new()) }];
    }
    let chunks = plan.video.iter().flat_map(|video| video.chunks.iter());
    let chunk = |number| Task::Chunk { video: id, chunk: number, family: 0 };
    let chunks = chunks.map(|one| new(chunk(one.number), weight(plan, one.number), Vec::new()));
    let mut jobs: Vec<NewJob> = chunks.collect();
    let sound = |track| {
        // Nobody waits for the other sounds, so that the main one of every video goes first.
        let weight = if track == 0 { 0 } else { behind(plan, track) };
        new(Task::Audio { video: id, track }, weight, Vec::new())
    };
    let usual = (0..).zip(&plan.audio).filter(|(_, track)| track.codec == SoundCodec::Aac);
    let sounds: Vec<NewJob> = usual.map(|(track, _)| sound(track)).collect();
    let needed = |job: &NewJob| (job.id, OnDeath::Kill);
    let main_sound: Vec<_> = sounds.first().map(needed).into_iter().collect();
    let pictures: Vec<_> = jobs.iter().map(needed).chain(main_sound.iter().copied()).collect();
    let file = |rendition, needs| new(Task::Assemble { video: id, rendition }, 0, needs);
    let of = |medium| ladder.iter().filter(move |track| track.medium == medium && !track.background);
    let mut assembled: Vec<_> = of(Medium::Video).map(|track| file(track.id, pictures.clone())).collect();
    // With a picture the main sound lies in its files.
    let alone = of(Medium::Audio).zip(&sounds).skip(usize::from(plan.video.is_some()));
    assembled.extend(alone.map(|(track, job)| file(track.id, vec![needed(job)])));
    let mut last: Vec<_> = assembled.iter().map(|job| (job.id, OnDeath::Release)).collect();
    jobs.extend(sounds);
    // In the background: nothing waits for it, and it takes what is whole.
    let sizes: Vec<_> = last.iter().copied().take(of(Medium::Video).count()).collect();
    let board = (!sizes.is_empty()).then(|| new(Task::Storyboard { video: id }, 0, sizes));
    jobs.extend(assembled);
    jobs.extend(board);
    if plan.images.poster.is_some() {
        let poster = new(Task::Poster { video: id }, 0, Vec::new());
        last.push((poster.id, OnDeath::Release));
        jobs.push(poster);
    }
    if plan.subtitles.iter().flat_map(|subtitles| &subtitles.streams).any(|stream| stream.text) {
        let subtitles = new(Task::Subtitles { video: id }, 0, Vec::new());
        last.push((subtitles.id, OnDeath::Release));
        jobs.push(subtitles);
    }
    let finish = new(Task::Finish { video: id, background: false }, 0, last);
    let besides = besides((id, pipeline), needed(&finish), |task, needs| new(task, 0, needs));
    jobs.push(finish);
    jobs.extend(besides);
    jobs.extend(background::jobs((id, main_sound), plan, ladder, new));
    debug_assert!(jobs.iter().all(|job| job.task.kind() != Kind::Probe));
    jobs
}

/// The jobs of what happens besides; `finish` is what those wait for that come when the video is ready.
fn besides(
    (video, pipeline): (VideoId, &Pipeline),
    finish: (JobId, OnDeath),
    new: impl Fn(Task, Vec<(JobId, OnDeath)>) -> NewJob,
) -> Vec<NewJob> {
    let needs = |after| if after == After::Ready { vec![finish] } else { Vec::new() };
    let steps = (0..).zip(&pipeline.steps);
    let steps = steps.map(|(number, step)| new(Task::Step { video, step: number }, needs(step.after)));
    let hosts = pipeline.publish.iter();
    let hosts = hosts.map(|host| new(Task::Publish { video, host: host.clone() }, vec![finish]));
    steps.chain(hosts).collect()
}

/// Is there text in the source of which no caption was made, though one can be?
fn words_are_missing(captions: &[Caption]) -> bool {
    captions
        .iter()
        .any(|one| !one.added && matches!(one.state, caption::State::Waiting | caption::State::Failed))
}

/// The jobs of a remake: pictures are made when it is served, and words only where they are not there already.
fn beside(mut jobs: Vec<NewJob>, words: bool) -> Vec<NewJob> {
    let is_later = |job: &NewJob| {
        let kind = job.task.kind();
        matches!(kind, Kind::Poster | Kind::Storyboard) || kind == Kind::Subtitles && !words
    };
    let is_finish = |job: &&NewJob| matches!(job.task, Task::Finish { background: false, .. });
    let Some(finish) = jobs.iter().find(is_finish).map(|job| job.id) else {
        return jobs;
    };
    let later: Vec<NewJob> = jobs.extract_if(.., |job| is_later(job)).collect();
    for job in &mut jobs {
        job.needs.retain(|(needed, _)| later.iter().all(|one| one.id != *needed));
    }
    // Nothing waits for words that are there.
    let pictures = later.into_iter().filter(|job| job.task.kind() != Kind::Subtitles);
    jobs.extend(pictures.map(|job| NewJob { needs: vec![(finish, OnDeath::Kill)], ..job }));
    jobs
}

/// The ramp of every video comes before everything else, then short videos.
fn weight(plan: &Plan, chunk: u32) -> i64 {
    const RAMP: u32 = 3;
    if chunk < RAMP { i64::from(chunk) } else { behind(plan, chunk) }
}

/// Behind everything that a viewer waits for.
fn behind(plan: &Plan, number: u32) -> i64 {
    const BEHIND_ALL_RAMPS: i64 = 1_000_000;
    BEHIND_ALL_RAMPS + plan.duration_us / 1_000 * 1_000 + i64::from(number)
}

#[cfg(test)]
mod tests {
    use matinee_core::id::Id;
    use matinee_core::job::load::Load;

    use super::*;

    #[test]
    fn a_remake_makes_words_only_where_they_are_missing() {
        let video = Id::from_bits(1);
        let job = |n, task: Task, needs: &[u128]| NewJob {
            id: Id::from_bits(n),
            app: Id::from_bits(9),
            video: Some(video),
            task,
            prio: 0,
            weight: 0,
            run_at: Millis(0),
            needs: needs.iter().map(|id| (Id::from_bits(*id), OnDeath::Release)).collect(),
            load: Load::default(),
            idem_key: None,
        };
        let made = |words| {
            let planned = vec![
                job(2, Task::Poster { video }, &[]),
                job(3, Task::Subtitles { video }, &[]),
                job(4, Task::Finish { video, background: false }, &[2, 3]),
            ];
            let jobs = beside(planned, words);
            jobs.iter().map(|job| (job.task.kind(), job.needs.len())).collect::<Vec<_>>()
        };
        assert_eq!(made(false), [(Kind::Finish, 0), (Kind::Poster, 1)]);
        // The video is not served before they are there, or cannot be made.
        assert_eq!(made(true), [(Kind::Subtitles, 0), (Kind::Finish, 1), (Kind::Poster, 1)]);
        let caption = |added, state| Caption {
            name: "s1".to_owned(),
            added,
            language: String::new(),
            title: String::new(),
            forced: false,
            state,
            reason: None,
            file: None,
        };
        for (state, missing) in [
            (caption::State::Waiting, true),
            (caption::State::Failed, true),
            (caption::State::Ready, false),
            (caption::State::Unsupported, false),
        ] {
            assert_eq!(words_are_missing(&[caption(false, state), caption(true, state)]), missing);
        }
        assert!(!words_are_missing(&[caption(true, caption::State::Failed)]));
    }
}
