//! The decision itself: from the facts of a source to its plan, or to the reason why there is none.

use super::chunks::{self, Grid};
use super::probe::{AudioStream, Chapter, SubtitleStream, VideoStream};
use super::{
    Capabilities, Codec, Color, Entering, Estimate, First, Images, Limits, Mode, Note, Picture, Pipeline,
    Plan, Poster, Preset, Probe, Rate, Refusal, Remux, Rendition, SoundCodec, Subject, Subtitle, Subtitles,
    Timeline, Track, VERSION, Video, ladder,
};
use crate::{crop, hardware, language, limits};

/// What a whole ladder in one codec costs per megapixel of the source.
struct Cost {
    /// CPU milliseconds for each frame.
    cpu_ms: u64,
    /// Bytes of one chunk job.
    bytes: u64,
}

/// H.264 was measured at 1080p (365 MB for a chunk). The others are its multiples on the same pictures, measured with the
/// libraries of Debian 12: 3.4 and 1.5 times in noisy 720p, 4.7 and 2.3 times in a film of 480p; HEVC of 10 bits took 6.7
/// times in noisy 720p. `slow` is the quality `high`.
const fn cost(codec: Codec, slow: bool) -> Cost {
    let (cpu_ms, bytes) = match (codec, slow) {
        (Codec::H264, false) => (30, 176_000_000),
        (Codec::H264, true) => (70, 338_000_000),
        (Codec::Vp9, false) => (120, 320_000_000),
        (Codec::Vp9, true) => (200, 320_000_000),
        (Codec::Av1, false) => (60, 480_000_000),
        (Codec::Av1, true) => (130, 520_000_000),
        (Codec::Hevc, false) => (200, 470_000_000),
        (Codec::Hevc, true) => (220, 530_000_000),
    };
    Cost { cpu_ms, bytes }
}

/// ffmpeg itself and its libraries.
const BYTES_BASE: u64 = 64_000_000;
/// Audio is encoded at 57 times real time on one core; this is on the safe side.
pub(super) const AUDIO_SPEED: u64 = 40;
/// A picture stands at least so long before the end of a video, in microseconds: the last one at 10 a second and more.
const LAST_PICTURE_US: i64 = 100_000;
/// Front left, right and centre, two behind, and the low one.
const SURROUND_CHANNELS: u32 = 6;

/// The plan for a source whose file can be read as it is, or which says that a remux must come first.
pub fn plan(
    probe: &Probe,
    timeline: &Timeline,
    pipeline: &Pipeline,
    capabilities: &Capabilities,
) -> Result<Plan, Refusal> {
    build(probe, timeline, pipeline, capabilities, Reading::Chunks)
}

/// The plan for a source whose remux failed: one chunk, read from the start, with rewritten times.
pub fn plan_whole(
    probe: &Probe,
    timeline: &Timeline,
    pipeline: &Pipeline,
    capabilities: &Capabilities,
) -> Result<Plan, Refusal> {
    build(probe, timeline, pipeline, capabilities, Reading::Whole)
}

/// How jobs read the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Each chunk seeks.
    Chunks,
    /// One chunk reads all.
    Whole,
}

