//! `kill -9` in the middle of deliveries: nothing is lost, and what comes twice has the same id.

use std::collections::{BTreeMap, BTreeSet};

use super::{happens, heard, hook, house};
use crate::support::receiver::{HANGS, Receiver};
use crate::support::{times, until};

/// Kills in `cargo test`; `make chaos` sets `MATINEE_KILLS`.
const KILLS: u64 = 4;
/// Events between two kills.
const EVENTS: usize = 12;
/// Seconds in which everything has arrived once nobody kills any more.
const DONE_S: u64 = 120;

#[tokio::test]
async fn a_kill_in_the_middle_loses_nothing_and_repeats_the_id() {
    let (receiver, port) = Receiver::start(&[("/a", &[204]), ("/b", &[HANGS])]).await;
    let mut house = house(port).await;
    hook(&house, port, "/a", &["upload.*"]).await;
    // Its calls are open when the server is killed.
    hook(&house, port, "/b", &["upload.*"]).await;
    let mut written = BTreeSet::new();
    for kill in 1..=times("MATINEE_KILLS", KILLS) {
        for _ in 0..EVENTS {
            written.insert(happens(&house, &house.admin).await);
        }
        // Somewhere among them, and another place each time.
        let some = usize::try_from(kill).unwrap() % EVENTS;
        heard(&receiver, "/a", written.len() - EVENTS + some).await;
        house.server.kill();
        let admin = house.admin;
        house = crate::access::people::House { server: house.server.again().await, admin };
    }
    receiver.answers("/b", 204);
    for path in ["/a", "/b"] {
        until(&format!("everything came to {path}"), DONE_S, async || {
            let ids: BTreeSet<_> =
                receiver.of(path).iter().map(|one| one.header("webhook-id").to_owned()).collect();
            (ids == written).then_some(())
        })
        .await;
        let mut bodies: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for message in receiver.of(path) {
            bodies.entry(message.header("webhook-id").to_owned()).or_default().insert(message.body.to_vec());
        }
        assert!(bodies.values().all(|all| all.len() == 1), "the same id says the same");
    }
}
