//! Why a job does not run now, in words that its owner understands.

use super::State;
use crate::time::Millis;

/// Why a job does not run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Other jobs come first.
    Needs {
        /// So many.
        jobs: u32,
    },
    /// Its time has not come.
    NotBefore,
    /// It failed and is tried again at its time.
    Retry,
    /// The work of its app is paused.
    Paused,
    /// No node that does such work is running.
    NoNode,
    /// No node takes new work.
    Drained,
    /// The disk of every node is full.
    DiskFull,
    /// Every node lacks ffmpeg.
    NoFfmpeg,
    /// No node may use so much memory.
    Memory,
    /// All slots are taken, by jobs that come before it.
    Slot,
}

/// What is known of a job that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Where it is in its life.
    pub state: State,
    /// Jobs that it waits for.
    pub needs: u32,
    /// It does not run before this moment.
    pub run_at: Millis,
    /// It failed before.
    pub failed: bool,
    /// What memory it needs, in bytes.
    pub memory_bytes: u64,
    /// It runs ffmpeg.
    pub encodes: bool,
}

/// A node that could run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// It takes no new work.
    pub drained: bool,
    /// Its disk is full.
    pub disk_full: bool,
    /// It has ffmpeg.
    pub ffmpeg: bool,
    /// What memory jobs may use there, in bytes.
    pub memory_bytes: u64,
}

impl Wait {
    /// A word for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Needs { .. } => "needs",
            Self::NotBefore => "not_before",
            Self::Retry => "retry",
            Self::Paused => "paused",
            Self::NoNode => "no_node",
            Self::Drained => "drained",
            Self::DiskFull => "disk_full",
            Self::NoFfmpeg => "no_ffmpeg",
            Self::Memory => "needs_memory",
            Self::Slot => "slot",
        }
    }

    /// A sentence for people.
    pub fn human(self) -> String {
        let text = match self {
            Self::Needs { jobs: 1 } => "Waits for another job.",
            Self::Needs { jobs } => return format!("Waits for {jobs} other jobs."),
            Self::NotBefore => "Its time has not come.",
            Self::Retry => "It failed and is tried again at its time.",
            Self::Paused => "All work is paused.",
            Self::NoNode => "No node that does such work is running.",
            Self::Drained => "Every node is drained.",
            Self::DiskFull => "The disk is full; it goes on by itself when there is room.",
            Self::NoFfmpeg => "ffmpeg is missing; `matinee doctor` says more.",
            Self::Memory => "No node may use so much memory.",
            Self::Slot => "Waits for a free slot.",
        };
        text.to_owned()
    }
}

/// Why a job waits; `None` when it runs or is over. The reason that lasts longest is told.
pub fn why(waiting: &Waiting, paused: bool, hosts: &[Host], now: Millis) -> Option<Wait> {
    match waiting.state {
        State::Leased | State::Done | State::Dead | State::Cancelled => return None,
        State::Blocked => return Some(Wait::Needs { jobs: waiting.needs.max(1) }),
        State::Ready => {}
    }
    if paused {
        return Some(Wait::Paused);
    }
    if waiting.run_at > now {
        return Some(if waiting.failed { Wait::Retry } else { Wait::NotBefore });
    }
    let able = |host: &&Host| !waiting.encodes || host.ffmpeg;
    let all = |what: fn(&Host) -> bool| hosts.iter().filter(able).all(what);
    Some(if hosts.is_empty() {
        Wait::NoNode
    } else if all(|_| false) {
        Wait::NoFfmpeg
    } else if hosts.iter().filter(able).all(|host| host.memory_bytes < waiting.memory_bytes) {
        Wait::Memory
    } else if all(|host| host.drained) {
        Wait::Drained
    } else if all(|host| host.drained || host.disk_full) {
        Wait::DiskFull
    } else {
        Wait::Slot
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_000);
    const HOST: Host = Host { drained: false, disk_full: false, ffmpeg: true, memory_bytes: 10 };
    const JOB: Waiting = Waiting {
        state: State::Ready,
        needs: 0,
        run_at: NOW,
        failed: false,
        memory_bytes: 10,
        encodes: true,
    };

    #[test]
    fn a_job_says_what_it_waits_for() {
        let check = |job: Waiting, paused, hosts: &[Host], expected| {
            assert_eq!(why(&job, paused, hosts, NOW).map(Wait::code), expected, "{job:?} {hosts:?}");
        };
        check(JOB, false, &[HOST], Some("slot"));
        check(Waiting { state: State::Leased, ..JOB }, false, &[HOST], None);
        check(Waiting { state: State::Blocked, needs: 3, ..JOB }, true, &[], Some("needs"));
        check(JOB, true, &[], Some("paused"));
        let later = Waiting { run_at: NOW.plus(1), ..JOB };
        check(later, false, &[], Some("not_before"));
        check(Waiting { failed: true, ..later }, false, &[], Some("retry"));
        check(JOB, false, &[], Some("no_node"));
        let bare = Host { ffmpeg: false, ..HOST };
        check(JOB, false, &[bare], Some("no_ffmpeg"));
        check(Waiting { encodes: false, ..JOB }, false, &[bare], Some("slot"));
        check(Waiting { memory_bytes: 11, ..JOB }, false, &[HOST], Some("needs_memory"));
        let drained = Host { drained: true, ..HOST };
        check(JOB, false, &[drained], Some("drained"));
        check(JOB, false, &[drained, Host { disk_full: true, ..HOST }], Some("disk_full"));
        check(JOB, false, &[drained, HOST], Some("slot"));
    }
}