fn build(
    probe: &Probe,
    timeline: &Timeline,
    pipeline: &Pipeline,
    capabilities: &Capabilities,
    reading: Reading,
) -> Result<Plan, Refusal> {
    let times = Times::of(probe, timeline)?;
    let video = match &probe.video {
        Some(stream) => Some(picture(probe, stream, timeline, &times, pipeline)?),
        None => None,
    };
    let video = video.map(|(video, grid)| {
        let chunks = match reading {
            Reading::Chunks => chunks::chunks(grid, timeline),
            Reading::Whole => chunks::whole(grid),
        };
        let engine = pipeline.hardware.then(|| hardware::choose(&capabilities.engines)).flatten();
        let missed = pipeline.hardware && engine.is_none();
        let fallback = missed.then(|| "no machine that works has an encoder in hardware".to_owned());
        Video { chunks, engine, fallback, ..video }
    });
    let notes = notes(probe, timeline, &times);
    if pipeline.strict && notes.contains(&Note::ShorterThanHeader) {
        return Err(Refusal::Damaged);
    }
    let audio = audio(probe, video.as_ref(), pipeline);
    tools(video.as_ref(), &audio, capabilities)?;
    let estimate = estimate(probe, (video.as_ref(), &audio), times.duration_us);
    if video.is_some() && estimate.memory_bytes > capabilities.memory_bytes {
        // Left waiting it would wait for ever.
        let (needs_mb, has_mb) = (estimate.memory_bytes / 1_000_000, capabilities.memory_bytes / 1_000_000);
        return Err(Refusal::NeedsMemory { needs_mb, has_mb });
    }
    Ok(Plan {
        version: VERSION,
        container: probe.container,
        remux: if reading == Reading::Chunks { remux(probe, timeline) } else { None },
        origin_us: timeline.origin_us,
        container_start_us: timeline.container_start_us,
        duration_us: times.duration_us,
        audio,
        subtitles: subtitles(probe, timeline),
        chapters: chapters(probe, timeline, &times),
        images: Images { poster: poster(probe, timeline, &times, pipeline) },
        limits: limits_of(video.as_ref(), &estimate, times.duration_us),
        estimate,
        judged: Vec::new(),
        notes,
        strict: pipeline.strict,
        video,
    })
}

/// Lengths that are believed: of the packets, or of the header where packets carry no times.
struct Times {
    duration_us: i64,
    frames_us: i64,
}

impl Times {
    fn of(probe: &Probe, timeline: &Timeline) -> Result<Self, Refusal> {
        let header = probe.header_duration_us.unwrap_or(0);
        let nothing = timeline.video_packets == 0 && timeline.audio_end_us.is_none();
        if nothing || (probe.video.is_some() && timeline.video_packets == 0) {
            return Err(Refusal::Truncated);
        }
        let untimed = if probe.video.is_some() { header } else { 0 };
        let frames_us = timeline.frames_end_us.map_or(untimed, |end| end - timeline.origin_us);
        let duration_us = if timeline.duration_us > 0 { timeline.duration_us } else { header };
        Ok(Self { duration_us: duration_us.max(frames_us), frames_us })
    }
}

fn picture(
    probe: &Probe,
    stream: &VideoStream,
    timeline: &Timeline,
    times: &Times,
    pipeline: &Pipeline,
) -> Result<(Video, Grid), Refusal> {
    let average = timeline.average_rate().or(stream.average_rate);
    // A rate so slow that it shows nothing of a source with several pictures is a wrong one.
    let believed = |rate: &Rate| timeline.video_packets < 2 || rate.frames_in(times.frames_us) > 0;
    let nominal = stream.nominal_rate.filter(believed);
    let rate = Rate::grid(average, nominal, timeline.typical_rate());
    let frames = rate.frames_in(times.frames_us).max(1);
    budget(frames, rate, timeline, pipeline)?;
    let shown = stream.displayed();
    let part = pipeline.crop.map_or(shown, |aspect| aspect.of(shown));
    let renditions = ladder::ladder(part, probe.video_bit_rate(), rate, pipeline);
    let gop = rate.gop();
    let top = renditions.first().expect("because a ladder has at least one rendition");
    let bright = stream.high_dynamic_range().then_some((&stream.color, stream.light));
    let background = ladder::background(&renditions, pipeline, bright);
    let late = timeline.video_start_us.is_some_and(|start| start > timeline.origin_us);
    let picture = Picture {
        deinterlace: stream.interlaced,
        tone_map: stream.high_dynamic_range(),
        cover: (part != shown).then(|| crop::covering(shown, part, (top.width, top.height))),
        mark: pipeline.watermark.as_ref().and_then(|watermark| watermark.on((top.width, top.height))),
        entering: entering(stream),
        scale_top: stream.sample_aspect != (1, 1) || stream.entering() != (top.width, top.height),
        first: if late { First::Held } else { First::AtOrigin },
        color: if stream.high_dynamic_range() || stream.is_rgb() { bt709() } else { stream.color.clone() },
        late_us: timeline.late_us,
    };
    let grid = Grid { rate, frames, segment: u64::from(gop) * 2, interlaced: stream.interlaced };
    let video = Video {
        stream: stream.ordinal,
        rate,
        frames,
        gop,
        segment: gop * 2,
        picture,
        renditions,
        background,
        chunks: Vec::new(),
        engine: None,
        fallback: None,
    };
    Ok((video, grid))
}

