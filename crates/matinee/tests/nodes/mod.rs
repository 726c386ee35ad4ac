//! Several nodes over one PostgreSQL and one data directory: uploads wander between them, also when one sleeps or dies.

mod restarts;
mod roles;
pub(crate) mod support;

use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;

use self::support::{Nodes, PART, half_sent, padded};
use crate::support::process::signal;
use crate::support::sender::{create, head, offset, patch, resume, tus};
use crate::support::server::Server;
use crate::support::{Random, noise, until};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn what_one_node_was_sent_another_finishes_and_late_bytes_change_nothing() {
    let Some(mut nodes) = Nodes::start().await else { return };
    let bytes = padded(10 * MIB);
    let (a, b) = (nodes.add("a").await, nodes.add("b").await);
    let (sent, mut old) = half_sent(&a, &bytes).await;
    nodes.arrived(3 * MIB).await;
    let kept = head(&b, &sent.path).await;
    assert!((3 * MIB as u64..=PART as u64).contains(&kept), "{kept} bytes were kept");
    assert_eq!(head(&b, &sent.path).await, kept, "the offset stays where it is");
    let rest = usize::try_from(kept).unwrap();
    assert_eq!(patch(&b, &sent.path, kept, bytes[rest..].to_vec()).await.status(), 204);
    let late = old.send(&noise(2, 6 * MIB)).await;
    let answer = if late.is_ok() { old.answer().await } else { None };
    assert_ne!(answer.map(|answer| answer.status), Some(204));
    assert!(!b.logged().contains("does not answer"), "it was asked, and did answer: {}", b.logged());
    nodes.ready_once(&a, &sent.video, &bytes).await;
}

