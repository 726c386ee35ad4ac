//! Videos: their states, and when what is stored of one can be played.

use serde::{Deserialize, Serialize};

use crate::limits;

/// The generation of renditions that gathers bytes of the source itself (instant publish).
pub const VIRTUAL: u32 = 1;
/// The first generation of renditions that we encode; a remake takes the next number. Which one counts is in the video.
pub const FIRST_ENCODED: u32 = 2;

/// How the names of renditions begin that lack the watermark of the others: they are the owner's, and never played.
pub const UNMARKED: &str = "unmarked-";

/// How long the addresses of a video of this length are good, in milliseconds: for two times of watching it.
pub fn addresses_ms(duration_ms: u64) -> i64 {
    limits::PATH_TOKEN_MS.max(i64::try_from(duration_ms).unwrap_or(i64::MAX / 4).saturating_mul(2))
}

/// How long a generation is kept that is not served any more, in milliseconds: addresses of it were given out until now and
/// a little longer, and the moment when they end is rounded up.
pub fn retired_ms(duration_ms: u64) -> i64 {
    let longest = addresses_ms(duration_ms).saturating_add(limits::PATH_TOKEN_ROUND_MS);
    longest.saturating_add(limits::RETIRED_SLACK_MS)
}

/// Where a video is in its life; whether it can be played is another fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Jobs of it are still to be done.
    Processing,
    /// All that can be made of it is there.
    Ready,
    /// It cannot be watched; the reason says why.
    Failed,
}

/// Who may watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Only who may use the app.
    App,
    /// Everybody who has the link.
    Public,
}

/// What went wrong, for programs and for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A stable word.
    pub code: String,
    /// One sentence for people.
    pub human: String,
    /// What one can do about it.
    pub fix: String,
}

/// Where a rendition is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RenditionState {
    /// Planned; nothing of it is there.
    Waiting,
    /// Parts of it are there.
    Encoding,
    /// All of it is there.
    Ready,
    /// It will never be whole.
    Failed,
}

/// What a track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Medium {
    /// A picture.
    Video,
    /// Sound.
    Audio,
}

/// A run of consecutive segments that is stored: `first` counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The number of its first segment.
    pub first: u32,
    /// How many segments it has.
    pub segments: u32,
}

/// How far a track can be played without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartFrontier {
    /// What the track carries.
    pub medium: Medium,
    /// The number of the last segment of the longest run from segment 1; 0 when segment 1 is missing.
    pub frontier: u32,
}

/// The last segment of the longest run from segment 1, in whatever order the parts are given; 0 for none.
pub fn frontier(spans: &[Span]) -> u32 {
    let mut sorted = spans.to_vec();
    sorted.sort_unstable();
    sorted.iter().fold(0, |reached, span| {
        let end = span.first.saturating_add(span.segments).saturating_sub(1);
        if span.first <= reached.saturating_add(1) { reached.max(end) } else { reached }
    })
}

/// The last segment that every track has, counted without a gap; playlists of a growing video end here.
pub fn common_frontier(tracks: &[PartFrontier]) -> u32 {
    tracks.iter().map(|track| track.frontier).min().unwrap_or(0)
}

/// Can a viewer start? Every planned track must have its beginning; a track that has failed, and a sound that is only an
/// alternative, are left out by the caller.
///
/// Segments of sound are cut where segments of the picture begin, so one number serves all tracks.
pub fn playable(tracks: &[PartFrontier]) -> bool {
    common_frontier(tracks) >= 1
}

/// What is known of a video's generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generations {
    /// The virtual tracks of the source are there.
    pub virtual_set: bool,
    /// Every encoded rendition that has not failed is whole, and there is one with what the source has.
    pub encoded_whole: bool,
    /// The encoded renditions can be played up to a frontier.
    pub encoded_growing: bool,
}

/// Which generation viewers get, when `encoding` is the one that we encode; 0 for none.
///
/// A whole ladder is best. Until then the source itself, because it is complete. Else what grows.
pub const fn served(generations: Generations, encoding: u32) -> u32 {
    if generations.encoded_whole {
        encoding
    } else if generations.virtual_set {
        VIRTUAL
    } else if generations.encoded_growing {
        encoding
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn span(first: u32, segments: u32) -> Span {
        Span { first, segments }
    }

    const fn track(medium: Medium, frontier: u32) -> PartFrontier {
        PartFrontier { medium, frontier }
    }

    #[test]
    fn a_generation_outlives_addresses_that_another_node_gives_out_a_little_later() {
        for duration_ms in [0, 60_000, 10 * 3_600_000] {
            // The same for a token: it ends at the next full hour after its time.
            let longest = addresses_ms(duration_ms) + limits::PATH_TOKEN_ROUND_MS;
            assert!(retired_ms(duration_ms) >= longest + 2 * 60_000);
        }
    }

    #[test]
    fn a_gap_ends_the_frontier() {
        assert_eq!(frontier(&[]), 0);
        assert_eq!(frontier(&[span(2, 5)]), 0, "segment 1 is missing");
        assert_eq!(frontier(&[span(5, 2), span(1, 1), span(2, 2)]), 3, "segment 4 is missing");
        assert_eq!(frontier(&[span(4, 1), span(5, 2), span(1, 1), span(2, 2)]), 6);
    }

    #[test]
    fn all_planned_tracks_must_have_begun() {
        assert!(!playable(&[]));
        assert!(!playable(&[track(Medium::Video, 1), track(Medium::Video, 0), track(Medium::Audio, 3)]));
        assert!(!playable(&[track(Medium::Video, 4), track(Medium::Audio, 0)]));
        assert!(playable(&[track(Medium::Video, 1), track(Medium::Video, 1), track(Medium::Audio, 3)]));
        assert!(playable(&[track(Medium::Audio, 1)]), "sound alone");
    }

    #[test]
    fn a_complete_source_is_better_than_a_growing_ladder() {
        let at = |virtual_set, encoded_whole, encoded_growing| {
            served(Generations { virtual_set, encoded_whole, encoded_growing }, 5)
        };
        assert_eq!(at(true, true, true), 5);
        assert_eq!(at(true, false, true), VIRTUAL);
        assert_eq!(at(false, false, true), 5);
        assert_eq!(at(false, false, false), 0);
    }

    proptest! {
        #[test]
        fn the_frontier_does_not_depend_on_the_order(lens in prop::collection::vec(1_u32..9, 1..12), keep in prop::collection::vec(any::<bool>(), 12), seed: u64) {
            let mut spans = Vec::new();
            let (mut first, mut whole, mut expected) = (1, true, 0);
            for (len, keep) in lens.iter().zip(&keep) {
                if *keep {
                    spans.push(span(first, *len));
                    if whole { expected = first + len - 1; }
                } else {
                    whole = false;
                }
                first += len;
            }
            let turn = usize::try_from(seed % 12).unwrap() % spans.len().max(1);
            spans.rotate_left(turn);
            prop_assert_eq!(frontier(&spans), expected);
        }
    }
}
