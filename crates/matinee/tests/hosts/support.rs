//! A server with both hosts, which are fakes on loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use http::Method;
use matinee_io::host::bunny::fake::{self as bunny, FakeBunny};
use matinee_io::host::cloudflare::fake::{self as cloudflare, FakeCloudflare};
use matinee_io::host::fake::{Call, Clock, Fault, Frame, Trouble};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::until;

/// Seconds in which something happens that is due within two, on a loaded machine.
pub(crate) const SOON_S: u64 = 90;
/// More than all stages of a fake's encoding take, in milliseconds.
pub(crate) const ENCODED_MS: i64 = 60_000;

/// Both fakes. Their clocks stand unless they are moved.
pub(crate) struct Fakes {
    pub(crate) cloudflare: FakeCloudflare,
    pub(crate) bunny: FakeBunny,
    _folder: TempDir,
}

impl Fakes {
    pub(crate) async fn start() -> Self {
        let folder =
            tempfile::Builder::new().prefix("hosts-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let below = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        let clock = || Clock::at(matinee_io::clock::now());
        Self {
            cloudflare: FakeCloudflare::start(below("cf"), clock()).await.unwrap(),
            bunny: FakeBunny::start(below("bn"), clock()).await.unwrap(),
            _folder: folder,
        }
    }

    /// The configuration of a server that publishes to both, at the pace of a test.
    pub(crate) fn config(&self) -> String {
        let pace = "poll = \"1s\"\nlook_after = \"1s\"\nlook_again_after = \"3s\"\ncontrol_after = \"1s\"\nprobe_after = \"1s\"\n";
        format!(
            "[workers]\nidentical = false\n\
             [[host]]\nname = \"cf\"\nkind = \"cloudflare\"\naccount = \"{}\"\ntoken = \"{}\"\ncustomer = \"customer-1\"\n\
             webhook_secret = \"{}\"\nendpoint = \"{}\"\n{pace}\
             [[host]]\nname = \"bn\"\nkind = \"bunny\"\nlibrary = {}\napi_key = \"{}\"\nread_only_key = \"{}\"\n\
             pull_zone = \"vz-1.b-cdn.net\"\nendpoint = \"{}\"\n{pace}\
             [[pipeline]]\nname = \"both\"\nsizes = [180]\npublish = [\"cf\", \"bn\"]\n\
             [[pipeline]]\nname = \"none\"\nsizes = [180]\n",
            cloudflare::ACCOUNT,
            cloudflare::TOKEN,
            cloudflare::WEBHOOK_SECRET,
            self.cloudflare.frame().url(),
            bunny::LIBRARY,
            bunny::KEY,
            bunny::READ_ONLY_KEY,
            self.bunny.frame().url(),
        )
    }

    /// The same for a server that looks for what was not answered only after a while, so that a slow answer is not taken for none.
    pub(crate) fn patient(&self) -> String {
        self.config().replace(
            "look_after = \"1s\"\nlook_again_after = \"3s\"",
            "look_after = \"20s\"\nlook_again_after = \"30s\"",
        )
    }

    /// The same for a server from which both fetch what they get, at this address.
    pub(crate) fn pulling(&self, from: &str) -> String {
        let how = format!("hand_over = \"pull\"\npull_from = \"{from}\"\npoll = ");
        self.config().replace("poll = ", &how)
    }

    /// SHA-256 of the bytes that a host has of one of its videos.
    pub(crate) fn received(&self, host: &str, at: usize) -> Option<[u8; 32]> {
        let id = self.there(host).into_iter().nth(at)?;
        if host == "cf" { self.cloudflare.received(&id) } else { self.bunny.received(&id) }
    }

    pub(crate) fn frame(&self, host: &str) -> &Frame {
        if host == "cf" { self.cloudflare.frame() } else { self.bunny.frame() }
    }

    /// The names of all videos at a host.
    pub(crate) fn there(&self, host: &str) -> Vec<String> {
        if host == "cf" { self.cloudflare.there() } else { self.bunny.there() }
    }

    /// Something goes wrong so often.
    pub(crate) fn trouble(&self, host: &str, call: &'static str, fault: Fault, times: u32) {
        self.frame(host).trouble(Trouble { call, fault, times, until: None });
    }

    /// Both are past the end of every encoding that they have begun.
    pub(crate) fn encode(&self) {
        for host in ["cf", "bn"] {
            self.frame(host).clock().pass(ENCODED_MS);
        }
    }

    /// How often a call was made.
    pub(crate) fn calls(&self, host: &str, name: &str) -> usize {
        self.frame(host).calls().iter().filter(|call| call.name == Some(name)).count()
    }

    /// Every request was one that the real service would have understood.
    pub(crate) fn understood(&self) {
        for host in ["cf", "bn"] {
            assert_eq!(self.frame(host).unknown(), Vec::<Call>::new(), "{host}");
        }
    }
}

/// An address that leads to a server, whichever port it has.
pub(crate) struct Relay {
    pub(crate) url: String,
    port: Arc<AtomicU16>,
}

impl Relay {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let port = Arc::new(AtomicU16::new(0));
        let leads = Arc::clone(&port);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let port = leads.load(Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Self { url, port }
    }

