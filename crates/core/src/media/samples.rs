//! The samples of one track, kept as compactly as the file keeps them.

use super::runs::{Run, gather};
use super::sample::Sample;
use super::tables::Tables;

/// Every sample of a track, in decode order: first those of the tables in `moov`, then those of the fragments.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    tables: Tables,
    runs: Vec<Run>,
}

/// Sums over the samples of one track, in bytes and in ticks of the track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// Number of samples.
    pub count: u64,
    /// Bytes of all samples.
    pub bytes: u64,
    /// Bytes of the largest sample.
    pub bytes_max: u32,
    /// Decode time of the first sample.
    pub first_dts: u64,
    /// Decode time of the last sample and its duration.
    pub end_dts: u64,
    /// The smallest composition time.
    pub first_pts: i64,
    /// The largest composition time with the duration of its sample.
    pub end_pts: i64,
    /// Number of sync samples.
    pub syncs: u64,
    /// The largest time without a sync sample: before the first, between two, or behind the last.
    pub sync_distance_ticks: u64,
    /// True when every decode time is larger than the one before.
    pub rises: bool,
    /// True when composition offsets differ, so pictures are reordered.
    pub reordered: bool,
    /// True when a picture that follows a sync sample is shown before it, so a cut there loses it (open GOP).
    pub leading: bool,
    /// The shortest duration of any sample but the last.
    pub duration_min_ticks: u32,
    /// The longest duration of any sample but the last.
    pub duration_max_ticks: u32,
}

impl Facts {
    /// Mean bit rate in bits per second, rounded up; 0 for a track without a duration.
    pub fn bits_per_second(&self, timescale: u32) -> u64 {
        let ticks = u128::from(self.end_dts.saturating_sub(self.first_dts));
        let bits = u128::from(self.bytes) * 8 * u128::from(timescale);
        if ticks == 0 { 0 } else { u64::try_from(bits.div_ceil(ticks)).unwrap_or(u64::MAX) }
    }
}

impl Samples {
    pub(super) const fn from_tables(tables: Tables) -> Self {
        Self { tables, runs: Vec::new() }
    }

    pub(super) fn push(&mut self, run: Run) {
        self.runs.push(run);
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.tables.count() as usize + self.runs.iter().map(|run| run.count() as usize).sum::<usize>()
    }

    /// True when there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every sample in decode order, made as it is asked for.
    pub fn iter(&self) -> impl Iterator<Item = Sample> + '_ {
        self.tables.iter().chain(self.runs.iter().flat_map(Run::iter))
    }

    /// The sync samples and their numbers, from 0.
    pub fn syncs(&self) -> impl Iterator<Item = (usize, Sample)> + '_ {
        self.iter().enumerate().filter(|(_, sample)| sample.sync)
    }

    /// Decode time behind the last sample in ticks, without going through all samples.
    pub fn end_dts(&self) -> u64 {
        self.runs.last().map_or_else(|| self.tables.end_dts(), Run::end_dts)
    }

    /// Bytes of memory that the samples keep.
    pub fn held_bytes(&self) -> usize {
        self.tables.held_bytes() + self.runs.iter().map(Run::held_bytes).sum::<usize>()
    }

    /// Goes through all samples once and adds them up.
    pub fn facts(&self) -> Facts {
        let mut facts = Facts { rises: true, duration_min_ticks: u32::MAX, ..Facts::default() };
        let mut before: Option<Sample> = None;
        let (mut last_sync, mut sync_pts) = (0, i64::MIN);
        for sample in self.iter() {
            match before {
                None => {
                    facts.first_dts = sample.dts;
                    (facts.first_pts, facts.end_pts) = (sample.pts(), sample.pts());
                    last_sync = sample.dts;
                }
                Some(before) => facts.follow(before, sample),
            }
            facts.add(sample);
            if sample.sync {
                facts.syncs += 1;
                facts.sync_distance_ticks =
                    facts.sync_distance_ticks.max(sample.dts.saturating_sub(last_sync));
                (last_sync, sync_pts) = (sample.dts, sample.pts());
            }
            facts.leading |= sample.pts() < sync_pts;
            before = Some(sample);
        }
        facts.sync_distance_ticks = facts.sync_distance_ticks.max(facts.end_dts.saturating_sub(last_sync));
        facts.duration_min_ticks = facts.duration_min_ticks.min(facts.duration_max_ticks);
        facts
    }
}

impl Facts {
    fn add(&mut self, sample: Sample) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(u64::from(sample.size));
        self.bytes_max = self.bytes_max.max(sample.size);
        self.end_dts = sample.dts.saturating_add(u64::from(sample.duration));
        self.first_pts = self.first_pts.min(sample.pts());
        self.end_pts = self.end_pts.max(sample.pts().saturating_add(i64::from(sample.duration)));
    }

    fn follow(&mut self, before: Sample, sample: Sample) {
        self.rises &= sample.dts > before.dts;
        self.reordered |= sample.cts != before.cts;
        self.duration_min_ticks = self.duration_min_ticks.min(before.duration);
        self.duration_max_ticks = self.duration_max_ticks.max(before.duration);
    }
}

impl FromIterator<Sample> for Samples {
    fn from_iter<I: IntoIterator<Item = Sample>>(samples: I) -> Self {
        Self { tables: Tables::default(), runs: gather(samples) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(rows: &[(u64, i32, bool)]) -> Facts {
        let sample = |&(dts, cts, sync)| Sample { offset: 0, size: 1, dts, cts, duration: 10, sync };
        rows.iter().map(sample).collect::<Samples>().facts()
    }

    #[test]
    fn a_picture_shown_before_its_key_frame_is_leading() {
        assert!(facts(&[(0, 10, true), (10, 20, true), (20, 0, false)]).leading);
        assert!(!facts(&[(0, 10, true), (10, 20, false), (20, 0, false), (30, 10, true)]).leading);
    }

    #[test]
    fn times_that_stand_still_or_fall_are_told() {
        assert!(facts(&[(0, 0, true), (10, 0, true)]).rises);
        assert!(!facts(&[(0, 0, true), (0, 0, true)]).rises);
        let falling = facts(&[(100, 0, true), (10, 0, true)]);
        assert!(!falling.rises);
        assert_eq!(falling.bits_per_second(1000), 0);
    }

    #[test]
    fn the_largest_distance_counts_the_time_before_the_first_and_behind_the_last_key() {
        let distance = |keys: [bool; 4]| {
            let rows: Vec<_> = (0..).step_by(10).zip(keys).map(|(dts, sync)| (dts, 0, sync)).collect();
            facts(&rows).sync_distance_ticks
        };
        assert_eq!(distance([true; 4]), 10);
        assert_eq!(distance([true, false, false, true]), 30);
        assert_eq!(distance([true, false, false, false]), 40);
        assert_eq!(distance([false, false, true, true]), 20);
    }

    #[test]
    fn samples_at_the_end_of_all_numbers_are_gathered_without_a_panic() {
        let far = Sample { offset: u64::MAX, size: 9, dts: u64::MAX, cts: i32::MAX, duration: 9, sync: true };
        let samples: Samples = [far, far].into_iter().collect();
        assert_eq!(samples.iter().count(), 2);
        assert_eq!(samples.facts().end_pts, i64::MAX);
    }

    #[test]
    fn no_samples_have_no_facts() {
        let none = Samples::default().facts();
        assert_eq!(none, Facts { rises: true, ..Facts::default() });
        assert_eq!(none.bits_per_second(1000), 0);
    }
}
