//! `kill -9` at random moments of the whole flow: nothing is lost, little is done twice, the output is the same.

mod egress;
pub(crate) mod output;

use std::time::Duration;

use output::{Output, output};

use crate::support::invariants::{all_hold, no_byte_is_lost};
use crate::support::process::{kill, working_in};
use crate::support::raw::Raw;
use crate::support::sender::{Sent, create, head, patch, resume, upload};
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::{Random, clips, until};

/// Long enough that pieces of an equal share for each slot would be longer with one slot than with three.
const LONG_S: u32 = 200;

#[tokio::test]
async fn the_bytes_are_the_same_with_one_slot_and_with_three_and_kills() {
    let film = clips::sized("160x90", LONG_S);
    let one = Server::with("[workers]\nchunks = 1\n").await;
    let sent = upload(&one, &film, "one.mp4").await;
    one.video_in(&sent.video, &["ready"], DONE_S).await;
    let expected = output(&one, &sent.video).await;

    let mut three = Server::with("[workers]\nchunks = 3\n").await;
    let sent = upload(&three, &film, "three.mp4").await;
    for pieces in [2, 5] {
        until("some pieces are done", DONE_S, async || {
            (Tables::open(&three.data()).await.outcomes("chunk").await.len() >= pieces).then_some(())
        })
        .await;
        three.kill();
        three = three.again().await;
    }
    three.video_in(&sent.video, &["ready"], DONE_S).await;
    output(&three, &sent.video).await.is(&expected);
    all_hold(&three).await;
}

/// Kills in `cargo test`; `make chaos` sets `MATINEE_KILLS`.
const KILLS: u64 = 8;
/// Kills of one video: a job that dies with its worker again and again is given up by design, a video that is
/// killed more often than this would never be done on a slow machine.
const KILLS_PER_VIDEO: u64 = 8;
/// Seconds in which a video is done once nobody kills any more.
const DONE_S: u64 = 240;
/// Bytes of the first of two parts: kills fall into uploads, too.
const PART: usize = 64 << 10;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// One run of a video through kills; the server may be another process afterwards.
struct Run {
    server: Server,
    random: Random,
    killed_servers: u64,
    killed_encoders: u64,
}

impl Run {
    /// Sends a part now and then, survives kills of the server in between.
    async fn send(&mut self, sent: &Sent, bytes: &[u8]) {
        let at = usize::try_from(head(&self.server, &sent.path).await).unwrap();
        let end = bytes.len().min(at + PART + usize::try_from(self.random.below(PART as u64)).unwrap());
        if self.random.below(3) == 0 {
            // The kill that may follow meets a body on its way.
            let mut raw =
                Raw::patch(self.server.port, &sent.path, at as u64, (bytes.len() - at) as u64).await;
            raw.send(&bytes[at..end]).await.unwrap();
        } else {
            // A broken request of before may have come in between: then this one is told so.
            let status = patch(&self.server, &sent.path, at as u64, bytes[at..end].to_vec()).await.status();
            assert!([204, 409].contains(&status.as_u16()), "{status}");
        }
    }

    /// Kills the server, or else one of its encoders, after a random pause.
    async fn kill(&mut self, pause_ms_max: u64) {
        tokio::time::sleep(Duration::from_millis(self.random.below(pause_ms_max))).await;
        let encoders = working_in(&self.server.data(), Some(self.server.pid()));
        // Crashes of an encoder count against its job (two are forgiven), so most kills are for the server.
        if !encoders.is_empty() && self.killed_encoders < 1 && self.random.below(3) == 0 {
            let one = usize::try_from(self.random.below(encoders.len() as u64)).unwrap();
            kill(encoders[one]);
            self.killed_encoders += 1;
        } else {
            self.server.kill();
            self.killed_servers += 1;
        }
    }
}

