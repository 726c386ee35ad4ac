//! Which renditions a picture gets: sizes by the short side, never larger than the source.

use crate::pipeline::Hdr;
use crate::video::UNMARKED;

use super::{Codec, Color, Family, Light, Mode, Pipeline, Preset, Quality, Range, Rate, Rendition};

/// Short sides of the ladder in pixels and their caps in kbit/s, largest first.
const STEPS: [(u32, u32); 7] =
    [(2_160, 14_000), (1_440, 7_700), (1_080, 5_000), (720, 3_000), (480, 1_500), (360, 950), (240, 500)];
/// A rendition needs at most this share of the next larger one's short side, in percent.
const DISTANCE_PERCENT: u32 = 85;
/// Renditions up to this short side take every second frame of a grid above 30.
const HALF_RATE_SHORT_MAX: u32 = 480;
/// Below this no encoder gives a picture that can be recognised, in kbit/s.
const CAP_KBPS_MIN: u32 = 64;

/// The ladder of a picture that is shown in this width and height, largest first; `bit_rate` of the source in bit/s.
pub fn ladder(
    (width, height): (u32, u32),
    bit_rate: Option<u64>,
    rate: Rate,
    pipeline: &Pipeline,
) -> Vec<Rendition> {
    let source = Source { width, height, bit_rate };
    let short = width.min(height);
    let sides = if pipeline.sizes.is_empty() { short_sides(short) } else { wanted(short, &pipeline.sizes) };
    sides.into_iter().map(|short| source.rendition(short, rate, pipeline.quality)).collect()
}

/// What is made in the background of the same sizes; `bright` is what a source says of itself that shows more than a usual
/// screen.
pub fn background(ladder: &[Rendition], pipeline: &Pipeline, bright: Option<(&Color, Light)>) -> Vec<Family> {
    let usual = [Codec::Vp9, Codec::Av1].into_iter().filter(|codec| pipeline.codecs.contains(codec));
    let usual = usual.map(|codec| (codec, Range::Standard));
    let kept = bright.filter(|_| pipeline.hdr == Hdr::Keep).into_iter().flat_map(|(color, light)| {
        let range = move || Range::Kept { color: color.clone(), light };
        [Codec::Av1, Codec::Hevc]
            .into_iter()
            .filter(|codec| pipeline.hdr_codecs.contains(codec))
            .map(move |codec| (codec, range()))
    });
    let family = |(codec, range): (Codec, Range)| {
        let fitting = ladder.iter().filter(|one| one.width.min(one.height) >= codec.side_min());
        let renditions = fitting.map(|one| translated(one, codec, &range)).collect();
        Family { codec, range, unmarked: false, renditions }
    };
    let families = usual.chain(kept).map(family).filter(|family| !family.renditions.is_empty());
    let keeps = pipeline.watermark.as_ref().is_some_and(|watermark| watermark.keep_unmarked);
    families.chain(ladder.first().filter(|_| keeps).map(unmarked)).collect()
}

/// The largest size as it is before the watermark is laid on.
fn unmarked(top: &Rendition) -> Family {
    let id = format!("{UNMARKED}{}", top.width.min(top.height));
    let renditions = vec![Rendition { id, ..top.clone() }];
    Family { codec: top.codec, range: Range::Standard, unmarked: true, renditions }
}

/// The same size and frames in another codec, at about the same quality.
fn translated(h264: &Rendition, codec: Codec, range: &Range) -> Rendition {
    let (crf, percent) = match codec {
        Codec::H264 => (h264.crf, 100),
        Codec::Vp9 => (33, 75),
        Codec::Av1 => (33, 60),
        Codec::Hevc => (24, 80),
    };
    let short = h264.width.min(h264.height);
    let (id, percent) = match range {
        Range::Standard => (format!("{}-{short}", codec.name()), percent),
        // What is brighter than a usual screen takes some more.
        Range::Kept { .. } => (format!("{}-hdr-{short}", codec.name()), percent * 5 / 4),
    };
    let max_kbps = (h264.max_kbps * percent / 100).max(CAP_KBPS_MIN);
    Rendition { id, codec, crf, max_kbps, ..h264.clone() }
}

/// The wanted short sides that a source of this one has, largest first; its own when all are larger.
fn wanted(source: u32, sizes: &[u32]) -> Vec<u32> {
    let mut fitting: Vec<u32> = sizes.iter().copied().filter(|size| *size <= source).collect();
    fitting.sort_unstable_by(|a, b| b.cmp(a));
    if fitting.is_empty() {
        fitting.push(even(source));
    }
    fitting
}

