//! Runs ffmpeg and ffprobe in a sandbox: the only place that starts a process.
//!
//! The binary starts itself under [`sandbox::COMMAND`], restricts itself and then becomes ffmpeg. What is
//! started here never gets a URL, sees its listed input files, writes below one directory, and dies with us.

mod calls;
pub mod cgroup;
pub mod device;
pub mod probe;
mod progress;
mod run;
pub mod sandbox;
mod spawn;

use std::collections::BTreeSet;
use std::path::PathBuf;

use bytes::Bytes;

pub use probe::FfmpegError;

/// How the programs are found and contained.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our own binary, whose `main` hands [`sandbox::COMMAND`] to [`sandbox::enter`].
    pub launcher: PathBuf,
    /// The absolute path of ffmpeg; looked up in `PATH` when `None`. ffprobe must lie beside it or in `PATH`.
    pub ffmpeg: Option<PathBuf>,
    /// The operator accepts to run without what the kernel has not: Landlock, or filters of system calls.
    pub accept_unsandboxed: bool,
    /// The last ABI of Landlock that is used; a lower one than the kernel has shows how an older kernel holds.
    pub landlock_abi_max: u8,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            launcher: PathBuf::from("/proc/self/exe"),
            ffmpeg: None,
            accept_unsandboxed: false,
            landlock_abi_max: sandbox::LANDLOCK_MAX,
        }
    }
}

/// The programs of this machine, ready to be run.
#[derive(Debug, Clone)]
pub struct Ffmpeg {
    launcher: PathBuf,
    encoder: PathBuf,
    prober: PathBuf,
    walls: sandbox::Walls,
    found: Found,
    /// Device nodes that they may open; none but for an encoder in hardware.
    devices: Vec<PathBuf>,
    /// Where each run gets a cgroup of its own.
    subtree: Option<cgroup::Subtree>,
}

impl Ffmpeg {
    /// The same programs, which may open these device nodes as well.
    #[must_use]
    pub fn reaching(&self, devices: &[String]) -> Self {
        Self { devices: devices.iter().map(PathBuf::from).collect(), ..self.clone() }
    }

    /// The same programs, each run in a cgroup of its own below this one.
    #[must_use]
    pub fn below(self, subtree: Option<cgroup::Subtree>) -> Self {
        Self { subtree, ..self }
    }
}

/// What this machine's ffmpeg can do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// For example `5.1.9-0+deb12u1`.
    pub version: String,
    /// Names as in `ffmpeg -encoders`, for example `libx264`.
    pub encoders: BTreeSet<String>,
    /// Names as in `ffmpeg -filters`, for example `scale`.
    pub filters: BTreeSet<String>,
}

/// Which program a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Decodes, filters and encodes.
    Ffmpeg,
    /// Looks at a file.
    Ffprobe,
}

/// What standard output carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdout {
    /// The reports of `-progress pipe:1`; only with it a stall is noticed.
    Progress,
    /// The answer, at most so many bytes.
    Capture {
        /// More than this ends the run with [`Failure::AnswerTooLarge`].
        max_bytes: usize,
    },
}

/// One run of a program.
#[derive(Debug, Clone)]
pub struct Job {
    /// Which program.
    pub program: Program,
    /// Its arguments, without the program's name.
    pub args: Vec<String>,
    /// The only files (absolute paths) that it may read.
    pub inputs: Vec<PathBuf>,
    /// The only directory (absolute path) that it may write; also its working directory.
    pub dir: Option<PathBuf>,
    /// When it is stopped.
    pub limits: Limits,
    /// What standard output carries.
    pub stdout: Stdout,
}

/// When a run is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Processor seconds.
    pub cpu_s: u64,
    /// Milliseconds from start to end.
    pub wall_ms: u64,
    /// Bytes of address space.
    pub memory_bytes: u64,
    /// Bytes of the largest single file.
    pub output_bytes: u64,
    /// Milliseconds without a step of `out_time_us`, or 20 times the median step of this run when that is longer; counts only
    /// with [`Stdout::Progress`].
    pub stall_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cpu_s: 60, wall_ms: 60_000, memory_bytes: 6 << 30, output_bytes: 20 << 30, stall_ms: 60_000 }
    }
}

