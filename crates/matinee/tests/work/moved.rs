//! A matinee that outgrows its SQLite file moves to PostgreSQL and loses nothing.

use crate::support::invariants::plays;
use crate::support::sender::upload;
use crate::support::server::Server;
use crate::support::{clips, postgres};

#[tokio::test]
async fn a_server_moves_to_postgresql_and_goes_on_with_all_that_it_has() {
    let Some(url) = postgres::database().await else { return };
    let mut server = Server::with("").await;
    let first = upload(&server, &clips::mp4(3), "first.mp4").await;
    server.video_in(&first.video, &["ready"], 120).await;
    let said = server.tell(&["db", "copy", "--to", &url]);
    assert!(
        said.contains("equal in both") && said.contains("stop it, and run the same command again"),
        "{said}"
    );

    // What comes in after the first copy is in the second.
    let second = upload(&server, &clips::mp4(2), "second.mp4").await;
    server.video_in(&second.video, &["ready"], 120).await;
    assert!(server.terminate(60).await.success());
    let said = server.tell(&["db", "copy", "--to", &url, "--json"]);
    let told: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(told["final"], true, "{told}");
    let written: u64 =
        told["tables"].as_array().unwrap().iter().map(|one| one["written"].as_u64().unwrap()).sum();
    assert!(written > 0 && written < told["rows"].as_u64().unwrap(), "only the rest: {told}");

    server.configure(&format!("database = \"{url}\""));
    let server = server.again().await;
    for video in [&first.video, &second.video] {
        server.video_in(video, &["ready"], 30).await;
        plays(&server, video).await;
    }
    // It encodes on, in the same folder.
    let third = upload(&server, &clips::mp4(2), "third.mp4").await;
    server.video_in(&third.video, &["ready"], 120).await;
    plays(&server, &third.video).await;
}