/// The short sides for a source with this short side.
fn short_sides(source: u32) -> Vec<u32> {
    // Above the largest step that step is the top; between two steps the source's own size is.
    let top = even(source.min(STEPS[0].0));
    let mut sides = vec![top];
    for (step, _) in STEPS {
        let next = sides[sides.len() - 1];
        if step < top && u64::from(step) * 100 <= u64::from(next) * u64::from(DISTANCE_PERCENT) {
            sides.push(step);
        }
    }
    sides
}

/// The largest even number that is not above `side`, but at least 2.
const fn even(side: u32) -> u32 {
    let down = side - side % 2;
    if down < 2 { 2 } else { down }
}

struct Source {
    width: u32,
    height: u32,
    bit_rate: Option<u64>,
}

impl Source {
    fn rendition(&self, short: u32, rate: Rate, quality: Quality) -> Rendition {
        let (width, height) = self.size(short);
        let half = short <= HALF_RATE_SHORT_MAX && rate.above(30);
        let (preset, crf) = match quality {
            Quality::Default => (Preset::Veryfast, 21),
            Quality::High => (Preset::Medium, 23),
        };
        Rendition {
            id: format!("h264-{short}"),
            mode: Mode::Encode,
            codec: Codec::H264,
            width,
            height,
            every: if half { 2 } else { 1 },
            crf,
            max_kbps: self.cap_kbps(short, width, height),
            preset,
            threads: 1,
        }
    }

    fn size(&self, short: u32) -> (u32, u32) {
        let own = self.width.min(self.height);
        let scaled = |side: u32| {
            let exact = u64::from(side) * u64::from(short) / u64::from(own.max(1));
            // The own size keeps its long side: 641x361 becomes 640x360, not 639x360.
            let side = if even(own) == short { side } else { u32::try_from(exact).unwrap_or(u32::MAX) };
            even(side)
        };
        if self.width <= self.height { (short, scaled(self.height)) } else { (scaled(self.width), short) }
    }

    /// The table's cap, or what the source's own bit rate is worth at this size, whichever is lower.
    fn cap_kbps(&self, short: u32, width: u32, height: u32) -> u32 {
        let table = table_kbps(short);
        let Some(bit_rate) = self.bit_rate.filter(|rate| *rate > 0) else { return table };
        let area = u64::from(width) * u64::from(height);
        let source = (u64::from(self.width) * u64::from(self.height)).max(1);
        let worth = (u128::from(bit_rate) * 11 * three_quarters(area.min(source), source) / 10_000) >> 32;
        u32::try_from(worth).unwrap_or(u32::MAX).clamp(CAP_KBPS_MIN, table.max(CAP_KBPS_MIN))
    }
}

/// (a / b)^0.75 times 2^32, in whole numbers so that every machine plans the same; a is at most b.
fn three_quarters(a: u64, b: u64) -> u128 {
    let ratio = (u128::from(a) << 32) / u128::from(b);
    let root = (ratio << 32).isqrt();
    (ratio * root).isqrt()
}

