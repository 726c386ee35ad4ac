//! Limits of copies and their stores, each with its reason.

use crate::limits::BACKGROUND_PRIO;

/// The order of jobs that copy objects to stores: behind everything that is encoded, in the background, too.
pub const COPY_PRIO: i64 = 2 * BACKGROUND_PRIO;

/// Copies that one node makes for one store at the same time: two, so that small ones go on beside a long one, and a line is
/// not filled with more. What comes back into the data directory counts by itself: somebody waits for it.
pub const COPIES_AT_ONCE: u32 = 2;

/// A copy whose job was given up gets another one after this, in milliseconds: nobody else would ask for it again.
pub const DEAD_COPY_MS: i64 = 3_600_000;

/// So long it is remembered that a store has turned the bytes of an object into others, in milliseconds: the next copies of it wait the
/// longer the more there were, and are made at once again when that store was mended a day ago.
pub const MISCOPIED_MS: i64 = 86_400_000;

/// Objects whose copies are looked at in one round of the sweeper, and rows that are marked in one transaction.
pub const PLACE_BATCH: u32 = 200;

/// The first pause in milliseconds after a store did not answer; doubled each time.
pub const STORE_PAUSE_FIRST_MS: i64 = 5_000;

/// The longest pause in milliseconds between two questions whether a store is back: what waits for it is due within five
/// minutes of its return.
pub const STORE_PAUSE_MAX_MS: i64 = 60_000;

/// What lies in a store that was away for so long is copied elsewhere, in milliseconds: a restart or a repair is over by then.
pub const STORE_LOST_MS: i64 = 3_600_000;

/// So long one store is waited for while bytes are played and another one has them too, in milliseconds: a player that
/// waits two seconds has not stopped yet.
pub const REACH_PATIENCE_MS: u64 = 2_000;

/// A source that was brought back from an archive stays for at least so long, in milliseconds: whoever wanted it back has not
/// done yet what for.
pub const RESTORED_KEEP_MS: i64 = 86_400_000;

/// Each copy is read again and compared so often, in milliseconds: disks and providers lose bits in years, not in weeks.
pub const SCRUB_EVERY_MS: i64 = 30 * 86_400_000;

/// Bytes that are read again from one store in a second: 20 TB in those 30 days, and a tenth of a slow disk.
pub const SCRUB_BYTES_PER_S: u64 = 8 << 20;

/// Copies that are looked at again before the list of the next ones is read.
pub const SCRUB_BATCH: u32 = 50;

/// What was proven gone from a store is looked for once more after this, in milliseconds: a listing that lags is right by then.
pub const COPY_CONTROL_MS: i64 = 86_400_000;

/// So long one node has the turn to read a store again without saying so anew, in milliseconds: three looks whether there is
/// something to read.
pub const SCRUB_TURN_MS: i64 = 3 * SCRUB_LOOK_MS;

/// Bad copies of which no good one is left are read again every so many looks: perhaps their disk is mounted again.
pub const SCRUB_LAST_LOOKS: u64 = 60;

/// How often is looked whether a copy is to be read again, in milliseconds.
pub const SCRUB_LOOK_MS: i64 = 60_000;

/// A place that was seen to be the right store is believed to be it for so long, in milliseconds: a bucket does not become another
/// one while the server runs, and a question in a minute costs nothing. Disks are looked at each time.
pub const PLATE_FRESH_MS: i64 = 60_000;

/// So many of the copies that should lie in a store are looked for in a place that has no plate: some may be lost, but not all.
pub const PLATE_COPIES: u32 = 20;

/// Plates of one place that are read: each server, and each store that it has ever been, has hung up one.
pub const PLATES_MAX: usize = 100;