/// Refuses what would give far more pictures than the source has.
fn budget(frames: u64, rate: Rate, timeline: &Timeline, pipeline: &Pipeline) -> Result<(), Refusal> {
    let held = rate.frames_in(i64::try_from(limits::PLAN_HELD_S_MAX * 1_000_000).unwrap_or(i64::MAX));
    let by_packets =
        timeline.video_packets.saturating_mul(limits::PLAN_FRAMES_PER_PACKET_MAX).saturating_add(held);
    let budget = pipeline.frames_max.min(by_packets);
    if frames > budget { Err(Refusal::OverBudget { frames, budget }) } else { Ok(()) }
}

/// All who write PQ or HLG mean BT.2020, whether they say it or not; the filter that maps tones must be told.
fn entering(stream: &VideoStream) -> Entering {
    let told = &stream.color;
    let or = |told: &String, usual: &str| if told.is_empty() { usual.to_owned() } else { told.clone() };
    let silent = told.primaries.is_empty() || told.matrix.is_empty();
    match (stream.high_dynamic_range(), stream.is_rgb()) {
        (true, false) if silent => Entering::TakenAs(Color {
            primaries: or(&told.primaries, "bt2020"),
            transfer: told.transfer.clone(),
            matrix: or(&told.matrix, "bt2020nc"),
        }),
        (false, true) => Entering::Rgb,
        (true, _) | (false, false) => Entering::AsTold,
    }
}

fn bt709() -> Color {
    Color { primaries: "bt709".into(), transfer: "bt709".into(), matrix: "bt709".into() }
}

fn tools(video: Option<&Video>, audio: &[Track], capabilities: &Capabilities) -> Result<(), Refusal> {
    let pictures = video.into_iter().flat_map(|video| {
        (0..).map_while(|family| Some(video.family(family)?.codec.encoder())).collect::<Vec<_>>()
    });
    let sounds = audio.iter().map(|track| track.codec.encoder());
    let picture = video.map(|video| &video.picture);
    let filters = [
        ("zscale", picture.is_some_and(|picture| picture.tone_map)),
        ("bwdif", picture.is_some_and(|picture| picture.deinterlace)),
        ("overlay", picture.is_some_and(|picture| picture.mark.is_some())),
    ];
    let filters = filters.into_iter().filter(|(_, needed)| *needed).map(|(name, _)| name);
    let there = |all: &[String], name: &str| all.iter().any(|one| one == name);
    let encoder = pictures.chain(sounds).find(|name| !there(&capabilities.encoders, name));
    let missing = encoder.or_else(|| filters.into_iter().find(|name| !there(&capabilities.filters, name)));
    missing.map_or(Ok(()), |name| Err(Refusal::ToolMissing { name }))
}

fn remux(probe: &Probe, timeline: &Timeline) -> Option<Remux> {
    probe.video.as_ref()?;
    if !probe.container.seeks_exactly() {
        Some(Remux::Container)
    } else if timeline.seekable {
        None
    } else {
        Some(Remux::TimesJumpBack)
    }
}

