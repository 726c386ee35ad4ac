//! Limits of the dealings with hosts.

/// A host is asked for all that is not final there so often, in milliseconds: a change is seen within 12 s, for 2.5 % of
/// the smallest budget of requests.
pub const HOST_POLL_MS: i64 = 10_000;

/// So long after a question without an answer it is looked for what may have come of it, in milliseconds.
pub const HOST_LOOK_MS: i64 = 30_000;

/// And so long after it once more: lists are late by a minute.
pub const HOST_LOOK_AGAIN_MS: i64 = 300_000;

/// So long after something was proven gone it is looked for once more, in milliseconds: a host may say so and keep it.
pub const HOST_CONTROL_MS: i64 = 86_400_000;

/// The first wait in milliseconds after one thing could not be deleted at a host that answers.
pub const HOST_ROW_WAIT_MS: i64 = 60_000;

/// The longest of these waits.
pub const HOST_ROW_WAIT_MAX_MS: i64 = 21_600_000;

/// One node at a time deals with a host, for so long without a word, in milliseconds: one question of 30 s goes unanswered.
pub const HOST_TURN_MS: i64 = 90_000;

/// So many of the last calls of each host are kept for people.
pub const HOST_CALLS_KEPT: i64 = 200;

/// So many things are deleted at a host before it is looked at them again.
pub const HOST_DELETES: u32 = 100;

/// With more than so many things to look at, a host is listed instead of asked for each.
pub const HOST_LOOKS_MAX: usize = 10;

/// A hand-over of bytes that breaks goes on after so long, in milliseconds, doubled up to [`HOST_PUSH_WAIT_MAX_MS`].
pub const HOST_PUSH_WAIT_MS: i64 = 5_000;

/// The longest of these waits.
pub const HOST_PUSH_WAIT_MAX_MS: i64 = 300_000;

/// The address of a file that a host is to fetch works for so long, in milliseconds: its queue may be long, and a large file takes
/// hours.
pub const HOST_PULL_MS: i64 = 86_400_000;

/// Most hosts that one pipeline may publish to.
pub const PUBLISH_MAX: usize = 8;

/// The first wait in milliseconds before a host is asked again for one video: a short one is encoded by then.
pub const HOST_ASK_FIRST_MS: i64 = 30_000;

/// The longest wait in milliseconds between two questions for one video at a host.
pub const HOST_ASK_MAX_MS: i64 = 900_000;

/// So long after its target has expired an upload to a host is asked for, in milliseconds.
pub const HOST_TARGET_GRACE_MS: i64 = 900_000;

/// A host is asked whether it is still at work after so many times the length of the video ...
pub const HOST_ENCODE_TIMES: i64 = 3;

/// ... and so many milliseconds more: its queue can be long.
pub const HOST_ENCODE_GRACE_MS: i64 = 3_600_000;

/// The shortest wait in milliseconds before a place that did not answer is asked whether it is back; the longest is twice that.
pub const BREAKER_PROBE_MS: i64 = 30_000;

/// How long a place that asks for peace and names no time is left alone, in milliseconds: Cloudflare blocks for so long.
pub const BREAKER_THROTTLED_MS: i64 = 300_000;

/// A host is asked so often what is used of what was paid for, in milliseconds: one question among the 90 of its list.
pub const HOST_USAGE_MS: i64 = 900_000;

/// From so many tries in vain to delete one thing on, somebody should know: four hours have gone by.
pub const HOST_ALARM_ATTEMPTS: u32 = 8;

/// The longest message of a host's webhook in bytes: one video as its API shows it.
pub const HOOK_BYTES_MAX: usize = 256 << 10;
