//! Copies of objects: their rows come before their bytes, only proven ones count, and they go like everything else.

use matinee_core::id::{EntryId, JobId, ObjectId, VideoId};
use matinee_core::job::{Kind, Lease, State as JobState};
use matinee_core::ledger;
use matinee_core::limits::LEASE_MS;
use matinee_core::replica::limits::DEAD_COPY_MS;
use matinee_core::replica::{Finding, LOCAL, State, Sums};
use serde_json::json;

use super::support::{Bench, T0, id, on_both, queues, wish};
use crate::db::job::Claim;
use crate::db::{BegunUpload, DbError, NewReplica, Placing, Proven, Replica, Unplaced, first_entry};

on_both! {
    a_copy_has_its_rows_before_its_bytes_and_counts_when_it_is_proven
    an_object_is_placed_once_by_each_rules
    a_deleted_video_takes_its_copies_along
    a_copy_that_is_being_written_is_not_deleted_yet
    an_upload_in_parts_is_gone_on_with_by_the_next_attempt
    a_copy_that_is_not_what_was_written_makes_room_for_another
    a_bad_copy_is_not_read_and_goes_when_a_good_one_is_there
    a_local_file_is_given_up_when_another_is_proven_and_comes_back
    what_waits_for_a_store_is_due_when_it_is_back
    a_copy_whose_job_is_over_gets_another
    a_copy_that_moves_goes_when_its_successor_is_proven
    what_lies_in_a_store_is_counted
    two_last_copies_that_go_at_once_leave_nothing_behind
}

pub(super) fn copy_in(store: &str) -> NewReplica {
    let (store, key, template) = (store.to_owned(), format!("k/{store}"), Some("k/{store}".to_owned()));
    NewReplica { id: id(), store, key, template, archive: false, job: id(), replaces: None }
}

pub(super) fn v1() -> Proven {
    let sums = Sums { sha1: "1f".to_owned(), sha256: "2f".to_owned() };
    Proven { version: Some("v1".to_owned()), tag: Some("t1".to_owned()), sums: Some(sums) }
}

/// The one object that is to be placed: the source of a video.
pub(super) async fn due(bench: &Bench) -> Unplaced {
    let mut due = bench.db.unplaced(10).await.unwrap();
    assert_eq!(due.len(), 1, "{due:?}");
    due.remove(0)
}

/// A video whose source gets a copy in this store.
pub(super) async fn placed(bench: &Bench, store: &str) -> (VideoId, ObjectId, NewReplica) {
    let (video, source) = bench.brought().await;
    let new = copy_in(store);
    place(bench, std::slice::from_ref(&new)).await;
    (video, source, new)
}

pub(super) async fn place(bench: &Bench, new: &[NewReplica]) {
    let placing = Placing { new: new.to_vec(), ..Placing::default() };
    assert!(bench.db.place(&due(bench).await, &placing, "r1", T0).await.unwrap());
}

/// Takes the next copy job and says that it begins with `copy`.
pub(super) async fn begun(bench: &Bench, copy: EntryId) -> (Lease, Option<Replica>) {
    let lease = bench.hold(Kind::Copy, T0).await;
    let replica = bench.db.begin_copy(&lease, copy, T0).await.unwrap();
    (lease, replica)
}

pub(super) async fn copied(bench: &Bench, copy: &NewReplica) {
    let (lease, replica) = begun(bench, copy.id).await;
    assert_eq!(replica.unwrap().state, State::Intended);
    bench.db.copied(&lease, copy.id, v1(), T0.plus(5)).await.unwrap();
}

pub(super) async fn states(bench: &Bench, object: ObjectId) -> Vec<(String, State)> {
    let copies = bench.db.replicas(object).await.unwrap();
    copies.into_iter().map(|copy| (copy.store, copy.state)).collect()
}

pub(super) fn states_are(expected: &[(&str, State)]) -> Vec<(String, State)> {
    expected.iter().map(|(store, state)| ((*store).to_owned(), *state)).collect()
}

async fn gone(bench: &Bench, entry: EntryId) {
    bench.db.ledger_gone(entry, json!({}), T0).await.unwrap();
}

