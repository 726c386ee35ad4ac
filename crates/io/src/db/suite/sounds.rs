//! The main sound lies in the file of the best picture; whatever becomes of that picture, the sound comes to an end.

use matinee_core::id::JobId;
use matinee_core::job::retry::Class;
use matinee_core::job::{Kind, Lease};
use matinee_core::ledger::State;
use matinee_core::limits::REPLACED_GRACE_MS;
use matinee_core::loudness::Leveled;
use matinee_core::time::Millis;
use matinee_core::video::{self, RenditionState};
use serde_json::json;

use super::stage::Film;
use super::support::{Bench, T0, on_both};
use crate::db::DbError;
use crate::db::job::Ended;

on_both! {
    the_sound_of_a_best_picture_that_dies_first_lies_in_the_next
    the_sound_of_a_best_picture_that_dies_last_is_played_from_its_own_parts
    a_video_whose_every_file_dies_is_watched_as_it_came
    a_rendition_that_failed_is_made_again_from_what_was_kept
    what_was_kept_for_a_dead_job_goes_when_it_is_forgotten
    how_loud_a_sound_was_is_kept_by_who_holds_its_job
}

async fn how_loud_a_sound_was_is_kept_by_who_holds_its_job(bench: Bench) {
    let film = bench.film(false).await;
    let lease = bench.hold(Kind::Audio, T0).await;
    let leveled = Leveled { loudness_tenths: -234, gain_tenths: 74 };
    bench.db.note_loudness(&lease, (film.sound, leveled), T0).await.unwrap();
    let kept = async || bench.db.rendition(film.sound).await.unwrap().unwrap().1.leveled;
    assert_eq!(kept().await, Some(leveled));
    bench.db.fail_job(&lease, Class::Refusal, json!({ "code": "x" }), T0, 0).await.unwrap();
    let other = Leveled { gain_tenths: 0, ..leveled };
    let late = bench.db.note_loudness(&lease, (film.sound, other), T0).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    assert_eq!(kept().await, Some(leveled));
}

/// The assemble job of `pictures[place]`, which is the next one.
async fn dies(bench: &Bench, lease: &Lease) {
    bench.db.fail_job(lease, Class::Refusal, json!({ "code": "x" }), T0, 0).await.unwrap();
}

/// A crash, three times: then it is dead, and could be run again.
async fn crashes(bench: &Bench, first: Lease) -> (JobId, Millis) {
    let (mut lease, mut now) = (first, T0);
    while let Ended::Again { run_at } =
        bench.db.fail_job(&lease, Class::Crash, json!({ "code": "x" }), now, 0).await.unwrap()
    {
        now = run_at;
        lease = bench.hold(Kind::Assemble, now).await;
    }
    (lease.job, now)
}

async fn states(bench: &Bench, film: &Film) -> [RenditionState; 3] {
    let mut states = Vec::new();
    for rendition in [film.pictures[0], film.pictures[1], film.sound] {
        states.push(bench.db.rendition(rendition).await.unwrap().unwrap().1.state);
    }
    states.try_into().unwrap()
}

/// Encodes a film; its assemble jobs are held in the order of the ladder.
async fn encoded(bench: &Bench, instant: bool) -> (Film, Lease, Lease) {
    let film = bench.film(instant).await;
    bench.encode(&film).await;
    let best = bench.hold(Kind::Assemble, T0).await;
    let small = bench.hold(Kind::Assemble, T0).await;
    (film, best, small)
}

async fn finishes(bench: &Bench, film: &Film) -> video::State {
    let lease = bench.hold(Kind::Poster, T0).await;
    dies(bench, &lease).await;
    let finish = bench.hold(Kind::Finish, T0).await;
    bench.db.publish_ready(&finish, T0).await.unwrap();
    bench.db.video(bench.app, film.video).await.unwrap().unwrap().state
}

async fn the_sound_of_a_best_picture_that_dies_first_lies_in_the_next(bench: Bench) {
    let (film, best, small) = encoded(&bench, false).await;
    dies(&bench, &best).await;
    let assembled = bench.file_of(&film, 1, &small).await;
    let whole = assembled.stored.object;
    bench.db.publish_assembled(&small, assembled).await.unwrap();
    assert_eq!(
        states(&bench, &film).await,
        [RenditionState::Failed, RenditionState::Ready, RenditionState::Ready]
    );
    let sound = bench.db.rendition(film.sound).await.unwrap().unwrap().1;
    assert_eq!(sound.file, Some(whole));
    assert_eq!(finishes(&bench, &film).await, video::State::Ready);
}

