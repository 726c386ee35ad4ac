//! What viewers get from fakes: the film that these were sent, to who has a token of it.

use matinee_core::media::{Indexer, Step};
use serde_json::Value;

use super::*;
use crate::host::wire::Wire;

/// What a viewer gets at an address: the status, and the bytes.
pub(super) async fn get(url: &str) -> (u16, Vec<u8>) {
    let answer = Wire::new().unwrap().client().get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
}

/// The addresses that a playlist names.
fn named(list: &[u8], at: &str) -> Vec<String> {
    let at = url::Url::parse(at).unwrap();
    let quoted = |line: &str| Some(line.split_once("URI=\"")?.1.split_once('"')?.0.to_owned());
    let lines = std::str::from_utf8(list).unwrap().lines();
    let names =
        lines.filter_map(|line| if line.starts_with('#') { quoted(line) } else { Some(line.to_owned()) });
    names.map(|name| at.join(&name).unwrap().into()).collect()
}

/// How many pictures and frames of sound a film has.
fn samples(film: &[u8]) -> usize {
    let mut indexer = Indexer::new(film.len() as u64);
    let mut step = indexer.step(&[]).unwrap();
    while let Step::Read { offset, len } = step {
        let from = usize::try_from(offset).unwrap();
        step = indexer.step(&film[from..from + usize::try_from(len).unwrap()]).unwrap();
    }
    let Step::Done(index) = step else { panic!("it has no end") };
    index.tracks.iter().map(|track| track.samples.len()).sum()
}

#[tokio::test]
async fn what_a_fake_was_sent_is_streamed_whole() {
    for pair in pairs().await {
        let created = pair.create(1, FILM.len() as u64).await.unwrap();
        let playback = || pair.host.playback(&created.id, &Value::Null, pair.now()).unwrap();
        assert_eq!(get(&playback().hls).await.0, 404, "nothing is there yet");
        pair.push(&created.id, created.target.clone(), FILM).await;
        assert_eq!(get(&playback().hls).await.0, 404, "it is not encoded");
        pair.frame.clock().pass(ENCODED_MS);
        let playback = playback();
        let (status, master) = get(&playback.hls).await;
        assert_eq!(status, 200);
        let mut lists = named(&master, &playback.hls);
        // Sound stands there twice: beside the picture, and alone for slow lines.
        lists.sort();
        lists.dedup();
        let mut found = 0;
        for list in lists {
            let (mut film, (status, text)) = (Vec::new(), get(&list).await);
            assert_eq!(status, 200, "{list}");
            for piece in named(&text, &list) {
                let (status, bytes) = get(&piece).await;
                assert_eq!(status, 200, "{piece}");
                film.extend(bytes);
            }
            found += samples(&film);
        }
        assert_eq!(found, samples(FILM));
        let pictures = [Some(&playback.poster), playback.preview.as_ref(), playback.dash.as_ref()];
        for url in pictures.into_iter().flatten() {
            let (status, bytes) = get(url).await;
            assert!(status == 200 && !bytes.is_empty(), "{url}");
        }
        assert_eq!(get(&playback.hls.replace(".m3u8", ".m3u9")).await.0, 404);
        understood(&pair);
    }
}

#[tokio::test]
async fn who_has_no_token_of_this_video_is_refused() {
    for pair in pairs().await {
        let made = [
            pair.create(1, FILM.len() as u64).await.unwrap(),
            pair.create(2, FILM.len() as u64).await.unwrap(),
        ];
        for one in &made {
            pair.push(&one.id, one.target.clone(), FILM).await;
        }
        pair.frame.clock().pass(ENCODED_MS);
        let [own, other] =
            [0, 1].map(|at: usize| pair.host.playback(&made[at].id, &Value::Null, pair.now()).unwrap().hls);
        let refused = if pair.host.kind() == "bunny" { 403 } else { 401 };
        let bare = format!(
            "{}/{}{}",
            pair.frame.url(),
            made[0].id,
            if refused == 403 { "/playlist.m3u8" } else { "/manifest/video.m3u8" }
        );
        // A letter of the signature, and of the end that it is for.
        let middle = own.len() / 2;
        let letter = if own.as_bytes()[middle] == b'A' { "B" } else { "A" };
        let changed = format!("{}{letter}{}", &own[..middle], &own[middle + 1..]);
        let borrowed = other.replace(&format!("/{}/", made[1].id), &format!("/{}/", made[0].id));
        assert_eq!(get(&own).await.0, 200);
        assert_eq!(get(&bare).await.0, refused);
        assert_eq!(get(&changed).await.0, refused, "{changed}");
        if borrowed != other {
            assert_eq!(get(&borrowed).await.0, refused, "{borrowed}");
        }
        pair.frame.clock().pass(61_000);
        assert_eq!(get(&own).await.0, refused, "it has ended");
    }
}

#[tokio::test]
async fn what_no_browser_plays_as_it_is_fails_at_a_fake_and_says_so() {
    for pair in pairs().await {
        let broken = of_no_browser();
        let created = pair.create(1, broken.len() as u64).await.unwrap();
        pair.push(&created.id, created.target, &broken).await;
        let Standing::Failed(fault) = pair.standing(&created.id).await else { panic!("it plays") };
        assert!(fault.text.contains("does not encode"), "{fault:?}");
    }
}

/// The film with a codec that no browser knows.
fn of_no_browser() -> Vec<u8> {
    let mut film = FILM.to_vec();
    for at in 0..film.len() - 4 {
        if &film[at..at + 4] == b"avc1" {
            film[at..at + 4].copy_from_slice(b"mp4v");
        }
    }
    film
}
