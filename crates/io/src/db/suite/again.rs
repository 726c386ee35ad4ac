//! What else happens to a video that is encoded again: orders of operators, captions, damage, and what must not be seen any more.

use std::sync::Arc;

use matinee_core::caption::State as Words;
use matinee_core::id::JobId;
use matinee_core::job::retry::Class;
use matinee_core::job::{Kind, State as JobState, Task};
use matinee_core::ledger::{self, State as Place};
use matinee_core::limits::RETIRED_GENERATIONS_MAX;
use matinee_core::pipeline::{Pipeline, Template};
use matinee_core::quota;
use matinee_core::remake::{Refusal, Stand};
use matinee_core::video::{self, retired_ms};
use serde_json::json;
use tokio::sync::Notify;

use super::remake::cinema;
use super::stage::{Film, stored};
use super::support::{Bench, T0, id, on_both};
use crate::db::app::Change;
use crate::db::job::{Cancelled, Ended, Filter};
use crate::db::lease::lock_video;
use crate::db::tx::Tx;
use crate::db::value::args;
use crate::db::{DbError, NewCaption, Probed, Wish};

on_both! {
    where_pictures_are_changed_the_source_as_it_is_goes_too
    a_remake_ends_with_any_job_that_it_cannot_do_without
    a_job_that_nobody_waits_for_is_cancelled_alone
    captions_that_failed_are_made_with_a_remake
    captions_do_not_wait_for_a_remake_that_has_ended
    damage_that_a_remake_finds_is_said_when_it_is_served
    a_retry_waits_for_the_switch_and_then_comes_too_late
    a_job_that_works_for_nothing_any_more_ends
    a_remake_needs_room_in_the_quota
    only_so_many_generations_are_kept_at_once
}

fn marked() -> Template {
    let crop = Some(serde_json::from_value(json!("4:3")).unwrap());
    Template { version: None, pipeline: Pipeline { crop, ..Pipeline::default() } }
}

impl Bench {
    /// The newest job of this kind of a film.
    async fn job_of(&self, film: &Film, kind: Kind) -> JobId {
        let filter =
            Filter { app: Some(self.app), video: Some(film.video), state: None, before: None, limit: 100 };
        let jobs = self.db.jobs(&filter).await.unwrap();
        let mine = jobs.iter().find(|job| job.task.as_ref().map(Task::kind) == Some(kind));
        mine.expect("because it was planned").id
    }

    /// What the one caption of the source is.
    async fn words(&self, film: &Film) -> Words {
        self.db.captions(film.video).await.unwrap()[0].state
    }

    /// A ready video whose one caption could not be made.
    async fn silent(&self) -> Film {
        let (video, source) = self.brought().await;
        let film = Film::of(video, source);
        let lease = self.hold(Kind::Probe, T0).await;
        let mut probed = self.probed(&lease, &film, false).await;
        probed.captions = vec![NewCaption {
            name: "s1".to_owned(),
            place: 0,
            language: "en".to_owned(),
            title: String::new(),
            forced: false,
            unsupported: None,
        }];
        probed.jobs.push(self.new_task(Task::Subtitles { video }, &[]));
        self.db.publish_probe(&lease, probed).await.unwrap();
        self.dead(Kind::Subtitles).await;
        self.finished(&film).await;
        film
    }
}

async fn where_pictures_are_changed_the_source_as_it_is_goes_too(bench: Bench) {
    let film = bench.ready(true).await;
    let next = bench.planned_as(&film, marked(), |_, _| {}).await;
    bench.finished(&next).await;
    let end = T0.plus(retired_ms(16_000));
    assert_eq!(
        bench.db.presentation(film.video, video::VIRTUAL).await.unwrap().len(),
        1,
        "it is still played"
    );
    bench.db.forget_retired(end, 10).await.unwrap();
    assert_eq!(bench.db.presentation(film.video, video::VIRTUAL).await.unwrap(), []);
    let present = bench.in_state(film.video, Place::Present).await;
    assert_eq!(present.len(), 4, "source, poster and two files, but no sidecar: {present:?}");
    assert!(present.contains(&film.source), "it is its owner's");
}

