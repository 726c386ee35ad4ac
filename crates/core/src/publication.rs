//! A publication: a video at a host, from the intent to have it there until it is proven gone.
//!
//! No host has a key against creating twice. So what was asked and not answered is looked for by the intent's name, twice,
//! because lists are late; only then is it asked for again, or taken for absent.

pub mod besides;

use serde::{Deserialize, Serialize};

use crate::host::Standing;
use crate::limits::{
    BREAKER_PROBE_MS, HOST_CONTROL_MS, HOST_LOOK_AGAIN_MS, HOST_LOOK_MS, HOST_POLL_MS, HOST_ROW_WAIT_MAX_MS,
    HOST_ROW_WAIT_MS,
};
use crate::time::Millis;
use crate::video::Problem;

/// Where a publication is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It is wanted; the host has not confirmed that it has made it.
    Waiting,
    /// The host waits for bytes, or takes them.
    Uploading,
    /// The host works on it.
    Processing,
    /// One quality plays there; more are made.
    Playable,
    /// All is there.
    Ready,
    /// The host said that it will not be. What is left of it there is being deleted.
    Failed,
}

impl Phase {
    /// Does it go on by itself, so that the host is asked for it?
    pub const fn goes_on(self) -> bool {
        matches!(self, Self::Uploading | Self::Processing | Self::Playable)
    }

    /// May viewers be sent there?
    pub const fn plays(self) -> bool {
        matches!(self, Self::Playable | Self::Ready)
    }

    /// Does the host have all bytes?
    pub const fn has_all(self) -> bool {
        matches!(self, Self::Processing | Self::Playable | Self::Ready)
    }
}

/// How the bytes of a video come to a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandOver {
    /// We send them.
    #[default]
    Push,
    /// It fetches them from an address that it is told.
    Pull,
}

impl HandOver {
    /// How it is to be for a publication: as the host was asked already, else as it is `configured`, unless the host has said
    /// that it does not fetch this one.
    pub const fn of(asked: Option<Self>, configured: Self, is_refused: bool) -> Self {
        match (asked, is_refused) {
            (_, true) => Self::Push,
            (Some(asked), false) => asked,
            (None, false) => configured,
        }
    }

    /// Is a publication that was handed over so and failed in `phase` sent after all? What the host could not fetch it may
    /// take from us.
    pub const fn is_sent_instead(self, phase: Phase) -> bool {
        matches!(self, Self::Pull) && !phase.plays() && !matches!(phase, Phase::Failed)
    }
}

/// What an answer of the host makes of a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The phase from now on.
    pub phase: Phase,
    /// Hundredths of the work, if the host tells them.
    pub percent: Option<u8>,
    /// Why it failed.
    pub reason: Option<Problem>,
}

/// The code of a publication that the host does not know any more.
const LOST: &str = "host_lost";

impl Turn {
    /// Does the host not know it any more?
    pub fn is_lost(&self) -> bool {
        self.reason.as_ref().is_some_and(|reason| reason.code == LOST)
    }

    /// The same, unless the video is longer than its sender may send.
    #[must_use]
    pub fn within(self, duration_ms: Option<u64>, max_ms: Option<u64>) -> Self {
        let long = duration_ms.zip(max_ms).filter(|(duration_ms, max_ms)| duration_ms > max_ms);
        let (Some((duration_ms, max_ms)), true) = (long, self.phase != Phase::Failed) else { return self };
        let reason = Problem {
            code: "too_long".to_owned(),
            human: format!(
                "The video is {} s long; at most {} s were allowed.",
                duration_ms / 1_000,
                max_ms / 1_000
            ),
            fix: "Cut the video, or ask for an upload that may be longer.".to_owned(),
        };
        Self { phase: Phase::Failed, percent: None, reason: Some(reason) }
    }
}