    /// From now on it leads there.
    pub(crate) fn lead(&self, server: &Server) {
        let url: reqwest::Url = server.url("/").parse().unwrap();
        self.port.store(url.port().unwrap(), Ordering::Relaxed);
    }
}

/// Publishes a video.
pub(crate) async fn publish(server: &Server, video: &str, host: &str) -> Value {
    let path = format!("/v1/videos/{video}/publications");
    let answer = server.request(Method::POST, &path).json(&json!({ "host": host })).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    answer.json().await.unwrap()
}

/// The publication of a video at a host, if there is one.
pub(crate) async fn publication(server: &Server, video: &str, host: &str) -> Option<Value> {
    let (_, shown) = server.get(&format!("/v1/videos/{video}")).await;
    shown["publications"].as_array()?.iter().find(|one| one["host"] == host).cloned()
}

/// The same, once it is in this state.
pub(crate) async fn in_state(server: &Server, video: &str, host: &str, state: &str) -> Value {
    until(&format!("{video} is {state} at {host}"), SOON_S, async || {
        publication(server, video, host).await.filter(|one| one["state"] == state)
    })
    .await
}

/// Deletes a video, and waits until neither host nor ledger have anything of it.
pub(crate) async fn nothing_is_left(server: &Server, fakes: &Fakes, video: &str) {
    let deleted = server.request(Method::DELETE, &format!("/v1/videos/{video}")).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    empty(server, fakes).await;
}

/// Neither host nor ledger have anything.
pub(crate) async fn empty(server: &Server, fakes: &Fakes) {
    until("nothing is left at the hosts", SOON_S, async || {
        let owed = Tables::open(&server.data()).await.at_hosts().await;
        (owed.is_empty() && fakes.there("cf").is_empty() && fakes.there("bn").is_empty()).then_some(())
    })
    .await;
}

/// Announces an upload that goes straight to a host.
pub(crate) async fn announce_at(server: &Server, host: &str, size: usize) -> Value {
    let new = json!({ "size_bytes": size, "file_name": "film.mp4", "target": host });
    let answer = server.request(Method::POST, "/v1/uploads").json(&new).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    answer.json().await.unwrap()
}

/// What an upload is now.
pub(crate) async fn shown(server: &Server, upload: &Value) -> Value {
    server.get(&format!("/v1/uploads/{}", upload["id"].as_str().unwrap())).await.1
}

/// The same, once it is in this state.
pub(crate) async fn upload_in(server: &Server, upload: &Value, state: &str) -> Value {
    until(&format!("the upload is {state}"), SOON_S, async || {
        Some(shown(server, upload).await).filter(|upload| upload["state"] == state)
    })
    .await
}

/// Sends a file to the address of an upload as any tus client does that was told what is in `direct`.
pub(crate) async fn send_straight(upload: &Value, bytes: &[u8]) {
    let http = crate::support::client().build().unwrap();
    let tus = &upload["direct"]["tus"];
    let mut url = reqwest::Url::parse(upload["upload_url"].as_str().unwrap()).unwrap();
    let request = |method: Method, url: &reqwest::Url| {
        let request = http.request(method, url.clone()).header("Tus-Resumable", "1.0.0");
        let headers = tus["headers"].as_object().unwrap().iter();
        headers.fold(request, |request, (name, value)| request.header(name, value.as_str().unwrap()))
    };
    if tus["created"] == false {
        let creation = request(Method::POST, &url).header("Upload-Length", bytes.len());
        let creation = creation.header("Upload-Metadata", tus["metadata"].as_str().unwrap());
        let made = creation.header("Content-Length", 0).send().await.unwrap();
        assert_eq!(made.status(), 201);
        url = url.join(made.headers()["location"].to_str().unwrap()).unwrap();
    }
    let most = usize::try_from(tus["chunk_max_bytes"].as_u64().unwrap()).unwrap();
    let mut at = 0;
    for piece in bytes.chunks(most) {
        let sent = request(Method::PATCH, &url).header("Upload-Offset", at);
        let sent = sent.header("Content-Type", "application/offset+octet-stream").body(piece.to_vec());
        assert_eq!(sent.send().await.unwrap().status(), 204);
        at += piece.len();
    }
}
