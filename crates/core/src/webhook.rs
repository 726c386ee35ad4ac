//! Webhooks: which events an endpoint wants, how its messages are signed, and what an answer or none means for it.
//!
//! The messages are those of Standard Webhooks 1.0.

pub mod limits;
pub mod pattern;
pub mod retry;

use serde::{Deserialize, Serialize};

use self::limits::OLD_SECRET_MS;
use crate::access::path::Key;
use crate::id::WebhookId;
use crate::time::Millis;

/// Separates these secrets from all others under the same key.
const LABEL: &[u8] = b"matinee webhook secret v1\n";

/// Whether an endpoint is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is.
    Active,
    /// Its owner does not want it now.
    Paused,
    /// It has answered that it wants nothing any more (410).
    Gone,
    /// It has failed for so long that nobody seems to be there.
    Failing,
}

/// Where one message to one endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It is sent when it is due.
    Waiting,
    /// The endpoint has taken it.
    Delivered,
    /// It was tried as often as the schedule says.
    Failed,
}

/// One call, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// When it began.
    pub at: Millis,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The status of the answer.
    pub status: Option<u16>,
    /// The beginning of what was answered.
    pub answer: Option<String>,
    /// Why there was no answer.
    pub error: Option<String>,
}

impl Try {
    /// Was the message taken?
    pub const fn is_taken(&self) -> bool {
        matches!(self.status, Some(200..=299))
    }
}

/// Which of an endpoint's secrets count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Secrets {
    /// The number of the newest one, from 1.
    pub number: u32,
    /// When it took the place of the one before.
    pub rotated: Option<Millis>,
}

impl Secrets {
    /// Until when the one before signs, too; `None` when it does not any more.
    pub fn old_until(&self, now: Millis) -> Option<Millis> {
        self.rotated.map(|at| at.plus(OLD_SECRET_MS)).filter(|until| now < *until)
    }

    /// The numbers of those that sign at `now`, the newest first.
    pub fn signing(&self, now: Millis) -> Vec<u32> {
        let old = self.old_until(now).and_then(|_| self.number.checked_sub(1));
        std::iter::once(self.number).chain(old).collect()
    }
}

/// A secret of an endpoint. It follows from a key of the server, so that no row, no backup and no answer but one holds it.
pub fn secret(key: &Key, webhook: WebhookId, number: u32) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(&key.secret);
    hasher.update(LABEL).update(&webhook.bits().to_be_bytes()).update(&number.to_be_bytes());
    *hasher.finalize().as_bytes()
}

/// What is signed of a message.
pub fn signed(id: &str, timestamp_s: i64, body: &str) -> String {
    format!("{id}.{timestamp_s}.{body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_before_signs_for_one_more_day() {
        let first = Secrets { number: 1, rotated: None };
        assert_eq!(first.signing(Millis(5)), [1]);
        let second = Secrets { number: 2, rotated: Some(Millis(100)) };
        let ends = Millis(100 + OLD_SECRET_MS);
        for (now, numbers) in [(Millis(100), vec![2, 1]), (ends.plus(-1), vec![2, 1]), (ends, vec![2])] {
            assert_eq!(second.signing(now), numbers, "{now:?}");
        }
    }

    #[test]
    fn every_endpoint_and_every_rotation_has_a_secret_of_its_own() {
        let key = |secret| Key { number: 1, secret: [secret; 32] };
        let of = |key: &Key, webhook: u128, number| secret(key, WebhookId::from_bits(webhook), number);
        assert_eq!(of(&key(1), 5, 1), of(&key(1), 5, 1));
        for other in [of(&key(1), 6, 1), of(&key(1), 5, 2), of(&key(2), 5, 1)] {
            assert_ne!(of(&key(1), 5, 1), other);
        }
        assert_eq!(signed("evt_1", 1_700_000_000, "{}"), "evt_1.1700000000.{}");
    }
}
