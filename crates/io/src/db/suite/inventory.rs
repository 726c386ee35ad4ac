//! What places outside list, beside their rows: how it is explained, since when it is seen, and its way into the ledger.

use matinee_core::id::{EntryId, PublicationId};
use matinee_core::inventory::outside::{Row, Sort, Thing};
use matinee_core::ledger::State;
use matinee_core::replica::{self, Finding, LOCAL};
use serde_json::json;

use super::replicas::{begun, copied, due, placed, states, states_are, v1};
use super::support::{Bench, T0, id, on_both};
use crate::db::BegunUpload;
use crate::db::inventory::{Held, ListedCopy, Unknown};
use crate::db::{Placing, first_entry, object};

on_both! {
    a_copy_is_explained_by_its_name_for_ever
    an_upload_in_parts_is_known_while_its_copy_is_being_made
    a_video_is_explained_by_its_name_or_by_its_intent
    what_no_row_knows_keeps_the_moment_when_it_was_seen_first
    an_unknown_copy_goes_like_every_other
    an_unknown_video_goes_like_every_other
    what_is_proven_gone_and_seen_again_is_owed_again
    what_was_lost_and_comes_back_is_read_before_anybody_decides_about_it
    what_was_lost_and_nobody_wants_goes_when_it_comes_back
    a_place_is_compared_by_one_node_at_a_time
}

const STORE: (Sort, &str) = (Sort::Store, "a");
const HOST: (Sort, &str) = (Sort::Host, "cf");

fn unknown(name: &str, thing: Thing, key: EntryId) -> Unknown {
    Unknown { name: name.to_owned(), thing, key, size: Some(7), first: None }
}

async fn listed(bench: &Bench, copy: EntryId) -> Option<ListedCopy> {
    bench.db.copies_listed("a", &[copy, id()]).await.unwrap().remove(0)
}

async fn explained(bench: &Bench, remote: &str, key: Option<PublicationId>) -> Option<Row> {
    bench.db.videos_listed("cf", &[(remote.to_owned(), key)]).await.unwrap().remove(0)
}

/// Everything of a store that is to go is gone after so many milliseconds.
async fn freed(bench: &Bench, ms: i64) -> usize {
    let due = bench.db.ledger_due_in("a", T0.plus(1), 10).await.unwrap();
    for entry in &due {
        bench.db.ledger_gone(entry.id, json!({}), T0.plus(ms)).await.unwrap();
    }
    due.len()
}

async fn a_copy_is_explained_by_its_name_for_ever(bench: Bench) {
    let (video, _, copy) = placed(&bench, "a").await;
    let intended = ListedCopy {
        state: State::Intended,
        proven: None,
        key: Some("k/a".to_owned()),
        size: None,
        upload: None,
    };
    assert_eq!(listed(&bench, copy.id).await, Some(intended.clone()));
    assert!(bench.db.copies_promised(("a", T0.plus(9)), None, 10).await.unwrap().is_empty());
    copied(&bench, &copy).await;
    let present = ListedCopy { state: State::Present, size: Some(10), ..intended };
    assert_eq!(listed(&bench, copy.id).await, Some(present));
    let promised = bench.db.copies_promised(("a", T0.plus(9)), None, 10).await.unwrap();
    assert_eq!(promised.iter().map(|one| (one.id, one.key.as_str())).collect::<Vec<_>>(), [(copy.id, "k/a")]);
    assert!(bench.db.copies_promised(("a", T0), None, 10).await.unwrap().is_empty(), "it is not older");
    assert!(bench.db.copies_promised(("a", T0.plus(9)), Some(copy.id), 10).await.unwrap().is_empty());
    let held = Held { place: "a".to_owned(), things: 1, to_delete: 0, bytes: 10 };
    assert_eq!(bench.db.held(Sort::Store).await.unwrap(), std::slice::from_ref(&held));
    assert_eq!(bench.db.copies_listed("b", &[copy.id]).await.unwrap(), [None], "another store's");

    bench.db.delete_video(bench.app, video, T0).await.unwrap();
    assert_eq!(bench.db.held(Sort::Store).await.unwrap(), [Held { to_delete: 1, ..held }]);
    assert_eq!(freed(&bench, 2).await, 1);
    let gone =
        ListedCopy { state: State::Gone, proven: Some(T0.plus(2)), key: None, size: None, upload: None };
    assert_eq!(listed(&bench, copy.id).await, Some(gone));
    assert!(bench.db.held(Sort::Store).await.unwrap().is_empty());
}

