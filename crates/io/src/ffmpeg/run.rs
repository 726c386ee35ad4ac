//! One run: start, listen, watch, end; whatever happens, no process is left.

use std::collections::VecDeque;
use std::fs;
use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use matinee_core::plan::damage::Damage;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, waitid};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use super::cgroup::Pen;
use super::device;
use super::progress::{Reports, Steps};
use super::sandbox::{self, Policy};
use super::spawn::{self, Group, Start};
use super::{Failure, Ffmpeg, Finished, Job, Limits, Program, Progress, RunError, Stdout, Word};
use crate::clock::Stopwatch;

/// What is kept of standard error.
const STDERR_TAIL_BYTES: usize = 64 << 10;
/// ffmpeg's exit code after it caught a signal.
const ENDED_BY_SIGNAL: i32 = 255;
/// How often limits are looked at.
const TICK_MS: u64 = 250;
/// A polite signal is followed by the deadly one after this time, always.
const TERM_GRACE_MS: u64 = 2000;
/// A full disk has less left than this; the message alone could come from the input.
const FULL_BELOW_BYTES: u64 = 16 << 20;
/// `/proc` counts processor time in hundredths of a second on every platform that we build for.
const MS_PER_CLOCK_TICK: u64 = 10;

impl Ffmpeg {
    /// Runs one job to its end. Dropping the future, or `cancel` becoming ready, kills the process group;
    /// after `cancel` the process is proven gone before this returns.
    pub async fn run<C: Future<Output = ()>>(
        &self,
        job: Job,
        mut progress: impl FnMut(Progress),
        cancel: C,
    ) -> Result<Finished, RunError> {
        let hears = |word: Word<'_>| {
            if let Word::At(at) = word {
                progress(at);
            }
        };
        self.run_heard(job, hears, cancel).await
    }

    /// The same for who also wants to hear what is written to standard error while that happens.
    pub async fn run_heard<C: Future<Output = ()>>(
        &self,
        job: Job,
        hears: impl FnMut(Word<'_>),
        cancel: C,
    ) -> Result<Finished, RunError> {
        let program = job.program;
        let early = |what| RunError { what, stderr_tail: String::new(), cpu_ms: 0, program };
        // Without one the limits of the process hold all the same.
        let pen = self.subtree.as_ref().and_then(|subtree| subtree.group(&job.limits).ok());
        let start = self.start(&job, pen.as_ref()).map_err(|error| early(Failure::Start(error)))?;
        let group = spawn::spawn(start).await.map_err(|error| early(Failure::Start(error)))?;
        let mut watch =
            Watch::new((group, pen), &job, hears).map_err(|error| early(Failure::Start(error)))?;
        watch.listen(cancel).await;
        watch.finish(&job)
    }

    fn start(&self, job: &Job, pen: Option<&Pen>) -> io::Result<Start> {
        let program = match job.program {
            Program::Ffmpeg => &self.encoder,
            Program::Ffprobe => &self.prober,
        };
        let policy = Policy {
            parent: std::process::id(),
            inputs: job.inputs.clone(),
            programs: programs(&[&self.encoder, &self.prober]),
            dir: job.dir.clone(),
            cgroup: pen.map(Pen::door),
            pages: self.devices.iter().flat_map(|node| device::pages(node)).collect(),
            devices: self.devices.clone(),
            cpu_s: job.limits.cpu_s,
            memory_bytes: job.limits.memory_bytes,
            output_bytes: job.limits.output_bytes,
            walls: self.walls,
        };
        Ok(Start {
            launcher: self.launcher.clone(),
            policy: serde_json::to_string(&policy)?,
            program: program.clone(),
            args: job.args.clone(),
            dir: job.dir.clone().unwrap_or_else(|| PathBuf::from("/")),
        })
    }
}

/// What an installation outside the system's directories needs: the programs themselves and their libraries.
/// Never the directory of the programs: it could be somebody's home.
fn programs(installed: &[&Path]) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for program in installed {
        let real = fs::canonicalize(program).unwrap_or_else(|_| program.to_path_buf());
        if let Some(prefix) = real.parent().filter(|dir| dir.ends_with("bin")).and_then(Path::parent) {
            paths.extend(["lib", "lib64"].map(|name| prefix.join(name)));
        }
        // These stores hold nothing but installed packages, each of which names many others.
        paths.extend(
            ["/nix/store", "/gnu/store"].map(PathBuf::from).into_iter().filter(|s| real.starts_with(s)),
        );
        paths.push(real);
    }
    paths
}

/// Whether we have begun to end the run, and why.
enum Ending {
    No,
    Asked { why: Failure, at_ms: u64 },
    Killed { why: Failure },
}