async fn a_copy_has_its_rows_before_its_bytes_and_counts_when_it_is_proven(bench: Bench) {
    let (video, source, new) = placed(&bench, "b2").await;
    assert_eq!(states(&bench, source).await, states_are(&[(LOCAL, State::Present), ("b2", State::Intended)]));
    assert_eq!(bench.in_state(video, ledger::State::Intended).await, [source], "paid for from now on");
    assert_eq!(bench.state(new.job).await, JobState::Ready);
    assert_eq!(
        bench.db.sweep_intended(T0.plus(1_000_000), 1).await.unwrap(),
        0,
        "it waits for its store, however long"
    );
    let (lease, replica) = begun(&bench, new.id).await;
    let replica = replica.unwrap();
    assert_eq!((replica.object, replica.size, replica.blake3), (source, Some(10), Some([1; 32])));
    assert_eq!((replica.store.as_str(), replica.key.as_str(), replica.video), ("b2", "k/b2", video));
    bench.db.copied(&lease, new.id, v1(), T0.plus(5)).await.unwrap();
    let there = bench.db.replica(new.id).await.unwrap().unwrap();
    assert_eq!(
        (there.state, there.version.as_deref(), there.verified),
        (State::Present, Some("v1"), Some(T0.plus(5)))
    );
    assert_eq!((there.template, there.sums), (new.template, v1().sums), "kept with the row");
    assert_eq!(bench.in_state(video, ledger::State::Present).await, [source, source]);
    assert_eq!(bench.state(new.job).await, JobState::Done);
    assert_eq!(due(&bench).await.held.len(), 2, "looked at once more");
}

async fn an_object_is_placed_once_by_each_rules(bench: Bench) {
    let (_, source) = bench.brought().await;
    let first = due(&bench).await;
    assert_eq!((first.object, first.kind, first.size), (source, ledger::Kind::Source, 10));
    let placing = Placing { new: vec![copy_in("a")], ..Placing::default() };
    assert!(bench.db.place(&first, &placing, "r1", T0).await.unwrap());
    let late = Placing { new: vec![copy_in("b")], ..Placing::default() };
    assert!(!bench.db.place(&first, &late, "r1", T0).await.unwrap(), "another node was faster");
    assert_eq!(states(&bench, source).await.len(), 2);
    assert!(bench.db.unplaced(10).await.unwrap().is_empty());
    assert_eq!(bench.db.unplace_others("r1", 10).await.unwrap(), 0);
    assert_eq!(bench.db.unplace_others("r2", 10).await.unwrap(), 1);
    assert_eq!(due(&bench).await.object, source);
    let twice = bench.db.add_replica(source, &copy_in("a"), T0).await;
    assert!(matches!(twice, Err(DbError::Conflict(_))), "{twice:?}");
}

async fn a_deleted_video_takes_its_copies_along(bench: Bench) {
    let (video, source, new) = placed(&bench, "b2").await;
    copied(&bench, &new).await;
    bench.db.delete_video(bench.app, video, T0).await.unwrap();
    assert_eq!(
        states(&bench, source).await,
        states_are(&[(LOCAL, State::ToDelete), ("b2", State::ToDelete)])
    );
    assert!(bench.db.unplaced(10).await.unwrap().is_empty());
    let local = bench.db.ledger_due(T0, 10).await.unwrap();
    let there = bench.db.ledger_due_in("b2", T0, 10).await.unwrap();
    let entries = |due: &[crate::db::Entry]| due.iter().map(|entry| entry.id).collect::<Vec<_>>();
    assert_eq!((entries(&local), entries(&there)), (vec![first_entry(source)], vec![new.id]));
    gone(&bench, first_entry(source)).await;
    assert!(bench.db.replica(new.id).await.unwrap().is_some(), "its key is needed still");
    gone(&bench, new.id).await;
    assert!(bench.db.stores_named().await.unwrap().is_empty());
}

