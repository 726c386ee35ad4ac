//! How the sizes of a video were judged by the gate of its pipeline.

use matinee_core::gate;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// One size, as short samples of it came out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Judged {
    /// Its short side in pixels.
    short_side: u32,
    /// How like the source it looks when both are as large as the largest size: SSIM from 0 to 1.
    ssim: f64,
    /// What the whole video takes in this size, in bytes, as far as samples can tell.
    bytes: u64,
    /// It is made; else it adds too little to the next smaller one.
    made: bool,
}

impl Judged {
    /// What a stored plan says of all sizes, the largest first; empty without a gate.
    pub(super) fn all(plan: &Value) -> Vec<Self> {
        let stored = plan.get("judged").cloned().unwrap_or_default();
        let all: Vec<gate::Judged> = serde_json::from_value(stored).unwrap_or_default();
        let one = |one: gate::Judged| Self {
            short_side: one.short,
            ssim: f64::from(one.ssim) / 10_000.0,
            bytes: one.bytes,
            made: one.kept,
        };
        all.into_iter().map(one).collect()
    }
}
