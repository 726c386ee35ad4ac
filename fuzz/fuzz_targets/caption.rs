//! Any bytes as a file of captions: no panic, and what is made of it is proven WebVTT.
#![no_main]

use libfuzzer_sys::fuzz_target;
use matinee_core::caption::{fitted, read, verify, write};

/// Two hours.
const LENGTH_MS: i64 = 7_200_000;

fuzz_target!(|input: (i32, &[u8])| {
    let (shift_ms, bytes) = input;
    let Ok(cues) = read(bytes) else { return };
    let kept = fitted(cues, i64::from(shift_ms), LENGTH_MS);
    let text = write(&kept);
    assert_eq!(verify(text.as_bytes(), LENGTH_MS), Ok(kept.len()), "{text}");
});