async fn a_copy_that_is_being_written_is_not_deleted_yet(bench: Bench) {
    let (video, _, new) = placed(&bench, "b2").await;
    let (_, _, waiting) = placed(&bench, "c2").await;
    let (lease, _) = begun(&bench, new.id).await;
    bench.db.delete_video(bench.app, video, T0).await.unwrap();
    assert!(bench.db.ledger_due_in("b2", T0, 10).await.unwrap().is_empty(), "while the attempt lives");
    let late = bench.db.copied(&lease, new.id, Proven::default(), T0).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    let renewed = bench.db.renew(&lease, T0.plus(LEASE_MS), None, T0).await.unwrap();
    assert!(renewed.cancel, "it is asked to stop");
    bench.db.give_back(&lease, T0).await.unwrap();
    assert_eq!(bench.state(new.job).await, JobState::Cancelled);
    assert_eq!(bench.db.ledger_due_in("b2", T0, 10).await.unwrap().len(), 1);
    assert_eq!(bench.state(waiting.job).await, JobState::Ready, "of another video");
    let other = bench.db.replica(waiting.id).await.unwrap().unwrap().video;
    bench.db.delete_video(bench.app, other, T0).await.unwrap();
    assert_eq!(bench.state(waiting.job).await, JobState::Cancelled, "before it began");
}

async fn an_upload_in_parts_is_gone_on_with_by_the_next_attempt(bench: Bench) {
    let (_, _, new) = placed(&bench, "b2").await;
    let (lease, _) = begun(&bench, new.id).await;
    let upload = BegunUpload { upload: "u1".to_owned(), part_bytes: 8 << 20 };
    bench.db.note_begun(&lease, new.id, Some(upload.clone()), T0).await.unwrap();
    bench.db.give_back(&lease, T0).await.unwrap();
    let late = bench.db.note_begun(&lease, new.id, None, T0).await;
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    let (lease, replica) = begun(&bench, new.id).await;
    assert_eq!(replica.unwrap().begun, Some(upload));
    bench.db.copied(&lease, new.id, Proven::default(), T0).await.unwrap();
    assert_eq!(bench.db.replica(new.id).await.unwrap().unwrap().begun, None);
}

async fn a_copy_that_is_not_what_was_written_makes_room_for_another(bench: Bench) {
    let (_, source, new) = placed(&bench, "b2").await;
    let (lease, _) = begun(&bench, new.id).await;
    bench.db.miscopied(&lease, new.id, T0).await.unwrap();
    assert_eq!(states(&bench, source).await, states_are(&[(LOCAL, State::Present), ("b2", State::ToDelete)]));
    assert_eq!(bench.db.ledger_due_in("b2", T0, 10).await.unwrap().len(), 1);
    let second = copy_in("b2");
    place(&bench, std::slice::from_ref(&second)).await;
    assert_eq!(states(&bench, source).await.len(), 3, "under another key, beside the one that goes");
    // A store that alters everything is not sent everything without end.
    let waits_ms = |times: u32| ledger::backoff_ms(times);
    for times in 1..4 {
        let soon = T0.plus(waits_ms(times) - 1);
        let wish = Claim { kinds: queues(Kind::Copy, u32::MAX), ..wish("n/1", soon, 0) };
        assert!(bench.db.claim(&wish).await.unwrap().is_none(), "{times}");
        let lease = bench.hold(Kind::Copy, T0.plus(waits_ms(times))).await;
        let made = bench.db.replicas(source).await.unwrap().pop().unwrap().id;
        bench.db.begin_copy(&lease, made, T0).await.unwrap().unwrap();
        bench.db.miscopied(&lease, made, T0).await.unwrap();
        place(&bench, &[copy_in("b2")]).await;
    }
    let other = copy_in("c2");
    bench.db.add_replica(source, &other, T0).await.unwrap();
    assert_eq!(bench.hold(Kind::Copy, T0).await.job, other.job, "another store does not wait");
}

