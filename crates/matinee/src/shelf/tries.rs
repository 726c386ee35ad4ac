//! Stills that were tried in vain: of the same bytes nothing else will come, so nobody tries them without end.

use matinee_core::id::ObjectId;
use matinee_core::limits;
use quick_cache::sync::Cache;

/// A still by what decides its bytes: the file that it is taken from, the moment in milliseconds, and its size.
pub(crate) type Still = (ObjectId, u64, (u32, u32));

/// How often each still was tried in vain. What falls out of memory, or is asked for after a restart, is tried anew.
#[derive(Debug)]
pub(crate) struct Tries(Cache<Still, u32>);

impl Tries {
    /// Nothing was tried yet.
    pub(crate) fn new() -> Self {
        Self(Cache::new(limits::STILLS_REFUSED_MAX))
    }

    /// Was it tried as often as it may be?
    pub(crate) fn are_spent(&self, still: &Still) -> bool {
        self.0.get(still).is_some_and(|tries| tries >= limits::STILL_TRIES_MAX)
    }

    /// It was tried in vain once more.
    pub(crate) fn failed(&self, still: Still) {
        let before = self.0.get(&still).unwrap_or_default();
        self.0.insert(still, before + 1);
    }
}
