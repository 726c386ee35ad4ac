//! Starts processes from one thread that lives as long as we do, because the parent-death signal follows the
//! thread that started the child, not the process.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::sync::oneshot;

use super::sandbox;

/// What is to be started: the launcher, which becomes the program.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) launcher: PathBuf,
    /// A [`sandbox::Policy`] as JSON.
    pub(super) policy: String,
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) dir: PathBuf,
}

struct Order {
    start: Start,
    reply: oneshot::Sender<io::Result<Group>>,
}

/// A process group of ours; dropping it kills and reaps it.
#[derive(Debug)]
pub(super) struct Group {
    child: Option<Child>,
    pid: Pid,
}

impl Group {
    fn new(child: Child) -> Self {
        let pid = Pid::from_child(&child);
        Self { child: Some(child), pid }
    }

    /// The id of the leader, which is the id of the group.
    pub(super) const fn pid(&self) -> Pid {
        self.pid
    }

    /// Takes the pipes of standard output and standard error.
    pub(super) fn pipes(&mut self) -> Option<(std::process::ChildStdout, std::process::ChildStderr)> {
        let child = self.child.as_mut()?;
        Some((child.stdout.take()?, child.stderr.take()?))
    }

    /// Sends a signal to the whole group. Until the leader is reaped its id cannot belong to anybody else.
    pub(super) fn signal(&self, signal: Signal) {
        if self.child.is_some() {
            // The only failure is that nobody is left.
            let _ = kill_process_group(self.pid, signal);
        }
    }

    /// Kills what is left of the group and reaps the leader, which has ended already.
    pub(super) fn reap(mut self) -> io::Result<std::process::ExitStatus> {
        self.signal(Signal::KILL);
        let mut child =
            self.child.take().expect("because only reap and drop take it, and both end the group");
        child.wait()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if let Some(mut child) = self.child.take() {
            // The leader ends within moments, but whoever drops us must not wait for it.
            std::thread::spawn(move || child.wait());
        }
    }
}

/// Starts a process on the spawner thread.
pub(super) async fn spawn(start: Start) -> io::Result<Group> {
    let (reply, answer) = oneshot::channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    spawner().send(Order { start, reply }).map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

fn spawner() -> Sender<Order> {
    static SPAWNER: OnceLock<Sender<Order>> = OnceLock::new();
    SPAWNER
        .get_or_init(|| {
            let (orders, queue) = channel();
            std::thread::Builder::new()
                .name("spawner".into())
                .spawn(move || serve(&queue))
                .expect("because a process that cannot start one thread cannot start ffmpeg");
            orders
        })
        .clone()
}

fn serve(queue: &Receiver<Order>) {
    for order in queue {
        // When nobody waits any more, the returned group is dropped and so killed.
        let _ = order.reply.send(launch(&order.start).map(Group::new));
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that starts a process")]
fn launch(start: &Start) -> io::Result<Child> {
    Command::new(&start.launcher)
        .arg(sandbox::COMMAND)
        .arg(&start.policy)
        .arg(&start.program)
        .args(&start.args)
        .current_dir(&start.dir)
        .env_clear()
        .env("PATH", "/usr/bin")
        .env("LC_ALL", "C")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}
