//! What an answer or none means: for the message, and for the endpoint that was called.
//!
//! A message has its own schedule of 75 hours. An endpoint that fails one call after the other rests besides, whatever waits for
//! it: so what waits does not use up its tries on a receiver that is down, and goes out at once when it is back.

use crate::time::Millis;

/// The waits between the attempts at one message, in milliseconds: those that Standard Webhooks proposes, 75 h 35 min together.
const WAITS_MS: [i64; 9] = [
    5_000,
    5 * MINUTE_MS,
    30 * MINUTE_MS,
    2 * HOUR_MS,
    5 * HOUR_MS,
    10 * HOUR_MS,
    14 * HOUR_MS,
    20 * HOUR_MS,
    24 * HOUR_MS,
];
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
/// Waits are longer by up to one part in so many, so that what failed together does not come back together.
const JITTER: i64 = 10;
/// The longest that a receiver can put us off with `Retry-After`, in milliseconds: the longest wait that we have ourselves.
pub const RETRY_AFTER_MS_MAX: i64 = 24 * HOUR_MS;
/// So many failures in a row are the bad luck of some messages; from then on the endpoint rests after each.
pub const FAILURES_FREE: u32 = 4;
/// The first rest, in milliseconds; each further one is twice as long.
const REST_FIRST_MS: i64 = 1_000;
/// The longest rest, in milliseconds: so soon is it seen that a receiver is back, as long as something is due.
const REST_MAX_MS: i64 = MINUTE_MS;
/// The rest of a receiver that says it has too much to do and does not say for how long, in milliseconds.
const THROTTLED_MS: i64 = 5_000;
/// Messages that one endpoint is sent side by side: enough for some hundred a second, and no load for a small receiver.
const WINDOW: u32 = 4;
/// An endpoint that has only failed for so long is switched off, in milliseconds.
pub const FAILING_MS_MAX: i64 = 5 * 24 * HOUR_MS;

/// How an endpoint has fared lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Calls that failed since the last one that did not.
    pub failures: u32,
    /// When the first of them failed.
    pub since: Option<Millis>,
    /// It is not called before this moment.
    pub rests_until: Option<Millis>,
}

/// What came back from one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status, when there was one.
    pub status: Option<u16>,
    /// What `Retry-After` says, in milliseconds from now.
    pub retry_after_ms: Option<i64>,
}

/// How an attempt at a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was sent, and this is what came back.
    Sent(Answer),
    /// What it says could not be made, so that nothing was sent.
    Unsaid {
        /// The same attempt may succeed later.
        again: bool,
    },
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was taken.
    Delivered,
    /// It is sent again, not before this moment.
    Again(Millis),
    /// It was tried as often as the schedule says.
    Failed,
}

/// Why an endpoint is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Off {
    /// It wants nothing any more.
    Gone,
    /// It has failed for too long.
    Failing,
}

/// What follows from one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    /// For the message.
    pub fate: Fate,
    /// For the endpoint.
    pub standing: Standing,
    /// The endpoint is switched off.
    pub off: Option<Off>,
    /// It is back after it was down: what waits for it is due now.
    pub back: bool,
}

/// What follows from the answer to the attempt of this number, from 1.
pub fn after(standing: Standing, attempt: u32, answer: &Answer, (now, random): (Millis, u32)) -> After {
    if answer.status.is_some_and(|status| (200..300).contains(&status)) {
        let back = standing.failures >= FAILURES_FREE;
        return After { fate: Fate::Delivered, standing: Standing::default(), off: None, back };
    }
    let failures = standing.failures.saturating_add(1);
    let since = standing.since.unwrap_or(now);
    let asked_ms = answer.retry_after_ms.map(|ms| ms.clamp(0, RETRY_AFTER_MS_MAX));
    let rest_ms =
        rest_ms(failures).max(if is_throttled(answer.status) { asked_ms.unwrap_or(THROTTLED_MS) } else { 0 });
    let rests_until = standing.rests_until.max((rest_ms > 0).then(|| now.plus(rest_ms)));
    let off = match answer.status {
        Some(410) => Some(Off::Gone),
        _ if now.since(since) >= FAILING_MS_MAX => Some(Off::Failing),
        _ => None,
    };
    let fate = match wait_ms(attempt, random) {
        Some(wait_ms) => Fate::Again(now.plus(wait_ms.max(asked_ms.unwrap_or_default()))),
        None => Fate::Failed,
    };
    After { fate, standing: Standing { failures, since: Some(since), rests_until }, off, back: false }
}