/// The table's cap for any short side: between two steps on a straight line, beyond them by the area^0.75 law.
fn table_kbps(short: u32) -> u32 {
    let law = |(step, cap): (u32, u32)| {
        // area^0.75 is short side^1.5.
        let (side, step) = (u128::from(short), u128::from(step));
        let scaled = u128::from(cap) * 1_000 * side * side.isqrt().max(1) / (step * step.isqrt());
        u32::try_from(scaled / 1_000).unwrap_or(u32::MAX).max(CAP_KBPS_MIN)
    };
    let below = STEPS.iter().position(|(step, _)| *step <= short);
    match below {
        Some(0) => law(STEPS[0]),
        None => law(STEPS[STEPS.len() - 1]),
        Some(found) => {
            let ((low, low_cap), (high, high_cap)) = (STEPS[found], STEPS[found - 1]);
            low_cap + (high_cap - low_cap) * (short - low) / (high - low)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sizes(width: u32, height: u32) -> Vec<(u32, u32)> {
        let all = ladder((width, height), None, Rate::of(25, 1), &Pipeline::default());
        all.iter().map(|one| (one.width, one.height)).collect()
    }

    #[test]
    fn the_short_side_counts_and_nothing_is_enlarged() {
        assert_eq!(sizes(1_920, 1_080), [(1_920, 1_080), (1_280, 720), (852, 480), (640, 360), (426, 240)]);
        assert_eq!(sizes(720, 1_280), [(720, 1_280), (480, 852), (360, 640), (240, 426)]);
        assert_eq!(sizes(960, 528), [(960, 528), (654, 360), (436, 240)]);
        assert_eq!(sizes(641, 361), [(640, 360), (426, 240)]);
        assert_eq!(sizes(100, 60), [(100, 60)]);
        assert_eq!(sizes(1, 1), [(2, 2)]);
        assert_eq!(sizes(7_680, 4_320)[0], (3_840, 2_160));
    }

    #[test]
    fn a_pipeline_names_its_sizes_and_enlarges_nothing() {
        let shorts = |short: u32, sizes: &[u32]| {
            let pipeline = Pipeline { sizes: sizes.to_vec(), ..Pipeline::default() };
            let all = ladder((short * 2, short), None, Rate::of(25, 1), &pipeline);
            all.iter().map(|one| one.height).collect::<Vec<_>>()
        };
        assert_eq!(shorts(1_080, &[480, 720]), [720, 480]);
        assert_eq!(shorts(600, &[480, 720]), [480]);
        assert_eq!(shorts(361, &[480, 720]), [360]);
        assert_eq!(shorts(2_160, &[1_080, 1_000]), [1_080, 1_000]);
    }

    #[test]
    fn a_rendition_within_fifteen_percent_of_the_next_larger_one_is_dropped() {
        let shorts = |short: u32| short_sides(short);
        assert_eq!(shorts(564), [564, 360, 240]);
        assert_eq!(shorts(566), [566, 480, 360, 240]);
        assert_eq!(shorts(1_088), [1_088, 720, 480, 360, 240]);
        assert_eq!(shorts(282), [282]);
        assert_eq!(shorts(284), [284, 240]);
    }

    #[test]
    fn small_renditions_of_a_fast_grid_take_every_second_frame() {
        let every = |rate: Rate| {
            let all = ladder((1_280, 720), None, rate, &Pipeline::default());
            all.iter().map(|one| one.every).collect::<Vec<_>>()
        };
        assert_eq!(every(Rate::of(30, 1)), [1, 1, 1, 1]);
        assert_eq!(every(Rate::of(48, 1)), [1, 2, 2, 2]);
    }

    #[test]
    fn the_cap_follows_the_source_and_never_drops_a_rendition() {
        let caps = |bit_rate| {
            let all = ladder(
                (1_920, 1_080),
                bit_rate,
                Rate::of(25, 1),
                &Pipeline { quality: Quality::High, ..Pipeline::default() },
            );
            all.iter().map(|one| one.max_kbps).collect::<Vec<_>>()
        };
        assert_eq!(caps(None), [5_000, 3_000, 1_500, 950, 500]);
        assert_eq!(caps(Some(20_000_000)), [5_000, 3_000, 1_500, 950, 500]);
        // 2 Mbit/s: 2200 x (4/9)^0.75 = 1197.5 for 720p.
        assert_eq!(caps(Some(2_000_000))[..2], [2_200, 1_197]);
        assert_eq!(caps(Some(1_000)), [64, 64, 64, 64, 64]);
    }

    #[test]
    fn quality_chooses_preset_and_rate_factor() {
        let one = |quality| {
            let all = ladder((640, 360), None, Rate::of(25, 1), &Pipeline { quality, ..Pipeline::default() });
            (all[0].preset, all[0].crf)
        };
        assert_eq!(one(Quality::Default), (Preset::Veryfast, 21));
        assert_eq!(one(Quality::High), (Preset::Medium, 23));
    }

    proptest! {
        #[test]
        fn every_ladder_is_even_falling_and_within_the_source(width in 2_u32..8_192, height in 2_u32..8_192, bits in 1_u64..1 << 40) {
            let all = ladder((width, height), Some(bits), Rate::of(60, 1), &Pipeline::default());
            prop_assert!(!all.is_empty());
            for one in &all {
                prop_assert!(one.width % 2 == 0 && one.height % 2 == 0 && one.width <= width && one.height <= height);
                prop_assert!(one.max_kbps >= CAP_KBPS_MIN);
            }
            for pair in all.windows(2) {
                prop_assert!(pair[1].height.min(pair[1].width) < pair[0].height.min(pair[0].width));
                prop_assert!(pair[1].max_kbps <= pair[0].max_kbps);
                prop_assert!(pair[1].every >= pair[0].every);
            }
        }
    }
}
