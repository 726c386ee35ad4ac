//! Stores as a whole: their queues, their turns, what is known of them, and what becomes of one that is lost.

use matinee_core::job::{Kind, State as JobState};
use matinee_core::ledger;
use matinee_core::replica::limits::COPY_CONTROL_MS;
use matinee_core::replica::{Finding, LOCAL, State};
use serde_json::json;

use super::replicas::{begun, copied, copy_in, due, place, placed, states, states_are};
use super::support::{Bench, T0, on_both};
use crate::db::job::{Claim, Slots};
use crate::db::tx::Sql;
use crate::db::value::args;
use crate::db::{LedgerFilter, Lost, NewReplica, Placing, first_entry};

on_both! {
    a_store_that_is_full_of_work_keeps_only_its_own_waiting
    what_was_decided_before_a_copy_turned_out_bad_is_not_done
    a_copy_that_was_to_go_is_kept_when_it_is_the_last
    a_bad_copy_that_is_good_again_counts_again
    one_node_at_a_time_reads_a_store_again
    what_comes_back_from_a_store_is_due_when_that_is_back
    what_was_proven_gone_is_looked_for_once_more
    what_a_store_can_do_is_kept
    a_store_has_one_plate_until_it_is_lost
    what_lies_in_a_store_is_told_with_keys_to_look_for
    a_lost_store_is_waited_for_no_more
    an_object_whose_last_copy_is_lost_is_told_and_not_forgotten
    what_was_to_go_is_kept_when_that_for_which_it_was_to_go_is_lost
    what_is_due_at_one_place_is_found_without_reading_what_is_due_at_others
}

async fn a_store_that_is_full_of_work_keeps_only_its_own_waiting(bench: Bench) {
    let (_, _, first) = placed(&bench, "a").await;
    let (_, _, second) = placed(&bench, "a").await;
    let (_, _, other) = placed(&bench, "b").await;
    let store = |name: &str| Slots { store: Some(name.to_owned()), ..Slots::of(Kind::Copy, 1) };
    let mut taken = Vec::new();
    for _ in 0..3 {
        let kinds = vec![store("a"), store("b")];
        let wish = Claim { kinds, ..super::support::wish("n/1", T0, 0) };
        taken.extend(bench.db.claim(&wish).await.unwrap().map(|claimed| claimed.lease.job));
    }
    taken.sort_unstable();
    let mut expected = [first.job, other.job];
    expected.sort_unstable();
    assert_eq!(taken, expected, "one of each, although two of the first wait");
    assert_eq!(bench.state(second.job).await, JobState::Ready);
}

async fn what_was_decided_before_a_copy_turned_out_bad_is_not_done(bench: Bench) {
    let (_, source, a) = placed(&bench, "a").await;
    copied(&bench, &a).await;
    place(&bench, &[copy_in("b")]).await;
    let b = bench.db.replicas(source).await.unwrap().pop().unwrap();
    let (lease, _) = begun(&bench, b.id).await;
    bench.db.copied(&lease, b.id, crate::db::Proven::default(), T0.plus(9)).await.unwrap();
    // One node decides that the one may go, because the other is good; meanwhile another node finds that it is not.
    let before = due(&bench).await;
    bench.db.found(b.id, Finding::Changed, T0.plus(10)).await.unwrap();
    let placing = Placing { surplus: vec![a.id], ..Placing::default() };
    assert!(!bench.db.place(&before, &placing, "r1", T0).await.unwrap());
    let now = states_are(&[(LOCAL, State::Present), ("a", State::Present), ("b", State::Suspect)]);
    assert_eq!(states(&bench, source).await, now);
    assert_ne!(due(&bench).await, before, "it is decided anew");
}

async fn a_copy_that_was_to_go_is_kept_when_it_is_the_last(bench: Bench) {
    let (video, source, deep) = placed(&bench, "deep").await;
    copied(&bench, &deep).await;
    let local = bench.db.replica(first_entry(source)).await.unwrap().unwrap();
    let later = T0.plus(60_000);
    assert!(bench.db.give_up_local(&local, &["deep".to_owned()], later).await.unwrap());
    bench.db.found(deep.id, Finding::Missing, T0.plus(10)).await.unwrap();
    let now = states_are(&[(LOCAL, State::Present), ("deep", State::Suspect)]);
    assert_eq!(states(&bench, source).await, now);
    assert!(bench.db.ledger_due(later, 10).await.unwrap().is_empty(), "it does not go");
    assert_eq!(bench.in_state(video, ledger::State::Present).await, [source, source]);
    assert_eq!(due(&bench).await.held.len(), 2, "and another copy is made from it");
    assert_eq!(bench.count("video.copy_bad").await, 1);
}

