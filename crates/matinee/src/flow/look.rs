//! Looks at a file: what ffprobe, its packets and our own index say of it.

use std::path::{Path, PathBuf};

use matinee_core::job::retry;
use matinee_core::media::{Edit, Index, Track, TrackKind};
use matinee_core::plan::timeline::{Packet, PacketList};
use matinee_core::plan::{Container, Probe, Refusal, Timeline, argv};
use matinee_io::ffmpeg::{Class, Failure, Ffmpeg, Finished, Job, Limits, Program, Stdout};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::indexed;

/// What ffprobe may use: an answer about a hostile file comes within seconds or not at all (BAD3).
const PROBE_LIMITS: Limits =
    Limits { cpu_s: 5, wall_ms: 15_000, memory_bytes: 1 << 30, output_bytes: 0, stall_ms: 15_000 };
/// Whoever lists packets reads the whole file: so many bytes a second at least, from a slow disk beside other work.
const READ_BYTES_PER_S: u64 = 20 << 20;
/// ffprobe's description of the streams.
const FACTS_BYTES_MAX: usize = 16 << 20;
/// A century, as of the packets that ffprobe lists.
const TIME_US_MAX: i64 = 3_155_760_000 * 1_000_000;
/// The list of packets of a source without an index of ours.
const PACKETS_BYTES_MAX: usize = 256 << 20;

/// What is known of a file.
pub(crate) struct Looked {
    pub(crate) probe: Probe,
    pub(crate) timeline: Timeline,
    /// Of an MP4 that has its index.
    pub(crate) index: Option<Index>,
}

/// Looks at one file until `stop` is cancelled.
pub(crate) async fn look(ffmpeg: &Ffmpeg, path: &Path, stop: &CancellationToken) -> Result<Looked, Fault> {
    let (index, probe) = tokio::join!(indexed::index(path), facts(ffmpeg, path, stop));
    let probe = lit(ffmpeg, path, stop, probe?).await?;
    let index = index.ok().filter(|index| probe.container == Container::Mov && !index.tracks.is_empty());
    let timeline = timeline(ffmpeg, path, stop, &probe, index.as_ref()).await?;
    Ok(Looked { probe, timeline, index })
}

/// With how bright the source was made to be, when its first picture has to be asked. One that cannot be decoded by itself
/// says nothing of it, and of nothing else.
async fn lit(ffmpeg: &Ffmpeg, path: &Path, stop: &CancellationToken, probe: Probe) -> Result<Probe, Fault> {
    let Some(stream) = probe.video.as_ref().filter(|_| probe.is_silent_about_light()) else {
        return Ok(probe);
    };
    let (container, ordinal) = (probe.container, stream.ordinal);
    let argv = |input: &str| argv::first_picture(input, container, ordinal);
    match ask(ffmpeg, path, stop, argv, (FACTS_BYTES_MAX, PROBE_LIMITS)).await {
        Ok(answer) => Ok(probe.lit_by(&answer.stdout)),
        Err(fault) if fault.class == retry::Class::Refusal => Ok(probe),
        Err(fault) => Err(fault),
    }
}

async fn facts(ffmpeg: &Ffmpeg, path: &Path, stop: &CancellationToken) -> Result<Probe, Fault> {
    let answer = ask(ffmpeg, path, stop, argv::probe, (FACTS_BYTES_MAX, PROBE_LIMITS)).await?;
    let probe = Probe::parse(&answer.stdout);
    // ffprobe succeeds with a picture that it may not open, and then knows nothing of it.
    let told = |refusal| {
        let unknown = matches!(refusal, Refusal::UnsupportedMedia { .. });
        Refusal::too_large(&answer.stderr_tail).filter(|_| unknown).unwrap_or(refusal)
    };
    Ok(probe.map_err(told)?)
}