/// What follows from the attempt of this number, from 1, however it ended.
pub fn ended(standing: Standing, attempt: u32, outcome: &Outcome, (now, random): (Millis, u32)) -> After {
    let again = match outcome {
        Outcome::Sent(answer) => return after(standing, attempt, answer, (now, random)),
        Outcome::Unsaid { again } => *again,
    };
    // The endpoint is not to blame: it is called as before, for all that can be said.
    let wait_ms = wait_ms(attempt, random).filter(|_| again);
    let fate = wait_ms.map_or(Fate::Failed, |wait_ms| Fate::Again(now.plus(wait_ms)));
    After { fate, standing, off: None, back: false }
}

/// How long the message waits after this attempt; `None` after the last one.
fn wait_ms(attempt: u32, random: u32) -> Option<i64> {
    let wait_ms = *WAITS_MS.get(usize::try_from(attempt.checked_sub(1)?).ok()?)?;
    Some(wait_ms + wait_ms / JITTER * i64::from(random % 1_000) / 1_000)
}

fn rest_ms(failures: u32) -> i64 {
    match failures.checked_sub(FAILURES_FREE) {
        None => 0,
        Some(more) => REST_FIRST_MS.checked_shl(more.min(16)).unwrap_or(REST_MAX_MS).min(REST_MAX_MS),
    }
}

/// Does this status say that there is too much to do?
const fn is_throttled(status: Option<u16>) -> bool {
    matches!(status, Some(429 | 502 | 503 | 504))
}

/// How many messages an endpoint is sent side by side. One that has failed is tried with one first.
pub const fn window(standing: &Standing) -> u32 {
    if standing.failures == 0 { WINDOW } else { 1 }
}

