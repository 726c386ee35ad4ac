//! The corpus of odd and hostile files through the real server: each ends as it must, and nothing hangs or breaks.
//!
//! `cargo test` runs a part, `make corpus` all of it (`MATINEE_CORPUS=all`); `MATINEE_CORPUS=WORD` runs the rows whose
//! class or name has the word.

mod attack;
mod attacks;
mod change;
mod clips;
mod damage;
mod sounds;
pub(crate) mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::path::Path;

use futures_util::{FutureExt as _, StreamExt as _};
use matinee_io::clock::Stopwatch;
use serde_json::Value;

use crate::support::invariants::{nothing_dangles, nothing_runs, plays};
use crate::support::sender::upload;
use crate::support::server::Server;
use crate::support::until;
use table::{Expect, Row};

/// Files in work at the same time: enough that both cores are never idle.
const LANES: usize = 8;
/// Seconds in which a file has to come to its end, on a loaded machine: its longest job may take 300.
const ENDED_S: u64 = 400;
/// Every so many rows one is run by `cargo test`.
const PART: usize = 16;
/// What a file can never be blamed for.
const OURS: [&str; 4] = ["encoder_failed", "output_not_verified", "internal", "world"];

/// How a file ended.
struct Ended {
    row: Row,
    got: String,
    ms: u64,
    wrong: Option<String>,
}

fn all_rows() -> Vec<Row> {
    let rows: Vec<Row> =
        clips::CLIPS.into_iter().chain([damage::BROKEN, damage::PLAIN]).flatten().copied().collect();
    let names: BTreeSet<_> = rows.iter().map(|row| (row.class, row.name)).collect();
    assert_eq!(names.len(), rows.len(), "a name stands for one row of its class");
    rows
}

/// The rows that are asked for.
fn chosen() -> Vec<Row> {
    let rows = all_rows();
    match std::env::var("MATINEE_CORPUS").as_deref() {
        Err(_) => rows.into_iter().step_by(PART).collect(),
        Ok("all") => rows,
        Ok(word) => {
            let has = |row: &Row| format!("{:?} {}", row.class, row.name).to_lowercase().contains(word);
            rows.into_iter().filter(has).collect()
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_of_the_corpus_ends_as_it_must() {
    assert!(all_rows().len() >= 300);
    let server = Server::start().await;
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let rows = chosen();
    let one = |row: Row| end(&server, dir.path(), row);
    let ended: Vec<Ended> = futures_util::stream::iter(rows).map(one).buffer_unordered(LANES).collect().await;
    report(&ended);
    nothing_runs(&server).await;
    nothing_dangles(&server).await;
    assert_eq!(server.get("/readyz").await.0, 200);
    assert!(!server.logged().contains("panicked"), "{}", server.logged());
    let wrong: Vec<_> = ended.iter().filter(|one| one.wrong.is_some()).map(|one| one.row.name).collect();
    assert_eq!(wrong, Vec::<&str>::new());
}

/// Makes a file, brings it in, and waits for its end.
async fn end(server: &Server, dir: &Path, row: Row) -> Ended {
    let home = dir.to_owned();
    let made = tokio::task::spawn_blocking(move || row.bytes(&home)).await;
    let Ok(bytes) = made else {
        return Ended { row, got: "not made".to_owned(), ms: 0, wrong: Some("it cannot be made".to_owned()) };
    };
    let watch = Stopwatch::start();
    let sent = upload(server, &bytes, row.name).await;
    let path = format!("/v1/videos/{}", sent.video);
    let video = until(&format!("{} has come to its end", row.name), ENDED_S, async || {
        let (status, video) = server.get(&path).await;
        (status == 200 && video["state"] != "processing").then_some(video)
    })
    .await;
    let ms = watch.elapsed_ms();
    let got = outcome(&video);
    let mut wrong = judge(row, &got, &video);
    // Of what our decoder finds nothing in, the source itself may still be something to another one.
    if got == "ready" || (got.starts_with("damaged") && got != "damaged:undecodable") {
        let played = AssertUnwindSafe(plays(server, &sent.video)).catch_unwind().await;
        wrong =
            wrong.or(played.err().map(|why| format!("it does not play: {:?}", why.downcast_ref::<String>())));
    }
    // Room for the others, and one more thing that has to work.
    let gone = server.request(reqwest::Method::DELETE, &path).send().await.unwrap();
    assert!(gone.status().is_success(), "{}: {}", row.name, gone.status());
    if let Some(wrong) = &wrong {
        eprintln!("WRONG {:?} {}: {got} after {ms} ms: {wrong}", row.class, row.name);
    }
    Ended { row, got, ms, wrong }
}

/// In one word.
fn outcome(video: &Value) -> String {
    let code = |of: &str| video[of]["code"].as_str().unwrap_or("none").to_owned();
    match (video["state"].as_str(), video["damaged"].is_null()) {
        (Some("ready"), true) => "ready".to_owned(),
        (Some("ready"), false) => format!("damaged:{}", code("damaged")),
        (Some("failed"), _) => format!("refused:{}", code("reason")),
        (state, _) => format!("{state:?}"),
    }
}

/// What is wrong with how a file ended.
fn judge(row: Row, got: &str, video: &Value) -> Option<String> {
    let fits = match row.expect {
        Expect::Ready => got == "ready",
        Expect::Flawed => got.starts_with("damaged:"),
        Expect::Damaged(code) => got == format!("damaged:{code}"),
        Expect::Refused(code) => got == format!("refused:{code}"),
        Expect::Typed => !OURS.iter().any(|code| got.ends_with(code)),
    };
    let whole = |one: &Value| one["state"] == "ready";
    let renditions = video["renditions"].as_array().map_or(&[][..], Vec::as_slice);
    if !fits {
        Some(format!("{:?} was expected: {}", row.expect, video["reason"]))
    } else if got == "ready" && !renditions.iter().all(whole) {
        Some(format!("not all renditions are whole: {}", video["renditions"]))
    } else {
        None
    }
}

fn report(ended: &[Ended]) {
    let mut classes: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
    let mut slowest: Vec<_> = ended.iter().map(|one| (one.ms, one.row.name)).collect();
    slowest.sort_unstable();
    for one in ended {
        *classes.entry(format!("{:?}", one.row.class)).or_default().entry(&one.got).or_default() += 1;
    }
    for (class, outcomes) in &classes {
        eprintln!("{class:10} {:4} {outcomes:?}", outcomes.values().sum::<usize>());
    }
    eprintln!("{} files; the slowest: {:?}", ended.len(), slowest.iter().rev().take(5).collect::<Vec<_>>());
}
