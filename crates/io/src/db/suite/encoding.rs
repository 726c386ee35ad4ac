//! Encoding: what is published under a lease, when a video becomes playable, and when it is ready.

use matinee_core::job::load::Load;
use matinee_core::job::{Kind, NewJob, Task};
use matinee_core::ledger::{self, State};
use matinee_core::limits::{LEASE_MS, REPLACED_GRACE_MS};
use matinee_core::video::{self, Medium, RenditionState};

use super::stage::{Film, SEGMENTS, rows, stored};
use super::support::{Bench, T0, id, on_both};
use crate::db::{DbError, Probed};
use serde_json::json;

on_both! {
    a_compatible_source_is_playable_with_its_probe
    chunks_in_any_order_make_a_video_playable_once
    chunks_that_end_together_make_a_video_playable_once
    a_lost_lease_publishes_nothing
    a_part_with_another_sample_entry_is_refused
    a_second_attempt_at_the_sound_adds_only_what_is_new
    an_assembled_file_replaces_its_parts
    a_ready_video_keeps_only_what_is_played
    what_was_said_first_of_a_damaged_source_stays
    a_rewriting_that_was_given_up_is_followed_by_a_probe
}

async fn a_compatible_source_is_playable_with_its_probe(bench: Bench) {
    let film = bench.film(true).await;
    let video = bench.db.video_any(film.video).await.unwrap().unwrap();
    assert!(video.is_playable() && video.generation == video::VIRTUAL && video.playable == Some(T0));
    assert_eq!(video.duration_ms, Some(16_000));
    let tracks = bench.db.presentation(film.video, video.generation).await.unwrap();
    assert_eq!((tracks.len(), tracks[0].parts[0].source), (1, Some(film.source)));
    let source = &tracks[0].rendition;
    assert_eq!(
        bench.db.part_rows(source.id, 1).await.unwrap().map(|(_, rows)| rows),
        Some(rows(1, SEGMENTS))
    );
    let ladder = bench.db.presentation(film.video, video::FIRST_ENCODED).await.unwrap();
    let names: Vec<_> = ladder.iter().map(|track| track.rendition.name.as_str()).collect();
    assert_eq!(names, ["h264-720", "h264-480", "aac-1"]);
    assert!(ladder.iter().all(|track| track.rendition.state == RenditionState::Waiting));
    bench.encode(&film).await;
    assert_eq!(bench.db.video_any(film.video).await.unwrap().unwrap().generation, video::VIRTUAL);
    assert_eq!(bench.count("video.playable").await, 1, "a growing ladder is no news");
}

async fn chunks_in_any_order_make_a_video_playable_once(bench: Bench) {
    let film = bench.film(false).await;
    let mut last = Vec::new();
    for chunk in [2, 1] {
        let (lease, parts) = bench.chunk(&film, chunk).await;
        last.push(bench.db.publish_chunk(&lease, parts, T0).await.unwrap());
    }
    let sound = bench.hold(Kind::Audio, T0).await;
    let part = bench.sound(&film, &sound, (1, 2)).await;
    last.push(bench.db.publish_audio_part(&sound, part, T0).await.unwrap());
    let (lease, parts) = bench.chunk(&film, 0).await;
    last.push(bench.db.publish_chunk(&lease, parts, T0.plus(5)).await.unwrap());
    let part = bench.sound(&film, &sound, (3, 2)).await;
    last.push(bench.db.publish_audio(&sound, Some(part), T0).await.unwrap());
    assert_eq!(last, [false, false, false, true, false]);
    let video = bench.db.video(bench.app, film.video).await.unwrap().unwrap();
    assert_eq!((video.generation, video.playable), (video::FIRST_ENCODED, Some(T0.plus(5))));
    assert_eq!(bench.count("video.playable").await, 1);
    let firsts: Vec<u32> =
        bench.db.parts(film.pictures[1]).await.unwrap().iter().map(|part| part.first).collect();
    assert_eq!(firsts, [1, 2, 3]);
    let picture = bench.db.rendition(film.pictures[0]).await.unwrap().unwrap().1;
    assert_eq!((picture.state, picture.medium), (RenditionState::Encoding, Medium::Video));
    assert_eq!((picture.shape.timescale, picture.shape.init), (Some(12_800), Some(vec![1, 2])));
}

async fn chunks_that_end_together_make_a_video_playable_once(bench: Bench) {
    for _ in 0..5 {
        let film = bench.film(false).await;
        let sound = bench.hold(Kind::Audio, T0).await;
        let part = bench.sound(&film, &sound, (1, SEGMENTS)).await;
        let mut ends = vec![tokio::spawn({
            let db = bench.db.clone();
            async move { db.publish_audio(&sound, Some(part), T0).await }
        })];
        for chunk in 0..3 {
            let (lease, parts) = bench.chunk(&film, chunk).await;
            let db = bench.db.clone();
            ends.push(tokio::spawn(async move { db.publish_chunk(&lease, parts, T0).await }));
        }
        let mut made = 0;
        for end in ends {
            made += u32::from(end.await.unwrap().unwrap());
        }
        assert_eq!(made, 1);
        bench.db.delete_video(bench.app, film.video, T0).await.unwrap();
    }
}

