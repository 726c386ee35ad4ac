//! The sandbox: our own binary restricts itself and then becomes ffmpeg.
//!
//! Everything here is a safe wrapper, so the parent cannot do it between fork and exec: it starts itself under
//! a hidden command instead. The parent has made the process group, cleared the environment and set the working
//! directory; all descriptors that we open close on exec.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, Signal};
use serde::{Deserialize, Serialize};

use super::calls;

/// The hidden command: `main` hands everything after it to [`enter`].
pub const COMMAND: &str = "sandboxed-exec";
/// The exit code with which `main` says that [`enter`] failed; its message goes to standard error.
pub const FAILED: u8 = 125;

/// The first ABI that holds the names of files together (Linux 5.19); below it we do not start. What it does not know
/// yet, truncating (ABI 3) and TCP (ABI 4), the filter of system calls forbids.
const LANDLOCK_MIN: ABI = ABI::V2;
/// The last ABI whose rules we know; what the kernel has of it is used.
pub(super) const LANDLOCK_MAX: u8 = 6;
/// There only when the kernel filters system calls by programs.
const SECCOMP: &str = "/proc/sys/kernel/seccomp/actions_avail";
/// What every build of ffmpeg needs to load and run.
const SYSTEM: &[&str] = &["/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts"];
/// What every process may look at.
const DEVICES: &[&str] = &["/proc/self", "/dev/urandom", "/dev/null"];
/// Enough for 64 streams in, a ladder out and the shared libraries.
const OPEN_FILES_MAX: u64 = 256;
/// Processor seconds between the polite and the deadly signal of the processor limit.
const CPU_GRACE_S: u64 = 2;

/// What one sandboxed process may do; handed over as JSON in the argument list.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Policy {
    /// The process that must still be our parent.
    pub(super) parent: u32,
    /// Read only.
    pub(super) inputs: Vec<PathBuf>,
    /// Read and execute, besides the system's own directories.
    pub(super) programs: Vec<PathBuf>,
    /// Write.
    pub(super) dir: Option<PathBuf>,
    /// The file by which it gets into its cgroup.
    pub(super) cgroup: Option<PathBuf>,
    /// Device nodes: read, write and control.
    pub(super) devices: Vec<PathBuf>,
    /// Read only, all that is below: what the kernel says of these devices.
    pub(super) pages: Vec<PathBuf>,
    pub(super) cpu_s: u64,
    pub(super) memory_bytes: u64,
    pub(super) output_bytes: u64,
    pub(super) walls: Walls,
}

/// What holds a process in; one is missing only where the operator accepted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Walls {
    /// Files; in later ABIs TCP and signals.
    pub(super) landlock: bool,
    /// The last ABI of Landlock that is asked for.
    pub(super) abi: u8,
    /// A filter of system calls.
    pub(super) seccomp: bool,
}

impl Walls {
    /// What this kernel offers of all that we ask for.
    pub(super) fn here(abi: u8) -> Self {
        Self { landlock: base(abi).is_ok(), abi, seccomp: Path::new(SECCOMP).exists() }
    }

    /// Whether nothing is missing.
    pub(super) const fn is_whole(self) -> bool {
        self.landlock && self.seccomp
    }
}

