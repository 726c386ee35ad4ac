//! The invariants that hold after every fault (`product.md` section 9), as far as this release has their subjects.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::process::{command, working_in};
use super::server::Server;
use super::tables::Tables;
use super::until;

/// Where the file of an object lies.
pub(crate) fn object_path(data: &Path, object: &str) -> PathBuf {
    data.join("objects").join(&object[object.len() - 2..]).join(object)
}

/// I1: the stored source is what was sent.
pub(crate) async fn no_byte_is_lost(server: &Server, video: &str, sent: &[u8]) {
    let source = Tables::open(&server.data()).await.source(video).await;
    assert_eq!(source.size, sent.len() as u64);
    let stored = std::fs::read(object_path(&server.data(), &source.object)).unwrap();
    assert_eq!(blake3::hash(&stored), blake3::hash(sent), "I1: the stored source of {video} differs");
}

/// I3: what lies in the store has a row, and what a row says is there lies there with its length.
pub(crate) async fn nothing_dangles(server: &Server) {
    // A job may end between the two looks, so a difference must last to be one.
    until("I3: store and rows agree", 20, async || {
        let rows = Tables::open(&server.data()).await.objects().await;
        let files = Tables::stored(&server.data());
        let mut present = rows.iter().filter(|(_, kept)| kept.state == "present");
        let whole = present.all(|(name, kept)| {
            let len = std::fs::metadata(object_path(&server.data(), name)).ok().map(|file| file.len());
            files.contains(name) && (kept.size.is_none() || kept.size == len)
        });
        (whole && files.iter().all(|file| rows.contains_key(file))).then_some(())
    })
    .await;
}

/// I3 for something that was given up: neither file nor open row is left.
pub(crate) async fn nothing_remains(server: &Server) {
    until("nothing is left in the store", 40, async || {
        let rows = Tables::open(&server.data()).await.objects().await;
        (rows.is_empty() && Tables::stored(&server.data()).is_empty()).then_some(())
    })
    .await;
}

/// I5: no encoder and no scratch is left once the work is over.
pub(crate) async fn nothing_runs(server: &Server) {
    until("I5: no process and no scratch is left", 20, async || {
        let processes = working_in(&server.data(), Some(server.pid()));
        let scratch = std::fs::read_dir(server.data().join("work")).unwrap().count();
        (processes.is_empty() && scratch == 0).then_some(())
    })
    .await;
}

/// I6: the events tell the same story as the tables.
pub(crate) async fn events_explain(server: &Server) {
    let mut tables = Tables::open(&server.data()).await;
    for (video, state, playable, topics) in tables.histories().await {
        let count = |wanted: &str| topics.iter().filter(|topic| *topic == wanted).count();
        let told = (count("video.created"), count("video.ready"), count("video.failed"));
        let expected = (1, usize::from(state == "ready"), usize::from(state == "failed"));
        assert_eq!(told, expected, "I6: {video} is {state}, its events are {topics:?}");
        assert!(
            !playable || count("video.playable") == 1,
            "I6: {video} is playable, its events are {topics:?}"
        );
    }
    for (upload, state, topics) in tables.uploads().await {
        let completed = topics.iter().filter(|topic| *topic == "upload.completed").count();
        assert_eq!(completed, usize::from(state == "finished"), "I6: {upload} is {state}, told {topics:?}");
    }
}

/// I7: ffmpeg reads the playlist of a playable video and decodes pictures or sound without a complaint; the frames.
pub(crate) async fn plays(server: &Server, video: &str) -> u64 {
    let (status, playback) = server.get(&format!("/v1/videos/{video}/playback")).await;
    assert_eq!(status, 200, "I7: {video} cannot be played: {playback}");
    decoded(&here(server, &playback["hls"]))
}

/// An address of the API on this server, as a URL.
pub(crate) fn here(server: &Server, address: &Value) -> String {
    let address = address.as_str().unwrap();
    server.url(&address[address.find("/p/").unwrap()..])
}

fn decoded(url: &str) -> u64 {
    let args = [
        "-v",
        "error",
        "-xerror",
        "-i",
        url,
        "-map",
        "0:v:0?",
        "-map",
        "0:a:0?",
        // What is shown for a minute has no rate that a clock of its own could be made of.
        "-enc_time_base",
        "-1",
        "-max_muxing_queue_size",
        "100000",
        "-f",
        "null",
        "-progress",
        "-",
        "-",
    ];
    let output = command("ffmpeg").args(args).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "I7: {url}: {complaints}");
    let progress = String::from_utf8_lossy(&output.stdout).into_owned();
    let frames = progress.lines().rev().find_map(|line| line.strip_prefix("frame="));
    frames.and_then(|frames| frames.trim().parse().ok()).unwrap_or_default()
}

/// Everything that holds once no video is in work any more.
pub(crate) async fn all_hold(server: &Server) {
    nothing_runs(server).await;
    nothing_dangles(server).await;
    events_explain(server).await;
    for (video, state, playable, _) in Tables::open(&server.data()).await.histories().await {
        assert_ne!(state, "processing", "I2: {video} did not come to an end");
        if playable {
            plays(server, &video).await;
        }
    }
}
