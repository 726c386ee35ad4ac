//! HLS playlists (RFC 8216): the multivariant playlist, and media playlists as slices or byte ranges.

use std::fmt::Write as _;

use super::{
    Audio, Bandwidth, Brightness, Form, Kind, Presentation, Segment, Text, Track, Variant, distinct,
};

/// The group of all subtitles.
const TEXTS: &str = "texts";

/// Writes into a `String`, which cannot fail.
macro_rules! put {
    ($text:expr, $($arg:tt)*) => {
        write!($text, $($arg)*).expect("because writing to a String cannot fail")
    };
}

/// The multivariant playlist `m.m3u8`.
pub fn multivariant(presentation: &Presentation) -> String {
    let mut text = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n".to_owned();
    for number in 0..presentation.texts.len() {
        subtitles(&mut text, &presentation.texts, number);
    }
    if presentation.variants.is_empty() {
        sound_only(&mut text, presentation);
        return text;
    }
    for number in 0..presentation.audio.len() {
        media(&mut text, &presentation.audio, number);
    }
    for variant in &presentation.variants {
        stream(&mut text, variant, presentation);
    }
    without_picture(&mut text, presentation);
    if presentation.i_frames {
        presentation.variants.iter().for_each(|variant| i_frame_stream(&mut text, variant));
    }
    text
}

/// A media playlist (`v.m3u8`, `a.m3u8`) of finished segments; growing ones are EVENT without an end.
pub fn playlist(track: &Track, kind: Kind, form: Form, ended: bool, target_duration_s: u32) -> String {
    let mut text = String::with_capacity(256 + 48 * track.segments.len());
    head(&mut text, track, target_duration_s);
    if ended {
        text.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n");
    } else {
        text.push_str("#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-START:TIME-OFFSET=0,PRECISE=YES\n");
    }
    map(&mut text, kind, form);
    for (number, segment) in track.segments.iter().enumerate() {
        extinf(&mut text, segment, track.timescale);
        match form {
            Form::Slices => put!(text, "{}/{}.m4s\n", kind.folder(), number + 1),
            Form::Ranges { .. } => {
                put!(text, "#EXT-X-BYTERANGE:{}@{}\nfile.mp4\n", segment.bytes, segment.offset);
            }
        }
    }
    if ended {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    text
}

/// The I-frame playlist `i.m3u8` of a finished video track: the first picture of each segment.
pub fn i_frames(track: &Track, form: Form, target_duration_s: u32) -> String {
    let mut text = String::with_capacity(256 + 48 * track.segments.len());
    head(&mut text, track, target_duration_s);
    text.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-I-FRAMES-ONLY\n");
    map(&mut text, Kind::Video, form);
    for (number, segment) in track.segments.iter().enumerate() {
        extinf(&mut text, segment, track.timescale);
        match form {
            Form::Slices => put!(text, "i/{}.m4s\n", number + 1),
            Form::Ranges { .. } => {
                put!(text, "#EXT-X-BYTERANGE:{}@{}\nfile.mp4\n", segment.key_bytes, segment.offset);
            }
        }
    }
    text.push_str("#EXT-X-ENDLIST\n");
    text
}

/// The media playlist of subtitles: one segment, the file beside it, as long as the video.
pub fn subtitle_playlist(subtitles: &Text, duration_ms: u64) -> String {
    let Text { name, version, .. } = subtitles;
    let target_s = duration_ms.div_ceil(1_000).max(1);
    let (whole, rest) = (duration_ms / 1_000, duration_ms % 1_000);
    format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target_s}\n#EXT-X-PLAYLIST-TYPE:VOD\n\
         #EXTINF:{whole}.{rest:03},\n{name}.vtt?v={version}\n#EXT-X-ENDLIST\n"
    )
}

/// The smallest target duration that these segments allow: every length, rounded to seconds, is at most that.
pub fn target_duration_s(track: &Track) -> u32 {
    let longest = track.segments.iter().map(|segment| segment.duration_ticks).max().unwrap_or(0);
    let rounded =
        (2 * u64::from(longest) + u64::from(track.timescale)) / (2 * u64::from(track.timescale.max(1)));
    u32::try_from(rounded).unwrap_or(u32::MAX).max(1)
}

