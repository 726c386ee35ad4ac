//! Videos: lists and changes, deletion, and what the death of jobs means.

use matinee_core::job::retry::Class;
use matinee_core::job::{Kind, Lease};
use matinee_core::ledger;
use matinee_core::limits::CRASHES_MAX;
use matinee_core::time::Millis;
use matinee_core::video::{self, Policy, RenditionState, State};
use serde_json::json;

use super::support::{Bench, T0, on_both};
use crate::db::{DbError, Moment, VideoFilter};

on_both! {
    videos_are_listed_searched_and_changed
    a_refused_source_fails_the_video_and_nothing_remains
    a_crashed_probe_keeps_the_source_for_a_retry
    a_dead_chunk_fails_a_video_that_cannot_be_played_otherwise
    a_dead_chunk_leaves_a_playable_source_ready
    a_dead_assemble_fails_only_its_rendition
    a_deleted_video_is_gone_at_once_and_forgotten_when_all_is_gone
}

async fn videos_are_listed_searched_and_changed(bench: Bench) {
    let (first, _) = bench.brought().await;
    let (second, _) = bench.brought().await;
    let list = |filter: VideoFilter, before| {
        let bench = bench.clone();
        async move {
            let found = bench.db.videos(bench.app, &filter, before, 10).await.unwrap();
            found.iter().map(|video| video.id).collect::<Vec<_>>()
        }
    };
    assert_eq!(list(VideoFilter::default(), None).await, [second, first]);
    assert_eq!(list(VideoFilter::default(), Some(second)).await, [first]);
    let search = |text: &str| VideoFilter { search: Some(text.to_owned()), ..VideoFilter::default() };
    assert_eq!(list(search("NOW 100%"), None).await.len(), 2);
    assert!(list(search("1_0"), None).await.is_empty(), "an underscore is an underscore");
    let ready = VideoFilter { states: vec![State::Ready], ..VideoFilter::default() };
    assert!(list(ready, None).await.is_empty());
    bench.db.update_video((bench.app, first), Some("Rain"), None, T0).await.unwrap();
    bench.db.update_video((bench.app, first), None, Some(Policy::Public), T0).await.unwrap();
    assert_eq!(list(search("rain"), None).await, [first]);
    let video = bench.db.video(bench.app, first).await.unwrap().unwrap();
    assert_eq!(video.policy, Policy::Public);
    let inside = |collection| VideoFilter { collection: Some(collection), ..VideoFilter::default() };
    assert_eq!(list(inside(video.collection), None).await, [second, first]);
    assert!(list(inside(super::support::id()), None).await.is_empty());
    let other = super::support::id();
    assert!(matches!(bench.db.update_video((other, first), Some("x"), None, T0).await, Err(DbError::Absent)));
    assert!(matches!(bench.db.delete_video(other, first, T0).await, Err(DbError::Absent)));
}

async fn a_refused_source_fails_the_video_and_nothing_remains(bench: Bench) {
    let (id, source) = bench.brought().await;
    let lease = bench.hold(Kind::Probe, T0).await;
    let error = json!({ "code": "not_a_video", "human": "This is text.", "fix": "Upload a video." });
    bench.db.fail_job(&lease, Class::Refusal, error, T0, 0).await.unwrap();
    let video = bench.db.video(bench.app, id).await.unwrap().unwrap();
    let reason = video.reason.unwrap();
    assert_eq!((video.state, reason.code.as_str()), (State::Failed, "not_a_video"));
    assert_eq!(bench.in_state(id, ledger::State::ToDelete).await, [source]);
    assert_eq!(bench.count("video.failed").await, 1);
}

async fn crash(bench: &Bench, kind: Kind) -> Lease {
    let mut now = T0;
    loop {
        let lease = bench.hold(kind, now).await;
        let ended =
            bench.db.fail_job(&lease, Class::Crash, json!({ "code": "crash" }), now, 0).await.unwrap();
        if ended == crate::db::job::Ended::Dead {
            return lease;
        }
        assert!(lease.attempt <= CRASHES_MAX + 1);
        now = Millis(now.0 + 3_600_000);
    }
}

async fn a_crashed_probe_keeps_the_source_for_a_retry(bench: Bench) {
    let (id, source) = bench.brought().await;
    let dead = crash(&bench, Kind::Probe).await;
    assert_eq!(bench.db.video_any(id).await.unwrap().unwrap().state, State::Failed);
    assert_eq!(bench.in_state(id, ledger::State::Present).await, [source]);
    bench.db.retry_job(bench.app, dead.job, T0).await.unwrap();
    let video = bench.db.video_any(id).await.unwrap().unwrap();
    assert_eq!((video.state, video.reason), (State::Processing, None));
    assert_eq!(bench.hold(Kind::Probe, T0).await.job, dead.job);
}

