//! One picture of one moment of a video, or one that somebody brought, by one short run of ffmpeg while somebody waits.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use matinee_core::id::{ObjectId, VideoId};
use matinee_core::image::{self, Head};
use matinee_core::limits;
use matinee_core::plan::argv::{self, Film};
use matinee_core::plan::{self, Container, Plan, Seek};
use matinee_core::storyboard::{within, within_side};
use matinee_core::video::{Medium, RenditionState};
use matinee_io::db::{Rendition, Video};
use matinee_io::ffmpeg::{Class, Job, Limits, Program, Stdout};

use super::scratch::Scratch;
use super::{Failure, mark};
use crate::node::Node;
use crate::turn::Door;

const NAME: &str = "still.jpg";
const BROUGHT: &str = "brought";
/// Somebody waits, so it comes soon or not at all.
const LIMITS: Limits = Limits {
    cpu_s: 20,
    wall_ms: 20_000,
    memory_bytes: limits::FFMPEG_ADDRESS_SPACE_BYTES,
    output_bytes: 16 << 20,
    stall_ms: 20_000,
};
/// Where a rendition has no picture any more at the wanted moment, the last one from so long before is taken, in microseconds.
const BACK_US: i64 = 5_000_000;

/// How large a picture may be, in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) enum Size {
    /// Its width.
    Width(u32),
    /// Its longest side.
    Side(u32),
}

impl Size {
    /// What becomes of a picture of this size.
    fn of(self, whole: (u32, u32)) -> (u32, u32) {
        match self {
            Self::Width(most) => within(whole, most),
            Self::Side(most) => within_side(whole, most),
        }
    }
}

/// The picture that is shown at `at_ms`, made behind this door.
pub(super) async fn at(
    node: &Node,
    video: VideoId,
    (at_ms, most): (u64, Size),
    door: &Door,
) -> Result<Bytes, Failure> {
    let video = node.db.video_any(video).await?.ok_or(Failure::Absent)?;
    let plan = plan(&video).ok_or_else(nothing_yet)?;
    let renditions = node.db.renditions(video.id).await?;
    let moment_us = i64::try_from(at_ms.saturating_mul(1_000)).unwrap_or(i64::MAX);
    let wanted = from(&video, &plan, &renditions, (moment_us, most)).ok_or_else(no_picture)?;
    let still = (wanted.file, at_ms, wanted.size);
    if node.tries.are_spent(&still) {
        return Err(cannot_be_made());
    }
    let _turn = door.enter().await.ok_or(Failure::Busy)?;
    let scratch = Scratch::fresh(node)?;
    if matches!(wanted.place, Place::Source { .. }) {
        mark::lay(node, video.app, &plan, &scratch).await?;
    }
    match make(node, &plan, &wanted, &scratch).await {
        Ok(bytes) => Ok(bytes),
        Err(Ran::World(cause)) => Err(Failure::Again(cause)),
        Err(Ran::Media(cause)) => {
            tracing::info!(video = %video.id, at_ms, cause, "a still cannot be made");
            node.tries.failed(still);
            Err(if node.tries.are_spent(&still) { cannot_be_made() } else { Failure::Again(cause) })
        }
    }
}

/// Runs what gives the wanted picture; where that gives none, what surely does.
async fn make(node: &Node, plan: &Plan, wanted: &Wanted, scratch: &Scratch) -> Result<Bytes, Ran> {
    let world = |error: io::Error| Ran::World(error.to_string());
    let input = node.input_text(wanted.file).map_err(|fault| Ran::World(fault.to_string()))?;
    let inputs = vec![node.object_path(wanted.file).map_err(world)?];
    let raw = plan.video.as_ref().filter(|_| matches!(wanted.place, Place::Source { .. }));
    let film = Film { input: &input, container: wanted.container, raw };
    let (size, output) = (wanted.size, NAME);
    let (first, second) = match wanted.place {
        Place::Rendition { ss_us, back_us } => (
            Some(argv::thumbnail(film, ss_us, size, output)),
            argv::thumbnail_last(film, (ss_us - back_us).max(0), size, output),
        ),
        Place::Source { frame, near, far } => (
            near.map(|seek| argv::moment((plan, film), (frame, seek, false), size, output)),
            argv::moment((plan, film), (frame, far, true), size, output),
        ),
    };
    if let Some(first) = first {
        run(node, scratch, first, inputs.clone()).await?;
    }
    if !scratch.file(NAME).exists() {
        run(node, scratch, second, inputs).await?;
    }
    let (bytes, made) = made(scratch).await?;
    if made == size { Ok(bytes) } else { Err(Ran::Media(format!("{made:?} pixels instead of {size:?}"))) }
}

/// A picture that somebody brought, decoded and written anew; no larger than a poster.
pub(super) async fn brought(node: &Node, bytes: Bytes) -> Result<Bytes, Failure> {
    let refused = |human: &str| Failure::Refused { conflict: false, human: human.to_owned() };
    let head = Head::read(&bytes).ok_or_else(|| refused("The file is neither a JPEG nor a PNG picture."))?;
    if head.pixels() > limits::SOURCE_PIXELS_MAX {
        return Err(refused("The picture has too many pixels."));
    }
    let _turn = node.studio.enter().await.ok_or(Failure::Busy)?;
    let scratch = Scratch::fresh(node)?;
    tokio::fs::write(scratch.file(BROUGHT), &bytes).await?;
    let args = argv::picture(head.format, BROUGHT, NAME);
    match run(node, &scratch, args, vec![scratch.file(BROUGHT)]).await {
        Err(Ran::Media(cause)) => {
            tracing::info!(cause, "a picture that was brought cannot be decoded");
            return Err(refused("The picture is damaged, or of a kind that cannot be read."));
        }
        ran => ran?,
    }
    let (bytes, (width, height)) = made(&scratch).await?;
    // Pictures of cameras may be turned by a mark in them, so the sides may change places.
    let alike = |wide: u32, tall: u32| {
        let (across, along) = (u64::from(width) * u64::from(tall), u64::from(height) * u64::from(wide));
        across.abs_diff(along) <= 2 * u64::from(wide.max(tall)) + u64::from(wide) + u64::from(tall)
    };
    let fits = width.max(height) <= argv::POSTER_SIDE_MAX;
    if fits && (alike(head.width, head.height) || alike(head.height, head.width)) {
        return Ok(bytes);
    }
    Err(Failure::Never(format!("a picture became {width} x {height} pixels")))
}