/// Brings a video through so many kills; returns what became of it.
async fn survive(run: Run, bytes: &[u8], kills: u64) -> (Run, Sent) {
    let mut run = run;
    let sent = create(&run.server, bytes.len() as u64, "kill.mp4").await;
    let in_upload = kills / 3;
    for kill in 0..kills {
        let sending = kill < in_upload;
        if sending {
            run.send(&sent, bytes).await;
        } else {
            finish_sending(&run.server, &sent, bytes).await;
        }
        let before = run.killed_servers;
        run.kill(if sending { 60 } else { 1_500 }).await;
        if run.killed_servers > before {
            run.server = run.server.again().await;
        }
    }
    finish_sending(&run.server, &sent, bytes).await;
    (run, sent)
}

/// Sends all that is missing, if anything is.
async fn finish_sending(server: &Server, sent: &Sent, bytes: &[u8]) {
    if head(server, &sent.path).await < bytes.len() as u64 {
        resume(server, sent, bytes).await;
    }
}

/// What the same source gives when nobody disturbs.
pub(crate) async fn undisturbed(bytes: &[u8]) -> Output {
    let server = Server::start().await;
    let sent = upload(&server, bytes, "calm.mp4").await;
    server.video_in(&sent.video, &["ready"], DONE_S).await;
    output(&server, &sent.video).await
}

#[tokio::test]
async fn the_output_is_the_same_whatever_is_killed() {
    let seed = number("MATINEE_SEED", u64::from(std::process::id()));
    let kills = number("MATINEE_KILLS", KILLS);
    eprintln!("MATINEE_SEED={seed} MATINEE_KILLS={kills}");
    let bytes = clips::sized("640x360", 12);
    let expected = undisturbed(&bytes).await;
    assert!(expected.segments() > 6, "the clip has several chunks and tracks: {}", expected.segments());
    let mut done = 0;
    let mut round = 0;
    while done < kills {
        let now = KILLS_PER_VIDEO.min(kills - done);
        let random = Random(seed.wrapping_add(round));
        let run = Run { server: Server::start().await, random, killed_servers: 0, killed_encoders: 0 };
        let (run, sent) = survive(run, &bytes, now).await;
        let video = run.server.video_in(&sent.video, &["ready", "failed"], DONE_S).await;
        assert_eq!(video["state"], "ready", "round {round} of seed {seed}: {video}");
        no_byte_is_lost(&run.server, &sent.video, &bytes).await;
        output(&run.server, &sent.video).await.is(&expected);
        little_is_done_twice(&run).await;
        all_hold(&run.server).await;
        done += now;
        round += 1;
    }
}

/// Each kill costs at most what was in hand: one chunk per worker, and the one other job of each kind that ran.
async fn little_is_done_twice(run: &Run) {
    let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let jobs = Tables::open(&run.server.data()).await.attempts().await;
    let again = |wanted: &str| -> u64 {
        let of_kind = jobs.iter().filter(|(kind, _, _)| kind == wanted);
        of_kind.map(|(_, attempts, _)| attempts.saturating_sub(1).cast_unsigned()).sum()
    };
    let allowed = run.killed_servers * workers + run.killed_encoders;
    assert!(again("chunk") <= allowed, "{} chunks were begun again, {allowed} may be", again("chunk"));
    assert!(jobs.iter().all(|(_, attempts, _)| *attempts > 0), "every job was run: {jobs:?}");
}

#[tokio::test]
async fn a_program_that_is_killed_is_started_again() {
    let server = Server::start().await;
    let bytes = clips::avi(12);
    let sent = upload(&server, &bytes, "crash.mp4").await;
    // The first process looks at the file, later ones encode it: both may be ended by somebody else.
    for step in ["ffprobe", "ffmpeg"] {
        let data = server.data();
        let started = until(step, 60, async || {
            let all = working_in(&data, Some(server.pid()));
            all.into_iter().find(|pid| is_program(*pid, step))
        })
        .await;
        kill(started);
    }
    server.video_in(&sent.video, &["ready"], DONE_S).await;
    no_byte_is_lost(&server, &sent.video, &bytes).await;
    all_hold(&server).await;
}

/// Has the sandbox become this program already?
fn is_program(pid: u32, name: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
}
