//! How full a disk may be before new work waits.

use crate::limits::DISK_PLENTY_BYTES;

/// Two marks on a disk, in percent of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// From here on nothing new is let in.
    pub admit: u8,
    /// From here on nothing that writes goes on or begins.
    pub work: u8,
}

/// What a disk still allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Roomy,
    /// What has begun goes on; nothing new is let in.
    High,
    /// Nothing that writes.
    Full,
}

/// What a disk is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that may still be written.
    pub free: u64,
    /// Bytes that may be written in all, those that are used included.
    pub total: u64,
}

impl Room {
    /// How much of it is used, in whole percent, rounded down.
    pub fn used_percent(self) -> u8 {
        let used = u128::from(self.total.saturating_sub(self.free)) * 100;
        u8::try_from(used / u128::from(self.total.max(1))).unwrap_or(100)
    }

    /// What it still allows. A tenth of a large disk is more than anything here needs.
    pub fn level(self, marks: Marks) -> Level {
        let used = self.used_percent();
        if self.free >= DISK_PLENTY_BYTES || used < marks.admit {
            Level::Roomy
        } else if used < marks.work {
            Level::High
        } else {
            Level::Full
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_high_at_the_first_mark_and_full_at_the_second() {
        let marks = Marks { admit: 90, work: 95 };
        let level = |free, total| Room { free, total }.level(marks);
        let small = [101, 100, 51, 50, 0].map(|free| level(free, 1_000));
        assert_eq!(small, [Level::Roomy, Level::High, Level::High, Level::Full, Level::Full]);
        let vast = DISK_PLENTY_BYTES * 1_000;
        assert_eq!(level(DISK_PLENTY_BYTES, vast), Level::Roomy);
        assert_eq!(level(DISK_PLENTY_BYTES - 1, vast), Level::Full);
        assert_eq!(level(0, 0), Level::Roomy, "a disk of which nothing is known");
    }
}