async fn a_bad_copy_is_not_read_and_goes_when_a_good_one_is_there(bench: Bench) {
    let (_, source, new) = placed(&bench, "b2").await;
    copied(&bench, &new).await;
    let first = due(&bench).await;
    assert!(bench.db.place(&first, &Placing::default(), "r1", T0).await.unwrap());
    assert_eq!(bench.db.to_scrub("b2", T0.plus(5), 10).await.unwrap(), []);
    let looked = bench.db.to_scrub("b2", T0.plus(6), 10).await.unwrap();
    assert_eq!(looked[0].id, new.id);
    bench.db.found(new.id, Finding::Good, T0.plus(9)).await.unwrap();
    assert!(bench.db.to_scrub("b2", T0.plus(9), 10).await.unwrap().is_empty(), "it was just looked at");
    bench.db.found(new.id, Finding::Changed, T0.plus(10)).await.unwrap();
    bench.db.found(new.id, Finding::Changed, T0.plus(11)).await.unwrap();
    assert_eq!(bench.count("video.copy_bad").await, 1, "told once");
    assert_eq!(states(&bench, source).await[1].1, State::Suspect);
    let other = copy_in("b2");
    place(&bench, std::slice::from_ref(&other)).await;
    copied(&bench, &other).await;
    let placing = Placing { surplus: vec![new.id], ..Placing::default() };
    assert!(bench.db.place(&due(&bench).await, &placing, "r1", T0).await.unwrap());
    assert_eq!(bench.db.ledger_due_in("b2", T0, 10).await.unwrap()[0].id, new.id);
}

async fn a_local_file_is_given_up_when_another_is_proven_and_comes_back(bench: Bench) {
    let (video, source, new) = placed(&bench, "deep").await;
    let local = bench.db.replica(first_entry(source)).await.unwrap().unwrap();
    let deep = ["deep".to_owned()];
    assert!(!bench.db.give_up_local(&local, &deep, T0).await.unwrap(), "nothing is proven yet");
    copied(&bench, &new).await;
    assert!(!bench.db.give_up_local(&local, &["other".to_owned()], T0).await.unwrap());
    assert!(bench.db.give_up_local(&local, &deep, T0).await.unwrap());
    let back = NewReplica { key: String::new(), ..copy_in(LOCAL) };
    let soon = bench.db.add_replica(source, &back, T0).await;
    assert!(matches!(soon, Err(DbError::Conflict(_))), "the file is being deleted: {soon:?}");
    gone(&bench, local.id).await;
    assert_eq!(bench.db.object_size(source).await.unwrap(), Some(10), "it is in the archive");
    bench.db.add_replica(source, &back, T0).await.unwrap();
    let (lease, _) = begun(&bench, back.id).await;
    bench.db.copied(&lease, back.id, Proven::default(), T0).await.unwrap();
    assert_eq!(
        states(&bench, source).await,
        states_are(&[(LOCAL, State::Present), ("deep", State::Present)])
    );
    assert_eq!(bench.in_state(video, ledger::State::Present).await.len(), 2);
}

async fn what_waits_for_a_store_is_due_when_it_is_back(bench: Bench) {
    let (_, _, new) = placed(&bench, "b2").await;
    let (video, _, old) = placed(&bench, "b2").await;
    bench.db.delete_video(bench.app, video, T0).await.unwrap();
    let late = T0.plus(3_600_000);
    bench.db.ledger_failed(old.id, "away", late).await.unwrap();
    bench
        .db
        .write((new.job, late), |tx, (job, late)| {
            Box::pin(async move {
                let sql = "UPDATE job SET run_at_ms = $2 WHERE id = $1";
                tx.execute(sql, crate::db::value::args![*job, *late]).await
            })
        })
        .await
        .unwrap();
    assert_eq!(bench.db.store_away("b2", "refused", T0.plus(5), T0).await.unwrap(), T0);
    assert_eq!(
        bench.db.store_away("b2", "refused", T0.plus(9), T0.plus(6)).await.unwrap(),
        T0,
        "since the first time"
    );
    assert!(!bench.db.store_back("c2", T0).await.unwrap());
    assert!(bench.claim("n/1", T0.plus(7)).await.is_none_or(|job| job.task.kind() != Kind::Copy));
    assert!(bench.db.store_back("b2", T0.plus(7)).await.unwrap());
    assert!(!bench.db.store_back("b2", T0.plus(7)).await.unwrap(), "told once");
    assert_eq!(bench.db.ledger_due_in("b2", T0.plus(7), 10).await.unwrap()[0].id, old.id);
    assert_eq!(bench.hold(Kind::Copy, T0.plus(7)).await.job, new.job);
    let state = &bench.db.store_states().await.unwrap()[0];
    assert_eq!((state.name.as_str(), state.away, state.seen), ("b2", None, Some(T0.plus(7))));
}