async fn an_upload_in_parts_is_known_while_its_copy_is_being_made(bench: Bench) {
    let (_, _, copy) = placed(&bench, "a").await;
    let upload = async || listed(&bench, copy.id).await.unwrap().upload;
    let (lease, _) = begun(&bench, copy.id).await;
    assert_eq!(upload().await, None);
    let parts = BegunUpload { upload: "u1".to_owned(), part_bytes: 8 };
    bench.db.note_begun(&lease, copy.id, Some(parts), T0).await.unwrap();
    assert_eq!(upload().await.as_deref(), Some("u1"));
    bench.db.copied(&lease, copy.id, v1(), T0).await.unwrap();
    assert_eq!(upload().await, None, "it is over");
    assert_eq!(bench.db.replica(copy.id).await.unwrap().unwrap().tag, v1().tag, "and its tag is kept");
}

async fn a_video_is_explained_by_its_name_or_by_its_intent(bench: Bench) {
    let (video, made) = bench.made("r1").await;
    let there = Some(Row::This { state: State::Present, proven: None });
    assert_eq!(explained(&bench, "r1", None).await, there, "whatever its mark says");
    assert_eq!(explained(&bench, "r2", Some(made.id)).await, Some(Row::Twin));
    assert_eq!(explained(&bench, "r2", Some(id())).await, None);
    assert_eq!(explained(&bench, "r2", None).await, None);
    bench.db.delete_video(bench.app, video, T0).await.unwrap();
    let entry = bench.owed(made.id).await.entry;
    bench.db.outside_gone(entry, (json!({}), None), T0.plus(3)).await.unwrap();
    let gone = Some(Row::This { state: State::Gone, proven: Some(T0.plus(3)) });
    assert_eq!(explained(&bench, "r1", Some(made.id)).await, gone);
    assert_eq!(bench.db.videos_listed("bn", &[("r1".to_owned(), Some(made.id))]).await.unwrap(), [None]);
}

async fn what_no_row_knows_keeps_the_moment_when_it_was_seen_first(bench: Bench) {
    let (first, second) = (unknown("k/1", Thing::Object, id()), unknown("k/2", Thing::Upload, id()));
    bench.db.unknown_seen(STORE, &[first.clone(), second.clone()], T0).await.unwrap();
    bench.db.unknown_seen(STORE, std::slice::from_ref(&first), T0.plus(5)).await.unwrap();
    let seen = |one: &Unknown| Unknown { first: Some(T0), ..one.clone() };
    assert_eq!(bench.db.unknown_at(STORE).await.unwrap(), [seen(&first), seen(&second)]);
    let later = Unknown { first: Some(T0.plus(1)), ..unknown("k/0", Thing::Object, id()) };
    bench.db.unknown_seen(STORE, std::slice::from_ref(&later), T0.plus(1)).await.unwrap();
    for (limit, longest) in
        [(2, vec![seen(&first), seen(&second)]), (3, vec![seen(&first), seen(&second), later])]
    {
        assert_eq!(bench.db.unknown_longest(STORE, limit).await.unwrap(), longest, "the oldest first");
    }
    assert_eq!(bench.db.unknown_at((Sort::Host, "a")).await.unwrap(), [], "a host of the same name");
    assert_eq!(bench.db.unknown_gone(STORE, T0.plus(5)).await.unwrap(), 2, "they are not there any more");
    assert_eq!(bench.db.unknown_at(STORE).await.unwrap(), [seen(&first)]);
}