/// What the host says of a publication that is in `phase`; only this can fail it, never a clock.
///
/// `full` says whether the host was asked for this one video. A list is late: what it says may be older than what is known,
/// so it takes nothing back.
pub fn turn(phase: Phase, standing: &Standing, full: bool) -> Turn {
    let to = |next, percent| Turn { phase: next, percent, reason: None };
    let stays = to(phase, None);
    match standing {
        // The host does not have it, or does not want it.
        Standing::Gone => failed(LOST, "The host does not know this video any more.".to_owned()),
        Standing::Failed(fault) => {
            let text = if fault.text.is_empty() { "it gives no reason" } else { fault.text.as_str() };
            failed(&fault.code, format!("The host could not make a video of it: {text}"))
        }
        Standing::Ready => to(Phase::Ready, None),
        Standing::Playable(percent) if phase != Phase::Ready || full => to(Phase::Playable, *percent),
        Standing::Processing(percent) if !phase.plays() => to(Phase::Processing, *percent),
        // A word that is not known is work that goes on.
        Standing::Queued | Standing::Unknown(_) if !phase.plays() => to(Phase::Processing, None),
        Standing::Receiving(percent) if phase == Phase::Uploading => to(Phase::Uploading, *percent),
        Standing::AwaitingUpload
        | Standing::Receiving(_)
        | Standing::Queued
        | Standing::Processing(_)
        | Standing::Playable(_)
        | Standing::Unknown(_) => stays,
    }
}

fn failed(code: &str, human: String) -> Turn {
    let problem = Problem {
        code: format!("host_{}", code.trim_start_matches("host_").to_lowercase()),
        human,
        fix: "Publish the video there again; what is left of this try is deleted by itself.".to_owned(),
    };
    Turn { phase: Phase::Failed, percent: None, reason: Some(problem) }
}

/// Times of the dealings with one host; all but tests leave them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between two lists of what is not final.
    pub poll_ms: i64,
    /// From a question without an answer to the first look.
    pub look_ms: i64,
    /// From there to the second.
    pub look_again_ms: i64,
    /// From the proof that something is gone to the control look.
    pub control_ms: i64,
    /// From an answer that did not come to the question whether the host is back; up to twice that.
    pub probe_ms: i64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll_ms: HOST_POLL_MS,
            look_ms: HOST_LOOK_MS,
            look_again_ms: HOST_LOOK_AGAIN_MS,
            control_ms: HOST_CONTROL_MS,
            probe_ms: BREAKER_PROBE_MS,
        }
    }
}

/// What is known of something that a host was perhaps asked to make, and whose name there is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// When the host was last asked for it, if ever.
    pub at: Option<Millis>,
    /// Looks since then that found nothing.
    pub looks: u32,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Ask the host to make it: nothing of it is there.
    Create,
    /// Look for it by the intent's name, not before this moment.
    Look(Millis),
    /// Nothing of it is there, and nobody wants it.
    Absent,
}

impl Asked {
    /// What to do now.
    pub const fn next(self, wanted: bool, pace: Pace) -> Next {
        let open = if wanted { Next::Create } else { Next::Absent };
        match (self.at, self.looks) {
            (None, _) | (Some(_), 2..) => open,
            (Some(at), 0) => Next::Look(at.plus(pace.look_ms)),
            (Some(at), 1) => Next::Look(at.plus(pace.look_again_ms)),
        }
    }
}