/// Runs ffprobe on one file; what it cannot read is no media.
async fn ask(
    ffmpeg: &Ffmpeg,
    path: &Path,
    stop: &CancellationToken,
    argv: impl FnOnce(&str) -> Vec<String>,
    (max_bytes, limits): (usize, Limits),
) -> Result<Finished, Fault> {
    let input =
        path.to_str().ok_or_else(|| Fault::world("the data directory has a name that is not UTF-8"))?;
    let job = Job {
        program: Program::Ffprobe,
        args: argv(input),
        inputs: vec![PathBuf::from(path)],
        dir: None,
        limits,
        stdout: Stdout::Capture { max_bytes },
    };
    let run = ffmpeg.run(job, |_| {}, stop.cancelled()).await;
    run.map_err(|error| match error.class() {
        Class::World => Fault::from(error),
        // Somebody else ended it: the operator, or the kernel for want of memory. That says nothing of the file.
        Class::Crash if matches!(error.what, Failure::Signal(_)) => Fault::from(error),
        Class::Refusal | Class::Crash => Fault::from(Refusal::from_ffprobe_stderr(&error.stderr_tail))
            .with(json!({ "stderr": error.stderr_tail })),
    })
}

async fn timeline(
    ffmpeg: &Ffmpeg,
    path: &Path,
    stop: &CancellationToken,
    probe: &Probe,
    index: Option<&Index>,
) -> Result<Timeline, Fault> {
    if let Some(timeline) = index.and_then(|index| of_index(probe, index)) {
        return Ok(timeline);
    }
    let container = probe.container;
    let longer_s = tokio::fs::metadata(path).await?.len() / READ_BYTES_PER_S;
    let limits = Limits {
        cpu_s: 2 * PROBE_LIMITS.cpu_s + longer_s,
        wall_ms: PROBE_LIMITS.wall_ms + longer_s * 1_000,
        ..PROBE_LIMITS
    };
    let list =
        ask(ffmpeg, path, stop, |input| argv::packets(input, container), (PACKETS_BYTES_MAX, limits)).await?;
    let mut packets = PacketList::new(probe);
    packets.feed(&list.stdout)?;
    Ok(packets.finish()?)
}

/// The times of an MP4 from its own index; `None` when an edit list says what this does not understand.
fn of_index(probe: &Probe, index: &Index) -> Option<Timeline> {
    let of_kind = |want_video: bool| {
        index.tracks.iter().filter(move |track| match track.kind {
            TrackKind::Video { .. } => want_video,
            TrackKind::Audio { .. } => !want_video,
            TrackKind::Other => false,
        })
    };
    // ffprobe and the index must mean the same streams; an attached picture is a track to neither of them.
    if of_kind(true).count() != usize::from(probe.video.is_some()) {
        return None;
    }
    let packets = |track| packets(track, index.size);
    let video: Vec<_> = of_kind(true).map(packets).collect::<Option<_>>()?;
    let audio: Vec<_> = of_kind(false).map(packets).collect::<Option<_>>()?;
    let (video, audio) = (video.into_iter().flatten(), audio.into_iter().flatten());
    let start_us = probe.video.as_ref().and_then(|video| video.start_us);
    Some(Timeline::from_packets(probe.container_start_us, video, audio).read_by_ffmpeg(start_us))
}

/// The packets that are in the file: an index in front may promise more than a file that was cut off has.
fn packets(track: &Track, size: u64) -> Option<impl Iterator<Item = Packet> + '_> {
    let Edit::Plain { lead_ticks, media_time, .. } = track.edit else { return None };
    let shift = i64::try_from(lead_ticks).ok()? - i64::try_from(media_time).ok()?;
    let us = |ticks: i64| {
        let us = i128::from(ticks) * 1_000_000 / i128::from(track.timescale.max(1));
        // What is later than any film is no time, and sums of it would not fit.
        i64::try_from(us).unwrap_or(TIME_US_MAX).clamp(-TIME_US_MAX, TIME_US_MAX)
    };
    let there = track.samples.iter().filter(move |sample| sample.end() <= size);
    Some(there.map(move |sample| {
        let pts = sample.pts().saturating_add(shift);
        Packet {
            pts_us: us(pts),
            duration_us: us(i64::from(sample.duration)),
            key: sample.sync,
            discard: sample.pts() < i64::try_from(media_time).unwrap_or(i64::MAX),
        }
    }))
}
