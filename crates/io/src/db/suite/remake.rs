//! Remakes: what is served plays on, the new generation takes its place at once, and a failed one leaves no trace.

use matinee_core::job::retry::Class;
use matinee_core::job::{Kind, Lease, Task};
use matinee_core::ledger::{self, State as Place};
use matinee_core::pipeline::{Pipeline, Template};
use matinee_core::remake::{Refusal, Stand};
use matinee_core::video::{self, RenditionState, State, retired_ms};
use serde_json::json;

use super::stage::{Film, stored};
use super::support::{Bench, T0, id, on_both};
use crate::db::{DbError, Probed, Video, Wish};

on_both! {
    the_generation_before_plays_until_the_new_one_is_whole
    what_was_served_stays_as_long_as_its_addresses_are_good
    a_remake_that_fails_leaves_the_video_as_it_was
    a_remake_of_which_one_size_cannot_be_made_is_not_served
    a_remake_that_is_cancelled_takes_no_late_result
    only_one_remake_runs_at_a_time_and_none_before_the_first_is_done
    a_failed_video_begins_anew
    a_job_of_a_generation_that_is_past_is_not_run_again
    a_poster_that_somebody_chose_outlives_a_remake
    a_deleted_video_takes_its_remake_along
}

const FIRST: u32 = video::FIRST_ENCODED;

pub(super) fn cinema() -> Template {
    let pipeline = Pipeline { name: "cinema".to_owned(), ..Pipeline::default() };
    Template { version: Some(2), pipeline }
}

impl Bench {
    pub(super) async fn ready(&self, instant: bool) -> Film {
        let film = self.film(instant).await;
        self.finished(&film).await;
        film
    }

    /// Encodes and assembles all of what is planned, makes the poster, and declares it done.
    pub(super) async fn finished(&self, film: &Film) {
        self.encode(film).await;
        for place in [1, 0] {
            let (lease, assembled) = self.assembled(film, place).await;
            self.db.publish_assembled(&lease, assembled).await.unwrap();
        }
        self.poster().await;
        let lease = self.hold(Kind::Finish, T0).await;
        self.db.publish_ready(&lease, T0).await.unwrap();
    }

    async fn poster(&self) {
        let lease = self.hold(Kind::Poster, T0).await;
        let poster = self.intend(&lease, ledger::Kind::Poster).await.unwrap();
        self.db.publish_poster(&lease, stored(poster, 3), T0).await.unwrap();
    }

    pub(super) async fn wish(&self, film: &Film) -> Result<(), Refusal> {
        self.wish_by(film, cinema()).await
    }

    pub(super) async fn wish_by(&self, film: &Film, template: Template) -> Result<(), Refusal> {
        let wish = Wish { app: self.app, video: film.video, template, bytes: 100, probe_job: id(), now: T0 };
        self.db.encode_again(&wish).await.unwrap()
    }

    /// Wants the video again, and publishes a plan for it.
    pub(super) async fn planned_again(&self, film: &Film) -> Film {
        self.planned_as(film, cinema(), |_, _| {}).await
    }

    /// The same by this template, with something else found.
    pub(super) async fn planned_as(
        &self,
        film: &Film,
        template: Template,
        change: impl FnOnce(&Self, &mut Probed),
    ) -> Film {
        self.wish_by(film, template).await.unwrap();
        let next = Film { pictures: [id(), id()], sound: id(), ..film.clone() };
        let lease = self.hold(Kind::Probe, T0).await;
        let mut probed = self.probed(&lease, &next, false).await;
        probed.plan = json!({ "chunks": 3, "again": true });
        change(self, &mut probed);
        self.db.publish_probe(&lease, probed).await.unwrap();
        next
    }

    pub(super) async fn look(&self, film: &Film) -> Video {
        self.db.video_any(film.video).await.unwrap().unwrap()
    }

    pub(super) async fn dead(&self, kind: Kind) -> Lease {
        let lease = self.hold(kind, T0).await;
        let error = json!({ "code": "broken", "human": "It broke.", "fix": "Mend it." });
        self.db.fail_job(&lease, Class::Refusal, error, T0, 0).await.unwrap();
        lease
    }
}

async fn the_generation_before_plays_until_the_new_one_is_whole(bench: Bench) {
    let film = bench.ready(true).await;
    let before = bench.look(&film).await;
    let next = bench.planned_again(&film).await;
    let during = bench.look(&film).await;
    assert_eq!((during.state, during.generation, during.encoding), (State::Ready, FIRST, FIRST));
    assert_eq!((&during.plan, &during.made_by), (&before.plan, &before.made_by));
    assert_eq!(during.plan_of(3).unwrap()["again"], true);
    bench.finished(&next).await;
    let after = bench.look(&film).await;
    assert_eq!((after.state, after.generation, after.encoding, &after.remake), (State::Ready, 3, 3, &None));
    assert_eq!((after.made_by, after.pipeline.as_str()), (Some(cinema().made_by()), "cinema"));
    assert_eq!(after.plan.unwrap()["again"], true);
    assert_eq!(after.playable, before.playable);
    for topic in ["video.remake", "video.remade", "video.playable", "video.ready"] {
        assert_eq!(bench.count(topic).await, 1, "{topic}");
    }
}

