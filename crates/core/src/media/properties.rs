//! What must hold for every source (delivery.md 5.4): nothing lost, nothing twice, all times and bytes the same.

use bytes::Bytes;
use proptest::prelude::*;

use super::fragment::Fragment;
use super::hybrid::{Hybrid, SegmentIn, TrackIn, hybrid};
use super::index::{Indexer, Step};
use super::init::{Init, Medium};
use super::layout::{Layout, LayoutTrack, Unfit, layout, layout_so_far};
use super::made::{Source, bytes_of, sources};
use super::rope::{Piece, Rope};
use super::sample::Sample;
use super::segment::{Row, virtual_pieces};
use super::track::{Edit, Index, Track, TrackKind};

/// The rope of segment `row` of a virtual layout.
fn segment(layout: &Layout, row: &Row) -> Rope<u8> {
    let from = usize::try_from(row.offset).unwrap();
    let until = from + (row.head_len + row.ranges_len) as usize;
    virtual_pieces(row, &layout.sidecar.slice(from..until), 0).unwrap()
}

fn head(layout: &Layout, row: &Row) -> Bytes {
    let from = usize::try_from(row.offset).unwrap();
    layout.sidecar.slice(from..from + row.head_len as usize)
}

fn medium(track: &LayoutTrack) -> Medium {
    Init::read(&track.init).unwrap().medium
}

fn hybrid_of(layout: &Layout) -> Hybrid<u8> {
    let of = |track: &LayoutTrack| TrackIn {
        init: track.init.clone(),
        segments: track
            .rows
            .iter()
            .map(|row| SegmentIn { row: *row, head: head(layout, row), rope: segment(layout, row) })
            .collect(),
    };
    let is_video = |track: &&LayoutTrack| matches!(track.kind, TrackKind::Video { .. });
    let video = layout.tracks.iter().find(is_video).map(of);
    hybrid(video, layout.tracks.iter().find(|track| !is_video(track)).map(of)).unwrap()
}

/// The index of a file in memory, as the reading side sees it.
fn read(bytes: &[u8]) -> Index {
    let mut indexer = Indexer::new(bytes.len() as u64);
    let mut step = indexer.step(b"").unwrap();
    loop {
        match step {
            Step::Done(index) => return *index,
            Step::Read { offset, len } => {
                let from = usize::try_from(offset).unwrap();
                step = indexer.step(&bytes[from..from + usize::try_from(len).unwrap()]).unwrap();
            }
        }
    }
}

/// What a sample is, wherever it lies: its bytes, times and size.
fn content(samples: impl IntoIterator<Item = Sample>, bytes: &[u8]) -> Vec<(Vec<u8>, u64, i32, u32)> {
    let of = |sample: Sample| {
        let from = usize::try_from(sample.offset).unwrap();
        (bytes[from..from + sample.size as usize].to_vec(), sample.dts, sample.cts, sample.duration)
    };
    samples.into_iter().map(of).collect()
}

/// The samples of a source as its segments must have them: an empty edit at the begin is part of the time.
fn wanted(source: &Source, track: &Track) -> Vec<(Vec<u8>, u64, i32, u32)> {
    let Edit::Plain { lead_ticks, .. } = track.edit else { panic!("a plain edit") };
    let late = |sample: Sample| Sample { dts: sample.dts + lead_ticks, ..sample };
    content(track.samples.iter().map(late), &source.bytes)
}

/// A layout, unless the source is one of the few made-up ones that cannot have one.
fn laid_out(index: &Index) -> Result<Layout, TestCaseError> {
    match layout(index) {
        Ok(layout) => Ok(layout),
        Err(Unfit::Silence { .. } | Unfit::Late { .. }) => {
            Err(TestCaseError::reject("sound and picture are far apart"))
        }
        Err(other) => Err(TestCaseError::fail(format!("{other}"))),
    }
}

