//! A PostgreSQL for the tests of this process: started once, stopped and removed when the process ends, however it does.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection as _, PgConnection};

use super::process::command;

/// Its input is a pipe from the tests, which the kernel closes at their end; then the server stops and its folder goes.
/// $1: programs, $2: temporary files, $3: port.
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

struct Server {
    port: u16,
    /// Keeps the pipe open that keeps the server alive.
    _script: Child,
}

static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The URL of an empty database of its own; `None` (said loudly) where PostgreSQL is not installed. In CI that fails.
pub(crate) async fn database() -> Option<String> {
    let server = tokio::task::spawn_blocking(|| SERVER.get_or_init(start)).await.unwrap();
    let server = match server {
        Ok(server) => server,
        Err(reason) => {
            assert!(std::env::var_os("CI").is_none(), "these tests need PostgreSQL in CI: {reason}");
            eprintln!("SKIPPED: {reason}\n  sudo apt-get install postgresql");
            return None;
        }
    };
    let url = |name: &str| format!("postgres://postgres@127.0.0.1:{}/{name}", server.port);
    let name = format!("n{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect(&url("postgres")).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(create).execute(&mut admin).await.unwrap();
    Some(url(&name))
}

fn start() -> Result<Server, String> {
    let programs = programs().ok_or("initdb was found neither in PG_BIN nor in /usr/lib/postgresql/*/bin")?;
    let mut last = String::new();
    for _ in 0..STARTS_MAX {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        match start_on(&programs, port) {
            Ok(server) => return Ok(server),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn start_on(programs: &Path, port: u16) -> Result<Server, String> {
    // PostgreSQL refuses root; then it runs as the user of its own package.
    let mut started = if rustix::process::geteuid().is_root() {
        let mut command = command("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]);
        command
    } else {
        command("env")
    };
    started.args(["sh", "-c", SCRIPT, "sh"]).arg(programs).arg(std::env::temp_dir()).arg(port.to_string());
    let script = started.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut script = script.map_err(|error| format!("cannot start a shell: {error}"))?;
    let mut said = String::new();
    for line in BufReader::new(script.stdout.take().unwrap()).lines() {
        match line.unwrap().as_str() {
            "ready" => return Ok(Server { port, _script: script }),
            "failed" => break,
            line => said = format!("{said}\n{line}"),
        }
    }
    Err(format!("PostgreSQL did not start: {said}"))
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
