//! Uploads: durable offsets, the newest connection, and exactly one end.

use matinee_core::ledger;
use matinee_core::upload::{Phase, State};
use matinee_core::video::Problem;

use super::stage::finish;
use super::support::{Bench, T0, on_both};
use crate::db::{DbError, Finish, NewUpload, Reached, SlabHash};

on_both! {
    an_upload_keeps_what_was_committed
    only_the_newest_connection_commits
    slabs_are_committed_with_the_offset_behind_them
    bytes_behind_the_offset_count_for_who_said_so
    finishing_twice_is_finishing_once
    one_end_wins_the_race
    what_the_app_knows_of_an_upload_its_video_knows
    an_idle_upload_expires_and_its_bytes_go
    a_lost_upload_says_why_and_is_forgotten_later
}

async fn an_upload_keeps_what_was_committed(bench: Bench) {
    let new = bench.upload_of(None).await;
    let epoch = bench.db.take_upload(new.id).await.unwrap();
    let at = (new.id, epoch);
    bench.db.commit_offset(at, 5, T0.plus(1), T0.plus(2_000)).await.unwrap();
    let back = bench.db.commit_offset(at, 4, T0, T0).await;
    assert!(matches!(back, Err(DbError::Conflict(_))), "{back:?}");
    assert!(matches!(bench.db.declare_size(at, 5, T0).await, Err(DbError::Conflict(_))), "finish says that");
    bench.db.declare_size(at, 10, T0).await.unwrap();
    assert!(matches!(bench.db.declare_size(at, 11, T0).await, Err(DbError::Conflict(_))));
    assert!(
        matches!(bench.db.commit_offset(at, 10, T0, T0).await, Err(DbError::Conflict(_))),
        "finish does that"
    );
    let stored = bench.db.upload_by_key(&new.url_key).await.unwrap().unwrap();
    assert_eq!(stored.state, State::Open { offset: 5, size: Some(10) });
    assert_eq!((stored.expires, stored.epoch), (T0.plus(2_000), epoch));
    assert_eq!(bench.db.open_uploads().await.unwrap(), std::slice::from_ref(&stored));
    assert_eq!(bench.db.upload(bench.app, new.id).await.unwrap(), Some(stored));
    assert_eq!(bench.db.upload(super::support::id(), new.id).await.unwrap(), None, "another app");
    let second = bench.upload_of(Some(1)).await;
    let page = bench.db.uploads(bench.app, &[Phase::Open], None, 1).await.unwrap();
    assert_eq!(page[0].id, second.id);
    let page = bench.db.uploads(bench.app, &[], Some(second.id), 10).await.unwrap();
    assert_eq!((page.len(), page[0].id), (1, new.id));
    assert!(bench.db.uploads(bench.app, &[Phase::Lost], None, 10).await.unwrap().is_empty());
    assert_eq!(bench.in_state(new.video, ledger::State::Intended).await, [new.object], "before its bytes");
}

async fn only_the_newest_connection_commits(bench: Bench) {
    let new = bench.upload_of(Some(10)).await;
    let old = bench.db.take_upload(new.id).await.unwrap();
    let young = bench.db.take_upload(new.id).await.unwrap();
    let late = bench.db.commit_offset((new.id, old), 5, T0, T0).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    assert!(matches!(bench.db.finish_upload(&finish(new.id, Some(old), 10)).await, Err(DbError::LeaseLost)));
    bench.db.commit_offset((new.id, young), 5, T0, T0).await.unwrap();
    let wrong = bench.db.finish_upload(&finish(new.id, Some(young), 9)).await;
    assert!(matches!(wrong, Err(DbError::Conflict(_))), "{wrong:?}");
    bench.db.finish_upload(&finish(new.id, Some(young), 10)).await.unwrap();
    assert!(matches!(bench.db.take_upload(new.id).await, Err(DbError::Absent)), "over");
}

async fn slabs_are_committed_with_the_offset_behind_them(bench: Bench) {
    let new = bench.upload_of(Some(10)).await;
    let old = bench.db.take_upload(new.id).await.unwrap();
    let epoch = bench.db.take_upload(new.id).await.unwrap();
    let slab = |number: u8, hash: u8| SlabHash { number: u64::from(number), blake3: [hash; 32] };
    let reached = |offset, slabs| Reached { offset, slabs, now: T0, expires: T0 };
    bench.db.commit_reached((new.id, epoch), reached(4, vec![slab(0, 7), slab(1, 8)])).await.unwrap();
    let late = bench.db.commit_reached((new.id, old), reached(5, vec![slab(0, 9)])).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    assert_eq!(bench.db.slabs(new.object).await.unwrap(), [slab(0, 7), slab(1, 8)], "none of a late one");
    let finish = Finish { slabs: vec![slab(1, 9), slab(2, 1)], ..finish(new.id, Some(epoch), 10) };
    bench.db.finish_upload(&finish).await.unwrap();
    let all = bench.db.slabs(new.object).await.unwrap();
    assert_eq!(all, [slab(0, 7), slab(1, 9), slab(2, 1)], "what came again is the later one");
    assert!(bench.db.slabs(super::support::id()).await.unwrap().is_empty());
}

async fn bytes_behind_the_offset_count_for_who_said_so(bench: Bench) {
    let new = bench.upload_of(Some(10)).await;
    let boot = async || bench.db.upload(bench.app, new.id).await.unwrap().unwrap().boot;
    bench.db.take_upload_under(new.id, Some("boot 1")).await.unwrap();
    assert_eq!(boot().await.as_deref(), Some("boot 1"));
    bench.db.take_upload(new.id).await.unwrap();
    assert_eq!(boot().await, None, "the newest connection says what counts");
}

