//! What lies before the videos that wait: looked at every few seconds at most, however many watch.

use std::sync::{Arc, Mutex, PoisonError};

use matinee_core::id::VideoId;
use matinee_core::job::Kind;
use matinee_core::job::load::Pace;
use matinee_core::limits;
use matinee_io::clock::Stopwatch;
use matinee_io::db::job::Queued;

/// What an estimate of the end of a video is made of.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// What each kind takes, of all nodes together.
    pub(crate) paces: Vec<(Kind, Pace)>,
    /// Chunks that are encoded at once.
    pub(crate) slots: u32,
    /// Chunks that wait, by video.
    pub(crate) queue: Vec<Queued>,
}

impl View {
    /// What a job of this kind and cost takes, in milliseconds; 0 when nobody knows.
    pub(crate) fn expect_ms(&self, kind: Kind, cost_ms: u64) -> u64 {
        let pace = self.paces.iter().find(|(known, _)| *known == kind).map(|(_, pace)| *pace);
        pace.unwrap_or_default().expect_ms(cost_ms).unwrap_or_default()
    }

    /// What goes before the chunks of a video, in milliseconds.
    pub(crate) fn ahead_ms(&self, video: VideoId) -> u64 {
        let mine = self.queue.iter().filter(|queued| queued.video == video);
        let Some(last) = mine.map(|queued| (queued.prio, queued.weight)).max() else { return 0 };
        let before = self.queue.iter().filter(|queued| queued.video != video);
        let before = before.filter(|queued| (queued.prio, queued.weight) < last);
        self.expect_ms(Kind::Chunk, before.map(|queued| queued.cost_ms).sum())
    }
}

/// The last view.
#[derive(Debug, Default)]
pub(crate) struct Lookout(Mutex<Option<(Stopwatch, Arc<View>)>>);

impl Lookout {
    /// The last view, unless it is too old.
    pub(crate) fn last(&self) -> Option<Arc<View>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, view) = kept.as_ref()?;
        (since.elapsed_ms() < limits::QUEUE_REMEMBERED_MS).then(|| Arc::clone(view))
    }

    /// Remembers a view.
    pub(crate) fn remember(&self, view: View) -> Arc<View> {
        let view = Arc::new(view);
        let kept = (Stopwatch::start(), Arc::clone(&view));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_claimed_before_a_video_lies_before_it() {
        let queued =
            |video, prio, weight, cost_ms| Queued { video: VideoId::from_bits(video), prio, weight, cost_ms };
        let queue =
            vec![queued(1, 0, 50, 100), queued(2, 0, 40, 7), queued(3, -1, 90, 30), queued(4, 1, 1, 1_000)];
        let pace = Pace { jobs: 1, cost_ms: 10, took_ms: 20 };
        let view = View { paces: vec![(Kind::Chunk, pace)], slots: 2, queue };
        assert_eq!(view.ahead_ms(VideoId::from_bits(1)), 74, "a shorter one, and one of a higher priority");
        assert_eq!(view.ahead_ms(VideoId::from_bits(3)), 0);
        assert_eq!(view.ahead_ms(VideoId::from_bits(9)), 0, "it does not wait");
    }
}
