//! Uploads: durable offsets, the newest connection, and exactly one end.

use matinee_core::id::UploadId;
use matinee_core::ledger;
use matinee_core::limits::UPLOAD_HOLD_MS;
use matinee_core::upload::{Phase, State};
use matinee_core::video::Problem;

use super::stage::finish;
use super::support::{Bench, T0, on_both};
use crate::db::{Ask, DbError, Finish, Hold, NewUpload, Reached, SlabHash, Take, Word};

on_both! {
    an_upload_keeps_what_was_committed
    only_the_newest_connection_commits
    who_holds_an_upload_is_known
    a_holder_that_does_not_answer_is_fenced
    who_was_fenced_neither_finishes_nor_ends_it
    an_upload_moves_to_another_file_with_its_slabs
    nodes_hear_what_they_say_to_each_other
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
    assert_eq!((video.source, video.generation, video.title.as_str()), (Some(new.object), 0, "Snow 100%"));
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

fn hold(node: &str) -> Hold {
    Hold { node: node.to_owned(), until: T0.plus(5) }
}

async fn taken(bench: &Bench, id: UploadId, seen: (u64, u64), node: &str) -> Result<u64, DbError> {
    bench.db.hold_upload(Take { id, seen, boot: Some("boot".to_owned()), hold: Some(hold(node)) }).await
}

async fn who_holds_an_upload_is_known(bench: Bench) {
    let new = bench.upload_of(Some(10)).await;
    let read = async || bench.db.upload_by_key(&new.url_key).await.unwrap().unwrap();
    let a = taken(&bench, new.id, (0, 0), "a").await.unwrap();
    assert_eq!((read().await.hold, read().await.boot.as_deref()), (Some(hold("a")), Some("boot")));
    let second = taken(&bench, new.id, (0, 0), "b").await;
    assert!(matches!(second, Err(DbError::LeaseLost)), "it was read before: {second:?}");
    bench.db.commit_offset((new.id, a), 4, T0.plus(7), T0.plus(2_000)).await.unwrap();
    assert_eq!(read().await.hold.unwrap().until, T0.plus(7 + UPLOAD_HOLD_MS), "a commit holds on");
    let stale = taken(&bench, new.id, (a, 0), "b").await;
    assert!(matches!(stale, Err(DbError::LeaseLost)), "it was filled since: {stale:?}");
    bench.db.keep_upload((new.id, a), T0.plus(99)).await.unwrap();
    assert_eq!(read().await.hold.unwrap().until, T0.plus(99));
    bench.db.let_go(&new.url_key, "b").await.unwrap();
    assert_eq!(read().await.hold.unwrap().node, "a", "nobody lets go for another");
    bench.db.let_go(&new.url_key, "a").await.unwrap();
    assert_eq!((read().await.hold, read().await.epoch), (None, a), "it may go on under its number");
}

async fn a_holder_that_does_not_answer_is_fenced(bench: Bench) {
    let new = bench.upload_of(Some(10)).await;
    let read = async || bench.db.upload_by_key(&new.url_key).await.unwrap().unwrap();
    let a = taken(&bench, new.id, (0, 0), "a").await.unwrap();
    bench.db.commit_offset((new.id, a), 4, T0, T0.plus(2_000)).await.unwrap();
    bench.db.fence_upload((new.id, a)).await.unwrap();
    assert_eq!((read().await.hold, read().await.epoch), (None, a + 1));
    assert!(matches!(bench.db.fence_upload((new.id, a)).await, Err(DbError::LeaseLost)));
    let late = bench.db.commit_offset((new.id, a), 5, T0, T0).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    assert!(matches!(bench.db.keep_upload((new.id, a), T0).await, Err(DbError::LeaseLost)));
    let b = taken(&bench, new.id, (a + 1, 4), "b").await.unwrap();
    bench.db.release_upload((new.id, a)).await.unwrap();
    assert_eq!(read().await.hold, Some(hold("b")), "a late release is nobody's");
    bench.db.cancel_upload(new.id, T0).await.unwrap();
    assert!(matches!(bench.db.fence_upload((new.id, b)).await, Err(DbError::Absent)));
    assert!(matches!(taken(&bench, new.id, (b, 4), "a").await, Err(DbError::Absent)));
}

async fn who_was_fenced_neither_finishes_nor_ends_it(bench: Bench) {
    let new = bench.upload_of(Some(10)).await;
    let a = taken(&bench, new.id, (0, 0), "a").await.unwrap();
    let b = taken(&bench, new.id, (a, 0), "b").await.unwrap();
    let reason =
        Problem { code: "upload_lost".to_owned(), human: "Lost.".to_owned(), fix: "Again.".to_owned() };
    let lost = bench.db.lose_held((new.id, a), &reason, T0).await;
    assert!(matches!(lost, Err(DbError::LeaseLost)), "{lost:?}");
    bench.db.finish_upload(&finish(new.id, Some(b), 10)).await.unwrap();
    bench.db.finish_upload(&finish(new.id, Some(b), 10)).await.unwrap();
    let late = bench.db.finish_upload(&finish(new.id, Some(a), 10)).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "its bytes are not the ones that were kept: {late:?}");
    assert!(matches!(bench.db.lose_held((new.id, b), &reason, T0).await, Err(DbError::Absent)));
    let second = bench.upload_of(Some(10)).await;
    let number = taken(&bench, second.id, (0, 0), "a").await.unwrap();
    bench.db.lose_held((second.id, number), &reason, T0).await.unwrap();
    let state = bench.db.upload(bench.app, second.id).await.unwrap().unwrap().state;
    assert_eq!(state, State::Lost);
}