async fn a_copy_whose_job_is_over_gets_another(bench: Bench) {
    let (_, _, new) = placed(&bench, "b2").await;
    bench.upload_of(Some(10)).await;
    bench.db.cancel_job(bench.app, new.job, T0).await.unwrap();
    let jobs: [JobId; 2] = [id(), id()];
    assert_eq!(bench.db.revive_copies(&jobs, T0.plus(DEAD_COPY_MS)).await.unwrap(), 0, "not at once");
    assert_eq!(bench.db.revive_copies(&jobs, T0.plus(DEAD_COPY_MS + 1)).await.unwrap(), 1);
    assert_eq!(bench.state(jobs[0]).await, JobState::Ready);
    assert_eq!(bench.db.revive_copies(&jobs[1..], T0.plus(DEAD_COPY_MS + 1)).await.unwrap(), 0);
}

async fn a_copy_that_moves_goes_when_its_successor_is_proven(bench: Bench) {
    let (_, source, old) = placed(&bench, "a").await;
    copied(&bench, &old).await;
    let new = NewReplica { replaces: Some(old.id), ..copy_in("b") };
    bench.db.add_replica(source, &new, T0).await.unwrap();
    assert!(bench.db.ledger_due_in("a", T0, 10).await.unwrap().is_empty(), "the old one stays until then");
    copied(&bench, &new).await;
    assert_eq!(bench.db.ledger_due_in("a", T0.plus(5), 10).await.unwrap()[0].id, old.id);
    let now = states(&bench, source).await;
    assert_eq!(now, states_are(&[(LOCAL, State::Present), ("a", State::ToDelete), ("b", State::Present)]));
}

async fn two_last_copies_that_go_at_once_leave_nothing_behind(bench: Bench) {
    let other = bench.other_node().await;
    for _ in 0..12 {
        let (video, source, new) = placed(&bench, "b2").await;
        copied(&bench, &new).await;
        bench.db.delete_video(bench.app, video, T0).await.unwrap();
        let here = bench.db.ledger_gone(first_entry(source), json!({}), T0);
        let there = other.db.ledger_gone(new.id, json!({}), T0);
        let (here, there) = tokio::join!(here, there);
        here.and(there).unwrap();
    }
    let left = bench.db.read((), |tx, ()| {
        Box::pin(async move {
            let sql = "SELECT count(*) AS objects FROM object";
            tx.row(sql, crate::db::value::args![]).await?.ok_or(DbError::Absent)?.get::<u64>("objects")
        })
    });
    assert_eq!(left.await.unwrap(), 0, "no row of an object that has no copy");
}

async fn what_lies_in_a_store_is_counted(bench: Bench) {
    let (_, _, new) = placed(&bench, "a").await;
    copied(&bench, &new).await;
    bench.db.place(&due(&bench).await, &Placing::default(), "r1", T0).await.unwrap();
    placed(&bench, "a").await;
    let lag = bench.db.lag().await.unwrap();
    let of = |store: &str, state: State| {
        let found = lag.iter().find(|lag| lag.store == store && lag.state == state);
        found.map(|lag| (lag.copies, lag.bytes))
    };
    assert_eq!(of("a", State::Present), Some((1, 10)));
    assert_eq!(of("a", State::Intended), Some((1, 10)));
    assert_eq!(of(LOCAL, State::Present), Some((2, 20)));
    assert_eq!(bench.db.stores_named().await.unwrap(), [("a".to_owned(), 2)]);
    bench.db.drain_store("a", Some(T0)).await.unwrap();
    assert_eq!(bench.db.store_states().await.unwrap()[0].draining, Some(T0));
}