async fn an_unknown_copy_goes_like_every_other(bench: Bench) {
    let one = unknown("video/source/x", Thing::Object, id());
    bench.db.unknown_seen(STORE, std::slice::from_ref(&one), T0).await.unwrap();
    assert!(bench.db.owe_unknown(STORE, (&one, bench.app), T0).await.unwrap());
    assert!(bench.db.unknown_at(STORE).await.unwrap().is_empty(), "it is in the ledger");
    let due = bench.db.ledger_due_in("a", T0, 10).await.unwrap();
    assert_eq!((due.len(), due[0].id, due[0].reason.as_deref()), (1, one.key, Some("unknown")));
    let copy = bench.db.replica(one.key).await.unwrap().unwrap();
    assert_eq!((copy.key, copy.size), (one.name.clone(), Some(7)), "where it lies");
    assert!(!bench.db.owe_unknown(STORE, (&one, bench.app), T0).await.unwrap(), "a row knows it");
    let sums = bench.db.ledger_sums(bench.app).await.unwrap();
    assert_eq!((sums.len(), sums[0].things, sums[0].bytes), (1, 1, 7));
    assert_eq!(freed(&bench, 2).await, 1);
    assert!(bench.db.held(Sort::Store).await.unwrap().is_empty());
    assert_eq!(bench.count("ledger.proven_gone").await, 1);
}

async fn an_unknown_video_goes_like_every_other(bench: Bench) {
    let key: PublicationId = id();
    let one = unknown("r9", Thing::Video, EntryId::from_bits(key.bits()));
    assert!(bench.db.owe_unknown(HOST, (&one, bench.app), T0).await.unwrap());
    let due = bench.db.outside_due("cf", T0, 10).await.unwrap();
    assert_eq!((due.len(), due[0].key, due[0].remote.as_deref()), (1, key, Some("r9")));
    assert!(!bench.db.owe_unknown(HOST, (&one, bench.app), T0).await.unwrap(), "a row knows it");
    let twin = Unknown { name: "r10".to_owned(), ..one };
    assert!(!bench.db.owe_unknown(HOST, (&twin, bench.app), T0).await.unwrap(), "it is a twin by now");
    assert_eq!(explained(&bench, "r10", Some(key)).await, Some(Row::Twin));
    bench.db.outside_gone(due[0].entry, (json!({}), Some(T0.plus(5))), T0).await.unwrap();
    assert!(bench.db.held(Sort::Host).await.unwrap().is_empty());
}

async fn what_is_proven_gone_and_seen_again_is_owed_again(bench: Bench) {
    let (video, _, copy) = placed(&bench, "a").await;
    copied(&bench, &copy).await;
    bench.db.delete_video(bench.app, video, T0).await.unwrap();
    assert_eq!(freed(&bench, 2).await, 1);
    let again = unknown("k/a", Thing::Object, copy.id);
    assert!(bench.db.owe_unknown(STORE, (&again, id()), T0).await.unwrap());
    let due = bench.db.ledger_due_in("a", T0, 10).await.unwrap();
    assert_eq!((due[0].id, due[0].reason.as_deref(), due[0].app), (copy.id, Some("seen_again"), bench.app));
    assert_eq!(bench.db.replica(copy.id).await.unwrap().unwrap().key, "k/a");
    assert_eq!(bench.count("ledger.seen_again").await, 1);
    assert_eq!(freed(&bench, 3).await, 1);
    assert_eq!(bench.count("ledger.proven_gone").await, 2);

    let (video, made) = bench.made("r1").await;
    bench.db.delete_video(bench.app, video, T0).await.unwrap();
    let entry = bench.owed(made.id).await.entry;
    bench.db.outside_gone(entry, (json!({}), None), T0).await.unwrap();
    let again = unknown("r1", Thing::Video, entry);
    assert!(bench.db.owe_unknown(HOST, (&again, id()), T0).await.unwrap());
    assert_eq!(bench.owed(made.id).await.state, State::ToDelete);
    assert_eq!(bench.count("ledger.seen_again").await, 2);
}

