//! Everything of one store to another while it plays, and a store that is emptied.

use super::{Stores, filmed, played, settled, told};
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
