//! Runners: other machines do the work, are cut off, killed and stopped, and the result is the same.

mod hardware;
mod lies;
mod net;
mod room;
mod slow;
mod support;
mod told;
mod unheard;

use std::sync::Arc;
use std::sync::atomic::AtomicU16;

use base64::Engine as _;
use rustix::process::Signal;
use serde_json::Value;

use crate::kill::output::{Output, output};
use crate::nodes::support::Nodes;
use crate::support::invariants::{all_hold, here};
use crate::support::process::tool;
use crate::support::proxy::{Faults, Proxy};
use crate::support::sender::{Sent, upload};
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::tls::{AUTHORITY, Secure};
use crate::support::{clips, until};
use support::{ELSEWHERE, Runner, invited};

/// Seconds in which a video is done, lost leases of dead runners included.
const DONE_S: u64 = 240;

fn film() -> Vec<u8> {
    clips::sized("640x360", 12)
}

/// What the server makes of the film alone.
async fn alone() -> Output {
    let server = Server::start().await;
    let sent = upload(&server, &film(), "alone.mp4").await;
    server.video_in(&sent.video, &["ready"], DONE_S).await;
    output(&server, &sent.video).await
}

/// The video becomes ready, with these bytes, and nothing is left over.
async fn ready_as(server: &Server, sent: &Sent, expected: &Output) {
    server.video_in(&sent.video, &["ready"], DONE_S).await;
    output(server, &sent.video).await.is(expected);
    all_hold(server).await;
}

/// How the attempts at jobs that are for runners ended.
async fn outcomes(server: &Server) -> Vec<String> {
    let mut tables = Tables::open(&server.data()).await;
    let mut all = Vec::new();
    for kind in ["chunk", "audio", "poster", "storyboard"] {
        all.extend(tables.outcomes(kind).await);
    }
    all
}

