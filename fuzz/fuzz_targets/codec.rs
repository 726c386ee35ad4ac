//! Any bytes as a sample entry or an H.264 parameter set: no panic, and a codec always has a name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use matinee_core::media::boxes::Part;
use matinee_core::media::{codec, h264};

fuzz_target!(|input: &[u8]| {
    let _ = h264::sequence_parameters(input);
    let Ok(entry) = Part::first(input) else { return };
    for entry in
        [codec::video(&entry), codec::audio(&entry, 0), codec::audio(&entry, 1)].into_iter().flatten()
    {
        assert!(!entry.codec.is_empty());
    }
});