/// Why the sandbox could not be entered; nothing was run.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Somebody else than matinee called the hidden command.
    #[error("the hidden command was called with other arguments than ours")]
    Arguments,
    /// The parent died before we could ask to die with it.
    #[error("the parent is gone")]
    Orphan,
    /// A limit could not be set.
    #[error("a limit could not be set: {0}")]
    Limit(#[from] rustix::io::Errno),
    /// Landlock refused.
    #[error("Landlock refused: {0}")]
    Landlock(#[from] RulesetError),
    /// A path of the job is not there.
    #[error("a path of the job cannot be opened: {0}")]
    Path(#[from] landlock::PathFdError),
    /// The filter of system calls was refused.
    #[error("the filter of system calls was refused: {0}")]
    Calls(#[from] seccompiler::Error),
    /// Landlock took less than all rules.
    #[error("Landlock enforces only a part of the rules")]
    Partial,
    /// The program could not be started.
    #[error("the program could not be started: {0}")]
    Exec(std::io::Error),
}

/// Restricts this process and becomes the program; returns only when that failed.
///
/// `args` is everything after [`COMMAND`]. `main` calls this before it does anything else.
pub fn enter(args: impl IntoIterator<Item = OsString>) -> Result<Infallible, SandboxError> {
    let mut args = args.into_iter();
    let policy = args.next().and_then(|text| text.into_string().ok()).ok_or(SandboxError::Arguments)?;
    let policy: Policy = serde_json::from_str(&policy).map_err(|_| SandboxError::Arguments)?;
    let program = args.next().ok_or(SandboxError::Arguments)?;
    die_with_parent(policy.parent)?;
    if let Some(door) = &policy.cgroup
        && let Err(error) = std::fs::write(door, "0")
    {
        // The limits below hold all the same; whoever reads what the program said finds this before it.
        let _ = writeln!(std::io::stderr(), "[warning] the cgroup cannot be entered: {error}");
    }
    limit(&policy)?;
    if policy.walls.landlock {
        restrict(&policy)?;
    }
    if policy.walls.seccomp {
        calls::forbid()?;
    }
    Err(SandboxError::Exec(become_program(&program, args)))
}

#[expect(clippy::disallowed_methods, reason = "this module starts the programs")]
fn become_program(program: &OsString, args: impl Iterator<Item = OsString>) -> std::io::Error {
    Command::new(program).args(args).exec()
}

/// The signal follows the parent thread; the parent may have died before it was set, so its id is compared.
fn die_with_parent(parent: u32) -> Result<(), SandboxError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let now = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs());
    if now == parent { Ok(()) } else { Err(SandboxError::Orphan) }
}

fn limit(policy: &Policy) -> Result<(), SandboxError> {
    let wanted = [
        (Resource::Cpu, policy.cpu_s, policy.cpu_s + CPU_GRACE_S),
        (Resource::As, policy.memory_bytes, policy.memory_bytes),
        (Resource::Fsize, policy.output_bytes, policy.output_bytes),
        (Resource::Nofile, OPEN_FILES_MAX, OPEN_FILES_MAX),
        (Resource::Core, 0, 0),
    ];
    for (resource, soft, hard) in wanted {
        // Whoever is not root may not raise what was already lowered for us.
        let hard = rustix::process::getrlimit(resource).maximum.map_or(hard, |most| most.min(hard));
        let soft = soft.min(hard);
        rustix::process::setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })?;
    }
    Ok(())
}

/// Rules that allow nothing, up to this ABI: the first ones must be there, the others as far as the kernel has them.
fn base(abi: u8) -> Result<RulesetCreated, RulesetError> {
    let most = ABI::from(i32::from(abi));
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(LANDLOCK_MIN))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(most))?;
    // An older ABI knows neither, and asking for nothing is an error.
    if !AccessNet::from_all(most).is_empty() {
        rules = rules.handle_access(AccessNet::from_all(most))?;
    }
    if !Scope::from_all(most).is_empty() {
        rules = rules.scope(Scope::from_all(most))?;
    }
    rules.create()
}

fn restrict(policy: &Policy) -> Result<(), SandboxError> {
    let run = AccessFs::Execute | AccessFs::ReadFile | AccessFs::ReadDir;
    let system = SYSTEM.iter().map(Path::new).chain(policy.programs.iter().map(PathBuf::as_path));
    let known = AccessFs::from_all(ABI::from(i32::from(policy.walls.abi)));
    let mut rules = base(policy.walls.abi)?.add_rules(path_beneath_rules(system, run))?;
    rules = rules.add_rules(path_beneath_rules(DEVICES, AccessFs::ReadFile | AccessFs::ReadDir))?;
    for input in &policy.inputs {
        rules = rules.add_rule(PathBeneath::new(PathFd::new(input)?, AccessFs::ReadFile))?;
    }
    if let Some(dir) = &policy.dir {
        rules = rules.add_rule(PathBeneath::new(PathFd::new(dir)?, output_access() & known))?;
    }
    if !policy.devices.is_empty() {
        let control = (AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev) & known;
        rules = rules.add_rules(path_beneath_rules(&policy.pages, AccessFs::ReadFile | AccessFs::ReadDir))?;
        for device in &policy.devices {
            rules = rules.add_rule(PathBeneath::new(PathFd::new(device)?, control))?;
        }
        // Drivers look for their node by its name; of the others they see no more than that.
        let folders = policy.devices.iter().filter_map(|device| device.parent());
        rules = rules.add_rules(path_beneath_rules(folders, BitFlags::from(AccessFs::ReadDir)))?;
    }
    let status = rules.restrict_self()?;
    let held = matches!(status.ruleset, RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced);
    if held && status.no_new_privs { Ok(()) } else { Err(SandboxError::Partial) }
}

/// Plain files only: a link that ffmpeg leaves behind could lead whoever reads the output elsewhere.
fn output_access() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::RemoveFile
}
