//! A job that fails: again as it was, again in the safe profile, then given up with all that one needs to see why.

use std::path::Path;

use http::Method;
use rustix::process::Signal;
use serde_json::Value;

use super::{detail, group, in_group, outcomes};
use crate::kill::output::output;
use crate::kill::undisturbed;
use crate::support::clips;
use crate::support::invariants::{all_hold, no_byte_is_lost, nothing_dangles, nothing_runs, plays};
use crate::support::process::{command, kill, signal, working_in};
use crate::support::sender::upload;
use crate::support::server::Server;
use crate::support::until;

/// Seconds in which a video is done: a job that crashed waits for 10 s and more before it is tried again.
const DONE_S: u64 = 240;
/// The chunk that fails; the clip has four, and this one is the longest.
const CHUNK: &str = "Piece 3 of the picture";

/// The encoders that work on an attempt at a job.
fn encoders_of(server: &Server, job: &str, attempt: u32) -> Vec<u32> {
    let wanted = format!("{job}-{attempt}");
    let works = |pid: &u32| {
        let is_encoder =
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "ffmpeg");
        is_encoder && std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.ends_with(&wanted))
    };
    working_in(&server.data(), Some(server.pid())).into_iter().filter(works).collect()
}

/// The job that encodes the chunk.
async fn chunk(server: &Server) -> String {
    let job = until("the video is planned", 60, async || {
        let (_, list) = server.get("/v1/jobs?limit=100").await;
        list["items"].as_array()?.iter().find(|job| job["human"] == CHUNK).cloned()
    })
    .await;
    job["id"].as_str().unwrap().to_owned()
}

/// Ends the encoder of each of these attempts at a job as soon as it works.
async fn crash(server: &Server, job: &str, attempts: u32) {
    for attempt in 1..=attempts {
        let pids = until(&format!("attempt {attempt} works"), 60, async || {
            Some(encoders_of(server, job, attempt)).filter(|pids| !pids.is_empty())
        })
        .await;
        pids.into_iter().for_each(kill);
    }
}

fn clip() -> Vec<u8> {
    clips::sized("640x360", 20)
}

