//! A watcher who keeps every segment it was given, and what the segments must be.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::invariants::here;
use crate::support::process::command;
use crate::support::sender::{Sent, create, patch, tus};
use crate::support::server::Server;
use crate::support::until;

/// What one watcher has seen of a video.
pub(super) struct Watched {
    /// Where its playlists lie, without a slash at the end.
    place: String,
    /// The playlists have an end.
    pub(super) ended: bool,
    inits: BTreeMap<char, Vec<u8>>,
    /// All segments that were listed: number, counted from 1, and bytes.
    segments: BTreeMap<(char, usize), Vec<u8>>,
    target: Option<String>,
}

const TRACKS: [(char, &str); 2] = [('v', "source"), ('a', "source-audio")];

/// Waits until a video can be watched.
pub(super) async fn playable(server: &Server, video: &str) -> Value {
    until("the video can be watched", 10, async || {
        let (status, now) = server.get(&format!("/v1/videos/{video}")).await;
        (status == 200 && now["playable"] == true).then_some(now)
    })
    .await
}

/// The durable offset of an upload, without a look that ends its running request.
pub(super) async fn arrived_at(server: &Server, sent: &Sent) -> usize {
    let (_, upload) = server.get(&format!("/v1/uploads/{}", sent.id)).await;
    usize::try_from(upload["offset_bytes"].as_u64().unwrap()).unwrap()
}

/// Sends the begin of a file of `len` bytes, which must not be shown to anybody; then gives it up.
pub(super) async fn never_early(server: &Server, bytes: &[u8], len: u64) {
    let sent = create(server, len, "lie.mp4").await;
    assert_eq!(patch(server, &sent.path, 0, bytes.to_vec()).await.status(), 204);
    let (status, problem) = server.get(&format!("/v1/videos/{}/playback", sent.video)).await;
    assert_eq!((status, &problem["code"]), (409, &"not_playable_yet".into()), "{len}: {problem}");
    let (_, video) = server.get(&format!("/v1/videos/{}", sent.video)).await;
    assert_eq!((&video["playable"], &video["playback"]), (&false.into(), &Value::Null));
    assert_eq!(tus(server, reqwest::Method::DELETE, &sent.path).send().await.unwrap().status(), 204);
}

impl Watched {
    /// Begins to watch a video that can be watched.
    pub(super) fn of(server: &Server, video: &Value) -> Self {
        let hls = here(server, &video["playback"]["hls"]);
        let place = hls.strip_suffix("/m.m3u8").unwrap().to_owned();
        assert!(place.ends_with("/1"), "it is the generation that it will be: {place}");
        Self { place, ended: false, inits: BTreeMap::new(), segments: BTreeMap::new(), target: None }
    }

    /// The server listens elsewhere since its restart.
    pub(super) fn moved_to(&mut self, server: &Server) {
        self.place = server.url(&self.place[self.place.find("/p/").unwrap()..]);
    }

    /// Loads the playlists and what is new in them; how many segments of the picture are listed. What was given before
    /// must be given again.
    pub(super) async fn look(&mut self, server: &Server) -> usize {
        let master = text(server, &format!("{}/m.m3u8", self.place)).await;
        assert!(master.contains("source/v.m3u8") && master.contains("source-audio/a.m3u8"), "{master}");
        let mut counts = Vec::new();
        self.ended = true;
        for (kind, track) in TRACKS {
            let at = format!("{}/{track}", self.place);
            let playlist = text(server, &format!("{at}/{kind}.m3u8")).await;
            let ended = playlist.contains("#EXT-X-ENDLIST");
            assert_eq!(ended, playlist.contains("PLAYLIST-TYPE:VOD"), "{playlist}");
            assert_ne!(ended, playlist.contains("PLAYLIST-TYPE:EVENT"), "{playlist}");
            self.ended &= ended;
            if kind == 'v' {
                let target = playlist.lines().find(|line| line.starts_with("#EXT-X-TARGETDURATION")).unwrap();
                assert_eq!(self.target.get_or_insert(target.to_owned()), target, "the bound stays");
            }
            let init = bytes(server, &format!("{at}/{kind}/init.mp4")).await;
            assert_eq!(self.inits.entry(kind).or_insert_with(|| init.clone()), &init);
            let names: Vec<&str> = playlist.lines().filter(|line| !line.starts_with('#')).collect();
            for (number, name) in (1..).zip(&names) {
                assert_eq!(*name, format!("{kind}/{number}.m4s"));
                let segment = bytes(server, &format!("{at}/{name}")).await;
                let known = self.segments.entry((kind, number)).or_insert_with(|| segment.clone());
                assert!(*known == segment, "{name} has changed");
            }
            counts.push(names.len());
        }
        // The second was asked a moment later.
        assert!(self.ended || counts[0] <= counts[1], "sound and picture are listed together: {counts:?}");
        counts[0]
    }

