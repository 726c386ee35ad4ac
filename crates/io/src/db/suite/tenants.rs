//! Apps and collections: what they may have, and how they go with all that is in them.

use matinee_core::access::sender::Allowance;
use matinee_core::access::{Scopes, TokenKind};
use matinee_core::id::{AppId, CollectionId, UploadId, VideoId};
use matinee_core::job::{Kind, State as JobState};
use matinee_core::ledger;
use matinee_core::limits::{ERASE_BATCH, RESERVE_BYTES};
use matinee_core::quota::{Quota, Refusal, Whose, Wish};
use matinee_core::time::Millis;
use matinee_core::upload::{Phase, State};
use serde_json::json;

use super::stage::finish;
use super::support::{Bench, T0, id, on_both};
use crate::db::app::{Change, first_collection};
use crate::db::token::NewToken;
use crate::db::value::args;
use crate::db::{DbError, Erase, NewUpload};

on_both! {
    apps_and_collections_are_named_once_and_changed
    a_quota_counts_what_is_stored_and_reserved
    the_last_place_is_given_once
    an_upload_without_a_length_reserves_as_it_grows
    a_quota_is_asked_again_at_the_end
    a_sender_may_not_send_more_than_was_allowed
    a_deadline_ends_an_upload_that_still_gets_bytes
    a_repeat_key_names_one_upload_for_a_day
    every_end_says_why
    a_deleted_app_leaves_no_row_behind
    who_deletes_an_app_waits_for_nothing_that_is_in_it
    parts_of_a_deleted_app_go_with_it
    a_part_that_a_video_elsewhere_is_joined_from_stays
    a_deleted_collection_leaves_its_neighbours_alone
    finish_cancel_and_delete_race_to_one_end
}

/// An app of its own with this quota.
async fn app_with(bench: &Bench, quota: Quota) -> AppId {
    let app: AppId = id();
    bench.db.create_app(app, &app.to_string(), quota, T0).await.unwrap();
    app
}

fn upload_in(bench: &Bench, app: AppId, size: Option<u64>) -> NewUpload {
    NewUpload { app, collection: first_collection(app), ..bench.new_upload(size) }
}

async fn opened(bench: &Bench, app: AppId, size: Option<u64>) -> NewUpload {
    let new = upload_in(bench, app, size);
    bench.db.create_upload(&new).await.unwrap();
    new
}

const fn bytes(limit: u64) -> Quota {
    Quota { bytes: Some(limit), uploads: None }
}

async fn apps_and_collections_are_named_once_and_changed(bench: Bench) {
    let app = app_with(&bench, bytes(100)).await;
    let twice = bench.db.create_app(id(), &app.to_string(), Quota::default(), T0).await;
    assert!(matches!(twice, Err(DbError::Taken(_))), "{twice:?}");
    let (films, other): (CollectionId, CollectionId) = (id(), id());
    bench.db.create_collection((films, app), "films", bytes(5), T0).await.unwrap();
    let twice = bench.db.create_collection((other, app), "films", Quota::default(), T0).await;
    assert!(matches!(twice, Err(DbError::Taken(_))), "{twice:?}");
    let nowhere = bench.db.create_collection((other, id()), "x", Quota::default(), T0).await;
    assert!(matches!(nowhere, Err(DbError::Absent)), "{nowhere:?}");
    assert_eq!(bench.db.collection(bench.app, films).await.unwrap(), None, "of another app");
    let change =
        Change { name: Some("cinema".to_owned()), bytes: Wish::Is(None), uploads: Wish::Is(Some(3)) };
    assert!(matches!(bench.db.update_collection((bench.app, films), &change).await, Err(DbError::Absent)));
    bench.db.update_collection((app, films), &change).await.unwrap();
    let (changed, _) = bench.db.collection(app, films).await.unwrap().unwrap();
    let wanted = Quota { bytes: None, uploads: Some(3) };
    assert_eq!((changed.name.as_str(), changed.quota), ("cinema", wanted));
    assert_eq!(bench.db.collection_named(app, "cinema").await.unwrap().unwrap().id, films);
    bench.db.update_app(app, &Change { uploads: Wish::Is(Some(9)), ..Change::default() }).await.unwrap();
    let (changed, _) = bench.db.app(app).await.unwrap().unwrap();
    assert_eq!(changed.quota, Quota { bytes: Some(100), uploads: Some(9) }, "what is not named stays");
}