#[tokio::test]
async fn of_two_requests_on_two_nodes_for_the_same_bytes_exactly_one_wins() {
    let Some(mut nodes) = Nodes::start().await else { return };
    let (a, b) = (nodes.add("a").await, nodes.add("b").await);
    for round in 0..8 {
        let bodies = [noise(2 * round, 6 * MIB), noise(2 * round + 1, 6 * MIB)];
        let sent = create(&a, 12 * MIB as u64, "two.mp4").await;
        let (one, two) = tokio::join!(
            patch(&a, &sent.path, 0, bodies[0].clone()),
            patch(&b, &sent.path, 0, bodies[1].clone())
        );
        let statuses = [one.status().as_u16(), two.status().as_u16()];
        assert!(statuses.iter().all(|status| [204, 409].contains(status)), "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1, "{statuses:?}");
        assert!([&one, &two].iter().all(|answer| offset(answer).is_some()), "everybody is told where it is");
        let winner = statuses.iter().position(|status| *status == 204).unwrap();
        let at = head(&b, &sent.path).await;
        assert_eq!(at, 6 * MIB as u64);
        assert!(nodes.only_file(at) == bodies[winner], "bytes of one writer only");
        assert_eq!(tus(&b, Method::DELETE, &sent.path).send().await.unwrap().status(), 204);
        nodes.nothing_remains().await;
    }
}

#[tokio::test]
async fn a_request_for_bytes_that_another_node_has_ends_nobody() {
    let Some(mut nodes) = Nodes::start().await else { return };
    let bytes = padded(10 * MIB);
    let (a, b) = (nodes.add("a").await, nodes.add("b").await);
    let (sent, mut running) = half_sent(&a, &bytes).await;
    nodes.arrived(3 * MIB).await;
    for elsewhere in [0, 1, 9 * MIB as u64] {
        let refused = patch(&b, &sent.path, elsewhere, noise(1, 1_000)).await;
        assert_eq!(refused.status(), 409);
        assert!(offset(&refused).unwrap() <= PART as u64, "what is durable");
    }
    running.send(&bytes[PART..]).await.unwrap();
    assert_eq!(running.answer().await.map(|answer| answer.status), Some(204), "it went on undisturbed");
    nodes.ready_once(&b, &sent.video, &bytes).await;
}

#[tokio::test]
async fn a_node_that_sleeps_in_the_middle_can_change_nothing_when_it_wakes() {
    let Some(mut nodes) = Nodes::start().await else { return };
    let bytes = padded(10 * MIB);
    let (a, b) = (nodes.add("a").await, nodes.add("b").await);
    let (sent, mut old) = half_sent(&a, &bytes).await;
    let committed = nodes.committed(1).await;
    old.send(&bytes[PART..PART + 2 * MIB]).await.unwrap();
    nodes.arrived(PART + MIB).await;
    signal(a.pid(), Signal::STOP);
    let kept = head(&b, &sent.path).await;
    assert!(kept >= committed && kept <= (PART + 2 * MIB) as u64, "{kept} after {committed} were durable");
    resume(&b, &sent, &bytes).await;
    signal(a.pid(), Signal::CONT);
    let late = old.send(&noise(2, 4 * MIB)).await;
    let answer = if late.is_ok() { old.answer().await } else { None };
    assert_ne!(answer.map(|answer| answer.status), Some(204));
    assert_eq!(head(&a, &sent.path).await, bytes.len() as u64, "it has learnt what happened");
    nodes.ready_once(&b, &sent.video, &bytes).await;
    assert!(b.logged().contains("its bytes go on in another"), "{}", b.logged());
    nodes.rows_and_files_agree().await;
}

#[tokio::test]
async fn after_the_death_of_a_node_another_finishes_what_it_was_sent() {
    let Some(mut nodes) = Nodes::start().await else { return };
    let bytes = padded(10 * MIB);
    let (mut a, b) = (nodes.add("a").await, nodes.add("b").await);
    let (sent, _old) = half_sent(&a, &bytes).await;
    nodes.arrived(3 * MIB).await;
    a.kill();
    let kept = head(&b, &sent.path).await;
    assert!(kept >= 3 * MIB as u64, "the kernel still had 3 MiB, {kept} were kept");
    resume(&b, &sent, &bytes).await;
    nodes.ready_once(&b, &sent.video, &bytes).await;
    nodes.rows_and_files_agree().await;
}

#[tokio::test]
async fn a_node_that_starts_leaves_alone_what_another_is_sent() {
    let Some(mut nodes) = Nodes::start().await else { return };
    let bytes = padded(10 * MIB);
    let a = nodes.add("a").await;
    let (sent, mut running) = half_sent(&a, &bytes).await;
    nodes.arrived(3 * MIB).await;
    let b = nodes.add("b").await.again().await;
    running.send(&bytes[PART..]).await.unwrap();
    assert_eq!(running.answer().await.map(|answer| answer.status), Some(204));
    nodes.ready_once(&b, &sent.video, &bytes).await;
}

#[tokio::test]
async fn a_node_whose_disk_is_not_mounted_does_not_start_and_loses_nothing() {
    let Some(mut nodes) = Nodes::start().await else { return };
    let bytes = padded(10 * MIB);
    let a = nodes.add("a").await;
    let (sent, mut running) = half_sent(&a, &bytes).await;
    nodes.arrived(3 * MIB).await;
    let elsewhere = nodes.elsewhere();
    for start in ["first", "second"] {
        let mut unmounted = elsewhere.spawn_node(start, Some("b"));
        let ended = unmounted.ended(30).await;
        assert!(
            !ended.success() && unmounted.logged().contains("is its disk mounted?"),
            "{}",
            unmounted.logged()
        );
    }
    running.send(&bytes[PART..]).await.unwrap();
    assert_eq!(running.answer().await.map(|answer| answer.status), Some(204));
    nodes.ready_once(&a, &sent.video, &bytes).await;
}

#[tokio::test]
async fn an_upload_that_one_node_is_sent_is_given_up_on_another() {
    let Some(mut nodes) = Nodes::start().await else { return };
    let (a, b) = (nodes.add("a").await, nodes.add("b").await);
    let (sent, mut running) = half_sent(&a, &padded(10 * MIB)).await;
    nodes.arrived(3 * MIB).await;
    assert_eq!(tus(&b, Method::DELETE, &sent.path).send().await.unwrap().status(), 204);
    assert_ne!(running.answer().await.map(|answer| answer.status), Some(204));
    assert_eq!(tus(&a, Method::HEAD, &sent.path).send().await.unwrap().status(), 404);
    nodes.nothing_remains().await;
}

#[tokio::test]
async fn when_the_node_that_looks_through_a_folder_dies_another_does() {
    let folder = tempfile::Builder::new().prefix("shared-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let watch = format!("[[watch]]\nfolder = {:?}\nsettle = \"1s\"", folder.path());
    let Some(mut nodes) = Nodes::start_with(&watch).await else { return };
    let mut servers = [nodes.add("a").await, nodes.add("b").await];
    let mut looked = Vec::new();
    for name in ["one.mp4", "two.mp4"] {
        std::fs::write(folder.path().join(name), padded(MIB)).unwrap();
        let sorted = folder.path().join("done").join(name);
        until("the file is sorted", 90, async || sorted.exists().then_some(())).await;
        looked.push(nodes.looks().await);
        if looked.len() == 1 {
            servers[usize::from(looked[0] == "b")].kill();
        }
    }
    looked.sort();
    assert_eq!(looked, ["a", "b"]);
}

#[tokio::test]
async fn what_a_dead_node_had_begun_to_take_is_taken_anew_and_nothing_is_left() {
    let folder = tempfile::Builder::new().prefix("shared-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let watch = format!("[[watch]]\nfolder = {:?}\nsettle = \"1s\"", folder.path());
    let Some(mut nodes) = Nodes::start_with(&watch).await else { return };
    let names: Vec<String> = (0..6).map(|number| format!("{number}.mp4")).collect();
    for (seed, name) in (0..).zip(&names) {
        std::fs::write(folder.path().join(name), noise(seed, 24 * MIB)).unwrap();
    }
    let mut node = nodes.add("a").await;
    let mut random = Random(7);
    for _ in 0..60 {
        if nodes.taken_anew().await > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(random.below(1_500))).await;
        node.kill();
        node = node.again().await;
    }
    assert!(nodes.taken_anew().await > 0, "no kill came while a file was taken");
    let sorted: Vec<_> = names.iter().map(|name| folder.path().join("failed").join(name)).collect();
    until("all are sorted", 120, async || sorted.iter().all(|path| path.exists()).then_some(())).await;
    nodes.nothing_remains().await;
}

#[tokio::test]
async fn what_is_deleted_on_one_node_is_soon_gone_on_the_other() {
    let Some(mut nodes) = Nodes::start().await else { return };
    let bytes = padded(2 * MIB);
    let (a, b) = (nodes.add("a").await, nodes.add("b").await);
    let sent = crate::support::sender::upload(&a, &bytes, "gone.mp4").await;
    nodes.ready_once(&b, &sent.video, &bytes).await;
    let (status, playback) = b.get(&format!("/v1/videos/{}/playback", sent.video)).await;
    assert_eq!(status, 200, "{playback}");
    let hls = playback["hls"].as_str().unwrap();
    let hls = hls[hls.find("/p/").unwrap()..].to_owned();
    let shown = async |server: &Server| server.request(Method::GET, &hls).send().await.unwrap().status();
    assert_eq!((shown(&a).await.as_u16(), shown(&b).await.as_u16()), (200, 200), "tokens hold on all nodes");
    let video = format!("/v1/videos/{}", sent.video);
    assert!(a.request(Method::DELETE, &video).send().await.unwrap().status().is_success());
    until("the other node has seen it", 30, async || (shown(&b).await != 200).then_some(())).await;
}