async fn a_lost_lease_publishes_nothing(bench: Bench) {
    let film = bench.film(false).await;
    let (lease, parts) = bench.chunk(&film, 0).await;
    let late = T0.plus(LEASE_MS + 1);
    assert_eq!(bench.db.reap(late, 0).await.unwrap().again, 1);
    let lost = bench.db.publish_chunk(&lease, parts.clone(), late).await;
    assert!(matches!(lost, Err(DbError::LeaseLost)), "{lost:?}");
    assert!(matches!(bench.intend(&lease, ledger::Kind::Chunk).await, Err(DbError::LeaseLost)));
    assert!(bench.db.parts(film.pictures[0]).await.unwrap().is_empty());
    assert_eq!(bench.in_state(film.video, State::Intended).await.len(), 2, "still to be swept");
    let (second, mut again) = bench.chunk(&film, 0).await;
    bench.db.delete_video(bench.app, film.video, T0).await.unwrap();
    assert!(matches!(bench.db.publish_chunk(&second, again.split_off(0), T0).await, Err(DbError::LeaseLost)));
    assert!(matches!(bench.intend(&second, ledger::Kind::Chunk).await, Err(DbError::LeaseLost)));
    assert!(bench.in_state(film.video, State::Present).await.is_empty());
}

async fn a_part_with_another_sample_entry_is_refused(bench: Bench) {
    let film = bench.film(false).await;
    let (lease, parts) = bench.chunk(&film, 0).await;
    bench.db.publish_chunk(&lease, parts, T0).await.unwrap();
    let (lease, mut parts) = bench.chunk(&film, 1).await;
    parts[1].shape.entry_hash = Some([8; 32]);
    let odd = bench.db.publish_chunk(&lease, parts.clone(), T0).await;
    assert!(matches!(odd, Err(DbError::Conflict(_))), "{odd:?}");
    assert_eq!(bench.db.parts(film.pictures[0]).await.unwrap().len(), 1, "nothing of it");
    parts[1].shape.entry_hash = Some([9; 32]);
    bench.db.publish_chunk(&lease, parts, T0).await.unwrap();
}

async fn a_second_attempt_at_the_sound_adds_only_what_is_new(bench: Bench) {
    let film = bench.film(false).await;
    let first = bench.hold(Kind::Audio, T0).await;
    let part = bench.sound(&film, &first, (1, 2)).await;
    bench.db.publish_audio_part(&first, part, T0).await.unwrap();
    let late = T0.plus(LEASE_MS + 1);
    bench.db.reap(late, 0).await.unwrap();
    let second = bench.hold(Kind::Audio, late).await;
    let same = bench.sound(&film, &second, (1, 1)).await;
    bench.db.publish_audio_part(&second, same.clone(), T0).await.unwrap();
    assert_eq!(bench.in_state(film.video, State::ToDelete).await, [same.stored.object]);
    let longer = bench.sound(&film, &second, (2, 3)).await;
    bench.db.publish_audio(&second, Some(longer), T0).await.unwrap();
    let parts = bench.db.parts(film.sound).await.unwrap();
    let spans: Vec<_> = parts.iter().map(|part| (part.first, part.segments, part.bytes)).collect();
    assert_eq!(spans, [(1, 2, 200), (3, 2, 200)]);
    assert_eq!(bench.db.part_rows(film.sound, 3).await.unwrap().map(|(_, rows)| rows), Some(rows(3, 2)));
}

