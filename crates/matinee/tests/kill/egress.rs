//! `kill -9` while it is counted what goes out: nothing counts twice, what is in the account stays there, and nothing is missing but
//! what a kill has taken.

use matinee_core::limits::EGRESS_ADD_MS;
use matinee_io::clock::Stopwatch;
use serde_json::Value;

use crate::encode::announced;
use crate::support::invariants::here;
use crate::support::raw::Raw;
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::{Random, client, clips, times, until};

/// Kills in `cargo test`; `make chaos` sets `MATINEE_ACCOUNT_KILLS`.
const KILLS: u64 = 2;
/// Bytes of one answer.
const PIECE: u64 = 4 << 10;
/// Bytes of a file of which a good part is still to be sent when all buffers on the way are full.
const FILE: usize = 16 << 20;
/// Within so many seconds something is added to the account, on a busy machine, too.
const ADDED_S: u64 = EGRESS_ADD_MS.unsigned_abs() / 1_000 * 3;

/// Somebody who watches, and writes down what came.
struct Viewer {
    http: reqwest::Client,
    file: Value,
    size: u64,
    random: Random,
    /// Bytes of all answers that were begun: more cannot have gone out.
    asked: u64,
    /// Bytes that came.
    came: u64,
    /// Bytes in the account when it was looked into last.
    account: u64,
}

impl Viewer {
    async fn of(server: &Server, random: Random) -> Self {
        let mut bytes = clips::faststart(2);
        // A box that players skip.
        bytes.extend(u32::try_from(FILE).unwrap().to_be_bytes());
        bytes.extend(b"free");
        bytes.resize(bytes.len() + FILE - 8, 0);
        let video = announced(server, Some("none"), &bytes).await;
        server.video_in(&video, &["ready"], 60).await;
        let (status, playback) = server.get(&format!("/v1/videos/{video}/playback")).await;
        let file = playback["downloads"][0]["url"].clone();
        assert!(status == 200 && file.is_string(), "{playback}");
        let http = client().build().unwrap();
        let answer = http.head(here(server, &file)).send().await.unwrap();
        let size = answer.headers()["content-length"].to_str().unwrap().parse().unwrap();
        assert!(size > FILE as u64, "{size} bytes are few");
        Self { http, file, size, random, asked: 0, came: 0, account: 0 }
    }

    /// Fetches a piece.
    async fn watch(&mut self, server: &Server) {
        let first = self.random.below(self.size - PIECE);
        let range = format!("bytes={first}-{}", first + PIECE - 1);
        self.asked += PIECE;
        let answer = self.http.get(here(server, &self.file)).header("Range", range).send().await.unwrap();
        assert_eq!(answer.status(), 206);
        self.came += answer.bytes().await.unwrap().len() as u64;
    }

    /// Asks for all of it, and reads nothing.
    async fn begin(&mut self, server: &Server) -> Raw {
        let url = here(server, &self.file);
        let mut raw = Raw::connect(server.port).await;
        self.asked += self.size;
        raw.head("GET", &url[url.find("/p/").unwrap()..], &[]).await;
        raw
    }

    /// Looks into the account; has something been added?
    async fn look(&mut self, server: &Server) -> bool {
        let (account, before) = (Tables::open(&server.data()).await.sent().await, self.account);
        assert!(
            account <= self.asked,
            "{account} bytes are in the account, and {} were asked for",
            self.asked
        );
        assert!(account >= before, "{before} bytes were in the account, and {account} are");
        self.account = account;
        account > before
    }

    /// Watches until something is added to the account, or until so many milliseconds are over.
    async fn live(&mut self, server: &Server, life_ms: Option<u64>) {
        let clock = Stopwatch::start();
        until("something is added to the account", ADDED_S, async || {
            self.watch(server).await;
            let added = self.look(server).await;
            life_ms.map_or(added, |life_ms| clock.elapsed_ms() >= life_ms).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn what_went_out_counts_once_and_a_kill_takes_only_what_was_not_added_yet() {
    let seed = times("MATINEE_SEED", u64::from(std::process::id()));
    let kills = times("MATINEE_ACCOUNT_KILLS", KILLS);
    eprintln!("MATINEE_SEED={seed} MATINEE_ACCOUNT_KILLS={kills}");
    let mut server = Server::with("[[pipeline]]\nname = \"none\"\nas_is = true\n").await;
    let mut viewer = Viewer::of(&server, Random(seed)).await;
    for kill in 0..kills {
        // Every other kill meets the moment in which something is added.
        let life_ms = viewer.random.below(EGRESS_ADD_MS.unsigned_abs() * 3 / 2);
        let raw = viewer.begin(&server).await;
        viewer.live(&server, Some(life_ms).filter(|_| kill % 2 == 0)).await;
        server.kill();
        drop(raw);
        server = server.again().await;
        viewer.look(&server).await;
    }
    let (came, account) = (viewer.came, viewer.account);
    eprintln!("{came} bytes came, {} were asked for, {account} are in the account", viewer.asked);
    viewer.live(&server, None).await;
    // What is still going out when the server is asked to end counts as well.
    viewer.asked += viewer.size;
    let whole = viewer.http.get(here(&server, &viewer.file)).send().await.unwrap();
    let (ended, rest) = tokio::join!(server.terminate(30), whole.bytes());
    assert!(ended.success());
    viewer.came += rest.unwrap().len() as u64;
    viewer.look(&server).await;
    assert_eq!(viewer.account - account, viewer.came - came, "without a kill nothing is missing");
}