/// Every sound in stereo, the main one first; then what has six channels in 5.1, if that is asked for; then those of the
/// background.
///
/// Sound that ends before the picture goes on as silence: players want every segment of both.
fn audio(probe: &Probe, video: Option<&Video>, pipeline: &Pipeline) -> Vec<Track> {
    let main = probe.main_audio().map(|stream| stream.ordinal);
    let (first, others): (Vec<_>, Vec<_>) =
        probe.audio.iter().partition(|stream| Some(stream.ordinal) == main);
    let stereo = || first.iter().chain(&others).map(|stream| (*stream, 2));
    // Of more than eight channels nobody knows where they stand.
    let surround = || stereo().filter(|(one, _)| pipeline.surround && (6..=8).contains(&one.channels));
    let all = || stereo().chain(surround().map(|(stream, _)| (stream, SURROUND_CHANNELS)));
    let track = |codec: SoundCodec, (number, (stream, channels)): (u32, (&AudioStream, u32))| {
        let language = language::tag(&stream.language);
        let surround = channels == SURROUND_CHANNELS;
        Track {
            id: format!("{}-{number}", codec.name()),
            stream: stream.ordinal,
            mode: Mode::Encode,
            codec,
            kbps: match (surround, codec) {
                (true, SoundCodec::Aac) => 384,
                (true, SoundCodec::Opus) => 256,
                (false, SoundCodec::Aac) => 128,
                (false, SoundCodec::Opus) => 96,
            },
            channels,
            mono: stream.channels == 1,
            rate_hz: 48_000,
            title: if surround {
                format!("{} 5.1", language::label(&stream.title, &language)).trim().to_owned()
            } else {
                language::label(&stream.title, "")
            },
            language,
            loudness_lufs: pipeline.loudness_lufs,
            until_us: video.map(|video| video.rate.frame_us(video.frames)),
        }
    };
    let opus = |video: &&Video| video.background.iter().any(|one| one.codec.sound() == SoundCodec::Opus);
    let again = video.filter(opus).map(|_| all());
    let usual = (1..).zip(all()).map(|one| track(SoundCodec::Aac, one));
    usual.chain((1..).zip(again.into_iter().flatten()).map(|one| track(SoundCodec::Opus, one))).collect()
}

fn subtitles(probe: &Probe, timeline: &Timeline) -> Option<Subtitles> {
    let stream = |(number, stream): (u32, &SubtitleStream)| Subtitle {
        id: format!("s{number}"),
        stream: stream.ordinal,
        codec: stream.codec.clone(),
        text: stream.text,
        language: language::tag(&stream.language),
        title: language::label(&stream.title, ""),
        forced: stream.forced,
    };
    let streams: Vec<Subtitle> = (1..).zip(&probe.subtitles).map(stream).collect();
    let brought = probe.brought_in.unwrap_or(probe.container);
    // The clock of a rewritten source begins where that of the file it was made of begins.
    let origin_us = timeline.origin_us.saturating_add(probe.brought_in_start_us);
    (!streams.is_empty()).then_some(Subtitles { container: brought, origin_us, streams })
}

/// Chapters without those that nobody can jump to.
fn chapters(probe: &Probe, timeline: &Timeline, times: &Times) -> Vec<Chapter> {
    let from_origin = |us: i64| us.saturating_sub(timeline.origin_us).clamp(0, times.duration_us.max(0));
    let moved = probe.chapters.iter().take(limits::CHAPTERS_MAX).map(|chapter| Chapter {
        start_us: from_origin(chapter.start_us),
        end_us: from_origin(chapter.end_us),
        title: language::label(&chapter.title, ""),
    });
    // A millisecond is what WebVTT can tell apart.
    let mut chapters: Vec<Chapter> =
        moved.filter(|chapter| chapter.end_us - chapter.start_us >= 1_000).collect();
    chapters.sort_by_key(|chapter| chapter.start_us);
    chapters
}

fn poster(probe: &Probe, timeline: &Timeline, times: &Times, pipeline: &Pipeline) -> Option<Poster> {
    let of = match (&probe.video, probe.attached_pictures, probe.audio.is_empty()) {
        (Some(_), _, _) => Subject::Picture,
        (None, _, true) => return None,
        (None, 0, false) => Subject::Sound,
        (None, _, false) => Subject::Cover,
    };
    let from_origin = timeline.origin_us - timeline.container_start_us;
    let wanted = pipeline.poster.of(times.duration_us);
    // Behind the last picture there is none; the sound may go on for long.
    let last = times.frames_us.saturating_sub(LAST_PICTURE_US).max(0);
    let at_us = (from_origin + wanted.clamp(0, last)).max(0);
    Some(Poster { at_us, side_max: pipeline.poster_side, of })
}

