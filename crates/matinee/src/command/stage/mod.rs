//! A stage: a whole matinee of its own with fakes of everything outside, in a folder that goes with it.

mod configuration;
mod site;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use matinee_io::child::{self, Child};
use matinee_io::fetch::fake::Manner;
use matinee_io::fetch::fake::zoom::{FakeZoom, Signed};
use matinee_io::fetch::{self, Fetch, Post};
use matinee_io::host::bunny::fake::FakeBunny;
use matinee_io::host::cloudflare::fake::{self as cloudflare, FakeCloudflare};
use matinee_io::host::fake::{Clock, Wish};
use matinee_io::random;
use matinee_io::store::fake::{Fake, Profile};
use serde_json::Value;

pub(super) use self::site::Heard;
use self::site::Site;

/// So long fake hosts encode each video, in milliseconds.
const ENCODE_MS: i64 = 4_000;
/// So long a server may take to start on a busy machine.
const START_S: u64 = 60;
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// The view of a recording that is taken by every configuration.
const VIEW: &str = "shared_screen_with_speaker_view";
/// A picture with a counter and a tone: what is brought in when somebody has no video at hand.
const SAMPLE: &str = "-v error -y -f lavfi -i testsrc2=size=640x360:rate=25:duration=8 -f lavfi \
                      -i sine=frequency=440:sample_rate=48000:duration=8 -c:v libx264 -preset ultrafast -pix_fmt yuv420p \
                      -g 50 -c:a aac -movflags +faststart";

/// A folder that goes when it is dropped.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // Nobody is left to be told.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The fakes, and the server that knows nothing of it.
pub(super) struct Stage {
    // Ended before its folder goes.
    server: Option<Child>,
    port: u16,
    pub(super) cloudflare: FakeCloudflare,
    pub(super) bunny: FakeBunny,
    pub(super) store: Fake,
    pub(super) zoom: FakeZoom,
    pub(super) site: Site,
    fetch: Fetch,
    folder: Folder,
}

impl Stage {
    /// Starts the fakes and writes the configuration of a server that uses them: this one, whose files lie in `beside`, with
    /// every service outside replaced.
    pub(super) async fn set(configuration: &str, beside: &Path) -> anyhow::Result<Self> {
        let name = format!("matinee-stage-{:016x}", u64::from_le_bytes(random::bytes()));
        let folder = Folder(std::env::temp_dir().join(name));
        let below = |name: &str| {
            let path = folder.0.join(name);
            std::fs::create_dir_all(&path).map(|()| path)
        };
        let wish = |folder| Wish { encode_ms: ENCODE_MS, ..Wish::new(folder, Clock::going()) };
        let cloudflare = FakeCloudflare::wished(wish(below("cloudflare")?)).await?;
        let bunny = FakeBunny::wished(wish(below("bunny")?)).await?;
        let (store, zoom) = (Fake::start(Profile::B2).await?, FakeZoom::start().await?);
        let site = Site::start().await?;
        below("inbox")?;
        std::fs::write(signing_key(&folder), cloudflare::signing_key())?;
        let mut stage =
            Self { server: None, port: 0, cloudflare, bunny, store, zoom, site, fetch: client(&[])?, folder };
        let text = configuration::staged(configuration, beside, &stage)?;
        std::fs::write(stage.folder.0.join("matinee.toml"), text)?;
        stage.port = free_port().await?;
        stage.fetch = client(&[format!("127.0.0.1:{}", stage.port)])?;
        Ok(stage)
    }

    /// Where the pages of the server are.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where files lie that are brought in by their path.
    pub(super) fn inbox(&self) -> PathBuf {
        self.folder.0.join("inbox")
    }

    /// The file of the key that signs the addresses of the fake Cloudflare.
    fn signing_key(&self) -> PathBuf {
        signing_key(&self.folder)
    }

    /// What the server has logged.
    pub(super) fn logged(&self) -> String {
        std::fs::read_to_string(self.folder.0.join("log")).unwrap_or_default()
    }