async fn the_sound_of_a_best_picture_that_dies_last_is_played_from_its_own_parts(bench: Bench) {
    let (film, best, small) = encoded(&bench, false).await;
    let assembled = bench.file_of(&film, 1, &small).await;
    bench.db.publish_assembled(&small, assembled).await.unwrap();
    assert_eq!(
        states(&bench, &film).await[2],
        RenditionState::Encoding,
        "the best picture may still carry it"
    );
    dies(&bench, &best).await;
    assert_eq!(
        states(&bench, &film).await,
        [RenditionState::Failed, RenditionState::Ready, RenditionState::Ready]
    );
    let own = bench.db.parts(film.sound).await.unwrap()[0].object;
    assert_eq!(finishes(&bench, &film).await, video::State::Ready);
    assert!(bench.in_state(film.video, State::Present).await.contains(&own));
}

async fn a_video_whose_every_file_dies_is_watched_as_it_came(bench: Bench) {
    for (instant, expected) in [(true, video::State::Ready), (false, video::State::Failed)] {
        let (film, best, small) = encoded(&bench, instant).await;
        dies(&bench, &small).await;
        assert_eq!(
            bench.db.video(bench.app, film.video).await.unwrap().unwrap().state,
            video::State::Processing
        );
        dies(&bench, &best).await;
        let seen = bench.db.video(bench.app, film.video).await.unwrap().unwrap();
        assert_eq!((seen.state, seen.generation), (expected, if instant { video::VIRTUAL } else { 0 }));
        assert_eq!(states(&bench, &film).await, [RenditionState::Failed; 3]);
    }
}

async fn a_rendition_that_failed_is_made_again_from_what_was_kept(bench: Bench) {
    let (film, best, small) = encoded(&bench, false).await;
    let (dead, now) = crashes(&bench, best).await;
    let assembled = bench.file_of(&film, 1, &small).await;
    bench.db.publish_assembled(&small, assembled).await.unwrap();
    assert_eq!(finishes(&bench, &film).await, video::State::Ready);
    let later = T0.plus(REPLACED_GRACE_MS);
    assert_eq!(bench.db.forget_failed(9, later).await.unwrap(), 0, "its job could be run again");
    assert_eq!(bench.db.parts(film.pictures[0]).await.unwrap().len(), 3);
    bench.db.retry_job(bench.app, dead, now).await.unwrap();
    let seen = bench.db.video(bench.app, film.video).await.unwrap().unwrap();
    assert_eq!(
        (seen.state, seen.generation),
        (video::State::Processing, video::FIRST_ENCODED),
        "and can be watched"
    );
    let again = bench.hold(Kind::Assemble, now).await;
    let assembled = bench.file_of(&film, 0, &again).await;
    let whole = assembled.stored.object;
    bench.db.publish_assembled(&again, assembled).await.unwrap();
    assert_eq!(states(&bench, &film).await, [RenditionState::Ready; 3]);
    assert_eq!(bench.db.rendition(film.sound).await.unwrap().unwrap().1.file, Some(whole));
    let finish = bench.hold(Kind::Finish, now).await;
    bench.db.publish_ready(&finish, now).await.unwrap();
    assert!(matches!(bench.db.retry_job(bench.app, dead, now).await, Err(DbError::Absent)));
}

async fn what_was_kept_for_a_dead_job_goes_when_it_is_forgotten(bench: Bench) {
    let (film, best, small) = encoded(&bench, false).await;
    let (_, now) = crashes(&bench, best).await;
    let assembled = bench.file_of(&film, 1, &small).await;
    bench.db.publish_assembled(&small, assembled).await.unwrap();
    finishes(&bench, &film).await;
    assert!(bench.db.prune_jobs(now.plus(1), 0).await.unwrap() > 0);
    assert_eq!(bench.db.forget_failed(9, now).await.unwrap(), 1);
    assert_eq!(bench.db.parts(film.pictures[0]).await.unwrap().len(), 0);
    assert_eq!(bench.db.forget_failed(9, now).await.unwrap(), 0);
}
