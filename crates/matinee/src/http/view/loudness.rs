//! How loud a sound was, as JSON.

use matinee_core::loudness::Leveled;
use serde::Serialize;
use utoipa::ToSchema;

/// How loud a sound of the source was.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Loudness {
    /// Its integrated loudness in LUFS (ITU-R BS.1770); silence is -70.
    measured_lufs: f64,
    /// By how much it was made louder, in dB.
    gain_db: f64,
}

impl Loudness {
    /// What a reader sees of it.
    pub(super) fn of(leveled: Leveled) -> Self {
        let whole = |tenths: i32| f64::from(tenths) / 10.0;
        Self { measured_lufs: whole(leveled.loudness_tenths), gain_db: whole(leveled.gain_tenths) }
    }
}