async fn what_was_lost_and_comes_back_is_read_before_anybody_decides_about_it(bench: Bench) {
    let (video, source, copy) = placed(&bench, "a").await;
    copied(&bench, &copy).await;
    bench.db.found(first_entry(source), Finding::Missing, T0).await.unwrap();
    assert_eq!(bench.db.lose(("a", "it has burnt"), None, 10, T0).await.unwrap().0.last, 1);
    let there = unknown("k/a", Thing::Object, copy.id);
    let half = Unknown { thing: Thing::Upload, ..there.clone() };
    assert!(
        !bench.db.owe_unknown(STORE, (&there, bench.app), T0).await.unwrap(),
        "it may be the last that there is"
    );
    assert!(!bench.db.owe_unknown(STORE, (&half, bench.app), T0).await.unwrap(), "a row knows it");
    assert!(bench.db.ledger_due_in("a", T0.plus(1), 10).await.unwrap().is_empty());
    let now = states_are(&[(LOCAL, replica::State::Suspect), ("a", replica::State::Suspect)]);
    assert_eq!(states(&bench, source).await, now, "nobody reads from it yet");
    let last = bench.db.last_bad("a", None, 10).await.unwrap();
    assert_eq!((last.len(), last[0].id, last[0].key.as_str()), (1, copy.id, "k/a"));
    bench.db.found(copy.id, Finding::Good, T0.plus(1)).await.unwrap();
    assert_eq!(due(&bench).await.object, source, "and the local file is made good from it");
    assert_eq!(bench.in_state(video, State::Present).await, [source, source]);
}

async fn what_was_lost_and_nobody_wants_goes_when_it_comes_back(bench: Bench) {
    let (_, source, copy) = placed(&bench, "a").await;
    copied(&bench, &copy).await;
    bench.db.lose(("a", "it has burnt"), None, 10, T0).await.unwrap();
    assert!(bench.db.place(&due(&bench).await, &Placing::default(), "r1", T0).await.unwrap());
    bench
        .db
        .write(source, |tx, source| Box::pin(object::unwanted(tx, *source, "superseded", T0)))
        .await
        .unwrap();
    let there = unknown("k/a", Thing::Object, copy.id);
    assert!(
        bench.db.owe_unknown(STORE, (&there, bench.app), T0).await.unwrap(),
        "its object goes as a whole"
    );
    let (video, _, copy) = placed(&bench, "a").await;
    copied(&bench, &copy).await;
    bench.db.lose(("a", "it has burnt"), None, 10, T0).await.unwrap();
    bench.db.delete_video(bench.app, video, T0).await.unwrap();
    let there = unknown("k/a", Thing::Object, copy.id);
    assert!(bench.db.owe_unknown(STORE, (&there, bench.app), T0).await.unwrap(), "its video is deleted");
    assert_eq!(freed(&bench, 2).await, 1);
}

async fn a_place_is_compared_by_one_node_at_a_time(bench: Bench) {
    let hour = T0.plus(3_600_000);
    assert!(bench.db.inventory_due(STORE, hour, T0).await.unwrap(), "it never was");
    assert!(!bench.db.inventory_due(STORE, hour, T0.plus(5)).await.unwrap(), "somebody does it");
    assert!(bench.db.inventory_due((Sort::Host, "a"), hour, T0).await.unwrap(), "a host of the same name");
    bench.db.inventory_done(STORE, (T0, json!({ "holds": true })), T0.plus(9)).await.unwrap();
    assert!(!bench.db.inventory_due(STORE, hour, T0.plus(8)).await.unwrap());
    assert_eq!(bench.db.inventory_hurry(T0.plus(7)).await.unwrap(), 2, "both were to come later");
    assert_eq!(bench.db.inventory_hurry(T0.plus(7)).await.unwrap(), 0, "they are due already");
    assert!(bench.db.inventory_due(STORE, hour, T0.plus(7)).await.unwrap());
    let known = bench.db.inventories().await.unwrap();
    let store = known.iter().find(|one| one.sort == Sort::Store).unwrap();
    let found = Some(json!({ "holds": true }));
    assert_eq!((store.at, store.next, store.found.clone()), (Some(T0), hour, found));
    assert_eq!(known.iter().find(|one| one.sort == Sort::Host).unwrap().at, None, "not yet");
}
