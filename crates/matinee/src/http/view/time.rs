//! Lengths in seconds, as JSON has them.

/// Milliseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of any video are exact in an f64")]
pub(crate) const fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}
