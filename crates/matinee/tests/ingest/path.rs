//! `POST /v1/ingest/path`: who may, what may, and what becomes of the file.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::invariants::{no_byte_is_lost, nothing_remains};
use crate::support::server::Server;
use crate::support::{clips, noise, until};

/// A folder outside the server's own, with a server that may read below it.
async fn with_root() -> (TempDir, Server) {
    let dir = tempfile::Builder::new().prefix("roots-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::create_dir(dir.path().join("in")).unwrap();
    let config = format!("[uploads]\nimport_roots = [{:?}]", dir.path().join("in"));
    let server = Server::with(&config).await;
    (dir, server)
}

async fn cookie(server: &Server) -> String {
    let secret = until("the administrator link is printed", 10, async || {
        let said = server.said();
        Some(said.split_once("/claim#")?.1.split_whitespace().next()?.to_owned())
    })
    .await;
    let body = json!({ "token": secret });
    let response = server.request(Method::POST, "/v1/session").json(&body).send().await.unwrap();
    let cookie = response.headers().get("set-cookie").unwrap().to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

async fn ask(server: &Server, cookie: &str, body: &Value) -> (u16, Value) {
    let request = server.request(Method::POST, "/v1/ingest/path").header("Cookie", cookie).json(body);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn get(server: &Server, cookie: &str, path: &str) -> Value {
    let request = server.request(Method::GET, path).header("Cookie", cookie);
    request.send().await.unwrap().json().await.unwrap()
}

/// Waits until an upload is in this state.
async fn upload_in(server: &Server, cookie: &str, upload: &Value, state: &str) -> Value {
    let path = format!("/v1/uploads/{}", upload["id"].as_str().unwrap());
    until(&format!("the upload is {state}"), 60, async || {
        let found = get(server, cookie, &path).await;
        (found["state"] == state).then_some(found)
    })
    .await
}

fn text(path: &Path) -> Value {
    path.to_str().unwrap().into()
}

#[tokio::test]
async fn only_an_administrator_may_and_only_where_a_root_is_set() {
    let plain = Server::start().await;
    let body = json!({ "path": "/etc/passwd" });
    let newcomer = plain.request(Method::POST, "/v1/ingest/path").json(&body).send().await.unwrap();
    assert_eq!(newcomer.status(), 403, "a newcomer is no administrator");
    let admin = cookie(&plain).await;
    let (status, problem) = ask(&plain, &admin, &body).await;
    assert_eq!((status, &problem["code"]), (403, &json!("import_off")));
    assert!(problem["fix"].as_str().unwrap().contains("uploads.import_roots"), "{problem}");
    let scopes = json!({ "name": "sender", "scopes": ["upload:write", "video:read"] });
    let request = plain.request(Method::POST, "/v1/tokens").header("Cookie", &admin).json(&scopes);
    let made: Value = request.send().await.unwrap().json().await.unwrap();
    let request = plain.request(Method::POST, "/v1/ingest/path").json(&body);
    let refused = request.bearer_auth(made["secret"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(refused.status(), 403, "an upload token is not enough");
}

#[tokio::test]
async fn what_could_lead_elsewhere_is_refused_and_nothing_is_begun() {
    let (dir, server) = with_root().await;
    let admin = cookie(&server).await;
    let root = dir.path().join("in");
    std::fs::write(root.join("good.mp4"), "bytes").unwrap();
    std::fs::write(dir.path().join("secret.mp4"), "secret").unwrap();
    std::fs::hard_link(dir.path().join("secret.mp4"), root.join("hard.mp4")).unwrap();
    std::os::unix::fs::symlink(dir.path(), root.join("out")).unwrap();
    std::os::unix::fs::symlink("good.mp4", root.join("soft.mp4")).unwrap();
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, root.join("pipe.mp4"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for (path, human) in [
        (root.join("hard.mp4"), "hard link"),
        (root.join("soft.mp4"), "symbolic link"),
        (root.join("out/secret.mp4"), "symbolic link"),
        (root.join("../secret.mp4"), "outside"),
        (root.join("pipe.mp4"), "not a regular file"),
        (root.clone(), "not a regular file"),
        (root.join("absent.mp4"), "no such file"),
        (PathBuf::from("/proc/self/environ"), "outside"),
        (PathBuf::from("/dev/zero"), "outside"),
        (PathBuf::from("good.mp4"), "not absolute"),
    ] {
        let (status, problem) =
            ask(&server, &admin, &json!({ "paths": [root.join("good.mp4"), path] })).await;
        assert_eq!((status, &problem["code"]), (422, &json!("import_refused")), "{path:?}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(human), "{path:?}: {problem}");
        assert!(!problem["fix"].as_str().unwrap().is_empty());
    }
    assert_eq!(get(&server, &admin, "/v1/uploads").await["items"], json!([]), "all or none");
    let collection = json!({ "path": text(&root.join("good.mp4")), "collection": "absent" });
    assert_eq!(ask(&server, &admin, &collection).await.0, 400);
}

#[tokio::test]
async fn a_file_is_brought_in_by_a_job_with_what_is_known_of_it() {
    let (dir, server) = with_root().await;
    let admin = cookie(&server).await;
    let path = dir.path().join("in/lecture 07.mp4");
    let clip = clips::mp4(2);
    std::fs::write(&path, &clip).unwrap();
    let body = json!({
        "path": text(&path), "mode": "copy", "external_id": "course-7", "metadata": { "room": 5 },
        "collection": "default",
    });
    let (status, answer) = ask(&server, &admin, &body).await;
    assert_eq!(status, 202, "{answer}");
    let upload = &answer["items"][0];
    assert_eq!((&upload["title"], &upload["size_bytes"]), (&json!("lecture 07"), &json!(clip.len())));
    assert_eq!(ask(&server, &admin, &body).await.0, 409, "the external_id is in use");
    let video = upload["video_id"].as_str().unwrap();
    upload_in(&server, &admin, upload, "ready").await;
    no_byte_is_lost(&server, video, &clip).await;
    assert!(path.exists(), "a copy leaves the original");
}

#[tokio::test]
async fn a_moved_file_goes_when_its_video_was_checked_and_stays_when_there_is_none() {
    let (dir, server) = with_root().await;
    let admin = cookie(&server).await;
    let paths = ["film.mp4", "text.mp4"].map(|name| dir.path().join("in").join(name));
    std::fs::write(&paths[0], clips::mp4(2)).unwrap();
    std::fs::write(&paths[1], "this is no film").unwrap();
    let (status, answer) = ask(&server, &admin, &json!({ "paths": paths, "mode": "move" })).await;
    assert_eq!(status, 202, "{answer}");
    let again = ask(&server, &admin, &json!({ "path": paths[1], "mode": "move" })).await;
    assert!([202, 409].contains(&again.0), "while it is being taken, a second time is refused: {again:?}");
    upload_in(&server, &admin, &answer["items"][0], "ready").await;
    until("the original goes", 20, async || (!paths[0].exists()).then_some(())).await;
    upload_in(&server, &admin, &answer["items"][1], "failed").await;
    assert!(paths[1].exists(), "what cannot be played stays");
}

#[tokio::test]
async fn a_file_that_changes_after_its_announcement_is_not_taken() {
    let (dir, server) = with_root().await;
    let admin = cookie(&server).await;
    let path = dir.path().join("in/film.mp4");
    let announced = noise(1, 4 << 20);
    std::fs::write(&path, &announced).unwrap();
    // Many files before it keep the two takers busy.
    let others: Vec<_> = (0..8).map(|number| dir.path().join(format!("in/{number}.mp4"))).collect();
    for other in &others {
        std::fs::write(other, noise(2, 24 << 20)).unwrap();
    }
    let mut paths = others.clone();
    paths.push(path.clone());
    let (status, answer) = ask(&server, &admin, &json!({ "paths": paths, "mode": "copy" })).await;
    assert_eq!(status, 202, "{answer}");
    // Of the same length, so that only its time tells.
    std::fs::write(&path, noise(3, 4 << 20)).unwrap();
    let failed = upload_in(&server, &admin, &answer["items"][8], "failed").await;
    let code = failed["reason"]["code"].as_str().unwrap();
    // On a fast machine it was taken before it changed; then it is no film, but it is what was announced.
    if code != "import_changed" {
        no_byte_is_lost(&server, failed["video_id"].as_str().unwrap(), &announced).await;
    }
}

#[tokio::test]
async fn a_server_killed_while_it_copies_copies_again_and_leaves_nothing_half() {
    let (dir, server) = with_root().await;
    let admin = cookie(&server).await;
    let clip = clips::mp4(2);
    let path = dir.path().join("in/film.mp4");
    std::fs::write(&path, &clip).unwrap();
    let big = dir.path().join("in/big.mp4");
    std::fs::write(&big, noise(5, 96 << 20)).unwrap();
    let (_, answer) = ask(&server, &admin, &json!({ "paths": [big, path], "mode": "copy" })).await;
    let mut server = server;
    server.kill();
    let server = server.again().await;
    upload_in(&server, &admin, &answer["items"][1], "ready").await;
    no_byte_is_lost(&server, answer["items"][1]["video_id"].as_str().unwrap(), &clip).await;
    upload_in(&server, &admin, &answer["items"][0], "failed").await;
    for item in answer["items"].as_array().unwrap() {
        let path = format!("/v1/videos/{}", item["video_id"].as_str().unwrap());
        let request = server.request(Method::DELETE, &path).header("Cookie", &admin);
        assert_eq!(request.send().await.unwrap().status(), 204);
    }
    nothing_remains(&server).await;
}
