//! ffmpeg, ffprobe and the sandbox: found, able, and really held.

use std::path::{Path, PathBuf};

use matinee_io::ffmpeg::cgroup::Subtree;
use matinee_io::ffmpeg::{self, Ffmpeg, FfmpegError, Finished, Job, Limits, Program, RunError, Stdout};
use matinee_io::random;

use super::Finding;
use crate::flow::engine::{self, Tried};

/// Without these encoders nothing can be made.
const ENCODERS: &[&str] = &["libx264", "aac"];
/// Without these, pipelines that ask for other codecs refuse their videos.
const OTHER_ENCODERS: &[&str] = &["libvpx-vp9", "libsvtav1", "libx265", "libopus"];
/// Without these filters some videos cannot be encoded.
const FILTERS: &[&str] = &["scale", "zscale", "tonemap"];
const ANSWER_BYTES_MAX: usize = 1 << 16;

/// Looks for the programs, asks what they can do, and tries the sandbox.
pub(super) async fn examine(config: &ffmpeg::Config, nodes: &[String]) -> Vec<Finding> {
    let programs = match Ffmpeg::detect(config.clone()).await {
        Ok(programs) => programs,
        Err(error) => return vec![unusable(&error)],
    };
    let found = programs.found();
    let mut findings = vec![Finding::ok("ffmpeg", format!("version {}", found.version))];
    findings.extend(able(found));
    findings.push(if programs.is_sandboxed() {
        match tried(&programs).await {
            Ok(()) => Finding::ok(
                "sandbox",
                "Landlock and a filter of system calls hold ffmpeg: only the listed files can be read",
            ),
            Err(trial) => trial,
        }
    } else {
        Finding::note(
            "sandbox",
            "ffmpeg runs without a sandbox, because `encode.accept_unsandboxed` is set",
            "Use a kernel with Landlock (Linux 5.19 or later) before you take files of strangers.",
        )
    });
    findings.push(groups());
    findings.extend(hardware(&engine::tried(&programs, nodes, &std::env::temp_dir()).await));
    findings
}

/// Whether a server that is started as this command was can limit all of a program together.
fn groups() -> Finding {
    let found = match Subtree::here() {
        Ok(_) => {
            "a server here gives each ffmpeg a cgroup: memory, threads, share of the processors".to_owned()
        }
        Err(lack) => format!("each ffmpeg has the limits of a process, and no cgroup: {lack}"),
    };
    Finding::ok("cgroup", found)
}

/// One sentence for each kind of encoder in hardware. What is there and refuses is worth a note, unless another kind does
/// the same with the same card.
fn hardware(all: &[Tried]) -> Vec<Finding> {
    const CHECK: &str = "hardware";
    let any = all.iter().any(|one| one.found.is_ok());
    let finding = |one: &Tried| {
        let title = one.kind.title();
        match &one.found {
            Ok(usable) => {
                let device = if usable.place.device.is_empty() { "" } else { " on " };
                let (whole, rest) = (usable.ssim / 10_000, usable.ssim % 10_000);
                let found = format!(
                    "{title}: usable{device}{}, a second came out with SSIM {whole}.{rest:04}",
                    usable.place.device
                );
                Finding::ok(CHECK, found)
            }
            Err(why) if why.is_there() && !any => {
                Finding::note(CHECK, format!("{title}: not usable: {why}"), why.fix(one.kind))
            }
            Err(why) => Finding::ok(CHECK, format!("{title}: not usable: {why}")),
        }
    };
    all.iter().map(finding).collect()
}

fn unusable(error: &FfmpegError) -> Finding {
    match error {
        FfmpegError::Missing(program) => Finding::fix(
            "ffmpeg",
            format!("{program} is not installed"),
            "Install it, for example with `sudo apt install ffmpeg`, or set `encode.ffmpeg_dir`.",
        ),
        FfmpegError::Refused => Finding::fix(
            "sandbox",
            "this kernel lacks Landlock or filters of system calls, so ffmpeg cannot be contained",
            "Use Linux 5.19 or later with `landlock` in the boot parameter `lsm=`, built with seccomp. Only if every file \
             is trusted, set `encode.accept_unsandboxed = true`.",
        ),
        FfmpegError::Silent { program, source } => Finding::fix(
            "ffmpeg",
            format!("{} does not answer: {source}", program.display()),
            "Run it by hand; install it again if it does not start.",
        ),
    }
}

