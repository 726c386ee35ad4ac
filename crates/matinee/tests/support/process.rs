//! Processes of the tests: started to die with the test, found by what they work on, ended by their id.

use std::path::Path;
use std::process::{Command, Output};

use rustix::process::{Pid, Signal, kill_process};

/// A command of the machine.
#[expect(clippy::disallowed_methods, reason = "the tests run the product and its tools from outside")]
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(program)
}

/// The same for a program that must not outlive this test, whatever becomes of it.
pub(crate) fn mortal(program: &Path) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if !setpriv.exists() {
        return command(program);
    }
    let mut command = command(setpriv);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Runs ffmpeg or ffprobe on something that must work; its output.
pub(crate) fn tool(program: &str, args: &[&str]) -> Output {
    let output = command(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program} must be installed for this test: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?} failed: {said}");
    output
}

/// Ends a process at once.
pub(crate) fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// Sends a signal; the process may be gone already.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// The processes that name this folder in their arguments, other than `but`: the encoders of one server.
pub(crate) fn working_in(dir: &Path, but: Option<u32>) -> Vec<u32> {
    let wanted = dir.to_str().unwrap().as_bytes();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { continue };
        if Some(pid) != but && line.windows(wanted.len()).any(|part| part == wanted) {
            found.push(pid);
        }
    }
    found
}

/// Kibibytes of memory that a process holds.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}
