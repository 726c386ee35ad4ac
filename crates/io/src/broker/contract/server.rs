//! A real broker for a test: in a folder of its own, on a free port, killed and started again, and gone with the test.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::Kind;

/// Seconds in which each of them starts on a loaded machine; RabbitMQ is by far the slowest.
const START_S: u64 = 120;

pub(super) struct Server {
    pub(super) kind: Kind,
    port: u16,
    dir: TempDir,
    child: Child,
    /// The names of Erlang's nodes; without one of our own RabbitMQ starts one that stays.
    names: Option<Names>,
}

struct Names {
    port: u16,
    child: Child,
}

impl Drop for Names {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// Starts one; `None`, said loudly, where it is not installed. In CI that is a failure.
    pub(super) async fn start(kind: Kind) -> Option<Self> {
        let program = program(kind);
        let Some(program) = program else {
            assert!(std::env::var_os("CI").is_none(), "{kind:?} must be installed in CI");
            #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
            {
                eprintln!("SKIPPED: {kind:?} is not installed; run tools/need test");
            }
            return None;
        };
        let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
        let names = (kind == Kind::Rabbitmq).then(|| {
            let (port, mut command) = (free_port(), mortal(Path::new("epmd")));
            command.args(["-address", "127.0.0.1", "-port", &port.to_string()]);
            Names { port, child: command.stdin(Stdio::null()).spawn().unwrap() }
        });
        let names_port = names.as_ref().map_or(0, |names| names.port);
        let child = spawn(kind, &program, dir.path(), (port, names_port));
        let mut server = Self { kind, port, dir, child, names };
        server.wait().await;
        Some(server)
    }

    pub(super) fn url(&self) -> String {
        let scheme = match self.kind {
            Kind::Redis => "redis",
            Kind::Nats => "nats",
            Kind::Rabbitmq => "amqp",
        };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// `kill -9`, and again in the same folder.
    pub(super) async fn kill_and_restart(&mut self) {
        self.end();
        let names_port = self.names.as_ref().map_or(0, |names| names.port);
        self.child = spawn(self.kind, &program(self.kind).unwrap(), self.dir.path(), (self.port, names_port));
        self.wait().await;
    }

    async fn wait(&mut self) {
        for _ in 0..START_S * 10 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "{:?} ended at its start", self.kind);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{:?} does not start", self.kind)
    }

    /// All of its group: RabbitMQ starts others.
    fn end(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        drop(self.child.wait());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn program(kind: Kind) -> Option<PathBuf> {
    let name = match kind {
        Kind::Redis => "redis-server",
        Kind::Nats => "nats-server",
        // The script before it wants to be a user of its own.
        Kind::Rabbitmq => "rabbitmq-server",
    };
    let folders: &[&str] = match kind {
        Kind::Rabbitmq => &["/usr/lib/rabbitmq/bin"],
        Kind::Redis | Kind::Nats => &["/usr/bin", "/usr/sbin", "/usr/local/bin"],
    };
    folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists())
}

/// It must not outlive the test, whatever becomes of that.
#[expect(clippy::disallowed_methods, reason = "only tests start these, and io::ffmpeg starts only ffmpeg")]
fn mortal(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

fn spawn(kind: Kind, program: &Path, dir: &Path, (port, names_port): (u16, u16)) -> Child {
    use std::os::unix::process::CommandExt as _;
    let mut command = mortal(program);
    let port = port.to_string();
    match kind {
        Kind::Redis => {
            command
                .args(["--bind", "127.0.0.1", "--port", &port, "--appendonly", "yes", "--save", "", "--dir"])
                .arg(dir);
        }
        Kind::Nats => {
            command.args(["-a", "127.0.0.1", "-p", &port, "-js", "-sd"]).arg(dir);
        }
        Kind::Rabbitmq => {
            command.env("HOME", dir);
            command.env("RABBITMQ_MNESIA_BASE", dir.join("mnesia")).env("RABBITMQ_LOG_BASE", dir.join("log"));
            command.env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1").env("RABBITMQ_NODE_PORT", &port);
            command.env("RABBITMQ_NODENAME", format!("matinee{port}@localhost"));
            command.env("RABBITMQ_DIST_PORT", free_port().to_string());
            command.env("ERL_EPMD_PORT", names_port.to_string()).env("ERL_EPMD_ADDRESS", "127.0.0.1");
            command.env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}",
            );
            command.env("RABBITMQ_ENABLED_PLUGINS_FILE", dir.join("plugins"));
        }
    }
    let quiet = || Stdio::from(std::fs::File::create(dir.join("said")).unwrap());
    command.process_group(0).stdin(Stdio::null()).stdout(quiet()).stderr(quiet()).spawn().unwrap()
}
