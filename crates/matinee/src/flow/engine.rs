//! Encoders in hardware: tried on this machine, offered by all machines together, and given up for a video that they fail.

use std::path::Path;

use matinee_core::gate;
use matinee_core::hardware::{self, Candidate, Engine, Kind, Machine, TRIAL_SSIM_MIN, Unusable, Usable};
use matinee_core::job::Kind as Work;
use matinee_core::job::retry::Class;
use matinee_core::limits;
use matinee_core::media::chunk::verify;
use matinee_core::plan::{Plan, Video, argv};
use matinee_core::runner::State;
use matinee_io::db::{DbError, Hard};
use matinee_io::ffmpeg::{Failure as Broken, Ffmpeg, Job, Limits, Program, RunError, Stdout, device};

use super::fault::Fault;
use super::lease::Hold;
use super::scratch::Scratch;
use super::{Failure, indexed, now};
use crate::node::Node;

/// What was found of one kind.
pub(crate) struct Tried {
    pub(crate) kind: Kind,
    pub(crate) found: Result<Usable, Unusable>,
}

/// The device nodes that may be used: those of the configuration that are there, else all that this machine has.
pub(crate) fn nodes(configured: Option<&[String]>) -> Vec<String> {
    let there = |named: &[String]| named.iter().filter(|node| Path::new(node).exists()).cloned().collect();
    configured.map_or_else(device::nodes, there)
}

/// Tries every kind of encoder in hardware: a second of video each, in the sandbox.
pub(crate) async fn tried(ffmpeg: &Ffmpeg, nodes: &[String], work_dir: &Path) -> Vec<Tried> {
    let mut all = Vec::with_capacity(Kind::ALL.len());
    for kind in Kind::ALL {
        let found = match hardware::candidates(kind, nodes, &ffmpeg.found().encoders) {
            Ok(places) => first_usable(ffmpeg, kind, places, work_dir).await,
            Err(unusable) => Err(unusable),
        };
        if let Err(unusable) = found.as_ref()
            && unusable.is_there()
        {
            tracing::warn!(kind = kind.name(), %unusable, "an encoder in hardware is not used");
        }
        all.push(Tried { kind, found });
    }
    all
}

/// What this node can use, tried when it is asked for first.
pub(crate) async fn here(node: &Node) -> &[Usable] {
    let Ok(ffmpeg) = &node.ffmpeg else { return &[] };
    if !node.config.workers.here {
        return &[];
    }
    node.engines
        .get_or_init(async || {
            let nodes = nodes(node.config.encode.devices.as_deref());
            let all = tried(ffmpeg, &nodes, &node.work_dir()).await;
            let usable: Vec<Usable> = all.into_iter().filter_map(|one| one.found.ok()).collect();
            for one in &usable {
                tracing::info!(engine = %one.engine, ssim = one.ssim, "an encoder in hardware passed its trial");
            }
            usable
        })
        .await
}

/// The engines that a new video may be planned for.
pub(crate) async fn offered(node: &Node) -> Result<Vec<Engine>, Failure> {
    let mut engines: Vec<Engine> = here(node).await.iter().map(|one| one.engine).collect();
    engines.extend(hardware::offered(&machines(node, false).await?, limits::NODE_ALIVE_MS, now()));
    Ok(engines)
}

/// All machines that encode chunks, with this node or without it.
async fn machines(node: &Node, with_this: bool) -> Result<Vec<Machine>, Failure> {
    let this = node.holder.split('/').next().unwrap_or_default();
    let nodes = node.db.nodes(now().plus(-limits::ENGINE_AWAY_MS)).await?;
    let nodes = nodes.into_iter().filter(|row| with_this || row.name != this).map(|row| Machine {
        seen: row.beat.now,
        works: row.drained.is_none(),
        engines: serde_json::from_value(row.beat.facts["engines"].clone()).ok(),
    });
    let (runners, _) = node.db.runners().await?;
    let runners = runners.into_iter().filter(|one| one.kinds.contains(&Work::Chunk)).filter_map(|one| {
        let engines = Some(one.report.engines().collect());
        Some(Machine { seen: one.seen?, works: one.state == State::Active, engines })
    });
    Ok(nodes.chain(runners).collect())
}

/// Takes videos back to software whose engine no machine has any more.
pub(crate) async fn forsake(node: &Node) -> Result<(), Failure> {
    let wanted = node.db.engines_wanted(now()).await?;
    if wanted.is_empty() {
        return Ok(());
    }
    let machines = machines(node, true).await?;
    for hard in wanted {
        let Hard { video, engine, .. } = hard;
        if !hardware::is_forsaken(engine, &machines, now()) {
            continue;
        }
        let reason = format!("no machine has had {} for some minutes", engine.kind.title());
        if node.db.fall_back(hard, &reason, now()).await? {
            tracing::warn!(%video, %engine, "no machine has this engine; the video is encoded in software");
        }
    }
    Ok(())
}

