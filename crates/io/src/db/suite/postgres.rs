//! A real PostgreSQL for the tests of this process: started once, stopped and removed when the process ends.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::OnceLock;

/// Makes, starts and at the end of its input stops and removes a server. Its input is a pipe from the tests, which
/// the kernel closes however they end; so nothing remains even after `kill -9`. $1: programs, $2: temporary files,
/// $3: port.
const SCRIPT: &str = r#"
DIR=$(mktemp -d "$2/matinee-pg.XXXXXX") || exit 1
cd "$DIR" || exit 1
{
  "$1/initdb" -D "$DIR/pg" -U postgres --auth=trust --no-sync --no-locale -E UTF8 &&
  "$1/pg_ctl" -D "$DIR/pg" -w -l "$DIR/log" -o "-p $3 -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories= -c fsync=off -c full_page_writes=off -c max_connections=300" start
} >"$DIR/out" 2>&1 </dev/null && echo ready || { tail -n 20 "$DIR/out" "$DIR/log"; echo failed; }
read -r _
"$1/pg_ctl" -D "$DIR/pg" -m immediate stop >/dev/null 2>&1
cd / && rm -rf "$DIR"
"#;

/// Another process may take the free port before the server does; so often we try again.
const STARTS_MAX: u32 = 3;

/// A running server.
pub(crate) struct Server {
    port: u16,
    /// Keeps the pipe open that keeps the server alive.
    _script: Child,
}

static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();

/// The URL of `database` on the server of this process, or `None` (said loudly) where PostgreSQL is not installed.
/// In CI that is a failure.
pub(crate) fn url(database: &str) -> Option<String> {
    match SERVER.get_or_init(start) {
        Ok(server) => Some(format!("postgres://postgres@127.0.0.1:{}/{database}", server.port)),
        Err(reason) => {
            assert!(std::env::var_os("CI").is_none(), "these tests need PostgreSQL in CI: {reason}");
            warn(&format!("SKIPPED on PostgreSQL: {reason}\n  sudo apt-get install postgresql-15"));
            None
        }
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn warn(text: &str) {
    eprintln!("{text}");
}

fn start() -> Result<Server, String> {
    let programs = programs().ok_or("initdb was found neither in PG_BIN nor in /usr/lib/postgresql/*/bin")?;
    let mut last = String::new();
    for _ in 0..STARTS_MAX {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr());
        let port = free.map_err(|error| error.to_string())?.port();
        match start_on(&programs, port) {
            Ok(server) => return Ok(server),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn start_on(programs: &std::path::Path, port: u16) -> Result<Server, String> {
    let mut command = as_ordinary_user();
    command.args(["sh", "-c", SCRIPT, "sh"]).arg(programs).arg(std::env::temp_dir()).arg(port.to_string());
    let started = command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut script = started.map_err(|error| format!("cannot start a shell: {error}"))?;
    let mut said = String::new();
    for line in BufReader::new(script.stdout.take().expect("because it is piped")).lines() {
        let line = line.map_err(|error| error.to_string())?;
        match line.as_str() {
            "ready" => return Ok(Server { port, _script: script }),
            "failed" => break,
            _ => said = format!("{said}\n{line}"),
        }
    }
    Err(format!("PostgreSQL did not start: {said}"))
}

/// PostgreSQL refuses root; so as root the script runs as the user `postgres` of the Debian package.
#[expect(
    clippy::disallowed_methods,
    reason = "only tests start this process, and io::ffmpeg starts only ffmpeg"
)]
fn as_ordinary_user() -> std::process::Command {
    if rustix::process::geteuid().is_root() {
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]);
        return command;
    }
    std::process::Command::new("env")
}

fn programs() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("PG_BIN") {
        return Some(given.into());
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions.flatten().map(|version| version.path().join("bin")).collect();
    found.retain(|folder| folder.join("initdb").exists());
    found.sort();
    found.pop()
}
