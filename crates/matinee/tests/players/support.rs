//! One running server, an uploader, and the tools that play what it serves.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The longest that a clip of these tests may take on a loaded machine.
pub(crate) const READY: Duration = Duration::from_mins(4);

/// A server with its own empty data, ended with the test.
pub(crate) struct World {
    child: Child,
    pub(crate) dir: TempDir,
    root: String,
    runtime: Runtime,
    http: reqwest::Client,
}

impl World {
    /// Starts the binary on a port of the kernel's choice.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// The same with this configuration.
    pub(crate) fn with(config: &str) -> Self {
        let dir = TempDir::with_prefix("matinee-players-").unwrap();
        std::fs::write(dir.path().join("matinee.toml"), config).unwrap();
        let said = dir.path().join("said");
        let mut server = command(env!("CARGO_BIN_EXE_matinee"));
        server.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(dir.path().join("data"));
        server.current_dir(dir.path()).stdout(File::create(&said).unwrap());
        let child = server.stderr(File::create(dir.path().join("log")).unwrap()).spawn().unwrap();
        let runtime = Runtime::new().unwrap();
        let http = crate::support::client().build().unwrap();
        let mut world = Self { child, dir, root: String::new(), runtime, http };
        world.root = within(Duration::from_secs(30), "matinee is ready", || {
            let text = std::fs::read_to_string(&said).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("matinee is ready at "))?;
            Some(format!("http://127.0.0.1:{}", line.trim().rsplit_once(':')?.1))
        });
        world
    }

    /// Status and bytes of a GET; takes addresses of the API and whole ones.
    pub(crate) fn get(&self, address: &str) -> (u16, Vec<u8>) {
        let path = address.split_once("/p/").map_or(address.to_owned(), |(_, rest)| format!("/p/{rest}"));
        self.runtime.block_on(async {
            let answer = self.http.get(format!("{}{path}", self.root)).send().await.unwrap();
            (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
        })
    }

    /// A text that must be there.
    pub(crate) fn text(&self, address: &str) -> String {
        let (status, bytes) = self.get(address);
        assert_eq!(status, 200, "{address}");
        String::from_utf8(bytes).unwrap()
    }

    /// JSON of the API; null when it is not there.
    pub(crate) fn json(&self, path: &str) -> Value {
        let (status, bytes) = self.get(path);
        if status == 200 { serde_json::from_slice(&bytes).unwrap() } else { Value::Null }
    }

    /// Uploads a file and returns the video's id.
    pub(crate) fn upload(&self, path: &Path) -> String {
        let bytes = std::fs::read(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let name = base64::engine::general_purpose::STANDARD.encode(name);
        self.runtime.block_on(async {
            let created = self
                .http
                .post(format!("{}/files/", self.root))
                .header("Tus-Resumable", "1.0.0")
                .header("Content-Type", "application/offset+octet-stream")
                .header("Upload-Length", bytes.len())
                .header("Upload-Metadata", format!("filename {name}"))
                .body(bytes)
                .send()
                .await
                .unwrap();
            assert_eq!(created.status(), 201);
            created.headers()["matinee-video"].to_str().unwrap().to_owned()
        })
    }

    /// Waits until a video is ready or has failed; looks at it with `each` meanwhile.
    pub(crate) fn ended(&self, video: &str, mut each: impl FnMut(&Value)) -> Value {
        within(READY, &format!("{video} is ready"), || {
            let now = self.json(&format!("/v1/videos/{video}"));
            each(&now);
            matches!(now["state"].as_str(), Some("ready" | "failed")).then_some(now)
        })
    }

    /// Where the playlists and files of one generation lie, without a slash at the end.
    pub(crate) fn place(&self, video: &str, generation: u32) -> String {
        let playback = self.json(&format!("/v1/videos/{video}/playback"));
        let hls = playback["hls"].as_str().unwrap_or_else(|| panic!("{video} cannot be played"));
        let (_, path) = hls.split_once("/p/").unwrap();
        let token = path.split('/').next().unwrap();
        format!("{}/p/{token}/{video}/{generation}", self.root)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            eprintln!("--- the server said:\n{log}--- end");
        }
    }
}

/// Looks again and again until something is found.
pub(crate) fn within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < limit, "after {limit:?} still not so: {what}");
        pause(Duration::from_millis(150));
    }
}

#[expect(clippy::disallowed_methods, reason = "a test waits for a process on the wall clock")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "a test waits for a process on the wall clock")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// A command of the machine.
#[expect(clippy::disallowed_methods, reason = "the tests run the product and its tools from outside")]
fn command(program: &str) -> Command {
    Command::new(program)
}

/// Runs a tool; a playlist may name segments of any ending.
fn run(program: &str, before: &[&str], input: &str, after: &[&str]) -> Output {
    let mut tool = command(program);
    tool.args(["-v", "error"]).args(before);
    if input.ends_with(".m3u8") {
        tool.args(["-allowed_extensions", "ALL"]);
    }
    let output = tool.args(["-i", input]).args(after).output();
    output.unwrap_or_else(|error| panic!("{program} must be installed for this test: {error}"))
}

/// What ffmpeg writes to its standard output.
pub(crate) fn ffmpeg(before: &[&str], input: &str, after: &[&str]) -> Vec<u8> {
    let output = run("ffmpeg", before, input, after);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "ffmpeg {input} {after:?}: {said}");
    output.stdout
}

/// ffprobe's description of the streams.
pub(crate) fn streams(input: &str) -> Vec<Value> {
    let output = run("ffprobe", &["-show_streams", "-of", "json"], input, &[]);
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    all["streams"].as_array().cloned().unwrap_or_else(|| {
        panic!("ffprobe finds nothing in {input}: {}", String::from_utf8_lossy(&output.stderr))
    })
}

/// A packet's presentation time and duration in seconds, and whether it is a key frame.
pub(crate) type Packet = (f64, f64, bool);

/// The packets of one stream, such as `v:0` or `2`.
pub(crate) fn packets(input: &str, stream: &str) -> Vec<Packet> {
    let show = ["-select_streams", stream, "-show_entries", "packet=pts_time,duration_time,flags"];
    let output = run("ffprobe", &[&show[..], &["-of", "csv=p=0"]].concat(), input, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    let packet = |line: &str| {
        let mut fields = line.split(',');
        let pts = fields.next()?.parse().ok()?;
        Some((pts, fields.next()?.parse().unwrap_or(0.0), fields.next()?.contains('K')))
    };
    text.lines().filter_map(packet).collect()
}

/// Length and hash of every packet of one stream.
pub(crate) fn hashes(input: &str, stream: &str) -> Vec<String> {
    let after = ["-map", &format!("0:{stream}"), "-c", "copy", "-f", "framehash", "-hash", "md5", "-"];
    let text = String::from_utf8(ffmpeg(&[], input, &after)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(',').skip(4).take(2).map(str::trim).collect::<Vec<_>>().join(" ")).collect()
}

/// The sound as mono samples at 48 kHz.
pub(crate) fn sound(input: &str) -> Vec<i16> {
    let bytes = ffmpeg(&[], input, &["-map", "0:a:0", "-f", "s16le", "-ac", "1", "-ar", "48000", "-"]);
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// Makes a clip below `dir`.
pub(crate) fn make(dir: &Path, name: &str, args: &[String]) -> PathBuf {
    let path = dir.join(name);
    let output = command("ffmpeg").args(["-v", "error", "-y"]).args(args).arg(&path).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    path
}