async fn a_bad_copy_that_is_good_again_counts_again(bench: Bench) {
    let (_, source, new) = placed(&bench, "a").await;
    copied(&bench, &new).await;
    bench.db.found(new.id, Finding::Missing, T0).await.unwrap();
    assert!(bench.db.last_bad("a", None, 10).await.unwrap().is_empty(), "the local one is good");
    bench.db.found(first_entry(source), Finding::Changed, T0).await.unwrap();
    let last = bench.db.last_bad("a", None, 10).await.unwrap();
    assert_eq!(last.iter().map(|copy| copy.id).collect::<Vec<_>>(), [new.id]);
    assert!(bench.db.last_bad("a", Some(new.id), 10).await.unwrap().is_empty());
    bench.db.found(new.id, Finding::Good, T0.plus(7)).await.unwrap();
    let now = states_are(&[(LOCAL, State::Suspect), ("a", State::Present)]);
    assert_eq!(states(&bench, source).await, now);
    assert_eq!(bench.db.replica(new.id).await.unwrap().unwrap().verified, Some(T0.plus(7)));
    // Beside a successor it stays what it is.
    bench.db.found(new.id, Finding::Changed, T0).await.unwrap();
    bench.db.found(first_entry(source), Finding::Good, T0).await.unwrap();
    place(&bench, &[copy_in("a")]).await;
    bench.db.found(new.id, Finding::Good, T0).await.unwrap();
    let now = [(LOCAL, State::Present), ("a", State::Suspect), ("a", State::Intended)];
    assert_eq!(states(&bench, source).await, states_are(&now));
}

async fn one_node_at_a_time_reads_a_store_again(bench: Bench) {
    let turn = async |holder: &str, until: i64, now: i64| {
        bench.db.scrub_turn("a", holder, (T0.plus(until), T0.plus(now))).await.unwrap()
    };
    assert!(turn("n/1", 10, 0).await);
    assert!(!turn("n/2", 15, 5).await, "it is the other one's");
    assert!(turn("n/1", 20, 9).await, "who has it keeps it");
    assert!(!turn("n/2", 25, 19).await);
    assert!(turn("n/2", 30, 20).await, "who does not say so any more has it no longer");
    assert!(!turn("n/1", 40, 21).await);
    assert_eq!(bench.db.store_states().await.unwrap()[0].name, "a");
}

async fn what_comes_back_from_a_store_is_due_when_that_is_back(bench: Bench) {
    let (_, source, deep) = placed(&bench, "deep").await;
    copied(&bench, &deep).await;
    bench.db.found(first_entry(source), Finding::Missing, T0).await.unwrap();
    let mend = (first_entry(source), super::support::id());
    let placing = Placing { mend: vec![mend], ..Placing::default() };
    assert!(bench.db.place(&due(&bench).await, &placing, "r1", T0).await.unwrap());
    bench.db.store_away("deep", "refused", T0, T0).await.unwrap();
    let late = T0.plus(3_600_000);
    bench
        .db
        .write((mend.1, late), |tx, (job, late)| {
            Box::pin(async move {
                let sql = "UPDATE job SET run_at_ms = $2 WHERE id = $1";
                tx.execute(sql, crate::db::value::args![*job, *late]).await
            })
        })
        .await
        .unwrap();
    assert!(bench.db.store_back("deep", T0.plus(7)).await.unwrap());
    assert_eq!(bench.hold(Kind::Copy, T0.plus(7)).await.job, mend.1);
}

async fn what_was_proven_gone_is_looked_for_once_more(bench: Bench) {
    let (video, source, new) = placed(&bench, "a").await;
    copied(&bench, &new).await;
    bench.db.delete_video(bench.app, video, T0).await.unwrap();
    let proof = json!({ "key": "k/a", "removed": "removed" });
    bench.db.ledger_gone(new.id, proof, T0).await.unwrap();
    bench.db.ledger_gone(first_entry(source), json!({}), T0).await.unwrap();
    let day = T0.plus(COPY_CONTROL_MS);
    assert!(bench.db.copy_controls("a", day.plus(-1), 10).await.unwrap().is_empty());
    let due = bench.db.copy_controls("a", day, 10).await.unwrap();
    assert_eq!((due.len(), due[0].entry, due[0].key.as_str()), (1, new.id, "k/a"));
    assert!(bench.db.copy_controls(LOCAL, day, 10).await.unwrap().is_empty(), "our own disk is believed");
    assert!(
        bench.db.outside_controls("a", day, 10).await.unwrap().is_empty(),
        "a host of this name has none"
    );
    bench.db.copy_back(new.id, day).await.unwrap();
    assert_eq!(bench.count("ledger.seen_again").await, 1);
    let again = bench.db.ledger_due_in("a", day, 10).await.unwrap();
    assert_eq!(crate::db::key_in(again[0].proof.as_ref()), "k/a", "its key is known still");
    bench.db.ledger_gone(new.id, again[0].proof.clone().unwrap(), day).await.unwrap();
    let due = bench.db.copy_controls("a", day.plus(COPY_CONTROL_MS), 10).await.unwrap();
    bench.db.copy_controlled(due[0].entry).await.unwrap();
    assert!(bench.db.copy_controls("a", day.plus(2 * COPY_CONTROL_MS), 10).await.unwrap().is_empty());
}