async fn a_dead_chunk_fails_a_video_that_cannot_be_played_otherwise(bench: Bench) {
    let film = bench.film(false).await;
    let (lease, parts) = bench.chunk(&film, 0).await;
    bench.db.publish_chunk(&lease, parts, T0).await.unwrap();
    let dead = crash(&bench, Kind::Chunk).await;
    let video = bench.db.video_any(film.video).await.unwrap().unwrap();
    assert_eq!((video.state, video.generation), (State::Failed, 0));
    assert!(bench.claim("n/1", T0.plus(9_000_000)).await.is_none(), "the rest is cancelled");
    let all = bench.db.renditions(film.video).await.unwrap();
    assert!(all.iter().all(|rendition| rendition.state == RenditionState::Failed));
    bench.db.retry_job(bench.app, dead.job, T0).await.unwrap();
    for chunk in [1, 2] {
        let (lease, parts) = bench.chunk(&film, chunk).await;
        bench.db.publish_chunk(&lease, parts, T0).await.unwrap();
    }
    let sound = bench.hold(Kind::Audio, T0).await;
    let part = bench.sound(&film, &sound, (1, super::stage::SEGMENTS)).await;
    bench.db.publish_audio(&sound, Some(part), T0).await.unwrap();
    for place in [0, 1] {
        let (lease, assembled) = bench.assembled(&film, place).await;
        bench.db.publish_assembled(&lease, assembled).await.unwrap();
    }
    crash(&bench, Kind::Poster).await;
    let lease = bench.hold(Kind::Finish, T0).await;
    bench.db.publish_ready(&lease, T0).await.unwrap();
    let video = bench.db.video_any(film.video).await.unwrap().unwrap();
    assert_eq!((video.state, video.generation, video.reason), (State::Ready, video::FIRST_ENCODED, None));
}

async fn a_dead_chunk_leaves_a_playable_source_ready(bench: Bench) {
    let film = bench.film(true).await;
    let (lease, parts) = bench.chunk(&film, 0).await;
    bench.db.publish_chunk(&lease, parts, T0).await.unwrap();
    let lease = bench.hold(Kind::Chunk, T0).await;
    bench.db.fail_job(&lease, Class::Damage, json!({}), T0, 0).await.unwrap();
    let video = bench.db.video_any(film.video).await.unwrap().unwrap();
    assert_eq!((video.state, video.generation), (State::Ready, video::VIRTUAL));
    assert!(video.reason.is_some(), "says what is missing");
    assert_eq!((bench.count("video.ready").await, bench.count("video.failed").await), (1, 0));
    assert_eq!(bench.count("rendition.failed").await, 3);
    let present = bench.in_state(film.video, ledger::State::Present).await;
    assert_eq!(present.len(), 2, "source and sidecar");
}

async fn a_dead_assemble_fails_only_its_rendition(bench: Bench) {
    let film = bench.film(false).await;
    bench.encode(&film).await;
    crash(&bench, Kind::Poster).await;
    let (lease, assembled) = bench.assembled(&film, 0).await;
    bench.db.publish_assembled(&lease, assembled).await.unwrap();
    crash(&bench, Kind::Assemble).await;
    let tracks = bench.db.presentation(film.video, video::FIRST_ENCODED).await.unwrap();
    let names: Vec<_> = tracks.iter().map(|track| track.rendition.name.as_str()).collect();
    assert_eq!(names, ["h264-720", "aac-1"]);
    let lease = bench.hold(Kind::Finish, T0).await;
    bench.db.publish_ready(&lease, T0).await.unwrap();
    let video = bench.db.video_any(film.video).await.unwrap().unwrap();
    assert_eq!((video.state, video.generation), (State::Ready, video::FIRST_ENCODED));
    let present = bench.in_state(film.video, ledger::State::Present).await;
    assert_eq!(present.len(), 5, "source, one file, and three chunks of what may be made again");
}

async fn a_deleted_video_is_gone_at_once_and_forgotten_when_all_is_gone(bench: Bench) {
    let film = bench.film(true).await;
    let (lease, _parts) = bench.chunk(&film, 0).await;
    bench.db.delete_video(bench.app, film.video, T0).await.unwrap();
    assert!(matches!(bench.db.delete_video(bench.app, film.video, T0).await, Err(DbError::Absent)));
    assert_eq!(bench.db.video_any(film.video).await.unwrap(), None);
    assert!(bench.db.renew(&lease, T0.plus(1), None, T0).await.unwrap().cancel, "asked to stop");
    let due = bench.db.ledger_due(T0, 10).await.unwrap();
    assert_eq!(due.len(), 2, "what the living attempt may still write is left alone");
    for entry in due {
        bench.db.ledger_gone(entry.id, json!({ "status": 404 }), T0).await.unwrap();
        assert!(matches!(bench.db.ledger_gone(entry.id, json!({}), T0).await, Err(DbError::Absent)));
    }
    assert_eq!(bench.db.renditions(film.video).await.unwrap().len(), 4, "not all is gone");
    bench.db.give_back(&lease, T0).await.unwrap();
    for entry in bench.db.ledger_due(T0, 10).await.unwrap() {
        bench.db.ledger_gone(entry.id, json!({ "status": 404 }), T0).await.unwrap();
    }
    assert!(bench.db.renditions(film.video).await.unwrap().is_empty(), "forgotten");
    assert!(bench.db.uploads(bench.app, &[], None, 10).await.unwrap().is_empty());
    assert!(bench.db.known_objects(None, 10).await.unwrap().is_empty());
    let left = bench.db.timeline(bench.app, film.video).await.unwrap();
    let deleted = |moment: &Moment| matches!(moment, Moment::Event { topic, .. } if topic == "video.deleted");
    assert!(left.iter().any(deleted), "its events stay");
}
