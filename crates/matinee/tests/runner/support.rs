//! Runners of a test: the real binary in folders of their own, ended with the test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::process::{kill, mortal, signal, working_in};
use crate::support::server::Server;
use crate::support::until;

/// A server that leaves to runners what they can do.
pub(super) const ELSEWHERE: &str = "[workers]\nhere = false\n";

/// A registration token.
pub(super) fn invited(server: &Server) -> String {
    server.tell(&["runner", "token", "--quiet"])
}

/// One machine that works for a server.
pub(super) struct Runner {
    child: Child,
    dir: TempDir,
    program: Vec<String>,
    starts: u32,
}

impl Runner {
    /// Invites and starts a runner with one slot.
    pub(super) fn start(server: &Server) -> Self {
        Self::start_at(&server.url(""), &invited(server), &[], &[])
    }

    /// Starts one for a server at this address; `before` stands before the program, `words` behind it.
    pub(super) fn start_at(url: &str, token: &str, before: &[&str], words: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("runner-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let data = dir.path().join("data");
        let plain = [env!("CARGO_BIN_EXE_matinee"), "runner", "--server", url, "--token", token];
        let place = ["--slots", "1", "--data", data.to_str().unwrap()];
        let program: Vec<String> =
            [before, &plain, &place, words].concat().into_iter().map(str::to_owned).collect();
        let child = Self::spawn(&dir, &program, 0);
        Self { child, dir, program, starts: 0 }
    }

    fn spawn(dir: &TempDir, program: &[String], starts: u32) -> Child {
        let mut command: Command = mortal(Path::new(&program[0]));
        command.args(&program[1..]).current_dir(dir.path());
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MATINEE_"))
        {
            command.env_remove(name);
        }
        command.stdout(File::create(dir.path().join(format!("{starts}.out"))).unwrap());
        command.stderr(File::create(dir.path().join(format!("{starts}.err"))).unwrap());
        command.spawn().unwrap()
    }

    /// Starts the same program in the same folder again.
    pub(super) fn again(&mut self) {
        drop(self.child.kill());
        self.child.wait().unwrap();
        self.starts += 1;
        self.child = Self::spawn(&self.dir, &self.program, self.starts);
    }

    /// Where it keeps all that it has.
    pub(super) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Everything that it has logged since it was started last.
    pub(super) fn logged(&self) -> String {
        std::fs::read_to_string(self.dir.path().join(format!("{}.err", self.starts))).unwrap_or_default()
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) {
        kill(self.child.id());
        self.child.wait().unwrap();
    }

    /// Sends a signal.
    pub(super) fn signal(&self, which: Signal) {
        signal(self.child.id(), which);
    }

    /// Waits for its end; the exit code.
    pub(super) async fn ended(&mut self, deadline_s: u64) -> Option<i32> {
        until("the runner ends", deadline_s, async || self.child.try_wait().unwrap()).await.code()
    }

    /// Waits until it encodes; before its first job it has encoded a known picture.
    pub(super) async fn encodes(&self) {
        until("the runner has a job", 90, async || self.logged().contains("a job begins").then_some(()))
            .await;
        let data = self.data();
        let encoding = |pid: &u32| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == "ffmpeg")
        };
        until("the runner encodes", 90, async || {
            working_in(&data, Some(self.child.id())).iter().any(encoding).then_some(())
        })
        .await;
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("--- the runner in {} said:\n{}--- end", self.dir.path().display(), self.logged());
        }
    }
}

/// A runner of which the test itself is the machine: it can lie.
pub(super) struct Liar {
    http: reqwest::Client,
    url: String,
    token: String,
    pub(super) id: String,
}

impl Liar {
    /// Registers with what an honest runner says of this machine.
    pub(super) async fn register(server: &Server) -> Self {
        let liar =
            Self { http: server.http.clone(), url: server.url(""), token: String::new(), id: String::new() };
        let body = json!({
            "registration_token": invited(server), "nonce": "0".repeat(32), "report": report(),
        });
        let (status, answer) = liar.post("/v1/runner/register", &body).await;
        assert_eq!(status, 200, "{answer}");
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        Self { token: text("token"), id: text("id"), ..liar }
    }

    /// Status and JSON of a call.
    pub(super) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.token).json(body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// The next job; an empty answer is asked again.
    pub(super) async fn claim(&self) -> Value {
        let wish = json!({ "run": "liar", "holding": [], "report": report() });
        until("there is a job", 90, async || {
            let (status, answer) = self.post("/v1/runner/claim", &wish).await;
            assert!([200, 204].contains(&status), "{status}: {answer}");
            (status == 200).then_some(answer)
        })
        .await
    }

    /// A request to an address that the server gave.
    pub(super) fn request(&self, method: Method, url: &Value) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{}", self.url, url.as_str().unwrap())).bearer_auth(&self.token)
    }

    /// Writes an output as a whole; the status.
    pub(super) async fn put(&self, url: &Value, bytes: &[u8]) -> u16 {
        let range = format!("bytes 0-{}/{}", bytes.len() - 1, bytes.len());
        let request = self.request(Method::PUT, url).header("Content-Range", range).body(bytes.to_vec());
        request.send().await.unwrap().status().as_u16()
    }

    /// Says something about a job under its lease; the status and the code of the problem.
    pub(super) async fn say(&self, job: &Value, what: &str, more: &Value) -> (u16, String) {
        let mut body = json!({ "attempt": job["lease"]["attempt"], "token": job["lease"]["token"] });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let path = format!("/v1/lease/{}/{what}", job["lease"]["id"].as_str().unwrap());
        let (status, answer) = self.post(&path, &body).await;
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// What fits a server that asks for no equal bytes.
pub(super) fn report() -> Value {
    let encoders = ["libx264", "libvpx-vp9", "libsvtav1", "libx265", "aac", "libopus"];
    json!({ "protocol": 1, "version": "0", "ffmpeg": "5.1", "encoders": encoders, "slots": 8 })
}

/// What completing says of these outputs.
pub(super) fn made(job: &Value, files: &[Vec<u8>]) -> Value {
    let outputs = job["outputs"].as_array().unwrap();
    let said = outputs.iter().zip(files).map(|(output, bytes)| {
        json!({
            "key": output["key"], "size_bytes": bytes.len(), "blake3": blake3::hash(bytes).to_string(),
        })
    });
    json!({ "outputs": said.collect::<Vec<_>>() })
}
