//! The jobs of what nobody waits for: other codecs of the same pictures, their sound, and WebM.

use matinee_core::id::{JobId, VideoId};
use matinee_core::job::{NewJob, OnDeath, Task};
use matinee_core::limits::BACKGROUND_PRIO;
use matinee_core::plan::{Codec, Plan, SoundCodec};
use matinee_core::video::Medium;
use matinee_io::db::NewTrack;

use super::weight;

/// What a job waits for.
pub(super) type Needs = Vec<(JobId, OnDeath)>;

/// They wait for each other, and for the job of the main sound where pictures are heard with that; `new` makes a job of the
/// video `id`.
pub(super) fn jobs(
    (id, main_sound): (VideoId, Needs),
    plan: &Plan,
    ladder: &[NewTrack],
    new: impl Fn(Task, i64, Needs) -> NewJob,
) -> Vec<NewJob> {
    let Some(video) = plan.video.as_ref().filter(|video| !video.background.is_empty()) else {
        return Vec::new();
    };
    let new = |task: Task, weight: i64, needs: Needs| {
        let job = new(task, weight, needs);
        NewJob { prio: job.prio + BACKGROUND_PRIO, ..job }
    };
    let file = |track: &NewTrack, needs| new(Task::Assemble { video: id, rendition: track.id }, 0, needs);
    let needed = |job: &NewJob| (job.id, OnDeath::Kill);
    let tracks = |medium| ladder.iter().filter(move |track| track.background && track.medium == medium);
    let mut jobs = Vec::new();
    let sounds = (0..).zip(&plan.audio).filter(|(_, track)| track.codec != SoundCodec::Aac);
    for ((number, _), track) in sounds.zip(tracks(Medium::Audio)) {
        let sound = new(Task::Audio { video: id, track: number }, weight(plan, number), Vec::new());
        let file = file(track, vec![needed(&sound)]);
        jobs.extend([sound, file]);
    }
    // The main sound's own file is there before it is copied into those of the pictures.
    let sound: Needs = jobs.get(1).map(needed).into_iter().collect();
    let mut pictures = tracks(Medium::Video);
    for (family, kin) in (1..).zip(&video.background) {
        let chunk = |chunk: u32| Task::Chunk { video: id, chunk, family };
        let chunks =
            video.chunks.iter().map(|one| new(chunk(one.number), weight(plan, one.number), Vec::new()));
        let chunks: Vec<NewJob> = chunks.collect();
        let heard = if kin.codec.sound() == SoundCodec::Opus { &sound } else { &main_sound };
        let needs: Needs = chunks.iter().map(needed).chain(heard.iter().copied()).collect();
        jobs.extend(chunks);
        let files = pictures.by_ref().take(kin.renditions.len());
        let files: Vec<(&NewTrack, NewJob)> =
            files.map(|track| (track, file(track, needs.clone()))).collect();
        let best = files.first().filter(|_| kin.codec == Codec::Vp9);
        let webm = best
            .map(|(track, file)| new(Task::Webm { video: id, rendition: track.id }, 0, vec![needed(file)]));
        jobs.extend(files.into_iter().map(|(_, file)| file).chain(webm));
    }
    let last = jobs.iter().map(|job| (job.id, OnDeath::Release)).collect();
    jobs.push(new(Task::Finish { video: id, background: true }, 0, last));
    jobs
}