fn able(found: &ffmpeg::Found) -> Vec<Finding> {
    let missing = |wanted: &[&str], has: &std::collections::BTreeSet<String>| {
        wanted.iter().filter(|name| !has.contains(**name)).copied().collect::<Vec<_>>().join(", ")
    };
    let (encoders, filters) = (missing(ENCODERS, &found.encoders), missing(FILTERS, &found.filters));
    let remedy = "Install a full build of ffmpeg, for example that of your distribution.";
    let coding = if encoders.is_empty() {
        Finding::ok("codecs", format!("encoders {}", ENCODERS.join(", ")))
    } else {
        Finding::fix("codecs", format!("ffmpeg has no encoder {encoders}"), remedy)
    };
    let filtering = if filters.is_empty() {
        Finding::ok("codecs", format!("filters {}", FILTERS.join(", ")))
    } else {
        Finding::note("codecs", format!("ffmpeg has no filter {filters}: HDR videos look pale"), remedy)
    };
    let others = missing(OTHER_ENCODERS, &found.encoders);
    let more = (!others.is_empty()).then(|| {
        let lacks = format!("ffmpeg has no encoder {others}: pipelines cannot ask for that codec");
        Finding::note("codecs", lacks, remedy)
    });
    [coding, filtering].into_iter().chain(more).collect()
}

/// A directory that goes with the trial.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed here lies in the system's own folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Encodes a tiny video, reads it, and tries to read a file that was not allowed; all in the sandbox.
async fn tried(programs: &Ffmpeg) -> Result<(), Finding> {
    let fails = |what: &str, why: String| {
        Finding::fix(
            "sandbox",
            format!("{what}: {why}"),
            "Report this with the output of `matinee doctor --json`.",
        )
    };
    let place = Place(
        std::env::temp_dir().join(format!("matinee-doctor-{:016x}", u64::from_le_bytes(random::bytes()))),
    );
    std::fs::create_dir(&place.0).map_err(|error| fails("no place for a trial", error.to_string()))?;
    let (made, secret) = (place.0.join("trial.mp4"), place.0.with_extension("mp4"));
    let run = encode(programs, &place.0, &made).await;
    run.map_err(|error| {
        fails("ffmpeg cannot encode in the sandbox", format!("{error}; {}", last_line(&error.stderr_tail)))
    })?;
    let run = probe(programs, &made, &[&made]).await;
    run.map_err(|error| {
        fails("ffprobe cannot read in the sandbox", format!("{error}; {}", last_line(&error.stderr_tail)))
    })?;
    std::fs::copy(&made, &secret).map_err(|error| fails("no place for a trial", error.to_string()))?;
    let leak = probe(programs, &secret, &[]).await;
    std::fs::remove_file(&secret).map_err(|error| fails("the trial cannot be removed", error.to_string()))?;
    match leak {
        Err(_) => Ok(()),
        Ok(_) => Err(fails("the sandbox leaks", "a file was read that was not allowed".to_owned())),
    }
}

fn last_line(text: &str) -> &str {
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing")
}

async fn encode(programs: &Ffmpeg, dir: &Path, made: &Path) -> Result<Finished, RunError> {
    let source = "testsrc2=duration=0.2:size=64x64:rate=25";
    let made = made.to_string_lossy();
    let args = [
        "-hide_banner",
        "-nostdin",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        source,
        "-c:v",
        "libx264",
        "-y",
        &made,
    ];
    let job = Job {
        program: Program::Ffmpeg,
        args: args.map(str::to_owned).to_vec(),
        inputs: Vec::new(),
        dir: Some(dir.to_owned()),
        limits: Limits { cpu_s: 20, wall_ms: 20_000, ..Limits::default() },
        stdout: Stdout::Capture { max_bytes: ANSWER_BYTES_MAX },
    };
    programs.run(job, |_| {}, std::future::pending()).await
}

async fn probe(programs: &Ffmpeg, path: &Path, inputs: &[&Path]) -> Result<Finished, RunError> {
    let path = path.to_string_lossy();
    let job = Job {
        program: Program::Ffprobe,
        args: ["-v", "error", "-show_format", &path].map(str::to_owned).to_vec(),
        inputs: inputs.iter().map(|input| input.to_path_buf()).collect(),
        dir: None,
        limits: Limits { cpu_s: 10, wall_ms: 10_000, ..Limits::default() },
        stdout: Stdout::Capture { max_bytes: ANSWER_BYTES_MAX },
    };
    programs.run(job, |_| {}, std::future::pending()).await
}
