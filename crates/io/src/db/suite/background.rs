//! What is made in the background: behind everybody's ladder, and without harm when it fails.

use matinee_core::id::{AppId, ObjectId, RenditionId};
use matinee_core::job::retry::Class;
use matinee_core::job::{Kind, Lease, NewJob, OnDeath, Task};
use matinee_core::ledger;
use matinee_core::limits::{BACKGROUND_PRIO, REPLACED_GRACE_MS};
use matinee_core::video::{self, Medium, RenditionState, State};
use serde_json::json;

use super::stage::{Film, SEGMENTS, part, rows, stored, track};
use super::support::{Bench, T0, id, on_both};
use crate::db::{Assembled, NewTrack};

on_both! {
    the_background_of_an_idle_app_waits_for_everybodys_ladder
    a_video_is_ready_before_its_background_whose_source_stays_until_it_is_whole
    a_dead_background_leaves_the_video_as_it_is_and_can_be_run_again
    the_background_of_what_is_served_goes_on_beside_a_remake
    the_background_of_a_remake_follows_it_and_that_of_before_ends
}

async fn the_background_of_an_idle_app_waits_for_everybodys_ladder(bench: Bench) {
    let jobs: Vec<_> = (0..3).map(|_| bench.new_job()).collect();
    bench.insert(&jobs).await.unwrap();
    bench.claim("n/1", T0).await.unwrap();
    let idle: AppId = id();
    bench.add_app(idle).await;
    let behind = NewJob { app: idle, prio: BACKGROUND_PRIO - 100, ..bench.new_job() };
    bench.insert(std::slice::from_ref(&behind)).await.unwrap();
    let mut order = Vec::new();
    while let Some(claimed) = bench.claim("n/1", T0).await {
        order.push(claimed.lease.job);
    }
    assert_eq!(order, [jobs[1].id, jobs[2].id, behind.id]);
}

/// The film with one size in VP9, which one job encodes and one assembles.
async fn film(bench: &Bench) -> (Film, RenditionId) {
    let (video, source) = bench.brought().await;
    let film = Film { video, source, pictures: [id(), id()], sound: id() };
    let rendition = planned(bench, &film).await;
    (film, rendition)
}

/// Publishes what the probe that waits is to say of it.
async fn planned(bench: &Bench, film: &Film) -> RenditionId {
    let video = film.video;
    let lease = bench.hold(Kind::Probe, T0).await;
    let mut probed = bench.probed(&lease, film, false).await;
    let rendition = id();
    let picture = track(rendition, "vp9-720", Medium::Video, 3);
    probed.ladder.push(NewTrack { background: true, ..picture });
    let behind = |task, needs: &[_]| NewJob { prio: BACKGROUND_PRIO, ..bench.new_task(task, needs) };
    let chunk = behind(Task::Chunk { video, chunk: 0, family: 1 }, &[]);
    let join = behind(Task::Assemble { video, rendition }, &[(chunk.id, OnDeath::Kill)]);
    let end = behind(Task::Finish { video, background: true }, &[(join.id, OnDeath::Release)]);
    probed.jobs.extend([chunk, join, end]);
    bench.db.publish_probe(&lease, probed).await.unwrap();
    rendition
}

/// The source is rewritten, and the copy is what jobs read.
async fn rewritten(bench: &Bench, film: &Film) -> ObjectId {
    bench.insert(&[bench.new_task(Task::Remux { video: film.video }, &[])]).await.unwrap();
    let lease = bench.hold(Kind::Remux, T0).await;
    let work = bench.intend(&lease, ledger::Kind::Work).await.unwrap();
    let again = bench.new_task(Task::Probe { video: film.video }, &[]);
    bench.db.publish_remux(&lease, stored(work, 50), again.clone(), T0).await.unwrap();
    bench.db.cancel_job(bench.app, again.id, T0).await.unwrap();
    work
}

/// Makes the ladder and declares the video ready.
async fn become_ready(bench: &Bench, film: &Film) {
    bench.encode(film).await;
    let poster = bench.hold(Kind::Poster, T0).await;
    bench.db.fail_job(&poster, Class::Refusal, json!({}), T0, 0).await.unwrap();
    for place in [0, 1] {
        let (lease, assembled) = bench.assembled(film, place).await;
        bench.db.publish_assembled(&lease, assembled).await.unwrap();
    }
    let lease = bench.hold(Kind::Finish, T0).await;
    bench.db.publish_ready(&lease, T0).await.unwrap();
    assert_eq!(bench.db.video_any(film.video).await.unwrap().unwrap().state, State::Ready);
}

/// Makes the picture in VP9.
async fn make(bench: &Bench, lease: &Lease, rendition: RenditionId) {
    let object = bench.intend(lease, ledger::Kind::Chunk).await.unwrap();
    bench.db.publish_chunk(lease, vec![part(rendition, object, 1, SEGMENTS)], T0).await.unwrap();
    let lease = bench.hold(Kind::Assemble, T0).await;
    let object = bench.intend(&lease, ledger::Kind::Rendition).await.unwrap();
    let assembled = Assembled {
        rendition,
        stored: stored(object, 1_000),
        segments: SEGMENTS,
        bytes: 900,
        rows: rows(1, SEGMENTS),
        sound: None,
        now: T0,
    };
    bench.db.publish_assembled(&lease, assembled).await.unwrap();
}