async fn finishing_twice_is_finishing_once(bench: Bench) {
    let new = bench.upload_of(Some(10)).await;
    let tries = (0..8).map(|_| {
        let (db, finish) = (bench.db.clone(), finish(new.id, None, 10));
        tokio::spawn(async move { db.finish_upload(&finish).await })
    });
    for answer in tries.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap().unwrap(), new.video);
    }
    assert_eq!(bench.topics().await, ["upload.created", "upload.completed", "video.created"]);
    let video = bench.db.video(bench.app, new.video).await.unwrap().unwrap();
    assert_eq!((video.source, video.generation, video.title.as_str()), (new.object, 0, "Snow 100%"));
    assert_eq!(bench.in_state(new.video, ledger::State::Present).await, [new.object]);
    let jobs = bench.db.timeline(bench.app, new.video).await.unwrap();
    assert_eq!(jobs.len(), 3, "three events, no attempt yet: {jobs:?}");
    assert!(bench.claim("n/1", T0).await.is_some());
    assert!(bench.claim("n/1", T0).await.is_none(), "one probe job");
}

async fn one_end_wins_the_race(bench: Bench) {
    for round in 0..12 {
        let new = bench.upload_of(Some(10)).await;
        let (a, b, c) = (bench.db.clone(), bench.db.clone(), bench.db.clone());
        let late = T0.plus(1_000);
        let finishing = tokio::spawn({
            let finish = finish(new.id, None, 10);
            async move { a.finish_upload(&finish).await.is_ok() }
        });
        let cancelling = tokio::spawn(async move { b.cancel_upload(new.id, late).await.is_ok() });
        let expiring = tokio::spawn(async move { c.expire_uploads(late, 10).await.unwrap().len() });
        let won = [finishing.await.unwrap(), cancelling.await.unwrap(), expiring.await.unwrap() == 1];
        let state = bench.db.upload(bench.app, new.id).await.unwrap().unwrap().state;
        let expected = [State::Finished { size: 10 }, State::Cancelled, State::Expired];
        let told = expected.iter().zip(won).filter(|(_, won)| *won).map(|(state, _)| *state);
        assert_eq!(told.collect::<Vec<_>>(), [state], "round {round}: {won:?}");
        let video = bench.db.video_any(new.video).await.unwrap();
        assert_eq!(video.is_some(), won[0]);
        let wanted = if won[0] { ledger::State::Present } else { ledger::State::ToDelete };
        assert_eq!(bench.in_state(new.video, wanted).await, [new.object]);
    }
}

async fn what_the_app_knows_of_an_upload_its_video_knows(bench: Bench) {
    let named = |upload: NewUpload| NewUpload { external_id: Some("course-7".to_owned()), ..upload };
    let first = named(bench.new_upload(Some(10)));
    bench.db.create_upload(&first).await.unwrap();
    let again = bench.db.create_upload(&named(bench.new_upload(Some(10)))).await;
    assert!(matches!(again, Err(DbError::Taken(_))), "a name is given once: {again:?}");
    bench.db.cancel_upload(first.id, T0).await.unwrap();
    let second = named(bench.new_upload(Some(10)));
    bench.db.create_upload(&second).await.unwrap();
    bench.db.finish_upload(&finish(second.id, None, 10)).await.unwrap();
    let video = bench.db.video(bench.app, second.video).await.unwrap().unwrap();
    assert_eq!((video.external_id, video.facts), (second.external_id, second.facts));
}

async fn an_idle_upload_expires_and_its_bytes_go(bench: Bench) {
    let (idle, busy) = (bench.upload_of(Some(10)).await, bench.upload_of(Some(10)).await);
    let epoch = bench.db.take_upload(busy.id).await.unwrap();
    bench.db.commit_offset((busy.id, epoch), 1, T0, T0.plus(5_000)).await.unwrap();
    assert_eq!(bench.db.expire_uploads(T0.plus(1_000), 10).await.unwrap(), [idle.id]);
    let late = bench.db.finish_upload(&finish(idle.id, None, 10)).await;
    assert!(matches!(late, Err(DbError::Absent)), "{late:?}");
    assert_eq!(bench.db.expire_uploads(T0.plus(1_000), 10).await.unwrap(), [], "once");
    assert_eq!(bench.count("upload.expired").await, 1);
    assert_eq!(bench.in_state(idle.video, ledger::State::ToDelete).await, [idle.object]);
    assert!(matches!(bench.db.cancel_upload(idle.id, T0).await, Err(DbError::Absent)));
    bench.db.cancel_upload(busy.id, T0).await.unwrap();
    bench.db.cancel_upload(busy.id, T0).await.unwrap();
    assert_eq!(bench.count("upload.cancelled").await, 1, "twice is once");
}

async fn a_lost_upload_says_why_and_is_forgotten_later(bench: Bench) {
    let new = bench.upload_of(Some(10)).await;
    let text = |text: &str| text.to_owned();
    let reason =
        Problem { code: text("bytes_lost"), human: text("Bytes are gone."), fix: text("Upload again.") };
    bench.db.lose_upload(new.id, &reason, T0).await.unwrap();
    let stored = bench.db.upload(bench.app, new.id).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.reason), (State::Lost, Some(reason)));
    assert_eq!(bench.db.prune_uploads(T0.plus(1), 10).await.unwrap(), 0, "its bytes may still be there");
    let due = bench.db.ledger_due(T0, 10).await.unwrap();
    bench.db.ledger_gone(due[0].id, serde_json::json!("looked"), T0).await.unwrap();
    assert_eq!(bench.db.prune_uploads(T0, 10).await.unwrap(), 0, "too young");
    assert_eq!(bench.db.prune_uploads(T0.plus(1), 10).await.unwrap(), 1);
}