fn head(text: &mut String, track: &Track, target_duration_s: u32) {
    // A segment that is longer than planned would make the playlist invalid, so the segments have the last word.
    let target = target_duration_s.max(self::target_duration_s(track));
    put!(text, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target}\n");
}

fn map(text: &mut String, kind: Kind, form: Form) {
    match form {
        Form::Slices => put!(text, "#EXT-X-MAP:URI=\"{}/init.mp4\"\n", kind.folder()),
        Form::Ranges { init_offset, init_bytes } => {
            put!(text, "#EXT-X-MAP:URI=\"file.mp4\",BYTERANGE=\"{init_bytes}@{init_offset}\"\n");
        }
    }
}

fn extinf(text: &mut String, segment: &Segment, timescale: u32) {
    // Whole numbers, so that every machine writes the same digits.
    let scale = u64::from(timescale.max(1));
    let exact = (u64::from(segment.duration_ticks) * 200_000 + scale) / (2 * scale);
    put!(text, "#EXTINF:{}.{:05},\n", exact / 100_000, exact % 100_000);
}

fn media(text: &mut String, all: &[Audio], number: usize) {
    let audio = &all[number];
    put!(text, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{}\"", quoted(&audio.group));
    // Groups are the same sounds in other codecs, so a sound has the same name in each.
    let group = all.iter().filter(|one| one.group == audio.group);
    let at = all[..number].iter().filter(|one| one.group == audio.group).count();
    let name = distinct(group.map(|one| one.label.as_str()), at, "Audio");
    put!(text, ",NAME=\"{}\"", quoted(&name));
    if !audio.language.is_empty() {
        put!(text, ",LANGUAGE=\"{}\"", quoted(&audio.language));
    }
    let default = if audio.default { "YES" } else { "NO" };
    put!(text, ",DEFAULT={default},AUTOSELECT=YES,CHANNELS=\"{}\"", audio.channels);
    put!(text, ",URI=\"{}/a.m3u8\"\n", audio.track.name);
}

fn subtitles(text: &mut String, all: &[Text], number: usize) {
    let one = &all[number];
    let name = distinct(all.iter().map(|one| one.label.as_str()), number, "Subtitles");
    put!(text, "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"{TEXTS}\",NAME=\"{}\"", quoted(&name));
    if !one.language.is_empty() {
        put!(text, ",LANGUAGE=\"{}\"", quoted(&one.language));
    }
    let said = |yes: bool| if yes { "YES" } else { "NO" };
    put!(text, ",DEFAULT={},AUTOSELECT=YES,FORCED={}", said(one.default), said(one.forced));
    put!(text, ",URI=\"sub/{}.m3u8\"\n", one.name);
}

fn stream(text: &mut String, variant: &Variant, presentation: &Presentation) {
    let group = presentation.audio.iter().filter(|one| one.group == variant.audio_group).collect::<Vec<_>>();
    let sound = heaviest(&group);
    let own = variant.track.bandwidth;
    put!(text, "#EXT-X-STREAM-INF:BANDWIDTH={}", own.peak_bps + sound.peak_bps);
    put!(text, ",AVERAGE-BANDWIDTH={}", own.average_bps + sound.average_bps);
    put!(text, ",CODECS=\"{}", quoted(&variant.track.codec));
    // All that a player may need for the group, each once.
    let codecs = group.iter().map(|one| one.track.codec.as_str());
    for (n, codec) in codecs.clone().enumerate() {
        if !codecs.clone().take(n).any(|before| before == codec) {
            put!(text, ",{}", quoted(codec));
        }
    }
    put!(text, "\",RESOLUTION={}x{}", variant.width, variant.height);
    let (num, den) = (u64::from(variant.rate.num), u64::from(variant.rate.den.max(1)));
    let milli = (num * 2_000 + den) / (2 * den);
    put!(text, ",FRAME-RATE={}.{:03}", milli / 1_000, milli % 1_000);
    if presentation.variants.iter().any(|one| one.brightness != Brightness::Standard) {
        let range = match variant.brightness {
            Brightness::Standard => "SDR",
            Brightness::Pq => "PQ",
            Brightness::Hlg => "HLG",
        };
        put!(text, ",VIDEO-RANGE={range}");
    }
    if !group.is_empty() {
        put!(text, ",AUDIO=\"{}\"", quoted(&variant.audio_group));
    }
    if !presentation.texts.is_empty() {
        put!(text, ",SUBTITLES=\"{TEXTS}\"");
    }
    put!(text, ",CLOSED-CAPTIONS=NONE\n{}/v.m3u8\n", variant.track.name);
}