async fn what_was_served_stays_as_long_as_its_addresses_are_good(bench: Bench) {
    let film = bench.ready(true).await;
    let next = bench.planned_again(&film).await;
    bench.finished(&next).await;
    let old = bench.db.presentation(film.video, FIRST).await.unwrap();
    let files: Vec<_> = old.iter().map(|track| track.parts[0].object).collect();
    let end = T0.plus(retired_ms(16_000));
    assert_eq!(bench.db.forget_retired(end.plus(-1), 10).await.unwrap(), 0);
    let present = bench.in_state(film.video, Place::Present).await;
    assert!(files.iter().all(|file| present.contains(file)), "nothing of what players know is gone");
    assert_eq!(bench.db.forget_retired(end, 10).await.unwrap(), 3);
    assert_eq!(bench.db.presentation(film.video, FIRST).await.unwrap(), []);
    let present = bench.in_state(film.video, Place::Present).await;
    assert!(files.iter().all(|file| !present.contains(file)));
    assert_eq!(present.len(), 5, "source, sidecar, poster and two files: {present:?}");
    assert_eq!(bench.db.presentation(film.video, video::VIRTUAL).await.unwrap().len(), 1);
    assert_eq!(bench.db.forget_retired(end, 10).await.unwrap(), 0);
}

async fn a_remake_that_fails_leaves_the_video_as_it_was(bench: Bench) {
    for dying in [Kind::Probe, Kind::Chunk, Kind::Audio] {
        let film = bench.ready(true).await;
        let (before, present) = (bench.look(&film).await, bench.in_state(film.video, Place::Present).await);
        if dying == Kind::Probe {
            bench.wish(&film).await.unwrap();
        } else {
            let next = bench.planned_again(&film).await;
            let (lease, parts) = bench.chunk(&next, 0).await;
            bench.db.publish_chunk(&lease, parts, T0).await.unwrap();
        }
        let dead = bench.dead(dying).await;
        let after = bench.look(&film).await;
        assert_eq!((after.state, after.generation, after.encoding), (State::Ready, FIRST, FIRST));
        assert_eq!((&after.plan, &after.made_by, &after.reason), (&before.plan, &before.made_by, &None));
        let remake = after.remake.unwrap();
        assert!(
            matches!(&remake.stand, Stand::Failed { reason, .. } if reason.code == "broken"),
            "{remake:?}"
        );
        let tracks = bench.db.renditions(film.video).await.unwrap();
        assert!(tracks.iter().all(|track| track.generation <= FIRST && track.state == RenditionState::Ready));
        assert_eq!(bench.in_state(film.video, Place::Present).await, present, "{dying:?}");
        assert!(bench.claim("n/1", T0.plus(9_000_000)).await.is_none(), "nobody works on it");
        let again = bench.db.retry_job(bench.app, dead.job, T0).await;
        assert!(matches!(again, Err(DbError::Absent)), "{again:?}");
    }
    assert_eq!((bench.count("video.failed").await, bench.count("video.remake_failed").await), (0, 3));
}

async fn a_remake_of_which_one_size_cannot_be_made_is_not_served(bench: Bench) {
    let film = bench.ready(true).await;
    let present = bench.in_state(film.video, Place::Present).await;
    let next = bench.planned_again(&film).await;
    bench.encode(&next).await;
    let (lease, assembled) = bench.assembled(&next, 1).await;
    bench.db.publish_assembled(&lease, assembled).await.unwrap();
    bench.dead(Kind::Assemble).await;
    let after = bench.look(&film).await;
    assert_eq!((after.state, after.generation, after.encoding), (State::Ready, FIRST, FIRST));
    let stand = after.remake.unwrap().stand;
    assert!(matches!(&stand, Stand::Failed { reason, .. } if reason.code == "broken"), "{stand:?}");
    assert_eq!(bench.in_state(film.video, Place::Present).await, present);
    assert!(bench.claim("n/1", T0.plus(9_000_000)).await.is_none(), "nobody works on it");
}

async fn a_remake_that_is_cancelled_takes_no_late_result(bench: Bench) {
    let film = bench.ready(false).await;
    let present = bench.in_state(film.video, Place::Present).await;
    let none = bench.db.cancel_remake(bench.app, film.video, T0).await;
    assert!(matches!(none, Err(DbError::Absent)), "{none:?}");
    let next = bench.planned_again(&film).await;
    let (published, parts) = bench.chunk(&next, 0).await;
    bench.db.publish_chunk(&published, parts, T0).await.unwrap();
    let (running, late) = bench.chunk(&next, 1).await;
    bench.db.cancel_remake(bench.app, film.video, T0).await.unwrap();
    assert!(bench.db.renew(&running, T0.plus(1), None, T0).await.unwrap().cancel, "asked to stop");
    let late = bench.db.publish_chunk(&running, late, T0).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    let after = bench.look(&film).await;
    assert_eq!((after.state, after.generation, after.encoding), (State::Ready, FIRST, FIRST));
    assert_eq!(after.remake.unwrap().stand, Stand::Cancelled { ended: T0 });
    assert_eq!(bench.in_state(film.video, Place::Present).await, present);
    bench.db.give_back(&running, T0).await.unwrap();
    bench.wish(&film).await.unwrap();
    assert_eq!(bench.look(&film).await.remake.unwrap().generation, 4, "no number is given twice");
}

