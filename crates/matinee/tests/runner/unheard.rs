//! A runner whose failures the server does not hear of does not ask for the same job as fast as it can.

use super::DONE_S;
use super::support::{ELSEWHERE, Runner, invited};
use crate::support::proxy::{Faults, Proxy};
use crate::support::sender::upload;
use crate::support::server::Server;
use crate::support::{clips, until};

/// Seconds of the day at which each line with these words was logged.
fn moments(log: &str, words: &str) -> Vec<u32> {
    let moment = |line: &str| {
        let mut digits = line.split('T').nth(1)?.split([':', '.']).map(|part| part.parse::<u32>().ok());
        Some(digits.next()?? * 3_600 + digits.next()?? * 60 + digits.next()??)
    };
    log.lines().filter(|line| line.contains(words)).filter_map(moment).collect()
}

#[tokio::test]
async fn a_slot_whose_failure_is_refused_rests_before_its_next_job() {
    let server = Server::with(ELSEWHERE).await;
    let proxy = Proxy::start(Faults { port: server.port, ..Faults::default() }).await;
    let runner = Runner::start_at(&format!("http://127.0.0.1:{}", proxy.port), &invited(&server), &[], &[]);
    let first = upload(&server, &clips::mp4(2), "heard.mp4").await;
    server.video_in(&first.video, &["ready"], DONE_S).await;
    let before = moments(&runner.logged(), "a job begins").len();
    proxy.now(|faults| faults.refuse = Some("/fail "));
    let work = runner.data().join("runner/work");
    // Nothing can be made there from now on, so each job fails at once.
    std::fs::remove_dir_all(&work).unwrap();
    std::fs::write(&work, "in the way").unwrap();
    let _sent = upload(&server, &clips::mp4(3), "unheard.mp4").await;
    let begun = until("it has begun a second time", 120, async || {
        let begun = moments(&runner.logged(), "a job begins").split_off(before);
        (begun.len() > 1).then_some(begun)
    })
    .await;
    let rested = moments(&runner.logged(), "its slot rests");
    let rest_s = (begun[1] + 86_400 - rested[0]) % 86_400;
    assert!(rest_s >= 9, "between the two lie {rest_s} s: {}", runner.logged());
}
