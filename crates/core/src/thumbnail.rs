//! Which still a viewer asks for: any moment and any width, rounded, so that few different ones can be asked for.

use crate::limits::{THUMBNAIL_STEP_MS, THUMBNAIL_WIDTH_MAX, THUMBNAIL_WIDTH_MIN, THUMBNAIL_WIDTH_STEP};

/// Width in pixels when nobody says one.
const WIDTH_DEFAULT: u32 = 640;
/// Where the still is when nobody says it: at a tenth, where the poster is unless somebody chose another place.
const PART_DEFAULT: u64 = 10;

/// One still, by what decides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thumbnail {
    /// Milliseconds from the start, a whole number of steps.
    pub at_ms: u64,
    /// Most pixels of its width; a picture that is smaller stays so.
    pub width: u32,
}

/// What cannot be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Infinite, or no number.
    #[error("`t` must be a number of seconds.")]
    Time,
    /// Outside of what is made.
    #[error("`w` must be from {THUMBNAIL_WIDTH_MIN} to {THUMBNAIL_WIDTH_MAX} pixels.")]
    Width,
}

impl Thumbnail {
    /// The still at so many seconds of a video of this length: inside it, rounded down to a step, and as wide as the next step.
    pub fn of(seconds: Option<f64>, width: Option<u32>, length_ms: u64) -> Result<Self, Refusal> {
        let wanted_ms = seconds.map_or(Ok(length_ms / PART_DEFAULT), milliseconds)?;
        let width = width.unwrap_or(WIDTH_DEFAULT);
        if !(THUMBNAIL_WIDTH_MIN..=THUMBNAIL_WIDTH_MAX).contains(&width) {
            return Err(Refusal::Width);
        }
        let at_ms = wanted_ms.min(length_ms.saturating_sub(1)) / THUMBNAIL_STEP_MS * THUMBNAIL_STEP_MS;
        Ok(Self { at_ms, width: width.next_multiple_of(THUMBNAIL_WIDTH_STEP) })
    }

    /// Its name among the files that are kept of a video, for a generation.
    pub fn name(&self, generation: u32) -> String {
        format!("{generation}-{}-{}.jpg", self.at_ms, self.width)
    }
}

/// Seconds as milliseconds; what lies before the start is the start.
pub fn milliseconds(seconds: f64) -> Result<u64, Refusal> {
    if !seconds.is_finite() {
        return Err(Refusal::Time);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a finite number below zero or above the largest becomes one that is clamped later"
    )]
    Ok((seconds.max(0.0) * 1_000.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_lie_inside_and_widths_on_steps() {
        let of = |at_s: Option<f64>, width| Thumbnail::of(at_s, width, 60_000).map(|it| (it.at_ms, it.width));
        assert_eq!(of(None, None), Ok((6_000, 640)));
        assert_eq!(of(Some(12.54), Some(500)), Ok((12_500, 560)));
        assert_eq!(of(Some(-3.0), Some(16)), Ok((0, 80)));
        assert_eq!(of(Some(1e300), Some(1_920)), Ok((59_900, 1_920)));
        assert_eq!(of(Some(60.0), Some(1_919)), Ok((59_900, 1_920)));
        for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(of(Some(wrong), None), Err(Refusal::Time));
        }
        for wrong in [0, 15, 1_921, u32::MAX] {
            assert_eq!(of(None, Some(wrong)), Err(Refusal::Width));
        }
        assert_eq!(Thumbnail::of(Some(5.0), None, 0).map(|it| it.at_ms), Ok(0), "nothing is there yet");
    }

    #[test]
    fn few_different_ones_can_be_asked_for() {
        let all: std::collections::BTreeSet<String> = (0..2_000)
            .flat_map(|n| (THUMBNAIL_WIDTH_MIN..=THUMBNAIL_WIDTH_MAX).step_by(7).map(move |width| (n, width)))
            .map(|(n, width)| {
                Thumbnail::of(Some(f64::from(n) / 1_000.0), Some(width), 2_000).unwrap().name(2)
            })
            .collect();
        assert_eq!(all.len(), 20 * 24);
    }

    #[test]
    fn a_still_of_one_generation_is_not_that_of_another() {
        let still = Thumbnail::of(Some(1.0), None, 2_000).unwrap();
        assert_ne!(still.name(2), still.name(3));
    }
}
