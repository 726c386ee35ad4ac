//! What the host says that it was given, against the digest of the copy in the archive.

use super::{Outside, SOON_S, encoding};
use crate::support::server::Server;
use crate::support::{clips, sender, until};

/// Uploads a film; how the host's file of it compares in the end, when the host has it as it is or otherwise.
async fn compared(outside: &Outside, server: &Server, damaged: bool) -> String {
    let before = outside.bunny.there();
    let video = sender::upload(server, &clips::faststart(2), "film.mp4").await.video;
    let remote = until("the host makes it", SOON_S, async || {
        outside.bunny.there().into_iter().find(|one| !before.contains(one))
    })
    .await;
    if damaged {
        outside.bunny.damage(&remote);
    }
    let compared = until("both are compared", SOON_S, async || {
        let (_, shown) = server.get(&format!("/v1/videos/{video}")).await;
        shown["publications"][0]["original"].as_str().map(str::to_owned)
    });
    tokio::select! {
        compared = compared => compared,
        () = encoding(outside) => unreachable!("because the host encodes for ever"),
    }
}

#[tokio::test]
async fn a_host_that_has_other_bytes_than_the_archive_is_told_of() {
    let mut outside = Outside::start().await;
    let server = outside.server().await;
    assert_eq!(compared(&outside, &server, false).await, "same");
    assert_eq!(compared(&outside, &server, true).await, "differs");
    assert!(server.logged().contains("a host has other bytes than it was sent"));
}