async fn a_remake_ends_with_any_job_that_it_cannot_do_without(bench: Bench) {
    for (n, kind) in (1..).zip([Kind::Probe, Kind::Chunk, Kind::Audio, Kind::Assemble, Kind::Finish]) {
        for runs in [false, true] {
            let film = bench.ready(true).await;
            let present = bench.in_state(film.video, Place::Present).await;
            if kind == Kind::Probe {
                bench.wish(&film).await.unwrap();
            } else {
                bench.planned_again(&film).await;
            }
            let job = bench.job_of(&film, kind).await;
            let begins = !matches!(kind, Kind::Assemble | Kind::Finish);
            let lease = if runs && begins { Some(bench.hold(kind, T0).await) } else { None };
            let job = lease.as_ref().map_or(job, |lease| lease.job);
            let told = bench.db.cancel_job(bench.app, job, T0).await.unwrap();
            assert_eq!(told, if lease.is_some() { Cancelled::Asked } else { Cancelled::Now });
            if let Some(lease) = lease {
                assert_eq!(bench.db.give_back(&lease, T0).await.unwrap(), Ended::Cancelled);
            }
            let after = bench.look(&film).await;
            assert_eq!(after.remake.unwrap().stand, Stand::Cancelled { ended: T0 }, "{kind:?} {runs}");
            assert_eq!((after.state, after.generation), (video::State::Ready, video::FIRST_ENCODED));
            assert_eq!(bench.in_state(film.video, Place::Present).await, present);
            assert!(bench.claim("n/1", T0.plus(9_000_000)).await.is_none(), "nobody works on it");
        }
        assert_eq!(bench.count("video.remake_cancelled").await, 2 * n, "it is told once");
    }
}

async fn a_job_that_nobody_waits_for_is_cancelled_alone(bench: Bench) {
    let film = bench.ready(true).await;
    let next = bench.planned_again(&film).await;
    let poster = bench.job_of(&film, Kind::Poster).await;
    bench.db.cancel_job(bench.app, poster, T0).await.unwrap();
    assert!(bench.look(&film).await.is_encoded_again());
    bench.encode(&next).await;
    for place in [1, 0] {
        let (lease, assembled) = bench.assembled(&next, place).await;
        bench.db.publish_assembled(&lease, assembled).await.unwrap();
    }
    let lease = bench.hold(Kind::Finish, T0).await;
    bench.db.publish_ready(&lease, T0).await.unwrap();
    assert_eq!(bench.look(&film).await.generation, 3);
}

fn with_words(bench: &Bench, film: &Film, probed: &mut Probed) {
    probed.jobs.push(bench.new_task(Task::Subtitles { video: film.video }, &[]));
}

async fn captions_that_failed_are_made_with_a_remake(bench: Bench) {
    let film = bench.silent().await;
    assert_eq!(bench.words(&film).await, Words::Failed);
    let next = bench.planned_as(&film, cinema(), |bench, probed| with_words(bench, &film, probed)).await;
    assert_eq!(bench.words(&film).await, Words::Waiting);
    let lease = bench.hold(Kind::Subtitles, T0).await;
    let object = bench.intend(&lease, ledger::Kind::Caption).await.unwrap();
    bench.db.publish_captions(&lease, vec![("s1".to_owned(), Ok(stored(object, 70)))], T0).await.unwrap();
    bench.finished(&next).await;
    assert_eq!((bench.words(&film).await, bench.look(&film).await.generation), (Words::Ready, 3));
    assert!(bench.in_state(film.video, Place::Present).await.contains(&object));
}

async fn captions_do_not_wait_for_a_remake_that_has_ended(bench: Bench) {
    for ends in [Kind::Chunk, Kind::Subtitles] {
        let film = bench.silent().await;
        bench.planned_as(&film, cinema(), |bench, probed| with_words(bench, &film, probed)).await;
        let job = bench.job_of(&film, ends).await;
        bench.db.cancel_job(bench.app, job, T0).await.unwrap();
        assert_eq!(bench.words(&film).await, Words::Failed, "{ends:?}");
        let again = bench.db.captions(film.video).await.unwrap();
        assert!(again[0].reason.is_some());
        if ends == Kind::Subtitles {
            bench.db.cancel_remake(bench.app, film.video, T0).await.unwrap();
        }
    }
}

async fn damage_that_a_remake_finds_is_said_when_it_is_served(bench: Bench) {
    let damage = |what: &str| json!({ "code": what });
    let film = bench.ready(true).await;
    let next = bench.planned_as(&film, cinema(), |_, probed| probed.damaged = Some(damage("gap"))).await;
    let (lease, parts) = bench.chunk(&next, 0).await;
    bench.db.note_damage(&lease, damage("decode_errors"), T0).await.unwrap();
    assert_eq!(bench.look(&film).await.damaged, None, "of what is served nothing is known");
    bench.db.cancel_remake(bench.app, film.video, T0).await.unwrap();
    assert_eq!(bench.look(&film).await.damaged, None);
    drop(parts);
    for (found, noted, said) in [
        (Some("gap"), Some("decode_errors"), Some("gap")),
        (None, Some("decode_errors"), Some("decode_errors")),
        (None, None, None),
    ] {
        let next = bench.planned_as(&film, cinema(), |_, probed| probed.damaged = found.map(damage)).await;
        if let Some(noted) = noted {
            let lease = bench.hold(Kind::Chunk, T0).await;
            bench.db.note_damage(&lease, damage(noted), T0).await.unwrap();
            bench.db.give_back(&lease, T0).await.unwrap();
        }
        bench.finished(&next).await;
        assert_eq!(bench.look(&film).await.damaged, said.map(damage));
        bench.db.forget_retired(T0.plus(retired_ms(16_000)), 10).await.unwrap();
    }
}

