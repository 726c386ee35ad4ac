//! The recording pipeline (`examples/recording-pipeline`): Zoom, hand and path; archive, host, the site is told, the disk is free.

mod damaged;
mod example;
mod killed;
mod waits;

use std::time::Duration;

use matinee_io::host::bunny::fake::{self as bunny, FakeBunny};
use matinee_io::host::fake::{Clock, Fault, Trouble};
use matinee_io::store::fake::{Fake, Inventory, Profile};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::support::receiver::{Message, Receiver};
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::until;
use crate::support::zoom::Zoom;

/// Seconds in which something happens on a loaded machine.
const SOON_S: u64 = 120;
/// Seconds after which a file is gone that nobody needs: who has just learned its address has a minute.
const FREE_S: u64 = 300;
/// More than all stages of the host's encoding take, in milliseconds.
const ENCODED_MS: i64 = 60_000;
/// The view of a meeting that is taken.
const VIEW: &str = "shared_screen_with_speaker_view";
/// Where the site is told.
const HOOK: &str = "/hook";

/// All that is outside.
struct Outside {
    bunny: FakeBunny,
    b2: Fake,
    zoom: Zoom,
    site: Receiver,
    site_port: u16,
    secret: String,
    _folder: TempDir,
}

impl Outside {
    async fn start() -> Self {
        let folder =
            tempfile::Builder::new().prefix("outside-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let clock = Clock::at(matinee_io::clock::now());
        let (site, site_port) = Receiver::start(&[(HOOK, &[204])]).await;
        Self {
            bunny: FakeBunny::start(folder.path().to_owned(), clock).await.unwrap(),
            b2: Fake::start(Profile::B2).await.unwrap(),
            zoom: Zoom::start().await,
            site,
            site_port,
            secret: String::new(),
            _folder: folder,
        }
    }

    /// The configuration of the example, with these services in place of the real ones.
    fn config(&self) -> String {
        let access = self.b2.access();
        let hook = format!("memory_bytes = 16777216\nallow_hosts = [\"127.0.0.1:{}\", ", self.site_port);
        let zoom = self.zoom.configuration(true).replace("allow_hosts = [", &hook);
        format!(
            "[workers]\nconcurrency = 1\n[archive]\nlocal_sources = \"0s\"\n{zoom}\
             [[store]]\nname = \"b2\"\nkind = \"s3\"\nclass = \"archive\"\nurl = \"s3://{}/lessons\"\nendpoint = \"{}\"\n\
             region = \"{}\"\naccess_key = \"{}\"\nsecret_key = \"{}\"\nkey = \"{{collection}}/{{video}}/{{object}}.mp4\"\n\
             [[host]]\nname = \"bn\"\nkind = \"bunny\"\nlibrary = {}\napi_key = \"{}\"\nread_only_key = \"{}\"\n\
             pull_zone = \"vz-1.b-cdn.net\"\nendpoint = \"{}\"\npoll = \"1s\"\nlook_after = \"1s\"\n\
             look_again_after = \"3s\"\ncontrol_after = \"1s\"\nprobe_after = \"1s\"\n\
             [[pipeline]]\nname = \"default\"\nas_is = true\npublish = [\"bn\"]\n",
            access.bucket,
            self.b2.endpoint(),
            access.region,
            access.access_key,
            access.secret_key,
            bunny::LIBRARY,
            bunny::KEY,
            bunny::READ_ONLY_KEY,
            self.bunny.frame().url(),
        )
    }

    /// A server that tells the site what is where it belongs.
    async fn server(&mut self) -> Server {
        let server = Server::with(&self.config()).await;
        self.told_by(server)
    }

    /// The same of a server that runs already.
    fn told_by(&mut self, server: Server) -> Server {
        let url = format!("http://127.0.0.1:{}{HOOK}", self.site_port);
        let made = server.tell(&["webhooks", "add", &url, "--topic", "video.distributed", "--json"]);
        let made: Value = serde_json::from_str(&made).unwrap();
        made["secret"].as_str().unwrap().clone_into(&mut self.secret);
        server
    }

    /// Something goes wrong at the host so often.
    fn trouble(&self, call: &'static str, fault: Fault, times: u32) {
        self.bunny.frame().trouble(Trouble { call, fault, times, until: None });
    }

    /// How often the host was called so.
    fn calls(&self, name: &str) -> usize {
        self.bunny.frame().calls().iter().filter(|call| call.name == Some(name)).count()
    }

    /// The host has encoded all that it has.
    fn encode(&self) {
        self.bunny.frame().clock().pass(ENCODED_MS);
    }

    /// What the site was told, once it was told of so many videos; each time signed.
    async fn told(&self, videos: usize) -> Vec<Message> {
        self.told_within(videos, SOON_S).await
    }

    async fn told_within(&self, videos: usize, deadline_s: u64) -> Vec<Message> {
        let told = until(&format!("the site is told of {videos} videos"), deadline_s, async || {
            let told = self.site.of(HOOK);
            let mut ids: Vec<_> = told.iter().map(|one| one.header("webhook-id").to_owned()).collect();
            ids.sort();
            ids.dedup();
            (ids.len() >= videos).then_some(told)
        })
        .await;
        assert!(told.iter().all(|message| message.is_signed_by(&self.secret)));
        told
    }

    /// Everything is where it belongs once, byte for byte, and the message says where.
    async fn holds(&self, server: &Server, message: &Value, bytes: &[u8]) {
        let data = &message["data"];
        let copy = &data["archive"][0];
        let url = copy["url"].as_str().unwrap();
        let key = url.strip_prefix("s3://films/").unwrap();
        assert_eq!(self.b2.bytes(key).as_deref(), Some(bytes), "{key}");
        assert_eq!(copy["key"].as_str(), key.strip_prefix("lessons/"), "{copy}");
        assert_eq!(copy["sha256"], matinee_core::hash::hex(&Sha256::digest(bytes)), "{copy}");
        assert_eq!(copy["sha1"].as_str().map(str::len), Some(40), "{copy}");
        let there = &data["publications"][0];
        let remote = there["remote_id"].as_str().unwrap();
        assert_eq!((&there["host"], &there["state"]), (&"bn".into(), &"ready".into()), "{there}");
        assert_eq!(there["playback"]["hls"], format!("https://vz-1.b-cdn.net/{remote}/playlist.m3u8"));
        assert_eq!(self.bunny.received(remote), Some(Sha256::digest(bytes).into()));
        let video = data["video"]["id"].as_str().unwrap();
        let source = Tables::open(&server.data()).await.source(video).await.object;
        let local = crate::support::invariants::object_path(&server.data(), &source);
        until("the disk is free again", FREE_S, async || (!local.exists()).then_some(())).await;
    }

    /// What stands outside, and nothing else, is paid for.
    fn counts(&self, videos: usize, bytes: u64) {
        let held = Inventory { objects: videos, bytes, ..Inventory::default() };
        assert_eq!((self.b2.inventory(), self.bunny.there().len()), (held, videos));
        assert_eq!(self.b2.unexpected(), Vec::<String>::new());
        assert!(self.bunny.frame().unknown().is_empty() && self.zoom.complaints().is_empty());
    }
}

/// The host goes on as soon as it has a video, so that a test need not say when.
async fn encoding(outside: &Outside) {
    let mut beat = tokio::time::interval(Duration::from_millis(500));
    loop {
        beat.tick().await;
        outside.encode();
    }
}