async fn a_quota_counts_what_is_stored_and_reserved(bench: Bench) {
    let app = app_with(&bench, bytes(100)).await;
    let films: CollectionId = id();
    bench.db.create_collection((films, app), "films", bytes(50), T0).await.unwrap();
    let first = opened(&bench, app, Some(40)).await;
    bench.db.finish_upload(&finish(first.id, None, 40)).await.unwrap();
    let second = NewUpload { collection: films, ..upload_in(&bench, app, Some(40)) };
    bench.db.create_upload(&second).await.unwrap();
    let (_, usage) = bench.db.app(app).await.unwrap().unwrap();
    assert_eq!((usage.stored_bytes, usage.reserved_bytes, usage.uploads), (40, 40, 1));
    let too_much = bench.db.create_upload(&upload_in(&bench, app, Some(21))).await;
    let refusal = Refusal::Bytes { whose: Whose::App, limit: 100, used: 80, asked: 21 };
    assert!(matches!(&too_much, Err(DbError::Refused(told)) if *told == refusal), "{too_much:?}");
    let in_films = NewUpload { collection: films, ..upload_in(&bench, app, Some(11)) };
    let too_much = bench.db.create_upload(&in_films).await;
    let refusal = Refusal::Bytes { whose: Whose::Collection, limit: 50, used: 40, asked: 11 };
    assert!(matches!(&too_much, Err(DbError::Refused(told)) if *told == refusal), "{too_much:?}");
    assert_eq!(bench.db.uploads(app, &[], None, 10).await.unwrap().len(), 2, "a refused one leaves no row");
    bench.db.cancel_upload(second.id, T0).await.unwrap();
    bench.db.create_upload(&in_films).await.unwrap();
    let elsewhere = NewUpload { collection: first_collection(bench.app), ..upload_in(&bench, app, Some(1)) };
    assert!(matches!(bench.db.create_upload(&elsewhere).await, Err(DbError::Absent)), "another app's");
}