/// Waits until an attempt has ended in one of these ways.
async fn ended_so(server: &Server, ways: &[&str]) {
    until(&format!("an attempt is {ways:?}"), 90, async || {
        outcomes(server).await.iter().any(|outcome| ways.contains(&outcome.as_str())).then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_runner_and_three_with_kills_give_the_bytes_of_the_server_alone() {
    let expected = alone().await;
    let server = Server::with(ELSEWHERE).await;
    let one = Runner::start(&server);
    let sent = upload(&server, &film(), "one.mp4").await;
    ready_as(&server, &sent, &expected).await;
    drop(one);

    let mut three = [Runner::start(&server), Runner::start(&server), Runner::start(&server)];
    let sent = upload(&server, &film(), "three.mp4").await;
    three[0].encodes().await;
    three[0].kill();
    three[1].encodes().await;
    three[1].kill();
    // What it held before goes back with its first question, without waiting for the lease.
    three[1].again();
    ready_as(&server, &sent, &expected).await;
}

#[tokio::test]
async fn all_that_a_pipeline_asks_for_comes_along() {
    let dir = tempfile::tempdir().unwrap();
    let logo = dir.path().join("logo.png");
    let red = "color=red:s=64x32,format=rgba";
    let args = ["-v", "error", "-f", "lavfi", "-i", red, "-frames:v", "1", logo.to_str().unwrap()];
    tool("ffmpeg", &args);
    let logo = base64::engine::general_purpose::STANDARD.encode(std::fs::read(logo).unwrap());
    let pipeline = format!(
        "[[pipeline]]\nsizes = [240]\ncodecs = [\"vp9\", \"av1\"]\nloudness_lufs = -18\n[pipeline.watermark]\npicture = \"data:image/png;base64,{logo}\"\n"
    );
    let whole = async |server: &Server, name: &str| {
        let sent = upload(server, &film(), name).await;
        server.video_in(&sent.video, &["ready"], DONE_S).await;
        until("the background is done", DONE_S, async || {
            let (_, video) = server.get(&format!("/v1/videos/{}", sent.video)).await;
            let mut rows = video["renditions"].as_array().unwrap().iter();
            let over = rows.all(|row| matches!(row["state"].as_str(), Some("ready" | "failed")));
            (over && video["playback"]["webm"].is_string()).then_some(())
        })
        .await;
        let (_, video) = server.get(&format!("/v1/videos/{}", sent.video)).await;
        let rows = video["renditions"].as_array().unwrap().iter();
        let loudness: Vec<_> =
            rows.filter(|row| row["medium"] == "audio").map(|row| row["loudness"].clone()).collect();
        assert!(loudness.len() == 2 && loudness.iter().all(Value::is_object), "{video}");
        output(server, &sent.video).await
    };
    let expected = whole(&Server::with(&pipeline).await, "alone.mp4").await;
    let server = Server::with(&format!("{ELSEWHERE}{pipeline}")).await;
    let _runner = Runner::start(&server);
    whole(&server, "marked.mp4").await.is(&expected);
    all_hold(&server).await;
}

/// The hashes of the pictures that stand for a video.
async fn pictures(server: &Server, video: &str) -> Vec<String> {
    let playback = until("there are all pictures", DONE_S, async || {
        let (_, playback) = server.get(&format!("/v1/videos/{video}/playback")).await;
        ["poster", "preview", "storyboard"].iter().all(|name| playback[name].is_string()).then_some(playback)
    })
    .await;
    let get = async |url: &str| reqwest::get(url).await.unwrap().bytes().await.unwrap();
    let board = here(server, &playback["storyboard"]);
    let (root, words) = (board.rsplit_once('/').unwrap().0, get(&board).await);
    let words = String::from_utf8(words.to_vec()).unwrap();
    let sheets = words.lines().filter_map(|line| line.split_once("#xywh=")).map(|(sheet, _)| sheet);
    let mut urls: Vec<String> = sheets.map(|sheet| format!("{root}/{sheet}")).collect();
    urls.dedup();
    urls.extend([here(server, &playback["poster"]), here(server, &playback["preview"])]);
    let mut hashes = Vec::new();
    for url in urls {
        hashes.push(blake3::hash(&get(&url).await).to_string());
    }
    hashes
}

#[tokio::test]
async fn all_that_decodes_goes_to_runners_and_the_pictures_are_the_same() {
    let own = Server::start().await;
    let sent = upload(&own, &film(), "own.mp4").await;
    let expected = pictures(&own, &sent.video).await;
    assert!(expected.len() >= 3, "a sheet, a poster and a preview");
    let server = Server::with(ELSEWHERE).await;
    let _runner = Runner::start(&server);
    let sent = upload(&server, &film(), "other.mp4").await;
    assert_eq!(pictures(&server, &sent.video).await, expected);
    let sound = clips::tone(3);
    let cover = upload(&server, &sound, "tone.m4a").await;
    server.video_in(&cover.video, &["ready"], DONE_S).await;
    let mut tables = Tables::open(&server.data()).await;
    for kind in ["chunk", "audio", "poster", "storyboard"] {
        let workers = tables.workers(kind).await;
        assert!(
            workers.len() == 1 && workers.iter().all(|name| name.starts_with("rnr_")),
            "{kind}: {workers:?}"
        );
    }
    all_hold(&server).await;
}

#[tokio::test]
async fn a_runner_believes_the_authority_that_it_is_given() {
    let server = Server::with(ELSEWHERE).await;
    let front = Secure::before(server.port);
    let url = format!("https://localhost:{}", front.port);
    let dir = tempfile::tempdir().unwrap();
    let authority = dir.path().join("authority.pem");
    std::fs::write(&authority, AUTHORITY).unwrap();
    let token = invited(&server);
    let stranger = Runner::start_at(&url, &token, &[], &[]);
    until("it does not believe the server", 60, async || {
        stranger.logged().contains("the server cannot be reached yet").then_some(())
    })
    .await;
    assert_eq!(front.asked(), 0, "nothing was said to a stranger: {}", stranger.logged());
    drop(stranger);
    let _runner = Runner::start_at(&url, &token, &[], &["--ca", authority.to_str().unwrap()]);
    let sent = upload(&server, &clips::mp4(3), "secure.mp4").await;
    server.video_in(&sent.video, &["ready"], DONE_S).await;
    assert!(front.asked() > 0);
    std::fs::write(&authority, "no certificate").unwrap();
    let mut wrong = Runner::start_at(&url, &token, &[], &["--ca", authority.to_str().unwrap()]);
    assert_eq!(wrong.ended(60).await, Some(1));
    assert!(wrong.logged().contains("certificate"), "{}", wrong.logged());
}

#[tokio::test]
async fn a_runner_that_sleeps_beyond_its_lease_changes_nothing_when_it_wakes() {
    let expected = alone().await;
    let server = Server::with(ELSEWHERE).await;
    let sleeper = Runner::start(&server);
    let sent = upload(&server, &film(), "sleep.mp4").await;
    sleeper.encodes().await;
    sleeper.signal(Signal::STOP);
    let _other = Runner::start(&server);
    ended_so(&server, &["lost", "overtaken"]).await;
    sleeper.signal(Signal::CONT);
    until("it has dropped its work", 60, async || {
        sleeper.logged().contains("a job is dropped").then_some(())
    })
    .await;
    ready_as(&server, &sent, &expected).await;
}

#[tokio::test]
async fn cut_connections_and_a_restarted_server_cost_no_work() {
    let expected = alone().await;
    let mut server = Server::with(ELSEWHERE).await;
    let proxy = Proxy::start(Faults { port: server.port, away: 2, ..Faults::default() }).await;
    let token = invited(&server);
    let runner = Runner::start_at(&format!("http://127.0.0.1:{}", proxy.port), &token, &[], &[]);
    let sent = upload(&server, &film(), "cut.mp4").await;
    proxy.now(|faults| faults.cut_after = Some(20_000));
    until("a body was cut", 90, async || (proxy.repeated().len() > 1).then_some(())).await;
    proxy.now(|faults| faults.cut_after = None);
    let bodies = proxy.repeated();
    assert!(bodies[1] < bodies[0], "the second goes on where the first was cut: {bodies:?}");
    runner.encodes().await;
    server.kill();
    server = server.again().await;
    proxy.now(|faults| faults.port = server.port);
    ready_as(&server, &sent, &expected).await;
    let outcomes = outcomes(&server).await;
    assert!(outcomes.iter().all(|outcome| outcome == "done"), "{outcomes:?}");
}

#[tokio::test]
async fn a_runner_that_is_told_to_stop_finishes_or_gives_back_and_may_come_again() {
    let expected = alone().await;
    let server = Server::with(ELSEWHERE).await;
    let sent = upload(&server, &film(), "stop.mp4").await;
    let mut patient = Runner::start(&server);
    patient.encodes().await;
    patient.signal(Signal::TERM);
    assert_eq!(patient.ended(90).await, Some(0));
    let finished = outcomes(&server).await;
    assert!(!finished.is_empty() && finished.iter().all(|outcome| outcome == "done"), "{finished:?}");

    let mut hasty = Runner::start_at(&server.url(""), &invited(&server), &[], &["--drain-s", "0"]);
    hasty.encodes().await;
    hasty.signal(Signal::TERM);
    assert_eq!(hasty.ended(30).await, Some(0));
    let outcomes = outcomes(&server).await;
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "returned").count(), 1, "{outcomes:?}");
    assert!(std::fs::read_dir(hasty.data().join("runner/work")).unwrap().next().is_none());
    hasty.again();
    ready_as(&server, &sent, &expected).await;
}

/// The only line of `matinee runner ls --json`.
fn listed(server: &Server) -> Value {
    serde_json::from_str(&server.tell(&["runner", "ls", "--json"])).unwrap()
}

#[tokio::test]
async fn a_drained_runner_gets_no_more_and_a_revoked_one_has_nothing_left() {
    let expected = alone().await;
    let server = Server::with(ELSEWHERE).await;
    let mut runner = Runner::start(&server);
    until("it is there", 60, async || (listed(&server)["online"] == true).then_some(())).await;
    let id = listed(&server)["id"].as_str().unwrap().to_owned();
    server.tell(&["runner", "drain", &id]);
    let sent = upload(&server, &film(), "revoked.mp4").await;
    let chunks_wait = async || {
        let jobs = Tables::open(&server.data()).await.attempts().await;
        jobs.iter().any(|(kind, attempts, state)| kind == "chunk" && *attempts == 0 && *state == 1)
    };
    until("chunks wait", 60, async || chunks_wait().await.then_some(())).await;
    // It asks again within a moment, and is still given nothing.
    until("it is seen", 30, async || (listed(&server)["state"] == "draining").then_some(())).await;
    assert_eq!(outcomes(&server).await, [] as [String; 0]);

    server.tell(&["runner", "undrain", &id]);
    runner.encodes().await;
    assert_eq!(listed(&server)["jobs"].as_array().unwrap().len(), 1);
    server.tell(&["runner", "revoke", &id]);
    ended_so(&server, &["returned"]).await;
    assert_eq!(runner.ended(60).await, Some(1));
    assert!(runner.logged().contains("revoked"), "{}", runner.logged());
    assert_eq!(listed(&server)["state"], "revoked");
    let _other = Runner::start(&server);
    ready_as(&server, &sent, &expected).await;
}

#[tokio::test]
async fn two_nodes_share_their_runners_and_one_of_them_may_die() {
    let Some(mut nodes) = Nodes::start_with(ELSEWHERE).await else { return };
    let (mut a, b) = (nodes.add("a").await, nodes.add("b").await);
    let expected = alone().await;
    let proxy = Proxy::start(Faults { port: a.port, ..Faults::default() }).await;
    let runner = Runner::start_at(&format!("http://127.0.0.1:{}", proxy.port), &invited(&a), &[], &[]);
    let _at_b = Runner::start(&b);
    let sent = upload(&b, &film(), "nodes.mp4").await;
    runner.encodes().await;
    a.kill();
    proxy.now(|faults| faults.port = b.port);
    nodes.ready_once(&b, &sent.video, &film()).await;
    output(&b, &sent.video).await.is(&expected);
    nodes.rows_and_files_agree().await;
}

#[test]
fn runners_in_networks_of_their_own_are_cut_off_and_the_result_is_the_same() {
    net::within(|net| async move {
        let expected = alone().await;
        let server = Server::with(ELSEWHERE).await;
        let port = Arc::new(AtomicU16::new(server.port));
        let cables = [net.cable(1), net.cable(2), net.cable(3)];
        let mut runners = Vec::new();
        for cable in &cables {
            let (url, before) = (cable.reach(Arc::clone(&port)).await, cable.before());
            let before: Vec<&str> = before.iter().map(String::as_str).collect();
            runners.push(Runner::start_at(&url, &invited(&server), &before, &[]));
        }
        let sent = upload(&server, &film(), "cables.mp4").await;
        runners[0].encodes().await;
        cables[0].plug(false);
        runners[1].encodes().await;
        runners[1].kill();
        ready_as(&server, &sent, &expected).await;
        until("the one that was cut off has given up", 90, async || {
            runners[0].logged().contains("a job is dropped").then_some(())
        })
        .await;

        // It goes on where it is joined again, alone.
        runners[2].kill();
        cables[0].plug(true);
        let sent = upload(&server, &film(), "joined.mp4").await;
        ready_as(&server, &sent, &expected).await;
    });
}
