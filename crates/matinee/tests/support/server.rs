//! One running matinee: the real binary with a data folder of its own, ended with the test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::process::{kill, mortal, signal};
use super::until;

/// Seconds for a start on a loaded machine; the product's own goal is under one.
const START_S: u64 = 30;

/// A folder in which servers run one after the other.
pub(crate) struct Place {
    dir: TempDir,
    flags: Vec<String>,
    settings: Vec<(String, String)>,
    /// The data folder is a disk of its own, of so many MiB, that only the server sees.
    disk_mib: Option<u32>,
}

impl Place {
    /// An empty folder with this configuration file.
    pub(crate) fn new(config: &str) -> Self {
        let dir =
            tempfile::Builder::new().prefix("matinee-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::write(dir.path().join("matinee.toml"), config).unwrap();
        Self { dir, flags: Vec::new(), settings: Vec::new(), disk_mib: None }
    }

    /// Writes another configuration file, for the next start.
    pub(crate) fn configure(&self, config: &str) {
        std::fs::write(self.dir.path().join("matinee.toml"), config).unwrap();
    }

    /// Adds words to the command line.
    pub(crate) fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    /// Adds a variable to the environment.
    pub(crate) fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives the server a disk of so many MiB, which ends with it; `None` where this machine does not let us.
    pub(crate) fn on_small_disk(mut self, mib: u32) -> Option<Self> {
        std::fs::create_dir_all(self.data()).unwrap();
        self.disk_mib = Some(mib);
        let mut tried = self.command(Path::new("/bin/true"));
        tried
            .stderr(std::process::Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
            .then_some(self)
    }

    /// The program, on the small disk if there is one.
    fn command(&self, program: &Path) -> Command {
        let Some(mib) = self.disk_mib else { return mortal(program) };
        let mut command = mortal(Path::new("/usr/bin/unshare"));
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        // The mount ends with the last process that sees it.
        let script = format!(r#"mount -t tmpfs -o size={mib}m tmpfs "$0" && exec "$@""#);
        command.args(["--mount", "sh", "-c"]).arg(script).arg(self.data()).arg(program);
        command
    }

    /// Where all of the server lies.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Runs a command of the binary on this data, which must work; what it prints.
    pub(crate) fn tell(&self, words: &[&str]) -> String {
        let output = self.output(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The same for a command that may say that something is wrong.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        String::from_utf8(self.output(words).stdout).unwrap().trim().to_owned()
    }

    fn output(&self, words: &[&str]) -> std::process::Output {
        let mut command = super::process::command(env!("CARGO_BIN_EXE_matinee"));
        command.current_dir(self.dir.path()).args(words).args(["--config", "matinee.toml", "--data"]);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MATINEE_"))
        {
            command.env_remove(name);
        }
        command.arg(self.data()).output().unwrap()
    }

    /// Starts the binary; it listens on a port that the kernel chooses, unless flags say otherwise.
    pub(crate) fn spawn(&self, log: &str) -> Running {
        self.spawn_node(log, None)
    }

    /// The same as the node of this name.
    pub(crate) fn spawn_node(&self, log: &str, node: Option<&str>) -> Running {
        let file = |kind: &str| self.dir.path().join(format!("{log}.{kind}"));
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_matinee")));
        command
            .current_dir(self.dir.path())
            .arg("--data")
            .arg(self.data())
            .arg("--config")
            .arg("matinee.toml");
        if !self.flags.iter().any(|flag| flag == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        // What steers the tests is no configuration of the server, and neither is what the caller's shell has set.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MATINEE_"))
        {
            command.env_remove(name);
        }
        command.args(node.iter().flat_map(|name| ["--node", name]));
        command.args(&self.flags).envs(self.settings.iter().map(|(name, value)| (name, value)));
        let (out, err) = (file("out"), file("err"));
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        Running { child: command.spawn().unwrap(), out, err }
    }
}

/// A process and where it writes.
pub(crate) struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    /// Waits for the end of a process that is to end by itself.
    pub(crate) async fn ended(&mut self, deadline_s: u64) -> ExitStatus {
        until("the process ends", deadline_s, async || self.child.try_wait().unwrap()).await
    }

    /// What it has printed.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap_or_default()
    }

    /// What it has logged.
    pub(crate) fn logged(&self) -> String {
        std::fs::read_to_string(&self.err).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("--- the server said:\n{}{}--- end", self.said(), self.logged());
        }
    }
}

/// A server that answers.
pub(crate) struct Server {
    // Dropped before its place, so that it can still say what it has logged.
    running: Running,
    place: Arc<Place>,
    pub(crate) port: u16,
    pub(crate) http: reqwest::Client,
    starts: u32,
    /// Its name, where several serve this place.
    node: Option<String>,
}

impl Server {
    /// A server with its defaults.
    pub(crate) async fn start() -> Self {
        Self::at(Place::new("")).await
    }

    /// A server with this configuration file.
    pub(crate) async fn with(config: &str) -> Self {
        Self::at(Place::new(config)).await
    }

    /// A server in this place.
    pub(crate) async fn at(place: Place) -> Self {
        Self::begin(Arc::new(place), None, 0).await
    }

    /// A server in a place that stays when it ends.
    pub(crate) async fn of(place: &Arc<Place>) -> Self {
        Self::begin(Arc::clone(place), None, 0).await
    }

    /// A node of this name in a place that it shares.
    pub(crate) async fn node(place: &Arc<Place>, name: &str) -> Self {
        Self::begin(Arc::clone(place), Some(name.to_owned()), 0).await
    }

    async fn begin(place: Arc<Place>, node: Option<String>, starts: u32) -> Self {
        let log = format!("server-{}{starts}", node.as_deref().unwrap_or_default());
        let mut running = place.spawn_node(&log, node.as_deref());
        let port = until("matinee is ready", START_S, async || {
            if let Some(status) = running.child.try_wait().unwrap() {
                panic!("the server ended with {status} at its start: {}", running.logged());
            }
            let said = running.said();
            let line = said.lines().find_map(|line| line.strip_prefix("matinee is ready at "))?;
            line.trim().rsplit_once(':')?.1.parse().ok()
        })
        .await;
        // Connections are not kept, so that a request never meets one that a killed server has left.
        let http = super::client().pool_max_idle_per_host(0).build().unwrap();
        Self { running, place, port, http, starts, node }
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.running.child.id()
    }

    /// Everything of the server on disk.
    pub(crate) fn data(&self) -> PathBuf {
        let data = self.place.data();
        if self.place.disk_mib.is_none() {
            return data;
        }
        let seen_by_it = PathBuf::from(format!("/proc/{}/root", self.pid()));
        seen_by_it.join(data.strip_prefix("/").unwrap())
    }

    /// What it has printed.
    pub(crate) fn said(&self) -> String {
        self.running.said()
    }

    /// What it has logged since its start.
    pub(crate) fn logged(&self) -> String {
        self.running.logged()
    }

    /// An address of this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// A request to this server.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.url(path))
    }

    /// Status and JSON of a GET.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path).send().await.unwrap()).await
    }