async fn the_last_place_is_given_once(bench: Bench) {
    let app = app_with(&bench, Quota { bytes: Some(100), uploads: Some(3) }).await;
    let tries = (0..8).map(|_| {
        let (db, new) = (bench.db.clone(), upload_in(&bench, app, Some(30)));
        tokio::spawn(async move { db.create_upload(&new).await })
    });
    let mut given = 0;
    for answer in tries.collect::<Vec<_>>() {
        match answer.await.unwrap() {
            Ok(()) => given += 1,
            Err(DbError::Refused(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(given, 3);
}

async fn an_upload_without_a_length_reserves_as_it_grows(bench: Bench) {
    let app = app_with(&bench, bytes(2 * RESERVE_BYTES)).await;
    let new = opened(&bench, app, None).await;
    let reserved = || async { bench.db.app(app).await.unwrap().unwrap().1.reserved_bytes };
    assert_eq!(reserved().await, RESERVE_BYTES);
    let at = (new.id, bench.db.take_upload(new.id).await.unwrap());
    bench.db.commit_offset(at, RESERVE_BYTES, T0, T0.plus(9)).await.unwrap();
    assert_eq!(reserved().await, 2 * RESERVE_BYTES);
    let full = bench.db.commit_offset(at, 2 * RESERVE_BYTES, T0, T0.plus(9)).await;
    assert!(matches!(full, Err(DbError::Refused(Refusal::Bytes { .. }))), "{full:?}");
    let stored = bench.db.upload(app, new.id).await.unwrap().unwrap();
    assert_eq!(stored.offset, RESERVE_BYTES, "what was refused is not acknowledged");
    let too_long = bench.db.declare_size(at, 2 * RESERVE_BYTES + 1, T0).await;
    assert!(matches!(too_long, Err(DbError::Refused(Refusal::Bytes { .. }))), "{too_long:?}");
    bench.db.declare_size(at, RESERVE_BYTES + 5, T0).await.unwrap();
    assert_eq!(reserved().await, RESERVE_BYTES + 5, "a known length reserves itself");
}

async fn a_quota_is_asked_again_at_the_end(bench: Bench) {
    let app = bench.app;
    let new = opened(&bench, app, Some(40)).await;
    bench.db.update_app(app, &Change { bytes: Wish::Is(Some(39)), ..Change::default() }).await.unwrap();
    let refused = bench.db.finish_upload(&finish(new.id, None, 40)).await;
    assert!(matches!(refused, Err(DbError::Refused(Refusal::Bytes { .. }))), "{refused:?}");
    let ended = bench.db.upload(app, new.id).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.reason.unwrap().code.as_str()), (State::Lost, "quota_exceeded"));
    assert_eq!(bench.in_state(new.video, ledger::State::ToDelete).await, [new.object], "its bytes go");
    assert_eq!(bench.db.video_any(new.video).await.unwrap(), None);
    assert_eq!(bench.db.app(app).await.unwrap().unwrap().1.reserved_bytes, 0);
}

async fn a_sender_may_not_send_more_than_was_allowed(bench: Bench) {
    let allowed = |max: u64, new: NewUpload| NewUpload {
        allowance: Allowance { max_bytes: Some(max), ..Allowance::default() },
        ..new
    };
    let refused = bench.db.create_upload(&allowed(9, bench.new_upload(Some(10)))).await;
    assert!(matches!(refused, Err(DbError::Refused(Refusal::TooLarge { max: 9 }))), "{refused:?}");
    let new = allowed(9, bench.new_upload(None));
    bench.db.create_upload(&new).await.unwrap();
    let at = (new.id, bench.db.take_upload(new.id).await.unwrap());
    let refused = bench.db.commit_offset(at, 10, T0, T0).await;
    assert!(matches!(refused, Err(DbError::Refused(Refusal::TooLarge { max: 9 }))), "{refused:?}");
    let refused = bench.db.declare_size(at, 10, T0).await;
    assert!(matches!(refused, Err(DbError::Refused(Refusal::TooLarge { max: 9 }))), "{refused:?}");
    let refused = bench.db.finish_upload(&finish(new.id, None, 10)).await;
    assert!(matches!(refused, Err(DbError::Refused(Refusal::TooLarge { max: 9 }))), "{refused:?}");
    assert_eq!(bench.count("upload.failed").await, 1);
}

async fn a_deadline_ends_an_upload_that_still_gets_bytes(bench: Bench) {
    let deadline = T0.plus(3_000);
    let allowance = Allowance { deadline: Some(deadline), ..Allowance::default() };
    let new = NewUpload { allowance, ..bench.new_upload(Some(10)) };
    bench.db.create_upload(&new).await.unwrap();
    let at = (new.id, bench.db.take_upload(new.id).await.unwrap());
    bench.db.commit_offset(at, 1, T0, T0.plus(2_000)).await.unwrap();
    assert_eq!(bench.db.upload(bench.app, new.id).await.unwrap().unwrap().expires, T0.plus(2_000));
    bench.db.commit_offset(at, 2, T0, T0.plus(90_000)).await.unwrap();
    assert_eq!(bench.db.upload(bench.app, new.id).await.unwrap().unwrap().expires, deadline);
    assert_eq!(bench.db.expire_uploads(deadline, 9).await.unwrap(), [new.id]);
}

async fn a_repeat_key_names_one_upload_for_a_day(bench: Bench) {
    let keyed =
        |now: Millis| NewUpload { repeat_key: Some("k".to_owned()), now, ..bench.new_upload(Some(10)) };
    let first = keyed(T0);
    bench.db.create_upload(&first).await.unwrap();
    let again = bench.db.create_upload(&keyed(T0.plus(5))).await;
    assert!(matches!(again, Err(DbError::Taken(_))), "{again:?}");
    let found = bench.db.upload_repeated(bench.app, "k", T0.plus(5)).await.unwrap().unwrap();
    assert_eq!(found.id, first.id);
    assert_eq!(bench.db.upload_repeated(id(), "k", T0).await.unwrap(), None, "of another app");
    let later = T0.plus(matinee_core::limits::REPEAT_MS + 1);
    assert_eq!(bench.db.upload_repeated(bench.app, "k", later).await.unwrap(), None);
    bench.db.create_upload(&keyed(later)).await.unwrap();
}

async fn every_end_says_why(bench: Bench) {
    let (cancelled, expired) = (bench.upload_of(Some(10)).await, bench.upload_of(Some(10)).await);
    bench.db.cancel_upload(cancelled.id, T0).await.unwrap();
    bench.db.expire_uploads(T0.plus(1_000), 9).await.unwrap();
    for (upload, code) in [(cancelled, "cancelled"), (expired, "expired")] {
        let reason = bench.db.upload(bench.app, upload.id).await.unwrap().unwrap().reason.unwrap();
        assert_eq!(reason.code, code);
        assert!(!reason.human.is_empty() && !reason.fix.is_empty());
        let told = bench.db.timeline(bench.app, upload.video).await.unwrap();
        assert!(format!("{told:?}").contains(code), "the event says it, too: {told:?}");
    }
}

/// Puts finished videos straight into the collection of an app.
async fn fill(bench: &Bench, app: AppId, collection: CollectionId, many: usize) -> Vec<VideoId> {
    let mut videos = Vec::new();
    for _ in 0..many {
        let new = NewUpload { collection, ..upload_in(bench, app, Some(10)) };
        bench.db.create_upload(&new).await.unwrap();
        bench.db.finish_upload(&finish(new.id, None, 10)).await.unwrap();
        videos.push(new.video);
    }
    videos
}

/// Runs the job that empties, as the worker does; how many batches it took.
async fn emptied(bench: &Bench, app: AppId, collection: Option<CollectionId>) -> u32 {
    let lease = bench.hold(Kind::Erase, T0).await;
    let mut batches = 0;
    loop {
        let erased = bench.db.erase_batch(&lease, (app, collection), T0).await.unwrap();
        assert!(erased.done <= 2 * u64::from(ERASE_BATCH));
        batches += 1;
        if erased.left == 0 {
            return batches;
        }
    }
}

/// Proves everything gone that is to be deleted, as the sweeper does.
async fn swept(bench: &Bench) {
    loop {
        let due = bench.db.ledger_due(T0, 200).await.unwrap();
        if due.is_empty() {
            return;
        }
        for entry in due {
            bench.db.ledger_gone(entry.id, json!("looked"), T0).await.unwrap();
        }
    }
}

/// Rows that still name an app.
async fn rows_of(bench: &Bench, app: AppId) -> Vec<(&'static str, i64)> {
    const TABLES: [(&str, &str); 8] = [
        ("app", "SELECT COUNT(*) AS many FROM app WHERE id = $1"),
        ("collection", "SELECT COUNT(*) AS many FROM collection WHERE app_id = $1"),
        ("token", "SELECT COUNT(*) AS many FROM token WHERE app_id = $1"),
        ("upload", "SELECT COUNT(*) AS many FROM upload WHERE app_id = $1"),
        ("video", "SELECT COUNT(*) AS many FROM video WHERE app_id = $1"),
        ("object", "SELECT COUNT(*) AS many FROM object WHERE app_id = $1"),
        ("job", "SELECT COUNT(*) AS many FROM job WHERE app_id = $1"),
        (
            "ledger that is not gone",
            "SELECT COUNT(*) AS many FROM ledger WHERE app_id = $1 AND state <> 'gone'",
        ),
    ];
    bench
        .db
        .read(app, |tx, app| {
            Box::pin(async move {
                let mut found = Vec::new();
                for (table, sql) in TABLES {
                    let many: i64 = tx.row(sql, args![*app]).await?.unwrap().get("many")?;
                    if many > 0 {
                        found.push((table, many));
                    }
                }
                Ok(found)
            })
        })
        .await
        .unwrap()
}

async fn a_deleted_app_leaves_no_row_behind(bench: Bench) {
    let app = app_with(&bench, Quota::default()).await;
    let token = NewToken {
        id: id(),
        app,
        kind: TokenKind::Api,
        name: "backend".to_owned(),
        hash: [5; 32],
        scopes: Scopes::ADMIN,
        expires: None,
    };
    bench.db.insert_token(&token, T0).await.unwrap();
    let many = 2 * ERASE_BATCH as usize + 7;
    let videos = fill(&bench, app, first_collection(app), many).await;
    let open = opened(&bench, app, Some(10)).await;
    let erase = Erase { app, collection: None, by: bench.app, job: id() };
    let job = bench.db.close(erase, T0).await.unwrap();
    assert_eq!(
        bench.db.close(Erase { job: id(), ..erase }, T0).await.unwrap(),
        job,
        "asked twice, done once"
    );
    assert_eq!(bench.db.actor(&token.hash, T0).await.unwrap(), None, "its tokens end at once");
    assert_eq!(bench.db.video_any(videos[0]).await.unwrap(), None, "and so does playback");
    assert!(bench.db.videos(app, &crate::db::VideoFilter::default(), None, 9).await.unwrap().is_empty());
    let late = bench.db.create_upload(&upload_in(&bench, app, Some(1))).await;
    assert!(matches!(late, Err(DbError::Refused(Refusal::Closed { whose: Whose::App }))), "{late:?}");
    let late = bench.db.finish_upload(&finish(open.id, None, 10)).await;
    assert!(matches!(late, Err(DbError::Refused(Refusal::Closed { .. }))), "{late:?}");
    bench.db.forget_closed(T0).await.unwrap();
    assert!(bench.db.app(app).await.unwrap().is_some(), "not before everything is gone");
    assert_eq!(emptied(&bench, app, None).await, 3);
    assert_eq!(bench.state(job).await, JobState::Done);
    let filter = crate::db::LedgerFilter { app: Some(app), ..crate::db::LedgerFilter::default() };
    let ledger = bench.db.ledger(&filter, None, 1_000).await.unwrap();
    assert_eq!(ledger.len(), many + 1, "one row for each video and upload");
    bench.db.forget_closed(T0).await.unwrap();
    assert!(bench.db.app(app).await.unwrap().is_some(), "bytes are still there");
    swept(&bench).await;
    bench.db.forget_closed(T0).await.unwrap();
    assert_eq!(rows_of(&bench, app).await, []);
    assert_eq!(bench.count("app.deleted").await, 1, "the one who wanted it hears of it");
    app_named_again(&bench, app).await;
}

/// The rows that change when an app with so many videos is closed, where the database counts them.
async fn changed_by_closing(bench: &Bench, many: usize) -> Option<u64> {
    let app = app_with(bench, Quota::default()).await;
    fill(bench, app, first_collection(app), many).await;
    let erase = Erase { app, collection: None, by: bench.app, job: id() };
    let changed = bench.db.write(erase, |tx, erase| {
        Box::pin(async move {
            let before = tx.changes();
            crate::db::erase::close(tx, *erase, T0).await?;
            Ok(tx.changes().zip(before).map(|(after, before)| after - before))
        })
    });
    changed.await.unwrap()
}

async fn who_deletes_an_app_waits_for_nothing_that_is_in_it(bench: Bench) {
    let few = changed_by_closing(&bench, 1).await;
    assert_eq!(changed_by_closing(&bench, 4 * ERASE_BATCH as usize).await, few, "one small transaction");
    assert!(few.is_none_or(|rows| (2..10).contains(&rows)), "{few:?}");
}

async fn parts_of_a_deleted_app_go_with_it(bench: Bench) {
    let app = app_with(&bench, Quota::default()).await;
    let (waiting, arriving) = (part_in(&bench, app, true).await, part_in(&bench, app, false).await);
    // One that waits for its parts, and one that is joined of parts that are complete.
    for parts in [vec![waiting.id, arriving.id], vec![part_in(&bench, app, true).await.id]] {
        let joined = upload_in(&bench, app, None);
        bench.db.create_final(&joined, "final;a b", &parts).await.unwrap();
    }
    bench.db.close(Erase { app, collection: None, by: bench.app, job: id() }, T0).await.unwrap();
    emptied(&bench, app, None).await;
    swept(&bench).await;
    bench.db.forget_closed(T0).await.unwrap();
    assert_eq!(rows_of(&bench, app).await, [], "long before the parts would have expired");
}

async fn a_part_that_a_video_elsewhere_is_joined_from_stays(bench: Bench) {
    let (films, app): (CollectionId, _) = (id(), bench.app);
    bench.db.create_collection((films, app), "films", Quota::default(), T0).await.unwrap();
    let parts = [(); 2].map(|()| NewUpload { collection: films, ..bench.new_upload(Some(4)) });
    for part in &parts {
        bench.db.create_part(part).await.unwrap();
        let epoch = bench.db.take_upload(part.id).await.unwrap();
        bench.db.finish_part((part.id, epoch), 4, T0).await.unwrap();
    }
    bench.db.create_final(&bench.new_upload(None), "final;a", &[parts[0].id]).await.unwrap();
    bench.db.close(Erase { app, collection: Some(films), by: app, job: id() }, T0).await.unwrap();
    emptied(&bench, app, Some(films)).await;
    let phase = async |at: usize| bench.db.upload(app, parts[at].id).await.unwrap().unwrap().state.phase();
    assert_eq!((phase(0).await, phase(1).await), (Phase::Finished, Phase::Cancelled));
    bench.hold(Kind::Join, T0).await;
}

/// A part of four bytes, complete or without one.
async fn part_in(bench: &Bench, app: AppId, complete: bool) -> NewUpload {
    let new = upload_in(bench, app, Some(4));
    bench.db.create_part(&new).await.unwrap();
    if complete {
        let epoch = bench.db.take_upload(new.id).await.unwrap();
        bench.db.finish_part((new.id, epoch), 4, T0).await.unwrap();
    }
    new
}

async fn app_named_again(bench: &Bench, app: AppId) {
    bench.db.create_app(id(), &app.to_string(), Quota::default(), T0).await.unwrap();
}

async fn a_deleted_collection_leaves_its_neighbours_alone(bench: Bench) {
    let (films, app): (CollectionId, _) = (id(), bench.app);
    bench.db.create_collection((films, app), "films", Quota::default(), T0).await.unwrap();
    let gone = fill(&bench, app, films, 3).await;
    let kept = fill(&bench, app, first_collection(app), 2).await;
    let open = NewUpload { collection: films, ..bench.new_upload(Some(10)) };
    bench.db.create_upload(&open).await.unwrap();
    let erase = Erase { app, collection: Some(films), by: app, job: id() };
    assert!(matches!(bench.db.close(Erase { app: id(), ..erase }, T0).await, Err(DbError::Absent)));
    bench.db.close(erase, T0).await.unwrap();
    assert_eq!(bench.db.video_any(gone[0]).await.unwrap(), None);
    assert!(bench.db.video_any(kept[0]).await.unwrap().is_some());
    assert_eq!(emptied(&bench, app, Some(films)).await, 1);
    let ended = bench.db.upload(app, open.id).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.reason.unwrap().code.as_str()), (State::Cancelled, "deleted"));
    swept(&bench).await;
    bench.db.forget_closed(T0).await.unwrap();
    let left: Vec<_> = bench.db.collections(app).await.unwrap().into_iter().map(|it| it.id).collect();
    assert_eq!(left, [first_collection(app)]);
    let videos = bench.db.videos(app, &crate::db::VideoFilter::default(), None, 9).await.unwrap();
    assert_eq!(videos.len(), kept.len());
    assert_eq!(bench.count("collection.deleted").await, 1);
}

