//! Encoding as its owner sees it: what was asked for is what is made.

mod again;
mod cattube;
mod gate;
mod hardware;
mod loud;
mod marked;
mod pipelines;
mod remade;
mod steps;

use http::Method;
use serde_json::{Value, json};

use crate::support::clips;
use crate::support::sender::{header, tus};
use crate::support::server::Server;

/// Announces an upload by this pipeline; the video that it becomes, once it is ready.
async fn made(server: &Server, pipeline: Option<&str>, bytes: &[u8]) -> Value {
    let video = announced(server, pipeline, bytes).await;
    server.video_in(&video, &["ready"], 120).await
}

/// Announces and sends an upload; the id of its video.
pub(crate) async fn announced(server: &Server, pipeline: Option<&str>, bytes: &[u8]) -> String {
    let new = json!({ "size_bytes": bytes.len(), "file_name": "film.mp4", "pipeline": pipeline });
    let answer = server.request(Method::POST, "/v1/uploads").json(&new).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let upload: Value = answer.json().await.unwrap();
    assert_eq!(upload["pipeline"], pipeline.unwrap_or("default"));
    let url = reqwest::Url::parse(upload["upload_url"].as_str().unwrap()).unwrap();
    let sending = tus(server, Method::PATCH, url.path()).header("Upload-Offset", "0");
    let sent = sending.header("Content-Type", "application/offset+octet-stream").body(bytes.to_vec());
    let sent = sent.send().await.unwrap();
    assert_eq!(header(&sent, "Upload-Offset"), Some(bytes.len().to_string().as_str()));
    upload["video_id"].as_str().unwrap().to_owned()
}

fn heights(video: &Value) -> Vec<u64> {
    let all = video["renditions"].as_array().unwrap();
    all.iter().filter_map(|one| one["height"].as_u64()).collect()
}

#[tokio::test]
async fn the_pipeline_that_an_upload_names_decides_what_is_made() {
    let small = "[[pipeline]]\nname = \"small\"\nsizes = [240]\npriority = 5\n";
    let server = Server::with(small).await;
    let (status, listed) = server.get("/v1/pipelines").await;
    let names: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!((status, names), (200, vec![&json!("default"), &json!("small")]));

    let clip = clips::sized("640x360", 2);
    assert_eq!(heights(&made(&server, None, &clip).await), [360, 240]);
    assert_eq!(heights(&made(&server, Some("small"), &clip).await), [240]);

    let unknown = json!({ "size_bytes": 5, "pipeline": "cinema" });
    let refused = server.request(Method::POST, "/v1/uploads").json(&unknown).send().await.unwrap();
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().contains("this server has default, small"));
}

#[tokio::test]
async fn a_damaged_source_is_concealed_and_told_or_refused_by_a_strict_pipeline() {
    let server = Server::with("[[pipeline]]\nname = \"strict\"\nstrict = true\n").await;
    // AVI, so that nothing can be played before it is encoded.
    let (good, bad) = (clips::avi(6), clips::spoilt(6));
    assert!(made(&server, None, &good).await["damaged"].is_null());
    let made_of = made(&server, None, &bad).await;
    let said = &made_of["damaged"];
    assert_eq!(said["code"], "decode_errors", "{made_of}");
    let human = said["human"].as_str().unwrap();
    assert!(human.contains(" pictures cannot be decoded") || human.contains("sound cannot"), "{human}");

    assert!(made(&server, Some("strict"), &good).await["damaged"].is_null(), "a good source passes");
    let id = announced(&server, Some("strict"), &bad).await;
    let refused = server.video_in(&id, &["failed"], 120).await;
    assert_eq!(refused["reason"]["code"], "damaged_source", "{refused}");
    assert!(refused["reason"]["fix"].as_str().unwrap().contains("strict"), "{refused}");
}
