//! Orders given to the work, and why a job waits: paused, drained, put off, put first, or for room on the disk.

use http::Method;
use serde_json::{Value, json};

use super::{group, in_group};
use crate::support::clips;
use crate::support::invariants::all_hold;
use crate::support::process::command;
use crate::support::sender::{tus, upload};
use crate::support::server::{Place, Server};
use crate::support::until;

const DONE_S: u64 = 120;

async fn order(server: &Server, method: Method, path: &str, body: Option<Value>) -> Value {
    let request = server.request(method, path);
    let request = if let Some(body) = body { request.json(&body) } else { request };
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

/// What the command line says on the data of a server that runs.
fn ordered(server: &Server, words: &[&str]) -> String {
    let mut line = command(env!("CARGO_BIN_EXE_matinee"));
    let output = line.args(words).arg("--data").arg(server.data()).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Sends a clip that is not to be encoded before an hour has gone.
async fn put_off(server: &Server, bytes: &[u8]) -> String {
    let later = "2999-01-01T00:00:00Z";
    let new = json!({ "size_bytes": bytes.len(), "file_name": "later.mp4", "run_after": later });
    let answer = server.request(Method::POST, "/v1/uploads").json(&new).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let upload: Value = answer.json().await.unwrap();
    let url = reqwest::Url::parse(upload["upload_url"].as_str().unwrap()).unwrap();
    let sending = tus(server, Method::PATCH, url.path()).header("Upload-Offset", "0");
    let sent = sending.header("Content-Type", "application/offset+octet-stream").body(bytes.to_vec());
    assert_eq!(sent.send().await.unwrap().status(), 204);
    upload["video_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn work_waits_while_it_is_paused_drained_or_put_off_and_says_why() {
    let server = Server::with("[workers]\nconcurrency = 1\n").await;
    let clip = clips::sized("640x360", 4);
    let paused = order(&server, Method::PUT, "/v1/jobs/pause", None).await;
    assert!(paused["paused_at"].is_string());
    let first = upload(&server, &clip, "first.mp4").await;
    let waits =
        async |code: &'static str| in_group(&server, "waiting", 30, |job| job["waits"]["code"] == code).await;
    let probe = waits("paused").await;
    assert_eq!((&probe["kind"], &probe["title"]), (&"probe".into(), &"first".into()));

    let (status, nodes) = server.get("/v1/nodes").await;
    assert_eq!(status, 200);
    let node = &nodes["items"][0];
    assert_eq!((&node["state"], &node["concurrency"]), (&"running".into(), &1.into()), "{nodes}");
    let name = node["id"].as_str().unwrap();
    assert!(ordered(&server, &["nodes", "drain", name, "--wait"]).contains("is drained, 0 running"));
    assert_eq!(order(&server, Method::DELETE, "/v1/jobs/pause", None).await["paused_at"], Value::Null);
    waits("drained").await;
    assert!(ordered(&server, &["jobs", "ls", "--group", "waiting"]).contains("Every node is drained."));
    assert!(ordered(&server, &["nodes", "resume", name]).contains("is running"));
    server.video_in(&first.video, &["ready"], DONE_S).await;

    let later = put_off(&server, &clip).await;
    let chunk = waits("not_before").await;
    let path = format!("/v1/videos/{later}");
    let (_, video) = server.get(&path).await;
    assert_eq!(
        (&video["playable"], &video["state"]),
        (&true.into(), &"processing".into()),
        "it plays as it is"
    );
    assert!(video["forecast"]["ready_in_s"].as_f64().unwrap() > 1e9, "{video}");
    let place = json!({ "priority": 7, "with_video": true });
    let put =
        order(&server, Method::PATCH, &format!("/v1/jobs/{}", chunk["id"].as_str().unwrap()), Some(place))
            .await;
    assert_eq!(put["priority"], 7);
    assert!(group(&server, "waiting").await.iter().all(|job| job["priority"] == 7));
    order(&server, Method::PATCH, &path, Some(json!({ "run_after": "" }))).await;
    server.video_in(&later, &["ready"], DONE_S).await;
    // What was done has taught the node how long such work takes here.
    let (_, nodes) = server.get("/v1/nodes").await;
    assert!(nodes["items"][0]["pace"]["chunk"].as_f64().unwrap() > 0.0, "{nodes}");
    all_hold(&server).await;
}

#[tokio::test]
async fn a_full_disk_lets_nothing_in_and_work_goes_on_when_there_is_room() {
    const MIB: usize = 1 << 20;
    let config = "[ingest]\nkeep_free_bytes = 1048576\n";
    let Some(place) = Place::new(config).on_small_disk(96) else {
        eprintln!("this machine does not let us mount a disk");
        return;
    };
    let server = Server::at(place).await;
    let creation = async |len: usize| {
        let answer = tus(&server, Method::POST, "/files/").header("Upload-Length", len).send().await;
        answer.unwrap().status().as_u16()
    };
    order(&server, Method::PUT, "/v1/jobs/pause", None).await;
    let sent = upload(&server, &clips::sized("640x360", 4), "patient.mp4").await;
    assert_eq!(creation(5).await, 201);
    let filler = server.data().join("filler");
    let fill = |mib: usize| std::fs::write(&filler, vec![1; mib * MIB]).unwrap();
    fill(88);
    assert_eq!(creation(5).await, 507, "above nine tenths, though five bytes would fit");
    fill(92);
    order(&server, Method::DELETE, "/v1/jobs/pause", None).await;
    // The probe writes next to nothing, and its jobs wait.
    in_group(&server, "waiting", 60, |job| job["waits"]["code"] == "disk_full").await;
    let chunks = group(&server, "waiting").await;
    assert!(chunks.iter().any(|job| job["kind"] == "chunk" && job["attempt"] == 0), "{chunks:?}");
    std::fs::remove_file(&filler).unwrap();
    server.video_in(&sent.video, &["ready"], DONE_S).await;
    until("uploads are let in again", 5, async || (creation(5).await == 201).then_some(())).await;
    assert!(group(&server, "stuck").await.is_empty());
}
