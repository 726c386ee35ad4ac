//! A real Garage for a test, where `make garage` has built one: in a folder of its own, on free ports, and gone with the test.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::store::Access;

/// Seconds in which it starts on a loaded machine.
const START_S: u64 = 60;
/// The name of a key as Garage has them, and the key. It opens nothing but this test's folder.
const ACCESS_KEY: &str = "GK0123456789abcdef01234567";
const SECRET_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

pub(super) struct Garage {
    port: u16,
    _dir: TempDir,
    child: Child,
}

impl Garage {
    /// Starts one with an empty bucket; `None`, said loudly, where it was not built. It takes long to build, so it is not asked for
    /// in CI either.
    pub(super) async fn start() -> Option<Self> {
        let Some(program) = program() else {
            #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
            {
                eprintln!("SKIPPED: there is no Garage; `make garage` builds one");
            }
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let [port, rpc, admin] = [(); 3].map(|()| free_port());
        let config = format!(
            "metadata_dir = \"{0}/meta\"\ndata_dir = \"{0}/data\"\ndb_engine = \"sqlite\"\nreplication_factor = 1\n\
             rpc_bind_addr = \"127.0.0.1:{rpc}\"\nrpc_public_addr = \"127.0.0.1:{rpc}\"\nrpc_secret = \"{SECRET_KEY}\"\n\
             [s3_api]\ns3_region = \"garage\"\napi_bind_addr = \"127.0.0.1:{port}\"\nroot_domain = \".s3.garage.localhost\"\n\
             [admin]\napi_bind_addr = \"127.0.0.1:{admin}\"\n",
            dir.path().display()
        );
        let file = dir.path().join("garage.toml");
        std::fs::write(&file, config).unwrap();
        let said = || Stdio::from(std::fs::File::create(dir.path().join("said")).unwrap());
        let child = mortal(&program)
            .arg("-c")
            .arg(&file)
            .args(["server", "--single-node", "--default-bucket"])
            .env("GARAGE_DEFAULT_ACCESS_KEY", ACCESS_KEY)
            .env("GARAGE_DEFAULT_SECRET_KEY", SECRET_KEY)
            .env("GARAGE_DEFAULT_BUCKET", "films")
            .stdin(Stdio::null())
            .stdout(said())
            .stderr(said())
            .spawn()
            .unwrap();
        let mut garage = Self { port, _dir: dir, child };
        garage.wait().await;
        Some(garage)
    }

    /// What is needed to use its bucket.
    pub(super) fn access(&self) -> Access {
        Access {
            bucket: "films".to_owned(),
            endpoint: Some(format!("http://127.0.0.1:{}", self.port)),
            region: "garage".to_owned(),
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
        }
    }

    async fn wait(&mut self) {
        for _ in 0..START_S * 10 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "Garage ended at its start");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("Garage does not start")
    }
}

impl Drop for Garage {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Where `tools/garage` puts it, or where its owner says.
fn program() -> Option<PathBuf> {
    let named = std::env::var_os("GARAGE_BIN").map(PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    named.or_else(|| Some(cache?.join("matinee/garage/bin/garage"))).filter(|program| program.exists())
}

/// It must not outlive the test, whatever becomes of that.
#[expect(clippy::disallowed_methods, reason = "only tests start it, and io::ffmpeg starts only ffmpeg")]
fn mortal(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}
