//! A video that is ready: the message has all that a site needs to show it, and the addresses work.

use http::Method;
use serde_json::{Value, json};

use super::{heard, hook, place};
use crate::access::people::House;
use crate::support::clips;
use crate::support::receiver::Receiver;
use crate::support::server::Server;

#[tokio::test]
async fn a_ready_video_is_told_with_its_files_and_how_long_each_step_took() {
    let (receiver, port) = Receiver::start(&[("/a", &[204])]).await;
    let server = Server::at(place(port)).await;
    let house = House::of(server).await;
    hook(&house, port, "/a", &["video.ready"]).await;
    let video = sent(&house).await;
    let told = heard(&receiver, "/a", 1).await.remove(0);
    assert!(told.body.len() < 20_000, "thin: {}", told.body.len());
    let said = told.json();
    let data = &said["data"];
    assert_eq!((&said["type"], &data["subject"]), (&json!("video.ready"), &json!(video)));
    assert_eq!((&data["video"]["id"], &data["video"]["state"]), (&json!(video), &json!("ready")));
    for moment in ["created_at", "playable_at", "ready_at"] {
        assert!(data[moment].as_str().unwrap().ends_with('Z'), "{moment}: {data}");
    }
    let paths = &data["playback"]["paths"];
    for path in
        ["hls", "dash", "poster"].map(|name| &paths[name]).into_iter().chain([&data["assets"][0]["path"]])
    {
        let answer = house.server.request(Method::GET, path.as_str().unwrap()).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
    assert_eq!(
        data["playback"]["hls"], paths["hls"],
        "nobody has said under which address this server is reached"
    );
    let files: Vec<_> = data["assets"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert!(files.contains(&&json!("source")) && files.len() >= 2, "{files:?}");
    assert!(data["renditions"].as_array().unwrap().iter().any(|one| one["height"].is_u64()), "{data}");
    let steps = data["steps"].as_array().unwrap();
    let kinds: Vec<_> = steps.iter().map(|step| step["kind"].as_str().unwrap()).collect();
    for kind in ["probe", "chunk", "audio", "assemble"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    let done = |step: &&Value| step["took_ms"].is_u64() && step["busy_ms"].is_u64();
    assert!(steps.iter().filter(done).count() >= 4, "{steps:?}");
}

/// Sends a film by a token of its app.
async fn sent(house: &House) -> String {
    let clip = clips::mp4(3);
    let upload =
        house.announce(&house.admin, json!({ "size_bytes": clip.len(), "file_name": "a.mp4" })).await;
    let path = crate::access::people::path_of(&upload["upload_url"]);
    let answer = crate::support::sender::patch(&house.server, &path, 0, clip).await;
    assert_eq!(answer.status(), 204);
    upload["video_id"].as_str().unwrap().to_owned()
}