/// After an attempt that hardware is to blame for, the video is encoded in software; `false` when it is not to blame.
pub(crate) async fn fall_back(node: &Node, hold: &Hold, plan: &Plan, fault: &Fault) -> Result<bool, DbError> {
    let engine = plan.video.as_ref().and_then(|video| video.engine);
    let Some((engine, video)) = engine.zip(hold.task.video()).filter(|_| hold.task.is_ladder()) else {
        return Ok(false);
    };
    if fault.class == Class::World {
        return Ok(false);
    }
    // Who said no by itself has said why; what a runner tells lies one deeper.
    let told = [&fault.detail, &fault.detail["was"]].into_iter().find(|detail| detail["exit"].is_number());
    let said = told.and_then(|detail| detail["stderr"].as_str());
    let said = said.map(|said| hardware::refused(said).to_string());
    let reason = format!("{}: {}", engine.kind.title(), said.as_ref().unwrap_or(&fault.problem.human));
    let hard = Hard { video, generation: hold.generation, engine };
    if node.db.fall_back(hard, &reason, now()).await? {
        tracing::warn!(%video, %engine, reason, "an encoder in hardware failed; the video is encoded in software");
    }
    Ok(true)
}

async fn first_usable(
    ffmpeg: &Ffmpeg,
    kind: Kind,
    places: Vec<Candidate>,
    work_dir: &Path,
) -> Result<Usable, Unusable> {
    let mut why = None;
    for place in places {
        match trial(ffmpeg, place, work_dir).await {
            Ok(usable) => return Ok(usable),
            // What the first device says is most often what all say.
            Err(unusable) => why = why.or(Some(unusable)),
        }
    }
    Err(why.unwrap_or_else(|| hardware::refused(kind.name())))
}

/// Really encodes, looks at every picture's place, and compares what can be seen.
async fn trial(ffmpeg: &Ffmpeg, place: Candidate, work_dir: &Path) -> Result<Usable, Unusable> {
    let scratch = Scratch::below(work_dir).map_err(|error| Unusable::Wrong(error.to_string()))?;
    let video = argv::trial_video(place.kind);
    let ladder = video.family(0).expect("because the first family is the ladder");
    let outputs = argv::chunk_outputs(ladder);
    let driver = ffmpeg.reaching(&place.nodes);
    run(&driver, &scratch, argv::trial(&place, &video, &outputs)).await?;
    let bytes = proven(&scratch, &video, &outputs).await?;
    let said = run(ffmpeg, &scratch, argv::trial_judge(&video, &outputs)).await?;
    let each = (0..outputs.len()).map(|n| gate::parse(&said, &argv::judge_name(n)).unwrap_or_default());
    let ssim = each.min().unwrap_or_default();
    if ssim < TRIAL_SSIM_MIN {
        return Err(Unusable::Unlike(ssim));
    }
    let engine = Engine::of(place.kind, &bytes);
    Ok(Usable { engine, place, ssim })
}

/// The bytes of all outputs, when each is as asked.
async fn proven(scratch: &Scratch, video: &Video, outputs: &[String]) -> Result<Vec<u8>, Unusable> {
    let wrong = |why: String| Unusable::Wrong(why);
    let mut bytes = Vec::new();
    for (output, rendition) in outputs.iter().zip(&video.renditions) {
        let path = scratch.file(output);
        let index = indexed::index(&path).await.map_err(|failure| wrong(failure.to_string()))?;
        // The last chunk may have a picture more or less; here their number is known.
        let expect = matinee_core::media::chunk::Expect {
            last: false,
            ..video.expect(&video.chunks[0], rendition, None)
        };
        verify(&index, &expect).map_err(|fault| wrong(fault.to_string()))?;
        bytes.extend(tokio::fs::read(&path).await.map_err(|error| wrong(error.to_string()))?);
    }
    Ok(bytes)
}

/// Runs one command of a trial; what it said.
async fn run(ffmpeg: &Ffmpeg, scratch: &Scratch, args: Vec<String>) -> Result<String, Unusable> {
    let limits = Limits {
        cpu_s: limits::TRIAL_MS / 1_000,
        wall_ms: limits::TRIAL_MS,
        stall_ms: limits::TRIAL_MS,
        memory_bytes: limits::HARDWARE_ADDRESS_SPACE_BYTES,
        ..Limits::default()
    };
    let (program, dir) = (Program::Ffmpeg, Some(scratch.path().to_owned()));
    let job = Job { program, args, inputs: Vec::new(), dir, limits, stdout: Stdout::Progress };
    match ffmpeg.run(job, |_| {}, std::future::pending()).await {
        Ok(finished) => Ok(finished.stderr_tail),
        Err(error) => Err(broken(&error)),
    }
}

fn broken(error: &RunError) -> Unusable {
    match &error.what {
        Broken::Timeout(_) | Broken::Stalled(_) | Broken::CpuLimit(_) => {
            Unusable::Slow(limits::TRIAL_MS / 1_000)
        }
        Broken::Signal(_) => Unusable::Refused(error.to_string()),
        Broken::Exit(_)
        | Broken::OutOfMemory
        | Broken::Cancelled
        | Broken::OutputTooLarge(_)
        | Broken::AnswerTooLarge(_)
        | Broken::NoSpace
        | Broken::Sandbox(_)
        | Broken::Start(_) => hardware::refused(&error.stderr_tail),
    }
}