proptest! {
    #[test]
    fn every_sample_is_in_one_segment_in_order_with_its_times(source in sources()) {
        let layout = laid_out(&source.index)?;
        prop_assert_eq!(layout.tracks.len(), source.index.tracks.len());
        for (track, original) in layout.tracks.iter().zip(&source.index.tracks) {
            let mut found = Vec::new();
            for (sequence, row) in (1..).zip(&track.rows) {
                let rope = segment(&layout, row);
                let bytes = bytes_of(&rope, |_| source.bytes.clone());
                prop_assert_eq!(bytes.len() as u64, row.len);
                let head_len = row.head_len as usize;
                let fragment = Fragment::read(medium(track), &bytes[..head_len]).unwrap();
                prop_assert_eq!(fragment.sequence, sequence);
                prop_assert_eq!(fragment.samples[0].size, row.key_len);
                found.extend(content(fragment.samples, &bytes[head_len..]));
            }
            prop_assert_eq!(found, wanted(&source, original));
            prop_assert_eq!(track.samples, original.samples.len() as u64);
        }
    }

    #[test]
    fn segments_follow_each_other_and_sound_begins_with_the_picture(source in sources()) {
        let layout = laid_out(&source.index)?;
        for track in &layout.tracks {
            for pair in track.rows.windows(2) {
                prop_assert_eq!(pair[0].end(), pair[1].start);
            }
        }
        if let [video, audio] = layout.tracks.as_slice() {
            for row in &video.rows[..video.rows.len() - 1] {
                prop_assert!(u64::from(row.duration) >= 12_800 * 3_990 / 1_000);
            }
            for (row, sound) in video.rows.iter().zip(&audio.rows).skip(1) {
                // 48,000 and 12,800 ticks per second: 15 and 4 ticks are the same time. A frame has 1,024 ticks.
                let late = i128::from(sound.start) * 4 - i128::from(row.start) * 15;
                prop_assert!((0..1_024 * 4).contains(&late), "the sound begins {late} sixty-thousandths late");
            }
        }
    }

    #[test]
    fn a_segment_is_the_same_slice_of_the_written_file(source in sources()) {
        let layout = laid_out(&source.index)?;
        let hybrid = hybrid_of(&layout);
        let bytes = bytes_of(&hybrid.rope, |_| source.bytes.clone());
        prop_assert_eq!(bytes.len() as u64, hybrid.rope.len());
        for track in &layout.tracks {
            let stored = match medium(track) {
                Medium::Video { .. } => &hybrid.video_rows,
                Medium::Audio => &hybrid.audio_rows,
            };
            prop_assert_eq!(stored.len(), track.rows.len());
            for (row, place) in track.rows.iter().zip(stored) {
                let wanted = bytes_of(&segment(&layout, row), |_| source.bytes.clone());
                let from = usize::try_from(place.offset).unwrap();
                prop_assert_eq!(&bytes[from..from + wanted.len()], wanted.as_slice());
                let slice = hybrid.rope.slice(place.offset, place.len);
                prop_assert_eq!(bytes_of(&slice, |_| source.bytes.clone()), wanted);
                prop_assert_eq!(*place, Row { offset: place.offset, ranges_len: 0, ..*row });
            }
        }
    }

    #[test]
    fn the_written_file_is_read_back_with_the_times_of_the_source(source in sources()) {
        let layout = laid_out(&source.index)?;
        let hybrid = hybrid_of(&layout);
        let bytes = bytes_of(&hybrid.rope, |_| source.bytes.clone());
        let outer = read(&bytes);
        prop_assert!(!outer.fragmented && outer.moov_first);
        for (track, original) in outer.tracks.iter().zip(&source.index.tracks) {
            let Edit::Plain { lead_ticks, media_time, .. } = track.edit else { panic!("a plain edit") };
            let late = |sample: Sample| Sample { dts: sample.dts + lead_ticks, ..sample };
            prop_assert_eq!(content(track.samples.iter().map(late), &bytes), wanted(&source, original));
            let Edit::Plain { media_time: wanted, .. } = original.edit else { panic!("a plain edit") };
            prop_assert_eq!(media_time, wanted);
            prop_assert_eq!(&track.sample_entry, &original.sample_entry);
            prop_assert_eq!(&track.language, &original.language);
        }
        for track in &layout.tracks {
            let original = source.index.tracks.iter().find(|original| original.id == track.source_track).unwrap();
            let mut inner = track.init.to_vec();
            for row in &track.rows {
                inner.extend(bytes_of(&segment(&layout, row), |_| source.bytes.clone()));
            }
            let found = content(read(&inner).tracks[0].samples.iter(), &inner);
            prop_assert_eq!(found, wanted(&source, original));
        }
    }

    #[test]
    fn a_segment_reaches_as_far_as_its_last_byte_and_never_less_than_the_one_before(source in sources()) {
        let layout = laid_out(&source.index)?;
        for track in &layout.tracks {
            prop_assert_eq!(track.reaches.len(), track.rows.len());
            let mut furthest = 0;
            for (row, reach) in track.rows.iter().zip(&track.reaches) {
                for piece in segment(&layout, row).pieces() {
                    if let Piece::Range { offset, len, .. } = piece {
                        furthest = furthest.max(offset + len);
                    }
                }
                prop_assert_eq!(*reach, furthest);
            }
        }
    }

    #[test]
    fn what_is_listed_of_a_part_of_the_fragments_stays_as_it_is(
        source in sources(), parts in proptest::collection::vec(0_usize..900, 2), negative in any::<bool>(),
    ) {
        let mut whole = Index { fragmented: true, ..source.index };
        if negative {
            // The other form of reordering: offsets below zero, and no edit list that takes a delay back.
            let shifted = |sample: Sample| Sample { cts: sample.cts - 900, ..sample };
            for track in whole.tracks.iter_mut().filter(|track| track.id == 1) {
                track.samples = track.samples.iter().map(shifted).collect();
                track.edit = Edit::NONE;
            }
        }
        let all = match layout(&whole) {
            Err(Unfit::Reordered | Unfit::Edited { .. }) => return Err(TestCaseError::reject("cannot be laid out")),
            _ => laid_out(&whole)?,
        };
        let mut part = whole.clone();
        for (track, taken) in part.tracks.iter_mut().zip(parts) {
            track.samples = track.samples.iter().take(taken).collect();
        }
        // Where nothing can be listed yet, nothing is.
        let Ok(known) = layout_so_far(&part) else { return Ok(()) };
        let common = known.tracks.iter().map(|track| track.rows.len()).min().unwrap_or(0);
        for (track, later) in known.tracks.iter().zip(&all.tracks) {
            prop_assert_eq!(&track.init, &later.init);
            for n in 0..common {
                let (now, then) = (&track.rows[n], &later.rows[n]);
                prop_assert_eq!(Row { offset: 0, ..*now }, Row { offset: 0, ..*then });
                prop_assert_eq!(segment(&known, now), segment(&all, then));
                prop_assert_eq!(track.reaches[n], later.reaches[n]);
            }
        }
    }

    #[test]
    fn no_table_of_samples_makes_the_layout_panic(
        samples in proptest::collection::vec((any::<[u64; 2]>(), any::<[u32; 2]>(), any::<i32>(), any::<bool>()), 0..9),
        (lead_ticks, media_time, length_ticks) in any::<(u64, u64, u64)>(), shift in 0_u32..64, timescale in 1_u32..,
    ) {
        let sample = |(long, short, cts, sync): &([u64; 2], [u32; 2], i32, bool)| Sample {
            offset: long[0] >> shift, size: short[0] >> shift.min(31), dts: long[1] >> shift, cts: *cts >> shift.min(31),
            duration: short[1], sync: *sync,
        };
        let mut sorted: Vec<Sample> = samples.iter().map(sample).collect();
        sorted.sort_by_key(|sample| sample.dts);
        let edit = Edit::Plain {
            lead_ticks: lead_ticks >> shift, media_time: media_time >> shift, length_ticks: length_ticks >> shift,
        };
        for (kind, track) in [super::made::video_track([]), super::made::audio_track([])].into_iter().enumerate() {
            // Samples that cannot be put into a run are no concern of the layout.
            let fits = |s: &Sample| s.offset < 1 << 62 && s.dts < 1 << 62;
            if sorted.iter().all(fits) {
                let track = Track { samples: sorted.iter().copied().collect(), edit, timescale, ..track };
                let index = super::made::index_of(u64::MAX >> kind, vec![track]);
                let _ = layout(&index);
                let _ = layout_so_far(&Index { fragmented: true, ..index });
            }
        }
    }
}