    /// Waits until a video has come to its end, and returns it; fails at once when that is none of these states.
    pub(crate) async fn video_in(&self, video: &str, states: &[&str], deadline_s: u64) -> Value {
        let path = format!("/v1/videos/{video}");
        let ended = until(&format!("{video} is in {states:?}"), deadline_s, async || {
            let (code, body) = self.get(&path).await;
            (code == 200 && body["state"] != "processing").then_some(body)
        })
        .await;
        assert!(states.contains(&ended["state"].as_str().unwrap()), "{states:?} was expected: {ended}");
        ended
    }

    /// `kill -9`, and waits until the process is no more.
    pub(crate) fn kill(&mut self) {
        kill(self.pid());
        self.running.child.wait().unwrap();
    }

    /// SIGTERM, and waits for the orderly end.
    pub(crate) async fn terminate(&mut self, deadline_s: u64) -> ExitStatus {
        signal(self.pid(), Signal::TERM);
        self.running.ended(deadline_s).await
    }

    /// Runs a command of the binary on the same data.
    pub(crate) fn tell(&self, words: &[&str]) -> String {
        self.place.tell(words)
    }

    /// Writes another configuration file, for the next start.
    pub(crate) fn configure(&self, config: &str) {
        self.place.configure(config);
    }

    /// The same for a command that may say that something is wrong.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        self.place.ask(words)
    }

    /// A second process on the data of this one.
    pub(crate) fn rival(&self) -> Running {
        self.place.spawn("rival")
    }

    /// Starts again on the same data.
    pub(crate) async fn again(self) -> Self {
        let (place, node, starts) = (Arc::clone(&self.place), self.node.clone(), self.starts + 1);
        drop(self);
        Self::begin(place, node, starts).await
    }
}

async fn answer(response: reqwest::Response) -> (u16, Value) {
    let code = response.status().as_u16();
    let text = response.text().await.unwrap();
    (code, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}
