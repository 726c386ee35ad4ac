//! DASH manifests (ISO 23009-1) of finished videos: a segment timeline over slices, or a list of byte ranges.

use std::fmt::Write as _;

use super::{Audio, Brightness, Form, Kind, Presentation, Segment, Text, Tiles, Track, Variant};
use crate::plan::Rate;
use crate::storyboard::{COLUMNS, ROWS};

/// Samples per second that sound has.
const SAMPLE_RATES_HZ: [u32; 10] =
    [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];

/// Writes into a `String`, which cannot fail.
macro_rules! put {
    ($text:expr, $($arg:tt)*) => {
        write!($text, $($arg)*).expect("because writing to a String cannot fail")
    };
}

/// The manifest `manifest.mpd` over slice URLs.
pub fn mpd(presentation: &Presentation) -> String {
    document(presentation, &|_| Form::Slices)
}

/// The manifest over byte ranges of each rendition's `file.mp4`; `form` gives a track's initialisation range.
pub fn mpd_ranges(presentation: &Presentation, form: &dyn Fn(&Track) -> Form) -> String {
    document(presentation, form)
}

fn document(presentation: &Presentation, form: &dyn Fn(&Track) -> Form) -> String {
    let tracks = || {
        let video = presentation.variants.iter().map(|one| &one.track);
        video.chain(presentation.audio.iter().map(|one| &one.track))
    };
    let ranged = tracks().any(|track| form(track) != Form::Slices);
    let profile = if ranged { "isoff-main" } else { "isoff-live" };
    let rows: usize = tracks().map(|track| track.segments.len()).sum();
    let mut text = String::with_capacity(1_024 + 64 * rows);
    text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"");
    put!(text, " profiles=\"urn:mpeg:dash:profile:{profile}:2011\" type=\"static\"");
    put!(text, " minBufferTime=\"PT{}S\"", presentation.target_duration_s.max(1));
    let length_ms = tracks().map(length_ms).max().unwrap_or(0);
    put!(text, " mediaPresentationDuration=\"PT{}.{:03}S\">\n", length_ms / 1_000, length_ms % 1_000);
    text.push_str(" <Period id=\"0\" start=\"PT0S\">\n");
    let mut set = 0;
    for family in families(&presentation.variants) {
        video_set(&mut text, set, &family, form);
        set += 1;
    }
    for audio in &presentation.audio {
        audio_set(&mut text, set, audio, form);
        set += 1;
    }
    for one in &presentation.texts {
        text_set(&mut text, set, one, length_ms);
        set += 1;
    }
    if let Some(tiles) = &presentation.tiles {
        image_set(&mut text, set, tiles);
    }
    text.push_str(" </Period>\n</MPD>\n");
    text
}

/// Variants grouped by the first part of their codec and their brightness: players switch only within one family.
fn families(variants: &[Variant]) -> Vec<Vec<&Variant>> {
    let mut all: Vec<((&str, Brightness), Vec<&Variant>)> = Vec::new();
    for variant in variants {
        let codec = &variant.track.codec;
        let family = (codec.split('.').next().unwrap_or(""), variant.brightness);
        match all.iter_mut().find(|(name, _)| *name == family) {
            Some((_, members)) => members.push(variant),
            None => all.push((family, vec![variant])),
        }
    }
    all.into_iter().map(|(_, members)| members).collect()
}

fn video_set(text: &mut String, set: usize, family: &[&Variant], form: &dyn Fn(&Track) -> Form) {
    put!(text, "  <AdaptationSet id=\"{set}\" contentType=\"video\" mimeType=\"video/mp4\"");
    text.push_str(" segmentAlignment=\"true\" startWithSAP=\"1\">\n");
    bright(text, family);
    // The same template for all sizes stands once, above them.
    let shared =
        family.iter().all(|one| form(&one.track) == Form::Slices && same_times(&one.track, &family[0].track));
    if shared {
        segments(text, &family[0].track, Kind::Video, Form::Slices);
    }
    for variant in family {
        representation(text, &variant.track);
        put!(text, " width=\"{}\" height=\"{}\"", variant.width, variant.height);
        let Rate { num, den } = variant.rate;
        if den == 1 {
            put!(text, " frameRate=\"{num}\" sar=\"1:1\"");
        } else {
            put!(text, " frameRate=\"{num}/{den}\" sar=\"1:1\"");
        }
        if shared {
            text.push_str("/>\n");
        } else {
            text.push_str(">\n");
            segments(text, &variant.track, Kind::Video, form(&variant.track));
            text.push_str("   </Representation>\n");
        }
    }
    text.push_str("  </AdaptationSet>\n");
}

