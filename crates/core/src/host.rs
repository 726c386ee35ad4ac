//! A video at a host: what the host's states mean to us, when it is asked next and when it is overdue.
//!
//! Nothing here is fatal because it is unknown: a word that we do not know counts as work that goes on.

use serde::{Deserialize, Serialize};

use crate::limits::{
    HOST_ASK_FIRST_MS, HOST_ASK_MAX_MS, HOST_ENCODE_GRACE_MS, HOST_ENCODE_TIMES, HOST_TARGET_GRACE_MS,
};
use crate::time::Millis;

/// What a host says of a video, in our words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The host waits for the first byte.
    AwaitingUpload,
    /// Bytes arrive there, so many per cent of them if it says so.
    Receiving(Option<u8>),
    /// All bytes are there; nothing is done yet.
    Queued,
    /// It is encoded, so many per cent of it if the host says so.
    Processing(Option<u8>),
    /// One quality plays; more are made.
    Playable(Option<u8>),
    /// All that was asked for is there.
    Ready,
    /// The host will not make a video of it.
    Failed(Fault),
    /// The host does not know it, or no longer.
    Gone,
    /// The host says a word that we do not know.
    Unknown(String),
}

/// What a host says that is used of what was paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Seconds of video that are stored or reserved there.
    pub stored_s: Option<u64>,
    /// The most that may be, in seconds.
    pub limit_s: Option<u64>,
    /// Videos there, whoever put them there.
    pub videos: Option<u64>,
    /// When it said so.
    pub at: Millis,
}

/// Why a host failed a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The host's own code.
    pub code: String,
    /// The host's own sentence; can be empty.
    pub text: String,
    /// Whether the same bytes may do better another time.
    pub again: bool,
}

impl Standing {
    /// Does the host go on by itself, so that it must be asked again?
    pub const fn goes_on(&self) -> bool {
        match self {
            Self::AwaitingUpload
            | Self::Receiving(_)
            | Self::Queued
            | Self::Processing(_)
            | Self::Playable(_)
            | Self::Unknown(_) => true,
            Self::Ready | Self::Failed(_) | Self::Gone => false,
        }
    }

    /// May viewers be sent there?
    pub const fn plays(&self) -> bool {
        matches!(self, Self::Playable(_) | Self::Ready)
    }

    /// Until when this state is nothing out of the ordinary. Afterwards the host is asked once more by itself: only its
    /// answer can fail a video, never a clock.
    pub fn due(
        &self,
        since: Millis,
        target_expires: Option<Millis>,
        duration_ms: Option<u64>,
    ) -> Option<Millis> {
        match self {
            Self::AwaitingUpload => Some(target_expires.unwrap_or(since).plus(HOST_TARGET_GRACE_MS)),
            Self::Receiving(_) | Self::Queued | Self::Processing(_) | Self::Unknown(_) => {
                let length_ms = i64::try_from(duration_ms.unwrap_or_default()).unwrap_or(i64::MAX);
                let work_ms =
                    length_ms.saturating_mul(HOST_ENCODE_TIMES).saturating_add(HOST_ENCODE_GRACE_MS);
                Some(Millis(since.0.saturating_add(work_ms)))
            }
            Self::Playable(_) | Self::Ready | Self::Failed(_) | Self::Gone => None,
        }
    }
}

/// How long after an answer the same video is asked for again, after `unchanged` answers in a row that said the same:
/// 30 s, then half as long again each time, at most 15 minutes.
pub fn ask_again_ms(unchanged: u32) -> i64 {
    let mut wait_ms = HOST_ASK_FIRST_MS;
    for _ in 0..unchanged {
        wait_ms = (wait_ms + wait_ms / 2).min(HOST_ASK_MAX_MS);
    }
    wait_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Standing> {
        let fault = Fault { code: "ERR".to_owned(), text: String::new(), again: false };
        vec![
            Standing::AwaitingUpload,
            Standing::Receiving(None),
            Standing::Queued,
            Standing::Processing(Some(3)),
            Standing::Playable(Some(50)),
            Standing::Ready,
            Standing::Failed(fault),
            Standing::Gone,
            Standing::Unknown("warming-up".to_owned()),
        ]
    }

    #[test]
    fn what_goes_on_is_asked_again_and_what_is_over_is_not() {
        let on: Vec<bool> = all().iter().map(Standing::goes_on).collect();
        assert_eq!(on, [true, true, true, true, true, false, false, false, true]);
        let plays: Vec<bool> = all().iter().map(Standing::plays).collect();
        assert_eq!(plays, [false, false, false, false, true, true, false, false, false]);
    }

    #[test]
    fn a_state_is_overdue_by_the_length_of_its_video() {
        let since = Millis(1_000_000);
        let due = |standing: Standing, expires, length| standing.due(since, expires, length).map(|due| due.0);
        let quarter_ms = 15 * 60_000;
        assert_eq!(
            due(Standing::AwaitingUpload, Some(Millis(9_000_000)), None),
            Some(9_000_000 + quarter_ms)
        );
        assert_eq!(due(Standing::AwaitingUpload, None, None), Some(1_000_000 + quarter_ms));
        let hour_ms = 3_600_000;
        assert_eq!(due(Standing::Queued, None, Some(600_000)), Some(1_000_000 + 1_800_000 + hour_ms));
        assert_eq!(due(Standing::Processing(None), None, None), Some(1_000_000 + hour_ms));
        assert_eq!(due(Standing::Unknown(String::new()), None, Some(u64::MAX)), Some(i64::MAX));
        assert_eq!(due(Standing::Ready, None, Some(1)), None);
    }

    #[test]
    fn questions_come_at_growing_distances_up_to_a_bound() {
        let waits: Vec<i64> = (0..4).map(ask_again_ms).collect();
        assert_eq!(waits, [30_000, 45_000, 67_500, 101_250]);
        assert_eq!(ask_again_ms(u32::from(u16::MAX)), HOST_ASK_MAX_MS);
    }
}
