//! Any bytes as a whole file: the indexer ends, asks only for bytes of the file, and keeps little memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use matinee_core::media::{Indexer, Step};

/// More samples than this are not walked through, because one size for all of them costs no bytes.
const SAMPLES_MAX: usize = 1 << 16;

fuzz_target!(|file: &[u8]| {
    let mut indexer = Indexer::new(file.len() as u64);
    let mut answer: &[u8] = b"";
    let index = loop {
        match indexer.step(answer) {
            Ok(Step::Read { offset, len }) => answer = &file[offset as usize..][..len as usize],
            Ok(Step::Done(index)) => break index,
            Err(_) => return,
        }
    };
    let held: usize = index.tracks.iter().map(|track| track.samples.held_bytes()).sum();
    assert!(held <= 16 * file.len() + 4096);
    for track in index.tracks.iter().filter(|track| track.samples.len() <= SAMPLES_MAX) {
        assert_eq!(track.samples.iter().count(), track.samples.len());
        let _ = (track.samples.facts(), track.check(index.size));
    }
});