    /// Starts the server and waits until it answers.
    pub(super) async fn start(&mut self) -> anyhow::Result<()> {
        let (out, log) = (self.folder.0.join("out"), self.folder.0.join("log"));
        let listen = format!("127.0.0.1:{}", self.port);
        let words = own(&["serve", "--child-of", &std::process::id().to_string(), "--listen", &listen]);
        self.server = Some(Child::start(&words, &self.folder.0, (&out, &log))?);
        let ready = async {
            loop {
                if let Some(status) = self.ended()? {
                    bail!("the server ended with {status} at its start:\n{}", self.logged());
                }
                if std::fs::read_to_string(&out)?.contains("matinee is ready at") {
                    return Ok(());
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(START_S), ready)
            .await
            .context("the server does not start")?
    }

    /// How the server has ended; nothing while it runs.
    pub(super) fn ended(&mut self) -> anyhow::Result<Option<std::process::ExitStatus>> {
        self.server.as_mut().map_or(Ok(None), |server| Ok(server.ended()?))
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.server.take().map_or(Ok(()), |mut server| Ok(server.kill()?))
    }

    /// Asks the server to end, and waits for that.
    pub(super) async fn end(&mut self) -> anyhow::Result<()> {
        if let Some(server) = &self.server {
            server.ask_to_end()?;
        }
        let ended = async {
            while self.server.is_some() && self.ended()?.is_none() {
                tokio::time::sleep(LOOK).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(Duration::from_secs(START_S), ended).await.context("the server does not end")?
    }

    /// Runs a command of matinee on the server's data; what it prints.
    pub(super) async fn tell(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = child::told(&own(words), &self.folder.0).await?;
        let (said, error) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "`matinee {}` failed: {said}{error}", words.join(" "));
        Ok(said.trim().to_owned())
    }

    /// Has the site told of events; from now on it believes what the server signs.
    pub(super) async fn listen(&self, topics: &[&str]) -> anyhow::Result<()> {
        let url = self.site.url();
        let mut words = vec!["webhooks", "add", url.as_str(), "--json"];
        words.extend(topics.iter().flat_map(|topic| ["--topic", topic]));
        let made: Value = serde_json::from_str(&self.tell(&words).await?)?;
        let secret = made["secret"].as_str().context("the command prints a secret")?;
        self.site.believe(secret)
    }

    /// Encodes the sample; a file with its bytes.
    pub(super) async fn sample(&self) -> anyhow::Result<Bytes> {
        let path = self.folder.0.join("sample.mp4");
        let words = SAMPLE.split_whitespace().map(OsString::from).chain([path.clone().into_os_string()]);
        let made = child::run(Path::new("ffmpeg"), &words.collect::<Vec<_>>(), &self.folder.0).await;
        let made = made.context("ffmpeg cannot be started; it is needed for the sample")?;
        ensure!(made.status.success(), "ffmpeg: {}", String::from_utf8_lossy(&made.stderr));
        Ok(Bytes::from(std::fs::read(path)?))
    }

    /// Zoom tells of a recording; the answer's status.
    pub(super) async fn recorded(&self, meeting: &str, bytes: &Bytes, manner: Manner) -> anyhow::Result<u16> {
        let recording = (meeting, VIEW);
        self.zoom.record_of(meeting, recording, bytes.clone(), manner);
        let Signed { body, signature, timestamp } = FakeZoom::signed(&self.zoom.event_of(meeting, 1), 0);
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("x-zm-signature", signature),
            ("x-zm-request-timestamp", timestamp),
        ];
        let post = Post { url: format!("{}/v1/ingest/zoom", self.url()), headers, body };
        Ok(self.fetch.call(&post).await?.status)
    }

    /// Somebody uploads a file by hand, with all breaks on the way.
    pub(super) async fn uploaded(&self, name: &str, bytes: &Bytes) -> anyhow::Result<String> {
        let path = self.folder.0.join(name);
        std::fs::write(&path, bytes)?;
        let path = path.to_string_lossy().into_owned();
        self.tell(&["upload", &path, "--to", &self.url(), "--title", name, "--quiet"]).await
    }

    /// A file that lies on the server's disk is brought in by its path.
    pub(super) async fn imported(&self, name: &str, bytes: &Bytes) -> anyhow::Result<String> {
        let path = self.inbox().join(name);
        std::fs::write(&path, bytes)?;
        self.tell(&["import", &path.to_string_lossy(), "--title", name, "--quiet"]).await
    }
}

fn signing_key(folder: &Folder) -> PathBuf {
    folder.0.join("signing-key")
}

/// Words of the command line, with those that make it the stage's own.
fn own(words: &[&str]) -> Vec<OsString> {
    let own = ["--config", "matinee.toml", "--data", "data"];
    words.iter().chain(&own).map(OsString::from).collect()
}

fn client(allow_hosts: &[String]) -> anyhow::Result<Fetch> {
    let config = fetch::Config { allow_hosts: allow_hosts.to_vec(), ..fetch::Config::default() };
    Fetch::new(&config).map_err(anyhow::Error::msg)
}

/// A port that stays the same when the server is started again.
async fn free_port() -> anyhow::Result<u16> {
    Ok(tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?.port())
}
