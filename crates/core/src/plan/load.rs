//! What each job of a plan is expected to need.

use super::decide::AUDIO_SPEED;
use super::{Plan, SoundCodec, Track};
use crate::job::Task;
use crate::job::load::Load;

/// Of a video each second is rewritten or sampled in this many milliseconds.
const LIGHT_MS_PER_S: u64 = 2;
/// Starting a program, reading an index, taking one picture: nothing is shorter, in milliseconds.
const LEAST_MS: u64 = 300;
/// Decoding and scaling are a fifth of a ladder by software (`transcode.md` 15.1); an encoder in hardware does the rest.
pub const HARDWARE_SAVES: u64 = 4;
/// Resident bytes of a program that decodes no pictures.
const SOUND_BYTES: u64 = 64_000_000;

impl Plan {
    /// What this job of the plan is expected to need.
    pub fn load(&self, task: &Task) -> Load {
        let length_ms = self.duration_us.max(0).unsigned_abs() / 1_000;
        let sound_ms = length_ms / AUDIO_SPEED;
        let light_ms = LEAST_MS + length_ms * LIGHT_MS_PER_S / 1_000;
        let picture_bytes = self.estimate.memory_bytes;
        let of = |cost_ms, memory_bytes| Load { cost_ms, memory_bytes, engine: None };
        match task {
            Task::Chunk { chunk, family, .. } => {
                let pictures_ms = self.pictures_ms(*family, sound_ms);
                let video = self.video.as_ref();
                let engine = video.and_then(|video| video.engine).filter(|_| *family == 0);
                let share =
                    self.share(pictures_ms, *chunk) / if engine.is_some() { HARDWARE_SAVES } else { 1 };
                Load { cost_ms: LEAST_MS + share, memory_bytes: picture_bytes, engine }
            }
            Task::Audio { .. } => of(LEAST_MS + sound_ms, SOUND_BYTES),
            // One picture after the other and no encoder: a third of a chunk, which holds a whole look-ahead.
            Task::Poster { .. } => of(LEAST_MS, picture_bytes / 3),
            Task::Storyboard { .. } => of(light_ms, picture_bytes / 3),
            Task::Remux { .. } | Task::Subtitles { .. } | Task::Webm { .. } => of(light_ms, SOUND_BYTES),
            Task::Assemble { .. } => of(light_ms, 0),
            Task::Fetch { .. }
            | Task::Join { .. }
            | Task::Take { .. }
            | Task::Probe { .. }
            | Task::Finish { .. }
            | Task::Step { .. }
            | Task::Publish { .. }
            | Task::Erase { .. }
            | Task::Copy { .. } => Load::default(),
        }
    }

    /// What all chunks of a family need together; those of the background are taken as equal.
    fn pictures_ms(&self, family: u32, sound_ms: u64) -> u64 {
        let sounds = |background: bool| {
            let of = |track: &&Track| (track.codec != SoundCodec::Aac) == background;
            self.audio.iter().filter(of).count() as u64 * sound_ms
        };
        if family == 0 {
            return self.estimate.cpu_ms.saturating_sub(sounds(false));
        }
        let families = self.video.as_ref().map_or(1, |video| video.background.len().max(1)) as u64;
        self.estimate.background_cpu_ms.saturating_sub(sounds(true)) / families
    }

    /// What belongs to one chunk of what all of them need together.
    fn share(&self, all: u64, chunk: u32) -> u64 {
        let Some(video) = &self.video else { return 0 };
        let frames = video.chunks.get(chunk as usize).map_or(0, |chunk| chunk.frames);
        all.saturating_mul(frames) / video.frames.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::VideoId;
    use crate::plan::samples::{planned, timeline};

    #[test]
    fn the_chunks_of_a_video_share_its_estimate() {
        let plan = planned(&[], &timeline(1_500, 40_000, 50, 0));
        let video = VideoId::from_bits(1);
        let chunks = plan.video.as_ref().unwrap().chunks.len();
        let loads = (0..u32::try_from(chunks).unwrap())
            .map(|chunk| plan.load(&Task::Chunk { video, chunk, family: 0 }));
        let loads: Vec<_> = loads.collect();
        let all: u64 = loads.iter().map(|load| load.cost_ms - LEAST_MS).sum();
        let sound = plan.load(&Task::Audio { video, track: 0 }).cost_ms - LEAST_MS;
        assert!(
            all + sound <= plan.estimate.cpu_ms && all + sound + chunks as u64 + 1 > plan.estimate.cpu_ms
        );
        assert!(loads.iter().all(|load| load.memory_bytes == plan.estimate.memory_bytes));
        assert_eq!(plan.load(&Task::Probe { video }), Load::default(), "nobody knows before it is looked at");
    }
}