/// The main sound once more as a variant without a picture, behind all others: it is for lines that carry no picture at all
/// (Apple's authoring specification asks for one). Players begin with the first variant, or with what they know of the line.
fn without_picture(text: &mut String, presentation: &Presentation) {
    let Some(first) = presentation.audio.first() else { return };
    let group: Vec<&Audio> = presentation.audio.iter().filter(|one| one.group == first.group).collect();
    let rate = heaviest(&group);
    put!(text, "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={}", rate.peak_bps, rate.average_bps);
    put!(text, ",CODECS=\"{}\",AUDIO=\"{}\"", quoted(&first.track.codec), quoted(&first.group));
    if !presentation.texts.is_empty() {
        put!(text, ",SUBTITLES=\"{TEXTS}\"");
    }
    put!(text, ",CLOSED-CAPTIONS=NONE\n{}/a.m3u8\n", first.track.name);
}

fn i_frame_stream(text: &mut String, variant: &Variant) {
    let track = &variant.track;
    let pictures =
        track.segments.iter().map(|one| Segment { bytes: one.key_bytes, ..*one }).collect::<Vec<_>>();
    // Without a segment table the whole track is the bound.
    let peak = if pictures.is_empty() { track.bandwidth } else { Bandwidth::of(track.timescale, &pictures) }
        .peak_bps;
    put!(text, "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={peak},CODECS=\"{}\"", quoted(&track.codec));
    put!(text, ",RESOLUTION={}x{},URI=\"{}/i.m3u8\"\n", variant.width, variant.height, track.name);
}

/// Sound only: one variant without a resolution. Other sounds are alternatives to it: variants would be qualities, among
/// which players choose by themselves.
fn sound_only(text: &mut String, presentation: &Presentation) {
    let audio = &presentation.audio;
    let Some(first) = audio.first() else { return };
    let several = audio.len() > 1;
    if several {
        (0..audio.len()).for_each(|number| media(text, audio, number));
    }
    let rate = heaviest(&audio.iter().collect::<Vec<_>>());
    put!(text, "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={}", rate.peak_bps, rate.average_bps);
    put!(text, ",CODECS=\"{}\"", quoted(&first.track.codec));
    if several {
        put!(text, ",AUDIO=\"{}\"", quoted(&first.group));
    }
    if !presentation.texts.is_empty() {
        put!(text, ",SUBTITLES=\"{TEXTS}\"");
    }
    put!(text, "\n{}/a.m3u8\n", first.track.name);
}

/// The heaviest track of a group: a viewer may choose any of them.
fn heaviest(group: &[&Audio]) -> Bandwidth {
    let peak_bps = group.iter().map(|one| one.track.bandwidth.peak_bps).max().unwrap_or(0);
    let average_bps = group.iter().map(|one| one.track.bandwidth.average_bps).max().unwrap_or(0);
    Bandwidth { peak_bps, average_bps }
}

/// A quoted string may hold no quote and no line break; a title may.
fn quoted(text: &str) -> String {
    text.chars().map(|one| if one == '"' { '\'' } else { one }).filter(|one| !one.is_control()).collect()
}

#[cfg(test)]
mod tests;