/// What pictures are like that a usual screen cannot show, so that players without such a screen pass them over (ISO/IEC
/// 23001-8 in DASH-IF IOP 4.3, section 10.4).
fn bright(text: &mut String, family: &[&Variant]) {
    let transfer = match family.first().map(|one| one.brightness) {
        Some(Brightness::Pq) => 16,
        Some(Brightness::Hlg) => 18,
        Some(Brightness::Standard) | None => return,
    };
    let codes = [("ColourPrimaries", 9), ("TransferCharacteristics", transfer), ("MatrixCoefficients", 9)];
    for (name, code) in codes {
        put!(text, "   <EssentialProperty schemeIdUri=\"urn:mpeg:mpegB:cicp:{name}\" value=\"{code}\"/>\n");
    }
}

/// Whether two tracks are cut at the same ticks.
fn same_times(one: &Track, other: &Track) -> bool {
    let cut = |segment: &Segment| (segment.start_ticks, segment.duration_ticks);
    one.timescale == other.timescale && one.segments.iter().map(cut).eq(other.segments.iter().map(cut))
}

fn audio_set(text: &mut String, set: usize, audio: &Audio, form: &dyn Fn(&Track) -> Form) {
    put!(text, "  <AdaptationSet id=\"{set}\" contentType=\"audio\" mimeType=\"audio/mp4\"");
    if !audio.language.is_empty() {
        put!(text, " lang=\"{}\"", escaped(&audio.language));
    }
    text.push_str(" segmentAlignment=\"true\" startWithSAP=\"1\">\n");
    if !audio.label.is_empty() {
        put!(text, "   <Label>{}</Label>\n", escaped(&audio.label));
    }
    let role = if audio.default { "main" } else { "alternate" };
    put!(text, "   <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"{role}\"/>\n");
    representation(text, &audio.track);
    // A source may count its sound by another clock than its samples; then nothing is better than a wrong number.
    if SAMPLE_RATES_HZ.contains(&audio.rate_hz) {
        put!(text, " audioSamplingRate=\"{}\"", audio.rate_hz);
    }
    text.push_str(">\n");
    text.push_str("    <AudioChannelConfiguration");
    text.push_str(" schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\"");
    put!(text, " value=\"{}\"/>\n", audio.channels);
    segments(text, &audio.track, Kind::Audio, form(&audio.track));
    text.push_str("   </Representation>\n  </AdaptationSet>\n");
}

/// Subtitles are one file for the whole period.
fn text_set(text: &mut String, set: usize, one: &Text, length_ms: u64) {
    put!(text, "  <AdaptationSet id=\"{set}\" contentType=\"text\" mimeType=\"text/vtt\"");
    if !one.language.is_empty() {
        put!(text, " lang=\"{}\"", escaped(&one.language));
    }
    text.push_str(">\n");
    if !one.label.is_empty() {
        put!(text, "   <Label>{}</Label>\n", escaped(&one.label));
    }
    let role = if one.forced { "forced-subtitle" } else { "subtitle" };
    put!(text, "   <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"{role}\"/>\n");
    let bps = one.bytes.saturating_mul(8_000).div_ceil(length_ms.max(1)).max(1);
    put!(text, "   <Representation id=\"{}\" bandwidth=\"{bps}\">\n", escaped(&one.name));
    put!(text, "    <BaseURL>sub/{}.vtt?v={}</BaseURL>\n", escaped(&one.name), escaped(&one.version));
    text.push_str("   </Representation>\n  </AdaptationSet>\n");
}

