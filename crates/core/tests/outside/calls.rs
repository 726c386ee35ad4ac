//! Telling a receiver of events, as the flows do it: handed on behind a cursor, called within a window. What decides is `core`.

use matinee_core::webhook::retry::{Answer, FAILING_MS_MAX, Fate, Off, after, window};
use matinee_core::webhook::{Delivery as Standing, State};

use super::history::Sim;
use super::rows::Delivery;
use super::world::Failed;

impl Sim {
    /// Hands on what has happened, and calls the receiver of what is due.
    pub(crate) fn notify(&mut self) {
        let now = self.now();
        if self.rows.webhook != State::Active {
            return;
        }
        for event in self.rows.handed..self.rows.events.len() {
            let new = Delivery { state: Standing::Waiting, attempts: 0, next: now };
            assert!(self.rows.deliveries.insert(event as u64, new).is_none(), "an event is handed on once");
        }
        self.rows.handed = self.rows.events.len();
        for _ in 0..window(&self.rows.standing) {
            let due = |one: &Delivery| one.state == Standing::Waiting && one.next <= now;
            let next = self.rows.deliveries.iter().find(|(_, one)| due(one)).map(|(event, _)| *event);
            let rests = self.rows.standing.rests_until.is_some_and(|until| now < until);
            let Some(event) = next.filter(|_| !rests && self.rows.webhook == State::Active) else { return };
            if self.tell(event).is_none() {
                return;
            }
        }
    }

    /// Calls once; nothing when the process died before it could write down how that went.
    fn tell(&mut self, event: u64) -> Option<()> {
        let now = self.now();
        let answer = match self.world.call(event) {
            Ok(status) => {
                self.world.receiver.heard = Some(now);
                Answer { status: Some(status), retry_after_ms: None }
            }
            Err(Failed::Away) => Answer { status: Some(503), retry_after_ms: None },
            Err(Failed::Throttled(until)) => {
                Answer { status: Some(429), retry_after_ms: until.map(|until| until.since(now)) }
            }
            Err(Failed::Silent) => Answer::default(),
            Err(Failed::Crash) => return None,
        };
        let random = u32::try_from(self.world.dice.below(1_000)).unwrap();
        let delivery = self.rows.deliveries.get_mut(&event).unwrap();
        delivery.attempts += 1;
        let after = after(self.rows.standing, delivery.attempts, &answer, (now, random));
        match after.fate {
            Fate::Delivered => delivery.state = Standing::Delivered,
            Fate::Again(next) => delivery.next = next,
            Fate::Failed => delivery.state = Standing::Failed,
        }
        self.rows.standing = after.standing;
        match after.off {
            None => {}
            Some(Off::Gone) => {
                assert!(self.world.receiver.gone, "an endpoint was switched off that wants messages");
                self.rows.webhook = State::Gone;
            }
            Some(Off::Failing) => {
                let heard = self.world.receiver.heard;
                let silent = heard.is_none_or(|heard| now.since(heard) >= FAILING_MS_MAX);
                assert!(silent || self.went_back, "an endpoint was switched off that has answered {heard:?}");
                self.rows.webhook = State::Failing;
            }
        }
        if after.back {
            let waiting = self.rows.deliveries.values_mut().filter(|one| one.state == Standing::Waiting);
            waiting.for_each(|one| one.next = one.next.min(now));
        }
        Some(())
    }
}
