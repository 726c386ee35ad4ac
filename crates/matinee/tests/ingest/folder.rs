//! A watched folder: what is complete becomes a video once, whatever dies in between.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::{mortal, signal};
use crate::support::server::Server;
use crate::support::{Random, clips, noise, until};

fn incoming() -> TempDir {
    tempfile::Builder::new().prefix("incoming-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

async fn watching(folder: &Path, more: &str) -> Server {
    Server::with(&format!("[[watch]]\nfolder = {folder:?}\nsettle = \"1s\"\n{more}")).await
}

/// Files below a folder, relative to it.
fn files(folder: &Path) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(inside) = folders.pop() {
        for entry in std::fs::read_dir(&inside).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

async fn lies(folder: &Path, expected: &[&str]) {
    let what = format!("the folder holds {expected:?}");
    until(&what, 90, async || (files(folder) == expected).then_some(())).await;
}

async fn titles(server: &Server) -> Vec<String> {
    let (_, page) = server.get("/v1/videos?limit=100").await;
    let mut titles: Vec<_> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|video: &Value| video["title"].as_str().unwrap().to_owned())
        .collect();
    titles.sort();
    titles
}

#[tokio::test]
async fn files_are_sorted_by_what_came_of_them_and_keep_their_folders() {
    let dir = incoming();
    let server = watching(dir.path(), "").await;
    std::fs::create_dir(dir.path().join("term 1")).unwrap();
    std::fs::write(dir.path().join("term 1/film.mp4"), clips::mp4(2)).unwrap();
    std::fs::write(dir.path().join("text.mp4"), "this is no film").unwrap();
    std::fs::write(dir.path().join("half.mp4.part"), "half").unwrap();
    std::fs::write(dir.path().join(".hidden.mp4"), "hidden").unwrap();
    std::fs::write(dir.path().join("outside"), "x").unwrap();
    std::fs::hard_link(dir.path().join("outside"), dir.path().join("second.mp4")).unwrap();
    let expected = [
        ".hidden.mp4",
        "done/term 1/film.mp4",
        "failed/second.mp4",
        "failed/second.mp4.reason.txt",
        "failed/text.mp4",
        "failed/text.mp4.reason.txt",
        "half.mp4.part",
        "outside",
    ];
    lies(dir.path(), &expected).await;
    let reason = std::fs::read_to_string(dir.path().join("failed/text.mp4.reason.txt")).unwrap();
    assert!(reason.contains("What to do:") && reason.contains("move the file back"), "{reason}");
    let reason = std::fs::read_to_string(dir.path().join("failed/second.mp4.reason.txt")).unwrap();
    assert!(reason.contains("import_hard_link"), "{reason}");
    assert_eq!(titles(&server).await, ["film", "text"]);

    // Moved back, it is tried again.
    std::fs::rename(dir.path().join("failed/text.mp4"), dir.path().join("text.mp4")).unwrap();
    until("it was tried again", 60, async || {
        (titles(&server).await == ["film", "text", "text"]).then_some(())
    })
    .await;
    lies(dir.path(), &expected).await;
}

#[tokio::test]
async fn a_file_that_grows_or_is_held_open_is_left_alone() {
    use std::io::Write as _;
    let dir = incoming();
    let server = watching(dir.path(), "done = \"\"").await;
    let clip = clips::mp4(2);
    let mut held = std::fs::File::create(dir.path().join("held.mp4")).unwrap();
    held.write_all(&clip[..1_000]).unwrap();
    std::fs::write(dir.path().join("whole.mp4"), &clip).unwrap();
    // The other one is done meanwhile, so time enough has passed for both.
    until("the whole file was taken", 90, async || (!dir.path().join("whole.mp4").exists()).then_some(()))
        .await;
    assert_eq!(titles(&server).await, ["whole"]);
    held.write_all(&clip[1_000..]).unwrap();
    drop(held);
    lies(dir.path(), &[]).await;
    assert_eq!(titles(&server).await, ["held", "whole"]);
}

#[tokio::test]
async fn a_folder_that_comes_later_is_found_and_a_second_watcher_takes_nothing_twice() {
    let dir = incoming();
    let folder = dir.path().join("drive");
    let server = watching(&folder, "").await;
    until("it was said that the folder is away", 20, async || {
        server.logged().contains("cannot be looked through").then_some(())
    })
    .await;
    std::fs::create_dir(&folder).unwrap();
    for number in 0..3 {
        std::fs::write(folder.join(format!("{number}.mp4")), noise(number, 5_000)).unwrap();
    }
    let mut beside = mortal(Path::new(env!("CARGO_BIN_EXE_matinee")));
    beside.args(["import", "--watch", "--settle", "1s", "--json", "--data"]).arg(server.data()).arg(&folder);
    let mut beside = beside.stdout(Stdio::null()).spawn().unwrap();
    let failed = |number: u32| folder.join(format!("failed/{number}.mp4"));
    until("all are sorted", 90, async || (0..3).all(|number| failed(number).exists()).then_some(())).await;
    assert_eq!(titles(&server).await, ["0", "1", "2"]);
    assert_eq!(beside.try_wait().unwrap(), None, "the other watcher still runs");
    signal(beside.id(), rustix::process::Signal::INT);
    assert_eq!(beside.wait().unwrap().code(), Some(0), "Ctrl-C is its end");
}

#[tokio::test]
async fn killed_at_any_point_a_copied_file_is_neither_taken_twice_nor_forgotten() {
    killed_at_any_point("", 43).await;
}

#[tokio::test]
async fn killed_at_any_point_a_linked_file_is_neither_taken_twice_nor_forgotten() {
    killed_at_any_point("done = \"\"", 44).await;
}

async fn killed_at_any_point(more: &str, seed: u64) {
    let dir = incoming();
    let mut server = watching(dir.path(), more).await;
    let mut random = Random(seed);
    let names: Vec<String> = (0..6).map(|number| format!("{number}.mp4")).collect();
    for (number, name) in names.iter().enumerate() {
        std::fs::write(dir.path().join(name), noise(number as u64, 3 << 20)).unwrap();
    }
    for _ in 0..12 {
        tokio::time::sleep(std::time::Duration::from_millis(random.below(1_500))).await;
        server.kill();
        server = server.again().await;
    }
    let sorted: Vec<PathBuf> = names.iter().map(|name| dir.path().join("failed").join(name)).collect();
    until("all are sorted", 120, async || sorted.iter().all(|path| path.exists()).then_some(())).await;
    let mut expected: Vec<String> = (0..6).map(|number| number.to_string()).collect();
    expected.sort();
    assert_eq!(titles(&server).await, expected, "each became one video");
    let lying = files(dir.path());
    assert_eq!(lying.len(), 12, "each file with its reason, and no copy: {lying:?}");
}