async fn finish_cancel_and_delete_race_to_one_end(bench: Bench) {
    for round in 0..12 {
        let app = app_with(&bench, Quota::default()).await;
        let new = opened(&bench, app, Some(10)).await;
        let (a, b, c) = (bench.db.clone(), bench.db.clone(), bench.db.clone());
        let finish = finish(new.id, None, 10);
        let finishing = tokio::spawn(async move { a.finish_upload(&finish).await.is_ok() });
        let cancelling = tokio::spawn(async move { b.cancel_upload(new.id, T0).await.is_ok() });
        let erase = Erase { app, collection: None, by: bench.app, job: id() };
        let closing = tokio::spawn(async move { c.close(erase, T0).await });
        let won = [finishing.await.unwrap(), cancelling.await.unwrap()];
        closing.await.unwrap().unwrap();
        assert!(!(won[0] && won[1]), "round {round}: both won");
        emptied(&bench, app, None).await;
        let ends = ends_of(&bench, new.id).await;
        assert_eq!(ends, 1, "round {round}: {won:?}");
        swept(&bench).await;
        bench.db.forget_closed(T0).await.unwrap();
        assert_eq!(rows_of(&bench, app).await, [], "round {round}: {won:?}");
    }
}

/// How many events say that an upload ended.
async fn ends_of(bench: &Bench, upload: UploadId) -> i64 {
    bench
        .db
        .read(upload.to_string(), |tx, subject| {
            Box::pin(async move {
                let sql =
                    "SELECT COUNT(*) AS many FROM event WHERE subject = $1 AND topic <> 'upload.created'";
                tx.row(sql, args![subject.as_str()]).await?.unwrap().get("many")
            })
        })
        .await
        .unwrap()
}