async fn what_a_store_can_do_is_kept(bench: Bench) {
    let facts = json!({ "hashed": true });
    bench.db.keep_facts("a", &json!({}), T0).await.unwrap();
    bench.db.keep_facts("a", &facts, T0.plus(1)).await.unwrap();
    bench.db.drain_store("a", Some(T0)).await.unwrap();
    let state = &bench.db.store_states().await.unwrap()[0];
    assert_eq!((state.facts.clone(), state.draining), (Some((facts, T0.plus(1))), Some(T0)));
}

async fn a_store_has_one_plate_until_it_is_lost(bench: Bench) {
    let state = async || bench.db.store_states().await.unwrap().remove(0);
    assert_eq!(bench.db.identify("a", "1f").await.unwrap(), "1f");
    assert_eq!(bench.db.identify("a", "2f").await.unwrap(), "1f", "another node was faster");
    assert_eq!((state().await.identity, state().await.plate), (Some("1f".to_owned()), None));
    bench.db.found_elsewhere("a", Some(T0)).await.unwrap();
    bench.db.found_elsewhere("a", Some(T0.plus(5))).await.unwrap();
    assert_eq!(state().await.elsewhere, Some(T0), "since then");
    bench.db.plate_hangs("a", T0.plus(6)).await.unwrap();
    bench.db.plate_hangs("a", T0.plus(7)).await.unwrap();
    assert_eq!((state().await.plate, state().await.elsewhere), (Some(T0.plus(6)), None));
    bench.db.found_elsewhere("a", Some(T0.plus(8))).await.unwrap();
    bench.db.found_elsewhere("a", None).await.unwrap();
    assert_eq!(state().await.elsewhere, None);
    bench.db.mark_lost("a", Some(T0.plus(9))).await.unwrap();
    assert_eq!((state().await.identity, state().await.plate), (None, None));
    assert_eq!(bench.db.identify("a", "2f").await.unwrap(), "2f", "what takes its name is another place");
}

async fn what_lies_in_a_store_is_told_with_keys_to_look_for(bench: Bench) {
    let (video, _, first) = placed(&bench, "a").await;
    let promised = async |limit| bench.db.promised_in("a", limit).await.unwrap();
    assert_eq!((promised(9).await.made, promised(9).await.intended), (0, 1));
    assert!(promised(9).await.keys.is_empty());
    copied(&bench, &first).await;
    bench.db.place(&due(&bench).await, &Placing::default(), "r1", T0).await.unwrap();
    let (_, _, second) = placed(&bench, "a").await;
    copied(&bench, &second).await;
    assert_eq!((promised(9).await.made, promised(9).await.intended, promised(9).await.keys.len()), (2, 0, 2));
    assert_eq!(promised(1).await.keys.len(), 1);
    bench.db.delete_video(bench.app, video, T0).await.unwrap();
    assert_eq!((promised(9).await.made, promised(9).await.keys.len()), (2, 2), "it is not proven gone");
    assert_eq!(bench.db.promised_in("b", 9).await.unwrap(), crate::db::Promised::default());
}

