//! Any bytes as a whole file: what of it can be played as it is lies inside of it; and any bytes as a head of ours.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use matinee_core::media::chunk::{Place, rehead};
use matinee_core::media::init::Init;
use matinee_core::media::layout::{layout, layout_so_far};
use matinee_core::media::{Indexer, Step};

/// More samples than this are not laid out, because one size for all of them costs no bytes.
const SAMPLES_MAX: usize = 1 << 16;

fuzz_target!(|file: &[u8]| {
    let _ = Init::read(&Bytes::copy_from_slice(file));
    let mut indexer = Indexer::new(file.len() as u64);
    let mut answer: &[u8] = b"";
    let index = loop {
        match indexer.step(answer) {
            Ok(Step::Read { offset, len }) => answer = &file[offset as usize..][..len as usize],
            Ok(Step::Done(index)) => break index,
            Err(_) => return,
        }
    };
    if index.tracks.iter().any(|track| track.samples.len() > SAMPLES_MAX) {
        return;
    }
    for laid in [layout(&index), layout_so_far(&index)].into_iter().flatten() {
        for track in laid.tracks {
            assert_eq!(track.rows.len(), track.reaches.len());
            assert!(track.reaches.iter().all(|reach| *reach <= file.len() as u64));
        }
    }
    let place =
        Place { first_segment: 1, first_frame: 0, segment_frames: 100, ticks_per_frame: 512, reorder_frames: 2 };
    let _ = rehead(&index, &place);
});