async fn a_video_is_ready_before_its_background_whose_source_stays_until_it_is_whole(bench: Bench) {
    let (film, rendition) = film(&bench).await;
    let work = rewritten(&bench, &film).await;
    become_ready(&bench, &film).await;
    let work_of = async || bench.db.video_any(film.video).await.unwrap().unwrap().work;
    assert_eq!(work_of().await, Some(work), "the background reads it");
    let lease = bench.hold(Kind::Chunk, T0).await;
    make(&bench, &lease, rendition).await;
    let lease = bench.hold(Kind::Finish, T0).await;
    bench.db.publish_settled(&lease, T0).await.unwrap();
    assert_eq!(work_of().await, None);
    let due = bench.db.ledger_due(T0.plus(REPLACED_GRACE_MS), 100).await.unwrap();
    assert!(due.iter().any(|entry| entry.object == work));
    assert_eq!(bench.count("video.ready").await, 1);
    bench.insert(&[bench.new_task(Task::Webm { video: film.video, rendition }, &[])]).await.unwrap();
    let lease = bench.hold(Kind::Webm, T0).await;
    let webm = bench.intend(&lease, ledger::Kind::Webm).await.unwrap();
    bench.db.publish_webm(&lease, (rendition, stored(webm, 70)), T0).await.unwrap();
    bench.db.drop_objects(&[webm], T0).await.unwrap();
    assert!(bench.in_state(film.video, ledger::State::Present).await.contains(&webm), "it is in use");
    let (_, known) = bench.db.rendition(rendition).await.unwrap().unwrap();
    assert_eq!((known.background, known.webm), (true, Some((webm, 70))));
}

async fn a_dead_background_leaves_the_video_as_it_is_and_can_be_run_again(bench: Bench) {
    let (film, rendition) = film(&bench).await;
    become_ready(&bench, &film).await;
    let lease = bench.hold(Kind::Chunk, T0).await;
    bench.db.fail_job(&lease, Class::Refusal, json!({ "code": "no" }), T0, 0).await.unwrap();
    let state = async || {
        let video = bench.db.video_any(film.video).await.unwrap().unwrap();
        let (_, known) = bench.db.rendition(rendition).await.unwrap().unwrap();
        (video.state, video.generation, video.reason.is_some(), known.state)
    };
    assert_eq!(state().await, (State::Ready, video::FIRST_ENCODED, false, RenditionState::Failed));
    let end = bench.hold(Kind::Finish, T0).await;
    bench.db.publish_settled(&end, T0).await.unwrap();
    bench.db.retry_job(bench.app, lease.job, T0).await.unwrap();
    assert_eq!(state().await, (State::Ready, video::FIRST_ENCODED, false, RenditionState::Waiting));
    let lease = bench.hold(Kind::Chunk, T0).await;
    make(&bench, &lease, rendition).await;
    assert_eq!(state().await, (State::Ready, video::FIRST_ENCODED, false, RenditionState::Ready));
    for _ in 0..2 {
        let lease = bench.hold(Kind::Finish, T0).await;
        bench.db.publish_ready(&lease, T0).await.unwrap();
    }
    assert_eq!(bench.count("video.ready").await, 1, "it was ready all the time");
}

async fn the_background_of_what_is_served_goes_on_beside_a_remake(bench: Bench) {
    let (film, rendition) = film(&bench).await;
    let work = rewritten(&bench, &film).await;
    become_ready(&bench, &film).await;
    let work_of = async || bench.db.video_any(film.video).await.unwrap().unwrap().work;
    bench.wish(&film).await.unwrap();
    bench.db.cancel_remake(bench.app, film.video, T0).await.unwrap();
    assert_eq!(work_of().await, Some(work), "the background still reads it");

    bench.wish(&film).await.unwrap();
    let lease = bench.hold(Kind::Chunk, T0).await;
    make(&bench, &lease, rendition).await;
    let lease = bench.hold(Kind::Finish, T0).await;
    bench.db.publish_settled(&lease, T0).await.unwrap();
    assert_eq!(work_of().await, Some(work), "the remake reads it now");
    let lease = bench.hold(Kind::Probe, T0).await;
    bench.db.fail_job(&lease, Class::Refusal, json!({ "code": "no" }), T0, 0).await.unwrap();
    assert_eq!(work_of().await, None, "nobody reads it any more");
    let (_, known) = bench.db.rendition(rendition).await.unwrap().unwrap();
    assert_eq!(known.state, RenditionState::Ready, "what is served has kept its background");
    assert!(bench.claim("n/1", T0.plus(9_000_000)).await.is_none());
}

async fn the_background_of_a_remake_follows_it_and_that_of_before_ends(bench: Bench) {
    let (film, before) = film(&bench).await;
    let work = rewritten(&bench, &film).await;
    become_ready(&bench, &film).await;
    bench.wish(&film).await.unwrap();
    let next = Film { pictures: [id(), id()], sound: id(), ..film.clone() };
    let after = planned(&bench, &next).await;
    become_ready(&bench, &next).await;
    let look = async || bench.db.video_any(film.video).await.unwrap().unwrap();
    assert_eq!((look().await.generation, look().await.work), (3, Some(work)), "its background reads it");

    let lease = bench.hold(Kind::Chunk, T0).await;
    make(&bench, &lease, after).await;
    let lease = bench.hold(Kind::Finish, T0).await;
    bench.db.publish_settled(&lease, T0).await.unwrap();
    assert_eq!(look().await.work, None);
    assert!(bench.claim("n/1", T0.plus(9_000_000)).await.is_none(), "that of before is not made any more");
    let end = T0.plus(video::retired_ms(16_000));
    bench.db.forget_retired(end, 10).await.unwrap();
    assert!(bench.db.rendition(before).await.unwrap().is_none());
    bench.db.forget_failed(10, end).await.unwrap();
    let (_, known) = bench.db.rendition(after).await.unwrap().unwrap();
    assert_eq!(known.state, RenditionState::Ready);
}
