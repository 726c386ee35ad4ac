//! The plan of a source that stays as it is: browsers can play it, and its pipeline wants no more of it.

use super::{Estimate, Plan};

impl Plan {
    /// The same without everything that would be encoded of pictures and sound. The still and the subtitles are made all the same.
    #[must_use]
    pub fn without_encoding(mut self) -> Self {
        // What is not encoded need not be made ready for it.
        self.remux = None;
        if let Some(video) = &mut self.video {
            video.renditions.clear();
            video.background.clear();
            video.chunks.clear();
            (video.engine, video.fallback) = (None, None);
        }
        self.audio.clear();
        self.judged.clear();
        self.estimate = Estimate { cpu_ms: 0, memory_bytes: 0, background_cpu_ms: 0, output_bytes: 0 };
        self
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::samples::{planned, timeline};

    #[test]
    fn nothing_is_encoded_and_nothing_costs_anything_but_the_still_is_made() {
        let plan = planned(&[], &timeline(1_500, 40_000, 66, 0));
        let left = plan.clone().without_encoding();
        let video = left.video.as_ref().unwrap();
        assert!(video.renditions.is_empty() && video.chunks.is_empty() && left.audio.is_empty());
        assert_eq!((left.estimate.cpu_ms, left.estimate.output_bytes), (0, 0));
        assert_eq!((&left.images, left.duration_us), (&plan.images, plan.duration_us));
        assert!(plan.estimate.cpu_ms > 0, "it would have cost something");
    }
}