#[tokio::test]
async fn a_chunk_that_crashed_twice_is_made_in_the_safe_profile_byte_for_byte() {
    let bytes = clip();
    let expected = undisturbed(&bytes).await;
    let server = Server::start().await;
    let sent = upload(&server, &bytes, "crash.mp4").await;
    let job = chunk(&server).await;
    crash(&server, &job, 2).await;
    server.video_in(&sent.video, &["ready"], DONE_S).await;
    output(&server, &sent.video).await.is(&expected);
    let seen = detail(&server, &job).await;
    assert_eq!(outcomes(&seen), ["crash", "crash", "done"]);
    let runs = |attempt: usize| seen["attempts"][attempt]["runs"].as_array().unwrap().clone();
    assert_eq!([runs(0).len(), runs(1).len()], [1, 1], "all sizes at once");
    assert!(runs(0)[0]["fault"].as_str().unwrap().contains("signal 9"), "{seen}");
    let safe = runs(2);
    assert_eq!(safe.len(), 2, "one size after the other");
    for run in safe {
        let args: Vec<_> = run["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
        assert!(args.windows(2).any(|pair| pair == ["-threads", "1"]) && !args.contains(&"-ss"), "{args:?}");
        assert!(run["ended"] == true && run["cpu_s"].as_f64().unwrap() > 0.0, "{run}");
        assert!(
            !args.iter().any(|arg| arg.contains("matinee-")),
            "where the data lies is not told: {args:?}"
        );
    }
    all_hold(&server).await;
}

/// What an archive holds: its names, and one of its files.
fn unpacked(tar: &Path, file: &str) -> (Vec<String>, Vec<u8>) {
    let names = command("tar").arg("-tf").arg(tar).output().unwrap();
    assert!(names.status.success(), "{}", String::from_utf8_lossy(&names.stderr));
    let names = String::from_utf8(names.stdout).unwrap().lines().map(str::to_owned).collect();
    let one = command("tar").arg("-xOf").arg(tar).arg(file).output().unwrap();
    assert!(one.status.success(), "{}", String::from_utf8_lossy(&one.stderr));
    (names, one.stdout)
}

#[tokio::test]
async fn a_job_that_is_given_up_leaves_a_reproducer_and_is_run_again_from_what_is_there() {
    let bytes = clip();
    let server = Server::with("[work]\nkeep_temp = \"on_failure\"\n").await;
    let sent = upload(&server, &bytes, "dead.mp4").await;
    let job = chunk(&server).await;
    crash(&server, &job, 3).await;
    // The source can be played as it is, and goes on to be.
    let video = server.video_in(&sent.video, &["ready"], DONE_S).await;
    assert_eq!((&video["playable"], &video["reason"]["code"]), (&true.into(), &"encoder_failed".into()));
    let stuck = in_group(&server, "stuck", 5, |stuck| stuck["id"] == *job).await;
    assert_eq!(stuck["last_error"]["code"], "encoder_failed");
    assert_eq!(outcomes(&detail(&server, &job).await), ["crash"; 3]);

    // One that has just ended well is put aside for a moment.
    until("the folders of those are kept that failed, and no others", 30, async || {
        let kept = std::fs::read_dir(server.data().join("kept")).unwrap();
        let mut kept: Vec<_> = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        kept.sort();
        (kept == [1, 2, 3].map(|attempt| format!("{job}-{attempt}"))).then_some(())
    })
    .await;

    reproduced(&server, &job, &bytes).await;

    let first: Vec<_> =
        group(&server, "over").await.iter().filter(|job| job["kind"] == "chunk").cloned().collect();
    let path = format!("/v1/videos/{}/renditions/h264-360/retry", sent.video);
    let again = server.request(Method::POST, &path).send().await.unwrap();
    assert_eq!(again.status(), 200);
    assert_eq!(again.json::<Value>().await.unwrap()["id"], *job);
    let video = server.video_in(&sent.video, &["ready"], DONE_S).await;
    assert_eq!(video["reason"], Value::Null);
    output(&server, &sent.video).await.is(&undisturbed(&bytes).await);
    for done in first.iter().filter(|job| job["state"] == "done") {
        let seen = detail(&server, done["id"].as_str().unwrap()).await;
        assert_eq!(outcomes(&seen), ["done"], "what was done is not done again");
    }
    let refused = server.request(Method::POST, &path).send().await.unwrap();
    assert_eq!(refused.status(), 409, "it is whole");
    no_byte_is_lost(&server, &sent.video, &bytes).await;
    // It was said to be ready twice, as it was: not all invariants ask for that.
    nothing_runs(&server).await;
    nothing_dangles(&server).await;
    plays(&server, &sent.video).await;
}

/// The archive of a dead job holds what one needs; the command line writes the same.
async fn reproduced(server: &Server, job: &str, source: &[u8]) {
    let answer = server.request(Method::GET, &format!("/v1/jobs/{job}/reproducer")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/x-tar");
    let length: usize = answer.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let tar = answer.bytes().await.unwrap();
    assert_eq!(tar.len(), length);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("job.tar");
    std::fs::write(&path, &tar).unwrap();
    let (names, first) = unpacked(&path, "source.at-0");
    assert_eq!(first, source[..source.len().min(1 << 20)]);
    let runs = ["README.txt", "job.json", "attempt-1/run-1/command.txt", "attempt-3/run-1/stderr.txt"];
    assert!(runs.iter().all(|run| names.iter().any(|name| name == run)), "{names:?}");
    let (_, told) = unpacked(&path, "job.json");
    let told: Value = serde_json::from_slice(&told).unwrap();
    assert_eq!((&told["id"], &told["attempts"][2]["outcome"]), (&job.into(), &"crash".into()));
    let (_, shell) = unpacked(&path, "attempt-1/run-1/command.txt");
    let shell = String::from_utf8(shell).unwrap();
    assert!(shell.contains("\nffmpeg ") && shell.contains("DATA/objects/"), "{shell}");
    let everything = String::from_utf8_lossy(&tar);
    assert!(!everything.contains(server.data().to_str().unwrap()), "where the data lies is not told");

    let mut order = command(env!("CARGO_BIN_EXE_matinee"));
    let written = order.args(["jobs", "reproducer", job, "--data"]).arg(server.data()).output().unwrap();
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let by_command = dir.path().join("command.tar");
    std::fs::write(&by_command, written.stdout).unwrap();
    assert_eq!(unpacked(&by_command, "source.at-0").0, names);
}

#[tokio::test]
async fn an_encoder_that_stands_still_is_noticed_and_started_again() {
    let server = Server::with("[encode]\nstall = \"2s\"\n").await;
    let sent = upload(&server, &clip(), "stopped.mp4").await;
    let job = chunk(&server).await;
    let pids =
        until("it works", 60, async || Some(encoders_of(&server, &job, 1)).filter(|pids| !pids.is_empty()))
            .await;
    for pid in &pids {
        signal(*pid, Signal::STOP);
    }
    server.video_in(&sent.video, &["ready"], DONE_S).await;
    let seen = detail(&server, &job).await;
    // Were it busy in its first moments, the machine may be too slow for two seconds a second time.
    assert_eq!(outcomes(&seen).first(), Some(&"crash"), "{seen}");
    let fault = seen["attempts"][0]["runs"][0]["fault"].as_str().unwrap();
    assert!(fault.contains("no progress for"), "{fault}");
    assert!(pids.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists()), "it is gone");
    all_hold(&server).await;
}
