//! All bytes that players of a finished video can get: every segment of every track, and the files.

use std::collections::BTreeMap;

use crate::support::invariants::here;
use crate::support::server::Server;

/// The hash of each resource below the address of a video, by its name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output(BTreeMap<String, String>);

impl Output {
    /// How many segments there are.
    pub(crate) fn segments(&self) -> usize {
        self.0.keys().filter(|name| name.rsplit('.').next() == Some("m4s")).count()
    }

    /// Compares and names what differs.
    pub(crate) fn is(&self, expected: &Self) {
        let names = self.0.keys().chain(expected.0.keys());
        let differing: Vec<_> = names.filter(|name| self.0.get(*name) != expected.0.get(*name)).collect();
        assert!(differing.is_empty(), "these differ from the undisturbed run: {differing:?}");
    }
}

/// Reads everything that the playlists of a ready video name.
pub(crate) async fn output(server: &Server, video: &str) -> Output {
    let (status, playback) = server.get(&format!("/v1/videos/{video}/playback")).await;
    assert_eq!(status, 200, "{playback}");
    let main = here(server, &playback["hls"]);
    let mut found = BTreeMap::new();
    let root = main.rsplit_once('/').unwrap().0;
    for list in named(&text(&main).await) {
        let folder = list.rsplit_once('/').map_or("", |(folder, _)| folder);
        let body = text(&format!("{root}/{list}")).await;
        for name in named(&body) {
            let place = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let bytes = reqwest::get(format!("{root}/{place}")).await.unwrap().bytes().await.unwrap();
            found.insert(place, blake3::hash(&bytes).to_string());
        }
        found.insert(list, blake3::hash(body.as_bytes()).to_string());
    }
    let downloads = playback["downloads"].as_array().unwrap().iter();
    for download in downloads {
        let name = download["id"].as_str().unwrap().to_owned();
        let bytes = reqwest::get(here(server, &download["url"])).await.unwrap().bytes().await.unwrap();
        found.insert(name, blake3::hash(&bytes).to_string());
    }
    Output(found)
}

async fn text(url: &str) -> String {
    let response = reqwest::get(url).await.unwrap();
    assert_eq!(response.status(), 200, "{url}");
    response.text().await.unwrap()
}

/// Every address in a playlist: its lines, and the attributes `URI`.
fn named(playlist: &str) -> Vec<String> {
    let lines = playlist.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let attributes = playlist.split("URI=\"").skip(1).filter_map(|rest| rest.split_once('"'));
    lines.map(str::to_owned).chain(attributes.map(|(uri, _)| uri.to_owned())).collect()
}