    /// Watches until all is listed that lies in the first `durable` bytes, and nothing else: segments have 4 s of picture
    /// and sound. Of fragments the last ones may still grow, so `behind` segments less are enough.
    pub(super) async fn sees_what_is_there(
        &mut self,
        server: &Server,
        (source, durable): (&[u8], usize),
        behind: usize,
    ) -> usize {
        let there = segments_in(source, durable as u64);
        let listed = until(&format!("{there} segments are listed"), 10, async || {
            let listed = self.look(server).await;
            assert!(listed <= there, "{listed} segments are listed, {there} are there");
            (listed + behind >= there).then_some(listed)
        })
        .await;
        for (kind, _) in TRACKS {
            let stream = format!("{kind}:0");
            let (own, seen) = (hashes_of(source, &stream), hashes_of(&self.file(kind), &stream));
            assert!(
                !seen.is_empty() && seen[..] == own[..seen.len()],
                "{stream} has the packets of the source"
            );
            assert_eq!(decoded(&self.file(kind), kind), seen.len(), "every frame of {stream} can be decoded");
        }
        let next = format!("source/v/{}.m4s", there + 1);
        for rest in ["source/file.mp4", "manifest.mpd", "poster.jpg", &next] {
            let (status, _) = fetched(server, &format!("{}/{rest}", self.place)).await;
            assert!(matches!(status, 404 | 409), "{rest} is {status}");
        }
        listed
    }

    /// All of the source was given, and in the end the manifest gives it, too.
    pub(super) async fn is_the_source(&self, server: &Server, source: &[u8]) {
        for (kind, _) in TRACKS {
            let stream = format!("{kind}:0");
            assert_eq!(hashes_of(&self.file(kind), &stream), hashes_of(source, &stream));
        }
        assert!(text(server, &format!("{}/manifest.mpd", self.place)).await.contains("static"));
    }

    /// Nothing that was listed is there any more.
    pub(super) async fn is_gone(&self, server: &Server) -> bool {
        let mut gone = true;
        for rest in ["m.m3u8", "source/v.m3u8", "source/v/1.m4s", "source-audio/a/1.m4s"] {
            gone &= fetched(server, &format!("{}/{rest}", self.place)).await.0 == 404;
        }
        gone
    }

    /// The segments of one track as one file.
    fn file(&self, kind: char) -> Vec<u8> {
        let segments = self.segments.range((kind, 0)..=(kind, usize::MAX)).map(|(_, bytes)| bytes.as_slice());
        [self.inits[&kind].as_slice()].into_iter().chain(segments).collect::<Vec<_>>().concat()
    }
}

/// How many frames of one track ffmpeg decodes, without a complaint.
fn decoded(bytes: &[u8], kind: char) -> usize {
    let map = format!("0:{kind}:0");
    let args = ["-flags2", "+skip_manual", "-xerror", "-i", "{}", "-map", &map, "-fps_mode", "passthrough"];
    let text = on_file("ffmpeg", bytes, &[&args[..], &["-f", "framecrc", "-"]].concat());
    text.lines().filter(|line| !line.starts_with('#')).count()
}

async fn fetched(server: &Server, url: &str) -> (u16, Vec<u8>) {
    let path = &url[url.find("/p/").unwrap()..];
    let answer = server.request(reqwest::Method::GET, path).send().await.unwrap();
    (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
}

async fn bytes(server: &Server, url: &str) -> Vec<u8> {
    let (status, bytes) = fetched(server, url).await;
    assert_eq!(status, 200, "{url}");
    bytes
}

async fn text(server: &Server, url: &str) -> String {
    String::from_utf8(bytes(server, url).await).unwrap()
}

/// What a tool writes about a file of these bytes; it must not complain.
fn on_file(program: &str, bytes: &[u8], args: &[&str]) -> String {
    let file = tempfile::Builder::new().suffix(".mp4").tempfile_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let path = file.path().to_str().unwrap();
    let args: Vec<&str> = args.iter().map(|arg| if *arg == "{}" { path } else { arg }).collect();
    let output = command(program).args(["-v", "error"]).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{program}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Length and hash of every packet of one stream.
fn hashes_of(bytes: &[u8], stream: &str) -> Vec<String> {
    let map = format!("0:{stream}");
    let args = ["-i", "{}", "-map", &map, "-c", "copy", "-f", "framehash", "-hash", "md5", "-"];
    let text = on_file("ffmpeg", bytes, &args);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(',').skip(4).take(2).map(str::trim).collect::<Vec<_>>().join(" ")).collect()
}

/// How many segments of 4 s lie in the first `durable` bytes, with their pictures and their sound.
fn segments_in(source: &[u8], durable: u64) -> usize {
    let mut there = usize::MAX;
    for (kind, _) in TRACKS {
        let stream = format!("{kind}:0");
        let args =
            ["-select_streams", &stream, "-show_entries", "packet=pts_time,pos,size", "-of", "json", "{}"];
        let all: Value = serde_json::from_str(&on_file("ffprobe", source, &args)).unwrap();
        let mut reaches: BTreeMap<u64, u64> = BTreeMap::new();
        for packet in all["packets"].as_array().unwrap() {
            let number = |name: &str| packet[name].as_str().unwrap().parse::<f64>().unwrap();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "small whole numbers"
            )]
            let (segment, end) =
                ((number("pts_time") / 4.0).max(0.0) as u64, (number("pos") + number("size")) as u64);
            let reach = reaches.entry(segment).or_default();
            *reach = end.max(*reach);
        }
        there = there.min(reaches.values().take_while(|reach| **reach <= durable).count());
    }
    there
}

/// Where the last box of this kind begins.
pub(super) fn last_box(bytes: &[u8], kind: [u8; 4]) -> usize {
    let mut at = 0;
    let mut found = None;
    while let Some(head) = bytes.get(at..at + 8) {
        let len = u32::from_be_bytes(head[..4].try_into().unwrap()) as usize;
        if head[4..] == kind {
            found = Some(at);
        }
        at += len.max(8);
    }
    found.expect("because the file has such a box")
}
