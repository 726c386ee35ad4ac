//! ffmpeg's and ffprobe's argument lists; every value is one element, and none comes from the source's texts.

mod encoder;
mod gate;
mod graph;
mod hardware;
mod pictures;
mod trial;

use super::probe::CONTAINERS;
use super::{Cascade, Chunk, Container, Plan, Seek, Subtitle, Track, Video};
use crate::limits;

pub use crate::pipeline::POSTER_SIDE_MAX;
pub use gate::{judge, judge_name, samples};
pub use hardware::device;
pub use pictures::{
    Film, MARK, PREVIEW_PICTURES, PREVIEW_US, PREVIEW_WIDTH, WAVE, cover, mark, moment, picture, poster,
    poster_first, preview, shortly_before, storyboard, thumbnail, thumbnail_last, waveform,
};
pub use trial::{trial, trial_judge, trial_video};

/// Begins every ffmpeg command; the progress goes to standard output.
const BEGIN: [&str; 9] =
    ["-hide_banner", "-nostdin", "-v", "level+warning", "-y", "-progress", "pipe:1", "-stats_period", "1"];
/// Nothing of the source's own texts may reach an output.
const BARE: [&str; 4] = ["-map_metadata", "-1", "-map_chapters", "-1"];

/// ffprobe's arguments for `Probe::parse`.
pub fn probe(input: &str) -> Vec<String> {
    let families = CONTAINERS.map(Container::format_whitelist).join(",");
    let mut argv = list(&["-hide_banner", "-v", "level+warning"]);
    argv.extend(source(input, &families));
    argv.extend(list(&["-show_streams", "-show_format", "-show_chapters", "-of", "json"]));
    argv
}

/// ffprobe's arguments for `timeline::PacketList`: every packet of every stream, nothing decoded.
pub fn packets(input: &str, container: Container) -> Vec<String> {
    let mut argv = list(&["-hide_banner", "-v", "level+warning"]);
    argv.extend(source(input, container.format_whitelist()));
    argv.extend(list(&["-show_entries", "packet=stream_index,pts_time,duration_time,flags", "-of", "csv"]));
    argv
}

/// ffprobe's arguments for `Probe::lit_by`: one picture is decoded.
pub fn first_picture(input: &str, container: Container, stream: u32) -> Vec<String> {
    let mut argv = list(&["-hide_banner", "-v", "level+warning"]);
    argv.extend(source(input, container.format_whitelist()));
    argv.extend(["-select_streams".into(), format!("v:{stream}")]);
    argv.extend(list(&["-read_intervals", "%+#1", "-show_frames", "-show_entries", "frame=side_data_list"]));
    argv.extend(list(&["-of", "json"]));
    argv
}

/// The name of the output file of an audio track.
pub const AUDIO_OUTPUT: &str = "audio.mp4";

/// A known picture, scaled, and a known sound, through each of these encoders into a file of its name: where two machines make
/// the same of it, they make the same of a source. Only the encoder's own bytes are in the files, no container's.
pub fn sample(encoders: &[&str]) -> Vec<String> {
    let pictures: Vec<_> = encoders.iter().filter(|name| !matches!(**name, "aac" | "libopus")).collect();
    let labels: Vec<String> = (0..pictures.len()).map(|n| format!("[v{n}]")).collect();
    let mut argv = list(&BEGIN);
    argv.extend(list(&["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=1"]));
    argv.extend(list(&["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=1"]));
    if !pictures.is_empty() {
        let split = format!("split={}{}", pictures.len(), labels.concat());
        argv.extend([
            "-filter_complex".into(),
            format!("[0:v]format=yuv420p,scale=426:240:flags=bicubic,{split}"),
        ]);
    }
    for (n, name) in pictures.into_iter().enumerate() {
        let settings: &[&str] = match *name {
            "libx264" => &["-preset", "veryfast", "-crf", "18", "-maxrate", "400k", "-bufsize", "800k"],
            "libvpx-vp9" => {
                &["-deadline", "good", "-cpu-used", "4", "-crf", "33", "-b:v", "0", "-row-mt", "0"]
            }
            "libsvtav1" => &["-preset", "10", "-crf", "36", "-svtav1-params", "lp=1"],
            "libx265" => &[
                "-preset",
                "veryfast",
                "-crf",
                "24",
                "-x265-params",
                "log-level=error:pools=none:frame-threads=1",
            ],
            _ => &[],
        };
        argv.extend(["-map".into(), format!("[v{n}]"), "-c:v".into(), (*name).into()]);
        argv.extend(list(settings));
        argv.extend(list(&["-threads", "1", "-f", "data", *name]));
    }
    for name in encoders.iter().filter(|name| matches!(**name, "aac" | "libopus")) {
        argv.extend(list(&["-map", "1:a", "-c:a", name, "-b:a", "128k", "-ac", "2", "-f", "data", name]));
    }
    argv
}

/// Names of the output files of a chunk, one per rendition in the plan's order.
pub fn chunk_outputs(family: Cascade<'_>) -> Vec<String> {
    (0..family.renditions.len()).map(|n| format!("out_{n}.mp4")).collect()
}

