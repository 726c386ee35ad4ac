//! Limits of the comparison of places with their rows, each with its reason.

/// So far behind the truth a listing may be, in milliseconds: some lag by a minute, and this is ten times that.
pub const LIST_LATE_MS: i64 = 600_000;

/// What carries our name and has no row is left alone while it is younger than this, in milliseconds: rows come before what they
/// stand for, so an hour is only for clocks that disagree.
pub const UNKNOWN_YOUNG_MS: i64 = 3_600_000;

/// Each place is compared with its rows so often, in milliseconds: an orphan costs two days of quarantine in any case.
pub const INVENTORY_MS: i64 = 86_400_000;

/// A place that could not be listed is tried again after this, in milliseconds; so long a node has for one comparison, too, before
/// another one begins it anew.
pub const INVENTORY_AGAIN_MS: i64 = 3_600_000;

/// How often is looked whether a place is due, in milliseconds.
pub const INVENTORY_LOOK_MS: i64 = 60_000;

/// Things of one page of a listing: what S3 and Cloudflare give at most.
pub const INVENTORY_PAGE: usize = 1_000;

/// What is hidden in one store and looked at in one comparison: the rest has its turn when that is gone.
pub const HIDDEN_MAX: usize = 10_000;

/// An upload in parts that no row knows is ended when it is older than this, in milliseconds: nobody can go on with it, and between
/// its beginning and its row there is one answer of the store. A day is for clocks that disagree and for whoever tries by hand.
pub const UPLOAD_FORGOTTEN_MS: i64 = 86_400_000;

/// So many things of each sort are named where somebody looks at a comparison: who wants all asks `matinee gc prove`.
pub const INVENTORY_NAMES: usize = 20;
