//! Everything of one store to another while it plays, and a store that is emptied.

use std::collections::BTreeMap;

use super::{Stores, collect, filmed, lasting, played, settled, sorted, told};
use crate::support::s3::Service;
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::until;

#[tokio::test]
async fn a_store_is_moved_and_another_one_emptied_while_it_plays() {
    let stores = Stores::new();
    let config = format!("{}{}", stores.config("old", ""), stores.config("new", "weight = 0"));
    let (server, video) = filmed(&config, 4).await;
    settled(&server, "old", 60).await;
    let (all, before) = (stores.hashes("old"), played(&server, &video).await);
    let dry = server.tell(&["stores", "move", "old", "new", "--dry-run"]);
    assert!(dry.contains(&format!("{} objects", all.len())), "{dry}");
    assert!(stores.files("new").is_empty(), "a dry run changes nothing");
    server.tell(&["stores", "move", "old", "new"]);
    server.tell(&["stores", "move", "old", "new"]);
    until("all is in the new one", 120, async || {
        let moved = stores.hashes("new") == all && stores.files("old").is_empty();
        (moved && told(&server, "old").await["leaving_objects"] == 0).then_some(())
    })
    .await;
    assert!(played(&server, &video).await == before);
    let dry = server.tell(&["stores", "drain", "new", "--dry-run"]);
    assert!(dry.contains("old") && dry.contains(&all.len().to_string()), "{dry}");
    server.tell(&["stores", "drain", "new"]);
    until("the emptied one is empty", 120, async || {
        let drained = stores.hashes("old") == all && stores.files("new").is_empty();
        let told = told(&server, "new").await;
        (drained && told["state"] == "draining" && told["objects"] == 0).then_some(())
    })
    .await;
    assert!(played(&server, &video).await == before);
}

/// The hashes of all that lies in a bucket.
fn held(service: &Service) -> Vec<[u8; 32]> {
    let mut found = BTreeMap::new();
    collect(&service.path("copies"), &mut found);
    sorted(found.into_values())
}

/// Somebody watches all of a video again and again until something else is so; how often.
async fn watched(
    server: &Server,
    (video, bytes): (&str, &BTreeMap<String, Vec<u8>>),
    until: impl Future<Output = ()>,
) -> u32 {
    let mut rounds = 0;
    let watching = async {
        loop {
            assert!(played(server, video).await == *bytes, "the same bytes");
            rounds += 1;
        }
    };
    tokio::select! {
        () = watching => {}
        () = until => {}
    }
    rounds
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_bucket_moves_to_another_one_while_it_plays_and_the_server_is_killed() {
    let (old, new) = (Service::start().await, Service::start().await);
    let config = format!("{}{}", old.store("old", ""), new.store("new", "weight = 0\n"));
    let (mut server, video) = filmed(&config, 4).await;
    settled(&server, "old", 60).await;
    let (all, before) = (lasting(&server).await, played(&server, &video).await);
    assert_eq!(held(&old), all);
    // Nothing is left here: it plays from the bucket, and is copied from there.
    assert!(server.terminate(30).await.success());
    let objects = server.data().join("objects");
    std::fs::remove_dir_all(&objects).unwrap();
    std::fs::create_dir(&objects).unwrap();
    let mut server = server.again().await;
    let dry = server.tell(&["stores", "move", "old", "new", "--dry-run"]);
    assert!(dry.contains(&format!("{} objects", all.len())), "{dry}");
    assert_eq!(held(&new), Vec::<[u8; 32]>::new(), "a dry run changes nothing");
    // So that there is a middle.
    old.faults.slow_ms.store(100, std::sync::atomic::Ordering::Relaxed);
    server.tell(&["stores", "move", "old", "new"]);
    let half = until("some of it has moved", 60, async || (held(&new).len() >= 2).then_some(()));
    watched(&server, (&video, &before), half).await;
    server.kill();
    assert!(held(&new).len() < all.len(), "it was killed in the middle");
    old.faults.slow_ms.store(0, std::sync::atomic::Ordering::Relaxed);
    let server = server.again().await;
    let again = server.tell(&["stores", "move", "old", "new"]);
    assert!(again.contains("from old to new"), "{again}");
    let done = until("all is in the new one", 120, async || {
        let moved = held(&new) == all && held(&old).is_empty();
        (moved && Tables::open(&server.data()).await.owed_at("old").await == 0).then_some(())
    });
    let rounds = watched(&server, (&video, &before), done).await;
    assert!(rounds > 0, "nobody has watched");
    assert!(played(&server, &video).await == before);
    let scrubbed = server.tell(&["stores", "scrub", "new", "--json"]);
    let scrubbed: serde_json::Value = serde_json::from_str(scrubbed.lines().last().unwrap()).unwrap();
    assert_eq!(scrubbed["copies"], all.len(), "{scrubbed}");
    let proof = server.ask(&["gc", "prove", "--json"]);
    let lines = proof.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    for line in lines.filter(|line| line["sort"] == "store") {
        assert_eq!(line["holds"], true, "{line}");
    }
}