/// What woke the listener.
enum Heard {
    Stdout(io::Result<usize>),
    Stderr(io::Result<usize>),
    Exit,
    Tick,
    Cancel,
}

struct Watch<P> {
    group: Group,
    // Behind the group: it is empty when the group has ended.
    pen: Option<Pen>,
    exit: oneshot::Receiver<()>,
    exited: bool,
    stdout: Option<pipe::Receiver>,
    stderr: Option<pipe::Receiver>,
    limits: Limits,
    mode: Stdout,
    hears: P,
    reports: Reports,
    answer: Vec<u8>,
    tail: VecDeque<u8>,
    damage: Damage,
    ending: Ending,
    since: Stopwatch,
    steps: Steps,
    memory_seen_bytes: u64,
}

impl<P: FnMut(Word<'_>)> Watch<P> {
    fn new((mut group, pen): (Group, Option<Pen>), job: &Job, hears: P) -> io::Result<Self> {
        let (stdout, stderr) = group.pipes().ok_or_else(|| io::Error::other("no pipes"))?;
        let exit = exit_of(group.pid())?;
        Ok(Self {
            group,
            pen,
            exit,
            exited: false,
            stdout: Some(pipe::Receiver::from_owned_fd(stdout.into())?),
            stderr: Some(pipe::Receiver::from_owned_fd(stderr.into())?),
            limits: job.limits,
            mode: job.stdout,
            hears,
            reports: Reports::default(),
            answer: Vec::new(),
            tail: VecDeque::new(),
            damage: Damage::default(),
            ending: Ending::No,
            since: Stopwatch::start(),
            steps: Steps::default(),
            memory_seen_bytes: 0,
        })
    }

    /// Listens until the leader has ended and both pipes are empty.
    async fn listen(&mut self, cancel: impl Future<Output = ()>) {
        let mut cancel = std::pin::pin!(cancel);
        let mut cancelled = false;
        let mut tick = tokio::time::interval(Duration::from_millis(TICK_MS));
        let (mut out, mut err) = (vec![0_u8; 16 << 10], vec![0_u8; 16 << 10]);
        while !(self.exited && self.stdout.is_none() && self.stderr.is_none()) {
            let (stdout, stderr) = (&mut self.stdout, &mut self.stderr);
            let heard = tokio::select! {
                read = read(stdout, &mut out) => Heard::Stdout(read),
                read = read(stderr, &mut err) => Heard::Stderr(read),
                _ = &mut self.exit, if !self.exited => Heard::Exit,
                _ = tick.tick() => Heard::Tick,
                () = &mut cancel, if !cancelled => Heard::Cancel,
            };
            match heard {
                Heard::Stdout(Ok(len)) if len > 0 => self.hear(&out[..len]),
                Heard::Stderr(Ok(len)) if len > 0 => self.keep(&err[..len]),
                Heard::Stdout(_) => self.stdout = None,
                Heard::Stderr(_) => self.stderr = None,
                Heard::Exit => {
                    self.exited = true;
                    // Whoever is left in the group would hold the pipes open.
                    self.group.signal(Signal::KILL);
                }
                Heard::Tick => self.look(),
                Heard::Cancel => {
                    cancelled = true;
                    self.kill(Failure::Cancelled);
                }
            }
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        match self.mode {
            Stdout::Progress => {
                for report in self.reports.feed(bytes) {
                    self.steps.hear(report.out_time_us, self.since.elapsed_ms());
                    (self.hears)(Word::At(report));
                }
            }
            Stdout::Capture { max_bytes } => {
                if self.answer.len() + bytes.len() > max_bytes {
                    self.kill(Failure::AnswerTooLarge(max_bytes));
                } else {
                    self.answer.extend_from_slice(bytes);
                }
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.damage.feed(bytes);
        (self.hears)(Word::Said(bytes));
        self.tail.extend(bytes);
        let surplus = self.tail.len().saturating_sub(STDERR_TAIL_BYTES);
        self.tail.drain(..surplus);
    }

    /// The watchdog: looks at the limits and goes from the polite signal to the deadly one.
    fn look(&mut self) {
        if self.exited {
            return;
        }
        self.memory_seen_bytes =
            self.memory_seen_bytes.max(resident_peak_bytes(self.group.pid()).unwrap_or(0));
        let now_ms = self.since.elapsed_ms();
        match std::mem::replace(&mut self.ending, Ending::No) {
            Ending::No => {
                if now_ms >= self.limits.wall_ms {
                    self.ask(Failure::Timeout(self.limits.wall_ms), now_ms);
                } else if self.mode == Stdout::Progress
                    && let Some(stalled_ms) = self.steps.stalled_ms(self.limits.stall_ms, now_ms)
                {
                    self.ask(Failure::Stalled(stalled_ms), now_ms);
                }
            }
            Ending::Asked { why, at_ms } if now_ms - at_ms >= TERM_GRACE_MS => self.kill(why),
            same @ (Ending::Asked { .. } | Ending::Killed { .. }) => self.ending = same,
        }
    }

    fn ask(&mut self, why: Failure, at_ms: u64) {
        self.group.signal(Signal::TERM);
        self.ending = Ending::Asked { why, at_ms };
    }

    fn kill(&mut self, why: Failure) {
        self.group.signal(Signal::KILL);
        // The first reason is the true one.
        let first = match std::mem::replace(&mut self.ending, Ending::No) {
            Ending::No => why,
            Ending::Asked { why, .. } | Ending::Killed { why } => why,
        };
        self.ending = Ending::Killed { why: first };
    }

    fn finish(self, job: &Job) -> Result<Finished, RunError> {
        let cpu_ms = cpu_ms(self.group.pid()).unwrap_or(0);
        let stderr_tail = String::from_utf8_lossy(&Vec::from(self.tail)).into_owned();
        let status = self.group.reap();
        let what = match (self.ending, status) {
            (Ending::Asked { why, .. } | Ending::Killed { why }, _) => why,
            (Ending::No, Err(error)) => Failure::Start(error),
            (Ending::No, Ok(_)) if self.pen.as_ref().is_some_and(Pen::ran_out_of_memory) => {
                Failure::OutOfMemory
            }
            (Ending::No, Ok(status)) if status.success() => {
                let (stdout, memory_seen_bytes) = (self.answer.into(), self.memory_seen_bytes);
                let damage = self.damage.count();
                return Ok(Finished { stdout, stderr_tail, cpu_ms, damage, memory_seen_bytes });
            }
            (Ending::No, Ok(status)) => judge(status, &stderr_tail, cpu_ms, job),
        };
        Err(RunError { what, stderr_tail, cpu_ms, program: job.program })
    }
}

/// Tells when a child has ended, without reaping it: until then nobody else can get its id.
fn exit_of(pid: Pid) -> io::Result<oneshot::Receiver<()>> {
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let (ended, exit) = oneshot::channel::<()>();
    std::thread::Builder::new().name("exit".into()).spawn(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while waitid(WaitId::PidFd(pidfd.as_fd()), options).is_err_and(|errno| errno == Errno::INTR) {}
        drop(ended);
    })?;
    Ok(exit)
}

/// Reads from a pipe; never ready when it has ended.
async fn read(pipe: &mut Option<pipe::Receiver>, buffer: &mut [u8]) -> io::Result<usize> {
    match pipe {
        Some(pipe) => pipe.read(buffer).await,
        None => std::future::pending().await,
    }
}

/// Says what a status that is not success means.
fn judge(status: ExitStatus, stderr: &str, cpu_ms: u64, job: &Job) -> Failure {
    let limits = job.limits;
    if status.code() == Some(i32::from(sandbox::FAILED)) {
        return Failure::Sandbox(stderr.lines().last().unwrap_or_default().to_owned());
    }
    let signal = status.signal();
    if signal == Some(Signal::XFSZ.as_raw()) || stderr.contains("File too large") {
        return Failure::OutputTooLarge(limits.output_bytes);
    }
    // ffmpeg catches the signal of the processor limit and ends with 255. The kernel counts the limit more exactly
    // than `/proc` tells the time, so half of it is proof enough that no other signal of ours came.
    let caught = status.code() == Some(ENDED_BY_SIGNAL)
        && cpu_ms.saturating_mul(2) >= limits.cpu_s.saturating_mul(1000);
    if signal == Some(Signal::XCPU.as_raw()) || caught {
        return Failure::CpuLimit(limits.cpu_s);
    }
    if stderr.contains("Cannot allocate memory") || stderr.contains("failed to map segment") {
        return Failure::OutOfMemory;
    }
    if stderr.contains("No space left on device") && job.dir.as_deref().is_some_and(is_full) {
        return Failure::NoSpace;
    }
    match (signal, status.code()) {
        (Some(signal), _) => Failure::Signal(signal),
        (None, code) => Failure::Exit(code.unwrap_or(-1)),
    }
}

fn is_full(dir: &Path) -> bool {
    rustix::fs::statvfs(dir).is_ok_and(|fs| fs.f_bavail.saturating_mul(fs.f_frsize) < FULL_BELOW_BYTES)
}

/// User and system time of a process that may have ended but is not reaped; proc(5), fields 14 and 15.
fn cpu_ms(pid: Pid) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name before the last bracket may hold anything.
    let after_name = stat.rsplit_once(')')?.1;
    let ticks = after_name.split_ascii_whitespace().skip(11).take(2);
    Some(ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * MS_PER_CLOCK_TICK)
}

fn resident_peak_bytes(pid: Pid) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}
