//! The limits of webhooks, each with its reason.

/// Most endpoints of an app: each is asked about every event.
pub const WEBHOOKS_MAX: u32 = 32;

/// Longest address in bytes.
pub const URL_BYTES_MAX: usize = 2_048;

/// Longest description in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 200;

/// How long the secret before still signs, in milliseconds: a day is enough to give a receiver the new one.
pub const OLD_SECRET_MS: i64 = 86_400_000;

/// Calls that are remembered of one message: a whole schedule, and those of a replay.
pub const TRIES_KEPT: usize = 12;

/// How long one call of a webhook may take, in milliseconds: Standard Webhooks proposes 15 to 30 s, and a receiver has only to
/// note what it hears.
pub const CALL_MS: u64 = 15_000;

/// Most bytes of an answer to a webhook that are read: more is nobody's answer to a message.
pub const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Bytes of that answer that are kept for the owner: enough for the message of an error.
pub const ANSWER_KEPT_BYTES: usize = 1 << 10;

/// Longest message in bytes, what Standard Webhooks calls thin: what is longer leaves the lists out, which the API has.
pub const MESSAGE_BYTES_MAX: usize = 20_000;

/// Endpoints that a node calls at once: each turn is a handful of connections.
pub const TURNS_MAX: u32 = 64;

/// How long a node goes on with one endpoint before others have their turn, in milliseconds.
pub const TURN_MS: u64 = 10_000;

/// How long a node has the right to call an endpoint, in milliseconds: a turn with its last calls, and time to spare. When a node
/// dies, its endpoints wait for so long.
pub const HOLD_MS: i64 = 60_000;

/// Events of one replay: a few seconds of one transaction. The answer says where to go on.
pub const REPLAY_EVENTS_MAX: u32 = 10_000;

/// How long it is remembered how a message fared, in milliseconds: who looks for an accident of last month finds it.
pub const DELIVERY_KEPT_MS: i64 = 30 * 86_400_000;
