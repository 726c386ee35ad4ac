//! The ledger: what is abandoned is found, and what somebody still writes is left alone.

use matinee_core::job::Kind;
use matinee_core::ledger::{self, State, backoff_ms};
use matinee_core::limits::LEASE_MS;
use serde_json::json;

use super::support::{Bench, T0, on_both};
use crate::db::{DbError, first_entry};

on_both! {
    only_what_nobody_writes_is_swept
    a_failed_delete_is_tried_again_later
    what_may_exist_is_listed_in_pages
    dropped_objects_are_deleted
    what_waits_is_summed_and_hurried
}

async fn only_what_nobody_writes_is_swept(bench: Bench) {
    let open = bench.upload_of(Some(10)).await;
    let film = bench.film(false).await;
    let (lease, parts) = bench.chunk(&film, 0).await;
    let mut written: Vec<_> = parts.iter().map(|part| part.stored.object).collect();
    written.sort_unstable();
    assert_eq!(bench.db.sweep_intended(T0.plus(999), 1_000).await.unwrap(), 0, "too young");
    assert_eq!(bench.db.sweep_intended(T0.plus(1_000), 1_000).await.unwrap(), 0, "both are being written");
    let late = T0.plus(LEASE_MS + 1);
    bench.db.reap(late, 0).await.unwrap();
    let again = bench.hold(Kind::Chunk, late).await;
    assert_eq!((again.job, again.attempt), (lease.job, 2));
    let mine = bench.intend(&again, ledger::Kind::Chunk).await.unwrap();
    assert_eq!(
        bench.db.sweep_intended(T0.plus(1_000), 1_000).await.unwrap(),
        2,
        "those of the first attempt"
    );
    let mut swept = bench.in_state(film.video, State::ToDelete).await;
    swept.sort_unstable();
    assert_eq!(swept, written);
    assert_eq!(bench.in_state(film.video, State::Intended).await, [mine]);
    assert_eq!(bench.in_state(open.video, State::Intended).await, [open.object]);
    let late = bench.db.publish_chunk(&again, parts, T0).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "what was given up cannot be published: {late:?}");
}

async fn a_failed_delete_is_tried_again_later(bench: Bench) {
    let new = bench.upload_of(Some(10)).await;
    bench.db.cancel_upload(new.id, T0).await.unwrap();
    let entry = first_entry(new.object);
    let later = T0.plus(backoff_ms(1));
    bench.db.ledger_failed(entry, "the disk is away", later).await.unwrap();
    assert!(bench.db.ledger_due(T0, 10).await.unwrap().is_empty());
    let due = bench.db.ledger_due(later, 10).await.unwrap();
    assert_eq!((due[0].attempts, due[0].last_error.as_deref()), (1, Some("the disk is away")));
    bench.db.ledger_gone(entry, json!({ "stat": "absent" }), later).await.unwrap();
    assert!(matches!(bench.db.ledger_failed(entry, "", later).await, Err(DbError::Absent)));
    let gone = bench.db.ledger(&crate::db::LedgerFilter::default(), None, 10).await.unwrap();
    assert_eq!((gone[0].state, gone[0].proven), (State::Gone, Some(later)));
    assert_eq!(gone[0].proof, Some(json!({ "stat": "absent" })));
    assert_eq!(bench.count("ledger.proven_gone").await, 1);
}

async fn what_may_exist_is_listed_in_pages(bench: Bench) {
    let mut objects = Vec::new();
    for _ in 0..5 {
        objects.push(bench.upload_of(Some(10)).await.object);
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = bench.db.known_objects(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.object);
        seen.extend(page.iter().map(|known| known.object));
    }
    objects.sort_unstable();
    assert_eq!(seen, objects);
}

async fn what_waits_is_summed_and_hurried(bench: Bench) {
    let (one, two, _open) =
        (bench.upload_of(Some(10)).await, bench.upload_of(Some(10)).await, bench.upload_of(Some(10)).await);
    bench.db.cancel_upload(one.id, T0).await.unwrap();
    bench.db.cancel_upload(two.id, T0).await.unwrap();
    let later = T0.plus(backoff_ms(1));
    bench.db.ledger_failed(first_entry(one.object), "the disk is away", later).await.unwrap();
    let sums = bench.db.ledger_sums(bench.app).await.unwrap();
    let told: Vec<_> = sums.iter().map(|sum| (sum.state, sum.things, sum.failing)).collect();
    assert_eq!(told, [(State::Intended, 1, 0), (State::ToDelete, 2, 1)]);
    let stranger = matinee_core::id::AppId::from_bits(9);
    assert!(bench.db.ledger_sums(stranger).await.unwrap().is_empty());
    assert_eq!(bench.db.ledger_hurry(stranger, None, T0).await.unwrap(), 0, "not another app's");
    let other = Some(first_entry(two.object));
    assert_eq!(bench.db.ledger_hurry(bench.app, other, T0).await.unwrap(), 0, "that one has not failed");
    assert_eq!(bench.db.ledger_due(T0, 10).await.unwrap().len(), 1);
    assert_eq!(bench.db.ledger_hurry(bench.app, None, T0).await.unwrap(), 1);
    assert_eq!(bench.db.ledger_due(T0, 10).await.unwrap().len(), 2);
    assert_eq!(bench.db.ledger_hurry(bench.app, None, T0).await.unwrap(), 0, "it is due already");
}

async fn dropped_objects_are_deleted(bench: Bench) {
    let film = bench.film(false).await;
    let (lease, parts) = bench.chunk(&film, 0).await;
    bench.db.drop_objects(&[parts[0].stored.object, parts[1].stored.object], T0).await.unwrap();
    assert_eq!(bench.in_state(film.video, State::ToDelete).await.len(), 2);
    assert!(bench.db.ledger_due(T0, 10).await.unwrap().is_empty(), "while the attempt lives");
    bench.db.give_back(&lease, T0).await.unwrap();
    assert_eq!(bench.db.ledger_due(T0, 10).await.unwrap().len(), 2);
}
