//! Pulls: made with their job, finished with it, ended with it; and events of Zoom that come more than once.

use matinee_core::job::retry::Class;
use matinee_core::job::{Kind, State as Stage};
use matinee_core::ledger;
use matinee_core::limits::LEASE_MS;
use matinee_core::upload::{Phase, State};
use serde_json::json;

use super::stage::finish;
use super::support::{Bench, T0, id, on_both};
use crate::db::job::Cancelled;
use crate::db::{DbError, NewPull, Reached, SlabHash, ZoomEvent};

on_both! {
    a_pull_is_finished_together_with_its_job
    the_same_wish_is_taken_once
    a_pull_that_is_given_up_ends_its_upload_with_the_reason
    cancelling_either_ends_both
    a_lost_lease_never_ends_a_pull
    a_file_that_changed_begins_anew
    an_event_of_zoom_is_one_row_and_a_recording_one_pull
}

impl Bench {
    fn new_pull(&self, key: Option<&str>) -> NewPull {
        NewPull {
            upload: self.new_upload(None),
            url: "https://example.org/a.mp4".to_owned(),
            bearer: Some("secret".to_owned()),
            place: Some(json!({ "zoom": 1 })),
            job: id(),
            idem_key: key.map(str::to_owned),
        }
    }

    async fn pulled(&self) -> NewPull {
        let new = self.new_pull(None);
        assert!(self.db.create_pull(&new).await.unwrap().fresh);
        new
    }

    async fn phase(&self, new: &NewPull) -> Phase {
        self.db.upload(self.app, new.upload.id).await.unwrap().unwrap().state.phase()
    }
}

async fn a_pull_is_finished_together_with_its_job(bench: Bench) {
    let new = bench.pulled().await;
    let lease = bench.hold(Kind::Fetch, T0).await;
    let pull = bench.db.pull(bench.app, new.upload.video).await.unwrap().unwrap();
    assert_eq!(
        (pull.url.as_str(), pull.bearer.as_deref(), pull.restarts),
        (new.url.as_str(), Some("secret"), 0)
    );
    assert_eq!(pull.place, new.place);
    assert_eq!(bench.db.pull(id(), new.upload.video).await.unwrap(), None, "another app");
    bench.db.mark_pull(new.upload.id, Some("\"a\"")).await.unwrap();
    bench.db.renew_pull(new.upload.id, "https://example.org/b.mp4", None).await.unwrap();
    let pull = bench.db.pull(bench.app, new.upload.video).await.unwrap().unwrap();
    assert_eq!(
        (pull.url.as_str(), pull.mark.as_deref(), pull.bearer),
        ("https://example.org/b.mp4", Some("\"a\""), None)
    );
    let epoch = bench.db.take_upload(new.upload.id).await.unwrap();
    let late = bench
        .db
        .finish_pull(
            &crate::db::Finish { now: T0.plus(LEASE_MS), ..finish(new.upload.id, Some(epoch), 9) },
            &lease,
        )
        .await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    bench.db.finish_pull(&finish(new.upload.id, Some(epoch), 9), &lease).await.unwrap();
    assert_eq!(bench.state(new.job).await, Stage::Done);
    assert_eq!(bench.phase(&new).await, Phase::Finished);
    assert_eq!(bench.db.pull(bench.app, new.upload.video).await.unwrap(), None, "no secret stays");
    bench.hold(Kind::Probe, T0).await;
}

async fn the_same_wish_is_taken_once(bench: Bench) {
    let first = bench.new_pull(Some("message/1"));
    assert!(bench.db.create_pull(&first).await.unwrap().fresh);
    let again = bench.db.create_pull(&bench.new_pull(Some("message/1"))).await.unwrap();
    assert_eq!((again.upload, again.fresh), (first.upload.id, false));
    assert!(bench.db.create_pull(&bench.new_pull(Some("message/2"))).await.unwrap().fresh);
    assert_eq!(bench.count("upload.created").await, 2);
}

async fn a_pull_that_is_given_up_ends_its_upload_with_the_reason(bench: Bench) {
    let new = bench.pulled().await;
    let lease = bench.hold(Kind::Fetch, T0).await;
    let error = json!({ "code": "pull_not_found", "human": "It is not there.", "fix": "Look." });
    bench.db.fail_job(&lease, Class::Refusal, error, T0, 0).await.unwrap();
    let upload = bench.db.upload(bench.app, new.upload.id).await.unwrap().unwrap();
    assert_eq!((upload.state, upload.reason.unwrap().code), (State::Lost, "pull_not_found".to_owned()));
    assert_eq!(bench.state(new.job).await, Stage::Dead);
    assert_eq!(bench.in_state(new.upload.video, ledger::State::ToDelete).await, [new.upload.object]);
    assert_eq!(bench.count("upload.failed").await, 1);
    assert!(bench.db.pull(bench.app, new.upload.video).await.unwrap().is_none());
    let again = bench.db.retry_job(bench.app, new.job, T0).await;
    assert!(matches!(again, Err(DbError::Absent)), "its bytes are gone: {again:?}");
}

