//! Finds the programs of this machine and asks them what they can do.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::sandbox;
use super::{Config, Ffmpeg, Found, Job, Limits, Program, RunError, Stdout};

/// The lists of a full build have about 30 KiB.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Why ffmpeg cannot be used; `matinee doctor` shows it.
#[derive(Debug, thiserror::Error)]
pub enum FfmpegError {
    /// A program is not installed.
    #[error("{0} was not found in PATH; install ffmpeg, for example with `apt install ffmpeg`")]
    Missing(&'static str),
    /// The kernel cannot contain it.
    #[error(
        "this kernel cannot contain ffmpeg: needed are Landlock (Linux 5.19 or later, with `landlock` in the boot \
         parameter `lsm=`) and filters of system calls (seccomp); accept to run without by setting \
         `encode.accept_unsandboxed = true`"
    )]
    Refused,
    /// It does not answer.
    #[error("{program} does not answer")]
    Silent {
        /// The path that was tried.
        program: PathBuf,
        /// What happened.
        source: RunError,
    },
}

impl Ffmpeg {
    /// Finds ffmpeg and ffprobe, checks that this kernel can contain them, and asks what they can do.
    pub async fn detect(config: Config) -> Result<Self, FfmpegError> {
        let walls = sandbox::Walls::here(config.landlock_abi_max);
        if !walls.is_whole() && !config.accept_unsandboxed {
            return Err(FfmpegError::Refused);
        }
        let encoder = match config.ffmpeg {
            Some(path) => path,
            None => in_path("ffmpeg").ok_or(FfmpegError::Missing("ffmpeg"))?,
        };
        let beside = encoder.with_file_name("ffprobe");
        let prober = Some(beside).filter(|path| path.is_file()).or_else(|| in_path("ffprobe"));
        let prober = prober.ok_or(FfmpegError::Missing("ffprobe"))?;
        let launcher = config.launcher;
        let (found, devices, subtree) = (Found::default(), Vec::new(), None);
        let mut this = Self { launcher, encoder, prober, walls, found, devices, subtree };
        // Together: a server is to be ready at once, and each start of a program costs a tenth of a second.
        let (version, _, encoders, filters) = tokio::try_join!(
            this.ask(Program::Ffmpeg, &["-hide_banner", "-version"]),
            this.ask(Program::Ffprobe, &["-hide_banner", "-version"]),
            this.ask(Program::Ffmpeg, &["-hide_banner", "-encoders"]),
            this.ask(Program::Ffmpeg, &["-hide_banner", "-filters"]),
        )?;
        this.found = Found {
            version: version.split_ascii_whitespace().nth(2).unwrap_or("unknown").to_owned(),
            encoders: names(&encoders),
            filters: names(&filters),
        };
        Ok(this)
    }

    /// What this machine's ffmpeg can do.
    pub const fn found(&self) -> &Found {
        &self.found
    }

    /// Whether runs are contained by Landlock and a filter of system calls; `false` only where the operator accepted it.
    pub const fn is_sandboxed(&self) -> bool {
        self.walls.is_whole()
    }

    async fn ask(&self, program: Program, args: &[&str]) -> Result<String, FfmpegError> {
        let job = Job {
            program,
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            inputs: Vec::new(),
            dir: None,
            limits: Limits::default(),
            stdout: Stdout::Capture { max_bytes: ANSWER_BYTES_MAX },
        };
        match self.run(job, |_| {}, std::future::pending()).await {
            Ok(finished) => Ok(String::from_utf8_lossy(&finished.stdout).into_owned()),
            Err(source) => {
                let program = match program {
                    Program::Ffmpeg => self.encoder.clone(),
                    Program::Ffprobe => self.prober.clone(),
                };
                Err(FfmpegError::Silent { program, source })
            }
        }
    }
}

/// The first absolute directory of `PATH` that holds such a file.
fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|p| p.is_file())
}

/// The second word of each line of a list; the legend above it has `=` there.
fn names(list: &str) -> BTreeSet<String> {
    let second = |line: &str| line.split_ascii_whitespace().nth(1).map(str::to_owned);
    list.lines().filter_map(second).filter(|name| name != "=").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_below_the_legend() {
        let list = "Encoders:\n V..... = Video\n ------\n V....D libx264              libx264 H.264\n A....D aac   AAC\n";
        assert_eq!(names(list).into_iter().collect::<Vec<_>>(), ["aac", "libx264"]);
    }
}
