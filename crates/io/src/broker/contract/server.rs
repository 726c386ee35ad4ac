//! A real broker for a test: in a folder of its own, on a free port, killed and started again, and gone with the test.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::Kind;

/// The authority that has signed for `localhost`; its files are those of the tests of the binary.
pub(super) const AUTHORITY: &str = include_str!("../../../../matinee/tests/support/tls/authority.pem");
/// Nobody's authority.
pub(super) const STRANGER: &str = include_str!("../../../../matinee/tests/support/tls/localhost.pem");
/// Where these files are.
const TLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../matinee/tests/support/tls");

/// Seconds in which each of them starts on a loaded machine; RabbitMQ is by far the slowest.
const START_S: u64 = 120;

pub(super) struct Server {
    pub(super) kind: Kind,
    ports: Ports,
    dir: TempDir,
    child: Child,
    /// The names of Erlang's nodes; without one of our own RabbitMQ starts one that stays.
    _names: Option<Names>,
}

/// Where it listens, with and without TLS; and its names.
#[derive(Clone, Copy)]
struct Ports {
    plain: u16,
    secure: u16,
    names: u16,
}

struct Names {
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
        let dir = tempfile::tempdir().unwrap();
        let ports = Ports { plain: free_port(), secure: free_port(), names: free_port() };
        let names = (kind == Kind::Rabbitmq).then(|| {
            let mut command = mortal(Path::new("epmd"));
            command.args(["-address", "127.0.0.1", "-port", &ports.names.to_string()]);
            Names { child: command.stdin(Stdio::null()).spawn().unwrap() }
        });
        let child = spawn(kind, &program, dir.path(), ports);
        let mut server = Self { kind, ports, dir, child, _names: names };
        server.wait().await;
        Some(server)
    }

    pub(super) fn url(&self) -> String {
        let scheme = match self.kind {
            Kind::Redis => "redis",
            Kind::Nats => "nats",
            Kind::Rabbitmq => "amqp",
        };
        format!("{scheme}://127.0.0.1:{}", self.ports.plain)
    }

    /// Its address with TLS, under this name.
    pub(super) fn secure_url(&self, host: &str) -> String {
        let (scheme, port) = match self.kind {
            Kind::Redis => ("rediss", self.ports.secure),
            // Whoever comes is asked whether TLS is wanted.
            Kind::Nats => ("tls", self.ports.plain),
            Kind::Rabbitmq => ("amqps", self.ports.secure),
        };
        format!("{scheme}://{host}:{port}")
    }

    /// `kill -9`, and again in the same folder.
    pub(super) async fn kill_and_restart(&mut self) {
        self.end();
        self.child = spawn(self.kind, &program(self.kind).unwrap(), self.dir.path(), self.ports);
        self.wait().await;
    }

    async fn wait(&mut self) {
        for _ in 0..START_S * 10 {
            if TcpStream::connect(("127.0.0.1", self.ports.plain)).is_ok() {
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

fn spawn(kind: Kind, program: &Path, dir: &Path, ports: Ports) -> Child {
    use std::os::unix::process::CommandExt as _;
    let mut command = mortal(program);
    let port = ports.plain.to_string();
    match kind {
        Kind::Redis => {
            command.args(["--bind", "127.0.0.1", "--port", &port, "--appendonly", "yes", "--save", ""]);
            command.args(["--tls-port", &ports.secure.to_string(), "--tls-auth-clients", "no"]);
            command.arg("--tls-cert-file").arg(format!("{TLS}/localhost.pem"));
            command.arg("--tls-key-file").arg(format!("{TLS}/localhost.key"));
            command.arg("--tls-ca-cert-file").arg(format!("{TLS}/authority.pem")).arg("--dir").arg(dir);
        }
        Kind::Nats => {
            let said = format!(
                "allow_non_tls: true\ntls {{\n cert_file: \"{TLS}/localhost.pem\"\n key_file: \"{TLS}/localhost.key\"\n}}\n"
            );
            std::fs::write(dir.join("nats.conf"), said).unwrap();
            command.arg("-c").arg(dir.join("nats.conf"));
            command.args(["-a", "127.0.0.1", "-p", &port, "-js", "-sd"]).arg(dir);
        }
        Kind::Rabbitmq => rabbitmq(&mut command, dir, ports),
    }
    let quiet = || Stdio::from(std::fs::File::create(dir.join("said")).unwrap());
    command.process_group(0).stdin(Stdio::null()).stdout(quiet()).stderr(quiet()).spawn().unwrap()
}

fn rabbitmq(command: &mut Command, dir: &Path, ports: Ports) {
    let said = format!(
        "listeners.ssl.1 = 127.0.0.1:{}\nssl_options.cacertfile = {TLS}/authority.pem\n\
         ssl_options.certfile = {TLS}/localhost.pem\nssl_options.keyfile = {TLS}/localhost.key\n\
         ssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false\n",
        ports.secure
    );
    std::fs::write(dir.join("rabbitmq.conf"), said).unwrap();
    command.env("HOME", dir).env("RABBITMQ_CONFIG_FILE", dir.join("rabbitmq.conf"));
    command.env("RABBITMQ_MNESIA_BASE", dir.join("mnesia")).env("RABBITMQ_LOG_BASE", dir.join("log"));
    command.env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1").env("RABBITMQ_NODE_PORT", ports.plain.to_string());
    command.env("RABBITMQ_NODENAME", format!("matinee{}@localhost", ports.plain));
    command.env("RABBITMQ_DIST_PORT", free_port().to_string());
    command.env("ERL_EPMD_PORT", ports.names.to_string()).env("ERL_EPMD_ADDRESS", "127.0.0.1");
    command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}");
    command.env("RABBITMQ_ENABLED_PLUGINS_FILE", dir.join("plugins"));
}
