//! A real Redis of a test: in a folder of its own, on a free port, killed and started again.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};

use tempfile::TempDir;

use super::process::{command, mortal};
use super::until;

pub(crate) struct Redis {
    pub(crate) port: u16,
    /// Where it speaks TLS, as `localhost`.
    pub(crate) secure_port: u16,
    dir: TempDir,
    child: Child,
}

impl Redis {
    /// Starts one; `None`, said loudly, where it is not installed. In CI that is a failure.
    pub(crate) async fn start() -> Option<Self> {
        if !Path::new("/usr/bin/redis-server").exists() {
            assert!(std::env::var_os("CI").is_none(), "redis-server must be installed in CI");
            eprintln!("SKIPPED: redis-server is not installed; run tools/need test");
            return None;
        }
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (port, secure_port) = (free(), free());
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let child = Self::spawn(dir.path(), (port, secure_port));
        let redis = Self { port, secure_port, dir, child };
        redis.wait().await;
        Some(redis)
    }

    fn spawn(dir: &Path, (port, secure_port): (u16, u16)) -> Child {
        let mut command = mortal(Path::new("/usr/bin/redis-server"));
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--appendonly", "yes", "--save", "", "--tls-port", &secure_port.to_string()]);
        let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/tls");
        command.arg("--tls-cert-file").arg(tls.join("localhost.pem"));
        command.arg("--tls-key-file").arg(tls.join("localhost.key"));
        command.arg("--tls-ca-cert-file").arg(tls.join("authority.pem")).args(["--tls-auth-clients", "no"]);
        command.arg("--dir").arg(dir).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
    }

    async fn wait(&self) {
        until("Redis listens", 30, async || TcpStream::connect(("127.0.0.1", self.port)).ok().map(drop))
            .await;
        until("Redis has read its files", 30, async || (self.ask(&["PING"]) == ["PONG"]).then_some(())).await;
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Again in the same folder.
    pub(crate) async fn again(&mut self) {
        self.child = Self::spawn(self.dir.path(), (self.port, self.secure_port));
        self.wait().await;
    }

    /// The lines of an answer.
    pub(crate) fn ask(&self, words: &[&str]) -> Vec<String> {
        let said =
            command("/usr/bin/redis-cli").args(["-p", &self.port.to_string()]).args(words).output().unwrap();
        String::from_utf8(said.stdout).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
