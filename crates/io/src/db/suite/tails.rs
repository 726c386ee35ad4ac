//! The last bytes of a source that come first: kept once, and gone when nobody needs them.

use matinee_core::job::Kind;
use matinee_core::ledger;

use super::stage::{Film, finish, stored};
use super::support::{Bench, T0, id, on_both};
use crate::db::{DbError, Tail};

on_both! {
    the_last_bytes_of_a_source_are_kept_once
    the_last_bytes_go_when_the_source_was_probed
    the_last_bytes_go_with_an_upload_that_is_given_up
    a_slow_tail_is_not_swept_while_its_upload_is_open
}

async fn the_last_bytes_of_a_source_are_kept_once(bench: Bench) {
    let new = bench.upload_of(Some(10)).await;
    let [first, second] = [id(), id()];
    assert_eq!(bench.db.arriving(new.video).await.unwrap().unwrap().tail, None);
    bench.db.intend_tail(new.id, first, T0).await.unwrap();
    assert_eq!(bench.db.arriving(new.video).await.unwrap().unwrap().tail, None, "not before its bytes");
    bench.db.intend_tail(new.id, second, T0).await.unwrap();
    let late = bench.db.keep_tail(new.id, stored(first, 4), T0).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    bench.db.keep_tail(new.id, stored(second, 4), T0).await.unwrap();
    let tail = Tail { object: second, size: 4 };
    let arriving = bench.db.arriving(new.video).await.unwrap().unwrap();
    assert_eq!((arriving.upload.id, arriving.tail), (new.id, Some(tail)));
    let again = bench.db.intend_tail(new.id, id(), T0).await;
    assert!(matches!(again, Err(DbError::Conflict(_))), "{again:?}");
    assert_eq!(bench.in_state(new.video, ledger::State::ToDelete).await, [first]);
}

async fn the_last_bytes_go_when_the_source_was_probed(bench: Bench) {
    let new = bench.upload_of(Some(10)).await;
    let tail = id();
    bench.db.intend_tail(new.id, tail, T0).await.unwrap();
    bench.db.keep_tail(new.id, stored(tail, 4), T0).await.unwrap();
    let epoch = bench.db.take_upload(new.id).await.unwrap();
    bench.db.finish_upload(&finish(new.id, Some(epoch), 10)).await.unwrap();
    let kept = Tail { object: tail, size: 4 };
    assert_eq!(bench.db.arriving(new.video).await.unwrap().unwrap().tail, Some(kept), "until it is probed");
    assert_eq!(bench.db.tail(new.video).await.unwrap(), Some(kept));
    assert!(matches!(bench.db.intend_tail(new.id, id(), T0).await, Err(DbError::Absent)));
    let film = Film { video: new.video, source: new.object, pictures: [id(), id()], sound: id() };
    let lease = bench.hold(Kind::Probe, T0).await;
    let probed = bench.probed(&lease, &film, true).await;
    bench.db.publish_probe(&lease, probed).await.unwrap();
    assert_eq!(bench.db.arriving(new.video).await.unwrap(), None);
    assert_eq!(bench.in_state(new.video, ledger::State::ToDelete).await, [tail]);
}

async fn the_last_bytes_go_with_an_upload_that_is_given_up(bench: Bench) {
    let new = bench.upload_of(Some(10)).await;
    let tail = id();
    bench.db.intend_tail(new.id, tail, T0).await.unwrap();
    bench.db.cancel_upload(new.id, T0).await.unwrap();
    assert_eq!(bench.db.arriving(new.video).await.unwrap(), None);
    let late = bench.db.keep_tail(new.id, stored(tail, 4), T0).await;
    assert!(matches!(late, Err(DbError::Absent)), "{late:?}");
    let mut gone = bench.in_state(new.video, ledger::State::ToDelete).await;
    gone.sort_unstable();
    let mut both = [new.object, tail];
    both.sort_unstable();
    assert_eq!(gone, both);
}

async fn a_slow_tail_is_not_swept_while_its_upload_is_open(bench: Bench) {
    let new = bench.upload_of(Some(10)).await;
    let tail = id();
    bench.db.intend_tail(new.id, tail, T0).await.unwrap();
    bench.db.sweep_intended(T0.plus(100_000), 1).await.unwrap();
    bench.db.keep_tail(new.id, stored(tail, 4), T0).await.unwrap();
}
