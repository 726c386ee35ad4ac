//! Who listens is told everything once: over broken connections, and over a server that was killed.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::{DONE_S, Key, ended, path, send, small};
use crate::access::people::House;
use crate::support::clips;
use crate::support::server::{Place, Server};

/// One event: its id, its name and its text.
type Heard = (Option<String>, String, String);

/// Listens from behind `last` until `enough` says so, or the stream ends.
async fn listen(
    server: &Server,
    assembly: &Value,
    last: Option<&str>,
    mut enough: impl FnMut(&[Heard]) -> bool,
) -> Vec<Heard> {
    let id = assembly["assembly_id"].as_str().unwrap();
    let at = format!("{}?assembly={id}", path(&assembly["websocket_url"]));
    let mut request = server.request(http::Method::GET, &at).header("Accept", "text/event-stream");
    if let Some(last) = last {
        request = request.header("Last-Event-ID", last);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["access-control-allow-origin"].to_str().unwrap()),
        (200, "*")
    );
    let (mut bytes, mut text, mut heard) = (answer.bytes_stream(), String::new(), Vec::new());
    let hearing = async {
        while !enough(&heard) {
            let Some(Ok(more)) = bytes.next().await else { break };
            text.push_str(std::str::from_utf8(&more).unwrap());
            while let Some((frame, rest)) = text.split_once("\n\n") {
                let of =
                    |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                if let Some(data) = of("data") {
                    let name = of("event").unwrap_or("message").to_owned();
                    heard.push((of("id").map(str::to_owned), name, data.to_owned()));
                }
                text = rest.to_owned();
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(DONE_S), hearing).await.expect("the stream goes on");
    heard
}

fn last_id(heard: &[Heard]) -> Option<&str> {
    heard.iter().rev().find_map(|(id, ..)| id.as_deref())
}

fn named<'h>(heard: &'h [Heard], wanted: &'h str) -> impl Iterator<Item = &'h str> {
    heard.iter().filter(move |(_, name, _)| name == wanted).map(|(_, _, text)| text.as_str())
}

#[tokio::test]
async fn a_listener_is_told_everything_once_over_a_killed_server() {
    let house = House::of(Server::at(Place::new("[workers]\nidentical = false\n")).await).await;
    let key = Key::of(&house, &house.admin).await;
    let server = house.server;
    let (_, made) = key.assemble(&server, &small(), 2).await;
    let film = clips::mp4(2);
    send(&server, &made, "one.mp4", &film).await;
    let uploads = |heard: &[Heard]| named(heard, "assembly_upload_finished").count();
    let first = listen(&server, &made, None, |heard| uploads(heard) == 1).await;
    assert_eq!(uploads(&first), 1);
    send(&server, &made, "two.mp4", &film).await;
    let results = |heard: &[Heard]| named(heard, "assembly_result_finished").count();
    let second = listen(&server, &made, last_id(&first), |heard| results(heard) >= 1).await;
    assert_eq!(uploads(&second), 1, "the first was told before: {second:?}");
    let mut server = server;
    server.kill();
    let server = server.again().await;
    let third = listen(&server, &made, last_id(&second), |_| false).await;
    let all: Vec<Heard> = [first, second, third].concat();
    assert_eq!(all.last().unwrap().2, "assembly_finished");
    let told = |text: &str| named(&all, "message").filter(|heard| *heard == text).count();
    for once in ["assembly_uploading_finished", "assembly_upload_meta_data_extracted", "assembly_finished"] {
        assert_eq!(told(once), 1, "{once}: {all:?}");
    }
    let mut steps: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for text in named(&all, "assembly_result_finished") {
        let pair: (String, Value) = serde_json::from_str(text).unwrap();
        steps.entry(pair.0).or_default().push(pair.1["id"].clone());
    }
    let done = ended(&server, &made).await;
    for (step, files) in done["results"].as_object().unwrap() {
        let mut ids: Vec<&str> =
            files.as_array().unwrap().iter().map(|file| file["id"].as_str().unwrap()).collect();
        let mut heard: Vec<&str> = steps[step].iter().map(|id| id.as_str().unwrap()).collect();
        ids.sort_unstable();
        heard.sort_unstable();
        assert_eq!(heard, ids, "{step}: each result once");
    }
    // Who comes when it is over hears the end at once; and who asks for nothing that is there is told so.
    let late = listen(&server, &made, last_id(&all), |_| false).await;
    assert_eq!(late, [(None, "message".to_owned(), "assembly_finished".to_owned())]);
    let (code, wrong) = server.get("/assemblies/events?assembly=0").await;
    assert_eq!((code, &wrong["error"]), (404, &json!("ASSEMBLY_NOT_FOUND")));
}