async fn a_lost_store_is_waited_for_no_more(bench: Bench) {
    let (video, source, there) = placed(&bench, "a").await;
    copied(&bench, &there).await;
    bench.db.place(&due(&bench).await, &Placing::default(), "r1", T0).await.unwrap();
    let (gone, _, left) = placed(&bench, "a").await;
    copied(&bench, &left).await;
    bench.db.delete_video(bench.app, gone, T0).await.unwrap();
    let (_, coming, waits) = placed(&bench, "a").await;
    let ahead = bench.db.would_lose("a").await.unwrap();
    assert_eq!((ahead.entries, ahead.last), (3, 0));
    bench.db.mark_lost("a", Some(T0)).await.unwrap();
    assert_eq!(bench.db.store_states().await.unwrap()[0].lost, Some(T0));
    let (mut entries, mut rounds, mut after) = (0, 0, None);
    loop {
        let (lost, reached) = bench.db.lose(("a", "it has burnt"), after, 2, T0).await.unwrap();
        entries += lost.entries;
        if reached.is_none() {
            break;
        }
        (rounds, after) = (rounds + 1, reached);
    }
    assert_eq!((entries, rounds), (3, 2));
    assert_eq!(bench.db.lose(("a", "again"), None, 2, T0).await.unwrap(), (Lost::default(), None));
    assert!(bench.db.ledger_due_in("a", T0.plus(1_000_000), 10).await.unwrap().is_empty());
    assert!(bench.db.stores_named().await.unwrap().is_empty(), "it may leave the configuration");
    assert_eq!(states(&bench, source).await, states_are(&[(LOCAL, State::Present)]));
    assert_eq!(bench.state(waits.job).await, JobState::Cancelled);
    let mut again: Vec<_> = bench.db.unplaced(10).await.unwrap().into_iter().map(|one| one.object).collect();
    again.sort_unstable();
    let mut expected = [source, coming];
    expected.sort_unstable();
    assert_eq!(again, expected, "copies are made elsewhere");
    let filter = LedgerFilter { video: Some(video), ..LedgerFilter::default() };
    let rows = bench.db.ledger(&filter, None, 10).await.unwrap();
    let row = rows.iter().find(|row| row.id == there.id).unwrap();
    assert_eq!((row.state, row.reason.as_deref()), (ledger::State::Gone, Some("lost")));
    assert_eq!(row.proof.as_ref().unwrap()["because"], "it has burnt");
    assert_eq!(bench.count("video.copy_bad").await, 1, "of what was there and is wanted");
    bench.db.mark_lost("a", None).await.unwrap();
    assert_eq!(bench.db.store_states().await.unwrap()[0].lost, None);
}

async fn an_object_whose_last_copy_is_lost_is_told_and_not_forgotten(bench: Bench) {
    let (_, source) = bench.brought().await;
    let back = NewReplica { replaces: None, ..copy_in("b") };
    bench.db.add_replica(source, &back, T0).await.unwrap();
    copied(&bench, &back).await;
    bench.db.found(first_entry(source), Finding::Missing, T0).await.unwrap();
    assert_eq!(bench.db.would_lose("b").await.unwrap().last, 1);
    assert_eq!(bench.db.lose(("b", "gone"), None, 10, T0).await.unwrap().0.last, 1);
    assert_eq!(states(&bench, source).await, states_are(&[(LOCAL, State::Suspect)]));
}

async fn what_was_to_go_is_kept_when_that_for_which_it_was_to_go_is_lost(bench: Bench) {
    let (video, source, old) = placed(&bench, "a").await;
    copied(&bench, &old).await;
    let new = NewReplica { replaces: Some(old.id), ..copy_in("b") };
    bench.db.add_replica(source, &new, T0).await.unwrap();
    copied(&bench, &new).await;
    bench.db.found(first_entry(source), Finding::Missing, T0).await.unwrap();
    let later = T0.plus(1_000_000);
    assert_eq!(bench.db.ledger_due_in("a", later, 10).await.unwrap()[0].id, old.id, "its store is away");
    let (lost, _) = bench.db.lose(("b", "it has burnt"), None, 10, T0).await.unwrap();
    assert_eq!((lost.entries, lost.last), (1, 0), "one is left");
    assert!(bench.db.ledger_due_in("a", later, 10).await.unwrap().is_empty(), "it does not go");
    let now = states_are(&[(LOCAL, State::Suspect), ("a", State::Present)]);
    assert_eq!(states(&bench, source).await, now);
    assert_eq!(bench.in_state(video, ledger::State::Present).await, [source, source]);
}

async fn what_is_due_at_one_place_is_found_without_reading_what_is_due_at_others(bench: Bench) {
    let plan = bench
        .db
        .read((), |tx, ()| {
            Box::pin(async move {
                let postgres = tx.is_postgres();
                if postgres {
                    // An empty table is read as a whole, whatever its indexes are.
                    tx.control("SET enable_seqscan = off").await?;
                }
                let sql = Sql::Each {
                    sqlite: "EXPLAIN QUERY PLAN SELECT * FROM ledger l WHERE l.state = 'to_delete' AND l.next_try_ms <= $1
                               AND l.place = $2 AND l.object_id IS NOT NULL ORDER BY l.next_try_ms, l.id LIMIT 10",
                    postgres: "EXPLAIN SELECT * FROM ledger l WHERE l.state = 'to_delete' AND l.next_try_ms <= $1
                               AND l.place = $2 AND l.object_id IS NOT NULL ORDER BY l.next_try_ms, l.id LIMIT 10",
                };
                let rows = tx.rows(sql, args![T0, "a"]).await?;
                let column = if postgres { "QUERY PLAN" } else { "detail" };
                rows.iter().map(|row| row.get::<String>(column)).collect::<Result<Vec<_>, _>>()
            })
        })
        .await
        .unwrap()
        .join("\n");
    assert!(plan.contains("ledger_due_place"), "{plan}");
}