async fn only_one_remake_runs_at_a_time_and_none_before_the_first_is_done(bench: Bench) {
    let film = bench.film(true).await;
    assert_eq!(bench.wish(&film).await, Err(Refusal::Unfinished));
    bench.finished(&film).await;
    bench.wish(&film).await.unwrap();
    assert_eq!(bench.wish(&film).await, Err(Refusal::Running));
    let other =
        Wish { app: id(), video: film.video, template: cinema(), bytes: 100, probe_job: id(), now: T0 };
    assert!(matches!(bench.db.encode_again(&other).await, Err(DbError::Absent)), "another app's");
    assert!(matches!(bench.db.cancel_remake(id(), film.video, T0).await, Err(DbError::Absent)));
}

async fn a_failed_video_begins_anew(bench: Bench) {
    let film = bench.film(false).await;
    let (lease, parts) = bench.chunk(&film, 0).await;
    bench.db.publish_chunk(&lease, parts, T0).await.unwrap();
    bench.dead(Kind::Chunk).await;
    assert_eq!(bench.look(&film).await.state, State::Failed);
    bench.wish(&film).await.unwrap();
    let during = bench.look(&film).await;
    assert_eq!((during.state, during.generation, during.encoding), (State::Processing, 0, 3));
    assert_eq!(during.made_by, Some(cinema().made_by()));
    assert_eq!(bench.db.template(bench.app, &cinema().made_by()).await.unwrap(), Some(cinema()));
    let next = Film { pictures: [id(), id()], sound: id(), ..film.clone() };
    let lease = bench.hold(Kind::Probe, T0).await;
    let probed = bench.probed(&lease, &next, true).await;
    bench.db.publish_probe(&lease, probed).await.unwrap();
    assert_eq!(bench.look(&film).await.generation, video::VIRTUAL);
    bench.finished(&next).await;
    let after = bench.look(&film).await;
    assert_eq!((after.state, after.generation, after.reason), (State::Ready, 3, None));
    let (refused, _) = bench.brought().await;
    bench.dead(Kind::Probe).await;
    let wish =
        Wish { app: bench.app, video: refused, template: cinema(), bytes: 100, probe_job: id(), now: T0 };
    assert_eq!(bench.db.encode_again(&wish).await.unwrap(), Err(Refusal::SourceGone));
}

async fn a_job_of_a_generation_that_is_past_is_not_run_again(bench: Bench) {
    let film = bench.film(true).await;
    let dead = bench.dead(Kind::Chunk).await;
    let next = bench.planned_again(&film).await;
    let again = bench.db.retry_job(bench.app, dead.job, T0).await;
    assert!(matches!(again, Err(DbError::Absent)), "while a remake runs: {again:?}");
    bench.finished(&next).await;
    let again = bench.db.retry_job(bench.app, dead.job, T0).await;
    assert!(matches!(again, Err(DbError::Absent)), "after it: {again:?}");
    let after = bench.look(&film).await;
    assert_eq!(
        (after.state, after.generation, after.reason),
        (State::Ready, 3, None),
        "its reason is past, too"
    );
}

async fn a_poster_that_somebody_chose_outlives_a_remake(bench: Bench) {
    for chosen in [false, true] {
        let film = bench.ready(true).await;
        if chosen {
            let (whose, object) = ((bench.app, film.video), id());
            bench.db.intend_poster(whose, object, T0).await.unwrap();
            bench.db.choose_poster(whose, stored(object, 5), T0).await.unwrap();
        }
        let before = bench.look(&film).await.poster;
        let next = bench.planned_again(&film).await;
        bench.finished(&next).await;
        assert_eq!(bench.look(&film).await.poster == before, chosen);
    }
}

async fn a_deleted_video_takes_its_remake_along(bench: Bench) {
    let film = bench.ready(true).await;
    let next = bench.planned_again(&film).await;
    bench.encode(&next).await;
    bench.db.delete_video(bench.app, film.video, T0).await.unwrap();
    assert!(bench.claim("n/1", T0.plus(9_000_000)).await.is_none());
    assert_eq!(bench.db.forget_retired(T0.plus(i64::from(u32::MAX)), 10).await.unwrap(), 0);
    for entry in bench.db.ledger_due(T0, 100).await.unwrap() {
        bench.db.ledger_gone(entry.id, json!({ "status": 404 }), T0).await.unwrap();
    }
    assert!(bench.db.renditions(film.video).await.unwrap().is_empty(), "all of it is forgotten");
}

#[test]
fn a_task_of_a_remake_says_nothing_of_its_generation() {
    // The job's row does: so a payload means the same for every generation, and for every release.
    let task = serde_json::to_value(Task::Probe { video: id() }).unwrap();
    assert_eq!(task.as_object().unwrap().len(), 2);
}