fn megapixels_frames(probe: &Probe, frames: u64) -> u64 {
    let pixels =
        probe.video.as_ref().map_or(0, |one| u64::from(one.coded_width) * u64::from(one.coded_height));
    pixels.saturating_mul(frames)
}

fn estimate(probe: &Probe, (video, audio): (Option<&Video>, &[Track]), duration_us: i64) -> Estimate {
    let length_ms = duration_us.max(0).unsigned_abs() / 1_000;
    let slow =
        video.is_some_and(|one| one.renditions.iter().any(|rendition| rendition.preset == Preset::Medium));
    let megapixels = megapixels_frames(probe, video.map_or(0, |one| one.frames)) / 1_000_000;
    let families = || video.into_iter().flat_map(|video| (0..).map_while(|number| video.family(number)));
    let picture_ms = |codec: Codec| megapixels * cost(codec, slow).cpu_ms;
    let sound_ms = |background: bool| {
        let tracks = audio.iter().filter(|one| (one.codec != SoundCodec::Aac) == background).count() as u64;
        length_ms * tracks / AUDIO_SPEED
    };
    let memory = families().map(|family| cost(family.codec, slow).bytes).max().unwrap_or(0);
    let kbps: u64 = families().flat_map(|family| family.renditions).map(|one| u64::from(one.max_kbps)).sum();
    let audio_kbps: u64 = audio.iter().map(|one| u64::from(one.kbps)).sum();
    Estimate {
        cpu_ms: families().take(1).map(|family| picture_ms(family.codec)).sum::<u64>() + sound_ms(false),
        background_cpu_ms: families().skip(1).map(|family| picture_ms(family.codec)).sum::<u64>()
            + sound_ms(true),
        memory_bytes: BYTES_BASE + megapixels_frames(probe, 1) * memory / 1_000_000,
        output_bytes: (kbps + audio_kbps) * length_ms / 8,
    }
}

fn limits_of(video: Option<&Video>, estimate: &Estimate, duration_us: i64) -> Limits {
    let frames = video.map_or(0, |one| one.frames).max(1);
    let chunk_frames = video.and_then(|one| one.chunks.iter().map(|chunk| chunk.frames).max()).unwrap_or(0);
    // The safe profile reads from the start, so the decoding of everything belongs to every chunk's limit.
    let cpu_ms = estimate.cpu_ms + estimate.background_cpu_ms;
    let share = cpu_ms.saturating_mul(chunk_frames) / frames + cpu_ms / 4;
    let seconds = (share / 1_000).saturating_mul(limits::PLAN_TIME_FACTOR).max(limits::PLAN_TIME_S_MIN);
    let top =
        video.and_then(|one| one.renditions.first()).map_or(0, |one: &Rendition| u64::from(one.max_kbps));
    let length_ms = duration_us.max(0).unsigned_abs() / 1_000;
    Limits {
        cpu_s: seconds,
        wall_s: seconds,
        memory_bytes: limits::FFMPEG_ADDRESS_SPACE_BYTES,
        output_bytes: 2 * (top + 128) * length_ms / 8 + 64 * 1024 * 1024,
        chunk_frames,
    }
}

fn notes(probe: &Probe, timeline: &Timeline, times: &Times) -> Vec<Note> {
    let header = probe.header_duration_us.unwrap_or(0);
    let gap = timeline.largest_gap_us;
    // Matroska counts from the clock's zero, others from the first packet.
    let end = times.duration_us.max(times.duration_us.saturating_add(timeline.origin_us));
    let known = [
        // The pictures of a slide show are as far apart, each of them.
        (gap > limits::PLAN_GAP_US_MAX && gap / limits::PLAN_GAP_INTERVALS > timeline.interval_us)
            .then_some(Note::Gap { us: gap }),
        (end / 95 < header / 100).then_some(Note::ShorterThanHeader),
        timeline.variable_rate.then_some(Note::VariableRate),
    ];
    let pictures = probe.subtitles.iter().filter(|stream| !stream.text);
    let pictures = pictures.map(|stream| Note::PictureSubtitles { stream: stream.ordinal });
    known.into_iter().flatten().chain(pictures).collect()
}

#[cfg(test)]
mod tests;