async fn cancelling_either_ends_both(bench: Bench) {
    let waiting = bench.pulled().await;
    bench.db.cancel_upload(waiting.upload.id, T0).await.unwrap();
    assert_eq!(bench.state(waiting.job).await, Stage::Cancelled);
    let waiting = bench.pulled().await;
    assert_eq!(bench.db.cancel_job(bench.app, waiting.job, T0).await.unwrap(), Cancelled::Now);
    assert_eq!(
        (bench.state(waiting.job).await, bench.phase(&waiting).await),
        (Stage::Cancelled, Phase::Cancelled)
    );
    let running = bench.pulled().await;
    let lease = bench.hold(Kind::Fetch, T0).await;
    assert_eq!(bench.db.cancel_job(bench.app, running.job, T0).await.unwrap(), Cancelled::Asked);
    assert_eq!(bench.phase(&running).await, Phase::Cancelled);
    let late = bench.db.finish_pull(&finish(running.upload.id, None, 9), &lease).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    bench.db.give_back(&lease, T0).await.unwrap();
    assert_eq!(bench.state(running.job).await, Stage::Cancelled);
    let old = bench.pulled().await;
    bench.db.expire_uploads(T0.plus(1_000), 10).await.unwrap();
    assert_eq!((bench.state(old.job).await, bench.phase(&old).await), (Stage::Cancelled, Phase::Expired));
}

async fn a_lost_lease_never_ends_a_pull(bench: Bench) {
    let new = bench.pulled().await;
    let mut now = T0;
    for _ in 0..20 {
        bench.hold(Kind::Fetch, now).await;
        now = now.plus(LEASE_MS);
        bench.db.reap(now, 0).await.unwrap();
    }
    assert_eq!(bench.state(new.job).await, Stage::Ready);
}

async fn a_file_that_changed_begins_anew(bench: Bench) {
    let new = bench.pulled().await;
    let epoch = bench.db.take_upload(new.upload.id).await.unwrap();
    let at = (new.upload.id, epoch);
    bench.db.declare_size(at, 9, T0).await.unwrap();
    let slabs = vec![SlabHash { number: 0, blake3: [7; 32] }];
    let reached = Reached { offset: 5, slabs, now: T0, expires: T0.plus(1_000) };
    bench.db.commit_reached(at, reached).await.unwrap();
    bench.db.mark_pull(new.upload.id, Some("\"a\"")).await.unwrap();
    assert_eq!(bench.db.restart_pull(at, Some(7)).await.unwrap(), 1);
    assert_eq!(bench.db.restart_pull(at, None).await.unwrap(), 2);
    assert!(bench.db.slabs(new.upload.object).await.unwrap().is_empty(), "they were of the other file");
    let pull = bench.db.pull(bench.app, new.upload.video).await.unwrap().unwrap();
    assert_eq!(
        (pull.upload.state, pull.mark, pull.restarts),
        (State::Open { offset: 0, size: None }, None, 2)
    );
    let young = bench.db.take_upload(new.upload.id).await.unwrap();
    assert!(matches!(bench.db.restart_pull(at, None).await, Err(DbError::LeaseLost)), "{young} took it");
}

async fn an_event_of_zoom_is_one_row_and_a_recording_one_pull(bench: Bench) {
    let event = |keys: &[&str], event_ms| ZoomEvent {
        account: "acc".to_owned(),
        meeting: "/a+b==".to_owned(),
        event: "recording.completed",
        event_ms,
        files: keys.iter().map(|&key| (key.to_owned(), bench.new_pull(None))).collect(),
        now: T0,
    };
    assert_eq!(bench.db.zoom_event(&event(&["1", "2"], 5)).await.unwrap(), 2);
    assert_eq!(bench.db.zoom_event(&event(&["1", "2"], 5)).await.unwrap(), 0, "a duplicate");
    assert_eq!(bench.db.zoom_event(&event(&["2", "3"], 6)).await.unwrap(), 1, "one file is new");
    let twins = (0..8).map(|_| {
        let (db, event) = (bench.db.clone(), event(&["4"], 7));
        tokio::spawn(async move { db.zoom_event(&event).await.unwrap() })
    });
    let mut taken = 0;
    for twin in twins.collect::<Vec<_>>() {
        taken += twin.await.unwrap();
    }
    assert_eq!(taken, 1);
    assert_eq!(bench.db.uploads(bench.app, &[Phase::Open], None, 100).await.unwrap().len(), 4);
}