/// Another encoding counts from now on.
async fn switch(tx: &mut Tx, film: &Film) -> Result<(), DbError> {
    tx.execute_one("UPDATE video SET encoding = 7 WHERE id = $1", args![film.video]).await
}

async fn a_retry_waits_for_the_switch_and_then_comes_too_late(bench: Bench) {
    let film = bench.film(true).await;
    let dead = bench.dead(Kind::Chunk).await;
    let locked = Arc::new(Notify::new());
    let switching = tokio::spawn({
        let (db, film, locked) = (bench.other_node().await.db, film.clone(), Arc::clone(&locked));
        async move {
            db.write((film, locked), |tx, (film, locked)| {
                Box::pin(async move {
                    lock_video(tx, film.video).await?;
                    locked.notify_one();
                    // On SQLite there is one writer at a time; on PostgreSQL both are under way.
                    while tx.is_postgres() {
                        let sql = "SELECT count(*) AS waiting FROM pg_stat_activity
                                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
                        if tx.row(sql, args![]).await?.unwrap().get::<i64>("waiting")? > 0 {
                            break;
                        }
                        tokio::task::yield_now().await;
                    }
                    switch(tx, film).await
                })
            })
            .await
        }
    });
    locked.notified().await;
    let again = bench.db.retry_job(bench.app, dead.job, T0).await;
    switching.await.unwrap().unwrap();
    assert!(matches!(again, Err(DbError::Absent)), "{again:?}");
    assert_eq!(bench.state(dead.job).await, JobState::Dead);
}

async fn a_job_that_works_for_nothing_any_more_ends(bench: Bench) {
    let film = bench.film(true).await;
    let leases = [bench.hold(Kind::Chunk, T0).await, bench.hold(Kind::Chunk, T0).await];
    let lost = bench.hold(Kind::Audio, T0).await;
    bench.db.write(film, |tx, film| Box::pin(switch(tx, film))).await.unwrap();
    let error = json!({ "code": "world" });
    let failed = bench.db.fail_job(&leases[0], Class::World, error, T0, 0).await.unwrap();
    assert_eq!(failed, Ended::Cancelled, "it would fail for ever");
    assert_eq!(bench.db.give_back(&leases[1], T0).await.unwrap(), Ended::Cancelled);
    assert_eq!(bench.db.reap(T0.plus(9_000_000), 0).await.unwrap().cancelled, 1);
    assert_eq!(bench.state(lost.job).await, JobState::Cancelled);
}

/// The app may hold so many bytes more than it does.
async fn limited(bench: &Bench, more: u64) {
    let (_, usage) = bench.db.app(bench.app).await.unwrap().unwrap();
    let limit = quota::Wish::Is(Some(usage.stored_bytes + more));
    bench.db.update_app(bench.app, &Change { bytes: limit, ..Change::default() }).await.unwrap();
}

async fn a_remake_needs_room_in_the_quota(bench: Bench) {
    let film = bench.ready(true).await;
    let wish =
        Wish { app: bench.app, video: film.video, template: cinema(), bytes: 100, probe_job: id(), now: T0 };
    limited(&bench, 99).await;
    let refused = bench.db.encode_again(&wish).await;
    assert!(matches!(refused, Err(DbError::Refused(_))), "{refused:?}");
    assert_eq!(bench.look(&film).await.remake, None);
    limited(&bench, 100).await;
    bench.db.encode_again(&wish).await.unwrap().unwrap();
    // It is asked again when it is known what will be made.
    let next = Film::of(film.video, film.source);
    let lease = bench.hold(Kind::Probe, T0).await;
    let probed = bench.probed(&lease, &next, false).await;
    let refused = bench.db.publish_probe(&lease, Probed { bytes: 101, ..probed.clone() }).await;
    assert!(matches!(refused, Err(DbError::Refused(_))), "{refused:?}");
    bench.db.publish_probe(&lease, Probed { bytes: 100, ..probed }).await.unwrap();
}

async fn only_so_many_generations_are_kept_at_once(bench: Bench) {
    let film = bench.ready(true).await;
    for _ in 0..RETIRED_GENERATIONS_MAX {
        let next = bench.planned_as(&film, marked(), |_, _| {}).await;
        bench.finished(&next).await;
    }
    assert_eq!(bench.wish(&film).await, Err(Refusal::TooOften));
    bench.db.forget_retired(T0.plus(retired_ms(16_000)), 10).await.unwrap();
    assert_eq!(bench.wish(&film).await, Ok(()));
}
