//! Files that the server fetches itself: from sources that break, lie, move and lead inside.

mod zoom;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::files::{Files, Manner};
use crate::support::invariants::{all_hold, no_byte_is_lost, nothing_remains};
use crate::support::process::resident_kib;
use crate::support::server::Server;
use crate::support::tables::Tables;
use crate::support::tls::{AUTHORITY, Secure};
use crate::support::{clips, noise, until};

const MIB: usize = 1 << 20;

/// Asks for a file; status and answer.
async fn ask(server: &Server, wanted: &Value) -> (u16, Value) {
    let response = server.request(Method::POST, "/v1/ingest/url").json(wanted).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// Asks for a file that must be taken; the upload.
async fn order(server: &Server, url: &str) -> Value {
    let (status, upload) = ask(server, &json!({ "url": url })).await;
    assert_eq!(status, 201, "{upload}");
    upload
}

/// Waits until an upload is in this state, and returns it.
async fn upload_in(server: &Server, upload: &Value, state: &str, deadline_s: u64) -> Value {
    let path = format!("/v1/uploads/{}", upload["id"].as_str().unwrap());
    until(&format!("{path} is {state}"), deadline_s, async || {
        let (_, now) = server.get(&path).await;
        (now["state"] == state).then_some(now)
    })
    .await
}

/// A clip with noise behind it: playable and of any length.
fn film(seed: u64, mib: usize) -> Vec<u8> {
    let mut bytes = clips::faststart(3);
    bytes.extend(noise(seed, mib * MIB));
    bytes
}

#[tokio::test]
async fn a_file_is_fetched_with_what_the_app_knows_of_it() {
    let files = Files::start().await;
    let server = Server::with(&files.allowed()).await;
    let bytes = film(1, 1);
    let url = files.put("/a/lecture%2007.mp4", bytes.clone(), Manner::default());
    let mut wanted = json!({ "url": url, "external_id": "course-7", "metadata": { "course": 7 } });
    wanted["run_after"] = json!("tonight");
    assert_eq!(ask(&server, &wanted).await.0, 400, "that is no moment");
    wanted["run_after"] = json!("2099-01-02T03:04:05Z");
    let (status, upload) = ask(&server, &wanted).await;
    assert_eq!(
        (status, &upload["protocol"], &upload["upload_url"]),
        (201, &json!("url"), &Value::Null),
        "{upload}"
    );
    let video = upload["video_id"].as_str().unwrap();
    let path = format!("/v1/videos/{video}");
    until("it plays as it is, and is put off", 60, async || {
        let (_, video) = server.get(&path).await;
        let put_off = video["run_after"].as_str().is_some_and(|at| at.starts_with("2099-01-02T03:04:05"));
        (put_off && video["playable"] == true).then_some(())
    })
    .await;
    let now = server.request(Method::PATCH, &path).json(&json!({ "run_after": "" })).send().await.unwrap();
    assert_eq!(now.status(), 200);
    let made = server.video_in(video, &["ready", "failed"], 120).await;
    assert_eq!(made["title"], "lecture 07");
    no_byte_is_lost(&server, video, &bytes).await;
    let (status, again) = ask(&server, &wanted).await;
    assert_eq!(status, 409, "the name is taken: {again}");
    all_hold(&server).await;
}

#[tokio::test]
async fn a_source_that_cuts_every_mebibyte_loses_no_byte() {
    let files = Files::start().await;
    let server = Server::with(&files.allowed()).await;
    let bytes = film(2, 40);
    for (name, manner) in
        [("ranges", Manner::default()), ("no-mark", Manner { no_mark: true, ..Manner::default() })]
    {
        let manner = Manner { cut_every: Some(MIB), ..manner };
        let upload = order(&server, &files.put(&format!("/{name}.mp4"), bytes.clone(), manner)).await;
        let video = upload["video_id"].as_str().unwrap();
        server.video_in(video, &["ready", "failed"], 120).await;
        no_byte_is_lost(&server, video, &bytes).await;
    }
    let asked = files.asked();
    assert!(asked.len() >= 2 * 40, "{} connections", asked.len());
    assert!(asked.iter().filter(|range| range.is_none()).count() == 2, "each began once");
    all_hold(&server).await;
}

#[tokio::test]
async fn a_source_without_ranges_or_lengths_is_fetched_too() {
    let files = Files::start().await;
    let server = Server::with(&files.allowed()).await;
    let bytes = film(3, 3);
    for (name, manner) in [
        ("no-ranges", Manner { no_ranges: true, ..Manner::default() }),
        ("no-length", Manner { no_length: true, no_mark: true, ..Manner::default() }),
    ] {
        let upload = order(&server, &files.put(&format!("/{name}.mp4"), bytes.clone(), manner)).await;
        let video = upload["video_id"].as_str().unwrap();
        server.video_in(video, &["ready", "failed"], 120).await;
        no_byte_is_lost(&server, video, &bytes).await;
    }
}

#[tokio::test]
async fn a_server_that_is_killed_in_the_middle_goes_on_where_it_was() {
    let files = Files::start().await;
    let mut server = Server::with(&files.allowed()).await;
    let bytes = film(4, 24);
    let manner = Manner { rest_ms: Some(50), ..Manner::default() };
    let upload = order(&server, &files.put("/slow.mp4", bytes.clone(), manner)).await;
    let path = format!("/v1/uploads/{}", upload["id"].as_str().unwrap());
    let durable = until("some bytes are durable", 60, async || {
        server.get(&path).await.1["offset_bytes"].as_u64().filter(|offset| *offset > 0)
    })
    .await;
    server.kill();
    files.put("/slow.mp4", bytes.clone(), Manner::default());
    let before = files.asked().len();
    let server = server.again().await;
    let video = upload["video_id"].as_str().unwrap();
    upload_in(&server, &upload, "processing", 60).await;
    no_byte_is_lost(&server, video, &bytes).await;
    let range = files.asked()[before].clone().expect("because the rest is asked for");
    let from: u64 = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
    assert!(from >= durable, "{from} was durable as {durable}");
    server.video_in(video, &["ready", "failed"], 120).await;
    all_hold(&server).await;
}

#[tokio::test]
async fn what_was_fetched_has_its_hash_whatever_came_between() {
    let files = Files::start().await;
    let mut server = Server::with(&files.allowed()).await;
    let bytes = film(10, 130);
    let slow = Manner { rest_ms: Some(20), ..Manner::default() };
    let upload = order(&server, &files.put("/a.mp4", bytes.clone(), slow.clone())).await;
    let path = format!("/v1/uploads/{}", upload["id"].as_str().unwrap());
    // Once in the first slab, and once behind it.
    for (durable, next) in [(1, slow), (64 * MIB as u64 + 1, Manner::default())] {
        until("so much is durable", 120, async || {
            server.get(&path).await.1["offset_bytes"].as_u64().filter(|offset| *offset >= durable)
        })
        .await;
        server.kill();
        files.put("/a.mp4", bytes.clone(), next);
        server = server.again().await;
    }
    let video = upload["video_id"].as_str().unwrap();
    server.video_in(video, &["ready", "failed"], 120).await;
    let mut tables = Tables::open(&server.data()).await;
    let object = tables.source(video).await.object;
    let hash = blake3::hash(&bytes).as_bytes().to_vec();
    assert_eq!(tables.hashes(&object).await, (Some(hash), 3), "the file, and 64 MiB at a time");
}

#[tokio::test]
async fn a_source_that_sends_other_bytes_is_not_believed() {
    let files = Files::start().await;
    let server = Server::with(&files.allowed()).await;
    let manner = Manner { cut_every: Some(MIB), wrong_range: true, ..Manner::default() };
    let upload = order(&server, &files.put("/a.mp4", film(9, 3), manner)).await;
    let code = until("the attempt has failed", 60, async || {
        let (_, jobs) = server.get("/v1/jobs").await;
        jobs["items"].as_array()?.first()?["last_error"]["code"].as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(code, "pull_broken");
    let (_, upload) = server.get(&format!("/v1/uploads/{}", upload["id"].as_str().unwrap())).await;
    assert_eq!((&upload["state"], &upload["offset_bytes"]), (&json!("uploading"), &json!(MIB)), "{upload}");
    assert_eq!(
        server
            .request(Method::DELETE, &format!("/v1/uploads/{}", upload["id"].as_str().unwrap()))
            .send()
            .await
            .unwrap()
            .status(),
        204
    );
    nothing_remains(&server).await;
}

#[tokio::test]
async fn a_secure_source_must_prove_who_it_is() {
    let bytes = film(11, 1);
    let source = Secure::start(bytes.clone());
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let authority = dir.path().join("authority.pem");
    std::fs::write(&authority, AUTHORITY).unwrap();
    let port = source.port;
    let hosts = format!("[ingest]\nallow_hosts = [\"localhost:{port}\", \"127.0.0.1:{port}\"]\n");
    let knowing = Server::with(&format!("{hosts}authorities = {authority:?}\n")).await;
    let plain = Server::with(&hosts).await;
    for (server, host, reason) in [
        (&knowing, "127.0.0.1", "it is for another name"),
        (&plain, "localhost", "nobody who is trusted here has signed it"),
    ] {
        let upload = order(server, &format!("https://{host}:{port}/film.mp4")).await;
        let error = until("the attempt has failed", 60, async || {
            let (_, jobs) = server.get("/v1/jobs").await;
            jobs["items"].as_array()?.first().map(|job| job["last_error"].clone()).filter(Value::is_object)
        })
        .await;
        assert_eq!(error["code"], "pull_certificate", "{error}");
        assert!(error["human"].as_str().unwrap().contains(reason), "{error}");
        let path = format!("/v1/uploads/{}", upload["id"].as_str().unwrap());
        assert_eq!(server.request(Method::DELETE, &path).send().await.unwrap().status(), 204);
    }
    assert_eq!(source.asked(), 0, "nothing is asked of one that is not trusted");
    let upload = order(&knowing, &format!("https://localhost:{port}/film.mp4")).await;
    let video = upload["video_id"].as_str().unwrap();
    knowing.video_in(video, &["ready", "failed"], 120).await;
    no_byte_is_lost(&knowing, video, &bytes).await;
    assert_eq!(source.asked(), 1);
}

#[tokio::test]
async fn what_cannot_be_fetched_says_why_and_leaves_nothing() {
    let files = Files::start().await;
    let config = format!("{}[uploads]\nmax_bytes = 1000000\n", files.allowed());
    let server = Server::with(&config).await;
    let status = |status| Manner { status: Some(status), ..Manner::default() };
    let redirect = |to: &str| Manner { redirect: Some(to.to_owned()), ..Manner::default() };
    let small = noise(5, 1_000);
    for (name, bytes, manner, code) in [
        ("missing", small.clone(), status(404), "pull_not_found"),
        ("closed", small.clone(), status(403), "pull_forbidden"),
        ("teapot", small.clone(), status(418), "pull_answer"),
        ("large", noise(6, 1_000_001), Manner::default(), "pull_too_large"),
        (
            "large-unsaid",
            noise(6, 1_000_001),
            Manner { no_length: true, ..Manner::default() },
            "pull_too_large",
        ),
        ("empty", Vec::new(), Manner::default(), "pull_empty"),
        ("inside", small.clone(), redirect("http://127.0.0.1/secret"), "pull_address"),
        ("metadata", small.clone(), redirect("http://169.254.169.254/latest/meta-data/"), "pull_address"),
        ("file", small.clone(), redirect("file:///etc/passwd"), "pull_url"),
        ("round", small.clone(), redirect("/round"), "pull_redirects"),
        (
            "restless",
            noise(7, 600_000),
            Manner { changing: true, cut_every: Some(300_000), ..Manner::default() },
            "pull_changed",
        ),
    ] {
        let upload = order(&server, &files.put(&format!("/{name}"), bytes, manner)).await;
        let failed = upload_in(&server, &upload, "failed", 30).await;
        assert_eq!(failed["reason"]["code"], code, "{name}: {failed}");
        assert!(failed["reason"]["fix"].as_str().unwrap().len() > 10, "{name}");
    }
    nothing_remains(&server).await;
    all_hold(&server).await;
}

#[tokio::test]
async fn what_is_not_on_the_public_web_is_refused_at_once() {
    let server = Server::start().await;
    for url in [
        "http://127.0.0.1/a.mp4",
        "http://2130706433/a.mp4",
        "http://0x7f.1/a.mp4",
        "http://[::ffff:127.0.0.1]/a.mp4",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00::8]/a.mp4",
        "ftp://example.org/a.mp4",
        "gopher://example.org/a.mp4",
        "file:///etc/passwd",
        "http://example.org:6379/",
        "http://ann:secret@example.org/a.mp4",
        "lecture.mp4",
    ] {
        let (status, problem) = ask(&server, &json!({ "url": url })).await;
        assert_eq!((status, &problem["code"]), (422, &json!("url_refused")), "{url}: {problem}");
    }
    // A name that leads inside is refused by the job, after it was resolved.
    let upload = order(&server, "http://localhost/a.mp4").await;
    let failed = upload_in(&server, &upload, "failed", 30).await;
    assert_eq!(failed["reason"]["code"], "pull_address", "{failed}");
}

#[tokio::test]
async fn a_fetch_that_is_given_up_stops_and_leaves_nothing() {
    let files = Files::start().await;
    let server = Server::with(&files.allowed()).await;
    let manner = Manner { rest_ms: Some(100), ..Manner::default() };
    let url = files.put("/endless.mp4", noise(8, 64 * MIB), manner);
    let upload = order(&server, &url).await;
    until("it is being fetched", 20, async || (!files.asked().is_empty()).then_some(())).await;
    let path = format!("/v1/uploads/{}", upload["id"].as_str().unwrap());
    assert_eq!(server.request(Method::DELETE, &path).send().await.unwrap().status(), 204);
    upload_in(&server, &upload, "cancelled", 10).await;
    until("its job has stopped", 40, async || {
        let (_, jobs) = server.get("/v1/jobs").await;
        jobs["items"].as_array()?.iter().all(|job| job["state"] == "cancelled").then_some(())
    })
    .await;
    nothing_remains(&server).await;
}

#[tokio::test]
async fn a_source_that_stays_away_is_given_up_after_a_while() {
    let files = Files::start().await;
    let server = Server::with(&format!("{}patience = \"2s\"\n", files.allowed())).await;
    let url = files.put("/a.mp4", clips::faststart(3), Manner { status: Some(503), ..Manner::default() });
    let upload = order(&server, &url).await;
    let failed = upload_in(&server, &upload, "failed", 60).await;
    assert_eq!(failed["reason"]["code"], "pull_unavailable", "{failed}");
    assert!(failed["reason"]["human"].as_str().unwrap().ends_with("It was tried for 2s."), "{failed}");
    assert!(files.asked().len() >= 2, "once was not enough");
    nothing_remains(&server).await;
}

#[tokio::test]
async fn a_repeat_with_the_same_key_is_one_upload() {
    let files = Files::start().await;
    let server = Server::with(&files.allowed()).await;
    let url = files.put("/a.mp4", clips::faststart(3), Manner::default());
    let mut ids = Vec::new();
    for _ in 0..3 {
        let request = server.request(Method::POST, "/v1/ingest/url").header("idempotency-key", "k-1");
        let upload: Value = request.json(&json!({ "url": url })).send().await.unwrap().json().await.unwrap();
        ids.push(upload["id"].clone());
    }
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
}

#[tokio::test]
async fn five_large_files_at_once_need_little_memory() {
    let files = Files::start().await;
    let each = if std::env::var_os("MATINEE_BIG").is_some() { 4_096 } else { 48 };
    let server = Server::with(&format!("{}fetches = 5\n", files.allowed())).await;
    let url = files.put("/large.bin", vec![0; each * MIB], Manner::default());
    let mut uploads = Vec::new();
    for _ in 0..5 {
        uploads.push(order(&server, &url).await);
    }
    for upload in &uploads {
        upload_in(&server, upload, "failed", 600).await;
    }
    let resident = resident_kib(server.pid());
    assert!(resident < 150 * 1_024, "{resident} KiB were resident");
}
