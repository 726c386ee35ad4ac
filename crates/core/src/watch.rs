//! When a file in a watched folder is complete: nobody has changed it for long enough, by looks from outside.

use std::collections::BTreeMap;

use crate::arrival::Stamp;

/// An empty file is waited for longer, in milliseconds: many programs make the name first and the bytes later.
pub const EMPTY_SETTLE_MS: u64 = 600_000;

/// What is remembered of the files of one folder between two looks.
#[derive(Debug)]
pub struct Watch {
    settle_ms: u64,
    seen: BTreeMap<String, Known>,
}

/// A file as it was at the last look.
#[derive(Debug, Clone, Copy)]
struct Known {
    stamp: Stamp,
    /// Since when it looks like this, on a steady clock.
    since_ms: u64,
}

impl Watch {
    /// A folder of which nothing is known yet.
    pub const fn new(settle_ms: u64) -> Self {
        Self { settle_ms, seen: BTreeMap::new() }
    }

    /// One look at the whole folder at `now_ms` of a steady clock; the names of the files that are complete. Each
    /// is named at every look until it is gone.
    pub fn look(&mut self, now_ms: u64, found: &[(String, Stamp)]) -> Vec<(String, Stamp)> {
        let mut seen = BTreeMap::new();
        let mut ready = Vec::new();
        for (name, stamp) in found {
            let before = self.seen.get(name).filter(|known| known.stamp == *stamp);
            let since_ms = before.map_or(now_ms, |known| known.since_ms);
            seen.insert(name.clone(), Known { stamp: *stamp, since_ms });
            let wanted = if stamp.size == 0 { self.settle_ms.max(EMPTY_SETTLE_MS) } else { self.settle_ms };
            // One look is no proof, however short the wait.
            if before.is_some() && now_ms.saturating_sub(since_ms) >= wanted {
                ready.push((name.clone(), *stamp));
            }
        }
        // What is gone is forgotten: a file of the same name later is a new one.
        self.seen = seen;
        ready
    }

    /// A writer was found at work on this file: its wait begins again.
    pub fn disturb(&mut self, now_ms: u64, name: &str) {
        if let Some(known) = self.seen.get_mut(name) {
            known.since_ms = now_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE_MS: u64 = 10_000;

    fn stamp(size: u64) -> Stamp {
        Stamp { inode: 7, size, modified_ns: 1 }
    }

    fn names(watch: &mut Watch, now_ms: u64, found: &[(&str, Stamp)]) -> Vec<String> {
        let found: Vec<_> = found.iter().map(|(name, stamp)| ((*name).to_owned(), *stamp)).collect();
        watch.look(now_ms, &found).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_file_is_ready_when_it_has_not_changed_for_long_enough() {
        let mut watch = Watch::new(SETTLE_MS);
        for (now_ms, size, ready) in [
            (0, 5, false),
            (9_999, 5, false),
            (10_000, 5, true),
            (12_000, 5, true),
            (13_000, 6, false),
            (22_999, 6, false),
            (23_000, 6, true),
        ] {
            assert_eq!(
                names(&mut watch, now_ms, &[("a", stamp(size))]).len(),
                usize::from(ready),
                "{now_ms}"
            );
        }
    }

    #[test]
    fn a_file_that_is_exchanged_or_touched_is_another_file() {
        let changes = [
            Stamp { inode: 8, ..stamp(5) },
            Stamp { modified_ns: 2, ..stamp(5) },
            Stamp { size: 4, ..stamp(5) },
        ];
        for changed in changes {
            let mut watch = Watch::new(SETTLE_MS);
            names(&mut watch, 0, &[("a", stamp(5))]);
            assert!(names(&mut watch, SETTLE_MS, &[("a", changed)]).is_empty(), "{changed:?}");
            assert_eq!(names(&mut watch, 2 * SETTLE_MS, &[("a", changed)]), ["a"]);
        }
    }

    #[test]
    fn one_look_is_never_enough() {
        let mut watch = Watch::new(0);
        assert!(names(&mut watch, 5, &[("a", stamp(5))]).is_empty());
        assert_eq!(names(&mut watch, 5, &[("a", stamp(5))]), ["a"]);
    }

    #[test]
    fn a_file_that_was_gone_waits_again() {
        let mut watch = Watch::new(SETTLE_MS);
        names(&mut watch, 0, &[("a", stamp(5))]);
        names(&mut watch, 9_000, &[]);
        assert!(names(&mut watch, 20_000, &[("a", stamp(5))]).is_empty());
    }

    #[test]
    fn an_empty_file_is_waited_for_longer() {
        let mut watch = Watch::new(SETTLE_MS);
        names(&mut watch, 0, &[("a", stamp(0))]);
        assert!(names(&mut watch, EMPTY_SETTLE_MS - 1, &[("a", stamp(0))]).is_empty());
        assert_eq!(names(&mut watch, EMPTY_SETTLE_MS, &[("a", stamp(0))]), ["a"]);
    }

    #[test]
    fn a_writer_that_is_seen_begins_the_wait_again() {
        let mut watch = Watch::new(SETTLE_MS);
        names(&mut watch, 0, &[("a", stamp(5))]);
        watch.disturb(SETTLE_MS, "a");
        assert!(names(&mut watch, SETTLE_MS + 1, &[("a", stamp(5))]).is_empty());
        assert_eq!(names(&mut watch, 2 * SETTLE_MS, &[("a", stamp(5))]), ["a"]);
    }
}