/// Reads `Retry-After`: seconds, or a date of HTTP, which the caller has read.
pub fn retry_after_ms(text: &str, date: impl Fn(&str) -> Option<Millis>, now: Millis) -> Option<i64> {
    let text = text.trim();
    let seconds = text.parse::<u32>().ok().map(|s| i64::from(s) * 1_000);
    seconds.or_else(|| date(text).map(|at| at.since(now).max(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_000_000);

    fn answer(status: u16) -> Answer {
        Answer { status: Some(status), retry_after_ms: None }
    }

    fn of(attempt: u32, answer: Answer) -> After {
        after(Standing::default(), attempt, &answer, (NOW, 0))
    }

    #[test]
    fn a_message_is_tried_ten_times_within_76_hours() {
        let mut now = NOW;
        let mut attempt = 1;
        while let Fate::Again(next) = after(Standing::default(), attempt, &answer(500), (now, 0)).fate {
            (now, attempt) = (next, attempt + 1);
        }
        assert_eq!(attempt, 10);
        assert_eq!(now.since(NOW), 75 * HOUR_MS + 35 * MINUTE_MS + 5_000);
        let latest = after(Standing::default(), 9, &answer(500), (NOW, 999)).fate;
        let Fate::Again(latest) = latest else { panic!("{latest:?}") };
        assert!((26 * HOUR_MS..27 * HOUR_MS).contains(&latest.since(NOW)), "{latest:?}");
    }

    #[test]
    fn only_an_answer_of_success_is_one() {
        for status in [200, 202, 204, 299] {
            assert_eq!(of(1, answer(status)).fate, Fate::Delivered, "{status}");
        }
        for status in [100, 199, 300, 301, 308, 400, 404, 410, 429, 500, 503, 599] {
            assert_eq!(of(1, answer(status)).fate, Fate::Again(NOW.plus(5_000)), "{status}");
        }
        assert_eq!(of(1, Answer::default()).fate, Fate::Again(NOW.plus(5_000)), "silence");
    }

    #[test]
    fn a_receiver_that_is_gone_or_fails_for_five_days_is_switched_off() {
        assert_eq!(of(1, answer(410)).off, Some(Off::Gone));
        let since = |ms: i64| Standing { failures: 3, since: Some(NOW.plus(-ms)), rests_until: None };
        let fails = |ms| after(since(ms), 1, &answer(500), (NOW, 0)).off;
        assert_eq!((fails(FAILING_MS_MAX - 1), fails(FAILING_MS_MAX)), (None, Some(Off::Failing)));
        assert_eq!(after(since(FAILING_MS_MAX), 1, &answer(200), (NOW, 0)).off, None);
    }

    #[test]
    fn a_receiver_may_put_us_off_for_at_most_a_day() {
        let asked = |status, ms| Answer { status: Some(status), retry_after_ms: Some(ms) };
        for (answer, fate_ms, rest_ms) in [
            (asked(429, 60_000), 60_000, Some(60_000)),
            (asked(503, 1_000), 5_000, Some(1_000)),
            (asked(503, i64::MAX), RETRY_AFTER_MS_MAX, Some(RETRY_AFTER_MS_MAX)),
            (asked(429, -5), 5_000, None),
            (answer(429), 5_000, Some(THROTTLED_MS)),
            // It speaks of this message only.
            (asked(409, 60_000), 60_000, None),
        ] {
            let after = of(1, answer);
            assert_eq!(after.fate, Fate::Again(NOW.plus(fate_ms)), "{answer:?}");
            assert_eq!(after.standing.rests_until, rest_ms.map(|ms| NOW.plus(ms)), "{answer:?}");
        }
    }

    #[test]
    fn who_is_down_rests_for_longer_and_longer_and_is_back_at_once() {
        let mut standing = Standing::default();
        let mut rests = Vec::new();
        for _ in 0..12 {
            let after = after(standing, 1, &answer(500), (NOW, 0));
            standing = Standing { rests_until: None, ..after.standing };
            rests.push(after.standing.rests_until.map_or(0, |until| until.since(NOW)) / 1_000);
        }
        assert_eq!(rests, [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        let back = after(standing, 3, &answer(204), (NOW, 0));
        assert!(back.back && back.standing == Standing::default());
        let luck = Standing { failures: FAILURES_FREE - 1, ..standing };
        assert!(!after(luck, 3, &answer(204), (NOW, 0)).back, "one message that nobody takes is no outage");
    }

    #[test]
    fn what_cannot_be_said_ends_and_the_endpoint_is_not_to_blame() {
        let standing = Standing { failures: 3, since: Some(Millis(5)), rests_until: None };
        let unsaid = |again, attempt| ended(standing, attempt, &Outcome::Unsaid { again }, (NOW, 0));
        let after = |fate| After { fate, standing, off: None, back: false };
        assert_eq!(unsaid(false, 1), after(Fate::Failed));
        assert_eq!(unsaid(true, 1), after(Fate::Again(NOW.plus(5_000))));
        assert_eq!(
            unsaid(true, 10),
            after(Fate::Failed),
            "even what may succeed later is given up some time"
        );
        let sent = Outcome::Sent(answer(204));
        assert_eq!(ended(standing, 1, &sent, (NOW, 0)), super::after(standing, 1, &answer(204), (NOW, 0)));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let date = |text: &str| (text == "Thu, 01 Jan 1970 00:17:00 GMT").then_some(Millis(1_020_000));
        for (text, ms) in [
            ("120", Some(120_000)),
            (" 0 ", Some(0)),
            ("Thu, 01 Jan 1970 00:17:00 GMT", Some(20_000)),
            ("-5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after_ms(text, date, NOW), ms, "{text}");
        }
    }
}
