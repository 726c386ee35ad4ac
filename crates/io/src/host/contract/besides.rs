//! Captions, files, and how much is there.

use matinee_core::publication::besides::{Download, Making, Spoken};
use serde_json::Value;

use super::viewers::get;
use super::*;

#[tokio::test]
async fn captions_are_put_replaced_and_taken_away() {
    const TEXT: &str = "WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n";
    let object = matinee_core::id::ObjectId::from_bits(1);
    let words = Spoken { language: "en".to_owned(), label: "English".to_owned(), forced: false, object };
    for pair in pairs().await {
        let id = pair.create(1, 100).await.unwrap().id;
        for _ in 0..2 {
            assert_eq!(pair.host.caption(&id, &words, TEXT).await, Ok(()));
        }
        let refused = pair.host.caption(&id, &words, "no captions").await;
        assert!(matches!(refused, Err(HostError::Refused(_))), "{refused:?}");
        for _ in 0..2 {
            assert_eq!(pair.host.uncaption(&id, "en").await, Ok(()), "again is no error");
        }
        let nowhere = pair.host.caption("nothing", &words, TEXT).await;
        assert!(matches!(nowhere, Err(HostError::Refused(_))), "{nowhere:?}");
        pair.trouble("captions", Fault::CutAfter);
        assert!(matches!(pair.host.caption(&id, &words, TEXT).await, Err(HostError::Again(_))));
        understood(&pair);
    }
}

#[tokio::test]
async fn a_file_is_made_by_wish_and_kept_by_who_may() {
    let pair = cloudflare().await;
    let created = pair.create(1, FILM.len() as u64).await.unwrap();
    pair.push(&created.id, created.target.clone(), FILM).await;
    let early = pair.host.download(&created.id, None).await;
    assert!(matches!(early, Err(HostError::Refused(_))), "only what is ready is made a file: {early:?}");
    pair.frame.clock().pass(ENCODED_MS);
    let asked = pair.host.download(&created.id, None).await.unwrap().unwrap();
    assert_eq!(asked, Download { state: Making::Making, percent: Some(39) });
    let playback = pair.host.playback(&created.id, &Value::Null, pair.now()).unwrap();
    let file = playback.file.unwrap();
    assert_eq!(get(&file).await.0, 404, "it is not there yet");
    pair.frame.clock().pass(ENCODED_MS / 4);
    let made = pair.host.download(&created.id, Some(&asked)).await.unwrap().unwrap();
    assert_eq!(made, Download { state: Making::Ready, percent: Some(100) });
    let file = pair.host.playback(&created.id, &Value::Null, pair.now()).unwrap();
    assert_eq!(get(file.file.as_ref().unwrap()).await, (200, FILM.to_vec()));
    let watching = file.hls.replace("manifest/video.m3u8", "downloads/default.mp4");
    assert_eq!(get(&watching).await.0, 401, "who may watch may not keep");
    understood(&pair);
    let other = bunny().await;
    assert_eq!(other.host.download("any", None).await, Ok(None));
}

#[tokio::test]
async fn what_is_there_is_counted() {
    for pair in pairs().await {
        for number in 1..=3 {
            pair.create(number, 100).await.unwrap();
        }
        let usage = pair.host.usage(pair.now()).await.unwrap().unwrap();
        assert_eq!(usage.videos, Some(3));
        understood(&pair);
    }
}
