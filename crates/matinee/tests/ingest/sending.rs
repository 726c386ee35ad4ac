//! `matinee upload` against real servers, through proxies that limit, lie and cut, and across `kill -9` of either side.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::invariants::no_byte_is_lost;
use crate::support::process::{kill, mortal};
use crate::support::proxy::{Faults, Proxy};
use crate::support::server::Server;
use crate::support::{clips, noise, until};

/// A machine from which files are sent.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::Builder::new().prefix("home-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn command(&self, port: u16, words: &[&str], files: &[&Path]) -> Command {
        let mut command = mortal(Path::new(env!("CARGO_BIN_EXE_matinee")));
        command.env_clear().env("XDG_STATE_HOME", self.0.path().join("state"));
        command.arg("upload").args(files).args(["--to", &format!("http://127.0.0.1:{port}")]).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn start(&self, port: u16, words: &[&str], files: &[&Path]) -> Child {
        self.command(port, words, files).spawn().unwrap()
    }

    /// Runs it to its end, beside the proxy and the server.
    async fn run(&self, port: u16, words: &[&str], files: &[&Path]) -> Output {
        let mut command = self.command(port, words, files);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// What is remembered of uploads.
    fn memories(&self) -> usize {
        std::fs::read_dir(self.0.path().join("state/matinee/uploads")).map_or(0, Iterator::count)
    }
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[tokio::test]
async fn several_files_arrive_and_their_links_are_there_from_the_start() {
    let (server, home) = (Server::start().await, Home::new());
    let clip = clips::mp4(2);
    let (film, empty) = (home.file("film.mp4", &clip), home.file("empty.bin", b""));
    let files = [film.as_path(), Path::new("absent.mp4"), empty.as_path()];
    let output = home.run(server.port, &["--json"], &files).await;
    assert_eq!(code(&output), 3, "two of three: {}", complaint(&output));
    let told = lines(&output);
    let states: Vec<_> = told.iter().map(|line| line["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["uploading", "uploaded", "failed", "uploading", "uploaded"]);
    let video = told[0]["video"].as_str().unwrap();
    assert_eq!(told[0]["link"], format!("http://127.0.0.1:{}/v/{video}", server.port));
    assert_eq!(told[2]["reason"]["code"], "file");
    no_byte_is_lost(&server, video, &clip).await;
    assert_eq!(server.video_in(video, &["ready"], 120).await["title"], "film");
    assert_eq!(home.memories(), 0, "nothing is remembered of what has arrived");
}

#[tokio::test]
async fn a_limit_of_a_proxy_is_learnt_and_named() {
    let (server, home) = (Server::start().await, Home::new());
    let faults = Faults { body_max: Some(1 << 20), port: server.port, ..Faults::default() };
    let proxy = Proxy::start(faults).await;
    let bytes = noise(7, 9 << 20);
    let file = home.file("film.bin", &bytes);
    let output = home.run(proxy.port, &["--json"], &[&file]).await;
    assert_eq!(code(&output), 0, "{}", complaint(&output));
    assert!(complaint(&output).contains("client_max_body_size"), "{}", complaint(&output));
    no_byte_is_lost(&server, lines(&output)[0]["video"].as_str().unwrap(), &bytes).await;
    let refused = proxy.bodies().iter().filter(|len| **len > 1 << 20).count();
    assert!(refused <= 4, "9 MiB, then 8, 4 and 2: {:?}", proxy.bodies());
}

#[tokio::test]
async fn a_proxy_without_a_server_and_connections_that_break_are_outlasted() {
    let (server, home) = (Server::start().await, Home::new());
    let faults = Faults { away: 3, cut_after: Some(1 << 20), port: server.port, ..Faults::default() };
    let proxy = Proxy::start(faults).await;
    let bytes = noise(8, 5 << 20);
    let file = home.file("film.bin", &bytes);
    let output = home.run(proxy.port, &["--json"], &[&file]).await;
    assert_eq!(code(&output), 0, "{}", complaint(&output));
    no_byte_is_lost(&server, lines(&output)[0]["video"].as_str().unwrap(), &bytes).await;
    assert!(proxy.bodies().len() >= 5, "each request brought a piece: {:?}", proxy.bodies());
}

#[tokio::test]
async fn killed_on_either_side_it_goes_on_where_the_server_is() {
    let (mut server, home) = (Server::start().await, Home::new());
    let faults = Faults { cut_after: Some(2 << 20), port: server.port, ..Faults::default() };
    let proxy = Proxy::start(faults).await;
    let bytes = noise(9, 48 << 20);
    let file = home.file("film.bin", &bytes);
    let mut child = home.start(proxy.port, &["--json"], &[&file]);
    until("some of it was offered", 30, async || (proxy.bodies().len() > 2).then_some(())).await;
    kill(child.id());
    child.wait().unwrap();
    // The same file under another name, and the server dies in the middle.
    let renamed = home.0.path().join("renamed.bin");
    std::fs::rename(&file, &renamed).unwrap();
    let before = proxy.bodies().len();
    let child = home.start(proxy.port, &["--json"], &[&renamed]);
    until("more of it was offered", 30, async || (proxy.bodies().len() > before + 2).then_some(())).await;
    server.kill();
    let server = server.again().await;
    proxy.now(|faults| *faults = Faults { port: server.port, ..Faults::default() });
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    assert_eq!(code(&output), 0, "{}", complaint(&output));
    let told = lines(&output);
    assert!(told[0]["resumed_at"].as_u64().unwrap() > 0, "{told:?}");
    no_byte_is_lost(&server, told[0]["video"].as_str().unwrap(), &bytes).await;
    let (_, page) = server.get("/v1/uploads").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "there was only ever one upload: {page}");
}

#[tokio::test]
async fn an_upload_address_needs_no_announcement_and_takes_what_it_was_made_for() {
    let (server, home) = (Server::start().await, Home::new());
    let bytes = noise(10, 100_000);
    let body = serde_json::json!({ "file_name": "film.bin", "size_bytes": bytes.len() });
    let made: Value =
        server.request(Method::POST, "/v1/uploads").json(&body).send().await.unwrap().json().await.unwrap();
    let url = made["upload_url"].as_str().unwrap();
    let to = |file: &Path| {
        let mut command = mortal(Path::new(env!("CARGO_BIN_EXE_matinee")));
        command.env_clear().env("XDG_STATE_HOME", home.0.path().join("state"));
        command.arg("upload").arg(file).args(["--json", "--to", url]);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let wrong = to(&home.file("other.bin", b"other")).await.unwrap();
    assert_eq!(code(&wrong), 1);
    assert!(lines(&wrong)[0]["reason"]["human"].as_str().unwrap().contains("100000 bytes"));
    let right = to(&home.file("film.bin", &bytes)).await.unwrap();
    assert_eq!(code(&right), 0, "{}", complaint(&right));
    no_byte_is_lost(&server, made["video_id"].as_str().unwrap(), &bytes).await;
}

#[tokio::test]
async fn what_cannot_work_says_what_to_do() {
    let home = Home::new();
    let file = home.file("film.bin", b"bytes");
    let dry = home.run(1, &["--dry-run", "--json"], &[&file]).await;
    assert_eq!((code(&dry), &lines(&dry)[0]["state"]), (0, &"would_upload".into()));
    let mut wrong = mortal(Path::new(env!("CARGO_BIN_EXE_matinee")));
    let wrong = wrong.arg("upload").arg(&file).args(["--to", "videos.example.org"]).output().unwrap();
    assert_eq!(code(&wrong), 2);
    assert!(complaint(&wrong).contains("https://"), "{}", complaint(&wrong));
    let place = crate::support::server::Place::new("[access]\nnewcomer = false");
    let server = Server::at(place).await;
    let refused = home.run(server.port, &["--json", "--token", "mtn_wrong"], &[&file]).await;
    assert_eq!(code(&refused), 1);
    let reason = &lines(&refused)[0]["reason"];
    assert_eq!(reason["code"], "unauthorized");
    assert!(reason["fix"].as_str().unwrap().contains("--token-file"), "{reason}");
}