/// How a command that decodes the source begins: a strict one ends at the first damage.
fn begin(plan: &Plan) -> Vec<String> {
    let mut argv = list(&BEGIN);
    if plan.strict {
        argv.push("-xerror".into());
    }
    argv
}

/// One ffmpeg for all renditions of a chunk that one family has; `outputs` are names in the plan's order.
pub fn chunk(
    plan: &Plan,
    (video, family): (&Video, Cascade<'_>),
    chunk: &Chunk,
    input: &str,
    outputs: &[String],
) -> Vec<String> {
    let mut argv = begin(plan);
    match chunk.seek {
        Seek::Start => argv.extend(list(&["-copyts"])),
        Seek::Key { ss_us } => argv.extend(["-copyts".into(), "-ss".into(), seconds(ss_us)]),
        Seek::Rewritten => {}
    }
    argv.extend(source(input, plan.container.format_whitelist()));
    if !family.unmarked {
        argv.extend(pictures::mark_input(&video.picture));
    }
    argv.extend(list(&["-an", "-sn", "-dn", "-filter_complex"]));
    argv.push(graph::cascade(plan, (video, family), chunk));
    for (n, (rendition, output)) in family.renditions.iter().zip(outputs).enumerate() {
        argv.extend(["-map".into(), format!("[v{n}]")]);
        argv.extend(encoder::picture((video, family), rendition, chunk.frames, output));
    }
    argv
}

/// The safe profile: one decoder thread, no seek, only the rendition `at`; the same pictures as `chunk` gives.
pub fn chunk_safe(
    plan: &Plan,
    chunk: &Chunk,
    (family, at): (u32, usize),
    input: &str,
    output: &str,
) -> Option<Vec<String>> {
    let video = plan.video.as_ref()?;
    // Whoever needs this profile has met a source, not a driver.
    let family = Cascade { engine: None, ..video.family(family)? };
    let rendition = family.renditions.get(at)?;
    let unseeked = match chunk.seek {
        Seek::Start | Seek::Key { .. } => Chunk { seek: Seek::Start, ..*chunk },
        Seek::Rewritten => *chunk,
    };
    let mut argv = begin(plan);
    if unseeked.seek == Seek::Start {
        argv.push("-copyts".into());
    }
    argv.extend(list(&["-threads", "1"]));
    argv.extend(source(input, plan.container.format_whitelist()));
    if !family.unmarked {
        argv.extend(pictures::mark_input(&video.picture));
    }
    argv.extend(list(&["-an", "-sn", "-dn", "-filter_complex"]));
    argv.push(graph::single(plan, (video, family), &unseeked, at));
    argv.extend(list(&["-map", "[v0]"]));
    argv.extend(encoder::picture((video, family), rendition, chunk.frames, output));
    Some(argv)
}

/// One audio track as a whole, louder by so many tenths of a dB when its loudness was measured.
pub fn audio(plan: &Plan, track: &Track, gain_tenths: Option<i32>, input: &str, output: &str) -> Vec<String> {
    let mut argv = begin(plan);
    argv.extend(sound(plan, track, input));
    let gain = gain_tenths.map(|tenths| format!(",volume={}dB", f64::from(tenths) / 10.0));
    let speakers = (gain.is_some() || track.mono).then(|| format!(",{}", layout(track)));
    argv.push([Some(even(plan, track)), speakers, gain].into_iter().flatten().collect());
    argv.extend(encoded(track, output));
    argv
}

/// The safe profile: samples that no encoder stumbles over, such as those that are no numbers, are made some.
pub fn audio_safe(plan: &Plan, track: &Track, gain: Option<i32>, input: &str, output: &str) -> Vec<String> {
    let mut argv = audio(plan, track, gain, input, output);
    let filter = argv.iter().position(|word| word == "-af").map(|at| at + 1);
    if let Some(filter) = filter.and_then(|at| argv.get_mut(at)) {
        filter.insert_str(0, "aformat=sample_fmts=s16,");
    }
    argv
}

/// Silence as long as the picture, in place of a track that cannot be decoded at all; `None` without a picture.
pub fn silence(track: &Track, output: &str) -> Option<Vec<String>> {
    let until = seconds(track.until_us?);
    let speakers = if track.channels == 6 { "5.1" } else { "stereo" };
    let mut argv = list(&BEGIN);
    argv.push("-filter_complex".into());
    argv.push(format!("anullsrc=r={}:cl={speakers}:d={until}[s]", track.rate_hz));
    argv.extend(list(&["-map", "[s]"]));
    argv.extend(encoded(track, output));
    Some(argv)
}

/// Everything between the filter and the output's name.
fn encoded(track: &Track, output: &str) -> Vec<String> {
    let mut argv = list(&["-c:a", track.codec.encoder(), "-b:a"]);
    argv.push(format!("{}k", track.kbps));
    argv.extend(["-ac".into(), track.channels.to_string(), "-ar".into(), track.rate_hz.to_string()]);
    argv.extend(list(&BARE));
    argv.extend(list(&["-f", "mp4", "-movflags", "+cmaf+empty_moov+default_base_moof"]));
    argv.extend(["-frag_duration".into(), "2000000".into(), output.into()]);
    argv
}

/// Measures how loud one audio track is, as it would be encoded; the answer is for `loudness::Measured`.
pub fn loudness(plan: &Plan, track: &Track, input: &str) -> Vec<String> {
    let mut argv = list(&BEGIN);
    // The summary is information, no warning.
    argv.iter_mut().filter(|word| *word == "level+warning").for_each(|word| *word = "level+info".into());
    argv.extend(sound(plan, track, input));
    argv.push(format!("{},{},ebur128=framelog=verbose:peak=true", even(plan, track), layout(track)));
    argv.extend(list(&["-f", "null", "-"]));
    argv
}

/// The input of one audio track, up to its filters.
fn sound(plan: &Plan, track: &Track, input: &str) -> Vec<String> {
    let mut argv = list(&["-copyts"]);
    argv.extend(source(input, plan.container.format_whitelist()));
    argv.extend(["-map".into(), format!("0:a:{}", track.stream)]);
    argv.extend(list(&["-vn", "-sn", "-dn", "-af"]));
    argv
}

/// From the source's times to sound without gaps from time 0 to the end of the picture.
fn even(plan: &Plan, track: &Track) -> String {
    let origin = graph::subtrahend(plan.origin_us);
    let silence = track.until_us.map(|until| format!(",apad=whole_dur={}", seconds(until)));
    format!("asetpts=PTS-{origin}/TB,aresample=async=1:first_pts=0{}", silence.unwrap_or_default())
}

/// The speakers of the output. One channel becomes two that are as loud as it is; ffmpeg's own way takes 3 dB off.
const fn layout(track: &Track) -> &'static str {
    match (track.channels, track.mono) {
        (6, _) => "aformat=channel_layouts=5.1",
        (_, true) => "pan=stereo|c0=c0|c1=c0",
        (_, false) => "aformat=channel_layouts=stereo",
    }
}