/// One report of `-progress`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress {
    /// Frames written to the first output.
    pub frame: u64,
    /// Microseconds of output.
    pub out_time_us: i64,
    /// Frames per second; 0 when not known yet.
    pub fps: f64,
    /// Seconds of output per second; 0 when not known yet.
    pub speed: f64,
    /// Whether ffmpeg called this its last report.
    pub ended: bool,
}

/// What a program lets hear while it runs.
#[derive(Debug, Clone, Copy)]
pub enum Word<'w> {
    /// How far it is.
    At(Progress),
    /// The next bytes of its standard error, cut anywhere.
    Said(&'w [u8]),
}

/// A run that ended with exit code 0. That says nothing about its output: verify it.
#[derive(Debug, Clone)]
pub struct Finished {
    /// What was captured; empty with [`Stdout::Progress`].
    pub stdout: Bytes,
    /// The last 64 KiB of standard error.
    pub stderr_tail: String,
    /// Processor milliseconds, user and system, in steps of 10.
    pub cpu_ms: u64,
    /// Packets and pictures of the input that could not be decoded as they are.
    pub damage: u64,
    /// The largest resident set that was seen, bytes; 0 for a run too short to be looked at.
    pub memory_seen_bytes: u64,
}

/// How a failed run is to be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The input is to blame: final.
    Refusal,
    /// The program broke down: try once more, then in the safe profile.
    Crash,
    /// The machine is to blame: try again later, without counting.
    World,
}

/// A run that did not end well; the process is gone in every case.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct RunError {
    /// What happened.
    pub what: Failure,
    /// The last 64 KiB of standard error.
    pub stderr_tail: String,
    /// Processor milliseconds that were used.
    pub cpu_ms: u64,
    program: Program,
}

/// What ended a run.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The program said no.
    #[error("the program ended with code {0}")]
    Exit(i32),
    /// The program was ended by a signal that we did not send.
    #[error("the program was ended by signal {0}")]
    Signal(i32),
    /// The wall limit.
    #[error("not finished after {0} ms")]
    Timeout(u64),
    /// The processor limit.
    #[error("not finished after {0} s of processor time")]
    CpuLimit(u64),
    /// The program ran out of the memory that it was given.
    #[error("out of memory")]
    OutOfMemory,
    /// Nothing was written for too long.
    #[error("no progress for {0} ms")]
    Stalled(u64),
    /// The caller did not want it any more.
    #[error("cancelled")]
    Cancelled,
    /// A file grew over the limit.
    #[error("a file grew over {0} bytes")]
    OutputTooLarge(u64),
    /// The answer on standard output grew over the limit.
    #[error("the answer grew over {0} bytes")]
    AnswerTooLarge(usize),
    /// The disk is full.
    #[error("no space is left on the disk")]
    NoSpace,
    /// The sandbox could not be set up, so nothing was run.
    #[error("the sandbox could not be set up: {0}")]
    Sandbox(String),
    /// The process could not be started or watched.
    #[error("the process could not be started")]
    Start(#[from] std::io::Error),
}

impl RunError {
    /// How this failure is to be treated.
    pub const fn class(&self) -> Class {
        match (&self.what, self.program) {
            (Failure::Exit(_), Program::Ffprobe) | (Failure::AnswerTooLarge(_), _) => Class::Refusal,
            (Failure::Exit(_), Program::Ffmpeg)
            | (
                Failure::Signal(_)
                | Failure::Timeout(_)
                | Failure::CpuLimit(_)
                | Failure::OutOfMemory
                | Failure::Stalled(_)
                | Failure::OutputTooLarge(_),
                _,
            ) => Class::Crash,
            (Failure::Cancelled | Failure::NoSpace | Failure::Sandbox(_) | Failure::Start(_), _) => {
                Class::World
            }
        }
    }
}