async fn an_upload_moves_to_another_file_with_its_slabs(bench: Bench) {
    let new = bench.upload_of(Some(1 << 30)).await;
    let epoch = bench.db.take_upload(new.id).await.unwrap();
    let slabs = vec![SlabHash { number: 0, blake3: [7; 32] }];
    let reached = Reached { offset: 64 << 20, slabs: slabs.clone(), now: T0, expires: T0.plus(9) };
    bench.db.commit_reached((new.id, epoch), reached).await.unwrap();
    let object = super::support::id();
    let lost = bench.db.intend_move((new.id, epoch - 1), object, T0).await;
    assert!(matches!(lost, Err(DbError::LeaseLost)), "{lost:?}");
    bench.db.intend_move((new.id, epoch), object, T0).await.unwrap();
    assert_eq!(bench.in_state(new.video, ledger::State::Intended).await.len(), 2, "before its bytes");
    bench.db.move_upload((new.id, epoch), object, T0).await.unwrap();
    assert_eq!(bench.db.upload_by_key(&new.url_key).await.unwrap().unwrap().object, object);
    assert_eq!(bench.db.slabs(object).await.unwrap(), slabs);
    assert_eq!(bench.in_state(new.video, ledger::State::Intended).await, [object]);
    assert_eq!(bench.in_state(new.video, ledger::State::ToDelete).await, [new.object]);
    assert!(matches!(bench.db.move_upload((new.id, epoch + 1), object, T0).await, Err(DbError::LeaseLost)));
}

async fn nodes_hear_what_they_say_to_each_other(bench: Bench) {
    let other = bench.other_node().await;
    let mut words = other.db.words();
    let ask = |at| Word::Asked(Ask { node: "a".to_owned(), url_key: "key".to_owned(), at });
    let said = [ask(None), ask(Some(7)), Word::Free("key".to_owned()), Word::Stays("key".to_owned(), 9)];
    for word in &said {
        bench.db.say(word).await.unwrap();
        if matches!(bench.config, crate::db::Config::Postgres(_)) {
            assert_eq!(&words.recv().await.unwrap(), word);
        }
    }
    assert!(words.is_empty(), "with SQLite there is nobody to hear it");
}
