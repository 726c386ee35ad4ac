//! A second matinee, and programs that it is shown with: for a demonstration, which starts, kills and asks them. They read
//! nothing that a stranger sent, so there is no sandbox; what a stranger sent is read in `ffmpeg` only.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};

/// This very program, as whoever runs it sees it.
const PROGRAM: &str = "/proc/self/exe";
/// Variables of the environment that would change what the child does.
const OURS: &str = "MATINEE_";

/// A running matinee; it is killed when this is dropped.
#[derive(Debug)]
pub struct Child(std::process::Child);

impl Child {
    /// Starts this program with these words in a folder; what it prints and what it logs goes into two files there. It must be
    /// started from a thread that lives as long as we do, and told to [`die_with`] us.
    pub fn start(words: &[OsString], folder: &Path, (out, log): (&Path, &Path)) -> io::Result<Self> {
        let mut command = command(Path::new(PROGRAM), words);
        command.current_dir(folder).stdin(Stdio::null());
        command.stdout(File::create(out)?).stderr(File::options().create(true).append(true).open(log)?);
        Ok(Self(command.spawn()?))
    }

    /// `kill -9`, and waits until it is no more.
    pub fn kill(&mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(drop)
    }

    /// Asks it to end in order.
    pub fn ask_to_end(&self) -> io::Result<()> {
        kill_process(Pid::from_child(&self.0), Signal::TERM).map_err(io::Error::from)
    }

    /// How it has ended; none while it runs.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.kill());
    }
}

/// Has the kernel end this process with the one of this id, which has started it.
pub fn die_with(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let alive = getppid().is_some_and(|pid| u32::try_from(pid.as_raw_nonzero().get()) == Ok(parent));
    // Whoever has died before that was said would never be noticed.
    if alive { Ok(()) } else { Err(io::Error::other("whoever has started this process is gone")) }
}

/// Runs this program with these words to its end; what it remembers of it lies in the folder, too.
pub async fn told(words: &[OsString], folder: &Path) -> io::Result<Output> {
    run(Path::new(PROGRAM), words, folder).await
}

/// Runs a program of this machine on what we have made ourselves.
pub async fn run(program: &Path, words: &[OsString], folder: &Path) -> io::Result<Output> {
    let mut command = tokio::process::Command::from(command(program, words));
    command
        .env("XDG_STATE_HOME", folder)
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
}

#[expect(clippy::disallowed_methods, reason = "what is started here reads nothing that a stranger sent")]
fn command(program: &Path, words: &[OsString]) -> Command {
    let mut command = Command::new(program);
    command.args(words);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(OURS) {
            command.env_remove(name);
        }
    }
    command
}
