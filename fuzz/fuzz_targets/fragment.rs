//! Any bytes as a `moof` box at any place: no panic, and the runs of a track follow each other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use matinee_core::media::fragmented::{Trex, fragment};
use matinee_core::media::runs::Defaults;

fuzz_target!(|input: (u64, u64, u32, u32, &[u8])| {
    let (offset, next_dts, duration, size, body) = input;
    let trex = Trex { track_id: 1, defaults: Defaults { duration, size, flags: 0 }, next_dts };
    let mut moof = (body.len() as u32 + 8).to_be_bytes().to_vec();
    moof.extend(b"moof");
    moof.extend(body);
    let Ok(trafs) = fragment(&moof, offset, &[trex, Trex { track_id: 2, ..trex }]) else { return };
    for traf in trafs {
        let mut dts = traf.base_dts;
        for run in &traf.runs {
            assert_eq!(run.dts(), dts);
            dts = run.end_dts();
            let last = run.iter().take(1 << 16).last().expect("a run has samples");
            assert!(last.end() <= run.end());
        }
        assert_eq!(dts, traf.end_dts);
    }
});