/// The tiles of a storyboard (DASH-IF IOP 4.3, section 6.2.6): a sheet is a segment, and its time is shared evenly by its
/// tiles.
fn image_set(text: &mut String, set: usize, tiles: &Tiles) {
    let board = &tiles.storyboard;
    let (width, height) = board.sheet_size();
    let sheet_us = board.step_us.max(1).saturating_mul(i64::from(COLUMNS * ROWS)).unsigned_abs();
    put!(text, "  <AdaptationSet id=\"{set}\" contentType=\"image\" mimeType=\"image/jpeg\">\n");
    put!(text, "    <SegmentTemplate timescale=\"1000000\" duration=\"{sheet_us}\" startNumber=\"1\"");
    text.push_str(" media=\"$RepresentationID$/$Number$.jpg\"/>\n");
    let bps = (u128::from(tiles.bytes) * 8_000_000).div_ceil(u128::from(sheet_us)).max(1);
    put!(
        text,
        "   <Representation id=\"storyboard\" bandwidth=\"{bps}\" width=\"{width}\" height=\"{height}\">\n"
    );
    text.push_str("    <EssentialProperty schemeIdUri=\"http://dashif.org/guidelines/thumbnail_tile\"");
    put!(text, " value=\"{COLUMNS}x{ROWS}\"/>\n   </Representation>\n  </AdaptationSet>\n");
}

fn representation(text: &mut String, track: &Track) {
    put!(text, "   <Representation id=\"{}\" codecs=\"{}\"", escaped(&track.name), escaped(&track.codec));
    // DASH's bandwidth is what a buffer of `minBufferTime` needs, so it is the peak.
    put!(text, " bandwidth=\"{}\"", track.bandwidth.peak_bps);
}

fn segments(text: &mut String, track: &Track, kind: Kind, form: Form) {
    // No offset: `t` of the first segment says when it begins, and an offset of each track's own would shift them
    // against each other.
    let folder = kind.folder();
    match form {
        Form::Slices => {
            put!(text, "    <SegmentTemplate timescale=\"{}\" startNumber=\"1\"", track.timescale);
            put!(text, " initialization=\"$RepresentationID$/{folder}/init.mp4\"");
            put!(text, " media=\"$RepresentationID$/{folder}/$Number$.m4s\">\n");
            timeline(text, &track.segments);
            text.push_str("    </SegmentTemplate>\n");
        }
        Form::Ranges { init_offset, init_bytes } => {
            put!(text, "    <BaseURL>{}/file.mp4</BaseURL>\n", escaped(&track.name));
            put!(text, "    <SegmentList timescale=\"{}\">\n", track.timescale);
            put!(text, "     <Initialization range=\"{}\"/>\n", range(init_offset, init_bytes));
            timeline(text, &track.segments);
            for segment in &track.segments {
                put!(text, "     <SegmentURL mediaRange=\"{}\"/>\n", range(segment.offset, segment.bytes));
            }
            text.push_str("    </SegmentList>\n");
        }
    }
}

/// One row per run of equal durations; the time is written where it does not follow from the row before.
fn timeline(text: &mut String, segments: &[Segment]) {
    text.push_str("     <SegmentTimeline>\n");
    let mut expected = None;
    let mut rest = segments;
    while let Some(first) = rest.first() {
        let follows = |pair: &[Segment]| {
            pair[0].start_ticks + u64::from(pair[0].duration_ticks) == pair[1].start_ticks
                && pair[1].duration_ticks == first.duration_ticks
        };
        let run = 1 + rest.windows(2).take_while(|pair| follows(pair)).count();
        text.push_str("      <S");
        if expected != Some(first.start_ticks) {
            put!(text, " t=\"{}\"", first.start_ticks);
        }
        put!(text, " d=\"{}\"", first.duration_ticks);
        if run > 1 {
            put!(text, " r=\"{}\"", run - 1);
        }
        text.push_str("/>\n");
        expected = rest.get(run - 1).map(|last| last.start_ticks + u64::from(last.duration_ticks));
        rest = &rest[run..];
    }
    text.push_str("     </SegmentTimeline>\n");
}

/// First and last byte, both included.
fn range(offset: u64, bytes: u64) -> String {
    format!("{offset}-{}", offset + bytes.max(1) - 1)
}

/// Milliseconds of a track, rounded up: a player must not stop before the last picture.
fn length_ms(track: &Track) -> u64 {
    let ticks: u64 = track.segments.iter().map(|segment| u64::from(segment.duration_ticks)).sum();
    (ticks * 1_000).div_ceil(u64::from(track.timescale.max(1)))
}

/// Text inside XML; control characters are not allowed there at all.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            one if one.is_control() => {}
            one => safe.push(one),
        }
    }
    safe
}

#[cfg(test)]
mod tests;