/// Where a picture is taken from.
struct Wanted {
    file: ObjectId,
    container: Container,
    place: Place,
    size: (u32, u32),
}

/// Where the picture is in its file.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Of a rendition, which has a picture for every moment.
    Rendition {
        /// Its time.
        ss_us: i64,
        /// At the end of a video there may be none; then the last one from so long before is taken.
        back_us: i64,
    },
    /// Of the source, whose pictures are not as they are shown, and may be far apart.
    Source {
        /// The frame of the grid.
        frame: u64,
        /// Where it is found soonest, if at all.
        near: Option<Seek>,
        /// Where it is found surely: where the chunk begins that has it.
        far: Seek,
    },
}

fn plan(video: &Video) -> Option<Plan> {
    serde_json::from_value(video.plan.clone()?).ok()
}

fn no_picture() -> Failure {
    let human = "This video has no picture; send one of your own as image/jpeg or image/png.";
    Failure::Refused { conflict: false, human: human.to_owned() }
}

fn cannot_be_made() -> Failure {
    let human = "The picture of this moment cannot be decoded; choose another one, or send one of your own.";
    Failure::Refused { conflict: true, human: human.to_owned() }
}

fn nothing_yet() -> Failure {
    Failure::Refused { conflict: true, human: "Nothing of this video can be shown yet.".to_owned() }
}

/// The smallest finished rendition that is wide enough, else the largest; before there is one, the source.
fn from(video: &Video, plan: &Plan, renditions: &[Rendition], (at_us, most): (i64, Size)) -> Option<Wanted> {
    let planned = plan.video.as_ref()?;
    let whole = |row: &&Rendition| {
        row.generation == video.encoding && row.medium == Medium::Video && row.state == RenditionState::Ready
    };
    let mut all: Vec<_> = renditions
        .iter()
        .filter(whole)
        .filter_map(|row| {
            let known = planned.renditions.iter().find(|known| known.id == row.name)?;
            Some((known, row.file?))
        })
        .collect();
    all.sort_by_key(|(known, _)| known.width);
    let large = |known: &plan::Rendition| most.of((known.width, known.height)) != (known.width, known.height);
    let enough = all.iter().find(|(known, _)| large(known)).or(all.last());
    // The picture on screen, not the next one; behind the last one that is the last.
    let last = planned.frames.saturating_sub(1);
    let frame = planned.rate.frame_at(at_us).min(last);
    if let Some((known, file)) = enough {
        let every = u64::from(known.every.max(1));
        return Some(Wanted {
            file: *file,
            container: Container::Mov,
            place: Place::Rendition {
                ss_us: planned.rate.frame_us(frame / every * every),
                back_us: BACK_US.max(planned.rate.frame_us(2 * every)),
            },
            size: most.of((known.width, known.height)),
        });
    }
    let top = planned.renditions.first()?;
    let chunk = planned.chunks.iter().rfind(|chunk| chunk.first <= frame)?;
    Some(Wanted {
        file: video.input_of(video.encoding)?,
        container: plan.container,
        place: Place::Source { frame, near: argv::shortly_before(plan, planned, frame), far: chunk.seek },
        size: most.of((top.width, top.height)),
    })
}

/// Why a run gave nothing.
enum Ran {
    /// The world: no ffmpeg, no room, a node that ends.
    World(String),
    /// What was read.
    Media(String),
}

impl From<Ran> for Failure {
    fn from(ran: Ran) -> Self {
        let (Ran::World(cause) | Ran::Media(cause)) = ran;
        Self::Again(cause)
    }
}

async fn run(node: &Node, scratch: &Scratch, args: Vec<String>, inputs: Vec<PathBuf>) -> Result<(), Ran> {
    let ffmpeg = node.ffmpeg.as_ref().map_err(|error| Ran::World(error.to_string()))?;
    let job = Job {
        program: Program::Ffmpeg,
        args,
        inputs,
        dir: Some(scratch.path().to_owned()),
        limits: LIMITS,
        stdout: Stdout::Progress,
    };
    match ffmpeg.run(job, |_| {}, node.stop.cancelled()).await {
        Ok(_) => Ok(()),
        Err(error) if error.class() == Class::World || node.stop.is_cancelled() => {
            Err(Ran::World(error.to_string()))
        }
        Err(error) => Err(Ran::Media(format!("{error}: {}", last_line(&error.stderr_tail)))),
    }
}

fn last_line(text: &str) -> &str {
    text.lines().next_back().unwrap_or_default()
}

/// What was written, with its size.
async fn made(scratch: &Scratch) -> Result<(Bytes, (u32, u32)), Ran> {
    let none = || Ran::Media("no picture was written".to_owned());
    let bytes = tokio::fs::read(scratch.file(NAME)).await.map_err(|_| none())?;
    let (width, height) = image::jpeg_size(&bytes).ok_or_else(none)?;
    Ok((bytes.into(), (width.into(), height.into())))
}