/// The name of the file that one stream of subtitles is written to.
pub fn subtitle_output(stream: &Subtitle) -> String {
    format!("{}.vtt", stream.id)
}

/// Some streams of text subtitles as WebVTT, each in a file of its own, on the clock of the source.
pub fn subtitles<'s>(
    container: Container,
    streams: impl IntoIterator<Item = &'s Subtitle>,
    input: &str,
) -> Vec<String> {
    let mut argv = list(&BEGIN);
    argv.push("-copyts".into());
    argv.extend(source(input, container.format_whitelist()));
    for stream in streams {
        argv.extend(["-map".into(), format!("0:s:{}", stream.stream)]);
        argv.extend(list(&["-c:s", "webvtt"]));
        argv.extend(list(&BARE));
        argv.extend(["-f".into(), "webvtt".into(), subtitle_output(stream)]);
    }
    argv
}

/// A stream copy into Matroska, so that chunks can seek; `video_stream` as in ffmpeg's `0:v:0`.
pub fn remux(container: Container, video_stream: Option<u32>, input: &str, output: &str) -> Vec<String> {
    let mut argv = list(&BEGIN);
    if container == Container::Mpeg {
        // Program streams leave out times that follow from others; without them Matroska's muxer stops.
        argv.extend(list(&["-fflags", "+genpts"]));
    }
    argv.extend(source(input, container.format_whitelist()));
    if let Some(stream) = video_stream {
        argv.extend(["-map".into(), format!("0:v:{stream}")]);
    }
    argv.extend(list(&["-map", "0:a?", "-c", "copy", "-map_metadata", "-1", "-f", "matroska"]));
    argv.push(output.into());
    argv
}

/// The pictures and the sound of one file of ours as WebM, with its index in front; nothing is encoded. Without `bitexact`
/// the muxer would draw an id for each file and write its release into it.
pub fn webm(input: &str, output: &str) -> Vec<String> {
    let mut argv = list(&BEGIN);
    argv.extend(source(input, Container::Mov.format_whitelist()));
    argv.extend(list(&["-map", "0:v:0", "-map", "0:a:0?", "-c", "copy"]));
    argv.extend(list(&BARE));
    argv.extend(list(&["-fflags", "+bitexact", "-cues_to_front", "1", "-f", "webm", output]));
    argv
}

/// The limits that stand before every `-i`, and the input.
fn source(input: &str, families: &str) -> Vec<String> {
    let mut argv = vec!["-max_pixels".into(), limits::SOURCE_PIXELS_MAX.to_string()];
    argv.extend(["-max_streams".into(), limits::SOURCE_STREAMS_MAX.to_string()]);
    argv.extend(list(&["-protocol_whitelist", "file", "-format_whitelist", families, "-i"]));
    argv.push(input.into());
    argv
}

/// Microseconds as decimal seconds without zeros at the end.
fn seconds(us: i64) -> String {
    let text = format!("{}.{:06}", us.unsigned_abs() / 1_000_000, us.unsigned_abs() % 1_000_000);
    let short = text.trim_end_matches('0').trim_end_matches('.');
    format!("{}{short}", if us < 0 { "-" } else { "" })
}

fn list(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests;
