//! The example itself: one command shows it, and it comes to the same end by all three ways in.

use std::process::Stdio;

use serde_json::json;

use super::{Outside, VIEW, encoding};
use crate::support::clips;
use crate::support::files::Manner;
use crate::support::process::command;
use crate::support::sender::upload;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/recording-pipeline/matinee.toml");

/// A matinee without what the machine's owner has set.
fn matinee(words: &[&str]) -> std::process::Output {
    let mut command = command(env!("CARGO_BIN_EXE_matinee"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("TMPDIR", env!("CARGO_TARGET_TMPDIR"));
    command.current_dir(env!("CARGO_TARGET_TMPDIR")).args(words).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn one_command_shows_the_pipeline_with_fakes() {
    let shown = matinee(&["demo", "--with", EXAMPLE, "--once"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success(), "{text}{}", String::from_utf8_lossy(&shown.stderr));
    assert_eq!(text.matches("video.distributed").count(), 3, "{text}");
    for word in ["s3://films/b2/", "sha1 ", "/playlist.m3u8", "uploaded", "imported", "Snow & ice"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(text.contains("the fakes hold 3 files") && text.contains("3 videos at Bunny and 0"), "{text}");
    assert!(text.contains("would not have understood: 0"), "{text}");
}

#[test]
fn chaos_counts_that_nothing_is_lost_and_nothing_is_left() {
    let shown = matinee(&["chaos", "--with", EXAMPLE, "--kills", "2", "--videos", "2", "--seed", "5"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success(), "{text}{}", String::from_utf8_lossy(&shown.stderr));
    assert!(text.starts_with("seed 5\n2 kills, ") && text.contains("nothing is left"), "{text}");
}

#[tokio::test]
async fn three_ways_in_come_to_the_same_end() {
    let mut outside = Outside::start().await;
    let server = outside.server().await;
    let clip = clips::faststart(2);
    outside.zoom.record("rec-1", VIEW, &clip, Manner::default());
    assert_eq!(outside.zoom.deliver(&server, &outside.zoom.event(1), 0).await.0, 200);
    upload(&server, &clip, "by-hand.mp4").await;
    let path = server.data().parent().unwrap().join("by-path.mp4");
    std::fs::write(&path, &clip).unwrap();
    server.tell(&["import", path.to_str().unwrap()]);
    let told = tokio::select! {
        told = outside.told(3) => told,
        () = encoding(&outside) => unreachable!("because the host encodes for ever"),
    };
    let mut titles = Vec::new();
    for message in &told {
        let said = message.json();
        assert_eq!(said["type"], "video.distributed");
        outside.holds(&server, &said, &clip).await;
        assert_eq!(said["data"]["renditions"], json!([]), "nothing is encoded here: {said}");
        titles.push(said["data"]["video"]["title"].as_str().unwrap().to_owned());
    }
    titles.sort();
    assert_eq!(titles, ["Snow & ice (2026-11-25)", "by-hand", "by-path"]);
    outside.counts(3, 3 * clip.len() as u64);
}