async fn an_assembled_file_replaces_its_parts(bench: Bench) {
    let film = bench.film(false).await;
    bench.encode(&film).await;
    let (lease, assembled) = bench.assembled(&film, 1).await;
    let mut short = assembled.clone();
    (short.segments, short.rows) = (3, rows(1, 3));
    let refused = bench.db.publish_assembled(&lease, short).await;
    assert!(matches!(refused, Err(DbError::Conflict(_))), "{refused:?}");
    let whole = assembled.stored.object;
    bench.db.publish_assembled(&lease, assembled).await.unwrap();
    let parts = bench.db.parts(film.pictures[1]).await.unwrap();
    assert_eq!((parts.len(), parts[0].object, parts[0].segments), (1, whole, SEGMENTS));
    assert_eq!(bench.in_state(film.video, State::ToDelete).await.len(), 3, "the chunks of this rendition");
    assert_eq!(bench.db.parts(film.sound).await.unwrap().len(), 1);
    let sound = bench.db.parts(film.sound).await.unwrap()[0].object;
    assert_ne!(sound, whole, "the sound goes with the best picture");
    assert!(bench.db.ledger_due(T0, 10).await.unwrap().is_empty(), "players may still know the chunks");
    assert_eq!(bench.db.ledger_due(T0.plus(REPLACED_GRACE_MS), 10).await.unwrap().len(), 3);
    let (lease, assembled) = bench.assembled(&film, 0).await;
    let best = assembled.stored.object;
    bench.db.publish_assembled(&lease, assembled).await.unwrap();
    assert_eq!(bench.db.parts(film.sound).await.unwrap()[0].object, best);
    let sound = bench.db.rendition(film.sound).await.unwrap().unwrap().1;
    assert_eq!((sound.state, sound.file, sound.file_bytes), (RenditionState::Ready, Some(best), Some(1_000)));
    assert_eq!(bench.count("rendition.ready").await, 2);
}

async fn a_ready_video_keeps_only_what_is_played(bench: Bench) {
    let film = bench.film(true).await;
    bench.encode(&film).await;
    let lease = bench.hold(Kind::Poster, T0).await;
    let poster = bench.intend(&lease, ledger::Kind::Poster).await.unwrap();
    bench.db.publish_poster(&lease, stored(poster, 3), T0).await.unwrap();
    let mut kept = vec![film.source, poster];
    for place in [1, 0] {
        let (lease, assembled) = bench.assembled(&film, place).await;
        kept.push(assembled.stored.object);
        bench.db.publish_assembled(&lease, assembled).await.unwrap();
    }
    let finish = bench.hold(Kind::Finish, T0).await;
    bench.db.publish_ready(&finish, T0.plus(9)).await.unwrap();
    let video = bench.db.video(bench.app, film.video).await.unwrap().unwrap();
    assert_eq!((video.state, video.generation), (video::State::Ready, video::FIRST_ENCODED));
    assert_eq!((video.poster, video.playable, video.ready), (Some(poster), Some(T0), Some(T0.plus(9))));
    let source = bench.db.presentation(film.video, video::VIRTUAL).await.unwrap();
    kept.push(source[0].parts[0].object);
    let mut present = bench.in_state(film.video, State::Present).await;
    present.sort_unstable();
    kept.sort_unstable();
    assert_eq!(present, kept);
    assert_eq!(bench.in_state(film.video, State::Intended).await, []);
    assert_eq!(bench.in_state(film.video, State::ToDelete).await.len(), 7, "six chunks and the sound");
    assert_eq!(bench.count("video.ready").await, 1);
}

async fn what_was_said_first_of_a_damaged_source_stays(bench: Bench) {
    let film = bench.film(false).await;
    let (lease, parts) = bench.chunk(&film, 0).await;
    let said = |code: &str| json!({ "code": code });
    bench.db.note_damage(&lease, said("first"), T0).await.unwrap();
    bench.db.note_damage(&lease, said("second"), T0).await.unwrap();
    let damaged = async || bench.db.video_any(film.video).await.unwrap().unwrap().damaged;
    assert_eq!(damaged().await, Some(said("first")));
    bench.db.publish_chunk(&lease, parts, T0).await.unwrap();
    let late = bench.db.note_damage(&lease, said("late"), T0).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    assert_eq!(damaged().await, Some(said("first")));
}

async fn a_rewriting_that_was_given_up_is_followed_by_a_probe(bench: Bench) {
    let (video, _) = bench.brought().await;
    let probe = bench.hold(Kind::Probe, T0).await;
    let new = |task| NewJob {
        id: id(),
        app: bench.app,
        video: Some(video),
        task,
        prio: 0,
        weight: 0,
        run_at: T0,
        needs: Vec::new(),
        load: Load::default(),
        idem_key: None,
    };
    let film = Film { video, source: id(), pictures: [id(), id()], sound: id() };
    let remux = new(Task::Remux { video });
    let probed = Probed { ladder: Vec::new(), jobs: vec![remux], ..bench.probed(&probe, &film, false).await };
    bench.db.publish_probe(&probe, probed).await.unwrap();
    let lease = bench.hold(Kind::Remux, T0).await;
    bench.db.give_up_remux(&lease, new(Task::Probe { video }), T0).await.unwrap();
    let again = bench.hold(Kind::Probe, T0).await;
    assert!(bench.db.video_any(video).await.unwrap().unwrap().work.is_none());
    assert_ne!(again.job, probe.job);
    let twice = bench.db.give_up_remux(&lease, new(Task::Probe { video }), T0).await;
    assert!(matches!(twice, Err(DbError::LeaseLost)), "{twice:?}");
}