/// How long after a try to delete that failed because of this one thing the next is made: 1 minute, doubled up to 6 hours,
/// for ever.
pub fn row_wait_ms(attempts: u32) -> i64 {
    let doubled = HOST_ROW_WAIT_MS.checked_shl(attempts.saturating_sub(1).min(30));
    doubled.unwrap_or(HOST_ROW_WAIT_MAX_MS).min(HOST_ROW_WAIT_MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Fault;
    use proptest::prelude::*;

    const PHASES: [Phase; 6] =
        [Phase::Waiting, Phase::Uploading, Phase::Processing, Phase::Playable, Phase::Ready, Phase::Failed];

    #[test]
    fn a_late_list_takes_nothing_back() {
        for old in [Standing::AwaitingUpload, Standing::Queued, Standing::Processing(Some(3))] {
            for phase in [Phase::Playable, Phase::Ready] {
                assert_eq!(turn(phase, &old, false).phase, phase, "{old:?}");
            }
        }
        assert_eq!(turn(Phase::Ready, &Standing::Playable(Some(50)), false).phase, Phase::Ready);
        assert_eq!(turn(Phase::Processing, &Standing::AwaitingUpload, false).phase, Phase::Processing);
    }

    #[test]
    fn what_the_host_says_is_what_is_shown() {
        let seen = |standing| {
            let turn = turn(Phase::Uploading, &standing, true);
            (turn.phase, turn.percent)
        };
        for (standing, expected) in [
            (Standing::AwaitingUpload, (Phase::Uploading, None)),
            (Standing::Receiving(Some(7)), (Phase::Uploading, Some(7))),
            (Standing::Queued, (Phase::Processing, None)),
            (Standing::Processing(Some(9)), (Phase::Processing, Some(9))),
            (Standing::Playable(Some(71)), (Phase::Playable, Some(71))),
            (Standing::Ready, (Phase::Ready, None)),
            (Standing::Unknown("warming-up".to_owned()), (Phase::Processing, None)),
        ] {
            assert_eq!(seen(standing), expected);
        }
        let fault = Fault { code: "ERR_NON_VIDEO".to_owned(), text: "no film".to_owned(), again: false };
        let told = turn(Phase::Processing, &Standing::Failed(fault), false);
        let reason = told.reason.unwrap();
        assert_eq!((told.phase, reason.code.as_str()), (Phase::Failed, "host_err_non_video"));
        assert!(reason.human.ends_with("no film"), "{}", reason.human);
        assert_eq!(turn(Phase::Ready, &Standing::Gone, true).reason.unwrap().code, "host_lost");
    }

    #[test]
    fn what_a_host_does_not_fetch_is_sent_and_what_it_was_asked_for_stays_so() {
        use HandOver::{Pull, Push};
        for (asked, configured, is_refused, expected) in [
            (None, Push, false, Push),
            (None, Pull, false, Pull),
            (None, Pull, true, Push),
            (Some(Pull), Push, false, Pull),
            (Some(Push), Pull, false, Push),
            (Some(Pull), Pull, true, Push),
        ] {
            let found = HandOver::of(asked, configured, is_refused);
            assert_eq!(found, expected, "{asked:?} {configured:?} {is_refused}");
        }
        let sent = |how: HandOver| PHASES.map(|phase| how.is_sent_instead(phase));
        assert_eq!(sent(Pull), [true, true, true, false, false, false]);
        assert_eq!(sent(Push), [false; 6]);
    }

    #[test]
    fn a_video_that_is_longer_than_was_allowed_fails_with_its_length() {
        let ready = || Turn { phase: Phase::Ready, percent: None, reason: None };
        for (duration_ms, max_ms) in [(None, Some(1)), (Some(9), None), (Some(9), Some(9))] {
            assert_eq!(ready().within(duration_ms, max_ms), ready());
        }
        let long = ready().within(Some(9_500), Some(9_000));
        assert_eq!((long.phase, long.reason.as_ref().unwrap().code.as_str()), (Phase::Failed, "too_long"));
        let failed = turn(Phase::Uploading, &Standing::Gone, true);
        assert_eq!(
            failed.clone().within(Some(9_500), Some(9_000)),
            failed,
            "the host's own reason comes first"
        );
    }

    #[test]
    fn what_was_not_answered_is_looked_for_twice_before_anything_else() {
        let (at, pace) = (Millis(1_000_000), Pace::default());
        for (wanted, last) in [(true, Next::Create), (false, Next::Absent)] {
            let next = |at, looks| Asked { at, looks }.next(wanted, pace);
            assert_eq!(next(None, 0), last, "it was never asked for");
            assert_eq!(next(Some(at), 0), Next::Look(at.plus(30_000)));
            assert_eq!(next(Some(at), 1), Next::Look(at.plus(300_000)));
            assert_eq!(next(Some(at), 2), last);
        }
    }

    #[test]
    fn a_thing_that_cannot_be_deleted_is_tried_for_ever_and_ever_less_often() {
        let waits: Vec<i64> = [1, 2, 3, 9, 10, u32::MAX].map(row_wait_ms).to_vec();
        let hours_6 = 6 * 3_600_000;
        assert_eq!(waits, [60_000, 120_000, 240_000, 15_360_000, hours_6, hours_6]);
    }

    proptest! {
        #[test]
        fn no_clock_and_no_list_makes_it_fail(phase in 0_usize..6, percent: Option<u8>) {
            for standing in [
                Standing::AwaitingUpload, Standing::Receiving(percent), Standing::Queued,
                Standing::Processing(percent), Standing::Playable(percent), Standing::Ready,
                Standing::Unknown(String::new()),
            ] {
                let phase = PHASES[phase];
                let told = turn(phase, &standing, false);
                prop_assert!(told.phase != Phase::Failed || phase == Phase::Failed);
            }
        }
    }
}
