//! A runner that is far too slow keeps nobody waiting.

use serde_json::json;

use super::support::{Liar, Runner};
use super::{DONE_S, alone, film, outcomes};
use crate::kill::output::output;
use crate::support::invariants::all_hold;
use crate::support::sender::upload;
use crate::support::server::Server;
use crate::support::until;

#[tokio::test]
async fn a_piece_that_one_runner_hardly_gets_on_with_is_taken_over_by_another() {
    let expected = alone().await;
    let server = Server::with("[workers]\nhere = false\nidentical = false\n").await;
    let slow = Liar::register(&server).await;
    let sent = upload(&server, &film(), "slow.mp4").await;
    let job = slow.claim().await;
    // It never misses a renewal, and is never done.
    let renew = async || slow.say(&job, "renew", &json!({ "done": 0.01 })).await;
    assert_eq!(renew().await.0, 200);
    let _other = Runner::start(&server);
    let lost = until("its job is taken over", 120, async || {
        let (status, code) = renew().await;
        (status != 200).then_some((status, code))
    })
    .await;
    assert_eq!(lost, (409, "lease_lost".to_owned()));
    assert_eq!(
        slow.say(&job, "complete", &json!({ "outputs": [] })).await,
        lost,
        "the first proven one counts"
    );
    server.video_in(&sent.video, &["ready"], DONE_S).await;
    output(&server, &sent.video).await.is(&expected);
    let overtaken = outcomes(&server).await.iter().filter(|outcome| *outcome == "overtaken").count();
    assert_eq!(overtaken, 1, "each job is taken over once");
    all_hold(&server).await;
}
